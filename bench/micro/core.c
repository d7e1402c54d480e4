/* SPDX-License-Identifier: Apache-2.0 */
/* The core as control drives it, without sources and workers: a record comes in, is handed over,
 * comes back, and is settled; and what waiting, gathering, states, parking and committing add. */
#include "micro/micro.h"

#include "core/core.h"
#include "core/parked.h"
#include "lib/drive.h"

#include <stdlib.h>

enum { KEYS = 10000, DRAWN = 1 << 16, PARTITIONS = 8, BATCH = 100, HELD = 100, QUOTA = 4 };

struct stage {
    struct core core;
    struct core_topic topic;
    struct idle_states states;
    struct klane_assignment *assignments[PARTITIONS];
    struct core_place place;
    struct klane_slot *slots[MICRO_RUN];
    uint32_t count;
    int64_t offset;
    int64_t now_ms;
    uint64_t draw;
    unsigned char keys[DRAWN][DRIVE_KEY_BYTES]; /* 10,000 different ones, as they come */
};

static struct stage *stage_begin(const struct core_config *config)
{
    struct stage *stage = micro_alloc(sizeof(*stage));
    uint64_t state = 1;

    stage->topic.name = DRIVE_TOPIC;
    stage->place.kind = LANE_OF_KEY;
    micro_check(core_init(&stage->core, config), "no memory");
    for (int i = 0; i < DRAWN; i++)
        drive_key(stage->keys[i], drive_random(&state) % KEYS);
    return stage;
}

static void stage_assign(struct stage *stage)
{
    for (int i = 0; i < PARTITIONS; i++) {
        stage->assignments[i] =
            core_assign(&stage->core, &stage->topic, i, (uint32_t)i + 1, 0, NULL);
        micro_check(stage->assignments[i] != NULL, "no memory");
    }
}

static struct core_config config_of(uint32_t lane_records_max)
{
    return (struct core_config){
        .records_max = 4 * MICRO_RUN,
        .lane_records_max = lane_records_max,
        .commit_interval_ms = 1000,
        .commit_records = UINT32_MAX,
        .weight_max = 4 * MICRO_RUN,
        .parks = true,
        .seed = 1,
    };
}

static void *core_begin(void)
{
    const struct core_config config = config_of(4 * MICRO_RUN);
    struct stage *stage = stage_begin(&config);

    stage_assign(stage);
    return stage;
}

static void take_in(struct stage *stage, const unsigned char *key)
{
    const struct source_record record = {
        .key = key,
        .value = drive_value,
        .key_size = DRIVE_KEY_BYTES,
        .value_size = sizeof(drive_value),
        .offset = stage->offset++,
    };

    micro_check(core_take_in(&stage->core, stage->assignments[0], &record, &stage->place),
                "no memory");
}

static void take_in_all(void *stage_)
{
    struct stage *stage = stage_;

    for (int i = 0; i < MICRO_RUN; i++)
        take_in(stage, stage->keys[stage->draw++ % DRAWN]);
}

/* The slot, and, as a worker passes them on, those behind it. */
static void run_lane(struct stage *stage, struct klane_slot *slot)
{
    while (slot != NULL) {
        struct chain_link *next;

        slot->back.outcome = SLOT_DONE;
        slot->back.passed = true;
        next = chain_finish(&slot->chain);
        core_came_back(&stage->core, slot, -1, stage->now_ms);
        slot = next == NULL ? NULL : slot_of_link(next);
    }
}

static void run_all(void *stage_)
{
    struct stage *stage = stage_;
    struct klane_slot *slot;

    while ((slot = core_next_ready(&stage->core)) != NULL)
        run_lane(stage, slot);
}

static void records_run(void *stage)
{
    take_in_all(stage);
    run_all(stage);
    micro_check(core_is_empty(&((struct stage *)stage)->core), "a record is left");
}

static void core_end_stage(void *stage_)
{
    struct stage *stage = stage_;

    run_all(stage);
    for (int i = 0; i < PARTITIONS; i++)
        core_lost(&stage->core, stage->assignments[i]);
    core_deinit(&stage->core);
    free(stage);
}

/* ---- records that are not plain -------------------------------------------------------- */

static void *alone_begin(void)
{
    struct stage *stage = core_begin();

    stage->place.kind = LANE_OF_RECORD;
    return stage;
}

static void *weight_begin(void)
{
    struct stage *stage = core_begin();

    stage->place.weight = 1;
    return stage;
}

static void *due_begin(void)
{
    struct stage *stage = core_begin();

    stage->place.due_ms = 1;
    return stage;
}

/* They come before their time, which then comes. */
static void due_run(void *stage_)
{
    struct stage *stage = stage_;

    stage->place.due_ms = stage->now_ms + 1;
    take_in_all(stage);
    core_tick(&stage->core, ++stage->now_ms);
    run_all(stage);
    while (!core_is_empty(&stage->core)) {
        core_tick(&stage->core, stage->now_ms);
        run_all(stage);
    }
}

