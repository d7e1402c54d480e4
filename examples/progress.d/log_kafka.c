/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include <librdkafka/rdkafka.h>

#include <stdio.h>

#define PATIENCE_MS 10000

static int complain(const char *what, rd_kafka_resp_err_t err)
{
    fprintf(stderr, "%s: %s\n", what, rd_kafka_err2str(err));
    return 1;
}

/* NULL: an error, which is printed. */
static rd_kafka_t *connect_to(const char *place, const char *group)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *rk = NULL;
    char why[512] = "";

    if (rd_kafka_conf_set(conf, "bootstrap.servers", place, why, sizeof(why)) ==
            RD_KAFKA_CONF_OK &&
        rd_kafka_conf_set(conf, "group.id", group, why, sizeof(why)) == RD_KAFKA_CONF_OK)
        rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    if (rk == NULL) {
        fprintf(stderr, "%s\n", why);
        rd_kafka_conf_destroy(conf);
    }
    return rk;
}

static int32_t partitions_of(rd_kafka_t *rk, const char *topic)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t err = rd_kafka_metadata(rk, 0, handle, &metadata, PATIENCE_MS);
    int32_t count = 0;

    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        err = metadata->topics[0].err;
        count = metadata->topics[0].partition_cnt;
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_topic_destroy(handle);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR && count == 0)
        err = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        complain(topic, err);
    return count;
}

static int print_partition(rd_kafka_t *rk, const rd_kafka_topic_partition_t *each,
                           const char *key)
{
    struct committed committed = {
        .partition = each->partition,
        .offset = each->offset < 0 ? -1 : each->offset,
        .metadata = each->metadata,
        .metadata_size = each->metadata_size,
    };
    int64_t low;

    if (each->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return complain(each->topic, each->err);
    if (rd_kafka_query_watermark_offsets(rk, each->topic, each->partition, &low,
                                         &committed.log_end,
                                         PATIENCE_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
        committed.log_end = -1;
    print_committed(&committed, key);
    return 0;
}

int print_kafka(const char *place, const char *group, const char *topic, const char *key)
{
    rd_kafka_t *rk = connect_to(place, group);
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t err;
    int failed;

    if (rk == NULL)
        return 1;
    list = rd_kafka_topic_partition_list_new(1);
    for (int32_t count = partitions_of(rk, topic); count > 0; count--)
        rd_kafka_topic_partition_list_add(list, topic, count - 1);
    rd_kafka_topic_partition_list_sort(list, NULL, NULL);
    failed = list->cnt == 0;
    err = failed ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_committed(rk, list, PATIENCE_MS);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        failed = complain(group, err);
    for (int i = 0; i < list->cnt && !failed; i++)
        failed = print_partition(rk, &list->elems[i], key);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
    return failed;
}
