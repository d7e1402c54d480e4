/* SPDX-License-Identifier: Apache-2.0 */
/* Compaction: of each key the newest record stays.
 *
 * A pass first notes the newest offset of each key in what came since the last one, as far as the
 * table reaches, and then goes through the partition from its beginning: what has a newer one
 * goes, older ones first. So a tombstone, when its time is over, has nothing older left that it
 * would have to hide, whenever the pass ends. Records without a key stay. */
#include "base/clock.h"
#include "source/sqlite/cleaner.h"

#include <klane/sqlite.h>

enum {
    DIRTY_MIN = 1000, /* records that came since, or a pass is not worth it */
    SCANNED_MAX = 4 * CLEANER_ROWS_MAX
};

struct pass {
    const struct cleaner_rules *rules;
    int64_t base;   /* of the partition's ids */
    int64_t end;    /* the pass goes up to it; an id */
    int64_t next;   /* the next id to look at */
    int64_t passed; /* what groups had passed, as far as it matters */
    int64_t kept;   /* records */
    int64_t now_ms;
};

/* Notes the keys of the next rows, a few thousand of them: not all at once, or the write-ahead log
 * would grow meanwhile. *next moves on; NOT_FOUND: there are no more. */
static klane_err_t note_some(struct cleaner *cleaner, struct pass *pass, int64_t *next)
{
    sqlite3_stmt *keys = cleaner->statements[CLEANER_KEYS];
    klane_err_t err = KLANE_OK;

    sqlite3_bind_int64(keys, 1, *next);
    sqlite3_bind_int64(keys, 2, pass->end);
    for (int i = 0; i < CLEANER_ROWS_MAX && *next < pass->end; i++) {
        err = database_row(&cleaner->database, keys);
        if (err != KLANE_OK)
            break;
        *next = sqlite3_column_int64(keys, 0);
        /* The pass ends where the table does. */
        if (!newest_set(&cleaner->newest, sqlite3_column_blob(keys, 1),
                        (size_t)sqlite3_column_bytes(keys, 1), *next))
            pass->end = *next;
        else
            ++*next;
    }
    sqlite3_reset(keys);
    return err;
}

/* What came since the last pass: the newest of each key. */
static klane_err_t note_keys(struct cleaner *cleaner, struct pass *pass, int64_t next)
{
    klane_err_t err = KLANE_OK;

    while (next < pass->end && err == KLANE_OK) {
        err = note_some(cleaner, pass, &next);
        if (err == KLANE_OK)
            err = cleaner_breathe(cleaner);
    }
    return err == KLANE_ERR_NOT_FOUND ? KLANE_OK : err;
}

static bool is_kept(const struct cleaner *cleaner, const struct pass *pass, sqlite3_stmt *row)
{
    int64_t newest;

    if (sqlite3_column_type(row, 1) == SQLITE_NULL)
        return true;
    newest = newest_of(&cleaner->newest, sqlite3_column_blob(row, 1),
                       (size_t)sqlite3_column_bytes(row, 1));
    if (newest > sqlite3_column_int64(row, 0))
        return false;
    return sqlite3_column_int(row, 2) == 0 ||
           sqlite3_column_int64(row, 3) >= pass->now_ms - pass->rules->tombstone_ms;
}

