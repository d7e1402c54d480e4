/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers that run, and asynchronous records that stay unfinished, for longer than their route
 * allows. Nothing here is too slow to pass: what is to be too late waits until it is told so. */
#include "lib/engine_kit.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SOON_MS 20
#define LOOKS 20000

/* What handlers wrote down, under the kit's lock. */
static struct {
    klane_token_t tokens[512];
    size_t count;
    bool cancelled[8]; /* at the beginning of each start */
    size_t starts;
    int64_t least_ms; /* of what events OVERRUN said */
    uint32_t failed_attempts; /* of a dead letter */
    char reason[64];
} noted;

static void pause_ms(void)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    nanosleep(&pause, NULL);
}

/* A kit whose handlers do this, and a route without limits. */
static void begin(struct kit *kit, struct klane_route *route,
                  enum klane_outcome (*act)(struct kit *kit, const struct klane_record *record))
{
    kit_init(kit, 1);
    kit->act = act;
    memset(&noted, 0, sizeof(noted));
    noted.least_ms = INT64_MAX;
    kit_route_init(kit, route);
    route->retry_delay_ms = 0;
}

/* The same with a route for the key "free", which has this limit. */
static void start_beside_free(struct kit *kit, const struct klane_route *route,
                              int64_t later_max_ms)
{
    struct klane_route free_route;

    kit_route_init(kit, &free_route);
    free_route.match = KLANE_MATCH_KEY;
    free_route.key = "free";
    free_route.key_size = 4;
    free_route.later_max_ms = later_max_ms;
    kit_create(kit);
    assert_int_equal(klane_route(kit->runtime, &free_route), KLANE_OK);
    assert_int_equal(klane_route(kit->runtime, route), KLANE_OK);
    assert_int_equal(klane_start(kit->runtime), KLANE_OK);
}

static bool is_free(const struct klane_record *record)
{
    return record->key_size == 4 && memcmp(record->key, "free", 4) == 0;
}

/* In a handler: until so many events of a type were told. */
static void stay_until(struct kit *kit, enum klane_event_type type, size_t count)
{
    pthread_mutex_lock(&kit->lock);
    while (kit->events[type] < count)
        pthread_cond_wait(&kit->changed, &kit->lock);
    pthread_mutex_unlock(&kit->lock);
}

static void note_cancelled(struct kit *kit, const struct klane_record *record)
{
    pthread_mutex_lock(&kit->lock);
    noted.cancelled[noted.starts++ % 8] = klane_cancelled(record);
    pthread_mutex_unlock(&kit->lock);
}

static bool wait_cancelled(const struct klane_record *record)
{
    for (int i = 0; i < LOOKS && !klane_cancelled(record); i++)
        pause_ms();
    return klane_cancelled(record);
}

/* ---- handlers ---------------------------------------------------------------------------- */

static enum klane_outcome stay_until_told(struct kit *kit, const struct klane_record *record)
{
    int64_t value_ms;

    stay_until(kit, KLANE_EVENT_OVERRUN, (size_t)record->offset + 1);
    note_cancelled(kit, record);
    value_ms = kit_event(kit, KLANE_EVENT_OVERRUN).value;
    if (value_ms < noted.least_ms)
        noted.least_ms = value_ms;
    return KLANE_DONE;
}

static void each_handler_that_overruns_is_told_of(void **state)
{
    struct kit kit;
    struct klane_route route;

    (void)state;
    begin(&kit, &route, stay_until_told);
    kit.options.workers = kit.options.workers_max = 1;
    route.handler_max_ms = SOON_MS;
    for (int i = 0; i < 8; i++)
        kit_append(&kit, 0, "a");
    kit_start_with(&kit, NULL, &route);

    kit_wait_committed(&kit, 0, 8);

    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_OVERRUN), 8);
    assert_int_equal(kit_event(&kit, KLANE_EVENT_OVERRUN).offset, 7);
    assert_true(noted.least_ms >= SOON_MS);
    assert_true(noted.least_ms < 200); /* slow_ms alone is looked for at each 250 */
    check_says(kit.message, "a handler has been running for");
    check_says(kit.message, "longer than 20");
    assert_int_equal(noted.starts, 8);
    for (int i = 0; i < 8; i++)
        assert_false(noted.cancelled[i]);
    kit_end(&kit);
}

