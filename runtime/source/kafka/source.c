/* SPDX-License-Identifier: Apache-2.0 */
/* The source's operations, and the round of a poll.
 *
 * Upholds: nothing here waits for a broker, but destroy(), which may; the consumer queue is
 * served in time, whatever the handlers do, so the group never takes this process for dead. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/errstr.h"
#include "source/kafka/commit.h"
#include "source/kafka/config.h"
#include "source/kafka/ending.h"
#include "source/kafka/error.h"
#include "source/kafka/fetch.h"
#include "source/kafka/forming.h"
#include "source/kafka/group.h"
#include "source/kafka/lookup.h"
#include "source/kafka/nap.h"
#include "source/kafka/partitions.h"
#include "source/kafka/position.h"
#include "source/kafka/queue.h"
#include "source/kafka/rebootstrap.h"
#include "source/kafka/sweep.h"
#include "source/kafka/turns.h"
#include "source/kafka/uncounted.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- errors ------------------------------------------------------------------------------ */

/* From some version on librdkafka says so with each new attempt to connect. */
static bool is_to_tell_down(struct kafka_source *source)
{
    int64_t now_ms = clock_now_ms();

    if (source->down_ms != 0 && now_ms < source->down_ms + KAFKA_DOWN_MS)
        return false;
    source->down_ms = now_ms;
    return true;
}

/* Only where the program has no error_cb of its own: connections, authentication. */
static void error_cb(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    struct kafka_source *source = kafka_polling;
    char text[KAFKA_TEXT_SIZE];

    (void)opaque;
    if (source == NULL || source->intake == NULL ||
        (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && !is_to_tell_down(source)))
        return;
    if (err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        kafka_reason_said(rk, reason);
        kafka_reason_text(&source->reason, source->version, reason, text, sizeof text);
    } else if (source->topic_count == 0) {
        kafka_reason_silence(&source->reason, reason, text, sizeof text);
    } else {
        snprintf(text, sizeof text, "%s", reason);
    }
    kafka_tell(source, (rd_kafka_resp_err_t)err, NULL, text);
}

static void fail_for_good(struct kafka_source *source)
{
    char why[KAFKA_TEXT_SIZE] = "";
    rd_kafka_resp_err_t err = rd_kafka_fatal_error(source->rk, why, sizeof why);

    if (err == RD_KAFKA_RESP_ERR_NO_ERROR || source->phase != KAFKA_RUNS)
        return;
    /* The member is out: no commit of it can succeed. */
    kafka_group_lose_all(source);
    kafka_fail(source, kafka_err(err), "%s", why[0] != '\0' ? why : rd_kafka_err2str(err));
}

/* An error of the consumer, which comes as a message. */
static void take_consumer_error(struct kafka_source *source, const rd_kafka_message_t *message)
{
    const char *topic = message->rkt == NULL ? NULL : rd_kafka_topic_name(message->rkt);

    if (source->phase != KAFKA_RUNS)
        return;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        /* A record that went another way than forwarding says: it cannot be given back. */
        kafka_fail(source, KLANE_ERR_IO, "%s [%" PRId32 "]: record %" PRId64 " went astray",
                   topic, message->partition, message->offset);
    else if (message->err == RD_KAFKA_RESP_ERR__FATAL)
        fail_for_good(source);
    else
        source->intake->ops->error(source->intake, kafka_err(message->err), topic,
                                   message->partition, rd_kafka_message_errstr(message));
}

/* ---- serving ----------------------------------------------------------------------------- */

static void serve_consumer(struct kafka_source *source)
{
    int64_t now_ms = clock_now_ms();
    rd_kafka_message_t *message;

    if (!kafka_queue_has_rung(&source->consumer) &&
        now_ms < source->polled_ms + source->max_poll_ms / 3)
        return;
    source->polled_ms = now_ms;
    kafka_polling = source;
    while ((message = rd_kafka_consumer_poll(source->rk, 0)) != NULL) {
        take_consumer_error(source, message);
        rd_kafka_message_destroy(message);
    }
    kafka_polling = NULL;
}

static void take_event(struct kafka_source *source, rd_kafka_event_t *event)
{
    switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_OFFSET_COMMIT:
        kafka_commit_came(source, event);
        break;
    case RD_KAFKA_EVENT_REBALANCE:
        /* While closing. */
        kafka_group_rebalance(source, rd_kafka_event_error(event),
                              rd_kafka_event_topic_partition_list(event));
        break;
    default:
        break;
    }
}

