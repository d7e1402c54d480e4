/* SPDX-License-Identifier: Apache-2.0 */
/* Idle: who sleeps, who looks for work, and whom a push wakes.
 *
 * Upholds the invariant: while a ready slot is in the ring, somebody searches, or a wake is on
 * its way, or no seat is idle. And: a push wakes one thread at most, none while somebody
 * searches.
 *
 * A seat belongs to one thread: a worker, or a program's thread inside klane_take(). Its life:
 *
 *        search_begin          prepare             sleep, or a waker
 *   BUSY ------------> SEARCH ---------> IDLE bit ------------------> SEARCH ...
 *     ^                  |  ^              |   (claimed or timed out)
 *     +--- search_end ---+  +--- cancel ---+
 *
 * The caller's side, and there is no other right way:
 *
 *   push:    ready_push(); idle_wake_one();
 *   search:  idle_search_begin();
 *            found: if (idle_search_end() && !ready_is_empty()) idle_wake_one(); then work.
 *            not:   idle_prepare(); look again, at the stop flag too;
 *                   something there: idle_cancel(), else idle_sleep(); then search on.
 *   leave:   a searcher that gives up (timeout, stop) ends its search like one that found work.
 *   stop:    set the flag; idle_wake_all();
 *
 * A busy thread may pop from the ring without counting as a searcher: it takes work away and owes
 * nothing. That keeps two operations on a shared counter out of the way of a busy runtime.
 *
 * Why a bitmap, and not a list of sleepers. A list that is last in, first out keeps few threads
 * warm, but a sleeper whose timeout ends cannot leave it from the middle without a lock, and its
 * head suffers from A-B-A as seats come back. In a bitmap, lowest seat first, a seat enters,
 * leaves and is claimed by one read-modify-write of its own bit; who cleared the bit is settled
 * by what that returned; and the lowest seats stay warm as the newest would. The price is a scan
 * of the words that ever had a sleeper: one word for 64 threads.
 *
 * The invariant's proof. To look means at the ring; count is the number of searchers; F is a full
 * fence. The operations are, in program order:
 *
 *   P, a push:     item into the ring; F; read count; only if it is 0: read bits, claim one
 *   E, an end:     count - 1; only if that made it 0: F; look; only if not empty: as P from F
 *   S, a sleeper:  set own bit; count - 1; F; look; only if empty: sleep
 *   a claim:       clear the bit; count + 1; wake the seat, whose thread then searches
 *
 * 1. Of two full fences one comes first, and what was written before the first is seen behind the
 *    second. C11 defines it so, and ck's fence does it for ck's ring as well (sync/fence.h).
 * 2. P reads count 0 and no bit. A seat whose bit P did not see set has its fence behind P's, so
 *    it looks and finds the item, or that somebody took it. A seat whose bit P saw cleared was
 *    claimed (its thread searches, or will), or it took the bit back and will search. All others
 *    are busy and search before they sleep. Whoever raises the count behind P's read also lowers
 *    it behind P's read, which is case 4.
 * 3. P reads count 0 and a bit, and clears it: a wake is on its way. The count is raised before
 *    the thread wakes, so it is not lowered first. If another cleared the bit, P tries the next
 *    one.
 * 4. P reads a count above 0, or the count rises later. Counts change by read-modify-writes
 *    only, so their values form one row. Either it never falls to 0 behind the value that P
 *    read: somebody searches. Or some E or S lowered it to 0 behind it. P did not see that
 *    write, so that fence comes behind P's, and E or S looks and sees the item: S does not sleep
 *    over it, and E goes on as P does, with its own read behind P's in the row. Each such E has a
 *    claim before it or a thread that came to search, so the chain ends: in 2, in 3, or with an
 *    empty ring.
 * 5. The thread that a claim woke is counted. It finds the item, or another took it; then it
 *    sleeps as S or ends as E. If its timeout ended first, it takes its own bit back. When the
 *    bit was still set no P counted on this seat. When it was clear, the seat was claimed, and
 *    the wake is taken as if it had come in time. The same holds for cancel.
 * 6. Stop: the flag is set; F; all bits are claimed. Whoever was not seen has its fence behind
 *    this one, looks and sees the flag.
 *
 * Edges, besides the fences:
 *   I1  prepare's bit, release -> claim, acquire: the seat's word was set to ASLEEP before the
 *       claimer sets it to AWAKE.
 *   I2  wake's word, release -> sleep and cancel, acquire: the count was raised for this seat
 *       before the seat can lower it; and all that the waker wrote before.
 *   I3  seat_leave, release -> seat_take, acquire: the seat's fields.
 * Tested under the C11 memory model on this very code (tests/model/idle). */
