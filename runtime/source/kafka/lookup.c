/* SPDX-License-Identifier: Apache-2.0 */
/* The helper thread's part: calls of librdkafka that wait for a broker.
 *
 * Upholds: nothing of the source is touched but its handle of librdkafka and its doorbell, which
 * any thread may use, and the request at hand, which is the helper's until it goes back. */
#include "source/kafka/lookup.h"

/* How long one broker may take; what fails is tried again. */
#define LOOK_UP_MS 3000
#define WAKE_TIMEOUT_MS 1000

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
                                              partitions->elems[i].partition)
                ->offset = RD_KAFKA_OFFSET_END;
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

static void lookup_work(void *context, struct helper_request *base)
{
    struct kafka_source *source = context;
    struct kafka_request *request = (struct kafka_request *)(void *)base;
    rd_kafka_topic_partition_t *first = &request->partitions->elems[0];

    switch (request->type) {
    case KAFKA_LOOK_UP:
        request->err = look_up(source->rk, request->partitions);
        break;
    case KAFKA_RANGE:
        request->err =
            rd_kafka_query_watermark_offsets(source->rk, first->topic, first->partition,
                                             &request->low, &request->high, LOOK_UP_MS);
        if (request->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            request->err = look_up(source->rk, request->partitions);
        if (request->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            request->err = first->err;
        break;
    case KAFKA_WAKE:
        /* The answer is of no interest: the request has woken the thread. */
        rd_kafka_query_watermark_offsets(source->rk, first->topic, first->partition,
                                         &request->low, &request->high, WAKE_TIMEOUT_MS);
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
