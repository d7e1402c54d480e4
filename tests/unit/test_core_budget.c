/* SPDX-License-Identifier: Apache-2.0 */
/* The budget: what is in memory stays inside it, what does not fit holds its own partition and is
 * not overtaken for ever, and handlers take no more at once than they may. */
#include "lib/core_kit.h"

#include "core/internal.h"

#define MIB ((size_t)1 << 20)

enum { LIMIT = 16 << 20, WEIGHTS = 100 };

struct fixture {
    struct core_kit kit;
    struct klane_assignment *assignments[3];
};

static int setup(void **state)
{
    static struct fixture fixture;
    struct core_config config = core_kit_config();

    config.limit_bytes = LIMIT;
    config.weight_max = WEIGHTS;
    config.parks = true;
    core_kit_init(&fixture.kit, config);
    for (int32_t i = 0; i < 3; i++)
        fixture.assignments[i] = core_kit_assign(&fixture.kit, i, 0);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(fixture->kit.core.wanting, 0);
    assert_int_equal(fixture->kit.core.weights.out, 0);
    assert_int_equal(fixture->kit.core.weights.waiting, 0);
    core_kit_deinit(&fixture->kit);
    return 0;
}

static const struct source_record *record_of(int64_t offset, const char *key, size_t size)
{
    static const unsigned char value[20 * MIB];
    static struct source_record record;

    record = (struct source_record){
        .key = key,
        .key_size = (uint32_t)strlen(key),
        .value = value,
        .value_size = (uint32_t)size,
        .offset = offset,
    };
    return &record;
}

static bool take_in(struct fixture *fixture, int32_t partition, int64_t offset, const char *key,
                    size_t size)
{
    bool in =
        core_take_in(&fixture->kit.core, fixture->assignments[partition],
                     record_of(offset, key, size), &(struct core_place){.kind = LANE_OF_KEY});

    core_verify(&fixture->kit.core);
    return in;
}

static void take_in_heavy(struct fixture *fixture, int64_t offset, const char *key,
                          uint64_t weight)
{
    assert_true(core_take_in(&fixture->kit.core, fixture->assignments[0],
                             record_of(offset, key, 10),
                             &(struct core_place){.kind = LANE_OF_KEY, .weight = weight}));
    core_verify(&fixture->kit.core);
}

static bool is_held(const struct fixture *fixture, int32_t partition)
{
    return fixture->assignments[partition]->partition->held;
}

/* Notices are where what holds is looked at again. */
static unsigned notices(struct fixture *fixture)
{
    unsigned all = 0, notice;

    while ((notice = core_kit_notice(&fixture->kit)) != 0)
        all |= notice;
    return all;
}

/* ---- records ----------------------------------------------------------------------------- */

static void a_record_without_room_holds_its_partition_and_no_other(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    for (int64_t offset = 0; offset < 3; offset++)
        assert_true(take_in(fixture, 0, offset, &"abc"[offset], 4 * MIB));
    assert_false(take_in(fixture, 0, 3, "d", 4 * MIB));

    assert_int_equal(notices(fixture), NOTICE_HELD);
    assert_true(is_held(fixture, 0));
    assert_false(take_in(fixture, 0, 3, "d", 4 * MIB));
    assert_true(take_in(fixture, 1, 0, "e", 1000));
    assert_false(is_held(fixture, 1));
    assert_in_range(slab_used(&kit->core.slab), 12 * MIB, LIMIT);
    core_kit_run(kit, 0);
    assert_int_equal(notices(fixture), NOTICE_RELEASED);
    assert_true(take_in(fixture, 0, 3, "d", 4 * MIB));
    core_kit_run(kit, 0);
    for (int64_t offset = 1; offset < 4; offset++)
        core_kit_run(kit, offset);
}

