/* SPDX-License-Identifier: Apache-2.0 */
/* Where a partition begins, and where it goes on when that is not in the log. */
#ifndef KLANE_SOURCE_KAFKA_POSITION_H
#define KLANE_SOURCE_KAFKA_POSITION_H

#include "source/kafka/kafka.h"

/* Go on finding where partitions begin. True: all is known that somebody could say. */
bool kafka_position_find(struct kafka_source *source);

/* What came back. */
void kafka_position_committed_came(struct kafka_source *source);
void kafka_position_looked_up(struct kafka_source *source);
void kafka_position_range_came(struct kafka_source *source);

/* librdkafka says that the partition's next offset is not in the log, and why. */
void kafka_position_out_of_range(struct kafka_source *source, struct kafka_partition *partition,
                                 const char *why);

/* Look for those that are out of range, one at a time, and for begins that nobody could say; begin
 * again where a place was found. */
void kafka_position_work(struct kafka_source *source);

#endif
