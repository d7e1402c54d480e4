/* SPDX-License-Identifier: Apache-2.0 */
/* When to commit: by time, by count, at once for an assignment that is to be given up; one commit
 * out at a time, and a failed one is sent again after a pause.
 *
 * Upholds: a second commit never overtakes the first, so committed offsets never fall. */
#ifndef KLANE_CORE_COMMIT_H
#define KLANE_CORE_COMMIT_H

#include "core/assignment.h"
#include "core/progress.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* After a failed commit; below the usual interval, long enough not to hammer a log that is
 * down. */
#define COMMIT_RETRY_MS 200

/* Of the maps of one commit together. A broker writes a commit as one batch of records, which may
 * have 1 MiB by default; what is beyond this goes with the next commit, at once. */
#define COMMIT_MAPS_BYTES (400U << 10)

struct commit {
    uint32_t interval_ms;
    uint32_t records;
    uint32_t finished; /* records since the last commit was sent */
    int64_t sent_ms;
    int64_t not_before_ms;          /* after a failure */
    struct klane_assignment *dirty; /* what may have a new base; by dirty_next, those that
                                          wait longest first */
    struct klane_assignment *dirty_last;
    struct klane_assignment *sent;     /* the commit that is out; by committing_next */
    struct klane_assignment *left_out; /* of what was dirty before that, by dirty_next: they have
                                          nothing new; until the next mark */
    struct progress_writer writer;
    uint64_t marks;     /* times that something got dirty */
    uint64_t sent_mark; /* the first of those that are out */
    uint32_t failures;  /* commits, or parts of them */
    uint32_t forgotten; /* assignments that ended with something to commit */
    bool out;
    bool refused; /* some part of the commit that is out was refused */
};

static inline void commit_init(struct commit *commit, uint32_t interval_ms, uint32_t records)
{
    *commit = (struct commit){.interval_ms = interval_ms, .records = records};
}

/* When the next commit may be sent. settling: some assignment waits to be given up. */
static inline int64_t commit_due_ms(const struct commit *commit, bool settling)
{
    int64_t due_ms = commit->sent_ms + commit->interval_ms;

    if (commit->out || commit->dirty == NULL)
        return INT64_MAX;
    if (settling || commit->finished >= commit->records)
        due_ms = 0;
    return due_ms > commit->not_before_ms ? due_ms : commit->not_before_ms;
}

/* A record of this assignment was finished, or its base may have moved otherwise. */
static inline void commit_mark(struct commit *commit, struct klane_assignment *assignment)
{
    if (assignment->dirty)
        return;
    assignment->dirty = true;
    assignment->mark = ++commit->marks;
    assignment->dirty_next = NULL;
    if (commit->dirty == NULL)
        commit->dirty = assignment;
    else
        commit->dirty_last->dirty_next = assignment;
    commit->dirty_last = assignment;
}

/* Counts as far as it has to. */
static inline void commit_count_finished(struct commit *commit)
{
    commit->finished += commit->finished < commit->records;
}

/* What is dirty does not wait for its time. */
void commit_hurry(struct commit *commit);

/* Take from the dirty what has a new base or map, as the commit that is now out. NULL: nothing
 * has. */
struct klane_assignment *commit_send(struct commit *commit, int64_t now_ms);

/* The assignment's part of the commit that is out has failed: it is dirty again. too_large: its
 * map is more than the log takes. */
void commit_refuse(struct commit *commit, struct klane_assignment *assignment, bool too_large);

/* The commit that is out was answered: each of its assignments is committed, or dirty again. */
void commit_answer(struct commit *commit, bool acknowledged, int64_t now_ms);

/* What was dirty when there were so many marks has been sent and answered; as committed, if there
 * were no failures since. */
static inline bool commit_is_answered(const struct commit *commit, uint64_t marks)
{
    return (commit->dirty == NULL || commit->dirty->mark > marks) &&
           (!commit->out || commit->sent_mark > marks);
}

/* The assignment ends: forget it. */
void commit_forget(struct commit *commit, struct klane_assignment *assignment);

#endif
