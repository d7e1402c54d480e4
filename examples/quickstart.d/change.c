/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Reading and showing changes. Bytes come from outside (git, the log file): nothing is trusted,
 * nothing needs to end in a zero byte.
 */
#include "change.h"

#include <stdio.h>
#include <string.h>

/** What is left to read. */
struct reader {
    const char *at;
    const char *end;
};

static bool take(struct reader *reader, char expected)
{
    if (reader->at == reader->end || *reader->at != expected)
        return false;
    reader->at++;
    return true;
}

static bool take_mode(struct reader *reader, uint32_t *mode)
{
    *mode = 0;
    for (int i = 0; i < 6; i++, reader->at++) {
        if (reader->at == reader->end || *reader->at < '0' || *reader->at > '7')
            return false;
        *mode = *mode * 8 + (uint32_t)(*reader->at - '0');
    }
    return true;
}

static bool take_object(struct reader *reader, char object[OBJECT_ID_SIZE])
{
    size_t size = 0;

    while (reader->at < reader->end && *reader->at != ' ') {
        if (strchr("0123456789abcdef", *reader->at) == NULL || *reader->at == '\0')
            return false;
        if (size == OBJECT_ID_SIZE - 1)
            return false;
        object[size++] = *reader->at++;
    }
    object[size] = '\0';
    return size == 40 || size == 64;
}

/** Whether the modes are those that this status must have. */
static bool status_fits(const struct change *change)
{
    bool was = change->before.mode != 0;
    bool is = change->after.mode != 0;

    switch (change->status) {
    case 'A':
        return !was && is;
    case 'D':
        return was && !is;
    case 'M':
    case 'T':
        return was && is;
    default:
        return false;
    }
}

bool change_parse(const void *text, size_t size, struct change *change)
{
    struct reader reader = {text, (const char *)text + size};

    if (!take(&reader, ':') || !take_mode(&reader, &change->before.mode) || !take(&reader, ' ') ||
        !take_mode(&reader, &change->after.mode) || !take(&reader, ' ') ||
        !take_object(&reader, change->before.object) || !take(&reader, ' ') ||
        !take_object(&reader, change->after.object) || !take(&reader, ' '))
        return false;
    if (reader.at == reader.end)
        return false;
    change->status = *reader.at++;
    if (reader.at != reader.end && *reader.at != ' ')
        return false;

    /* Git fills the missing side with zeros. */
    if (change->before.mode == 0)
        change->before.object[0] = '\0';
    if (change->after.mode == 0)
        change->after.object[0] = '\0';
    return status_fits(change);
}

bool entry_equal(const struct entry *a, const struct entry *b)
{
    return a->mode == b->mode && strcmp(a->object, b->object) == 0;
}

const char *entry_text(const struct entry *entry, char out[ENTRY_SIZE])
{
    if (entry->mode == 0)
        snprintf(out, ENTRY_SIZE, "nothing");
    else
        snprintf(out, ENTRY_SIZE, "%06o %.12s", entry->mode, entry->object);
    return out;
}

const char *quote_path(const void *path, size_t size, char out[QUOTED_SIZE])
{
    const unsigned char *bytes = path;
    size_t used = 0;

    out[used++] = '"';
    for (size_t i = 0; i < size; i++) {
        /* Room for this byte as \ooo, then the dots, the quote and the end. */
        if (used + 4 + 3 + 2 > QUOTED_SIZE) {
            memcpy(out + used, "...", 3);
            used += 3;
            break;
        }
        if (bytes[i] < ' ' || bytes[i] >= 0x7f)
            used += (size_t)snprintf(out + used, 5, "\\%03o", bytes[i]);
        else {
            if (bytes[i] == '"' || bytes[i] == '\\')
                out[used++] = '\\';
            out[used++] = (char)bytes[i];
        }
    }
    out[used++] = '"';
    out[used] = '\0';
    return out;
}
