/* SPDX-License-Identifier: Apache-2.0 */
/* What the core's files share among themselves; nobody else includes it. */
#ifndef KLANE_CORE_INTERNAL_H
#define KLANE_CORE_INTERNAL_H

#include "base/assert.h"
#include "core/core.h"

/* core.c */
void notice_add(struct core *core, struct klane_assignment *assignment,
                enum assignment_notice notice);
void notice_forget(struct core *core, struct klane_assignment *assignment);

/* What not every slot needs: it may have to wait, for its time or for others. */
void hold_slot_aside(struct core *core, struct lane *lane);

/* Control holds the slot, whose turn it is: its lane is ready, waits for the slot's time, or
 * gathers for a batch. */
static inline void hold_slot(struct core *core, struct klane_slot *slot)
{
    struct lane *lane = slot->control.lane;

    KLANE_ASSERT(lane->held == NULL);
    slot->control.state = SLOT_READY;
    lane->held = slot;
    if (slot->control.is_plain && lane->partition->stops == 0 && core->gather.routes == NULL)
        ready_add(&core->ready, lane);
    else
        hold_slot_aside(core, lane);
}

/* The lane's held slot waits no more, and the lane holds none then. */
static inline struct klane_slot *take_from_timers(struct core *core, struct lane *lane)
{
    struct klane_slot *slot = lane->held;

    KLANE_ASSERT(slot->control.state == SLOT_WAITING || slot->control.state == SLOT_SCHEDULED);
    heap_remove(&core->timers, &lane->timer);
    lane->held = NULL;
    return slot;
}

/* Lanes whose held slot waits until least_ms or longer and is meant, by ready_next, as they are in
 * no other list. Of more than most those that wait longest, about. */
struct lane *lanes_that_wait(const struct core *core, int64_t least_ms,
                             bool (*is_meant)(const struct lane *lane), uint32_t most);

/* Puts the slot behind its lane; lane NULL: a new one of this name. NULL: no memory. */
static inline struct lane *lane_enter(struct core *core, struct lane *lane,
                                      const struct lane_name *name, uint64_t hash,
                                      struct klane_slot *slot)
{
    if (lane == NULL)
        lane = lane_create(&core->lanes, &core->slab, name, hash);
    if (lane == NULL)
        return NULL;
    if (slot->record.has & SLOT_HAS_STATE && !states_enter(core, lane, name, hash, slot)) {
        /* One that was there has its cell. */
        lane_destroy(&core->lanes, &core->slab, lane);
        return NULL;
    }
    if (lane_append(lane, slot))
        hold_slot(core, slot);
    else if (core->gather.lanes > 0 && lane->held != NULL)
        gather_grows(core, lane);
    return lane;
}

/* The lane has got longer or shorter, and is not parked for that. */
void quota_hold(struct core *core, struct lane *lane);

static inline void quota_check(struct core *core, struct lane *lane)
{
    if (!core->config.parks)
        quota_hold(core, lane);
}

/* How much of the memory for records a partition has: each record counts with its bytes and with
 * its part of records_max. */
uint64_t partition_load(const struct core *core, const struct partition *partition);

/* The same of so many, with the bytes of the large ones. */
uint64_t load_of(const struct core *core, uint32_t slots, uint64_t bytes);

/* Of the partitions that take in, the fullest holds. NULL: it has no more, or is the last. */
struct partition *hold_fullest(struct core *core, uint64_t above);

/* One that held as the fullest does so no more; or all, as there is room. */
void fullest_goes_on(struct core *core, struct partition *partition);
void fullest_go_on(struct core *core);

/* A partition that was held as the fullest has fewer slots. */
void fullness_check(struct core *core, struct partition *partition);

/* What the program holds of the partition has changed. */
void stops_check(struct core *core, struct partition *partition);

/* A map was written: does it speak of enough? */
void reach_check(struct core *core, const struct klane_assignment *assignment);

