/* SPDX-License-Identifier: Apache-2.0 */
/* Records that are finished by others than klane's workers: completions, and own threads. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/given.h"
#include "engine/engine.h"
#include "engine/notice.h"

#include <stdlib.h>
#include <time.h>

klane_err_t klane_finish(struct klane_runtime *runtime, klane_token_t token,
                         enum klane_outcome outcome, int64_t delay_ms, const char *reason)
{
    struct klane_slot *slot;
    void *record;
    bool fenced;

    if (runtime == NULL || (outcome != KLANE_DONE && outcome != KLANE_RETRY &&
                            outcome != KLANE_SKIP && outcome != KLANE_DEAD_LETTER))
        return KLANE_ERR_INVALID;
    if (runtime_forked(runtime))
        return KLANE_ERR_FORKED;
    if (tokens_claim(&runtime->tokens, token, &record) == TOKENS_STALE)
        return KLANE_ERR_STALE;
    slot = record;
    fenced = assignment_is_fenced(slot->record.assignment);
    slot->back.outcome = (uint8_t)slot_outcome(runtime, slot, outcome);
    if (reason != NULL || outcome == KLANE_RETRY)
        notice_set(slot, outcome, delay_ms, reason);
    if (tokens_complete(&runtime->tokens, token))
        slot_report(runtime, slot);
    return fenced ? KLANE_ERR_FENCED : KLANE_OK;
}

bool klane_token_cancelled(struct klane_runtime *runtime, klane_token_t token)
{
    uint32_t epoch;

    if (runtime == NULL || runtime_forked(runtime) ||
        !tokens_tag(&runtime->tokens, token, &epoch))
        return true;
    return !fences_is_open(runtime->fences, epoch);
}

/* ---- own threads ------------------------------------------------------------------------- */

/* What is left until end_ms, -1 if that is never. */
static int64_t left_until(int64_t end_ms)
{
    int64_t left_ms;

    if (end_ms == INT64_MAX)
        return -1;
    left_ms = end_ms - clock_now_ms();
    return left_ms < 0 ? 0 : left_ms;
}

/* Look until there is a slot, the time is over (NULL), or the runtime closes (NULL). */
static struct klane_slot *wait_for_slot(struct klane_runtime *runtime, int64_t end_ms)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    int64_t left_ms = left_until(end_ms);
    struct klane_slot *slot = NULL;
    int seat;

    /* More threads inside than there are seats: these look now and then. */
    while ((seat = idle_seat_take(&runtime->idle)) == -1) {
        slot = ready_pop(&runtime->ready);
        if (slot != NULL || runtime_is_closing(runtime) || left_until(end_ms) == 0)
            return slot;
        nanosleep(&pause, NULL);
    }
    idle_search_begin(&runtime->idle, seat);
    while ((slot = ready_pop(&runtime->ready)) == NULL && !runtime_is_closing(runtime) &&
           left_ms != 0) {
        idle_prepare(&runtime->idle, seat);
        if (!ready_is_empty(&runtime->ready) || runtime_is_closing(runtime))
            idle_cancel(&runtime->idle, seat);
        else
            idle_sleep(&runtime->idle, seat, left_ms);
        left_ms = left_until(end_ms);
    }
    if (idle_search_end(&runtime->idle, seat) && !ready_is_empty(&runtime->ready))
        idle_wake_one(&runtime->idle);
    idle_seat_leave(&runtime->idle, seat);
    return slot;
}

/* The first slot from here on along the chain that may start; NULL: none. */
static struct klane_slot *startable(struct klane_runtime *runtime, struct klane_slot *slot)
{
    if (slot_frees_state(slot)) {
        slot_free_state(slot);
        slot_report(runtime, slot);
        return NULL;
    }
    while (slot != NULL && !assignment_may_start(slot->record.assignment))
        slot = slot_refuse(runtime, slot);
    return slot == NULL || slot_is_paid(slot) ? slot : slot_ask(runtime, slot);
}

klane_err_t klane_take(struct klane_runtime *runtime, struct klane_record *record,
                       size_t record_size, klane_token_t *token, int64_t timeout_ms)
{
    struct klane_record taken;
    int64_t end_ms;
    struct klane_slot *slot;
    bool completed;

    if (runtime == NULL || record == NULL || record_size == 0 || token == NULL)
        return KLANE_ERR_INVALID;
    if (runtime_forked(runtime))
        return KLANE_ERR_FORKED;
    /* Control would wait for itself. */
    if (!runtime_started(runtime) || runtime_is_control(runtime))
        return KLANE_ERR_STATE;
    end_ms = timeout_ms < 0 ? INT64_MAX : clock_after(clock_now_ms(), timeout_ms);
    do {
        slot = ready_pop(&runtime->ready);
        if (slot == NULL)
            slot = wait_for_slot(runtime, end_ms);
        if (slot == NULL)
            return runtime_is_closing(runtime) ? KLANE_ERR_STOPPED : KLANE_ERR_TIMEOUT;
        batch_give_up(runtime, slot);
        slot = startable(runtime, slot);
    } while (slot == NULL);
    slot_left_ring(runtime);
    slot_show(slot, &taken);
    given_answer(record, record_size, &taken, sizeof(taken));
    /* Relaxed: a count for statistics. */
    atomic_fetch_add_explicit(&runtime->taken, 1, memory_order_relaxed);
    slot->back.with = slot;
    slot_later(slot, token);
    /* There is no handler to return: the completion alone reports it, and nobody knows the token
     * yet, so it cannot have come. */
    completed = tokens_returned(&runtime->tokens, tokens_index(*token));
    KLANE_ASSERT(!completed);
    return KLANE_OK;
}
