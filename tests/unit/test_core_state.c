/* SPDX-License-Identifier: Apache-2.0 */
/* States of lanes: how long one is kept, who frees it when, and what waits for that. */
#include "core/internal.h"
#include "lib/core_kit.h"

#include <stdio.h>

enum { IDLE_MAX = 3, DRAIN_MS = 2000, BUDGET = 12 * SLAB_CHUNK_BYTES };

struct fixture {
    struct core_kit kit;
    struct idle_states idle;
    struct klane_assignment *assignment;
    int marks[8]; /* addresses to leave as states */
};

static void begin(struct fixture *fixture, struct core_config config)
{
    core_kit_init(&fixture->kit, config);
    idle_states_init(&fixture->idle, IDLE_MAX);
    fixture->kit.topic.states = &fixture->idle;
    assert_true(core_keep_states(&fixture->kit.core, 1000));
    core_budget(&fixture->kit.core, config.limit_bytes, 0, 0);
    fixture->assignment = core_kit_assign(&fixture->kit, 0, 0);
}

static int setup(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){.idle.max = 0};
    begin(&fixture, core_kit_config());
    *state = &fixture;
    return 0;
}

/* The next slot, which must be one that frees this state. */
static struct klane_slot *next_frees(struct fixture *fixture, const void *state)
{
    struct klane_slot *slot = core_next_ready(&fixture->kit.core);

    assert_non_null(slot);
    assert_true(slot_frees_state(slot));
    assert_ptr_equal(cell_of_task(slot)->state, state);
    core_verify(&fixture->kit.core);
    return slot;
}

static void freed(struct fixture *fixture, struct klane_slot *slot)
{
    core_state_freed(&fixture->kit.core, slot, fixture->kit.now_ms);
    core_verify(&fixture->kit.core);
}

static void assert_nothing_next(struct fixture *fixture)
{
    assert_null(core_next_ready(&fixture->kit.core));
    core_verify(&fixture->kit.core);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    struct klane_slot *slot;

    if (fixture->assignment != NULL)
        core_kit_lose(&fixture->kit, fixture->assignment);
    while ((slot = core_next_ready(&fixture->kit.core)) != NULL)
        freed(fixture, slot);
    assert_null(fixture->kit.core.assignments);
    core_kit_deinit(&fixture->kit);
    return 0;
}

static void take_in(struct fixture *fixture, int64_t offset, const char *key)
{
    core_kit_take_in(&fixture->kit, fixture->assignment, offset, key);
}

/* The record runs, finds one state and leaves another. */
static void run(struct fixture *fixture, int64_t offset, const void *found, void *left)
{
    struct klane_slot *slot = core_kit_start(&fixture->kit, offset);

    assert_non_null(slot_state(slot));
    assert_ptr_equal(*slot_state(slot), found);
    *slot_state(slot) = left;
    core_kit_back(&fixture->kit, slot, SLOT_DONE);
}

static void take_and_run(struct fixture *fixture, int64_t offset, const char *key,
                         const void *found, void *left)
{
    take_in(fixture, offset, key);
    run(fixture, offset, found, left);
}

/* ---- how long it is kept ----------------------------------------------------------------- */

static void a_state_stays_while_its_lane_is_idle(void **state)
{
    struct fixture *fixture = *state;
    int *marks = fixture->marks;

    take_and_run(fixture, 0, "a", NULL, &marks[0]);
    take_and_run(fixture, 1, "b", NULL, &marks[1]);
    assert_int_equal(fixture->kit.core.lanes.table.count, 0);
    assert_int_equal(fixture->kit.core.states.idle, 2);

    take_and_run(fixture, 2, "a", &marks[0], &marks[2]);
    take_and_run(fixture, 3, "b", &marks[1], &marks[1]);
    take_and_run(fixture, 4, "a", &marks[2], &marks[2]);

    assert_nothing_next(fixture);
}

static void a_lane_that_leaves_none_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;

    take_and_run(fixture, 0, "a", NULL, NULL);
    assert_int_equal(fixture->kit.core.states.table.count, 0);
    take_and_run(fixture, 1, "a", NULL, &fixture->marks[0]);
    take_and_run(fixture, 2, "a", &fixture->marks[0], NULL);

    assert_int_equal(fixture->kit.core.states.table.count, 0);
    assert_nothing_next(fixture);
}