/* The wall's clock may jump: so often it is looked at while a record waits for a time of it. */
#define WALL_LOOK_MS 60000

/* A quarter of the budget is free beside this record, and nobody waits for room: room_for() need
 * not be asked. */
static inline bool room_is_plenty(const struct core *core, const struct source_record *record,
                                  const struct core_place *place)
{
    return core->wanting == 0 &&
           core->slab.bytes + core->slab.charged + slot_size_of(record, place) <=
               core->plenty_bytes;
}

/* There is room for the assignment's next record. False: its partition holds until there is. */
bool room_for(struct core *core, struct klane_assignment *assignment,
              const struct source_record *record, const struct core_place *place);

/* There is room for a record that a pass brings, and some more that the pass leaves to others. */
bool room_for_pass(struct core *core, struct klane_assignment *assignment,
                   const struct source_record *record, const struct core_place *place);

/* So many bytes more stay inside the budget. */
bool room_is_there(const struct core *core, uint64_t bytes);

/* A pass begins when this part of the records' memory is free; past a crowd, what that leaves to
 * passes. */
#define ROOM_FOR_A_PASS 16U

static inline uint32_t part_for_a_pass(const struct core *core)
{
    return core->crowd.is_open ? CROWD_PART_OF_PASSES : ROOM_FOR_A_PASS;
}

/* A pass may begin. */
bool room_for_a_pass(const struct core *core);

/* The partition's next record was taken, or there is none. */
void wants_are_met(struct core *core, struct partition *partition);

/* There may be room now for what holds. */
void room_check(struct core *core);

/* The partition's assignment ends: what it held for because of its map, or of its next record, is
 * over. */
void hold_forget(struct core *core, struct partition *partition);

/* What the assignment has besides slots and lanes has grown, or was freed. */
void assignment_charge(struct core *core, struct klane_assignment *assignment);

/* So much has this part of the memory for records. */
static inline bool is_wide(const struct core *core, uint64_t bytes, uint32_t part)
{
    return core->config.limit_bytes > 0 && bytes >= core->config.limit_bytes / part;
}

/* So much of a lane is its quota, in records or bytes. */
static inline bool quota_is_over(const struct core *core, uint32_t count, uint64_t bytes)
{
    return admission_is_over(&core->admission, count) || is_wide(core, bytes, 4);
}

/* A lane that had its quota is in bounds again with so much. */
static inline bool quota_is_back(const struct core *core, uint32_t count, uint64_t bytes)
{
    return admission_is_back(&core->admission, count) && !is_wide(core, bytes, 8);
}

static inline bool lane_is_full(const struct core *core, const struct lane *lane)
{
    return quota_is_over(core, lane->count, lane->bytes);
}

/* By which name the record's lane is known. */
struct lane_name lane_name_of(struct partition *partition, const struct source_record *record,
                              const struct core_place *place);

/* A slot with a copy of the record. NULL: no memory. */
struct klane_slot *slot_of_record(struct core *core, struct klane_assignment *assignment,
                                  const struct source_record *record,
                                  const struct core_place *place);

/* It is in memory from now on. */
void slot_counted(struct core *core, struct klane_slot *slot);

/* The main flow has brought it. */
static inline void slot_came_in(struct core *core, struct klane_slot *slot)
{
    slot_counted(core, slot);
    if (core->crowd.is_open)
        crowd_counts(core, slot);
}

/* A slot that is in no lane goes. */
static inline void slot_forget(struct core *core, struct klane_slot *slot)
{
    struct klane_assignment *assignment = slot->record.assignment;
    struct partition *partition = assignment->partition;

    assignment->slots--;
    partition->slots--;
    partition->bytes -= slot_large_bytes(slot);
    if (partition->full_at > 0)
        fullness_check(core, partition);
    if (slot->control.by_window)
        crowd_forgets(core, slot);
    core->admission.records--;
    slot_destroy(&core->slab, slot);
}

