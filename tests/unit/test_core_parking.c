/* SPDX-License-Identifier: Apache-2.0 */
/* Parked lanes and passes: a lane that is blocked costs an entry, nothing of it is lost, repeated
 * or out of order, and nobody else waits. */
#include "lib/core_kit.h"

enum { QUOTA = 4, RECORDS_MAX = 32 };

struct fixture {
    struct core_kit kit;
    struct klane_assignment *assignment; /* partition 0, from offset 0 */
};

static int setup(void **state)
{
    static struct fixture fixture;
    struct core_config config = core_kit_config();

    config.lane_records_max = QUOTA;
    config.records_max = RECORDS_MAX;
    config.parks = true;
    core_kit_init(&fixture.kit, config);
    fixture.assignment = core_kit_assign(&fixture.kit, 0, 0);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(fixture->kit.core.parked.count, 0);
    core_kit_deinit(&fixture->kit);
    return 0;
}

static void take_in_many(struct fixture *fixture, int64_t from, int64_t to, const char *key)
{
    for (int64_t offset = from; offset < to; offset++)
        core_kit_take_in(&fixture->kit, fixture->assignment, offset, key);
}

/* They are the next to run, and are done. */
static void run_many(struct fixture *fixture, int64_t from, int64_t to)
{
    for (int64_t offset = from; offset < to; offset++)
        core_kit_run(&fixture->kit, offset);
}

/* Nothing can run, and memory is full. */
static void relieve(struct fixture *fixture)
{
    struct core *core = &fixture->kit.core;

    core->admission.records_max = core->admission.records;
    core_relieve(core, fixture->kit.now_ms);
    core->admission.records_max = RECORDS_MAX;
}

static int64_t begin_pass(struct fixture *fixture)
{
    int64_t from = -1;

    if (core_next_pass(&fixture->kit.core, &from) != NULL)
        core_verify(&fixture->kit.core);
    return from;
}

/* A pass brings this record. */
static void bring(struct fixture *fixture, int64_t offset, const char *key)
{
    struct source_record record = {
        .key = key, .key_size = (uint32_t)strlen(key), .offset = offset};

    core_swept(&fixture->kit.core, fixture->assignment, &record,
               &(struct core_place){.kind = LANE_OF_KEY});
    core_verify(&fixture->kit.core);
}

static void bring_many(struct fixture *fixture, int64_t from, int64_t to, const char *key)
{
    for (int64_t offset = from; offset < to; offset++)
        bring(fixture, offset, key);
}

static bool bring_to(struct fixture *fixture, int64_t position)
{
    bool is_over = core_swept_to(&fixture->kit.core, fixture->assignment, position);

    core_verify(&fixture->kit.core);
    return is_over;
}

static int64_t base(const struct fixture *fixture)
{
    return assignment_base(fixture->assignment);
}

static void a_blocked_lane_costs_one_entry_and_holds_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *stuck;

    take_in_many(fixture, 0, 1, "stuck");
    stuck = core_kit_start(kit, 0);
    take_in_many(fixture, 1, 10000, "stuck");

    assert_int_equal(kit->core.admission.records, QUOTA);
    assert_int_equal(kit->core.parked.count, 1);
    assert_int_equal(core_kit_notice(kit), 0);
    take_in_many(fixture, 10000, 10001, "free");
    core_kit_run(kit, 10000);
    assert_int_equal(base(fixture), 0);
    assert_int_equal(begin_pass(fixture), -1);

    core_kit_back(kit, stuck, SLOT_DONE);
    assert_int_equal(base(fixture), 1);
    core_kit_run(kit, 1);
    core_kit_revoke(kit, fixture->assignment);
    assert_int_equal(base(fixture), 2);
    core_kit_settle(kit, fixture->assignment);
}

