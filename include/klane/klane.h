/* SPDX-License-Identifier: Apache-2.0 */
/**
 * klane: keyed lanes. A runtime reads an append-only log and runs the handlers that a program
 * registered, in parallel, keeping the order of the records of one key. An offset is committed
 * only when everything below it is finished; no key waits for another.
 *
 * What may run beside what. "any" means any number of threads at once.
 *
 *   calls                                        thread          beside the others
 *   -------------------------------------------  --------------  --------------------------------
 *   klane_create                                 any             independent runtimes only
 *   klane_handle, klane_handle_batch,            one             before klane_start
 *     klane_route, klane_topic
 *   klane_start, klane_run                       one             once for a runtime
 *   klane_stop                                   any, signals    everything but klane_destroy
 *   klane_wait                                   any             everything but klane_destroy
 *   klane_destroy                                one             nothing else of this runtime
 *   klane_finish, klane_token_cancelled          any             everything but klane_destroy
 *   klane_take                                   any             everything but klane_destroy
 *   klane_stats_get, klane_partition_stats       any             everything but klane_destroy
 *   klane_blocker, klane_lane_find               any             everything but klane_destroy
 *   klane_hold, klane_release, klane_resolve,    any             everything but klane_destroy
 *     klane_commit
 *   klane_progress_read, _fingerprint            any             everything
 *   klane_retry, klane_skip, klane_dead_letter,  the handler's   one thread for one record
 *     klane_later, klane_letters_send,           own thread      or one batch
 *     klane_batch_set
 *   klane_header, klane_header_at,               any             while the record is unfinished
 *     klane_cancelled, klane_failure
 *
 *   callback                                     runs on
 *   -------------------------------------------  ------------------------------------------------
 *   handlers, worker_start, worker_stop          a worker
 *   state_free                                   a worker, or what calls klane_take(), or at last
 *                                                klane_destroy()
 *   key, weight, due and backoff functions, and  the control thread: short, never blocking
 *     the event callback
 *   log callback                                 any of klane's threads, and those that call
 *                                                klane: short, never blocking
 *
 * No callback may throw, longjmp or end its thread. In a child after fork() a runtime cannot be
 * used: calls that take one and return a klane_err_t return KLANE_ERR_FORKED, klane_stop() does
 * nothing, klane_token_cancelled() is true. Nor can the sources and records that it knew be used.
 *
 * While a callback keeps the control thread, nothing is committed and the group is not asked for.
 * klane's threads block all signals but those of faults, and so does a program that one of them
 * starts, unless its mask is reset: SIGTERM would not end it.
 */
#ifndef KLANE_KLANE_H
#define KLANE_KLANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KLANE_VERSION_MAJOR 0
#define KLANE_VERSION_MINOR 1
#define KLANE_VERSION_PATCH 0

#if defined(__GNUC__)
#define KLANE_API __attribute__((visibility("default")))
#else
#define KLANE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors ------------------------------------------------------------------------------ */

/** Every error with its text: one list, so that none is without a text. Values never change. */
#define KLANE_ERRORS(X)                                                                          \
    X(KLANE_OK, 0, "success")                                                                    \
    X(KLANE_ERR_INVALID, 1, "an argument or option is invalid")                                  \
    X(KLANE_ERR_STATE, 2, "the call does not fit the state of the runtime")                      \
    X(KLANE_ERR_NOMEM, 3, "memory is exhausted")                                                 \
    X(KLANE_ERR_SYSTEM, 4, "a system call failed")                                               \
    X(KLANE_ERR_TIMEOUT, 5, "the time given has passed")                                         \
    X(KLANE_ERR_BUSY, 6, "handlers or tokens are still out, or the log is locked")               \
    X(KLANE_ERR_FATAL, 7, "the runtime stopped on an error that it cannot repair")               \
    X(KLANE_ERR_STALE, 8, "the token's record was finished before")                              \
    X(KLANE_ERR_FENCED, 9, "the partition was given up; the outcome does not count")             \
    X(KLANE_ERR_STOPPED, 10, "the runtime is stopping or has stopped")                           \
    X(KLANE_ERR_NOT_FOUND, 11, "there is no such thing")                                         \
    X(KLANE_ERR_EXISTS, 12, "it exists already")                                                 \
    X(KLANE_ERR_FORKED, 13, "a child process after fork() cannot use this runtime")              \
    X(KLANE_ERR_IO, 14, "the log could not be read or written")                                  \
    X(KLANE_ERR_FULL, 15, "the disk is full")                                                    \
    X(KLANE_ERR_READ_ONLY, 16, "the log is read-only")                                           \
    X(KLANE_ERR_CORRUPT, 17, "the log is damaged or not a log of klane's")                       \
    X(KLANE_ERR_VERSION, 18, "the log or a library is of a version that does not fit")           \
    X(KLANE_ERR_UNREACHABLE, 19, "the log cannot be reached")                                    \
    X(KLANE_ERR_DENIED, 20, "access was refused")                                                \
    X(KLANE_ERR_OUT_OF_RANGE, 21, "the offset to begin at is unknown or not in the log")         \
    X(KLANE_ERR_TOO_LARGE, 22, "larger than the log takes")                                      \
    X(KLANE_ERR_TAKEN, 23, "another process consumes for the group")

typedef enum klane_err {
#define KLANE_ERROR_VALUE(name, value, text) name = (value),
    KLANE_ERRORS(KLANE_ERROR_VALUE)
#undef KLANE_ERROR_VALUE
} klane_err_t;

/** The library's version as "major.minor.patch". Any thread; static storage. */
KLANE_API const char *klane_version(void);

/** What an error means, never NULL. Any thread; static storage. */
KLANE_API const char *klane_strerror(klane_err_t err);

/* ---- records and outcomes ---------------------------------------------------------------- */

struct klane_runtime;
struct klane_source;
struct klane_slot;

/**
 * One record, read-only. The structure itself belongs to the caller of the handler and is gone
 * when the handler returns; what its pointers point to stays valid until the record is finished,
 * so a handler that answers later copies the structure; but see later_max_ms of struct
 * klane_route. Grows only at its end.
 */
