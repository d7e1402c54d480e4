/* SPDX-License-Identifier: Apache-2.0 */
/* The control thread: everything that was decided in the core happens here.
 *
 * Upholds: it waits for no broker, disk or handler; a round that found nothing to do ends in
 * poll(2), with the bell armed before the last look. */
#include "engine/engine.h"

#include "base/assert.h"
#include "base/clock.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

/* Rounds between two publications of the statistics while control does not sleep. */
#define PUBLISH_ROUNDS 16

/* When the source is asked again for what there was no memory for. */
#define REFUSED_AGAIN_MS 50

/* How long an unanswered commit goes without a word. */
#define COMMIT_ALARM_MS 10000

/* ---- what came back ---------------------------------------------------------------------- */

/* It is finished otherwise than by its handler. */
static void tell_finished(struct klane_runtime *runtime, const struct klane_slot *slot)
{
    const struct slot_notice *notice = slot->back.notice;
    bool is_letter = slot->back.outcome == SLOT_DONE;

    if (!assignment_counts(slot->record.assignment) || runtime_state(runtime) != RUNTIME_RUNNING)
        return;
    control_event(runtime, is_letter ? KLANE_EVENT_DEAD_LETTER : KLANE_EVENT_SKIPPED, KLANE_OK,
                  slot->record.assignment, slot->record.offset,
                  is_letter ? notice->attempts : slot->record.attempt,
                  notice != NULL && notice->reason[0] != '\0' ? notice->reason : NULL);
}

/* The next attempt begins anew. */
static int64_t failed(struct klane_runtime *runtime, struct klane_slot *slot)
{
    /* Relaxed: control alone writes it, and hands the slot over before it is read again. */
    atomic_store_explicit(&slot->back.overrun, false, memory_order_relaxed);
    return slot_failed(runtime, slot);
}

void control_came_back(struct klane_runtime *runtime, struct klane_slot *slot)
{
    struct control *control = &runtime->control;
    bool was_letter = (slot->record.has & SLOT_HAS_LETTER) != 0;
    int64_t retry_ms = 0;

    if (slot_frees_state(slot)) {
        core_state_freed(&control->core, slot, control->now_ms);
        return;
    }
    if (slot->back.outcome == SLOT_RETRY || slot->back.outcome == SLOT_DEAD_LETTER)
        retry_ms = failed(runtime, slot);
    if (slot->back.outcome == SLOT_SKIPPED || (slot->back.outcome == SLOT_DONE && was_letter))
        tell_finished(runtime, slot);
    if (slot->back.outcome < SLOT_RETRY || !(slot->record.has & SLOT_HAS_LETTER)) {
        free(slot->back.notice);
        slot->back.notice = NULL;
    }
    if (slot->back.token != 0)
        tokens_free(&runtime->tokens, slot->back.token - 1);
    core_came_back(&control->core, slot, retry_ms, control->now_ms);
}

static void prefetch_two_lines(const void *first)
{
    __builtin_prefetch(first, 1);
    __builtin_prefetch((const char *)first + CACHE_LINE, 1);
}

/* What is to be looked at soon: the next slot, which is near by now, has its lane fetched, and the
 * one after it is fetched itself. Returns the latter. */
static struct mail *prefetch(struct mail *next)
{
    struct mail *after;

    if (next == NULL)
        return NULL;
    prefetch_two_lines(slot_of_mail(next)->control.lane);
    after = mailbox_next(next);
    if (after != NULL)
        prefetch_two_lines(slot_of_mail(after));
    return after;
}

void control_collect(struct klane_runtime *runtime)
{
    struct mail *mail = mailbox_collect(&runtime->outcomes);
    struct mail *next = mail == NULL ? NULL : mailbox_next(mail);

    while (mail != NULL) {
        /* Before the slot is given away, and so that what is to come is fetched meanwhile. */
        struct mail *after = prefetch(next);

        control_came_back(runtime, slot_of_mail(mail));
        mail = next;
        next = after;
    }
}

/* Once around the ring: the order of what stays is kept. */
static void filter_ring(struct klane_runtime *runtime, batch_stays_fn stays)
{
    for (uint32_t left = ready_count(&runtime->ready); left > 0; left--) {
        struct klane_slot *slot = ready_pop(&runtime->ready);

        if (slot != NULL)
            slot = batch_filter(runtime, slot, stays);
        if (slot != NULL)
            ready_push(&runtime->ready, slot);
    }
    idle_wake_one(&runtime->idle);
}

static bool may_start(const struct klane_runtime *runtime, const struct klane_slot *slot)
{
    (void)runtime;
    return slot_frees_state(slot) || assignment_may_start(slot->record.assignment);
}

