/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance: commits, partitions that are taken away and given back, and the end. What a
 * source may never do at all is checked by lib/source_reader.c in each test. */
#include "lib/check.h"
#include "lib/source_fixture.h"

#include <stdlib.h>

/* ---- commits ---- */

static void a_commit_is_answered_once(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    struct reader *reader;

    fixture_topic(fixture, 1);
    fixture_append_many(fixture, 0, 0, 10);
    reader = fixture_read(fixture);
    assignment = reader_assigned(reader, TOPIC, 0, NULL);
    reader_read_to(reader, assignment, 10);
    assert_int_equal(fixture->ops->committed(fixture->log, TOPIC, 0), -1);

    for (int64_t offset = 0; offset <= 10; offset += 5) {
        assert_int_equal(reader_commit(reader, assignment, offset), KLANE_OK);
        assert_int_equal(fixture->ops->committed(fixture->log, TOPIC, 0), offset);
    }
    reader_drain(reader);

    assert_int_equal(reader->commits_answered, 3);
}

static void one_commit_covers_several_partitions(void **state)
{
    struct fixture *fixture = *state;
    struct source_commit *commits = calloc(8, sizeof(*commits));
    struct reader *reader;

    assert_non_null(commits);
    fixture_topic(fixture, 8);
    for (int32_t i = 0; i < 8; i++)
        fixture_append_many(fixture, i, 0, 10);
    reader = fixture_read(fixture);
    for (int32_t i = 0; i < 8; i++) {
        struct klane_assignment *assignment = reader_assigned(reader, TOPIC, i, NULL);

        reader_read_to(reader, assignment, 10);
        commits[i] = (struct source_commit){
            .assignment = assignment, .own = assignment->own, .offset = i + 1};
    }
    reader->commits_out++;
    reader->source->ops->commit(reader->source, commits, 8);
    free(commits);
    reader_poll_until(reader, reader->commits_out == 0);

    assert_int_equal(reader->commit_err, KLANE_OK);
    for (int32_t i = 0; i < 8; i++)
        assert_int_equal(fixture->ops->committed(fixture->log, TOPIC, i), i + 1);
}

static void the_answer_to_a_commit_rings(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    struct reader *reader;

    fixture_topic(fixture, 1);
    fixture_append_many(fixture, 0, 0, 10);
    reader = fixture_read(fixture);
    assignment = reader_assigned(reader, TOPIC, 0, NULL);
    reader_read_to(reader, assignment, 10);
    reader_drain(reader);

    reader_commit_begin(reader, assignment, 4);
    assert_true(reader_is_rung(reader, READER_PATIENCE_MS));
    reader_poll_until(reader, reader->commits_out == 0);

    assert_int_equal(reader->commit_err, KLANE_OK);
}

static void a_failed_commit_changes_nothing_and_can_be_repeated(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    struct reader *reader;

    fixture_topic(fixture, 1);
    fixture_append_many(fixture, 0, 0, 10);
    reader = fixture_read(fixture);
    assignment = reader_assigned(reader, TOPIC, 0, NULL);
    reader_read_to(reader, assignment, 10);
    fixture->ops->fail_commits(fixture->log, 2, KLANE_ERR_IO);

    for (int i = 0; i < 2; i++) {
        assert_int_equal(reader_commit(reader, assignment, 7), KLANE_ERR_IO);
        assert_int_equal(fixture->ops->committed(fixture->log, TOPIC, 0), -1);
    }
    assert_int_equal(reader_commit(reader, assignment, 7), KLANE_OK);
    assert_int_equal(fixture->ops->committed(fixture->log, TOPIC, 0), 7);
}

