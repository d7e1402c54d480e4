/* SPDX-License-Identifier: Apache-2.0 */
/* What keeps the base of an assignment, or a lane, where it is; and what an operator may do about
 * it. Upholds: it is the record at the base, or at the lane's head, or, where only the place is
 * kept, that; what runs, or is about to, is left alone. */
#ifndef KLANE_CORE_BLOCKER_H
#define KLANE_CORE_BLOCKER_H

#include "core/core.h"

struct core_blocker {
    int64_t offset;
    struct klane_slot *slot; /* NULL: it is parked, */
    struct parked *parked;   /* or NULL: it came back and does not run here any more */
};

/* False: all that was taken in is finished, or the assignment has ended. */
bool core_blocker(const struct klane_assignment *assignment, struct core_blocker *blocker);

/* The first unfinished record of a lane. False: all of it that was taken in is finished. */
bool core_lane_blocker(const struct core *core, const struct klane_assignment *assignment,
                       const struct lane_name *name, struct core_blocker *blocker);

/* The unfinished record of this offset, in memory, or the head of a parked lane; or neither, as it
 * waits behind others of its lane, or it cannot be told whose it is. False: there is none. */
bool core_unfinished_at(const struct klane_assignment *assignment, int64_t offset,
                        struct core_blocker *blocker);

/* The slot waits for a time, or is not to run here. */
bool core_waits(const struct klane_slot *slot);

/* It need not wait any longer. False: the program holds it. */
bool core_wait_ends(struct core *core, struct klane_slot *slot);

/* It waits no more: the caller says by core_came_back() what has become of it. */
void core_wait_is_over(struct core *core, struct klane_slot *slot);

/* A parked lane need not wait for the time of its head any longer (false: it is held by hand); or
 * its head is finished. */
bool core_parked_wait_ends(struct core *core, struct parked *parked);
void core_parked_finish(struct core *core, struct parked *parked, bool is_skipped);

#endif
