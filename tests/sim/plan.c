/* SPDX-License-Identifier: Apache-2.0 */
/* What a seed chooses: each run has a random set of mishaps and limits, so that some runs are
 * single-minded enough to reach what a mixture of everything never does. */
#include "sim/world.h"

#include "lib/check.h"

#include <stdlib.h>
#include <string.h>

#define KEYS_MAX 4096U
#define KEY_SIZE 6U
#define LANES_OF_KEY_FUNCTION 7U
#define PATTERN_SIZE 700000U

static unsigned char pattern[PATTERN_SIZE];

static uint32_t below(uint64_t *random, uint32_t limit)
{
    return (uint32_t)check_random_below(random, limit);
}

static uint32_t one_of(uint64_t *random, const uint32_t *values, uint32_t count)
{
    return values[below(random, count)];
}

#define ONE_OF(random, ...)                                                                    \
    one_of((random), (const uint32_t[]){__VA_ARGS__},                                          \
           sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void choose_limits(struct plan *plan, uint64_t *random)
{
    struct core_config *core = &plan->core;

    core->records_max = ONE_OF(random, 16, 24, 64, 200, 600);
    core->lane_records_max =
        1 + below(random, below(random, 2) ? 6 : core->records_max);
    core->commit_interval_ms = ONE_OF(random, 1, 10, 100, 500);
    core->commit_records = ONE_OF(random, 1, 7, 50, 100000);
    core->drain_ms = ONE_OF(random, 1, 20, 200, 2000);
    core->settle_ms = ONE_OF(random, 1, 20, 500, 2000);
    core->seed = plan->seed;
    plan->workers = 1 + below(random, below(random, 2) ? 4 : WORKERS_MAX);
    plan->ring = ONE_OF(random, 1, 3, 15, 63);
    plan->tokens = ONE_OF(random, 1, 8, 64, TOKENS_MAX);
    plan->burst = ONE_OF(random, 1, 4, 32);
    plan->steps_ms = ONE_OF(random, 1, 4, 16, 64);
    plan->run_ms = ONE_OF(random, 0, 1, 5, 20);
    plan->overdue_ms = ONE_OF(random, 5, 50, 100000);
    plan->stop_ms = ONE_OF(random, 5, 100, 5000);
    plan->reports = (uint8_t)below(random, 3);
    plan->prompt = below(random, 2);
    plan->wait_for_commits = below(random, 2);
}

static void choose_records(struct plan *plan, uint64_t *random)
{
    plan->partitions = 1 + below(random, PARTITIONS_MAX);
    /* Most logs are short: what goes wrong needs few records, and more seeds fit the time. */
    plan->records = below(random, 12) ? 40 + below(random, 100) : 500 + below(random, 100);
    plan->keys = ONE_OF(random, 1, 3, 8, 40, 300);
    plan->value_size_max = ONE_OF(random, 0, 50, 300);
    plan->order = (uint8_t)ONE_OF(random, LANE_OF_KEY, LANE_OF_KEY, LANE_OF_KEY, LANE_OF_KEY,
                                  LANE_OF_PARTITION, LANE_OF_RECORD);
    plan->null_keys_in_order = below(random, 2);
    plan->key_function = plan->order == LANE_OF_KEY && below(random, 4) == 0;
    plan->skewed = below(random, 2);
}

static void choose_mishaps(struct plan *plan, uint64_t *random)
{
    plan->processes = 1 + below(random, PROCESSES_MAX);
    plan->quiet = below(random, 16) == 0;
    plan->retry_rate = (uint8_t)ONE_OF(random, 0, 4, 40);
    plan->skip_rate = (uint8_t)ONE_OF(random, 0, 20);
    plan->later_rate = (uint8_t)ONE_OF(random, 0, 20, 128, 255);
    plan->yield_rate = (uint8_t)ONE_OF(random, 0, 20, 255);
    plan->take_rate = (uint8_t)ONE_OF(random, 0, 100, 255);
    plan->stuck_rate = (uint8_t)ONE_OF(random, 0, 1, 4);
    plan->commit_trouble_rate = (uint8_t)ONE_OF(random, 0, 40, 128);
    plan->chaos_steps = ONE_OF(random, 60, 300, 1000);
    for (int i = 0; i < FAULTS; i++)
        plan->may[i] = !plan->quiet && below(random, 2);
    plan->core.parks = below(random, 2);
    plan->core.map_limit = ONE_OF(random, 0, 60, 64, 100, 300, 4096, 4096, 4096);
    plan->core.fingerprints_alike = below(random, 4) == 0 ? ~UINT64_C(15) : 0;
    plan->core.beyond_max = ONE_OF(random, 0, 0, 20, 200);
    plan->core.calm_ms = ONE_OF(random, 0, 50, 2000, 60000);
    plan->scheme_changes = below(random, 8) == 0;
    plan->faults_min = plan->quiet || plan->records < 500 ? 0 : 20 + below(random, 20);
    /* A quiet run still has handlers that ask for their records again: that repeats nothing. */
    if (!plan->quiet)
        plan->may[FAULT_REVOKED] |= plan->retry_rate < 40;
    if (plan->may[FAULT_NO_MEMORY]) {
        plan->core.limit_bytes = (6 + below(random, 10)) * UINT64_C(262144);
        plan->value_size_max = ONE_OF(random, 2000, 6000);
        if (below(random, 3) == 0) {
            plan->slab_limit = plan->core.limit_bytes;
            plan->core.limit_bytes = 0;
        }
    }
    plan->weighs = below(random, 4) == 0;
    plan->core.weight_max = ONE_OF(random, 50, 100, 300);
}

/* Rare: so many records behind one that is stuck that the ring of offsets gives its place up, and
 * so many lanes that their table grows; or values so large that the slabs give memory back. */
static void choose_size(struct plan *plan, uint64_t *random)
{
    switch (below(random, 256)) {
    case 0:
        plan->records = 12000;
        plan->partitions = 1;
        plan->keys = ONE_OF(random, 2, 40, KEYS_MAX);
        plan->core.records_max = 11000;
        plan->core.lane_records_max = 9000;
        plan->core.limit_bytes = plan->slab_limit = 0;
        plan->burst = 32;
        plan->value_size_max = 10;
        plan->chaos_steps = 100000;
        plan->steps_ms = 64;
        plan->retry_rate = 4;
        plan->stuck_rate = 1;
        plan->run_ms = 1;
        plan->skewed = false;
        break;
    case 1:
        plan->value_size_max = 45000;
        plan->core.records_max = 400;
        plan->core.lane_records_max = 400;
        plan->core.limit_bytes = plan->slab_limit = 0;
        plan->burst = 32;
        plan->may[FAULT_CRASH] = false; /* what is mapped alone would never be given back */
        /* Of the smaller budget some take more than half. */
        if (below(random, 2)) {
            plan->value_size_max = 600000;
            plan->core.limit_bytes = ONE_OF(random, 8, 24) * UINT64_C(262144);
        }
        break;
    default:
        break;
    }
}

void plan_make(struct plan *plan, uint64_t seed)
{
    uint64_t random = seed;

    *plan = (struct plan){.seed = seed};
    choose_limits(plan, &random);
    choose_records(plan, &random);
    choose_mishaps(plan, &random);
    choose_size(plan, &random);
}

/* ---- the log ----------------------------------------------------------------------------- */

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

        *partition = (struct log_partition){.committed = offset, .count = share};
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
    uint32_t low = 0, high = partition->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (partition->records[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
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
    *place = (struct core_place){.kind = kind_of(&world->plan, record->key), .route = 3};
    if (world->plan.weighs && record->offset % 3 == 0)
        place->weight = (uint64_t)record->offset % 70 + 1;
    if (world->plan.key_function)
        place->lane_key = lane_key_bytes(record->key, &place->lane_key_size);
}
