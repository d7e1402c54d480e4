/* SPDX-License-Identifier: Apache-2.0 */
/* Slabs against a list of blocks: no two overlap, none is written by anybody else, the limit
 * holds. */
#include "lib/check.h"

#include "base/slab.h"

#include <string.h>

enum { BLOCKS_MAX = 300, STEPS = 3000 };

#define CHUNK ((uint64_t)256 * 1024)
#define LARGE_ABOVE ((size_t)32 * 1024)

struct block {
    unsigned char *bytes;
    size_t size;
    uint8_t size_class;
    unsigned char pattern;
};

struct model {
    struct slab slab;
    uint64_t random;
    size_t size_max;
    uint32_t count;
    struct block blocks[BLOCKS_MAX];
};

static size_t below(struct model *model, size_t limit)
{
    return (size_t)check_random_below(&model->random, limit);
}

static bool is_whole(const struct block *block)
{
    for (size_t i = 0; i < block->size; i++)
        if (block->bytes[i] != block->pattern)
            return false;
    return true;
}

static void take(struct model *model)
{
    struct block *block = &model->blocks[model->count];

    block->size = 1 + below(model, 1 + below(model, model->size_max));
    block->bytes = slab_alloc(&model->slab, block->size, &block->size_class);
    if (block->bytes == NULL) {
        assert_true(model->slab.limit_bytes != 0);
        return;
    }
    for (uint32_t i = 0; i < model->count; i++) {
        const struct block *other = &model->blocks[i];

        assert_true(block->bytes + block->size <= other->bytes ||
                    other->bytes + other->size <= block->bytes);
    }
    block->pattern = (unsigned char)check_random(&model->random);
    memset(block->bytes, block->pattern, block->size);
    model->count++;
}

static void give_back(struct model *model)
{
    struct block *block = &model->blocks[below(model, model->count)];

    assert_true(is_whole(block));
    slab_free(&model->slab, block->bytes, block->size_class);
    *block = model->blocks[--model->count];
}

static void agree(const struct model *model)
{
    uint64_t large = 0, small = 0;

    slab_verify(&model->slab);
    for (uint32_t i = 0; i < model->count; i++) {
        const struct block *block = &model->blocks[i];

        assert_int_equal(block->bytes[0], block->pattern);
        assert_int_equal(block->bytes[block->size - 1], block->pattern);
        if (block->size > LARGE_ABOVE)
            large += slab_block_size(block->size);
        else
            small += slab_block_size(block->size);
    }
    assert_true(model->slab.bytes >= large + small);
    assert_true((model->slab.bytes - large) % CHUNK == 0);
    if (model->slab.limit_bytes != 0)
        assert_true(model->slab.bytes <= model->slab.limit_bytes);
}

static void slab_agrees_with_a_list_of_blocks(void **state)
{
    static const size_t sizes_max[] = {300, 5000, 40000, 200000};
    static struct model model;
    uint64_t random = check_seed(), rounds = check_rounds(8, 2000);

    (void)state;

    for (uint64_t round = 0; round < rounds; round++) {
        uint64_t limit = check_random_below(&random, 2) * (1 + check_random_below(&random, 20));

        model = (struct model){.random = check_random(&random)};
        model.size_max = sizes_max[below(&model, 4)];
        slab_init(&model.slab, limit * CHUNK);
        for (int step = 0; step < STEPS; step++) {
            /* Long stretches of taking and of giving back. */
            size_t taking = step / 500 % 2 == 0 ? 7 : 3;

            if (model.count < BLOCKS_MAX && below(&model, 10) < taking)
                take(&model);
            else if (model.count > 0)
                give_back(&model);
            agree(&model);
        }
        while (model.count > 0)
            give_back(&model);
        assert_true(model.slab.bytes <= SLAB_CLASSES * CHUNK);
        slab_deinit(&model.slab);
    }
}

int main(void)
{
    const struct CMUnitTest slab_properties[] = {
        cmocka_unit_test(slab_agrees_with_a_list_of_blocks),
    };

    return check_run(slab_properties);
}
