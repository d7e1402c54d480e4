/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that were blocked catch up: their first handlers wait until every record of the other keys
 * is handled, and what is behind them, spread over the whole log, takes a handler some time each.
 * Measured is from when they are let go until all of theirs is handled, by the time that their
 * handlers alone would take on the processors that there are. */
#include "cases/cases.h"
#include "lib/mix.h"
#include "lib/scratch_log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
    KEYS_MAX = 10,
    BEHIND = 100000, /* of all keys together */
    BEHIND_QUICK = 2000,
    BUSY_NS = 100000,
    OTHERS = 400000, /* records */
    OTHERS_QUICK = 8000,
    OTHER_KEYS = 10000,
    SLOW_MS = 50,
    FREE_WORKERS = 4 /* besides those whose handlers wait */
};

struct catch_up_plan {
    uint64_t keys;
    uint64_t slow; /* records of one slow key, of which there are too many for the time */
};

/* Fixed, but for counts, which order nothing, and what its key's handlers write one by one. */
struct pursuit {
    const struct catch_up_plan *plan;
    uint64_t others;
    uint64_t behind;
    sem_t is_past; /* the others are handled */
    sem_t is_let_go;
    sem_t has_caught_up;
    int64_t last[KEYS_MAX]; /* offset */
    _Alignas(64) _Atomic uint64_t others_handled;
    _Alignas(64) _Atomic uint64_t behind_handled;
    _Atomic uint64_t slow_handled;
};

static struct mix mix_of(const struct bench_run *run, const struct catch_up_plan *plan)
{
    return (struct mix){
        .groups = {{0, plan->keys, bench_count(run, BEHIND, BEHIND_QUICK)},
                   {plan->keys, 1, plan->slow},
                   {plan->keys + 1, OTHER_KEYS, bench_count(run, OTHERS, OTHERS_QUICK)}},
        .state = 1,
    };
}

static void catch_up_prepare(struct bench_run *run)
{
    struct mix mix = mix_of(run, run->plan);
    char path[SCRATCH_PATH_MAX];
    struct klane_sqlite *log;

    scratch_path(run, "catch-up.klane", path);
    log = scratch_log_open(path, 1);
    scratch_log_fill_by(log, 1, mix_records(&mix), mix_next, &mix);
    klane_sqlite_close(log);
}

/* True: it was the last. */
static bool count(_Atomic uint64_t *handled, uint64_t of)
{
    return atomic_fetch_add_explicit(handled, 1, memory_order_relaxed) + 1 == of;
}

static int64_t thread_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Of processor time, so that handlers which share a processor do not pass for faster ones. */
static void be_busy(void)
{
    int64_t end_ns = thread_ns() + BUSY_NS;

    while (thread_ns() < end_ns)
        continue;
}

static void handle_behind(struct pursuit *pursuit, const struct klane_record *record,
                          uint64_t number)
{
    if (record->offset <= pursuit->last[number])
        bench_fail("offset %lld comes behind %lld of the same key", (long long)record->offset,
                   (long long)pursuit->last[number]);
    pursuit->last[number] = record->offset;
    if (record->offset < (int64_t)pursuit->plan->keys) {
        bench_wait(&pursuit->is_let_go);
        return;
    }
    be_busy();
    if (count(&pursuit->behind_handled, pursuit->behind))
        sem_post(&pursuit->has_caught_up);
}

static enum klane_outcome handle(const struct klane_record *record, void *context)
{
    struct pursuit *pursuit = context;
    uint64_t number = drive_key_number(record->key);

    if (number < pursuit->plan->keys) {
        handle_behind(pursuit, record, number);
    } else if (number == pursuit->plan->keys) {
        bench_sleep_ms(SLOW_MS);
        count(&pursuit->slow_handled, 0);
    } else if (count(&pursuit->others_handled, pursuit->others)) {
        sem_post(&pursuit->is_past);
    }
    return KLANE_DONE;
}

static void pursuit_init(struct pursuit *pursuit, const struct bench_run *run)
{
    struct mix mix = mix_of(run, run->plan);

    *pursuit = (struct pursuit){
        .plan = run->plan,
        .behind = mix.groups[0].records,
        .others = mix.groups[2].records,
    };
    for (int i = 0; i < KEYS_MAX; i++)
        pursuit->last[i] = -1;
    sem_init(&pursuit->is_past, 0, 0);
    sem_init(&pursuit->is_let_go, 0, 0);
    sem_init(&pursuit->has_caught_up, 0, 0);
}

