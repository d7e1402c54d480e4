/* SPDX-License-Identifier: Apache-2.0 */
/* Control of a simulated process: what the engine's control thread does with the core, one call in
 * a step; and the source that it reads from. */
#include "sim/world.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES UINT64_C(262144)

static struct history_event event_of(const struct process *process, enum history_type type,
                                     uint16_t partition)
{
    return (struct history_event){
        .type = (uint8_t)type,
        .process = process->number,
        .partition = partition,
        .epoch = process->stays[partition].epoch,
    };
}

/* The slot of the record that was just taken in. NULL: its lane is parked. */
static struct klane_slot *last_slot(const struct klane_assignment *assignment, int64_t offset)
{
    const struct offsets *offsets = &assignment->offsets;
    struct klane_slot *slot = NULL;

    if (offsets->end != offsets->first)
        slot = offsets->ring[(offsets->end - 1) & (offsets->capacity - 1)];
    return slot == NULL || slot->record.offset != offset ? NULL : slot;
}

/* Two keys never share a lane. */
static void check_lane(struct world *world, const struct klane_slot *slot)
{
    const struct klane_slot *first = slot->control.lane->first;
    const struct log_partition *log = &world->log[slot->record.assignment->partition->number];

    if (log->records[log_index(log, slot->record.offset)].lane !=
            log->records[log_index(log, first->record.offset)].lane ||
        first->record.assignment->partition != slot->record.assignment->partition)
        world_fail(world, "offsets %lld and %lld share a lane", (long long)first->record.offset,
                   (long long)slot->record.offset);
}

static void note_block(struct process *process, size_t size)
{
    size_t block_size = slab_block_size(size);

    for (uint32_t i = 0; i < process->block_size_count; i++)
        if (process->block_sizes[i] == block_size)
            return;
    if (process->block_size_count < BLOCK_SIZES_MAX)
        process->block_sizes[process->block_size_count++] = block_size;
}

static void note_record(struct process *process, const struct source_record *record,
                        const struct core_place *place)
{
    note_block(process, slot_size_of(record, place));
    if (place->has_state)
        note_block(process, sizeof(struct cell) + sizeof(struct klane_slot) +
                                (place->kind != LANE_OF_KEY      ? 0
                                 : place->lane_key != NULL ? place->lane_key_size
                                                           : record->key_size));
}

static void measure(struct process *process, const struct klane_slot *slot)
{
    const struct lane *lane = slot->control.lane;
    if (process->core.admission.records > process->records_most)
        process->records_most = process->core.admission.records;
    if (lane->count > process->lane_records_most)
        process->lane_records_most = lane->count;
    if (process->core.slab.bytes > process->bytes_most)
        process->bytes_most = process->core.slab.bytes;
}

/* The slot for which a pass brought the record, if it did. */
static void measure_swept(struct process *process, const struct klane_assignment *assignment,
                          const struct source_record *record, const struct core_place *place)
{
    struct lane_name name = {assignment->partition, place->kind, record->key, record->key_size};
    struct lane *lane = NULL;
    uint64_t hash;

    if (place->lane_key != NULL) {
        name.key = place->lane_key;
        name.key_size = place->lane_key_size;
    }
    if (place->kind != LANE_OF_RECORD)
        lane = lane_find(&process->core.lanes, &name, &hash);
    if (lane != NULL && lane->last->record.offset == record->offset)
        measure(process, lane->last);
}

/* ---- outcomes ---------------------------------------------------------------------------- */

/* Control takes all reports at once; they come in the plan's order. */
static bool collect(struct world *world, struct process *process)
{
    uint32_t count = process->reports_count;

    if (process->inbox_count > 0 || count == 0)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        /* The inbox is emptied from its end. */
        if (world->plan.reports == 1)
            process->inbox[count - 1 - i] = process->reports[i];
        else
            process->inbox[i] = process->reports[i];
    }
    for (uint32_t i = count; world->plan.reports == 2 && i > 1; i--) {
        uint32_t other = random_below(world, i);
        struct report report = process->inbox[i - 1];

        process->inbox[i - 1] = process->inbox[other];
        process->inbox[other] = report;
    }
    process->inbox_count = count;
    process->reports_count = 0;
    return true;
}

