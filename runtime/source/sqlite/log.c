/* SPDX-License-Identifier: Apache-2.0 */
/* Appending to the embedded log.
 *
 * A record costs one step of one prepared INSERT: the next offset of a partition is read once in a
 * transaction, counted up in memory, and written back once before the transaction is committed. */
#include "source/sqlite/log.h"

#include "base/clock.h"
#include "base/errstr.h"
#include "base/given.h"
#include "base/hash.h"
#include "base/headers.h"
#include "source/sqlite/check.h"
#include "source/sqlite/notify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    RECORD_OVERHEAD_BYTES = 64 /* what SQLite may need of its limit for the rest of a row */
};

/* Part of the format: another seed would send a key's records to another partition. */
static const uint64_t partition_seed = 0;

static const char *const statement_texts[LOG_STATEMENTS] = {
    [LOG_BEGIN] = "BEGIN IMMEDIATE",
    [LOG_COMMIT] = "COMMIT",
    [LOG_ROLLBACK] = "ROLLBACK",
    [LOG_SAVEPOINT] = "SAVEPOINT klane",
    [LOG_RELEASE] = "RELEASE klane",
    [LOG_ROLLBACK_TO] = "ROLLBACK TO klane",
    [LOG_LOCK] = "UPDATE main.klane_partitions SET next = next WHERE 0",
    [LOG_FIND_TOPIC] = "SELECT id, partitions FROM main.klane_topics WHERE name = ?",
    [LOG_ADD_TOPIC] = "INSERT INTO main.klane_topics (name, partitions) VALUES (?, ?)",
    [LOG_FIND_PARTITIONS] = "SELECT number, id FROM main.klane_partitions WHERE topic = ?",
    [LOG_ADD_PARTITION] =
        "INSERT INTO main.klane_partitions (topic, number, next) VALUES (?, ?, 0)",
    [LOG_NEXT_OF] = "SELECT next FROM main.klane_partitions WHERE id = ?",
    [LOG_SET_NEXT] = "UPDATE main.klane_partitions SET next = ?, bytes = bytes + ? WHERE id = ?",
    [LOG_INSERT] = "INSERT INTO main.klane_records (id, timestamp, key, value, headers)"
                   " VALUES (?, ?, ?, ?, ?)",
    [LOG_COMMITTED] = "SELECT committed, metadata FROM main.klane_offsets WHERE partition_id = ?"
                      " AND group_id = (SELECT id FROM main.klane_groups WHERE name = ?)",
};

/* Where the turn of records without a key begins: not the same for every short-lived process. */
static uint32_t first_turn(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)hash_bytes(&now, sizeof now, (uint64_t)getpid()) >> 1;
}

/* What both ways of opening have in common: the log is the caller's, or errstr says why not. */
static klane_err_t complete(struct klane_sqlite *made, klane_err_t err, struct klane_sqlite **log,
                            char *errstr, size_t errstr_size)
{
    if (err == KLANE_OK)
        err =
            database_prepare(&made->database, statement_texts, LOG_STATEMENTS, made->statements);
    if (err == KLANE_OK) {
        int limit = sqlite3_limit(made->database.handle, SQLITE_LIMIT_LENGTH, -1);

        if (limit > RECORD_OVERHEAD_BYTES)
            made->record_bytes_max = (size_t)(limit - RECORD_OVERHEAD_BYTES);
        made->process = getpid();
        *log = made;
        return KLANE_OK;
    }
    errstr_set(err, errstr, errstr_size, "%s", made->database.text);
    klane_sqlite_close(made);
    return err;
}

/* Begins both; where: what the program named as the log's place. */
static klane_err_t make(const void *where, const char *name, struct klane_sqlite **log,
                        struct klane_sqlite **made, char *errstr, size_t errstr_size)
{
    errstr_clear(errstr, errstr_size);
    if (log != NULL)
        *log = NULL;
    if (log == NULL || where == NULL)
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size, "%s is NULL",
                          log == NULL ? "log" : name);
    *made = calloc(1, sizeof **made);
    if (*made == NULL)
        return errstr_set(KLANE_ERR_NOMEM, errstr, errstr_size, "memory is exhausted");
    return KLANE_OK;
}

