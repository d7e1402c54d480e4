/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters in a topic of Kafka: what arrives, once each, and what happens while the broker
 * does not take them. */
#include "kafka/kafka_runtime.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RECORDS = 500, KEYS = 50 };

static char dead[KAFKA_NAME_SIZE];

static _Atomic bool all_fail;
static int has_come[2][2]; /* with a key, with a value */

/* Every tenth key is bad. */
static enum klane_outcome fail_some(struct kit *kit, const struct klane_record *record)
{
    const char *key = record->key;
    bool is_bad = all_fail || (record->key_size > 0 && key[record->key_size - 1] == '7');

    (void)kit;
    return is_bad ? klane_retry(record, 1, "shop is away") : KLANE_DONE;
}

static rd_kafka_conf_t *producer_conf(void)
{
    rd_kafka_conf_t *conf = kafka_kit_conf();

    kafka_kit_set(conf, "enable.idempotence", "true");
    kafka_kit_set(conf, "linger.ms", "1");
    return conf;
}

static struct klane_letters *start(struct kafka_test *test, rd_kafka_conf_t *conf)
{
    test->kit.act = fail_some;
    return kafka_test_start_with_letters(test, conf, dead, 2);
}

/* ---- reading them back --------------------------------------------------------------------- */

static int seen[RECORDS]; /* by offset */

static void assert_header(const rd_kafka_headers_t *headers, const char *name, const char *value)
{
    const void *is;
    size_t size;

    assert_int_equal(rd_kafka_header_get_last(headers, name, &is, &size), 0);
    assert_int_equal(size, strlen(value));
    assert_memory_equal(is, value, size);
}

static void look_at(const struct kafka_test *test, const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers;
    char value[32];
    const void *offset;
    size_t size;
    int number;

    assert_int_equal(rd_kafka_message_headers(message, &headers), 0);
    assert_int_equal(rd_kafka_header_get_last(headers, "__connect.errors.offset", &offset, &size),
                     0);
    snprintf(value, sizeof value, "%.*s", (int)size, (const char *)offset);
    number = atoi(value);
    assert_true(number >= 0 && number < RECORDS);
    seen[number]++;
    /* Values are the numbers of the records, and so are offsets. */
    assert_int_equal(size, message->len);
    assert_memory_equal(message->payload, offset, size);
    snprintf(value, sizeof value, "k%d", number % KEYS);
    assert_int_equal(message->key_len, strlen(value));
    assert_memory_equal(message->key, value, strlen(value));
    assert_header(headers, "__connect.errors.topic", test->topic);
    assert_header(headers, "__connect.errors.partition", "0");
    assert_header(headers, "__connect.errors.exception.message", "shop is away");
    assert_header(headers, "__connect.errors.attempts", "2");
}

/* Reads the dead letters from the first on. */
static rd_kafka_t *reader_new(void)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    char why[256];
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, kafka_kit_consumer_conf("letters-reader"),
                                  why, sizeof why);

    assert_non_null(rk);
    rd_kafka_topic_partition_list_add(list, dead, 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
    assert_int_equal(rd_kafka_assign(rk, list), 0);
    rd_kafka_topic_partition_list_destroy(list);
    return rk;
}

static rd_kafka_message_t *next_letter(rd_kafka_t *rk)
{
    rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, KAFKA_KIT_MS);

    assert_non_null(message);
    assert_int_equal(message->err, 0);
    return message;
}

static void read_back(const struct kafka_test *test, int count)
{
    rd_kafka_t *rk = reader_new();

    memset(seen, 0, sizeof seen);
    for (int i = 0; i < count; i++) {
        rd_kafka_message_t *message = next_letter(rk);

        look_at(test, message);
        rd_kafka_message_destroy(message);
    }
    rd_kafka_destroy(rk);
}

/* ---- tests ------------------------------------------------------------------------------- */

