/* SPDX-License-Identifier: Apache-2.0 */
/* What a seed chooses: each run has a random set of mishaps and limits, so that some runs are
 * single-minded enough to reach what a mixture of everything never does. */
#include "sim/plan.h"

#include "lib/check.h"

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
    for (int i = 0; i < FAULT_RETENTION; i++)
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
        plan->core.reserve_bytes = ONE_OF(random, 0, 0, 3000);
        if (below(random, 3) == 0) {
            plan->slab_limit = plan->core.limit_bytes;
            plan->core.limit_bytes = 0;
        }
    }
    plan->weighs = below(random, 4) == 0;
    plan->schedules = below(random, 4) == 0;
    plan->delay_ms = ONE_OF(random, 100, 100, 4000);
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
            plan->core.reserve_bytes = ONE_OF(random, 0, 610000);
        }
        break;
    default:
        break;
    }
}

/* Not often: what has gone excuses what is missing. */
static void choose_losses(struct plan *plan, uint64_t *random)
{
    plan->loses = !plan->quiet && below(random, 4) == 0;
    if (!plan->loses)
        return;
    plan->faults_min = 0; /* nothing may be left to which they could happen */
    plan->may[FAULT_RETENTION] = below(random, 2);
    plan->may[FAULT_COMPACTION] = below(random, 2);
    /* A log that is cut and grows beyond what a map speaks of is not found out. What a stay says
     * as soon as it begins replaces such a map before. */
    plan->may[FAULT_TRUNCATION] = plan->core.calm_ms > 0 && below(random, 2);
}

void plan_make(struct plan *plan, uint64_t seed)
{
    uint64_t random = seed;

    *plan = (struct plan){.seed = seed};
    choose_limits(plan, &random);
    choose_records(plan, &random);
    choose_mishaps(plan, &random);
    choose_size(plan, &random);
    choose_losses(plan, &random);
    plan->retry.attempts_max = ONE_OF(&random, 0, 0, 1, 2);
    plan->gather.records_max = ONE_OF(&random, 0, 2, 4, BATCH_MAX);
    plan->gather.records_min = 1 + below(&random, plan->gather.records_max + 1);
    plan->gather.wait_ms = ONE_OF(&random, 0, 3, 20);
    plan->gather.many_lanes = below(&random, 2);
    if (plan->gather.records_min > plan->gather.records_max)
        plan->gather.records_min = 1;
    plan->keeps_states = plan->order != LANE_OF_RECORD && below(&random, 6) == 0;
    plan->states_idle_max = ONE_OF(&random, 0, 1, 5, 100);
}
