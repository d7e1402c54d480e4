/* SPDX-License-Identifier: Apache-2.0 */
/* A crowd: what fills memory and keeps workers busy, and does not leave, shuts out no other
 * partition. */
#include "lib/core_kit.h"

#include "core/internal.h"

#include <inttypes.h>
#include <stdio.h>

/* A sixteenth of the memory. */
#define PART ((size_t)4 << 20)

struct fixture {
    struct core_kit kit;
    struct klane_assignment *assignments[4];
};

static int setup(void **state)
{
    static struct fixture fixture;
    struct core_config config = core_kit_config();

    config.limit_bytes = 16 * PART;
    config.parks = true;
    core_kit_init(&fixture.kit, config);
    for (int32_t i = 0; i < 3; i++)
        fixture.assignments[i] = core_kit_assign(&fixture.kit, i, 0);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    core_kit_deinit(&fixture->kit);
    return 0;
}

static bool take_in(struct fixture *fixture, int32_t partition, int64_t offset, const char *key,
                    size_t size)
{
    static const unsigned char value[8 * PART];
    const struct source_record record = {.key = key,
                                         .key_size = (uint32_t)strlen(key),
                                         .value = value,
                                         .value_size = (uint32_t)size,
                                         .offset = offset};
    bool in = core_take_in(&fixture->kit.core, fixture->assignments[partition], &record,
                           &(struct core_place){.kind = LANE_OF_KEY});

    core_verify(&fixture->kit.core);
    return in;
}

static bool is_held(const struct fixture *fixture, int32_t partition)
{
    return fixture->assignments[partition]->partition->held;
}

/* Fourteen sixteenths, in two partitions: nearly full, and none of them has most. */
static void crowd(struct fixture *fixture)
{
    for (int64_t offset = 0; offset < 14; offset++)
        assert_true(take_in(fixture, (int32_t)(offset % 2), offset / 2, &"abcdefghijklmn"[offset],
                            PART - 8192));
    assert_true(core_is_nearly_full(&fixture->kit.core));
}

static void look(struct fixture *fixture, bool is_starving)
{
    struct core_kit *kit = &fixture->kit;

    core_relieve_crowd(&kit->core, is_starving, kit->now_ms);
    core_kit_wait(kit, CROWD_LOOK_MS);
    core_verify(&kit->core);
}

static uint32_t intake(const struct fixture *fixture)
{
    return core_intake_room(&fixture->kit.core, false);
}

static void run_all(struct fixture *fixture)
{
    struct klane_slot *slot;

    while ((slot = core_next_ready(&fixture->kit.core)) != NULL)
        core_kit_back(&fixture->kit, slot, SLOT_DONE);
}

static void what_fills_memory_and_does_not_leave_shuts_out_no_other(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    crowd(fixture);
    look(fixture, false);
    assert_int_equal(intake(fixture), 0);
    look(fixture, false);

    assert_true(is_held(fixture, 0));
    assert_true(is_held(fixture, 1));
    assert_false(is_held(fixture, 2));
    assert_true(intake(fixture) > 0);
    /* What comes in through the window ends with it. */
    assert_true(take_in(fixture, 2, 0, "x", PART));
    look(fixture, false);
    assert_int_equal(intake(fixture), 0);
    assert_false(is_held(fixture, 2));
    run_all(fixture);
    assert_false(is_held(fixture, 0));
    assert_false(is_held(fixture, 1));
    look(fixture, false);
    assert_false(kit->core.crowd.is_open);
    assert_int_equal(kit->core.crowd.look_ms, INT64_MAX);
}

/* Both have more than half of what they had, which is when the fullest goes on otherwise. */
static void what_holds_for_a_crowd_goes_on_when_a_quarter_is_free(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    crowd(fixture);
    look(fixture, false);
    look(fixture, false);
    assert_true(is_held(fixture, 0) && is_held(fixture, 1));
    for (int i = 0; i < 3; i++)
        core_kit_back(kit, core_next_ready(&kit->core), SLOT_DONE);
    assert_true(is_held(fixture, 0) && is_held(fixture, 1));
    look(fixture, false);
    assert_false(is_held(fixture, 0) || is_held(fixture, 1));
    run_all(fixture);
}

