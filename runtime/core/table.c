/* SPDX-License-Identifier: Apache-2.0 */
#include "core/table.h"

#include "base/assert.h"

#include <stdlib.h>

#define TABLE_SEGMENT 512U

/* Most names that are looked for have no node, and each node of another name on the way there is
 * a cache miss. */
#define BUCKETS_PER_NODE 2U

/* Shrinking waits until three quarters of the buckets have nothing to do, so that a number of
 * nodes that swings does not split and merge the same buckets over and over. */
#define SHRINK_BELOW 4U

static struct table_node **bucket_at(const struct table *table, uint32_t index)
{
    return &table->segments[index / TABLE_SEGMENT][index % TABLE_SEGMENT];
}

static struct table_node **bucket_of(const struct table *table, uint64_t hash)
{
    uint32_t index = (uint32_t)hash & (2 * table->mask + 1);

    /* Not split yet in this round: its nodes are still where the smaller mask puts them. */
    if (index >= table->buckets)
        index &= table->mask;
    return bucket_at(table, index);
}

bool table_init(struct table *table, uint32_t count_max)
{
    uint32_t segments_max = BUCKETS_PER_NODE * (count_max / TABLE_SEGMENT + 1);

    *table = (struct table){.segments_max = segments_max};
    table->segments = calloc(segments_max, sizeof(*table->segments));
    if (table->segments != NULL)
        table->segments[0] = calloc(TABLE_SEGMENT, sizeof(**table->segments));
    if (table->segments == NULL || table->segments[0] == NULL) {
        free(table->segments);
        *table = (struct table){0};
        return false;
    }
    table->buckets = TABLE_SEGMENT;
    table->mask = TABLE_SEGMENT - 1;
    return true;
}

void table_deinit(struct table *table)
{
    for (uint32_t i = 0; i < table->segments_max; i++)
        free(table->segments[i]);
    free(table->segments);
}

/* One bucket more: the nodes of the oldest unsplit bucket are shared out between it and the new
 * one. Without memory for a segment the table stays as it is and only gets slower. */
static void split_one(struct table *table)
{
    uint32_t from_index = table->buckets - table->mask - 1;
    uint32_t segment = table->buckets / TABLE_SEGMENT;
    struct table_node **from, **to, *node;

    if (segment >= table->segments_max)
        return;
    if (table->segments[segment] == NULL) {
        table->segments[segment] = calloc(TABLE_SEGMENT, sizeof(**table->segments));
        if (table->segments[segment] == NULL)
            return;
    }
    from = bucket_at(table, from_index);
    to = bucket_at(table, table->buckets);
    while ((node = *from) != NULL) {
        if (((uint32_t)node->hash & (2 * table->mask + 1)) == from_index) {
            from = &node->next;
            continue;
        }
        *from = node->next;
        node->next = *to;
        *to = node;
    }
    table->buckets++;
    if (table->buckets == 2 * (table->mask + 1))
        table->mask = 2 * table->mask + 1;
}

/* One bucket less: the last joins the one that it was split from. */
static void merge_one(struct table *table)
{
    uint32_t last;
    struct table_node **from, **to;

    if (table->buckets == TABLE_SEGMENT)
        return;
    KLANE_MARK("table shrinks");
    if (table->buckets == table->mask + 1)
        table->mask /= 2;
    last = --table->buckets;
    from = bucket_at(table, last);
    to = bucket_at(table, last & table->mask);
    while (*to != NULL)
        to = &(*to)->next;
    *to = *from;
    *from = NULL;
    if (last % TABLE_SEGMENT == 0) {
        free(table->segments[last / TABLE_SEGMENT]);
        table->segments[last / TABLE_SEGMENT] = NULL;
    }
}

void table_add(struct table *table, struct table_node *node, uint64_t hash)
{
    struct table_node **bucket = bucket_of(table, hash);

    node->hash = hash;
    node->next = *bucket;
    *bucket = node;
    if (++table->count > table->buckets / BUCKETS_PER_NODE)
        split_one(table);
}

void table_remove(struct table *table, struct table_node *node)
{
    struct table_node **link = bucket_of(table, node->hash);

    while (*link != node)
        link = &(*link)->next;
    *link = node->next;
    if (--table->count < table->buckets / BUCKETS_PER_NODE / SHRINK_BELOW)
        merge_one(table);
}

static struct table_node *with_hash(struct table_node *node, uint64_t hash)
{
    while (node != NULL && node->hash != hash)
        node = node->next;
    return node;
}

struct table_node *table_first(const struct table *table, uint64_t hash)
{
    return with_hash(*bucket_of(table, hash), hash);
}

struct table_node *table_next(const struct table_node *node)
{
    return with_hash(node->next, node->hash);
}

void table_each(const struct table *table, void (*visit)(struct table_node *node, void *context),
                void *context)
{
    struct table_node *node, *next;

    for (uint32_t i = 0; i < table->buckets; i++)
        for (node = *bucket_at(table, i); node != NULL; node = next) {
            next = node->next;
            visit(node, context);
        }
}

#ifdef KLANE_TESTING
void table_verify(const struct table *table)
{
    uint32_t count = 0;

    KLANE_ASSERT(table->buckets > table->mask);
    KLANE_ASSERT(table->buckets < 2 * (table->mask + 1));
    for (uint32_t i = 0; i < table->buckets; i++)
        for (const struct table_node *node = *bucket_at(table, i); node; node = node->next) {
            KLANE_ASSERT(bucket_of(table, node->hash) == bucket_at(table, i));
            count++;
        }
    KLANE_ASSERT(count == table->count);
}
#endif
