/* SPDX-License-Identifier: Apache-2.0 */
/* Kafka as a source: the contract of every source, on a real broker. */
#include "kafka/kafka_kit.h"

#include "lib/source_conformance.h"
#include "source/kafka/group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kafka_log {
    char group[KAFKA_NAME_SIZE];
    char topic[KAFKA_NAME_SIZE];
    char other[KAFKA_NAME_SIZE];
    struct kafka_source *source; /* the last */
    bool has_topic;
};

static void *log_open(void)
{
    struct kafka_log *log = calloc(1, sizeof *log);

    kafka_kit_name(log->group, "group");
    kafka_kit_name(log->topic, "conformance");
    kafka_kit_name(log->other, "other");
    return log;
}

static const char *log_topic_name(const void *log)
{
    return ((const struct kafka_log *)log)->topic;
}

static void log_close(void *opened)
{
    struct kafka_log *log = opened;

    if (log->has_topic)
        kafka_kit_topic_delete(log->topic);
    free(log);
}

/* Only the topic that is read has a name of its own. */
static const char *name_of(const struct kafka_log *log, const char *topic)
{
    return strcmp(topic, "other") == 0 ? log->other : topic;
}

static void log_topic(void *opened, const char *topic, int32_t partitions)
{
    struct kafka_log *log = opened;
    /* The tests' records are of the year 1970, or of a far future. */
    static const char *const configs[] = {
        "max.message.bytes",   "4000000", "retention.ms", "-1", "message.timestamp.after.max.ms",
        "9223372036854775807", NULL,
    };

    kafka_kit_topic(name_of(log, topic), partitions, configs);
    log->has_topic = log->has_topic || strcmp(topic, log->topic) == 0;
}

static int64_t log_append(void *opened, const char *topic, int32_t partition,
                          const struct conformance_record *record)
{
    struct kafka_kit_record given = {
        .topic = name_of(opened, topic),
        .partition = partition,
        .key = record->key,
        .key_size = record->key_size,
        .value = record->value,
        .value_size = record->value_size,
        .timestamp_ms = record->timestamp_ms,
        .headers = record->headers,
        .header_count = record->header_count,
    };

    return kafka_kit_append(&given);
}

static struct klane_source *log_source(void *opened)
{
    struct kafka_log *log = opened;
    rd_kafka_conf_t *conf = kafka_kit_consumer_conf(log->group);
    struct klane_source *source;
    char why[256];

    /* One partition may go and come alone. */
    kafka_kit_set_classic(conf, "partition.assignment.strategy", "cooperative-sticky");
    if (klane_kafka_create(conf, NULL, &source, why, sizeof why) != KLANE_OK)
        fail_msg("%s", why);
    log->source = (struct kafka_source *)source;
    return source;
}

static int64_t log_committed(void *opened, const char *topic, int32_t partition)
{
    return kafka_kit_committed(((struct kafka_log *)opened)->group, topic, partition);
}

/* ---- rebalances -------------------------------------------------------------------------- */

/* As the group's callback brings them: the group itself stays as it is. */

static bool is_lost;

int __wrap_rd_kafka_assignment_lost(rd_kafka_t *rk);

int __wrap_rd_kafka_assignment_lost(rd_kafka_t *rk)
{
    (void)rk;
    return is_lost;
}

static void rebalance(const struct kafka_log *log, rd_kafka_resp_err_t err, const char *topic,
                      int32_t partition)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, topic, partition);
    kafka_group_rebalance(log->source, err, list);
    rd_kafka_topic_partition_list_destroy(list);
}

static void log_revoke(void *opened, const char *topic, int32_t partition, bool lost)
{
    is_lost = lost;
    rebalance(opened, RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS, topic, partition);
}

/* librdkafka says no more than that. */
static void log_lose(void *opened, const char *topic, int32_t partition)
{
    (void)opened, (void)topic, (void)partition;
    is_lost = true;
}

static void log_assign(void *opened, const char *topic, int32_t partition)
{
    is_lost = false;
    rebalance(opened, RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, topic, partition);
}

static const struct conformance_log_ops log_ops = {
    .name = "kafka",
    .can = CONFORMANCE_CAN_RESTART | CONFORMANCE_CAN_REVOKE | CONFORMANCE_CAN_SWEEP,
    .open = log_open,
    .topic_name = log_topic_name,
    .close = log_close,
    .topic = log_topic,
    .append = log_append,
    .source = log_source,
    .committed = log_committed,
    .revoke = log_revoke,
    .assign = log_assign,
    .lose = log_lose,
};

int main(void)
{
    int failed = source_conformance_run(&log_ops);

    if (check_marked("kafka: lost while it is drained") == 0 && getenv("KLANE_TEST") == NULL) {
        fprintf(stderr, "no partition was lost while it was drained\n");
        failed++;
    }
    kafka_kit_deinit();
    return failed;
}