static enum klane_outcome stay(struct kit *kit, const struct klane_record *record)
{
    (void)record;
    kit_wait_open(kit);
    return KLANE_DONE;
}

static void a_call_is_told_of_once(void **state)
{
    struct kit kit;
    struct klane_route route;

    (void)state;
    begin(&kit, &route, stay);
    route.handler_max_ms = SOON_MS;
    kit_start_with(&kit, NULL, &route);
    for (int i = 0; i < 4; i++) {
        kit_append(&kit, 0, i % 2 == 0 ? "a" : i == 1 ? "b" : "c");
        if (i == 2)
            continue; /* behind the first */
        kit_wait_event(&kit, KLANE_EVENT_OVERRUN, i < 2 ? (size_t)i + 1 : 3);
        assert_int_equal(kit_event(&kit, KLANE_EVENT_OVERRUN).offset, i);
    }
    kit_end(&kit);
}

static enum klane_outcome give_up_if_cancelled(struct kit *kit, const struct klane_record *record)
{
    note_cancelled(kit, record);
    if (is_free(record)) {
        stay_until(kit, KLANE_EVENT_OVERRUN, 1);
        kit_wait_open(kit);
        return klane_cancelled(record) ? KLANE_SKIP : KLANE_DONE;
    }
    if (record->attempt > 1 || record->offset > 1)
        return KLANE_DONE;
    return wait_cancelled(record) ? klane_retry(record, 0, "too slow") : KLANE_SKIP;
}

static void a_handler_is_asked_to_give_up_by_klane_cancelled(void **state)
{
    struct kit kit;
    struct klane_route route;

    (void)state;
    begin(&kit, &route, give_up_if_cancelled);
    route.handler_max_ms = SOON_MS;
    route.handler_overrun = KLANE_OVERRUN_CANCEL;
    start_beside_free(&kit, &route, 0);
    kit_append(&kit, 0, "free");
    kit_wait_started(&kit, 1);
    kit_append(&kit, 0, "a");
    kit_append(&kit, 0, "a");

    kit_wait_done(&kit, 2);
    kit_open(&kit);
    kit_wait_committed(&kit, 0, 3);

    /* The next attempt, the next record and another route's begin and stay without it. */
    assert_int_equal(noted.starts, 4);
    for (int i = 0; i < 4; i++)
        assert_false(noted.cancelled[i]);
    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_OVERRUN), 1);
    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_SKIPPED), 0);
    kit_end(&kit);
}

static void a_handler_that_overruns_stops_the_runtime_if_the_route_says_so(void **state)
{
    struct kit kit;
    struct klane_route route;

    (void)state;
    begin(&kit, &route, stay);
    kit.options.stop_ms = 100;
    route.handler_max_ms = SOON_MS;
    route.handler_overrun = KLANE_OVERRUN_STOP;
    kit_append(&kit, 0, "a");
    kit_start_with(&kit, NULL, &route);

    assert_int_equal(klane_wait(kit.runtime, 20000), KLANE_ERR_FATAL);

    check_says(kit.message, "t [0] offset 0: a handler has been running for");
    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_FATAL), 1);
    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_OVERRUN), 1);
    assert_int_equal(kit_committed(&kit, 0), 0);
    kit_end(&kit);
}

static enum klane_outcome always_fail(struct kit *kit, const struct klane_record *record)
{
    (void)kit;
    return klane_retry(record, 0, "no");
}

/* Its first call stays until it is cancelled. */
static enum klane_outcome slow_letter(const struct klane_record *record, void *context)
{
    note_cancelled(context, record);
    if (record->attempt > 2)
        return KLANE_DONE;
    return wait_cancelled(record) ? KLANE_RETRY : KLANE_DONE;
}

