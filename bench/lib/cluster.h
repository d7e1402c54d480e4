/* SPDX-License-Identifier: Apache-2.0 */
/* A Kafka cluster for the cases, and what they do with it by librdkafka alone.
 *
 * The cluster is the one at KLANE_BOOTSTRAP, else a broker of this run's own, which is made
 * before the first case that needs it and ends with the last, or with this program.
 *
 * The main process only begins and ends it and makes no handle of librdkafka, as none outlives
 * fork(). Everything else belongs to the processes of arms. Whatever fails, fails the arm. */
#ifndef KLANE_BENCH_LIB_CLUSTER_H
#define KLANE_BENCH_LIB_CLUSTER_H

#include "lib/drive.h"

#include <klane/kafka.h>

enum {
    CLUSTER_PARTITIONS = 8,
    CLUSTER_PARTITIONS_MAX = BENCH_PARTITIONS_MAX,
    CLUSTER_KEY_BYTES = 12,
    CLUSTER_VALUE_BYTES = DRIVE_VALUE_BYTES,
    CLUSTER_NAME_MAX = 96,
    CLUSTER_MESSAGE_MAX = 9 << 20,
    CLUSTER_METADATA_MAX = 16384, /* bytes that the broker takes with an offset; its default is
                                     4096 */
    CLUSTER_CALL_MS = 30000       /* a call to the cluster that takes longer has failed */
};

/* ---- for main -------------------------------------------------------------------------- */

/* The broker's files are in a folder below out. False: it was said on stderr why. */
bool cluster_begin(const char *out);
void cluster_end(void);

/* ---- handles --------------------------------------------------------------------------- */

/* A setting of librdkafka; a list of them ends with one without a name. */
struct cluster_setting {
    const char *name;
    const char *value;
};

/* A name that is this process's own and new: of a group, or of a topic. */
void cluster_name(char name[CLUSTER_NAME_MAX], const char *what);

/* Configurations that say which cluster. All else is as librdkafka has it. */
rd_kafka_conf_t *cluster_conf(void);
rd_kafka_conf_t *cluster_consumer_conf(const char *group);

/* Settings that this librdkafka does not know yet are left out. The list may be NULL; run, too:
 * the figures' settings then do not have them. */
void cluster_set(rd_kafka_conf_t *conf, const struct cluster_setting *settings,
                 struct bench_run *run);

/* A consumer without klane, reading from the beginning. Takes conf. */
rd_kafka_t *cluster_bare_consumer(rd_kafka_conf_t *conf);
void cluster_subscribe(rd_kafka_t *consumer, const char *topic);
int cluster_assigned(rd_kafka_t *consumer);
rd_kafka_t *cluster_producer(rd_kafka_conf_t *conf);

/* A runtime with these rules that reads the topic, not started. Takes conf. */
struct klane_runtime *cluster_runtime(struct drive *drive, const char *topic,
                                      rd_kafka_conf_t *conf);
struct klane_runtime *cluster_runtime_with(struct drive *drive, const char *topic,
                                           rd_kafka_conf_t *conf,
                                           const struct klane_kafka_options *options);

/* An argument for another program: where the cluster is. */
const char *cluster_bootstrap(void);

/* ---- topics and records ---------------------------------------------------------------- */

/* The name of a topic that all processes of this run share. */
void cluster_topic_name(char name[CLUSTER_NAME_MAX], const char *what);

void cluster_topic_create(const char *topic, int32_t partitions);
bool cluster_topic_exists(rd_kafka_t *client, const char *topic);

/* How many records the topic has. */
uint64_t cluster_records_in(rd_kafka_t *client, const char *topic, int32_t partitions);

void cluster_key(unsigned char key[CLUSTER_KEY_BYTES], uint64_t number);

/* Of numbers of 32 bits; UINT64_MAX: it is no such key. */
uint64_t cluster_key_number(const void *key);

/* Hand a record to the producer; waits for room. number: of its key. */
void cluster_produce(rd_kafka_t *producer, rd_kafka_topic_t *topic, int32_t partition,
                     uint64_t number, const void *value, size_t size);

/* What the group has committed of each partition; 0: nothing. */
void cluster_committed(const char *group, const char *topic, int32_t partitions,
                       int64_t *offsets);

/* Fails unless the group has committed this many records, all partitions together. */
void cluster_check_committed(const char *group, const char *topic, int32_t partitions,
                             uint64_t records);

/* The figures' settings that every arm with records from the cluster has. workers: 0: there are
 * none. */
void cluster_settings(struct bench_run *run, uint64_t records, uint64_t keys, uint32_t workers);

#endif
