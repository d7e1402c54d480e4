/* SPDX-License-Identifier: Apache-2.0 */
#include "source/sqlite/cleaner.h"

#include "base/assert.h"
#include "base/clock.h"
#include "source/sqlite/locks.h"

#include <klane/sqlite.h>

#include <errno.h>
#include <string.h>
#include <time.h>

enum {
    ROWS_FIRST = 256,
    ROWS_MIN = 16,
    STEP_NS_MAX = 4000000, /* more: half as many rows */
    STEP_NS_MIN = 1500000, /* less: twice as many */
    REST_TIMES = 4,        /* as long as the step */
    REST_NS_MIN = 500000,
    BREATH_NS = 2000000,
    SHRINK_SHARE = 8,   /* so many pages for one free one are not worth the work */
    SHRINK_PAGES = 256, /* nor are fewer than these */
    CHECKPOINT_PAGES = 1000
};

static const char *const statement_texts[CLEANER_STATEMENTS] = {
    [CLEANER_BEGIN] = "BEGIN IMMEDIATE",
    [CLEANER_COMMIT] = "COMMIT",
    [CLEANER_ROLLBACK] = "ROLLBACK",
    [CLEANER_RULES] = "SELECT p.id, keep_age, keep_bytes, passed, compact, tombstone_age"
                      " FROM klane_partitions AS p JOIN klane_topics AS t ON t.id = p.topic"
                      " WHERE p.id > ? AND (keep_age >= 0 OR keep_bytes >= 0 OR passed = 1"
                      " OR compact) ORDER BY p.id LIMIT 1",
    [CLEANER_STATE] = "SELECT next, first, bytes, compacted, compacted_records"
                      " FROM klane_partitions WHERE id = ?",
    [CLEANER_PASSED] = "SELECT min(committed) FROM klane_groups AS g JOIN klane_offsets AS o"
                       " ON o.group_id = g.id AND o.partition_id = ?",
    [CLEANER_ROWS] = "SELECT id, key, value IS NULL, timestamp, ifnull(length(key), 0)"
                     " + ifnull(length(value), 0) + ifnull(length(headers), 0)"
                     " FROM klane_records WHERE id >= ? AND id < ? ORDER BY id",
    [CLEANER_DELETE] = "DELETE FROM klane_records WHERE id >= ? AND id <= ?",
    [CLEANER_SET_FIRST] = "UPDATE klane_partitions SET first = max(first, ?2),"
                          " bytes = max(0, bytes - ?3),"
                          " compacted_records = min(compacted_records,"
                          " max(0, compacted - max(first, ?2))) WHERE id = ?1",
    [CLEANER_KEYS] = "SELECT id, key FROM klane_records WHERE id >= ? AND id < ?"
                     " AND key IS NOT NULL ORDER BY id",
    [CLEANER_SET_COMPACTED] = "UPDATE klane_partitions SET compacted = max(compacted, ?2),"
                              " compacted_records = ?3"
                              " WHERE id = ?1",
    [CLEANER_CAN_SHRINK] = "PRAGMA auto_vacuum",
    [CLEANER_PAGES] = "PRAGMA page_count",
    [CLEANER_FREE_PAGES] = "PRAGMA freelist_count",
    [CLEANER_SHRINK] = "PRAGMA incremental_vacuum(64)",
};

_Static_assert(KLANE_SQLITE_PASSED_GO == 1, "the statement of the rules says 1");

/* ---- steps ------------------------------------------------------------------------------- */

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* The log is not locked any more: somebody else's turn. */
static klane_err_t rest(struct cleaner *cleaner, int64_t step_ns)
{
    int64_t ns = REST_TIMES * step_ns;

    if (step_ns > STEP_NS_MAX && cleaner->rows > ROWS_MIN)
        cleaner->rows /= 2;
    else if (step_ns < STEP_NS_MIN && cleaner->rows < CLEANER_ROWS_MAX)
        cleaner->rows *= 2;
    return cleaner->rest(cleaner->context, ns < REST_NS_MIN ? REST_NS_MIN : ns)
               ? KLANE_OK
               : KLANE_ERR_STOPPED;
}

