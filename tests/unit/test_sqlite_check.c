/* SPDX-License-Identifier: Apache-2.0 */
/* A log that was not closed is looked at when it is opened: what a crash has left. */
#include "lib/check.h"
#include "lib/raw_sql.h"
#include "lib/scratch.h"

#include <klane/sqlite.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUSY_MS = 10000, ERRSTR_SIZE = 512, PAGE_BYTES = 4096, RECORDS = 200 };

struct fixture {
    struct scratch scratch;
    char path[SCRATCH_PATH_SIZE];
    char left[SCRATCH_PATH_SIZE]; /* its files as a crash has left them */
    struct klane_sqlite *log;
    char errstr[ERRSTR_SIZE];
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    scratch_init(&fixture->scratch);
    scratch_path(&fixture->scratch, "log", fixture->path);
    scratch_path(&fixture->scratch, "left", fixture->left);
    assert_int_equal(klane_sqlite_open(fixture->path, BUSY_MS, &fixture->log, NULL, 0), KLANE_OK);
    assert_int_equal(klane_sqlite_topic(fixture->log, "orders", 1), KLANE_OK);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    klane_sqlite_close(fixture->log);
    scratch_deinit(&fixture->scratch);
    free(fixture);
    return 0;
}

static void crash(struct fixture *fixture)
{
    char command[5 * SCRATCH_PATH_SIZE + 64];

    snprintf(command, sizeof command, "rm -f '%s'*; cp '%s' '%s' && cp '%s-wal' '%s-wal'",
             fixture->left, fixture->path, fixture->left, fixture->path, fixture->left);
    assert_int_equal(system(command), 0);
}

static bool was_closed(const struct fixture *fixture)
{
    char path[SCRATCH_PATH_SIZE];

    scratch_path(&fixture->scratch, "left-wal", path);
    return access(path, F_OK) != 0;
}

static klane_err_t open_as_source(struct fixture *fixture)
{
    struct klane_source *source = NULL;
    klane_err_t err = klane_sqlite_create(fixture->left, "group", KLANE_SQLITE_REFUSE, &source,
                                          fixture->errstr, sizeof fixture->errstr);

    klane_source_destroy(source);
    return err;
}

static klane_err_t open_to_append(struct fixture *fixture)
{
    struct klane_sqlite *log = NULL;
    klane_err_t err = klane_sqlite_open(fixture->left, BUSY_MS, &log, fixture->errstr,
                                        sizeof fixture->errstr);

    klane_sqlite_close(log);
    return err;
}

static void fill(struct fixture *fixture)
{
    char value[1000];
    struct klane_sqlite_record record = {.topic = "orders",
                                         .value = value,
                                         .value_size = sizeof value,
                                         .timestamp_ms = -1,
                                         .partition = 0};

    memset(value, 'v', sizeof value);
    for (int i = 0; i < RECORDS; i++)
        assert_int_equal(klane_sqlite_append(fixture->log, &record, NULL), KLANE_OK);
}

/* Amidst the records. */
static void damage_a_page(const struct fixture *fixture)
{
    static const char noise[64] = "noise";
    FILE *file = fopen(fixture->left, "r+");
    struct stat status;

    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &status), 0);
    assert_int_equal(fseek(file, status.st_size / PAGE_BYTES / 2 * PAGE_BYTES, SEEK_SET), 0);
    assert_int_equal(fwrite(noise, 1, sizeof noise, file), sizeof noise);
    assert_int_equal(fclose(file), 0);
}

static void a_log_that_a_crash_has_left_is_checked_whole_by_a_source(void **state)
{
    struct fixture *fixture = *state;

    fill(fixture);
    raw_execute(fixture->path, "PRAGMA wal_checkpoint");
    fill(fixture);
    crash(fixture);
    assert_int_equal(open_as_source(fixture), KLANE_OK);
    assert_true(was_closed(fixture));

    crash(fixture);
    damage_a_page(fixture);
    assert_int_equal(open_as_source(fixture), KLANE_ERR_CORRUPT);
    assert_non_null(strstr(fixture->errstr, fixture->left));
    /* It is left as it is, so it is found again. */
    assert_false(was_closed(fixture));
    assert_int_equal(open_as_source(fixture), KLANE_ERR_CORRUPT);
}

static void answer(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count, (void)values;
    sqlite3_result_int(context, 1);
}

/* What the program has in its file needs functions and orders that only the program has. */
static void the_tables_of_a_program_are_not_looked_at(void **state)
{
    struct fixture *fixture = *state;
    struct klane_sqlite *log = NULL;
    sqlite3 *shop = NULL;

    klane_sqlite_close(fixture->log);
    fixture->log = NULL;
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(sqlite3_open(fixture->path, &shop), SQLITE_OK);
    assert_int_equal(
        sqlite3_create_function(shop, "own", 1, SQLITE_UTF8, NULL, answer, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(shop,
                                  "CREATE TABLE orders (id INTEGER CHECK (own(id) = 1));"
                                  "INSERT INTO orders VALUES (1)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(klane_sqlite_borrow(shop, &log, NULL, 0), KLANE_OK);
    assert_int_equal(klane_sqlite_topic(log, "orders", 1), KLANE_OK);
    crash(fixture);
    assert_int_equal(open_as_source(fixture), KLANE_OK);
    klane_sqlite_close(log);
    sqlite3_close(shop);
}

static void a_partition_that_ends_before_its_records_is_refused(void **state)
{
    struct fixture *fixture = *state;

    fill(fixture);
    raw_execute(fixture->path, "UPDATE klane_partitions SET next = 17");
    crash(fixture);
    assert_int_equal(open_to_append(fixture), KLANE_ERR_CORRUPT);
    assert_non_null(strstr(fixture->errstr, "ends at 17"));
    assert_int_equal(open_as_source(fixture), KLANE_ERR_CORRUPT);
    assert_non_null(strstr(fixture->errstr, "ends at 17"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_log_that_a_crash_has_left_is_checked_whole_by_a_source),
        TEST(the_tables_of_a_program_are_not_looked_at),
        TEST(a_partition_that_ends_before_its_records_is_refused),
    };
#undef TEST

    return check_run(tests);
}
