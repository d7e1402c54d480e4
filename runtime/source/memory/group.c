/* SPDX-License-Identifier: Apache-2.0 */
/* Which partitions control has, and what of them is committed.
 *
 * Upholds: a partition has one assignment at a time; it begins at the committed offset; every
 * commit but those told to stay unanswered is answered once. Owner: the control thread.
 *
 * Edges: E2 and E4 of source/memory/memory.h. */
#include "source/memory/reader.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- partitions to assign ---------------------------------------------------------------- */

void group_due(struct memory_source *memory, struct memory_partition *partition)
{
    struct memory_queue *queue = &memory->reader.due;

    if (partition->reader.due)
        return;
    partition->reader.due = true;
    partition->reader.due_next = NULL;
    if (queue->head == NULL)
        queue->head = partition;
    else
        queue->tail->reader.due_next = partition;
    queue->tail = partition;
}

static void due_pop(struct memory_source *memory)
{
    struct memory_partition *partition = memory->reader.due.head;

    memory->reader.due.head = partition->reader.due_next;
    partition->reader.due = false;
}

/* ---- assignments ------------------------------------------------------------------------- */

void group_leave(struct memory_source *memory, struct memory_partition *partition)
{
    sweep_end(memory, partition);
    partition->reader.assignment = NULL;
    partition->reader.state = MEMORY_AWAY;
}

static int64_t begin_of(struct memory_partition *partition)
{
    /* Relaxed: this thread writes it. */
    int64_t committed = atomic_load_explicit(&partition->committed, memory_order_relaxed);

    if (committed >= 0)
        return committed;
    switch ((enum klane_begin)partition->reader.begin) {
    case KLANE_BEGIN_LATEST:
        return chunks_end(&partition->chunks);
    case KLANE_BEGIN_TIME:
        return chunks_find_time(&partition->chunks, partition->reader.begin_time_ms);
    case KLANE_BEGIN_EARLIEST:
    case KLANE_BEGIN_ERROR: /* refused before */
        break;
    }
    return 0;
}

static void fail_without_begin(struct memory_source *memory,
                               const struct memory_partition *partition)
{
    char text[320];

    if (memory->reader.failed)
        return;
    memory->reader.failed = true;
    snprintf(text, sizeof(text), "%s [%" PRId32 "]: nothing was committed",
             partition->topic->name, partition->number);
    memory->reader.intake->ops->fatal(memory->reader.intake, KLANE_ERR_OUT_OF_RANGE, text);
}

/* False: the intake has no memory for it, or it cannot begin. */
static bool partition_assign(struct memory_source *memory, struct memory_partition *partition)
{
    struct klane_intake *intake = memory->reader.intake;
    const struct source_position position = {
        .begin = begin_of(partition),
        /* Relaxed: this thread writes it. */
        .is_committed = atomic_load_explicit(&partition->committed, memory_order_relaxed) >= 0,
        .metadata = partition->reader.metadata,
        .metadata_size = partition->reader.metadata_size,
        .end = chunks_end(&partition->chunks),
    };
    struct klane_assignment *assignment;
    int64_t from;

    if (!position.is_committed && partition->reader.begin == KLANE_BEGIN_ERROR) {
        fail_without_begin(memory, partition);
        return false;
    }
    assignment = intake->ops->assigned(intake, partition->topic->name, partition->number,
                                       &position, &from, partition);
    if (assignment == NULL)
        return false;
    partition->reader.assignment = assignment;
    partition->reader.state = MEMORY_OURS;
    partition->reader.held = false;
    partition->reader.end_told = -1;
    chunks_seek(&partition->chunks, &partition->reader.cursor, from);
    reader_mail_take(partition);
    if (partition->reader.has_mail)
        reader_settle(memory, partition);
    return true;
}

void group_assign(struct memory_source *memory)
{
    struct memory_partition *partition;

    while ((partition = memory->reader.due.head) != NULL) {
        /* E2 acquire: pairs with wanted_change(). */
        uint64_t wanted = atomic_load_explicit(&partition->wanted, memory_order_acquire);

        if (partition->reader.state == MEMORY_AWAY && (wanted & WANTED_ASSIGNED) != 0) {
            if (!partition_assign(memory, partition))
                return; /* it stays due */
            partition->reader.wanted_at_begin = wanted;
        }
        due_pop(memory);
    }
}

