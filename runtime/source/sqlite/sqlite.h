/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded log as a source: what the files of control's half share.
 *
 *   create.c   how it is made
 *   source.c   the main flow, assignments, commits
 *   sweep.c    passes
 *   reader.c   the helper's half */
#ifndef KLANE_SOURCE_SQLITE_SQLITE_H
#define KLANE_SOURCE_SQLITE_SQLITE_H

#include "source/sqlite/notify.h"
#include "source/sqlite/reader.h"

#include <klane/sqlite.h>

enum { SQLITE_RUNS = 16 }; /* of all partitions: 4 MiB, and as much for large records */

struct sqlite_source {
    struct klane_source base;
    struct sqlite_reader reader; /* the helper's, but for what it says itself */
    struct helper *helper;       /* NULL: not started */
    struct klane_intake *intake;
    struct notify_reader notify;

    struct sqlite_partitions partitions;
    STAILQ_HEAD(, sqlite_partition) ready;
    STAILQ_HEAD(, sqlite_partition) wanting;
    STAILQ_HEAD(, sqlite_run) idle_runs;
    struct sqlite_run *runs;
    uint32_t partition_count;

    struct sqlite_request join;
    struct sqlite_find find;
    struct sqlite_commit commit;
    struct sqlite_request close;

    struct {
        TAILQ_HEAD(, sqlite_partition) partitions; /* that have a pass, in turn */
        struct sqlite_run run;                     /* of one of them */
        bool is_out;                               /* with the helper */
        bool is_filled;                            /* with something to bring */
        int64_t retry_ms;                          /* not to be read before, after a failure */
    } sweep;

    int64_t wake_ms;        /* when there is something to do by time */
    int64_t join_ms;        /* when to try to join again */
    int64_t beat_ms;        /* when to beat */
    int64_t find_ms;        /* when to find topics again */
    int64_t assign_ms;      /* when to assign again what was refused */
    klane_err_t commit_err; /* of a commit that could not be sent */
    bool commit_is_refused; /* and is to be answered with commit_err */
    enum klane_sqlite_taken when_taken;
    bool is_waiting_told; /* that another process consumes */
    bool has_failed;      /* nothing is offered any more */
    bool is_closing;      /* and nothing is read any more */
};

static inline struct sqlite_source *sqlite_of(struct klane_source *base)
{
    return (struct sqlite_source *)(void *)base;
}

/* poll() is wanted again at this time. */
static inline void sqlite_wake_at(struct sqlite_source *source, int64_t ms)
{
    if (ms < source->wake_ms)
        source->wake_ms = ms;
}

static inline void sqlite_send(struct sqlite_source *source, struct sqlite_request *request)
{
    request->err = KLANE_OK;
    request->text[0] = '\0';
    helper_send(source->helper, &request->base);
}

/* source.c */
extern const struct klane_source_ops sqlite_source_ops;

/* sweep.c */
void sqlite_sweep_init(struct sqlite_source *source);
void sqlite_sweep_deinit(struct sqlite_source *source);

/* klane_source_ops.sweep and poll_sweeps. */
void sqlite_sweep_begin(struct klane_source *base, void *own, int64_t offset);
size_t sqlite_sweep_poll(struct klane_source *base, size_t records_max);

/* The partition's pass is over, if it has one. */
void sqlite_sweep_end(struct sqlite_source *source, struct sqlite_partition *partition);

/* The run came back from the helper. */
void sqlite_sweep_came(struct sqlite_source *source);

#endif
