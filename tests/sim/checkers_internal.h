/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the checkers share among themselves; nobody else includes it. */
#ifndef KLANE_TESTS_SIM_CHECKERS_INTERNAL_H
#define KLANE_TESTS_SIM_CHECKERS_INTERNAL_H

#include "sim/checkers.h"

#define NONE UINT32_MAX

/* A record of the log. */
struct seen_record {
    int64_t offset;            /* the first: see by_offset.h */
    int64_t delivered_idle_ms; /* the idle clock of who took it in last */
    uint32_t delivered_epoch;
    uint32_t lane;
    uint32_t lane_previous; /* index of the record before it in its lane */
    uint32_t starts;        /* by anybody */
    bool finished;
    bool appended; /* some time */
    bool gone;     /* from the log, or not appended yet */
};

struct seen_partition {
    struct seen_record *records; /* all that will ever be appended, by offset */
    uint32_t count;              /* of them, up to the last one of the log as it is */
    uint32_t capacity;
    uint32_t cuts; /* so often the log has lost its last records */
    uint64_t *acknowledged; /* a bit for each: finished, as it is committed */
    int64_t first_from;     /* of the first assignment; -1: none yet */
    int64_t committed;      /* as the log has it; -1: nothing */
    uint32_t committed_cuts; /* what "cuts" was when the epoch began that has committed that */
    int64_t end;             /* of the log, as it is known by now */
};

enum epoch_state { EPOCH_NONE, EPOCH_ACTIVE, EPOCH_REVOKED, EPOCH_GONE };

struct seen_epoch {
    uint64_t *finished; /* a bit for each record of the partition */
    uint64_t *known;    /* finished before, as it was told when it began */
    uint64_t *heard;    /* finished, as its control knows */
    uint64_t *sent;     /* finished, as its commit that is out says */
    uint64_t *given;    /* finished, as was committed when it began */
    uint64_t *taken;    /* taken in by its main flow */
    uint64_t *told;     /* gone, as it was told */
    int64_t from;
    int64_t ceiling;   /* its main flow begins there */
    int64_t reached;   /* one past what that has taken in */
    int64_t end;       /* of the log before it was cut; 0: it was not since it began */
    int64_t idle_ms;   /* the idle clock when it began */
    int64_t committed; /* by itself; "from" until then */
    uint32_t prefix;   /* index: everything from "from" up to here is finished in this epoch */
    uint32_t cuts;     /* of the log that it knows */
    uint16_t partition;
    uint8_t process;
    uint8_t state; /* enum epoch_state */
    bool loose;    /* given up in a stop, with another offset committed than was finished */
};

/* One lane in one process. */
struct seen_lane {
    int64_t idle_ms;  /* the idle clock when its last record ended */
    int64_t ready_ms; /* not to start again before */
    uint32_t open;    /* attempts that run */
    uint32_t last;    /* index of the record that started last */
    uint32_t last_epoch;
    uint32_t last_attempt;
    bool last_finished;
    bool is_freeing;  /* its state */
    int64_t state;    /* its number; 0: it has none */
    uint32_t state_epoch;
};

struct seen_attempt {
    uint32_t record;
    uint32_t epoch;
    uint32_t attempt;
    bool returned;
};

struct seen_process {
    struct seen_lane *lanes;
    struct seen_attempt *attempts; /* that run */
    uint32_t attempts_count;
    uint32_t attempts_capacity;
    int64_t workers;
    int64_t busy;
    int64_t idle_ms; /* time in which a worker was idle */
    int64_t commit;  /* number of the one that is out; -1: none */
    int64_t stop_deadline_ms;
    bool stopping;
    bool stopped;
};

struct checker {
    const struct history *history;
    const struct check_rules *rules;
    struct check_failure *failure;
    size_t at;
    int64_t now_ms;
    struct seen_partition *partitions;
    struct seen_epoch *epochs;
    struct seen_process *processes;
    uint32_t *lane_last; /* index of each lane's last record, while they are put in order */
    uint32_t *lane_open; /* number of the event at which it had something unfinished, and 1 */
    uint32_t partitions_count;
    uint32_t epochs_count;
    uint32_t processes_count;
    uint32_t lanes_count;
    bool failed;
};

/* Of a set of records. */
static inline size_t words_of(const struct seen_partition *partition)
{
    return partition->capacity / 64 + 1;
}

static inline bool has_bit(const uint64_t *set, uint32_t index)
{
    return set[index / 64] >> index % 64 & 1;
}

static inline void set_bit(uint64_t *set, uint32_t index)
{
    set[index / 64] |= UINT64_C(1) << index % 64;
}

/* checkers.c: the first failure is kept. */
void checker_fail(struct checker *checker, unsigned number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* NULL: no memory, which is a failure. */
void *checker_zeroed(struct checker *checker, size_t count, size_t size);

/* checkers_log.c: the log, and who has which part of it */

/* The records that the history will append. */
void checker_prepare_log(struct checker *checker);

/* Index of the first record at or above offset. */
uint32_t checker_index_from(const struct seen_partition *partition, int64_t offset);

/* NONE: there is no such record. */
uint32_t checker_index_of(const struct seen_partition *partition, int64_t offset);

/* The epoch of an event, if it is one of that process and partition. */
struct seen_epoch *checker_epoch_of(struct checker *checker, const struct history_event *event);

/* How far the epoch has finished everything, as an index. */
uint32_t checker_prefix_of(struct checker *checker, struct seen_epoch *epoch);

void checker_on_append(struct checker *checker, const struct history_event *event);
void checker_on_log_end(struct checker *checker, const struct history_event *event);
void checker_on_cut(struct checker *checker, const struct history_event *event);
void checker_on_gone(struct checker *checker, const struct history_event *event);
void checker_on_assign(struct checker *checker, const struct history_event *event);
void checker_on_leave(struct checker *checker, const struct history_event *event);

/* checkers_runs.c: handlers and commits */
void checker_on_deliver(struct checker *checker, const struct history_event *event);
void checker_on_start(struct checker *checker, const struct history_event *event);
void checker_on_return(struct checker *checker, const struct history_event *event);
void checker_on_end(struct checker *checker, const struct history_event *event);
void checker_on_head_gone(struct checker *checker, const struct history_event *event);
void checker_on_heard(struct checker *checker, const struct history_event *event);
void checker_on_sent(struct checker *checker, const struct history_event *event);
void checker_on_committed(struct checker *checker, const struct history_event *event);
void checker_on_answered(struct checker *checker, const struct history_event *event);

/* checkers_states.c */
void checker_on_state(struct checker *checker, const struct history_event *event);
void checker_on_free(struct checker *checker, const struct history_event *event);
void checker_on_freed(struct checker *checker, const struct history_event *event);
void checker_on_drained(struct checker *checker, const struct history_event *event);

#endif
