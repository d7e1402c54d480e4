/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance: records and where they begin. What a source may never do at all is checked by
 * lib/source_reader.c in each test. */
#include "lib/source_conformance.h"

#include "lib/check.h"
#include "lib/source_fixture.h"

#include "base/headers.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- records ---- */

static void every_record_is_offered_in_offset_order(void **state)
{
    struct fixture *fixture = *state;
    struct reader *reader;

    fixture_topic(fixture, 3);
    for (int32_t i = 0; i < 3; i++)
        fixture_append_many(fixture, i, 0, 700 + i);
    reader = fixture_read(fixture);

    for (int32_t i = 0; i < 3; i++) {
        struct klane_assignment *assignment = reader_assigned(reader, TOPIC, i, NULL);

        reader_read_to(reader, assignment, 700 + i);
        assert_int_equal(assignment->begin, 0);
        fixture_assert_records(assignment, 0, 700 + i);
    }
}

static void records_of_other_topics_are_not_offered(void **state)
{
    struct fixture *fixture = *state;
    struct reader *reader;

    fixture->ops->topic(fixture->log, "other", 2);
    fixture_topic(fixture, 1);
    fixture_append_many(fixture, 0, 0, 10);
    assert_int_equal(fixture->ops->append(fixture->log, "other", 1,
                                          &(struct conformance_record){.offset = -1}),
                     0);
    reader = fixture_read(fixture);
    reader_read_to(reader, reader_assigned(reader, TOPIC, 0, NULL), 10);
    reader_drain(reader);

    fixture_assert_records(reader_find(reader, TOPIC, 0), 0, 10);
    assert_null(reader_find(reader, "other", 0));
    assert_null(reader_find(reader, "other", 1));
}

static void many_partitions_are_all_read(void **state)
{
    struct fixture *fixture = *state;
    struct reader *reader;

    fixture_topic(fixture, 100);
    for (int32_t i = 0; i < 100; i += 3)
        fixture_append_many(fixture, i, 0, 5);
    reader = fixture_read(fixture);
    for (int32_t i = 0; i < 100; i++)
        reader_read_to(reader, reader_assigned(reader, TOPIC, i, NULL), i % 3 == 0 ? 5 : 0);
    for (int32_t i = 0; i < 100; i++)
        fixture_append_many(fixture, i, i % 3 == 0 ? 5 : 0, 2);

    for (int32_t i = 0; i < 100; i++) {
        struct klane_assignment *assignment = reader_find(reader, TOPIC, i);

        reader_read_to(reader, assignment, i % 3 == 0 ? 7 : 2);
        fixture_assert_records(assignment, 0, i % 3 == 0 ? 7 : 2);
    }
}

static void null_empty_and_binary_keys_and_values_stay_what_they_are(void **state)
{
    static const struct conformance_record records[] = {
        {.key = NULL, .value = "a", .value_size = 1, .timestamp_ms = 1, .offset = -1},
        {.key = "", .key_size = 0, .value = "b", .value_size = 1, .timestamp_ms = 1, .offset = -1},
        {.key = "\0k\0",
         .key_size = 3,
         .value = "\0v\0\xff",
         .value_size = 4,
         .timestamp_ms = 1,
         .offset = -1},
        {.key = "k", .key_size = 1, .value = NULL, .timestamp_ms = 1, .offset = -1},
        {.key = "k", .key_size = 1, .value = "", .timestamp_ms = 1, .offset = -1},
        {.key = NULL, .value = NULL, .timestamp_ms = INT64_MAX / 2, .offset = -1},
    };
    const size_t count = sizeof(records) / sizeof(records[0]);
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;

    fixture_topic(fixture, 1);
    for (size_t i = 0; i < count; i++)
        fixture_append(fixture, 0, &records[i]);
    assignment = reader_assigned(fixture_read(fixture), TOPIC, 0, NULL);
    reader_read_to(&fixture->reader, assignment, (int64_t)count);

    assert_int_equal(assignment->record_count, count);
    for (size_t i = 0; i < count; i++) {
        const struct source_record *got = &assignment->records[i].record;

        assert_int_equal(got->key == NULL, records[i].key == NULL);
        assert_int_equal(got->value == NULL, records[i].value == NULL);
        assert_int_equal(got->key_size, records[i].key_size);
        assert_int_equal(got->value_size, records[i].value_size);
        assert_int_equal(got->timestamp_ms, records[i].timestamp_ms);
        if (got->key_size > 0)
            assert_memory_equal(got->key, records[i].key, got->key_size);
        if (got->value_size > 0)
            assert_memory_equal(got->value, records[i].value, got->value_size);
    }
}