static void a_pass_feeds_it_in_order_and_the_entry_goes(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    take_in_many(fixture, 0, 10, "a");
    take_in_many(fixture, 10, 11, "b");
    core_kit_run(kit, 0);
    core_kit_run(kit, 10);
    run_many(fixture, 1, 3);

    assert_int_equal(begin_pass(fixture), 4);
    bring_many(fixture, 4, 7, "a");
    /* Its quota is reached: it leaves with the next one. */
    bring(fixture, 7, "a");
    assert_true(bring_to(fixture, 8));
    run_many(fixture, 3, 5);
    assert_int_equal(begin_pass(fixture), -1);
    core_kit_run(kit, 5);
    assert_int_equal(begin_pass(fixture), 7);
    bring(fixture, 7, "a");
    assert_int_equal(base(fixture), 6);
    run_many(fixture, 6, 8);
    bring(fixture, 8, "a");
    bring(fixture, 9, "a");
    /* Another's, which was finished long ago. */
    bring(fixture, 10, "b");
    assert_int_equal(kit->core.parked.count, 0);
    assert_true(bring_to(fixture, 11));
    run_many(fixture, 8, 10);
    assert_int_equal(base(fixture), 11);
    assert_int_equal(kit->core.counts.passes, 2);
    assert_int_equal(kit->core.counts.swept_records, 8);
    assert_int_equal(kit->core.counts.swept_bytes, 8);
}

static void what_comes_while_a_pass_feeds_it_is_kept_behind(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    take_in_many(fixture, 0, 5, "a");
    run_many(fixture, 0, 4);
    assert_int_equal(begin_pass(fixture), 4);

    take_in_many(fixture, 5, 7, "a");
    assert_null(core_next_ready(&kit->core));
    bring(fixture, 4, "a");

    assert_int_equal(kit->core.parked.count, 0);
    assert_true(bring_to(fixture, 5));
    run_many(fixture, 4, 7);
    assert_int_equal(base(fixture), 7);
}

static void more_than_the_quota_is_not_kept(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    take_in_many(fixture, 0, 5, "a");
    run_many(fixture, 0, 4);
    begin_pass(fixture);
    take_in_many(fixture, 5, 9, "a");
    assert_int_equal(kit->core.admission.records, 4);

    take_in_many(fixture, 9, 10, "a");
    assert_int_equal(kit->core.admission.records, 0);
    /* The pass ends where the lane ended when it began. */
    bring(fixture, 4, "a");
    bring(fixture, 5, "a");
    assert_true(bring_to(fixture, 10));
    core_kit_run(kit, 4);
    assert_int_equal(base(fixture), 5);
    assert_int_equal(begin_pass(fixture), 5);
    bring_many(fixture, 5, 9, "a");
    run_many(fixture, 5, 9);
    bring(fixture, 9, "a");
    core_kit_run(kit, 9);
    assert_true(bring_to(fixture, 10));
    assert_int_equal(base(fixture), 10);
}

/* A pass that reads on beyond its end does not speak for what the main flow lets go later. */
static void what_is_let_go_behind_a_pass_is_not_lost(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    take_in_many(fixture, 0, 5, "a");
    run_many(fixture, 0, 4);
    begin_pass(fixture);
    /* 4 is gone from the log. */
    bring(fixture, 5, "a");
    bring(fixture, 6, "a");
    take_in_many(fixture, 5, 10, "a");

    assert_true(bring_to(fixture, 10));

    assert_int_equal(base(fixture), 5);
    assert_int_equal(begin_pass(fixture), 5);
    bring_many(fixture, 5, 9, "a");
    run_many(fixture, 5, 9);
    bring(fixture, 9, "a");
    core_kit_run(kit, 9);
    assert_true(bring_to(fixture, 10));
    assert_int_equal(base(fixture), 10);
}

/* The lane is full of slots of the partition's last stay, whose handler has not come back. */
static void what_finds_its_lane_full_is_brought_when_it_is_not(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *old, *next;

    take_in_many(fixture, 0, QUOTA, "a");
    old = core_kit_start(kit, 0);
    /* Workers have passed the lane on, and have not reported. */
    for (int i = 1; i < QUOTA; i++) {
        next = core_kit_pass(old);
        core_kit_report(kit, old);
        old = next;
    }
    core_kit_lose(kit, fixture->assignment);
    fixture->assignment = core_kit_assign(kit, 0, 0);
    take_in_many(fixture, 0, QUOTA + 2, "a");
    assert_int_equal(kit->core.parked.count, 1);
    assert_int_equal(begin_pass(fixture), -1);

    core_kit_back(kit, old, SLOT_DONE);
    run_many(fixture, 0, 3);
    assert_int_equal(begin_pass(fixture), 3);
    bring_many(fixture, 3, QUOTA + 2, "a");
    assert_true(bring_to(fixture, QUOTA + 2));
    run_many(fixture, 3, QUOTA + 2);
    assert_int_equal(base(fixture), QUOTA + 2);
}

