/* SPDX-License-Identifier: Apache-2.0 */
/* Workers and the parties that complete records for them. Each step is one operation that other
 * threads can see: fence, start, end, finish of the link, report. */
#include "sim/world.h"

#include "base/assert.h"

#include <string.h>

#define ATTEMPTS_MAX 5

static void add_end(struct world *world, struct process *process,
                    const struct klane_slot *slot, enum slot_outcome outcome, int64_t delay_ms)
{
    struct history_event event = slot_event(process, HISTORY_END, slot);
    struct log_partition *partition = &world->log[event.partition];
    struct log_record *record = &partition->records[log_index(partition, event.offset)];

    event.result = outcome == SLOT_RETRY  ? HISTORY_RETRY
                   : outcome == SLOT_DONE ? HISTORY_DONE
                                          : HISTORY_SKIPPED;
    event.value = outcome == SLOT_RETRY ? delay_ms : 0;
    world_add(world, event);
    process->weight -= slot_weight(slot);
    process->weighed -= slot_weight(slot) > 0;
    if (outcome == SLOT_RETRY)
        return;
    world->finished += !record->finished && !record->gone;
    record->finished = true;
}

static void report(struct process *process, struct klane_slot *slot, int64_t delay_ms)
{
    process->reports[process->reports_count++] = (struct report){slot, delay_ms};
}

/* ---- a handler --------------------------------------------------------------------------- */

static bool same_bytes(const void *a, const void *b, uint32_t size)
{
    if ((a == NULL) != (b == NULL))
        return false;
    return size == 0 || memcmp(a, b, size) == 0;
}

/* What the handler sees is what the log has. */
static void check_record(struct world *world, const struct klane_slot *slot)
{
    struct log_partition *partition =
        &world->log[slot->record.assignment->partition->number];
    uint32_t index = log_index(partition, slot->record.offset);
    struct source_record expected;
    struct core_place place;

    if (index == partition->count) {
        world_fail(world, "a slot has an offset that is not in the log");
        return;
    }
    log_describe(world, &partition->records[index], &expected, &place);
    if (slot->record.offset != expected.offset || slot->record.key_size != expected.key_size ||
        slot->record.value_size != expected.value_size || slot->record.route != place.route ||
        slot->record.timestamp_ms != expected.timestamp_ms || slot_weight(slot) != place.weight ||
        slot_due_ms(slot) != place.due_ms ||
        slot->record.headers_size != expected.headers_size ||
        !same_bytes(slot_key(slot), expected.key, expected.key_size) ||
        !same_bytes(slot_value(slot), expected.value, expected.value_size) ||
        (expected.headers_size > 0 &&
         !same_bytes(slot_headers(slot), expected.headers, expected.headers_size)))
        world_fail(world, "a slot differs from its record at offset %lld",
                   (long long)expected.offset);
}

static bool had_it(const struct worker *worker, const struct klane_slot *slot)
{
    for (int i = 0; i < HAD_MAX; i++)
        if (worker->had[i] == slot)
            return true;
    return false;
}

/* Nothing runs before its time, or while it is held, but what a worker had by then. */
static void check_time(struct world *world, const struct process *process,
                       const struct worker *worker)
{
    const struct klane_slot *slot = worker->slot;

    if (slot_due_ms(slot) > WALL_MS + world->now_ms)
        world_fail(world, "offset %lld runs before its time", (long long)slot->record.offset);
    if (core_is_held(&process->core, slot) && !had_it(worker, slot))
        world_fail(world, "offset %lld runs though it is held", (long long)slot->record.offset);
}

/* What runs at once stays inside the budget, but for one that is larger and runs alone. */
static void check_weight(struct world *world, struct process *process,
                         const struct klane_slot *slot)
{
    process->weight += slot_weight(slot);
    process->weighed += slot_weight(slot) > 0;
    if (process->weight > process->core.config.weight_max && process->weighed > 1)
        world_fail(world, "handlers take %llu at once", (unsigned long long)process->weight);
}

