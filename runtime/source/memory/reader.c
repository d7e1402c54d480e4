/* SPDX-License-Identifier: Apache-2.0 */
/* The memory source as control reads it: records, and the operations.
 *
 * Upholds: records of an assignment are offered in order from its begin; nothing is offered
 * once it is held, revoked, lost or closed. Owner: the control thread. It takes no lock, makes
 * no call that waits, and frees no record before destroy().
 *
 * Edges: E1 and E5 of source/memory/memory.h. */
#include "source/memory/reader.h"

#include "base/assert.h"
#include "base/errstr.h"

#include <stdlib.h>

/* Records of one partition in a row, so that none waits long for the others. */
#define RUN_RECORDS 256

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void ready_push(struct memory_source *memory, struct memory_partition *partition)
{
    struct memory_queue *queue = &memory->reader.ready;

    if (partition->reader.ready)
        return;
    partition->reader.ready = true;
    partition->reader.ready_next = NULL;
    if (queue->head == NULL)
        queue->head = partition;
    else
        queue->tail->reader.ready_next = partition;
    queue->tail = partition;
}

static struct memory_partition *ready_pop(struct memory_source *memory)
{
    struct memory_partition *partition = memory->reader.ready.head;

    if (partition == NULL)
        return NULL;
    memory->reader.ready.head = partition->reader.ready_next;
    partition->reader.ready = false;
    return partition;
}

/* ---- mail -------------------------------------------------------------------------------- */

void reader_announcement_clear(struct memory_announcement *announcement)
{
    /* E1 acquire-release: the news of those who found it set. Pairs with memory_announce(). */
    (void)atomic_exchange_explicit(&announcement->out, false, memory_order_acq_rel);
}

void reader_mail_take(struct memory_partition *partition)
{
    /* E1 acquire-release: as reader_announcement_clear(). */
    if (!partition->reader.has_mail)
        partition->reader.has_mail =
            !atomic_exchange_explicit(&partition->records.out, true, memory_order_acq_rel);
}

static bool is_readable(const struct memory_partition *partition)
{
    return partition->reader.state == MEMORY_OURS && !partition->reader.held;
}

void reader_settle(struct memory_source *memory, struct memory_partition *partition)
{
    int64_t end = chunks_end(&partition->chunks);

    if (!is_readable(partition))
        return; /* with its mail, until it is readable again */
    if (partition->reader.cursor.offset >= end) {
        partition->reader.has_mail = false;
        reader_announcement_clear(&partition->records);
        /* What came before that was not announced again: look once more. */
        end = chunks_end(&partition->chunks);
        if (partition->reader.cursor.offset < end) {
            KLANE_MARK("memory: a record came while the reader went away");
            reader_mail_take(partition);
        }
    }
    if (partition->reader.cursor.offset < end) {
        if (partition->reader.has_mail)
            ready_push(memory, partition);
        return;
    }
    if (partition->reader.end_told != end) {
        partition->reader.end_told = end;
        memory->reader.intake->ops->end(memory->reader.intake, partition->reader.assignment, end);
    }
}

/* ---- poll -------------------------------------------------------------------------------- */

static struct memory_partition *partition_at(struct mail *mail, size_t mail_offset)
{
    return (struct memory_partition *)(void *)((char *)mail - mail_offset);
}

static void announced_collect(struct memory_source *memory)
{
    struct mail *mail = mailbox_collect(&memory->announced_records);

    while (mail != NULL) {
        struct memory_partition *partition =
            partition_at(mail, offsetof(struct memory_partition, records.mail));

        mail = mailbox_next(mail);
        partition->reader.has_mail = true;
        if (is_readable(partition))
            ready_push(memory, partition);
    }
    mail = mailbox_collect(&memory->announced_group);
    while (mail != NULL) {
        struct memory_partition *partition =
            partition_at(mail, offsetof(struct memory_partition, group.mail));

        mail = mailbox_next(mail);
        group_obey(memory, partition);
    }
}

/* At most records_max records of one partition. */
static size_t run_read(struct memory_source *memory, struct memory_partition *partition,
                       size_t records_max, bool *refused)
{
    struct klane_intake *intake = memory->reader.intake;
    struct chunk_cursor *cursor = &partition->reader.cursor;
    int64_t end = chunks_end(&partition->chunks);
    struct source_record record;
    size_t taken = 0;

    /* The intake may hold the partition in the middle. */
    while (taken < records_max && cursor->offset < end && is_readable(partition)) {
        chunks_peek(&partition->chunks, cursor, &record);
        if (!intake->ops->record(intake, partition->reader.assignment, &record)) {
            *refused = true;
            break;
        }
        chunks_step(cursor);
        taken++;
    }
    return taken;
}