static void a_stuck_lane_that_is_shortened_again_is_not_read_again(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *stuck;

    take_in_many(fixture, 0, 6, "a");
    stuck = core_kit_start(kit, 0);
    for (int i = 0; i < 4; i++) {
        relieve(fixture);
        core_kit_wait(kit, 200);
        assert_int_equal(begin_pass(fixture), -1);
    }
    assert_int_equal(kit->core.admission.records, 1);

    core_kit_back(kit, stuck, SLOT_DONE);
    assert_int_equal(begin_pass(fixture), 1);
    bring_many(fixture, 1, 5, "a");
    run_many(fixture, 1, 5);
    bring(fixture, 5, "a");
    core_kit_run(kit, 5);
    assert_true(bring_to(fixture, 6));
    assert_int_equal(base(fixture), 6);
}

/* Compaction took its last records: a pass that has read past its end has seen all. */
/* Where memory ends, all leave that have something in it, so the next pass is for all of them;
 * what has nothing is looked for further on. */
static void lanes_that_a_pass_has_no_room_for_go_on_together(void **state)
{
    static const int64_t first_nine[] = {0, 7, 14, 1, 8, 15, 2, 9, 16};
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *a, *b;

    take_in_many(fixture, 0, 7, "a");
    take_in_many(fixture, 7, 14, "b");
    take_in_many(fixture, 14, 19, "c");
    for (int i = 0; i < 9; i++)
        core_kit_run(kit, first_nine[i]);
    a = core_kit_start(kit, 3);
    b = core_kit_start(kit, 10);
    core_kit_run(kit, 17);
    assert_int_equal(begin_pass(fixture), 4);
    bring(fixture, 4, "a");
    kit->core.admission.records_max = kit->core.admission.records + 1;
    bring(fixture, 5, "a");
    bring(fixture, 11, "b");
    assert_int_equal(kit->core.parked.count, 3);
    assert_int_equal(kit->core.admission.records, 3);
    bring(fixture, 18, "c");
    assert_int_equal(kit->core.parked.count, 2);
    assert_true(bring_to(fixture, 19));
    kit->core.admission.records_max = RECORDS_MAX;

    core_kit_back(kit, a, SLOT_DONE);
    core_kit_back(kit, b, SLOT_DONE);
    core_kit_run(kit, 18);
    core_kit_run(kit, 4);
    assert_int_equal(begin_pass(fixture), 5);
    bring_many(fixture, 5, 7, "a");
    bring_many(fixture, 11, 14, "b");
    assert_int_equal(kit->core.parked.count, 0);
    assert_true(bring_to(fixture, 14));
    core_kit_run(kit, 5);
    core_kit_run(kit, 11);
    core_kit_run(kit, 6);
    run_many(fixture, 12, 14);
    assert_int_equal(base(fixture), 19);
}

/* What comes in otherwise would wait until something is parked. */
static void a_pass_leaves_some_room_to_what_comes_in_otherwise(void **state)
{
    static const char *const keys[] = {"a", "b", "c"};
    struct fixture *fixture = *state;
    struct core *core = &fixture->kit.core;
    const uint32_t all = 4 * RECORDS_MAX, kept = CROWD_KEPT_BY_PASSES(all);

    core->config.records_max = core->admission.records_max = all;
    for (int i = 0; i < 3; i++)
        take_in_many(fixture, 5 * i, 5 * i + 5, keys[i]);
    for (int i = 0; i < 12; i++)
        core_kit_run(&fixture->kit, 5 * (i % 3) + i / 3);
    assert_int_equal(begin_pass(fixture), 4);
    for (int64_t offset = 15; core_room(core) > kept + 2; offset++)
        core_kit_take_in(&fixture->kit, fixture->assignment, offset,
                         (char[]){'A', (char)offset, '\0'});

    for (int i = 0; i < 3; i++)
        bring(fixture, 5 * i + 4, keys[i]);

    assert_int_equal(core_room(core), kept);
    assert_int_equal(core->parked.count, 1);
    assert_true(bring_to(fixture, 15));
    for (int64_t offset = 15; offset < 15 + all - 2 - kept; offset++)
        core_kit_run(&fixture->kit, offset);
    assert_int_equal(begin_pass(fixture), 14);
    bring(fixture, 14, "c");
    assert_true(bring_to(fixture, 15));
    core_kit_run(&fixture->kit, 4);
    core_kit_run(&fixture->kit, 9);
    core_kit_run(&fixture->kit, 14);
}

