/* SPDX-License-Identifier: Apache-2.0 */
/* A process that appends to a log and consumes it is killed at random moments and started again,
 * over and over; it says what it does: see kill_history.h. One key is stuck until the last life,
 * one has records that run twice.
 *
 * Processes are forked: the one that kills them has no threads, and asserts; they exit. */
#ifndef KLANE_TESTS_LIB_KILL_LIFE_H
#define KLANE_TESTS_LIB_KILL_LIFE_H

#include "lib/kill_history.h"

#include <klane/klane.h>

#define KILL_BATCH_MAX 16 /* records of one append */

struct kill_payload {
    uint32_t number;
    uint32_t key;
};

struct kill_life;

/* Called in the process that is killed. */
struct kill_log_ops {
    void (*open)(struct kill_life *life, struct klane_source **source);
    /* Until they are acknowledged. */
    void (*append)(struct kill_life *life, const struct kill_payload *payloads, uint32_t count);
};

enum kill_end {
    KILL_END_KILLED,  /* it appends, and goes on until it is killed */
    KILL_END_STOPPED, /* it appends and stops */
    KILL_END_LAST     /* it appends nothing and stops when everything is handled */
};

struct kill_life {
    struct kill_history *history;
    const struct kill_log_ops *ops;
    void *log; /* what ops work on */
    const char *topic;
    struct klane_options options; /* of workers, memory and commits */
    uint32_t slow_us;             /* a handler now and then */
    uint32_t delay_us_max;        /* it is killed by then */
    uint32_t patience_ms;         /* of who waits for a life's commits */
    uint64_t random;
    enum kill_end end;
};

/* Options are klane's defaults, but for the events; the rest is to be filled in. */
void kill_life_init(struct kill_life *life, struct kill_history *history);

/* In a life: an error ends it, and thus fails the test. */
void kill_must(klane_err_t err, const char *what, const char *text);

/* waits: it has committed a few times before, however slow the machine is. */
void kill_at_random(struct kill_life *life, uint64_t *random, bool waits);

/* A life that ends by itself. */
void kill_let_end(struct kill_life *life, uint64_t *random, enum kill_end end);

/* Add the counts of this history, which has to be just. */
void kill_assert_just(const struct kill_history *history, struct kill_counts *counts);

/* The bound was kept, and was put to the test; says so. */
void kill_assert_counts(const struct kill_counts *counts, uint64_t kills);

#endif
