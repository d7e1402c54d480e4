/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of headers: what is written is read again, and damaged blocks are never read outside.
 */
#include "lib/check.h"

#include "base/headers.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HEADERS_MAX 12
#define TEXT_MAX 20

/* A block in memory of exactly its size, so that a sanitizer sees every step outside. */
static unsigned char *block_of(const struct klane_header_in *headers, size_t count,
                               size_t *size)
{
    unsigned char *block;

    *size = headers_size(headers, count);
    assert_int_not_equal(*size, SIZE_MAX);
    block = malloc(*size);
    assert_non_null(block);
    headers_write(headers, count, block);
    return block;
}

static void no_headers_need_no_bytes(void **state)
{
    (void)state;

    assert_int_equal(headers_size(NULL, 0), 0);
    headers_write(NULL, 0, NULL);
    assert_int_equal(headers_count(NULL, 0), 0);
    assert_true(headers_valid(NULL, 0));
    assert_false(headers_valid(NULL, 4));
}

static void the_block_is_the_same_on_every_machine(void **state)
{
    static const struct klane_header_in headers[] = {{"ab", "xyz", 3}, {"", NULL, 9}};
    static const unsigned char expected[] = {2, 0, 0, 0,   2,    0,    0,    0,    3,
                                             0, 0, 0, 'a', 'b',  0,    'x',  'y',  'z',
                                             0, 0, 0, 0,   0xff, 0xff, 0xff, 0xff, 0};
    unsigned char *block;
    size_t size;

    (void)state;

    block = block_of(headers, 2, &size);

    assert_int_equal(size, sizeof(expected));
    assert_memory_equal(block, expected, sizeof(expected));
    free(block);
}

static void a_header_without_a_name_is_refused(void **state)
{
    static const struct klane_header_in headers[] = {{"a", "1", 1}, {NULL, "2", 1}};

    (void)state;

    assert_int_equal(headers_size(headers, 2), SIZE_MAX);
    assert_int_equal(headers_size(NULL, 1), SIZE_MAX);
}

static void headers_that_are_too_large_together_are_refused(void **state)
{
    /* Sizes only: the bytes are not looked at. */
    const struct klane_header_in wraps[] = {{"a", "", SIZE_MAX}, {"b", "", SIZE_MAX}};
    const struct klane_header_in adds_up[] = {{"a", "", UINT32_MAX / 2},
                                              {"b", "", UINT32_MAX / 2}};
    const struct klane_header_in fits[] = {{"a", "", UINT32_MAX - 4 - 8 - 2}};
    const struct klane_header_in exceeds[] = {{"a", "", UINT32_MAX - 4 - 8 - 1}};

    (void)state;

    assert_int_equal(headers_size(wraps, 2), SIZE_MAX);
    assert_int_equal(headers_size(adds_up, 2), SIZE_MAX);
    assert_int_equal(headers_size(fits, 1), UINT32_MAX);
    assert_int_equal(headers_size(exceeds, 1), SIZE_MAX);
}

static void the_last_header_of_a_name_is_found(void **state)
{
    static const struct klane_header_in headers[] = {
        {"a", "1", 1}, {"ab", "22", 2}, {"a", "333", 3}, {"none", NULL, 0}, {"empty", "", 0}};
    const void *value = "untouched";
    unsigned char *block;
    size_t found_size = 77;
    size_t size;

    (void)state;
    block = block_of(headers, 5, &size);

    assert_true(headers_find(block, size, "a", &value, &found_size));
    assert_int_equal(found_size, 3);
    assert_memory_equal(value, "333", 3);
    assert_true(headers_find(block, size, "none", &value, &found_size));
    assert_null(value);
    assert_int_equal(found_size, 0);
    assert_true(headers_find(block, size, "empty", &value, &found_size));
    assert_non_null(value);
    assert_int_equal(found_size, 0);
    assert_false(headers_find(block, size, "", &value, &found_size));
    assert_false(headers_find(block, size, "abc", &value, &found_size));
    assert_false(headers_find(NULL, 0, "a", &value, &found_size));
    free(block);
}

