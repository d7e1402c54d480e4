/* SPDX-License-Identifier: Apache-2.0 */
/* Records in chunks. Owners and edges: source/memory/chunks.h. */
#include "source/memory/chunks.h"

#include "base/assert.h"
#include "base/headers.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES ((size_t)1 << 20)
#define SPARE_MAX 64

enum entry_kind {
    ENTRY_TURN,  /* the chunk is full: go on with the next */
    ENTRY_RECORD /* followed by key, value and headers, padded to ENTRY_ALIGN */
};

enum entry_has { ENTRY_HAS_KEY = 1, ENTRY_HAS_VALUE = 2 };

#define ENTRY_ALIGN ((size_t)8)

struct entry {
    int64_t offset;
    int64_t timestamp_ms;
    uint32_t key_size;
    uint32_t value_size;
    uint32_t headers_size;
    uint8_t kind;
    uint8_t has;
};

_Static_assert(sizeof(struct entry) == 32, "no padding that could be saved");
_Static_assert(CHUNK_BYTES % ENTRY_ALIGN == 0, "entries stay aligned up to the chunk's end");

static size_t entry_bytes(size_t key_size, size_t value_size, size_t headers_size)
{
    size_t bytes = sizeof(struct entry) + key_size + value_size + headers_size;

    return (bytes + ENTRY_ALIGN - 1) & ~(ENTRY_ALIGN - 1);
}

static struct entry *entry_at(struct chunk *chunk, size_t position)
{
    return (struct entry *)(void *)(chunk->bytes + position);
}

static struct chunk *chunk_of_mail(struct mail *mail)
{
    return (struct chunk *)(void *)((char *)mail - offsetof(struct chunk, mail));
}

static struct chunk *next_of(const struct chunk *chunk)
{
    /* S2 acquire: the fields that are settled with it. Pairs with tail_grow(). */
    return atomic_load_explicit(&chunk->next, memory_order_acquire);
}

/* ---- the pool ---------------------------------------------------------------------------- */

void chunk_pool_init(struct chunk_pool *pool)
{
    mailbox_init(&pool->returned);
    pool->appender.spare = NULL;
    pool->appender.spare_count = 0;
}

static void pool_put(struct chunk_pool *pool, struct chunk *chunk)
{
    if (chunk->capacity != CHUNK_BYTES || pool->appender.spare_count >= SPARE_MAX) {
        KLANE_MARK("memory: a chunk is freed");
        free(chunk);
        return;
    }
    /* Relaxed: spare chunks are only the appender's. */
    atomic_store_explicit(&chunk->next, pool->appender.spare, memory_order_relaxed);
    pool->appender.spare = chunk;
    pool->appender.spare_count++;
}

/* Freeing is left to the appender too: giving pages back to the system takes long, and the
 * reader must not wait. */
static void pool_collect(struct chunk_pool *pool)
{
    struct mail *mail = mailbox_collect(&pool->returned);

    while (mail != NULL) {
        struct chunk *chunk = chunk_of_mail(mail);

        mail = mailbox_next(mail);
        pool_put(pool, chunk);
    }
}

static struct chunk *pool_take(struct chunk_pool *pool, size_t bytes_min)
{
    size_t capacity = bytes_min > CHUNK_BYTES ? bytes_min : CHUNK_BYTES;
    struct chunk *chunk;

    pool_collect(pool);
    chunk = pool->appender.spare;
    if (capacity == CHUNK_BYTES && chunk != NULL) {
        KLANE_MARK("memory: a chunk is used again");
        /* Relaxed: as in pool_put(). */
        pool->appender.spare = atomic_load_explicit(&chunk->next, memory_order_relaxed);
        pool->appender.spare_count--;
    } else {
        chunk = malloc(sizeof(*chunk) + capacity);
        if (chunk == NULL)
            return NULL;
    }
    atomic_init(&chunk->next, NULL);
    chunk->offset_end = 0;
    chunk->timestamp_max_ms = INT64_MIN;
    chunk->capacity = capacity;
    chunk->used = 0;
    return chunk;
}

void chunk_pool_deinit(struct chunk_pool *pool)
{
    struct chunk *chunk;

    pool_collect(pool);
    while ((chunk = pool->appender.spare) != NULL) {
        /* Relaxed: as in pool_put(). */
        pool->appender.spare = atomic_load_explicit(&chunk->next, memory_order_relaxed);
        free(chunk);
    }
}

