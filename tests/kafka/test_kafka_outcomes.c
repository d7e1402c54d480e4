/* SPDX-License-Identifier: Apache-2.0 */
/* On a real broker: records that wait for their time, what is held by hand, and what an operator
 * decides; what is committed is what the group has. */
#include "kafka/kafka_runtime.h"

#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NEVER_MS = 3600000, RECORDS = 300, KEYS = 3 };

static void append_due(const struct kafka_test *test, const char *key, int64_t due_ms)
{
    char text[32];
    const struct klane_header_in header = {
        "due", text, (size_t)snprintf(text, sizeof text, "%lld", (long long)due_ms)};
    const struct kafka_kit_record record = {.topic = test->topic,
                                            .key = key,
                                            .key_size = strlen(key),
                                            .headers = &header,
                                            .header_count = 1};

    assert_true(kafka_kit_append(&record) >= 0);
}

static void a_header_says_when_a_record_may_run(void **state)
{
    struct kafka_test *test = *state;
    struct klane_blocker lane;
    struct klane_topic rules;
    int64_t soon_ms;

    kafka_test_topic(test, 1, NULL);
    kafka_test_kit(test, NULL);
    klane_topic_init(&rules, sizeof rules);
    rules.name = test->topic;
    rules.due_header = "due";
    soon_ms = clock_wall_ms() + 1500;
    append_due(test, "late", soon_ms + NEVER_MS);
    append_due(test, "soon", soon_ms);
    append_due(test, "past", 1);
    kafka_test_start(test, &rules);
    kit_wait_done(&test->kit, 2);

    assert_true(clock_wall_ms() >= soon_ms);
    assert_int_equal(kit_key_starts(&test->kit, "late"), 0);
    assert_int_equal(
        klane_lane_find(test->kit.runtime, test->topic, -1, "late", 4, &lane, sizeof lane),
        KLANE_OK);
    assert_int_equal(lane.state, KLANE_BLOCKER_SCHEDULED);
    assert_int_equal(klane_resolve(test->kit.runtime, test->topic, 0, lane.offset, KLANE_SKIP,
                                   "not wanted any more"),
                     KLANE_OK);
    assert_int_equal(klane_commit(test->kit.runtime, KAFKA_KIT_MS), KLANE_OK);
    assert_int_equal(kafka_kit_committed(test->group, test->topic, 0), 3);
    kafka_test_end(test);
}

/* Its fetching stops and goes on; another key's records are all handled meanwhile. */
static void keys_and_topics_are_held_and_released(void **state)
{
    struct kafka_test *test = *state;
    struct klane_runtime *runtime;

    kafka_test_topic(test, 1, NULL);
    kafka_test_run(test);
    runtime = test->kit.runtime;
    assert_int_equal(klane_hold(runtime, test->topic, "k1", 2), KLANE_OK);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, RECORDS, KEYS);
    kit_wait_done(&test->kit, RECORDS - RECORDS / KEYS);
    assert_int_equal(kit_key_starts(&test->kit, "k1"), 0);
    assert_int_equal(klane_commit(runtime, KAFKA_KIT_MS), KLANE_OK);
    assert_int_equal(kafka_kit_committed(test->group, test->topic, 0), 1);

    assert_int_equal(klane_hold(runtime, test->topic, NULL, 0), KLANE_OK);
    kit_wait_event(&test->kit, KLANE_EVENT_HELD, 1);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, RECORDS, KEYS);
    assert_int_equal(klane_release(runtime, test->topic, "k1", 2), KLANE_OK);
    assert_int_equal(klane_commit(runtime, KAFKA_KIT_MS), KLANE_OK);
    assert_int_equal(kafka_kit_committed(test->group, test->topic, 0), 1);
    assert_int_equal(klane_release(runtime, test->topic, NULL, 0), KLANE_OK);
    kit_wait_done(&test->kit, 2 * RECORDS);
    assert_int_equal(klane_commit(runtime, KAFKA_KIT_MS), KLANE_OK);
    assert_int_equal(kafka_kit_committed(test->group, test->topic, 0), 2 * RECORDS);
    kit_assert_order(&test->kit);
    kafka_test_end(test);
}

static enum klane_outcome lose_every_tenth(struct kit *kit, const struct klane_record *record)
{
    klane_token_t token;

    (void)kit;
    return record->offset % 10 == 0 && record->attempt == 1 ? klane_later(record, &token)
                                                            : KLANE_DONE;
}

