/* SPDX-License-Identifier: Apache-2.0 */
/* Commits: when one is due, what it takes along, and what becomes of its answer. */
#include "lib/check.h"

#include "core/assignment.h"
#include "core/commit.h"

enum { ASSIGNMENTS = 3, INTERVAL_MS = 1000, RECORDS = 10 };

struct fixture {
    struct commit commit;
    struct partition partitions[ASSIGNMENTS];
    struct klane_assignment assignments[ASSIGNMENTS];
};

static int setup(void **state)
{
    static struct fixture fixture;

    commit_init(&fixture.commit, INTERVAL_MS, RECORDS);
    for (int i = 0; i < ASSIGNMENTS; i++)
        assignment_init(&fixture.assignments[i], &fixture.partitions[i], 1, 0, NULL);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 0; i < ASSIGNMENTS; i++)
        assignment_deinit(&fixture->assignments[i]);
    return 0;
}

/* The assignment's base is offset from now on. */
static void advance(struct fixture *fixture, int which, int64_t offset)
{
    fixture->assignments[which].offsets.frontier = offset;
    commit_count_finished(&fixture->commit);
    commit_mark(&fixture->commit, &fixture->assignments[which]);
}

static void nothing_is_due_while_nothing_was_finished(void **state)
{
    struct fixture *fixture = *state;

    assert_true(commit_due_ms(&fixture->commit, false) == INT64_MAX);
    assert_true(commit_due_ms(&fixture->commit, true) == INT64_MAX);
}

static void commit_is_due_an_interval_after_the_last(void **state)
{
    struct fixture *fixture = *state;

    advance(fixture, 0, 5);
    assert_non_null(commit_send(&fixture->commit, 7000));
    commit_answer(&fixture->commit, true, 7010);
    advance(fixture, 0, 6);

    assert_int_equal(commit_due_ms(&fixture->commit, false), 7000 + INTERVAL_MS);
}

static void enough_finished_records_make_it_due_at_once(void **state)
{
    struct fixture *fixture = *state;

    fixture->commit.sent_ms = 7000;
    for (int i = 1; i < RECORDS; i++)
        advance(fixture, 0, i);
    assert_int_equal(commit_due_ms(&fixture->commit, false), 7000 + INTERVAL_MS);
    advance(fixture, 0, RECORDS);

    assert_int_equal(commit_due_ms(&fixture->commit, false), 0);
}

static void records_are_counted_from_the_last_commit(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 1; i <= RECORDS; i++)
        advance(fixture, 0, i);
    commit_send(&fixture->commit, 7000);
    commit_answer(&fixture->commit, true, 7000);
    advance(fixture, 0, RECORDS + 1);

    assert_int_equal(commit_due_ms(&fixture->commit, false), 7000 + INTERVAL_MS);
}

static void settling_assignment_makes_it_due_at_once(void **state)
{
    struct fixture *fixture = *state;

    fixture->commit.sent_ms = 7000;
    advance(fixture, 0, 1);

    assert_int_equal(commit_due_ms(&fixture->commit, true), 0);
}

static void no_commit_is_due_while_one_is_out(void **state)
{
    struct fixture *fixture = *state;

    advance(fixture, 0, 1);
    assert_non_null(commit_send(&fixture->commit, 0));
    advance(fixture, 1, 1);

    assert_true(commit_due_ms(&fixture->commit, true) == INT64_MAX);
    expect_assert_failure(commit_send(&fixture->commit, 0));
}

static void commit_takes_each_assignment_with_a_new_base_once(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *sent;

    advance(fixture, 0, 5);
    advance(fixture, 0, 6);
    advance(fixture, 2, 9);
    commit_mark(&fixture->commit, &fixture->assignments[1]);
    sent = commit_send(&fixture->commit, 0);

    assert_ptr_equal(sent, &fixture->assignments[2]);
    assert_ptr_equal(sent->committing_next, &fixture->assignments[0]);
    assert_null(fixture->assignments[0].committing_next);
    assert_int_equal(fixture->assignments[0].committing, 6);
    assert_int_equal(fixture->assignments[1].committing, -1);
    assert_int_equal(fixture->assignments[2].committing, 9);
}

