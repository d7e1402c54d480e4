/* SPDX-License-Identifier: Apache-2.0 */
/* The checkers themselves: each accepts a good history, and rejects bad ones made by hand. A test
 * lists the events in order; time passes only where an event says so. */
#include "sim/checkers.h"

#include "lib/check.h"

#define EVENTS_MAX 64
#define RULES ((struct check_rules){.repeats = true, .start_within_ms = 100, .stop_slack_ms = 10})
#define DRAINED ((struct check_rules){.drained = true, .repeats = true, .start_within_ms = 100})
#define QUIET ((struct check_rules){.start_within_ms = 100})

/* Partition 0 in process 0, if nothing else is said. */
#define APPEND(at, in_lane) {.type = HISTORY_APPEND, .offset = (at), .lane = (in_lane)}
#define LOG_END(at) {.type = HISTORY_LOG_END, .offset = (at)}
#define GONE(at) {.type = HISTORY_GONE, .offset = (at)}
#define CUT(at) {.type = HISTORY_CUT, .offset = (at)}
#define TOLD(number, at) {RECORD(HEAD_GONE, number, at)}
#define BEGIN {.type = HISTORY_WORKERS, .value = 2}
#define EPOCH(kind, number) {.type = HISTORY_##kind, .epoch = (number)}
#define ASSIGN(number, at) {.type = HISTORY_ASSIGN, .epoch = (number), .offset = (at)}
#define RECORD(kind, number, at) .type = HISTORY_##kind, .epoch = (number), .offset = (at)
#define TAKE_IN(number, at) {RECORD(DELIVER, number, at)}
#define START(number, at) {RECORD(START, number, at), .attempt = 1}
#define RETURN(number, at) {RECORD(RETURN, number, at), .attempt = 1}
#define DONE(number, at) {RECORD(END, number, at), .attempt = 1}
#define RETRY(number, at) {RECORD(END, number, at), .attempt = 1, .result = HISTORY_RETRY}
#define RAN(number, at) START(number, at), DONE(number, at)
#define SENT(number, at, count) {RECORD(SENT, number, at), .value = (count)}
#define COMMITTED(number, at) {RECORD(COMMITTED, number, at)}
#define HEARD(number, at) {RECORD(HEARD, number, at)}
#define UP_TO(number, at, to) {RECORD(ASSIGN, number, at), .ceiling = (to)}
#define SENT_MAP(number, at, to) {RECORD(SENT, number, at), .value = 1, .ceiling = (to)}
#define STORED(number, at, to)                                                                 \
    SENT_MAP(number, at, to), {RECORD(COMMITTED, number, at), .ceiling = (to)}
#define EXACT                                                                                  \
    ((struct check_rules){.repeats = true, .exact_maps = true, .start_within_ms = 100})
#define COUNTED                                                                                \
    ((struct check_rules){.repeats = true, .true_attempts = true, .start_within_ms = 100})
#define ANSWERED(count) {.type = HISTORY_ANSWERED, .value = (count)}
#define CRASH {.type = HISTORY_CRASH}
#define STOP(until_ms) {.type = HISTORY_STOP, .value = (until_ms)}
#define STOPPED(clean, at_ms) {.type = HISTORY_STOPPED, .result = (clean), .time_ms = (at_ms)}
#define STATE(number, at, found, left)                                                         \
    {RECORD(STATE, number, at), .ceiling = (found), .value = (left)}
#define FREE(number, state)                                                                    \
    {.type = HISTORY_FREE, .epoch = (number), .lane = 1, .value = (state)}
#define FREED(number, state)                                                                   \
    {.type = HISTORY_FREED, .epoch = (number), .lane = 1, .value = (state)}
#define LEAVES(number, at, state)                                                              \
    START(number, at), STATE(number, at, 0, state), DONE(number, at)
#define BOUND(measured, limit)                                                                 \
    {.type = HISTORY_BOUND, .offset = (measured), .value = (limit), .name = "x"}
#define LEFT(count) {.type = HISTORY_LEFT, .value = (count), .name = "x"}

/* Three records in two lanes, 10 and 13 in one of them. */
#define LOG APPEND(10, 1), APPEND(12, 2), APPEND(13, 1), BEGIN

