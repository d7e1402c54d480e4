/* SPDX-License-Identifier: Apache-2.0 */
/* The file of an embedded log: how it is made, opened and checked, and what its errors mean.
 *
 * Upholds: a file that is not a log, is damaged, or is of a newer version is refused and left as
 * it is; what was committed is on the disk. A connection belongs to one thread at a time.
 *
 *   klane_topics      a topic, its number of partitions, and what is to be kept of it
 *   klane_partitions  a partition: its next offset; first, below which records were let go of;
 *                     bytes, of its keys, values and headers; compacted, below which each key has
 *                     one record, compacted_records of them
 *   klane_records     the records; id = partition's id << 40 | offset, so that one partition is
 *                     one range of the table, read in sequence and appended to at its right edge
 *   klane_groups      a group's name, and how often a process has joined it
 *   klane_offsets     what a group has committed in a partition, with its metadata
 *
 * Version 1 had no metadata, version 2 no generations and nothing for what is to be kept; a log
 * gets them when it is opened.
 *
 * A file of klane's alone has its application_id, and the version as user_version. In a file that
 * a connection of the program's has used both are the program's, and the version stands in a
 * table, klane_log. */
#ifndef KLANE_SOURCE_SQLITE_DATABASE_H
#define KLANE_SOURCE_SQLITE_DATABASE_H

#include <klane/klane.h>

#include <sqlite3.h>
#include <stdbool.h>
#include <sys/types.h>

enum {
    DATABASE_APPLICATION_ID = 0x6b6c616e, /* "klan" */
    DATABASE_VERSION = 3,
    DATABASE_OFFSET_BITS = 40,
    DATABASE_PARTITION_IDS_MAX = 1 << (63 - DATABASE_OFFSET_BITS),
    DATABASE_PARTITIONS_MAX = 4096, /* of one topic */
    DATABASE_TEXT_SIZE = 512        /* enough for a path, cut if need be, and what is wrong */
};

/* What SQLite may keep of the file, for a connection. */
#define DATABASE_CACHE_BYTES ((uint64_t)8 << 20)

#define DATABASE_OFFSETS_MAX ((int64_t)1 << DATABASE_OFFSET_BITS)

struct database {
    sqlite3 *handle;
    char *path; /* absolute */
    dev_t device;
    ino_t inode;
    uint32_t busy_ms;      /* how long it waits for other processes */
    int64_t busy_since_ms; /* while it does */
    bool is_borrowed;      /* the handle is the program's */
    bool has_journal;      /* when it was opened: others have it open, or a crash has left it */
    bool is_guest;         /* the file is, or may be, the program's: klane_log has the version */
    char text[DATABASE_TEXT_SIZE]; /* of the last error: the file and what is wrong */
};

/* Opens the log, making it if it is missing or empty. On an error everything is closed again and
 * database->text says why. */
klane_err_t database_open(struct database *database, const char *path, uint32_t busy_ms);

/* The same for the main database of a connection of the program's, which stays its own: nothing is
 * set on it but for the file's journal mode. Made if it has no log. */
klane_err_t database_borrow(struct database *database, sqlite3 *handle);

/* For a connection whose work can be done again: transactions are not synced by themselves. */
klane_err_t database_relax(struct database *database, uint64_t cache_bytes, int checkpoint_pages);

/* Leaves a borrowed connection open. */
void database_close(struct database *database);

/* What an SQLite result means. */
klane_err_t database_error(int result);

/* Keeps the text of an error of ours, with the file's name before it. Returns err. */
klane_err_t database_fail(struct database *database, klane_err_t err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Keeps SQLite's text of its last error. Returns what it means. */
klane_err_t database_failed(struct database *database, int result);

/* Prepares count statements, each kept for as long as the connection lives. */
klane_err_t database_prepare(struct database *database, const char *const *texts, size_t count,
                             sqlite3_stmt **statements);

void database_finalize(sqlite3_stmt **statements, size_t count);

/* Steps a statement that returns no rows, and resets it. */
klane_err_t database_run(struct database *database, sqlite3_stmt *statement);

/* Steps a statement to its first row. KLANE_ERR_NOT_FOUND without a text: no row. The caller
 * resets it. */
klane_err_t database_row(struct database *database, sqlite3_stmt *statement);

/* The number that a statement answers with, which has to. */
klane_err_t database_number(struct database *database, const char *sql, int64_t *number);

/* Ends a transaction that failed, if SQLite has not done so itself. */
void database_rollback(struct database *database, sqlite3_stmt *rollback);

/* Whether path still names the file that is open. */
bool database_is_in_place(const struct database *database);

#endif
