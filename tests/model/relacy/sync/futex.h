/* SPDX-License-Identifier: Apache-2.0 */
/* The futex under Relacy, which finds a sleeper that nobody wakes as a deadlock. A sleep with a
 * deadline ends whenever the search wants it to. Stands before runtime/sync/futex.h. */
#ifndef KLANE_SYNC_FUTEX_H
#define KLANE_SYNC_FUTEX_H

#include "model.h"

struct futex_deadline {
    bool never;
};

static inline void futex_deadline_set(struct futex_deadline *deadline, int64_t delay_ms)
{
    deadline->never = delay_ms < 0;
}

static inline bool futex_wait(rl::atomic<uint32_t> *word, uint32_t expected,
                              const struct futex_deadline *deadline)
{
    rl::context &context = rl::ctx();
    uint32_t found = expected;

    context.sched();
    {
        /* Looking at the word and going to sleep are one step; an exchange sees its last value. */
        rl::preemption_disabler together(context);

        if (!word->compare_exchange_strong(found, expected, rl::mo_relaxed, RL_INFO,
                                           rl::mo_relaxed, RL_INFO))
            return true;
    }
    return word->wait(context, !deadline->never, false, RL_INFO) != rl::unpark_reason_timeout;
}

static inline void futex_wake(rl::atomic<uint32_t> *word)
{
    rl::context &context = rl::ctx();

    context.sched();
    word->wake(context, 1, RL_INFO);
}

#endif
