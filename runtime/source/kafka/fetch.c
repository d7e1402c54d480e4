/* SPDX-License-Identifier: Apache-2.0 */
/* Records: from librdkafka's data queue to control.
 *
 * Upholds: of a partition that control has, every record from its begin on is offered, in order,
 * until it was taken; of any other, none. Nothing that librdkafka handed over is kept but as a
 * copy: one message would pin the whole response of a broker.
 *
 * The data queue is read by callback: librdkafka looks at each message as it hands it over and
 * drops what an assignment before has left behind. A batch is not checked so (and loses records
 * around rebalances before 2.1).
 *
 * What control does not want now is stashed, a list of copies for each partition: the rest of
 * what was on its way when a partition was held. (Nothing is asked for when there is room for
 * none, so that little is refused.) A partition with a stash has its new records put behind it. A
 * held partition's queue is forwarded to nowhere. It is paused, which throws away what was fetched
 * and not read yet, only when more comes into its queue, or when all partitions' stashes have as
 * much as the queue may have: each queue on its own has limits as wide as those of the one that
 * all are forwarded to.
 *
 * librdkafka clears the forwarding of a queue whenever it stops to fetch, which it does in its own
 * time after an assignment has changed. So each partition's queue tells when something is put into
 * it after all, and is forwarded again.
 *
 * Edge K2: see source/kafka/kafka.h. */
#include "source/kafka/fetch.h"

#include "base/assert.h"
#include "base/clock.h"
#include "source/kafka/error.h"
#include "source/kafka/leader_epoch.h"
#include "source/kafka/message.h"
#include "source/kafka/nap.h"
#include "source/kafka/partitions.h"
#include "source/kafka/pause.h"
#include "source/kafka/position.h"
#include "source/kafka/turns.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Partitions whose leaders are woken at once. */
#define WAKE_MOST 16

/* How many records tell how large they are; and where nobody wants headers, which of them tell how
 * large those are. */
#define SEEN_RECORDS_MOST 8192
#define SEEN_HEADERS_EVERY 64

/* ---- forwarding -------------------------------------------------------------------------- */

/* On any of librdkafka's threads, with the queue locked. */
static void queue_strayed(rd_kafka_t *rk, void *opaque)
{
    struct kafka_partition *partition = opaque;
    struct kafka_source *source = partition->source;

    (void)rk;
    /* K2 release: pairs with strays_return(). */
    atomic_store_explicit(&partition->is_strayed, true, memory_order_release);
    atomic_store_explicit(&source->has_strays, true, memory_order_release);
    doorbell_ring(&source->doorbell);
}

void kafka_fetch_forward(struct kafka_source *source, struct kafka_partition *partition, bool on)
{
    if (partition->queue == NULL) {
        partition->queue =
            rd_kafka_queue_get_partition(source->rk, partition->topic->name, partition->number);
        rd_kafka_queue_cb_event_enable(partition->queue, queue_strayed, partition);
    }
    rd_kafka_queue_forward(partition->queue, on ? source->data.queue : NULL);
    partition->is_forwarded = on;
    if (on)
        kafka_pause_end(partition, KAFKA_PAUSE_HELD);
}

/* What has come into a partition's own queue is forwarded, if it is to be. */
static void strays_return(struct kafka_source *source)
{
    struct kafka_partition *partition;

    /* K2 acquire-release: pairs with queue_strayed(). */
    if (!atomic_load_explicit(&source->has_strays, memory_order_acquire) ||
        !atomic_exchange_explicit(&source->has_strays, false, memory_order_acq_rel))
        return;
    source->has_held_strays = true;
    TAILQ_FOREACH(partition, &source->owned, owned)
    /* K2 acquire-release: as above. */
    if (partition->is_forwarded &&
        atomic_exchange_explicit(&partition->is_strayed, false, memory_order_acq_rel)) {
        KLANE_MARK("kafka: a queue is forwarded again");
        kafka_fetch_forward(source, partition, true);
    }
}

