/* SPDX-License-Identifier: Apache-2.0 */
/* Sleeping and waking, step by step. tests/model/idle.cpp searches the interleavings. */
#include "lib/check.h"

#include "sync/idle.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

static int make_idle(void **state)
{
    static struct idle idle;

    *state = &idle;
    return idle_init(&idle) ? 0 : -1;
}

/* For tests that give every seat back. */
static int drop_idle(void **state)
{
    idle_deinit(*state);
    return 0;
}

/* A seat whose thread is idle. All threads of a test are the main one. */
static int idle_seat(struct idle *idle)
{
    int seat = idle_seat_take(idle);

    idle_search_begin(idle, seat);
    idle_prepare(idle, seat);
    return seat;
}

/* From idle or claimed to free. */
static void leave(struct idle *idle, int seat)
{
    idle_cancel(idle, seat);
    (void)idle_search_end(idle, seat);
    idle_seat_leave(idle, seat);
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- seats ---- */

static void seats_are_given_out_lowest_first(void **state)
{
    assert_int_equal(idle_seat_take(*state), 0);
    assert_int_equal(idle_seat_take(*state), 1);
    idle_seat_leave(*state, 0);
    assert_int_equal(idle_seat_take(*state), 0);
    assert_int_equal(idle_seat_take(*state), 2);

    for (int seat = 0; seat < 3; seat++)
        idle_seat_leave(*state, seat);
}

static void no_seat_is_given_out_twice(void **state)
{
    uint64_t marks = check_marked("idle: every seat is taken");

    for (int seat = 0; seat < IDLE_SEATS_MAX; seat++)
        assert_int_equal(idle_seat_take(*state), seat);
    assert_int_equal(idle_seat_take(*state), -1);
    assert_int_equal(check_marked("idle: every seat is taken"), marks + 1);
    idle_seat_leave(*state, IDLE_SEATS_MAX - 1);
    assert_int_equal(idle_seat_take(*state), IDLE_SEATS_MAX - 1);

    for (int seat = 0; seat < IDLE_SEATS_MAX; seat++)
        idle_seat_leave(*state, seat);
}

/* ---- who is woken ---- */

static void wake_wakes_nobody_when_nobody_is_idle(void **state)
{
    assert_false(idle_wake_one(*state));
    assert_int_equal(idle_searchers(*state), 0);
}

static void wake_wakes_nobody_while_somebody_searches(void **state)
{
    int sleeper = idle_seat(*state);
    int searcher = idle_seat_take(*state);

    idle_search_begin(*state, searcher);

    assert_true(idle_is_only_searcher(*state));
    assert_false(idle_wake_one(*state));
    assert_true(idle_search_end(*state, searcher));
    assert_true(idle_wake_one(*state));

    idle_seat_leave(*state, searcher);
    leave(*state, sleeper);
}

static void wake_claims_the_lowest_idle_seat(void **state)
{
    int seats[130];

    for (int i = 0; i < 130; i++)
        seats[i] = idle_seat(*state);
    for (int i = 0; i < 130; i++) {
        assert_true(idle_wake_one(*state));
        /* Only a claimed seat sleeps no moment; it works now. */
        assert_true(idle_sleep(*state, seats[i], 0));
        assert_true(idle_search_end(*state, seats[i]));
    }
    assert_false(idle_wake_one(*state));

    for (int i = 0; i < 130; i++)
        idle_seat_leave(*state, seats[i]);
}

static void claimed_seat_searches_before_its_thread_runs(void **state)
{
    int first = idle_seat(*state);
    int second = idle_seat(*state);

    assert_int_equal(idle_searchers(*state), 0);
    assert_true(idle_wake_one(*state));
    assert_int_equal(idle_searchers(*state), 1);
    assert_false(idle_wake_one(*state));

    leave(*state, first);
    leave(*state, second);
}

static void only_the_last_searcher_has_to_look(void **state)
{
    int first = idle_seat_take(*state);
    int second = idle_seat_take(*state);

    idle_search_begin(*state, first);
    idle_search_begin(*state, second);

    assert_false(idle_is_only_searcher(*state));
    assert_false(idle_search_end(*state, first));
    assert_true(idle_search_end(*state, second));

    idle_seat_leave(*state, first);
    idle_seat_leave(*state, second);
}

static void stop_wakes_every_idle_seat(void **state)
{
    int seats[70];

    for (int i = 0; i < 70; i++)
        seats[i] = idle_seat(*state);

    idle_wake_all(*state);

    assert_int_equal(idle_searchers(*state), 70);
    for (int i = 0; i < 70; i++)
        assert_true(idle_sleep(*state, seats[i], -1));
    for (int i = 0; i < 70; i++) {
        assert_int_equal(idle_search_end(*state, seats[i]), i == 69);
        idle_seat_leave(*state, seats[i]);
    }
}

/* ---- cancel and sleep ---- */

static void cancelled_seat_searches_and_is_not_woken(void **state)
{
    int seat = idle_seat(*state);

    idle_cancel(*state, seat);

    assert_int_equal(idle_searchers(*state), 1);
    assert_true(idle_search_end(*state, seat));
    assert_false(idle_wake_one(*state));

    idle_seat_leave(*state, seat);
}

static void cancel_uses_up_a_wake_that_came_before(void **state)
{
    uint64_t marks = check_marked("idle: claimed while withdrawing");
    int seat = idle_seat(*state);

    assert_true(idle_wake_one(*state));
    idle_cancel(*state, seat);

    assert_int_equal(check_marked("idle: claimed while withdrawing"), marks + 1);
    assert_int_equal(idle_searchers(*state), 1);
    idle_prepare(*state, seat);
    assert_int_equal(idle_searchers(*state), 0);
    assert_false(idle_sleep(*state, seat, 0));

    (void)idle_search_end(*state, seat);
    idle_seat_leave(*state, seat);
}

static void sleep_returns_when_its_time_is_over_and_the_seat_searches(void **state)
{
    int seat = idle_seat(*state);
    int64_t begin_ms = now_ms();

    assert_false(idle_sleep(*state, seat, 20));

    assert_true(now_ms() - begin_ms >= 19);
    assert_int_equal(idle_searchers(*state), 1);
    assert_true(idle_search_end(*state, seat));
    assert_false(idle_wake_one(*state));

    idle_seat_leave(*state, seat);
}

static void on_alarm(int number)
{
    (void)number;
}

static void sleep_is_not_ended_by_a_signal(void **state)
{
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval often = {{0, 2000}, {0, 2000}};
    struct itimerval never = {{0, 0}, {0, 0}};
    int seat = idle_seat(*state);
    int64_t begin_ms = now_ms();

    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    assert_false(idle_sleep(*state, seat, 30));
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);

    assert_true(now_ms() - begin_ms >= 29);

    (void)idle_search_end(*state, seat);
    idle_seat_leave(*state, seat);
}

