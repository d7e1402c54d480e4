/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded log: durable appends in transactions of 1,000, and reading with an empty handler;
 * beside a plain SQLite table of the same rows, as durable.
 *
 * Appending, both arms sync each transaction. Reading, both files were written before, and are in
 * the page cache; klane also hands each record to a worker and commits, the table is only read. */
#include "cases/cases.h"
#include "lib/scratch_log.h"

#include <stdio.h>

enum { KEYS = 10000 };

struct log_plan {
    uint64_t records;
    uint64_t records_quick;
};

static const struct log_plan plan_append = {300000, 20000};
static const struct log_plan plan_read = {1000000, 50000};

static void append_settings(struct bench_run *run, uint64_t records)
{
    bench_setting(run, "records", (int64_t)records);
    bench_setting(run, "records_in_transaction", SCRATCH_BATCH);
    bench_setting(run, "transactions", (int64_t)(records / SCRATCH_BATCH));
    bench_setting(run, "key_bytes", DRIVE_KEY_BYTES);
    bench_setting(run, "value_bytes", DRIVE_VALUE_BYTES);
    scratch_settings(run);
}

static void klane_append_run(struct bench_run *run)
{
    const struct log_plan *plan = run->plan;
    uint64_t records = bench_count(run, plan->records, plan->records_quick);
    char path[SCRATCH_PATH_MAX];
    struct klane_sqlite *log;
    struct bench_meter meter;

    scratch_path(run, "append.klane", path);
    log = scratch_log_open(path, 1);
    bench_meter_start(&meter);
    scratch_log_fill(log, records, KEYS);
    bench_meter_stop(&meter);
    klane_sqlite_close(log);
    scratch_remove(path);
    bench_meter_report(&meter, run, records);
    append_settings(run, records);
}

static void bare_append_run(struct bench_run *run)
{
    const struct log_plan *plan = run->plan;
    uint64_t records = bench_count(run, plan->records, plan->records_quick);
    char path[SCRATCH_PATH_MAX];
    struct bench_meter meter;
    sqlite3 *table;

    scratch_path(run, "append.sqlite", path);
    table = scratch_table_open(path);
    bench_meter_start(&meter);
    scratch_table_fill(table, records, KEYS);
    bench_meter_stop(&meter);
    sqlite3_close(table);
    scratch_remove(path);
    bench_meter_report(&meter, run, records);
    append_settings(run, records);
}

/* ---- reading --------------------------------------------------------------------------- */

static void read_prepare(struct bench_run *run)
{
    const struct log_plan *plan = run->plan;
    uint64_t records = bench_count(run, plan->records, plan->records_quick);
    char path[SCRATCH_PATH_MAX];
    struct klane_sqlite *log;
    sqlite3 *table;

    scratch_path(run, "read.klane", path);
    log = scratch_log_open(path, 1);
    scratch_log_fill(log, records, KEYS);
    klane_sqlite_close(log);
    scratch_path(run, "read.sqlite", path);
    table = scratch_table_open(path);
    scratch_table_fill(table, records, KEYS);
    sqlite3_close(table);
}

static enum klane_outcome handle_nothing(const struct klane_record *record, void *context)
{
    (void)record;
    (void)context;
    return KLANE_DONE;
}

/* Each round has a group of its own, so that it begins at the log's first record. */
static void klane_read_run(struct bench_run *run)
{
    const struct log_plan *plan = run->plan;
    uint64_t records = bench_count(run, plan->records, plan->records_quick);
    char path[SCRATCH_PATH_MAX], group[32];
    struct klane_runtime *runtime;
    struct bench_meter meter;
    struct drive drive;

    scratch_path(run, "read.klane", path);
    snprintf(group, sizeof(group), "round-%u", run->round);
    drive_init(&drive, 1, handle_nothing, NULL);
    drive.options.stop_when_caught_up = true;
    runtime = drive_create(&drive, scratch_source(path, group));
    bench_meter_start(&meter);
    bench_check(klane_start(runtime), "klane_start");
    drive_wait(runtime);
    bench_meter_stop(&meter);
    bench_check_count(drive_stats(runtime).done, records, "records done");
    bench_meter_report(&meter, run, records);
    drive_settings(run, records, KEYS, 1, 1);
    bench_setting(run, "commits", (int64_t)drive_stats(runtime).commits);
    scratch_settings(run);
    drive_destroy(runtime);
}

static void bare_read_run(struct bench_run *run)
{
    const struct log_plan *plan = run->plan;
    char path[SCRATCH_PATH_MAX];
    struct bench_meter meter;
    uint64_t records;
    sqlite3 *table;

    scratch_path(run, "read.sqlite", path);
    table = scratch_table_open(path);
    bench_meter_start(&meter);
    records = scratch_table_read(table);
    bench_meter_stop(&meter);
    sqlite3_close(table);
    bench_check_count(records, bench_count(run, plan->records, plan->records_quick),
                      "records read");
    bench_meter_report(&meter, run, records);
    bench_setting(run, "records", (int64_t)records);
    scratch_settings(run);
}

const struct bench_case log_cases[] = {
    {
        .name = "log-append",
        .what = "Durable appends to the embedded log, 1,000 records in a transaction, beside "
                "plain SQLite.",
        .arms = {{.name = "klane", .run = klane_append_run, .plan = &plan_append},
                 {.name = "bare", .run = bare_append_run, .plan = &plan_append}},
        .ratios = {{"share", "klane", "bare"}},
        .targets = {{"klane", "throughput", 250000}},
    },
    {
        .name = "log-read",
        .what = "Records of the embedded log read, handled by an empty handler and committed, "
                "beside plain SQLite that only reads.",
        .arms = {{.name = "klane", .run = klane_read_run, .plan = &plan_read},
                 {.name = "bare", .run = bare_read_run, .plan = &plan_read}},
        .ratios = {{"share", "klane", "bare"}},
        .targets = {{"klane", "throughput", 1e6}},
        .prepare = read_prepare,
        .prepare_plan = &plan_read,
    },
    {.name = NULL},
};