/* ---- properties ---- */

struct sample {
    struct klane_header_in headers[HEADERS_MAX];
    char names[HEADERS_MAX][TEXT_MAX];
    unsigned char values[HEADERS_MAX][TEXT_MAX];
    size_t count;
};

static void sample_make(struct sample *sample, uint64_t *random)
{
    sample->count = check_random_below(random, HEADERS_MAX) + 1;
    for (size_t i = 0; i < sample->count; i++) {
        size_t name_size = check_random_below(random, 3) == 0
                               ? check_random_below(random, TEXT_MAX)
                               : check_random_below(random, 2);
        size_t value_size = check_random_below(random, TEXT_MAX);

        memset(sample->names[i], 0, TEXT_MAX);
        for (size_t j = 0; j < name_size && j < TEXT_MAX - 1; j++)
            sample->names[i][j] = (char)(check_random_below(random, 255) + 1);
        for (size_t j = 0; j < value_size; j++)
            sample->values[i][j] = (unsigned char)check_random(random);
        sample->headers[i] = (struct klane_header_in){
            sample->names[i],
            check_random_below(random, 5) == 0 ? NULL : sample->values[i],
            value_size,
        };
    }
}

static void assert_header(const struct klane_header_in *expected, const void *value,
                          size_t size)
{
    if (expected->value == NULL) {
        assert_null(value);
        assert_int_equal(size, 0);
        return;
    }
    assert_non_null(value);
    assert_int_equal(size, expected->size);
    assert_int_equal(memcmp(value, expected->value, size), 0);
}

static void sample_check(const struct sample *sample, const unsigned char *block, size_t size)
{
    struct headers_place place = {0};
    const char *name;
    const void *value;
    size_t value_size;

    assert_int_equal(headers_count(block, size), sample->count);
    assert_true(headers_valid(block, size));
    assert_false(headers_at(block, size, sample->count, &place, &name, &value, &value_size));
    for (size_t i = 0; i < sample->count; i++) {
        size_t last = i;

        /* From wherever the place is: forwards, and backwards. */
        assert_true(headers_at(block, size, sample->count - 1 - i, &place, &name, &value,
                               &value_size));
        assert_string_equal(name, sample->names[sample->count - 1 - i]);
        assert_true(headers_at(block, size, i, &place, &name, &value, &value_size));
        assert_string_equal(name, sample->names[i]);
        assert_header(&sample->headers[i], value, value_size);
        for (size_t j = i; j < sample->count; j++)
            if (strcmp(sample->names[j], sample->names[i]) == 0)
                last = j;
        assert_true(headers_find(block, size, sample->names[i], &value, &value_size));
        assert_header(&sample->headers[last], value, value_size);
    }
}

static void what_is_written_is_read_again(void **state)
{
    uint64_t random = check_seed();
    uint64_t rounds = check_rounds(2000, 1000000);

    (void)state;

    for (uint64_t i = 0; i < rounds; i++) {
        struct sample sample;
        unsigned char *block;
        size_t size;

        sample_make(&sample, &random);
        block = block_of(sample.headers, sample.count, &size);
        sample_check(&sample, block, size);
        free(block);
    }
}

/* Reads all there is, touching every byte that is handed out. Returns how many headers came. */
static size_t block_read(const unsigned char *block, size_t size)
{
    struct headers_place place = {0};
    volatile unsigned char sum = 0;
    const char *name;
    const void *value;
    size_t value_size;
    size_t came = 0;

    while (headers_at(block, size, came, &place, &name, &value, &value_size)) {
        came++;
        sum = (unsigned char)(sum + strlen(name));
        for (size_t i = 0; value != NULL && i < value_size; i++)
            sum = (unsigned char)(sum + ((const unsigned char *)value)[i]);
        assert_true((const unsigned char *)name > block);
        assert_true((const unsigned char *)name < block + size);
    }
    (void)headers_find(block, size, "a", &value, &value_size);
    return came;
}

