/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator may ask for: hold and release, end or retry what waits, commit now. Control
 * does it, between two rounds.
 *
 * Upholds: no order touches a record that runs, or is about to; what is ended by hand is finished
 * the same way as what a handler ends, or a completion. */
#include "base/clock.h"
#include "core/blocker.h"
#include "engine/engine.h"
#include "engine/notice.h"

#include <stdlib.h>
#include <string.h>

/* ---- hold and release -------------------------------------------------------------------- */

struct hold_order {
    const char *topic;
    const void *key;
    uint32_t key_size;
};

static klane_err_t hold(struct klane_runtime *runtime, struct klane_assignment *assignment,
                        void *with)
{
    const struct hold_order *order = with;

    (void)assignment;
    if (!core_hold(&runtime->control.core, order->topic, order->key, order->key_size))
        return KLANE_ERR_NOMEM;
    control_recall(runtime);
    return KLANE_OK;
}

static klane_err_t release(struct klane_runtime *runtime, struct klane_assignment *assignment,
                           void *with)
{
    const struct hold_order *order = with;

    (void)assignment;
    return core_release(&runtime->control.core, order->topic, order->key, order->key_size)
               ? KLANE_OK
               : KLANE_ERR_NOT_FOUND;
}

static klane_err_t ask_hold(struct klane_runtime *runtime, const char *topic, const void *key,
                            size_t key_size, question_fn answer)
{
    struct hold_order order = {topic, key, (uint32_t)key_size};
    struct question question = {.answer = answer, .with = &order};

    if (runtime == NULL || (key != NULL && topic == NULL) || (key == NULL && key_size > 0) ||
        key_size > UINT32_MAX)
        return KLANE_ERR_INVALID;
    return question_ask(runtime, &question);
}

klane_err_t klane_hold(struct klane_runtime *runtime, const char *topic, const void *key,
                       size_t key_size)
{
    return ask_hold(runtime, topic, key, key_size, hold);
}

klane_err_t klane_release(struct klane_runtime *runtime, const char *topic, const void *key,
                          size_t key_size)
{
    return ask_hold(runtime, topic, key, key_size, release);
}

/* ---- resolve ----------------------------------------------------------------------------- */

struct resolve_order {
    int64_t offset;
    enum klane_outcome outcome;
    const char *reason;
};

static klane_err_t resolve_parked(struct klane_runtime *runtime, struct parked *parked,
                                  const struct resolve_order *order)
{
    struct core *core = &runtime->control.core;
    struct klane_assignment *assignment = parked->assignment;

    if (order->outcome == KLANE_DEAD_LETTER)
        return KLANE_ERR_STATE; /* it is not in memory */
    if (order->outcome == KLANE_RETRY)
        return core_parked_wait_ends(core, parked) ? KLANE_OK : KLANE_ERR_STATE;
    core_parked_finish(core, parked, order->outcome == KLANE_SKIP);
    if (order->outcome == KLANE_SKIP)
        control_event(runtime, KLANE_EVENT_SKIPPED, KLANE_OK, assignment, order->offset, 0,
                      order->reason);
    return KLANE_OK;
}

/* Its handler has said that others will finish it: this is one of them. What a dead letter's place
 * will call is left to that. */
static klane_err_t resolve_later(struct klane_runtime *runtime, const struct klane_slot *slot,
                                 const struct resolve_order *order)
{
    klane_token_t token =
        slot->record.has & SLOT_HAS_LETTER ? 0 : tokens_of(&runtime->tokens, slot);

    if (token == 0)
        return KLANE_ERR_BUSY;
    return klane_finish(runtime, token, order->outcome, -1, order->reason) == KLANE_OK
               ? KLANE_OK
               : KLANE_ERR_BUSY;
}

