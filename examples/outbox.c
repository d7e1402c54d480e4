/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A shop that keeps its orders in a database and tells others of each: row and record are written
 * in one transaction to one file, so that neither is there without the other, whatever happens.
 * Whoever wants to hear of them reads the same file:
 *
 *     outbox shop.db tea milk
 *     minimal shop.db
 */
#include <klane/sqlite.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARTITIONS 4
#define BUSY_MS 5000

struct shop {
    sqlite3 *database;
    sqlite3_stmt *add;
    struct klane_sqlite *log;
};

static bool run(struct shop *shop, const char *sql)
{
    return sqlite3_exec(shop->database, sql, NULL, NULL, NULL) == SQLITE_OK;
}

static bool shop_open(struct shop *shop, const char *path)
{
    char why[256];

    if (sqlite3_open(path, &shop->database) != SQLITE_OK)
        return false;
    sqlite3_busy_timeout(shop->database, BUSY_MS);
    if (klane_sqlite_borrow(shop->database, &shop->log, why, sizeof why) != KLANE_OK) {
        fprintf(stderr, "%s\n", why);
        return false;
    }
    return klane_sqlite_topic(shop->log, "orders", PARTITIONS) == KLANE_OK &&
           run(shop, "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item TEXT)") &&
           sqlite3_prepare_v2(shop->database, "INSERT INTO orders (item) VALUES (?)", -1,
                              &shop->add, NULL) == SQLITE_OK;
}

static bool fail(const char *item, const char *why)
{
    fprintf(stderr, "%s was not ordered: %s\n", item, why);
    return false;
}

/** The row and the record: both, or with the transaction neither. */
static bool write_order(struct shop *shop, const char *item)
{
    const struct klane_sqlite_record record = {.topic = "orders",
                                               .key = item,
                                               .key_size = strlen(item),
                                               .value = item,
                                               .value_size = strlen(item),
                                               .timestamp_ms = -1,
                                               .partition = -1};
    bool is_added;

    sqlite3_bind_text(shop->add, 1, item, -1, SQLITE_STATIC);
    is_added = sqlite3_step(shop->add) == SQLITE_DONE;
    sqlite3_reset(shop->add);
    if (!is_added)
        return fail(item, sqlite3_errmsg(shop->database));
    if (klane_sqlite_append(shop->log, &record, NULL) != KLANE_OK)
        return fail(item, klane_sqlite_errmsg(shop->log));
    return true;
}

static bool shop_order(struct shop *shop, const char *item)
{
    if (!run(shop, "BEGIN IMMEDIATE"))
        return fail(item, sqlite3_errmsg(shop->database));
    if (write_order(shop, item) &&
        (run(shop, "COMMIT") || fail(item, sqlite3_errmsg(shop->database))))
        return true;
    run(shop, "ROLLBACK");
    return false;
}

static void shop_close(struct shop *shop)
{
    sqlite3_finalize(shop->add);
    klane_sqlite_close(shop->log);
    sqlite3_close(shop->database);
}

int main(int argc, char **argv)
{
    struct shop shop = {NULL, NULL, NULL};
    bool is_ok;

    if (argc < 3) {
        fprintf(stderr, "usage: outbox SHOP ITEM...\n");
        return 2;
    }
    is_ok = shop_open(&shop, argv[1]);
    if (!is_ok)
        fprintf(stderr, "%s cannot be opened: %s\n", argv[1], sqlite3_errmsg(shop.database));
    for (int i = 2; i < argc && is_ok; i++)
        is_ok = shop_order(&shop, argv[i]);
    shop_close(&shop);
    return is_ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
