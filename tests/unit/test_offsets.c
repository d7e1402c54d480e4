/* SPDX-License-Identifier: Apache-2.0 */
/* Offsets: the base is the first unfinished record, whatever the holes, the order in which
 * records finish, and how long one of them stays. */
#include "lib/lane_kit.h"

#include <string.h>

#define MANY 2048

static int setup(void **state)
{
    static struct lane_kit kit;

    lane_kit_init(&kit, MANY, 1);
    *state = &kit;
    return 0;
}

static int teardown(void **state)
{
    lane_kit_deinit(*state);
    return 0;
}

static struct klane_slot *add_as(struct lane_kit *kit, int64_t offset, enum lane_kind kind,
                                 const char *key)
{
    struct lane_name name = {&kit->partition, kind, key, (uint32_t)strlen(key)};
    struct offsets *offsets = &kit->assignment.offsets;
    struct klane_slot *slot;

    assert_true(offsets_reserve(offsets, kit->assignment.slots));
    slot = lane_kit_take_in(kit, &name, offset);
    offsets_add(offsets, slot);
    kit->assignment.slots++;
    return slot;
}

static struct klane_slot *add_key(struct lane_kit *kit, int64_t offset, const char *key)
{
    return add_as(kit, offset, LANE_OF_KEY, key);
}

/* A record that no other waits for. */
static struct klane_slot *add(struct lane_kit *kit, int64_t offset)
{
    return add_as(kit, offset, LANE_OF_RECORD, "");
}

static void finish(struct lane_kit *kit, struct klane_slot *slot)
{
    lane_kit_end(kit, slot, &kit->assignment.offsets);
    offsets_verify(&kit->assignment.offsets);
}

static int64_t base(struct lane_kit *kit)
{
    return offsets_base(&kit->assignment.offsets);
}

/* Takes in and finishes so many records that everything older leaves the ring. */
static void evict_all(struct lane_kit *kit)
{
    struct offsets *offsets = &kit->assignment.offsets;

    for (uint32_t i = 0; i == 0 || i < offsets->capacity; i++)
        lane_kit_end(kit, add(kit, offsets->frontier), offsets);
    offsets_verify(offsets);
}

static void base_is_where_the_records_begin_before_any_came(void **state)
{
    struct offsets offsets;

    (void)state;
    offsets_init(&offsets, 42);

    assert_int_equal(offsets_base(&offsets), 42);
    offsets_deinit(&offsets);
}

static void base_is_the_first_unfinished_record_in_every_order_of_four(void **state)
{
    struct lane_kit *kit = *state;

    for (unsigned order = 0; order < 256; order++) {
        int64_t begin = kit->assignment.offsets.frontier;
        struct klane_slot *slots[4];

        for (int i = 0; i < 4; i++)
            slots[i] = add(kit, begin + i);
        for (unsigned i = 0, digits = order; i < 4; i++, digits /= 4) {
            unsigned which = digits % 4;
            int64_t expected = begin + 4;

            if (slots[which] != NULL)
                finish(kit, slots[which]);
            slots[which] = NULL;
            for (int j = 3; j >= 0; j--)
                if (slots[j] != NULL)
                    expected = begin + j;
            assert_int_equal(base(kit), expected);
        }
        for (int i = 0; i < 4; i++)
            if (slots[i] != NULL)
                finish(kit, slots[i]);
    }
}

static void holes_between_offsets_are_passed_over(void **state)
{
    struct lane_kit *kit = *state;
    struct klane_slot *first = add(kit, 10), *second = add(kit, 5000000000), *third;

    third = add(kit, 5000000007);

    assert_int_equal(base(kit), 10);
    finish(kit, first);
    assert_int_equal(base(kit), 5000000000);
    finish(kit, third);
    assert_int_equal(base(kit), 5000000000);
    finish(kit, second);
    assert_int_equal(base(kit), 5000000008);
}

static void ring_grows_around_its_end_without_losing_its_order(void **state)
{
    enum { SHIFT = 50, RECORDS = 1000 };
    struct klane_slot *slots[RECORDS];
    struct lane_kit *kit = *state;

    for (int i = 0; i < SHIFT; i++)
        finish(kit, add(kit, i));
    for (int i = 0; i < RECORDS; i++) {
        slots[i] = add(kit, SHIFT + 2 * i);
        offsets_verify(&kit->assignment.offsets);
    }

    for (int i = 0; i < RECORDS; i++) {
        assert_int_equal(base(kit), SHIFT + 2 * i);
        finish(kit, slots[i]);
    }
}

static void sequences_of_the_ring_may_wrap_around(void **state)
{
    struct lane_kit *kit = *state;
    struct klane_slot *slots[100];

    kit->assignment.offsets.first = kit->assignment.offsets.end = UINT32_MAX - 50;
    for (int i = 0; i < 100; i++)
        slots[i] = add(kit, i);

    for (int i = 0; i < 100; i++) {
        assert_int_equal(base(kit), i);
        finish(kit, slots[i]);
    }
    assert_int_equal(base(kit), 100);
}

static void record_that_stays_unfinished_holds_the_base_and_not_the_ring(void **state)
{
    struct lane_kit *kit = *state;
    struct klane_slot *stuck = add(kit, 3);

    for (int i = 0; i < 3; i++)
        evict_all(kit);

    assert_int_equal(kit->assignment.offsets.capacity, OFFSETS_RING_MIN);
    assert_int_equal(kit->assignment.offsets.heads.count, 1);
    assert_int_equal(base(kit), 3);
    assert_true(check_marked("unfinished slot leaves the ring") > 0);
    finish(kit, stuck);
    assert_int_equal(base(kit), kit->assignment.offsets.frontier);
    assert_int_equal(kit->assignment.offsets.heads.count, 0);
}

