/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trial.h"

#include "base/assert.h"
#include "base/clock.h"
#include "core/internal.h"

/* How long the log, and a batch, are waited for. */
#define STEP_MS 1000

/* Before, no worker goes on with what came in by itself. */
static void set_asks(struct klane_assignment *assignment, bool asks)
{
    /* Relaxed: slot_is_paid(). Slots that it is asked for are published afterwards. */
    atomic_store_explicit(&assignment->asks, asks, memory_order_relaxed);
}

void trial_begin(struct core *core, struct klane_assignment *assignment)
{
    struct trial *trial = &assignment->trial;

    *trial = (struct trial){.step_ms = -1, .until_ms = -1};
    if (core->config.calm_ms == 0 || core->commit.writer.limit < PROGRESS_MAP_HEADER)
        return;
    trial->starts = 1;
    trial->state = TRIAL_ASKS;
    set_asks(assignment, true);
    core->trials++;
    ready_open(&core->ready, assignment->partition, 0);
    commit_mark(&core->commit, assignment);
    commit_hurry(&core->commit);
}

void trial_restore(struct core *core, struct klane_assignment *assignment, uint32_t starts)
{
    struct trial *trial = &assignment->trial;

    if (trial->state == TRIAL_NONE)
        return;
    trial->is_on = starts >= TRIAL_AFTER;
    if (trial->is_on) {
        KLANE_MARK("records are on trial");
        core->trials_on++;
    }
    trial->starts = starts + 1;
}

void trial_end(struct core *core, struct klane_assignment *assignment)
{
    struct trial *trial = &assignment->trial;

    if (trial->state == TRIAL_NONE)
        return;
    trial->state = TRIAL_NONE;
    set_asks(assignment, false);
    core->trials_on -= trial->is_on;
    trial->is_on = false;
    core->trials--;
    ready_open(&core->ready, assignment->partition, READY_ALL);
}

void trial_sent(struct klane_assignment *assignment)
{
    if (assignment->trial.state == TRIAL_ASKS)
        assignment->trial.state = TRIAL_SENT;
}

void trial_answered(struct klane_assignment *assignment, bool acknowledged)
{
    if (assignment->trial.state == TRIAL_SENT)
        assignment->trial.state = acknowledged ? TRIAL_HEARD : TRIAL_ASKS;
}

void trial_back(struct core *core, struct klane_slot *slot)
{
    struct trial *trial = &slot->record.assignment->trial;

    if (!slot->control.on_trial)
        return;
    slot->control.on_trial = false;
    if (core->alone == slot)
        core->alone = NULL;
    /* One that has outlasted its step counts no more. */
    if (trial->out > 0 && slot->control.step == trial->step)
        trial->out--;
}

/* ---- steps ------------------------------------------------------------------------------- */

/* The first of the queue are those that run next: what has crashed before goes behind them, and
 * is only chosen alone. */
static void choose(struct core *core, struct klane_assignment *assignment, int64_t now_ms)
{
    struct ready_queue *queue = &assignment->partition->ready;
    struct trial *trial = &assignment->trial;
    struct lane *lane = queue->list.first, *next;

    trial->chosen = 0;
    for (uint32_t left = queue->count; left > 0 && trial->chosen < TRIAL_BATCH; left--) {
        next = lane->ready_next;
        if (lane->held->control.crashes > 0)
            ready_put_last(lane);
        else
            trial->chosen++;
        lane = next;
    }
    if (queue->count == 0 || (trial->chosen == 0 && core->alone != NULL))
        return;
    if (trial->chosen == 0) {
        KLANE_MARK("a record is tried alone");
        trial->chosen = 1;
        core->alone = queue->list.first->held;
    }
    trial->step = !trial->step;
    lane = queue->list.first;
    for (uint32_t i = 0; i < trial->chosen; i++, lane = lane->ready_next) {
        lane->held->control.on_trial = true;
        lane->held->control.step = trial->step;
    }
    trial->out = trial->chosen;
    trial->state = TRIAL_ASKS;
    trial->step_ms = clock_after(now_ms, STEP_MS);
    commit_mark(&core->commit, assignment);
    commit_hurry(&core->commit);
}