static void a_record_without_a_lane_has_no_place_for_one(void **state)
{
    struct fixture *fixture = *state;
    struct klane_slot *slot;

    take_in(fixture, 0, NULL);
    slot = core_kit_start(&fixture->kit, 0);

    assert_null(slot_state(slot));
    core_kit_back(&fixture->kit, slot, SLOT_DONE);
}

static void all_records_of_a_lane_lead_to_one_place(void **state)
{
    struct fixture *fixture = *state;
    struct klane_slot *first, *second;

    take_in(fixture, 0, "a");
    first = core_kit_start(&fixture->kit, 0);
    take_in(fixture, 1, "a");
    *slot_state(first) = &fixture->marks[0];

    second = core_kit_pass(first);

    assert_ptr_equal(*slot_state(second), &fixture->marks[0]);
    assert_true(second->record.is_paid);
    core_kit_report(&fixture->kit, first);
    core_kit_back(&fixture->kit, second, SLOT_DONE);
}

static void a_state_stays_between_attempts(void **state)
{
    struct fixture *fixture = *state;
    struct klane_slot *slot;

    fixture->idle.max = 0;
    take_in(fixture, 0, "a");
    slot = core_kit_start(&fixture->kit, 0);
    *slot_state(slot) = &fixture->marks[0];
    core_kit_back(&fixture->kit, slot, SLOT_RETRY);
    assert_nothing_next(fixture);

    core_kit_wait(&fixture->kit, CORE_KIT_RETRY_MS);

    run(fixture, 0, &fixture->marks[0], &fixture->marks[0]);
    freed(fixture, next_frees(fixture, &fixture->marks[0]));
}

static void of_more_than_may_be_idle_the_first_is_freed(void **state)
{
    static const char *const keys[] = {"a", "b", "c", "d", "e"};
    struct fixture *fixture = *state;
    int *marks = fixture->marks;

    for (int i = 0; i < IDLE_MAX; i++)
        take_and_run(fixture, i, keys[i], NULL, &marks[i]);
    /* Not the first any more. */
    take_and_run(fixture, 3, "a", &marks[0], &marks[0]);
    assert_nothing_next(fixture);

    take_and_run(fixture, 4, "d", NULL, &marks[3]);
    freed(fixture, next_frees(fixture, &marks[1]));
    take_and_run(fixture, 5, "e", NULL, &marks[4]);
    freed(fixture, next_frees(fixture, &marks[2]));

    assert_nothing_next(fixture);
    assert_int_equal(fixture->kit.core.states.table.count, IDLE_MAX);
    take_and_run(fixture, 6, "a", &marks[0], &marks[0]);
}

/* ---- who waits --------------------------------------------------------------------------- */

static void a_record_waits_until_its_lanes_former_state_is_freed(void **state)
{
    struct fixture *fixture = *state;
    struct klane_slot *task;

    fixture->idle.max = 0;
    take_and_run(fixture, 0, "a", NULL, &fixture->marks[0]);
    task = next_frees(fixture, &fixture->marks[0]);
    take_in(fixture, 1, "a");
    take_in(fixture, 2, "a");
    take_in(fixture, 3, "b");
    core_kit_run(&fixture->kit, 3);
    assert_nothing_next(fixture);
    core_kit_wait(&fixture->kit, 1000000);
    assert_nothing_next(fixture);

    freed(fixture, task);

    run(fixture, 1, NULL, &fixture->marks[1]);
    run(fixture, 2, &fixture->marks[1], NULL);
    assert_nothing_next(fixture);
}

static void a_record_that_is_faster_than_who_is_to_free_waits_too(void **state)
{
    struct fixture *fixture = *state;
    struct klane_slot *slot;

    fixture->idle.max = 0;
    take_and_run(fixture, 0, "a", NULL, &fixture->marks[0]);
    take_in(fixture, 1, "a");

    slot = next_frees(fixture, &fixture->marks[0]);
    assert_nothing_next(fixture);
    freed(fixture, slot);

    slot = core_kit_start(&fixture->kit, 1);
    assert_int_equal(slot->record.attempt, 1);
    assert_null(*slot_state(slot));
    core_kit_back(&fixture->kit, slot, SLOT_DONE);
}

