/* SPDX-License-Identifier: Apache-2.0 */
/* Trials: a record that ends the process again and again is told apart from what ran beside it,
 * and is treated as its topic says. */
#include "lib/core_kit.h"

#include <stdio.h>

enum { LIMIT = 4096, CALM_MS = 60000 };

struct fixture {
    struct core_kit kit;
    struct klane_assignment *assignment;
    char map[LIMIT + 1]; /* as it was committed last */
    size_t map_size;
    int64_t committed;
};

static void begin(struct fixture *fixture)
{
    enum klane_crashed crashed = fixture->kit.topic.crashed;
    struct core_config config = core_kit_config();

    config.parks = true;
    config.map_limit = LIMIT;
    config.calm_ms = CALM_MS;
    core_kit_init(&fixture->kit, config);
    fixture->kit.topic.crashed = crashed;
    fixture->assignment = core_kit_assign(&fixture->kit, 0, fixture->committed);
}

static int setup(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){.committed = 0};
    begin(&fixture);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    core_kit_lose(&fixture->kit, fixture->assignment);
    assert_int_equal(fixture->kit.core.trials, 0);
    core_kit_deinit(&fixture->kit);
    return 0;
}

static struct klane_slot *next(struct fixture *fixture)
{
    core_kit_wait(&fixture->kit, 0);
    return core_next_ready(&fixture->kit.core);
}

/* What is due is sent; the log has it from then on, whoever hears of that. */
static void send(struct fixture *fixture)
{
    core_kit_wait(&fixture->kit, 0);
    fixture->committed = core_kit_commit_send(&fixture->kit, fixture->assignment);
    assert_int_not_equal(fixture->committed, -1);
    fixture->map_size = fixture->assignment->map.mark.size;
    memcpy(fixture->map, fixture->assignment->map.text, fixture->map_size);
}

static void commit(struct fixture *fixture)
{
    send(fixture);
    core_kit_commit_answer(&fixture->kit, true);
}

/* The process ends, and another has the partition. */
static void crash(struct fixture *fixture)
{
    struct core *core = &fixture->kit.core;

    core->assignments->slots = 0;
    core_deinit(core);
    begin(fixture);
    assert_int_equal(core_restore(core, fixture->assignment, fixture->map, fixture->map_size, -1),
                     PROGRESS_READ);
    core_verify(core);
}

static void crash_often(struct fixture *fixture, uint32_t times)
{
    for (uint32_t i = 0; i < times; i++) {
        commit(fixture);
        crash(fixture);
    }
}

static uint32_t starts(const struct fixture *fixture)
{
    struct progress_map map;
    uint32_t found;

    assert_int_equal(
        progress_map_read(&map, fixture->map, fixture->map_size, fixture->committed, NULL),
        PROGRESS_READ);
    found = map.starts;
    progress_map_free(&map);
    return found;
}

/* As the map has it. False: it does not list it. */
static bool is_listed(const struct fixture *fixture, int64_t head, struct progress_lane *lane)
{
    struct progress_map map;
    bool found = false;

    assert_int_equal(
        progress_map_read(&map, fixture->map, fixture->map_size, fixture->committed, NULL),
        PROGRESS_READ);
    for (uint32_t i = 0; i < map.count && !found; i++) {
        found = map.lanes[i].head == head;
        *lane = map.lanes[i];
    }
    progress_map_free(&map);
    return found;
}

/* -1: the map does not list it. */
static int crashes_of(const struct fixture *fixture, int64_t head)
{
    struct progress_lane lane;

    return is_listed(fixture, head, &lane) ? (int)lane.crashes : -1;
}

static uint32_t attempts_of(const struct fixture *fixture, int64_t head)
{
    struct progress_lane lane = {0};

    assert_true(is_listed(fixture, head, &lane));
    return lane.attempts;
}

static void take_in(struct fixture *fixture, int64_t offset, const char *key)
{
    core_kit_take_in(&fixture->kit, fixture->assignment, offset, key);
}

/* A pass brings what is unfinished. */
static void sweep(struct fixture *fixture, const char *const *keys)
{
    int64_t count = fixture->assignment->offsets.frontier;
    struct core *core = &fixture->kit.core;
    int64_t from = -1;

    assert_non_null(core_next_pass(core, &from));
    for (int64_t offset = from; offset < count; offset++) {
        struct source_record record = {.key = keys[offset], .key_size = 1, .offset = offset};

        core_swept(core, fixture->assignment, &record, &(struct core_place){.kind = LANE_OF_KEY});
        core_verify(core);
    }
    assert_true(core_swept_to(core, fixture->assignment, count));
    core_verify(core);
}