static void the_bad_records_and_no_others_arrive_once_each(void **state)
{
    struct kafka_test *test = *state;
    struct klane_letters *letters;
    int bad = 0;

    kafka_kit_name(dead, "dead");
    kafka_kit_topic(dead, 1, NULL);
    kafka_test_topic(test, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, RECORDS, KEYS);
    kafka_test_kit(test, NULL);
    letters = start(test, producer_conf());

    kafka_test_wait_committed(test, 0, RECORDS);

    kafka_test_end_with_letters(test, letters);
    for (int i = 0; i < RECORDS; i++)
        bad += i % KEYS % 10 == 7;
    assert_int_equal(kafka_kit_count(dead, 0), (size_t)bad);
    read_back(test, bad);
    for (int i = 0; i < RECORDS; i++)
        assert_int_equal(seen[i], i % KEYS % 10 == 7);
    kafka_kit_topic_delete(dead);
}

/* The topic is not there: the lanes of bad records wait, others do not, and nothing is lost. */
static void while_the_broker_takes_none_their_lanes_wait(void **state)
{
    struct kafka_test *test = *state;
    struct klane_letters *letters;
    rd_kafka_conf_t *conf = producer_conf();

    kafka_kit_name(dead, "later");
    kafka_kit_set(conf, "message.timeout.ms", "1000");
    kafka_test_topic(test, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, RECORDS, KEYS);
    kafka_test_kit(test, NULL);
    letters = start(test, conf);
    while (kit_stats(&test->kit).done < RECORDS / 10 * 9)
        kit_wait_done(&test->kit, RECORDS / 10 * 9);
    kafka_test_wait_committed(test, 0, 7);
    kafka_kit_topic(dead, 1, NULL);

    kafka_test_wait_committed(test, 0, RECORDS);

    kafka_test_end_with_letters(test, letters);
    assert_true(kafka_kit_count(dead, 0) >= RECORDS / 10);
    kafka_kit_topic_delete(dead);
}

/* The end does not wait for a broker that is away, and what was not kept runs again. */
static void an_end_while_they_are_on_their_way_loses_none(void **state)
{
    struct kafka_test *test = *state;
    struct klane_letters *letters;
    rd_kafka_conf_t *conf = producer_conf();

    kafka_kit_name(dead, "away");
    kafka_kit_set(conf, "bootstrap.servers", "127.0.0.1:1");
    kafka_kit_set(conf, "log_level", "0");
    kafka_test_topic(test, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, RECORDS, KEYS);
    kafka_test_kit(test, NULL);
    test->kit.options.stop_ms = 1000;
    letters = start(test, conf);
    /* Each of the bad keys' first, twice by its handler, and once more as a dead letter. */
    while (kit_stats(&test->kit).started < RECORDS / 10 * 9 + 3 * KEYS / 10)
        usleep(1000);
    klane_stop(test->kit.runtime);
    assert_int_equal(klane_wait(test->kit.runtime, 20000), KLANE_ERR_BUSY);

    kafka_test_end_with_letters(test, letters);
    assert_int_equal(kafka_kit_committed(test->group, test->topic, 0), 7);
}

/* What librdkafka itself refuses: it is said, its lane waits, and no other. */
static void what_is_too_large_for_the_place_waits(void **state)
{
    static char value[5000];
    struct kafka_test *test = *state;
    struct klane_letters *letters;
    rd_kafka_conf_t *conf = producer_conf();
    struct kafka_kit_record record = {
        .topic = test->topic, .key = "large 7", .key_size = 7, .value = value};

    kafka_kit_name(dead, "small");
    kafka_kit_topic(dead, 1, NULL);
    kafka_kit_set(conf, "message.max.bytes", "2000");
    kafka_test_topic(test, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, RECORDS, KEYS);
    record.value_size = sizeof value;
    assert_int_equal(kafka_kit_append(&record), RECORDS);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, RECORDS, KEYS);
    kafka_test_kit(test, NULL);
    letters = start(test, conf);

    kafka_test_wait_committed(test, 0, RECORDS);
    kit_wait_event(&test->kit, KLANE_EVENT_DEAD_LETTER, 2 * RECORDS / 10);

    assert_non_null(strstr(test->kit.line, "a dead letter was not kept"));
    assert_non_null(strstr(test->kit.line, "too large"));
    kafka_test_end_with_letters(test, letters);
    kafka_kit_topic_delete(dead);
}

