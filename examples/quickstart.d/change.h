/* SPDX-License-Identifier: Apache-2.0 */
/**
 * One change of one path, as `git diff-tree --raw` words it: what the path was before and what it
 * is after. The text is also the value of the record in the log, followed by the commit's id, so
 * feeder and handlers read it with the same function.
 */
#ifndef KLANE_QUICKSTART_CHANGE_H
#define KLANE_QUICKSTART_CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Room for an object id in hexadecimal digits (SHA-1 or SHA-256) and its end. */
#define OBJECT_ID_SIZE 65

/** Room for an entry as entry_text() shows it. */
#define ENTRY_SIZE 32

/** Room for a path as quote_path() shows it. */
#define QUOTED_SIZE 128

/** What stands at a path. mode 0: nothing does, and the object id is empty. */
struct entry {
    uint32_t mode;
    char object[OBJECT_ID_SIZE];
};

struct change {
    struct entry before;
    struct entry after;
    char status; /**< A, M, T or D. */
};

/**
 * Read ":100644 100755 <id> <id> M", which ends there or at a space. Returns false if it is
 * anything else, or if status and modes contradict each other.
 */
bool change_parse(const void *text, size_t size, struct change *change);

bool entry_equal(const struct entry *a, const struct entry *b);

/** Write "100644 1a2b3c..." or "nothing". Returns out. */
const char *entry_text(const struct entry *entry, char out[ENTRY_SIZE]);

/** Write a path in quotes, bytes that a terminal should not see as \ooo, long ones cut. */
const char *quote_path(const void *path, size_t size, char out[QUOTED_SIZE]);

#endif
