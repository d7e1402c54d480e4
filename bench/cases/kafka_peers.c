/* SPDX-License-Identifier: Apache-2.0 */
/* Arms that are other programs: Confluent's Parallel Consumer and Kafka's own consumer, both in
 * Java, do the work of the arms that are written in C, each in a group of its own.
 *
 * Each is set as its documentation advises, and has the smallest heap with which it comes within a
 * twentieth of its best rate: see bench/peers/tune. Java is slow until it has compiled what is
 * used much, so each has a rehearsal that is not counted. They promise nothing: what they break
 * is a figure. */
#include "cases/kafka.h"
#include "cases/restart.h"
#include "lib/by_hand.h"
#include "lib/feeder.h"
#include "lib/peer.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define PARALLEL "parallel-consumer"
#define JAVA "java-consumer"

/* What bench/peers/tune found. */
#define PARALLEL_HEAP "1g"
#define JAVA_HEAP "64m"
#define JAVA_TUNED_HEAP "256m"

enum {
    PARALLEL_THREADS = 100,
    NOOP_REHEARSAL = 300000,
    PARALLEL_NOOP_RECORDS = 1000000, /* in twenty seconds, at the rate that all would have */
    JAVA_REHEARSAL = 3000000,        /* in two seconds */
    REHEARSAL = 100000,
    REHEARSAL_QUICK = 2000,
    STUCK_SECONDS = 60,
    STUCK_SECONDS_QUICK = 3,
    LATENCY_COUNTED = 90000,
    LATENCY_BEFORE = 210000, /* not counted: 21 seconds */
    LATENCY_COUNTED_QUICK = 4500,
    LATENCY_BEFORE_QUICK = 500,
    CRASH_STILL_MS = 15000
};

/* What Kafka's documentation has for throughput: larger fetches that wait for more, larger
 * batches. */
static const struct cluster_setting java_tuned[] = {
    {"fetch.min.bytes", "100000"},
    {"max.partition.fetch.bytes", "10485760"},
    {"max.poll.records", "10000"},
    {NULL, NULL},
};

const struct kafka_peer_plan kafka_peer_parallel = {PARALLEL, PARALLEL_HEAP, NULL, 0};
const struct kafka_peer_plan kafka_peer_parallel_often = {PARALLEL, PARALLEL_HEAP, NULL,
                                                          BY_HAND_COMMIT_MS};
const struct kafka_peer_plan kafka_peer_java = {JAVA, JAVA_HEAP, NULL, 0};
const struct kafka_peer_plan kafka_peer_java_tuned = {JAVA, JAVA_TUNED_HEAP, java_tuned, 0};

static bool is_parallel(const struct kafka_peer_plan *plan)
{
    return strcmp(plan->arm, PARALLEL) == 0;
}

/* One run of a peer. */
struct part {
    const char *topic;
    const char *group;
    uint64_t records; /* to count */
    uint64_t rehearsal;
    const struct witness *witness;
};

static void add_settings(struct peer *peer, const struct cluster_setting *settings)
{
    for (; settings != NULL && settings->name != NULL; settings++)
        peer_argument(peer, "consumer.%s=%s", settings->name, settings->value);
}

static void part_init(struct peer *peer, const struct bench_run *run,
                      const struct kafka_peer_plan *plan, const struct part *part)
{
    peer_init(peer, plan->arm, plan->heap, part->witness);
    peer_argument(peer, "bootstrap=%s", cluster_bootstrap());
    peer_argument(peer, "topic=%s", part->topic);
    peer_argument(peer, "group=%s", part->group);
    peer_argument(peer, "records=%llu", (unsigned long long)part->records);
    if (part->rehearsal > 0)
        peer_argument(peer, "rehearse=%llu",
                      (unsigned long long)bench_count(run, part->rehearsal, REHEARSAL_QUICK));
    if (is_parallel(plan))
        peer_argument(peer, "threads=%u", kafka_workers(run, PARALLEL_THREADS));
    if (plan->commit_ms > 0)
        peer_argument(peer, "commit_ms=%u", plan->commit_ms);
    add_settings(peer, plan->settings);
}

