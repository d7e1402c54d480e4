/* SPDX-License-Identifier: Apache-2.0 */
/* Batches: what a worker keeps of the one that it runs, and who else meets them. */
#ifndef KLANE_ENGINE_BATCH_H
#define KLANE_ENGINE_BATCH_H

#include "core/slot.h"

struct worker;

/* One record of a batch. */
struct batch_entry {
    struct klane_slot *slot;
    bool is_first; /* of its lane in the batch */
};

/* Grows to the largest batch that there was. A batch of one needs no memory. */
struct batch_space {
    struct klane_record *records; /* as the function sees them */
    struct batch_entry *entries;
    uint32_t count;
    uint32_t capacity;
    bool asks; /* what comes next in its lanes is control's to say */
    struct klane_record only_record;
    struct batch_entry only_entry;
};

void batch_space_init(struct batch_space *space);
void batch_space_free(struct batch_space *space);

/* The same as run_single() for a slot whose route has batches, which may be the first of one. */
struct klane_slot *run_batch(struct worker *worker, struct klane_slot *slot, uint32_t in_row);
/* A slot from the ring, which may be the first of a batch: only it is wanted, and control has the
 * others again. */
void batch_give_up(struct klane_runtime *runtime, struct klane_slot *slot);
/* Control: what of it stays, as a batch; NULL: nothing. The rest is reported, to be asked for. */
typedef bool (*batch_stays_fn)(const struct klane_runtime *runtime,
                               const struct klane_slot *slot);
struct klane_slot *batch_filter(struct klane_runtime *runtime, struct klane_slot *slot,
                                batch_stays_fn stays);

#endif
