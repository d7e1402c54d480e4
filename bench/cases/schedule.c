/* SPDX-License-Identifier: Apache-2.0 */
/* Schedule: how near 64 workers with sleeping handlers come to 64 threads that do nothing but
 * sleep and count. Both arms sleep with the same call, as a sleep is longer than it says.
 *
 * The clock stops with the last counted record; a tenth more is in the log, so that the figure has
 * no end at which workers run dry. */
#include "cases/cases.h"
#include "lib/drive.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

enum { KEYS = 10000, WORKERS = 64 };

struct schedule_plan {
    uint32_t sleep_ms;
    uint64_t records;
    uint64_t records_quick;
};

struct sleepers {
    uint64_t records;
    uint32_t sleep_ms;
    sem_t done;
    _Alignas(64) _Atomic uint64_t slept;
};

static void sleepers_init(struct sleepers *sleepers, const struct bench_run *run)
{
    const struct schedule_plan *plan = run->plan;

    *sleepers = (struct sleepers){
        .records = bench_count(run, plan->records, plan->records_quick),
        .sleep_ms = plan->sleep_ms,
    };
    sem_init(&sleepers->done, 0, 0);
}

/* Returns how many have slept before. */
static uint64_t sleep_once(struct sleepers *sleepers)
{
    const struct timespec time = {0, (long)sleepers->sleep_ms * 1000000};
    uint64_t before;

    nanosleep(&time, NULL);
    /* Relaxed: a count that orders nothing. */
    before = atomic_fetch_add_explicit(&sleepers->slept, 1, memory_order_relaxed);
    if (before + 1 == sleepers->records)
        sem_post(&sleepers->done);
    return before;
}

static void sleepers_report(const struct sleepers *sleepers, const struct bench_meter *meter,
                            struct bench_run *run)
{
    bench_meter_report(meter, run, sleepers->records);
    bench_setting(run, "sleep_ms", sleepers->sleep_ms);
}

static void *bare_thread(void *argument)
{
    struct sleepers *sleepers = argument;

    while (sleep_once(sleepers) + 1 < sleepers->records)
        continue;
    return NULL;
}

static void bare_run(struct bench_run *run)
{
    struct sleepers sleepers;
    struct bench_meter meter;
    pthread_t threads[WORKERS];

    sleepers_init(&sleepers, run);
    bench_meter_start(&meter);
    for (int i = 0; i < WORKERS; i++)
        if (pthread_create(&threads[i], NULL, bare_thread, &sleepers) != 0)
            bench_fail("no thread");
    while (sem_wait(&sleepers.done) != 0)
        continue;
    bench_meter_stop(&meter);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    sleepers_report(&sleepers, &meter, run);
    bench_setting(run, "records", (int64_t)sleepers.records);
    bench_setting(run, "workers", WORKERS);
}

static enum klane_outcome handle_by_sleeping(const struct klane_record *record, void *context)
{
    (void)record;
    sleep_once(context);
    return KLANE_DONE;
}

static void klane_run_schedule(struct bench_run *run)
{
    struct klane_source *log = drive_log(1);
    struct klane_runtime *runtime;
    struct sleepers sleepers;
    struct bench_meter meter;
    struct drive drive;

    sleepers_init(&sleepers, run);
    drive_fill(log, 1, sleepers.records + sleepers.records / 10, KEYS);
    drive_init(&drive, WORKERS, handle_by_sleeping, &sleepers);
    runtime = drive_create(&drive, log);
    bench_meter_start(&meter);
    bench_check(klane_start(runtime), "klane_start");
    while (sem_wait(&sleepers.done) != 0)
        continue;
    bench_meter_stop(&meter);
    klane_stop(runtime);
    drive_wait(runtime);
    sleepers_report(&sleepers, &meter, run);
    drive_settings(run, sleepers.records, KEYS, 1, WORKERS);
    drive_destroy(runtime);
}

static const struct schedule_plan plan_1ms = {1, 200000, 20000};
static const struct schedule_plan plan_10ms = {10, 24000, 2400};
static const struct schedule_plan plan_100ms = {100, 2560, 256};

#define SCHEDULE_CASE(sleep)                                                                     \
    {                                                                                            \
        .name = "schedule-" #sleep,                                                              \
        .what = "Handlers that sleep for " #sleep ", 64 workers, 10,000 keys, beside 64 bare "   \
                "threads.",                                                                      \
        .arms = {{.name = "klane", .run = klane_run_schedule, .plan = &plan_##sleep},            \
                 {.name = "bare", .run = bare_run, .plan = &plan_##sleep}},                      \
        .ratios = {{"ideal", "klane", "bare"}}, .targets = {{"klane", "ideal", 0.97}},           \
    }

const struct bench_case schedule_cases[] = {
    SCHEDULE_CASE(1ms),
    SCHEDULE_CASE(10ms),
    SCHEDULE_CASE(100ms),
    {.name = NULL},
};
