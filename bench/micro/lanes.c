/* SPDX-License-Identifier: Apache-2.0 */
/* What control keeps of lanes and offsets, part by part, without the core around it. */
#include "micro/micro.h"

#include "core/assignment.h"
#include "core/lane.h"
#include "lib/drive.h"

#include <stdlib.h>

enum { PARTITIONS = 8, NODES = 10000, NODES_MANY = 200000, STRIDE = 7919 };

/* ---- table ----------------------------------------------------------------------------- */

struct table_stage {
    struct table table;
    struct table_node *nodes;   /* MICRO_RUN more than are in it all the time */
    uint64_t hashes[MICRO_RUN]; /* of those */
    uint32_t count;
    uint32_t at;
    bool has_more;
};

static void *table_begin_with(uint32_t count)
{
    struct table_stage *stage = micro_alloc(sizeof(*stage));
    uint64_t state = 1;

    stage->count = count;
    stage->nodes = micro_alloc((count + MICRO_RUN) * sizeof(*stage->nodes));
    micro_check(table_init(&stage->table, count + MICRO_RUN), "no memory");
    for (uint32_t i = 0; i < count; i++)
        table_add(&stage->table, &stage->nodes[i], drive_random(&state));
    for (int i = 0; i < MICRO_RUN; i++)
        stage->hashes[i] = drive_random(&state);
    return stage;
}

static void *table_begin(void)
{
    return table_begin_with(NODES);
}

static void *table_begin_many(void)
{
    return table_begin_with(NODES_MANY);
}

static void table_end(void *stage)
{
    struct table_stage *table = stage;

    table_deinit(&table->table);
    free(table->nodes);
    free(table);
}

static void table_find_all(void *stage)
{
    struct table_stage *table = stage;

    for (int i = 0; i < MICRO_RUN; i++) {
        table->at += STRIDE;
        if (table->at >= table->count)
            table->at -= table->count;
        micro_check(table_first(&table->table, table->nodes[table->at].hash) != NULL, "find");
    }
}

static void table_add_all(void *stage)
{
    struct table_stage *table = stage;

    for (uint32_t i = 0; i < MICRO_RUN; i++)
        table_add(&table->table, &table->nodes[table->count + i], table->hashes[i]);
    table->has_more = true;
}

static void table_remove_all(void *stage)
{
    struct table_stage *table = stage;

    for (uint32_t i = 0; i < MICRO_RUN; i++)
        table_remove(&table->table, &table->nodes[table->count + i]);
    table->has_more = false;
}

static void table_without_more(void *stage)
{
    if (((struct table_stage *)stage)->has_more)
        table_remove_all(stage);
}

static void table_with_more(void *stage)
{
    if (!((struct table_stage *)stage)->has_more)
        table_add_all(stage);
}

/* ---- heap ------------------------------------------------------------------------------ */

struct heap_stage {
    struct heap heap;
    struct heap_node nodes[NODES];
    int64_t values[NODES];
    uint32_t at; /* whose values they get, other ones each time */
};

static void *heap_begin(void)
{
    struct heap_stage *stage = micro_alloc(sizeof(*stage));
    uint64_t state = 1;

    heap_init(&stage->heap);
    micro_check(heap_reserve(&stage->heap, NODES), "no memory");
    for (int i = 0; i < NODES; i++) {
        stage->nodes[i].place = HEAP_NOWHERE;
        stage->values[i] = (int64_t)(drive_random(&state) >> 1);
    }
    return stage;
}

static void heap_end(void *stage)
{
    heap_deinit(&((struct heap_stage *)stage)->heap);
    free(stage);
}

static void heap_fill(struct heap_stage *heap, int from, int to)
{
    for (int i = from; i < to; i++) {
        heap->at = heap->at == NODES - 1 ? 0 : heap->at + 1;
        heap_set(&heap->heap, &heap->nodes[i], heap->values[heap->at]);
    }
}

static void heap_without_more(void *stage)
{
    struct heap_stage *heap = stage;

    for (int i = 0; i < MICRO_RUN; i++)
        if (heap_has(&heap->nodes[i]))
            heap_remove(&heap->heap, &heap->nodes[i]);
    heap_fill(heap, MICRO_RUN, NODES);
}

static void heap_full(void *stage)
{
    heap_fill(stage, 0, NODES);
}

static void heap_set_all(void *stage)
{
    heap_fill(stage, 0, MICRO_RUN);
}

static void heap_remove_all(void *stage)
{
    struct heap_stage *heap = stage;

    for (int i = 0; i < MICRO_RUN; i++)
        heap_remove(&heap->heap, &heap->nodes[i]);
}

static void heap_take_all(void *stage)
{
    struct heap_stage *heap = stage;

    for (int i = 0; i < MICRO_RUN; i++)
        heap_remove(&heap->heap, heap->heap.entries[0].node);
}

/* ---- lanes and offsets ----------------------------------------------------------------- */

