/* SPDX-License-Identifier: Apache-2.0 */
/* Pauses: librdkafka fetches nothing more of a partition, and drops what it has fetched, which
 * comes again afterwards. So only what is no longer to come at all is paused. */
#ifndef KLANE_SOURCE_KAFKA_PAUSE_H
#define KLANE_SOURCE_KAFKA_PAUSE_H

#include "source/kafka/kafka.h"

/* Why; bits. */
enum kafka_pause {
    KAFKA_PAUSE_HELD = 1, /* it holds, and something more has come */
    KAFKA_PAUSE_TURN = 2  /* it is others' turn: see turns.h */
};

/* Returns when it is done, which no broker is asked for. */
void kafka_pause(struct kafka_partition *partition, enum kafka_pause why);

/* Goes on, if that was all. */
void kafka_pause_end(struct kafka_partition *partition, enum kafka_pause why);

/* The partition goes. librdkafka would remember the pause until it comes again. */
void kafka_pause_forget(struct kafka_partition *partition);

#endif
