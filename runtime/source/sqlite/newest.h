/* SPDX-License-Identifier: Apache-2.0 */
/* For compaction: the newest offset of each key in a part of a partition.
 *
 * Upholds: a key's offset only rises. Keys are told apart by 128 bits of their hash, so two are
 * taken for one less often than a disk forges a record. Of a fixed size: when it is full a pass
 * goes no further. */
#ifndef KLANE_SOURCE_SQLITE_NEWEST_H
#define KLANE_SOURCE_SQLITE_NEWEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NEWEST_PLACES = 1 << 17, NEWEST_KEYS_MAX = NEWEST_PLACES / 4 * 3 };

struct newest_key {
    uint64_t low;
    uint64_t high;
    int64_t offset; /* plus one; 0: the place is free */
};

#define NEWEST_BYTES (NEWEST_PLACES * sizeof(struct newest_key))

struct newest {
    struct newest_key *keys; /* open addressing, linear */
    size_t count;
    uint64_t seed; /* so that nobody outside can choose keys that collide */
};

/* False: no memory. */
bool newest_init(struct newest *newest);
void newest_deinit(struct newest *newest);

/* False: it is full, and the key is not in it. */
bool newest_set(struct newest *newest, const void *key, size_t size, int64_t offset);

/* -1: the key is not in it. */
int64_t newest_of(const struct newest *newest, const void *key, size_t size);

#endif
