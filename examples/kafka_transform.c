/* SPDX-License-Identifier: Apache-2.0 */
/**
 * From one Kafka topic to another: each value in capital letters, under the same key.
 *
 *     kafka_transform HOST:PORT GROUP FROM TO
 *
 * The handler hands its output to librdkafka's producer and answers later; the producer's delivery
 * report finishes the record. So no worker waits for the network, and what is guaranteed is:
 *
 *   At least once: an offset is committed only when the outputs of everything below it have been
 *   acknowledged, by all replicas that are in sync.
 *
 *   Order: the next record of a key starts only when the output of the one before has been
 *   acknowledged, however many attempts that took.
 *
 * What is not:
 *
 *   Exactly once: after a crash, a rebalance, or a delivery that failed or is not sure, an output
 *   may be there twice. If its reader has to know, give it an identity, such as partition and
 *   offset of its input.
 *
 *   Order while a partition moves to another process, if an output is under way for longer than
 *   drain_ms: it may arrive behind the new owner's, and 1 2 is read as 1 2 1.
 *
 *   Headers: they are left out.
 *
 * Exit status: 0 stopped, all is committed that could be; 1 an error; 2 wrong arguments; 3 some
 * outputs were not acknowledged in time, their records will be run again.
 */
#include <klane/kafka.h>

#include <assert.h>
#include <ctype.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/** A delivery that takes longer has failed; the record is retried. Handlers and tokens have three
 * quarters of STOP_MS, so with this much less each token is back before a stop is over. */
#define DELIVERY_MS "5000"
#define STOP_MS 10000

/** How soon after a crash another process gets the partitions. */
#define SESSION_MS "6000"

/** For a failed delivery, and when the producer has no room. */
#define RETRY_MS 200

/** A token travels through the producer as a pointer. */
static_assert(sizeof(klane_token_t) <= sizeof(void *), "a token must fit into a pointer");

struct transform {
    struct klane_runtime *runtime;
    rd_kafka_t *producer;
    rd_kafka_topic_t *to;
    pthread_t poller;
    _Atomic bool is_over; /**< The poller has nothing more to wait for. */
    _Atomic bool failed;  /**< The producer is broken for good. */
};

/** For the signal handler; set before the signals are caught. */
static struct klane_runtime *stoppable;

static void on_signal(int signal)
{
    (void)signal;
    klane_stop(stoppable);
}

/* ---- the way out ------------------------------------------------------------------------- */

/** On the poller: the output is in the topic for good, or it is not. */
static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *context)
{
    struct transform *transform = context;
    klane_token_t token = (klane_token_t)(uintptr_t)message->_private;
    const char *why = rd_kafka_err2str(message->err);

    (void)producer;
    /* It takes it for kept because a later one is, but where the leader is new that may be wrong:
     * rather twice than never. */
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR && message->offset == RD_KAFKA_OFFSET_INVALID)
        why = "no broker has said where the output is";
    else if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        why = NULL;
    /* What klane_finish() returns may be left alone: if the partition was given up meanwhile, its
     * new owner runs the record again. */
    if (why == NULL)
        klane_finish(transform->runtime, token, KLANE_DONE, -1, NULL);
    else
        klane_finish(transform->runtime, token, KLANE_RETRY, RETRY_MS, why);
}

/** On the poller. librdkafka repairs what it can; after a fatal error only a new one helps. */
static void on_error(rd_kafka_t *producer, int err, const char *reason, void *context)
{
    struct transform *transform = context;

    (void)producer;
    fprintf(stderr, "producer: %s: %s\n", rd_kafka_err2name(err), reason);
    if (err == RD_KAFKA_RESP_ERR__FATAL) {
        transform->failed = true;
        klane_stop(transform->runtime);
    }
}

static void *poll_producer(void *context)
{
    struct transform *transform = context;

    while (!transform->is_over)
        rd_kafka_poll(transform->producer, 100);
    return NULL;
}

static bool producer_create(struct transform *transform, const char *brokers, const char *to)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[256];

    rd_kafka_conf_set_opaque(conf, transform);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_error_cb(conf, on_error);
    /* Idempotence: what librdkafka sends again by itself is there once, and in its place. It
     * brings acks=all with it. */
    if (rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof why) ==
            RD_KAFKA_CONF_OK &&
        rd_kafka_conf_set(conf, "enable.idempotence", "true", why, sizeof why) ==
            RD_KAFKA_CONF_OK &&
        rd_kafka_conf_set(conf, "message.timeout.ms", DELIVERY_MS, why, sizeof why) ==
            RD_KAFKA_CONF_OK)
        transform->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (transform->producer == NULL) {
        fprintf(stderr, "%s\n", why);
        rd_kafka_conf_destroy(conf);
        return false;
    }
    transform->to = rd_kafka_topic_new(transform->producer, to, NULL);
    return true;
}