static unsigned verdict(struct check_rules rules, const struct history_event *events,
                        size_t count)
{
    struct history history;
    struct check_failure failure;
    int64_t now_ms = 0;

    assert_true(history_init(&history, EVENTS_MAX));
    for (size_t i = 0; i < count; i++) {
        struct history_event event = events[i];

        now_ms = event.time_ms = event.time_ms > now_ms ? event.time_ms : now_ms;
        history_add(&history, event);
    }
    if (check_history(&history, &rules, &failure))
        failure.checker = 99;
    history_deinit(&history);
    return failure.checker;
}

/* The number of the checker that rejects these events; GOOD: none. */
#define GOOD 99
#define expect(number, rules, ...)                                                             \
    assert_int_equal((number), verdict((rules), (const struct history_event[]){__VA_ARGS__},   \
                                       sizeof((const struct history_event[]){__VA_ARGS__}) /   \
                                           sizeof(struct history_event)))

static void a_whole_life_is_good(void **state)
{
    (void)state;

    expect(GOOD, ((struct check_rules){.drained = true, .start_within_ms = 100}), LOG,
           ASSIGN(1, 10), TAKE_IN(1, 10), TAKE_IN(1, 12), TAKE_IN(1, 13), START(1, 10),
           RAN(1, 12), RETRY(1, 10), {RECORD(START, 1, 10), .attempt = 2},
           {RECORD(RETURN, 1, 10), .attempt = 2}, {RECORD(END, 1, 10), .attempt = 2},
           SENT(1, 13, 1), RAN(1, 13), COMMITTED(1, 13), ANSWERED(1), STOP(50),
           EPOCH(REVOKE, 1), SENT(1, 14, 2), COMMITTED(1, 14), ANSWERED(2), EPOCH(GIVEN_UP, 1),
           STOPPED(1, 20), LEFT(0), BOUND(5, 5));
}

static void c1_rejects_losses(void **state)
{
    (void)state;

    expect(GOOD, DRAINED, LOG, ASSIGN(1, 12), RAN(1, 12), RAN(1, 13));
    expect(1, DRAINED, LOG, ASSIGN(1, 10), RAN(1, 10), RAN(1, 13));
    expect(1, DRAINED, LOG, ASSIGN(1, 10), RAN(1, 10), RAN(1, 12), START(1, 13), RETRY(1, 13));
    expect(1, DRAINED, LOG, ASSIGN(1, 10), RAN(1, 10), RAN(1, 12), START(1, 13), CRASH);
    expect(1, DRAINED, LOG);
}

static void c2_rejects_disorder_in_a_lane(void **state)
{
    (void)state;

    expect(GOOD, RULES, LOG, ASSIGN(1, 10), START(1, 12), START(1, 10), DONE(1, 10), RAN(1, 13));
    expect(2, RULES, LOG, ASSIGN(1, 10), START(1, 13));
    expect(2, RULES, LOG, ASSIGN(1, 10), START(1, 10), START(1, 13));
    expect(2, RULES, LOG, ASSIGN(1, 10), START(1, 10), RETRY(1, 10), START(1, 13));
    expect(2, RULES, LOG, APPEND(20, 1), ASSIGN(1, 10), RAN(1, 10), START(1, 20));
    expect(2, RULES, APPEND(1, 0), BEGIN, ASSIGN(1, 1), START(1, 1), START(1, 1));
}

static void c2_rejects_overlap_across_epochs(void **state)
{
    (void)state;

    expect(GOOD, RULES, LOG, ASSIGN(1, 10), START(1, 10), EPOCH(LOST, 1), ASSIGN(2, 10),
           DONE(1, 10), RAN(2, 10));
    expect(2, RULES, LOG, ASSIGN(1, 10), START(1, 10), EPOCH(LOST, 1), ASSIGN(2, 10),
           START(2, 10));
    expect(2, RULES, LOG, ASSIGN(1, 10), RAN(1, 10), EPOCH(LOST, 1), ASSIGN(2, 10),
           START(2, 13));
}

