/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of the parked table, for parking.c and pass.c, by the rules of parking.h.
 *
 * Upholds: an entry is in the table, in its assignment's heap, and charged, or in none of them. */
#ifndef KLANE_CORE_PARKED_H
#define KLANE_CORE_PARKED_H

#include "core/parking.h"

#include "core/lane.h"

struct core;

/* A slot's lane, or the one that it would be in. */
struct lane_name parked_name_of_slot(const struct klane_slot *slot, enum lane_kind kind);
uint64_t parked_fingerprint(const struct klane_assignment *assignment,
                            const struct lane_name *name, int64_t offset);

/* The other hash of its key. */
uint64_t parked_own(const struct klane_assignment *assignment, const struct lane_name *name);

/* What an entry takes of the memory. */
size_t parked_bytes(void);

/* NULL: there is none. */
struct parked *parked_find(const struct core *core, const struct klane_assignment *assignment,
                           uint64_t fingerprint, enum lane_kind kind);

/* Of one record, at next. NULL: no memory. */
struct parked *parked_add(struct core *core, struct klane_assignment *assignment,
                          uint64_t fingerprint, enum lane_kind kind, int64_t next);
void parked_remove(struct core *core, struct parked *parked);

/* What lies below was finished, or is in memory. */
void parked_set_next(struct parked *parked, int64_t next);

/* The record is one of the lane's, or of those of a key that clashes with it that were dropped. */
bool parked_stands_for(const struct parked *parked, const struct lane_name *name, int64_t offset);

/* From this record on the entry stands for its key. */
void parked_stand_for(struct parked *parked, const struct lane_name *name, int64_t offset);

/* Kept records are let go: a pass has to bring them. */
void parked_let_go(struct core *core, struct parked *parked);

/* It leaves the pass under way. */
void parked_leave(struct core *core, struct parked *parked);

/* Full with so many in memory, it is fit with three quarters of them. */
static inline uint32_t parked_fit_at(uint32_t slots)
{
    return slots * 3 / 4;
}

/* With so many in memory, what has so little is to be read again for. */
static inline bool parked_has_little(const struct parked *parked, uint32_t slots)
{
    return slots <= (parked->fit_at + 2) / 3;
}

/* It has in memory what it may, for now. */
void parked_is_full(const struct core *core, struct parked *parked);

/* Its head waits for no time any more. */
void parked_waits_no_more(struct core *core, struct parked *parked);

/* Some of that is done: it could take part in a pass. When most of it is, one is to begin; by then
 * others may be fit, and share it. */
void parked_fit_check(struct parked *parked);

#endif
