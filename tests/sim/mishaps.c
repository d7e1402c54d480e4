/* SPDX-License-Identifier: Apache-2.0 */
/* What befalls processes: the network between them and the log, the group that hands partitions
 * out, and mishaps. */
#include "sim/world.h"

#include "base/assert.h"

#include <string.h>

#define ANSWER_MS 5
#define LATE_MS 3000
#define UNTOLD_MS 50
#define RESTART_MS 20
#define HOLD_MS 2000

/* So many and no more, or a run that meets them often never gets on. */
#define MISHAPS_MAX 80

/* ---- the network ------------------------------------------------------------------------- */

/* A commit is stored at once or never by those who own the partition, and is always answered. */
void network_send(struct world *world, struct process *process)
{
    static const enum fault troubles[] = {FAULT_COMMIT_FAILED, FAULT_COMMIT_UNHEARD,
                                          FAULT_COMMIT_LATE};
    struct sent_commit *sent = &process->commit;
    enum fault trouble = FAULTS;

    if (!world->healed && random_is(world, world->plan.commit_trouble_rate))
        trouble = troubles[random_below(world, 3)];
    if (trouble != FAULTS && !world->plan.may[trouble])
        trouble = FAULTS;
    sent->store_ms = world->now_ms + random_below(world, ANSWER_MS);
    sent->answer_ms = sent->store_ms + random_below(world, ANSWER_MS);
    sent->acknowledged = true;
    sent->troubled = trouble != FAULTS;
    if (trouble == FAULTS)
        return;
    world_fault(world, trouble);
    process->stop_trouble = true;
    sent->acknowledged = trouble == FAULT_COMMIT_LATE && random_below(world, 2);
    if (trouble == FAULT_COMMIT_FAILED || (trouble == FAULT_COMMIT_LATE && !sent->acknowledged))
        sent->store_ms = -1;
    if (trouble == FAULT_COMMIT_LATE)
        sent->answer_ms = world->now_ms + random_below(world, LATE_MS);
}

static void store(struct world *world, struct process *process)
{
    struct sent_commit *sent = &process->commit;

    sent->store_ms = -1;
    for (uint32_t i = 0; i < sent->count; i++) {
        const struct commit_entry *entry = &sent->entries[i];
        struct log_partition *log = &world->log[entry->partition];

        if (log->owner_epoch != entry->epoch) {
            /* What the process has lost meanwhile, the source leaves out of its answer. */
            if (process->stays[entry->partition].assignment != NULL &&
                process->stays[entry->partition].epoch == entry->epoch)
                sent->acknowledged = false;
            KLANE_MARK("sim: the log refuses the commit of a former owner");
            continue;
        }
        log->committed = entry->offset;
        log->is_committed = true;
        log->ceiling = entry->ceiling;
        log->map_size = entry->map_size;
        log->key_version = entry->key_version;
        memcpy(log->map, entry->map, entry->map_size);
        world_add(world, (struct history_event){.type = HISTORY_COMMITTED,
                                                .process = process->number,
                                                .partition = entry->partition,
                                                .epoch = entry->epoch,
                                                .offset = entry->offset,
                                                .ceiling = entry->ceiling});
    }
}

bool network_step(struct world *world, struct process *process)
{
    struct sent_commit *sent = &process->commit;

    if (!sent->out)
        return false;
    if (sent->store_ms >= 0) {
        if (sent->store_ms > world->now_ms)
            return false;
        store(world, process);
        return true;
    }
    if (sent->answer_ms > world->now_ms)
        return false;
    sent->out = false;
    world_add(world, (struct history_event){.type = HISTORY_ANSWERED,
                                            .process = process->number,
                                            .value = sent->number});
    core_committed(&process->core, sent->acknowledged, world->now_ms);
    return true;
}

/* ---- the group --------------------------------------------------------------------------- */

/* Hands out a partition that nobody has; tells somebody that one is lost. */
bool group_step(struct world *world, struct process *process, uint16_t partition)
{
    struct stay *stay = &process->stays[partition];

    if (process->state == PROCESS_DOWN || process->state == PROCESS_STOPPED)
        return false;
    if (stay->assignment != NULL && stay->told_ms >= 0 && stay->told_ms <= world->now_ms) {
        process_lose(world, process, partition);
        return true;
    }
    if (process->state != PROCESS_RUNS || world->ending || stay->assignment != NULL ||
        world->log[partition].owner_epoch != 0)
        return false;
    process_assign(world, process, partition, false);
    return true;
}

