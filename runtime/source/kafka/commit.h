/* SPDX-License-Identifier: Apache-2.0 */
/* One commit at a time. */
#ifndef KLANE_SOURCE_KAFKA_COMMIT_H
#define KLANE_SOURCE_KAFKA_COMMIT_H

#include "source/kafka/kafka.h"

void kafka_commit_take(struct kafka_source *source, const struct source_commit *commits,
                       size_t count);

/* Something has changed for a commit that was not sent yet: the group, or a partition. */
void kafka_commit_review(struct kafka_source *source);

void kafka_commit_came(struct kafka_source *source, rd_kafka_event_t *event);

/* Tell control the answer that is due. */
void kafka_commit_answer_due(struct kafka_source *source);

void kafka_commit_deinit(struct kafka_source *source);

#endif
