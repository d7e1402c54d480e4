/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded log as a source: the contract of every source, and what only files bring. */
#include "lib/check.h"
#include "lib/scratch.h"
#include "lib/source_conformance.h"
#include "lib/source_reader.h"

#include <klane/sqlite.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    BUSY_MS = 10000,
    ERRSTR_SIZE = 512,
    STATEMENT_SIZE = 256,
    COMMIT_WAITS_US = 50000,
    MORE_THAN_IS_READ_AHEAD = 30000 /* records */
};

/* ---- a log, for the contract and for the tests below ---- */

struct log {
    struct scratch scratch;
    char path[SCRATCH_PATH_SIZE];
    struct klane_sqlite *appender;
    sqlite3 *raw; /* a connection of no klane at all */
};

static void *log_open(void)
{
    struct log *log = calloc(1, sizeof(*log));
    char errstr[ERRSTR_SIZE];

    assert_non_null(log);
    scratch_init(&log->scratch);
    scratch_path(&log->scratch, "log", log->path);
    assert_int_equal(
        klane_sqlite_open(log->path, BUSY_MS, &log->appender, errstr, sizeof(errstr)), KLANE_OK);
    assert_int_equal(sqlite3_open(log->path, &log->raw), SQLITE_OK);
    sqlite3_busy_timeout(log->raw, BUSY_MS);
    return log;
}

static void log_close(void *context)
{
    struct log *log = context;

    klane_sqlite_close(log->appender);
    sqlite3_close(log->raw);
    scratch_deinit(&log->scratch);
    free(log);
}

static void log_topic(void *context, const char *topic, int32_t partitions)
{
    struct log *log = context;

    assert_int_equal(klane_sqlite_topic(log->appender, topic, partitions), KLANE_OK);
}

