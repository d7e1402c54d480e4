/* SPDX-License-Identifier: Apache-2.0 */
/* The core while partitions stay: order, outcomes, quotas, commits, the end of the log. */
#include "lib/core_kit.h"

struct fixture {
    struct core_kit kit;
    struct klane_assignment *assignment; /* partition 0, from offset 0 */
};

static int setup(void **state)
{
    static struct fixture fixture;

    core_kit_init(&fixture.kit, core_kit_config());
    fixture.assignment = core_kit_assign(&fixture.kit, 0, 0);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    core_kit_deinit(&fixture->kit);
    return 0;
}

static int64_t base(const struct fixture *fixture)
{
    return assignment_base(fixture->assignment);
}

/* ---- order and outcomes ------------------------------------------------------------------ */

static void record_starts_only_when_the_one_before_it_in_its_lane_is_finished(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *first;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    core_kit_take_in(kit, fixture->assignment, 1, "a");
    first = core_kit_start(kit, 0);

    assert_null(core_next_ready(&kit->core));
    core_kit_back(kit, first, SLOT_DONE);
    core_kit_run(kit, 1);
    assert_int_equal(base(fixture), 2);
}

static void lanes_do_not_wait_for_each_other(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *stuck;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    core_kit_take_in(kit, fixture->assignment, 1, "b");
    core_kit_take_in(kit, fixture->assignment, 2, "b");
    stuck = core_kit_start(kit, 0);

    core_kit_run(kit, 1);
    core_kit_run(kit, 2);
    assert_int_equal(base(fixture), 0);
    core_kit_back(kit, stuck, SLOT_DONE);
    assert_int_equal(base(fixture), 3);
}

static void worker_passes_a_lane_on_without_asking(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *first, *second;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    core_kit_take_in(kit, fixture->assignment, 1, "a");
    first = core_kit_start(kit, 0);
    second = core_kit_pass(first);
    assert_non_null(second);
    assert_null(core_kit_pass(second));
    core_kit_take_in(kit, fixture->assignment, 2, "a");

    core_kit_report(kit, second);
    assert_int_equal(base(fixture), 0);
    core_kit_run(kit, 2);
    assert_int_equal(base(fixture), 0);
    core_kit_report(kit, first);
    assert_int_equal(base(fixture), 3);
    assert_int_equal(kit->core.counts.done, 3);
}

static void lane_of_a_partition_orders_records_of_all_keys(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    const struct core_place place = {.kind = LANE_OF_PARTITION};

    for (int64_t offset = 0; offset < 3; offset++) {
        struct source_record record = {.key = &"abc"[offset], .key_size = 1, .offset = offset};

        assert_true(core_take_in(&kit->core, fixture->assignment, &record, &place));
    }

    for (int64_t offset = 0; offset < 3; offset++) {
        struct klane_slot *slot = core_kit_start(kit, offset);

        assert_null(core_next_ready(&kit->core));
        core_kit_back(kit, slot, SLOT_DONE);
    }
}

static void retry_keeps_its_followers_waiting_until_it_is_done(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *slot;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    core_kit_take_in(kit, fixture->assignment, 1, "a");
    core_kit_back(kit, core_kit_start(kit, 0), SLOT_RETRY);
    core_kit_take_in(kit, fixture->assignment, 2, "a");
    assert_null(core_next_ready(&kit->core));
    assert_int_equal(core_next_due_ms(&kit->core), kit->now_ms + CORE_KIT_RETRY_MS);

    core_kit_wait(kit, CORE_KIT_RETRY_MS - 1);
    assert_null(core_next_ready(&kit->core));
    core_kit_wait(kit, 1);
    slot = core_kit_start(kit, 0);
    assert_int_equal(slot->record.attempt, 2);
    assert_null(core_next_ready(&kit->core));
    core_kit_back(kit, slot, SLOT_DONE);
    core_kit_run(kit, 1);
    core_kit_run(kit, 2);
    assert_int_equal(kit->core.counts.retried, 1);
}

static void retry_of_a_passed_on_record_keeps_its_followers_too(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *first, *second;

    for (int64_t offset = 0; offset < 3; offset++)
        core_kit_take_in(kit, fixture->assignment, offset, "a");
    first = core_kit_start(kit, 0);
    second = core_kit_pass(first);
    core_kit_back(kit, second, SLOT_RETRY);
    core_kit_report(kit, first);

    assert_int_equal(base(fixture), 1);
    core_kit_wait(kit, CORE_KIT_RETRY_MS);
    core_kit_run(kit, 1);
    core_kit_run(kit, 2);
}

