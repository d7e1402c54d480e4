/* SPDX-License-Identifier: Apache-2.0 */
/* What handlers keep for their lanes, and what becomes of it. A state has a number, which no other
 * has; its upper half is its lane. */
#include "sim/checkers_internal.h"

#include <inttypes.h>

void checker_on_state(struct checker *checker, const struct history_event *event)
{
    const struct seen_partition *partition = &checker->partitions[event->partition];
    uint32_t index = checker_index_of(partition, event->offset);
    struct seen_lane *lane;

    if (index == NONE || partition->records[index].lane == 0) {
        checker_fail(checker, 15, "a state of a record without a lane");
        return;
    }
    lane = &checker->processes[event->process].lanes[partition->records[index].lane];
    if (lane->is_freeing)
        checker_fail(checker, 15, "it starts while state %" PRId64 " is freed", lane->state);
    else if (event->ceiling != lane->state)
        checker_fail(checker, 15, "it finds state %" PRId64 " where %" PRId64 " was left",
                     event->ceiling, lane->state);
    else if (event->ceiling != 0 && lane->state_epoch != event->epoch)
        checker_fail(checker, 15, "it finds the state of epoch %" PRIu32, lane->state_epoch);
    lane->state = event->value;
    lane->state_epoch = event->epoch;
}

void checker_on_free(struct checker *checker, const struct history_event *event)
{
    struct seen_lane *lane = &checker->processes[event->process].lanes[event->lane];

    if (lane->is_freeing || lane->state != event->value)
        checker_fail(checker, 15, "a state is freed that its lane does not have");
    else if (lane->open > 0)
        checker_fail(checker, 15, "a state is freed while a handler of its lane runs");
    else if (checker->rules->stays && lane->last_epoch == event->epoch &&
             !lane->last_finished && checker->epochs[event->epoch].state == EPOCH_ACTIVE)
        checker_fail(checker, 15, "a state is freed between attempts");
    lane->is_freeing = true;
}

void checker_on_freed(struct checker *checker, const struct history_event *event)
{
    struct seen_lane *lane = &checker->processes[event->process].lanes[event->lane];

    if (!lane->is_freeing || lane->state != event->value)
        checker_fail(checker, 15, "a state is freed twice");
    lane->is_freeing = false;
    lane->state = 0;
}

void checker_on_drained(struct checker *checker, const struct history_event *event)
{
    const struct seen_process *process = &checker->processes[event->process];

    for (uint32_t i = 0; i < checker->lanes_count; i++)
        if (process->lanes[i].state != 0 && process->lanes[i].state_epoch == event->epoch)
            checker_fail(checker, 15, "it is given up in time, with state %" PRId64,
                         process->lanes[i].state);
}