klane_err_t klane_sqlite_open(const char *path, uint32_t busy_ms, struct klane_sqlite **log,
                              char *errstr, size_t errstr_size)
{
    struct klane_sqlite *made;
    klane_err_t err = make(path, "path", log, &made, errstr, errstr_size);

    if (err != KLANE_OK)
        return err;
    err = database_open(&made->database, path, busy_ms);
    if (err == KLANE_OK)
        err = check_if_left(&made->database, CHECK_ENDS);
    return complete(made, err, log, errstr, errstr_size);
}

klane_err_t klane_sqlite_borrow(sqlite3 *connection, struct klane_sqlite **log, char *errstr,
                                size_t errstr_size)
{
    struct klane_sqlite *made;
    klane_err_t err = make(connection, "connection", log, &made, errstr, errstr_size);

    if (err != KLANE_OK)
        return err;
    err = database_borrow(&made->database, connection);
    return complete(made, err, log, errstr, errstr_size);
}

void klane_sqlite_close(struct klane_sqlite *log)
{
    /* To close a connection in a child of fork() would drop locks that its parent relies on. */
    if (log == NULL || (log->process != 0 && log->process != getpid()))
        return;
    while (log->topics != NULL) {
        struct log_topic *topic = log->topics;

        log->topics = topic->next;
        free(topic->name);
        free(topic);
    }
    database_finalize(log->statements, LOG_STATEMENTS);
    database_close(&log->database);
    free(log);
}

const char *klane_sqlite_errmsg(const struct klane_sqlite *log)
{
    return log == NULL ? "" : log->database.text;
}

/* Begins every public call on a connection. */
klane_err_t log_enter(struct klane_sqlite *log)
{
    if (log == NULL)
        return KLANE_ERR_INVALID;
    if (log->process != getpid())
        return KLANE_ERR_FORKED;
    log->database.text[0] = '\0';
    return KLANE_OK;
}

static bool is_done(sqlite3_stmt *statement)
{
    bool is_done = sqlite3_step(statement) == SQLITE_DONE;

    sqlite3_reset(statement);
    return is_done;
}

/* Takes back what was done since the savepoint; the program's transaction goes on, unless SQLite
 * has ended it. While the connection is interrupted nothing can be taken back, but a statement
 * that writes makes SQLite end the whole transaction. */
static void undo(struct klane_sqlite *log)
{
    if (!sqlite3_get_autocommit(log->database.handle) &&
        (!is_done(log->statements[LOG_ROLLBACK_TO]) || !is_done(log->statements[LOG_RELEASE])))
        (void)is_done(log->statements[LOG_LOCK]);
}

/* On a connection of the program's, in its transaction if it has one open. A savepoint is refused
 * while a statement of its writes; and the first access is a write, as SQLite does not wait for
 * the lock of one that has read before. */
klane_err_t log_begin(struct klane_sqlite *log)
{
    klane_err_t err;

    log->transaction++;
    log->touched = NULL;
    if (!log->database.is_borrowed)
        return database_run(&log->database, log->statements[LOG_BEGIN]);
    log->last_id = sqlite3_last_insert_rowid(log->database.handle);
    err = database_run(&log->database, log->statements[LOG_SAVEPOINT]);
    if (err != KLANE_OK)
        return err;
    err = database_run(&log->database, log->statements[LOG_LOCK]);
    if (err != KLANE_OK)
        undo(log);
    return err;
}

/* Commits, or rolls back if err says so or the commit fails. */
klane_err_t log_finish(struct klane_sqlite *log, klane_err_t err)
{
    bool is_borrowed = log->database.is_borrowed;

    if (err == KLANE_OK)
        err =
            database_run(&log->database, log->statements[is_borrowed ? LOG_RELEASE : LOG_COMMIT]);
    if (err != KLANE_OK && is_borrowed)
        undo(log);
    else if (err != KLANE_OK)
        database_rollback(&log->database, log->statements[LOG_ROLLBACK]);
    else if (sqlite3_get_autocommit(log->database.handle))
        notify_readers(log->database.device, log->database.inode);
    if (is_borrowed)
        sqlite3_set_last_insert_rowid(log->database.handle, log->last_id);
    return err;
}

/* ---- topics ------------------------------------------------------------------------------ */

