/* SPDX-License-Identifier: Apache-2.0 */
/* Records that are not to run yet, for their own time or as the program holds them: they hold no
 * worker, their lane waits, and nothing else does. */
#include "lib/core_kit.h"

#include "core/blocker.h"

#include <stdio.h>

enum { RECORDS_MAX = 32, QUOTA = 8, WALL_MS = 1000000 };

struct fixture {
    struct core_kit kit;
    struct klane_assignment *assignment; /* partition 0, from offset 0 */
};

static int setup(void **state)
{
    static struct fixture fixture;
    struct core_config config = core_kit_config();

    config.records_max = RECORDS_MAX;
    config.lane_records_max = QUOTA;
    config.parks = true;
    config.map_limit = 4096;
    core_kit_init(&fixture.kit, config);
    core_wall(&fixture.kit.core, WALL_MS);
    core_kit_wait(&fixture.kit, 0);
    fixture.assignment = core_kit_assign(&fixture.kit, 0, 0);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    core_kit_revoke(&fixture->kit, fixture->assignment);
    core_kit_settle(&fixture->kit, fixture->assignment);
    core_kit_deinit(&fixture->kit);
    return 0;
}

/* due_ms: by the core's clock; 0: at once. */
static void take_in(struct fixture *fixture, int64_t offset, const char *key, int64_t due_ms)
{
    struct source_record record = {
        .key = key, .key_size = key == NULL ? 0 : (uint32_t)strlen(key), .offset = offset};
    struct core_place place = {.kind = key == NULL ? LANE_OF_RECORD : LANE_OF_KEY,
                               .due_ms = due_ms == 0 ? 0 : due_ms + WALL_MS};

    assert_true(core_take_in(&fixture->kit.core, fixture->assignment, &record, &place));
    core_verify(&fixture->kit.core);
}

static void assert_nothing_ready(struct fixture *fixture)
{
    assert_null(core_next_ready(&fixture->kit.core));
    assert_int_equal(fixture->kit.core.ready.all, 0);
}

static void hold(struct fixture *fixture, const char *topic, const char *key)
{
    assert_true(core_hold(&fixture->kit.core, topic, key, key == NULL ? 0 : 1));
    core_verify(&fixture->kit.core);
}

static bool release(struct fixture *fixture, const char *topic, const char *key)
{
    bool was_held = core_release(&fixture->kit.core, topic, key, key == NULL ? 0 : 1);

    core_verify(&fixture->kit.core);
    return was_held;
}

/* ---- their own time ---------------------------------------------------------------------- */

static void a_record_waits_for_its_time_and_its_lane_behind_it(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *slot;

    take_in(fixture, 0, "a", kit->now_ms + 500);
    take_in(fixture, 1, "a", 0);
    take_in(fixture, 2, "b", 0);
    core_kit_run(kit, 2);
    assert_nothing_ready(fixture);
    assert_int_equal(core_next_due_ms(&kit->core), kit->now_ms + 500);

    core_kit_wait(kit, 499);
    assert_nothing_ready(fixture);
    core_kit_wait(kit, 1);

    slot = core_kit_start(kit, 0);
    assert_int_equal(slot->record.attempt, 1);
    assert_nothing_ready(fixture);
    core_kit_back(kit, slot, SLOT_DONE);
    core_kit_run(kit, 1);
}

static void a_time_in_the_past_is_at_once(void **state)
{
    struct fixture *fixture = *state;

    take_in(fixture, 0, "a", fixture->kit.now_ms);
    take_in(fixture, 1, NULL, 1);
    core_kit_run(&fixture->kit, 0);
    core_kit_run(&fixture->kit, 1);
}

static void workers_do_not_pass_it_on_to_each_other(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *first, *second;

    take_in(fixture, 0, "a", 0);
    take_in(fixture, 1, "a", kit->now_ms + 500);
    first = core_kit_start(kit, 0);
    second = core_kit_pass(first);
    assert_non_null(second);
    assert_false(second->record.is_paid);
    core_kit_report(kit, first);
    core_kit_back(kit, second, SLOT_ASKS);
    assert_nothing_ready(fixture);

    core_kit_wait(kit, 500);
    second = core_kit_start(kit, 1);
    assert_true(second->record.is_paid);
    core_kit_back(kit, second, SLOT_DONE);
}

