/* SPDX-License-Identifier: Apache-2.0 */
/* Lanes and their table: keys are exact, the table grows and shrinks by buckets, and nothing is
 * left of an idle key. */
#include "lib/lane_kit.h"

#include "base/hash.h"

#include <string.h>

enum { BUCKETS_MIN = 512, LANES_MAX = 5000, SEED = 12345 };

static int setup(void **state)
{
    static struct lane_kit kit;

    lane_kit_init(&kit, LANES_MAX, SEED);
    *state = &kit;
    return 0;
}

static int teardown(void **state)
{
    lane_kit_deinit(*state);
    return 0;
}

static struct lane_name named(struct lane_kit *kit, enum lane_kind kind, const void *key,
                              size_t key_size)
{
    return (struct lane_name){&kit->partition, kind, key, (uint32_t)key_size};
}

static struct lane_name key_name(struct lane_kit *kit, const char *key)
{
    return named(kit, LANE_OF_KEY, key, strlen(key));
}

static struct klane_slot *take_in_number(struct lane_kit *kit, uint32_t number)
{
    struct lane_name name = named(kit, LANE_OF_KEY, &number, sizeof(number));

    return lane_kit_take_in(kit, &name, number);
}

static struct lane *find(struct lane_kit *kit, const struct lane_name *name)
{
    uint64_t hash;

    return lane_find(&kit->table, name, &hash);
}

/* ---- names ------------------------------------------------------------------------------- */

static void records_of_one_key_share_a_lane_in_order(void **state)
{
    struct lane_kit *kit = *state;
    struct lane_name name = key_name(kit, "a");

    struct klane_slot *first = lane_kit_take_in(kit, &name, 10);
    struct klane_slot *second = lane_kit_take_in(kit, &name, 12);

    assert_ptr_equal(first->control.lane, second->control.lane);
    assert_int_equal(first->control.state, SLOT_OUT);
    assert_int_equal(second->control.state, SLOT_QUEUED);
    lane_kit_end(kit, first, NULL);
    assert_int_equal(second->control.state, SLOT_OUT);
    lane_kit_end(kit, second, NULL);
}

static void empty_key_null_key_and_whole_partition_are_three_lanes(void **state)
{
    struct lane_kit *kit = *state;
    struct lane_name names[] = {
        named(kit, LANE_OF_KEY, "", 0),
        named(kit, LANE_OF_NULL_KEYS, NULL, 0),
        named(kit, LANE_OF_PARTITION, NULL, 0),
    };
    struct klane_slot *slots[3];

    for (int i = 0; i < 3; i++)
        slots[i] = lane_kit_take_in(kit, &names[i], i);

    assert_int_equal(kit->table.table.count, 3);
    for (int i = 0; i < 3; i++)
        assert_ptr_equal(find(kit, &names[i]), slots[i]->control.lane);
    for (int i = 0; i < 3; i++)
        lane_kit_end(kit, slots[i], NULL);
}

/* A key function may say "no key" of a record that has one, and order by partition asks for
 * none. */
static void lane_of_no_key_is_one_lane_whatever_keys_its_records_have(void **state)
{
    static const enum lane_kind kinds[] = {LANE_OF_NULL_KEYS, LANE_OF_PARTITION};
    struct lane_kit *kit = *state;

    for (size_t i = 0; i < 2; i++) {
        struct lane_name a = named(kit, kinds[i], "a", 1), b = named(kit, kinds[i], "bb", 2);
        struct klane_slot *first = lane_kit_take_in(kit, &a, 1);
        struct klane_slot *second = lane_kit_take_in(kit, &b, 2);

        assert_ptr_equal(first->control.lane, second->control.lane);
        lane_kit_end(kit, first, NULL);
        lane_kit_end(kit, second, NULL);
    }
}

static void lane_of_a_record_is_never_shared(void **state)
{
    struct lane_kit *kit = *state;
    struct lane_name name = named(kit, LANE_OF_RECORD, "a", 1);
    struct klane_slot *first = lane_kit_take_in(kit, &name, 1);
    struct klane_slot *second = lane_kit_take_in(kit, &name, 2);

    assert_ptr_not_equal(first->control.lane, second->control.lane);
    assert_int_equal(kit->table.table.count, 0);
    lane_kit_end(kit, second, NULL);
    lane_kit_end(kit, first, NULL);
}

