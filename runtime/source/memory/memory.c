/* SPDX-License-Identifier: Apache-2.0 */
/* The memory source as a program uses it: making it, appending, and playing the group.
 *
 * Upholds: an append is one copy under the mutex of appenders, which the reader never takes.
 * Any thread. Edges: source/memory/memory.h. */
#include "source/memory/memory.h"

#include "base/assert.h"
#include "base/headers.h"

#include <stdlib.h>
#include <string.h>

#define PARTITIONS_MAX 65536

void memory_announce(struct memory_source *memory, struct mailbox *mailbox,
                     struct memory_announcement *announcement)
{
    /* E1 acquire-release: the news are made; its last mail has been received. Pairs with
     * reader_announcement_clear(). */
    if (atomic_exchange_explicit(&announcement->out, true, memory_order_acq_rel))
        return;
    mailbox_send(mailbox, &announcement->mail);
    doorbell_ring(&memory->doorbell);
}

struct memory_topic *memory_topic_find(const struct memory_source *memory, const char *name)
{
    /* E3 acquire: pairs with topic_publish(). */
    struct memory_topic *topic = atomic_load_explicit(&memory->topics, memory_order_acquire);

    while (topic != NULL && strcmp(topic->name, name) != 0)
        topic = topic->next;
    return topic;
}

static struct memory_partition *partition_find(const struct memory_source *memory,
                                               const char *topic_name, int32_t partition)
{
    struct memory_topic *topic = memory_topic_find(memory, topic_name);

    if (topic == NULL || partition < 0 || partition >= topic->partition_count)
        return NULL;
    return &topic->partitions[partition];
}

klane_err_t klane_memory_create(struct klane_source **source)
{
    struct memory_source *memory;
    klane_err_t err = KLANE_ERR_NOMEM;

    if (source == NULL)
        return KLANE_ERR_INVALID;
    memory = aligned_alloc(_Alignof(struct memory_source), sizeof(*memory));
    if (memory == NULL)
        return KLANE_ERR_NOMEM;
    memset(memory, 0, sizeof(*memory));
    memory->source.ops = &memory_source_ops;
    atomic_init(&memory->topics, NULL);
    atomic_init(&memory->running, false);
    atomic_init(&memory->commits_to_fail, 0);
    chunk_pool_init(&memory->pool);
    mailbox_init(&memory->announced_records);
    mailbox_init(&memory->announced_group);
    TAILQ_INIT(&memory->reader.sweeps);
    if (pthread_mutex_init(&memory->appender.mutex, NULL) != 0)
        goto free_memory;
    err = doorbell_init(&memory->doorbell);
    if (err != KLANE_OK)
        goto destroy_mutex;
    *source = &memory->source;
    return KLANE_OK;

destroy_mutex:
    pthread_mutex_destroy(&memory->appender.mutex);
free_memory:
    free(memory);
    return err;
}

static void partition_init(struct memory_partition *partition, const struct memory_topic *topic,
                           int32_t number)
{
    memset(partition, 0, sizeof(*partition));
    chunk_list_init(&partition->chunks);
    atomic_init(&partition->committed, -1);
    atomic_init(&partition->wanted, WANTED_ASSIGNED);
    atomic_init(&partition->group.out, false);
    /* The mail is with the reader, who looks as soon as it has the partition. */
    atomic_init(&partition->records.out, true);
    partition->reader.has_mail = true;
    partition->reader.end_told = -1;
    partition->topic = topic;
    partition->number = number;
}

static struct memory_topic *topic_create(const char *name, int32_t partitions)
{
    size_t name_size = strlen(name) + 1;
    struct memory_topic *topic = malloc(sizeof(*topic) + name_size);

    if (topic == NULL)
        return NULL;
    topic->next = NULL;
    topic->partition_count = partitions;
    topic->partitions = aligned_alloc(_Alignof(struct memory_partition),
                                      (size_t)partitions * sizeof(*topic->partitions));
    if (topic->partitions == NULL) {
        free(topic);
        return NULL;
    }
    memcpy(topic->name, name, name_size);
    for (int32_t i = 0; i < partitions; i++)
        partition_init(&topic->partitions[i], topic, i);
    return topic;
}

static void topic_destroy(struct memory_topic *topic)
{
    for (int32_t i = 0; i < topic->partition_count; i++) {
        chunk_list_deinit(&topic->partitions[i].chunks);
        free(topic->partitions[i].reader.metadata);
    }
    free(topic->partitions);
    free(topic);
}

void memory_destroy(struct klane_source *source)
{
    struct memory_source *memory = memory_of(source);
    /* E3 acquire: pairs with topic_publish(). */
    struct memory_topic *topic = atomic_load_explicit(&memory->topics, memory_order_acquire);

    while (topic != NULL) {
        struct memory_topic *next = topic->next;

        topic_destroy(topic);
        topic = next;
    }
    chunk_pool_deinit(&memory->pool);
    doorbell_deinit(&memory->doorbell);
    pthread_mutex_destroy(&memory->appender.mutex);
    free(memory);
}

/* Under the mutex. */
static klane_err_t topic_publish(struct memory_source *memory, struct memory_topic *topic)
{
    /* E5 acquire: pairs with reader_start(). A topic made meanwhile is the caller's error. */
    if (atomic_load_explicit(&memory->running, memory_order_acquire))
        return KLANE_ERR_STATE;
    if (memory_topic_find(memory, topic->name) != NULL)
        return KLANE_ERR_EXISTS;
    /* Relaxed: written under the mutex only. */
    topic->next = atomic_load_explicit(&memory->topics, memory_order_relaxed);
    /* E3 release: the topic is whole. Pairs with memory_topic_find(). */
    atomic_store_explicit(&memory->topics, topic, memory_order_release);
    return KLANE_OK;
}

