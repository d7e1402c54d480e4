/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/log_world.h"

#include "lib/check.h"
#include "source/sqlite/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH_MAX = 6,
    FILLER_MAX = 3000,
    CHECKPOINT_PAGES = 12, /* small, so that checkpoints happen in the middle of things */
    WRONG_SIZE = 256,
    BUSY_MS = 100
};

struct payload {
    uint32_t step;
    uint32_t index;
};

/* Nobody else is here, whom cleaning would have to leave time. */
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);

int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
    (void)time;
    (void)left;
    return 0;
}

static const struct source_topic topic = {.name = "events", .begin = KLANE_BEGIN_EARLIEST};

void world_init(struct world *world, const char *synchronous, uint64_t *random)
{
    memset(world, 0, sizeof *world);
    world->synchronous = synchronous;
    world->random = random;
    scratch_init(&world->scratch);
    scratch_path(&world->scratch, "shop", world->path);
    world_renew(world);
}

void world_deinit(struct world *world)
{
    scratch_deinit(&world->scratch);
}

void world_renew(struct world *world)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal", "-locks"};
    char path[SCRATCH_PATH_SIZE + 16];

    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        snprintf(path, sizeof path, "%s%s", world->path, suffixes[i]);
        unlink(path);
    }
    world->step_count = 0;
    for (int i = 0; i < WORLD_PARTITIONS; i++) {
        world->committed[i] = -1;
        world->asked[i] = -1;
        world->ends[i] = 0;
    }
    for (int i = 0; i < WORLD_KEYS; i++) {
        world->newest[i] = -1;
        world->last[i] = -1;
    }
}

/* ---- opening ----------------------------------------------------------------------------- */

static bool run(struct world *world, sqlite3 *handle, const char *sql)
{
    int result = sqlite3_exec(handle, sql, NULL, NULL, NULL);

    if (result != SQLITE_OK)
        world->err = database_error(result);
    return result == SQLITE_OK;
}

static bool is_done(struct world *world, klane_err_t err)
{
    if (err != KLANE_OK)
        world->err = err;
    return err == KLANE_OK;
}

static bool set_up(struct world *world, sqlite3 *handle)
{
    char sql[64];

    sqlite3_wal_autocheckpoint(handle, CHECKPOINT_PAGES);
    if (world->synchronous == NULL)
        return true;
    snprintf(sql, sizeof sql, "PRAGMA synchronous = %s", world->synchronous);
    return run(world, handle, sql);
}

static bool ask_for(sqlite3 *handle, const char *sql, int64_t *number, char *wrong);

/* A topic of which only the newest of each key is kept; unless it is there. */
static bool make_states(struct world *world)
{
    struct klane_sqlite_keep keep;
    int64_t count = 0;
    char wrong[WRONG_SIZE];

    (void)ask_for(world->shop, "SELECT count(*) FROM klane_topics WHERE compact", &count, wrong);
    if (count == 1)
        return true;
    klane_sqlite_keep_init(&keep, sizeof keep);
    keep.compact = true;
    return is_done(world, klane_sqlite_topic(world->outbox, "states", 1)) &&
           is_done(world, klane_sqlite_keep(world->outbox, "states", &keep));
}

static bool open_shop(struct world *world)
{
    int result = sqlite3_open(world->path, &world->shop);

    if (result != SQLITE_OK)
        return is_done(world, database_error(result));
    sqlite3_busy_timeout(world->shop, BUSY_MS);
    /* Set up behind borrow(), which makes the journal a write-ahead log: a rollback journal that
     * is synced less than FULL may leave the file damaged, which SQLite says itself. */
    return run(world, world->shop,
               "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY)") &&
           is_done(world, klane_sqlite_borrow(world->shop, &world->outbox, NULL, 0)) &&
           set_up(world, world->shop) &&
           is_done(world, klane_sqlite_topic(world->outbox, topic.name, WORLD_PARTITIONS)) &&
           make_states(world);
}

