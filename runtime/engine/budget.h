/* SPDX-License-Identifier: Apache-2.0 */
/* How the budget is shared out. Upholds: the parts together are the budget, or it is refused.
 *
 *   fixed     what the source reads ahead, and what is made at klane_create(), at its largest
 *   reserve   for a record that the source cannot give back
 *   records   slots, lanes, parked lanes, and what an assignment has
 *   weights   of what runs, if a topic's records have any: seven eighths of what is not fixed */
#ifndef KLANE_ENGINE_BUDGET_H
#define KLANE_ENGINE_BUDGET_H

#include "source/source.h"

#include <klane/klane.h>

struct budget {
    uint64_t fixed;
    uint64_t reserve;
    uint64_t records;
    uint64_t weights; /* 0: no records have any */
};

/* INVALID: it is too small, and errstr says what is needed. */
klane_err_t budget_share(const struct klane_options *options, const struct source_needs *needs,
                         bool has_weights, struct budget *budget, char *errstr,
                         size_t errstr_size);

#endif
