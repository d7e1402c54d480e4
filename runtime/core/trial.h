/* SPDX-License-Identifier: Apache-2.0 */
/* Trials: how a record that ends the process is found.
 *
 * Upholds: no record of a stay starts before the log knows that the stay has begun; and after
 * TRIAL_AFTER stays in a row that ended soon and without a word, none before the log knows that
 * this very record runs. So whatever ends the process again and again is told apart in the end
 * from what only ran beside it. A log that does not answer delays a start by a second, no more.
 *
 * The map counts stays: its starts is one more than in the map that the stay took up, is 1 again
 * when the stay has lasted for calm_ms, and 0 when the stay ends in order. On trial, records run
 * in batches: a batch is chosen, committed as running, started when that is acknowledged, and
 * followed by the next when it has come back, or has run for a second. What was running when the
 * process ended has one crash more in the next process, and is tried alone then: one at a time,
 * of whatever partition, when its own has nothing else that is ready. With TRIAL_CRASHES of them
 * it is what ends the process, and is treated as its topic says. A record that comes back has none
 * any more. */
#ifndef KLANE_CORE_TRIAL_H
#define KLANE_CORE_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

#define TRIAL_AFTER 3U
#define TRIAL_BATCH 64U
#define TRIAL_CRASHES 3U

struct core;
struct klane_assignment;
struct klane_slot;

enum trial_state {
    TRIAL_NONE,  /* nothing is to be said to the log, or the stay has lasted long enough */
    TRIAL_ASKS,  /* it is to be committed that the stay has begun, or what is going to run */
    TRIAL_SENT,  /* that commit is out */
    TRIAL_HEARD, /* it is acknowledged */
    TRIAL_RUNS,  /* a batch is out; or, if it is no trial, everything runs */
};

/* In each assignment. */
struct trial {
    uint32_t starts;  /* as maps are to say */
    uint8_t state;    /* enum trial_state */
    bool is_on;       /* records are on trial */
    bool step;        /* which of two in turn */
    uint32_t chosen;  /* lanes, the first of the partition's queue */
    uint32_t out;     /* records of the batch that have not come back */
    int64_t step_ms;  /* when the step has lasted long enough; -1: since the next look */
    int64_t until_ms; /* when the stay has; -1: calm_ms after the next look */
};

/* A worker may not go on by itself with a record that is taken in now. */
static inline bool trial_asks_for_each(const struct trial *trial)
{
    return trial->is_on || (trial->state != TRIAL_NONE && trial->state != TRIAL_RUNS);
}

/* The assignment begins; what its slots wait for is said to the log first. */
void trial_begin(struct core *core, struct klane_assignment *assignment);

/* The map that it takes up says so. */
void trial_restore(struct core *core, struct klane_assignment *assignment, uint32_t starts);

/* Nothing of the assignment starts any more. */
void trial_end(struct core *core, struct klane_assignment *assignment);

/* A map of the assignment is in the commit that is out; that was answered. */
void trial_sent(struct klane_assignment *assignment);
void trial_answered(struct klane_assignment *assignment, bool acknowledged);

/* The record came back, or does not run after all. */
void trial_back(struct core *core, struct klane_slot *slot);

/* Time passed, or something came back. */
void trials_check(struct core *core, int64_t now_ms);

/* When trials_check() has to be called at the latest. */
int64_t trials_due_ms(const struct core *core);

/* Control holds the slot, which is next. False: it ends processes, and is not to run here. */
bool trial_lets(struct core *core, struct klane_slot *slot);

#endif
