/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Looks at the dead letters in a topic of Kafka, and sends them back, as examples/letters.c does
 * in an embedded log. WHICH is PARTITION:OFFSET in the topic of dead letters, as list shows it.
 *
 *     kafka_letters HOST:PORT TOPIC list         one line for each: which, where it was, how often
 *                                                it failed, why
 *     kafka_letters HOST:PORT TOPIC show WHICH   that one with all of its headers, and its value
 *     kafka_letters HOST:PORT TOPIC send WHICH   produce that one again, with its key, its value
 *                                                and its own headers, to the topic and partition
 *                                                that it came from
 *     kafka_letters HOST:PORT TOPIC send all     all that "send all" has not sent before
 *
 * NAME=VALUE arguments may follow: settings of librdkafka, for passwords and the like.
 *
 * A letter is said to be sent back when the broker has acknowledged it. "send all" commits that
 * for the group "klane-letters", and so goes on where it ended; a crash in between sends one
 * twice. It goes to its old partition, and not where this producer would put its key, as others
 * of its key are there; if the topic has got more partitions since, newer ones may be elsewhere.
 */
#include <librdkafka/rdkafka.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS 30000
#define PREFIX "__connect.errors."

/** What was asked for. */
struct request {
    const char *brokers;
    const char *topic;
    bool is_send;
    int32_t partition; /* -1: all letters */
    int64_t offset;
    char **settings;
    int setting_count;
};

struct letters {
    const struct request *request;
    rd_kafka_t *consumer;
    rd_kafka_t *producer; /* NULL: nothing is sent */
};

/** A text of the letter's: length as printf() wants it. */
struct text {
    const char *bytes;
    int length;
};

static struct text text_of(const void *bytes, size_t size)
{
    return (struct text){bytes != NULL ? bytes : "", bytes != NULL ? (int)size : 0};
}

/** The last header of this name; "?" if there is none. */
static struct text header_of(const rd_kafka_message_t *letter, const char *name)
{
    rd_kafka_headers_t *headers;
    const void *value;
    size_t size;

