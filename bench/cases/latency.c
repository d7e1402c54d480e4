/* SPDX-License-Identifier: Apache-2.0 */
/* Latency of the embedded log: from the return of the commit that made a record durable to the
 * start of its handler, in one process.
 *
 * The feeder keeps to a timetable of 10,000 records a second: every millisecond, or when the last
 * commit is over if that is later, it appends what is due in one transaction. So a slow disk makes
 * larger transactions and never a lower rate. A record whose handler starts before the commit's
 * call has returned to the feeder counts as 0. */
#include "cases/cases.h"
#include "lib/histogram.h"
#include "lib/scratch_log.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

enum { RATE = 10000, KEYS = 1000, DUE_MAX = 10000 };

struct latency_plan {
    uint64_t records;
    uint64_t records_quick;
};

struct timetable {
    struct klane_sqlite *log;
    uint64_t records;
    uint64_t transactions;
    int64_t *committed_ns; /* by offset; the feeder's */
    int64_t *started_ns;   /* by offset; the one worker's */
    uint64_t handled;      /* the worker's */
    sem_t done;
};

static enum klane_outcome handle_by_noting(const struct klane_record *record, void *context)
{
    struct timetable *timetable = context;

    timetable->started_ns[record->offset] = bench_now_ns();
    if (++timetable->handled == timetable->records)
        sem_post(&timetable->done);
    return KLANE_DONE;
}

static void append_due(struct timetable *timetable, uint64_t first, uint64_t count,
                       uint64_t *state)
{
    int64_t now_ns;

    scratch_log_append(timetable->log, count, KEYS, state);
    now_ns = bench_now_ns();
    for (uint64_t i = 0; i < count; i++)
        timetable->committed_ns[first + i] = now_ns;
    timetable->transactions++;
}

static void *feeder_main(void *argument)
{
    struct timetable *timetable = argument;
    const struct timespec pause = {0, 1000000};
    int64_t begin_ns = bench_now_ns();
    uint64_t sent = 0, state = 1;

    while (sent < timetable->records) {
        uint64_t due;

        nanosleep(&pause, NULL);
        due = (uint64_t)(bench_now_ns() - begin_ns) * RATE / UINT64_C(1000000000);
        if (due > timetable->records)
            due = timetable->records;
        if (due - sent > DUE_MAX)
            due = sent + DUE_MAX;
        if (due == sent)
            continue;
        append_due(timetable, sent, due - sent, &state);
        sent = due;
    }
    return NULL;
}

static void report(const struct timetable *timetable, struct bench_run *run)
{
    struct histogram *histogram = calloc(1, sizeof(*histogram));

    if (histogram == NULL)
        bench_fail("no memory");
    for (uint64_t i = 0; i < timetable->records; i++) {
        int64_t time_ns = timetable->started_ns[i] - timetable->committed_ns[i];

        histogram_add(histogram, time_ns < 0 ? 0 : (uint64_t)time_ns);
    }
    bench_figure(run, "p50", (double)histogram_quantile(histogram, 0.5) / 1000);
    bench_figure(run, "p99", (double)histogram_quantile(histogram, 0.99) / 1000);
    bench_figure(run, "p999", (double)histogram_quantile(histogram, 0.999) / 1000);
    free(histogram);
}

static void timetable_init(struct timetable *timetable, struct bench_run *run, const char *path)
{
    const struct latency_plan *plan = run->plan;
    uint64_t records = bench_count(run, plan->records, plan->records_quick);

    *timetable = (struct timetable){
        .log = scratch_log_open(path, 1),
        .records = records,
        .committed_ns = calloc(records, sizeof(int64_t)),
        .started_ns = calloc(records, sizeof(int64_t)),
    };
    if (timetable->committed_ns == NULL || timetable->started_ns == NULL)
        bench_fail("no memory");
    sem_init(&timetable->done, 0, 0);
}

static void latency_run(struct bench_run *run)
{
    char path[SCRATCH_PATH_MAX], name[32];
    struct timetable timetable;
    struct klane_runtime *runtime;
    struct bench_meter meter;
    struct drive drive;
    pthread_t feeder;

    snprintf(name, sizeof(name), "latency-%u.klane", run->round);
    scratch_path(run, name, path);
    timetable_init(&timetable, run, path);
    drive_init(&drive, 1, handle_by_noting, &timetable);
    runtime = drive_create(&drive, scratch_source(path, "bench"));
    bench_meter_start(&meter);
    bench_check(klane_start(runtime), "klane_start");
    if (pthread_create(&feeder, NULL, feeder_main, &timetable) != 0)
        bench_fail("no thread");
    bench_wait(&timetable.done);
    bench_meter_stop(&meter);
    pthread_join(feeder, NULL);
    klane_stop(runtime);
    drive_wait(runtime);
    bench_meter_report(&meter, run, timetable.records);
    report(&timetable, run);
    drive_settings(run, timetable.records, KEYS, 1, 1);
    bench_setting(run, "records_per_second", RATE);
    bench_setting(run, "transactions", (int64_t)timetable.transactions);
    scratch_settings(run);
    drive_destroy(runtime);
    klane_sqlite_close(timetable.log);
}

static const struct latency_plan plan = {40000, 5000};

const struct bench_case latency_cases[] = {
    {
        .name = "latency-log",
        .what = "From a commit's return to the start of the handler, 10,000 records a second in "
                "small transactions.",
        .arms = {{.name = "klane", .run = latency_run, .plan = &plan}},
        .targets = {{"klane", "p99", 5000}},
    },
    {.name = NULL},
};
