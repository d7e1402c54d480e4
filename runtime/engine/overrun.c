/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers that run, and asynchronous records that stay unfinished, for longer than their route
 * allows.
 *
 * Upholds: nothing is done to a handler by force; an asynchronous record is claimed by the same
 * rules as klane_finish() claims it, so that one of the two finishes it. */
#include "base/assert.h"
#include "base/clock.h"
#include "engine/engine.h"
#include "engine/notice.h"

#include <inttypes.h>
#include <stdio.h>

/* At the least, and at the most, between two looks through all tokens. */
#define REST_MS_MIN 1
#define REST_MS_MAX 1000

/* ---- handlers ---------------------------------------------------------------------------- */

bool overrun_handler(struct klane_runtime *runtime, struct klane_slot *slot, int64_t elapsed_ms)
{
    const struct route *route = route_of(runtime, slot);
    char message[96];

    if (route->handler_max_ms == 0 || elapsed_ms < route->handler_max_ms)
        return false;
    snprintf(message, sizeof(message),
             "a handler has been running for %" PRId64 " ms, longer than %" PRIu32, elapsed_ms,
             route->handler_max_ms);
    control_event(runtime, KLANE_EVENT_OVERRUN, KLANE_OK, slot->record.assignment,
                  slot->record.offset, elapsed_ms, message);
    if (route->handler_overrun == KLANE_OVERRUN_CANCEL)
        /* Relaxed: advice, as in klane_cancelled(). The slot has not come back, so it is there. */
        atomic_store_explicit(&slot->back.overrun, true, memory_order_relaxed);
    if (route->handler_overrun == KLANE_OVERRUN_STOP)
        slot_stops(runtime, slot, message);
    return true;
}

/* ---- asynchronous records ---------------------------------------------------------------- */

/* A dead letter has all the time there is: it must not be given up once more, and whoever has it
 * answers by the runtime, which must be there as long. */
int64_t overrun_due_ms(const struct klane_runtime *runtime, const struct klane_slot *slot)
{
    const struct route *route = route_of(runtime, slot);

    if (route->later_max_ms == 0 || slot->record.has & SLOT_HAS_LETTER)
        return TOKENS_NEVER;
    return clock_after(clock_now_ms(), route->later_max_ms);
}

/* Control has claimed it: it is finished as its route says. */
static void finish(struct klane_runtime *runtime, klane_token_t token, struct klane_slot *slot,
                   int64_t over_ms)
{
    const struct route *route = route_of(runtime, slot);
    char reason[64];

    snprintf(reason, sizeof(reason), "no answer within %" PRId64 " ms", route->later_max_ms);
    if (assignment_counts(slot->record.assignment) && runtime_state(runtime) == RUNTIME_RUNNING)
        control_event(runtime, KLANE_EVENT_OVERRUN, KLANE_OK, slot->record.assignment,
                      slot->record.offset, route->later_max_ms + over_ms, reason);
    /* Relaxed: advice, as in klane_cancelled(). Its handler may not have returned. */
    atomic_store_explicit(&slot->back.overrun, true, memory_order_relaxed);
    slot->back.outcome = (uint8_t)slot_outcome(runtime, slot, route->later_overrun);
    notice_set(slot, route->later_overrun, -1, reason);
    if (tokens_complete(&runtime->tokens, token))
        slot_report(runtime, slot);
}

/* The least due time that is still to come; INT64_MAX: none is known. */
static int64_t finish_overdue(struct klane_runtime *runtime)
{
    int64_t now_ms = runtime->control.now_ms, next_ms = INT64_MAX, due_ms;
    klane_token_t token;
    uint32_t index = 0;
    void *record;

    while ((token = tokens_next_due(&runtime->tokens, &index, &due_ms)) != 0) {
        if (due_ms > now_ms)
            next_ms = due_ms < next_ms ? due_ms : next_ms;
        else if (tokens_claim(&runtime->tokens, token, &record) == TOKENS_CLAIMED)
            finish(runtime, token, record, now_ms - due_ms);
    }
    return next_ms;
}

/* All tokens are looked through, but seldom: not before the first that was seen is due, as those
 * that come meanwhile have at least the shortest time that a route gives. */
void overrun_look(struct klane_runtime *runtime)
{
    struct control *control = &runtime->control;
    int64_t least_ms = runtime->routes.later_ms_min, rest_ms = least_ms / 8, next_ms, first_ms;

    if (control->now_ms < control->later_ms)
        return;
    if (rest_ms < REST_MS_MIN)
        rest_ms = REST_MS_MIN;
    if (rest_ms > REST_MS_MAX)
        rest_ms = REST_MS_MAX;
    next_ms = clock_after(control->now_ms, least_ms);
    first_ms = tokens_out(&runtime->tokens) == 0 ? INT64_MAX : finish_overdue(runtime);
    if (first_ms < next_ms)
        next_ms = first_ms;
    if (next_ms < clock_after(control->now_ms, rest_ms))
        next_ms = clock_after(control->now_ms, rest_ms);
    control->later_ms = next_ms;
}
