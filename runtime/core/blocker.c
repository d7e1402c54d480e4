/* SPDX-License-Identifier: Apache-2.0 */
#include "core/blocker.h"

#include "core/lane.h"
#include "core/parking.h"

static const struct klane_slot *slot_at(const struct offsets *offsets, int64_t offset)
{
    const struct heap *heads = &offsets->heads;
    uint32_t sequence = offsets->first;
    const struct klane_slot *slot = offsets_in_ring(offsets, &sequence);

    if (slot != NULL && slot->record.offset == offset)
        return slot;
    return heads->count > 0 && heads->entries[0].value == offset
               ? lane_of_head(heads->entries[0].node)->first
               : NULL;
}

bool core_blocker(const struct klane_assignment *assignment, struct core_blocker *blocker)
{
    const struct heap *parked = &assignment->parking.parked;

    if (assignment_state(assignment) >= ASSIGNMENT_SETTLING)
        return false;
    *blocker = (struct core_blocker){.offset = assignment_base(assignment)};
    blocker->slot = slot_at(&assignment->offsets, blocker->offset);
    if (blocker->slot == NULL && parked->count > 0 && parked->entries[0].value == blocker->offset)
        blocker->parked = parked_of_next(parked->entries[0].node);
    return blocker->slot != NULL || blocker->parked != NULL ||
           blocker->offset < assignment->offsets.frontier;
}
