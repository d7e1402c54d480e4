/* SPDX-License-Identifier: Apache-2.0 */
/* What handlers say, and what becomes of it: done, retry, skip, later, own threads. */
#include "lib/engine_kit.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static enum klane_outcome retry_twice(struct kit *kit, const struct klane_record *record)
{
    (void)kit;
    return record->attempt < 3 ? klane_retry(record, 1, "not yet") : KLANE_DONE;
}

static void a_retry_runs_the_same_record_again_before_its_followers(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.act = retry_twice;
    kit_start(&kit);
    for (int i = 0; i < 5; i++)
        kit_append(&kit, 0, "a");
    kit_wait_ended(&kit, 15);

    for (size_t i = 0; i < 15; i++) {
        assert_int_equal(kit.notes[i].offset, i / 3);
        assert_int_equal(kit.notes[i].attempt, i % 3 + 1);
    }
    klane_stop(kit.runtime);
    assert_int_equal(klane_wait(kit.runtime, 20000), KLANE_OK);
    assert_int_equal(kit_stats(&kit).retried, 10);
    assert_int_equal(kit_stats(&kit).done, 5);
    assert_int_equal(kit_committed(&kit, 0), 5);
    kit_end(&kit);
}

static enum klane_outcome fail_a(struct kit *kit, const struct klane_record *record)
{
    (void)kit;
    return record->key_size == 1 && *(const char *)record->key == 'a'
               ? klane_retry(record, 3600000, NULL)
               : KLANE_DONE;
}

static void a_waiting_lane_holds_no_worker_and_no_other_key(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.options.workers = 1;
    kit.act = fail_a;
    kit_start(&kit);
    for (int i = 0; i < 50; i++) {
        kit_append(&kit, 0, "a");
        kit_append(&kit, 0, "b");
    }

    kit_wait_ended(&kit, 51);

    klane_stop(kit.runtime);
    assert_int_equal(klane_wait(kit.runtime, 20000), KLANE_OK);
    assert_int_equal(kit_stats(&kit).done, 50);
    assert_int_equal(kit_committed(&kit, 0), 0);
    kit_end(&kit);
}

static enum klane_outcome bare_retry(struct kit *kit, const struct klane_record *record)
{
    (void)kit;
    return record->attempt == 1 ? KLANE_RETRY : KLANE_DONE;
}

