/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing blocks of headers.
 *
 * Upholds: no block, however damaged, is read outside its bytes. Pure; owned by nobody. */
#include "base/headers.h"

#include "base/assert.h"

#include <string.h>

#define NO_VALUE UINT32_C(0xffffffff)
#define COUNT_BYTES ((size_t)4)
#define SIZES_BYTES ((size_t)8)

/* What is left of a block. */
struct cursor {
    const unsigned char *at;
    size_t left;
};

struct header {
    const char *name;
    size_t name_size;
    const void *value; /* NULL: none */
    size_t value_size;
};

static uint32_t u32_read(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static unsigned char *u32_write(unsigned char *at, uint32_t value)
{
    at[0] = (unsigned char)value;
    at[1] = (unsigned char)(value >> 8);
    at[2] = (unsigned char)(value >> 16);
    at[3] = (unsigned char)(value >> 24);
    return at + 4;
}

size_t headers_size(const struct klane_header_in *headers, size_t count)
{
    size_t size = COUNT_BYTES;

    if (count == 0)
        return 0;
    if (headers == NULL)
        return SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        if (headers[i].name == NULL)
            return SIZE_MAX;

        size_t name_size = strlen(headers[i].name);
        size_t value_size = headers[i].value == NULL ? 0 : headers[i].size;

        /* Each part is compared by itself first, so that the sum cannot wrap. A block of at
         * most 32 bits of length also keeps every size below NO_VALUE. */
        if (name_size > UINT32_MAX || value_size > UINT32_MAX)
            return SIZE_MAX;
        if (name_size + value_size + SIZES_BYTES + 1 > UINT32_MAX - size)
            return SIZE_MAX;
        size += name_size + value_size + SIZES_BYTES + 1;
    }
    return size;
}

void headers_write(const struct klane_header_in *headers, size_t count, void *block)
{
    unsigned char *at = block;

    if (count == 0)
        return;
    KLANE_ASSERT(count <= UINT32_MAX);
    at = u32_write(at, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        size_t name_size = strlen(headers[i].name);

        at = u32_write(at, (uint32_t)name_size);
        at = u32_write(at, headers[i].value == NULL ? NO_VALUE : (uint32_t)headers[i].size);
        memcpy(at, headers[i].name, name_size + 1);
        at += name_size + 1;
        if (headers[i].value == NULL || headers[i].size == 0)
            continue;
        memcpy(at, headers[i].value, headers[i].size);
        at += headers[i].size;
    }
}

uint32_t headers_count(const void *block, size_t block_size)
{
    if (block == NULL || block_size < COUNT_BYTES)
        return 0;
    return u32_read(block);
}

/* The next header. False: the block ends before it does, or its name has no end. */
static bool cursor_next(struct cursor *cursor, struct header *header)
{
    if (cursor->left < SIZES_BYTES)
        return false;

    size_t name_size = u32_read(cursor->at);
    size_t value_size = u32_read(cursor->at + 4);
    bool has_value = value_size != NO_VALUE;

    if (!has_value)
        value_size = 0;
    cursor->at += SIZES_BYTES;
    cursor->left -= SIZES_BYTES;
    if (cursor->left <= name_size || cursor->at[name_size] != '\0')
        return false;
    header->name = (const char *)cursor->at;
    header->name_size = name_size;
    cursor->at += name_size + 1;
    cursor->left -= name_size + 1;
    if (cursor->left < value_size)
        return false;
    header->value = has_value ? cursor->at : NULL;
    header->value_size = value_size;
    cursor->at += value_size;
    cursor->left -= value_size;
    return true;
}

static struct cursor cursor_begin(const void *block, size_t block_size)
{
    struct cursor cursor = {NULL, 0};

    if (block != NULL && block_size >= COUNT_BYTES) {
        cursor.at = (const unsigned char *)block + COUNT_BYTES;
        cursor.left = block_size - COUNT_BYTES;
    }
    return cursor;
}

bool headers_valid(const void *block, size_t block_size)
{
    struct cursor cursor = cursor_begin(block, block_size);
    uint32_t count = headers_count(block, block_size);
    struct header header;

    if (block_size == 0)
        return true;
    if (block == NULL || block_size < COUNT_BYTES)
        return false;
    /* Ends with the block even if count is a lie: each header takes some of its bytes. */
    for (uint32_t i = 0; i < count; i++)
        if (!cursor_next(&cursor, &header))
            return false;
    return cursor.left == 0;
}

bool headers_at(const void *block, size_t block_size, size_t index, struct headers_place *place,
                const char **name, const void **value, size_t *size)
{
    struct cursor cursor = cursor_begin(block, block_size);
    struct headers_place at = {0};
    struct header header;

    if (index >= headers_count(block, block_size))
        return false;
    if (place->index <= index) {
        at = *place;
        KLANE_ASSERT(at.at <= cursor.left);
    }
    cursor.at += at.at;
    cursor.left -= at.at;
    for (; at.index <= index; at.index++) {
        *place = at;
        if (!cursor_next(&cursor, &header))
            return false;
        at.at = block_size - COUNT_BYTES - cursor.left;
    }
    *name = header.name;
    *value = header.value;
    *size = header.value_size;
    return true;
}

bool headers_find(const void *block, size_t block_size, const char *name, const void **value,
                  size_t *size)
{
    struct cursor cursor = cursor_begin(block, block_size);
    uint32_t count = headers_count(block, block_size);
    size_t name_size = strlen(name);
    struct header header;
    bool found = false;

    for (uint32_t i = 0; i < count && cursor_next(&cursor, &header); i++) {
        if (header.name_size != name_size || memcmp(header.name, name, name_size) != 0)
            continue;
        *value = header.value;
        *size = header.value_size;
        found = true;
    }
    return found;
}