static void serve_replies(struct kafka_source *source)
{
    rd_kafka_event_t *event;

    if (!kafka_queue_has_rung(&source->replies))
        return;
    /* The end of closing is no event, but ends the queue's turn all the same. */
    while (rd_kafka_queue_length(source->replies.queue) > 0)
        if ((event = rd_kafka_queue_poll(source->replies.queue, 0)) != NULL) {
            take_event(source, event);
            rd_kafka_event_destroy(event);
        }
}

static void serve_helper(struct kafka_source *source)
{
    struct helper_request *next;

    for (struct helper_request *request = helper_receive(source->helper); request != NULL;
         request = next) {
        struct kafka_request *came = (struct kafka_request *)(void *)request;

        next = request->next;
        if (came == &source->committed)
            kafka_position_committed_came(source);
        else if (came == &source->look_up)
            kafka_position_looked_up(source);
        else if (came == &source->range)
            kafka_position_range_came(source);
        else if (came == &source->sweep.make)
            kafka_sweep_made(source);
        else
            kafka_nap_ended(came->nap);
    }
}

static void begin_parting(struct kafka_source *source)
{
    rd_kafka_error_t *error;

    source->phase = KAFKA_PARTING;
    kafka_group_abandon(source);
    error = rd_kafka_consumer_close_queue(source->rk, source->replies.queue);
    /* After a fatal error there is nothing left to close. */
    if (error != NULL)
        source->phase = KAFKA_ENDED;
    rd_kafka_error_destroy(error);
}

static void work_on_parting(struct kafka_source *source)
{
    kafka_group_abandon(source);
    if (rd_kafka_consumer_closed(source->rk))
        source->phase = KAFKA_ENDED;
}

static void tell_version(struct kafka_source *source)
{
    const char *warning = source->warning;

    source->warning = NULL;
    if (warning != NULL)
        source->intake->ops->error(source->intake, KLANE_ERR_VERSION, NULL, -1, warning);
}

static void source_work(struct kafka_source *source, int64_t now_ms)
{
    tell_version(source);
    kafka_rebootstrap_work(source, &source->rebootstrap, now_ms);
    kafka_sweep_work(source, now_ms);
    kafka_group_work(source);
    kafka_group_offer(source);
    kafka_fetch_work(source);
    /* Behind what may have said that a position is wrong. */
    kafka_position_work(source);
    kafka_turns_work(source);
    kafka_uncounted_work(source);
    kafka_fetch_wake(source);
}

static void source_round(struct kafka_source *source)
{
    serve_helper(source);
    serve_replies(source);
    if (source->phase < KAFKA_PARTING)
        serve_consumer(source);
    if (source->phase == KAFKA_RUNS) {
        int64_t now_ms = clock_now_ms();

        if (now_ms >= source->again_ms)
            source->again_ms = KAFKA_NEVER_MS;
        if (now_ms >= source->nowhere_ms)
            source->nowhere_ms = KAFKA_NEVER_MS;
        source_work(source, now_ms);
    } else if (source->phase == KAFKA_CLOSING) {
        begin_parting(source);
    } else if (source->phase == KAFKA_PARTING) {
        work_on_parting(source);
    }
    source->commit.due_ms = kafka_forming_work(&source->forming);
    kafka_commit_answer_due(source);
}

static size_t source_poll(struct klane_source *base, size_t records_max)
{
    struct kafka_source *source = kafka_of(base);

    source->taken = 0;
    source->records_max = records_max;
    source->is_refused = false;
    if (source->phase == KAFKA_ENDED)
        return 0;
    do {
        doorbell_disarm(&source->doorbell);
        source_round(source);
        if (source->phase == KAFKA_ENDED) {
            source->intake->ops->closed(source->intake);
            return source->taken;
        }
        /* Control polls again at once: who rings until then need not write. */
    } while (source->taken == 0 && !doorbell_arm(&source->doorbell));
    return source->taken;
}

/* ---- the other operations ---------------------------------------------------------------- */

