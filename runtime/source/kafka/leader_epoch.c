/* SPDX-License-Identifier: Apache-2.0 */
/* Leaders' epochs.
 *
 * Upholds: no log counts as cut that was not. An epoch goes with an offset only if a record of
 * that epoch was read at or above the offset, but for one below it: of a hole at the end of a log
 * nobody knows the epoch.
 *
 * What is committed is the epoch of the last record that was read, not of the one below the
 * base: the ceiling of the progress map, from where a successor reads, lies between the two. A log
 * that was cut below either has no such epoch up to there.
 *
 * librdkafka has these calls from 2.1 on. The references are weak, so that one build of klane runs
 * with older libraries, and makes use of newer ones whatever header it was built with. */
#include "source/kafka/leader_epoch.h"

#include "base/assert.h"
#include "source/kafka/partitions.h"

int32_t rd_kafka_topic_partition_get_leader_epoch(const rd_kafka_topic_partition_t *entry)
    __attribute__((weak));
void rd_kafka_topic_partition_set_leader_epoch(rd_kafka_topic_partition_t *entry, int32_t epoch)
    __attribute__((weak));

#define NONE (-1)

/* How often a seek is made: what came first may be gone from the log since. */
#define SEEKS_MOST 4

/* Before this version, librdkafka may ask for the same epoch without end. */
static bool can_ask(const struct kafka_source *source)
{
    return source->version >= KAFKA_VERSION_EPOCHS &&
           rd_kafka_topic_partition_get_leader_epoch != NULL &&
           rd_kafka_topic_partition_set_leader_epoch != NULL;
}

void kafka_leader_epoch_forget(struct kafka_partition *partition)
{
    partition->leader_epoch = NONE;
    partition->leader_epoch_end = 0;
    partition->has_read = false;
    partition->is_unproven = false;
    partition->seeks = 0;
}

void kafka_leader_epoch_begin(const struct kafka_source *source,
                              struct kafka_partition *partition,
                              const rd_kafka_topic_partition_t *entry)
{
    kafka_leader_epoch_forget(partition);
    if (can_ask(source) && entry->offset >= 0)
        partition->leader_epoch = rd_kafka_topic_partition_get_leader_epoch(entry);
    partition->is_unproven = partition->leader_epoch != NONE;
}

void kafka_leader_epoch_assign(const struct kafka_partition *partition,
                               rd_kafka_topic_partition_t *entry)
{
    if (partition->leader_epoch != NONE)
        rd_kafka_topic_partition_set_leader_epoch(entry, partition->leader_epoch);
}

/* librdkafka asks by itself only when it hears of a new leader; a seek has it ask. Not before
 * something has come: a seek is refused while the partition has not begun. */
static void seek(const struct kafka_source *source, const struct kafka_partition *partition)
{
    rd_kafka_topic_partition_list_t *list = kafka_partition_list(partition);

    list->elems[0].offset = partition->next;
    kafka_leader_epoch_assign(partition, &list->elems[0]);
    /* Without waiting there is no error. */
    rd_kafka_error_destroy(rd_kafka_seek_partitions(source->rk, list, 0));
    rd_kafka_topic_partition_list_destroy(list);
}

bool kafka_leader_epoch_prove(const struct kafka_source *source,
                              struct kafka_partition *partition,
                              const rd_kafka_message_t *message)
{
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR &&
        message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return false;
    if (partition->seeks == 0) {
        KLANE_MARK("kafka: a log is looked at whether it was cut");
        partition->proven_by = message->offset;
    } else if (message->offset <= partition->proven_by || partition->seeks == SEEKS_MOST) {
        partition->is_unproven = false;
        return false;
    } else {
        /* As a pause of librdkafka's own for a rebalance overtook it: what was dropped would be
         * passed over. */
        KLANE_MARK("kafka: a seek was forgotten");
    }
    partition->seeks++;
    seek(source, partition);
    return true;
}

/* Of the last record that was read. librdkafka's position counts what was dropped, too, as of a
 * log that was cut, and keeps what was of another place until it has begun at the new one. */
static void note(struct kafka_partition *partition, const rd_kafka_topic_partition_t *read)
{
    int32_t epoch = rd_kafka_topic_partition_get_leader_epoch(read);

    if (!partition->has_read || read->offset < partition->next || epoch == NONE)
        return;
    partition->leader_epoch = epoch;
    partition->leader_epoch_end = read->offset;
}

/* Of the last record that was read, if it was at the next offset or above, but for one below. */
static bool has_epoch(const struct kafka_partition *partition)
{
    return partition->leader_epoch != NONE && partition->next <= partition->leader_epoch_end;
}

void kafka_leader_epoch_doubt(const struct kafka_source *source,
                              struct kafka_partition *partition)
{
    rd_kafka_topic_partition_list_t *read;

    partition->seeks = 0;
    if (partition->is_unproven || !can_ask(source))
        return;
    read = kafka_partition_list(partition);
    rd_kafka_position(source->rk, read); /* as in a commit */
    note(partition, &read->elems[0]);
    rd_kafka_topic_partition_list_destroy(read);
    partition->has_read = false;
    partition->is_unproven = has_epoch(partition);
}

void kafka_leader_epoch_commit(const struct kafka_source *source,
                               rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_topic_partition_list_t *read;

    if (!can_ask(source))
        return;
    read = rd_kafka_topic_partition_list_new(list->cnt);
    for (int i = 0; i < list->cnt; i++)
        rd_kafka_topic_partition_list_add(read, list->elems[i].topic, list->elems[i].partition);
    rd_kafka_position(source->rk, read); /* as far as it is known here: no broker is asked */
    for (int i = 0; i < list->cnt; i++) {
        struct kafka_partition *partition =
            kafka_partitions_find(source, list->elems[i].topic, list->elems[i].partition);

        note(partition, &read->elems[i]);
        if (has_epoch(partition))
            kafka_leader_epoch_assign(partition, &list->elems[i]);
    }
    rd_kafka_topic_partition_list_destroy(read);
}