static void settings(struct bench_run *run, uint64_t records, uint64_t keys, int32_t partitions,
                     uint32_t value_bytes)
{
    bench_setting(run, "records", (int64_t)records);
    bench_setting(run, "keys", (int64_t)keys);
    bench_setting(run, "partitions", partitions);
    bench_setting(run, "key_bytes", CLUSTER_KEY_BYTES);
    bench_setting(run, "value_bytes", value_bytes);
}

/* ---- a topic that is full before ------------------------------------------------------- */

struct full {
    struct records records;
    struct witness *witness;
    char group[CLUSTER_NAME_MAX];
    struct part part;
};

/* All records, if the arm does not want fewer, and the rehearsal that is enough for a handler that
 * does nothing. */
static void full_init(struct full *full, const struct records_kind *kind,
                      const struct bench_run *run)
{
    records_init(&full->records, kind, run);
    full->witness = witness_create(full->records.count, full->records.keys, true);
    cluster_name(full->group, "group");
    full->part = (struct part){
        .topic = full->records.topic,
        .group = full->group,
        .records = full->records.count,
        .rehearsal = NOOP_REHEARSAL,
        .witness = full->witness,
    };
}

static void full_report(const struct full *full, struct bench_run *run, bool is_whole)
{
    const struct records *records = &full->records;
    uint64_t lost = is_whole ? records->count - witness_ended(full->witness)
                             : records_lost(records, full->witness, full->group);

    witness_report(full->witness, run, lost, WITNESS_NOTHING);
    settings(run, records->count, records->keys, records->partitions, records->value_bytes);
}

void kafka_peer_noop_run(struct bench_run *run)
{
    const struct kafka_peer_plan *plan = run->plan;
    struct full full;
    struct peer peer;

    full_init(&full, &kafka_records, run);
    full.part.rehearsal = is_parallel(plan) ? NOOP_REHEARSAL : JAVA_REHEARSAL;
    if (is_parallel(plan) && full.part.records > PARALLEL_NOOP_RECORDS)
        full.part.records = PARALLEL_NOOP_RECORDS;
    part_init(&peer, run, plan, &full.part);
    peer_start(&peer, run);
    peer_finish(&peer, run);
    full_report(&full, run, full.part.records == full.records.count);
}

void kafka_peer_schedule_run(struct bench_run *run)
{
    const struct kafka_schedule_plan *plan = run->plan;
    const struct sleepers_plan *sleepers = &plan->sleepers;
    uint64_t warm_up = 1;
    struct full full;
    struct peer peer;

    full_init(&full, plan->kind, run);
    full.part.rehearsal = full.records.count < REHEARSAL ? full.records.count : REHEARSAL;
    if (plan->is_whole) {
        full.part.records--;
    } else {
        full.part.records = bench_count(run, sleepers->records, sleepers->records_quick);
        warm_up = full.part.records / 10;
    }
    part_init(&peer, run, &kafka_peer_parallel, &full.part);
    peer_argument(&peer, "warm_up=%llu", (unsigned long long)warm_up);
    peer_argument(&peer, "handler=%s", sleepers->burn_us > 0 ? "cpu" : "sleep");
    peer_argument(&peer, "work=%u",
                  sleepers->burn_us > 0 ? sleepers->burn_us : sleepers->sleep_ms);
    peer_start(&peer, run);
    peer_finish(&peer, run);
    full_report(&full, run, plan->is_whole);
    if (sleepers->burn_us > 0)
        bench_setting(run, "burn_us", sleepers->burn_us);
    else
        bench_setting(run, "sleep_ms", sleepers->sleep_ms);
}

/* The first record of key 0 is never finished. What passes of the others is told for a minute. */
void kafka_peer_stuck_run(struct bench_run *run)
{
    const struct kafka_peer_plan *plan = run->plan;
    uint64_t of_key;
    struct full full;
    struct peer peer;

    full_init(&full, &kafka_records, run);
    of_key = records_of_key(&full.records, 0);
    full.part.records -= of_key;
    part_init(&peer, run, plan, &full.part);
    peer_argument(&peer, "stuck=1");
    peer_argument(&peer, "seconds=%d", run->options->quick ? STUCK_SECONDS_QUICK : STUCK_SECONDS);
    peer_start(&peer, run);
    peer_finish(&peer, run);
    bench_figure(run, "passed", (double)run->result->work / (double)full.part.records);
    full_report(&full, run, false);
    bench_setting(run, "records_of_stuck_key", (int64_t)of_key);
}

