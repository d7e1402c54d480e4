/* SPDX-License-Identifier: Apache-2.0 */
#include "core/commit.h"

#include "base/assert.h"

void commit_hurry(struct commit *commit)
{
    commit->finished = commit->records;
}

/* It waits for the next commit, as it did for this one: with its mark, and behind those that have
 * waited for longer. */
static void keep_dirty(struct commit *commit, struct klane_assignment *assignment)
{
    uint64_t mark = assignment->mark;

    commit_mark(commit, assignment);
    assignment->mark = mark;
}

/* Whether there is something new to commit of it; its map is written. Without memory for that it
 * stays dirty. */
static bool is_new(struct commit *commit, struct klane_assignment *assignment, int64_t base)
{
    if (assignment_state(assignment) < ASSIGNMENT_SETTLING &&
        !progress_write(&commit->writer, assignment)) {
        keep_dirty(commit, assignment);
        return false;
    }
    return base != assignment->committed ||
           assignment->map.mark.hash != assignment->progress.hash;
}

static void leave_out(struct commit *commit, struct klane_assignment *assignment)
{
    assignment->dirty_next = commit->left_out;
    commit->left_out = assignment;
}

struct klane_assignment *commit_send(struct commit *commit, int64_t now_ms)
{
    struct klane_assignment *assignment = commit->dirty, *next;
    uint64_t bytes = 0;
    bool is_left = false;

    KLANE_ASSERT(!commit->out);
    KLANE_ASSERT(commit->sent == NULL);
    commit->dirty = commit->dirty_last = NULL;
    commit->left_out = NULL;
    commit->sent_mark = UINT64_MAX;
    for (; assignment != NULL; assignment = next) {
        int64_t base = assignment_base(assignment);

        next = assignment->dirty_next;
        assignment->dirty = false;
        /* A protocol's rule: committed offsets only rise, and the base never falls. */
        KLANE_ASSERT(base >= assignment->committed);
        if (!is_new(commit, assignment, base)) {
            if (!assignment->dirty)
                leave_out(commit, assignment);
            continue;
        }
        if (commit->sent != NULL && bytes + assignment->map.mark.size > COMMIT_MAPS_BYTES) {
            keep_dirty(commit, assignment);
            is_left = true;
            continue;
        }
        bytes += assignment->map.mark.size;
        if (assignment->mark < commit->sent_mark)
            commit->sent_mark = assignment->mark;
        assignment->committing = base;
        assignment->committing_progress = assignment->map.mark;
        assignment->committing_next = commit->sent;
        commit->sent = assignment;
        trial_sent(assignment);
    }
    /* There was no memory: not at once again. */
    if (commit->dirty != NULL && !is_left)
        commit->not_before_ms = now_ms + COMMIT_RETRY_MS;
    commit->finished = is_left ? commit->records : 0;
    commit->sent_ms = now_ms;
    commit->out = commit->sent != NULL;
    return commit->sent;
}

/* No longer part of the commit that is out. */
static void unsend(struct commit *commit, struct klane_assignment *assignment)
{
    struct klane_assignment **link;

    for (link = &commit->sent; assignment->committing != -1; link = &(*link)->committing_next) {
        if (*link != assignment)
            continue;
        *link = assignment->committing_next;
        assignment->committing = -1;
        break;
    }
}

void commit_refuse(struct commit *commit, struct klane_assignment *assignment, bool too_large)
{
    KLANE_ASSERT(commit->out);
    KLANE_ASSERT(assignment->committing != -1);
    if (too_large)
        progress_shorten(&commit->writer, assignment);
    unsend(commit, assignment);
    trial_answered(assignment, false);
    commit_mark(commit, assignment);
    commit->failures++;
    commit->refused = true;
}

void commit_answer(struct commit *commit, bool acknowledged, int64_t now_ms)
{
    KLANE_ASSERT(commit->out);
    commit->out = false;
    if (!acknowledged || commit->refused)
        commit->not_before_ms = now_ms + COMMIT_RETRY_MS;
    if (!acknowledged) {
        commit_hurry(commit);
        commit->failures++;
    }
    commit->refused = false;
    while (commit->sent != NULL) {
        struct klane_assignment *assignment = commit->sent;

        commit->sent = assignment->committing_next;
        if (acknowledged) {
            assignment->committed = assignment->committing;
            assignment->progress = assignment->committing_progress;
            assignment->ever_committed = true;
        } else {
            commit_mark(commit, assignment);
        }
        assignment->committing = -1;
        trial_answered(assignment, acknowledged);
        if (assignment_state(assignment) < ASSIGNMENT_SETTLING)
            progress_text_free(&assignment->map);
    }
}

/* No longer among the dirty. */
static void clean(struct commit *commit, struct klane_assignment *assignment)
{
    struct klane_assignment *previous = NULL, *each;

    for (each = commit->dirty; each != assignment; each = each->dirty_next)
        previous = each;
    if (previous != NULL)
        previous->dirty_next = assignment->dirty_next;
    else
        commit->dirty = assignment->dirty_next;
    if (commit->dirty_last == assignment)
        commit->dirty_last = previous;
    assignment->dirty = false;
}

void commit_forget(struct commit *commit, struct klane_assignment *assignment)
{
    bool is_last = assignment_state(assignment) >= ASSIGNMENT_SETTLING;

    if ((assignment->dirty || assignment->committing != -1) &&
        !(is_last && assignment_is_settled(assignment)))
        commit->forgotten++;
    if (assignment->dirty)
        clean(commit, assignment);
    unsend(commit, assignment);
}
