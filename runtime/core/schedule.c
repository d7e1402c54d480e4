/* SPDX-License-Identifier: Apache-2.0 */
#include "core/schedule.h"

#include "base/assert.h"
#include "base/clock.h"
#include "core/internal.h"
#include "core/parked.h"

#include <stdlib.h>
#include <string.h>

/* ---- what is held ------------------------------------------------------------------------ */

static bool is_same(const struct schedule_hold *hold, const char *topic, const void *key,
                    uint32_t key_size)
{
    if ((hold->topic == NULL) != (topic == NULL) || (hold->key == NULL) != (key == NULL))
        return false;
    if (key != NULL && (hold->key_size != key_size || memcmp(hold->key, key, key_size) != 0))
        return false;
    return topic == NULL || strcmp(hold->topic, topic) == 0;
}

static struct schedule_hold **find(struct core *core, const char *topic, const void *key,
                                   uint32_t key_size)
{
    struct schedule_hold **link = &core->held_by_hand;

    while (*link != NULL && !is_same(*link, topic, key, key_size))
        link = &(*link)->next;
    return link;
}

bool schedule_stops(const struct core *core, const struct lane_name *name)
{
    const struct partition *partition = name->partition;
    const struct schedule_hold *hold;

    if (partition->stops == 0 || partition->stops & STOPS_ALL || name->kind != LANE_OF_KEY)
        return partition->stops & STOPS_ALL;
    for (hold = core->held_by_hand; hold != NULL; hold = hold->next)
        if (hold->key != NULL && is_same(hold, partition->topic->name, name->key, name->key_size))
            return true;
    return false;
}

bool core_is_held(const struct core *core, const struct klane_slot *slot)
{
    struct lane_name name;

    if (slot->record.assignment->partition->stops == 0 || slot_frees_state(slot))
        return false;
    name = parked_name_of_slot(slot, (enum lane_kind)slot->control.lane->kind);
    return schedule_stops(core, &name);
}

static void hold_free(struct schedule_hold *hold)
{
    if (hold == NULL)
        return;
    free(hold->topic);
    free(hold->key);
    free(hold);
}

void schedule_deinit(struct core *core)
{
    while (core->held_by_hand != NULL) {
        struct schedule_hold *hold = core->held_by_hand;

        core->held_by_hand = hold->next;
        hold_free(hold);
    }
}

void schedule_partition(struct core *core, struct partition *partition)
{
    const struct schedule_hold *hold;

    partition->stops = 0;
    for (hold = core->held_by_hand; hold != NULL; hold = hold->next)
        if (hold->topic == NULL || strcmp(hold->topic, partition->topic->name) == 0)
            partition->stops |= hold->key != NULL ? STOPS_KEYS : STOPS_ALL;
    stops_check(core, partition);
}

/* ---- putting aside ----------------------------------------------------------------------- */

bool schedule_puts_aside(struct core *core, struct lane *lane)
{
    struct klane_slot *slot = lane->held;
    int64_t due_ms = slot_due_ms(slot) - core->commit.writer.wall_ms;
    bool is_stopped = core_is_held(core, slot);

    if (!is_stopped && ((slot->record.has & SLOT_HAS_DUE) == 0 || due_ms <= core->now_ms))
        return false;
    weights_pay_back(core, slot);
    trial_back(core, slot);
    slot_is_to_ask(slot);
    slot->control.state = SLOT_SCHEDULED;
    if (due_ms > clock_after(core->now_ms, WALL_LOOK_MS))
        due_ms = clock_after(core->now_ms, WALL_LOOK_MS);
    heap_set(&core->timers, &lane->timer, is_stopped ? INT64_MAX : due_ms);
    return true;
}

struct stopping {
    struct core *core;
    struct partition *partition;
};

