/* SPDX-License-Identifier: Apache-2.0 */
/* Kafka, no work: what a record costs when its handler costs nothing. The topic is full before
 * the clock begins; the clock runs from the first record to the last.
 *
 * Arm klane is a member of a group and commits as it does by default; at the end the group must
 * have committed every record. The bare arms commit nothing: poll is a member of a group and
 * takes message by message; callback has its partitions assigned by hand, and is handed the
 * messages without a call for each and without a copy, which is the least that librdkafka asks.
 * One thread of the program's in each of them, one worker beside control in klane.
 *
 * Looking for a record's headers costs librdkafka an allocation, also when there are none. The
 * bare loops do not look, so neither does klane; the arms klane-headers and poll-headers do. */
#include "cases/kafka.h"

#include <semaphore.h>

/* fetch.queue.backoff.ms is there from librdkafka 2.2 on. Before, a broker's thread that finds
 * its queue full naps up to a second, so the queue is better never full. */
const struct cluster_setting kafka_noop_tuned[] = {
    {"queued.min.messages", "1000000"},     {"queued.max.messages.kbytes", "1048576"},
    {"fetch.message.max.bytes", "1048576"}, {"fetch.max.bytes", "52428800"},
    {"fetch.queue.backoff.ms", "1"},        {NULL, NULL},
};

const bool kafka_has_headers = true;

static uint64_t records_of(const struct bench_run *run)
{
    return bench_count(run, KAFKA_RECORDS, KAFKA_RECORDS_QUICK);
}

/* ---- klane ----------------------------------------------------------------------------- */

struct noop {
    struct passage passage;
    sem_t done;
};

static enum klane_outcome handle_nothing(const struct klane_record *record, void *context)
{
    struct noop *noop = context;

    (void)record;
    if (passage_one(&noop->passage))
        sem_post(&noop->done);
    return KLANE_DONE;
}

void kafka_noop_klane_run(struct bench_run *run)
{
    struct noop noop = {.passage = {.records = records_of(run)}};
    struct klane_runtime *runtime;
    struct klane_stats stats;
    struct drive drive;
    char group[CLUSTER_NAME_MAX];

    cluster_name(group, "group");
    sem_init(&noop.done, 0, 0);
    drive_init(&drive, 1, handle_nothing, &noop);
    drive.topic.without_headers = run->plan != &kafka_has_headers;
    runtime = cluster_runtime(&drive, cluster_records_topic(), cluster_consumer_conf(group));
    bench_check(klane_start(runtime), "klane_start");
    bench_wait(&noop.done);
    stats = drive_stats(runtime);
    klane_stop(runtime);
    drive_wait(runtime);
    drive_destroy(runtime);
    bench_check_count(noop.passage.passed, noop.passage.records, "records handled");
    cluster_check_committed(group, cluster_records_topic(), noop.passage.records);
    bench_meter_report(&noop.passage.meter, run, noop.passage.records);
    cluster_settings(run, noop.passage.records, KAFKA_KEYS, 1);
    bench_setting(run, "commit_interval_ms", drive.options.commit_interval_ms);
    bench_setting(run, "commit_records", drive.options.commit_records);
    bench_setting(run, "commits", (int64_t)stats.commits);
}

/* ---- without klane --------------------------------------------------------------------- */

static rd_kafka_t *consumer_new(struct bench_run *run)
{
    rd_kafka_conf_t *conf;
    char group[CLUSTER_NAME_MAX];
    static const struct cluster_setting commits_nothing[] = {
        {"enable.auto.commit", "false"},
        {NULL, NULL},
    };

    cluster_name(group, "group");
    conf = cluster_consumer_conf(group);
    cluster_set(conf, commits_nothing, NULL);
    cluster_set(conf, run->plan, run);
    return cluster_bare_consumer(conf);
}

static bool pass_message(const rd_kafka_message_t *message, void *context)
{
    (void)message;
    return passage_one(context);
}

static bool pass_headers(const rd_kafka_message_t *message, void *context)
{
    rd_kafka_headers_t *headers;

    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR__NOENT)
        bench_fail("there are headers that nobody has produced");
    return passage_one(context);
}

static void poll_run(struct bench_run *run, bool (*pass)(const rd_kafka_message_t *, void *))
{
    struct passage passage = {.records = records_of(run)};
    rd_kafka_t *consumer = consumer_new(run);

    cluster_subscribe(consumer, cluster_records_topic());
    kafka_poll(consumer, pass, &passage);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    bench_meter_report(&passage.meter, run, passage.records);
    cluster_settings(run, passage.records, KAFKA_KEYS, 0);
}

void kafka_noop_poll_run(struct bench_run *run)
{
    poll_run(run, pass_message);
}

void kafka_noop_poll_headers_run(struct bench_run *run)
{
    poll_run(run, pass_headers);
}

struct callback {
    struct passage passage;
    rd_kafka_t *consumer;
    bool is_done;
};

static void take_message(rd_kafka_message_t *message, void *context)
{
    struct callback *callback = context;

    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        bench_fail("rd_kafka_consume_callback_queue: %s", rd_kafka_message_errstr(message));
    callback->is_done = passage_one(&callback->passage);
    if (callback->is_done)
        rd_kafka_yield(callback->consumer);
}

/* Forwarded first: librdkafka leaves alone what the program has forwarded. */
static void assign_to(rd_kafka_t *consumer, rd_kafka_queue_t *queue)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(CLUSTER_PARTITIONS);
    rd_kafka_resp_err_t err;

    for (int32_t i = 0; i < CLUSTER_PARTITIONS; i++) {
        rd_kafka_queue_t *own =
            rd_kafka_queue_get_partition(consumer, cluster_records_topic(), i);

        rd_kafka_queue_forward(own, queue);
        rd_kafka_queue_destroy(own);
        rd_kafka_topic_partition_list_add(list, cluster_records_topic(), i)->offset =
            RD_KAFKA_OFFSET_BEGINNING;
    }
    err = rd_kafka_assign(consumer, list);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        bench_fail("rd_kafka_assign: %s", rd_kafka_err2str(err));
    rd_kafka_topic_partition_list_destroy(list);
}

void kafka_noop_callback_run(struct bench_run *run)
{
    rd_kafka_t *consumer = consumer_new(run);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(consumer);
    struct callback callback = {.passage = {.records = records_of(run)}, .consumer = consumer};

    assign_to(consumer, queue);
    while (!callback.is_done)
        rd_kafka_consume_callback_queue(queue, 100, take_message, &callback);
    rd_kafka_queue_destroy(queue);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    bench_meter_report(&callback.passage.meter, run, callback.passage.records);
    cluster_settings(run, callback.passage.records, KAFKA_KEYS, 0);
}
