/* SPDX-License-Identifier: Apache-2.0 */
/* Batches: a worker takes along what stands behind a slot in its lane, and what control has linked
 * to it, runs all of it at once, and reports each record by itself.
 *
 * Upholds G1: of each lane the records up to the first unfinished one are passed on; those behind
 * that are put back, from the last to the first (sync/chain.h), as if they had not run. */
#include "base/assert.h"
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

void batch_space_init(struct batch_space *space)
{
    space->records = &space->only_record;
    space->entries = &space->only_entry;
    space->capacity = 1;
}

void batch_space_free(struct batch_space *space)
{
    if (space->capacity == 1)
        return;
    free(space->records);
    free(space->entries);
}

static bool grow(struct batch_space *space)
{
    uint32_t capacity = space->capacity == 1 ? 16 : 2 * space->capacity;
    struct klane_record *records = malloc(capacity * sizeof(*records));
    struct batch_entry *entries = malloc(capacity * sizeof(*entries));

    if (records == NULL || entries == NULL) {
        free(records);
        free(entries);
        return false;
    }
    memcpy(records, space->records, space->count * sizeof(*records));
    memcpy(entries, space->entries, space->count * sizeof(*entries));
    batch_space_free(space);
    space->records = records;
    space->entries = entries;
    space->capacity = capacity;
    return true;
}

/* There is a place for one more. False: no memory. */
static bool has_place(struct batch_space *space)
{
    return space->count < space->capacity || grow(space);
}

static void add(struct batch_space *space, struct klane_slot *slot, bool is_first)
{
    space->entries[space->count] = (struct batch_entry){slot, is_first};
    slot->back.outcome = SLOT_DONE;
    slot->back.with = space->entries[0].slot;
    slot_show(slot, &space->records[space->count++]);
}

/* ---- what comes along -------------------------------------------------------------------- */

/* Alone: a weight is for one record. */
static bool is_alone(const struct klane_slot *slot)
{
    return (slot->record.has & (SLOT_HAS_WEIGHT | SLOT_HAS_LETTER)) != 0;
}

/* The next of the lane, if it may run in the same batch; else NULL, and it stays there. (What has
 * a weight has not paid it.) While it is taken a hold finds it passed on, and leaves it as it is:
 * so it is asked for. */
static struct klane_slot *take_behind(struct batch_space *space, struct klane_slot *slot)
{
    struct chain_link *link = chain_take(&slot->chain);
    struct klane_slot *next;

    if (link == NULL)
        return NULL;
    next = slot_of_link(link);
    if (next->record.assignment == slot->record.assignment &&
        next->record.route == slot->record.route && slot_is_paid(next) &&
        assignment_may_start(next->record.assignment))
        return next;
    KLANE_MARK("a batch ends before a record of another kind");
    chain_put_back(&slot->chain, link);
    space->asks = true;
    return NULL;
}

/* The slot, for which there is a place, and what is behind it, as far as most. */
static void add_lane(struct batch_space *space, struct klane_slot *slot, uint32_t most)
{
    add(space, slot, true);
    while (!is_alone(slot) && space->count < most && has_place(space) &&
           (slot = take_behind(space, slot)) != NULL)
        add(space, slot, false);
}

/* What control has linked: each lane has at least the place of its first record. */
static void add_linked(struct klane_runtime *runtime, struct batch_space *space,
                       struct klane_slot *slot, uint32_t most)
{
    uint32_t lanes = 0;

    for (const struct klane_slot *each = slot; each != NULL; each = each->back.with)
        lanes++;
    while (slot != NULL) {
        struct klane_slot *with = slot->back.with;

        lanes--;
        if (assignment_may_start(slot->record.assignment) && has_place(space))
            add_lane(space, slot, most - lanes);
        else
            slot_ask(runtime, slot);
        slot = with;
    }
}

void batch_give_up(struct klane_runtime *runtime, struct klane_slot *slot)
{
    struct klane_slot *with;

    for (slot = slot->back.with; slot != NULL; slot = with) {
        with = slot->back.with;
        slot_ask(runtime, slot);
    }
}

struct klane_slot *batch_filter(struct klane_runtime *runtime, struct klane_slot *slot,
                                batch_stays_fn stays)
{
    struct klane_slot *first = NULL, **end = &first, *with;

    for (; slot != NULL; slot = with) {
        with = slot->back.with;
        if (!stays(runtime, slot)) {
            slot_ask(runtime, slot);
            continue;
        }
        *end = slot;
        end = &slot->back.with;
    }
    *end = NULL;
    return first;
}

/* ---- what becomes of it ------------------------------------------------------------------ */