static void a_record_that_waits_for_room_is_not_overtaken_by_smaller_ones(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    for (int64_t offset = 0; offset < 3; offset++)
        assert_true(take_in(fixture, 1, offset, &"abc"[offset], 3 * MIB));
    assert_false(core_is_nearly_full(&kit->core));
    assert_false(take_in(fixture, 0, 0, "d", 7 * MIB));

    /* Nothing more is to be taken in for workers that have something to do. */
    assert_true(core_is_nearly_full(&kit->core));
    core_kit_run(kit, 0);
    assert_int_equal(notices(fixture), NOTICE_RELEASED);
    assert_false(is_held(fixture, 0));
    /* What it was promised is not given to another. */
    assert_false(take_in(fixture, 2, 0, "e", 4 * MIB));
    assert_true(take_in(fixture, 0, 0, "d", 7 * MIB));
    core_kit_run(kit, 1);
    core_kit_run(kit, 0);
    core_kit_run(kit, 2);
    assert_true(notices(fixture) & NOTICE_RELEASED);
    assert_true(take_in(fixture, 2, 0, "e", 4 * MIB));
    core_kit_run(kit, 0);
}

static void a_record_of_more_than_the_budget_is_taken_in_when_half_is_free(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *stuck[2];

    assert_true(take_in(fixture, 0, 0, "a", 9 * MIB));
    assert_int_equal(notices(fixture), 0);
    stuck[0] = core_kit_start(kit, 0);
    assert_false(take_in(fixture, 1, 0, "b", 18 * MIB));
    assert_int_equal(notices(fixture), NOTICE_HELD);
    core_kit_back(kit, stuck[0], SLOT_DONE);
    assert_int_equal(notices(fixture), NOTICE_RELEASED);

    assert_true(take_in(fixture, 1, 0, "b", 18 * MIB));

    assert_int_equal(notices(fixture), NOTICE_OVER_BUDGET);
    assert_int_equal(fixture->assignments[1]->over_budget.offset, 0);
    assert_in_range(fixture->assignments[1]->over_budget.bytes, 18 * MIB, 19 * MIB);
    assert_false(take_in(fixture, 2, 0, "c", 1 * MIB));
    core_kit_run(kit, 0);
    assert_true(notices(fixture) & NOTICE_RELEASED);
    assert_true(take_in(fixture, 2, 0, "c", 1 * MIB));
    core_kit_run(kit, 0);
}

static void a_record_as_large_as_what_is_set_aside_for_one_is_taken_while_there_is_any_room(
    void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    core_budget(&kit->core, LIMIT, 8 * MIB, WEIGHTS);
    assert_true(take_in(fixture, 0, 0, "a", 7 * MIB));
    assert_true(take_in(fixture, 1, 0, "b", 7 * MIB));
    assert_true(core_has_room(&kit->core, 0));
    assert_true(take_in(fixture, 2, 0, "c", 7 * MIB));

    assert_false(core_has_room(&kit->core, 0));
    assert_false(take_in(fixture, 2, 1, "d", 10));
    assert_int_equal(notices(fixture), NOTICE_HELD);
    assert_in_range(slab_used(&kit->core.slab), LIMIT, LIMIT + 8 * MIB);
    core_kit_run(kit, 0);
    assert_true(core_has_room(&kit->core, 0));
    core_kit_run(kit, 0);
    assert_int_equal(notices(fixture), NOTICE_RELEASED);
    assert_true(take_in(fixture, 2, 1, "d", 10));
    core_kit_run(kit, 0);
    core_kit_run(kit, 1);
}

static void of_a_larger_record_what_passes_the_part_set_aside_needs_room(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    core_budget(&kit->core, LIMIT, 4 * MIB, WEIGHTS);
    assert_true(take_in(fixture, 0, 0, "a", 12 * MIB));
    assert_false(take_in(fixture, 1, 0, "b", 8 * MIB));
    assert_int_equal(notices(fixture), NOTICE_HELD);
    assert_true(take_in(fixture, 2, 0, "c", 7 * MIB));

    core_kit_run(kit, 0);
    assert_int_equal(notices(fixture), NOTICE_RELEASED);
    assert_true(take_in(fixture, 1, 0, "b", 8 * MIB));
    core_kit_run(kit, 0);
    core_kit_run(kit, 0);
}

