/* SPDX-License-Identifier: Apache-2.0 */
/* Tells the sources of this process at once that a log has grown.
 *
 * Upholds: a helper that was removed is not touched any more. Sources of other processes find out
 * by themselves, by looking at the file. The mutex is taken by threads that append or make and
 * destroy sources only; never by control or by a worker that does none of these. */
#ifndef KLANE_SOURCE_SQLITE_NOTIFY_H
#define KLANE_SOURCE_SQLITE_NOTIFY_H

#include "source/helper.h"

#include <sys/types.h>

/* Belongs to the source; in the list from notify_add() to notify_remove(). */
struct notify_reader {
    struct notify_reader *next;
    struct notify_reader **link; /* NULL: not in the list */
    struct helper *helper;
    dev_t device;
    ino_t inode;
};

/* helper, device and inode are set. */
void notify_add(struct notify_reader *reader);

/* Allowed if it was never added. On return its helper is not used any more. */
void notify_remove(struct notify_reader *reader);

/* Wakes every reader of this file. */
void notify_readers(dev_t device, ino_t inode);

#endif
