/* SPDX-License-Identifier: Apache-2.0 */
/* Upholds: no partition that has more in its log goes without for long because others have much;
 * and those lose a third of their time by that at most.
 *
 * librdkafka's brokers begin each request with another partition, but not after the queue was
 * full: then all of a broker's partitions are put into its list anew, in the same order. What
 * comes first in it fills the response, the response fills the queue, and whatever comes later in
 * the list waits until the first have nothing left (open as its issue 1854).
 *
 * So whenever the queue has been full, the partitions are looked at. When one has more, and has
 * brought nothing for a while, those that have brought something pause, until all of the others
 * have done so too. How long that while is, follows from how long the last turn took, with the
 * time until something of the others came again: a turn may cost a request to a broker that is
 * far away, and one that waits at the end of a log.
 *
 * A watermark may be wrong about what can come: a leader is away, or a transaction is open. A
 * turn in which nothing comes of those it is for ends, and they are not waited for again for a
 * time that doubles. */
#include "source/kafka/turns.h"

#include "base/assert.h"
#include "base/clock.h"
#include "source/kafka/fetch.h"
#include "source/kafka/pause.h"

/* The while, before any turn, and at most. */
#define AFTER_MS 200
#define AFTER_MOST_MS 2000

/* A turn in which nothing comes of those it is for, and for how long they are not waited for
 * then. */
#define IN_VAIN_MS 500
#define NOT_AGAIN_MS 1000
#define NOT_AGAIN_MOST_MS 60000

static bool has_more(const struct kafka_source *source, const struct kafka_partition *partition)
{
    int64_t low, high;

    if (partition->state != KAFKA_OURS || !partition->is_forwarded || partition->pauses != 0 ||
        partition->is_out_of_range)
        return false;
    /* As of the last response: no request is made. */
    return rd_kafka_get_watermark_offsets(source->rk, partition->topic->name, partition->number,
                                          &low, &high) == RD_KAFKA_RESP_ERR_NO_ERROR &&
           high > partition->next;
}

bool kafka_turns_is_promising(const struct kafka_source *source,
                              const struct kafka_partition *partition, int64_t now_ms)
{
    return now_ms >= partition->vain_until_ms && has_more(source, partition);
}

void kafka_turns_init(struct kafka_partition *partition)
{
    partition->has_come = false;
    partition->waits_ms = 0;
    partition->vain_ms = 0;
    partition->vain_until_ms = 0;
}

void kafka_turns_note(struct kafka_source *source, struct kafka_partition *partition)
{
    struct kafka_turns *turns = &source->turns;

    if (!partition->has_come && turns->is_on && partition->waits_ms != 0) {
        turns->idle_ms = 0;
        partition->vain_ms = 0;
    }
    partition->has_come = true;
    if (turns->is_on || turns->began_ms == 0)
        return;
    turns->took_ms = clock_now_ms() - turns->began_ms;
    turns->began_ms = 0;
}

static bool is_waiting(const struct kafka_source *source, const struct kafka_partition *partition,
                       int64_t now_ms)
{
    return !partition->has_come && kafka_turns_is_promising(source, partition, now_ms);
}

static int64_t after_ms(const struct kafka_turns *turns)
{
    if (turns->took_ms == 0)
        return AFTER_MS;
    return 2 * turns->took_ms < AFTER_MOST_MS ? 2 * turns->took_ms : AFTER_MOST_MS;
}

/* Whether it has gone without for so long that others are to wait for it. */
static bool look_at(struct kafka_source *source, struct kafka_partition *partition,
                    int64_t now_ms)
{
    bool has_waited = partition->waits_ms != 0;

    if (!is_waiting(source, partition, now_ms)) {
        partition->waits_ms = 0;
        return false;
    }
    if (!has_waited)
        partition->waits_ms = now_ms;
    /* What was in the queue at one look has come by the next. */
    return has_waited && now_ms - partition->waits_ms >= after_ms(&source->turns);
}

void kafka_turns_end(struct kafka_source *source)
{
    struct kafka_partition *partition;

    TAILQ_FOREACH(partition, &source->owned, owned)
    partition->waits_ms = 0;
    source->turns.is_on = false;
    source->turns.idle_ms = 0;
    kafka_pause_end_all(source, KAFKA_PAUSE_TURN);
}

static void turn_begins(struct kafka_source *source, int64_t now_ms)
{
    KLANE_MARK("kafka: partitions wait for one of which nothing comes");
    source->turns.is_on = true;
    source->turns.began_ms = now_ms;
}

static bool has_come(const struct kafka_partition *partition)
{
    return partition->has_come;
}

void kafka_turns_look(struct kafka_source *source)
{
    struct kafka_partition *partition;
    int64_t now_ms = clock_now_ms();
    bool is_waited_for = false, is_to_begin = false;

    TAILQ_FOREACH(partition, &source->owned, owned)
    {
        is_to_begin |= look_at(source, partition, now_ms);
        is_waited_for |= partition->waits_ms != 0;
    }
    if (is_to_begin && !source->turns.is_on)
        turn_begins(source, now_ms);
    if (source->turns.is_on && is_waited_for)
        kafka_pause_where(source, has_come, KAFKA_PAUSE_TURN);
    TAILQ_FOREACH(partition, &source->owned, owned)
    partition->has_come = false;
    if (source->turns.is_on && !is_waited_for)
        kafka_turns_end(source);
}

static bool is_any_waiting(const struct kafka_source *source, int64_t now_ms)
{
    const struct kafka_partition *partition;

    TAILQ_FOREACH(partition, &source->owned, owned)
    if (is_waiting(source, partition, now_ms))
        return true;
    return false;
}

static void turn_was_in_vain(struct kafka_source *source, int64_t now_ms)
{
    struct kafka_partition *partition;

    KLANE_MARK("kafka: a partition was waited for in vain");
    TAILQ_FOREACH(partition, &source->owned, owned)
    {
        if (!is_waiting(source, partition, now_ms))
            continue;
        partition->vain_ms = partition->vain_ms == 0 ? NOT_AGAIN_MS : 2 * partition->vain_ms;
        if (partition->vain_ms > NOT_AGAIN_MOST_MS)
            partition->vain_ms = NOT_AGAIN_MOST_MS;
        partition->vain_until_ms = now_ms + partition->vain_ms;
    }
    kafka_turns_end(source);
    /* In case that librdkafka has forgotten an end. */
    kafka_pause_repeat_ends(source);
}

void kafka_turns_work(struct kafka_source *source)
{
    struct kafka_turns *turns = &source->turns;
    int64_t now_ms;

    if (!turns->is_on)
        return;
    /* While something is to be taken first, or the group forms, nothing is missed. */
    if (!kafka_fetch_is_open(source) || !STAILQ_EMPTY(&source->rebalances) ||
        rd_kafka_queue_length(source->data.queue) > 0) {
        turns->idle_ms = 0;
        return;
    }
    now_ms = clock_now_ms();
    if (!is_any_waiting(source, now_ms))
        kafka_turns_end(source);
    else if (turns->idle_ms == 0)
        turns->idle_ms = now_ms;
    else if (now_ms >= turns->idle_ms + IN_VAIN_MS)
        turn_was_in_vain(source, now_ms);
}

int64_t kafka_turns_due_ms(const struct kafka_source *source)
{
    return source->turns.idle_ms > 0 ? source->turns.idle_ms + IN_VAIN_MS : KAFKA_NEVER_MS;
}
