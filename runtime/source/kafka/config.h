/* SPDX-License-Identifier: Apache-2.0 */
/* What of the program's configuration of librdkafka is klane's, and what is refused. */
#ifndef KLANE_SOURCE_KAFKA_CONFIG_H
#define KLANE_SOURCE_KAFKA_CONFIG_H

#include "source/kafka/kafka.h"

/* Refuse what cannot be. */
klane_err_t kafka_config_check(const rd_kafka_conf_t *conf,
                               const struct klane_kafka_options *options, int version,
                               char *errstr, size_t errstr_size);

/* The same for a producer of dead letters. */
klane_err_t kafka_config_check_producer(const rd_kafka_conf_t *conf, bool allow_unsafe,
                                        char *errstr, size_t errstr_size);

/* Set what is klane's. */
klane_err_t kafka_config_set(rd_kafka_conf_t *conf, const struct klane_kafka_options *options,
                             int version, char *errstr, size_t errstr_size);

/* A number in the configuration; fallback: it has no such setting. */
int64_t kafka_config_number(const rd_kafka_conf_t *conf, const char *name, int64_t fallback);

/* What a handle with these limits may have read ahead: the queue, and so many responses of a
 * broker. */
uint64_t kafka_config_buffer(uint32_t queue_records, uint32_t queue_bytes, int64_t record_bytes,
                             unsigned responses);

/* The setting of this name has the word in it. */
bool kafka_config_names(const rd_kafka_conf_t *conf, const char *name, const char *word);

/* Whether the program has set a callback of this name. */
bool kafka_config_has_callback(const rd_kafka_conf_t *conf, const char *name);

/* The program's, or the defaults, if given is NULL. */
klane_err_t kafka_options_take(struct klane_kafka_options *options,
                               const struct klane_kafka_options *given, char *errstr,
                               size_t errstr_size);

/* By the rules of Kafka's org.apache.kafka.common.internals.Topic, but for the length. librdkafka
 * would wait for a topic with another name for ever, and with it the whole group for its join. */
bool kafka_can_be_topic(const char *name);

#define KAFKA_VERSION_WRONG "librdkafka is %s, must be 2.0.2 or newer"

/* What is wrong with this version of librdkafka that no care of klane's helps against, and where
 * it is mended. NULL: nothing is known. */
const char *kafka_version_warning(int version);

#define KAFKA_TOPIC_WRONG "topic \"%s\": Kafka's names have letters, digits, '.', '_' and '-'"

#endif