static void a_retry_after_its_time_waits_for_its_delay_alone(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *slot;

    take_in(fixture, 0, "a", kit->now_ms + 10);
    core_kit_wait(kit, 10);
    core_kit_back(kit, core_kit_start(kit, 0), SLOT_RETRY);
    core_kit_wait(kit, CORE_KIT_RETRY_MS);

    slot = core_kit_start(kit, 0);
    assert_int_equal(slot->record.attempt, 2);
    core_kit_back(kit, slot, SLOT_DONE);
}

/* The wall's clock is set back while it waits, and forward. */
static void the_walls_clock_decides(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    take_in(fixture, 0, "a", kit->now_ms + 500);
    core_wall(&kit->core, WALL_MS - 100);
    core_kit_wait(kit, 500);
    assert_nothing_ready(fixture);
    core_kit_wait(kit, 100);
    core_kit_run(kit, 0);

    take_in(fixture, 1, "a", kit->now_ms + 86400000);
    core_wall(&kit->core, WALL_MS + 86400000);
    core_kit_wait(kit, 60000);
    core_kit_run(kit, 1);
}

static void its_map_says_nothing_of_its_time_and_no_attempt(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    const struct progress_text *map = &fixture->assignment->map;
    struct progress_map read;

    take_in(fixture, 0, "a", kit->now_ms + 86400000);
    take_in(fixture, 1, "b", 0);
    core_kit_run(kit, 1);
    core_kit_wait(kit, 1000);
    assert_non_null(core_next_commit(&kit->core, kit->now_ms));
    assert_int_equal(progress_map_read(&read, map->text, map->mark.size, 0, NULL), PROGRESS_READ);
    assert_int_equal(read.count, 1);
    assert_int_equal(read.lanes[0].head, 0);
    assert_int_equal(read.lanes[0].attempts, 0);
    assert_int_equal(read.lanes[0].due_ms, 0);
    progress_map_free(&read);
    core_kit_commit_answer(kit, true);
}

/* ---- held -------------------------------------------------------------------------------- */

static void a_held_key_waits_and_no_other_does(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    take_in(fixture, 0, "a", 0);
    hold(fixture, "topic", "a");
    take_in(fixture, 1, "a", 0);
    take_in(fixture, 2, "b", 0);
    take_in(fixture, 3, NULL, 0);
    core_kit_run(kit, 2);
    core_kit_run(kit, 3);
    assert_nothing_ready(fixture);
    core_kit_wait(kit, 86400000);
    assert_nothing_ready(fixture);

    assert_false(release(fixture, "topic", "b"));
    assert_false(release(fixture, "other", "a"));
    assert_true(release(fixture, "topic", "a"));
    core_kit_run(kit, 0);
    core_kit_run(kit, 1);
    assert_false(release(fixture, "topic", "a"));
}

#define MANY_KEYS 3000

static const char *key_of(uint32_t number)
{
    static char key[16];

    snprintf(key, sizeof(key), "key %u", number);
    return key;
}

/* Each by itself: neither a key of another topic, nor one that begins like it. */
static void thousands_of_keys_are_held_and_let_go_one_by_one(void **state)
{
    struct fixture *fixture = *state;
    struct core *core = &fixture->kit.core;
    const char *const topics[] = {"other", "topic"};

    for (uint32_t i = 0; i < MANY_KEYS; i++)
        assert_true(core_hold(core, topics[i % 2], key_of(i), (uint32_t)strlen(key_of(i))));
    assert_true(core_hold(core, "topic", key_of(1), (uint32_t)strlen(key_of(1))));
    take_in(fixture, 0, key_of(1), 0);
    take_in(fixture, 1, key_of(2), 0);
    take_in(fixture, 2, key_of(MANY_KEYS + 1), 0);
    take_in(fixture, 3, key_of(MANY_KEYS - 1), 0);
    core_kit_run(&fixture->kit, 1);
    core_kit_run(&fixture->kit, 2);
    assert_nothing_ready(fixture);

    assert_true(core_release(core, "topic", key_of(1), (uint32_t)strlen(key_of(1))));
    core_kit_run(&fixture->kit, 0);
    assert_nothing_ready(fixture);
    for (uint32_t i = 3; i < MANY_KEYS; i += 2)
        assert_true(core_release(core, "topic", key_of(i), (uint32_t)strlen(key_of(i))));
    core_kit_run(&fixture->kit, 3);
    assert_int_equal(fixture->assignment->partition->stops, 0);
    assert_false(core_release(core, "topic", key_of(2), (uint32_t)strlen(key_of(2))));
    /* The other topic's are still there when the core goes. */
}

