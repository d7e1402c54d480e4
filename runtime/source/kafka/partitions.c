/* SPDX-License-Identifier: Apache-2.0 */
/* Topics and partitions by name. A partition that was ever assigned here is kept: it may come
 * back, and control's handles to it stay valid. */
#include "source/kafka/partitions.h"

#include "base/assert.h"
#include "source/kafka/fetch.h"

#include <stdlib.h>
#include <string.h>

/* The place of the topic, or the one where it belongs. */
static size_t place_of(const struct kafka_source *source, const char *name, bool *is_there)
{
    size_t low = 0;
    size_t high = source->topic_count;

    *is_there = false;
    while (low < high && !*is_there) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, source->topics[middle]->name);

        *is_there = order == 0;
        if (order <= 0)
            high = middle;
        else
            low = middle + 1;
    }
    return high;
}

struct kafka_partition *kafka_partitions_find(const struct kafka_source *source, const char *name,
                                              int32_t number)
{
    bool is_there;
    size_t place = place_of(source, name, &is_there);

    if (!is_there || number < 0 || number >= source->topics[place]->partition_count)
        return NULL;
    return source->topics[place]->partitions[number];
}

static struct kafka_topic *topic_get(struct kafka_source *source, const char *name)
{
    bool is_there;
    size_t place = place_of(source, name, &is_there);
    struct kafka_topic **grown;
    struct kafka_topic *topic;

    if (is_there)
        return source->topics[place];
    grown = realloc(source->topics, (source->topic_count + 1) * sizeof(*grown));
    if (grown == NULL)
        return NULL;
    source->topics = grown;
    topic = calloc(1, sizeof *topic);
    if (topic == NULL || (topic->name = strdup(name)) == NULL) {
        free(topic);
        return NULL;
    }
    memmove(grown + place + 1, grown + place, (source->topic_count - place) * sizeof(*grown));
    grown[place] = topic;
    source->topic_count++;
    return topic;
}

static bool topic_grow(struct kafka_topic *topic, int32_t count)
{
    struct kafka_partition **grown =
        realloc(topic->partitions, (size_t)count * sizeof(struct kafka_partition *));

    if (grown == NULL)
        return false;
    topic->partitions = grown;
    while (topic->partition_count < count)
        grown[topic->partition_count++] = NULL;
    return true;
}

struct kafka_partition *kafka_partitions_get(struct kafka_source *source, const char *name,
                                             int32_t number)
{
    struct kafka_topic *topic = topic_get(source, name);
    struct kafka_partition *partition;

    if (topic == NULL || (number >= topic->partition_count && !topic_grow(topic, number + 1)))
        return NULL;
    if (topic->partitions[number] != NULL)
        return topic->partitions[number];
    partition = calloc(1, sizeof *partition);
    if (partition == NULL)
        return NULL;
    partition->source = source;
    partition->topic = topic;
    partition->number = number;
    STAILQ_INIT(&partition->stash);
    topic->partitions[number] = partition;
    return partition;
}

void kafka_partition_move(struct kafka_source *source, struct kafka_partition *partition,
                          enum kafka_state to)
{
    enum kafka_state from = partition->state;

    /* Back to WAITING: the log was cut, and the partition begins again at a lower offset. */
    KLANE_ASSERT(to == KAFKA_AWAY || to == from + 1 ||
                 (from == KAFKA_OURS && to == KAFKA_WAITING));
    if (from == KAFKA_AWAY)
        TAILQ_INSERT_TAIL(&source->owned, partition, owned);
    if (to == KAFKA_AWAY) {
        if (source->wake_next == partition)
            source->wake_next = NULL;
        TAILQ_REMOVE(&source->owned, partition, owned);
    }
    if (to != KAFKA_OURS)
        source->last = NULL;
    if (to < KAFKA_OURS)
        partition->assignment = NULL;
    partition->state = (uint8_t)to;
}

bool kafka_partition_keep_metadata(struct kafka_partition *partition, const void *metadata,
                                   size_t size)
{
    kafka_partition_forget_metadata(partition);
    if (size == 0)
        return true;
    partition->metadata = malloc(size);
    if (partition->metadata == NULL)
        return false;
    memcpy(partition->metadata, metadata, size);
    partition->metadata_size = size;
    return true;
}

void kafka_partition_forget_metadata(struct kafka_partition *partition)
{
    free(partition->metadata);
    partition->metadata = NULL;
    partition->metadata_size = 0;
}

void kafka_partitions_forget_queues(struct kafka_source *source)
{
    for (size_t i = 0; i < source->topic_count; i++)
        for (int32_t j = 0; j < source->topics[i]->partition_count; j++)
            if (source->topics[i]->partitions[j] != NULL)
                kafka_fetch_forget(source->topics[i]->partitions[j]);
}

static void topic_free(struct kafka_source *source, struct kafka_topic *topic)
{
    for (int32_t i = 0; i < topic->partition_count; i++) {
        struct kafka_partition *partition = topic->partitions[i];

        if (partition == NULL)
            continue;
        kafka_fetch_drop(source, partition);
        kafka_partition_forget_metadata(partition);
        free(partition);
    }
    free(topic->partitions);
    free(topic->name);
    free(topic);
}

void kafka_partitions_free(struct kafka_source *source)
{
    for (size_t i = 0; i < source->topic_count; i++)
        topic_free(source, source->topics[i]);
    free(source->topics);
    source->topics = NULL;
    source->topic_count = 0;
}