/* ---- appending --------------------------------------------------------------------------- */

void chunk_list_init(struct chunk_list *list)
{
    atomic_init(&list->appender.published, 0);
    atomic_init(&list->appender.first, NULL);
    list->appender.tail = NULL;
    list->reader.oldest = NULL;
    list->reader.begin = 0;
}

/* The chunk that the reader has to begin with, NULL: nothing was appended. */
static struct chunk *oldest(struct chunk_list *list)
{
    /* S2 acquire: as next_of(). Once the reader has begun, the first chunk may be gone. */
    if (list->reader.oldest == NULL)
        list->reader.oldest = atomic_load_explicit(&list->appender.first, memory_order_acquire);
    return list->reader.oldest;
}

/* Before the first record that is left: no further down, or what is published would seem to be in
 * the oldest chunk, which may be empty when all before it were given back. */
static struct chunk_cursor cursor_at_begin(struct chunk_list *list)
{
    return (struct chunk_cursor){.chunk = oldest(list), .offset = list->reader.begin};
}

void chunk_list_deinit(struct chunk_list *list)
{
    struct chunk *chunk = oldest(list);

    while (chunk != NULL) {
        struct chunk *next = next_of(chunk);

        free(chunk);
        chunk = next;
    }
}

/* A new tail with room for an entry of so many bytes. False: no memory, and nothing has
 * changed. */
static bool tail_grow(struct chunk_list *list, struct chunk_pool *pool, size_t bytes)
{
    struct chunk *tail = list->appender.tail;
    struct chunk *chunk = pool_take(pool, bytes);

    if (chunk == NULL)
        return false;
    list->appender.tail = chunk;
    if (tail == NULL) {
        /* S2 release: an empty chunk before the reader can stand in it. Pairs with oldest(). */
        atomic_store_explicit(&list->appender.first, chunk, memory_order_release);
        return true;
    }
    if (tail->capacity - tail->used >= sizeof(struct entry))
        entry_at(tail, tail->used)->kind = ENTRY_TURN;
    /* S2 release: offset_end and timestamp_max_ms are settled. Pairs with next_of(). */
    atomic_store_explicit(&tail->next, chunk, memory_order_release);
    return true;
}

static unsigned char *bytes_put(unsigned char *at, const void *bytes, size_t size)
{
    if (size != 0)
        memcpy(at, bytes, size);
    return at + size;
}

klane_err_t chunks_append(struct chunk_list *list, struct chunk_pool *pool,
                          const struct klane_memory_record *record, size_t headers_bytes,
                          int64_t offset)
{
    size_t key_size = record->key == NULL ? 0 : record->key_size;
    size_t value_size = record->value == NULL ? 0 : record->value_size;
    size_t bytes = entry_bytes(key_size, value_size, headers_bytes);
    struct chunk *tail = list->appender.tail;

    if (tail == NULL || tail->capacity - tail->used < bytes) {
        if (!tail_grow(list, pool, bytes))
            return KLANE_ERR_NOMEM;
        tail = list->appender.tail;
    }

    struct entry *entry = entry_at(tail, tail->used);
    unsigned char *at = (unsigned char *)(entry + 1);

    entry->offset = offset;
    entry->timestamp_ms = record->timestamp_ms;
    entry->key_size = (uint32_t)key_size;
    entry->value_size = (uint32_t)value_size;
    entry->headers_size = (uint32_t)headers_bytes;
    entry->kind = ENTRY_RECORD;
    entry->has = (uint8_t)((record->key == NULL ? 0 : ENTRY_HAS_KEY) |
                           (record->value == NULL ? 0 : ENTRY_HAS_VALUE));
    at = bytes_put(at, record->key, key_size);
    at = bytes_put(at, record->value, value_size);
    headers_write(record->headers, record->header_count, at);
    tail->used += bytes;
    tail->offset_end = offset + 1;
    if (tail->timestamp_max_ms < record->timestamp_ms)
        tail->timestamp_max_ms = record->timestamp_ms;
    /* S1 release: the record is whole. Pairs with chunks_end(). */
    atomic_store_explicit(&list->appender.published, offset + 1, memory_order_release);
    return KLANE_OK;
}

