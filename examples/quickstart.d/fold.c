/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The table is one SQLite file, in each process one connection under a mutex, and one transaction
 * for each record: not the fastest way, but one whose soundness can be seen. A transaction takes
 * the file's write lock before it looks at the row, so that no other process changes the row
 * between the look and the change. synchronous is OFF because it is the process that gets killed
 * here, not the machine: what was written is in the kernel's hands.
 */
#include "fold.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DIFFERENCES_SHOWN 5

/** Another process has the table for some microseconds at a time; 10 s would be a defect. */
#define BUSY_SLEEP_US 50
#define BUSY_SLEEPS 200000

struct fold {
    pthread_mutex_t mutex; /**< Guards everything below. */
    sqlite3 *db;
    sqlite3_stmt *begin;
    sqlite3_stmt *find;
    sqlite3_stmt *store;
    sqlite3_stmt *commit;
    sqlite3_stmt *rollback;
};

/** A row of the table. An unknown path has offset -1 and nothing standing there. */
struct row {
    int32_t partition;
    int64_t offset;
    struct entry entry;
};

static const char SCHEMA[] = "PRAGMA journal_mode = WAL;"
                             "PRAGMA synchronous = OFF;"
                             "CREATE TABLE IF NOT EXISTS tree ("
                             " path BLOB PRIMARY KEY,"
                             " partition INTEGER NOT NULL,"
                             " offset INTEGER NOT NULL,"
                             " changes INTEGER NOT NULL,"
                             " mode INTEGER NOT NULL,"
                             " object TEXT NOT NULL) WITHOUT ROWID";

static const char BEGIN[] = "BEGIN IMMEDIATE";

static const char FIND[] = "SELECT partition, offset, mode, object FROM tree WHERE path = ?1";

/* A path that is deleted keeps its row: its offset is needed to know a repeated record. */
static const char STORE[] = "INSERT INTO tree VALUES (?1, ?2, ?3, 1, ?4, ?5)"
                            " ON CONFLICT (path) DO UPDATE SET offset = ?3,"
                            " changes = changes + 1, mode = ?4, object = ?5";

static const char COMMIT[] = "COMMIT";

static const char ROLLBACK[] = "ROLLBACK";

static const char LIST[] = "SELECT path, mode, object FROM tree WHERE mode != 0 ORDER BY path";

static const char TOTALS[] = "SELECT count(*), total(mode != 0), total(changes) FROM tree";

static int wait_for_others(void *unused, int waited)
{
    static const struct timespec TIME = {0, BUSY_SLEEP_US * 1000};

    (void)unused;
    nanosleep(&TIME, NULL);
    return waited < BUSY_SLEEPS;
}

static bool prepare(struct fold *fold)
{
    const struct {
        sqlite3_stmt **statement;
        const char *text;
    } all[] = {{&fold->begin, BEGIN},
               {&fold->find, FIND},
               {&fold->store, STORE},
               {&fold->commit, COMMIT},
               {&fold->rollback, ROLLBACK}};
    bool prepared = true;

    for (size_t i = 0; i < sizeof all / sizeof all[0] && prepared; i++)
        prepared =
            sqlite3_prepare_v2(fold->db, all[i].text, -1, all[i].statement, NULL) == SQLITE_OK;
    return prepared;
}

struct fold *fold_open(const char *file, char *why, size_t why_size)
{
    struct fold *fold = calloc(1, sizeof *fold);

    if (fold == NULL) {
        snprintf(why, why_size, "memory is exhausted");
        return NULL;
    }
    pthread_mutex_init(&fold->mutex, NULL);
    if (sqlite3_open(file, &fold->db) != SQLITE_OK ||
        sqlite3_busy_handler(fold->db, wait_for_others, NULL) != SQLITE_OK ||
        sqlite3_exec(fold->db, SCHEMA, NULL, NULL, NULL) != SQLITE_OK || !prepare(fold)) {
        snprintf(why, why_size, "%s: %s", file, sqlite3_errmsg(fold->db));
        fold_close(fold);
        return NULL;
    }
    return fold;
}

void fold_close(struct fold *fold)
{
    if (fold == NULL)
        return;
    sqlite3_finalize(fold->begin);
    sqlite3_finalize(fold->find);
    sqlite3_finalize(fold->store);
    sqlite3_finalize(fold->commit);
    sqlite3_finalize(fold->rollback);
    sqlite3_close(fold->db);
    pthread_mutex_destroy(&fold->mutex);
    free(fold);
}

