/* SPDX-License-Identifier: Apache-2.0 */
/* Partitions come and go. Upholds: a drain is complete when every slot of the partition came
 * back, run or not started, and its lanes' states are freed, and never later than the first round
 * behind its deadline; what is still out then counts as unfinished. */
#include "base/assert.h"
#include "core/internal.h"

#include <stdlib.h>

static struct partition *partition_get(struct core *core, const struct core_topic *topic,
                                       int32_t number)
{
    struct partition *partition;

    for (partition = core->partitions; partition != NULL; partition = partition->next)
        if (partition->topic == topic && partition->number == number)
            return partition;
    partition = aligned_alloc(_Alignof(struct partition), sizeof(*partition));
    if (partition == NULL)
        return NULL;
    *partition = (struct partition){
        .topic = topic,
        .number = number,
        .ready.open = READY_ALL,
        .salt = 0x9e3779b97f4a7c15U,
    };
    idle_states_init(&partition->idle_states, 0);
    if (core->partitions != NULL)
        partition->salt += core->partitions->salt;
    partition->next = core->partitions;
    core->partitions = partition;
    schedule_partition(core, partition);
    return partition;
}

struct klane_assignment *core_assign(struct core *core, const struct core_topic *topic,
                                     int32_t number, uint32_t epoch, int64_t begin, void *own)
{
    struct partition *partition = partition_get(core, topic, number);
    struct klane_assignment *assignment;

    if (partition == NULL)
        return NULL;
    assignment = aligned_alloc(_Alignof(struct klane_assignment), sizeof(*assignment));
    if (assignment == NULL)
        return NULL;
    KLANE_ASSERT(partition->current == NULL);
    assignment_init(assignment, partition, epoch, begin, own);
    assignment->seed = core->config.seed;
    assignment_charge(core, assignment);
#ifdef KLANE_TESTING
    assignment->fingerprints_alike = core->config.fingerprints_alike;
#endif
    partition->current = assignment;
    assignment->next = core->assignments;
    assignment->link = &core->assignments;
    if (assignment->next != NULL)
        assignment->next->link = &assignment->next;
    core->assignments = assignment;
    core->assigned++;
    core->behind++;
    trial_begin(core, assignment);
    if (partition->slots > 0)
        KLANE_MARK("a partition comes back beside a handler of its last stay");
    if (partition->held)
        notice_add(core, assignment, NOTICE_HELD);
    return assignment;
}

void core_begin_is_new(struct core *core, struct klane_assignment *assignment)
{
    assignment->committed = -1;
    commit_mark(&core->commit, assignment);
    commit_hurry(&core->commit);
}

void assignment_free(struct core *core, struct klane_assignment *assignment)
{
    notice_forget(core, assignment);
    commit_forget(&core->commit, assignment);
    parking_forget(core, assignment);
    core->slab.charged -= assignment->charged;
    *assignment->link = assignment->next;
    if (assignment->next != NULL)
        assignment->next->link = assignment->link;
    assignment_deinit(assignment);
    free(assignment);
}

/* Every slot of this lane that no worker can reach any more is dropped. True: there were some. */
static bool lane_drop_back(struct core *core, struct lane *lane)
{
    struct klane_slot *slot, *next, *held = lane->held;
    struct cell *cell = cell_of_slot(lane->first);
    struct head_note note = {0};

    if (held != NULL)
        note =
            (struct head_note){.attempts = slot_attempts(held), .crashes = held->control.crashes};
    if (held != NULL && held->control.state == SLOT_READY) {
        ready_remove(&core->ready, lane);
        weights_pay_back(core, held);
        trial_back(core, held);
    } else if (held != NULL && held->control.state == SLOT_HEAVY) {
        weights_forget(core, lane);
        trial_back(core, held);
    } else if (held != NULL && held->control.state == SLOT_BARRED) {
        states_forget(core, lane);
    } else if (held != NULL && held->control.state == SLOT_GATHERED) {
        gather_remove(core, lane);
    } else if (held != NULL) {
        /* A record's own time is asked for again. */
        if (held->control.state == SLOT_WAITING)
            note.due_ms = lane_waits_until(&core->timers, lane);
        heap_remove(&core->timers, &lane->timer);
    }
    slot = lane_take_back(lane);
    if (slot == NULL)
        return false;
    for (; slot != NULL; slot = next) {
        next = slot->control.next;
        slot_unfinished(core, slot, slot == held ? &note : &(struct head_note){0});
        slot_gone(core, slot);
    }
    lane_settle(core, lane, cell);
    return true;
}

/* Take back what has not reached a worker: lanes are found by what is unfinished. */
static void take_back_all(struct core *core, struct klane_assignment *assignment)
{
    struct offsets *offsets = &assignment->offsets;
    uint32_t sequence = offsets->first;
    struct klane_slot *slot;
    bool dropped;

    while ((slot = offsets_in_ring(offsets, &sequence)) != NULL)
        lane_drop_back(core, slot->control.lane);
    /* Dropping may move lanes about in the heap: until a whole pass finds nothing to drop. */
    do {
        dropped = false;
        for (uint32_t i = 0; i < offsets->heads.count; i++)
            if (lane_drop_back(core, lane_of_head(offsets->heads.entries[i].node)))
                dropped = true;
    } while (dropped);
}

