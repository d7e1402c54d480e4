/* SPDX-License-Identifier: Apache-2.0 */
/* Offsets against a map with a byte for each: the base is the first that is unfinished.
 *
 * Some lanes begin with a slot of a former assignment, some records stay unfinished for most of
 * a round, outcomes of a lane are reported in any order, and towards the end lanes are taken
 * back. */
#include "lib/lane_kit.h"

#include <string.h>

enum { LANES = 64, STUCK = 4, STEPS = 40000, OFFSETS_MAX = 3 * STEPS };

enum fate { HOLE, UNFINISHED, FINISHED };

/* The records of one key, in order, as a worker and control have seen them. */
struct queue {
    uint32_t key;
    struct lane *lane; /* NULL: it has no record */
};

struct model {
    struct lane_kit kit;
    struct klane_assignment former;
    struct queue queues[LANES];
    unsigned char fates[OFFSETS_MAX];
    uint64_t random;
    int64_t offset;
};

static uint64_t below(struct model *model, uint64_t limit)
{
    return check_random_below(&model->random, limit);
}

static struct klane_slot *append(struct model *model, struct queue *queue, int64_t offset)
{
    struct lane_name name = {&model->kit.partition, LANE_OF_KEY, &queue->key, 4};
    struct klane_slot *slot = lane_kit_take_in(&model->kit, &name, offset);

    queue->lane = slot->control.lane;
    return slot;
}

static void take_in(struct model *model, struct queue *queue)
{
    struct klane_slot *slot;

    /* Holes, small and now and then larger. */
    if (below(model, 4) == 0)
        model->offset += (int64_t)below(model, 6);
    assert_true(model->offset < OFFSETS_MAX);
    assert_true(offsets_reserve(&model->kit.assignment.offsets, model->kit.assignment.slots));
    slot = append(model, queue, model->offset);
    offsets_add(&model->kit.assignment.offsets, slot);
    model->kit.assignment.slots++;
    model->fates[model->offset++] = UNFINISHED;
}

static void leave(struct model *model, struct klane_slot *slot)
{
    if (slot->record.assignment == &model->kit.assignment) {
        offsets_settle(&model->kit.assignment.offsets, slot);
        model->kit.assignment.slots--;
    }
    slot_destroy(&model->kit.slab, slot);
}

static void settle(struct model *model, struct queue *queue)
{
    struct lane *lane = queue->lane;
    struct klane_slot *slot;

    while ((slot = lane_take_finished(lane)) != NULL)
        leave(model, slot);
    if (lane->first != NULL)
        return;
    lane_destroy(&model->kit.table, &model->kit.slab, lane);
    queue->lane = NULL;
}

/* The worker finishes the slot that it runs in this lane, and goes on with the next. */
static void run_one(struct queue *queue)
{
    struct klane_slot *slot = queue->lane->first;
    struct chain_link *next;

    while (slot != NULL && slot->control.state != SLOT_OUT)
        slot = slot->control.next;
    if (slot == NULL)
        return;
    next = chain_finish(&slot->chain);
    slot->control.state = SLOT_READY; /* here: has run, is not reported */
    if (next != NULL)
        slot_of_link(next)->control.state = SLOT_OUT;
}

/* One that has run is reported, first or second of them; a former one before all others. */
static void report_one(struct model *model, struct queue *queue)
{
    struct klane_slot *slot = queue->lane->first;
    uint64_t pass_over = slot->record.assignment == &model->former ? 0 : below(model, 2);

    for (; slot != NULL; slot = slot->control.next)
        if (slot->control.state == SLOT_READY && pass_over-- == 0)
            break;
    if (slot == NULL)
        return;
    if (slot->record.assignment == &model->kit.assignment)
        model->fates[slot->record.offset] = FINISHED;
    slot->control.state = SLOT_FINISHED;
    settle(model, queue);
}

/* What no worker reaches is dropped: it stays unfinished for ever. */
static void take_back(struct model *model, struct queue *queue)
{
    struct klane_slot *slot = lane_take_back(queue->lane), *next;

    for (; slot != NULL; slot = next) {
        next = slot->control.next;
        offsets_abandon(&model->kit.assignment.offsets, slot->record.offset);
        leave(model, slot);
    }
    settle(model, queue);
}

static void agree(const struct model *model)
{
    const struct offsets *offsets = &model->kit.assignment.offsets;
    const unsigned char *first = memchr(model->fates, UNFINISHED, (size_t)model->offset);
    int64_t base = first == NULL ? offsets->frontier : first - model->fates;

    assert_true(offsets_base(offsets) == base);
}

static void step(struct model *model, int number)
{
    struct queue *queue = &model->queues[below(model, LANES)];
    bool stuck = queue - model->queues < STUCK && number < STEPS * 3 / 4;
    uint64_t what = below(model, 100);

    if (what < 35)
        take_in(model, queue);
    else if (queue->lane == NULL || stuck)
        return;
    else if (number > STEPS * 9 / 10 && what == 99)
        take_back(model, queue);
    else if (what < 68)
        run_one(queue);
    else
        report_one(model, queue);
}

static void begin(struct model *model, uint64_t seed)
{
    *model = (struct model){.random = seed};
    lane_kit_init(&model->kit, STEPS, seed);
    /* So that the ring's numbers wrap around on the way. */
    model->kit.assignment.offsets.first = UINT32_MAX - 5000;
    model->kit.assignment.offsets.end = UINT32_MAX - 5000;
    for (uint32_t i = 0; i < LANES; i++) {
        model->queues[i].key = i;
        if (i % 3 == 0)
            append(model, &model->queues[i], i)->record.assignment = &model->former;
    }
}

static void finish_all(struct model *model)
{
    for (uint32_t i = 0; i < LANES; i++)
        while (model->queues[i].lane != NULL) {
            run_one(&model->queues[i]);
            report_one(model, &model->queues[i]);
        }
    agree(model);
    offsets_verify(&model->kit.assignment.offsets);
    assert_int_equal(model->kit.assignment.offsets.heads.count, 0);
    lane_kit_deinit(&model->kit);
}

static void offsets_agree_with_a_map_of_all_offsets(void **state)
{
    static struct model model;
    uint64_t random = check_seed(), rounds = check_rounds(4, 400);

    (void)state;

    for (uint64_t round = 0; round < rounds; round++) {
        begin(&model, check_random(&random));
        for (int number = 0; number < STEPS; number++) {
            step(&model, number);
            agree(&model);
            if (number % 512 == 0)
                offsets_verify(&model.kit.assignment.offsets);
        }
        finish_all(&model);
    }
    assert_true(rounds == 0 || check_marked("unfinished slot leaves the ring") > 0);
}

int main(void)
{
    const struct CMUnitTest offsets_properties[] = {
        cmocka_unit_test(offsets_agree_with_a_map_of_all_offsets),
    };

    return check_run(offsets_properties);
}
