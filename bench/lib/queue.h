/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded queue of pointers with a lock, as one writes it by hand. */
#ifndef KLANE_BENCH_LIB_QUEUE_H
#define KLANE_BENCH_LIB_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct queue {
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t has_some;
    pthread_cond_t has_room;
    void **places;
    uint32_t size;
    uint32_t first;
    uint32_t count;
    uint32_t takers; /* that wait */
    bool is_closed;
};

void queue_init(struct queue *queue, uint32_t size);

/* When nobody uses it any more. */
void queue_deinit(struct queue *queue);

/* False: there was no room for so long, or the queue is closed. */
bool queue_put(struct queue *queue, void *item, uint32_t wait_ms);

/* Take up to so many; waits for the first. 0: the queue is closed. */
uint32_t queue_take(struct queue *queue, void **items, uint32_t most);

uint32_t queue_count(struct queue *queue);

/* Nothing is put or taken any more. */
void queue_close(struct queue *queue);

#endif
