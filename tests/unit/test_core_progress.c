/* SPDX-License-Identifier: Apache-2.0 */
/* Progress maps in the core: what is committed says what is finished above the base, and whoever
 * gets the partition next runs again only what is not. */
#include "lib/core_kit.h"

#include <stdio.h>

enum { LIMIT = 4096 };

struct fixture {
    struct core_kit kit;
    struct klane_assignment *assignment; /* partition 0 */
    char map[LIMIT + 1]; /* as it was committed last */
    size_t map_size;
    int64_t committed;
};

static void begin(struct fixture *fixture, uint32_t map_limit)
{
    struct core_config config = core_kit_config();

    config.parks = true;
    config.map_limit = map_limit;
    core_kit_init(&fixture->kit, config);
    core_wall(&fixture->kit.core, 1000000);
    fixture->assignment = core_kit_assign(&fixture->kit, 0, 0);
}

static int setup(void **state)
{
    static struct fixture fixture;

    begin(&fixture, LIMIT);
    *state = &fixture;
    return 0;
}

/* Gives up what is left, whatever is out comes back first. */
static int teardown(void **state)
{
    struct fixture *fixture = *state;

    core_kit_lose(&fixture->kit, fixture->assignment);
    core_kit_deinit(&fixture->kit);
    return 0;
}

static void take_in(struct fixture *fixture, int64_t offset, const char *key)
{
    core_kit_take_in(&fixture->kit, fixture->assignment, offset, key);
}

/* What is due is committed, and acknowledged. */
static void commit(struct fixture *fixture)
{
    core_kit_wait(&fixture->kit, 1000);
    fixture->committed = core_kit_commit_send(&fixture->kit, fixture->assignment);
    assert_int_not_equal(fixture->committed, -1);
    fixture->map_size = fixture->assignment->map.mark.size;
    if (fixture->map_size > 0)
        memcpy(fixture->map, fixture->assignment->map.text, fixture->map_size);
    core_kit_commit_answer(&fixture->kit, true);
}

/* The process is killed; another has the partition. */
static enum progress_refusal restart(struct fixture *fixture, int64_t log_end)
{
    struct core_kit *kit = &fixture->kit;
    enum progress_refusal refusal;

    kit->core.assignments->slots = 0;
    core_deinit(&kit->core);
    begin(fixture, LIMIT);
    core_kit_lose(kit, fixture->assignment);
    fixture->assignment = core_kit_assign(kit, 0, fixture->committed);
    refusal = core_restore(&kit->core, fixture->assignment, fixture->map, fixture->map_size,
                           log_end);
    core_verify(&kit->core);
    return refusal;
}

/* A pass from where it begins to end brings records of a key that is named after each offset. */
static int64_t sweep(struct fixture *fixture, int64_t end, const char *(*key_of)(int64_t offset))
{
    struct core *core = &fixture->kit.core;
    int64_t from = -1;

    if (core_next_pass(core, &from) == NULL)
        return -1;
    for (int64_t offset = from; offset < end; offset++) {
        const char *key = key_of(offset);
        struct source_record record = {
            .key = key, .key_size = key == NULL ? 0 : (uint32_t)strlen(key), .offset = offset};

        core_swept(core, fixture->assignment, &record,
                   &(struct core_place){.kind = key == NULL ? LANE_OF_RECORD : LANE_OF_KEY});
        core_verify(core);
    }
    assert_true(core_swept_to(core, fixture->assignment, end));
    core_verify(core);
    return from;
}

static const char *stuck_at_5_and_15(int64_t offset)
{
    return offset % 10 == 5 ? "stuck" : "free";
}

/* Of twenty records all are finished but those of one key, the first of which runs. */
static void leave_one_key_unfinished(struct fixture *fixture)
{
    struct klane_slot *slot;
    int done = 0;

    for (int64_t offset = 0; offset < 20; offset++)
        take_in(fixture, offset, stuck_at_5_and_15(offset));
    while ((slot = core_next_ready(&fixture->kit.core)) != NULL) {
        if (slot->record.offset == 5)
            continue;
        core_kit_back(&fixture->kit, slot, SLOT_DONE);
        done++;
    }
    assert_int_equal(done, 18);
}

