/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters in a topic of Kafka, by a producer of their own. Handlers' threads hand them over;
 * librdkafka's background thread hears what the broker said of each, and finishes its record.
 *
 * Edge K1: is_stopped, sequentially consistent: who stops sets it and gives up what was produced;
 * who produces looks afterwards, and gives up what came too late. */
#include "source/letters.h"

#include "base/clock.h"
#include "base/errstr.h"
#include "source/kafka/config.h"
#include "source/kafka/reason.h"
#include "source/kafka/rebootstrap.h"

#include <klane/kafka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long it is waited for to hear that what was on its way was given up. */
#define STOP_MS 1000

/* Where no letter comes through, the producer gets bootstrap.servers again, no more often. */
#define REBOOTSTRAP_MS 60000

struct kafka_letters {
    struct klane_letters base;
    struct klane_runtime *runtime;
    rd_kafka_t *rk;
    struct kafka_reason reason; /* and librdkafka's threads */
    _Atomic bool is_stopped;
    int64_t rebootstrap_ms; /* not before; the background thread's */
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

static void give_up_all(struct kafka_letters *letters)
{
    rd_kafka_purge(letters->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                    RD_KAFKA_PURGE_F_NON_BLOCKING);
}

static enum klane_outcome letters_send(struct klane_letters *base,
                                       const struct klane_record *record,
                                       const struct klane_header_in *headers, size_t count)
{
    struct kafka_letters *letters = (struct kafka_letters *)(void *)base;
    struct pending *pending = malloc(sizeof *pending);
    klane_token_t token = 0;
    rd_kafka_resp_err_t err;

    if (pending == NULL)
        return klane_retry(record, -1, "memory is exhausted");
    klane_later(record, &token);
    if (token == 0) { /* it has one already, which the program did not give */
        free(pending);
        return KLANE_RETRY;
    }
    *pending = (struct pending){.letters = letters, .token = token};
    err = produce(letters, record, headers_of(headers, count), pending);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        free(pending);
        klane_finish(letters->runtime, token, KLANE_RETRY, -1, rd_kafka_err2str(err));
    } else if (atomic_load_explicit(&letters->is_stopped, memory_order_seq_cst)) { /* K1 */
        give_up_all(letters);
    }
    return KLANE_LATER;
}

/* An idempotent producer takes a request that failed for kept as soon as a later one is, and its
 * messages have no offset then; but a leader that knows nothing of the producer accepts any as its
 * first. Without acknowledgements (acks=0) there is no offset either, and no more to know. */
static bool is_kept(const rd_kafka_message_t *message)
{
    return message->err == RD_KAFKA_RESP_ERR_NO_ERROR &&
           (message->offset != RD_KAFKA_OFFSET_INVALID ||
            rd_kafka_message_status(message) != RD_KAFKA_MSG_STATUS_PERSISTED);
}

/* Of a message that no broker has taken, librdkafka itself only says that its time is over. */
static void why_not(struct kafka_letters *letters, rd_kafka_resp_err_t err, char *text,
                    size_t size)
{
    char last[KAFKA_TEXT_SIZE];

    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        snprintf(text, size, "librdkafka takes it for kept, but no broker said where");
    else if (err == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT &&
             kafka_reason_last(&letters->reason, rd_kafka_version(), last, sizeof last))
        snprintf(text, size, "%s: %s", rd_kafka_err2str(err), last);
    else
        snprintf(text, size, "%s", rd_kafka_err2str(err));
}

/* It may be without brokers for good: see source/kafka/rebootstrap.h. */
static void begin_again(struct kafka_letters *letters)
{
    int64_t now_ms = clock_now_ms();

    if (now_ms < letters->rebootstrap_ms)
        return;
    letters->rebootstrap_ms = now_ms + REBOOTSTRAP_MS;
    kafka_rebootstrap(letters->rk);
}

/* On librdkafka's background thread. */
static void reported(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct pending *pending = message->_private;
    struct kafka_letters *letters = pending->letters;
    bool was_kept = is_kept(message);
    char why[2 * KAFKA_TEXT_SIZE];

    (void)rk, (void)opaque;
    if (was_kept)
        kafka_reason_over(&letters->reason);
    else
        why_not(letters, message->err, why, sizeof why);
    if (message->err == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT)
        begin_again(letters);
    klane_finish(letters->runtime, pending->token, was_kept ? KLANE_DONE : KLANE_RETRY, -1,
                 was_kept ? NULL : why);
    free(pending);
}

