/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A log in memory: for tests of handlers, for benchmarks, and wherever a program feeds itself. It
 * keeps what is not committed, so a partition that is taken away and given back begins again at
 * its committed offset, as a real log would. One runtime reads it.
 */
#ifndef KLANE_MEMORY_H
#define KLANE_MEMORY_H

#include <klane/klane.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One record to append. key NULL: none; value NULL: a tombstone. Sizes in bytes. */
struct klane_memory_record {
    const void *key;
    const void *value;
    size_t key_size;
    size_t value_size;
    int64_t timestamp_ms; /**< -1: none. */
    const struct klane_header_in *headers;
    size_t header_count;
    int64_t offset; /**< -1: one past the last; higher leaves a hole; lower is refused. */
};

/** Make an empty log. Thread: any. Errors: NOMEM, SYSTEM. */
KLANE_API klane_err_t klane_memory_create(struct klane_source **source);

/**
 * Add a topic with partitions 0 to partitions - 1. Before klane_start().
 * Errors: INVALID, EXISTS, NOMEM, STATE.
 */
KLANE_API klane_err_t klane_memory_topic(struct klane_source *source, const char *topic,
                                         int32_t partitions);

/**
 * Append a copy of the record. Thread: any, also while a runtime reads and after it has stopped,
 * until it is destroyed. Blocks: on other appends to this log only. offset (may be NULL) receives
 * its offset. Errors: INVALID, NOT_FOUND (topic or partition), NOMEM.
 */
KLANE_API klane_err_t klane_memory_append(struct klane_source *source, const char *topic,
                                          int32_t partition,
                                          const struct klane_memory_record *record,
                                          int64_t *offset);

/**
 * A place for dead letters in a topic of this log: in the record's own partition if the topic has
 * it, else in partition 0. Errors: INVALID, NOT_FOUND, NOMEM.
 */
KLANE_API klane_err_t klane_memory_letters(struct klane_source *source, const char *topic,
                                           struct klane_letters **letters);

/** The committed offset, -1: none. Thread: any. Errors: NOT_FOUND. */
KLANE_API klane_err_t klane_memory_committed(struct klane_source *source, const char *topic,
                                             int32_t partition, int64_t *offset);

/**
 * Act as a group that takes a partition away and gives it back, so that a program can test what
 * it does then. lost: without a warning, nothing of the partition can be committed any more. Both
 * return at once; events tell when it has happened. Thread: any, while the runtime runs.
 * Errors: NOT_FOUND, STATE (already so, or not running).
 */
KLANE_API klane_err_t klane_memory_revoke(struct klane_source *source, const char *topic,
                                          int32_t partition, bool lost);
KLANE_API klane_err_t klane_memory_assign(struct klane_source *source, const char *topic,
                                          int32_t partition);

/**
 * Let the next count commits fail with err, or, with err KLANE_ERR_TIMEOUT, stay unanswered: no
 * further commit is sent then, as one is out at a time. Thread: any.
 */
KLANE_API void klane_memory_fail_commits(struct klane_source *source, uint32_t count,
                                         klane_err_t err);

#ifdef __cplusplus
}
#endif

#endif
