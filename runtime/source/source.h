/* SPDX-License-Identifier: Apache-2.0 */
/* What a source must do, and what it may ask of whoever reads from it.
 *
 * Upholds: every record from an assignment's begin on is offered, in offset order, until it was
 * taken; a commit is answered once; after given_up() or intake->lost() nothing of the assignment
 * is offered any more.
 *
 * A source is used by one thread, the control thread, but for what its own public functions allow.
 * No call may wait for network or disk: what has to wait goes to a helper thread
 * (source/helper.h), and the answer is handed over at a later poll(). Everything a source has to
 * say, it says by calling the intake from inside poll().
 *
 *   start -> poll ... -> close -> poll ... intake->closed -> destroy
 *
 *   an assignment:  intake->assigned -> record ... -> intake->revoke -> given_up, once control
 *                   has drained and committed; or -> intake->lost, at once
 *
 * Every source passes tests/lib/source_conformance.c. */
#ifndef KLANE_SOURCE_SOURCE_H
#define KLANE_SOURCE_SOURCE_H

#include "base/source_record.h"

#include <klane/klane.h>

struct klane_assignment;
struct klane_intake;

/* A topic to read. */
struct source_topic {
    const char *name; /* begins with ^ where the source knows patterns: a pattern of names */
    enum klane_begin begin;
    enum klane_begin out_of_range;
    int64_t begin_time_ms;
    bool without_headers; /* they may be left out: control does not look at them */
};

/* The first unfinished offset of an assignment, to be committed, and what is to be kept with
 * it. */
struct source_commit {
    struct klane_assignment *assignment;
    void *own; /* the source's, as given to assigned() */
    int64_t offset;
    const char *metadata; /* ASCII; NULL: none */
    size_t metadata_size;
};

/* Where an assignment begins. */
struct source_position {
    int64_t begin;
    bool
        is_committed; /* the group has committed begin, with this metadata; if not, control commits
                          it as it is, so that the group begins there again whatever comes */
    const char *metadata; /* NULL: none */
    size_t metadata_size;
    int64_t end; /* one past the log's last offset; -1: not known */
};

/* What control offers a source; called from poll() only. */
struct klane_intake_ops {
    /* The rules of the topic of this name, which a pattern may have brought; NULL: no handler
     * takes it. */
    const struct source_topic *(*topic)(struct klane_intake *intake, const char *name);

    /* A partition came; its records follow from *from on, which is position->begin or higher, if
     * control knows what of it is finished. topic and partition name it; own is handed back with
     * every call about it. NULL: no memory, or control stops; the source tries again later. */
    struct klane_assignment *(*assigned)(struct klane_intake *intake, const char *topic,
                                         int32_t partition,
                                         const struct source_position *position, int64_t *from,
                                         void *own);

    /* A partition is to come, and has not: where it begins is not known yet. As long as that is so
     * it is said in each poll. */
    void (*awaited)(struct klane_intake *intake);

    /* Offers the next record. False: not taken, for want of memory; offer it again later and offer
     * none behind it. */
    bool (*record)(struct klane_intake *intake, struct klane_assignment *assignment,
                   const struct source_record *record);

    /* The next record is taken, if it is no larger than needs->record_bytes; and there is room for
     * what the source keeps of records beyond needs->buffer_bytes, or half of all. A source that
     * cannot give a record back asks before it looks for one. */
    bool (*has_room)(const struct klane_intake *intake, uint64_t kept_bytes);

    /* Everything below end was offered, and the log had no more just now; end is one past the
     * log's last offset, so what is missing below it is a hole. Only needed when that became true
     * or end moved. */
    void (*end)(struct klane_intake *intake, struct klane_assignment *assignment, int64_t end);

    /* A pass brings a record of the range that it reads again, in offset order. */
    void (*swept)(struct klane_intake *intake, struct klane_assignment *assignment,
                  const struct source_record *record);

    /* The pass has read everything below offset and brought it. True: it is over. */
    bool (*swept_to)(struct klane_intake *intake, struct klane_assignment *assignment,
                     int64_t offset);

    /* Please give the partition up: control drains, commits and calls given_up(). Records may not
     * be offered any more. */
    void (*revoke)(struct klane_intake *intake, struct klane_assignment *assignment);

    /* The partition is gone: no commit for it can succeed. The assignment is invalid on return. */
    void (*lost)(struct klane_intake *intake, struct klane_assignment *assignment);

