/* SPDX-License-Identifier: Apache-2.0 */
/* What a group has committed, from whichever log, to be printed. */
#ifndef KLANE_PROGRESS_PROGRESS_H
#define KLANE_PROGRESS_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

/** One partition. offset -1: nothing was committed; log_end -1: not known. */
struct committed {
    int32_t partition;
    int64_t offset;
    int64_t log_end;
    const char *metadata;
    size_t metadata_size;
};

/** key NULL: none is asked for. */
void print_committed(const struct committed *committed, const char *key);

/** Each returns 0, or 1 after an error, which is printed. place: a file, or HOST:PORT. */
int print_sqlite(const char *place, const char *group, const char *topic, const char *key);
int print_kafka(const char *place, const char *group, const char *topic, const char *key);

#endif
