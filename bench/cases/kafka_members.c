/* SPDX-License-Identifier: Apache-2.0 */
/* Kafka, several members of a group, each a process of its own.
 *
 * kafka-members: how the rate grows with the members. Their handlers sleep, so that it is not the
 * machine that is full. The clock runs for a fixed time from when all have their share.
 *
 * kafka-join: for how long a partition stands still when one more member joins. A feeder produces
 * all the while, to every partition more than one record a millisecond; the longest time without
 * a record handled in any partition counts, from before the last member starts until a while
 * after the partitions are shared out again. All records must be handled in the end; those
 * handled twice are counted. */
#include "cases/kafka.h"
#include "lib/feeder.h"
#include "lib/members.h"

#include <unistd.h>

enum {
    SLEEP_MS = 10,
    WORKERS = 100,
    WORKERS_QUICK = 8,
    RATE_MS = 5000,
    RATE_MS_QUICK = 500,
    CALM_MS = 1000, /* before the clock, and before and after a join */
    CALM_MS_QUICK = 200
};

void kafka_members_run(struct bench_run *run)
{
    const struct kafka_members_plan *plan = run->plan;
    struct records records;
    struct members_rules rules = {
        .topic = records.topic,
        .assignor = plan->assignor,
        .workers = (uint32_t)bench_count(run, WORKERS, WORKERS_QUICK),
        .sleep_ms = SLEEP_MS,
    };
    struct members *members;
    struct bench_meter meter;
    uint64_t handled;

    records_init(&records, &kafka_records_fixed, run);
    rules.witness = witness_create(records.count, records.keys, true);
    members = members_create(&rules);
    for (uint32_t i = 0; i < plan->members; i++)
        members_add(members);
    members_settle(members);
    bench_sleep_ms(bench_count(run, CALM_MS, CALM_MS_QUICK));
    handled = members_handled(members);
    meter.cpu_ns = members_cpu_ns(members);
    meter.wall_ns = bench_now_ns();
    bench_sleep_ms(bench_count(run, RATE_MS, RATE_MS_QUICK));
    meter.wall_ns = bench_now_ns() - meter.wall_ns;
    meter.cpu_ns = members_cpu_ns(members) - meter.cpu_ns;
    handled = members_handled(members) - handled;
    members_end(members);
    bench_meter_report(&meter, run, handled);
    witness_report(rules.witness, run, records_lost(&records, rules.witness, members->group),
                   WITNESS_ORDER | WITNESS_NO_LOSS);
    members_settings(members, run);
}

void kafka_join_run(struct bench_run *run)
{
    const struct kafka_members_plan *plan = run->plan;
    uint64_t calm_ms = bench_count(run, CALM_MS, CALM_MS_QUICK);
    struct members_rules rules = {
        .assignor = plan->assignor,
        .is_bare = plan->is_bare,
        .workers = 1,
    };
    struct members *members;
    struct feeder feeder;
    uint64_t repeats, produced;
    int64_t pause_ns;

    feeder_start(&feeder, 0, KAFKA_KEYS);
    rules.topic = feeder.topic;
    rules.witness = witness_create(MEMBERS_OFFSETS_MAX, KAFKA_KEYS, true);
    members = members_create(&rules);
    feeder_go(&feeder);
    for (uint32_t i = 0; i + 1 < plan->members; i++)
        members_add(members);
    members_settle(members);
    members_flow(members);
    bench_sleep_ms(calm_ms);
    repeats = members_repeats(members);
    members_gap_begin(members);
    members_add(members);
    members_settle(members);
    members_flow(members);
    bench_sleep_ms(calm_ms);
    pause_ns = members_gap_ns(members);
    feeder_stop(&feeder);
    produced = feeder_wait(&feeder);
    members_wait(members, produced);
    feeder_end(&feeder);
    members_end(members);
    bench_figure(run, "pause", (double)pause_ns / 1e6);
    bench_figure(run, "repeats", (double)(members_repeats(members) - repeats));
    witness_report_order(rules.witness, run, produced - witness_ended(rules.witness),
                         plan->is_bare ? WITNESS_NOTHING : WITNESS_ORDER | WITNESS_NO_LOSS);
    members_settings(members, run);
    bench_setting(run, "records_per_second", FEEDER_RATE);
}
