/* SPDX-License-Identifier: Apache-2.0 */
/* What of a configuration is accepted, and what is refused by name. Nothing is connected. */
#include "lib/check.h"

#include "source/kafka/config.h"

#include "kafka/kafka_library.h"

#include <klane/kafka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SECRET "canary-4711"

static _Atomic bool secret_was_logged; /* on a thread of librdkafka's, perhaps */

static void look_for_secrets(const rd_kafka_t *rk, int level, const char *facility,
                             const char *line)
{
    (void)rk, (void)level, (void)facility;
    if (strstr(line, SECRET) != NULL)
        secret_was_logged = true;
}

static rd_kafka_conf_t *conf_with(const char *const *settings)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[256];

    assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers", "127.0.0.1:1", why, sizeof why),
                     0);
    assert_int_equal(rd_kafka_conf_set(conf, "group.id", "g", why, sizeof why), 0);
    assert_int_equal(rd_kafka_conf_set(conf, "log_level", "0", why, sizeof why), 0);
    rd_kafka_conf_set_log_cb(conf, look_for_secrets);
    for (; settings != NULL && settings[0] != NULL; settings += 2)
        if (rd_kafka_conf_set(conf, settings[0], settings[1], why, sizeof why) != 0)
            fail_msg("%s", why);
    return conf;
}

static void expect_accepted(rd_kafka_conf_t *conf, const struct klane_kafka_options *options)
{
    struct klane_source *source;
    char why[512];

    if (klane_kafka_create(conf, options, &source, why, sizeof why) != KLANE_OK)
        fail_msg("%s", why);
    assert_string_equal(why, "");
    klane_source_destroy(source);
}

/* Refused for what is named first, and accepted once that is set to another value. */
static void expect_refused(const char *name, const char *value, const char *instead)
{
    const char *settings[] = {name, value, NULL};
    rd_kafka_conf_t *conf = conf_with(settings);
    struct klane_source *source = (struct klane_source *)1;
    char why[512];

    assert_int_equal(klane_kafka_create(conf, NULL, &source, why, sizeof why), KLANE_ERR_INVALID);
    assert_null(source);
    if (strncmp(why, name, strlen(name)) != 0)
        fail_msg("refused, but not by the name of %s: %s", name, why);
    if (strstr(why, value) == NULL)
        fail_msg("refused, but the value %s is not named: %s", value, why);
    /* It is still the program's. */
    assert_int_equal(rd_kafka_conf_set(conf, name, instead, why, sizeof why), 0);
    expect_accepted(conf, NULL);
}

static void assert_setting(const rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char is[256];
    size_t size = sizeof is;

    assert_int_equal(rd_kafka_conf_get(conf, name, is, &size), RD_KAFKA_CONF_OK);
    assert_string_equal(is, value);
}

static void a_plain_configuration_is_accepted(void **state)
{
    (void)state;
    expect_accepted(conf_with(NULL), NULL);
}

static void settings_of_klane_are_refused_by_name(void **state)
{
    (void)state;
    expect_refused("auto.offset.reset", "smallest", "error");
    expect_refused("queued.min.messages", "77", "100000");
    expect_refused("queued.max.messages.kbytes", "77", "65536");
    expect_refused("fetch.max.bytes", "1234567", "52428800");
    expect_refused("fetch.message.max.bytes", "7777", "1048576");
}

static void the_value_that_klane_would_set_is_accepted(void **state)
{
    static const char *const settings[] = {"enable.auto.commit",
                                           "false",
                                           "enable.auto.offset.store",
                                           "false",
                                           "auto.offset.reset",
                                           "error",
                                           "enable.partition.eof",
                                           "true",
                                           NULL};

    (void)state;
    expect_accepted(conf_with(settings), NULL);
}

/* What is usual becomes what klane sets. */
static void assert_is_set(const char *name, const char *usual, const char *value)
{
    rd_kafka_conf_t *conf = conf_with(NULL);
    struct klane_kafka_options options;

    klane_kafka_options_init(&options, sizeof options);
    assert_setting(conf, name, usual);
    assert_int_equal(kafka_config_set(conf, &options, rd_kafka_version(), NULL, 0), KLANE_OK);
    assert_setting(conf, name, value);
    rd_kafka_conf_destroy(conf);
}