static void retries_come_back_by_their_due_times(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    static const int64_t delays_ms[] = {30, 10, 20};

    for (int64_t offset = 0; offset < 3; offset++) {
        struct klane_slot *slot;

        core_kit_take_in(kit, fixture->assignment, offset, NULL);
        slot = core_kit_start(kit, offset);
        slot->back.outcome = SLOT_RETRY;
        core_came_back(&kit->core, slot, delays_ms[offset], kit->now_ms);
    }

    core_kit_wait(kit, 20);
    core_kit_run(kit, 1);
    core_kit_run(kit, 2);
    assert_null(core_next_ready(&kit->core));
    core_kit_wait(kit, 10);
    core_kit_run(kit, 0);
}

static void later_is_a_slot_that_stays_out(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *later;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    core_kit_take_in(kit, fixture->assignment, 1, "a");
    core_kit_take_in(kit, fixture->assignment, 2, "b");
    later = core_kit_start(kit, 0);
    later->back.token = 77;

    core_kit_run(kit, 2);
    core_kit_wait(kit, 1000000);
    assert_null(core_next_ready(&kit->core));
    core_kit_back(kit, later, SLOT_RETRY);
    assert_int_equal(later->back.token, 0);
    core_kit_wait(kit, CORE_KIT_RETRY_MS);
    core_kit_run(kit, 0);
    core_kit_run(kit, 1);
}

static void skipped_record_lets_its_lane_go_on_and_counts_as_finished(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    core_kit_take_in(kit, fixture->assignment, 1, "a");
    core_kit_back(kit, core_kit_start(kit, 0), SLOT_SKIPPED);

    assert_int_equal(base(fixture), 1);
    assert_int_equal(kit->core.counts.skipped, 1);
    core_kit_run(kit, 1);
}

static void not_started_in_an_active_assignment_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *slot;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    slot = core_kit_start(kit, 0);

    slot->back.outcome = SLOT_NOT_STARTED;
    expect_assert_failure(core_came_back(&kit->core, slot, 0, 0));

    core_kit_back(kit, slot, SLOT_DONE);
}

/* ---- admission --------------------------------------------------------------------------- */

static void lane_at_its_quota_holds_its_partition_until_it_is_half_empty(void **state)
{
    enum { QUOTA = 100 };
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_assignment *other = core_kit_assign(kit, 1, 0), *told;
    int64_t offset = 0;

    for (; offset < QUOTA - 1; offset++)
        core_kit_take_in(kit, fixture->assignment, offset, "a");
    core_kit_take_in(kit, other, 0, "a");
    assert_int_equal(core_kit_notice(kit), 0);
    core_kit_take_in(kit, fixture->assignment, offset, "a");
    assert_int_equal(core_next_notice(&kit->core, &told), NOTICE_HELD);
    assert_ptr_equal(told, fixture->assignment);
    assert_int_equal(core_kit_notice(kit), 0);

    core_kit_run(kit, 0);
    core_kit_run(kit, 0);
    for (offset = 1; offset < QUOTA / 2 - 1; offset++)
        core_kit_run(kit, offset);
    assert_int_equal(core_kit_notice(kit), 0);
    core_kit_run(kit, offset);
    assert_int_equal(core_next_notice(&kit->core, &told), NOTICE_RELEASED);
    assert_ptr_equal(told, fixture->assignment);
    for (offset++; offset < QUOTA; offset++)
        core_kit_run(kit, offset);
    assert_int_equal(core_kit_notice(kit), 0);
    assert_int_equal(kit->core.counts.holds, 1);
}

static void partition_is_released_when_the_last_lane_is_in_bounds(void **state)
{
    struct core_config config = core_kit_config();
    struct core_kit kit;
    struct klane_assignment *assignment;

    (void)state;
    config.lane_records_max = 2;
    core_kit_init(&kit, config);
    assignment = core_kit_assign(&kit, 0, 0);
    for (int64_t offset = 0; offset < 4; offset++)
        core_kit_take_in(&kit, assignment, offset, offset < 2 ? "a" : "b");
    assert_int_equal(core_kit_notice(&kit), NOTICE_HELD);

    core_kit_run(&kit, 0);
    assert_int_equal(core_kit_notice(&kit), 0);
    core_kit_run(&kit, 2);
    assert_int_equal(core_kit_notice(&kit), NOTICE_RELEASED);

    core_kit_run(&kit, 1);
    core_kit_run(&kit, 3);
    core_kit_deinit(&kit);
}

