/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics: counts that control publishes for anybody to read, and those of a partition, which
 * it is asked for. */
#include "base/assert.h"
#include "base/given.h"
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

/* What control publishes, in the order of struct klane_stats. */
#define STATS_FIELDS (sizeof(struct klane_stats) / sizeof(uint64_t))
_Static_assert(sizeof(struct klane_stats) % sizeof(uint64_t) == 0, "only counts of 64 bits");

/* Control writes, anybody reads; each field for itself. */
struct stats_board {
    _Atomic uint64_t fields[STATS_FIELDS];
};

klane_err_t stats_create(struct klane_runtime *runtime)
{
    runtime->board = calloc(1, sizeof(*runtime->board));
    return runtime->board == NULL ? KLANE_ERR_NOMEM : KLANE_OK;
}

void stats_destroy(struct klane_runtime *runtime)
{
    free(runtime->board);
}

static uint64_t starts(const struct klane_runtime *runtime)
{
    /* Relaxed: counts that order nothing. */
    uint64_t sum = atomic_load_explicit(&runtime->taken, memory_order_relaxed);

    for (uint32_t i = 0; i < runtime->control.workers_used; i++)
        sum += (atomic_load_explicit(&runtime->workers[i].turn, memory_order_relaxed) + 1) / 2 +
               atomic_load_explicit(&runtime->workers[i].joined, memory_order_relaxed);
    return sum;
}

void stats_publish(struct klane_runtime *runtime)
{
    const struct control *control = &runtime->control;
    const struct core *core = &control->core;
    const struct klane_stats stats = {
        .records = core->counts.records,
        .started = starts(runtime),
        .done = core->counts.done,
        .skipped = core->counts.skipped,
        .retried = core->counts.retried,
        .fenced = core->counts.fenced,
        .commits = core->counts.commits,
        .commits_failed = core->counts.commits_failed,
        .holds = core->counts.holds,
        .spares_started = control->spares_started,
        .in_memory = core->admission.records,
        .lanes = core->lanes.table.count + core->lanes.alone,
        .partitions = core->assigned,
        .workers = control->workers_alive,
        .workers_slow = control->workers_slow,
        .slab_bytes = core->slab.bytes,
        .control_loops = control->loops,
        .control_sleeps = control->sleeps,
        .parked = core->parked.count,
        .heads_gone = core->counts.heads_gone,
        .budget_used = slab_used(&core->slab),
        .budget_records = core->config.limit_bytes,
        .weight_used = core->weights.out,
        .budget_weights = core->config.weight_max,
        .weight_waits = core->weights.waiting,
        .passes = core->counts.passes,
        .swept_records = core->counts.swept_records,
        .swept_bytes = core->counts.swept_bytes,
        .dead_letters = core->counts.dead_letters,
        .lane_states = core->states.table.count,
    };
    uint64_t fields[STATS_FIELDS];

    memcpy(fields, &stats, sizeof(fields));
    for (size_t i = 0; i < STATS_FIELDS; i++)
        /* Relaxed: each field stands for itself. */
        atomic_store_explicit(&runtime->board->fields[i], fields[i], memory_order_relaxed);
}

klane_err_t klane_stats_get(struct klane_runtime *runtime, struct klane_stats *stats,
                            size_t stats_size)
{
    uint64_t fields[STATS_FIELDS];

    if (runtime == NULL || stats == NULL || stats_size == 0)
        return KLANE_ERR_INVALID;
    if (runtime_forked(runtime))
        return KLANE_ERR_FORKED;
    for (size_t i = 0; i < STATS_FIELDS; i++)
        /* Relaxed: each field stands for itself. */
        fields[i] = atomic_load_explicit(&runtime->board->fields[i], memory_order_relaxed);
    given_answer(stats, stats_size, fields, sizeof(fields));
    return KLANE_OK;
}

/* ---- of one partition -------------------------------------------------------------------- */

static klane_err_t answer(struct klane_runtime *runtime, struct klane_assignment *assignment,
                          void *with)
{
    (void)runtime;
    *(struct klane_partition_stats *)with = (struct klane_partition_stats){
        .epoch = assignment->epoch,
        .base = assignment_base(assignment),
        .frontier = assignment->offsets.frontier,
        .committed = assignment->ever_committed ? assignment->committed : -1,
        .end = assignment->end,
        .unfinished = assignment->slots,
        .held = assignment->partition->held,
        .ceiling = assignment->progress.ceiling,
        .parked = assignment->parking.parked.count,
    };
    return KLANE_OK;
}

klane_err_t klane_partition_stats(struct klane_runtime *runtime, const char *topic,
                                  int32_t partition, struct klane_partition_stats *stats,
                                  size_t stats_size)
{
    struct klane_partition_stats found;
    struct question question = {
        .topic = topic, .partition = partition, .answer = answer, .with = &found};
    klane_err_t err;

    if (runtime == NULL || topic == NULL || stats == NULL || stats_size == 0)
        return KLANE_ERR_INVALID;
    err = question_ask(runtime, &question);
    if (err != KLANE_OK)
        return err;
    given_answer(stats, stats_size, &found, sizeof(found));
    return KLANE_OK;
}
