/* SPDX-License-Identifier: Apache-2.0 */
#include "source/kafka/pause.h"

static void set(struct kafka_partition *partition, uint8_t pauses)
{
    bool was_paused = partition->pauses != 0, is_paused = pauses != 0;
    rd_kafka_topic_partition_list_t *list;

    partition->pauses = pauses;
    if (was_paused == is_paused)
        return;
    list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, partition->topic->name, partition->number);
    /* Fails only for partitions that are not known. */
    if (is_paused)
        rd_kafka_pause_partitions(partition->source->rk, list);
    else
        rd_kafka_resume_partitions(partition->source->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
}

void kafka_pause(struct kafka_partition *partition, enum kafka_pause why)
{
    set(partition, partition->pauses | (uint8_t)why);
}

void kafka_pause_end(struct kafka_partition *partition, enum kafka_pause why)
{
    set(partition, partition->pauses & (uint8_t) ~(uint8_t)why);
}

void kafka_pause_forget(struct kafka_partition *partition)
{
    set(partition, 0);
}
