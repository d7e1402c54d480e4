/* SPDX-License-Identifier: Apache-2.0 */
/* The nap of a full queue: before 2.2 a broker's thread that finds librdkafka's queue full sleeps
 * for up to a second, whatever is taken from the queue meanwhile. Any request to that broker wakes
 * it. */
#ifndef KLANE_SOURCE_KAFKA_NAP_H
#define KLANE_SOURCE_KAFKA_NAP_H

#include "source/kafka/kafka.h"

/* rk and queue: whose threads nap when it is full of so many records or bytes. */
void kafka_nap_init(struct kafka_nap *nap, rd_kafka_t *rk, rd_kafka_queue_t *queue,
                    const struct klane_kafka_options *limits);
void kafka_nap_deinit(struct kafka_nap *nap);

/* Of every round. The queue was full, as far as can be seen from here, and is down to half of
 * that: said once, and nap->is_possible from then on. taken: from it a moment ago. */
bool kafka_nap_watch(const struct kafka_source *source, struct kafka_nap *nap, size_t taken);

/* Whether somebody may be asleep, and can be woken now; else look again when kafka_nap_due_ms()
 * says, and when the request before has come back. */
bool kafka_nap_is_to_end(struct kafka_nap *nap);

/* Wake the leaders of these partitions; there may be none. The list goes with it. */
void kafka_nap_end(struct kafka_source *source, struct kafka_nap *nap,
                   rd_kafka_topic_partition_list_t *partitions);

int64_t kafka_nap_due_ms(const struct kafka_nap *nap);

/* The request has come back. */
void kafka_nap_ended(struct kafka_nap *nap);

#endif
