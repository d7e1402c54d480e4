/* SPDX-License-Identifier: Apache-2.0 */
/* The progress map: what is written is read again, byte by byte the same for ever; what is not
 * whole, not for this base or not by these rules is refused. */
#include "lib/check.h"

#include "core/progress_map.h"

#include <stdio.h>
#include <string.h>

#define LIMIT 4096

static const struct progress_scheme by_key = {.order = KLANE_ORDER_KEY};

struct golden {
    const char *file;
    struct progress_map map;
    struct progress_lane lanes[4];
};

/* Each is in a file as the first version of the format wrote it. */
static const struct golden goldens[] = {
    {"nothing_blocked.map", {.base = 0, .ceiling = 0, .leader_epoch = -1}, {{0}}},
    {"far_offsets.map",
     {.base = INT64_C(9000000000000000000),
      .ceiling = INT64_MAX,
      .leader_epoch = INT32_MAX,
      .seed = UINT64_MAX,
      .starts = 3,
      .count = 1},
     {{.fingerprint = UINT64_MAX, .head = INT64_C(9000000000000000000)}}},
    {"lanes_and_records.map",
     {.scheme = {KLANE_ORDER_KEY, KLANE_NULL_KEYS_UNORDERED, 0},
      .base = 1000,
      .ceiling = 1100,
      .leader_epoch = 7,
      .seed = 42,
      .count = 4},
     {{.fingerprint = 5, .head = 1000},
      {.fingerprint = UINT64_C(0x123456789abcdef0), .head = 1063},
      {.is_record = true, .head = 1001},
      {.is_record = true, .head = 1099}}},
    {"waiting_for_retries.map",
     {.scheme = {KLANE_ORDER_KEY, KLANE_NULL_KEYS_ORDERED, 4000000000},
      .base = 70000,
      .ceiling = 90000,
      .leader_epoch = 0,
      .seed = UINT64_C(0xfedcba9876543210),
      .count = 2},
     {{.fingerprint = 1, .head = 70000, .attempts = 9, .due_ms = INT64_C(1800000000123)},
      {.fingerprint = 2, .head = 89999, .attempts = 1}}},
};

static size_t read_file(const char *name, char *text)
{
    char path[512];
    FILE *file;
    size_t size;

    snprintf(path, sizeof(path), "%s/%s", KLANE_TEST_MAPS, name);
    file = fopen(path, "r");
    if (file == NULL)
        fail_msg("%s cannot be read", path);
    size = fread(text, 1, LIMIT, file);
    fclose(file);
    /* Its line ends, the map has none. */
    assert_true(size > 0 && text[size - 1] == '\n');
    return size - 1;
}

static void assert_same(const struct progress_map *left, const struct progress_map *right)
{
    assert_int_equal(left->seed, right->seed);
    assert_int_equal(left->ceiling, right->ceiling);
    assert_int_equal(left->leader_epoch, right->leader_epoch);
    assert_int_equal(left->starts, right->starts);
    assert_int_equal(left->count, right->count);
    for (uint32_t i = 0; i < left->count; i++) {
        assert_int_equal(left->lanes[i].is_record, right->lanes[i].is_record);
        assert_int_equal(left->lanes[i].fingerprint, right->lanes[i].fingerprint);
        assert_int_equal(left->lanes[i].head, right->lanes[i].head);
        assert_int_equal(left->lanes[i].attempts, right->lanes[i].attempts);
        assert_int_equal(left->lanes[i].due_ms, right->lanes[i].due_ms);
    }
}

static void every_golden_file_is_written_and_read_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(goldens) / sizeof(goldens[0]); i++) {
        struct golden golden = goldens[i];
        struct progress_map read;
        char expected[LIMIT], text[LIMIT + 1];
        size_t size = read_file(golden.file, expected);

        golden.map.lanes = golden.lanes;
        assert_int_equal(progress_map_write(&golden.map, text, LIMIT), size);
        assert_memory_equal(text, expected, size);
        assert_int_equal(
            progress_map_read(&read, expected, size, golden.map.base, &golden.map.scheme),
            PROGRESS_READ);
        assert_same(&read, &golden.map);
        progress_map_free(&read);
    }
}

/* Brokers keep them as text, and librdkafka before 2.6.1 reads no further than to a zero byte. */
static void a_map_is_written_in_plain_characters(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(goldens) / sizeof(goldens[0]); i++) {
        struct golden golden = goldens[i];
        char text[LIMIT + 1];
        size_t size;

        golden.map.lanes = golden.lanes;
        size = progress_map_write(&golden.map, text, LIMIT);
        assert_true(size > 0);
        for (size_t at = 0; at < size; at++)
            assert_in_range(text[at], '!', '~');
    }
}

static enum progress_refusal read_as(const char *text, int64_t base,
                                     const struct progress_scheme *scheme)
{
    struct progress_map map;
    enum progress_refusal refusal = progress_map_read(&map, text, strlen(text), base, scheme);

    assert_int_equal(map.count, 0);
    assert_null(map.lanes);
    return refusal;
}

/* A map of one lane, as text. */
static const char *some_map(void)
{
    static char text[LIMIT + 1];
    struct progress_lane lane = {.fingerprint = 77, .head = 10, .attempts = 2};
    struct progress_map map = {
        .base = 10, .ceiling = 500, .leader_epoch = -1, .lanes = &lane, .count = 1};

    assert_true(progress_map_write(&map, text, LIMIT) > 0);
    return text;
}

