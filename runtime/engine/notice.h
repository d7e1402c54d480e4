/* SPDX-License-Identifier: Apache-2.0 */
/* What some outcomes carry besides themselves. */
#ifndef KLANE_ENGINE_NOTICE_H
#define KLANE_ENGINE_NOTICE_H

#include "core/slot.h"

/* Longer reasons are cut. Bytes. */
#define NOTICE_REASON_MAX 255

/* By the holder, with its outcome; delay_ms negative: the route's; reason may be NULL. Without
 * memory there is none, and the outcome stands without it. A dead letter keeps its own reason;
 * that it was not kept is logged. */
void notice_set(struct klane_slot *slot, enum klane_outcome outcome, int64_t delay_ms,
                const char *reason);

/* By the holder, at most once for an attempt: klane_finish() will say. */
void slot_later(struct klane_slot *slot, klane_token_t *token);

/* Of a slot that has none. False: no memory. */
bool notice_make(struct klane_slot *slot, int64_t delay_ms, const char *reason);

#endif
