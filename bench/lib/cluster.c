/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_BYTES = 512, COMMAND_BYTES = 2048 };

/* Set before the first case, and as every process of an arm inherits it. */
static struct {
    char bootstrap[256];
    char directory[PATH_BYTES]; /* of our own broker; empty: it is not ours */
    char prefix[64];            /* of the names of our topics and groups */
} cluster;

/* ---- for main -------------------------------------------------------------------------- */

/* The command's output is the broker's address. */
static bool read_bootstrap(const char *command)
{
    FILE *output = popen(command, "r");
    bool was_read;

    if (output == NULL)
        return false;
    was_read = fgets(cluster.bootstrap, sizeof(cluster.bootstrap), output) != NULL;
    cluster.bootstrap[strcspn(cluster.bootstrap, "\n")] = '\0';
    return pclose(output) == 0 && was_read;
}

static void directory_remove(void)
{
    char command[COMMAND_BYTES];

    snprintf(command, sizeof(command), "rm -rf '%s'", cluster.directory);
    if (system(command) != 0)
        fprintf(stderr, "bench: %s was not removed\n", cluster.directory);
    cluster.directory[0] = '\0';
}

static bool broker_start(const char *out)
{
    char command[COMMAND_BYTES];

    snprintf(cluster.directory, sizeof(cluster.directory), "%s/broker-XXXXXX", out);
    if (mkdtemp(cluster.directory) == NULL) {
        perror(cluster.directory);
        return false;
    }
    snprintf(command, sizeof(command),
             "KLANE_BROKER_JIT=full KLANE_BROKER_HEAP=1g KLANE_BROKER_PARENT=%d "
             "'%s' start '%s' message.max.bytes=%d offset.metadata.max.bytes=%d",
             (int)getpid(), BENCH_BROKER, cluster.directory, CLUSTER_MESSAGE_MAX,
             CLUSTER_METADATA_MAX);
    if (read_bootstrap(command))
        return true;
    fprintf(stderr, "bench: the Kafka broker did not start (%s)\n", BENCH_BROKER);
    directory_remove();
    return false;
}

bool cluster_begin(const char *out)
{
    const char *given = getenv("KLANE_BOOTSTRAP");

    snprintf(cluster.prefix, sizeof(cluster.prefix), "klane-bench-%lld-%d", (long long)time(NULL),
             (int)getpid());
    if (given == NULL || given[0] == '\0')
        return broker_start(out);
    snprintf(cluster.bootstrap, sizeof(cluster.bootstrap), "%s", given);
    return true;
}

static rd_kafka_t *handle_new(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char why[256];
    rd_kafka_t *handle = rd_kafka_new(type, conf, why, sizeof(why));

    if (handle == NULL)
        bench_fail("rd_kafka_new: %s", why);
    return handle;
}

static void check(rd_kafka_resp_err_t err, const char *what)
{
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        bench_fail("%s: %s", what, rd_kafka_err2str(err));
}

static void topics_delete(void)
{
    rd_kafka_t *client = handle_new(RD_KAFKA_PRODUCER, cluster_conf());
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    const struct rd_kafka_metadata *metadata;

    check(rd_kafka_metadata(client, 1, NULL, &metadata, CLUSTER_CALL_MS), "rd_kafka_metadata");
    for (int i = 0; i < metadata->topic_cnt; i++) {
        rd_kafka_DeleteTopic_t *request;

        if (strncmp(metadata->topics[i].topic, cluster.prefix, strlen(cluster.prefix)) != 0)
            continue;
        request = rd_kafka_DeleteTopic_new(metadata->topics[i].topic);
        rd_kafka_DeleteTopics(client, &request, 1, NULL, queue);
        rd_kafka_DeleteTopic_destroy(request);
        rd_kafka_event_destroy(rd_kafka_queue_poll(queue, CLUSTER_CALL_MS));
    }
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(client);
}

/* Of somebody else's cluster only our topics go. */
static void cluster_leave(void)
{
    pid_t child = fork();

    if (child == 0) {
        topics_delete();
        _exit(0);
    }
    if (child > 0)
        waitpid(child, NULL, 0);
}

void cluster_end(void)
{
    char command[COMMAND_BYTES];

    if (cluster.directory[0] == '\0') {
        cluster_leave();
        return;
    }
    snprintf(command, sizeof(command), "'%s' stop '%s'", BENCH_BROKER, cluster.directory);
    if (system(command) != 0)
        fprintf(stderr, "bench: the Kafka broker was not stopped: %s\n", cluster.directory);
    directory_remove();
}

/* ---- handles --------------------------------------------------------------------------- */

void cluster_name(char name[CLUSTER_NAME_MAX], const char *what)
{
    static unsigned count;

    snprintf(name, CLUSTER_NAME_MAX, "%s-%d-%u-%s", cluster.prefix, (int)getpid(), ++count, what);
}

