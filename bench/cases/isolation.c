/* SPDX-License-Identifier: Apache-2.0 */
/* Isolation: one key is never finished, and all others go on as if it were.
 *
 * Both arms read the same log. In arm klane the first record of key 0 is answered later, after all
 * others are handled; what is behind it in its lane stays in memory until then. The clock runs
 * until every record of the other keys is handled. */
#include "cases/cases.h"
#include "lib/drive.h"

#include <semaphore.h>

enum { KEYS = 10000, STUCK_RECORDS = 1000 };

struct isolation_plan {
    bool stuck;
    uint64_t records; /* of other keys */
    uint64_t records_quick;
};

/* The one worker's, but for what is fixed; main looks behind the semaphore. */
struct watch {
    bool stuck;
    uint64_t records;
    uint64_t handled;
    uint64_t handled_of_key;
    klane_token_t token;
    sem_t done;
};

static enum klane_outcome handle_watched(const struct klane_record *record, void *context)
{
    struct watch *watch = context;

    if (drive_key_number(record->key) == 0) {
        if (watch->stuck && watch->handled_of_key++ == 0)
            return klane_later(record, &watch->token);
        return KLANE_DONE;
    }
    if (++watch->handled == watch->records)
        sem_post(&watch->done);
    return KLANE_DONE;
}

/* Key 0 comes again and again from the start on. */
static void fill(struct klane_source *log, uint64_t records)
{
    uint64_t state = 1, every = records / STUCK_RECORDS;

    for (uint64_t i = 0; i < records; i++) {
        if (i % every == 0)
            drive_append(log, 1, 0);
        drive_append(log, 1, 1 + drive_random(&state) % (KEYS - 1));
    }
}

static void isolation_run(struct bench_run *run)
{
    const struct isolation_plan *plan = run->plan;
    struct watch watch = {
        .stuck = plan->stuck,
        .records = bench_count(run, plan->records, plan->records_quick),
    };
    struct klane_source *log = drive_log(1);
    struct klane_runtime *runtime;
    struct bench_meter meter;
    struct drive drive;

    sem_init(&watch.done, 0, 0);
    fill(log, watch.records);
    drive_init(&drive, 1, handle_watched, &watch);
    drive.options.stop_when_caught_up = true;
    runtime = drive_create(&drive, log);
    bench_meter_start(&meter);
    bench_check(klane_start(runtime), "klane_start");
    bench_wait(&watch.done);
    bench_meter_stop(&meter);
    if (watch.stuck) {
        bench_check_count(watch.handled_of_key, 1, "records of the stuck key that started");
        bench_check(klane_finish(runtime, watch.token, KLANE_DONE, -1, NULL), "klane_finish");
    }
    drive_wait(runtime);
    drive_check_committed(log, 1, watch.records + STUCK_RECORDS);
    bench_meter_report(&meter, run, watch.records);
    drive_settings(run, watch.records, KEYS, 1, 1);
    bench_setting(run, "stuck_key_records", STUCK_RECORDS);
    drive_destroy(runtime);
}

static const struct isolation_plan plan_stuck = {true, 3000000, 200000};
static const struct isolation_plan plan_free = {false, 3000000, 200000};

const struct bench_case isolation_cases[] = {
    {
        .name = "stuck-key",
        .what = "3,000,000 records of other keys beside one that is never finished.",
        .arms = {{.name = "klane", .run = isolation_run, .plan = &plan_stuck},
                 {.name = "klane-free", .run = isolation_run, .plan = &plan_free}},
        .ratios = {{"share", "klane", "klane-free"}},
        .targets = {{"klane", "share", 0.95}},
    },
    {.name = NULL},
};
