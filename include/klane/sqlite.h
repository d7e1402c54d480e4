/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The embedded log: topics in one SQLite file, for one machine, with nothing to install. Any
 * number of processes append; for each group one process consumes.
 *
 * The file has a write-ahead log and an index beside it, named path-wal and path-shm while the
 * log is open: they belong to it and are moved or copied together with it, when nobody has it
 * open. A file path-locks, of no bytes, says who is alive; removed while a process consumes, it
 * makes others believe that none does, and the first is then fenced. A network file system will
 * not do. A path may lead through symbolic links to a directory, but the file must not be one.
 * What is not a log of klane's is refused and left as it is; only a file of no bytes is taken for
 * a new log. One that was not closed is checked when it is opened: what is not
 * records, where partitions end, and, by a source, the records of a file of up to 64 MiB.
 *
 * A process that has a log open may fork(), but the child can use no log: exec first.
 */
#ifndef KLANE_SQLITE_H
#define KLANE_SQLITE_H

#include <klane/klane.h>

#ifdef __cplusplus
extern "C" {
#endif

/** SQLite's connection. */
struct sqlite3;

/** A connection for appending. One thread at a time may use it; open one for each thread. */
struct klane_sqlite;

/**
 * One record to append. key NULL: none; value NULL: a tombstone. Sizes in bytes; key, value and
 * headers together must stay below SQLite's limit, which is 1,000,000,000 bytes as a rule.
 */
struct klane_sqlite_record {
    const char *topic;
    const void *key;
    const void *value;
    size_t key_size;
    size_t value_size;
    int64_t timestamp_ms; /**< -1: now. */
    int32_t partition;    /**< -1: XXH3 (64 bits, seed 0) of the key modulo the number of
                               partitions; without a key, in turn. */
    const struct klane_header_in *headers;
    size_t header_count;
};

/**
 * Open a log for appending; the file is made (mode 0600) if it does not exist. Its directory must
 * exist. Thread: any. Blocks: on the disk and on other processes, up to busy_ms.
 * errstr (may be NULL) receives what is wrong with which file.
 * Errors: INVALID, NOMEM, IO, FULL, READ_ONLY, BUSY, CORRUPT (not a log, or damaged), VERSION,
 * FORKED.
 */
KLANE_API klane_err_t klane_sqlite_open(const char *path, uint32_t busy_ms,
                                        struct klane_sqlite **log, char *errstr,
                                        size_t errstr_size);

/**
 * The outbox: append by a connection of the program's own, to a log in the same file as the
 * program's tables, so that rows and records are committed together or not at all. The log is made
 * in the connection's main database if it has none. What is appended while a transaction is open
 * belongs to it and is in the log when it is committed, as durable as that is (synchronous=FULL
 * for what may not be lost); else each call is a transaction of its own, as durable. Offsets are
 * final when the transaction is committed. Readers notice it within about 15 ms.
 *
 * Begin with BEGIN IMMEDIATE: a transaction that has read first may find that it can no longer
 * write, which is BUSY until it is rolled back. BUSY is also an append while a statement of the
 * program's writes. After an error the call has changed nothing, but SQLite may have rolled the
 * whole transaction back: sqlite3_get_autocommit() tells.
 *
 * The file gets a write-ahead log. Nothing is set on the connection, which must not have
 * locking_mode=EXCLUSIVE; its last_insert_rowid() stays, changes() does not. A log in an attached
 * database is refused: what is committed in two files with write-ahead logs is not atomic. A topic
 * cannot be made inside a transaction. The connection has to be one of the SQLite library that
 * klane is linked with, and not from before a fork(). Close the log before it, and use both from
 * one thread at a time.
 * Thread: any. Blocks: on the disk and on other processes, as long as the connection does.
 * Errors: as klane_sqlite_open(), and INVALID: a transaction or a statement is open, the main
 * database is not in a file, or an attached one has a log.
 */
KLANE_API klane_err_t klane_sqlite_borrow(struct sqlite3 *connection, struct klane_sqlite **log,
                                          char *errstr, size_t errstr_size);

/** Close it. NULL is allowed. A connection of the program's stays open. In a child of fork() it
 *  does nothing. */
KLANE_API void klane_sqlite_close(struct klane_sqlite *log);

/**
 * Make a topic, unless it exists with as many partitions (1 to 4,096). Its name has 1 to 249
 * bytes, none of them a space or a control character.
 * Blocks: on the disk. Errors: INVALID, EXISTS (with another number of partitions), and as below.
 */
KLANE_API klane_err_t klane_sqlite_topic(struct klane_sqlite *log, const char *topic,
                                         int32_t partitions);

/**
 * Append one record in a transaction of its own. On return it is on the disk (synchronous=FULL).
 * On a connection of the program's: see klane_sqlite_borrow().
 * Blocks: on the disk and on other processes. offset (may be NULL) receives its offset.
 * Errors: INVALID, NOT_FOUND (topic or partition), NOMEM, IO, FULL, READ_ONLY, BUSY, CORRUPT,
 * FORKED.
 */
KLANE_API klane_err_t klane_sqlite_append(struct klane_sqlite *log,
                                          const struct klane_sqlite_record *record,
                                          int64_t *offset);

/**
 * Append count records in one transaction: all or none. On return they are on the disk. After an
 * error none is in the log, but for IO: then the disk decides, and they may appear after a crash.
 * offsets (may be NULL) receives count offsets, of no meaning after an error.
 * Errors: as klane_sqlite_append().
 */
KLANE_API klane_err_t klane_sqlite_append_batch(struct klane_sqlite *log,
                                                const struct klane_sqlite_record *records,
                                                size_t count, int64_t *offsets);

/**
 * A place for dead letters in a topic of a log, which is made with one partition unless it exists;
 * the log is opened by a connection of its own, as by klane_sqlite_open(). It may be any log, also
 * the one that is read. Errors: as klane_sqlite_open() and klane_sqlite_topic().
 */
KLANE_API klane_err_t klane_sqlite_letters(const char *path, uint32_t busy_ms, const char *topic,
                                           struct klane_letters **letters, char *errstr,
                                           size_t errstr_size);

/** What it means for keeping a record that every group of the log has committed past it. */
enum klane_sqlite_passed {
    KLANE_SQLITE_PASSED_ANY = 0, /**< Nothing. */
    KLANE_SQLITE_PASSED_GO = 1,  /**< It goes. */
    KLANE_SQLITE_PASSED_ONLY = 2 /**< Only such records go, by whatever rule. */
};

/**
 * What is kept of a topic: everything, but for what one of these rules lets go. Groups count from
 * their first commit in the partition, which is made as soon as they begin; with no group nothing
 * has been passed. One that never comes back holds on to its records until klane_sqlite_forget().
 * Fill it with klane_sqlite_keep_init() first. Grows only at its end.
 */
struct klane_sqlite_keep {
    uint32_t struct_size;
    int64_t age_ms; /**< The oldest of a partition go, up to one that is not older, by its
                           timestamp; -1: none do. */
    int64_t bytes;  /**< The oldest go while the partition has more, counting keys, values and
                           headers; -1: none do. */
    enum klane_sqlite_passed passed;
    bool compact; /**< A record goes when its key has a newer one. Those without a key stay. */
    int64_t tombstone_ms; /**< With compact: a tombstone that is older goes, too. 24 h. */
};

/** Fill with defaults, as far as keep_size, sizeof(*keep), reaches: everything is kept. */
KLANE_API void klane_sqlite_keep_init(struct klane_sqlite_keep *keep, size_t keep_size);

/**
 * Say what is kept of a topic, from now on and for every process. Where a process consumes, its
 * source lets go of the rest by and by, a few milliseconds at a time, and leaves the log alone for
 * four times as long; compaction begins when as many records have come as there are keys, 1,000 at
 * least. Readers find a hole; one that was to read a record that age or size have taken is told
 * by KLANE_EVENT_OUT_OF_RANGE, and its topic's out_of_range rule decides; where a parked key has
 * lost its first record, by KLANE_EVENT_HEAD_GONE. The file gives space back when an eighth of it
 * is free; a file of the program's without auto_vacuum only uses it again.
 * Blocks: on the disk. Errors: INVALID, NOT_FOUND, NOMEM, IO, FULL, READ_ONLY, BUSY, CORRUPT,
 * FORKED.
 */
KLANE_API klane_err_t klane_sqlite_keep(struct klane_sqlite *log, const char *topic,
                                        const struct klane_sqlite_keep *keep);

/**
 * Let go, at once, of everything that the rules of all topics let go, also where it is little, and
 * give the space back. By a connection of its own: not inside a transaction of the program's.
 * Blocks: until it is done, on the disk and on other processes.
 * Errors: BUSY (also: another process does it, or the rules have changed meanwhile), NOMEM, IO,
 * FULL, READ_ONLY, CORRUPT, VERSION, FORKED.
 */
KLANE_API klane_err_t klane_sqlite_clean(struct klane_sqlite *log);

/**
 * Forget a group and what it has committed. Blocks: on the disk, and up to a second to see whether
 * a process consumes for it. Errors: TAKEN, NOT_FOUND, INVALID (a name that cannot be, or a
 * transaction is open), and as klane_sqlite_keep().
 */
KLANE_API klane_err_t klane_sqlite_forget(struct klane_sqlite *log, const char *group);

/** The text of the last error on this connection, never NULL, valid until its next call. */
KLANE_API const char *klane_sqlite_errmsg(const struct klane_sqlite *log);

/**
 * The committed offset of a group in a partition, -1: none.
 * Blocks: on the disk. Errors: NOT_FOUND, INVALID, NOMEM, IO, BUSY, CORRUPT, FORKED.
 */
KLANE_API klane_err_t klane_sqlite_committed(struct klane_sqlite *log, const char *group,
                                             const char *topic, int32_t partition,
                                             int64_t *offset);

/**
 * The same with what was committed along: metadata (room for size bytes) receives a text that ends
 * with NUL, which klane_progress_read() reads, or an empty one. With a size of 65,537 every
 * progress map fits. Blocks: on the disk. Errors: as klane_sqlite_committed(), and TOO_LARGE.
 */
KLANE_API klane_err_t klane_sqlite_progress(struct klane_sqlite *log, const char *group,
                                            const char *topic, int32_t partition, int64_t *offset,
                                            char *metadata, size_t size);

/** What to do while another process, or another source of this one, consumes for the group. */
enum klane_sqlite_taken {
    KLANE_SQLITE_STANDBY = 0, /**< Wait, with an event, and take over when the other has gone. */
    KLANE_SQLITE_REFUSE = 1   /**< KLANE_ERR_TAKEN. */
};

/**
 * Make a source that reads, for a group, the topics for which the runtime has handlers. The file
 * is opened and checked here; it is made if it does not exist.
 *
 * For one group and log one process consumes, from klane_start() until its runtime has stopped;
 * groups are independent of each other. When it ends, in whatever way, another can begin at once.
 * When it is paused, or its control thread is not run for 0.7 s, one that waits takes over, and
 * the paused one's runtime stops as KLANE_ERR_FATAL, with KLANE_ERR_FENCED in the event, when it
 * goes on: it has committed nothing since, but handlers that ran may finish. With
 * KLANE_SQLITE_REFUSE a group that is taken is an error here, or a KLANE_EVENT_FATAL of it if the
 * group was taken between this call and klane_start().
 *
 * A topic that does not exist yet is waited for, with an event, and then read from its first
 * record. Records that this process appends are noticed at once, those of others within about
 * 15 ms. A group's name is subject to the rules of a topic's. KLANE_BEGIN_TIME looks at every
 * record up to the first that is late enough.
 * Thread: any. Blocks: on the disk and on other processes.
 * errstr (may be NULL) receives what is wrong with which file.
 * Errors: as klane_sqlite_open(), and TAKEN.
 */
KLANE_API klane_err_t klane_sqlite_create(const char *path, const char *group,
                                          enum klane_sqlite_taken when_taken,
                                          struct klane_source **source, char *errstr,
                                          size_t errstr_size);

#ifdef __cplusplus
}
#endif

#endif
