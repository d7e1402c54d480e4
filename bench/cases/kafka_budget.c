/* SPDX-License-Identifier: Apache-2.0 */
/* The budget on Kafka. What a broker may send ahead comes off it, so that has to be little. */
#include "cases/budget.h"
#include "cases/kafka.h"

/* A batch has some bytes beside its record. */
#define MESSAGE_MAX "8400000"

_Static_assert(BUDGET_VALUE_MAX < 8400000 && (int)BUDGET_VALUE_MAX < (int)CLUSTER_MESSAGE_MAX,
               "the largest fits");
_Static_assert((int)BUDGET_PARTITIONS == (int)CLUSTER_PARTITIONS, "a key's partition");

static const struct cluster_setting large[] = {
    {"message.max.bytes", MESSAGE_MAX},
    {NULL, NULL},
};

static const struct cluster_setting little_ahead[] = {
    {"message.max.bytes", MESSAGE_MAX},
    {"fetch.max.bytes", MESSAGE_MAX},
    {"max.partition.fetch.bytes", "1048576"},
    {"receive.message.max.bytes", "8500000"},
    {NULL, NULL},
};

static void make(void *topic)
{
    cluster_topic_create(topic, CLUSTER_PARTITIONS);
}

static void append(void *name, uint64_t records, const void *value)
{
    rd_kafka_conf_t *conf = cluster_conf();
    rd_kafka_topic_t *topic;
    rd_kafka_t *producer;
    uint64_t state = 1, number;

    cluster_set(conf, large, NULL);
    producer = cluster_producer(conf);
    topic = rd_kafka_topic_new(producer, name, NULL);
    for (uint64_t i = 0; i < records; i++) {
        size_t size = budget_next(&state, &number);

        cluster_produce(producer, topic, (int32_t)(number % CLUSTER_PARTITIONS), number, value,
                        size);
        rd_kafka_poll(producer, 0);
    }
    if (rd_kafka_flush(producer, 10 * CLUSTER_CALL_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
        bench_fail("the records were not taken in time");
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(producer);
}

static struct klane_runtime *create(void *topic, struct drive *drive)
{
    struct klane_kafka_options options;
    char group[CLUSTER_NAME_MAX];
    rd_kafka_conf_t *conf;

    klane_kafka_options_init(&options, sizeof(options));
    options.queue_records = 1000;
    options.queue_bytes = 1 << 20;
    cluster_name(group, "group");
    conf = cluster_consumer_conf(group);
    cluster_set(conf, little_ahead, NULL);
    return cluster_runtime_with(drive, topic, conf, &options);
}

static void settings(struct bench_run *run)
{
    bench_setting(run, "queue_bytes", 1 << 20);
    bench_setting_text(run, "message.max.bytes", MESSAGE_MAX);
}

void kafka_budget_run(struct bench_run *run)
{
    static const struct budget_log log = {make, append, create, settings};
    char topic[CLUSTER_NAME_MAX];

    cluster_name(topic, "large");
    budget_run(run, &log, topic);
}
