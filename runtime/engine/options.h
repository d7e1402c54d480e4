/* SPDX-License-Identifier: Apache-2.0 */
/* What the program asked for, checked. */
#ifndef KLANE_ENGINE_OPTIONS_H
#define KLANE_ENGINE_OPTIONS_H

#include <klane/klane.h>

/* Checked options with every default settled. given NULL: the defaults. */
klane_err_t options_take(struct klane_options *options, const struct klane_options *given,
                         char *errstr, size_t errstr_size);

/* How many processors this process may use. */
uint32_t options_processors(void);

#endif
