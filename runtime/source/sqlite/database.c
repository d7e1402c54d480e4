/* SPDX-License-Identifier: Apache-2.0 */
#include "source/sqlite/database.h"

#include "base/assert.h"
#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

enum {
    CHECKPOINT_PAGES =
        1000, /* 4 MB: whoever appends does it, and waits for as long as it takes */
    SWITCH_PAUSE_MS = 2,
    BUSY_SHORT = 10 /* looks at another who writes; then they are a millisecond apart */
};

/* Each run once on every connection. What acknowledges must be FULL: with NORMAL the last
 * transactions are lost when the power fails. */
static const char connection_sql[] = "PRAGMA cell_size_check = ON;"
                                     "PRAGMA trusted_schema = OFF;"
                                     "PRAGMA synchronous = FULL;"
                                     "PRAGMA temp_store = MEMORY;"
                                     "PRAGMA cache_size = -8192;"; /* DATABASE_CACHE_BYTES */

/* A write-ahead log that grew beside a slow reader is cut back to 64 MB. */
static const char journal_sql[] = "PRAGMA journal_size_limit = 67108864";

static const char schema_sql[] =
    "CREATE TABLE klane_topics ("
    " id INTEGER PRIMARY KEY,"
    " name TEXT NOT NULL UNIQUE,"
    " partitions INTEGER NOT NULL,"
    " keep_age INTEGER NOT NULL DEFAULT -1,"
    " keep_bytes INTEGER NOT NULL DEFAULT -1,"
    " passed INTEGER NOT NULL DEFAULT 0,"
    " compact INTEGER NOT NULL DEFAULT 0,"
    " tombstone_age INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE klane_partitions ("
    " id INTEGER PRIMARY KEY,"
    " topic INTEGER NOT NULL REFERENCES klane_topics (id),"
    " number INTEGER NOT NULL,"
    " next INTEGER NOT NULL,"
    " first INTEGER NOT NULL DEFAULT 0,"
    " bytes INTEGER NOT NULL DEFAULT 0,"
    " compacted INTEGER NOT NULL DEFAULT 0,"
    " compacted_records INTEGER NOT NULL DEFAULT 0,"
    " UNIQUE (topic, number));"
    "CREATE TABLE klane_records ("
    " id INTEGER PRIMARY KEY,"
    " timestamp INTEGER NOT NULL,"
    " key BLOB,"
    " value BLOB,"
    " headers BLOB);"
    "CREATE TABLE klane_groups ("
    " id INTEGER PRIMARY KEY,"
    " name TEXT NOT NULL UNIQUE,"
    " generation INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE klane_offsets ("
    " group_id INTEGER NOT NULL REFERENCES klane_groups (id),"
    " partition_id INTEGER NOT NULL REFERENCES klane_partitions (id),"
    " committed INTEGER NOT NULL,"
    " metadata TEXT,"
    " PRIMARY KEY (group_id, partition_id)) WITHOUT ROWID;";

/* From each version to the next. */
static const char *const upgrades_sql[DATABASE_VERSION] = {
    [1] = "ALTER TABLE main.klane_offsets ADD COLUMN metadata TEXT;",
    [2] = "ALTER TABLE main.klane_groups ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE main.klane_topics ADD COLUMN keep_age INTEGER NOT NULL DEFAULT -1;"
          "ALTER TABLE main.klane_topics ADD COLUMN keep_bytes INTEGER NOT NULL DEFAULT -1;"
          "ALTER TABLE main.klane_topics ADD COLUMN passed INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE main.klane_topics ADD COLUMN compact INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE main.klane_topics ADD COLUMN tombstone_age INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE main.klane_partitions ADD COLUMN first INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE main.klane_partitions ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE main.klane_partitions ADD COLUMN compacted INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE main.klane_partitions"
          " ADD COLUMN compacted_records INTEGER NOT NULL DEFAULT 0;"
          "UPDATE main.klane_partitions SET bytes = (SELECT total(ifnull(length(key), 0) +"
          " ifnull(length(value), 0) + ifnull(length(headers), 0)) FROM main.klane_records AS r"
          " WHERE r.id >= klane_partitions.id << 40 AND r.id < (klane_partitions.id + 1) << 40);",
};

