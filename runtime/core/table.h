/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table of nodes that their owners allocate: linear hashing, one bucket split or merged at
 * a time.
 *
 * Upholds: no call waits for a rehash; without memory the table only gets slower. What an equal
 * hash means is for the owner to decide: he walks the nodes that have it. Control's alone. */
#ifndef KLANE_CORE_TABLE_H
#define KLANE_CORE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_node {
    struct table_node *next; /* in its bucket */
    uint64_t hash;
};

struct table {
    struct table_node ***segments; /* of TABLE_SEGMENT buckets each */
    uint32_t segments_max;
    uint32_t buckets; /* in use: mask + 1 + those split in this round */
    uint32_t mask;    /* of this round: the buckets that it began with, less one */
    uint32_t count;
};

/* count_max: buckets do not get many more than twice that. False: no memory. */
bool table_init(struct table *table, uint32_t count_max);

/* Nodes that are still in it are their owners'. */
void table_deinit(struct table *table);

void table_add(struct table *table, struct table_node *node, uint64_t hash);
void table_remove(struct table *table, struct table_node *node);

/* The first node with this hash, and the next with the same. NULL: none. */
struct table_node *table_first(const struct table *table, uint64_t hash);
struct table_node *table_next(const struct table_node *node);

/* Calls visit for each node, which may not change the table; before table_deinit() it may free
 * the nodes. */
void table_each(const struct table *table, void (*visit)(struct table_node *node, void *context),
                void *context);

#ifdef KLANE_TESTING
void table_verify(const struct table *table);
#endif

#endif