static enum slot_outcome draw_outcome(struct world *world, const struct klane_slot *slot)
{
    if (slot->record.attempt < ATTEMPTS_MAX && random_is(world, world->plan.retry_rate)) {
        world_fault(world, FAULT_RETRY);
        return SLOT_RETRY;
    }
    return random_is(world, world->plan.skip_rate) ? SLOT_SKIPPED : SLOT_DONE;
}

bool slot_is_given_up(const struct world *world, const struct klane_slot *slot,
                      enum slot_outcome outcome)
{
    return outcome == SLOT_RETRY && !(slot->record.has & SLOT_HAS_LETTER) &&
           retry_is_over(&world->plan.retry, slot->record.attempt, -1);
}

static int64_t draw_duration(struct world *world)
{
    int64_t run_ms = random_below(world, world->plan.run_ms + 1);

    if (!random_is(world, world->plan.stuck_rate))
        return run_ms;
    world_fault(world, FAULT_STUCK);
    return 100 * run_ms + 100;
}

/* The handler hands its record over to another party, which may be faster than its return. */
static bool go_asynchronous(struct world *world, struct process *process, struct worker *worker)
{
    klane_token_t token =
        tokens_make(&process->tokens, worker->slot, worker->slot->record.assignment->epoch,
                    TOKENS_NEVER);

    if (token == 0)
        return false;
    worker->token = token;
    worker->slot->back.token = (uint32_t)token;
    process->completions[process->completions_count++] = (struct completion){
        .token = token,
        .slot = worker->slot,
        .due_ms = world->now_ms + draw_duration(world),
        .delay_ms = worker->delay_ms,
        .epoch = worker->slot->record.assignment->epoch,
        .outcome = worker->outcome,
    };
    return true;
}

static struct klane_slot *last_of(const struct worker *worker)
{
    return worker->batch_count == 0 ? worker->slot : worker->batch[worker->batch_count - 1];
}

static void start(struct world *world, struct process *process, struct worker *worker)
{
    struct klane_slot *slot = worker->slot;

    check_record(world, slot);
    check_time(world, process, worker);
    check_weight(world, process, slot);
    world_add(world, slot_event(process, HISTORY_START, slot));
    states_use(world, process, slot);
    worker->state = WORKER_RUNS;
    worker->started_ms = world->now_ms;
    worker->until_ms = world->now_ms + draw_duration(world);
    worker->outcome = (uint8_t)draw_outcome(world, slot);
    worker->delay_ms = slot_is_given_up(world, slot, (enum slot_outcome)worker->outcome)
                           ? 0
                           : random_below(world, world->plan.delay_ms);
    worker->token = 0;
    worker->wants = 0;
    /* What is in a batch cannot be answered later. */
    if (worker->batch_count == 0 && random_is(world, world->plan.later_rate) &&
        go_asynchronous(world, process, worker))
        return;
    if ((slot->record.has & SLOT_HAS_WEIGHT) == 0 && random_is(world, world->plan.take_rate) &&
        last_of(worker) != worker->put_back_behind)
        worker->wants = random_below(world, BATCH_MAX + 1 - worker->batch_count);
}

/* As a worker of the engine fills a batch. */
static void take_behind(struct worker *worker)
{
    const struct klane_slot *slot = worker->slot;
    struct chain_link *link = chain_take(&last_of(worker)->chain);
    struct klane_slot *next;

    worker->wants--;
    if (link == NULL) {
        worker->wants = 0;
        return;
    }
    next = slot_of_link(link);
    if (next->record.assignment == slot->record.assignment && slot_is_paid(next) &&
        (next->record.has & SLOT_HAS_WEIGHT) == 0 &&
        assignment_may_start(next->record.assignment)) {
        KLANE_MARK("sim: a worker takes a successor before it has finished");
        worker->batch[worker->batch_count++] = next;
        return;
    }
    KLANE_MARK("sim: a worker takes what is not for its batch");
    worker->unfit = next;
}