static void what_runs_ends_and_what_follows_it_is_held(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *first, *second;

    for (int64_t offset = 0; offset < 4; offset++)
        take_in(fixture, offset, "a", 0);
    first = core_kit_start(kit, 0);
    hold(fixture, "topic", "a");
    second = core_kit_pass(first);
    assert_false(second->record.is_paid);
    core_kit_report(kit, first);
    core_kit_back(kit, second, SLOT_ASKS);
    assert_nothing_ready(fixture);

    release(fixture, "topic", "a");
    for (int64_t offset = 1; offset < 4; offset++)
        core_kit_run(kit, offset);
}

/* The worker has passed the lane on already, and control finds the end of it finished. */
static void what_was_passed_on_ends_too(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *first, *second;

    take_in(fixture, 0, "a", 0);
    take_in(fixture, 1, "a", 0);
    first = core_kit_start(kit, 0);
    second = core_kit_pass(first);
    hold(fixture, "topic", "a");
    assert_true(second->record.is_paid);
    take_in(fixture, 2, "a", 0);
    core_kit_report(kit, first);
    core_kit_back(kit, second, SLOT_DONE);
    assert_nothing_ready(fixture);
    release(fixture, "topic", "a");
    core_kit_run(kit, 2);
}

static void a_held_topic_takes_nothing_in(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    take_in(fixture, 0, "a", 0);
    take_in(fixture, 1, NULL, 0);
    hold(fixture, "topic", NULL);
    assert_int_equal(core_kit_notice(kit), NOTICE_HELD);
    take_in(fixture, 2, "b", 0);
    assert_null(core_next_ready(&kit->core));
    assert_int_equal(kit->core.ready.all, 0);

    hold(fixture, NULL, NULL);
    release(fixture, "topic", NULL);
    assert_int_equal(core_kit_notice(kit), 0);
    assert_nothing_ready(fixture);
    release(fixture, NULL, NULL);
    assert_int_equal(core_kit_notice(kit), NOTICE_RELEASED);
    for (int i = 0; i < 3; i++)
        core_kit_back(kit, core_next_ready(&kit->core), SLOT_DONE);
    assert_int_equal(assignment_base(fixture->assignment), 3);
}

static void a_hold_outlasts_a_stay(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    hold(fixture, "topic", NULL);
    assert_int_equal(core_kit_notice(kit), NOTICE_HELD);
    core_kit_revoke(kit, fixture->assignment);
    core_kit_settle(kit, fixture->assignment);
    fixture->assignment = core_kit_assign(kit, 0, 0);
    assert_int_equal(core_kit_notice(kit), NOTICE_HELD);
    take_in(fixture, 0, "a", 0);
    assert_nothing_ready(fixture);
    release(fixture, "topic", NULL);
    assert_int_equal(core_kit_notice(kit), NOTICE_RELEASED);
    core_kit_run(kit, 0);
}

static void a_record_held_past_its_retry_keeps_its_attempts(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *slot;

    take_in(fixture, 0, "a", 0);
    slot = core_kit_start(kit, 0);
    hold(fixture, "topic", "a");
    core_kit_back(kit, slot, SLOT_RETRY);
    core_kit_wait(kit, CORE_KIT_RETRY_MS);
    assert_nothing_ready(fixture);
    assert_int_equal(slot_attempts(slot), 1);
    release(fixture, "topic", "a");
    slot = core_kit_start(kit, 0);
    assert_int_equal(slot->record.attempt, 2);
    core_kit_back(kit, slot, SLOT_DONE);
}

