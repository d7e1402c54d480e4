/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ready.h"

#include "base/assert.h"
#include "core/assignment.h"
#include "core/lane.h"

/* Puts the lane in before next, or at the end. */
static void insert(struct lane_list *list, struct lane *lane, struct lane *next)
{
    lane->ready_next = next;
    lane->ready_previous = next != NULL ? next->ready_previous : list->last;
    if (lane->ready_previous != NULL)
        lane->ready_previous->ready_next = lane;
    else
        list->first = lane;
    if (next != NULL)
        next->ready_previous = lane;
    else
        list->last = lane;
}

void lane_list_append(struct lane_list *list, struct lane *lane)
{
    insert(list, lane, NULL);
}

void lane_list_remove(struct lane_list *list, struct lane *lane)
{
    if (lane->ready_previous != NULL)
        lane->ready_previous->ready_next = lane->ready_next;
    else
        list->first = lane->ready_next;
    if (lane->ready_next != NULL)
        lane->ready_next->ready_previous = lane->ready_previous;
    else
        list->last = lane->ready_previous;
}

/* The first goes. */
static void lane_list_take(struct lane_list *list)
{
    list->first = list->first->ready_next;
    if (list->first != NULL)
        list->first->ready_previous = NULL;
    else
        list->last = NULL;
}

/* How many of the queue's lanes may be taken. */
static uint32_t takeable(const struct ready_queue *queue)
{
    return queue->count < queue->open ? queue->count : queue->open;
}

static void join_round(struct ready_round *round, struct partition *partition)
{
    if (round->last == NULL) {
        partition->ready.next = partition;
    } else {
        partition->ready.next = round->last->ready.next;
        round->last->ready.next = partition;
    }
    round->last = partition;
}

/* The partition that follows previous in the ring has no lane to take left. */
static void leave_round(struct ready_round *round, struct partition *previous)
{
    struct partition *partition = previous->ready.next;

    if (previous == partition)
        round->last = NULL;
    else if (round->last == partition)
        round->last = previous;
    previous->ready.next = partition->ready.next;
    partition->ready.next = NULL;
}

/* The partition had so many lanes to take. */
static void settle(struct ready_round *round, struct partition *partition, uint32_t before)
{
    struct partition *previous = partition;
    uint32_t now = takeable(&partition->ready);

    round->lanes += now - before;
    if (now > 0 && partition->ready.next == NULL)
        join_round(round, partition);
    if (now > 0 || partition->ready.next == NULL)
        return;
    while (previous->ready.next != partition)
        previous = previous->ready.next;
    leave_round(round, previous);
}

static void append(struct ready_queue *queue, struct lane *lane)
{
    lane_list_append(&queue->list, lane);
    queue->count++;
}

static void unlink_lane(struct ready_queue *queue, struct lane *lane)
{
    lane_list_remove(&queue->list, lane);
    queue->count--;
}

void ready_add(struct ready_round *round, struct lane *lane)
{
    struct partition *partition = lane->partition;

    KLANE_ASSERT(lane->held != NULL);
    append(&partition->ready, lane);
    round->all++;
    if (partition->ready.count > partition->ready.open)
        return;
    round->lanes++;
    if (partition->ready.next == NULL)
        join_round(round, partition);
}

void ready_add_open(struct ready_round *round, struct lane *lane)
{
    struct partition *partition = lane->partition;
    struct ready_queue *queue = &partition->ready;
    uint32_t before = takeable(queue);

    insert(&queue->list, lane, queue->list.first);
    queue->count++;
    round->all++;
    if (queue->open != READY_ALL)
        queue->open++;
    settle(round, partition, before);
}

struct lane *ready_take(struct ready_round *round)
{
    struct partition *partition;
    struct ready_queue *queue;
    struct lane *lane;

    if (round->last == NULL)
        return NULL;
    partition = round->last->ready.next;
    queue = &partition->ready;
    lane = queue->list.first;
    lane_list_take(&queue->list);
    queue->count--;
    if (queue->open != READY_ALL)
        queue->open--;
    round->lanes--;
    round->all--;
    if (takeable(queue) == 0)
        leave_round(round, round->last);
    else
        round->last = partition;
    return lane;
}

void ready_remove(struct ready_round *round, struct lane *lane)
{
    struct partition *partition = lane->partition;
    uint32_t before = takeable(&partition->ready);

    unlink_lane(&partition->ready, lane);
    round->all--;
    settle(round, partition, before);
}

void ready_open(struct ready_round *round, struct partition *partition, uint32_t open)
{
    uint32_t before = takeable(&partition->ready);

    partition->ready.open = open;
    settle(round, partition, before);
}

void ready_put_last(struct lane *lane)
{
    struct ready_queue *queue = &lane->partition->ready;

    KLANE_ASSERT(queue->open == 0);
    unlink_lane(queue, lane);
    append(queue, lane);
}
