/* SPDX-License-Identifier: Apache-2.0 */
/* The text that a program gets beside an error, in a buffer of its own, which may be NULL. */
#ifndef KLANE_BASE_ERRSTR_H
#define KLANE_BASE_ERRSTR_H

#include <klane/klane.h>

#include <stddef.h>

/* Of klane's own. */
enum { ERRSTR_SIZE = 512 };

/* Nothing is wrong yet. */
void errstr_clear(char *errstr, size_t errstr_size);

/* Says why, and gives err back. */
klane_err_t errstr_set(klane_err_t err, char *errstr, size_t errstr_size, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