static void dead_letters_have_the_handlers_limit(void **state)
{
    struct kit kit;
    struct klane_route route;

    (void)state;
    begin(&kit, &route, always_fail);
    route.attempts_max = 1;
    route.exhausted = KLANE_EXHAUSTED_DEAD_LETTER;
    route.dead_letter = slow_letter;
    route.dead_letter_context = &kit;
    route.handler_max_ms = SOON_MS;
    route.handler_overrun = KLANE_OVERRUN_CANCEL;
    kit_append(&kit, 0, "a");
    kit_start_with(&kit, NULL, &route);

    kit_wait_committed(&kit, 0, 1);

    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_OVERRUN), 1);
    assert_int_equal(noted.starts, 2);
    assert_false(noted.cancelled[1]);
    kit_end(&kit);
}

/* ---- asynchronous records ---------------------------------------------------------------- */

static enum klane_outcome keep_token(struct kit *kit, const struct klane_record *record)
{
    klane_token_t token;
    enum klane_outcome outcome;

    note_cancelled(kit, record);
    outcome = klane_later(record, &token);
    pthread_mutex_lock(&kit->lock);
    noted.tokens[noted.count++ % 512] = token;
    pthread_mutex_unlock(&kit->lock);
    return outcome;
}

static void expect_stale(struct kit *kit, klane_token_t token)
{
    assert_int_equal(klane_finish(kit->runtime, token, KLANE_DONE, -1, NULL), KLANE_ERR_STALE);
    assert_true(klane_token_cancelled(kit->runtime, token));
}

static void what_is_not_finished_in_time_runs_again_until_its_attempts_are_over(void **state)
{
    struct kit kit;
    struct klane_route route;

    (void)state;
    begin(&kit, &route, keep_token);
    route.later_max_ms = SOON_MS;
    route.attempts_max = 3;
    route.exhausted = KLANE_EXHAUSTED_SKIP;
    kit_append(&kit, 0, "a");
    kit_start_with(&kit, NULL, &route);

    kit_wait_committed(&kit, 0, 1);

    assert_int_equal(noted.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(kit.notes[i].attempt, i + 1);
        assert_false(noted.cancelled[i]);
        expect_stale(&kit, noted.tokens[i]);
    }
    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_OVERRUN), 3);
    assert_true(kit_event(&kit, KLANE_EVENT_OVERRUN).value >= SOON_MS);
    assert_int_equal(kit_event(&kit, KLANE_EVENT_OVERRUN).offset, 0);
    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_SKIPPED), 1);
    assert_string_equal(kit.message, "no answer within 20 ms");
    kit_end(&kit);
}

static void it_is_skipped_if_the_route_says_so(void **state)
{
    struct kit kit;
    struct klane_route route;

    (void)state;
    begin(&kit, &route, keep_token);
    route.later_max_ms = SOON_MS;
    route.later_overrun = KLANE_SKIP;
    for (int i = 0; i < 3; i++)
        kit_append(&kit, 0, "a");
    kit_start_with(&kit, NULL, &route);

    kit_wait_committed(&kit, 0, 3);

    assert_int_equal(kit.note_count, 3);
    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_OVERRUN), 3);
    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_SKIPPED), 3);
    assert_string_equal(kit.message, "no answer within 20 ms");
    kit_assert_order(&kit);
    kit_end(&kit);
}

/* Answers later, too. */
static enum klane_outcome keep_letter(const struct klane_record *record, void *context)
{
    struct kit *kit = context;
    enum klane_outcome outcome = keep_token(kit, record);

    pthread_mutex_lock(&kit->lock);
    snprintf(noted.reason, sizeof(noted.reason), "%s",
             klane_failure(record, &noted.failed_attempts));
    pthread_cond_broadcast(&kit->changed);
    pthread_mutex_unlock(&kit->lock);
    return outcome;
}

static void wait_tokens(struct kit *kit, size_t count)
{
    size_t found = 0;

    for (int i = 0; i < LOOKS && found < count; i++) {
        pause_ms();
        pthread_mutex_lock(&kit->lock);
        found = noted.count;
        pthread_mutex_unlock(&kit->lock);
    }
    assert_int_equal(found, count);
}

