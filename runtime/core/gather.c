/* SPDX-License-Identifier: Apache-2.0 */
#include "core/gather.h"

#include "base/assert.h"
#include "core/internal.h"

#include <stdlib.h>

bool core_gathers(struct core *core, const struct gather_rule *rules, uint32_t count)
{
    struct gather_route *routes = calloc(count, sizeof(*routes));

    if (routes == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++)
        routes[i].rule = rules[i];
    core->gather.routes = routes;
    return true;
}

void gather_deinit(struct gather *gather)
{
    free(gather->routes);
    gather->routes = NULL;
}

static struct gather_route *gathering_of(const struct core *core, const struct lane *lane)
{
    return &core->gather.routes[lane->held->record.route];
}

/* ---- in and out -------------------------------------------------------------------------- */

/* Its records from the held one on, as far as a batch has room. Those before it are finished, and
 * only on their way back. */
static uint32_t records_of(const struct lane *lane, uint32_t most)
{
    uint32_t count = lane->count;

    for (const struct klane_slot *slot = lane->first; slot != lane->held;
         slot = slot->control.next)
        count--;
    return count < most ? count : most;
}

static bool may_be_gathered(const struct lane *lane)
{
    const struct klane_slot *slot = lane->held;

    return (slot->record.has & (SLOT_HAS_WEIGHT | SLOT_HAS_LETTER)) == 0 &&
           slot->control.crashes == 0 && lane->partition->ready.open == READY_ALL &&
           !trial_asks_for_each(&slot->record.assignment->trial);
}

static void append(struct core *core, struct gather_route *gathering, struct lane *lane)
{
    if (gathering->lanes.first == NULL)
        TAILQ_INSERT_TAIL(&core->gather.filled, gathering, link);
    lane_list_append(&gathering->lanes, lane);
    gathering->records += lane->gathered;
    core->gather.lanes++;
    lane->gathered_ms = core->now_ms;
    lane->held->control.state = SLOT_GATHERED;
    lane->held->record.is_paid = true;
}

bool gather_add(struct core *core, struct lane *lane)
{
    struct gather_route *gathering = gathering_of(core, lane);
    const struct gather_rule *rule = &gathering->rule;

    if (rule->records_max == 0 || !may_be_gathered(lane))
        return false;
    lane->gathered = (uint16_t)records_of(lane, rule->records_max);
    if (!rule->many_lanes && lane->gathered >= rule->records_min)
        return false;
    append(core, gathering, lane);
    return true;
}

bool gather_takes(struct core *core, struct lane *lane)
{
    if (!lane->has_waited)
        return gather_add(core, lane);
    lane->has_waited = false;
    return false;
}

void gather_remove(struct core *core, struct lane *lane)
{
    struct gather_route *gathering = gathering_of(core, lane);

    KLANE_ASSERT(lane->held->control.state == SLOT_GATHERED);
    lane_list_remove(&gathering->lanes, lane);
    lane->seen_head = -1;
    gathering->records -= lane->gathered;
    core->gather.lanes--;
    if (gathering->lanes.first == NULL)
        TAILQ_REMOVE(&core->gather.filled, gathering, link);
}

void gather_again(struct core *core, struct lane *lane)
{
    struct klane_slot *slot = lane->held;

    gather_remove(core, lane);
    lane->held = NULL;
    slot->control.is_plain = false;
    hold_slot(core, slot);
}

void gather_stop(struct core *core, struct partition *partition)
{
    struct gather_route *each, *next_route;
    struct lane *lane, *next;

    for (each = TAILQ_FIRST(&core->gather.filled); each != NULL; each = next_route) {
        next_route = TAILQ_NEXT(each, link);
        for (lane = each->lanes.first; lane != NULL; lane = next) {
            next = lane->ready_next;
            if (lane->partition == partition)
                gather_again(core, lane);
        }
    }
}

/* It waits for nothing more but a worker. */
static void let_run(struct core *core, struct lane *lane)
{
    gather_remove(core, lane);
    lane->held->control.state = SLOT_READY;
    lane->has_waited = true;
    ready_add(&core->ready, lane);
}

void gather_grows(struct core *core, struct lane *lane)
{
    struct gather_route *gathering;

    if (lane->held->control.state != SLOT_GATHERED)
        return;
    gathering = gathering_of(core, lane);
    if (lane->gathered == gathering->rule.records_max)
        return;
    lane->gathered++;
    gathering->records++;
    if (!gathering->rule.many_lanes && lane->gathered >= gathering->rule.records_min)
        let_run(core, lane);
}