static void c3_rejects_commits_past_what_is_unfinished(void **state)
{
    (void)state;

    expect(GOOD, RULES, LOG, ASSIGN(1, 10), RAN(1, 10), START(1, 12), SENT(1, 11, 1));
    expect(3, RULES, LOG, ASSIGN(1, 10), RAN(1, 12), SENT(1, 13, 1));
    expect(3, RULES, LOG, ASSIGN(1, 10), RAN(1, 10), START(1, 12), SENT(1, 13, 1));
    expect(3, RULES, LOG, ASSIGN(1, 10), RAN(1, 10), RAN(1, 12), RAN(1, 13), SENT(1, 15, 1));
    expect(GOOD, RULES, LOG, LOG_END(15), ASSIGN(1, 10), RAN(1, 10), RAN(1, 12), RAN(1, 13),
           SENT(1, 15, 1));
    expect(3, RULES, LOG, LOG_END(15), ASSIGN(1, 10), RAN(1, 10), RAN(1, 12), START(1, 13),
           SENT(1, 15, 1));
    expect(3, RULES, LOG, LOG_END(15), ASSIGN(1, 10), RAN(1, 10), RAN(1, 12), RAN(1, 13),
           SENT(1, 16, 1));
    expect(3, RULES, LOG, ASSIGN(1, 10), START(1, 10), EPOCH(LOST, 1), ASSIGN(2, 10),
           DONE(1, 10), SENT(2, 12, 1));
}

static void c4_rejects_commits_that_fall_or_overtake(void **state)
{
    (void)state;

    expect(GOOD, RULES, LOG, ASSIGN(1, 10), RAN(1, 10), SENT(1, 12, 1), COMMITTED(1, 12),
           ANSWERED(1), RAN(1, 12), SENT(1, 13, 2), COMMITTED(1, 13));
    expect(4, RULES, LOG, ASSIGN(1, 10), RAN(1, 10), SENT(1, 11, 1), SENT(1, 12, 2));
    expect(4, RULES, LOG, ASSIGN(1, 10), COMMITTED(1, 12), COMMITTED(1, 11));
    expect(4, RULES, LOG, ASSIGN(1, 12), SENT(1, 10, 1));
    expect(4, RULES, LOG, ASSIGN(1, 10), ANSWERED(1));
}

static void c5_rejects_commits_of_others(void **state)
{
    (void)state;

    expect(GOOD, RULES, LOG, ASSIGN(1, 10), RAN(1, 10), EPOCH(REVOKE, 1), SENT(1, 11, 1),
           EPOCH(GIVEN_UP, 1));
    expect(5, RULES, LOG, ASSIGN(1, 10), RAN(1, 10), EPOCH(LOST, 1), SENT(1, 11, 1));
    expect(5, RULES, LOG, ASSIGN(1, 10), EPOCH(REVOKE, 1), EPOCH(GIVEN_UP, 1), SENT(1, 10, 1));
    expect(5, RULES, LOG, ASSIGN(1, 10), {RECORD(SENT, 1, 10), .process = 1});
    expect(5, RULES, LOG, ASSIGN(1, 10), ASSIGN(2, 10));
}

static void c6_rejects_repeats_without_a_reason(void **state)
{
    (void)state;

    expect(GOOD, RULES, LOG, ASSIGN(1, 10), RAN(1, 10), CRASH, ASSIGN(2, 10), RAN(2, 10));
    expect(6, RULES, LOG, ASSIGN(1, 10), RAN(1, 10), START(1, 10));
    expect(6, RULES, LOG, ASSIGN(1, 12), START(1, 10));
    expect(6, QUIET, LOG, ASSIGN(1, 10), RAN(1, 10), CRASH, ASSIGN(2, 10), START(2, 10));
}

static void c6_rejects_repeats_of_what_a_map_has_as_finished(void **state)
{
    (void)state;

    expect(GOOD, EXACT, LOG, ASSIGN(1, 10), START(1, 10), RAN(1, 12), HEARD(1, 12),
           STORED(1, 10, 14), CRASH, UP_TO(2, 10, 14), RAN(2, 10), RAN(2, 13));
    expect(6, EXACT, LOG, ASSIGN(1, 10), START(1, 10), RAN(1, 12), HEARD(1, 12),
           STORED(1, 10, 14), CRASH, UP_TO(2, 10, 14), START(2, 12));
    /* It lies above what the map speaks of, or control had not heard of it. */
    expect(GOOD, EXACT, LOG, ASSIGN(1, 10), START(1, 10), RAN(1, 12), HEARD(1, 12),
           STORED(1, 10, 12), CRASH, UP_TO(2, 10, 12), START(2, 12));
    expect(GOOD, EXACT, LOG, ASSIGN(1, 10), START(1, 10), RAN(1, 12), STORED(1, 10, 14),
           HEARD(1, 12), CRASH, UP_TO(2, 10, 14), START(2, 12));
    expect(6, EXACT, LOG, ASSIGN(1, 10), HEARD(1, 10));
}

