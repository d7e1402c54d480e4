/* SPDX-License-Identifier: Apache-2.0 */
/* A witness: it sees the beginning and the end of every handler, and knows in the end how many
 * records came out of order, how many came again, and how many never came.
 *
 * Every value begins with a stamp of 24 bytes, little-endian:
 *   0..7    sequence: 0, 1, 2, ... for each key
 *   8..15   due_ns: when it was due to be produced, as bench_now_ns() has it; 0: there is no
 *           timetable
 *   16..23  number: 0, 1, 2, ... for each record of the topic
 *
 *   disorder: a record began while another of its key ran, or after a later one had ended. One
 *             that had ended before is a repeat instead.
 *   repeat:   a record ended that had ended before.
 *   lost:     a record never ended, though it should have; which should is the arm's to say.
 *
 * It is in memory that processes share, so that it outlives one that is killed. */
#ifndef KLANE_BENCH_LIB_WITNESS_H
#define KLANE_BENCH_LIB_WITNESS_H

#include "lib/harness.h"

#include <endian.h>
#include <stdatomic.h>
#include <string.h>

struct stamp {
    uint64_t sequence;
    int64_t due_ns;
    uint64_t number;
};

enum { STAMP_BYTES = BENCH_VALUE_BYTES_MIN };

static inline void stamp_write(void *value, const struct stamp *stamp)
{
    const uint64_t words[] = {htole64(stamp->sequence), htole64((uint64_t)stamp->due_ns),
                              htole64(stamp->number)};

    memcpy(value, words, sizeof(words));
}

static inline struct stamp stamp_read(const void *value)
{
    uint64_t words[3];

    memcpy(words, value, sizeof(words));
    return (struct stamp){le64toh(words[0]), (int64_t)le64toh(words[1]), le64toh(words[2])};
}

/* Relaxed all: what is compared is the order of changes to one word. */
struct witness {
    uint64_t records;
    uint64_t keys;
    bool is_shared; /* more than one thread has handlers */
    int file;       /* which it is in, for an arm that is another program: Witness.java */
    _Atomic uint64_t disorder;
    _Atomic uint64_t repeats;
    _Atomic uint64_t *ended; /* a bit for each record */
    _Atomic uint64_t *lanes; /* of each key: one past the last that ended, and how many run */
};

/* Of a lane's word the low bits are how many run. */
#define WITNESS_RUNS_BITS 16
#define WITNESS_RUNS_MASK ((UINT64_C(1) << WITNESS_RUNS_BITS) - 1)

/* records and keys: of the whole topic. */
struct witness *witness_create(uint64_t records, uint64_t keys, bool is_shared);

/* Those that run have been killed. */
void witness_restart(struct witness *witness);

static inline bool witness_has_ended(const struct witness *witness, uint64_t number)
{
    return atomic_load_explicit(&witness->ended[number / 64], memory_order_relaxed) >>
               (number % 64) &
           1;
}

/* How many have ended, each counted once. */
uint64_t witness_ended(const struct witness *witness);

/* Not of this topic: it fails. */
_Noreturn void witness_refuse(uint64_t key, const struct stamp *stamp);

static inline struct stamp witness_check(const struct witness *witness, uint64_t key,
                                         const void *value)
{
    struct stamp stamp = stamp_read(value);

    if (key >= witness->keys || stamp.number >= witness->records)
        witness_refuse(key, &stamp);
    return stamp;
}

static inline void witness_note_disorder(struct witness *witness, uint64_t lane,
                                         const struct stamp *stamp)
{
    bool is_alone = (lane & WITNESS_RUNS_MASK) == 0;

    if ((!is_alone || stamp->sequence < lane >> WITNESS_RUNS_BITS) &&
        !witness_has_ended(witness, stamp->number))
        atomic_fetch_add_explicit(&witness->disorder, 1, memory_order_relaxed);
}

/* A handler begins, and ends, with the value of a record of this key. */
static inline void witness_begin(struct witness *witness, uint64_t key, const void *value)
{
    struct stamp stamp = witness_check(witness, key, value);
    uint64_t lane = atomic_fetch_add_explicit(&witness->lanes[key], 1, memory_order_relaxed);

    witness_note_disorder(witness, lane, &stamp);
}

static inline void witness_end(struct witness *witness, uint64_t key, const void *value)
{
    struct stamp stamp = stamp_read(value);
    uint64_t next = (stamp.sequence + 1) << WITNESS_RUNS_BITS;
    uint64_t bit = UINT64_C(1) << (stamp.number % 64);
    uint64_t before = atomic_load_explicit(&witness->lanes[key], memory_order_relaxed), after;

    do
        after = before < next ? next | (before & WITNESS_RUNS_MASK) : before;
    while (!atomic_compare_exchange_weak_explicit(&witness->lanes[key], &before, after - 1,
                                                  memory_order_relaxed, memory_order_relaxed));
    if (atomic_fetch_or_explicit(&witness->ended[stamp.number / 64], bit, memory_order_relaxed) &
        bit)
        atomic_fetch_add_explicit(&witness->repeats, 1, memory_order_relaxed);
}

/* Both at once, for handlers that do nothing; without locked instructions where one thread has
 * all handlers. */
static inline void witness_pass(struct witness *witness, uint64_t key, const void *value)
{
    struct stamp stamp;
    uint64_t lane, next, bit, ended;

    if (witness->is_shared) {
        witness_begin(witness, key, value);
        witness_end(witness, key, value);
        return;
    }
    stamp = witness_check(witness, key, value);
    lane = atomic_load_explicit(&witness->lanes[key], memory_order_relaxed);
    next = (stamp.sequence + 1) << WITNESS_RUNS_BITS;
    bit = UINT64_C(1) << (stamp.number % 64);
    ended = atomic_load_explicit(&witness->ended[stamp.number / 64], memory_order_relaxed);
    witness_note_disorder(witness, lane, &stamp);
    if (lane < next)
        atomic_store_explicit(&witness->lanes[key], next, memory_order_relaxed);
    atomic_store_explicit(&witness->ended[stamp.number / 64], ended | bit, memory_order_relaxed);
    if (ended & bit)
        atomic_fetch_add_explicit(&witness->repeats, 1, memory_order_relaxed);
}

/* What an arm promises: what it breaks fails it. */
enum witness_promise { WITNESS_NOTHING = 0, WITNESS_ORDER = 1, WITNESS_NO_LOSS = 2 };

/* The figures disorder and lost. When all handlers have returned. */
void witness_report_order(const struct witness *witness, struct bench_run *run, uint64_t lost,
                          unsigned promises);

/* And repeats. */
void witness_report(const struct witness *witness, struct bench_run *run, uint64_t lost,
                    unsigned promises);

#endif
