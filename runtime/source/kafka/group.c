/* SPDX-License-Identifier: Apache-2.0 */
/* The consumer group: partitions come, are drained, and go.
 *
 * Upholds: a rebalance is answered only when what it takes away has been given up by control, or
 * is lost; the polling goes on meanwhile. Nothing of a partition is read before its begin is
 * known; the others do not wait for one that nobody can say.
 *
 * The callback only notes what the group wants. kafka_group_work() goes on with the first of
 * these notes in each poll until it is done, and then answers librdkafka by assign or unassign:
 * until that answer librdkafka delivers no record of any partition. */
#include "source/kafka/group.h"

#include "base/assert.h"
#include "source/kafka/commit.h"
#include "source/kafka/error.h"
#include "source/kafka/fetch.h"
#include "source/kafka/forming.h"
#include "source/kafka/leader_epoch.h"
#include "source/kafka/partitions.h"
#include "source/kafka/pause.h"
#include "source/kafka/position.h"
#include "source/kafka/sweep.h"
#include "source/kafka/turns.h"
#include "source/kafka/uncounted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Thread_local struct kafka_source *kafka_polling;

/* ---- what the group wants ---------------------------------------------------------------- */

static bool is_cooperative(rd_kafka_t *rk)
{
    const char *protocol = rd_kafka_rebalance_protocol(rk);

    return protocol != NULL && strcmp(protocol, "COOPERATIVE") == 0;
}

void kafka_group_rebalance(struct kafka_source *source, rd_kafka_resp_err_t err,
                           const rd_kafka_topic_partition_list_t *partitions)
{
    struct kafka_rebalance *rebalance = calloc(1, sizeof *rebalance);

    if (rebalance == NULL) {
        kafka_fail(source, KLANE_ERR_NOMEM, "no memory for a rebalance");
        return;
    }
    rebalance->partitions = rd_kafka_topic_partition_list_copy(partitions);
    rebalance->is_assign = err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    rebalance->is_lost = !rebalance->is_assign && rd_kafka_assignment_lost(source->rk);
    /* Asked for now: while it closes, librdkafka has been seen to hang or to say NONE. */
    if (rebalance->is_assign)
        source->is_cooperative = is_cooperative(source->rk);
    source->was_assigned = source->was_assigned || rebalance->is_assign;
    STAILQ_INSERT_TAIL(&source->rebalances, rebalance, link);
    kafka_forming_done(&source->forming);
    kafka_commit_review(source);
}

void kafka_group_rebalance_cb(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                              rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    (void)rk, (void)opaque;
    kafka_group_rebalance(kafka_polling, err, partitions);
}

static void rebalance_free(struct kafka_rebalance *rebalance)
{
    rd_kafka_topic_partition_list_destroy(rebalance->partitions);
    free(rebalance);
}

/* ---- what librdkafka is told ------------------------------------------------------------- */

static void tell_answer(struct kafka_source *source, rd_kafka_resp_err_t err)
{
    char text[KAFKA_TEXT_SIZE];

    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    snprintf(text, sizeof text, "a rebalance could not be answered: %s", rd_kafka_err2str(err));
    kafka_tell(source, err, NULL, text);
}

/* The error's code; the error is gone on return. */
static rd_kafka_resp_err_t code_of(rd_kafka_error_t *error)
{
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;

    if (error != NULL)
        err = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    return err;
}

/* librdkafka's thread waits for the answer, and pauses and resumes partitions for a rebalance
 * itself before and after. */
static void settle_pauses(struct kafka_source *source)
{
    kafka_turns_end(source);
    kafka_uncounted_end(source);
    kafka_pause_repeat_ends(source);
}

static void answer_assign(struct kafka_source *source,
                          const rd_kafka_topic_partition_list_t *partitions)
{
    settle_pauses(source);
    tell_answer(source, source->is_cooperative
                            ? code_of(rd_kafka_incremental_assign(source->rk, partitions))
                            : rd_kafka_assign(source->rk, partitions));
}

