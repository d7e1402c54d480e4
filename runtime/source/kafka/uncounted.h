/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and headers that are read ahead: librdkafka's limit of bytes counts values alone. */
#ifndef KLANE_SOURCE_KAFKA_UNCOUNTED_H
#define KLANE_SOURCE_KAFKA_UNCOUNTED_H

#include "source/kafka/kafka.h"

void kafka_uncounted_init(struct kafka_uncounted *uncounted);

/* Of every round, after records were taken. */
void kafka_uncounted_work(struct kafka_source *source);

/* A rebalance is to be answered: none is paused for this then. */
void kafka_uncounted_end(struct kafka_source *source);

/* When something is to be done in kafka_uncounted_work(). */
int64_t kafka_uncounted_due_ms(const struct kafka_source *source);

#endif
