/* SPDX-License-Identifier: Apache-2.0 */
/* Records of any kind in the order of their offsets, which each begins with. */
#ifndef KLANE_TESTS_SIM_BY_OFFSET_H
#define KLANE_TESTS_SIM_BY_OFFSET_H

#include <stddef.h>
#include <stdint.h>

static inline int64_t offset_at(const void *records, size_t size, uint32_t index)
{
    return *(const int64_t *)(const void *)((const char *)records + size * index);
}

/* Index of the first of count records, of so many bytes each, at or above offset. */
static inline uint32_t index_by_offset(const void *records, uint32_t count, size_t size,
                                       int64_t offset)
{
    uint32_t low = 0, high = count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (offset_at(records, size, middle) < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

#endif
