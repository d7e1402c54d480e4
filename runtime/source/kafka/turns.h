/* SPDX-License-Identifier: Apache-2.0 */
/* Turns: partitions of which nothing comes are waited for by those of which much comes. */
#ifndef KLANE_SOURCE_KAFKA_TURNS_H
#define KLANE_SOURCE_KAFKA_TURNS_H

#include "source/kafka/kafka.h"

/* Whether the log is known to have more of it, that may come, and nobody waited for it in vain of
 * late. */
bool kafka_turns_is_promising(const struct kafka_source *source,
                              const struct kafka_partition *partition, int64_t now_ms);

/* The partition comes. */
void kafka_turns_init(struct kafka_partition *partition);

/* A record of it comes. */
void kafka_turns_note(struct kafka_source *source, struct kafka_partition *partition);

/* The queue was full, and is about to be filled again. */
void kafka_turns_look(struct kafka_source *source);

/* Of every round. */
void kafka_turns_work(struct kafka_source *source);

/* When something is to be done in kafka_turns_work(). */
int64_t kafka_turns_due_ms(const struct kafka_source *source);

/* Nobody is waited for any more, until somebody has waited again. */
void kafka_turns_end(struct kafka_source *source);

#endif
