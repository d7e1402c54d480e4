/* SPDX-License-Identifier: Apache-2.0 */
/* The thread of a source that cleans its log in the background.
 *
 * Upholds: what the log's rules let go of goes while somebody consumes, without anybody asking,
 * and without the helper or control waiting for it. Made and ended by the helper. */
#ifndef KLANE_SOURCE_SQLITE_CLEANING_H
#define KLANE_SOURCE_SQLITE_CLEANING_H

#include "source/sqlite/database.h"

struct cleaning;

/* path is copied. NULL: errno says why. */
struct cleaning *cleaning_start(const char *path);

/* Waits for the step that is under way. NULL is allowed. */
void cleaning_stop(struct cleaning *cleaning);

/* What went wrong since it was last asked, once a second at most; KLANE_OK: nothing. */
klane_err_t cleaning_error(struct cleaning *cleaning, char text[DATABASE_TEXT_SIZE]);

#endif
