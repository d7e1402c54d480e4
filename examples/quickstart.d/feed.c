/* SPDX-License-Identifier: Apache-2.0 */
/**
 * From git to the log, with a count of the keys on the way.
 */
#include "feed.h"

#include "census.h"
#include "history.h"

#include <string.h>

#define PROGRESS_RECORDS 1000

/** Room for git's words of a change and the commit's id. */
#define VALUE_SIZE 512

/** Key: the path. Value: git's own words and the commit. */
static bool append(const struct log *log, struct log_writer *writer,
                   const struct history_change *change)
{
    char value[VALUE_SIZE];
    int size = snprintf(value, sizeof value, "%s %s", change->text, change->commit);
    struct log_record record = {.key = change->path,
                                .key_size = change->path_size,
                                .value = value,
                                .value_size = (size_t)size};

    if (size < 0 || (size_t)size >= sizeof value) {
        fprintf(stderr, "git diff-tree printed something unknown\n");
        return false;
    }
    return log->kind->append(writer, &record);
}

static bool feed_history(struct history *history, const struct log *log,
                         struct log_writer *writer, struct census *census,
                         bool (*progress)(uint64_t records), struct feed_totals *totals)
{
    struct history_change change;
    int more;

    while ((more = history_next(history, &change)) > 0) {
        if (!append(log, writer, &change))
            return false;
        if (!census_add(census, change.path, change.path_size)) {
            fprintf(stderr, "memory is exhausted\n");
            return false;
        }
        if (++totals->records % PROGRESS_RECORDS == 0 && !progress(totals->records))
            return false;
    }
    totals->commits = history->commits;
    if (more < 0 || !log->kind->flush(writer))
        return false;
    if (census_take(census, &totals->keys, &totals->busiest))
        return true;
    fprintf(stderr, "the keys could not be counted\n");
    return false;
}

bool feed(struct log *log, const char *commits_file, struct repository *repository,
          bool (*progress)(uint64_t records), struct feed_totals *totals)
{
    struct log_writer *writer = log->kind->open(log);
    struct census *census = census_create();
    struct history history;
    bool fed = false;

    *totals = (struct feed_totals){0};
    if (census == NULL)
        fprintf(stderr, "memory is exhausted\n");
    else if (writer != NULL && history_open(&history, repository, commits_file)) {
        fed = feed_history(&history, log, writer, census, progress, totals);
        history_close(&history);
    }
    census_destroy(census);
    if (writer != NULL)
        log->kind->close(writer);
    return fed;
}
