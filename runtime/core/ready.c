/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ready.h"

#include "base/assert.h"
#include "core/assignment.h"
#include "core/lane.h"

void ready_add(struct ready_round *round, struct lane *lane)
{
    struct partition *partition = lane->partition;
    struct ready_queue *queue = &partition->ready;

    KLANE_ASSERT(lane->held != NULL);
    lane->ready_next = NULL;
    lane->ready_previous = queue->last;
    if (queue->last != NULL)
        queue->last->ready_next = lane;
    else
        queue->first = lane;
    queue->last = lane;
    round->lanes++;
    if (queue->next != NULL)
        return;
    if (round->last == NULL) {
        queue->next = partition;
    } else {
        queue->next = round->last->ready.next;
        round->last->ready.next = partition;
    }
    round->last = partition;
}

/* The partition that follows previous in the ring has no ready lane left. */
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

static void unlink_lane(struct ready_round *round, struct lane *lane)
{
    struct ready_queue *queue = &lane->partition->ready;

    if (lane->ready_previous != NULL)
        lane->ready_previous->ready_next = lane->ready_next;
    else
        queue->first = lane->ready_next;
    if (lane->ready_next != NULL)
        lane->ready_next->ready_previous = lane->ready_previous;
    else
        queue->last = lane->ready_previous;
    round->lanes--;
}

struct lane *ready_take(struct ready_round *round)
{
    struct partition *partition;
    struct lane *lane;

    if (round->last == NULL)
        return NULL;
    partition = round->last->ready.next;
    lane = partition->ready.first;
    unlink_lane(round, lane);
    if (partition->ready.first == NULL)
        leave_round(round, round->last);
    else
        round->last = partition;
    return lane;
}

void ready_remove(struct ready_round *round, struct lane *lane)
{
    struct partition *partition = lane->partition, *previous = partition;

    unlink_lane(round, lane);
    if (partition->ready.first != NULL)
        return;
    while (previous->ready.next != partition)
        previous = previous->ready.next;
    leave_round(round, previous);
}
