/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/queue.h"
#include "lib/harness.h"

#include <errno.h>
#include <stdlib.h>

void queue_init(struct queue *queue, uint32_t size)
{
    pthread_condattr_t attributes;

    *queue = (struct queue){.places = calloc(size, sizeof(void *)), .size = size};
    if (queue->places == NULL)
        bench_fail("no memory for a queue");
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->has_some, &attributes);
    pthread_cond_init(&queue->has_room, &attributes);
    pthread_condattr_destroy(&attributes);
}

void queue_deinit(struct queue *queue)
{
    pthread_mutex_destroy(&queue->lock);
    pthread_cond_destroy(&queue->has_some);
    pthread_cond_destroy(&queue->has_room);
    free(queue->places);
}

static bool wait_for_room(struct queue *queue, uint32_t wait_ms)
{
    int64_t until_ns = bench_now_ns() + (int64_t)wait_ms * 1000000;
    const struct timespec until = {(time_t)(until_ns / 1000000000),
                                   (long)(until_ns % 1000000000)};

    while (queue->count == queue->size && !queue->is_closed)
        if (pthread_cond_timedwait(&queue->has_room, &queue->lock, &until) == ETIMEDOUT)
            break;
    return queue->count < queue->size;
}

bool queue_put(struct queue *queue, void *item, uint32_t wait_ms)
{
    bool has_room, is_waited_for;

    pthread_mutex_lock(&queue->lock);
    has_room = queue->count < queue->size || wait_for_room(queue, wait_ms);
    has_room = has_room && !queue->is_closed;
    if (has_room)
        queue->places[(queue->first + queue->count++) % queue->size] = item;
    is_waited_for = queue->takers > 0;
    pthread_mutex_unlock(&queue->lock);
    if (has_room && is_waited_for)
        pthread_cond_signal(&queue->has_some);
    return has_room;
}

uint32_t queue_take(struct queue *queue, void **items, uint32_t most)
{
    uint32_t taken = 0;
    bool was_full;

    pthread_mutex_lock(&queue->lock);
    queue->takers++;
    while (queue->count == 0 && !queue->is_closed)
        pthread_cond_wait(&queue->has_some, &queue->lock);
    queue->takers--;
    was_full = queue->count == queue->size;
    for (; taken < most && queue->count > 0 && !queue->is_closed; queue->count--) {
        items[taken++] = queue->places[queue->first];
        queue->first = (queue->first + 1) % queue->size;
    }
    pthread_mutex_unlock(&queue->lock);
    if (was_full)
        pthread_cond_signal(&queue->has_room);
    return taken;
}

uint32_t queue_count(struct queue *queue)
{
    uint32_t count;

    pthread_mutex_lock(&queue->lock);
    count = queue->count;
    pthread_mutex_unlock(&queue->lock);
    return count;
}

void queue_close(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->is_closed = true;
    pthread_mutex_unlock(&queue->lock);
    pthread_cond_broadcast(&queue->has_some);
    pthread_cond_broadcast(&queue->has_room);
}
