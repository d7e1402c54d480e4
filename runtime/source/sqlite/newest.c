/* SPDX-License-Identifier: Apache-2.0 */
#include "source/sqlite/newest.h"

#include "base/hash.h"

#include <stdlib.h>
#include <sys/random.h>

bool newest_init(struct newest *newest)
{
    newest->count = 0;
    if (getrandom(&newest->seed, sizeof newest->seed, GRND_NONBLOCK) != sizeof newest->seed)
        newest->seed = (uint64_t)(uintptr_t)newest;
    newest->keys = calloc(NEWEST_PLACES, sizeof *newest->keys);
    return newest->keys != NULL;
}

void newest_deinit(struct newest *newest)
{
    free(newest->keys);
    newest->keys = NULL;
}

/* Where the key is, or would be. */
static struct newest_key *find(const struct newest *newest, XXH128_hash_t hash)
{
    size_t place = hash.low64 % NEWEST_PLACES;

    while (newest->keys[place].offset != 0 &&
           (newest->keys[place].low != hash.low64 || newest->keys[place].high != hash.high64))
        place = (place + 1) % NEWEST_PLACES;
    return &newest->keys[place];
}

bool newest_set(struct newest *newest, const void *key, size_t size, int64_t offset)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(key, size, newest->seed);
    struct newest_key *found = find(newest, hash);

    if (found->offset == 0 && newest->count == NEWEST_KEYS_MAX)
        return false;
    newest->count += found->offset == 0;
    *found = (struct newest_key){hash.low64, hash.high64, offset + 1};
    return true;
}

int64_t newest_of(const struct newest *newest, const void *key, size_t size)
{
    return find(newest, XXH3_128bits_withSeed(key, size, newest->seed))->offset - 1;
}
