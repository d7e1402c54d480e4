/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster that asks who one is and what one may do, on a broker of the test's own: what is
 * refused is told with its cause, costs next to nothing while it lasts, and goes on without a new
 * start when it is granted; and no secret comes out. */
#include "kafka/kafka_runtime.h"
#include "kafka/secure.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TOLD_MS 10000 /* in which the cause has to be told */
#define IDLE_SECONDS 1
#define IDLE_CPU_SECONDS 0.15
#define REFUSED_CPU_SECONDS 0.1 /* of each, in three */
#define ERRORS_PER_SECOND 20    /* the kit has connections tried anew five times in one */
#define STOP_MS 3000
#define HEARD_SIZE (UINT32_C(1) << 20)

/* ---- what is heard ----------------------------------------------------------------------- */

/* A runtime, and all that it says: a line for each event and each line of the log. */
struct heard {
    struct kafka_test test; /* the first: kafka_test_teardown() frees it */
    klane_event_fn event;
    klane_log_fn log;
    pthread_mutex_t lock;
    size_t size;
    char text[HEARD_SIZE];
};

static struct heard *heard_of(void *context)
{
    struct kit *kit = context;

    return (struct heard *)(void *)((char *)kit - offsetof(struct kafka_test, kit));
}

static void keep(struct heard *heard, const char *kind, int number, const char *text)
{
    int size;

    pthread_mutex_lock(&heard->lock);
    size = snprintf(heard->text + heard->size, sizeof heard->text - heard->size, "%s %d: %s\n",
                    kind, number, text == NULL ? "" : text);
    if ((size_t)size >= sizeof heard->text - heard->size)
        abort();
    heard->size += (size_t)size;
    pthread_mutex_unlock(&heard->lock);
}

static void on_event(const struct klane_event *event, void *context)
{
    struct heard *heard = heard_of(context);
    char kind[48];

    snprintf(kind, sizeof kind, "event %d of", (int)event->type);
    keep(heard, kind, (int)event->err, event->message);
    heard->event(event, context);
}

static void on_log(enum klane_log_level level, const char *line, void *context)
{
    struct heard *heard = heard_of(context);

    keep(heard, "line of", (int)level, line);
    heard->log(level, line, context);
}

/* A line that begins so, and says this, comes in time. */
static void wait_said(struct heard *heard, const char *begins, const char *says)
{
    for (int i = 0; i < TOLD_MS / 10; i++) {
        bool is_said = false;

        pthread_mutex_lock(&heard->lock);
        for (const char *at = heard->text; !is_said && (at = strstr(at, begins)) != NULL; at++) {
            const char *end = strchr(at, '\n'), *found = strstr(at, says);

            is_said = found != NULL && found < end;
        }
        pthread_mutex_unlock(&heard->lock);
        if (is_said)
            return;
        usleep(10000);
    }
    fail_msg("\"%s\" with \"%s\" was not said, but:\n%s", begins, says, heard->text);
}

static void wait_told(struct heard *heard, enum klane_event_type type, klane_err_t err,
                      const char *says)
{
    char begins[64];

    snprintf(begins, sizeof begins, "event %d of %d: ", (int)type, (int)err);
    wait_said(heard, begins, says);
}

/* ---- runtimes ---------------------------------------------------------------------------- */

static int setup(void **state)
{
    struct heard *heard = calloc(1, sizeof *heard);

    pthread_mutex_init(&heard->lock, NULL);
    kafka_kit_name(heard->test.topic, "topic");
    kafka_kit_name(heard->test.group, "group");
    *state = heard;
    return 0;
}

/* How a client comes to the cluster. */
struct way {
    enum secure_listener listener;
    const char *protocol;
    const char *authority; /* NULL: without TLS */
    const char *mechanism; /* NULL: without SASL */
    const char *password;
    bool has_certificate;
};

static const struct way password_way = {SECURE_USERS, "sasl_ssl",      "ca.pem",
                                        "PLAIN",      SECURE_PASSWORD, false};