/* It counts as finished from here on. */
static void heard(struct world *world, const struct process *process,
                  const struct klane_slot *slot)
{
    const struct klane_assignment *assignment = slot->record.assignment;
    struct history_event event;

    if (!assignment_counts(assignment) ||
        (slot->back.outcome != SLOT_DONE && slot->back.outcome != SLOT_SKIPPED))
        return;
    event = event_of(process, HISTORY_HEARD, (uint16_t)assignment->partition->number);
    event.epoch = assignment->epoch;
    event.offset = slot->record.offset;
    world_add(world, event);
}

/* With this slot all at the begin of its lane leave it that have come back. */
static void hear(struct world *world, const struct process *process,
                 const struct klane_slot *slot)
{
    const struct klane_slot *each = slot->control.lane->first;

    for (; each != NULL; each = each->control.next) {
        if (each != slot && each->control.state != SLOT_FINISHED)
            return;
        heard(world, process, each);
    }
}

/* Of the sanitizer: a process that crashes gives nothing back. */
void __lsan_ignore_object(const void *object) __attribute__((weak));

/* As the engine does: it runs once more, as a dead letter, until that is done, with its reason. */
static void make_letter(const struct world *world, struct klane_slot *slot)
{
    if (assignment_counts(slot->record.assignment) &&
        slot_is_given_up(world, slot, (enum slot_outcome)slot->back.outcome)) {
        KLANE_MARK("sim: a record becomes a dead letter");
        slot->back.notice = calloc(1, sizeof(*slot->back.notice) + 1);
        KLANE_ASSERT(slot->back.notice != NULL);
        if (__lsan_ignore_object != NULL)
            __lsan_ignore_object(slot->back.notice);
        slot->record.has |= SLOT_HAS_LETTER;
    } else if (slot->back.outcome < SLOT_RETRY && slot->record.has & SLOT_HAS_LETTER) {
        KLANE_MARK("sim: a dead letter is kept");
        free(slot->back.notice);
        slot->back.notice = NULL;
    }
}

static bool settle_one(struct world *world, struct process *process)
{
    struct report report;

    if (process->inbox_count == 0)
        return false;
    report = process->inbox[--process->inbox_count];
    if (slot_frees_state(report.slot)) {
        core_state_freed(&process->core, report.slot, world->now_ms);
        return true;
    }
    if (report.slot->back.token != 0) {
        tokens_free(&process->tokens, report.slot->back.token - 1);
        report.slot->back.token = 0;
    }
    hear(world, process, report.slot);
    make_letter(world, report.slot);
    core_came_back(&process->core, report.slot, report.delay_ms, world->now_ms);
    return true;
}

/* As the engine does: nothing can run, and memory is nearly full. */
static void relieve(const struct world *world, struct process *process)
{
    core_relieve_waiting(&process->core, world->now_ms);
    core_relieve_crowd(&process->core, process->ring_count == 0, world->now_ms);
    if (process->ring_count == 0)
        core_relieve(&process->core, world->now_ms);
}

static struct klane_slot *next_slot(struct world *world, struct process *process)
{
    bool is_wanted = process->ring_count == 0 || random_below(world, 2);
    bool is_there = core_has_batch(&process->core);
    struct klane_slot *slot = core_next_batch(&process->core, is_wanted);

    if (is_wanted && (slot != NULL) != is_there)
        world_fail(world, "there is a batch, and it does not come, or the other way round");
    if (slot != NULL && slot->back.with != NULL)
        KLANE_MARK("sim: a batch of several lanes");
    return slot != NULL ? slot : core_next_ready(&process->core);
}

/* The slots of a batch go one by one, each to whoever comes. */
static bool dispatch(struct world *world, struct process *process)
{
    struct klane_slot *slot;

    if (process->state == PROCESS_STOPPED)
        return false;
    slot = process->ring_count < world->plan.ring ? next_slot(world, process) : NULL;
    if (slot == NULL) {
        relieve(world, process);
        return process->ring_count < world->plan.ring &&
               (process->core.ready.lanes > 0 || core_has_batch(&process->core));
    }
    for (; slot != NULL; slot = slot->back.with) {
        process->ring[(process->ring_first + process->ring_count) % RING_MAX] = slot;
        process->ring_count++;
    }
    return true;
}

/* ---- the source -------------------------------------------------------------------------- */