/* parking.c and pass.c, by the rules of parking.h */

/* The main flow brings a record. True: its lane is parked, and it was kept or dropped. */
bool parking_takes(struct core *core, struct klane_assignment *assignment,
                   const struct source_record *record, const struct core_place *place);

/* The main flow brings a record for a lane that has its quota: the lane is parked from this record
 * on. False: no memory. */
bool parking_begin(struct core *core, struct klane_assignment *assignment,
                   const struct lane *lane, const struct lane_name *name, int64_t offset);

/* A slot has left its lane, which is still there. */
void parking_makes_room(struct core *core, const struct klane_slot *slot);

/* Some pass is under way, or only waits for room. */
bool parking_wants_a_pass(const struct core *core);

static inline void parking_slot_gone(struct core *core, const struct klane_slot *slot)
{
    if (core->parked.count > 0)
        parking_makes_room(core, slot);
}

/* What is known of a record that is to run again. */
struct head_note {
    uint32_t attempts;   /* so far */
    int64_t due_ms;      /* before which it is not to run; 0: at once */
    uint32_t crashes;    /* of the attempts, those that ended with the process */
    bool is_held;        /* by hand: due_ms is of no account */
    int64_t due_wall_ms; /* instead of due_ms, by the wall's clock */
};

/* A slot in its lane is to be dropped unfinished: its lane is parked from there on. False: no
 * memory. */
bool parking_unfinished(struct core *core, const struct klane_slot *slot,
                        const struct head_note *note);

/* A progress map lists this lane: it is parked from its head to end. False: no memory. */
bool parking_restore(struct core *core, struct klane_assignment *assignment,
                     const struct progress_lane *lane, int64_t end);

/* Time passed: heads that waited for it may take part in a pass. */
void parking_tick(struct core *core, int64_t now_ms);

/* Of the lanes whose head has not moved since the last call the longest are parked by half. False:
 * there was nothing to park. */
bool parking_shorten_stuck(struct core *core);

/* Of the lanes that wait for a time some are parked, with their heads, until half of the memory is
 * free. False: there was nothing to park. */
bool parking_park_waiting(struct core *core);

/* Nobody takes part in the assignment's pass any more. */
void parking_end_pass(struct core *core, struct klane_assignment *assignment);

void parking_forget(struct core *core, struct klane_assignment *assignment);

/* outcome.c: the slot has left its lane's list, settled or dropped; it is freed, and so is its
 * assignment, if it was the last that an ENDED one waited for. */
void slot_gone(struct core *core, struct klane_slot *slot);

/* It is dropped, or comes back while its assignment drains, and has to run again elsewhere. */
void slot_unfinished(struct core *core, const struct klane_slot *slot,
                     const struct head_note *note);

/* Nothing holds the slot, which is not to run in this process: it is skipped, or waits for ever,
 * as its topic says. */
void slot_crashes(struct core *core, struct klane_slot *slot);

/* What is left of a lane after slots have left it, and of its state; cell NULL: it has none. */
void lane_settle(struct core *core, struct lane *lane, struct cell *cell);

/* rebalance.c */
void assignment_free(struct core *core, struct klane_assignment *assignment);

/* If it has ended and waits for nothing any more. */
static inline void assignment_free_if_over(struct core *core, struct klane_assignment *assignment)
{
    if (assignment->slots == 0 && assignment->states == 0 &&
        assignment_state(assignment) == ASSIGNMENT_ENDED)
        assignment_free(core, assignment);
}

/* Draining assignments that are drained, or out of time, settle; settling ones that are
 * committed, or out of time, are reported. Walks through all. */
void drains_check(struct core *core, int64_t now_ms);

/* Of one partition: what has come back may have been the last that its drain waited for. */
void drain_look(struct core *core, const struct partition *partition, int64_t now_ms);

#endif
