/* SPDX-License-Identifier: Apache-2.0 */
/* A mailbox: many senders, one receiver who takes everything at once. Intrusive, never full.
 *
 * Upholds: a mail that was sent is received once. Lock-free for senders, wait-free for the
 * receiver. Built on ck_stack's push and batch pop; taking all at once leaves no room for the
 * A-B-A problem. The order is last in, first out: nothing may depend on it.
 *
 * Edge M1: send, release (ck's store fence and compare-and-swap) -> collect, acquire (ck's
 * exchange): what the sender wrote into the object that contains the mail, before it is read. */
#ifndef KLANE_SYNC_MAILBOX_H
#define KLANE_SYNC_MAILBOX_H

#include "sync/race_detector.h"

#include <ck_stack.h>

struct mail {
    ck_stack_entry_t entry;
};

struct mailbox {
    ck_stack_t stack;
};

static inline void mailbox_init(struct mailbox *mailbox)
{
    ck_stack_init(&mailbox->stack);
}

/* Any thread. The mail belongs to the receiver from here on. */
static inline void mailbox_send(struct mailbox *mailbox, struct mail *mail)
{
    RACE_DETECTOR_RELEASE(mail);
    RACE_DETECTOR_LINK_BEGIN();
    ck_stack_push_upmc(&mailbox->stack, &mail->entry); /* M1 */
    RACE_DETECTOR_LINK_END();
}

/* Receiver: everything sent so far, newest first; NULL: nothing. */
static inline struct mail *mailbox_collect(struct mailbox *mailbox)
{
    ck_stack_entry_t *entry = ck_stack_batch_pop_upmc(&mailbox->stack); /* M1 */

    return (struct mail *)(void *)entry;
}

/* Receiver: the next of what mailbox_collect() returned; call it before the mail is given away. */
static inline struct mail *mailbox_next(const struct mail *mail)
{
    RACE_DETECTOR_ACQUIRE(mail);
    /* Read the way ck wrote it, behind the announcement: the race detector looks at neither. */
    return (struct mail *)ck_pr_load_ptr(&mail->entry.next);
}

/* Any thread: whether it looked empty. */
static inline bool mailbox_is_empty(const struct mailbox *mailbox)
{
    return ck_pr_load_ptr(&mailbox->stack.head) == NULL;
}

#endif
