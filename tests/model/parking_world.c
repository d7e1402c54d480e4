/* SPDX-License-Identifier: Apache-2.0 */
#include "model/parking_world.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

enum { RETRY_MS = 101, DRAIN_MS = 2000, SETTLE_MS = 500 };

#define WALL_MS INT64_C(1700000000000)

struct world world;

const char *event_name(const struct event *event)
{
    static const char *const names[EVENT_TYPES] = {
        [EVENT_TAKE] = "the main flow brings",
        [EVENT_START] = "control starts a lane",
        [EVENT_BEGIN] = "a worker begins with",
        [EVENT_DONE] = "a handler is done with",
        [EVENT_REPORT] = "control hears of",
        [EVENT_RETRY] = "a handler wants to retry",
        [EVENT_PASS] = "a pass begins",
        [EVENT_BRING] = "the pass brings",
        [EVENT_REACH] = "the pass has read all before",
        [EVENT_COMMIT] = "a commit is sent",
        [EVENT_STORED] = "the log has the commit",
        [EVENT_ACKNOWLEDGED] = "the commit is acknowledged",
        [EVENT_FAILED] = "the commit fails",
        [EVENT_TIME] = "time passes",
        [EVENT_ASSIGN] = "the partition comes",
        [EVENT_LOOK] = "memory is looked at",
        [EVENT_CRASH] = "the process crashes and begins again",
        [EVENT_REVOKE] = "the partition is revoked",
        [EVENT_LOSE] = "the partition is lost",
        [EVENT_GONE] = "compaction takes",
    };

    return names[event->type];
}

/* ---- records ----------------------------------------------------------------------------- */

/* The first that the log still holds at or above the offset. */
static uint8_t record_from(int64_t offset)
{
    uint8_t record = 0;

    while (record < records_of(world.scope) &&
           (offset_of(record) < offset || world.gone & bit(record)))
        record++;
    return record;
}

static void describe(uint8_t record, struct source_record *described, struct core_place *place)
{
    const char *key = &world.scope->keys[record];
    bool is_alone = *key == '-';

    *described = (struct source_record){
        .key = is_alone ? NULL : key,
        .key_size = is_alone ? 0 : 1,
        .offset = offset_of(record),
    };
    *place = (struct core_place){.kind = is_alone ? LANE_OF_RECORD : LANE_OF_KEY};
}

struct lane *world_lane(uint8_t record)
{
    struct partition *partition = world.core.partitions;
    struct source_record described;
    struct core_place place;
    struct lane_name name;
    uint64_t hash;

    describe(record, &described, &place);
    if (place.kind == LANE_OF_RECORD || partition == NULL)
        return NULL;
    name = (struct lane_name){partition, place.kind, described.key, described.key_size};
    return lane_find(&world.core.lanes, &name, &hash);
}

/* ---- workers ----------------------------------------------------------------------------- */

static void job_add(struct klane_slot *slot, enum job_state state)
{
    struct job job = {slot, slot->record.assignment->epoch, record_of(slot), (uint8_t)state};
    uint32_t place = world.job_count++;

    KLANE_ASSERT(world.job_count <= JOBS_MAX);
    for (; place > 0; place--) {
        const struct job *before = &world.jobs[place - 1];

        if (before->epoch < job.epoch ||
            (before->epoch == job.epoch && before->record < job.record))
            break;
        world.jobs[place] = *before;
    }
    world.jobs[place] = job;
}

static struct job job_take(uint8_t index)
{
    struct job job = world.jobs[index];

    memmove(&world.jobs[index], &world.jobs[index + 1],
            (--world.job_count - index) * sizeof(job));
    return job;
}

/* The worker goes on with what it gets. */
static void pass_on(struct klane_slot *slot, enum slot_outcome outcome)
{
    struct chain_link *next = chain_finish(&slot->chain);

    slot->back.outcome = (uint8_t)outcome;
    slot->back.passed = true;
    if (next != NULL) {
        KLANE_MARK("model: a worker passes a lane on");
        job_add(slot_of_link(next), JOB_HAS);
    }
}

