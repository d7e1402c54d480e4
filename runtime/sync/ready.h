/* SPDX-License-Identifier: Apache-2.0 */
/* The ring of ready slots: how control hands runnable work to whoever looks for some.
 *
 * Upholds: an item that was pushed is popped once, oldest first. One producer (control), any
 * number of consumers; lock-free. Built on ck_ring, whose ring of size n holds n - 1 items.
 *
 * Edge R1: push, release (ck's store fence before its tail) -> pop, acquire (ck's load fence
 * behind the tail): what control wrote into the item, before it is run.
 *
 * A consumer that was overtaken may read an entry while the producer writes it anew. It throws
 * the value away, because its compare-and-swap of the head fails; the race detector is told so
 * by a suppression for ck's functions, and is told of the item itself here. */
#ifndef KLANE_SYNC_READY_H
#define KLANE_SYNC_READY_H

#include "base/assert.h"
#include "sync/race_detector.h"

#include <ck_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct ready_ring {
    ck_ring_t ring;           /* head: consumers; tail: control */
    ck_ring_buffer_t *buffer; /* control, at init and deinit */
};

/* capacity: a power of two, at least 2; the ring holds one item less. False: no memory. */
static inline bool ready_init(struct ready_ring *ready, uint32_t capacity)
{
    KLANE_ASSERT(capacity >= 2);
    KLANE_ASSERT((capacity & (capacity - 1)) == 0);
    ready->buffer = calloc(capacity, sizeof(*ready->buffer));
    if (ready->buffer == NULL)
        return false;
    ck_ring_init(&ready->ring, capacity);
    return true;
}

/* When no other thread uses the ring. What is still in it is the caller's affair. */
static inline void ready_deinit(struct ready_ring *ready)
{
    free(ready->buffer);
    ready->buffer = NULL;
}

/* Control. False: the ring is full. Follow with idle_wake_one(). */
static inline bool ready_push(struct ready_ring *ready, void *item)
{
    RACE_DETECTOR_RELEASE(item);
    return ck_ring_enqueue_spmc(&ready->ring, ready->buffer, item); /* R1 */
}

/* Any thread. The item belongs to the caller; NULL: the ring was empty. */
static inline void *ready_pop(struct ready_ring *ready)
{
    void *item = NULL;

    if (!ck_ring_dequeue_spmc(&ready->ring, ready->buffer, &item)) /* R1 */
        return NULL;
    RACE_DETECTOR_ACQUIRE(item);
    return item;
}

/* Any thread: whether it looked empty. After idle_prepare() or a true idle_search_end() the look
 * cannot miss what was pushed by a thread that counted on the caller (sync/idle.h). */
static inline bool ready_is_empty(const struct ready_ring *ready)
{
    return ck_ring_size(&ready->ring) == 0;
}

/* Any thread: whether less than a quarter is left of what the ring can hold. */
static inline bool ready_is_low(const struct ready_ring *ready)
{
    return ck_ring_size(&ready->ring) < ck_ring_capacity(&ready->ring) / 4;
}

/* Any thread: how many items it looked to hold. */
static inline uint32_t ready_count(const struct ready_ring *ready)
{
    return ck_ring_size(&ready->ring);
}

/* Control: how many items can be pushed now, at least. */
static inline uint32_t ready_room(const struct ready_ring *ready)
{
    return ck_ring_capacity(&ready->ring) - 1 - ck_ring_size(&ready->ring);
}

#endif