static void many_in_flight_stay_in_a_ring_that_grows_with_them(void **state)
{
    static struct klane_slot *slots[1000];
    struct lane_kit *kit = *state;

    for (int i = 0; i < 1000; i++)
        slots[i] = add(kit, i);

    assert_int_equal(kit->assignment.offsets.heads.count, 0);
    assert_int_equal(kit->assignment.offsets.capacity, 1024);
    for (int i = 999; i >= 0; i--) {
        assert_int_equal(base(kit), 0);
        finish(kit, slots[i]);
    }
    assert_int_equal(base(kit), 1000);
}

static void lane_that_left_the_ring_is_one_entry_at_its_head(void **state)
{
    struct lane_kit *kit = *state;
    struct klane_slot *slots[3];

    for (int i = 0; i < 3; i++)
        slots[i] = add_key(kit, i, "a");
    evict_all(kit);

    assert_int_equal(kit->assignment.offsets.heads.count, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(base(kit), i);
        finish(kit, slots[i]);
    }
    assert_int_equal(kit->assignment.offsets.heads.count, 0);
    assert_int_equal(base(kit), kit->assignment.offsets.frontier);
}

static void lane_leaves_the_heads_when_its_head_is_in_the_ring(void **state)
{
    struct lane_kit *kit = *state;
    struct klane_slot *old = add_key(kit, 0, "a"), *new;
    int64_t offset;

    evict_all(kit);
    offset = kit->assignment.offsets.frontier;
    new = add_key(kit, offset, "a");

    finish(kit, old);

    assert_int_equal(kit->assignment.offsets.heads.count, 0);
    assert_int_equal(base(kit), offset);
    finish(kit, new);
}

static void outcomes_that_overtake_each_other_settle_in_order(void **state)
{
    struct lane_kit *kit = *state;
    struct klane_slot *first = add_key(kit, 0, "a"), *second = add_key(kit, 1, "a");
    struct lane *lane = first->control.lane;

    assert_ptr_equal(chain_finish(&first->chain), &second->chain);
    lane_kit_finish(second);
    lane_kit_settle(kit, lane, &kit->assignment.offsets);
    assert_int_equal(base(kit), 0);
    first->control.state = SLOT_FINISHED;
    lane_kit_settle(kit, lane, &kit->assignment.offsets);

    assert_int_equal(base(kit), 2);
}

static void base_never_passes_what_was_abandoned(void **state)
{
    struct lane_kit *kit = *state;
    struct klane_slot *slots[3];

    for (int i = 0; i < 3; i++)
        slots[i] = add(kit, i);
    offsets_abandon(&kit->assignment.offsets, 2);
    offsets_abandon(&kit->assignment.offsets, 1);
    offsets_abandon(&kit->assignment.offsets, 2);

    assert_int_equal(base(kit), 0);
    for (int i = 0; i < 3; i++)
        finish(kit, slots[i]);
    assert_int_equal(base(kit), 1);
}

static void walk_of_the_ring_meets_each_unsettled_slot_once(void **state)
{
    struct lane_kit *kit = *state;
    struct klane_slot *slots[10], *slot;
    uint32_t sequence;
    int met = 0;

    for (int i = 0; i < 10; i++)
        slots[i] = add(kit, i);
    finish(kit, slots[4]);
    sequence = kit->assignment.offsets.first;
    while ((slot = offsets_in_ring(&kit->assignment.offsets, &sequence)) != NULL) {
        met += 1 << slot->record.offset;
        finish(kit, slot);
    }

    assert_int_equal(met, 1023 - (1 << 4));
    assert_int_equal(base(kit), 10);
}

static void offset_that_falls_is_noticed(void **state)
{
    struct lane_kit *kit = *state;
    struct klane_slot *slot;

    finish(kit, add(kit, 10));
    slot = add(kit, 11);

    slot->record.offset = 9;
    expect_assert_failure(offsets_add(&kit->assignment.offsets, slot));

    slot->record.offset = 11;
    finish(kit, slot);
}

#define OFFSETS_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest offsets_tests[] = {
        cmocka_unit_test(base_is_where_the_records_begin_before_any_came),
        OFFSETS_TEST(base_is_the_first_unfinished_record_in_every_order_of_four),
        OFFSETS_TEST(holes_between_offsets_are_passed_over),
        OFFSETS_TEST(ring_grows_around_its_end_without_losing_its_order),
        OFFSETS_TEST(sequences_of_the_ring_may_wrap_around),
        OFFSETS_TEST(many_in_flight_stay_in_a_ring_that_grows_with_them),
        OFFSETS_TEST(record_that_stays_unfinished_holds_the_base_and_not_the_ring),
        OFFSETS_TEST(lane_that_left_the_ring_is_one_entry_at_its_head),
        OFFSETS_TEST(lane_leaves_the_heads_when_its_head_is_in_the_ring),
        OFFSETS_TEST(outcomes_that_overtake_each_other_settle_in_order),
        OFFSETS_TEST(base_never_passes_what_was_abandoned),
        OFFSETS_TEST(walk_of_the_ring_meets_each_unsettled_slot_once),
        OFFSETS_TEST(offset_that_falls_is_noticed),
    };

    return check_run(offsets_tests);
}
