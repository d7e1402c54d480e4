/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/scratch_log.h"

#include <stdio.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { BUSY_MS = 10000 };

void scratch_path(const struct bench_run *run, const char *name, char path[SCRATCH_PATH_MAX])
{
    snprintf(path, SCRATCH_PATH_MAX, "%s/%s", run->directory, name);
}

static const char *file_system(const char *directory)
{
    static const struct {
        unsigned long type;
        const char *name;
    } known[] = {
        {0xef53, "ext4"},      {0x58465342, "xfs"},     {0x9123683e, "btrfs"},
        {0x01021994, "tmpfs"}, {0x794c7630, "overlay"}, {0x2fc12fc1, "zfs"},
        {0x6969, "nfs"},
    };
    struct statfs status;

    if (statfs(directory, &status) != 0)
        return "unknown";
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if ((unsigned long)status.f_type == known[i].type)
            return known[i].name;
    return "another";
}

void scratch_settings(struct bench_run *run)
{
    bench_setting_text(run, "file_system", file_system(run->directory));
    bench_setting_text(run, "sqlite", sqlite3_libversion());
}

void scratch_remove(const char *path)
{
    static const char *const endings[] = {"", "-wal", "-shm", "-locks"};
    char each[SCRATCH_PATH_MAX + 8];

    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        snprintf(each, sizeof(each), "%s%s", path, endings[i]);
        unlink(each);
    }
}

struct klane_sqlite *scratch_log_open(const char *path, int32_t partitions)
{
    struct klane_sqlite *log;
    char text[256] = "";

    if (klane_sqlite_open(path, BUSY_MS, &log, text, sizeof(text)) != KLANE_OK)
        bench_fail("klane_sqlite_open: %s", text);
    bench_check(klane_sqlite_topic(log, DRIVE_TOPIC, partitions), "klane_sqlite_topic");
    return log;
}

struct klane_source *scratch_source(const char *path, const char *group)
{
    struct klane_source *source;
    char text[256] = "";

    if (klane_sqlite_create(path, group, KLANE_SQLITE_STANDBY, &source, text, sizeof(text)) !=
        KLANE_OK)
        bench_fail("klane_sqlite_create: %s", text);
    return source;
}

void scratch_log_fill_by(struct klane_sqlite *log, int32_t partitions, uint64_t records,
                         uint64_t (*next)(void *context), void *context)
{
    static struct klane_sqlite_record batch[SCRATCH_BATCH];
    static unsigned char key[SCRATCH_BATCH][DRIVE_KEY_BYTES];
    uint64_t count;

    for (uint64_t i = 0; i < records; i += count) {
        count = records - i < SCRATCH_BATCH ? records - i : SCRATCH_BATCH;
        for (uint64_t k = 0; k < count; k++) {
            uint64_t number = next(context);

            drive_key(key[k], number);
            batch[k] = (struct klane_sqlite_record){
                .topic = DRIVE_TOPIC,
                .key = key[k],
                .value = drive_value,
                .key_size = DRIVE_KEY_BYTES,
                .value_size = DRIVE_VALUE_BYTES,
                .timestamp_ms = 1,
                .partition = (int32_t)(number % (uint64_t)partitions),
            };
        }
        if (klane_sqlite_append_batch(log, batch, count, NULL) != KLANE_OK)
            bench_fail("klane_sqlite_append_batch: %s", klane_sqlite_errmsg(log));
    }
}

struct uniform {
    uint64_t state;
    uint64_t keys;
};

static uint64_t uniform_next(void *context)
{
    struct uniform *uniform = context;

    return drive_random(&uniform->state) % uniform->keys;
}

void scratch_log_fill(struct klane_sqlite *log, uint64_t records, uint64_t keys)
{
    struct uniform uniform = {1, keys};

    scratch_log_fill_by(log, 1, records, uniform_next, &uniform);
}