void control_reclaim(struct klane_runtime *runtime)
{
    filter_ring(runtime, may_start);
}

static bool is_not_held(const struct klane_runtime *runtime, const struct klane_slot *slot)
{
    return !core_is_held(&runtime->control.core, slot);
}

void control_recall(struct klane_runtime *runtime)
{
    filter_ring(runtime, is_not_held);
    control_collect(runtime);
}

/* ---- what is to be done ------------------------------------------------------------------ */

/* What is ready by itself, and batches that were gathered, by turns. */
static struct klane_slot *next_by_turns(struct klane_runtime *runtime)
{
    struct control *control = &runtime->control;
    struct core *core = &control->core;
    /* What waits beside it would else be handed over before. */
    bool is_wanted = core->ready.lanes > 0 || ready_is_low(&runtime->ready);
    bool is_turn_of_batches = control->is_turn_of_batches;
    struct klane_slot *slot;

    control->is_turn_of_batches = !is_turn_of_batches;
    slot = is_turn_of_batches ? core_next_batch(core, is_wanted) : core_next_ready(core);
    if (slot != NULL)
        return slot;
    return is_turn_of_batches ? core_next_ready(core) : core_next_batch(core, is_wanted);
}

static struct klane_slot *next_slot(struct klane_runtime *runtime)
{
    struct core *core = &runtime->control.core;

    return core->gather.routes == NULL ? core_next_ready(core) : next_by_turns(runtime);
}

static void hand_over(struct klane_runtime *runtime)
{
    struct klane_slot *slot;
    bool pushed = false;

    while (ready_room(&runtime->ready) > 0 && (slot = next_slot(runtime)) != NULL) {
        /* There is room, and control is the only producer. */
        bool fits = ready_push(&runtime->ready, slot);

        KLANE_ASSERT(fits);
        pushed = true;
    }
    if (pushed)
        idle_wake_one(&runtime->idle);
}

static void send_commit(struct klane_runtime *runtime)
{
    struct control *control = &runtime->control;
    struct klane_assignment *each = core_next_commit(&control->core, control->now_ms);
    struct source_commit *commits;
    size_t count = 0;

    if (each == NULL)
        return;
    commits = calloc(control->core.assigned, sizeof(*commits));
    if (commits == NULL) {
        core_committed(&control->core, false, control->now_ms);
        return;
    }
    for (; each != NULL; each = each->committing_next)
        commits[count++] = (struct source_commit){each, each->own, each->committing,
                                                  each->map.text, each->map.mark.size};
    control->commit_alarm_ms = control->now_ms + COMMIT_ALARM_MS;
    runtime->source->ops->commit(runtime->source, commits, count);
    free(commits);
}

static void watch_commit(struct klane_runtime *runtime)
{
    struct control *control = &runtime->control;

    if (!control->core.commit.out || control->now_ms < control->commit_alarm_ms)
        return;
    control->commit_alarm_ms = INT64_MAX;
    observe_log(&runtime->observe, KLANE_LOG_WARNING, "a commit has no answer after %d ms",
                COMMIT_ALARM_MS);
    control_event(runtime, KLANE_EVENT_COMMIT_FAILED, KLANE_ERR_TIMEOUT, NULL, -1,
                  COMMIT_ALARM_MS, "no answer yet");
}

static void settled(struct klane_runtime *runtime, struct klane_assignment *assignment)
{
    struct control *control = &runtime->control;

    control_event(runtime, KLANE_EVENT_REVOKED, KLANE_OK, assignment, assignment->base_final, 0,
                  NULL);
    runtime->source->ops->given_up(runtime->source, assignment->own);
    core_given_up(&control->core, assignment);
}

/* The last of several; the rest is in the statistics. */
static void head_gone(struct klane_runtime *runtime, const struct klane_assignment *assignment)
{
    observe_log(&runtime->observe, KLANE_LOG_WARNING,
                "%s [%" PRId32 "]: the unfinished record at %" PRId64
                " is not in the log any more",
                assignment->partition->topic->name, assignment->partition->number,
                assignment->head_gone.offset);
    control_event(runtime, KLANE_EVENT_HEAD_GONE, KLANE_OK, assignment,
                  assignment->head_gone.offset, (int64_t)assignment->head_gone.fingerprint,
                  "taken by retention or compaction, or the log is another");
}