static void what_an_epoch_was_told_is_finished_counts_as_such(void **state)
{
    (void)state;

    expect(GOOD, EXACT, LOG, ASSIGN(1, 10), RAN(1, 10), START(1, 12), HEARD(1, 10),
           STORED(1, 10, 14), CRASH, UP_TO(2, 10, 14), RAN(2, 13), RAN(2, 12), SENT(2, 14, 2));
    expect(3, EXACT, LOG, ASSIGN(1, 10), RAN(1, 10), START(1, 12), STORED(1, 10, 14), CRASH,
           UP_TO(2, 10, 14), RAN(2, 13), SENT(2, 14, 2));
    expect(2, EXACT, LOG, ASSIGN(1, 10), START(1, 10), STORED(1, 10, 14), CRASH,
           UP_TO(2, 10, 14), RAN(2, 13));
}

static void c8_rejects_what_the_fence_should_have_stopped(void **state)
{
    (void)state;

    expect(GOOD, RULES, LOG, ASSIGN(1, 10), START(1, 10), EPOCH(REVOKE, 1), DONE(1, 10));
    expect(8, RULES, LOG, ASSIGN(1, 10), EPOCH(REVOKE, 1), START(1, 10));
    expect(8, RULES, LOG, ASSIGN(1, 10), EPOCH(LOST, 1), START(1, 10));
    expect(8, RULES, LOG, ASSIGN(1, 10), START(1, 10), CRASH, DONE(1, 10));
    expect(8, RULES, LOG, ASSIGN(1, 10), RAN(1, 10), DONE(1, 10));
    expect(8, RULES, LOG, ASSIGN(1, 10), EPOCH(LOST, 1), ASSIGN(1, 10));
    expect(8, RULES, LOG, ASSIGN(1, 10), START(1, 10), RETURN(1, 10), RETURN(1, 10));
}

static void c9_rejects_what_is_left(void **state)
{
    (void)state;

    expect(GOOD, RULES, BEGIN, LEFT(0), LEFT(0));
    expect(9, RULES, BEGIN, LEFT(1));
    expect(9, RULES, BEGIN, LEFT(0), LEFT(1000000));
    expect(9, RULES, BEGIN, LEFT(-1));
}

static void c10_rejects_records_that_wait_beside_idle_workers(void **state)
{
    (void)state;

    expect(GOOD, RULES, LOG, ASSIGN(1, 10), TAKE_IN(1, 12),
           {RECORD(START, 1, 12), .attempt = 1, .time_ms = 100});
    expect(10, RULES, LOG, ASSIGN(1, 10), TAKE_IN(1, 12),
           {RECORD(START, 1, 12), .attempt = 1, .time_ms = 101});
    expect(10, RULES, LOG, ASSIGN(1, 10), TAKE_IN(1, 10), TAKE_IN(1, 13), RAN(1, 10),
           {RECORD(START, 1, 13), .attempt = 1, .time_ms = 101});
    expect(10, RULES, LOG, ASSIGN(1, 10), TAKE_IN(1, 12), START(1, 12),
           {RECORD(END, 1, 12), .attempt = 1, .result = HISTORY_RETRY, .value = 50},
           {RECORD(START, 1, 12), .attempt = 2, .time_ms = 151});
    expect(GOOD, RULES, LOG, ASSIGN(1, 10), TAKE_IN(1, 12), START(1, 12),
           {RECORD(END, 1, 12), .attempt = 1, .result = HISTORY_RETRY, .value = 50},
           {RECORD(START, 1, 12), .attempt = 2, .time_ms = 150});
}

static void c10_accepts_waiting_for_a_worker(void **state)
{
    (void)state;

    expect(GOOD, RULES, APPEND(1, 1), APPEND(2, 2), APPEND(3, 3), BEGIN, ASSIGN(1, 1),
           TAKE_IN(1, 1), TAKE_IN(1, 2), TAKE_IN(1, 3), START(1, 1), START(1, 2),
           {RECORD(END, 1, 1), .attempt = 1, .time_ms = 500}, START(1, 3));
}

