/* SPDX-License-Identifier: Apache-2.0 */
/* The budget on the embedded log, to which all records are appended in one transaction. */
#include "cases/budget.h"
#include "cases/cases.h"
#include "lib/scratch_log.h"

#include <stdlib.h>

static void make(void *path)
{
    scratch_remove(path);
    klane_sqlite_close(scratch_log_open(path, BUDGET_PARTITIONS));
}

/* All values are parts of the same bytes, so that this takes no memory of their own. */
static void append(void *path, uint64_t records, const void *value)
{
    struct klane_sqlite_record *batch = calloc(records, sizeof(*batch));
    unsigned char(*keys)[DRIVE_KEY_BYTES] = calloc(records, sizeof(*keys));
    struct klane_sqlite *log = scratch_log_open(path, BUDGET_PARTITIONS);
    uint64_t state = 1, number;

    if (batch == NULL || keys == NULL)
        bench_fail("no memory");
    for (uint64_t i = 0; i < records; i++) {
        size_t size = budget_next(&state, &number);

        drive_key(keys[i], number);
        batch[i] = (struct klane_sqlite_record){
            .topic = DRIVE_TOPIC,
            .key = keys[i],
            .value = value,
            .key_size = DRIVE_KEY_BYTES,
            .value_size = size,
            .timestamp_ms = 1,
            .partition = (int32_t)(number % BUDGET_PARTITIONS),
        };
    }
    if (klane_sqlite_append_batch(log, batch, records, NULL) != KLANE_OK)
        bench_fail("klane_sqlite_append_batch: %s", klane_sqlite_errmsg(log));
    klane_sqlite_close(log);
}

static struct klane_runtime *create(void *path, struct drive *drive)
{
    return drive_create(drive, scratch_source(path, "bench"));
}

static void budget_log_run(struct bench_run *run)
{
    static const struct budget_log log = {make, append, create, scratch_settings};
    char path[SCRATCH_PATH_MAX];

    scratch_path(run, "budget.klane", path);
    budget_run(run, &log, path);
}

const struct bench_case budget_cases[] = {
    {
        .name = "budget",
        .what = "Records of 1 KiB to 8 MiB under a budget of 64 MiB, slow handlers: resident "
                "memory beyond that of an empty log, and the longest wait of a partition.",
        .arms = {{.name = "klane", .run = budget_log_run, .plan = &budget_plan_short}},
        .targets = {{"klane", "rss-over", 80 * 1048576.0}, {"klane", "wait", 10}},
    },
    {
        .name = "budget-5min",
        .is_long = true,
        .what = "The same with handlers so slow that it takes five minutes.",
        .arms = {{.name = "klane", .run = budget_log_run, .plan = &budget_plan_long}},
        .targets = {{"klane", "rss-over", 80 * 1048576.0}, {"klane", "wait", 30}},
    },
    {.name = NULL},
};
