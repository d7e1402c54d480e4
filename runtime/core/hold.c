/* SPDX-License-Identifier: Apache-2.0 */
/* When partitions hold, and for what: a lane over its quota, most of the memory, a record for
 * which there is no room, too much above the ceiling.
 *
 * Upholds: what is in memory stays inside the budget, but for one record that is larger than half
 * of it, or one beside parked lanes that fill it; a partition holds for what it has or wants
 * itself, and a record that waits for room is not overtaken for ever by smaller ones: while it
 * waits, others are only taken in for workers that have nothing to do, or past a crowd. For a
 * source that cannot give back what it has seen, room for one record is set aside: it waits for
 * nothing but that there is any room beside. */
#include "base/assert.h"
#include "core/internal.h"

/* What the partition holds for has changed. */
static void hold_check(struct core *core, struct partition *partition)
{
    bool held = partition->over_quota > 0 || partition->full_at > 0 || partition->far ||
                partition->crowded || partition->stops & STOPS_ALL;

    if (held == partition->held)
        return;
    partition->held = held;
    core->held += held ? 1U : -1U;
    if (held)
        core->counts.holds++;
    if (partition->current != NULL)
        notice_add(core, partition->current, held ? NOTICE_HELD : NOTICE_RELEASED);
}

void stops_check(struct core *core, struct partition *partition)
{
    /* Its next record does not come now: nobody makes room for it. */
    if (partition->stops & STOPS_ALL)
        wants_are_met(core, partition);
    hold_check(core, partition);
}

/* A lane has got longer or shorter: does its partition hold? */
void quota_hold(struct core *core, struct lane *lane)
{
    struct partition *partition = lane->partition;
    bool over = lane->over_quota;

    if (!over)
        over = lane_is_full(core, lane);
    else if (quota_is_back(core, lane->count, lane->bytes))
        over = false;
    if (over == lane->over_quota)
        return;
    KLANE_MARK("a lane over its quota holds its partition");
    lane->over_quota = over;
    partition->over_quota += over ? 1U : -1U;
    hold_check(core, partition);
}

/* The main flow leaves so much to what cannot wait: lanes, their cells, and the table of parked
 * ones. */
static uint64_t room_kept(const struct core *core)
{
    return (core->states.table.segments != NULL ? 3 : 2) * SLAB_CHUNK_BYTES;
}

static bool is_half_free(const struct core *core)
{
    return slab_used(&core->slab) <= core->config.limit_bytes / 2;
}

/* What fills it can only be parked lanes, which make no room. (A record that waits there for a
 * retry keeps it from being so, as more could be taken in for each of those otherwise.) */
static bool is_without_records(const struct core *core)
{
    return core->admission.records == 0 && core->states.idle + core->states.freeing == 0;
}

/* ---- memory is short --------------------------------------------------------------------- */

/* A lane whose head stays for so long is stuck, as far as memory is concerned. */
#define STUCK_LOOK_MS 100

uint64_t load_of(const struct core *core, uint32_t slots, uint64_t bytes)
{
    uint64_t part = core->config.limit_bytes / core->config.records_max;

    return bytes + slots * (part + 1);
}

uint64_t partition_load(const struct core *core, const struct partition *partition)
{
    return load_of(core, partition->slots, partition->bytes);
}

static void hold_as_full(struct core *core, struct partition *partition)
{
    partition->full_at = partition_load(core, partition);
    core->fullest++;
    hold_check(core, partition);
}

static bool is_open(const struct klane_assignment *assignment)
{
    return assignment_state(assignment) == ASSIGNMENT_ACTIVE && !assignment->partition->held;
}

struct partition *hold_fullest(struct core *core, uint64_t above)
{
    struct klane_assignment *each;
    struct partition *fullest = NULL;
    uint32_t open = 0;

    for (each = core->assignments; each != NULL; each = each->next) {
        if (!is_open(each))
            continue;
        open++;
        if (fullest == NULL ||
            partition_load(core, each->partition) > partition_load(core, fullest))
            fullest = each->partition;
    }
    if (open < 2 || partition_load(core, fullest) <= above)
        return NULL;
    KLANE_MARK("the fullest partition holds");
    hold_as_full(core, fullest);
    return fullest;
}

void fullest_goes_on(struct core *core, struct partition *partition)
{
    partition->full_at = 0;
    core->fullest--;
    core->in_crowd -= partition->in_crowd;
    partition->in_crowd = false;
    hold_check(core, partition);
}

void fullness_check(struct core *core, struct partition *partition)
{
    if (partition_load(core, partition) <= partition->full_at / 2)
        fullest_goes_on(core, partition);
}

