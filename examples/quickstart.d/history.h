/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The history of a repository as a stream of changes: commits along the first parents from the
 * oldest on, each against its predecessor, so that the changes of one path form one chain. A merge
 * counts as what it brought; a rename is a deletion and an addition; links and submodules are
 * entries like others. The oldest commit is against nothing, also where a shallow clone ends.
 */
#ifndef KLANE_QUICKSTART_HISTORY_H
#define KLANE_QUICKSTART_HISTORY_H

#include "git.h"

/** One change, in git's words; everything lives until history_next() is called again. */
struct history_change {
    const char *path;
    size_t path_size;
    const char *text; /**< As change_parse() reads it. */
    const char *commit;
};

struct history {
    struct git git;
    char commit[OBJECT_ID_SIZE];
    uint64_t commits;
    char *text;
    char *path;
    size_t text_room;
    size_t path_room;
};

/** Begin. file: a name for a temporary file. Returns false after telling on stderr why. */
bool history_open(struct history *history, struct repository *repository, const char *file);

/** Returns 1 and the next change, 0 at the end, -1 after telling on stderr what is wrong. */
int history_next(struct history *history, struct history_change *change);

void history_close(struct history *history);

#endif
