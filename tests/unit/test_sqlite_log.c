/* SPDX-License-Identifier: Apache-2.0 */
/* Appending to the embedded log: what is kept, what is refused, and what becomes of bad files. */
#include "lib/log_fixture.h"
#include "lib/raw_sql.h"

#include "base/hash.h"
#include "base/headers.h"
#include "source/sqlite/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SHORT_MS = 50, STATEMENT_SIZE = 512 };

/* ---- helpers ---- */

static struct klane_sqlite_record record_of(const char *key, const char *value)
{
    return (struct klane_sqlite_record){.topic = "orders",
                                        .key = key,
                                        .key_size = key == NULL ? 0 : strlen(key),
                                        .value = value,
                                        .value_size = value == NULL ? 0 : strlen(value),
                                        .timestamp_ms = -1,
                                        .partition = -1};
}

static int64_t records_in(struct log_fixture *fixture)
{
    return raw_query(fixture->path, "SELECT count(*) FROM klane_records");
}

/* The record is refused, with a text, and nothing is kept of the batch that it is in. */
static void assert_record_refused(struct log_fixture *fixture,
                                  const struct klane_sqlite_record *record, klane_err_t err)
{
    struct klane_sqlite_record batch[] = {record_of("key", "value"), *record};

    assert_int_equal(klane_sqlite_append_batch(fixture->log, batch, 2, NULL), err);
    assert_non_null(strstr(klane_sqlite_errmsg(fixture->log), fixture->path));
    assert_int_equal(records_in(fixture), 0);
    assert_int_equal(klane_sqlite_append(fixture->log, &batch[0], NULL), KLANE_OK);
    raw_execute(fixture->path, "DELETE FROM klane_records; UPDATE klane_partitions SET next = 0");
}

/* ---- what is kept ---- */

static void offsets_begin_at_0_and_rise_by_one_in_each_partition(void **state)
{
    struct log_fixture *fixture = *state;
    struct klane_sqlite_record batch[6];
    int64_t offsets[6];

    for (int32_t i = 0; i < 6; i++) {
        batch[i] = record_of("key", "value");
        batch[i].partition = i % 2;
    }

    assert_int_equal(klane_sqlite_append_batch(fixture->log, batch, 6, offsets), KLANE_OK);
    for (int64_t i = 0; i < 6; i++)
        assert_int_equal(offsets[i], i / 2);
    assert_int_equal(klane_sqlite_append_batch(fixture->log, batch, 6, offsets), KLANE_OK);
    for (int64_t i = 0; i < 6; i++)
        assert_int_equal(offsets[i], 3 + i / 2);
}

static void two_connections_go_on_where_the_other_ended(void **state)
{
    struct log_fixture *fixture = *state;
    struct klane_sqlite_record record = record_of("key", "value");
    struct klane_sqlite *other = NULL;
    int64_t offset = -1;

    assert_int_equal(klane_sqlite_open(fixture->path, LOG_BUSY_MS, &other, NULL, 0), KLANE_OK);
    for (int64_t i = 0; i < 20; i++) {
        assert_int_equal(klane_sqlite_append(i % 2 == 0 ? fixture->log : other, &record, &offset),
                         KLANE_OK);
        assert_int_equal(offset, i);
    }
    klane_sqlite_close(other);
}

/* The hash and its seed are part of the format. */
static void a_key_always_has_the_same_partition(void **state)
{
    struct log_fixture *fixture = *state;
    char key[16];

    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof(key), "key %d", i);
        struct klane_sqlite_record record = record_of(key, "value");
        assert_int_equal(klane_sqlite_append(fixture->log, &record, NULL), KLANE_OK);
        log_close(fixture);
        assert_int_equal(log_open(fixture), KLANE_OK);
    }
    for (int i = 0; i < 50; i++) {
        char sql[STATEMENT_SIZE];

        snprintf(key, sizeof(key), "key %d", i);
        snprintf(sql, sizeof(sql),
                 "SELECT number FROM klane_records JOIN klane_partitions"
                 " ON klane_partitions.id = klane_records.id >> 40"
                 " WHERE key = CAST('%s' AS BLOB)",
                 key);
        assert_int_equal(raw_query(fixture->path, sql), hash_bytes(key, strlen(key), 0) % 4);
    }
}

