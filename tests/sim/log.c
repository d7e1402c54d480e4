/* SPDX-License-Identifier: Apache-2.0 */
/* The log: its records, and what befalls them. */
#include "sim/world.h"

#include "base/assert.h"
#include "sim/by_offset.h"

#include <stdlib.h>
#include <string.h>

#define KEY_SIZE 6U
#define LANES_OF_KEY_FUNCTION 7U
#define PATTERN_SIZE 700000U

/* Of records that are looked at or taken by one mishap. */
#define REACH 64U

static unsigned char pattern[PATTERN_SIZE];

/* Key 0 is none; the next are the awkward ones: empty, and of zero bytes of several lengths. */
static const void *key_bytes(uint32_t key, uint32_t *size)
{
    static unsigned char keys[KEYS_MAX][KEY_SIZE];

    *size = key < 5 ? key - (key > 0) : KEY_SIZE;
    if (key == 0)
        return NULL;
    if (key >= 5) {
        keys[key][0] = 'k';
        keys[key][KEY_SIZE - 2] = (unsigned char)(key >> 8);
        keys[key][KEY_SIZE - 1] = (unsigned char)key;
    }
    return keys[key];
}

static enum lane_kind kind_of(const struct plan *plan, uint32_t key)
{
    if (plan->order != LANE_OF_KEY || plan->key_function || key != 0)
        return plan->order;
    return plan->null_keys_in_order ? LANE_OF_NULL_KEYS : LANE_OF_RECORD;
}

/* A key function's keys are bytes of the pattern, one for each lane. */
static const void *lane_key_bytes(uint32_t key, uint32_t *size)
{
    *size = key % LANES_OF_KEY_FUNCTION;
    return pattern + 1;
}

static uint32_t lane_of(struct world *world, uint16_t partition, uint32_t key)
{
    enum lane_kind kind = kind_of(&world->plan, key);
    const void *bytes = NULL;
    uint32_t size = 0;

    if (kind == LANE_OF_RECORD)
        return 0;
    if (kind == LANE_OF_KEY)
        bytes = world->plan.key_function ? lane_key_bytes(key, &size) : key_bytes(key, &size);
    return history_lane(world->history, partition, (uint8_t)kind, bytes, size);
}

static uint32_t draw_key(struct world *world)
{
    uint32_t key = random_below(world, world->plan.keys);

    for (int i = 0; world->plan.skewed && i < 3; i++) {
        uint32_t other = random_below(world, world->plan.keys);

        key = other < key ? other : key;
    }
    /* One key alone shall not always be the one that is no key. */
    return world->plan.keys < 5 ? (key + (uint32_t)world->plan.seed) % 6 : key;
}

void log_make(struct world *world)
{
    const struct plan *plan = &world->plan;
    uint32_t share = plan->records / plan->partitions + 1;

    for (uint32_t i = 0; i < PATTERN_SIZE; i++)
        pattern[i] = (unsigned char)(i * 31 + (i >> 8));
    for (uint16_t p = 0; p < plan->partitions; p++) {
        struct log_partition *partition = &world->log[p];
        int64_t offset = random_below(world, 2) ? 0 : random_below(world, 1000);

        *partition =
            (struct log_partition){.committed = offset, .begin = offset, .count = share};
        partition->records = calloc(share, sizeof(*partition->records));
        for (uint32_t i = 0; i < share; i++) {
            struct log_record *record = &partition->records[i];

            offset += random_below(world, 4) == 0 ? random_below(world, 50) : 0;
            record->offset = offset++;
            record->key = draw_key(world);
            record->lane = lane_of(world, p, record->key);
            record->value_size = random_below(world, plan->value_size_max + 1);
            if (random_below(world, 16) == 0)
                record->value_size = VALUE_NONE;
            record->spare = record->gone =
                plan->may[FAULT_TRUNCATION] && random_below(world, 4) == 0;
            world->finished += record->spare;
        }
    }
}

void log_free(struct world *world)
{
    for (uint32_t p = 0; p < PARTITIONS_MAX; p++)
        free(world->log[p].records);
}

