/* SPDX-License-Identifier: Apache-2.0 */
#include "core/schedule.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/hash.h"
#include "core/internal.h"
#include "core/parked.h"

#include <stdlib.h>
#include <string.h>

/* Where more keys are held, looking for one only gets slower. */
#define KEYS_EXPECTED 65536

/* A key of a topic that is held. */
struct schedule_key {
    struct table_node node;
    struct schedule_topic *topic;
    uint32_t size;
    unsigned char bytes[];
};

/* ---- what is held ------------------------------------------------------------------------ */

static struct schedule_topic *topic_find(const struct core *core, const char *name)
{
    struct schedule_topic *topic = core->schedule.topics;

    while (topic != NULL && strcmp(topic->name, name) != 0)
        topic = topic->next;
    return topic;
}

/* The topic's entry, which is made if there is none. NULL: no memory. */
static struct schedule_topic *topic_enter(struct core *core, const char *name)
{
    struct schedule_topic *topic = topic_find(core, name);
    size_t size = strlen(name) + 1;

    if (topic != NULL)
        return topic;
    topic = malloc(sizeof(*topic) + size);
    if (topic == NULL)
        return NULL;
    *topic = (struct schedule_topic){.next = core->schedule.topics};
    memcpy(topic->name, name, size);
    core->schedule.topics = topic;
    return topic;
}

/* Nothing may be held of it any more that keeps its entry. */
static void topic_leave(struct core *core, struct schedule_topic *topic)
{
    struct schedule_topic **link = &core->schedule.topics;

    if (topic->is_held || topic->keys > 0)
        return;
    while (*link != topic)
        link = &(*link)->next;
    *link = topic->next;
    free(topic);
}

static struct schedule_key *key_of_node(struct table_node *node)
{
    return (struct schedule_key *)(void *)((char *)node - offsetof(struct schedule_key, node));
}

static struct schedule_key *key_find(const struct core *core, const char *topic, const void *key,
                                     uint32_t key_size)
{
    const struct table *keys = &core->schedule.keys;
    struct table_node *node;

    if (keys->count == 0)
        return NULL;
    node = table_first(keys, hash_bytes(key, key_size, core->config.seed));
    for (; node != NULL; node = table_next(node)) {
        struct schedule_key *held = key_of_node(node);

        if (held->size == key_size && memcmp(held->bytes, key, key_size) == 0 &&
            strcmp(held->topic->name, topic) == 0)
            return held;
    }
    return NULL;
}

bool schedule_stops(const struct core *core, const struct lane_name *name)
{
    const struct partition *partition = name->partition;

    if (partition->stops == 0 || partition->stops & STOPS_ALL || name->kind != LANE_OF_KEY)
        return partition->stops & STOPS_ALL;
    return key_find(core, partition->topic->name, name->key, name->key_size) != NULL;
}

bool core_is_held(const struct core *core, const struct klane_slot *slot)
{
    struct lane_name name;

    if (slot->record.assignment->partition->stops == 0 || slot_frees_state(slot))
        return false;
    name = parked_name_of_slot(slot, (enum lane_kind)slot->control.lane->kind);
    return schedule_stops(core, &name);
}

static void key_free(struct table_node *node, void *context)
{
    (void)context;
    free(key_of_node(node));
}

void schedule_deinit(struct core *core)
{
    struct schedule *schedule = &core->schedule;

    table_each(&schedule->keys, key_free, NULL);
    table_deinit(&schedule->keys);
    while (schedule->topics != NULL) {
        struct schedule_topic *topic = schedule->topics;

        schedule->topics = topic->next;
        free(topic);
    }
}

void schedule_partition(struct core *core, struct partition *partition)
{
    const struct schedule_topic *topic = topic_find(core, partition->topic->name);

    partition->stops = 0;
    if (core->schedule.is_everything_held || (topic != NULL && topic->is_held))
        partition->stops |= STOPS_ALL;
    if (topic != NULL && topic->keys > 0)
        partition->stops |= STOPS_KEYS;
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
    struct lane *lane = lane_of_node(node);

    if (lane->partition->stops & STOPS_ALL)
        ask_for_each(context, lane);
}

/* Lanes of single records are not in the table. */
static void stop_singles(struct partition *partition)
{
    for (struct lane *lane = partition->ready.list.first; lane; lane = lane->ready_next)
        lane->held->control.is_plain = false;
}

static struct lane *lane_of_key(const struct core *core, struct partition *partition,
                                const void *key, uint32_t key_size)
{
    const struct lane_name name = {partition, LANE_OF_KEY, key, key_size};
    uint64_t hash;

    return lane_find(&core->lanes, &name, &hash);
}

