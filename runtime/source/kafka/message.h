/* SPDX-License-Identifier: Apache-2.0 */
/* A message of librdkafka as a record. */
#ifndef KLANE_SOURCE_KAFKA_MESSAGE_H
#define KLANE_SOURCE_KAFKA_MESSAGE_H

#include "source/kafka/kafka.h"

/* The record lives as long as the message, its headers until the next call. False: it cannot be
 * had, and control was told. */
bool kafka_message_record(struct kafka_source *source, const struct kafka_partition *partition,
                          const rd_kafka_message_t *message, struct source_record *record);

/* Bytes of its headers, which nobody wants. */
uint32_t kafka_message_headers_size(struct kafka_source *source,
                                    const rd_kafka_message_t *message);

/* Tell control of a message that is an error, where next is the next offset to read. */
void kafka_message_error(struct kafka_source *source, const struct kafka_partition *partition,
                         const rd_kafka_message_t *message, int64_t next);

#endif
