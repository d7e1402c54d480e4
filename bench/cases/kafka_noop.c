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
 * bare loops do not look, so neither does klane; the arms klane-headers and poll-headers do.
 *
 * thread-per-partition and pool are what people write by hand (lib/by_hand.h), with as many
 * threads as there are partitions. */
#include "cases/kafka.h"
#include "lib/by_hand.h"

#include <semaphore.h>

/* fetch.queue.backoff.ms is there from librdkafka 2.2 on. Before, a broker's thread that finds
 * its queue full naps up to a second, so the queue is better never full. */
static const struct cluster_setting tuned[] = {
    {"queued.min.messages", "1000000"},     {"queued.max.messages.kbytes", "1048576"},
    {"fetch.message.max.bytes", "1048576"}, {"fetch.max.bytes", "52428800"},
    {"fetch.queue.backoff.ms", "1"},        {NULL, NULL},
};

const struct kafka_noop_plan kafka_noop_plain = {NULL, false, KLANE_ORDER_KEY, 0};
const struct kafka_noop_plan kafka_noop_partition = {NULL, false, KLANE_ORDER_PARTITION, 0};
const struct kafka_noop_plan kafka_noop_none = {NULL, false, KLANE_ORDER_NONE, 0};
const struct kafka_noop_plan kafka_noop_tuned = {tuned, false, KLANE_ORDER_KEY, 0};
const struct kafka_noop_plan kafka_noop_headers = {tuned, true, KLANE_ORDER_KEY, 0};
const struct kafka_noop_plan kafka_noop_pool = {NULL, false, KLANE_ORDER_KEY, CLUSTER_PARTITIONS};

/* What all arms have. */
struct noop {
    struct records records;
    struct passage passage;
    struct witness *witness;
    char group[CLUSTER_NAME_MAX];
    rd_kafka_t *consumer; /* of arm callback */
    sem_t done;
};

static void noop_init(struct noop *noop, const struct bench_run *run, uint32_t threads)
{
    records_init(&noop->records, &kafka_records, run);
    noop->passage.records = noop->records.count;
    noop->passage.is_shared = threads > 1;
    noop->witness = witness_create(noop->records.count, noop->records.keys, threads > 1);
    cluster_name(noop->group, "group");
    sem_init(&noop->done, 0, 0);
}

static bool pass(struct noop *noop, const void *key, const void *value)
{
    witness_pass(noop->witness, cluster_key_number(key), value);
    return passage_one(&noop->passage);
}

/* Everything has passed, so what has not is lost. */
static void report(struct noop *noop, struct bench_run *run, uint32_t workers, unsigned promises)
{
    bench_meter_report(&noop->passage.meter, run, noop->records.count);
    witness_report(noop->witness, run, noop->records.count - witness_ended(noop->witness),
                   promises);
    records_settings(&noop->records, run, workers);
}

/* ---- klane ----------------------------------------------------------------------------- */

static enum klane_outcome handle_nothing(const struct klane_record *record, void *context)
{
    struct noop *noop = context;

    if (pass(noop, record->key, record->value))
        sem_post(&noop->done);
    return KLANE_DONE;
}

void kafka_noop_klane_run(struct bench_run *run)
{
    const struct kafka_noop_plan *plan = run->plan;
    uint32_t workers = kafka_workers(run, 1);
    struct klane_runtime *runtime;
    struct klane_stats stats;
    struct noop noop = {0};
    struct drive drive;

    noop_init(&noop, run, workers);
    drive_init(&drive, workers, handle_nothing, &noop);
    drive.topic.without_headers = !plan->has_headers;
    drive.topic.order = plan->order;
    runtime = cluster_runtime(&drive, noop.records.topic, cluster_consumer_conf(noop.group));
    bench_check(klane_start(runtime), "klane_start");
    bench_wait(&noop.done);
    stats = drive_stats(runtime);
    klane_stop(runtime);
    drive_wait(runtime);
    drive_destroy(runtime);
    bench_check_count(noop.passage.passed, noop.records.count, "records handled");
    cluster_check_committed(noop.group, noop.records.topic, noop.records.partitions,
                            noop.records.count);
    report(&noop, run, workers,
           WITNESS_NO_LOSS | (plan->order == KLANE_ORDER_NONE ? 0 : WITNESS_ORDER));
    bench_setting(run, "commit_interval_ms", drive.options.commit_interval_ms);
    bench_setting(run, "commit_records", drive.options.commit_records);
    bench_setting(run, "commits", (int64_t)stats.commits);
}

/* ---- bare loops -------------------------------------------------------------------------- */

