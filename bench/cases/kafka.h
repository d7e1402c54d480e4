/* SPDX-License-Identifier: Apache-2.0 */
/* The arms of the Kafka cases, which cases/kafka.c lists, and what they have in common. */
#ifndef KLANE_BENCH_CASES_KAFKA_H
#define KLANE_BENCH_CASES_KAFKA_H

#include "lib/records.h"
#include "lib/sleepers.h"

#include <stdatomic.h>

/* Of the records' topic so few of one key that a stuck one never reaches its lane's quota. */
enum { KAFKA_KEYS = 1000 };

/* Topics that are filled beforehand; the last has 8 partitions, whatever the options say. */
extern const struct records_kind kafka_records, kafka_records_zipf, kafka_records_fixed;

/* So many as the program's options say, else as the case has it. */
static inline uint32_t kafka_workers(const struct bench_run *run, uint32_t workers)
{
    return run->options->concurrency > 0 ? run->options->concurrency : workers;
}

/* Records that pass, and the clock: from the first to the last, so without joining the group. */
struct passage {
    uint64_t records; /* fixed */
    bool is_shared;   /* fixed: several threads have handlers */
    _Atomic uint64_t passed;
    struct bench_meter meter; /* whose first and last record it is */
};

/* One more. True: it was the last. Relaxed: a count that orders nothing. */
static inline bool passage_one(struct passage *passage)
{
    uint64_t passed = atomic_load_explicit(&passage->passed, memory_order_relaxed);

    if (passage->is_shared)
        passed = atomic_fetch_add_explicit(&passage->passed, 1, memory_order_relaxed);
    else
        atomic_store_explicit(&passage->passed, passed + 1, memory_order_relaxed);
    if (passed == 0)
        bench_meter_start(&passage->meter);
    if (passed + 1 != passage->records)
        return false;
    bench_meter_stop(&passage->meter);
    return true;
}

/* Poll until the last has passed, without klane. */
void kafka_poll(rd_kafka_t *consumer, bool (*pass)(const rd_kafka_message_t *, void *),
                void *context);

/* cases/kafka_noop.c */
struct kafka_noop_plan {
    const struct cluster_setting *settings; /* a bare consumer's */
    bool has_headers;
    enum klane_order order; /* klane's */
    uint32_t pool;          /* of threads by hand; 0: one for each partition */
};
extern const struct kafka_noop_plan kafka_noop_plain, kafka_noop_partition, kafka_noop_none;
extern const struct kafka_noop_plan kafka_noop_tuned, kafka_noop_headers, kafka_noop_pool;
void kafka_noop_klane_run(struct bench_run *run);
void kafka_noop_poll_run(struct bench_run *run);
void kafka_noop_callback_run(struct bench_run *run);
void kafka_noop_by_hand_run(struct bench_run *run);

/* cases/kafka_schedule.c */
struct kafka_schedule_plan {
    struct sleepers_plan sleepers; /* workers 0: as many as there are processors */
    const struct records_kind *kind;
    bool is_whole;          /* all records count, from the first to the last */
    enum klane_order order; /* klane's */
    bool is_pool;           /* of threads by hand */
};
void kafka_schedule_klane_run(struct bench_run *run);
void kafka_schedule_by_hand_run(struct bench_run *run);
void kafka_schedule_bare_run(struct bench_run *run);

/* cases/kafka_stuck.c */
struct kafka_stuck_plan {
    bool is_stuck;
    uint32_t pool; /* of threads by hand; 0: one for each partition */
};
extern const struct kafka_stuck_plan kafka_stuck_key, kafka_stuck_free, kafka_stuck_pool;
void kafka_stuck_klane_run(struct bench_run *run);
void kafka_stuck_by_hand_run(struct bench_run *run);

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

/* cases/kafka_crash.c */
enum {
    KAFKA_CRASH_RECORDS = 100000,
    KAFKA_CRASH_RECORDS_QUICK = 15000,
    KAFKA_CRASH_SLEEP_MS = 1
};
struct kafka_crash_plan {
    bool is_klane;
    uint32_t pool; /* of threads by hand; 0: one for each partition */
};
extern const struct kafka_crash_plan kafka_crash_klane, kafka_crash_partition, kafka_crash_pool;
void kafka_crash_run(struct bench_run *run);

/* cases/kafka_peers.c: arms that are other programs; lib/peer.h says whether they are there. */
struct kafka_peer_plan {
    const char *arm;                        /* as Main.java knows it */
    const char *heap;                       /* of Java's -Xmx */
    const struct cluster_setting *settings; /* of Kafka's consumer; may be NULL */
    uint32_t commit_ms;                     /* parallel-consumer's; 0: as it has it */
};
extern const struct kafka_peer_plan kafka_peer_parallel, kafka_peer_parallel_often;
extern const struct kafka_peer_plan kafka_peer_java, kafka_peer_java_tuned;
void kafka_peer_noop_run(struct bench_run *run);
void kafka_peer_stuck_run(struct bench_run *run);
void kafka_peer_latency_run(struct bench_run *run);
void kafka_peer_crash_run(struct bench_run *run);
/* The plan is a struct kafka_schedule_plan. */
void kafka_peer_schedule_run(struct bench_run *run);

/* cases/kafka_restart.c; the plan is a struct restart_plan. */
void kafka_restart_run(struct bench_run *run);
void kafka_restart_far_run(struct bench_run *run);

#endif