/* It would fill the window too, while workers have nothing to do for a moment. */
static void what_fills_memory_leaves_some_to_others_until_it_holds(void **state)
{
    struct fixture *fixture = *state;
    struct core *core = &fixture->kit.core;

    crowd(fixture);
    assert_true(core_intake_room(core, true) > 0);
    assert_true(take_in(fixture, 2, 0, "o", PART + PART / 16));
    assert_int_equal(core_intake_room(core, true), 0);
    look(fixture, false);
    look(fixture, false);
    assert_true(is_held(fixture, 0));
    assert_true(is_held(fixture, 1));
    assert_true(core_intake_room(core, true) > 0);
    assert_true(intake(fixture) > 0);
    run_all(fixture);
}

/* If only the fullest did, the next would fill what is left. */
static void when_workers_have_nothing_to_do_all_hold_that_fill_memory(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    crowd(fixture);
    for (int i = 0; i < 2; i++) {
        assert_false(is_held(fixture, 0) || is_held(fixture, 1));
        core_relieve(&kit->core, kit->now_ms);
        core_kit_wait(kit, 100);
    }
    assert_true(is_held(fixture, 0) && is_held(fixture, 1));
    assert_false(is_held(fixture, 2));
    run_all(fixture);
}

static void memory_that_is_full_and_gets_on_is_no_crowd(void **state)
{
    struct fixture *fixture = *state;

    crowd(fixture);
    look(fixture, false);
    assert_true(take_in(fixture, 0, 7, "o", 10));
    look(fixture, false);
    assert_true(take_in(fixture, 1, 7, "p", 10));
    look(fixture, false);
    assert_false(is_held(fixture, 0));
    assert_int_equal(intake(fixture), 0);
    /* Workers without work are another matter, but such a moment does not begin anew. */
    look(fixture, true);
    assert_int_equal(intake(fixture), 0);
    look(fixture, false);
    assert_true(intake(fixture) > 0);
    run_all(fixture);
}

/* Small records, as many as may come in. */
static void fill(struct fixture *fixture, int32_t partition, int64_t *offset, bool is_starving)
{
    char key[32];

    for (uint32_t room = core_intake_room(&fixture->kit.core, is_starving); room > 0; room--) {
        snprintf(key, sizeof(key), "small-%" PRId64, *offset);
        assert_true(take_in(fixture, partition, (*offset)++, key, 10000));
    }
}

/* With large records a burst may come in after each that as much has left. */
static void memory_that_drains_is_no_crowd(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;

    crowd(fixture);
    assert_true(take_in(fixture, 0, 7, "o", PART / 2));
    assert_true(take_in(fixture, 1, 7, "p", PART / 2));
    look(fixture, false);
    core_kit_back(kit, core_next_ready(&kit->core), SLOT_DONE);
    look(fixture, false);
    assert_true(core_is_full(&kit->core));
    assert_false(is_held(fixture, 0) || is_held(fixture, 1));
    /* It does so no more. */
    look(fixture, false);
    assert_true(is_held(fixture, 0) && is_held(fixture, 1));
    run_all(fixture);
}

/* The window is full all the time, and what fills it never leaves. */
static void a_large_record_is_not_overtaken_by_what_comes_in_past_a_crowd(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *slots[14];
    int64_t offset = 0;
    int done = 0;

    fixture->assignments[3] = core_kit_assign(kit, 3, 0);
    crowd(fixture);
    for (int i = 0; i < 14; i++)
        slots[i] = core_next_ready(&kit->core);
    assert_false(take_in(fixture, 2, 0, "large", 6 * PART));
    look(fixture, false);
    look(fixture, false);
    while (is_held(fixture, 2) && done < 14) {
        core_kit_back(kit, slots[done++], SLOT_DONE);
        fill(fixture, 3, &offset, false);
        look(fixture, false);
        while (core_kit_notice(kit) != 0)
            continue;
    }

    assert_true(offset > 0);
    assert_in_range(done, 1, 10);
    assert_true(take_in(fixture, 2, 0, "large", 6 * PART));
    while (done < 14)
        core_kit_back(kit, slots[done++], SLOT_DONE);
    run_all(fixture);
}

/* The third has less than a share when the window opens, and much to come, also while workers
 * have nothing to do for a moment. */