struct klane_record {
    const char *topic;
    const void *key;      /**< NULL: no key (not the same as an empty one). */
    const void *value;    /**< NULL: a tombstone (not the same as an empty value). */
    size_t key_size;      /**< Bytes. */
    size_t value_size;    /**< Bytes. */
    int64_t offset;       /**< Rises within a partition, with holes. */
    int64_t timestamp_ms; /**< Milliseconds since 1970 as the log gives them; -1: none. */
    int32_t partition;
    uint32_t attempt;      /**< 1 for the first start; those before a restart count, as far as
                              they were committed. */
    uint32_t epoch;        /**< One stay of the partition here; never used again in a process. */
    uint32_t header_count; /**< Read them with klane_header_at(). */
    struct klane_slot *slot; /**< klane's own; leave it alone. */
    void **lane_state; /**< Where the program keeps what it likes for this lane, that is, for this
                            key in this partition, without a lock: see state_free of struct
                            klane_topic. Valid as long as the record. NULL: the topic has none, or
                            the record has no lane. */
    void *worker_local; /**< What worker_start put into *local for this worker; NULL on the
                             program's own threads. */
};

/** What a handler says of a record. Any other value counts as KLANE_RETRY and is logged. */
enum klane_outcome {
    KLANE_DONE = 0,  /**< Finished. */
    KLANE_RETRY = 1, /**< Run it again after the route's delay, or the one of klane_retry(). */
    KLANE_SKIP = 2,  /**< Finished without being handled; counted and reported. */
    KLANE_LATER = 3, /**< klane_finish() will say; only after klane_later(). */
    KLANE_DEAD_LETTER = 4 /**< It becomes a dead letter of its route; where that has none, this
                               counts as KLANE_RETRY and is logged. */
};

/**
 * A handler. Runs on a worker, at most once at a time for one lane, never for a record whose
 * predecessor in the lane is unfinished.
 */
typedef enum klane_outcome (*klane_handler_fn)(const struct klane_record *record, void *context);

struct klane_batch;

/**
 * A handler of several records at once. Runs on a worker; the records of one lane stand in their
 * order, and no other handler has that lane meanwhile. What it says of none of them is done.
 */
typedef void (*klane_batch_fn)(struct klane_batch *batch, void *context);

/** What a batch function is given; it and the records' structures are gone when that returns.
 *  Grows only at its end. */
struct klane_batch {
    const struct klane_record *records;
    size_t count;
    struct klane_runtime *runtime; /**< klane's own; leave it alone. */
};

/**
 * Say what becomes of record number index (from 0) of a batch: KLANE_DONE, KLANE_RETRY, KLANE_SKIP
 * or KLANE_DEAD_LETTER. What is said last counts; klane_retry(), klane_skip() and
 * klane_dead_letter() with &batch->records[index] say it by themselves, so that what they return
 * need not be used. Of each lane the first record that is not finished by that (a retry, or a dead
 * letter, which is still to be kept) ends the batch: whatever was said of the records of that
 * lane behind it, they count as not run, and run again after it, as the same attempt.
 * Thread: the function's. Blocks: never. Errors: INVALID (no such record).
 */
KLANE_API klane_err_t klane_batch_set(struct klane_batch *batch, size_t index,
                                      enum klane_outcome outcome);

/** Names an asynchronous record: index and generation, so an old one is known as stale. */
typedef uint64_t klane_token_t;

/**
 * Ask for the record to run again after delay_ms (negative: as the route says), unless its
 * attempts are over by then; its lane waits, other lanes do not. Thread: the handler's. Blocks:
 * never. Returns KLANE_RETRY, for the handler to return. reason: text for events, copied as far as
 * 255 bytes, may be NULL. Without memory, and after klane_later(), the route's delay counts and
 * the reason is lost.
 */
KLANE_API enum klane_outcome klane_retry(const struct klane_record *record, int64_t delay_ms,
                                         const char *reason);

/**
 * Finish the record without handling it. Thread: the handler's. Blocks: never.
 * Returns KLANE_SKIP. reason: text for events, copied as far as 255 bytes, may be NULL.
 */
KLANE_API enum klane_outcome klane_skip(const struct klane_record *record, const char *reason);

/**
 * Give the record up: it becomes a dead letter at once, see dead_letter of struct klane_route.
 * Thread: the handler's. Blocks: never. Returns KLANE_DEAD_LETTER. reason: text for the dead
 * letter, copied as far as 255 bytes, may be NULL.
 */
KLANE_API enum klane_outcome klane_dead_letter(const struct klane_record *record,
                                               const char *reason);

/**
 * Why a record is a dead letter: the reason that its handler gave at last, "" if it gave none;
 * NULL if it is none. attempts (may be NULL): how often its handler ran. Thread: any, during an
 * attempt. Blocks: never. The text lives as long.
 */
KLANE_API const char *klane_failure(const struct klane_record *record, uint32_t *attempts);

/**
 * Answer later, from any thread, by klane_finish(). The lane waits until then. klane_finish() may
 * come before the handler has returned: the record advances when both have happened. A handler
 * that then returns another outcome after all takes the token back, unless it was finished. From
 * this call on later_max_ms of the route counts.
 * Thread: the handler's, at most once for an attempt: again gives token 0. Blocks: never.
 * Returns KLANE_LATER; KLANE_RETRY where token is NULL, or no handler has the record. A record of
 * a batch cannot be answered later: it is to be retried then, and the token is 0.
 */
KLANE_API enum klane_outcome klane_later(const struct klane_record *record, klane_token_t *token);

/**
 * Whether work on this record is in vain: its partition was given up, the runtime is closing, or
 * the attempt has taken longer than its route allows and is to be given up for that.
 * Thread: any, while the record is unfinished, and of a batch while its function runs. After the
 * handler has returned, on a route with later_max_ms, only klane_token_cancelled() may be asked.
 * Blocks: never; a few loads.
 */
KLANE_API bool klane_cancelled(const struct klane_record *record);

/**
 * The last header of this name, as Kafka's own lookups have it. value may be set to NULL (a
 * header without a value). Thread: any, while the record is unfinished. Blocks: never.
 * Errors: KLANE_ERR_NOT_FOUND.
 */
KLANE_API klane_err_t klane_header(const struct klane_record *record, const char *name,
                                   const void **value, size_t *size);

/**
 * Header number index (from 0), in the log's order. Pointers live as long as the record.
 * Thread: any, while the record is unfinished. Blocks: never. Errors: KLANE_ERR_NOT_FOUND.
 */
KLANE_API klane_err_t klane_header_at(const struct klane_record *record, size_t index,
                                      const char **name, const void **value, size_t *size);

/** A header as a program gives it to an append. value NULL: a header without a value. */
struct klane_header_in {
    const char *name;
    const void *value;
    size_t size; /**< Bytes. */
};

/* ---- events ------------------------------------------------------------------------------ */