static void every_reason_to_refuse_is_told_apart(void **state)
{
    char text[LIMIT + 1];

    (void)state;
    assert_int_equal(read_as("", 10, &by_key), PROGRESS_ABSENT);
    assert_int_equal(read_as("{\"offset\":1}", 10, &by_key), PROGRESS_FOREIGN);
    assert_int_equal(read_as("kafka-streams", 10, &by_key), PROGRESS_FOREIGN);
    assert_int_equal(read_as("k", 10, &by_key), PROGRESS_TORN);
    assert_int_equal(read_as(some_map(), 11, &by_key), PROGRESS_TORN);
    strcpy(text, some_map());
    text[1] = '2';
    assert_int_equal(read_as(text, 10, &by_key), PROGRESS_NEWER);
    assert_int_equal(read_as(some_map(), 10, &(struct progress_scheme){.key_version = 1}),
                     PROGRESS_OTHER_SCHEME);
    assert_int_equal(read_as(some_map(), 10,
                             &(struct progress_scheme){.null_keys = KLANE_NULL_KEYS_ORDERED}),
                     PROGRESS_OTHER_SCHEME);
    assert_int_equal(
        read_as(some_map(), 10, &(struct progress_scheme){.order = KLANE_ORDER_NONE}),
        PROGRESS_OTHER_SCHEME);
}

static void a_map_that_was_cut_or_changed_anywhere_is_refused(void **state)
{
    char text[LIMIT + 1];
    size_t size = strlen(some_map());

    (void)state;
    for (size_t i = 1; i < size; i++) {
        strcpy(text, some_map());
        text[i] = '\0';
        assert_int_equal(read_as(text, 10, &by_key), PROGRESS_TORN);
    }
    for (size_t i = 2; i < size; i++)
        for (int byte = 1; byte < 256; byte++) {
            strcpy(text, some_map());
            if (text[i] == (char)byte)
                continue;
            text[i] = (char)byte;
            assert_int_equal(read_as(text, 10, &by_key), PROGRESS_TORN);
        }
}

static void no_map_is_written_where_not_even_its_header_fits(void **state)
{
    struct progress_lane lane = {.fingerprint = 77, .head = 10};
    struct progress_map map = {
        .base = 10, .ceiling = 500, .leader_epoch = -1, .lanes = &lane, .count = 1};
    char text[PROGRESS_MAP_HEADER + 1];

    (void)state;
    assert_int_equal(progress_map_write(&map, text, PROGRESS_MAP_HEADER - 1), 0);
    assert_int_equal(progress_map_write(&map, text, PROGRESS_MAP_HEADER), PROGRESS_MAP_HEADER);
    assert_int_equal(map.ceiling, 10);
    assert_int_equal(map.count, 0);
}

static void lanes_that_clash_are_one_at_the_lower_head(void **state)
{
    struct progress_lane lanes[] = {{.fingerprint = 7, .head = 30, .attempts = 4},
                                    {.fingerprint = 7, .head = 20, .attempts = 1},
                                    {.fingerprint = 6, .head = 25}};
    struct progress_map read,
        map = {.base = 20, .ceiling = 40, .leader_epoch = -1, .lanes = lanes, .count = 3};
    char text[LIMIT + 1];
    size_t size = progress_map_write(&map, text, LIMIT);

    (void)state;
    assert_int_equal(progress_map_read(&read, text, size, 20, &by_key), PROGRESS_READ);
    assert_int_equal(read.count, 2);
    assert_int_equal(read.lanes[1].fingerprint, 7);
    assert_int_equal(read.lanes[1].head, 20);
    assert_int_equal(read.lanes[1].attempts, 1);
    progress_map_free(&read);
}

static void what_lies_at_or_above_the_ceiling_is_not_listed(void **state)
{
    struct progress_lane lanes[] = {{.fingerprint = 1, .head = 39},
                                    {.fingerprint = 2, .head = 40}};
    struct progress_map map = {
        .base = 39, .ceiling = 40, .leader_epoch = -1, .lanes = lanes, .count = 2};
    char text[LIMIT + 1];

    (void)state;
    assert_true(progress_map_write(&map, text, LIMIT) > 0);
    assert_int_equal(map.count, 1);
    assert_int_equal(map.ceiling, 40);
}

static void three_hundred_lanes_far_below_the_ceiling_fit_about_4096_characters(void **state)
{
    static struct progress_lane lanes[400];
    struct progress_map map = {
        .base = 0, .ceiling = 200000, .leader_epoch = -1, .lanes = lanes, .count = 400};
    char text[LIMIT + 1];

    (void)state;
    for (uint32_t i = 0; i < 400; i++)
        lanes[i] = (struct progress_lane){.fingerprint = i, .head = i};
    assert_in_range(progress_map_write(&map, text, LIMIT), LIMIT - 14, LIMIT);
    assert_int_equal(map.count, 310);
    assert_int_equal(map.ceiling, 310);
}

int main(void)
{
    const struct CMUnitTest progress_map_tests[] = {
        cmocka_unit_test(every_golden_file_is_written_and_read_the_same),
        cmocka_unit_test(a_map_is_written_in_plain_characters),
        cmocka_unit_test(every_reason_to_refuse_is_told_apart),
        cmocka_unit_test(a_map_that_was_cut_or_changed_anywhere_is_refused),
        cmocka_unit_test(no_map_is_written_where_not_even_its_header_fits),
        cmocka_unit_test(lanes_that_clash_are_one_at_the_lower_head),
        cmocka_unit_test(what_lies_at_or_above_the_ceiling_is_not_listed),
        cmocka_unit_test(three_hundred_lanes_far_below_the_ceiling_fit_about_4096_characters),
    };

    return check_run(progress_map_tests);
}
