/* SPDX-License-Identifier: Apache-2.0 */
/* The consumer group: partitions come, are drained, and go. */
#ifndef KLANE_SOURCE_KAFKA_GROUP_H
#define KLANE_SOURCE_KAFKA_GROUP_H

#include "source/kafka/kafka.h"

/* librdkafka's rebalance callback, for whichever source polls on this thread. */
void kafka_group_rebalance_cb(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                              rd_kafka_topic_partition_list_t *partitions, void *opaque);
/* Another source of such a callback: the queue that closing leads to. */
void kafka_group_rebalance(struct kafka_source *source, rd_kafka_resp_err_t err,
                           const rd_kafka_topic_partition_list_t *partitions);

/* Go on with what rebalances have asked for. */
void kafka_group_work(struct kafka_source *source);

/* The partition, or every one, is taken away at once. */
void kafka_group_lose(struct kafka_source *source, struct kafka_partition *partition);
void kafka_group_lose_all(struct kafka_source *source);

/* Hand partitions to control that wait for it. */
void kafka_group_offer(struct kafka_source *source);

/* Control has given the partition up. */
void kafka_group_given_up(struct kafka_source *source, struct kafka_partition *partition);

/* Nothing will be drained any more: answer every callback that waits. */
void kafka_group_abandon(struct kafka_source *source);

#endif
