/* SPDX-License-Identifier: Apache-2.0 */
/* Passes: a second handle of librdkafka reads ranges of partitions again.
 *
 * Upholds: a pass brings every record from its begin on that the log still has, in offset order,
 * beside the main flow: what is fetched for it has connections, threads and a queue of its own,
 * and of each round of control it has no more than a burst.
 *
 * The handle is made when the first pass begins. It is of the program's configuration, with the
 * same isolation level, and is told partitions one by one; it never subscribes and never commits,
 * so to the group it does not exist. Its begin may lie before the first record by now, retention
 * having taken what was there: then it begins with the first, and an event says so. */
#include "source/kafka/sweep.h"

#include "base/assert.h"
#include "source/kafka/config.h"
#include "source/kafka/ending.h"
#include "source/kafka/error.h"
#include "source/kafka/message.h"
#include "source/kafka/nap.h"
#include "source/kafka/partitions.h"
#include "source/kafka/queue.h"
#include "source/kafka/rebootstrap.h"

#include <inttypes.h>
#include <stdlib.h>

/* Of what the main flow may have in its queue, passes have so much. */
#define SHARE 4

/* ---- the handle -------------------------------------------------------------------------- */

static uint32_t share_of(uint32_t whole, uint32_t least)
{
    return whole / SHARE < least ? least : whole / SHARE;
}

void kafka_sweep_init(struct kafka_source *source, const rd_kafka_conf_t *conf,
                      const struct klane_kafka_options *options)
{
    struct kafka_sweep *sweep = &source->sweep;

    TAILQ_INIT(&sweep->partitions);
    sweep->make.type = KAFKA_SWEEPER;
    sweep->limits = *options;
    sweep->limits.queue_records = share_of(options->queue_records, KAFKA_QUEUE_RECORDS_MIN);
    sweep->limits.queue_bytes = share_of(options->queue_bytes, KAFKA_QUEUE_BYTES_MIN);
    sweep->conf = rd_kafka_conf_dup(conf);
    /* What the program hears of, it hears of from the other handle. */
    rd_kafka_conf_set_rebalance_cb(sweep->conf, NULL);
    rd_kafka_conf_set_stats_cb(sweep->conf, NULL);
    rd_kafka_conf_set_offset_commit_cb(sweep->conf, NULL);
    rd_kafka_conf_set_error_cb(sweep->conf, NULL);
    rd_kafka_conf_set_events(sweep->conf, 0);
    rd_kafka_conf_set(sweep->conf, "statistics.interval.ms", "0", NULL, 0);
    /* It is tried for the other handle: see klane_kafka_create(). */
    kafka_config_set(sweep->conf, &sweep->limits, source->version, NULL, 0);
}

void kafka_sweep_deinit(struct kafka_source *source)
{
    if (source->sweep.conf != NULL)
        rd_kafka_conf_destroy(source->sweep.conf);
    kafka_nap_deinit(&source->sweep.nap);
}

/* Within rd_kafka_new(). */
static rd_kafka_resp_err_t handle_is_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf,
                                         void *opaque, char *errstr, size_t errstr_size)
{
    (void)errstr, (void)errstr_size;
    return kafka_rebootstrap_watch(opaque, rk, conf);
}

void kafka_sweep_make(struct kafka_source *source)
{
    struct kafka_sweep *sweep = &source->sweep;

    sweep->rebootstrap = calloc(1, sizeof *sweep->rebootstrap);
    if (sweep->rebootstrap == NULL)
        return;
    rd_kafka_conf_interceptor_add_on_new(sweep->conf, "klane", handle_is_new, sweep->rebootstrap);
    sweep->make.rk = rd_kafka_new(RD_KAFKA_CONSUMER, sweep->conf, NULL, 0);
    /* Where it fails librdkafka leaves a configuration behind that cannot be destroyed. */
    sweep->conf = NULL;
    if (sweep->make.rk != NULL)
        rd_kafka_poll_set_consumer(sweep->make.rk);
}

void kafka_sweep_close(struct kafka_source *source)
{
    struct kafka_sweep *sweep = &source->sweep;

    /* It was made, and that was not heard of any more. */
    if (sweep->rk == NULL && sweep->make.rk != NULL)
        sweep->rk = sweep->make.rk;
    else if (sweep->rk != NULL)
        kafka_queue_deinit(&sweep->queue);
    if (sweep->rk != NULL)
        kafka_end(sweep->rk, free, sweep->rebootstrap);
    else
        free(sweep->rebootstrap);
    sweep->rk = sweep->make.rk = NULL;
    sweep->rebootstrap = NULL;
}