/* The helper's half of the source, on this thread. */
static bool ask(struct world *world, struct sqlite_request *request)
{
    request->err = KLANE_OK;
    sqlite_helper_ops.work(&world->reader, &request->base);
    return is_done(world, request->err);
}

static bool find_partitions(struct world *world)
{
    bool is_found = false, is_missing = true;
    struct sqlite_find find = {.request.type = READER_FIND,
                               .topics = &topic,
                               .is_found = &is_found,
                               .is_missing = &is_missing,
                               .topic_count = 1};
    struct sqlite_partition *partition;
    bool is_fine = ask(world, &find.request);

    STAILQ_INIT(&world->partitions);
    STAILQ_CONCAT(&world->partitions, &find.partitions);
    STAILQ_FOREACH(partition, &world->partitions, control.all)
    world->partition[partition->found.number] = partition;
    return is_fine;
}

static bool open_reader(struct world *world)
{
    struct sqlite_request join = {.type = READER_JOIN};

    memset(&world->reader, 0, sizeof world->reader);
    STAILQ_INIT(&world->partitions);
    if (!is_done(world, sqlite_reader_init(&world->reader, world->path, "group")))
        return false;
    world->is_reading = true;
    return set_up(world, world->reader.database.handle) && ask(world, &join) &&
           find_partitions(world);
}

bool world_open(struct world *world)
{
    world->is_open =
        open_shop(world) &&
        is_done(world, klane_sqlite_open(world->path, BUSY_MS, &world->log, NULL, 0)) &&
        set_up(world, world->log->database.handle) && open_reader(world);
    return world->is_open;
}

void world_close(struct world *world)
{
    if (world->is_reading) {
        sqlite_partitions_free(&world->partitions);
        sqlite_reader_deinit(&world->reader);
    }
    klane_sqlite_close(world->log);
    klane_sqlite_close(world->outbox);
    assert_int_equal(sqlite3_close(world->shop), SQLITE_OK);
    world->is_open = false;
    world->is_reading = false;
    world->log = NULL;
    world->outbox = NULL;
    world->shop = NULL;
}

/* ---- steps ------------------------------------------------------------------------------- */

static uint64_t below(struct world *world, uint64_t limit)
{
    return check_random_below(world->random, limit);
}

static struct world_step *new_step(struct world *world)
{
    assert_true(world->step_count < WORLD_STEPS_MAX);
    world->steps[world->step_count] = (struct world_step){.fate = WORLD_UNKNOWN};
    return &world->steps[world->step_count++];
}

static void told(struct world *world, struct world_step *step, const int64_t *offsets,
                 const struct klane_sqlite_record *records)
{
    step->fate = WORLD_ACKNOWLEDGED;
    world->acknowledged++;
    for (unsigned i = 0; i < step->records; i++)
        if (offsets[i] >= world->ends[records[i].partition])
            world->ends[records[i].partition] = offsets[i] + 1;
}

static bool append(struct world *world, struct klane_sqlite *log, unsigned count, bool has_row)
{
    static unsigned char values[BATCH_MAX][sizeof(struct payload) + FILLER_MAX];
    struct klane_sqlite_record records[BATCH_MAX];
    int64_t offsets[BATCH_MAX];
    struct world_step *step = new_step(world);
    char sql[64];
    bool is_fine = true;

    step->records = (uint8_t)count;
    step->has_row = has_row;
    for (unsigned i = 0; i < count; i++) {
        struct payload payload = {(uint32_t)(step - world->steps), i};

        memcpy(values[i], &payload, sizeof payload);
        records[i] = (struct klane_sqlite_record){
            .topic = topic.name,
            .value = values[i],
            .value_size = sizeof payload + below(world, FILLER_MAX),
            .partition = (int32_t)below(world, WORLD_PARTITIONS),
            .timestamp_ms = -1};
    }
    if (has_row) {
        snprintf(sql, sizeof sql, "BEGIN IMMEDIATE; INSERT INTO orders VALUES (%zu)",
                 (size_t)(step - world->steps));
        is_fine = run(world, world->shop, sql);
    }
    is_fine = is_fine && is_done(world, klane_sqlite_append_batch(log, records, count, offsets));
    if (has_row)
        is_fine = is_fine && run(world, world->shop, "COMMIT");
    if (!is_fine && !sqlite3_get_autocommit(world->shop))
        run(world, world->shop, "ROLLBACK");
    if (is_fine)
        told(world, step, offsets, records);
    return is_fine;
}