static void what_was_dirty_is_answered_whatever_came_since(void **state)
{
    struct fixture *fixture = *state;
    struct commit *commit = &fixture->commit;
    uint64_t marks;

    assert_true(commit_is_answered(commit, commit->marks));
    advance(fixture, 0, 5);
    advance(fixture, 1, 5);
    marks = commit->marks;
    assert_false(commit_is_answered(commit, marks));
    commit_send(commit, 0);
    advance(fixture, 0, 6);
    assert_false(commit_is_answered(commit, marks));
    commit_answer(commit, true, 0);
    assert_true(commit_is_answered(commit, marks));
    assert_false(commit_is_answered(commit, commit->marks));
    assert_int_equal(commit->failures, 0);
    commit_send(commit, 0);
    commit_answer(commit, false, 0);
    assert_int_equal(commit->failures, 1);
}

/* Its text is not looked at here. */
static void set_map(struct fixture *fixture, int which, uint32_t size)
{
    fixture->assignments[which].map.mark.size = size;
}

/* Two maps are more than a commit takes. */
static void what_is_left_for_the_next_commit_is_not_answered_by_this(void **state)
{
    struct fixture *fixture = *state;
    struct commit *commit = &fixture->commit;
    uint64_t marks;

    for (int i = 0; i < ASSIGNMENTS; i++)
        advance(fixture, i, 5);
    marks = commit->marks;
    for (int i = 0; i < ASSIGNMENTS; i++) {
        assignment_move(&fixture->assignments[i], ASSIGNMENT_DRAINING);
        assignment_move(&fixture->assignments[i], ASSIGNMENT_SETTLING);
        set_map(fixture, i, COMMIT_MAPS_BYTES / 2 + 1);
    }
    for (int i = 0; i < ASSIGNMENTS; i++) {
        assert_false(commit_is_answered(commit, marks));
        assert_non_null(commit_send(commit, 0));
        assert_false(commit_is_answered(commit, marks));
        commit_answer(commit, true, 0);
        assert_int_equal(fixture->assignments[i].committed, 5);
    }
    assert_true(commit_is_answered(commit, marks));
}

static void records_are_counted_without_an_end(void **state)
{
    struct fixture *fixture = *state;
    struct commit *commit = &fixture->commit;

    commit->records = UINT32_MAX;
    commit->sent_ms = 7000;
    advance(fixture, 0, 1);
    commit_hurry(commit);
    commit_count_finished(commit);

    assert_int_equal(commit_due_ms(commit, false), 0);
}

static void what_ends_with_something_to_commit_is_counted(void **state)
{
    struct fixture *fixture = *state;
    struct commit *commit = &fixture->commit;

    commit_forget(commit, &fixture->assignments[0]);
    assert_int_equal(commit->forgotten, 0);
    for (int i = 0; i < ASSIGNMENTS; i++)
        advance(fixture, i, 5);
    commit_forget(commit, &fixture->assignments[2]);
    assert_int_equal(commit->forgotten, 1);
    advance(fixture, 2, 5);
    commit_send(commit, 0);
    commit_forget(commit, &fixture->assignments[0]);
    assert_int_equal(commit->forgotten, 2);
}

static void commit_without_a_new_base_is_not_sent(void **state)
{
    struct fixture *fixture = *state;

    commit_mark(&fixture->commit, &fixture->assignments[0]);

    assert_null(commit_send(&fixture->commit, 0));
    assert_true(commit_due_ms(&fixture->commit, false) == INT64_MAX);
    advance(fixture, 0, 1);
    assert_non_null(commit_send(&fixture->commit, 0));
}

static void committed_is_what_was_acknowledged_and_not_what_was_sent(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment = &fixture->assignments[0];

    advance(fixture, 0, 5);
    commit_send(&fixture->commit, 0);
    assert_int_equal(assignment->committed, 0);
    advance(fixture, 0, 8);
    commit_answer(&fixture->commit, true, 10);

    assert_int_equal(assignment->committed, 5);
    assert_true(assignment->ever_committed);
    assert_ptr_equal(commit_send(&fixture->commit, 2000), assignment);
    assert_int_equal(assignment->committing, 8);
}