/* ---- the handler ------------------------------------------------------------------------- */

/** The work. Returns NULL without memory; a tombstone has no bytes and stays one. */
static char *in_capitals(const struct klane_record *record)
{
    const char *value = record->value;
    char *out = malloc(record->value_size + 1);

    for (size_t i = 0; out != NULL && i < record->value_size; i++)
        out[i] = (char)toupper((unsigned char)value[i]);
    return out;
}

static enum klane_outcome on_record(const struct klane_record *record, void *context)
{
    struct transform *transform = context;
    char *out = in_capitals(record);
    klane_token_t token = 0;
    enum klane_outcome outcome;

    if (out == NULL)
        return klane_retry(record, RETRY_MS, "memory is exhausted");
    /* Before the producer has it: the report may come before this function returns. */
    outcome = klane_later(record, &token);
    if (rd_kafka_produce(transform->to, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
                         record->value != NULL ? out : NULL, record->value_size, record->key,
                         record->key_size, (void *)(uintptr_t)token) != 0)
        /* Mostly RD_KAFKA_RESP_ERR__QUEUE_FULL: there will be room. Another outcome than
         * KLANE_LATER takes the token back; there will be no report. */
        outcome = KLANE_RETRY;
    free(out);
    return outcome;
}

/* ---- the program ------------------------------------------------------------------------- */

static klane_err_t consumer_create(struct transform *transform, char **argv)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    struct klane_source *source = NULL;
    struct klane_options options;
    struct klane_route route;
    klane_err_t err = KLANE_ERR_INVALID;
    char why[256] = "";

    klane_options_init(&options, sizeof options);
    options.stop_ms = STOP_MS;
    klane_route_init(&route, sizeof route);
    route.topic = argv[3];
    route.handler = on_record;
    route.context = transform;
    route.retry_delay_ms = RETRY_MS;

    if (rd_kafka_conf_set(conf, "bootstrap.servers", argv[1], why, sizeof why) ==
            RD_KAFKA_CONF_OK &&
        rd_kafka_conf_set(conf, "group.id", argv[2], why, sizeof why) == RD_KAFKA_CONF_OK &&
        rd_kafka_conf_set(conf, "session.timeout.ms", SESSION_MS, why, sizeof why) ==
            RD_KAFKA_CONF_OK)
        err = klane_kafka_create(conf, NULL, &source, why, sizeof why);
    if (err != KLANE_OK && err != KLANE_ERR_SYSTEM)
        rd_kafka_conf_destroy(conf);
    if (err == KLANE_OK) {
        err = klane_create(&options, source, &transform->runtime, why, sizeof why);
        if (err != KLANE_OK)
            klane_source_destroy(source);
    }
    if (err == KLANE_OK)
        err = klane_route(transform->runtime, &route);
    if (err != KLANE_OK)
        fprintf(stderr, "%s: %s\n", klane_strerror(err), why);
    return err;
}

static void catch_signals(struct klane_runtime *runtime)
{
    struct sigaction action = {.sa_handler = on_signal};

    stoppable = runtime;
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

/** Run until a signal. The poller goes on until klane has all tokens back, or gives up on them. */
static klane_err_t run(struct transform *transform)
{
    klane_err_t err;

    if (pthread_create(&transform->poller, NULL, poll_producer, transform) != 0)
        return KLANE_ERR_SYSTEM;
    catch_signals(transform->runtime);
    err = klane_run(transform->runtime);
    /* From here on a signal has nothing to stop. */
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    transform->is_over = true;
    pthread_join(transform->poller, NULL);
    return err;
}

int main(int argc, char **argv)
{
    struct transform transform = {0};
    klane_err_t err;

    if (argc != 5) {
        fprintf(stderr, "usage: kafka_transform HOST:PORT GROUP FROM TO\n");
        return 2;
    }
    if (!producer_create(&transform, argv[1], argv[4]))
        return 1;
    err = consumer_create(&transform, argv);
    if (err == KLANE_OK)
        err = run(&transform);
    if (err != KLANE_OK)
        fprintf(stderr, "%s\n", klane_strerror(err));
    if (klane_destroy(transform.runtime) != KLANE_OK)
        return 3; /* Tokens are out: what they belong to stays until the process ends. */
    rd_kafka_topic_destroy(transform.to);
    rd_kafka_destroy(transform.producer);
    return err == KLANE_OK && !transform.failed ? 0 : 1;
}