static void go(rd_kafka_conf_t *conf, const struct way *way)
{
    kafka_kit_set(conf, "bootstrap.servers", secure_at(way->listener));
    kafka_kit_set(conf, "security.protocol", way->protocol);
    if (way->authority != NULL)
        kafka_kit_set(conf, "ssl.ca.location", secure_file(way->authority));
    if (way->mechanism != NULL) {
        kafka_kit_set(conf, "sasl.mechanisms", way->mechanism);
        kafka_kit_set(conf, "sasl.username", SECURE_USER);
        kafka_kit_set(conf, "sasl.password", way->password);
    }
    if (way->has_certificate) {
        kafka_kit_set(conf, "ssl.certificate.location", secure_file("client.pem"));
        kafka_kit_set(conf, "ssl.key.location", secure_file("client.key"));
        kafka_kit_set(conf, "ssl.key.password", SECURE_PASSPHRASE);
    }
}

static rd_kafka_conf_t *conf_of(const struct heard *heard, const struct way *way)
{
    rd_kafka_conf_t *conf = kafka_kit_consumer_conf(heard->test.group);

    go(conf, way);
    return conf;
}

static void make(struct heard *heard, rd_kafka_conf_t *conf,
                 const struct klane_kafka_options *options)
{
    kafka_test_kit_with(&heard->test, conf, options);
    heard->event = heard->test.kit.options.event;
    heard->log = heard->test.kit.options.log;
    heard->test.kit.options.event = on_event;
    heard->test.kit.options.log = on_log;
    heard->test.kit.options.stop_ms = STOP_MS;
}

static void run(struct heard *heard, const struct way *way)
{
    make(heard, conf_of(heard, way), NULL);
    kafka_test_start(&heard->test, NULL);
}

static void allow_all(const struct heard *heard)
{
    secure_allow(RD_KAFKA_RESOURCE_TOPIC, heard->test.topic, RD_KAFKA_ACL_OPERATION_READ);
    secure_allow(RD_KAFKA_RESOURCE_GROUP, heard->test.group, RD_KAFKA_ACL_OPERATION_READ);
}

static void append(const struct heard *heard, int count)
{
    kafka_kit_fill(kafka_kit_producer(), heard->test.topic, 0, count, 3);
}

static double cpu_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* What is refused is tried again, but rarely, and told no more often. */
static void assert_idle(struct heard *heard)
{
    size_t errors = kit_event_count(&heard->test.kit, KLANE_EVENT_SOURCE_ERROR);
    double seconds = cpu_seconds();

    /* Time itself is what this is about. */
    usleep(1000000 * IDLE_SECONDS);
    seconds = cpu_seconds() - seconds;
    errors = kit_event_count(&heard->test.kit, KLANE_EVENT_SOURCE_ERROR) - errors;
    printf("idle: %.3f s of processor time and %zu errors in %d s\n", seconds, errors,
           IDLE_SECONDS);
    assert_true(seconds < IDLE_CPU_SECONDS);
    assert_true(errors <= ERRORS_PER_SECOND * IDLE_SECONDS);
}

/* ---- who one is -------------------------------------------------------------------------- */

static void reads_and_commits(struct heard *heard, const struct way *way)
{
    kafka_test_topic(&heard->test, 1, NULL);
    allow_all(heard);
    append(heard, 20);
    run(heard, way);
    kit_wait_ended(&heard->test.kit, 20);
    kafka_test_wait_committed(&heard->test, 0, 20);
}

static void with_the_right_password_records_flow(void **state)
{
    reads_and_commits(*state, &password_way);
}

static void with_a_certificate_of_the_clients_records_flow(void **state)
{
    static const struct way way = {SECURE_MUTUAL, "ssl", "ca.pem", NULL, NULL, true};

    reads_and_commits(*state, &way);
}

/* From librdkafka 2.6.1 on; before that it is told that this is none of the password's. */
static void by_scram_records_flow_or_the_reason_is_told(void **state)
{
    static const struct way way = {SECURE_USERS,    "sasl_ssl",      "ca.pem",
                                   "SCRAM-SHA-256", SECURE_PASSWORD, false};

    secure_scram(SECURE_PASSWORD);
    if (rd_kafka_version() >= 0x020601ff) {
        reads_and_commits(*state, &way);
        return;
    }
    run(*state, &way);
    wait_told(*state, KLANE_EVENT_SOURCE_ERROR, KLANE_ERR_DENIED, "librdkafka before 2.6.1");
}

/* ---- who one is not ---------------------------------------------------------------------- */

#define WRONG_PASSWORD "wrong-" SECURE_PASSWORD