static void librdkafka_commits_nothing_by_itself(void **state)
{
    (void)state;
    assert_is_set("enable.auto.commit", "true", "false");
    assert_is_set("enable.auto.offset.store", "true", "false");
}

/* Both handles, of the main flow and of passes, are made so. */
static void batches_are_checked_on_the_way(void **state)
{
    (void)state;
    assert_is_set("check.crcs", "false", "true");
}

static void what_is_unsafe_is_refused_unless_it_is_allowed(void **state)
{
    static const struct {
        const char *name, *value;
    } unsafe[] = {
        {"enable.ssl.certificate.verification", "false"},
        {"ssl.endpoint.identification.algorithm", "none"},
        {"sasl.kerberos.kinit.cmd", "true"},
        {"enable.sasl.oauthbearer.unsecure.jwt", "true"},
        {"test.mock.num.brokers", "1"},
        {"debug", "cgrp,security"},
        {"debug", "all"},
        {"sasl.kerberos.principal", "user; touch /tmp/file"},
        {"sasl.kerberos.keytab", "/etc/key\"`id`\""},
        {"sasl.kerberos.service.name", "$(id)"},
    };
    struct klane_kafka_options options;

    (void)state;
    klane_kafka_options_init(&options, sizeof options);
    options.allow_unsafe = true;
    for (size_t i = 0; i < sizeof unsafe / sizeof unsafe[0]; i++) {
        const char *settings[] = {unsafe[i].name, unsafe[i].value, NULL};
        rd_kafka_conf_t *conf = conf_with(settings);
        struct klane_source *source;
        char why[512];

        assert_int_equal(klane_kafka_create(conf, NULL, &source, why, sizeof why),
                         KLANE_ERR_INVALID);
        assert_int_equal(strncmp(why, unsafe[i].name, strlen(unsafe[i].name)), 0);
        expect_accepted(conf, &options);
    }
}

static void group_and_servers_have_to_be_set(void **state)
{
    (void)state;
    expect_refused("group.id", "", "g");
    expect_refused("bootstrap.servers", "", "127.0.0.1:1");
}

static void rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                      rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    (void)rk, (void)err, (void)partitions, (void)opaque;
}

static void a_rebalance_callback_is_refused(void **state)
{
    rd_kafka_conf_t *conf = conf_with(NULL);
    struct klane_source *source;
    char why[512];

    (void)state;
    rd_kafka_conf_set_rebalance_cb(conf, rebalance);
    assert_int_equal(klane_kafka_create(conf, NULL, &source, why, sizeof why), KLANE_ERR_INVALID);
    assert_non_null(strstr(why, "rebalance_cb"));
    rd_kafka_conf_set_rebalance_cb(conf, NULL);
    expect_accepted(conf, NULL);
}

static void events_of_klane_are_refused(void **state)
{
    rd_kafka_conf_t *conf = conf_with(NULL);
    struct klane_source *source;
    char why[512];

    (void)state;
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_FETCH | RD_KAFKA_EVENT_STATS);
    assert_int_equal(klane_kafka_create(conf, NULL, &source, why, sizeof why), KLANE_ERR_INVALID);
    assert_non_null(strstr(why, "enabled_events"));
    rd_kafka_conf_destroy(conf);
}

/* What is the cluster's then is nobody else's. */
static void with_the_clusters_protocol_its_settings_are_refused_by_name(void **state)
{
    static const char *const clusters[][2] = {
        {"session.timeout.ms", "6000"},
        {"heartbeat.interval.ms", "100"},
        {"partition.assignment.strategy", "cooperative-sticky"},
    };
    static const char *const plain[] = {"group.protocol", "consumer", NULL};
    char why[512];

    (void)state;
    if (rd_kafka_version() < KAFKA_LIBRARY_PROTOCOL) {
        rd_kafka_conf_t *conf = conf_with(NULL);

        assert_int_equal(rd_kafka_conf_set(conf, plain[0], plain[1], why, sizeof why),
                         RD_KAFKA_CONF_UNKNOWN);
        assert_non_null(strstr(why, "group.protocol"));
        rd_kafka_conf_destroy(conf);
        return;
    }
    expect_accepted(conf_with(plain), NULL);
    for (size_t i = 0; i < sizeof clusters / sizeof clusters[0]; i++) {
        const char *settings[] = {plain[0], plain[1], clusters[i][0], clusters[i][1], NULL};
        rd_kafka_conf_t *conf = conf_with(settings);
        struct klane_source *source;

        assert_int_equal(klane_kafka_create(conf, NULL, &source, why, sizeof why),
                         KLANE_ERR_INVALID);
        assert_non_null(strstr(why, clusters[i][0]));
        rd_kafka_conf_destroy(conf);
    }
}

