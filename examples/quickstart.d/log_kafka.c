/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A topic of a Kafka cluster, made for this run and deleted at its end. Each handle of librdkafka
 * is gone before the program forks: a child cannot use one of its parent's.
 */
#include "log.h"

#include "interrupt.h"
#include "screen.h"

#include <klane/kafka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

/** How long the cluster may take for an answer. */
#define PATIENCE_MS 10000
/** How long a record may take to get there. */
#define DELIVERY_MS "30000"
/** How often an interrupt is looked for while something is awaited. */
#define LOOK_MS 100

#define WHY_SIZE 256

struct log_writer {
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic; /**< NULL: not open yet. */
    const struct log *log;
    char trouble[WHY_SIZE]; /**< What a connection last complained of. */
    bool failed;            /**< A record was not taken; it has been told. */
};

/* ---- librdkafka -------------------------------------------------------------------------- */

static bool set(rd_kafka_conf_t *conf, const char *name, const char *value, char *why,
                size_t why_size)
{
    return rd_kafka_conf_set(conf, name, value, why, why_size) == RD_KAFKA_CONF_OK;
}

static rd_kafka_conf_t *conf_new(const struct log *log, char *why, size_t why_size)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    /* What goes wrong is told here, not by lines of librdkafka between those of the screen. */
    rd_kafka_conf_set_log_cb(conf, NULL);
    if (set(conf, "bootstrap.servers", log->at, why, why_size) &&
        set(conf, "client.id", "klane-quickstart", why, why_size))
        return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    struct log_writer *writer = opaque;

    (void)rk;
    /* That all brokers are down says less than what was said of each before. */
    if (err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || writer->trouble[0] == '\0')
        snprintf(writer->trouble, sizeof writer->trouble, "%s", reason);
}

/** Only for records that failed: that is what was asked for. */
static void on_failure(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct log_writer *writer = opaque;

    (void)rk;
    if (!writer->failed && !interrupted)
        fprintf(stderr, "%s: a record was not written: %s\n", writer->log->at,
                rd_kafka_err2str(message->err));
    writer->failed = true;
}

/** A client that can write and ask for topics. NULL after telling why. */
static struct log_writer *client_open(const struct log *log)
{
    struct log_writer *writer = calloc(1, sizeof *writer);
    char why[WHY_SIZE] = "memory is exhausted";
    rd_kafka_conf_t *conf = writer == NULL ? NULL : conf_new(log, why, sizeof why);

    /* Idempotence: what librdkafka sends again is in the log once, and in order; and one request
     * at a time, for of several the first may be refused by a leader that is new, and is then
     * taken for kept as the second is. murmur2: a key's partition depends on the key alone,
     * whatever the key is. */
    if (conf != NULL && set(conf, "enable.idempotence", "true", why, sizeof why) &&
        set(conf, "max.in.flight", "1", why, sizeof why) &&
        set(conf, "partitioner", "murmur2", why, sizeof why) &&
        set(conf, "message.timeout.ms", DELIVERY_MS, why, sizeof why) &&
        set(conf, "delivery.report.only.error", "true", why, sizeof why)) {
        writer->log = log;
        rd_kafka_conf_set_opaque(conf, writer);
        rd_kafka_conf_set_error_cb(conf, on_error);
        rd_kafka_conf_set_dr_msg_cb(conf, on_failure);
        writer->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    }
    if (writer != NULL && writer->rk != NULL)
        return writer;
    fprintf(stderr, "%s: %s\n", log->at, why);
    if (conf != NULL)
        rd_kafka_conf_destroy(conf);
    free(writer);
    return NULL;
}

static void client_close(struct log_writer *writer)
{
    /* Nothing is left of what was flushed; of what was given up, nothing is waited for. */
    rd_kafka_purge(writer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    if (writer->topic != NULL)
        rd_kafka_topic_destroy(writer->topic);
    rd_kafka_destroy(writer->rk);
    free(writer);
}

static bool client_reach(struct log_writer *writer)
{
    uint64_t deadline_ms = clock_ms() + PATIENCE_MS;
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t err;

    do {
        err = rd_kafka_metadata(writer->rk, 0, NULL, &metadata, LOOK_MS);
        rd_kafka_poll(writer->rk, 0);
    } while (err != RD_KAFKA_RESP_ERR_NO_ERROR && clock_ms() < deadline_ms && !interrupted);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_metadata_destroy(metadata);
        return true;
    }
    if (!interrupted)
        fprintf(stderr, "No Kafka broker answers at %s: %s\n", writer->log->at,
                writer->trouble[0] != '\0' ? writer->trouble : rd_kafka_err2str(err));
    return false;
}

/* ---- topics ------------------------------------------------------------------------------ */

static rd_kafka_AdminOptions_t *admin_options(struct log_writer *writer, rd_kafka_admin_op_t what)
{
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(writer->rk, what);
    char why[WHY_SIZE];

    rd_kafka_AdminOptions_set_request_timeout(options, PATIENCE_MS, why, sizeof why);
    /* How long the answer waits for the cluster to have done it. */
    rd_kafka_AdminOptions_set_operation_timeout(options, PATIENCE_MS / 2, why, sizeof why);
    return options;
}

