/* SPDX-License-Identifier: Apache-2.0 */
/* A slot: the memory of one record in flight, in one block with its key, value and headers.
 *
 * Upholds: each field has one writer at a time, named by the member that it stands in. Allocated
 * and freed by control only, after the slot has come back.
 *
 *   bytes behind the structure:  key | value | headers | lane key, if not the record's key |
 *                                weight, if it has one | due time, if it has one |
 *                                where its lane's state is, if it has one */
#ifndef KLANE_CORE_SLOT_H
#define KLANE_CORE_SLOT_H

#include "base/slab.h"
#include "base/source_record.h"
#include "core/place.h"
#include "sync/chain.h"
#include "sync/mailbox.h"

#include <klane/klane.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct klane_assignment;
struct lane;

/* How an attempt ended, as whoever ended it reports; from SLOT_RETRY on the record is
 * unfinished. */
enum slot_outcome {
    SLOT_DONE,
    SLOT_SKIPPED,
    SLOT_RETRY,
    SLOT_NOT_STARTED, /* its assignment no longer starts anything */
    SLOT_ASKS,        /* it came by the chain, and control has to say when it runs */
    SLOT_DEAD_LETTER  /* it is to be one; never told to the core, for which that is a retry */
};

/* What only some outcomes carry; made by whoever reports, freed by control. That of a dead letter
 * stays with it. */
struct slot_notice {
    int64_t delay_ms;  /* -1: the route's */
    uint32_t attempts; /* of a dead letter: of its handler, all of which failed */
    char reason[];     /* empty: none was given */
};

enum slot_has {
    SLOT_HAS_KEY = 1,
    SLOT_HAS_VALUE = 2,
    SLOT_HAS_LANE_KEY = 4,
    SLOT_HAS_WEIGHT = 8,
    SLOT_HAS_LETTER = 16, /* its handler's attempts are over: back.notice goes with it */
    SLOT_HAS_DUE = 32,
    SLOT_WAS_EARLY = 64, /* came in when the log did not know of its stay yet: slot_is_paid() */
    SLOT_HAS_STATE = 128 /* its lane has a place for a pointer of the program's */
};

/* Where control has a slot. */
enum slot_state {
    SLOT_QUEUED,    /* in its lane's chain, or passed on from there by workers */
    SLOT_READY,     /* runnable, held by control */
    SLOT_OUT,       /* handed over by control */
    SLOT_WAITING,   /* for the time of its retry, held by control */
    SLOT_HEAVY,     /* for its weight to be free, held by control */
    SLOT_SCHEDULED, /* for its time, or to be released, held by control */
    SLOT_GATHERED,  /* for others of its batch, held by control */
    SLOT_BARRED,    /* until its lane's former state is freed, held by control */
    SLOT_FINISHED   /* came back and is settled, behind one that has not */
};

struct klane_slot {
    struct chain_link chain; /* by the rules of sync/chain.h */

    /* Written by the holder that ends the attempt; control's once the mail arrived. */
    struct {
        union {
            struct mail mail;
            struct klane_slot *with; /* by control: the next of the batch that it hands over; then
                                        by its holder, while it runs: the first of it */
        };
        struct slot_notice *notice;
        uint32_t token;  /* 0: none */
        uint8_t outcome; /* enum slot_outcome */
        bool passed;     /* the holder finished the link and kept what it received */
        /* Control's, while the attempt goes on too: it has taken longer than it may. The holder
         * reads it. */
        _Atomic bool overrun;
    } back;

    /* Control's alone. */
    struct {
        uint8_t state; /* enum slot_state */
        uint8_t size_class;
        uint8_t kind : 7;    /* enum lane_kind, while it is kept behind a parked lane */
        bool by_window : 1;  /* it came in through a crowd's */
        uint8_t crashes : 4; /* of its starts, those that ended with the process */
        bool overdue : 1;    /* the drain goes on without it */
        bool on_trial : 1;   /* the log knows that it runs */
        bool step : 1;       /* of the trial's steps, by turns */
        bool is_plain : 1;   /* control need not be asked whether it may run, nor is anything to
                                be undone when it comes back */
        uint32_t sequence;   /* place in the ring of offsets */
        struct lane *lane;
        struct klane_slot *next; /* in the lane's list of unfinished slots */
    } control;

    /* Written by control before the slot is handed over, then read by its holder. */
    struct {
        struct klane_assignment *assignment;
        int64_t offset;
        int64_t timestamp_ms;
        uint32_t key_size;
        uint32_t value_size;
        uint32_t headers_size;
        uint32_t lane_key_size;
        uint32_t attempt; /* from 1; 0: it is no record, slot_frees_state() */
        uint16_t route;
        uint8_t has;  /* enum slot_has */
        bool is_paid; /* it may start, as far as weights and trials are concerned; if not, see
                         slot_is_paid() */
    } record;

