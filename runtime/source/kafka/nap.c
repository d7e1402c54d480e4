/* SPDX-License-Identifier: Apache-2.0 */
#include "source/kafka/nap.h"

#include "base/clock.h"

/* How often a leader may be asked something only to wake it. */
#define WAKE_MS 2

void kafka_nap_init(struct kafka_nap *nap, rd_kafka_t *rk, rd_kafka_queue_t *queue,
                    const struct klane_kafka_options *limits)
{
    nap->queue = queue;
    nap->queue_records = limits->queue_records;
    nap->queue_bytes = limits->queue_bytes;
    nap->wake.type = KAFKA_WAKE;
    nap->wake.rk = rk;
    nap->wake.nap = nap;
}

void kafka_nap_deinit(struct kafka_nap *nap)
{
    if (nap->wake.partitions != NULL)
        rd_kafka_topic_partition_list_destroy(nap->wake.partitions);
}

/* The records that the queue may hold, by whichever of its two limits is lower. */
static size_t queue_limit(const struct kafka_source *source, const struct kafka_nap *nap)
{
    size_t record_bytes =
        source->seen_records == 0 ? 0 : (size_t)(source->seen_bytes / source->seen_records);
    size_t by_bytes = nap->queue_bytes / (record_bytes + 1);

    /* One fits however large it is: an empty queue is not full. */
    if (by_bytes == 0)
        return 1;
    return by_bytes < nap->queue_records ? by_bytes : nap->queue_records;
}

bool kafka_nap_watch(const struct kafka_source *source, struct kafka_nap *nap, size_t taken)
{
    size_t limit = queue_limit(source, nap);
    size_t length = rd_kafka_queue_length(nap->queue);

    nap->is_to_wake = false;
    /* What was taken a moment ago counts: the queue is looked at between two bursts. */
    if (length + taken >= limit)
        nap->has_been_full = true;
    nap->is_low = length <= limit / 2;
    if (!nap->is_low || !nap->has_been_full)
        return false;
    nap->has_been_full = false;
    /* A pause that has ended makes it possible as well. */
    if (source->version < KAFKA_VERSION_BACKOFF)
        nap->is_possible = true;
    return true;
}

bool kafka_nap_is_to_end(struct kafka_nap *nap)
{
    if (!nap->is_possible || !nap->is_low || nap->wake.is_out)
        return false;
    nap->is_to_wake = clock_now_ms() < nap->woken_ms + WAKE_MS;
    return !nap->is_to_wake;
}

void kafka_nap_end(struct kafka_source *source, struct kafka_nap *nap,
                   rd_kafka_topic_partition_list_t *partitions)
{
    nap->is_possible = false;
    if (partitions->cnt == 0) {
        rd_kafka_topic_partition_list_destroy(partitions);
        return;
    }
    nap->woken_ms = clock_now_ms();
    nap->wake.is_out = true;
    nap->wake.partitions = partitions;
    helper_send(source->helper, &nap->wake.base);
}

int64_t kafka_nap_due_ms(const struct kafka_nap *nap)
{
    return nap->is_to_wake ? nap->woken_ms + WAKE_MS : KAFKA_NEVER_MS;
}

void kafka_nap_ended(struct kafka_nap *nap)
{
    nap->wake.is_out = false;
    rd_kafka_topic_partition_list_destroy(nap->wake.partitions);
    nap->wake.partitions = NULL;
}
