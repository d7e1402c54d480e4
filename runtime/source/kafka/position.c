/* SPDX-License-Identifier: Apache-2.0 */
/* Where a partition begins, and where it goes on when that is not in the log.
 *
 * Upholds: a partition begins at the offset that the group has committed; only if there is none
 * the topic's rules count. A read that failed is tried again, never taken for "nothing
 * committed". Where the log has moved away under a position, the rules say where it goes on, and
 * an event says so first. No partition waits for another's begin that nobody can say.
 *
 * librdkafka runs with auto.offset.reset=error, so it never moves a position by itself; it says
 * that one is wrong and stops reading the partition, which then has to be assigned anew. A broker
 * that was frozen, or cut off from the others, takes itself for the leader until it hears from
 * them, and has a log that ends where it was then. So an end below the next offset, or below what
 * a progress map speaks of, counts only when it was seen for some time, each time asked of whom
 * the cluster says is the leader. */
#include "source/kafka/position.h"

#include "base/assert.h"
#include "base/clock.h"
#include "source/kafka/commit.h"
#include "source/kafka/error.h"
#include "source/kafka/fetch.h"
#include "source/kafka/leader_epoch.h"
#include "source/kafka/partitions.h"
#include "source/kafka/sweep.h"
#include "source/kafka/turns.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* So long an end has to be seen that is too early. */
#define BEYOND_MS 5000

/* A begin that nobody could say is asked for again so late, at least, and leaves the helper twice
 * the time to others that the question took. */
#define NOWHERE_MS 1000
#define NOWHERE_PART 2

/* Whether the log ends below an offset, as it seems, and did not just some time ago. */
static bool may_be_beyond(struct kafka_partition *partition, int64_t offset, int64_t end)
{
    if (offset <= end) {
        partition->beyond_ms = 0;
        return false;
    }
    KLANE_MARK("kafka: a log seems to end too early");
    if (partition->beyond_ms == 0)
        partition->beyond_ms = clock_now_ms();
    return clock_now_ms() < partition->beyond_ms + BEYOND_MS;
}

static void again(struct kafka_source *source)
{
    source->again_ms = clock_now_ms() + KAFKA_AGAIN_MS;
}

static bool is_to_wait(const struct kafka_source *source)
{
    return source->again_ms != KAFKA_NEVER_MS && clock_now_ms() < source->again_ms;
}

/* The partitions whose begin is as far known as this. NULL: there are none. */
static rd_kafka_topic_partition_list_t *list_of(const struct kafka_source *source, int64_t begin)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    struct kafka_partition *partition;

    TAILQ_FOREACH(partition, &source->owned, owned)
    {
        if (partition->state != KAFKA_FINDING || partition->begin != begin)
            continue;
        if (list == NULL)
            list = rd_kafka_topic_partition_list_new(16);
        kafka_partition_add(list, partition);
    }
    return list;
}

/* ---- what the group has committed -------------------------------------------------------- */

static void read_committed(struct kafka_source *source, rd_kafka_topic_partition_list_t *list)
{
    source->committed.partitions = list;
    source->committed.is_out = true;
    helper_send(source->helper, &source->committed.base);
}

/* Below which the progress map speaks; 0: there is none that can be read. */
static int64_t ceiling_of(const struct kafka_partition *partition, int64_t committed)
{
    struct klane_progress progress;

    return klane_progress_read(partition->metadata, partition->metadata_size, committed,
                               &progress, sizeof progress, NULL, 0) == KLANE_OK
               ? progress.ceiling
               : 0;
}

