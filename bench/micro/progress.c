/* SPDX-License-Identifier: Apache-2.0 */
/* Progress maps, as they are written with a commit and read with an assignment. */
#include "micro/micro.h"

#include "core/progress_map.h"
#include "lib/drive.h"

#include <stdlib.h>
#include <string.h>

enum { LANES = 280, LIMIT = 4096, MAPS = 16 };

static const struct progress_scheme scheme = {KLANE_ORDER_KEY, KLANE_NULL_KEYS_UNORDERED, 0};

struct map_stage {
    struct progress_map map;
    struct progress_lane lanes[LANES]; /* as they stand in the core: in no order */
    struct progress_lane sorted[LANES];
    char text[LIMIT + 1];
    size_t size;
};

static void map_write_once(struct map_stage *stage)
{
    memcpy(stage->sorted, stage->lanes, sizeof(stage->lanes));
    stage->map = (struct progress_map){
        .scheme = scheme,
        .seed = 1,
        .base = 1000,
        .ceiling = 1000000,
        .leader_epoch = -1,
        .lanes = stage->sorted,
        .count = LANES,
    };
    stage->size = progress_map_write(&stage->map, stage->text, LIMIT);
}

static void *map_begin(void)
{
    struct map_stage *stage = micro_alloc(sizeof(*stage));
    uint64_t state = 1;

    for (int i = 0; i < LANES; i++)
        stage->lanes[i] = (struct progress_lane){
            .fingerprint = drive_random(&state),
            .head = 1000 + (int64_t)(drive_random(&state) % 900000),
        };
    map_write_once(stage);
    micro_check(stage->size > 0, "no map");
    return stage;
}

static void map_write_all(void *stage)
{
    for (int i = 0; i < MAPS; i++)
        map_write_once(stage);
}

static void map_read_all(void *stage_)
{
    struct map_stage *stage = stage_;

    for (int i = 0; i < MAPS; i++) {
        struct progress_map map;

        micro_check(progress_map_read(&map, stage->text, stage->size, 1000, &scheme) ==
                        PROGRESS_READ,
                    "read");
        progress_map_free(&map);
    }
}

const struct micro_part micro_progress[] = {
    {
        .name = "progress-map",
        .what = "A map of 280 lanes, as 4 KiB have room for.",
        .micros = {{"write", map_begin, NULL, map_write_all, free, MAPS, false},
                   {"read", map_begin, NULL, map_read_all, free, MAPS, false}},
    },
    {.name = NULL},
};
