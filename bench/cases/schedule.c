/* SPDX-License-Identifier: Apache-2.0 */
/* Schedule: how near 64 workers with sleeping handlers come to 64 threads that do nothing but
 * sleep and count. A tenth more than is counted is in the log. */
#include "cases/cases.h"
#include "lib/drive.h"
#include "lib/sleepers.h"

enum { KEYS = 10000, WORKERS = 64 };

static void klane_run_schedule(struct bench_run *run)
{
    struct klane_source *log = drive_log(1);
    struct klane_runtime *runtime;
    struct sleepers sleepers;
    struct drive drive;

    sleepers_init(&sleepers, run->plan, run);
    drive_fill(log, 1, sleepers.records + sleepers.records / 10, KEYS);
    drive_init(&drive, WORKERS, sleepers_handle, &sleepers);
    runtime = drive_create(&drive, log);
    sleepers_begin(&sleepers);
    bench_check(klane_start(runtime), "klane_start");
    sleepers_wait(&sleepers);
    klane_stop(runtime);
    drive_wait(runtime);
    sleepers_report(&sleepers, run);
    drive_settings(run, sleepers.records, KEYS, 1, WORKERS);
    drive_destroy(runtime);
}

static const struct sleepers_plan plan_1ms = {1, WORKERS, 200000, 20000, false, 0};
static const struct sleepers_plan plan_10ms = {10, WORKERS, 24000, 2400, false, 0};
static const struct sleepers_plan plan_100ms = {100, WORKERS, 2560, 256, false, 0};

#define SCHEDULE_CASE(sleep)                                                                     \
    {                                                                                            \
        .name = "schedule-" #sleep,                                                              \
        .what = "Handlers that sleep for " #sleep ", 64 workers, 10,000 keys, beside 64 bare "   \
                "threads.",                                                                      \
        .arms = {{.name = "klane", .run = klane_run_schedule, .plan = &plan_##sleep},            \
                 {.name = "bare", .run = sleepers_bare_run, .plan = &plan_##sleep}},             \
        .ratios = {{"ideal", "klane", "bare"}}, .targets = {{"klane", "ideal", 0.97}},           \
    }

const struct bench_case schedule_cases[] = {
    SCHEDULE_CASE(1ms),
    SCHEDULE_CASE(10ms),
    SCHEDULE_CASE(100ms),
    {.name = NULL},
};