/* From the last on to the one behind the first unfinished one: they have not run. */
static void put_back(const struct batch_entry *entries, uint32_t unfinished, uint32_t count)
{
    for (uint32_t i = count - 1; i > unfinished; i--) {
        struct klane_slot *slot = entries[i].slot;

        free(slot->back.notice);
        slot->back.notice = NULL;
        chain_put_back(&entries[i - 1].slot->chain, &slot->chain);
    }
}

/* All are finished. Returns what comes next in the lane, if this worker is to run it. */
static struct klane_slot *finish_last(struct worker *worker, struct klane_slot *slot,
                                      uint32_t in_row)
{
    struct klane_slot *next = pass_on(worker, slot, in_row);

    return next != NULL && worker->space.asks ? slot_ask(worker->runtime, next) : next;
}

/* The records of one lane. Returns what comes next. */
static struct klane_slot *end_lane(struct worker *worker, const struct batch_entry *entries,
                                   uint32_t count, uint32_t in_row)
{
    uint32_t finished = 0;

    while (finished < count && entries[finished].slot->back.outcome < SLOT_RETRY)
        finished++;
    if (finished < count)
        put_back(entries, finished, count);
    for (uint32_t i = 0; i < finished && i + 1 < count; i++) {
        entries[i].slot->back.passed = true;
        slot_report_quietly(worker, entries[i].slot);
    }
    if (finished == count)
        return finish_last(worker, entries[count - 1].slot, in_row);
    slot_report(worker->runtime, entries[finished].slot);
    return NULL;
}

static struct klane_slot *end_batch(struct worker *worker, uint32_t in_row)
{
    const struct batch_space *space = &worker->space;
    struct klane_slot *next = NULL;
    uint32_t begin = 0;

    for (uint32_t i = 1; i <= space->count; i++) {
        if (i < space->count && !space->entries[i].is_first)
            continue;
        /* Only one without others has a next; those of others are asked for. */
        next = end_lane(worker, &space->entries[begin], i - begin, in_row);
        begin = i;
    }
    return next;
}

/* To control: the other lanes of what the next turn runs. */
static void others_show(struct worker *worker)
{
    const struct batch_space *space = &worker->space;
    uint32_t lanes = 0;

    for (uint32_t i = 1; i < space->count; i++)
        if (space->entries[i].is_first)
            /* W2 release, both: pair with worker_slot(). */
            atomic_store_explicit(&worker->others[lanes++], space->entries[i].slot,
                                  memory_order_release);
    atomic_store_explicit(&worker->others_count, lanes, memory_order_release);
}

struct klane_slot *run_batch(struct worker *worker, struct klane_slot *slot, uint32_t in_row)
{
    struct klane_runtime *runtime = worker->runtime;
    const struct route *route = route_of(runtime, slot);
    struct batch_space *space = &worker->space;
    struct klane_batch batch;

    space->count = 0;
    space->asks = in_row == 1 && slot->back.with != NULL;
    if (space->asks) {
        add_linked(runtime, space, slot, route->gather.records_max);
    } else {
        /* Asked once: what is paid may change meanwhile, and there is no handler for one. */
        if ((slot->record.has & SLOT_HAS_LETTER) != 0 || slot_frees_state(slot))
            return run_single(worker, slot, in_row);
        if (!assignment_may_start(slot->record.assignment))
            return slot_refuse(runtime, slot);
        /* What came by the chain may have to wait for others. */
        if (!slot_is_paid(slot) || (route->gathers && in_row > 1))
            return slot_ask(runtime, slot);
        add_lane(space, slot, route->gather.records_max);
    }
    if (space->count == 0)
        return NULL;
    for (uint32_t i = 0; i < space->count; i++)
        space->records[i].worker_local = worker->local;
    batch = (struct klane_batch){space->records, space->count, runtime};
    others_show(worker);
    turn_begin(worker, space->entries[0].slot);
    /* Relaxed: a count for statistics, which only this thread writes. */
    atomic_store_explicit(&worker->joined,
                          atomic_load_explicit(&worker->joined, memory_order_relaxed) +
                              space->count - 1,
                          memory_order_relaxed);
    route->batch(&batch, route->context);
    turn_end(worker);
    /* Relaxed: the next turn begins behind it. */
    atomic_store_explicit(&worker->others_count, 0, memory_order_relaxed);
    return end_batch(worker, in_row);
}

klane_err_t klane_batch_set(struct klane_batch *batch, size_t index, enum klane_outcome outcome)
{
    struct klane_slot *slot;

    if (batch == NULL || index >= batch->count)
        return KLANE_ERR_INVALID;
    slot = batch->records[index].slot;
    slot->back.outcome = (uint8_t)slot_outcome(batch->runtime, slot, outcome);
    return KLANE_OK;
}