/* The last of several. */
static void over_budget(struct klane_runtime *runtime, const struct klane_assignment *assignment)
{
    static const char *const whys[] = {
        [OVER_BY_RECORD] = "it is larger than half of what the budget has for records",
        [OVER_BY_WEIGHT] = "its weight is more than the budget has for weights",
        [OVER_BY_PARKED] = "parked lanes fill what the budget has for records",
    };
    const char *what = whys[assignment->over_budget.why];

    observe_log(&runtime->observe, KLANE_LOG_WARNING,
                "%s [%" PRId32 "]: record %" PRId64 " runs all the same: %s (%" PRIu64 " bytes)",
                assignment->partition->topic->name, assignment->partition->number,
                assignment->over_budget.offset, what, assignment->over_budget.bytes);
    control_event(runtime, KLANE_EVENT_OVER_BUDGET, KLANE_OK, assignment,
                  assignment->over_budget.offset, (int64_t)assignment->over_budget.bytes, what);
}

static void crashed(struct klane_runtime *runtime, const struct klane_assignment *assignment)
{
    static const char *const becomes[] = {
        [KLANE_CRASHED_RETRY] = "it runs again",
        [KLANE_CRASHED_BLOCK] = "its key is blocked",
        [KLANE_CRASHED_SKIP] = "it is skipped",
        [KLANE_CRASHED_STOP] = "the runtime stops",
    };
    enum klane_crashed rule = assignment->partition->topic->crashed;
    char text[160];

    snprintf(text, sizeof text,
             "%.60s [%" PRId32 "]: record %" PRId64 " has ended the process; %s",
             assignment->partition->topic->name, assignment->partition->number,
             assignment->crashed.offset, becomes[rule]);
    observe_log(&runtime->observe, KLANE_LOG_WARNING, "%s", text);
    control_event(runtime, KLANE_EVENT_CRASHED, KLANE_OK, assignment, assignment->crashed.offset,
                  assignment->crashed.crashes, becomes[rule]);
    if (rule == KLANE_CRASHED_STOP)
        control_stop(runtime, KLANE_ERR_FATAL, text);
}

static void act_on_hold(struct klane_runtime *runtime, const struct klane_assignment *assignment,
                        bool held)
{
    if (assignment_state(assignment) != ASSIGNMENT_ACTIVE)
        return;
    runtime->source->ops->hold(runtime->source, assignment->own, held);
    control_event(runtime, held ? KLANE_EVENT_HELD : KLANE_EVENT_RELEASED, KLANE_OK, assignment,
                  assignment->offsets.frontier, assignment->slots, NULL);
}

static void act_on_notices(struct klane_runtime *runtime)
{
    struct klane_assignment *assignment;
    enum assignment_notice notice;

    while ((notice = core_next_notice(&runtime->control.core, &assignment)) != 0) {
        switch (notice) {
        case NOTICE_HELD:
        case NOTICE_RELEASED:
            act_on_hold(runtime, assignment, notice == NOTICE_HELD);
            break;
        case NOTICE_SETTLED:
            settled(runtime, assignment);
            break;
        case NOTICE_HEAD_GONE:
            head_gone(runtime, assignment);
            break;
        case NOTICE_OVER_BUDGET:
            over_budget(runtime, assignment);
            break;
        case NOTICE_CRASHED:
            crashed(runtime, assignment);
            break;
        }
    }
}

/* Workers have nothing to do. */
static bool is_starving(const struct klane_runtime *runtime)
{
    return runtime->control.core.ready.all == 0 && ready_is_empty(&runtime->ready);
}

/* Memory is nearly full of what does not get on, or, when workers have nothing to do, of what
 * waits behind handlers that take long: it has to make room for what does not. */
static void relieve(struct klane_runtime *runtime)
{
    struct core *core = &runtime->control.core;
    bool starving = is_starving(runtime);

    core_relieve_waiting(core, runtime->control.now_ms);
    core_relieve_crowd(core, starving, runtime->control.now_ms);
    if (starving)
        core_relieve(core, runtime->control.now_ms);
}

static void watch_end(struct klane_runtime *runtime)
{
    struct control *control = &runtime->control;

    if (!core_is_caught_up(&control->core) || control->refused || control->awaits ||
        !routes_all_met(&runtime->routes)) {
        control->caught_up = false;
        return;
    }
    if (control->caught_up)
        return;
    control->caught_up = true;
    control_event(runtime, KLANE_EVENT_CAUGHT_UP, KLANE_OK, NULL, -1, 0, NULL);
    if (runtime->options.stop_when_caught_up)
        control_stop(runtime, KLANE_OK, NULL);
}

/* ---- stop -------------------------------------------------------------------------------- */

