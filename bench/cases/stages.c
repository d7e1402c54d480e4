/* SPDX-License-Identifier: Apache-2.0 */
/* Where the time of a dispatched record goes: klane's own parts, one more in each arm, each on one
 * thread alone, so without the cost of passing cache lines between processors.
 *
 *   stage-source   the log in memory is read
 *   stage-copy     and each record copied into a slot, which is freed 4,096 records later
 *   stage-control  and everything else that control does of a record: lane, chain, offsets, ready
 *                  lists, settling; a worker's chain_finish() in between
 *   stage-worker   apart from those: ring, record, handler, chain and mailbox for ready slots */
#include "cases/cases.h"
#include "lib/drive.h"

#include "core/core.h"
#include "engine/engine.h"
#include "source/source.h"

#include <stdlib.h>

enum { IN_MEMORY = 4096, AT_ONCE = 128 };

/* A reader in the place of the engine. */
struct stage {
    struct klane_intake intake;
    bool (*take)(struct stage *stage, const struct source_record *record);
    struct core core;
    struct core_topic topic;
    struct klane_assignment *assignment;
    struct klane_slot *slots[IN_MEMORY]; /* a queue: of stage-copy all slots, else the ready */
    uint64_t first;
    uint64_t end;
    uint64_t taken;
    bool closed;
};

static struct klane_assignment *stage_assigned(struct klane_intake *intake, const char *topic,
                                               int32_t partition,
                                               const struct source_position *position,
                                               int64_t *from, void *own)
{
    struct stage *stage = (struct stage *)(void *)intake;

    (void)topic;
    *from = position->begin;
    stage->assignment =
        core_assign(&stage->core, &stage->topic, partition, 1, position->begin, own);
    return stage->assignment;
}

static bool stage_record(struct klane_intake *intake, struct klane_assignment *assignment,
                         const struct source_record *record)
{
    struct stage *stage = (struct stage *)(void *)intake;

    (void)assignment;
    stage->taken++;
    return stage->take(stage, record);
}

static void stage_end(struct klane_intake *intake, struct klane_assignment *assignment,
                      int64_t end)
{
    (void)intake;
    (void)assignment;
    (void)end;
}

static void stage_closed(struct klane_intake *intake)
{
    ((struct stage *)(void *)intake)->closed = true;
}

static const struct klane_intake_ops stage_ops = {
    .assigned = stage_assigned,
    .record = stage_record,
    .end = stage_end,
    .closed = stage_closed,
};

/* ---- what is done of a record ---------------------------------------------------------- */

static bool take_nothing(struct stage *stage, const struct source_record *record)
{
    (void)stage;
    /* The key and the value are at hand, as whoever copies them needs them. */
    __builtin_prefetch(record->key);
    return true;
}

static bool take_copy(struct stage *stage, const struct source_record *record)
{
    struct klane_slot *slot = slot_create(&stage->core.slab, record, &(struct core_place){0});

    if (stage->end - stage->first == IN_MEMORY)
        slot_destroy(&stage->core.slab, stage->slots[stage->first++ % IN_MEMORY]);
    stage->slots[stage->end++ % IN_MEMORY] = slot;
    return slot != NULL;
}

static bool take_into_core(struct stage *stage, const struct source_record *record)
{
    const struct core_place place = {.kind = LANE_OF_KEY};

    return core_take_in(&stage->core, stage->assignment, record, &place);
}

/* As a worker: the slot, and what is behind it in its lane. */
static void run_lane(struct stage *stage, struct klane_slot *slot)
{
    while (slot != NULL) {
        struct chain_link *next;

        slot->back.outcome = SLOT_DONE;
        slot->back.passed = true;
        next = chain_finish(&slot->chain);
        core_came_back(&stage->core, slot, -1, 0);
        slot = next == NULL ? NULL : slot_of_link(next);
    }
}

static void run_ready(struct stage *stage, uint32_t keep)
{
    struct klane_slot *slot;

    while ((slot = core_next_ready(&stage->core)) != NULL)
        stage->slots[stage->end++ % IN_MEMORY] = slot;
    while (stage->core.admission.records > keep)
        run_lane(stage, stage->slots[stage->first++ % IN_MEMORY]);
}

/* ---- arms ------------------------------------------------------------------------------ */

static void stage_init(struct stage *stage)
{
    const struct core_config config = {
        .records_max = IN_MEMORY,
        .lane_records_max = IN_MEMORY,
        .commit_interval_ms = 1000,
        .commit_records = UINT32_MAX,
        .seed = 1,
    };

    stage->intake.ops = &stage_ops;
    stage->topic.name = DRIVE_TOPIC;
    if (!core_init(&stage->core, &config))
        bench_fail("no memory");
}

