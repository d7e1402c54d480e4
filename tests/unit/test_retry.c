/* SPDX-License-Identifier: Apache-2.0 */
#include "core/retry.h"

#include "lib/check.h"

static void without_limits_it_is_never_over(void **state)
{
    const struct retry_policy policy = {.delay_ms = 10};

    (void)state;
    assert_false(retry_is_over(&policy, 1, 0));
    assert_false(retry_is_over(&policy, UINT32_MAX, INT64_MAX));
    assert_false(retry_is_over(&policy, UINT32_MAX, -1));
}

static void attempts_and_age_are_limits_each(void **state)
{
    const struct retry_policy policy = {.attempts_max = 3, .age_max_ms = 1000};

    (void)state;
    assert_false(retry_is_over(&policy, 2, 999));
    assert_true(retry_is_over(&policy, 3, 0));
    assert_true(retry_is_over(&policy, 4, 0));
    assert_true(retry_is_over(&policy, 1, 1000));
    assert_false(retry_is_over(&policy, 2, -1));
}

static void a_fixed_delay_is_always_the_same(void **state)
{
    const struct retry_policy policy = {.delay_ms = 70};

    (void)state;
    for (uint32_t attempts = 1; attempts < 100; attempts++)
        assert_int_equal(retry_delay(&policy, attempts, attempts * 12345), 70);
}

static void each_delay_is_up_to_twice_the_one_before_and_at_most_the_largest(void **state)
{
    const struct retry_policy policy = {.delay_ms = 100, .delay_max_ms = 1000};
    static const int64_t most[] = {100, 200, 400, 800, 1000, 1000};

    (void)state;
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(retry_delay(&policy, i + 1, 0), most[i]);
        assert_int_equal(retry_delay(&policy, i + 1, (uint64_t)(most[i] / 2)), most[i] / 2);
    }
    assert_int_equal(retry_delay(&policy, UINT32_MAX, 0), 1000);
    assert_int_equal(retry_delay(&(struct retry_policy){.delay_max_ms = 1000}, UINT32_MAX, 1), 0);
}

/* Whatever the numbers are: within the bounds, all of which come. */
static void delays_spread_over_the_upper_half(void **state)
{
    uint64_t random = check_seed();

    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct retry_policy policy = {
            .delay_ms = (int64_t)check_random_below(&random, (uint64_t)1 << (i % 63)),
            .delay_max_ms = (int64_t)check_random_below(&random, INT64_MAX)};
        uint32_t attempts = 1 + (uint32_t)check_random_below(&random, 70);
        int64_t most = retry_delay(&policy, attempts, 0);
        int64_t delay_ms;

        if (policy.delay_max_ms < policy.delay_ms)
            policy.delay_max_ms = policy.delay_ms;
        most = retry_delay(&policy, attempts, 0);
        delay_ms = retry_delay(&policy, attempts, check_random(&random));
        assert_true(most <= policy.delay_max_ms || policy.delay_max_ms == 0);
        assert_true(delay_ms <= most && delay_ms >= most / 2);
        assert_true(most >= policy.delay_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_limits_it_is_never_over),
        cmocka_unit_test(attempts_and_age_are_limits_each),
        cmocka_unit_test(a_fixed_delay_is_always_the_same),
        cmocka_unit_test(each_delay_is_up_to_twice_the_one_before_and_at_most_the_largest),
        cmocka_unit_test(delays_spread_over_the_upper_half),
    };

    return check_run(tests);
}