static void put_back_unfit(struct worker *worker)
{
    chain_put_back(&last_of(worker)->chain, &worker->unfit->chain);
    worker->put_back_behind = last_of(worker);
    worker->unfit = NULL;
    worker->wants = 0;
}

/* From now on control says when it runs. */
static void has_no_more(struct worker *worker, const struct klane_slot *slot)
{
    for (int i = 0; i < HAD_MAX; i++)
        if (worker->had[i] == slot)
            worker->had[i] = NULL;
}

static void put_last_back(struct worker *worker)
{
    struct klane_slot *slot = worker->batch[--worker->batch_count];

    KLANE_MARK("sim: a worker puts a successor back");
    has_no_more(worker, slot);
    worker->put_back_behind = last_of(worker);
    chain_put_back(&last_of(worker)->chain, &slot->chain);
}

static void write_outcome(struct worker *worker, enum slot_outcome outcome)
{
    worker->slot->back.outcome = (uint8_t)outcome;
    worker->slot->back.passed = false;
    /* Only what is finished can pass the lane on. */
    worker->state = outcome == SLOT_RETRY ? WORKER_PUTS_BACK : WORKER_ENDED;
    worker->next = NULL;
}

static void handler_returns(struct world *world, struct process *process, struct worker *worker)
{
    uint32_t place;

    if (worker->token == 0) {
        write_outcome(worker, worker->outcome);
        add_end(world, process, worker->slot, worker->outcome, worker->delay_ms);
        return;
    }
    place = tokens_index(worker->token);
    world_add(world, slot_event(process, HISTORY_RETURN, worker->slot));
    if (!tokens_returned(&process->tokens, place)) {
        worker->slot = NULL;
        worker->state = WORKER_IDLE;
        return;
    }
    KLANE_MARK("sim: a completion comes before its handler returns");
    worker->delay_ms = process->completed[place].delay_ms;
    write_outcome(worker, process->completed[place].outcome);
    add_end(world, process, worker->slot, process->completed[place].outcome, worker->delay_ms);
}

/* The link is finished, or left to control. */
static void pass_on(struct world *world, struct worker *worker)
{
    struct klane_slot *slot = worker->slot;

    worker->state = WORKER_FINISHED;
    worker->asks = false;
    if (worker->batch_count > 0) {
        slot->back.passed = true;
        worker->next = worker->batch[0];
        worker->batch_count--;
        memmove(&worker->batch[0], &worker->batch[1],
                worker->batch_count * sizeof(worker->batch[0]));
    } else if (slot->back.outcome == SLOT_NOT_STARTED ||
               !random_is(world, world->plan.yield_rate)) {
        struct chain_link *next;

        slot->back.passed = true;
        next = chain_finish(&slot->chain);
        worker->next = next != NULL ? slot_of_link(next) : NULL;
        worker->asks = slot == worker->put_back_behind;
    }
}

/* It has a slot. */
static void take_on(struct world *world, struct process *process, struct worker *worker)
{
    if (slot_frees_state(worker->slot)) {
        states_free(world, process, worker->slot, HISTORY_FREE);
        worker->until_ms = world->now_ms + draw_duration(world);
        worker->next = NULL;
        worker->state = WORKER_FREES;
    } else if (!assignment_may_start(worker->slot->record.assignment)) {
        KLANE_MARK("sim: a worker is stopped by the fence");
        write_outcome(worker, SLOT_NOT_STARTED);
    } else if (slot_is_paid(worker->slot) && !worker->asks) {
        start(world, process, worker);
    } else {
        if (worker->asks)
            KLANE_MARK("sim: a worker asks for what it has put back");
        write_outcome(worker, SLOT_ASKS);
        worker->state = WORKER_PUTS_BACK;
    }
}

