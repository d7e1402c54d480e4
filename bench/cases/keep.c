/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded log when it is large, and while it is cleaned. Whoever cleans is a source, as in a
 * program; it consumes another topic, in which nothing comes. */
#include "cases/cases.h"
#include "lib/resident.h"
#include "lib/scratch_log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>

#define OTHER_TOPIC "other"

enum { KEYS_LARGE = 10000, KEYS_COMPACT = 100000, RECORD_BYTES = 116 };

static enum klane_outcome handle_nothing(const struct klane_record *record, void *context)
{
    (void)record, (void)context;
    return KLANE_DONE;
}

/* A runtime whose source has nothing to do but to clean. */
static struct klane_runtime *start_cleaner(struct klane_sqlite *log, const char *path)
{
    struct klane_runtime *runtime;

    bench_check(klane_sqlite_topic(log, OTHER_TOPIC, 1), "klane_sqlite_topic");
    bench_check(klane_create(NULL, scratch_source(path, "cleaner"), &runtime, NULL, 0),
                "klane_create");
    bench_check(klane_handle(runtime, OTHER_TOPIC, handle_nothing, NULL), "klane_handle");
    bench_check(klane_start(runtime), "klane_start");
    return runtime;
}

static void stop(struct klane_runtime *runtime)
{
    klane_stop(runtime);
    drive_wait(runtime);
    drive_destroy(runtime);
}

static void keep(struct klane_sqlite *log, int64_t bytes, bool is_compacted)
{
    struct klane_sqlite_keep rules;

    klane_sqlite_keep_init(&rules, sizeof(rules));
    rules.bytes = bytes;
    rules.compact = is_compacted;
    bench_check(klane_sqlite_keep(log, DRIVE_TOPIC, &rules), "klane_sqlite_keep");
}

static int64_t ask(const char *path, const char *sql)
{
    sqlite3 *raw;
    int64_t number;

    if (sqlite3_open(path, &raw) != SQLITE_OK)
        bench_fail("%s: %s", path, sqlite3_errmsg(raw));
    sqlite3_busy_timeout(raw, 10000);
    number = scratch_number(raw, sql);
    sqlite3_close(raw);
    return number;
}

/* ---- log-large --------------------------------------------------------------------------- */

struct large_plan {
    uint64_t filled; /* before; 0: a fresh log */
    uint64_t filled_quick;
    uint64_t records; /* appended or read, between the ends of the clock */
    uint64_t records_quick;
};

static const struct large_plan plan_large = {100000000, 50000, 2000000, 10000};
static const struct large_plan plan_fresh = {0, 0, 2000000, 10000};

static void large_prepare(struct bench_run *run)
{
    const struct large_plan *plan = run->plan;
    char path[SCRATCH_PATH_MAX];
    struct klane_sqlite *log;

    scratch_path(run, "large.klane", path);
    log = scratch_log_open(path, 1);
    scratch_log_fill(log, bench_count(run, plan->filled, plan->filled_quick), KEYS_LARGE);
    klane_sqlite_close(log);
}

/* The log of this arm. In a large one a tenth of what it has is to go. */
static struct klane_sqlite *large_open(struct bench_run *run, char path[SCRATCH_PATH_MAX])
{
    const struct large_plan *plan = run->plan;
    struct klane_sqlite *log;
    int64_t bytes;

    scratch_path(run, plan->filled > 0 ? "large.klane" : "fresh.klane", path);
    if (plan->filled == 0)
        scratch_remove(path);
    log = scratch_log_open(path, 1);
    bytes = ask(path, "SELECT sum(bytes) FROM klane_partitions");
    if (plan->filled > 0)
        keep(log, bytes - bytes / 10, false);
    return log;
}

static void large_settings(struct bench_run *run, int64_t let_go)
{
    const struct large_plan *plan = run->plan;

    bench_setting(run, "records", (int64_t)bench_count(run, plan->records, plan->records_quick));
    bench_setting(run, "filled", (int64_t)bench_count(run, plan->filled, plan->filled_quick));
    bench_setting(run, "let_go", let_go);
    scratch_settings(run);
}

static void large_append_run(struct bench_run *run)
{
    const struct large_plan *plan = run->plan;
    uint64_t records = bench_count(run, plan->records, plan->records_quick);
    char path[SCRATCH_PATH_MAX];
    struct klane_sqlite *log = large_open(run, path);
    struct klane_runtime *cleaner = start_cleaner(log, path);
    int64_t first = ask(path, "SELECT max(first) FROM klane_partitions");
    struct resident_watch watch;
    struct bench_meter meter;

    resident_watch_begin(&watch);
    bench_meter_start(&meter);
    scratch_log_fill(log, records, KEYS_LARGE);
    bench_meter_stop(&meter);
    bench_figure(run, "rss", (double)resident_watch_end(&watch));
    first = ask(path, "SELECT max(first) FROM klane_partitions") - first;
    stop(cleaner);
    klane_sqlite_close(log);
    bench_meter_report(&meter, run, records);
    large_settings(run, first);
}

struct reading {
    _Atomic uint64_t handled;
    uint64_t records;
    sem_t done;
};

static enum klane_outcome handle_and_count(const struct klane_record *record, void *context)
{
    struct reading *reading = context;

    (void)record;
    /* Relaxed: one worker counts; the semaphore orders. */
    if (atomic_fetch_add_explicit(&reading->handled, 1, memory_order_relaxed) + 1 ==
        reading->records)
        sem_post(&reading->done);
    return KLANE_DONE;
}