klane_err_t cleaner_state(struct cleaner *cleaner, int64_t partition, struct cleaner_state *state)
{
    sqlite3_stmt *row = cleaner->statements[CLEANER_STATE];
    sqlite3_stmt *passed = cleaner->statements[CLEANER_PASSED];
    klane_err_t err;

    sqlite3_bind_int64(row, 1, partition);
    err = database_row(&cleaner->database, row);
    if (err == KLANE_OK)
        *state = (struct cleaner_state){.next = sqlite3_column_int64(row, 0),
                                        .first = sqlite3_column_int64(row, 1),
                                        .bytes = sqlite3_column_int64(row, 2),
                                        .compacted = sqlite3_column_int64(row, 3),
                                        .compacted_records = sqlite3_column_int64(row, 4)};
    sqlite3_reset(row);
    if (err != KLANE_OK)
        return err;
    sqlite3_bind_int64(passed, 1, partition);
    err = database_row(&cleaner->database, passed);
    /* Without a group it is NULL, which reads as 0. */
    if (err == KLANE_OK)
        state->passed = sqlite3_column_int64(passed, 0);
    sqlite3_reset(passed);
    return err;
}

sqlite3_stmt *cleaner_rows(struct cleaner *cleaner, int64_t first, int64_t end)
{
    sqlite3_stmt *rows = cleaner->statements[CLEANER_ROWS];

    sqlite3_bind_int64(rows, 1, first);
    sqlite3_bind_int64(rows, 2, end);
    return rows;
}

static klane_err_t delete_ranges(struct cleaner *cleaner, size_t count)
{
    sqlite3_stmt *statement = cleaner->statements[CLEANER_DELETE];
    klane_err_t err = KLANE_OK;

    for (size_t i = 0; i < count && err == KLANE_OK; i++) {
        sqlite3_bind_int64(statement, 1, cleaner->ranges[i].first);
        sqlite3_bind_int64(statement, 2, cleaner->ranges[i].last);
        err = database_run(&cleaner->database, statement);
    }
    return err;
}

/* The next partition behind rules->partition whose topic has rules. NOT_FOUND: there is none. */
static klane_err_t next_partition(struct cleaner *cleaner, struct cleaner_rules *rules)
{
    sqlite3_stmt *row = cleaner->statements[CLEANER_RULES];
    klane_err_t err;

    sqlite3_bind_int64(row, 1, rules->partition);
    err = database_row(&cleaner->database, row);
    if (err == KLANE_OK)
        *rules = (struct cleaner_rules){.partition = sqlite3_column_int64(row, 0),
                                        .age_ms = sqlite3_column_int64(row, 1),
                                        .bytes = sqlite3_column_int64(row, 2),
                                        .passed = sqlite3_column_int64(row, 3),
                                        .compact = sqlite3_column_int64(row, 4) != 0,
                                        .tombstone_ms = sqlite3_column_int64(row, 5)};
    sqlite3_reset(row);
    return err;
}

/* In the transaction that deletes: whether what was decided before it still holds. */
static klane_err_t check_rules(struct cleaner *cleaner, const struct cleaner_rules *rules,
                               int64_t passed)
{
    struct cleaner_rules now = {.partition = rules->partition - 1};
    struct cleaner_state state;
    klane_err_t err = next_partition(cleaner, &now);

    if (err == KLANE_OK)
        err = cleaner_state(cleaner, rules->partition, &state);
    if (err != KLANE_OK && err != KLANE_ERR_NOT_FOUND)
        return err;
    if (err == KLANE_OK && now.partition == rules->partition && now.age_ms == rules->age_ms &&
        now.bytes == rules->bytes && now.passed == rules->passed &&
        now.compact == rules->compact && now.tombstone_ms == rules->tombstone_ms &&
        (now.passed == KLANE_SQLITE_PASSED_ANY || state.passed >= passed))
        return KLANE_OK;
    return database_fail(&cleaner->database, KLANE_ERR_BUSY,
                         "what is kept of the log has changed meanwhile");
}

static klane_err_t set_first(struct cleaner *cleaner, int64_t partition, int64_t first,
                             int64_t bytes)
{
    sqlite3_stmt *statement = cleaner->statements[CLEANER_SET_FIRST];

    sqlite3_bind_int64(statement, 1, partition);
    sqlite3_bind_int64(statement, 2, first);
    sqlite3_bind_int64(statement, 3, bytes);
    return database_run(&cleaner->database, statement);
}

