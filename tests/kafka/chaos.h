/* SPDX-License-Identifier: Apache-2.0 */
/* Chaos: members of a consumer group that come, leave, die and freeze, on a broker that dies too;
 * or on three, with a network that fails between.
 *
 *   chaos.c           the tests on one broker
 *   chaos_cluster.c   the tests on three, with a network between
 *   chaos_run.c       the conductor: members, records, and what happens to them
 *   chaos_broker.c    a broker of its own, which it may kill, or three
 *   chaos_storm.c     what happens to three brokers, members, and the network, which is proxy.c
 *   chaos_member.c    a member: a process with a runtime on the Kafka source
 *   chaos_history.c   what all of them write down, in memory that they share
 *   chaos_truth.c     what the cluster's own logs say afterwards
 *   chaos_judge.c     the history made of both, and the simulator's checkers on it
 *   chaos_check.c     what the checkers do not ask
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
 * KLANE_CHAOS_STORM each fault on three brokers is printed.
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
#include "kafka/kafka_kit.h"
#include "lib/scratch.h"
#include "sim/checkers.h"

#include <stdatomic.h>
#include <sys/types.h>

#define CHAOS_PARTITIONS 8
#define CHAOS_KEYS 50
#define CHAOS_STUCK_KEY 20
#define CHAOS_RECORDS 100000
#define CHAOS_LIVES 250 /* a process of a history is a byte */
#define CHAOS_EVENTS (UINT32_C(3) << 20)

/* Of the members. */
#define CHAOS_POLL_MS 6000 /* max.poll.interval.ms */
#define CHAOS_SLOW_MS 8000 /* longer than that */
#define CHAOS_DRAIN_MS 1000
#define CHAOS_STOP_MS 24000 /* handlers have three quarters of it */
#define CHAOS_WORKERS 4
#define CHAOS_CLUSTER_SESSION_MS 6000 /* what tests/kafka/broker sets for all */

#define CHAOS_EXIT_FATAL 3 /* what its process ends with, beside 0 */
#define CHAOS_MEMBER_FD 3  /* where it finds what is shared */

/* ---- what is shared ---------------------------------------------------------------------- */

/* Planted into a member; the judge has to find each of them. */
enum chaos_defect {
    CHAOS_SOUND,
    CHAOS_UNRUN,     /* says of a record that it ended, which did not run any more */
    CHAOS_DROPPED,   /* finishes some records without running them */
    CHAOS_ANY_ORDER, /* keys have no order */
    CHAOS_PAST,      /* commits past the base */
    CHAOS_FORGED,    /* the same, where nobody sees it sent */
    CHAOS_LATE,      /* runs a record of a partition that it gave up */
    CHAOS_FALLING,   /* commits what it has committed a while ago */
    CHAOS_AGAIN      /* runs a record that the map has as finished */
};

/* What the handler does with a record. */
enum chaos_kind {
    CHAOS_PLAIN,
    CHAOS_RETRIED,
    CHAOS_SKIPPED,
    CHAOS_LATER,
    CHAOS_SLOW,
    CHAOS_STUCK
};

/* How a commit was answered: the result of the event ANSWERED. */
enum chaos_answer { CHAOS_ACCEPTED, CHAOS_OUTDATED, CHAOS_REFUSED };

struct chaos_payload {
    uint32_t number;
    uint32_t kind; /* enum chaos_kind */
};

/* A member from one start of its process to the end. Written by the conductor, before the start
 * but for the count. */
struct chaos_life {
    char assignor[32];
    char instance[16]; /* of group.instance.id; empty: none */
    uint32_t commit_ms;
    uint32_t session_ms;
    uint8_t defect;   /* enum chaos_defect */
    bool is_stubborn; /* its handlers do not look whether they work in vain */
    _Atomic uint32_t freezes;
    _Atomic bool was_assigned; /* something; the member's own word */
};

struct chaos_entry {
    struct history_event event;
    _Atomic bool is_whole; /* the writer may be killed while it writes */
};

struct chaos_shared {
    char bootstrap[CHAOS_ADDRESS_SIZE]; /* of members */
    char topic[KAFKA_NAME_SIZE];
    char group[KAFKA_NAME_SIZE];
    int64_t begin_ms;
    pid_t conductor;
    bool is_cluster;

