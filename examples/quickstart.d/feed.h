/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Writing the history of a repository into the log: a record for each change, its key the path,
 * so that the changes of one path stay in order and those of different paths need not.
 */
#ifndef KLANE_QUICKSTART_FEED_H
#define KLANE_QUICKSTART_FEED_H

#include "git.h"
#include "log.h"

/** What the log has after it was fed. */
struct feed_totals {
    uint64_t commits;
    uint64_t records;
    uint64_t keys;
    uint64_t busiest; /**< Records of the key that has most. */
};

/**
 * Make the log and feed it; calls progress now and then, which returns false to give up. Returns
 * false after telling on stderr what failed.
 */
bool feed(struct log *log, const char *commits_file, struct repository *repository,
          bool (*progress)(uint64_t records), struct feed_totals *totals);

#endif
