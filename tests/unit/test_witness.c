/* SPDX-License-Identifier: Apache-2.0 */
/* The benchmarks' witness: order, repeats and loss are told apart. */
#include "lib/check.h"

#include "lib/witness.h"

#include <pthread.h>

enum { KEYS = 3, EACH = 100, RECORDS = KEYS * EACH, THREADS = 4 };

struct fixture {
    struct witness *witness;
    unsigned char values[KEYS][EACH][STAMP_BYTES];
};

static int setup_for(void **state, bool is_shared)
{
    static struct fixture fixture;

    fixture.witness = witness_create(RECORDS, KEYS, is_shared);
    for (uint64_t key = 0; key < KEYS; key++)
        for (uint64_t i = 0; i < EACH; i++)
            stamp_write(fixture.values[key][i], &(struct stamp){i, 0, i * KEYS + key});
    *state = &fixture;
    return 0;
}

static int setup_one(void **state)
{
    return setup_for(state, false);
}

static int setup_shared(void **state)
{
    return setup_for(state, true);
}

static void begin(struct fixture *fixture, uint64_t key, uint64_t sequence)
{
    witness_begin(fixture->witness, key, fixture->values[key][sequence]);
}

static void end(struct fixture *fixture, uint64_t key, uint64_t sequence)
{
    witness_end(fixture->witness, key, fixture->values[key][sequence]);
}

static void pass(struct fixture *fixture, uint64_t key, uint64_t sequence)
{
    witness_pass(fixture->witness, key, fixture->values[key][sequence]);
}

static void saw(const struct fixture *fixture, uint64_t disorder, uint64_t repeats,
                uint64_t ended)
{
    assert_int_equal(fixture->witness->disorder, disorder);
    assert_int_equal(fixture->witness->repeats, repeats);
    assert_int_equal(witness_ended(fixture->witness), ended);
}

static void a_stamp_is_read_as_it_was_written(void **state)
{
    struct fixture *fixture = *state;
    struct stamp stamp = stamp_read(fixture->values[2][7]);

    assert_int_equal(stamp.sequence, 7);
    assert_int_equal(stamp.number, 7 * KEYS + 2);
    assert_int_equal(fixture->values[2][7][0], 7);
}

static void order_by_key_is_nothing_to_report(void **state)
{
    for (uint64_t i = 0; i < EACH; i++)
        for (uint64_t key = 0; key < KEYS; key++)
            pass(*state, key, i);
    saw(*state, 0, 0, RECORDS);
}

static void what_was_overtaken_is_disorder(void **state)
{
    pass(*state, 0, 0);
    pass(*state, 0, 3);
    pass(*state, 0, 1);
    pass(*state, 0, 2);
    pass(*state, 0, 4);
    saw(*state, 2, 0, 5);
}

static void what_never_came_is_not_disorder(void **state)
{
    pass(*state, 1, 0);
    pass(*state, 1, 2);
    pass(*state, 1, 3);
    saw(*state, 0, 0, 3);
    assert_false(witness_has_ended(((struct fixture *)*state)->witness, KEYS + 1));
}

static void what_came_again_is_not_disorder(void **state)
{
    pass(*state, 1, 0);
    pass(*state, 1, 1);
    pass(*state, 1, 0);
    pass(*state, 1, 1);
    pass(*state, 1, 2);
    saw(*state, 0, 2, 3);
}

static void two_of_a_key_at_once_are_disorder(void **state)
{
    begin(*state, 0, 0);
    begin(*state, 1, 0);
    begin(*state, 0, 1);
    end(*state, 0, 0);
    end(*state, 1, 0);
    end(*state, 0, 1);
    begin(*state, 0, 2);
    end(*state, 0, 2);
    saw(*state, 1, 0, 4);
}

static void what_a_killed_process_had_begun_begins_again(void **state)
{
    struct fixture *fixture = *state;

    pass(fixture, 0, 0);
    begin(fixture, 0, 1);
    witness_restart(fixture->witness);
    pass(fixture, 0, 1);
    pass(fixture, 0, 2);
    saw(fixture, 0, 0, 3);
}

static void *pass_all(void *fixture)
{
    for (uint64_t i = 0; i < EACH; i++)
        for (uint64_t key = 0; key < KEYS; key++)
            pass(fixture, key, i);
    return NULL;
}

/* Each ends once and comes again from every other thread, whoever is first. */
static void threads_count_every_repeat(void **state)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, pass_all, *state), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    saw(*state, ((struct fixture *)*state)->witness->disorder, (THREADS - 1) * RECORDS, RECORDS);
}

#define IN_BOTH(test)                                                                            \
    cmocka_unit_test_setup(test, setup_one), cmocka_unit_test_setup(test, setup_shared)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_stamp_is_read_as_it_was_written, setup_one),
        IN_BOTH(order_by_key_is_nothing_to_report),
        IN_BOTH(what_was_overtaken_is_disorder),
        IN_BOTH(what_never_came_is_not_disorder),
        IN_BOTH(what_came_again_is_not_disorder),
        cmocka_unit_test_setup(two_of_a_key_at_once_are_disorder, setup_shared),
        cmocka_unit_test_setup(what_a_killed_process_had_begun_begins_again, setup_shared),
        cmocka_unit_test_setup(threads_count_every_repeat, setup_shared),
    };

    return check_run(tests);
}