static const struct refusal {
    struct way way;
    klane_err_t err;
    const char *says;
} refusals[] = {
    {{SECURE_USERS, "sasl_ssl", "ca.pem", "PLAIN", WRONG_PASSWORD, false},
     KLANE_ERR_DENIED,
     "Authentication failed"},
    {{SECURE_EXPIRED, "ssl", "ca.pem", NULL, NULL, false},
     KLANE_ERR_UNREACHABLE,
     "certificate has expired"},
    {{SECURE_STRANGER, "ssl", "ca.pem", NULL, NULL, false},
     KLANE_ERR_UNREACHABLE,
     "authority of the broker's certificate is not known"},
    {{SECURE_MISNAMED, "ssl", "ca.pem", NULL, NULL, false},
     KLANE_ERR_UNREACHABLE,
     "certificate is for another host"},
    {{SECURE_MUTUAL, "plaintext", NULL, NULL, NULL, false},
     KLANE_ERR_UNREACHABLE,
     "listener may be one with TLS"},
    {{SECURE_USERS, "sasl_plaintext", NULL, "PLAIN", SECURE_PASSWORD, false},
     KLANE_ERR_UNREACHABLE,
     "listener may be one with TLS"},
    {{SECURE_PLAINTEXT, "ssl", "ca.pem", NULL, NULL, false},
     KLANE_ERR_UNREACHABLE,
     "one without TLS"},
    {{SECURE_MUTUAL, "ssl", "ca.pem", NULL, NULL, false},
     KLANE_ERR_UNREACHABLE,
     "the client's certificate"},
};
#define REFUSALS (sizeof refusals / sizeof refusals[0])

static void assert_no_secret(const char *text)
{
    assert_null(strstr(text, SECURE_PASSWORD));
    assert_null(strstr(text, SECURE_PASSPHRASE));
}

static size_t errors_of(void *const *made)
{
    size_t errors = 0;

    for (size_t i = 0; i < REFUSALS; i++)
        errors += kit_event_count(&((struct heard *)made[i])->test.kit, KLANE_EVENT_SOURCE_ERROR);
    return errors;
}

/* All at once, as each of them mostly waits. */
static void a_refusal_is_told_with_its_cause_and_costs_next_to_nothing(void **state)
{
    void *made[REFUSALS];
    double seconds;
    size_t errors;

    (void)state;
    for (size_t i = 0; i < REFUSALS; i++) {
        setup(&made[i]);
        run(made[i], &refusals[i].way);
    }
    for (size_t i = 0; i < REFUSALS; i++)
        wait_told(made[i], KLANE_EVENT_SOURCE_ERROR, refusals[i].err, refusals[i].says);
    errors = errors_of(made);
    seconds = cpu_seconds();
    /* Time itself is what this is about. */
    usleep(3000000);
    seconds = cpu_seconds() - seconds;
    errors = errors_of(made) - errors;
    printf("%zu refused runtimes: %.3f s of processor time and %zu errors in 3 s\n", REFUSALS,
           seconds, errors);
    assert_true(seconds < REFUSED_CPU_SECONDS * (double)REFUSALS);
    assert_true(errors <= 3 * ERRORS_PER_SECOND * REFUSALS);
    for (size_t i = 0; i < REFUSALS; i++) {
        struct heard *heard = made[i];

        assert_int_equal(kit_event_count(&heard->test.kit, KLANE_EVENT_FATAL), 0);
        klane_stop(heard->test.kit.runtime);
        assert_int_equal(klane_wait(heard->test.kit.runtime, STOP_MS + 500), KLANE_OK);
        assert_no_secret(heard->text);
        kafka_test_teardown(&made[i]);
    }
}

/* ---- what one may do --------------------------------------------------------------------- */

static void a_topic_that_may_not_be_read_is_told_and_read_when_it_may(void **state)
{
    struct heard *heard = *state;

    kafka_test_topic(&heard->test, 1, NULL);
    append(heard, 20);
    secure_allow(RD_KAFKA_RESOURCE_GROUP, heard->test.group, RD_KAFKA_ACL_OPERATION_READ);
    run(heard, &password_way);
    wait_told(heard, KLANE_EVENT_SOURCE_ERROR, KLANE_ERR_DENIED, heard->test.topic);
    assert_idle(heard);
    secure_allow(RD_KAFKA_RESOURCE_TOPIC, heard->test.topic, RD_KAFKA_ACL_OPERATION_READ);

    kit_wait_ended(&heard->test.kit, 20);
    kafka_test_wait_committed(&heard->test, 0, 20);
}

