/* SPDX-License-Identifier: Apache-2.0 */
/* Kafka, a stuck key: key 0 is never finished, and all others go on as if it were.
 *
 * Both arms read the same topic. In arm klane the first record of key 0 is answered later, after
 * all others are handled; until then its partition may not be committed past it. The clock runs
 * from the first record of another key to the last. */
#include "cases/kafka.h"

#include <semaphore.h>
#include <string.h>

const bool kafka_is_stuck = true, kafka_is_free = false;

/* The one worker's, but for what is fixed; main looks behind the semaphore. */
struct stuck {
    bool is_stuck;
    unsigned char key[CLUSTER_KEY_BYTES];
    struct passage others;
    uint64_t started_of_key;
    int64_t offset; /* of the record that is stuck */
    int32_t partition;
    klane_token_t token;
    sem_t done;
};

static enum klane_outcome handle_watched(const struct klane_record *record, void *context)
{
    struct stuck *stuck = context;

    if (memcmp(record->key, stuck->key, sizeof(stuck->key)) != 0) {
        if (passage_one(&stuck->others))
            sem_post(&stuck->done);
        return KLANE_DONE;
    }
    stuck->started_of_key++;
    if (!stuck->is_stuck || stuck->started_of_key > 1)
        return KLANE_DONE;
    stuck->offset = record->offset;
    stuck->partition = record->partition;
    return klane_later(record, &stuck->token);
}

/* All others are handled, it alone is not; then it may be finished. */
static void check_and_finish(const struct stuck *stuck, struct klane_runtime *runtime)
{
    struct klane_partition_stats stats;

    bench_check_count(stuck->started_of_key, 1, "records of the stuck key that started");
    bench_check(klane_partition_stats(runtime, cluster_records_topic(), stuck->partition, &stats,
                                      sizeof(stats)),
                "klane_partition_stats");
    if (stats.committed > stuck->offset)
        bench_fail("committed past the stuck record: %lld", (long long)stats.committed);
    bench_check(klane_finish(runtime, stuck->token, KLANE_DONE, -1, NULL), "klane_finish");
}

void kafka_stuck_run(struct bench_run *run)
{
    uint64_t records = bench_count(run, KAFKA_RECORDS, KAFKA_RECORDS_QUICK);
    uint64_t records_of_key = cluster_records_of_key(records, KAFKA_KEYS, 0);
    struct stuck stuck = {
        .is_stuck = *(const bool *)run->plan,
        .others = {.records = records - records_of_key},
    };
    struct klane_runtime *runtime;
    struct drive drive;
    char group[CLUSTER_NAME_MAX];

    cluster_name(group, "group");
    cluster_key(stuck.key, 0);
    sem_init(&stuck.done, 0, 0);
    drive_init(&drive, 1, handle_watched, &stuck);
    drive.options.stop_when_caught_up = true;
    runtime = cluster_runtime(&drive, cluster_records_topic(), cluster_consumer_conf(group));
    bench_check(klane_start(runtime), "klane_start");
    bench_wait(&stuck.done);
    if (stuck.is_stuck)
        check_and_finish(&stuck, runtime);
    drive_wait(runtime);
    drive_destroy(runtime);
    bench_check_count(stuck.started_of_key, records_of_key, "records of key 0 handled");
    cluster_check_committed(group, cluster_records_topic(), records);
    bench_meter_report(&stuck.others.meter, run, stuck.others.records);
    cluster_settings(run, records, KAFKA_KEYS, 1);
    bench_setting(run, "records_of_stuck_key", (int64_t)records_of_key);
}