static int64_t min_ms(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t source_due_ms(const struct klane_source *base)
{
    const struct kafka_source *source = (const struct kafka_source *)(const void *)base;
    int64_t due_ms = min_ms(source->polled_ms + source->max_poll_ms / 3, source->commit.due_ms);

    if (source->phase >= KAFKA_PARTING)
        return KAFKA_NEVER_MS;
    if (source->phase != KAFKA_RUNS)
        return due_ms;
    due_ms = min_ms(due_ms, kafka_nap_due_ms(&source->sweep.nap));
    due_ms = min_ms(due_ms, kafka_turns_due_ms(source));
    due_ms = min_ms(due_ms, kafka_uncounted_due_ms(source));
    due_ms = min_ms(due_ms, min_ms(source->again_ms, source->nowhere_ms));
    due_ms = min_ms(due_ms, kafka_rebootstrap_due_ms(&source->rebootstrap));
    due_ms = min_ms(due_ms, kafka_sweep_due_ms(source));
    return min_ms(due_ms, kafka_nap_due_ms(&source->nap));
}

static int source_descriptor(const struct klane_source *base)
{
    return ((const struct kafka_source *)(const void *)base)->doorbell.descriptor;
}

static void source_hold(struct klane_source *base, void *own, bool held)
{
    kafka_fetch_hold(kafka_of(base), own, held);
}

static void source_commit(struct klane_source *base, const struct source_commit *commits,
                          size_t count)
{
    kafka_commit_take(kafka_of(base), commits, count);
}

static void source_given_up(struct klane_source *base, void *own)
{
    kafka_group_given_up(kafka_of(base), own);
}

static void source_close(struct klane_source *base)
{
    struct kafka_source *source = kafka_of(base);

    source->phase = KAFKA_CLOSING;
    doorbell_ring(&source->doorbell);
}

static klane_err_t source_start(struct klane_source *base, struct klane_intake *intake,
                                const struct source_topic *topics, size_t count, char *errstr,
                                size_t errstr_size)
{
    struct kafka_source *source = kafka_of(base);
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t err;
    klane_err_t failed;

    if (intake->give_up_ms >= source->max_poll_ms)
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size,
                          "four times drain_ms is %" PRIu32
                          ", must be below max.poll.interval.ms, %" PRId64,
                          intake->give_up_ms, source->max_poll_ms);
    for (size_t i = 0; i < count; i++)
        if (topics[i].name[0] != '^' && !kafka_can_be_topic(topics[i].name))
            return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size, KAFKA_TOPIC_WRONG,
                              topics[i].name);
    source->intake = intake;
    kafka_rebootstrap_stir(&source->rebootstrap, clock_now_ms());
    failed = helper_create(&kafka_lookup_ops, source, UINT32_MAX, &source->helper);
    if (failed != KLANE_OK)
        return errstr_set(failed, errstr, errstr_size, "the helper thread could not be made");
    list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, topics[i].name, RD_KAFKA_PARTITION_UA);
    err = rd_kafka_subscribe(source->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size, "the topics: %s",
                          rd_kafka_err2str(err));
    return KLANE_OK;
}

/* Whatever was made, but the handle of librdkafka. */
static void source_free(void *context)
{
    struct kafka_source *source = context;
    struct kafka_rebalance *rebalance;

    while ((rebalance = STAILQ_FIRST(&source->rebalances)) != NULL) {
        STAILQ_REMOVE_HEAD(&source->rebalances, link);
        rd_kafka_topic_partition_list_destroy(rebalance->partitions);
        free(rebalance);
    }
    kafka_partitions_free(source);
    kafka_commit_deinit(source);
    if (source->committed.partitions != NULL)
        rd_kafka_topic_partition_list_destroy(source->committed.partitions);
    if (source->committed.ends != NULL)
        rd_kafka_topic_partition_list_destroy(source->committed.ends);
    if (source->look_up.partitions != NULL)
        rd_kafka_topic_partition_list_destroy(source->look_up.partitions);
    if (source->range.partitions != NULL)
        rd_kafka_topic_partition_list_destroy(source->range.partitions);
    kafka_nap_deinit(&source->nap);
    kafka_sweep_deinit(source);
    free(source->headers);
    free(source->block);
    kafka_forming_deinit(&source->forming);
    kafka_reason_deinit(&source->reason);
    doorbell_deinit(&source->doorbell);
    free(source);
}

/* Before 2.3 librdkafka ends the process with the handle of a member that has joined by this
 * assignor and has not heard what it was assigned. */
static bool has_safe_end(struct kafka_source *source)
{
    return source->version >= KAFKA_VERSION_STICKY || source->was_assigned ||
           !kafka_forming_has_joined(&source->forming) ||
           !kafka_config_names(rd_kafka_conf(source->rk), "partition.assignment.strategy",
                               "cooperative-sticky");
}