static void headers_are_passed_as_they_were_given(void **state)
{
    static const struct klane_header_in headers[] = {
        {"trace", "\0\1\2", 3}, {"", "no name", 7}, {"trace", NULL, 0}, {"empty", "", 0}};
    struct conformance_record record = {
        .value = "v", .value_size = 1, .headers = headers, .header_count = 4, .offset = -1};
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    unsigned char block[128];
    size_t size = headers_size(headers, 4);

    assert_in_range(size, 1, sizeof(block));
    headers_write(headers, 4, block);
    fixture_topic(fixture, 1);
    fixture_append(fixture, 0, &record);
    record.header_count = 0;
    fixture_append(fixture, 0, &record);
    assignment = reader_assigned(fixture_read(fixture), TOPIC, 0, NULL);
    reader_read_to(&fixture->reader, assignment, 2);

    assert_int_equal(assignment->records[0].record.headers_size, size);
    assert_memory_equal(assignment->records[0].record.headers, block, size);
    assert_null(assignment->records[1].record.headers);
    assert_int_equal(assignment->records[1].record.headers_size, 0);
}

static void a_record_of_a_mebibyte_is_passed_between_small_ones(void **state)
{
    const size_t size = (size_t)1 << 20;
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    unsigned char *value = malloc(size);
    struct conformance_record large = {.value = value, .value_size = size, .offset = -1};
    struct conformance_record small = {.value = "s", .value_size = 1, .offset = -1};
    const struct source_record *got;

    assert_non_null(value);
    for (size_t i = 0; i < size; i++)
        value[i] = (unsigned char)(i * 31 >> 3);
    fixture_topic(fixture, 1);
    fixture_append(fixture, 0, &small);
    fixture_append(fixture, 0, &large);
    fixture_append(fixture, 0, &large);
    fixture_append(fixture, 0, &small);
    assignment = reader_assigned(fixture_read(fixture), TOPIC, 0, NULL);
    reader_read_to(&fixture->reader, assignment, 4);

    for (int i = 1; i <= 2; i++) {
        got = &assignment->records[i].record;
        assert_int_equal(got->value_size, size);
        assert_int_equal(memcmp(got->value, value, size), 0);
    }
    assert_memory_equal(assignment->records[3].record.value, "s", 1);
    free(value);
}

