/* SPDX-License-Identifier: Apache-2.0 */
/* Leaders' epochs, committed beside offsets: by them librdkafka finds out, when a partition comes
 * back, whether its log was cut below the offset and has grown again since. */
#ifndef KLANE_SOURCE_KAFKA_LEADER_EPOCH_H
#define KLANE_SOURCE_KAFKA_LEADER_EPOCH_H

#include "source/kafka/kafka.h"

/* The epoch that was committed with the offset of this entry; the partition begins there, or
 * above. */
void kafka_leader_epoch_begin(const struct kafka_source *source,
                              struct kafka_partition *partition,
                              const rd_kafka_topic_partition_t *entry);

/* What has come of an unproven partition, a record or its end. True: it comes once more, from the
 * next offset, once the leader has been asked. If the log was cut, an error comes instead. */
bool kafka_leader_epoch_prove(const struct kafka_source *source,
                              struct kafka_partition *partition,
                              const rd_kafka_message_t *message);

/* librdkafka is to be told once more where it reads, and forgets what it was about to find out of
 * the leader, and the epoch: the partition is unproven again, as far as an epoch is known. */
void kafka_leader_epoch_doubt(const struct kafka_source *source,
                              struct kafka_partition *partition);

/* There is none, or no more. */
void kafka_leader_epoch_forget(struct kafka_partition *partition);

/* Put the partition's epoch into the entry, by which librdkafka is to begin to read. */
void kafka_leader_epoch_assign(const struct kafka_partition *partition,
                               rd_kafka_topic_partition_t *entry);

/* Put epochs into the entries of a commit. */
void kafka_leader_epoch_commit(const struct kafka_source *source,
                               rd_kafka_topic_partition_list_t *list);

#endif
