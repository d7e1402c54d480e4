/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fences.h"

#include <stdlib.h>

/* Of the whole process: two runtimes never share an epoch. */
static _Atomic uint32_t last_epoch;

struct fences *fences_create(void)
{
    return calloc(1, sizeof(struct fences));
}

void fences_destroy(struct fences *fences)
{
    free(fences);
}

uint32_t fences_open(struct fences *fences)
{
    for (uint32_t tries = 0; tries < FENCES_MAX; tries++) {
        /* Relaxed: the number only has to be unique. */
        uint32_t epoch = atomic_fetch_add_explicit(&last_epoch, 1, memory_order_relaxed) + 1;
        _Atomic uint32_t *place = &fences->open[epoch % FENCES_MAX];

        /* Relaxed: only control writes places. */
        if (epoch == 0 || atomic_load_explicit(place, memory_order_relaxed) != 0)
            continue;
        atomic_store_explicit(place, epoch, memory_order_relaxed);
        return epoch;
    }
    return 0;
}

void fences_close(struct fences *fences, uint32_t epoch)
{
    /* Relaxed, both: advice, as in fences_is_open(). Closed before: another may hold the place. */
    if (fences_is_open(fences, epoch))
        atomic_store_explicit(&fences->open[epoch % FENCES_MAX], 0, memory_order_relaxed);
}