enum klane_event_type {
    KLANE_EVENT_ASSIGNED = 1,       /**< A partition came; offset: its base; value: where reading
                                        goes on. In between only what is unfinished runs. */
    KLANE_EVENT_REVOKED = 2,        /**< A partition was given up; offset: its base then. */
    KLANE_EVENT_LOST = 3,           /**< A partition was taken; nothing of it starts any more
                                        but what is about to, and nothing counts. offset: its
                                        base then. */
    KLANE_EVENT_COMMITTED = 4,      /**< offset: acknowledged as committed. */
    KLANE_EVENT_COMMIT_FAILED = 5,  /**< offset: what was to be committed; it is sent again. With
                                        err KLANE_ERR_TIMEOUT: no answer yet, for value ms; of no
                                        partition, offset -1. */
    KLANE_EVENT_HELD = 6,           /**< Nothing more is taken in from the partition for now.
                                        offset: all below was; value: of it in memory. */
    KLANE_EVENT_RELEASED = 7,       /**< The hold is over; the same. */
    KLANE_EVENT_SKIPPED = 8,        /**< A record was skipped; message: the reason; value: the
                                        attempt, 0: it was parked. */
    KLANE_EVENT_SLOW_HANDLER = 9,   /**< A handler runs longer than slow_ms; value: ms so far. */
    KLANE_EVENT_SPARE_STARTED = 10, /**< A spare worker was started; value: workers now. */
    KLANE_EVENT_CAUGHT_UP = 11,     /**< All of every partition is taken in and finished. */
    KLANE_EVENT_OUT_OF_RANGE = 12,  /**< offset, the next to read, is not in the log; value: where
                                        it goes on. Lower than offset: as a new assignment. */
    KLANE_EVENT_SOURCE_ERROR = 13,  /**< The source failed and tries again; message: why. */
    KLANE_EVENT_FATAL = 14,         /**< The runtime stops; message: why. */
    KLANE_EVENT_PROGRESS_REFUSED = 15, /**< What was committed with offset does not say what is
                                            finished above it: all of that runs again; message:
                                            why. */
    KLANE_EVENT_HEAD_GONE = 16, /**< The record at offset was unfinished and not in memory, and is
                                    not in the log any more; its key goes on with what is left.
                                    value: the key's fingerprint, see klane_progress_fingerprint(),
                                    or, without a lane, the offset. */
    KLANE_EVENT_OVER_BUDGET = 17, /**< The record at offset is larger than half of what the budget
                                       has for records, or parked lanes fill that and no record is
                                       in memory, or its weight is more than the budget has for
                                       weights; it runs all the same, that weight while no other
                                       does. value: bytes; message: which of the three. */
    KLANE_EVENT_CRASHED = 18, /**< The record at offset has ended the process, value times; what
                                  becomes of it now is as its topic says. After three stays of a
                                  partition in a row that ended with their process within a minute,
                                  records run in small batches, each committed before it starts;
                                  what was running when the process ended runs alone the next
                                  time. So a process has to end some six times before this is
                                  said, and other keys go on meanwhile. Needs progress maps. */
    KLANE_EVENT_DEAD_LETTER = 19, /**< The record at offset is finished as a dead letter; value:
                                      how often its handler ran; message: the reason. */
    KLANE_EVENT_OVERRUN = 20 /**< A handler runs longer than handler_max_ms, or a record was not
                                  finished within later_max_ms; value: ms so far; message: which of
                                  the two. Once for each call and each token. */
};

/** One event, read-only; its pointers live as long as the callback. Grows only at its end. */
struct klane_event {
    enum klane_event_type type;
    klane_err_t err;
    const char *topic; /**< NULL where the event concerns no partition. */
    int32_t partition; /**< -1 where the event concerns no partition. */
    uint32_t epoch;
    int64_t offset; /**< -1 where it does not apply. */
    int64_t value;
    uint64_t suppressed; /**< Events of this type left out before this one by the rate limit. */
    const char *message; /**< NULL or a text. */
};

typedef void (*klane_event_fn)(const struct klane_event *event, void *context);

enum klane_log_level { KLANE_LOG_ERROR = 3, KLANE_LOG_WARNING = 4, KLANE_LOG_INFO = 6 };

/** A line for the program's log, without a line end. Keys and values never appear in it. Thread:
 *  any of klane's, or one that calls klane; several at once. */
typedef void (*klane_log_fn)(enum klane_log_level level, const char *line, void *context);

/* ---- options ----------------------------------------------------------------------------- */

/** Fill it with klane_options_init() first. Grows only at its end. */
struct klane_options {
    uint32_t struct_size;
    uint32_t workers;     /**< Threads that run handlers, 0 to 1,000; 0: only klane_take().
                               Default: the processors that the process may run on; how much time a
                               container may have of them is not looked at. */
    uint32_t workers_max; /**< With spare workers beside slow handlers, workers to 1,000.
                               Default: 0, twice the workers and 16 more. */
    uint32_t records_max; /**< Records in memory at once, 16 to 16,777,216. Default 16,384. */
    uint32_t lane_records_max;   /**< Quota: of them in one lane, 2 or more; beyond it the lane is
                                    parked, so that only its place in the log is kept, or, where
                                    the log cannot be read again, holds its partition.
                                    Default: 0, records_max / 4. */
    uint32_t commit_interval_ms; /**< 1 to 3,600,000. Default 1,000. */
    uint32_t commit_records;     /**< Commit at the latest after so many finished records, 1 or
                                      more. Default 100,000. */
    uint32_t drain_ms; /**< How long a partition that is taken away waits for its handlers, 0 to
                            3,600,000. Its last commit may take three times as long. Default
                            2,000. */
    uint32_t stop_ms;  /**< How long a stop may take from klane_stop() on, 1 to 3,600,000; three
                            quarters of it are for handlers, the rest for the last commits.
                            Default 10,000. */
    uint32_t stack_bytes;     /**< Of a worker, 65,536 or more. Default: 0, the system's. */
    bool stop_when_caught_up; /**< Stop when all that this process was given is read and finished,
                                   each topic has come or was reported missing, and there was
                                   a partition. Default false. */
    const char *name; /**< Of the runtime: in thread names and log lines. Copied, 15 bytes of it.
                           Default "klane". */
    /** Runs first and last on each worker, e.g. for a database connection; *local is handed to
     *  worker_stop, and is worker_local of each record that the worker runs. Spare workers, which
     *  come and go, run it as well: there are up to workers_max at once. A worker_start that
     *  returns false stops the runtime as fatal, and has no worker_stop. */
    bool (*worker_start)(void *context, void **local);
    void (*worker_stop)(void *context, void *local);
    void *worker_context;
    klane_event_fn event; /**< Up to 1,000 of a type a second. Which records were
                               skipped, became dead letters or ran too long, and which partitions
                               were lost, is told nowhere else. Default NULL. */
    void *event_context;
    klane_log_fn log; /**< Up to 50 lines a second. Default NULL: warnings and errors go to the
                           standard error. */
    void *log_context;
    uint32_t map_size; /**< Characters of a progress map, which is committed with each offset and
                            says what is finished above it: 64 to 65,536, or 0 for none. The log
                            may take less: then it is halved. Default 4,096, about 300 lanes that
                            are blocked in a partition; Kafka's offset.metadata.max.bytes has the
                            same default. */
    uint32_t beyond_max; /**< Hold a partition while its progress map says nothing of so many
                              offsets that were taken in: they would run again after a crash.
                              Looked at with each commit; what comes until the next one is on
                              top. Default: 0, any number. */
    /** Bytes, up to 2 to the power of 50, that records, what is kept about them, what the source
     *  reads ahead, and the weights of handlers may take together. The stacks of threads, and what
     *  the log itself keeps in memory, come on top. What is too small is refused with what is
     *  needed: by klane_create(), and by klane_start() where a topic has weights. A record larger
     *  than about half of what is left for records is taken when half of that is free, beyond the
     *  budget if need be, with an event. On Kafka room for one record of message.max.bytes is set
     *  aside: one of that size waits only while there is no room at all. Default 256 MiB. */
    uint64_t budget_bytes;
};

