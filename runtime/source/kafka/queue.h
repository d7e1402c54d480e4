/* SPDX-License-Identifier: Apache-2.0 */
/* A queue of librdkafka that rings the source's doorbell. */
#ifndef KLANE_SOURCE_KAFKA_QUEUE_H
#define KLANE_SOURCE_KAFKA_QUEUE_H

#include "source/kafka/kafka.h"

/* The queue is given back by kafka_queue_deinit(). */
void kafka_queue_init(struct kafka_source *source, struct kafka_queue *queue,
                      rd_kafka_queue_t *of);
void kafka_queue_deinit(struct kafka_queue *queue);

/* Whether something may have come into it since the last call. */
bool kafka_queue_has_rung(struct kafka_queue *queue);

#endif
