/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of the file path-locks, which nobody reads or writes: whoever holds one has a part to play
 * (he loses it when his process ends).
 *
 * Upholds: a byte has one holder. The locks are of the kind that belongs to the open file and not
 * to the process (F_OFD_SETLK), so that two parts of one process exclude each other, too. They
 * are not on the log itself, as to close that would drop SQLite's. A child of fork() that has
 * not called exec holds them on. */
#ifndef KLANE_SOURCE_SQLITE_LOCKS_H
#define KLANE_SOURCE_SQLITE_LOCKS_H

#include "source/sqlite/database.h"

/* Of a byte's place, 62 bits are the groups' (source/sqlite/group.c). */
#define LOCKS_CLEANER ((int64_t)1 << 62)

/* The descriptor; -1: database->text says why not, and *err what it is. */
int locks_open(struct database *database, klane_err_t *err);

/* -1 is allowed. */
void locks_close(int locks);

/* False: somebody else holds it, or errno says why. Never waits. */
bool locks_take(int locks, int64_t byte);
void locks_leave(int locks, int64_t byte);

/* The first of count bytes that somebody else holds, -1: none. False: errno says why. */
bool locks_find(int locks, int64_t byte, int64_t count, int64_t *found);

#endif