/* With this slot all at the begin of its lane are known to be finished that have come back. */
static void hear(const struct klane_slot *slot)
{
    const struct klane_slot *each = slot->control.lane->first;

    if (slot->back.outcome == SLOT_RETRY)
        return;
    for (; each != NULL; each = each->control.next) {
        if (each != slot && each->control.state != SLOT_FINISHED)
            return;
        if (each->record.assignment == world.assignment && each->back.outcome == SLOT_DONE &&
            assignment_counts(world.assignment))
            world.known |= bit(record_of(each));
    }
}

static void report(struct klane_slot *slot, int64_t retry_ms)
{
    hear(slot);
    core_came_back(&world.core, slot, retry_ms, world.now_ms);
}

static void handler_begins(struct job *job)
{
    check_begin(job->slot);
    job->state = JOB_RUNS;
}

static void start(void)
{
    struct klane_slot *slot = core_next_ready(&world.core);

    if (slot == NULL)
        world_fail("control has nothing to start, although a lane is ready");
    job_add(slot, JOB_HAS);
    for (uint32_t i = 0; !world.scope->by_steps && i < world.job_count; i++)
        if (world.jobs[i].slot == slot)
            handler_begins(&world.jobs[i]);
}

static void begin(uint8_t index)
{
    struct job job;

    if (assignment_may_start(world.jobs[index].slot->record.assignment)) {
        handler_begins(&world.jobs[index]);
        return;
    }
    KLANE_MARK("model: a worker is stopped by the fence");
    job = job_take(index);
    pass_on(job.slot, SLOT_NOT_STARTED);
    report(job.slot, -1);
}

static void done(uint8_t index)
{
    struct job *job = &world.jobs[index];
    struct klane_slot *slot = job->slot;

    world.finished |= bit(job->record);
    if (job->epoch == world.epoch)
        world.handled |= bit(job->record);
    if (world.scope->by_steps) {
        job->state = JOB_ENDED;
        pass_on(slot, SLOT_DONE);
        return;
    }
    slot->back.outcome = SLOT_DONE;
    slot->back.passed = false;
    job_take(index);
    report(slot, -1);
}

static void retry(uint8_t index)
{
    struct job job = job_take(index);

    world.left.retries--;
    world.tries[job.record]++;
    world.tries_are_kept &= assignment_counts(job.slot->record.assignment);
    world.due_ms[job.record] = job.epoch == world.epoch ? world.now_ms + RETRY_MS : 0;
    job.slot->back.outcome = SLOT_RETRY;
    job.slot->back.passed = false;
    report(job.slot, RETRY_MS);
}

/* ---- the source -------------------------------------------------------------------------- */

static void take(void)
{
    uint8_t record = record_from(offset_of(world.position));
    struct source_record described;
    struct core_place place;

    if (record == records_of(world.scope)) {
        world.position = record;
        world.end_told = true;
        core_end(&world.core, world.assignment, log_end());
        return;
    }
    describe(record, &described, &place);
    if (!core_take_in(&world.core, world.assignment, &described, &place))
        world_fail("a record is not taken in");
    world.position = (uint8_t)(record + 1);
}

static void pass_begins(void)
{
    int64_t from = 0;

    if (core_next_pass(&world.core, &from) != world.assignment)
        world_fail("a pass was due, and none begins");
    world.sweeps = true;
    world.swept = record_from(from);
}

/* The next one of the pass, or how many there are. */
static uint8_t next_swept(void)
{
    return record_from(offset_of(world.swept));
}

/* A source may have read on before it hears that the pass is over. */
static bool may_bring(void)
{
    uint8_t record = next_swept(), beyond = 0;

    if (record == records_of(world.scope))
        return false;
    for (uint8_t each = 0; each < record; each++)
        beyond += (uint8_t)(offset_of(each) >= world.assignment->parking.pass.end);
    return offset_of(record) < world.assignment->parking.pass.end || beyond < world.scope->beyond;
}

