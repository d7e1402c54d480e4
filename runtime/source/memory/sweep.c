/* SPDX-License-Identifier: Apache-2.0 */
/* Passes: a range of the log is read again, beside the main flow.
 *
 * Upholds: a pass brings every record from its begin on, in offset order, and no partition's pass
 * waits for another's. Owner: the control thread. What a pass stands on is not given back:
 * chunks_release() spares it. */
#include "source/memory/reader.h"

#include "base/assert.h"

void sweep_begin(struct klane_source *source, void *own, int64_t offset)
{
    struct memory_source *memory = memory_of(source);
    struct memory_partition *partition = own;

    KLANE_ASSERT(!partition->reader.sweeps);
    partition->reader.sweeps = true;
    chunks_seek(&partition->chunks, &partition->reader.sweep, offset);
    TAILQ_INSERT_TAIL(&memory->reader.sweeps, partition, reader.sweep_link);
}

void sweep_end(struct memory_source *memory, struct memory_partition *partition)
{
    if (!partition->reader.sweeps)
        return;
    partition->reader.sweeps = false;
    TAILQ_REMOVE(&memory->reader.sweeps, partition, reader.sweep_link);
}

/* The partition's pass brings at most records_max. */
static size_t bring(struct memory_source *memory, struct memory_partition *partition,
                    size_t records_max)
{
    struct klane_intake *intake = memory->reader.intake;
    struct klane_assignment *assignment = partition->reader.assignment;
    struct chunk_cursor *cursor = &partition->reader.sweep;
    int64_t end = chunks_end(&partition->chunks);
    struct source_record record;
    size_t brought = 0;

    for (; brought < records_max && cursor->offset < end; brought++) {
        chunks_peek(&partition->chunks, cursor, &record);
        chunks_step(cursor);
        intake->ops->swept(intake, assignment, &record);
    }
    if (intake->ops->swept_to(intake, assignment, cursor->offset))
        sweep_end(memory, partition);
    return brought;
}

size_t sweep_poll(struct klane_source *source, size_t records_max)
{
    struct memory_source *memory = memory_of(source);
    struct memory_partition *partition = TAILQ_FIRST(&memory->reader.sweeps);
    size_t brought;

    if (partition == NULL)
        return 0;
    brought = bring(memory, partition, records_max);
    /* The next has its turn. */
    if (partition->reader.sweeps) {
        TAILQ_REMOVE(&memory->reader.sweeps, partition, reader.sweep_link);
        TAILQ_INSERT_TAIL(&memory->reader.sweeps, partition, reader.sweep_link);
    }
    return brought;
}
