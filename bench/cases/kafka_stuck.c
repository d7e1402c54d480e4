/* SPDX-License-Identifier: Apache-2.0 */
/* Kafka, a stuck key: the first record of key 0 is not finished until it is over. How all others
 * go on meanwhile is written down each quarter of a second, with the memory that it takes.
 *
 * It is over when all others have passed, when none has for some seconds, or after a minute; then
 * the record is finished, and the rest of the topic has to be handled, too. In klane it is
 * answered later, which takes no worker; by hand its thread waits. The clock runs from the first
 * record of another key to the last that passed meanwhile; `passed` says how many did, of all
 * others. */
#include "cases/kafka.h"
#include "lib/by_hand.h"
#include "lib/resident.h"

#include <semaphore.h>

const struct kafka_stuck_plan kafka_stuck_key = {true, 0}, kafka_stuck_free = {false, 0};
const struct kafka_stuck_plan kafka_stuck_pool = {true, CLUSTER_PARTITIONS};

enum { LOOK_MS = 10, POINT_MS = 250, STUCK_MS = 60000, STILL_MS = 10000, STILL_MS_QUICK = 1000 };

struct stuck {
    struct records records;
    uint64_t records_of_key;
    bool is_stuck; /* fixed */
    struct witness *witness;
    char group[CLUSTER_NAME_MAX];
    struct passage others;
    _Atomic bool is_taken; /* release, acquire: what follows, of the stuck record */
    unsigned char stamp[STAMP_BYTES];
    klane_token_t token;
    int64_t offset;
    int32_t partition;
    sem_t done;   /* all others have passed */
    sem_t may_go; /* the stuck record, by hand */
};

static void stuck_init(struct stuck *stuck, const struct bench_run *run, bool is_shared)
{
    const struct kafka_stuck_plan *plan = run->plan;

    stuck->is_stuck = plan->is_stuck;
    records_init(&stuck->records, &kafka_records, run);
    stuck->records_of_key = records_of_key(&stuck->records, 0);
    stuck->witness = witness_create(stuck->records.count, stuck->records.keys, is_shared);
    stuck->others.records = stuck->records.count - stuck->records_of_key;
    stuck->others.is_shared = is_shared;
    cluster_name(stuck->group, "group");
    sem_init(&stuck->done, 0, 0);
    sem_init(&stuck->may_go, 0, 0);
}

/* Handle a record, unless it is the one that is stuck; false: it is. */
static bool handle_other(struct stuck *stuck, const void *key, const void *value)
{
    uint64_t number = cluster_key_number(key);

    if (number == 0 && stuck->is_stuck && stamp_read(value).sequence == 0) {
        witness_begin(stuck->witness, 0, value);
        memcpy(stuck->stamp, value, STAMP_BYTES);
        return false;
    }
    witness_pass(stuck->witness, number, value);
    if (number != 0 && passage_one(&stuck->others))
        sem_post(&stuck->done);
    return true;
}

/* ---- looking on -------------------------------------------------------------------------- */

/* Since the first record of another key. */
struct progress {
    struct bench_meter begin;
    struct bench_meter meter; /* until the last that was seen to pass */
    int64_t moved_ns;
    int64_t noted_ns;
    uint64_t passed;
};

static void note(struct progress *progress, struct bench_run *run, int64_t now_ns)
{
    double seconds = (double)(now_ns - progress->begin.wall_ns) / 1e9;

    progress->noted_ns = now_ns;
    bench_point(run, "progress", seconds, (double)progress->passed);
    bench_point(run, "memory", seconds, (double)resident_bytes());
}

static void look(struct progress *progress, const struct stuck *stuck, struct bench_run *run,
                 int64_t now_ns)
{
    uint64_t passed = atomic_load_explicit(&stuck->others.passed, memory_order_relaxed);

    if (passed > progress->passed) {
        if (progress->passed == 0)
            bench_meter_start(&progress->begin);
        progress->passed = passed;
        progress->moved_ns = now_ns;
        progress->meter = progress->begin;
        bench_meter_stop(&progress->meter);
    }
    if (now_ns - progress->noted_ns >= POINT_MS * INT64_C(1000000))
        note(progress, run, now_ns);
}

/* Until it is over. Then the meter says how long it took, and for how many. */
static struct progress watch(struct stuck *stuck, struct bench_run *run)
{
    int64_t still_ns = (int64_t)bench_count(run, STILL_MS, STILL_MS_QUICK) * 1000000, now_ns;
    struct progress progress = {.passed = 0};