static void only_the_unfinished_runs_again(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    leave_one_key_unfinished(fixture);
    commit(fixture);
    assert_int_equal(fixture->committed, 5);

    assert_int_equal(restart(fixture, 20), PROGRESS_READ);
    assert_int_equal(fixture->assignment->offsets.frontier, 20);
    assert_int_equal(assignment_base(fixture->assignment), 5);
    take_in(fixture, 20, "free");
    take_in(fixture, 21, "stuck");
    core_kit_run(kit, 20);
    assert_null(core_next_ready(&kit->core));
    assert_int_equal(sweep(fixture, 22, stuck_at_5_and_15), 5);
    core_kit_run(kit, 5);
    core_kit_run(kit, 15);
    assert_int_equal(assignment_base(fixture->assignment), 22);
    assert_null(core_next_ready(&kit->core));
}

static void what_was_committed_is_not_committed_again(void **state)
{
    struct fixture *fixture = *state;

    leave_one_key_unfinished(fixture);
    commit(fixture);
    commit_mark(&fixture->kit.core.commit, fixture->assignment);
    core_kit_wait(&fixture->kit, 1000);
    assert_null(core_next_commit(&fixture->kit.core, fixture->kit.now_ms));
    /* Nor by who takes it up. */
    assert_int_equal(restart(fixture, -1), PROGRESS_READ);
    commit_mark(&fixture->kit.core.commit, fixture->assignment);
    core_kit_wait(&fixture->kit, 1000);
    assert_null(core_next_commit(&fixture->kit.core, fixture->kit.now_ms));
}

static void a_new_map_alone_is_committed(void **state)
{
    struct fixture *fixture = *state;
    struct klane_slot *first;

    take_in(fixture, 0, "stuck");
    take_in(fixture, 1, "free");
    first = core_kit_start(&fixture->kit, 0);
    core_kit_run(&fixture->kit, 1);
    commit(fixture);
    assert_int_equal(fixture->committed, 0);
    take_in(fixture, 2, "free");
    core_kit_run(&fixture->kit, 2);
    commit(fixture);
    assert_int_equal(fixture->committed, 0);
    assert_int_equal(fixture->assignment->progress.ceiling, 3);
    core_kit_back(&fixture->kit, first, SLOT_DONE);
}

static const char *none(int64_t offset)
{
    (void)offset;
    return NULL;
}

static void records_without_a_lane_are_listed_one_by_one(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *slot;

    for (int64_t offset = 0; offset < 20; offset++)
        take_in(fixture, offset, NULL);
    while ((slot = core_next_ready(&kit->core)) != NULL)
        if (slot->record.offset % 7 != 3)
            core_kit_back(kit, slot, SLOT_DONE);
    commit(fixture);
    assert_int_equal(fixture->committed, 3);

    assert_int_equal(restart(fixture, -1), PROGRESS_READ);
    assert_int_equal(fixture->kit.core.parked.count, 3);
    assert_int_equal(sweep(fixture, 20, none), 3);
    core_kit_run(kit, 3);
    core_kit_run(kit, 10);
    core_kit_run(kit, 17);
    assert_int_equal(assignment_base(fixture->assignment), 20);
}

/* So many keys, each with one unfinished record, and as many finished ones behind them. */
static void block(struct fixture *fixture, int64_t keys)
{
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *slot;
    char key[8];

    for (int64_t offset = 0; offset < 2 * keys; offset++) {
        snprintf(key, sizeof(key), "%04d", (int)offset);
        take_in(fixture, offset, key);
    }
    while ((slot = core_next_ready(&kit->core)) != NULL)
        if (slot->record.offset >= keys)
            core_kit_back(kit, slot, SLOT_DONE);
}

static void three_hundred_blocked_lanes_fit(void **state)
{
    struct fixture *fixture = *state;

    block(fixture, 300);
    commit(fixture);

    assert_int_equal(fixture->assignment->progress.ceiling, 600);
    assert_true(fixture->map_size <= LIMIT);
    assert_int_equal(restart(fixture, 600), PROGRESS_READ);
    assert_int_equal(fixture->kit.core.parked.count, 300);
}