static void a_bare_retry_waits_for_the_routes_delay(void **state)
{
    struct kit kit;
    struct timespec begin, end;

    (void)state;
    kit_init(&kit, 1);
    kit.act = bare_retry;
    kit_start_route(&kit, 50, 1000);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    kit_append(&kit, 0, "a");

    kit_wait_ended(&kit, 2);

    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true((end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000 >=
                49);
    kit_end(&kit);
}

static enum klane_outcome skip_all(struct kit *kit, const struct klane_record *record)
{
    (void)kit;
    return klane_skip(record, "not for us");
}

static void a_skipped_record_is_finished_and_reported_with_its_reason(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.act = skip_all;
    kit_start(&kit);
    kit_append(&kit, 0, "a");
    kit_wait_event(&kit, KLANE_EVENT_SKIPPED, 1);
    assert_int_equal(kit_event(&kit, KLANE_EVENT_SKIPPED).offset, 0);
    kit_append(&kit, 0, "a");

    kit_wait_event(&kit, KLANE_EVENT_SKIPPED, 2);

    assert_string_equal(kit.message, "not for us");
    assert_int_equal(kit_event(&kit, KLANE_EVENT_SKIPPED).offset, 1);
    klane_stop(kit.runtime);
    assert_int_equal(klane_wait(kit.runtime, 20000), KLANE_OK);
    assert_int_equal(kit_committed(&kit, 0), 2);
    assert_int_equal(kit_stats(&kit).skipped, 2);
    kit_end(&kit);
}

/* ---- later ------------------------------------------------------------------------------- */

#define TOKENS_MAX 64

struct later {
    klane_token_t tokens[TOKENS_MAX];
    size_t count;
};

static struct later later;

static enum klane_outcome keep_token(struct kit *kit, const struct klane_record *record)
{
    enum klane_outcome outcome;
    klane_token_t token;

    outcome = klane_later(record, &token);
    pthread_mutex_lock(&kit->lock);
    later.tokens[later.count++] = token;
    pthread_mutex_unlock(&kit->lock);
    return outcome;
}

static void a_later_record_keeps_its_lane_until_it_is_finished(void **state)
{
    struct kit kit;

    (void)state;
    later.count = 0;
    kit_init(&kit, 1);
    kit.act = keep_token;
    kit_start(&kit);
    kit_append(&kit, 0, "a");
    kit_append(&kit, 0, "a");
    kit_append(&kit, 0, "b");
    kit_wait_ended(&kit, 2);
    assert_int_equal(kit.note_count, 2);
    assert_false(klane_token_cancelled(kit.runtime, later.tokens[0]));

    assert_int_equal(klane_finish(kit.runtime, later.tokens[0], KLANE_DONE, -1, NULL), KLANE_OK);
    assert_int_equal(klane_finish(kit.runtime, later.tokens[1], KLANE_DONE, -1, NULL), KLANE_OK);
    kit_wait_ended(&kit, 3);

    assert_int_equal(kit.notes[2].offset, 1);
    assert_int_equal(klane_finish(kit.runtime, later.tokens[0], KLANE_DONE, -1, NULL),
                     KLANE_ERR_STALE);
    assert_true(klane_token_cancelled(kit.runtime, later.tokens[0]));
    assert_int_equal(klane_finish(kit.runtime, later.tokens[2], KLANE_RETRY, 1, "again"),
                     KLANE_OK);
    kit_wait_ended(&kit, 4);
    assert_int_equal(kit.notes[3].attempt, 2);
    assert_int_equal(klane_finish(kit.runtime, later.tokens[3], KLANE_SKIP, -1, "no"), KLANE_OK);
    kit_wait_event(&kit, KLANE_EVENT_SKIPPED, 1);
    kit_end(&kit);
}

static void wrong_tokens_and_outcomes_are_refused(void **state)
{
    struct kit kit;

    (void)state;
    later.count = 0;
    kit_init(&kit, 1);
    kit.act = keep_token;
    kit_start(&kit);
    kit_append(&kit, 0, "a");
    kit_wait_ended(&kit, 1);

    assert_int_equal(klane_finish(kit.runtime, 0, KLANE_DONE, -1, NULL), KLANE_ERR_STALE);
    assert_int_equal(klane_finish(kit.runtime, UINT64_MAX, KLANE_DONE, -1, NULL),
                     KLANE_ERR_STALE);
    assert_int_equal(klane_finish(kit.runtime, later.tokens[0], KLANE_LATER, -1, NULL),
                     KLANE_ERR_INVALID);
    assert_int_equal(klane_finish(NULL, later.tokens[0], KLANE_DONE, -1, NULL),
                     KLANE_ERR_INVALID);
    assert_int_equal(klane_finish(kit.runtime, later.tokens[0], KLANE_DONE, -1, NULL), KLANE_OK);
    kit_end(&kit);
}

static enum klane_outcome finish_at_once(struct kit *kit, const struct klane_record *record)
{
    klane_token_t token;
    enum klane_outcome outcome = klane_later(record, &token);

    if (klane_finish(kit->runtime, token, KLANE_DONE, -1, NULL) != KLANE_OK)
        return KLANE_SKIP;
    return outcome;
}

static void a_completion_may_come_before_the_handler_returns(void **state)
{
    struct kit kit;
    char key[16];

    (void)state;
    kit_init(&kit, 1);
    kit.act = finish_at_once;
    kit_start(&kit);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "%d", i % 7);
        kit_append(&kit, 0, key);
    }

    kit_wait_ended(&kit, 1000);

    kit_assert_order(&kit);
    klane_stop(kit.runtime);
    assert_int_equal(klane_wait(kit.runtime, 20000), KLANE_OK);
    assert_int_equal(kit_stats(&kit).done, 1000);
    assert_int_equal(kit_committed(&kit, 0), 1000);
    kit_end(&kit);
}