static void same_key_in_another_partition_is_another_lane(void **state)
{
    struct lane_kit *kit = *state;
    struct partition other = {.number = 8};
    struct lane_name here = key_name(kit, "a");
    struct lane_name there = here;
    struct klane_slot *slot = lane_kit_take_in(kit, &here, 1);

    there.partition = &other;

    assert_null(find(kit, &there));
    lane_kit_end(kit, slot, NULL);
}

/* Or the same calls would not decide the same: tables are walked in the order of hashes. */
static void hash_does_not_depend_on_where_a_partition_is(void **state)
{
    struct lane_kit *kit = *state;
    struct partition other = kit->partition, third = kit->partition;
    struct lane_name name = key_name(kit, "a");
    uint64_t hashes[3];

    third.salt++;
    lane_find(&kit->table, &name, &hashes[0]);
    name.partition = &other;
    lane_find(&kit->table, &name, &hashes[1]);
    name.partition = &third;
    lane_find(&kit->table, &name, &hashes[2]);

    assert_true(hashes[0] == hashes[1]);
    assert_true(hashes[0] != hashes[2]);
}

static void lane_key_names_the_lane_instead_of_the_records_own(void **state)
{
    struct lane_kit *kit = *state;
    struct source_record record = {.key = "own", .key_size = 3, .value = "v", .value_size = 1};
    struct lane_name name = key_name(kit, "given"), own = key_name(kit, "own");
    const struct core_place place = {.lane_key = name.key, .lane_key_size = name.key_size};
    struct klane_slot *slot = slot_create(&kit->slab, &record, &place);
    uint64_t hash;

    slot->record.assignment = &kit->assignment;
    assert_null(lane_find(&kit->table, &name, &hash));
    assert_true(lane_append(lane_create(&kit->table, &kit->slab, &name, hash), slot));

    assert_ptr_equal(find(kit, &name), slot->control.lane);
    assert_null(find(kit, &own));
    lane_kit_end(kit, slot, NULL);
}

/* XXH3 folds 16 bytes into len + swap(low) + high + low * high, where low and high are the
 * key's halves, masked. With one of them 0, (0, x) and (swap(x), 0) have the same hash. */
static void colliding_keys(uint64_t seed, uint64_t x, unsigned char left[16],
                           unsigned char right[16])
{
    const unsigned char *secret = XXH3_kSecret;
    uint64_t masks[2], halves[2];

    masks[0] = (XXH_readLE64(secret + 24) ^ XXH_readLE64(secret + 32)) + seed;
    masks[1] = (XXH_readLE64(secret + 40) ^ XXH_readLE64(secret + 48)) - seed;
    halves[0] = masks[0];
    halves[1] = masks[1] ^ x;
    memcpy(left, halves, 16);
    halves[0] = masks[0] ^ __builtin_bswap64(x);
    halves[1] = masks[1];
    memcpy(right, halves, 16);
}

static void assert_stay_apart(struct lane_kit *kit, unsigned char keys[2][16])
{
    struct klane_slot *slots[2];
    struct lane_name names[2];
    uint64_t hashes[2];

    for (int i = 0; i < 2; i++) {
        names[i] = named(kit, LANE_OF_KEY, keys[i], 16);
        lane_find(&kit->table, &names[i], &hashes[i]);
        slots[i] = lane_kit_take_in(kit, &names[i], i);
    }

    assert_true(hashes[0] == hashes[1]);
    assert_int_equal(kit->table.table.count, 2);
    for (int i = 0; i < 2; i++)
        assert_ptr_equal(find(kit, &names[i]), slots[i]->control.lane);
    lane_kit_end(kit, slots[1], NULL);
    assert_null(find(kit, &names[1]));
    assert_ptr_equal(find(kit, &names[0]), slots[0]->control.lane);
    lane_kit_end(kit, slots[0], NULL);
}

static void two_keys_of_one_hash_never_share_a_lane(void **state)
{
    struct lane_kit *kit = *state;
    unsigned char keys[2][16];

    colliding_keys(SEED ^ kit->partition.salt, 0x123456789abcdef1U, keys[0], keys[1]);
    assert_stay_apart(kit, keys);
}

/* As texts they would be the same. The seed is such that both can begin so. */
static void nor_do_two_that_begin_with_a_zero_byte(void **state)
{
    struct lane_kit *kit = *state;
    uint64_t mask = XXH_readLE64(XXH3_kSecret + 24) ^ XXH_readLE64(XXH3_kSecret + 32);
    uint64_t seed = 256 - mask % 256;
    unsigned char keys[2][16];

    kit->table.seed = seed ^ kit->partition.salt;
    colliding_keys(seed, 0x003456789abcdef1U, keys[0], keys[1]);
    assert_int_equal(keys[0][0] | keys[1][0], 0);
    assert_stay_apart(kit, keys);
}

