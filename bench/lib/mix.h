/* SPDX-License-Identifier: Apache-2.0 */
/* Records of several groups of keys in one row: first one of each key of group 0, then those of
 * all groups, drawn so that each group is spread evenly. */
#ifndef KLANE_BENCH_LIB_MIX_H
#define KLANE_BENCH_LIB_MIX_H

#include <stdint.h>

enum { MIX_GROUPS_MAX = 3 };

/* Keys first to first + keys - 1, drawn uniformly. */
struct mix_group {
    uint64_t first;
    uint64_t keys;
    uint64_t records; /* in all, besides those that the row begins with */
};

struct mix {
    struct mix_group groups[MIX_GROUPS_MAX]; /* records: how many are left */
    uint64_t begun;                          /* of group 0 */
    uint64_t state;                          /* of the generator: any */
};

/* How many records the row has. */
uint64_t mix_records(const struct mix *mix);

/* The number of the next one's key; context: the mix. */
uint64_t mix_next(void *context);

#endif
