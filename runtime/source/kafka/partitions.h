/* SPDX-License-Identifier: Apache-2.0 */
/* Topics and partitions by name, and the one place where a partition's state changes. */
#ifndef KLANE_SOURCE_KAFKA_PARTITIONS_H
#define KLANE_SOURCE_KAFKA_PARTITIONS_H

#include "source/kafka/kafka.h"

/* NULL: never seen. */
struct kafka_partition *kafka_partitions_find(const struct kafka_source *source,
                                              const char *topic, int32_t number);

/* NULL: no memory. */
struct kafka_partition *kafka_partitions_get(struct kafka_source *source, const char *topic,
                                             int32_t number);

/* Give every partition's queue back. */
void kafka_partitions_forget_queues(struct kafka_source *source);

/* After that. */
void kafka_partitions_free(struct kafka_source *source);

/* The one place where the state changes. */
void kafka_partition_move(struct kafka_source *source, struct kafka_partition *partition,
                          enum kafka_state to);

/* The partition in a list of librdkafka's. */
static inline rd_kafka_topic_partition_t *kafka_partition_add(
    rd_kafka_topic_partition_list_t *list, const struct kafka_partition *partition)
{
    return rd_kafka_topic_partition_list_add(list, partition->topic->name, partition->number);
}

/* A list of this one alone. */
static inline rd_kafka_topic_partition_list_t *kafka_partition_list(
    const struct kafka_partition *partition)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    kafka_partition_add(list, partition);
    return list;
}

/* Where librdkafka is to read it. */
static inline int64_t kafka_partition_position(const struct kafka_partition *partition)
{
    return partition->state == KAFKA_OURS ? partition->next : partition->begin;
}

/* What was committed with its begin. False: no memory. */
bool kafka_partition_keep_metadata(struct kafka_partition *partition, const void *metadata,
                                   size_t size);
void kafka_partition_forget_metadata(struct kafka_partition *partition);

#endif