/* ---- reading ----------------------------------------------------------------------------- */

int64_t chunks_end(const struct chunk_list *list)
{
    /* S1 acquire: every record below. Pairs with chunks_append(). */
    return atomic_load_explicit(&list->appender.published, memory_order_acquire);
}

/* The entry of the next record; there is one. */
static struct entry *cursor_entry(struct chunk_list *list, struct chunk_cursor *cursor)
{
    if (cursor->chunk == NULL)
        cursor->chunk = oldest(list);
    for (;;) {
        struct chunk *chunk = cursor->chunk;
        struct entry *entry = entry_at(chunk, cursor->position);

        if (chunk->capacity - cursor->position >= sizeof(*entry) && entry->kind == ENTRY_RECORD)
            return entry;
        cursor->chunk = next_of(chunk);
        cursor->position = 0;
        KLANE_ASSERT(cursor->chunk != NULL);
    }
}

void chunks_peek(struct chunk_list *list, struct chunk_cursor *cursor,
                 struct source_record *record)
{
    const struct entry *entry = cursor_entry(list, cursor);
    const unsigned char *bytes = (const unsigned char *)(entry + 1);

    KLANE_ASSERT(entry->offset >= cursor->offset);
    record->key = entry->has & ENTRY_HAS_KEY ? bytes : NULL;
    record->value = entry->has & ENTRY_HAS_VALUE ? bytes + entry->key_size : NULL;
    record->headers =
        entry->headers_size == 0 ? NULL : bytes + entry->key_size + entry->value_size;
    record->key_size = entry->key_size;
    record->value_size = entry->value_size;
    record->headers_size = entry->headers_size;
    record->offset = entry->offset;
    record->timestamp_ms = entry->timestamp_ms;
}

void chunks_step(struct chunk_cursor *cursor)
{
    const struct entry *entry = entry_at(cursor->chunk, cursor->position);

    cursor->offset = entry->offset + 1;
    cursor->position += entry_bytes(entry->key_size, entry->value_size, entry->headers_size);
}

void chunks_seek(struct chunk_list *list, struct chunk_cursor *cursor, int64_t offset)
{
    int64_t end = chunks_end(list);
    struct chunk *next;

    *cursor = cursor_at_begin(list);
    /* The offset moves along: the chunk behind the last published record may still be empty. */
    while (cursor->chunk != NULL && (next = next_of(cursor->chunk)) != NULL &&
           cursor->chunk->offset_end <= offset) {
        cursor->offset = cursor->chunk->offset_end;
        cursor->chunk = next;
    }
    while (cursor->offset < end && cursor->offset < offset) {
        if (cursor_entry(list, cursor)->offset >= offset)
            break;
        chunks_step(cursor);
    }
    if (cursor->offset < offset)
        cursor->offset = offset;
}

int64_t chunks_find_time(struct chunk_list *list, int64_t timestamp_ms)
{
    int64_t end = chunks_end(list);
    struct chunk_cursor cursor = cursor_at_begin(list);
    struct chunk *next;

    while (cursor.chunk != NULL && (next = next_of(cursor.chunk)) != NULL &&
           cursor.chunk->timestamp_max_ms < timestamp_ms) {
        cursor.offset = cursor.chunk->offset_end;
        cursor.chunk = next;
    }
    while (cursor.offset < end) {
        const struct entry *entry = cursor_entry(list, &cursor);

        if (entry->timestamp_ms >= timestamp_ms)
            return entry->offset;
        chunks_step(&cursor);
    }
    return end;
}

void chunks_release(struct chunk_list *list, struct chunk_pool *pool,
                    const struct chunk_cursor *cursor, const struct chunk_cursor *sweep,
                    int64_t offset)
{
    struct chunk *chunk = list->reader.oldest;
    struct chunk *next;

    while (chunk != NULL && chunk != cursor->chunk && (sweep == NULL || chunk != sweep->chunk) &&
           (next = next_of(chunk)) != NULL && chunk->offset_end <= offset) {
        list->reader.begin = chunk->offset_end;
        mailbox_send(&pool->returned, &chunk->mail); /* M1 */
        chunk = next;
    }
    list->reader.oldest = chunk;
}
