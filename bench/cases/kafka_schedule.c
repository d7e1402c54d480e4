/* SPDX-License-Identifier: Apache-2.0 */
/* Kafka with work: how near workers whose handlers sleep, or burn processor time, come to as many
 * threads that do nothing else.
 *
 * The clock starts after a warm-up, so without joining the group, and stops while there is more in
 * the topic. Where the whole topic counts, as some keys have much more than others, it runs from
 * the end of the first handler to that of the last. Then one of the bare threads begins with all
 * that the longest lane has, one after the other, and the others share the rest, which no schedule
 * in order can better. */
#include "cases/kafka.h"
#include "lib/by_hand.h"

#include <pthread.h>
#include <unistd.h>

struct schedule {
    const struct kafka_schedule_plan *plan;
    struct sleepers sleepers;
    struct records records;
    struct witness *witness;
    char group[CLUSTER_NAME_MAX];
};

static void schedule_init(struct schedule *schedule, const struct bench_run *run)
{
    const struct kafka_schedule_plan *plan = run->plan;
    struct sleepers *sleepers = &schedule->sleepers;

    schedule->plan = plan;
    records_init(&schedule->records, plan->kind, run);
    sleepers_init(sleepers, &plan->sleepers, run);
    sleepers->workers = kafka_workers(run, plan->sleepers.workers);
    if (sleepers->workers == 0)
        sleepers->workers = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    if (plan->is_whole) {
        sleepers->warm_up = 1;
        sleepers->records = schedule->records.count - 1;
    }
}

static void group_init(struct schedule *schedule)
{
    schedule->witness = witness_create(schedule->records.count, schedule->records.keys, true);
    cluster_name(schedule->group, "group");
}

static void work(struct schedule *schedule, const void *key, const void *value)
{
    uint64_t number = cluster_key_number(key);

    witness_begin(schedule->witness, number, value);
    sleepers_once(&schedule->sleepers);
    witness_end(schedule->witness, number, value);
}

static void report(struct schedule *schedule, struct bench_run *run, uint32_t workers,
                   unsigned promises)
{
    uint64_t lost = schedule->plan->is_whole
                        ? schedule->records.count - witness_ended(schedule->witness)
                        : records_lost(&schedule->records, schedule->witness, schedule->group);

    sleepers_report(&schedule->sleepers, run);
    witness_report(schedule->witness, run, lost, promises);
    records_settings(&schedule->records, run, workers);
}

/* ---- klane ------------------------------------------------------------------------------- */

static enum klane_outcome handle(const struct klane_record *record, void *context)
{
    work(context, record->key, record->value);
    return KLANE_DONE;
}

void kafka_schedule_klane_run(struct bench_run *run)
{
    struct schedule schedule = {0};
    struct klane_runtime *runtime;
    struct drive drive;

    schedule_init(&schedule, run);
    group_init(&schedule);
    drive_init(&drive, schedule.sleepers.workers, handle, &schedule);
    drive.topic.order = schedule.plan->order;
    runtime =
        cluster_runtime(&drive, schedule.records.topic, cluster_consumer_conf(schedule.group));
    sleepers_begin(&schedule.sleepers);
    bench_check(klane_start(runtime), "klane_start");
    sleepers_wait(&schedule.sleepers);
    klane_stop(runtime);
    drive_wait(runtime);
    drive_destroy(runtime);
    report(&schedule, run, schedule.sleepers.workers,
           WITNESS_NO_LOSS | (drive.topic.order == KLANE_ORDER_NONE ? 0 : WITNESS_ORDER));
}

/* ---- by hand ----------------------------------------------------------------------------- */

static void handle_by_hand(const rd_kafka_message_t *message, void *context)
{
    work(context, message->key, message->payload);
}

void kafka_schedule_by_hand_run(struct bench_run *run)
{
    struct schedule schedule = {0};
    struct by_hand_rules rules = {
        .topic = schedule.records.topic,
        .group = schedule.group,
        .handle = handle_by_hand,
        .context = &schedule,
    };
    struct by_hand *by_hand;

    schedule_init(&schedule, run);
    group_init(&schedule);
    rules.partitions = schedule.records.partitions;
    rules.pool = schedule.plan->is_pool ? schedule.sleepers.workers : 0;
    sleepers_begin(&schedule.sleepers);
    by_hand = by_hand_start(&rules);
    sleepers_wait(&schedule.sleepers);
    by_hand_stop(by_hand);
    report(&schedule, run, 0, rules.pool > 0 ? WITNESS_NOTHING : WITNESS_NO_LOSS | WITNESS_ORDER);
    by_hand_settings(&rules, run);
}

/* ---- bare threads ------------------------------------------------------------------------ */

struct bare {
    struct sleepers *sleepers;
    uint64_t longest;
    uint64_t rest;
    _Atomic uint64_t taken;   /* of the rest; relaxed: a count that orders nothing */
    _Atomic bool has_longest; /* a thread has taken it; relaxed as well */
};

static void *bare_main(void *argument)
{
    struct bare *bare = argument;

    if (!atomic_exchange_explicit(&bare->has_longest, true, memory_order_relaxed))
        for (uint64_t i = 0; i < bare->longest; i++)
            sleepers_once(bare->sleepers);
    while (atomic_fetch_add_explicit(&bare->taken, 1, memory_order_relaxed) < bare->rest)
        sleepers_once(bare->sleepers);
    return NULL;
}

static void bare_whole(struct schedule *schedule)
{
    struct bare bare = {
        .sleepers = &schedule->sleepers,
        .longest = records_of_longest(&schedule->records),
    };
    pthread_t threads[SLEEPERS_MAX];

    bare.rest = schedule->records.count - bare.longest;
    for (uint32_t i = 0; i < schedule->sleepers.workers; i++)
        if (pthread_create(&threads[i], NULL, bare_main, &bare) != 0)
            bench_fail("no thread");
    sleepers_wait(&schedule->sleepers);
    for (uint32_t i = 0; i < schedule->sleepers.workers; i++)
        pthread_join(threads[i], NULL);
}

void kafka_schedule_bare_run(struct bench_run *run)
{
    struct schedule schedule = {0};

    schedule_init(&schedule, run);
    if (schedule.plan->is_whole)
        bare_whole(&schedule);
    else
        sleepers_bare_sleep(&schedule.sleepers);
    sleepers_report(&schedule.sleepers, run);
    bench_setting(run, "records", (int64_t)schedule.sleepers.records);
    bench_setting(run, "workers", schedule.sleepers.workers);
}
