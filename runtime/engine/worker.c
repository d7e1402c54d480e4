/* SPDX-License-Identifier: Apache-2.0 */
/* A worker: takes a slot, runs its handler, goes on with the next slot of the same lane.
 *
 * Upholds: the fence is asked before each start; a slot is never touched again after it was
 * reported; a hot lane yields after its quantum if others wait. */
#include "engine/engine.h"

#include "base/assert.h"
#include "base/headers.h"

#include <inttypes.h>

/* Records of one lane, or batches, in a row while other lanes are ready. */
#define QUANTUM 64U

void slot_report(struct klane_runtime *runtime, struct klane_slot *slot)
{
    mailbox_send(&runtime->outcomes, &slot->back.mail);
    bell_ring(&runtime->bell, BELL_URGENT);
}

void slot_report_quietly(struct worker *worker, struct klane_slot *slot)
{
    struct klane_runtime *runtime = worker->runtime;
    enum bell_urgency urgency = BELL_QUIET;

    mailbox_send(&runtime->outcomes, &slot->back.mail);
    if (++worker->quiet >= runtime->quiet_max) {
        worker->quiet = 0;
        urgency = BELL_URGENT;
    } else if (ready_is_low(&runtime->ready)) {
        urgency = BELL_WANTED;
    }
    bell_ring(&runtime->bell, urgency);
}

void slot_left_ring(struct klane_runtime *runtime)
{
    if (ready_is_low(&runtime->ready))
        bell_ring(&runtime->bell, BELL_WANTED);
}

struct klane_slot *slot_refuse(struct klane_runtime *runtime, struct klane_slot *slot)
{
    struct chain_link *next;

    slot->back.outcome = SLOT_NOT_STARTED;
    slot->back.passed = true;
    next = chain_finish(&slot->chain);
    slot_report(runtime, slot);
    return next == NULL ? NULL : slot_of_link(next);
}

void slot_show(struct klane_slot *slot, struct klane_record *record)
{
    const struct klane_assignment *assignment = slot->record.assignment;

    /* Each member, or it would be cleared first by an instruction that takes long to begin. */
    *record = (struct klane_record){
        .topic = assignment->partition->topic->name,
        .key = slot_key(slot),
        .value = slot_value(slot),
        .key_size = slot->record.key_size,
        .value_size = slot->record.value_size,
        .offset = slot->record.offset,
        .timestamp_ms = slot->record.timestamp_ms,
        .partition = assignment->partition->number,
        .attempt = slot->record.attempt,
        .epoch = assignment->epoch,
        .header_count = headers_count(slot_headers(slot), slot->record.headers_size),
        .slot = slot,
        .lane_state = slot_state(slot),
        .worker_local = NULL,
    };
}

void slot_free_state(struct klane_slot *slot)
{
    const struct core_topic *core = slot->record.assignment->partition->topic;
    const struct klane_topic *rules = &((const struct topic *)(const void *)core)->rules;

    rules->state_free(cell_of_task(slot)->state, rules->state_context);
}

/* A program that returns it once does so often: each is said once, as far as bits go. */
static void log_undefined(struct klane_runtime *runtime, const struct klane_slot *slot,
                          enum klane_outcome outcome)
{
    const struct partition *partition = slot->record.assignment->partition;
    uint64_t bit = (uint64_t)1 << ((unsigned)outcome % 64);

    /* Relaxed: a note that orders nothing. */
    if ((atomic_fetch_or_explicit(&runtime->undefined, bit, memory_order_relaxed) & bit) != 0)
        return;
    observe_log(&runtime->observe, KLANE_LOG_ERROR,
                "a handler returned %d, which is no outcome here, for %s [%" PRId32
                "] offset %" PRId64 "; taken as a retry, this time and each time",
                (int)outcome, partition->topic->name, partition->number, slot->record.offset);
}

enum slot_outcome slot_outcome(struct klane_runtime *runtime, const struct klane_slot *slot,
                               enum klane_outcome outcome)
{
    const struct route *route = route_of(runtime, slot);