static void what_the_source_keeps_counts_until_half_is_free(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    core_budget(&kit->core, LIMIT, 2 * MIB, WEIGHTS);
    assert_true(take_in(fixture, 0, 0, "a", 5 * MIB));
    assert_true(take_in(fixture, 0, 1, "b", 5 * MIB));
    assert_true(core_has_room(&kit->core, 5 * MIB));
    assert_false(core_has_room(&kit->core, 6 * MIB));

    /* But it does not keep itself out. */
    assert_true(take_in(fixture, 0, 2, "c", 5 * MIB));
    core_kit_run(kit, 0);
    core_kit_run(kit, 1);
    assert_true(core_has_room(&kit->core, LIMIT));
    core_kit_run(kit, 2);
}

static void what_waits_for_room_is_not_overtaken_by_what_is_set_aside(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    core_budget(&kit->core, LIMIT, 4 * MIB, WEIGHTS);
    for (int64_t offset = 0; offset < 3; offset++)
        assert_true(take_in(fixture, 1, offset, &"abc"[offset], 5 * MIB));
    assert_false(take_in(fixture, 0, 0, "d", 7 * MIB));
    assert_int_equal(notices(fixture), NOTICE_HELD);
    core_kit_run(kit, 0);
    assert_true(notices(fixture) & NOTICE_RELEASED);

    assert_false(core_has_room(&kit->core, 0));
    assert_false(take_in(fixture, 2, 0, "e", 3 * MIB));
    assert_true(take_in(fixture, 0, 0, "d", 7 * MIB));
    core_kit_run(kit, 1);
    core_kit_run(kit, 0);
    core_kit_run(kit, 2);
    assert_true(notices(fixture) & NOTICE_RELEASED);
    assert_true(core_has_room(&kit->core, 0));
    assert_true(take_in(fixture, 2, 0, "e", 3 * MIB));
    core_kit_run(kit, 0);
}

static void a_partition_with_most_of_the_memory_holds_when_it_runs_short(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    static const char *const keys[] = {"a", "b", "c", "d", "e", "f", "g"};

    for (int64_t offset = 0; offset < 6; offset++)
        assert_true(take_in(fixture, 0, offset, keys[offset], 2 * MIB));
    assert_false(is_held(fixture, 0));
    assert_true(take_in(fixture, 0, 6, keys[6], 2 * MIB));

    assert_true(is_held(fixture, 0));
    assert_int_equal(notices(fixture), NOTICE_HELD);
    assert_true(take_in(fixture, 1, 0, "x", 1000));
    assert_false(is_held(fixture, 1));
    core_kit_run(kit, 0);
    core_kit_run(kit, 0);
    core_kit_run(kit, 1);
    core_kit_run(kit, 2);
    assert_true(is_held(fixture, 0));
    core_kit_run(kit, 3);
    assert_false(is_held(fixture, 0));
    for (int64_t offset = 4; offset < 7; offset++)
        core_kit_run(kit, offset);
}

static void a_lane_with_a_quarter_of_the_memory_is_parked(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    int64_t from;

    assert_true(take_in(fixture, 0, 0, "a", 3 * MIB));
    assert_true(take_in(fixture, 0, 1, "a", 2 * MIB));
    assert_true(take_in(fixture, 0, 2, "a", 10));
    assert_true(take_in(fixture, 0, 3, "b", 10));

    assert_int_equal(kit->core.parked.count, 1);
    assert_int_equal(kit->core.admission.records, 3);
    /* Not before half of it is done. */
    assert_null(core_next_pass(&kit->core, &from));
    core_kit_run(kit, 0);
    assert_ptr_equal(core_next_pass(&kit->core, &from), fixture->assignments[0]);
    assert_int_equal(from, 2);
    core_swept(&kit->core, fixture->assignments[0], record_of(2, "a", 10),
               &(struct core_place){.kind = LANE_OF_KEY});
    assert_true(core_swept_to(&kit->core, fixture->assignments[0], 3));
    assert_int_equal(kit->core.parked.count, 0);
    core_kit_run(kit, 3);
    core_kit_run(kit, 1);
    core_kit_run(kit, 2);
}

