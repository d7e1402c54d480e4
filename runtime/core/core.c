/* SPDX-License-Identifier: Apache-2.0 */
#include "core/core.h"

#include "base/assert.h"
#include "core/internal.h"

#include <stdlib.h>

bool core_init(struct core *core, const struct core_config *config)
{
    *core =
        (struct core){.config = *config, .settle_by_ms = INT64_MAX, .stuck_look_ms = INT64_MAX};
    slab_init(&core->slab, config->limit_bytes);
    core_budget(core, config->limit_bytes, config->reserve_bytes, config->weight_max);
    heap_init(&core->timers);
    heap_init(&core->parked_timers);
    crowd_init(&core->crowd);
    TAILQ_INIT(&core->gather.filled);
    TAILQ_INIT(&core->states.due);
    admission_init(&core->admission, config->records_max, config->lane_records_max);
    commit_init(&core->commit, config->commit_interval_ms, config->commit_records);
    /* Each record in memory may wait for a retry: no timer can fail for want of memory later. */
    if (heap_reserve(&core->timers, config->records_max) &&
        lane_table_init(&core->lanes, config->records_max, config->seed) &&
        table_init(&core->parked, config->records_max) &&
        progress_writer_init(&core->commit.writer, config->parks ? config->map_limit : 0,
                             &core->timers))
        return true;
    core_deinit(core);
    return false;
}

bool core_keep_states(struct core *core, uint32_t states_max)
{
    /* From a start that failed it may be there. */
    return core->states.table.segments != NULL || table_init(&core->states.table, states_max);
}

void core_deinit(struct core *core)
{
    while (core->assignments != NULL)
        assignment_free(core, core->assignments);
    while (core->partitions != NULL) {
        struct partition *partition = core->partitions;

        core->partitions = partition->next;
        free(partition);
    }
    schedule_deinit(core);
    progress_writer_deinit(&core->commit.writer);
    gather_deinit(&core->gather);
    heap_deinit(&core->parked_timers);
    table_deinit(&core->parked);
    table_deinit(&core->states.table);
    lane_table_deinit(&core->lanes);
    heap_deinit(&core->timers);
    slab_deinit(&core->slab);
}

/* ---- notices ----------------------------------------------------------------------------- */

void notice_add(struct core *core, struct klane_assignment *assignment,
                enum assignment_notice notice)
{
    bool queued = assignment->notices != 0;

    assignment->notices |= (uint8_t)notice;
    if (queued)
        return;
    assignment->notice_next = NULL;
    if (core->notices_last != NULL)
        core->notices_last->notice_next = assignment;
    else
        core->notices_first = assignment;
    core->notices_last = assignment;
}

void notice_forget(struct core *core, struct klane_assignment *assignment)
{
    struct klane_assignment *previous = NULL, *each;

    if (assignment->notices == 0)
        return;
    for (each = core->notices_first; each != assignment; each = each->notice_next)
        previous = each;
    if (previous != NULL)
        previous->notice_next = assignment->notice_next;
    else
        core->notices_first = assignment->notice_next;
    if (core->notices_last == assignment)
        core->notices_last = previous;
    assignment->notices = 0;
}

enum assignment_notice core_next_notice(struct core *core, struct klane_assignment **assignment)
{
    struct klane_assignment *first;
    unsigned notice;

    room_check(core);
    first = core->notices_first;
    if (first == NULL)
        return 0;
    /* Lowest bit first; HELD and RELEASED both: it has come and gone, in whichever order. */
    if ((first->notices & (NOTICE_HELD | NOTICE_RELEASED)) == (NOTICE_HELD | NOTICE_RELEASED))
        first->notices &= (uint8_t) ~(first->partition->held ? NOTICE_RELEASED : NOTICE_HELD);
    notice = first->notices & (0U - first->notices);
    *assignment = first;
    if (first->notices == notice)
        notice_forget(core, first);
    else
        first->notices &= (uint8_t)~notice;
    return (enum assignment_notice)notice;
}