    switch (outcome) {
    case KLANE_DONE:
        return SLOT_DONE;
    case KLANE_SKIP:
        return SLOT_SKIPPED;
    case KLANE_RETRY:
        return SLOT_RETRY;
    case KLANE_DEAD_LETTER:
        if (route->dead_letter != NULL)
            return SLOT_DEAD_LETTER;
        break;
    case KLANE_LATER:
        break;
    }
    log_undefined(runtime, slot, outcome);
    return SLOT_RETRY;
}

void turn_begin(struct worker *worker, struct klane_slot *slot)
{
    /* Relaxed: only this thread writes it. */
    uint64_t turn = atomic_load_explicit(&worker->turn, memory_order_relaxed);

    /* W2 release, both: pair with worker_look(), which finds a turn and the slot that belongs to
     * it, or finds that the turn has changed. */
    atomic_store_explicit(&worker->running, slot, memory_order_release);
    atomic_store_explicit(&worker->turn, turn + 1, memory_order_release);
}

void turn_end(struct worker *worker)
{
    /* Relaxed: only this thread writes it, and an even turn says nothing of any slot. */
    uint64_t turn = atomic_load_explicit(&worker->turn, memory_order_relaxed);

    atomic_store_explicit(&worker->turn, turn + 1, memory_order_relaxed);
}

/* Calls would cost a record as much as all that they do: for what each passes through. */
#define INLINED static inline __attribute__((always_inline))

/* Finished: report it, and go on with what the chain passes on, or yield. */
INLINED struct klane_slot *pass_on_inlined(struct worker *worker, struct klane_slot *slot,
                                           uint32_t in_row)
{
    struct chain_link *next;

    if (in_row >= QUANTUM && !ready_is_empty(&worker->runtime->ready)) {
        KLANE_MARK("a hot lane yields");
        slot_report(worker->runtime, slot);
        return NULL;
    }
    slot->back.passed = true;
    next = chain_finish(&slot->chain);
    slot_report_quietly(worker, slot);
    return next == NULL ? NULL : slot_of_link(next);
}

/* klane_later() was called, and then something else returned: if nobody has completed the token,
 * that outcome counts, and the token is void. */
static bool takes_back(struct klane_runtime *runtime, struct klane_slot *slot,
                       enum klane_outcome outcome)
{
    return outcome != KLANE_LATER && tokens_take_back(&runtime->tokens, slot->back.token - 1);
}

struct klane_slot *slot_ask(struct klane_runtime *runtime, struct klane_slot *slot)
{
    slot->back.outcome = SLOT_ASKS;
    slot_report(runtime, slot);
    return NULL;
}

struct klane_slot *pass_on(struct worker *worker, struct klane_slot *slot, uint32_t in_row)
{
    return pass_on_inlined(worker, slot, in_row);
}

INLINED struct klane_slot *run_inlined(struct worker *worker, struct klane_slot *slot,
                                       const struct route *route, uint32_t in_row)
{
    struct klane_runtime *runtime = worker->runtime;
    struct klane_record record;
    enum klane_outcome outcome;

    if (!slot->record.is_paid && slot_frees_state(slot)) {
        slot_free_state(slot);
        slot_report_quietly(worker, slot);
        return NULL;
    }
    if (!assignment_may_start(slot->record.assignment))
        return slot_refuse(runtime, slot);
    if (!slot_is_paid(slot))
        return slot_ask(runtime, slot);
    slot_show(slot, &record);
    record.worker_local = worker->local;
    turn_begin(worker, slot);
    outcome = slot->record.has & SLOT_HAS_LETTER
                  ? route->dead_letter(&record, route->dead_letter_context)
                  : route->handler(&record, route->context);
    turn_end(worker);
    if (slot->back.token != 0 && !takes_back(runtime, slot, outcome)) {
        if (tokens_returned(&runtime->tokens, slot->back.token - 1))
            slot_report(runtime, slot);
        else
            slot_left_ring(runtime);
        return NULL;
    }
    slot->back.outcome = SLOT_DONE;
    if (outcome != KLANE_DONE)
        slot->back.outcome = (uint8_t)slot_outcome(runtime, slot, outcome);
    if (slot->back.outcome < SLOT_RETRY)
        return pass_on_inlined(worker, slot, in_row);
    slot_report(runtime, slot);
    return NULL;
}

