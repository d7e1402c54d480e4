/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster for tests: topics, records, committed offsets, by librdkafka alone.
 *
 * The cluster is the one at KLANE_BOOTSTRAP, else the broker whose address stands in the file
 * that the build made for it (tests/kafka/fixture). Everything asserts by itself, so: main thread
 * only, but for what says otherwise. */
#ifndef KLANE_TESTS_KAFKA_KAFKA_KIT_H
#define KLANE_TESTS_KAFKA_KAFKA_KIT_H

#include "lib/check.h"

#include <klane/kafka.h>

#include <stdbool.h>

#define KAFKA_NAME_SIZE 96

/* Calls of a cluster that take longer fail the test. */
#define KAFKA_KIT_MS 20000

const char *kafka_kit_bootstrap(void);

/* Its port; if it has several brokers, the last one's. */
uint16_t kafka_kit_port(void);

/* The tests that follow use this cluster instead. */
void kafka_kit_use(const char *bootstrap);

/* A name that no other test has, ending with what. */
void kafka_kit_name(char name[KAFKA_NAME_SIZE], const char *what);

/* A configuration that names the cluster, and a consumer's with short intervals. */
rd_kafka_conf_t *kafka_kit_conf(void);
rd_kafka_conf_t *kafka_kit_consumer_conf(const char *group);
void kafka_kit_set(rd_kafka_conf_t *conf, const char *name, const char *value);

/* The same of what is the cluster's where that gives out the partitions: nothing, then. */
void kafka_kit_set_classic(rd_kafka_conf_t *conf, const char *name, const char *value);

/* configs: names and values in turn, then NULL; or NULL. */
void kafka_kit_topic(const char *topic, int partitions, const char *const *configs);

/* Each partition with replicas on these brokers; the first leads. */
void kafka_kit_topic_on(const char *topic, int partitions, const int32_t *brokers, size_t count,
                        const char *const *configs);

/* Each partition on one broker alone: the first on that of the id 1, and so on. */
void kafka_kit_topic_spread(const char *topic, int partitions);
void kafka_kit_topic_delete(const char *topic);
void kafka_kit_partitions_add(const char *topic, int partitions);
void kafka_kit_records_delete(const char *topic, int32_t partition, int64_t before);

/* What is sent again is in the log once, and not behind what was sent after it. One request at a
 * time: of several, the first may find no leader yet in a new topic and the second one, and
 * librdkafka then takes the first for kept. */
void kafka_kit_keeps_all(rd_kafka_conf_t *conf);

/* A producer of the process, made when first needed; transactional: with that id. */
rd_kafka_t *kafka_kit_producer(void);
rd_kafka_t *kafka_kit_producer_new(const char *transactional_id);

struct kafka_kit_record {
    const char *topic;
    int32_t partition;
    const void *key;
    size_t key_size;
    const void *value;
    size_t value_size;
    int64_t timestamp_ms; /* 0: now */
    const struct klane_header_in *headers;
    size_t header_count;
};

/* What the largest of large records may have, as a setting. */
#define KAFKA_KIT_LARGE "3000000"

/* Append and wait for the acknowledgement. Returns the offset; -1: it failed (any thread). */
int64_t kafka_kit_append(const struct kafka_kit_record *record);

/* Append by this producer, and wait for nothing but room in its queue. headers: NULL, or they are
 * librdkafka's on return. */
void kafka_kit_produce(rd_kafka_t *producer, const struct kafka_kit_record *record,
                       rd_kafka_headers_t *headers);

/* Append count records with keys "k0" to "k(keys - 1)" in turn and values "0", "1" and so on, by
 * this producer; waits for all but in a transaction. */
void kafka_kit_fill(rd_kafka_t *producer, const char *topic, int32_t partition, int count,
                    int keys);

/* Append count records without a key, each in a batch of its own with a value of so many bytes;
 * waits for all. */
void kafka_kit_fill_large(const char *topic, int32_t partition, int count, size_t bytes);

/* The committed offset, -1: none; or those of all partitions. */
int64_t kafka_kit_committed(const char *group, const char *topic, int32_t partition);
void kafka_kit_committed_all(const char *group, const char *topic, int partitions,
                             int64_t *offsets);
void kafka_kit_commit(const char *group, const char *topic, int32_t partition, int64_t offset);

/* The same with the epoch of a leader, -1: none; where kafka_library_has_epochs(). */
int32_t kafka_kit_committed_epoch(const char *group, const char *topic, int32_t partition);
void kafka_kit_commit_epoch(const char *group, const char *topic, int32_t partition,
                            int64_t offset, int32_t epoch);

/* What is committed for partition 0 of a topic, with its metadata, is committed for another's. */
void kafka_kit_commit_again(const char *group, const char *from, const char *to);

/* One past the last offset. */
int64_t kafka_kit_end(const char *topic, int32_t partition);

/* How many records can be read. */
size_t kafka_kit_count(const char *topic, int32_t partition);

/* Free what the kit keeps. */
void kafka_kit_deinit(void);

#endif