static void what_does_not_fit_lowers_the_ceiling_to_its_head(void **state)
{
    struct fixture *fixture = *state;
    int64_t ceiling;

    block(fixture, 450);
    commit(fixture);

    ceiling = fixture->assignment->progress.ceiling;
    assert_in_range(ceiling, 300, 336);
    assert_true(fixture->map_size <= LIMIT);
    assert_int_equal(restart(fixture, 900), PROGRESS_READ);
    assert_int_equal(fixture->assignment->offsets.frontier, ceiling);
    assert_int_equal(fixture->kit.core.parked.count, ceiling);
}

static void parked_lanes_are_listed_whatever_has_left_the_ring(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *stuck;
    int64_t offset = 2;

    take_in(fixture, 0, "stuck");
    stuck = core_kit_start(kit, 0);
    take_in(fixture, 1, "stuck");
    for (; offset < 2 * OFFSETS_RING_MIN; offset++) {
        take_in(fixture, offset, "free");
        core_kit_run(kit, offset);
    }
    for (; kit->core.parked.count == 0; offset++)
        take_in(fixture, offset, "stuck");
    commit(fixture);

    assert_int_equal(fixture->committed, 0);
    assert_int_equal(fixture->assignment->progress.ceiling, offset);
    core_kit_back(kit, stuck, SLOT_DONE);
    commit(fixture);
    assert_int_equal(fixture->committed, 1);
    assert_int_equal(restart(fixture, offset), PROGRESS_READ);
    assert_int_equal(fixture->kit.core.parked.count, 1);
}

static void attempts_and_due_times_outlive_the_process(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *slot;

    take_in(fixture, 0, "a");
    core_kit_back(kit, core_kit_start(kit, 0), SLOT_RETRY);
    core_kit_wait(kit, CORE_KIT_RETRY_MS);
    slot = core_kit_start(kit, 0);
    slot->back.outcome = SLOT_RETRY;
    core_came_back(&kit->core, slot, 50000, kit->now_ms);
    take_in(fixture, 1, "b");
    core_kit_run(kit, 1);
    commit(fixture);

    assert_int_equal(restart(fixture, 2), PROGRESS_READ);
    assert_int_equal(sweep(fixture, 2, none), -1);
    core_kit_wait(kit, 0);
    assert_in_range(core_next_due_ms(&kit->core), 60000, 61000);
    core_kit_wait(kit, 51000);
    assert_int_equal(kit->core.parked_timers.count, 0);
    assert_int_equal(core_next_pass(&kit->core, &(int64_t){0}) == NULL, false);
    core_swept(&kit->core, fixture->assignment,
               &(struct source_record){.key = "a", .key_size = 1, .offset = 0},
               &(struct core_place){.kind = LANE_OF_KEY});
    slot = core_kit_start(kit, 0);
    assert_int_equal(slot->record.attempt, 3);
    core_kit_back(kit, slot, SLOT_DONE);
}

/* The partition goes in order, and comes back with what was committed last. */
static enum progress_refusal give_up(struct fixture *fixture, int64_t log_end)
{
    struct core_kit *kit = &fixture->kit;

    core_kit_revoke(kit, fixture->assignment);
    fixture->committed = core_kit_commit_send(kit, fixture->assignment);
    fixture->map_size = fixture->assignment->map.mark.size;
    memcpy(fixture->map, fixture->assignment->map.text, fixture->map_size);
    core_kit_commit_answer(kit, true);
    while (core_kit_notice(kit) != NOTICE_SETTLED)
        continue;
    core_given_up(&kit->core, fixture->assignment);
    fixture->assignment = core_kit_assign(kit, 0, fixture->committed);
    return core_restore(&kit->core, fixture->assignment, fixture->map, fixture->map_size,
                        log_end);
}

