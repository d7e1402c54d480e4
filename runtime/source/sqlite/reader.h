/* SPDX-License-Identifier: Apache-2.0 */
/* What the helper thread of an SQLite source does: find topics, read runs of records, commit.
 *
 * Upholds: only the helper thread uses the connection, from helper_create() on until it is closed.
 * A request belongs to whom source/helper.h says; a partition is shared, each member with one
 * writer.
 *
 * A read transaction lasts for one run, so it never holds a checkpoint back for long; to find the
 * place again costs one descent in the table, which is nothing beside the records of a run.
 *
 * Edge R1: wake_is_out cleared, release -> its look at it, acquire: control has read the wake
 * request before the helper writes it again. Ends of partitions need no edge of their own: control
 * reads them after a request came back (sync/mailbox.h, M1) that was sent after they were
 * stored. */
#ifndef KLANE_SOURCE_SQLITE_READER_H
#define KLANE_SOURCE_SQLITE_READER_H

#include "source/helper.h"
#include "source/source.h"
#include "source/sqlite/cleaning.h"
#include "source/sqlite/database.h"
#include "source/sqlite/group.h"

#include <stdatomic.h>
#include <sys/queue.h>

enum {
    READER_RUN_BYTES = 256 << 10,
    READER_LARGE_WAIT_MS = 100,   /* then it has gone, or is held */
    READER_LARGE_BYTES = 4 << 20, /* of all runs that a large record has needed; or one alone */
    READER_LOOK_MS = 15,
    READER_PLACE_MS = 1000, /* how often it looks whether the file is still in its place, and
                               tells that it cannot look for new records */
    READER_BUSY_MS = 1000   /* how long reads and commits wait for other processes */
};

#define READER_NEVER_MS INT64_MAX

enum sqlite_request_type {
    READER_JOIN,
    READER_FIND,
    READER_READ,
    READER_SWEEP,
    READER_COMMIT,
    READER_CLOSE,
    READER_WAKE
};

struct sqlite_run;

struct sqlite_partition {
    /* Written by the helper before it hands the partition over. */
    struct {
        const struct source_topic *topic;
        int64_t id;
        struct source_position position; /* its metadata is freed by whoever has taken it */
        int64_t committed;               /* that was out of range; -1: none was */
        bool has_no_begin;               /* the topic's rules say that it is an error */
        int32_t number;
    } found;

    /* The helper's. */
    struct {
        int64_t position;
        bool committed_is_void; /* it was out of range, so it may be lowered once */
    } helper;

    /* One past the last offset, as the helper last saw it. */
    _Atomic int64_t end;

    /* Control's. */
    struct {
        struct klane_assignment *assignment; /* NULL: not yet, or no more */
        STAILQ_HEAD(, sqlite_run) runs;      /* filled, oldest first */
        STAILQ_ENTRY(sqlite_partition) all;
        STAILQ_ENTRY(sqlite_partition) ready;
        STAILQ_ENTRY(sqlite_partition) wanting;
        TAILQ_ENTRY(sqlite_partition) sweeping;
        int64_t swept;        /* of its pass: the next offset to bring */
        int64_t position;     /* of the next record to offer */
        int64_t seek;         /* where the next read begins; -1: where the last one ended */
        int64_t end_read;     /* where the last run met the log's end, if it did */
        int64_t end_reported; /* -1: none */
        int64_t retry_ms;     /* not to be read before; 0: at any time */
        int64_t backoff_ms;
        uint32_t runs_held;  /* filled or out */
        uint32_t generation; /* runs of an earlier one are not wanted any more */
        bool is_out_of_range_told;
        bool is_given_up;
        bool is_held;
        bool is_at_end;
        bool is_streaming; /* the last run was full: read ahead */
        bool is_ready;     /* in the list of those with something to offer */
        bool is_wanting;   /* in the list of those to be read */
        bool is_sweeping;  /* in the list of those that have a pass */
    } control;
};

STAILQ_HEAD(sqlite_partitions, sqlite_partition);

struct sqlite_request {
    struct helper_request base;
    enum sqlite_request_type type;
    klane_err_t err;
    bool has_grown; /* written by the helper: the ends of partitions are worth a look */
    bool is_lost;   /* written by the helper: the file is no longer where it was */
    bool is_fenced; /* written by the helper: another process consumes for the group */
    char text[DATABASE_TEXT_SIZE];
};

