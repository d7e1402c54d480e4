/* SPDX-License-Identifier: Apache-2.0 */
#include "core/parked.h"

#include "base/assert.h"
#include "core/internal.h"

/* Of an entry: its places in the core's table and heap, which may be twice as large as needed. */
#define PARKED_BYTES (2 * sizeof(struct heap_entry) + 2 * sizeof(struct table_node *))

size_t parked_bytes(void)
{
    return sizeof(struct parked) + PARKED_BYTES;
}

/* Partitions have the same keys: each has hashes of its own. */
static uint64_t hash_of(const struct klane_assignment *assignment, uint64_t fingerprint)
{
    return fingerprint ^ (assignment->epoch * 0x9e3779b97f4a7c15U);
}

struct parked *parked_find(const struct core *core, const struct klane_assignment *assignment,
                           uint64_t fingerprint, enum lane_kind kind)
{
    struct table_node *node = table_first(&core->parked, hash_of(assignment, fingerprint));

    for (; node != NULL; node = table_next(node)) {
        struct parked *parked = parked_of_node(node);

        if (parked->assignment == assignment && parked->fingerprint == fingerprint &&
            parked->is_record == (kind == LANE_OF_RECORD))
            return parked;
    }
    return NULL;
}

struct parked *parked_add(struct core *core, struct klane_assignment *assignment,
                          uint64_t fingerprint, enum lane_kind kind, int64_t next)
{
    struct parking *parking = &assignment->parking;
    struct parked *parked;
    uint8_t size_class;

    if (!heap_reserve(&parking->parked, parking->parked.count + 1) ||
        !heap_reserve(&parking->fit, parking->parked.count + 1) ||
        !heap_reserve(&core->parked_timers, core->parked.count + 1))
        return NULL;
    assignment_charge(core, assignment);
    parked = slab_alloc(&core->slab, sizeof(*parked), &size_class);
    if (parked == NULL)
        return NULL;
    core->slab.charged += PARKED_BYTES;
    *parked = (struct parked){
        .assignment = assignment,
        .fingerprint = fingerprint,
        .others_from = INT64_MAX,
        .next = next,
        .end = next + 1,
        .fit_at = parked_fit_at(core->config.lane_records_max),
        .by_next = {HEAP_NOWHERE},
        .fit = {HEAP_NOWHERE},
        .timer = {HEAP_NOWHERE},
        .is_record = kind == LANE_OF_RECORD,
        .is_unmet = true,
        .size_class = size_class,
    };
    table_add(&core->parked, &parked->node, hash_of(assignment, fingerprint));
    heap_set(&parking->parked, &parked->by_next, next);
    return parked;
}

void parked_set_next(struct parked *parked, int64_t next)
{
    if (next != parked->next) {
        parked->attempts = 0;
        parked->crashes = 0;
        parked->is_unmet = parked->is_held = parked->is_due_now = false;
    }
    parked->next = next;
    heap_set(&parked->assignment->parking.parked, &parked->by_next, next);
    if (heap_has(&parked->fit))
        heap_set(&parked->assignment->parking.fit, &parked->fit, next);
}

void parked_let_go(struct core *core, struct parked *parked)
{
    struct klane_slot *slot = parked->kept_first, *next;

    if (slot == NULL)
        return;
    KLANE_MARK("kept records are let go");
    parked->end = parked->kept_last->record.offset + 1;
    for (; slot != NULL; slot = next) {
        next = slot->control.next;
        slot_forget(core, slot);
    }
    parked->kept_first = NULL;
    parked->kept_last = NULL;
    parked->kept_count = 0;
}

void parked_fit_check(struct parked *parked)
{
    struct parking *parking = &parked->assignment->parking;

    if (parked->takes_part || heap_has(&parked->timer) || parked->slots > parked->fit_at)
        return;
    if (!heap_has(&parked->fit))
        heap_set(&parking->fit, &parked->fit, parked->next);
    if (parked_has_little(parked, parked->slots))
        parking->is_urgent = true;
}

void parked_waits_no_more(struct core *core, struct parked *parked)
{
    if (heap_has(&parked->timer))
        heap_remove(&core->parked_timers, &parked->timer);
    parked->due_ms = parked->due_wall_ms = 0;
    parked->is_held = false;
}

void parked_is_full(const struct core *core, struct parked *parked)
{
    uint32_t quota = core->config.lane_records_max;

    parked->fit_at = parked_fit_at(parked->slots < quota ? parked->slots : quota);
}

void parked_leave(struct core *core, struct parked *parked)
{
    parked_let_go(core, parked);
    parked->takes_part = false;
    TAILQ_REMOVE(&parked->assignment->parking.pass.parts, parked, part);
    commit_mark(&core->commit, parked->assignment);
}

void parked_remove(struct core *core, struct parked *parked)
{
    struct parking *parking = &parked->assignment->parking;

    if (heap_has(&parked->fit))
        heap_remove(&parking->fit, &parked->fit);
    if (heap_has(&parked->timer))
        heap_remove(&core->parked_timers, &parked->timer);
    heap_remove(&parking->parked, &parked->by_next);
    table_remove(&core->parked, &parked->node);
    core->slab.charged -= PARKED_BYTES;
    slab_free(&core->slab, parked, parked->size_class);
}

struct lane_name parked_name_of_slot(const struct klane_slot *slot, enum lane_kind kind)
{
    struct lane_name name = {.partition = slot->record.assignment->partition, .kind = kind};

    name.key = slot_lane_key(slot, &name.key_size);
    return name;
}

uint64_t parked_fingerprint(const struct klane_assignment *assignment,
                            const struct lane_name *name, int64_t offset)
{
    uint64_t fingerprint = lane_fingerprint(name, offset, assignment->seed);

#ifdef KLANE_TESTING
    if (name->kind != LANE_OF_RECORD)
        fingerprint &= ~assignment->fingerprints_alike;
#endif
    return fingerprint;
}

uint64_t parked_own(const struct klane_assignment *assignment, const struct lane_name *name)
{
    return lane_fingerprint(name, 0, ~assignment->seed);
}

bool parked_stands_for(const struct parked *parked, const struct lane_name *name, int64_t offset)
{
    return offset >= parked->others_from || parked->own == parked_own(parked->assignment, name);
}

void parked_stand_for(struct parked *parked, const struct lane_name *name, int64_t offset)
{
    if (parked_stands_for(parked, name, offset))
        return;
    KLANE_MARK("a parked lane stands for another key too");
    parked->others_from = offset;
    /* Others' records from there on run once more: all of them, or one would be behind a later. */
    if (parked->end < parked->assignment->offsets.frontier)
        parked->end = parked->assignment->offsets.frontier;
}

uint64_t parking_fingerprint(const struct klane_assignment *assignment,
                             const struct klane_slot *slot)
{
    struct lane_name name = parked_name_of_slot(slot, (enum lane_kind)slot->control.lane->kind);

    return parked_fingerprint(assignment, &name, slot->record.offset);
}
