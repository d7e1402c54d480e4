/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the group may be forming anew, and a commit that waits until it is not. */
#ifndef KLANE_SOURCE_KAFKA_FORMING_H
#define KLANE_SOURCE_KAFKA_FORMING_H

#include "source/kafka/kafka.h"

/* heartbeat_ms: heartbeat.interval.ms. */
void kafka_forming_init(struct kafka_forming *forming, int64_t heartbeat_ms);
void kafka_forming_deinit(struct kafka_forming *forming);

/* Any of librdkafka's threads: a request of this kind has been sent, or its response has come, or
 * an error in place of it, and has not been acted upon yet. */
void kafka_forming_sent(struct kafka_forming *forming, int16_t request);
void kafka_forming_came(struct kafka_forming *forming, int16_t request, rd_kafka_resp_err_t err);

/* What follows is control's. A rebalance has been answered, which may lead to another; or a commit
 * has been, which librdkafka may have waited for to ask for one. */
void kafka_forming_answered(struct kafka_forming *forming);

/* The group has formed. */
void kafka_forming_done(struct kafka_forming *forming);

/* Send these offsets, which are forming's from here on: as soon as they cannot come too late, or
 * at once where they can not anyway. The answer comes to the replies' queue. */
int64_t kafka_forming_commit(struct kafka_forming *forming,
                             rd_kafka_topic_partition_list_t *offsets, bool at_once);

/* Send what waits, if it is time. Both return when to do this (again). */
int64_t kafka_forming_work(struct kafka_forming *forming);

/* A request to join has been sent, at some time. */
bool kafka_forming_has_joined(struct kafka_forming *forming);

/* Whether something waited. It does no more, and is not sent. */
bool kafka_forming_take_back(struct kafka_forming *forming);

#endif