static void a_drain_leaves_nothing_but_the_unfinished(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    take_in(fixture, 0, "a");
    take_in(fixture, 1, "b");
    take_in(fixture, 2, "c");
    core_kit_back(kit, core_kit_start(kit, 0), SLOT_RETRY);
    core_kit_run(kit, 1);

    assert_int_equal(give_up(fixture, 3), PROGRESS_READ);
    assert_int_equal(fixture->committed, 0);
    assert_int_equal(kit->core.parked.count, 2);
    assert_int_equal(kit->core.parked_timers.count, 1);
}

/* A pass that ends early has read what held a lane's last record, which is gone from the log. */
static void what_a_drain_finds_gone_is_not_in_its_map(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    int64_t from;

    for (int64_t offset = 0; offset < 20; offset++)
        take_in(fixture, offset, NULL);
    core_kit_run(kit, 0);
    commit(fixture);
    assert_int_equal(restart(fixture, -1), PROGRESS_READ);
    assert_non_null(core_next_pass(&kit->core, &from));
    assert_int_equal(from, 1);
    assert_false(core_swept_to(&kit->core, fixture->assignment, 15));

    assert_int_equal(give_up(fixture, 20), PROGRESS_READ);
    assert_int_equal(fixture->committed, 15);
    assert_int_equal(kit->core.parked.count, 5);
}

static void a_map_that_is_too_large_is_halved(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    size_t size;

    block(fixture, 300);
    core_kit_wait(kit, 1000);
    assert_int_equal(core_kit_commit_send(kit, fixture->assignment), 0);
    size = fixture->assignment->map.mark.size;
    assert_true(size > LIMIT / 2);
    core_uncommitted(&kit->core, fixture->assignment, true);
    core_kit_commit_answer(kit, true);
    commit(fixture);

    assert_true(fixture->map_size <= size / 2 && fixture->map_size > size / 3);
    assert_int_equal(restart(fixture, -1), PROGRESS_READ);
}

static void the_last_map_is_halved_too(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_assignment *assignment = fixture->assignment;
    size_t size;

    block(fixture, 300);
    core_kit_revoke(kit, assignment);
    core_kit_wait(kit, 3000);
    assert_int_equal(core_kit_commit_send(kit, assignment), 0);
    size = assignment->map.mark.size;
    core_uncommitted(&kit->core, assignment, true);
    core_kit_commit_answer(kit, true);
    core_kit_wait(kit, 300);
    assert_int_equal(core_kit_commit_send(kit, assignment), 0);

    assert_true(assignment->map.mark.size <= size / 2 && assignment->map.mark.size > size / 3);
    fixture->map_size = assignment->map.mark.size;
    memcpy(fixture->map, assignment->map.text, fixture->map_size);
    fixture->committed = 0;
    assert_int_equal(restart(fixture, -1), PROGRESS_READ);
    assert_in_range(fixture->kit.core.parked.count, 100, 160);
}

static void a_partition_holds_while_too_much_lies_above_its_ceiling(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *first, *second;

    core_kit_lose(kit, fixture->assignment);
    fixture->assignment = core_kit_assign(kit, 0, 0);
    kit->core.config.beyond_max = 50;
    /* Neither of the two lanes fits. */
    kit->core.commit.writer.limit = 60;
    take_in(fixture, 0, "a");
    take_in(fixture, 1, "b");
    first = core_kit_start(kit, 0);
    second = core_kit_start(kit, 1);
    for (int64_t offset = 2; offset < 60; offset++) {
        take_in(fixture, offset, "c");
        core_kit_run(kit, offset);
    }
    assert_int_equal(core_kit_notice(kit), 0);
    commit(fixture);
    assert_int_equal(fixture->assignment->progress.ceiling, 0);
    assert_int_equal(core_kit_notice(kit), NOTICE_HELD);
    core_kit_back(kit, first, SLOT_DONE);
    commit(fixture);
    assert_int_equal(core_kit_notice(kit), 0);
    core_kit_back(kit, second, SLOT_DONE);
    commit(fixture);
    assert_int_equal(fixture->committed, 60);
    assert_int_equal(core_kit_notice(kit), NOTICE_RELEASED);
}