static void who_comes_to_more_than_a_share_leaves_the_window_to_others(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *healthy = core_kit_assign(&fixture->kit, 3, 0);
    int64_t offset = 0;

    crowd(fixture);
    look(fixture, false);
    look(fixture, false);
    assert_true(is_held(fixture, 0) && is_held(fixture, 1));
    for (int rounds = 0; rounds < 10000 && !is_held(fixture, 2); rounds++) {
        fill(fixture, 2, &offset, rounds % 2 == 1);
        look(fixture, rounds % 2 == 1);
    }
    assert_true(is_held(fixture, 2));
    assert_false(healthy->partition->held);
    assert_true(intake(fixture) > 0);
    run_all(fixture);
    assert_int_equal(fixture->kit.core.crowd.records, 0);
    assert_int_equal(fixture->kit.core.crowd.bytes, 0);
}

/* Memory counts as nearly full for the record that waits, though more than a quarter is free. */
static void what_holds_for_a_crowd_holds_on_beside_a_record_that_waits(void **state)
{
    struct fixture *fixture = *state;

    for (int64_t offset = 0; offset < 10; offset++)
        assert_true(take_in(fixture, 0, offset, &"abcdefghij"[offset], PART - 8192));
    assert_false(take_in(fixture, 1, 0, "large", 7 * PART));
    look(fixture, false);
    look(fixture, false);
    assert_true(is_held(fixture, 0));
    assert_false(is_held(fixture, 2));
    for (int rounds = 0; rounds < 3; rounds++) {
        look(fixture, false);
        assert_true(is_held(fixture, 0));
    }
    run_all(fixture);
}

/* What it has is not done, and others keep workers busy. */
static void what_holds_for_its_share_goes_on_when_half_is_free(void **state)
{
    struct fixture *fixture = *state;
    struct core_kit *kit = &fixture->kit;
    struct klane_slot *slots[13];

    for (int64_t offset = 0; offset < 4; offset++)
        assert_true(take_in(fixture, 1, offset, &"wxyz"[offset], PART - 8192));
    for (int64_t offset = 0; offset < 9; offset++)
        assert_true(take_in(fixture, 0, offset, &"abcdefghi"[offset], PART - 8192));
    assert_true(is_held(fixture, 0));
    for (int i = 0; i < 13; i++)
        slots[i] = core_next_ready(&kit->core);
    for (int i = 0; i < 6; i++) {
        look(fixture, false);
        assert_true(is_held(fixture, 0));
        core_kit_back(kit, slots[i], SLOT_DONE);
    }
    assert_true(is_held(fixture, 0));
    look(fixture, false);
    assert_false(is_held(fixture, 0));
    for (int i = 6; i < 13; i++)
        core_kit_back(kit, slots[i], SLOT_DONE);
}

/* One holds already as it has most. */
static void who_fills_the_rest_leaves_some_to_others_too(void **state)
{
    struct fixture *fixture = *state;
    int64_t offset = 0;

    for (int64_t i = 0; i < 13; i++)
        assert_true(take_in(fixture, 0, i, &"abcdefghijklm"[i], PART - 8192));
    assert_true(is_held(fixture, 0));
    for (; core_intake_room(&fixture->kit.core, true) > 0; offset++)
        assert_true(take_in(fixture, 1, offset, &"nopqrstuvwxyz"[offset], PART / 4));
    assert_in_range(offset, 1, 13);
    assert_false(is_held(fixture, 1));
    look(fixture, false);
    look(fixture, false);
    assert_true(is_held(fixture, 1));
    assert_false(is_held(fixture, 2));
    assert_true(intake(fixture) > 0);
    assert_true(take_in(fixture, 2, 0, "x", 10000));
    run_all(fixture);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_fills_memory_and_does_not_leave_shuts_out_no_other),
        TEST(what_holds_for_a_crowd_goes_on_when_a_quarter_is_free),
        TEST(what_fills_memory_leaves_some_to_others_until_it_holds),
        TEST(when_workers_have_nothing_to_do_all_hold_that_fill_memory),
        TEST(memory_that_is_full_and_gets_on_is_no_crowd),
        TEST(a_large_record_is_not_overtaken_by_what_comes_in_past_a_crowd),
        TEST(memory_that_drains_is_no_crowd),
        TEST(who_comes_to_more_than_a_share_leaves_the_window_to_others),
        TEST(what_holds_for_a_crowd_holds_on_beside_a_record_that_waits),
        TEST(what_holds_for_its_share_goes_on_when_half_is_free),
        TEST(who_fills_the_rest_leaves_some_to_others_too),
    };
#undef TEST

    return check_run(tests);
}