static void it_becomes_a_dead_letter_which_has_no_such_limit(void **state)
{
    struct kit kit;
    struct klane_route route;

    (void)state;
    begin(&kit, &route, keep_token);
    route.later_max_ms = SOON_MS;
    route.later_overrun = KLANE_DEAD_LETTER;
    route.dead_letter = keep_letter;
    route.dead_letter_context = &kit;
    kit_append(&kit, 0, "a");
    kit_start_with(&kit, NULL, &route);
    wait_tokens(&kit, 2);
    assert_string_equal(noted.reason, "no answer within 20 ms");
    assert_int_equal(noted.failed_attempts, 1);

    /* What came later than the dead letter is over, and that is not. */
    kit_append(&kit, 0, "b");
    wait_tokens(&kit, 4);

    expect_stale(&kit, noted.tokens[0]);
    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_OVERRUN), 2);
    assert_int_equal(klane_finish(kit.runtime, noted.tokens[1], KLANE_DONE, -1, NULL), KLANE_OK);
    assert_int_equal(klane_finish(kit.runtime, noted.tokens[3], KLANE_DONE, -1, NULL), KLANE_OK);
    kit_wait_committed(&kit, 0, 2);
    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_DEAD_LETTER), 2);
    kit_end(&kit);
}

static void runs_beside_a_short_limit(int64_t later_max_ms)
{
    struct kit kit;
    struct klane_route route;

    begin(&kit, &route, keep_token);
    route.later_max_ms = SOON_MS;
    route.later_overrun = KLANE_SKIP;
    start_beside_free(&kit, &route, later_max_ms);
    kit_append(&kit, 0, "free");
    wait_tokens(&kit, 1);
    kit_append(&kit, 0, "a");

    kit_wait_event(&kit, KLANE_EVENT_SKIPPED, 1);

    assert_false(klane_token_cancelled(kit.runtime, noted.tokens[0]));
    assert_int_equal(klane_finish(kit.runtime, noted.tokens[0], KLANE_DONE, -1, NULL), KLANE_OK);
    kit_wait_committed(&kit, 0, 2);
    kit_end(&kit);
}

static void without_a_limit_a_record_has_all_the_time_there_is(void **state)
{
    (void)state;
    runs_beside_a_short_limit(0);
}

static void with_a_longer_limit_a_record_has_longer(void **state)
{
    (void)state;
    runs_beside_a_short_limit(3600000);
}

static enum klane_outcome return_too_late(struct kit *kit, const struct klane_record *record)
{
    klane_token_t token;

    note_cancelled(kit, record);
    if (record->attempt > 1)
        return KLANE_DONE;
    klane_later(record, &token);
    stay_until(kit, KLANE_EVENT_OVERRUN, 1);
    return wait_cancelled(record) ? KLANE_DONE : KLANE_SKIP;
}

static void a_handler_that_returns_after_the_deadline_no_longer_decides(void **state)
{
    struct kit kit;
    struct klane_route route;

    (void)state;
    begin(&kit, &route, return_too_late);
    route.later_max_ms = SOON_MS;
    kit_append(&kit, 0, "a");
    kit_start_with(&kit, NULL, &route);

    kit_wait_committed(&kit, 0, 1);

    assert_int_equal(noted.starts, 2);
    assert_false(noted.cancelled[1]);
    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_SKIPPED), 0);
    kit_assert_order(&kit);
    kit_end(&kit);
}

static void an_answer_counts_or_is_stale_and_nothing_in_between(void **state)
{
    enum { RECORDS = 300 };
    struct kit kit;
    struct klane_route route;
    uint64_t in_time = 0, late = 0;
    klane_err_t err;

    (void)state;
    begin(&kit, &route, keep_token);
    route.later_max_ms = 1;
    route.later_overrun = KLANE_SKIP;
    kit_start_with(&kit, NULL, &route);
    for (int i = 0; i < RECORDS; i++) {
        kit_append(&kit, 0, NULL);
        wait_tokens(&kit, (size_t)i + 1);
        err = klane_finish(kit.runtime, noted.tokens[i], KLANE_DONE, -1, NULL);
        in_time += err == KLANE_OK;
        late += err == KLANE_ERR_STALE;
    }

    kit_wait_committed(&kit, 0, RECORDS);

    klane_stop(kit.runtime);
    assert_int_equal(klane_wait(kit.runtime, 20000), KLANE_OK);
    assert_int_equal(in_time + late, RECORDS);
    assert_int_equal(kit_stats(&kit).done, in_time);
    assert_int_equal(kit_stats(&kit).skipped, late);
    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_OVERRUN), late);
    kit_end(&kit);
}

