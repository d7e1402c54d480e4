/* SPDX-License-Identifier: Apache-2.0 */
/* All workers stuck: as many handlers as there are workers do not return, while records of other
 * keys keep coming. Others go on by spare workers, once the stuck ones are known to be slow.
 *
 * In each trial the pause is the longest time without a record of another key handled, from when
 * the last worker got stuck. What was stuck then returns, and everything has to be committed. */
#include "cases/cases.h"
#include "lib/histogram.h"
#include "lib/steady.h"

#include <stdlib.h>

enum { STUCK = 16, WORKERS_MAX = 32, KEYS = 1000, RATE = 10000, TRIALS = 10, WATCH_MS = 2000 };

struct all_stuck_plan {
    uint32_t slow_ms; /* 0: the default */
};

/* Relaxed all: times and counts that order nothing. */
struct trial {
    sem_t are_stuck;
    sem_t gate;
    _Atomic uint32_t stuck;
    _Alignas(64) _Atomic int64_t handled_ns; /* the last of another key; 0: none yet */
    _Atomic int64_t pause_ns;
    _Atomic uint64_t handled;
};

static void note_pause(struct trial *trial, int64_t pause_ns)
{
    int64_t most = atomic_load_explicit(&trial->pause_ns, memory_order_relaxed);

    while (pause_ns > most &&
           !atomic_compare_exchange_weak_explicit(&trial->pause_ns, &most, pause_ns,
                                                  memory_order_relaxed, memory_order_relaxed))
        continue;
}

static void get_stuck(struct trial *trial)
{
    if (atomic_fetch_add_explicit(&trial->stuck, 1, memory_order_relaxed) + 1 == STUCK) {
        atomic_store_explicit(&trial->handled_ns, bench_now_ns(), memory_order_relaxed);
        sem_post(&trial->are_stuck);
    }
    bench_wait(&trial->gate);
}

static enum klane_outcome handle_trial(const struct klane_record *record, void *context)
{
    struct trial *trial = context;
    int64_t before_ns, now_ns;

    if (drive_key_number(record->key) < STUCK) {
        get_stuck(trial);
        return KLANE_DONE;
    }
    now_ns = bench_now_ns();
    before_ns = atomic_exchange_explicit(&trial->handled_ns, now_ns, memory_order_relaxed);
    if (atomic_load_explicit(&trial->stuck, memory_order_relaxed) == STUCK)
        note_pause(trial, now_ns - before_ns);
    atomic_fetch_add_explicit(&trial->handled, 1, memory_order_relaxed);
    return KLANE_DONE;
}

/* after_ms: when the stuck ones come, as control looks at workers only now and then. Returns the
 * pause. */
static int64_t try_once(const struct bench_run *run, struct drive *drive, uint64_t after_ms,
                        uint64_t *handled)
{
    struct trial trial = {.pause_ns = 0};
    struct klane_source *log = drive_log(1);
    struct steady others = {
        .log = log, .topic = DRIVE_TOPIC, .rate = RATE, .first = STUCK, .keys = KEYS};
    struct klane_runtime *runtime;
    int64_t pause_ns;
    uint64_t appended;

    sem_init(&trial.are_stuck, 0, 0);
    sem_init(&trial.gate, 0, 0);
    drive->route.context = &trial;
    runtime = drive_create(drive, log);
    bench_check(klane_start(runtime), "klane_start");
    steady_begin(&others);
    bench_sleep_ms(after_ms);
    for (uint64_t i = 0; i < STUCK; i++)
        drive_append(log, 1, i);
    bench_wait(&trial.are_stuck);
    bench_sleep_ms(bench_count(run, WATCH_MS, 1500));
    note_pause(&trial, bench_now_ns() - trial.handled_ns);
    pause_ns = trial.pause_ns;
    for (int i = 0; i < STUCK; i++)
        sem_post(&trial.gate);
    appended = steady_end(&others);
    while (drive_stats(runtime).done < appended + STUCK)
        bench_sleep_ms(1);
    klane_stop(runtime);
    drive_wait(runtime);
    drive_check_committed(log, 1, appended + STUCK);
    bench_check_count(trial.handled, appended, "records of other keys");
    *handled += appended;
    drive_destroy(runtime);
    return pause_ns;
}

static void all_stuck_run(struct bench_run *run)
{
    const struct all_stuck_plan *plan = run->plan;
    uint64_t trials = bench_count(run, TRIALS, 1), handled = 0, most_ns = 0, state = 1;
    struct histogram *pauses = calloc(1, sizeof(*pauses));
    struct bench_meter meter;
    struct drive drive;

    drive_init(&drive, STUCK, handle_trial, NULL);
    drive.options.workers_max = WORKERS_MAX;
    if (plan->slow_ms != 0)
        drive.route.slow_ms = plan->slow_ms;
    bench_meter_start(&meter);
    for (uint64_t i = 0; i < trials; i++) {
        uint64_t pause_ns =
            (uint64_t)try_once(run, &drive, 100 + drive_random(&state) % 250, &handled);

        histogram_add(pauses, pause_ns);
        if (pause_ns > most_ns)
            most_ns = pause_ns;
    }
    bench_meter_stop(&meter);
    bench_meter_report(&meter, run, handled);
    bench_figure(run, "pause", (double)most_ns / 1e6);
    bench_figure(run, "p50", (double)histogram_quantile(pauses, 0.5) / 1000);
    drive_settings(run, handled, KEYS, 1, STUCK);
    bench_setting(run, "workers_max", WORKERS_MAX);
    bench_setting(run, "slow_ms", drive.route.slow_ms);
    bench_setting(run, "records_per_second", RATE);
    bench_setting(run, "trials", (int64_t)trials);
    free(pauses);
}

static const struct all_stuck_plan plan_default = {0}, plan_1000 = {1000};

const struct bench_case all_stuck_cases[] = {
    {
        .name = "all-stuck",
        .what = "All of 16 workers stuck, up to 32 allowed, while 10,000 records a second of "
                "other keys come: the longest pause of these in each of ten trials.",
        .arms = {{.name = "klane", .run = all_stuck_run, .plan = &plan_default, .own_work = true},
                 {.name = "klane-slow-1000",
                  .run = all_stuck_run,
                  .plan = &plan_1000,
                  .own_work = true}},
        .targets = {{"klane", "pause", 1000}},
    },
    {.name = NULL},
};
