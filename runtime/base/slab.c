/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slab.h"

#include "base/assert.h"

#include <stdlib.h>
#include <sys/mman.h>

#define REGION_CHUNKS 16
#define REGION_BYTES (SLAB_CHUNK_BYTES * REGION_CHUNKS)
#define FINE_MAX ((size_t)512)
#define FINE_STEP ((size_t)16)
#define COARSE_STEPS 8
#define BLOCK_MAX ((size_t)32 * 1024)

struct slab_block {
    struct slab_block *next;
};

struct slab_chunk {
    struct slab_chunk *next; /* in partial or empty */
    struct slab_chunk *previous;
    struct slab_block *free;
    uint32_t used;
    uint32_t fresh; /* blocks from here on were never handed out */
    uint32_t capacity;
    uint32_t block_bytes;
    uint8_t size_class;
};

struct slab_region {
    struct slab_region *next;
    void *address;
};

struct large_head {
    size_t mapped_bytes;
};

#define CHUNK_HEAD ((size_t)64)
#define LARGE_HEAD ((size_t)64)

_Static_assert(sizeof(struct slab_chunk) <= CHUNK_HEAD, "a chunk's head fits its place");
_Static_assert(sizeof(struct large_head) <= LARGE_HEAD, "a large block's head fits its place");

static uint8_t class_of(size_t size)
{
    size_t steps, doubling = 0;

    if (size <= FINE_MAX)
        return size == 0 ? 0 : (uint8_t)((size - 1) / FINE_STEP);
    while ((FINE_MAX << (doubling + 1)) < size)
        doubling++;
    steps = (size - (FINE_MAX << doubling) - 1) / ((FINE_MAX << doubling) / COARSE_STEPS);
    return (uint8_t)(FINE_MAX / FINE_STEP + doubling * COARSE_STEPS + steps);
}

static size_t class_bytes(uint8_t size_class)
{
    size_t coarse;

    if (size_class < FINE_MAX / FINE_STEP)
        return ((size_t)size_class + 1) * FINE_STEP;
    coarse = size_class - FINE_MAX / FINE_STEP;
    return (FINE_MAX << (coarse / COARSE_STEPS)) / COARSE_STEPS *
           (COARSE_STEPS + coarse % COARSE_STEPS + 1);
}

size_t slab_block_size(size_t size)
{
    return size > BLOCK_MAX ? size + LARGE_HEAD : class_bytes(class_of(size));
}

void slab_init(struct slab *slab, uint64_t limit_bytes)
{
    *slab = (struct slab){.limit_bytes = limit_bytes};
}

void slab_deinit(struct slab *slab)
{
    while (slab->regions != NULL) {
        struct slab_region *region = slab->regions;

        slab->regions = region->next;
        munmap(region->address, REGION_BYTES);
        free(region);
    }
    slab_init(slab, 0);
}

static void list_push(struct slab_chunk **list, struct slab_chunk *chunk)
{
    chunk->next = *list;
    chunk->previous = NULL;
    if (*list != NULL)
        (*list)->previous = chunk;
    *list = chunk;
}

static void list_remove(struct slab_chunk **list, struct slab_chunk *chunk)
{
    if (chunk->previous != NULL)
        chunk->previous->next = chunk->next;
    else
        *list = chunk->next;
    if (chunk->next != NULL)
        chunk->next->previous = chunk->previous;
}

/* Maps twice the alignment's slack and gives the rest back, so that chunks are aligned. */
static bool region_map(struct slab *slab)
{
    struct slab_region *region = malloc(sizeof(*region));
    size_t slack;
    char *mapped;

    if (region == NULL)
        return false;
    mapped = mmap(NULL, REGION_BYTES + SLAB_CHUNK_BYTES, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) {
        free(region);
        return false;
    }
    slack = (SLAB_CHUNK_BYTES - (uintptr_t)mapped % SLAB_CHUNK_BYTES) % SLAB_CHUNK_BYTES;
    if (slack > 0)
        munmap(mapped, slack);
    if (slack < SLAB_CHUNK_BYTES)
        munmap(mapped + slack + REGION_BYTES, SLAB_CHUNK_BYTES - slack);
    region->address = mapped + slack;
    region->next = slab->regions;
    slab->regions = region;
    for (size_t i = REGION_CHUNKS; i-- > 0;)
        list_push(&slab->empty, (void *)(mapped + slack + i * SLAB_CHUNK_BYTES));
    slab->empty_count += REGION_CHUNKS;
    return true;
}

static void chunk_give_back(struct slab *slab, struct slab_chunk *chunk)
{
    list_remove(&slab->partial[chunk->size_class], chunk);
    slab->bytes -= SLAB_CHUNK_BYTES;
    slab->idle--;
    if (slab->empty_count >= SLAB_EMPTY_KEPT) {
        KLANE_MARK("slab gives pages back");
        madvise(chunk, SLAB_CHUNK_BYTES, MADV_DONTNEED);
    }
    list_push(&slab->empty, chunk);
    slab->empty_count++;
}

/* Whether so many bytes more stay inside the limit. Chunks that classes keep without a block in
 * use make room first. */