/* What workers would pass on to each other is to be asked for. */
static void ask_for_each(struct core *core, struct lane *lane)
{
    struct klane_slot *slot, *next;

    if (lane->held != NULL)
        lane->held->control.is_plain = false;
    if (lane->held != NULL && lane->held->control.state == SLOT_GATHERED)
        gather_again(core, lane);
    for (slot = lane_shorten(lane, 1); slot != NULL; slot = next) {
        next = slot->control.next;
        slot_is_to_ask(slot);
        if (lane_append(lane, slot))
            hold_slot(core, slot);
    }
}

static void stop_lane(struct table_node *node, void *context)
{
    const struct stopping *stopping = context;
    struct lane *lane = lane_of_node(node);

    if (lane->partition == stopping->partition)
        ask_for_each(stopping->core, lane);
}

/* Lanes of single records are not in the table. */
static void stop_partition(struct core *core, struct partition *partition)
{
    struct stopping stopping = {core, partition};

    for (struct lane *lane = partition->ready.list.first; lane; lane = lane->ready_next)
        lane->held->control.is_plain = false;
    gather_stop(core, partition);
    table_each(&core->lanes.table, stop_lane, &stopping);
}

static void stop_key(struct core *core, struct partition *partition,
                     const struct schedule_hold *hold)
{
    const struct lane_name name = {partition, LANE_OF_KEY, hold->key, hold->key_size};
    uint64_t hash;
    struct lane *lane = lane_find(&core->lanes, &name, &hash);

    if (lane != NULL)
        ask_for_each(core, lane);
}

/* ---- by hand ----------------------------------------------------------------------------- */

static struct schedule_hold *hold_make(const char *topic, const void *key, uint32_t key_size)
{
    struct schedule_hold *hold = calloc(1, sizeof(*hold));

    if (hold == NULL)
        return NULL;
    hold->topic = topic == NULL ? NULL : strdup(topic);
    hold->key = key == NULL ? NULL : malloc(key_size + 1);
    hold->key_size = key_size;
    if ((topic != NULL && hold->topic == NULL) || (key != NULL && hold->key == NULL)) {
        hold_free(hold);
        return NULL;
    }
    if (key != NULL)
        memcpy(hold->key, key, key_size);
    return hold;
}

bool core_hold(struct core *core, const char *topic, const void *key, uint32_t key_size)
{
    struct schedule_hold **link = find(core, topic, key, key_size);

    if (*link != NULL)
        return true;
    *link = hold_make(topic, key, key_size);
    if (*link == NULL)
        return false;
    for (struct partition *each = core->partitions; each != NULL; each = each->next) {
        if (topic != NULL && strcmp(each->topic->name, topic) != 0)
            continue;
        schedule_partition(core, each);
        if (key == NULL)
            stop_partition(core, each);
        else
            stop_key(core, each, *link);
    }
    return true;
}

static bool is_stopped(const struct core *core, const struct lane *lane)
{
    return lane->held->control.state == SLOT_SCHEDULED &&
           lane_waits_until(&core->timers, lane) == INT64_MAX;
}

/* Their heads were held when they were parked: passes may bring them. */
static void release_parked(struct core *core)
{
    struct heap *timers = &core->parked_timers;

    for (uint32_t i = 0; i < timers->count;) {
        struct parked *parked = parked_of_timer(timers->entries[i].node);

        if (!parked->is_held) {
            i++;
            continue;
        }
        parked_waits_no_more(core, parked);
        parked_fit_check(parked);
    }
}

bool core_release(struct core *core, const char *topic, const void *key, uint32_t key_size)
{
    struct schedule_hold **link = find(core, topic, key, key_size);
    struct schedule_hold *hold = *link;
    struct lane *lane, *next;

    if (hold == NULL)
        return false;
    *link = hold->next;
    hold_free(hold);
    for (struct partition *each = core->partitions; each != NULL; each = each->next)
        schedule_partition(core, each);
    for (lane = lanes_that_wait(core, is_stopped, UINT32_MAX); lane != NULL; lane = next) {
        next = lane->ready_next;
        hold_slot(core, take_from_timers(core, lane));
    }
    release_parked(core);
    return true;
}
