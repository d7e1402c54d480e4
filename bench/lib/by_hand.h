/* SPDX-License-Identifier: Apache-2.0 */
/* Consumers as people write them by hand, over one rd_kafka_consumer_poll() loop. Both hand
 * messages on by bounded queues, and commit once a second what is done by then.
 *
 *   a thread for each partition: each has a queue of its own. When one stays full, its partition
 *   is paused until half of it is empty, so that the others go on. In order, nothing lost; a slow
 *   key holds up its partition.
 *
 *   a pool: so many threads take from one queue, and of each partition the highest offset that is
 *   done is committed. Fast and wrong: records of one key run side by side and overtake each
 *   other, and what is below the highest offset and not done is lost if the process ends.
 *
 * Neither hands partitions over to another member: they are for groups of one. Whatever fails,
 * fails the arm. */
#ifndef KLANE_BENCH_LIB_BY_HAND_H
#define KLANE_BENCH_LIB_BY_HAND_H

#include "lib/cluster.h"

enum { BY_HAND_QUEUE = 10000, BY_HAND_COMMIT_MS = 1000 };

/* In any of the threads. */
typedef void (*by_hand_fn)(const rd_kafka_message_t *message, void *context);

struct by_hand_rules {
    const char *topic;
    const char *group;
    int32_t partitions;
    uint32_t pool; /* so many threads take from one queue; 0: a thread for each partition */
    const struct cluster_setting *settings; /* besides; may be NULL */
    by_hand_fn handle;
    void *context;
};

struct by_hand;

/* With the rules, which have to stay. */
struct by_hand *by_hand_start(const struct by_hand_rules *rules);

/* How many partitions it has been assigned. */
int by_hand_assigned(struct by_hand *by_hand);

/* Wait until everything in the topic is handled. */
void by_hand_wait_for_end(struct by_hand *by_hand);

/* What runs ends; what waits in queues is dropped; what is done is committed. */
void by_hand_stop(struct by_hand *by_hand);

/* The settings that its figures have. */
void by_hand_settings(const struct by_hand_rules *rules, struct bench_run *run);

#endif
