/* SPDX-License-Identifier: Apache-2.0 */
/* The tools that all other tests lean on: a failed assertion is noticed, and a mark is counted. */
#include "lib/check.h"

#include "base/assert.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void assert_fails_when_its_condition_is_false(void **state)
{
    volatile int one = 1;

    (void)state;

    expect_assert_failure(KLANE_ASSERT(one == 2));
}

static void assert_passes_when_its_condition_is_true(void **state)
{
    volatile int one = 1;

    (void)state;

    KLANE_ASSERT(one == 1);
}

static void assert_evaluates_its_condition_once(void **state)
{
    int evaluations = 0;

    (void)state;

    KLANE_ASSERT(++evaluations > 0);

    assert_int_equal(evaluations, 1);
}

static void assert_aborts_when_nobody_takes_it_over(void **state)
{
    int status = 0;
    pid_t child;

    (void)state;

    child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        klane_assert_hook = NULL;
        klane_assert_failed("false", __FILE__, __LINE__);
    }

    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void verify_runs_in_the_test_library(void **state)
{
    int runs = 0;

    (void)state;

    KLANE_VERIFY(runs++);

    assert_int_equal(runs, 1);
}

static void mark_counts_each_pass(void **state)
{
    (void)state;

    for (int i = 0; i < 3; i++)
        KLANE_MARK("three times");
    for (int i = 0; i < 2; i++)
        KLANE_MARK("twice");

    assert_int_equal(check_marked("three times"), 3);
    assert_int_equal(check_marked("twice"), 2);
    assert_int_equal(check_marked("never"), 0);
}

static void marks_of_one_name_are_added_up(void **state)
{
    (void)state;

    KLANE_MARK("shared name");
    KLANE_MARK("shared name");

    assert_int_equal(check_marked("shared name"), 2);
}

static void random_numbers_repeat_with_their_seed(void **state)
{
    uint64_t first = 7;
    uint64_t second = 7;
    uint64_t other = 8;

    (void)state;

    assert_true(check_random(&first) == check_random(&second));
    assert_true(check_random(&first) != check_random(&other));
    assert_true(check_random_below(&first, 1) == 0);
}

static void rounds_come_from_the_environment(void **state)
{
    (void)state;

    setenv("KLANE_ROUNDS", "12", 1);

    assert_int_equal(check_rounds(3, 4), 12);
    unsetenv("KLANE_ROUNDS");
    setenv("KLANE_SOAK", "1", 1);
    assert_int_equal(check_rounds(3, 4), 4);
    unsetenv("KLANE_SOAK");
    assert_int_equal(check_rounds(3, 4), 3);
}

static void seed_comes_from_the_environment_and_stays(void **state)
{
    (void)state;

    setenv("KLANE_SEED", "42", 1);

    assert_true(check_seed() == 42);
    setenv("KLANE_SEED", "43", 1);
    assert_true(check_seed() == 42);
}

int main(void)
{
    const struct CMUnitTest assertions_and_marks[] = {
        cmocka_unit_test(assert_fails_when_its_condition_is_false),
        cmocka_unit_test(assert_passes_when_its_condition_is_true),
        cmocka_unit_test(assert_evaluates_its_condition_once),
        cmocka_unit_test(assert_aborts_when_nobody_takes_it_over),
        cmocka_unit_test(verify_runs_in_the_test_library),
        cmocka_unit_test(mark_counts_each_pass),
        cmocka_unit_test(marks_of_one_name_are_added_up),
        cmocka_unit_test(random_numbers_repeat_with_their_seed),
        cmocka_unit_test(rounds_come_from_the_environment),
        cmocka_unit_test(seed_comes_from_the_environment_and_stays),
    };

    return check_run(assertions_and_marks);
}