static bool hear_notice(struct world *world, struct process *process)
{
    struct klane_assignment *assignment = NULL;
    struct history_event event;
    enum assignment_notice notice = core_next_notice(&process->core, &assignment);
    uint16_t partition;
    struct stay *stay;

    if (notice == 0)
        return false;
    partition = (uint16_t)assignment->partition->number;
    stay = &process->stays[partition];
    if (stay->assignment != assignment) {
        world_fail(world, "a notice of an assignment that is gone");
        return true;
    }
    if (notice == NOTICE_HEAD_GONE) {
        event = event_of(process, HISTORY_HEAD_GONE, partition);
        event.offset = assignment->head_gone.offset;
        world_add(world, event);
        return true;
    }
    if (notice == NOTICE_OVER_BUDGET || notice == NOTICE_CRASHED)
        return true;
    if (notice == NOTICE_HELD || notice == NOTICE_RELEASED) {
        stay->held = notice == NOTICE_HELD;
        return true;
    }
    if (!stay->revoked)
        world_fail(world, "an assignment settled that was not revoked");
    if (assignment->slots > 0 || stay->told_ms >= 0)
        process->stop_trouble = true;
    if (!stay->overdue &&
        world->now_ms - stay->revoked_ms < process->core.config.drain_ms)
        world_add(world, event_of(process, HISTORY_DRAINED, partition));
    event = event_of(process, HISTORY_GIVEN_UP, partition);
    event.result = stay->parked;
    world_add(world, event);
    core_given_up(&process->core, assignment);
    stay->assignment = NULL;
    if (world->log[partition].owner_epoch == stay->epoch)
        world->log[partition].owner_epoch = 0;
    return true;
}

/* Whether the stay has something to offer. */
static bool can_offer(const struct world *world, const struct process *process,
                      uint16_t partition)
{
    const struct stay *stay = &process->stays[partition];
    const struct log_partition *log = &world->log[partition];

    if (stay->assignment == NULL || stay->revoked)
        return false;
    if (stay->was_cut)
        return true;
    if (log_next(log, stay->position) == log->visible)
        return stay->position < log->visible || !stay->end_told;
    return !stay->held && core_room(&process->core) > 0;
}

/* What has gone is not offered; and the end is another than it was told. */
static void skip_lost(struct stay *stay, const struct log_partition *log)
{
    uint32_t position = log_next(log, stay->position);

    if (position == stay->position)
        return;
    stay->position = position;
    stay->end_told = false;
}

/* The source finds that the log has been cut below where it reads: what was read does not count
 * for the log as it is. Whoever has lost the partition hears so at last. */
static void begin_anew(struct world *world, struct process *process, uint16_t partition)
{
    bool is_owner = world->log[partition].owner_epoch == process->stays[partition].epoch;

    KLANE_MARK("sim: a log that was cut is begun anew");
    process_lose(world, process, partition);
    if (is_owner)
        process_assign(world, process, partition, true);
}

static void bound(struct world *world, const struct process *process, const char *name,
                  uint64_t measured, uint64_t limit)
{
    world_add(world, (struct history_event){.type = HISTORY_BOUND,
                                            .process = process->number,
                                            .name = name,
                                            .offset = (int64_t)measured,
                                            .value = (int64_t)limit});
}

static void left(struct world *world, const struct process *process, const char *name,
                 uint64_t value)
{
    world_add(world, (struct history_event){.type = HISTORY_LEFT,
                                            .process = process->number,
                                            .name = name,
                                            .value = (int64_t)value});
}

/* It has to be taken: a source that asked could not give it back. */
static bool is_promised(const struct core *core, const struct source_record *record,
                        const struct core_place *place)
{
    return core->config.limit_bytes > 0 &&
           slot_size_of(record, place) <= core->config.reserve_bytes &&
           core_has_room(core, 0);
}