/* Its map says the same all the time, so there is nothing to commit. */
static void a_partition_holds_though_there_is_nothing_to_commit(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *first;

    core_kit_lose(kit, fixture->assignment);
    fixture->assignment = core_kit_assign(kit, 0, 0);
    kit->core.config.beyond_max = 50;
    kit->core.commit.writer.limit = 0;
    take_in(fixture, 0, "a");
    first = core_kit_start(kit, 0);
    for (int64_t offset = 1; offset < 60; offset++) {
        take_in(fixture, offset, "c");
        core_kit_run(kit, offset);
    }
    core_kit_wait(kit, 1000);
    assert_null(core_next_commit(&kit->core, kit->now_ms));
    assert_int_equal(core_kit_notice(kit), NOTICE_HELD);
    core_kit_back(kit, first, SLOT_DONE);
    commit(fixture);
    assert_int_equal(core_kit_notice(kit), NOTICE_RELEASED);
}

/* Two hundred partitions whose maps are as large as they get are more than one commit. */
static void large_maps_go_in_several_commits(void **state)
{
    enum { PARTITIONS = 200, LANES = 330, LARGE = 3900, RECORDS_MAX = 70000 };
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_assignment *assignments[PARTITIONS], *each;
    int commits = 0, sent = 0;
    size_t bytes;
    char key[8];

    kit->core.config.records_max = kit->core.admission.records_max = RECORDS_MAX;
    assert_true(heap_reserve(&kit->core.timers, RECORDS_MAX));
    for (int p = 0; p < PARTITIONS; p++) {
        assignments[p] = core_kit_assign(kit, p + 1, 0);
        for (int64_t offset = 0; offset < LANES; offset++) {
            snprintf(key, sizeof(key), "%d", (int)offset);
            assert_true(core_kit_try_quietly(kit, assignments[p], offset, key));
        }
    }
    for (int i = 0; i < PARTITIONS; i++)
        commit_mark(&kit->core.commit, assignments[i]);
    core_kit_wait(kit, 1000);
    while ((each = core_next_commit(&kit->core, kit->now_ms)) != NULL) {
        for (bytes = 0; each != NULL; each = each->committing_next, sent++) {
            assert_true(each->map.mark.size > LARGE);
            bytes += each->map.mark.size;
        }
        assert_true(bytes <= COMMIT_MAPS_BYTES);
        core_kit_commit_answer(kit, true);
        commits++;
    }
    assert_int_equal(sent, PARTITIONS);
    assert_in_range(commits, 2, 3);
    for (int p = 0; p < PARTITIONS; p++)
        core_kit_lose(kit, assignments[p]);
}

static void what_cannot_be_used_begins_at_the_base(void **state)
{
    struct fixture *fixture = *state;

    leave_one_key_unfinished(fixture);
    commit(fixture);
    assert_int_equal(restart(fixture, 19), PROGRESS_BEYOND_LOG);
    assert_int_equal(fixture->assignment->offsets.frontier, fixture->committed);
    assert_int_equal(fixture->kit.core.parked.count, 0);
    fixture->committed++;
    assert_int_equal(restart(fixture, 20), PROGRESS_TORN);
    assert_int_equal(fixture->assignment->offsets.frontier, fixture->committed);
    fixture->map_size = 0;
    assert_int_equal(restart(fixture, 20), PROGRESS_ABSENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_the_unfinished_runs_again, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_committed_is_not_committed_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_new_map_alone_is_committed, setup, teardown),
        cmocka_unit_test_setup_teardown(records_without_a_lane_are_listed_one_by_one, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(three_hundred_blocked_lanes_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_fit_lowers_the_ceiling_to_its_head, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(parked_lanes_are_listed_whatever_has_left_the_ring, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(attempts_and_due_times_outlive_the_process, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_drain_leaves_nothing_but_the_unfinished, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_a_drain_finds_gone_is_not_in_its_map, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_map_that_is_too_large_is_halved, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_map_is_halved_too, setup, teardown),
        cmocka_unit_test_setup_teardown(a_partition_holds_while_too_much_lies_above_its_ceiling,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_partition_holds_though_there_is_nothing_to_commit, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(large_maps_go_in_several_commits, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_used_begins_at_the_base, setup, teardown),
    };

    return check_run(tests);
}
