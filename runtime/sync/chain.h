/* SPDX-License-Identifier: Apache-2.0 */
/* The chain: how the records of one lane pass from worker to worker without asking anyone.
 *
 * Upholds: a link is passed on at most once, and only after the link before it was finished.
 *
 *      tail (known to control only)
 *        v
 *   A -> B -> NULL        A runs; B waits behind it
 *   A:DONE  B -> NULL     A finished: its worker received B and runs it
 *   A:DONE  B:DONE        B finished: it received NULL, the lane is idle
 *
 * Each link has one word, `next`, which only ever changes so:
 *
 *   NULL -> successor     append    control      compare-and-swap
 *   successor -> NULL     cut       control      compare-and-swap
 *   successor -> TAKEN    take      its holder   compare-and-swap
 *   TAKEN -> successor    put back  its holder   store
 *   NULL, successor, TAKEN -> DONE  finish       its holder, exchange
 *
 * The holder of a link is the one thread that was handed it: by the return value of append,
 * finish or take, or by a queue. Control holds what it has taken back and what waits for a retry.
 *
 * Argument.
 * 1. finish is one exchange, so the value that it returns is settled: either control's append came
 *    before it (the successor is returned, and append told control "linked"), or after (append
 *    finds DONE, and tells control that nobody will pass the new link on: it is control's to
 *    start). There is no third case, hence no link is lost and none is passed twice.
 * 2. cut and finish (or take) race for the same successor by read-modify-writes of the same word:
 *    one wins. If cut wins, finish returns NULL and everything behind belongs to control. If it
 *    loses it finds DONE or TAKEN, the successor is held by a worker, and control tries one
 *    further.
 * 3. take moves the right to the successor to the holder before the link itself is finished: only
 *    then may a batch contain both. TAKEN is never followed by append, as the taken link is then
 *    nearer to the tail, and never by cut, which finds TAKEN. A taken link that is finished may
 *    stay TAKEN: nobody looks at its word for a successor any more.
 * 4. A holder never reads a link again after it has finished it and reported it to control: only
 *    control frees links, and only after that report.
 * 5. put back gives the right to the successor up again: from then on whoever has the link takes
 *    it, finish returns it, or cut takes it back. As nobody but the holder changes TAKEN, it is a
 *    store. What is cut off there goes with all that is behind it, so nothing behind may be held
 *    any more: several are put back from the last to the first, and none is touched afterwards.
 *
 * Edges:
 *   C1  append, release -> finish, take, acquire: the successor's contents before it is run.
 *   C2  finish, release -> append (failed), acquire: the work on a link before its successor is
 *       started by control.
 *   C3  cut needs no release: what it takes back goes to nobody else. Its failure needs no
 *       acquire: control reads nothing of the links that it did not get.
 *   C4  put back, release -> cut, finish, take, acquire: what the holder did to the successor, and
 *       to those behind it, before control frees or somebody runs them.
 * Every interleaving within a bound on context switches is searched under the C11 memory model, on
 * this very file (tests/model/chain.cpp). */
#ifndef KLANE_SYNC_CHAIN_H
#define KLANE_SYNC_CHAIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chain_link {
    _Atomic(struct chain_link *) next;
};

/* Addresses that no link can have. */
#define CHAIN_DONE ((struct chain_link *)(uintptr_t)1)
#define CHAIN_TAKEN ((struct chain_link *)(uintptr_t)2)

/* Control: prepare a link before its first append, or before it is started. */
static inline void chain_init(struct chain_link *link)
{
    /* Relaxed: nobody else has seen the link; C1 or the queue that hands it over publishes it. */
    atomic_store_explicit(&link->next, NULL, memory_order_relaxed);
}

/* Control: put link behind tail. False: tail is finished, and link is control's to start. */
static inline bool chain_append(struct chain_link *tail, struct chain_link *link)
{
    struct chain_link *expected = NULL;

    /* C1 release: pairs with chain_finish() and chain_take(). C2 acquire when it fails; C11 wants
     * it of the success too, which needs none. */
    return atomic_compare_exchange_strong_explicit(&tail->next, &expected, link,
                                                   memory_order_acq_rel, memory_order_acquire);
}

/* Holder: the link is finished. Returns the successor, which the caller now holds, or NULL. */
static inline struct chain_link *chain_finish(struct chain_link *link)
{
    /* C1, C4 acquire: the successor's contents. C2 release: pairs with a failing
     * chain_append(). */
    return atomic_exchange_explicit(&link->next, CHAIN_DONE, memory_order_acq_rel);
}

/* Holder: take the successor before the link is finished, for a batch. NULL: there is none. */
static inline struct chain_link *chain_take(struct chain_link *link)
{
    /* Relaxed: only compared; the exchange below orders. */
    struct chain_link *next = atomic_load_explicit(&link->next, memory_order_relaxed);

    if (next == NULL)
        return NULL;
    /* C1, C4 acquire: the successor's contents. Relaxed when it fails: cut took the successor
     * away. */
    if (!atomic_compare_exchange_strong_explicit(&link->next, &next, CHAIN_TAKEN,
                                                 memory_order_acquire, memory_order_relaxed))
        return NULL;
    return next;
}

/* Holder: give the successor up, which chain_take() has returned for this link; those that were
 * taken behind it were put back before. */
static inline void chain_put_back(struct chain_link *link, struct chain_link *successor)
{
    /* C4 release: pairs with chain_cut(), chain_finish() and chain_take(). */
    atomic_store_explicit(&link->next, successor, memory_order_release);
}

/* Control: take back everything behind link, whose successor is successor. False: it was passed
 * on, and control may try with successor itself. */
static inline bool chain_cut(struct chain_link *link, struct chain_link *successor)
{
    struct chain_link *expected = successor;

    /* C4 acquire: pairs with chain_put_back(). C3: relaxed when it fails. */
    return atomic_compare_exchange_strong_explicit(&link->next, &expected, NULL,
                                                   memory_order_acquire, memory_order_relaxed);
}

/* Any thread that knows that the link is not freed: whether its holder has taken the successor, as
 * far as can be seen. */
static inline bool chain_is_taken(const struct chain_link *link)
{
    /* Relaxed: a look that orders nothing. */
    return atomic_load_explicit(&link->next, memory_order_relaxed) == CHAIN_TAKEN;
}

#endif