/** Set every default. options_size: sizeof(struct klane_options) as the caller knows it. */
KLANE_API void klane_options_init(struct klane_options *options, size_t options_size);

/* ---- life -------------------------------------------------------------------------------- */

/**
 * Make a runtime that will read from source. On success the runtime owns the source; on an error
 * the caller still does. options NULL: the defaults. Thread: any. Blocks: never.
 * errstr (may be NULL) says on an error which option is wrong and why.
 * Errors: INVALID, NOMEM, SYSTEM.
 */
KLANE_API klane_err_t klane_create(const struct klane_options *options,
                                   struct klane_source *source, struct klane_runtime **runtime,
                                   char *errstr, size_t errstr_size);

/**
 * Start the threads and return. Blocks: never, but on an error on the ends of the threads that
 * were made. The reason of an error goes to the log. Errors: STATE (started before, or no
 * handler), INVALID (a topic without a handler for all other keys, or too small a budget for
 * weights), NOMEM, SYSTEM, FORKED, and
 * whatever the source reports.
 */
KLANE_API klane_err_t klane_start(struct klane_runtime *runtime);

/**
 * klane_start() and wait until the runtime has stopped. Blocks. Returns as klane_start() does if
 * that fails, else as klane_wait().
 */
KLANE_API klane_err_t klane_run(struct klane_runtime *runtime);

/**
 * Wait until the runtime has stopped. timeout_ms -1: without limit; 0: only look.
 * Thread: any but klane's own. Returns KLANE_OK: stopped, everything that could be was committed.
 * Errors: TIMEOUT, BUSY (stopped; handlers, tokens or a state_free are still out), FATAL (they may
 * be out, too: only klane_destroy() says so), STATE (not started, or called by a handler),
 * INVALID, FORKED.
 */
KLANE_API klane_err_t klane_wait(struct klane_runtime *runtime, int64_t timeout_ms);

/**
 * Begin to stop: nothing new starts, running handlers may end, what is finished is committed.
 * Idempotent; NULL is allowed; before klane_start() that stops at once. Thread: any, also a signal
 * handler: one atomic store and one write(2), errno kept.
 */
KLANE_API void klane_stop(struct klane_runtime *runtime);

/**
 * Free a runtime that has stopped or was never started, with its source. NULL is allowed.
 * Thread: one, not klane's own. Blocks: on the end of threads that have nothing more to do, and on
 * the closing of the log, with Kafka up to ten seconds if the cluster is away, and as long again
 * if the log was read again. What is left of lanes' states it frees first. It does not wait for
 * who may still call klane_finish() for a record that is finished otherwise: that has to end
 * before. Errors: BUSY while handlers, tokens or a state_free are out (nothing is freed then: what
 * they use has to stay), STATE (still running, or called by a handler), FORKED.
 */
KLANE_API klane_err_t klane_destroy(struct klane_runtime *runtime);

/**
 * Free a source that was never given to a runtime; as long as one has it, nothing happens. NULL is
 * allowed. Blocks: as it closes.
 */
KLANE_API void klane_source_destroy(struct klane_source *source);

/* ---- topics and routes, before klane_start() --------------------------------------------- */

enum klane_order {
    KLANE_ORDER_KEY = 0,       /**< A lane for each key of a partition. */
    KLANE_ORDER_PARTITION = 1, /**< One lane for a partition. */
    KLANE_ORDER_NONE = 2       /**< A lane for each record. */
};

enum klane_null_keys {
    KLANE_NULL_KEYS_UNORDERED = 0, /**< A record without a key has a lane of its own. */
    KLANE_NULL_KEYS_ORDERED = 1    /**< Those of a partition share one lane. */
};

enum klane_begin {
    KLANE_BEGIN_EARLIEST = 0,
    KLANE_BEGIN_LATEST = 1,
    KLANE_BEGIN_TIME = 2, /**< The first record whose timestamp is begin_time_ms or later. */
    KLANE_BEGIN_ERROR = 3 /**< Nowhere: the runtime stops as fatal. */
};

/** What becomes of a record whose handler has ended the process three times: see
 *  KLANE_EVENT_CRASHED. */
enum klane_crashed {
    KLANE_CRASHED_RETRY = 0, /**< It runs again. */
    KLANE_CRASHED_BLOCK = 1, /**< It does not run in this process, and its key waits behind it;
                                  other keys go on. */
    KLANE_CRASHED_SKIP = 2,  /**< It is skipped. */
    KLANE_CRASHED_STOP = 3   /**< The runtime stops as fatal. */
};

/**
 * Names the lane of a record: set *key and *key_size to bytes of the record, or to bytes that
 * stay as they are until the next call. Returns false for a record without a key, and a key_size
 * of 4 GiB or more says the same. Must be pure:
 * the same record has the same key in every process. Headers cannot be read here. Runs on the
 * control thread.
 */
