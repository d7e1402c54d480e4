/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/kafka_kit.h"
#include "kafka/kafka_library.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char bootstrap[128];
static rd_kafka_t *producer;
static rd_kafka_t *client; /* for everything that is not producing */

/* ---- the cluster ------------------------------------------------------------------------- */

static void read_bootstrap(void)
{
    const char *given = getenv("KLANE_BOOTSTRAP");
    FILE *file;

    if (given != NULL && given[0] != '\0') {
        snprintf(bootstrap, sizeof bootstrap, "%s", given);
        return;
    }
    file = fopen(KLANE_TEST_BOOTSTRAP_FILE, "r");
    if (file == NULL || fgets(bootstrap, sizeof bootstrap, file) == NULL) {
        fprintf(stderr, "no cluster: set KLANE_BOOTSTRAP, or run ./tests/run kafka\n");
        exit(1);
    }
    fclose(file);
    bootstrap[strcspn(bootstrap, "\n")] = '\0';
}

const char *kafka_kit_bootstrap(void)
{
    if (bootstrap[0] == '\0')
        read_bootstrap();
    return bootstrap;
}

uint16_t kafka_kit_port(void)
{
    const char *colon = strrchr(kafka_kit_bootstrap(), ':');

    assert_non_null(colon);
    return (uint16_t)atoi(colon + 1);
}

void kafka_kit_use(const char *at)
{
    kafka_kit_deinit();
    snprintf(bootstrap, sizeof bootstrap, "%s", at);
}

void kafka_kit_name(char name[KAFKA_NAME_SIZE], const char *what)
{
    static unsigned count;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(name, KAFKA_NAME_SIZE, "klane-test-%ld-%d-%u-%s", (long)now.tv_sec, (int)getpid(),
             ++count, what);
}

void kafka_kit_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[256];

    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK)
        fail_msg("%s", why);
}

void kafka_kit_set_classic(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    if (!kafka_library_is_consumer_protocol())
        kafka_kit_set(conf, name, value);
}

rd_kafka_conf_t *kafka_kit_conf(void)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    kafka_library_check();
    kafka_kit_set(conf, "bootstrap.servers", kafka_kit_bootstrap());
    kafka_kit_set(conf, "log_level", "2");
    /* No divisor of a second: see README. */
    kafka_kit_set(conf, "topic.metadata.refresh.interval.ms", "700");
    kafka_kit_set(conf, "reconnect.backoff.ms", "20");
    kafka_kit_set(conf, "reconnect.backoff.max.ms", "200");
    return conf;
}

rd_kafka_conf_t *kafka_kit_consumer_conf(const char *group)
{
    rd_kafka_conf_t *conf = kafka_kit_conf();

    kafka_kit_set(conf, "group.id", group);
    if (kafka_library_is_consumer_protocol())
        kafka_kit_set(conf, "group.protocol", "consumer");
    kafka_kit_set_classic(conf, "session.timeout.ms", "6000");
    kafka_kit_set_classic(conf, "heartbeat.interval.ms", "100");
    kafka_kit_set(conf, "fetch.wait.max.ms", "50");
    kafka_kit_set(conf, "fetch.error.backoff.ms", "50");
    return conf;
}

static rd_kafka_t *make(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char why[256];
    rd_kafka_t *made = rd_kafka_new(type, conf, why, sizeof why);

    if (made == NULL)
        fail_msg("%s", why);
    return made;
}

static rd_kafka_t *client_of(void)
{
    if (client == NULL)
        client = make(RD_KAFKA_PRODUCER, kafka_kit_conf());
    return client;
}

void kafka_kit_deinit(void)
{
    if (producer != NULL)
        rd_kafka_destroy(producer);
    if (client != NULL)
        rd_kafka_destroy(client);
    producer = NULL;
    client = NULL;
    bootstrap[0] = '\0';
}

/* ---- topics ------------------------------------------------------------------------------ */

/* Waits for the answer; each kind of result has its own way to ask for the first error. */
static rd_kafka_event_t *answer_of(rd_kafka_queue_t *queue)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, KAFKA_KIT_MS);

    assert_non_null(event);
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail_msg("%s", rd_kafka_event_error_string(event));
    return event;
}