void cluster_topic_name(char name[CLUSTER_NAME_MAX], const char *what)
{
    snprintf(name, CLUSTER_NAME_MAX, "%s-%s", cluster.prefix, what);
}

const char *cluster_bootstrap(void)
{
    return cluster.bootstrap;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    const struct cluster_setting setting[] = {{name, value}, {NULL, NULL}};

    cluster_set(conf, setting, NULL);
}

rd_kafka_conf_t *cluster_conf(void)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    set(conf, "bootstrap.servers", cluster.bootstrap);
    set(conf, "log_level", "3");
    return conf;
}

rd_kafka_conf_t *cluster_consumer_conf(const char *group)
{
    rd_kafka_conf_t *conf = cluster_conf();

    set(conf, "group.id", group);
    return conf;
}

void cluster_set(rd_kafka_conf_t *conf, const struct cluster_setting *settings,
                 struct bench_run *run)
{
    for (; settings != NULL && settings->name != NULL; settings++) {
        char why[256];
        rd_kafka_conf_res_t result =
            rd_kafka_conf_set(conf, settings->name, settings->value, why, sizeof(why));

        if (result == RD_KAFKA_CONF_INVALID)
            bench_fail("%s", why);
        if (result == RD_KAFKA_CONF_OK && run != NULL)
            bench_setting_text(run, settings->name, settings->value);
    }
}

rd_kafka_t *cluster_bare_consumer(rd_kafka_conf_t *conf)
{
    rd_kafka_t *consumer;

    set(conf, "auto.offset.reset", "earliest");
    consumer = handle_new(RD_KAFKA_CONSUMER, conf);
    check(rd_kafka_poll_set_consumer(consumer), "rd_kafka_poll_set_consumer");
    return consumer;
}

void cluster_subscribe(rd_kafka_t *consumer, const char *topic)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, topic, RD_KAFKA_PARTITION_UA);
    check(rd_kafka_subscribe(consumer, list), "rd_kafka_subscribe");
    rd_kafka_topic_partition_list_destroy(list);
}

int cluster_assigned(rd_kafka_t *consumer)
{
    rd_kafka_topic_partition_list_t *list;
    int count;

    check(rd_kafka_assignment(consumer, &list), "rd_kafka_assignment");
    count = list->cnt;
    rd_kafka_topic_partition_list_destroy(list);
    return count;
}

rd_kafka_t *cluster_producer(rd_kafka_conf_t *conf)
{
    return handle_new(RD_KAFKA_PRODUCER, conf);
}

struct klane_runtime *cluster_runtime(struct drive *drive, const char *topic,
                                      rd_kafka_conf_t *conf)
{
    return cluster_runtime_with(drive, topic, conf, NULL);
}

struct klane_runtime *cluster_runtime_with(struct drive *drive, const char *topic,
                                           rd_kafka_conf_t *conf,
                                           const struct klane_kafka_options *options)
{
    struct klane_source *source;
    char why[256];

    if (klane_kafka_create(conf, options, &source, why, sizeof(why)) != KLANE_OK)
        bench_fail("klane_kafka_create: %s", why);
    drive->topic.name = topic;
    drive->route.topic = topic;
    return drive_create(drive, source);
}

/* ---- topics ---------------------------------------------------------------------------- */

/* How many partitions of the topic have a leader. All topics are asked for: to ask for one may
 * create it. */
static int partitions_of(rd_kafka_t *client, const char *topic)
{
    const struct rd_kafka_metadata *metadata;
    int count = 0;

    check(rd_kafka_metadata(client, 1, NULL, &metadata, CLUSTER_CALL_MS), "rd_kafka_metadata");
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (strcmp(metadata->topics[i].topic, topic) == 0)
            for (int k = 0; k < metadata->topics[i].partition_cnt; k++)
                count += metadata->topics[i].partitions[k].leader >= 0;
    rd_kafka_metadata_destroy(metadata);
    return count;
}

/* The leaders of a new topic come a moment later, and only later still know that they are. */
static bool is_led(rd_kafka_t *client, const char *topic, int32_t partitions)
{
    if (partitions_of(client, topic) < partitions)
        return false;
    for (int32_t i = 0; i < partitions; i++) {
        int64_t low, high;

        if (rd_kafka_query_watermark_offsets(client, topic, i, &low, &high, CLUSTER_CALL_MS) !=
            RD_KAFKA_RESP_ERR_NO_ERROR)
            return false;
    }
    return true;
}