static void answer_unassign(struct kafka_source *source,
                            const rd_kafka_topic_partition_list_t *partitions)
{
    settle_pauses(source);
    tell_answer(source, source->is_cooperative
                            ? code_of(rd_kafka_incremental_unassign(source->rk, partitions))
                            : rd_kafka_assign(source->rk, NULL));
}

/* ---- partitions come --------------------------------------------------------------------- */

static void begin_assign(struct kafka_source *source, struct kafka_rebalance *rebalance)
{
    const rd_kafka_topic_partition_list_t *list = rebalance->partitions;

    /* An assignment that has a read out waits for it as the first. So none that comes is older
     * than what another member has committed meanwhile. */
    KLANE_ASSERT(!source->committed.is_out);
    for (int i = 0; i < list->cnt && source->phase == KAFKA_RUNS; i++) {
        const char *topic = list->elems[i].topic;
        struct kafka_partition *partition =
            kafka_partitions_get(source, topic, list->elems[i].partition);

        if (partition == NULL) {
            kafka_fail(source, KLANE_ERR_NOMEM, "no memory for a partition of topic %s", topic);
        } else if (source->intake->ops->topic(source->intake, topic) == NULL) {
            /* A broker's idea of a pattern may differ from regex.h's. */
            kafka_fail(source, KLANE_ERR_INVALID,
                       "no handler takes topic %s, or there is no memory for it", topic);
        } else if (partition->state == KAFKA_AWAY) {
            partition->begin = KAFKA_BEGIN_UNREAD;
            partition->is_out_of_range = false;
            partition->beyond_ms = 0;
            partition->is_cut = false;
            partition->is_to_restart = false;
            kafka_partition_move(source, partition, KAFKA_FINDING);
        }
    }
}

/* Control takes the partition, and its records may come. False: it has no memory for it. */
static bool offer(struct kafka_source *source, struct kafka_partition *partition)
{
    struct klane_intake *intake = source->intake;
    const struct source_topic *rules = intake->ops->topic(intake, partition->topic->name);
    const struct source_position position = {
        .begin = partition->begin,
        .is_committed = partition->is_committed,
        .metadata = partition->metadata,
        .metadata_size = partition->metadata_size,
        .end = partition->log_end,
    };
    int64_t from;
    struct klane_assignment *assignment = intake->ops->assigned(
        intake, partition->topic->name, partition->number, &position, &from, partition);

    if (assignment == NULL)
        return false;
    kafka_partition_move(source, partition, KAFKA_OURS);
    kafka_partition_forget_metadata(partition);
    partition->assignment = assignment;
    partition->stay++;
    partition->next = from;
    partition->leader_epoch_end = from;
    partition->end = -1;
    partition->is_held = false;
    kafka_turns_init(partition);
    partition->has_headers = !rules->without_headers;
    kafka_fetch_forward(source, partition, true);
    return true;
}

void kafka_group_offer(struct kafka_source *source)
{
    struct kafka_partition *partition;

    if (source->phase != KAFKA_RUNS)
        return;
    TAILQ_FOREACH(partition, &source->owned, owned)
    if (partition->state == KAFKA_WAITING && !offer(source, partition))
        return;
}

static bool work_on_assign(struct kafka_source *source, struct kafka_rebalance *rebalance)
{
    rd_kafka_topic_partition_list_t *list = rebalance->partitions;

    if (!rebalance->has_begun)
        begin_assign(source, rebalance);
    rebalance->has_begun = true;
    if (source->phase != KAFKA_RUNS || !kafka_position_find(source))
        return false;
    for (int i = 0; i < list->cnt; i++) {
        struct kafka_partition *partition =
            kafka_partitions_find(source, list->elems[i].topic, list->elems[i].partition);

        /* Before librdkafka reads: it would forward to the consumer queue. */
        if (partition->state < KAFKA_OURS)
            kafka_fetch_forward(source, partition, false);
    }
    kafka_group_offer(source);
    for (int i = 0; i < list->cnt; i++) {
        const struct kafka_partition *partition =
            kafka_partitions_find(source, list->elems[i].topic, list->elems[i].partition);

        list->elems[i].offset = kafka_partition_position(partition);
        kafka_leader_epoch_assign(partition, &list->elems[i]);
    }
    answer_assign(source, list);
    return true;
}