static void check_topics(const rd_kafka_topic_result_t **results, size_t count)
{
    assert_int_equal(count, 1);
    if (rd_kafka_topic_result_error(results[0]) != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail_msg("%s", rd_kafka_topic_result_error_string(results[0]));
}

/* Metadata comes to a broker a moment after it has answered. */
static void wait_for_partitions(const char *topic, int partitions)
{
    for (int i = 0; i < KAFKA_KIT_MS / 10; i++) {
        const struct rd_kafka_metadata *metadata;
        rd_kafka_topic_t *rkt = rd_kafka_topic_new(client_of(), topic, NULL);
        int count = -1;

        if (rd_kafka_metadata(client_of(), 0, rkt, &metadata, KAFKA_KIT_MS) ==
            RD_KAFKA_RESP_ERR_NO_ERROR) {
            count = metadata->topics[0].err != 0 ? 0 : metadata->topics[0].partition_cnt;
            for (int p = 0; p < metadata->topics[0].partition_cnt; p++)
                if (metadata->topics[0].partitions[p].leader < 0)
                    count = -1;
            rd_kafka_metadata_destroy(metadata);
        }
        rd_kafka_topic_destroy(rkt);
        if (count == partitions)
            return;
        usleep(10000);
    }
    fail_msg("topic %s never had %d partitions", topic, partitions);
}

/* The new topic is gone on return. */
static void make_topic(rd_kafka_NewTopic_t *new_topic, const char *const *configs)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client_of());
    rd_kafka_event_t *event;
    const rd_kafka_topic_result_t **results;
    size_t count;

    for (; configs != NULL && configs[0] != NULL; configs += 2)
        rd_kafka_NewTopic_set_config(new_topic, configs[0], configs[1]);
    rd_kafka_CreateTopics(client_of(), &new_topic, 1, NULL, queue);
    event = answer_of(queue);
    results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    check_topics(results, count);
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(new_topic);
}

static rd_kafka_NewTopic_t *new_topic_of(const char *topic, int partitions)
{
    char why[256];
    rd_kafka_NewTopic_t *new_topic =
        rd_kafka_NewTopic_new(topic, partitions, -1, why, sizeof why);

    assert_non_null(new_topic);
    return new_topic;
}

/* The replicas of a partition. */
static void place(rd_kafka_NewTopic_t *new_topic, int32_t partition, int32_t *brokers,
                  size_t count)
{
    char why[256];

    assert_int_equal(rd_kafka_NewTopic_set_replica_assignment(new_topic, partition, brokers,
                                                              count, why, sizeof why),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
}

void kafka_kit_topic(const char *topic, int partitions, const char *const *configs)
{
    make_topic(new_topic_of(topic, partitions), configs);
    wait_for_partitions(topic, partitions);
}

void kafka_kit_topic_on(const char *topic, int partitions, const int32_t *brokers, size_t count,
                        const char *const *configs)
{
    rd_kafka_NewTopic_t *new_topic = new_topic_of(topic, partitions);
    int32_t ids[8];

    assert_true(count <= sizeof ids / sizeof *ids);
    memcpy(ids, brokers, count * sizeof *ids);
    for (int32_t i = 0; i < partitions; i++)
        place(new_topic, i, ids, count);
    make_topic(new_topic, configs);
    wait_for_partitions(topic, partitions);
}

void kafka_kit_topic_spread(const char *topic, int partitions)
{
    rd_kafka_NewTopic_t *new_topic = new_topic_of(topic, partitions);

    for (int32_t i = 0; i < partitions; i++)
        place(new_topic, i, &(int32_t){i + 1}, 1);
    make_topic(new_topic, NULL);
    wait_for_partitions(topic, partitions);
}

void kafka_kit_topic_delete(const char *topic)
{
    rd_kafka_DeleteTopic_t *request = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client_of());
    rd_kafka_event_t *event;
    const rd_kafka_topic_result_t **results;
    size_t count;

    rd_kafka_DeleteTopics(client_of(), &request, 1, NULL, queue);
    event = answer_of(queue);
    results =
        rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
    check_topics(results, count);
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_DeleteTopic_destroy(request);
}

