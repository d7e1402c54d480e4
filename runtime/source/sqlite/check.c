/* SPDX-License-Identifier: Apache-2.0 */
#include "source/sqlite/check.h"

#include <stdlib.h>
#include <string.h>

static const char size_sql[] = "SELECT page_count * page_size FROM pragma_page_count('main'),"
                               " pragma_page_size('main')";

/* One by one: tables of the program's may need functions that only it has. */
static const char *const tables_sql[] = {
    "PRAGMA main.quick_check(klane_topics)",
    "PRAGMA main.quick_check(klane_partitions)",
    "PRAGMA main.quick_check(klane_groups)",
    "PRAGMA main.quick_check(klane_offsets)",
};

/* The first partition that has a record at its end or behind it. */
static const char ends_sql[] =
    "SELECT printf('a partition ends at %d, which is not behind its records', next)"
    " FROM main.klane_partitions AS p WHERE (SELECT max(id) FROM main.klane_records"
    " WHERE id >= p.id << 40 AND id < (p.id + 1) << 40) >= (p.id << 40 | next) LIMIT 1";

/* What an answer means. A page that could not be read is told in the same way as one that is
 * damaged, with the error's number. */
static klane_err_t judge(struct database *database, const char *answer)
{
    const char *code;

    if (answer == NULL)
        return database_fail(database, KLANE_ERR_NOMEM, "memory is exhausted");
    if (strcmp(answer, "ok") == 0)
        return KLANE_OK;
    code = strstr(answer, "error code=");
    return database_fail(database,
                         code == NULL ? KLANE_ERR_CORRUPT
                                      : database_error(atoi(code + strlen("error code="))),
                         "%s", answer);
}

/* The statement answers with what is wrong, or not at all, or with ok. */
static klane_err_t ask(struct database *database, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    klane_err_t err = database_prepare(database, &sql, 1, &statement);

    if (err == KLANE_OK)
        err = database_row(database, statement);
    if (err == KLANE_OK)
        err = judge(database, (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    return err == KLANE_ERR_NOT_FOUND ? KLANE_OK : err;
}

klane_err_t check_if_left(struct database *database, enum check_depth depth)
{
    int64_t bytes = 0;
    klane_err_t err;

    if (!database->has_journal)
        return KLANE_OK;
    err = database_number(database, size_sql, &bytes);
    for (size_t i = 0; i < sizeof tables_sql / sizeof tables_sql[0] && err == KLANE_OK; i++)
        err = ask(database, tables_sql[i]);
    if (err == KLANE_OK && depth == CHECK_WHOLE && bytes <= CHECK_WHOLE_BYTES)
        err = ask(database, "PRAGMA main.quick_check(klane_records)");
    if (err == KLANE_OK)
        err = ask(database, ends_sql);
    /* Closed in order it would look sound. */
    if (err == KLANE_ERR_CORRUPT)
        sqlite3_db_config(database->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return err;
}
