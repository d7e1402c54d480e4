/* SPDX-License-Identifier: Apache-2.0 */
/* Kafka as a source: what its files share among themselves.
 *
 *   config.c      what of the program's configuration klane sets, and what it refuses
 *   source.c      the source's operations, and the round of a poll
 *   group.c       rebalances: partitions come, are drained and go
 *   position.c    where a partition begins, and where it goes on when that is not in the log
 *   fetch.c       records: from the data queue, or from a partition's stash
 *   message.c     a message of librdkafka as a record
 *   sweep.c       passes: a second handle reads ranges again
 *   nap.c         the nap of a full queue
 *   pause.c       nothing more is fetched of a partition
 *   turns.c       no partition goes without because others have much
 *   uncounted.c   keys and headers, which librdkafka does not count, do not fill the memory
 *   commit.c      one commit at a time
 *   leader_epoch.c  what is committed beside offsets, to find out about logs that were cut
 *   forming.c     a commit waits while it could come too late
 *   lookup.c      the helper thread's part: calls that wait for a broker
 *   queue.c       a queue that rings the doorbell
 *   partition.h   what is kept of a topic, and of a partition
 *   partitions.c  topics and partitions by name
 *   ending.c      the end of a handle of librdkafka, which may hang
 *   error.c       librdkafka's errors as klane's
 *   reason.c      why a connection is refused, or a batch cannot be read
 *   rebootstrap.c a handle that has lost all brokers begins with bootstrap.servers again
 *   letters.c     dead letters in a topic
 *
 * Three queues of librdkafka lead here, and a fourth from the handle for passes. The consumer
 * queue has rebalances, errors and the program's callbacks; it is always served, so that
 * max.poll.interval.ms never passes. The data queue has the records: every partition's own queue
 * is forwarded to it, or to nowhere while the partition is held. The replies' queue has the
 * answers of commits and look-ups. Each rings the doorbell when it is no longer empty; so does the
 * helper.
 *
 * Everything here is the control thread's, but for what is marked otherwise.
 *
 * Edges:
 *   K1  rang, release in queue_rang() -> acquire in kafka_queue_has_rung(): what was put into the
 *       queue, before the queue is served.
 *   K2  is_strayed, then has_strays, release in queue_strayed() -> acquire in strays_return():
 *       which partition's queue has records that were not forwarded.
 *   K3  up, release in connection_changed() -> acquire in kafka_rebootstrap_due_ms(): when that
 *       was, so that the end of the last connection is not taken for long ago. */
#ifndef KLANE_SOURCE_KAFKA_KAFKA_H
#define KLANE_SOURCE_KAFKA_KAFKA_H

#include "source/doorbell.h"
#include "source/helper.h"
#include "source/kafka/partition.h"
#include "source/kafka/reason.h"
#include "source/source.h"

#include <klane/kafka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#define KAFKA_NEVER_MS INT64_MAX
#define KAFKA_TEXT_SIZE 320

/* What is tried again after a failure waits so long. */
#define KAFKA_AGAIN_MS 200

/* That all brokers are down is told no more often. */
#define KAFKA_DOWN_MS 10000

/* Versions in which something that is worked around was mended. */
#define KAFKA_VERSION_LEAST 0x020002ff
#define KAFKA_VERSION_BACKOFF 0x020200ff /* fetch.queue.backoff.ms */
#define KAFKA_VERSION_SCRAM 0x020601ff   /* its second message */
#define KAFKA_VERSION_EPOCHS 0x020300ff  /* leaders' epochs are compared, and it ends */
#define KAFKA_VERSION_STICKY 0x020300ff  /* a handle may end before its first assignment */
#define KAFKA_VERSION_REJOIN 0x020a00ff  /* commits survive a cooperative rejoin */

/* From which on something is to be worked around. */
#define KAFKA_VERSION_REBOOTSTRAP 0x020b00ff /* all brokers may be forgotten */

/* Errors of group.protocol=consumer; older headers have no names for them. */
#define KAFKA_FENCED_MEMBER_EPOCH ((rd_kafka_resp_err_t)110)
#define KAFKA_UNRELEASED_INSTANCE_ID ((rd_kafka_resp_err_t)111)
#define KAFKA_STALE_MEMBER_EPOCH ((rd_kafka_resp_err_t)113)