static bool offer(struct world *world, struct process *process, uint16_t partition)
{
    struct stay *stay = &process->stays[partition];
    struct log_partition *log = &world->log[partition];
    struct history_event event = event_of(process, HISTORY_DELIVER, partition);
    bool done = false;

    while (world->plan.prompt && hear_notice(world, process))
        done = true;
    if (stay->assignment == NULL)
        return done;
    if (stay->was_cut) {
        begin_anew(world, process, partition);
        return true;
    }
    skip_lost(stay, log);
    for (uint32_t i = 0; i < world->plan.burst && stay->position < log->visible; i++) {
        const struct klane_slot *slot;
        struct source_record record;
        struct core_place place;
        bool promised;

        if (core_room(&process->core) == 0 || (world->plan.prompt && stay->held))
            return done;
        log_describe(world, &log->records[stay->position], &record, &place);
        promised = is_promised(&process->core, &record, &place);
        if (!core_take_in(&process->core, stay->assignment, &record, &place)) {
            world_fault(world, FAULT_NO_MEMORY);
            left(world, process, "a record refused that was promised room", promised);
            return done;
        }
        event.offset = record.offset;
        world_add(world, event);
        note_record(process, &record, &place);
        slot = last_slot(stay->assignment, record.offset);
        if (slot != NULL) {
            measure(process, slot);
            check_lane(world, slot);
        }
        stay->position++;
        stay->end_told = false;
        skip_lost(stay, log);
        done = true;
        while (world->plan.prompt && hear_notice(world, process))
            continue;
    }
    if (stay->position == log->visible && !stay->end_told) {
        world_add(world, (struct history_event){.type = HISTORY_LOG_END,
                                                .partition = partition,
                                                .offset = log_end(log)});
        core_end(&process->core, stay->assignment, log_end(log));
        stay->end_told = true;
        done = true;
    }
    return done;
}

/* Parked lanes whose head is known to be a record, and has gone. */
static uint64_t heads_lost(const struct log_partition *log,
                           const struct klane_assignment *assignment)
{
    const struct heap *entries = &assignment->parking.parked;
    uint64_t count = 0;

    for (uint32_t i = 0; log->has_lost && i < entries->count; i++)
        count += parked_of_next(entries->entries[i].node)->is_unmet &&
                 log_has_lost(log, entries->entries[i].value);
    return count;
}

/* Those that could become so: where what is kept of them has gone, and is let go. */
static uint64_t heads_kept(const struct log_partition *log,
                           const struct klane_assignment *assignment)
{
    const struct heap *entries = &assignment->parking.parked;
    uint64_t count = 0;

    for (uint32_t i = 0; log->has_lost && i < entries->count; i++) {
        const struct klane_slot *kept = parked_of_next(entries->entries[i].node)->kept_first;

        while (kept != NULL && !log_has_lost(log, kept->record.offset))
            kept = kept->control.next;
        count += kept != NULL;
    }
    return count;
}

/* The partition's pass brings some more records. */
static bool bring(struct world *world, struct process *process, uint16_t partition)
{
    struct log_partition *log = &world->log[partition];
    struct stay *stay = &process->stays[partition];
    uint64_t lost, kept, lost_after;
    int64_t reached;

    if (stay->assignment == NULL || stay->revoked || !stay->sweeps ||
        (stay->was_cut && stay->swept >= log->visible))
        return false;
    lost = heads_lost(log, stay->assignment) + process->core.counts.heads_gone;
    kept = heads_kept(log, stay->assignment);
    stay->swept = log_next(log, stay->swept);
    for (uint32_t i = 0; i < world->plan.burst && stay->swept < log->visible; i++) {
        struct source_record record;
        struct core_place place;

        log_describe(world, &log->records[stay->swept], &record, &place);
        stay->swept = log_next(log, stay->swept + 1);
        core_swept(&process->core, stay->assignment, &record, &place);
        note_record(process, &record, &place);
        measure_swept(process, stay->assignment, &record, &place);
    }
    /* The main flow may come in between. */
    if (random_below(world, 2) > 0 && !(stay->was_cut && stay->swept >= log->visible)) {
        reached = stay->swept < log->visible ? log->records[stay->swept].offset : log_end(log);
        stay->sweeps = !core_swept_to(&process->core, stay->assignment, reached);
    }
    lost_after = heads_lost(log, stay->assignment) + process->core.counts.heads_gone;
    if (lost_after < lost || lost_after > lost + kept)
        world_fail(world, "p%u: a head that has gone is not told, or one that has not", partition);
    return true;
}