    _Atomic uint32_t epochs;                 /* so many were given out, in all lives */
    _Atomic uint32_t assigned;               /* partitions, so often */
    _Atomic uint32_t commits;                /* were sent */
    _Atomic uint32_t slept;                  /* slow handlers that took their whole time */
    _Atomic int64_t again[CHAOS_PARTITIONS]; /* CHAOS_AGAIN: one past its offset; 0: none */
    _Atomic bool is_open;                    /* the stuck key may go on */
    _Atomic bool is_hasty;                   /* slow handlers are slow no more */
    struct chaos_life lives[CHAOS_LIVES];
    _Atomic uint8_t handled[CHAOS_RECORDS]; /* by number */
    _Atomic size_t count;
    struct chaos_entry entries[CHAOS_EVENTS];
};

/* The memory behind this descriptor; -1: made anew, the descriptor goes to *fd. NULL: none. */
struct chaos_shared *chaos_shared_map(int *fd);
void chaos_shared_unmap(struct chaos_shared *shared);

/* Milliseconds since the history began. Any thread of any process. */
int64_t chaos_now_ms(const struct chaos_shared *shared);

/* Write an event down; its time is set here. Any thread of any process. */
void chaos_add(struct chaos_shared *shared, struct history_event event);

/* Everything that was written down, to the file that KLANE_CHAOS_HISTORY names, if it does. */
void chaos_print_all(const struct chaos_shared *shared);

/* The conductor's notes, told apart by their pointers. */
extern const char chaos_frozen[], chaos_thawed[], chaos_contested[], chaos_stalled[];
extern const char chaos_broker_goes[], chaos_broker_is_back[];
extern const char chaos_network_fails[], chaos_network_is_well[];

/* What the judge makes of a member's events. */
extern const char chaos_acknowledged[], chaos_outdated[], chaos_refused[];

/* A client of a cluster finds out soon that a broker does not answer. */
void chaos_conf_soon(rd_kafka_conf_t *conf);

/* The program as a member; returns what main() is to return. */
int chaos_member_main(int fd, uint8_t number);

/* ---- a run ------------------------------------------------------------------------------- */

struct chaos_plan {
    const char *assignor;
    const char *const *instances; /* of static members, then NULL; NULL: the members are not */
    unsigned least, most;         /* members that run */
    unsigned steps;               /* something happens to a member, so often */
    unsigned generations;         /* and the group forms anew at least so often */
    unsigned restarts;            /* of the broker */
    unsigned rate;                /* records a second */
    unsigned session_ms;          /* session.timeout.ms */
    bool is_gentle;               /* members only come and leave */
    unsigned part;                /* of the storm on three brokers: one in so many; 0: all */
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
    bool is_contested; /* another had its instance too: one of them is fenced */
};

struct chaos_counts {
    unsigned joins, leaves, kills, freezes, hiccups, contests, broker_kills, broker_stops;
    unsigned broker_freezes, network;
    unsigned generations, loose_stops, losses, outdated, refused, moved_starts;
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

/* A topic and a group of their own; no member yet. The broker runs afterwards. */
void chaos_run_begin(struct chaos_run *run, struct chaos_broker *broker,
                     const struct chaos_plan *plan);

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

/* The steps of the plan, with records coming in. */
void chaos_churn(struct chaos_run *run);

/* On a cluster: faults of members, brokers and the network, in an order of chance, each waited for
 * until every partition gets on. Returns how many; the tallies of a process are printed. */
unsigned chaos_storm(struct chaos_run *run);
void chaos_storm_print(void);

/* Whether all that was produced is committed. */
bool chaos_is_committed(struct chaos_run *run);

/* Whether every key but the stuck one is where the log is. */
bool chaos_is_handled_elsewhere(struct chaos_run *run);

/* No new records: what there is gets handled and committed, and every member leaves. */
void chaos_settle(struct chaos_run *run);
void chaos_leave_all(struct chaos_run *run);

/* Kill whatever runs, and free everything. Asserts nothing. */
void chaos_run_end(struct chaos_run *run);

#endif