static void bring(void)
{
    uint8_t record = next_swept();
    struct source_record described;
    struct core_place place;

    describe(record, &described, &place);
    if (described.offset >= world.assignment->parking.pass.end)
        KLANE_MARK("model: a pass brings what is beyond its end");
    core_swept(&world.core, world.assignment, &described, &place);
    world.swept = (uint8_t)(record + 1);
}

static int64_t reached(void)
{
    uint8_t record = next_swept();

    return record == records_of(world.scope) ? log_end() : offset_of(record);
}

static void reach(void)
{
    const struct pass *pass = &world.assignment->parking.pass;

    if (TAILQ_EMPTY(&pass->parts) && reached() < pass->end)
        KLANE_MARK("model: a pass ends early, as all have left it");
    world.sweeps = !core_swept_to(&world.core, world.assignment, reached());
}

static void hear_notices(void)
{
    struct klane_assignment *assignment;
    enum assignment_notice notice;

    while ((notice = core_next_notice(&world.core, &assignment)) != 0) {
        if (assignment != world.assignment)
            world_fail("a notice of an assignment that is gone");
        if (notice == NOTICE_HEAD_GONE) {
            KLANE_MARK("model: a head is told to be gone");
            if (!(world.gone & bit((uint8_t)(assignment->head_gone.offset / 2))))
                world_fail("record %lld is said to be gone from the log",
                           (long long)assignment->head_gone.offset / 2);
        } else if (notice == NOTICE_SETTLED) {
            if (assignment->progress.hash != assignment->map.mark.hash)
                world.tries_are_kept = false;
            core_given_up(&world.core, assignment);
            world.assignment = NULL;
        } else {
            world_fail("a notice that nothing is the reason for: %u", (unsigned)notice);
        }
    }
}

/* ---- commits ----------------------------------------------------------------------------- */

static void commit(void)
{
    struct klane_assignment *sent;
    uint8_t covered;

    if (world.left.commits > 0)
        world.left.commits--;
    sent = core_next_commit(&world.core, world.now_ms);
    if (sent == NULL)
        return;
    if (sent != world.assignment || sent->map.mark.size > MAP_LIMIT)
        world_fail("a commit of what is not here");
    covered = check_map();
    world.sent = (struct commit_text){.base = sent->committing,
                                      .epoch = sent->epoch,
                                      .size = sent->map.mark.size,
                                      .covered = covered};
    if (sent->map.mark.size > 0)
        memcpy(world.sent.map, sent->map.text, sent->map.mark.size);
    world.is_out = true;
    world.is_stored = false;
}

/* The log takes it from the partition's owner only. */
static void store(void)
{
    if (!world.is_stored && world.assignment != NULL && world.sent.epoch == world.epoch)
        world.log = world.sent;
    world.is_stored = true;
}

static void answered(bool acknowledged)
{
    world.is_out = false;
    if (acknowledged)
        store();
    else if (!world.is_stored)
        world.left.troubles--;
    core_committed(&world.core, acknowledged, world.now_ms);
}

/* ---- the process ------------------------------------------------------------------------- */

static void process_begin(void)
{
    struct core_config config = {
        .records_max = world.scope->room,
        .lane_records_max = world.scope->quota,
        .commit_records = 1,
        .drain_ms = DRAIN_MS,
        .settle_ms = SETTLE_MS,
        .seed = 1 + world.epoch,
        .parks = true,
        .map_limit = world.scope->has_small_map ? MAP_SMALL : MAP_LIMIT,
        .fingerprints_alike = world.scope->alike,
    };

    memory_clear();
    world.topic = (struct core_topic){.name = "model"};
    if (!core_init(&world.core, &config))
        world_fail("no memory");
    core_wall(&world.core, WALL_MS);
    world.assignment = NULL;
    world.job_count = 0;
    world.sweeps = false;
    world.is_out = false;
}

