/* SPDX-License-Identifier: Apache-2.0 */
/* The core's memory in one place: malloc() and its kin and the slab are wrapped when the program
 * is linked, and take it from there while the core runs. So a state is saved by one copy, and is
 * found again at the same addresses. Nothing is left of what is freed, so that its use shows. */
#include "model/parking_world.h"

#include "base/assert.h"
#include "base/cache_line.h"

#include <stdlib.h>
#include <string.h>

#define MEMORY_MAX (256U << 10)
#define SIZES 16U            /* powers of two from 32 bytes */
#define CLASSES (2U * SIZES) /* then those that begin with a cache line */
#define FREED 0xdf

struct block {
    struct block *next; /* that is free too */
    uint64_t class;
    unsigned char bytes[];
};

static struct memory {
    uint32_t used;
    uint32_t slab_blocks;
    struct block *free[CLASSES];
    _Alignas(CACHE_LINE) unsigned char bytes[MEMORY_MAX];
} memory;

struct snapshot {
    struct world world;
    struct memory memory; /* so much of it as is used */
};

static bool core_allocates;

void *__real_malloc(size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *pointer, size_t size);
void __real_free(void *pointer);
void *__wrap_malloc(size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *pointer, size_t size);
void __wrap_free(void *pointer);
void *__wrap_slab_alloc(struct slab *slab, size_t size, uint8_t *size_class);
void __wrap_slab_free(struct slab *slab, void *block, uint8_t size_class);

static bool is_ours(const void *pointer)
{
    const unsigned char *byte = pointer;

    return byte >= memory.bytes && byte < memory.bytes + MEMORY_MAX;
}

static size_t class_size(uint64_t class)
{
    return (size_t)32 << class % SIZES;
}

static struct block *block_of(void *pointer)
{
    return (struct block *)(void *)((unsigned char *)pointer - sizeof(struct block));
}

/* So far that bytes behind a block's head begin with a cache line. */
static uint32_t gap(void)
{
    return CACHE_LINE - (memory.used + (uint32_t)sizeof(struct block)) % CACHE_LINE;
}

static void *allocate(size_t size, size_t alignment)
{
    uint64_t class = 0;
    struct block *block;

    KLANE_ASSERT(alignment <= CACHE_LINE);
    while (class_size(class) < size)
        class ++;
    KLANE_ASSERT(class < SIZES);
    if (alignment > sizeof(struct block))
        class += SIZES;
    block = memory.free[class];
    if (block != NULL) {
        memory.free[class] = block->next;
    } else {
        if (class >= SIZES)
            memory.used += gap();
        block = (struct block *)(void *)(memory.bytes + memory.used);
        memory.used += (uint32_t)(sizeof(*block) + class_size(class));
        KLANE_ASSERT(memory.used <= MEMORY_MAX);
        block->class = class;
    }
    return block->bytes;
}

static void release(void *pointer)
{
    struct block *block = block_of(pointer);

    memset(pointer, FREED, class_size(block->class));
    block->next = memory.free[block->class];
    memory.free[block->class] = block;
}

void *__wrap_malloc(size_t size)
{
    return core_allocates ? allocate(size, 1) : __real_malloc(size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return core_allocates ? allocate(size, alignment) : __real_aligned_alloc(alignment, size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return core_allocates ? memset(allocate(count * size, 1), 0, count * size)
                          : __real_calloc(count, size);
}

void *__wrap_realloc(void *pointer, size_t size)
{
    void *moved;

    if (!core_allocates)
        return __real_realloc(pointer, size);
    moved = allocate(size, 1);
    if (pointer != NULL) {
        size_t old_size = class_size(block_of(pointer)->class);

        memcpy(moved, pointer, old_size < size ? old_size : size);
        release(pointer);
    }
    return moved;
}

void __wrap_free(void *pointer)
{
    if (is_ours(pointer))
        release(pointer);
    else
        __real_free(pointer);
}

void *__wrap_slab_alloc(struct slab *slab, size_t size, uint8_t *size_class)
{
    (void)slab;
    memory.slab_blocks++;
    *size_class = 0;
    return allocate(size, 1);
}

void __wrap_slab_free(struct slab *slab, void *block, uint8_t size_class)
{
    (void)slab;
    (void)size_class;
    memory.slab_blocks--;
    release(block);
}

static size_t memory_size(void)
{
    return offsetof(struct memory, bytes) + memory.used;
}

struct snapshot *memory_save(void)
{
    size_t size = offsetof(struct snapshot, memory) + memory_size();
    struct snapshot *snapshot = __real_aligned_alloc(
        CACHE_LINE, (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);

    KLANE_ASSERT(snapshot != NULL);
    memcpy(&snapshot->world, &world, sizeof(world));
    memcpy((unsigned char *)snapshot + offsetof(struct snapshot, memory), &memory, memory_size());
    return snapshot;
}

void memory_load(const struct snapshot *snapshot)
{
    memcpy(&world, &snapshot->world, sizeof(world));
    memcpy(&memory, &snapshot->memory, offsetof(struct memory, bytes) + snapshot->memory.used);
}

void memory_clear(void)
{
    memory.used = 0;
    memory.slab_blocks = 0;
    memset(memory.free, 0, sizeof(memory.free));
}

void memory_is_core(bool is_core)
{
    core_allocates = is_core;
}

uint32_t memory_blocks(void)
{
    return memory.slab_blocks;
}
