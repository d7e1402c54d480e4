/* SPDX-License-Identifier: Apache-2.0 */
/* The doorbell on an eventfd. Argument and edges: source/doorbell.h. */
#include "source/doorbell.h"

#include "base/assert.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { AWAKE, ASLEEP, RUNG };

klane_err_t doorbell_init(struct doorbell *doorbell)
{
    doorbell->descriptor = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    if (doorbell->descriptor < 0)
        return KLANE_ERR_SYSTEM;
    doorbell->writes_due = 0; /* doorbell_disarm() finds RUNG and counts the one above */
    doorbell->armed = true;
    atomic_init(&doorbell->state, RUNG);
    return KLANE_OK;
}

void doorbell_deinit(struct doorbell *doorbell)
{
    close(doorbell->descriptor);
    doorbell->descriptor = -1;
}

void doorbell_ring(struct doorbell *doorbell)
{
    const uint64_t one = 1;
    int saved_errno = errno;
    ssize_t written;

    /* B1 release: the news before the ring. Pairs with doorbell_disarm(). Acquire is not
     * needed: who rings reads nothing of the sleeper's. */
    if (atomic_exchange_explicit(&doorbell->state, RUNG, memory_order_release) != ASLEEP)
        return;
    do
        written = write(doorbell->descriptor, &one, sizeof(one));
    while (written < 0 && errno == EINTR);
    KLANE_ASSERT(written == (ssize_t)sizeof(one));
    errno = saved_errno;
}

/* Takes back what was written so far. */
static void writes_read(struct doorbell *doorbell)
{
    uint64_t writes = 0;
    ssize_t got;

    do
        got = read(doorbell->descriptor, &writes, sizeof(writes));
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof(writes)) {
        KLANE_ASSERT(errno == EAGAIN);
        return;
    }
    KLANE_ASSERT(writes <= doorbell->writes_due);
    doorbell->writes_due -= writes;
}

void doorbell_disarm(struct doorbell *doorbell)
{
    /* B1 acquire: the news of whoever rang. Pairs with doorbell_ring(). */
    uint32_t was = atomic_exchange_explicit(&doorbell->state, AWAKE, memory_order_acquire);

    if (doorbell->armed && was == RUNG)
        doorbell->writes_due++;
    doorbell->armed = false;
    if (doorbell->writes_due != 0)
        writes_read(doorbell);
}

bool doorbell_arm(struct doorbell *doorbell)
{
    uint32_t expected = AWAKE;

    KLANE_ASSERT(!doorbell->armed);
    /* Relaxed: the sleeper publishes nothing by it, and after a failure it disarms. */
    doorbell->armed = atomic_compare_exchange_strong_explicit(
        &doorbell->state, &expected, ASLEEP, memory_order_relaxed, memory_order_relaxed);
    return doorbell->armed;
}
