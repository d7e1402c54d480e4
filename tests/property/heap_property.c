/* SPDX-License-Identifier: Apache-2.0 */
#include "property/heap_property.h"

#include "core/heap.h"

enum { NODES = 60, STEPS = 2000 };

struct model {
    struct heap heap;
    struct heap_node nodes[NODES];
    int64_t values[NODES];
    bool in[NODES];
    uint32_t count;
};

static void agree(const struct model *model, int64_t model_error)
{
    int64_t least = INT64_MAX;

    heap_verify(&model->heap);
    assert_int_equal(model->heap.count, model->count);
    for (size_t i = 0; i < NODES; i++) {
        uint32_t place = model->nodes[i].place;

        assert_int_equal(heap_has(&model->nodes[i]), model->in[i]);
        if (!model->in[i])
            continue;
        assert_ptr_equal(model->heap.entries[place].node, &model->nodes[i]);
        assert_true(model->heap.entries[place].value == model->values[i]);
        if (model->values[i] < least)
            least = model->values[i];
    }
    if (model->count > 0)
        assert_true(model->heap.entries[0].value == least + model_error);
}

static void step(struct model *model, uint64_t *random)
{
    size_t which = (size_t)check_random_below(random, NODES);

    if (model->in[which] && check_random_below(random, 2) == 0) {
        heap_remove(&model->heap, &model->nodes[which]);
        model->in[which] = false;
        model->count--;
        return;
    }
    /* Few values, so that many are equal. */
    model->values[which] = (int64_t)check_random_below(random, 50) - 10;
    if (!model->in[which])
        model->count++;
    model->in[which] = true;
    assert_true(heap_reserve(&model->heap, model->count));
    heap_set(&model->heap, &model->nodes[which], model->values[which]);
}

void heap_agrees_with_an_array(int64_t model_error)
{
    static struct model model;
    uint64_t random = check_seed(), rounds = check_rounds(100, 20000);

    for (uint64_t round = 0; round < rounds; round++) {
        model = (struct model){.count = 0};
        heap_init(&model.heap);
        for (size_t i = 0; i < NODES; i++)
            model.nodes[i].place = HEAP_NOWHERE;
        for (int i = 0; i < STEPS; i++) {
            step(&model, &random);
            agree(&model, model_error);
        }
        heap_deinit(&model.heap);
        for (size_t i = 0; i < NODES; i++)
            assert_false(heap_has(&model.nodes[i]));
    }
}