static void source_destroy(struct klane_source *base)
{
    struct kafka_source *source = kafka_of(base);

    if (source->helper != NULL)
        helper_destroy(source->helper);
    kafka_sweep_close(source);
    kafka_partitions_forget_queues(source);
    kafka_forming_take_back(&source->forming);
    kafka_queue_deinit(&source->consumer);
    kafka_queue_deinit(&source->data);
    kafka_queue_deinit(&source->replies);
    /* Until its end the handle's threads tell which requests they have sent and answered. One that
     * may not end is left to itself with all that. */
    if (has_safe_end(source))
        kafka_end(source->rk, source_free, source);
}

static void source_needs(const struct klane_source *base, struct source_needs *needs)
{
    const struct kafka_source *source = (const struct kafka_source *)(const void *)base;
    const struct kafka_nap *nap = &source->nap;
    const struct klane_kafka_options *sweep = &source->sweep.limits;
    int64_t record_bytes =
        kafka_config_number(rd_kafka_conf(source->rk), "message.max.bytes", 1000000);

    needs->record_bytes = (uint64_t)record_bytes;
    /* A hold may set aside what is in the queue, which fills again behind that. The last message
     * of a response keeps all of it in memory while the next one comes. */
    needs->buffer_bytes =
        nap->queue_bytes +
        kafka_config_buffer(nap->queue_records, nap->queue_bytes, record_bytes, 2) +
        kafka_config_buffer(sweep->queue_records, sweep->queue_bytes, record_bytes, 1);
}

static const struct klane_source_ops kafka_source_ops = {
    .name = "kafka",
    .has_patterns = true,
    .burst = 512, /* taking a queue and giving the rest back is two locks */
    .needs = source_needs,
    .start = source_start,
    .poll = source_poll,
    .descriptor = source_descriptor,
    .due_ms = source_due_ms,
    .hold = source_hold,
    .sweep = kafka_sweep_begin,
    .poll_sweeps = kafka_sweep_poll,
    .commit = source_commit,
    .given_up = source_given_up,
    .close = source_close,
    .destroy = source_destroy,
};

/* ---- making one -------------------------------------------------------------------------- */

/* Everything that can fail but the handle itself. NULL: it failed. */
static struct kafka_source *source_new(const rd_kafka_conf_t *conf, int version)
{
    struct kafka_source *source = calloc(1, sizeof *source);

    if (source == NULL)
        return NULL;
    source->base.ops = &kafka_source_ops;
    source->version = version;
    source->warning = kafka_version_warning(version);
    source->max_poll_ms = kafka_config_number(conf, "max.poll.interval.ms", 300000);
    source->again_ms = source->nowhere_ms = KAFKA_NEVER_MS;
    source->commit.due_ms = KAFKA_NEVER_MS;
    kafka_uncounted_init(&source->uncounted);
    source->polled_ms = clock_now_ms();
    source->committed.type = KAFKA_COMMITTED;
    source->look_up.type = KAFKA_LOOK_UP;
    source->range.type = KAFKA_RANGE;
    TAILQ_INIT(&source->owned);
    TAILQ_INIT(&source->stashing);
    STAILQ_INIT(&source->rebalances);
    if (doorbell_init(&source->doorbell) != KLANE_OK) {
        free(source);
        return NULL;
    }
    kafka_forming_init(&source->forming,
                       kafka_config_number(conf, "heartbeat.interval.ms", 3000));
    return source;
}