void core_fence(struct core *core, struct klane_assignment *assignment)
{
    if (assignment_state(assignment) != ASSIGNMENT_ACTIVE)
        return;
    assignment_move(assignment, ASSIGNMENT_DRAINING);
    if (assignment->behind)
        core->behind--;
    assignment->behind = false;
    core->draining++;
    trial_end(core, assignment);
    hold_forget(core, assignment->partition);
    parking_end_pass(core, assignment);
    take_back_all(core, assignment);
    states_fence(core, assignment->partition);
}

static int64_t settle_deadline(const struct core *core, int64_t now_ms)
{
    return core->settle_by_ms != INT64_MAX ? core->settle_by_ms : now_ms + core->config.settle_ms;
}

static bool is_out(const struct klane_assignment *assignment)
{
    return assignment->slots > assignment->overdue || assignment->freeing > 0;
}

static void drain_check(struct core *core, struct klane_assignment *assignment, int64_t now_ms)
{
    if (is_out(assignment) && now_ms < assignment->deadline_ms)
        return;
    if (is_out(assignment))
        KLANE_MARK("a drain reaches its deadline");
    /* From here on nothing of it finishes: what is committed last is written now. */
    progress_write_last(&core->commit.writer, assignment);
    assignment_move(assignment, ASSIGNMENT_SETTLING);
    parking_forget(core, assignment);
    core->draining--;
    core->settling++;
    assignment->deadline_ms = settle_deadline(core, now_ms);
    commit_mark(&core->commit, assignment);
}

static void settle_check(struct core *core, struct klane_assignment *assignment, int64_t now_ms)
{
    bool is_committed = assignment_is_settled(assignment);

    if (!is_committed && now_ms < assignment->deadline_ms)
        return;
    if (!is_committed)
        KLANE_MARK("a partition is given up without its last commit");
    /* Told once: from here on only core_given_up() or core_lost() move it. */
    assignment->deadline_ms = INT64_MAX;
    notice_add(core, assignment, NOTICE_SETTLED);
}

void core_revoke(struct core *core, struct klane_assignment *assignment, int64_t now_ms)
{
    if (assignment_state(assignment) != ASSIGNMENT_ACTIVE)
        return;
    core_fence(core, assignment);
    assignment->deadline_ms = now_ms + core->config.drain_ms;
    drain_check(core, assignment, now_ms);
    if (assignment_state(assignment) == ASSIGNMENT_SETTLING)
        settle_check(core, assignment, now_ms);
}

void core_hurry(struct core *core, uint32_t drain_ms, int64_t settle_by_ms, int64_t now_ms)
{
    struct klane_assignment *each;

    core->config.drain_ms = drain_ms;
    core->settle_by_ms = settle_by_ms;
    for (each = core->assignments; each != NULL; each = each->next) {
        int64_t deadline_ms = now_ms + drain_ms;

        if (assignment_state(each) == ASSIGNMENT_SETTLING)
            deadline_ms = settle_by_ms;
        /* INT64_MAX: it was told already that it is to be given up. */
        if (!assignment_may_start(each) && each->deadline_ms > deadline_ms &&
            each->deadline_ms != INT64_MAX)
            each->deadline_ms = deadline_ms;
    }
}

static void end(struct core *core, struct klane_assignment *assignment)
{
    assignment->partition->current = NULL;
    core->assigned--;
    notice_forget(core, assignment);
    commit_forget(&core->commit, assignment);
    assignment_move(assignment, ASSIGNMENT_ENDED);
    parking_forget(core, assignment);
    assignment_free_if_over(core, assignment);
}

void core_lost(struct core *core, struct klane_assignment *assignment)
{
    core_fence(core, assignment);
    if (assignment_state(assignment) == ASSIGNMENT_DRAINING)
        core->draining--;
    else
        core->settling--;
    end(core, assignment);
}

void core_given_up(struct core *core, struct klane_assignment *assignment)
{
    KLANE_ASSERT(assignment_state(assignment) == ASSIGNMENT_SETTLING);
    core->settling--;
    end(core, assignment);
}

void core_overdue(struct core *core, struct klane_slot *slot, int64_t now_ms)
{
    KLANE_ASSERT(!slot->control.overdue);
    KLANE_MARK("a drain goes on without a record that runs too long");
    slot->control.overdue = true;
    slot->record.assignment->overdue++;
    drain_look(core, slot->record.assignment->partition, now_ms);
}

static void look_at(struct core *core, struct klane_assignment *assignment, int64_t now_ms)
{
    if (assignment_state(assignment) == ASSIGNMENT_DRAINING)
        drain_check(core, assignment, now_ms);
    if (assignment_state(assignment) == ASSIGNMENT_SETTLING &&
        assignment->deadline_ms != INT64_MAX)
        settle_check(core, assignment, now_ms);
}

/* Not whether its deadline has passed: control may be late, and what came back before that was
 * looked at counts, all of it. */
void drain_look(struct core *core, const struct partition *partition, int64_t now_ms)
{
    if (partition->current != NULL && !is_out(partition->current))
        look_at(core, partition->current, now_ms);
}

void drains_check(struct core *core, int64_t now_ms)
{
    for (struct klane_assignment *each = core->assignments; each != NULL; each = each->next)
        look_at(core, each, now_ms);
}
