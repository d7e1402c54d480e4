/* SPDX-License-Identifier: Apache-2.0 */
/* The heap of lanes: the least value is on top, and a lane leaves from anywhere. */
#include "lib/check.h"

#include "core/lane.h"
#include "core/lane_heap.h"

enum { LANES = 40 };

struct fixture {
    struct lane_heap heap;
    struct lane lanes[LANES];
};

static int setup(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){.lanes = {{.table_next = NULL}}};
    lane_heap_init(&fixture.heap, LANE_HEAP_TIMERS);
    for (size_t i = 0; i < LANES; i++)
        for (size_t kind = 0; kind < LANE_HEAP_KINDS; kind++)
            fixture.lanes[i].heap_place[kind] = LANE_HEAP_NOWHERE;
    *state = &fixture;
    return lane_heap_reserve(&fixture.heap, LANES) ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    lane_heap_deinit(&fixture->heap);
    return 0;
}

static int64_t take_top(struct lane_heap *heap)
{
    int64_t value = heap->entries[0].value;

    lane_heap_remove(heap, heap->entries[0].lane);
    lane_heap_verify(heap);
    return value;
}

static void heap_gives_lanes_by_rising_value(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < LANES; i++)
        lane_heap_set(&fixture->heap, &fixture->lanes[i], (int64_t)(i * 17 % LANES));

    for (int64_t value = 0; value < LANES; value++)
        assert_int_equal(take_top(&fixture->heap), value);
    assert_int_equal(fixture->heap.count, 0);
}

static void lane_moves_both_ways_when_its_value_changes(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < LANES; i++)
        lane_heap_set(&fixture->heap, &fixture->lanes[i], (int64_t)i * 10);
    lane_heap_set(&fixture->heap, &fixture->lanes[30], -1);
    lane_heap_verify(&fixture->heap);
    lane_heap_set(&fixture->heap, &fixture->lanes[0], 1000);
    lane_heap_verify(&fixture->heap);

    assert_int_equal(fixture->heap.count, LANES);
    assert_ptr_equal(fixture->heap.entries[0].lane, &fixture->lanes[30]);
    for (size_t i = 1; i < LANES; i++)
        assert_true(take_top(&fixture->heap) < 1000);
    assert_ptr_equal(fixture->heap.entries[0].lane, &fixture->lanes[0]);
}

static void lane_leaves_from_anywhere(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < LANES; i++)
        lane_heap_set(&fixture->heap, &fixture->lanes[i], (int64_t)(i * 23 % LANES));
    for (size_t i = 0; i < LANES; i += 2) {
        lane_heap_remove(&fixture->heap, &fixture->lanes[i]);
        lane_heap_verify(&fixture->heap);
    }

    for (size_t i = 0; i < LANES; i++)
        assert_int_equal(lane_heap_has(&fixture->heap, &fixture->lanes[i]), i % 2);
}

static void heaps_of_two_kinds_keep_places_of_their_own(void **state)
{
    struct fixture *fixture = *state;
    struct lane_heap heads;

    lane_heap_init(&heads, LANE_HEAP_HEADS);
    assert_true(lane_heap_reserve(&heads, LANES));
    for (size_t i = 0; i < LANES; i++) {
        lane_heap_set(&fixture->heap, &fixture->lanes[i], (int64_t)i);
        lane_heap_set(&heads, &fixture->lanes[i], -(int64_t)i);
    }
    lane_heap_remove(&heads, &fixture->lanes[LANES - 1]);

    lane_heap_verify(&fixture->heap);
    lane_heap_verify(&heads);
    assert_true(lane_heap_has(&fixture->heap, &fixture->lanes[LANES - 1]));
    assert_false(lane_heap_has(&heads, &fixture->lanes[LANES - 1]));
    lane_heap_deinit(&heads);
}

static void deinit_makes_the_lanes_forget_their_places(void **state)
{
    struct fixture *fixture = *state;

    lane_heap_set(&fixture->heap, &fixture->lanes[0], 5);
    lane_heap_set(&fixture->heap, &fixture->lanes[1], 4);
    lane_heap_deinit(&fixture->heap);

    assert_false(lane_heap_has(&fixture->heap, &fixture->lanes[0]));
    assert_false(lane_heap_has(&fixture->heap, &fixture->lanes[1]));
    assert_true(lane_heap_reserve(&fixture->heap, 1));
    lane_heap_set(&fixture->heap, &fixture->lanes[0], 3);
    assert_int_equal(take_top(&fixture->heap), 3);
}

static void removing_a_lane_that_is_not_in_is_noticed(void **state)
{
    struct fixture *fixture = *state;

    expect_assert_failure(lane_heap_remove(&fixture->heap, &fixture->lanes[0]));
}

int main(void)
{
    const struct CMUnitTest lane_heap_tests[] = {
        cmocka_unit_test_setup_teardown(heap_gives_lanes_by_rising_value, setup, teardown),
        cmocka_unit_test_setup_teardown(lane_moves_both_ways_when_its_value_changes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(lane_leaves_from_anywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(heaps_of_two_kinds_keep_places_of_their_own, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(deinit_makes_the_lanes_forget_their_places, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(removing_a_lane_that_is_not_in_is_noticed, setup,
                                        teardown),
    };

    return check_run(lane_heap_tests);
}
