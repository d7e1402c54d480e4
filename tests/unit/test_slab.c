/* SPDX-License-Identifier: Apache-2.0 */
/* Slabs: blocks are whole and apart, and memory that was given back serves again. */
#include "lib/check.h"

#include "base/slab.h"

#include <stdint.h>
#include <string.h>

#define CHUNK ((uint64_t)256 * 1024)

static void block_holds_what_was_asked_for_at_every_size(void **state)
{
    struct slab slab;
    uint8_t size_class;

    (void)state;
    slab_init(&slab, 0);

    for (size_t size = 0; size <= 70000; size += size < 2000 ? 1 : 97) {
        void *block = slab_alloc(&slab, size, &size_class);

        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 16, 0);
        assert_true(slab_block_size(size) >= size);
        memset(block, 0xa5, size);
        slab_verify(&slab);
        slab_free(&slab, block, size_class);
    }

    slab_deinit(&slab);
}

static void block_wastes_at_most_an_eighth_beyond_the_fine_sizes(void **state)
{
    (void)state;

    for (size_t size = 1; size <= 512; size++)
        assert_true(slab_block_size(size) - size < 16);
    for (size_t size = 513; size <= 32768; size++)
        assert_true(slab_block_size(size) - size <= size / 8);
}

static void size_at_the_edge_of_a_class_stays_in_it(void **state)
{
    struct slab slab;
    uint8_t at_edge, beyond;

    (void)state;
    slab_init(&slab, 0);

    for (size_t size = 16; size < 32768; size = slab_block_size(size + 1)) {
        void *first = slab_alloc(&slab, size, &at_edge);
        void *second = slab_alloc(&slab, size + 1, &beyond);

        assert_int_equal(slab_block_size(size), size);
        assert_int_equal(beyond, at_edge + 1);
        slab_free(&slab, first, at_edge);
        slab_free(&slab, second, beyond);
    }

    slab_deinit(&slab);
}

static void freed_block_is_handed_out_again(void **state)
{
    struct slab slab;
    uint8_t size_class;
    void *first, *second;

    (void)state;
    slab_init(&slab, 0);
    first = slab_alloc(&slab, 100, &size_class);

    slab_free(&slab, first, size_class);
    second = slab_alloc(&slab, 100, &size_class);

    assert_ptr_equal(first, second);
    slab_free(&slab, second, size_class);
    slab_deinit(&slab);
}

/* Fills one class until nothing is left of the limit; returns how many blocks it got. */
static size_t fill(struct slab *slab, size_t size, void **blocks, size_t blocks_max,
                   uint8_t *size_class)
{
    size_t count = 0;

    while (count < blocks_max && (blocks[count] = slab_alloc(slab, size, size_class)) != NULL)
        count++;
    assert_true(count < blocks_max);
    return count;
}

static void memory_of_one_size_serves_another_at_the_limit(void **state)
{
    static void *blocks[20000];
    static const size_t sizes[] = {64, 200, 1000, 5000, 32768, 40, 40000};
    struct slab slab;
    uint8_t size_class;

    (void)state;
    slab_init(&slab, 2 * CHUNK);

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t count = fill(&slab, sizes[i], blocks, 20000, &size_class);

        assert_true(count * sizes[i] > 2 * CHUNK * 4 / 5);
        assert_true(slab.bytes <= slab.limit_bytes);
        while (count > 0)
            slab_free(&slab, blocks[--count], size_class);
        slab_verify(&slab);
    }

    slab_deinit(&slab);
}

static void limit_refuses_what_would_pass_it_and_nothing_else(void **state)
{
    struct slab slab;
    uint8_t small_class, large_class;
    void *small, *large;

    (void)state;
    slab_init(&slab, CHUNK + 100000);

    small = slab_alloc(&slab, 64, &small_class);
    large = slab_alloc(&slab, 90000, &large_class);

    assert_non_null(small);
    assert_non_null(large);
    assert_null(slab_alloc(&slab, 40000, &large_class));
    slab_free(&slab, large, SLAB_CLASS_LARGE);
    large = slab_alloc(&slab, 40000, &large_class);
    assert_non_null(large);
    assert_null(slab_alloc(&slab, 600, &small_class));
    slab_free(&slab, large, SLAB_CLASS_LARGE);
    slab_free(&slab, small, 3);
    slab_deinit(&slab);
}