static void committed_is(struct kafka_source *source, struct kafka_partition *partition,
                         const rd_kafka_topic_partition_t *answer)
{
    const rd_kafka_topic_partition_t *end;

    if (answer->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        kafka_tell(source, answer->err, partition, "the committed offset could not be read");
        again(source);
        return;
    }
    if (!kafka_partition_keep_metadata(partition, answer->metadata, answer->metadata_size)) {
        again(source);
        return;
    }
    end = rd_kafka_topic_partition_list_find(source->committed.ends, answer->topic,
                                             answer->partition);
    partition->log_end = end == NULL || end->offset < 0 ? -1 : end->offset;
    if (partition->log_end >= 0 &&
        may_be_beyond(partition, ceiling_of(partition, answer->offset), partition->log_end)) {
        again(source);
        return;
    }
    kafka_leader_epoch_begin(source, partition, answer);
    partition->is_committed = answer->offset >= 0;
    partition->begin = answer->offset >= 0 ? answer->offset : KAFKA_BEGIN_BY_RULES;
    if (partition->is_committed)
        kafka_partition_move(source, partition, KAFKA_WAITING);
}

void kafka_position_committed_came(struct kafka_source *source)
{
    struct kafka_request *request = &source->committed;
    rd_kafka_topic_partition_list_t *list = request->partitions;
    char text[KAFKA_TEXT_SIZE];

    request->is_out = false;
    if (request->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        snprintf(text, sizeof text, "the group's committed offsets could not be read: %s",
                 rd_kafka_err2str(request->err));
        kafka_tell(source, request->err, NULL, text);
        again(source);
    }
    for (int i = 0; request->err == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++) {
        struct kafka_partition *partition =
            kafka_partitions_find(source, list->elems[i].topic, list->elems[i].partition);

        if (partition->state == KAFKA_FINDING)
            committed_is(source, partition, &list->elems[i]);
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (request->ends != NULL)
        rd_kafka_topic_partition_list_destroy(request->ends);
    request->partitions = request->ends = NULL;
}

/* ---- what the rules say ------------------------------------------------------------------ */

/* What to ask a broker for: a time, or one of the logical offsets. */
static int64_t question_of(enum klane_begin begin, int64_t begin_time_ms)
{
    if (begin == KLANE_BEGIN_TIME)
        return begin_time_ms < 0 ? 0 : begin_time_ms;
    return begin == KLANE_BEGIN_LATEST ? RD_KAFKA_OFFSET_END : RD_KAFKA_OFFSET_BEGINNING;
}

static void look_up(struct kafka_source *source, rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_partition_t *each = &list->elems[i];
        const struct source_topic *rules =
            source->intake->ops->topic(source->intake, each->topic);

        if (rules->begin == KLANE_BEGIN_ERROR) {
            kafka_fail(source, KLANE_ERR_OUT_OF_RANGE,
                       "%s [%" PRId32 "]: the group has committed nothing", each->topic,
                       each->partition);
            rd_kafka_topic_partition_list_destroy(list);
            return;
        }
        each->offset = question_of(rules->begin, rules->begin_time_ms);
    }
    source->look_up.partitions = list;
    source->look_up.is_out = true;
    source->asked_ms = clock_now_ms();
    helper_send(source->helper, &source->look_up.base);
}

/* The group is answered without it. */
static void begin_is_nowhere(struct kafka_source *source, struct kafka_partition *partition,
                             rd_kafka_resp_err_t err)
{
    int64_t now_ms = clock_now_ms();
    int64_t wait_ms = NOWHERE_PART * (now_ms - source->asked_ms);

    KLANE_MARK("kafka: a begin is not waited for");
    source->nowhere_ms = now_ms + (wait_ms > NOWHERE_MS ? wait_ms : NOWHERE_MS);
    kafka_tell(source, err, partition, "where it begins could not be looked up");
    partition->begin = KAFKA_BEGIN_NOWHERE;
    partition->is_out_of_range = true;
}