typedef bool (*klane_key_fn)(const struct klane_record *record, void *context, const void **key,
                             size_t *key_size);

/**
 * Says how many bytes the handling of a record takes beside the record, such as the size of the
 * file that it names; 0: none to speak of. What runs at once takes no more than the budget has for
 * weights: what is left of it for records, less the greatest of an eighth of that, some 20 MiB,
 * and twice the largest record. What does not fit waits its turn, without holding up records that
 * have no weight. May be asked more than once for a record. Headers cannot
 * be read here. Runs on the control thread.
 */
typedef uint64_t (*klane_weight_fn)(const struct klane_record *record, void *context);

/**
 * Says when a record may run: milliseconds since 1970; 0 or less, or in the past: at once. Until
 * then its lane waits and holds no thread; other lanes do not wait. Where memory is short a lane
 * that waits for a second or more is parked. May be asked more than once for a record, and the
 * last answer counts. Headers cannot be read here. Runs on the control thread.
 */
typedef int64_t (*klane_due_fn)(const struct klane_record *record, void *context);

/**
 * Free the state of a lane, which is not NULL: whatever a handler left in *record->lane_state.
 * Once for each, when no handler of the lane runs and before a later record of it starts that
 * finds NULL again. Runs on a worker, on a thread that is in klane_take(), or, for what is left
 * then, in klane_destroy(); for several lanes at once.
 */
typedef void (*klane_state_free_fn)(void *state, void *context);

/** Fill it with klane_topic_init() first. Grows only at its end. */
struct klane_topic {
    uint32_t struct_size;
    const char *name;
    enum klane_order order;
    enum klane_null_keys null_keys;
    klane_key_fn key; /**< Default: NULL, the record's own key. */
    void *key_context;
    enum klane_begin begin; /**< Where a group begins that has committed nothing. Default: the
                                 earliest record. */
    int64_t begin_time_ms;
    enum klane_begin out_of_range; /**< Where it goes on when the next offset is not in the log:
                                        retention passed it, or the log was cut or made anew.
                                        Default: the earliest record, so that nothing that the log
                                        holds is left out. Where retention has taken what was to be
                                        read again for a parked lane, that goes on with what is
                                        left, but for KLANE_BEGIN_ERROR. */
    bool without_headers; /**< The handlers want no headers: records come without. Saves time with
                               Kafka, where only looking for them costs an allocation for each
                               record. Default false. */
    uint32_t key_version; /**< Of the key function. A progress map holds only where records have
                               the keys that they had when it was written: whoever changes the key
                               function changes this number, and what was finished above the
                               committed offset runs again, once. Up to 4,294,967,294.
                               Default 0. */
    klane_weight_fn weight; /**< Default: NULL, records have none. */
    void *weight_context;
    enum klane_crashed crashed; /**< Default: KLANE_CRASHED_RETRY. */
    klane_due_fn due;           /**< Default: NULL, records run as soon as they can. */
    void *due_context;
    const char *due_header; /**< Instead of due: the header that says it, in decimal digits. A
                                 record without it runs at once, as does one in which it is not
                                 that, with a line in the log. Copied. Default: NULL. */
    /** With it each lane has a pointer of the program's, at first NULL: record->lane_state. Who
     *  has a record of the lane may read and set it, until the record is finished or its attempt
     *  has taken longer than its route lets it; it stays between attempts and from record to
     *  record, whatever their routes. It is a cache: klane may free it whenever the lane has no
     *  record in memory (nor has one that waits long for its next attempt where memory is short),
     *  when more are idle than is told below, or when memory is short; and does so before the
     *  partition is given up, as far as drain_ms lets it. So handlers must be able to make it
     *  again from nothing. What it points to does not count against budget_bytes. Default: NULL,
     *  lanes have none. */
    klane_state_free_fn state_free;
    void *state_context;
    uint32_t states_idle_max; /**< Lanes without a record in memory whose state is kept, of the
                                   whole topic, or of all that its pattern brings; of more, those
                                   that are idle the longest are freed. Up to 16,777,216.
                                   Default 10,000. */
};

KLANE_API void klane_topic_init(struct klane_topic *topic, size_t topic_size);

/** State how a topic is to be read. Copied. The log says what is wrong with what is refused.
 *  Errors: INVALID (also key without order by key, key_version without key, due_header beside due
 *  or without_headers, state_free without lanes), EXISTS, STATE, NOMEM, FORKED. */
KLANE_API klane_err_t klane_topic(struct klane_runtime *runtime, const struct klane_topic *topic);

enum klane_match {
    KLANE_MATCH_ALL = 0,   /**< Every key of the topic that no other route takes. */
    KLANE_MATCH_KEY = 1,   /**< Exactly this key. */
    KLANE_MATCH_PREFIX = 2 /**< Keys that begin so; the longest match wins, an exact key first. */
};

/**
 * How long a record waits after an attempt that failed and named no delay, in milliseconds;
 * negative: it is given up. record->attempt: how many there were. Headers cannot be read here.
 * Runs on the control thread.
 */
typedef int64_t (*klane_backoff_fn)(const struct klane_record *record, void *context);

/** What becomes of a record whose attempts are over. */
enum klane_exhausted {
    KLANE_EXHAUSTED_STOP = 0,       /**< The runtime stops as fatal, and names it. */
    KLANE_EXHAUSTED_SKIP = 1,       /**< It is skipped, with an event. */
    KLANE_EXHAUSTED_DEAD_LETTER = 2 /**< It becomes a dead letter. */
};

/** What becomes of a handler that runs for longer than handler_max_ms. */
enum klane_overrun {
    KLANE_OVERRUN_TELL = 0,   /**< Nothing but the event. */
    KLANE_OVERRUN_CANCEL = 1, /**< klane_cancelled() of its record is true until the attempt is
                                   over, so that it can give up; nothing is done to it by force.
                                   klane_token_cancelled() does not say so. */
    KLANE_OVERRUN_STOP = 2    /**< The runtime stops as fatal, and names the record. */
};

/** What may be in one batch. All its keys wait until its function returns: one that is slow in it
 *  delays the others of its batch, though no more; one that fails delays none. */
enum klane_batch_keys {
    KLANE_BATCH_ONE_KEY = 0,  /**< Records of one lane that follow each other in it. */
    KLANE_BATCH_MANY_KEYS = 1 /**< Such runs of several lanes of the route, of any partition. */
};

