/* SPDX-License-Identifier: Apache-2.0 */
/* By what states are told apart: everything that the world or the core may still look at is
 * written down in an order that addresses have no part in, and is hashed.
 *
 * Why that determines the future: of the world every field is written. Of the core it is what its
 * decisions read: each assignment's offsets, progress and notices, its parked lanes and its pass;
 * each lane with its slots, in order, and their links; the order of what is ready, and of what is
 * due; what is to be committed and when. Left out is what is fixed in a scope, what only counts
 * (core.counts), what is a function of the rest (most counters), and the time of the last commit,
 * as commits have no interval here. That nothing is missing is not only argued: the search takes
 * states that it has met before, by this hash, a step further from where it met them again, and
 * insists that the same comes of it (parking.c). */
#include "model/parking_world.h"

#include "base/assert.h"
#include "base/hash.h"

#include <stdlib.h>

#define VALUES_MAX 600
#define LANES_MAX (2 * RECORDS_MAX)

static struct {
    int64_t values[VALUES_MAX];
    uint32_t count;
} written;

static struct {
    const struct lane *list[LANES_MAX];
    uint32_t count;
} lanes;

static void put(int64_t value)
{
    KLANE_ASSERT(written.count < VALUES_MAX);
    written.values[written.count++] = value;
}

static void put_hash(const void *bytes, size_t size)
{
    put((int64_t)hash_bytes(bytes, size, size));
}

/* ---- the world --------------------------------------------------------------------------- */

static void put_commit(const struct commit_text *commit)
{
    put(commit->base);
    put(commit->epoch);
    put(commit->covered);
    put_hash(commit->map, commit->size);
}

static void put_world(void)
{
    put_hash(&world.left, sizeof(world.left));
    put(world.now_ms);
    put(world.epoch);
    put(world.assignment != NULL);
    put(world.position);
    put(world.sweeps ? world.swept : -1);
    put(world.end_told | world.revoked << 1 | world.tries_are_kept << 2 | world.is_out << 3 |
        world.is_stored << 4);
    put(world.gone | world.finished << 8 | world.handled << 16);
    put(world.known);
    put_hash(world.tries, sizeof(world.tries));
    put_hash(world.due_ms, sizeof(world.due_ms));
    put_hash(world.last_begun, sizeof(world.last_begun));
    for (uint32_t i = 0; i < world.job_count; i++)
        put(world.jobs[i].epoch << 16 | (uint32_t)world.jobs[i].record << 8 |
            world.jobs[i].state);
    put(world.job_count);
    if (world.is_out)
        put_commit(&world.sent);
    put_commit(&world.log);
}

/* ---- lanes ------------------------------------------------------------------------------- */

static void lane_gather(const struct lane *lane)
{
    if (lane == NULL)
        return;
    for (uint32_t i = 0; i < lanes.count; i++)
        if (lanes.list[i] == lane)
            return;
    KLANE_ASSERT(lanes.count < LANES_MAX);
    lanes.list[lanes.count++] = lane;
}

/* Those of single records have no name, but their slots are in the offsets, or with workers. */
static void gather_lanes(void)
{
    const struct klane_assignment *each;

    lanes.count = 0;
    for (uint8_t i = 0; i < records_of(world.scope); i++)
        lane_gather(world_lane(i));
    for (uint32_t i = 0; i < world.job_count; i++)
        lane_gather(world.jobs[i].slot->control.lane);
    for (each = world.core.assignments; each != NULL; each = each->next) {
        uint32_t sequence = each->offsets.first;
        const struct klane_slot *slot;

        if (assignment_state(each) >= ASSIGNMENT_SETTLING)
            continue;
        while ((slot = offsets_in_ring(&each->offsets, &sequence)) != NULL)
            lane_gather(slot->control.lane);
        for (uint32_t i = 0; i < each->offsets.heads.count; i++)
            lane_gather(lane_of_head(each->offsets.heads.entries[i].node));
    }
}

static int64_t slot_name(const struct klane_slot *slot)
{
    return slot == NULL ? -1
                        : (int64_t)slot->record.assignment->epoch << 32 | slot->record.offset;
}

static int by_first(const void *left, const void *right)
{
    const struct lane *const *a = left, *const *b = right;
    int64_t first = slot_name((*a)->first), other = slot_name((*b)->first);

    return (first > other) - (first < other);
}

/* Its link is with it, or is done, or passes on to the next of the lane. */
static void put_slot(const struct klane_slot *slot)
{
    /* Relaxed: there is one thread. */
    struct chain_link *next = atomic_load_explicit(&slot->chain.next, memory_order_relaxed);

    put(slot_name(slot));
    put(slot->control.state | slot->control.overdue << 8 | slot->control.crashes << 9 |
        (int64_t)slot->record.attempt << 16);
    if (next == NULL || next == CHAIN_DONE)
        put(next == NULL ? -1 : -2);
    else
        put(slot_name(slot_of_link(next)));
}

static void put_lane(const struct lane *lane)
{
    for (const struct klane_slot *slot = lane->first; slot; slot = slot->control.next)
        put_slot(slot);
    put(slot_name(lane->held));
    put(lane->count);
    put(lane->seen_head);
    put(heap_has(&lane->head));
}

static void put_table_node(struct table_node *node, void *context)
{
    (void)context;
    put(slot_name(lane_of_node(node)->first));
}

