/* SPDX-License-Identifier: Apache-2.0 */
#include "property/lane_heap_property.h"

#include "core/lane.h"
#include "core/lane_heap.h"

enum { LANES = 60, STEPS = 2000 };

struct model {
    struct lane_heap heap;
    struct lane lanes[LANES];
    int64_t values[LANES];
    bool in[LANES];
    uint32_t count;
};

static void agree(const struct model *model, int64_t model_error)
{
    int64_t least = INT64_MAX;

    lane_heap_verify(&model->heap);
    assert_int_equal(model->heap.count, model->count);
    for (size_t i = 0; i < LANES; i++) {
        uint32_t place = model->lanes[i].heap_place[LANE_HEAP_HEADS];

        assert_int_equal(lane_heap_has(&model->heap, &model->lanes[i]), model->in[i]);
        if (!model->in[i])
            continue;
        assert_ptr_equal(model->heap.entries[place].lane, &model->lanes[i]);
        assert_true(model->heap.entries[place].value == model->values[i]);
        if (model->values[i] < least)
            least = model->values[i];
    }
    if (model->count > 0)
        assert_true(model->heap.entries[0].value == least + model_error);
}

static void step(struct model *model, uint64_t *random)
{
    size_t which = (size_t)check_random_below(random, LANES);

    if (model->in[which] && check_random_below(random, 2) == 0) {
        lane_heap_remove(&model->heap, &model->lanes[which]);
        model->in[which] = false;
        model->count--;
        return;
    }
    /* Few values, so that many are equal. */
    model->values[which] = (int64_t)check_random_below(random, 50) - 10;
    if (!model->in[which])
        model->count++;
    model->in[which] = true;
    assert_true(lane_heap_reserve(&model->heap, model->count));
    lane_heap_set(&model->heap, &model->lanes[which], model->values[which]);
}

void lane_heap_agrees_with_an_array(int64_t model_error)
{
    static struct model model;
    uint64_t random = check_seed(), rounds = check_rounds(100, 20000);

    for (uint64_t round = 0; round < rounds; round++) {
        model = (struct model){.count = 0};
        lane_heap_init(&model.heap, LANE_HEAP_HEADS);
        for (size_t i = 0; i < LANES; i++)
            model.lanes[i].heap_place[LANE_HEAP_HEADS] = LANE_HEAP_NOWHERE;
        for (int i = 0; i < STEPS; i++) {
            step(&model, &random);
            agree(&model, model_error);
        }
        lane_heap_deinit(&model.heap);
        for (size_t i = 0; i < LANES; i++)
            assert_false(lane_heap_has(&model.heap, &model.lanes[i]));
    }
}
