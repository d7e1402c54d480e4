/* SPDX-License-Identifier: Apache-2.0 */
/* A disk under SQLite whose power can be cut, and whose operations can be made to fail.
 *
 * A layer over SQLite's own files (a VFS), which passes everything on, so that what runs sees what
 * it has written. Beside that it knows of each database and journal what is on the disk for sure:
 * what was written before the last sync. When the power is cut nothing is written any more, and
 * disk_restore() makes the files what a disk may have kept: of what was not synced, each sector of
 * each write by chance, some torn, so that later ones may be there without earlier ones; of files
 * that were made or deleted, either.
 *
 * Upholds: what was synced stays. One thread; one disk in a process. */
#ifndef KLANE_TESTS_LIB_DISK_H
#define KLANE_TESTS_LIB_DISK_H

#include <stdbool.h>
#include <stdint.h>

/* What can be counted, and made to fail. */
enum disk_operation {
    DISK_WRITE, /* and truncate */
    DISK_SYNC,
    DISK_OTHER, /* open, delete, read, size, shared memory */
    DISK_OPERATIONS
};

/* Puts the layer over SQLite's default. Once in a process, before anything is opened. */
void disk_install(void);

/* Cuts the power within the count-th write, truncate, sync or delete from now on; 0: never. */
void disk_cut_after(uint64_t count);

bool disk_is_cut(void);

/* The power is back; all connections must be closed. *random: its state. */
void disk_restore(uint64_t *random);

/* Everything is on the disk, and nothing is known of files any more: they may be deleted. */
void disk_forget(void);

/* Makes the count-th operation of this kind from now on fail with this code of SQLite's, and all
 * behind it, if for_ever. 0: none. */
void disk_fail(enum disk_operation operation, uint64_t count, int code, bool for_ever);

/* Whether disk_fail()'s operation has come. */
bool disk_has_failed(void);

#endif
