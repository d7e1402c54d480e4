/* SPDX-License-Identifier: Apache-2.0 */
/* The helper thread's part: calls of librdkafka that wait for a broker.
 *
 * Upholds: nothing of the source is touched but its handles of librdkafka, its helper and its
 * doorbell, which any thread may use, and the request at hand, which is the helper's until it goes
 * back, with the configuration that it is about. */
#include "source/kafka/lookup.h"

#include "source/kafka/error.h"
#include "source/kafka/sweep.h"

#include <string.h>

/* How long brokers may take; what fails is tried again. One that has not answered beside others
 * has less time by itself. A wake-up has no answer to wait for. */
#define LOOK_UP_MS 3000
#define ONE_LEADER_MS 1000
#define WAKE_MS 500

/* One question for all of the list. */
static void ask_all(rd_kafka_topic_partition_list_t *partitions, int64_t question)
{
    for (int i = 0; i < partitions->cnt; i++)
        partitions->elems[i].offset = question;
}

/* err: of all. */
static void answers_to(rd_kafka_topic_partition_list_t *partitions,
                       const rd_kafka_topic_partition_list_t *answers, rd_kafka_resp_err_t err)
{
    for (int i = 0; i < answers->cnt; i++) {
        const rd_kafka_topic_partition_t *answer = &answers->elems[i];
        rd_kafka_topic_partition_t *asked =
            rd_kafka_topic_partition_list_find(partitions, answer->topic, answer->partition);

        asked->offset = answer->offset;
        asked->err = err != RD_KAFKA_RESP_ERR_NO_ERROR ? err : answer->err;
    }
}

/* Offsets for times and logical offsets: the request's offsets are questions, then answers. Both
 * kinds go in the same request to a broker; a time that lies behind all records is answered by
 * the logical end, for which another request has the number. */
static rd_kafka_resp_err_t look_up(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *partitions,
                                   int wait_ms)
{
    rd_kafka_topic_partition_list_t *ends;
    rd_kafka_resp_err_t err = rd_kafka_offsets_for_times(rk, partitions, wait_ms);

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
        err = rd_kafka_offsets_for_times(rk, ends, wait_ms);
    answers_to(partitions, ends, RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(ends);
    return err;
}

/* ---- leaders ----------------------------------------------------------------------------- */

/* What a broker says of a topic, to be destroyed; NULL: *err is why not. Leaders may have moved:
 * librdkafka knows from now on where they are. */
static const struct rd_kafka_metadata *ask_about(rd_kafka_t *rk, const char *topic,
                                                 rd_kafka_resp_err_t *err)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
    const struct rd_kafka_metadata *metadata = NULL;

    if (handle == NULL) {
        *err = rd_kafka_last_error();
        return NULL;
    }
    *err = rd_kafka_metadata(rk, 0, handle, &metadata, LOOK_UP_MS);
    rd_kafka_topic_destroy(handle);
    return *err == RD_KAFKA_RESP_ERR_NO_ERROR ? metadata : NULL;
}

static void find_leader(rd_kafka_t *rk, const char *topic)
{
    rd_kafka_resp_err_t err;
    const struct rd_kafka_metadata *metadata = ask_about(rk, topic, &err);

    if (metadata != NULL)
        rd_kafka_metadata_destroy(metadata);
}

/* ---- begins ------------------------------------------------------------------------------ */

/* Whom to ask about a partition is kept as the entry's opaque: its leader's id, or one of
 * these. */
#define NOBODY (-1)
#define UNKNOWN (-2)

static int32_t leader_of(const rd_kafka_topic_partition_t *entry)
{
    return (int32_t)(intptr_t)entry->opaque;
}

static void set_leader(rd_kafka_topic_partition_t *entry, int32_t leader, rd_kafka_resp_err_t err)
{
    entry->opaque = (void *)(intptr_t)leader;
    entry->err = err;
}