static void a_restart_begins_at_the_committed_offset(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    struct reader *reader;

    fixture_topic(fixture, 3);
    for (int32_t i = 0; i < 3; i++)
        fixture_append_many(fixture, i, 0, 30);
    reader = fixture_read(fixture);
    for (int32_t i = 0; i < 2; i++) {
        assignment = reader_assigned(reader, TOPIC, i, NULL);
        reader_read_to(reader, assignment, 30);
        assert_int_equal(reader_commit(reader, assignment, i == 0 ? 12 : 30), KLANE_OK);
    }
    reader_deinit(reader);

    /* Where to begin without a commit plays no part where there is one. */
    reader = fixture_read_topic(
        fixture, (struct source_topic){.name = TOPIC, .begin = KLANE_BEGIN_EARLIEST});
    for (int32_t i = 0; i < 3; i++) {
        const int64_t begins[] = {12, 30, 0};

        assignment = reader_assigned(reader, TOPIC, i, NULL);
        reader_read_to(reader, assignment, 30);
        assert_int_equal(assignment->begin, begins[i]);
        fixture_assert_records(assignment, begins[i], 30);
    }
}

/* ---- taking away, giving back ---- */

/* The reader's next source. */
static struct reader *restart(struct fixture *fixture)
{
    reader_deinit(&fixture->reader);
    fixture->reader.source = NULL;
    return fixture_read(fixture);
}

static void metadata_come_back_after_a_restart(void **state)
{
    static const char *const texts[] = {"k1 some text", NULL, "k1 other text"};
    struct fixture *fixture = *state;
    struct reader *reader;

    fixture_topic(fixture, 1);
    fixture_append_many(fixture, 0, 0, 10);
    reader = fixture_read(fixture);
    /* At one offset after the other, and at one that was committed before. */
    for (int i = 0; i < 3; i++) {
        int64_t offset = i == 0 ? 3 : 4;
        struct klane_assignment *assignment = reader_assigned(reader, TOPIC, 0, NULL);

        reader_read_to(reader, assignment, 10);
        assert_int_equal(reader_commit_with(reader, assignment, offset, texts[i]), KLANE_OK);
        reader = restart(fixture);
        assignment = reader_assigned(reader, TOPIC, 0, NULL);
        assert_int_equal(assignment->begin, offset);
        assert_string_equal(assignment->metadata, texts[i] == NULL ? "" : texts[i]);
    }
}

static void large_metadata_come_back(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    struct reader *reader = &fixture->reader;
    char text[4097];

    for (size_t i = 0; i < 4096; i++)
        text[i] = (char)(' ' + i % 95);
    text[4096] = '\0';
    assignment = fixture_read_through(fixture, 10);
    assert_int_equal(reader_commit_with(reader, assignment, 3, text), KLANE_OK);

    reader = restart(fixture);
    assert_string_equal(reader_assigned(reader, TOPIC, 0, NULL)->metadata, text);
}

static void metadata_come_back_with_a_revoked_partition(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *first, *second;
    struct reader *reader = &fixture->reader;

    first = fixture_read_through(fixture, 10);
    fixture->ops->revoke(fixture->log, TOPIC, 0, false);
    reader_poll_until(reader, first->revoked);
    assert_int_equal(reader_commit_with(reader, first, 5, "k1 left behind"), KLANE_OK);
    reader_give_up(reader, first);
    fixture->ops->assign(fixture->log, TOPIC, 0);

    second = reader_assigned(reader, TOPIC, 0, first);
    assert_int_equal(second->begin, 5);
    assert_string_equal(second->metadata, "k1 left behind");
}

static void reading_goes_on_where_control_says(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    struct reader *reader = &fixture->reader;

    assignment = fixture_read_through(fixture, 300);
    assert_int_equal(reader_commit_with(reader, assignment, 100, "k1"), KLANE_OK);

    reader = restart(fixture);
    reader->skip = 150;
    assignment = reader_assigned(reader, TOPIC, 0, NULL);
    reader_read_to(reader, assignment, 300);
    assert_true(assignment->is_committed);
    assert_int_equal(assignment->begin, 100);
    assert_true(assignment->log_end == -1 || assignment->log_end == 300);
    fixture_assert_records(assignment, 250, 300);
}