static klane_err_t resolve_slot(struct klane_runtime *runtime, struct klane_slot *slot,
                                const struct resolve_order *order)
{
    struct core *core = &runtime->control.core;
    bool is_letter = (slot->record.has & SLOT_HAS_LETTER) != 0, was_tried;

    if (order->outcome == KLANE_DEAD_LETTER && route_of(runtime, slot)->dead_letter == NULL)
        return KLANE_ERR_STATE;
    if (!core_waits(slot))
        return resolve_later(runtime, slot, order);
    if (order->outcome == KLANE_RETRY || (order->outcome == KLANE_DEAD_LETTER && is_letter))
        return core_wait_ends(core, slot) ? KLANE_OK : KLANE_ERR_STATE;
    was_tried = slot->control.state == SLOT_WAITING;
    core_wait_is_over(core, slot);
    slot->control.crashes = 0;
    slot->back.outcome = (uint8_t)slot_outcome(runtime, slot, order->outcome);
    if (is_letter)
        slot->back.outcome = SLOT_SKIPPED; /* it was not kept */
    slot->back.passed = false;
    notice_set(slot, order->outcome, -1, order->reason);
    control_came_back(runtime, slot);
    /* It waits on, as a dead letter, and no handler has had it this time. */
    if (order->outcome == KLANE_DEAD_LETTER && !was_tried && slot->record.has & SLOT_HAS_LETTER)
        slot->back.notice->attempts--;
    return KLANE_OK;
}

static klane_err_t resolve(struct klane_runtime *runtime, struct klane_assignment *assignment,
                           void *with)
{
    const struct resolve_order *order = with;
    struct core_blocker found;

    if (!core_unfinished_at(assignment, order->offset, &found))
        return KLANE_ERR_NOT_FOUND;
    /* Whoever has the partition next decides. */
    if (!assignment_may_start(assignment))
        return KLANE_ERR_STATE;
    if (found.slot != NULL)
        return resolve_slot(runtime, found.slot, order);
    return found.parked == NULL ? KLANE_ERR_BUSY : resolve_parked(runtime, found.parked, order);
}

klane_err_t klane_resolve(struct klane_runtime *runtime, const char *topic, int32_t partition,
                          int64_t offset, enum klane_outcome outcome, const char *reason)
{
    struct resolve_order order = {offset, outcome, reason};
    struct question question = {
        .topic = topic, .partition = partition, .answer = resolve, .with = &order};

    if (runtime == NULL || topic == NULL ||
        (outcome != KLANE_DONE && outcome != KLANE_RETRY && outcome != KLANE_SKIP &&
         outcome != KLANE_DEAD_LETTER))
        return KLANE_ERR_INVALID;
    return question_ask(runtime, &question);
}

/* ---- commit ------------------------------------------------------------------------------ */

struct commit_order {
    bool is_begun;
    uint64_t marks;
    uint32_t failures;
    uint32_t forgotten;
};

static klane_err_t committed(struct klane_runtime *runtime, struct klane_assignment *assignment,
                             void *with)
{
    struct commit *commit = &runtime->control.core.commit;
    struct commit_order *order = with;

    (void)assignment;
    if (!order->is_begun) {
        control_collect(runtime);
        *order = (struct commit_order){true, commit->marks, commit->failures, commit->forgotten};
    }
    if (commit->forgotten != order->forgotten)
        return KLANE_ERR_FENCED;
    if (commit->failures != order->failures) {
        /* What failed is dirty again, by a later mark. */
        order->marks = commit->marks;
        order->failures = commit->failures;
    }
    if (commit_is_answered(commit, order->marks))
        return KLANE_OK;
    if (!commit->out)
        commit_hurry(commit);
    return QUESTION_WAITS;
}

klane_err_t klane_commit(struct klane_runtime *runtime, int64_t timeout_ms)
{
    struct commit_order order = {.is_begun = false};
    struct question question = {.answer = committed, .with = &order, .deadline_ms = INT64_MAX};

    if (runtime == NULL)
        return KLANE_ERR_INVALID;
    if (timeout_ms >= 0)
        question.deadline_ms = clock_after(clock_now_ms(), timeout_ms);
    return question_ask(runtime, &question);
}