/* How the file says what is in it: one of klane's alone, and one of the program's. */
static const char own_sql[] = "PRAGMA main.application_id = 0x6b6c616e;"
                              "PRAGMA main.user_version = 3;";
static const char guest_sql[] = "CREATE TABLE IF NOT EXISTS main.klane_log ("
                                " id INTEGER PRIMARY KEY, version INTEGER NOT NULL);"
                                "INSERT OR REPLACE INTO main.klane_log VALUES (1, 3);";

_Static_assert(DATABASE_APPLICATION_ID == 0x6b6c616e && DATABASE_VERSION == 3,
               "own_sql and guest_sql write what identify() looks for");

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic int open_count; /* in this process, or in its parent when it was forked */
static _Atomic bool is_forked;

/* What SQLite knows of a file's locks is inherited by a child, but the locks are not. So a child
 * of a process that had a log open must not open any. */
static void in_child(void)
{
    /* Relaxed: a child begins with one thread. */
    if (atomic_load_explicit(&open_count, memory_order_relaxed) > 0)
        atomic_store_explicit(&is_forked, true, memory_order_relaxed);
}

static void handle_forks(void)
{
    /* Without memory for it a child that breaks the rule is not found out. */
    (void)pthread_atfork(NULL, NULL, in_child);
}

klane_err_t database_error(int result)
{
    switch (result & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return KLANE_OK;
    case SQLITE_NOMEM:
        return KLANE_ERR_NOMEM;
    case SQLITE_FULL:
        return KLANE_ERR_FULL;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return KLANE_ERR_READ_ONLY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return KLANE_ERR_BUSY;
    case SQLITE_TOOBIG:
        return KLANE_ERR_INVALID;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: /* our texts are right, so a table or column of ours is missing */
    case SQLITE_SCHEMA:
    case SQLITE_CONSTRAINT: /* two records or partitions claim one place */
    case SQLITE_MISMATCH:
        return KLANE_ERR_CORRUPT;
    default:
        return KLANE_ERR_IO;
    }
}

klane_err_t database_fail(struct database *database, klane_err_t err, const char *format, ...)
{
    va_list arguments;
    int length = snprintf(database->text, sizeof database->text / 2, "%s", database->path);
    size_t used = length < 0 ? 0 : (size_t)length;

    if (used >= sizeof database->text / 2)
        used = sizeof database->text / 2 - 1;
    memcpy(database->text + used, ": ", 2);
    used += 2;
    va_start(arguments, format);
    vsnprintf(database->text + used, sizeof database->text - used, format, arguments);
    va_end(arguments);
    return err;
}

klane_err_t database_failed(struct database *database, int result)
{
    klane_err_t err = database_error(result);
    int number = sqlite3_system_errno(database->handle);

    if (err == KLANE_ERR_IO && number != 0)
        return database_fail(database, err, "%s (%s)", sqlite3_errmsg(database->handle),
                             strerror(number));
    return database_fail(database, err, "%s", sqlite3_errmsg(database->handle));
}

klane_err_t database_prepare(struct database *database, const char *const *texts, size_t count,
                             sqlite3_stmt **statements)
{
    for (size_t i = 0; i < count; i++) {
        int result = sqlite3_prepare_v3(database->handle, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                        &statements[i], NULL);

        if (result != SQLITE_OK)
            return database_failed(database, result);
    }
    return KLANE_OK;
}

void database_finalize(sqlite3_stmt **statements, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sqlite3_finalize(statements[i]);
        statements[i] = NULL;
    }
}

klane_err_t database_run(struct database *database, sqlite3_stmt *statement)
{
    int result = sqlite3_step(statement);
    klane_err_t err = KLANE_OK;

    if (result != SQLITE_DONE && result != SQLITE_ROW)
        err = database_failed(database, result);
    sqlite3_reset(statement);
    return err;
}

