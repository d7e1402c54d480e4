/* SPDX-License-Identifier: Apache-2.0 */
/* Says which record keeps a partition's base, or a lane, where it is, and why. Control answers.
 *
 * Edge W2: what a worker runs, as worker.c publishes it. */
#include "core/blocker.h"

#include "base/clock.h"
#include "base/given.h"
#include "core/lane.h"
#include "core/parking.h"
#include "engine/engine.h"

#include <string.h>

static bool is_in_turn(const struct worker *worker, const struct klane_slot *slot)
{
    /* W2 acquire: pairs with turn_begin(). */
    uint64_t turn = atomic_load_explicit(&worker->turn, memory_order_acquire);
    const struct klane_slot *each;

    if (turn % 2 == 0)
        return false;
    for (uint32_t i = 0; (each = worker_slot(worker, i)) != NULL; i++)
        if (each == slot)
            return true;
    return false;
}

/* The worker that runs it; NULL: none, as far as can be seen. */
static const struct worker *runner_of(struct klane_runtime *runtime,
                                      const struct klane_slot *slot)
{
    for (uint32_t i = 0; i < runtime->control.workers_used; i++)
        if (runtime->workers[i].alive && is_in_turn(&runtime->workers[i], slot))
            return &runtime->workers[i];
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

static void say_scheduled(const struct core *core, const struct klane_slot *slot,
                          struct klane_blocker *blocker)
{
    blocker->state = KLANE_BLOCKER_HELD;
    if (lane_waits_until(&core->timers, slot->control.lane) == INT64_MAX)
        return;
    blocker->state = KLANE_BLOCKER_SCHEDULED;
    blocker->due_ms = slot_due_ms(slot) - clock_wall_ms();
}

static void say_state(struct klane_runtime *runtime, const struct klane_slot *slot,
                      struct klane_blocker *blocker)
{
    const struct core *core = &runtime->control.core;

    switch ((enum slot_state)slot->control.state) {
    case SLOT_READY:
    case SLOT_BARRED: /* for one that frees its lane's former state */
        blocker->state = KLANE_BLOCKER_READY;
        break;
    case SLOT_GATHERED:
        blocker->state = KLANE_BLOCKER_BATCH;
        break;
    case SLOT_HEAVY:
        blocker->state = KLANE_BLOCKER_WEIGHT;
        break;
    case SLOT_WAITING:
        blocker->state = slot->control.crashes > 0 ? KLANE_BLOCKER_CRASHED : KLANE_BLOCKER_RETRY;
        if (blocker->state == KLANE_BLOCKER_RETRY)
            blocker->due_ms =
                lane_waits_until(&core->timers, slot->control.lane) - runtime->control.now_ms;
        break;
    case SLOT_SCHEDULED:
        say_scheduled(core, slot, blocker);
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

static void say_parked(struct klane_runtime *runtime, const struct parked *parked,
                       struct klane_blocker *blocker)
{
    blocker->attempts = parked->attempts;
    blocker->fingerprint = parked->is_record ? 0 : parked->fingerprint;
    if (parked->is_held)
        blocker->state = KLANE_BLOCKER_HELD;
    else if (parked->due_wall_ms > 0)
        blocker->due_ms = parked->due_wall_ms - clock_wall_ms();
    else if (parked->due_ms > 0)
        blocker->due_ms = parked->due_ms - runtime->control.now_ms;
}

static void say(struct klane_runtime *runtime, const struct klane_assignment *assignment,
                const struct core_blocker *found, struct klane_blocker *blocker)
{
    *blocker = (struct klane_blocker){.offset = found->offset,
                                      .partition = assignment->partition->number,
                                      .worker = -1,
                                      .age_ms = -1,
                                      .key_size = -1};
    blocker->state = KLANE_BLOCKER_PARKED;
    if (found->slot != NULL)
        say_slot(runtime, assignment, found->slot, blocker);
    else if (found->parked != NULL)
        say_parked(runtime, found->parked, blocker);
    if (blocker->due_ms < 0)
        blocker->due_ms = 0; /* it is about to run */
}

static klane_err_t of_base(struct klane_runtime *runtime, struct klane_assignment *assignment,
                           void *with)
{
    struct core_blocker found;

    if (!core_blocker(assignment, &found))
        return KLANE_ERR_NOT_FOUND;
    say(runtime, assignment, &found, with);
    return KLANE_OK;
}

klane_err_t klane_blocker(struct klane_runtime *runtime, const char *topic, int32_t partition,
                          struct klane_blocker *blocker, size_t blocker_size)
{
    struct klane_blocker found;
    struct question question = {
        .topic = topic, .partition = partition, .answer = of_base, .with = &found};
    klane_err_t err;

    if (runtime == NULL || topic == NULL || blocker == NULL || blocker_size == 0)
        return KLANE_ERR_INVALID;
    err = question_ask(runtime, &question);
    if (err == KLANE_OK)
        given_answer(blocker, blocker_size, &found, sizeof(found));
    return err;
}

/* ---- of one lane ------------------------------------------------------------------------- */

struct lane_question {
    const char *topic;
    int32_t partition; /* -1: whichever */
    struct lane_name name;
    struct klane_blocker found;
};

static klane_err_t of_lane(struct klane_runtime *runtime, struct klane_assignment *none,
                           void *with)
{
    struct core *core = &runtime->control.core;
    struct lane_question *asked = with;
    struct core_blocker found;

    (void)none;
    for (struct klane_assignment *each = core->assignments; each != NULL; each = each->next) {
        if (strcmp(each->partition->topic->name, asked->topic) != 0 ||
            (asked->partition != -1 && asked->partition != each->partition->number))
            continue;
        asked->name.partition = each->partition;
        if (core_lane_blocker(core, each, &asked->name, &found)) {
            say(runtime, each, &found, &asked->found);
            return KLANE_OK;
        }
    }
    return KLANE_ERR_NOT_FOUND;
}

klane_err_t klane_lane_find(struct klane_runtime *runtime, const char *topic, int32_t partition,
                            const void *key, size_t key_size, struct klane_blocker *lane,
                            size_t lane_size)
{
    struct lane_question asked = {
        .topic = topic,
        .partition = partition,
        .name = {.kind = LANE_OF_KEY, .key = key, .key_size = (uint32_t)key_size}};
    struct question question = {.answer = of_lane, .with = &asked};
    klane_err_t err;

    if (runtime == NULL || topic == NULL || partition < -1 || key == NULL ||
        key_size > UINT32_MAX || lane == NULL || lane_size == 0)
        return KLANE_ERR_INVALID;
    err = question_ask(runtime, &question);
    if (err == KLANE_OK)
        given_answer(lane, lane_size, &asked.found, sizeof(asked.found));
    return err;
}