static void c11_rejects_stops_that_are_late_loose_or_untrue(void **state)
{
    (void)state;

    expect(GOOD, RULES, LOG, ASSIGN(1, 10), START(1, 10), STOP(50), EPOCH(REVOKE, 1),
           EPOCH(LOST, 1), STOPPED(0, 60), DONE(1, 10));
    expect(11, RULES, LOG, STOP(50), STOPPED(1, 61));
    expect(11, RULES, LOG, STOPPED(1, 0));
    expect(11, RULES, LOG, ASSIGN(1, 10), STOP(50), EPOCH(REVOKE, 1), STOPPED(1, 20));
    expect(11, RULES, LOG, ASSIGN(1, 10), RAN(1, 10), STOP(50), EPOCH(REVOKE, 1),
           EPOCH(GIVEN_UP, 1), STOPPED(1, 20));
    expect(11, RULES, LOG, STOP(50), STOPPED(1, 20), ASSIGN(1, 10), START(1, 10));
    expect(11, RULES, LOG, ASSIGN(1, 10), START(1, 10), STOP(50), EPOCH(REVOKE, 1),
           EPOCH(GIVEN_UP, 1), STOPPED(1, 20));
}

static void c12_rejects_what_is_past_its_limit(void **state)
{
    (void)state;

    expect(GOOD, RULES, BEGIN, BOUND(0, 0), BOUND(4, 5));
    expect(12, RULES, BEGIN, BOUND(1, 0));
    expect(12, RULES, BEGIN, BOUND(6, 5));
    expect(12, RULES, BEGIN, BOUND(5, 5), BOUND(INT64_MAX, 5));
}

static void what_has_gone_from_the_log_may_be_left_out_and_nothing_else(void **state)
{
    (void)state;

    expect(GOOD, DRAINED, LOG, ASSIGN(1, 10), TAKE_IN(1, 10), GONE(10), RAN(1, 12), RAN(1, 13),
           SENT(1, 14, 1));
    expect(1, DRAINED, LOG, ASSIGN(1, 10), GONE(10), RAN(1, 12));
    expect(1, DRAINED, LOG, ASSIGN(1, 10), GONE(12), RAN(1, 10));
    expect(GOOD, RULES, LOG, APPEND(20, 1), ASSIGN(1, 10), RAN(1, 10), GONE(13), RAN(1, 20));
    expect(2, RULES, LOG, APPEND(20, 1), ASSIGN(1, 10), RAN(1, 10), GONE(12), START(1, 20));
    expect(2, RULES, LOG, APPEND(20, 1), ASSIGN(1, 10), GONE(10), START(1, 20));
    expect(2, RULES, LOG, APPEND(20, 1), ASSIGN(1, 10), GONE(13), START(1, 20));
    /* It runs if it was in memory, but in its place. */
    expect(GOOD, RULES, LOG, ASSIGN(1, 10), START(1, 10), GONE(10), DONE(1, 10), RAN(1, 13));
    expect(2, RULES, LOG, ASSIGN(1, 10), START(1, 10), GONE(10), START(1, 13));
    expect(2, RULES, LOG, ASSIGN(1, 10), TAKE_IN(1, 10), GONE(10), RAN(1, 13), START(1, 10));
}

static void commits_pass_what_has_gone_from_the_log_and_nothing_else(void **state)
{
    (void)state;

    expect(GOOD, RULES, LOG, ASSIGN(1, 10), GONE(10), RAN(1, 12), SENT(1, 13, 1));
    expect(3, RULES, LOG, ASSIGN(1, 10), GONE(10), SENT(1, 13, 1));
    expect(3, RULES, LOG, ASSIGN(1, 10), SENT(1, 12, 1), GONE(10));
    /* Where the main flow never had it, it is a hole. */
    expect(GOOD, RULES, LOG, ASSIGN(1, 10), GONE(10), TAKE_IN(1, 12), RAN(1, 12), STOP(50),
           EPOCH(REVOKE, 1), SENT(1, 13, 1), COMMITTED(1, 13), EPOCH(GIVEN_UP, 1),
           STOPPED(1, 20));
    expect(11, RULES, LOG, ASSIGN(1, 10), GONE(10), TAKE_IN(1, 12), RAN(1, 12), STOP(50),
           EPOCH(REVOKE, 1), EPOCH(GIVEN_UP, 1), STOPPED(1, 20));
    expect(GOOD, RULES, LOG, ASSIGN(1, 10), TAKE_IN(1, 10), GONE(10), TAKE_IN(1, 12),
           RAN(1, 12), STOP(50), EPOCH(REVOKE, 1), EPOCH(GIVEN_UP, 1), STOPPED(1, 20));
}