static void records_without_a_key_take_the_partitions_in_turn(void **state)
{
    struct log_fixture *fixture = *state;
    struct klane_sqlite_record record = record_of(NULL, "value");

    for (int i = 0; i < 12; i++)
        assert_int_equal(klane_sqlite_append(fixture->log, &record, NULL), KLANE_OK);

    assert_int_equal(raw_query(fixture->path, "SELECT min(next) FROM klane_partitions"), 3);
    assert_int_equal(raw_query(fixture->path, "SELECT max(next) FROM klane_partitions"), 3);
}

static void null_and_empty_keys_and_values_are_kept_apart(void **state)
{
    struct log_fixture *fixture = *state;
    struct klane_sqlite_record nothing = record_of(NULL, NULL);
    struct klane_sqlite_record empty = record_of("", "");

    assert_int_equal(klane_sqlite_append(fixture->log, &nothing, NULL), KLANE_OK);
    assert_int_equal(klane_sqlite_append(fixture->log, &empty, NULL), KLANE_OK);

    assert_int_equal(raw_query(fixture->path,
                               "SELECT count(*) FROM klane_records WHERE key IS NULL"
                               " AND value IS NULL AND headers IS NULL"),
                     1);
    assert_int_equal(raw_query(fixture->path, "SELECT count(*) FROM klane_records WHERE key = x''"
                                          " AND value = x''"),
                     1);
}

static void timestamps_are_kept_and_minus_one_means_now(void **state)
{
    struct log_fixture *fixture = *state;
    struct klane_sqlite_record record = record_of("key", "value");
    int64_t before = (int64_t)time(NULL) * 1000;

    assert_int_equal(klane_sqlite_append(fixture->log, &record, NULL), KLANE_OK);
    record.timestamp_ms = INT64_MAX;
    assert_int_equal(klane_sqlite_append(fixture->log, &record, NULL), KLANE_OK);

    assert_true(raw_query(fixture->path, "SELECT min(timestamp) FROM klane_records") >= before);
    assert_int_equal(raw_query(fixture->path, "SELECT max(timestamp) FROM klane_records"),
                     INT64_MAX);
}

static void a_topic_is_made_once_and_keeps_its_partitions(void **state)
{
    struct log_fixture *fixture = *state;

    assert_int_equal(klane_sqlite_topic(fixture->log, "orders", 4), KLANE_OK);
    assert_int_equal(klane_sqlite_topic(fixture->log, "orders", 5), KLANE_ERR_EXISTS);
    assert_non_null(strstr(klane_sqlite_errmsg(fixture->log), "orders"));
    assert_int_equal(klane_sqlite_topic(fixture->log, "most", 4096), KLANE_OK);

    assert_int_equal(raw_query(fixture->path, "SELECT count(*) FROM klane_partitions"), 4 + 4096);
}