static void a_revoked_partition_comes_back_at_its_committed_offset(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *first;
    struct klane_assignment *second;
    struct reader *reader;

    fixture_topic(fixture, 2);
    fixture_append_many(fixture, 0, 0, 20);
    reader = fixture_read(fixture);
    first = reader_assigned(reader, TOPIC, 0, NULL);
    reader_read_to(reader, first, 20);
    fixture->ops->revoke(fixture->log, TOPIC, 0, false);
    reader_poll_until(reader, first->revoked);
    fixture_append_many(fixture, 0, 20, 20);
    fixture_append_many(fixture, 1, 0, 20);
    reader_read_to(reader, reader_assigned(reader, TOPIC, 1, NULL), 20);
    assert_int_equal(reader_commit(reader, first, 15), KLANE_OK);
    reader_give_up(reader, first);
    reader_drain(reader);
    assert_ptr_equal(reader_find(reader, TOPIC, 0), first);

    fixture->ops->assign(fixture->log, TOPIC, 0);
    second = reader_assigned(reader, TOPIC, 0, first);
    reader_read_to(reader, second, 40);

    fixture_assert_records(first, 0, 20);
    assert_int_equal(second->begin, 15);
    fixture_assert_records(second, 15, 40);
}

static void a_partition_given_back_early_is_given_up_first(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *first;
    struct klane_assignment *second;
    struct reader *reader;

    fixture_topic(fixture, 1);
    fixture_append_many(fixture, 0, 0, 20);
    reader = fixture_read(fixture);
    first = reader_assigned(reader, TOPIC, 0, NULL);
    reader_read_to(reader, first, 20);
    fixture->ops->revoke(fixture->log, TOPIC, 0, false);
    fixture->ops->assign(fixture->log, TOPIC, 0);
    reader_poll_until(reader, first->revoked);
    reader_drain(reader);
    assert_ptr_equal(reader_find(reader, TOPIC, 0), first);
    reader_give_up(reader, first);

    assert_true(reader_is_rung(reader, READER_PATIENCE_MS));
    second = reader_assigned(reader, TOPIC, 0, first);
    reader_read_to(reader, second, 20);

    fixture_assert_records(second, 0, 20);
}

static void nothing_comes_of_a_lost_partition(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *first;
    struct klane_assignment *second;
    struct reader *reader;

    fixture_topic(fixture, 1);
    fixture_append_many(fixture, 0, 0, 200);
    reader = fixture_read(fixture);
    first = reader_assigned(reader, TOPIC, 0, NULL);
    reader_poll_until(reader, first->record_count > 0);
    reader_drain(reader);
    fixture->ops->revoke(fixture->log, TOPIC, 0, true);
    fixture_append_many(fixture, 0, 200, 100);
    reader_poll_until(reader, first->lost);
    reader_drain(reader);

    fixture->ops->assign(fixture->log, TOPIC, 0);
    second = reader_assigned(reader, TOPIC, 0, first);
    reader_read_to(reader, second, 300);

    assert_false(first->revoked);
    fixture_assert_records(second, 0, 300);
}

static void a_partition_can_be_lost_while_it_is_given_up(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *first;
    struct reader *reader = &fixture->reader;

    first = fixture_read_through(fixture, 20);
    fixture->ops->revoke(fixture->log, TOPIC, 0, false);
    reader_poll_until(reader, first->revoked);
    fixture->ops->lose(fixture->log, TOPIC, 0);
    reader_poll_until(reader, first->lost);
    reader_drain(reader);

    assert_ptr_equal(reader_find(reader, TOPIC, 0), first);
}

