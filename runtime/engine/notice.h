/* SPDX-License-Identifier: Apache-2.0 */
/* What some outcomes carry besides themselves. */
#ifndef KLANE_ENGINE_NOTICE_H
#define KLANE_ENGINE_NOTICE_H

#include "core/slot.h"

/* Longer reasons are cut. Bytes. */
#define NOTICE_REASON_MAX 255

/* reason may be NULL. NULL: no memory. Freed by control, with free(). */
struct slot_notice *notice_make(int64_t delay_ms, const char *reason);

#endif
