/* SPDX-License-Identifier: Apache-2.0 */
/* The helper's half of the embedded log's source. It may wait, for the disk and for the locks of
 * other processes.
 *
 * Edge R1: see source/sqlite/reader.h. */
#include "source/sqlite/reader.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/headers.h"
#include "source/sqlite/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ALIGNMENT = 8 /* of every record in a run */
};

static const char *const statement_texts[READER_STATEMENTS] = {
    [READER_BEGIN] = "BEGIN",
    [READER_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [READER_END] = "COMMIT",
    [READER_ROLLBACK] = "ROLLBACK",
    [READER_FIND_TOPIC] = "SELECT id, partitions FROM klane_topics WHERE name = ?",
    [READER_FIND_PARTITIONS] = "SELECT id, number, next, first FROM klane_partitions"
                               " WHERE topic = ? ORDER BY number",
    [READER_FIND_COMMITTED] = "SELECT committed, metadata FROM klane_offsets"
                              " WHERE partition_id = ? AND group_id = ?",
    [READER_FIRST_SINCE] = "SELECT id FROM klane_records WHERE id >= ? AND id < ?"
                           " AND timestamp >= ? ORDER BY id LIMIT 1",
    [READER_BOUNDS] = "SELECT next, first FROM klane_partitions WHERE id = ?",
    [READER_RANGE] = "SELECT id, timestamp, key, value, headers FROM klane_records"
                     " WHERE id >= ? AND id < ? ORDER BY id",
    [READER_SET_COMMITTED] =
        "INSERT INTO klane_offsets (group_id, partition_id, committed, metadata)"
        " VALUES (?1, ?2, ?3, ?4) ON CONFLICT (group_id, partition_id)"
        " DO UPDATE SET committed = excluded.committed,"
        " metadata = excluded.metadata"
        " WHERE excluded.committed >= committed OR ?5",
    [READER_DATA_VERSION] = "PRAGMA data_version",
    [READER_ENDS] = "SELECT id, next FROM klane_partitions WHERE id >= ? AND id <= ? ORDER BY id",
};

klane_err_t sqlite_reader_init(struct sqlite_reader *reader, const char *path, const char *group)
{
    klane_err_t err = database_open(&reader->database, path, READER_BUSY_MS);

    if (err == KLANE_OK)
        err = check_if_left(&reader->database, CHECK_WHOLE);
    if (err == KLANE_OK)
        err = database_prepare(&reader->database, statement_texts, READER_STATEMENTS,
                               reader->statements);
    if (err == KLANE_OK)
        err = sqlite_group_init(&reader->group, &reader->database, group);
    reader->wake.type = READER_WAKE;
    atomic_init(&reader->wake_is_out, false);
    if (err != KLANE_OK)
        sqlite_reader_deinit(reader);
    return err;
}

static void close_log(struct sqlite_reader *reader)
{
    /* Another may join: nothing is committed any more. */
    sqlite_group_leave(&reader->group);
    cleaning_stop(reader->cleaning);
    reader->cleaning = NULL;
    database_finalize(reader->statements, READER_STATEMENTS);
    database_close(&reader->database);
}

void sqlite_reader_deinit(struct sqlite_reader *reader)
{
    close_log(reader);
    sqlite_group_deinit(&reader->group);
    free(reader->watched);
    reader->watched = NULL;
}

static int64_t id_of(const struct sqlite_partition *partition, int64_t offset)
{
    return partition->found.id << DATABASE_OFFSET_BITS | offset;
}

static int64_t offset_of(int64_t id)
{
    return id & (DATABASE_OFFSETS_MAX - 1);
}

static klane_err_t no_memory(struct sqlite_reader *reader)
{
    return database_fail(&reader->database, KLANE_ERR_NOMEM, "memory is exhausted");
}

/* ---- finding topics ---------------------------------------------------------------------- */

/* The first record that is not older; next: there is none. */
static klane_err_t first_since(struct sqlite_reader *reader,
                               const struct sqlite_partition *partition, int64_t next,
                               int64_t since_ms, int64_t *offset)
{
    sqlite3_stmt *first = reader->statements[READER_FIRST_SINCE];
    klane_err_t err;

    sqlite3_bind_int64(first, 1, id_of(partition, 0));
    sqlite3_bind_int64(first, 2, id_of(partition, next));
    sqlite3_bind_int64(first, 3, since_ms);
    err = database_row(&reader->database, first);
    *offset = err == KLANE_OK ? offset_of(sqlite3_column_int64(first, 0)) : next;
    sqlite3_reset(first);
    return err == KLANE_ERR_NOT_FOUND ? KLANE_OK : err;
}

/* The metadata in the row at hand, if it has any. */
static klane_err_t copy_metadata(struct sqlite_reader *reader, sqlite3_stmt *row,
                                 struct source_position *position)
{
    const unsigned char *text = sqlite3_column_text(row, 1);
    size_t size = (size_t)sqlite3_column_bytes(row, 1);
    char *copy;

    if (text == NULL || size == 0)
        return KLANE_OK;
    copy = malloc(size);
    if (copy == NULL)
        return no_memory(reader);
    memcpy(copy, text, size);
    position->metadata = copy;
    position->metadata_size = size;
    return KLANE_OK;
}

/* -1: none. */
static klane_err_t find_committed(struct sqlite_reader *reader,
                                  struct sqlite_partition *partition, int64_t *committed)
{
    sqlite3_stmt *find = reader->statements[READER_FIND_COMMITTED];
    klane_err_t err;

    sqlite3_bind_int64(find, 1, partition->found.id);
    sqlite3_bind_int64(find, 2, reader->group.id);
    err = database_row(&reader->database, find);
    *committed = err == KLANE_OK ? sqlite3_column_int64(find, 0) : -1;
    if (err == KLANE_OK)
        err = copy_metadata(reader, find, &partition->found.position);
    sqlite3_reset(find);
    return err == KLANE_ERR_NOT_FOUND ? KLANE_OK : err;
}

/* All of a topic that was not there before came after the start, also for those who begin with the
 * latest. */
static klane_err_t find_begin(struct sqlite_reader *reader, struct sqlite_partition *partition,
                              bool was_missing, int64_t first, int64_t next)
{
    const struct source_topic *topic = partition->found.topic;
    struct source_position *position = &partition->found.position;
    enum klane_begin begin = was_missing ? KLANE_BEGIN_EARLIEST : topic->begin;
    int64_t committed = -1;
    klane_err_t err = find_committed(reader, partition, &committed);

    if (err != KLANE_OK)
        return err;
    partition->found.committed = -1;
    position->end = next;
    position->is_committed = committed >= first && committed <= next;
    if (position->is_committed) {
        position->begin = committed;
        return KLANE_OK;
    }
    if (committed >= 0) {
        KLANE_MARK("sqlite: committed offset out of range");
        begin = topic->out_of_range;
        partition->found.committed = committed;
        partition->helper.committed_is_void = true;
    }
    partition->found.has_no_begin = begin == KLANE_BEGIN_ERROR;
    position->begin = begin == KLANE_BEGIN_LATEST ? next : first;
    if (begin == KLANE_BEGIN_TIME && topic->begin_time_ms >= 0)
        return first_since(reader, partition, next, topic->begin_time_ms, &position->begin);
    return KLANE_OK;
}

/* Room to watch count partitions more. */
static klane_err_t watch_reserve(struct sqlite_reader *reader, size_t count)
{
    size_t capacity = reader->watched_count + count;
    struct sqlite_partition **grown =
        realloc(reader->watched, capacity * sizeof(struct sqlite_partition *));

    if (grown == NULL)
        return no_memory(reader);
    reader->watched = grown;
    return KLANE_OK;
}

/* Keeps the partition among those whose ends are looked at; there is room. */
static void watch(struct sqlite_reader *reader, struct sqlite_partition *partition)
{
    size_t place = reader->watched_count++;

    while (place > 0 && reader->watched[place - 1]->found.id > partition->found.id) {
        reader->watched[place] = reader->watched[place - 1];
        place--;
    }
    reader->watched[place] = partition;
}

/* The partition in the row at hand, which has to be this number of its topic. */
static klane_err_t found_partition(struct sqlite_reader *reader, const struct source_topic *topic,
                                   bool was_missing, sqlite3_stmt *row, int64_t number,
                                   struct sqlite_partitions *partitions)
{
    int64_t id = sqlite3_column_int64(row, 0);
    int64_t next = sqlite3_column_int64(row, 2);
    int64_t first = sqlite3_column_int64(row, 3);
    struct sqlite_partition *partition;

    if (id < 1 || id >= DATABASE_PARTITION_IDS_MAX || sqlite3_column_int64(row, 1) != number ||
        first < 0 || next < first || next > DATABASE_OFFSETS_MAX - 1)
        return database_fail(&reader->database, KLANE_ERR_CORRUPT,
                             "a partition of topic %s makes no sense", topic->name);
    partition = calloc(1, sizeof *partition);
    if (partition == NULL)
        return no_memory(reader);
    partition->found.topic = topic;
    partition->found.id = id;
    partition->found.number = (int32_t)number;
    atomic_init(&partition->end, next);
    STAILQ_INIT(&partition->control.runs);
    STAILQ_INSERT_TAIL(partitions, partition, control.all);
    return find_begin(reader, partition, was_missing, first, next);
}

void sqlite_metadata_free(struct sqlite_partition *partition)
{
    struct source_position *position = &partition->found.position;

    free((char *)(uintptr_t)position->metadata);
    position->metadata = NULL;
    position->metadata_size = 0;
}

void sqlite_partitions_free(struct sqlite_partitions *partitions)
{
    struct sqlite_partition *partition;

    while ((partition = STAILQ_FIRST(partitions)) != NULL) {
        STAILQ_REMOVE_HEAD(partitions, control.all);
        sqlite_metadata_free(partition);
        free(partition);
    }
}

/* All partitions of the topic, or none and an error; no error and none: there is no such topic. */
static klane_err_t find_topic(struct sqlite_reader *reader, const struct source_topic *topic,
                              bool was_missing, struct sqlite_partitions *partitions)
{
    sqlite3_stmt *find = reader->statements[READER_FIND_TOPIC];
    sqlite3_stmt *find_partitions = reader->statements[READER_FIND_PARTITIONS];
    int64_t expected = 0;
    int64_t number = 0;
    klane_err_t err;

    sqlite3_bind_text(find, 1, topic->name, -1, SQLITE_STATIC);
    err = database_row(&reader->database, find);
    if (err == KLANE_OK) {
        sqlite3_bind_int64(find_partitions, 1, sqlite3_column_int64(find, 0));
        expected = sqlite3_column_int64(find, 1);
        if (expected < 1 || expected > DATABASE_PARTITIONS_MAX)
            err = database_fail(&reader->database, KLANE_ERR_CORRUPT,
                                "topic %s has %" PRId64 " partitions", topic->name, expected);
        else
            err = watch_reserve(reader, (size_t)expected);
    }
    while (err == KLANE_OK &&
           (err = database_row(&reader->database, find_partitions)) == KLANE_OK) {
        err = found_partition(reader, topic, was_missing, find_partitions, number++, partitions);
    }
    if (err == KLANE_ERR_NOT_FOUND)
        err = KLANE_OK;
    if (err == KLANE_OK && number != expected)
        err = database_fail(&reader->database, KLANE_ERR_CORRUPT,
                            "the partitions of topic %s are not whole", topic->name);
    sqlite3_reset(find_partitions);
    sqlite3_reset(find);
    if (err != KLANE_OK)
        sqlite_partitions_free(partitions);
    return err;
}

/* What was found stays found, whatever happens to the topics behind it. */
static klane_err_t find_topics(struct sqlite_reader *reader, struct sqlite_find *request)
{
    klane_err_t err = database_run(&reader->database, reader->statements[READER_BEGIN]);

    STAILQ_INIT(&request->partitions);
    for (size_t i = 0; i < request->topic_count && err == KLANE_OK; i++) {
        struct sqlite_partitions found = STAILQ_HEAD_INITIALIZER(found);
        struct sqlite_partition *partition;

        if (request->is_found[i])
            continue;
        err = find_topic(reader, &request->topics[i], request->is_missing[i], &found);
        request->is_found[i] = !STAILQ_EMPTY(&found);
        STAILQ_FOREACH(partition, &found, control.all)
        watch(reader, partition);
        STAILQ_CONCAT(&request->partitions, &found);
    }
    if (err == KLANE_OK)
        err = database_run(&reader->database, reader->statements[READER_END]);
    database_rollback(&reader->database, reader->statements[READER_ROLLBACK]);
    return err;
}

/* ---- reading ----------------------------------------------------------------------------- */

static size_t record_size(const struct sqlite_record *record)
{
    size_t size = sizeof *record + record->headers_size;

    if (record->key_size != READER_NONE)
        size += record->key_size;
    if (record->value_size != READER_NONE)
        size += record->value_size;
    return (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

bool sqlite_run_next(struct sqlite_run *run, struct source_record *record)
{
    const struct sqlite_record *head;
    const unsigned char *bytes;

    if (run->offered == run->used)
        return false;
    head = (const struct sqlite_record *)(const void *)(run->bytes + run->offered);
    bytes = (const unsigned char *)(head + 1);
    record->offset = head->offset;
    record->timestamp_ms = head->timestamp_ms;
    record->key = head->key_size == READER_NONE ? NULL : bytes;
    record->key_size = head->key_size == READER_NONE ? 0 : head->key_size;
    bytes += record->key_size;
    record->value = head->value_size == READER_NONE ? NULL : bytes;
    record->value_size = head->value_size == READER_NONE ? 0 : head->value_size;
    bytes += record->value_size;
    record->headers = head->headers_size == 0 ? NULL : bytes;
    record->headers_size = head->headers_size;
    run->offered += record_size(head);
    return true;
}

/* Column's size; READER_NONE: NULL. False: it is neither bytes nor NULL. */
static bool size_of(sqlite3_stmt *row, int column, uint32_t *size)
{
    int type = sqlite3_column_type(row, column);

    *size = type == SQLITE_NULL ? READER_NONE : (uint32_t)sqlite3_column_bytes(row, column);
    return type == SQLITE_NULL || type == SQLITE_BLOB;
}

static unsigned char *copy_column(unsigned char *to, sqlite3_stmt *row, int column, uint32_t size)
{
    if (size == READER_NONE || size == 0)
        return to;
    memcpy(to, sqlite3_column_blob(row, column), size);
    return to + size;
}

/* A record that needs a run of its own size, while others of them are in memory. Passes have one
 * run, which may be as large as it has to be. */
static bool is_too_much(struct sqlite_reader *reader, const struct sqlite_run *run, size_t size)
{
    /* Relaxed: a bound. What the run held before does not matter: the list (M1) orders that. */
    size_t large = atomic_load_explicit(&reader->large_bytes, memory_order_relaxed);
    int64_t now_ms;
    bool is_next;

    if (size <= READER_RUN_BYTES || run->request.type != READER_READ)
        return false;
    now_ms = clock_now_ms();
    if (now_ms >= clock_after(reader->large_asked_ms, READER_LARGE_WAIT_MS))
        reader->large_next = NULL;
    is_next = reader->large_next == NULL || reader->large_next == run->partition;
    if (is_next && (large == 0 || large + size <= READER_LARGE_BYTES)) {
        reader->large_next = NULL;
        return false;
    }
    if (is_next) {
        reader->large_next = run->partition;
        reader->large_asked_ms = now_ms;
    }
    return true;
}

/* Room for size bytes more; a single record may take more than a run usually does. */
static klane_err_t make_room(struct sqlite_reader *reader, struct sqlite_run *run, size_t size)
{
    size_t capacity = size > READER_RUN_BYTES ? size : READER_RUN_BYTES;
    unsigned char *bytes;

    if (run->capacity - run->used >= size)
        return KLANE_OK;
    KLANE_ASSERT(run->used == 0);
    bytes = realloc(run->bytes, capacity);
    if (bytes == NULL)
        return no_memory(reader);
    run->bytes = bytes;
    run->capacity = capacity;
    if (capacity > READER_RUN_BYTES && run->request.type == READER_READ)
        /* Relaxed: a bound. */
        atomic_fetch_add_explicit(&reader->large_bytes, capacity, memory_order_relaxed);
    return KLANE_OK;
}

/* Copies the record in the row at hand. *is_full: it has no room behind the others. */
static klane_err_t copy_record(struct sqlite_reader *reader, struct sqlite_run *run,
                               sqlite3_stmt *row, int64_t end, bool *is_full)
{
    struct sqlite_record head = {.offset = offset_of(sqlite3_column_int64(row, 0)),
                                 .timestamp_ms = sqlite3_column_int64(row, 1)};
    unsigned char *bytes;
    size_t size;
    klane_err_t err;

    if (head.offset < run->next || head.offset >= end)
        return database_fail(&reader->database, KLANE_ERR_CORRUPT,
                             "record %" PRId64 " is not where it belongs", head.offset);
    if (!size_of(row, 2, &head.key_size) || !size_of(row, 3, &head.value_size) ||
        !size_of(row, 4, &head.headers_size))
        return database_fail(&reader->database, KLANE_ERR_CORRUPT,
                             "record %" PRId64 " is not made of bytes", head.offset);
    if (head.headers_size == READER_NONE)
        head.headers_size = 0;
    else if (!headers_valid(sqlite3_column_blob(row, 4), head.headers_size))
        return database_fail(&reader->database, KLANE_ERR_CORRUPT,
                             "the headers of record %" PRId64 " are damaged", head.offset);
    size = record_size(&head);
    run->waits = run->used == 0 && is_too_much(reader, run, size);
    *is_full = run->waits || (run->used > 0 && run->capacity - run->used < size);
    if (*is_full)
        return KLANE_OK;
    err = make_room(reader, run, size);
    if (err != KLANE_OK)
        return err;
    bytes = run->bytes + run->used;
    memcpy(bytes, &head, sizeof head);
    bytes = copy_column(bytes + sizeof head, row, 2, head.key_size);
    bytes = copy_column(bytes, row, 3, head.value_size);
    copy_column(bytes, row, 4, head.headers_size);
    run->used += size;
    run->next = head.offset + 1;
    return KLANE_OK;
}

static klane_err_t copy_records(struct sqlite_reader *reader, struct sqlite_run *run, int64_t end)
{
    sqlite3_stmt *range = reader->statements[READER_RANGE];
    bool is_full = false;
    klane_err_t err = KLANE_OK;

    sqlite3_bind_int64(range, 1, id_of(run->partition, run->next));
    sqlite3_bind_int64(range, 2, id_of(run->partition, end));
    while (!is_full && err == KLANE_OK) {
        err = database_row(&reader->database, range);
        if (err == KLANE_OK)
            err = copy_record(reader, run, range, end, &is_full);
    }
    sqlite3_reset(range);
    if (err == KLANE_ERR_NOT_FOUND) {
        run->next = end;
        run->end = end;
        err = KLANE_OK;
    }
    return err;
}

/* Where the run begins if age or size have taken what it was to begin with. For a pass it is a
 * hole. */
static void begin_behind(struct sqlite_run *run, int64_t first, int64_t end)
{
    int64_t begin = first;

    if (run->next >= first)
        return;
    if (run->request.type == READER_READ) {
        KLANE_MARK("sqlite: the next record has gone");
        if (run->partition->found.topic->out_of_range == KLANE_BEGIN_LATEST)
            begin = end;
        run->gone = run->next;
        run->begin = begin;
    }
    run->next = begin;
}

/* The statement for the end stays open meanwhile, so that both see the same state of the log. */
static klane_err_t read_run(struct sqlite_reader *reader, struct sqlite_run *run)
{
    struct sqlite_partition *partition = run->partition;
    sqlite3_stmt *bounds = reader->statements[READER_BOUNDS];
    klane_err_t err;

    run->gone = -1;
    run->used = 0;
    run->offered = 0;
    run->end = -1;
    run->waits = false;
    run->next = run->seek >= 0 ? run->seek : partition->helper.position;
    sqlite3_bind_int64(bounds, 1, partition->found.id);
    err = database_row(&reader->database, bounds);
    if (err == KLANE_OK) {
        int64_t end = sqlite3_column_int64(bounds, 0);

        begin_behind(run, sqlite3_column_int64(bounds, 1), end);
        if (end < run->next || end >= DATABASE_OFFSETS_MAX)
            err = database_fail(&reader->database, KLANE_ERR_CORRUPT,
                                "the log ends at %" PRId64 ", before what was read", end);
        else
            err = copy_records(reader, run, end);
        /* What a pass sees is no news to the main flow: it is to be found by look_at_ends().
         * Relaxed: read after a request came back (M1) that was sent after this. */
        if (run->request.type == READER_READ)
            atomic_store_explicit(&partition->end, end, memory_order_relaxed);
    } else if (err == KLANE_ERR_NOT_FOUND) {
        err = database_fail(&reader->database, KLANE_ERR_CORRUPT, "the partition has gone");
    }
    sqlite3_reset(bounds);
    if (run->request.type == READER_READ)
        partition->helper.position = run->next;
    return err;
}

/* ---- committing -------------------------------------------------------------------------- */

static klane_err_t set_committed(struct sqlite_reader *reader, const struct sqlite_commit *commit,
                                 const struct sqlite_commit_entry *entry)
{
    sqlite3_stmt *set = reader->statements[READER_SET_COMMITTED];
    klane_err_t err;

    sqlite3_bind_int64(set, 1, reader->group.id);
    sqlite3_bind_int64(set, 2, entry->partition->found.id);
    sqlite3_bind_int64(set, 3, entry->offset);
    if (entry->metadata_size > 0)
        sqlite3_bind_text(set, 4, commit->metadata + entry->metadata, (int)entry->metadata_size,
                          SQLITE_STATIC);
    else
        sqlite3_bind_null(set, 4);
    sqlite3_bind_int(set, 5, entry->partition->helper.committed_is_void);
    err = database_run(&reader->database, set);
    /* The text may move. */
    sqlite3_bind_null(set, 4);
    return err;
}

static klane_err_t commit(struct sqlite_reader *reader, const struct sqlite_commit *request)
{
    klane_err_t err = database_run(&reader->database, reader->statements[READER_BEGIN_WRITE]);

    if (err == KLANE_OK)
        err = sqlite_group_check(&reader->group);
    for (size_t i = 0; i < request->count && err == KLANE_OK; i++)
        err = set_committed(reader, request, &request->entries[i]);
    if (err == KLANE_OK)
        err = database_run(&reader->database, reader->statements[READER_END]);
    if (err != KLANE_OK) {
        database_rollback(&reader->database, reader->statements[READER_ROLLBACK]);
        return err;
    }
    for (size_t i = 0; i < request->count; i++)
        request->entries[i].partition->helper.committed_is_void = false;
    return KLANE_OK;
}

/* ---- looking for new records ------------------------------------------------------------- */

/* Compares the ends of all partitions with what was known. Both lists rise by id. */
static klane_err_t look_at_ends(struct sqlite_reader *reader)
{
    sqlite3_stmt *ends = reader->statements[READER_ENDS];
    size_t i = 0;
    klane_err_t err;

    if (reader->watched_count == 0)
        return KLANE_OK;
    sqlite3_bind_int64(ends, 1, reader->watched[0]->found.id);
    sqlite3_bind_int64(ends, 2, reader->watched[reader->watched_count - 1]->found.id);
    while ((err = database_row(&reader->database, ends)) == KLANE_OK) {
        int64_t id = sqlite3_column_int64(ends, 0);
        int64_t next = sqlite3_column_int64(ends, 1);

        while (i < reader->watched_count && reader->watched[i]->found.id < id)
            i++;
        if (i == reader->watched_count)
            break;
        /* Relaxed: only this thread writes it; it is read after a request came back (M1). */
        if (reader->watched[i]->found.id == id &&
            atomic_load_explicit(&reader->watched[i]->end, memory_order_relaxed) != next) {
            atomic_store_explicit(&reader->watched[i]->end, next, memory_order_relaxed);
            reader->has_grown = true;
        }
    }
    sqlite3_reset(ends);
    return err == KLANE_ERR_NOT_FOUND ? KLANE_OK : err;
}

/* Whoever consumes also cleans. */
static klane_err_t start_cleaning(struct sqlite_reader *reader)
{
    /* Its checkpoints would keep reads waiting; cleaning makes them. */
    sqlite3_wal_autocheckpoint(reader->database.handle, 0);
    reader->cleaning = cleaning_start(reader->database.path);
    return reader->cleaning != NULL
               ? KLANE_OK
               : database_fail(&reader->database, KLANE_ERR_SYSTEM,
                               "no thread to clean the log: %s", strerror(errno));
}

static void look(struct sqlite_reader *reader)
{
    sqlite3_stmt *data_version = reader->statements[READER_DATA_VERSION];
    int64_t version;
    klane_err_t err;

    if (reader->database.handle == NULL)
        return;
    reader->looked_ms = clock_now_ms();
    if (reader->looked_ms - reader->placed_ms >= READER_PLACE_MS) {
        reader->placed_ms = reader->looked_ms;
        reader->is_lost = !database_is_in_place(&reader->database);
    }
    err = database_row(&reader->database, data_version);
    version = err == KLANE_OK ? sqlite3_column_int64(data_version, 0) : -1;
    sqlite3_reset(data_version);
    if (err == KLANE_OK && version != reader->data_version)
        err = look_at_ends(reader);
    if (err == KLANE_OK && version != reader->data_version && reader->group.id != 0)
        err = sqlite_group_check(&reader->group);
    if (err == KLANE_ERR_FENCED) {
        reader->is_fenced = true;
        err = KLANE_OK;
    }
    if (err == KLANE_OK)
        reader->data_version = version;
    if (err == KLANE_OK && reader->cleans && reader->group.id != 0 && reader->cleaning == NULL)
        err = start_cleaning(reader);
    reader->look_err = err;
}

/* Whatever goes back to control carries the news with it. */
static void add_news(struct sqlite_reader *reader, struct sqlite_request *request)
{
    request->has_grown = reader->has_grown;
    request->is_lost = reader->is_lost;
    request->is_fenced = reader->is_fenced;
    reader->has_grown = false;
    reader->is_lost = false;
    reader->is_fenced = false;
}

static void reader_work(void *context, struct helper_request *base)
{
    struct sqlite_reader *reader = context;
    struct sqlite_request *request = (struct sqlite_request *)(void *)base;

    switch (request->type) {
    case READER_JOIN:
        request->err = sqlite_group_join(&reader->group);
        break;
    case READER_FIND:
        request->err = find_topics(reader, (struct sqlite_find *)(void *)request);
        break;
    case READER_READ:
    case READER_SWEEP:
        request->err = read_run(reader, (struct sqlite_run *)(void *)request);
        break;
    case READER_COMMIT:
        request->err = commit(reader, (struct sqlite_commit *)(void *)request);
        reader->is_fenced = reader->is_fenced || request->err == KLANE_ERR_FENCED;
        break;
    case READER_CLOSE:
        close_log(reader);
        break;
    case READER_WAKE:
        break;
    }
    if (request->err != KLANE_OK)
        snprintf(request->text, sizeof request->text, "%s", reader->database.text);
    /* While requests follow each other closely the helper is never idle. */
    if (clock_now_ms() - reader->looked_ms >= READER_LOOK_MS)
        look(reader);
    add_news(reader, request);
}

static struct helper_request *reader_idle(void *context)
{
    struct sqlite_reader *reader = context;
    bool may_fail, has_failed;

    look(reader);
    may_fail = reader->looked_ms - reader->failed_ms >= READER_PLACE_MS;
    if (may_fail && reader->look_err == KLANE_OK)
        reader->look_err = cleaning_error(reader->cleaning, reader->database.text);
    has_failed = may_fail && reader->look_err != KLANE_OK;
    if (!has_failed && !reader->has_grown && !reader->is_lost && !reader->is_fenced)
        return NULL;
    /* R1 acquire: control has done with the request. Pairs with request_came(). */
    if (atomic_load_explicit(&reader->wake_is_out, memory_order_acquire))
        return NULL;
    /* Relaxed: the mailbox hands the request over. */
    atomic_store_explicit(&reader->wake_is_out, true, memory_order_relaxed);
    reader->wake.err = KLANE_OK;
    if (has_failed) {
        reader->failed_ms = reader->looked_ms;
        reader->wake.err = reader->look_err;
        memcpy(reader->wake.text, reader->database.text, sizeof reader->wake.text);
    }
    add_news(reader, &reader->wake);
    return &reader->wake.base;
}

const struct helper_ops sqlite_helper_ops = {
    .work = reader_work,
    .idle = reader_idle,
};
