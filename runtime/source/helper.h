/* SPDX-License-Identifier: Apache-2.0 */
/* A source's helper thread: requests go out, replies come back, and the control thread never
 * waits.
 *
 * Upholds: every request that was sent is worked on once, in the order of sending, and its reply
 * is handed back once. Requests are made and freed by the source; they pass by intrusive stacks,
 * so neither side can find the other's lock held. */
#ifndef KLANE_SOURCE_HELPER_H
#define KLANE_SOURCE_HELPER_H

#include "sync/mailbox.h"

#include <klane/klane.h>

/* Begins every request. Belongs to the source, then from helper_send() on to the helper, then from
 * helper_receive() on to the source again. */
struct helper_request {
    struct mail mail;
    struct helper_request *next; /* in the list that helper_receive() returns */
};

struct helper;

struct helper_ops {
    /* Work on a request; may wait. The request goes back to the source when this returns. */
    void (*work)(void *context, struct helper_request *request);
    /* Called when idle_ms passed without a request, or helper_nudge() was called. Returns a
     * request to hand to the source on the helper's own account, or NULL. May be NULL. */
    struct helper_request *(*idle)(void *context);
    /* Called when a request has gone back, for a source that sleeps on something else than
     * helper_descriptor(). May be NULL. */
    void (*replied)(void *context);
};

/* Make the thread. idle_ms: how long it sleeps between two calls of idle(). */
klane_err_t helper_create(const struct helper_ops *ops, void *context, uint32_t idle_ms,
                          struct helper **helper);

/* Source's thread. Never waits. */
void helper_send(struct helper *helper, struct helper_request *request);

/* Source's thread: what came back since the last call, oldest first; NULL: nothing. */
struct helper_request *helper_receive(struct helper *helper);

/* Any thread, also another's library thread: call idle() soon. */
void helper_nudge(struct helper *helper);

/* Readable when helper_receive() has something. */
int helper_descriptor(const struct helper *helper);

/* Helper's thread: whether it is to end; a request that waits several times may stop to. */
bool helper_is_ending(const struct helper *helper);

/* Ends the thread after the requests already sent, and waits for it. Requests not received are
 * dropped; their memory is the source's affair (it knows what it has out). */
void helper_destroy(struct helper *helper);

#endif
