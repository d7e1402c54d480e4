/* SPDX-License-Identifier: Apache-2.0 */
/* Kafka with work: how near 100 workers with sleeping handlers come to 100 threads that do nothing
 * but sleep. The clock starts after a warm-up, so without joining the group; more than is counted
 * is in the topic. */
#include "cases/kafka.h"
#include "lib/sleepers.h"

void kafka_schedule_run(struct bench_run *run)
{
    struct klane_runtime *runtime;
    struct sleepers sleepers;
    struct drive drive;
    char group[CLUSTER_NAME_MAX];

    cluster_name(group, "group");
    sleepers_init(&sleepers, run);
    drive_init(&drive, sleepers.workers, sleepers_handle, &sleepers);
    runtime = cluster_runtime(&drive, cluster_records_topic(), cluster_consumer_conf(group));
    sleepers_begin(&sleepers);
    bench_check(klane_start(runtime), "klane_start");
    sleepers_wait(&sleepers);
    klane_stop(runtime);
    drive_wait(runtime);
    sleepers_report(&sleepers, run);
    cluster_settings(run, sleepers.records, KAFKA_KEYS, sleepers.workers);
    drive_destroy(runtime);
}
