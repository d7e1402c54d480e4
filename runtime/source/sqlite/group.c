/* SPDX-License-Identifier: Apache-2.0 */
#include "source/sqlite/group.h"

#include "base/assert.h"
#include "source/sqlite/locks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of a byte's place, 62 bits: the group's id, its generation, its beats. */
enum { ID_BITS = 22, GENERATION_BITS = 20, BEAT_BITS = 20 };

#define LOW_BITS(value, bits) ((int64_t)(value) & (((int64_t)1 << (bits)) - 1))

static const char *const statement_texts[GROUP_STATEMENTS] = {
    [GROUP_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [GROUP_END] = "COMMIT",
    [GROUP_ROLLBACK] = "ROLLBACK",
    [GROUP_ADD] = "INSERT OR IGNORE INTO main.klane_groups (name, generation) VALUES (?, 0)",
    [GROUP_FIND] = "SELECT id, generation FROM main.klane_groups WHERE name = ?",
    [GROUP_GENERATION] = "SELECT generation FROM main.klane_groups WHERE id = ?",
    [GROUP_NEXT_GENERATION] = "UPDATE main.klane_groups SET generation = ?2 WHERE id = ?1",
};

/* ---- the lock ---------------------------------------------------------------------------- */

static int64_t byte_of(int64_t id, int64_t generation, uint32_t beats)
{
    return LOW_BITS(id, ID_BITS) << (GENERATION_BITS + BEAT_BITS) |
           LOW_BITS(generation, GENERATION_BITS) << BEAT_BITS | LOW_BITS(beats, BEAT_BITS);
}

/* The byte that a process of this generation holds, -1: none does. */
static klane_err_t find_lock(struct sqlite_group *group, int64_t id, int64_t generation,
                             int64_t *byte)
{
    if (!locks_find(group->locks, byte_of(id, generation, 0), (int64_t)1 << BEAT_BITS, byte))
        return database_fail(group->database, KLANE_ERR_IO, "the lock of group %s: %s",
                             group->name, strerror(errno));
    return KLANE_OK;
}

void sqlite_group_beat(struct sqlite_group *group)
{
    int64_t last = byte_of(group->id, group->generation, group->beats);

    /* For want of memory it may fail: then the byte moves with a later beat. */
    if (!locks_take(group->locks, byte_of(group->id, group->generation, group->beats + 1)))
        return;
    group->beats++;
    locks_leave(group->locks, last);
}

/* ---- the log ----------------------------------------------------------------------------- */

/* NOT_FOUND without a text: the group is not in the log yet. */
static klane_err_t find(struct sqlite_group *group, int64_t *id, int64_t *generation)
{
    sqlite3_stmt *statement = group->statements[GROUP_FIND];
    klane_err_t err;

    sqlite3_bind_text(statement, 1, group->name, -1, SQLITE_STATIC);
    err = database_row(group->database, statement);
    if (err == KLANE_OK) {
        *id = sqlite3_column_int64(statement, 0);
        *generation = sqlite3_column_int64(statement, 1);
        if (*id < 1 || *id >> ID_BITS != 0 || *generation < 0 || *generation == INT64_MAX)
            err = database_fail(group->database, KLANE_ERR_CORRUPT, "group %s makes no sense",
                                group->name);
    }
    sqlite3_reset(statement);
    return err;
}

static klane_err_t is_consumed(struct sqlite_group *group)
{
    return database_fail(group->database, KLANE_ERR_TAKEN,
                         "another process consumes for group %s", group->name);
}

/* Whether the one that has joined last may be passed over. */
static klane_err_t look(struct sqlite_group *group, int64_t id, int64_t generation)
{
    int64_t byte = -1;
    klane_err_t err = find_lock(group, id, generation, &byte);

    if (err != KLANE_OK)
        return err;
    if (byte == group->seen_byte && generation == group->seen_generation)
        group->silent_looks++;
    else
        group->silent_looks = 0;
    group->seen_byte = byte;
    group->seen_generation = generation;
    if (byte < 0)
        return KLANE_OK;
    if (group->silent_looks < GROUP_SILENT_LOOKS)
        return is_consumed(group);
    KLANE_MARK("sqlite: a group is taken over from one who is silent");
    return KLANE_OK;
}

/* In a transaction that writes. Whoever has joined since the look is not passed over. */
static klane_err_t take(struct sqlite_group *group, int64_t seen, int64_t *id,
                        int64_t *generation)
{
    sqlite3_stmt *add = group->statements[GROUP_ADD];
    sqlite3_stmt *next = group->statements[GROUP_NEXT_GENERATION];
    klane_err_t err = KLANE_OK;

    if (seen < 0) {
        sqlite3_bind_text(add, 1, group->name, -1, SQLITE_STATIC);
        err = database_run(group->database, add);
    }
    if (err == KLANE_OK)
        err = find(group, id, generation);
    if (err == KLANE_ERR_NOT_FOUND)
        err = database_fail(group->database, KLANE_ERR_CORRUPT, "group %s has gone", group->name);
    if (err == KLANE_OK && *generation != (seen < 0 ? 0 : seen))
        err = is_consumed(group);
    if (err != KLANE_OK)
        return err;
    ++*generation;
    if (!locks_take(group->locks, byte_of(*id, *generation, 0)))
        return database_fail(group->database, KLANE_ERR_IO, "the lock of group %s: %s",
                             group->name, strerror(errno));
    sqlite3_bind_int64(next, 1, *id);
    sqlite3_bind_int64(next, 2, *generation);
    return database_run(group->database, next);
}

klane_err_t sqlite_group_join(struct sqlite_group *group)
{
    int64_t id = 0, generation = -1, seen;
    klane_err_t err = find(group, &id, &generation);

    if (err == KLANE_OK)
        err = look(group, id, generation);
    if (err != KLANE_OK && err != KLANE_ERR_NOT_FOUND)
        return err;
    seen = generation;
    err = database_run(group->database, group->statements[GROUP_BEGIN_WRITE]);
    if (err != KLANE_OK)
        return err;
    err = take(group, seen, &id, &generation);
    if (err == KLANE_OK)
        err = database_run(group->database, group->statements[GROUP_END]);
    if (err != KLANE_OK) {
        database_rollback(group->database, group->statements[GROUP_ROLLBACK]);
        locks_leave(group->locks, byte_of(id, generation, 0));
        return err;
    }
    group->id = id;
    group->generation = generation;
    group->beats = 0;
    return KLANE_OK;
}

klane_err_t sqlite_group_check_free(struct sqlite_group *group)
{
    static const struct timespec pause = {0, GROUP_LOOK_MS * 1000000L};
    int64_t id = 0, generation = 0;
    klane_err_t err;

    /* A first look cannot know whether the byte stays. */
    for (unsigned looks = 0;; looks++) {
        err = find(group, &id, &generation);
        if (err == KLANE_OK)
            err = look(group, id, generation);
        if (err != KLANE_ERR_TAKEN || (looks > 0 && group->silent_looks == 0))
            return err == KLANE_ERR_NOT_FOUND ? KLANE_OK : err;
        nanosleep(&pause, NULL);
    }
}

klane_err_t sqlite_group_check(struct sqlite_group *group)
{
    sqlite3_stmt *statement = group->statements[GROUP_GENERATION];
    klane_err_t err;

    sqlite3_bind_int64(statement, 1, group->id);
    err = database_row(group->database, statement);
    if (err == KLANE_ERR_NOT_FOUND)
        err = database_fail(group->database, KLANE_ERR_CORRUPT, "group %s has gone", group->name);
    else if (err == KLANE_OK && sqlite3_column_int64(statement, 0) != group->generation)
        err = database_fail(group->database, KLANE_ERR_FENCED,
                            "group %s was taken over by another process", group->name);
    sqlite3_reset(statement);
    return err;
}

klane_err_t sqlite_group_init(struct sqlite_group *group, struct database *database,
                              const char *name)
{
    klane_err_t err;

    group->database = database;
    group->locks = -1;
    group->seen_byte = -1;
    group->seen_generation = -1;
    group->name = strdup(name);
    if (group->name == NULL)
        return database_fail(database, KLANE_ERR_NOMEM, "memory is exhausted");
    err = database_prepare(database, statement_texts, GROUP_STATEMENTS, group->statements);
    if (err == KLANE_OK)
        group->locks = locks_open(database, &err);
    return err;
}

void sqlite_group_leave(struct sqlite_group *group)
{
    if (group->database == NULL)
        return;
    database_finalize(group->statements, GROUP_STATEMENTS);
    locks_close(group->locks);
    group->locks = -1;
}

void sqlite_group_deinit(struct sqlite_group *group)
{
    sqlite_group_leave(group);
    free(group->name);
    group->name = NULL;
}
