/* SPDX-License-Identifier: Apache-2.0 */
/* Batches: calls that take a millisecond for up to 100 records of a key, with keys of a Zipf
 * distribution; 16 workers. The whole log is in memory before the first call.
 *
 * Arm bare is as many threads that sleep as often as a schedule of such calls without any cost of
 * its own has steps: each worker takes the key that has waited longest, handles what it has by
 * hundreds, and gives way to others after as many calls as klane's do. Both make as many calls,
 * which is checked. */
#include "cases/cases.h"
#include "lib/drive.h"
#include "lib/sleepers.h"
#include "lib/zipf.h"

#include <stdlib.h>
#include <string.h>

enum { KEYS = 10000, WORKERS = 16, BATCH = 100, QUANTUM = 64 };

#define EXPONENT 1.1
#define RECORDS UINT64_C(200000)
#define RECORDS_QUICK UINT64_C(4000)

/* ---- the keys ---------------------------------------------------------------------------- */

/* The number of the key of each record, the same in every run. */
static void draw_keys(uint64_t *keys, uint64_t records)
{
    static struct zipf zipf;
    uint64_t state = 1;

    zipf_init(&zipf, KEYS, EXPONENT);
    for (uint64_t i = 0; i < records; i++)
        keys[i] = zipf_draw(&zipf, &state);
}

/* ---- the schedule ------------------------------------------------------------------------ */

struct schedule {
    uint64_t calls; /* of all workers */
    uint64_t steps; /* of one call each, one after the other */
};

/* Keys that wait for a worker, the longest first. */
struct queue {
    uint32_t *keys;
    uint64_t first, end;
};

struct place {
    uint32_t key;
    uint32_t in_row; /* 0: it has none */
};

/* One call of a worker that has a key. Returns whether it keeps that. */
static bool call(struct place *place, uint32_t *left)
{
    left[place->key] -= left[place->key] < BATCH ? left[place->key] : BATCH;
    if (left[place->key] > 0)
        return true;
    place->in_row = 0;
    return false;
}

static void step(struct schedule *schedule, struct place *places, uint32_t *left,
                 struct queue *queue)
{
    schedule->steps++;
    for (int i = 0; i < WORKERS; i++) {
        if (places[i].in_row == 0 && queue->first < queue->end)
            places[i] = (struct place){queue->keys[queue->first++], 1};
    }
    for (int i = 0; i < WORKERS; i++) {
        if (places[i].in_row == 0)
            continue;
        schedule->calls++;
        if (!call(&places[i], left))
            continue;
        if (places[i].in_row++ >= QUANTUM && queue->first < queue->end) {
            queue->keys[queue->end++] = places[i].key;
            places[i].in_row = 0;
        }
    }
}

static bool is_over(const struct place *places, const struct queue *queue)
{
    for (int i = 0; i < WORKERS; i++)
        if (places[i].in_row > 0)
            return false;
    return queue->first == queue->end;
}

static struct schedule plan(const uint64_t *keys, uint64_t records)
{
    struct place places[WORKERS] = {{0, 0}};
    struct queue queue = {calloc(KEYS + records, sizeof(*queue.keys)), 0, 0};
    uint32_t *left = calloc(KEYS, sizeof(*left));
    struct schedule schedule = {0, 0};

    for (uint64_t i = 0; i < records; i++)
        if (left[keys[i]]++ == 0)
            queue.keys[queue.end++] = (uint32_t)keys[i];
    while (!is_over(places, &queue))
        step(&schedule, places, left, &queue);
    free(queue.keys);
    free(left);
    return schedule;
}

/* ---- the arms ---------------------------------------------------------------------------- */

struct batches {
    sem_t begin; /* for each worker */
    sem_t done;
    uint64_t records;
    _Alignas(64) _Atomic uint64_t handled;
    _Atomic uint64_t calls;
};

/* Workers begin when all is in memory. */
static bool wait_for_begin(void *context, void **local)
{
    struct batches *batches = context;

    (void)local;
    bench_wait(&batches->begin);
    return true;
}

static void handle_batch(struct klane_batch *batch, void *context)
{
    const struct timespec time = {0, 1000000};
    struct batches *batches = context;

    nanosleep(&time, NULL);
    /* Relaxed, both: counts that order nothing. */
    atomic_fetch_add_explicit(&batches->calls, 1, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&batches->handled, batch->count, memory_order_relaxed) +
            batch->count ==
        batches->records)
        sem_post(&batches->done);
}

static void set_options(struct drive *drive, struct batches *batches)
{
    drive_init(drive, WORKERS, NULL, batches);
    drive->options.records_max = (uint32_t)(2 * batches->records);
    drive->options.lane_records_max = (uint32_t)batches->records;
    drive->options.stop_when_caught_up = true;
    drive->options.worker_start = wait_for_begin;
    drive->options.worker_context = batches;
    drive->route.batch = handle_batch;
    drive->route.batch_max = BATCH;
}

static void batch_run(struct bench_run *run)
{
    struct batches batches = {.records = bench_count(run, RECORDS, RECORDS_QUICK)};
    uint64_t *keys = calloc(batches.records, sizeof(*keys));
    struct klane_source *log = drive_log(1);
    struct klane_runtime *runtime;
    struct bench_meter meter;
    struct drive drive;

    sem_init(&batches.begin, 0, 0);
    sem_init(&batches.done, 0, 0);
    draw_keys(keys, batches.records);
    for (uint64_t i = 0; i < batches.records; i++)
        drive_append(log, 1, keys[i]);
    set_options(&drive, &batches);
    runtime = drive_create(&drive, log);
    bench_check(klane_start(runtime), "klane_start");
    while (drive_stats(runtime).records < batches.records)
        bench_sleep_ms(1);
    bench_meter_start(&meter);
    for (int i = 0; i < WORKERS; i++)
        sem_post(&batches.begin);
    bench_wait(&batches.done);
    bench_meter_stop(&meter);
    drive_wait(runtime);
    drive_check_committed(log, 1, batches.records);
    bench_check_count(batches.calls, plan(keys, batches.records).calls, "calls");
    bench_meter_report(&meter, run, batches.records);
    drive_settings(run, batches.records, KEYS, 1, WORKERS);
    bench_setting(run, "calls", (int64_t)batches.calls);
    drive_destroy(runtime);
    free(keys);
}

/* Each thread sleeps once in each step of the schedule. */
static void batch_bare_run(struct bench_run *run)
{
    uint64_t records = bench_count(run, RECORDS, RECORDS_QUICK);
    uint64_t *keys = calloc(records, sizeof(*keys));
    struct sleepers_plan sleeps = {1, WORKERS, 0, 0, false, 0};
    struct sleepers sleepers;

    draw_keys(keys, records);
    sleeps.records = sleeps.records_quick = plan(keys, records).steps * WORKERS;
    free(keys);
    sleepers_init(&sleepers, &sleeps, run);
    sleepers_bare_sleep(&sleepers);
    bench_meter_report(&sleepers.meter, run, records);
    bench_setting(run, "sleeps", (int64_t)sleepers.records);
    bench_setting(run, "workers", WORKERS);
}

const struct bench_case batch_cases[] = {
    {
        .name = "batch",
        .what = "200,000 records in calls of up to 100 of a key, 1 ms each; 16 workers, 10,000 "
                "keys of Zipf 1.1, beside a schedule without cost.",
        .arms = {{.name = "klane", .run = batch_run}, {.name = "bare", .run = batch_bare_run}},
        .ratios = {{"ideal", "klane", "bare"}},
        .targets = {{"klane", "ideal", 0.95}},
    },
    {.name = NULL},
};
