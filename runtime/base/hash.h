/* SPDX-License-Identifier: Apache-2.0 */
/* One hash for all keys: XXH3 with a seed, so that nobody outside can choose keys that collide. */
#ifndef KLANE_BASE_HASH_H
#define KLANE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static inline uint64_t hash_bytes(const void *bytes, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, size, seed);
}

#endif
