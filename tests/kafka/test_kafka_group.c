/* SPDX-License-Identifier: Apache-2.0 */
/* The consumer group around one process: topics that come and go, held partitions, members that
 * take each other's partitions, callbacks of the program. */
#include "kafka/kafka_library.h"
#include "kafka/kafka_runtime.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- topics ------------------------------------------------------------------------------ */

static void a_pattern_brings_every_topic_that_matches_also_later_ones(void **state)
{
    struct kafka_test *test = *state;
    char pattern[KAFKA_NAME_SIZE + 8], second[KAFKA_NAME_SIZE + 8], exact[KAFKA_NAME_SIZE + 8];
    struct kit *kit = &test->kit;
    struct klane_topic rules;

    snprintf(pattern, sizeof pattern, "^%s.*", test->topic);
    snprintf(second, sizeof second, "%s-second", test->topic);
    snprintf(exact, sizeof exact, "%s-exact", test->topic);
    kafka_test_topic(test, 2, NULL);
    kafka_kit_topic(exact, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 10, 1);
    kafka_kit_fill(kafka_kit_producer(), exact, 0, 10, 1);
    kafka_test_kit(test, NULL);
    kit->topic = pattern;
    kit_create(kit);
    klane_topic_init(&rules, sizeof rules);
    rules.name = exact;
    rules.begin = KLANE_BEGIN_LATEST; /* not the pattern's rules */
    assert_int_equal(klane_topic(kit->runtime, &rules), KLANE_OK);
    assert_int_equal(klane_handle(kit->runtime, pattern, kit_handle, kit), KLANE_OK);
    assert_int_equal(klane_handle(kit->runtime, exact, kit_handle, kit), KLANE_OK);
    assert_int_equal(klane_start(kit->runtime), KLANE_OK);
    test->is_running = true;
    kit_wait_ended(kit, 10);
    kit_wait_event(kit, KLANE_EVENT_ASSIGNED, 3);
    kafka_kit_topic(second, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), second, 0, 10, 1);
    kit_wait_ended(kit, 20);

    kafka_test_end(test);
    kafka_kit_topic_delete(second);
    kafka_kit_topic_delete(exact);
}

/* Where the cluster gives out the partitions, librdkafka does not tell of a topic that is not. */
static void wait_until_missed(struct kafka_test *test)
{
    if (!kafka_library_is_consumer_protocol())
        kit_wait_error(&test->kit, KLANE_ERR_NOT_FOUND);
}

static void a_missing_topic_is_told_and_read_when_it_comes(void **state)
{
    struct kafka_test *test = *state;

    kafka_test_run(test);
    wait_until_missed(test);
    kafka_test_topic(test, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 10, 2);

    kit_wait_ended(&test->kit, 10);
    kafka_test_wait_committed(test, 0, 10);
}

static void added_partitions_are_read(void **state)
{
    struct kafka_test *test = *state;

    kafka_test_topic(test, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 10, 2);
    kafka_test_run(test);
    kit_wait_ended(&test->kit, 10);
    kafka_kit_partitions_add(test->topic, 3);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 2, 10, 2);

    kit_wait_ended(&test->kit, 20);
    kafka_test_wait_committed(test, 2, 10);
    kafka_test_wait_committed(test, 0, 10);
}

static void a_deleted_topic_leaves_the_others_alone_and_the_end_in_time(void **state)
{
    struct kafka_test *test = *state;
    struct kit *kit = &test->kit;
    char doomed[KAFKA_NAME_SIZE + 8];

    snprintf(doomed, sizeof doomed, "%s-doomed", test->topic);
    kafka_test_topic(test, 1, NULL);
    kafka_kit_topic(doomed, 2, NULL);
    kafka_kit_fill(kafka_kit_producer(), doomed, 0, 10, 2);
    kafka_test_kit(test, NULL);
    kit->gate = "k1";
    kit_create(kit);
    assert_int_equal(klane_handle(kit->runtime, test->topic, kit_handle, kit), KLANE_OK);
    assert_int_equal(klane_handle(kit->runtime, doomed, kit_handle, kit), KLANE_OK);
    assert_int_equal(klane_start(kit->runtime), KLANE_OK);
    test->is_running = true;
    kit_wait_started(kit, 6);
    kafka_kit_topic_delete(doomed);
    /* What was in hand of it ends all the same; its commit cannot succeed any more. */
    kit_open(kit);
    kit_wait_ended(kit, 10);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 10, 2);
    kit_wait_ended(kit, 20);
    kafka_test_wait_committed(test, 0, 10);
    klane_stop(kit->runtime);

    assert_int_equal(klane_wait(kit->runtime, 12000), KLANE_OK);
}

