/* SPDX-License-Identifier: Apache-2.0 */
/* Upholds the invariant that sync/idle.h states and proves. Any thread; a seat has one owner. */
#include "sync/idle.h"

#include "base/assert.h"
#include "sync/fence.h"
#include "sync/futex.h"

#include <stddef.h>
#include <sys/mman.h>

_Static_assert(IDLE_WORDS <= 32, "words_used has a bit for each word");
_Static_assert(sizeof(struct idle_seat) == CACHE_LINE, "a seat is one cache line");

/* A seat's word. */
enum { AWAKE, ASLEEP };

/* A seat's state, as its owner knows it. */
enum { SEAT_FREE, SEAT_BUSY, SEAT_SEARCHING, SEAT_IDLE };

/* The only change of a seat's state. */
static struct idle_seat *seat_move(struct idle *idle, int seat, uint32_t from, uint32_t to)
{
    struct idle_seat *own = idle->seats + seat;

    KLANE_ASSERT(seat >= 0);
    KLANE_ASSERT(seat < IDLE_SEATS_MAX);
    KLANE_ASSERT(own->state == from);
    own->state = to;
    return own;
}

static int map_word(int seat)
{
    return seat / IDLE_SEATS_PER_WORD;
}

static uint64_t map_bit(int seat)
{
    return (uint64_t)1 << (seat % IDLE_SEATS_PER_WORD);
}

static int lowest_bit(uint64_t bits)
{
    return __builtin_ctzll(bits);
}

static void count_raise(struct idle *idle)
{
    /* Relaxed: I2 or the program order of the same thread puts it before its counterpart. */
    uint32_t before = atomic_fetch_add_explicit(&idle->searchers, 1, memory_order_relaxed);

    KLANE_ASSERT(before < 2 * IDLE_SEATS_MAX);
}

/* Whether the count fell to 0. */
static bool count_lower(struct idle *idle)
{
    /* Relaxed: the fence that follows orders it, where it matters. */
    uint32_t before = atomic_fetch_sub_explicit(&idle->searchers, 1, memory_order_relaxed);

    KLANE_ASSERT(before > 0);
    return before == 1;
}

bool idle_init(struct idle *idle)
{
    size_t size = IDLE_SEATS_MAX * sizeof(struct idle_seat);
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED)
        return false;
    idle->seats = map; /* zero: every seat FREE and AWAKE */
    atomic_init(&idle->searchers, 0);
    atomic_init(&idle->words_used, 0);
    for (int i = 0; i < IDLE_WORDS; i++) {
        atomic_init(&idle->idle_map[i], 0);
        atomic_init(&idle->taken_map[i], 0);
    }
    return true;
}

void idle_deinit(struct idle *idle)
{
    /* Relaxed: the caller knows that all threads have left. */
    KLANE_ASSERT(atomic_load_explicit(&idle->searchers, memory_order_relaxed) == 0);
    for (int i = 0; i < IDLE_WORDS; i++)
        KLANE_ASSERT(atomic_load_explicit(&idle->taken_map[i], memory_order_relaxed) == 0);
    munmap(idle->seats, IDLE_SEATS_MAX * sizeof(struct idle_seat));
    idle->seats = NULL;
}

/* The lowest free seat of a word, taken; -1: it has none. */
static int word_take(_Atomic(uint64_t) *word, int seats)
{
    uint64_t usable = seats < IDLE_SEATS_PER_WORD ? map_bit(seats) - 1 : UINT64_MAX;
    /* Relaxed: a look; the read-modify-write below decides. */
    uint64_t available = ~atomic_load_explicit(word, memory_order_relaxed) & usable;

    while (available != 0) {
        int seat = lowest_bit(available);
        /* I3 acquire: pairs with idle_seat_leave(). */
        uint64_t before = atomic_fetch_or_explicit(word, map_bit(seat), memory_order_acquire);

        if ((before & map_bit(seat)) == 0)
            return seat;
        available = ~before & usable;
    }
    return -1;
}

int idle_seat_take(struct idle *idle)
{
    for (int i = 0; i < IDLE_WORDS; i++) {
        int first = i * IDLE_SEATS_PER_WORD;
        int seat = word_take(&idle->taken_map[i], IDLE_SEATS_MAX - first);

        if (seat >= 0) {
            seat_move(idle, first + seat, SEAT_FREE, SEAT_BUSY);
            return first + seat;
        }
    }
    KLANE_MARK("idle: every seat is taken");
    return -1;
}

void idle_seat_leave(struct idle *idle, int seat)
{
    uint64_t before;

    seat_move(idle, seat, SEAT_BUSY, SEAT_FREE);
    /* I3 release: pairs with idle_seat_take(). */
    before = atomic_fetch_and_explicit(&idle->taken_map[map_word(seat)], ~map_bit(seat),
                                       memory_order_release);
    KLANE_ASSERT((before & map_bit(seat)) != 0);
}

void idle_search_begin(struct idle *idle, int seat)
{
    seat_move(idle, seat, SEAT_BUSY, SEAT_SEARCHING);
    count_raise(idle);
}

bool idle_search_end(struct idle *idle, int seat)
{
    seat_move(idle, seat, SEAT_SEARCHING, SEAT_BUSY);
    if (!count_lower(idle))
        return false;
    /* E: between the lowered count and the caller's look. */
    fence_full();
    return true;
}

