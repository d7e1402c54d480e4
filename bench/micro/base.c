/* SPDX-License-Identifier: Apache-2.0 */
/* Memory and hash, and the copy of a record. */
#include "micro/micro.h"

#include "base/hash.h"
#include "base/slab.h"
#include "core/slot.h"
#include "lib/drive.h"

#include <stdlib.h>

/* ---- slab ------------------------------------------------------------------------------ */

struct slab_stage {
    struct slab slab;
    void *blocks[MICRO_RUN]; /* NULL: freed */
    uint8_t classes[MICRO_RUN];
    uint32_t order[MICRO_RUN]; /* in which they are freed: as records finish, not as they came */
    unsigned char key[DRIVE_KEY_BYTES];
};

static void *slab_begin(void)
{
    struct slab_stage *stage = micro_alloc(sizeof(*stage));
    uint64_t state = 1;

    slab_init(&stage->slab, 0);
    drive_key(stage->key, 1);
    for (uint32_t i = 0; i < MICRO_RUN; i++) {
        uint32_t at = (uint32_t)(drive_random(&state) % (i + 1));

        stage->order[i] = stage->order[at];
        stage->order[at] = i;
    }
    return stage;
}

static void slab_alloc_all(void *stage)
{
    struct slab_stage *slab = stage;

    for (int i = 0; i < MICRO_RUN; i++)
        slab->blocks[i] =
            slab_alloc(&slab->slab, sizeof(struct klane_slot) + 116, &slab->classes[i]);
}

static void slab_free_all(void *stage)
{
    struct slab_stage *slab = stage;

    for (int i = 0; i < MICRO_RUN; i++) {
        uint32_t at = slab->order[i];

        slab_free(&slab->slab, slab->blocks[at], slab->classes[at]);
        slab->blocks[at] = NULL;
    }
}

static void slab_freed(void *stage)
{
    if (((struct slab_stage *)stage)->blocks[0] != NULL)
        slab_free_all(stage);
}

static void slab_allocated(void *stage)
{
    if (((struct slab_stage *)stage)->blocks[0] == NULL)
        slab_alloc_all(stage);
}

static void slab_end(void *stage)
{
    slab_freed(stage);
    slab_deinit(&((struct slab_stage *)stage)->slab);
    free(stage);
}

/* ---- slot ------------------------------------------------------------------------------ */

static void slot_create_all(void *stage)
{
    struct slab_stage *slab = stage;
    const struct source_record record = {
        .key = slab->key,
        .value = drive_value,
        .key_size = sizeof(slab->key),
        .value_size = sizeof(drive_value),
    };
    const struct core_place place = {.kind = LANE_OF_KEY};

    for (int i = 0; i < MICRO_RUN; i++)
        slab->blocks[i] = slot_create(&slab->slab, &record, &place);
}

static void slot_destroy_all(void *stage)
{
    struct slab_stage *slab = stage;

    for (int i = 0; i < MICRO_RUN; i++) {
        uint32_t at = slab->order[i];

        slot_destroy(&slab->slab, slab->blocks[at]);
        slab->blocks[at] = NULL;
    }
}

static void slot_destroyed(void *stage)
{
    if (((struct slab_stage *)stage)->blocks[0] != NULL)
        slot_destroy_all(stage);
}

static void slot_created(void *stage)
{
    if (((struct slab_stage *)stage)->blocks[0] == NULL)
        slot_create_all(stage);
}

static void slot_end(void *stage)
{
    slot_destroyed(stage);
    slab_deinit(&((struct slab_stage *)stage)->slab);
    free(stage);
}

/* ---- hash ------------------------------------------------------------------------------ */

static void hash_all(void *stage)
{
    struct slab_stage *slab = stage;

    for (uint32_t i = 0; i < MICRO_RUN; i++) {
        slab->key[0] = (unsigned char)i;
        micro_keep(hash_bytes(slab->key, sizeof(slab->key), 1));
    }
}

const struct micro_part micro_base[] = {
    {
        .name = "slab",
        .what = "The memory of records and lanes: blocks of a slot with 116 bytes of record.",
        .micros = {{"alloc", slab_begin, slab_freed, slab_alloc_all, slab_end, 0, false},
                   {"free", slab_begin, slab_allocated, slab_free_all, slab_end, 0, false}},
    },
    {
        .name = "slot",
        .what = "A record is copied in; and is gone.",
        .micros = {{"create", slab_begin, slot_destroyed, slot_create_all, slot_end, 0, false},
                   {"destroy", slab_begin, slot_created, slot_destroy_all, slot_end, 0, false}},
    },
    {
        .name = "hash",
        .what = "The hash of a key of 16 bytes.",
        .micros = {{"key", slab_begin, NULL, hash_all, slab_end, 0, false}},
    },
    {.name = NULL},
};