void kafka_fetch_forget(struct kafka_partition *partition)
{
    kafka_pause_forget(partition);
    if (partition->queue == NULL)
        return;
    rd_kafka_queue_forward(partition->queue, NULL);
    rd_kafka_queue_cb_event_enable(partition->queue, NULL, NULL);
    rd_kafka_queue_destroy(partition->queue);
    partition->queue = NULL;
    partition->is_forwarded = false;
}

void kafka_fetch_hold(struct kafka_source *source, struct kafka_partition *partition, bool held)
{
    partition->is_held = held;
    if (partition->state != KAFKA_OURS)
        return;
    /* With a stash, its records go first. */
    if (held)
        kafka_fetch_forward(source, partition, false);
    else if (STAILQ_EMPTY(&partition->stash))
        kafka_fetch_forward(source, partition, true);
    doorbell_ring(&source->doorbell);
}

/* ---- the stash --------------------------------------------------------------------------- */

/* Of a record that is stashed. */
static size_t size_of(const struct source_record *record)
{
    return sizeof(struct kafka_stashed) + (size_t)record->key_size + record->value_size +
           record->headers_size;
}

static void unstash_first(struct kafka_source *source, struct kafka_partition *partition)
{
    struct kafka_stashed *stashed = STAILQ_FIRST(&partition->stash);

    STAILQ_REMOVE_HEAD(&partition->stash, link);
    source->stashed_bytes -= size_of(&stashed->record);
    free(stashed);
}

void kafka_fetch_drop(struct kafka_source *source, struct kafka_partition *partition)
{
    while (!STAILQ_EMPTY(&partition->stash))
        unstash_first(source, partition);
    if (partition->is_stashing)
        TAILQ_REMOVE(&source->stashing, partition, stashing);
    partition->is_stashing = false;
}

static const void *copy_to(unsigned char **at, const void *from, uint32_t size)
{
    void *to = *at;

    if (from == NULL)
        return NULL;
    if (size > 0)
        memcpy(to, from, size);
    *at += size;
    return to;
}

static void stash(struct kafka_source *source, struct kafka_partition *partition,
                  const struct source_record *record)
{
    struct kafka_stashed *stashed = malloc(size_of(record));
    unsigned char *at;

    /* librdkafka has let go of the message on return: without a copy it would be lost. */
    if (stashed == NULL) {
        kafka_fail(source, KLANE_ERR_NOMEM, "%s [%" PRId32 "]: no memory to keep record %" PRId64,
                   partition->topic->name, partition->number, record->offset);
        return;
    }
    stashed->record = *record;
    at = stashed->bytes;
    stashed->record.key = copy_to(&at, record->key, record->key_size);
    stashed->record.value = copy_to(&at, record->value, record->value_size);
    stashed->record.headers = copy_to(&at, record->headers, record->headers_size);
    STAILQ_INSERT_TAIL(&partition->stash, stashed, link);
    source->stashed_bytes += size_of(record);
    if (source->stashed_bytes > source->nap.queue_bytes)
        kafka_pause(partition, KAFKA_PAUSE_HELD);
    if (!partition->is_stashing)
        TAILQ_INSERT_TAIL(&source->stashing, partition, stashing);
    partition->is_stashing = true;
}

/* Everything below the end was offered, if nothing is stashed. */
static void tell_end(struct kafka_source *source, struct kafka_partition *partition)
{
    if (partition->end < 0 || !STAILQ_EMPTY(&partition->stash))
        return;
    source->intake->ops->end(source->intake, partition->assignment, partition->end);
    partition->end = -1;
}

static bool is_full(const struct kafka_source *source)
{
    return source->taken >= source->records_max || source->is_refused ||
           source->phase != KAFKA_RUNS;
}

/* As much as the queue may have comes off the budget for the stash. */
bool kafka_fetch_is_open(const struct kafka_source *source)
{
    size_t free_bytes = source->nap.queue_bytes;
    size_t kept = source->stashed_bytes > free_bytes ? source->stashed_bytes - free_bytes : 0;

    return !is_full(source) && source->intake->ops->has_room(source->intake, kept);
}