static void stage_run(struct bench_run *run,
                      bool (*take)(struct stage *stage, const struct source_record *record))
{
    const struct dispatch_plan *plan = run->plan;
    uint64_t records = bench_count(run, plan->records, plan->records_quick);
    const struct source_topic topic = {.name = DRIVE_TOPIC, .begin = KLANE_BEGIN_EARLIEST};
    struct klane_source *log = drive_log(1);
    struct stage *stage = calloc(1, sizeof(*stage));
    bool is_core = take == take_into_core;
    struct bench_meter meter;

    drive_fill(log, 1, records, plan->keys);
    if (stage == NULL)
        bench_fail("no memory");
    stage_init(stage);
    stage->take = take;
    bench_check(log->ops->start(log, &stage->intake, &topic, 1, NULL, 0), "start");
    bench_meter_start(&meter);
    while (stage->taken < records) {
        log->ops->poll(log, AT_ONCE);
        if (is_core)
            run_ready(stage, IN_MEMORY - AT_ONCE);
    }
    if (is_core)
        run_ready(stage, 0);
    bench_meter_stop(&meter);
    if (is_core)
        bench_check_count(stage->core.counts.done, records, "records done");
    bench_meter_report(&meter, run, stage->taken);
    bench_setting(run, "records", (int64_t)records);
    bench_setting(run, "keys", (int64_t)plan->keys);
    bench_setting(run, "in_memory", IN_MEMORY);
}

void stage_source_run(struct bench_run *run)
{
    stage_run(run, take_nothing);
}

void stage_copy_run(struct bench_run *run)
{
    stage_run(run, take_copy);
}

void stage_control_run(struct bench_run *run)
{
    stage_run(run, take_into_core);
}

/* ---- the worker's part ----------------------------------------------------------------- */

static enum klane_outcome handle_nothing(const struct klane_record *record, void *context)
{
    (void)context;
    return record->key == NULL ? KLANE_SKIP : KLANE_DONE;
}

struct worker_stage {
    struct ready_ring ready;
    struct mailbox outcomes;
    struct bell bell;
    klane_handler_fn volatile handler;
};

static void run_one(struct worker_stage *stage)
{
    struct klane_slot *slot = ready_pop(&stage->ready);
    struct klane_record record;

    if (!assignment_may_start(slot->record.assignment))
        bench_fail("it may not start");
    slot_show(slot, &record);
    slot->back.outcome = (uint8_t)stage->handler(&record, NULL);
    slot->back.passed = true;
    (void)chain_finish(&slot->chain);
    mailbox_send(&stage->outcomes, &slot->back.mail);
    bell_ring(&stage->bell, false);
}

static void push_again(struct worker_stage *stage)
{
    struct mail *mail = mailbox_collect(&stage->outcomes), *next;

    for (; mail != NULL; mail = next) {
        struct klane_slot *slot = slot_of_mail(mail);

        next = mailbox_next(mail);
        chain_init(&slot->chain);
        if (!ready_push(&stage->ready, slot))
            bench_fail("the ring is full");
    }
}

/* As many slots as are in memory go round. */
static void slots_push(struct worker_stage *stage, struct core *core)
{
    static const struct core_topic topic = {.name = DRIVE_TOPIC};
    struct klane_assignment *assignment = core_assign(core, &topic, 0, 1, 0, NULL);
    unsigned char key[DRIVE_KEY_BYTES];
    struct source_record record = {
        .key = key,
        .value = drive_value,
        .key_size = sizeof(key),
        .value_size = sizeof(drive_value),
    };

    for (uint64_t i = 0; i < IN_MEMORY; i++) {
        struct klane_slot *slot;

        drive_key(key, i);
        slot = slot_create(&core->slab, &record, &(struct core_place){0});
        if (assignment == NULL || slot == NULL)
            bench_fail("no memory");
        slot->record.assignment = assignment;
        chain_init(&slot->chain);
        if (!ready_push(&stage->ready, slot))
            bench_fail("the ring is full");
    }
}

void stage_worker_run(struct bench_run *run)
{
    const struct dispatch_plan *plan = run->plan;
    uint64_t records = bench_count(run, plan->records, plan->records_quick);
    struct stage *core = calloc(1, sizeof(*core));
    struct worker_stage stage = {.handler = handle_nothing};
    struct bench_meter meter;

    if (core == NULL || !ready_init(&stage.ready, 2 * IN_MEMORY) || !bell_init(&stage.bell))
        bench_fail("no memory");
    stage_init(core);
    mailbox_init(&stage.outcomes);
    slots_push(&stage, &core->core);
    bench_meter_start(&meter);
    for (uint64_t i = 1; i <= records; i++) {
        run_one(&stage);
        if (i % AT_ONCE == 0)
            push_again(&stage);
    }
    bench_meter_stop(&meter);
    bench_meter_report(&meter, run, records);
    bench_setting(run, "records", (int64_t)records);
    bench_setting(run, "in_memory", IN_MEMORY);
}
