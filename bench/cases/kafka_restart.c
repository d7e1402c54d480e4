/* SPDX-License-Identifier: Apache-2.0 */
/* A restart on Kafka, of a static member: nobody waits until the session of the one that was
 * killed is over. */
#include "cases/kafka.h"
#include "cases/restart.h"
#include "lib/feeder.h"

#include <signal.h>
#include <string.h>

_Static_assert((int)RESTART_RATE == (int)FEEDER_RATE && (int)RESTART_KEYS == (int)FEEDER_KEYS,
               "it is the feeder's timetable");

/* Of both lives. */
struct log {
    const char *topic;
    char group[CLUSTER_NAME_MAX];
};

static bool is_stuck(const struct klane_record *record, uint64_t stuck)
{
    unsigned char key[CLUSTER_KEY_BYTES];

    for (uint64_t number = 0; number < stuck; number++) {
        cluster_key(key, number);
        if (memcmp(record->key, key, sizeof(key)) == 0)
            return true;
    }
    return false;
}

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
    struct restart restart = {.is_stuck = is_stuck, .create = create};
    struct log log = {.topic = cluster_records_topic()};

    restart_init(&restart, run);
    restart.records = bench_count(run, KAFKA_RECORDS, KAFKA_RECORDS_QUICK);
    cluster_name(log.group, "group");
    restart.log = &log;
    restart_kill(&restart, restart_begin(&restart, 1));
    restart_finish(&restart, run);
}

void kafka_restart_run(struct bench_run *run)
{
    struct restart restart = {.is_stuck = is_stuck, .create = create};
    struct feeder feeder;
    struct log log;
    pid_t first;

    restart_init(&restart, run);
    feeder_start(&feeder, restart.records);
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
