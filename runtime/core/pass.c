/* SPDX-License-Identifier: Apache-2.0 */
/* Passes, by the rules of parking.h. */
#include "base/assert.h"
#include "core/internal.h"
#include "core/parked.h"

/* ---- their begin ------------------------------------------------------------------------- */

static void begin_pass(struct parking *parking, uint32_t quota)
{
    struct pass *pass = &parking->pass;

    *pass =
        (struct pass){.is_on = true, .has_fed = true, .position = parking->fit.entries[0].value};
    parking->is_urgent = false;
    TAILQ_INIT(&pass->parts);
    while (parking->fit.count > 0) {
        struct parked *parked = parked_of_fit(parking->fit.entries[0].node);

        heap_remove(&parking->fit, &parked->fit);
        parked->takes_part = true;
        parked->fit_at = parked_fit_at(quota);
        TAILQ_INSERT_TAIL(&pass->parts, parked, part);
        if (parked->end > pass->end)
            pass->end = parked->end;
    }
}

static bool is_to_begin(const struct klane_assignment *assignment)
{
    const struct parking *parking = &assignment->parking;

    return parking->is_urgent && parking->fit.count > 0 && !parking->pass.is_on &&
           assignment_may_start(assignment) && !(assignment->partition->stops & STOPS_ALL);
}

bool parking_wants_a_pass(const struct core *core)
{
    const struct klane_assignment *each;

    if (core->parked.count == 0)
        return false;
    for (each = core->assignments; each != NULL; each = each->next)
        if (each->parking.pass.is_on || is_to_begin(each))
            return true;
    return false;
}

static struct klane_assignment *next_pass(const struct core *core)
{
    struct klane_assignment *each;

    if (core->parked.count == 0 ||
        core_room(core) < core->config.records_max / part_for_a_pass(core) ||
        core_room(core) <= CROWD_KEPT_BY_PASSES(core->config.records_max) ||
        !room_for_a_pass(core))
        return NULL;
    for (each = core->assignments; each != NULL; each = each->next)
        if (is_to_begin(each))
            return each;
    return NULL;
}

bool core_pass_is_due(const struct core *core)
{
    return next_pass(core) != NULL;
}

struct klane_assignment *core_next_pass(struct core *core, int64_t *from)
{
    struct klane_assignment *assignment = next_pass(core);

    if (assignment == NULL)
        return NULL;
    begin_pass(&assignment->parking, core->config.lane_records_max);
    core->pass_wants = 0;
    core->counts.passes++;
    *from = assignment->parking.pass.position;
    return assignment;
}

/* ---- their end --------------------------------------------------------------------------- */

/* A pass has got past its head without meeting it. */
static void head_is_gone(struct core *core, struct parked *parked)
{
    struct klane_assignment *assignment = parked->assignment;

    KLANE_MARK("the head of a parked lane is gone from the log");
    parked->is_unmet = false;
    assignment->head_gone.offset = parked->next;
    assignment->head_gone.fingerprint = parked->fingerprint;
    core->counts.heads_gone++;
    notice_add(core, assignment, NOTICE_HEAD_GONE);
}

/* Everything of it below this offset was brought. */
static void leave_at(struct core *core, struct parked *parked, int64_t offset)
{
    if (parked->is_unmet && parked->next < offset)
        head_is_gone(core, parked);
    if (parked->next < offset)
        parked_set_next(parked, offset);
    KLANE_ASSERT(parked->kept_count == 0 || parked->kept_first->record.offset >= parked->next);
    parked_leave(core, parked);
    if (parked->next >= parked->end) {
        KLANE_MARK("a pass ends early, past all that a lane had left");
        parked_remove(core, parked);
    } else {
        parked_fit_check(parked);
    }
}

void parking_end_pass(struct core *core, struct klane_assignment *assignment)
{
    struct pass *pass = &assignment->parking.pass;
    struct parked *parked;

    while (pass->is_on && (parked = TAILQ_FIRST(&pass->parts)) != NULL)
        leave_at(core, parked, pass->position);
    pass->is_on = false;
}

