/* SPDX-License-Identifier: Apache-2.0 */
/* Gathering: lanes that can run and wait to be a batch, with others of their route or with more of
 * their own records.
 *
 * Upholds: what is gathered runs when its batch is full; when it has records_min, its first lane
 * has waited for wait_ms, or a lane of it can grow no more, as soon as workers want it; and when
 * memory is nearly full (G7).
 * Records with a weight, dead letters, and what is on trial are not gathered. Control's alone. */
#ifndef KLANE_CORE_GATHER_H
#define KLANE_CORE_GATHER_H

#include "core/ready.h"

#include <sys/queue.h>

struct core;
struct klane_slot;
struct partition;

/* Of a route. Batches of one lane are only waited for: whoever gets the lane takes what it has. */
struct gather_rule {
    uint32_t records_max; /* of a batch; 0: the route gathers nothing */
    uint32_t records_min;
    uint32_t wait_ms;
    bool many_lanes;
};

struct gather_route {
    struct gather_rule rule;
    struct lane_list lanes; /* in the order in which they came */
    uint64_t records;       /* what they were counted with */
    uint32_t grown;         /* of these lanes, those that are as long as they get */
    TAILQ_ENTRY(gather_route) link;
};

struct gather {
    struct gather_route *routes; /* by their index; NULL: none gathers */
    uint32_t lanes;              /* of all */
    TAILQ_HEAD(gather_list, gather_route)
    filled; /* those that have lanes; the next to go is first */
};

void gather_deinit(struct gather *gather);

/* The lane's held slot is SLOT_READY and in no list. True: it is gathered now. */
bool gather_add(struct core *core, struct lane *lane);

/* The same, of a lane that was ready and is to be handed over: it could not be gathered before. */
bool gather_takes(struct core *core, struct lane *lane);

/* The lane, which control holds, has one record more. */
void gather_grows(struct core *core, struct lane *lane);

/* The lane's held slot is SLOT_GATHERED: it is in no list any more. */
void gather_remove(struct core *core, struct lane *lane);

/* The same; and it is held once more, as it may have been stopped by hand. */
void gather_again(struct core *core, struct lane *lane);

/* All lanes of some partitions were. */
void gather_stop(struct core *core);

/* Nothing more will come: what is gathered need not wait. */
void gather_let_go(struct core *core);

/* Time passed, and when that has to be told at the latest. */
void gather_tick(struct core *core);
int64_t gather_due_ms(const struct core *core);

#ifdef KLANE_TESTING
void gather_verify(const struct core *core);
#endif

#endif