static void put_lanes(void)
{
    const struct partition *partition = world.core.partitions;

    gather_lanes();
    qsort(lanes.list, lanes.count, sizeof(lanes.list[0]), by_first);
    for (uint32_t i = 0; i < lanes.count; i++)
        put_lane(lanes.list[i]);
    put(lanes.count);
    /* As the table has them, which is the order in which they are looked at. */
    if (world.scope->may.looks > 0)
        table_each(&world.core.lanes.table, put_table_node, NULL);
    for (const struct lane *lane = partition->ready.list.first; lane; lane = lane->ready_next)
        put(slot_name(lane->held));
    put(partition->ready.count);
    put(partition->held | partition->crowded << 1 | partition->far << 2);
}

/* ---- assignments ------------------------------------------------------------------------- */

static void put_parked(const struct parked *parked)
{
    put((int64_t)parked->fingerprint);
    put((int64_t)parked->own);
    put(parked->others_from);
    put(parked->next);
    put(parked->end);
    put(parked->slots | (int64_t)parked->fit_at << 32);
    for (const struct klane_slot *slot = parked->kept_first; slot; slot = slot->control.next)
        put(slot_name(slot));
    put(parked->kept_count | (int64_t)parked->attempts << 32);
    put(parked->due_ms);
    put(parked->due_wall_ms);
    put(parked->takes_part | heap_has(&parked->fit) << 1 | parked->is_record << 2 |
        parked->is_unmet << 3);
}

static int by_name(const void *left, const void *right)
{
    const struct parked *const *a = left, *const *b = right;

    if ((*a)->is_record != (*b)->is_record)
        return (*a)->is_record - (*b)->is_record;
    return ((*a)->fingerprint > (*b)->fingerprint) - ((*a)->fingerprint < (*b)->fingerprint);
}

static void put_parking(const struct parking *parking)
{
    const struct parked *list[RECORDS_MAX], *part;
    uint32_t count = parking->parked.count;

    KLANE_ASSERT(count <= RECORDS_MAX);
    for (uint32_t i = 0; i < count; i++)
        list[i] = parked_of_next(parking->parked.entries[i].node);
    qsort(list, count, sizeof(list[0]), by_name);
    for (uint32_t i = 0; i < count; i++)
        put_parked(list[i]);
    put(count);
    if (!parking->pass.is_on)
        return;
    put(parking->pass.position);
    put(parking->pass.end);
    TAILQ_FOREACH(part, &parking->pass.parts, part)
    put((int64_t)part->fingerprint);
}

/* What the ring does not have is spoken for by its lane's head. */
static void put_ring(const struct offsets *offsets)
{
    uint32_t sequence = offsets->first;
    const struct klane_slot *slot;

    while ((slot = offsets_in_ring(offsets, &sequence)) != NULL)
        put(slot_name(slot));
    put(-1);
}

static void put_assignment(const struct klane_assignment *assignment)
{
    put(assignment->epoch | (int64_t)assignment_state(assignment) << 32);
    put((int64_t)assignment->seed);
    put(assignment->offsets.frontier);
    put(assignment->offsets.limit);
    put(assignment->slots | (int64_t)assignment->overdue << 32);
    put(assignment->committed);
    put(assignment->committing);
    put((int64_t)assignment->progress.hash);
    put(assignment->committing == -1 ? 0 : (int64_t)assignment->committing_progress.hash);
    put(assignment->dirty | assignment->behind << 1 | assignment->notices << 2);
    put(assignment->head_gone.offset);
    put(assignment->end);
    if (assignment_state(assignment) >= ASSIGNMENT_DRAINING)
        put(assignment->deadline_ms);
    if (assignment_state(assignment) >= ASSIGNMENT_SETTLING) {
        put(assignment->base_final);
        put((int64_t)assignment->map.mark.hash);
    } else {
        put_ring(&assignment->offsets);
    }
    put_parking(&assignment->parking);
}

/* As they stand in the heaps: of those that are due together the order may matter. */
static void put_timers(void)
{
    const struct heap *heap = &world.core.timers;

    for (uint32_t i = 0; i < heap->count; i++) {
        put(heap->entries[i].value);
        put(slot_name(lane_of_timer(heap->entries[i].node)->held));
    }
    put(-1);
    heap = &world.core.parked_timers;
    for (uint32_t i = 0; i < heap->count; i++) {
        put(heap->entries[i].value);
        put((int64_t)parked_of_timer(heap->entries[i].node)->fingerprint);
    }
    put(-1);
}

static void put_core(void)
{
    const struct core *core = &world.core;

    put((int64_t)core->config.seed);
    put_timers();
    for (const struct klane_assignment *each = core->assignments; each; each = each->next)
        put_assignment(each);
    put(core->assigned | (int64_t)core->behind << 32);
    put(core->draining | (int64_t)core->settling << 32);
    put(core->admission.records);
    put(core->commit.not_before_ms > world.now_ms ? core->commit.not_before_ms : 0);
    put(core->commit.out | core->commit.refused << 1);
    put(core->stuck_look_ms);
    put(core->stuck_looks);
}

uint64_t state_hash(void)
{
    written.count = 0;
    put_world();
    put_lanes();
    put_core();
    return hash_bytes(written.values, written.count * sizeof(written.values[0]), 0);
}
