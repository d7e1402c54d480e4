/* SPDX-License-Identifier: Apache-2.0 */
#include "core/slot.h"

#include "base/slab.h"

#include <string.h>

static unsigned char *put(unsigned char *to, const void *bytes, size_t size)
{
    /* memcpy must not be given NULL, which a missing key or value is. */
    if (size > 0)
        memcpy(to, bytes, size);
    return to + size;
}

__attribute__((noinline)) size_t slot_size_of_more(const struct core_place *place)
{
    return place->lane_key_size + (place->weight > 0 ? sizeof(place->weight) : 0) +
           (place->due_ms > 0 ? sizeof(place->due_ms) : 0) +
           (place->has_state ? sizeof(void **) : 0);
}

/* What few records have. */
static __attribute__((noinline)) void put_behind(struct klane_slot *slot, unsigned char *end,
                                                 const struct core_place *place)
{
    if (place->lane_key != NULL) {
        slot->record.has |= SLOT_HAS_LANE_KEY;
        end = put(end, place->lane_key, place->lane_key_size);
    }
    if (place->weight > 0) {
        slot->record.has |= SLOT_HAS_WEIGHT;
        slot_is_to_ask(slot);
        end = put(end, &place->weight, sizeof(place->weight));
    }
    if (place->due_ms > 0) {
        slot->record.has |= SLOT_HAS_DUE;
        slot_is_to_ask(slot);
        put(end, &place->due_ms, sizeof(place->due_ms));
    }
    if (place->has_state) {
        slot->record.has |= SLOT_HAS_STATE;
        slot_set_state(slot, NULL);
    }
}

struct klane_slot *slot_create(struct slab *slab, const struct source_record *record,
                               const struct core_place *place)
{
    uint8_t size_class;
    struct klane_slot *slot = slab_alloc(slab, slot_size_of(record, place), &size_class);
    unsigned char *end;

    if (slot == NULL)
        return NULL;
    slot->back.notice = NULL;
    slot->back.token = 0;
    slot->back.passed = false;
    atomic_init(&slot->back.overrun, false);
    slot->control.size_class = size_class;
    slot->control.kind = 0;
    slot->control.by_window = false;
    slot->control.crashes = 0;
    slot->control.overdue = false;
    slot->control.on_trial = false;
    slot->control.step = false;
    slot->control.is_plain = true;
    slot->record.offset = record->offset;
    slot->record.timestamp_ms = record->timestamp_ms;
    slot->record.key_size = record->key_size;
    slot->record.value_size = record->value_size;
    slot->record.headers_size = record->headers_size;
    slot->record.lane_key_size = place->lane_key_size;
    slot->record.attempt = 1;
    slot->record.route = place->route;
    slot->record.has = (uint8_t)((record->key != NULL ? SLOT_HAS_KEY : 0) |
                                 (record->value != NULL ? SLOT_HAS_VALUE : 0));
    slot->record.is_paid = true;
    end = put(slot->bytes, record->key, record->key_size);
    end = put(end, record->value, record->value_size);
    end = put(end, record->headers, record->headers_size);
    if (place_has_more(place))
        put_behind(slot, end, place);
    return slot;
}

/* Behind its lane key. */
static unsigned char *weight_of(const struct klane_slot *slot)
{
    return (unsigned char *)(uintptr_t)slot->bytes + slot->record.key_size +
           slot->record.value_size + slot->record.headers_size + slot->record.lane_key_size;
}

static unsigned char *due_of(const struct klane_slot *slot)
{
    return weight_of(slot) + (slot->record.has & SLOT_HAS_WEIGHT ? sizeof(uint64_t) : 0);
}

uint64_t slot_weight(const struct klane_slot *slot)
{
    uint64_t weight = 0;

    if (slot->record.has & SLOT_HAS_WEIGHT)
        memcpy(&weight, weight_of(slot), sizeof(weight));
    return weight;
}

int64_t slot_due_ms(const struct klane_slot *slot)
{
    int64_t due_ms = 0;

    if (slot->record.has & SLOT_HAS_DUE)
        memcpy(&due_ms, due_of(slot), sizeof(due_ms));
    return due_ms;
}

void slot_due_now(struct klane_slot *slot)
{
    const int64_t now = 0;

    if (slot->record.has & SLOT_HAS_DUE)
        memcpy(due_of(slot), &now, sizeof(now));
}

/* Behind all else. */
static unsigned char *state_of(const struct klane_slot *slot)
{
    return (unsigned char *)(uintptr_t)slot + slot_size(slot) - sizeof(void **);
}

void **slot_state_place(const struct klane_slot *slot)
{
    void **state;

    memcpy(&state, state_of(slot), sizeof(state));
    return state;
}

void slot_set_state(struct klane_slot *slot, void **state)
{
    memcpy(state_of(slot), &state, sizeof(state));
}
