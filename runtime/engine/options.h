/* SPDX-License-Identifier: Apache-2.0 */
/* Structures that the program fills: read as far as both sides know them. */
#ifndef KLANE_ENGINE_OPTIONS_H
#define KLANE_ENGINE_OPTIONS_H

#include <klane/klane.h>

/* Checked options with every default settled. given NULL: the defaults. */
klane_err_t options_take(struct klane_options *options, const struct klane_options *given,
                         char *errstr, size_t errstr_size);

/* Copy a structure whose first field is its size over one with defaults. False: it was never
 * initialised, or sets what this version does not know. */
bool options_copy(void *target, size_t target_size, const void *given, uint32_t given_size);

/* How many processors this process may use. */
uint32_t options_processors(void);

#endif