    if (rd_kafka_message_headers(letter, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_get_last(headers, name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return text_of("?", 1);
    return text_of(value, size);
}

static bool complain(const char *what, rd_kafka_resp_err_t err)
{
    fprintf(stderr, "%s: %s\n", what, rd_kafka_err2str(err));
    return false;
}

/* ---- looking ----------------------------------------------------------------------------- */

static void print_line(const rd_kafka_message_t *letter)
{
    struct text topic = header_of(letter, PREFIX "topic");
    struct text partition = header_of(letter, PREFIX "partition");
    struct text offset = header_of(letter, PREFIX "offset");
    struct text attempts = header_of(letter, PREFIX "attempts");
    struct text reason = header_of(letter, PREFIX "exception.message");
    struct text key = text_of(letter->key, letter->key_len);

    printf("%" PRId32 ":%" PRId64 ": %.*s [%.*s] offset %.*s, key %.*s: %.*s attempts, %.*s\n",
           letter->partition, letter->offset, topic.length, topic.bytes, partition.length,
           partition.bytes, offset.length, offset.bytes, key.length, key.bytes, attempts.length,
           attempts.bytes, reason.length, reason.bytes);
}

static void print_all(const rd_kafka_message_t *letter)
{
    struct text body = text_of(letter->payload, letter->len);
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t size;

    print_line(letter);
    if (rd_kafka_message_headers(letter, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
        for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) ==
                           RD_KAFKA_RESP_ERR_NO_ERROR;
             i++)
            printf("    %s: %.*s\n", name, text_of(value, size).length,
                   text_of(value, size).bytes);
    printf("    %.*s\n", body.length, body.bytes);
}

/* ---- sending back ------------------------------------------------------------------------ */

struct delivery {
    bool is_over;
    rd_kafka_resp_err_t err;
};

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *context)
{
    struct delivery *delivery = message->_private;

    (void)producer;
    (void)context;
    delivery->err = message->err;
    delivery->is_over = true;
}

/** The headers that the record had before it was a dead letter. */
static rd_kafka_headers_t *own_headers(const rd_kafka_message_t *letter)
{
    rd_kafka_headers_t *own = rd_kafka_headers_new(0), *all;
    const char *name;
    const void *value;
    size_t size;

    if (rd_kafka_message_headers(letter, &all) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return own;
    for (size_t i = 0;
         rd_kafka_header_get_all(all, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
            rd_kafka_header_add(own, name, -1, value, (ssize_t)size);
    return own;
}

/** Hand it to the producer and wait for what becomes of it. */
static rd_kafka_resp_err_t produce(rd_kafka_t *producer, const rd_kafka_message_t *letter,
                                   const char *topic, int32_t partition)
{
    rd_kafka_headers_t *headers = own_headers(letter);
    struct delivery delivery = {false, RD_KAFKA_RESP_ERR_NO_ERROR};
    rd_kafka_vu_t given[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {letter->key, letter->key_len}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {letter->payload, letter->len}},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = &delivery},
    };
    rd_kafka_error_t *error =
        rd_kafka_produceva(producer, given, sizeof given / sizeof given[0]);

    if (error != NULL) {
        rd_kafka_resp_err_t err = rd_kafka_error_code(error);

        rd_kafka_error_destroy(error);
        rd_kafka_headers_destroy(headers); /* They would be the producer's. */
        return err;
    }
    /* It ends: after message.timeout.ms a delivery has failed. */
    while (!delivery.is_over)
        rd_kafka_poll(producer, 100);
    return delivery.err;
}

static bool send_back(struct letters *letters, const rd_kafka_message_t *letter)
{
    struct text from = header_of(letter, PREFIX "topic");
    struct text partition = header_of(letter, PREFIX "partition");
    char topic[256], number[16];
    rd_kafka_resp_err_t err;

    snprintf(topic, sizeof topic, "%.*s", from.length, from.bytes);
    snprintf(number, sizeof number, "%.*s", partition.length, partition.bytes);
    if (strcmp(topic, "?") == 0 || strcmp(number, "?") == 0) {
        fprintf(stderr, "%" PRId32 ":%" PRId64 " does not say where it came from\n",
                letter->partition, letter->offset);
        return true; /* Others may. */
    }
    err = produce(letters->producer, letter, topic, (int32_t)strtol(number, NULL, 10));
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return complain(topic, err);
    printf("sent back to %s [%s]: %" PRId32 ":%" PRId64 ", key %.*s\n", topic, number,
           letter->partition, letter->offset, text_of(letter->key, letter->key_len).length,
           text_of(letter->key, letter->key_len).bytes);
    return true;
}

/* ---- reading ----------------------------------------------------------------------------- */

/** Do what was asked with one letter. */
static bool on_letter(struct letters *letters, const rd_kafka_message_t *letter)
{
    const struct request *request = letters->request;
    bool is_all = request->partition < 0;
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;

    if (!request->is_send) {
        if (is_all)
            print_line(letter);
        else
            print_all(letter);
        return true;
    }
    if (!send_back(letters, letter))
        return false;
    if (is_all)
        err = rd_kafka_commit_message(letters->consumer, letter, 0);
    return err == RD_KAFKA_RESP_ERR_NO_ERROR || complain("commit", err);
}

static void begin_at(struct letters *letters, int32_t partition, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, letters->request->topic, partition)->offset = offset;
    rd_kafka_assign(letters->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
}

/** NULL: the partition's end, or an error, which is said and noted. */
static rd_kafka_message_t *next_letter(struct letters *letters, bool *is_fine)
{
    rd_kafka_message_t *message = rd_kafka_consumer_poll(letters->consumer, PATIENCE_MS);
    rd_kafka_resp_err_t err = message == NULL ? RD_KAFKA_RESP_ERR__TIMED_OUT : message->err;

    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        return message;
    if (err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
        *is_fine = complain(letters->request->topic, err);
    if (message != NULL)
        rd_kafka_message_destroy(message);
    return NULL;
}

/** partitions: how many there are; of one that is not there nothing would ever be heard. */
static bool read_one(struct letters *letters, int32_t partitions)
{
    int32_t partition = letters->request->partition;
    int64_t offset = letters->request->offset;
    rd_kafka_message_t *letter = NULL;
    bool is_fine = true;

    if (partition < partitions) {
        begin_at(letters, partition, offset);
        letter = next_letter(letters, &is_fine);
    }
    if (letter != NULL && letter->offset == offset) {
        is_fine = on_letter(letters, letter);
    } else if (is_fine) {
        fprintf(stderr, "there is no letter %" PRId32 ":%" PRId64 "\n", partition, offset);
        is_fine = false;
    }
    if (letter != NULL)
        rd_kafka_message_destroy(letter);
    return is_fine;
}

static bool read_to_end(struct letters *letters, int32_t partition, int64_t offset)
{
    rd_kafka_message_t *letter;
    bool is_fine = true;

    begin_at(letters, partition, offset);
    while (is_fine && (letter = next_letter(letters, &is_fine)) != NULL) {
        is_fine = on_letter(letters, letter);
        rd_kafka_message_destroy(letter);
    }
    return is_fine;
}

/** The topic's partitions, each with the offset to begin at. */
static bool find_begins(struct letters *letters, rd_kafka_topic_partition_list_t *list)
{
    const char *name = letters->request->topic;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(letters->consumer, name, NULL);
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t err =
        rd_kafka_metadata(letters->consumer, 0, topic, &metadata, PATIENCE_MS);

    rd_kafka_topic_destroy(topic);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        err = metadata->topics[0].err;
        for (int32_t i = 0; i < metadata->topics[0].partition_cnt; i++)
            rd_kafka_topic_partition_list_add(list, name, i);
        rd_kafka_metadata_destroy(metadata);
    }
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR && letters->request->is_send)
        err = rd_kafka_committed(letters->consumer, list, PATIENCE_MS);
    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].offset < 0)
            list->elems[i].offset = RD_KAFKA_OFFSET_BEGINNING;
    return err == RD_KAFKA_RESP_ERR_NO_ERROR || complain(name, err);
}

