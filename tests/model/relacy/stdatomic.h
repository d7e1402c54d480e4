/* SPDX-License-Identifier: Apache-2.0 */
/* C11 atomics on top of Relacy, so that the shipped sources run under its memory model unchanged.
 * Found before the compiler's own header because its directory comes first.
 *
 * Each operation knows the function that it stands in. So a mutant can weaken one order in one
 * function, or take an operation apart, without another copy of the source (model.h). */
#ifndef KLANE_STDATOMIC_H
#define KLANE_STDATOMIC_H

#include "model.h"

#define _Atomic(type) rl::atomic<type>

#undef memory_order_relaxed
#undef memory_order_consume
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst
#define memory_order_relaxed rl::mo_relaxed
#define memory_order_acquire rl::mo_acquire
#define memory_order_release rl::mo_release
#define memory_order_acq_rel rl::mo_acq_rel
#define memory_order_seq_cst rl::mo_seq_cst

#define atomic_init(object, value) (object)->store((value), rl::mo_relaxed, RL_INFO)
#define atomic_load_explicit(object, order)                                                     \
    (object)->load(model_order(__func__, (order)), RL_INFO)
#define atomic_store_explicit(object, value, order)                                             \
    (object)->store((value), model_order(__func__, (order)), RL_INFO)
#define atomic_exchange_explicit(object, value, order)                                          \
    model_rmw<MODEL_EXCHANGE>(__func__, (object), (value), (order), RL_INFO)
#define atomic_fetch_add_explicit(object, value, order)                                         \
    model_rmw<MODEL_ADD>(__func__, (object), (value), (order), RL_INFO)
#define atomic_fetch_sub_explicit(object, value, order)                                         \
    model_rmw<MODEL_SUB>(__func__, (object), (value), (order), RL_INFO)
#define atomic_fetch_and_explicit(object, value, order)                                         \
    model_rmw<MODEL_AND>(__func__, (object), (value), (order), RL_INFO)
#define atomic_fetch_or_explicit(object, value, order)                                          \
    model_rmw<MODEL_OR>(__func__, (object), (value), (order), RL_INFO)
#define atomic_compare_exchange_strong_explicit(object, expected, value, success, failure)      \
    model_compare_exchange(__func__, (object), (expected), (value), (success), (failure), RL_INFO)
/* A weak exchange that fails for no reason only goes round its loop once more. */
#define atomic_compare_exchange_weak_explicit atomic_compare_exchange_strong_explicit

#endif
