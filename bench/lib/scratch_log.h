/* SPDX-License-Identifier: Apache-2.0 */
/* Logs in files: klane's embedded log, and a plain SQLite table of the same records to hold it
 * against, with the same durability. Whatever fails, fails the arm. */
#ifndef KLANE_BENCH_LIB_SCRATCH_LOG_H
#define KLANE_BENCH_LIB_SCRATCH_LOG_H

#include "lib/drive.h"

#include <klane/sqlite.h>

#include <sqlite3.h>

enum { SCRATCH_BATCH = 1000, SCRATCH_PATH_MAX = 640 };

/* The file of this name in the arm's folder. */
void scratch_path(const struct bench_run *run, const char *name, char path[SCRATCH_PATH_MAX]);

/* The settings that say where the file is. */
void scratch_settings(struct bench_run *run);

/* Remove the file, and what SQLite keeps beside it. */
void scratch_remove(const char *path);

/* For appending; with the topic. */
struct klane_sqlite *scratch_log_open(const char *path, int32_t partitions);

/* For a runtime. */
struct klane_source *scratch_source(const char *path, const char *group);

/* Append records, SCRATCH_BATCH in a transaction; next() says the number of each one's key, and a
 * key is always in the same partition. */
void scratch_log_fill_by(struct klane_sqlite *log, int32_t partitions, uint64_t records,
                         uint64_t (*next)(void *context), void *context);

/* The same to one partition, with keys drawn uniformly from 0 to keys - 1. */
void scratch_log_fill(struct klane_sqlite *log, uint64_t records, uint64_t keys);

enum { SCRATCH_DUE_MAX = 20000 };

/* Append so many records, SCRATCH_DUE_MAX at most, to one partition in one transaction, with keys
 * drawn so. By one thread of a process. */
void scratch_log_append(struct klane_sqlite *log, uint64_t count, uint64_t keys, uint64_t *state);

/* SQL on a connection of one's own. */
void scratch_execute(sqlite3 *table, const char *sql);
sqlite3_stmt *scratch_prepared(sqlite3 *table, const char *sql);

/* The number in the first row of the answer; there has to be one. */
int64_t scratch_number(sqlite3 *table, const char *sql);

/* The plain table: write-ahead log, every commit synced, as many pages before a checkpoint. */
sqlite3 *scratch_table_open(const char *path);
void scratch_table_fill(sqlite3 *table, uint64_t records, uint64_t keys);

/* Read everything in order; returns the number of records. */
uint64_t scratch_table_read(sqlite3 *table);

#endif