struct klane_slot *run_single(struct worker *worker, struct klane_slot *slot, uint32_t in_row)
{
    return run_inlined(worker, slot, route_of(worker->runtime, slot), in_row);
}

/* Run one slot, or a batch that begins with it. Returns the next of its lane, if this worker is to
 * run it. */
static struct klane_slot *run(struct worker *worker, struct klane_slot *slot, uint32_t in_row)
{
    const struct route *route = route_of(worker->runtime, slot);

    return route->batch == NULL ? run_inlined(worker, slot, route, in_row)
                                : run_batch(worker, slot, in_row);
}

/* Whether this worker is one too many, as a slow one came back. */
static bool is_surplus(struct worker *worker)
{
    struct klane_runtime *runtime = worker->runtime;
    /* Relaxed throughout: a count that orders nothing. */
    uint32_t surplus = atomic_load_explicit(&runtime->surplus, memory_order_relaxed);

    while (surplus > 0) {
        if (!atomic_compare_exchange_weak_explicit(&runtime->surplus, &surplus, surplus - 1,
                                                   memory_order_relaxed, memory_order_relaxed))
            continue;
        atomic_fetch_add_explicit(&runtime->leaving, 1, memory_order_relaxed);
        worker->left_as_surplus = true;
        return true;
    }
    return false;
}

static struct klane_slot *found(struct klane_runtime *runtime, int seat, struct klane_slot *slot)
{
    if (idle_search_end(&runtime->idle, seat) && !ready_is_empty(&runtime->ready))
        idle_wake_one(&runtime->idle);
    return slot;
}

/* About to sleep or to end: control hears of what was quiet, if it has a use for it. */
static void tell_what_is_quiet(struct worker *worker)
{
    if (worker->quiet == 0)
        return;
    worker->quiet = 0;
    bell_ring(&worker->runtime->bell, BELL_WANTED);
}

/* Look for a slot, then sleep until there may be one. NULL: the worker ends. */
static struct klane_slot *search(struct worker *worker)
{
    struct klane_runtime *runtime = worker->runtime;
    struct klane_slot *slot;

    idle_search_begin(&runtime->idle, worker->seat);
    for (;;) {
        for (uint32_t i = 0; i <= runtime->spin_rounds; i++) {
            slot = ready_pop(&runtime->ready);
            if (slot != NULL || runtime_is_closing(runtime))
                return found(runtime, worker->seat, slot);
            if (!idle_is_only_searcher(&runtime->idle))
                break;
            idle_pause();
        }
        tell_what_is_quiet(worker);
        idle_prepare(&runtime->idle, worker->seat);
        if (!ready_is_empty(&runtime->ready) || runtime_is_closing(runtime))
            idle_cancel(&runtime->idle, worker->seat);
        else
            idle_sleep(&runtime->idle, worker->seat, -1);
    }
}

static void work(struct worker *worker)
{
    struct klane_runtime *runtime = worker->runtime;
    struct klane_slot *slot;

    while (!is_surplus(worker)) {
        slot = ready_pop(&runtime->ready);
        if (slot == NULL && (slot = search(worker)) == NULL)
            return;
        for (uint32_t in_row = 1; slot != NULL; in_row++)
            slot = run(worker, slot, in_row);
    }
    tell_what_is_quiet(worker);
}

void *worker_main(void *argument)
{
    struct worker *worker = argument;
    struct klane_runtime *runtime = worker->runtime;
    const struct klane_options *options = &runtime->options;

    thread_belongs_to(runtime);
    batch_space_init(&worker->space);
    if (options->worker_start == NULL ||
        options->worker_start(options->worker_context, &worker->local)) {
        work(worker);
        if (options->worker_stop != NULL)
            options->worker_stop(options->worker_context, worker->local);
    } else {
        /* Relaxed: control is woken and asks. */
        atomic_store_explicit(&runtime->worker_refused, true, memory_order_relaxed);
        bell_write(&runtime->bell);
    }
    batch_space_free(&worker->space);
    idle_seat_leave(&runtime->idle, worker->seat);
    /* W1 release: pairs with workers_join(): the thread is at its end, and joining does not
     * wait. */
    atomic_store_explicit(&worker->exited, true, memory_order_release);
    return NULL;
}