static void entry_read(sqlite3_stmt *statement, int column, struct entry *entry)
{
    entry->mode = (uint32_t)sqlite3_column_int64(statement, column);
    snprintf(entry->object, sizeof entry->object, "%s",
             (const char *)sqlite3_column_text(statement, column + 1));
}

/** An empty path is bound as an empty blob; NULL would be no path at all. */
static int bind_path(sqlite3_stmt *statement, const struct place *place)
{
    return sqlite3_bind_blob64(statement, 1, place->path_size > 0 ? place->path : "",
                               place->path_size, SQLITE_STATIC);
}

static bool row_find(struct fold *fold, const struct place *place, struct row *row)
{
    int result;

    *row = (struct row){.partition = place->partition, .offset = -1};
    bind_path(fold->find, place);
    result = sqlite3_step(fold->find);
    if (result == SQLITE_ROW) {
        row->partition = sqlite3_column_int(fold->find, 0);
        row->offset = sqlite3_column_int64(fold->find, 1);
        entry_read(fold->find, 2, &row->entry);
    }
    sqlite3_reset(fold->find);
    return result == SQLITE_ROW || result == SQLITE_DONE;
}

/** Run a statement that gives no row. */
static bool run(sqlite3_stmt *statement)
{
    bool well = sqlite3_step(statement) == SQLITE_DONE;

    sqlite3_reset(statement);
    return well;
}

static bool row_store(struct fold *fold, const struct place *place, const struct entry *entry)
{
    bind_path(fold->store, place);
    sqlite3_bind_int(fold->store, 2, place->partition);
    sqlite3_bind_int64(fold->store, 3, place->offset);
    sqlite3_bind_int64(fold->store, 4, entry->mode);
    sqlite3_bind_text(fold->store, 5, entry->object, -1, SQLITE_STATIC);
    return run(fold->store);
}

static void tell_wrong(const struct place *place, const struct change *change,
                       const struct row *row, char *why, size_t why_size)
{
    char path[QUOTED_SIZE], says[ENTRY_SIZE], has[ENTRY_SIZE], since[40] = "";

    quote_path(place->path, place->path_size, path);
    if (row->offset >= 0)
        snprintf(since, sizeof since, " since offset %lld", (long long)row->offset);
    if (row->partition != place->partition)
        snprintf(why, why_size, "%s: partition %d, offset %lld: the path was in partition %d",
                 path, place->partition, (long long)place->offset, row->partition);
    else
        snprintf(why, why_size,
                 "%s: partition %d, offset %lld: it was %s, says the record; the table has %s%s",
                 path, place->partition, (long long)place->offset,
                 entry_text(&change->before, says), entry_text(&row->entry, has), since);
}

/** Inside a transaction. */
static enum fold_result apply(struct fold *fold, const struct place *place,
                              const struct change *change, char *why, size_t why_size)
{
    struct row row;

    if (!row_find(fold, place, &row)) {
        snprintf(why, why_size, "the table cannot be read: %s", sqlite3_errmsg(fold->db));
        return FOLD_FAILED;
    }
    if (row.partition == place->partition && place->offset <= row.offset)
        return FOLD_REPEATED;
    if (row.partition != place->partition || !entry_equal(&row.entry, &change->before)) {
        tell_wrong(place, change, &row, why, why_size);
        return FOLD_WRONG;
    }
    if (!row_store(fold, place, &change->after)) {
        snprintf(why, why_size, "the table cannot be written: %s", sqlite3_errmsg(fold->db));
        return FOLD_FAILED;
    }
    return FOLD_APPLIED;
}

enum fold_result fold_apply(struct fold *fold, const struct place *place,
                            const struct change *change, char *why, size_t why_size)
{
    enum fold_result result = FOLD_FAILED;

    pthread_mutex_lock(&fold->mutex);
    if (!run(fold->begin)) {
        snprintf(why, why_size, "the table cannot be locked: %s", sqlite3_errmsg(fold->db));
    } else {
        result = apply(fold, place, change, why, why_size);
        if (result == FOLD_APPLIED && !run(fold->commit)) {
            snprintf(why, why_size, "the table cannot be written: %s", sqlite3_errmsg(fold->db));
            result = FOLD_FAILED;
        }
        if (result != FOLD_APPLIED)
            run(fold->rollback);
    }
    pthread_mutex_unlock(&fold->mutex);
    return result;
}

/* ---- the comparison ------------------------------------------------------------------------ */

