/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Records are gathered and appended a thousand at a time: a transaction is what costs, and on its
 * return all of them are on the disk.
 */
#include "feed.h"

#include "census.h"
#include "history.h"

#include <klane/sqlite.h>

#include <stdlib.h>
#include <string.h>

#define BATCH_RECORDS 1000
#define BUSY_MS 5000

/** Records that wait to be appended. Their bytes lie in one buffer, which moves as it grows. */
struct batch {
    char *bytes;
    size_t used;
    size_t room;
    size_t count;
    struct {
        size_t key_size;
        size_t value_size;
    } sizes[BATCH_RECORDS];
    struct klane_sqlite_record records[BATCH_RECORDS];
};

static bool batch_reserve(struct batch *batch, size_t more)
{
    size_t room = batch->room > 0 ? batch->room : 65536;
    char *bytes;

    while (room - batch->used < more)
        room *= 2;
    if (room == batch->room)
        return true;
    bytes = realloc(batch->bytes, room);
    if (bytes == NULL)
        return false;
    batch->bytes = bytes;
    batch->room = room;
    return true;
}

/** Key: the path. Value: git's own words and the commit. */
static bool batch_add(struct batch *batch, const struct history_change *change)
{
    size_t text_size = strlen(change->text), commit_size = strlen(change->commit);
    char *at;

    if (!batch_reserve(batch, change->path_size + text_size + 1 + commit_size))
        return false;
    at = batch->bytes + batch->used;
    memcpy(at, change->path, change->path_size);
    at += change->path_size;
    memcpy(at, change->text, text_size);
    at[text_size] = ' ';
    memcpy(at + text_size + 1, change->commit, commit_size);

    batch->sizes[batch->count].key_size = change->path_size;
    batch->sizes[batch->count].value_size = text_size + 1 + commit_size;
    batch->used += change->path_size + text_size + 1 + commit_size;
    batch->count++;
    return true;
}

static bool batch_append(struct batch *batch, struct klane_sqlite *log)
{
    const char *at = batch->bytes;
    klane_err_t err;

    if (batch->count == 0)
        return true;
    for (size_t i = 0; i < batch->count; i++) {
        size_t key_size = batch->sizes[i].key_size, value_size = batch->sizes[i].value_size;

        batch->records[i] = (struct klane_sqlite_record){.topic = FEED_TOPIC,
                                                         .key = at,
                                                         .key_size = key_size,
                                                         .value = at + key_size,
                                                         .value_size = value_size,
                                                         .timestamp_ms = -1,
                                                         .partition = -1};
        at += key_size + value_size;
    }
    err = klane_sqlite_append_batch(log, batch->records, batch->count, NULL);
    if (err != KLANE_OK)
        fprintf(stderr, "append: %s: %s\n", klane_strerror(err), klane_sqlite_errmsg(log));
    batch->count = 0;
    batch->used = 0;
    return err == KLANE_OK;
}

static bool feed_history(struct history *history, struct klane_sqlite *log, struct batch *batch,
                         struct census *census, bool (*progress)(uint64_t records),
                         struct feed_totals *totals)
{
    struct history_change change;
    int more;

    while ((more = history_next(history, &change)) > 0) {
        if (!batch_add(batch, &change) || !census_add(census, change.path, change.path_size)) {
            fprintf(stderr, "memory is exhausted\n");
            return false;
        }
        totals->records++;
        if (batch->count == BATCH_RECORDS &&
            (!batch_append(batch, log) || !progress(totals->records)))
            return false;
    }
    totals->commits = history->commits;
    if (more < 0 || !batch_append(batch, log))
        return false;
    if (census_take(census, &totals->keys, &totals->busiest))
        return true;
    fprintf(stderr, "the keys could not be counted\n");
    return false;
}

static struct klane_sqlite *log_open(const char *file)
{
    struct klane_sqlite *log = NULL;
    char why[256];

    if (klane_sqlite_open(file, BUSY_MS, &log, why, sizeof why) != KLANE_OK) {
        fprintf(stderr, "%s\n", why);
        return NULL;
    }
    if (klane_sqlite_topic(log, FEED_TOPIC, FEED_PARTITIONS) != KLANE_OK) {
        fprintf(stderr, "%s\n", klane_sqlite_errmsg(log));
        klane_sqlite_close(log);
        return NULL;
    }
    return log;
}

bool feed(const char *log_file, const char *commits_file, struct repository *repository,
          bool (*progress)(uint64_t records), struct feed_totals *totals)
{
    struct klane_sqlite *log = log_open(log_file);
    struct batch *batch = calloc(1, sizeof *batch);
    struct census *census = census_create();
    struct history history;
    bool fed = false;

    *totals = (struct feed_totals){0};
    if (batch == NULL || census == NULL)
        fprintf(stderr, "memory is exhausted\n");
    else if (log != NULL && history_open(&history, repository, commits_file)) {
        fed = feed_history(&history, log, batch, census, progress, totals);
        history_close(&history);
    }
    census_destroy(census);
    if (batch != NULL)
        free(batch->bytes);
    free(batch);
    klane_sqlite_close(log);
    return fed;
}
