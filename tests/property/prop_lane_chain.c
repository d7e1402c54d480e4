/* SPDX-License-Identifier: Apache-2.0 */
/* A lane and its chain, with one worker on the same thread, against an array of records: each is
 * run once and in order, or taken back, never both; whatever is appended, cut, put back, retried
 * and reported when.
 *
 * In the array stand, in this order, records that have run, that the worker has (several, if it
 * took a batch), and that are queued or held by control. */
#include "lib/lane_kit.h"

enum { RECORDS_MAX = 40, BATCH_MAX = 4, STEPS = 20000 };

enum stage { RUN, WITH_WORKER, QUEUED };

struct model {
    struct lane_kit kit;
    struct lane *lane; /* NULL: it has no record */
    struct entry {
        struct klane_slot *slot;
        enum stage stage;
    } entries[RECORDS_MAX];
    uint32_t count;
    uint64_t random;
    int64_t offset;
    int64_t last_run;
};

static uint64_t below(struct model *model, uint64_t limit)
{
    return check_random_below(&model->random, limit);
}

static uint32_t first_in(const struct model *model, enum stage stage)
{
    uint32_t index = 0;

    while (index < model->count && model->entries[index].stage < stage)
        index++;
    return index;
}

static uint32_t count_in(const struct model *model, enum stage stage)
{
    return first_in(model, stage + 1) - first_in(model, stage);
}

/* The first queued record is handed to the worker; slot is what klane says it is. */
static void hand_over(struct model *model, struct klane_slot *slot)
{
    struct entry *entry = &model->entries[first_in(model, QUEUED)];

    assert_ptr_equal(slot, entry->slot);
    entry->stage = WITH_WORKER;
}

static void append(struct model *model)
{
    struct lane_name name = {&model->kit.partition, LANE_OF_KEY, "key", 3};
    bool idle = first_in(model, WITH_WORKER) == model->count;
    struct klane_slot *slot;

    if (model->count == RECORDS_MAX)
        return;
    slot = lane_kit_take_in(&model->kit, &name, model->offset++);
    model->lane = slot->control.lane;
    model->entries[model->count++] = (struct entry){slot, QUEUED};
    assert_int_equal(slot->control.state, idle ? SLOT_OUT : SLOT_QUEUED);
    if (idle)
        model->lane->held = slot;
}

/* Control hands the slot that it holds to the worker: first start, or another attempt. */
static void start(struct model *model)
{
    struct klane_slot *held = model->lane->held;

    model->lane->held = NULL;
    hand_over(model, held);
}

static void take_another(struct model *model)
{
    struct entry *last = &model->entries[first_in(model, QUEUED) - 1];
    struct chain_link *next = chain_take(&last->slot->chain);

    assert_true((next != NULL) == (first_in(model, QUEUED) < model->count));
    if (next != NULL)
        hand_over(model, slot_of_link(next));
}

static void finish_one(struct model *model)
{
    struct entry *entry = &model->entries[first_in(model, WITH_WORKER)];
    bool last = count_in(model, WITH_WORKER) == 1;
    struct chain_link *next = chain_finish(&entry->slot->chain);

    assert_true(entry->slot->record.offset > model->last_run);
    model->last_run = entry->slot->record.offset;
    entry->stage = RUN;
    if (!last)
        assert_ptr_equal(next, CHAIN_TAKEN);
    else if (first_in(model, QUEUED) == model->count)
        assert_null(next);
    else
        hand_over(model, slot_of_link(next));
}

/* The worker puts back what it has behind so many records. */
static void put_back(struct model *model, uint32_t keep)
{
    uint32_t first = first_in(model, WITH_WORKER) + keep;

    for (uint32_t i = first_in(model, QUEUED) - 1; i >= first; i--) {
        chain_put_back(&model->entries[i - 1].slot->chain, &model->entries[i].slot->chain);
        model->entries[i].stage = QUEUED;
    }
}

/* The worker gives its first record back, for which control holds it, and those behind it. */
static void retry(struct model *model)
{
    struct entry *entry = &model->entries[first_in(model, WITH_WORKER)];

    put_back(model, 1);
    entry->stage = QUEUED;
    model->lane->held = entry->slot;
}

