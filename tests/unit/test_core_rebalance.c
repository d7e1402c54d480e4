/* SPDX-License-Identifier: Apache-2.0 */
/* The core while partitions go and come back: drains, fences, last commits, G1 beside a handler
 * of the last stay. */
#include "lib/core_kit.h"

enum { DRAIN_MS = 2000, SETTLE_MS = 500 };

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

/* ---- drains ------------------------------------------------------------------------------ */

static void idle_partition_is_given_up_at_once(void **state)
{
    struct fixture *fixture = *state;

    core_kit_revoke(&fixture->kit, fixture->assignment);

    core_kit_settle(&fixture->kit, fixture->assignment);
    assert_int_equal(fixture->kit.core.assigned, 0);
}

static void drain_ends_when_what_runs_came_back_and_is_committed(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *slot;

    for (int64_t offset = 0; offset < 3; offset++)
        core_kit_take_in(kit, fixture->assignment, offset, "a");
    slot = core_kit_start(kit, 0);
    core_kit_revoke(kit, fixture->assignment);
    assert_int_equal(core_kit_notice(kit), 0);
    assert_false(assignment_may_start(fixture->assignment));
    assert_int_equal(kit->core.counts.not_started, 2);

    core_kit_back(kit, slot, SLOT_DONE);
    assert_null(core_next_ready(&kit->core));
    assert_int_equal(core_kit_commit_send(kit, fixture->assignment), 1);
    assert_int_equal(core_kit_notice(kit), 0);
    core_kit_commit_answer(kit, true);
    assert_int_equal(core_kit_notice(kit), NOTICE_SETTLED);
    assert_int_equal(fixture->assignment->committed, 1);
    core_kit_wait(kit, 1);
    assert_int_equal(core_kit_notice(kit), 0);
    core_given_up(&kit->core, fixture->assignment);
}

static void revoke_drops_what_waits_for_a_worker_or_for_a_retry(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    core_kit_run(kit, 0);
    core_kit_take_in(kit, fixture->assignment, 1, "retry");
    core_kit_take_in(kit, fixture->assignment, 2, "retry");
    core_kit_back(kit, core_kit_start(kit, 1), SLOT_RETRY);
    core_kit_take_in(kit, fixture->assignment, 3, "ready");
    core_kit_take_in(kit, fixture->assignment, 4, "ready");
    core_kit_revoke(kit, fixture->assignment);

    assert_true(core_is_empty(&kit->core));
    assert_int_equal(assignment_base(fixture->assignment), 1);
    assert_null(core_next_ready(&kit->core));
    core_kit_settle(kit, fixture->assignment);
}

static void revoke_leaves_what_other_partitions_have(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_assignment *other = core_kit_assign(kit, 1, 0);
    struct klane_slot *running;

    core_kit_take_in(kit, other, 0, "a");
    core_kit_take_in(kit, other, 1, "a");
    running = core_kit_start(kit, 0);
    core_kit_take_in(kit, other, 2, "b");
    core_kit_take_in(kit, other, 3, "c");
    core_kit_back(kit, core_kit_start(kit, 2), SLOT_RETRY);
    core_kit_take_in(kit, fixture->assignment, 0, "a");
    core_kit_revoke(kit, fixture->assignment);

    assert_int_equal(kit->core.counts.not_started, 1);
    assert_int_equal(kit->core.admission.records, 4);
    core_kit_back(kit, running, SLOT_DONE);
    core_kit_run(kit, 3);
    core_kit_run(kit, 1);
    core_kit_wait(kit, CORE_KIT_RETRY_MS);
    core_kit_run(kit, 2);
    assert_int_equal(assignment_base(other), 4);
    core_kit_settle(kit, fixture->assignment);
}

