/* SPDX-License-Identifier: Apache-2.0 */
/* Assertions under Relacy; stands before runtime/base/assert.h. */
#ifndef KLANE_BASE_ASSERT_H
#define KLANE_BASE_ASSERT_H

#include "model.h"

#define KLANE_ASSERT(condition) RL_ASSERT(condition)
#define KLANE_MARK(text) ((void)0)
#define _Static_assert(condition, text) struct model_no_static_assert

#endif
