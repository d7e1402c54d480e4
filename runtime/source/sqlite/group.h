/* SPDX-License-Identifier: Apache-2.0 */
/* A group's lease on a log: which process consumes for it.
 *
 * Upholds: for one group and log one process consumes. Whoever comes next counts the group's
 * generation up, in the log; a commit is only made in a transaction that finds the generation
 * that it joined with. So the one that was passed over, because it was paused or took too long,
 * can commit no more and is told so (KLANE_ERR_FENCED), whatever anybody believed before.
 *
 * When the other may be passed over is told by a byte of source/sqlite/locks.h that stands for the
 * group and generation: the system lets go of it when its process ends, and a look finds the group
 * free at once. The byte also moves on with every beat, so that a process that is paused is one
 * whose byte stays: after GROUP_SILENT_LOOKS looks it is passed over. Looks are counted, not time:
 * one who was not given the processor itself does not blame the other.
 *
 * The helper's, but for sqlite_group_beat(): control's, from the answer to the join on until it
 * sends the request to close. */
#ifndef KLANE_SOURCE_SQLITE_GROUP_H
#define KLANE_SOURCE_SQLITE_GROUP_H

#include "source/sqlite/database.h"

enum {
    GROUP_BEAT_MS = 100, /* how often the one that consumes beats */
    GROUP_LOOK_MS = 50,  /* how often those that wait look */
    GROUP_SILENT_LOOKS = 14
};

enum sqlite_group_statement {
    GROUP_BEGIN_WRITE,
    GROUP_END,
    GROUP_ROLLBACK,
    GROUP_ADD,
    GROUP_FIND,
    GROUP_GENERATION,
    GROUP_NEXT_GENERATION,
    GROUP_STATEMENTS
};

struct sqlite_group {
    struct database *database;
    sqlite3_stmt *statements[GROUP_STATEMENTS];
    char *name; /* not changed after init: anybody may read it */
    int locks;  /* source/sqlite/locks.h; -1: not open */

    /* Of the one that consumes. */
    int64_t id;         /* 0: it has not joined */
    int64_t generation; /* that it joined with */
    uint32_t beats;     /* whose byte is locked; control's while it beats */

    /* Of one that waits: what the last look found. */
    int64_t seen_generation; /* -1: the log does not know the group */
    int64_t seen_byte;
    unsigned silent_looks;
};

/* On an error database->text says why. */
klane_err_t sqlite_group_init(struct sqlite_group *group, struct database *database,
                              const char *name);

/* Before the database is closed: nothing is committed any more, and another process may join. */
void sqlite_group_leave(struct sqlite_group *group);

/* Leaves, and frees the name. Allowed after a failed init. */
void sqlite_group_deinit(struct sqlite_group *group);

/* One look: joins if no other process consumes. KLANE_ERR_TAKEN: one does; look again after
 * GROUP_LOOK_MS. */
klane_err_t sqlite_group_join(struct sqlite_group *group);

/* Whether another process consumes, without joining: looks until it is known, which is one beat or
 * the time after which a paused one is passed over. KLANE_ERR_TAKEN: one does. */
klane_err_t sqlite_group_check_free(struct sqlite_group *group);

/* KLANE_ERR_FENCED: another process has joined since. In the transaction that is open, if one
 * is. */
klane_err_t sqlite_group_check(struct sqlite_group *group);

/* Never waits. */
void sqlite_group_beat(struct sqlite_group *group);

#endif
