/* SPDX-License-Identifier: Apache-2.0 */
/* Slots that come back. Upholds: a record is finished in its assignment's offsets only when every
 * record of its lane before it is; outcomes may arrive in any order. */
#include "base/assert.h"
#include "base/clock.h"
#include "core/internal.h"

void slot_unfinished(struct core *core, const struct klane_slot *slot,
                     const struct head_note *note)
{
    core->counts.not_started++;
    if (!core->config.parks || !parking_unfinished(core, slot, note))
        offsets_abandon(&slot->record.assignment->offsets, slot->record.offset);
}

void slot_gone(struct core *core, struct klane_slot *slot)
{
    struct klane_assignment *assignment = slot->record.assignment;

    KLANE_ASSERT(assignment->slots > 0);
    if (assignment_counts(assignment)) {
        offsets_settle(&assignment->offsets, slot);
        commit_mark(&core->commit, assignment);
    }
    parking_slot_gone(core, slot);
    if (slot->control.overdue)
        assignment->overdue--;
    slot_forget(core, slot);
    assignment_free_if_over(core, assignment);
}

void lane_settle(struct core *core, struct lane *lane, struct cell *cell)
{
    struct klane_slot *slot;

    while ((slot = lane_take_finished(lane)) != NULL)
        slot_gone(core, slot);
    quota_check(core, lane);
    if (lane->first != NULL)
        return;
    lane_destroy(&core->lanes, &core->slab, lane);
    if (cell != NULL)
        states_leave(core, cell);
}

static void wait_until(struct core *core, struct klane_slot *slot, int64_t due_ms)
{
    struct lane *lane = slot->control.lane;

    KLANE_ASSERT(lane->held == NULL);
    slot->control.state = SLOT_WAITING;
    lane->held = slot;
    heap_set(&core->timers, &lane->timer, due_ms);
}

static void wait_for_retry(struct core *core, struct klane_slot *slot, int64_t due_ms)
{
    KLANE_ASSERT(!slot->back.passed);
    slot->back.token = 0;
    wait_until(core, slot, due_ms);
    core->counts.retried++;
}

/* It has to run again, and does here: now, or when its time has come. */
static void run_again(struct core *core, struct klane_slot *slot, int64_t retry_at_ms)
{
    KLANE_ASSERT(slot->back.outcome != SLOT_NOT_STARTED);
    if (slot->back.outcome == SLOT_RETRY)
        wait_for_retry(core, slot, retry_at_ms);
    else
        hold_slot(core, slot);
}

/* It has to run again, and not here. */
static void run_elsewhere(struct core *core, struct klane_slot *slot, int64_t retry_at_ms)
{
    struct head_note note = {.attempts = slot->record.attempt - 1,
                             .crashes = slot->control.crashes};

    if (slot->record.has & SLOT_HAS_LETTER) {
        KLANE_MARK("a dead letter comes back unfinished while its partition drains");
        note = (struct head_note){.attempts = slot_attempts(slot)};
    } else if (slot->back.outcome == SLOT_RETRY) {
        KLANE_MARK("a record is to be retried while its partition drains");
        note = (struct head_note){.attempts = slot->record.attempt, .due_ms = retry_at_ms};
    } else {
        KLANE_MARK("a record comes back unfinished while its partition drains");
    }
    slot_unfinished(core, slot, &note);
}

/* A batch has put it back, and its assignment starts nothing any more. Returns what is behind. */
static struct chain_link *put_back_late(struct core *core, struct klane_slot *slot)
{
    KLANE_MARK("a record is put back after its fence");
    slot->back.outcome = SLOT_NOT_STARTED;
    if (assignment_counts(slot->record.assignment))
        run_elsewhere(core, slot, 0);
    else
        core->counts.fenced++;
    slot->control.state = SLOT_FINISHED;
    return chain_finish(&slot->chain);
}

static void count_finished(struct core *core, const struct klane_slot *slot)
{
    if (slot->back.outcome == SLOT_SKIPPED)
        core->counts.skipped++;
    else if (slot->record.has & SLOT_HAS_LETTER)
        core->counts.dead_letters++;
    else
        core->counts.done++;
    commit_count_finished(&core->commit);
}

void core_came_back(struct core *core, struct klane_slot *slot, int64_t retry_ms, int64_t now_ms)
{
    struct klane_assignment *assignment = slot->record.assignment;
    struct partition *partition = assignment->partition;
    struct cell *cell = cell_of_slot(slot);
    struct lane *lane = slot->control.lane;
    struct chain_link *next = NULL;

    if (!slot->control.is_plain) {
        weights_pay_back(core, slot);
        trial_back(core, slot);
        if (slot->back.outcome < SLOT_NOT_STARTED)
            slot->control.crashes = 0;
    }
    if (slot->back.outcome >= SLOT_RETRY && assignment_state(assignment) == ASSIGNMENT_ACTIVE) {
        run_again(core, slot, clock_after(now_ms, retry_ms));
        return;
    }
    if (!assignment_counts(assignment)) {
        KLANE_MARK("a record comes back after its assignment settled");
        core->counts.fenced++;
    } else if (slot->back.outcome >= SLOT_RETRY) {
        run_elsewhere(core, slot, clock_after(now_ms, retry_ms));
    } else {
        count_finished(core, slot);
    }
    slot->control.state = SLOT_FINISHED;
    if (!slot->back.passed)
        next = chain_finish(&slot->chain);
    /* What could not start any more was taken back by its fence, but for what a batch had. */
    while (next != NULL && !assignment_may_start(slot_of_link(next)->record.assignment))
        next = put_back_late(core, slot_of_link(next));
    if (next != NULL)
        hold_slot(core, slot_of_link(next));
    lane_settle(core, lane, cell);
    if (core->draining > 0)
        drain_look(core, partition, now_ms);
}

void slot_crashes(struct core *core, struct klane_slot *slot)
{
    if (slot->record.assignment->partition->topic->crashed != KLANE_CRASHED_SKIP) {
        wait_until(core, slot, INT64_MAX);
        return;
    }
    slot->back.outcome = SLOT_SKIPPED;
    slot->back.passed = false;
    core_came_back(core, slot, -1, 0);
}
