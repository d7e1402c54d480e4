/* SPDX-License-Identifier: Apache-2.0 */
/* The memory source: what its two sides share.
 *
 *   memory.c   any thread: topics, appends, the group's doings as a test plays them
 *   reader.c   control: the source's operations; group.c: of them, assignments and commits
 *   sweep.c    passes
 *   chunks.c   where the records are
 *
 * Upholds: control takes no lock, and what any thread does is seen by a later poll(), for which
 * the doorbell rings.
 *
 * An announcement is one for a partition and a matter (records, group): whoever sets `out`
 * sends the mail, and the reader clears it before it looks. All changes of `out` are exchanges,
 * so they have one order: news made before an exchange that found it set are seen by the
 * reader's next exchange (E1), and otherwise the mail is sent. So the mail is in one place at a
 * time and no news is lost.
 *
 * Records: the reader that has the mail keeps it (and `out` set, so that appends stay quiet)
 * until it has read everything there was. So 4,096 idle partitions cost a poll nothing, and an
 * append to a busy one costs one exchange.
 *
 * Group: `wanted` says where the partition should be. It counts its changes, so that a
 * partition taken away and given back at once is taken away nevertheless.
 *
 * Edges:
 *   E1  announce, acquire-release -> reader's clearing, acquire-release: news before the look.
 *   E2  wanted, release -> reader, acquire: nothing but the word itself; written so because the
 *       word is read without the announcement too.
 *   E3  topics, release -> any thread, acquire: a topic is whole before it is found.
 *   E4  committed, release -> any thread, acquire: who sees an offset sees what was done
 *       before it was committed.
 *   E5  running, release -> any thread, acquire: the partitions that are read before they
 *       change. */
#ifndef KLANE_SOURCE_MEMORY_MEMORY_H
#define KLANE_SOURCE_MEMORY_MEMORY_H

#include "source/doorbell.h"
#include "source/memory/chunks.h"
#include "source/source.h"
#include "sync/mailbox.h"

#include <klane/memory.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

/* memory_partition.wanted: one bit, a count of losses, and a count of changes. Counts may wrap:
 * they are compared with what the reader saw last. */
#define WANTED_ASSIGNED UINT64_C(1)
#define WANTED_LOSS UINT64_C(2)
#define WANTED_LOSSES UINT64_C(0xfffffffe)
#define WANTED_CHANGE (UINT64_C(1) << 32)

struct memory_announcement {
    struct mail mail;
    _Atomic bool out;
};

#define MEMORY_FAIL_SHIFT 8

enum memory_state {
    MEMORY_AWAY,    /* not assigned */
    MEMORY_OURS,    /* assigned */
    MEMORY_REVOKING /* assigned, and offered for giving up */
};

struct memory_partition {
    struct chunk_list chunks; /* by the rules of chunks.h */

    /* Reader. */
    struct {
        _Alignas(CACHE_LINE) struct chunk_cursor cursor;
        struct klane_assignment *assignment; /* NULL: away */
        struct memory_partition *ready_next;
        struct memory_partition *due_next;
        TAILQ_ENTRY(memory_partition) sweep_link;
        struct chunk_cursor sweep; /* of its pass, while it sweeps */
        uint64_t wanted_at_begin;  /* of the assignment: a later change takes it away */
        int64_t end_told;          /* -1: none in this assignment */
        int64_t begin_time_ms;
        char *metadata; /* committed with the offset */
        size_t metadata_size;
        size_t metadata_capacity;
        uint8_t begin; /* enum klane_begin */
        uint8_t state; /* enum memory_state */
        bool read;     /* some source_topic names it */
        bool held;
        bool has_mail; /* of records: nobody announces them */
        bool ready;    /* in the queue of those to read */
        bool due;      /* in the queue of those to assign */
        bool sweeps;   /* in the queue of those that have a pass */
    } reader;

    _Atomic int64_t committed; /* reader writes */

    /* Any thread; the mail by the rules above. */
    struct memory_announcement records;
    struct memory_announcement group;
    _Atomic uint64_t wanted;

    const struct memory_topic *topic;
    int32_t number;
};

struct memory_topic {
    struct memory_topic *next; /* written before the topic can be found */
    struct memory_partition *partitions;
    int32_t partition_count;
    char name[];
};

/* First in, first out. */
struct memory_queue {
    struct memory_partition *head;
    struct memory_partition *tail;
};

struct memory_source {
    struct klane_source source;
    struct doorbell doorbell;
    struct chunk_pool pool;

    _Atomic(struct memory_topic *) topics; /* under the mutex, found by anybody */
    _Atomic bool running;                  /* written by start and by the reader */
    struct mailbox announced_records;
    struct mailbox announced_group;

    struct {
        _Alignas(CACHE_LINE) pthread_mutex_t mutex; /* all of appending */
    } appender;

    /* Reader. */
    struct {
        _Alignas(CACHE_LINE) struct klane_intake *intake;
        struct memory_queue ready;             /* partitions with records to read */
        struct memory_queue due;               /* partitions to assign */
        TAILQ_HEAD(, memory_partition) sweeps; /* partitions that have a pass */
        klane_err_t commit_err;
        bool commit_due; /* an answer */
        bool closing;
        bool failed; /* nothing more is said but the answer to close() */
        bool closed;
    } reader;

    _Atomic uint64_t commits_to_fail; /* count << MEMORY_FAIL_SHIFT | err; any thread */
};

extern const struct klane_source_ops memory_source_ops;

static inline struct memory_source *memory_of(struct klane_source *source)
{
    return (struct memory_source *)(void *)source;
}

/* klane_source_ops.destroy. */
void memory_destroy(struct klane_source *source);

/* Any thread: let the reader look at the partition. */
void memory_announce(struct memory_source *memory, struct mailbox *mailbox,
                     struct memory_announcement *announcement);

/* NULL: there is none. Any thread. */
struct memory_topic *memory_topic_find(const struct memory_source *memory, const char *name);

#endif