/* The log knows, or has been waited for long enough. */
static void go_on(struct core *core, struct klane_assignment *assignment, int64_t now_ms)
{
    struct trial *trial = &assignment->trial;

    ready_open(&core->ready, assignment->partition, trial->is_on ? trial->chosen : READY_ALL);
    trial->chosen = 0;
    set_asks(assignment, trial->is_on);
    trial->state = TRIAL_RUNS;
    trial->step_ms = clock_after(now_ms, STEP_MS);
}

static void check(struct core *core, struct klane_assignment *assignment, int64_t now_ms)
{
    struct trial *trial = &assignment->trial;

    if (trial->until_ms < 0) {
        trial->until_ms = clock_after(now_ms, core->config.calm_ms);
        trial->step_ms = clock_after(now_ms, STEP_MS);
    }
    if (now_ms >= trial->until_ms) {
        KLANE_MARK("a stay has lasted long enough");
        trial->starts = 1;
        trial_end(core, assignment);
        commit_mark(&core->commit, assignment);
        return;
    }
    if (trial->state == TRIAL_HEARD || (trial->state != TRIAL_RUNS && now_ms >= trial->step_ms)) {
        go_on(core, assignment, now_ms);
        return;
    }
    if (trial->state != TRIAL_RUNS || !trial->is_on || assignment->partition->ready.open > 0)
        return;
    if (trial->out > 0 && now_ms >= trial->step_ms) {
        KLANE_MARK("a batch goes on without what takes long");
        trial->out = 0;
    }
    if (trial->out > 0)
        return;
    choose(core, assignment, now_ms);
}

void trials_check(struct core *core, int64_t now_ms)
{
    struct klane_assignment *each;

    for (each = core->assignments; each != NULL && core->trials > 0; each = each->next)
        if (each->trial.state != TRIAL_NONE)
            check(core, each, now_ms);
}

/* What is ready may be chosen now: it is not one that has to wait for another's. */
static bool may_choose(const struct core *core, const struct klane_assignment *assignment)
{
    return core->alone == NULL ||
           assignment->partition->ready.list.first->held->control.crashes == 0;
}

static int64_t due_ms(const struct core *core, const struct klane_assignment *assignment)
{
    const struct trial *trial = &assignment->trial;

    if (trial->until_ms < 0 || trial->state == TRIAL_HEARD)
        return 0;
    if (trial->state != TRIAL_RUNS)
        return trial->step_ms;
    if (!trial->is_on || assignment->partition->ready.open > 0 ||
        assignment->partition->ready.count == 0)
        return trial->until_ms;
    if (trial->out > 0)
        return trial->step_ms;
    return may_choose(core, assignment) ? 0 : trial->until_ms;
}

int64_t trials_due_ms(const struct core *core)
{
    int64_t least = INT64_MAX;

    if (core->trials == 0)
        return least;
    for (const struct klane_assignment *each = core->assignments; each; each = each->next)
        if (each->trial.state != TRIAL_NONE && due_ms(core, each) < least)
            least = due_ms(core, each);
    return least;
}

/* ---- what ends processes ----------------------------------------------------------------- */

bool trial_lets(struct core *core, struct klane_slot *slot)
{
    struct klane_assignment *assignment = slot->record.assignment;

    if (slot->control.crashes < TRIAL_CRASHES)
        return true;
    KLANE_MARK("a record that ends the process is next");
    assignment->crashed.offset = slot->record.offset;
    assignment->crashed.crashes = slot->control.crashes;
    notice_add(core, assignment, NOTICE_CRASHED);
    if (assignment->partition->topic->crashed == KLANE_CRASHED_RETRY)
        return true;
    trial_back(core, slot);
    return false;
}
