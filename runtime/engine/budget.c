/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/budget.h"

#include "base/errstr.h"
#include "base/slab.h"
#include "core/core.h"
#include "core/progress_map.h"
#include "engine/engine.h"

#include <inttypes.h>

/* A chunk for blocks of each size, so that no size can keep another out for ever. */
#define RECORDS_LEAST ((uint64_t)SLAB_CLASSES * SLAB_CHUNK_BYTES)

/* A record in memory has, beside its slot and lane: a due time, a token and its place among the
 * free ones, a bucket in each of two tables. */
#define RECORD_PLACES                                                                            \
    (sizeof(struct heap_entry) + sizeof(struct tokens_entry) + 8 +                               \
     2 * sizeof(struct table_node *))

static uint64_t fixed_bytes(const struct klane_options *options, const struct source_needs *needs)
{
    uint64_t maps = options->map_size * (1 + sizeof(struct progress_lane)) + COMMIT_MAPS_BYTES;

    return needs->buffer_bytes + options->records_max * RECORD_PLACES +
           options->workers_max * (sizeof(struct worker) + 4 * sizeof(void *)) + maps +
           SLAB_EMPTY_KEPT * SLAB_CHUNK_BYTES;
}

klane_err_t budget_share(const struct klane_options *options, const struct source_needs *needs,
                         bool has_weights, struct budget *budget, char *errstr,
                         size_t errstr_size)
{
    uint64_t least = 2 * needs->record_bytes, ahead, taken, rest, needed;

    if (least < RECORDS_LEAST)
        least = RECORDS_LEAST;
    budget->fixed = fixed_bytes(options, needs);
    budget->reserve = needs->record_bytes;
    taken = budget->fixed + budget->reserve;
    needed = taken + least * (has_weights ? 2 : 1);
    if (options->budget_bytes < needed) {
        ahead = needs->buffer_bytes + budget->reserve;
        return errstr_set(
            KLANE_ERR_INVALID, errstr, errstr_size,
            "budget_bytes is %" PRIu64 ", must be at least %" PRIu64 ": %" PRIu64
            " for what the source reads ahead, %" PRIu64
            " for bookkeeping (records_max is %" PRIu32 "), and %" PRIu64 " for records%s",
            options->budget_bytes, needed, ahead, taken - ahead, options->records_max,
            needed - taken, has_weights ? " and their weights" : "");
    }
    rest = options->budget_bytes - taken;
    budget->records = rest;
    if (has_weights)
        budget->records = rest / 8 > least ? rest / 8 : least;
    budget->weights = rest - budget->records;
    return KLANE_OK;
}
