/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that appends records to a topic of a log in memory at a steady rate: each millisecond
 * what is due. Whatever fails, fails the arm. */
#ifndef KLANE_BENCH_LIB_STEADY_H
#define KLANE_BENCH_LIB_STEADY_H

#include "lib/drive.h"

#include <pthread.h>
#include <stdatomic.h>

struct steady {
    struct klane_source *log;
    const char *topic; /* of one partition */
    uint64_t rate;     /* records a second */
    uint64_t first;    /* keys first to first + keys - 1 in turn */
    uint64_t keys;
    pthread_t thread;
    uint64_t appended; /* the thread's; whoever has joined it */
    _Atomic bool is_over;
};

/* With what is said of the records filled in. */
void steady_begin(struct steady *steady);

/* Returns how many were appended. */
uint64_t steady_end(struct steady *steady);

#endif