/* ---- life -------------------------------------------------------------------------------- */

void process_stop(struct world *world, struct process *process)
{
    process->state = PROCESS_STOPS;
    process->stop_deadline_ms = world->now_ms + world->plan.stop_ms;
    process->stop_trouble = process->commit.out && process->commit.troubled;
    process->fenced_before_stop = process->core.counts.fenced;
    world_add(world, (struct history_event){.type = HISTORY_STOP,
                                            .process = process->number,
                                            .value = process->stop_deadline_ms});
    for (uint16_t i = 0; i < world->plan.partitions; i++) {
        if (process->stays[i].assignment == NULL)
            continue;
        /* What is on its way out may have met a mishap already. */
        process->stop_trouble |= process->stays[i].revoked;
        if (!process->stays[i].revoked)
            process_revoke(world, process, i);
    }
}

static bool has_stays(const struct process *process)
{
    for (int i = 0; i < PARTITIONS_MAX; i++)
        if (process->stays[i].assignment != NULL)
            return true;
    return false;
}

/* Whether the stop was undisturbed, so that everything finished has to be committed. */
static bool is_clean(const struct world *world, const struct process *process)
{
    return !process->stop_trouble && core_is_empty(&process->core) &&
           process->core.counts.fenced == process->fenced_before_stop &&
           world->plan.core.settle_ms >= 500;
}

static void stopped(struct world *world, struct process *process)
{
    bool clean = is_clean(world, process);

    for (uint16_t i = 0; i < PARTITIONS_MAX; i++) {
        if (process->stays[i].assignment == NULL)
            continue;
        KLANE_MARK("sim: a stop reaches its deadline");
        process_lose(world, process, i);
        clean = false;
    }
    if (clean)
        KLANE_MARK("sim: a clean stop");
    process->state = PROCESS_STOPPED;
    world_add(world, (struct history_event){
                         .type = HISTORY_STOPPED, .process = process->number, .result = clean});
}

/* What was held by hand is released. */
static bool release(struct world *world, struct process *process)
{
    const void *key = process->hold.is_topic ? NULL : process->hold.key;

    if (!process->hold.is_on || (world->now_ms < process->hold.until_ms && !world->healed &&
                                 process->state != PROCESS_STOPPED))
        return false;
    process->hold.is_on = false;
    if (!core_release(&process->core, process->topic.name, key, process->hold.key_size))
        world_fail(world, "what was held is not known");
    return true;
}

/* A process stops, ends and begins again. */
bool life_step(struct world *world, struct process *process)
{
    if (process->state != PROCESS_DOWN && release(world, process))
        return true;
    switch ((enum process_state)process->state) {
    case PROCESS_RUNS:
        return false;
    case PROCESS_DOWN:
        if (world->ending || process->restart_ms > world->now_ms)
            return false;
        process_begin(world, process);
        return true;
    case PROCESS_STOPS:
        if (has_stays(process) && world->now_ms < process->stop_deadline_ms)
            return false;
        stopped(world, process);
        return true;
    case PROCESS_STOPPED:
        /* Handlers that are still out come back to a runtime that only waits for them. */
        states_take_back(process);
        if (!core_is_empty(&process->core))
            return false;
        states_free_rest(world, process);
        if (process->commit.out)
            world_add(world, (struct history_event){.type = HISTORY_ANSWERED,
                                                    .process = process->number,
                                                    .value = process->commit.number});
        process_end(world, process, true);
        process->restart_ms = world->now_ms + random_below(world, RESTART_MS);
        return true;
    }
    return false;
}

/* ---- mishaps ----------------------------------------------------------------------------- */

static void crash(struct world *world, struct process *process)
{
    for (uint32_t i = 0; i < world->plan.partitions; i++)
        if (process->stays[i].assignment != NULL &&
            world->log[i].owner_epoch == process->stays[i].epoch)
            world->log[i].owner_epoch = 0;
    world_add(world,
              (struct history_event){.type = HISTORY_CRASH, .process = process->number});
    process_end(world, process, false);
    process->restart_ms = world->now_ms + random_below(world, RESTART_MS);
}

