/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/by_hand.h"
#include "lib/queue.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    TAKE_MAX = 256, /* at a time, where one thread has a queue of its own */
    FULL_MS = 100,  /* a queue that is full for so long has its partition paused */
    POLL_MS = 100,
    POLL_PAUSED_MS = 10, /* while a partition waits to be resumed */
    LOOK_EACH = 256      /* messages: then the clock is looked at */
};

struct partition {
    _Alignas(64) _Atomic int64_t done; /* one past the highest offset; acquire and release: what
                                          is committed has been done */
    int64_t committed;                 /* the poll thread's, as all that follows */
    rd_kafka_message_t *held;          /* it is paused, and this one is next */
    _Atomic bool has_ended;            /* the end of the log was reached */
};

struct server {
    _Alignas(64) struct by_hand *by_hand;
    struct queue *queue;
    pthread_t thread;
    _Atomic uint64_t handled; /* this thread's */
};

struct by_hand {
    const struct by_hand_rules *rules;
    rd_kafka_t *consumer;
    struct partition *partitions;
    struct queue *queues; /* of each partition, or one */
    struct server *servers;
    uint32_t queue_count;
    uint32_t server_count;
    uint32_t held_count; /* the poll thread's */
    _Atomic uint64_t delivered;
    _Atomic bool is_stopping;
    pthread_t thread;
};

/* Relaxed: flags and counts that are looked at again and again; they order nothing. */
#define LOAD(word) atomic_load_explicit(&(word), memory_order_relaxed)
#define STORE(word, value) atomic_store_explicit(&(word), (value), memory_order_relaxed)

/* ---- threads that handle ----------------------------------------------------------------- */

static void note_done(struct partition *partition, int64_t next)
{
    int64_t done = LOAD(partition->done);

    while (done < next &&
           !atomic_compare_exchange_weak_explicit(&partition->done, &done, next,
                                                  memory_order_release, memory_order_relaxed))
        continue;
}

static void serve(struct server *server, rd_kafka_message_t *message)
{
    struct by_hand *by_hand = server->by_hand;

    if (!LOAD(by_hand->is_stopping)) {
        by_hand->rules->handle(message, by_hand->rules->context);
        note_done(&by_hand->partitions[message->partition], message->offset + 1);
        STORE(server->handled, LOAD(server->handled) + 1);
    }
    rd_kafka_message_destroy(message);
}

static void *server_main(void *argument)
{
    struct server *server = argument;
    uint32_t most = server->by_hand->rules->pool > 0 ? 1 : TAKE_MAX, taken;
    void *messages[TAKE_MAX];

    while ((taken = queue_take(server->queue, messages, most)) > 0)
        for (uint32_t i = 0; i < taken; i++)
            serve(server, messages[i]);
    return NULL;
}

/* ---- the thread that polls --------------------------------------------------------------- */

static void check(rd_kafka_resp_err_t err, const char *what)
{
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        bench_fail("%s: %s", what, rd_kafka_err2str(err));
}

/* What has changed; or, in the end, all, as nobody has waited for the others. */
static void commit(struct by_hand *by_hand, bool is_last)
{
    const struct by_hand_rules *rules = by_hand->rules;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(rules->partitions);

    for (int32_t i = 0; i < rules->partitions; i++) {
        struct partition *partition = &by_hand->partitions[i];
        int64_t done = atomic_load_explicit(&partition->done, memory_order_acquire);

        if (done == 0 || (done == partition->committed && !is_last))
            continue;
        partition->committed = done;
        rd_kafka_topic_partition_list_add(list, rules->topic, i)->offset = done;
    }
    if (list->cnt > 0)
        check(rd_kafka_commit(by_hand->consumer, list, !is_last), "rd_kafka_commit");
    rd_kafka_topic_partition_list_destroy(list);
}

static void set_paused(struct by_hand *by_hand, int32_t number, bool is_paused)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, by_hand->rules->topic, number);
    if (is_paused)
        check(rd_kafka_pause_partitions(by_hand->consumer, list), "rd_kafka_pause_partitions");
    else
        check(rd_kafka_resume_partitions(by_hand->consumer, list), "rd_kafka_resume_partitions");
    rd_kafka_topic_partition_list_destroy(list);
}

static void hand_on(struct by_hand *by_hand, rd_kafka_message_t *message)
{
    int32_t number = message->partition;

    STORE(by_hand->delivered, LOAD(by_hand->delivered) + 1);
    if (by_hand->rules->pool > 0) {
        while (!queue_put(by_hand->queues, message, FULL_MS))
            if (LOAD(by_hand->is_stopping)) {
                rd_kafka_message_destroy(message);
                return;
            }
        return;
    }
    if (queue_put(&by_hand->queues[number], message, FULL_MS))
        return;
    by_hand->partitions[number].held = message;
    by_hand->held_count++;
    set_paused(by_hand, number, true);
}

static void resume(struct by_hand *by_hand)
{
    for (int32_t i = 0; i < by_hand->rules->partitions && by_hand->held_count > 0; i++) {
        struct partition *partition = &by_hand->partitions[i];

        if (partition->held == NULL || queue_count(&by_hand->queues[i]) > BY_HAND_QUEUE / 2)
            continue;
        if (!queue_put(&by_hand->queues[i], partition->held, 0))
            continue;
        partition->held = NULL;
        by_hand->held_count--;
        set_paused(by_hand, i, false);
    }
}

static void take(struct by_hand *by_hand, rd_kafka_message_t *message)
{
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        hand_on(by_hand, message);
        return;
    }
    if (message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
        bench_fail("rd_kafka_consumer_poll: %s", rd_kafka_message_errstr(message));
    /* Release: what was delivered before is counted. */
    atomic_store_explicit(&by_hand->partitions[message->partition].has_ended, true,
                          memory_order_release);
    rd_kafka_message_destroy(message);
}

