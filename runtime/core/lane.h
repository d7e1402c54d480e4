/* SPDX-License-Identifier: Apache-2.0 */
/* A lane: the unfinished records of one key in one partition, in order; and the table of lanes.
 *
 * Upholds: two keys never share a lane (the whole key is compared); a lane exists only while it
 * has an unfinished slot, so nothing is left of an idle key. Control's alone.
 *
 * A lane belongs to the partition, not to the assignment: when a partition comes back while a
 * handler of its last stay still runs, the new records of that key queue behind it.
 *
 *   list   first -> ... -> last    every unfinished slot, in order; control's alone
 *   chain  the same slots as the workers see them (sync/chain.h); last is its tail
 *
 * The key's bytes are those of the first slot: every slot of the lane carries them. */
#ifndef KLANE_CORE_LANE_H
#define KLANE_CORE_LANE_H

#include "core/heap.h"
#include "core/place.h"
#include "core/slot.h"
#include "core/table.h"

struct partition;
struct slab;

struct lane_name {
    struct partition *partition;
    enum lane_kind kind;
    const void *key;
    uint32_t key_size;
};

struct lane {
    struct table_node node; /* not of LANE_OF_RECORD */
    struct partition *partition;
    struct klane_slot *first;
    struct klane_slot *last;
    struct klane_slot *held; /* the slot that control holds: SLOT_READY, _WAITING, _HEAVY,
                                _SCHEDULED, _GATHERED or _BARRED; or NULL */
    struct lane *ready_next; /* in the partition's list of ready lanes, among the heavy ones, or
                                among those gathered */
    struct lane *ready_previous;
    uint64_t bytes; /* of the large slots in the list */
    union {
        int64_t seen_head;   /* its first offset at the last look for what is stuck */
        int64_t gathered_ms; /* instead, while held is SLOT_GATHERED: since when */
    };
    uint32_t count;         /* slots in the list */
    struct heap_node head;  /* in the offsets of its first slot outside the ring */
    struct heap_node timer; /* while held is SLOT_WAITING or _SCHEDULED */
    uint16_t gathered;      /* records that it was counted with, while held is SLOT_GATHERED */
    uint8_t kind : 4;       /* enum lane_kind */
    bool has_waited : 1;    /* since it was last handed over: for its batch, long enough */
    bool over_quota : 1;    /* it has made its partition hold */
    bool is_grown : 1;      /* while held is SLOT_GATHERED: it is as long as it gets */
    uint8_t size_class;     /* of the slab */
};

/* There may be millions. */
_Static_assert(sizeof(struct lane) <= 96, "it has grown into the next size of block");

static inline bool lane_is_gathered(const struct lane *lane)
{
    return lane->held != NULL && lane->held->control.state == SLOT_GATHERED;
}

static inline struct lane *lane_of_timer(struct heap_node *timer)
{
    return (struct lane *)(void *)((char *)timer - offsetof(struct lane, timer));
}

static inline struct lane *lane_of_head(struct heap_node *head)
{
    return (struct lane *)(void *)((char *)head - offsetof(struct lane, head));
}

static inline struct lane *lane_of_node(struct table_node *node)
{
    return (struct lane *)(void *)((char *)node - offsetof(struct lane, node));
}

/* Until when its held slot waits, which is in the timers; INT64_MAX: for ever. */
static inline int64_t lane_waits_until(const struct heap *timers, const struct lane *lane)
{
    return timers->entries[lane->timer.place].value;
}

struct lane_table {
    struct table table;
    uint64_t seed;
    uint32_t alone; /* lanes of single records, which are not in it */
};

/* lanes_max: the most lanes there can be at once. False: no memory. */
bool lane_table_init(struct lane_table *table, uint32_t lanes_max, uint64_t seed);
void lane_table_deinit(struct lane_table *table);

/* The lane of this name, or NULL; *hash is what lane_create() needs. Not for LANE_OF_RECORD. */
struct lane *lane_find(const struct lane_table *table, const struct lane_name *name,
                       uint64_t *hash);

/* By what a lane is known where its key is not kept: the same on every host. A LANE_OF_RECORD is
 * known by the record's offset, apart from the others. */
uint64_t lane_fingerprint(const struct lane_name *name, int64_t offset, uint64_t seed);

/* A new, empty lane of this name, entered into the table. NULL: no memory. */
struct lane *lane_create(struct lane_table *table, struct slab *slab,
                         const struct lane_name *name, uint64_t hash);

/* The lane is empty and goes. */
void lane_destroy(struct lane_table *table, struct slab *slab, struct lane *lane);

/* Append a slot. True: nobody will pass it on; it is control's to start. */
bool lane_append(struct lane *lane, struct klane_slot *slot);

/* The finished prefix of the list: its first slot if that is finished, taken out; else NULL. */
static inline struct klane_slot *lane_take_finished(struct lane *lane)
{
    struct klane_slot *slot = lane->first;

    if (slot == NULL || slot->control.state != SLOT_FINISHED)
        return NULL;
    lane->first = slot->control.next;
    if (lane->first == NULL)
        lane->last = NULL;
    lane->count--;
    lane->bytes -= slot_large_bytes(slot);
    return slot;
}

/* Take back, in order, the slots behind a cut, as near to the first as workers have not passed
 * the lane on already; the first keep slots stay, keep being at least 1. Returns the first that
 * was taken back (linked by control.next), or NULL. */
struct klane_slot *lane_shorten(struct lane *lane, uint32_t keep);

/* Take back every slot that no worker can reach any more: those from lane->held on, or as
 * lane_shorten(). */
struct klane_slot *lane_take_back(struct lane *lane);

/* The first unfinished slot of an assignment in this lane, or NULL. */
static inline struct klane_slot *lane_head(const struct lane *lane,
                                           const struct klane_assignment *assignment)
{
    struct klane_slot *slot = lane->first;

    while (slot != NULL && slot->record.assignment != assignment)
        slot = slot->control.next;
    return slot;
}

#ifdef KLANE_TESTING
void lane_table_verify(const struct lane_table *table);
#endif

#endif