/* Mishaps of a partition in a process. */
static bool befall_stay(struct world *world, struct process *process, enum fault fault)
{
    uint16_t partition = (uint16_t)random_below(world, world->plan.partitions);
    struct stay *stay = &process->stays[partition];

    if (stay->assignment == NULL || stay->told_ms >= 0)
        return false;
    switch (fault) {
    case FAULT_REVOKED:
        if (stay->revoked)
            return false;
        process_revoke(world, process, partition);
        return true;
    case FAULT_LOST:
        process_lose(world, process, partition);
        return true;
    default:
        stay->told_ms = world->now_ms + random_below(world, UNTOLD_MS);
        world->log[partition].owner_epoch = 0;
        return true;
    }
}

/* As the engine does. */
static void recall(struct process *process)
{
    for (uint32_t left = process->ring_count; left > 0; left--) {
        struct klane_slot *slot = process->ring[process->ring_first];

        process->ring_first = (process->ring_first + 1) % RING_MAX;
        process->ring_count--;
        if (core_is_held(&process->core, slot)) {
            slot->back.outcome = SLOT_ASKS;
            slot->back.passed = false;
            core_came_back(&process->core, slot, 0, process->core.now_ms);
            continue;
        }
        process->ring[(process->ring_first + process->ring_count) % RING_MAX] = slot;
        process->ring_count++;
    }
}

static bool hold(struct world *world, struct process *process)
{
    const struct log_partition *log = &world->log[random_below(world, world->plan.partitions)];
    struct source_record record;
    struct core_place place;
    const void *key = NULL;

    if (process->hold.is_on)
        return false;
    log_describe(world, &log->records[random_below(world, log->count)], &record, &place);
    process->hold.is_topic = place.kind != LANE_OF_KEY || random_below(world, 4) == 0;
    process->hold.key_size = 0;
    if (!process->hold.is_topic) {
        key = place.lane_key != NULL ? place.lane_key : record.key;
        process->hold.key_size =
            place.lane_key != NULL ? place.lane_key_size : record.key_size;
        memcpy(process->hold.key, key, process->hold.key_size);
    }
    process->hold.is_on = true;
    process->hold.until_ms = world->now_ms + random_below(world, HOLD_MS);
    for (uint32_t i = 0; i < world->plan.workers; i++) {
        struct worker *worker = &process->workers[i];

        memset(worker->had, 0, sizeof(worker->had));
        worker->had[0] = worker->slot;
        worker->had[1] = worker->next;
        for (uint32_t n = 0; n < worker->batch_count; n++)
            worker->had[2 + n] = worker->batch[n];
    }
    if (!core_hold(&process->core, process->topic.name, key, process->hold.key_size))
        abort();
    recall(process);
    return true;
}

static bool befall(struct world *world, struct process *process, enum fault fault)
{
    if (fault > FAULT_STOP)
        return log_befall(world, fault);
    if (fault == FAULT_CRASH && process->state != PROCESS_DOWN) {
        crash(world, process);
        return true;
    }
    if (process->state != PROCESS_RUNS)
        return false;
    if (fault == FAULT_HELD)
        return hold(world, process);
    if (fault == FAULT_STOP) {
        process_stop(world, process);
        return true;
    }
    return fault < FAULT_STOP && fault != FAULT_CRASH && befall_stay(world, process, fault);
}

bool mishap_step(struct world *world)
{
    struct process *process = &world->processes[random_below(world, world->plan.processes)];
    uint32_t end = world->plan.loses ? FAULTS : FAULT_RETENTION;
    enum fault fault = FAULT_REVOKED + random_below(world, end - FAULT_REVOKED);

    if (world->healed || world->steps < world->chaos_at || world->mishaps == MISHAPS_MAX ||
        !world->plan.may[fault] || !befall(world, process, fault))
        return false;
    world_fault(world, fault);
    world->mishaps++;
    world->chaos_at = world->steps + random_below(world, 2 * world->plan.chaos_steps);
    return true;
}