static void keys_that_all_fall_into_one_bucket_stay_apart(void **state)
{
    enum { LANES = 200 };
    struct lane_kit *kit = *state;
    struct klane_slot *slots[LANES];
    uint32_t number = 0;

    for (int found = 0; found < LANES; number++) {
        struct lane_name name = named(kit, LANE_OF_KEY, &number, sizeof(number));
        uint64_t hash;

        lane_find(&kit->table, &name, &hash);
        if (hash % BUCKETS_MIN == 77)
            slots[found++] = take_in_number(kit, number);
    }

    lane_table_verify(&kit->table);
    for (int i = 0; i < LANES; i++) {
        struct lane_name name = named(kit, LANE_OF_KEY, slots[i]->bytes, sizeof(number));

        assert_ptr_equal(find(kit, &name), slots[i]->control.lane);
        lane_kit_end(kit, slots[i], NULL);
        lane_table_verify(&kit->table);
    }
}

/* ---- growth and shrinking ---------------------------------------------------------------- */

static void table_grows_and_shrinks_one_bucket_at_a_time(void **state)
{
    static struct klane_slot *slots[LANES_MAX];
    struct lane_kit *kit = *state;
    uint32_t buckets = kit->table.table.buckets, most;

    for (uint32_t i = 0; i < LANES_MAX; i++) {
        slots[i] = take_in_number(kit, i);
        assert_in_range(kit->table.table.buckets, buckets, buckets + 1);
        buckets = kit->table.table.buckets;
        if (i % 100 == 0)
            lane_table_verify(&kit->table);
    }
    most = buckets;
    for (uint32_t i = 0; i < LANES_MAX; i++) {
        lane_kit_end(kit, slots[i], NULL);
        assert_in_range(kit->table.table.buckets, buckets - 1, buckets);
        buckets = kit->table.table.buckets;
        if (i % 100 == 0)
            lane_table_verify(&kit->table);
    }

    assert_true(most >= LANES_MAX - 1);
    assert_true(buckets < most);
    assert_true(check_marked("table shrinks") > 0);
}

static void table_of_few_lanes_gets_small_again_with_use(void **state)
{
    static struct klane_slot *slots[LANES_MAX];
    struct lane_kit *kit = *state;

    for (uint32_t i = 0; i < LANES_MAX; i++)
        slots[i] = take_in_number(kit, i);
    for (uint32_t i = 0; i < LANES_MAX; i++)
        lane_kit_end(kit, slots[i], NULL);
    for (uint32_t i = 0; i < LANES_MAX; i++)
        lane_kit_end(kit, take_in_number(kit, i), NULL);

    assert_int_equal(kit->table.table.buckets, BUCKETS_MIN);
    assert_int_equal(kit->table.table.mask, BUCKETS_MIN - 1);
}

static void nothing_is_left_of_an_idle_key(void **state)
{
    struct lane_kit *kit = *state;
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < 100000; i++) {
        lane_kit_end(kit, take_in_number(kit, i), NULL);
        if (i == 0)
            bytes = kit->slab.bytes;
    }

    assert_true(kit->slab.bytes == bytes);
    assert_int_equal(kit->table.table.count, 0);
}

/* ---- one lane ---------------------------------------------------------------------------- */

static void finished_record_waits_in_its_lane_for_those_before_it(void **state)
{
    struct lane_kit *kit = *state;
    struct lane_name name = key_name(kit, "a");
    struct klane_slot *first = lane_kit_take_in(kit, &name, 1);
    struct klane_slot *second = lane_kit_take_in(kit, &name, 2);
    struct lane *lane = first->control.lane;

    assert_ptr_equal(chain_finish(&first->chain), &second->chain);
    lane_kit_finish(second);
    assert_null(lane_take_finished(lane));

    first->control.state = SLOT_FINISHED;
    assert_ptr_equal(lane->first, first);
    lane_kit_settle(kit, lane, NULL);
    assert_int_equal(kit->table.table.count, 0);
}

static void append_behind_a_finished_tail_is_controls_to_start(void **state)
{
    struct lane_kit *kit = *state;
    struct lane_name name = key_name(kit, "a");
    struct klane_slot *first = lane_kit_take_in(kit, &name, 1), *second;

    assert_null(chain_finish(&first->chain));
    second = lane_kit_take_in(kit, &name, 2);

    assert_int_equal(second->control.state, SLOT_OUT);
    first->control.state = SLOT_FINISHED;
    lane_kit_settle(kit, second->control.lane, NULL);
    lane_kit_end(kit, second, NULL);
}