klane_err_t database_row(struct database *database, sqlite3_stmt *statement)
{
    int result = sqlite3_step(statement);

    if (result == SQLITE_ROW)
        return KLANE_OK;
    if (result == SQLITE_DONE)
        return KLANE_ERR_NOT_FOUND;
    return database_failed(database, result);
}

void database_rollback(struct database *database, sqlite3_stmt *rollback)
{
    if (sqlite3_get_autocommit(database->handle))
        return;
    sqlite3_step(rollback);
    sqlite3_reset(rollback);
}

bool database_is_in_place(const struct database *database)
{
    struct stat status;

    /* Whatever else keeps us from looking says nothing about the file. */
    if (lstat(database->path, &status) != 0)
        return errno != ENOENT && errno != ENOTDIR;
    return status.st_dev == database->device && status.st_ino == database->inode;
}

/* A write-ahead log needs memory that all who use the file share, and locks that hold: neither is
 * to be had of another machine (https://sqlite.org/wal.html). Those that say what they are; 9P and
 * FUSE may be of this machine, too. */
static klane_err_t refuse_networks(struct database *database, const char *place)
{
    static const struct {
        unsigned type;
        const char *name;
    } networks[] = {
        {NFS_SUPER_MAGIC, "NFS"},  {SMB_SUPER_MAGIC, "SMB"},   {CIFS_SUPER_MAGIC, "CIFS"},
        {SMB2_SUPER_MAGIC, "SMB"}, {CEPH_SUPER_MAGIC, "Ceph"}, {CODA_SUPER_MAGIC, "Coda"},
        {AFS_SUPER_MAGIC, "AFS"},  {AFS_FS_MAGIC, "AFS"},
    };
    struct statfs status;

    if (statfs(place, &status) != 0)
        return database_fail(database, KLANE_ERR_IO, "its directory: %s", strerror(errno));
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++)
        if ((unsigned)status.f_type == networks[i].type)
            return database_fail(database, KLANE_ERR_INVALID,
                                 "it would be on a file system of a network (%s), where a "
                                 "write-ahead log does not work",
                                 networks[i].name);
    return KLANE_OK;
}

/* SQLite refuses a symbolic link anywhere in a path that is opened with NOFOLLOW. Links to the
 * directory are the administrator's affair and resolved here; the file itself must not be one. */