/* Its partitions are other ones then, though they have the same names. */
static void a_topic_that_is_made_anew_is_read_anew(void **state)
{
    struct kafka_test *test = *state;
    struct kit *kit = &test->kit;

    kafka_test_topic(test, 2, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 100, 3);
    kafka_test_run(test);
    kit_wait_ended(kit, 100);
    kafka_kit_topic_delete(test->topic);
    test->has_topic = false;
    wait_until_missed(test);
    for (int i = 0; i < 1000 && kit_stats(kit).partitions > 0; i++)
        usleep(10000);
    assert_int_equal(kit_stats(kit).partitions, 0);
    /* The cluster deletes what groups have committed for it a moment after the topic. */
    kafka_test_wait_committed(test, 0, -1);
    kafka_test_topic(test, 2, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 300, 3);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 1, 50, 3);

    kit_wait_ended(kit, 450);
    kafka_test_wait_committed(test, 0, 300);
    kafka_test_wait_committed(test, 1, 50);
}

/* Its last commit is refused, and would pass over what is in the new one. */
static void the_rest_of_a_deleted_topic_is_not_committed_to_one_made_anew(void **state)
{
    struct kafka_test *test = *state;
    struct kit *kit = &test->kit;

    kafka_test_topic(test, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 20, 3);
    kafka_test_kit(test, NULL);
    kit->options.commit_interval_ms = 60000;
    kafka_test_start(test, NULL);
    kit_wait_ended(kit, 20);
    kafka_kit_topic_delete(test->topic);
    test->has_topic = false;
    kit_wait_event(kit, KLANE_EVENT_LOST, 1);
    kafka_test_wait_committed(test, 0, -1);
    kafka_test_topic(test, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 50, 3);

    kit_wait_ended(kit, 70);
    assert_int_equal(kit_event_count(kit, KLANE_EVENT_REVOKED), 0);
}

/* ---- unreachable ------------------------------------------------------------------------- */

static void is_told_and_ends_in_time(struct kafka_test *test, const char *servers)
{
    rd_kafka_conf_t *conf = kafka_kit_consumer_conf(test->group);

    kafka_kit_set(conf, "bootstrap.servers", servers);
    kafka_kit_set(conf, "api.version.request.timeout.ms", "500");
    kafka_test_kit(test, conf);
    test->kit.options.stop_ms = 3000;
    kafka_test_start(test, NULL);
    kit_wait_error(&test->kit, KLANE_ERR_UNREACHABLE);
    klane_stop(test->kit.runtime);

    assert_int_equal(klane_wait(test->kit.runtime, 4000), KLANE_OK);
}

static void a_cluster_that_is_not_there_is_told_and_the_end_comes_in_time(void **state)
{
    is_told_and_ends_in_time(*state, "127.0.0.1:1");
}

/* Longer than a label may be: no server is asked. */
#define UNKNOWN_NAME                                                                             \
    "a-label-of-more-than-sixty-three-characters-is-none-that-a-name-server-could-know.invalid"

static void a_name_that_nobody_knows_is_told_and_the_end_comes_in_time(void **state)
{
    is_told_and_ends_in_time(*state, UNKNOWN_NAME ":9092");
}

/* It takes connections, as far as the system does by itself, and says nothing. */
static void a_cluster_that_is_silent_is_told_and_the_end_comes_in_time(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char servers[32];

    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 128), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    snprintf(servers, sizeof servers, "127.0.0.1:%d", ntohs(address.sin_port));
    is_told_and_ends_in_time(*state, servers);
    close(listener);
}

/* ---- isolation --------------------------------------------------------------------------- */

/* Far more records wait behind the stuck key than the runtime may have in memory: its partition
 * is held, and what is on its way must not take the memory of the others. */
static void a_stuck_key_holds_nobody_up(void **state)
{
    struct kafka_test *test = *state;
    struct kit *kit = &test->kit;

    kafka_test_topic(test, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 20000, 2);
    kafka_test_kit(test, NULL);
    kit->gate = "k0";
    kit->options.records_max = 200;
    kit->options.lane_records_max = 50;
    kafka_test_start(test, NULL);
    kit_wait_done(kit, 10000);
    assert_int_equal(kit_key_starts(kit, "k0"), 1);
    assert_true(kit_stats(kit).in_memory <= 50);
    assert_int_equal(kit_stats(kit).parked, 1);
    assert_int_equal(kit_event_count(kit, KLANE_EVENT_HELD), 0);
    kit_open(kit);

    kafka_test_wait_committed(test, 0, 20000);
    assert_int_equal(kit_key_starts(kit, "k0"), 10000);
    assert_int_equal(kit_stats(kit).parked, 0);
    kit_assert_order(kit);
}

