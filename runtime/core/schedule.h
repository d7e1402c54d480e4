/* SPDX-License-Identifier: Apache-2.0 */
/* Records that are not to run yet: before their own time, or while the program holds their key,
 * their topic, or everything.
 *
 * Upholds: such a record holds no worker, and only its own lane waits for it (G3). Control asks
 * when it comes to hold the record; what workers pass on to each other is unpaid, so that they ask
 * too. It is put aside as SLOT_SCHEDULED, among the timers of what waits for a retry, until its
 * time, or for ever: klane_release() looks through these. A held topic takes nothing in. */
#ifndef KLANE_CORE_SCHEDULE_H
#define KLANE_CORE_SCHEDULE_H

#include "core/lane.h"
#include "core/table.h"

struct core;
struct klane_assignment;
struct klane_slot;
struct partition;

/* What is held of a partition; bits. */
enum partition_stops {
    STOPS_ALL = 1,
    STOPS_KEYS = 2 /* some keys: see struct schedule */
};

/* A topic of which the program holds something. */
struct schedule_topic {
    struct schedule_topic *next;
    uint32_t keys; /* of it that are held */
    bool is_held;  /* all of it */
    char name[];
};

/* What the program holds. Thousands of keys may be: they are found by a hash. */
struct schedule {
    bool is_everything_held;
    struct schedule_topic *topics;
    struct table keys; /* of struct schedule_key; made with the first one */
};

/* The lane's held slot, which was to be ready, is not to run yet: it was put aside. */
bool schedule_puts_aside(struct core *core, struct lane *lane);

/* The program holds this lane: workers are to ask for each record of it. */
bool schedule_stops(const struct core *core, const struct lane_name *name);

/* A partition is new to the core. */
void schedule_partition(struct core *core, struct partition *partition);

void schedule_deinit(struct core *core);

#endif
