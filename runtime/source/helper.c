/* SPDX-License-Identifier: Apache-2.0 */
/* The helper thread: a mailbox and a doorbell in each direction. No lock is ever taken.
 *
 * Upholds: see source/helper.h. A mailbox hands over the newest first; both ends turn its list
 * round, and as each collect takes everything that was sent before it, the order of sending
 * holds across collects too.
 *
 * Edges, besides those of sync/mailbox.h and source/doorbell.h:
 *   H1  stop, release -> helper's look at it, acquire: the requests sent before the end are
 *       collected after it, so they are worked on. */
#include "source/helper.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/thread.h"
#include "source/doorbell.h"

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct helper {
    const struct helper_ops *ops;
    void *context;
    uint32_t idle_ms;
    pthread_t thread;

    struct mailbox requests; /* source -> helper */
    struct mailbox replies;  /* helper -> source */
    struct doorbell to_helper;
    struct doorbell to_source;

    _Atomic bool nudged; /* set by any thread, cleared by the helper */
    _Atomic bool stop;   /* set by helper_destroy() */
};

/* Everything in the mailbox, oldest first. */
static struct helper_request *collect(struct mailbox *mailbox)
{
    struct helper_request *list = NULL;
    struct mail *mail = mailbox_collect(mailbox);

    while (mail != NULL) {
        struct helper_request *request =
            (struct helper_request *)(void *)((char *)mail -
                                              offsetof(struct helper_request, mail));

        mail = mailbox_next(mail);
        request->next = list;
        list = request;
    }
    return list;
}

static void reply(struct helper *helper, struct helper_request *request)
{
    mailbox_send(&helper->replies, &request->mail);
    doorbell_ring(&helper->to_source);
    if (helper->ops->replied != NULL)
        helper->ops->replied(helper->context);
}

/* Works on everything that is there. Returns whether there was anything. */
static bool requests_work(struct helper *helper)
{
    struct helper_request *request = collect(&helper->requests);
    bool any = request != NULL;

    while (request != NULL) {
        struct helper_request *next = request->next;

        helper->ops->work(helper->context, request);
        reply(helper, request);
        request = next;
    }
    return any;
}

static void idle(struct helper *helper)
{
    struct helper_request *request =
        helper->ops->idle == NULL ? NULL : helper->ops->idle(helper->context);

    if (request != NULL)
        reply(helper, request);
}

/* Waits for the doorbell, at most until due_ms. */
static void wait_until(struct helper *helper, int64_t due_ms)
{
    struct pollfd wait = {.fd = helper->to_helper.descriptor, .events = POLLIN};
    int64_t left_ms = due_ms - clock_now_ms();

    if (left_ms < 0)
        left_ms = 0;
    if (left_ms > INT_MAX)
        left_ms = INT_MAX;
    /* An early return, for whatever reason, only means one look too many. */
    (void)poll(&wait, 1, helper->ops->idle == NULL ? -1 : (int)left_ms);
}

static void *helper_main(void *argument)
{
    struct helper *helper = argument;
    int64_t due_ms;
    bool stop;

    due_ms = clock_now_ms() + helper->idle_ms;
    do {
        doorbell_disarm(&helper->to_helper);
        /* H1 acquire: before the mailbox is looked at. Pairs with helper_destroy(). */
        stop = atomic_load_explicit(&helper->stop, memory_order_acquire);

        bool worked = requests_work(helper);
        /* Relaxed: the doorbell orders it, if anything has to be. */
        bool nudged = atomic_exchange_explicit(&helper->nudged, false, memory_order_relaxed);

        if (!stop && (nudged || (!worked && clock_now_ms() >= due_ms))) {
            idle(helper);
            worked = true;
        }
        if (worked)
            due_ms = clock_now_ms() + helper->idle_ms;
        if (doorbell_arm(&helper->to_helper) && !stop)
            wait_until(helper, due_ms);
    } while (!stop);
    return NULL;
}

klane_err_t helper_create(const struct helper_ops *ops, void *context, uint32_t idle_ms,
                          struct helper **helper)
{
    struct helper *made = calloc(1, sizeof(*made));

    if (made == NULL)
        return KLANE_ERR_NOMEM;
    made->ops = ops;
    made->context = context;
    made->idle_ms = idle_ms;
    mailbox_init(&made->requests);
    mailbox_init(&made->replies);
    atomic_init(&made->nudged, false);
    atomic_init(&made->stop, false);
    if (doorbell_init(&made->to_helper) != KLANE_OK)
        goto free_helper;
    if (doorbell_init(&made->to_source) != KLANE_OK)
        goto deinit_to_helper;
    /* Nothing was sent: begin with the source's descriptor unreadable. */
    doorbell_disarm(&made->to_source);
    if (!doorbell_arm(&made->to_source) ||
        !thread_start(&made->thread, "klane-helper", 0, helper_main, made))
        goto deinit_to_source;
    *helper = made;
    return KLANE_OK;

deinit_to_source:
    doorbell_deinit(&made->to_source);
deinit_to_helper:
    doorbell_deinit(&made->to_helper);
free_helper:
    free(made);
    return KLANE_ERR_SYSTEM;
}

void helper_send(struct helper *helper, struct helper_request *request)
{
    mailbox_send(&helper->requests, &request->mail);
    doorbell_ring(&helper->to_helper);
}

struct helper_request *helper_receive(struct helper *helper)
{
    struct helper_request *list = NULL;
    struct helper_request **tail = &list;

    do {
        doorbell_disarm(&helper->to_source);
        *tail = collect(&helper->replies);
        while (*tail != NULL)
            tail = &(*tail)->next;
    } while (!doorbell_arm(&helper->to_source));
    return list;
}

void helper_nudge(struct helper *helper)
{
    /* Relaxed: the doorbell publishes it. */
    atomic_store_explicit(&helper->nudged, true, memory_order_relaxed);
    doorbell_ring(&helper->to_helper);
}

int helper_descriptor(const struct helper *helper)
{
    return helper->to_source.descriptor;
}

bool helper_is_ending(const struct helper *helper)
{
    /* Relaxed: looked at again and again. */
    return atomic_load_explicit(&helper->stop, memory_order_relaxed);
}

void helper_destroy(struct helper *helper)
{
    /* H1 release: what was sent is seen before the end is. Pairs with helper_main(). */
    atomic_store_explicit(&helper->stop, true, memory_order_release);
    doorbell_ring(&helper->to_helper);
    pthread_join(helper->thread, NULL);
    doorbell_deinit(&helper->to_source);
    doorbell_deinit(&helper->to_helper);
    free(helper);
}