static void forget(struct model *model, uint32_t index)
{
    model->count--;
    for (; index < model->count; index++)
        model->entries[index] = model->entries[index + 1];
}

static void forget_lane_if_empty(struct model *model)
{
    if (model->count > 0)
        return;
    lane_destroy(&model->kit.table, &model->kit.slab, model->lane);
    model->lane = NULL;
}

/* Any record that has run is reported; the array is kept in its order of records. */
static void report(struct model *model)
{
    struct klane_slot *slot;
    uint32_t index, runs = 0;

    for (index = 0; index < first_in(model, WITH_WORKER); index++)
        if (model->entries[index].slot->control.state != SLOT_FINISHED)
            runs++;
    if (runs == 0)
        return;
    runs = (uint32_t)below(model, runs);
    for (index = 0;; index++)
        if (model->entries[index].slot->control.state != SLOT_FINISHED && runs-- == 0)
            break;
    model->entries[index].slot->control.state = SLOT_FINISHED;
    while (model->count > 0 && model->entries[0].slot->control.state == SLOT_FINISHED) {
        slot = lane_take_finished(model->lane);
        assert_ptr_equal(slot, model->entries[0].slot);
        slot_destroy(&model->kit.slab, slot);
        forget(model, 0);
    }
    assert_null(lane_take_finished(model->lane));
    forget_lane_if_empty(model);
}

static void take_back(struct model *model)
{
    struct klane_slot *slot = lane_take_back(model->lane), *next;
    uint32_t index = first_in(model, QUEUED);

    while (index < model->count) {
        assert_ptr_equal(slot, model->entries[index].slot);
        next = slot->control.next;
        slot_destroy(&model->kit.slab, slot);
        forget(model, index);
        slot = next;
    }
    assert_null(slot);
    assert_null(model->lane->held);
    forget_lane_if_empty(model);
}

static void step(struct model *model)
{
    uint64_t what = below(model, 100);

    if (what < 40 || model->lane == NULL)
        append(model);
    else if (what < 42)
        take_back(model);
    else if (what < 65)
        report(model);
    else if (model->lane->held != NULL)
        start(model);
    else if (count_in(model, WITH_WORKER) == 0)
        return;
    else if (what < 72)
        retry(model);
    else if (what < 74)
        put_back(model, 1 + (uint32_t)below(model, count_in(model, WITH_WORKER)));
    else if (what < 84 && count_in(model, WITH_WORKER) < BATCH_MAX)
        take_another(model);
    else
        finish_one(model);
}

static void agree(const struct model *model)
{
    const struct klane_slot *slot = model->lane == NULL ? NULL : model->lane->first;

    assert_int_equal(model->kit.table.table.count, model->lane != NULL);
    for (uint32_t i = 0; i < model->count; i++) {
        assert_ptr_equal(slot, model->entries[i].slot);
        slot = slot->control.next;
    }
    assert_null(slot);
    if (model->lane == NULL)
        return;
    assert_int_equal(model->lane->count, model->count);
    assert_ptr_equal(model->lane->last, model->entries[model->count - 1].slot);
}

static void chain_runs_each_record_once_and_in_order(void **state)
{
    static struct model model;
    uint64_t random = check_seed(), rounds = check_rounds(20, 5000);

    (void)state;

    for (uint64_t round = 0; round < rounds; round++) {
        model = (struct model){.random = check_random(&random), .last_run = -1};
        lane_kit_init(&model.kit, RECORDS_MAX, 1);
        for (int number = 0; number < STEPS; number++) {
            step(&model);
            agree(&model);
        }
        while (model.lane != NULL) {
            take_back(&model);
            while (model.lane != NULL && count_in(&model, WITH_WORKER) > 0)
                finish_one(&model);
            while (model.lane != NULL)
                report(&model);
        }
        lane_kit_deinit(&model.kit);
    }
    assert_true(rounds == 0 || check_marked("cut finds the link passed on") > 0);
}

int main(void)
{
    const struct CMUnitTest lane_chain_properties[] = {
        cmocka_unit_test(chain_runs_each_record_once_and_in_order),
    };

    return check_run(lane_chain_properties);
}