static void successor_that_a_worker_got_comes_back_not_started(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *first, *second;

    for (int64_t offset = 0; offset < 4; offset++)
        core_kit_take_in(kit, fixture->assignment, offset, "a");
    first = core_kit_start(kit, 0);
    second = core_kit_pass(first);
    core_kit_revoke(kit, fixture->assignment);
    assert_false(assignment_may_start(second->record.assignment));

    core_kit_back(kit, second, SLOT_NOT_STARTED);
    assert_int_equal(assignment_base(fixture->assignment), 0);
    core_kit_report(kit, first);
    assert_int_equal(assignment_base(fixture->assignment), 1);
    core_kit_settle(kit, fixture->assignment);
}

static void retry_while_draining_leaves_the_record_unfinished(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *failing, *good;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    core_kit_take_in(kit, fixture->assignment, 1, "b");
    failing = core_kit_start(kit, 0);
    good = core_kit_start(kit, 1);
    core_kit_revoke(kit, fixture->assignment);
    core_kit_back(kit, failing, SLOT_RETRY);
    core_kit_back(kit, good, SLOT_DONE);

    assert_int_equal(assignment_base(fixture->assignment), 0);
    assert_int_equal(kit->core.timers.count, 0);
    core_kit_settle(kit, fixture->assignment);
}

static void drain_ends_at_its_deadline_with_the_rest_unfinished(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *stuck;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    core_kit_take_in(kit, fixture->assignment, 1, "b");
    core_kit_run(kit, 0);
    stuck = core_kit_start(kit, 1);
    core_kit_revoke(kit, fixture->assignment);
    core_kit_revoke(kit, fixture->assignment);
    assert_int_equal(core_next_due_ms(&kit->core), kit->now_ms + 1000);
    core_kit_wait(kit, DRAIN_MS - 1);
    assert_int_equal(assignment_state(fixture->assignment), ASSIGNMENT_DRAINING);
    core_kit_wait(kit, 1);

    assert_int_equal(assignment_state(fixture->assignment), ASSIGNMENT_SETTLING);
    core_kit_settle(kit, fixture->assignment);
    assert_int_equal(kit->core.counts.fenced, 0);
    core_kit_back(kit, stuck, SLOT_DONE);
    assert_int_equal(kit->core.counts.fenced, 1);
    assert_null(kit->core.assignments);
}

/* Control was late: what has come back counts, all of it, before the deadline does. */
static void what_came_back_before_a_deadline_was_looked_at_counts(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *first, *second, *stuck;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    core_kit_take_in(kit, fixture->assignment, 1, "b");
    core_kit_take_in(kit, fixture->assignment, 2, "c");
    first = core_kit_start(kit, 0);
    second = core_kit_start(kit, 1);
    stuck = core_kit_start(kit, 2);
    core_kit_revoke(kit, fixture->assignment);
    kit->now_ms += DRAIN_MS + 1;
    core_kit_back(kit, first, SLOT_DONE);
    core_kit_back(kit, second, SLOT_DONE);
    core_kit_wait(kit, 0);

    assert_int_equal(assignment_state(fixture->assignment), ASSIGNMENT_SETTLING);
    assert_int_equal(kit->core.counts.fenced, 0);
    assert_int_equal(core_kit_commit_send(kit, fixture->assignment), 2);
    core_kit_commit_answer(kit, true);
    core_kit_settle(kit, fixture->assignment);
    core_kit_back(kit, stuck, SLOT_DONE);
    assert_null(kit->core.assignments);
}

static void drain_does_not_wait_for_records_that_run_too_long(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *overdue, *usual;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    core_kit_take_in(kit, fixture->assignment, 1, "b");
    usual = core_kit_start(kit, 0);
    overdue = core_kit_start(kit, 1);
    core_kit_revoke(kit, fixture->assignment);
    core_overdue(&kit->core, overdue, kit->now_ms);
    core_verify(&kit->core);
    assert_int_equal(assignment_state(fixture->assignment), ASSIGNMENT_DRAINING);
    assert_int_equal(core_next_due_ms(&kit->core), kit->now_ms + DRAIN_MS);
    core_kit_back(kit, usual, SLOT_DONE);

    assert_int_equal(assignment_state(fixture->assignment), ASSIGNMENT_SETTLING);
    core_kit_settle(kit, fixture->assignment);
    core_kit_back(kit, overdue, SLOT_DONE);
}