/* No key and an empty one, no value and an empty one. */
static void what_is_missing_and_what_is_empty_stay_apart(void **state)
{
    static const struct kafka_kit_record records[] = {
        {.key = NULL, .value = ""}, {.key = "", .value = NULL}, {.key = "", .value = ""}};
    struct kafka_test *test = *state;
    struct klane_letters *letters;
    rd_kafka_t *rk;

    kafka_kit_name(dead, "empty");
    kafka_kit_topic(dead, 1, NULL);
    kafka_test_topic(test, 1, NULL);
    for (size_t i = 0; i < 3; i++) {
        struct kafka_kit_record record = records[i];

        record.topic = test->topic;
        assert_int_equal(kafka_kit_append(&record), i);
    }
    kafka_test_kit(test, NULL);
    all_fail = true;
    letters = start(test, producer_conf());
    kafka_test_wait_committed(test, 0, 3);
    all_fail = false;
    kafka_test_end_with_letters(test, letters);
    rk = reader_new();
    for (int i = 0; i < 3; i++) {
        rd_kafka_message_t *message = next_letter(rk);

        has_come[message->key != NULL][message->payload != NULL]++;
        rd_kafka_message_destroy(message);
    }
    assert_int_equal(has_come[0][1], 1);
    assert_int_equal(has_come[1][0], 1);
    assert_int_equal(has_come[1][1], 1);
    rd_kafka_destroy(rk);
    kafka_kit_topic_delete(dead);
}

static void wrong_arguments_are_named(void **state)
{
    struct kafka_test *test = *state;
    struct klane_letters *letters;
    static const char *const refused[][2] = {
        {"delivery.report.only.error", "true"},
        {"transactional.id", "t"},
        {"bootstrap.servers", ""},
        {"debug", "security"},
        {"enable.ssl.certificate.verification", "false"},
        {"sasl.kerberos.principal", "`id`"},
    };
    rd_kafka_conf_t *conf = producer_conf();
    char why[256];

    kafka_test_topic(test, 1, NULL);
    kafka_test_kit(test, NULL);
    kit_create(&test->kit);
    test->is_running = true;
#define REFUSED(runtime, conf, topic, named)                                                     \
    assert_int_equal(klane_kafka_letters(runtime, conf, NULL, topic, &letters, why, sizeof why), \
                     KLANE_ERR_INVALID);                                                         \
    assert_null(letters);                                                                        \
    assert_non_null(strstr(why, named))
    REFUSED(NULL, conf, "d", "runtime is NULL");
    REFUSED(test->kit.runtime, NULL, "d", "conf is NULL");
    REFUSED(test->kit.runtime, conf, NULL, "topic is NULL");
    REFUSED(test->kit.runtime, conf, "no/topic", "topic \"no/topic\"");
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        rd_kafka_conf_t *other = producer_conf();

        kafka_kit_set(other, refused[i][0], refused[i][1]);
        REFUSED(test->kit.runtime, other, "d", refused[i][0]);
        rd_kafka_conf_destroy(other);
    }
    kafka_kit_set(conf, "security.protocol", "ssl");
    kafka_kit_set(conf, "ssl.ca.location", "/nonexistent");
    REFUSED(test->kit.runtime, conf, "d", "ssl.ca.location");
#undef REFUSED
    rd_kafka_conf_destroy(conf);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        kafka_test_case(the_bad_records_and_no_others_arrive_once_each),
        kafka_test_case(while_the_broker_takes_none_their_lanes_wait),
        kafka_test_case(an_end_while_they_are_on_their_way_loses_none),
        kafka_test_case(what_is_too_large_for_the_place_waits),
        kafka_test_case(what_is_missing_and_what_is_empty_stay_apart),
        kafka_test_case(wrong_arguments_are_named),
    };
    int failed = check_run(tests);

    kafka_kit_deinit();
    return failed;
}