/* Of the other one most is in memory. */
static void a_lane_that_meets_its_end_calls_for_no_pass(void **state)
{
    struct fixture *fixture = *state;

    take_in_many(fixture, 0, 5, "a");
    take_in_many(fixture, 5, 15, "b");
    for (int64_t i = 0; i < QUOTA; i++) {
        core_kit_run(&fixture->kit, i);
        core_kit_run(&fixture->kit, 5 + i);
    }
    assert_int_equal(begin_pass(fixture), 4);
    bring(fixture, 4, "a");
    bring_many(fixture, 9, 14, "b");
    assert_true(bring_to(fixture, 14));
    core_kit_run(&fixture->kit, 4);
    assert_int_equal(fixture->kit.core.parked.count, 1);

    core_kit_run(&fixture->kit, 9);
    assert_int_equal(begin_pass(fixture), -1);
    run_many(fixture, 10, 12);
    assert_int_equal(begin_pass(fixture), 13);
    bring_many(fixture, 13, 15, "b");
    run_many(fixture, 12, 15);
}

static void an_end_that_is_a_hole_is_met_by_position(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    take_in_many(fixture, 0, 7, "a");
    run_many(fixture, 0, 4);
    begin_pass(fixture);
    bring(fixture, 4, "a");

    assert_false(bring_to(fixture, 6));
    assert_int_equal(base(fixture), 4);
    assert_true(bring_to(fixture, 7));
    core_kit_run(kit, 4);
    assert_int_equal(base(fixture), 7);
}

static void a_lane_that_cannot_go_on_yet_takes_no_part(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *stuck;

    take_in_many(fixture, 0, 6, "a");
    take_in_many(fixture, 6, 12, "b");
    stuck = core_kit_start(kit, 0);
    run_many(fixture, 6, 10);
    assert_int_equal(begin_pass(fixture), 10);

    bring(fixture, 10, "b");
    bring(fixture, 11, "b");
    assert_true(bring_to(fixture, 12));
    core_kit_run(kit, 10);
    core_kit_run(kit, 11);
    assert_int_equal(kit->core.parked.count, 1);
    assert_int_equal(base(fixture), 0);
    core_kit_back(kit, stuck, SLOT_DONE);
    run_many(fixture, 1, 4);
    assert_int_equal(begin_pass(fixture), 4);
    bring(fixture, 4, "a");
    bring(fixture, 5, "a");
    assert_true(bring_to(fixture, 6));
    core_kit_run(kit, 4);
    core_kit_run(kit, 5);
    assert_int_equal(base(fixture), 12);
}

static void when_memory_is_short_the_longest_stuck_lanes_are_parked_by_half(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *long_one, *short_one;

    take_in_many(fixture, 0, 4, "long");
    take_in_many(fixture, 4, 5, "short");
    long_one = core_kit_start(kit, 0);
    short_one = core_kit_start(kit, 4);

    /* Once to look, and once to see that nothing has moved. */
    relieve(fixture);
    assert_int_equal(kit->core.admission.records, 5);
    core_kit_wait(kit, 200);
    relieve(fixture);

    core_verify(&kit->core);
    assert_int_equal(kit->core.admission.records, 3);
    assert_int_equal(kit->core.parked.count, 1);
    assert_int_equal(base(fixture), 0);
    assert_int_equal(begin_pass(fixture), -1);
    core_kit_back(kit, short_one, SLOT_DONE);
    core_kit_back(kit, long_one, SLOT_DONE);
    assert_int_equal(begin_pass(fixture), 2);
    bring(fixture, 2, "long");
    bring(fixture, 3, "long");
    run_many(fixture, 1, 4);
    assert_true(bring_to(fixture, 4));
    assert_int_equal(base(fixture), 5);
}

