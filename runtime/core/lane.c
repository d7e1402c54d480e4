/* SPDX-License-Identifier: Apache-2.0 */
#include "core/lane.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/slab.h"

#include <stdlib.h>
#include <string.h>

/* ---- the table: linear hashing, one bucket split or merged at a time --------------------- */

#define LANE_SEGMENT 512U

/* Shrinking waits until three quarters of the buckets have nothing to do, so that a number of
 * lanes that swings does not split and merge the same buckets over and over. */
#define SHRINK_BELOW 4U

static struct lane **bucket_at(const struct lane_table *table, uint32_t index)
{
    return &table->segments[index / LANE_SEGMENT][index % LANE_SEGMENT];
}

static struct lane **bucket_of(const struct lane_table *table, uint64_t hash)
{
    uint32_t index = (uint32_t)hash & (2 * table->mask + 1);

    /* Not split yet in this round: its lanes are still where the smaller mask puts them. */
    if (index >= table->buckets)
        index &= table->mask;
    return bucket_at(table, index);
}

bool lane_table_init(struct lane_table *table, uint32_t lanes_max, uint64_t seed)
{
    uint32_t segments_max = lanes_max / LANE_SEGMENT + 1;

    *table = (struct lane_table){.seed = seed, .segments_max = segments_max};
    table->segments = calloc(segments_max, sizeof(*table->segments));
    if (table->segments == NULL)
        return false;
    table->segments[0] = calloc(LANE_SEGMENT, sizeof(**table->segments));
    if (table->segments[0] == NULL) {
        free(table->segments);
        return false;
    }
    table->buckets = LANE_SEGMENT;
    table->mask = LANE_SEGMENT - 1;
    return true;
}

void lane_table_deinit(struct lane_table *table)
{
    for (uint32_t i = 0; i < table->segments_max; i++)
        free(table->segments[i]);
    free(table->segments);
}

/* One bucket more: the lanes of the oldest unsplit bucket are shared out between it and the new
 * one. Without memory for a segment the table stays as it is and only gets slower. */
static void split_one(struct lane_table *table)
{
    uint32_t from_index = table->buckets - table->mask - 1;
    uint32_t segment = table->buckets / LANE_SEGMENT;
    struct lane **from, **to, *lane;

    if (segment >= table->segments_max)
        return;
    if (table->segments[segment] == NULL) {
        table->segments[segment] = calloc(LANE_SEGMENT, sizeof(**table->segments));
        if (table->segments[segment] == NULL)
            return;
    }
    from = bucket_at(table, from_index);
    to = bucket_at(table, table->buckets);
    while ((lane = *from) != NULL) {
        if (((uint32_t)lane->hash & (2 * table->mask + 1)) == from_index) {
            from = &lane->table_next;
            continue;
        }
        *from = lane->table_next;
        lane->table_next = *to;
        *to = lane;
    }
    table->buckets++;
    if (table->buckets == 2 * (table->mask + 1))
        table->mask = 2 * table->mask + 1;
}

/* One bucket less: the last joins the one that it was split from. */
static void merge_one(struct lane_table *table)
{
    uint32_t last;
    struct lane **from, **to;

    if (table->buckets == LANE_SEGMENT)
        return;
    KLANE_MARK("lane table shrinks");
    if (table->buckets == table->mask + 1)
        table->mask /= 2;
    last = --table->buckets;
    from = bucket_at(table, last);
    to = bucket_at(table, last & table->mask);
    while (*to != NULL)
        to = &(*to)->table_next;
    *to = *from;
    *from = NULL;
    if (last % LANE_SEGMENT == 0) {
        free(table->segments[last / LANE_SEGMENT]);
        table->segments[last / LANE_SEGMENT] = NULL;
    }
}

static uint64_t name_hash(const struct lane_table *table, const struct lane_name *name)
{
    /* Partitions have the same keys: each has a seed of its own. */
    uint64_t seed = table->seed ^ ((uintptr_t)name->partition * 0x9e3779b97f4a7c15U);

    /* Only LANE_OF_KEY goes by the key; records of the others may have different ones. */
    if (name->kind != LANE_OF_KEY)
        return hash_bytes(&name->kind, sizeof(name->kind), seed);
    return hash_bytes(name->key, name->key_size, seed);
}

/* The bytes that name a lane, as its first slot carries them. */
static const void *lane_key(const struct lane *lane, uint32_t *size)
{
    const struct klane_slot *slot = lane->first;

    if (slot->record.has & SLOT_HAS_LANE_KEY) {
        *size = slot->record.lane_key_size;
        return slot->bytes + slot->record.key_size + slot->record.value_size +
               slot->record.headers_size;
    }
    *size = slot->record.key_size;
    return slot->bytes;
}

static bool lane_is(const struct lane *lane, const struct lane_name *name, uint64_t hash)
{
    const void *key;
    uint32_t key_size;

    if (lane->hash != hash || lane->partition != name->partition || lane->kind != name->kind)
        return false;
    if (name->kind != LANE_OF_KEY)
        return true;
    key = lane_key(lane, &key_size);
    return key_size == name->key_size && memcmp(key, name->key, key_size) == 0;
}

