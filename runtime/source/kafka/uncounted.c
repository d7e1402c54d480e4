/* SPDX-License-Identifier: Apache-2.0 */
/* Upholds: where keys and headers are most of what records have, no more of them stands in the
 * data queue than about twice what values may have, and what comes between two looks at it.
 *
 * librdkafka's limit of bytes counts values alone; of the rest only the number of messages is
 * limited, which is far too much where a record has thousands of headers. How much there is in
 * the queue follows from its length, and from what the last some thousands of records had. When
 * that is too much, all pause, which throws it away: it is fetched again. So nothing is fetched
 * in vain as long as control takes what comes, and while it takes little a response now and then.
 * Passes need none of this: control reads them in every round. */
#include "source/kafka/uncounted.h"

#include "base/assert.h"
#include "base/clock.h"
#include "source/kafka/pause.h"

/* How long a pause lasts at least, and how soon it is looked again whether one is needed. */
#define PAUSE_MS 20
#define PAUSE_MOST_MS 1000
#define LOOK_MS 5

void kafka_uncounted_init(struct kafka_uncounted *uncounted)
{
    *uncounted = (struct kafka_uncounted){.due_ms = KAFKA_NEVER_MS, .pause_ms = PAUSE_MS};
}

/* Of so many records, as far as can be told from those that have come. */
static uint64_t bytes_of(const struct kafka_source *source, uint64_t records)
{
    return source->seen_records == 0 ? 0
                                     : source->seen_uncounted * records / source->seen_records;
}

/* Control takes what comes, in this round. */
static bool has_room(const struct kafka_source *source)
{
    return source->records_max > 0 && source->intake->ops->has_room(source->intake, 0);
}

/* Twice as long as the last time, if little was taken since: what is thrown away is fetched again,
 * at the network's cost. */
static void set_pause(struct kafka_source *source)
{
    struct kafka_uncounted *uncounted = &source->uncounted;

    if (bytes_of(source, uncounted->taken) >= source->nap.queue_bytes)
        uncounted->pause_ms = PAUSE_MS;
    else if (uncounted->pause_ms < PAUSE_MOST_MS)
        uncounted->pause_ms *= 2;
    uncounted->taken = 0;
}

static bool is_forwarded(const struct kafka_partition *partition)
{
    return partition->state == KAFKA_OURS && partition->is_forwarded;
}

static void pause_all(struct kafka_source *source, int64_t now_ms)
{
    KLANE_MARK("kafka: keys and headers fill the queue");
    kafka_pause_where(source, is_forwarded, KAFKA_PAUSE_UNCOUNTED);
    if (!source->uncounted.is_paused)
        set_pause(source);
    source->uncounted.is_paused = true;
    source->uncounted.due_ms = now_ms + source->uncounted.pause_ms;
}

void kafka_uncounted_end(struct kafka_source *source)
{
    if (!source->uncounted.is_paused)
        return;
    source->uncounted.is_paused = false;
    source->uncounted.due_ms = clock_now_ms() + LOOK_MS;
    kafka_pause_end_all(source, KAFKA_PAUSE_UNCOUNTED);
}

void kafka_uncounted_work(struct kafka_source *source)
{
    struct kafka_uncounted *uncounted = &source->uncounted;
    uint64_t limit = source->nap.queue_bytes, length;
    int64_t now_ms;

    uncounted->taken += source->taken;
    /* As the number of messages limits it. */
    if (!uncounted->is_paused && bytes_of(source, source->nap.queue_records) <= limit) {
        uncounted->due_ms = KAFKA_NEVER_MS;
        return;
    }
    now_ms = clock_now_ms();
    /* While control takes them, some may have been taken by the next look. */
    if (has_room(source))
        limit *= 2;
    length = (uint64_t)rd_kafka_queue_length(source->data.queue);
    if (bytes_of(source, length) > limit) {
        pause_all(source, now_ms);
    } else if (!uncounted->is_paused) {
        /* An empty queue rings when something comes. */
        uncounted->due_ms = length == 0 ? KAFKA_NEVER_MS : now_ms + LOOK_MS;
    } else if (now_ms >= uncounted->due_ms) {
        uncounted->due_ms = now_ms + PAUSE_MS;
        uncounted->is_paused = !has_room(source);
        if (!uncounted->is_paused)
            kafka_pause_end_all(source, KAFKA_PAUSE_UNCOUNTED);
    }
}

int64_t kafka_uncounted_due_ms(const struct kafka_source *source)
{
    return source->uncounted.due_ms;
}