static void a_pass_that_finds_no_room_begins_again_when_there_is(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_assignment *assignment = fixture->assignments[0];
    int64_t from;

    assert_true(take_in(fixture, 0, 0, "a", 5 * MIB));
    assert_true(take_in(fixture, 0, 1, "a", 6 * MIB)); /* parked */
    core_kit_run(kit, 0);
    assert_true(take_in(fixture, 1, 0, "b", 6 * MIB));
    assert_true(take_in(fixture, 1, 1, "c", 6 * MIB));
    assert_ptr_equal(core_next_pass(&kit->core, &from), assignment);
    core_swept(&kit->core, assignment, record_of(1, "a", 6 * MIB),
               &(struct core_place){.kind = LANE_OF_KEY});
    assert_true(core_swept_to(&kit->core, assignment, 1));

    assert_null(core_next_pass(&kit->core, &from));
    assert_true(core_is_nearly_full(&kit->core));
    core_kit_run(kit, 0);
    assert_ptr_equal(core_next_pass(&kit->core, &from), assignment);
    core_swept(&kit->core, assignment, record_of(1, "a", 6 * MIB),
               &(struct core_place){.kind = LANE_OF_KEY});
    assert_true(core_swept_to(&kit->core, assignment, 2));
    core_kit_run(kit, 1);
    core_kit_run(kit, 1);
    assert_int_equal(kit->core.parked.count, 0);
}

static void sweep_one(struct fixture *fixture, int64_t offset, const char *key, size_t size)
{
    core_swept(&fixture->kit.core, fixture->assignments[0], record_of(offset, key, size),
               &(struct core_place){.kind = LANE_OF_KEY});
    core_verify(&fixture->kit.core);
}

static void what_a_lost_pass_wanted_is_forgotten(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    int64_t from;

    assert_true(take_in(fixture, 0, 0, "a", 5 * MIB));
    assert_true(take_in(fixture, 0, 1, "a", 6 * MIB)); /* parked */
    core_kit_run(kit, 0);
    assert_true(take_in(fixture, 1, 0, "b", 6 * MIB));
    assert_true(take_in(fixture, 1, 1, "c", 6 * MIB));
    assert_non_null(core_next_pass(&kit->core, &from));
    sweep_one(fixture, 1, "a", 6 * MIB);
    core_swept_to(&kit->core, fixture->assignments[0], 1);
    assert_true(kit->core.pass_wants > 0);

    core_kit_lose(kit, fixture->assignments[0]);

    assert_int_equal(kit->core.pass_wants, 0);
    core_kit_run(kit, 0);
    core_kit_run(kit, 1);
}

/* The handler of the last stay has not returned. */
static void a_lane_that_an_earlier_stay_fills_is_not_swept_in_vain(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct lane_name name = {.kind = LANE_OF_KEY, .key = "a", .key_size = 1};
    struct progress_lane lane = {.head = 0};
    struct klane_slot *stuck;
    int64_t from;

    assert_true(take_in(fixture, 0, 0, "a", 5 * MIB));
    stuck = core_kit_start(kit, 0);
    core_kit_lose(kit, fixture->assignments[0]);
    fixture->assignments[0] = core_kit_assign(kit, 0, 0);
    lane.fingerprint = lane_fingerprint(&name, 0, fixture->assignments[0]->seed);
    assert_true(parking_restore(&kit->core, fixture->assignments[0], &lane, 1));
    offsets_reach(&fixture->assignments[0]->offsets, 1);
    assert_non_null(core_next_pass(&kit->core, &from));
    sweep_one(fixture, 0, "a", 5 * MIB);
    assert_true(core_swept_to(&kit->core, fixture->assignments[0], 1));

    assert_null(core_next_pass(&kit->core, &from));
    core_kit_back(kit, stuck, SLOT_DONE);
    assert_non_null(core_next_pass(&kit->core, &from));
    core_kit_lose(kit, fixture->assignments[0]);
    fixture->assignments[0] = core_kit_assign(kit, 0, 0);
}

/* At its end, the last records that were kept find their lane full. Then retention takes the first
 * of them. */