static void overdue_record_that_comes_back_in_time_still_counts(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *overdue, *usual;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    core_kit_take_in(kit, fixture->assignment, 1, "b");
    overdue = core_kit_start(kit, 0);
    usual = core_kit_start(kit, 1);
    core_kit_revoke(kit, fixture->assignment);
    core_overdue(&kit->core, overdue, kit->now_ms);
    core_kit_back(kit, overdue, SLOT_DONE);

    assert_int_equal(assignment_base(fixture->assignment), 1);
    assert_int_equal(assignment_state(fixture->assignment), ASSIGNMENT_DRAINING);
    core_kit_back(kit, usual, SLOT_DONE);
    assert_int_equal(assignment_base(fixture->assignment), 2);
    core_kit_settle(kit, fixture->assignment);
}

static void partition_is_given_up_uncommitted_when_its_last_commit_takes_too_long(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    core_kit_run(kit, 0);
    core_kit_revoke(kit, fixture->assignment);
    assert_int_equal(core_kit_commit_send(kit, fixture->assignment), 1);
    core_kit_wait(kit, SETTLE_MS - 1);
    assert_int_equal(core_kit_notice(kit), 0);
    core_kit_wait(kit, 1);

    assert_int_equal(core_kit_notice(kit), NOTICE_SETTLED);
    core_kit_wait(kit, 10000);
    assert_int_equal(core_kit_notice(kit), 0);
    core_given_up(&kit->core, fixture->assignment);
    core_kit_commit_answer(kit, true);
    assert_int_equal(core_kit_notice(kit), 0);
}

static void failed_last_commit_is_sent_again_before_the_partition_goes(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    core_kit_run(kit, 0);
    core_kit_revoke(kit, fixture->assignment);
    assert_int_equal(core_kit_commit_send(kit, fixture->assignment), 1);
    core_kit_commit_answer(kit, false);
    assert_int_equal(core_next_due_ms(&kit->core), kit->now_ms + COMMIT_RETRY_MS);
    core_kit_wait(kit, COMMIT_RETRY_MS);

    core_kit_settle(kit, fixture->assignment);
    assert_int_equal(kit->core.counts.commits, 1);
}

/* Lanes that left the ring of offsets are found by the heap of heads. */
static void revoke_takes_back_lanes_that_left_the_ring(void **state)
{
    enum { LANES = 5, OTHERS = OFFSETS_RING_MIN };
    static const char *const keys[LANES] = {"a", "b", "c", "d", "e"};
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *running[LANES];
    struct source_record record = {.offset = 2 * LANES};
    const struct core_place place = {.kind = LANE_OF_RECORD};

    for (int64_t offset = 0; offset < 2 * LANES; offset++)
        core_kit_take_in(kit, fixture->assignment, offset, keys[offset / 2]);
    for (int i = 0; i < LANES; i++)
        running[i] = core_kit_start(kit, 2 * i);
    core_kit_back(kit, running[3], SLOT_RETRY);
    for (; record.offset < 2 * LANES + OTHERS; record.offset++) {
        assert_true(core_take_in(&kit->core, fixture->assignment, &record, &place));
        core_came_back(&kit->core, core_next_ready(&kit->core), 0, kit->now_ms);
    }
    assert_int_equal(fixture->assignment->offsets.heads.count, LANES);

    core_kit_revoke(kit, fixture->assignment);

    assert_int_equal(kit->core.admission.records, LANES - 1);
    assert_int_equal(kit->core.counts.not_started, LANES + 1);
    for (int i = 0; i < LANES; i++)
        if (i != 3)
            core_kit_back(kit, running[i], SLOT_DONE);
    assert_int_equal(assignment_base(fixture->assignment), 1);
    core_kit_settle(kit, fixture->assignment);
}

/* ---- lost -------------------------------------------------------------------------------- */

