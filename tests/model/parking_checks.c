/* SPDX-License-Identifier: Apache-2.0 */
#include "model/parking_world.h"

#include "base/assert.h"

/* The first record of its key; of one without a key the record itself. */
static uint8_t key_of(uint8_t record)
{
    const char *keys = world.scope->keys;
    uint8_t first = 0;

    while (keys[first] != keys[record])
        first++;
    return keys[record] == '-' ? record : first;
}

/* ---- a record starts --------------------------------------------------------------------- */

static void check_order(uint8_t record)
{
    uint8_t key = key_of(record);

    for (uint8_t i = 0; i < record; i++)
        if (key_of(i) == key && !((world.finished | world.gone) & bit(i)))
            world_fail("record %u starts before record %u of its key is finished", record, i);
    for (uint32_t i = 0; i < world.job_count; i++)
        if (world.jobs[i].state == JOB_RUNS && key_of(world.jobs[i].record) == key &&
            world.scope->keys[record] != '-')
            world_fail("records %u and %u of a key run at once", record, world.jobs[i].record);
    if (record < world.last_begun[key])
        world_fail("record %u starts after record %d of its key", record, world.last_begun[key]);
    world.last_begun[key] = (int8_t)record;
}

static void check_attempts(const struct klane_slot *slot)
{
    uint32_t attempts = world.tries[record_of(slot)] + 1U;

    if (slot->record.attempt < 1 || slot->record.attempt > attempts ||
        (slot->record.attempt < attempts && world.tries_are_kept))
        world_fail("record %u has attempt %u, not %u", record_of(slot), slot->record.attempt,
                   attempts);
}

void check_begin(const struct klane_slot *slot)
{
    uint8_t record = record_of(slot);

    if (slot->record.assignment != world.assignment)
        world_fail("record %u of a former stay starts", record);
    check_order(record);
    if ((world.handled | world.known) & bit(record))
        world_fail("record %u is handled again, although it is known to be finished", record);
    if (world.now_ms < world.due_ms[record])
        world_fail("record %u starts before it is due", record);
    check_attempts(slot);
}

/* ---- what a commit says ------------------------------------------------------------------ */

static uint64_t fingerprint_of(uint8_t record)
{
    struct lane_name name = {
        .kind = LANE_OF_KEY, .key = &world.scope->keys[record], .key_size = 1};

    return lane_fingerprint(&name, offset_of(record), world.assignment->seed) &
           ~world.assignment->fingerprints_alike;
}

static bool is_listed(const struct progress_map *map, uint8_t record)
{
    for (uint32_t i = 0; i < map->count; i++) {
        const struct progress_lane *lane = &map->lanes[i];

        if (lane->is_record
                ? lane->head == offset_of(record)
                : lane->head <= offset_of(record) && world.scope->keys[record] != '-' &&
                      lane->fingerprint == fingerprint_of(record))
            return true;
    }
    return false;
}

/* Not all of what is finished may fit into it; and keys that clash are listed as one, at the lower
 * head. */
static bool may_cover_less(void)
{
    return world.scope->has_small_map || world.scope->alike != 0;
}

/* It speaks for what is finished: for no more, and for no less. */
static bool check_record(const struct progress_map *map, uint8_t record)
{
    bool is_covered = offset_of(record) < map->base ||
                      (offset_of(record) < map->ceiling && !is_listed(map, record));
    bool is_known = world.known & bit(record);

    if (world.gone & bit(record))
        return is_covered && is_known;
    if (is_covered && !is_known)
        world_fail("a commit covers record %u, which is not finished", record);
    if (is_known && !is_covered && !may_cover_less())
        world_fail("after a crash record %u would be repeated, which is finished", record);
    return is_covered;
}

uint8_t check_map(void)
{
    struct klane_assignment *assignment = world.assignment;
    struct progress_map map;
    uint8_t covered = 0;

    if (assignment_state(assignment) < ASSIGNMENT_SETTLING &&
        !progress_write(&world.core.commit.writer, assignment))
        world_fail("no memory for a map");
    if (progress_map_read(&map, assignment->map.text, assignment->map.mark.size,
                          assignment_base(assignment), NULL) != PROGRESS_READ)
        world_fail("a map that cannot be read");
    if (assignment_state(assignment) < ASSIGNMENT_SETTLING && !world.scope->has_small_map &&
        map.ceiling != assignment->offsets.frontier)
        world_fail("a map speaks only of what is below %lld", (long long)map.ceiling);
    for (uint8_t i = 0; i < records_of(world.scope); i++)
        if (check_record(&map, i))
            covered |= bit(i);
    progress_map_free(&map);
    return covered;
}

