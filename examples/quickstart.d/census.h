/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Which keys the log has and how often, counted while it is fed.
 */
#ifndef KLANE_QUICKSTART_CENSUS_H
#define KLANE_QUICKSTART_CENSUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct census;

/** NULL on an error. */
struct census *census_create(void);
void census_destroy(struct census *census);

/** Count one record of a key. */
bool census_add(struct census *census, const void *key, size_t key_size);

/** The number of keys, and how many records the busiest of them has. */
bool census_take(struct census *census, uint64_t *keys, uint64_t *busiest);

#endif