/** Fill it with klane_route_init() first. Grows only at its end. */
struct klane_route {
    uint32_t struct_size;
    const char *topic;
    enum klane_match match; /**< On the record's own key, whatever names its lane. */
    const void *key;
    size_t key_size;          /**< Bytes. */
    klane_handler_fn handler; /**< NULL where batch is set. */
    void *context;            /**< Of either. */
    int64_t retry_delay_ms;   /**< For a bare KLANE_RETRY. Default 1,000. */
    uint32_t slow_ms;         /**< A worker whose handler runs longer no longer counts. Seen half
                                   of that late at most, or 10 ms. Default 500. */
    uint32_t attempts_max; /**< A record that has failed so often is given up. They are kept with
                                 what is committed, where that has progress maps, and so count on
                                 in another process as of then. Default 0: any number. */
    int64_t retry_delay_max_ms; /**< Not 0: each wait is twice the one before, from retry_delay_ms
                                     on and up to this, less up to half of it by chance. Default
                                     0: all are retry_delay_ms. */
    int64_t age_max_ms;         /**< A record that fails is given up when its timestamp is so long
                                     ago. Default 0: any age. */
    klane_backoff_fn backoff;   /**< Says it instead of the delays above. Default NULL. */
    void *backoff_context;
    enum klane_exhausted exhausted; /**< Default KLANE_EXHAUSTED_STOP. */
    /** Called instead of the handler with a record that is given up, to keep it somewhere else, by
     *  the same rules: its lane and its offset wait until this has returned KLANE_DONE or
     *  KLANE_SKIP, or the record was finished so, and while it fails it is called again, without
     *  end, after retry_delay_ms and retry_delay_max_ms. klane_failure() says why. After a crash
     *  in between the handler runs once more. With klane_take() it is the program's to call.
     *  Default NULL. */
    klane_handler_fn dead_letter;
    void *dead_letter_context;
    uint32_t handler_max_ms; /**< How long a call of the handler, or of dead_letter, may run. Seen
                                  half of that late at most, or 10 ms. Default 0: any time. */
    enum klane_overrun handler_overrun; /**< Default KLANE_OVERRUN_TELL. */
    int64_t later_max_ms; /**< How long a record may stay unfinished after klane_later() or
                               klane_take(). Then later_overrun is done with it, and its token is
                               stale: klane_finish() gets KLANE_ERR_STALE. What was begun for it
                               may still go on, beside the next attempt or the key's next record;
                               from then on it must neither read what the record's pointers point
                               to, so it copies what it needs, nor count on klane_destroy() to
                               wait for it. Seen an eighth of that late at most. Dead letters have
                               no limit. Default 0: any time. */
    enum klane_outcome later_overrun; /**< KLANE_RETRY: after the delays above, with the limits of
                                           its attempts; KLANE_SKIP; KLANE_DEAD_LETTER. Default
                                           KLANE_RETRY. */
    klane_batch_fn
        batch;          /**< Instead of handler: it gets up to batch_max records at once. A record
                               with a weight, and one on trial (see KLANE_EVENT_CRASHED), comes
                               alone; a run ends before a record of another route or stay, and
                               before a scheduled one. Beside the budget each worker keeps some 130
                               bytes for each record of the largest batch that it had. Default
                               NULL. */
    uint32_t batch_max; /**< 1 to 4,096. Default 100. */
    uint32_t batch_min; /**< A batch waits for so many records, 1 to batch_max, but no longer
                                   than batch_wait_ms, from when the first of them could have run;
                                   not while memory is full; and not when a key of it has its
                                   quota, lane_records_max, or gets no more until it is further
                                   below that. What comes behind a dead letter, or a record of
                                   another route, waits as any other. Default 1: it takes what
                                   there is. */
    uint32_t batch_wait_ms; /**< Set together with batch_min. Up to 3,600,000. Default 0. */
    enum klane_batch_keys batch_keys; /**< Default KLANE_BATCH_ONE_KEY. */
};

KLANE_API void klane_route_init(struct klane_route *route, size_t route_size);

/**
 * A place for dead letters, in a log: klane_kafka_letters(), klane_sqlite_letters() and
 * klane_memory_letters() make one. With klane_letters_send as a route's dead_letter and letters as
 * its context, a record that is given up is appended there with its key, value and headers (those
 * that the topic's rules leave it), and with these: __connect.errors.topic, .partition, .offset
 * and .exception.message (the reason), as Kafka Connect has them, and klane's own .attempts and
 * .timestamp (the record's). Headers of the record's own with that prefix are left out. The dead
 * letter's timestamp is the time of the append. One place may serve any number of routes of one
 * runtime.
 */
struct klane_letters;

/**
 * For dead_letter of struct klane_route, or within it, as its last call: what it returns is to be
 * returned. Thread: the handler's; not with klane_take(), nor after klane_later().
 */
KLANE_API enum klane_outcome klane_letters_send(const struct klane_record *record, void *letters);

/**
 * Give up what is still on its way, which then counts as not kept, and take nothing more: so that
 * klane_destroy() need not wait for a log that is away. After klane_wait(). NULL is allowed.
 * Thread: any. Blocks: a second at most.
 */
KLANE_API void klane_letters_stop(struct klane_letters *letters);

/** Free it, after its runtime was destroyed. NULL is allowed. Blocks: as its log closes. */
KLANE_API void klane_letters_destroy(struct klane_letters *letters);

/** Register a handler. Copied. The log says what is wrong with one that is refused. Errors:
 *  INVALID, EXISTS, STATE, NOMEM, FORKED. */
KLANE_API klane_err_t klane_route(struct klane_runtime *runtime, const struct klane_route *route);

/** Register a handler for all keys of a topic with the defaults. Errors: as klane_route(). */
KLANE_API klane_err_t klane_handle(struct klane_runtime *runtime, const char *topic,
                                   klane_handler_fn handler, void *context);

/** The same with a batch function for up to batch_max records of one key. Errors: as
 *  klane_route(). */
KLANE_API klane_err_t klane_handle_batch(struct klane_runtime *runtime, const char *topic,
                                         klane_batch_fn batch, void *context, uint32_t batch_max);

/* ---- asynchronous records and own threads ------------------------------------------------ */

/**
 * Say what became of a record: KLANE_DONE, KLANE_RETRY (after delay_ms; negative: the route's
 * delay), KLANE_SKIP or KLANE_DEAD_LETTER. The first call for a token counts. Thread: any. Blocks:
 * never. reason: copied as far as 255 bytes. KLANE_OK says that it was handed on; a partition that
 * is given up at this moment may still turn it down.
 * Errors: STALE (finished before, or too late for later_max_ms of its route), FENCED (its
 * partition was given up: the record counts as unfinished), INVALID, FORKED.
 */
