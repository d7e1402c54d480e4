/* SPDX-License-Identifier: Apache-2.0 */
/* What the core's files share among themselves; nobody else includes it. */
#ifndef KLANE_CORE_INTERNAL_H
#define KLANE_CORE_INTERNAL_H

#include "core/core.h"

/* core.c */
void notice_add(struct core *core, struct klane_assignment *assignment,
                enum assignment_notice notice);
void notice_forget(struct core *core, struct klane_assignment *assignment);

/* Control holds the slot, which can run: its lane is ready. */
void hold_slot(struct core *core, struct klane_slot *slot);

/* The lane holds count records now; 0: it goes. */
void quota_check(struct core *core, struct lane *lane, uint32_t count);

/* A partition that was held as the fullest has fewer slots. */
void fullness_check(struct core *core, struct partition *partition);

/* outcome.c: the slot has left its lane's list, settled or dropped; it is freed, and so is its
 * assignment, if it was the last that an ENDED one waited for. */
void slot_gone(struct core *core, struct klane_slot *slot);

/* What is left of a lane after slots have left it. */
void lane_settle(struct core *core, struct lane *lane);

/* rebalance.c */
void assignment_free(struct core *core, struct klane_assignment *assignment);

/* Draining assignments that are drained, or out of time, settle; settling ones that are
 * committed, or out of time, are reported. */
void drains_check(struct core *core, int64_t now_ms);

#endif