    unsigned char bytes[];
};

/* A slot with a copy of the record. The caller sets its assignment and its state. NULL: no
 * memory. */
struct klane_slot *slot_create(struct slab *slab, const struct source_record *record,
                               const struct core_place *place);

/* The bytes behind the headers, of a place that has more. */
size_t slot_size_of_more(const struct core_place *place);

/* The bytes of a slot of this record. */
static inline size_t slot_size_of(const struct source_record *record,
                                  const struct core_place *place)
{
    return sizeof(struct klane_slot) + record->key_size + record->value_size +
           record->headers_size + (place_has_more(place) ? slot_size_of_more(place) : 0);
}

static inline void slot_destroy(struct slab *slab, struct klane_slot *slot)
{
    if (slot->record.has & SLOT_HAS_LETTER)
        free(slot->back.notice);
    slab_free(slab, slot, slot->control.size_class);
}

static inline struct klane_slot *slot_of_link(struct chain_link *link)
{
    return (struct klane_slot *)(void *)((char *)link - offsetof(struct klane_slot, chain));
}

static inline struct klane_slot *slot_of_mail(struct mail *mail)
{
    return (struct klane_slot *)(void *)((char *)mail - offsetof(struct klane_slot, back.mail));
}

static inline const void *slot_key(const struct klane_slot *slot)
{
    return slot->record.has & SLOT_HAS_KEY ? slot->bytes : NULL;
}

static inline const void *slot_value(const struct klane_slot *slot)
{
    return slot->record.has & SLOT_HAS_VALUE ? slot->bytes + slot->record.key_size : NULL;
}

/* What names its lane, if its key does. */
static inline const void *slot_lane_key(const struct klane_slot *slot, uint32_t *size)
{
    if (slot->record.has & SLOT_HAS_LANE_KEY) {
        *size = slot->record.lane_key_size;
        return slot->bytes + slot->record.key_size + slot->record.value_size +
               slot->record.headers_size;
    }
    *size = slot->record.key_size;
    return slot->bytes;
}

/* Its bytes. */
static inline size_t slot_size(const struct klane_slot *slot)
{
    return sizeof(*slot) + slot->record.key_size + slot->record.value_size +
           slot->record.headers_size + slot->record.lane_key_size +
           (slot->record.has & SLOT_HAS_WEIGHT ? sizeof(uint64_t) : 0) +
           (slot->record.has & SLOT_HAS_DUE ? sizeof(int64_t) : 0) +
           (slot->record.has & SLOT_HAS_STATE ? sizeof(void **) : 0);
}

/* Its bytes if it is large: small ones are bounded well enough by their number. */
static inline size_t slot_large_bytes(const struct klane_slot *slot)
{
    return slot->control.size_class <= SLAB_CLASS_SMALL ? 0 : slot_size(slot);
}

/* The attempts of its handler so far, while no worker has it; of a dead letter only that counts.
 * What waits and has crashes is not to run here. */
static inline uint32_t slot_attempts(const struct klane_slot *slot)
{
    bool was_tried = slot->control.state == SLOT_WAITING && slot->control.crashes == 0;

    if (slot->record.has & SLOT_HAS_LETTER)
        return slot->back.notice->attempts;
    return slot->record.attempt - (was_tried ? 0 : 1);
}

/* What its handler takes, as the program says; 0: nothing. */
uint64_t slot_weight(const struct klane_slot *slot);

/* Since 1970, before which it is not to run; 0: at once. */
int64_t slot_due_ms(const struct klane_slot *slot);
/* It may run at once. */
void slot_due_now(struct klane_slot *slot);

/* Of a slot with a place for that: where its lane's state is. */
void **slot_state_place(const struct klane_slot *slot);

/* NULL: its lane has none. */
static inline void **slot_state(const struct klane_slot *slot)
{
    return slot->record.has & SLOT_HAS_STATE ? slot_state_place(slot) : NULL;
}

/* It is no record, and is never paid: whoever gets it frees a state, core/states.h. */
static inline bool slot_frees_state(const struct klane_slot *slot)
{
    return slot->record.attempt == 0;
}

void slot_set_state(struct klane_slot *slot, void **state);

/* Control has it: workers ask before they start it, and control looks at it once more. */
static inline void slot_is_to_ask(struct klane_slot *slot)
{
    slot->record.is_paid = slot->control.is_plain = false;
    slot->record.has &= (uint8_t)~SLOT_WAS_EARLY;
}

static inline const void *slot_headers(const struct klane_slot *slot)
{
    return slot->bytes + slot->record.key_size + slot->record.value_size;
}

#endif
