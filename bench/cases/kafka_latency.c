/* SPDX-License-Identifier: Apache-2.0 */
/* Kafka, latency: from when a record was due to be produced in another process to the start of its
 * handler here. The timetable does not wait for anybody (an open loop), and what is late counts
 * from when it was due, so that no delay hides those behind it.
 *
 * A feeder produces 10,000 records a second to a new topic, ten each millisecond, as soon as the
 * consumer has all of its partitions; the first tenth is not counted. Both arms leave to
 * librdkafka's defaults how they wait for records (fetch.wait.max.ms, fetch.min.bytes); arm poll
 * commits nothing. */
#include "cases/kafka.h"
#include "lib/feeder.h"
#include "lib/histogram.h"

#include <semaphore.h>
#include <unistd.h>

enum { RECORDS = 100000, RECORDS_QUICK = 5000 };

/* One thread's; main looks behind the semaphore. */
struct times {
    struct passage passage;
    struct histogram histogram;
    struct witness *witness;
    sem_t done;
};

static struct times times;

static bool times_add(const void *key, const void *value)
{
    int64_t time_ns = bench_now_ns() - stamp_read(value).due_ns;

    if (times.passage.passed >= times.passage.records / 10)
        histogram_add(&times.histogram, (uint64_t)time_ns);
    witness_pass(times.witness, cluster_key_number(key), value);
    return passage_one(&times.passage);
}

static void times_init(const struct bench_run *run)
{
    times.passage.records = bench_count(run, RECORDS, RECORDS_QUICK);
    times.witness = witness_create(times.passage.records, KAFKA_KEYS, false);
    sem_init(&times.done, 0, 0);
}

static void report(struct bench_run *run, uint32_t workers)
{
    static const struct {
        const char *metric;
        double share;
    } quantiles[] = {
        {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"p9999", 0.9999},
    };

    bench_meter_report(&times.passage.meter, run, times.passage.records);
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++)
        bench_figure(run, quantiles[i].metric,
                     (double)histogram_quantile(&times.histogram, quantiles[i].share) / 1000);
    bench_figure(run, "max", (double)times.histogram.most / 1000);
    witness_report(times.witness, run, times.passage.records - witness_ended(times.witness),
                   WITNESS_NO_LOSS | WITNESS_ORDER);
    feeder_settings(run, times.passage.records, KAFKA_KEYS, workers);
}

static enum klane_outcome handle_by_timing(const struct klane_record *record, void *context)
{
    (void)context;
    if (times_add(record->key, record->value))
        sem_post(&times.done);
    return KLANE_DONE;
}

void kafka_latency_klane_run(struct bench_run *run)
{
    struct klane_runtime *runtime;
    struct feeder feeder;
    struct drive drive;
    char group[CLUSTER_NAME_MAX];

    times_init(run);
    feeder_start(&feeder, times.passage.records, KAFKA_KEYS);
    cluster_name(group, "group");
    drive_init(&drive, 1, handle_by_timing, NULL);
    runtime = cluster_runtime(&drive, feeder.topic, cluster_consumer_conf(group));
    bench_check(klane_start(runtime), "klane_start");
    while (drive_stats(runtime).partitions < CLUSTER_PARTITIONS)
        usleep(10000);
    feeder_go(&feeder);
    bench_wait(&times.done);
    bench_check_count(feeder_wait(&feeder), times.passage.records, "records fed");
    feeder_end(&feeder);
    klane_stop(runtime);
    drive_wait(runtime);
    drive_destroy(runtime);
    cluster_check_committed(group, feeder.topic, CLUSTER_PARTITIONS, times.passage.records);
    report(run, 1);
}

static bool pass_message(const rd_kafka_message_t *message, void *context)
{
    (void)context;
    return times_add(message->key, message->payload);
}

void kafka_latency_poll_run(struct bench_run *run)
{
    static const struct cluster_setting commits_nothing[] = {
        {"enable.auto.commit", "false"},
        {NULL, NULL},
    };
    struct feeder feeder;
    rd_kafka_conf_t *conf;
    rd_kafka_t *consumer;
    char group[CLUSTER_NAME_MAX];

    times_init(run);
    feeder_start(&feeder, times.passage.records, KAFKA_KEYS);
    cluster_name(group, "group");
    conf = cluster_consumer_conf(group);
    cluster_set(conf, commits_nothing, NULL);
    consumer = cluster_bare_consumer(conf);
    cluster_subscribe(consumer, feeder.topic);
    while (cluster_assigned(consumer) < CLUSTER_PARTITIONS)
        if (rd_kafka_consumer_poll(consumer, 10) != NULL)
            bench_fail("a message before there are any");
    feeder_go(&feeder);
    kafka_poll(consumer, pass_message, NULL);
    bench_check_count(feeder_wait(&feeder), times.passage.records, "records fed");
    feeder_end(&feeder);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    report(run, 0);
}
