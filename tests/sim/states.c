/* SPDX-License-Identifier: Apache-2.0 */
/* What handlers keep for their lanes: a number, in its upper half the lane's. */
#include "sim/world.h"

#include "base/assert.h"

#include <stdlib.h>

void states_keep(const struct world *world, struct process *process)
{
    const struct core_config *config = &world->plan.core;

    idle_states_init(&process->idle_states, world->plan.states_idle_max);
    process->topic.states = &process->idle_states;
    if (!core_keep_states(&process->core, config->records_max + world->plan.states_idle_max))
        abort();
    core_budget(&process->core, config->limit_bytes, config->reserve_bytes, config->weight_max);
}

/* A handler makes a state where there is none, as a rule; some let go of what they find. */
void states_use(struct world *world, struct process *process, const struct klane_slot *slot)
{
    const struct log_partition *log = &world->log[slot->record.assignment->partition->number];
    struct history_event event = slot_event(process, HISTORY_STATE, slot);
    void **state = slot_state(slot);

    if (state == NULL)
        return;
    event.ceiling = (int64_t)(uintptr_t)*state;
    if (*state != NULL && random_is(world, 8)) {
        *state = NULL;
        process->states--;
    } else if (*state == NULL && random_is(world, 224)) {
        uint64_t lane = log->records[log_index(log, slot->record.offset)].lane;

        *state = (void *)(uintptr_t)(lane << 32 | ++world->states);
        process->states++;
    }
    event.value = (int64_t)(uintptr_t)*state;
    world_add(world, event);
}

void states_free(struct world *world, struct process *process, struct klane_slot *slot,
                 enum history_type type)
{
    struct history_event event = slot_event(process, type, slot);
    uint64_t state = (uintptr_t)cell_of_task(slot)->state;

    event.lane = (uint32_t)(state >> 32);
    event.value = (int64_t)state;
    world_add(world, event);
    process->states -= type == HISTORY_FREED;
}

/* As the engine does when control has ended: what has not reached a worker is whoever's that
 * destroys the runtime. */
void states_take_back(struct process *process)
{
    while (process->ring_count > 0 &&
           slot_frees_state(process->ring[process->ring_first])) {
        core_state_kept(&process->core, process->ring[process->ring_first]);
        process->ring_first = (process->ring_first + 1) % RING_MAX;
        process->ring_count--;
    }
}

void states_free_rest(struct world *world, struct process *process)
{
    struct klane_slot *slot;

    while ((slot = core_next_ready(&process->core)) != NULL) {
        KLANE_MARK("sim: a state is freed when its runtime is destroyed");
        states_free(world, process, slot, HISTORY_FREE);
        states_free(world, process, slot, HISTORY_FREED);
        core_state_freed(&process->core, slot, world->now_ms);
    }
}
