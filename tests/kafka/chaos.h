/* SPDX-License-Identifier: Apache-2.0 */
/* Chaos: members of a consumer group that come, leave, die and freeze, on a broker that dies too;
 * or on three, with a network that fails between.
 *
 *   chaos.c           the tests on one broker
 *   chaos_cluster.c   the tests on three, with a network between
 *   chaos_run.c       the conductor: members, records, and how they begin and end
 *   chaos_churn.c     what happens to a group on one broker
 *   chaos_progress.c  whether it has formed, and how soon it gets on
 *   chaos_broker.c    a broker of its own, which it may kill, or three
 *   chaos_storm.c     what happens to three brokers, members, and the network, which is proxy.c
 *   chaos_member.c    a member: a process with a runtime on the Kafka source
 *   chaos_history.c   what all of them write down, in memory that they share
 *   chaos_truth.c     what the cluster's own logs say afterwards
 *   chaos_judge.c     the history made of both, and the simulator's checkers on it
 *   chaos_check.c     what the checkers do not ask; test_chaos_check.c shows it histories
 *
 * Where the history's events come from:
 *
 *   APPEND            the topic, read after the run, before everything else
 *   ASSIGN, GIVEN_UP, LOST
 *                     klane's events ASSIGNED, REVOKED, LOST
 *   DELIVER           the topic's key function, which klane calls as it takes a record in
 *   START, RETURN, END
 *                     the handler, and the thread that answers later
 *   SENT, ANSWERED    rd_kafka_commit_queue() and its answer, as klane calls librdkafka
 *   COMMITTED         the group's own log (the topic __consumer_offsets), behind its SENT, which
 *                     a commit's metadata names. klane's event COMMITTED has to agree
 *   CRASH             the conductor, when it has reaped what it killed
 *   STOP, STOPPED     the member
 *
 * To look into a failure: KLANE_CHAOS_HISTORY names a file for the history, KLANE_CHAOS_MEMBERS
 * one for what the members print, KLANE_CHAOS_DEBUG what librdkafka prints of itself there; with
 * KLANE_CHAOS_STORM each thing that happens is printed.
 *
 * What cannot be seen from outside makes some checks weaker than in the simulator:
 *
 *   REVOKE            when a drain begins is not told. C8 judges starts after GIVEN_UP and LOST;
 *                     in between, klane_cancelled() at a start says that the fence came first, and
 *                     such starts may not go on
 *   LOST              is told just before the fence falls, and a worker may have passed the fence
 *                     just before it fell: starts within a second are put before it
 *   C10               is not asked: two processes may have taken the same record in
 *   C11               a stop counts as clean when klane says that it committed all it could, so
 *                     what is checked is that this is what was finished */
#ifndef KLANE_TESTS_KAFKA_CHAOS_H
#define KLANE_TESTS_KAFKA_CHAOS_H

#include "kafka/chaos_broker.h"
#include "kafka/chaos_shared.h"
#include "lib/scratch.h"
#include "sim/checkers.h"

struct chaos_plan {
    const char *assignor;
    const char *const *instances; /* of static members, then NULL; NULL: there are none */
    unsigned least, most;         /* members that run */
    unsigned moves;               /* a member comes or leaves, so often */
    unsigned kills, freezes, hiccups, replacements; /* of members, of static ones */
    unsigned restarts;                              /* of the broker */
    unsigned rate;                                  /* records a second */
    unsigned session_ms;                            /* session.timeout.ms */
    unsigned drain_ms;                              /* 0: the usual */
    bool is_gentle;                                 /* nothing is slow or stuck */
    unsigned part; /* of the storm on three brokers: one in so many; 0: all */
};

enum life_state {
    LIFE_RUNS,
    LIFE_FROZEN, /* until until_ms */
    LIFE_LEAVES, /* was asked to stop, and has until until_ms */
    LIFE_OVER
};

struct life {
    pid_t pid; /* 0: never started */
    enum life_state state;
    int64_t until_ms;
    bool is_contested;   /* another had its instance too: one of them is fenced */
    bool is_replacement; /* another had its instance just before */
};

struct chaos_counts {
    unsigned joins, leaves, kills, freezes, hiccups, contests, broker_kills, broker_stops;
    unsigned broker_freezes, network;
    unsigned generations, loose_stops, losses, outdated, refused, moved_starts;
    unsigned replacements; /* static members that came and got something */
    unsigned outlasted;    /* handlers still ran when a partition was given up */
    unsigned overslept;    /* members woke that had lost a partition to another */
    unsigned late_starts;  /* of what another has by then, before it was told */
    unsigned timed_kills;
    int64_t longest_ms; /* until all got on after one of these */
    size_t records, events, starts, repeats, commits;
};