    while (atomic_load_explicit(&stuck->others.passed, memory_order_relaxed) == 0)
        bench_sleep_ms(1);
    do {
        now_ns = bench_now_ns();
        look(&progress, stuck, run, now_ns);
        if (sem_trywait(&stuck->done) == 0) {
            progress.passed = stuck->others.records;
            progress.meter = stuck->others.meter;
            break;
        }
        bench_sleep_ms(LOOK_MS);
    } while (now_ns - progress.moved_ns < still_ns &&
             now_ns - progress.begin.wall_ns < STUCK_MS * INT64_C(1000000));
    note(&progress, run, bench_now_ns());
    return progress;
}

static void report(struct stuck *stuck, struct bench_run *run, const struct progress *progress,
                   uint32_t workers, unsigned promises)
{
    cluster_check_committed(stuck->group, stuck->records.topic, stuck->records.partitions,
                            stuck->records.count);
    bench_meter_report(&progress->meter, run, progress->passed);
    bench_figure(run, "passed", (double)progress->passed / (double)stuck->others.records);
    witness_report(stuck->witness, run, stuck->records.count - witness_ended(stuck->witness),
                   promises);
    records_settings(&stuck->records, run, workers);
    bench_setting(run, "records_of_stuck_key", (int64_t)stuck->records_of_key);
}

/* ---- klane ------------------------------------------------------------------------------- */

static enum klane_outcome handle(const struct klane_record *record, void *context)
{
    struct stuck *stuck = context;
    enum klane_outcome outcome;

    if (handle_other(stuck, record->key, record->value))
        return KLANE_DONE;
    stuck->offset = record->offset;
    stuck->partition = record->partition;
    outcome = klane_later(record, &stuck->token);
    atomic_store_explicit(&stuck->is_taken, true, memory_order_release);
    return outcome;
}

/* All others are handled, it alone is not; then it may be finished. */
static void check_and_finish(struct stuck *stuck, struct klane_runtime *runtime)
{
    struct klane_partition_stats stats;

    while (!atomic_load_explicit(&stuck->is_taken, memory_order_acquire))
        bench_sleep_ms(1);
    bench_check(klane_partition_stats(runtime, stuck->records.topic, stuck->partition, &stats,
                                      sizeof(stats)),
                "klane_partition_stats");
    if (stats.committed > stuck->offset)
        bench_fail("committed past the stuck record: %lld", (long long)stats.committed);
    witness_end(stuck->witness, 0, stuck->stamp);
    bench_check(klane_finish(runtime, stuck->token, KLANE_DONE, -1, NULL), "klane_finish");
}

void kafka_stuck_klane_run(struct bench_run *run)
{
    uint32_t workers = kafka_workers(run, 1);
    struct klane_runtime *runtime;
    struct progress progress;
    struct stuck stuck = {0};
    struct drive drive;

    /* The stuck record is finished by this thread. */
    stuck_init(&stuck, run, workers > 1);
    drive_init(&drive, workers, handle, &stuck);
    drive.options.stop_when_caught_up = true;
    runtime = cluster_runtime(&drive, stuck.records.topic, cluster_consumer_conf(stuck.group));
    bench_check(klane_start(runtime), "klane_start");
    progress = watch(&stuck, run);
    if (stuck.is_stuck)
        check_and_finish(&stuck, runtime);
    drive_wait(runtime);
    drive_destroy(runtime);
    bench_check_count(progress.passed, stuck.others.records, "records of others that passed");
    report(&stuck, run, &progress, workers, WITNESS_NO_LOSS | WITNESS_ORDER);
}

/* ---- by hand ----------------------------------------------------------------------------- */

static void handle_by_hand(const rd_kafka_message_t *message, void *context)
{
    struct stuck *stuck = context;

    if (handle_other(stuck, message->key, message->payload))
        return;
    bench_wait(&stuck->may_go);
    witness_end(stuck->witness, 0, stuck->stamp);
}

void kafka_stuck_by_hand_run(struct bench_run *run)
{
    const struct kafka_stuck_plan *plan = run->plan;
    struct stuck stuck = {0};
    struct by_hand_rules rules = {
        .topic = stuck.records.topic,
        .group = stuck.group,
        .pool = plan->pool > 0 ? kafka_workers(run, plan->pool) : 0,
        .handle = handle_by_hand,
        .context = &stuck,
    };
    struct progress progress;
    struct by_hand *by_hand;

    stuck_init(&stuck, run, true);
    rules.partitions = stuck.records.partitions;
    by_hand = by_hand_start(&rules);
    progress = watch(&stuck, run);
    sem_post(&stuck.may_go);
    by_hand_wait_for_end(by_hand);
    by_hand_stop(by_hand);
    report(&stuck, run, &progress, 0,
           plan->pool > 0 ? WITNESS_NOTHING : WITNESS_NO_LOSS | WITNESS_ORDER);
    by_hand_settings(&rules, run);
}