/* Offers what is stashed of the partition, as far as it is taken. */
static void unstash(struct kafka_source *source, struct kafka_partition *partition)
{
    struct klane_intake *intake = source->intake;
    struct kafka_stashed *stashed;

    /* What the intake calls back may hold the partition. */
    while (!partition->is_held && !is_full(source) &&
           (stashed = STAILQ_FIRST(&partition->stash)) != NULL) {
        source->is_refused =
            !intake->ops->record(intake, partition->assignment, &stashed->record);
        if (source->is_refused) {
            /* The next time another is asked first, which this one may have to wait for. */
            TAILQ_REMOVE(&source->stashing, partition, stashing);
            TAILQ_INSERT_TAIL(&source->stashing, partition, stashing);
            return;
        }
        source->taken++;
        unstash_first(source, partition);
    }
    if (!STAILQ_EMPTY(&partition->stash))
        return;
    kafka_fetch_drop(source, partition);
    tell_end(source, partition);
    /* Also where it was paused only for what it had in the stash. */
    if (!partition->is_held &&
        (!partition->is_forwarded || (partition->pauses & KAFKA_PAUSE_HELD) != 0))
        kafka_fetch_forward(source, partition, true);
}

static void unstash_all(struct kafka_source *source)
{
    struct kafka_partition *partition, *next;

    for (partition = TAILQ_FIRST(&source->stashing); partition != NULL && !is_full(source);
         partition = next) {
        next = TAILQ_NEXT(partition, stashing);
        unstash(source, partition);
    }
}

/* ---- messages ---------------------------------------------------------------------------- */

/* Records of one partition come in runs. NULL: control does not have it. */
static struct kafka_partition *partition_of(struct kafka_source *source,
                                            const rd_kafka_message_t *message)
{
    struct kafka_partition *partition;

    if (source->last != NULL && message->rkt == source->last_topic &&
        message->partition == source->last_number)
        return source->last;
    if (message->rkt == NULL)
        return NULL;
    partition =
        kafka_partitions_find(source, rd_kafka_topic_name(message->rkt), message->partition);
    if (partition == NULL || partition->state != KAFKA_OURS)
        return NULL;
    source->last = partition;
    source->last_topic = message->rkt;
    source->last_number = message->partition;
    return partition;
}

/* Of the last some thousands. */
static void note_size(struct kafka_source *source, const struct kafka_partition *partition,
                      const rd_kafka_message_t *message, const struct source_record *record)
{
    /* The first ones, of which there are fewer, each for itself. */
    if (!partition->has_headers && source->seen_records < SEEN_HEADERS_EVERY)
        source->seen_uncounted += kafka_message_headers_size(source, message);
    else if (!partition->has_headers && source->seen_records % SEEN_HEADERS_EVERY == 0)
        source->seen_uncounted +=
            (uint64_t)kafka_message_headers_size(source, message) * SEEN_HEADERS_EVERY;
    if (++source->seen_records == SEEN_RECORDS_MOST) {
        source->seen_records /= 2;
        source->seen_bytes /= 2;
        source->seen_uncounted /= 2;
    }
    source->seen_bytes += record->value_size;
    source->seen_uncounted += (uint64_t)record->key_size + record->headers_size;
}

static void offer(struct kafka_source *source, struct kafka_partition *partition,
                  const struct source_record *record)
{
    struct klane_intake *intake = source->intake;

    partition->next = record->offset + 1;
    partition->end = -1;
    partition->has_read = true;
    kafka_turns_note(source, partition);
    if (partition->is_held || partition->is_stashing) {
        KLANE_MARK("kafka: a record is stashed");
        stash(source, partition, record);
    } else if (intake->ops->record(intake, partition->assignment, record)) {
        source->taken++;
    } else {
        source->is_refused = true;
        stash(source, partition, record);
    }
}

