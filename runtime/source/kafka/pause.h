/* SPDX-License-Identifier: Apache-2.0 */
/* Pauses: librdkafka fetches nothing more of a partition, and what it has fetched does not come,
 * but is fetched again afterwards.
 *
 * Upholds: what is not to be paused any more goes on. librdkafka forgets a pause or its end when
 * its own thread does the same for a rebalance in the same moment; so before a rebalance is
 * answered, while that thread waits for us, ends of pauses are repeated. */
#ifndef KLANE_SOURCE_KAFKA_PAUSE_H
#define KLANE_SOURCE_KAFKA_PAUSE_H

#include "source/kafka/kafka.h"

/* Why; bits. */
enum kafka_pause {
    KAFKA_PAUSE_HELD = 1,     /* it holds, and something more has come */
    KAFKA_PAUSE_TURN = 2,     /* it is others' turn: see turns.h */
    KAFKA_PAUSE_UNCOUNTED = 4 /* keys and headers fill the queue: see uncounted.h */
};

/* Returns when librdkafka's own thread has done it; no broker is asked. */
void kafka_pause(struct kafka_partition *partition, enum kafka_pause why);

/* The same of all that are meant. */
void kafka_pause_where(struct kafka_source *source,
                       bool (*is_meant)(const struct kafka_partition *partition),
                       enum kafka_pause why);

/* They go on, if that was all. */
void kafka_pause_end(struct kafka_partition *partition, enum kafka_pause why);
void kafka_pause_end_all(struct kafka_source *source, enum kafka_pause why);

/* Repeat the ends of all that were paused in this stay. */
void kafka_pause_repeat_ends(struct kafka_source *source);

/* The partition goes. librdkafka would remember the pause until it comes again. */
void kafka_pause_forget(struct kafka_partition *partition);

#endif
