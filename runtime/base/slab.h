/* SPDX-License-Identifier: Apache-2.0 */
/* Size-class slabs: the memory of slots, lanes and bookkeeping, apart from malloc.
 *
 * Upholds: memory that was given back serves any later size, and what is not needed goes back to
 * the system; bytes and charged together never pass limit_bytes by what is allocated here. One
 * thread: control.
 *
 *   region  4 MiB of address space, cut into chunks
 *   chunk   256 KiB, aligned to its size, of one size class; an empty one serves any class again
 *   class   16-byte steps up to 512, then eight steps for each doubling up to 32 KiB
 *   large   anything above is mapped alone */
#ifndef KLANE_BASE_SLAB_H
#define KLANE_BASE_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLAB_CLASSES 80
#define SLAB_CLASS_LARGE 255
#define SLAB_CLASS_SMALL 39 /* the class of 1 KiB; what is smaller has a lower one */
#define SLAB_CHUNK_BYTES ((size_t)256 * 1024)
/* Empty chunks beyond this give their pages back; below it they stay, as they are needed soon. */
#define SLAB_EMPTY_KEPT 16

struct slab_chunk;
struct slab_region;

struct slab {
    struct slab_chunk *partial[SLAB_CLASSES]; /* chunks with a free block */
    struct slab_chunk *empty;                 /* chunks of no class */
    struct slab_region *regions;
    uint32_t empty_count;
    uint32_t idle;        /* chunks that a class keeps without a block in use */
    uint64_t bytes;       /* chunks in use and large blocks */
    uint64_t charged;     /* what the user has elsewhere, and the limit is for as well */
    uint64_t limit_bytes; /* 0: none */
};

void slab_init(struct slab *slab, uint64_t limit_bytes);

/* Everything goes back to the system but large blocks, which must have been freed. */
void slab_deinit(struct slab *slab);

/* A block of at least size bytes, aligned to 16; NULL: no memory, or the limit is reached. */
void *slab_alloc(struct slab *slab, size_t size, uint8_t *size_class);

void slab_free(struct slab *slab, void *block, uint8_t size_class);

/* What of the limit is in use: chunks that a class only keeps make room when it is needed. */
static inline uint64_t slab_used(const struct slab *slab)
{
    return slab->bytes + slab->charged - slab->idle * SLAB_CHUNK_BYTES;
}

/* Bytes that a block of this size takes. */
size_t slab_block_size(size_t size);

#ifdef KLANE_TESTING
/* Checks every chunk: free lists, counts, membership. */
void slab_verify(const struct slab *slab);
#endif

#endif
