/* SPDX-License-Identifier: Apache-2.0 */
/* The outbox: rows of a program and records of a log in one file and one transaction. */
#include "lib/check.h"
#include "lib/scratch.h"

#include "source/sqlite/database.h"

#include <klane/sqlite.h>

#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BUSY_MS = 10000, ERRSTR_SIZE = 512 };

/* ---- fixture ---- */

struct fixture {
    struct scratch scratch;
    char path[SCRATCH_PATH_SIZE];
    sqlite3 *shop;
    struct klane_sqlite *log;
    int steps_left; /* until the connection is interrupted */
    char errstr[ERRSTR_SIZE];
};

static void run(struct fixture *fixture, const char *sql)
{
    if (sqlite3_exec(fixture->shop, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(fixture->shop));
}

/* A statement that stands at its first row: it is in progress until it is finalized. */
static sqlite3_stmt *first_row(struct fixture *fixture, const char *sql)
{
    sqlite3_stmt *statement = NULL;

    assert_int_equal(sqlite3_prepare_v2(fixture->shop, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    return statement;
}

static int64_t number_of(struct fixture *fixture, const char *sql)
{
    sqlite3_stmt *statement = first_row(fixture, sql);
    int64_t number = sqlite3_column_int64(statement, 0);

    sqlite3_finalize(statement);
    return number;
}

static void open_shop(struct fixture *fixture)
{
    assert_int_equal(sqlite3_open(fixture->path, &fixture->shop), SQLITE_OK);
    sqlite3_busy_timeout(fixture->shop, BUSY_MS);
}

static klane_err_t borrow(struct fixture *fixture)
{
    return klane_sqlite_borrow(fixture->shop, &fixture->log, fixture->errstr,
                               sizeof(fixture->errstr));
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    scratch_init(&fixture->scratch);
    scratch_path(&fixture->scratch, "shop", fixture->path);
    open_shop(fixture);
    run(fixture, "CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT)");
    run(fixture, "PRAGMA user_version = 77");
    *state = fixture;
    return 0;
}

static int setup_log(void **state)
{
    struct fixture *fixture;

    setup(state);
    fixture = *state;
    assert_int_equal(borrow(fixture), KLANE_OK);
    assert_int_equal(klane_sqlite_topic(fixture->log, "orders", 2), KLANE_OK);
    return 0;
}

static void close_shop(struct fixture *fixture)
{
    klane_sqlite_close(fixture->log);
    fixture->log = NULL;
    assert_int_equal(sqlite3_close(fixture->shop), SQLITE_OK);
    fixture->shop = NULL;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    close_shop(fixture);
    scratch_deinit(&fixture->scratch);
    free(fixture);
    return 0;
}

static struct klane_sqlite_record event_of(const char *item)
{
    return (struct klane_sqlite_record){.topic = "orders",
                                        .key = item,
                                        .key_size = strlen(item),
                                        .value = "ordered",
                                        .value_size = 7,
                                        .timestamp_ms = -1,
                                        .partition = 0};
}

static klane_err_t append(struct fixture *fixture, const char *item)
{
    const struct klane_sqlite_record record = event_of(item);

    return klane_sqlite_append(fixture->log, &record, NULL);
}

static void assert_counts(struct fixture *fixture, int64_t orders, int64_t records)
{
    assert_int_equal(number_of(fixture, "SELECT count(*) FROM orders"), orders);
    assert_int_equal(number_of(fixture, "SELECT count(*) FROM klane_records"), records);
    assert_int_equal(number_of(fixture, "SELECT sum(next) FROM klane_partitions"), records);
}

static void assert_refused(struct fixture *fixture, klane_err_t err, const char *text)
{
    assert_int_equal(borrow(fixture), err);
    assert_null(fixture->log);
    if (strstr(fixture->errstr, text) == NULL)
        fail_msg("\"%s\" says nothing of \"%s\"", fixture->errstr, text);
}

/* ---- one transaction --------------------------------------------------------------------- */

static void rows_and_records_are_committed_together(void **state)
{
    struct fixture *fixture = *state;

    run(fixture, "BEGIN IMMEDIATE; INSERT INTO orders (item) VALUES ('tea')");
    assert_int_equal(append(fixture, "tea"), KLANE_OK);
    assert_int_equal(append(fixture, "milk"), KLANE_OK);
    assert_int_equal(sqlite3_get_autocommit(fixture->shop), 0);
    run(fixture, "ROLLBACK");
    assert_counts(fixture, 0, 0);

    run(fixture, "BEGIN IMMEDIATE; INSERT INTO orders (item) VALUES ('tea')");
    assert_int_equal(append(fixture, "tea"), KLANE_OK);
    run(fixture, "COMMIT");
    assert_counts(fixture, 1, 1);
}

static void without_a_transaction_each_call_is_one(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(append(fixture, "tea"), KLANE_OK);
    assert_int_equal(sqlite3_get_autocommit(fixture->shop), 1);
    assert_counts(fixture, 0, 1);
}

static void a_call_that_fails_leaves_the_transaction_as_it_was(void **state)
{
    struct klane_sqlite_record records[2] = {event_of("tea"), event_of("milk")};
    struct fixture *fixture = *state;

    records[1].topic = "nothing";
    run(fixture, "BEGIN IMMEDIATE; INSERT INTO orders (item) VALUES ('tea')");
    assert_int_equal(append(fixture, "tea"), KLANE_OK);
    assert_int_equal(klane_sqlite_append_batch(fixture->log, records, 2, NULL),
                     KLANE_ERR_NOT_FOUND);
    assert_int_equal(append(fixture, "tea"), KLANE_OK);
    run(fixture, "COMMIT");

    assert_counts(fixture, 1, 2);
}

static void a_savepoint_of_the_programs_takes_records_back(void **state)
{
    struct fixture *fixture = *state;

    run(fixture, "SAVEPOINT klane; INSERT INTO orders (item) VALUES ('tea')");
    assert_int_equal(append(fixture, "tea"), KLANE_OK);
    run(fixture, "SAVEPOINT klane; INSERT INTO orders (item) VALUES ('milk')");
    assert_int_equal(append(fixture, "milk"), KLANE_OK);
    run(fixture, "ROLLBACK TO klane; RELEASE klane");
    assert_int_equal(append(fixture, "sugar"), KLANE_OK);
    run(fixture, "RELEASE klane");

    assert_counts(fixture, 1, 2);
    assert_int_equal(number_of(fixture, "SELECT count(*) FROM klane_records WHERE key = "
                                        "CAST('milk' AS BLOB)"),
                     0);
}

static void a_full_disk_ends_neither_half_a_transaction_nor_the_log(void **state)
{
    static unsigned char large[100000];
    struct fixture *fixture = *state;
    struct klane_sqlite_record record = event_of("tea");

    assert_int_equal(append(fixture, "tea"), KLANE_OK);
    run(fixture, "PRAGMA max_page_count = 20");
    record.value = large;
    record.value_size = sizeof(large);
    run(fixture, "BEGIN IMMEDIATE; INSERT INTO orders (item) VALUES ('tea')");
    assert_int_equal(klane_sqlite_append(fixture->log, &record, NULL), KLANE_ERR_FULL);
    if (!sqlite3_get_autocommit(fixture->shop))
        run(fixture, "ROLLBACK");

    assert_counts(fixture, 0, 1);
    run(fixture, "PRAGMA max_page_count = 1000000");
    assert_int_equal(append(fixture, "tea"), KLANE_OK);
    assert_counts(fixture, 0, 2);
}

static void a_row_of_the_programs_that_is_being_written_is_not_taken_back(void **state)
{
    struct fixture *fixture = *state;
    sqlite3_stmt *inserting =
        first_row(fixture, "INSERT INTO orders (item) VALUES ('tea') RETURNING id");

    assert_int_equal(append(fixture, "tea"), KLANE_ERR_BUSY);
    assert_int_equal(klane_sqlite_topic(fixture->log, "more", 1), KLANE_ERR_BUSY);
    assert_int_equal(sqlite3_finalize(inserting), SQLITE_OK);
    assert_counts(fixture, 1, 0);

    assert_int_equal(append(fixture, "tea"), KLANE_OK);
    assert_counts(fixture, 1, 1);
}

static void while_a_statement_reads_records_are_appended(void **state)
{
    struct fixture *fixture = *state;
    sqlite3_stmt *reading;

    run(fixture, "INSERT INTO orders (item) VALUES ('tea')");
    reading = first_row(fixture, "SELECT id FROM orders");
    assert_int_equal(append(fixture, "tea"), KLANE_OK);
    sqlite3_finalize(reading);
    assert_counts(fixture, 1, 1);
}

static int interrupt_once(void *context)
{
    struct fixture *fixture = context;

    if (fixture->steps_left > 0 && --fixture->steps_left == 0)
        sqlite3_interrupt(fixture->shop);
    return 0;
}

/* An interrupt lasts as long as any statement is in progress: COMMIT and ROLLBACK fail, too. */
static void an_interrupt_at_any_step_leaves_all_or_nothing(void **state)
{
    struct klane_sqlite_record records[2] = {event_of("tea"), event_of("milk")};
    struct fixture *fixture = *state;
    int64_t orders = 1, events = 0;
    bool is_through = false;

    records[1].partition = 1;
    run(fixture, "INSERT INTO orders (item) VALUES ('tea')");
    for (int steps = 1; !is_through; steps++) {
        bool is_inside = steps % 2 == 0;
        sqlite3_stmt *reading;
        klane_err_t err;

        if (is_inside)
            run(fixture, "BEGIN IMMEDIATE; INSERT INTO orders (item) VALUES ('tea')");
        reading = first_row(fixture, "SELECT id FROM orders");
        fixture->steps_left = steps;
        sqlite3_progress_handler(fixture->shop, 1, interrupt_once, fixture);
        err = klane_sqlite_append_batch(fixture->log, records, 2, NULL);
        sqlite3_progress_handler(fixture->shop, 0, NULL, NULL);
        is_through = fixture->steps_left > 0;
        sqlite3_finalize(reading);
        assert_true(!is_through || err == KLANE_OK);
        events += err == KLANE_OK ? 2 : 0;
        if (is_inside && !sqlite3_get_autocommit(fixture->shop)) {
            run(fixture, "COMMIT");
            orders++;
        }
        assert_int_equal(sqlite3_get_autocommit(fixture->shop), 1);
        assert_counts(fixture, orders, events);
    }
    assert_int_equal(append(fixture, "tea"), KLANE_OK);
}

static void another_writer_makes_it_busy_and_nothing_is_lost(void **state)
{
    struct fixture *fixture = *state;
    struct klane_sqlite *other;

    assert_int_equal(klane_sqlite_open(fixture->path, BUSY_MS, &other, NULL, 0), KLANE_OK);
    run(fixture, "BEGIN; SELECT count(*) FROM orders");
    assert_int_equal(klane_sqlite_append(other, &(struct klane_sqlite_record){.topic = "orders",
                                                                              .partition = 0},
                                         NULL),
                     KLANE_OK);
    /* It reads an older state than there is, on which nothing can be written. */
    assert_int_equal(append(fixture, "tea"), KLANE_ERR_BUSY);
    run(fixture, "ROLLBACK");
    assert_int_equal(append(fixture, "tea"), KLANE_OK);
    assert_counts(fixture, 0, 2);
    klane_sqlite_close(other);
}

/* ---- whose is what ----------------------------------------------------------------------- */

static void the_programs_settings_stay_as_they_are(void **state)
{
    struct fixture *fixture = *state;

    run(fixture, "INSERT INTO orders (id, item) VALUES (42, 'tea')");
    assert_int_equal(append(fixture, "tea"), KLANE_OK);

    assert_int_equal(klane_sqlite_topic(fixture->log, "more", 3), KLANE_OK);
    assert_int_equal(sqlite3_last_insert_rowid(fixture->shop), 42);
    assert_int_equal(number_of(fixture, "PRAGMA user_version"), 77);
    assert_int_equal(number_of(fixture, "PRAGMA application_id"), 0);
    assert_int_equal(number_of(fixture, "PRAGMA synchronous"), 2);
    klane_sqlite_close(fixture->log);
    fixture->log = NULL;
    assert_int_equal(number_of(fixture, "SELECT count(*) FROM orders"), 1);
}

static void a_log_is_found_again_and_by_its_path(void **state)
{
    struct fixture *fixture = *state;
    struct klane_sqlite *other;
    int64_t offset;

    assert_int_equal(append(fixture, "tea"), KLANE_OK);
    close_shop(fixture);
    open_shop(fixture);
    assert_int_equal(borrow(fixture), KLANE_OK);
    assert_int_equal(append(fixture, "tea"), KLANE_OK);
    assert_int_equal(klane_sqlite_open(fixture->path, BUSY_MS, &other, NULL, 0), KLANE_OK);
    assert_int_equal(
        klane_sqlite_append(other, &(struct klane_sqlite_record){.topic = "orders"}, &offset),
        KLANE_OK);
    assert_int_equal(offset, 2);
    klane_sqlite_close(other);
    assert_counts(fixture, 0, 3);
}

/* As when a consumer comes first. From then on the file's settings are the program's. */
static void a_log_of_klanes_alone_can_be_borrowed(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    struct klane_sqlite *own, *other;
    sqlite3 *raw;

    scratch_path(&fixture->scratch, "log", path);
    assert_int_equal(klane_sqlite_open(path, BUSY_MS, &own, NULL, 0), KLANE_OK);
    assert_int_equal(klane_sqlite_topic(own, "orders", 1), KLANE_OK);
    assert_int_equal(sqlite3_open(path, &raw), SQLITE_OK);
    assert_int_equal(klane_sqlite_borrow(raw, &other, NULL, 0), KLANE_OK);
    assert_int_equal(
        klane_sqlite_append(other, &(struct klane_sqlite_record){.topic = "orders"}, NULL),
        KLANE_OK);
    klane_sqlite_close(other);
    klane_sqlite_close(own);
    assert_int_equal(sqlite3_exec(raw, "PRAGMA user_version = 77", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(raw), SQLITE_OK);
    assert_int_equal(klane_sqlite_open(path, BUSY_MS, &own, NULL, 0), KLANE_OK);
    klane_sqlite_close(own);
}

static enum klane_outcome count_handled(const struct klane_record *record, void *context)
{
    (void)record;
    atomic_fetch_add((_Atomic int *)context, 1);
    return KLANE_DONE;
}

static void a_source_reads_the_programs_file(void **state)
{
    struct fixture *fixture = *state;
    struct klane_runtime *runtime;
    struct klane_options options;
    struct klane_source *source;
    _Atomic int handled = 0;

    for (int i = 0; i < 5; i++)
        assert_int_equal(append(fixture, "tea"), KLANE_OK);
    assert_int_equal(
        klane_sqlite_create(fixture->path, "g", KLANE_SQLITE_REFUSE, &source, NULL, 0), KLANE_OK);
    klane_options_init(&options, sizeof(options));
    options.stop_when_caught_up = true;
    assert_int_equal(klane_create(&options, source, &runtime, NULL, 0), KLANE_OK);
    assert_int_equal(klane_handle(runtime, "orders", count_handled, &handled), KLANE_OK);
    assert_int_equal(klane_run(runtime), KLANE_OK);
    assert_int_equal(klane_destroy(runtime), KLANE_OK);

    assert_int_equal(handled, 5);
    assert_int_equal(number_of(fixture, "SELECT max(committed) FROM klane_offsets"), 5);
}

static void tables_of_the_same_name_elsewhere_are_not_the_log(void **state)
{
    struct fixture *fixture = *state;

    run(fixture, "CREATE TEMP TABLE klane_records (id, timestamp, key, value, headers)");
    run(fixture, "CREATE TEMP TABLE klane_partitions (id, topic, number, next)");
    run(fixture, "CREATE TEMP TABLE klane_log (version)");
    assert_int_equal(borrow(fixture), KLANE_OK);
    assert_int_equal(klane_sqlite_topic(fixture->log, "orders", 2), KLANE_OK);
    assert_int_equal(append(fixture, "tea"), KLANE_OK);

    assert_int_equal(number_of(fixture, "SELECT version FROM main.klane_log"),
                     DATABASE_VERSION);
    assert_int_equal(number_of(fixture, "SELECT count(*) FROM temp.klane_records"), 0);
    assert_int_equal(number_of(fixture, "SELECT count(*) FROM main.klane_records"), 1);
}

/* ---- refused ----------------------------------------------------------------------------- */

static void an_attached_log_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE], sql[SCRATCH_PATH_SIZE + 64];
    struct klane_sqlite *own;

    scratch_path(&fixture->scratch, "log", path);
    assert_int_equal(klane_sqlite_open(path, BUSY_MS, &own, NULL, 0), KLANE_OK);
    klane_sqlite_close(own);
    snprintf(sql, sizeof(sql), "ATTACH '%s' AS events", path);
    run(fixture, sql);

    assert_refused(fixture, KLANE_ERR_INVALID, "the attached database events has a log");
    assert_int_equal(
        number_of(fixture, "SELECT count(*) FROM main.sqlite_schema WHERE name LIKE 'klane%'"), 0);
}

static void an_open_transaction_or_statement_is_refused(void **state)
{
    struct fixture *fixture = *state;
    sqlite3_stmt *reading;

    run(fixture, "BEGIN");
    assert_refused(fixture, KLANE_ERR_INVALID, "has a transaction or a statement open");
    run(fixture, "ROLLBACK; INSERT INTO orders (item) VALUES ('tea')");
    reading = first_row(fixture, "SELECT id FROM orders");
    assert_refused(fixture, KLANE_ERR_INVALID, "has a transaction or a statement open");
    sqlite3_finalize(reading);
    assert_int_equal(borrow(fixture), KLANE_OK);
}

static void a_topic_is_not_made_inside_a_transaction(void **state)
{
    struct fixture *fixture = *state;

    run(fixture, "BEGIN");
    assert_int_equal(klane_sqlite_topic(fixture->log, "more", 1), KLANE_ERR_INVALID);
    assert_non_null(strstr(klane_sqlite_errmsg(fixture->log), "more: a topic cannot be made"));
    run(fixture, "ROLLBACK");
    assert_int_equal(klane_sqlite_topic(fixture->log, "more", 1), KLANE_OK);
}

static void what_is_not_in_a_file_or_cannot_be_written_is_refused(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *raw;

    assert_int_equal(sqlite3_open(":memory:", &raw), SQLITE_OK);
    assert_int_equal(klane_sqlite_borrow(raw, &fixture->log, fixture->errstr, ERRSTR_SIZE),
                     KLANE_ERR_INVALID);
    assert_non_null(strstr(fixture->errstr, "is not in a file"));
    sqlite3_close(raw);
    assert_int_equal(sqlite3_open_v2(fixture->path, &raw, SQLITE_OPEN_READONLY, NULL),
                     SQLITE_OK);
    assert_int_equal(klane_sqlite_borrow(raw, &fixture->log, fixture->errstr, ERRSTR_SIZE),
                     KLANE_ERR_READ_ONLY);
    assert_non_null(strstr(fixture->errstr, fixture->path));
    sqlite3_close(raw);
    assert_int_equal(klane_sqlite_borrow(NULL, &fixture->log, NULL, 0), KLANE_ERR_INVALID);
    assert_int_equal(klane_sqlite_borrow(fixture->shop, NULL, fixture->errstr, ERRSTR_SIZE),
                     KLANE_ERR_INVALID);
    assert_non_null(strstr(fixture->errstr, "log is NULL"));
}

static void other_versions_are_refused(void **state)
{
    struct fixture *fixture = *state;

    klane_sqlite_close(fixture->log);
    fixture->log = NULL;
    run(fixture, "UPDATE klane_log SET version = 99");
    assert_refused(fixture, KLANE_ERR_VERSION, "version 99");
    run(fixture, "UPDATE klane_log SET version = 0");
    assert_refused(fixture, KLANE_ERR_CORRUPT, "no version");
    run(fixture, "DELETE FROM klane_log");
    assert_refused(fixture, KLANE_ERR_CORRUPT, "SELECT version FROM main.klane_log");
    run(fixture, "DROP TABLE klane_log; CREATE VIEW klane_log AS SELECT 3 AS version");
    run(fixture, "DROP TABLE klane_records");
    assert_refused(fixture, KLANE_ERR_CORRUPT, "klane_records");
}

/* ---- the example ------------------------------------------------------------------------- */

static void the_example_writes_orders_and_their_events(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE], command[2 * SCRATCH_PATH_SIZE + 64];

    close_shop(fixture);
    scratch_path(&fixture->scratch, "new", path);
    snprintf(command, sizeof(command), "%s %s tea milk tea", KLANE_EXAMPLE_OUTBOX, path);
    assert_int_equal(system(command), 0);
    assert_int_equal(system(command), 0);
    snprintf(fixture->path, sizeof(fixture->path), "%s", path);
    open_shop(fixture);

    assert_counts(fixture, 6, 6);
    assert_int_equal(number_of(fixture, "SELECT count(*) FROM orders JOIN klane_records ON"
                                        " CAST(key AS TEXT) = item WHERE item = 'milk'"),
                     4);
}

/* ---- kill -9 ----------------------------------------------------------------------------- */

static void must(bool is_true)
{
    if (!is_true)
        _exit(1);
}

/* Orders and their events, until it is killed. In a child: no assertion of the tests' there. */
static _Noreturn void sell(struct fixture *fixture)
{
    static const char add[] = "BEGIN IMMEDIATE; INSERT INTO orders (item) VALUES ('tea')";

    must(sqlite3_open(fixture->path, &fixture->shop) == SQLITE_OK);
    sqlite3_busy_timeout(fixture->shop, BUSY_MS);
    must(borrow(fixture) == KLANE_OK);
    for (;;) {
        char item[32];

        must(sqlite3_exec(fixture->shop, add, NULL, NULL, NULL) == SQLITE_OK);
        snprintf(item, sizeof(item), "%lld",
                 (long long)sqlite3_last_insert_rowid(fixture->shop));
        must(append(fixture, item) == KLANE_OK);
        must(sqlite3_exec(fixture->shop, "COMMIT", NULL, NULL, NULL) == SQLITE_OK);
    }
}

static void orders_and_events_agree_after_kill_9(void **state)
{
    enum { KILLS = 100 };
    struct fixture *fixture = *state;
    uint64_t random = check_seed();
    int64_t orders = 0;

    close_shop(fixture);
    for (int i = 0; i < KILLS; i++) {
        pid_t child = fork();
        int status;

        assert_true(child >= 0);
        if (child == 0)
            sell(fixture);
        usleep((useconds_t)(2000 + check_random_below(&random, 20000)));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    open_shop(fixture);
    orders = number_of(fixture, "SELECT count(*) FROM orders");
    assert_in_range(orders, 1, INT64_MAX);
    assert_counts(fixture, orders, orders);
    assert_int_equal(number_of(fixture, "SELECT count(*) FROM klane_records JOIN orders ON"
                                        " orders.id = CAST(CAST(key AS TEXT) AS INTEGER)"),
                     orders);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, setup_log, teardown)
    const struct CMUnitTest tests[] = {
        LOG_TEST(rows_and_records_are_committed_together),
        LOG_TEST(without_a_transaction_each_call_is_one),
        LOG_TEST(a_call_that_fails_leaves_the_transaction_as_it_was),
        LOG_TEST(a_savepoint_of_the_programs_takes_records_back),
        LOG_TEST(a_full_disk_ends_neither_half_a_transaction_nor_the_log),
        LOG_TEST(a_row_of_the_programs_that_is_being_written_is_not_taken_back),
        LOG_TEST(while_a_statement_reads_records_are_appended),
        LOG_TEST(an_interrupt_at_any_step_leaves_all_or_nothing),
        LOG_TEST(another_writer_makes_it_busy_and_nothing_is_lost),
        LOG_TEST(the_programs_settings_stay_as_they_are),
        LOG_TEST(a_log_is_found_again_and_by_its_path),
        TEST(a_log_of_klanes_alone_can_be_borrowed),
        LOG_TEST(a_source_reads_the_programs_file),
        TEST(tables_of_the_same_name_elsewhere_are_not_the_log),
        TEST(an_attached_log_is_refused),
        TEST(an_open_transaction_or_statement_is_refused),
        LOG_TEST(a_topic_is_not_made_inside_a_transaction),
        TEST(what_is_not_in_a_file_or_cannot_be_written_is_refused),
        LOG_TEST(other_versions_are_refused),
        TEST(the_example_writes_orders_and_their_events),
        LOG_TEST(orders_and_events_agree_after_kill_9),
    };
#undef TEST
#undef LOG_TEST

    return check_run(tests);
}