void fullest_go_on(struct core *core)
{
    struct partition *each;

    core->stuck_looks = 0;
    for (each = core->partitions; each != NULL && core->fullest > 0; each = each->next)
        if (each->full_at > 0)
            fullest_goes_on(core, each);
}

/* Memory is short, or there may be no room with nothing else in it. */
static bool states_are_in_the_way(const struct core *core)
{
    uint64_t limit = core->config.limit_bytes;

    if (limit == 0 || core->states.idle == 0 || is_half_free(core))
        return false;
    return core->admission.records == 0 || core->wanting > 0 || core->pass_wants > 0 ||
           slab_used(&core->slab) >= limit - limit / 8;
}

void core_relieve_waiting(struct core *core, int64_t now_ms)
{
    if (core->timers.count <= core->admission.records / 2 || now_ms < core->waiting_look_ms ||
        !core->config.parks || !core_is_nearly_full(core))
        return;
    core->waiting_look_ms = now_ms + STUCK_LOOK_MS;
    parking_park_waiting(core);
}

/* The fullest, and others with much: they would fill what is left. */
static void hold_what_fills(struct core *core)
{
    if (hold_fullest(core, 0) != NULL && core_is_full(core))
        crowd_leaves_window(core);
}

void core_relieve(struct core *core, int64_t now_ms)
{
    if (!core_is_full(core))
        fullest_go_on(core);
    if (core->gather.lanes == 0 && states_are_in_the_way(core) && states_relieve(core))
        return;
    if (!core_is_nearly_full(core))
        return;
    if (core->gather.lanes > 0) {
        gather_let_go(core);
        return;
    }
    if (!core->config.parks) {
        if (core_is_full(core))
            hold_what_fills(core);
        return;
    }
    if (core->stuck_look_ms != INT64_MAX)
        return;
    core->stuck_look_ms = now_ms + STUCK_LOOK_MS;
    /* A pass may wait for a broker that is away. */
    core->is_turn_of_passes = false;
    core->stuck_looks = parking_shorten_stuck(core) ? 0 : core->stuck_looks + 1;
    /* The first look only sees where the heads are. */
    if (core->stuck_looks > 1 && !parking_park_waiting(core))
        hold_what_fills(core);
}

/* ---- the budget -------------------------------------------------------------------------- */

void core_budget(struct core *core, uint64_t records_bytes, uint64_t reserve_bytes,
                 uint64_t weights_bytes)
{
    uint64_t most = records_bytes - records_bytes / 4;

    core->plenty_bytes = most > room_kept(core) ? most - room_kept(core) : 0;
    if (records_bytes == 0)
        core->plenty_bytes = UINT64_MAX;
    core->config.limit_bytes = core->slab.limit_bytes = records_bytes;
    core->config.reserve_bytes = reserve_bytes;
    core->config.weight_max = core->weights.max = weights_bytes;
}

bool core_is_half_full(const struct core *core)
{
    return core_room(core) < core->config.records_max / 2 ||
           (core->config.limit_bytes > 0 && !is_half_free(core));
}

bool core_is_full(const struct core *core)
{
    uint64_t limit = core->config.limit_bytes;

    return core_room(core) <= core->config.records_max / 8 ||
           (limit > 0 && slab_used(&core->slab) >= limit - limit / 8);
}

bool core_is_nearly_full(const struct core *core)
{
    return core_is_full(core) ||
           (core->config.limit_bytes > 0 && !is_half_free(core) &&
            (core->wanting > 0 || (core->pass_wants > 0 && parking_wants_a_pass(core))));
}

/* Several partitions take in, and one of those has something in memory: so core_relieve() comes to
 * hold one, if nothing else makes room. */
static bool is_open_to_several(const struct core *core)
{
    const struct klane_assignment *each;
    uint32_t open = 0;
    bool has_some = false;

    for (each = core->assignments; each != NULL && (open < 2 || !has_some); each = each->next) {
        open += is_open(each);
        has_some = has_some || (is_open(each) && each->partition->slots > 0);
    }
    return open >= 2 && has_some;
}

/* A source hands over so many at once that large ones pass every bound: of room the part that,
 * by the mean of what is in memory, ends about there. It matters where half is in use. */
static uint32_t fitting(const struct core *core, uint32_t room, uint64_t end)
{
    uint64_t used = slab_used(&core->slab), count;

    if (core->config.limit_bytes == 0 || core->admission.records == 0 || is_half_free(core) ||
        used >= end)
        return room;
    count = (end - used) / (used / core->admission.records + 1) + 1;
    return count < room ? (uint32_t)count : room;
}

