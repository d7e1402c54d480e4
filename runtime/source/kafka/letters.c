/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters in a topic of Kafka, by a producer of their own. Handlers' threads hand them over;
 * librdkafka's background thread hears what the broker said of each, and finishes its record. */
#include "source/letters.h"

#include "base/errstr.h"
#include "source/kafka/config.h"

#include <klane/kafka.h>

#include <stdlib.h>
#include <string.h>

/* How long what is on its way is waited for at the end, to hear that it was given up. */
#define PURGE_MS 1000

struct kafka_letters {
    struct klane_letters base;
    struct klane_runtime *runtime;
    rd_kafka_t *rk;
    char topic[];
};

/* One on its way: from letters_send() to its delivery report. */
struct pending {
    struct kafka_letters *letters;
    klane_token_t token;
};

static rd_kafka_headers_t *headers_of(const struct klane_header_in *headers, size_t count)
{
    rd_kafka_headers_t *made = rd_kafka_headers_new(count);

    for (size_t i = 0; i < count; i++)
        rd_kafka_header_add(made, headers[i].name, -1, headers[i].value,
                            (ssize_t)headers[i].size);
    return made;
}

/* What librdkafka has taken is its own, also the headers. */
static rd_kafka_resp_err_t produce(struct kafka_letters *letters,
                                   const struct klane_record *record, rd_kafka_headers_t *headers,
                                   struct pending *pending)
{
    rd_kafka_vu_t values[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = letters->topic},
        {.vtype = RD_KAFKA_VTYPE_KEY,
         .u.mem = {.ptr = (void *)(uintptr_t)record->key, .size = record->key_size}},
        {.vtype = RD_KAFKA_VTYPE_VALUE,
         .u.mem = {.ptr = (void *)(uintptr_t)record->value, .size = record->value_size}},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = pending},
    };
    rd_kafka_error_t *error =
        rd_kafka_produceva(letters->rk, values, sizeof values / sizeof values[0]);
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;

    if (error != NULL) {
        err = rd_kafka_error_code(error);
        rd_kafka_error_destroy(error);
        rd_kafka_headers_destroy(headers);
    }
    return err;
}

static enum klane_outcome letters_send(struct klane_letters *base,
                                       const struct klane_record *record,
                                       const struct klane_header_in *headers, size_t count)
{
    struct kafka_letters *letters = (struct kafka_letters *)(void *)base;
    struct pending *pending = malloc(sizeof *pending);
    rd_kafka_resp_err_t err;

    if (pending == NULL)
        return klane_retry(record, -1, "memory is exhausted");
    pending->letters = letters;
    klane_later(record, &pending->token);
    err = produce(letters, record, headers_of(headers, count), pending);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        return KLANE_LATER;
    /* The producer's queue is full, as a rule. Another outcome takes the token back. */
    free(pending);
    return KLANE_RETRY;
}

/* On librdkafka's background thread. */
static void reported(rd_kafka_t *rk, rd_kafka_event_t *event, void *opaque)
{
    const rd_kafka_message_t *message;

    (void)rk, (void)opaque;
    while (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR &&
           (message = rd_kafka_event_message_next(event)) != NULL) {
        struct pending *pending = message->_private;
        bool is_kept = message->err == RD_KAFKA_RESP_ERR_NO_ERROR;

        klane_finish(pending->letters->runtime, pending->token,
                     is_kept ? KLANE_DONE : KLANE_RETRY, -1,
                     is_kept ? NULL : rd_kafka_err2str(message->err));
        free(pending);
    }
    rd_kafka_event_destroy(event);
}

static void letters_destroy(struct klane_letters *base)
{
    struct kafka_letters *letters = (struct kafka_letters *)(void *)base;

    rd_kafka_purge(letters->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(letters->rk, PURGE_MS);
    rd_kafka_destroy(letters->rk);
    free(letters);
}

static const struct klane_letters_ops kafka_letters_ops = {.send = letters_send,
                                                           .destroy = letters_destroy};

/* Delivery reports go to the background thread, whatever the program has. */
static klane_err_t producer_new(struct kafka_letters *letters, const rd_kafka_conf_t *conf,
                                char *errstr, size_t errstr_size)
{
    rd_kafka_conf_t *copy = rd_kafka_conf_dup(conf);
    rd_kafka_queue_t *from, *to;

    rd_kafka_conf_set_events(copy, RD_KAFKA_EVENT_DR);
    rd_kafka_conf_set_background_event_cb(copy, reported);
    letters->rk = rd_kafka_new(RD_KAFKA_PRODUCER, copy, errstr, errstr_size);
    if (letters->rk == NULL) {
        rd_kafka_conf_destroy(copy);
        return KLANE_ERR_INVALID;
    }
    from = rd_kafka_queue_get_main(letters->rk);
    to = rd_kafka_queue_get_background(letters->rk);
    rd_kafka_queue_forward(from, to);
    rd_kafka_queue_destroy(from);
    rd_kafka_queue_destroy(to);
    return KLANE_OK;
}

static klane_err_t check(const struct klane_runtime *runtime, const rd_kafka_conf_t *conf,
                         const char *topic, char *errstr, size_t errstr_size)
{
    if (runtime == NULL || conf == NULL || topic == NULL)
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size, "%s is NULL",
                          runtime == NULL ? "runtime"
                          : conf == NULL  ? "conf"
                                          : "topic");
    if (!kafka_can_be_topic(topic))
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size, KAFKA_TOPIC_WRONG, topic);
    if (kafka_config_has_callback(conf, "dr_msg_cb") || kafka_config_has_callback(conf, "dr_cb"))
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size,
                          "dr_msg_cb, dr_cb: klane hears itself what became of dead letters");
    return KLANE_OK;
}

klane_err_t klane_kafka_letters(struct klane_runtime *runtime, rd_kafka_conf_t *conf,
                                const char *topic, struct klane_letters **letters, char *errstr,
                                size_t errstr_size)
{
    struct kafka_letters *made;
    klane_err_t err;

    if (errstr == NULL)
        errstr_size = 0; /* librdkafka does not look */
    errstr_clear(errstr, errstr_size);
    if (letters == NULL)
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size, "letters is NULL");
    *letters = NULL;
    err = check(runtime, conf, topic, errstr, errstr_size);
    if (err != KLANE_OK)
        return err;
    made = calloc(1, sizeof *made + strlen(topic) + 1);
    if (made == NULL)
        return errstr_set(KLANE_ERR_NOMEM, errstr, errstr_size, "memory is exhausted");
    err = producer_new(made, conf, errstr, errstr_size);
    if (err != KLANE_OK) {
        free(made);
        return err;
    }
    rd_kafka_conf_destroy(conf);
    made->base.ops = &kafka_letters_ops;
    made->runtime = runtime;
    strcpy(made->topic, topic);
    *letters = &made->base;
    return KLANE_OK;
}