/* Some answers never come: those records run again, and all is committed. */
static void a_record_that_nobody_answers_for_runs_again(void **state)
{
    struct kafka_test *test = *state;
    struct klane_route route;

    kafka_test_topic(test, 1, NULL);
    kafka_test_kit(test, NULL);
    test->kit.act = lose_every_tenth;
    kit_route_init(&test->kit, &route);
    route.retry_delay_ms = 1;
    route.later_max_ms = 100;
    kit_start_with(&test->kit, NULL, &route);
    test->is_running = true;
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, RECORDS, RECORDS);
    kit_wait_done(&test->kit, RECORDS);

    kit_wait_event(&test->kit, KLANE_EVENT_OVERRUN, RECORDS / 10);
    assert_int_equal(klane_commit(test->kit.runtime, KAFKA_KIT_MS), KLANE_OK);
    assert_int_equal(kafka_kit_committed(test->group, test->topic, 0), RECORDS);
    kafka_test_end(test);
}

static void handle_batch(struct klane_batch *batch, void *kit)
{
    /* Each alone, as the kit's handler would have it; every tenth fails at first. */
    for (size_t i = 0; i < batch->count; i++) {
        const struct klane_record *record = &batch->records[i];

        if (record->offset % 10 == 0 && record->attempt == 1) {
            klane_retry(record, 1, "away");
            continue;
        }
        kit_handle(record, kit);
    }
}

static void run_batches(struct kafka_test *test, enum klane_batch_keys keys)
{
    struct klane_route route;

    kafka_test_topic(test, 1, NULL);
    kafka_test_kit(test, NULL);
    kit_route_init(&test->kit, &route);
    route.handler = NULL;
    route.batch = handle_batch;
    route.batch_keys = keys;
    route.batch_min = 20;
    route.batch_wait_ms = 50;
    kit_start_with(&test->kit, NULL, &route);
    test->is_running = true;
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, RECORDS, KEYS);
    kit_wait_done(&test->kit, RECORDS);
    assert_int_equal(klane_commit(test->kit.runtime, KAFKA_KIT_MS), KLANE_OK);
    assert_int_equal(kafka_kit_committed(test->group, test->topic, 0), RECORDS);
    assert_int_equal(kit_stats(&test->kit).retried, RECORDS / 10);
    kafka_test_end(test);
}

static void batches_of_a_key_are_committed_record_by_record(void **state)
{
    run_batches(*state, KLANE_BATCH_ONE_KEY);
}

static void batches_of_many_keys_are_committed_record_by_record(void **state)
{
    run_batches(*state, KLANE_BATCH_MANY_KEYS);
}

static _Atomic int counted, states;

/* Counts the records of its key, without a lock. */
static enum klane_outcome count_in_lane(const struct klane_record *record, void *kit)
{
    int *count = *record->lane_state;

    if (count == NULL) {
        *record->lane_state = count = calloc(1, sizeof(*count));
        assert_non_null(count);
    }
    ++*count;
    return kit_handle(record, kit);
}

static void add_up(void *state, void *context)
{
    (void)context;
    counted += *(int *)state;
    states++;
    free(state);
}

/* All that was counted is there when the partition is given up at the end. */
static void what_lanes_keep_is_freed_before_they_are_given_up(void **state)
{
    struct kafka_test *test = *state;
    struct klane_topic rules;
    struct klane_route route;

    kafka_test_topic(test, 1, NULL);
    kafka_test_kit(test, NULL);
    klane_topic_init(&rules, sizeof rules);
    rules.name = test->topic;
    rules.state_free = add_up;
    rules.states_idle_max = 1;
    kit_route_init(&test->kit, &route);
    route.handler = count_in_lane;
    kit_start_with(&test->kit, &rules, &route);
    test->is_running = true;
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, RECORDS, KEYS);
    kit_wait_ended(&test->kit, RECORDS);
    klane_stop(test->kit.runtime);
    kit_wait_event(&test->kit, KLANE_EVENT_REVOKED, 1);
    assert_int_equal(counted, RECORDS);
    assert_true(states >= KEYS);
    kit_assert_order(&test->kit);
    kafka_test_end(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kafka_test_case(a_header_says_when_a_record_may_run),
        kafka_test_case(keys_and_topics_are_held_and_released),
        kafka_test_case(a_record_that_nobody_answers_for_runs_again),
        kafka_test_case(what_lanes_keep_is_freed_before_they_are_given_up),
        kafka_test_case(batches_of_a_key_are_committed_record_by_record),
        kafka_test_case(batches_of_many_keys_are_committed_record_by_record),
    };
    int failed = check_run(tests);

    kafka_kit_deinit();
    return failed;
}