static klane_err_t resolve(struct database *database, const char *path)
{
    char directory[PATH_MAX];
    char resolved[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    size_t directory_size = slash == NULL ? 1 : (size_t)(slash - path) + 1;

    database->path = strdup(path);
    if (database->path == NULL) {
        snprintf(database->text, sizeof database->text, "memory is exhausted");
        return KLANE_ERR_NOMEM;
    }
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return database_fail(database, KLANE_ERR_INVALID, "the path does not name a file");
    if (directory_size >= sizeof directory)
        return database_fail(database, KLANE_ERR_INVALID, "the path is too long");
    memcpy(directory, slash == NULL ? "." : path, directory_size);
    directory[directory_size] = '\0';
    if (realpath(directory, resolved) == NULL)
        return database_fail(database, KLANE_ERR_IO, "its directory: %s", strerror(errno));

    size_t size = strlen(resolved) + strlen(name) + 2;
    char *absolute = malloc(size);

    if (absolute == NULL)
        return database_fail(database, KLANE_ERR_NOMEM, "memory is exhausted");
    snprintf(absolute, size, "%s/%s", strcmp(resolved, "/") == 0 ? "" : resolved, name);
    free(database->path);
    database->path = absolute;
    return refuse_networks(database, resolved);
}

/* An empty main file with a filled write-ahead log was cut off by somebody: SQLite would delete
 * what is left of it. */
static klane_err_t look_at_journal(struct database *database, bool is_empty)
{
    struct stat status;
    char *journal = sqlite3_mprintf("%s-wal", database->path);

    if (journal == NULL)
        return database_fail(database, KLANE_ERR_NOMEM, "memory is exhausted");
    database->has_journal = lstat(journal, &status) == 0 && status.st_size > 0;
    sqlite3_free(journal);
    if (is_empty && database->has_journal)
        return database_fail(database, KLANE_ERR_CORRUPT,
                             "the file is empty but its write-ahead log is not");
    return KLANE_OK;
}

/* Makes the file if it is missing, and looks whether it is one. By mknod() and lstat(), because to
 * open and close it would drop the locks of every other connection that this process has to it. */
static klane_err_t make_file(struct database *database)
{
    struct stat status;
    int number;

    if (mknod(database->path, S_IFREG | S_IRUSR | S_IWUSR, 0) != 0 && errno != EEXIST) {
        number = errno;
        if (lstat(database->path, &status) != 0) {
            if (number == EROFS || number == EACCES || number == EPERM)
                return database_fail(database, KLANE_ERR_READ_ONLY, "the file cannot be made: %s",
                                     strerror(number));
            return database_fail(
                database, number == ENOSPC || number == EDQUOT ? KLANE_ERR_FULL : KLANE_ERR_IO,
                "the file cannot be made: %s", strerror(number));
        }
    }
    if (lstat(database->path, &status) != 0)
        return database_fail(database, KLANE_ERR_IO, "%s", strerror(errno));
    if (S_ISLNK(status.st_mode))
        return database_fail(database, KLANE_ERR_IO, "the file is a symbolic link");
    if (!S_ISREG(status.st_mode))
        return database_fail(database, KLANE_ERR_IO, "it is not a regular file");
    database->device = status.st_dev;
    database->inode = status.st_ino;
    return look_at_journal(database, status.st_size == 0);
}

static klane_err_t execute(struct database *database, const char *sql)
{
    int result = sqlite3_exec(database->handle, sql, NULL, NULL, NULL);

    return result == SQLITE_OK ? KLANE_OK : database_failed(database, result);
}

klane_err_t database_number(struct database *database, const char *sql, int64_t *number)
{
    sqlite3_stmt *statement = NULL;
    klane_err_t err = database_prepare(database, &sql, 1, &statement);

    if (err == KLANE_OK) {
        err = database_row(database, statement);
        if (err == KLANE_OK)
            *number = sqlite3_column_int64(statement, 0);
        else if (err == KLANE_ERR_NOT_FOUND)
            err = database_fail(database, KLANE_ERR_CORRUPT, "no answer to %s", sql);
    }
    sqlite3_finalize(statement);
    return err;
}

/* SQLite answers with the mode that it is in now, and calls it a success whichever that is. */
static klane_err_t switch_to_write_ahead_log(struct database *database)
{
    const char *sql = "PRAGMA main.journal_mode = WAL";
    sqlite3_stmt *statement = NULL;
    klane_err_t err = database_prepare(database, &sql, 1, &statement);

    if (err == KLANE_OK)
        err = database_row(database, statement);
    if (err == KLANE_OK && strcmp((const char *)sqlite3_column_text(statement, 0), "wal") != 0)
        err = database_fail(database, KLANE_ERR_IO, "a write-ahead log is not possible here");
    sqlite3_finalize(statement);
    return err;
}

/* The write-ahead log lets one process append while others read. Changing to it does not wait for
 * others by itself, so this does. */
static klane_err_t use_write_ahead_log(struct database *database, uint32_t busy_ms)
{
    static const struct timespec pause = {0, SWITCH_PAUSE_MS * 1000000L};
    uint32_t waited_ms = 0;
    klane_err_t err = switch_to_write_ahead_log(database);

    while (err == KLANE_ERR_BUSY && waited_ms < busy_ms) {
        nanosleep(&pause, NULL);
        waited_ms += SWITCH_PAUSE_MS;
        err = switch_to_write_ahead_log(database);
    }
    return err;
}

static klane_err_t check_version(struct database *database, int64_t version)
{
    if (version < 1)
        return database_fail(database, KLANE_ERR_CORRUPT, "the log has no version");
    if (version > DATABASE_VERSION)
        return database_fail(database, KLANE_ERR_VERSION,
                             "the log has version %lld, this library knows up to %d",
                             (long long)version, DATABASE_VERSION);
    return KLANE_OK;
}

/* The version of a file of klane's alone, or 0 if there is no log but one may be made: in a file
 * that holds nothing at all yet, and by a connection of the program's. */
static klane_err_t own_version(struct database *database, int64_t *version)
{
    int64_t application = 0, tables = 0;
    klane_err_t err = database_number(database, "PRAGMA main.application_id", &application);

    if (err == KLANE_OK)
        err = database_number(database, "PRAGMA main.user_version", version);
    if (err == KLANE_OK)
        err = database_number(database, "SELECT count(*) FROM main.sqlite_schema", &tables);
    if (err != KLANE_OK || (application == 0 && *version == 0 && tables == 0))
        return err;
    if (application == DATABASE_APPLICATION_ID)
        return check_version(database, *version);
    *version = 0;
    if (database->is_borrowed)
        return KLANE_OK;
    return database_fail(database, KLANE_ERR_CORRUPT,
                         "it is an SQLite database but not a klane log");
}

/* Whether this is a log of ours; *found: its version, or 0 if there is none yet. A file of the
 * program's says it in a table, and its application_id and user_version say nothing of ours. */
static klane_err_t identify(struct database *database, int64_t *found)
{
    int64_t tables = 0;
    klane_err_t err = database_number(
        database, "SELECT count(*) FROM main.sqlite_schema WHERE name = 'klane_log'", &tables);

    *found = 0;
    database->is_guest = tables > 0;
    if (err == KLANE_OK && !database->is_guest)
        return own_version(database, found);
    if (err == KLANE_OK)
        err = database_number(database, "SELECT version FROM main.klane_log", found);
    return err == KLANE_OK ? check_version(database, *found) : err;
}

static bool is_to_be_made(const struct database *database, int64_t version)
{
    return version < DATABASE_VERSION || (database->is_borrowed && !database->is_guest);
}

/* Ends the transaction: COMMIT, or ROLLBACK if something failed. */
static klane_err_t end_transaction(struct database *database, klane_err_t err)
{
    if (err == KLANE_OK)
        err = execute(database, "COMMIT");
    if (err != KLANE_OK && !sqlite3_get_autocommit(database->handle))
        sqlite3_exec(database->handle, "ROLLBACK", NULL, NULL, NULL);
    return err;
}

/* In one transaction, for another process may be making the log at this moment. */
static klane_err_t identify_at_once(struct database *database, int64_t *version)
{
    klane_err_t err = execute(database, "BEGIN");

    return err == KLANE_OK ? end_transaction(database, identify(database, version)) : err;
}

/* From this version, or from none, to the one of today. */
static klane_err_t bring_up(struct database *database, int64_t version)
{
    klane_err_t err = KLANE_OK;

    if (version == 0)
        return execute(database, schema_sql);
    for (; version < DATABASE_VERSION && err == KLANE_OK; version++)
        err = execute(database, upgrades_sql[version]);
    return err;
}

/* Another process may be making the same log: whoever comes second finds it made. */
static klane_err_t make_tables(struct database *database)
{
    int64_t version = 0;
    klane_err_t err = execute(database, "BEGIN IMMEDIATE");

    if (err != KLANE_OK)
        return err;
    err = identify(database, &version);
    if (err == KLANE_OK)
        err = bring_up(database, version);
    if (err == KLANE_OK && is_to_be_made(database, version))
        err =
            execute(database, database->is_borrowed || database->is_guest ? guest_sql : own_sql);
    return end_transaction(database, err);
}

/* A file may have been made to attack whoever opens it: nothing in its schema is trusted. */
static klane_err_t harden(struct database *database)
{
    sqlite3 *handle = database->handle;

    if (sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL) != SQLITE_OK ||
        sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL) != SQLITE_OK ||
        sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL) != SQLITE_OK ||
        sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL) != SQLITE_OK)
        return database_fail(database, KLANE_ERR_SYSTEM, "this SQLite cannot be made safe");
    /* Builds without extension loading do not know this one. */
    (void)sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0);
    return execute(database, connection_sql);
}

