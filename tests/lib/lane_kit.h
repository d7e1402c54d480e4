/* SPDX-License-Identifier: Apache-2.0 */
/* Lanes and slots for tests of the core's parts, without the core. A test's own: one thread. */
#ifndef KLANE_TESTS_LIB_LANE_KIT_H
#define KLANE_TESTS_LIB_LANE_KIT_H

#include "lib/check.h"

#include "base/slab.h"
#include "core/assignment.h"
#include "core/lane.h"

struct lane_kit {
    struct slab slab;
    struct lane_table table;
    struct partition partition;
    struct klane_assignment assignment;
};

static inline void lane_kit_init(struct lane_kit *kit, uint32_t lanes_max, uint64_t seed)
{
    *kit = (struct lane_kit){.partition = {.number = 7}};
    slab_init(&kit->slab, 0);
    assert_true(lane_table_init(&kit->table, lanes_max, seed));
    assignment_init(&kit->assignment, &kit->partition, 1, 0, NULL);
}

static inline void lane_kit_deinit(struct lane_kit *kit)
{
    assert_int_equal(kit->table.table.count, 0);
    assignment_deinit(&kit->assignment);
    lane_table_deinit(&kit->table);
    slab_deinit(&kit->slab);
}

/* A slot of the kit's assignment. */
static inline struct klane_slot *lane_kit_slot(struct lane_kit *kit, int64_t offset,
                                               const void *key, uint32_t key_size)
{
    struct source_record record = {.key = key, .key_size = key_size, .offset = offset};
    struct klane_slot *slot = slot_create(&kit->slab, &record, &(struct core_place){0});

    assert_non_null(slot);
    slot->record.assignment = &kit->assignment;
    slot->record.route = 0;
    return slot;
}

/* The record goes into its lane, found or made. Its slot is SLOT_OUT if it is control's to
 * start, else SLOT_QUEUED. */
static inline struct klane_slot *lane_kit_take_in(struct lane_kit *kit,
                                                  const struct lane_name *name, int64_t offset)
{
    struct klane_slot *slot = lane_kit_slot(kit, offset, name->key, name->key_size);
    struct lane *lane = NULL;
    uint64_t hash = 0;

    if (name->kind != LANE_OF_RECORD)
        lane = lane_find(&kit->table, name, &hash);
    if (lane == NULL)
        lane = lane_create(&kit->table, &kit->slab, name, hash);
    assert_non_null(lane);
    if (lane_append(lane, slot))
        slot->control.state = SLOT_OUT;
    return slot;
}

/* The slot's record is finished; its successor, if any, is out. */
static inline void lane_kit_finish(struct klane_slot *slot)
{
    struct chain_link *next = chain_finish(&slot->chain);

    slot->control.state = SLOT_FINISHED;
    if (next != NULL)
        slot_of_link(next)->control.state = SLOT_OUT;
}

/* The finished prefix leaves the lane, and the offsets (or NULL); an empty lane goes. */
static inline void lane_kit_settle(struct lane_kit *kit, struct lane *lane,
                                   struct offsets *offsets)
{
    struct klane_slot *slot;

    while ((slot = lane_take_finished(lane)) != NULL) {
        if (offsets != NULL) {
            offsets_settle(offsets, slot);
            kit->assignment.slots--;
        }
        slot_destroy(&kit->slab, slot);
    }
    if (lane->first == NULL)
        lane_destroy(&kit->table, &kit->slab, lane);
}

/* Both: the record is finished, and what that settles leaves. */
static inline void lane_kit_end(struct lane_kit *kit, struct klane_slot *slot,
                                struct offsets *offsets)
{
    struct lane *lane = slot->control.lane;

    lane_kit_finish(slot);
    lane_kit_settle(kit, lane, offsets);
}

#endif