/* Each fails once. */
static void retry_run(void *stage_)
{
    struct stage *stage = stage_;
    struct klane_slot *slot;

    take_in_all(stage);
    while ((slot = core_next_ready(&stage->core)) != NULL)
        if (slot->record.attempt > 1) {
            run_lane(stage, slot);
        } else {
            slot->back.outcome = SLOT_RETRY;
            slot->back.passed = false;
            core_came_back(&stage->core, slot, 0, stage->now_ms);
            core_tick(&stage->core, stage->now_ms);
        }
}

static void *gather_begin(void)
{
    const struct gather_rule rule = {.records_max = BATCH, .many_lanes = true};
    struct stage *stage = core_begin();

    micro_check(core_gathers(&stage->core, &rule, 1), "no memory");
    return stage;
}

static void gather_run(void *stage_)
{
    struct stage *stage = stage_;
    struct klane_slot *slot, *next;

    take_in_all(stage);
    while ((slot = core_next_batch(&stage->core, true)) != NULL)
        for (; slot != NULL; slot = next) {
            next = slot->back.with;
            run_lane(stage, slot);
        }
}

static void *states_begin(void)
{
    const struct core_config config = config_of(4 * MICRO_RUN);
    struct stage *stage = stage_begin(&config);

    idle_states_init(&stage->states, 2 * KEYS);
    stage->topic.states = &stage->states;
    stage->place.has_state = true;
    micro_check(core_keep_states(&stage->core, 2 * KEYS), "no memory");
    stage_assign(stage);
    return stage;
}

/* Nearly all find the state that the last record of their key has left. */
static void states_run(void *stage_)
{
    struct stage *stage = stage_;
    struct klane_slot *slot;

    take_in_all(stage);
    while ((slot = core_next_ready(&stage->core)) != NULL) {
        *slot_state(slot) = stage;
        run_lane(stage, slot);
    }
}

static void states_end(void *stage_)
{
    struct stage *stage = stage_;
    struct klane_slot *slot;

    for (int i = 0; i < PARTITIONS; i++)
        core_lost(&stage->core, stage->assignments[i]);
    while ((slot = core_next_ready(&stage->core)) != NULL)
        core_state_freed(&stage->core, slot, stage->now_ms);
    core_deinit(&stage->core);
    free(stage);
}

/* ---- what is held by hand -------------------------------------------------------------- */

static void *hold_begin(void)
{
    struct stage *stage = core_begin();
    unsigned char key[DRIVE_KEY_BYTES];

    for (uint64_t i = 0; i < HELD; i++) {
        drive_key(key, KEYS + i);
        micro_check(core_hold(&stage->core, DRIVE_TOPIC, key, sizeof(key)), "no memory");
    }
    return stage;
}

static void hold_end(void *stage_)
{
    struct stage *stage = stage_;
    unsigned char key[DRIVE_KEY_BYTES];

    for (uint64_t i = 0; i < HELD; i++) {
        drive_key(key, KEYS + i);
        micro_check(core_release(&stage->core, DRIVE_TOPIC, key, sizeof(key)), "release");
    }
    core_end_stage(stage);
}

/* ---- room ------------------------------------------------------------------------------ */

static void *room_begin(void)
{
    struct core_config config = config_of(4 * MICRO_RUN);
    struct stage *stage;

    config.limit_bytes = UINT64_C(64) << 20;
    config.reserve_bytes = UINT64_C(1) << 20;
    stage = stage_begin(&config);
    stage_assign(stage);
    return stage;
}

static void room_run(void *stage_)
{
    struct stage *stage = stage_;

    for (int i = 0; i < MICRO_RUN; i++)
        micro_check(core_room(&stage->core) > 0 && core_has_room(&stage->core, 0) &&
                        !core_is_nearly_full(&stage->core),
                    "no room");
}

/* ---- parked lanes ---------------------------------------------------------------------- */

static void *parked_begin(void)
{
    return core_begin();
}

static void parked_remove_all(void *stage_)
{
    struct stage *stage = stage_;

    for (uint32_t i = 0; i < MICRO_RUN; i++)
        parked_remove(&stage->core,
                      parked_find(&stage->core, stage->assignments[0], i, LANE_OF_KEY));
    stage->count = 0;
}

static void parked_none(void *stage)
{
    if (((struct stage *)stage)->count > 0)
        parked_remove_all(stage);
}

static void parked_add_all(void *stage_)
{
    struct stage *stage = stage_;

    for (uint32_t i = 0; i < MICRO_RUN; i++)
        micro_check(parked_add(&stage->core, stage->assignments[0], i, LANE_OF_KEY, i) != NULL,
                    "no memory");
    stage->count = MICRO_RUN;
}