/* ---- the first word ---------------------------------------------------------------------- */

static void nothing_starts_before_the_log_knows_that_the_stay_has_begun(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    take_in(fixture, 0, "a");
    assert_null(next(fixture));
    assert_int_equal(core_next_due_ms(&kit->core) <= kit->now_ms, true);
    send(fixture);
    assert_null(next(fixture));
    core_kit_commit_answer(kit, false);
    assert_null(next(fixture));
    core_kit_wait(kit, 300);
    send(fixture);
    core_kit_commit_answer(kit, true);

    core_kit_wait(kit, 0);
    core_kit_run(kit, 0);

    assert_int_equal(starts(fixture), 1);
}

static void a_log_that_does_not_answer_delays_a_start_by_a_second(void **state)
{
    struct fixture *fixture = *state;

    take_in(fixture, 0, "a");
    assert_null(next(fixture));
    core_kit_wait(&fixture->kit, 999);
    assert_null(next(fixture));

    core_kit_wait(&fixture->kit, 1);

    core_kit_run(&fixture->kit, 0);
}

static void stays_that_end_soon_are_counted(void **state)
{
    struct fixture *fixture = *state;

    crash_often(fixture, 2);
    commit(fixture);
    assert_int_equal(starts(fixture), 3);

    /* One that lasts is no longer one of them. */
    core_kit_wait(&fixture->kit, CALM_MS);
    core_kit_wait(&fixture->kit, CALM_MS);
    commit(fixture);
    assert_int_equal(starts(fixture), 1);
    /* Nor is one that ends in order. */
    crash(fixture);
    commit(fixture);
    assert_int_equal(starts(fixture), 2);
    core_kit_revoke(&fixture->kit, fixture->assignment);
    send(fixture);
    core_kit_commit_answer(&fixture->kit, true);
    assert_int_equal(starts(fixture), 0);
    assert_int_equal(core_kit_notice(&fixture->kit), NOTICE_SETTLED);
    core_given_up(&fixture->kit.core, fixture->assignment);
    fixture->assignment = core_kit_assign(&fixture->kit, 0, 0);
}

/* ---- trials ------------------------------------------------------------------------------ */

static const char *const keys[] = {"a", "b", "c", "d", "e"};

/* On trial, with the records of keys[] in memory and the begin of the stay acknowledged. */
static void begin_trial(struct fixture *fixture)
{
    crash_often(fixture, TRIAL_AFTER);
    for (int64_t offset = 0; offset < 4; offset++)
        take_in(fixture, offset, keys[offset]);
    assert_null(next(fixture));
    commit(fixture);
}

/* What was sent is heard, a batch is chosen, and committed as running. */
static void start_batch(struct fixture *fixture)
{
    assert_null(next(fixture));
    assert_null(next(fixture));
    commit(fixture);
}

/* On trial again, with what the last map lists. */
static void go_on(struct fixture *fixture)
{
    crash(fixture);
    commit(fixture);
    sweep(fixture, keys);
}

static void on_trial_a_batch_is_committed_before_it_starts(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *slots[4];

    begin_trial(fixture);
    assert_int_equal(crashes_of(fixture, 0), 0);
    assert_null(next(fixture)); /* the begin is heard */
    assert_null(next(fixture)); /* a batch is chosen */
    send(fixture);
    assert_null(next(fixture));
    for (int64_t offset = 0; offset < 4; offset++)
        assert_int_equal(crashes_of(fixture, offset), 1);
    core_kit_commit_answer(kit, true);

    for (int64_t offset = 0; offset < 4; offset++)
        slots[offset] = next(fixture);
    /* What comes meanwhile is the next batch. */
    take_in(fixture, 4, "a");
    take_in(fixture, 5, "e");
    for (int64_t offset = 0; offset < 4; offset++)
        core_kit_back(kit, slots[offset], SLOT_DONE);
    assert_null(next(fixture));
    commit(fixture);
    assert_int_equal(crashes_of(fixture, 0), -1);
    assert_int_equal(crashes_of(fixture, 4), 1);
    assert_int_equal(crashes_of(fixture, 5), 1);
    core_kit_wait(kit, 0);
    core_kit_run(kit, 5);
    core_kit_run(kit, 4);
}