void control_stop(struct klane_runtime *runtime, klane_err_t err, const char *message)
{
    struct control *control = &runtime->control;
    struct core *core = &control->core;
    struct klane_assignment *each, *next;
    uint32_t stop_ms = runtime->options.stop_ms;

    if (err != KLANE_OK) {
        observe_log(&runtime->observe, KLANE_LOG_ERROR, "stopping: %s", message);
        control_event(runtime, KLANE_EVENT_FATAL, err, NULL, -1, 0, message);
        control->fatal = true;
    }
    if (control->stopping)
        return;
    control->stopping = true;
    control->stop_deadline_ms = control->now_ms + stop_ms;
    /* Handlers get most of the time, the last commits what is left but for the closing. */
    core_hurry(core, stop_ms - stop_ms / 4, control->stop_deadline_ms - stop_ms / 8,
               control->now_ms);
    for (each = core->assignments; each != NULL; each = next) {
        next = each->next;
        if (assignment_state(each) != ASSIGNMENT_ACTIVE)
            continue;
        fences_close(runtime->fences, each->epoch);
        core_revoke(core, each, control->now_ms);
    }
    control_reclaim(runtime);
}

static void watch_stop(struct klane_runtime *runtime)
{
    struct control *control = &runtime->control;

    /* Relaxed: whoever asks writes to the descriptor afterwards, and control looks again then. */
    if (atomic_load_explicit(&runtime->stop_asked, memory_order_relaxed))
        control_stop(runtime, KLANE_OK, NULL);
    if (atomic_load_explicit(&runtime->worker_refused, memory_order_relaxed) && !control->fatal)
        control_stop(runtime, KLANE_ERR_FATAL, "worker_start returned false");
    if (!control->stopping || control->closing)
        return;
    if (control->core.assigned > 0 && control->now_ms < control->stop_deadline_ms)
        return;
    control->closing = true;
    runtime->source->ops->close(runtime->source);
}

static bool is_over(const struct klane_runtime *runtime)
{
    const struct control *control = &runtime->control;

    return control->closing && (control->closed || control->now_ms >= control->stop_deadline_ms);
}

/* ---- sleep ------------------------------------------------------------------------------- */

/* How many records the source may hand over now. */
static uint32_t intake_room(const struct klane_runtime *runtime)
{
    uint32_t burst = runtime->source->ops->burst;
    uint32_t room = core_intake_room(&runtime->control.core, is_starving(runtime));

    if (runtime->control.stopping)
        return 0;
    return room < burst ? room : burst;
}

/* The latest time at which something has to be looked at. */
static int64_t next_due_ms(const struct klane_runtime *runtime)
{
    const struct control *control = &runtime->control;
    int64_t due_ms = core_next_due_ms(&control->core);
    int64_t source_ms = runtime->source->ops->due_ms(runtime->source);
    int64_t quiet_ms = control->now_ms + runtime->options.commit_interval_ms;
    int64_t questions_ms = questions_due_ms(runtime);

    if (source_ms < due_ms)
        due_ms = source_ms;
    if (questions_ms < due_ms)
        due_ms = questions_ms;
    if (control->stopping && control->stop_deadline_ms < due_ms)
        due_ms = control->stop_deadline_ms;
    if (control->core.commit.out && control->commit_alarm_ms < due_ms)
        due_ms = control->commit_alarm_ms;
    if (control->refused && clock_after(control->now_ms, REFUSED_AGAIN_MS) < due_ms)
        due_ms = clock_after(control->now_ms, REFUSED_AGAIN_MS);
    if (core_is_empty(&control->core))
        return due_ms;
    /* Records are out: slow handlers are looked for, tokens that are over, and outcomes that
     * nobody rang for. */
    if (control->monitor_ms < due_ms)
        due_ms = control->monitor_ms;
    if (control->later_ms < due_ms)
        due_ms = control->later_ms;
    return quiet_ms < due_ms ? quiet_ms : due_ms;
}

/* What is worth waking control for. */
static enum bell_urgency least_urgency(const struct klane_runtime *runtime)
{
    const struct control *control = &runtime->control;
    const struct core *core = &control->core;

    /* Something ends with the next outcome. */
    if (control->stopping || core->draining > 0 || core->trials_on > 0 ||
        core->states.awaited > 0 || (runtime->options.stop_when_caught_up && core->behind == 0))
        return BELL_QUIET;
    /* There is more to hand over, or to take in. */
    if (core->held > 0 || core_has_ready(core) || core->gather.lanes > 0 ||
        core->weights.waiting > 0 || core_is_half_full(core))
        return BELL_WANTED;
    return BELL_URGENT;
}

