/* SPDX-License-Identifier: Apache-2.0 */
#include "core/states.h"

#include "base/assert.h"
#include "core/internal.h"

#include <string.h>

_Static_assert(sizeof(struct cell) % _Alignof(struct klane_slot) == 0, "a slot stands behind it");

/* Of a cell: its place in the table, which may be twice as large as needed. */
#define CELL_BYTES (2 * sizeof(struct table_node *))

static struct klane_slot *task_of(struct cell *cell)
{
    return (struct klane_slot *)(void *)(cell + 1);
}

static struct klane_assignment *assignment_of(struct cell *cell)
{
    return task_of(cell)->record.assignment;
}

/* ---- cells ------------------------------------------------------------------------------- */

static bool cell_is(struct cell *cell, const struct lane_name *name)
{
    const struct klane_slot *task = task_of(cell);

    return task->record.assignment->partition == name->partition &&
           task->control.kind == name->kind &&
           (name->kind != LANE_OF_KEY || (task->record.key_size == name->key_size &&
                                          memcmp(task->bytes, name->key, name->key_size) == 0));
}

static struct cell *find(const struct core *core, const struct lane_name *name, uint64_t hash)
{
    struct table_node *node = table_first(&core->states.table, hash);

    for (; node != NULL; node = table_next(node)) {
        struct cell *cell = (struct cell *)(void *)((char *)node - offsetof(struct cell, node));

        if (cell_is(cell, name))
            return cell;
    }
    return NULL;
}

/* NULL: no memory. */
static struct cell *create(struct core *core, struct klane_assignment *assignment,
                           const struct lane_name *name, uint64_t hash)
{
    uint32_t key_size = name->kind == LANE_OF_KEY ? name->key_size : 0;
    size_t size = sizeof(struct cell) + sizeof(struct klane_slot) + key_size;
    struct klane_slot *task;
    struct cell *cell;
    uint8_t size_class;

    cell = slab_alloc(&core->slab, size, &size_class);
    if (cell == NULL)
        return NULL;
    memset(cell, 0, sizeof(*cell) + sizeof(*task));
    cell->size_class = size_class;
    task = task_of(cell);
    task->control.kind = name->kind & 127U;
    task->record.assignment = assignment;
    task->record.key_size = key_size;
    if (key_size > 0)
        memcpy(task->bytes, name->key, key_size);
    core->slab.charged += CELL_BYTES;
    table_add(&core->states.table, &cell->node, hash);
    assignment->states++;
    return cell;
}

static void destroy(struct core *core, struct cell *cell)
{
    struct klane_assignment *assignment = assignment_of(cell);

    table_remove(&core->states.table, &cell->node);
    core->slab.charged -= CELL_BYTES;
    slab_free(&core->slab, cell, cell->size_class);
    assignment->states--;
    assignment_free_if_over(core, assignment);
}

/* Without a state it may be another stay's. */
static void move_to(struct core *core, struct cell *cell, struct klane_assignment *assignment)
{
    struct klane_assignment *former = assignment_of(cell);

    task_of(cell)->record.assignment = assignment;
    assignment->states++;
    former->states--;
    assignment_free_if_over(core, former);
}

/* ---- from place to place ----------------------------------------------------------------- */

static void idle_begin(struct core *core, struct cell *cell)
{
    struct partition *partition = assignment_of(cell)->partition;

    cell->place = CELL_IDLE;
    TAILQ_INSERT_TAIL(&partition->topic->states->list, cell, of_topic);
    TAILQ_INSERT_TAIL(&partition->idle_states.list, cell, of_partition);
    partition->topic->states->count++;
    partition->idle_states.count++;
    core->states.idle++;
}

static void idle_end(struct core *core, struct cell *cell)
{
    struct partition *partition = assignment_of(cell)->partition;

    KLANE_ASSERT(cell->place == CELL_IDLE);
    TAILQ_REMOVE(&partition->topic->states->list, cell, of_topic);
    TAILQ_REMOVE(&partition->idle_states.list, cell, of_partition);
    partition->topic->states->count--;
    partition->idle_states.count--;
    core->states.idle--;
}

/* It has a state, which nobody uses. */
static void is_due(struct core *core, struct cell *cell)
{
    if (cell->place == CELL_IDLE)
        idle_end(core, cell);
    cell->place = CELL_DUE;
    TAILQ_INSERT_TAIL(&core->states.due, cell, of_topic);
    core->states.freeing++;
    assignment_of(cell)->freeing++;
}

bool states_enter(struct core *core, struct lane *lane, const struct lane_name *name,
                  uint64_t hash, struct klane_slot *slot)
{
    struct cell *cell = lane->first != NULL ? cell_of_slot(lane->first) : find(core, name, hash);

    if (cell == NULL)
        cell = create(core, slot->record.assignment, name, hash);
    if (cell == NULL)
        return false;
    if (cell->place == CELL_IDLE) {
        idle_end(core, cell);
        cell->place = CELL_IN_LANE;
    }
    task_of(cell)->control.lane = lane;
    slot_set_state(slot, &cell->state);
    if (cell->place == CELL_IN_LANE && assignment_of(cell) == slot->record.assignment)
        return true;
    slot_is_to_ask(slot);
    return true;
}

