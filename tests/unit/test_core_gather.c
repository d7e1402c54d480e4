/* SPDX-License-Identifier: Apache-2.0 */
/* What is gathered does not wait for what cannot come: a lane that has its quota, or is not to get
 * more before it is shorter, and memory that is nearly full. */
#include "lib/core_kit.h"

#include "core/internal.h"

enum { QUOTA = 8, MIB = 1 << 20, LIMIT = 16 * MIB };

static const struct gather_rule one_lane = {.records_max = 8, .records_min = 8, .wait_ms = 1000};
static const struct gather_rule many_lanes = {
    .records_max = 8, .records_min = 8, .wait_ms = 1000, .many_lanes = true};

struct fixture {
    struct core_kit kit;
    struct klane_assignment *assignment;
};

static struct fixture fixture;

static void begin(const struct gather_rule *rule, uint32_t quota, bool parks)
{
    struct core_config config = core_kit_config();

    config.lane_records_max = quota;
    config.limit_bytes = LIMIT;
    config.parks = parks;
    core_kit_init(&fixture.kit, config);
    core_kit_wait(&fixture.kit, 0);
    assert_true(core_gathers(&fixture.kit.core, rule, 1));
    fixture.assignment = core_kit_assign(&fixture.kit, 0, 0);
}

static void end(void)
{
    core_kit_lose(&fixture.kit, fixture.assignment);
    core_kit_deinit(&fixture.kit);
}

static void take_in(int64_t from, int64_t to, const char *key)
{
    for (int64_t offset = from; offset < to; offset++)
        core_kit_take_in(&fixture.kit, fixture.assignment, offset, key);
}

static bool take_in_large(int64_t offset, const char *key, uint32_t size)
{
    static const unsigned char value[LIMIT];
    const struct source_record record = {
        .key = key, .key_size = 1, .value = value, .value_size = size, .offset = offset};
    const struct core_place place = {.kind = LANE_OF_KEY};
    bool in = core_take_in(&fixture.kit.core, fixture.assignment, &record, &place);

    core_verify(&fixture.kit.core);
    return in;
}

/* It runs, and so many behind it, as one batch does that leaves the rest to control. The newest
 * outcome comes first, as it does from a mailbox. */
static void run_batch(struct klane_slot *slot, uint32_t behind)
{
    struct klane_slot *slots[QUOTA + 1];
    uint32_t count = 0;

    for (uint32_t i = 0; i < behind; i++) {
        slots[count++] = slot;
        slot = core_kit_pass(slot);
    }
    if (slot != NULL)
        core_kit_back(&fixture.kit, slot, SLOT_ASKS);
    while (count > 0)
        core_kit_report(&fixture.kit, slots[--count]);
}

/* ---- a lane that gets no longer ---------------------------------------------------------- */

static void a_lane_at_its_quota_does_not_wait_for_more(void **state)
{
    (void)state;
    for (int parks = 0; parks < 2; parks++) {
        struct klane_slot *slot;

        begin(&one_lane, 3, parks);
        take_in(0, 2, "a");
        assert_null(core_next_ready(&fixture.kit.core));
        assert_int_equal(core_next_due_ms(&fixture.kit.core), fixture.kit.now_ms + 1000);

        take_in(2, 3, "a");

        slot = core_kit_start(&fixture.kit, 0);
        run_batch(slot, 3);
        end();
    }
}

static void a_lane_with_its_part_of_the_memory_does_not_wait_for_more(void **state)
{
    (void)state;
    begin(&one_lane, QUOTA, false);
    take_in(0, 1, "a");
    assert_null(core_next_ready(&fixture.kit.core));

    assert_true(take_in_large(1, "a", LIMIT / 4));

    run_batch(core_kit_start(&fixture.kit, 0), 2);
    end();
}

/* Its partition is held until half of it is done. */
static void what_a_batch_leaves_over_half_of_the_quota_does_not_wait(void **state)
{
    (void)state;
    for (uint32_t done = 3; done <= 4; done++) {
        begin(&one_lane, QUOTA, false);
        take_in(0, QUOTA, "a");

        run_batch(core_kit_start(&fixture.kit, 0), done);

        if (done == 3)
            run_batch(core_kit_start(&fixture.kit, 3), QUOTA - 3);
        assert_null(core_next_ready(&fixture.kit.core));
        end();
    }
}

/* Nobody reads the log again for it until three quarters of it are done. */
static void what_a_batch_leaves_of_a_parked_lane_does_not_wait(void **state)
{
    (void)state;
    for (uint32_t done = 5; done <= 6; done++) {
        int64_t from;

        begin(&one_lane, QUOTA, true);
        take_in(0, QUOTA + 2, "a");

        run_batch(core_kit_start(&fixture.kit, 0), done);

        if (done == 5)
            run_batch(core_kit_start(&fixture.kit, 5), QUOTA - 5);
        assert_null(core_next_ready(&fixture.kit.core));
        assert_ptr_equal(core_next_pass(&fixture.kit.core, &from), fixture.assignment);
        end();
    }
}

static void a_batch_of_many_does_not_wait_beside_a_lane_at_its_quota(void **state)
{
    struct core *core = &fixture.kit.core;
    struct klane_slot *batch;

    (void)state;
    begin(&many_lanes, 3, false);
    core_kit_take_in(&fixture.kit, fixture.assignment, 0, "b");
    take_in(1, 3, "a");
    assert_null(core_next_batch(core, true));

    take_in(3, 4, "a");

    assert_true(core_has_batch(core));
    assert_null(core_next_batch(core, false));
    batch = core_next_batch(core, true);
    assert_int_equal(batch->record.offset, 0);
    assert_int_equal(batch->back.with->record.offset, 1);
    assert_int_equal(core->gather.lanes, 0);
    run_batch(batch->back.with, 3);
    core_kit_back(&fixture.kit, batch, SLOT_DONE);
    /* The next one waits again. */
    take_in(4, 5, "c");
    assert_null(core_next_batch(core, true));
    end();
}

/* ---- memory ------------------------------------------------------------------------------ */

/* Also where lanes cannot be parked, and memory is not full, but for a record that waits. */
static void what_is_gathered_makes_room_for_a_large_record(void **state)
{
    struct core *core = &fixture.kit.core;

    (void)state;
    for (int parks = 0; parks < 2; parks++) {
        begin(&one_lane, 100, parks);
        for (int64_t offset = 0; offset < 4; offset++)
            assert_true(
                take_in_large(offset, (const char[]){(char)('a' + offset), '\0'}, 5 * MIB / 2));
        assert_false(take_in_large(4, "e", 6 * MIB));
        assert_false(core_is_full(core));
        assert_true(core_is_nearly_full(core));

        core_relieve(core, fixture.kit.now_ms);

        for (int64_t offset = 0; offset < 4; offset++)
            core_kit_run(&fixture.kit, offset);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest gather_tests[] = {
        cmocka_unit_test(a_lane_at_its_quota_does_not_wait_for_more),
        cmocka_unit_test(a_lane_with_its_part_of_the_memory_does_not_wait_for_more),
        cmocka_unit_test(what_a_batch_leaves_over_half_of_the_quota_does_not_wait),
        cmocka_unit_test(what_a_batch_leaves_of_a_parked_lane_does_not_wait),
        cmocka_unit_test(a_batch_of_many_does_not_wait_beside_a_lane_at_its_quota),
        cmocka_unit_test(what_is_gathered_makes_room_for_a_large_record),
    };

    return check_run(gather_tests);
}