/* Collects what goes, as much as a step may delete. */
static klane_err_t collect(struct cleaner *cleaner, struct pass *pass, size_t *count,
                           int64_t *bytes)
{
    sqlite3_stmt *rows = cleaner_rows(cleaner, pass->next, pass->end);
    uint32_t dead = 0;
    bool is_open = false; /* the last range goes on */
    klane_err_t err = KLANE_OK;

    *count = 0;
    *bytes = 0;
    for (uint32_t i = 0; i < SCANNED_MAX && dead < cleaner->rows && *bytes < CLEANER_STEP_BYTES;
         i++) {
        int64_t id;

        err = database_row(&cleaner->database, rows);
        if (err != KLANE_OK)
            break;
        id = sqlite3_column_int64(rows, 0);
        pass->next = id + 1;
        if (is_kept(cleaner, pass, rows)) {
            pass->kept++;
            is_open = false;
            continue;
        }
        if (!is_open)
            cleaner->ranges[(*count)++].first = id;
        cleaner->ranges[*count - 1].last = id;
        is_open = true;
        dead++;
        *bytes += sqlite3_column_int64(rows, 4);
    }
    sqlite3_reset(rows);
    if (err == KLANE_ERR_NOT_FOUND)
        pass->next = pass->end;
    return err == KLANE_ERR_NOT_FOUND ? KLANE_OK : err;
}

static klane_err_t go_through(struct cleaner *cleaner, struct pass *pass)
{
    klane_err_t err = KLANE_OK;

    while (pass->next < pass->end && err == KLANE_OK) {
        size_t count;
        int64_t bytes;

        err = collect(cleaner, pass, &count, &bytes);
        if (err == KLANE_OK && count > 0)
            err = cleaner_delete(cleaner, pass->rules, pass->passed, count, 0, bytes);
        if (err == KLANE_OK && count == 0)
            err = cleaner_breathe(cleaner);
    }
    return err;
}

static klane_err_t finish(struct cleaner *cleaner, const struct pass *pass)
{
    sqlite3_stmt *set = cleaner->statements[CLEANER_SET_COMPACTED];

    sqlite3_bind_int64(set, 1, pass->rules->partition);
    sqlite3_bind_int64(set, 2, pass->end - pass->base);
    sqlite3_bind_int64(set, 3, pass->kept);
    return database_run(&cleaner->database, set);
}

/* The first offset that no pass has seen. */
static int64_t dirty_from(const struct cleaner_state *state)
{
    return state->compacted > state->first ? state->compacted : state->first;
}

/* From what is compacted up to end, or as far as the table reaches. */
static klane_err_t run_pass(struct cleaner *cleaner, const struct cleaner_rules *rules,
                            const struct cleaner_state *state, int64_t end, int64_t *reached)
{
    int64_t base = rules->partition << DATABASE_OFFSET_BITS;
    struct pass pass = {.rules = rules,
                        .base = base,
                        .end = base | end,
                        .next = base | state->first,
                        .passed = end <= state->passed ? end : 0,
                        .now_ms = clock_wall_ms()};
    klane_err_t err;

    if (!newest_init(&cleaner->newest))
        return database_fail(&cleaner->database, KLANE_ERR_NOMEM, "memory is exhausted");
    err = note_keys(cleaner, &pass, base | dirty_from(state));
    if (err == KLANE_OK)
        err = go_through(cleaner, &pass);
    if (err == KLANE_OK)
        err = finish(cleaner, &pass);
    newest_deinit(&cleaner->newest);
    *reached = pass.end - base;
    return err;
}

klane_err_t cleaner_compact(struct cleaner *cleaner, const struct cleaner_rules *rules)
{
    struct cleaner_state state;
    int64_t reached = 0;
    int64_t end = 0;
    klane_err_t err;

    do {
        int64_t dirty, enough;

        err = cleaner_state(cleaner, rules->partition, &state);
        if (err != KLANE_OK)
            return err;
        /* What comes during the passes is the next call's. */
        if (end == 0)
            end = rules->passed == KLANE_SQLITE_PASSED_ONLY && state.passed < state.next
                      ? state.passed
                      : state.next;
        dirty = end - dirty_from(&state);
        enough = state.compacted_records > DIRTY_MIN ? state.compacted_records : DIRTY_MIN;
        if (end <= state.first || (!cleaner->is_all && dirty < enough) || reached == end)
            return KLANE_OK;
        err = run_pass(cleaner, rules, &state, end, &reached);
    } while (err == KLANE_OK);
    return err;
}