/* Looks again soon: others hold the log for a millisecond as a rule, and SQLite's own way of
 * waiting longer each time would let them go first again and again. 0: it has been too long. */
static int wait_for_others(void *context, int count)
{
    struct database *database = context;
    int64_t now_ms = clock_now_ms();
    struct timespec pause = {0, (count < BUSY_SHORT ? 100 : 1000) * 1000L};

    if (count == 0)
        database->busy_since_ms = now_ms;
    if (now_ms - database->busy_since_ms >= database->busy_ms)
        return 0;
    nanosleep(&pause, NULL);
    return 1;
}

static klane_err_t connect_to(struct database *database, uint32_t busy_ms)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW |
                SQLITE_OPEN_EXRESCODE;
    int result = sqlite3_open_v2(database->path, &database->handle, flags, NULL);
    int64_t version = 0;
    klane_err_t err;

    if (database->handle == NULL)
        return database_fail(database, KLANE_ERR_NOMEM, "memory is exhausted");
    /* Relaxed: a number and nothing else. */
    atomic_fetch_add_explicit(&open_count, 1, memory_order_relaxed);
    if (result != SQLITE_OK)
        return database_failed(database, result);
    database->busy_ms = busy_ms;
    sqlite3_busy_handler(database->handle, wait_for_others, database);
    if (sqlite3_db_readonly(database->handle, "main") != 0)
        return database_fail(database, KLANE_ERR_READ_ONLY, "the file is read-only");
    err = harden(database);
    if (err == KLANE_OK)
        err = identify_at_once(database, &version);
    /* While there is nothing in the file yet: so that it can give space back. */
    if (err == KLANE_OK && version == 0)
        err = execute(database, "PRAGMA main.auto_vacuum = INCREMENTAL");
    if (err == KLANE_OK)
        err = use_write_ahead_log(database, busy_ms);
    if (err == KLANE_OK) {
        sqlite3_wal_autocheckpoint(database->handle, CHECKPOINT_PAGES);
        err = execute(database, journal_sql);
    }
    if (err == KLANE_OK && is_to_be_made(database, version))
        err = make_tables(database);
    if (err == KLANE_OK && !database_is_in_place(database))
        err = database_fail(database, KLANE_ERR_IO, "the file was replaced while it was opened");
    return err;
}

