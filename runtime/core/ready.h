/* SPDX-License-Identifier: Apache-2.0 */
/* Lanes that can run and wait for a worker: a queue for each partition, taken round robin.
 *
 * Upholds: a partition with many ready lanes does not keep another's from running; inside a
 * partition the lane that waits longest is next. Control's alone. */
#ifndef KLANE_CORE_READY_H
#define KLANE_CORE_READY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lane;
struct partition;

/* Lanes by ready_next and ready_previous; a lane is in one such list at most. */
struct lane_list {
    struct lane *first;
    struct lane *last;
};

void lane_list_append(struct lane_list *list, struct lane *lane);
void lane_list_remove(struct lane_list *list, struct lane *lane);

/* In each partition. */
struct ready_queue {
    struct lane_list list;
    struct partition *next; /* in the round; NULL: this partition has no lane to take */
    uint32_t count;
    uint32_t open; /* so many of the first may be taken; READY_ALL: all */
};

#define READY_ALL UINT32_MAX

struct ready_round {
    struct partition *last; /* a ring of partitions; last->next is whose turn it is */
    uint32_t lanes;         /* that may be taken */
    uint32_t all;           /* and the others */
};

void ready_add(struct ready_round *round, struct lane *lane);

/* The same, before all others of its partition, and one more of them may be taken. */
void ready_add_open(struct ready_round *round, struct lane *lane);

/* The next lane, taken out; NULL: none. */
struct lane *ready_take(struct ready_round *round);

void ready_remove(struct ready_round *round, struct lane *lane);

/* So many of the partition's lanes may be taken from now on. */
void ready_open(struct ready_round *round, struct partition *partition, uint32_t open);

/* Moves the lane behind the others of its partition, of which none may be taken. */
void ready_put_last(struct lane *lane);

#endif
