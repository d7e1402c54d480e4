/* SPDX-License-Identifier: Apache-2.0 */
/* How much of this process is resident: now, and at most while it is watched. */
#ifndef KLANE_BENCH_LIB_RESIDENT_H
#define KLANE_BENCH_LIB_RESIDENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { RESIDENT_EVERY_MS = 10 };

uint64_t resident_bytes(void);

/* A thread that looks each RESIDENT_EVERY_MS. */
struct resident_watch {
    pthread_t thread;
    uint64_t most; /* the thread's; whoever has joined it */
    _Atomic bool is_over;
};

void resident_watch_begin(struct resident_watch *watch);

/* Returns the most that was seen. */
uint64_t resident_watch_end(struct resident_watch *watch);

#endif
