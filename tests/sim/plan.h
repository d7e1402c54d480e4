/* SPDX-License-Identifier: Apache-2.0 */
/* What one seed of the simulator chooses: sizes, limits and mishaps. */
#ifndef KLANE_TESTS_SIM_PLAN_H
#define KLANE_TESTS_SIM_PLAN_H

#include "core/core.h"
#include "core/retry.h"

#define PARTITIONS_MAX 4
#define PROCESSES_MAX 2
#define WORKERS_MAX 16
#define TOKENS_MAX 256
#define BATCH_MAX 7
#define ROUTE 3 /* of all records */
#define KEYS_MAX 4096U
#define MAP_MAX 4096 /* characters of a progress map */

enum fault {
    FAULT_RETRY,     /* a handler asks for its record again */
    FAULT_STUCK,     /* a handler takes a hundred times as long */
    FAULT_DUPLICATE, /* a completion comes twice, or for a record that is long gone */
    FAULT_NO_MEMORY, /* a record is refused */
    FAULT_COMMIT_FAILED,
    FAULT_COMMIT_UNHEARD, /* stored, but answered as failed */
    FAULT_COMMIT_LATE,    /* answered long after everybody stopped waiting */
    FAULT_REVOKED,
    FAULT_LOST,
    FAULT_LOST_UNTOLD, /* lost, and told only later: both work meanwhile */
    FAULT_HELD, /* a lane, or everything, is held by hand for a while */
    FAULT_CRASH,
    FAULT_STOP,
    FAULT_RETENTION,  /* the log begins later */
    FAULT_COMPACTION, /* records go of which there are newer ones of their key */
    FAULT_TRUNCATION, /* the log's last records go, and others come in their place */
    FAULTS
};

/* What one seed chooses. A rate is of 256. */
struct plan {
    uint64_t seed;
    struct core_config core;
    uint32_t partitions;
    uint32_t records; /* in all */
    uint32_t keys;
    uint32_t value_size_max;
    uint32_t processes;
    uint32_t workers;
    uint32_t ring;
    uint32_t tokens;
    uint32_t burst;      /* records taken in at once */
    uint32_t steps_ms;   /* steps in a millisecond, about; a power of two */
    uint32_t run_ms;     /* handlers, at most */
    uint32_t overdue_ms; /* a drain does not wait for a handler that ran as long */
    uint32_t stop_ms;
    uint32_t chaos_steps; /* between mishaps, about */
    uint32_t faults_min;
    uint8_t order; /* enum lane_kind: OF_KEY, OF_PARTITION or OF_RECORD */
    bool null_keys_in_order;
    bool key_function;
    bool skewed;
    bool prompt; /* holds are heeded at once */
    bool quiet;  /* no mishap at all: nothing may be repeated */
    bool scheme_changes; /* of a process, when it begins again */
    bool wait_for_commits; /* before the last stop */
    uint8_t reports; /* order of outcomes: 0 last in first out, 1 first in first out, 2 any */
    uint8_t retry_rate, skip_rate, later_rate, yield_rate, take_rate, stuck_rate;
    uint8_t commit_trouble_rate;
    struct retry_policy retry; /* what is given up becomes a dead letter */
    struct gather_rule gather; /* records_max 0: batches are not waited for */
    bool keeps_states;   /* handlers keep something for their lanes */
    uint32_t states_idle_max;
    bool weighs;         /* some records have a weight */
    bool schedules;      /* some are not to run before a time */
    uint32_t delay_ms;   /* of retries, at most */
    uint64_t slab_limit; /* memory ends there, whatever the budget is; 0: nowhere */
    bool may[FAULTS];
    bool loses; /* one of those that befall the log may come */
};

void plan_make(struct plan *plan, uint64_t seed);

#endif
