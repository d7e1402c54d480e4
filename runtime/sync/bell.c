/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/bell.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

bool bell_init(struct bell *bell)
{
    atomic_init(&bell->state, BELL_AWAKE);
    bell->descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return bell->descriptor != -1;
}

void bell_deinit(struct bell *bell)
{
    if (bell->descriptor != -1)
        close(bell->descriptor);
}

void bell_disarm(struct bell *bell, bool readable)
{
    uint64_t count;

    /* Relaxed: it only tells senders that they need not ring; the mailboxes are looked at next. */
    atomic_store_explicit(&bell->state, BELL_AWAKE, memory_order_relaxed);
    if (readable)
        while (read(bell->descriptor, &count, sizeof(count)) == -1 && errno == EINTR)
            continue;
}

void bell_write(const struct bell *bell)
{
    int saved_errno = errno;
    uint64_t one = 1;

    /* Fails only when the counter is at its largest: then it is readable anyway. */
    while (write(bell->descriptor, &one, sizeof(one)) == -1 && errno == EINTR)
        continue;
    errno = saved_errno;
}

void bell_wake(struct bell *bell)
{
    /* Relaxed: it settles who writes, and orders nothing. */
    if (atomic_exchange_explicit(&bell->state, BELL_AWAKE, memory_order_relaxed) != BELL_AWAKE)
        bell_write(bell);
}