/* In between its mail was sent, which stands where a batch would be linked. */
static void a_cell_that_is_freed_again_is_linked_to_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct klane_slot *task;

    fixture->idle.max = 0;
    take_and_run(fixture, 0, "a", NULL, &fixture->marks[0]);
    task = next_frees(fixture, &fixture->marks[0]);
    take_in(fixture, 1, "a");
    memset(&task->back.mail, 0x5a, sizeof(task->back.mail));
    freed(fixture, task);
    run(fixture, 1, NULL, &fixture->marks[1]);

    assert_ptr_equal(next_frees(fixture, &fixture->marks[1]), task);

    assert_null(task->back.with);
    freed(fixture, task);
}

static void lanes_and_states_are_handed_over_by_turns(void **state)
{
    struct fixture *fixture = *state;

    struct klane_slot *slots[2];

    fixture->idle.max = 0;
    take_in(fixture, 0, "a");
    take_in(fixture, 1, "b");
    for (int i = 0; i < 2; i++) {
        slots[i] = core_kit_start(&fixture->kit, i);
        *slot_state(slots[i]) = &fixture->marks[i];
    }
    for (int i = 0; i < 2; i++)
        core_kit_back(&fixture->kit, slots[i], SLOT_DONE);
    take_in(fixture, 2, "c");
    take_in(fixture, 3, "d");

    for (int i = 0; i < 2; i++) {
        freed(fixture, next_frees(fixture, &fixture->marks[i]));
        core_kit_run(&fixture->kit, i + 2);
    }
    assert_nothing_next(fixture);
}

/* The slot of a lane that waits for its former state to be freed; *task: who is to do that. */
static struct klane_slot *waiting(struct fixture *fixture, struct klane_slot **task)
{
    struct klane_slot *slot;
    struct lane *lane;

    fixture->idle.max = 0;
    take_and_run(fixture, 0, "a", NULL, &fixture->marks[0]);
    *task = next_frees(fixture, &fixture->marks[0]);
    take_in(fixture, 1, "a");
    lane = (*task)->control.lane;
    slot = lane->held;
    assert_int_equal(slot->record.offset, 1);
    return slot;
}

static void a_record_that_ends_processes_is_told_once_also_if_it_waits_for_a_state(void **state)
{
    struct fixture *fixture = *state;
    struct klane_slot *slot, *task;

    slot = waiting(fixture, &task);
    slot->control.crashes = TRIAL_CRASHES;
    assert_nothing_next(fixture);
    assert_int_equal(core_kit_notice(&fixture->kit), 0);

    freed(fixture, task);

    core_kit_run(&fixture->kit, 1);
    assert_int_equal(core_kit_notice(&fixture->kit), NOTICE_CRASHED);
}

static void a_key_that_is_held_by_hand_waits_on_when_its_state_is_freed(void **state)
{
    struct fixture *fixture = *state;
    struct core *core = &fixture->kit.core;
    struct klane_slot *task;

    waiting(fixture, &task);
    assert_nothing_next(fixture);
    assert_true(core_hold(core, "topic", "a", 1));
    assert_false(core_is_held(core, task));
    freed(fixture, task);
    assert_nothing_next(fixture);

    assert_true(core_release(core, "topic", "a", 1));

    core_kit_run(&fixture->kit, 1);
}

static void a_release_does_not_let_on_what_waits_for_a_state(void **state)
{
    struct fixture *fixture = *state;
    struct core *core = &fixture->kit.core;
    struct klane_slot *task;

    waiting(fixture, &task);
    assert_nothing_next(fixture);
    assert_true(core_hold(core, "topic", "a", 1));
    assert_true(core_release(core, "topic", "a", 1));
    assert_nothing_next(fixture);

    freed(fixture, task);

    core_kit_run(&fixture->kit, 1);
}

/* A batch is paid when it is handed over: what is barred is not gathered. */
static void a_record_that_waits_for_a_state_is_in_no_batch(void **state)
{
    const struct gather_rule rule = {.records_max = 2, .records_min = 2, .many_lanes = true};
    struct fixture *fixture = *state;
    struct core *core = &fixture->kit.core;
    struct klane_slot *slot, *task, *batch;

    slot = waiting(fixture, &task);
    assert_true(core_gathers(core, &rule, 1));
    take_in(fixture, 2, "b");
    take_in(fixture, 3, "c");
    batch = core_next_batch(core, true);
    assert_int_equal(batch->record.offset, 2);
    assert_null(core_next_batch(core, true));
    assert_false(slot->record.is_paid);

    freed(fixture, task);

    core_kit_wait(&fixture->kit, 1);
    assert_ptr_equal(core_next_batch(core, true), slot);
    core_kit_back(&fixture->kit, slot, SLOT_DONE);
    core_kit_back(&fixture->kit, batch->back.with, SLOT_DONE);
    core_kit_back(&fixture->kit, batch, SLOT_DONE);
}

