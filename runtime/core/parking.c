/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of parked lanes outside of passes: see parking.h. */
#include "base/assert.h"
#include "base/clock.h"
#include "core/internal.h"
#include "core/parked.h"

/* ---- the main flow ----------------------------------------------------------------------- */

static void keep(struct core *core, struct parked *parked, struct klane_slot *slot,
                 enum lane_kind kind)
{
    slot->control.kind = kind & 127U;
    slot->control.next = NULL;
    if (parked->kept_last == NULL)
        parked->kept_first = slot;
    else
        parked->kept_last->control.next = slot;
    parked->kept_last = slot;
    parked->kept_count++;
    slot_came_in(core, slot);
}

static void drop(struct core *core, struct klane_assignment *assignment, int64_t offset)
{
    offsets_reach(&assignment->offsets, offset + 1);
    commit_mark(&core->commit, assignment);
}

bool parking_takes(struct core *core, struct klane_assignment *assignment,
                   const struct source_record *record, const struct core_place *place)
{
    struct lane_name name = lane_name_of(assignment->partition, record, place);
    struct parked *parked = parked_find(
        core, assignment, parked_fingerprint(assignment, &name, record->offset), name.kind);
    struct klane_slot *slot = NULL;

    if (parked == NULL)
        return false;
    parked_stand_for(parked, &name, record->offset);
    if (parked->takes_part &&
        parked->slots + parked->kept_count < core->config.lane_records_max &&
        room_is_there(core, slot_size_of(record, place)))
        slot = slot_of_record(core, assignment, record, place);
    if (slot != NULL) {
        keep(core, parked, slot, place->kind);
        offsets_reach(&assignment->offsets, record->offset + 1);
        return true;
    }
    parked_let_go(core, parked);
    parked->end = record->offset + 1;
    drop(core, assignment, record->offset);
    return true;
}

bool parking_begin(struct core *core, struct klane_assignment *assignment,
                   const struct lane *lane, const struct lane_name *name, int64_t offset)
{
    struct parked *parked = parked_add(
        core, assignment, parked_fingerprint(assignment, name, offset), name->kind, offset);

    if (parked == NULL)
        return false;
    KLANE_MARK("a lane over its quota is parked");
    parked->own = parked_own(assignment, name);
    parked->slots = lane->count;
    parked_is_full(core, parked);
    drop(core, assignment, offset);
    return true;
}

/* ---- memory is short --------------------------------------------------------------------- */

/* Its head has not moved since the last look. */
static bool is_stuck(const struct lane *lane)
{
    return !lane_is_gathered(lane) && lane->seen_head == lane->first->record.offset;
}

static void look_for_longest(struct table_node *node, void *context)
{
    uint32_t *longest = context;

    if (is_stuck(lane_of_node(node)) && lane_of_node(node)->count > *longest)
        *longest = lane_of_node(node)->count;
}

/* Of the slot's lane, from it on. NULL: no memory. */
static struct parked *add_for(struct core *core, const struct klane_slot *slot)
{
    struct klane_assignment *assignment = slot->record.assignment;
    enum lane_kind kind = (enum lane_kind)slot->control.lane->kind;
    struct lane_name name = parked_name_of_slot(slot, kind);
    struct parked *parked = parked_add(core, assignment, parking_fingerprint(assignment, slot),
                                       kind, slot->record.offset);

    if (parked != NULL)
        parked->own = parked_own(assignment, &name);
    return parked;
}

/* An entry has one head. What is known of that would be lost if it began before it; and of another
 * key also what is finished would be read again, before its head. */
static bool has_note(const struct parked *parked)
{
    return parked->attempts > 0 || heap_has(&parked->timer);
}

static bool is_of_another(const struct parked *parked, const struct klane_slot *slot)
{
    struct lane_name name = parked_name_of_slot(slot, (enum lane_kind)slot->control.lane->kind);

    return parked->own != parked_own(parked->assignment, &name);
}

/* Half of the lane is parked. False: workers have it all, or there is no memory. */
static bool shorten(struct core *core, struct lane *lane)
{
    struct klane_assignment *assignment = lane->last->record.assignment;
    uint64_t fingerprint = parking_fingerprint(assignment, lane->last);
    struct parked *parked =
        parked_find(core, assignment, fingerprint, (enum lane_kind)lane->kind);
    bool is_new = parked == NULL;
    struct klane_slot *first, *slot, *next;

    if (!assignment_may_start(assignment) ||
        (!is_new && has_note(parked) && is_of_another(parked, lane->last)))
        return false;
    /* First, as it can fail. */
    if (is_new)
        parked = add_for(core, lane->last);
    if (parked == NULL)
        return false;
    first = lane_shorten(lane, lane->count / 2);
    if (first == NULL) {
        KLANE_MARK("a long lane has been passed on");
        if (is_new)
            parked_remove(core, parked);
        return false;
    }
    KLANE_MARK("a stuck lane is shortened");
    if (parked->takes_part)
        parked_leave(core, parked);
    if (heap_has(&parked->fit))
        heap_remove(&assignment->parking.fit, &parked->fit);
    /* What is let go is no progress: 0 until the lane is as short as it is to be. */
    parked->slots = 0;
    for (slot = first; slot != NULL; slot = next) {
        next = slot->control.next;
        parking_unfinished(core, slot, &(struct head_note){0});
        slot_gone(core, slot);
    }
    parked->slots = lane->count;
    parked->fit_at = parked_fit_at(parked->slots);
    return true;
}

