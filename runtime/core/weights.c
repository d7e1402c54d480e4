/* SPDX-License-Identifier: Apache-2.0 */
#include "core/weights.h"

#include "base/assert.h"
#include "core/internal.h"

static bool fits(const struct weights *weights, uint64_t weight)
{
    return weights->out == 0 || (weight <= weights->max && weights->out <= weights->max - weight);
}

static void pay(struct core *core, struct klane_slot *slot, uint64_t weight)
{
    struct klane_assignment *assignment = slot->record.assignment;

    core->weights.out += weight;
    slot->record.is_paid = true;
    if (weight <= core->weights.max)
        return;
    KLANE_MARK("a weight above the budget runs alone");
    assignment->over_budget.offset = slot->record.offset;
    assignment->over_budget.bytes = weight;
    assignment->over_budget.why = OVER_BY_WEIGHT;
    notice_add(core, assignment, NOTICE_OVER_BUDGET);
}

bool weights_pay(struct core *core, struct lane *lane)
{
    struct weights *weights = &core->weights;
    struct klane_slot *slot = lane->held;
    uint64_t weight;

    if ((slot->record.has & SLOT_HAS_WEIGHT) == 0)
        slot->record.is_paid = true;
    if (slot->record.is_paid)
        return true;
    weight = slot_weight(slot);
    if (weights->line.first == NULL && fits(weights, weight)) {
        pay(core, slot, weight);
        return true;
    }
    KLANE_MARK("a record waits for its weight");
    slot->control.state = SLOT_HEAVY;
    lane_list_append(&weights->line, lane);
    weights->waiting++;
    return false;
}

static void leave(struct weights *weights, struct lane *lane)
{
    KLANE_ASSERT(lane->held->control.state == SLOT_HEAVY);
    lane_list_remove(&weights->line, lane);
    weights->waiting--;
}

static void let_on(struct core *core)
{
    struct weights *weights = &core->weights;
    struct lane *lane;

    while ((lane = weights->line.first) != NULL && fits(weights, slot_weight(lane->held))) {
        struct klane_slot *slot = lane->held;

        leave(weights, lane);
        pay(core, slot, slot_weight(slot));
        slot->control.state = SLOT_READY;
        if (slot->control.on_trial)
            ready_add_open(&core->ready, lane);
        else
            ready_add(&core->ready, lane);
    }
}

void weights_pay_back(struct core *core, struct klane_slot *slot)
{
    uint64_t weight;

    if ((slot->record.has & SLOT_HAS_WEIGHT) == 0 || !slot->record.is_paid)
        return;
    weight = slot_weight(slot);
    KLANE_ASSERT(core->weights.out >= weight);
    core->weights.out -= weight;
    slot->record.is_paid = false;
    let_on(core);
}

void weights_forget(struct core *core, struct lane *lane)
{
    leave(&core->weights, lane);
    let_on(core);
}