/* On any of librdkafka's threads. */
static rd_kafka_resp_err_t request_sent(rd_kafka_t *rk, int descriptor, const char *broker,
                                        int32_t broker_id, int16_t request, int16_t version,
                                        int32_t correlation, size_t size, void *opaque)
{
    (void)rk, (void)descriptor, (void)broker, (void)broker_id, (void)version, (void)correlation;
    (void)size;
    kafka_forming_sent(opaque, request);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t response_came(rd_kafka_t *rk, int descriptor, const char *broker,
                                         int32_t broker_id, int16_t request, int16_t version,
                                         int32_t correlation, size_t size, int64_t round_us,
                                         rd_kafka_resp_err_t err, void *opaque)
{
    (void)rk, (void)descriptor, (void)broker, (void)broker_id, (void)version, (void)correlation;
    (void)size, (void)round_us;
    kafka_forming_came(opaque, request, err);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Within rd_kafka_new(). */
static rd_kafka_resp_err_t handle_is_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf,
                                         void *opaque, char *errstr, size_t errstr_size)
{
    struct kafka_source *source = opaque;
    rd_kafka_resp_err_t err;

    (void)errstr, (void)errstr_size;
    kafka_reason_watch(&source->reason, rk);
    err = kafka_rebootstrap_watch(&source->rebootstrap, rk, conf);
    if (source->version < KAFKA_VERSION_REJOIN)
        err =
            rd_kafka_interceptor_add_on_request_sent(rk, "klane", request_sent, &source->forming);
    if (source->version < KAFKA_VERSION_REJOIN && err == RD_KAFKA_RESP_ERR_NO_ERROR)
        err = rd_kafka_interceptor_add_on_response_received(rk, "klane", response_came,
                                                            &source->forming);
    return err;
}

/* Whether a handle can be made of such a configuration, which stays as it is. Tried on a copy:
 * where it fails librdkafka leaves a configuration with interceptors behind that is broken. */
static klane_err_t try_handle(const rd_kafka_conf_t *conf,
                              const struct klane_kafka_options *options, int version,
                              char *errstr, size_t errstr_size)
{
    rd_kafka_conf_t *copy = rd_kafka_conf_dup(conf);
    klane_err_t err = kafka_config_set(copy, options, version, errstr, errstr_size);
    rd_kafka_t *rk =
        err == KLANE_OK ? rd_kafka_new(RD_KAFKA_CONSUMER, copy, errstr, errstr_size) : NULL;

    if (rk == NULL) {
        bool lacks_threads =
            err == KLANE_OK && rd_kafka_last_error() == RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;

        rd_kafka_conf_destroy(copy);
        return lacks_threads ? KLANE_ERR_SYSTEM : KLANE_ERR_INVALID;
    }
    rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return KLANE_OK;
}

/* Makes the handle; conf is gone on return. Errors: SYSTEM. */
static klane_err_t handle_new(struct kafka_source *source, rd_kafka_conf_t *conf,
                              const struct klane_kafka_options *options, char *errstr,
                              size_t errstr_size)
{
    kafka_config_set(conf, options, source->version, NULL, 0);
    rd_kafka_conf_set_rebalance_cb(conf, kafka_group_rebalance_cb);
    if (!kafka_config_has_callback(conf, "error_cb"))
        rd_kafka_conf_set_error_cb(conf, error_cb);
    kafka_reason_ask(&source->reason, conf);
    rd_kafka_conf_interceptor_add_on_new(conf, "klane", handle_is_new, source);
    source->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, errstr, errstr_size);
    if (source->rk == NULL)
        return KLANE_ERR_SYSTEM;
    rd_kafka_poll_set_consumer(source->rk);
    kafka_queue_init(source, &source->consumer, rd_kafka_queue_get_consumer(source->rk));
    kafka_queue_init(source, &source->data, rd_kafka_queue_new(source->rk));
    kafka_queue_init(source, &source->replies, rd_kafka_queue_new(source->rk));
    kafka_nap_init(&source->nap, source->rk, source->data.queue, options);
    source->forming.rk = source->rk;
    source->forming.answers = source->replies.queue;
    return KLANE_OK;
}

klane_err_t klane_kafka_create(rd_kafka_conf_t *conf, const struct klane_kafka_options *given,
                               struct klane_source **source, char *errstr, size_t errstr_size)
{
    struct klane_kafka_options options;
    struct kafka_source *made;
    int version = rd_kafka_version();
    klane_err_t err;

    if (errstr == NULL)
        errstr_size = 0; /* librdkafka does not look */
    errstr_clear(errstr, errstr_size);
    if (conf == NULL || source == NULL)
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size, "%s is NULL",
                          source == NULL ? "source" : "conf");
    *source = NULL;
    if (version < KAFKA_VERSION_LEAST)
        return errstr_set(KLANE_ERR_VERSION, errstr, errstr_size, KAFKA_VERSION_WRONG,
                          rd_kafka_version_str());
    err = kafka_options_take(&options, given, errstr, errstr_size);
    if (err == KLANE_OK)
        err = kafka_config_check(conf, &options, version, errstr, errstr_size);
    if (err != KLANE_OK)
        return err;
    made = source_new(conf, version);
    if (made == NULL)
        return errstr_set(KLANE_ERR_NOMEM, errstr, errstr_size,
                          "memory or descriptors are exhausted");
    kafka_sweep_init(made, conf, &options);
    err = try_handle(conf, &options, version, errstr, errstr_size);
    if (err == KLANE_OK)
        err = handle_new(made, conf, &options, errstr, errstr_size);
    else if (err == KLANE_ERR_SYSTEM)
        rd_kafka_conf_destroy(conf); /* as after handle_new() */
    if (err != KLANE_OK) {
        source_free(made);
        return err;
    }
    *source = &made->base;
    return KLANE_OK;
}