/* By chance, or by a program's key function. */
static void two_keys_with_one_fingerprint_wait_for_each_other_and_keep_their_order(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    fixture->assignment->fingerprints_alike = UINT64_MAX;
    take_in_many(fixture, 0, 2, "one");
    take_in_many(fixture, 2, 4, "two");
    take_in_many(fixture, 4, 7, "one");
    take_in_many(fixture, 7, 9, "two");
    assert_int_equal(kit->core.parked.count, 1);
    core_kit_run(kit, 0);
    core_kit_run(kit, 2);
    core_kit_run(kit, 1);

    /* They are parked from 6 on, and 3 of "two" is in memory. */
    assert_int_equal(begin_pass(fixture), 6);
    bring(fixture, 6, "one");
    bring(fixture, 7, "two");
    bring(fixture, 8, "two");
    assert_true(bring_to(fixture, 9));
    assert_int_equal(kit->core.parked.count, 0);

    core_kit_run(kit, 3);
    core_kit_run(kit, 4);
    core_kit_run(kit, 7);
    core_kit_run(kit, 5);
    core_kit_run(kit, 8);
    core_kit_run(kit, 6);
    assert_int_equal(base(fixture), 9);
}

static void a_key_that_clashes_and_was_not_dropped_is_not_brought_again(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *stuck;

    fixture->assignment->fingerprints_alike = UINT64_MAX;
    core_kit_take_in(kit, fixture->assignment, 0, "one");
    core_kit_take_in(kit, fixture->assignment, 1, "one");
    core_kit_take_in(kit, fixture->assignment, 2, "two");
    core_kit_take_in(kit, fixture->assignment, 3, "one");
    core_kit_take_in(kit, fixture->assignment, 4, "two");
    stuck = core_kit_start(kit, 0);
    core_kit_run(kit, 2);
    core_kit_run(kit, 4);
    relieve(fixture);
    core_kit_wait(kit, 200);
    relieve(fixture);
    assert_int_equal(kit->core.admission.records, 1);
    /* What comes now is dropped, of both keys. */
    core_kit_take_in(kit, fixture->assignment, 5, "two");
    core_kit_back(kit, stuck, SLOT_DONE);

    assert_int_equal(begin_pass(fixture), 1);
    bring(fixture, 1, "one");
    bring(fixture, 2, "two");
    bring(fixture, 3, "one");
    bring(fixture, 4, "two");
    bring(fixture, 5, "two");

    /* Record 4 of "two" must not come after record 5, nor 2 without 4. */
    assert_int_equal(kit->core.admission.records, 3);
    assert_true(bring_to(fixture, 6));
    core_kit_run(kit, 1);
    core_kit_run(kit, 5);
    core_kit_run(kit, 3);
    assert_int_equal(base(fixture), 6);
}

static void what_is_in_memory_is_not_brought_again(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *one, *two;

    kit->core.config.fingerprints_alike = UINT64_MAX;
    take_in_many(fixture, 0, 2, "one");
    take_in_many(fixture, 2, 3, "two");
    one = core_kit_start(kit, 0);
    two = core_kit_start(kit, 2);
    /* Of "one", 1 is let go; 2 of "two" lies behind it and is in memory. */
    relieve(fixture);
    core_kit_wait(kit, 200);
    relieve(fixture);
    core_verify(&kit->core);
    core_kit_back(kit, one, SLOT_DONE);
    take_in_many(fixture, 3, 4, "two");
    assert_int_equal(kit->core.parked.count, 1);

    assert_int_equal(begin_pass(fixture), 1);
    bring(fixture, 1, "one");
    bring(fixture, 2, "two");
    bring(fixture, 3, "two");
    core_kit_run(kit, 1);
    assert_null(core_next_ready(&kit->core));
    core_kit_back(kit, two, SLOT_DONE);
    core_kit_run(kit, 3);
    assert_true(bring_to(fixture, 4));
    assert_int_equal(base(fixture), 4);
}

