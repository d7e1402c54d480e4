/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void records_init(struct records *records, const struct records_kind *kind,
                  const struct bench_run *run)
{
    const struct bench_options *options = run->options;
    bool is_said = !kind->is_fixed;
    char name[CLUSTER_NAME_MAX];

    *records = (struct records){
        .count = bench_count(run, kind->count, kind->count_quick),
        .keys = kind->keys,
        .partitions = CLUSTER_PARTITIONS,
        .value_bytes = CLUSTER_VALUE_BYTES,
        .is_zipf = kind->is_zipf,
    };
    if (is_said && options->partitions > 0)
        records->partitions = (int32_t)options->partitions;
    if (is_said && options->value_bytes > 0)
        records->value_bytes = options->value_bytes;
    snprintf(name, sizeof(name), "%s-%dx%u", kind->name, records->partitions,
             records->value_bytes);
    cluster_topic_name(records->topic, name);
}

/* ---- keys in the order in which they are produced ---------------------------------------- */

struct draw {
    const struct records *records;
    struct zipf *zipf;
    uint64_t state;
};

static void draw_init(struct draw *draw, const struct records *records)
{
    *draw = (struct draw){.records = records, .state = 1};
    if (!records->is_zipf)
        return;
    draw->zipf = malloc(sizeof(*draw->zipf));
    if (draw->zipf == NULL)
        bench_fail("no memory for the keys");
    zipf_init(draw->zipf, records->keys, RECORDS_ZIPF_EXPONENT);
}

static uint64_t draw_next(struct draw *draw)
{
    if (draw->records->is_zipf)
        return zipf_draw(draw->zipf, &draw->state);
    return drive_random(&draw->state) % draw->records->keys;
}

static uint64_t *counts_of_keys(const struct records *records)
{
    uint64_t *counts = calloc(records->keys, sizeof(*counts));
    struct draw draw;

    if (counts == NULL)
        bench_fail("no memory for the keys");
    draw_init(&draw, records);
    for (uint64_t i = 0; i < records->count; i++)
        counts[draw_next(&draw)]++;
    free(draw.zipf);
    return counts;
}

uint64_t records_of_key(const struct records *records, uint64_t key)
{
    uint64_t *counts = counts_of_keys(records), count = counts[key];

    free(counts);
    return count;
}

uint64_t records_of_longest(const struct records *records)
{
    uint64_t *counts = counts_of_keys(records), most = 0;

    for (uint64_t i = 0; i < records->keys; i++)
        if (counts[i] > most)
            most = counts[i];
    free(counts);
    return most;
}

uint64_t records_lost(const struct records *records, const struct witness *witness,
                      const char *group)
{
    int64_t committed[CLUSTER_PARTITIONS_MAX], offsets[CLUSTER_PARTITIONS_MAX] = {0};
    uint64_t lost = 0;
    struct draw draw;

    cluster_committed(group, records->topic, records->partitions, committed);
    draw_init(&draw, records);
    for (uint64_t i = 0; i < records->count; i++) {
        uint64_t partition = draw_next(&draw) % (uint64_t)records->partitions;

        lost += offsets[partition]++ < committed[partition] && !witness_has_ended(witness, i);
    }
    free(draw.zipf);
    return lost;
}

/* ---- the topic --------------------------------------------------------------------------- */

static void produce(const struct records *records, rd_kafka_t *producer)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, records->topic, NULL);
    uint64_t *sequences = calloc(records->keys, sizeof(*sequences));
    unsigned char *value = calloc(1, records->value_bytes);
    struct draw draw;

    if (sequences == NULL || value == NULL)
        bench_fail("no memory for the records");
    memcpy(value, drive_value,
           records->value_bytes < DRIVE_VALUE_BYTES ? records->value_bytes : DRIVE_VALUE_BYTES);
    draw_init(&draw, records);
    for (uint64_t i = 0; i < records->count; i++) {
        uint64_t key = draw_next(&draw);

        stamp_write(value, &(struct stamp){sequences[key]++, 0, i});
        cluster_produce(producer, topic, (int32_t)(key % (uint64_t)records->partitions), key,
                        value, records->value_bytes);
    }
    if (rd_kafka_flush(producer, 10 * CLUSTER_CALL_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
        bench_fail("the records were not taken in time");
    free(draw.zipf);
    free(value);
    free(sequences);
    rd_kafka_topic_destroy(topic);
}

bool records_fill(const struct records *records)
{
    /* A request sent again makes no record more, and none less: of several under way, the first
     * may find no leader yet in a new topic, and is then taken for kept as the second is. */
    static const struct cluster_setting settings[] = {
        {"enable.idempotence", "true"},
        {"max.in.flight", "1"},
        {"linger.ms", "20"},
        {"queue.buffering.max.messages", "500000"},
        {NULL, NULL},
    };
    rd_kafka_conf_t *conf = cluster_conf();
    rd_kafka_t *producer;
    bool is_new;

    cluster_set(conf, settings, NULL);
    producer = cluster_producer(conf);
    is_new = !cluster_topic_exists(producer, records->topic);
    if (is_new) {
        cluster_topic_create(records->topic, records->partitions);
        produce(records, producer);
    }
    bench_check_count(cluster_records_in(producer, records->topic, records->partitions),
                      records->count, "records produced");
    rd_kafka_destroy(producer);
    return is_new;
}

void records_settings(const struct records *records, struct bench_run *run, uint32_t workers)
{
    cluster_settings(run, records->count, records->keys, workers);
    bench_setting(run, "partitions", records->partitions);
    bench_setting(run, "value_bytes", records->value_bytes);
}
