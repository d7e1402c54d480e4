/* SPDX-License-Identifier: Apache-2.0 */
/* The ring of ready slots, seen from one thread. tests/threads/torture_sync.c has many. */
#include "lib/check.h"

#include "sync/ready.h"

enum { CAPACITY = 8 };

static int items[2 * CAPACITY];

static int make_ring(void **state)
{
    static struct ready_ring ring;

    *state = &ring;
    return ready_init(&ring, CAPACITY) ? 0 : -1;
}

static int drop_ring(void **state)
{
    ready_deinit(*state);
    return 0;
}

static void fill(struct ready_ring *ring)
{
    for (int i = 0; i < CAPACITY - 1; i++)
        assert_true(ready_push(ring, &items[i]));
}

static void pop_returns_null_when_nothing_was_pushed(void **state)
{
    assert_null(ready_pop(*state));
    assert_true(ready_is_empty(*state));
}

static void pop_returns_the_oldest_item(void **state)
{
    struct ready_ring *ring = *state;

    assert_true(ready_push(ring, &items[1]));
    assert_true(ready_push(ring, &items[0]));

    assert_ptr_equal(ready_pop(ring), &items[1]);
    assert_false(ready_is_empty(ring));
    assert_ptr_equal(ready_pop(ring), &items[0]);
    assert_true(ready_is_empty(ring));
}

static void push_fails_when_capacity_less_one_are_in(void **state)
{
    struct ready_ring *ring = *state;

    fill(ring);

    assert_false(ready_push(ring, &items[CAPACITY]));
    assert_ptr_equal(ready_pop(ring), &items[0]);
    assert_true(ready_push(ring, &items[CAPACITY]));
}

static void room_is_what_push_accepts(void **state)
{
    struct ready_ring *ring = *state;

    assert_int_equal(ready_room(ring), CAPACITY - 1);
    fill(ring);
    assert_int_equal(ready_room(ring), 0);
    (void)ready_pop(ring);
    assert_int_equal(ready_room(ring), 1);
}

static void order_holds_when_the_counters_wrap(void **state)
{
    struct ready_ring *ring = *state;

    /* As after four thousand million pushes. */
    ring->ring.c_head = ring->ring.p_head = ring->ring.p_tail = UINT32_MAX - 2;

    for (int round = 0; round < 3; round++) {
        fill(ring);
        assert_int_equal(ready_room(ring), 0);
        for (int i = 0; i < CAPACITY - 1; i++)
            assert_ptr_equal(ready_pop(ring), &items[i]);
        assert_true(ready_is_empty(ring));
    }
}

static void init_refuses_a_capacity_that_is_no_power_of_two(void **state)
{
    struct ready_ring ring;

    (void)state;

    expect_assert_failure(ready_init(&ring, 6));
    expect_assert_failure(ready_init(&ring, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pop_returns_null_when_nothing_was_pushed, make_ring,
                                        drop_ring),
        cmocka_unit_test_setup_teardown(pop_returns_the_oldest_item, make_ring, drop_ring),
        cmocka_unit_test_setup_teardown(push_fails_when_capacity_less_one_are_in, make_ring,
                                        drop_ring),
        cmocka_unit_test_setup_teardown(room_is_what_push_accepts, make_ring, drop_ring),
        cmocka_unit_test_setup_teardown(order_holds_when_the_counters_wrap, make_ring, drop_ring),
        cmocka_unit_test(init_refuses_a_capacity_that_is_no_power_of_two),
    };

    return check_run(tests);
}
