/* SPDX-License-Identifier: Apache-2.0 */
/* The order of steps: who comes next is drawn at random. When nobody has anything to do, time
 * jumps to when somebody will. When there is no such time either, the run is over, or stuck. */
#include "sim/world.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#define IDLE_STEPS 12
#define VERIFY_STEPS 1024
/* How long control may take to notice what is due, at most one millisecond a step. */
#define GIVE_UP_SLACK_MS 5000
#define STEPS_MAX UINT64_C(20000000)

void world_fail(struct world *world, const char *format, ...)
{
    va_list arguments;

    if (world->failure[0] != '\0')
        return;
    va_start(arguments, format);
    vsnprintf(world->failure, sizeof(world->failure), format, arguments);
    va_end(arguments);
}

void world_add(struct world *world, struct history_event event)
{
    event.time_ms = world->now_ms;
    history_add(world->history, event);
}

void world_fault(struct world *world, enum fault fault)
{
    world->faults[fault]++;
}

/* ---- the log grows, the run ends --------------------------------------------------------- */

static bool produce(struct world *world, uint16_t p)
{
    struct log_partition *partition = &world->log[p];
    uint32_t count;
    bool done = false;

    if (partition->visible == partition->count)
        return false;
    count = 1 + random_below(world, 2 * world->plan.burst);
    while (count > 0 && log_append(world, p)) {
        done = true;
        count--;
    }
    return done;
}

static uint64_t faults_count(const struct world *world)
{
    uint64_t count = 0;

    for (int i = 0; i < FAULTS; i++)
        count += world->faults[i];
    return count;
}

static bool all_finished(const struct world *world)
{
    uint32_t count = 0;

    for (int i = 0; i < PARTITIONS_MAX; i++) {
        if (world->log[i].visible < world->log[i].count)
            return false;
        count += world->log[i].count;
    }
    return world->finished == count;
}

static bool all_committed(const struct world *world)
{
    for (uint32_t i = 0; i < world->plan.partitions; i++) {
        const struct log_partition *partition = &world->log[i];

        if (partition->committed <= partition->records[partition->count - 1].offset)
            return false;
    }
    return true;
}

/* A partition that was revoked is given up in time, come back who may. */
static void verify_stay(struct world *world, const struct stay *stay)
{
    const struct core_config *core = &world->plan.core;

    if (stay->assignment != NULL && stay->revoked &&
        world->now_ms - stay->revoked_ms > core->drain_ms + core->settle_ms + GIVE_UP_SLACK_MS)
        world_fail(world, "a revoked partition is not given up in time");
}

/* Behind the ring of offsets each lane's head speaks for it. */
static void verify_heads(struct world *world, const struct core *core)
{
    for (const struct klane_assignment *each = core->assignments; each; each = each->next) {
        const struct heap *heads = &each->offsets.heads;

        for (uint32_t i = 0; i < heads->count; i++)
            if (lane_head(lane_of_head(heads->entries[i].node), each)->record.offset !=
                heads->entries[i].value)
                world_fail(world, "a lane behind the ring has another head");
    }
}

static void verify(struct world *world)
{
    for (uint32_t i = 0; i < world->plan.processes; i++) {
        if (world->processes[i].state == PROCESS_DOWN)
            continue;
        KLANE_VERIFY(core_verify(&world->processes[i].core));
        verify_heads(world, &world->processes[i].core);
        for (uint32_t p = 0; p < world->plan.partitions; p++)
            verify_stay(world, &world->processes[i].stays[p]);
    }
}

/* When everything was finished and committed, a core that knows the log's end has to know it. */
static void verify_caught_up(struct world *world, const struct process *process)
{
    uint32_t stays = 0;

    for (uint32_t p = 0; p < world->plan.partitions; p++) {
        const struct stay *stay = &process->stays[p];

        if (stay->assignment == NULL)
            continue;
        if (!stay->end_told || stay->revoked)
            return;
        stays++;
    }
    if (process->state != PROCESS_RUNS || stays == 0 || !core_is_empty(&process->core) ||
        process->core.parked.count > 0)
        return;
    KLANE_MARK("sim: a core has caught up");
    if (!core_is_caught_up(&process->core))
        world_fail(world, "a core that has caught up does not know it");
}