void kafka_position_looked_up(struct kafka_source *source)
{
    struct kafka_request *request = &source->look_up;
    rd_kafka_topic_partition_list_t *list = request->partitions;

    request->is_out = false;
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *each = &list->elems[i];
        struct kafka_partition *partition =
            kafka_partitions_find(source, each->topic, each->partition);
        rd_kafka_resp_err_t err = each->err;

        if (partition->state != KAFKA_FINDING || partition->begin == KAFKA_BEGIN_UNREAD)
            continue;
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR && each->offset < 0)
            err = RD_KAFKA_RESP_ERR__NO_OFFSET;
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            begin_is_nowhere(source, partition, err);
            continue;
        }
        if (partition->is_out_of_range) {
            partition->is_to_restart = true;
            kafka_fetch_discard(source, partition);
        }
        partition->begin = each->offset;
        kafka_partition_move(source, partition, KAFKA_WAITING);
    }
    rd_kafka_topic_partition_list_destroy(list);
    request->partitions = NULL;
}

bool kafka_position_find(struct kafka_source *source)
{
    void (*ask)(struct kafka_source * source, rd_kafka_topic_partition_list_t * list);
    rd_kafka_topic_partition_list_t *list;

    if (source->committed.is_out || source->look_up.is_out)
        return false;
    list = list_of(source, KAFKA_BEGIN_UNREAD);
    ask = read_committed;
    if (list == NULL) {
        list = list_of(source, KAFKA_BEGIN_BY_RULES);
        source->look_up.is_again = false;
        ask = look_up;
    }
    if (list == NULL)
        return true;
    if (is_to_wait(source))
        rd_kafka_topic_partition_list_destroy(list);
    else
        ask(source, list);
    return false;
}

/* Of the partitions without a place, once the group was answered. */
static void look_for_nowhere(struct kafka_source *source)
{
    rd_kafka_topic_partition_list_t *list;

    if (source->committed.is_out || source->look_up.is_out ||
        source->nowhere_ms != KAFKA_NEVER_MS)
        return;
    list = list_of(source, KAFKA_BEGIN_NOWHERE);
    source->look_up.is_again = true;
    if (list != NULL)
        look_up(source, list);
}

/* ---- out of range ------------------------------------------------------------------------ */

void kafka_position_out_of_range(struct kafka_source *source, struct kafka_partition *partition,
                                 const char *why)
{
    partition->is_out_of_range = true;
    /* From 2.1 on librdkafka compares leaders' epochs; only its text tells what it found. */
    partition->is_cut = why != NULL && strstr(why, "truncation") != NULL;
    source->last = NULL;
}

static void ask_range(struct kafka_source *source, struct kafka_partition *partition)
{
    struct kafka_request *request = &source->range;
    const struct source_topic *rules =
        source->intake->ops->topic(source->intake, partition->topic->name);

    request->partition = partition;
    request->partitions = kafka_partition_list(partition);
    request->partitions->elems[0].offset = question_of(rules->out_of_range, rules->begin_time_ms);
    request->is_out = true;
    helper_send(source->helper, &request->base);
}

/* It goes on at another offset than the next. A lower one is another assignment: what was taken in
 * of the log as it used to be does not count for the log as it is. */
static void move_to(struct kafka_source *source, struct kafka_partition *partition,
                    int64_t offset)
{
    struct klane_intake *intake = source->intake;
    struct klane_assignment *assignment = partition->assignment;
    bool is_lower = offset < partition->next;

    intake->ops->out_of_range(intake, partition->topic->name, partition->number, partition->next,
                              offset);
    partition->next = offset;
    partition->end = -1;
    /* What is known of leaders is of another place. */
    kafka_leader_epoch_forget(partition);
    if (!is_lower)
        return;
    kafka_sweep_end(source, partition);
    kafka_fetch_forward(source, partition, false);
    kafka_fetch_drop(source, partition);
    kafka_partition_move(source, partition, KAFKA_WAITING);
    partition->begin = offset;
    partition->is_committed = false;
    kafka_commit_review(source);
    intake->ops->lost(intake, assignment);
}

/* The first of those that are out of range is asked for: another one, next time. */
static void to_the_end(struct kafka_source *source, struct kafka_partition *partition)
{
    TAILQ_REMOVE(&source->owned, partition, owned);
    TAILQ_INSERT_TAIL(&source->owned, partition, owned);
}

