/* SPDX-License-Identifier: Apache-2.0 */
/* A program with an embedded log as a guest in its file, on the disk of lib/disk.h: it appends, by
 * connections of both kinds, writes rows with their records, and commits for a group; and it knows
 * what it was told.
 *
 * Upholds: world_check() fails when something acknowledged is missing, when half of a transaction
 * is there, when a row has no record or a record no row, when a committed offset is none that was
 * asked for since the last acknowledged one, and when compaction took the newest of a key.
 *
 * Programs with it wrap nanosleep(). */
#ifndef KLANE_TESTS_LIB_LOG_WORLD_H
#define KLANE_TESTS_LIB_LOG_WORLD_H

#include "lib/scratch.h"
#include "source/sqlite/reader.h"

#include <klane/sqlite.h>

enum { WORLD_PARTITIONS = 2, WORLD_STEPS_MAX = 4096, WORLD_KEYS = 3 };

enum world_kind {
    WORLD_CHECKPOINT,
    WORLD_REOPEN,
    WORLD_COMMIT,
    WORLD_ROW,
    WORLD_STATE,
    WORLD_CLEAN,
    WORLD_APPEND_BORROWED,
    WORLD_APPEND
};

enum world_fate { WORLD_UNKNOWN, WORLD_ACKNOWLEDGED, WORLD_GONE };

/* One transaction that appends. */
struct world_step {
    enum world_fate fate;
    uint8_t records;
    bool has_row;
    uint8_t seen; /* a bit for each record, by the check that goes on */
    bool row_seen;
};

struct world {
    struct scratch scratch;
    char path[SCRATCH_PATH_SIZE];
    const char *synchronous; /* NULL: as klane and SQLite have it; or what is to be caught */
    uint64_t *random;

    /* Open connections, NULL or not as far as opening came. */
    sqlite3 *shop;
    struct klane_sqlite *outbox; /* on the shop's */
    struct klane_sqlite *log;
    struct sqlite_reader reader;
    struct sqlite_partitions partitions;
    struct sqlite_partition *partition[WORLD_PARTITIONS];
    bool is_reading; /* the reader is open */
    bool is_open;    /* everything is */
    klane_err_t err; /* the last that something failed with */

    /* What it was told. */
    struct world_step steps[WORLD_STEPS_MAX];
    size_t step_count;
    int64_t committed[WORLD_PARTITIONS]; /* acknowledged, -1: nothing */
    int64_t asked[WORLD_PARTITIONS];     /* at most as high */
    int64_t ends[WORLD_PARTITIONS];      /* acknowledged */
    int64_t newest[WORLD_KEYS];          /* of a topic that is compacted; acknowledged, -1: none */
    int64_t last[WORLD_KEYS];            /* at most as new */
    uint64_t acknowledged;
};

void world_init(struct world *world, const char *synchronous, uint64_t *random);
void world_deinit(struct world *world);

/* A new file, of which nothing is known. It must not be open. */
void world_renew(struct world *world);

/* Opens everything, making what is missing. False: something failed, world->err says how. */
bool world_open(struct world *world);
void world_close(struct world *world);

/* Does one thing, or one by chance. False: it failed. */
bool world_do(struct world *world, enum world_kind kind);
bool world_step(struct world *world);

/* Reads the whole file, by a connection of its own, and sets the fate of what was unknown.
 * wrong (of 256 bytes) says what is not as it was told. */
bool world_check(struct world *world, char *wrong);

#endif