static void failed_commit_is_sent_again_after_a_pause(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment = &fixture->assignments[0];

    advance(fixture, 0, 5);
    commit_send(&fixture->commit, 0);
    commit_answer(&fixture->commit, false, 5000);

    assert_int_equal(assignment->committed, 0);
    assert_false(assignment->ever_committed);
    assert_int_equal(commit_due_ms(&fixture->commit, true), 5000 + COMMIT_RETRY_MS);
    assert_ptr_equal(commit_send(&fixture->commit, 5200), assignment);
    assert_int_equal(assignment->committing, 5);
}

static void refused_part_is_sent_again_and_the_rest_is_committed(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *refused = &fixture->assignments[0];
    struct klane_assignment *other = &fixture->assignments[1];

    advance(fixture, 0, 5);
    advance(fixture, 1, 6);
    commit_send(&fixture->commit, 1000);
    commit_refuse(&fixture->commit, refused, false);
    commit_answer(&fixture->commit, true, 1010);

    assert_int_equal(refused->committed, 0);
    assert_int_equal(refused->committing, -1);
    assert_int_equal(other->committed, 6);
    /* Also where nothing waits but that: not in a hurry. */
    assert_int_equal(commit_due_ms(&fixture->commit, true), 1010 + COMMIT_RETRY_MS);
    assert_ptr_equal(commit_send(&fixture->commit, 2000), refused);
    assert_null(refused->committing_next);
    assert_int_equal(refused->committing, 5);
}

static void forgotten_assignment_is_in_no_list(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 0; i < ASSIGNMENTS; i++)
        advance(fixture, i, 5);
    commit_send(&fixture->commit, 0);
    for (int i = 0; i < ASSIGNMENTS; i++)
        advance(fixture, i, 6);
    commit_forget(&fixture->commit, &fixture->assignments[1]);
    commit_answer(&fixture->commit, true, 10);

    assert_int_equal(fixture->assignments[0].committed, 5);
    assert_int_equal(fixture->assignments[1].committed, 0);
    assert_int_equal(fixture->assignments[2].committed, 5);
    commit_send(&fixture->commit, 2000);
    assert_int_equal(fixture->assignments[1].committing, -1);
    assert_int_equal(fixture->assignments[2].committing, 6);
}

static void commit_stays_out_when_all_that_it_carried_is_forgotten(void **state)
{
    struct fixture *fixture = *state;

    advance(fixture, 0, 5);
    commit_send(&fixture->commit, 0);
    commit_forget(&fixture->commit, &fixture->assignments[0]);
    advance(fixture, 1, 5);

    assert_true(commit_due_ms(&fixture->commit, true) == INT64_MAX);
    commit_answer(&fixture->commit, true, 10);
    assert_int_equal(commit_due_ms(&fixture->commit, true), 0);
}

static void base_below_the_committed_offset_is_noticed(void **state)
{
    struct fixture *fixture = *state;

    advance(fixture, 0, 5);
    fixture->assignments[0].committed = 6;

    expect_assert_failure(commit_send(&fixture->commit, 0));
}

#define COMMIT_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest commit_tests[] = {
        COMMIT_TEST(nothing_is_due_while_nothing_was_finished),
        COMMIT_TEST(commit_is_due_an_interval_after_the_last),
        COMMIT_TEST(enough_finished_records_make_it_due_at_once),
        COMMIT_TEST(records_are_counted_from_the_last_commit),
        COMMIT_TEST(settling_assignment_makes_it_due_at_once),
        COMMIT_TEST(no_commit_is_due_while_one_is_out),
        COMMIT_TEST(commit_takes_each_assignment_with_a_new_base_once),
        COMMIT_TEST(what_was_dirty_is_answered_whatever_came_since),
        COMMIT_TEST(what_is_left_for_the_next_commit_is_not_answered_by_this),
        COMMIT_TEST(records_are_counted_without_an_end),
        COMMIT_TEST(what_ends_with_something_to_commit_is_counted),
        COMMIT_TEST(commit_without_a_new_base_is_not_sent),
        COMMIT_TEST(committed_is_what_was_acknowledged_and_not_what_was_sent),
        COMMIT_TEST(failed_commit_is_sent_again_after_a_pause),
        COMMIT_TEST(refused_part_is_sent_again_and_the_rest_is_committed),
        COMMIT_TEST(forgotten_assignment_is_in_no_list),
        COMMIT_TEST(commit_stays_out_when_all_that_it_carried_is_forgotten),
        COMMIT_TEST(base_below_the_committed_offset_is_noticed),
    };

    return check_run(commit_tests);
}