/* ---- members ----------------------------------------------------------------------------- */

static void kit_of_member(struct kafka_test *test, struct kafka_test *first, const char *assignor,
                          const char *instance)
{
    rd_kafka_conf_t *conf;

    if (first != test)
        kafka_test_beside(test, first);
    conf = kafka_kit_consumer_conf(test->group);
    kafka_kit_set_classic(conf, "partition.assignment.strategy", assignor);
    if (instance != NULL)
        kafka_kit_set(conf, "group.instance.id", instance);
    kafka_test_kit(test, conf);
}

/* A handler outlasts the drain of its partition, which goes to the other member and comes back:
 * the same key starts again only when the old handler has ended (and finished nothing). */
static void a_handler_outlasts_its_assignment(struct kafka_test *test, const char *assignor)
{
    struct kafka_test *other = calloc(1, sizeof *other);

    kafka_test_topic(test, 2, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 20, 1);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 1, 20, 1);
    kit_of_member(test, test, assignor, NULL);
    test->kit.gate = "k0";
    test->kit.options.drain_ms = 300;
    kafka_test_start(test, NULL);
    kit_wait_started(&test->kit, 2);
    kit_of_member(other, test, assignor, NULL);
    kafka_test_start(other, NULL);
    /* One of the two partitions goes, and its records are handled there. */
    kit_wait_ended(&other->kit, 20);
    assert_true(kit_event_count(&test->kit, KLANE_EVENT_REVOKED) >= 1);
    kafka_test_end(other);
    kit_wait_event(&test->kit, KLANE_EVENT_ASSIGNED, 3);
    assert_int_equal(kit_key_starts(&test->kit, "k0"), 2);
    kit_open(&test->kit);

    kafka_test_wait_committed(test, 0, 20);
    kafka_test_wait_committed(test, 1, 20);
    kit_assert_order(&test->kit);
    free(other);
}

static void a_handler_that_outlasts_its_assignment_overlaps_with_none_eagerly(void **state)
{
    a_handler_outlasts_its_assignment(*state, "range");
}

static void a_handler_that_outlasts_its_assignment_overlaps_with_none_cooperatively(void **state)
{
    a_handler_outlasts_its_assignment(*state, "cooperative-sticky");
}

/* One member after the other joins while all commit all the time: with heartbeats as rare as
 * these, the group is forming for as long as a member has not heard of it. */
static void joining_members_cost_the_others_nothing(void **state)
{
    enum { MEMBERS = 4, PARTITIONS = 6 };
    struct kafka_test *test = *state;
    struct kafka_test *others = calloc(MEMBERS, sizeof *others);
    size_t assigned = 0;

    kafka_test_topic(test, PARTITIONS, NULL);
    for (int m = 0; m < MEMBERS; m++) {
        rd_kafka_conf_t *conf;

        kafka_test_beside(&others[m], test);
        conf = kafka_kit_consumer_conf(test->group);
        kafka_kit_set_classic(conf, "partition.assignment.strategy", "cooperative-sticky");
        kafka_kit_set_classic(conf, "heartbeat.interval.ms", "1000");
        kafka_test_kit(&others[m], conf);
        others[m].kit.options.commit_interval_ms = 5;
        kafka_test_start(&others[m], NULL);
        for (int i = 0; i < 4000 && kit_stats(&others[m].kit).partitions == 0; i++) {
            kafka_kit_fill(kafka_kit_producer(), test->topic, i % PARTITIONS, 1, 5);
            usleep(1000);
        }
        assert_true(kit_stats(&others[m].kit).partitions > 0);
    }
    for (int m = 0; m < MEMBERS; m++) {
        assert_int_equal(kit_event_count(&others[m].kit, KLANE_EVENT_LOST), 0);
        /* From there on klane holds none back: one may be refused, and is sent again. */
        if (rd_kafka_version() < KAFKA_LIBRARY_REJOIN || kafka_library_is_consumer_protocol())
            assert_int_equal(kit_event_count(&others[m].kit, KLANE_EVENT_COMMIT_FAILED), 0);
        assigned += kit_stats(&others[m].kit).partitions;
    }
    assert_int_equal(assigned, PARTITIONS);
    for (int m = 0; m < MEMBERS; m++)
        kafka_test_end(&others[m]);
    free(others);
}

