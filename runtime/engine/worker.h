/* SPDX-License-Identifier: Apache-2.0 */
/* A worker thread, as control and statistics see it. Edge W2: engine/engine.h. */
#ifndef KLANE_ENGINE_WORKER_H
#define KLANE_ENGINE_WORKER_H

#include "base/cache_line.h"
#include "engine/batch.h"

#include <pthread.h>

struct klane_runtime;

struct worker {
    /* Fixed while the thread runs. */
    struct klane_runtime *runtime;
    pthread_t thread;
    int seat;
    void *local; /* the program's, of worker_start */
    /* Of a batch, the first slots of its lanes, but for that of running; the worker writes into
     * it. NULL: no route has batches of many keys. */
    _Atomic(struct klane_slot *) *others;

    /* Written by the worker, read by control and statistics. Odd turn: in a handler. */
    _Alignas(CACHE_LINE) _Atomic uint64_t turn;
    _Atomic(struct klane_slot *) running;
    _Atomic uint32_t others_count; /* in this turn */
    _Atomic bool exited;
    uint32_t quiet;           /* the worker's own: outcomes sent since control was last rung */
    bool left_as_surplus;     /* the worker's, until it has exited */
    struct batch_space space; /* the worker's own */
    _Atomic uint64_t joined;  /* records that began in a turn beside its first */

    /* Control's. */
    _Alignas(CACHE_LINE) uint64_t turn_seen;
    int64_t turn_since_ms;
    bool alive; /* the thread exists and was not joined */
    bool slow;
    bool overrun; /* it was said that this turn takes longer than it may */
};

/* Control: of the lanes in what the worker runs, or has run last, as far as can be seen, the first
 * slot of this one, from 0 on; NULL: there are no more. */
struct klane_slot *worker_slot(const struct worker *worker, uint32_t index);

#endif
