/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/kafka_runtime.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int kafka_test_setup(void **state)
{
    struct kafka_test *test = calloc(1, sizeof *test);

    kafka_kit_name(test->topic, "topic");
    kafka_kit_name(test->group, "group");
    *state = test;
    return 0;
}

int kafka_test_teardown(void **state)
{
    struct kafka_test *test = *state;

    if (test->is_running)
        kafka_test_end(test);
    if (test->has_topic)
        kafka_kit_topic_delete(test->topic);
    free(test);
    return 0;
}

void kafka_test_topic(struct kafka_test *test, int partitions, const char *const *configs)
{
    kafka_kit_topic(test->topic, partitions, configs);
    test->has_topic = true;
}

void kafka_test_beside(struct kafka_test *test, const struct kafka_test *first)
{
    memcpy(test->topic, first->topic, sizeof test->topic);
    memcpy(test->group, first->group, sizeof test->group);
}

void kafka_test_kit(struct kafka_test *test, rd_kafka_conf_t *conf)
{
    kafka_test_kit_with(test, conf, NULL);
}

void kafka_test_kit_with(struct kafka_test *test, rd_kafka_conf_t *conf,
                         const struct klane_kafka_options *options)
{
    struct klane_source *source;
    char why[512];

    if (conf == NULL)
        conf = kafka_kit_consumer_conf(test->group);
    if (klane_kafka_create(conf, options, &source, why, sizeof why) != KLANE_OK)
        fail_msg("%s", why);
    kit_init_on(&test->kit, source, test->topic);
}

void kafka_test_start(struct kafka_test *test, const struct klane_topic *rules)
{
    struct klane_topic named;

    kit_create(&test->kit);
    if (rules != NULL) {
        named = *rules;
        named.name = test->kit.topic;
        assert_int_equal(klane_topic(test->kit.runtime, &named), KLANE_OK);
    }
    assert_int_equal(klane_handle(test->kit.runtime, test->kit.topic, kit_handle, &test->kit),
                     KLANE_OK);
    assert_int_equal(klane_start(test->kit.runtime), KLANE_OK);
    test->is_running = true;
}

void kafka_test_run(struct kafka_test *test)
{
    kafka_test_kit(test, NULL);
    kafka_test_start(test, NULL);
}

void kafka_test_end(struct kafka_test *test)
{
    test->is_running = false;
    kit_end(&test->kit);
}

struct klane_letters *kafka_test_start_with_letters(struct kafka_test *test,
                                                    rd_kafka_conf_t *conf, const char *dead,
                                                    uint32_t attempts_max)
{
    struct klane_letters *letters;
    struct klane_route route;
    char why[256];

    kit_create(&test->kit);
    if (klane_kafka_letters(test->kit.runtime, conf, NULL, dead, &letters, why, sizeof why) !=
        KLANE_OK)
        fail_msg("%s", why);
    kit_route_init(&test->kit, &route);
    route.retry_delay_ms = 100;
    route.attempts_max = attempts_max;
    route.exhausted = KLANE_EXHAUSTED_DEAD_LETTER;
    route.dead_letter = klane_letters_send;
    route.dead_letter_context = letters;
    assert_int_equal(klane_route(test->kit.runtime, &route), KLANE_OK);
    assert_int_equal(klane_start(test->kit.runtime), KLANE_OK);
    test->is_running = true;
    return letters;
}

void kafka_test_end_with_letters(struct kafka_test *test, struct klane_letters *letters)
{
    klane_stop(test->kit.runtime);
    assert_int_not_equal(klane_wait(test->kit.runtime, 20000), KLANE_ERR_TIMEOUT);
    klane_letters_stop(letters);
    kafka_test_end(test);
    klane_letters_destroy(letters);
}

void kafka_test_wait_committed(struct kafka_test *test, int32_t partition, int64_t offset)
{
    int64_t committed = -1;

    for (int i = 0; i < KAFKA_KIT_MS / 20; i++) {
        committed = kafka_kit_committed(test->group, test->topic, partition);
        if (committed == offset)
            return;
        usleep(20000);
    }
    fail_msg("%lld was committed, not %lld", (long long)committed, (long long)offset);
}
