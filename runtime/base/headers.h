/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of a record as one block of bytes, the same on every machine:
 *
 *   count     u32 little-endian
 *   count x { name_size u32, value_size u32 (0xffffffff: no value), name, NUL, value }
 *
 * Blocks come from a log, so readers check every length and stop at the block's end. */
#ifndef KLANE_BASE_HEADERS_H
#define KLANE_BASE_HEADERS_H

#include <klane/klane.h>

/* Bytes that headers_write() needs, 0 for none. SIZE_MAX: a name is NULL, or it is too large. */
size_t headers_size(const struct klane_header_in *headers, size_t count);

/* Writes headers_size() bytes. */
void headers_write(const struct klane_header_in *headers, size_t count, void *block);

/* The number of headers; 0 for a block that is NULL or too short. */
uint32_t headers_count(const void *block, size_t block_size);

/* Whether the block is whole: every length inside it, and nothing left over. */
bool headers_valid(const void *block, size_t block_size);

/* Where a header begins in its block; all 0: not known. */
struct headers_place {
    size_t index;
    size_t at;
};

/* Header number index. *place: of any header of this block, and then of this one, so that it is
 * not far to the next. False: there is none, or the block ends before it. */
bool headers_at(const void *block, size_t block_size, size_t index, struct headers_place *place,
                const char **name, const void **value, size_t *size);

/* The last header of this name. */
bool headers_find(const void *block, size_t block_size, const char *name, const void **value,
                  size_t *size);

#endif
