/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of the embedded log, as the program says it. */
#include "base/given.h"
#include "source/sqlite/cleaner.h"
#include "source/sqlite/group.h"
#include "source/sqlite/log.h"

#include <klane/sqlite.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct klane_sqlite_keep defaults = {
    .age_ms = -1, .bytes = -1, .tombstone_ms = INT64_C(24) * 60 * 60 * 1000};

static const char keep_sql[] =
    "UPDATE main.klane_topics SET keep_age = ?2, keep_bytes = ?3, passed = ?4, compact = ?5,"
    " tombstone_age = ?6 WHERE name = ?1";

/* In one transaction. The group stays, with the next generation: a process that was paused may
 * still believe that it consumes for it. */
static const char *const forget_sql[] = {
    "UPDATE main.klane_groups SET generation = generation + 1 WHERE name = ?1 AND generation = "
    "?2",
    "DELETE FROM main.klane_offsets WHERE group_id ="
    " (SELECT id FROM main.klane_groups WHERE name = ?1)",
};

void klane_sqlite_keep_init(struct klane_sqlite_keep *keep, size_t keep_size)
{
    given_init(keep, keep_size, &defaults, sizeof defaults);
}

/* Runs a statement with the name as its first parameter, which the caller has prepared. */
static klane_err_t run_with(struct klane_sqlite *log, sqlite3_stmt *statement, const char *name)
{
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    return database_run(&log->database, statement);
}

static klane_err_t refuse(struct klane_sqlite *log, const char *topic, const char *what,
                          int64_t value)
{
    return database_fail(&log->database, KLANE_ERR_INVALID, "topic %s: %s is %" PRId64, topic,
                         what, value);
}

static klane_err_t check(struct klane_sqlite *log, const char *topic,
                         const struct klane_sqlite_keep *given, struct klane_sqlite_keep *keep)
{
    if (!given_name_is_valid(topic))
        return database_fail(&log->database, KLANE_ERR_INVALID, "topic is not a topic's name");
    *keep = defaults;
    if (given == NULL || !given_copy(keep, sizeof *keep, given))
        return database_fail(
            &log->database, KLANE_ERR_INVALID,
            "topic %s: keep is NULL, was not initialised, or is of a newer klane", topic);
    if (keep->age_ms < -1)
        return refuse(log, topic, "age_ms", keep->age_ms);
    if (keep->bytes < -1)
        return refuse(log, topic, "bytes", keep->bytes);
    if (keep->tombstone_ms < 0)
        return refuse(log, topic, "tombstone_ms", keep->tombstone_ms);
    if (keep->passed < KLANE_SQLITE_PASSED_ANY || keep->passed > KLANE_SQLITE_PASSED_ONLY)
        return refuse(log, topic, "passed", keep->passed);
    return KLANE_OK;
}

klane_err_t klane_sqlite_keep(struct klane_sqlite *log, const char *topic,
                              const struct klane_sqlite_keep *given)
{
    const char *sql = keep_sql;
    sqlite3_stmt *statement = NULL;
    struct klane_sqlite_keep keep;
    klane_err_t err = log_enter(log);

    if (err == KLANE_OK)
        err = check(log, topic, given, &keep);
    if (err != KLANE_OK)
        return err;
    err = database_prepare(&log->database, &sql, 1, &statement);
    if (err == KLANE_OK) {
        sqlite3_bind_int64(statement, 2, keep.age_ms);
        sqlite3_bind_int64(statement, 3, keep.bytes);
        sqlite3_bind_int64(statement, 4, keep.passed);
        sqlite3_bind_int64(statement, 5, keep.compact);
        sqlite3_bind_int64(statement, 6, keep.tombstone_ms);
        err = run_with(log, statement, topic);
    }
    if (err == KLANE_OK && sqlite3_changes(log->database.handle) == 0)
        err = database_fail(&log->database, KLANE_ERR_NOT_FOUND, "there is no topic %s", topic);
    sqlite3_finalize(statement);
    return err;
}

/* ---- cleaning ---------------------------------------------------------------------------- */

static bool sleep_for(void *context, int64_t ns)
{
    struct timespec time = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = ns % 1000000000};

    (void)context;
    nanosleep(&time, NULL);
    return true;
}

klane_err_t klane_sqlite_clean(struct klane_sqlite *log)
{
    klane_err_t err = log_enter(log);
    struct cleaner *cleaner;

    if (err != KLANE_OK)
        return err;
    cleaner = calloc(1, sizeof *cleaner);
    if (cleaner == NULL)
        return database_fail(&log->database, KLANE_ERR_NOMEM, "memory is exhausted");
    cleaner->is_all = true;
    cleaner->rest = sleep_for;
    err = cleaner_init(cleaner, log->database.path);
    if (err == KLANE_OK) {
        err = cleaner_run(cleaner);
        cleaner_deinit(cleaner);
    }
    if (err != KLANE_OK)
        memcpy(log->database.text, cleaner->database.text, sizeof log->database.text);
    free(cleaner);
    return err;
}

/* ---- forgetting a group ------------------------------------------------------------------ */

/* Unless a process has joined since it was looked at. */
static klane_err_t forget(struct klane_sqlite *log, const char *name, int64_t seen_generation)
{
    sqlite3_stmt *statements[2] = {NULL};
    klane_err_t err = database_prepare(&log->database, forget_sql, 2, statements);

    if (err == KLANE_OK)
        err = log_begin(log);
    if (err == KLANE_OK) {
        sqlite3_bind_int64(statements[0], 2, seen_generation);
        err = run_with(log, statements[0], name);
        if (err == KLANE_OK && sqlite3_changes(log->database.handle) == 0)
            err = database_fail(&log->database, KLANE_ERR_TAKEN,
                                "another process consumes for group %s", name);
        if (err == KLANE_OK)
            err = run_with(log, statements[1], name);
        err = log_finish(log, err);
    }
    database_finalize(statements, 2);
    return err;
}

klane_err_t klane_sqlite_forget(struct klane_sqlite *log, const char *name)
{
    struct sqlite_group group = {.database = NULL};
    klane_err_t err = log_enter(log);

    if (err != KLANE_OK)
        return err;
    if (!given_name_is_valid(name))
        return database_fail(&log->database, KLANE_ERR_INVALID, "group is not a group's name");
    if (!sqlite3_get_autocommit(log->database.handle))
        return database_fail(&log->database, KLANE_ERR_INVALID, "a transaction is open");
    err = sqlite_group_init(&group, &log->database, name);
    if (err == KLANE_OK)
        err = sqlite_group_check_free(&group);
    sqlite_group_deinit(&group);
    if (err == KLANE_OK && group.seen_generation < 0)
        err = database_fail(&log->database, KLANE_ERR_NOT_FOUND, "there is no group %s", name);
    return err == KLANE_OK ? forget(log, name, group.seen_generation) : err;
}