static void assign(void)
{
    world.assignment =
        core_assign(&world.core, &world.topic, 0, ++world.epoch, world.log.base, NULL);
    world.handled = 0;
    world.known = world.log.covered;
    memset(world.last_begun, -1, sizeof(world.last_begun));
    world.revoked = false;
    world.end_told = false;
    if (!world.tries_are_kept)
        memset(world.due_ms, 0, sizeof(world.due_ms));
    if (world.log.size > 0) {
        if (core_restore(&world.core, world.assignment, world.log.map, world.log.size,
                         log_end()) != PROGRESS_READ)
            world_fail("a progress map is refused");
        if (world.assignment->parking.parked.count > 0)
            KLANE_MARK("model: a parked lane is restored");
    }
    world.position = record_from(world.assignment->offsets.frontier);
}

static void crash(void)
{
    world.left.crashes--;
    world.tries_are_kept = false;
    process_begin();
    assign();
}

static void revoke(void)
{
    world.left.revokes--;
    world.revoked = true;
    world.sweeps = false;
    core_revoke(&world.core, world.assignment, world.now_ms);
}

static void lose(void)
{
    world.left.losses--;
    world.tries_are_kept = false;
    world.sweeps = false;
    core_lost(&world.core, world.assignment);
    world.assignment = NULL;
}

static void look(void)
{
    world.left.looks--;
    core_relieve(&world.core, world.now_ms);
}

/* ---- time -------------------------------------------------------------------------------- */

static void sooner(int64_t *due_ms, int64_t other_ms)
{
    if (other_ms < *due_ms)
        *due_ms = other_ms;
}

int64_t world_due_ms(void)
{
    const struct core *core = &world.core;
    const struct commit *commit = &core->commit;
    int64_t due_ms = core->stuck_look_ms;

    if (core->timers.count > 0)
        sooner(&due_ms, core->timers.entries[0].value);
    if (core->parked_timers.count > 0)
        sooner(&due_ms, core->parked_timers.entries[0].value);
    if (world.assignment != NULL && !assignment_may_start(world.assignment))
        sooner(&due_ms, world.assignment->deadline_ms);
    if (commit->dirty != NULL && !commit->out && commit->not_before_ms > world.now_ms)
        sooner(&due_ms, commit->not_before_ms);
    return due_ms;
}

static void pass_time(void)
{
    int64_t due_ms = world_due_ms();

    if (due_ms > world.now_ms)
        world.now_ms = due_ms;
    core_tick(&world.core, world.now_ms);
}

/* ---- what may happen --------------------------------------------------------------------- */

static void event_add(struct events *events, enum event_type type, bool is_due)
{
    KLANE_ASSERT(events->count < EVENTS_MAX);
    events->list[events->count++] =
        (struct event){.type = (uint8_t)type, .record = RECORDS_MAX, .is_due = is_due};
}

static void event_add_of(struct events *events, enum event_type type, bool is_due, uint32_t job,
                         uint8_t record)
{
    event_add(events, type, is_due);
    events->list[events->count - 1].job = (uint8_t)job;
    events->list[events->count - 1].record = record;
}

static void events_of_jobs(struct events *events)
{
    static const enum event_type next[] = {
        [JOB_HAS] = EVENT_BEGIN, [JOB_RUNS] = EVENT_DONE, [JOB_ENDED] = EVENT_REPORT};

    for (uint32_t i = 0; i < world.job_count; i++) {
        const struct job *job = &world.jobs[i];

        event_add_of(events, next[job->state], true, i, job->record);
        if (job->state == JOB_RUNS && world.left.retries > 0)
            event_add_of(events, EVENT_RETRY, false, i, job->record);
    }
}

static void events_of_source(struct events *events)
{
    bool is_at_end = record_from(offset_of(world.position)) == records_of(world.scope);

    if (world.assignment == NULL) {
        event_add(events, EVENT_ASSIGN, true);
        return;
    }
    if (!assignment_may_start(world.assignment))
        return;
    if (is_at_end ? !world.end_told : core_room(&world.core) > 0)
        event_add_of(events, EVENT_TAKE, true, 0, record_from(offset_of(world.position)));
    if (!world.sweeps) {
        if (core_pass_is_due(&world.core))
            event_add(events, EVENT_PASS, true);
        return;
    }
    if (may_bring())
        event_add_of(events, EVENT_BRING, true, 0, next_swept());
    if (reached() > world.assignment->parking.pass.position)
        event_add_of(events, EVENT_REACH, true, 0, next_swept());
}

