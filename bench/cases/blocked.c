/* SPDX-License-Identifier: Apache-2.0 */
/* A thousand blocked keys: the first record of each is taken by klane_take() and not finished, and
 * thousands more of each are spread over the log between records of other keys. The clock runs
 * until every record of the other keys is handled; memory must not grow with what is behind the
 * blocked ones.
 *
 * Workers begin once the taker has a record of each blocked key: beside idle workers it would be
 * woken last. In arm klane-free it finishes what it takes. */
#include "cases/cases.h"
#include "lib/mix.h"
#include "lib/resident.h"
#include "lib/scratch_log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum {
    BLOCKED = 1000,
    BEHIND = 10000, /* of each blocked key */
    BEHIND_QUICK = 50,
    OTHERS = 10000000, /* records */
    OTHERS_QUICK = 50000,
    OTHER_KEYS = 100000,
    PARTITIONS = 8,
    WORKERS = 2,
    STOP_MS = 100
};

struct blockade {
    bool is_blocked;
    uint64_t others; /* records of other keys */
    struct klane_runtime *runtime;
    klane_token_t tokens[BLOCKED]; /* the taker's until it is joined */
    sem_t has_all;                 /* the taker */
    sem_t is_done;
    /* Relaxed both: counts that order nothing. */
    _Alignas(64) _Atomic uint64_t handled; /* of others */
    _Alignas(64) _Atomic uint64_t behind;  /* records of blocked keys that were handled */
};

static struct mix mix_of(const struct bench_run *run)
{
    return (struct mix){
        .groups = {{0, BLOCKED, bench_count(run, BEHIND, BEHIND_QUICK) * BLOCKED},
                   {BLOCKED, OTHER_KEYS, bench_count(run, OTHERS, OTHERS_QUICK)}},
        .state = 1,
    };
}

static void blocked_prepare(struct bench_run *run)
{
    struct mix mix = mix_of(run);
    char path[SCRATCH_PATH_MAX];
    struct klane_sqlite *log;

    scratch_path(run, "blocked.klane", path);
    log = scratch_log_open(path, PARTITIONS);
    scratch_log_fill_by(log, PARTITIONS, mix_records(&mix), mix_next, &mix);
    klane_sqlite_close(log);
}

static void note_other(struct blockade *blockade)
{
    if (atomic_fetch_add_explicit(&blockade->handled, 1, memory_order_relaxed) + 1 ==
        blockade->others)
        sem_post(&blockade->is_done);
}

static enum klane_outcome handle(const struct klane_record *record, void *context)
{
    struct blockade *blockade = context;

    if (drive_key_number(record->key) >= BLOCKED) {
        note_other(blockade);
        return KLANE_DONE;
    }
    if (blockade->is_blocked)
        bench_fail("a record of a key that is blocked has started");
    atomic_fetch_add_explicit(&blockade->behind, 1, memory_order_relaxed);
    return KLANE_DONE;
}

static void finish(struct blockade *blockade, klane_token_t token)
{
    bench_check(klane_finish(blockade->runtime, token, KLANE_DONE, -1, NULL), "klane_finish");
}

static bool wait_for_taker(void *context, void **local)
{
    struct blockade *blockade = context;

    (void)local;
    bench_wait(&blockade->has_all);
    return true;
}

/* Until it has had as many records of blocked keys as there are such keys. */
static void *taker_main(void *argument)
{
    struct blockade *blockade = argument;
    struct klane_record record;
    uint32_t taken = 0;

    while (taken < BLOCKED) {
        klane_token_t token;
        bool is_other;

        bench_check(klane_take(blockade->runtime, &record, sizeof(record), &token, -1),
                    "klane_take");
        is_other = drive_key_number(record.key) >= BLOCKED;
        if (!is_other)
            blockade->tokens[taken++] = token;
        if (is_other || !blockade->is_blocked)
            finish(blockade, token);
        if (is_other)
            note_other(blockade);
    }
    for (int i = 0; i < WORKERS; i++)
        sem_post(&blockade->has_all);
    return NULL;
}

