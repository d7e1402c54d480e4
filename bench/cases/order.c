/* SPDX-License-Identifier: Apache-2.0 */
/* What order costs: the same handlers with a lane for each key, for each record, and for each
 * partition. As in schedule.c the clock stops while there is still more to do. */
#include "cases/cases.h"
#include "lib/drive.h"

#include <semaphore.h>
#include <stdatomic.h>

enum { KEYS = 1000, WORKERS = 16, PARTITIONS = 4, SLEEP_MS = 1 };

struct order_plan {
    enum klane_order order;
    uint64_t records;
    uint64_t records_quick;
};

struct counter {
    uint64_t records;
    sem_t done;
    _Alignas(64) _Atomic uint64_t handled;
};

static enum klane_outcome handle_by_sleeping(const struct klane_record *record, void *context)
{
    const struct timespec time = {0, SLEEP_MS * 1000000L};
    struct counter *counter = context;

    (void)record;
    nanosleep(&time, NULL);
    /* Relaxed: a count that orders nothing. */
    if (atomic_fetch_add_explicit(&counter->handled, 1, memory_order_relaxed) + 1 ==
        counter->records)
        sem_post(&counter->done);
    return KLANE_DONE;
}

static void order_run(struct bench_run *run)
{
    const struct order_plan *plan = run->plan;
    struct counter counter = {
        .records = bench_count(run, plan->records, plan->records_quick),
    };
    struct klane_source *log = drive_log(PARTITIONS);
    struct klane_runtime *runtime;
    struct bench_meter meter;
    struct drive drive;

    sem_init(&counter.done, 0, 0);
    drive_fill(log, PARTITIONS, counter.records + counter.records / 10, KEYS);
    drive_init(&drive, WORKERS, handle_by_sleeping, &counter);
    drive.topic.order = plan->order;
    runtime = drive_create(&drive, log);
    bench_meter_start(&meter);
    bench_check(klane_start(runtime), "klane_start");
    bench_wait(&counter.done);
    bench_meter_stop(&meter);
    klane_stop(runtime);
    drive_wait(runtime);
    bench_meter_report(&meter, run, counter.records);
    drive_settings(run, counter.records, KEYS, PARTITIONS, WORKERS);
    bench_setting(run, "sleep_ms", SLEEP_MS);
    drive_destroy(runtime);
}

static const struct order_plan plan_key = {KLANE_ORDER_KEY, 50000, 5000};
static const struct order_plan plan_none = {KLANE_ORDER_NONE, 50000, 5000};
static const struct order_plan plan_partition = {KLANE_ORDER_PARTITION, 12000, 1200};

const struct bench_case order_cases[] = {
    {
        .name = "order-cost",
        .what =
            "Handlers that sleep for 1 ms, 16 workers, 1,000 keys, 4 partitions: order by key "
            "beside no order and order by partition.",
        .arms = {{.name = "klane", .run = order_run, .plan = &plan_key},
                 {.name = "klane-none", .run = order_run, .plan = &plan_none},
                 {.name = "klane-partition",
                  .run = order_run,
                  .plan = &plan_partition,
                  .own_work = true}},
        .ratios = {{"share", "klane", "klane-none"}},
        .targets = {{"klane", "share", 0.97}},
    },
    {.name = NULL},
};