static enum klane_outcome later_without_token(struct kit *kit, const struct klane_record *record)
{
    (void)kit;
    return record->attempt == 1 ? KLANE_LATER : KLANE_DONE;
}

static void later_without_a_token_is_a_retry(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.act = later_without_token;
    kit_start_route(&kit, 0, 1000);
    kit_append(&kit, 0, "a");

    kit_wait_ended(&kit, 2);

    assert_int_equal(kit.notes[1].attempt, 2);
    kit_end(&kit);
}

static enum klane_outcome later_then_retry(struct kit *kit, const struct klane_record *record)
{
    klane_token_t token;

    if (record->attempt > 1)
        return KLANE_DONE;
    klane_later(record, &token);
    pthread_mutex_lock(&kit->lock);
    later.tokens[later.count++] = token;
    pthread_mutex_unlock(&kit->lock);
    return KLANE_RETRY;
}

static void another_outcome_after_later_takes_the_token_back(void **state)
{
    struct kit kit;

    (void)state;
    later.count = 0;
    kit_init(&kit, 1);
    kit.act = later_then_retry;
    kit_start_route(&kit, 0, 1000);
    kit_append(&kit, 0, "a");

    kit_wait_done(&kit, 1);
    kit_wait_ended(&kit, 2);

    assert_int_equal(kit.notes[1].attempt, 2);
    assert_int_equal(klane_finish(kit.runtime, later.tokens[0], KLANE_DONE, -1, NULL),
                     KLANE_ERR_STALE);
    kit_end(&kit);
}

static enum klane_outcome retry_never(struct kit *kit, const struct klane_record *record)
{
    (void)kit;
    return *(const char *)record->key == 'a' ? klane_retry(record, INT64_MAX, "never")
                                             : KLANE_DONE;
}

static void the_longest_delay_is_never_and_not_at_once(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.act = retry_never;
    kit_start(&kit);
    kit_append(&kit, 0, "a");
    kit_wait_ended(&kit, 1);
    for (int i = 0; i < 200; i++)
        kit_append(&kit, 0, "b");

    kit_wait_done(&kit, 200);
    kit_wait_ended(&kit, 201);

    assert_int_equal(kit.note_count, 201);
    kit_end(&kit);
}

static void a_token_that_is_still_out_keeps_the_runtime(void **state)
{
    struct kit kit;

    (void)state;
    later.count = 0;
    kit_init(&kit, 1);
    kit.options.stop_ms = 200;
    kit.act = keep_token;
    kit_start(&kit);
    kit_append(&kit, 0, "a");
    kit_wait_ended(&kit, 1);
    klane_stop(kit.runtime);
    assert_int_equal(klane_wait(kit.runtime, 20000), KLANE_ERR_BUSY);
    assert_true(klane_token_cancelled(kit.runtime, later.tokens[0]));
    assert_int_equal(klane_destroy(kit.runtime), KLANE_ERR_BUSY);

    assert_int_equal(klane_finish(kit.runtime, later.tokens[0], KLANE_DONE, -1, NULL),
                     KLANE_ERR_FENCED);

    assert_int_equal(klane_wait(kit.runtime, 0), KLANE_OK);
    assert_int_equal(kit_committed(&kit, 0), 0);
    kit_end(&kit);
}

/* ---- own threads ------------------------------------------------------------------------- */

