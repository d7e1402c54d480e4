/* SPDX-License-Identifier: Apache-2.0 */
/* An assignment: one stay of a partition with this process; and the partition itself.
 *
 * Upholds: after the end of an assignment nothing of it starts, commits, or changes its successor
 * (G6). Every change of state goes through assignment_move(), which knows the allowed ones.
 *
 *   ACTIVE ----revoke----> DRAINING ----all came back, or deadline----> SETTLING ----> ENDED
 *      |                      |                                            |             ^
 *      +----------------------+--------------------lost-------------------+-------------+
 *
 *   ACTIVE     takes records in, starts and commits them
 *   DRAINING   starts nothing; what is out may still finish, and counts
 *   SETTLING   nothing finishes here any more; the last commit is due or out
 *   ENDED      only waits for the slots and states that are still out, then it is freed
 *
 * Workers load the state before each start: that is the fence.
 *
 * Edge A1: assignment_move(), release -> assignment_may_start(), acquire: what control did before
 * it let go of the partition, before a worker refuses a slot of it. */
#ifndef KLANE_CORE_ASSIGNMENT_H
#define KLANE_CORE_ASSIGNMENT_H

#include "base/cache_line.h"
#include "core/offsets.h"
#include "core/parking.h"
#include "core/progress.h"
#include "core/ready.h"
#include "core/states.h"
#include "core/trial.h"

#include <stdatomic.h>

enum assignment_state {
    ASSIGNMENT_ACTIVE,
    ASSIGNMENT_DRAINING,
    ASSIGNMENT_SETTLING,
    ASSIGNMENT_ENDED
};

/* Of a topic, what the lanes need to know; lives as long as the core. */
struct core_topic {
    const char *name;
    struct progress_scheme scheme;
    enum klane_crashed crashed; /* what becomes of a record that ends the process */
    struct idle_states *states; /* control's; NULL: its lanes have no states */
};

/* Stays when its assignment goes: lanes and slots refer to it. */
struct partition {
    /* Fixed: workers read it. */
    const struct core_topic *topic;
    int32_t number;

    /* Control's alone. */
    _Alignas(CACHE_LINE) struct klane_assignment *current; /* not ENDED; NULL: none */
    struct partition *next;                                /* in the core's list */
    struct ready_queue ready;
    uint64_t salt;       /* of its lanes' hashes, which do not depend on where in memory it is */
    uint32_t slots;      /* in memory, of all assignments */
    uint32_t over_quota; /* lanes that are over their quota */
    uint64_t bytes;      /* of those slots that are large */
    uint64_t full_at;    /* its load when it was held as the fullest; 0: it is not */
    uint64_t wants;      /* bytes that its next record needs, and had not; 0: there was room */
    struct idle_states idle_states;
    bool crowded;  /* it holds until there is room for that */
    bool in_crowd; /* it holds as the fullest, for a crowd */
    bool far;      /* it holds, as too much is finished above the ceiling */
    uint8_t stops; /* enum partition_stops */
    bool held;
};

/* What control is to be told of an assignment; bits. */
enum assignment_notice {
    NOTICE_HELD = 1,      /* take nothing in */
    NOTICE_RELEASED = 2,  /* go on */
    NOTICE_SETTLED = 4,   /* drained and committed as far as it will be: give it up */
    NOTICE_HEAD_GONE = 8, /* a record that was unfinished is not in the log any more: head_gone */
    NOTICE_OVER_BUDGET = 16, /* a record, or its weight, that the budget has no room for was taken
                               all the same: over_budget */
    NOTICE_CRASHED = 32      /* a record whose starts have ended the process is next: crashed */
};

/* Why what has no room in the budget was taken all the same. */
enum over_budget {
    OVER_BY_RECORD, /* there may never be room for a record of this size */
    OVER_BY_WEIGHT, /* or for this weight */
    OVER_BY_PARKED  /* parked lanes fill the memory, and nothing else is in it */
};

struct klane_assignment {
    /* Written by control, read by workers before each start: A1. */
    _Atomic uint8_t state;
    /* The same: no record of it starts that control has not handed over. */
    _Atomic bool asks;

    /* Fixed: workers read it. */
    uint32_t epoch;
    struct partition *partition;
    void *own; /* the source's */