/* As if the hashes of all keys were alike. */
static void run_with_hash(struct fixture *fixture, int64_t offset, const char *key,
                          const void *found, void *left)
{
    struct source_record record = {.key = key, .key_size = 1, .offset = offset};
    const struct core_place place = {.kind = LANE_OF_KEY, .has_state = true};
    struct lane_name name = lane_name_of(fixture->assignment->partition, &record, &place);
    struct klane_slot *slot =
        slot_of_record(&fixture->kit.core, fixture->assignment, &record, &place);

    assert_non_null(lane_enter(&fixture->kit.core, NULL, &name, 77, slot));
    offsets_add(&fixture->assignment->offsets, slot);
    slot_counted(&fixture->kit.core, slot);
    run(fixture, offset, found, left);
}

static void keys_that_clash_have_states_of_their_own(void **state)
{
    struct fixture *fixture = *state;
    int *marks = fixture->marks;

    take_and_run(fixture, 0, "x", NULL, NULL); /* the offsets have room from here on */
    run_with_hash(fixture, 1, "a", NULL, &marks[0]);
    run_with_hash(fixture, 2, "b", NULL, &marks[1]);
    run_with_hash(fixture, 3, "a", &marks[0], &marks[0]);
    run_with_hash(fixture, 4, "b", &marks[1], &marks[1]);
}

/* ---- partitions that go ------------------------------------------------------------------ */

static void a_drain_waits_until_idle_states_are_freed(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *tasks[2];

    take_and_run(fixture, 0, "a", NULL, &fixture->marks[0]);
    take_and_run(fixture, 1, "b", NULL, &fixture->marks[1]);
    core_kit_revoke(kit, fixture->assignment);
    assert_int_equal(assignment_state(fixture->assignment), ASSIGNMENT_DRAINING);
    for (int i = 0; i < 2; i++)
        tasks[i] = next_frees(fixture, &fixture->marks[i]);
    assert_nothing_next(fixture);
    assert_false(core_is_empty(&kit->core));
    freed(fixture, tasks[1]);
    assert_int_equal(assignment_state(fixture->assignment), ASSIGNMENT_DRAINING);

    freed(fixture, tasks[0]);

    assert_int_equal(assignment_state(fixture->assignment), ASSIGNMENT_SETTLING);
    assert_true(core_is_empty(&kit->core));
    core_kit_settle(kit, fixture->assignment);
    fixture->assignment = NULL;
    assert_null(kit->core.assignments);
}

static void a_drain_waits_for_the_state_of_what_runs(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *slot;

    take_in(fixture, 0, "a");
    slot = core_kit_start(kit, 0);
    core_kit_revoke(kit, fixture->assignment);
    *slot_state(slot) = &fixture->marks[0];
    core_kit_back(kit, slot, SLOT_DONE);
    assert_int_equal(assignment_state(fixture->assignment), ASSIGNMENT_DRAINING);

    freed(fixture, next_frees(fixture, &fixture->marks[0]));

    assert_int_equal(assignment_state(fixture->assignment), ASSIGNMENT_SETTLING);
}

static void a_drain_ends_at_its_deadline_whatever_is_not_freed(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *task;

    take_and_run(fixture, 0, "a", NULL, &fixture->marks[0]);
    core_kit_revoke(kit, fixture->assignment);
    task = next_frees(fixture, &fixture->marks[0]);
    core_kit_wait(kit, DRAIN_MS - 1);
    assert_int_equal(assignment_state(fixture->assignment), ASSIGNMENT_DRAINING);

    core_kit_wait(kit, 1);

    core_kit_settle(kit, fixture->assignment);
    assert_non_null(kit->core.assignments);
    fixture->assignment = NULL;
    freed(fixture, task);
    assert_null(kit->core.assignments);
}

static void states_of_what_is_lost_are_freed_too(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *slot;

    take_and_run(fixture, 0, "a", NULL, &fixture->marks[0]);
    take_in(fixture, 1, "b");
    slot = core_kit_start(kit, 1);
    *slot_state(slot) = &fixture->marks[1];
    core_kit_lose(kit, fixture->assignment);
    fixture->assignment = NULL;

    freed(fixture, next_frees(fixture, &fixture->marks[0]));
    assert_nothing_next(fixture);
    core_kit_back(kit, slot, SLOT_DONE);
    freed(fixture, next_frees(fixture, &fixture->marks[1]));

    assert_null(kit->core.assignments);
}

