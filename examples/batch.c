/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Puts the topic "readings" of an embedded log into a table of SQLite, all that waits in one
 * transaction: a commit costs as much for one row as for five hundred. A reading that is no number
 * is refused by the table; it alone becomes a dead letter in "readings.dead" of the same log.
 *
 *     printf 'north\t20\nsouth\t7\nnorth\tbroken\nnorth\t21\n' | append readings.log readings
 *     batch readings.log readings.db
 *     letters readings.log readings.dead list
 *
 * What stands behind a dead letter of its key counts as not run, and comes again; after a crash
 * between the two commits everything does. So rows are named by where their record is in the log.
 */
#include <klane/sqlite.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#define BUSY_MS 5000

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS readings (partition INTEGER, "
    "offset INTEGER, place TEXT, value INTEGER "
    "CHECK (typeof(value) = 'integer'), PRIMARY KEY (partition, offset))";

struct table {
    sqlite3 *database;
    sqlite3_stmt *insert;
    unsigned transactions;
};

/** The row of a record; SQLITE_CONSTRAINT: the table does not take it. */
static int insert(const struct table *table, const struct klane_record *record)
{
    sqlite3_bind_int(table->insert, 1, record->partition);
    sqlite3_bind_int64(table->insert, 2, record->offset);
    sqlite3_bind_text(table->insert, 3, record->key, (int)record->key_size, SQLITE_STATIC);
    sqlite3_bind_text(table->insert, 4, record->value, (int)record->value_size, SQLITE_STATIC);
    sqlite3_step(table->insert);
    return sqlite3_reset(table->insert);
}

static void on_readings(struct klane_batch *batch, void *context)
{
    struct table *table = context;
    int result = sqlite3_exec(table->database, "BEGIN IMMEDIATE", NULL, NULL, NULL);

    for (size_t i = 0; i < batch->count && result == SQLITE_OK; i++) {
        result = insert(table, &batch->records[i]);
        if (result == SQLITE_CONSTRAINT) {
            klane_dead_letter(&batch->records[i], sqlite3_errmsg(table->database));
            result = SQLITE_OK;
        }
    }
    if (result == SQLITE_OK)
        result = sqlite3_exec(table->database, "COMMIT", NULL, NULL, NULL);
    table->transactions += result == SQLITE_OK;
    if (result == SQLITE_OK)
        return;
    /* Nothing of it is there: all of it is tried again, whatever was said before. */
    for (size_t i = 0; i < batch->count; i++)
        klane_retry(&batch->records[i], 1000, sqlite3_errmsg(table->database));
    sqlite3_exec(table->database, "ROLLBACK", NULL, NULL, NULL);
}

static bool open_table(const char *path, struct table *table)
{
    if (sqlite3_open(path, &table->database) == SQLITE_OK &&
        sqlite3_busy_timeout(table->database, BUSY_MS) == SQLITE_OK &&
        sqlite3_exec(table->database, schema, NULL, NULL, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(table->database,
                           "INSERT INTO readings VALUES (?, ?, ?, ?) "
                           "ON CONFLICT (partition, offset) DO NOTHING",
                           -1, &table->insert, NULL) == SQLITE_OK)
        return true;
    fprintf(stderr, "%s: %s\n", path, sqlite3_errmsg(table->database));
    return false;
}

static void close_table(struct table *table)
{
    sqlite3_finalize(table->insert);
    sqlite3_close(table->database);
}

/** One worker, as a database has one writer; whatever is ready goes into its next transaction. */
static klane_err_t consume(const char *path, struct table *table, struct klane_letters *letters)
{
    struct klane_source *source = NULL;
    struct klane_runtime *runtime = NULL;
    struct klane_options options;
    struct klane_route route;
    char why[256];
    klane_err_t err;

    klane_options_init(&options, sizeof options);
    options.workers = 1;
    options.stop_when_caught_up = true;
    err = klane_sqlite_create(path, "table", KLANE_SQLITE_STANDBY, &source, why, sizeof why);
    if (err == KLANE_OK)
        err = klane_create(&options, source, &runtime, why, sizeof why);
    if (err != KLANE_OK) {
        fprintf(stderr, "%s\n", why);
        klane_source_destroy(source);
        return err;
    }
    klane_route_init(&route, sizeof route);
    route.topic = "readings";
    route.batch = on_readings;
    route.batch_max = 500;
    route.batch_keys = KLANE_BATCH_MANY_KEYS;
    route.context = table;
    route.dead_letter = klane_letters_send;
    route.dead_letter_context = letters;
    err = klane_route(runtime, &route);
    if (err == KLANE_OK)
        err = klane_run(runtime);
    if (klane_destroy(runtime) != KLANE_OK) {
        /* The function is out: its table stays until the process ends. */
        fprintf(stderr, "%s\n", klane_strerror(err));
        exit(EXIT_FAILURE);
    }
    return err;
}

int main(int argc, char **argv)
{
    struct klane_letters *letters = NULL;
    struct table table = {NULL, NULL, 0};
    klane_err_t err = KLANE_ERR_IO;
    char why[256];

    if (argc != 3) {
        fprintf(stderr, "usage: batch LOG TABLE\n");
        return 2;
    }
    if (klane_sqlite_letters(argv[1], BUSY_MS, "readings.dead", &letters, why, sizeof why) !=
        KLANE_OK)
        fprintf(stderr, "%s\n", why);
    else if (open_table(argv[2], &table))
        err = consume(argv[1], &table, letters);
    if (err == KLANE_OK)
        printf("%d rows, %u transactions\n", sqlite3_total_changes(table.database),
               table.transactions);
    close_table(&table);
    klane_letters_destroy(letters);
    if (err != KLANE_OK)
        fprintf(stderr, "%s\n", klane_strerror(err));
    return err == KLANE_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
