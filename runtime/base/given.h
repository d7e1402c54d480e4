/* SPDX-License-Identifier: Apache-2.0 */
/* What the program gives, and what it is answered. Structures that it fills begin with their size;
 * they and those that it gets are read and written only as far as both sides know them. */
#ifndef KLANE_BASE_GIVEN_H
#define KLANE_BASE_GIVEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fill the program's structure with defaults, as far as its size reaches. */
void given_init(void *target, size_t target_size, const void *defaults, size_t defaults_size);

/* No structure of the program's will ever be larger: a size that is one says that the structure
 * was never initialised. */
enum { GIVEN_SIZE_MAX = 4096 };

/* Copy a structure whose first field is its size over one with defaults. False: it was never
 * initialised, or sets what this version does not know. */
bool given_copy(void *target, size_t target_size, const void *given);

/* Fill the program's structure with an answer. */
void given_answer(void *target, size_t target_size, const void *answer, size_t answer_size);

/* A number that has to be from low to high. */
struct given_bound {
    const char *name;
    int64_t value, low, high;
};

/* The first that is not; NULL: all are. */
const struct given_bound *given_outside(const struct given_bound *bounds, size_t count);

/* Kafka's limit for topics, kept by every source, and for groups too. Bytes. */
#define GIVEN_NAME_MAX 249

/* Whether a topic or group may have this name: no spaces and no control characters. NULL: no. */
bool given_name_is_valid(const char *name);

#endif
