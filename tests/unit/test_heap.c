/* SPDX-License-Identifier: Apache-2.0 */
/* The heap: the least value is on top, and a node leaves from anywhere. */
#include "lib/check.h"

#include "core/heap.h"

enum { NODES = 40 };

struct fixture {
    struct heap heap;
    struct heap_node nodes[NODES];
};

static int setup(void **state)
{
    static struct fixture fixture;

    heap_init(&fixture.heap);
    for (size_t i = 0; i < NODES; i++)
        fixture.nodes[i].place = HEAP_NOWHERE;
    *state = &fixture;
    return heap_reserve(&fixture.heap, NODES) ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    heap_deinit(&fixture->heap);
    return 0;
}

static int64_t take_top(struct heap *heap)
{
    int64_t value = heap->entries[0].value;

    heap_remove(heap, heap->entries[0].node);
    heap_verify(heap);
    return value;
}

static void heap_gives_nodes_by_rising_value(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < NODES; i++)
        heap_set(&fixture->heap, &fixture->nodes[i], (int64_t)(i * 17 % NODES));

    for (int64_t value = 0; value < NODES; value++)
        assert_int_equal(take_top(&fixture->heap), value);
    assert_int_equal(fixture->heap.count, 0);
}

static void node_moves_both_ways_when_its_value_changes(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < NODES; i++)
        heap_set(&fixture->heap, &fixture->nodes[i], (int64_t)i * 10);
    heap_set(&fixture->heap, &fixture->nodes[30], -1);
    heap_verify(&fixture->heap);
    heap_set(&fixture->heap, &fixture->nodes[0], 1000);
    heap_verify(&fixture->heap);

    assert_int_equal(fixture->heap.count, NODES);
    assert_ptr_equal(fixture->heap.entries[0].node, &fixture->nodes[30]);
    for (size_t i = 1; i < NODES; i++)
        assert_true(take_top(&fixture->heap) < 1000);
    assert_ptr_equal(fixture->heap.entries[0].node, &fixture->nodes[0]);
}

static void node_leaves_from_anywhere(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < NODES; i++)
        heap_set(&fixture->heap, &fixture->nodes[i], (int64_t)(i * 23 % NODES));
    for (size_t i = 0; i < NODES; i += 2) {
        heap_remove(&fixture->heap, &fixture->nodes[i]);
        heap_verify(&fixture->heap);
    }

    for (size_t i = 0; i < NODES; i++)
        assert_int_equal(heap_has(&fixture->nodes[i]), i % 2);
}

static void deinit_makes_the_nodes_forget_their_places(void **state)
{
    struct fixture *fixture = *state;

    heap_set(&fixture->heap, &fixture->nodes[0], 5);
    heap_set(&fixture->heap, &fixture->nodes[1], 4);
    heap_deinit(&fixture->heap);

    assert_false(heap_has(&fixture->nodes[0]));
    assert_false(heap_has(&fixture->nodes[1]));
    assert_true(heap_reserve(&fixture->heap, 1));
    heap_set(&fixture->heap, &fixture->nodes[0], 3);
    assert_int_equal(take_top(&fixture->heap), 3);
}

static void removing_a_node_that_is_not_in_is_noticed(void **state)
{
    struct fixture *fixture = *state;

    expect_assert_failure(heap_remove(&fixture->heap, &fixture->nodes[0]));
}

int main(void)
{
    const struct CMUnitTest heap_tests[] = {
        cmocka_unit_test_setup_teardown(heap_gives_nodes_by_rising_value, setup, teardown),
        cmocka_unit_test_setup_teardown(node_moves_both_ways_when_its_value_changes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(node_leaves_from_anywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(deinit_makes_the_nodes_forget_their_places, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(removing_a_node_that_is_not_in_is_noticed, setup,
                                        teardown),
    };

    return check_run(heap_tests);
}