/** One side of the comparison; both list their paths in the order of their bytes. */
struct side {
    bool there; /**< false: it is at its end. */
    const void *path;
    size_t path_size;
    struct entry entry;
};

/** Read "100644 blob <id>\tpath\0". Returns false if it is anything else. */
static bool tree_parse(const char *line, size_t size, struct side *side)
{
    const char *tab = memchr(line, '\t', size);
    int end = 0;

    if (tab == NULL || sscanf(line, "%6o %*[a-z] %64[0-9a-f]%n", &side->entry.mode,
                              side->entry.object, &end) < 2)
        return false;
    side->path = tab + 1;
    side->path_size = size - (size_t)(tab + 1 - line);
    side->there = true;
    return line + end == tab;
}

static bool tree_next(FILE *tree, char **line, size_t *room, struct side *side)
{
    ssize_t size = getdelim(line, room, '\0', tree);

    side->there = false;
    if (size < 0)
        return feof(tree) && !ferror(tree);
    /* The zero byte at the end is not part of the path. */
    return (*line)[size - 1] == '\0' && tree_parse(*line, (size_t)size - 1, side);
}

static bool table_next(sqlite3_stmt *list, struct side *side)
{
    int result = sqlite3_step(list);

    side->there = result == SQLITE_ROW;
    if (side->there) {
        side->path = sqlite3_column_blob(list, 0);
        side->path_size = (size_t)sqlite3_column_bytes(list, 0);
        entry_read(list, 1, &side->entry);
    }
    return result == SQLITE_ROW || result == SQLITE_DONE;
}

/** Which path comes first: negative the table's, positive the tree's, 0 both the same. */
static int side_order(const struct side *table, const struct side *tree)
{
    size_t shared = table->path_size < tree->path_size ? table->path_size : tree->path_size;
    int order;

    if (!table->there || !tree->there)
        return (int)tree->there - (int)table->there;
    order = shared > 0 ? memcmp(table->path, tree->path, shared) : 0;
    if (order != 0)
        return order;
    return (table->path_size > tree->path_size) - (table->path_size < tree->path_size);
}

static void tell_difference(FILE *report, const struct side *table, const struct side *tree,
                            int order)
{
    static const struct entry nothing = {0};
    const struct side *shown = order <= 0 ? table : tree;
    char path[QUOTED_SIZE], has[ENTRY_SIZE], says[ENTRY_SIZE];

    fprintf(report, "  %s: the table has %s, the tree has %s\n",
            quote_path(shown->path, shown->path_size, path),
            entry_text(order <= 0 ? &table->entry : &nothing, has),
            entry_text(order >= 0 ? &tree->entry : &nothing, says));
}

static bool compare(sqlite3_stmt *list, FILE *tree_file, FILE *report, uint64_t *differences)
{
    struct side table, tree;
    char *line = NULL;
    size_t room = 0;
    bool sound = table_next(list, &table) && tree_next(tree_file, &line, &room, &tree);

    while (sound && (table.there || tree.there)) {
        int order = side_order(&table, &tree);

        if (order != 0 || !entry_equal(&table.entry, &tree.entry)) {
            if (++*differences <= DIFFERENCES_SHOWN)
                tell_difference(report, &table, &tree, order);
        }
        if (order <= 0)
            sound = table_next(list, &table);
        if (order >= 0)
            sound = sound && tree_next(tree_file, &line, &room, &tree);
    }
    free(line);
    return sound;
}

bool fold_compare(struct fold *fold, FILE *tree, FILE *report, struct fold_totals *totals)
{
    sqlite3_stmt *list = NULL, *sum = NULL;
    bool sound;

    *totals = (struct fold_totals){0};
    pthread_mutex_lock(&fold->mutex);
    sound = sqlite3_prepare_v2(fold->db, LIST, -1, &list, NULL) == SQLITE_OK &&
            sqlite3_prepare_v2(fold->db, TOTALS, -1, &sum, NULL) == SQLITE_OK &&
            sqlite3_step(sum) == SQLITE_ROW && compare(list, tree, report, &totals->differences);
    if (sound) {
        totals->keys = (uint64_t)sqlite3_column_int64(sum, 0);
        totals->paths = (uint64_t)sqlite3_column_int64(sum, 1);
        totals->changes = (uint64_t)sqlite3_column_int64(sum, 2);
    }
    sqlite3_finalize(sum);
    sqlite3_finalize(list);
    pthread_mutex_unlock(&fold->mutex);
    return sound;
}