/* ---- records in -------------------------------------------------------------------------- */

void hold_slot_aside(struct core *core, struct lane *lane)
{
    if (!lane->held->control.is_plain && !states_let(core, lane))
        return;
    if ((!lane->held->control.is_plain || lane->partition->stops > 0) &&
        schedule_puts_aside(core, lane))
        return;
    if (core->gather.routes == NULL || !gather_add(core, lane))
        ready_add(&core->ready, lane);
}

struct lane_name lane_name_of(struct partition *partition, const struct source_record *record,
                              const struct core_place *place)
{
    return (struct lane_name){
        .partition = partition,
        .kind = place->kind,
        .key = place->lane_key != NULL ? place->lane_key : record->key,
        .key_size = place->lane_key != NULL ? place->lane_key_size : record->key_size,
    };
}

/* Something of the partition is held, or the log does not know of the stay yet. */
static __attribute__((noinline)) void ask_for(const struct core *core, struct klane_slot *slot,
                                              const struct source_record *record,
                                              const struct core_place *place)
{
    struct klane_assignment *assignment = slot->record.assignment;
    struct lane_name name = lane_name_of(assignment->partition, record, place);

    if (schedule_stops(core, &name)) {
        slot_is_to_ask(slot);
    } else if (trial_asks_for_each(&assignment->trial)) {
        slot_is_to_ask(slot);
        slot->record.has |= SLOT_WAS_EARLY;
    }
}

struct klane_slot *slot_of_record(struct core *core, struct klane_assignment *assignment,
                                  const struct source_record *record,
                                  const struct core_place *place)
{
    struct klane_slot *slot = slot_create(&core->slab, record, place);

    if (slot == NULL)
        return NULL;
    slot->record.assignment = assignment;
    if (assignment->partition->stops > 0 || trial_asks_for_each(&assignment->trial))
        ask_for(core, slot, record, place);
    return slot;
}

void slot_counted(struct core *core, struct klane_slot *slot)
{
    slot->record.assignment->slots++;
    slot->record.assignment->partition->slots++;
    slot->record.assignment->partition->bytes += slot_large_bytes(slot);
    core->admission.records++;
}

/* The lane of its name takes it in. False: no memory. */
static bool lane_takes(struct core *core, struct klane_assignment *assignment,
                       const struct source_record *record, const struct core_place *place)
{
    struct lane_name name = lane_name_of(assignment->partition, record, place);
    struct lane *lane = NULL;
    struct klane_slot *slot;
    uint64_t hash = 0;

    if (!offsets_have_room(&assignment->offsets, assignment->slots)) {
        if (!offsets_reserve(&assignment->offsets, assignment->slots))
            return false;
        assignment_charge(core, assignment);
    }
    if (place->kind != LANE_OF_RECORD)
        lane = lane_find(&core->lanes, &name, &hash);
    if (lane != NULL && core->config.parks && lane_is_full(core, lane))
        return parking_begin(core, assignment, lane, &name, record->offset);
    if (!room_is_plenty(core, record, place) && !room_for(core, assignment, record, place))
        return false;
    slot = slot_of_record(core, assignment, record, place);
    if (slot == NULL)
        return false;
    lane = lane_enter(core, lane, &name, hash, slot);
    if (lane == NULL) {
        slot_destroy(&core->slab, slot);
        return false;
    }
    offsets_add(&assignment->offsets, slot);
    slot_came_in(core, slot);
    quota_check(core, lane);
    return true;
}

bool core_take_in(struct core *core, struct klane_assignment *assignment,
                  const struct source_record *record, const struct core_place *place)
{
    KLANE_ASSERT(assignment_state(assignment) == ASSIGNMENT_ACTIVE);
    KLANE_ASSERT(core_room(core) > 0);
    if (!assignment->behind && record->offset >= assignment->end) {
        assignment->behind = true;
        core->behind++;
    }
    if ((assignment->parking.parked.count == 0 ||
         !parking_takes(core, assignment, record, place)) &&
        !lane_takes(core, assignment, record, place))
        return false;
    /* Also if it was only parked. */
    if (assignment->partition->wants > 0)
        wants_are_met(core, assignment->partition);
    core->counts.records++;
    return true;
}

