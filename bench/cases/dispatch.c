/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch: what a record costs when its handler costs nothing but a look at the order. The log is
 * in memory and full before the clock begins; the clock stops when the runtime has stopped by
 * itself, everything finished and committed. */
#include "cases/cases.h"
#include "lib/drive.h"
#include "lib/order.h"

#include <stdatomic.h>

/* Each worker says how long it was on a processor, spinning included; the rest was control. */
static void note_worker_time(void *context, void *local)
{
    struct timespec time;

    (void)local;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    /* Relaxed: read when all have ended. */
    atomic_fetch_add_explicit((_Atomic int64_t *)context,
                              time.tv_sec * INT64_C(1000000000) + time.tv_nsec,
                              memory_order_relaxed);
}

static bool begin_worker(void *context, void **local)
{
    (void)context;
    *local = NULL;
    return true;
}

static enum klane_outcome handle(const struct klane_record *record, void *order)
{
    order_handle(order, record->value);
    return KLANE_DONE;
}

static void fill(struct klane_source *log, struct order *order, uint64_t records)
{
    unsigned char value[DRIVE_VALUE_BYTES];
    uint64_t state = 1;

    memcpy(value, drive_value, sizeof(value));
    for (uint64_t i = 0; i < records; i++) {
        uint64_t number = drive_random(&state) % order->keys;

        order_stamp(order, number, value);
        drive_append_value(log, DRIVE_TOPIC, 1, number, value);
    }
}

static void klane_run_dispatch(struct bench_run *run)
{
    const struct dispatch_plan *plan = run->plan;
    uint64_t records = bench_count(run, plan->records, plan->records_quick);
    struct klane_source *log = drive_log(1);
    struct klane_runtime *runtime;
    struct bench_meter meter;
    struct drive drive;
    struct order order;
    _Atomic int64_t worker_time = 0;
    int64_t worker_ns;

    order_init(&order, plan->keys);
    fill(log, &order, records);
    drive_init(&drive, plan->workers, handle, &order);
    drive.options.stop_when_caught_up = true;
    drive.options.worker_start = begin_worker;
    drive.options.worker_stop = note_worker_time;
    drive.options.worker_context = &worker_time;
    runtime = drive_create(&drive, log);
    bench_meter_start(&meter);
    bench_check(klane_start(runtime), "klane_start");
    drive_wait(runtime);
    bench_meter_stop(&meter);
    bench_check_count(drive_stats(runtime).done, records, "records done");
    drive_check_committed(log, 1, records);
    /* Joins the workers, which then have left their time. */
    drive_destroy(runtime);
    worker_ns = atomic_load(&worker_time);
    order_check(&order);
    bench_meter_report(&meter, run, records);
    bench_figure(run, "cpu-control", (double)(meter.cpu_ns - worker_ns) * 1e-3 / (double)records);
    bench_figure(run, "cpu-worker", (double)worker_ns * 1e-3 / (double)records);
    drive_settings(run, records, plan->keys, 1, plan->workers);
}

/* Other dispatchers, the last arms of a case. */
#define PEERS(plan_)                                                                             \
    {.name = "asio", .run = asio_run, .plan = plan_, .available = asio_available},               \
        {.name = "tbb", .run = tbb_run, .plan = plan_, .available = tbb_available},              \
        {.name = "tbb-list", .run = tbb_list_run, .plan = plan_, .available = tbb_available},    \
    {                                                                                            \
        .name = "mutex", .run = mutex_run, .plan = plan_                                         \
    }
#define RATIO                                                                                    \
    {                                                                                            \
        "share", "klane", "asio,tbb,tbb-list,mutex"                                              \
    }

static const struct dispatch_plan plan_1k = {3000000, 200000, 1000, 1};
static const struct dispatch_plan plan_10k = {3000000, 200000, 10000, 1};
static const struct dispatch_plan plan_10k_4 = {3000000, 50000, 10000, 4};
static const struct dispatch_plan plan_1m = {3000000, 200000, 1000000, 1};

const struct bench_case dispatch_cases[] = {
    {
        .name = "dispatch-1k",
        .what = "Records through a handler that only looks at the order, on one worker, 1,000 "
                "keys, and where the time goes.",
        .arms = {{.name = "klane", .run = klane_run_dispatch, .plan = &plan_1k},
                 {.name = "chain", .run = chain_run, .plan = &plan_1k},
                 {.name = "stage-source", .run = stage_source_run, .plan = &plan_1k},
                 {.name = "stage-copy", .run = stage_copy_run, .plan = &plan_1k},
                 {.name = "stage-control", .run = stage_control_run, .plan = &plan_1k},
                 {.name = "stage-worker", .run = stage_worker_run, .plan = &plan_1k},
                 PEERS(&plan_1k)},
        .ratios = {RATIO},
        .targets = {{"klane", "throughput", 5e6},
                    {"chain", "throughput", 20e6},
                    {"klane", "share", 3}},
    },
    {
        .name = "dispatch-10k",
        .is_headline = true,
        .what = "The same with 10,000 keys.",
        .arms = {{.name = "klane", .run = klane_run_dispatch, .plan = &plan_10k},
                 {.name = "chain", .run = chain_run, .plan = &plan_10k},
                 {.name = "stage-control", .run = stage_control_run, .plan = &plan_10k},
                 PEERS(&plan_10k)},
        .ratios = {RATIO},
        .targets = {{"klane", "throughput", 5e6},
                    {"chain", "throughput", 20e6},
                    {"klane", "share", 3}},
    },
    {
        .name = "dispatch-10k-4",
        .what = "The same with 10,000 keys on four workers.",
        .arms = {{.name = "klane", .run = klane_run_dispatch, .plan = &plan_10k_4},
                 PEERS(&plan_10k_4)},
        .ratios = {RATIO},
        .targets = {{"klane", "share", 3}},
    },
    {
        .name = "dispatch-1m",
        .what = "The same with 1,000,000 keys: nearly every record makes and ends a lane.",
        .arms = {{.name = "klane", .run = klane_run_dispatch, .plan = &plan_1m}, PEERS(&plan_1m)},
        .ratios = {RATIO},
        .targets = {{"klane", "throughput", 2e6}, {"klane", "share", 3}},
    },
    {.name = NULL},
};