/* The last mishap is over; then everything has to drain, be committed and stop. True: the end. */
static bool proceed(struct world *world)
{
    bool down = true;

    if (!world->healed) {
        world->healed = all_finished(world) && faults_count(world) >= world->plan.faults_min;
        return false;
    }
    if (!all_finished(world) || (world->plan.wait_for_commits && !all_committed(world)))
        return false;
    for (uint32_t i = 0; i < world->plan.processes && !world->ending; i++) {
        verify_caught_up(world, &world->processes[i]);
        if (world->processes[i].state == PROCESS_RUNS)
            process_stop(world, &world->processes[i]);
    }
    world->ending = true;
    for (uint32_t i = 0; i < world->plan.processes; i++)
        down &= world->processes[i].state == PROCESS_DOWN;
    return down;
}

/* ---- steps ------------------------------------------------------------------------------- */

static bool step_of(struct world *world, struct process *process, uint32_t draw, uint32_t worker)
{
    /* The common actions more often than the rare ones. */
    static const uint8_t actions[28] = {0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2,
                                        2, 2, 2, 2, 3, 3, 3, 8, 4, 4, 5, 6, 6, 7};

    if (process->state == PROCESS_DOWN)
        return life_step(world, process);
    if (draw < 28)
        return control_step(world, process, actions[draw]);
    if (draw < 56)
        return worker_step(world, process, &process->workers[worker * world->plan.workers >> 16]);
    if (draw < 59)
        return completion_step(world, process);
    if (draw < 62)
        return network_step(world, process);
    return life_step(world, process);
}

/* One draw decides who comes and whether time passes; others only what then happens. */
static bool one_step(struct world *world)
{
    uint64_t bits = random_bits(world);
    uint32_t who = bits & 63, what = bits >> 6 & 63;
    struct process *process = &world->processes[(bits >> 12 & 255) % world->plan.processes];
    uint16_t partition = (uint16_t)((bits >> 48 & 255) % world->plan.partitions);

    if ((bits >> 20 & (world->plan.steps_ms - 1)) == 0)
        world->now_ms++;
    if (who == 0)
        return produce(world, partition);
    if (who == 1)
        return group_step(world, process, partition);
    if (who == 2)
        return mishap_step(world);
    return step_of(world, process, what, bits >> 32 & 65535);
}

/* What the deadline lets go is given up at once: no handler is waited for longer. */
static void check_drains(struct world *world, const struct process *process)
{
    for (uint32_t i = 0; i < world->plan.partitions; i++) {
        const struct klane_assignment *assignment = process->stays[i].assignment;

        if (assignment != NULL && assignment_state(assignment) == ASSIGNMENT_DRAINING &&
            assignment->deadline_ms <= world->now_ms)
            world_fail(world, "p%" PRIu32 ": a drain goes on after its deadline", i);
    }
}

/* Everybody in turn. */
static bool sweep(struct world *world)
{
    bool done = false;

    for (uint32_t i = 0; i < world->plan.processes; i++) {
        struct process *process = &world->processes[i];

        done |= life_step(world, process);
        if (process->state == PROCESS_DOWN)
            continue;
        for (uint32_t action = 0; action < CONTROL_ACTIONS; action++)
            done |= control_step(world, process, action);
        check_drains(world, process);
        for (uint32_t k = 0; k < world->plan.workers; k++)
            done |= worker_step(world, process, &process->workers[k]);
        done |= completion_step(world, process);
        done |= network_step(world, process);
    }
    for (uint16_t p = 0; p < world->plan.partitions; p++) {
        done |= produce(world, p);
        for (uint32_t i = 0; i < world->plan.processes; i++)
            done |= group_step(world, &world->processes[i], p);
    }
    return done;
}

