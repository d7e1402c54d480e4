/* SPDX-License-Identifier: Apache-2.0 */
/* A look at a log that was not closed, before anything is built on it.
 *
 * Upholds: a log that a crash has left damaged is refused when it is opened, and not when some
 * record is read or, worse, appended to. A write-ahead log that is not empty tells of a crash, or
 * of another process that has the log open, for which the look is cheap enough. */
#ifndef KLANE_SOURCE_SQLITE_CHECK_H
#define KLANE_SOURCE_SQLITE_CHECK_H

#include "source/sqlite/database.h"

/* Of files up to this size all records are looked at: that takes a tenth of a second at most. Of
 * larger ones what is not records, and where each partition ends. */
#define CHECK_WHOLE_BYTES ((int64_t)64 << 20)

enum check_depth { CHECK_ENDS, CHECK_WHOLE };

/* Looks, if the log was not closed. KLANE_ERR_CORRUPT: it is damaged; database->text says how. */
klane_err_t check_if_left(struct database *database, enum check_depth depth);

#endif