/* MICRO_RUN slots, which are in lanes and offsets as far as the step says. */
struct lane_stage {
    struct slab slab;
    struct lane_table table;
    struct partition partitions[PARTITIONS];
    struct klane_assignment assignment; /* of the first */
    struct ready_round ready;
    struct klane_slot *slots[MICRO_RUN];
    struct lane *lanes[MICRO_RUN];
    unsigned char keys[MICRO_RUN][DRIVE_KEY_BYTES];
    int64_t offset;
};

static struct lane_name name_of(struct lane_stage *stage, uint32_t i)
{
    return (struct lane_name){
        .partition = &stage->partitions[i % PARTITIONS],
        .kind = LANE_OF_KEY,
        .key = stage->keys[i],
        .key_size = DRIVE_KEY_BYTES,
    };
}

static void *lanes_begin(void)
{
    struct lane_stage *stage = micro_alloc(sizeof(*stage));

    slab_init(&stage->slab, 0);
    micro_check(lane_table_init(&stage->table, MICRO_RUN, 1), "no memory");
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        stage->partitions[i].number = (int32_t)i;
        stage->partitions[i].salt = i;
        stage->partitions[i].ready.open = READY_ALL;
    }
    assignment_init(&stage->assignment, &stage->partitions[0], 1, 0, NULL);
    for (uint32_t i = 0; i < MICRO_RUN; i++) {
        const struct source_record record = {.key = stage->keys[i], .key_size = DRIVE_KEY_BYTES};

        drive_key(stage->keys[i], i);
        stage->slots[i] = slot_create(&stage->slab, &record, &(struct core_place){0});
        stage->slots[i]->record.assignment = &stage->assignment;
    }
    return stage;
}

static void lanes_create_all(void *stage)
{
    struct lane_stage *lanes = stage;

    for (uint32_t i = 0; i < MICRO_RUN; i++) {
        struct lane_name name = name_of(lanes, i);
        uint64_t hash;

        micro_check(lane_find(&lanes->table, &name, &hash) == NULL, "find");
        lanes->lanes[i] = lane_create(&lanes->table, &lanes->slab, &name, hash);
    }
}

static void lanes_append_all(void *stage)
{
    struct lane_stage *lanes = stage;

    for (uint32_t i = 0; i < MICRO_RUN; i++)
        micro_keep(lane_append(lanes->lanes[i], lanes->slots[i]));
}

static void lanes_find_all(void *stage)
{
    struct lane_stage *lanes = stage;

    for (uint32_t i = 0; i < MICRO_RUN; i++) {
        struct lane_name name = name_of(lanes, i);
        uint64_t hash;

        micro_check(lane_find(&lanes->table, &name, &hash) == lanes->lanes[i], "find");
    }
}

static void lanes_take_all(void *stage)
{
    struct lane_stage *lanes = stage;

    for (uint32_t i = 0; i < MICRO_RUN; i++)
        micro_check(lane_take_finished(lanes->lanes[i]) != NULL, "take");
}

static void lanes_destroy_all(void *stage)
{
    struct lane_stage *lanes = stage;

    for (uint32_t i = 0; i < MICRO_RUN; i++)
        lane_destroy(&lanes->table, &lanes->slab, lanes->lanes[i]);
}

static void slots_finish(struct lane_stage *lanes)
{
    for (uint32_t i = 0; i < MICRO_RUN; i++) {
        micro_keep((uintptr_t)chain_finish(&lanes->slots[i]->chain));
        lanes->slots[i]->control.state = SLOT_FINISHED;
    }
}

/* No lane is there. */
static void lanes_none(void *stage)
{
    struct lane_stage *lanes = stage;

    if (lanes->table.table.count == 0)
        return;
    for (uint32_t i = 0; i < MICRO_RUN; i++)
        if (lanes->lanes[i]->first != NULL) {
            lanes->lanes[i]->held = NULL;
            lanes->slots[i]->control.state = SLOT_FINISHED;
            (void)lane_take_finished(lanes->lanes[i]);
        }
    lanes_destroy_all(lanes);
}

static void lanes_empty(void *stage)
{
    lanes_none(stage);
    lanes_create_all(stage);
}

/* Each has one slot. */
static void lanes_filled(void *stage)
{
    lanes_empty(stage);
    lanes_append_all(stage);
}

static void lanes_finished(void *stage)
{
    lanes_filled(stage);
    slots_finish(stage);
}

static void lanes_settled(void *stage)
{
    lanes_finished(stage);
    lanes_take_all(stage);
}

static void lanes_end(void *stage)
{
    struct lane_stage *lanes = stage;

    lanes_none(lanes);
    for (uint32_t i = 0; i < MICRO_RUN; i++)
        slot_destroy(&lanes->slab, lanes->slots[i]);
    assignment_deinit(&lanes->assignment);
    lane_table_deinit(&lanes->table);
    slab_deinit(&lanes->slab);
    free(lanes);
}

/* ---- ready lanes ----------------------------------------------------------------------- */