/* ---- when -------------------------------------------------------------------------------- */

static int64_t waits_until_ms(const struct gather_route *gathering)
{
    return gathering->lanes.first->gathered_ms + gathering->rule.wait_ms;
}

void gather_let_go(struct core *core)
{
    struct gather_route *each, *next;

    KLANE_MARK("what is gathered goes, as memory is full");
    for (each = TAILQ_FIRST(&core->gather.filled); each != NULL; each = next) {
        next = TAILQ_NEXT(each, link);
        if (each->rule.many_lanes)
            each->lanes.first->gathered_ms = core->now_ms - each->rule.wait_ms;
        while (!each->rule.many_lanes && each->lanes.first != NULL)
            let_run(core, each->lanes.first);
    }
}

void gather_tick(struct core *core)
{
    struct gather_route *each, *next;

    for (each = TAILQ_FIRST(&core->gather.filled); each != NULL; each = next) {
        next = TAILQ_NEXT(each, link);
        while (!each->rule.many_lanes && each->lanes.first != NULL &&
               waits_until_ms(each) <= core->now_ms)
            let_run(core, each->lanes.first);
    }
}

/* What is due already waits for workers to want it. */
int64_t gather_due_ms(const struct core *core)
{
    int64_t least = INT64_MAX;
    const struct gather_route *each;

    TAILQ_FOREACH(each, &core->gather.filled, link)
    {
        int64_t due_ms = waits_until_ms(each);

        if (each->rule.many_lanes &&
            (each->records >= each->rule.records_min || due_ms <= core->now_ms))
            continue;
        if (due_ms < least)
            least = due_ms;
    }
    return least;
}

/* ---- batches of many lanes --------------------------------------------------------------- */

static bool is_due(const struct core *core, const struct gather_route *gathering, bool is_wanted)
{
    const struct gather_rule *rule = &gathering->rule;

    if (!rule->many_lanes)
        return false;
    if (gathering->records >= rule->records_max)
        return true;
    return is_wanted &&
           (gathering->records >= rule->records_min || waits_until_ms(gathering) <= core->now_ms);
}

bool core_has_batch(const struct core *core)
{
    const struct gather_route *each;

    TAILQ_FOREACH(each, &core->gather.filled, link)
    if (is_due(core, each, true))
        return true;
    return false;
}

static struct klane_slot *form(struct core *core, struct gather_route *gathering)
{
    struct klane_slot *first = NULL, **end = &first;
    uint32_t most = gathering->rule.records_max, records = 0;
    struct lane *lane;

    /* Each has one record at least, so that there are no more lanes than a batch has room for. */
    while (records < most && (lane = gathering->lanes.first) != NULL) {
        struct klane_slot *slot = lane->held;

        records += lane->gathered;
        gather_remove(core, lane);
        lane->held = NULL;
        slot->control.state = SLOT_OUT;
        *end = slot;
        end = &slot->back.with;
    }
    *end = NULL;
    return first;
}

struct klane_slot *core_next_batch(struct core *core, bool is_wanted)
{
    struct gather_route *each;

    TAILQ_FOREACH(each, &core->gather.filled, link)
    {
        if (!is_due(core, each, is_wanted))
            continue;
        /* The others are next. */
        TAILQ_REMOVE(&core->gather.filled, each, link);
        TAILQ_INSERT_TAIL(&core->gather.filled, each, link);
        return form(core, each);
    }
    return NULL;
}

#ifdef KLANE_TESTING
void gather_verify(const struct gather *gather)
{
    const struct gather_route *each;
    uint32_t lanes = 0;

    TAILQ_FOREACH(each, &gather->filled, link)
    {
        uint64_t records = 0;

        KLANE_ASSERT(each->lanes.first != NULL);
        for (const struct lane *lane = each->lanes.first; lane; lane = lane->ready_next) {
            KLANE_ASSERT(lane->held->control.state == SLOT_GATHERED);
            KLANE_ASSERT(lane->gathered >= 1);
            records += lane->gathered;
            lanes++;
        }
        KLANE_ASSERT(records == each->records);
    }
    KLANE_ASSERT(lanes == gather->lanes);
}
#endif