struct shortening {
    struct core *core;
    uint32_t least;
    bool has_parked;
};

static void shorten_if_stuck(struct table_node *node, void *context)
{
    struct shortening *shortening = context;
    struct lane *lane = lane_of_node(node);

    if (is_stuck(lane) && lane->count >= shortening->least && shorten(shortening->core, lane))
        shortening->has_parked = true;
    if (!lane_is_gathered(lane))
        lane->seen_head = lane->first->record.offset;
}

bool parking_shorten_stuck(struct core *core)
{
    struct shortening shortening = {.core = core};
    uint32_t longest = 0;

    table_each(&core->lanes.table, look_for_longest, &longest);
    shortening.least = longest < 4 ? 2 : longest / 2;
    table_each(&core->lanes.table, shorten_if_stuck, &shortening);
    return shortening.has_parked;
}

/* The record at next has been tried, and may have to wait. */
static void note_head(struct core *core, struct parked *parked, const struct head_note *note)
{
    parked->attempts = note->attempts;
    parked->crashes = note->crashes;
    parked->is_held = note->is_held;
    parked->due_ms = note->due_ms;
    parked->due_wall_ms = note->due_wall_ms;
    if (heap_has(&parked->timer))
        heap_remove(&core->parked_timers, &parked->timer);
    if (note->due_ms == 0 && note->due_wall_ms == 0 && !note->is_held)
        return;
    /* A time of the wall's is looked at with the next tick. */
    heap_set(&core->parked_timers, &parked->timer, note->is_held ? INT64_MAX : note->due_ms);
    if (heap_has(&parked->fit))
        heap_remove(&parked->assignment->parking.fit, &parked->fit);
}

/* ---- many wait --------------------------------------------------------------------------- */

/* A shorter wait is over before a pass would have brought the records back. */
#define WAIT_TO_PARK_MS 1000

/* What is to be known of the lane's held slot, which waits. */
static struct head_note note_of(const struct core *core, const struct lane *lane)
{
    int64_t timer_ms = lane_waits_until(&core->timers, lane);
    struct head_note note = {.attempts = slot_attempts(lane->held)};

    if (lane->held->control.state == SLOT_WAITING)
        note.due_ms = timer_ms;
    else if (timer_ms == INT64_MAX)
        note.is_held = true;
    else
        note.due_wall_ms = slot_due_ms(lane->held);
    return note;
}

/* A dead letter stays, whose handler would run once more; and what is not to run here. */
static bool may_be_parked(const struct lane *lane)
{
    const struct klane_slot *slot = lane->held;

    return !(slot->record.has & SLOT_HAS_LETTER) && slot->control.crashes == 0 &&
           assignment_may_start(slot->record.assignment);
}

/* So many at a time, or everything else would wait for that. */
#define PARKED_AT_ONCE 8192U

struct lane *lanes_that_wait(const struct core *core, int64_t least_ms,
                             bool (*is_meant)(const struct lane *lane), uint32_t most)
{
    struct lane *first = NULL;
    uint32_t count = 0;

    /* The last of the heap are about those that wait longest. */
    for (uint32_t i = core->timers.count; i > 0 && count < most; i--) {
        struct lane *lane;

        /* Before the lane is touched: there may be a million that wait for less. */
        if (core->timers.entries[i - 1].value < least_ms)
            continue;
        lane = lane_of_timer(core->timers.entries[i - 1].node);
        if (!is_meant(lane))
            continue;
        lane->ready_next = first;
        first = lane;
        count++;
    }
    return first;
}

/* Parked lanes have less than half of the memory for records. */
static bool may_park_more(const struct core *core)
{
    return core->config.limit_bytes == 0 ||
           core->parked.count * parked_bytes() < core->config.limit_bytes / 2;
}

/* The whole lane, with its head, from its entry on. */
static void park_whole(struct core *core, struct lane *lane, struct parked *parked,
                       const struct head_note *note)
{
    struct cell *cell = cell_of_slot(lane->first);
    struct klane_slot *slot, *next;

    KLANE_MARK("a lane that waits is parked with its head");
    parked->slots = 0;
    parked->fit_at = 0;
    heap_remove(&core->timers, &lane->timer);
    for (slot = lane_take_back(lane); slot != NULL; slot = next) {
        next = slot->control.next;
        parking_unfinished(core, slot, note);
        slot_gone(core, slot);
    }
    lane_settle(core, lane, cell);
}