static void hold_that_came_and_went_unseen_ends_as_a_release(void **state)
{
    struct core_config config = core_kit_config();
    struct core_kit kit;
    struct klane_assignment *assignment;

    (void)state;
    config.lane_records_max = 1;
    core_kit_init(&kit, config);
    assignment = core_kit_assign(&kit, 0, 0);

    core_kit_take_in(&kit, assignment, 0, "a");
    core_kit_run(&kit, 0);
    assert_int_equal(core_kit_notice(&kit), NOTICE_RELEASED);
    assert_int_equal(core_kit_notice(&kit), 0);
    core_kit_take_in(&kit, assignment, 1, "a");
    core_kit_run(&kit, 1);
    core_kit_take_in(&kit, assignment, 2, "a");
    assert_int_equal(core_kit_notice(&kit), NOTICE_HELD);
    assert_int_equal(core_kit_notice(&kit), 0);

    core_kit_run(&kit, 2);
    core_kit_deinit(&kit);
}

static void room_is_what_records_max_leaves(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    for (int64_t offset = 0; offset < 1000; offset++) {
        assert_int_equal(core_room(&kit->core), 1000 - offset);
        core_kit_take_in(kit, fixture->assignment, offset, NULL);
    }

    expect_assert_failure(core_kit_try(kit, fixture->assignment, 1000, NULL));
    core_kit_run(kit, 0);
    assert_int_equal(core_room(&kit->core), 1);
    for (int64_t offset = 1; offset < 1000; offset++)
        core_kit_run(kit, offset);
}

static void what_runs_or_waits_for_a_retry_takes_room(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *running;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    core_kit_take_in(kit, fixture->assignment, 1, "b");
    running = core_kit_start(kit, 0);
    core_kit_back(kit, core_kit_start(kit, 1), SLOT_RETRY);
    assert_int_equal(core_room(&kit->core), 998);

    core_kit_back(kit, running, SLOT_DONE);
    assert_int_equal(core_room(&kit->core), 999);
    core_kit_wait(kit, CORE_KIT_RETRY_MS);
    core_kit_run(kit, 1);
    assert_int_equal(core_room(&kit->core), 1000);
}

/* ---- commits and the end of the log ------------------------------------------------------ */

static void commit_comes_an_interval_after_the_last_one(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    core_kit_run(kit, 0);
    assert_int_equal(core_next_due_ms(&kit->core), kit->now_ms + 1000);
    core_kit_wait(kit, 999);
    assert_int_equal(core_kit_commit_send(kit, fixture->assignment), -1);
    core_kit_wait(kit, 1);

    assert_int_equal(core_kit_commit_send(kit, fixture->assignment), 1);
    core_kit_commit_answer(kit, true);
    assert_int_equal(fixture->assignment->committed, 1);
    assert_true(core_next_due_ms(&kit->core) == INT64_MAX);
}

static void commit_comes_at_once_after_enough_records(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    for (int64_t offset = 0; offset < 1000; offset++) {
        assert_int_equal(core_kit_commit_send(kit, fixture->assignment), -1);
        core_kit_take_in(kit, fixture->assignment, offset, NULL);
        core_kit_run(kit, offset);
    }

    assert_int_equal(core_kit_commit_send(kit, fixture->assignment), 1000);
    core_kit_commit_answer(kit, true);
}

static void second_commit_waits_for_the_answer_to_the_first(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    core_kit_take_in(kit, fixture->assignment, 1, "a");
    core_kit_run(kit, 0);
    core_kit_wait(kit, 1000);
    assert_int_equal(core_kit_commit_send(kit, fixture->assignment), 1);
    core_kit_run(kit, 1);
    core_kit_wait(kit, 5000);

    assert_int_equal(core_kit_commit_send(kit, fixture->assignment), -1);
    core_kit_commit_answer(kit, true);
    assert_int_equal(core_kit_commit_send(kit, fixture->assignment), 2);
    core_kit_commit_answer(kit, true);
}

static void failed_commit_is_sent_again_with_the_newest_base(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    core_kit_take_in(kit, fixture->assignment, 1, "a");
    core_kit_run(kit, 0);
    core_kit_wait(kit, 1000);
    assert_int_equal(core_kit_commit_send(kit, fixture->assignment), 1);
    core_kit_wait(kit, 1000);
    core_kit_commit_answer(kit, false);
    core_kit_run(kit, 1);

    assert_int_equal(core_kit_commit_send(kit, fixture->assignment), -1);
    core_kit_wait(kit, COMMIT_RETRY_MS);
    assert_int_equal(core_kit_commit_send(kit, fixture->assignment), 2);
    core_kit_commit_answer(kit, true);
    assert_int_equal(kit->core.counts.commits_failed, 1);
    assert_int_equal(kit->core.counts.commits, 1);
}

