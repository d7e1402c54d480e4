/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster inside librdkafka, which answers as it is told: brokers that can go away without a
 * word, partitions without a leader, errors that no real broker can be made to send. It accepts
 * what a real one would refuse, so it is used for nothing else. */
#ifndef KLANE_TESTS_KAFKA_MOCKED_H
#define KLANE_TESTS_KAFKA_MOCKED_H

#include "kafka/kafka_runtime.h"

#include <librdkafka/rdkafka_mock.h>

/* Not in older headers, nor libraries. */
rd_kafka_resp_err_t rd_kafka_mock_broker_remove_from_metadata(rd_kafka_mock_cluster_t *cluster,
                                                              int32_t broker)
    __attribute__((weak));
rd_kafka_resp_err_t rd_kafka_mock_broker_add(rd_kafka_mock_cluster_t *cluster, int32_t broker)
    __attribute__((weak));
void rd_kafka_mock_group_initial_rebalance_delay_ms(rd_kafka_mock_cluster_t *cluster,
                                                    int32_t delay_ms) __attribute__((weak));

#define BROKER 1
#define OTHER_BROKER 2

struct mocked {
    struct kafka_test test;
    struct kafka_test second; /* of the same group */
    const char *assignor;     /* of both */
    rd_kafka_t *host;
    rd_kafka_mock_cluster_t *cluster;
};

/* What a group that is new waits for others where librdkafka cannot be told so. */
#define MOCKED_DELAY_MS 3000

/* With a topic of so many partitions, named as the test's, and no kit yet. */
struct mocked *mocked_new(int brokers, int partitions);

/* From now on groups wait so long, where librdkafka can be told so: a tenth of a second unless
 * told otherwise. */
void mocked_rebalance_delay(struct mocked *mocked, int32_t delay_ms);

/* A teardown of cmocka. */
int mocked_teardown(void **state);

#endif