static void a_pass_of_a_partition_that_goes_brings_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    take_in_many(fixture, 0, 6, "a");
    run_many(fixture, 0, 4);
    begin_pass(fixture);
    take_in_many(fixture, 6, 8, "a");
    bring(fixture, 4, "a");

    core_kit_revoke(kit, fixture->assignment);
    bring(fixture, 5, "a");

    assert_int_equal(base(fixture), 4);
    assert_int_equal(kit->core.admission.records, 0);
    core_kit_settle(kit, fixture->assignment);
}

static void the_end_of_the_log_is_reached_only_without_parked_lanes(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    take_in_many(fixture, 0, 5, "a");
    core_end(&kit->core, fixture->assignment, 5);
    run_many(fixture, 0, 4);
    assert_true(core_is_empty(&kit->core));
    assert_false(core_is_caught_up(&kit->core));

    begin_pass(fixture);
    bring(fixture, 4, "a");
    bring_to(fixture, 5);
    core_kit_run(kit, 4);
    assert_true(core_is_caught_up(&kit->core));
}

#define parking_case(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

/* Of eight records the first half is done, and a pass is to bring the rest. */
static void park_the_second_half(struct fixture *fixture)
{
    take_in_many(fixture, 0, 8, "a");
    run_many(fixture, 0, 4);
    assert_int_equal(begin_pass(fixture), 4);
}

static void a_head_that_is_not_in_the_log_any_more_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_assignment *assignment;

    park_the_second_half(fixture);
    bring_many(fixture, 6, 8, "a");
    assert_int_equal(core_next_notice(&kit->core, &assignment), NOTICE_HEAD_GONE);
    assert_ptr_equal(assignment, fixture->assignment);
    assert_int_equal(assignment->head_gone.offset, 4);
    bring_to(fixture, 8);
    run_many(fixture, 6, 8);
    assert_int_equal(base(fixture), 8);
    assert_int_equal(kit->core.counts.heads_gone, 1);
    core_kit_revoke(kit, fixture->assignment);
    core_kit_settle(kit, fixture->assignment);
}

static void a_lane_of_which_nothing_is_left_goes(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_assignment *assignment;

    park_the_second_half(fixture);
    assert_true(bring_to(fixture, 8));
    assert_int_equal(core_next_notice(&kit->core, &assignment), NOTICE_HEAD_GONE);
    assert_int_equal(kit->core.parked.count, 0);
    assert_int_equal(base(fixture), 8);
    core_kit_revoke(kit, fixture->assignment);
    core_kit_settle(kit, fixture->assignment);
}

int main(void)
{
    const struct CMUnitTest core_parking_tests[] = {
        parking_case(a_blocked_lane_costs_one_entry_and_holds_nothing),
        parking_case(a_pass_feeds_it_in_order_and_the_entry_goes),
        parking_case(what_comes_while_a_pass_feeds_it_is_kept_behind),
        parking_case(more_than_the_quota_is_not_kept),
        parking_case(a_lane_that_meets_its_end_calls_for_no_pass),
        parking_case(what_is_let_go_behind_a_pass_is_not_lost),
        parking_case(what_finds_its_lane_full_is_brought_when_it_is_not),
        parking_case(a_stuck_lane_that_is_shortened_again_is_not_read_again),
        parking_case(lanes_that_a_pass_has_no_room_for_go_on_together),
        parking_case(a_pass_leaves_some_room_to_what_comes_in_otherwise),
        parking_case(an_end_that_is_a_hole_is_met_by_position),
        parking_case(a_lane_that_cannot_go_on_yet_takes_no_part),
        parking_case(when_memory_is_short_the_longest_stuck_lanes_are_parked_by_half),
        parking_case(two_keys_with_one_fingerprint_wait_for_each_other_and_keep_their_order),
        parking_case(a_key_that_clashes_and_was_not_dropped_is_not_brought_again),
        parking_case(what_is_in_memory_is_not_brought_again),
        parking_case(a_pass_of_a_partition_that_goes_brings_nothing),
        parking_case(the_end_of_the_log_is_reached_only_without_parked_lanes),
        parking_case(a_head_that_is_not_in_the_log_any_more_is_told),
        parking_case(a_lane_of_which_nothing_is_left_goes),
    };

    return check_run(core_parking_tests);
}
