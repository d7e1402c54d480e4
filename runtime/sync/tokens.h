/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: how an asynchronous completion finds its record, without a pointer in the user's hands.
 *
 * Upholds: the first completion of a token wins and later ones get STALE, whatever became of the
 * record's memory since; of "the handler returned" and "the completion came" exactly the second
 * one reports the record to control.
 *
 * A token is a place in a table (index + 1, low half) and the generation of that place (high
 * half, never 0), so 0 is never a token. Each table begins its generations elsewhere: a token of
 * another one is stale, but for one chance in 2^32. Each place has one state word:
 *
 *   generation g, no flag          free
 *   g LIVE                         make       holder of the record   store
 *   g LIVE|CLAIMED                 claim      the first completer    compare-and-swap
 *   g LIVE|CLAIMED|COMPLETED       complete   the same               fetch-or
 *   RETURNED added to any of these returned   holder                 fetch-or
 *   generation g + 1, no flag      free       control                store
 *
 * Argument.
 * 1. A completer reads the record's address only after its compare-and-swap on a word that has
 *    its own generation, LIVE and not CLAIMED. From there on the place cannot be freed: control
 *    frees it only after the record came back, and it comes back only after complete.
 * 2. complete and returned are read-modify-writes of one word: one is second, and sees the other.
 * 3. A token of an older generation fails at the first look; generations of a place repeat only
 *    after 2^32 - 1 records of that place.
 * 4. The tag is stable when the state shows the same generation before and after it was read: who
 *    writes the next tag got the place through free, which changed the generation (T4).
 * 5. Control may read due time and record of a place that it has seen LIVE (T1) without more:
 *    nobody writes them before the place is free again, and control is who frees it. That the
 *    token is over gives control no right to its record: it has to claim it like any completer.
 *
 * Edges:
 *   T1  make, release -> claim, tag, next_due and of, acquire: record, tag and due time before
 *       they are used.
 *   T2  complete, release -> returned, acquire: the outcome before the holder reports the record.
 *   T3  returned, release -> complete, acquire: the handler's work before the completer's report.
 *   T4  tag's store in make, release -> its load in tokens_tag(), acquire: whoever sees a later
 *       tag sees the generation changed too.
 *   T5  free, release -> make, acquire, through the ring of free places: the generation.
 * Tested under the C11 memory model on this very code (tests/model/tokens). */
#ifndef KLANE_SYNC_TOKENS_H
#define KLANE_SYNC_TOKENS_H

#include <klane/klane.h>

#include <ck_ring.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tokens_entry {
    _Atomic(uint64_t) state; /* see above */
    void *record;            /* the maker; read by the claimer */
    int64_t due_ms;          /* the maker; read by control */
    _Atomic(uint32_t) tag;   /* the maker */
};

struct tokens {
    struct tokens_entry *entries; /* zeroed memory; pages that were never used cost nothing */
    ck_ring_buffer_t *free_buffer;
    size_t map_size; /* of both, in bytes */
    uint32_t capacity;
    uint32_t generation;     /* that a fresh place begins with */
    _Atomic(uint32_t) fresh; /* makers: the places below it were used before */
    ck_ring_t free_ring;     /* tail: control; head: makers */
};

enum tokens_claim {
    TOKENS_CLAIMED, /* the caller alone writes the outcome, then calls tokens_complete() */
    TOKENS_STALE    /* claimed before, or never made */
};

/* capacity: how many tokens can be out, 1 to 2^30; random: any number that other tables do not
 * have. False: no memory. */
bool tokens_init(struct tokens *tokens, uint32_t capacity, uint32_t random);

/* When no other thread uses the table; tokens that are out are forgotten. */
void tokens_deinit(struct tokens *tokens);

/* The due time of a token that has all the time there is. */
#define TOKENS_NEVER INT64_MAX

/* The holder of the record; any thread. tag: what tokens_tag() shall say; due_ms: what
 * tokens_next_due() shall. 0: no place is free. */
klane_token_t tokens_make(struct tokens *tokens, void *record, uint32_t tag, int64_t due_ms);

/* The holder, once: the handler returned. True: the completion came before, and the caller
 * reports the record. False: the completer will; the caller must not touch the record again. */
bool tokens_returned(struct tokens *tokens, uint32_t index);

/* Any thread. CLAIMED: *record is the caller's to write the outcome into, else unchanged. */
enum tokens_claim tokens_claim(struct tokens *tokens, klane_token_t token, void **record);

/* The holder, instead of tokens_returned(): take the token back. True: no completion counts any
 * more, and the holder reports the record. False: one came before; tokens_returned() follows. */
bool tokens_take_back(struct tokens *tokens, uint32_t index);

/* Who claimed it, once, after it wrote the outcome. True: the handler has returned already, and
 * the caller reports the record. False: tokens_returned() will be told, and the caller must not
 * touch the record again. */
bool tokens_complete(struct tokens *tokens, klane_token_t token);

/* Control, after the record was reported: the token is dead, its place can be used again. */
void tokens_free(struct tokens *tokens, uint32_t index);

/* Any thread: the tag of a token that nobody has claimed. False: stale, also once it is claimed.
 * A token that came from its maker by no lock, queue or the like may look stale, too. */
bool tokens_tag(const struct tokens *tokens, klane_token_t token, uint32_t *tag);

/* Control, which so looks through all: the first token from place *index on that nobody has
 * claimed and that has a due time; *index becomes the place behind it. 0: there is none. What is
 * made meanwhile may be left out, and what was found may be claimed by others. */
klane_token_t tokens_next_due(const struct tokens *tokens, uint32_t *index, int64_t *due_ms);

/* Control: the token of a record that nobody has claimed; 0: there is none, as far as can be seen.
 * Looks through all that there ever were. */
klane_token_t tokens_of(const struct tokens *tokens, const void *record);

/* Control: how many tokens were made and not freed. A maker at work may count or not. */
uint32_t tokens_out(const struct tokens *tokens);

/* The place of a token that tokens_make() returned. */
static inline uint32_t tokens_index(klane_token_t token)
{
    return (uint32_t)token - 1;
}

#endif