static void take_record(struct kafka_source *source, struct kafka_partition *partition,
                        const rd_kafka_message_t *message)
{
    struct source_record record;

    /* librdkafka may repeat some around a rebalance. */
    if (message->offset >= partition->next &&
        kafka_message_record(source, partition, message, &record)) {
        note_size(source, partition, message, &record);
        offer(source, partition, &record);
    }
}

/* What librdkafka says of a partition between its records. */
static void take_error(struct kafka_source *source, struct kafka_partition *partition,
                       const rd_kafka_message_t *message)
{
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        /* What is missing below the end will not come any more. */
        if (message->offset > partition->next)
            partition->next = message->offset;
        partition->end = message->offset;
        tell_end(source, partition);
    } else if (kafka_err(message->err) == KLANE_ERR_OUT_OF_RANGE) {
        kafka_position_out_of_range(source, partition, rd_kafka_message_errstr(message));
    } else {
        kafka_message_error(source, partition, message, partition->next);
    }
}

static void take_message(rd_kafka_message_t *message, void *opaque)
{
    struct kafka_source *source = opaque;
    struct kafka_partition *partition = partition_of(source, message);

    /* What comes behind a position that is wrong comes again from the right one. */
    if (partition != NULL && source->phase == KAFKA_RUNS && !partition->is_out_of_range &&
        !(partition->is_unproven && kafka_leader_epoch_prove(source, partition, message))) {
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            take_record(source, partition, message);
        else
            take_error(source, partition, message);
    }
    if (!kafka_fetch_is_open(source))
        rd_kafka_yield(source->rk);
}

/* By is_out_of_range, or as control does not have the partition. */
void kafka_fetch_discard(struct kafka_source *source, const struct kafka_partition *partition)
{
    rd_kafka_consume_callback_queue(partition->queue, 0, take_message, source);
}

/* Of those that are not forwarded nothing more is to come. */
static void strays_pause(struct kafka_source *source)
{
    struct kafka_partition *partition;

    if (!source->has_held_strays)
        return;
    source->has_held_strays = false;
    TAILQ_FOREACH(partition, &source->owned, owned)
    /* K2 acquire-release: as above. */
    if (partition->state == KAFKA_OURS && !partition->is_forwarded &&
        atomic_exchange_explicit(&partition->is_strayed, false, memory_order_acq_rel)) {
        KLANE_MARK("kafka: a held partition is paused");
        kafka_pause(partition, KAFKA_PAUSE_HELD);
        /* What came is of before the pause and comes again: librdkafka drops it as it is read. */
        rd_kafka_consume_callback_queue(partition->queue, 0, take_message, source);
    }
}

void kafka_fetch_work(struct kafka_source *source)
{
    strays_return(source);
    unstash_all(source);
    if (kafka_fetch_is_open(source))
        rd_kafka_consume_callback_queue(source->data.queue, 0, take_message, source);
    /* Not before what stood in the data queue of them is stashed, if it could be read. */
    strays_pause(source);
}

/* ---- the nap of a full queue ------------------------------------------------------------- */

/* Some of those whose brokers' threads may sleep although there is more. */
static rd_kafka_topic_partition_list_t *list_of_sleeping(struct kafka_source *source)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(WAKE_MOST);
    struct kafka_partition *first = source->wake_next, *partition = first;
    int64_t now_ms = clock_now_ms();

    if (first == NULL)
        first = partition = TAILQ_FIRST(&source->owned);
    while (partition != NULL && list->cnt < WAKE_MOST) {
        if (partition->is_to_wake || kafka_turns_is_promising(source, partition, now_ms))
            kafka_partition_add(list, partition);
        partition->is_to_wake = false;
        partition = TAILQ_NEXT(partition, owned);
        if (partition == NULL)
            partition = TAILQ_FIRST(&source->owned);
        if (partition == first)
            break;
    }
    source->wake_next = partition;
    return list;
}

void kafka_fetch_wake(struct kafka_source *source)
{
    if (kafka_nap_watch(source, &source->nap, source->taken))
        kafka_turns_look(source);
    if (kafka_nap_is_to_end(&source->nap))
        kafka_nap_end(source, &source->nap, list_of_sleeping(source));
}