struct kafka_source;

/* The source that polls on this thread: callbacks of librdkafka come with the program's opaque. */
extern _Thread_local struct kafka_source *kafka_polling;

/* ---- the group ---------------------------------------------------------------------------- */

/* What a rebalance callback said; worked through in order. */
struct kafka_rebalance {
    STAILQ_ENTRY(kafka_rebalance) link;
    rd_kafka_topic_partition_list_t *partitions;
    bool is_assign;
    bool is_lost;
    bool has_begun;
};

struct kafka_forming {
    /* Fixed from klane_kafka_create() on. */
    rd_kafka_t *rk;
    rd_kafka_queue_t *answers;
    int64_t settle_ms; /* see forming.c */

    /* All of this is under the lock, which control and librdkafka's threads take. */
    pthread_mutex_t lock;
    bool is_joining;   /* a request to join was sent, and the group has not formed */
    int64_t joined_ms; /* when that was last; 0: never */
    int64_t clear_ms;  /* when it is clear that no heartbeat's response leads to one */
    int64_t quiet_ms;  /* the same of everything else */
    rd_kafka_topic_partition_list_t *parked; /* the commit that waits; NULL: none does */
};

/* ---- the helper's requests --------------------------------------------------------------- */

enum kafka_request_type {
    KAFKA_COMMITTED, /* what the group has committed */
    KAFKA_LOOK_UP, /* offsets for what each entry's offset stands for: a time, or a logical one */
    KAFKA_RANGE,   /* the same for one partition, with its first and its next offset */
    KAFKA_WAKE,    /* any request to the partition's leader */
    KAFKA_SWEEPER  /* the handle for passes */
};

struct kafka_request {
    struct helper_request base;
    enum kafka_request_type type;
    rd_kafka_t *rk; /* to be asked; SWEEPER: the answer; NULL: it could not be made */
    rd_kafka_topic_partition_list_t *partitions;
    rd_kafka_topic_partition_list_t *ends; /* COMMITTED: of the logs, as far as they are known */
    struct kafka_nap *nap;                 /* WAKE: which it ends */
    bool is_again;                         /* LOOK_UP: nobody could say before */
    struct kafka_partition *partition;     /* RANGE: as control knows it */
    int64_t low;
    int64_t high;
    rd_kafka_resp_err_t err;
    bool is_out;
};

/* RUNS -> FAILED, and from both -> CLOSING -> PARTING -> ENDED */
enum kafka_phase {
    KAFKA_RUNS,
    KAFKA_FAILED,  /* control was told: nothing more is said but what close() asks for */
    KAFKA_CLOSING, /* control has asked for it */
    KAFKA_PARTING, /* librdkafka was told */
    KAFKA_ENDED    /* and has done so; control was told */
};

/* Of a handle; by the rules of rebootstrap.h. */
struct kafka_rebootstrap {
    /* Fixed from kafka_rebootstrap_watch() on. */
    rd_kafka_t *rk; /* NULL: of a version that does not need it */
    int64_t patience_ms;

    /* When a connection changed, last: any of librdkafka's threads. Control writes it where the
     * handle has nothing to do, or begins again. Relaxed: a time to compare with. */
    _Atomic int64_t stirred_ms;
    _Atomic int up; /* K3; connections that are: librdkafka's threads */
};

/* Of the threads that fill a queue; by the rules of nap.h. */
struct kafka_nap {
    rd_kafka_queue_t *queue;
    uint32_t queue_records;
    uint32_t queue_bytes;
    struct kafka_request wake;
    int64_t woken_ms;
    bool is_to_wake;    /* as soon as it may */
    bool has_been_full; /* and has not been down to half since */
    bool is_possible;   /* it has, or a pause has ended, and nobody was woken since */
    bool is_low;        /* down to half, when it was looked at */
};

/* ---- the source --------------------------------------------------------------------------- */

struct kafka_queue {
    rd_kafka_queue_t *queue;
    struct kafka_source *source;
    _Atomic bool rang; /* K1; any of librdkafka's threads sets it */
};