static void only_the_states_of_the_partition_that_goes_are_freed(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_assignment *other = core_kit_assign(kit, 1, 0);

    core_kit_take_in(kit, other, 0, "a");
    run(fixture, 0, NULL, &fixture->marks[1]);
    take_and_run(fixture, 0, "a", NULL, &fixture->marks[0]);
    core_kit_lose(kit, fixture->assignment);
    fixture->assignment = NULL;

    freed(fixture, next_frees(fixture, &fixture->marks[0]));

    assert_nothing_next(fixture);
    core_kit_take_in(kit, other, 1, "a");
    run(fixture, 1, &fixture->marks[1], NULL);
    core_kit_lose(kit, other);
}

/* The handler of the last stay leaves a state, of which another process knows nothing. */
static void a_key_does_not_find_the_state_of_the_partitions_last_stay(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *old, *slot;

    take_in(fixture, 0, "a");
    old = core_kit_start(kit, 0);
    core_kit_lose(kit, fixture->assignment);
    fixture->assignment = core_kit_assign(kit, 0, 0);
    take_in(fixture, 0, "a");
    take_in(fixture, 1, "a");
    *slot_state(old) = &fixture->marks[0];
    slot = core_kit_pass(old);
    assert_false(slot->record.is_paid);
    core_kit_report(kit, old);
    core_kit_back(kit, slot, SLOT_ASKS);

    old = next_frees(fixture, &fixture->marks[0]);
    assert_nothing_next(fixture);
    freed(fixture, old);

    run(fixture, 0, NULL, &fixture->marks[1]);
    run(fixture, 1, &fixture->marks[1], &fixture->marks[1]);
    assert_int_equal(kit->core.states.idle, 1);
    assert_ptr_equal(kit->core.assignments, fixture->assignment);
    assert_null(fixture->assignment->next);
}

static void without_a_state_of_the_last_stay_nothing_waits(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *old;

    take_in(fixture, 0, "a");
    old = core_kit_start(kit, 0);
    core_kit_lose(kit, fixture->assignment);
    fixture->assignment = core_kit_assign(kit, 0, 0);
    take_in(fixture, 0, "a");
    core_kit_back(kit, old, SLOT_DONE);

    run(fixture, 0, NULL, &fixture->marks[0]);

    assert_null(fixture->assignment->next);
}

/* It comes and goes while the state is being freed. */
static void a_record_that_waits_for_a_state_is_dropped_with_its_partition(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *task;

    take_and_run(fixture, 0, "a", NULL, &fixture->marks[0]);
    core_kit_lose(kit, fixture->assignment);
    task = next_frees(fixture, &fixture->marks[0]);
    for (int i = 0; i < 2; i++) {
        fixture->assignment = core_kit_assign(kit, 0, 1);
        take_in(fixture, 1, "a");
        assert_nothing_next(fixture);
        assert_int_equal(kit->core.states.awaited, 1);
        core_kit_lose(kit, fixture->assignment);
        assert_int_equal(kit->core.states.awaited, 0);
        assert_int_equal(kit->core.timers.count, 0);
    }
    fixture->assignment = NULL;
    assert_nothing_next(fixture);

    freed(fixture, task);

    assert_null(kit->core.assignments);
}

static void who_was_to_free_may_give_it_back(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    take_and_run(fixture, 0, "a", NULL, &fixture->marks[0]);
    core_kit_lose(kit, fixture->assignment);
    fixture->assignment = NULL;

    core_state_kept(&kit->core, next_frees(fixture, &fixture->marks[0]));

    core_verify(&kit->core);
    assert_true(core_is_empty(&kit->core));
    freed(fixture, next_frees(fixture, &fixture->marks[0]));
}

/* ---- memory is short --------------------------------------------------------------------- */