/* ---- what it reads ----------------------------------------------------------------------- */

static void read_from(struct kafka_source *source, struct kafka_partition *partition,
                      int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = kafka_partition_list(partition);
    rd_kafka_error_t *error;

    list->elems[0].offset = offset;
    error = rd_kafka_incremental_assign(source->sweep.rk, list);
    if (error != NULL)
        kafka_fail(source, KLANE_ERR_IO, "a pass could not begin: %s",
                   rd_kafka_error_string(error));
    partition->is_swept = error == NULL;
    rd_kafka_error_destroy(error);
    rd_kafka_topic_partition_list_destroy(list);
}

static void read_no_more(struct kafka_source *source, struct kafka_partition *partition)
{
    rd_kafka_topic_partition_list_t *list = kafka_partition_list(partition);

    rd_kafka_error_destroy(rd_kafka_incremental_unassign(source->sweep.rk, list));
    rd_kafka_topic_partition_list_destroy(list);
    partition->is_swept = false;
}

static void make(struct kafka_source *source)
{
    /* What could not be made once is not tried again: the runtime stops. */
    if (source->sweep.make.is_out || source->phase != KAFKA_RUNS)
        return;
    source->sweep.make.is_out = true;
    helper_send(source->helper, &source->sweep.make.base);
}

void kafka_sweep_made(struct kafka_source *source)
{
    struct kafka_sweep *sweep = &source->sweep;
    struct kafka_partition *partition;

    sweep->make.is_out = false;
    if (sweep->make.rk == NULL) {
        /* The same configuration has made a handle before: memory, threads or descriptors. */
        kafka_fail(source, KLANE_ERR_SYSTEM, "the handle for passes could not be made");
        return;
    }
    sweep->rk = sweep->make.rk;
    kafka_queue_init(source, &sweep->queue, rd_kafka_queue_get_consumer(sweep->rk));
    kafka_nap_init(&sweep->nap, sweep->rk, sweep->queue.queue, &sweep->limits);
    TAILQ_FOREACH(partition, &sweep->partitions, sweeping)
    read_from(source, partition, partition->swept);
}

void kafka_sweep_begin(struct klane_source *base, void *own, int64_t offset)
{
    struct kafka_source *source = kafka_of(base);
    struct kafka_partition *partition = own;

    KLANE_ASSERT(!partition->is_sweeping);
    partition->is_sweeping = true;
    partition->is_sweep_late = false;
    partition->swept = offset;
    TAILQ_INSERT_TAIL(&source->sweep.partitions, partition, sweeping);
    if (source->sweep.rk == NULL)
        make(source);
    else
        read_from(source, partition, offset);
}

void kafka_sweep_end(struct kafka_source *source, struct kafka_partition *partition)
{
    if (!partition->is_sweeping)
        return;
    partition->is_sweeping = false;
    TAILQ_REMOVE(&source->sweep.partitions, partition, sweeping);
    if (partition->is_swept)
        read_no_more(source, partition);
    if (TAILQ_EMPTY(&source->sweep.partitions))
        source->sweep.nap.is_to_wake = false;
}

/* ---- no brokers -------------------------------------------------------------------------- */

/* While there is something in the queue, the handle may have reason to do nothing. */
static bool waits_for_brokers(const struct kafka_sweep *sweep)
{
    return sweep->rk != NULL && !TAILQ_EMPTY(&sweep->partitions) && !sweep->has_more &&
           rd_kafka_queue_length(sweep->queue.queue) == 0;
}

void kafka_sweep_work(struct kafka_source *source, int64_t now_ms)
{
    const struct kafka_sweep *sweep = &source->sweep;

    if (waits_for_brokers(sweep))
        kafka_rebootstrap_work(source, sweep->rebootstrap, now_ms);
    else if (sweep->rk != NULL)
        kafka_rebootstrap_stir(sweep->rebootstrap, now_ms);
}

int64_t kafka_sweep_due_ms(const struct kafka_source *source)
{
    return waits_for_brokers(&source->sweep) ? kafka_rebootstrap_due_ms(source->sweep.rebootstrap)
                                             : KAFKA_NEVER_MS;
}