void scratch_log_append(struct klane_sqlite *log, uint64_t count, uint64_t keys, uint64_t *state)
{
    static struct klane_sqlite_record batch[SCRATCH_DUE_MAX];
    static unsigned char key[SCRATCH_DUE_MAX][DRIVE_KEY_BYTES];

    for (uint64_t i = 0; i < count; i++) {
        drive_key(key[i], drive_random(state) % keys);
        batch[i] = (struct klane_sqlite_record){
            .topic = DRIVE_TOPIC,
            .key = key[i],
            .value = drive_value,
            .key_size = DRIVE_KEY_BYTES,
            .value_size = DRIVE_VALUE_BYTES,
            .timestamp_ms = 1,
        };
    }
    if (klane_sqlite_append_batch(log, batch, count, NULL) != KLANE_OK)
        bench_fail("klane_sqlite_append_batch: %s", klane_sqlite_errmsg(log));
}

/* ---- a plain table --------------------------------------------------------------------- */

void scratch_execute(sqlite3 *table, const char *sql)
{
    if (sqlite3_exec(table, sql, NULL, NULL, NULL) != SQLITE_OK)
        bench_fail("%s: %s", sql, sqlite3_errmsg(table));
}

sqlite3_stmt *scratch_prepared(sqlite3 *table, const char *sql)
{
    sqlite3_stmt *statement;

    if (sqlite3_prepare_v2(table, sql, -1, &statement, NULL) != SQLITE_OK)
        bench_fail("%s: %s", sql, sqlite3_errmsg(table));
    return statement;
}

int64_t scratch_number(sqlite3 *table, const char *sql)
{
    sqlite3_stmt *statement = scratch_prepared(table, sql);
    int64_t number;

    if (sqlite3_step(statement) != SQLITE_ROW)
        bench_fail("%s: %s", sql, sqlite3_errmsg(table));
    number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

sqlite3 *scratch_table_open(const char *path)
{
    sqlite3 *table;

    /* One thread uses it, as with a connection of klane's own: no mutex. */
    if (sqlite3_open_v2(path, &table,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK)
        bench_fail("%s: %s", path, sqlite3_errmsg(table));
    scratch_execute(table, "PRAGMA journal_mode = WAL;"
                           "PRAGMA synchronous = FULL;"
                           "PRAGMA wal_autocheckpoint = 1000;"
                           "PRAGMA cache_size = -8192;"
                           "CREATE TABLE IF NOT EXISTS records (id INTEGER PRIMARY KEY,"
                           " timestamp INTEGER NOT NULL, key BLOB, value BLOB, headers BLOB)");
    return table;
}

void scratch_table_fill(sqlite3 *table, uint64_t records, uint64_t keys)
{
    sqlite3_stmt *insert =
        scratch_prepared(table, "INSERT INTO records (id, timestamp, key, value)"
                                " VALUES (?, 1, ?, ?)");
    unsigned char key[DRIVE_KEY_BYTES];
    uint64_t state = 1;

    for (uint64_t i = 0; i < records; i++) {
        if (i % SCRATCH_BATCH == 0)
            scratch_execute(table, "BEGIN IMMEDIATE");
        drive_key(key, drive_random(&state) % keys);
        sqlite3_bind_int64(insert, 1, (sqlite3_int64)i);
        sqlite3_bind_blob(insert, 2, key, sizeof(key), SQLITE_STATIC);
        sqlite3_bind_blob(insert, 3, drive_value, sizeof(drive_value), SQLITE_STATIC);
        if (sqlite3_step(insert) != SQLITE_DONE)
            bench_fail("INSERT: %s", sqlite3_errmsg(table));
        sqlite3_reset(insert);
        if ((i + 1) % SCRATCH_BATCH == 0)
            scratch_execute(table, "COMMIT");
    }
    sqlite3_finalize(insert);
}

uint64_t scratch_table_read(sqlite3 *table)
{
    sqlite3_stmt *select = scratch_prepared(table, "SELECT id, timestamp, key, value, headers"
                                                   " FROM records WHERE id >= 0 ORDER BY id");
    uint64_t records = 0, bytes = 0;

    while (sqlite3_step(select) == SQLITE_ROW) {
        bytes += (uint64_t)sqlite3_column_int64(select, 0) >= records;
        bytes += sqlite3_column_blob(select, 2) != NULL ? 16U : 0U;
        bytes += (uint64_t)sqlite3_column_bytes(select, 3);
        bytes -= sqlite3_column_blob(select, 3) == NULL;
        records++;
    }
    sqlite3_finalize(select);
    bench_check_count(bytes, records * (1 + DRIVE_KEY_BYTES + DRIVE_VALUE_BYTES), "bytes read");
    return records;
}
