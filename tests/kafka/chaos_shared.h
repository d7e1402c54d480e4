/* SPDX-License-Identifier: Apache-2.0 */
/* Chaos: what the processes of a run share. See kafka/chaos.h. */
#ifndef KLANE_TESTS_KAFKA_CHAOS_SHARED_H
#define KLANE_TESTS_KAFKA_CHAOS_SHARED_H

#include "kafka/chaos_broker.h"
#include "kafka/kafka_kit.h"
#include "sim/history.h"

#include <stdatomic.h>
#include <sys/types.h>

#define CHAOS_PARTITIONS 8
#define CHAOS_KEYS 50
#define CHAOS_STUCK_KEY 20
#define CHAOS_RECORDS 200000
#define CHAOS_LIVES 250 /* a process of a history is a byte */
#define CHAOS_EVENTS (UINT32_C(3) << 20)

/* Of the members. */
#define CHAOS_POLL_MS 6000  /* max.poll.interval.ms */
#define CHAOS_SLOW_MS 8000  /* longer than that */
#define CHAOS_DRAIN_MS 1000 /* unless the plan says otherwise */
#define CHAOS_STOP_MS 24000 /* handlers have three quarters of it */
#define CHAOS_WORKERS 4
#define CHAOS_CLUSTER_SESSION_MS 6000 /* what tests/kafka/broker sets for all */
#define CHAOS_LONE_SESSION_MS 3000    /* and chaos_broker.c for one broker */

/* What its process ends with, beside 0. */
#define CHAOS_EXIT_FATAL 3
#define CHAOS_EXIT_GROUPLESS 4 /* after its coordinator said that there is no such group */
#define CHAOS_MEMBER_FD 3      /* where it finds what is shared */

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
    uint32_t drain_ms;
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

    _Atomic uint32_t epochs;                  /* so many were given out, in all lives */
    _Atomic uint32_t assigned;                /* partitions, so often */
    _Atomic uint32_t commits;                 /* were sent */
    _Atomic uint32_t slept;                   /* slow handlers that took their whole time */
    _Atomic uint8_t owners[CHAOS_PARTITIONS]; /* the life that has it, plus one; 0: none */
    _Atomic int64_t again[CHAOS_PARTITIONS];  /* CHAOS_AGAIN: one past its offset; 0: none */
    _Atomic bool is_open;                     /* the stuck key may go on */
    _Atomic bool is_hasty;                    /* slow handlers are slow no more */
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
extern const char chaos_acknowledged[], chaos_outdated[], chaos_refused[], chaos_revoked[];

/* A client of a cluster finds out soon that a broker does not answer. */
void chaos_conf_soon(rd_kafka_conf_t *conf);

/* The program as a member; returns what main() is to return. */
int chaos_member_main(int fd, uint8_t number);

#endif