static void lost_partition_neither_starts_nor_commits_any_more(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *running;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    core_kit_run(kit, 0);
    core_kit_take_in(kit, fixture->assignment, 1, "a");
    core_kit_take_in(kit, fixture->assignment, 2, "a");
    core_kit_take_in(kit, fixture->assignment, 3, "b");
    running = core_kit_start(kit, 1);
    core_kit_lose(kit, fixture->assignment);

    core_kit_wait(kit, 100000);
    assert_null(core_next_ready(&kit->core));
    assert_null(core_next_commit(&kit->core, kit->now_ms));
    assert_int_equal(core_kit_notice(kit), 0);
    core_kit_back(kit, running, SLOT_RETRY);
    assert_int_equal(kit->core.counts.fenced, 1);
    assert_null(kit->core.assignments);
}

static void partition_may_be_lost_while_it_drains_or_settles(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_assignment *other = core_kit_assign(kit, 1, 0);
    struct klane_slot *running;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    running = core_kit_start(kit, 0);
    core_kit_revoke(kit, fixture->assignment);
    core_kit_lose(kit, fixture->assignment);
    core_kit_take_in(kit, other, 0, "b");
    core_kit_run(kit, 0);
    core_kit_revoke(kit, other);
    assert_int_equal(core_kit_commit_send(kit, other), 1);
    core_kit_commit_answer(kit, true);
    core_kit_lose(kit, other);

    assert_int_equal(core_kit_notice(kit), 0);
    assert_int_equal(kit->core.draining + kit->core.settling + kit->core.assigned, 0);
    core_kit_back(kit, running, SLOT_DONE);
}

static void partition_may_be_lost_while_its_commit_is_out(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_assignment *again;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    core_kit_run(kit, 0);
    core_kit_wait(kit, 1000);
    assert_int_equal(core_kit_commit_send(kit, fixture->assignment), 1);
    core_kit_lose(kit, fixture->assignment);
    again = core_kit_assign(kit, 0, 0);
    core_kit_commit_answer(kit, true);

    assert_int_equal(again->committed, 0);
    assert_false(again->ever_committed);
}

static void lost_partition_leaves_the_notices_of_others(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_assignment *second = core_kit_assign(kit, 1, 0), *told;
    struct klane_assignment *third = core_kit_assign(kit, 2, 0);

    core_kit_revoke(kit, fixture->assignment);
    core_kit_revoke(kit, second);
    core_kit_lose(kit, second);
    core_kit_revoke(kit, third);

    assert_int_equal(core_next_notice(&kit->core, &told), NOTICE_SETTLED);
    assert_ptr_equal(told, fixture->assignment);
    assert_int_equal(core_next_notice(&kit->core, &told), NOTICE_SETTLED);
    assert_ptr_equal(told, third);
    assert_int_equal(core_kit_notice(kit), 0);
}

static void partition_that_is_gone_does_not_keep_the_rest_from_being_caught_up(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_assignment *other = core_kit_assign(kit, 1, 0);

    core_end(&kit->core, other, 0);
    assert_false(core_is_caught_up(&kit->core));
    core_kit_lose(kit, fixture->assignment);

    assert_true(core_is_caught_up(&kit->core));
}

/* ---- a partition comes back -------------------------------------------------------------- */

static void record_of_a_new_stay_waits_for_the_handler_of_the_last(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_assignment *again;
    struct klane_slot *stuck;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    stuck = core_kit_start(kit, 0);
    core_kit_lose(kit, fixture->assignment);
    again = core_kit_assign(kit, 0, 0);
    assert_int_not_equal(again->epoch, stuck->record.assignment->epoch);
    core_kit_take_in(kit, again, 0, "a");
    core_kit_take_in(kit, again, 1, "b");
    core_kit_run(kit, 1);
    assert_null(core_next_ready(&kit->core));

    core_kit_back(kit, stuck, SLOT_DONE);
    assert_int_equal(assignment_base(again), 0);
    core_kit_run(kit, 0);
    assert_int_equal(assignment_base(again), 2);
    assert_int_equal(kit->core.counts.fenced, 1);
}