static bool make_room(struct slab *slab, uint64_t bytes)
{
    if (slab->limit_bytes == 0)
        return true;
    for (unsigned i = 0;
         i < SLAB_CLASSES && slab->bytes + slab->charged + bytes > slab->limit_bytes; i++) {
        if (slab->partial[i] == NULL || slab->partial[i]->used > 0)
            continue;
        KLANE_MARK("slab takes back an empty chunk that a class kept");
        chunk_give_back(slab, slab->partial[i]);
    }
    return slab->bytes + slab->charged + bytes <= slab->limit_bytes;
}

static struct slab_chunk *chunk_take(struct slab *slab, uint8_t size_class)
{
    struct slab_chunk *chunk;

    if (!make_room(slab, SLAB_CHUNK_BYTES))
        return NULL;
    if (slab->empty == NULL && !region_map(slab))
        return NULL;
    chunk = slab->empty;
    list_remove(&slab->empty, chunk);
    slab->empty_count--;
    *chunk = (struct slab_chunk){
        .block_bytes = (uint32_t)class_bytes(size_class),
        .size_class = size_class,
    };
    chunk->capacity = (uint32_t)((SLAB_CHUNK_BYTES - CHUNK_HEAD) / chunk->block_bytes);
    list_push(&slab->partial[size_class], chunk);
    slab->bytes += SLAB_CHUNK_BYTES;
    slab->idle++;
    return chunk;
}

static void *large_alloc(struct slab *slab, size_t size)
{
    size_t bytes = size + LARGE_HEAD;
    struct large_head *head;

    if (!make_room(slab, bytes))
        return NULL;
    head = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (head == MAP_FAILED)
        return NULL;
    head->mapped_bytes = bytes;
    slab->bytes += bytes;
    return (char *)head + LARGE_HEAD;
}

void *slab_alloc(struct slab *slab, size_t size, uint8_t *size_class)
{
    struct slab_chunk *chunk;
    struct slab_block *block;

    if (size > BLOCK_MAX) {
        *size_class = SLAB_CLASS_LARGE;
        return large_alloc(slab, size);
    }
    *size_class = class_of(size);
    chunk = slab->partial[*size_class];
    if (chunk == NULL && (chunk = chunk_take(slab, *size_class)) == NULL)
        return NULL;
    block = chunk->free;
    if (block != NULL) {
        chunk->free = block->next;
        /* The next one is about to be wanted, and was last written by another processor. */
        __builtin_prefetch(chunk->free, 1);
    } else {
        block = (void *)((char *)chunk + CHUNK_HEAD + (size_t)chunk->fresh * chunk->block_bytes);
        chunk->fresh++;
    }
    if (chunk->used++ == 0)
        slab->idle--;
    if (chunk->used == chunk->capacity)
        list_remove(&slab->partial[*size_class], chunk);
    return block;
}

void slab_free(struct slab *slab, void *pointer, uint8_t size_class)
{
    struct slab_block *block = pointer;
    struct slab_chunk *chunk;

    if (size_class == SLAB_CLASS_LARGE) {
        struct large_head *head = (void *)((char *)pointer - LARGE_HEAD);

        slab->bytes -= head->mapped_bytes;
        munmap(head, head->mapped_bytes);
        return;
    }
    chunk = (void *)((uintptr_t)pointer & ~(SLAB_CHUNK_BYTES - 1));
    KLANE_ASSERT(chunk->size_class == size_class);
    KLANE_ASSERT(chunk->used > 0);
    block->next = chunk->free;
    chunk->free = block;
    if (chunk->used-- == chunk->capacity) {
        list_push(&slab->partial[size_class], chunk);
        /* So an empty chunk is always alone in its list, where make_room() looks for it. */
        if (chunk->next != NULL && chunk->next->used == 0)
            chunk_give_back(slab, chunk->next);
    }
    if (chunk->used > 0)
        return;
    slab->idle++;
    /* The last chunk of a class stays: taking and giving back one block would else thrash. */
    if (chunk->next != NULL || chunk->previous != NULL)
        chunk_give_back(slab, chunk);
}

#ifdef KLANE_TESTING
void slab_verify(const struct slab *slab)
{
    uint32_t empty = 0, idle = 0;

    for (unsigned i = 0; i < SLAB_CLASSES; i++) {
        for (const struct slab_chunk *chunk = slab->partial[i]; chunk; chunk = chunk->next) {
            uint32_t free_blocks = 0;

            for (const struct slab_block *block = chunk->free; block; block = block->next)
                free_blocks++;
            KLANE_ASSERT(chunk->size_class == i);
            KLANE_ASSERT(chunk->used < chunk->capacity);
            idle += chunk->used == 0;
            KLANE_ASSERT(chunk->used > 0 || slab->partial[i]->next == NULL);
            KLANE_ASSERT(chunk->used + free_blocks == chunk->fresh);
        }
    }
    for (const struct slab_chunk *chunk = slab->empty; chunk != NULL; chunk = chunk->next)
        empty++;
    KLANE_ASSERT(empty == slab->empty_count);
    KLANE_ASSERT(idle == slab->idle);
}
#endif