/* The same; only where the program has no error_cb of its own. */
static void error_cb(rd_kafka_t *rk, int err, const char *said, void *opaque)
{
    (void)opaque;
    /* That all are down is said behind why. */
    if (err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        kafka_reason_said(rk, said);
}

static void letters_stop(struct klane_letters *base)
{
    struct kafka_letters *letters = (struct kafka_letters *)(void *)base;

    /* K1 */
    atomic_store_explicit(&letters->is_stopped, true, memory_order_seq_cst);
    give_up_all(letters);
    rd_kafka_flush(letters->rk, STOP_MS);
}

static void letters_destroy(struct klane_letters *base)
{
    struct kafka_letters *letters = (struct kafka_letters *)(void *)base;

    rd_kafka_destroy(letters->rk);
    kafka_reason_deinit(&letters->reason);
    free(letters);
}

static const struct klane_letters_ops kafka_letters_ops = {
    .send = letters_send, .stop = letters_stop, .destroy = letters_destroy};

/* All callbacks, delivery reports too, come on the background thread. */
static klane_err_t producer_new(struct kafka_letters *letters, const rd_kafka_conf_t *conf,
                                char *errstr, size_t errstr_size)
{
    rd_kafka_conf_t *copy = rd_kafka_conf_dup(conf);
    rd_kafka_queue_t *from, *to;

    rd_kafka_conf_set_dr_msg_cb(copy, reported);
    if (!kafka_config_has_callback(copy, "error_cb"))
        rd_kafka_conf_set_error_cb(copy, error_cb);
    kafka_reason_ask(&letters->reason, copy);
    letters->rk = rd_kafka_new(RD_KAFKA_PRODUCER, copy, errstr, errstr_size);
    if (letters->rk == NULL) {
        bool lacks_threads = rd_kafka_last_error() == RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;

        rd_kafka_conf_destroy(copy);
        return lacks_threads ? KLANE_ERR_SYSTEM : KLANE_ERR_INVALID;
    }
    kafka_reason_watch(&letters->reason, letters->rk);
    from = rd_kafka_queue_get_main(letters->rk);
    to = rd_kafka_queue_get_background(letters->rk);
    rd_kafka_queue_forward(from, to);
    rd_kafka_queue_destroy(from);
    rd_kafka_queue_destroy(to);
    return KLANE_OK;
}

static klane_err_t check(const struct klane_runtime *runtime, const rd_kafka_conf_t *conf,
                         const struct klane_kafka_options *given, const char *topic, char *errstr,
                         size_t errstr_size)
{
    struct klane_kafka_options options;
    klane_err_t err;

    if (runtime == NULL || conf == NULL || topic == NULL)
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size, "%s is NULL",
                          runtime == NULL ? "runtime"
                          : conf == NULL  ? "conf"
                                          : "topic");
    if (rd_kafka_version() < KAFKA_VERSION_LEAST)
        return errstr_set(KLANE_ERR_VERSION, errstr, errstr_size, KAFKA_VERSION_WRONG,
                          rd_kafka_version_str());
    if (!kafka_can_be_topic(topic))
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size, KAFKA_TOPIC_WRONG, topic);
    err = kafka_options_take(&options, given, errstr, errstr_size);
    return err == KLANE_OK
               ? kafka_config_check_producer(conf, options.allow_unsafe, errstr, errstr_size)
               : err;
}

klane_err_t klane_kafka_letters(struct klane_runtime *runtime, rd_kafka_conf_t *conf,
                                const struct klane_kafka_options *options, const char *topic,
                                struct klane_letters **letters, char *errstr, size_t errstr_size)
{
    struct kafka_letters *made;
    klane_err_t err;

    if (errstr == NULL)
        errstr_size = 0; /* librdkafka does not look */
    errstr_clear(errstr, errstr_size);
    if (letters == NULL)
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size, "letters is NULL");
    *letters = NULL;
    err = check(runtime, conf, options, topic, errstr, errstr_size);
    if (err != KLANE_OK)
        return err;
    made = calloc(1, sizeof *made + strlen(topic) + 1);
    if (made == NULL)
        return errstr_set(KLANE_ERR_NOMEM, errstr, errstr_size, "memory is exhausted");
    made->base.ops = &kafka_letters_ops;
    made->runtime = runtime;
    atomic_init(&made->is_stopped, false);
    strcpy(made->topic, topic);
    err = producer_new(made, conf, errstr, errstr_size);
    if (err != KLANE_OK) {
        free(made);
        return err;
    }
    rd_kafka_conf_destroy(conf);
    *letters = &made->base;
    return KLANE_OK;
}