static void a_worker_does_not_go_on_by_itself_on_trial(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *first, *second;

    begin_trial(fixture);
    take_in(fixture, 4, "a");
    start_batch(fixture);
    first = next(fixture);
    assert_int_equal(first->record.offset, 0);
    second = core_kit_pass(first);

    assert_int_equal(second->record.offset, 4);
    assert_false(second->record.is_paid);
    core_kit_report(kit, first);
    core_kit_back(kit, second, SLOT_ASKS);
    for (int64_t offset = 1; offset < 4; offset++)
        core_kit_run(kit, offset);
    assert_null(next(fixture));
    commit(fixture);
    core_kit_wait(kit, 0);
    core_kit_run(kit, 4);
}

/* Record 2 ends the process while 1 and 3 run beside it; then once more, alone. */
static void find_it(struct fixture *fixture)
{
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *slots[4];

    begin_trial(fixture);
    start_batch(fixture);
    for (int64_t offset = 0; offset < 4; offset++)
        slots[offset] = next(fixture);
    core_kit_back(kit, slots[0], SLOT_DONE);
    core_kit_wait(kit, 1000);
    commit(fixture);

    go_on(fixture);
    assert_int_equal(crashes_of(fixture, 0), -1);
    for (int64_t offset = 1; offset < 4; offset++) {
        assert_int_equal(crashes_of(fixture, offset), 1);
        /* Each alone. */
        start_batch(fixture);
        assert_int_equal(crashes_of(fixture, offset), 2);
        if (offset == 2)
            break;
        core_kit_wait(kit, 0);
        core_kit_run(kit, offset);
    }

    go_on(fixture);
    assert_int_equal(crashes_of(fixture, 2), 2);
    assert_int_equal(crashes_of(fixture, 3), 1);
}

/* What crashed once or twice is tried alone, in the order of its coming: 2, then 3. */
static void what_ends_the_process_is_told_apart_from_what_ran_beside_it(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_assignment *assignment;

    find_it(fixture);
    take_in(fixture, 4, "e");
    start_batch(fixture);
    /* What has never crashed goes first. */
    core_kit_wait(kit, 0);
    core_kit_run(kit, 4);
    assert_null(next(fixture));
    commit(fixture);
    assert_int_equal(crashes_of(fixture, 2), 3);
    assert_int_equal(core_kit_notice(kit), 0);

    go_on(fixture);
    start_batch(fixture);
    core_kit_wait(kit, 0);
    core_kit_run(kit, 2);
    assert_int_equal(core_next_notice(&kit->core, &assignment), NOTICE_CRASHED);
    assert_int_equal(assignment->crashed.offset, 2);
    assert_int_equal(assignment->crashed.crashes, 3);
    /* It came back: it ends nothing any more. */
    assert_null(next(fixture));
    commit(fixture);
    assert_int_equal(crashes_of(fixture, 2), -1);
    core_kit_wait(kit, 0);
    core_kit_run(kit, 3);
}

/* Found, and once more. */
static void end_it_again(struct fixture *fixture, enum klane_crashed rule)
{
    find_it(fixture);
    start_batch(fixture);
    assert_int_equal(crashes_of(fixture, 2), 3);
    fixture->kit.topic.crashed = rule;
    go_on(fixture);
    start_batch(fixture);
    assert_null(next(fixture));
    assert_int_equal(core_kit_notice(&fixture->kit), NOTICE_CRASHED);
}

static void blocked_it_waits_and_other_keys_go_on(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    end_it_again(fixture, KLANE_CRASHED_BLOCK);
    take_in(fixture, 4, "c");
    assert_null(next(fixture));
    commit(fixture);
    core_kit_wait(kit, 0);
    core_kit_run(kit, 3);
    core_kit_wait(kit, CALM_MS);
    assert_null(next(fixture));
    commit(fixture);
    assert_int_equal(fixture->committed, 2);
    assert_int_equal(crashes_of(fixture, 2), 3);
    /* It has not been tried again. */
    assert_int_equal(attempts_of(fixture, 2), 3);

    /* Nor after a restart in order, when nothing is on trial. */
    core_kit_revoke(kit, fixture->assignment);
    send(fixture);
    core_kit_commit_answer(kit, true);
    assert_int_equal(crashes_of(fixture, 2), 3);
    assert_int_equal(attempts_of(fixture, 2), 3);
    crash(fixture);
    commit(fixture);
    core_kit_wait(kit, 0);
    sweep(fixture, (const char *const[]){"a", "b", "c", "d", "c"});
    assert_null(next(fixture));
    assert_int_equal(core_kit_notice(kit), NOTICE_CRASHED);
}