static klane_err_t check_forks(struct database *database)
{
    pthread_once(&once, handle_forks);
    /* Relaxed: only written before any other thread of the process exists. */
    if (!atomic_load_explicit(&is_forked, memory_order_relaxed))
        return KLANE_OK;
    return database_fail(database, KLANE_ERR_FORKED,
                         "a child of fork() cannot use what its parent had open");
}

klane_err_t database_open(struct database *database, const char *path, uint32_t busy_ms)
{
    klane_err_t err;

    memset(database, 0, sizeof *database);
    err = resolve(database, path);
    if (err == KLANE_OK)
        err = check_forks(database);
    if (err == KLANE_OK)
        err = make_file(database);
    if (err == KLANE_OK)
        err = connect_to(database, busy_ms);
    if (err != KLANE_OK)
        database_close(database);
    return err;
}

klane_err_t database_relax(struct database *database, uint64_t cache_bytes, int checkpoint_pages)
{
    char sql[96];

    sqlite3_wal_autocheckpoint(database->handle, checkpoint_pages);
    snprintf(sql, sizeof sql, "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -%llu",
             (unsigned long long)(cache_bytes >> 10));
    return execute(database, sql);
}

/* ---- a connection of the program's ------------------------------------------------------- */

/* A transaction that spans files is not atomic when they have write-ahead logs; and whoever has
 * attached a log means that one. */
