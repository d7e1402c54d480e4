/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A table in memory with a row for each key; SQLite is here anyway.
 */
#include "census.h"

#include <sqlite3.h>
#include <stdlib.h>

struct census {
    sqlite3 *db;
    sqlite3_stmt *add;
};

static const char SCHEMA[] =
    "CREATE TABLE census (key BLOB PRIMARY KEY, records INTEGER NOT NULL) WITHOUT ROWID;"
    "BEGIN";

static const char ADD[] = "INSERT INTO census VALUES (?1, 1)"
                          " ON CONFLICT (key) DO UPDATE SET records = records + 1";

static const char TAKE[] = "SELECT count(*), ifnull(max(records), 0) FROM census";

struct census *census_create(void)
{
    struct census *census = calloc(1, sizeof *census);

    if (census == NULL)
        return NULL;
    if (sqlite3_open(":memory:", &census->db) != SQLITE_OK ||
        sqlite3_exec(census->db, SCHEMA, NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(census->db, ADD, -1, &census->add, NULL) != SQLITE_OK) {
        census_destroy(census);
        return NULL;
    }
    return census;
}

void census_destroy(struct census *census)
{
    if (census == NULL)
        return;
    sqlite3_finalize(census->add);
    sqlite3_close(census->db);
    free(census);
}

bool census_add(struct census *census, const void *key, size_t key_size)
{
    bool added = sqlite3_bind_blob64(census->add, 1, key_size > 0 ? key : "", key_size,
                                     SQLITE_STATIC) == SQLITE_OK &&
                 sqlite3_step(census->add) == SQLITE_DONE;

    sqlite3_reset(census->add);
    return added;
}

bool census_take(struct census *census, uint64_t *keys, uint64_t *busiest)
{
    sqlite3_stmt *take = NULL;
    bool taken = sqlite3_prepare_v2(census->db, TAKE, -1, &take, NULL) == SQLITE_OK &&
                 sqlite3_step(take) == SQLITE_ROW;

    if (taken) {
        *keys = (uint64_t)sqlite3_column_int64(take, 0);
        *busiest = (uint64_t)sqlite3_column_int64(take, 1);
    }
    sqlite3_finalize(take);
    return taken;
}