static void a_commit_is_answered_though_its_partition_was_lost(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *first;
    struct reader *reader;

    fixture_topic(fixture, 1);
    fixture_append_many(fixture, 0, 0, 20);
    reader = fixture_read(fixture);
    first = reader_assigned(reader, TOPIC, 0, NULL);
    reader_read_to(reader, first, 20);
    fixture->ops->revoke(fixture->log, TOPIC, 0, true);
    reader_commit_begin(reader, first, 10);

    reader_poll_until(reader, first->lost && reader->commits_out == 0);

    assert_int_equal(reader->commits_answered, 1);
}

/* ---- the end ---- */

static void close_is_answered_whatever_is_still_to_do(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    struct reader *reader;

    fixture_topic(fixture, 2);
    fixture_append_many(fixture, 0, 0, 500);
    fixture_append_many(fixture, 1, 0, 500);
    reader = fixture_read(fixture);
    assignment = reader_assigned(reader, TOPIC, 0, NULL);
    reader_poll_until(reader, assignment->record_count > 0);
    reader_commit_begin(reader, assignment, assignment->records[0].record.offset);

    reader_deinit(reader); /* asserts that closed() comes once and that silence follows */
    reader->source = NULL;
}

static void close_right_after_start_is_answered(void **state)
{
    struct fixture *fixture = *state;

    fixture_topic(fixture, 2);
    fixture_append_many(fixture, 0, 0, 50);
    reader_deinit(fixture_read(fixture));
    fixture->reader.source = NULL;
}

static void a_source_that_was_never_started_can_be_destroyed(void **state)
{
    struct fixture *fixture = *state;
    struct klane_source *source;

    fixture_topic(fixture, 2);
    fixture_append_many(fixture, 0, 0, 50);
    source = fixture->ops->source(fixture->log);

    assert_non_null(source);
    assert_non_null(source->ops->name);
    source->ops->destroy(source);
}

const struct conformance_test conformance_group_tests[] = {
    CONFORMANCE_TEST(a_commit_is_answered_once, 0),
    CONFORMANCE_TEST(one_commit_covers_several_partitions, 0),
    CONFORMANCE_TEST(the_answer_to_a_commit_rings, 0),
    CONFORMANCE_TEST(a_failed_commit_changes_nothing_and_can_be_repeated,
                     CONFORMANCE_CAN_FAIL_COMMITS),
    CONFORMANCE_TEST(a_restart_begins_at_the_committed_offset, CONFORMANCE_CAN_RESTART),
    CONFORMANCE_TEST(metadata_come_back_after_a_restart, CONFORMANCE_CAN_RESTART),
    CONFORMANCE_TEST(large_metadata_come_back, CONFORMANCE_CAN_RESTART),
    CONFORMANCE_TEST(metadata_come_back_with_a_revoked_partition, CONFORMANCE_CAN_REVOKE),
    CONFORMANCE_TEST(reading_goes_on_where_control_says, CONFORMANCE_CAN_RESTART),
    CONFORMANCE_TEST(a_revoked_partition_comes_back_at_its_committed_offset,
                     CONFORMANCE_CAN_REVOKE),
    CONFORMANCE_TEST(a_partition_given_back_early_is_given_up_first, CONFORMANCE_CAN_REVOKE),
    CONFORMANCE_TEST(nothing_comes_of_a_lost_partition, CONFORMANCE_CAN_REVOKE),
    CONFORMANCE_TEST(a_partition_can_be_lost_while_it_is_given_up, CONFORMANCE_CAN_REVOKE),
    CONFORMANCE_TEST(a_commit_is_answered_though_its_partition_was_lost,
                     CONFORMANCE_CAN_REVOKE),
    CONFORMANCE_TEST(close_is_answered_whatever_is_still_to_do, 0),
    CONFORMANCE_TEST(close_right_after_start_is_answered, 0),
    CONFORMANCE_TEST(a_source_that_was_never_started_can_be_destroyed, 0),
    {{NULL, NULL, NULL, NULL, NULL}, 0},
};
