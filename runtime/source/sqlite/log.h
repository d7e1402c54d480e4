/* SPDX-License-Identifier: Apache-2.0 */
/* A connection for appending, as log.c and the tests see it.
 *
 * Upholds: records of one call are appended all or not at all, with offsets that rise by one.
 * Owned by its caller, one thread at a time. */
#ifndef KLANE_SOURCE_SQLITE_LOG_H
#define KLANE_SOURCE_SQLITE_LOG_H

#include "source/sqlite/database.h"

#include <klane/sqlite.h>

enum log_statement {
    LOG_BEGIN,
    LOG_COMMIT,
    LOG_ROLLBACK,
    LOG_SAVEPOINT,
    LOG_RELEASE,
    LOG_ROLLBACK_TO,
    LOG_LOCK,
    LOG_FIND_TOPIC,
    LOG_ADD_TOPIC,
    LOG_FIND_PARTITIONS,
    LOG_ADD_PARTITION,
    LOG_NEXT_OF,
    LOG_SET_NEXT,
    LOG_INSERT,
    LOG_COMMITTED,
    LOG_STATEMENTS
};

/* A partition of a topic that this connection has used. */
struct log_partition {
    int64_t id;
    int64_t next;         /* its next offset, as far as this transaction goes */
    int64_t bytes;        /* appended to it in this transaction */
    uint64_t transaction; /* that read next; another: next is stale */
    struct log_partition *touched_next;
};

/* A topic that this connection has used. Topics are never changed once made, so what is kept here
 * stays true. */
struct log_topic {
    struct log_topic *next;
    char *name;
    int64_t id;
    uint32_t turn; /* of records without a key */
    int32_t partition_count;
    struct log_partition partitions[];
};

struct klane_sqlite {
    struct database database;
    sqlite3_stmt *statements[LOG_STATEMENTS];
    struct log_topic *topics;
    struct log_partition *touched; /* by this transaction */
    uint64_t transaction;          /* counts from 1 */
    size_t record_bytes_max;       /* key, value and headers together */
    sqlite3_int64 last_id;         /* the row that the program inserted last, on its connection */
    pid_t process;                 /* that opened it */
};

/* Begins every call: whether the log may be used here. */
klane_err_t log_enter(struct klane_sqlite *log);

/* A transaction of one call. log_finish() commits, or takes back if err says so, or if the commit
 * fails, and returns what happened. */
klane_err_t log_begin(struct klane_sqlite *log);
klane_err_t log_finish(struct klane_sqlite *log, klane_err_t err);

#endif
