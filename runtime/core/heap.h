/* SPDX-License-Identifier: Apache-2.0 */
/* A heap with the least value on top: of offsets, or of due times.
 *
 * Upholds: a node is in a heap at most once, and knows its place, so it can leave from anywhere.
 * What is sorted has a node for each heap that it may be in. */
#ifndef KLANE_CORE_HEAP_H
#define KLANE_CORE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    uint32_t place;
};

#define HEAP_NOWHERE UINT32_MAX

struct heap {
    struct heap_entry {
        int64_t value;
        struct heap_node *node;
    } * entries;
    uint32_t count;
    uint32_t capacity;
};

void heap_init(struct heap *heap);

/* The nodes that are still in it forget their place. */
void heap_deinit(struct heap *heap);

/* Make room for count nodes, so that no later heap_set() can fail. False: no memory. */
bool heap_reserve(struct heap *heap, uint32_t count);

/* Put the node in, or give it a new value. */
void heap_set(struct heap *heap, struct heap_node *node, int64_t value);

void heap_remove(struct heap *heap, struct heap_node *node);

static inline bool heap_has(const struct heap_node *node)
{
    return node->place != HEAP_NOWHERE;
}

#ifdef KLANE_TESTING
void heap_verify(const struct heap *heap);
#endif

#endif