/* ---- a live producer ------------------------------------------------------------------- */

/* A topic with a feeder that is ready. The end of the peer is not the feeder's. */
static void fed_init(struct full *full, struct feeder *feeder, uint64_t records)
{
    feeder_start(feeder, records, KAFKA_KEYS);
    signal(SIGCHLD, SIG_DFL);
    full->witness = witness_create(records, KAFKA_KEYS, true);
    cluster_name(full->group, "group");
    full->part = (struct part){
        .topic = feeder->topic,
        .group = full->group,
        .records = records,
        .witness = full->witness,
    };
}

static void fed_report(const struct full *full, struct bench_run *run)
{
    uint64_t records = full->part.records;

    witness_report(full->witness, run, records - witness_ended(full->witness), WITNESS_NOTHING);
    settings(run, records, KAFKA_KEYS, CLUSTER_PARTITIONS, CLUSTER_VALUE_BYTES);
    bench_setting(run, "records_per_second", FEEDER_RATE);
    bench_setting_text(run, "producer_linger_ms", FEEDER_LINGER_MS);
}

/* It gets warm by what is not counted, at the same rate. */
void kafka_peer_latency_run(struct bench_run *run)
{
    uint64_t before = bench_count(run, LATENCY_BEFORE, LATENCY_BEFORE_QUICK);
    uint64_t records = before + bench_count(run, LATENCY_COUNTED, LATENCY_COUNTED_QUICK);
    struct feeder feeder;
    struct full full;
    struct peer peer;

    fed_init(&full, &feeder, records);
    part_init(&peer, run, run->plan, &full.part);
    peer_argument(&peer, "latencies_after=%llu", (unsigned long long)before);
    peer_start(&peer, run);
    feeder_go(&feeder);
    peer_finish(&peer, run);
    bench_check_count(feeder_wait(&feeder), records, "records fed");
    feeder_end(&feeder);
    fed_report(&full, run);
    bench_setting(run, "records_not_counted", (int64_t)before);
}

/* Whoever was killed is a static member, so nobody waits until its session is over. */
static void life_start(struct peer *peer, struct bench_run *run, const struct full *full,
                       const char *argument)
{
    static const struct cluster_setting is_static[] = {
        {"group.instance.id", "one"},
        {NULL, NULL},
    };

    part_init(peer, run, run->plan, &full->part);
    add_settings(peer, is_static);
    peer_argument(peer, "handler=sleep");
    peer_argument(peer, "work=%d", KAFKA_CRASH_SLEEP_MS);
    peer_argument(peer, "quiet=1");
    peer_argument(peer, "%s", argument);
    peer_start(peer, run);
}

/* Until all but a twentieth have ended, which is when the arms in C are killed if they keep up; or
 * until none has for some seconds. Returns how many have. */
static uint64_t await_most(const struct witness *witness)
{
    uint64_t ended = 0, before = 0;
    int64_t moved_ns = bench_now_ns();

    while (ended < witness->records / 20 * 19 &&
           bench_now_ns() - moved_ns < CRASH_STILL_MS * INT64_C(1000000)) {
        bench_sleep_ms(5);
        ended = witness_ended(witness);
        if (ended > before)
            moved_ns = bench_now_ns();
        before = ended;
    }
    return ended;
}

void kafka_peer_crash_run(struct bench_run *run)
{
    uint64_t records = bench_count(run, KAFKA_CRASH_RECORDS, KAFKA_CRASH_RECORDS_QUICK);
    struct feeder feeder;
    struct full full;
    struct peer peer;
    uint64_t ended;

    fed_init(&full, &feeder, records);
    life_start(&peer, run, &full, "stuck=1");
    feeder_go(&feeder);
    ended = await_most(full.witness);
    peer_kill(&peer);
    witness_restart(full.witness);
    bench_check_count(feeder_wait(&feeder), records, "records fed");
    life_start(&peer, run, &full, "stuck=0");
    peer_finish(&peer, run);
    feeder_end(&feeder);
    run->result->work = records;
    fed_report(&full, run);
    bench_setting(run, "ended_in_first_life", (int64_t)ended);
    bench_setting(run, "sleep_ms", KAFKA_CRASH_SLEEP_MS);
}
