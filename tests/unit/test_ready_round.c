/* SPDX-License-Identifier: Apache-2.0 */
/* The round of ready lanes: partitions take turns, and inside one the longest waiting is
 * next. */
#include "lib/check.h"

#include "core/assignment.h"
#include "core/lane.h"
#include "core/ready.h"

enum { PARTITIONS = 3, LANES = 4 };

struct fixture {
    struct ready_round round;
    struct partition partitions[PARTITIONS];
    struct lane lanes[PARTITIONS][LANES];
    struct klane_slot *slot;
};

static int setup(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){.round = {.last = NULL}};
    for (int i = 0; i < PARTITIONS; i++)
        fixture.partitions[i].ready.open = READY_ALL;
    for (int i = 0; i < PARTITIONS; i++)
        for (int j = 0; j < LANES; j++) {
            fixture.lanes[i][j].partition = &fixture.partitions[i];
            /* Only that it holds some slot matters here. */
            fixture.lanes[i][j].held = (struct klane_slot *)(void *)&fixture.slot;
        }
    *state = &fixture;
    return 0;
}

static void add(struct fixture *fixture, int partition, int lane)
{
    ready_add(&fixture->round, &fixture->lanes[partition][lane]);
}

static void assert_takes(struct fixture *fixture, int partition, int lane)
{
    assert_ptr_equal(ready_take(&fixture->round), &fixture->lanes[partition][lane]);
}

static void round_without_lanes_has_nothing_to_take(void **state)
{
    struct fixture *fixture = *state;

    assert_null(ready_take(&fixture->round));

    add(fixture, 0, 0);
    assert_takes(fixture, 0, 0);
    assert_null(ready_take(&fixture->round));
}

static void lanes_of_one_partition_come_in_the_order_they_were_ready(void **state)
{
    struct fixture *fixture = *state;

    for (int lane = LANES - 1; lane >= 0; lane--)
        add(fixture, 0, lane);

    assert_int_equal(fixture->round.lanes, LANES);
    for (int lane = LANES - 1; lane >= 0; lane--)
        assert_takes(fixture, 0, lane);
}

static void partition_with_many_ready_lanes_does_not_keep_others_waiting(void **state)
{
    struct fixture *fixture = *state;

    for (int lane = 0; lane < LANES; lane++)
        add(fixture, 0, lane);
    add(fixture, 1, 0);
    add(fixture, 2, 0);

    assert_takes(fixture, 0, 0);
    assert_takes(fixture, 1, 0);
    assert_takes(fixture, 2, 0);
    assert_takes(fixture, 0, 1);
    assert_takes(fixture, 0, 2);
}

static void partition_that_gets_ready_again_waits_its_turn(void **state)
{
    struct fixture *fixture = *state;

    add(fixture, 0, 0);
    add(fixture, 1, 0);
    assert_takes(fixture, 0, 0);
    add(fixture, 0, 1);

    assert_takes(fixture, 1, 0);
    assert_takes(fixture, 0, 1);
    assert_null(ready_take(&fixture->round));
}

static void lane_leaves_from_the_middle_of_its_queue(void **state)
{
    struct fixture *fixture = *state;

    for (int lane = 0; lane < LANES; lane++)
        add(fixture, 0, lane);
    ready_remove(&fixture->round, &fixture->lanes[0][1]);
    ready_remove(&fixture->round, &fixture->lanes[0][LANES - 1]);

    assert_takes(fixture, 0, 0);
    assert_takes(fixture, 0, 2);
    assert_null(ready_take(&fixture->round));
    assert_int_equal(fixture->round.lanes, 0);
}

/* The one whose turn is next, one in between, and the last of the ring are different cases. */
static void partition_leaves_the_round_from_any_place(void **state)
{
    struct fixture *fixture = *state;

    for (int gone = 0; gone < PARTITIONS; gone++) {
        for (int partition = 0; partition < PARTITIONS; partition++)
            add(fixture, partition, 0);
        ready_remove(&fixture->round, &fixture->lanes[gone][0]);

        for (int partition = 0; partition < PARTITIONS; partition++)
            if (partition != gone)
                assert_takes(fixture, partition, 0);
        assert_null(ready_take(&fixture->round));
        assert_null(fixture->round.last);
    }
}

static void last_lane_leaves_an_empty_round(void **state)
{
    struct fixture *fixture = *state;

    add(fixture, 1, 2);
    ready_remove(&fixture->round, &fixture->lanes[1][2]);

    assert_null(ready_take(&fixture->round));
    assert_null(fixture->partitions[1].ready.next);
}

static void only_so_many_as_are_open_are_taken(void **state)
{
    struct fixture *fixture = *state;

    ready_open(&fixture->round, &fixture->partitions[0], 0);
    for (int lane = 0; lane < 3; lane++)
        add(fixture, 0, lane);
    add(fixture, 1, 0);
    assert_int_equal(fixture->round.lanes, 1);
    assert_takes(fixture, 1, 0);
    assert_null(ready_take(&fixture->round));

    ready_put_last(&fixture->lanes[0][0]);
    ready_open(&fixture->round, &fixture->partitions[0], 2);
    assert_int_equal(fixture->round.lanes, 2);
    add(fixture, 1, 1);
    assert_takes(fixture, 0, 1);
    assert_takes(fixture, 1, 1);
    assert_takes(fixture, 0, 2);
    assert_null(ready_take(&fixture->round));
    ready_open(&fixture->round, &fixture->partitions[0], READY_ALL);
    assert_takes(fixture, 0, 0);
    assert_int_equal(fixture->round.lanes, 0);
}

static void a_lane_leaves_a_queue_that_is_shut(void **state)
{
    struct fixture *fixture = *state;

    ready_open(&fixture->round, &fixture->partitions[0], 1);
    add(fixture, 0, 0);
    add(fixture, 0, 1);
    ready_remove(&fixture->round, &fixture->lanes[0][0]);
    assert_int_equal(fixture->round.lanes, 1);
    assert_takes(fixture, 0, 1);
    ready_open(&fixture->round, &fixture->partitions[0], 0);
    add(fixture, 0, 2);
    ready_remove(&fixture->round, &fixture->lanes[0][2]);
    assert_int_equal(fixture->round.lanes, 0);
    ready_open(&fixture->round, &fixture->partitions[0], READY_ALL);
    assert_null(ready_take(&fixture->round));
}

#define READY_TEST(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
    const struct CMUnitTest ready_round_tests[] = {
        READY_TEST(round_without_lanes_has_nothing_to_take),
        READY_TEST(lanes_of_one_partition_come_in_the_order_they_were_ready),
        READY_TEST(partition_with_many_ready_lanes_does_not_keep_others_waiting),
        READY_TEST(partition_that_gets_ready_again_waits_its_turn),
        READY_TEST(lane_leaves_from_the_middle_of_its_queue),
        READY_TEST(partition_leaves_the_round_from_any_place),
        READY_TEST(last_lane_leaves_an_empty_round),
        READY_TEST(only_so_many_as_are_open_are_taken),
        READY_TEST(a_lane_leaves_a_queue_that_is_shut),
    };

    return check_run(ready_round_tests);
}