/* False: it stays. */
static bool park_waiting(struct core *core, struct lane *lane)
{
    const struct klane_slot *held = lane->held;
    const struct head_note note = note_of(core, lane);
    struct klane_assignment *assignment = held->record.assignment;
    struct parked *parked = parked_find(core, assignment, parking_fingerprint(assignment, held),
                                        (enum lane_kind)lane->kind);

    if (parked == NULL) {
        parked = add_for(core, held);
        if (parked == NULL)
            return false;
        note_head(core, parked, &note);
    } else if (parked->next <= held->record.offset || has_note(parked) ||
               is_of_another(parked, held)) {
        KLANE_MARK("a lane that waits stays, as another has its fingerprint");
        return false;
    }
    if (parked->takes_part)
        parked_leave(core, parked);
    park_whole(core, lane, parked, &note);
    return true;
}

bool parking_park_waiting(struct core *core)
{
    int64_t least_ms = clock_after(core->now_ms, WAIT_TO_PARK_MS);
    struct lane *lane = lanes_that_wait(core, least_ms, may_be_parked, PARKED_AT_ONCE), *next;
    bool has_parked = false;

    for (; lane != NULL && core_is_half_full(core) && may_park_more(core); lane = next) {
        next = lane->ready_next;
        has_parked |= park_waiting(core, lane);
    }
    return has_parked;
}

/* ---- slots that leave -------------------------------------------------------------------- */

void parking_makes_room(struct core *core, const struct klane_slot *slot)
{
    /* Of whatever stay: it has made room in its lane. */
    struct klane_assignment *current = slot->record.assignment->partition->current;
    struct parked *parked;

    if (current == NULL || current->parking.parked.count == 0)
        return;
    parked = parked_find(core, current, parking_fingerprint(current, slot),
                         (enum lane_kind)slot->control.lane->kind);
    /* 0: it was not counted, being of another key with the same fingerprint. */
    if (parked == NULL || parked->slots == 0)
        return;
    parked->slots--;
    parked_fit_check(parked);
}

bool parking_unfinished(struct core *core, const struct klane_slot *slot,
                        const struct head_note *note)
{
    struct klane_assignment *assignment = slot->record.assignment;
    uint64_t fingerprint = parking_fingerprint(assignment, slot);
    int64_t offset = slot->record.offset;
    enum lane_kind kind = (enum lane_kind)slot->control.lane->kind;
    struct lane_name name = parked_name_of_slot(slot, kind);
    struct parked *parked = parked_find(core, assignment, fingerprint, kind);

    if (parked == NULL) {
        parked = add_for(core, slot);
        if (parked == NULL)
            return false;
        note_head(core, parked, note);
        return true;
    }
    KLANE_ASSERT(!parked->takes_part);
    parked_stand_for(parked, &name, offset);
    if (offset < parked->next) {
        parked_set_next(parked, offset);
        parked->is_unmet = true;
        note_head(core, parked, note);
    }
    if (offset >= parked->end)
        parked->end = offset + 1;
    return true;
}

bool parking_restore(struct core *core, struct klane_assignment *assignment,
                     const struct progress_lane *lane, int64_t end)
{
    enum lane_kind kind = lane->is_record ? LANE_OF_RECORD : LANE_OF_KEY;
    uint64_t fingerprint = lane->is_record ? (uint64_t)lane->head : lane->fingerprint;
    struct parked *parked = parked_add(core, assignment, fingerprint, kind, lane->head);

    if (parked == NULL)
        return false;
    if (!lane->is_record)
        parked->end = end;
    parked->others_from = INT64_MIN;
    /* A head that a map has from a parked lane may lie before its next record. */
    parked->is_unmet = false;
    note_head(core, parked,
              &(struct head_note){.attempts = lane->attempts,
                                  .crashes = lane->crashes,
                                  .due_wall_ms = lane->due_ms});
    parked_fit_check(parked);
    return true;
}

void parking_tick(struct core *core, int64_t now_ms)
{
    struct heap *timers = &core->parked_timers;

    while (timers->count > 0 && timers->entries[0].value <= now_ms) {
        struct parked *parked = parked_of_timer(timers->entries[0].node);
        int64_t left_ms = parked->due_wall_ms - (now_ms + core->commit.writer.wall_ms);

        if (parked->due_wall_ms > 0 && left_ms > 0) {
            heap_set(timers, &parked->timer,
                     now_ms + (left_ms < WALL_LOOK_MS ? left_ms : WALL_LOOK_MS));
            continue;
        }
        parked_waits_no_more(core, parked);
        parked_fit_check(parked);
    }
}

void parking_forget(struct core *core, struct klane_assignment *assignment)
{
    struct parking *parking = &assignment->parking;

    while (parking->parked.count > 0)
        parked_remove(core, parked_of_next(parking->parked.entries[0].node));
    heap_deinit(&parking->parked);
    heap_deinit(&parking->fit);
    core->pass_wants = 0;
    assignment_charge(core, assignment);
}