static void every_connection_syncs_each_transaction(void **state)
{
    struct log_fixture *fixture = *state;
    sqlite3_stmt *statement = NULL;

    assert_int_equal(sqlite3_prepare_v2(fixture->log->database.handle, "PRAGMA synchronous", -1,
                                        &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);

    assert_int_equal(sqlite3_column_int(statement, 0), 2);
    sqlite3_finalize(statement);
}

/* ---- what is refused ---- */

static void bad_records_are_refused_with_their_whole_batch(void **state)
{
    static const struct klane_header_in nameless = {.name = NULL, .value = "x", .size = 1};
    struct log_fixture *fixture = *state;
    struct klane_sqlite_record bad[9];

    for (size_t i = 0; i < 9; i++)
        bad[i] = record_of("key", "value");
    bad[0].topic = NULL;
    bad[1].topic = "";
    bad[2].key = NULL;
    bad[3].value = NULL;
    bad[4].header_count = 1;
    bad[5].headers = &nameless;
    bad[5].header_count = 1;
    bad[6].timestamp_ms = -2;
    bad[7].partition = -2;
    bad[8].value_size = SIZE_MAX - 2;

    for (size_t i = 0; i < 9; i++)
        assert_record_refused(fixture, &bad[i], KLANE_ERR_INVALID);
}

static void records_that_are_together_too_large_are_refused_before_they_are_touched(void **state)
{
    struct log_fixture *fixture = *state;
    struct klane_sqlite_record record = record_of("key", "value");

    /* Nothing may look at so many bytes: they are not there. */
    record.key_size = 600 * 1000 * 1000;
    record.value_size = 600 * 1000 * 1000;

    assert_record_refused(fixture, &record, KLANE_ERR_INVALID);
}

static void unknown_topics_and_partitions_are_named(void **state)
{
    struct log_fixture *fixture = *state;
    struct klane_sqlite_record record = record_of("key", "value");

    record.topic = "nowhere";
    assert_int_equal(klane_sqlite_append(fixture->log, &record, NULL), KLANE_ERR_NOT_FOUND);
    assert_non_null(strstr(klane_sqlite_errmsg(fixture->log), "nowhere"));
    record.topic = "orders";
    record.partition = 4;
    assert_record_refused(fixture, &record, KLANE_ERR_NOT_FOUND);
}

static void bad_topics_are_refused(void **state)
{
    static const char *const names[] = {NULL, "", "two words", "bell\a"};
    struct log_fixture *fixture = *state;
    char name[251];

    for (size_t i = 0; i < 4; i++)
        assert_int_equal(klane_sqlite_topic(fixture->log, names[i], 1), KLANE_ERR_INVALID);
    assert_int_equal(klane_sqlite_topic(fixture->log, "t", 0), KLANE_ERR_INVALID);
    assert_int_equal(klane_sqlite_topic(fixture->log, "t", -1), KLANE_ERR_INVALID);
    assert_int_equal(klane_sqlite_topic(fixture->log, "t", 4097), KLANE_ERR_INVALID);
    memset(name, 'n', 250);
    name[250] = '\0';
    assert_int_equal(klane_sqlite_topic(fixture->log, name, 1), KLANE_ERR_INVALID);
    name[249] = '\0';
    assert_int_equal(klane_sqlite_topic(fixture->log, name, 1), KLANE_OK);
}

static void missing_arguments_are_refused(void **state)
{
    struct log_fixture *fixture = *state;
    struct klane_sqlite_record record = record_of("key", "value");
    struct klane_sqlite *log = fixture->log;
    int64_t offset = 0;

    assert_int_equal(klane_sqlite_open(NULL, 0, &log, fixture->errstr, LOG_ERRSTR_SIZE),
                     KLANE_ERR_INVALID);
    assert_null(log);
    assert_int_equal(klane_sqlite_open(fixture->path, 0, NULL, NULL, 0), KLANE_ERR_INVALID);
    assert_int_equal(klane_sqlite_append(NULL, &record, NULL), KLANE_ERR_INVALID);
    assert_int_equal(klane_sqlite_append(fixture->log, NULL, NULL), KLANE_ERR_INVALID);
    assert_int_equal(klane_sqlite_append_batch(fixture->log, NULL, 0, NULL), KLANE_OK);
    assert_int_equal(klane_sqlite_topic(NULL, "t", 1), KLANE_ERR_INVALID);
    assert_int_equal(klane_sqlite_committed(fixture->log, NULL, "orders", 0, &offset),
                     KLANE_ERR_INVALID);
    assert_int_equal(klane_sqlite_committed(fixture->log, "g", "orders", 0, NULL),
                     KLANE_ERR_INVALID);
    assert_int_equal(klane_sqlite_committed(fixture->log, "g", "orders", 9, &offset),
                     KLANE_ERR_NOT_FOUND);
    assert_int_equal(klane_sqlite_committed(fixture->log, "g", "orders", 0, &offset), KLANE_OK);
    assert_int_equal(offset, -1);
    assert_string_equal(klane_sqlite_errmsg(NULL), "");
    klane_sqlite_close(NULL);
}

static void a_child_of_fork_is_refused(void **state)
{
    struct log_fixture *fixture = *state;
    struct klane_sqlite_record record = record_of("key", "value");
    struct klane_sqlite *other = NULL;
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        int wrong = klane_sqlite_append(fixture->log, &record, NULL) != KLANE_ERR_FORKED ||
                    klane_sqlite_open(fixture->path, 0, &other, NULL, 0) != KLANE_ERR_FORKED;

        klane_sqlite_close(fixture->log);
        _exit(wrong);
    }

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(klane_sqlite_append(fixture->log, &record, NULL), KLANE_OK);
}

/* ---- files ---- */