static void leader_is_in(const struct rd_kafka_metadata *metadata,
                         rd_kafka_topic_partition_t *entry)
{
    const struct rd_kafka_metadata_topic *topic = &metadata->topics[0];
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;

    set_leader(entry, NOBODY, err);
    if (metadata->topic_cnt == 0)
        return;
    if (topic->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        entry->err = topic->err;
    for (int i = 0; i < topic->partition_cnt; i++) {
        if (topic->partitions[i].id != entry->partition)
            continue;
        err = topic->partitions[i].leader < 0 ? RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE
                                              : RD_KAFKA_RESP_ERR_NO_ERROR;
        set_leader(entry, topic->partitions[i].leader, err);
    }
}

/* Of all partitions of the topic. */
static rd_kafka_resp_err_t find_leaders_of(rd_kafka_t *rk,
                                           rd_kafka_topic_partition_list_t *partitions,
                                           const char *topic)
{
    rd_kafka_resp_err_t err;
    const struct rd_kafka_metadata *metadata = ask_about(rk, topic, &err);

    for (int i = 0; i < partitions->cnt; i++) {
        rd_kafka_topic_partition_t *entry = &partitions->elems[i];

        if (strcmp(entry->topic, topic) != 0)
            continue;
        if (metadata == NULL)
            set_leader(entry, NOBODY, err);
        else
            leader_is_in(metadata, entry);
    }
    if (metadata != NULL)
        rd_kafka_metadata_destroy(metadata);
    return err;
}

/* Where no broker has answered for one topic, none is asked about the next. */
static void find_leaders(struct kafka_source *source, rd_kafka_topic_partition_list_t *partitions)
{
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;

    for (int i = 0; i < partitions->cnt; i++)
        set_leader(&partitions->elems[i], UNKNOWN, RD_KAFKA_RESP_ERR_NO_ERROR);
    for (int i = 0; i < partitions->cnt; i++) {
        rd_kafka_topic_partition_t *entry = &partitions->elems[i];

        if (leader_of(entry) != UNKNOWN)
            continue;
        if (helper_is_ending(source->helper))
            err = RD_KAFKA_RESP_ERR__TIMED_OUT;
        if (kafka_err(err) == KLANE_ERR_UNREACHABLE)
            set_leader(entry, NOBODY, err);
        else
            err = find_leaders_of(source->rk, partitions, entry->topic);
    }
}

/* About all of its partitions. */
static void ask_leader(struct kafka_source *source, rd_kafka_topic_partition_list_t *partitions,
                       int32_t leader)
{
    rd_kafka_topic_partition_list_t *asked = rd_kafka_topic_partition_list_new(partitions->cnt);
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR__TIMED_OUT;

    for (int i = 0; i < partitions->cnt; i++) {
        rd_kafka_topic_partition_t *entry = &partitions->elems[i];

        if (leader_of(entry) != leader)
            continue;
        rd_kafka_topic_partition_list_add(asked, entry->topic, entry->partition)->offset =
            entry->offset;
        set_leader(entry, NOBODY, RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    if (!helper_is_ending(source->helper))
        err = look_up(source->rk, asked, ONE_LEADER_MS);
    answers_to(partitions, asked, err);
    rd_kafka_topic_partition_list_destroy(asked);
}

/* Leaders may have moved; and asked about several partitions, librdkafka answers for none while a
 * leader is away or silent. */
static void ask_leaders(struct kafka_source *source, rd_kafka_topic_partition_list_t *partitions)
{
    find_leaders(source, partitions);
    for (int i = 0; i < partitions->cnt; i++)
        if (leader_of(&partitions->elems[i]) != NOBODY)
            ask_leader(source, partitions, leader_of(&partitions->elems[i]));
}

/* Each entry has its answer, or its error. */
static void look_up_begins(struct kafka_source *source, const struct kafka_request *request)
{
    rd_kafka_topic_partition_list_t *partitions = request->partitions;
    rd_kafka_topic_partition_list_t *left = rd_kafka_topic_partition_list_copy(partitions);
    rd_kafka_resp_err_t err = request->is_again ? RD_KAFKA_RESP_ERR__TIMED_OUT
                                                : look_up(source->rk, partitions, LOOK_UP_MS);

    for (int i = left->cnt - 1; i >= 0 && err == RD_KAFKA_RESP_ERR_NO_ERROR; i--)
        if (partitions->elems[i].err == RD_KAFKA_RESP_ERR_NO_ERROR)
            rd_kafka_topic_partition_list_del_by_idx(left, i);
    ask_leaders(source, left);
    answers_to(partitions, left, RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(left);
}

/* ---- the rest ---------------------------------------------------------------------------- */

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
    err = look_up(rk, partitions, LOOK_UP_MS);
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
        look_up_begins(source, request);
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