static void a_fenced_static_member_stops_as_fatal_and_commits_nothing(void **state)
{
    struct kafka_test *test = *state;
    struct kafka_test *other = calloc(1, sizeof *other);

    if (kafka_library_is_consumer_protocol()) {
        free(other);
        skip(); /* there the one that came first stays */
    }
    kafka_test_topic(test, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 20, 1);
    kit_of_member(test, test, "range", "only-one");
    test->kit.gate = "k0";
    kafka_test_start(test, NULL);
    kit_wait_started(&test->kit, 1);
    kit_of_member(other, test, "range", "only-one");
    kafka_test_start(other, NULL);
    kit_wait_ended(&other->kit, 20);
    kit_wait_event(&test->kit, KLANE_EVENT_FATAL, 1);
    kit_open(&test->kit);

    assert_int_equal(klane_wait(test->kit.runtime, 12000), KLANE_ERR_FATAL);
    assert_int_equal(kit_event_count(&test->kit, KLANE_EVENT_COMMITTED), 1); /* its begin */
    kafka_test_wait_committed(other, 0, 20);
    kafka_test_end(other);
    free(other);
}

/* Where the cluster gives out the partitions, a second member of one instance is refused. */
static void a_static_member_that_is_refused_stops_as_fatal_and_disturbs_nobody(void **state)
{
    struct kafka_test *test = *state;
    struct kafka_test *other = calloc(1, sizeof *other);

    if (!kafka_library_is_consumer_protocol()) {
        free(other);
        skip();
    }
    kafka_test_topic(test, 1, NULL);
    kit_of_member(test, test, "", "only-one");
    kafka_test_start(test, NULL);
    kit_wait_event(&test->kit, KLANE_EVENT_ASSIGNED, 1);
    kit_of_member(other, test, "", "only-one");
    kafka_test_start(other, NULL);
    kit_wait_event(&other->kit, KLANE_EVENT_FATAL, 1);
    assert_int_equal(klane_wait(other->kit.runtime, 12000), KLANE_ERR_FATAL);
    assert_int_equal(kit_event(&other->kit, KLANE_EVENT_FATAL).err, KLANE_ERR_FENCED);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 20, 1);

    kafka_test_wait_committed(test, 0, 20);
    assert_int_equal(kit_event_count(&test->kit, KLANE_EVENT_ASSIGNED), 1);
    assert_int_equal(kit_event_count(&test->kit, KLANE_EVENT_LOST), 0);
    kafka_test_end(other);
    free(other);
}

static void a_static_member_that_restarts_goes_on_without_a_rebalance(void **state)
{
    struct kafka_test *test = *state;
    struct kafka_test *other = calloc(1, sizeof *other);
    /* One of its two partitions goes; with "range" both do, and one comes back. */
    size_t assigned = kafka_library_is_consumer_protocol() ? 2 : 3;

    kafka_test_topic(test, 2, NULL);
    kit_of_member(other, test, "range", "steady");
    kafka_test_start(other, NULL);
    kit_wait_event(&other->kit, KLANE_EVENT_ASSIGNED, 2);
    kit_of_member(test, test, "range", "restarts");
    kafka_test_start(test, NULL);
    kit_wait_event(&test->kit, KLANE_EVENT_ASSIGNED, 1);
    kit_wait_event(&other->kit, KLANE_EVENT_ASSIGNED, assigned);
    kafka_test_end(test);
    kit_of_member(test, test, "range", "restarts");
    kafka_test_start(test, NULL);
    kit_wait_event(&test->kit, KLANE_EVENT_ASSIGNED, 1);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 10, 1);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 1, 10, 1);
    kit_wait_ended(&test->kit, 10);
    kit_wait_ended(&other->kit, 10);

    assert_int_equal(kit_event_count(&other->kit, KLANE_EVENT_ASSIGNED), assigned);
    kafka_test_end(other);
    free(other);
}

static void a_handler_may_take_longer_than_the_poll_interval(void **state)
{
    struct kafka_test *test = *state;
    rd_kafka_conf_t *conf = kafka_kit_consumer_conf(test->group);

    kafka_kit_set(conf, "max.poll.interval.ms", "6000");
    kafka_test_topic(test, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 1, 1);
    kafka_test_kit(test, conf);
    test->kit.options.drain_ms = 500;
    test->kit.gate = "k0";
    kafka_test_start(test, NULL);
    kit_wait_started(&test->kit, 1);
    /* Time itself is what this is about: nothing else happens meanwhile. */
    sleep(8);
    kit_open(&test->kit);

    kafka_test_wait_committed(test, 0, 1);
    assert_int_equal(kit_event_count(&test->kit, KLANE_EVENT_LOST), 0);
    assert_int_equal(kit_event_count(&test->kit, KLANE_EVENT_ASSIGNED), 1);
}

