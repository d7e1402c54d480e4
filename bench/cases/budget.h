/* SPDX-License-Identifier: Apache-2.0 */
/* Large records under a budget of bytes: what of it is resident, and whether a partition starves.
 *
 * The log is empty when it is assigned, and resident memory is measured; then another process
 * appends all records, and from then on the most is noted. */
#ifndef KLANE_BENCH_CASES_BUDGET_H
#define KLANE_BENCH_CASES_BUDGET_H

#include "lib/drive.h"

#define BUDGET_BYTES (UINT64_C(64) << 20)

enum {
    BUDGET_PARTITIONS = 8, /* a key's is its number modulo this */
    BUDGET_VALUE_MAX = 8 << 20
};

struct budget_plan {
    uint64_t sleep_ms; /* of a handler */
};

extern const struct budget_plan budget_plan_short, budget_plan_long;

/* Which log. In the appending process: */
struct budget_log {
    void (*make)(void *own); /* it, empty */
    void (*append)(void *own, uint64_t records, const void *value);
    /* and in the arm's: */
    struct klane_runtime *(*create)(void *own, struct drive *drive);
    void (*settings)(struct bench_run *run);
};

/* The next record: its key's number and the size of its value, each doubling as likely. */
size_t budget_next(uint64_t *state, uint64_t *number);

void budget_run(struct bench_run *run, const struct budget_log *log, void *own);

/* A response of the broker has room in the budget too, so little is fetched ahead. */
void kafka_budget_run(struct bench_run *run);

#endif