static klane_err_t no_memory(struct klane_sqlite *log)
{
    return database_fail(&log->database, KLANE_ERR_NOMEM, "memory is exhausted");
}

/* NOT_FOUND without a text: there is none. */
static klane_err_t look_topic_up(struct klane_sqlite *log, const char *name, int64_t *id,
                                 int32_t *partition_count)
{
    sqlite3_stmt *find = log->statements[LOG_FIND_TOPIC];
    klane_err_t err;

    sqlite3_bind_text(find, 1, name, -1, SQLITE_STATIC);
    err = database_row(&log->database, find);
    if (err == KLANE_OK) {
        int64_t count = sqlite3_column_int64(find, 1);

        *id = sqlite3_column_int64(find, 0);
        *partition_count = (int32_t)count;
        if (count < 1 || count > DATABASE_PARTITIONS_MAX)
            err = database_fail(&log->database, KLANE_ERR_CORRUPT,
                                "topic %s has %" PRId64 " partitions", name, count);
    }
    sqlite3_reset(find);
    sqlite3_clear_bindings(find);
    return err;
}

/* Fills in the identifiers of the topic's partitions. */
static klane_err_t load_partitions(struct klane_sqlite *log, struct log_topic *topic)
{
    sqlite3_stmt *find = log->statements[LOG_FIND_PARTITIONS];
    int32_t found = 0;
    klane_err_t err;

    sqlite3_bind_int64(find, 1, topic->id);
    while ((err = database_row(&log->database, find)) == KLANE_OK) {
        int64_t number = sqlite3_column_int64(find, 0);
        int64_t id = sqlite3_column_int64(find, 1);

        if (number < 0 || number >= topic->partition_count || id < 1 ||
            id >= DATABASE_PARTITION_IDS_MAX)
            break;
        topic->partitions[number].id = id;
        found++;
    }
    sqlite3_reset(find);
    if (err != KLANE_OK && err != KLANE_ERR_NOT_FOUND)
        return err;
    if (found != topic->partition_count)
        return database_fail(&log->database, KLANE_ERR_CORRUPT,
                             "the partitions of topic %s are not whole", topic->name);
    return KLANE_OK;
}

static klane_err_t load_topic(struct klane_sqlite *log, const char *name,
                              struct log_topic **topic)
{
    int64_t id = 0;
    int32_t count = 0;
    klane_err_t err = look_topic_up(log, name, &id, &count);
    struct log_topic *made;

    if (err == KLANE_ERR_NOT_FOUND)
        return database_fail(&log->database, err, "there is no topic %s", name);
    if (err != KLANE_OK)
        return err;
    made = calloc(1, sizeof *made + (size_t)count * sizeof made->partitions[0]);
    if (made == NULL)
        return no_memory(log);
    made->name = strdup(name);
    made->id = id;
    made->partition_count = count;
    made->turn = first_turn();
    err = made->name == NULL ? no_memory(log) : load_partitions(log, made);
    if (err != KLANE_OK) {
        free(made->name);
        free(made);
        return err;
    }
    made->next = log->topics;
    log->topics = made;
    *topic = made;
    return KLANE_OK;
}

/* The topic, which becomes the first of the list, so that a batch for one topic finds it there. */
static klane_err_t find_topic(struct klane_sqlite *log, const char *name,
                              struct log_topic **topic)
{
    for (struct log_topic **link = &log->topics; *link != NULL; link = &(*link)->next)
        if (strcmp((*link)->name, name) == 0) {
            struct log_topic *found = *link;

            *link = found->next;
            found->next = log->topics;
            log->topics = found;
            *topic = found;
            return KLANE_OK;
        }
    return load_topic(log, name, topic);
}