/* ---- by hand ----------------------------------------------------------------------------- */

static bool key_hold(struct core *core, struct schedule_topic *topic, const void *key,
                     uint32_t key_size)
{
    struct table *keys = &core->schedule.keys;
    struct schedule_key *held = malloc(sizeof(*held) + key_size);

    if (held == NULL || (keys->segments == NULL && !table_init(keys, KEYS_EXPECTED))) {
        free(held);
        return false;
    }
    held->topic = topic;
    held->size = key_size;
    if (key_size > 0)
        memcpy(held->bytes, key, key_size);
    table_add(keys, &held->node, hash_bytes(key, key_size, core->config.seed));
    topic->keys++;
    return true;
}

static void key_let_go(struct core *core, struct schedule_key *key)
{
    key->topic->keys--;
    table_remove(&core->schedule.keys, &key->node);
    free(key);
}

/* Of all topics where name is NULL. */
static bool is_of(const struct partition *partition, const char *name)
{
    return name == NULL || strcmp(partition->topic->name, name) == 0;
}

static void hold_all(struct core *core, const char *topic)
{
    for (struct partition *each = core->partitions; each != NULL; each = each->next) {
        if (!is_of(each, topic))
            continue;
        schedule_partition(core, each);
        stop_singles(each);
    }
    gather_stop(core);
    /* Once, however many partitions there are; what was held before is asked for anyway. */
    table_each(&core->lanes.table, stop_lane, core);
}

static void hold_key(struct core *core, const char *topic, const void *key, uint32_t key_size)
{
    for (struct partition *each = core->partitions; each != NULL; each = each->next) {
        struct lane *lane;

        if (!is_of(each, topic))
            continue;
        schedule_partition(core, each);
        lane = lane_of_key(core, each, key, key_size);
        if (lane != NULL)
            ask_for_each(core, lane);
    }
}

bool core_hold(struct core *core, const char *topic, const void *key, uint32_t key_size)
{
    struct schedule *schedule = &core->schedule;
    struct schedule_topic *entry;

    if (topic == NULL) {
        if (!schedule->is_everything_held) {
            schedule->is_everything_held = true;
            hold_all(core, NULL);
        }
        return true;
    }
    if (key != NULL && key_find(core, topic, key, key_size) != NULL)
        return true;
    entry = topic_enter(core, topic);
    if (entry == NULL)
        return false;
    if (key == NULL) {
        if (!entry->is_held) {
            entry->is_held = true;
            hold_all(core, topic);
        }
        return true;
    }
    if (!key_hold(core, entry, key, key_size)) {
        topic_leave(core, entry);
        return false;
    }
    hold_key(core, topic, key, key_size);
    return true;
}

static bool is_scheduled(const struct lane *lane)
{
    return lane->held->control.state == SLOT_SCHEDULED;
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

/* Takes it out of what is held. False: it was not. */
static bool let_go(struct core *core, const char *topic, const void *key, uint32_t key_size)
{
    struct schedule *schedule = &core->schedule;
    struct schedule_topic *entry;
    struct schedule_key *held;

    if (topic == NULL) {
        bool was_held = schedule->is_everything_held;

        schedule->is_everything_held = false;
        return was_held;
    }
    entry = topic_find(core, topic);
    held = key == NULL ? NULL : key_find(core, topic, key, key_size);
    if (entry == NULL || (key == NULL ? !entry->is_held : held == NULL))
        return false;
    if (held != NULL)
        key_let_go(core, held);
    else
        entry->is_held = false;
    topic_leave(core, entry);
    return true;
}

/* What waits there is asked for again: it may still be held by another call. */
static void lane_goes_on(struct core *core, struct lane *lane)
{
    if (lane != NULL && lane->held != NULL && is_scheduled(lane) &&
        lane_waits_until(&core->timers, lane) == INT64_MAX)
        hold_slot(core, take_from_timers(core, lane));
}

bool core_release(struct core *core, const char *topic, const void *key, uint32_t key_size)
{
    struct lane *lane = NULL, *next;

    if (!let_go(core, topic, key, key_size))
        return false;
    for (struct partition *each = core->partitions; each != NULL; each = each->next) {
        if (!is_of(each, topic))
            continue;
        schedule_partition(core, each);
        if (key != NULL)
            lane_goes_on(core, lane_of_key(core, each, key, key_size));
    }
    if (key == NULL)
        lane = lanes_that_wait(core, INT64_MAX, is_scheduled, UINT32_MAX);
    for (; lane != NULL; lane = next) {
        next = lane->ready_next;
        lane_goes_on(core, lane);
    }
    release_parked(core);
    return true;
}