    /* Control's alone. */
    _Alignas(CACHE_LINE) struct offsets offsets;
    struct parking parking;
    struct trial trial;
    uint64_t seed; /* of fingerprints */
#ifdef KLANE_TESTING
    uint64_t fingerprints_alike; /* bits in which none differ */
#endif
    uint32_t slots;     /* of it in memory, in whatever state */
    uint32_t overdue;   /* of them, running for longer than a drain waits */
    uint32_t states;    /* cells of it */
    uint32_t freeing;   /* of them, whose state is to be freed */
    int64_t base_final; /* from SETTLING on */

    int64_t committed;  /* acknowledged; until then begin, or -1 if that is to be committed */
    int64_t committing; /* sent, not answered; -1: none */
    struct progress_text map;      /* the last one written; from SETTLING on the final one */
    struct progress_mark progress; /* of the map that was acknowledged */
    struct progress_mark committing_progress; /* sent with committing */
    bool ever_committed;
    bool dirty;    /* in the core's list of what may have to be committed */
    uint64_t mark; /* the number of marks when it got dirty */
    struct klane_assignment *dirty_next;
    struct klane_assignment *committing_next;

    struct {
        int64_t offset; /* of the last one */
        uint64_t fingerprint;
    } head_gone;

    struct {
        int64_t offset; /* of the last one */
        uint32_t crashes;
    } crashed;

    struct {
        int64_t offset; /* of the last one */
        uint64_t bytes;
        enum over_budget why;
    } over_budget;

    uint64_t charged;    /* bytes of it that count against the budget, but for slots and lanes */
    int64_t end;         /* of the log, as last heard; -1: not known */
    bool behind;         /* there is more in the log than was taken in */
    int64_t deadline_ms; /* of draining, then of settling */

    uint8_t notices; /* enum assignment_notice */
    struct klane_assignment *notice_next;
    struct klane_assignment *next; /* in the core's list, from SETTLING's begin to the end too */
    struct klane_assignment **link;
};

/* Any thread. */
static inline bool assignment_may_start(const struct klane_assignment *assignment)
{
    /* A1 acquire: pairs with assignment_move(). */
    return atomic_load_explicit(&assignment->state, memory_order_acquire) == ASSIGNMENT_ACTIVE;
}

/* Any thread: whether what is finished now comes too late to count. */
static inline bool assignment_is_fenced(const struct klane_assignment *assignment)
{
    /* Relaxed: advice to whoever finishes; control decides. */
    return atomic_load_explicit(&assignment->state, memory_order_relaxed) >= ASSIGNMENT_SETTLING;
}

/* Any thread: a slot that came by the chain may start unasked. */
static inline bool slot_is_paid(const struct klane_slot *slot)
{
    /* Relaxed: who sees late that nothing is on trial any more asks control. */
    return slot->record.is_paid ||
           ((slot->record.has & (SLOT_WAS_EARLY | SLOT_HAS_WEIGHT | SLOT_HAS_DUE)) ==
                SLOT_WAS_EARLY &&
            !atomic_load_explicit(&slot->record.assignment->asks, memory_order_relaxed));
}

/* Control. */
static inline enum assignment_state assignment_state(const struct klane_assignment *assignment)
{
    /* Relaxed: only control writes it, and control asks. */
    return (enum assignment_state)atomic_load_explicit(&assignment->state, memory_order_relaxed);
}

/* Whether what comes back finished still counts. */
static inline bool assignment_counts(const struct klane_assignment *assignment)
{
    return assignment_state(assignment) <= ASSIGNMENT_DRAINING;
}

/* From SETTLING on: all that it has finished is acknowledged as committed. */
static inline bool assignment_is_settled(const struct klane_assignment *assignment)
{
    return assignment->committed == assignment->base_final &&
           assignment->progress.hash == assignment->map.mark.hash;
}

void assignment_init(struct klane_assignment *assignment, struct partition *partition,
                     uint32_t epoch, int64_t begin, void *own);
void assignment_deinit(struct klane_assignment *assignment);

/* The one place where the state changes. */
void assignment_move(struct klane_assignment *assignment, enum assignment_state to);

/* What may be committed now. */
int64_t assignment_base(const struct klane_assignment *assignment);

#endif
