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
    struct klane_slot *slot, *found;

    while ((slot = offsets_in_ring(offsets, &sequence)) != NULL) {
        /* With those that passes have brought behind it. */
        found = lane_head(slot->control.lane, assignment) == slot
                    ? in_lane(slot->control.lane, offset, assignment)
                    : NULL;
        if (found != NULL)
            return found;
    }
    for (uint32_t i = 0; i < offsets->heads.count; i++) {
        found = in_lane(lane_of_head(offsets->heads.entries[i].node), offset, assignment);
        if (found != NULL)
            return found;
    }
    return NULL;
}

/* Several lanes may stand at one offset, which a pass has reached: of one of them it is a record.
 * Those that have records before it in memory are not there yet. NULL: it cannot be told. */
static struct parked *parked_at(const struct klane_assignment *assignment, int64_t offset,
                                uint32_t *count)
{
    const struct heap *entries = &assignment->parking.parked;
    struct parked *found = NULL;

    *count = 0;
    for (uint32_t i = 0; i < entries->count; i++) {
        struct parked *parked = parked_of_next(entries->entries[i].node);

        if (parked->next != offset)
            continue;
        ++*count;
        if (found == NULL || parked->is_unmet || parked->attempts > 0)
            found = parked;
    }
    if (found == NULL || found->slots > 0 ||
        (*count > 1 && !found->is_unmet && found->attempts == 0))
        return NULL;
    return found;
}

bool core_unfinished_at(const struct klane_assignment *assignment, int64_t offset,
                        struct core_blocker *blocker)
{
    uint32_t count = 0;

    if (assignment_state(assignment) >= ASSIGNMENT_SETTLING)
        return false;
    *blocker = (struct core_blocker){.offset = offset, .slot = in_memory(assignment, offset)};
    if (blocker->slot != NULL)
        return blocker->slot->control.state != SLOT_FINISHED;
    blocker->parked = parked_at(assignment, offset, &count);
    return count > 0;
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
    /* What has ended the process was not tried for that. */
    if (slot->control.crashes > 0)
        slot->control.state = SLOT_SCHEDULED;
    slot->control.crashes = 0;
    slot_due_now(slot);
    heap_set(&core->timers, &slot->control.lane->timer, core->now_ms);
    return true;
}

void core_wait_is_over(struct core *core, struct klane_slot *slot)
{
    take_from_timers(core, slot->control.lane);
    slot_due_now(slot);
}

bool core_parked_wait_ends(struct core *core, struct parked *parked)
{
    if (parked->is_held)
        return false;
    parked_waits_no_more(core, parked);
    parked->crashes = 0;
    parked->is_due_now = true;
    parked_fit_check(parked);
    return true;
}

void core_parked_finish(struct core *core, struct parked *parked, bool is_skipped)
{
    struct klane_assignment *assignment = parked->assignment;

    if (parked->takes_part)
        parked_leave(core, parked);
    parked_waits_no_more(core, parked);
    parked_set_next(parked, parked->next + 1);
    if (parked->next < parked->end)
        parked_fit_check(parked);
    else
        parked_remove(core, parked);
    commit_mark(&core->commit, assignment);
    commit_count_finished(&core->commit);
    if (is_skipped)
        core->counts.skipped++;
    else
        core->counts.done++;
}