void kafka_position_range_came(struct kafka_source *source)
{
    struct kafka_request *request = &source->range;
    struct kafka_partition *partition = request->partition;
    const struct source_topic *rules =
        source->intake->ops->topic(source->intake, partition->topic->name);
    int64_t offset = request->partitions->elems[0].offset;
    rd_kafka_resp_err_t err = request->err;

    request->is_out = false;
    rd_kafka_topic_partition_list_destroy(request->partitions);
    request->partitions = NULL;
    if (partition->state != KAFKA_OURS || !partition->is_out_of_range)
        return;
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        kafka_tell(source, err, partition, "the range of its offsets could not be looked up");
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR ||
        (!partition->is_cut && may_be_beyond(partition, partition->next, request->high))) {
        to_the_end(source, partition);
        again(source);
        return;
    }
    partition->beyond_ms = 0;
    if (partition->next < request->low || partition->next > request->high || partition->is_cut) {
        if (rules->out_of_range == KLANE_BEGIN_ERROR) {
            kafka_fail(source, KLANE_ERR_OUT_OF_RANGE,
                       "%s [%" PRId32 "]: offset %" PRId64
                       " is not in the log, which has %" PRId64 " to %" PRId64,
                       partition->topic->name, partition->number, partition->next, request->low,
                       request->high);
            return;
        }
        move_to(source, partition, offset);
    } else {
        /* It came back into the range meanwhile, perhaps as another log, or some broker lags: not
         * at once again. */
        kafka_leader_epoch_doubt(source, partition);
        again(source);
    }
    partition->is_to_restart = true;
}

/* librdkafka has to begin again at the place that was found. Eager assignments are set as a whole:
 * the others go on where they are, and what was fetched of them ahead is fetched again. Of those
 * whose place is still to be found nothing counts before that, whatever librdkafka reads there
 * now. */
static void restart(struct kafka_source *source)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    rd_kafka_error_t *error = NULL;
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
    struct kafka_partition *partition;

    kafka_turns_end(source);
    TAILQ_FOREACH(partition, &source->owned, owned)
    {
        if (source->is_cooperative && !partition->is_to_restart)
            continue;
        kafka_partition_add(list, partition)->offset = kafka_partition_position(partition);
        if (!partition->is_to_restart) {
            kafka_leader_epoch_doubt(source, partition);
            continue;
        }
        partition->is_to_restart = false;
        partition->is_out_of_range = false;
        partition->is_cut = false;
    }
    if (source->is_cooperative) {
        error = rd_kafka_incremental_unassign(source->rk, list);
        if (error == NULL)
            error = rd_kafka_incremental_assign(source->rk, list);
        if (error != NULL)
            err = rd_kafka_error_code(error);
        rd_kafka_error_destroy(error);
    } else {
        err = rd_kafka_assign(source->rk, list);
    }
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        kafka_fail(source, KLANE_ERR_IO, "a position could not be set: %s",
                   rd_kafka_err2str(err));
    rd_kafka_topic_partition_list_destroy(list);
}

void kafka_position_work(struct kafka_source *source)
{
    struct kafka_partition *partition;
    bool is_to_restart = false, is_awaited = false;

    TAILQ_FOREACH(partition, &source->owned, owned)
    {
        is_awaited = is_awaited || partition->state == KAFKA_FINDING;
        if (!partition->is_out_of_range)
            continue;
        is_to_restart = is_to_restart || partition->is_to_restart;
        if (!partition->is_to_restart && partition->state == KAFKA_OURS &&
            !source->range.is_out && !is_to_wait(source))
            ask_range(source, partition);
    }
    if (is_awaited)
        source->intake->ops->awaited(source->intake);
    /* While the group rebalances, the answer to that is the next that librdkafka may be told. */
    if (!STAILQ_EMPTY(&source->rebalances) || source->phase != KAFKA_RUNS)
        return;
    if (is_to_restart && !is_to_wait(source) &&
        rd_kafka_queue_length(source->consumer.queue) == 0)
        restart(source);
    look_for_nowhere(source);
}