static void ready_add_all(void *stage)
{
    struct lane_stage *lanes = stage;

    for (uint32_t i = 0; i < MICRO_RUN; i++)
        ready_add(&lanes->ready, lanes->lanes[i]);
}

static void ready_take_all(void *stage)
{
    struct lane_stage *lanes = stage;

    for (uint32_t i = 0; i < MICRO_RUN; i++)
        micro_check(ready_take(&lanes->ready) != NULL, "take");
}

static void ready_none(void *stage)
{
    struct lane_stage *lanes = stage;

    while (ready_take(&lanes->ready) != NULL)
        continue;
    if (lanes->table.table.count > 0)
        return;
    lanes_filled(lanes);
    for (uint32_t i = 0; i < MICRO_RUN; i++)
        lanes->lanes[i]->held = lanes->slots[i];
}

static void ready_filled(void *stage)
{
    ready_none(stage);
    ready_add_all(stage);
}

/* ---- offsets --------------------------------------------------------------------------- */

static void offsets_add_all(void *stage)
{
    struct lane_stage *lanes = stage;
    struct offsets *offsets = &lanes->assignment.offsets;

    for (uint32_t i = 0; i < MICRO_RUN; i++) {
        lanes->slots[i]->record.offset = lanes->offset++;
        if (!offsets_have_room(offsets, i))
            micro_check(offsets_reserve(offsets, i), "no memory");
        offsets_add(offsets, lanes->slots[i]);
    }
}

/* From the first to the last; or the other way, so that the base moves at the end only. */
static void offsets_settle_all(void *stage)
{
    struct lane_stage *lanes = stage;

    for (uint32_t i = 0; i < MICRO_RUN; i++) {
        offsets_settle(&lanes->assignment.offsets, lanes->slots[i]);
        micro_keep((uint64_t)offsets_base(&lanes->assignment.offsets));
    }
}

static void offsets_settle_back(void *stage)
{
    struct lane_stage *lanes = stage;

    for (uint32_t i = MICRO_RUN; i-- > 0;) {
        offsets_settle(&lanes->assignment.offsets, lanes->slots[i]);
        micro_keep((uint64_t)offsets_base(&lanes->assignment.offsets));
    }
}

static void offsets_none(void *stage)
{
    struct lane_stage *lanes = stage;
    struct offsets *offsets = &lanes->assignment.offsets;

    if (offsets->first != offsets->end)
        offsets_settle_all(lanes);
    lanes_settled(lanes);
}

static void offsets_filled(void *stage)
{
    offsets_none(stage);
    offsets_add_all(stage);
}

const struct micro_part micro_lanes[] = {
    {
        .name = "table",
        .what = "The hash table of lanes, with 10,000 of them, or 200,000.",
        .micros = {{"find", table_begin, NULL, table_find_all, table_end, 0, false},
                   {"find-200k", table_begin_many, NULL, table_find_all, table_end, 0, false},
                   {"add", table_begin, table_without_more, table_add_all, table_end, 0, false},
                   {"remove", table_begin, table_with_more, table_remove_all, table_end, 0,
                    false}},
    },
    {
        .name = "heap",
        .what = "The heap of lane heads and of timers, with 10,000 of them.",
        .micros = {{"add", heap_begin, heap_without_more, heap_set_all, heap_end, 0, false},
                   {"move", heap_begin, heap_full, heap_set_all, heap_end, 0, false},
                   {"remove", heap_begin, heap_full, heap_remove_all, heap_end, 0, false},
                   {"take-first", heap_begin, heap_full, heap_take_all, heap_end, 0, false}},
    },
    {
        .name = "lane",
        .what =
            "Lanes of one record each: looked for in vain and made, a record put in, found, the "
            "record taken out, ended.",
        .micros = {{"create", lanes_begin, lanes_none, lanes_create_all, lanes_end, 0, false},
                   {"append", lanes_begin, lanes_empty, lanes_append_all, lanes_end, 0, false},
                   {"find", lanes_begin, lanes_filled, lanes_find_all, lanes_end, 0, false},
                   {"take-finished", lanes_begin, lanes_finished, lanes_take_all, lanes_end, 0,
                    false},
                   {"destroy", lanes_begin, lanes_settled, lanes_destroy_all, lanes_end, 0,
                    false}},
    },
    {
        .name = "ready-lanes",
        .what = "The lists of lanes that can run, round robin over 8 partitions.",
        .micros = {{"add", lanes_begin, ready_none, ready_add_all, lanes_end, 0, false},
                   {"take", lanes_begin, ready_filled, ready_take_all, lanes_end, 0, false}},
    },
    {
        .name = "offsets",
        .what = "The ring of offsets and the base: records come in, and finish in order, or from "
                "the last to the first.",
        .micros = {{"add", lanes_begin, offsets_none, offsets_add_all, lanes_end, 0, false},
                   {"settle", lanes_begin, offsets_filled, offsets_settle_all, lanes_end, 0,
                    false},
                   {"settle-back", lanes_begin, offsets_filled, offsets_settle_back, lanes_end, 0,
                    false}},
    },
    {.name = NULL},
};