/* Any thread: it may not assert. */
static bool execute(struct log *log, const char *sql)
{
    return sqlite3_exec(log->raw, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* As if records had been taken out of the log. */
static bool skip_to(struct log *log, const char *topic, int32_t partition, int64_t offset)
{
    char sql[STATEMENT_SIZE];

    snprintf(sql, sizeof(sql),
             "UPDATE klane_partitions SET next = %lld WHERE number = %d AND topic ="
             " (SELECT id FROM klane_topics WHERE name = '%s')",
             (long long)offset, (int)partition, topic);
    return execute(log, sql);
}

static int64_t log_append(void *context, const char *topic, int32_t partition,
                          const struct conformance_record *record)
{
    struct log *log = context;
    struct klane_sqlite_record in = {.topic = topic,
                                     .key = record->key,
                                     .key_size = record->key_size,
                                     .value = record->value,
                                     .value_size = record->value_size,
                                     .timestamp_ms = record->timestamp_ms,
                                     .partition = partition,
                                     .headers = record->headers,
                                     .header_count = record->header_count};
    int64_t offset = -1;

    if (record->offset >= 0 && !skip_to(log, topic, partition, record->offset))
        return -1;
    if (klane_sqlite_append(log->appender, &in, &offset) != KLANE_OK)
        return -1;
    return offset;
}

static struct klane_source *source_of_group(struct log *log, const char *group)
{
    struct klane_source *source = NULL;
    char errstr[ERRSTR_SIZE];

    assert_int_equal(klane_sqlite_create(log->path, group, KLANE_SQLITE_STANDBY, &source, errstr,
                                         sizeof(errstr)),
                     KLANE_OK);
    return source;
}

static struct klane_source *log_source(void *context)
{
    return source_of_group(context, "group");
}

static int64_t log_committed(void *context, const char *topic, int32_t partition)
{
    struct log *log = context;
    int64_t offset = -2;

    assert_int_equal(klane_sqlite_committed(log->appender, "group", topic, partition, &offset),
                     KLANE_OK);
    return offset;
}

/* A group of this log has one member: it cannot be told to take a partition away. */
static const struct conformance_log_ops log_ops = {
    .name = "sqlite",
    .can = CONFORMANCE_CAN_RESTART | CONFORMANCE_CAN_HOLES | CONFORMANCE_CAN_SWEEP,
    .open = log_open,
    .close = log_close,
    .topic = log_topic,
    .append = log_append,
    .source = log_source,
    .committed = log_committed,
};

/* ---- fixture ---- */

struct fixture {
    struct log *log;
    struct source_topic topic;
    struct reader reader;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    fixture->log = log_open();
    fixture->topic = (struct source_topic){.name = "orders", .begin = KLANE_BEGIN_EARLIEST};
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    if (fixture->reader.source != NULL)
        reader_deinit(&fixture->reader);
    log_close(fixture->log);
    free(fixture);
    return 0;
}

static struct reader *read_as(struct fixture *fixture, const char *group)
{
    struct klane_source *source = source_of_group(fixture->log, group);

    memset(&fixture->reader, 0, sizeof(fixture->reader));
    reader_init(&fixture->reader, source, &fixture->topic, 1);
    return &fixture->reader;
}

static void stop_reading(struct fixture *fixture)
{
    reader_deinit(&fixture->reader);
    fixture->reader.source = NULL;
}

static bool append_numbers(struct klane_sqlite *appender, int32_t partition, int64_t count)
{
    struct klane_sqlite_record record = {.topic = "orders",
                                         .key = "key",
                                         .key_size = 3,
                                         .timestamp_ms = -1,
                                         .partition = partition};

    for (int64_t i = 0; i < count; i++) {
        record.value = &i;
        record.value_size = sizeof(i);
        if (klane_sqlite_append(appender, &record, NULL) != KLANE_OK)
            return false;
    }
    return true;
}

static void fill(struct fixture *fixture, int32_t partitions, int64_t count)
{
    log_topic(fixture->log, "orders", partitions);
    for (int32_t i = 0; i < partitions; i++)
        assert_true(append_numbers(fixture->log->appender, i, count));
}

/* ---- tests ---- */

static void groups_commit_independently(void **state)
{
    struct fixture *fixture = *state;
    struct reader *reader;
    int64_t offset = -2;

    fill(fixture, 1, 10);
    reader = read_as(fixture, "one");
    assert_int_equal(reader_commit(reader, reader_assigned(reader, "orders", 0, NULL), 7),
                     KLANE_OK);
    stop_reading(fixture);

    reader = read_as(fixture, "two");
    assert_int_equal(reader_assigned(reader, "orders", 0, NULL)->begin, 0);
    stop_reading(fixture);
    reader = read_as(fixture, "one");
    assert_int_equal(reader_assigned(reader, "orders", 0, NULL)->begin, 7);
    assert_int_equal(klane_sqlite_committed(fixture->log->appender, "two", "orders", 0, &offset),
                     KLANE_OK);
    assert_int_equal(offset, -1);
}

static void a_log_of_the_first_version_is_brought_up_and_keeps_what_it_holds(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    struct klane_sqlite *opened;
    struct reader *reader;

    fill(fixture, 1, 10);
    reader = read_as(fixture, "one");
    assert_int_equal(reader_commit(reader, reader_assigned(reader, "orders", 0, NULL), 7),
                     KLANE_OK);
    stop_reading(fixture);
    assert_true(execute(fixture->log, "ALTER TABLE klane_offsets DROP COLUMN metadata;"
                                      "ALTER TABLE klane_groups DROP COLUMN generation;"
                                      "ALTER TABLE klane_topics DROP COLUMN keep_age;"
                                      "ALTER TABLE klane_topics DROP COLUMN keep_bytes;"
                                      "ALTER TABLE klane_topics DROP COLUMN passed;"
                                      "ALTER TABLE klane_topics DROP COLUMN compact;"
                                      "ALTER TABLE klane_topics DROP COLUMN tombstone_age;"
                                      "ALTER TABLE klane_partitions DROP COLUMN first;"
                                      "ALTER TABLE klane_partitions DROP COLUMN bytes;"
                                      "ALTER TABLE klane_partitions DROP COLUMN compacted;"
                                      "ALTER TABLE klane_partitions DROP COLUMN compacted_records;"
                                      "PRAGMA user_version = 1"));
    assert_int_equal(klane_sqlite_open(fixture->log->path, 100, &opened, NULL, 0), KLANE_OK);
    klane_sqlite_close(opened);

    assignment = reader_assigned(read_as(fixture, "one"), "orders", 0, NULL);
    assert_int_equal(assignment->begin, 7);
    assert_true(assignment->is_committed);
    assert_string_equal(assignment->metadata, "");
    assert_int_equal(reader_commit_with(reader, assignment, 7, "k1 of now"), KLANE_OK);
    stop_reading(fixture);
    assignment = reader_assigned(read_as(fixture, "one"), "orders", 0, NULL);
    assert_string_equal(assignment->metadata, "k1 of now");
    /* Ten keys and values of 3 and 8 bytes were counted. */
    assert_false(
        execute(fixture->log, "CREATE TABLE wrong (bytes CHECK (bytes = 110));"
                              "INSERT INTO wrong SELECT bytes + 1 FROM klane_partitions"));
    assert_true(execute(fixture->log, "INSERT INTO wrong SELECT bytes FROM klane_partitions"));
}

/* As another process appends: without a word to this one. */
static void append_unsaid(struct fixture *fixture, int64_t offset)
{
    char sql[256];

    snprintf(sql, sizeof(sql),
             "BEGIN; INSERT INTO klane_records (id, timestamp) VALUES ((1 << 40) | %lld, 1);"
             "UPDATE klane_partitions SET next = %lld WHERE id = 1; COMMIT",
             (long long)offset, (long long)offset + 1);
    assert_true(execute(fixture->log, sql));
}

static void a_pass_leaves_the_news_of_an_append_to_the_main_flow(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    struct reader *reader;

    fill(fixture, 1, 10);
    reader = read_as(fixture, "one");
    assignment = reader_assigned(reader, "orders", 0, NULL);
    reader_read_to(reader, assignment, 10);
    for (int64_t offset = 10; offset < 60; offset++) {
        append_unsaid(fixture, offset);
        reader_sweep(reader, assignment, 0, 10);
        while (assignment->sweeps) {
            reader_poll_sweeps(reader, 100);
            reader_poll(reader, 0);
        }
        reader_read_to(reader, assignment, offset + 1);
    }
}

static void a_committed_offset_is_never_lowered(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    struct reader *reader;

    fill(fixture, 1, 10);
    reader = read_as(fixture, "group");
    assignment = reader_assigned(reader, "orders", 0, NULL);

    assert_int_equal(reader_commit(reader, assignment, 7), KLANE_OK);
    assert_int_equal(reader_commit(reader, assignment, 3), KLANE_OK);

    assert_int_equal(log_committed(fixture->log, "orders", 0), 7);
}

static void a_committed_offset_past_the_end_is_reported_and_replaced(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    struct reader *reader;

    fill(fixture, 1, 10);
    reader = read_as(fixture, "group");
    assert_int_equal(reader_commit(reader, reader_assigned(reader, "orders", 0, NULL), 10),
                     KLANE_OK);
    stop_reading(fixture);
    assert_true(execute(fixture->log, "DELETE FROM klane_records WHERE id & 1023 >= 4"));
    assert_true(skip_to(fixture->log, "orders", 0, 4));

    reader = read_as(fixture, "group");
    assignment = reader_assigned(reader, "orders", 0, NULL);
    reader_read_to(reader, assignment, 4);

    assert_int_equal(reader->out_of_ranges, 1);
    assert_int_equal(assignment->begin, 0);
    assert_int_equal(reader_commit(reader, assignment, 2), KLANE_OK);
    assert_int_equal(log_committed(fixture->log, "orders", 0), 2);
    assert_int_equal(reader_commit(reader, assignment, 1), KLANE_OK);
    assert_int_equal(log_committed(fixture->log, "orders", 0), 2);
}

static void a_committed_offset_before_the_first_record_is_reported(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    struct reader *reader;

    fill(fixture, 1, 10);
    reader = read_as(fixture, "group");
    assert_int_equal(reader_commit(reader, reader_assigned(reader, "orders", 0, NULL), 3),
                     KLANE_OK);
    stop_reading(fixture);
    assert_true(execute(fixture->log, "DELETE FROM klane_records WHERE id & 1023 < 6;"
                                      "UPDATE klane_partitions SET first = 6"));

    reader = read_as(fixture, "group");
    assignment = reader_assigned(reader, "orders", 0, NULL);
    reader_read_to(reader, assignment, 10);

    assert_int_equal(reader->out_of_ranges, 1);
    assert_int_equal(assignment->begin, 6);
    assert_int_equal(assignment->record_count, 4);
}

/* A group that has committed what the log no longer has, read by these rules. */
static struct reader *read_out_of_range(struct fixture *fixture, enum klane_begin rule)
{
    struct reader *reader;

    fill(fixture, 1, 10);
    reader = read_as(fixture, "group");
    assert_int_equal(reader_commit(reader, reader_assigned(reader, "orders", 0, NULL), 3),
                     KLANE_OK);
    stop_reading(fixture);
    assert_true(execute(fixture->log, "DELETE FROM klane_records WHERE id & 1023 < 6;"
                                      "UPDATE klane_partitions SET first = 6"));
    fixture->topic.out_of_range = rule;
    return read_as(fixture, "group");
}

static void a_committed_offset_that_is_gone_goes_on_where_the_rules_say(void **state)
{
    struct fixture *fixture = *state;
    struct reader *reader = read_out_of_range(fixture, KLANE_BEGIN_LATEST);

    assert_int_equal(reader_assigned(reader, "orders", 0, NULL)->begin, 10);
    assert_int_equal(reader->out_of_ranges, 1);
}

static void a_committed_offset_that_is_gone_is_fatal_where_the_rules_say(void **state)
{
    struct fixture *fixture = *state;
    struct reader *reader = read_out_of_range(fixture, KLANE_BEGIN_ERROR);

    reader_poll_until(reader, reader->fatals > 0);
    assert_null(reader_find(reader, "orders", 0));
    assert_int_equal(reader->out_of_ranges, 0);
}

static void a_topic_that_comes_later_is_told_of_once_and_read_from_its_first_record(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    struct reader *reader;

    fixture->topic.begin = KLANE_BEGIN_LATEST;
    reader = read_as(fixture, "group");
    reader_poll_until(reader, reader->errors == 1);

    fill(fixture, 2, 5);

    assignment = reader_assigned(reader, "orders", 1, NULL);
    reader_read_to(reader, assignment, 5);
    assert_int_equal(assignment->begin, 0);
    assert_int_equal(reader->errors, 1);
    assert_int_equal(reader->fatals, 0);
}

static void a_commit_beside_a_locked_log_is_answered_as_busy(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    struct reader *reader;

    fill(fixture, 1, 10);
    reader = read_as(fixture, "group");
    assignment = reader_assigned(reader, "orders", 0, NULL);
    assert_true(execute(fixture->log, "BEGIN IMMEDIATE"));

    assert_int_equal(reader_commit(reader, assignment, 5), KLANE_ERR_BUSY);
    assert_true(execute(fixture->log, "ROLLBACK"));

    assert_int_equal(log_committed(fixture->log, "orders", 0), -1);
    assert_int_equal(reader_commit(reader, assignment, 5), KLANE_OK);
    assert_int_equal(log_committed(fixture->log, "orders", 0), 5);
}

static void records_are_read_beside_a_writer_that_holds_the_log(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    struct reader *reader;

    log_topic(fixture->log, "orders", 1);
    assert_true(
        execute(fixture->log,
                "BEGIN; WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n"
                " WHERE i < 29999) INSERT INTO klane_records (id, timestamp)"
                " SELECT (1 << 40) | i, 1 FROM n; UPDATE klane_partitions SET next = 30000;"
                "COMMIT"));
    reader = read_as(fixture, "group");
    assignment = reader_assigned(reader, "orders", 0, NULL);
    assert_true(execute(fixture->log, "BEGIN IMMEDIATE"));

    reader_read_to(reader, assignment, MORE_THAN_IS_READ_AHEAD);

    assert_int_equal(reader->errors, 0);
    assert_true(execute(fixture->log, "ROLLBACK"));
}

/* The other one has joined while the commit waited for the log, so no look could tell before. */
static void a_commit_of_an_earlier_generation_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    struct reader *reader;
    int64_t offset = -2;

    fill(fixture, 1, 10);
    reader = read_as(fixture, "group");
    assignment = reader_assigned(reader, "orders", 0, NULL);
    reader_read_to(reader, assignment, 10);
    assert_int_equal(reader_commit(reader, assignment, 3), KLANE_OK);
    assert_true(execute(fixture->log, "BEGIN IMMEDIATE;"
                                      "UPDATE klane_groups SET generation = generation + 1"));
    reader_commit_begin(reader, assignment, 7);
    usleep(COMMIT_WAITS_US);
    assert_true(execute(fixture->log, "COMMIT"));
    reader_poll_until(reader, reader->commits_answered == 2);

    assert_int_equal(reader->commit_err, KLANE_ERR_FENCED);
    assert_true(assignment->lost);
    assert_int_equal(reader->fatals, 1);
    assert_int_equal(klane_sqlite_committed(fixture->log->appender, "group", "orders", 0, &offset),
                     KLANE_OK);
    assert_int_equal(offset, 3);
}

static void damaged_headers_stop_their_partition_only(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *damaged;
    struct reader *reader;

    fill(fixture, 2, 10);
    assert_true(execute(fixture->log, "UPDATE klane_records SET headers = x'0100000005'"
                                      " WHERE id >> 40 = (SELECT id FROM klane_partitions"
                                      " WHERE number = 0) AND id & 1023 = 6"));
    reader = read_as(fixture, "group");

    damaged = reader_assigned(reader, "orders", 0, NULL);
    reader_read_to(reader, reader_assigned(reader, "orders", 1, NULL), 10);
    reader_poll_until(reader, reader->errors >= 3);

    assert_int_equal(damaged->record_count, 6);
    assert_int_equal(damaged->ends, 0);
    assert_int_equal(reader->fatals, 0);
}

static void a_repaired_record_is_read_where_reading_had_stopped(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    struct reader *reader;

    fill(fixture, 1, 10);
    assert_true(
        execute(fixture->log, "UPDATE klane_records SET value = 'text' WHERE id & 1023 = 6"));
    reader = read_as(fixture, "group");
    assignment = reader_assigned(reader, "orders", 0, NULL);
    reader_poll_until(reader, reader->errors >= 1);

    assert_true(
        execute(fixture->log, "UPDATE klane_records SET value = x'' WHERE id & 1023 = 6"));

    reader_read_to(reader, assignment, 10);
    assert_int_equal(assignment->record_count, 10);
    assert_int_equal(assignment->records[6].record.value_size, 0);
    assert_non_null(assignment->records[6].record.value);
}

static void a_log_that_was_replaced_is_fatal(void **state)
{
    struct fixture *fixture = *state;
    char other[SCRATCH_PATH_SIZE];
    struct reader *reader;

    fill(fixture, 1, 10);
    reader = read_as(fixture, "group");
    reader_read_to(reader, reader_assigned(reader, "orders", 0, NULL), 10);

    scratch_path(&fixture->log->scratch, "moved", other);
    assert_int_equal(rename(fixture->log->path, other), 0);

    reader_poll_until(reader, reader->fatals == 1);
    assert_int_equal(rename(other, fixture->log->path), 0);
}

static void held_partitions_do_not_keep_the_room_of_others(void **state)
{
    enum { PARTITIONS = 24, COUNT = 100 };
    struct fixture *fixture = *state;
    struct klane_assignment *assignments[PARTITIONS];
    struct reader *reader;

    fill(fixture, PARTITIONS, COUNT);
    reader = read_as(fixture, "group");
    for (int32_t i = 0; i < PARTITIONS; i++)
        assignments[i] = reader_assigned(reader, "orders", i, NULL);

    stop_reading(fixture);
    reader = read_as(fixture, "group");
    while (reader_find(reader, "orders", PARTITIONS - 1) == NULL) {
        reader_poll(reader, 0);
        reader_sleep(reader);
    }
    for (int32_t i = 0; i < PARTITIONS; i++) {
        assignments[i] = reader_find(reader, "orders", i);
        if (i < PARTITIONS - 1)
            reader->source->ops->hold(reader->source, assignments[i]->own, true);
    }
    reader_read_to(reader, assignments[PARTITIONS - 1], COUNT);
    for (int32_t i = 0; i < PARTITIONS - 1; i++)
        assert_int_equal(assignments[i]->record_count, 0);
    assert_true(check_marked("sqlite: runs of a held partition dropped") > 0);

    for (int32_t i = 0; i < PARTITIONS - 1; i++)
        reader->source->ops->hold(reader->source, assignments[i]->own, false);
    for (int32_t i = 0; i < PARTITIONS; i++) {
        reader_read_to(reader, assignments[i], COUNT);
        assert_int_equal(assignments[i]->record_count, COUNT);
    }
}

/* What a process does that was started as "program append path count". */
/* Each needs a buffer of its own, and few of those are kept at once. */
static void large_records_of_several_partitions_are_read_in_turns(void **state)
{
    enum { PARTITIONS = 6, RECORDS = 3, SIZE = 3 << 20 };
    struct fixture *fixture = *state;
    struct klane_sqlite_record record = {.topic = "orders", .timestamp_ms = -1};
    unsigned char *value = calloc(1, SIZE);
    struct reader *reader;

    assert_non_null(value);
    fill(fixture, PARTITIONS, 2);
    record.value = value;
    record.value_size = SIZE;
    for (int i = 0; i < PARTITIONS * RECORDS; i++) {
        record.partition = i % PARTITIONS;
        assert_int_equal(klane_sqlite_append(fixture->log->appender, &record, NULL), KLANE_OK);
    }
    for (int32_t i = 0; i < PARTITIONS; i++)
        assert_true(append_numbers(fixture->log->appender, i, 2));
    free(value);

    reader = read_as(fixture, "group");
    /* None of them is given back meanwhile. */
    reader->refuse_records = UINT32_MAX;
    reader_poll_until(reader, check_marked("sqlite: a large record waits for others") > 0);
    reader->refuse_records = 0;
    for (int32_t i = 0; i < PARTITIONS; i++) {
        struct klane_assignment *assignment = reader_assigned(reader, "orders", i, NULL);

        reader_read_to(reader, assignment, RECORDS + 4);
        assert_int_equal(assignment->record_count, RECORDS + 4);
        assert_int_equal(assignment->records[2].record.value_size, SIZE);
    }
}

static int append_main(const char *path, int64_t count)
{
    struct klane_sqlite *appender = NULL;
    bool is_fine = klane_sqlite_open(path, BUSY_MS, &appender, NULL, 0) == KLANE_OK &&
                   append_numbers(appender, 0, count / 2) &&
                   append_numbers(appender, 1, count - count / 2);

    klane_sqlite_close(appender);
    return is_fine ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void start_append_process(const char *path, int64_t count)
{
    char number[32];

    snprintf(number, sizeof(number), "%lld", (long long)count);
    if (fork() == 0) {
        execl("/proc/self/exe", "append", "append", path, number, (char *)NULL);
        _exit(EXIT_FAILURE);
    }
}

static void what_other_processes_append_is_read_at_once_and_whole(void **state)
{
    enum { PROCESSES = 4, COUNT = 300 };
    struct fixture *fixture = *state;
    struct klane_assignment *assignments[2];
    struct reader *reader;
    int status;

    log_topic(fixture->log, "orders", 2);
    for (int i = 0; i < PROCESSES; i++)
        start_append_process(fixture->log->path, COUNT);
    reader = read_as(fixture, "group");

    for (int32_t i = 0; i < 2; i++) {
        assignments[i] = reader_assigned(reader, "orders", i, NULL);
        reader_read_to(reader, assignments[i], (int64_t)PROCESSES * COUNT / 2);
    }

    for (int32_t i = 0; i < 2; i++)
        assert_int_equal(assignments[i]->record_count, PROCESSES * COUNT / 2);
    for (int i = 0; i < PROCESSES; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(reader->errors, 0);
}

static void a_source_without_a_group_or_a_path_is_refused(void **state)
{
    static const char *const groups[] = {NULL, "", "two words", "line\n"};
    struct fixture *fixture = *state;
    struct klane_source *source = NULL;
    char errstr[ERRSTR_SIZE];

    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        assert_int_equal(klane_sqlite_create(fixture->log->path, groups[i], KLANE_SQLITE_STANDBY,
                                             &source, errstr, sizeof(errstr)),
                         KLANE_ERR_INVALID);
        assert_non_null(strstr(errstr, "group"));
        assert_null(source);
    }
    assert_int_equal(klane_sqlite_create(NULL, "group", KLANE_SQLITE_STANDBY, &source, NULL, 0),
                     KLANE_ERR_INVALID);
    assert_int_equal(klane_sqlite_create("/nowhere/at/all", "group", KLANE_SQLITE_STANDBY,
                                         &source, errstr, sizeof(errstr)),
                     KLANE_ERR_IO);
    assert_non_null(strstr(errstr, "/nowhere/at/all"));
    assert_int_equal(klane_sqlite_create(fixture->log->path, "group",
                                         (enum klane_sqlite_taken)2, &source, errstr,
                                         sizeof(errstr)),
                     KLANE_ERR_INVALID);
    assert_non_null(strstr(errstr, "when_taken"));
}

static void a_source_cannot_be_started_twice(void **state)
{
    struct fixture *fixture = *state;
    struct reader *reader;
    char errstr[ERRSTR_SIZE];

    log_topic(fixture->log, "orders", 1);
    reader = read_as(fixture, "group");

    assert_int_equal(reader->source->ops->start(reader->source, &reader->intake, &fixture->topic,
                                                1, errstr, sizeof(errstr)),
                     KLANE_ERR_STATE);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "append") == 0)
        return append_main(argv[2], strtoll(argv[3], NULL, 10));

    const struct CMUnitTest tests[] = {
        TEST(groups_commit_independently),
        TEST(a_pass_leaves_the_news_of_an_append_to_the_main_flow),
        TEST(a_log_of_the_first_version_is_brought_up_and_keeps_what_it_holds),
        TEST(a_committed_offset_is_never_lowered),
        TEST(a_committed_offset_past_the_end_is_reported_and_replaced),
        TEST(a_committed_offset_before_the_first_record_is_reported),
        TEST(a_committed_offset_that_is_gone_goes_on_where_the_rules_say),
        TEST(a_committed_offset_that_is_gone_is_fatal_where_the_rules_say),
        TEST(a_topic_that_comes_later_is_told_of_once_and_read_from_its_first_record),
        TEST(a_commit_beside_a_locked_log_is_answered_as_busy),
        TEST(records_are_read_beside_a_writer_that_holds_the_log),
        TEST(a_commit_of_an_earlier_generation_is_refused),
        TEST(damaged_headers_stop_their_partition_only),
        TEST(a_repaired_record_is_read_where_reading_had_stopped),
        TEST(a_log_that_was_replaced_is_fatal),
        TEST(held_partitions_do_not_keep_the_room_of_others),
        TEST(large_records_of_several_partitions_are_read_in_turns),
        TEST(what_other_processes_append_is_read_at_once_and_whole),
        TEST(a_source_without_a_group_or_a_path_is_refused),
        TEST(a_source_cannot_be_started_twice),
    };

    return source_conformance_run(&log_ops) + check_run(tests);
}