static klane_err_t refuse_attached_logs(struct database *database)
{
    const char *sql = "SELECT name FROM pragma_database_list WHERE name NOT IN ('main', 'temp')";
    sqlite3_stmt *statement = NULL;
    klane_err_t err = database_prepare(database, &sql, 1, &statement);

    while (err == KLANE_OK && (err = database_row(database, statement)) == KLANE_OK) {
        const char *name = (const char *)sqlite3_column_text(statement, 0);

        if (sqlite3_table_column_metadata(database->handle, name, "klane_records", NULL, NULL,
                                          NULL, NULL, NULL, NULL) == SQLITE_OK)
            err = database_fail(database, KLANE_ERR_INVALID,
                                "the attached database %s has a log: what is committed in two"
                                " files is not atomic, so it has to be in this one",
                                name);
    }
    sqlite3_finalize(statement);
    return err == KLANE_ERR_NOT_FOUND ? KLANE_OK : err;
}

static bool is_in_use(sqlite3 *handle)
{
    sqlite3_stmt *statement = NULL;

    if (!sqlite3_get_autocommit(handle))
        return true;
    while ((statement = sqlite3_next_stmt(handle, statement)) != NULL)
        if (sqlite3_stmt_busy(statement))
            return true;
    return false;
}

static klane_err_t check_borrowed(struct database *database)
{
    struct stat status;
    klane_err_t err;

    if (is_in_use(database->handle))
        return database_fail(database, KLANE_ERR_INVALID,
                             "the connection has a transaction or a statement open");
    if (sqlite3_db_readonly(database->handle, "main") != 0)
        return database_fail(database, KLANE_ERR_READ_ONLY, "the connection is read-only");
    if (stat(database->path, &status) != 0)
        return database_fail(database, KLANE_ERR_IO, "%s", strerror(errno));
    database->device = status.st_dev;
    database->inode = status.st_ino;
    err = refuse_networks(database, database->path);
    return err == KLANE_OK ? refuse_attached_logs(database) : err;
}

static klane_err_t prepare_borrowed(struct database *database)
{
    int64_t version = 0, busy_ms = 0;
    klane_err_t err = check_forks(database);

    if (err == KLANE_OK)
        err = check_borrowed(database);
    if (err == KLANE_OK)
        err = identify_at_once(database, &version);
    if (err == KLANE_OK && is_to_be_made(database, version))
        err = make_tables(database);
    if (err == KLANE_OK)
        err = database_number(database, "PRAGMA busy_timeout", &busy_ms);
    if (err == KLANE_OK)
        err = use_write_ahead_log(database, (uint32_t)busy_ms);
    return err;
}

klane_err_t database_borrow(struct database *database, sqlite3 *handle)
{
    const char *path = sqlite3_db_filename(handle, "main");
    klane_err_t err;

    memset(database, 0, sizeof *database);
    database->is_borrowed = true;
    if (path == NULL || path[0] == '\0') {
        snprintf(database->text, sizeof database->text,
                 "the connection's main database is not in a file");
        return KLANE_ERR_INVALID;
    }
    database->path = strdup(path);
    if (database->path == NULL) {
        snprintf(database->text, sizeof database->text, "memory is exhausted");
        return KLANE_ERR_NOMEM;
    }
    database->handle = handle;
    /* Relaxed: a number and nothing else. */
    atomic_fetch_add_explicit(&open_count, 1, memory_order_relaxed);
    err = prepare_borrowed(database);
    if (err != KLANE_OK)
        database_close(database);
    return err;
}

void database_close(struct database *database)
{
    bool was_open = database->handle != NULL;
    int result = database->is_borrowed ? SQLITE_OK : sqlite3_close(database->handle);

    /* Relaxed: a number and nothing else. */
    if (was_open)
        atomic_fetch_sub_explicit(&open_count, 1, memory_order_relaxed);
    /* Anything else means that a statement was not finalized. */
    KLANE_ASSERT(result == SQLITE_OK);
    free(database->path);
    database->handle = NULL;
    database->path = NULL;
}