uint32_t log_index(const struct log_partition *partition, int64_t offset)
{
    return index_by_offset(partition->records, partition->count, sizeof(*partition->records),
                           offset);
}

void log_describe(const struct world *world, const struct log_record *record,
                  struct source_record *source_record, struct core_place *place)
{
    uint32_t key_size;

    *source_record = (struct source_record){.offset = record->offset};
    source_record->key = key_bytes(record->key, &key_size);
    source_record->key_size = key_size;
    if (record->value_size != VALUE_NONE) {
        source_record->value = pattern + record->offset % 251;
        source_record->value_size = record->value_size;
    }
    source_record->headers_size = (uint32_t)(record->offset % 3) * 9;
    source_record->headers = source_record->headers_size > 0 ? pattern + 7 : NULL;
    source_record->timestamp_ms = record->offset;
    *place = (struct core_place){.kind = kind_of(&world->plan, record->key), .route = ROUTE};
    if (world->plan.weighs && record->offset % 3 == 0)
        place->weight = (uint64_t)record->offset % 70 + 1;
    if (world->plan.schedules && record->offset % 5 == 0)
        place->due_ms = WALL_MS + (record->offset * 37) % 5000;
    place->has_state = world->plan.keeps_states && place->kind != LANE_OF_RECORD;
    if (world->plan.key_function)
        place->lane_key = lane_key_bytes(record->key, &place->lane_key_size);
}

/* ---- what it holds ----------------------------------------------------------------------- */

uint32_t log_next(const struct log_partition *partition, uint32_t index)
{
    while (index < partition->visible && partition->records[index].gone)
        index++;
    return index;
}

bool log_has_lost(const struct log_partition *partition, int64_t offset)
{
    uint32_t index = log_index(partition, offset);

    return index < partition->count && partition->records[index].offset == offset &&
           partition->records[index].gone;
}

/* A hole may follow the last record. */
int64_t log_end(const struct log_partition *partition)
{
    if (partition->visible < partition->count)
        return partition->records[partition->visible].offset;
    return partition->visible == 0 ? 0
                                   : partition->records[partition->visible - 1].offset + 1;
}

/* In the process of this number. NULL: the partition is not there. */
static struct stay *stay_in(struct world *world, uint32_t number, uint16_t p)
{
    struct process *process = &world->processes[number];

    if (process->state == PROCESS_DOWN || process->stays[p].assignment == NULL)
        return NULL;
    return &process->stays[p];
}

/* Where the log has been cut and has grown again, nobody can tell: as a source knows of leaders'
 * epochs, it finds out while it reads; but what was committed before is only known to be of
 * another log while it lies beyond the end. */
static bool may_grow(struct world *world, uint16_t p)
{
    const struct log_partition *log = &world->log[p];
    int64_t known = log->committed > log_end(log) ? log->committed : log->ceiling;
    uint32_t next = log->visible + 1;

    for (uint32_t i = 0; i < world->plan.processes; i++)
        if (stay_in(world, i, p) != NULL && stay_in(world, i, p)->was_cut)
            return false;
    return known <= log_end(log) ||
           (next < log->count ? log->records[next].offset : log->records[next - 1].offset + 1) <
               known;
}

bool log_append(struct world *world, uint16_t p)
{
    struct log_partition *log = &world->log[p];
    struct log_record *record = &log->records[log->visible];

    if (log->visible == log->count || (log->was_cut && !may_grow(world, p)))
        return false;
    log->visible++;
    if (record->gone && !(record->spare && log->was_cut)) {
        log->has_lost = true;
        return true;
    }
    world->finished -= record->spare;
    record->spare = record->gone = false;
    world_add(world, (struct history_event){.type = HISTORY_APPEND,
                                            .partition = p,
                                            .offset = record->offset,
                                            .lane = record->lane});
    return true;
}

/* ---- what befalls it --------------------------------------------------------------------- */