static klane_err_t add_topic(struct klane_sqlite *log, const char *name, int32_t partitions)
{
    sqlite3_stmt *add = log->statements[LOG_ADD_TOPIC];
    sqlite3_stmt *add_partition = log->statements[LOG_ADD_PARTITION];
    klane_err_t err;
    int64_t id;

    sqlite3_bind_text(add, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_int(add, 2, partitions);
    err = database_run(&log->database, add);
    sqlite3_clear_bindings(add);
    id = sqlite3_last_insert_rowid(log->database.handle);
    for (int32_t number = 0; number < partitions && err == KLANE_OK; number++) {
        sqlite3_bind_int64(add_partition, 1, id);
        sqlite3_bind_int(add_partition, 2, number);
        err = database_run(&log->database, add_partition);
    }
    if (err == KLANE_OK &&
        sqlite3_last_insert_rowid(log->database.handle) >= DATABASE_PARTITION_IDS_MAX)
        err = database_fail(&log->database, KLANE_ERR_FULL, "the log has too many partitions");
    return err;
}

klane_err_t klane_sqlite_topic(struct klane_sqlite *log, const char *topic, int32_t partitions)
{
    klane_err_t err = log_enter(log);
    int32_t present = 0;
    int64_t id = 0;

    if (err != KLANE_OK)
        return err;
    if (!given_name_is_valid(topic))
        return database_fail(&log->database, KLANE_ERR_INVALID,
                             "a topic's name has 1 to %d bytes, no spaces or control characters",
                             GIVEN_NAME_MAX);
    if (partitions < 1 || partitions > DATABASE_PARTITIONS_MAX)
        return database_fail(&log->database, KLANE_ERR_INVALID,
                             "topic %s: %" PRId32 " partitions, which is not 1 to %d", topic,
                             partitions, DATABASE_PARTITIONS_MAX);
    /* What is known of a topic is kept, and has to stay true. */
    if (!sqlite3_get_autocommit(log->database.handle))
        return database_fail(&log->database, KLANE_ERR_INVALID,
                             "topic %s: a topic cannot be made inside a transaction", topic);
    err = log_begin(log);
    if (err != KLANE_OK)
        return err;
    err = look_topic_up(log, topic, &id, &present);
    if (err == KLANE_ERR_NOT_FOUND)
        err = add_topic(log, topic, partitions);
    else if (err == KLANE_OK && present != partitions)
        err = database_fail(&log->database, KLANE_ERR_EXISTS,
                            "topic %s exists with %" PRId32 " partitions", topic, present);
    return log_finish(log, err);
}

/* ---- appending --------------------------------------------------------------------------- */

/* Everything that can be refused is, before the log is locked. */
static klane_err_t check_record(struct klane_sqlite *log,
                                const struct klane_sqlite_record *record, size_t index)
{
    size_t headers_bytes = headers_size(record->headers, record->header_count);
    size_t left = log->record_bytes_max;
    const char *wrong = NULL;

    if (record->topic == NULL)
        wrong = "topic is NULL";
    else if (!given_name_is_valid(record->topic))
        wrong = "topic cannot be a topic's name";
    else if (record->key == NULL && record->key_size != 0)
        wrong = "key is NULL but key_size is not 0";
    else if (record->value == NULL && record->value_size != 0)
        wrong = "value is NULL but value_size is not 0";
    else if (record->headers == NULL && record->header_count != 0)
        wrong = "headers is NULL but header_count is not 0";
    else if (headers_bytes == SIZE_MAX)
        wrong = "a header has no name, or the headers are too large";
    else if (record->timestamp_ms < -1)
        wrong = "timestamp_ms is below -1";
    else if (record->partition < -1)
        wrong = "partition is below -1";
    else if (record->key_size > left || record->value_size > left - record->key_size ||
             headers_bytes > left - record->key_size - record->value_size)
        wrong = "key, value and headers are larger than SQLite takes";
    if (wrong != NULL)
        return database_fail(&log->database, KLANE_ERR_INVALID, "record %zu: %s", index, wrong);
    return KLANE_OK;
}

/* The partition, with next read in this transaction. */
static klane_err_t use_partition(struct klane_sqlite *log, struct log_partition *partition)
{
    sqlite3_stmt *next_of = log->statements[LOG_NEXT_OF];
    klane_err_t err;

    if (partition->transaction == log->transaction)
        return KLANE_OK;
    sqlite3_bind_int64(next_of, 1, partition->id);
    err = database_row(&log->database, next_of);
    if (err == KLANE_OK) {
        partition->next = sqlite3_column_int64(next_of, 0);
        partition->bytes = 0;
        partition->transaction = log->transaction;
        partition->touched_next = log->touched;
        log->touched = partition;
    } else if (err == KLANE_ERR_NOT_FOUND) {
        err = database_fail(&log->database, KLANE_ERR_CORRUPT, "a partition has gone");
    }
    sqlite3_reset(next_of);
    return err;
}

static klane_err_t choose_partition(struct klane_sqlite *log, struct log_topic *topic,
                                    const struct klane_sqlite_record *record,
                                    struct log_partition **partition)
{
    uint32_t count = (uint32_t)topic->partition_count;
    uint32_t number;

    if (record->partition >= topic->partition_count)
        return database_fail(&log->database, KLANE_ERR_NOT_FOUND,
                             "topic %s has no partition %" PRId32, topic->name,
                             record->partition);
    if (record->partition >= 0)
        number = (uint32_t)record->partition;
    else if (record->key != NULL)
        number = (uint32_t)(hash_bytes(record->key, record->key_size, partition_seed) % count);
    else
        number = topic->turn++ % count;
    *partition = &topic->partitions[number];
    return use_partition(log, *partition);
}

/* The record's headers in the form that the log keeps, NULL: none. */
static klane_err_t make_headers(struct klane_sqlite *log,
                                const struct klane_sqlite_record *record, void **block,
                                size_t *size)
{
    *size = headers_size(record->headers, record->header_count);
    *block = NULL;
    if (*size == 0)
        return KLANE_OK;
    *block = malloc(*size);
    if (*block == NULL)
        return no_memory(log);
    headers_write(record->headers, record->header_count, *block);
    return KLANE_OK;
}

static void bind_bytes(sqlite3_stmt *statement, int column, const void *bytes, size_t size)
{
    sqlite3_bind_blob64(statement, column, bytes, size, SQLITE_STATIC);
}

static klane_err_t insert(struct klane_sqlite *log, const struct klane_sqlite_record *record,
                          struct log_partition *partition, int64_t timestamp_ms)
{
    sqlite3_stmt *statement = log->statements[LOG_INSERT];
    void *headers;
    size_t headers_bytes;
    klane_err_t err;

    if (partition->next < 0)
        return database_fail(&log->database, KLANE_ERR_CORRUPT, "a partition ends below 0");
    if (partition->next >= DATABASE_OFFSETS_MAX - 1)
        return database_fail(&log->database, KLANE_ERR_FULL, "a partition has no offsets left");
    err = make_headers(log, record, &headers, &headers_bytes);
    if (err != KLANE_OK)
        return err;
    sqlite3_bind_int64(statement, 1, partition->id << DATABASE_OFFSET_BITS | partition->next);
    sqlite3_bind_int64(statement, 2, timestamp_ms);
    bind_bytes(statement, 3, record->key, record->key_size);
    bind_bytes(statement, 4, record->value, record->value_size);
    bind_bytes(statement, 5, headers, headers_bytes);
    err = database_run(&log->database, statement);
    free(headers);
    if (err == KLANE_OK) {
        partition->next++;
        partition->bytes += (int64_t)(record->key_size + record->value_size + headers_bytes);
    }
    return err;
}

static klane_err_t write_next_offsets(struct klane_sqlite *log)
{
    sqlite3_stmt *set_next = log->statements[LOG_SET_NEXT];
    klane_err_t err = KLANE_OK;

    for (struct log_partition *partition = log->touched; partition != NULL && err == KLANE_OK;
         partition = partition->touched_next) {
        sqlite3_bind_int64(set_next, 1, partition->next);
        sqlite3_bind_int64(set_next, 2, partition->bytes);
        sqlite3_bind_int64(set_next, 3, partition->id);
        err = database_run(&log->database, set_next);
    }
    return err;
}

static klane_err_t append_all(struct klane_sqlite *log, const struct klane_sqlite_record *records,
                              size_t count, int64_t *offsets)
{
    int64_t now = clock_wall_ms();

    for (size_t i = 0; i < count; i++) {
        const struct klane_sqlite_record *record = &records[i];
        struct log_topic *topic = NULL;
        struct log_partition *partition = NULL;
        klane_err_t err = find_topic(log, record->topic, &topic);

        if (err == KLANE_OK)
            err = choose_partition(log, topic, record, &partition);
        if (err == KLANE_OK)
            err = insert(log, record, partition,
                         record->timestamp_ms == -1 ? now : record->timestamp_ms);
        if (err != KLANE_OK)
            return err;
        if (offsets != NULL)
            offsets[i] = partition->next - 1;
    }
    return write_next_offsets(log);
}

klane_err_t klane_sqlite_append_batch(struct klane_sqlite *log,
                                      const struct klane_sqlite_record *records, size_t count,
                                      int64_t *offsets)
{
    klane_err_t err = log_enter(log);

    if (err != KLANE_OK)
        return err;
    if (records == NULL && count > 0)
        return database_fail(&log->database, KLANE_ERR_INVALID, "records is NULL");
    for (size_t i = 0; i < count; i++) {
        err = check_record(log, &records[i], i);
        if (err != KLANE_OK)
            return err;
    }
    if (count == 0)
        return KLANE_OK;
    err = log_begin(log);
    if (err == KLANE_OK)
        err = log_finish(log, append_all(log, records, count, offsets));
    /* What was bound belongs to the caller. */
    sqlite3_clear_bindings(log->statements[LOG_INSERT]);
    return err;
}

klane_err_t klane_sqlite_append(struct klane_sqlite *log,
                                const struct klane_sqlite_record *record, int64_t *offset)
{
    return klane_sqlite_append_batch(log, record, 1, offset);
}

/* ---- looking ----------------------------------------------------------------------------- */

/* The group's row for the partition, at which the statement stands; NOT_FOUND without a text:
 * there is none. The caller resets it. */
static klane_err_t find_committed(struct klane_sqlite *log, const char *group, const char *topic,
                                  int32_t partition)
{
    sqlite3_stmt *committed = log->statements[LOG_COMMITTED];
    struct log_topic *found;
    klane_err_t err;

    if (!given_name_is_valid(group) || !given_name_is_valid(topic))
        return database_fail(&log->database, KLANE_ERR_INVALID, "group or topic is not a name");
    err = find_topic(log, topic, &found);
    if (err != KLANE_OK)
        return err;
    if (partition < 0 || partition >= found->partition_count)
        return database_fail(&log->database, KLANE_ERR_NOT_FOUND,
                             "topic %s has no partition %" PRId32, topic, partition);
    sqlite3_bind_int64(committed, 1, found->partitions[partition].id);
    sqlite3_bind_text(committed, 2, group, -1, SQLITE_STATIC);
    return database_row(&log->database, committed);
}

static klane_err_t copy_text(struct klane_sqlite *log, sqlite3_stmt *row, int column, char *text,
                             size_t size)
{
    const unsigned char *found = sqlite3_column_text(row, column);
    size_t length = (size_t)sqlite3_column_bytes(row, column);

    if (found == NULL)
        length = 0;
    if (length >= size)
        return database_fail(&log->database, KLANE_ERR_TOO_LARGE,
                             "what was committed along has %zu bytes", length);
    if (length > 0)
        memcpy(text, found, length);
    text[length] = '\0';
    return KLANE_OK;
}

klane_err_t klane_sqlite_progress(struct klane_sqlite *log, const char *group, const char *topic,
                                  int32_t partition, int64_t *offset, char *metadata, size_t size)
{
    klane_err_t err = log_enter(log);
    sqlite3_stmt *committed;

    if (err != KLANE_OK)
        return err;
    if (offset == NULL || (metadata == NULL) != (size == 0))
        return database_fail(&log->database, KLANE_ERR_INVALID, "offset or metadata is NULL");
    err = find_committed(log, group, topic, partition);
    committed = log->statements[LOG_COMMITTED];
    *offset = -1;
    if (size > 0)
        metadata[0] = '\0';
    if (err == KLANE_OK) {
        *offset = sqlite3_column_int64(committed, 0);
        if (size > 0)
            err = copy_text(log, committed, 1, metadata, size);
    } else if (err == KLANE_ERR_NOT_FOUND && log->database.text[0] == '\0') {
        err = KLANE_OK;
    }
    sqlite3_reset(committed);
    sqlite3_clear_bindings(committed);
    return err;
}

klane_err_t klane_sqlite_committed(struct klane_sqlite *log, const char *group, const char *topic,
                                   int32_t partition, int64_t *offset)
{
    return klane_sqlite_progress(log, group, topic, partition, offset, NULL, 0);
}