    /* Of the commit that is out, this assignment's part was refused: said before committed().
     * KLANE_ERR_TOO_LARGE: its metadata was. */
    void (*uncommitted)(struct klane_intake *intake, struct klane_assignment *assignment,
                        klane_err_t err, const char *message);

    /* The answer to the commit that is out. */
    void (*committed)(struct klane_intake *intake, klane_err_t err);

    /* The next offset to read was not in the log; begin is where it goes on instead. Where that
     * is lower, the assignment is lost, and another begins there. */
    void (*out_of_range)(struct klane_intake *intake, const char *topic, int32_t partition,
                         int64_t offset, int64_t begin);

    /* Something went wrong and is tried again. topic may be NULL. */
    void (*error)(struct klane_intake *intake, klane_err_t err, const char *topic,
                  int32_t partition, const char *message);

    /* The source cannot go on. close() follows. */
    void (*fatal)(struct klane_intake *intake, klane_err_t err, const char *message);

    /* The answer to close(): no call on the intake follows. */
    void (*closed)(struct klane_intake *intake);
};

/* Begins every structure that implements it. */
struct klane_intake {
    const struct klane_intake_ops *ops;
    uint32_t give_up_ms; /* at most as long after revoke() comes given_up() */
};

/* What a source takes of the budget. */
struct source_needs {
    uint64_t buffer_bytes; /* what it has read and control has not taken, at most, and its like */
    uint64_t record_bytes; /* the largest record, as a rule, if it cannot be given back once it is
                              seen: control sets room for one aside. 0: it can */
};

struct klane_source_ops {
    const char *name;
    bool has_patterns; /* a topic's name may be a pattern */
    /* So many records in one poll() make up for what the poll itself costs, while workers do not
     * wait too long for the first of them. */
    uint32_t burst;

    /* Before start(). NULL: nothing, and nothing is known. */
    void (*needs)(const struct klane_source *source, struct source_needs *needs);

    /* Begin to read the topics; the list and its texts live until destroy(). On the thread of
     * klane_start(), once. May make a thread, may not wait. */
    klane_err_t (*start)(struct klane_source *source, struct klane_intake *intake,
                         const struct source_topic *topics, size_t count, char *errstr,
                         size_t errstr_size);

    /* Say what there is to say, with at most records_max records, 0 included. Returns how many
     * records were taken. */
    size_t (*poll)(struct klane_source *source, size_t records_max);

    /* A descriptor that becomes readable when poll() has something to say that it had not before;
     * poll() makes it unreadable again. After a poll() that took records control polls again
     * before it sleeps. */
    int (*descriptor)(const struct klane_source *source);

    /* When poll() has to be called at the latest, by base/clock.h; INT64_MAX: never. */
    int64_t (*due_ms)(const struct klane_source *source);

    /* Offer no records of this partition until told otherwise; other partitions go on. At most
     * what the source had in hand already may still come. */
    void (*hold)(struct klane_source *source, void *own, bool held);

    /* Begin a pass: read the partition again from offset on, which is not below what is committed,
     * beside the main flow and not in its way. It ends when swept_to() says so, and with the
     * assignment. One at a time for a partition. NULL, as poll_sweeps: the log cannot be read
     * again. */
    void (*sweep)(struct klane_source *source, void *own, int64_t offset);

    /* Bring at most records_max records of passes. Returns how many were brought. */
    size_t (*poll_sweeps)(struct klane_source *source, size_t records_max);

    /* Commit these. One at a time: not before the last was answered by committed(). Entries whose
     * assignment was lost meanwhile are left out. The list is copied, with its metadata. */
    void (*commit)(struct klane_source *source, const struct source_commit *commits,
                   size_t count);

    /* The revoked partition is drained and committed as far as it will be. Its assignment is
     * invalid on return. */
    void (*given_up)(struct klane_source *source, void *own);

    /* End: every assignment was given up or is to be forgotten. Answered by closed(). */
    void (*close)(struct klane_source *source);

    /* Free it: after closed(), or if it was never started, or after control's deadline for
     * closed() has passed (then on any thread, and it may wait). */
    void (*destroy)(struct klane_source *source);
};

/* Begins every source. */
struct klane_source {
    const struct klane_source_ops *ops;
    bool is_owned; /* klane_create(): by a runtime, which ends it */
};

#endif
