/* SPDX-License-Identifier: Apache-2.0 */
/* An outage: for a minute a service fails for every record of one topic, of a million keys, which
 * are tried again at growing distances; a second topic, whose handlers do the same work, gets
 * records at a steady rate and has to be handled as if nothing were wrong.
 *
 * All of the first topic is there from the start on, one record of each key. The healthy topic's
 * records are counted second by second. Afterwards the service is there again, does its work at
 * once, and everything has to be handled and committed. In arm klane-free it never fails. Memory
 * has room for all of the first topic, but in arm klane-default, with records_max and budget as
 * they are by default. */
#include "cases/cases.h"
#include "lib/resident.h"
#include "lib/steady.h"

#include <stdlib.h>

#define SERVICE_TOPIC "service"

enum {
    KEYS = 1000000, /* of the service */
    KEYS_QUICK = 100000,
    HEALTHY_KEYS = 1000,
    RATE = 5000, /* of healthy records, a second */
    SECONDS = 60,
    SECONDS_QUICK = 1,
    WORKERS = 64,
    WORK_MS = 1,
    DELAY_MS = 500,
    DELAY_MAX_MS = 30000,
    LOOK_MS = 20
};

struct outage_plan {
    bool fails;
    uint32_t records_max; /* 0: the defaults, of the budget, too */
    uint64_t budget_bytes;
};

/* Relaxed all: counts and flags that order nothing. */
struct outage {
    bool fails;
    _Atomic bool is_over;
    _Alignas(64) _Atomic uint64_t healthy;  /* handled */
    _Alignas(64) _Atomic uint64_t attempts; /* at the service */
};

/* What main sees of it. */
struct sight {
    double seconds[SECONDS]; /* healthy records handled in each, of those offered */
    double budget;           /* most of it that was used */
    uint64_t parked;         /* most */
};

static void work(void)
{
    const struct timespec time = {0, WORK_MS * 1000000};

    nanosleep(&time, NULL);
}

static enum klane_outcome handle_healthy(const struct klane_record *record, void *context)
{
    struct outage *outage = context;

    (void)record;
    work();
    atomic_fetch_add_explicit(&outage->healthy, 1, memory_order_relaxed);
    return KLANE_DONE;
}

static enum klane_outcome handle_service(const struct klane_record *record, void *context)
{
    struct outage *outage = context;

    if (atomic_load_explicit(&outage->is_over, memory_order_relaxed))
        return KLANE_DONE;
    work();
    atomic_fetch_add_explicit(&outage->attempts, 1, memory_order_relaxed);
    return outage->fails ? klane_retry(record, -1, "the service is away") : KLANE_DONE;
}

static struct klane_runtime *create(struct drive *drive, struct outage *outage,
                                    const struct outage_plan *plan, struct klane_source *log)
{
    struct klane_runtime *runtime;
    struct klane_route route;

    drive_init(drive, WORKERS, handle_healthy, outage);
    if (plan->records_max != 0) {
        drive->options.records_max = plan->records_max;
        drive->options.budget_bytes = plan->budget_bytes;
    }
    runtime = drive_create(drive, log);
    klane_route_init(&route, sizeof(route));
    route.topic = SERVICE_TOPIC;
    route.handler = handle_service;
    route.context = outage;
    route.retry_delay_ms = DELAY_MS;
    route.retry_delay_max_ms = DELAY_MAX_MS;
    bench_check(klane_route(runtime, &route), "klane_route");
    return runtime;
}

static void look(struct klane_runtime *runtime, struct sight *sight)
{
    struct klane_stats stats = drive_stats(runtime);
    double used = (double)stats.budget_used / (double)stats.budget_records;

    if (used > sight->budget)
        sight->budget = used;
    if (stats.parked > sight->parked)
        sight->parked = stats.parked;
}

static void watch(struct klane_runtime *runtime, const struct outage *outage, uint64_t seconds,
                  struct sight *sight)
{
    uint64_t before = atomic_load_explicit(&outage->healthy, memory_order_relaxed);
    int64_t end_ns = bench_now_ns();

    for (uint64_t i = 0; i < seconds; i++) {
        int64_t begin_ns = bench_now_ns();
        uint64_t after;

        for (end_ns += INT64_C(1000000000); bench_now_ns() < end_ns; look(runtime, sight))
            bench_sleep_ms(LOOK_MS);
        after = atomic_load_explicit(&outage->healthy, memory_order_relaxed);
        sight->seconds[i] =
            (double)(after - before) * 1e9 / (double)(bench_now_ns() - begin_ns) / RATE;
        before = after;
    }
}

