/* SPDX-License-Identifier: Apache-2.0 */
#include "core/gather.h"

#include "base/assert.h"
#include "core/internal.h"
#include "core/parked.h"

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

/* From the held one on. Those before it are finished, and only on their way back. */
struct rest {
    uint64_t bytes;
    uint32_t count;
};

static struct rest rest_of(const struct lane *lane)
{
    struct rest rest = {lane->bytes, lane->count};

    for (const struct klane_slot *slot = lane->first; slot != lane->held;
         slot = slot->control.next) {
        rest.bytes -= slot_large_bytes(slot);
        rest.count--;
    }
    return rest;
}

/* More of it is in the log, and comes when little of it is left here. */
static bool is_fed_later(const struct core *core, const struct lane *lane, struct rest rest)
{
    const struct klane_slot *slot = lane->held;
    const struct klane_assignment *assignment = slot->record.assignment;
    const struct parked *parked;

    if (assignment->parking.parked.count == 0)
        return false;
    parked = parked_find(core, assignment, parking_fingerprint(assignment, slot),
                         (enum lane_kind)lane->kind);
    return parked != NULL && !parked->takes_part && !parked_has_little(parked, rest.count);
}

/* It has its quota, or will not get more before it is further below that. */
static bool is_as_long_as_it_gets(const struct core *core, const struct lane *lane)
{
    struct rest rest = rest_of(lane);

    if (lane->over_quota)
        return !quota_is_back(core, rest.count, rest.bytes);
    return quota_is_over(core, rest.count, rest.bytes) || is_fed_later(core, lane, rest);
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
    gathering->grown += lane->is_grown;
    core->gather.lanes++;
    lane->gathered_ms = core->now_ms;
    lane->held->control.state = SLOT_GATHERED;
    lane->held->record.is_paid = true;
}

bool gather_add(struct core *core, struct lane *lane)
{
    struct gather_route *gathering = gathering_of(core, lane);
    const struct gather_rule *rule = &gathering->rule;
    uint32_t count;
    bool is_grown;

    if (rule->records_max == 0 || !may_be_gathered(lane))
        return false;
    count = rest_of(lane).count;
    lane->gathered = (uint16_t)(count < rule->records_max ? count : rule->records_max);
    is_grown = count < rule->records_min && is_as_long_as_it_gets(core, lane);
    if (!rule->many_lanes && (count >= rule->records_min || is_grown))
        return false;
    lane->is_grown = is_grown;
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
    gathering->grown -= lane->is_grown;
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

void gather_stop(struct core *core)
{
    struct gather_route *each, *next_route;
    struct lane *lane, *next;

    for (each = TAILQ_FIRST(&core->gather.filled); each != NULL; each = next_route) {
        next_route = TAILQ_NEXT(each, link);
        for (lane = each->lanes.first; lane != NULL; lane = next) {
            next = lane->ready_next;
            if (lane->partition->stops & STOPS_ALL)
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
    if (lane->gathered < gathering->rule.records_min && !lane_is_full(core, lane))
        return;
    if (!gathering->rule.many_lanes) {
        let_run(core, lane);
    } else if (!lane->is_grown) {
        lane->is_grown = true;
        gathering->grown++;
    }
}

/* ---- when -------------------------------------------------------------------------------- */

static int64_t waits_until_ms(const struct gather_route *gathering)
{
    return gathering->lanes.first->gathered_ms + gathering->rule.wait_ms;
}

/* A batch of many lanes waits for nothing more but that workers want it. */
static bool has_enough(const struct core *core, const struct gather_route *gathering)
{
    return gathering->records >= gathering->rule.records_min || gathering->grown > 0 ||
           waits_until_ms(gathering) <= core->now_ms;
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
        if (each->rule.many_lanes && has_enough(core, each))
            continue;
        if (waits_until_ms(each) < least)
            least = waits_until_ms(each);
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
    return is_wanted && has_enough(core, gathering);
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
static void verify_lane(const struct core *core, const struct gather_route *gathering,
                        const struct lane *lane)
{
    KLANE_ASSERT(lane->held->control.state == SLOT_GATHERED);
    KLANE_ASSERT(lane->gathered >= 1);
    /* It would wait for what does not come. */
    KLANE_ASSERT(lane->is_grown || lane->gathered >= gathering->rule.records_min ||
                 !quota_is_over(core, rest_of(lane).count, 0));
}

void gather_verify(const struct core *core)
{
    const struct gather *gather = &core->gather;
    const struct gather_route *each;
    uint32_t lanes = 0;

    TAILQ_FOREACH(each, &gather->filled, link)
    {
        uint64_t records = 0;
        uint32_t grown = 0;

        KLANE_ASSERT(each->lanes.first != NULL);
        for (const struct lane *lane = each->lanes.first; lane; lane = lane->ready_next) {
            verify_lane(core, each, lane);
            records += lane->gathered;
            grown += lane->is_grown;
            lanes++;
        }
        KLANE_ASSERT(records == each->records);
        KLANE_ASSERT(grown == each->grown);
    }
    KLANE_ASSERT(lanes == gather->lanes);
}
#endif