struct chaos_run {
    struct chaos_plan plan;
    struct chaos_broker *broker;
    struct chaos_shared *shared;
    int fd;
    uint64_t random;
    rd_kafka_t *producer;
    rd_kafka_t *observer;        /* asks for committed offsets */
    char log[SCRATCH_PATH_SIZE]; /* what members print */

    struct life lives[CHAOS_LIVES];
    unsigned life_count;

    uint32_t produced;
    int64_t produced_ms; /* of the last look at what is due */
    uint64_t owed;       /* thousandths of a record */
    bool is_producing;
    uint8_t keys[CHAOS_RECORDS];         /* by number; CHAOS_KEYS: none */
    uint8_t acknowledged[CHAOS_RECORDS]; /* by number: the partition, plus one */
    uint32_t order[CHAOS_RECORDS];       /* numbers, as they were acknowledged */
    uint32_t acknowledged_count;
    uint32_t seen_assigned; /* how often, when that changed last */
    int64_t assigned_ms;
    uint32_t failed_count;          /* were not, for good */
    uint32_t since;                 /* so many were, before the last fault */
    int64_t offsets[CHAOS_RECORDS]; /* by number, of what was acknowledged */
    int64_t ends[CHAOS_PARTITIONS]; /* of what was acknowledged; at the end, of the log */

    int64_t committed[CHAOS_PARTITIONS]; /* as last seen */
    int64_t looked_ms;
    int64_t ticked_ms;
    bool is_well; /* the test has passed */
    struct chaos_counts counts;
};

#define CHAOS_PATIENCE_MS 60000 /* for everything that has to happen */

/* A topic and a group of their own; no member yet. The broker runs afterwards. */
void chaos_run_begin(struct chaos_run *run, struct chaos_broker *broker,
                     const struct chaos_plan *plan);

/* What happens from now on. As the cluster gives out the partitions it has no static members. */
void chaos_plan(struct chaos_run *run, const struct chaos_plan *plan);

/* A life more. instance NULL: none. Returns its number. */
unsigned chaos_join(struct chaos_run *run, const char *instance, enum chaos_defect defect);

/* Do what is due, for about two milliseconds. */
void chaos_tick(struct chaos_run *run);

/* Tick until it is true, at most so long, else the test fails and says what it waited for. */
typedef bool (*chaos_condition)(struct chaos_run *run);
void chaos_until(struct chaos_run *run, chaos_condition condition, int64_t wait_ms,
                 const char *what);

/* Produce so many records as fast as it goes, or at the plan's rate until told otherwise. */
void chaos_produce(struct chaos_run *run, uint32_t count);

/* Random, below the limit; and what is done to members. pick: one in this state; there is one. */
uint64_t chaos_below(struct chaos_run *run, uint64_t limit);
unsigned chaos_count(const struct chaos_run *run, enum life_state state);
unsigned chaos_pick(struct chaos_run *run, enum life_state state);
void chaos_freeze(struct chaos_run *run, unsigned number, int64_t ms);
void chaos_leave(struct chaos_run *run, unsigned number);
void chaos_kill(struct chaos_run *run, unsigned number);
void chaos_note(struct chaos_run *run, unsigned life, const char *what);
void chaos_pass(struct chaos_run *run, int64_t ms);

/* The last other life that has this instance and is not over. NULL: there is none. */
struct life *chaos_life_of(struct chaos_run *run, const char *instance,
                           const struct life *beside);

/* What the plan has, with records coming in. */
void chaos_churn(struct chaos_run *run);

/* On a cluster: faults of members, brokers and the network, in an order of chance, each waited for
 * until every partition gets on. Returns how many; the tallies of a process are printed. */
unsigned chaos_storm(struct chaos_run *run);
void chaos_storm_print(void);

/* Whether all that was produced is committed. */
bool chaos_is_committed(struct chaos_run *run);

/* Nobody is frozen or leaves, and no two have the same instance. */
bool chaos_is_quiet(struct chaos_run *run);

/* Whether every key but the stuck one is where the log is. */
bool chaos_is_handled_elsewhere(struct chaos_run *run);

/* No new records: what there is gets handled and committed, and every member leaves. */
void chaos_settle(struct chaos_run *run);
void chaos_leave_all(struct chaos_run *run);

/* Kill whatever runs, and free everything. Asserts nothing. */
void chaos_run_end(struct chaos_run *run);

#endif