void core_end(struct core *core, struct klane_assignment *assignment, int64_t end)
{
    if (assignment_state(assignment) != ASSIGNMENT_ACTIVE)
        return;
    assignment->end = end;
    wants_are_met(core, assignment->partition);
    if (end > assignment->offsets.frontier) {
        KLANE_MARK("the log ends in a hole");
        offsets_reach(&assignment->offsets, end);
        commit_mark(&core->commit, assignment);
    }
    if (assignment->behind) {
        assignment->behind = false;
        core->behind--;
    }
}

/* ---- what is to be done ------------------------------------------------------------------ */

/* The lane's held slot, which is not plain, may be handed over now; else it is seen to. */
static bool may_run(struct core *core, struct lane *lane)
{
    struct klane_slot *slot = lane->held;

    if (!trial_lets(core, slot)) {
        lane->held = NULL;
        slot_crashes(core, slot);
        return false;
    }
    return weights_pay(core, lane);
}

static struct klane_slot *hand_out(struct lane *lane)
{
    struct klane_slot *slot = lane->held;

    KLANE_ASSERT(slot->control.state == SLOT_READY);
    lane->held = NULL;
    slot->control.state = SLOT_OUT;
    slot->back.with = NULL;
    return slot;
}

/* What was ready, and is to be gathered first, as it could not be before; or is held now. */
static bool is_put_aside(struct core *core, struct lane *lane)
{
    return (!lane->held->control.is_plain && schedule_puts_aside(core, lane)) ||
           (core->gather.routes != NULL && gather_takes(core, lane));
}

static struct lane *take_ready(struct core *core)
{
    struct lane *lane = ready_take(&core->ready);

    while (lane != NULL && is_put_aside(core, lane))
        lane = ready_take(&core->ready);
    return lane;
}

/* From this lane on, whose slot is not plain. */
static struct klane_slot *next_that_may_run(struct core *core, struct lane *lane)
{
    while (lane != NULL && !lane->held->control.is_plain && !may_run(core, lane))
        lane = take_ready(core);
    return lane == NULL ? NULL : hand_out(lane);
}

static struct klane_slot *next_of_lanes(struct core *core)
{
    struct lane *lane = take_ready(core);

    if (lane == NULL)
        return NULL;
    return lane->held->control.is_plain ? hand_out(lane) : next_that_may_run(core, lane);
}

/* As the program may take long to free a state, and lanes to end. */
static struct klane_slot *next_by_turns(struct core *core)
{
    struct klane_slot *slot = core->states.had_turn ? next_of_lanes(core) : NULL;

    core->states.had_turn = slot == NULL;
    return slot != NULL ? slot : states_next(&core->states);
}

struct klane_slot *core_next_ready(struct core *core)
{
    return states_are_due(&core->states) ? next_by_turns(core) : next_of_lanes(core);
}

struct klane_assignment *core_next_commit(struct core *core, int64_t now_ms)
{
    struct klane_assignment *first, *each;

    if (commit_due_ms(&core->commit, core->settling > 0) > now_ms)
        return NULL;
    first = commit_send(&core->commit, now_ms);
    for (each = first; each != NULL; each = each->committing_next)
        reach_check(core, each);
    for (each = core->commit.left_out; each != NULL; each = each->dirty_next)
        reach_check(core, each);
    return first;
}

void core_uncommitted(struct core *core, struct klane_assignment *assignment, bool too_large)
{
    commit_refuse(&core->commit, assignment, too_large);
    core->counts.commits_failed++;
}

void core_wall(struct core *core, int64_t wall_ms)
{
    core->commit.writer.wall_ms = wall_ms;
}