static bool commit(struct world *world)
{
    struct sqlite_commit_entry entries[WORLD_PARTITIONS];
    struct sqlite_commit commit = {.request.type = READER_COMMIT,
                                   .entries = entries,
                                   .count = WORLD_PARTITIONS,
                                   .metadata = (char *)(uintptr_t) "map"};

    for (int i = 0; i < WORLD_PARTITIONS; i++) {
        int64_t last = world->asked[i] < 0 ? 0 : world->asked[i];
        int64_t room = world->ends[i] > last ? world->ends[i] - last : 0;

        world->asked[i] = last + (int64_t)below(world, (uint64_t)room + 1);
        entries[i] = (struct sqlite_commit_entry){
            .partition = world->partition[i], .offset = world->asked[i], .metadata_size = 3};
    }
    if (!ask(world, &commit.request))
        return false;
    for (int i = 0; i < WORLD_PARTITIONS; i++)
        world->committed[i] = world->asked[i];
    return true;
}

static bool change_state(struct world *world)
{
    int key = (int)below(world, WORLD_KEYS);
    int64_t value = ++world->last[key];
    struct klane_sqlite_record record = {.topic = "states",
                                         .key = &"abc"[key],
                                         .key_size = 1,
                                         .value = &value,
                                         .value_size = sizeof value,
                                         .timestamp_ms = -1,
                                         .partition = 0};

    if (!is_done(world, klane_sqlite_append(world->log, &record, NULL)))
        return false;
    world->newest[key] = value;
    return true;
}

bool world_do(struct world *world, enum world_kind kind)
{
    /* For want of memory a rollback may fail, too. */
    if (!sqlite3_get_autocommit(world->shop) && !run(world, world->shop, "ROLLBACK"))
        return false;
    switch (kind) {
    case WORLD_CHECKPOINT:
        return run(world, world->shop, "PRAGMA wal_checkpoint(TRUNCATE)");
    case WORLD_REOPEN:
        world_close(world);
        return world_open(world);
    case WORLD_COMMIT:
        return commit(world);
    case WORLD_ROW:
        return append(world, world->outbox, 1, true);
    case WORLD_STATE:
        return change_state(world);
    case WORLD_CLEAN:
        return is_done(world, klane_sqlite_clean(world->log));
    case WORLD_APPEND_BORROWED:
        return append(world, world->outbox, 1 + (unsigned)below(world, BATCH_MAX), false);
    case WORLD_APPEND:
        break;
    }
    return append(world, world->log, 1 + (unsigned)below(world, BATCH_MAX), false);
}

bool world_step(struct world *world)
{
    /* As often as they stand here. */
    static const enum world_kind kinds[] = {
        WORLD_CHECKPOINT, WORLD_REOPEN, WORLD_COMMIT, WORLD_COMMIT,          WORLD_COMMIT,
        WORLD_ROW,        WORLD_ROW,    WORLD_ROW,    WORLD_STATE,           WORLD_STATE,
        WORLD_STATE,      WORLD_CLEAN,  WORLD_CLEAN,  WORLD_APPEND_BORROWED, WORLD_APPEND,
        WORLD_APPEND,     WORLD_APPEND, WORLD_APPEND, WORLD_APPEND};

    return world_do(world, kinds[below(world, sizeof kinds / sizeof kinds[0])]);
}

/* ---- checking ---------------------------------------------------------------------------- */