#ifndef KLANE_SYNC_IDLE_H
#define KLANE_SYNC_IDLE_H

#include "base/cache_line.h"

#include <ck_pr.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#ifndef IDLE_SEATS_MAX
#define IDLE_SEATS_MAX 2048
#endif
#define IDLE_SEATS_PER_WORD 64
#define IDLE_WORDS ((IDLE_SEATS_MAX + IDLE_SEATS_PER_WORD - 1) / IDLE_SEATS_PER_WORD)

/* One cache line each: a wake touches nobody else's. */
struct idle_seat {
    _Atomic(uint32_t) word; /* its futex; the owner's, but while its bit is out the claimer's */
    uint32_t state;         /* the owner's, for assertions only */
    unsigned char pad[CACHE_LINE - 2 * sizeof(uint32_t)];
};

struct idle {
    /* Everybody. Read by every push, written when a search begins or ends. */
    _Atomic(uint32_t) searchers;
    /* Sleepers set, nobody clears: which words of idle_map ever had a bit. */
    _Atomic(uint32_t) words_used;
    unsigned char pad[CACHE_LINE - 2 * sizeof(uint32_t)];
    /* A bit is set by the seat's owner, and cleared by it or by one waker. */
    _Atomic(uint64_t) idle_map[IDLE_WORDS];
    /* A bit is set by who takes the seat, and cleared by it. */
    _Atomic(uint64_t) taken_map[IDLE_WORDS];
    struct idle_seat *seats;
};

/* False: no memory. */
bool idle_init(struct idle *idle);

/* When every seat was left and nobody is inside a function of this file. */
void idle_deinit(struct idle *idle);

/* Any thread. The lowest free seat; -1: all are taken. Its thread counts as busy. */
int idle_seat_take(struct idle *idle);

/* The seat's thread, busy (its search ended). */
void idle_seat_leave(struct idle *idle, int seat);

/* The seat's thread, busy: it looks for work from here on, and looks at the ring after this. */
void idle_search_begin(struct idle *idle, int seat);

/* The seat's thread, searching: it found work or gives up. True: it was the last searcher; the
 * caller must look at the ring now, and call idle_wake_one() if it is not empty. */
bool idle_search_end(struct idle *idle, int seat);

/* The seat's thread, searching: it is idle and can be claimed from here on. The caller must look
 * at the ring and at the stop flag after this, then call idle_cancel() or idle_sleep(). */
void idle_prepare(struct idle *idle, int seat);

/* After idle_prepare(): the caller found something. It is a searcher again; if a waker had
 * claimed the seat meanwhile, that wake is used up, and the caller's search stands for it. */
void idle_cancel(struct idle *idle, int seat);

/* After idle_prepare(): sleep until woken (true) or until timeout_ms passed (false); -1: for
 * ever. Either way the caller is a searcher again. */
bool idle_sleep(struct idle *idle, int seat, int64_t timeout_ms);

/* Any thread, after a push: if nobody searches and a seat is idle, wake the lowest. Returns
 * whether it woke one, which counts as a searcher from here on. Never waits. */
bool idle_wake_one(struct idle *idle);

/* Any thread, after the stop flag was set: wake every idle seat. */
void idle_wake_all(struct idle *idle);

/* Any thread: how many search, a look. */
uint32_t idle_searchers(const struct idle *idle);

/* A searcher that spins: a moment's rest for the processor. */
static inline void idle_pause(void)
{
    ck_pr_stall();
}

/* A searcher: whether it is the only one, a look. Only such a one should spin. */
bool idle_is_only_searcher(const struct idle *idle);

#endif
