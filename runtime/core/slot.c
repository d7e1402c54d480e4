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

/* What few records have. */
static void put_behind(struct klane_slot *slot, unsigned char *end, const void *lane_key,
                       uint32_t lane_key_size, uint64_t weight)
{
    if (lane_key != NULL) {
        slot->record.has |= SLOT_HAS_LANE_KEY;
        end = put(end, lane_key, lane_key_size);
    }
    if (weight > 0) {
        slot->record.has |= SLOT_HAS_WEIGHT;
        slot->record.is_paid = slot->control.is_plain = false;
        put(end, &weight, sizeof(weight));
    }
}

struct klane_slot *slot_create(struct slab *slab, const struct source_record *record,
                               const void *lane_key, uint32_t lane_key_size, uint64_t weight)
{
    uint8_t size_class;
    struct klane_slot *slot =
        slab_alloc(slab, slot_size_of(record, lane_key_size, weight), &size_class);
    unsigned char *end;

    if (slot == NULL)
        return NULL;
    slot->back.notice = NULL;
    slot->back.token = 0;
    slot->back.passed = false;
    slot->control.size_class = size_class;
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
    slot->record.lane_key_size = lane_key_size;
    slot->record.attempt = 1;
    slot->record.has = (uint8_t)((record->key != NULL ? SLOT_HAS_KEY : 0) |
                                 (record->value != NULL ? SLOT_HAS_VALUE : 0));
    slot->record.is_paid = true;
    end = put(slot->bytes, record->key, record->key_size);
    end = put(end, record->value, record->value_size);
    end = put(end, record->headers, record->headers_size);
    if (lane_key != NULL || weight > 0)
        put_behind(slot, end, lane_key, lane_key_size, weight);
    return slot;
}

uint64_t slot_weight(const struct klane_slot *slot)
{
    uint64_t weight = 0;

    if (slot->record.has & SLOT_HAS_WEIGHT)
        memcpy(&weight, slot->bytes + (slot_size(slot) - sizeof(*slot) - sizeof(weight)),
               sizeof(weight));
    return weight;
}
