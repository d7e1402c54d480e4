/* SPDX-License-Identifier: Apache-2.0 */
/* A restart on the embedded log, which the arm's own process appends to. */
#include "cases/cases.h"
#include "cases/restart.h"
#include "lib/scratch_log.h"

#include <unistd.h>

enum { BATCH_MS = 10, BATCH_RECORDS = RESTART_RATE * BATCH_MS / 1000 };

static struct klane_runtime *create(struct restart *restart, struct drive *drive)
{
    return drive_create(drive, scratch_source(restart->log, "group"));
}

static void append(struct klane_sqlite *log, uint64_t keys_of_all, uint64_t *state)
{
    struct klane_sqlite_record batch[BATCH_RECORDS];
    unsigned char keys[BATCH_RECORDS][DRIVE_KEY_BYTES];

    for (int i = 0; i < BATCH_RECORDS; i++) {
        uint64_t number = drive_random(state) % keys_of_all;

        drive_key(keys[i], number);
        batch[i] = (struct klane_sqlite_record){
            .topic = DRIVE_TOPIC,
            .key = keys[i],
            .key_size = DRIVE_KEY_BYTES,
            .value = drive_value,
            .value_size = DRIVE_VALUE_BYTES,
            .timestamp_ms = -1,
            .partition = (int32_t)(number % RESTART_PARTITIONS),
        };
    }
    bench_check(klane_sqlite_append_batch(log, batch, BATCH_RECORDS, NULL), "append");
}

/* By the timetable, if there is one; what is late is made up for. */
static void feed(struct klane_sqlite *log, const struct restart *restart)
{
    bool is_paced = !restart->plan->is_far;
    int64_t begin_ns = bench_now_ns();
    uint64_t state = 1;

    for (uint64_t fed = 0; fed < restart->records; fed += BATCH_RECORDS) {
        int64_t due_ns = begin_ns + (int64_t)(fed / BATCH_RECORDS) * BATCH_MS * 1000000;
        int64_t wait_ns = due_ns - bench_now_ns();

        if (is_paced && wait_ns > 0)
            usleep((useconds_t)(wait_ns / 1000));
        append(log, restart->plan->keys, &state);
    }
}

static void run_log(struct bench_run *run)
{
    struct restart restart = {.key_number = drive_key_number, .create = create};
    char path[SCRATCH_PATH_MAX];
    struct klane_sqlite *log;
    pid_t feeder, first;

    restart_init(&restart, run);
    scratch_path(run, "restart.klane", path);
    restart.log = path;
    scratch_remove(path);
    klane_sqlite_close(scratch_log_open(path, RESTART_PARTITIONS));
    /* Nobody has the log open when a process begins: a child could not use it. */
    feeder = fork();
    if (feeder == 0) {
        log = scratch_log_open(path, RESTART_PARTITIONS);
        feed(log, &restart);
        klane_sqlite_close(log);
        _exit(0);
    }
    if (restart.plan->is_far)
        restart_wait(feeder);
    first = restart_begin(&restart, 1);
    restart_kill(&restart, first);
    if (!restart.plan->is_far)
        restart_wait(feeder);
    restart_finish(&restart, run);
    scratch_settings(run);
}

const struct bench_case restart_log_cases[] = {
    {
        .name = "restart-1",
        .is_long = true,
        .what = "One key stuck, then kill -9: records of the embedded log that run again, by "
                "commit interval, and without a progress map.",
        .arms = {RESTART_ARM(run_log, 1s), RESTART_ARM(run_log, 100ms),
                 RESTART_ARM(run_log, contiguous)},
    },
    {
        .name = "restart-250",
        .what = "The same with 250 of 1,000 keys stuck.",
        .arms = {RESTART_ARM(run_log, 250_1s), RESTART_ARM(run_log, 250_100ms)},
    },
    {
        .name = "restart-1000",
        .is_long = true,
        .what = "The same with 1,000 of 2,000 keys of one partition stuck, by the size of the "
                "progress map.",
        .arms = {RESTART_ARM(run_log, 4k_1s), RESTART_ARM(run_log, 16k_1s),
                 RESTART_ARM(run_log, 16k_100ms)},
    },
    {
        .name = "restart-far",
        .what =
            "One key stuck, and all of 3 million records behind it handled but the last: time "
            "to the first new record after a kill -9.",
        .arms = {RESTART_ARM(run_log, far)},
    },
    {.name = NULL},
};