static rd_kafka_t *consumer_new(const struct noop *noop, struct bench_run *run)
{
    const struct kafka_noop_plan *plan = run->plan;
    static const struct cluster_setting commits_nothing[] = {
        {"enable.auto.commit", "false"},
        {NULL, NULL},
    };
    rd_kafka_conf_t *conf = cluster_consumer_conf(noop->group);

    cluster_set(conf, commits_nothing, NULL);
    cluster_set(conf, plan->settings, run);
    return cluster_bare_consumer(conf);
}

static bool pass_message(const rd_kafka_message_t *message, void *context)
{
    return pass(context, message->key, message->payload);
}

static bool pass_headers(const rd_kafka_message_t *message, void *context)
{
    rd_kafka_headers_t *headers;

    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR__NOENT)
        bench_fail("there are headers that nobody has produced");
    return pass_message(message, context);
}

static void consumer_end(struct noop *noop, rd_kafka_t *consumer, struct bench_run *run)
{
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    report(noop, run, 0, WITNESS_NO_LOSS | WITNESS_ORDER);
}

void kafka_noop_poll_run(struct bench_run *run)
{
    const struct kafka_noop_plan *plan = run->plan;
    struct noop noop = {0};
    rd_kafka_t *consumer;

    noop_init(&noop, run, 1);
    consumer = consumer_new(&noop, run);
    cluster_subscribe(consumer, noop.records.topic);
    kafka_poll(consumer, plan->has_headers ? pass_headers : pass_message, &noop);
    consumer_end(&noop, consumer, run);
}

static void take_message(rd_kafka_message_t *message, void *context)
{
    struct noop *noop = context;

    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        bench_fail("rd_kafka_consume_callback_queue: %s", rd_kafka_message_errstr(message));
    if (!pass_message(message, noop))
        return;
    sem_post(&noop->done);
    rd_kafka_yield(noop->consumer);
}

/* Forwarded first: librdkafka leaves alone what the program has forwarded. */
static void assign_to(const struct noop *noop, rd_kafka_queue_t *queue)
{
    int32_t partitions = noop->records.partitions;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    rd_kafka_resp_err_t err;

    for (int32_t i = 0; i < partitions; i++) {
        rd_kafka_queue_t *own =
            rd_kafka_queue_get_partition(noop->consumer, noop->records.topic, i);

        rd_kafka_queue_forward(own, queue);
        rd_kafka_queue_destroy(own);
        rd_kafka_topic_partition_list_add(list, noop->records.topic, i)->offset =
            RD_KAFKA_OFFSET_BEGINNING;
    }
    err = rd_kafka_assign(noop->consumer, list);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        bench_fail("rd_kafka_assign: %s", rd_kafka_err2str(err));
    rd_kafka_topic_partition_list_destroy(list);
}

void kafka_noop_callback_run(struct bench_run *run)
{
    struct noop noop = {0};
    rd_kafka_queue_t *queue;

    noop_init(&noop, run, 1);
    noop.consumer = consumer_new(&noop, run);
    queue = rd_kafka_queue_new(noop.consumer);
    assign_to(&noop, queue);
    while (sem_trywait(&noop.done) != 0)
        rd_kafka_consume_callback_queue(queue, 100, take_message, &noop);
    rd_kafka_queue_destroy(queue);
    consumer_end(&noop, noop.consumer, run);
}

/* ---- by hand ----------------------------------------------------------------------------- */

static void handle_by_hand(const rd_kafka_message_t *message, void *context)
{
    struct noop *noop = context;

    if (pass_message(message, noop))
        sem_post(&noop->done);
}

void kafka_noop_by_hand_run(struct bench_run *run)
{
    const struct kafka_noop_plan *plan = run->plan;
    struct noop noop = {0};
    struct by_hand_rules rules = {
        .topic = noop.records.topic,
        .group = noop.group,
        .pool = plan->pool > 0 ? kafka_workers(run, plan->pool) : 0,
        .handle = handle_by_hand,
        .context = &noop,
    };
    struct by_hand *by_hand;

    noop_init(&noop, run, 2);
    rules.partitions = noop.records.partitions;
    by_hand = by_hand_start(&rules);
    bench_wait(&noop.done);
    by_hand_stop(by_hand);
    cluster_check_committed(noop.group, noop.records.topic, noop.records.partitions,
                            noop.records.count);
    report(&noop, run, 0, plan->pool > 0 ? WITNESS_NOTHING : WITNESS_NO_LOSS | WITNESS_ORDER);
    by_hand_settings(&rules, run);
}
