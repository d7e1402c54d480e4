/* SPDX-License-Identifier: Apache-2.0 */
/* One commit at a time.
 *
 * Upholds: each commit is answered once; only offsets of partitions that control still has are
 * sent; a commit counts when the group's coordinator has acknowledged it.
 *
 * librdkafka stamps a commit with the group's generation when it sends it. Before 2.10 one that
 * reaches the coordinator after a cooperative group has formed anew costs the member all its
 * partitions; so while that could happen to it, a commit is parked. It cannot while a rebalance
 * waits for control's answer: then librdkafka does not ask to join.
 *
 * With group.protocol=consumer a member's epoch rises by a heartbeat's response, which may cross a
 * commit. That is refused, and its answer comes behind the response: the same again is right. */
#include "source/kafka/commit.h"

#include "base/assert.h"
#include "source/kafka/error.h"
#include "source/kafka/forming.h"
#include "source/kafka/group.h"
#include "source/kafka/leader_epoch.h"
#include "source/kafka/partitions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void finish(struct kafka_source *source, klane_err_t err)
{
    source->commit.is_out = false;
    source->commit.is_answered = true;
    source->commit.err = err;
    doorbell_ring(&source->doorbell);
}

/* The partition of the commit's entry, if it is still in the stay for which the commit is. */
static struct kafka_partition *current(const struct kafka_source *source, int entry)
{
    const struct kafka_commit *commit = &source->commit;
    const rd_kafka_topic_partition_t *each = &commit->offsets->elems[entry];
    struct kafka_partition *partition =
        kafka_partitions_find(source, each->topic, each->partition);

    return partition != NULL && partition->assignment != NULL &&
                   partition->stay == commit->stays[entry]
               ? partition
               : NULL;
}

/* An entry of a commit. Without memory it goes without its metadata: more may be repeated. */
static void add(rd_kafka_topic_partition_list_t *list, const char *topic, int32_t number,
                int64_t offset, const void *metadata, size_t metadata_size)
{
    rd_kafka_topic_partition_t *entry = rd_kafka_topic_partition_list_add(list, topic, number);

    entry->offset = offset;
    /* librdkafka frees it with the list. */
    if (metadata_size == 0 || (entry->metadata = malloc(metadata_size)) == NULL)
        return;
    memcpy(entry->metadata, metadata, metadata_size);
    entry->metadata_size = metadata_size;
}

static void send_commit(struct kafka_source *source)
{
    struct kafka_commit *commit = &source->commit;
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new(commit->offsets->cnt);
    bool can_be_late = source->is_cooperative && source->version < KAFKA_VERSION_REJOIN &&
                       STAILQ_EMPTY(&source->rebalances);

    for (int i = 0; i < commit->offsets->cnt; i++) {
        const rd_kafka_topic_partition_t *each = &commit->offsets->elems[i];

        if (current(source, i) != NULL)
            add(list, each->topic, each->partition, each->offset, each->metadata,
                each->metadata_size);
    }
    if (list->cnt > 0) {
        kafka_leader_epoch_commit(source, list);
        commit->due_ms = kafka_forming_commit(&source->forming, list, !can_be_late);
        return;
    }
    rd_kafka_topic_partition_list_destroy(list);
    finish(source, KLANE_OK);
}

void kafka_commit_review(struct kafka_source *source)
{
    if (source->commit.is_out && kafka_forming_take_back(&source->forming))
        send_commit(source);
}

static void forget(struct kafka_commit *commit)
{
    rd_kafka_topic_partition_list_destroy(commit->offsets);
    free(commit->stays);
    commit->offsets = NULL;
    commit->stays = NULL;
}

void kafka_commit_take(struct kafka_source *source, const struct source_commit *commits,
                       size_t count)
{
    struct kafka_commit *commit = &source->commit;

    KLANE_ASSERT(!commit->is_out && !commit->is_answered);
    commit->is_out = true;
    commit->is_again = false;
    commit->stays = calloc(count, sizeof(*commit->stays));
    commit->offsets = rd_kafka_topic_partition_list_new((int)count);
    if (commit->stays == NULL) {
        finish(source, KLANE_ERR_NOMEM);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct kafka_partition *partition = commits[i].own;

        commit->stays[i] = partition->stay;
        add(commit->offsets, partition->topic->name, partition->number, commits[i].offset,
            commits[i].metadata, commits[i].metadata_size);
    }
    send_commit(source);
}