klane_err_t cleaner_delete(struct cleaner *cleaner, const struct cleaner_rules *rules,
                           int64_t passed, size_t count, int64_t first, int64_t bytes)
{
    klane_err_t err = database_run(&cleaner->database, cleaner->statements[CLEANER_BEGIN]);
    int64_t begin_ns = now_ns();

    if (err == KLANE_OK)
        err = check_rules(cleaner, rules, passed);
    if (err == KLANE_OK)
        err = delete_ranges(cleaner, count);
    if (err == KLANE_OK)
        err = set_first(cleaner, rules->partition, first, bytes);
    if (err == KLANE_OK)
        err = database_run(&cleaner->database, cleaner->statements[CLEANER_COMMIT]);
    if (err != KLANE_OK) {
        database_rollback(&cleaner->database, cleaner->statements[CLEANER_ROLLBACK]);
        return err;
    }
    return rest(cleaner, now_ns() - begin_ns);
}

klane_err_t cleaner_breathe(struct cleaner *cleaner)
{
    return cleaner->rest(cleaner->context, BREATH_NS) ? KLANE_OK : KLANE_ERR_STOPPED;
}

/* ---- retention --------------------------------------------------------------------------- */

/* Whether the record at offset may go, when the partition has so many bytes with it. */
static bool may_go(const struct cleaner_rules *rules, const struct cleaner_state *state,
                   int64_t offset, int64_t timestamp_ms, int64_t bytes, int64_t now_ms)
{
    bool has_passed = offset < state->passed;

    if (rules->passed == KLANE_SQLITE_PASSED_ONLY && !has_passed)
        return false;
    return (rules->age_ms >= 0 && timestamp_ms < now_ms - rules->age_ms) ||
           (rules->bytes >= 0 && bytes > rules->bytes) ||
           (rules->passed == KLANE_SQLITE_PASSED_GO && has_passed);
}

/* Finds the oldest that may go, as the first range; last offset -1: none. */
static klane_err_t find_oldest(struct cleaner *cleaner, const struct cleaner_rules *rules,
                               const struct cleaner_state *state, int64_t *last, int64_t *bytes)
{
    int64_t base = rules->partition << DATABASE_OFFSET_BITS;
    sqlite3_stmt *rows = cleaner_rows(cleaner, base | state->first, base | state->next);
    int64_t now_ms = clock_wall_ms();
    klane_err_t err = KLANE_OK;

    *last = -1;
    *bytes = 0;
    for (uint32_t i = 0; i < cleaner->rows && *bytes < CLEANER_STEP_BYTES; i++) {
        err = database_row(&cleaner->database, rows);
        if (err != KLANE_OK ||
            !may_go(rules, state, sqlite3_column_int64(rows, 0) - base,
                    sqlite3_column_int64(rows, 3), state->bytes - *bytes, now_ms))
            break;
        *last = sqlite3_column_int64(rows, 0) - base;
        *bytes += sqlite3_column_int64(rows, 4);
    }
    sqlite3_reset(rows);
    cleaner->ranges[0] = (struct cleaner_range){base | state->first, base | *last};
    return err == KLANE_ERR_NOT_FOUND ? KLANE_OK : err;
}

static klane_err_t retain(struct cleaner *cleaner, const struct cleaner_rules *rules)
{
    struct cleaner_state state;
    int64_t last = 0, bytes = 0;
    klane_err_t err;

    do {
        err = cleaner_state(cleaner, rules->partition, &state);
        if (err == KLANE_OK)
            err = find_oldest(cleaner, rules, &state, &last, &bytes);
        if (err == KLANE_OK && last >= 0)
            err = cleaner_delete(cleaner, rules, state.passed, 1, last + 1, bytes);
    } while (err == KLANE_OK && last >= 0);
    return err;
}

/* ---- space ------------------------------------------------------------------------------- */

static klane_err_t number(struct cleaner *cleaner, enum cleaner_statement which, int64_t *found)
{
    sqlite3_stmt *statement = cleaner->statements[which];
    klane_err_t err = database_row(&cleaner->database, statement);

    if (err == KLANE_OK)
        *found = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return err;
}

/* Pages at the end of the file go where free ones are; what is free then is cut off with the next
 * checkpoint. The statement does a page with each step, and commits when it is reset. */