static void take_away(struct world *world, uint16_t p, uint32_t index)
{
    struct log_record *record = &world->log[p].records[index];

    if (record->gone)
        return;
    record->gone = true;
    world->log[p].has_lost = true;
    world->finished += !record->finished;
    world_add(world, (struct history_event){
                         .type = HISTORY_GONE, .partition = p, .offset = record->offset});
}

/* Where it may hurt: where a lane is parked, or where a pass or the main flow is. */
static uint32_t sore_point(struct world *world, uint16_t p)
{
    const struct log_partition *log = &world->log[p];
    const struct stay *stay = stay_in(world, random_below(world, world->plan.processes), p);
    uint32_t which = random_below(world, 8);

    if (stay == NULL) {
        if (which < 4)
            return log_index(log, log->committed);
    } else if (which < 4) {
        const struct heap *parked = &stay->assignment->parking.parked;

        if (parked->count > 0)
            return log_index(log, parked->entries[random_below(world, parked->count)].value);
    } else if (which < 5) {
        return stay->position;
    } else if (which < 6 && stay->sweeps) {
        return stay->swept;
    }
    return random_below(world, log->visible + 1);
}

/* The log begins later. */
static bool retain(struct world *world, uint16_t p)
{
    struct log_partition *log = &world->log[p];
    uint32_t first = sore_point(world, p) + random_below(world, 4);

    if (first > log->visible)
        first = log->visible;
    if (first <= log->first)
        return false;
    for (; log->first < first; log->first++)
        take_away(world, p, log->first);
    log->begin = first < log->visible ? log->records[first].offset : log_end(log);
    return true;
}

/* The key has a newer record, or none any more. */
static bool is_superseded(const struct log_partition *log, uint32_t index)
{
    const struct log_record *record = &log->records[index];

    if (record->key == 0 || record->gone)
        return false;
    if (record->value_size == VALUE_NONE)
        return true;
    for (uint32_t i = index + 1; i < log->visible; i++)
        if (log->records[i].key == record->key && !log->records[i].gone)
            return true;
    return false;
}

/* One record, or all that can go; never the log's last. */
static bool compact(struct world *world, uint16_t p)
{
    struct log_partition *log = &world->log[p];
    uint32_t first = sore_point(world, p), most = random_below(world, 4) ? 1 : REACH;
    uint32_t taken = 0;

    for (uint32_t i = first; i < first + REACH && i + 1 < log->visible && taken < most; i++) {
        if (!is_superseded(log, i))
            continue;
        take_away(world, p, i);
        taken++;
    }
    return taken > 0;
}

/* The log ends earlier. Whoever has read on will hear of it. */
static bool cut(struct world *world, uint16_t p)
{
    struct log_partition *log = &world->log[p];
    uint32_t end = random_below(world, 2) ? sore_point(world, p)
                                          : log->visible - random_below(world, REACH);

    if (end < log->first || end >= log->visible)
        return false;
    for (uint32_t i = end; i < log->visible; i++) {
        struct log_record *record = &log->records[i];

        world->finished += !record->gone && !record->finished;
        record->gone = true;
    }
    log->visible = end;
    log->was_cut = log->has_lost = true;
    world_add(world, (struct history_event){
                         .type = HISTORY_CUT, .partition = p, .offset = log_end(log)});
    for (uint32_t i = 0; i < world->plan.processes; i++) {
        struct stay *stay = stay_in(world, i, p);

        if (stay == NULL)
            continue;
        stay->was_cut |= stay->assignment->offsets.frontier > log_end(log);
        if (stay->was_cut)
            continue;
        /* It may have left out what had gone, where something may come now. */
        if (stay->position > end)
            stay->position = end;
        if (stay->swept > end)
            stay->swept = end;
    }
    return true;
}

bool log_befall(struct world *world, enum fault fault)
{
    uint16_t p = (uint16_t)random_below(world, world->plan.partitions);

    if (fault == FAULT_TRUNCATION)
        return cut(world, p);
    return fault == FAULT_RETENTION ? retain(world, p) : compact(world, p);
}
