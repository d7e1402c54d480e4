/* SPDX-License-Identifier: Apache-2.0 */
/* What holds while members of a group come, leave, die and freeze, and the broker dies too: see
 * chaos.h. And that the judge finds what was planted into a member. */
#include "kafka/chaos_after.h"
#include "kafka/kafka_library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CANARY_ROUNDS 4
#define CANARY_RECORDS 400
#define PATIENCE_MS 30000

static struct chaos_broker broker;

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct chaos_run));
    return *state == NULL;
}

static int teardown(void **state)
{
    struct chaos_run *run = *state;

    chaos_run_end(run);
    free(run);
    return 0;
}

static void begin_round(struct chaos_run *run, uint64_t round, uint64_t *random)
{
    if (round > 0) {
        chaos_run_end(run);
        memset(run, 0, sizeof(*run));
    }
    run->random = check_random(random);
}

/* ---- churn ------------------------------------------------------------------------------- */

/* One plan after the other, in one group, which is empty in between. */
static void churn(struct chaos_run *run, const struct chaos_plan *plans, unsigned count)
{
    chaos_run_begin(run, &broker, &plans[0]);
    for (unsigned i = 0; i < count; i++) {
        if (i > 0) {
            chaos_until(run, chaos_is_quiet, CHAOS_PATIENCE_MS, "members to thaw or end");
            chaos_leave_all(run);
            chaos_plan(run, &plans[i]);
        }
        chaos_churn(run);
    }
    chaos_settle(run);
    chaos_leave_all(run);
    chaos_assert_just(run);
}

static void come_and_leave(struct chaos_run *run, const char *assignor)
{
    const struct chaos_plan plan = {.assignor = assignor,
                                    .least = 1,
                                    .most = 4,
                                    .moves = 8,
                                    .rate = 800,
                                    .session_ms = 6000,
                                    .is_gentle = true};
    uint64_t rounds = check_rounds(1, 20);
    uint64_t random = check_seed();

    if (kafka_library_is_consumer_protocol() && strcmp(assignor, "cooperative-sticky") != 0)
        skip(); /* the cluster gives out the partitions, and always does so cooperatively */
    for (uint64_t round = 0; round < rounds; round++) {
        begin_round(run, round, &random);
        churn(run, &plan, 1);
        assert_true(run->counts.generations >= 4);
        assert_int_equal(run->counts.loose_stops, 0);
        assert_int_equal(run->counts.repeats, 0);
    }
}

static void every_stop_is_clean_while_members_only_come_and_leave_eagerly(void **state)
{
    come_and_leave(*state, "range");
}

static void every_stop_is_clean_while_members_only_come_and_leave_cooperatively(void **state)
{
    come_and_leave(*state, "cooperative-sticky");
}

/* Some of them are static in the last plan; there the broker stays: one that is killed may come
 * back without the newest member of an instance, and then fences it. */
static const char *const instances[] = {"one", "two", NULL};

static const struct chaos_plan storm[] = {
    {.assignor = "range",
     .least = 2,
     .most = 5,
     .moves = 56,
     .kills = 2,
     .freezes = 2,
     .hiccups = 1,
     .restarts = 1,
     .rate = 400,
     .session_ms = 2500,
     .drain_ms = 500},
    {.assignor = "cooperative-sticky",
     .least = 2,
     .most = 5,
     .moves = 22,
     .kills = 2,
     .freezes = 2,
     .hiccups = 1,
     .restarts = 1,
     .rate = 400,
     .session_ms = 2500,
     .drain_ms = 500},
    {.assignor = "range",
     .instances = instances,
     .least = 3,
     .most = 5,
     .moves = 22,
     .kills = 2,
     .freezes = 2,
     .replacements = 5,
     .rate = 400,
     .session_ms = 2500,
     .drain_ms = 500},
};

static void nothing_is_lost_or_out_of_order_in_a_storm_of_rebalances(void **state)
{
    struct chaos_run *run = *state;
    uint64_t rounds = check_rounds(1, 10);
    uint64_t random = check_seed();

    for (uint64_t round = 0; round < rounds; round++) {
        const struct chaos_counts *counts = &run->counts;

        begin_round(run, round, &random);
        churn(run, storm, sizeof storm / sizeof storm[0]);
        assert_true(counts->generations >= 100);
        assert_true(counts->outlasted >= 5);
        assert_true(counts->overslept >= 1); /* by chance two to nine */
        assert_true(counts->timed_kills >= 6);
        if (!kafka_library_is_consumer_protocol())
            assert_true(counts->replacements >= 3);
    }
}

/* ---- planted defects --------------------------------------------------------------------- */

static uint32_t seen_commits;

static bool has_committed_more(struct chaos_run *run)
{
    /* Relaxed: polled. */
    return atomic_load_explicit(&run->shared->commits, memory_order_relaxed) > seen_commits;
}

/* The defective one has given everything up, and both have some again. */
static bool has_rebalanced(struct chaos_run *run)
{
    /* Relaxed: polled. */
    uint32_t assigned = atomic_load_explicit(&run->shared->assigned, memory_order_relaxed);

    /* The cluster takes away no more than it gives to another. */
    return assigned >= (kafka_library_is_consumer_protocol() ? 3 * CHAOS_PARTITIONS / 2
                                                             : 2 * CHAOS_PARTITIONS);
}

/* A member with the defect, for a few commits; then a sound one, which takes half of what it has
 * away from it. */
