/* SPDX-License-Identifier: Apache-2.0 */
#include "core/heap.h"

#include "base/assert.h"

#include <stdlib.h>

#define CAPACITY_MIN 16

static void place(struct heap *heap, uint32_t index, struct heap_entry entry)
{
    heap->entries[index] = entry;
    entry.node->place = index;
}

static void sift_up(struct heap *heap, uint32_t index)
{
    struct heap_entry entry = heap->entries[index];

    while (index > 0 && heap->entries[(index - 1) / 2].value > entry.value) {
        place(heap, index, heap->entries[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    place(heap, index, entry);
}

static void sift_down(struct heap *heap, uint32_t index)
{
    struct heap_entry entry = heap->entries[index];

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

void heap_init(struct heap *heap)
{
    *heap = (struct heap){.entries = NULL};
}

void heap_deinit(struct heap *heap)
{
    for (uint32_t i = 0; i < heap->count; i++)
        heap->entries[i].node->place = HEAP_NOWHERE;
    free(heap->entries);
    heap_init(heap);
}

bool heap_reserve(struct heap *heap, uint32_t count)
{
    struct heap_entry *entries;
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

void heap_set(struct heap *heap, struct heap_node *node, int64_t value)
{
    uint32_t index = node->place;

    if (index == HEAP_NOWHERE) {
        KLANE_ASSERT(heap->count < heap->capacity);
        index = heap->count++;
    } else {
        KLANE_ASSERT(heap->entries[index].node == node);
    }
    place(heap, index, (struct heap_entry){.value = value, .node = node});
    sift_up(heap, index);
    sift_down(heap, node->place);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    uint32_t index = node->place;
    struct heap_entry last;

    KLANE_ASSERT(index < heap->count);
    KLANE_ASSERT(heap->entries[index].node == node);
    last = heap->entries[--heap->count];
    node->place = HEAP_NOWHERE;
    if (last.node == node)
        return;
    place(heap, index, last);
    sift_up(heap, index);
    sift_down(heap, last.node->place);
}

#ifdef KLANE_TESTING
void heap_verify(const struct heap *heap)
{
    KLANE_ASSERT(heap->count <= heap->capacity);
    for (uint32_t i = 0; i < heap->count; i++) {
        KLANE_ASSERT(heap->entries[i].node->place == i);
        KLANE_ASSERT(i == 0 || heap->entries[(i - 1) / 2].value <= heap->entries[i].value);
    }
}
#endif
