/* SPDX-License-Identifier: Apache-2.0 */
/* Structures that the program fills, each beginning with its size: read and written only as far
 * as both sides know them. */
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

#endif