static void holes_in_the_offsets_are_passed_over(void **state)
{
    static const int64_t offsets[] = {3, 4, 10, 1000000007};
    struct conformance_record record = {.value = "v", .value_size = 1};
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;

    fixture_topic(fixture, 1);
    for (size_t i = 0; i < 4; i++) {
        record.offset = offsets[i];
        assert_int_equal(fixture_append(fixture, 0, &record), offsets[i]);
    }
    assignment = reader_assigned(fixture_read(fixture), TOPIC, 0, NULL);
    reader_read_to(&fixture->reader, assignment, 1000000008);

    assert_int_equal(assignment->record_count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(assignment->records[i].record.offset, offsets[i]);
}

/* ---- passes ---- */

static void sweep_until_over(struct reader *reader, const struct klane_assignment *assignment,
                             size_t records_max)
{
    int64_t due_ms = reader_now_ms() + READER_PATIENCE_MS;

    while (assignment->sweeps) {
        if (reader_poll_sweeps(reader, records_max) == 0)
            reader_sleep(reader);
        reader_poll(reader, 0);
        assert_true(reader_now_ms() < due_ms);
    }
}

static void a_pass_brings_a_range_again(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment = fixture_read_through(fixture, 3000);
    struct reader *reader = &fixture->reader;

    reader_sweep(reader, assignment, 1000, 2000);
    sweep_until_over(reader, assignment, 7);
    assert_int_equal(assignment->swept, 1000);
    assert_in_range(assignment->swept_to, 2000, 2006);
    reader_sweep(reader, assignment, 0, 3000);
    sweep_until_over(reader, assignment, 1000);
    assert_int_equal(assignment->swept, 4000);
}

static void the_main_flow_goes_on_beside_passes(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignments[2];
    int64_t ends[2] = {500, 500};
    struct reader *reader;

    fixture_topic(fixture, 2);
    for (int32_t i = 0; i < 2; i++)
        fixture_append_many(fixture, i, 0, 500);
    reader = fixture_read(fixture);
    for (int32_t i = 0; i < 2; i++) {
        assignments[i] = reader_assigned(reader, TOPIC, i, NULL);
        reader_read_to(reader, assignments[i], 500);
        reader_sweep(reader, assignments[i], 100 * i, 500);
    }
    for (int i = 0; assignments[0]->sweeps || assignments[1]->sweeps; i++) {
        if (i < 20) {
            fixture_append_many(fixture, i % 2, ends[i % 2], 10);
            ends[i % 2] += 10;
        }
        if (reader_poll_sweeps(reader, 50) == 0)
            reader_sleep(reader);
        reader_poll(reader, 10);
    }

    for (int32_t i = 0; i < 2; i++) {
        assert_int_equal(assignments[i]->swept, 500 - 100 * i);
        reader_read_to(reader, assignments[i], ends[i]);
        fixture_assert_records(assignments[i], 0, ends[i]);
    }
}

static void a_pass_ends_with_its_assignment(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment = fixture_read_through(fixture, 100);
    struct reader *reader = &fixture->reader;

    reader_sweep(reader, assignment, 0, 100);
    reader_poll_until(reader, (reader_poll_sweeps(reader, 10 - assignment->swept),
                               assignment->swept == 10));

    fixture->ops->revoke(fixture->log, TOPIC, 0, false);
    reader_poll_until(reader, assignment->revoked);
    assignment->sweeps = false;
    for (int i = 0; i < 5; i++)
        assert_int_equal(reader_poll_sweeps(reader, 10), 0);
}

/* ---- taking in ---- */

static void no_more_than_records_max_come(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    struct reader *reader;
    int64_t due_ms = reader_now_ms() + READER_PATIENCE_MS;
    size_t polls = 0;

    fixture_topic(fixture, 1);
    fixture_append_many(fixture, 0, 0, 50);
    reader = fixture_read(fixture);
    while (reader_find(reader, TOPIC, 0) == NULL && reader_now_ms() < due_ms) {
        reader_poll(reader, 0);
        reader_sleep(reader);
    }
    assignment = reader_find(reader, TOPIC, 0);
    assert_non_null(assignment);
    for (int i = 0; i < 5; i++)
        reader_poll(reader, 0);
    assert_int_equal(assignment->record_count, 0);
    while (assignment->record_count < 50 && reader_now_ms() < due_ms) {
        if (reader_poll(reader, 7) == 0)
            reader_sleep(reader);
        else
            polls++;
    }

    fixture_assert_records(assignment, 0, 50);
    assert_true(polls >= 8);
}

static void a_refused_record_is_offered_again_and_none_behind_it(void **state)
{
    struct fixture *fixture = *state;
    struct reader *reader;

    fixture_topic(fixture, 2);
    fixture_append_many(fixture, 0, 0, 40);
    fixture_append_many(fixture, 1, 0, 40);
    reader = fixture_read(fixture);
    reader_assigned(reader, TOPIC, 0, NULL);
    fixture_append_many(fixture, 0, 40, 40);
    fixture_append_many(fixture, 1, 40, 40);
    /* The rules themselves are the reader's; here the refusals are only made, at every place.
     */
    for (int i = 0; i < 30; i++) {
        reader->refuse_records = (size_t)(i % 3);
        reader_poll(reader, 3);
    }
    reader->refuse_records = 0;

    for (int32_t i = 0; i < 2; i++) {
        reader_read_to(reader, reader_assigned(reader, TOPIC, i, NULL), 80);
        fixture_assert_records(reader_find(reader, TOPIC, i), 0, 80);
    }
}

static void a_refused_assignment_is_made_later(void **state)
{
    struct fixture *fixture = *state;
    struct reader *reader;

    fixture_topic(fixture, 2);
    fixture_append_many(fixture, 1, 0, 10);
    reader = fixture_read(fixture);
    reader->refuse_assignments = 3;

    for (int32_t i = 0; i < 2; i++)
        reader_read_to(reader, reader_assigned(reader, TOPIC, i, NULL), i == 1 ? 10 : 0);
    assert_int_equal(reader->refused_assignments, 3);
    fixture_assert_records(reader_find(reader, TOPIC, 1), 0, 10);
}

static void a_held_partition_waits_while_another_goes_on(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *held;
    struct klane_assignment *other;
    struct reader *reader;

    fixture_topic(fixture, 2);
    fixture_append_many(fixture, 0, 0, 10);
    reader = fixture_read(fixture);
    held = reader_assigned(reader, TOPIC, 0, NULL);
    other = reader_assigned(reader, TOPIC, 1, NULL);
    reader_read_to(reader, held, 10);
    reader_drain(reader);
    reader->source->ops->hold(reader->source, held->own, true);
    held->silent = true; /* it had nothing in hand */
    fixture_append_many(fixture, 0, 10, 500);
    fixture_append_many(fixture, 1, 0, 500);
    reader_read_to(reader, other, 500);
    reader_drain(reader);
    fixture_assert_records(held, 0, 10);
    assert_int_equal(held->end, 10);

    held->silent = false;
    reader->source->ops->hold(reader->source, held->own, false);
    reader_read_to(reader, held, 510);

    fixture_assert_records(held, 0, 510);
    fixture_assert_records(other, 0, 500);
}

static void a_hold_in_the_middle_stops_soon(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *held;
    struct reader *reader;
    size_t came;

    fixture_topic(fixture, 1);
    fixture_append_many(fixture, 0, 0, 200);
    reader = fixture_read(fixture);
    held = reader_assigned(reader, TOPIC, 0, NULL);
    reader->source->ops->hold(reader->source, held->own, true);
    reader_drain(reader); /* what was in hand */
    came = held->record_count;
    held->silent = true;
    fixture_append_many(fixture, 0, 200, 200);
    reader_drain(reader);
    assert_int_equal(held->record_count, came);

    held->silent = false;
    reader->source->ops->hold(reader->source, held->own, false);
    reader_read_to(reader, held, 400);

    fixture_assert_records(held, 0, 400);
}

static void the_end_is_told_and_told_again_when_it_moved(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    struct reader *reader;

    fixture_topic(fixture, 2);
    fixture_append_many(fixture, 0, 0, 3);
    reader = fixture_read(fixture);
    assignment = reader_assigned(reader, TOPIC, 0, NULL);

    reader_read_to(reader, assignment, 3);
    reader_read_to(reader, reader_assigned(reader, TOPIC, 1, NULL), 0);
    for (int64_t end = 4; end < 10; end++) {
        fixture_append_many(fixture, 0, end - 1, 1);
        reader_read_to(reader, assignment, end);
        assert_int_equal(assignment->record_count, end);
    }
}

static void the_descriptor_tells_of_what_comes_after_a_rest(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    struct reader *reader;

    fixture_topic(fixture, 1);
    reader = fixture_read(fixture);
    assignment = reader_assigned(reader, TOPIC, 0, NULL);
    for (int64_t end = 1; end < 6; end++) {
        reader_drain(reader);
        fixture_append_many(fixture, 0, end - 1, 1);

        /* No poll in between: only the descriptor can tell. */
        assert_true(reader_is_rung(reader, READER_PATIENCE_MS));
        reader_read_to(reader, assignment, end);
        fixture_assert_records(assignment, 0, end);
    }
}

struct appender {
    const struct conformance_log_ops *ops;
    void *log;
    int64_t count;
    int64_t failed;
};

static void *appender_main(void *argument)
{
    struct appender *appender = argument;

    appender->failed = fixture_append_try(appender->ops, appender->log, 0, 0, appender->count);
    return NULL;
}

static void records_appended_by_another_thread_all_come(void **state)
{
    struct fixture *fixture = *state;
    struct appender appender = {fixture->ops, fixture->log, (int64_t)check_rounds(2000, 200000),
                                -1};
    struct klane_assignment *assignment;
    struct reader *reader;
    pthread_t thread;

    fixture_topic(fixture, 1);
    reader = fixture_read(fixture);
    assert_int_equal(pthread_create(&thread, NULL, appender_main, &appender), 0);
    assignment = reader_assigned(reader, TOPIC, 0, NULL);
    /* By the thousand: so the time for it grows with what there is. While more is appended all the
     * time a source need not come to an end. */
    for (int64_t end = 0; end < appender.count;) {
        end = end + 1000 < appender.count ? end + 1000 : appender.count;
        reader_poll_until(reader, (int64_t)assignment->record_count >= end);
    }
    pthread_join(thread, NULL);
    reader_read_to(reader, assignment, appender.count);

    assert_int_equal(appender.failed, -1);
    fixture_assert_records(assignment, 0, appender.count);
}

/* ---- begin ---- */

static void without_a_commit_latest_begins_at_the_end(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    struct reader *reader;

    fixture_topic(fixture, 1);
    fixture_append_many(fixture, 0, 0, 20);
    reader = fixture_read_topic(
        fixture, (struct source_topic){.name = TOPIC, .begin = KLANE_BEGIN_LATEST});
    assignment = reader_assigned(reader, TOPIC, 0, NULL);
    reader_read_to(reader, assignment, 20);
    fixture_append_many(fixture, 0, 20, 5);
    reader_read_to(reader, assignment, 25);

    assert_int_equal(assignment->begin, 20);
    fixture_assert_records(assignment, 20, 25);
}

static void without_a_commit_a_time_begins_at_its_first_record(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    struct reader *reader;

    fixture_topic(fixture, 1);
    fixture_append_many(fixture, 0, 0, 20);
    reader = fixture_read_topic(
        fixture,
        (struct source_topic){.name = TOPIC, .begin = KLANE_BEGIN_TIME, .begin_time_ms = 1013});
    assignment = reader_assigned(reader, TOPIC, 0, NULL);
    reader_read_to(reader, assignment, 20);

    assert_int_equal(assignment->begin, 13);
    fixture_assert_records(assignment, 13, 20);
}

static void a_time_later_than_every_record_begins_at_the_end(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    struct reader *reader;

    fixture_topic(fixture, 1);
    fixture_append_many(fixture, 0, 0, 20);
    reader = fixture_read_topic(
        fixture,
        (struct source_topic){.name = TOPIC, .begin = KLANE_BEGIN_TIME, .begin_time_ms = 5000});
    assignment = reader_assigned(reader, TOPIC, 0, NULL);
    reader_read_to(reader, assignment, 20);
    fixture_append_many(fixture, 0, 20, 1);
    reader_read_to(reader, assignment, 21);

    assert_int_equal(assignment->begin, 20);
    fixture_assert_records(assignment, 20, 21);
}

static void a_group_that_may_not_begin_is_fatal(void **state)
{
    struct fixture *fixture = *state;
    struct reader *reader;

    fixture_topic(fixture, 2);
    fixture_append_many(fixture, 0, 0, 20);
    reader = fixture_read_topic(
        fixture, (struct source_topic){.name = TOPIC, .begin = KLANE_BEGIN_ERROR});
    reader_poll_until(reader, reader->fatals > 0);
    reader_drain(reader);

    assert_int_equal(reader->fatals, 1);
    assert_null(reader_find(reader, TOPIC, 0));
    assert_null(reader_find(reader, TOPIC, 1));
}

/* ---- the group of tests ---- */

static const struct conformance_test conformance_record_tests[] = {
    CONFORMANCE_TEST(every_record_is_offered_in_offset_order, 0),
    CONFORMANCE_TEST(records_of_other_topics_are_not_offered, 0),
    CONFORMANCE_TEST(many_partitions_are_all_read, 0),
    CONFORMANCE_TEST(null_empty_and_binary_keys_and_values_stay_what_they_are, 0),
    CONFORMANCE_TEST(headers_are_passed_as_they_were_given, 0),
    CONFORMANCE_TEST(a_record_of_a_mebibyte_is_passed_between_small_ones, 0),
    CONFORMANCE_TEST(holes_in_the_offsets_are_passed_over, CONFORMANCE_CAN_HOLES),
    CONFORMANCE_TEST(a_pass_brings_a_range_again, CONFORMANCE_CAN_SWEEP),
    CONFORMANCE_TEST(the_main_flow_goes_on_beside_passes, CONFORMANCE_CAN_SWEEP),
    CONFORMANCE_TEST(a_pass_ends_with_its_assignment,
                     CONFORMANCE_CAN_SWEEP | CONFORMANCE_CAN_REVOKE),
    CONFORMANCE_TEST(no_more_than_records_max_come, 0),
    CONFORMANCE_TEST(a_refused_record_is_offered_again_and_none_behind_it, 0),
    CONFORMANCE_TEST(a_refused_assignment_is_made_later, 0),
    CONFORMANCE_TEST(a_held_partition_waits_while_another_goes_on, 0),
    CONFORMANCE_TEST(a_hold_in_the_middle_stops_soon, 0),
    CONFORMANCE_TEST(the_end_is_told_and_told_again_when_it_moved, 0),
    CONFORMANCE_TEST(the_descriptor_tells_of_what_comes_after_a_rest, 0),
    CONFORMANCE_TEST(records_appended_by_another_thread_all_come, 0),
    CONFORMANCE_TEST(without_a_commit_latest_begins_at_the_end, 0),
    CONFORMANCE_TEST(without_a_commit_a_time_begins_at_its_first_record, 0),
    CONFORMANCE_TEST(a_time_later_than_every_record_begins_at_the_end, 0),
    CONFORMANCE_TEST(a_group_that_may_not_begin_is_fatal, 0),
    {{NULL, NULL, NULL, NULL, NULL}, 0},
};

#define TESTS_MAX 64

int source_conformance_run(const struct conformance_log_ops *log_ops)
{
    const struct conformance_test *const lists[] = {conformance_record_tests,
                                                    conformance_group_tests};
    struct CMUnitTest group[TESTS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < 2; i++) {
        for (const struct conformance_test *each = lists[i]; each->test.name != NULL; each++) {
            if ((each->needs & ~log_ops->can) != 0)
                continue;
            assert_true(count < TESTS_MAX);
            group[count] = each->test;
            group[count].initial_state = (void *)(uintptr_t)log_ops;
            count++;
        }
    }
    return check_run_tests(log_ops->name, group, count);
}
