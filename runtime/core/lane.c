/* SPDX-License-Identifier: Apache-2.0 */
#include "core/lane.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/slab.h"
#include "core/assignment.h"

#include <string.h>

/* ---- the table --------------------------------------------------------------------------- */

bool lane_table_init(struct lane_table *table, uint32_t lanes_max, uint64_t seed)
{
    *table = (struct lane_table){.seed = seed};
    return table_init(&table->table, lanes_max);
}

void lane_table_deinit(struct lane_table *table)
{
    table_deinit(&table->table);
}

static uint64_t name_hash(const struct lane_table *table, const struct lane_name *name)
{
    /* Partitions have the same keys: each has a seed of its own. */
    uint64_t seed = table->seed ^ name->partition->salt;

    /* Only LANE_OF_KEY goes by the key; records of the others may have different ones. */
    if (name->kind != LANE_OF_KEY)
        return hash_bytes(&name->kind, sizeof(name->kind), seed);
    return hash_bytes(name->key, name->key_size, seed);
}

uint64_t lane_fingerprint(const struct lane_name *name, int64_t offset, uint64_t seed)
{
    if (name->kind == LANE_OF_RECORD)
        return (uint64_t)offset;
    /* What names a lane of one kind may be the key of another. */
    seed += (uint64_t)name->kind;
    if (name->kind == LANE_OF_KEY)
        return hash_bytes(name->key, name->key_size, seed);
    return hash_bytes(&(uint8_t){(uint8_t)name->kind}, 1, seed);
}

static bool lane_is(const struct lane *lane, const struct lane_name *name)
{
    const void *key;
    uint32_t key_size;

    if (lane->partition != name->partition || lane->kind != name->kind)
        return false;
    if (name->kind != LANE_OF_KEY)
        return true;
    key = slot_lane_key(lane->first, &key_size);
    return key_size == name->key_size && memcmp(key, name->key, key_size) == 0;
}

struct lane *lane_find(const struct lane_table *table, const struct lane_name *name,
                       uint64_t *hash)
{
    struct table_node *node;

    *hash = name_hash(table, name);
    for (node = table_first(&table->table, *hash); node != NULL; node = table_next(node))
        if (lane_is(lane_of_node(node), name))
            return lane_of_node(node);
    return NULL;
}

struct lane *lane_create(struct lane_table *table, struct slab *slab,
                         const struct lane_name *name, uint64_t hash)
{
    uint8_t size_class;
    struct lane *lane = slab_alloc(slab, sizeof(*lane), &size_class);

    if (lane == NULL)
        return NULL;
    /* One by one: as a whole it would be cleared by an instruction that takes long to begin. */
    lane->partition = name->partition;
    lane->first = lane->last = lane->held = NULL;
    lane->bytes = 0;
    lane->seen_head = -1;
    lane->count = 0;
    lane->head.place = lane->timer.place = HEAP_NOWHERE;
    lane->kind = (uint8_t)name->kind & 15U;
    lane->has_waited = lane->over_quota = false;
    lane->size_class = size_class;
    if (name->kind == LANE_OF_RECORD)
        table->alone++;
    else
        table_add(&table->table, &lane->node, hash);
    return lane;
}

void lane_destroy(struct lane_table *table, struct slab *slab, struct lane *lane)
{
    KLANE_ASSERT(lane->first == NULL);
    KLANE_ASSERT(lane->held == NULL);
    if (lane->kind == LANE_OF_RECORD)
        table->alone--;
    else
        table_remove(&table->table, &lane->node);
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
    lane->bytes += slot_large_bytes(slot);
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

/* Ends the list before slot, whose predecessor is given (NULL: slot is the first). */
static struct klane_slot *list_end_before(struct lane *lane, struct klane_slot *predecessor,
                                          struct klane_slot *slot)
{
    struct klane_slot *taken;

    for (taken = slot; taken != NULL; taken = taken->control.next) {
        lane->count--;
        lane->bytes -= slot_large_bytes(taken);
    }
    lane->last = predecessor;
    if (predecessor == NULL)
        lane->first = NULL;
    else
        predecessor->control.next = NULL;
    return slot;
}

struct klane_slot *lane_shorten(struct lane *lane, uint32_t keep)
{
    struct klane_slot *slot = lane->first;

    for (uint32_t i = 1; slot != NULL && i < keep; i++)
        slot = slot->control.next;
    for (; slot != NULL && slot->control.next != NULL; slot = slot->control.next) {
        struct klane_slot *next = slot->control.next;

        if (chain_cut(&slot->chain, &next->chain))
            return list_end_before(lane, slot, next);
        KLANE_MARK("cut finds the link passed on");
    }
    return NULL;
}

struct klane_slot *lane_take_back(struct lane *lane)
{
    struct klane_slot *slot, *predecessor = NULL;

    if (lane->held == NULL)
        return lane_shorten(lane, 1);
    for (slot = lane->first; slot != lane->held; slot = slot->control.next)
        predecessor = slot;
    lane->held = NULL;
    return list_end_before(lane, predecessor, slot);
}

#ifdef KLANE_TESTING
static void lane_verify(struct table_node *node, void *context)
{
    const struct lane *lane = lane_of_node(node);
    uint32_t count = 0;

    (void)context;
    for (const struct klane_slot *slot = lane->first; slot; slot = slot->control.next)
        count++;
    KLANE_ASSERT(count > 0);
    KLANE_ASSERT(count == lane->count);
}

void lane_table_verify(const struct lane_table *table)
{
    table_verify(&table->table);
    table_each(&table->table, lane_verify, NULL);
}
#endif