static void *poll_main(void *argument)
{
    struct by_hand *by_hand = argument;
    int64_t committed_ns = bench_now_ns();
    uint32_t passed = 0;

    while (!LOAD(by_hand->is_stopping)) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(
            by_hand->consumer, by_hand->held_count > 0 ? POLL_PAUSED_MS : POLL_MS);

        if (message != NULL)
            take(by_hand, message);
        if (message != NULL && ++passed % LOOK_EACH != 0)
            continue;
        if (by_hand->held_count > 0)
            resume(by_hand);
        if (bench_now_ns() - committed_ns < BY_HAND_COMMIT_MS * INT64_C(1000000))
            continue;
        commit(by_hand, false);
        committed_ns = bench_now_ns();
    }
    return NULL;
}

/* ---- for arms ---------------------------------------------------------------------------- */

static void *allocate(size_t count, size_t size)
{
    size_t rounded = (count * size + 63) / 64 * 64;
    void *memory = aligned_alloc(64, rounded);

    if (memory == NULL)
        bench_fail("no memory for threads");
    return memset(memory, 0, rounded);
}

static rd_kafka_t *consumer_new(const struct by_hand_rules *rules)
{
    static const struct cluster_setting own[] = {
        {"enable.auto.commit", "false"},
        {"enable.partition.eof", "true"},
        {NULL, NULL},
    };
    rd_kafka_conf_t *conf = cluster_consumer_conf(rules->group);
    rd_kafka_t *consumer;

    cluster_set(conf, own, NULL);
    cluster_set(conf, rules->settings, NULL);
    consumer = cluster_bare_consumer(conf);
    cluster_subscribe(consumer, rules->topic);
    return consumer;
}

struct by_hand *by_hand_start(const struct by_hand_rules *rules)
{
    struct by_hand *by_hand = allocate(1, sizeof(*by_hand));
    bool is_pool = rules->pool > 0;

    by_hand->rules = rules;
    by_hand->partitions = allocate((size_t)rules->partitions, sizeof(struct partition));
    by_hand->queue_count = is_pool ? 1 : (uint32_t)rules->partitions;
    by_hand->server_count = is_pool ? rules->pool : (uint32_t)rules->partitions;
    by_hand->queues = allocate(by_hand->queue_count, sizeof(struct queue));
    by_hand->servers = allocate(by_hand->server_count, sizeof(struct server));
    by_hand->consumer = consumer_new(rules);
    for (uint32_t i = 0; i < by_hand->queue_count; i++)
        queue_init(&by_hand->queues[i], BY_HAND_QUEUE);
    for (uint32_t i = 0; i < by_hand->server_count; i++) {
        struct server *server = &by_hand->servers[i];

        server->by_hand = by_hand;
        server->queue = &by_hand->queues[is_pool ? 0 : i];
        if (pthread_create(&server->thread, NULL, server_main, server) != 0)
            bench_fail("no thread");
    }
    if (pthread_create(&by_hand->thread, NULL, poll_main, by_hand) != 0)
        bench_fail("no thread");
    return by_hand;
}

int by_hand_assigned(struct by_hand *by_hand)
{
    return cluster_assigned(by_hand->consumer);
}

static bool is_at_end(struct by_hand *by_hand)
{
    uint64_t handled = 0;

    for (int32_t i = 0; i < by_hand->rules->partitions; i++)
        if (!atomic_load_explicit(&by_hand->partitions[i].has_ended, memory_order_acquire))
            return false;
    for (uint32_t i = 0; i < by_hand->server_count; i++)
        handled += LOAD(by_hand->servers[i].handled);
    return handled == LOAD(by_hand->delivered);
}

void by_hand_wait_for_end(struct by_hand *by_hand)
{
    while (!is_at_end(by_hand))
        bench_sleep_ms(1);
}

static void drop(struct by_hand *by_hand)
{
    for (uint32_t i = 0; i < by_hand->queue_count; i++) {
        struct queue *queue = &by_hand->queues[i];

        for (; queue->count > 0; queue->count--) {
            rd_kafka_message_destroy(queue->places[queue->first]);
            queue->first = (queue->first + 1) % queue->size;
        }
        queue_deinit(queue);
    }
    for (int32_t i = 0; i < by_hand->rules->partitions; i++)
        if (by_hand->partitions[i].held != NULL)
            rd_kafka_message_destroy(by_hand->partitions[i].held);
}

void by_hand_stop(struct by_hand *by_hand)
{
    STORE(by_hand->is_stopping, true);
    for (uint32_t i = 0; i < by_hand->queue_count; i++)
        queue_close(&by_hand->queues[i]);
    pthread_join(by_hand->thread, NULL);
    for (uint32_t i = 0; i < by_hand->server_count; i++)
        pthread_join(by_hand->servers[i].thread, NULL);
    commit(by_hand, true);
    drop(by_hand);
    rd_kafka_consumer_close(by_hand->consumer);
    rd_kafka_destroy(by_hand->consumer);
    free(by_hand->queues);
    free(by_hand->servers);
    free(by_hand->partitions);
    free(by_hand);
}

void by_hand_settings(const struct by_hand_rules *rules, struct bench_run *run)
{
    bench_setting(run, "threads", rules->pool > 0 ? (int64_t)rules->pool : rules->partitions);
    bench_setting(run, "queue_records", BY_HAND_QUEUE);
    bench_setting(run, "commit_interval_ms", BY_HAND_COMMIT_MS);
}