bool worker_step(struct world *world, struct process *process, struct worker *worker)
{
    switch ((enum worker_state)worker->state) {
    case WORKER_IDLE:
        if (process->ring_count == 0)
            return false;
        worker->slot = process->ring[process->ring_first];
        process->ring_first = (process->ring_first + 1) % RING_MAX;
        process->ring_count--;
        worker->state = WORKER_HAS;
        worker->put_back_behind = NULL;
        worker->asks = false;
        return true;
    case WORKER_HAS:
        take_on(world, process, worker);
        return true;
    case WORKER_FREES:
        if (world->now_ms < worker->until_ms)
            return false;
        states_free(world, process, worker->slot, HISTORY_FREED);
        worker->state = WORKER_FINISHED;
        return true;
    case WORKER_RUNS:
        if (worker->unfit != NULL) {
            put_back_unfit(worker);
            return true;
        }
        if (worker->wants > 0) {
            take_behind(worker);
            return true;
        }
        if (world->now_ms < worker->until_ms)
            return false;
        handler_returns(world, process, worker);
        return true;
    case WORKER_ENDED:
        if (worker->batch_count > 0 && random_below(world, 8) == 0)
            put_last_back(worker);
        else
            pass_on(world, worker);
        return true;
    case WORKER_PUTS_BACK:
        if (worker->batch_count > 0)
            put_last_back(worker);
        else
            worker->state = WORKER_FINISHED;
        return true;
    case WORKER_FINISHED:
        report(process, worker->slot, worker->delay_ms);
        worker->slot = worker->next;
        worker->state = worker->slot != NULL ? WORKER_HAS : WORKER_IDLE;
        return true;
    }
    return false;
}

/* ---- other parties ----------------------------------------------------------------------- */

/* A completion that comes again, or for a record of long ago, changes nothing. */
static void try_again(struct world *world, struct process *process)
{
    klane_token_t token;
    uint32_t tag;
    void *record;

    if (process->stale_count == 0 || !world->plan.may[FAULT_DUPLICATE] || world->healed ||
        random_below(world, 4) > 0)
        return;
    token = process->stale[random_below(
        world, process->stale_count < STALE_TOKENS ? process->stale_count : STALE_TOKENS)];
    world_fault(world, FAULT_DUPLICATE);
    if (tokens_claim(&process->tokens, token, &record) != TOKENS_STALE ||
        tokens_tag(&process->tokens, token, &tag))
        world_fail(world, "a token could be used twice");
}

static void claim(struct world *world, struct process *process, struct completion *completion)
{
    void *record = NULL;
    uint32_t tag;

    if (!tokens_tag(&process->tokens, completion->token, &tag) || tag != completion->epoch)
        world_fail(world, "an open token does not know its epoch");
    if (tokens_claim(&process->tokens, completion->token, &record) != TOKENS_CLAIMED ||
        record != completion->slot)
        world_fail(world, "the first completion of a token was refused");
    completion->claimed = true;
    process->stale[process->stale_count++ % STALE_TOKENS] = completion->token;
}

static void complete(struct world *world, struct process *process, uint32_t index)
{
    struct completion completion = process->completions[index];
    uint32_t place = tokens_index(completion.token);

    process->completions[index] = process->completions[--process->completions_count];
    process->completed[place].outcome = completion.outcome;
    process->completed[place].delay_ms = completion.delay_ms;
    completion.slot->back.outcome = completion.outcome;
    completion.slot->back.passed = false;
    if (!tokens_complete(&process->tokens, completion.token))
        return;
    add_end(world, process, completion.slot, completion.outcome, completion.delay_ms);
    report(process, completion.slot, completion.delay_ms);
}

bool completion_step(struct world *world, struct process *process)
{
    uint32_t begin;

    try_again(world, process);
    if (process->completions_count == 0)
        return false;
    begin = random_below(world, process->completions_count);
    for (uint32_t i = 0; i < process->completions_count; i++) {
        uint32_t index = (begin + i) % process->completions_count;
        struct completion *completion = &process->completions[index];

        if (completion->claimed) {
            complete(world, process, index);
            return true;
        }
        if (completion->due_ms <= world->now_ms) {
            claim(world, process, completion);
            return true;
        }
    }
    return false;
}
