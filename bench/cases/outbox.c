/* SPDX-License-Identifier: Apache-2.0 */
/* The outbox: a row of the program's and a record of the log in one transaction, beside the row
 * alone; both arms sync each transaction. */
#include "cases/cases.h"
#include "lib/scratch_log.h"

enum { ORDERS = 20000, ORDERS_QUICK = 2000, CUSTOMERS = 1000, NOTE_BYTES = 100 };

struct shop {
    sqlite3 *database;
    struct klane_sqlite *log; /* NULL: nobody is told */
    sqlite3_stmt *begin;
    sqlite3_stmt *add;
    sqlite3_stmt *commit;
};

static void step(const struct shop *shop, sqlite3_stmt *statement)
{
    if (sqlite3_step(statement) != SQLITE_DONE)
        bench_fail("%s: %s", sqlite3_sql(statement), sqlite3_errmsg(shop->database));
    sqlite3_reset(statement);
}

static void shop_open(struct shop *shop, const char *path, bool has_log)
{
    char text[256] = "";

    *shop = (struct shop){.database = scratch_table_open(path)};
    scratch_execute(shop->database, "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer BLOB,"
                                    " placed INTEGER NOT NULL, note BLOB)");
    shop->begin = scratch_prepared(shop->database, "BEGIN IMMEDIATE");
    shop->add = scratch_prepared(shop->database,
                                 "INSERT INTO orders (customer, placed, note) VALUES (?, 1, ?)");
    shop->commit = scratch_prepared(shop->database, "COMMIT");
    if (!has_log)
        return;
    if (klane_sqlite_borrow(shop->database, &shop->log, text, sizeof(text)) != KLANE_OK)
        bench_fail("klane_sqlite_borrow: %s", text);
    bench_check(klane_sqlite_topic(shop->log, DRIVE_TOPIC, 1), "klane_sqlite_topic");
}

static void shop_close(struct shop *shop)
{
    klane_sqlite_close(shop->log);
    sqlite3_finalize(shop->begin);
    sqlite3_finalize(shop->add);
    sqlite3_finalize(shop->commit);
    sqlite3_close(shop->database);
}

static void order(struct shop *shop, uint64_t customer)
{
    static const unsigned char note[NOTE_BYTES];
    unsigned char key[DRIVE_KEY_BYTES];
    const struct klane_sqlite_record event = {
        .topic = DRIVE_TOPIC,
        .key = key,
        .key_size = sizeof(key),
        .value = note,
        .value_size = sizeof(note),
        .timestamp_ms = 1,
    };

    drive_key(key, customer);
    step(shop, shop->begin);
    sqlite3_bind_blob(shop->add, 1, key, sizeof(key), SQLITE_STATIC);
    sqlite3_bind_blob(shop->add, 2, note, sizeof(note), SQLITE_STATIC);
    step(shop, shop->add);
    if (shop->log != NULL && klane_sqlite_append(shop->log, &event, NULL) != KLANE_OK)
        bench_fail("klane_sqlite_append: %s", klane_sqlite_errmsg(shop->log));
    step(shop, shop->commit);
}

static void outbox_run(struct bench_run *run, bool has_log)
{
    uint64_t orders = bench_count(run, ORDERS, ORDERS_QUICK), state = 1;
    char path[SCRATCH_PATH_MAX];
    struct bench_meter meter;
    struct shop shop;

    scratch_path(run, "shop", path);
    shop_open(&shop, path, has_log);
    bench_meter_start(&meter);
    for (uint64_t i = 0; i < orders; i++)
        order(&shop, drive_random(&state) % CUSTOMERS);
    bench_meter_stop(&meter);
    bench_check_count((uint64_t)scratch_number(shop.database, "SELECT count(*) FROM orders"),
                      orders, "orders");
    if (has_log)
        bench_check_count(
            (uint64_t)scratch_number(shop.database, "SELECT count(*) FROM klane_records"), orders,
            "events");
    shop_close(&shop);
    scratch_remove(path);
    bench_meter_report(&meter, run, orders);
    bench_setting(run, "transactions", (int64_t)orders);
    bench_setting(run, "note_bytes", NOTE_BYTES);
    scratch_settings(run);
}

static void klane_arm_run(struct bench_run *run)
{
    outbox_run(run, true);
}

static void rows_run(struct bench_run *run)
{
    outbox_run(run, false);
}

const struct bench_case outbox_cases[] = {
    {
        .name = "log-outbox",
        .what =
            "Orders of a row and an event of 100 bytes each, committed and synced one by one, "
            "beside the rows alone.",
        .arms = {{.name = "klane", .run = klane_arm_run}, {.name = "rows", .run = rows_run}},
        .ratios = {{"share", "klane", "rows"}},
        .targets = {{"klane", "share", 0.8}},
    },
    {.name = NULL},
};
