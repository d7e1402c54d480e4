/* SPDX-License-Identifier: Apache-2.0 */
/* A restart on Kafka, of a static member: nobody waits until the session of the one that was
 * killed is over. */
#include "cases/kafka.h"
#include "cases/restart.h"
#include "lib/feeder.h"

#include <signal.h>

_Static_assert((int)RESTART_RATE == (int)FEEDER_RATE, "it is the feeder's timetable");

/* Of both lives. */
struct log {
    const char *topic;
    char group[CLUSTER_NAME_MAX];
};

static struct klane_runtime *create(struct restart *restart, struct drive *drive)
{
    static const struct cluster_setting is_static[] = {
        {"group.instance.id", "one"},
        {NULL, NULL},
    };
    const struct log *log = restart->log;
    rd_kafka_conf_t *conf = cluster_consumer_conf(log->group);

    cluster_set(conf, is_static, NULL);
    return cluster_runtime(drive, log->topic, conf);
}

/* All of the records that the other cases read, without a feeder. */
void kafka_restart_far_run(struct bench_run *run)
{
    struct restart restart = {.key_number = cluster_key_number, .create = create};
    struct records records;
    struct log log = {.topic = records.topic};

    records_init(&records, &kafka_records_fixed, run);
    restart_init(&restart, run);
    restart.records = records.count;
    cluster_name(log.group, "group");
    restart.log = &log;
    restart_kill(&restart, restart_begin(&restart, 1));
    restart_finish(&restart, run);
}

void kafka_restart_run(struct bench_run *run)
{
    struct restart restart = {.key_number = cluster_key_number, .create = create};
    struct feeder feeder;
    struct log log;
    pid_t first;

    restart_init(&restart, run);
    feeder_start(&feeder, restart.records, restart.plan->keys);
    /* The end of a life is not the feeder's. */
    signal(SIGCHLD, SIG_DFL);
    log.topic = feeder.topic;
    cluster_name(log.group, "group");
    restart.log = &log;
    first = restart_begin(&restart, 1);
    feeder_go(&feeder);
    restart_kill(&restart, first);
    bench_check_count(feeder_wait(&feeder), restart.records, "records fed");
    restart_finish(&restart, run);
    feeder_end(&feeder);
}