/* ---- what they bring ---------------------------------------------------------------------- */

/* NULL: it has nothing in memory. *hash: to create it with. */
static struct lane *lane_of(const struct core *core, const struct lane_name *name, uint64_t *hash)
{
    *hash = 0;
    return name->kind == LANE_OF_RECORD ? NULL : lane_find(&core->lanes, name, hash);
}

/* Puts a slot behind its lane. False: that has its quota, or there is no memory for one. */
static bool feed(struct core *core, struct klane_slot *slot, enum lane_kind kind)
{
    struct klane_assignment *assignment = slot->record.assignment;
    struct lane_name name = parked_name_of_slot(slot, kind);
    struct lane *lane;
    uint64_t hash;

    /* One lane more in the heap of heads. */
    if (!heap_reserve(&assignment->offsets.heads, assignment->slots + 1))
        return false;
    assignment_charge(core, assignment);
    lane = lane_of(core, &name, &hash);
    if (lane != NULL && lane_is_full(core, lane))
        return false;
    /* What was kept may be held since then. */
    if (schedule_stops(core, &name))
        slot_is_to_ask(slot);
    if (lane_enter(core, lane, &name, hash, slot) == NULL)
        return false;
    offsets_feed(&assignment->offsets, slot);
    return true;
}

/* The pass cannot bring the record. */
static void stay_out(struct core *core, struct parked *parked, const struct lane *lane,
                     int64_t offset)
{
    parked_set_next(parked, offset);
    parked->is_unmet = true;
    /* Also those of an earlier stay, which was before the entry. */
    if (lane != NULL && parked->slots < lane->count)
        parked->slots = lane->count;
    parked_is_full(core, parked);
    parked_leave(core, parked);
    parked_fit_check(parked);
}

/* There is no room for its lane's next record, which was kept. */
static void stay_out_with(struct core *core, struct parked *parked, const struct klane_slot *slot)
{
    struct lane_name name = parked_name_of_slot(slot, (enum lane_kind)slot->control.kind);
    uint64_t hash;

    stay_out(core, parked, lane_of(core, &name, &hash), slot->record.offset);
}

/* Nothing of it is left in the log below its end: what was kept follows, and the entry goes. */
static void meet_end(struct core *core, struct parked *parked)
{
    struct klane_slot *slot;

    if (parked->is_unmet)
        head_is_gone(core, parked);
    while ((slot = parked->kept_first) != NULL) {
        struct klane_slot *next = slot->control.next;

        if (!feed(core, slot, (enum lane_kind)slot->control.kind)) {
            stay_out_with(core, parked, slot);
            return;
        }
        parked->kept_first = next;
        parked->kept_count--;
        parked->slots++;
    }
    KLANE_ASSERT(parked->kept_count == 0);
    KLANE_MARK("a parked lane is in memory again");
    parked->kept_last = NULL;
    parked_leave(core, parked);
    parked_remove(core, parked);
}

/* Whether the record is in memory already, or in front of what is. */
static bool is_known(const struct klane_assignment *assignment, const struct lane *lane,
                     int64_t offset)
{
    return lane != NULL && lane->last->record.assignment == assignment &&
           lane->last->record.offset >= offset;
}

/* It is the record of which something is known. */
static void head_is_known(struct klane_slot *slot, const struct parked *parked)
{
    slot->record.attempt += parked->attempts;
    slot->control.crashes = parked->crashes & PROGRESS_CRASHES_MAX;
    slot->control.is_plain &= parked->crashes == 0;
    if (parked->is_due_now)
        slot_due_now(slot);
}

/* The last of room is for lanes that have nothing in memory, and the last of that for what comes
 * in otherwise. */
static bool has_room(const struct core *core, const struct parked *parked)
{
    uint32_t all = core->config.records_max;

    return core_room(core) >
           (parked->slots == 0 ? CROWD_KEPT_BY_PASSES(all) : all / ROOM_FOR_A_PASS / 2);
}

