/* SPDX-License-Identifier: Apache-2.0 */
/* The results as JSON: a list of objects, one for each metric of each arm of each case; and one
 * for each arm that was left out, with the reason. An arm's series, if it has any, are in each of
 * its objects, as its settings are. */
#ifndef KLANE_BENCH_LIB_RESULTS_H
#define KLANE_BENCH_LIB_RESULTS_H

#include "lib/harness.h"

struct results;

/* options: as the program was called, but for the choice of cases and the folder. */
struct results *results_create(const char *options, bool quick);

void results_add(struct results *results, const struct bench_case *benchmark, uint32_t rounds,
                 const struct bench_outcome *outcome);

/* False: it could not be written. */
bool results_write(const struct results *results, const char *path);

void results_destroy(struct results *results);

#endif