struct kafka_commit {
    bool is_out;      /* control waits for its answer */
    bool is_answered; /* err is to be told */
    bool is_denied;   /* the last one was refused for want of rights, and that was told */
    bool is_again;    /* it was stale on its way, and is sent a second time */
    int64_t due_ms;   /* when to look whether it may be sent */
    klane_err_t err;
    rd_kafka_topic_partition_list_t *offsets;
    uint32_t *stays; /* of the partitions, for each of the offsets */
};

struct kafka_turns {
    bool is_on;
    int64_t idle_ms;  /* since when nothing comes in a turn; 0: something does */
    int64_t began_ms; /* the turn; 0: there was none whose length is not known yet */
    int64_t took_ms;  /* the last one; 0: there was none */
};

/* Keys and headers. */
struct kafka_uncounted {
    bool is_paused;
    int64_t due_ms;   /* when to look again */
    int64_t pause_ms; /* how long the last pause was, at least */
    uint64_t taken;   /* records, since it began */
};

/* Passes. */
struct kafka_sweep {
    rd_kafka_conf_t *conf; /* of the handle, until the helper has made it */
    struct klane_kafka_options limits;
    struct kafka_request make;
    rd_kafka_t *rk;                        /* NULL: no pass was needed so far */
    struct kafka_rebootstrap *rebootstrap; /* the handle's: as it may outlive the source */
    struct kafka_queue queue;
    struct kafka_partitions partitions; /* that have a pass */
    struct kafka_nap nap;
    size_t brought; /* in the poll under way */
    bool has_more;  /* there was more in the queue than was wanted */
};

/* The least that librdkafka's queue may hold. */
#define KAFKA_QUEUE_RECORDS_MIN 1000U
#define KAFKA_QUEUE_BYTES_MIN (1U << 20)

struct kafka_source {
    struct klane_source base;

    /* Fixed from klane_kafka_create() on. */
    rd_kafka_t *rk;
    int version;         /* of librdkafka, as it is loaded */
    int64_t max_poll_ms; /* max.poll.interval.ms */
    struct kafka_queue consumer;
    struct kafka_queue data;
    struct kafka_queue replies;
    struct kafka_forming forming; /* and any of librdkafka's threads */
    struct kafka_reason reason;   /* the same */
    struct kafka_rebootstrap rebootstrap;
    _Atomic bool has_strays;  /* K2 */
    struct doorbell doorbell; /* any thread rings */

    /* Fixed from start() on. */
    struct klane_intake *intake;
    struct helper *helper;

    struct kafka_topic **topics; /* sorted by name */
    size_t topic_count;
    struct kafka_partitions owned;
    struct kafka_partitions stashing;

    STAILQ_HEAD(, kafka_rebalance) rebalances;
    bool is_cooperative; /* known from the first assignment on */
    bool was_assigned;   /* that there was one, be it of nothing */
    int64_t again_ms;    /* when what failed is tried again */
    int64_t nowhere_ms;  /* the same of begins that nobody could say */
    int64_t asked_ms;    /* when begins were asked for last */

    struct kafka_request committed;
    struct kafka_request look_up;
    struct kafka_request range;
    struct kafka_sweep sweep;
    struct kafka_nap nap; /* of those that fill the data queue */
    uint64_t seen_records;
    uint64_t seen_bytes;               /* of their values: how large records are, on average */
    uint64_t seen_uncounted;           /* of their keys and headers */
    struct kafka_partition *wake_next; /* the first whose leader is to be woken */
    struct kafka_turns turns;
    struct kafka_uncounted uncounted;
    uint64_t stashed_bytes;
    bool has_held_strays; /* partitions that are not forwarded may have got something */

    struct kafka_commit commit;

    /* Of the poll under way. */
    size_t records_max;
    size_t taken;
    bool is_refused;
    rd_kafka_topic_t *last_topic; /* of the record before, and its partition */
    int32_t last_number;
    struct kafka_partition *last;

    const char *warning;             /* of librdkafka's version, until it is told; NULL: none */
    int64_t polled_ms;               /* when the consumer queue was served */
    int64_t down_ms;                 /* when it was told that all brokers are down; 0: never */
    struct klane_header_in *headers; /* room for one record's */
    size_t headers_capacity;
    unsigned char *block; /* and for them in klane's form */
    size_t block_capacity;
    enum kafka_phase phase;
};

static inline struct kafka_source *kafka_of(struct klane_source *base)
{
    return (struct kafka_source *)(void *)base;
}

#endif
