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

struct klane_slot *slot_create(struct slab *slab, const struct source_record *record,
                               const void *lane_key, uint32_t lane_key_size, uint64_t weight)
{
    uint8_t size_class;
    struct klane_slot *slot =
        slab_alloc(slab, slot_size_of(record, lane_key_size, weight), &size_class);
    unsigned char *end;
    uint8_t has = 0;

    if (slot == NULL)
        return NULL;
    if (record->key != NULL)
        has |= SLOT_HAS_KEY;
    if (record->value != NULL)
        has |= SLOT_HAS_VALUE;
    if (lane_key != NULL)
        has |= SLOT_HAS_LANE_KEY;
    if (weight > 0)
        has |= SLOT_HAS_WEIGHT;
    slot->back.notice = NULL;
    slot->back.token = 0;
    slot->back.passed = false;
    slot->control.size_class = size_class;
    slot->control.overdue = false;
    slot->control.on_trial = false;
    slot->control.crashes = 0;
    slot->control.step = false;
    slot->control.is_plain = weight == 0;
    slot->record.offset = record->offset;
    slot->record.timestamp_ms = record->timestamp_ms;
    slot->record.key_size = record->key_size;
    slot->record.value_size = record->value_size;
    slot->record.headers_size = record->headers_size;
    slot->record.lane_key_size = lane_key_size;
    slot->record.attempt = 1;
    slot->record.has = has;
    slot->record.is_paid = weight == 0;
    end = put(slot->bytes, record->key, record->key_size);
    end = put(end, record->value, record->value_size);
    end = put(end, record->headers, record->headers_size);
    end = put(end, lane_key, lane_key_size);
    put(end, &weight, weight > 0 ? sizeof(weight) : 0);
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

void slot_destroy(struct slab *slab, struct klane_slot *slot)
{
    slab_free(slab, slot, slot->control.size_class);
}