static void a_program_may_bring_its_own_threads(void **state)
{
    struct kit kit;
    struct klane_record record;
    klane_token_t token;
    int64_t next[3] = {0, 1, 2};

    (void)state;
    kit_init(&kit, 1);
    kit.options.workers = 0;
    kit_start(&kit);
    assert_int_equal(klane_take(kit.runtime, &record, sizeof(record), &token, 0),
                     KLANE_ERR_TIMEOUT);
    assert_int_equal(klane_take(kit.runtime, &record, sizeof(record), &token, 5),
                     KLANE_ERR_TIMEOUT);
    for (int i = 0; i < 300; i++)
        kit_append(&kit, 0, i % 3 == 0 ? "a" : i % 3 == 1 ? "b" : "c");

    for (int i = 0; i < 300; i++) {
        int lane;

        assert_int_equal(klane_take(kit.runtime, &record, sizeof(record), &token, 20000),
                         KLANE_OK);
        lane = *(const char *)record.key - 'a';
        assert_int_equal(record.offset, next[lane]);
        next[lane] += 3;
        assert_int_equal(klane_finish(kit.runtime, token, KLANE_DONE, -1, NULL), KLANE_OK);
    }

    klane_stop(kit.runtime);
    assert_int_equal(klane_wait(kit.runtime, 20000), KLANE_OK);
    assert_int_equal(klane_take(kit.runtime, &record, sizeof(record), &token, -1),
                     KLANE_ERR_STOPPED);
    assert_int_equal(kit_committed(&kit, 0), 300);
    assert_int_equal(kit.note_count, 0);
    kit_end(&kit);
}

struct taker {
    pthread_t thread;
    struct kit *kit;
    klane_err_t err;
    size_t taken;
};

static void *take_until_stopped(void *argument)
{
    struct taker *taker = argument;
    struct klane_record record;
    klane_token_t token;

    for (;;) {
        taker->err = klane_take(taker->kit->runtime, &record, sizeof(record), &token, -1);
        if (taker->err != KLANE_OK)
            return NULL;
        taker->taken++;
        klane_finish(taker->kit->runtime, token, KLANE_DONE, -1, NULL);
    }
}

static void stop_takes_back_what_no_own_thread_took(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.options.workers = 0;
    kit_start(&kit);
    for (int i = 0; i < 1000; i++)
        kit_append(&kit, 0, i % 2 == 0 ? "a" : NULL);
    kit_wait_taken_in(&kit, 1000);

    klane_stop(kit.runtime);

    assert_int_equal(klane_wait(kit.runtime, 20000), KLANE_OK);
    assert_int_equal(kit_stats(&kit).in_memory, 0);
    assert_int_equal(kit_committed(&kit, 0), 0);
    kit_end(&kit);
}

static void own_threads_asleep_are_woken_by_records_and_by_stop(void **state)
{
    struct taker takers[8];
    struct kit kit;
    size_t sum = 0;
    char key[16];

    (void)state;
    kit_init(&kit, 1);
    kit.options.workers = 0;
    kit_start(&kit);
    for (int i = 0; i < 8; i++) {
        takers[i] = (struct taker){.kit = &kit};
        assert_int_equal(pthread_create(&takers[i].thread, NULL, take_until_stopped, &takers[i]),
                         0);
    }
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof(key), "%d", i % 11);
        kit_append(&kit, 0, key);
    }
    kit_wait_done(&kit, 5000);

    klane_stop(kit.runtime);

    for (int i = 0; i < 8; i++) {
        pthread_join(takers[i].thread, NULL);
        assert_int_equal(takers[i].err, KLANE_ERR_STOPPED);
        sum += takers[i].taken;
    }
    assert_int_equal(sum, 5000);
    kit_end(&kit);
}

/* ---- headers ----------------------------------------------------------------------------- */

static enum klane_outcome check_headers(struct kit *kit, const struct klane_record *record)
{
    const char *name;
    const void *value;
    size_t size;