static void own_threads_have_the_same_limit(void **state)
{
    struct kit kit;
    struct klane_route route;
    struct klane_record record;
    klane_token_t first, token;
    klane_err_t err;

    (void)state;
    begin(&kit, &route, NULL);
    kit.options.workers = 0;
    route.later_max_ms = SOON_MS;
    kit_append(&kit, 0, "a");
    kit_start_with(&kit, NULL, &route);
    assert_int_equal(klane_take(kit.runtime, &record, sizeof(record), &first, 20000), KLANE_OK);

    do {
        assert_int_equal(klane_take(kit.runtime, &record, sizeof(record), &token, 20000),
                         KLANE_OK);
        assert_true(record.attempt > 1);
        err = klane_finish(kit.runtime, token, KLANE_DONE, -1, NULL);
    } while (err == KLANE_ERR_STALE);

    assert_int_equal(err, KLANE_OK);
    expect_stale(&kit, first);
    kit_wait_committed(&kit, 0, 1);
    kit_end(&kit);
}

/* Control has nothing to wake for but the deadlines; its other rests are a quarter of a second. */
static void deadlines_wake_control(void **state)
{
    enum { ATTEMPTS = 40 };
    struct kit kit;
    struct klane_route route;
    struct timespec begun, ended;

    (void)state;
    begin(&kit, &route, keep_token);
    kit.options.commit_interval_ms = 3600000;
    route.later_max_ms = 8;
    route.attempts_max = ATTEMPTS;
    route.exhausted = KLANE_EXHAUSTED_SKIP;
    kit_append(&kit, 0, "a");
    clock_gettime(CLOCK_MONOTONIC, &begun);
    kit_start_with(&kit, NULL, &route);

    kit_wait_event(&kit, KLANE_EVENT_SKIPPED, 1);

    clock_gettime(CLOCK_MONOTONIC, &ended);
    assert_int_equal(noted.count, ATTEMPTS);
    assert_true(ended.tv_sec - begun.tv_sec >= 0 &&
                ended.tv_sec - begun.tv_sec < ATTEMPTS * 250 / 1000 / 2);
    kit_end(&kit);
}

/* Control looks when the first is due, not only once in so long: of those that begin in between,
 * as all do but the first, one is seen in time. */
static void deadlines_are_seen_soon(void **state)
{
    struct kit kit;
    struct klane_route route;
    int64_t value_ms;

    (void)state;
    begin(&kit, &route, keep_token);
    route.retry_delay_ms = 100;
    route.later_max_ms = 300;
    kit_append(&kit, 0, "a");
    kit_start_with(&kit, NULL, &route);
    for (size_t i = 2; i <= 10 && noted.least_ms >= 450; i++) {
        kit_wait_event(&kit, KLANE_EVENT_OVERRUN, i);
        value_ms = kit_event(&kit, KLANE_EVENT_OVERRUN).value;
        noted.least_ms = value_ms < noted.least_ms ? value_ms : noted.least_ms;
    }

    assert_true(noted.least_ms >= 300);
    assert_true(noted.least_ms < 450);
    kit_end(&kit);
}

/* ---- partitions that go, and the end ------------------------------------------------------- */

static void a_drain_waits_no_longer_than_the_deadline(void **state)
{
    struct kit kit;
    struct klane_route route;

    (void)state;
    begin(&kit, &route, keep_token);
    kit.options.drain_ms = 3600000;
    route.later_max_ms = SOON_MS;
    route.later_overrun = KLANE_SKIP;
    kit_append(&kit, 0, "a");
    kit_start_with(&kit, NULL, &route);
    wait_tokens(&kit, 1);

    assert_int_equal(klane_memory_revoke(kit.source, "t", 0, false), KLANE_OK);
    kit_wait_event(&kit, KLANE_EVENT_REVOKED, 1);

    assert_int_equal(kit_event(&kit, KLANE_EVENT_REVOKED).offset, 1);
    assert_int_equal(kit_committed(&kit, 0), 1);
    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_OVERRUN), 1);
    expect_stale(&kit, noted.tokens[0]);
    kit_end(&kit);
}