/* Returns what was resident when a tenth of the others were handled. */
static uint64_t resident_at_tenth(struct blockade *blockade)
{
    while (atomic_load_explicit(&blockade->handled, memory_order_relaxed) < blockade->others / 10)
        bench_sleep_ms(1);
    return resident_bytes();
}

/* What was taken stays out while the runtime stops, and is given back only then. */
static void stop(struct blockade *blockade)
{
    klane_stop(blockade->runtime);
    if (!blockade->is_blocked) {
        drive_wait(blockade->runtime);
    } else if (klane_wait(blockade->runtime, -1) != KLANE_ERR_BUSY) {
        bench_fail("klane_wait: tokens are out, and it does not say so");
    }
    for (uint32_t i = 0; blockade->is_blocked && i < BLOCKED; i++)
        if (klane_finish(blockade->runtime, blockade->tokens[i], KLANE_DONE, -1, NULL) !=
            KLANE_ERR_FENCED)
            bench_fail("klane_finish: its partition was given up, and it does not say so");
    drive_destroy(blockade->runtime);
}

static void report(struct bench_run *run, const struct blockade *blockade,
                   const struct bench_meter *meter)
{
    struct mix mix = mix_of(run);

    bench_meter_report(meter, run, blockade->others);
    drive_settings(run, mix_records(&mix), BLOCKED + OTHER_KEYS, PARTITIONS, WORKERS);
    bench_setting(run, "blocked_keys", BLOCKED);
    bench_setting(run, "behind_each", (int64_t)(mix.groups[0].records / BLOCKED));
    bench_setting(run, "parked", (int64_t)drive_stats(blockade->runtime).parked);
    bench_setting(run, "handled_of_them", (int64_t)blockade->behind);
    scratch_settings(run);
}

static void blocked_run(struct bench_run *run)
{
    static struct blockade blockade;
    char path[SCRATCH_PATH_MAX], group[32];
    struct mix mix = mix_of(run);
    struct bench_meter meter;
    struct drive drive;
    uint64_t at_tenth;
    pthread_t taker;

    blockade.is_blocked = *(const bool *)run->plan;
    blockade.others = mix.groups[1].records;
    sem_init(&blockade.has_all, 0, 0);
    sem_init(&blockade.is_done, 0, 0);
    scratch_path(run, "blocked.klane", path);
    snprintf(group, sizeof(group), "%d-%u", blockade.is_blocked, run->round);
    drive_init(&drive, WORKERS, handle, &blockade);
    drive.options.stop_ms = STOP_MS;
    drive.options.worker_start = wait_for_taker;
    drive.options.worker_context = &blockade;
    blockade.runtime = drive_create(&drive, scratch_source(path, group));
    bench_meter_start(&meter);
    bench_check(klane_start(blockade.runtime), "klane_start");
    if (pthread_create(&taker, NULL, taker_main, &blockade) != 0)
        bench_fail("no thread");
    at_tenth = resident_at_tenth(&blockade);
    bench_wait(&blockade.is_done);
    bench_meter_stop(&meter);
    bench_figure(run, "rss-growth", (double)resident_bytes() / (double)at_tenth);
    pthread_join(taker, NULL);
    report(run, &blockade, &meter);
    stop(&blockade);
}

static const bool is_blocked = true, is_free = false;

const struct bench_case blocked_cases[] = {
    {
        .name = "blocked-1000",
        .what =
            "10,000,000 records of other keys beside 1,000 that are blocked, each with 10,000 "
            "records behind.",
        .is_long = true,
        .arms = {{.name = "klane", .run = blocked_run, .plan = &is_blocked},
                 {.name = "klane-free", .run = blocked_run, .plan = &is_free}},
        .ratios = {{"share", "klane", "klane-free"}},
        .targets = {{"klane", "share", 0.95}, {"klane", "rss-growth", 1.05}},
        .prepare = blocked_prepare,
    },
    {.name = NULL},
};