static void skipped_it_is_finished(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    end_it_again(fixture, KLANE_CRASHED_SKIP);

    assert_int_equal(kit->core.counts.skipped, 1);
    assert_null(next(fixture));
    commit(fixture);
    assert_int_equal(fixture->committed, 3);
    core_kit_wait(kit, 0);
    core_kit_run(kit, 3);
}

static void a_batch_is_not_waited_for_longer_than_a_second(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *slow;

    begin_trial(fixture);
    start_batch(fixture);
    slow = next(fixture);
    for (int64_t offset = 1; offset < 4; offset++)
        core_kit_run(kit, offset);
    take_in(fixture, 4, "e");
    assert_null(next(fixture));
    core_kit_wait(kit, 1000);
    assert_null(next(fixture));
    commit(fixture);
    assert_int_equal(crashes_of(fixture, 0), 1);

    core_kit_wait(kit, 0);
    core_kit_run(kit, 4);

    core_kit_back(kit, slow, SLOT_DONE);
}

/* Else innocent records would be marked with the one that ends the process. */
static void a_record_is_tried_alone_until_it_is_back(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *slow;

    begin_trial(fixture);
    start_batch(fixture);
    go_on(fixture); /* all four have one crash */
    start_batch(fixture);
    slow = next(fixture);
    assert_int_equal(slow->record.offset, 0);
    for (int i = 0; i < 5; i++) {
        core_kit_wait(kit, 1000);
        assert_null(next(fixture));
    }
    assert_int_equal(crashes_of(fixture, 1), 1);

    core_kit_back(kit, slow, SLOT_DONE);

    assert_null(next(fixture));
    commit(fixture);
    assert_int_equal(crashes_of(fixture, 1), 2);
    core_kit_wait(kit, 0);
    core_kit_run(kit, 1);
}

static void a_map_that_is_full_still_says_what_runs(void **state)
{
    enum { MANY = 600 };
    static char names[MANY][5];
    struct fixture *fixture = *state;

    crash_often(fixture, TRIAL_AFTER);
    for (int64_t offset = 0; offset < MANY; offset++) {
        snprintf(names[offset], sizeof(names[offset]), "%d", (int)offset);
        take_in(fixture, offset, names[offset]);
    }
    assert_null(next(fixture));
    commit(fixture);
    start_batch(fixture);

    for (int64_t offset = 0; offset < TRIAL_BATCH; offset++)
        assert_int_equal(crashes_of(fixture, offset), 1);
}

static void on_trial_what_has_no_weight_does_not_wait_for_weights(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *heavy;

    crash_often(fixture, TRIAL_AFTER);
    kit->core.weights.max = 100;
    for (int64_t offset = 0; offset < 3; offset++) {
        struct source_record record = {.key = keys[offset], .key_size = 1, .offset = offset};
        struct core_place place = {.kind = LANE_OF_KEY, .weight = offset < 2 ? 100 : 0};

        assert_true(core_take_in(&kit->core, fixture->assignment, &record, &place));
    }
    assert_null(next(fixture));
    commit(fixture);
    start_batch(fixture);
    heavy = next(fixture);
    assert_int_equal(heavy->record.offset, 0);

    core_kit_run(kit, 2);

    core_kit_back(kit, heavy, SLOT_DONE);
    core_kit_run(kit, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(nothing_starts_before_the_log_knows_that_the_stay_has_begun),
        TEST(a_log_that_does_not_answer_delays_a_start_by_a_second),
        TEST(stays_that_end_soon_are_counted),
        TEST(on_trial_a_batch_is_committed_before_it_starts),
        TEST(a_worker_does_not_go_on_by_itself_on_trial),
        TEST(what_ends_the_process_is_told_apart_from_what_ran_beside_it),
        TEST(blocked_it_waits_and_other_keys_go_on),
        TEST(skipped_it_is_finished),
        TEST(a_batch_is_not_waited_for_longer_than_a_second),
        TEST(a_record_is_tried_alone_until_it_is_back),
        TEST(a_map_that_is_full_still_says_what_runs),
        TEST(on_trial_what_has_no_weight_does_not_wait_for_weights),
    };
#undef TEST

    return check_run(tests);
}