enum feeding {
    FEED_TAKEN,
    FEED_FULL,   /* its lane has its quota */
    FEED_NO_ROOM /* in memory */
};

static enum feeding feed_record(struct core *core, struct parked *parked, struct lane *lane,
                                const struct source_record *record,
                                const struct core_place *place)
{
    struct klane_assignment *assignment = parked->assignment;
    struct klane_slot *slot;

    if (lane != NULL && lane->count + parked->kept_count >= core->config.lane_records_max)
        parked_let_go(core, parked);
    if (lane != NULL && lane_is_full(core, lane))
        return FEED_FULL;
    if (!has_room(core, parked) || !room_for_pass(core, assignment, record, place))
        return FEED_NO_ROOM;
    slot = slot_of_record(core, assignment, record, place);
    if (slot == NULL)
        return FEED_NO_ROOM;
    if (record->offset == parked->next)
        head_is_known(slot, parked);
    slot_counted(core, slot);
    if (!feed(core, slot, place->kind)) {
        slot_forget(core, slot);
        return FEED_NO_ROOM;
    }
    parked->slots++;
    assignment->parking.pass.has_fed = true;
    return FEED_TAKEN;
}

/* There is no room at this offset. Who has something in memory leaves here, so that they go on
 * together; for the others the pass goes on. */
static void leave_without_room(struct core *core, struct klane_assignment *assignment,
                               int64_t offset)
{
    struct pass *pass = &assignment->parking.pass;
    struct parked *parked, *next;

    /* All of them would be looked at for each record that finds no room. */
    if (!pass->has_fed)
        return;
    pass->has_fed = false;
    for (parked = TAILQ_FIRST(&pass->parts); parked != NULL; parked = next) {
        next = TAILQ_NEXT(parked, part);
        if (parked->slots == 0)
            continue;
        parked_is_full(core, parked);
        leave_at(core, parked, offset);
    }
}

void core_swept(struct core *core, struct klane_assignment *assignment,
                const struct source_record *record, const struct core_place *place)
{
    struct lane_name name = lane_name_of(assignment->partition, record, place);
    struct parked *parked;
    struct lane *lane;
    uint64_t hash;

    core->counts.swept_records++;
    core->counts.swept_bytes +=
        (uint64_t)record->key_size + record->value_size + record->headers_size;
    if (!assignment->parking.pass.is_on || record->offset >= assignment->parking.pass.end)
        return;
    parked = parked_find(core, assignment, parked_fingerprint(assignment, &name, record->offset),
                         name.kind);
    if (parked == NULL || !parked->takes_part || record->offset < parked->next ||
        record->offset >= parked->end || !parked_stands_for(parked, &name, record->offset))
        return;
    if (parked->is_unmet && record->offset > parked->next)
        head_is_gone(core, parked);
    lane = lane_of(core, &name, &hash);
    if (!is_known(assignment, lane, record->offset)) {
        enum feeding feeding = feed_record(core, parked, lane, record, place);

        if (feeding != FEED_TAKEN) {
            stay_out(core, parked, lane, record->offset);
            if (feeding == FEED_NO_ROOM)
                leave_without_room(core, assignment, record->offset);
            return;
        }
    }
    parked_set_next(parked, record->offset + 1);
    if (parked->next >= parked->end)
        meet_end(core, parked);
}

bool core_swept_to(struct core *core, struct klane_assignment *assignment, int64_t position)
{
    struct pass *pass = &assignment->parking.pass;
    struct parked *parked, *next;

    if (!pass->is_on)
        return true;
    /* Beyond its end it was brought records in vain. */
    if (position > pass->end)
        position = pass->end;
    pass->position = position;
    if (position < pass->end && !TAILQ_EMPTY(&pass->parts))
        return false;
    /* Who still takes part has its end behind it, or has got a later one meanwhile. */
    for (parked = TAILQ_FIRST(&pass->parts); parked != NULL; parked = next) {
        next = TAILQ_NEXT(parked, part);
        if (parked->end <= position)
            meet_end(core, parked);
    }
    parking_end_pass(core, assignment);
    return true;
}
