/* SPDX-License-Identifier: Apache-2.0 */
/* The progress map against the lanes that it was made of: nothing that is unfinished is taken for
 * finished, whatever did not fit; and its ceiling never falls while lanes go on. */
#include "lib/check.h"

#include "core/progress_map.h"

#include <string.h>

enum { LANES_MAX = 700, STEPS = 60, LIMIT_MAX = 4096 };

struct model {
    struct progress_lane lanes[LANES_MAX]; /* unfinished now */
    uint32_t count;
    int64_t frontier;
    int64_t ceiling; /* of the last map */
    uint64_t random;
    size_t limit;
};

static uint64_t below(struct model *model, uint64_t limit)
{
    return check_random_below(&model->random, limit);
}

/* Few fingerprints, so that some clash. */
static void add(struct model *model)
{
    struct progress_lane *lane = &model->lanes[model->count++];

    model->frontier += 1 + (int64_t)below(model, below(model, 50) == 0 ? 1000000 : 3);
    *lane = (struct progress_lane){
        .head = model->frontier - 1,
        .is_record = below(model, 4) == 0,
        .attempts = below(model, 5) == 0 ? (uint32_t)below(model, 1 << 20) : 0,
    };
    if (lane->attempts > 0)
        lane->due_ms = (int64_t)below(model, UINT64_C(1) << 41);
    if (!lane->is_record)
        lane->fingerprint = below(model, 20) == 0 ? 7 : check_random(&model->random);
}

static void step(struct model *model)
{
    uint64_t changes = below(model, 200);

    for (uint64_t i = 0; i < changes; i++) {
        uint64_t which = model->count == 0 ? 0 : below(model, model->count);

        if (model->count == 0 || (below(model, 2) == 0 && model->count < LANES_MAX)) {
            add(model);
            continue;
        }
        /* Its head is finished: the lane goes, or has a later one. */
        if (!model->lanes[which].is_record && below(model, 2) == 0) {
            int64_t head = model->lanes[which].head;

            model->lanes[which].head +=
                1 + (int64_t)below(model, (uint64_t)(model->frontier - head));
            model->lanes[which].attempts = 0;
            model->lanes[which].due_ms = 0;
            if (model->lanes[which].head < model->frontier)
                continue;
        }
        model->lanes[which] = model->lanes[--model->count];
    }
}

static bool is_listed(const struct progress_map *map, const struct progress_lane *lane)
{
    for (uint32_t i = 0; i < map->count; i++)
        if (map->lanes[i].is_record == lane->is_record &&
            map->lanes[i].fingerprint == lane->fingerprint && map->lanes[i].head <= lane->head &&
            (!lane->is_record || map->lanes[i].head == lane->head))
            return true;
    return false;
}

static void check(struct model *model)
{
    static struct progress_lane lanes[LANES_MAX];
    struct progress_map read, map = {.base = model->frontier,
                                     .ceiling = model->frontier,
                                     .leader_epoch = -1,
                                     .lanes = lanes};
    char text[LIMIT_MAX + 1];
    size_t size;

    for (uint32_t i = 0; i < model->count; i++)
        if (model->lanes[i].head < map.base)
            map.base = model->lanes[i].head;
    memcpy(lanes, model->lanes, sizeof(lanes));
    map.count = model->count;
    size = progress_map_write(&map, text, model->limit);

    assert_in_range(size, PROGRESS_MAP_HEADER, model->limit);
    assert_int_equal(progress_map_read(&read, text, size, map.base, &map.scheme), PROGRESS_READ);
    assert_true(read.ceiling >= model->ceiling);
    model->ceiling = read.ceiling;
    for (uint32_t i = 0; i < model->count; i++)
        assert_true(model->lanes[i].head >= read.ceiling || is_listed(&read, &model->lanes[i]));
    for (uint32_t i = 0; i < read.count; i++)
        assert_true(
            is_listed(&(struct progress_map){.lanes = model->lanes, .count = model->count},
                      &read.lanes[i]));
    progress_map_free(&read);
}

static void what_a_map_does_not_list_below_its_ceiling_is_finished(void **state)
{
    static struct model model;
    uint64_t random = check_seed(), rounds = check_rounds(200, 20000);

    (void)state;
    for (uint64_t round = 0; round < rounds; round++) {
        model = (struct model){.random = check_random(&random)};
        model.limit = below(&model, 2) == 0 ? LIMIT_MAX : 54 + below(&model, LIMIT_MAX - 54);
        for (int i = 0; i < STEPS; i++) {
            step(&model);
            check(&model);
        }
    }
}

int main(void)
{
    const struct CMUnitTest progress_map_properties[] = {
        cmocka_unit_test(what_a_map_does_not_list_below_its_ceiling_is_finished),
    };

    return check_run(progress_map_properties);
}
