/* SPDX-License-Identifier: Apache-2.0 */
/* Records whose attempt failed: run again, become dead letters, are skipped, or stop the runtime,
 * as their route says.
 *
 * A dead letter is the record, run once more, by another function of the route's: so its lane
 * waits, its offset too, and it is tried again until that function has finished it.
 *
 * Upholds: what is given up is finished as its route says and in no other way. Control's. */
#include "base/clock.h"
#include "base/hash.h"
#include "engine/engine.h"
#include "engine/notice.h"

#include <inttypes.h>
#include <stdio.h>

static int64_t age_of(const struct klane_slot *slot)
{
    int64_t now_ms = clock_wall_ms();

    if (slot->record.timestamp_ms < 0)
        return -1;
    return now_ms > slot->record.timestamp_ms ? now_ms - slot->record.timestamp_ms : 0;
}

/* By the policy alone. Its chance is a hash of which attempt it is: nothing is kept for it. */
static int64_t policy_delay(const struct klane_runtime *runtime, const struct klane_slot *slot,
                            uint32_t attempts)
{
    const int64_t named[] = {slot->record.assignment->epoch, slot->record.offset, attempts};

    return retry_delay(&route_of(runtime, slot)->retry, attempts,
                       hash_bytes(named, sizeof(named), runtime->control.core.config.seed));
}

/* -1: it is over. */
static int64_t route_delay(const struct klane_runtime *runtime, struct klane_slot *slot)
{
    const struct route *route = route_of(runtime, slot);
    struct klane_record view;
    int64_t delay_ms;

    if (route->backoff == NULL)
        return policy_delay(runtime, slot, slot->record.attempt);
    slot_show(slot, &view);
    view.slot = NULL; /* no handler has it */
    view.lane_state = NULL;
    delay_ms = route->backoff(&view, route->backoff_context);
    return delay_ms < 0 ? -1 : delay_ms;
}

/* Runs again, by the function for dead letters. Without memory it runs as it did before. */
static int64_t make_letter(struct klane_runtime *runtime, struct klane_slot *slot)
{
    slot->back.outcome = SLOT_RETRY;
    if (slot->back.notice == NULL && !notice_make(slot, -1, NULL))
        return policy_delay(runtime, slot, slot->record.attempt);
    slot->back.notice->delay_ms = -1;
    slot->back.notice->attempts = slot->record.attempt;
    slot->record.has |= SLOT_HAS_LETTER;
    return 0;
}

void slot_stops(struct klane_runtime *runtime, const struct klane_slot *slot, const char *why)
{
    const struct partition *partition = slot->record.assignment->partition;
    struct control *control = &runtime->control;

    if (control->given_up[0] != '\0')
        return;
    snprintf(control->given_up, sizeof(control->given_up),
             "%.100s [%" PRId32 "] offset %" PRId64 ": %s", partition->topic->name,
             partition->number, slot->record.offset, why);
}

static void stop_for(struct klane_runtime *runtime, const struct klane_slot *slot)
{
    const struct slot_notice *notice = slot->back.notice;
    bool has_reason = notice != NULL && notice->reason[0] != '\0';
    char why[256];

    snprintf(why, sizeof(why), "failed %" PRIu32 " times%s%s", slot->record.attempt,
             has_reason ? ": " : "", has_reason ? notice->reason : "");
    slot_stops(runtime, slot, why);
}

static int64_t give_up(struct klane_runtime *runtime, struct klane_slot *slot)
{
    const struct route *route = route_of(runtime, slot);

    if (slot->back.outcome == SLOT_DEAD_LETTER || route->exhausted == KLANE_EXHAUSTED_DEAD_LETTER)
        return make_letter(runtime, slot);
    if (route->exhausted == KLANE_EXHAUSTED_SKIP) {
        slot->back.outcome = SLOT_SKIPPED;
        return 0;
    }
    stop_for(runtime, slot);
    return policy_delay(runtime, slot, slot->record.attempt);
}

int64_t slot_failed(struct klane_runtime *runtime, struct klane_slot *slot)
{
    const struct route *route = route_of(runtime, slot);
    struct slot_notice *notice = slot->back.notice;
    int64_t delay_ms = notice == NULL ? -1 : notice->delay_ms;
    bool is_over = slot->back.outcome == SLOT_DEAD_LETTER;

    if (slot->record.has & SLOT_HAS_LETTER) {
        slot->back.outcome = SLOT_RETRY;
        notice->delay_ms = -1; /* it was for this time */
        return delay_ms >= 0
                   ? delay_ms
                   : policy_delay(runtime, slot, slot->record.attempt - notice->attempts);
    }
    /* Whoever has the partition now decides about the record. */
    if (!assignment_counts(slot->record.assignment)) {
        slot->back.outcome = SLOT_RETRY;
        return 0;
    }
    is_over |= retry_is_over(&route->retry, slot->record.attempt,
                             route->retry.age_max_ms > 0 ? age_of(slot) : -1);
    if (!is_over && delay_ms < 0)
        delay_ms = route_delay(runtime, slot);
    return is_over || delay_ms < 0 ? give_up(runtime, slot) : delay_ms;
}
