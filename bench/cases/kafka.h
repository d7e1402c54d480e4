/* SPDX-License-Identifier: Apache-2.0 */
/* The arms of the Kafka cases, which cases/kafka.c lists, and what they have in common. */
#ifndef KLANE_BENCH_CASES_KAFKA_H
#define KLANE_BENCH_CASES_KAFKA_H

#include "lib/cluster.h"

/* The records' topic. So few of one key that a stuck one never reaches its lane's quota. */
enum { KAFKA_RECORDS = 3000000, KAFKA_RECORDS_QUICK = 20000, KAFKA_KEYS = 1000 };

/* Records that pass, and the clock: from the first to the last, so without joining the group.
 * One thread's, but for what is fixed. */
struct passage {
    uint64_t records; /* fixed */
    uint64_t passed;
    struct bench_meter meter;
};

/* One more. True: it was the last. */
static inline bool passage_one(struct passage *passage)
{
    if (passage->passed++ == 0)
        bench_meter_start(&passage->meter);
    if (passage->passed != passage->records)
        return false;
    bench_meter_stop(&passage->meter);
    return true;
}

/* Poll until the last has passed, without klane. */
void kafka_poll(rd_kafka_t *consumer, bool (*pass)(const rd_kafka_message_t *, void *),
                void *context);

/* cases/kafka_noop.c; a bare consumer's plan is its settings. */
extern const struct cluster_setting kafka_noop_tuned[];
/* klane's plan: NULL, or that headers are wanted. */
extern const bool kafka_has_headers;
void kafka_noop_klane_run(struct bench_run *run);
void kafka_noop_poll_run(struct bench_run *run);
void kafka_noop_poll_headers_run(struct bench_run *run);
void kafka_noop_callback_run(struct bench_run *run);

/* cases/kafka_schedule.c; the plan is a struct sleepers_plan. */
void kafka_schedule_run(struct bench_run *run);

/* cases/kafka_stuck.c; the plan says whether there is a stuck key. */
extern const bool kafka_is_stuck, kafka_is_free;
void kafka_stuck_run(struct bench_run *run);

/* cases/kafka_latency.c */
void kafka_latency_klane_run(struct bench_run *run);
void kafka_latency_poll_run(struct bench_run *run);

/* cases/kafka_members.c */
struct kafka_members_plan {
    uint32_t members;
    bool is_bare;         /* polls, without klane */
    const char *assignor; /* partition.assignment.strategy */
};
void kafka_members_run(struct bench_run *run);
void kafka_join_run(struct bench_run *run);

/* cases/kafka_restart.c; the plan is a struct restart_plan. */
void kafka_restart_run(struct bench_run *run);
void kafka_restart_far_run(struct bench_run *run);

#endif