static void retry_of_a_fenced_record_lets_the_new_stay_go_on(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_assignment *again;
    struct klane_slot *stuck;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    stuck = core_kit_start(kit, 0);
    core_kit_lose(kit, fixture->assignment);
    again = core_kit_assign(kit, 0, 0);
    core_kit_take_in(kit, again, 0, "a");
    core_kit_back(kit, stuck, SLOT_RETRY);

    assert_int_equal(kit->core.timers.count, 0);
    core_kit_run(kit, 0);
    assert_int_equal(assignment_base(again), 1);
}

static void third_stay_queues_behind_the_handlers_of_both_before(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_assignment *again;
    struct klane_slot *stuck[2];

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    stuck[0] = core_kit_start(kit, 0);
    core_kit_lose(kit, fixture->assignment);
    again = core_kit_assign(kit, 0, 0);
    core_kit_take_in(kit, again, 0, "a");
    stuck[1] = core_kit_pass(stuck[0]);
    core_kit_take_in(kit, again, 1, "a");
    core_kit_revoke(kit, again);
    core_kit_lose(kit, again);
    again = core_kit_assign(kit, 0, 0);
    core_kit_take_in(kit, again, 0, "a");

    assert_null(core_next_ready(&kit->core));
    core_kit_back(kit, stuck[1], SLOT_NOT_STARTED);
    core_kit_run(kit, 0);
    assert_int_equal(assignment_base(again), 0);
    core_kit_report(kit, stuck[0]);
    assert_int_equal(assignment_base(again), 1);
    assert_ptr_equal(kit->core.assignments, again);
    assert_null(again->next);
}

static void revoke_beside_a_handler_of_the_last_stay_drops_only_its_own(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_assignment *again;
    struct klane_slot *stuck;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    stuck = core_kit_start(kit, 0);
    core_kit_lose(kit, fixture->assignment);
    again = core_kit_assign(kit, 0, 0);
    core_kit_take_in(kit, again, 0, "a");
    core_kit_take_in(kit, again, 1, "a");
    core_kit_revoke(kit, again);

    assert_int_equal(kit->core.admission.records, 1);
    assert_int_equal(assignment_base(again), 0);
    core_kit_settle(kit, again);
    core_kit_back(kit, stuck, SLOT_DONE);
}

/* Runs so many records that what stays unfinished leaves the ring of offsets. */
static void pass_the_ring(struct core_kit *kit, struct klane_assignment *assignment)
{
    struct source_record record = {.offset = assignment->offsets.frontier};
    const struct core_place place = {.kind = LANE_OF_RECORD};

    for (int i = 0; i < (int)OFFSETS_RING_MIN; i++, record.offset++) {
        assert_true(core_take_in(&kit->core, assignment, &record, &place));
        core_came_back(&kit->core, core_next_ready(&kit->core), 0, kit->now_ms);
    }
    core_verify(&kit->core);
}

static void lane_that_left_the_ring_in_the_last_stay_may_do_so_in_the_new_one(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_assignment *again;
    struct klane_slot *stuck;

    core_kit_take_in(kit, fixture->assignment, 0, "a");
    stuck = core_kit_start(kit, 0);
    pass_the_ring(kit, fixture->assignment);
    core_kit_lose(kit, fixture->assignment);
    again = core_kit_assign(kit, 0, 0);
    core_kit_take_in(kit, again, 0, "a");
    pass_the_ring(kit, again);

    assert_int_equal(assignment_base(again), 0);
    core_kit_back(kit, stuck, SLOT_DONE);
    assert_int_equal(assignment_base(again), 0);
    core_kit_run(kit, 0);
    assert_int_equal(assignment_base(again), again->offsets.frontier);
}

/* A slot with it has blocks of another size than a lane. */
#define LONG_KEY "a key that takes more bytes than those in which a lane differs from a slot"

