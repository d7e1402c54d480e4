/* SPDX-License-Identifier: Apache-2.0 */
/* The bell: how control, asleep on its descriptors, learns of mail, and how rarely.
 *
 * Upholds: after control has armed the bell and looked once more, no mail of the urgency that it
 * asked for stays unnoticed; what is less urgent waits until it wakes up for another reason.
 *
 *   control   arm(urgency); look at the mailboxes; sleep in poll(2) if they are empty; disarm
 *   a sender  mailbox_send(); ring(urgency)
 *
 * Argument. Control writes the state, then looks at the mailbox; a sender changes the mailbox,
 * then looks at the state; a full fence lies between the two on either side, so at least one sees
 * what the other wrote: control finds the mail, or the sender finds control asleep and writes to
 * the descriptor. The sender's fence costs nothing where a compare-and-swap is one already, which
 * is why it is ck's fence between an atomic operation and a load. An exchange settles which of
 * several senders writes: one system call for a sleep.
 *
 * Most mail is quiet: a finished record only gives memory back, and nothing but the commit timer
 * waits for that. Whoever asks for more than quiet mail therefore sleeps with a timeout.
 *
 * Edge: none. What is announced passes through mailboxes with edges of their own. */
#ifndef KLANE_SYNC_BELL_H
#define KLANE_SYNC_BELL_H

#include "sync/fence.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* How urgent mail is; and, of control, the least urgency that is to wake it. */
enum bell_urgency {
    BELL_QUIET,  /* a record is finished */
    BELL_WANTED, /* control can hand more out, or take more in */
    BELL_URGENT, /* something waits for control itself */
    BELL_AWAKE   /* of control only: it is awake, nobody need ring */
};

struct bell {
    _Atomic uint32_t state; /* enum bell_urgency; control arms, control or one sender disarms */
    int descriptor;         /* fixed from the start */
};

/* False: no descriptor (errno). */
bool bell_init(struct bell *bell);
void bell_deinit(struct bell *bell);

/* Control: about to sleep. Look at everything once more after this. */
static inline void bell_arm(struct bell *bell, enum bell_urgency least)
{
    /* Relaxed: the fence orders it against the look that follows. */
    atomic_store_explicit(&bell->state, least, memory_order_relaxed);
    fence_full();
}

/* Control: awake again. readable: poll(2) found the descriptor so. */
void bell_disarm(struct bell *bell, bool readable);

/* Writes to the descriptor whatever the state; safe in a signal handler, errno is kept. */
void bell_write(const struct bell *bell);

/* The rare part of bell_ring(). */
void bell_wake(struct bell *bell);

/* Any thread, directly after mailbox_send(), or after an item was taken from ck's ring. */
static inline void bell_ring(struct bell *bell, enum bell_urgency urgency)
{
    fence_after_atomic();
    /* Relaxed: the fence orders it behind the change of the mailbox. */
    if (urgency >= atomic_load_explicit(&bell->state, memory_order_relaxed))
        bell_wake(bell);
}

#endif
