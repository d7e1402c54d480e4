/* SPDX-License-Identifier: Apache-2.0 */
/* The round of ready lanes against a naive round robin over arrays. */
#include "lib/check.h"

#include "core/assignment.h"
#include "core/lane.h"
#include "core/ready.h"

enum { PARTITIONS = 5, LANES = 6, STEPS = 5000 };

struct model {
    struct ready_round round;
    struct partition partitions[PARTITIONS];
    struct lane lanes[PARTITIONS][LANES];
    uint64_t random;
    uint32_t turns[PARTITIONS]; /* partitions with ready lanes; turns[0] is next */
    uint32_t turn_count;
    struct lane *queues[PARTITIONS][LANES];
    uint32_t counts[PARTITIONS];
    uint32_t total;
    uint64_t slot;
};

static void model_init(struct model *model, uint64_t seed)
{
    *model = (struct model){.random = seed};
    for (uint32_t i = 0; i < PARTITIONS; i++)
        model->partitions[i].ready.open = READY_ALL;
    for (uint32_t i = 0; i < PARTITIONS; i++)
        for (uint32_t j = 0; j < LANES; j++) {
            model->lanes[i][j].partition = &model->partitions[i];
            /* Only that it holds some slot matters here. */
            model->lanes[i][j].held = (struct klane_slot *)(void *)&model->slot;
        }
}

static uint32_t index_of(const struct model *model, uint32_t partition, const struct lane *lane)
{
    uint32_t index = 0;

    while (index < model->counts[partition] && model->queues[partition][index] != lane)
        index++;
    return index;
}

static void drop_lane(struct model *model, uint32_t partition, uint32_t index)
{
    model->counts[partition]--;
    model->total--;
    for (; index < model->counts[partition]; index++)
        model->queues[partition][index] = model->queues[partition][index + 1];
}

static void drop_turn(struct model *model, uint32_t partition)
{
    uint32_t index = 0;

    while (model->turns[index] != partition)
        index++;
    model->turn_count--;
    for (; index < model->turn_count; index++)
        model->turns[index] = model->turns[index + 1];
}

/* A lane that is not ready gets so, one that is leaves. */
static void toggle(struct model *model, uint32_t partition, struct lane *lane)
{
    uint32_t index = index_of(model, partition, lane);

    if (index < model->counts[partition]) {
        ready_remove(&model->round, lane);
        drop_lane(model, partition, index);
        if (model->counts[partition] == 0)
            drop_turn(model, partition);
        return;
    }
    ready_add(&model->round, lane);
    if (model->counts[partition] == 0)
        model->turns[model->turn_count++] = partition;
    model->queues[partition][model->counts[partition]++] = lane;
    model->total++;
}

static void take(struct model *model)
{
    struct lane *lane = ready_take(&model->round);
    uint32_t partition;

    if (model->total == 0) {
        assert_null(lane);
        return;
    }
    partition = model->turns[0];
    assert_ptr_equal(lane, model->queues[partition][0]);
    drop_lane(model, partition, 0);
    drop_turn(model, partition);
    if (model->counts[partition] > 0)
        model->turns[model->turn_count++] = partition;
}

static void ready_round_agrees_with_a_naive_round_robin(void **state)
{
    static struct model model;
    uint64_t random = check_seed(), rounds = check_rounds(100, 20000);

    (void)state;

    for (uint64_t round = 0; round < rounds; round++) {
        uint64_t taking = 10 + check_random_below(&random, 50);

        model_init(&model, check_random(&random));
        for (int step = 0; step < STEPS; step++) {
            uint32_t partition = (uint32_t)check_random_below(&model.random, PARTITIONS);
            uint64_t lane = check_random_below(&model.random, LANES);

            if (check_random_below(&model.random, 100) < taking)
                take(&model);
            else
                toggle(&model, partition, &model.lanes[partition][lane]);
            assert_int_equal(model.round.lanes, model.total);
        }
        while (model.total > 0)
            take(&model);
        take(&model);
    }
}

int main(void)
{
    const struct CMUnitTest ready_round_properties[] = {
        cmocka_unit_test(ready_round_agrees_with_a_naive_round_robin),
    };

    return check_run(ready_round_properties);
}
