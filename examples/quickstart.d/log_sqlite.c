/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The embedded log. Records are gathered and appended a thousand at a time: a transaction is what
 * costs, and on its return all of them are on the disk.
 */
#include "log.h"

#include <klane/sqlite.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_RECORDS 1000
#define BUSY_MS 5000

/** The bytes of records that wait to be appended lie in one buffer, which moves as it grows. */
struct log_writer {
    struct klane_sqlite *sqlite;
    const char *topic;
    char *bytes;
    size_t used;
    size_t room;
    size_t count;
    struct klane_sqlite_record records[BATCH_RECORDS]; /**< Pointers are set when all is there. */
};

static struct log_writer *sqlite_open(struct log *log)
{
    struct log_writer *writer = calloc(1, sizeof *writer);
    char why[256];

    if (writer == NULL) {
        fprintf(stderr, "memory is exhausted\n");
        return NULL;
    }
    writer->topic = log->topic;
    if (klane_sqlite_open(log->at, BUSY_MS, &writer->sqlite, why, sizeof why) != KLANE_OK) {
        fprintf(stderr, "%s\n", why);
        free(writer);
        return NULL;
    }
    if (klane_sqlite_topic(writer->sqlite, log->topic, LOG_PARTITIONS) != KLANE_OK) {
        fprintf(stderr, "%s\n", klane_sqlite_errmsg(writer->sqlite));
        klane_sqlite_close(writer->sqlite);
        free(writer);
        return NULL;
    }
    return writer;
}

static bool batch_reserve(struct log_writer *writer, size_t more)
{
    size_t room = writer->room > 0 ? writer->room : 65536;
    char *bytes;

    while (room - writer->used < more)
        room *= 2;
    if (room == writer->room)
        return true;
    bytes = realloc(writer->bytes, room);
    if (bytes == NULL)
        return false;
    writer->bytes = bytes;
    writer->room = room;
    return true;
}

static bool sqlite_flush(struct log_writer *writer)
{
    const char *at = writer->bytes;
    klane_err_t err;

    if (writer->count == 0)
        return true;
    for (size_t i = 0; i < writer->count; i++) {
        struct klane_sqlite_record *record = &writer->records[i];

        record->key = at;
        record->value = at + record->key_size;
        at += record->key_size + record->value_size;
    }
    err = klane_sqlite_append_batch(writer->sqlite, writer->records, writer->count, NULL);
    if (err != KLANE_OK)
        fprintf(stderr, "append: %s: %s\n", klane_strerror(err),
                klane_sqlite_errmsg(writer->sqlite));
    writer->count = 0;
    writer->used = 0;
    return err == KLANE_OK;
}

static bool sqlite_append(struct log_writer *writer, const struct log_record *record)
{
    if (!batch_reserve(writer, record->key_size + record->value_size)) {
        fprintf(stderr, "memory is exhausted\n");
        return false;
    }
    memcpy(writer->bytes + writer->used, record->key, record->key_size);
    memcpy(writer->bytes + writer->used + record->key_size, record->value, record->value_size);
    writer->used += record->key_size + record->value_size;
    writer->records[writer->count++] = (struct klane_sqlite_record){
        .topic = writer->topic,
        .key_size = record->key_size,
        .value_size = record->value_size,
        .timestamp_ms = -1,
        .partition = -1,
    };
    return writer->count < BATCH_RECORDS || sqlite_flush(writer);
}

static void sqlite_close(struct log_writer *writer)
{
    klane_sqlite_close(writer->sqlite);
    free(writer->bytes);
    free(writer);
}

/** Its file lies in the folder of this run and goes with it. */
static void sqlite_remove(struct log *log)
{
    log->is_made = false;
}

static klane_err_t sqlite_source(const struct log *log, enum member member,
                                 struct klane_source **source, char *why, size_t why_size)
{
    (void)member;
    return klane_sqlite_create(log->at, log->group, KLANE_SQLITE_STANDBY, source, why, why_size);
}

void log_sqlite(struct log *log, const char *file)
{
    static const struct log_kind KIND = {
        .is_shared = false,
        .open = sqlite_open,
        .append = sqlite_append,
        .flush = sqlite_flush,
        .close = sqlite_close,
        .remove = sqlite_remove,
        .source = sqlite_source,
    };

    *log = (struct log){.kind = &KIND, .at = file, .topic = "changes", .group = "tree"};
}
