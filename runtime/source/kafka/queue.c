/* SPDX-License-Identifier: Apache-2.0 */
/* Edge K1: see source/kafka/kafka.h. */
#include "source/kafka/queue.h"

/* On any of librdkafka's threads, with the queue locked. */
static void queue_rang(rd_kafka_t *rk, void *opaque)
{
    struct kafka_queue *queue = opaque;

    (void)rk;
    /* K1 release: pairs with kafka_queue_has_rung(). */
    atomic_store_explicit(&queue->rang, true, memory_order_release);
    doorbell_ring(&queue->source->doorbell);
}

bool kafka_queue_has_rung(struct kafka_queue *queue)
{
    /* Relaxed: only whether the exchange is worth it. K1 acquire-release: pairs with
     * queue_rang(). */
    return atomic_load_explicit(&queue->rang, memory_order_relaxed) &&
           atomic_exchange_explicit(&queue->rang, false, memory_order_acq_rel);
}

void kafka_queue_init(struct kafka_source *source, struct kafka_queue *queue,
                      rd_kafka_queue_t *of)
{
    queue->queue = of;
    queue->source = source;
    /* Only what comes into an empty queue rings, and there may be something in it already: the
     * wish for a token is, from the start. Relaxed: no other thread knows it yet. */
    atomic_init(&queue->rang, true);
    rd_kafka_queue_cb_event_enable(of, queue_rang, queue);
}

void kafka_queue_deinit(struct kafka_queue *queue)
{
    rd_kafka_queue_cb_event_enable(queue->queue, NULL, NULL);
    rd_kafka_queue_destroy(queue->queue);
}