static bool look_at_record(struct world *world, sqlite3_stmt *row, int64_t *next, char *wrong)
{
    int64_t id = sqlite3_column_int64(row, 0);
    int64_t offset = id & (DATABASE_OFFSETS_MAX - 1);
    int32_t partition = sqlite3_column_int(row, 2);
    struct payload payload;

    if (partition < 0 || partition >= WORLD_PARTITIONS || offset != next[partition]) {
        snprintf(wrong, WRONG_SIZE, "offset %" PRId64 " of partition %d is out of place", offset,
                 (int)partition);
        return false;
    }
    next[partition]++;
    memcpy(&payload, sqlite3_column_blob(row, 1), sizeof payload);
    if (payload.step >= world->step_count || payload.index >= BATCH_MAX ||
        (world->steps[payload.step].seen & 1U << payload.index) != 0) {
        snprintf(wrong, WRONG_SIZE, "record %u of step %u was never appended, or is there twice",
                 payload.index, payload.step);
        return false;
    }
    world->steps[payload.step].seen |= (uint8_t)(1U << payload.index);
    return true;
}

static bool ask_for(sqlite3 *handle, const char *sql, int64_t *number, char *wrong)
{
    sqlite3_stmt *statement = NULL;
    bool is_fine = sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) == SQLITE_OK;
    int result = is_fine ? sqlite3_step(statement) : SQLITE_ERROR;

    if (result == SQLITE_ROW)
        *number = sqlite3_column_int64(statement, 0);
    else if (result != SQLITE_DONE)
        snprintf(wrong, WRONG_SIZE, "%s: %s", sql, sqlite3_errmsg(handle));
    sqlite3_finalize(statement);
    return result == SQLITE_ROW || result == SQLITE_DONE;
}

static bool look_at_records(struct world *world, sqlite3 *handle, char *wrong)
{
    static const char sql[] = "SELECT r.id, r.value, p.number FROM klane_records r"
                              " JOIN klane_partitions p ON p.id = r.id >> 40"
                              " JOIN klane_topics t ON t.id = p.topic AND t.name = 'events'"
                              " ORDER BY r.id";
    sqlite3_stmt *statement = NULL;
    bool is_fine = true;
    int64_t next[WORLD_PARTITIONS] = {0};

    if (sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) != SQLITE_OK) {
        snprintf(wrong, WRONG_SIZE, "%s", sqlite3_errmsg(handle));
        return false;
    }
    while (is_fine && sqlite3_step(statement) == SQLITE_ROW)
        is_fine = look_at_record(world, statement, next, wrong);
    sqlite3_finalize(statement);
    for (int i = 0; i < WORLD_PARTITIONS && is_fine; i++) {
        char question[160];
        int64_t end = -1;

        snprintf(question, sizeof question,
                 "SELECT next FROM klane_partitions AS p JOIN klane_topics AS t ON t.id = p.topic"
                 " AND t.name = 'events' WHERE number = %d",
                 i);
        is_fine = ask_for(handle, question, &end, wrong);
        if (is_fine && end >= 0 && end != next[i]) {
            snprintf(wrong, WRONG_SIZE, "partition %d ends at %" PRId64 ", records at %" PRId64, i,
                     end, next[i]);
            is_fine = false;
        }
        world->ends[i] = next[i];
    }
    return is_fine;
}

static bool look_at_rows(struct world *world, sqlite3 *handle, char *wrong)
{
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v2(handle, "SELECT id FROM orders", -1, &statement, NULL) != SQLITE_OK) {
        snprintf(wrong, WRONG_SIZE, "%s", sqlite3_errmsg(handle));
        return false;
    }
    while (sqlite3_step(statement) == SQLITE_ROW) {
        int64_t id = sqlite3_column_int64(statement, 0);

        if (id >= 0 && id < (int64_t)world->step_count)
            world->steps[id].row_seen = true;
    }
    sqlite3_finalize(statement);
    return true;
}

static bool judge_step(struct world_step *step, size_t number, char *wrong)
{
    bool is_there = step->seen > 0;
    const char *what = NULL;

    if (is_there && step->seen != (1U << step->records) - 1)
        what = "is there in part";
    else if (step->row_seen != (step->has_row && is_there))
        what = "has a row without its record, or a record without its row";
    else if (step->fate == WORLD_ACKNOWLEDGED && !is_there)
        what = "was acknowledged and is lost";
    else if (step->fate == WORLD_GONE && is_there)
        what = "was not there and has come back";
    if (what != NULL) {
        snprintf(wrong, WRONG_SIZE, "step %zu %s", number, what);
        return false;
    }
    step->fate = is_there ? WORLD_ACKNOWLEDGED : WORLD_GONE;
    return true;
}

