/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/raw_sql.h"

#include "lib/check.h"

#include <sqlite3.h>

enum { BUSY_MS = 10000 };

static sqlite3 *open_raw(const char *path)
{
    sqlite3 *raw = NULL;

    assert_int_equal(sqlite3_open(path, &raw), SQLITE_OK);
    sqlite3_busy_timeout(raw, BUSY_MS);
    return raw;
}

void raw_execute(const char *path, const char *sql)
{
    sqlite3 *raw = open_raw(path);

    assert_int_equal(sqlite3_exec(raw, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(raw);
}

int64_t raw_query(const char *path, const char *sql)
{
    sqlite3 *raw = open_raw(path);
    sqlite3_stmt *statement = NULL;
    int64_t number;

    assert_int_equal(sqlite3_prepare_v2(raw, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(raw);
    return number;
}