static void a_map_need_not_say_more_of_a_lane_than_is_left_of_it(void **state)
{
    (void)state;

    expect(6, EXACT, LOG, ASSIGN(1, 10), GONE(10), RAN(1, 13), HEARD(1, 13), STORED(1, 12, 14),
           CRASH, UP_TO(2, 12, 14), START(2, 13));
    expect(GOOD, EXACT, LOG, ASSIGN(1, 10), GONE(10), RAN(1, 13), HEARD(1, 13),
           STORED(1, 12, 13), CRASH, UP_TO(2, 12, 13), START(2, 13));
}

/* 12 and 13 go, and 11 comes. */
#define CUT_LOG CUT(11), APPEND(11, 1)

static void what_comes_in_the_place_of_what_was_cut_is_judged_alike(void **state)
{
    (void)state;

    expect(GOOD, DRAINED, LOG, ASSIGN(1, 10), RAN(1, 10), START(1, 12), CUT_LOG, DONE(1, 12),
           EPOCH(LOST, 1), ASSIGN(2, 10), RAN(2, 10), RAN(2, 11), SENT(2, 12, 1));
    expect(1, DRAINED, LOG, ASSIGN(1, 10), RAN(1, 10), CUT_LOG, EPOCH(LOST, 1), ASSIGN(2, 10),
           RAN(2, 10));
    expect(2, RULES, LOG, ASSIGN(1, 10), CUT_LOG, EPOCH(LOST, 1), ASSIGN(2, 10), START(2, 11));
    expect(2, RULES, LOG, ASSIGN(1, 10), START(1, 10), CUT_LOG, EPOCH(LOST, 1), ASSIGN(2, 11),
           START(2, 11));
    expect(3, RULES, LOG, ASSIGN(1, 10), RAN(1, 10), CUT_LOG, SENT(1, 12, 1));
    expect(0, RULES, LOG, CUT_LOG, ASSIGN(1, 10), TAKE_IN(1, 12));
    expect(0, RULES, LOG, ASSIGN(1, 10), RAN(1, 10), START(1, 11), CUT_LOG);
    expect(0, RULES, LOG, CUT(11), APPEND(12, 1));
}

static void commits_fall_only_to_where_a_log_that_was_cut_is_begun_anew(void **state)
{
    (void)state;

    /* Who has read further need not know yet. */
    expect(GOOD, RULES, LOG, ASSIGN(1, 10), RAN(1, 10), RAN(1, 12), RAN(1, 13), CUT(11),
           SENT(1, 14, 1), COMMITTED(1, 14), EPOCH(LOST, 1), ASSIGN(2, 10), COMMITTED(2, 10));
    expect(GOOD, RULES, LOG, ASSIGN(1, 10), COMMITTED(1, 14), EPOCH(LOST, 1), CUT_LOG,
           ASSIGN(2, 14), COMMITTED(2, 14), EPOCH(LOST, 2), ASSIGN(3, 10), COMMITTED(3, 10));
    expect(3, RULES, LOG, CUT_LOG, ASSIGN(1, 10), RAN(1, 10), RAN(1, 11), SENT(1, 14, 1));
    expect(4, RULES, LOG, ASSIGN(1, 10), COMMITTED(1, 14), CUT_LOG, COMMITTED(1, 12));
    expect(4, RULES, LOG, ASSIGN(1, 10), COMMITTED(1, 14), CUT_LOG, EPOCH(LOST, 1),
           ASSIGN(2, 10), COMMITTED(2, 12), COMMITTED(2, 11));
    expect(4, RULES, LOG, CUT_LOG, ASSIGN(1, 10), COMMITTED(1, 12), EPOCH(LOST, 1),
           ASSIGN(2, 10), COMMITTED(2, 11));
}