static void earlier(int64_t *next_ms, int64_t due_ms)
{
    if (due_ms < *next_ms)
        *next_ms = due_ms;
}

static int64_t process_next_ms(const struct world *world, const struct process *process)
{
    const struct sent_commit *sent = &process->commit;
    int64_t next_ms = INT64_MAX;

    if (process->state == PROCESS_DOWN)
        return world->ending ? INT64_MAX : process->restart_ms;
    earlier(&next_ms, core_next_due_ms(&process->core));
    if (process->hold.is_on)
        earlier(&next_ms, process->hold.until_ms);
    if (process->state == PROCESS_STOPS)
        earlier(&next_ms, process->stop_deadline_ms);
    if (sent->out)
        earlier(&next_ms, sent->store_ms >= 0 ? sent->store_ms : sent->answer_ms);
    for (uint32_t i = 0; i < world->plan.workers; i++)
        if (process->workers[i].state == WORKER_RUNS ||
            process->workers[i].state == WORKER_FREES)
            earlier(&next_ms, process->workers[i].until_ms);
    for (uint32_t i = 0; i < process->completions_count; i++)
        earlier(&next_ms, process->completions[i].due_ms);
    for (uint32_t i = 0; i < world->plan.partitions; i++)
        if (process->stays[i].assignment != NULL && process->stays[i].told_ms >= 0)
            earlier(&next_ms, process->stays[i].told_ms);
    return next_ms;
}

/* Nobody has anything to do now. */
static void jump(struct world *world)
{
    bool healed = world->healed, ending = world->ending;
    int64_t next_ms = INT64_MAX;

    for (uint32_t i = 0; i < world->plan.processes; i++)
        earlier(&next_ms, process_next_ms(world, &world->processes[i]));
    if (next_ms > world->now_ms && next_ms != INT64_MAX)
        world->now_ms = next_ms;
    else if (!world->healed && faults_count(world) < world->plan.faults_min)
        world->chaos_at = 0;
    else if (next_ms == INT64_MAX && !proceed(world) && world->healed == healed &&
             world->ending == ending)
        world_fail(world, "stuck: %" PRIu32 " records are finished, and nothing can happen",
                   world->finished);
}

/* Due now, and yet nothing was done: mishaps and the group have their part in steps, so a second
 * look is taken before it counts. */
static void idle(struct world *world, uint32_t *sweeps)
{
    int64_t before_ms = world->now_ms;

    if (sweep(world)) {
        *sweeps = 0;
        return;
    }
    jump(world);
    if (world->now_ms != before_ms)
        *sweeps = 0;
    else if (++*sweeps > 10000)
        world_fail(world, "stuck: something is due and nothing is done about it");
}

bool world_run(struct world *world, struct history *history, uint64_t seed)
{
    uint32_t in_vain = 0, sweeps = 0;

    memset(world, 0, offsetof(struct world, processes));
    memset(world->processes, 0, sizeof(world->processes));
    memset(&world->finished, 0, sizeof(*world) - offsetof(struct world, finished));
    world->random = ~seed;
    world->history = history;
    plan_make(&world->plan, seed);
    history_clear(history);
    log_make(world);
    world->chaos_at = random_below(world, world->plan.chaos_steps);
    for (uint8_t i = 0; i < world->plan.processes; i++) {
        world->processes[i].number = i;
        process_begin(world, &world->processes[i]);
    }
    while (world->failure[0] == '\0' && !((world->steps & 15) == 0 && proceed(world))) {
        world->steps++;
        in_vain = one_step(world) ? 0 : in_vain + 1;
        if (in_vain == IDLE_STEPS) {
            in_vain = 0;
            idle(world, &sweeps);
        }
        if (world->steps % VERIFY_STEPS == 0)
            verify(world);
        if (world->steps == STEPS_MAX)
            world_fail(world, "the run does not end");
    }
    if (world->failure[0] != '\0')
        return false;
    log_free(world);
    return true;
}