static void a_kept_record_that_was_let_go_and_is_gone_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    int64_t from;

    for (int64_t offset = 0; offset < 3; offset++)
        assert_true(take_in(fixture, 0, offset, "a", 2 * MIB));
    core_kit_run(kit, 0);
    core_kit_run(kit, 1);
    assert_non_null(core_next_pass(&kit->core, &from));
    for (int64_t offset = 3; offset < 6; offset++)
        assert_true(take_in(fixture, 0, offset, "a", 2 * MIB));
    sweep_one(fixture, 2, "a", 2 * MIB);
    assert_true(core_swept_to(&kit->core, fixture->assignments[0], 3));
    core_kit_run(kit, 2);
    core_kit_run(kit, 3);

    assert_non_null(core_next_pass(&kit->core, &from));
    assert_int_equal(from, 4);
    assert_int_equal(notices(fixture), 0);
    sweep_one(fixture, 5, "a", 2 * MIB);
    assert_int_equal(notices(fixture), NOTICE_HEAD_GONE);
    assert_int_equal(fixture->assignments[0]->head_gone.offset, 4);
    assert_int_equal(kit->core.parked.count, 0);
    core_kit_run(kit, 5);
}

/* Its lane was parked meanwhile: the record that had no room is dropped. */
static void sweep_alone(struct fixture *fixture, int64_t offset)
{
    core_swept(&fixture->kit.core, fixture->assignments[0], record_of(offset, "a", 1000),
               &(struct core_place){.kind = LANE_OF_RECORD});
}

/* Maps of many partitions may list so much. */
static void records_run_one_by_one_when_parked_lanes_fill_the_memory(void **state)
{
    struct fixture *fixture = *state;
    struct core *core = &fixture->kit.core;
    struct klane_assignment *assignment = fixture->assignments[0];
    int64_t from, count = 0;

    while (slab_used(&core->slab) <= LIMIT - LIMIT / 32) {
        assert_true(parking_restore(core, assignment,
                                    &(struct progress_lane){.head = count, .is_record = true},
                                    count + 1));
        count++;
    }
    offsets_reach(&assignment->offsets, count);

    /* Both that a pass brings and that are new; the second has to wait for the first. */
    assert_ptr_equal(core_next_pass(core, &from), assignment);
    for (int64_t offset = 0; offset < count; offset++)
        sweep_alone(fixture, offset);
    assert_true(core_swept_to(core, assignment, count));
    assert_int_equal(assignment->over_budget.why, OVER_BY_PARKED);
    assert_null(core_next_pass(core, &from));
    assert_false(take_in(fixture, 1, 0, "b", 1000));
    assert_true(notices(fixture) & NOTICE_HELD);
    core_kit_run(&fixture->kit, 0);
    assert_true(notices(fixture) & NOTICE_RELEASED);
    assert_true(take_in(fixture, 1, 0, "b", 1000));
    core_kit_run(&fixture->kit, 0);
    /* Now it is the pass's turn again. */
    assert_false(take_in(fixture, 1, 1, "b", 1000));
    assert_ptr_equal(core_next_pass(core, &from), assignment);
    sweep_alone(fixture, 1);
    core_kit_run(&fixture->kit, 1);
    assert_true(take_in(fixture, 1, 1, "b", 1000));
    core_kit_run(&fixture->kit, 1);
    core_kit_lose(&fixture->kit, assignment);
}

/* Neither waits for the other, which would be for ever. Of what is parked none is due. */
static void two_partitions_run_one_by_one_when_parked_lanes_fill_the_memory(void **state)
{
    struct fixture *fixture = *state;
    struct core *core = &fixture->kit.core;
    struct klane_assignment *assignment = fixture->assignments[0];
    int64_t count = 0;

    while (slab_used(&core->slab) <= LIMIT - LIMIT / 32) {
        struct progress_lane lane = {.head = count, .is_record = true, .due_ms = INT64_MAX / 2};

        assert_true(parking_restore(core, assignment, &lane, ++count));
    }
    offsets_reach(&assignment->offsets, count);
    assert_true(take_in(fixture, 1, 0, "a", 1000));
    assert_false(take_in(fixture, 0, count, "b", 1000));
    assert_false(take_in(fixture, 1, 1, "c", 1000));
    core_kit_run(&fixture->kit, 0);
    room_check(core);

    assert_true(take_in(fixture, 0, count, "b", 1000));
    core_kit_run(&fixture->kit, count);
    assert_true(take_in(fixture, 1, 1, "c", 1000));
    core_kit_run(&fixture->kit, 1);
    core_kit_lose(&fixture->kit, assignment);
}

