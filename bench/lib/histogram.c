/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/histogram.h"

/* Values of 7 bits and less are their own index. Of longer ones the leading 7 bits count, the
 * first of which is always set: 64 steps for each further bit of length. */
static uint32_t index_of(uint64_t value)
{
    uint32_t shift;

    if (value < 2 * HISTOGRAM_STEPS)
        return (uint32_t)value;
    shift = 57U - (uint32_t)__builtin_clzll(value);
    return shift * HISTOGRAM_STEPS + (uint32_t)(value >> shift);
}

/* The greatest value of this index. */
static uint64_t value_at(uint32_t index)
{
    uint32_t shift;

    if (index < 2 * HISTOGRAM_STEPS)
        return index;
    shift = index / HISTOGRAM_STEPS - 1;
    return ((uint64_t)(index - shift * HISTOGRAM_STEPS + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->counts[index_of(value)]++;
    histogram->total++;
    if (value > histogram->most)
        histogram->most = value;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
    uint64_t seen = 0;

    for (uint32_t i = 0; i < HISTOGRAM_STEPS * (HISTOGRAM_DOUBLINGS + 1); i++) {
        seen += histogram->counts[i];
        if (seen > 0 && (double)seen >= share * (double)histogram->total)
            return value_at(i) < histogram->most ? value_at(i) : histogram->most;
    }
    return 0;
}
