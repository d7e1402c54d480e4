/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of a topic, and of a partition. */
#ifndef KLANE_SOURCE_KAFKA_PARTITION_H
#define KLANE_SOURCE_KAFKA_PARTITION_H

#include "source/source.h"

#include <klane/kafka.h>

#include <stdatomic.h>
#include <sys/queue.h>

struct kafka_source;
struct kafka_topic;

/*   AWAY --assigned by the group--> FINDING --begin is known--> WAITING --control took it--> OURS
 *    ^                                 |                           |                         |
 *    +------revoked, or lost-----------+---------------------------+                         |
 *    +<--given up by control-- LEAVING <----------------revoked by the group-----------------+
 *                                      WAITING <--its log was cut: it begins anew, lower----+
 *    +<----------------------------------------------------------lost------------------------+ */
enum kafka_state {
    KAFKA_AWAY,    /* not control's; the group may not have taken it back yet */
    KAFKA_FINDING, /* where it begins is being looked up */
    KAFKA_WAITING, /* for control to have memory for it */
    KAFKA_OURS,    /* control has it */
    KAFKA_LEAVING  /* control drains it */
};

/* A copy of a record that could not be handed over yet. */
struct kafka_stashed {
    STAILQ_ENTRY(kafka_stashed) link;
    struct source_record record; /* pointers into bytes */
    unsigned char bytes[];
};

struct kafka_partition {
    /* K2; any of librdkafka's threads sets it. */
    _Atomic bool is_strayed;

    /* Control's; its flags stand apart from the one above: compilers read neighbours together. */
    struct kafka_source *source;
    struct kafka_topic *topic;
    struct klane_assignment *assignment; /* OURS, LEAVING */
    rd_kafka_queue_t *queue;             /* of librdkafka for this partition; NULL: never used */
    TAILQ_ENTRY(kafka_partition) owned;  /* in the list of those that are not AWAY */
    TAILQ_ENTRY(kafka_partition) stashing;
    TAILQ_ENTRY(kafka_partition) sweeping; /* in the list of those that have a pass */
    int64_t swept;                         /* of its pass: the next offset to bring */
    STAILQ_HEAD(, kafka_stashed) stash;
    int64_t next;    /* one past the last record that came from librdkafka */
    int64_t begin;   /* FINDING: one of KAFKA_BEGIN_; WAITING */
    char *metadata;  /* committed with begin, until control has taken it; NULL: none */
    int64_t log_end; /* as it was known then; -1: it was not */
    size_t metadata_size;
    int64_t leader_epoch_end; /* its records are of this epoch or of older ones up to there */
    int32_t leader_epoch;     /* -1: none is known */
    int64_t proven_by;        /* what came first; it was dropped and is to come again */
    uint8_t seeks;            /* for that; 0: nothing has come yet */
    int64_t beyond_ms;        /* since when the log seems to end too early; 0: it does not */
    int64_t end;              /* to be told once the stash is empty; -1: nothing */
    uint32_t stay;            /* counts assignments: an answer for an earlier one is known */
    int32_t number;
    int64_t vain_until_ms; /* others have waited for it in vain: they do not again before that */
    int64_t vain_ms;       /* for how long, then */
    int64_t waits_ms;      /* since the look at which it had more, but nothing had come; 0: not */
    uint8_t state;         /* enum kafka_state */
    uint8_t pauses;        /* enum kafka_pause, why librdkafka fetches nothing more */
    bool is_committed;     /* begin is what the group has committed */
    bool has_headers;      /* somebody wants its records' headers */
    bool is_held;          /* by control */
    bool is_unproven;      /* it was not found out yet whether its log was cut below next */
    bool has_read;         /* a record, since librdkafka was told where it reads */
    bool is_forwarded;     /* its records reach the data queue */
    bool is_stashing;      /* in the list */
    bool is_out_of_range;  /* librdkafka reads elsewhere: nothing comes before it is told where */
    bool is_cut;           /* its next offset may be in the log, but is of another record */
    bool is_to_restart;    /* its place is found: librdkafka has to begin again there */
    bool is_sweeping;      /* it has a pass */
    bool is_swept;         /* which librdkafka reads */
    bool is_sweep_late;    /* where it would begin is not in the log any more */
    bool has_come;         /* something, since the last look at turns */
    bool was_paused;       /* in this stay */
    bool is_to_wake;       /* a pause of it has ended */
};

/* What is known of a begin that is not known. */
#define KAFKA_BEGIN_UNREAD (-1)   /* the group's committed offset is to be read */
#define KAFKA_BEGIN_BY_RULES (-2) /* there is none: the topic's rules count */

/* And nobody could say so far where that is. librdkafka is told to read at an offset that is in no
 * log: so it has the partition as it has all others, and brings nothing of it. */
#define KAFKA_BEGIN_NOWHERE (INT64_MAX / 2)

struct kafka_topic {
    char *name;
    struct kafka_partition **partitions; /* by number; NULL: never seen */
    int32_t partition_count;
};

TAILQ_HEAD(kafka_partitions, kafka_partition);

#endif