/* ---- parked ------------------------------------------------------------------------------ */

/* Nothing can run, and memory is full. */
static void relieve(struct fixture *fixture, int times)
{
    struct core *core = &fixture->kit.core;

    for (int i = 0; i < times; i++) {
        core->admission.records_max = core->admission.records;
        core_relieve(core, fixture->kit.now_ms);
        core->admission.records_max = RECORDS_MAX;
        core_kit_wait(&fixture->kit, 100);
    }
}

static void bring(struct fixture *fixture, int64_t offset, const char *key, int64_t due_ms)
{
    struct source_record record = {
        .key = key, .key_size = (uint32_t)strlen(key), .offset = offset};

    core_swept(&fixture->kit.core, fixture->assignment, &record,
               &(struct core_place){.kind = LANE_OF_KEY, .due_ms = due_ms + WALL_MS});
    core_verify(&fixture->kit.core);
}

static void many_that_wait_are_parked_with_their_heads(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    int64_t due_ms = kit->now_ms + 5000, from = -1;
    struct klane_slot *slot;
    char key[2] = "A";

    take_in(fixture, 0, "x", 0);
    slot = core_kit_start(kit, 0);
    slot->back.outcome = SLOT_RETRY;
    core_came_back(&kit->core, slot, 5000, kit->now_ms);
    take_in(fixture, 1, "y", kit->now_ms + 800);
    for (int64_t offset = 2; offset < 8; offset++) {
        key[0] = (char)('A' + offset);
        take_in(fixture, offset, key, due_ms);
    }

    relieve(fixture, 4);

    /* What waits for less than a second stays. */
    assert_int_equal(kit->core.admission.records, 1);
    assert_int_equal(kit->core.parked.count, 7);
    assert_int_equal(assignment_base(fixture->assignment), 0);
    core_kit_wait(kit, 800);
    core_kit_run(kit, 1);
    assert_null(core_next_pass(&kit->core, &from));

    core_kit_wait(kit, 5000);
    assert_non_null(core_next_pass(&kit->core, &from));
    assert_int_equal(from, 0);
    bring(fixture, 0, "x", 0);
    for (int64_t offset = 2; offset < 8; offset++) {
        key[0] = (char)('A' + offset);
        bring(fixture, offset, key, due_ms);
    }
    assert_true(core_swept_to(&kit->core, fixture->assignment, 8));
    assert_int_equal(kit->core.parked.count, 0);
    slot = core_kit_start(kit, 0);
    assert_int_equal(slot->record.attempt, 2);
    core_kit_back(kit, slot, SLOT_DONE);
    for (int64_t offset = 2; offset < 8; offset++) {
        slot = core_kit_start(kit, offset);
        assert_int_equal(slot->record.attempt, 1);
        core_kit_back(kit, slot, SLOT_DONE);
    }
}

static void a_parked_record_need_not_wait_for_its_time_any_more(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    int64_t due_ms = kit->now_ms + 86400000, from;
    struct core_blocker found;

    take_in(fixture, 0, "a", due_ms);
    relieve(fixture, 4);
    assert_true(core_unfinished_at(fixture->assignment, 0, &found));
    assert_non_null(found.parked);
    assert_true(core_parked_wait_ends(&kit->core, found.parked));
    assert_non_null(core_next_pass(&kit->core, &from));
    bring(fixture, 0, "a", due_ms);
    assert_true(core_swept_to(&kit->core, fixture->assignment, 1));
    core_kit_run(kit, 0);
}