/* ---- the program's own callbacks --------------------------------------------------------- */

static struct {
    _Atomic int stats, logs, tokens, opaques;
} called;

static int on_stats(rd_kafka_t *rk, char *json, size_t size, void *opaque)
{
    (void)rk;
    called.opaques += opaque == &called && size > 0 && json[0] == '{';
    called.stats++;
    return 0;
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *line)
{
    (void)level, (void)facility, (void)line;
    called.opaques += rd_kafka_opaque(rk) == &called;
    called.logs++;
}

static void on_token(rd_kafka_t *rk, const char *config, void *opaque)
{
    (void)config;
    called.opaques += opaque == &called;
    called.tokens++;
    rd_kafka_oauthbearer_set_token_failure(rk, "this cluster wants none");
}

static void the_programs_callbacks_and_opaque_are_left_alone(void **state)
{
    struct kafka_test *test = *state;
    rd_kafka_conf_t *conf = kafka_kit_consumer_conf(test->group);

    kafka_kit_set(conf, "statistics.interval.ms", "100");
    kafka_kit_set(conf, "log_level", "7");
    kafka_kit_set(conf, "debug", "cgrp");
    rd_kafka_conf_set_opaque(conf, &called);
    rd_kafka_conf_set_stats_cb(conf, on_stats);
    rd_kafka_conf_set_log_cb(conf, on_log);
    kafka_test_topic(test, 1, NULL);
    kafka_test_kit(test, conf);
    kafka_test_start(test, NULL);
    kit_wait_event(&test->kit, KLANE_EVENT_ASSIGNED, 1);
    for (int i = 0; i < 1000 && called.stats < 3; i++)
        usleep(10000);

    assert_true(called.stats >= 3);
    assert_true(called.logs > 0);
    kafka_test_end(test);
    assert_int_equal(called.opaques, called.stats + called.logs);
}

static void tokens_are_asked_of_the_program(void **state)
{
    struct kafka_test *test = *state;
    rd_kafka_conf_t *conf = kafka_kit_consumer_conf(test->group);

    kafka_kit_set(conf, "security.protocol", "sasl_plaintext");
    kafka_kit_set(conf, "sasl.mechanisms", "OAUTHBEARER");
    rd_kafka_conf_set_opaque(conf, &called);
    rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, on_token);
    kafka_test_kit(test, conf);
    kafka_test_start(test, NULL);
    for (int i = 0; i < 1000 && called.tokens == 0; i++)
        usleep(10000);

    assert_true(called.tokens > 0);
    kit_wait_error(&test->kit, KLANE_ERR_DENIED);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        kafka_test_case(a_pattern_brings_every_topic_that_matches_also_later_ones),
        kafka_test_case(a_missing_topic_is_told_and_read_when_it_comes),
        kafka_test_case(added_partitions_are_read),
        kafka_test_case(a_deleted_topic_leaves_the_others_alone_and_the_end_in_time),
        kafka_test_case(a_topic_that_is_made_anew_is_read_anew),
        kafka_test_case(the_rest_of_a_deleted_topic_is_not_committed_to_one_made_anew),
        kafka_test_case(a_cluster_that_is_not_there_is_told_and_the_end_comes_in_time),
        kafka_test_case(a_name_that_nobody_knows_is_told_and_the_end_comes_in_time),
        kafka_test_case(a_cluster_that_is_silent_is_told_and_the_end_comes_in_time),
        kafka_test_case(a_stuck_key_holds_nobody_up),
        kafka_test_case(a_handler_that_outlasts_its_assignment_overlaps_with_none_eagerly),
        kafka_test_case(a_handler_that_outlasts_its_assignment_overlaps_with_none_cooperatively),
        kafka_test_case(joining_members_cost_the_others_nothing),
        kafka_test_case(a_fenced_static_member_stops_as_fatal_and_commits_nothing),
        kafka_test_case(a_static_member_that_is_refused_stops_as_fatal_and_disturbs_nobody),
        kafka_test_case(a_static_member_that_restarts_goes_on_without_a_rebalance),
        kafka_test_case(a_handler_may_take_longer_than_the_poll_interval),
        kafka_test_case(the_programs_callbacks_and_opaque_are_left_alone),
        kafka_test_case(tokens_are_asked_of_the_program),
    };
    int failed = check_run(tests);

    kafka_kit_deinit();
    return failed;
}