static bool read_letters(struct letters *letters)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    bool is_fine = find_begins(letters, list);

    if (is_fine && letters->request->partition >= 0)
        is_fine = read_one(letters, list->cnt);
    else
        for (int i = 0; i < list->cnt && is_fine; i++)
            is_fine = read_to_end(letters, list->elems[i].partition, list->elems[i].offset);
    rd_kafka_topic_partition_list_destroy(list);
    return is_fine;
}

/* ---- the program ------------------------------------------------------------------------- */

/** Set names and values; a later one overrides an earlier one. False: it is said why. */
static bool set_all(rd_kafka_conf_t *conf, const char *const (*settings)[2], size_t count)
{
    char why[256];

    for (size_t i = 0; i < count; i++)
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof why) !=
            RD_KAFKA_CONF_OK) {
            fprintf(stderr, "%s\n", why);
            return false;
        }
    return true;
}

static bool set_given(rd_kafka_conf_t *conf, const struct request *request)
{
    bool is_set = true;

    for (int i = 0; i < request->setting_count && is_set; i++) {
        const char *value = strchr(request->settings[i], '=');
        char name[128];

        snprintf(name, sizeof name, "%.*s", (int)(value - request->settings[i]),
                 request->settings[i]);
        is_set = set_all(conf, (const char *const[][2]){{name, value + 1}}, 1);
    }
    return is_set;
}

static rd_kafka_t *client_new(rd_kafka_type_t type, const struct request *request)
{
    const char *const consumers[][2] = {
        {"bootstrap.servers", request->brokers}, {"group.id", "klane-letters"},
        {"auto.offset.reset", "earliest"},       {"enable.auto.commit", "false"},
        {"enable.partition.eof", "true"},        {"fetch.wait.max.ms", "50"}};
    const char *const producers[][2] = {{"bootstrap.servers", request->brokers},
                                        {"enable.idempotence", "true"},
                                        {"linger.ms", "0"},
                                        {"message.timeout.ms", "30000"}};
    bool is_consumer = type == RD_KAFKA_CONSUMER;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *client = NULL;
    char why[256];

    if (!is_consumer)
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    if ((is_consumer ? set_all(conf, consumers, 6) : set_all(conf, producers, 4)) &&
        set_given(conf, request)) {
        client = rd_kafka_new(type, conf, why, sizeof why);
        if (client == NULL)
            fprintf(stderr, "%s\n", why);
    }
    if (client == NULL)
        rd_kafka_conf_destroy(conf);
    return client;
}

static bool parse(int argc, char **argv, struct request *request)
{
    const char *what = argc > 3 ? argv[3] : "", *which = argc > 4 ? argv[4] : "";
    bool is_list = strcmp(what, "list") == 0;
    int first = is_list ? 4 : 5, end = 0;

    *request = (struct request){.is_send = strcmp(what, "send") == 0, .partition = -1};
    if (argc < first || (!is_list && !request->is_send && strcmp(what, "show") != 0))
        return false;
    if (!is_list && !(request->is_send && strcmp(which, "all") == 0) &&
        (sscanf(which, "%" SCNd32 ":%" SCNd64 "%n", &request->partition, &request->offset,
                &end) != 2 ||
         which[end] != '\0' || request->partition < 0 || request->offset < 0))
        return false;
    for (int i = first; i < argc; i++)
        if (strchr(argv[i], '=') == NULL)
            return false;
    request->brokers = argv[1];
    request->topic = argv[2];
    request->settings = argv + first;
    request->setting_count = argc - first;
    return true;
}

int main(int argc, char **argv)
{
    struct request request;
    struct letters letters = {.request = &request};
    bool is_fine;

    if (!parse(argc, argv, &request)) {
        fprintf(stderr, "usage: kafka_letters HOST:PORT TOPIC list|show WHICH|send WHICH|send all"
                        " [NAME=VALUE...]\n       WHICH: PARTITION:OFFSET, as list shows it\n");
        return 2;
    }
    letters.consumer = client_new(RD_KAFKA_CONSUMER, &request);
    if (request.is_send && letters.consumer != NULL)
        letters.producer = client_new(RD_KAFKA_PRODUCER, &request);
    is_fine = letters.consumer != NULL && (letters.producer != NULL || !request.is_send);
    if (is_fine)
        is_fine = read_letters(&letters);
    if (letters.producer != NULL)
        rd_kafka_destroy(letters.producer);
    if (letters.consumer != NULL)
        rd_kafka_destroy(letters.consumer);
    return is_fine ? EXIT_SUCCESS : EXIT_FAILURE;
}