KLANE_API klane_err_t klane_finish(struct klane_runtime *runtime, klane_token_t token,
                                   enum klane_outcome outcome, int64_t delay_ms,
                                   const char *reason);

/** Whether work on the token's record is in vain: it is stale, its partition was given up, or the
 *  runtime is closing. Thread: any. Blocks: never. */
KLANE_API bool klane_token_cancelled(struct klane_runtime *runtime, klane_token_t token);

/**
 * Take the next record whose turn it is onto the calling thread, instead of or beside klane's
 * workers; klane_finish() ends it, within later_max_ms of its route. record_size: sizeof(*record).
 * timeout_ms -1: without limit; 0: only look. The record's handler is not called, and those of a
 * batch come one by one. Beside workers that are idle, which are woken first, a call may wait
 * long. Thread: any but the control thread, which callbacks for events and keys run on. Errors:
 * INVALID, TIMEOUT, STOPPED, STATE, FORKED.
 */
KLANE_API klane_err_t klane_take(struct klane_runtime *runtime, struct klane_record *record,
                                 size_t record_size, klane_token_t *token, int64_t timeout_ms);

/* ---- statistics -------------------------------------------------------------------------- */

/** Counts since klane_start() and, named so, gauges of now. Grows only at its end. */
struct klane_stats {
    uint64_t records; /**< Taken in from the source. */
    uint64_t started; /**< Handler starts, retries included; of a batch each record, also those
                           that count as not run. */
    uint64_t done;    /**< Finished as done. */
    uint64_t skipped; /**< Finished as skipped. */
    uint64_t retried; /**< Attempts that ended in a retry. */
    uint64_t fenced;  /**< Came back after their partition was given up. */
    uint64_t commits; /**< Acknowledged. */
    uint64_t commits_failed;
    uint64_t holds;          /**< Times a partition was held. */
    uint64_t spares_started; /**< Spare workers started. */
    uint64_t in_memory;      /**< Gauge: records in memory. */
    uint64_t lanes;          /**< Gauge: lanes with unfinished records. */
    uint64_t partitions;     /**< Gauge: assigned partitions. */
    uint64_t workers;        /**< Gauge: worker threads. */
    uint64_t workers_slow;   /**< Gauge: of them in a handler over its slow_ms. */
    uint64_t slab_bytes;     /**< Gauge: memory for records, lanes and bookkeeping. */
    uint64_t control_loops;  /**< Rounds of the control thread. */
    uint64_t control_sleeps; /**< Times it slept. */
    uint64_t parked;         /**< Gauge: lanes of which only their place in the log is kept. */
    uint64_t heads_gone;     /**< Parked lanes whose head was not in the log any more. */
    uint64_t budget_used;    /**< Gauge: bytes of records and of what is kept about them, out of
                                budget_records; one record may pass that. */
    uint64_t budget_records; /**< Gauge: bytes that the budget has for them. */
    uint64_t weight_used;    /**< Gauge: weights of what runs, out of budget_weights. */
    uint64_t budget_weights; /**< Gauge: bytes that the budget has for weights; 0: no topic has
                                  any. */
    uint64_t weight_waits;   /**< Gauge: records that wait for their weight. */
    uint64_t passes;         /**< Times a range of a partition was read again for parked lanes. */
    uint64_t swept_records;  /**< Records so read, of whatever lane. */
    uint64_t swept_bytes;    /**< Their keys, values and headers. */
    uint64_t dead_letters;   /**< Finished as dead letters. */
    uint64_t lane_states; /**< Gauge: lanes with a place for a state: those in memory, idle ones
                                that have one, and those whose state is about to be freed. */
};

/**
 * Fill stats (stats_size: its size as the caller knows it), as last published: before each sleep
 * of the control thread, and every few of its rounds. Thread: any. Blocks: never.
 * Errors: INVALID, FORKED.
 */
KLANE_API klane_err_t klane_stats_get(struct klane_runtime *runtime, struct klane_stats *stats,
                                      size_t stats_size);

/** Grows only at its end. */
struct klane_partition_stats {
    uint32_t epoch;
    int64_t base;        /**< First unfinished offset: what gets committed. */
    int64_t frontier;    /**< Everything below was taken in, or is a hole in the log. */
    int64_t committed;   /**< Acknowledged; -1: nothing yet in this assignment. */
    int64_t end;         /**< One past the log's last offset as last heard; -1: not known. */
    uint64_t unfinished; /**< Records in memory that are not finished. */
    bool held;
    int64_t
        ceiling; /**< A restart would run nothing again below it but what is unfinished, as far
                          as that is acknowledged as committed. */
    uint64_t parked; /**< Lanes of which only their place in the log is kept. */
};

/**
 * Ask the control thread about one partition. Thread: any but the control thread. Blocks: until it
 * answers. Errors: INVALID, NOT_FOUND (not assigned), STATE (not running, or asked on the control
 * thread), SYSTEM, FORKED.
 */
KLANE_API klane_err_t klane_partition_stats(struct klane_runtime *runtime, const char *topic,
                                            int32_t partition,
                                            struct klane_partition_stats *stats,
                                            size_t stats_size);

/** What a partition's first unfinished record waits for. */
enum klane_blocker_state {
    KLANE_BLOCKER_READY = 0,   /**< A worker. */
    KLANE_BLOCKER_RUNNING = 1, /**< Its handler, which runs. */
    KLANE_BLOCKER_LATER = 2,   /**< klane_finish(), as far as can be seen: no handler runs it. */
    KLANE_BLOCKER_RETRY = 3,   /**< The time of its next attempt. */
    KLANE_BLOCKER_WEIGHT = 4,  /**< Room for its weight, or the log to know that it runs. */
    KLANE_BLOCKER_PARKED = 5,  /**< The log to be read again: only its place there is kept. */
    KLANE_BLOCKER_CRASHED = 6, /**< Nothing: it has killed the process too often. */
    KLANE_BLOCKER_SCHEDULED = 7, /**< Its own time: see due of struct klane_topic. */
    KLANE_BLOCKER_HELD = 8,      /**< klane_release(). */
    KLANE_BLOCKER_BATCH = 9      /**< More records for its batch. */
};