static void caught_up_is_all_taken_in_finished_and_every_end_known(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_assignment *other = core_kit_assign(kit, 1, 50);

    assert_false(core_is_caught_up(&kit->core));
    core_end(&kit->core, fixture->assignment, 0);
    assert_false(core_is_caught_up(&kit->core));
    core_end(&kit->core, other, 50);
    assert_true(core_is_caught_up(&kit->core));
    core_kit_take_in(kit, other, 50, "a");
    core_kit_run(kit, 50);
    assert_false(core_is_caught_up(&kit->core));
    core_kit_take_in(kit, other, 51, "a");
    core_end(&kit->core, other, 52);
    assert_false(core_is_caught_up(&kit->core));
    core_kit_run(kit, 51);

    assert_true(core_is_caught_up(&kit->core));
}

static void what_is_missing_before_the_end_is_committed_past(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *first, *second;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    core_kit_take_in(kit, fixture->assignment, 3, "b");
    first = core_kit_start(kit, 0);
    second = core_kit_start(kit, 3);
    core_end(&kit->core, fixture->assignment, 9);
    core_kit_back(kit, second, SLOT_DONE);
    core_kit_wait(kit, 1000);
    assert_int_equal(core_kit_commit_send(kit, fixture->assignment), -1);
    core_kit_back(kit, first, SLOT_DONE);
    core_kit_wait(kit, 1000);
    assert_int_equal(core_kit_commit_send(kit, fixture->assignment), 9);
    core_kit_commit_answer(kit, true);

    /* Also when nothing was taken in since. */
    core_end(&kit->core, fixture->assignment, 12);
    core_kit_wait(kit, 1000);
    assert_int_equal(core_kit_commit_send(kit, fixture->assignment), 12);
    core_kit_commit_answer(kit, true);
}

static void core_without_partitions_is_not_caught_up(void **state)
{
    struct fixture *fixture = *state;

    core_end(&fixture->kit.core, fixture->assignment, 0);
    core_kit_lose(&fixture->kit, fixture->assignment);

    assert_false(core_is_caught_up(&fixture->kit.core));
}

/* It is only on its way back. */
static void what_has_passed_is_not_counted_for_a_batch(void **state)
{
    const struct gather_rule rule = {.records_max = 3, .records_min = 2, .wait_ms = 100};
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *first;

    assert_true(core_gathers(&kit->core, &rule, 1));
    core_kit_take_in(kit, fixture->assignment, 0, "a");
    assert_null(core_next_ready(&kit->core));
    core_kit_wait(kit, rule.wait_ms);
    first = core_kit_start(kit, 0);
    assert_null(core_kit_pass(first));

    core_kit_take_in(kit, fixture->assignment, 1, "a");

    assert_null(core_next_ready(&kit->core));
    core_kit_report(kit, first);
    assert_null(core_next_ready(&kit->core));
    core_kit_take_in(kit, fixture->assignment, 2, "a");
    core_kit_run(kit, 1);
    core_kit_wait(kit, rule.wait_ms);
    core_kit_run(kit, 2);
}

#define CORE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest core_tests[] = {
        CORE_TEST(record_starts_only_when_the_one_before_it_in_its_lane_is_finished),
        CORE_TEST(lanes_do_not_wait_for_each_other),
        CORE_TEST(worker_passes_a_lane_on_without_asking),
        CORE_TEST(lane_of_a_partition_orders_records_of_all_keys),
        CORE_TEST(what_has_passed_is_not_counted_for_a_batch),
        CORE_TEST(retry_keeps_its_followers_waiting_until_it_is_done),
        CORE_TEST(retry_of_a_passed_on_record_keeps_its_followers_too),
        CORE_TEST(retries_come_back_by_their_due_times),
        CORE_TEST(later_is_a_slot_that_stays_out),
        CORE_TEST(skipped_record_lets_its_lane_go_on_and_counts_as_finished),
        CORE_TEST(not_started_in_an_active_assignment_is_noticed),
        CORE_TEST(lane_at_its_quota_holds_its_partition_until_it_is_half_empty),
        cmocka_unit_test(partition_is_released_when_the_last_lane_is_in_bounds),
        cmocka_unit_test(hold_that_came_and_went_unseen_ends_as_a_release),
        CORE_TEST(room_is_what_records_max_leaves),
        CORE_TEST(what_runs_or_waits_for_a_retry_takes_room),
        CORE_TEST(commit_comes_an_interval_after_the_last_one),
        CORE_TEST(commit_comes_at_once_after_enough_records),
        CORE_TEST(second_commit_waits_for_the_answer_to_the_first),
        CORE_TEST(failed_commit_is_sent_again_with_the_newest_base),
        CORE_TEST(caught_up_is_all_taken_in_finished_and_every_end_known),
        CORE_TEST(what_is_missing_before_the_end_is_committed_past),
        CORE_TEST(core_without_partitions_is_not_caught_up),
    };

    return check_run(core_tests);
}