/* ---- what it brings ---------------------------------------------------------------------- */

/* Retention has taken what lies below offset. False: by the topic's rules that is an error. */
static bool catch_up(struct kafka_source *source, struct kafka_partition *partition,
                     int64_t offset)
{
    struct klane_intake *intake = source->intake;
    const struct source_topic *rules = intake->ops->topic(intake, partition->topic->name);

    partition->is_sweep_late = false;
    if (offset <= partition->swept)
        return true;
    if (rules->out_of_range == KLANE_BEGIN_ERROR) {
        kafka_fail(source, KLANE_ERR_OUT_OF_RANGE,
                   "%s [%" PRId32 "]: offset %" PRId64 ", which is unfinished, is not in the log",
                   partition->topic->name, partition->number, partition->swept);
        return false;
    }
    intake->ops->out_of_range(intake, partition->topic->name, partition->number, partition->swept,
                              offset);
    return true;
}

/* Everything below offset was brought, or is not in the log. */
static void reach(struct kafka_source *source, struct kafka_partition *partition, int64_t offset)
{
    struct klane_intake *intake = source->intake;

    if (partition->is_sweep_late && !catch_up(source, partition, offset))
        return;
    partition->swept = offset;
    if (intake->ops->swept_to(intake, partition->assignment, offset))
        kafka_sweep_end(source, partition);
}

static void take_record(struct kafka_source *source, struct kafka_partition *partition,
                        const rd_kafka_message_t *message)
{
    struct source_record record;

    if (message->offset < partition->swept ||
        !kafka_message_record(source, partition, message, &record))
        return;
    if (partition->is_sweep_late) {
        reach(source, partition, record.offset);
        if (!partition->is_sweeping || source->phase != KAFKA_RUNS)
            return;
    }
    source->sweep.brought++;
    source->intake->ops->swept(source->intake, partition->assignment, &record);
    reach(source, partition, record.offset + 1);
}

static void take_error(struct kafka_source *source, struct kafka_partition *partition,
                       const rd_kafka_message_t *message)
{
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (message->offset >= partition->swept)
            reach(source, partition, message->offset);
    } else if (kafka_err(message->err) == KLANE_ERR_OUT_OF_RANGE) {
        KLANE_MARK("kafka: retention has taken where a pass would begin");
        partition->is_sweep_late = true;
        read_no_more(source, partition);
        read_from(source, partition, RD_KAFKA_OFFSET_BEGINNING);
    } else {
        kafka_message_error(source, partition, message, partition->swept);
    }
}

static void take_message(struct kafka_source *source, const rd_kafka_message_t *message)
{
    struct kafka_partition *partition = NULL;

    if (message->rkt != NULL)
        partition =
            kafka_partitions_find(source, rd_kafka_topic_name(message->rkt), message->partition);
    /* What concerns no partition, the other handle meets as well. */
    if (partition == NULL || !partition->is_swept)
        return;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        take_record(source, partition, message);
    else
        take_error(source, partition, message);
}

static rd_kafka_topic_partition_list_t *list_of_swept(const struct kafka_sweep *sweep)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    const struct kafka_partition *first = TAILQ_FIRST(&sweep->partitions);

    if (first != NULL)
        kafka_partition_add(list, first);
    return list;
}

size_t kafka_sweep_poll(struct klane_source *base, size_t records_max)
{
    struct kafka_source *source = kafka_of(base);
    struct kafka_sweep *sweep = &source->sweep;
    rd_kafka_message_t *message = NULL;

    if (sweep->rk == NULL || source->phase != KAFKA_RUNS ||
        (!sweep->has_more && !sweep->nap.is_to_wake && !kafka_queue_has_rung(&sweep->queue)))
        return 0;
    sweep->brought = 0;
    while (sweep->brought < records_max && source->phase == KAFKA_RUNS &&
           (message = rd_kafka_consumer_poll(sweep->rk, 0)) != NULL) {
        take_message(source, message);
        rd_kafka_message_destroy(message);
    }
    sweep->has_more = message != NULL;
    kafka_nap_watch(source, &sweep->nap, sweep->brought);
    if (kafka_nap_is_to_end(&sweep->nap))
        kafka_nap_end(source, &sweep->nap, list_of_swept(sweep));
    return sweep->brought;
}
