/* SPDX-License-Identifier: Apache-2.0 */
/* The history of a run: what happened to records, partitions and commits, in one order.
 *
 * Upholds: an event that was added is never changed; lanes are told apart by their whole key.
 * The simulator writes histories, and so may tests with threads: history_add() may be called from
 * any of them, everything else by one at a time. tests/sim/checkers.h judges them.
 *
 * Processes, partitions, lanes and epochs are small numbers of the test's choosing. Epochs are
 * unique in the whole history, in all processes. Lane 0 stands for records without an order. */
#ifndef KLANE_TESTS_SIM_HISTORY_H
#define KLANE_TESTS_SIM_HISTORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* With each: the fields that it has besides time_ms. "value" in brackets says what it means. */
enum history_type {
    HISTORY_APPEND,    /* partition offset lane: the log has got a record, offsets rise */
    HISTORY_LOG_END,   /* partition offset: nothing more comes below it, a hole is before it */
    HISTORY_GONE,      /* partition offset: the log does not have the record any more */
    HISTORY_CUT,       /* partition offset: nor any from there on; other offsets may come again */
    HISTORY_WORKERS,   /* process value [threads that run handlers]: it has begun */
    HISTORY_ASSIGN,    /* process partition epoch offset ceiling: the partition came; records go on
                          at the ceiling, of those between only the unfinished run */
    HISTORY_REVOKE,    /* process partition epoch: it is to be given up, nothing starts any more */
    HISTORY_GIVEN_UP,  /* process partition epoch result [1: with a base below the first] */
    HISTORY_LOST,      /* process partition epoch: the process was told that it is gone */
    HISTORY_DELIVER,   /* process partition epoch offset: the record was taken in */
    HISTORY_START,     /* process partition epoch offset attempt: a handler starts */
    HISTORY_RETURN,    /* the same: the handler returned without an outcome */
    HISTORY_END,       /* the same, result, value [ms until it may start again, if it is to] */
    HISTORY_HEARD,     /* process partition epoch offset: control has heard that it is finished */
    HISTORY_HEAD_GONE, /* process partition epoch offset: it is told that the log does not have the
                          record any more, which was unfinished */
    HISTORY_STATE,     /* process partition epoch offset ceiling [the number of the state that a
                          handler found; 0: none] value [of what it left] */
    HISTORY_FREE,      /* process partition epoch lane value [number of the state]: it begins */
    HISTORY_FREED,     /* the same: it is over */
    HISTORY_DRAINED,   /* process partition epoch: it is about to be given up, and was not kept
                          waiting by a handler, nor up to a deadline */
    HISTORY_SENT,      /* process partition epoch offset ceiling value [number of the commit] */
    HISTORY_COMMITTED, /* process partition epoch offset ceiling: the log has stored it */
    HISTORY_ANSWERED,  /* process value [number of the commit] */
    HISTORY_CRASH,     /* process: everything it had in memory is gone */
    HISTORY_STOP,      /* process value [deadline_ms]: it was asked to stop */
    HISTORY_STOPPED,   /* process result [1: nothing failed or was still out] */
    HISTORY_BOUND,     /* process offset [measured] value [limit] */
    HISTORY_LEFT,      /* process value [what is left of something that shall be gone] */
    HISTORY_NOTE,      /* process partition offset, name: for the reader only */
    HISTORY_TYPES
};

enum history_result { HISTORY_DONE, HISTORY_SKIPPED, HISTORY_RETRY };

struct history_event {
    int64_t time_ms;
    int64_t offset;
    int64_t ceiling; /* how far up a progress map speaks; 0: there is none */
    int64_t value;
    const char *name; /* of a bound, of what is left, or a note */
    uint32_t epoch;
    uint32_t lane;
    uint32_t attempt;
    uint16_t partition;
    uint8_t process;
    uint8_t type;   /* enum history_type */
    uint8_t result; /* enum history_result */
};

struct history {
    struct history_event *events;
    _Atomic(size_t) count; /* more than capacity: the last ones were dropped */
    size_t capacity;
    struct history_lanes *lanes;
};

/* False: no memory. */
bool history_init(struct history *history, size_t capacity);
void history_deinit(struct history *history);

/* Forget everything, but keep the memory. */
void history_clear(struct history *history);

/* Any thread. */
void history_add(struct history *history, struct history_event event);

/* How many events there are, and whether there was room for all. */
size_t history_count(const struct history *history);
bool history_is_whole(const struct history *history);

/* The number of the lane of this name, 1 and higher; the same for the same partition, kind and
 * bytes. 0: no memory. */
uint32_t history_lane(struct history *history, uint16_t partition, uint8_t kind, const void *key,
                      size_t key_size);

/* One line, or the whole history with a legend. */
void history_print_event(FILE *file, const struct history *history, size_t index);
void history_print(FILE *file, const struct history *history);

#endif
