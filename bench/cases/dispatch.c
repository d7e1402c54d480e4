/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch: what a record costs when its handler costs nothing. The log is in memory and full
 * before the clock begins; the clock stops when the runtime has stopped by itself, everything
 * finished and committed. */
#include "cases/cases.h"
#include "lib/drive.h"

/* The one worker says how long it was on a processor, spinning included; the rest was control. */
static void note_worker_time(void *context, void *local)
{
    struct timespec time;

    (void)local;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    *(int64_t *)context = time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static bool begin_worker(void *context, void **local)
{
    (void)context;
    *local = NULL;
    return true;
}

static enum klane_outcome handle_nothing(const struct klane_record *record, void *context)
{
    (void)record;
    (void)context;
    return KLANE_DONE;
}

static void klane_run_dispatch(struct bench_run *run)
{
    const struct dispatch_plan *plan = run->plan;
    uint64_t records = bench_count(run, plan->records, plan->records_quick);
    struct klane_source *log = drive_log(1);
    struct klane_runtime *runtime;
    struct bench_meter meter;
    struct drive drive;
    int64_t worker_ns = 0;

    drive_fill(log, 1, records, plan->keys);
    drive_init(&drive, 1, handle_nothing, NULL);
    drive.options.stop_when_caught_up = true;
    drive.options.worker_start = begin_worker;
    drive.options.worker_stop = note_worker_time;
    drive.options.worker_context = &worker_ns;
    runtime = drive_create(&drive, log);
    bench_meter_start(&meter);
    bench_check(klane_start(runtime), "klane_start");
    drive_wait(runtime);
    bench_meter_stop(&meter);
    bench_check_count(drive_stats(runtime).done, records, "records done");
    drive_check_committed(log, 1, records);
    /* Joins the worker, which then has left its time. */
    drive_destroy(runtime);
    bench_meter_report(&meter, run, records);
    bench_figure(run, "cpu-control", (double)(meter.cpu_ns - worker_ns) * 1e-3 / (double)records);
    bench_figure(run, "cpu-worker", (double)worker_ns * 1e-3 / (double)records);
    drive_settings(run, records, plan->keys, 1, 1);
}

static const struct dispatch_plan plan_1k = {3000000, 200000, 1000};
static const struct dispatch_plan plan_10k = {3000000, 200000, 10000};
static const struct dispatch_plan plan_1m = {3000000, 200000, 1000000};

const struct bench_case dispatch_cases[] = {
    {
        .name = "dispatch-1k",
        .what = "Records through an empty handler on one worker, 1,000 keys, and where the time "
                "goes.",
        .arms = {{.name = "klane", .run = klane_run_dispatch, .plan = &plan_1k},
                 {.name = "chain", .run = chain_run, .plan = &plan_1k},
                 {.name = "stage-source", .run = stage_source_run, .plan = &plan_1k},
                 {.name = "stage-copy", .run = stage_copy_run, .plan = &plan_1k},
                 {.name = "stage-control", .run = stage_control_run, .plan = &plan_1k},
                 {.name = "stage-worker", .run = stage_worker_run, .plan = &plan_1k}},
        .targets = {{"klane", "throughput", 5e6}, {"chain", "throughput", 20e6}},
    },
    {
        .name = "dispatch-10k",
        .what = "The same with 10,000 keys.",
        .arms = {{.name = "klane", .run = klane_run_dispatch, .plan = &plan_10k},
                 {.name = "chain", .run = chain_run, .plan = &plan_10k},
                 {.name = "stage-control", .run = stage_control_run, .plan = &plan_10k}},
        .targets = {{"klane", "throughput", 5e6}, {"chain", "throughput", 20e6}},
    },
    {
        .name = "dispatch-1m",
        .what = "The same with 1,000,000 keys: nearly every record makes and ends a lane.",
        .arms = {{.name = "klane", .run = klane_run_dispatch, .plan = &plan_1m}},
        .targets = {{"klane", "throughput", 2e6}},
    },
    {.name = NULL},
};