static bool sweep_on(struct world *world, struct process *process)
{
    uint32_t begin = random_below(world, world->plan.partitions);
    int64_t from = 0;
    struct klane_assignment *assignment = core_next_pass(&process->core, &from);

    if (assignment != NULL) {
        uint16_t partition = (uint16_t)assignment->partition->number;

        process->stays[partition].sweeps = true;
        process->stays[partition].swept = log_index(&world->log[partition], from);
        return true;
    }
    for (uint32_t i = 0; i < world->plan.partitions; i++)
        if (bring(world, process, (uint16_t)((begin + i) % world->plan.partitions)))
            return true;
    return false;
}

static bool take_in(struct world *world, struct process *process)
{
    uint32_t begin = random_below(world, world->plan.partitions);

    if (process->state != PROCESS_RUNS)
        return false;
    for (uint32_t i = 0; i < world->plan.partitions; i++) {
        uint16_t partition = (uint16_t)((begin + i) % world->plan.partitions);

        if (can_offer(world, process, partition))
            return offer(world, process, partition);
    }
    return false;
}

/* ---- time and commits -------------------------------------------------------------------- */

static bool tick(struct world *world, struct process *process)
{
    int64_t due_ms = core_next_due_ms(&process->core);
    uint32_t lanes = process->core.ready.lanes;

    core_tick(&process->core, world->now_ms);
    return core_next_due_ms(&process->core) != due_ms || process->core.ready.lanes != lanes;
}

/* What fits into a map is in it: half of it may be kept for what is said of crashes. */
static void check_ceiling(struct world *world, const struct process *process,
                          const struct klane_assignment *assignment)
{
    const struct core *core = &process->core;

    if (core->commit.writer.limit < MAP_MAX || core->slab.limit_bytes > 0 ||
        assignment_state(assignment) >= ASSIGNMENT_SETTLING ||
        core->lanes.table.count + core->lanes.alone + core->parked.count > 140)
        return;
    if (assignment->map.mark.ceiling != assignment->offsets.frontier)
        world_fail(world, "a progress map speaks only of what is below %lld, of %lld",
                   (long long)assignment->map.mark.ceiling,
                   (long long)assignment->offsets.frontier);
}

static bool commit(struct world *world, struct process *process)
{
    int64_t due_ms = core_next_due_ms(&process->core);
    struct klane_assignment *first = core_next_commit(&process->core, world->now_ms);
    struct sent_commit *sent = &process->commit;
    uint32_t count = 0;

    if (first == NULL)
        return core_next_due_ms(&process->core) != due_ms;
    process->commits++;
    for (struct klane_assignment *each = first; each != NULL; each = each->committing_next) {
        struct history_event event = event_of(process, HISTORY_SENT,
                                              (uint16_t)each->partition->number);
        struct commit_entry *entry = &sent->entries[count];

        event.epoch = each->epoch;
        event.offset = each->committing;
        event.ceiling = each->map.mark.size > 0 ? each->map.mark.ceiling : 0;
        check_ceiling(world, process, each);
        event.value = process->commits;
        world_add(world, event);
        if (count == PARTITIONS_MAX) {
            world_fail(world, "a commit with more partitions than there are");
            break;
        }
        entry->partition = event.partition;
        entry->epoch = each->epoch;
        entry->offset = each->committing;
        entry->ceiling = event.ceiling;
        entry->key_version = process->topic.scheme.key_version;
        entry->map_size = each->map.mark.size;
        if (each->map.mark.size > 0)
            memcpy(entry->map, each->map.text, each->map.mark.size);
        count++;
    }
    sent->count = count;
    sent->number = process->commits;
    sent->out = true;
    network_send(world, process);
    return true;
}

/* A drain goes on without a handler that has been running for too long. */
static bool look_for_overdue(struct world *world, struct process *process)
{
    for (uint32_t i = 0; i < world->plan.workers; i++) {
        struct worker *worker = &process->workers[i];

        if (worker->state != WORKER_RUNS || worker->slot->control.overdue ||
            assignment_state(worker->slot->record.assignment) != ASSIGNMENT_DRAINING ||
            world->now_ms - worker->started_ms < world->plan.overdue_ms)
            continue;
        process->stop_trouble = true;
        process->stays[worker->slot->record.assignment->partition->number].overdue = true;
        core_overdue(&process->core, worker->slot, world->now_ms);
        for (uint32_t n = 0; n < worker->batch_count; n++)
            core_overdue(&process->core, worker->batch[n], world->now_ms);
        return true;
    }
    return false;
}