static void a_group_that_may_not_be_joined_is_told_and_joined_when_it_may(void **state)
{
    struct heard *heard = *state;

    kafka_test_topic(&heard->test, 1, NULL);
    append(heard, 20);
    secure_allow(RD_KAFKA_RESOURCE_TOPIC, heard->test.topic, RD_KAFKA_ACL_OPERATION_READ);
    run(heard, &password_way);
    wait_told(heard, KLANE_EVENT_SOURCE_ERROR, KLANE_ERR_DENIED, "Group authorization failed");
    assert_idle(heard);
    secure_allow(RD_KAFKA_RESOURCE_GROUP, heard->test.group, RD_KAFKA_ACL_OPERATION_READ);

    kit_wait_ended(&heard->test.kit, 20);
    kafka_test_wait_committed(&heard->test, 0, 20);
}

/* What comes meanwhile is read when it may be again, and nothing is lost. */
static void right_is_taken_for_a_while(struct heard *heard, rd_kafka_ResourceType_t type,
                                       const char *name, const char *says)
{
    kafka_test_topic(&heard->test, 1, NULL);
    allow_all(heard);
    append(heard, 20);
    run(heard, &password_way);
    kit_wait_ended(&heard->test.kit, 20);
    kafka_test_wait_committed(&heard->test, 0, 20);
    secure_deny(type, name, RD_KAFKA_ACL_OPERATION_READ);
    append(heard, 20);
    wait_told(heard, KLANE_EVENT_SOURCE_ERROR, KLANE_ERR_DENIED, says);
    assert_idle(heard);
    append(heard, 20);
    secure_allow(type, name, RD_KAFKA_ACL_OPERATION_READ);

    kafka_test_wait_committed(&heard->test, 0, 60);
    assert_int_equal(kit_event_count(&heard->test.kit, KLANE_EVENT_FATAL), 0);
    for (int i = 0; i < 60; i++) {
        size_t starts = 0;

        for (size_t j = 0; j < heard->test.kit.note_count; j++)
            starts += heard->test.kit.notes[j].offset == i;
        assert_true(starts >= 1);
    }
    kit_assert_order(&heard->test.kit);
}

static void a_topic_that_may_not_be_read_for_a_while_loses_nothing(void **state)
{
    struct heard *heard = *state;

    right_is_taken_for_a_while(heard, RD_KAFKA_RESOURCE_TOPIC, heard->test.topic,
                               "Topic authorization failed");
}

static void a_group_that_may_not_be_used_for_a_while_loses_nothing(void **state)
{
    struct heard *heard = *state;

    right_is_taken_for_a_while(heard, RD_KAFKA_RESOURCE_GROUP, heard->test.group,
                               "a commit was refused, it is sent again: Broker: Group auth");
}

/* ---- dead letters ------------------------------------------------------------------------ */

static enum klane_outcome fail_some(struct kit *kit, const struct klane_record *record)
{
    (void)kit;
    return memcmp(record->key, "k1", 2) == 0 ? klane_retry(record, 1, "no") : KLANE_DONE;
}

static struct klane_letters *run_with_letters(struct heard *heard, const struct way *way,
                                              const char *topic)
{
    rd_kafka_conf_t *conf = kafka_kit_conf();
    struct klane_letters *letters;
    struct klane_route route;
    char why[256];

    go(conf, way);
    kafka_kit_set(conf, "message.timeout.ms", "1500");
    make(heard, conf_of(heard, &password_way), NULL);
    heard->test.kit.act = fail_some;
    kit_create(&heard->test.kit);
    if (klane_kafka_letters(heard->test.kit.runtime, conf, NULL, topic, &letters, why,
                            sizeof why) != KLANE_OK)
        fail_msg("%s", why);
    kit_route_init(&heard->test.kit, &route);
    route.retry_delay_ms = 100;
    route.attempts_max = 1;
    route.exhausted = KLANE_EXHAUSTED_DEAD_LETTER;
    route.dead_letter = klane_letters_send;
    route.dead_letter_context = letters;
    assert_int_equal(klane_route(heard->test.kit.runtime, &route), KLANE_OK);
    assert_int_equal(klane_start(heard->test.kit.runtime), KLANE_OK);
    heard->test.is_running = true;
    return letters;
}