static void assert_condemned(struct chaos_run *run, enum chaos_defect defect, unsigned checker,
                             const char *what)
{
    struct chaos_judged judged;
    bool is_found;

    run->random = check_seed();
    chaos_run_begin(
        run, &broker,
        &(struct chaos_plan){.assignor = "range", .session_ms = 6000, .is_gentle = true});
    /* Relaxed: polled. */
    atomic_store_explicit(&run->shared->is_open, true, memory_order_relaxed);
    chaos_join(run, NULL, defect);
    for (int i = 0; i < CANARY_ROUNDS; i++) {
        /* Relaxed: polled. */
        seen_commits = atomic_load_explicit(&run->shared->commits, memory_order_relaxed);
        chaos_produce(run, CANARY_RECORDS);
        chaos_until(run, has_committed_more, PATIENCE_MS, "a commit");
    }
    if (defect == CHAOS_LATE) {
        chaos_join(run, NULL, CHAOS_SOUND);
        chaos_until(run, has_rebalanced, PATIENCE_MS, "a rebalance");
    }
    chaos_leave_all(run);
    is_found = !chaos_judge(&judged, run) && judged.failure.checker == checker &&
               strstr(judged.failure.text, what) != NULL;
    if (!is_found)
        chaos_print(&judged);
    chaos_judged_free(&judged);
    assert_true(is_found);
    run->is_well = true;
}

static void an_end_without_a_start_is_noticed(void **state)
{
    assert_condemned(*state, CHAOS_UNRUN, 8, "was not running");
}

static void a_record_that_never_ran_is_noticed(void **state)
{
    assert_condemned(*state, CHAOS_DROPPED, 3, "which is not finished");
}

static void keys_without_order_are_noticed(void **state)
{
    assert_condemned(*state, CHAOS_ANY_ORDER, 2, "");
}

static void a_commit_past_the_base_is_noticed(void **state)
{
    assert_condemned(*state, CHAOS_PAST, 3, "a commit past");
}

static void a_commit_that_nobody_sent_is_noticed(void **state)
{
    assert_condemned(*state, CHAOS_FORGED, 0, "the group's log has");
}

static void a_start_after_the_partition_was_given_up_is_noticed(void **state)
{
    assert_condemned(*state, CHAOS_LATE, 8, "after its epoch was fenced");
}

static void a_committed_offset_that_falls_is_noticed(void **state)
{
    assert_condemned(*state, CHAOS_FALLING, 4, "falls");
}

/* A record behind the first of the stuck key, and of its partition, which was handled. */
static void pick_what_runs_again(struct chaos_run *run)
{
    uint32_t stuck = 0, other;

    while (run->keys[stuck] != CHAOS_STUCK_KEY)
        assert_true(++stuck < run->produced);
    other = stuck;
    while (run->keys[other] == CHAOS_STUCK_KEY ||
           run->acknowledged[other] != run->acknowledged[stuck])
        assert_true(++other < CANARY_RECORDS);
    /* Relaxed: set before the life that looks at it. */
    atomic_store_explicit(&run->shared->again[run->acknowledged[stuck] - 1],
                          run->offsets[other] + 1, memory_order_relaxed);
}

static void what_a_map_has_as_finished_and_runs_again_is_noticed(void **state)
{
    struct chaos_run *run = *state;
    struct chaos_judged judged;
    bool is_found;

    run->random = check_seed();
    chaos_run_begin(run, &broker, &(struct chaos_plan){.assignor = "range", .session_ms = 6000});
    chaos_join(run, NULL, CHAOS_SOUND);
    chaos_produce(run, CANARY_RECORDS);
    /* Relaxed: polled. */
    seen_commits = atomic_load_explicit(&run->shared->commits, memory_order_relaxed);
    chaos_produce(run, CANARY_RECORDS);
    chaos_until(run, has_committed_more, PATIENCE_MS, "a commit");
    /* What is left to the next life comes before the planted repeat, and is condemned first. */
    chaos_until(run, chaos_is_handled_elsewhere, PATIENCE_MS, "the other keys");
    pick_what_runs_again(run);
    chaos_leave_all(run);
    chaos_join(run, NULL, CHAOS_AGAIN);
    chaos_until(run, has_rebalanced, PATIENCE_MS, "the partitions to come");
    /* Relaxed: polled. */
    atomic_store_explicit(&run->shared->is_open, true, memory_order_relaxed);
    chaos_until(run, chaos_is_committed, PATIENCE_MS, "everything to be committed");
    chaos_leave_all(run);
    is_found = !chaos_judge(&judged, run) && strstr(judged.failure.text, "the map") != NULL;
    if (!is_found)
        chaos_print(&judged);
    chaos_judged_free(&judged);
    assert_true(is_found);
    run->is_well = true;
}

#define chaos_case(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        chaos_case(an_end_without_a_start_is_noticed),
        chaos_case(a_record_that_never_ran_is_noticed),
        chaos_case(keys_without_order_are_noticed),
        chaos_case(a_commit_past_the_base_is_noticed),
        chaos_case(a_commit_that_nobody_sent_is_noticed),
        chaos_case(a_start_after_the_partition_was_given_up_is_noticed),
        chaos_case(a_committed_offset_that_falls_is_noticed),
        chaos_case(what_a_map_has_as_finished_and_runs_again_is_noticed),
        chaos_case(every_stop_is_clean_while_members_only_come_and_leave_eagerly),
        chaos_case(every_stop_is_clean_while_members_only_come_and_leave_cooperatively),
        chaos_case(nothing_is_lost_or_out_of_order_in_a_storm_of_rebalances),
    };
    int failed;

    if (argc == 3 && strcmp(argv[1], "--member") == 0)
        return chaos_member_main(CHAOS_MEMBER_FD, (uint8_t)atoi(argv[2]));
    failed = check_run(tests);
    chaos_broker_remove(&broker);
    return failed;
}
