/* SPDX-License-Identifier: Apache-2.0 */
/* Lets go of records that need not be kept: retention, compaction, and the space they took.
 *
 * Upholds: what is let go of is what the topic's rules say and nothing else; retention takes a
 * partition's oldest records, compaction those whose key has a newer one, and tombstones after
 * their time. Nobody who appends waits for longer than a step: each is a transaction of a few
 * milliseconds, which is not synced by itself (what it removes is removed again, should the power
 * fail), and then the log is left alone for four times as long.
 *
 * Everything here is of one thread, and one process at a time cleans a log (LOCKS_CLEANER). */
#ifndef KLANE_SOURCE_SQLITE_CLEANER_H
#define KLANE_SOURCE_SQLITE_CLEANER_H

#include "source/sqlite/database.h"
#include "source/sqlite/newest.h"

/* Of its own connection, for records and for compaction's keys. */
#define CLEANER_CACHE_BYTES ((uint64_t)1 << 20)
#define CLEANER_BYTES (CLEANER_CACHE_BYTES + NEWEST_BYTES)

enum {
    CLEANER_ROWS_MAX = 4096,      /* of a step */
    CLEANER_STEP_BYTES = 1 << 20, /* of records, so that large ones make no long step */
    CLEANER_BUSY_MS = 1000
};

enum cleaner_statement {
    CLEANER_BEGIN,
    CLEANER_COMMIT,
    CLEANER_ROLLBACK,
    CLEANER_RULES,
    CLEANER_STATE,
    CLEANER_PASSED,
    CLEANER_ROWS,
    CLEANER_DELETE,
    CLEANER_SET_FIRST,
    CLEANER_KEYS,
    CLEANER_SET_COMPACTED,
    CLEANER_CAN_SHRINK,
    CLEANER_PAGES,
    CLEANER_FREE_PAGES,
    CLEANER_SHRINK,
    CLEANER_STATEMENTS
};

/* Of the topic that a partition belongs to. */
struct cleaner_rules {
    int64_t partition; /* its id */
    int64_t age_ms;    /* -1: none */
    int64_t bytes;     /* -1: none */
    int64_t passed;    /* enum klane_sqlite_passed */
    bool compact;
    int64_t tombstone_ms;
};

/* A partition as it is now. */
struct cleaner_state {
    int64_t next;
    int64_t first;
    int64_t bytes;
    int64_t compacted;
    int64_t compacted_records;
    int64_t passed; /* below it is what every group has finished; 0 without any group */
};

/* Records that follow each other and go together. */
struct cleaner_range {
    int64_t first; /* ids */
    int64_t last;
};

struct cleaner {
    struct database database;
    sqlite3_stmt *statements[CLEANER_STATEMENTS];
    int locks;
    bool is_all; /* everything that may go, not only what is worth the work */

    /* Leaves the log alone for so long. False: stop. */
    bool (*rest)(void *context, int64_t ns);
    void *context;

    uint32_t rows; /* of a step, so that it takes a few milliseconds */
    struct cleaner_range ranges[CLEANER_ROWS_MAX];
    struct newest newest; /* compaction's, while it runs */
};

/* Opens a connection of its own. On an error database.text says why. */
klane_err_t cleaner_init(struct cleaner *cleaner, const char *path);
void cleaner_deinit(struct cleaner *cleaner);

/* Does what is due. KLANE_ERR_BUSY: another one cleans this log. KLANE_ERR_STOPPED: rest() said
 * so. */
klane_err_t cleaner_run(struct cleaner *cleaner);

/* As far as readers let it; nobody waits for it, and it need not come to its end. */
klane_err_t cleaner_checkpoint(struct cleaner *cleaner);

/* ---- what its files share ---------------------------------------------------------------- */

klane_err_t cleaner_state(struct cleaner *cleaner, int64_t partition,
                          struct cleaner_state *state);

/* The rows of a range of ids, in order; the caller steps and resets the statement. Columns: id,
 * key, whether it is a tombstone, timestamp, bytes. */
sqlite3_stmt *cleaner_rows(struct cleaner *cleaner, int64_t first, int64_t end);

/* Deletes count ranges of the partition in one transaction, and rests. first: of the partition,
 * from now on; bytes: what they had. KLANE_ERR_BUSY: nothing was deleted, as the rules are others
 * by now, or a group has come that has passed less than passed. */
klane_err_t cleaner_delete(struct cleaner *cleaner, const struct cleaner_rules *rules,
                           int64_t passed, size_t count, int64_t first, int64_t bytes);

/* Between two reads: so that they do not take a processor for long, and can be stopped. */
klane_err_t cleaner_breathe(struct cleaner *cleaner);

/* compact.c: one pass over the partition, or none. */
klane_err_t cleaner_compact(struct cleaner *cleaner, const struct cleaner_rules *rules);

#endif