void core_committed(struct core *core, bool acknowledged, int64_t now_ms)
{
    commit_answer(&core->commit, acknowledged, now_ms);
    if (acknowledged)
        core->counts.commits++;
    else
        core->counts.commits_failed++;
    if (core->settling > 0)
        drains_check(core, now_ms);
}

void core_tick(struct core *core, int64_t now_ms)
{
    core->now_ms = now_ms;
    while (core->timers.count > 0 && core->timers.entries[0].value <= now_ms) {
        struct lane *lane = lane_of_timer(core->timers.entries[0].node);
        struct klane_slot *slot = take_from_timers(core, lane);

        slot->record.attempt += slot->control.state == SLOT_WAITING;
        hold_slot(core, slot);
    }
    gather_tick(core);
    parking_tick(core, now_ms);
    trials_check(core, now_ms);
    if (core->stuck_look_ms <= now_ms)
        core->stuck_look_ms = INT64_MAX;
    if (core->draining + core->settling > 0)
        drains_check(core, now_ms);
}

uint32_t core_room(const struct core *core)
{
    return admission_room(&core->admission);
}

int64_t core_next_due_ms(const struct core *core)
{
    int64_t due_ms = commit_due_ms(&core->commit, core->settling > 0);
    int64_t trials_ms = trials_due_ms(core);
    int64_t gather_ms = gather_due_ms(core);

    if (core->timers.count > 0 && core->timers.entries[0].value < due_ms)
        due_ms = core->timers.entries[0].value;
    if (core->parked_timers.count > 0 && core->parked_timers.entries[0].value < due_ms)
        due_ms = core->parked_timers.entries[0].value;
    if (core->stuck_look_ms < due_ms)
        due_ms = core->stuck_look_ms;
    if (core->crowd.look_ms < due_ms)
        due_ms = core->crowd.look_ms;
    if (trials_ms < due_ms)
        due_ms = trials_ms;
    if (gather_ms < due_ms)
        due_ms = gather_ms;
    if (core->draining + core->settling > 0)
        for (struct klane_assignment *each = core->assignments; each; each = each->next)
            if (assignment_state(each) == ASSIGNMENT_DRAINING ||
                assignment_state(each) == ASSIGNMENT_SETTLING)
                due_ms = each->deadline_ms < due_ms ? each->deadline_ms : due_ms;
    return due_ms;
}

bool core_is_caught_up(const struct core *core)
{
    return core->assigned > 0 && core->behind == 0 && core->draining + core->settling == 0 &&
           core->admission.records == 0 && core->parked.count == 0;
}

bool core_is_empty(const struct core *core)
{
    return core->admission.records == 0 && core->states.out == 0;
}

#ifdef KLANE_TESTING
void core_verify(const struct core *core)
{
    uint32_t slots = 0, assigned = 0, draining = 0, settling = 0;

    for (const struct klane_assignment *each = core->assignments; each; each = each->next) {
        enum assignment_state state = assignment_state(each);

        KLANE_ASSERT(each->overdue <= each->slots);
        KLANE_ASSERT(state < ASSIGNMENT_SETTLING || each->base_final >= each->committed);
        if (state < ASSIGNMENT_SETTLING)
            offsets_verify(&each->offsets);
        slots += each->slots;
        assigned += state != ASSIGNMENT_ENDED;
        draining += state == ASSIGNMENT_DRAINING;
        settling += state == ASSIGNMENT_SETTLING;
    }
    KLANE_ASSERT(slots == core->admission.records);
    KLANE_ASSERT(core->crowd.records <= slots);
    KLANE_ASSERT((core->weights.line.first == NULL) == (core->weights.waiting == 0));
    gather_verify(core);
    KLANE_ASSERT(core->weights.waiting == 0 || core->weights.out > 0);
    KLANE_ASSERT(assigned == core->assigned);
    KLANE_ASSERT(draining == core->draining);
    KLANE_ASSERT(settling == core->settling);
    lane_table_verify(&core->lanes);
    states_verify(core);
    heap_verify(&core->timers);
    slab_verify(&core->slab);
}
#endif