/* Finds the partitions of topics that were not found before. */
struct sqlite_find {
    struct sqlite_request request;
    const struct source_topic *topics;
    bool *is_found;   /* for each topic; the helper's */
    bool *is_missing; /* for each topic: control was told that it does not exist; control's */
    size_t topic_count;
    struct sqlite_partitions partitions; /* the answer */
};

/* Begins every record of a run; key, value and headers follow. */
struct sqlite_record {
    int64_t offset;
    int64_t timestamp_ms;
    uint32_t key_size;   /* READER_NONE: no key */
    uint32_t value_size; /* READER_NONE: no value */
    uint32_t headers_size;
};

#define READER_NONE UINT32_MAX

/* Reads a run of records of one partition: the next of it, or, for a pass, those from seek on. */
struct sqlite_run {
    struct sqlite_request request;
    STAILQ_ENTRY(sqlite_run) link;
    struct sqlite_partition *partition;
    int64_t seek; /* -1: go on */
    uint32_t generation;

    unsigned char *bytes; /* kept from one use to the next */
    size_t capacity;
    size_t used;
    size_t offered; /* of bytes; control's */
    int64_t next;   /* the position behind the run */
    int64_t end;    /* one past the log's last offset, if the run reached it; else -1 */
    bool waits;     /* the next record is large, and others of them are in memory */
    int64_t gone;  /* the next offset to read, of which age or size have taken the record; the run
                       begins where the log does; -1: it is there */
    int64_t begin; /* where it begins then */
};

struct sqlite_commit_entry {
    struct sqlite_partition *partition;
    int64_t offset;
    size_t metadata; /* where it begins in the commit's */
    size_t metadata_size;
};

/* Commits all entries or none. */
struct sqlite_commit {
    struct sqlite_request request;
    struct sqlite_commit_entry *entries;
    size_t count;
    size_t capacity;
    char *metadata; /* of all entries, one behind the other */
    size_t metadata_capacity;
};

enum sqlite_reader_statement {
    READER_BEGIN,
    READER_BEGIN_WRITE,
    READER_END,
    READER_ROLLBACK,
    READER_FIND_TOPIC,
    READER_FIND_PARTITIONS,
    READER_FIND_COMMITTED,
    READER_FIRST_SINCE,
    READER_BOUNDS,
    READER_RANGE,
    READER_SET_COMMITTED,
    READER_DATA_VERSION,
    READER_ENDS,
    READER_STATEMENTS
};

struct sqlite_reader {
    struct database database;
    sqlite3_stmt *statements[READER_STATEMENTS];
    struct sqlite_group group;
    bool cleans;               /* when it has joined; fixed */
    struct cleaning *cleaning; /* from the join on; NULL: not, or not yet */

    /* Of runs that a large record has needed: the helper adds, control takes off. */
    _Atomic size_t large_bytes;

    /* The helper's: who waits for room for a large record goes first, if it asked just now. */
    const struct sqlite_partition *large_next;
    int64_t large_asked_ms;

    struct sqlite_partition **watched; /* by rising id */
    size_t watched_count;

    struct sqlite_request wake;
    int64_t data_version;
    int64_t looked_ms;
    int64_t placed_ms;
    int64_t failed_ms;    /* when look_err was told */
    klane_err_t look_err; /* of the last look */
    bool has_grown;       /* not told yet */
    bool is_lost;         /* not told yet */
    bool is_fenced;       /* not told yet */

    /* Set by the helper when it sends the wake request, cleared by control when it has it. */
    _Atomic bool wake_is_out;
};

/* For helper_create(); the context is the reader. */
extern const struct helper_ops sqlite_helper_ops;

/* Opens the log. On an error reader->database.text says why. */
klane_err_t sqlite_reader_init(struct sqlite_reader *reader, const char *path, const char *group);

/* Not while the helper thread runs. */
void sqlite_reader_deinit(struct sqlite_reader *reader);

/* Control: the record at run->offered, which then moves on. False: the run is empty. */
bool sqlite_run_next(struct sqlite_run *run, struct source_record *record);

/* The partition's metadata is not needed any more. */
void sqlite_metadata_free(struct sqlite_partition *partition);

/* Frees every partition of the list, which is empty then. */
void sqlite_partitions_free(struct sqlite_partitions *partitions);

#endif
