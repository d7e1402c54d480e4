/* SPDX-License-Identifier: Apache-2.0 */
/* The table of lanes against a naive map from names to queues of offsets. */
#include "lib/lane_kit.h"

enum { PARTITIONS = 2, KEYS = 1500, QUEUE_MAX = 4, STEPS = 12000 };

/* One name: its partition, and a key, or one of the kinds that have none. */
struct queue {
    struct lane_name name;
    uint32_t key;
    struct klane_slot *slots[QUEUE_MAX];
    uint32_t count;
};

struct model {
    struct lane_kit kit;
    struct partition partitions[PARTITIONS];
    struct queue queues[PARTITIONS][KEYS];
    uint64_t random;
    uint32_t lanes;
    int64_t offset;
};

static void model_init(struct model *model, uint64_t seed)
{
    *model = (struct model){.random = seed};
    lane_kit_init(&model->kit, PARTITIONS * KEYS, check_random(&model->random));
    for (uint32_t i = 0; i < PARTITIONS; i++)
        for (uint32_t key = 0; key < KEYS; key++) {
            struct queue *queue = &model->queues[i][key];

            queue->key = key;
            queue->name = (struct lane_name){&model->partitions[i], LANE_OF_KEY, &queue->key, 4};
            /* Names of three lengths. */
            if (key < 1000)
                queue->name.key_size = key < 256 ? 1 : 2;
            if (key == 0)
                queue->name.kind = LANE_OF_NULL_KEYS;
            if (key == 1)
                queue->name.kind = LANE_OF_PARTITION;
        }
}

static struct queue *any_queue(struct model *model)
{
    size_t partition = (size_t)check_random_below(&model->random, PARTITIONS);

    return &model->queues[partition][check_random_below(&model->random, KEYS)];
}

static void take_in(struct model *model, struct queue *queue)
{
    if (queue->count == QUEUE_MAX)
        return;
    if (queue->count == 0)
        model->lanes++;
    queue->slots[queue->count] = lane_kit_take_in(&model->kit, &queue->name, model->offset++);
    assert_int_equal(queue->slots[queue->count]->control.state,
                     queue->count == 0 ? SLOT_OUT : SLOT_QUEUED);
    queue->count++;
}

static void finish(struct model *model, struct queue *queue)
{
    if (queue->count == 0)
        return;
    lane_kit_end(&model->kit, queue->slots[0], NULL);
    queue->count--;
    for (uint32_t i = 0; i < queue->count; i++)
        queue->slots[i] = queue->slots[i + 1];
    if (queue->count == 0)
        model->lanes--;
}

static void agree_on(struct model *model, const struct queue *queue)
{
    uint64_t hash;
    struct lane *lane = lane_find(&model->kit.table, &queue->name, &hash);

    if (queue->count == 0) {
        assert_null(lane);
        return;
    }
    assert_non_null(lane);
    assert_int_equal(lane->count, queue->count);
    assert_ptr_equal(lane->first, queue->slots[0]);
    assert_ptr_equal(lane->last, queue->slots[queue->count - 1]);
}

static void lane_table_agrees_with_a_map(void **state)
{
    static struct model model;
    uint64_t random = check_seed(), rounds = check_rounds(4, 500);

    (void)state;

    for (uint64_t round = 0; round < rounds; round++) {
        model_init(&model, check_random(&random));
        for (int step = 0; step < STEPS; step++) {
            uint64_t taking = step / (STEPS / 4) % 2 == 0 ? 7 : 2;
            struct queue *queue = any_queue(&model);

            if (check_random_below(&model.random, 10) < taking)
                take_in(&model, queue);
            else
                finish(&model, queue);
            agree_on(&model, queue);
            agree_on(&model, any_queue(&model));
            assert_int_equal(model.kit.table.table.count, model.lanes);
            if (step % 16 == 0)
                lane_table_verify(&model.kit.table);
        }
        for (uint32_t i = 0; i < PARTITIONS * KEYS; i++)
            agree_on(&model, &model.queues[i / KEYS][i % KEYS]);
        for (uint32_t i = 0; i < PARTITIONS * KEYS; i++)
            while (model.queues[i / KEYS][i % KEYS].count > 0)
                finish(&model, &model.queues[i / KEYS][i % KEYS]);
        lane_kit_deinit(&model.kit);
    }
}

int main(void)
{
    const struct CMUnitTest lane_table_properties[] = {
        cmocka_unit_test(lane_table_agrees_with_a_map),
    };

    return check_run(lane_table_properties);
}
