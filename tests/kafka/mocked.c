/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/mocked.h"

#include <stdlib.h>

#define REBALANCE_DELAY_MS 100

void mocked_rebalance_delay(struct mocked *mocked, int32_t delay_ms)
{
    if (rd_kafka_mock_group_initial_rebalance_delay_ms != NULL)
        rd_kafka_mock_group_initial_rebalance_delay_ms(mocked->cluster, delay_ms);
}

struct mocked *mocked_new(int brokers, int partitions)
{
    struct mocked *mocked = calloc(1, sizeof *mocked);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[256];

    kafka_kit_set(conf, "log_level", "2");
    mocked->host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    assert_non_null(mocked->host);
    mocked->cluster = rd_kafka_mock_cluster_new(mocked->host, brokers);
    mocked_rebalance_delay(mocked, REBALANCE_DELAY_MS);
    kafka_kit_use(rd_kafka_mock_cluster_bootstraps(mocked->cluster));
    kafka_kit_name(mocked->test.topic, "topic");
    kafka_kit_name(mocked->test.group, "group");
    rd_kafka_mock_topic_create(mocked->cluster, mocked->test.topic, partitions, 1);
    return mocked;
}

int mocked_teardown(void **state)
{
    struct mocked *mocked = *state;

    if (mocked->second.is_running)
        kafka_test_end(&mocked->second);
    if (mocked->test.is_running)
        kafka_test_end(&mocked->test);
    kafka_kit_deinit();
    rd_kafka_mock_cluster_destroy(mocked->cluster);
    rd_kafka_destroy(mocked->host);
    free(mocked);
    return 0;
}