static enum klane_outcome lose_the_first(struct kit *kit, const struct klane_record *record)
{
    if (kit->note_count > 1)
        return KLANE_DONE;
    stay_until(kit, KLANE_EVENT_LOST, 1);
    return keep_token(kit, record);
}

static void a_deadline_of_a_lost_partition_frees_its_lane_and_says_nothing(void **state)
{
    struct kit kit;
    struct klane_route route;

    (void)state;
    begin(&kit, &route, lose_the_first);
    route.later_max_ms = SOON_MS;
    route.later_overrun = KLANE_SKIP;
    kit_append(&kit, 0, "a");
    kit_start_with(&kit, NULL, &route);
    kit_wait_started(&kit, 1);
    assert_int_equal(klane_memory_revoke(kit.source, "t", 0, true), KLANE_OK);
    kit_wait_event(&kit, KLANE_EVENT_LOST, 1);
    assert_int_equal(klane_memory_assign(kit.source, "t", 0), KLANE_OK);

    kit_wait_committed(&kit, 0, 1);

    assert_int_equal(kit.note_count, 2);
    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_OVERRUN), 0);
    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_SKIPPED), 0);
    expect_stale(&kit, noted.tokens[0]);
    kit_end(&kit);
}

static void a_stop_waits_no_longer_than_the_deadline(void **state)
{
    struct kit kit;
    struct klane_route route;

    (void)state;
    begin(&kit, &route, keep_token);
    kit.options.stop_ms = 3600000;
    route.later_max_ms = SOON_MS;
    route.later_overrun = KLANE_SKIP;
    kit_append(&kit, 0, "a");
    kit_start_with(&kit, NULL, &route);
    wait_tokens(&kit, 1);

    klane_stop(kit.runtime);

    assert_int_equal(klane_wait(kit.runtime, 20000), KLANE_OK);
    assert_int_equal(kit_committed(&kit, 0), 1);
    kit_end(&kit);
}

static void a_deadline_after_the_end_lets_the_runtime_go(void **state)
{
    struct kit kit;
    struct klane_route route;

    (void)state;
    begin(&kit, &route, keep_token);
    kit.options.stop_ms = 1;
    route.later_max_ms = 200;
    kit_append(&kit, 0, "a");
    kit_start_with(&kit, NULL, &route);
    wait_tokens(&kit, 1);
    klane_stop(kit.runtime);

    kit_wait_idle(&kit);

    expect_stale(&kit, noted.tokens[0]);
    assert_int_equal(kit_committed(&kit, 0), 0);
    kit_end(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_handler_that_overruns_is_told_of),
        cmocka_unit_test(a_call_is_told_of_once),
        cmocka_unit_test(a_handler_is_asked_to_give_up_by_klane_cancelled),
        cmocka_unit_test(a_handler_that_overruns_stops_the_runtime_if_the_route_says_so),
        cmocka_unit_test(dead_letters_have_the_handlers_limit),
        cmocka_unit_test(what_is_not_finished_in_time_runs_again_until_its_attempts_are_over),
        cmocka_unit_test(it_is_skipped_if_the_route_says_so),
        cmocka_unit_test(it_becomes_a_dead_letter_which_has_no_such_limit),
        cmocka_unit_test(without_a_limit_a_record_has_all_the_time_there_is),
        cmocka_unit_test(with_a_longer_limit_a_record_has_longer),
        cmocka_unit_test(a_handler_that_returns_after_the_deadline_no_longer_decides),
        cmocka_unit_test(an_answer_counts_or_is_stale_and_nothing_in_between),
        cmocka_unit_test(own_threads_have_the_same_limit),
        cmocka_unit_test(deadlines_wake_control),
        cmocka_unit_test(deadlines_are_seen_soon),
        cmocka_unit_test(a_drain_waits_no_longer_than_the_deadline),
        cmocka_unit_test(a_deadline_of_a_lost_partition_frees_its_lane_and_says_nothing),
        cmocka_unit_test(a_stop_waits_no_longer_than_the_deadline),
        cmocka_unit_test(a_deadline_after_the_end_lets_the_runtime_go),
    };

    return check_run(tests);
}
