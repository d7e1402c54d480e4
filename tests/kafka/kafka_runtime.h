/* SPDX-License-Identifier: Apache-2.0 */
/* A topic, a group, and a runtime that reads one for the other: what tests of the Kafka source
 * begin with. The runtime's kit is lib/engine_kit.h. Main thread only. */
#ifndef KLANE_TESTS_KAFKA_KAFKA_RUNTIME_H
#define KLANE_TESTS_KAFKA_KAFKA_RUNTIME_H

#include "kafka/kafka_kit.h"
#include "lib/engine_kit.h"

struct kafka_test {
    char topic[KAFKA_NAME_SIZE];
    char group[KAFKA_NAME_SIZE];
    struct kit kit;
    bool has_topic;
    bool is_running;
};

/* For cmocka: names, but no topic yet. The end stops and deletes what there is. */
int kafka_test_setup(void **state);
int kafka_test_teardown(void **state);

/* Make the topic. */
void kafka_test_topic(struct kafka_test *test, int partitions, const char *const *configs);

/* Instead of a topic and a group of its own: those of the first. */
void kafka_test_beside(struct kafka_test *test, const struct kafka_test *first);

/* The kit on a source with this configuration (NULL: the usual one); options may be changed. */
void kafka_test_kit(struct kafka_test *test, rd_kafka_conf_t *conf);

/* The same with these options of the source. */
void kafka_test_kit_with(struct kafka_test *test, rd_kafka_conf_t *conf,
                         const struct klane_kafka_options *options);

/* Make the runtime with these rules of the topic, and start it. */
void kafka_test_start(struct kafka_test *test, const struct klane_topic *rules);

/* The usual: kafka_test_kit() and kafka_test_start() with the default rules. */
void kafka_test_run(struct kafka_test *test);

/* Stop it and give the kit back. */
void kafka_test_end(struct kafka_test *test);

/* As kafka_test_start(), where what has failed so often becomes a dead letter in this topic, by a
 * producer of this configuration. */
struct klane_letters *kafka_test_start_with_letters(struct kafka_test *test,
                                                    rd_kafka_conf_t *conf, const char *dead,
                                                    uint32_t attempts_max);

/* As kafka_test_end(), and of the letters. */
void kafka_test_end_with_letters(struct kafka_test *test, struct klane_letters *letters);

/* Wait until the group has committed this offset. */
void kafka_test_wait_committed(struct kafka_test *test, int32_t partition, int64_t offset);

#define kafka_test_case(function)                                                                \
    cmocka_unit_test_setup_teardown(function, kafka_test_setup, kafka_test_teardown)

#endif
