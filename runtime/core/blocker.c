/* SPDX-License-Identifier: Apache-2.0 */
#include "core/blocker.h"

#include "base/assert.h"
#include "core/internal.h"
#include "core/parked.h"

static struct klane_slot *slot_at(const struct offsets *offsets, int64_t offset)
{
    const struct heap *heads = &offsets->heads;
    uint32_t sequence = offsets->first;
    struct klane_slot *slot = offsets_in_ring(offsets, &sequence);

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

bool core_lane_blocker(const struct core *core, const struct klane_assignment *assignment,
                       const struct lane_name *name, struct core_blocker *blocker)
{
    uint64_t hash, fingerprint = parked_fingerprint(assignment, name, 0);
    const struct lane *lane = lane_find(&core->lanes, name, &hash);
    struct parked *parked = parked_find(core, assignment, fingerprint, name->kind);

    if (assignment_state(assignment) >= ASSIGNMENT_SETTLING)
        return false;
    *blocker = (struct core_blocker){.slot = lane == NULL ? NULL : lane_head(lane, assignment)};
    if (blocker->slot != NULL) {
        blocker->offset = blocker->slot->record.offset;
        return true;
    }
    if (parked == NULL || !parked_stands_for(parked, name, parked->end - 1))
        return false;
    blocker->parked = parked;
    blocker->offset = parked->next;
    return true;
}

/* ---- by hand ----------------------------------------------------------------------------- */

static struct klane_slot *in_lane(const struct lane *lane, int64_t offset,
                                  const struct klane_assignment *assignment)
{
    struct klane_slot *slot = lane_head(lane, assignment);

    while (slot != NULL && slot->record.offset != offset)
        slot = slot->control.next;
    return slot;
}

static struct klane_slot *in_memory(const struct klane_assignment *assignment, int64_t offset)
{
    const struct offsets *offsets = &assignment->offsets;
    uint32_t sequence = offsets->first;
    struct klane_slot *slot;

    while ((slot = offsets_in_ring(offsets, &sequence)) != NULL)
        if (slot->record.offset == offset)
            return slot;
    for (uint32_t i = 0; i < offsets->heads.count; i++) {
        slot = in_lane(lane_of_head(offsets->heads.entries[i].node), offset, assignment);
        if (slot != NULL)
            return slot;
    }
    return NULL;
}

bool core_unfinished_at(const struct klane_assignment *assignment, int64_t offset,
                        struct core_blocker *blocker)
{
    const struct heap *entries = &assignment->parking.parked;

    if (assignment_state(assignment) >= ASSIGNMENT_SETTLING)
        return false;
    *blocker = (struct core_blocker){.offset = offset, .slot = in_memory(assignment, offset)};
    for (uint32_t i = 0; blocker->slot == NULL && i < entries->count; i++)
        if (entries->entries[i].value == offset)
            blocker->parked = parked_of_next(entries->entries[i].node);
    return blocker->parked != NULL ||
           (blocker->slot != NULL && blocker->slot->control.state != SLOT_FINISHED);
}

bool core_waits(const struct klane_slot *slot)
{
    return slot->control.state == SLOT_WAITING || slot->control.state == SLOT_SCHEDULED;
}

bool core_wait_ends(struct core *core, struct klane_slot *slot)
{
    KLANE_ASSERT(core_waits(slot));
    if (core_is_held(core, slot))
        return false;
    slot->control.crashes = 0;
    slot_due_now(slot);
    heap_set(&core->timers, &slot->control.lane->timer, core->now_ms);
    return true;
}

void core_wait_is_over(struct core *core, struct klane_slot *slot)
{
    KLANE_ASSERT(core_waits(slot));
    heap_remove(&core->timers, &slot->control.lane->timer);
    slot->control.lane->held = NULL;
}

void core_parked_wait_ends(struct core *core, struct parked *parked)
{
    if (heap_has(&parked->timer))
        heap_remove(&core->parked_timers, &parked->timer);
    parked->due_ms = parked->due_wall_ms = 0;
    parked->crashes = 0;
    parked_fit_check(parked);
}

void core_parked_finish(struct core *core, struct parked *parked, bool is_skipped)
{
    struct klane_assignment *assignment = parked->assignment;

    if (parked->takes_part)
        parked_leave(core, parked);
    parked_set_next(parked, parked->next + 1);
    if (parked->next < parked->end)
        core_parked_wait_ends(core, parked);
    else
        parked_remove(core, parked);
    commit_mark(&core->commit, assignment);
    core->commit.finished++;
    if (is_skipped)
        core->counts.skipped++;
    else
        core->counts.done++;
}
