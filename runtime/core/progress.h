/* SPDX-License-Identifier: Apache-2.0 */
/* The progress of an assignment: its map is written for each commit, and taken up again by the
 * next assignment of the partition, wherever that is.
 *
 * Upholds: what a map does not list below its ceiling is finished (G2). After a restart only what
 * was unfinished runs again, and what is above the ceiling (G5).
 *
 * Taking it up is parking: the records go on at the ceiling, and each lane that the map lists is
 * parked, from its head to the ceiling. */
#ifndef KLANE_CORE_PROGRESS_H
#define KLANE_CORE_PROGRESS_H

#include "core/heap.h"
#include "core/progress_map.h"

struct core;
struct klane_assignment;

/* By which maps are told apart, and how far one speaks. */
struct progress_mark {
    uint64_t hash; /* of the text; 0: there is none */
    int64_t ceiling;
    uint32_t size; /* of the text */
};

/* A map as it is committed. */
struct progress_text {
    char *text; /* NULL: none */
    struct progress_mark mark;
};

/* With what maps are written. */
struct progress_writer {
    uint32_t limit;            /* characters of a map; 0: none are written */
    const struct heap *timers; /* of lanes that wait for a retry, by the time when it is due */
    int64_t wall_ms;           /* the time since 1970 minus the core's */
    char *text;
    struct progress_lane *lanes;
    uint32_t capacity; /* of lanes */
};

/* limit: 0, or up to PROGRESS_MAP_MAX. False: no memory. */
bool progress_writer_init(struct progress_writer *writer, uint32_t limit,
                          const struct heap *timers);
void progress_writer_deinit(struct progress_writer *writer);

/* Write the assignment's map as it is now. False: no memory; it keeps the one it had. */
bool progress_write(struct progress_writer *writer, struct klane_assignment *assignment);

/* The same, at the end: without memory there is none. */
void progress_write_last(struct progress_writer *writer, struct klane_assignment *assignment);

/* The log does not take a map as large as the one that is out: the next ones are half as large,
 * and the assignment's last one is no larger. */
void progress_shorten(struct progress_writer *writer, struct klane_assignment *assignment);

void progress_text_free(struct progress_text *text);

#endif