/* What passes read, by the bytes that lie from the first parked record to the last, which are
 * nearly all of the log. */
static void report_passes(struct bench_run *run, const struct klane_stats *stats)
{
    struct mix mix = mix_of(run, run->plan);
    uint64_t bytes = mix_records(&mix) * (DRIVE_KEY_BYTES + DRIVE_VALUE_BYTES);

    bench_figure(run, "swept", (double)stats->swept_bytes / (double)bytes);
    bench_figure(run, "passes", (double)stats->passes);
}

static void report(struct bench_run *run, const struct pursuit *pursuit, int64_t time_ns,
                   uint32_t workers)
{
    uint64_t keys = pursuit->plan->keys, at_once = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
    struct mix mix = mix_of(run, run->plan);

    if (at_once > keys)
        at_once = keys;
    run->result->work = pursuit->behind;
    bench_figure(run, "ideal-time",
                 (double)time_ns * (double)at_once / ((double)pursuit->behind * BUSY_NS));
    drive_settings(run, mix_records(&mix), keys + OTHER_KEYS, 1, workers);
    bench_setting(run, "blocked_keys", (int64_t)keys);
    bench_setting(run, "behind_them", (int64_t)pursuit->behind);
    bench_setting(run, "handler_us", BUSY_NS / 1000);
    bench_setting(run, "at_once", (int64_t)at_once);
    bench_setting(run, "slow_records", (int64_t)pursuit->plan->slow);
    bench_setting(run, "slow_records_handled", (int64_t)pursuit->slow_handled);
    scratch_settings(run);
}

static void catch_up_run(struct bench_run *run)
{
    const struct catch_up_plan *plan = run->plan;
    uint32_t workers = (uint32_t)plan->keys + FREE_WORKERS;
    char path[SCRATCH_PATH_MAX], group[32];
    struct klane_runtime *runtime;
    struct klane_stats stats;
    struct pursuit pursuit;
    struct drive drive;
    int64_t begin_ns;

    pursuit_init(&pursuit, run);
    scratch_path(run, "catch-up.klane", path);
    snprintf(group, sizeof(group), "round-%u", run->round);
    drive_init(&drive, workers, handle, &pursuit);
    runtime = drive_create(&drive, scratch_source(path, group));
    bench_check(klane_start(runtime), "klane_start");
    bench_wait(&pursuit.is_past);
    bench_check_count(pursuit.behind_handled, 0, "records handled behind one that was not");
    begin_ns = bench_now_ns();
    for (uint64_t i = 0; i < plan->keys; i++)
        sem_post(&pursuit.is_let_go);
    bench_wait(&pursuit.has_caught_up);
    report(run, &pursuit, bench_now_ns() - begin_ns, workers);
    klane_stop(runtime);
    drive_wait(runtime);
    stats = drive_stats(runtime);
    report_passes(run, &stats);
    drive_destroy(runtime);
}

static const struct catch_up_plan plan_one = {1, 0};
static const struct catch_up_plan plan_ten = {10, 400};

const struct bench_case catch_up_cases[] = {
    {
        .name = "catch-up",
        .is_long = true,
        .what = "One key with 100,000 records of 0.1 ms behind it is let go: time until it has "
                "caught up, by that of its handlers alone.",
        .arms = {{.name = "klane", .run = catch_up_run, .plan = &plan_one}},
        .targets = {{"klane", "ideal-time", 1.2}},
        .prepare = catch_up_prepare,
        .prepare_plan = &plan_one,
    },
    {
        .name = "catch-up-10",
        .is_long = true,
        .what = "The same with 10 keys and 10,000 records behind each, beside a key whose "
                "handlers sleep 50 ms.",
        .arms = {{.name = "klane", .run = catch_up_run, .plan = &plan_ten}},
        .targets = {{"klane", "ideal-time", 1.2}},
        .prepare = catch_up_prepare,
        .prepare_plan = &plan_ten,
    },
    {.name = NULL},
};