static void c13_rejects_what_is_wrongly_said_to_be_gone(void **state)
{
    (void)state;

    expect(GOOD, RULES, LOG, ASSIGN(1, 10), GONE(10), TOLD(1, 10), RAN(1, 13));
    expect(GOOD, RULES, LOG, ASSIGN(1, 10), GONE(10), TOLD(1, 10), EPOCH(LOST, 1),
           ASSIGN(2, 10), TOLD(2, 10));
    expect(GOOD, RULES, LOG, ASSIGN(1, 10), START(1, 10), RETRY(1, 10), GONE(10), TOLD(1, 10),
           RAN(1, 13));
    expect(2, RULES, LOG, ASSIGN(1, 10), START(1, 10), RETRY(1, 10), RAN(1, 13));
    expect(13, RULES, LOG, ASSIGN(1, 10), TOLD(1, 10));
    expect(13, RULES, LOG, ASSIGN(1, 10), GONE(10), TOLD(1, 11));
    expect(13, RULES, LOG, ASSIGN(1, 10), GONE(10), TOLD(1, 10), TOLD(1, 10));
    expect(13, RULES, LOG, ASSIGN(1, 10), RAN(1, 10), GONE(10), TOLD(1, 10));
    expect(13, RULES, LOG, ASSIGN(1, 10), GONE(10), TOLD(1, 10), START(1, 10));
}

static void c14_rejects_attempts_that_were_another_record_s(void **state)
{
    (void)state;

    expect(GOOD, COUNTED, LOG, ASSIGN(1, 10), START(1, 10), RETRY(1, 10), CRASH, ASSIGN(2, 10),
           {RECORD(START, 2, 10), .attempt = 2});
    expect(14, COUNTED, LOG, ASSIGN(1, 10), START(1, 10), RETRY(1, 10), CRASH, ASSIGN(2, 10),
           {RECORD(START, 2, 12), .attempt = 2});
    expect(14, COUNTED, LOG, ASSIGN(1, 10), START(1, 10), RETRY(1, 10), CRASH, ASSIGN(2, 10),
           {RECORD(START, 2, 10), .attempt = 3});
}

static void c15_rejects_states_that_are_lost_shared_or_freed_too_early(void **state)
{
    (void)state;

    expect(GOOD, RULES, LOG, ASSIGN(1, 10), START(1, 10), STATE(1, 10, 0, 7), RETRY(1, 10),
           {RECORD(START, 1, 10), .attempt = 2}, STATE(1, 10, 7, 7),
           {RECORD(END, 1, 10), .attempt = 2}, FREE(1, 7), FREED(1, 7), LEAVES(1, 13, 8),
           EPOCH(REVOKE, 1), FREE(1, 8), FREED(1, 8), EPOCH(DRAINED, 1), EPOCH(GIVEN_UP, 1));
    expect(15, RULES, LOG, ASSIGN(1, 10), START(1, 10), STATE(1, 10, 7, 7));
    expect(15, RULES, LOG, ASSIGN(1, 10), LEAVES(1, 10, 7), LEAVES(1, 13, 8));
    expect(15, RULES, LOG, ASSIGN(1, 10), LEAVES(1, 10, 7), FREE(1, 7), LEAVES(1, 13, 8));
    expect(15, RULES, LOG, ASSIGN(1, 10), LEAVES(1, 10, 7), FREE(1, 7), FREE(1, 7));
    expect(15, RULES, LOG, ASSIGN(1, 10), LEAVES(1, 10, 7), FREE(1, 7), FREED(1, 7), FREE(1, 7));
    expect(15, RULES, LOG, ASSIGN(1, 10), LEAVES(1, 10, 7), FREED(1, 7));
    expect(15, RULES, LOG, ASSIGN(1, 10), START(1, 10), STATE(1, 10, 0, 7), FREE(1, 7));
    expect(GOOD, RULES, LOG, ASSIGN(1, 10), START(1, 10), STATE(1, 10, 0, 7), RETRY(1, 10),
           FREE(1, 7));
    expect(15, ((struct check_rules){.repeats = true, .stays = true}), LOG, ASSIGN(1, 10),
           START(1, 10), STATE(1, 10, 0, 7), RETRY(1, 10), FREE(1, 7));
    expect(15, RULES, LOG, ASSIGN(1, 10), LEAVES(1, 10, 7), EPOCH(LOST, 1), ASSIGN(2, 10),
           START(2, 10), STATE(2, 10, 7, 7));
    expect(15, RULES, LOG, ASSIGN(1, 10), LEAVES(1, 10, 7), EPOCH(REVOKE, 1), EPOCH(DRAINED, 1));
    expect(15, RULES, APPEND(1, 0), BEGIN, ASSIGN(1, 1), START(1, 1), STATE(1, 1, 0, 7));
}

