/* SPDX-License-Identifier: Apache-2.0 */
/* The full fence under Relacy; stands before runtime/sync/fence.h. */
#ifndef KLANE_SYNC_FENCE_H
#define KLANE_SYNC_FENCE_H

#include "model.h"

#define fence_full() model_fence(__func__, RL_INFO)

#endif
