/* SPDX-License-Identifier: Apache-2.0 */
/* Passes over the embedded log: a range of a partition is read again, beside the main flow.
 *
 * Upholds: a pass brings every record from its begin on, in offset order. One run for all passes:
 * the helper reads it between those of the main flow, which is so never far behind, and the
 * partitions that have a pass take turns, a run each.
 *
 * A pass reads every record of its range. An index on the keys would spare that, but every append
 * would pay for it. */
#include "base/clock.h"
#include "source/sqlite/sqlite.h"

#include <stdlib.h>

enum { AGAIN_MS = 100 /* after a failure */ };

void sqlite_sweep_init(struct sqlite_source *source)
{
    TAILQ_INIT(&source->sweep.partitions);
    source->sweep.run.request.type = READER_SWEEP;
}

void sqlite_sweep_deinit(struct sqlite_source *source)
{
    free(source->sweep.run.bytes);
}

/* What was in it was brought, or nobody wants it any more. */
static void empty_run(struct sqlite_source *source)
{
    struct sqlite_run *run = &source->sweep.run;

    source->sweep.is_filled = false;
    /* A buffer that one large record has needed is not kept. */
    if (run->capacity <= READER_RUN_BYTES)
        return;
    free(run->bytes);
    run->bytes = NULL;
    run->capacity = 0;
}

/* The next partition's turn, if there is one and the run is at hand. */
static void read_next(struct sqlite_source *source)
{
    struct sqlite_run *run = &source->sweep.run;
    struct sqlite_partition *partition = TAILQ_FIRST(&source->sweep.partitions);

    if (partition == NULL || source->sweep.is_out || source->sweep.is_filled ||
        source->is_closing || source->has_failed)
        return;
    if (source->sweep.retry_ms > clock_now_ms()) {
        sqlite_wake_at(source, source->sweep.retry_ms);
        return;
    }
    TAILQ_REMOVE(&source->sweep.partitions, partition, control.sweeping);
    TAILQ_INSERT_TAIL(&source->sweep.partitions, partition, control.sweeping);
    run->partition = partition;
    run->seek = partition->control.swept;
    source->sweep.is_out = true;
    sqlite_send(source, &run->request);
}

void sqlite_sweep_begin(struct klane_source *base, void *own, int64_t offset)
{
    struct sqlite_source *source = sqlite_of(base);
    struct sqlite_partition *partition = own;

    partition->control.is_sweeping = true;
    partition->control.swept = offset;
    TAILQ_INSERT_TAIL(&source->sweep.partitions, partition, control.sweeping);
    read_next(source);
}

void sqlite_sweep_end(struct sqlite_source *source, struct sqlite_partition *partition)
{
    if (!partition->control.is_sweeping)
        return;
    partition->control.is_sweeping = false;
    TAILQ_REMOVE(&source->sweep.partitions, partition, control.sweeping);
    /* One that is out is told apart when it comes: it does not begin where a next pass does. */
    if (source->sweep.run.partition == partition && source->sweep.is_filled)
        empty_run(source);
}

void sqlite_sweep_came(struct sqlite_source *source)
{
    struct sqlite_run *run = &source->sweep.run;
    struct sqlite_partition *partition = run->partition;

    source->sweep.is_out = false;
    if (!partition->control.is_sweeping || run->seek != partition->control.swept)
        return;
    source->sweep.is_filled = run->request.err == KLANE_OK;
    if (source->sweep.is_filled)
        return;
    source->sweep.retry_ms = clock_now_ms() + AGAIN_MS;
    source->intake->ops->error(source->intake, run->request.err, partition->found.topic->name,
                               partition->found.number, run->request.text);
}

size_t sqlite_sweep_poll(struct klane_source *base, size_t records_max)
{
    struct sqlite_source *source = sqlite_of(base);
    struct sqlite_run *run = &source->sweep.run;
    struct sqlite_partition *partition = run->partition;
    struct klane_intake *intake = source->intake;
    struct source_record record;
    size_t brought = 0;

    if (source->sweep.is_filled) {
        while (brought < records_max && sqlite_run_next(run, &record)) {
            intake->ops->swept(intake, partition->control.assignment, &record);
            partition->control.swept = record.offset + 1;
            brought++;
        }
        if (run->offered == run->used) {
            partition->control.swept = run->next;
            empty_run(source);
        }
        if (intake->ops->swept_to(intake, partition->control.assignment,
                                  partition->control.swept))
            sqlite_sweep_end(source, partition);
        else if (!source->sweep.is_filled && run->end >= 0)
            /* The log ends before the pass does: it was cut. */
            source->sweep.retry_ms = clock_now_ms() + AGAIN_MS;
    }
    read_next(source);
    return brought;
}