/* Some of it was refused, which concerns only those partitions. */
static void tell_refused(struct kafka_source *source,
                         const rd_kafka_topic_partition_list_t *answers)
{
    for (int i = 0; i < answers->cnt; i++) {
        const rd_kafka_topic_partition_t *answer = &answers->elems[i];
        const rd_kafka_topic_partition_t *entry = rd_kafka_topic_partition_list_find(
            source->commit.offsets, answer->topic, answer->partition);
        const struct kafka_partition *partition =
            entry == NULL ? NULL : current(source, (int)(entry - source->commit.offsets->elems));

        if (answer->err != RD_KAFKA_RESP_ERR_NO_ERROR && partition != NULL)
            source->intake->ops->uncommitted(source->intake, partition->assignment,
                                             kafka_err(answer->err),
                                             rd_kafka_err2str(answer->err));
    }
}

/* Once, not with each commit: of the group itself librdkafka says so only when it joins anew. */
static void tell_denied(struct kafka_source *source, rd_kafka_resp_err_t err)
{
    bool is_denied = kafka_err(err) == KLANE_ERR_DENIED;
    char text[KAFKA_TEXT_SIZE];

    if (is_denied && !source->commit.is_denied) {
        snprintf(text, sizeof text, "a commit was refused, it is sent again: %s",
                 rd_kafka_err2str(err));
        kafka_tell(source, err, NULL, text);
    }
    source->commit.is_denied = is_denied;
}

/* Of a topic that was deleted there is nothing left to commit. Were it made anew meanwhile, the
 * same offset would pass over records of that one, so it is not sent again. */
static void lose_deleted(struct kafka_source *source,
                         const rd_kafka_topic_partition_list_t *answers)
{
    for (int i = 0; answers != NULL && i < answers->cnt; i++) {
        const rd_kafka_topic_partition_t *answer = &answers->elems[i];
        struct kafka_partition *partition =
            kafka_partitions_find(source, answer->topic, answer->partition);

        if (answer->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART && partition != NULL &&
            partition->state == KAFKA_LEAVING)
            kafka_group_lose(source, partition);
    }
}

void kafka_commit_came(struct kafka_source *source, rd_kafka_event_t *event)
{
    const rd_kafka_topic_partition_list_t *answers = rd_kafka_event_topic_partition_list(event);
    rd_kafka_resp_err_t err = rd_kafka_event_error(event);
    int refused = 0;

    if (!source->commit.is_out)
        return;
    for (int i = 0; answers != NULL && i < answers->cnt; i++)
        refused += answers->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR;
    /* librdkafka gives the last refusal as the error of all. Of metadata that are too large each
     * partition has its own. */
    if (refused > 0 && (refused < answers->cnt || kafka_err(err) == KLANE_ERR_TOO_LARGE)) {
        tell_refused(source, answers);
        err = RD_KAFKA_RESP_ERR_NO_ERROR;
    } else if (refused > 0) {
        err = answers->elems[0].err;
    }
    kafka_forming_answered(&source->forming);
    if (err == KAFKA_STALE_MEMBER_EPOCH && !source->commit.is_again) {
        KLANE_MARK("kafka: a commit was stale");
        source->commit.is_again = true;
        send_commit(source);
        return;
    }
    tell_denied(source, err);
    lose_deleted(source, answers);
    finish(source, kafka_err(err));
}

void kafka_commit_answer_due(struct kafka_source *source)
{
    if (!source->commit.is_answered)
        return;
    source->commit.is_answered = false;
    forget(&source->commit);
    source->intake->ops->committed(source->intake, source->commit.err);
}

void kafka_commit_deinit(struct kafka_source *source)
{
    if (source->commit.offsets != NULL)
        forget(&source->commit);
}
