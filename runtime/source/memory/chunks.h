/* SPDX-License-Identifier: Apache-2.0 */
/* Where the log in memory keeps its records: chunks with records back to back, one list of them
 * for each partition.
 *
 * Upholds: a record never moves and never changes once it can be seen, so it is read without a
 * lock; memory stays flat while commits keep up with appends.
 *
 * Owner: the appender (whoever has the source's mutex) writes, the reader (the control thread)
 * walks behind it, and hands chunks that are wholly committed back through a mailbox.
 *
 *   oldest -> chunk -> chunk -> chunk -> NULL
 *              ^ cursor           ^ tail
 *
 * What the reader may see ends at `published`, which the appender moves after each record. A
 * chunk that is full ends with an entry of kind ENTRY_TURN, unless not even that fits: then the
 * reader goes on with the next chunk. It only looks where published says that there is more.
 *
 * Edges:
 *   S1  published, release -> reader, acquire: the record, and the way to it, before it is read.
 *   S2  next, release -> reader, acquire: the chunk's last fields before they are looked at.
 *   M1  (sync/mailbox.h) the reader's last look at a chunk before it is filled again. */
#ifndef KLANE_SOURCE_MEMORY_CHUNKS_H
#define KLANE_SOURCE_MEMORY_CHUNKS_H

#include "base/cache_line.h"
#include "source/source.h"
#include "sync/mailbox.h"

#include <klane/memory.h>

#include <stdatomic.h>

struct chunk {
    struct mail mail; /* the reader's once the chunk has a next, until it is given back */

    /* The appender's; all but next settled before next is set. */
    _Atomic(struct chunk *) next;
    int64_t offset_end;       /* one past its last record */
    int64_t timestamp_max_ms; /* of its records */
    size_t capacity;
    size_t used;

    _Alignas(16) unsigned char bytes[];
};

/* What the records of one partition are stored in. */
struct chunk_list {
    struct {
        _Alignas(CACHE_LINE) _Atomic int64_t published; /* one past the last offset */
        _Atomic(struct chunk *) first;                  /* set once */
        struct chunk *tail;
    } appender;
    struct {
        _Alignas(CACHE_LINE) struct chunk *oldest; /* NULL: none seen yet */
        int64_t begin;                             /* no record below it is left */
    } reader;
};

/* Chunks that were given back. */
struct chunk_pool {
    struct mailbox returned; /* reader -> appender */
    struct {
        struct chunk *spare; /* linked by next */
        size_t spare_count;
    } appender;
};

/* Where a reader stands. */
struct chunk_cursor {
    struct chunk *chunk; /* NULL: before the first */
    size_t position;
    int64_t offset; /* the next record is this one or a later one */
};

void chunk_pool_init(struct chunk_pool *pool);
void chunk_pool_deinit(struct chunk_pool *pool);

void chunk_list_init(struct chunk_list *list);

/* No appender and no reader is left. */
void chunk_list_deinit(struct chunk_list *list);

/* Appender: store and publish a record. offset is not below published. headers_bytes:
 * headers_size(). Errors: NOMEM. */
klane_err_t chunks_append(struct chunk_list *list, struct chunk_pool *pool,
                          const struct klane_memory_record *record, size_t headers_bytes,
                          int64_t offset);

/* Reader: one past the last offset that can be read (S1). */
int64_t chunks_end(const struct chunk_list *list);

/* Reader: stand at the first record at or above offset. */
void chunks_seek(struct chunk_list *list, struct chunk_cursor *cursor, int64_t offset);

/* Reader: the offset of the first record not older than timestamp_ms; chunks_end() if none. */
int64_t chunks_find_time(struct chunk_list *list, int64_t timestamp_ms);

/* Reader: the record at the cursor, without a step. end: what chunks_end() returned; there must
 * be a record below it, as there is when cursor->offset is. */
void chunks_peek(struct chunk_list *list, struct chunk_cursor *cursor,
                 struct source_record *record);

/* Reader: step over the record that chunks_peek() showed. */
void chunks_step(struct chunk_cursor *cursor);

/* Reader: give back the chunks wholly below offset, but never a cursor's. sweep: of a pass, or
 * NULL. */
void chunks_release(struct chunk_list *list, struct chunk_pool *pool,
                    const struct chunk_cursor *cursor, const struct chunk_cursor *sweep,
                    int64_t offset);

#endif