void kafka_kit_partitions_add(const char *topic, int partitions)
{
    char why[256];
    rd_kafka_NewPartitions_t *request =
        rd_kafka_NewPartitions_new(topic, (size_t)partitions, why, sizeof why);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client_of());
    rd_kafka_event_t *event;
    const rd_kafka_topic_result_t **results;
    size_t count;

    rd_kafka_CreatePartitions(client_of(), &request, 1, NULL, queue);
    event = answer_of(queue);
    results = rd_kafka_CreatePartitions_result_topics(
        rd_kafka_event_CreatePartitions_result(event), &count);
    check_topics(results, count);
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewPartitions_destroy(request);
    wait_for_partitions(topic, partitions);
}

void kafka_kit_records_delete(const char *topic, int32_t partition, int64_t before)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_DeleteRecords_t *request;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client_of());
    rd_kafka_event_t *event;

    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = before;
    request = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(client_of(), &request, 1, NULL, queue);
    event = answer_of(queue);
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_DeleteRecords_destroy(request);
    rd_kafka_topic_partition_list_destroy(list);
}

/* ---- records ----------------------------------------------------------------------------- */

/* A delivery: the offset, or -1. The opaque of a message that somebody waits for. */
struct delivery {
    _Atomic int64_t offset; /* DELIVERY_OUT: not yet */
};
#define DELIVERY_OUT (-2)

/* Of a record that nobody waits for; 0: none. Relaxed: read when all have come. */
static atomic_int undelivered;

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct delivery *delivery = message->_private;

    (void)rk, (void)opaque;
    if (delivery == NULL && message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        atomic_store_explicit(&undelivered, message->err, memory_order_relaxed);
    /* Relaxed: polled by the one who waits. */
    if (delivery != NULL)
        atomic_store_explicit(&delivery->offset, message->err != 0 ? -1 : message->offset,
                              memory_order_relaxed);
}

void kafka_kit_keeps_all(rd_kafka_conf_t *conf)
{
    kafka_kit_set(conf, "enable.idempotence", "true");
    kafka_kit_set(conf, "max.in.flight", "1");
}

rd_kafka_t *kafka_kit_producer_new(const char *transactional_id)
{
    rd_kafka_conf_t *conf = kafka_kit_conf();
    rd_kafka_t *made;

    kafka_kit_set(conf, "linger.ms", "0");
    kafka_kit_set(conf, "message.max.bytes", "4000000");
    kafka_kit_keeps_all(conf);
    kafka_kit_set(conf, "queue.buffering.max.messages", "1000000");
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    if (transactional_id != NULL)
        kafka_kit_set(conf, "transactional.id", transactional_id);
    made = make(RD_KAFKA_PRODUCER, conf);
    if (transactional_id != NULL) {
        rd_kafka_error_t *error = rd_kafka_init_transactions(made, KAFKA_KIT_MS);

        if (error != NULL)
            fail_msg("%s", rd_kafka_error_string(error));
    }
    return made;
}

rd_kafka_t *kafka_kit_producer(void)
{
    if (producer == NULL)
        producer = kafka_kit_producer_new(NULL);
    return producer;
}

static void *unconst(const void *bytes)
{
    return (void *)(uintptr_t)bytes;
}

/* headers NULL: none; librdkafka's on success. delivery NULL: nobody waits for it. */
static rd_kafka_resp_err_t produce(rd_kafka_t *rk, const struct kafka_kit_record *record,
                                   rd_kafka_headers_t *headers, struct delivery *delivery)
{
    const rd_kafka_vu_t values[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = record->topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = record->partition},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {unconst(record->key), record->key_size}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {unconst(record->value), record->value_size}},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = record->timestamp_ms},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = delivery},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    rd_kafka_error_t *error = rd_kafka_produceva(
        rk, values, sizeof values / sizeof values[0] - (headers == NULL ? 1 : 0));
    rd_kafka_resp_err_t err =
        error == NULL ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_error_code(error);

    rd_kafka_error_destroy(error);
    return err;
}

int64_t kafka_kit_append(const struct kafka_kit_record *record)
{
    struct delivery delivery;
    rd_kafka_t *rk = kafka_kit_producer();
    rd_kafka_headers_t *headers = NULL;
    int64_t offset;

    atomic_init(&delivery.offset, DELIVERY_OUT);
    if (record->header_count > 0)
        headers = rd_kafka_headers_new(record->header_count);
    for (size_t i = 0; i < record->header_count; i++)
        rd_kafka_header_add(headers, record->headers[i].name, -1, record->headers[i].value,
                            record->headers[i].value == NULL ? -1
                                                             : (ssize_t)record->headers[i].size);
    if (produce(rk, record, headers, &delivery) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (headers != NULL)
            rd_kafka_headers_destroy(headers);
        return -1;
    }
    do {
        rd_kafka_poll(rk, 100);
        /* Relaxed: as above. */
        offset = atomic_load_explicit(&delivery.offset, memory_order_relaxed);
    } while (offset == DELIVERY_OUT);
    return offset;
}