/* How many records of what a crowd's window lets in; one at least, as it is not full. */
static uint32_t window_room(const struct core *core, bool is_starving)
{
    uint64_t limit = core->config.limit_bytes, load = crowd_window(core, is_starving);
    uint32_t kept = is_starving ? 0 : CROWD_KEPT_BY_WINDOW(core->config.records_max);
    uint32_t room = core_room(core);
    uint64_t count = load / load_of(core, 1, 0);

    if (load == 0 || room <= kept ||
        (limit > 0 && !is_starving && !room_is_there(core, CROWD_KEPT_BY_WINDOW(limit))))
        return 0;
    room -= kept;
    if (count < room)
        room = count > 0 ? (uint32_t)count : 1;
    return fitting(core, room, slab_used(&core->slab) + load);
}

uint32_t core_intake_room(const struct core *core, bool is_starving)
{
    uint64_t limit = core->config.limit_bytes;
    uint32_t room = core_room(core), kept = core->config.records_max / 8;

    if (core->crowd.is_open && core_is_nearly_full(core))
        return window_room(core, is_starving);
    if (core_is_nearly_full(core) && !is_starving)
        return 0;
    /* All of the last eighth, or some of it, so that others find room when something holds. */
    if (core_is_full(core) && is_open_to_several(core)) {
        if (limit > 0 && slab_used(&core->slab) >= limit - CROWD_KEPT(limit))
            return 0;
        kept = room > kept ? kept : CROWD_KEPT(core->config.records_max);
    } else if (room <= kept) {
        kept = 0;
    }
    return room > kept ? fitting(core, room - kept, limit - CROWD_KEPT(limit)) : 0;
}

bool room_is_there(const struct core *core, uint64_t bytes)
{
    uint64_t limit = core->config.limit_bytes;

    return limit == 0 || slab_used(&core->slab) + room_kept(core) + bytes <= limit;
}

/* How much room has to be there for a record: what is set aside for one is free while there is any
 * room at all. */
static uint64_t needs_of(const struct core *core, uint64_t bytes)
{
    return bytes > core->config.reserve_bytes ? bytes - core->config.reserve_bytes : 1;
}

bool room_for_a_pass(const struct core *core)
{
    uint64_t part = core->config.limit_bytes / part_for_a_pass(core);
    uint64_t wants = core->pass_wants > part ? core->pass_wants : part;

    return room_is_there(core, wants) || is_half_free(core) || is_without_records(core);
}

/* What was told that there is room, and has not used it yet. */
static uint64_t promised(const struct core *core, const struct partition *except)
{
    const struct partition *each;
    uint64_t most = 0;

    if (core->wanting == (except != NULL && except->wants > 0))
        return 0;
    for (each = core->partitions; each != NULL; each = each->next)
        if (each != except && !each->held && each->wants > most)
            most = each->wants;
    return most;
}

/* There is room for what the record needs of it; what is set aside is lent to it. */
static bool is_taken(struct core *core, uint64_t needs, uint64_t bytes)
{
    if (!room_is_there(core, needs))
        return false;
    if (needs < bytes)
        core->slab.limit_bytes += core->config.reserve_bytes;
    return true;
}

/* There may never be room for it, so it is taken all the same: for a record of more than half of
 * the memory when half is free; for any when parked lanes have the memory, and no record is in
 * it. The slab's limit is lifted for it, until the next record. */
static bool is_taken_over_budget(struct core *core, struct klane_assignment *assignment,
                                 int64_t offset, uint64_t bytes)
{
    bool is_large = needs_of(core, bytes) + room_kept(core) > core->config.limit_bytes / 2;

    if (!(is_large && is_half_free(core)) && !is_without_records(core))
        return false;
    KLANE_MARK("a record above the budget is taken in");
    core->slab.limit_bytes = slab_used(&core->slab) + bytes + room_kept(core);
    assignment->over_budget.offset = offset;
    assignment->over_budget.bytes = bytes;
    assignment->over_budget.why = is_large ? OVER_BY_RECORD : OVER_BY_PARKED;
    notice_add(core, assignment, NOTICE_OVER_BUDGET);
    return true;
}

/* Where there is room for one record only, passes and the main flow have it in turn. */
static bool is_turn_of_passes(const struct core *core)
{
    return core->is_turn_of_passes && is_without_records(core) && parking_wants_a_pass(core);
}

bool core_has_room(const struct core *core, uint64_t kept_bytes)
{
    uint64_t others = is_without_records(core) ? 0 : promised(core, NULL);

    if (others > 0)
        return room_is_there(core, kept_bytes + others + core->config.reserve_bytes);
    return room_is_there(core, kept_bytes + 1) || is_half_free(core) ||
           (is_without_records(core) && !is_turn_of_passes(core));
}