static void what_is_parked_after_all_wants_no_room_any_more(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    int64_t from;

    assert_true(take_in(fixture, 0, 0, "a", 10));
    assert_true(take_in(fixture, 1, 0, "b", 7 * MIB));
    assert_true(take_in(fixture, 1, 1, "c", 5 * MIB));
    assert_false(take_in(fixture, 0, 2, "a", 6 * MIB));
    assert_int_equal(kit->core.wanting, 1);
    fixture->assignments[0]->partition->crowded = false;
    assert_true(parking_restore(
        &kit->core, fixture->assignments[0],
        &(struct progress_lane){
            .fingerprint = lane_fingerprint(
                &(struct lane_name){.kind = LANE_OF_KEY, .key = "a", .key_size = 1}, 0,
                fixture->assignments[0]->seed),
            .head = 1},
        2));

    assert_true(take_in(fixture, 0, 2, "a", 6 * MIB));

    assert_int_equal(kit->core.wanting, 0);
    core_kit_run(kit, 0);
    core_kit_run(kit, 0);
    core_kit_run(kit, 1);
    assert_non_null(core_next_pass(&kit->core, &from));
    core_kit_lose(kit, fixture->assignments[0]);
}

static void a_partition_that_goes_wants_nothing_any_more(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    assert_true(take_in(fixture, 1, 0, "a", 7 * MIB));
    assert_true(take_in(fixture, 1, 1, "b", 7 * MIB));
    assert_false(take_in(fixture, 0, 0, "c", 7 * MIB));
    assert_int_equal(kit->core.wanting, 1);

    core_kit_lose(kit, fixture->assignments[0]);

    assert_int_equal(kit->core.wanting, 0);
    assert_int_equal(kit->core.held, 0);
    core_kit_run(kit, 0);
    core_kit_run(kit, 1);
}

/* ---- weights ----------------------------------------------------------------------------- */

static void weights_that_run_at_once_stay_inside_the_budget_and_keep_their_order(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *a, *b, *d;

    take_in_heavy(fixture, 0, "a", 60);
    take_in_heavy(fixture, 1, "b", 40);
    take_in_heavy(fixture, 2, "c", 90);
    take_in_heavy(fixture, 3, "d", 10);
    take_in_heavy(fixture, 4, "e", 0);
    a = core_kit_start(kit, 0);
    b = core_kit_start(kit, 1);

    /* What has no weight does not wait; what is light does not overtake what is heavy. */
    core_kit_run(kit, 4);
    assert_null(core_next_ready(&kit->core));
    assert_int_equal(kit->core.weights.waiting, 2);
    core_kit_back(kit, b, SLOT_DONE);
    assert_null(core_next_ready(&kit->core));
    core_kit_back(kit, a, SLOT_DONE);
    a = core_kit_start(kit, 2);
    d = core_kit_start(kit, 3);
    assert_int_equal(kit->core.weights.out, 100);
    core_kit_back(kit, a, SLOT_DONE);
    core_kit_back(kit, d, SLOT_DONE);
}

static void a_weight_above_the_budget_runs_alone(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *a;

    take_in_heavy(fixture, 0, "a", 1);
    take_in_heavy(fixture, 1, "b", 101);
    take_in_heavy(fixture, 2, "c", 1);
    a = core_kit_start(kit, 0);
    assert_null(core_next_ready(&kit->core));
    assert_int_equal(notices(fixture), 0);
    core_kit_back(kit, a, SLOT_DONE);

    a = core_kit_start(kit, 1);

    assert_int_equal(notices(fixture), NOTICE_OVER_BUDGET);
    assert_int_equal(fixture->assignments[0]->over_budget.why, OVER_BY_WEIGHT);
    assert_int_equal(fixture->assignments[0]->over_budget.bytes, 101);
    assert_null(core_next_ready(&kit->core));
    core_kit_back(kit, a, SLOT_DONE);
    core_kit_run(kit, 2);
}

