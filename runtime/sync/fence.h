/* SPDX-License-Identifier: Apache-2.0 */
/* The full fence, for the one pattern that needs it: two threads that each write, then look at
 * what the other wrote (sync/idle.h).
 *
 * It is Concurrency Kit's and not C11's, because what it orders is the ring's words as well,
 * which ck reads and writes outside C11; and because the race detector does not know fences of
 * either kind: no edge for a payload may rest on it. */
#ifndef KLANE_SYNC_FENCE_H
#define KLANE_SYNC_FENCE_H

#include <ck_pr.h>

static inline void fence_full(void)
{
    ck_pr_fence_memory();
}

/* The same between an atomic read-modify-write of ck's and a load that follows: free where the
 * processor's own operation is a full fence. */
static inline void fence_after_atomic(void)
{
    ck_pr_fence_atomic_load();
}

#endif