/* ---- partitions go ----------------------------------------------------------------------- */

static void leave(struct kafka_source *source, struct kafka_partition *partition)
{
    kafka_sweep_end(source, partition);
    kafka_fetch_forget(partition);
    kafka_fetch_drop(source, partition);
    kafka_partition_forget_metadata(partition);
    kafka_partition_move(source, partition, KAFKA_AWAY);
    kafka_commit_review(source);
}

void kafka_group_lose(struct kafka_source *source, struct kafka_partition *partition)
{
    struct klane_assignment *assignment = partition->assignment;

    if (partition->state == KAFKA_AWAY)
        return;
    leave(source, partition);
    if (assignment != NULL)
        source->intake->ops->lost(source->intake, assignment);
}

void kafka_group_lose_all(struct kafka_source *source)
{
    while (!TAILQ_EMPTY(&source->owned))
        kafka_group_lose(source, TAILQ_FIRST(&source->owned));
}

static void revoke(struct kafka_source *source, struct kafka_partition *partition)
{
    if (partition->state == KAFKA_OURS) {
        kafka_sweep_end(source, partition);
        kafka_fetch_forward(source, partition, false);
        kafka_fetch_drop(source, partition);
        kafka_partition_move(source, partition, KAFKA_LEAVING);
        source->intake->ops->revoke(source->intake, partition->assignment);
    } else if (partition->state < KAFKA_OURS && partition->state != KAFKA_AWAY) {
        leave(source, partition);
    }
}

void kafka_group_given_up(struct kafka_source *source, struct kafka_partition *partition)
{
    leave(source, partition);
    doorbell_ring(&source->doorbell);
}

static bool work_on_revoke(struct kafka_source *source, struct kafka_rebalance *rebalance)
{
    const rd_kafka_topic_partition_list_t *list = rebalance->partitions;
    bool is_drained = true;

    if (!rebalance->is_lost && rd_kafka_assignment_lost(source->rk)) {
        KLANE_MARK("kafka: lost while it is drained");
        rebalance->is_lost = true;
    }
    for (int i = 0; i < list->cnt; i++) {
        struct kafka_partition *partition =
            kafka_partitions_find(source, list->elems[i].topic, list->elems[i].partition);

        if (partition == NULL)
            continue;
        if (rebalance->is_lost)
            kafka_group_lose(source, partition);
        else if (!rebalance->has_begun)
            revoke(source, partition);
        is_drained = is_drained && partition->state == KAFKA_AWAY;
    }
    rebalance->has_begun = true;
    if (!is_drained)
        return false;
    answer_unassign(source, list);
    return true;
}

/* ---- one after the other ----------------------------------------------------------------- */

void kafka_group_work(struct kafka_source *source)
{
    struct kafka_rebalance *first;

    while ((first = STAILQ_FIRST(&source->rebalances)) != NULL) {
        if (!(first->is_assign ? work_on_assign(source, first) : work_on_revoke(source, first)))
            return;
        STAILQ_REMOVE_HEAD(&source->rebalances, link);
        rebalance_free(first);
        kafka_forming_answered(&source->forming);
    }
}

void kafka_group_abandon(struct kafka_source *source)
{
    struct kafka_rebalance *first;

    while ((first = STAILQ_FIRST(&source->rebalances)) != NULL) {
        STAILQ_REMOVE_HEAD(&source->rebalances, link);
        if (first->is_assign)
            answer_assign(source, first->partitions);
        else
            answer_unassign(source, first->partitions);
        rebalance_free(first);
    }
}
