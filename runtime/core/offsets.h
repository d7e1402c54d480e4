/* SPDX-License-Identifier: Apache-2.0 */
/* The offsets of one assignment: what is unfinished, and hence how far may be committed.
 *
 * Upholds: base is never above an unfinished record (G2); a record that stays unfinished for ever
 * costs no more than its slot. Holes in the offsets cost nothing: nothing here counts offsets.
 *
 *   ring    slots in arrival order; a finished one leaves its place empty. It grows while half of
 *           its places are in use, so it is as large as what is in flight, up to 2 MiB, however
 *           far the last record is from the first
 *   heads   when the ring needs the place of a slot that is still unfinished, its lane goes into
 *           a heap by head offset: inside a lane records finish in order, so the head speaks
 *           for all. So does the lane of a slot that came out of order, which has no place in
 *           the ring
 *   limit   the lowest offset that came back unfinished and will not run here any more
 *
 *   base = least of: first slot in the ring, top of heads, limit; or the frontier, if all is
 *          done */
#ifndef KLANE_CORE_OFFSETS_H
#define KLANE_CORE_OFFSETS_H

#include "core/heap.h"
#include "core/slot.h"

struct offsets {
    struct klane_slot **ring;
    uint32_t capacity; /* power of two, up to OFFSETS_RING_MAX */
    uint32_t first;    /* sequence of the oldest place in use */
    uint32_t end;      /* sequence of the next place */
    struct heap heads;
    int64_t frontier; /* everything below was taken in, or is a hole */
    int64_t limit;
};

#define OFFSETS_RING_MIN 64U
#define OFFSETS_RING_MAX 262144U

/* begin: the first offset that is not known to be finished. */
void offsets_init(struct offsets *offsets, int64_t begin);
void offsets_deinit(struct offsets *offsets);

/* Make room, so that the next offsets_add() cannot fail. unfinished: records that are in already.
 * False: no memory. */
bool offsets_reserve(struct offsets *offsets, uint32_t unfinished);

/* offsets_reserve() has nothing to do. */
static inline bool offsets_have_room(const struct offsets *offsets, uint32_t unfinished)
{
    return offsets->heads.capacity > unfinished &&
           offsets->end - offsets->first < offsets->capacity;
}

/* A record was taken in; its slot is the last of its lane. Offsets rise. */
void offsets_add(struct offsets *offsets, struct klane_slot *slot);

/* A record of below the frontier was read again; its slot is the last of its lane. The heap of
 * heads has room for one lane more. */
void offsets_feed(struct offsets *offsets, struct klane_slot *slot);

/* Nothing more comes below end: what is missing there is a hole. */
void offsets_reach(struct offsets *offsets, int64_t end);

/* The slot has left its lane's list and is settled: finished, or spoken for by offsets_abandon().
 * The lane's list is as it is without it. */
void offsets_settle(struct offsets *offsets, const struct klane_slot *slot);

/* A record came back unfinished and will not run in this assignment any more. */
void offsets_abandon(struct offsets *offsets, int64_t offset);

/* The first unfinished offset: what may be committed. */
int64_t offsets_base(const struct offsets *offsets);

/* Walk the ring: the next slot at or after *sequence, which moves on; NULL: the end. Begin with
 * offsets->first; slots may be settled on the way. */
struct klane_slot *offsets_in_ring(const struct offsets *offsets, uint32_t *sequence);

#ifdef KLANE_TESTING
void offsets_verify(const struct offsets *offsets);
#endif

#endif