static void large_block_is_mapped_alone_and_leaves_nothing(void **state)
{
    struct slab slab;
    uint8_t size_class;
    void *block;

    (void)state;
    slab_init(&slab, 0);

    block = slab_alloc(&slab, 10 * 1000 * 1000, &size_class);
    memset(block, 1, 10 * 1000 * 1000);

    assert_int_equal(size_class, SLAB_CLASS_LARGE);
    assert_true(slab.bytes >= 10 * 1000 * 1000);
    slab_free(&slab, block, size_class);
    assert_true(slab.bytes == 0);
    slab_deinit(&slab);
}

static void pages_beyond_a_reserve_go_back_to_the_system(void **state)
{
    enum { BLOCKS = 400 };
    static void *blocks[BLOCKS];
    uint64_t marked = check_marked("slab gives pages back");
    struct slab slab;
    uint8_t size_class;

    (void)state;
    slab_init(&slab, 0);

    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = slab_alloc(&slab, 32768, &size_class);
    for (size_t i = 0; i < BLOCKS; i++)
        slab_free(&slab, blocks[i], size_class);

    assert_true(check_marked("slab gives pages back") > marked);
    assert_true(slab.bytes <= CHUNK);
    slab_verify(&slab);
    slab_deinit(&slab);
}

static void empty_chunk_goes_when_its_class_gets_another_with_room(void **state)
{
    enum { BLOCKS = 8 }; /* a chunk holds seven of this size */
    struct slab slab;
    uint8_t size_class;
    void *blocks[BLOCKS];

    (void)state;
    slab_init(&slab, 0);
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = slab_alloc(&slab, 32768, &size_class);

    slab_free(&slab, blocks[BLOCKS - 1], size_class);
    assert_true(slab.bytes == 2 * CHUNK);
    slab_free(&slab, blocks[0], size_class);

    assert_true(slab.bytes == CHUNK);
    slab_verify(&slab);
    for (int i = 1; i < BLOCKS - 1; i++)
        slab_free(&slab, blocks[i], size_class);
    slab_deinit(&slab);
}

static void block_freed_under_another_class_is_noticed(void **state)
{
    struct slab slab;
    uint8_t size_class;
    void *block;

    (void)state;
    slab_init(&slab, 0);
    block = slab_alloc(&slab, 100, &size_class);

    expect_assert_failure(slab_free(&slab, block, (uint8_t)(size_class + 1)));

    slab_free(&slab, block, size_class);
    expect_assert_failure(slab_free(&slab, block, size_class));
    slab_deinit(&slab);
}

int main(void)
{
    const struct CMUnitTest slab_tests[] = {
        cmocka_unit_test(block_holds_what_was_asked_for_at_every_size),
        cmocka_unit_test(block_wastes_at_most_an_eighth_beyond_the_fine_sizes),
        cmocka_unit_test(size_at_the_edge_of_a_class_stays_in_it),
        cmocka_unit_test(freed_block_is_handed_out_again),
        cmocka_unit_test(memory_of_one_size_serves_another_at_the_limit),
        cmocka_unit_test(limit_refuses_what_would_pass_it_and_nothing_else),
        cmocka_unit_test(large_block_is_mapped_alone_and_leaves_nothing),
        cmocka_unit_test(pages_beyond_a_reserve_go_back_to_the_system),
        cmocka_unit_test(empty_chunk_goes_when_its_class_gets_another_with_room),
        cmocka_unit_test(block_freed_under_another_class_is_noticed),
    };

    return check_run(slab_tests);
}