static void a_file_of_something_else_is_refused_and_left_as_it_is(void **state)
{
    static const char text[] = "This is a letter, and whoever wrote it would like to keep it. "
                               "It is longer than the header of an SQLite database.\n"
                               "..................................................";
    struct log_fixture *fixture = *state;
    char kept[sizeof(text)];
    FILE *file;

    log_write_file(fixture->path, text, sizeof(text));
    log_assert_refused(fixture, KLANE_ERR_CORRUPT, "not a database");

    file = fopen(fixture->path, "r");
    assert_non_null(file);
    assert_int_equal(fread(kept, 1, sizeof(kept), file), sizeof(text));
    fclose(file);
    assert_memory_equal(kept, text, sizeof(text));
}

static void a_database_of_something_else_is_refused_and_left_as_it_is(void **state)
{
    struct log_fixture *fixture = *state;

    raw_execute(fixture->path, "CREATE TABLE letters (text); INSERT INTO letters VALUES ('dear')");
    log_assert_refused(fixture, KLANE_ERR_CORRUPT, "it is an SQLite database but not a klane log");

    assert_int_equal(raw_query(fixture->path, "SELECT count(*) FROM letters"), 1);
    assert_int_equal(raw_query(fixture->path, "SELECT count(*) FROM sqlite_schema"), 1);
}

static void a_database_that_only_bears_a_version_is_refused(void **state)
{
    struct log_fixture *fixture = *state;

    raw_execute(fixture->path, "PRAGMA user_version = 7");
    log_assert_refused(fixture, KLANE_ERR_CORRUPT, "not a klane log");
}

static void a_log_of_a_newer_version_is_refused(void **state)
{
    struct log_fixture *fixture = *state;

    log_close(fixture);
    raw_execute(fixture->path, "PRAGMA user_version = 99");
    log_assert_refused(fixture, KLANE_ERR_VERSION, "version 99");
    raw_execute(fixture->path, "PRAGMA user_version = 0");
    log_assert_refused(fixture, KLANE_ERR_CORRUPT, "no version");
}

static void an_empty_file_becomes_a_log(void **state)
{
    struct log_fixture *fixture = *state;

    log_write_file(fixture->path, "", 0);

    assert_int_equal(log_open(fixture), KLANE_OK);
    assert_int_equal(klane_sqlite_topic(fixture->log, "orders", 1), KLANE_OK);
}

static void an_empty_file_beside_a_filled_write_ahead_log_is_refused(void **state)
{
    struct log_fixture *fixture = *state;
    char journal[SCRATCH_PATH_SIZE];

    scratch_path(&fixture->scratch, "log-wal", journal);
    log_write_file(fixture->path, "", 0);
    log_write_file(journal, "records", 7);

    log_assert_refused(fixture, KLANE_ERR_CORRUPT, "write-ahead log");
    assert_int_equal(log_file_size(journal), 7);
}

static void a_log_without_its_tables_is_refused(void **state)
{
    struct log_fixture *fixture = *state;

    log_close(fixture);
    raw_execute(fixture->path, "DROP TABLE klane_offsets");
    log_assert_refused(fixture, KLANE_ERR_CORRUPT, "klane_offsets");
}

static void a_truncated_log_is_refused_or_reported_and_never_made_anew(void **state)
{
    struct log_fixture *fixture = *state;
    struct klane_sqlite_record record = record_of("key", "value");
    klane_err_t err;
    int64_t size;

    for (int i = 0; i < 500; i++)
        assert_int_equal(klane_sqlite_append(fixture->log, &record, NULL), KLANE_OK);
    log_close(fixture);
    size = log_file_size(fixture->path) / 4096 / 2 * 4096;
    assert_int_equal(truncate(fixture->path, (off_t)size), 0);

    err = log_open(fixture);
    if (err == KLANE_OK)
        err = klane_sqlite_append(fixture->log, &record, NULL);
    log_close(fixture);

    assert_int_equal(err, KLANE_ERR_CORRUPT);
    assert_int_equal(log_file_size(fixture->path), size);
}

/* Overwrites every page but the first with the same byte. */
static void damage_pages(const char *path)
{
    FILE *file = fopen(path, "r+");
    int64_t size = log_file_size(path);

    assert_non_null(file);
    assert_int_equal(fseek(file, 4096, SEEK_SET), 0);
    for (int64_t i = 4096; i < size; i++)
        assert_int_equal(fputc(0xa5, file), 0xa5);
    assert_int_equal(fclose(file), 0);
}

