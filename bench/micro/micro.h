/* SPDX-License-Identifier: Apache-2.0 */
/* Microbenchmarks: one operation of one part of the runtime, alone, many times in a row.
 *
 * A stage is what the operations work on. A run of them is timed, or its instructions counted;
 * what comes before and between runs is neither. Whatever fails, ends the program. */
#ifndef KLANE_BENCH_MICRO_MICRO_H
#define KLANE_BENCH_MICRO_MICRO_H

#include "lib/harness.h"

/* Operations of a run, if nothing is said against it. */
enum { MICRO_RUN = 4096 };

struct micro {
    const char *name; /* NULL: the end of the list */
    void *(*begin)(void);
    void (*prepare)(void *stage); /* before each run; NULL: nothing is to be done */
    void (*run)(void *stage);
    void (*end)(void *stage);
    uint32_t operations;  /* of a run; 0: MICRO_RUN */
    bool has_two_threads; /* its instructions say nothing */
};

struct micro_part {
    const char *name; /* NULL: the end of the list */
    const char *what; /* one sentence */
    struct micro micros[BENCH_ARMS_MAX + 1];
};

extern const struct micro_part micro_sync[];
extern const struct micro_part micro_threads[];
extern const struct micro_part micro_base[];
extern const struct micro_part micro_lanes[];
extern const struct micro_part micro_core[];
extern const struct micro_part micro_progress[];

/* By their names callgrind knows when to count, which is while the first one is run, and when to
 * tell what it has counted, which is before the other. */
__attribute__((noinline)) void micro_measure(const struct micro *micro, void *stage);
__attribute__((noinline)) void micro_counted(const struct micro *micro);

/* Zeroed, in cache lines of its own. */
void *micro_alloc(size_t size);

/* The compiler has to compute the value. */
static inline void micro_keep(uint64_t value)
{
    __asm__ volatile("" : : "r"(value));
}

static inline void micro_check(bool is_true, const char *what)
{
    if (!is_true)
        bench_fail("%s", what);
}

#endif
