/* SPDX-License-Identifier: Apache-2.0 */
/* What a record costs by what there is many of: keys, partitions, records in flight. The handler
 * is empty, one worker, the log in memory and full before the clock begins; all is handled and
 * committed when it stops.
 *
 * In flight: each record is answered by klane_finish() when so many later ones have begun. Near
 * the end all are answered at once, and the rest as they come: the last may wait behind others of
 * their key, and then none would begin. */
#include "cases/cases.h"
#include "lib/drive.h"

#include <stdlib.h>

#define RECORDS UINT64_C(1000000)
#define RECORDS_QUICK UINT64_C(20000)

struct scale_plan {
    uint64_t keys;
    int32_t partitions;
    uint32_t in_flight; /* 0: handlers return when they are done */
};

struct flight {
    struct klane_runtime *runtime;
    klane_token_t *tokens; /* a ring of so many as may be in flight */
    uint32_t size;         /* 0: nothing is answered later */
    uint64_t last;         /* from this one on none is answered later */
    uint64_t begun;        /* the one worker's */
};

static void answer(struct flight *flight, uint64_t number)
{
    bench_check(klane_finish(flight->runtime, flight->tokens[number % flight->size], KLANE_DONE,
                             -1, NULL),
                "klane_finish");
}

static enum klane_outcome handle_later(const struct klane_record *record, void *context)
{
    struct flight *flight = context;
    uint64_t number = flight->begun++;

    if (number > flight->last)
        return KLANE_DONE;
    if (number == flight->last) {
        for (uint64_t i = 0; i < flight->size; i++)
            answer(flight, number + i);
        return KLANE_DONE;
    }
    if (number >= flight->size)
        answer(flight, number);
    return klane_later(record, &flight->tokens[number % flight->size]);
}

static enum klane_outcome handle_now(const struct klane_record *record, void *context)
{
    (void)record;
    (void)context;
    return KLANE_DONE;
}

static void flight_init(struct flight *flight, const struct scale_plan *plan, uint64_t records)
{
    uint32_t most = (uint32_t)(records / 4);

    *flight = (struct flight){.size = plan->in_flight < most ? plan->in_flight : most};
    flight->last = records - 2 * flight->size;
    if (flight->size == 0)
        return;
    flight->tokens = malloc(flight->size * sizeof(*flight->tokens));
    if (flight->tokens == NULL)
        bench_fail("no memory");
}

static void scale_run(struct bench_run *run)
{
    const struct scale_plan *plan = run->plan;
    uint64_t records = bench_count(run, RECORDS, RECORDS_QUICK);
    struct klane_source *log = drive_log(plan->partitions);
    struct bench_meter meter;
    struct flight flight;
    struct drive drive;

    drive_fill(log, plan->partitions, records, plan->keys);
    flight_init(&flight, plan, records);
    drive_init(&drive, 1, plan->in_flight > 0 ? handle_later : handle_now, &flight);
    drive.options.stop_when_caught_up = true;
    /* Beside those in flight what waits behind them in its lane. */
    if (drive.options.records_max < 2 * plan->in_flight)
        drive.options.records_max = 2 * plan->in_flight;
    flight.runtime = drive_create(&drive, log);
    bench_meter_start(&meter);
    bench_check(klane_start(flight.runtime), "klane_start");
    drive_wait(flight.runtime);
    bench_meter_stop(&meter);
    bench_check_count(drive_stats(flight.runtime).done, records, "records done");
    drive_check_committed(log, plan->partitions, records);
    drive_destroy(flight.runtime);
    bench_meter_report(&meter, run, records);
    drive_settings(run, records, plan->keys, plan->partitions, 1);
    bench_setting(run, "in_flight", flight.size);
    free(flight.tokens);
}

static const struct scale_plan keys_10 = {10, 1, 0};
static const struct scale_plan keys_100 = {100, 1, 0};
static const struct scale_plan keys_1k = {1000, 1, 0};
static const struct scale_plan keys_10k = {10000, 1, 0};
static const struct scale_plan keys_100k = {100000, 1, 0};
static const struct scale_plan keys_1m = {1000000, 1, 0};

static const struct scale_plan partitions_8 = {10000, 8, 0};
static const struct scale_plan partitions_64 = {10000, 64, 0};
static const struct scale_plan partitions_500 = {10000, 500, 0};

static const struct scale_plan in_flight_100 = {1000000, 1, 100};
static const struct scale_plan in_flight_1k = {1000000, 1, 1000};
static const struct scale_plan in_flight_10k = {1000000, 1, 10000};
static const struct scale_plan in_flight_100k = {1000000, 1, 100000};

#define ARM(number_, plan_)                                                                      \
    {                                                                                            \
        .name = "klane-" number_, .run = scale_run, .plan = &plan_                               \
    }

const struct bench_case scale_cases[] = {
    {
        .name = "scale-keys",
        .what = "1,000,000 records through an empty handler on one worker, by the number of keys "
                "that they are drawn from.",
        .arms = {ARM("10", keys_10), ARM("100", keys_100), ARM("1k", keys_1k),
                 ARM("10k", keys_10k), ARM("100k", keys_100k), ARM("1m", keys_1m)},
    },
    {
        .name = "scale-partitions",
        .what = "The same with 10,000 keys, by the number of partitions.",
        .arms = {ARM("1", keys_10k), ARM("8", partitions_8), ARM("64", partitions_64),
                 ARM("500", partitions_500)},
    },
    {
        .name = "scale-in-flight",
        .what = "The same with 1,000,000 keys, each record answered when so many later ones have "
                "begun.",
        .arms = {ARM("100", in_flight_100), ARM("1k", in_flight_1k), ARM("10k", in_flight_10k),
                 ARM("100k", in_flight_100k)},
    },
    {.name = NULL},
};
