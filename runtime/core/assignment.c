/* SPDX-License-Identifier: Apache-2.0 */
#include "core/assignment.h"

#include "base/assert.h"

void assignment_init(struct klane_assignment *assignment, struct partition *partition,
                     uint32_t epoch, int64_t begin, void *own)
{
    *assignment = (struct klane_assignment){
        .partition = partition,
        .own = own,
        .epoch = epoch,
        .committed = begin,
        .progress = {.ceiling = begin},
        .map = {.mark = {.ceiling = begin}},
        .committing = -1,
        .end = -1,
        .behind = true,
    };
    /* Relaxed: no worker knows it yet. */
    atomic_init(&assignment->state, ASSIGNMENT_ACTIVE);
    offsets_init(&assignment->offsets, begin);
    heap_init(&assignment->parking.parked);
    heap_init(&assignment->parking.fit);
}

void assignment_deinit(struct klane_assignment *assignment)
{
    KLANE_ASSERT(assignment->slots == 0);
    progress_text_free(&assignment->map);
    offsets_deinit(&assignment->offsets);
}

void assignment_move(struct klane_assignment *assignment, enum assignment_state to)
{
    enum assignment_state from = assignment_state(assignment);

    KLANE_ASSERT(to == from + 1 || to == ASSIGNMENT_ENDED);
    KLANE_ASSERT(from != ASSIGNMENT_ENDED);
    if (to >= ASSIGNMENT_SETTLING && from < ASSIGNMENT_SETTLING) {
        assignment->base_final = assignment_base(assignment);
        /* What is still out has no say from here on; its lanes forget their heap places. */
        offsets_deinit(&assignment->offsets);
    }
    /* A1 release: pairs with assignment_may_start(). */
    atomic_store_explicit(&assignment->state, (uint8_t)to, memory_order_release);
}

int64_t assignment_base(const struct klane_assignment *assignment)
{
    const struct heap *parked = &assignment->parking.parked;
    int64_t base;

    if (assignment_state(assignment) >= ASSIGNMENT_SETTLING)
        return assignment->base_final;
    base = offsets_base(&assignment->offsets);
    if (parked->count > 0 && parked->entries[0].value < base)
        base = parked->entries[0].value;
    return base;
}