/* The last look before a sleep, with the bell armed. */
static bool has_news(const struct klane_runtime *runtime)
{
    return !mailbox_is_empty(&runtime->outcomes) || !mailbox_is_empty(&runtime->questions) ||
           ((core_has_ready(&runtime->control.core) || core_has_batch(&runtime->control.core)) &&
            ready_is_low(&runtime->ready));
}

static void sleep_until_due(struct klane_runtime *runtime)
{
    struct control *control = &runtime->control;
    struct pollfd descriptors[2] = {
        {.fd = runtime->bell.descriptor, .events = POLLIN},
        {.fd = runtime->source->ops->descriptor(runtime->source), .events = POLLIN},
    };
    int64_t due_ms, wait_ms;

    bell_arm(&runtime->bell, least_urgency(runtime));
    due_ms = next_due_ms(runtime);
    wait_ms = due_ms - clock_now_ms();
    if (has_news(runtime) || wait_ms <= 0) {
        bell_disarm(&runtime->bell, false);
        return;
    }
    control->sleeps++;
    stats_publish(runtime);
    poll(descriptors, 2, wait_ms > INT32_MAX ? -1 : (int)wait_ms);
    bell_disarm(&runtime->bell, (descriptors[0].revents & POLLIN) != 0);
}

/* ---- the loop ---------------------------------------------------------------------------- */

/* What this round decided has more to it: notices to act on, a pass to begin, a stop, or nothing
 * left to wait for. */
static bool is_unfinished(const struct control *control)
{
    return control->core.notices_first != NULL ||
           (!control->stopping && core_pass_is_due(&control->core)) ||
           (!control->stopping && control->given_up[0] != '\0') ||
           (control->stopping && !control->closing && control->core.assigned == 0);
}

/* Passes have a share of each round, whatever the main flow brings. Returns how many records. */
static size_t sweep(struct klane_runtime *runtime)
{
    const struct klane_source_ops *ops = runtime->source->ops;
    struct klane_assignment *assignment;
    int64_t from;

    if (ops->sweep == NULL || runtime->control.stopping)
        return 0;
    while ((assignment = core_next_pass(&runtime->control.core, &from)) != NULL)
        ops->sweep(runtime->source, assignment->own, from);
    return ops->poll_sweeps(runtime->source, ops->burst);
}

/* One round. True: there may be more to do at once. */
static bool round_of(struct klane_runtime *runtime)
{
    struct control *control = &runtime->control;
    size_t records, swept;

    control->loops++;
    control->now_ms = clock_now_ms();
    core_wall(&control->core, clock_wall_ms() - control->now_ms);
    overrun_look(runtime);
    control_collect(runtime);
    if (control->given_up[0] != '\0' && !control->stopping)
        control_stop(runtime, KLANE_ERR_FATAL, control->given_up);
    core_tick(&control->core, control->now_ms);
    hand_over(runtime);
    relieve(runtime);
    act_on_notices(runtime);
    control->refused = control->awaits = false;
    records = runtime->source->ops->poll(runtime->source, intake_room(runtime));
    swept = sweep(runtime);
    hand_over(runtime);
    watch_end(runtime);
    watch_stop(runtime);
    if (control->now_ms >= control->monitor_ms)
        workers_monitor(runtime);
    act_on_notices(runtime);
    send_commit(runtime);
    watch_commit(runtime);
    questions_answer(runtime);
    if (control->loops % PUBLISH_ROUNDS == 0)
        stats_publish(runtime);
    return records + swept > 0 || !mailbox_is_empty(&runtime->outcomes) || is_unfinished(control);
}

void *control_main(void *argument)
{
    struct klane_runtime *runtime = argument;
    struct control *control = &runtime->control;

    thread_belongs_to(runtime);
    while (!is_over(runtime)) {
        if (!round_of(runtime) && !is_over(runtime))
            sleep_until_due(runtime);
    }
    if (!control->closed)
        observe_log(&runtime->observe, KLANE_LOG_WARNING, "the source did not close in time");
    workers_close(runtime);
    control->now_ms = clock_now_ms();
    control_collect(runtime);
    stats_publish(runtime);
    pthread_mutex_lock(&runtime->lock);
    runtime->err = control->fatal ? KLANE_ERR_FATAL : KLANE_OK;
    /* S1 release: pairs with runtime_state(). */
    atomic_store_explicit(&runtime->state, RUNTIME_STOPPED, memory_order_release);
    /* The last questions: whoever asks looks at the state under the lock. From here on the core
     * belongs to whoever has the lock. */
    questions_answer(runtime);
    pthread_cond_broadcast(&runtime->state_changed);
    pthread_mutex_unlock(&runtime->lock);
    return NULL;
}
