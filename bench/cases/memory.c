/* SPDX-License-Identifier: Apache-2.0 */
/* Memory: what a record in flight takes, and what is left of keys that went by.
 *
 * record-memory  handlers are blocked until every record is in memory. The log's own copy of the
 *                records is resident before the first measurement, so it is in neither difference.
 * idle-keys      each key has one record. The log is fed while it is read, with a bounded
 *                distance, so that it stays small; rss is that of the whole process. */
#include "cases/cases.h"
#include "lib/drive.h"
#include "lib/resident.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>

/* ---- a record in flight ---------------------------------------------------------------- */

enum { RECORDS = 200000, RECORDS_QUICK = 50000, SLOW_MS = 600000 };

/* Control takes nothing in for the last few places while workers have enough to do. */
enum { ROOM_SHARE = 4 };

static enum klane_outcome handle_when_released(const struct klane_record *record, void *context)
{
    sem_t *gate = context;

    (void)record;
    bench_wait(gate);
    sem_post(gate);
    return KLANE_DONE;
}

static void in_flight_run(struct bench_run *run)
{
    const uint64_t *keys = run->plan;
    uint64_t records = bench_count(run, RECORDS, RECORDS_QUICK);
    const struct timespec pause = {0, 1000000};
    struct klane_source *log = drive_log(1);
    struct klane_runtime *runtime;
    uint64_t empty, full;
    struct drive drive;
    sem_t gate;

    sem_init(&gate, 0, 0);
    for (uint64_t i = 0; i < records; i++)
        drive_append(log, 1, i % *keys);
    drive_init(&drive, 1, handle_when_released, &gate);
    drive.options.records_max = (uint32_t)(records + records / ROOM_SHARE);
    drive.options.lane_records_max = drive.options.records_max;
    drive.options.stop_when_caught_up = true;
    drive.route.slow_ms = SLOW_MS;
    runtime = drive_create(&drive, log);
    empty = resident_bytes();
    bench_check(klane_start(runtime), "klane_start");
    while (drive_stats(runtime).in_memory < records)
        nanosleep(&pause, NULL);
    full = resident_bytes();
    sem_post(&gate);
    drive_wait(runtime);
    drive_check_committed(log, 1, records);
    run->result->work = records;
    bench_figure(run, "bytes",
                 (double)(full - empty) / (double)records - DRIVE_KEY_BYTES - DRIVE_VALUE_BYTES);
    drive_settings(run, records, *keys < records ? *keys : records, 1, 1);
    drive_destroy(runtime);
}

/* ---- keys that went by ----------------------------------------------------------------- */

enum { DISTANCE_MAX = 50000, LOOK_EVERY = 256 };

struct idle_plan {
    uint64_t records;
    uint64_t records_quick;
};

struct passage {
    struct klane_source *log;
    uint64_t records;
    sem_t done;
    _Alignas(64) _Atomic uint64_t handled; /* the one worker's */
};

static enum klane_outcome handle_passing(const struct klane_record *record, void *context)
{
    struct passage *passage = context;
    /* Relaxed, both: a count of one writer that orders nothing. */
    uint64_t handled = atomic_load_explicit(&passage->handled, memory_order_relaxed) + 1;

    (void)record;
    atomic_store_explicit(&passage->handled, handled, memory_order_relaxed);
    if (handled == passage->records)
        sem_post(&passage->done);
    return KLANE_DONE;
}

static void *feeder_main(void *argument)
{
    struct passage *passage = argument;

    for (uint64_t i = 0; i < passage->records; i++) {
        /* Relaxed: a count, looked at until it has moved. */
        while (i % LOOK_EVERY == 0 &&
               i - atomic_load_explicit(&passage->handled, memory_order_relaxed) > DISTANCE_MAX)
            sched_yield();
        drive_append(passage->log, 1, i);
    }
    return NULL;
}

static void idle_keys_run(struct bench_run *run)
{
    const struct idle_plan *plan = run->plan;
    struct passage passage = {
        .log = drive_log(1),
        .records = bench_count(run, plan->records, plan->records_quick),
    };
    struct klane_runtime *runtime;
    struct bench_meter meter;
    struct drive drive;
    pthread_t feeder;

    sem_init(&passage.done, 0, 0);
    drive_init(&drive, 1, handle_passing, &passage);
    drive.options.commit_records = 10000;
    runtime = drive_create(&drive, passage.log);
    bench_meter_start(&meter);
    bench_check(klane_start(runtime), "klane_start");
    if (pthread_create(&feeder, NULL, feeder_main, &passage) != 0)
        bench_fail("no thread");
    bench_wait(&passage.done);
    bench_meter_stop(&meter);
    pthread_join(feeder, NULL);
    klane_stop(runtime);
    drive_wait(runtime);
    bench_check_count(drive_stats(runtime).done, passage.records, "records done");
    bench_meter_report(&meter, run, passage.records);
    drive_settings(run, passage.records, passage.records, 1, 1);
    bench_setting(run, "distance_max", DISTANCE_MAX);
    drive_destroy(runtime);
}

static const uint64_t one_key = 1;
static const uint64_t all_keys = UINT64_MAX;
static const struct idle_plan plan_all = {10000000, 400000};
static const struct idle_plan plan_first = {100000, 100000};

const struct bench_case memory_cases[] = {
    {
        .name = "idle-keys",
        .what = "10,000,000 keys pass, one record each; resident memory beside that of a process "
                "that ends after 100,000.",
        .arms =
            {{.name = "klane", .run = idle_keys_run, .plan = &plan_all, .own_work = true},
             {.name = "klane-100k", .run = idle_keys_run, .plan = &plan_first, .own_work = true}},
    },
    {
        .name = "record-memory",
        .what =
            "Resident bytes for a record in flight besides its key and value: all of one key, "
            "and each of its own.",
        .arms = {{.name = "klane-one-key", .run = in_flight_run, .plan = &one_key},
                 {.name = "klane-all-keys", .run = in_flight_run, .plan = &all_keys}},
        .targets = {{"klane-one-key", "bytes", 128}, {"klane-all-keys", "bytes", 256}},
    },
    {.name = NULL},
};
