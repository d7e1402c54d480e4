/* SPDX-License-Identifier: Apache-2.0 */
#include "source/kafka/pause.h"

#include "source/kafka/partitions.h"

/* They may be those that its broker's thread has waited for. */
static void resume(struct kafka_source *source, rd_kafka_topic_partition_list_t *list)
{
    if (list->cnt > 0 && source->phase < KAFKA_PARTING) {
        /* Fails only for partitions that are not known. */
        rd_kafka_resume_partitions(source->rk, list);
        source->nap.is_possible = true;
    }
    rd_kafka_topic_partition_list_destroy(list);
}

/* Whether it was not paused yet. */
static bool begin(struct kafka_partition *partition, enum kafka_pause why)
{
    bool was_paused = partition->pauses != 0;

    partition->pauses |= (uint8_t)why;
    partition->was_paused = true;
    return !was_paused;
}

static void pause_list(struct kafka_source *source, rd_kafka_topic_partition_list_t *list)
{
    if (list->cnt > 0)
        rd_kafka_pause_partitions(source->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
}

void kafka_pause(struct kafka_partition *partition, enum kafka_pause why)
{
    if (begin(partition, why))
        pause_list(partition->source, kafka_partition_list(partition));
}

/* As one list: each call waits for librdkafka's thread. */
void kafka_pause_where(struct kafka_source *source,
                       bool (*is_meant)(const struct kafka_partition *partition),
                       enum kafka_pause why)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    struct kafka_partition *partition;

    TAILQ_FOREACH(partition, &source->owned, owned)
    if (is_meant(partition) && begin(partition, why))
        kafka_partition_add(list, partition);
    pause_list(source, list);
}

/* Whether that was all. */
static bool end(struct kafka_partition *partition, enum kafka_pause why)
{
    bool was_paused = partition->pauses != 0;

    partition->pauses &= (uint8_t) ~(uint8_t)why;
    if (!was_paused || partition->pauses != 0)
        return false;
    partition->is_to_wake = true;
    return true;
}

void kafka_pause_end(struct kafka_partition *partition, enum kafka_pause why)
{
    if (end(partition, why))
        resume(partition->source, kafka_partition_list(partition));
}

void kafka_pause_end_all(struct kafka_source *source, enum kafka_pause why)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    struct kafka_partition *partition;

    TAILQ_FOREACH(partition, &source->owned, owned)
    if (end(partition, why))
        kafka_partition_add(list, partition);
    resume(source, list);
}

void kafka_pause_repeat_ends(struct kafka_source *source)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    struct kafka_partition *partition;

    TAILQ_FOREACH(partition, &source->owned, owned)
    if (partition->was_paused && partition->pauses == 0)
        kafka_partition_add(list, partition);
    /* To end what is none makes librdkafka go back to where the last one was (before 2.4). */
    if (list->cnt > 0 && source->phase < KAFKA_PARTING)
        rd_kafka_pause_partitions(source->rk, list);
    resume(source, list);
}

void kafka_pause_forget(struct kafka_partition *partition)
{
    if (!partition->was_paused)
        return;
    partition->pauses = 0;
    partition->was_paused = false;
    resume(partition->source, kafka_partition_list(partition));
}