/* ---- in every state ---------------------------------------------------------------------- */

static void check_lane(uint8_t record)
{
    const struct lane *lane = world_lane(record);

    if (lane == NULL)
        return;
    if (lane->count > world.scope->quota)
        world_fail("a lane has %u records in memory", lane->count);
    for (const struct klane_slot *slot = lane->first; slot != NULL; slot = slot->control.next)
        if (key_of(record_of(slot)) != key_of(record))
            world_fail("records %u and %u share a lane", record, record_of(slot));
}

static void check_parked(const struct parked *parked)
{
    uint32_t kept = 0;
    int64_t offset = parked->next - 1;

    for (const struct klane_slot *slot = parked->kept_first; slot; slot = slot->control.next) {
        kept++;
        if (slot->record.offset <= offset || slot->record.offset < parked->end)
            world_fail("record %u is kept out of order", record_of(slot));
        offset = slot->record.offset;
    }
    if (kept != parked->kept_count || kept > world.scope->quota ||
        (kept > 0 && !parked->takes_part))
        world_fail("%u records are kept behind a parked lane", kept);
    if (parked->slots > world.scope->quota && world.scope->alike == 0)
        world_fail("a parked lane has %u records in memory", parked->slots);
    if (heap_has(&parked->fit) && (parked->takes_part || heap_has(&parked->timer)))
        world_fail("a parked lane is fit for a pass that it cannot take part in");
}

void check_state(void)
{
    const struct klane_assignment *each;

    core_verify(&world.core);
    if (core_next_due_ms(&world.core) > world_due_ms())
        world_fail("the core does not say when it has to be called again");
    if (world.is_out && commit_due_ms(&world.core.commit, true) != INT64_MAX)
        world_fail("a commit is due while one is out");
    if (world.sweeps && core_pass_is_due(&world.core))
        world_fail("a pass is due while one is under way");
    if (world.core.admission.records > world.scope->room)
        world_fail("%u records are in memory", world.core.admission.records);
    for (uint8_t i = 0; i < records_of(world.scope); i++)
        check_lane(i);
    for (each = world.core.assignments; each != NULL; each = each->next)
        for (uint32_t i = 0; i < each->parking.parked.count; i++)
            check_parked(parked_of_next(each->parking.parked.entries[i].node));
}

/* ---- in the end -------------------------------------------------------------------------- */

static void check_none(const char *name, uint64_t count)
{
    if (count > 0)
        world_fail("nothing can happen any more, and there are %s: %llu", name,
                   (unsigned long long)count);
}

static void check_core_is_empty(void)
{
    const struct core *core = &world.core;

    check_none("records in memory", core->admission.records);
    check_none("lanes", core->lanes.table.count + core->lanes.alone);
    check_none("parked lanes", core->parked.count);
    check_none("timers", core->timers.count + core->parked_timers.count);
    check_none("ready lanes", core->ready.all);
    check_none("records of the partition", core->partitions->slots);
    check_none("blocks in use", memory_blocks());
}

void check_terminal(void)
{
    uint8_t all = (uint8_t)(bit(records_of(world.scope)) - 1U);

    check_none("workers at work", world.job_count);
    check_none("records unfinished", all & (uint8_t) ~(world.finished | world.gone));
    check_core_is_empty();
    if (world.sweeps || world.assignment->parking.pass.is_on)
        world_fail("nothing can happen any more, but for a pass that is under way");
    if (!core_is_caught_up(&world.core))
        world_fail("the core has caught up, and does not know it");
    if (world.is_out || world.log.base != log_end())
        world_fail("in the end %lld is committed", (long long)world.log.base);

    /* Given up, the partition leaves nothing behind. */
    memory_is_core(true);
    core_revoke(&world.core, world.assignment, world.now_ms);
    if (core_next_commit(&world.core, world.now_ms) != NULL)
        core_committed(&world.core, true, world.now_ms);
    if (core_next_notice(&world.core, &world.assignment) != NOTICE_SETTLED)
        world_fail("a partition without records does not settle");
    core_given_up(&world.core, world.assignment);
    check_core_is_empty();
    check_none("bytes charged", world.core.slab.charged);
    check_none("bytes or holds of the partition",
               world.core.partitions->bytes + world.core.partitions->held);
    memory_is_core(false);
}
