/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The table into which the handlers fold the log: for each path what stands there and which record
 * said so last. Each record states what the path was before; if the table holds anything else, a
 * record of that path was lost or came out of order, and fold_apply() says which.
 *
 * Upholds: a record takes effect once, whoever brings it and however often. Row and offset are
 * read and written in one transaction, so the row itself tells which records it has seen: after a
 * crash, and to a process that takes a path over from another.
 */
#ifndef KLANE_QUICKSTART_FOLD_H
#define KLANE_QUICKSTART_FOLD_H

#include "change.h"

#include <stdio.h>

struct fold;

enum fold_result {
    FOLD_APPLIED,  /**< The table has taken the change over. */
    FOLD_REPEATED, /**< The table had taken it over before; nothing changed. */
    FOLD_WRONG,    /**< The change does not follow from the table; nothing changed. */
    FOLD_FAILED    /**< The table could not be read or written. */
};

/** Where a change stands in the log. */
struct place {
    const void *path;
    size_t path_size;
    int32_t partition;
    int64_t offset;
};

/** What the table amounts to. */
struct fold_totals {
    uint64_t keys;        /**< Paths that ever were. */
    uint64_t paths;       /**< Of them those that are. */
    uint64_t changes;     /**< Records that took effect. */
    uint64_t differences; /**< From the tree it was compared with. */
};

/** Open or make the table in this file. NULL on an error, which why then tells. */
struct fold *fold_open(const char *file, char *why, size_t why_size);

/** Close it. NULL is allowed. */
void fold_close(struct fold *fold);

/** Take one change over. Thread: any. On FOLD_WRONG and FOLD_FAILED why tells what is wrong. */
enum fold_result fold_apply(struct fold *fold, const struct place *place,
                            const struct change *change, char *why, size_t why_size);

/**
 * Compare with what `git ls-tree -r -z` prints and tell the first differences on report. Returns
 * false if one of the two could not be read.
 */
bool fold_compare(struct fold *fold, FILE *tree, FILE *report, struct fold_totals *totals);

#endif