static void slot_in_used_memory_knows_nothing_of_the_last(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *first, *second;

    core_kit_take_in(kit, fixture->assignment, 0, LONG_KEY);
    first = core_kit_start(kit, 0);
    core_kit_revoke(kit, fixture->assignment);
    core_overdue(&kit->core, first, kit->now_ms);
    assert_null(core_kit_pass(first));
    core_kit_report(kit, first);
    core_kit_settle(kit, fixture->assignment);
    core_kit_take_in(kit, core_kit_assign(kit, 0, 0), 0, LONG_KEY);
    second = core_kit_start(kit, 0);

    assert_ptr_equal(second, first);
    assert_false(second->control.overdue);
    assert_false(second->back.passed);
    assert_int_equal(second->record.attempt, 1);
    core_kit_back(kit, second, SLOT_DONE);
}

static void hold_of_the_last_stay_is_told_to_the_new_one(void **state)
{
    struct core_config config = core_kit_config();
    struct klane_assignment *assignment, *told;
    struct core_kit kit;
    struct klane_slot *stuck;

    (void)state;
    config.lane_records_max = 1;
    core_kit_init(&kit, config);
    assignment = core_kit_assign(&kit, 0, 0);
    core_kit_take_in(&kit, assignment, 0, "a");
    assert_int_equal(core_kit_notice(&kit), NOTICE_HELD);
    stuck = core_kit_start(&kit, 0);
    core_kit_lose(&kit, assignment);
    assignment = core_kit_assign(&kit, 0, 0);

    assert_int_equal(core_next_notice(&kit.core, &told), NOTICE_HELD);
    assert_ptr_equal(told, assignment);
    core_kit_back(&kit, stuck, SLOT_DONE);
    assert_int_equal(core_next_notice(&kit.core, &told), NOTICE_RELEASED);
    assert_ptr_equal(told, assignment);
    core_kit_deinit(&kit);
}

#define REBALANCE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest core_rebalance_tests[] = {
        REBALANCE_TEST(idle_partition_is_given_up_at_once),
        REBALANCE_TEST(drain_ends_when_what_runs_came_back_and_is_committed),
        REBALANCE_TEST(revoke_drops_what_waits_for_a_worker_or_for_a_retry),
        REBALANCE_TEST(revoke_leaves_what_other_partitions_have),
        REBALANCE_TEST(successor_that_a_worker_got_comes_back_not_started),
        REBALANCE_TEST(retry_while_draining_leaves_the_record_unfinished),
        REBALANCE_TEST(drain_ends_at_its_deadline_with_the_rest_unfinished),
        REBALANCE_TEST(what_came_back_before_a_deadline_was_looked_at_counts),
        REBALANCE_TEST(drain_does_not_wait_for_records_that_run_too_long),
        REBALANCE_TEST(overdue_record_that_comes_back_in_time_still_counts),
        REBALANCE_TEST(partition_is_given_up_uncommitted_when_its_last_commit_takes_too_long),
        REBALANCE_TEST(failed_last_commit_is_sent_again_before_the_partition_goes),
        REBALANCE_TEST(revoke_takes_back_lanes_that_left_the_ring),
        REBALANCE_TEST(lost_partition_neither_starts_nor_commits_any_more),
        REBALANCE_TEST(partition_may_be_lost_while_it_drains_or_settles),
        REBALANCE_TEST(partition_may_be_lost_while_its_commit_is_out),
        REBALANCE_TEST(record_of_a_new_stay_waits_for_the_handler_of_the_last),
        REBALANCE_TEST(retry_of_a_fenced_record_lets_the_new_stay_go_on),
        REBALANCE_TEST(third_stay_queues_behind_the_handlers_of_both_before),
        REBALANCE_TEST(revoke_beside_a_handler_of_the_last_stay_drops_only_its_own),
        REBALANCE_TEST(lost_partition_leaves_the_notices_of_others),
        REBALANCE_TEST(partition_that_is_gone_does_not_keep_the_rest_from_being_caught_up),
        REBALANCE_TEST(lane_that_left_the_ring_in_the_last_stay_may_do_so_in_the_new_one),
        REBALANCE_TEST(slot_in_used_memory_knows_nothing_of_the_last),
        cmocka_unit_test(hold_of_the_last_stay_is_told_to_the_new_one),
    };

    return check_run(core_rebalance_tests);
}
