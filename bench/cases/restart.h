/* SPDX-License-Identifier: Apache-2.0 */
/* A consumer that is killed while some keys are stuck, and starts again: what runs again. */
#ifndef KLANE_BENCH_CASES_RESTART_H
#define KLANE_BENCH_CASES_RESTART_H

#include "lib/drive.h"

#include <stdatomic.h>
#include <sys/types.h>

enum {
    RESTART_RECORDS = 200000,
    RESTART_RECORDS_QUICK = 4000,
    RESTART_FAR = 3000000,
    RESTART_OFFSETS_MAX = 1 << 19, /* of a partition */
    RESTART_RATE = 10000,          /* records a second */
    RESTART_WORKERS = 16,
    RESTART_SLEEP_MS = 1,
    RESTART_PARTITIONS = 8
};

struct restart_plan {
    uint64_t keys;
    uint64_t stuck; /* of which nothing is finished in the first life */
    bool is_narrow; /* they are all in one partition */
    uint32_t interval_ms;
    uint32_t map_size; /* 0: only the committed offset */
    bool is_far;       /* RESTART_FAR records, there from the start, and handlers do nothing */
};

extern const struct restart_plan restart_plan_1s, restart_plan_100ms, restart_plan_contiguous;
extern const struct restart_plan restart_plan_250_1s, restart_plan_250_100ms;
extern const struct restart_plan restart_plan_4k_1s, restart_plan_16k_1s, restart_plan_16k_100ms;
extern const struct restart_plan restart_plan_far;

#define RESTART_ARM(function, what)                                                              \
    {                                                                                            \
        .name = #what, .run = function, .plan = &restart_plan_##what                             \
    }

/* What both lives and the arm see; counts that order nothing. */
struct restart_board {
    _Atomic uint64_t ended;    /* records, each counted once */
    _Atomic uint64_t repeated; /* records of the second life that had ended in the first */
    _Atomic int64_t assigned_ns;
    _Atomic int64_t first_ns; /* the first record that is new started in the second life */
    _Atomic bool is_ended[RESTART_PARTITIONS][RESTART_OFFSETS_MAX];
};

struct restart {
    const struct restart_plan *plan;
    const struct bench_run *run;
    struct restart_board *board;
    uint64_t records;
    uint64_t (*key_number)(const void *key);
    struct klane_runtime *(*create)(struct restart *restart, struct drive *drive);
    const void *log; /* what create() reads */
    uint32_t life;
};

void restart_init(struct restart *restart, struct bench_run *run);

/* A life, in a process of its own. */
pid_t restart_begin(struct restart *restart, uint32_t life);

/* Returns its status. */
int restart_wait(pid_t process);

/* Kill the first when all but a twentieth of what can be finished is. */
void restart_kill(struct restart *restart, pid_t process);

/* The second life, to the end of the log; then the figures. */
void restart_finish(struct restart *restart, struct bench_run *run);

#endif
