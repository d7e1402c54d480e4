/* SPDX-License-Identifier: Apache-2.0 */
/* Parked lanes: of a lane that cannot go on, only where it stands is kept, none of its records;
 * and passes, which read them again once it can.
 *
 * Upholds: a lane that is blocked for ever costs one entry, however much is queued behind it (G3,
 * G4); what is parked is unfinished, so the base stays below it (G2); its records run in order
 * (G1).
 *
 * A parked lane is named by the fingerprint of its key in its assignment. Of the records with that
 * fingerprint
 *
 *   below next    are finished or in memory
 *   next to end   are not in memory, but those kept: a pass has to bring them
 *   from end on   have not been met, or are kept
 *
 * While it is parked, the main flow drops what it meets of it, and end moves on. A pass reads the
 * partition again from the least next on. Who takes part is fed until it has its quota, and leaves
 * with next at the first record that found no room. Where memory ends, all that have something in
 * it leave at one offset, so that the next pass is for all of them. While it takes part, newer
 * records of the main flow are kept behind it, as far as its quota goes, so that next can meet
 * end; then the entry goes.
 *
 * A head that waits for a time takes part in no pass before that. When memory is short, and
 * nothing else makes room, lanes that wait are parked whole, until parked lanes have half of it.
 *
 * Where a pass does not meet the record from which a lane was parked, retention or compaction has
 * taken it, or the log is another: it is told, and the lane goes on with what is left.
 *
 * A record without a lane is known by its offset, and apart from lanes. Two keys with one
 * fingerprint are one entry: they are fed to lanes of their own, and what of them is in memory
 * already is known by its offset. So a clash costs repeats and waiting, nothing else. */
#ifndef KLANE_CORE_PARKING_H
#define KLANE_CORE_PARKING_H

#include "core/heap.h"
#include "core/table.h"

#include <sys/queue.h>

struct klane_assignment;
struct klane_slot;

struct parked {
    struct table_node node; /* in the core's table */
    struct klane_assignment *assignment;
    uint64_t fingerprint;
    uint64_t own;        /* another hash of its key: clashes with the same fingerprint are told
                            apart by it */
    int64_t others_from; /* from here on keys that clash with it were dropped too; INT64_MIN: its
                            key is not known, and it stands for all */
    int64_t next;
    int64_t end;
    struct heap_node by_next; /* in the assignment's parked */
    struct heap_node fit;     /* in the assignment's fit, while it could take part in a pass */
    uint32_t slots;           /* in memory below next, of the lane that was parked, of any stay */
    uint32_t fit_at;          /* with so many of them it could take part in a pass */
    uint32_t kept_count;
    struct klane_slot *kept_first; /* in order, by control.next */
    struct klane_slot *kept_last;
    bool takes_part;
    TAILQ_ENTRY(parked) part;
    uint32_t attempts;      /* of the record at next so far, if that is known */
    uint32_t crashes;       /* of them those that ended with the process */
    int64_t due_ms;         /* before which it is not to run again; 0: at once */
    int64_t due_wall_ms;    /* the same by the wall's clock, if a map has it from there; or 0 */
    struct heap_node timer; /* in the core's parked_timers, until due_ms */
    bool is_held;           /* the program held its head when it was parked */
    bool is_due_now;        /* its head need not wait for a time of its own */
    bool is_record;         /* of one record without a lane, named by its offset */
    bool is_unmet;          /* a record of it is known to be at next: no pass has met it yet */
    uint8_t size_class;     /* of the slab */
};

/* One reading of a range of the log again; in each assignment. */
struct pass {
    int64_t position; /* everything from its begin to here was read */
    int64_t end;      /* the last of those of the lanes that took part when it began */
    TAILQ_HEAD(, parked) parts;
    bool has_fed; /* since those with something in memory left last, if they ever did */
    bool is_on;
};

/* In each assignment. */
struct parking {
    struct heap parked; /* by next */
    struct heap fit;    /* of them, by next */
    bool is_urgent;     /* one of these has little left in memory: a pass is to begin */
    struct pass pass;
};

/* By what the slot's lane is known in this assignment. */
uint64_t parking_fingerprint(const struct klane_assignment *assignment,
                             const struct klane_slot *slot);

static inline struct parked *parked_of_node(struct table_node *node)
{
    return (struct parked *)(void *)((char *)node - offsetof(struct parked, node));
}

static inline struct parked *parked_of_next(struct heap_node *by_next)
{
    return (struct parked *)(void *)((char *)by_next - offsetof(struct parked, by_next));
}

static inline struct parked *parked_of_timer(struct heap_node *timer)
{
    return (struct parked *)(void *)((char *)timer - offsetof(struct parked, timer));
}

static inline struct parked *parked_of_fit(struct heap_node *fit)
{
    return (struct parked *)(void *)((char *)fit - offsetof(struct parked, fit));
}

#endif