/** Wait for the answer about the one topic; returns whether it is good, else tells why not. */
static bool admin_answer(const struct log *log, rd_kafka_queue_t *answers, const char *what)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(answers, PATIENCE_MS + 1000);
    const rd_kafka_topic_result_t **results = NULL;
    const char *why = "no answer";
    size_t count = 0;
    bool good = false;

    if (event != NULL && rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        why = rd_kafka_event_error_string(event);
    else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_CREATETOPICS_RESULT)
        results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event),
                                                      &count);
    else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DELETETOPICS_RESULT)
        results = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event),
                                                      &count);
    if (count == 1) {
        rd_kafka_resp_err_t err = rd_kafka_topic_result_error(results[0]);

        /* What was never made need not be deleted. */
        good =
            err == RD_KAFKA_RESP_ERR_NO_ERROR || err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        why = rd_kafka_topic_result_error_string(results[0]);
    }
    if (!good)
        fprintf(stderr, "%s: the topic %s could not be %s: %s\n", log->at, log->topic, what,
                why != NULL ? why : "for an unknown reason");
    if (event != NULL)
        rd_kafka_event_destroy(event);
    return good;
}

static bool topic_create(struct log_writer *writer, struct log *log)
{
    char why[WHY_SIZE];
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(log->topic, LOG_PARTITIONS, -1, why, sizeof why);
    rd_kafka_AdminOptions_t *options = admin_options(writer, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_queue_t *answers = rd_kafka_queue_new(writer->rk);
    bool created;

    /* From here on: an answer may be lost after the topic was made. */
    log->is_made = true;
    rd_kafka_CreateTopics(writer->rk, &topic, 1, options, answers);
    created = admin_answer(log, answers, "made");
    rd_kafka_queue_destroy(answers);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy(topic);
    return created;
}

static void topic_delete(struct log_writer *writer, struct log *log)
{
    rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(log->topic);
    rd_kafka_AdminOptions_t *options = admin_options(writer, RD_KAFKA_ADMIN_OP_DELETETOPICS);
    rd_kafka_queue_t *answers = rd_kafka_queue_new(writer->rk);

    rd_kafka_DeleteTopics(writer->rk, &topic, 1, options, answers);
    admin_answer(log, answers, "deleted");
    rd_kafka_queue_destroy(answers);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_DeleteTopic_destroy(topic);
}

/* ---- the log ----------------------------------------------------------------------------- */

static struct log_writer *kafka_open(struct log *log)
{
    struct log_writer *writer = client_open(log);

    if (writer == NULL)
        return NULL;
    if (!client_reach(writer) || !topic_create(writer, log)) {
        client_close(writer);
        return NULL;
    }
    writer->topic = rd_kafka_topic_new(writer->rk, log->topic, NULL);
    return writer;
}

static bool kafka_append(struct log_writer *writer, const struct log_record *record)
{
    void *value = (void *)(uintptr_t)record->value; /* It is only read. */
    rd_kafka_resp_err_t err;

    do {
        bool taken =
            rd_kafka_produce(writer->topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, value,
                             record->value_size, record->key, record->key_size, NULL) == 0;

        err = taken ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_last_error();
        rd_kafka_poll(writer->rk, err == RD_KAFKA_RESP_ERR__QUEUE_FULL ? LOOK_MS : 0);
    } while (err == RD_KAFKA_RESP_ERR__QUEUE_FULL && !writer->failed && !interrupted);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR && !writer->failed && !interrupted)
        fprintf(stderr, "%s: %s\n", writer->log->at, rd_kafka_err2str(err));
    return err == RD_KAFKA_RESP_ERR_NO_ERROR && !writer->failed;
}

static bool kafka_flush(struct log_writer *writer)
{
    /* It ends: a record that cannot be written fails after DELIVERY_MS. */
    while (rd_kafka_flush(writer->rk, LOOK_MS) != RD_KAFKA_RESP_ERR_NO_ERROR && !interrupted)
        ;
    return !writer->failed && !interrupted;
}

static void kafka_remove(struct log *log)
{
    struct log_writer *writer = log->is_made ? client_open(log) : NULL;

    if (writer == NULL)
        return;
    /* Of the group nothing is left to do: its offsets go with the topic. */
    topic_delete(writer, log);
    client_close(writer);
    log->is_made = false;
}

/** What any program has to set, its group, and then what suits a show. */
static bool consumer_settings(rd_kafka_conf_t *conf, const struct log *log, enum member member,
                              char *why, size_t why_size)
{
    return set(conf, "group.id", log->group, why, why_size) &&
           /* One that is killed and started again under its name has its partitions back at once;
            * for one without a name the group waits until its session is over. But when one
            * without a name leaves, the others get its partitions at once. */
           (member != FIRST || set(conf, "group.instance.id", "first", why, why_size)) &&
           set(conf, "session.timeout.ms", "6000", why, why_size) &&
           /* The members hear by heartbeats that somebody has come or gone: soon, for a show. */
           set(conf, "heartbeat.interval.ms", "200", why, why_size);
}

static klane_err_t kafka_source(const struct log *log, enum member member,
                                struct klane_source **source, char *why, size_t why_size)
{
    rd_kafka_conf_t *conf = conf_new(log, why, why_size);
    klane_err_t err = KLANE_ERR_INVALID;

    if (conf != NULL && consumer_settings(conf, log, member, why, why_size))
        err = klane_kafka_create(conf, NULL, source, why, why_size);
    if (err != KLANE_OK && conf != NULL)
        rd_kafka_conf_destroy(conf);
    return err;
}

void log_kafka(struct log *log, const char *brokers)
{
    static const struct log_kind KIND = {
        .is_shared = true,
        .open = kafka_open,
        .append = kafka_append,
        .flush = kafka_flush,
        .close = client_close,
        .remove = kafka_remove,
        .source = kafka_source,
    };
    uint64_t number = 0;

    *log = (struct log){.kind = &KIND, .at = brokers};
    /* No other run has this name, on this machine or on another. */
    while (getrandom(&number, sizeof number, 0) != sizeof number)
        ;
    snprintf(log->topic, sizeof log->topic, "klane-quickstart-%016llx",
             (unsigned long long)number);
    snprintf(log->group, sizeof log->group, "%s", log->topic);
}