void kafka_kit_produce(rd_kafka_t *rk, const struct kafka_kit_record *record,
                       rd_kafka_headers_t *headers)
{
    rd_kafka_resp_err_t err;

    do {
        err = produce(rk, record, headers, NULL);
        rd_kafka_poll(rk, err == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : 10);
        /* The others: what was made a moment ago. */
    } while (err == RD_KAFKA_RESP_ERR__QUEUE_FULL ||
             err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ||
             err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC);
    assert_int_equal(err, 0);
}

/* What nobody waits for is delivered, all of it. */
static void flush_all(rd_kafka_t *rk)
{
    int err;

    assert_int_equal(rd_kafka_flush(rk, KAFKA_KIT_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    err = atomic_exchange_explicit(&undelivered, 0, memory_order_relaxed);
    if (err != 0)
        fail_msg("a record was not delivered: %s", rd_kafka_err2name((rd_kafka_resp_err_t)err));
}

void kafka_kit_fill(rd_kafka_t *rk, const char *topic, int32_t partition, int count, int keys)
{
    for (int i = 0; i < count; i++) {
        char key[24], value[24];
        const struct kafka_kit_record record = {
            .topic = topic,
            .partition = partition,
            .key = key,
            .key_size = (size_t)snprintf(key, sizeof key, "k%d", i % keys),
            .value = value,
            .value_size = (size_t)snprintf(value, sizeof value, "%d", i),
        };

        kafka_kit_produce(rk, &record, NULL);
    }
    flush_all(rk);
}

void kafka_kit_fill_large(const char *topic, int32_t partition, int count, size_t bytes)
{
    rd_kafka_conf_t *conf = kafka_kit_conf();
    char why[256], *value = calloc(1, bytes);
    rd_kafka_topic_t *handle;
    rd_kafka_t *rk;

    assert_non_null(value);
    kafka_kit_set(conf, "message.max.bytes", KAFKA_KIT_LARGE);
    kafka_kit_set(conf, "batch.num.messages", "1");
    kafka_kit_keeps_all(conf);
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    assert_non_null(rk);
    handle = rd_kafka_topic_new(rk, topic, NULL);
    for (int i = 0; i < count; i++)
        assert_int_equal(
            rd_kafka_produce(handle, partition, RD_KAFKA_MSG_F_COPY, value, bytes, NULL, 0, NULL),
            0);
    flush_all(rk);
    rd_kafka_topic_destroy(handle);
    rd_kafka_destroy(rk);
    free(value);
    assert_int_equal(kafka_kit_end(topic, partition), count);
}

/* ---- offsets ----------------------------------------------------------------------------- */

static rd_kafka_t *member_of(const char *group)
{
    rd_kafka_conf_t *conf = kafka_kit_conf();

    kafka_kit_set(conf, "group.id", group);
    kafka_kit_set(conf, "enable.auto.commit", "false");
    return make(RD_KAFKA_CONSUMER, conf);
}

/* To another broker, after the death of one. */
static bool is_coordinator_moving(rd_kafka_resp_err_t err)
{
    return err == RD_KAFKA_RESP_ERR_NOT_COORDINATOR ||
           err == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE ||
           err == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS;
}

/* Of the partitions from first to last. */
static rd_kafka_topic_partition_list_t *committed_of(const char *group, const char *topic,
                                                     int32_t first, int32_t last)
{
    rd_kafka_t *member = member_of(group);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(last - first + 1);
    int64_t end_ms = clock_now_ms() + KAFKA_KIT_MS;
    rd_kafka_resp_err_t err;

    rd_kafka_topic_partition_list_add_range(list, topic, first, last);
    do
        err = rd_kafka_committed(member, list, KAFKA_KIT_MS);
    while (is_coordinator_moving(err) && clock_now_ms() < end_ms);
    assert_int_equal(err, RD_KAFKA_RESP_ERR_NO_ERROR);
    for (int i = 0; i < list->cnt; i++)
        assert_int_equal(list->elems[i].err, 0);
    rd_kafka_destroy(member);
    return list;
}

int64_t kafka_kit_committed(const char *group, const char *topic, int32_t partition)
{
    rd_kafka_topic_partition_list_t *list = committed_of(group, topic, partition, partition);
    int64_t offset = list->elems[0].offset;

    rd_kafka_topic_partition_list_destroy(list);
    return offset < 0 ? -1 : offset;
}

void kafka_kit_committed_all(const char *group, const char *topic, int partitions,
                             int64_t *offsets)
{
    rd_kafka_topic_partition_list_t *list = committed_of(group, topic, 0, partitions - 1);

    assert_int_equal(list->cnt, partitions);
    for (int i = 0; i < list->cnt; i++)
        offsets[list->elems[i].partition] =
            list->elems[i].offset < 0 ? -1 : list->elems[i].offset;
    rd_kafka_topic_partition_list_destroy(list);
}

int32_t kafka_kit_committed_epoch(const char *group, const char *topic, int32_t partition)
{
    rd_kafka_topic_partition_list_t *list = committed_of(group, topic, partition, partition);
    int32_t epoch = rd_kafka_topic_partition_get_leader_epoch(&list->elems[0]);

    rd_kafka_topic_partition_list_destroy(list);
    return epoch;
}

void kafka_kit_commit(const char *group, const char *topic, int32_t partition, int64_t offset)
{
    kafka_kit_commit_epoch(group, topic, partition, offset, -1);
}

void kafka_kit_commit_epoch(const char *group, const char *topic, int32_t partition,
                            int64_t offset, int32_t epoch)
{
    rd_kafka_t *member = member_of(group);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    if (epoch >= 0)
        rd_kafka_topic_partition_set_leader_epoch(&list->elems[0], epoch);
    assert_int_equal(rd_kafka_commit(member, list, 0), 0);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(member);
}

void kafka_kit_commit_again(const char *group, const char *from, const char *to)
{
    rd_kafka_t *member = member_of(group);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_t *again = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *entry = rd_kafka_topic_partition_list_add(again, to, 0);

    rd_kafka_topic_partition_list_add(list, from, 0);
    assert_int_equal(rd_kafka_committed(member, list, KAFKA_KIT_MS), 0);
    assert_true(list->elems[0].offset >= 0 && list->elems[0].metadata_size > 0);
    entry->offset = list->elems[0].offset;
    entry->metadata_size = list->elems[0].metadata_size;
    /* librdkafka frees it with the list. */
    entry->metadata = malloc(entry->metadata_size);
    assert_non_null(entry->metadata);
    memcpy(entry->metadata, list->elems[0].metadata, entry->metadata_size);
    assert_int_equal(rd_kafka_commit(member, again, 0), 0);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_topic_partition_list_destroy(again);
    rd_kafka_destroy(member);
}

int64_t kafka_kit_end(const char *topic, int32_t partition)
{
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
    int64_t low, high = -1;

    /* The leader of a topic that was made a moment ago may not know of it yet. */
    for (int i = 0; i < 100; i++) {
        err = rd_kafka_query_watermark_offsets(client_of(), topic, partition, &low, &high,
                                               KAFKA_KIT_MS);
        if (err != RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION)
            break;
        usleep(20000);
    }
    assert_int_equal(err, 0);
    return high;
}

size_t kafka_kit_count(const char *topic, int32_t partition)
{
    rd_kafka_conf_t *conf = kafka_kit_conf();
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_t *reader;
    size_t count = 0;
    bool at_end = false;

    kafka_kit_set(conf, "group.id", "counter");
    kafka_kit_set(conf, "enable.partition.eof", "true");
    kafka_kit_set(conf, "enable.auto.commit", "false");
    kafka_kit_set(conf, "fetch.wait.max.ms", "10");
    reader = make(RD_KAFKA_CONSUMER, conf);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = RD_KAFKA_OFFSET_BEGINNING;
    assert_int_equal(rd_kafka_assign(reader, list), 0);
    while (!at_end) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, KAFKA_KIT_MS);

        assert_non_null(message);
        at_end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        count += message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
        rd_kafka_message_destroy(message);
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(reader);
    return count;
}
