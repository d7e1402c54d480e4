/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded log between two processes: one appends by a timetable, the other reads.
 *
 * Each millisecond, or when the last commit is over if that is later, the one appends what is due
 * in one transaction. A stall is the longest call to append, and the longest time that passed
 * between two handlers. A record is noticed when its handler starts, counted from the return of
 * the commit in the other process. A third thread says how long the machine itself stalls. */
#include "cases/cases.h"
#include "lib/histogram.h"
#include "lib/scratch_log.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEYS = 10000, NOTED_MAX = 4096 };

struct together_plan {
    uint64_t rate; /* records a second */
    uint64_t seconds;
    uint64_t seconds_quick;
    bool lets_go;  /* of what was read */
    bool is_noted; /* when each was committed, and started */
};

/* Between the processes. */
struct shared {
    uint64_t records;          /* to append */
    int64_t longest_append_ns; /* the appender's, as what follows; read when it has ended */
    int64_t committed_ns[NOTED_MAX];
    _Atomic bool is_there; /* the topic */
    _Atomic bool is_begun;
};

/* The one worker's, while it handles. */
struct together {
    struct shared *shared;
    const struct together_plan *plan;
    int64_t last_ns;
    int64_t longest_ns;
    int64_t started_ns[NOTED_MAX];
    uint64_t handled;
    sem_t done;

    _Atomic bool is_over;
    int64_t longest_nap_ns; /* the napper's; read when it has ended */
};

/* ---- the one who appends ----------------------------------------------------------------- */

static void append(struct klane_sqlite *log, struct shared *shared, uint64_t first,
                   uint64_t count, uint64_t *state)
{
    int64_t begin_ns = bench_now_ns(), end_ns;

    scratch_log_append(log, count, KEYS, state);
    end_ns = bench_now_ns();
    if (end_ns - begin_ns > shared->longest_append_ns)
        shared->longest_append_ns = end_ns - begin_ns;
    for (uint64_t i = first; i < first + count && i < NOTED_MAX; i++)
        shared->committed_ns[i] = end_ns;
}

static void feed(const char *path, struct shared *shared, uint64_t rate)
{
    struct klane_sqlite *log = scratch_log_open(path, 1);
    uint64_t sent = 0, state = 1;
    int64_t begin_ns;

    shared->is_there = true;
    while (!shared->is_begun)
        bench_sleep_ms(1);
    begin_ns = bench_now_ns();
    while (sent < shared->records) {
        uint64_t due;

        bench_sleep_ms(1);
        due = (uint64_t)((double)(bench_now_ns() - begin_ns) * 1e-9 * (double)rate);
        if (due > shared->records)
            due = shared->records;
        if (due - sent > SCRATCH_DUE_MAX)
            due = sent + SCRATCH_DUE_MAX;
        if (due > sent)
            append(log, shared, sent, due - sent, &state);
        sent = due;
    }
    klane_sqlite_close(log);
}

/* Before this process has opened a log. */
static pid_t start_feeder(const char *path, struct shared *shared, uint64_t rate)
{
    pid_t process = bench_fork();

    if (process > 0)
        return process;
    feed(path, shared, rate);
    _exit(EXIT_SUCCESS);
}

/* ---- the one who reads ------------------------------------------------------------------- */

static enum klane_outcome handle(const struct klane_record *record, void *context)
{
    struct together *together = context;
    int64_t now_ns = bench_now_ns();

    if (together->last_ns != 0 && now_ns - together->last_ns > together->longest_ns)
        together->longest_ns = now_ns - together->last_ns;
    together->last_ns = now_ns;
    if (together->plan->is_noted)
        together->started_ns[record->offset] = now_ns;
    if (++together->handled == together->shared->records)
        sem_post(&together->done);
    return KLANE_DONE;
}

/* Does nothing but to sleep for a millisecond at a time: how long the machine itself stalls. */
static void *nap(void *argument)
{
    struct together *together = argument;
    int64_t last_ns = bench_now_ns();

    while (!together->is_over) {
        int64_t now_ns;

        bench_sleep_ms(1);
        now_ns = bench_now_ns();
        if (now_ns - last_ns > together->longest_nap_ns)
            together->longest_nap_ns = now_ns - last_ns;
        last_ns = now_ns;
    }
    return NULL;
}

static void let_go(const char *path)
{
    struct klane_sqlite *log = scratch_log_open(path, 1);
    struct klane_sqlite_keep keep;

    klane_sqlite_keep_init(&keep, sizeof(keep));
    keep.passed = KLANE_SQLITE_PASSED_GO;
    bench_check(klane_sqlite_keep(log, DRIVE_TOPIC, &keep), "klane_sqlite_keep");
    klane_sqlite_close(log);
}

