/* SPDX-License-Identifier: Apache-2.0 */
/* Records, from librdkafka's queues to control. */
#ifndef KLANE_SOURCE_KAFKA_FETCH_H
#define KLANE_SOURCE_KAFKA_FETCH_H

#include "source/kafka/kafka.h"

/* Offer records: stashed ones, then those of the data queue. */
void kafka_fetch_work(struct kafka_source *source);

/* librdkafka is asked for records: one would be taken. */
bool kafka_fetch_is_open(const struct kafka_source *source);

/* Let the partition's records come, or not. */
void kafka_fetch_forward(struct kafka_source *source, struct kafka_partition *partition, bool on);

/* The partition goes: its queue is given back. A topic that is made anew has other ones. */
void kafka_fetch_forget(struct kafka_partition *partition);

void kafka_fetch_hold(struct kafka_source *source, struct kafka_partition *partition, bool held);

/* Forget what is stashed. */
void kafka_fetch_drop(struct kafka_source *source, struct kafka_partition *partition);

/* Nothing counts of what came of a place that it is not at any more. */
void kafka_fetch_discard(struct kafka_source *source, const struct kafka_partition *partition);

/* See to it that brokers fetch on although the queue was full a while ago. */
void kafka_fetch_wake(struct kafka_source *source);

#endif
