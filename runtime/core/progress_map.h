/* SPDX-License-Identifier: Apache-2.0 */
/* The progress map: what is finished above the base of a partition, as text that is committed
 * with the base.
 *
 * Upholds: what a map does not list below its ceiling is finished. Only a map that was written
 * whole, for this base, by this format is read; every other is refused with the reason, which
 * costs repeats, never a record.
 *
 * Inside a lane records finish in order, so one offset says it all: its head, the first that is
 * unfinished. The map lists each lane that has something unfinished below the ceiling, by the
 * fingerprint of its name, with its head; records that have no lane, by their offset. If not all
 * fit, the ceiling is the least head that did not: more is repeated, nothing else. What fitted
 * once still fits when heads have moved on, so the ceiling need never fall.
 *
 * The format, version 1. Numbers are big-endian in digits of six bits: - 0..9 A..Z _ a..z, in the
 * order of ASCII, so it is independent of the host. Sizes in characters:
 *
 *   at   size
 *    0     2   "k1": klane's, version 1
 *    2     6   check: the low 36 bits of XXH3-64 (seed: the base) over all that follows it
 *    8     1   order: k by key, p by partition, n none
 *    9     1   records without a key: o in order, u not
 *   10     6   version of the program's key function; 0: it has none
 *   16    11   seed of the fingerprints
 *   27    11   ceiling
 *   38     1   width: digits of a distance
 *   39     6   leader epoch of the ceiling, plus one; 0: unknown
 *   45     3   starts: stays in a row that ended, soon and without a word, with their process;
 *              0: the last one ended in order
 *   48     3   lanes
 *   51     3   records
 *   54         for each lane, by rising fingerprint: fingerprint (11), ceiling - head (width)
 *              for each record, by rising offset: ceiling - offset (width)
 *              notes, to the end: index into lanes and records (3), attempts so far (4), time
 *              before which it is not to run again, in ms since 1970, 0: none; or, below 16,
 *              how many of its starts ended with the process (7)
 *
 * A note is left out where it does not fit: the attempts of that record begin again. */
#ifndef KLANE_CORE_PROGRESS_MAP_H
#define KLANE_CORE_PROGRESS_MAP_H

#include <klane/klane.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROGRESS_MAP_HEADER 54U

/* Which record belongs to which lane. A map is of use only by the same rules. */
struct progress_scheme {
    enum klane_order order;
    enum klane_null_keys null_keys;
    uint32_t key_version;
};

struct progress_lane {
    uint64_t fingerprint; /* not of a record without a lane: its offset names it */
    int64_t head;
    int64_t due_ms;    /* since 1970; 0: at once */
    uint32_t attempts; /* of the head so far; 0: none */
    uint32_t crashes;  /* of them those that ended with the process; then due_ms is 0 */
    bool is_record;    /* of no lane */
};

struct progress_map {
    struct progress_scheme scheme;
    uint64_t seed;
    int64_t base;
    int64_t ceiling;
    int32_t leader_epoch; /* -1: unknown */
    uint32_t starts;
    struct progress_lane *lanes;
    uint32_t count;
};

enum progress_refusal {
    PROGRESS_READ,
    PROGRESS_ABSENT,       /* no text */
    PROGRESS_FOREIGN,      /* not klane's */
    PROGRESS_NEWER,        /* of a version that is not known here */
    PROGRESS_TORN,         /* not whole, or not for this base */
    PROGRESS_OTHER_SCHEME, /* by other rules of order or key */
    PROGRESS_BEYOND_LOG,   /* the log ends below the ceiling */
    PROGRESS_NO_MEMORY
};

/* The largest map; and what its header takes, without which there is none. */
#define PROGRESS_MAP_MAX 65536U

/* The most crashes that a note can say. */
#define PROGRESS_CRASHES_MAX 15U

/* For qsort(). */
int progress_lane_by_head(const void *left, const void *right);

/* Write the map into text, at most limit characters and a NUL, which is not counted. What does not
 * fit is left out from the highest head down, and the map's ceiling is lowered to the least of
 * what was left out. The map's lanes are sorted, and those that share a fingerprint become one,
 * at the lower head. Returns the length; 0: not even the header fits. */
size_t progress_map_write(struct progress_map *map, char *text, size_t limit);

/* Read text (need not end with NUL) that was committed with base. It has to be of this scheme;
 * NULL: of any.
 * On PROGRESS_READ the lanes are the caller's, to be freed by progress_map_free(). */
enum progress_refusal progress_map_read(struct progress_map *map, const char *text, size_t size,
                                        int64_t base, const struct progress_scheme *scheme);

void progress_map_free(struct progress_map *map);

#endif