static void a_retry_gives_its_weight_back_and_pays_again(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *slot;

    take_in_heavy(fixture, 0, "a", 100);
    take_in_heavy(fixture, 1, "b", 100);
    core_kit_back(kit, core_kit_start(kit, 0), SLOT_RETRY);
    slot = core_kit_start(kit, 1);
    core_kit_wait(kit, CORE_KIT_RETRY_MS);
    assert_null(core_next_ready(&kit->core));
    core_kit_back(kit, slot, SLOT_DONE);

    slot = core_kit_start(kit, 0);

    assert_int_equal(slot->record.attempt, 2);
    core_kit_back(kit, slot, SLOT_DONE);
}

static void what_a_worker_gets_by_the_chain_has_to_be_paid(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *first, *next, *other;

    take_in_heavy(fixture, 0, "a", 50);
    take_in_heavy(fixture, 1, "a", 80);
    take_in_heavy(fixture, 2, "b", 50);
    first = core_kit_start(kit, 0);
    other = core_kit_start(kit, 2);
    next = core_kit_pass(first);

    assert_int_equal(next->record.offset, 1);
    assert_false(next->record.is_paid);
    core_kit_report(kit, first);
    core_kit_back(kit, next, SLOT_ASKS);
    assert_null(core_next_ready(&kit->core));
    core_kit_back(kit, other, SLOT_DONE);
    core_kit_run(kit, 1);
}

static void a_revoke_takes_back_what_waits_for_its_weight(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *running;

    take_in_heavy(fixture, 0, "a", 100);
    take_in_heavy(fixture, 1, "b", 100);
    take_in_heavy(fixture, 2, "b", 100);
    take_in_heavy(fixture, 3, "c", 50);
    running = core_kit_start(kit, 0);
    assert_null(core_next_ready(&kit->core));

    core_kit_revoke(kit, fixture->assignments[0]);

    assert_int_equal(kit->core.weights.waiting, 0);
    assert_int_equal(kit->core.admission.records, 1);
    core_kit_back(kit, running, SLOT_DONE);
    assert_int_equal(kit->core.weights.out, 0);
    core_kit_settle(kit, fixture->assignments[0]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_record_without_room_holds_its_partition_and_no_other),
        TEST(a_record_that_waits_for_room_is_not_overtaken_by_smaller_ones),
        TEST(a_record_of_more_than_the_budget_is_taken_in_when_half_is_free),
        TEST(a_record_as_large_as_what_is_set_aside_for_one_is_taken_while_there_is_any_room),
        TEST(of_a_larger_record_what_passes_the_part_set_aside_needs_room),
        TEST(what_the_source_keeps_counts_until_half_is_free),
        TEST(what_waits_for_room_is_not_overtaken_by_what_is_set_aside),
        TEST(a_partition_with_most_of_the_memory_holds_when_it_runs_short),
        TEST(a_lane_with_a_quarter_of_the_memory_is_parked),
        TEST(a_pass_that_finds_no_room_begins_again_when_there_is),
        TEST(what_a_lost_pass_wanted_is_forgotten),
        TEST(a_kept_record_that_was_let_go_and_is_gone_is_told),
        TEST(a_lane_that_an_earlier_stay_fills_is_not_swept_in_vain),
        TEST(records_run_one_by_one_when_parked_lanes_fill_the_memory),
        TEST(two_partitions_run_one_by_one_when_parked_lanes_fill_the_memory),
        TEST(what_is_parked_after_all_wants_no_room_any_more),
        TEST(a_partition_that_goes_wants_nothing_any_more),
        TEST(weights_that_run_at_once_stay_inside_the_budget_and_keep_their_order),
        TEST(a_weight_above_the_budget_runs_alone),
        TEST(a_retry_gives_its_weight_back_and_pays_again),
        TEST(what_a_worker_gets_by_the_chain_has_to_be_paid),
        TEST(a_revoke_takes_back_what_waits_for_its_weight),
    };
#undef TEST

    return check_run(tests);
}