bool control_step(struct world *world, struct process *process, uint32_t action)
{
    static bool (*const actions[CONTROL_ACTIONS])(struct world *, struct process *) = {
        collect, settle_one, dispatch, take_in, hear_notice, tick, commit,
        look_for_overdue, sweep_on,
    };

    if (process->state == PROCESS_DOWN)
        return false;
    return actions[action](world, process);
}

/* ---- life -------------------------------------------------------------------------------- */

/* Of each record, and of each lane's state. */
static size_t reports_max(const struct plan *plan)
{
    return plan->core.records_max +
           (plan->keeps_states ? (plan->keys + 3) * (size_t)plan->partitions : 0);
}

void process_begin(struct world *world, struct process *process)
{
    struct history_event event = {.type = HISTORY_WORKERS, .process = process->number};
    struct core_config config = world->plan.core;
    struct gather_rule rules[ROUTE + 1] = {{0}};
    uint8_t number = process->number;
    int64_t commits = process->commits;

    memset(process, 0, offsetof(struct process, completions));
    process->number = number;
    process->commits = commits;
    process->completions_count = process->stale_count = 0;
    process->commit.out = process->hold.is_on = false;
    process->records_most = process->lane_records_most = 0;
    process->bytes_most = process->weight = 0;
    process->weighed = 0;
    process->block_size_count = 0;
    config.seed += random_below(world, 4);
    note_block(process, sizeof(struct lane));
    if (world->plan.core.parks)
        note_block(process, sizeof(struct parked));
    process->reports = malloc(reports_max(&world->plan) * sizeof(*process->reports));
    process->inbox = malloc(reports_max(&world->plan) * sizeof(*process->inbox));
    if (process->reports == NULL || process->inbox == NULL ||
        !tokens_init(&process->tokens, world->plan.tokens, 1) ||
        !core_init(&process->core, &config))
        abort();
    rules[ROUTE] = world->plan.gather;
    if (rules[ROUTE].records_max > 0 && !core_gathers(&process->core, rules, ROUTE + 1))
        abort();
    if (world->plan.keeps_states)
        states_keep(world, process);
    if (world->plan.slab_limit > 0)
        process->core.slab.limit_bytes = world->plan.slab_limit;
    process->topic.name = "simulated";
    process->topic.scheme.key_version =
        world->plan.scheme_changes && random_below(world, 4) == 0;
    process->state = PROCESS_RUNS;
    event.value = world->plan.workers;
    world_add(world, event);
}

/* What was committed is taken up, if it was written by the same rules. */
static void take_up(struct world *world, struct process *process, struct stay *stay,
                    const struct log_partition *log)
{
    enum progress_refusal refusal = core_restore(&process->core, stay->assignment, log->map,
                                                 log->map_size, log_end(log));
    enum progress_refusal expected = PROGRESS_READ;

    if (log->map_size == 0)
        expected = PROGRESS_ABSENT;
    else if (log->key_version != process->topic.scheme.key_version)
        expected = PROGRESS_OTHER_SCHEME;
    else if (log->ceiling > log_end(log))
        expected = PROGRESS_BEYOND_LOG;
    if (refusal != expected &&
        (refusal != PROGRESS_NO_MEMORY || process->core.slab.limit_bytes == 0))
        world_fail(world, "a progress map is refused: %d", (int)refusal);
}

/* The group has committed nothing; or what it has is not in the log any more, where one source
 * begins anew, and another goes on with a hole, or finds out when it reads. */
static bool begins_anew(struct world *world, const struct log_partition *log)
{
    if (!log->is_committed)
        return true;
    if ((log->committed >= log->begin && log->committed <= log_end(log)) ||
        random_below(world, 2))
        return false;
    KLANE_MARK("sim: a partition begins where its log does");
    return true;
}