static void *sleep_once(void *context)
{
    struct idle *idle = context;
    int seat = idle_seat(idle);
    bool woken = idle_sleep(idle, seat, INT64_MAX);

    (void)idle_search_end(idle, seat);
    idle_seat_leave(idle, seat);
    return woken ? context : NULL;
}

static void sleeping_thread_is_woken(void **state)
{
    void *result = NULL;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, sleep_once, *state), 0);
    while (!idle_wake_one(*state))
        ;
    assert_int_equal(pthread_join(thread, &result), 0);

    assert_ptr_equal(result, *state);
}

static void wrong_order_of_calls_is_caught(void **state)
{
    int seat = idle_seat_take(*state);

    expect_assert_failure(idle_prepare(*state, seat));
    expect_assert_failure((void)idle_search_end(*state, seat));
    expect_assert_failure((void)idle_sleep(*state, seat, 0));
    expect_assert_failure(idle_seat_leave(*state, seat + 1));
    expect_assert_failure(idle_search_begin(*state, IDLE_SEATS_MAX));

    idle_seat_leave(*state, seat);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_idle, drop_idle)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(seats_are_given_out_lowest_first),
        TEST(no_seat_is_given_out_twice),
        TEST(wake_wakes_nobody_when_nobody_is_idle),
        TEST(wake_wakes_nobody_while_somebody_searches),
        TEST(wake_claims_the_lowest_idle_seat),
        TEST(claimed_seat_searches_before_its_thread_runs),
        TEST(only_the_last_searcher_has_to_look),
        TEST(stop_wakes_every_idle_seat),
        TEST(cancelled_seat_searches_and_is_not_woken),
        TEST(cancel_uses_up_a_wake_that_came_before),
        TEST(sleep_returns_when_its_time_is_over_and_the_seat_searches),
        TEST(sleep_is_not_ended_by_a_signal),
        TEST(sleeping_thread_is_woken),
        TEST(wrong_order_of_calls_is_caught),
    };

    return check_run(tests);
}
