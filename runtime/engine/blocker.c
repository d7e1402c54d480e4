/* SPDX-License-Identifier: Apache-2.0 */
/* Says which record keeps a partition's base where it is, and why. Control answers.
 *
 * Edge W2: what a worker runs, as worker.c publishes it. */
#include "core/blocker.h"

#include "base/clock.h"
#include "base/given.h"
#include "core/lane.h"
#include "core/parking.h"
#include "engine/engine.h"

#include <string.h>

/* The worker that runs it; NULL: none, as far as can be seen. */
static const struct worker *runner_of(struct klane_runtime *runtime,
                                      const struct klane_slot *slot)
{
    for (uint32_t i = 0; i < runtime->control.workers_used; i++) {
        struct worker *worker = &runtime->workers[i];
        /* W2 acquire, both: pair with turn_begin(). */
        uint64_t turn = atomic_load_explicit(&worker->turn, memory_order_acquire);
        struct klane_slot *running =
            atomic_load_explicit(&worker->running, memory_order_acquire); /* W2 */

        if (worker->alive && turn % 2 == 1 && running == slot)
            return worker;
    }
    return NULL;
}

/* Its state while it is with workers or on the way there. */
static void say_out(struct klane_runtime *runtime, const struct klane_slot *slot,
                    struct klane_blocker *blocker)
{
    const struct worker *worker = runner_of(runtime, slot);

    if (worker != NULL) {
        blocker->state = KLANE_BLOCKER_RUNNING;
        blocker->worker = (int32_t)(worker - runtime->workers);
    } else {
        blocker->state =
            ready_is_empty(&runtime->ready) ? KLANE_BLOCKER_LATER : KLANE_BLOCKER_READY;
    }
}

static void say_state(struct klane_runtime *runtime, const struct klane_slot *slot,
                      struct klane_blocker *blocker)
{
    const struct core *core = &runtime->control.core;

    switch ((enum slot_state)slot->control.state) {
    case SLOT_READY:
        blocker->state = KLANE_BLOCKER_READY;
        break;
    case SLOT_HEAVY:
        blocker->state = KLANE_BLOCKER_WEIGHT;
        break;
    case SLOT_WAITING:
        blocker->state = slot->control.crashes > 0 ? KLANE_BLOCKER_CRASHED : KLANE_BLOCKER_RETRY;
        if (blocker->state == KLANE_BLOCKER_RETRY)
            blocker->due_ms = core->timers.entries[slot->control.lane->timer.place].value -
                              runtime->control.now_ms;
        break;
    case SLOT_QUEUED:
    case SLOT_OUT:
    case SLOT_FINISHED:
        say_out(runtime, slot, blocker);
        break;
    }
}

static void say_slot(struct klane_runtime *runtime, const struct klane_assignment *assignment,
                     const struct klane_slot *slot, struct klane_blocker *blocker)
{
    uint32_t key_size;
    const void *key = slot_lane_key(slot, &key_size);

    say_state(runtime, slot, blocker);
    blocker->is_dead_letter = (slot->record.has & SLOT_HAS_LETTER) != 0;
    blocker->attempts = slot_attempts(slot);
    if (!blocker->is_dead_letter &&
        (blocker->state == KLANE_BLOCKER_RUNNING || blocker->state == KLANE_BLOCKER_LATER))
        blocker->attempts = slot->record.attempt;
    if (slot->record.timestamp_ms >= 0)
        blocker->age_ms = clock_wall_ms() - slot->record.timestamp_ms;
    if (slot->control.lane->kind == LANE_OF_RECORD)
        return;
    blocker->fingerprint = parking_fingerprint(assignment, slot);
    if (slot->control.lane->kind != LANE_OF_KEY)
        return;
    blocker->key_size = key_size;
    memcpy(blocker->key, key, key_size < sizeof(blocker->key) ? key_size : sizeof(blocker->key));
}

static klane_err_t answer(struct klane_runtime *runtime,
                          const struct klane_assignment *assignment, void *to)
{
    struct klane_blocker *blocker = to;
    struct core_blocker found;

    if (!core_blocker(assignment, &found))
        return KLANE_ERR_NOT_FOUND;
    *blocker = (struct klane_blocker){
        .offset = found.offset, .worker = -1, .age_ms = -1, .key_size = -1};
    if (found.slot != NULL) {
        say_slot(runtime, assignment, found.slot, blocker);
        return KLANE_OK;
    }
    blocker->state = KLANE_BLOCKER_PARKED;
    if (found.parked == NULL)
        return KLANE_OK;
    blocker->attempts = found.parked->attempts;
    blocker->fingerprint = found.parked->is_record ? 0 : found.parked->fingerprint;
    if (found.parked->due_wall_ms > 0)
        blocker->due_ms = found.parked->due_wall_ms - clock_wall_ms();
    else if (found.parked->due_ms > 0)
        blocker->due_ms = found.parked->due_ms - runtime->control.now_ms;
    return KLANE_OK;
}

klane_err_t klane_blocker(struct klane_runtime *runtime, const char *topic, int32_t partition,
                          struct klane_blocker *blocker, size_t blocker_size)
{
    struct klane_blocker found;
    klane_err_t err;

    if (runtime == NULL || topic == NULL || blocker == NULL || blocker_size == 0)
        return KLANE_ERR_INVALID;
    err = question_ask(runtime, topic, partition, answer, &found);
    if (err != KLANE_OK)
        return err;
    if (found.due_ms < 0)
        found.due_ms = 0; /* it is about to run */
    given_answer(blocker, blocker_size, &found, sizeof(found));
    return KLANE_OK;
}