    (void)kit;
    if (record->header_count != 3 ||
        klane_header_at(record, 1, &name, &value, &size) != KLANE_OK ||
        strcmp(name, "none") != 0 || value != NULL ||
        klane_header(record, "trace", &value, &size) != KLANE_OK || size != 2 ||
        memcmp(value, "t2", 2) != 0 ||
        klane_header(record, "missing", &value, &size) != KLANE_ERR_NOT_FOUND ||
        klane_header_at(record, 3, &name, &value, &size) != KLANE_ERR_NOT_FOUND)
        return KLANE_SKIP;
    return KLANE_DONE;
}

/* Handles one record with headers by this function, which says whether it is as it should be. */
static void handle_headers(enum klane_outcome (*act)(struct kit *, const struct klane_record *),
                           bool without_headers)
{
    const struct klane_header_in headers[] = {
        {"trace", "t1", 2}, {"none", NULL, 0}, {"trace", "t2", 2}};
    const struct klane_memory_record record = {.key = "k",
                                               .key_size = 1,
                                               .timestamp_ms = 5,
                                               .offset = -1,
                                               .headers = headers,
                                               .header_count = 3};
    struct klane_topic rules;
    struct kit kit;

    klane_topic_init(&rules, sizeof(rules));
    rules.name = "t";
    rules.without_headers = without_headers;
    kit_init(&kit, 1);
    kit.act = act;
    kit_create(&kit);
    assert_int_equal(klane_topic(kit.runtime, &rules), KLANE_OK);
    assert_int_equal(klane_handle(kit.runtime, "t", kit_handle, &kit), KLANE_OK);
    assert_int_equal(klane_start(kit.runtime), KLANE_OK);
    assert_int_equal(klane_memory_append(kit.source, "t", 0, &record, NULL), KLANE_OK);
    kit_wait_ended(&kit, 1);

    klane_stop(kit.runtime);
    assert_int_equal(klane_wait(kit.runtime, 20000), KLANE_OK);
    assert_int_equal(kit_stats(&kit).done, 1);
    kit_end(&kit);
}

static void headers_arrive_as_they_were_given(void **state)
{
    (void)state;
    handle_headers(check_headers, false);
}

static enum klane_outcome check_bare(struct kit *kit, const struct klane_record *record)
{
    const void *value;
    size_t size;

    (void)kit;
    return record->header_count == 0 &&
                   klane_header(record, "trace", &value, &size) == KLANE_ERR_NOT_FOUND
               ? KLANE_DONE
               : KLANE_SKIP;
}

static void headers_that_nobody_wants_are_left_out(void **state)
{
    (void)state;
    handle_headers(check_bare, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_retry_runs_the_same_record_again_before_its_followers),
        cmocka_unit_test(a_waiting_lane_holds_no_worker_and_no_other_key),
        cmocka_unit_test(a_bare_retry_waits_for_the_routes_delay),
        cmocka_unit_test(a_skipped_record_is_finished_and_reported_with_its_reason),
        cmocka_unit_test(a_later_record_keeps_its_lane_until_it_is_finished),
        cmocka_unit_test(wrong_tokens_and_outcomes_are_refused),
        cmocka_unit_test(a_completion_may_come_before_the_handler_returns),
        cmocka_unit_test(later_without_a_token_is_a_retry),
        cmocka_unit_test(another_outcome_after_later_takes_the_token_back),
        cmocka_unit_test(the_longest_delay_is_never_and_not_at_once),
        cmocka_unit_test(a_token_that_is_still_out_keeps_the_runtime),
        cmocka_unit_test(a_program_may_bring_its_own_threads),
        cmocka_unit_test(stop_takes_back_what_no_own_thread_took),
        cmocka_unit_test(own_threads_asleep_are_woken_by_records_and_by_stop),
        cmocka_unit_test(headers_arrive_as_they_were_given),
        cmocka_unit_test(headers_that_nobody_wants_are_left_out),
    };

    return check_run(tests);
}