void cluster_topic_create(const char *topic, int32_t partitions)
{
    rd_kafka_t *client = handle_new(RD_KAFKA_PRODUCER, cluster_conf());
    char why[256];
    rd_kafka_NewTopic_t *request = rd_kafka_NewTopic_new(topic, partitions, 1, why, sizeof(why));
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    const rd_kafka_topic_result_t **results;
    rd_kafka_event_t *event;
    size_t count;

    if (request == NULL)
        bench_fail("%s: %s", topic, why);
    rd_kafka_CreateTopics(client, &request, 1, NULL, queue);
    event = rd_kafka_queue_poll(queue, CLUSTER_CALL_MS);
    if (event == NULL)
        bench_fail("%s: the topic could not be created in time", topic);
    check(rd_kafka_event_error(event), "rd_kafka_CreateTopics");
    results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    for (size_t i = 0; i < count; i++)
        check(rd_kafka_topic_result_error(results[i]), topic);
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(request);
    for (int i = 0; !is_led(client, topic, partitions); i++) {
        if (i == CLUSTER_CALL_MS / 10)
            bench_fail("%s: the topic has no leaders", topic);
        usleep(10000);
    }
    rd_kafka_destroy(client);
}

bool cluster_topic_exists(rd_kafka_t *client, const char *topic)
{
    return partitions_of(client, topic) > 0;
}

/* ---- records --------------------------------------------------------------------------- */

void cluster_key(unsigned char key[CLUSTER_KEY_BYTES], uint64_t number)
{
    unsigned char whole[DRIVE_KEY_BYTES];

    drive_key(whole, number);
    memcpy(key, whole + DRIVE_KEY_BYTES - CLUSTER_KEY_BYTES, CLUSTER_KEY_BYTES);
}

/* Four bits of each byte, all at once: a digit, or a letter. */
uint64_t cluster_key_number(const void *key)
{
    static const unsigned char zeros[CLUSTER_KEY_BYTES - 8] = {'0', '0', '0', '0'};
    uint64_t word;

    if (memcmp(key, zeros, sizeof(zeros)) != 0)
        return UINT64_MAX;
    memcpy(&word, (const unsigned char *)key + sizeof(zeros), sizeof(word));
    word = be64toh(word);
    word = (word & UINT64_C(0x0f0f0f0f0f0f0f0f)) + 9 * (word >> 6 & UINT64_C(0x0101010101010101));
    word = (word | word >> 4) & UINT64_C(0x00ff00ff00ff00ff);
    word = (word | word >> 8) & UINT64_C(0x0000ffff0000ffff);
    return (word | word >> 16) & UINT64_C(0xffffffff);
}

void cluster_produce(rd_kafka_t *producer, rd_kafka_topic_t *topic, int32_t partition,
                     uint64_t number, const void *value, size_t size)
{
    unsigned char key[CLUSTER_KEY_BYTES];

    cluster_key(key, number);
    while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, (void *)(uintptr_t)value, size,
                            key, sizeof(key), NULL) != 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            check(rd_kafka_last_error(), "rd_kafka_produce");
        rd_kafka_poll(producer, 10);
    }
}

uint64_t cluster_records_in(rd_kafka_t *client, const char *topic, int32_t partitions)
{
    uint64_t records = 0;

    for (int32_t i = 0; i < partitions; i++) {
        int64_t low, high;

        check(rd_kafka_query_watermark_offsets(client, topic, i, &low, &high, CLUSTER_CALL_MS),
              "rd_kafka_query_watermark_offsets");
        records += (uint64_t)(high - low);
    }
    return records;
}

/* ---- offsets --------------------------------------------------------------------------- */

void cluster_committed(const char *group, const char *topic, int32_t partitions, int64_t *offsets)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    rd_kafka_t *consumer = handle_new(RD_KAFKA_CONSUMER, cluster_consumer_conf(group));

    rd_kafka_topic_partition_list_add_range(list, topic, 0, partitions - 1);
    check(rd_kafka_committed(consumer, list, CLUSTER_CALL_MS), "rd_kafka_committed");
    for (int i = 0; i < list->cnt; i++) {
        check(list->elems[i].err, "rd_kafka_committed");
        offsets[i] = list->elems[i].offset < 0 ? 0 : list->elems[i].offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(consumer);
}

void cluster_check_committed(const char *group, const char *topic, int32_t partitions,
                             uint64_t records)
{
    int64_t offsets[CLUSTER_PARTITIONS_MAX];
    uint64_t committed = 0;

    cluster_committed(group, topic, partitions, offsets);
    for (int32_t i = 0; i < partitions; i++)
        committed += (uint64_t)offsets[i];
    bench_check_count(committed, records, "records committed");
}

void cluster_settings(struct bench_run *run, uint64_t records, uint64_t keys, uint32_t workers)
{
    bench_setting_text(run, "librdkafka", rd_kafka_version_str());
    bench_setting(run, "records", (int64_t)records);
    bench_setting(run, "keys", (int64_t)keys);
    if (workers > 0)
        bench_setting(run, "workers", workers);
    bench_setting(run, "key_bytes", CLUSTER_KEY_BYTES);
}
