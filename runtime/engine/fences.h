/* SPDX-License-Identifier: Apache-2.0 */
/* Fences: which epochs are open, for those who ask without holding a record of theirs.
 *
 * Upholds: an epoch's number is given out once in the life of the process; an epoch is said to be
 * open only while it is. Each open epoch has a place of its own, so numbers whose place another
 * one still holds are passed over. Control opens and closes; any thread asks. */
#ifndef KLANE_ENGINE_FENCES_H
#define KLANE_ENGINE_FENCES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Epochs that can be open at once: assignments of one runtime. */
#define FENCES_MAX (1U << 16)

struct fences {
    _Atomic uint32_t open[FENCES_MAX]; /* the epoch that holds the place; 0: none */
};

/* NULL: no memory. */
struct fences *fences_create(void);
void fences_destroy(struct fences *fences);

/* A new epoch, open. 0: as many as can be are open. */
uint32_t fences_open(struct fences *fences);

/* Nothing of this epoch counts any more. */
void fences_close(struct fences *fences, uint32_t epoch);

static inline bool fences_is_open(const struct fences *fences, uint32_t epoch)
{
    /* Relaxed: advice to a handler; what counts is fenced by the assignment's state. */
    return atomic_load_explicit(&fences->open[epoch % FENCES_MAX], memory_order_relaxed) == epoch;
}

#endif