static void every_truncated_block_is_refused(void **state)
{
    uint64_t random = check_seed();
    uint64_t rounds = check_rounds(100, 50000);

    (void)state;

    for (uint64_t i = 0; i < rounds; i++) {
        struct sample sample;
        unsigned char *block;
        size_t size;

        sample_make(&sample, &random);
        block = block_of(sample.headers, sample.count, &size);
        for (size_t cut = 1; cut < size; cut++) {
            unsigned char *part = malloc(cut);

            assert_non_null(part);
            memcpy(part, block, cut);
            assert_false(headers_valid(part, cut));
            assert_true(block_read(part, cut) < sample.count);
            free(part);
        }
        free(block);
    }
}

static void a_block_with_something_left_over_is_refused(void **state)
{
    static const struct klane_header_in header = {"a", "1", 1};
    unsigned char block[32] = {0};
    size_t size = headers_size(&header, 1);

    (void)state;

    headers_write(&header, 1, block);

    assert_true(headers_valid(block, size));
    assert_false(headers_valid(block, size + 1));
    assert_int_equal(block_read(block, size + 1), 1);
}

static void damaged_blocks_are_never_read_outside(void **state)
{
    uint64_t random = check_seed();
    uint64_t rounds = check_rounds(20000, 5000000);
    uint64_t valid = 0;

    (void)state;

    for (uint64_t i = 0; i < rounds; i++) {
        struct sample sample;
        unsigned char *block;
        size_t size;

        sample_make(&sample, &random);
        block = block_of(sample.headers, sample.count, &size);
        for (uint64_t flips = check_random_below(&random, 6); flips > 0; flips--)
            block[check_random_below(&random, size)] =
                (unsigned char)(check_random_below(&random, 2) == 0 ? check_random(&random)
                                                                    : 0xff);
        /* A valid one is read to its last header, any other one ends somewhere. */
        if (headers_valid(block, size)) {
            valid++;
            assert_int_equal(block_read(block, size), headers_count(block, size));
        } else {
            (void)block_read(block, size);
        }
        free(block);
    }

    assert_in_range(valid, 1, rounds - 1);
}

static void a_false_count_does_not_take_long(void **state)
{
    unsigned char block[12] = {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0};
    struct headers_place place = {0};
    const char *name;
    const void *value;
    size_t size;

    (void)state;

    assert_false(headers_valid(block, sizeof(block)));
    assert_false(headers_at(block, sizeof(block), 0xfffffffe, &place, &name, &value, &size));
    assert_false(headers_find(block, sizeof(block), "a", &value, &size));
}

/* Reading each where the one before was found takes some milliseconds; each from the first,
 * minutes. */
static void headers_without_end_are_read_one_after_the_other(void **state)
{
    enum { COUNT = 400000 };
    struct klane_header_in *headers = calloc(COUNT, sizeof(*headers));
    struct headers_place place = {0};
    unsigned char *block;
    const char *name;
    const void *value;
    size_t size, value_size;
    clock_t begin;

    (void)state;

    assert_non_null(headers);
    for (size_t i = 0; i < COUNT; i++)
        headers[i] = (struct klane_header_in){"name", "value", i % 5};
    block = block_of(headers, COUNT, &size);
    begin = clock();
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(headers_at(block, size, i, &place, &name, &value, &value_size));
        assert_int_equal(value_size, i % 5);
    }
    assert_in_range(clock() - begin, 0, 10 * CLOCKS_PER_SEC);
    free(block);
    free(headers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_without_end_are_read_one_after_the_other),
        cmocka_unit_test(no_headers_need_no_bytes),
        cmocka_unit_test(the_block_is_the_same_on_every_machine),
        cmocka_unit_test(a_header_without_a_name_is_refused),
        cmocka_unit_test(headers_that_are_too_large_together_are_refused),
        cmocka_unit_test(the_last_header_of_a_name_is_found),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(every_truncated_block_is_refused),
        cmocka_unit_test(a_block_with_something_left_over_is_refused),
        cmocka_unit_test(damaged_blocks_are_never_read_outside),
        cmocka_unit_test(a_false_count_does_not_take_long),
    };

    return check_run(tests);
}