/* Of which one is the record that is to be ended cannot be told while others stand there too. */
static void a_parked_record_behind_others_in_memory_is_not_ended(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct core_blocker found;
    int64_t from;

    for (int64_t offset = 0; offset < QUOTA + 2; offset++)
        take_in(fixture, offset, "a", 0);
    assert_true(core_unfinished_at(fixture->assignment, QUOTA, &found));
    assert_null(found.parked);
    assert_null(found.slot);
    assert_false(core_unfinished_at(fixture->assignment, QUOTA + 2, &found));
    for (int64_t offset = 0; offset < QUOTA; offset++)
        core_kit_run(kit, offset);
    assert_true(core_unfinished_at(fixture->assignment, QUOTA, &found));
    assert_non_null(found.parked);
    core_parked_finish(&kit->core, found.parked, true);
    assert_non_null(core_next_pass(&kit->core, &from));
    assert_int_equal(from, QUOTA + 1);
    bring(fixture, QUOTA + 1, "a", 0);
    assert_true(core_swept_to(&kit->core, fixture->assignment, QUOTA + 2));
    core_kit_run(kit, QUOTA + 1);
    assert_int_equal(assignment_base(fixture->assignment), QUOTA + 2);
}

static void what_was_held_when_it_was_parked_is_read_again_when_it_is_released(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    int64_t from = -1;

    hold(fixture, "topic", "a");
    take_in(fixture, 0, "a", 0);
    take_in(fixture, 1, "a", 0);
    relieve(fixture, 6);
    assert_int_equal(kit->core.admission.records, 0);
    core_kit_wait(kit, 86400000);
    assert_null(core_next_pass(&kit->core, &from));

    release(fixture, "topic", "a");
    assert_non_null(core_next_pass(&kit->core, &from));
    bring(fixture, 0, "a", 0);
    bring(fixture, 1, "a", 0);
    core_kit_run(kit, 0);
    core_kit_run(kit, 1);
    assert_true(core_swept_to(&kit->core, fixture->assignment, 2));
}

/* It came while a pass fed its lane, and the hold before the two met. */
static void what_was_kept_behind_a_parked_lane_is_held_too(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *first, *second;
    int64_t from;

    take_in(fixture, 0, "a", kit->now_ms + 5000);
    relieve(fixture, 4);
    assert_int_equal(kit->core.parked.count, 1);
    core_kit_wait(kit, 5000);
    assert_non_null(core_next_pass(&kit->core, &from));
    take_in(fixture, 1, "a", 0);
    hold(fixture, "topic", NULL);
    bring(fixture, 0, "a", 0);
    assert_true(core_swept_to(&kit->core, fixture->assignment, 1));
    assert_nothing_ready(fixture);

    release(fixture, "topic", NULL);
    assert_int_equal(core_kit_notice(kit), NOTICE_RELEASED);
    first = core_kit_start(kit, 0);
    second = core_kit_pass(first);
    assert_non_null(second);
    assert_false(second->record.is_paid);
    core_kit_report(kit, first);
    core_kit_back(kit, second, SLOT_ASKS);
    core_kit_run(kit, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_record_waits_for_its_time_and_its_lane_behind_it),
        TEST(a_time_in_the_past_is_at_once),
        TEST(workers_do_not_pass_it_on_to_each_other),
        TEST(a_retry_after_its_time_waits_for_its_delay_alone),
        TEST(the_walls_clock_decides),
        TEST(its_map_says_nothing_of_its_time_and_no_attempt),
        TEST(a_held_key_waits_and_no_other_does),
        TEST(thousands_of_keys_are_held_and_let_go_one_by_one),
        TEST(what_runs_ends_and_what_follows_it_is_held),
        TEST(what_was_passed_on_ends_too),
        TEST(a_held_topic_takes_nothing_in),
        TEST(a_hold_outlasts_a_stay),
        TEST(a_record_held_past_its_retry_keeps_its_attempts),
        TEST(many_that_wait_are_parked_with_their_heads),
        TEST(what_was_kept_behind_a_parked_lane_is_held_too),
        TEST(a_parked_record_need_not_wait_for_its_time_any_more),
        TEST(a_parked_record_behind_others_in_memory_is_not_ended),
        TEST(what_was_held_when_it_was_parked_is_read_again_when_it_is_released),
    };

    return check_run(tests);
}
