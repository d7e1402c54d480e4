/* SPDX-License-Identifier: Apache-2.0 */
#include "core/lane_heap.h"

#include "base/assert.h"
#include "core/lane.h"

#include <stdlib.h>

#define CAPACITY_MIN 16

static void place(struct lane_heap *heap, uint32_t index, struct lane_heap_entry entry)
{
    heap->entries[index] = entry;
    entry.lane->heap_place[heap->kind] = index;
}

static void sift_up(struct lane_heap *heap, uint32_t index)
{
    struct lane_heap_entry entry = heap->entries[index];

    while (index > 0 && heap->entries[(index - 1) / 2].value > entry.value) {
        place(heap, index, heap->entries[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    place(heap, index, entry);
}

static void sift_down(struct lane_heap *heap, uint32_t index)
{
    struct lane_heap_entry entry = heap->entries[index];

    for (;;) {
        uint32_t child = 2 * index + 1;

        if (child + 1 < heap->count &&
            heap->entries[child + 1].value < heap->entries[child].value)
            child++;
        if (child >= heap->count || heap->entries[child].value >= entry.value)
            break;
        place(heap, index, heap->entries[child]);
        index = child;
    }
    place(heap, index, entry);
}

void lane_heap_init(struct lane_heap *heap, enum lane_heap_kind kind)
{
    *heap = (struct lane_heap){.kind = kind};
}

void lane_heap_deinit(struct lane_heap *heap)
{
    for (uint32_t i = 0; i < heap->count; i++)
        heap->entries[i].lane->heap_place[heap->kind] = LANE_HEAP_NOWHERE;
    free(heap->entries);
    lane_heap_init(heap, heap->kind);
}

bool lane_heap_reserve(struct lane_heap *heap, uint32_t count)
{
    struct lane_heap_entry *entries;
    uint32_t capacity = heap->capacity < CAPACITY_MIN ? CAPACITY_MIN : heap->capacity;

    if (count <= heap->capacity)
        return true;
    while (capacity < count)
        capacity *= 2;
    entries = realloc(heap->entries, capacity * sizeof(*entries));
    if (entries == NULL)
        return false;
    heap->entries = entries;
    heap->capacity = capacity;
    return true;
}

bool lane_heap_has(const struct lane_heap *heap, const struct lane *lane)
{
    return lane->heap_place[heap->kind] != LANE_HEAP_NOWHERE;
}

void lane_heap_set(struct lane_heap *heap, struct lane *lane, int64_t value)
{
    uint32_t index = lane->heap_place[heap->kind];

    if (index == LANE_HEAP_NOWHERE) {
        KLANE_ASSERT(heap->count < heap->capacity);
        index = heap->count++;
    } else {
        KLANE_ASSERT(heap->entries[index].lane == lane);
    }
    place(heap, index, (struct lane_heap_entry){.value = value, .lane = lane});
    sift_up(heap, index);
    sift_down(heap, lane->heap_place[heap->kind]);
}

void lane_heap_remove(struct lane_heap *heap, struct lane *lane)
{
    uint32_t index = lane->heap_place[heap->kind];
    struct lane_heap_entry last;

    KLANE_ASSERT(index < heap->count);
    KLANE_ASSERT(heap->entries[index].lane == lane);
    last = heap->entries[--heap->count];
    lane->heap_place[heap->kind] = LANE_HEAP_NOWHERE;
    if (last.lane == lane)
        return;
    place(heap, index, last);
    sift_up(heap, index);
    sift_down(heap, last.lane->heap_place[heap->kind]);
}

#ifdef KLANE_TESTING
void lane_heap_verify(const struct lane_heap *heap)
{
    KLANE_ASSERT(heap->count <= heap->capacity);
    for (uint32_t i = 0; i < heap->count; i++) {
        KLANE_ASSERT(heap->entries[i].lane->heap_place[heap->kind] == i);
        KLANE_ASSERT(i == 0 || heap->entries[(i - 1) / 2].value <= heap->entries[i].value);
    }
}
#endif
