/* SPDX-License-Identifier: Apache-2.0 */
/* Weights: what the handlers of records take, as the program says.
 *
 * Upholds: the weights of what runs never pass max together, but for one that is larger than that
 * and runs while no other does; what waits is let on in the order in which it came, so that a
 * heavy record is not overtaken for ever. A record without a weight never waits here.
 *
 * A weight is paid when control hands a slot over, and paid back when the slot comes back; what a
 * worker gets by the chain is unpaid, and goes through control. */
#ifndef KLANE_CORE_WEIGHTS_H
#define KLANE_CORE_WEIGHTS_H

#include "core/ready.h"

#include <stdbool.h>
#include <stdint.h>

struct core;
struct klane_slot;
struct lane;

struct weights {
    uint64_t max;
    uint64_t out;          /* paid */
    uint32_t waiting;      /* lanes whose held slot is SLOT_HEAVY */
    struct lane_list line; /* those lanes, in the order in which they came */
};

/* The lane's held slot may be handed over. False: it waits for its weight, and is held on. */
bool weights_pay(struct core *core, struct lane *lane);

/* The slot came back, or is not handed over after all. What waits and fits is ready. */
void weights_pay_back(struct core *core, struct klane_slot *slot);

/* The lane's held slot, which is SLOT_HEAVY, waits no more. */
void weights_forget(struct core *core, struct lane *lane);

#endif