static void destroy_taken(struct lane_kit *kit, struct klane_slot *slot, size_t count)
{
    for (; count > 0; count--) {
        struct klane_slot *next;

        assert_non_null(slot);
        next = slot->control.next;
        slot_destroy(&kit->slab, slot);
        slot = next;
    }
    assert_null(slot);
}

static void taking_back_cuts_behind_the_record_that_a_worker_has(void **state)
{
    struct lane_kit *kit = *state;
    struct lane_name name = key_name(kit, "a");
    struct klane_slot *slots[5], *taken;
    struct lane *lane;

    for (int i = 0; i < 5; i++)
        slots[i] = lane_kit_take_in(kit, &name, i);
    lane = slots[0]->control.lane;
    assert_ptr_equal(chain_finish(&slots[0]->chain), &slots[1]->chain);
    assert_ptr_equal(chain_take(&slots[1]->chain), &slots[2]->chain);

    taken = lane_take_back(lane);

    assert_ptr_equal(taken, slots[3]);
    assert_int_equal(lane->count, 3);
    assert_ptr_equal(lane->last, slots[2]);
    destroy_taken(kit, taken, 2);
    assert_null(lane_take_back(lane));
    assert_null(chain_finish(&slots[2]->chain));
    for (int i = 0; i < 3; i++)
        slots[i]->control.state = SLOT_FINISHED;
    lane_kit_settle(kit, lane, NULL);
}

static void taking_back_begins_at_the_record_that_control_holds(void **state)
{
    struct lane_kit *kit = *state;
    struct lane_name name = key_name(kit, "a");
    struct klane_slot *first = lane_kit_take_in(kit, &name, 0), *second, *taken;
    struct lane *lane = first->control.lane;

    assert_null(chain_finish(&first->chain));
    second = lane_kit_take_in(kit, &name, 1);
    lane_kit_take_in(kit, &name, 2);
    lane->held = second;

    taken = lane_take_back(lane);

    assert_ptr_equal(taken, second);
    assert_null(lane->held);
    assert_int_equal(lane->count, 1);
    destroy_taken(kit, taken, 2);
    first->control.state = SLOT_FINISHED;
    lane_kit_settle(kit, lane, NULL);
}

static void head_is_the_first_record_of_its_assignment(void **state)
{
    struct lane_kit *kit = *state;
    struct lane_name name = key_name(kit, "a");
    struct klane_assignment former = {.slots = 0};
    struct klane_slot *first = lane_kit_take_in(kit, &name, 5);
    struct klane_slot *second = lane_kit_take_in(kit, &name, 5);
    struct lane *lane = first->control.lane;

    first->record.assignment = &former;

    assert_ptr_equal(lane_head(lane, &former), first);
    assert_ptr_equal(lane_head(lane, &kit->assignment), second);
    lane_kit_end(kit, first, NULL);
    assert_null(lane_head(lane, &former));
    lane_kit_end(kit, second, NULL);
}

#define LANE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest lane_tests[] = {
        LANE_TEST(records_of_one_key_share_a_lane_in_order),
        LANE_TEST(empty_key_null_key_and_whole_partition_are_three_lanes),
        LANE_TEST(lane_of_no_key_is_one_lane_whatever_keys_its_records_have),
        LANE_TEST(lane_of_a_record_is_never_shared),
        LANE_TEST(same_key_in_another_partition_is_another_lane),
        LANE_TEST(hash_does_not_depend_on_where_a_partition_is),
        LANE_TEST(lane_key_names_the_lane_instead_of_the_records_own),
        LANE_TEST(two_keys_of_one_hash_never_share_a_lane),
        LANE_TEST(nor_do_two_that_begin_with_a_zero_byte),
        LANE_TEST(keys_that_all_fall_into_one_bucket_stay_apart),
        LANE_TEST(table_grows_and_shrinks_one_bucket_at_a_time),
        LANE_TEST(table_of_few_lanes_gets_small_again_with_use),
        LANE_TEST(nothing_is_left_of_an_idle_key),
        LANE_TEST(finished_record_waits_in_its_lane_for_those_before_it),
        LANE_TEST(append_behind_a_finished_tail_is_controls_to_start),
        LANE_TEST(taking_back_cuts_behind_the_record_that_a_worker_has),
        LANE_TEST(taking_back_begins_at_the_record_that_control_holds),
        LANE_TEST(head_is_the_first_record_of_its_assignment),
    };

    return check_run(lane_tests);
}