static void damaged_pages_are_reported(void **state)
{
    struct log_fixture *fixture = *state;
    struct klane_sqlite_record record = record_of("key", "value");

    assert_int_equal(klane_sqlite_append(fixture->log, &record, NULL), KLANE_OK);
    log_close(fixture);
    damage_pages(fixture->path);

    assert_int_equal(log_open(fixture), KLANE_OK);
    assert_int_equal(klane_sqlite_append(fixture->log, &record, NULL), KLANE_ERR_CORRUPT);
    assert_non_null(strstr(klane_sqlite_errmsg(fixture->log), fixture->path));
}

static void a_write_ahead_log_that_is_noise_counts_as_empty(void **state)
{
    struct log_fixture *fixture = *state;
    struct klane_sqlite_record record = record_of("key", "value");
    char journal[SCRATCH_PATH_SIZE];
    int64_t offset = -1;

    assert_int_equal(klane_sqlite_append(fixture->log, &record, NULL), KLANE_OK);
    log_close(fixture);
    scratch_path(&fixture->scratch, "log-wal", journal);
    log_write_file(journal, "noise that is no write-ahead log at all", 39);

    assert_int_equal(log_open(fixture), KLANE_OK);
    assert_int_equal(klane_sqlite_append(fixture->log, &record, &offset), KLANE_OK);
    assert_int_equal(offset, 1);
}

