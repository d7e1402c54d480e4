/* SPDX-License-Identifier: Apache-2.0 */
/* What keeps the base of an assignment where it is. Upholds: it is the record at the base, or, of
 * a lane of which only the place is kept, that lane. */
#ifndef KLANE_CORE_BLOCKER_H
#define KLANE_CORE_BLOCKER_H

#include "core/assignment.h"

struct core_blocker {
    int64_t offset;
    const struct klane_slot *slot; /* NULL: it is parked, */
    const struct parked *parked;   /* or NULL: it came back and does not run here any more */
};

/* False: all that was taken in is finished, or the assignment has ended. */
bool core_blocker(const struct klane_assignment *assignment, struct core_blocker *blocker);

#endif