void states_leave(struct core *core, struct cell *cell)
{
    struct idle_states *of_topic = assignment_of(cell)->partition->topic->states;

    task_of(cell)->control.lane = NULL;
    if (cell->place != CELL_IN_LANE)
        return;
    if (cell->state == NULL) {
        destroy(core, cell);
        return;
    }
    if (assignment_state(assignment_of(cell)) != ASSIGNMENT_ACTIVE) {
        is_due(core, cell);
        return;
    }
    idle_begin(core, cell);
    if (of_topic->count > of_topic->max)
        is_due(core, TAILQ_FIRST(&of_topic->list));
}

void states_fence(struct core *core, struct partition *partition)
{
    struct cell *cell;

    while ((cell = TAILQ_FIRST(&partition->idle_states.list)) != NULL)
        is_due(core, cell);
}

bool states_relieve(struct core *core)
{
    struct partition *each;

    if (core->states.idle == 0 || core->states.freeing > 0)
        return false;
    KLANE_MARK("states make room");
    for (each = core->partitions; each != NULL; each = each->next)
        for (uint32_t left = each->idle_states.count / 2; each->idle_states.count > left;)
            is_due(core, TAILQ_FIRST(&each->idle_states.list));
    return true;
}

/* ---- records that wait ------------------------------------------------------------------- */

void states_forget(struct core *core, struct lane *lane)
{
    KLANE_ASSERT(lane->held->control.state == SLOT_BARRED);
    core->states.awaited--;
}

bool states_let(struct core *core, struct lane *lane)
{
    struct klane_slot *slot = lane->held;
    struct cell *cell = cell_of_slot(slot);

    if (cell == NULL)
        return true;
    if (cell->place == CELL_IN_LANE) {
        if (assignment_of(cell) == slot->record.assignment)
            return true;
        /* Nobody has the cell: control has the lane's next slot. */
        if (cell->state == NULL) {
            move_to(core, cell, slot->record.assignment);
            return true;
        }
        KLANE_MARK("a record waits until the state of an earlier stay is freed");
        is_due(core, cell);
    }
    KLANE_MARK("a record waits until its lane's former state is freed");
    slot->control.state = SLOT_BARRED;
    core->states.awaited++;
    return false;
}

/* ---- who frees --------------------------------------------------------------------------- */

struct klane_slot *states_next(struct states *states)
{
    struct cell *cell = TAILQ_FIRST(&states->due);

    if (cell == NULL)
        return NULL;
    TAILQ_REMOVE(&states->due, cell, of_topic);
    cell->place = CELL_OUT;
    states->out++;
    /* Mail may stand there, from an earlier time. */
    task_of(cell)->back.with = NULL;
    return task_of(cell);
}

void core_state_kept(struct core *core, struct klane_slot *slot)
{
    struct cell *cell = cell_of_task(slot);

    KLANE_ASSERT(cell->place == CELL_OUT);
    cell->place = CELL_DUE;
    TAILQ_INSERT_HEAD(&core->states.due, cell, of_topic);
    core->states.out--;
}

void core_state_freed(struct core *core, struct klane_slot *slot, int64_t now_ms)
{
    struct klane_assignment *assignment = slot->record.assignment;
    struct partition *partition = assignment->partition;
    struct cell *cell = cell_of_task(slot);
    struct lane *lane = slot->control.lane;

    KLANE_ASSERT(cell->place == CELL_OUT);
    cell->state = NULL;
    cell->place = CELL_IN_LANE;
    core->states.out--;
    core->states.freeing--;
    assignment->freeing--;
    if (lane == NULL) {
        destroy(core, cell);
    } else if (lane->held != NULL && lane->held->control.state == SLOT_BARRED) {
        states_forget(core, lane);
        slot = lane->held;
        lane->held = NULL;
        hold_slot(core, slot);
    }
    if (core->draining > 0)
        drain_look(core, partition, now_ms);
}

#ifdef KLANE_TESTING
void states_verify(const struct core *core)
{
    const struct states *states = &core->states;
    uint32_t cells = 0, freeing = 0, idle = 0, due = 0;
    const struct cell *cell;

    if (states->table.segments != NULL)
        table_verify(&states->table);
    for (const struct klane_assignment *each = core->assignments; each; each = each->next) {
        cells += each->states;
        freeing += each->freeing;
    }
    for (const struct partition *each = core->partitions; each; each = each->next)
        idle += each->idle_states.count;
    TAILQ_FOREACH(cell, &states->due, of_topic)
    due++;
    KLANE_ASSERT(cells == states->table.count);
    KLANE_ASSERT(freeing == states->freeing);
    KLANE_ASSERT(freeing == due + states->out);
    KLANE_ASSERT(idle == states->idle);
}
#endif