static klane_err_t shrink_step(struct cleaner *cleaner)
{
    sqlite3_stmt *shrink = cleaner->statements[CLEANER_SHRINK];
    int64_t begin_ns = now_ns();
    klane_err_t err;
    int result;

    do
        err = database_row(&cleaner->database, shrink);
    while (err == KLANE_OK && now_ns() - begin_ns < STEP_NS_MAX);
    result = sqlite3_reset(shrink);
    if (err != KLANE_OK && err != KLANE_ERR_NOT_FOUND)
        return err;
    if (result != SQLITE_OK)
        return database_failed(&cleaner->database, result);
    return rest(cleaner, now_ns() - begin_ns);
}

static bool is_worth_it(const struct cleaner *cleaner, int64_t pages, int64_t free_pages)
{
    if (cleaner->is_all)
        return free_pages > 0;
    return free_pages > SHRINK_PAGES && free_pages > pages / SHRINK_SHARE;
}

static klane_err_t shrink(struct cleaner *cleaner)
{
    int64_t mode = 0, pages = 0, free_pages = 0;
    klane_err_t err = number(cleaner, CLEANER_CAN_SHRINK, &mode);

    if (err != KLANE_OK || mode == 0)
        return err;
    for (;;) {
        int64_t before = free_pages;

        err = number(cleaner, CLEANER_PAGES, &pages);
        if (err == KLANE_OK)
            err = number(cleaner, CLEANER_FREE_PAGES, &free_pages);
        if (err != KLANE_OK || !is_worth_it(cleaner, pages, free_pages) || free_pages == before)
            return err;
        err = shrink_step(cleaner);
        if (err != KLANE_OK)
            return err;
    }
}

/* ---- all of it --------------------------------------------------------------------------- */

static klane_err_t clean(struct cleaner *cleaner)
{
    struct cleaner_rules rules = {.partition = 0};
    klane_err_t err = KLANE_OK;

    while (err == KLANE_OK && (err = next_partition(cleaner, &rules)) == KLANE_OK) {
        err = retain(cleaner, &rules);
        if (err == KLANE_OK && rules.compact)
            err = cleaner_compact(cleaner, &rules);
    }
    if (err == KLANE_ERR_NOT_FOUND)
        err = shrink(cleaner);
    /* What was cut off leaves the file. */
    return err == KLANE_OK && cleaner->is_all ? cleaner_checkpoint(cleaner) : err;
}

klane_err_t cleaner_checkpoint(struct cleaner *cleaner)
{
    int result = sqlite3_wal_checkpoint_v2(cleaner->database.handle, "main",
                                           SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);

    /* Busy is another one who does it. */
    return (result & 0xff) == SQLITE_OK || (result & 0xff) == SQLITE_BUSY
               ? KLANE_OK
               : database_failed(&cleaner->database, result);
}

klane_err_t cleaner_run(struct cleaner *cleaner)
{
    klane_err_t err;

    if (!locks_take(cleaner->locks, LOCKS_CLEANER)) {
        bool is_taken = errno == EAGAIN || errno == EACCES;

        return database_fail(&cleaner->database, is_taken ? KLANE_ERR_BUSY : KLANE_ERR_IO, "%s",
                             is_taken ? "another process cleans the log" : strerror(errno));
    }
    err = clean(cleaner);
    locks_leave(cleaner->locks, LOCKS_CLEANER);
    return err;
}

klane_err_t cleaner_init(struct cleaner *cleaner, const char *path)
{
    klane_err_t err = database_open(&cleaner->database, path, CLEANER_BUSY_MS);

    cleaner->locks = -1;
    cleaner->rows = ROWS_FIRST;
    if (err == KLANE_OK)
        err = database_prepare(&cleaner->database, statement_texts, CLEANER_STATEMENTS,
                               cleaner->statements);
    if (err == KLANE_OK)
        cleaner->locks = locks_open(&cleaner->database, &err);
    if (err == KLANE_OK)
        err = database_relax(&cleaner->database, CLEANER_CACHE_BYTES, CHECKPOINT_PAGES);
    if (err != KLANE_OK)
        cleaner_deinit(cleaner);
    return err;
}

void cleaner_deinit(struct cleaner *cleaner)
{
    database_finalize(cleaner->statements, CLEANER_STATEMENTS);
    locks_close(cleaner->locks);
    cleaner->locks = -1;
    database_close(&cleaner->database);
}