static size_t ready_read(struct memory_source *memory, size_t records_max, bool *refused)
{
    size_t taken = 0;

    while (taken < records_max && !*refused) {
        struct memory_partition *partition = ready_pop(memory);

        if (partition == NULL)
            break;
        taken += run_read(memory, partition, min_size(records_max - taken, RUN_RECORDS), refused);
        /* Behind the others, also after a refusal: a smaller record may find memory. */
        reader_settle(memory, partition);
    }
    return taken;
}

static void reader_close(struct memory_source *memory)
{
    struct klane_intake *intake = memory->reader.intake;

    /* E5 release: pairs with wanted_change(). */
    atomic_store_explicit(&memory->running, false, memory_order_release);
    memory->reader.closed = true;
    intake->ops->closed(intake);
}

static size_t reader_poll(struct klane_source *source, size_t records_max)
{
    struct memory_source *memory = memory_of(source);
    bool refused = false;
    size_t taken = 0;

    if (memory->reader.closed)
        return 0;
    do {
        doorbell_disarm(&memory->doorbell);
        group_commit_answer(memory);
        if (memory->reader.closing) {
            reader_close(memory);
            return taken;
        }
        announced_collect(memory);
        group_assign(memory);
        taken += ready_read(memory, records_max - taken, &refused);
    } while (!doorbell_arm(&memory->doorbell));
    return taken;
}

/* ---- the other operations ---------------------------------------------------------------- */

static void topic_read(struct memory_source *memory, struct memory_topic *topic,
                       const struct source_topic *how)
{
    for (int32_t i = 0; i < topic->partition_count; i++) {
        struct memory_partition *partition = &topic->partitions[i];

        partition->reader.read = true;
        partition->reader.begin = (uint8_t)how->begin;
        partition->reader.begin_time_ms = how->begin_time_ms;
        group_due(memory, partition);
    }
}

static klane_err_t reader_start(struct klane_source *source, struct klane_intake *intake,
                                const struct source_topic *topics, size_t count, char *errstr,
                                size_t errstr_size)
{
    struct memory_source *memory = memory_of(source);

    for (size_t i = 0; i < count; i++) {
        if (memory_topic_find(memory, topics[i].name) != NULL)
            continue;
        return errstr_set(KLANE_ERR_NOT_FOUND, errstr, errstr_size,
                          "the log in memory has no topic \"%s\"", topics[i].name);
    }
    memory->reader.intake = intake;
    for (size_t i = 0; i < count; i++)
        topic_read(memory, memory_topic_find(memory, topics[i].name), &topics[i]);
    /* E5 release: which partitions are read. Pairs with wanted_change(). */
    atomic_store_explicit(&memory->running, true, memory_order_release);
    return KLANE_OK;
}

static int reader_descriptor(const struct klane_source *source)
{
    return ((const struct memory_source *)(const void *)source)->doorbell.descriptor;
}

static int64_t reader_due_ms(const struct klane_source *source)
{
    (void)source;
    return INT64_MAX;
}

static void reader_hold(struct klane_source *source, void *own, bool held)
{
    struct memory_source *memory = memory_of(source);
    struct memory_partition *partition = own;

    partition->reader.held = held;
    if (is_readable(partition) && partition->reader.has_mail) {
        ready_push(memory, partition);
        doorbell_ring(&memory->doorbell);
    }
}

static void reader_given_up(struct klane_source *source, void *own)
{
    struct memory_source *memory = memory_of(source);

    group_leave(memory, own);
    group_due(memory, own);
    doorbell_ring(&memory->doorbell);
}

static void reader_request_close(struct klane_source *source)
{
    struct memory_source *memory = memory_of(source);

    memory->reader.closing = true;
    doorbell_ring(&memory->doorbell);
}

const struct klane_source_ops memory_source_ops = {
    .name = "memory",
    .burst = 128,
    .start = reader_start,
    .poll = reader_poll,
    .descriptor = reader_descriptor,
    .due_ms = reader_due_ms,
    .hold = reader_hold,
    .sweep = sweep_begin,
    .poll_sweeps = sweep_poll,
    .commit = group_commit,
    .given_up = reader_given_up,
    .close = reader_request_close,
    .destroy = memory_destroy,
};