void group_obey(struct memory_source *memory, struct memory_partition *partition)
{
    struct klane_intake *intake = memory->reader.intake;
    struct klane_assignment *assignment = partition->reader.assignment;
    uint64_t wanted;
    uint64_t changed;

    reader_announcement_clear(&partition->group);
    /* E2 acquire: pairs with wanted_change(). */
    wanted = atomic_load_explicit(&partition->wanted, memory_order_acquire);
    changed = wanted ^ partition->reader.wanted_at_begin;
    if (changed != 0 && assignment != NULL) {
        if ((changed & WANTED_LOSSES) != 0) {
            group_leave(memory, partition);
            intake->ops->lost(intake, assignment);
        } else if (partition->reader.state == MEMORY_OURS) {
            sweep_end(memory, partition);
            partition->reader.state = MEMORY_REVOKING;
            intake->ops->revoke(intake, assignment);
        }
    }
    if (partition->reader.state == MEMORY_AWAY)
        group_due(memory, partition);
}

/* ---- commits ----------------------------------------------------------------------------- */

void group_commit_answer(struct memory_source *memory)
{
    struct klane_intake *intake = memory->reader.intake;

    if (!memory->reader.commit_due)
        return;
    memory->reader.commit_due = false;
    intake->ops->committed(intake, memory->reader.commit_err);
}

/* Whether this commit has to fail, and how; KLANE_OK: not. */
static klane_err_t commit_fails(struct memory_source *memory)
{
    /* Relaxed: one word, which orders nothing else. */
    uint64_t was = atomic_load_explicit(&memory->commits_to_fail, memory_order_relaxed);

    do {
        if (was >> MEMORY_FAIL_SHIFT == 0)
            return KLANE_OK;
        /* Relaxed: as above. */
    } while (!atomic_compare_exchange_weak_explicit(&memory->commits_to_fail, &was,
                                                    was - (UINT64_C(1) << MEMORY_FAIL_SHIFT),
                                                    memory_order_relaxed, memory_order_relaxed));
    return (klane_err_t)(was & ((1 << MEMORY_FAIL_SHIFT) - 1));
}

/* False: no memory; what was there stays. */
static bool keep_metadata(struct memory_partition *partition, const struct source_commit *commit)
{
    char *metadata = partition->reader.metadata;

    if (commit->metadata_size > partition->reader.metadata_capacity) {
        metadata = realloc(metadata, commit->metadata_size);
        if (metadata == NULL)
            return false;
        partition->reader.metadata = metadata;
        partition->reader.metadata_capacity = commit->metadata_size;
    }
    if (commit->metadata_size > 0)
        memcpy(metadata, commit->metadata, commit->metadata_size);
    partition->reader.metadata_size = commit->metadata_size;
    return true;
}

static klane_err_t partition_commit(struct memory_source *memory,
                                    struct memory_partition *partition,
                                    const struct source_commit *commit)
{
    KLANE_ASSERT(commit->offset <= partition->reader.cursor.offset);
    /* Relaxed: this thread writes it. */
    if (commit->offset < atomic_load_explicit(&partition->committed, memory_order_relaxed))
        return KLANE_OK;
    if (!keep_metadata(partition, commit))
        return KLANE_ERR_NOMEM;
    /* E4 release: pairs with klane_memory_committed(). */
    atomic_store_explicit(&partition->committed, commit->offset, memory_order_release);
    chunks_release(&partition->chunks, &memory->pool, &partition->reader.cursor,
                   partition->reader.sweeps ? &partition->reader.sweep : NULL, commit->offset);
    return KLANE_OK;
}

void group_commit(struct klane_source *source, const struct source_commit *commits, size_t count)
{
    struct memory_source *memory = memory_of(source);
    klane_err_t err = commit_fails(memory);

    KLANE_ASSERT(!memory->reader.commit_due);
    if (err == KLANE_ERR_TIMEOUT)
        return;
    for (size_t i = 0; i < count && err == KLANE_OK; i++) {
        struct memory_partition *partition = commits[i].own;

        if (partition->reader.assignment == commits[i].assignment)
            err = partition_commit(memory, partition, &commits[i]);
    }
    memory->reader.commit_err = err;
    memory->reader.commit_due = true;
    doorbell_ring(&memory->doorbell);
}
