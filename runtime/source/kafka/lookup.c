/* SPDX-License-Identifier: Apache-2.0 */
/* The helper thread's part: calls of librdkafka that wait for a broker.
 *
 * Upholds: nothing of the source is touched but its handles of librdkafka and its doorbell, which
 * any thread may use, and the request at hand, which is the helper's until it goes back, with the
 * configuration that it is about. */
#include "source/kafka/lookup.h"

#include "source/kafka/sweep.h"

#include <string.h>

/* How long brokers may take; what fails is tried again. A wake-up has no answer to wait for. */
#define LOOK_UP_MS 3000
#define WAKE_MS 500

/* One question for all of the list. */
static void ask_all(rd_kafka_topic_partition_list_t *partitions, int64_t question)
{
    for (int i = 0; i < partitions->cnt; i++)
        partitions->elems[i].offset = question;
}

/* Offsets for times and logical offsets: the request's offsets are questions, then answers. Both
 * kinds go in the same request to a broker; a time that lies behind all records is answered by
 * the logical end, for which another request has the number. */
static rd_kafka_resp_err_t look_up(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *partitions)
{
    rd_kafka_topic_partition_list_t *ends;
    rd_kafka_resp_err_t err = rd_kafka_offsets_for_times(rk, partitions, LOOK_UP_MS);

    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return err;
    ends = rd_kafka_topic_partition_list_new(1);
    for (int i = 0; i < partitions->cnt; i++)
        if (partitions->elems[i].offset == RD_KAFKA_OFFSET_END &&
            partitions->elems[i].err == RD_KAFKA_RESP_ERR_NO_ERROR)
            rd_kafka_topic_partition_list_add(ends, partitions->elems[i].topic,
                                              partitions->elems[i].partition);
    ask_all(ends, RD_KAFKA_OFFSET_END);
    if (ends->cnt > 0)
        err = rd_kafka_offsets_for_times(rk, ends, LOOK_UP_MS);
    for (int i = 0; i < ends->cnt; i++) {
        rd_kafka_topic_partition_t *asked = rd_kafka_topic_partition_list_find(
            partitions, ends->elems[i].topic, ends->elems[i].partition);

        asked->offset = ends->elems[i].offset;
        asked->err = ends->elems[i].err;
    }
    rd_kafka_topic_partition_list_destroy(ends);
    return err;
}

/* The leader may have moved: whoever answers says where it is. */
static void find_leader(rd_kafka_t *rk, const char *topic)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
    const struct rd_kafka_metadata *metadata;

    if (handle == NULL)
        return;
    if (rd_kafka_metadata(rk, 0, handle, &metadata, LOOK_UP_MS) == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
}

/* Where the logs end of the partitions that have metadata: what those say may lie beyond. What
 * cannot be had is not known. */
static void look_ends_up(rd_kafka_t *rk, struct kafka_request *request)
{
    const rd_kafka_topic_partition_list_t *partitions = request->partitions;

    request->ends = rd_kafka_topic_partition_list_new(partitions->cnt);
    for (int i = 0; i < partitions->cnt; i++)
        if (partitions->elems[i].offset >= 0 && partitions->elems[i].metadata_size > 0)
            rd_kafka_topic_partition_list_add(request->ends, partitions->elems[i].topic,
                                              partitions->elems[i].partition);
    /* Those of a topic are side by side. */
    for (int i = 0; i < request->ends->cnt; i++)
        if (i == 0 ||
            strcmp(request->ends->elems[i].topic, request->ends->elems[i - 1].topic) != 0)
            find_leader(rk, request->ends->elems[i].topic);
    ask_all(request->ends, RD_KAFKA_OFFSET_END);
    if (request->ends->cnt > 0)
        rd_kafka_offsets_for_times(rk, request->ends, LOOK_UP_MS);
}

/* The answer for the only partition of the list. */
static rd_kafka_resp_err_t look_up_one(rd_kafka_t *rk,
                                       rd_kafka_topic_partition_list_t *partitions,
                                       int64_t question, int64_t *answer)
{
    rd_kafka_resp_err_t err;

    ask_all(partitions, question);
    err = look_up(rk, partitions);
    *answer = partitions->elems[0].offset;
    return err != RD_KAFKA_RESP_ERR_NO_ERROR ? err : partitions->elems[0].err;
}

static rd_kafka_resp_err_t look_up_range(rd_kafka_t *rk, struct kafka_request *request)
{
    rd_kafka_topic_partition_list_t *partitions = request->partitions;
    int64_t question = partitions->elems[0].offset;
    int64_t answer;
    rd_kafka_resp_err_t err;

    find_leader(rk, partitions->elems[0].topic);
    err = look_up_one(rk, partitions, RD_KAFKA_OFFSET_BEGINNING, &request->low);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        err = look_up_one(rk, partitions, RD_KAFKA_OFFSET_END, &request->high);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        err = look_up_one(rk, partitions, question, &answer);
    return err;
}

static void lookup_work(void *context, struct helper_request *base)
{
    struct kafka_source *source = context;
    struct kafka_request *request = (struct kafka_request *)(void *)base;

    switch (request->type) {
    case KAFKA_COMMITTED:
        request->err = rd_kafka_committed(source->rk, request->partitions, LOOK_UP_MS);
        if (request->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            look_ends_up(source->rk, request);
        break;
    case KAFKA_LOOK_UP:
        request->err = look_up(source->rk, request->partitions);
        break;
    case KAFKA_RANGE:
        request->err = look_up_range(source->rk, request);
        break;
    case KAFKA_WAKE:
        ask_all(request->partitions, RD_KAFKA_OFFSET_END);
        rd_kafka_offsets_for_times(request->rk, request->partitions, WAKE_MS);
        break;
    case KAFKA_SWEEPER:
        kafka_sweep_make(source);
        break;
    }
}

static void lookup_replied(void *context)
{
    doorbell_ring(&((struct kafka_source *)context)->doorbell);
}

const struct helper_ops kafka_lookup_ops = {
    .work = lookup_work,
    .replied = lookup_replied,
};