struct lane *lane_find(const struct lane_table *table, const struct lane_name *name,
                       uint64_t *hash)
{
    struct lane *lane;

    *hash = name_hash(table, name);
    for (lane = *bucket_of(table, *hash); lane != NULL; lane = lane->table_next)
        if (lane_is(lane, name, *hash))
            return lane;
    return NULL;
}

struct lane *lane_create(struct lane_table *table, struct slab *slab,
                         const struct lane_name *name, uint64_t hash)
{
    uint8_t size_class;
    struct lane **bucket, *lane = slab_alloc(slab, sizeof(*lane), &size_class);

    if (lane == NULL)
        return NULL;
    *lane = (struct lane){
        .hash = hash,
        .partition = name->partition,
        .head = {HEAP_NOWHERE},
        .timer = {HEAP_NOWHERE},
        .kind = (uint8_t)name->kind,
        .size_class = size_class,
    };
    if (name->kind == LANE_OF_RECORD) {
        table->alone++;
        return lane;
    }
    bucket = bucket_of(table, hash);
    lane->table_next = *bucket;
    *bucket = lane;
    if (++table->lanes > table->buckets)
        split_one(table);
    return lane;
}

void lane_destroy(struct lane_table *table, struct slab *slab, struct lane *lane)
{
    struct lane **link;

    KLANE_ASSERT(lane->first == NULL);
    KLANE_ASSERT(lane->held == NULL);
    if (lane->kind == LANE_OF_RECORD) {
        table->alone--;
    } else {
        link = bucket_of(table, lane->hash);
        while (*link != lane)
            link = &(*link)->table_next;
        *link = lane->table_next;
        if (--table->lanes < table->buckets / SHRINK_BELOW)
            merge_one(table);
    }
    slab_free(slab, lane, lane->size_class);
}

/* ---- one lane ---------------------------------------------------------------------------- */

bool lane_append(struct lane *lane, struct klane_slot *slot)
{
    struct klane_slot *tail = lane->last;

    chain_init(&slot->chain);
    slot->control.lane = lane;
    slot->control.next = NULL;
    slot->control.state = SLOT_QUEUED;
    lane->last = slot;
    lane->count++;
    if (tail == NULL) {
        lane->first = slot;
        return true;
    }
    tail->control.next = slot;
    if (chain_append(&tail->chain, &slot->chain))
        return false;
    KLANE_MARK("append finds the tail finished, its outcome still under way");
    return true;
}

struct klane_slot *lane_take_finished(struct lane *lane)
{
    struct klane_slot *slot = lane->first;

    if (slot == NULL || slot->control.state != SLOT_FINISHED)
        return NULL;
    lane->first = slot->control.next;
    if (lane->first == NULL)
        lane->last = NULL;
    lane->count--;
    return slot;
}

/* Ends the list before slot, whose predecessor is given (NULL: slot is the first). */
static struct klane_slot *list_end_before(struct lane *lane, struct klane_slot *predecessor,
                                          struct klane_slot *slot)
{
    struct klane_slot *taken;

    for (taken = slot; taken != NULL; taken = taken->control.next)
        lane->count--;
    lane->last = predecessor;
    if (predecessor == NULL)
        lane->first = NULL;
    else
        predecessor->control.next = NULL;
    return slot;
}

struct klane_slot *lane_take_back(struct lane *lane)
{
    struct klane_slot *slot, *predecessor = NULL;

    if (lane->held != NULL) {
        for (slot = lane->first; slot != lane->held; slot = slot->control.next)
            predecessor = slot;
        lane->held = NULL;
        return list_end_before(lane, predecessor, slot);
    }
    for (slot = lane->first; slot != NULL && slot->control.next != NULL;
         slot = slot->control.next) {
        struct klane_slot *next = slot->control.next;

        if (chain_cut(&slot->chain, &next->chain))
            return list_end_before(lane, slot, next);
        KLANE_MARK("cut finds the link passed on");
    }
    return NULL;
}

struct klane_slot *lane_head(const struct lane *lane, const struct klane_assignment *assignment)
{
    struct klane_slot *slot = lane->first;

    while (slot != NULL && slot->record.assignment != assignment)
        slot = slot->control.next;
    return slot;
}

#ifdef KLANE_TESTING
void lane_table_verify(const struct lane_table *table)
{
    uint32_t lanes = 0;

    KLANE_ASSERT(table->buckets > table->mask);
    KLANE_ASSERT(table->buckets < 2 * (table->mask + 1));
    for (uint32_t i = 0; i < table->buckets; i++) {
        for (const struct lane *lane = *bucket_at(table, i); lane; lane = lane->table_next) {
            uint32_t count = 0;

            for (const struct klane_slot *slot = lane->first; slot; slot = slot->control.next)
                count++;
            KLANE_ASSERT(count > 0);
            KLANE_ASSERT(count == lane->count);
            KLANE_ASSERT(bucket_of(table, lane->hash) == bucket_at(table, i));
            lanes++;
        }
    }
    KLANE_ASSERT(lanes == table->lanes);
}
#endif