static void a_log_that_stays_locked_is_busy_and_nothing_is_appended(void **state)
{
    struct log_fixture *fixture = *state;
    struct klane_sqlite_record record = record_of("key", "value");
    struct klane_sqlite *hasty = NULL;
    sqlite3 *raw = NULL;

    assert_int_equal(klane_sqlite_open(fixture->path, SHORT_MS, &hasty, NULL, 0), KLANE_OK);
    assert_int_equal(sqlite3_open(fixture->path, &raw), SQLITE_OK);
    assert_int_equal(sqlite3_exec(raw, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);

    assert_int_equal(klane_sqlite_append(hasty, &record, NULL), KLANE_ERR_BUSY);
    assert_int_equal(klane_sqlite_topic(hasty, "other", 1), KLANE_ERR_BUSY);

    assert_int_equal(sqlite3_exec(raw, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(records_in(fixture), 0);
    assert_int_equal(klane_sqlite_append(hasty, &record, NULL), KLANE_OK);
    sqlite3_close(raw);
    klane_sqlite_close(hasty);
}

static void a_full_disk_refuses_the_batch_and_keeps_what_was_acknowledged(void **state)
{
    struct log_fixture *fixture = *state;
    struct klane_sqlite_record batch[200];
    klane_err_t err = KLANE_OK;
    int64_t acknowledged = 0;
    int64_t offset = -1;

    for (size_t i = 0; i < 200; i++) {
        batch[i] = record_of("key", "a value that takes some room on the disk, as values do");
        batch[i].partition = 0;
    }
    assert_int_equal(sqlite3_exec(fixture->log->database.handle, "PRAGMA max_page_count = 40",
                                  NULL, NULL, NULL),
                     SQLITE_OK);

    while (err == KLANE_OK) {
        err = klane_sqlite_append_batch(fixture->log, batch, 200, NULL);
        acknowledged += err == KLANE_OK ? 200 : 0;
        assert_true(acknowledged < 100000);
    }

    assert_int_equal(err, KLANE_ERR_FULL);
    assert_true(acknowledged > 0);
    assert_int_equal(records_in(fixture), acknowledged);
    assert_int_equal(sqlite3_exec(fixture->log->database.handle, "PRAGMA max_page_count = 4000",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(klane_sqlite_append(fixture->log, &batch[0], &offset), KLANE_OK);
    assert_int_equal(offset, acknowledged);
}

static void a_partition_without_offsets_left_is_full(void **state)
{
    struct log_fixture *fixture = *state;
    struct klane_sqlite_record record = record_of("key", "value");
    int64_t offset = -1;

    raw_execute(fixture->path, "UPDATE klane_partitions SET next = (1 << 40) - 2");

    assert_int_equal(klane_sqlite_append(fixture->log, &record, &offset), KLANE_OK);
    assert_int_equal(offset, ((int64_t)1 << 40) - 2);
    assert_int_equal(klane_sqlite_append(fixture->log, &record, NULL), KLANE_ERR_FULL);
    assert_int_equal(records_in(fixture), 1);
}

static void a_place_that_is_taken_is_damage_and_nothing_is_overwritten(void **state)
{
    struct log_fixture *fixture = *state;
    struct klane_sqlite_record record = record_of("key", "value");

    assert_int_equal(klane_sqlite_append(fixture->log, &record, NULL), KLANE_OK);
    raw_execute(fixture->path, "UPDATE klane_partitions SET next = 0");

    assert_int_equal(klane_sqlite_append(fixture->log, &record, NULL), KLANE_ERR_CORRUPT);
    assert_int_equal(records_in(fixture), 1);
}

static void a_schema_that_brings_its_own_code_does_not_run_it(void **state)
{
    struct log_fixture *fixture = *state;
    struct klane_sqlite_record record = record_of("key", "value");

    log_close(fixture);
    raw_execute(fixture->path, "CREATE TRIGGER evil AFTER INSERT ON klane_records"
                           " BEGIN DELETE FROM klane_topics; END");
    assert_int_equal(log_open(fixture), KLANE_OK);

    assert_int_equal(klane_sqlite_append(fixture->log, &record, NULL), KLANE_OK);
    assert_int_equal(raw_query(fixture->path, "SELECT count(*) FROM klane_topics"), 1);
}

static void several_processes_can_make_one_log_at_once(void **state)
{
    enum { PROCESSES = 8 };
    struct log_fixture *fixture = *state;
    int status;

    for (int i = 0; i < PROCESSES; i++)
        if (fork() == 0) {
            struct klane_sqlite_record record = record_of("key", "value");
            klane_err_t err = log_open(fixture);

            if (err == KLANE_OK)
                err = klane_sqlite_topic(fixture->log, "orders", 4);
            if (err == KLANE_OK)
                err = klane_sqlite_append(fixture->log, &record, NULL);
            if (err != KLANE_OK)
                fprintf(stderr, "%s %s\n", fixture->errstr, klane_sqlite_errmsg(fixture->log));
            klane_sqlite_close(fixture->log);
            _exit((int)err);
        }

    for (int i = 0; i < PROCESSES; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(records_in(fixture), PROCESSES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_MADE(offsets_begin_at_0_and_rise_by_one_in_each_partition),
        LOG_MADE(two_connections_go_on_where_the_other_ended),
        LOG_MADE(a_key_always_has_the_same_partition),
        LOG_MADE(records_without_a_key_take_the_partitions_in_turn),
        LOG_MADE(null_and_empty_keys_and_values_are_kept_apart),
        LOG_MADE(timestamps_are_kept_and_minus_one_means_now),
        LOG_MADE(a_topic_is_made_once_and_keeps_its_partitions),
        LOG_MADE(every_connection_syncs_each_transaction),
        LOG_MADE(bad_records_are_refused_with_their_whole_batch),
        LOG_MADE(records_that_are_together_too_large_are_refused_before_they_are_touched),
        LOG_MADE(unknown_topics_and_partitions_are_named),
        LOG_MADE(bad_topics_are_refused),
        LOG_MADE(missing_arguments_are_refused),
        LOG_MADE(a_child_of_fork_is_refused),
        LOG_NEW(a_file_of_something_else_is_refused_and_left_as_it_is),
        LOG_NEW(a_database_of_something_else_is_refused_and_left_as_it_is),
        LOG_NEW(a_database_that_only_bears_a_version_is_refused),
        LOG_MADE(a_log_of_a_newer_version_is_refused),
        LOG_NEW(an_empty_file_becomes_a_log),
        LOG_NEW(an_empty_file_beside_a_filled_write_ahead_log_is_refused),
        LOG_MADE(a_log_without_its_tables_is_refused),
        LOG_MADE(a_truncated_log_is_refused_or_reported_and_never_made_anew),
        LOG_MADE(damaged_pages_are_reported),
        LOG_MADE(a_write_ahead_log_that_is_noise_counts_as_empty),
        LOG_MADE(a_log_that_stays_locked_is_busy_and_nothing_is_appended),
        LOG_MADE(a_full_disk_refuses_the_batch_and_keeps_what_was_acknowledged),
        LOG_MADE(a_partition_without_offsets_left_is_full),
        LOG_MADE(a_place_that_is_taken_is_damage_and_nothing_is_overwritten),
        LOG_MADE(a_schema_that_brings_its_own_code_does_not_run_it),
        LOG_NEW(several_processes_can_make_one_log_at_once),
    };

    return check_run(tests);
}