/** What keeps a partition's base, or a lane, where it is. Grows only at its end. */
struct klane_blocker {
    int64_t offset; /**< The base: nothing from here on is committed. Or the lane's head. */
    enum klane_blocker_state state;
    uint32_t attempts; /**< So far, with the one that runs. */
    int64_t due_ms; /**< RETRY, SCHEDULED, and PARKED until then: milliseconds from now until it
                            may run. Else 0. */
    int64_t age_ms; /**< Since its timestamp; -1: none, or not known. */
    int32_t worker; /**< RUNNING: which, from 0. Else -1. */
    bool is_dead_letter;   /**< Its attempts are over, and its place has not taken it yet. */
    uint64_t fingerprint;  /**< Of its lane, as progress maps know it; 0: it has none. */
    int64_t key_size;      /**< Bytes of the key of its lane; -1: it has none, or it is parked. */
    unsigned char key[64]; /**< The first of them. */
    int32_t partition;
};

/**
 * Ask the control thread for the record that keeps a partition's base where it is. Thread: any but
 * the control thread. Blocks: until it answers. Errors: INVALID, NOT_FOUND (not assigned, or all
 * of it that was taken in is finished), STATE (not running, or asked on the control thread),
 * SYSTEM, FORKED.
 */
KLANE_API klane_err_t klane_blocker(struct klane_runtime *runtime, const char *topic,
                                    int32_t partition, struct klane_blocker *blocker,
                                    size_t blocker_size);

/**
 * The same of the first unfinished record of one lane, by the key that names it. partition -1:
 * whichever of the topic has it. Thread: any but the control thread. Blocks: until it answers.
 * Errors: INVALID, NOT_FOUND (all of it that was taken in is finished, or it is not here), STATE,
 * SYSTEM, FORKED.
 */
KLANE_API klane_err_t klane_lane_find(struct klane_runtime *runtime, const char *topic,
                                      int32_t partition, const void *key, size_t key_size,
                                      struct klane_blocker *lane, size_t lane_size);

/* ---- by hand ----------------------------------------------------------------------------- */

/**
 * Hold a key of a topic, a topic (key NULL) or everything (topic NULL): what runs of it, or is
 * just about to, ends, and nothing else of it starts until klane_release() is called with the
 * same. The records of a held key wait in their lane, or are parked, and hold nothing up but their
 * partition's base; a held topic takes nothing in, but what is being read for parked lanes. key:
 * as it names the lane. A topic is held by its own name also where a pattern brought it, and
 * whenever its partitions come; nothing of it is kept beyond the runtime. Holding twice is holding
 * once. Thread: any but the control thread. Blocks: until that answers. Errors: INVALID, NOMEM,
 * STATE (not running, or on the control thread), SYSTEM, FORKED.
 */
KLANE_API klane_err_t klane_hold(struct klane_runtime *runtime, const char *topic,
                                 const void *key, size_t key_size);

/** Let go of what klane_hold() with the same arguments has held; what is held by another call
 *  besides stays held. Errors: as klane_hold(), and NOT_FOUND (it is not held). */
KLANE_API klane_err_t klane_release(struct klane_runtime *runtime, const char *topic,
                                    const void *key, size_t key_size);

/**
 * Decide about a record that waits: KLANE_DONE and KLANE_SKIP end it, KLANE_DEAD_LETTER makes it
 * a dead letter of its route, KLANE_RETRY ends its waiting: for its next attempt, for its own
 * time, or for ever, as what has ended the process. Of one that klane_finish() is to finish it is
 * that: its token is stale then. offset: as klane_blocker() and klane_lane_find() have it. reason:
 * for events and the dead letter; may be NULL. Thread: any but the control thread. Blocks: until
 * that answers. Errors: INVALID, NOT_FOUND (finished, or neither in memory nor the head of a
 * parked lane), BUSY (it runs, is about to, waits behind another, or is a dead letter on its way),
 * STATE (not running; given up; KLANE_RETRY while it is held; KLANE_DEAD_LETTER while it is
 * parked, or on a route that has none), SYSTEM, FORKED.
 */
KLANE_API klane_err_t klane_resolve(struct klane_runtime *runtime, const char *topic,
                                    int32_t partition, int64_t offset, enum klane_outcome outcome,
                                    const char *reason);

/**
 * Commit now, and wait until that is acknowledged: bases and progress maps as they are after all
 * that was finished before the call. timeout_ms -1: without limit. Thread: any but the control
 * thread. Blocks: until then. Errors: INVALID, TIMEOUT (it is tried on), FENCED (a partition was
 * given up meanwhile, and not all of it was committed), STOPPED, STATE, SYSTEM, FORKED.
 */
KLANE_API klane_err_t klane_commit(struct klane_runtime *runtime, int64_t timeout_ms);

/* ---- what is committed ------------------------------------------------------------------- */

/** A lane, or a record without one, that a progress map lists as unfinished. Never grows. */
struct klane_progress_lane {
    uint64_t fingerprint; /**< Of the lane's key; 0 for a record without a lane. */
    int64_t head;         /**< Its first unfinished offset. */
    int64_t due_ms;    /**< Before which its head does not run again, since 1970; 0: at once. */
    uint32_t attempts; /**< Of the head so far. */
    bool is_record;    /**< A record without a lane: head names it. */
    uint32_t crashes;  /**< Of the attempts those that ended with the process. */
};

/** A progress map: all below ceiling is finished but what it lists. Grows only at its end. */
struct klane_progress {
    int64_t ceiling;
    uint64_t seed; /**< Of the fingerprints. */
    enum klane_order order;
    enum klane_null_keys null_keys;
    uint32_t key_version; /**< The key function's version plus 1; 0: there is none. */
    uint32_t lane_count;
    uint32_t starts; /**< Stays in a row that ended soon after they began, with their
                               process; 0: the last one ended in order. */
};

/**
 * Read a progress map as it was committed with an offset: the metadata of a consumer group's
 * offset in Kafka, or what klane_sqlite_progress() returns. size: bytes. The first lanes_max lanes
 * go to lanes, which may be NULL. Thread: any. Blocks: never.
 * Errors: INVALID, NOT_FOUND (no map: nothing, or somebody else's metadata), VERSION (a newer
 * one), CORRUPT (torn, or not of this offset), NOMEM.
 */
KLANE_API klane_err_t klane_progress_read(const char *metadata, size_t size, int64_t committed,
                                          struct klane_progress *progress, size_t progress_size,
                                          struct klane_progress_lane *lanes, size_t lanes_max);

/** By what a progress map with this seed knows a key. Thread: any. Blocks: never. */
KLANE_API uint64_t klane_progress_fingerprint(uint64_t seed, const void *key, size_t key_size);

#ifdef __cplusplus
}
#endif

#endif
