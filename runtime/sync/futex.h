/* SPDX-License-Identifier: Apache-2.0 */
/* Linux's futex: sleep while a word has a value. Private to the process. */
#ifndef KLANE_SYNC_FUTEX_H
#define KLANE_SYNC_FUTEX_H

#include "base/assert.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct futex_deadline {
    struct timespec monotonic;
    bool never;
};

/* delay_ms from now; negative: never. */
static inline void futex_deadline_set(struct futex_deadline *deadline, int64_t delay_ms)
{
    int64_t nanoseconds;

    deadline->never = true;
    if (delay_ms < 0)
        return;
    clock_gettime(CLOCK_MONOTONIC, &deadline->monotonic);
    if (delay_ms / 1000 > INT32_MAX) /* 68 years; spares an overflow */
        return;
    deadline->never = false;
    nanoseconds = deadline->monotonic.tv_nsec + delay_ms % 1000 * 1000000;
    deadline->monotonic.tv_sec += (time_t)(delay_ms / 1000 + nanoseconds / 1000000000);
    deadline->monotonic.tv_nsec = (long)(nanoseconds % 1000000000);
}

/* Sleep while *word is expected. May return at any time, so the caller looks again. False: the
 * deadline passed. */
static inline bool futex_wait(_Atomic(uint32_t) *word, uint32_t expected,
                              const struct futex_deadline *deadline)
{
    const struct timespec *timeout = deadline->never ? NULL : &deadline->monotonic;
    int saved_errno = errno;
    long result;
    bool timed_out;

    /* The bitset form has an absolute deadline, so a signal does not lengthen the sleep. */
    result = syscall(SYS_futex, (uint32_t *)(uintptr_t)word, FUTEX_WAIT_BITSET_PRIVATE, expected,
                     timeout, NULL, FUTEX_BITSET_MATCH_ANY);
    timed_out = result == -1 && errno == ETIMEDOUT;
    KLANE_ASSERT(result == 0 || timed_out || errno == EAGAIN || errno == EINTR);
    errno = saved_errno;
    return !timed_out;
}

/* Wake who sleeps on the word, after it was changed. */
static inline void futex_wake(_Atomic(uint32_t) *word)
{
    int saved_errno = errno;

    (void)syscall(SYS_futex, (uint32_t *)(uintptr_t)word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    errno = saved_errno;
}

#endif
