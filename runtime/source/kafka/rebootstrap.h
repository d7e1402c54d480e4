/* SPDX-License-Identifier: Apache-2.0 */
/* A handle that has lost all brokers begins with bootstrap.servers again (KIP-899).
 *
 * From 2.10 on librdkafka forgets a broker that is not in the cluster's metadata any more, and
 * begins with bootstrap.servers again when it has forgotten all: a broker that shuts down may say,
 * at last, that there is none. But the same answer may put off the timer that was to begin, for
 * five minutes (2.11) or for good (from 2.12 on): the handle has no brokers, and says nothing. */
#ifndef KLANE_SOURCE_KAFKA_REBOOTSTRAP_H
#define KLANE_SOURCE_KAFKA_REBOOTSTRAP_H

#include "source/kafka/kafka.h"

/* Within rd_kafka_new(): from now on it is known whether the handle does anything. */
rd_kafka_resp_err_t kafka_rebootstrap_watch(struct kafka_rebootstrap *rebootstrap, rd_kafka_t *rk,
                                            const rd_kafka_conf_t *conf);

/* The handle does something, or has nothing to do. */
void kafka_rebootstrap_stir(struct kafka_rebootstrap *rebootstrap, int64_t now_ms);

/* Of a handle that has something to do. If no connection of it is up, and it has done nothing for
 * longer than it may between two attempts to connect, it gets bootstrap.servers anew. */
void kafka_rebootstrap_work(struct kafka_source *source, struct kafka_rebootstrap *rebootstrap,
                            int64_t now_ms);

/* When to look again. */
int64_t kafka_rebootstrap_due_ms(const struct kafka_rebootstrap *rebootstrap);

/* The same at once, of a handle for which nobody watches. librdkafka keeps the list each time, so
 * it is for once in a while. Thread: any. */
void kafka_rebootstrap(rd_kafka_t *rk);

#endif