void process_assign(struct world *world, struct process *process, uint16_t partition, bool anew)
{
    struct log_partition *log = &world->log[partition];
    struct stay *stay = &process->stays[partition];
    bool is_new = anew || begins_anew(world, log);
    int64_t begin = is_new ? log->begin : log->committed;
    struct history_event event;

    *stay = (struct stay){
        .assignment = core_assign(&process->core, &process->topic, partition, ++world->epoch,
                                  begin, stay),
        .epoch = world->epoch,
        .told_ms = -1,
    };
    if (stay->assignment == NULL)
        abort();
    core_wall(&process->core, WALL_MS);
    if (is_new)
        core_begin_is_new(&process->core, stay->assignment);
    else if (process->core.config.parks && process->core.config.map_limit > 0)
        take_up(world, process, stay, log);
    stay->position = log_index(log, stay->assignment->offsets.frontier);
    stay->was_cut = stay->assignment->offsets.frontier > log_end(log);
    log->owner_epoch = stay->epoch;
    event = event_of(process, HISTORY_ASSIGN, partition);
    event.offset = begin;
    event.ceiling = stay->assignment->offsets.frontier;
    world_add(world, event);
}

void process_revoke(struct world *world, struct process *process, uint16_t partition)
{
    struct stay *stay = &process->stays[partition];

    stay->revoked = true;
    stay->parked = stay->assignment->parking.parked.count > 0;
    stay->revoked_ms = world->now_ms;
    world_add(world, event_of(process, HISTORY_REVOKE, partition));
    core_revoke(&process->core, stay->assignment, world->now_ms);
}

void process_lose(struct world *world, struct process *process, uint16_t partition)
{
    struct stay *stay = &process->stays[partition];

    world_add(world, event_of(process, HISTORY_LOST, partition));
    core_lost(&process->core, stay->assignment);
    stay->assignment = NULL;
    if (world->log[partition].owner_epoch == stay->epoch)
        world->log[partition].owner_epoch = 0;
}

/* C9 and C12. Of each size of block ever used one chunk may be kept. */
static void look_at_the_rest(struct world *world, const struct process *process)
{
    const struct core *core = &process->core;
    uint64_t kept = process->block_size_count, quota = core->config.lane_records_max;

    left(world, process, "records", core->admission.records);
    left(world, process, "core is not empty", !core_is_empty(core));
    left(world, process, "lanes", core->lanes.table.count);
    left(world, process, "parked lanes", core->parked.count);
    left(world, process, "timers", core->timers.count);
    left(world, process, "ready lanes", core->ready.lanes);
    left(world, process, "gathered lanes", core->gather.lanes);
    left(world, process, "assignments", core->assignments != NULL);
    left(world, process, "draining or settling", core->draining + core->settling);
    left(world, process, "partitions behind", core->behind);
    left(world, process, "tokens", tokens_out(&process->tokens));
    for (const struct partition *each = core->partitions; each; each = each->next)
        left(world, process, "holds, or slots of a partition",
             each->held + each->over_quota + each->full_at + each->far + each->slots +
                 each->bytes);
    bound(world, process, "bytes kept", core->slab.bytes, kept * CHUNK_BYTES);
    bound(world, process, "records in memory", process->records_most, core->config.records_max);
    /* Only what a source has in hand when it hears of the hold may still come. */
    if (world->plan.prompt)
        bound(world, process, "records of a lane", process->lane_records_most, quota);
    /* Only what is larger than half of the budget may go beyond it and what is set aside. */
    if (core->config.limit_bytes > 0)
        bound(world, process, "bytes", process->bytes_most,
              core->config.limit_bytes + core->config.reserve_bytes +
                  (world->plan.value_size_max > 500000 && !core->config.reserve_bytes ? 700000
                                                                                      : 0));
    left(world, process, "bytes charged", core->slab.charged);
    left(world, process, "paid weights", core->weights.out);
    left(world, process, "heavy lanes", core->weights.waiting);
    left(world, process, "partitions that wait for room", core->wanting);
    left(world, process, "cells", core->states.table.count);
    left(world, process, "states", process->states);
}

void process_end(struct world *world, struct process *process, bool well)
{
    if (well) {
        KLANE_VERIFY(core_verify(&process->core));
        look_at_the_rest(world, process);
    }
    /* Whatever is out dies with the process. */
    for (struct klane_assignment *each = process->core.assignments; each; each = each->next)
        each->slots = 0;
    core_deinit(&process->core);
    tokens_deinit(&process->tokens);
    free(process->reports);
    free(process->inbox);
    process->state = PROCESS_DOWN;
}