static void end_with_letters(struct heard *heard, struct klane_letters *letters)
{
    klane_stop(heard->test.kit.runtime);
    assert_int_not_equal(klane_wait(heard->test.kit.runtime, 20000), KLANE_ERR_TIMEOUT);
    klane_letters_stop(letters);
    kafka_test_end(&heard->test);
    klane_letters_destroy(letters);
}

/* The keys whose records are good go on; the others' wait. */
static void letters_are_refused(struct heard *heard, const char *dead, const struct way *way,
                                const char *says, void (*mend)(const char *dead))
{
    struct klane_letters *letters;

    kafka_kit_topic(dead, 1, NULL);
    kafka_test_topic(&heard->test, 1, NULL);
    allow_all(heard);
    append(heard, 30);
    letters = run_with_letters(heard, way, dead);
    wait_said(heard, "a dead letter was not kept", says);
    kit_wait_done(&heard->test.kit, 20);
    kafka_test_wait_committed(&heard->test, 0, 1);
    assert_int_equal(kit_event_count(&heard->test.kit, KLANE_EVENT_DEAD_LETTER), 0);
    if (mend != NULL) {
        mend(dead);
        kafka_test_wait_committed(&heard->test, 0, 30);
        assert_int_equal(kafka_kit_count(dead, 0), 10);
    }
    assert_no_secret(heard->text);
    end_with_letters(heard, letters);
    kafka_kit_topic_delete(dead);
}

static void allow_write(const char *dead)
{
    secure_allow(RD_KAFKA_RESOURCE_TOPIC, dead, RD_KAFKA_ACL_OPERATION_WRITE);
}

static void a_dead_letter_that_may_not_be_written_is_told_and_waits_until_it_may(void **state)
{
    char dead[KAFKA_NAME_SIZE];

    kafka_kit_name(dead, "dead");
    letters_are_refused(*state, dead, &password_way, "Topic authorization failed", allow_write);
}

static void a_wrong_password_of_dead_letters_is_told(void **state)
{
    char dead[KAFKA_NAME_SIZE];
    struct way way = password_way;

    way.password = WRONG_PASSWORD;
    kafka_kit_name(dead, "wrong");
    letters_are_refused(*state, dead, &way, "Authentication failed", NULL);
}

static void an_expired_certificate_before_dead_letters_is_told(void **state)
{
    static const struct way way = {SECURE_EXPIRED, "ssl", "ca.pem", NULL, NULL, false};
    char dead[KAFKA_NAME_SIZE];

    kafka_kit_name(dead, "expired");
    letters_are_refused(*state, dead, &way, "certificate has expired", NULL);
}

/* ---- secrets ----------------------------------------------------------------------------- */

/* What this process prints goes to a file meanwhile. */
struct printed {
    FILE *file;
    int out;
    int err;
};

static void begin_printed(struct printed *printed)
{
    printed->file = tmpfile();
    assert_non_null(printed->file);
    fflush(stdout);
    printed->out = dup(STDOUT_FILENO);
    printed->err = dup(STDERR_FILENO);
    dup2(fileno(printed->file), STDOUT_FILENO);
    dup2(fileno(printed->file), STDERR_FILENO);
}

/* The caller frees it. */
static char *end_printed(struct printed *printed)
{
    char *text;
    long size;

    fflush(stdout);
    dup2(printed->out, STDOUT_FILENO);
    dup2(printed->err, STDERR_FILENO);
    close(printed->out);
    close(printed->err);
    fseek(printed->file, 0, SEEK_END);
    size = ftell(printed->file);
    rewind(printed->file);
    text = calloc(1, (size_t)size + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)size, printed->file), size);
    fclose(printed->file);
    return text;
}

