/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What the user sees: lines of a name and a text, and on a terminal a bar below them that moves.
 * Where the output goes into a pipe or a file there are only the lines.
 */
#ifndef KLANE_QUICKSTART_SCREEN_H
#define KLANE_QUICKSTART_SCREEN_H

#include <stdint.h>

/** Room for a number with its commas. */
#define GROUPED_SIZE 27

/** Print one line; it stays. */
void screen_line(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Draw the bar anew, at most some times a second. total 0: not known yet. */
void screen_bar(const char *what, uint64_t done, uint64_t total);

/** Take the bar away. */
void screen_clear(void);

/** Write 1234567 as 1,234,567. Returns out. */
const char *grouped(uint64_t number, char out[GROUPED_SIZE]);

/** Milliseconds of a clock that only goes forward. */
uint64_t clock_ms(void);

#endif