/* Early commits are what a crash finds. */
static void events_of_commits(struct events *events)
{
    if (world.is_out) {
        event_add(events, EVENT_ACKNOWLEDGED, true);
        if (world.is_stored || world.left.troubles > 0)
            event_add(events, EVENT_FAILED, false);
        if (!world.is_stored && world.left.troubles > 0)
            event_add(events, EVENT_STORED, false);
        return;
    }
    if (commit_due_ms(&world.core.commit, world.core.settling > 0) <= world.now_ms &&
        (world.left.commits > 0 || world.core.settling > 0 || events->count == 0))
        event_add(events, EVENT_COMMIT, true);
}

static void events_of_mishaps(struct events *events)
{
    if (world.left.looks > 0 && world.core.ready.lanes == 0 && core_is_nearly_full(&world.core) &&
        world.core.stuck_look_ms == INT64_MAX)
        event_add(events, EVENT_LOOK, false);
    if (world.left.crashes > 0)
        event_add(events, EVENT_CRASH, false);
    for (uint8_t i = 0; world.left.gone > 0 && i < records_of(world.scope); i++)
        if (!((world.gone | world.finished) & bit(i)))
            event_add_of(events, EVENT_GONE, false, 0, i);
    if (world.assignment == NULL)
        return;
    if (world.left.revokes > 0 && !world.revoked)
        event_add(events, EVENT_REVOKE, false);
    if (world.left.losses > 0)
        event_add(events, EVENT_LOSE, false);
}

void world_events(struct events *events)
{
    uint32_t running = world.job_count;

    events->count = 0;
    events_of_jobs(events);
    for (uint32_t i = 0; i < world.job_count; i++)
        running -= world.jobs[i].state == JOB_ENDED;
    if (world.core.ready.lanes > 0 && running < world.scope->workers)
        event_add(events, EVENT_START, true);
    events_of_source(events);
    if (world_due_ms() != INT64_MAX)
        event_add(events, EVENT_TIME, true);
    events_of_commits(events);
    events_of_mishaps(events);
}

static void apply_rest(enum event_type type, uint8_t record)
{
    switch (type) {
    case EVENT_COMMIT:
        commit();
        break;
    case EVENT_STORED:
        world.left.troubles--;
        store();
        break;
    case EVENT_ACKNOWLEDGED:
    case EVENT_FAILED:
        answered(type == EVENT_ACKNOWLEDGED);
        break;
    case EVENT_TIME:
        pass_time();
        break;
    case EVENT_ASSIGN:
        assign();
        break;
    case EVENT_LOOK:
        look();
        break;
    case EVENT_CRASH:
        crash();
        break;
    case EVENT_REVOKE:
        revoke();
        break;
    case EVENT_LOSE:
        lose();
        break;
    default:
        world.left.gone--;
        world.gone |= bit(record);
    }
}

static void apply(const struct event *event)
{
    switch ((enum event_type)event->type) {
    case EVENT_TAKE:
        take();
        break;
    case EVENT_START:
        start();
        break;
    case EVENT_BEGIN:
        begin(event->job);
        break;
    case EVENT_DONE:
        done(event->job);
        break;
    case EVENT_REPORT:
        report(job_take(event->job).slot, -1);
        break;
    case EVENT_RETRY:
        retry(event->job);
        break;
    case EVENT_PASS:
        pass_begins();
        break;
    case EVENT_BRING:
        bring();
        break;
    case EVENT_REACH:
        reach();
        break;
    default:
        apply_rest((enum event_type)event->type, event->record);
    }
}

void world_apply(const struct event *event)
{
    memory_is_core(true);
    apply(event);
    hear_notices();
    memory_is_core(false);
}

void world_begin(const struct scope *scope)
{
    memory_is_core(true);
    memset(&world, 0, sizeof(world));
    world.scope = scope;
    world.left = scope->may;
    world.now_ms = 1000;
    world.tries_are_kept = true;
    process_begin();
    assign();
    memory_is_core(false);
}