/* With all that librdkafka tells of itself, on ways that are refused and ways that are not. */
static void no_secret_comes_out(void **state)
{
    static const struct way ways[] = {
        {SECURE_USERS, "sasl_ssl", "ca.pem", "PLAIN", SECURE_PASSWORD, false},
        {SECURE_USERS, "sasl_ssl", "ca.pem", "PLAIN", WRONG_PASSWORD, false},
        {SECURE_USERS, "sasl_ssl", "ca.pem", "SCRAM-SHA-256", SECURE_PASSWORD, false},
        {SECURE_MUTUAL, "ssl", "ca.pem", NULL, NULL, true},
        {SECURE_EXPIRED, "ssl", "ca.pem", NULL, NULL, true},
    };
    enum { WAYS = sizeof ways / sizeof ways[0] };
    struct klane_kafka_options options;
    struct printed printed;
    void *made[WAYS];
    char *text;

    (void)state;
    klane_kafka_options_init(&options, sizeof options);
    options.allow_unsafe = true;
    begin_printed(&printed);
    for (int i = 0; i < WAYS; i++) {
        struct heard *heard;
        rd_kafka_conf_t *conf;

        setup(&made[i]);
        heard = made[i];
        conf = conf_of(heard, &ways[i]);
        kafka_kit_set(conf, "debug", "security,broker,conf,cgrp");
        kafka_kit_set(conf, "log_level", "7");
        make(heard, conf, &options);
        kafka_test_start(&heard->test, NULL);
    }
    usleep(1500000);
    for (int i = 0; i < WAYS; i++)
        kafka_test_end(&((struct heard *)made[i])->test);
    text = end_printed(&printed);
    for (int i = 0; i < WAYS; i++) {
        assert_no_secret(((struct heard *)made[i])->text);
        kafka_test_teardown(&made[i]);
    }
    assert_non_null(strstr(text, "SASL"));
    assert_non_null(strstr(text, "certificate"));
    assert_no_secret(text);
    free(text);
}

/* A key that the passphrase does not open. */
static void what_is_refused_at_once_says_no_secret(void **state)
{
    static const struct way way = {SECURE_MUTUAL, "ssl", "ca.pem", NULL, NULL, true};
    rd_kafka_conf_t *conf = conf_of(*state, &way);
    struct klane_source *source;
    struct printed printed;
    char why[512], *text;

    kafka_kit_set(conf, "ssl.key.password", "wrong-" SECURE_PASSPHRASE);
    begin_printed(&printed);
    assert_int_equal(klane_kafka_create(conf, NULL, &source, why, sizeof why), KLANE_ERR_INVALID);
    text = end_printed(&printed);
    check_says(why, "ssl.key.location");
    assert_no_secret(why);
    assert_no_secret(text);
    free(text);
    rd_kafka_conf_destroy(conf);
}

/* ---- main -------------------------------------------------------------------------------- */

static void a_password_that_is_corrected_is_used_without_a_new_start(void **state)
{
    struct heard *heard = *state;
    struct way way = password_way;

    way.password = "late-" SECURE_PASSWORD;
    kafka_test_topic(&heard->test, 1, NULL);
    allow_all(heard);
    append(heard, 20);
    run(heard, &way);
    wait_told(heard, KLANE_EVENT_SOURCE_ERROR, KLANE_ERR_DENIED, "Authentication failed");
    secure_password(way.password);

    kit_wait_ended(&heard->test.kit, 20);
    kafka_test_wait_committed(&heard->test, 0, 20);
    assert_no_secret(heard->text);
}

#define secure_case(function)                                                                    \
    cmocka_unit_test_setup_teardown(function, setup, kafka_test_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        secure_case(with_the_right_password_records_flow),
        secure_case(with_a_certificate_of_the_clients_records_flow),
        secure_case(by_scram_records_flow_or_the_reason_is_told),
        cmocka_unit_test(a_refusal_is_told_with_its_cause_and_costs_next_to_nothing),
        secure_case(a_topic_that_may_not_be_read_is_told_and_read_when_it_may),
        secure_case(a_group_that_may_not_be_joined_is_told_and_joined_when_it_may),
        secure_case(a_topic_that_may_not_be_read_for_a_while_loses_nothing),
        secure_case(a_group_that_may_not_be_used_for_a_while_loses_nothing),
        secure_case(a_dead_letter_that_may_not_be_written_is_told_and_waits_until_it_may),
        secure_case(a_wrong_password_of_dead_letters_is_told),
        secure_case(an_expired_certificate_before_dead_letters_is_told),
        cmocka_unit_test(no_secret_comes_out),
        secure_case(what_is_refused_at_once_says_no_secret),
        /* Starts the broker anew. */
        secure_case(a_password_that_is_corrected_is_used_without_a_new_start),
    };
    int failed;

    secure_up();
    failed = check_run(tests);
    kafka_kit_deinit();
    secure_down();
    return failed;
}