void idle_prepare(struct idle *idle, int seat)
{
    struct idle_seat *own = seat_move(idle, seat, SEAT_SEARCHING, SEAT_IDLE);
    int word = map_word(seat);
    uint64_t before;

    /* Relaxed: I1 publishes it. */
    atomic_store_explicit(&own->word, ASLEEP, memory_order_relaxed);
    /* Relaxed: the fence publishes it with the bit. */
    atomic_fetch_or_explicit(&idle->words_used, (uint32_t)1 << word, memory_order_relaxed);
    /* I1 release: pairs with claim_lowest() and idle_wake_all(). */
    before = atomic_fetch_or_explicit(&idle->idle_map[word], map_bit(seat), memory_order_release);
    KLANE_ASSERT((before & map_bit(seat)) == 0);
    (void)count_lower(idle);
    /* S: between the bit, the lowered count and the caller's look. */
    fence_full();
}

/* Take the own bit back. False: a waker was faster, and will set the seat's word. */
static bool seat_withdraw(struct idle *idle, int seat)
{
    /* Relaxed: the bit says who owns the word, which this thread wrote last if the bit is set. */
    uint64_t before = atomic_fetch_and_explicit(&idle->idle_map[map_word(seat)], ~map_bit(seat),
                                                memory_order_relaxed);

    if ((before & map_bit(seat)) == 0) {
        KLANE_MARK("idle: claimed while withdrawing");
        return false;
    }
    count_raise(idle);
    return true;
}

/* Sleep until the word is AWAKE (true) or the deadline passed (false). */
static bool seat_wait(struct idle_seat *own, const struct futex_deadline *deadline)
{
    /* I2 acquire: pairs with seat_wake(). */
    while (atomic_load_explicit(&own->word, memory_order_acquire) == ASLEEP)
        if (!futex_wait(&own->word, ASLEEP, deadline))
            return false;
    return true;
}

/* Wait for who claimed this seat. It has only a few instructions to go. */
static void seat_wait_claimed(struct idle_seat *own)
{
    struct futex_deadline never;

    futex_deadline_set(&never, -1);
    (void)seat_wait(own, &never);
}

void idle_cancel(struct idle *idle, int seat)
{
    struct idle_seat *own = seat_move(idle, seat, SEAT_IDLE, SEAT_SEARCHING);

    /* A claimer may not have raised the count yet, and a late AWAKE would end a later sleep. */
    if (!seat_withdraw(idle, seat))
        seat_wait_claimed(own);
}

bool idle_sleep(struct idle *idle, int seat, int64_t timeout_ms)
{
    struct idle_seat *own = seat_move(idle, seat, SEAT_IDLE, SEAT_SEARCHING);
    struct futex_deadline deadline;

    futex_deadline_set(&deadline, timeout_ms);
    if (seat_wait(own, &deadline))
        return true;
    if (seat_withdraw(idle, seat))
        return false;
    seat_wait_claimed(own);
    return true;
}

/* The seat's bit was cleared by the caller. */
static void seat_wake(struct idle *idle, int seat)
{
    struct idle_seat *other = &idle->seats[seat];

    /* First: the seat's thread may lower the count as soon as its word is AWAKE. */
    count_raise(idle);
    /* I2 release: pairs with seat_wait(). */
    atomic_store_explicit(&other->word, AWAKE, memory_order_release);
    futex_wake(&other->word);
}

/* Clears the bit of the lowest idle seat; -1: none is idle. */
static int claim_lowest(struct idle *idle)
{
    /* Relaxed, both looks: idle_wake_one()'s fence comes before them. */
    uint32_t words = atomic_load_explicit(&idle->words_used, memory_order_relaxed);

    for (; words != 0; words &= words - 1) {
        int i = lowest_bit(words);
        uint64_t bits = atomic_load_explicit(&idle->idle_map[i], memory_order_relaxed);

        while (bits != 0) {
            int seat = lowest_bit(bits);

            /* I1 acquire: pairs with idle_prepare(). */
            bits = atomic_fetch_and_explicit(&idle->idle_map[i], ~map_bit(seat),
                                             memory_order_acquire);
            if ((bits & map_bit(seat)) != 0)
                return i * IDLE_SEATS_PER_WORD + seat;
            KLANE_MARK("idle: another was faster to claim a seat");
        }
    }
    return -1;
}

bool idle_wake_one(struct idle *idle)
{
    int seat;

    /* P: between the push and the looks at count and bits. */
    fence_full();
    /* Relaxed: the fence orders it. */
    if (atomic_load_explicit(&idle->searchers, memory_order_relaxed) != 0)
        return false;
    seat = claim_lowest(idle);
    if (seat < 0)
        return false;
    seat_wake(idle, seat);
    return true;
}

void idle_wake_all(struct idle *idle)
{
    uint32_t words;

    /* Step 6 of the proof: between the stop flag and the bits. */
    fence_full();
    /* Relaxed: the fence orders it. */
    words = atomic_load_explicit(&idle->words_used, memory_order_relaxed);
    for (; words != 0; words &= words - 1) {
        int i = lowest_bit(words);
        /* I1 acquire: pairs with idle_prepare(). */
        uint64_t bits = atomic_exchange_explicit(&idle->idle_map[i], 0, memory_order_acquire);

        for (; bits != 0; bits &= bits - 1)
            seat_wake(idle, i * IDLE_SEATS_PER_WORD + lowest_bit(bits));
    }
}

uint32_t idle_searchers(const struct idle *idle)
{
    /* Relaxed: a look that orders nothing. */
    return atomic_load_explicit(&idle->searchers, memory_order_relaxed);
}

bool idle_is_only_searcher(const struct idle *idle)
{
    return idle_searchers(idle) == 1;
}
