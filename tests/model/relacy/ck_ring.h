/* SPDX-License-Identifier: Apache-2.0 */
/* Concurrency Kit's ring under Relacy: one producer, many consumers, with the orders that ck's
 * own fences give. The looks are relaxed, as ck's are. Stands before ck's header. */
#ifndef KLANE_CK_RING_H
#define KLANE_CK_RING_H

#include "model.h"

struct ck_ring_buffer_t {
    rl::atomic<void *> value;
};

struct ck_ring_t {
    rl::atomic<unsigned> head;
    rl::atomic<unsigned> tail;
    unsigned size;
};

static inline void ck_ring_init(ck_ring_t *ring, unsigned size)
{
    ring->head.store(0, rl::mo_relaxed, RL_INFO);
    ring->tail.store(0, rl::mo_relaxed, RL_INFO);
    ring->size = size;
}

static inline unsigned ck_ring_capacity(const ck_ring_t *ring)
{
    return ring->size;
}

static inline unsigned ck_ring_size(const ck_ring_t *ring)
{
    unsigned head = ring->head.load(rl::mo_relaxed, RL_INFO);
    unsigned tail = ring->tail.load(rl::mo_relaxed, RL_INFO);

    return (tail - head) & (ring->size - 1);
}

static inline bool ck_ring_enqueue_spmc(ck_ring_t *ring, ck_ring_buffer_t *buffer, void *entry)
{
    unsigned head = ring->head.load(rl::mo_acquire, RL_INFO);
    unsigned tail = ring->tail.load(rl::mo_relaxed, RL_INFO);

    if (tail - head == ring->size - 1)
        return false;
    buffer[tail & (ring->size - 1)].value.store(entry, rl::mo_relaxed, RL_INFO);
    ring->tail.store(tail + 1, rl::mo_release, RL_INFO);
    return true;
}

static inline bool ck_ring_dequeue_spmc(ck_ring_t *ring, ck_ring_buffer_t *buffer, void *entry)
{
    unsigned head = ring->head.load(rl::mo_acquire, RL_INFO);
    void *found;

    do {
        unsigned tail = ring->tail.load(rl::mo_acquire, RL_INFO);

        if (head == tail)
            return false;
        found = buffer[head & (ring->size - 1)].value.load(rl::mo_relaxed, RL_INFO);
    } while (!ring->head.compare_exchange_strong(head, head + 1, rl::mo_acq_rel, RL_INFO,
                                                 rl::mo_acquire, RL_INFO));
    *(void **)entry = found;
    return true;
}

#endif