/* The build may mean it to be a newer one. */
static void the_library_is_the_one_that_is_meant(void **state)
{
    (void)state;
    kafka_library_check();
}

/* librdkafka itself refuses this one; klane's settings are in the configuration by then. */
static void a_configuration_that_librdkafka_refuses_stays_the_programs(void **state)
{
    static const char *const settings[] = {"sasl.username",
                                           "user",
                                           "sasl.password",
                                           SECRET,
                                           "security.protocol",
                                           "ssl",
                                           "ssl.key.location",
                                           "/nonexistent/key.pem",
                                           "ssl.key.password",
                                           SECRET,
                                           NULL};
    rd_kafka_conf_t *conf = conf_with(settings);
    struct klane_source *source;
    char why[512];

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(klane_kafka_create(conf, NULL, &source, why, sizeof why),
                         KLANE_ERR_INVALID);
        assert_string_not_equal(why, "");
        assert_null(strstr(why, SECRET));
        assert_setting(conf, "enable.auto.commit", "true");
        assert_setting(conf, "queued.min.messages", "100000");
    }
    assert_int_equal(rd_kafka_conf_set(conf, "security.protocol", "plaintext", why, sizeof why),
                     0);
    expect_accepted(conf, NULL);
}

/* What is secret, and one mistake more. */
static void no_refusal_tells_a_secret(void **state)
{
    static const struct {
        const char *name, *value, *named;
    } mistakes[] = {
        {"auto.offset.reset", "smallest", "auto.offset.reset"},
        {"debug", "security", "debug"},
        {"group.id", "", "group.id"},
        {"fetch.max.bytes", "1234567", "fetch.max.bytes"},
        {"session.timeout.ms", "600000", "session.timeout.ms"},
        {"ssl.keystore.location", "/nonexistent/keys.p12", "/nonexistent/keys.p12"},
        {"ssl.ca.location", "/nonexistent/ca.pem", "ssl.ca.location"},
        {"ssl.cipher.suites", "no-such-cipher", "ssl.cipher.suites"},
        {"sasl.mechanisms", "NONE-OF-THEM", "NONE-OF-THEM"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        const char *settings[] = {"log_level",
                                  "7",
                                  "security.protocol",
                                  "sasl_ssl",
                                  "sasl.mechanisms",
                                  "PLAIN",
                                  "sasl.username",
                                  "user",
                                  "sasl.password",
                                  SECRET,
                                  "ssl.key.password",
                                  SECRET,
                                  "ssl.keystore.password",
                                  SECRET,
                                  mistakes[i].name,
                                  mistakes[i].value,
                                  NULL};
        rd_kafka_conf_t *conf = conf_with(settings);
        struct klane_source *source;
        char why[512];

        assert_int_equal(klane_kafka_create(conf, NULL, &source, why, sizeof why),
                         KLANE_ERR_INVALID);
        if (strstr(why, mistakes[i].named) == NULL)
            fail_msg("\"%s\" does not name %s", why, mistakes[i].named);
        assert_null(strstr(why, SECRET));
        rd_kafka_conf_destroy(conf);
    }
    assert_false(secret_was_logged);
}

static void options_out_of_range_are_refused_by_name(void **state)
{
    struct klane_kafka_options options;
    rd_kafka_conf_t *conf = conf_with(NULL);
    struct klane_source *source;
    char why[512];

    (void)state;
    klane_kafka_options_init(&options, sizeof options);
    options.queue_records = 999;
    assert_int_equal(klane_kafka_create(conf, &options, &source, why, sizeof why),
                     KLANE_ERR_INVALID);
    assert_non_null(strstr(why, "queue_records is 999, must be from 1,000 to 1,000,000"));
    klane_kafka_options_init(&options, sizeof options);
    options.queue_bytes = 1;
    assert_int_equal(klane_kafka_create(conf, &options, &source, why, sizeof why),
                     KLANE_ERR_INVALID);
    assert_non_null(strstr(why, "queue_bytes is 1, must be from 1 MiB to 1 GiB"));
    options = (struct klane_kafka_options){0};
    assert_int_equal(klane_kafka_create(conf, &options, &source, why, sizeof why),
                     KLANE_ERR_INVALID);
    assert_non_null(strstr(why, "klane_kafka_options_init"));
    rd_kafka_conf_destroy(conf);
}

/* Ten brokers of a cloud provider, and a limit that klane's own settings follow. */
static void long_lists_and_large_messages_are_accepted(void **state)
{
    static const char *const large[] = {"message.max.bytes", "50000000", NULL};
    struct klane_kafka_options options;
    char servers[1024] = "127.0.0.1:1";
    const char *const many[] = {"bootstrap.servers", servers, NULL};

    (void)state;
    while (strlen(servers) < 900)
        strcat(servers, ",a-broker-with-a-long-name.of.some.cluster.example:9092");
    klane_kafka_options_init(&options, sizeof options);
    options.queue_bytes = 1U << 20;
    expect_accepted(conf_with(large), NULL);
    expect_accepted(conf_with(large), &options);
    expect_accepted(conf_with(NULL), &options);
    expect_accepted(conf_with(many), NULL);
}

static void nothing_to_work_with_is_refused(void **state)
{
    rd_kafka_conf_t *conf = conf_with(NULL);
    struct klane_source *source;

    (void)state;
    assert_int_equal(klane_kafka_create(NULL, NULL, &source, NULL, 0), KLANE_ERR_INVALID);
    assert_int_equal(klane_kafka_create(conf, NULL, NULL, NULL, 0), KLANE_ERR_INVALID);
    rd_kafka_conf_destroy(conf);
}

static char last_line[512];

static void log_line(enum klane_log_level level, const char *line, void *context)
{
    (void)level, (void)context;
    if (strstr(line, "cannot start") != NULL)
        strncpy(last_line, line, sizeof last_line - 1);
}

static enum klane_outcome handle(const struct klane_record *record, void *context)
{
    (void)record, (void)context;
    return KLANE_DONE;
}

/* Starts a runtime that cannot start, and returns its error. */
static klane_err_t start_fails(const char *const *settings, const char *topic, uint32_t drain_ms)
{
    struct klane_options options;
    struct klane_runtime *runtime;
    struct klane_source *source;
    char why[512];
    klane_err_t err;

    klane_options_init(&options, sizeof options);
    options.drain_ms = drain_ms;
    options.log = log_line;
    assert_int_equal(klane_kafka_create(conf_with(settings), NULL, &source, why, sizeof why), 0);
    assert_int_equal(klane_create(&options, source, &runtime, why, sizeof why), 0);
    assert_int_equal(klane_handle(runtime, topic, handle, NULL), 0);
    err = klane_start(runtime);
    assert_int_equal(klane_destroy(runtime), 0);
    return err;
}

static void a_drain_that_the_group_would_not_wait_for_is_refused(void **state)
{
    static const char *const settings[] = {"max.poll.interval.ms", "8000", "session.timeout.ms",
                                           "6000", NULL};

    (void)state;
    assert_int_equal(start_fails(settings, "t", 4000), KLANE_ERR_INVALID);
    assert_non_null(strstr(last_line, "drain_ms"));
    assert_non_null(strstr(last_line, "max.poll.interval.ms"));
}

static void a_pattern_that_is_wrong_is_refused(void **state)
{
    (void)state;
    assert_int_equal(start_fails(NULL, "^a(b", 1000), KLANE_ERR_INVALID);
    assert_non_null(strstr(last_line, "^a(b"));
}

/* librdkafka would wait for them, and every topic beside them. */
static void names_that_no_topic_can_have_are_refused(void **state)
{
    static const char *const names[] = {"no/topic", "t,u", "t\xc3\xa4", ".", "..", "a^b"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char named[64];

        assert_int_equal(start_fails(NULL, names[i], 1000), KLANE_ERR_INVALID);
        snprintf(named, sizeof named, "topic \"%s\": Kafka's names", names[i]);
        assert_non_null(strstr(last_line, named));
    }
}

/* ---- versions of librdkafka ---------------------------------------------------------------- */

static int pretended; /* version; 0: the true one */

int __real_rd_kafka_version(void);
int __wrap_rd_kafka_version(void);

int __wrap_rd_kafka_version(void)
{
    return pretended != 0 ? pretended : __real_rd_kafka_version();
}

static void versions_that_are_known_to_be_bad_are_named(void **state)
{
    (void)state;
    assert_non_null(strstr(kafka_version_warning(0x020500ff), "2.5.0"));
    assert_non_null(strstr(kafka_version_warning(0x020a00ff), "2.10.0"));
    assert_null(kafka_version_warning(0x020002ff));
    assert_null(kafka_version_warning(0x020503ff));
    assert_null(kafka_version_warning(0x020a01ff));
    assert_null(kafka_version_warning(0x020f01ff));
}

static _Atomic int warned;

static void on_event(const struct klane_event *event, void *context)
{
    (void)context;
    if (event->type == KLANE_EVENT_SOURCE_ERROR && event->err == KLANE_ERR_VERSION &&
        strstr(event->message, "2.10.0") != NULL)
        warned++;
}

static void run_for_a_while(int version)
{
    struct klane_options options;
    struct klane_runtime *runtime;
    struct klane_source *source;
    char why[512];

    warned = 0;
    klane_options_init(&options, sizeof options);
    options.event = on_event;
    pretended = version;
    assert_int_equal(klane_kafka_create(conf_with(NULL), NULL, &source, why, sizeof why), 0);
    pretended = 0;
    assert_int_equal(klane_create(&options, source, &runtime, why, sizeof why), 0);
    assert_int_equal(klane_handle(runtime, "t", handle, NULL), 0);
    assert_int_equal(klane_start(runtime), 0);
    usleep(100 * 1000);
    klane_stop(runtime);
    assert_int_equal(klane_wait(runtime, 20000), 0);
    assert_int_equal(klane_destroy(runtime), 0);
}

static void a_bad_version_is_told_once_as_the_runtime_starts(void **state)
{
    (void)state;
    if (rd_kafka_version() < KAFKA_LIBRARY_REJOIN)
        skip(); /* it lacks settings of the one that it would be taken for */
    run_for_a_while(0x020a00ff);
    assert_int_equal(warned, 1);
    run_for_a_while(0);
    assert_int_equal(warned, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_library_is_the_one_that_is_meant),
        cmocka_unit_test(a_plain_configuration_is_accepted),
        cmocka_unit_test(settings_of_klane_are_refused_by_name),
        cmocka_unit_test(the_value_that_klane_would_set_is_accepted),
        cmocka_unit_test(librdkafka_commits_nothing_by_itself),
        cmocka_unit_test(batches_are_checked_on_the_way),
        cmocka_unit_test(what_is_unsafe_is_refused_unless_it_is_allowed),
        cmocka_unit_test(group_and_servers_have_to_be_set),
        cmocka_unit_test(a_rebalance_callback_is_refused),
        cmocka_unit_test(events_of_klane_are_refused),
        cmocka_unit_test(with_the_clusters_protocol_its_settings_are_refused_by_name),
        cmocka_unit_test(a_configuration_that_librdkafka_refuses_stays_the_programs),
        cmocka_unit_test(no_refusal_tells_a_secret),
        cmocka_unit_test(options_out_of_range_are_refused_by_name),
        cmocka_unit_test(long_lists_and_large_messages_are_accepted),
        cmocka_unit_test(nothing_to_work_with_is_refused),
        cmocka_unit_test(a_drain_that_the_group_would_not_wait_for_is_refused),
        cmocka_unit_test(a_pattern_that_is_wrong_is_refused),
        cmocka_unit_test(names_that_no_topic_can_have_are_refused),
        cmocka_unit_test(versions_that_are_known_to_be_bad_are_named),
        cmocka_unit_test(a_bad_version_is_told_once_as_the_runtime_starts),
    };

    return check_run(tests);
}