klane_err_t klane_memory_topic(struct klane_source *source, const char *topic, int32_t partitions)
{
    struct memory_topic *made;
    klane_err_t err;

    if (source == NULL || source->ops != &memory_source_ops || topic == NULL ||
        topic[0] == '\0' || partitions < 1 || partitions > PARTITIONS_MAX)
        return KLANE_ERR_INVALID;
    made = topic_create(topic, partitions);
    if (made == NULL)
        return KLANE_ERR_NOMEM;

    struct memory_source *memory = memory_of(source);

    pthread_mutex_lock(&memory->appender.mutex);
    err = topic_publish(memory, made);
    pthread_mutex_unlock(&memory->appender.mutex);
    if (err != KLANE_OK)
        topic_destroy(made);
    return err;
}

/* Under the mutex. */
static klane_err_t append(struct memory_source *memory, struct memory_partition *partition,
                          const struct klane_memory_record *record, size_t headers_bytes,
                          int64_t *offset)
{
    int64_t end = chunks_end(&partition->chunks);
    int64_t at = record->offset == -1 ? end : record->offset;
    klane_err_t err;

    if (at < end || at == INT64_MAX)
        return KLANE_ERR_INVALID;
    err = chunks_append(&partition->chunks, &memory->pool, record, headers_bytes, at);
    if (err == KLANE_OK && offset != NULL)
        *offset = at;
    return err;
}

klane_err_t klane_memory_append(struct klane_source *source, const char *topic, int32_t partition,
                                const struct klane_memory_record *record, int64_t *offset)
{
    if (source == NULL || source->ops != &memory_source_ops || topic == NULL || record == NULL ||
        record->key_size > UINT32_MAX || record->value_size > UINT32_MAX ||
        (record->key == NULL && record->key_size > 0) ||
        (record->value == NULL && record->value_size > 0))
        return KLANE_ERR_INVALID;

    struct memory_source *memory = memory_of(source);
    struct memory_partition *found = partition_find(memory, topic, partition);
    size_t headers_bytes = headers_size(record->headers, record->header_count);
    klane_err_t err;

    if (found == NULL)
        return KLANE_ERR_NOT_FOUND;
    if (headers_bytes == SIZE_MAX)
        return KLANE_ERR_INVALID;
    pthread_mutex_lock(&memory->appender.mutex);
    err = append(memory, found, record, headers_bytes, offset);
    pthread_mutex_unlock(&memory->appender.mutex);
    if (err == KLANE_OK)
        memory_announce(memory, &memory->announced_records, &found->records);
    return err;
}

klane_err_t klane_memory_committed(struct klane_source *source, const char *topic,
                                   int32_t partition, int64_t *offset)
{
    if (source == NULL || source->ops != &memory_source_ops || topic == NULL || offset == NULL)
        return KLANE_ERR_INVALID;

    const struct memory_partition *found = partition_find(memory_of(source), topic, partition);

    if (found == NULL)
        return KLANE_ERR_NOT_FOUND;
    /* E4 acquire: pairs with partition_commit(). */
    *offset = atomic_load_explicit(&found->committed, memory_order_acquire);
    return KLANE_OK;
}

/* Changes `wanted` to assigned or not, with a loss or none. */
static klane_err_t wanted_change(struct klane_source *source, const char *topic,
                                 int32_t partition, uint64_t assigned, uint64_t loss)
{
    if (source == NULL || source->ops != &memory_source_ops || topic == NULL)
        return KLANE_ERR_INVALID;

    struct memory_source *memory = memory_of(source);
    struct memory_partition *found = partition_find(memory, topic, partition);
    uint64_t was;
    uint64_t wanted;

    if (found == NULL)
        return KLANE_ERR_NOT_FOUND;
    /* E5 acquire: reader.read is settled. Pairs with reader_start(). */
    if (!atomic_load_explicit(&memory->running, memory_order_acquire) || !found->reader.read)
        return KLANE_ERR_STATE;
    /* Relaxed: only what the exchange below compares with. */
    was = atomic_load_explicit(&found->wanted, memory_order_relaxed);
    do {
        if ((was & WANTED_ASSIGNED) == assigned)
            return KLANE_ERR_STATE;
        wanted = (was ^ WANTED_ASSIGNED) + loss + WANTED_CHANGE;
        /* E2 release: pairs with group_obey(). Relaxed on failure: it is tried again. */
    } while (!atomic_compare_exchange_weak_explicit(&found->wanted, &was, wanted,
                                                    memory_order_release, memory_order_relaxed));
    memory_announce(memory, &memory->announced_group, &found->group);
    return KLANE_OK;
}

klane_err_t klane_memory_revoke(struct klane_source *source, const char *topic, int32_t partition,
                                bool lost)
{
    return wanted_change(source, topic, partition, 0, lost ? WANTED_LOSS : 0);
}

klane_err_t klane_memory_assign(struct klane_source *source, const char *topic, int32_t partition)
{
    return wanted_change(source, topic, partition, WANTED_ASSIGNED, 0);
}

void klane_memory_fail_commits(struct klane_source *source, uint32_t count, klane_err_t err)
{
    if (source == NULL || source->ops != &memory_source_ops)
        return;
    /* Relaxed: one word, which orders nothing else. */
    atomic_store_explicit(&memory_of(source)->commits_to_fail,
                          (uint64_t)count << MEMORY_FAIL_SHIFT | (uint64_t)err,
                          memory_order_relaxed);
}
