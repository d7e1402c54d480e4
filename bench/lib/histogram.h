/* SPDX-License-Identifier: Apache-2.0 */
/* A histogram of times: exact below 128 ns, then 64 steps for each doubling, so that a value is
 * known to 1.6 percent. One thread. */
#ifndef KLANE_BENCH_LIB_HISTOGRAM_H
#define KLANE_BENCH_LIB_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEPS 64U
#define HISTOGRAM_DOUBLINGS 58U

struct histogram {
    uint64_t total;
    uint64_t most; /* the greatest, exact */
    uint64_t counts[HISTOGRAM_STEPS * (HISTOGRAM_DOUBLINGS + 1)];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/* The least value that at least this share (0 to 1) of all values does not exceed, rounded up to
 * the end of its step, but not past the greatest of all; 0 if there are none. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

#endif