static int compare(const void *a, const void *b)
{
    const double *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

static void report(struct bench_run *run, struct sight *sight, uint64_t seconds)
{
    qsort(sight->seconds, seconds, sizeof(double), compare);
    bench_figure(run, "least-second", sight->seconds[0]);
    bench_figure(run, "median-second", sight->seconds[seconds / 2]);
    bench_figure(run, "budget-used", sight->budget);
}

static void outage_run(struct bench_run *run)
{
    uint64_t keys = bench_count(run, KEYS, KEYS_QUICK);
    uint64_t seconds = bench_count(run, SECONDS, SECONDS_QUICK);
    const struct outage_plan *plan = run->plan;
    struct outage outage = {.fails = plan->fails};
    struct klane_source *log = drive_log(1);
    struct steady healthy = {
        .log = log, .topic = DRIVE_TOPIC, .rate = RATE, .keys = HEALTHY_KEYS};
    static struct sight sight;
    struct resident_watch resident;
    struct klane_runtime *runtime;
    struct klane_stats stats;
    struct bench_meter meter;
    struct drive drive;
    uint64_t handled, before;
    int64_t over_ns;

    bench_check(klane_memory_topic(log, SERVICE_TOPIC, 1), "klane_memory_topic");
    for (uint64_t i = 0; i < keys; i++)
        drive_append_to(log, SERVICE_TOPIC, 1, i);
    runtime = create(&drive, &outage, plan, log);
    before = resident_bytes();
    bench_check(klane_start(runtime), "klane_start");
    steady_begin(&healthy);
    bench_sleep_ms(bench_count(run, 1000, 100));
    resident_watch_begin(&resident);
    handled = outage.healthy;
    bench_meter_start(&meter);
    watch(runtime, &outage, seconds, &sight);
    bench_meter_stop(&meter);
    handled = outage.healthy - handled;
    stats = drive_stats(runtime);
    outage.is_over = true;
    over_ns = bench_now_ns();
    steady_end(&healthy);
    while (drive_stats(runtime).done < keys + healthy.appended) {
        look(runtime, &sight);
        bench_sleep_ms(LOOK_MS);
    }
    over_ns = bench_now_ns() - over_ns;
    bench_figure(run, "rss-over", (double)resident_watch_end(&resident) - (double)before);
    klane_stop(runtime);
    drive_wait(runtime);
    drive_check_committed(log, 1, healthy.appended);
    run->result->work = handled;
    bench_figure(run, "throughput", (double)handled * 1e9 / (double)meter.wall_ns);
    bench_figure(run, "busy", (double)meter.cpu_ns / (double)meter.wall_ns);
    report(run, &sight, seconds);
    drive_settings(run, keys, keys, 1, WORKERS);
    bench_setting(run, "healthy_per_second", RATE);
    bench_setting(run, "seconds", (int64_t)seconds);
    bench_setting(run, "records_max", drive.options.records_max);
    bench_setting(run, "budget_bytes", (int64_t)drive.options.budget_bytes);
    bench_setting(run, "attempts", (int64_t)outage.attempts);
    bench_setting(run, "parked_at_most", (int64_t)sight.parked);
    bench_setting(run, "passes", (int64_t)stats.passes);
    bench_setting(run, "swept_records", (int64_t)stats.swept_records);
    bench_setting(run, "recovered_ms", over_ns / 1000000);
    drive_destroy(runtime);
}

/* Every key in memory at once, some 350 bytes each, with room for the healthy ones. */
#define ROOM_FOR_ALL 2000000, UINT64_C(512) << 20

static const struct outage_plan plan_fails = {true, ROOM_FOR_ALL};
static const struct outage_plan plan_default = {true, 0, 0};
static const struct outage_plan plan_free = {false, ROOM_FOR_ALL};

const struct bench_case outage_cases[] = {
    {
        .name = "outage",
        .is_long = true,
        .what =
            "A service fails for a minute for all of 1,000,000 keys of a topic, while another "
            "topic gets 5,000 records a second.",
        .arms = {{.name = "klane", .run = outage_run, .plan = &plan_fails, .own_work = true},
                 {.name = "klane-default",
                  .run = outage_run,
                  .plan = &plan_default,
                  .own_work = true},
                 {.name = "klane-free", .run = outage_run, .plan = &plan_free, .own_work = true}},
        .ratios = {{"share", "klane", "klane-free"}, {"share", "klane-default", "klane-free"}},
        .targets = {{"klane", "share", 0.95},
                    {"klane", "least-second", 0.95},
                    {"klane", "budget-used", 1},
                    {"klane", "rss-over", 512 * 1048576.0},
                    {"klane-default", "least-second", 0.95}},
    },
    {.name = NULL},
};