/* Idle states until so much of the memory is used, or there is no room for more. */
static int64_t fill(struct fixture *fixture, uint64_t used)
{
    struct core *core = &fixture->kit.core;
    char key[64];
    int64_t offset = 0;

    fixture->idle.max = UINT32_MAX;
    for (; slab_used(&core->slab) < used; offset++) {
        const struct source_record record = {.key = key, .key_size = 60, .offset = offset};
        const struct core_place place = {.kind = LANE_OF_KEY, .has_state = true};
        struct klane_slot *slot;

        snprintf(key, sizeof(key), "%060d", (int)offset);
        if (!core_take_in(core, fixture->assignment, &record, &place))
            break;
        slot = core_next_ready(core);
        *slot_state(slot) = &fixture->marks[0];
        slot->back.outcome = SLOT_DONE;
        core_came_back(core, slot, -1, 0);
    }
    core_verify(core);
    return offset;
}

static void begin_with_budget(struct fixture *fixture)
{
    struct core_config config = core_kit_config();

    config.limit_bytes = BUDGET;
    core_kit_lose(&fixture->kit, fixture->assignment);
    core_kit_deinit(&fixture->kit);
    begin(fixture, config);
}

static void idle_states_give_way_to_a_record_without_room(void **state)
{
    struct fixture *fixture = *state;
    struct core *core = &fixture->kit.core;
    struct klane_slot *slot;
    uint32_t before;
    int64_t next;

    begin_with_budget(fixture);
    next = fill(fixture, UINT64_MAX);
    before = core->states.table.count;
    assert_true(before > 1000);
    assert_int_equal(core_kit_notice(&fixture->kit), NOTICE_HELD);

    while (core_kit_notice(&fixture->kit) != NOTICE_RELEASED) {
        slot = core_next_ready(core);
        assert_non_null(slot);
        core_state_freed(core, slot, 0);
    }

    take_in(fixture, next, "a");
    assert_int_equal(core->slab.limit_bytes, core->config.limit_bytes);
    assert_true(core->states.table.count < before);
    while ((slot = core_next_ready(core)) != NULL && slot_frees_state(slot))
        core_state_freed(core, slot, 0);
    core_kit_back(&fixture->kit, slot, SLOT_DONE);
}

/* A source that asks first would ask in vain for ever. */
static void what_only_idle_states_fill_is_relieved(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t limit = BUDGET;
    struct core *core = &fixture->kit.core;
    struct klane_slot *slot;

    begin_with_budget(fixture);
    fill(fixture, limit - limit / 4);
    assert_false(core_has_room(core, limit));
    assert_nothing_next(fixture);

    for (int i = 0; !core_has_room(core, limit); i++) {
        assert_true(i < 10);
        core_relieve(core, 0);
        while ((slot = core_next_ready(core)) != NULL)
            freed(fixture, slot);
    }

    assert_true(core->states.idle > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_state_stays_while_its_lane_is_idle),
        TEST(a_lane_that_leaves_none_leaves_nothing),
        TEST(a_record_without_a_lane_has_no_place_for_one),
        TEST(all_records_of_a_lane_lead_to_one_place),
        TEST(a_state_stays_between_attempts),
        TEST(of_more_than_may_be_idle_the_first_is_freed),
        TEST(a_record_waits_until_its_lanes_former_state_is_freed),
        TEST(a_record_that_is_faster_than_who_is_to_free_waits_too),
        TEST(a_cell_that_is_freed_again_is_linked_to_nothing),
        TEST(lanes_and_states_are_handed_over_by_turns),
        TEST(a_record_that_ends_processes_is_told_once_also_if_it_waits_for_a_state),
        TEST(a_key_that_is_held_by_hand_waits_on_when_its_state_is_freed),
        TEST(a_release_does_not_let_on_what_waits_for_a_state),
        TEST(a_record_that_waits_for_a_state_is_in_no_batch),
        TEST(keys_that_clash_have_states_of_their_own),
        TEST(a_drain_waits_until_idle_states_are_freed),
        TEST(a_drain_waits_for_the_state_of_what_runs),
        TEST(a_drain_ends_at_its_deadline_whatever_is_not_freed),
        TEST(states_of_what_is_lost_are_freed_too),
        TEST(only_the_states_of_the_partition_that_goes_are_freed),
        TEST(a_key_does_not_find_the_state_of_the_partitions_last_stay),
        TEST(without_a_state_of_the_last_stay_nothing_waits),
        TEST(a_record_that_waits_for_a_state_is_dropped_with_its_partition),
        TEST(who_was_to_free_may_give_it_back),
        TEST(idle_states_give_way_to_a_record_without_room),
        TEST(what_only_idle_states_fill_is_relieved),
    };

    return check_run(tests);
}