static void parked_all(void *stage)
{
    if (((struct stage *)stage)->count == 0)
        parked_add_all(stage);
}

static void parked_find_all(void *stage_)
{
    struct stage *stage = stage_;

    for (uint32_t i = 0; i < MICRO_RUN; i++)
        micro_check(parked_find(&stage->core, stage->assignments[0], i, LANE_OF_KEY) != NULL,
                    "find");
}

static void parked_end(void *stage)
{
    parked_none(stage);
    core_end_stage(stage);
}

/* One key is past its quota and parked. */
static void *drop_begin(void)
{
    const struct core_config config = config_of(QUOTA);
    struct stage *stage = stage_begin(&config);

    stage_assign(stage);
    for (int i = 0; i <= QUOTA; i++)
        take_in(stage, stage->keys[0]);
    micro_check(stage->core.parked.count == 1, "it is not parked");
    return stage;
}

static void drop_run(void *stage_)
{
    struct stage *stage = stage_;

    for (int i = 0; i < MICRO_RUN; i++)
        take_in(stage, stage->keys[0]);
}

/* What it had in memory is done, and a pass looks for the rest, which is far. */
static void *pass_begin(void)
{
    struct stage *stage = drop_begin();
    int64_t from;

    stage->offset = INT64_C(1) << 40;
    take_in(stage, stage->keys[0]);
    run_all(stage);
    micro_check(core_next_pass(&stage->core, &from) != NULL, "no pass");
    stage->offset = from + 1;
    return stage;
}

/* It reads the records of other keys. */
static void pass_run(void *stage_)
{
    struct stage *stage = stage_;
    unsigned char key[DRIVE_KEY_BYTES];
    struct source_record record = {
        .key = key,
        .value = drive_value,
        .key_size = sizeof(key),
        .value_size = sizeof(drive_value),
    };

    drive_key(key, KEYS);
    for (int i = 0; i < MICRO_RUN; i++) {
        record.offset = stage->offset++;
        core_swept(&stage->core, stage->assignments[0], &record, &stage->place);
    }
}

/* ---- commits --------------------------------------------------------------------------- */

/* Of 8 partitions, whose bases have moved. */
static void commit_run(void *stage_)
{
    struct stage *stage = stage_;

    for (int i = 0; i < MICRO_RUN; i++) {
        stage->now_ms += 1000;
        stage->offset++;
        for (int k = 0; k < PARTITIONS; k++)
            core_end(&stage->core, stage->assignments[k], stage->offset);
        micro_check(core_next_commit(&stage->core, stage->now_ms) != NULL, "no commit");
        core_committed(&stage->core, true, stage->now_ms);
    }
}

const struct micro_part micro_core[] = {
    {
        .name = "core",
        .what =
            "Everything that control does of a record, of 10,000 keys: in, handed over, back, "
            "settled; plain, without a key, among 100 keys that are held, with a weight, "
            "before its time, failed once, in batches of 100, with a state.",
        .micros = {{"record", core_begin, NULL, records_run, core_end_stage, 0, false},
                   {"without-key", alone_begin, NULL, records_run, core_end_stage, 0, false},
                   {"beside-held", hold_begin, NULL, records_run, hold_end, 0, false},
                   {"weight", weight_begin, NULL, records_run, core_end_stage, 0, false},
                   {"due", due_begin, NULL, due_run, core_end_stage, 0, false},
                   {"retry", core_begin, NULL, retry_run, core_end_stage, 0, false},
                   {"gathered", gather_begin, NULL, gather_run, core_end_stage, 0, false},
                   {"state", states_begin, NULL, states_run, states_end, 0, false}},
    },
    {
        .name = "room",
        .what = "Whether there is room for the next record, by number and budget.",
        .micros = {{"ask", room_begin, NULL, room_run, core_end_stage, 0, false}},
    },
    {
        .name = "parking",
        .what = "The table of parked lanes; a record of a parked lane is dropped; a pass reads a "
                "record of another.",
        .micros = {{"add", parked_begin, parked_none, parked_add_all, parked_end, 0, false},
                   {"find", parked_begin, parked_all, parked_find_all, parked_end, 0, false},
                   {"remove", parked_begin, parked_all, parked_remove_all, parked_end, 0, false},
                   {"drop", drop_begin, NULL, drop_run, core_end_stage, 0, false},
                   {"pass-by", pass_begin, NULL, pass_run, core_end_stage, 0, false}},
    },
    {
        .name = "commit",
        .what = "A commit of 8 partitions without maps, sent and answered.",
        .micros = {{"answer", core_begin, NULL, commit_run, core_end_stage, 0, false}},
    },
    {.name = NULL},
};