static void histories_that_make_no_sense_are_rejected(void **state)
{
    (void)state;

    expect(0, RULES, APPEND(2, 1), APPEND(1, 1));
    expect(0, RULES, LOG, GONE(11));
    expect(0, RULES, LOG, GONE(10), GONE(10));
    expect(0, RULES, LOG, ASSIGN(1, 10), GONE(10), TAKE_IN(1, 10));
    expect(0, RULES, LOG, ASSIGN(1, 10), TAKE_IN(1, 11));
    expect(0, RULES, LOG, ASSIGN(1, 10), START(1, 11));
}

static void lanes_are_told_apart_by_every_byte_of_their_key(void **state)
{
    struct history history;
    uint32_t empty, zero, zeros;

    (void)state;
    assert_true(history_init(&history, 1));

    empty = history_lane(&history, 0, 0, "", 0);
    zero = history_lane(&history, 0, 0, "\0", 1);
    zeros = history_lane(&history, 0, 0, "\0\0", 2);

    assert_int_not_equal(empty, zero);
    assert_int_not_equal(zero, zeros);
    assert_int_not_equal(zero, history_lane(&history, 1, 0, "\0", 1));
    assert_int_not_equal(zero, history_lane(&history, 0, 1, "\0", 1));
    assert_int_equal(zeros, history_lane(&history, 0, 0, "\0\0", 2));
    history_deinit(&history);
}

static void a_history_that_was_too_short_is_rejected(void **state)
{
    struct history history;
    struct check_failure failure;
    struct check_rules rules = RULES;

    (void)state;
    assert_true(history_init(&history, 1));
    history_add(&history, (struct history_event){.type = HISTORY_WORKERS});
    assert_true(check_history(&history, &rules, &failure));

    history_add(&history, (struct history_event){.type = HISTORY_WORKERS});

    assert_false(check_history(&history, &rules, &failure));
    assert_int_equal(1, history_count(&history));
    history_deinit(&history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_life_is_good),
        cmocka_unit_test(c1_rejects_losses),
        cmocka_unit_test(c2_rejects_disorder_in_a_lane),
        cmocka_unit_test(c2_rejects_overlap_across_epochs),
        cmocka_unit_test(c3_rejects_commits_past_what_is_unfinished),
        cmocka_unit_test(c4_rejects_commits_that_fall_or_overtake),
        cmocka_unit_test(c5_rejects_commits_of_others),
        cmocka_unit_test(c6_rejects_repeats_without_a_reason),
        cmocka_unit_test(c6_rejects_repeats_of_what_a_map_has_as_finished),
        cmocka_unit_test(what_an_epoch_was_told_is_finished_counts_as_such),
        cmocka_unit_test(c8_rejects_what_the_fence_should_have_stopped),
        cmocka_unit_test(c9_rejects_what_is_left),
        cmocka_unit_test(c10_rejects_records_that_wait_beside_idle_workers),
        cmocka_unit_test(c10_accepts_waiting_for_a_worker),
        cmocka_unit_test(c11_rejects_stops_that_are_late_loose_or_untrue),
        cmocka_unit_test(c12_rejects_what_is_past_its_limit),
        cmocka_unit_test(what_has_gone_from_the_log_may_be_left_out_and_nothing_else),
        cmocka_unit_test(commits_pass_what_has_gone_from_the_log_and_nothing_else),
        cmocka_unit_test(a_map_need_not_say_more_of_a_lane_than_is_left_of_it),
        cmocka_unit_test(what_comes_in_the_place_of_what_was_cut_is_judged_alike),
        cmocka_unit_test(commits_fall_only_to_where_a_log_that_was_cut_is_begun_anew),
        cmocka_unit_test(c13_rejects_what_is_wrongly_said_to_be_gone),
        cmocka_unit_test(c14_rejects_attempts_that_were_another_record_s),
        cmocka_unit_test(c15_rejects_states_that_are_lost_shared_or_freed_too_early),
        cmocka_unit_test(histories_that_make_no_sense_are_rejected),
        cmocka_unit_test(lanes_are_told_apart_by_every_byte_of_their_key),
        cmocka_unit_test(a_history_that_was_too_short_is_rejected),
    };

    return check_run(tests);
}