static bool look_at_commits(struct world *world, sqlite3 *handle, char *wrong)
{
    for (int i = 0; i < WORLD_PARTITIONS; i++) {
        char question[160];
        int64_t found = -1;

        snprintf(question, sizeof question,
                 "SELECT committed FROM klane_offsets JOIN klane_partitions ON id = partition_id"
                 " WHERE number = %d AND metadata = 'map'",
                 i);
        if (!ask_for(handle, question, &found, wrong))
            return false;
        if (found < world->committed[i] || found > world->asked[i]) {
            snprintf(wrong, WRONG_SIZE,
                     "partition %d has committed %" PRId64 ", acknowledged was %" PRId64
                     ", asked for %" PRId64,
                     i, found, world->committed[i], world->asked[i]);
            return false;
        }
        world->committed[i] = found;
        world->asked[i] = found;
    }
    return true;
}

static bool look_at_states(struct world *world, sqlite3 *handle, char *wrong)
{
    sqlite3_stmt *statement = NULL;
    int64_t found[WORLD_KEYS] = {-1, -1, -1};

    if (sqlite3_prepare_v2(handle,
                           "SELECT key, value FROM klane_records WHERE length(key) = 1"
                           " ORDER BY id",
                           -1, &statement, NULL) != SQLITE_OK) {
        snprintf(wrong, WRONG_SIZE, "%s", sqlite3_errmsg(handle));
        return false;
    }
    while (sqlite3_step(statement) == SQLITE_ROW) {
        const char *key = sqlite3_column_blob(statement, 0);

        memcpy(&found[key[0] - 'a'], sqlite3_column_blob(statement, 1), sizeof found[0]);
    }
    sqlite3_finalize(statement);
    for (int i = 0; i < WORLD_KEYS; i++) {
        if (found[i] < world->newest[i] || found[i] > world->last[i]) {
            snprintf(wrong, WRONG_SIZE,
                     "key %d is at %" PRId64 ", acknowledged was %" PRId64 ", tried %" PRId64, i,
                     found[i], world->newest[i], world->last[i]);
            return false;
        }
        world->newest[i] = found[i];
    }
    return true;
}

/* Nothing of the log may be there yet. */
static bool has_log(sqlite3 *handle)
{
    int64_t tables = 0;
    char wrong[WRONG_SIZE];

    return ask_for(handle,
                   "SELECT count(*) FROM sqlite_schema WHERE name IN ('orders', 'klane_records')",
                   &tables, wrong) &&
           tables == 2;
}

bool world_check(struct world *world, char *wrong)
{
    sqlite3 *handle = NULL;
    int64_t problems = 0;
    bool is_fine;

    wrong[0] = '\0';
    for (size_t i = 0; i < world->step_count; i++) {
        world->steps[i].seen = 0;
        world->steps[i].row_seen = false;
    }
    assert_int_equal(sqlite3_open(world->path, &handle), SQLITE_OK);
    is_fine = ask_for(handle, "SELECT count(*) FROM pragma_quick_check WHERE quick_check <> 'ok'",
                      &problems, wrong);
    if (is_fine && problems > 0) {
        snprintf(wrong, WRONG_SIZE, "the file is damaged");
        is_fine = false;
    }
    if (is_fine && has_log(handle))
        is_fine = look_at_records(world, handle, wrong) && look_at_rows(world, handle, wrong) &&
                  look_at_commits(world, handle, wrong) && look_at_states(world, handle, wrong);
    for (size_t i = 0; i < world->step_count && is_fine; i++)
        is_fine = judge_step(&world->steps[i], i, wrong);
    sqlite3_close(handle);
    return is_fine;
}
