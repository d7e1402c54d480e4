/* SPDX-License-Identifier: Apache-2.0 */
/* Upholds: no partition that has more in its log goes without for long because others have much.
 *
 * librdkafka's brokers begin each request with another partition, but not after the queue was
 * full: then all of a broker's partitions are put into its list anew, in the same order. What
 * comes first in it fills the response, the response fills the queue, and whatever comes later in
 * the list waits until the first have nothing left (open as its issue 1854).
 *
 * So whenever the queue has been full, the partitions are looked at. When some have more, and
 * nothing of them has come since the look before, those of which something has come pause, until
 * something of all others has come too. Before it comes to that, a partition must have gone
 * without for a while: a broker that is further away than the others is not waited for. A turn
 * that brings nothing ends; whoever it was for is not waited for again before it has something. */
#include "source/kafka/turns.h"

#include "base/assert.h"
#include "base/clock.h"
#include "source/kafka/pause.h"

/* So long a partition goes without before others wait for it; while turns are taken, only from
 * one look to the next. */
#define TURNS_AFTER_MS 200
#define TURNS_KEPT_MS 1000

/* A turn in which nothing comes. */
#define TURN_IN_VAIN_MS 500

bool kafka_turns_has_more(const struct kafka_source *source,
                          const struct kafka_partition *partition)
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

static void turn_ends(struct kafka_source *source)
{
    struct kafka_partition *partition;

    TAILQ_FOREACH(partition, &source->owned, owned)
    kafka_pause_end(partition, KAFKA_PAUSE_TURN);
    source->turns.is_on = false;
    source->turns.idle_ms = 0;
}

/* It goes without. */
static bool is_waiting(const struct kafka_source *source, const struct kafka_partition *partition)
{
    return !partition->has_come && !partition->is_in_vain &&
           kafka_turns_has_more(source, partition);
}

/* Whether it has gone without for so long that others are to wait for it. */
static bool look_at(struct kafka_source *source, struct kafka_partition *partition,
                    int64_t now_ms)
{
    int64_t after_ms = now_ms < source->turns.kept_ms ? 0 : TURNS_AFTER_MS;
    bool has_waited = partition->waits_ms != 0;

    if (!is_waiting(source, partition)) {
        partition->waits_ms = 0;
        return false;
    }
    if (!has_waited)
        partition->waits_ms = now_ms;
    /* What was in the queue at one look has come by the next. */
    return has_waited && now_ms - partition->waits_ms >= after_ms;
}

void kafka_turns_look(struct kafka_source *source)
{
    struct kafka_partition *partition;
    int64_t now_ms = clock_now_ms();
    bool is_any_waiting = false, is_to_begin = false;

    TAILQ_FOREACH(partition, &source->owned, owned)
    {
        is_to_begin |= look_at(source, partition, now_ms);
        is_any_waiting |= partition->waits_ms != 0;
    }
    if (is_to_begin)
        source->turns.is_on = true;
    TAILQ_FOREACH(partition, &source->owned, owned)
    {
        if (partition->has_come && source->turns.is_on && is_any_waiting)
            kafka_pause(partition, KAFKA_PAUSE_TURN);
        partition->has_come = false;
    }
    if (!source->turns.is_on)
        return;
    KLANE_MARK("kafka: partitions wait for one of which nothing comes");
    source->turns.kept_ms = now_ms + TURNS_KEPT_MS;
    if (!is_any_waiting)
        turn_ends(source);
}

static bool is_any_waiting(const struct kafka_source *source)
{
    const struct kafka_partition *partition;

    TAILQ_FOREACH(partition, &source->owned, owned)
    if (is_waiting(source, partition))
        return true;
    return false;
}

static void turn_was_in_vain(struct kafka_source *source)
{
    struct kafka_partition *partition;

    KLANE_MARK("kafka: a partition was waited for in vain");
    TAILQ_FOREACH(partition, &source->owned, owned)
    partition->is_in_vain |= is_waiting(source, partition);
    turn_ends(source);
}

void kafka_turns_work(struct kafka_source *source)
{
    int64_t now_ms;

    if (!source->turns.is_on)
        return;
    if (source->taken > 0 || source->is_refused || source->records_max == 0 ||
        rd_kafka_queue_length(source->data.queue) > 0) {
        source->turns.idle_ms = 0;
        return;
    }
    now_ms = clock_now_ms();
    if (!is_any_waiting(source))
        turn_ends(source);
    else if (source->turns.idle_ms == 0)
        source->turns.idle_ms = now_ms;
    else if (now_ms >= source->turns.idle_ms + TURN_IN_VAIN_MS)
        turn_was_in_vain(source);
}

int64_t kafka_turns_due_ms(const struct kafka_source *source)
{
    return source->turns.idle_ms > 0 ? source->turns.idle_ms + TURN_IN_VAIN_MS : KAFKA_NEVER_MS;
}
