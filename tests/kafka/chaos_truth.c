/* SPDX-License-Identifier: Apache-2.0 */
/* What the cluster's own logs say when all is over: the topic's records, and every offset that the
 * group has ever committed, in the order in which its coordinator took them.
 *
 * The latter is the internal topic __consumer_offsets. Its form is Kafka's own business but has
 * long been what tools rely on: a key is a version, a group, a topic and a partition; a value a
 * version, the offset, the leader's epoch and the metadata. */
#include "kafka/chaos_after.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OFFSETS_TOPIC "__consumer_offsets"
#define OFFSETS_PARTITIONS 4 /* as tests/kafka/broker makes it */

/* ---- a topic from its begin to its end --------------------------------------------------- */

typedef void (*take_message)(const rd_kafka_message_t *message, void *context);

static void read_topic(const char *topic, int partitions, take_message take, void *context)
{
    rd_kafka_conf_t *conf = kafka_kit_conf();
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    char why[256];
    rd_kafka_t *reader;

    kafka_kit_set(conf, "group.id", "truth");
    kafka_kit_set(conf, "enable.partition.eof", "true");
    kafka_kit_set(conf, "enable.auto.commit", "false");
    kafka_kit_set(conf, "fetch.wait.max.ms", "10");
    reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    assert_non_null(reader);
    for (int i = 0; i < partitions; i++)
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    assert_int_equal(rd_kafka_assign(reader, list), RD_KAFKA_RESP_ERR_NO_ERROR);
    while (partitions > 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, KAFKA_KIT_MS);

        assert_non_null(message);
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            partitions--;
        else if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            take(message, context);
        rd_kafka_message_destroy(message);
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(reader);
}

/* ---- the topic's records ----------------------------------------------------------------- */

static uint8_t key_of(const rd_kafka_message_t *message)
{
    char text[8] = "";
    unsigned key = CHAOS_KEYS;

    if (message->key == NULL || message->key_len >= sizeof(text))
        return CHAOS_KEYS;
    memcpy(text, message->key, message->key_len);
    assert_int_equal(sscanf(text, "k%u", &key), 1);
    return (uint8_t)key;
}

static void take_record(const rd_kafka_message_t *message, void *context)
{
    struct truth *truth = context;
    size_t *count = &truth->record_count[message->partition];
    struct chaos_payload payload;

    assert_int_equal(message->len, sizeof(payload));
    assert_true(*count < CHAOS_RECORDS);
    memcpy(&payload, message->payload, sizeof(payload));
    truth->records[message->partition][(*count)++] = (struct truth_record){
        .offset = message->offset, .number = payload.number, .key = key_of(message)};
}

/* ---- what the group has written ---------------------------------------------------------- */

struct bytes {
    const unsigned char *at;
    size_t left;
};

/* A big-endian number of so many bytes. */
static uint64_t take_number(struct bytes *bytes, size_t size)
{
    uint64_t number = 0;

    assert_true(bytes->left >= size);
    for (size_t i = 0; i < size; i++)
        number = number << 8 | bytes->at[i];
    bytes->at += size;
    bytes->left -= size;
    return number;
}

/* Seven bits in each byte, the lowest first; the last has its highest bit clear. */
static size_t take_size(struct bytes *bytes)
{
    size_t size = 0;
    uint64_t byte = 0x80;

    for (unsigned shift = 0; (byte & 0x80) != 0 && shift < 35; shift += 7) {
        byte = take_number(bytes, 1);
        size |= (size_t)(byte & 0x7f) << shift;
    }
    return size;
}

static void take_text(struct bytes *bytes, size_t length, char *text, size_t size)
{
    assert_true(bytes->left >= length && length < size);
    memcpy(text, bytes->at, length);
    text[length] = '\0';
    bytes->at += length;
    bytes->left -= length;
}

/* Whose commit it was stands in the metadata: see the member. */
static void take_commit(struct truth *truth, const char *key, int32_t partition,
                        struct bytes *bytes, size_t place)
{
    struct truth_commit commit = {.partition = (uint16_t)partition, .place = place};
    uint64_t version = take_number(bytes, 2);
    long long number;
    unsigned life;
    char name[8192];
    size_t length;

    commit.offset = (int64_t)take_number(bytes, 8);
    take_number(bytes, 4);
    /* From version 4 on the length is of variable size, with 1 for an empty text. */
    length = version < 4 ? (size_t)take_number(bytes, 2) : take_size(bytes) - 1;
    take_text(bytes, length, name, sizeof(name));
    if (sscanf(name, "%u/%lld", &life, &number) != 2)
        fail_msg("a commit of %s that no member has sent: offset %lld, metadata %s", key,
                 (long long)commit.offset, name);
    commit.life = (uint8_t)life;
    commit.number = number;
    if (truth->commit_count == truth->commit_capacity) {
        truth->commit_capacity = truth->commit_capacity * 2 + 1024;
        truth->commits =
            realloc(truth->commits, truth->commit_capacity * sizeof(*truth->commits));
        assert_non_null(truth->commits);
    }
    truth->commits[truth->commit_count++] = commit;
}

/* The protocol's type, then the generation. Where the cluster gives out the partitions, only that,
 * and it is called epoch. */
static void take_group(struct truth *truth, struct bytes *bytes, bool is_clusters)
{
    char text[64];
    int32_t generation;

    take_number(bytes, 2);
    if (!is_clusters)
        take_text(bytes, (size_t)take_number(bytes, 2), text, sizeof(text));
    generation = (int32_t)take_number(bytes, 4);
    if (generation > truth->generation)
        truth->generation = generation;
}

struct offsets_reader {
    struct truth *truth;
    const struct chaos_shared *shared;
};

static void take_offsets(const rd_kafka_message_t *message, void *context)
{
    struct offsets_reader *reader = context;
    struct bytes key = {message->key, message->key_len};
    struct bytes value = {message->payload, message->len};
    char text[KAFKA_NAME_SIZE];
    uint64_t version = take_number(&key, 2);

    /* Without a value: it was removed, with the group. */
    if (version > 3 || message->payload == NULL)
        return;
    take_text(&key, (size_t)take_number(&key, 2), text, sizeof(text));
    if (strcmp(text, reader->shared->group) != 0)
        return;
    if (version >= 2) {
        take_group(reader->truth, &value, version == 3);
        return;
    }
    take_text(&key, (size_t)take_number(&key, 2), text, sizeof(text));
    assert_string_equal(text, reader->shared->topic);
    take_commit(reader->truth, text, (int32_t)take_number(&key, 4), &value,
                (size_t)message->offset);
}

/* ---- both -------------------------------------------------------------------------------- */

void truth_read(struct truth *truth, const struct chaos_shared *shared)
{
    struct offsets_reader reader = {truth, shared};

    memset(truth, 0, sizeof(*truth));
    for (int i = 0; i < CHAOS_PARTITIONS; i++) {
        truth->records[i] = malloc(CHAOS_RECORDS * sizeof(**truth->records));
        assert_non_null(truth->records[i]);
    }
    read_topic(shared->topic, CHAOS_PARTITIONS, take_record, truth);
    /* A group lives in one of the partitions, so its commits come in order. */
    read_topic(OFFSETS_TOPIC, OFFSETS_PARTITIONS, take_offsets, &reader);
}

void truth_free(struct truth *truth)
{
    for (int i = 0; i < CHAOS_PARTITIONS; i++)
        free(truth->records[i]);
    free(truth->commits);
    memset(truth, 0, sizeof(*truth));
}