void wants_are_met(struct core *core, struct partition *partition)
{
    if (partition->wants == 0)
        return;
    partition->wants = 0;
    partition->crowded = false;
    core->wanting--;
    hold_check(core, partition);
}

/* Much is in memory, most of it of one partition: that one holds, not the others. */
static void share_check(struct core *core, const struct klane_assignment *assignment)
{
    uint64_t limit = core->config.limit_bytes;
    const struct klane_assignment *each;

    if (partition_load(core, assignment->partition) <= limit / 2 || assignment->partition->held ||
        slab_used(&core->slab) <= limit - limit / 4)
        return;
    for (each = core->assignments; each != NULL; each = each->next)
        if (each != assignment && is_open(each))
            break;
    if (each == NULL)
        return;
    KLANE_MARK("a partition with most of the memory holds");
    hold_as_full(core, assignment->partition);
}

bool room_for(struct core *core, struct klane_assignment *assignment,
              const struct source_record *record, const struct core_place *place)
{
    uint64_t bytes = slot_size_of(record, place);
    struct partition *partition = assignment->partition;
    uint64_t needs, others;

    if (core->config.limit_bytes == 0)
        return true;
    core->slab.limit_bytes = core->config.limit_bytes;
    others = is_without_records(core) ? 0 : promised(core, partition);
    needs = others > 0 ? bytes : needs_of(core, bytes);
    if (is_taken(core, needs + others, bytes) ||
        (others == 0 && !is_turn_of_passes(core) &&
         is_taken_over_budget(core, assignment, record->offset, bytes))) {
        core->is_turn_of_passes = true;
        wants_are_met(core, partition);
        share_check(core, assignment);
        return true;
    }
    KLANE_MARK("a partition waits for room");
    if (partition->wants == 0)
        core->wanting++;
    partition->wants = needs;
    partition->crowded = true;
    hold_check(core, partition);
    return false;
}

bool room_for_pass(struct core *core, struct klane_assignment *assignment,
                   const struct source_record *record, const struct core_place *place)
{
    uint64_t bytes = slot_size_of(record, place);
    uint64_t needs = needs_of(core, bytes), limit = core->config.limit_bytes;

    if (limit == 0)
        return true;
    /* What is left to a window, as where a pass asks for the next record. */
    if (!is_half_free(core) && !is_without_records(core))
        needs += CROWD_KEPT_BY_PASSES(limit);
    core->slab.limit_bytes = limit;
    if (is_taken(core, needs, bytes) ||
        is_taken_over_budget(core, assignment, record->offset, bytes)) {
        core->is_turn_of_passes = false;
        return true;
    }
    KLANE_MARK("a pass finds no room");
    if (needs > core->pass_wants)
        core->pass_wants = needs;
    return false;
}

void room_check(struct core *core)
{
    uint64_t limit = core->config.limit_bytes;
    struct partition *each;

    for (each = core->partitions; each != NULL && core->wanting > 0; each = each->next) {
        if (!each->crowded)
            continue;
        if (!is_half_free(core) && (!is_without_records(core) || is_turn_of_passes(core)) &&
            !room_is_there(core, each->wants + limit / 8)) {
            states_relieve(core);
            continue;
        }
        each->crowded = false;
        hold_check(core, each);
    }
}

void assignment_charge(struct core *core, struct klane_assignment *assignment)
{
    const struct parking *parking = &assignment->parking;
    uint64_t bytes = sizeof(*assignment) +
                     assignment->offsets.capacity * sizeof(*assignment->offsets.ring) +
                     ((uint64_t)assignment->offsets.heads.capacity + parking->parked.capacity +
                      parking->fit.capacity) *
                         sizeof(struct heap_entry);

    core->slab.charged += bytes - assignment->charged;
    assignment->charged = bytes;
}

/* ---- what is not known of the progress --------------------------------------------------- */

void reach_check(struct core *core, const struct klane_assignment *assignment)
{
    struct partition *partition = assignment->partition;
    int64_t beyond = assignment->offsets.frontier - assignment->map.mark.ceiling;

    if (core->config.beyond_max == 0 || assignment_state(assignment) != ASSIGNMENT_ACTIVE)
        return;
    if (beyond > core->config.beyond_max)
        partition->far = true;
    else if (beyond <= core->config.beyond_max / 2)
        partition->far = false;
    hold_check(core, partition);
}

void hold_forget(struct core *core, struct partition *partition)
{
    partition->far = false;
    wants_are_met(core, partition);
    hold_check(core, partition);
}