static void report_notice(const struct together *together, struct bench_run *run)
{
    struct histogram *histogram = calloc(1, sizeof(*histogram));

    if (histogram == NULL)
        bench_fail("no memory");
    for (uint64_t i = 0; i < together->shared->records; i++) {
        int64_t time_ns = together->started_ns[i] - together->shared->committed_ns[i];

        histogram_add(histogram, time_ns < 0 ? 0 : (uint64_t)time_ns);
    }
    bench_figure(run, "p50", (double)histogram_quantile(histogram, 0.5) / 1000);
    bench_figure(run, "p99", (double)histogram_quantile(histogram, 0.99) / 1000);
    bench_figure(run, "p999", (double)histogram_quantile(histogram, 0.999) / 1000);
    free(histogram);
}

static void report(const struct together *together, const struct bench_meter *meter,
                   struct bench_run *run)
{
    bench_meter_report(meter, run, together->shared->records);
    bench_figure(run, "busy", (double)meter->cpu_ns / (double)meter->wall_ns);
    if (together->plan->is_noted) {
        report_notice(together, run);
    } else {
        bench_figure(run, "pause", (double)together->longest_ns / 1e6);
        bench_figure(run, "append-pause", (double)together->shared->longest_append_ns / 1e6);
        bench_figure(run, "idle-pause", (double)together->longest_nap_ns / 1e6);
    }
    bench_setting(run, "records_per_second", (int64_t)together->plan->rate);
}

static void together_init(struct together *together, struct bench_run *run)
{
    const struct together_plan *plan = run->plan;
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (shared == MAP_FAILED)
        bench_fail("mmap");
    shared->records = plan->rate * bench_count(run, plan->seconds, plan->seconds_quick);
    if (plan->is_noted && shared->records > NOTED_MAX)
        bench_fail("too many records to note");
    *together = (struct together){.shared = shared, .plan = plan};
    sem_init(&together->done, 0, 0);
}

static void together_run(struct bench_run *run)
{
    static struct together together;
    char path[SCRATCH_PATH_MAX];
    struct klane_runtime *runtime;
    struct bench_meter meter;
    struct drive drive;
    pthread_t napper;
    pid_t feeder;
    int status;

    together_init(&together, run);
    scratch_path(run, "together.klane", path);
    feeder = start_feeder(path, together.shared, together.plan->rate);
    while (!together.shared->is_there)
        bench_sleep_ms(1);
    drive_init(&drive, 1, handle, &together);
    runtime = drive_create(&drive, scratch_source(path, "bench"));
    if (together.plan->lets_go)
        let_go(path);
    bench_check(klane_start(runtime), "klane_start");
    if (!together.plan->is_noted && pthread_create(&napper, NULL, nap, &together) != 0)
        bench_fail("no thread");
    together.shared->is_begun = true;
    bench_meter_start(&meter);
    bench_wait(&together.done);
    bench_meter_stop(&meter);
    together.is_over = true;
    if (!together.plan->is_noted)
        pthread_join(napper, NULL);
    if (waitpid(feeder, &status, 0) != feeder || status != 0)
        bench_fail("the one who appends has failed");
    klane_stop(runtime);
    drive_wait(runtime);
    report(&together, &meter, run);
    drive_settings(run, together.shared->records, KEYS, 1, 1);
    scratch_settings(run);
    drive_destroy(runtime);
    scratch_remove(path);
}

/* An hour of 5,000 records a second. */
static const struct together_plan plan_kept = {300000, 60, 1, false, false};
static const struct together_plan plan_let_go = {300000, 60, 1, true, false};
static const struct together_plan plan_notice = {20, 30, 1, false, true};

const struct bench_case together_cases[] = {
    {
        .name = "log-together",
        .is_long = true,
        .what = "One process appends 300,000 records a second to the embedded log for a minute, "
                "another reads them; arm letting-go removes what was read meanwhile.",
        .arms = {{.name = "klane", .run = together_run, .plan = &plan_kept},
                 {.name = "letting-go", .run = together_run, .plan = &plan_let_go}},
        .targets = {{"klane", "pause", 100},
                    {"klane", "append-pause", 100},
                    {"letting-go", "pause", 100},
                    {"letting-go", "append-pause", 100}},
    },
    {
        .name = "notice-log",
        .what = "From the return of a commit to the start of the handler in another process, "
                "20 records a second; and what the reading process takes of a processor.",
        .arms = {{.name = "klane", .run = together_run, .plan = &plan_notice}},
        .targets = {{"klane", "p999", 50000}, {"klane", "busy", 0.01}},
    },
    {.name = NULL},
};