/* The group begins in the middle of what was there before: as if it had committed that. */
static void commit_middle(const char *path, uint64_t offset)
{
    char sql[256];

    snprintf(sql, sizeof(sql),
             "INSERT INTO klane_groups (name) VALUES ('reader') ON CONFLICT DO UPDATE SET"
             " generation = generation RETURNING id");
    int64_t group = ask(path, sql);

    snprintf(sql, sizeof(sql),
             "INSERT OR REPLACE INTO klane_offsets VALUES (%lld, 1, %llu, NULL)"
             " RETURNING 1",
             (long long)group, (unsigned long long)offset);
    ask(path, sql);
}

static void large_read_run(struct bench_run *run)
{
    const struct large_plan *plan = run->plan;
    uint64_t records = bench_count(run, plan->records, plan->records_quick);
    char path[SCRATCH_PATH_MAX];
    struct klane_sqlite *log = large_open(run, path);
    struct reading reading = {.records = records};
    struct klane_runtime *runtime;
    struct resident_watch watch;
    struct bench_meter meter;
    struct drive drive;
    int64_t first;

    if (plan->filled == 0)
        scratch_log_fill(log, records, KEYS_LARGE);
    commit_middle(path, bench_count(run, plan->filled, plan->filled_quick) / 2);
    first = ask(path, "SELECT max(first) FROM klane_partitions");
    sem_init(&reading.done, 0, 0);
    drive_init(&drive, 1, handle_and_count, &reading);
    runtime = drive_create(&drive, scratch_source(path, "reader"));
    resident_watch_begin(&watch);
    bench_meter_start(&meter);
    bench_check(klane_start(runtime), "klane_start");
    bench_wait(&reading.done);
    bench_meter_stop(&meter);
    bench_figure(run, "rss", (double)resident_watch_end(&watch));
    first = ask(path, "SELECT max(first) FROM klane_partitions") - first;
    stop(runtime);
    klane_sqlite_close(log);
    bench_meter_report(&meter, run, records);
    large_settings(run, first);
}

/* ---- log-compact ------------------------------------------------------------------------- */

struct compact_plan {
    bool is_compacted;
};

static const struct compact_plan plan_compact = {true};
static const struct compact_plan plan_plain = {false};

static void compact_run(struct bench_run *run)
{
    const struct compact_plan *plan = run->plan;
    uint64_t records = bench_count(run, 10000000, 20000);
    uint64_t keys = bench_count(run, KEYS_COMPACT, 1000);
    struct klane_runtime *cleaner;
    char path[SCRATCH_PATH_MAX];
    struct klane_sqlite *log;
    struct bench_meter meter;
    struct stat status;
    klane_err_t err;

    scratch_path(run, "compact.klane", path);
    scratch_remove(path);
    log = scratch_log_open(path, 1);
    keep(log, -1, plan->is_compacted);
    cleaner = start_cleaner(log, path);
    bench_meter_start(&meter);
    scratch_log_fill(log, records, keys);
    bench_meter_stop(&meter);
    bench_setting(run, "left", ask(path, "SELECT count(*) FROM klane_records"));
    stop(cleaner);
    while ((err = klane_sqlite_clean(log)) == KLANE_ERR_BUSY)
        bench_sleep_ms(10);
    bench_check(err, "klane_sqlite_clean");
    if (plan->is_compacted)
        bench_check_count((uint64_t)ask(path, "SELECT count(*) FROM klane_records"), keys,
                          "left");
    klane_sqlite_close(log);
    if (stat(path, &status) != 0)
        bench_fail("stat");
    bench_meter_report(&meter, run, records);
    bench_figure(run, "bytes", (double)status.st_size / (double)keys);
    bench_setting(run, "records", (int64_t)records);
    bench_setting(run, "keys", (int64_t)keys);
    scratch_settings(run);
    scratch_remove(path);
}

const struct bench_case keep_cases[] = {
    {
        .name = "log-large",
        .is_long = true,
        .what = "Appending to, and reading from the middle of, an embedded log of 100,000,000 "
                "records while retention lets go of its oldest, beside a fresh log.",
        .arms = {{.name = "append", .run = large_append_run, .plan = &plan_large},
                 {.name = "append-fresh", .run = large_append_run, .plan = &plan_fresh},
                 {.name = "read", .run = large_read_run, .plan = &plan_large},
                 {.name = "read-fresh", .run = large_read_run, .plan = &plan_fresh}},
        .ratios = {{"share", "append", "append-fresh"},
                   {"share", "read", "read-fresh"},
                   {"rss-share", "append", "append-fresh"},
                   {"rss-share", "read", "read-fresh"}},
        .targets = {{"append", "share", 0.8},
                    {"read", "share", 0.8},
                    {"append", "rss-share", 1.1},
                    {"read", "rss-share", 1.1}},
        .prepare = large_prepare,
        .prepare_plan = &plan_large,
    },
    {
        .name = "log-compact",
        .is_long = true,
        .what = "10,000,000 records over 100,000 keys appended while compaction runs, beside no "
                "compaction; bytes: of the file for each key, when it is over.",
        .arms = {{.name = "klane", .run = compact_run, .plan = &plan_compact},
                 {.name = "plain", .run = compact_run, .plan = &plan_plain}},
        .ratios = {{"share", "klane", "plain"}},
        .targets = {{"klane", "share", 0.8}, {"klane", "bytes", 200}},
    },
    {.name = NULL},
};
