/* SPDX-License-Identifier: Apache-2.0 */
/* States: a pointer of the program's for each lane, beside its records, and kept for a while when
 * the lane has none.
 *
 * Upholds: one at a time has a cell: the holder of a slot of its lane, whoever frees its state, or
 * control; a state is freed once, and no record of its lane starts before that has ended; a record
 * never finds the state of another stay. Control's alone, but for the pointer.
 *
 *   IN_LANE   its lane is in memory, and its slots lead here
 *   IDLE      the lane has gone and has left a state
 *   DUE       that is to be freed: too many are idle, memory is short, its stay ends
 *   OUT       handed over for that
 *
 *   IN_LANE --lane goes--> IDLE --> DUE --> OUT --came back--> gone, or IN_LANE if a lane waits
 *      ^                    |
 *      +----lane comes------+
 *
 * A lane may come while its cell is DUE or OUT: its first record then waits until that is back. So
 * does the first record of a stay behind one of an earlier stay, whose state goes in between.
 *
 * Who frees gets a slot, which stands behind the cell and is never in a lane: what the cell has
 * in common with slots is in there, its key, its lane and its assignment. */
#ifndef KLANE_CORE_STATES_H
#define KLANE_CORE_STATES_H

#include "core/slot.h"
#include "core/table.h"

#include <sys/queue.h>

struct core;
struct lane;
struct lane_name;
struct partition;

enum cell_place { CELL_IN_LANE, CELL_IDLE, CELL_DUE, CELL_OUT };

struct cell {
    void *state; /* the program's; NULL: none. Whoever has the cell reads and writes it */

    struct table_node node;
    TAILQ_ENTRY(cell) of_topic; /* IDLE: among those of its topic; DUE: among all that are due */
    TAILQ_ENTRY(cell) of_partition; /* IDLE: among those of its partition */
    uint8_t place;                  /* enum cell_place */
    uint8_t size_class;
};

TAILQ_HEAD(cell_list, cell);

/* Idle ones, those that are so for the longest first. */
struct idle_states {
    struct cell_list list;
    uint32_t count;
    uint32_t max; /* a topic's: more are not kept */
};

static inline void idle_states_init(struct idle_states *idle, uint32_t max)
{
    TAILQ_INIT(&idle->list);
    idle->count = 0;
    idle->max = max;
}

struct states {
    struct table table; /* all cells */
    struct cell_list due;
    uint32_t idle;
    uint32_t freeing; /* due or out */
    uint32_t out;
    uint32_t awaited; /* lanes whose held slot waits for that: SLOT_BARRED */
    bool had_turn;    /* the last slot that was handed over was one of these */
};

/* Some are to be handed over. */
static inline bool states_are_due(const struct states *states)
{
    return !TAILQ_EMPTY(&states->due);
}

/* The cell that the slot's lane has; NULL: none. */
static inline struct cell *cell_of_slot(const struct klane_slot *slot)
{
    return (struct cell *)(void *)slot_state(slot);
}

/* The cell whose state this slot is to free. */
static inline struct cell *cell_of_task(struct klane_slot *task)
{
    return (struct cell *)(void *)task - 1;
}

/* A slot with a place for it, of this name, is about to go into the lane, which may be empty yet.
 * False: no memory. */
bool states_enter(struct core *core, struct lane *lane, const struct lane_name *name,
                  uint64_t hash, struct klane_slot *slot);

/* The lane has gone. */
void states_leave(struct core *core, struct cell *cell);

/* The lane's held slot may run, as far as states are concerned. False: it is barred. */
bool states_let(struct core *core, struct lane *lane);

/* The lane's held slot waits no more: it is dropped. */
void states_forget(struct core *core, struct lane *lane);

/* The slot that frees what is due first; NULL: nothing is. */
struct klane_slot *states_next(struct states *states);

/* Nothing of the partition's stay runs any more that is not out: what is idle is due. */
void states_fence(struct core *core, struct partition *partition);

/* Memory is short: half of what is idle is due. False: nothing is, or some is under way. */
bool states_relieve(struct core *core);

#ifdef KLANE_TESTING
void states_verify(const struct core *core);
#endif

#endif
