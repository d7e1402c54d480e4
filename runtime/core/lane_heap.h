/* SPDX-License-Identifier: Apache-2.0 */
/* A heap of lanes with the least value on top: of head offsets, or of due times.
 *
 * Upholds: a lane is in a heap at most once, and knows its place, so it can leave from
 * anywhere. */
#ifndef KLANE_CORE_LANE_HEAP_H
#define KLANE_CORE_LANE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lane;

/* Which of the two places in the lane this heap keeps up. */
enum lane_heap_kind { LANE_HEAP_HEADS, LANE_HEAP_TIMERS, LANE_HEAP_KINDS };

#define LANE_HEAP_NOWHERE UINT32_MAX

struct lane_heap {
    struct lane_heap_entry {
        int64_t value;
        struct lane *lane;
    } * entries;
    uint32_t count;
    uint32_t capacity;
    enum lane_heap_kind kind;
};

void lane_heap_init(struct lane_heap *heap, enum lane_heap_kind kind);

/* The lanes that are still in it forget their place. */
void lane_heap_deinit(struct lane_heap *heap);

/* Make room for count lanes, so that no later lane_heap_set() can fail. False: no memory. */
bool lane_heap_reserve(struct lane_heap *heap, uint32_t count);

/* Put the lane in, or give it a new value. */
void lane_heap_set(struct lane_heap *heap, struct lane *lane, int64_t value);

void lane_heap_remove(struct lane_heap *heap, struct lane *lane);

bool lane_heap_has(const struct lane_heap *heap, const struct lane *lane);

#ifdef KLANE_TESTING
void lane_heap_verify(const struct lane_heap *heap);
#endif

#endif
