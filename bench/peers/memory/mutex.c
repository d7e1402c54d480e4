/* SPDX-License-Identifier: Apache-2.0 */
/* What is written by hand where no library is at hand: a mutex and a queue for each key, and a
 * pool of threads with a mutex, a queue of keys that have something to do, and a condition
 * variable.
 *
 * A key is in the pool's queue, or with a worker, while it has records. A worker takes all that
 * its key has at once, and keys by the dozen; the feeder signals only if a worker sleeps. */
#include "peers/memory/peer.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

enum { AT_ONCE = 32 };

struct lane {
    pthread_mutex_t lock;
    struct peer_item *first;
    struct peer_item *last;
    bool is_scheduled;
    struct lane *next; /* in the pool's queue */
};

struct pool {
    struct peer *peer;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct lane *first;
    struct lane *last;
    uint32_t asleep;
    bool ends;
};

static struct lane *lane_create(void)
{
    struct lane *lane = calloc(1, sizeof(*lane));

    if (lane == NULL)
        peer_fail("no memory");
    pthread_mutex_init(&lane->lock, NULL);
    return lane;
}

static void lane_schedule(struct pool *pool, struct lane *lane)
{
    bool is_to_wake;

    lane->next = NULL;
    pthread_mutex_lock(&pool->lock);
    if (pool->first == NULL)
        pool->first = lane;
    else
        pool->last->next = lane;
    pool->last = lane;
    is_to_wake = pool->asleep > 0;
    pthread_mutex_unlock(&pool->lock);
    if (is_to_wake)
        pthread_cond_signal(&pool->wake);
}

static void lane_append(struct pool *pool, struct lane *lane, struct peer_item *item)
{
    bool was_scheduled;

    item->next = NULL;
    pthread_mutex_lock(&lane->lock);
    if (lane->first == NULL)
        lane->first = item;
    else
        lane->last->next = item;
    lane->last = item;
    was_scheduled = lane->is_scheduled;
    lane->is_scheduled = true;
    pthread_mutex_unlock(&lane->lock);
    if (!was_scheduled)
        lane_schedule(pool, lane);
}

/* All that it has; NULL: nothing, and it is not scheduled any more. */
static struct peer_item *lane_take(struct lane *lane)
{
    struct peer_item *first;

    pthread_mutex_lock(&lane->lock);
    first = lane->first;
    lane->first = NULL;
    lane->is_scheduled = first != NULL;
    pthread_mutex_unlock(&lane->lock);
    return first;
}

static void lane_run(struct pool *pool, struct lane *lane)
{
    struct peer_item *item, *next;

    while ((item = lane_take(lane)) != NULL)
        for (; item != NULL; item = next) {
            next = item->next;
            peer_handle(pool->peer, item);
        }
}

/* Some lanes, by next; NULL: the end. */
static struct lane *pool_take(struct pool *pool)
{
    struct lane *first, *last;

    pthread_mutex_lock(&pool->lock);
    while (pool->first == NULL && !pool->ends) {
        pool->asleep++;
        pthread_cond_wait(&pool->wake, &pool->lock);
        pool->asleep--;
    }
    first = last = pool->first;
    for (int i = 1; i < AT_ONCE && last != NULL && last->next != NULL; i++)
        last = last->next;
    if (last != NULL) {
        pool->first = last->next;
        last->next = NULL;
    }
    pthread_mutex_unlock(&pool->lock);
    return first;
}

static void *work(void *argument)
{
    struct pool *pool = argument;
    struct lane *lane, *next;

    while ((lane = pool_take(pool)) != NULL)
        for (; lane != NULL; lane = next) {
            /* It may be in the queue again before lane_run() returns. */
            next = lane->next;
            lane_run(pool, lane);
        }
    return NULL;
}

static void dispatch(struct peer *peer, uint32_t workers)
{
    struct pool pool = {.peer = peer};
    pthread_t *threads = calloc(workers, sizeof(*threads));
    struct peer_item *item;
    void **lane;

    pthread_mutex_init(&pool.lock, NULL);
    pthread_cond_init(&pool.wake, NULL);
    for (uint32_t i = 0; i < workers; i++)
        if (threads == NULL || pthread_create(&threads[i], NULL, work, &pool) != 0)
            peer_fail("no thread");
    while ((item = peer_next(peer, &lane)) != NULL) {
        if (*lane == NULL)
            *lane = lane_create();
        lane_append(&pool, *lane, item);
    }
    pthread_mutex_lock(&pool.lock);
    pool.ends = true;
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.lock);
    for (uint32_t i = 0; i < workers; i++)
        pthread_join(threads[i], NULL);
    free(threads);
}

const struct peer_dispatcher peer_mutex = {.library = "pthreads", .dispatch = dispatch};
