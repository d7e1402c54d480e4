/* SPDX-License-Identifier: Apache-2.0 */
/* Kafka, a crash: the first record of key 0 is never finished, and near the end of the records,
 * which come by a timetable, the process is killed by kill -9. Another takes its place and handles
 * all that it is given. What had ended and runs again is a repeat; what never ends in either life
 * is lost.
 *
 * All commit each second. It is one static member, so that nobody waits until the session of the
 * one that was killed is over. */
#include "cases/kafka.h"
#include "cases/restart.h"
#include "lib/by_hand.h"
#include "lib/feeder.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WORKERS = 16, LOOK_MS = 5 };

const struct kafka_crash_plan kafka_crash_klane = {true, 0};
const struct kafka_crash_plan kafka_crash_partition = {false, 0};
const struct kafka_crash_plan kafka_crash_pool = {false, WORKERS};

struct crash {
    const struct kafka_crash_plan *plan;
    uint32_t workers;
    uint64_t records;
    uint32_t life;
    const char *topic;
    char group[CLUSTER_NAME_MAX];
    struct witness *witness;
    _Atomic bool *is_ready; /* relaxed: the first life has its partitions; all of them see it */
};

static const struct cluster_setting is_static[] = {
    {"group.instance.id", "one"},
    {NULL, NULL},
};

/* ---- a life ------------------------------------------------------------------------------ */

/* False: the record is the one that is never finished. */
static bool work(struct crash *crash, const void *key, const void *value)
{
    uint64_t number = cluster_key_number(key);

    witness_begin(crash->witness, number, value);
    if (crash->life == 1 && number == 0 && stamp_read(value).sequence == 0)
        return false;
    bench_sleep_ms(KAFKA_CRASH_SLEEP_MS);
    witness_end(crash->witness, number, value);
    return true;
}

static void set_ready(struct crash *crash)
{
    atomic_store_explicit(crash->is_ready, true, memory_order_relaxed);
}

static enum klane_outcome handle(const struct klane_record *record, void *context)
{
    klane_token_t token;

    return work(context, record->key, record->value) ? KLANE_DONE : klane_later(record, &token);
}

static void live_klane(struct crash *crash)
{
    rd_kafka_conf_t *conf = cluster_consumer_conf(crash->group);
    struct klane_runtime *runtime;
    struct drive drive;

    cluster_set(conf, is_static, NULL);
    drive_init(&drive, crash->workers, handle, crash);
    drive.options.commit_interval_ms = BY_HAND_COMMIT_MS;
    drive.options.stop_when_caught_up = crash->life == 2;
    runtime = cluster_runtime(&drive, crash->topic, conf);
    bench_check(klane_start(runtime), "klane_start");
    if (crash->life == 1)
        while (drive_stats(runtime).partitions < CLUSTER_PARTITIONS)
            bench_sleep_ms(LOOK_MS);
    set_ready(crash);
    drive_wait(runtime);
    drive_destroy(runtime);
}

static void handle_by_hand(const rd_kafka_message_t *message, void *context)
{
    if (!work(context, message->key, message->payload))
        for (;;)
            pause();
}

static void live_by_hand(struct crash *crash)
{
    const struct by_hand_rules rules = {
        .topic = crash->topic,
        .group = crash->group,
        .partitions = CLUSTER_PARTITIONS,
        .pool = crash->plan->pool > 0 ? crash->workers : 0,
        .settings = is_static,
        .handle = handle_by_hand,
        .context = crash,
    };
    struct by_hand *by_hand = by_hand_start(&rules);

    while (by_hand_assigned(by_hand) < CLUSTER_PARTITIONS)
        bench_sleep_ms(LOOK_MS);
    set_ready(crash);
    by_hand_wait_for_end(by_hand);
    while (crash->life == 1)
        pause();
    by_hand_stop(by_hand);
}

static pid_t life_begin(struct crash *crash, uint32_t life)
{
    pid_t process = bench_fork();

    if (process > 0)
        return process;
    crash->life = life;
    if (crash->plan->is_klane)
        live_klane(crash);
    else
        live_by_hand(crash);
    _exit(0);
}

/* ---- the arm ----------------------------------------------------------------------------- */

static void crash_init(struct crash *crash, const struct bench_run *run)
{
    *crash = (struct crash){
        .plan = run->plan,
        .workers = kafka_workers(run, WORKERS),
        .records = bench_count(run, KAFKA_CRASH_RECORDS, KAFKA_CRASH_RECORDS_QUICK),
    };
    cluster_name(crash->group, "group");
    crash->witness = witness_create(crash->records, KAFKA_KEYS, true);
    crash->is_ready = mmap(NULL, sizeof(*crash->is_ready), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (crash->is_ready == MAP_FAILED)
        bench_fail("no memory");
}

void kafka_crash_run(struct bench_run *run)
{
    struct feeder feeder;
    struct crash crash;
    pid_t first;

    crash_init(&crash, run);
    feeder_start(&feeder, crash.records, KAFKA_KEYS);
    /* The end of a life is not the feeder's. */
    signal(SIGCHLD, SIG_DFL);
    crash.topic = feeder.topic;
    first = life_begin(&crash, 1);
    while (!atomic_load_explicit(crash.is_ready, memory_order_relaxed))
        bench_sleep_ms(LOOK_MS);
    feeder_go(&feeder);
    bench_sleep_ms(crash.records * 1000 / FEEDER_RATE / 20 * 19);
    kill(first, SIGKILL);
    restart_wait(first);
    witness_restart(crash.witness);
    bench_check_count(feeder_wait(&feeder), crash.records, "records fed");
    if (restart_wait(life_begin(&crash, 2)) != 0)
        bench_fail("the second life has failed");
    cluster_check_committed(crash.group, feeder.topic, CLUSTER_PARTITIONS, crash.records);
    run->result->work = crash.records;
    witness_report(crash.witness, run, crash.records - witness_ended(crash.witness),
                   crash.plan->pool > 0 ? WITNESS_NOTHING : WITNESS_NO_LOSS | WITNESS_ORDER);
    feeder_settings(run, crash.records, KAFKA_KEYS, crash.workers);
    bench_setting(run, "sleep_ms", KAFKA_CRASH_SLEEP_MS);
    bench_setting(run, "commit_interval_ms", BY_HAND_COMMIT_MS);
    feeder_end(&feeder);
}
