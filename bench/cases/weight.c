/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers that take far more memory than their records: 50 MiB each, as their weight says, and
 * the budget has room for a few. The records, which are small, come once the empty log is
 * assigned, so that the first measurement has everything but them and what their handlers take. */
#include "cases/cases.h"
#include "lib/drive.h"
#include "lib/resident.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

enum { RECORDS = 400, RECORDS_QUICK = 12, WORKERS = 64, HOLD_MS = 20 };

#define MIB UINT64_C(1048576)
#define BUDGET (200 * MIB)
#define WEIGHT (50 * MIB)

/* Handlers', but for what is fixed. Relaxed all: counts that order nothing. */
struct load {
    uint64_t records;
    sem_t is_assigned;
    sem_t is_done;
    _Atomic uint32_t now;
    _Atomic uint32_t most; /* handlers at once */
    _Atomic uint64_t handled;
};

static uint64_t weigh(const struct klane_record *record, void *context)
{
    (void)record;
    (void)context;
    return WEIGHT;
}

static void note_most(struct load *load, uint32_t now)
{
    uint32_t most = atomic_load_explicit(&load->most, memory_order_relaxed);

    while (now > most && !atomic_compare_exchange_weak_explicit(
                             &load->most, &most, now, memory_order_relaxed, memory_order_relaxed))
        continue;
}

/* Mapped, so that all of it is given back at once. */
static enum klane_outcome handle(const struct klane_record *record, void *context)
{
    struct load *load = context;
    void *bytes;

    (void)record;
    note_most(load, atomic_fetch_add_explicit(&load->now, 1, memory_order_relaxed) + 1);
    bytes = mmap(NULL, WEIGHT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED)
        bench_fail("no memory");
    memset(bytes, 1, WEIGHT);
    bench_sleep_ms(HOLD_MS);
    munmap(bytes, WEIGHT);
    atomic_fetch_sub_explicit(&load->now, 1, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&load->handled, 1, memory_order_relaxed) + 1 == load->records)
        sem_post(&load->is_done);
    return KLANE_DONE;
}

static void weight_run(struct bench_run *run)
{
    struct load load = {.records = bench_count(run, RECORDS, RECORDS_QUICK)};
    struct klane_source *log = drive_log(1);
    struct resident_watch watch;
    struct klane_runtime *runtime;
    struct bench_meter meter;
    struct drive drive;
    uint64_t empty;

    sem_init(&load.is_assigned, 0, 0);
    sem_init(&load.is_done, 0, 0);
    drive_init(&drive, WORKERS, handle, &load);
    drive.options.budget_bytes = BUDGET;
    drive.options.event = drive_post_assigned;
    drive.options.event_context = &load.is_assigned;
    drive.topic.weight = weigh;
    runtime = drive_create(&drive, log);
    bench_check(klane_start(runtime), "klane_start");
    bench_wait(&load.is_assigned);
    empty = resident_bytes();
    resident_watch_begin(&watch);
    bench_meter_start(&meter);
    for (uint64_t i = 0; i < load.records; i++)
        drive_append(log, 1, i);
    bench_wait(&load.is_done);
    bench_meter_stop(&meter);
    bench_figure(run, "rss-over", (double)resident_watch_end(&watch) - (double)empty);
    bench_figure(run, "at-once", load.most);
    klane_stop(runtime);
    drive_wait(runtime);
    drive_check_committed(log, 1, load.records);
    bench_meter_report(&meter, run, load.records);
    drive_settings(run, load.records, load.records, 1, WORKERS);
    bench_setting(run, "budget_bytes", BUDGET);
    bench_setting(run, "weight_bytes", WEIGHT);
    bench_setting(run, "handler_ms", HOLD_MS);
    drive_destroy(runtime);
}

const struct bench_case weight_cases[] = {
    {
        .name = "weight",
        .what =
            "Handlers that take 50 MiB each, as their weight says, under a budget of 200 MiB.",
        .arms = {{.name = "klane", .run = weight_run}},
        .targets = {{"klane", "at-once", 4}, {"klane", "rss-over", 216 * 1048576.0}},
    },
    {.name = NULL},
};
