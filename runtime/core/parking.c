/* SPDX-License-Identifier: Apache-2.0 */
#include "core/parking.h"

#include "base/assert.h"
#include "core/internal.h"

/* The wall's clock may jump: so often it is looked at while a head waits for a time of it. */
#define WALL_LOOK_MS 60000

/* A pass begins when so much of the records' memory is free: a sixteenth. */
#define ROOM_FOR_A_PASS 16U

/* Of an entry: its places in the core's table and heap, which may be twice as large as needed. */
#define PARKED_BYTES (2 * sizeof(struct heap_entry) + 2 * sizeof(struct table_node *))

/* ---- entries ----------------------------------------------------------------------------- */

/* Partitions have the same keys: each has hashes of its own. */
static uint64_t hash_of(const struct klane_assignment *assignment, uint64_t fingerprint)
{
    return fingerprint ^ (assignment->epoch * 0x9e3779b97f4a7c15U);
}

static struct parked *find(const struct core *core, const struct klane_assignment *assignment,
                           uint64_t fingerprint, enum lane_kind kind)
{
    struct table_node *node = table_first(&core->parked, hash_of(assignment, fingerprint));

    for (; node != NULL; node = table_next(node)) {
        struct parked *parked = parked_of_node(node);

        if (parked->assignment == assignment && parked->fingerprint == fingerprint &&
            parked->is_record == (kind == LANE_OF_RECORD))
            return parked;
    }
    return NULL;
}

/* Full with so many in memory, it is fit with three quarters of them. */
static uint32_t fit_at_of(uint32_t slots)
{
    return slots * 3 / 4;
}

static struct parked *add(struct core *core, struct klane_assignment *assignment,
                          uint64_t fingerprint, enum lane_kind kind, int64_t next)
{
    struct parking *parking = &assignment->parking;
    struct parked *parked;
    uint8_t size_class;

    if (!heap_reserve(&parking->parked, parking->parked.count + 1) ||
        !heap_reserve(&parking->fit, parking->parked.count + 1) ||
        !heap_reserve(&core->parked_timers, core->parked.count + 1))
        return NULL;
    assignment_charge(core, assignment);
    parked = slab_alloc(&core->slab, sizeof(*parked), &size_class);
    if (parked == NULL)
        return NULL;
    core->slab.charged += PARKED_BYTES;
    *parked = (struct parked){
        .assignment = assignment,
        .fingerprint = fingerprint,
        .others_from = INT64_MAX,
        .next = next,
        .end = next + 1,
        .fit_at = fit_at_of(core->config.lane_records_max),
        .by_next = {HEAP_NOWHERE},
        .fit = {HEAP_NOWHERE},
        .timer = {HEAP_NOWHERE},
        .is_record = kind == LANE_OF_RECORD,
        .is_unmet = true,
        .size_class = size_class,
    };
    table_add(&core->parked, &parked->node, hash_of(assignment, fingerprint));
    heap_set(&parking->parked, &parked->by_next, next);
    return parked;
}

static void set_next(struct parked *parked, int64_t next)
{
    if (next != parked->next) {
        parked->attempts = 0;
        parked->crashes = 0;
        parked->is_unmet = false;
    }
    parked->next = next;
    heap_set(&parked->assignment->parking.parked, &parked->by_next, next);
    if (heap_has(&parked->fit))
        heap_set(&parked->assignment->parking.fit, &parked->fit, next);
}

/* Kept records are let go: a pass has to bring them. */
static void let_go(struct core *core, struct parked *parked)
{
    struct klane_slot *slot = parked->kept_first, *next;

    if (slot == NULL)
        return;
    KLANE_MARK("kept records are let go");
    parked->end = parked->kept_last->record.offset + 1;
    for (; slot != NULL; slot = next) {
        next = slot->control.next;
        slot_forget(core, slot);
    }
    parked->kept_first = NULL;
    parked->kept_last = NULL;
    parked->kept_count = 0;
}

/* Some of it is done: it could take part in a pass. When most of it is, one is to begin; by then
 * others may be fit, and share it. */
static void fit_check(struct parked *parked)
{
    struct parking *parking = &parked->assignment->parking;

    if (parked->takes_part || heap_has(&parked->timer) || parked->slots > parked->fit_at)
        return;
    if (!heap_has(&parked->fit))
        heap_set(&parking->fit, &parked->fit, parked->next);
    if (parked->slots <= (parked->fit_at + 2) / 3)
        parking->is_urgent = true;
}

static void is_full_with(const struct core *core, struct parked *parked)
{
    uint32_t quota = core->config.lane_records_max;

    parked->fit_at = fit_at_of(parked->slots < quota ? parked->slots : quota);
}

static void leave(struct core *core, struct parked *parked)
{
    let_go(core, parked);
    parked->takes_part = false;
    TAILQ_REMOVE(&parked->assignment->parking.pass.parts, parked, part);
    commit_mark(&core->commit, parked->assignment);
}

static void remove_entry(struct core *core, struct parked *parked)
{
    struct parking *parking = &parked->assignment->parking;

    if (heap_has(&parked->fit))
        heap_remove(&parking->fit, &parked->fit);
    if (heap_has(&parked->timer))
        heap_remove(&core->parked_timers, &parked->timer);
    heap_remove(&parking->parked, &parked->by_next);
    table_remove(&core->parked, &parked->node);
    core->slab.charged -= PARKED_BYTES;
    slab_free(&core->slab, parked, parked->size_class);
}

static struct lane_name lane_name_of_slot(const struct klane_slot *slot, enum lane_kind kind)
{
    struct lane_name name = {.partition = slot->record.assignment->partition, .kind = kind};

    name.key = slot_lane_key(slot, &name.key_size);
    return name;
}

static uint64_t fingerprint_of(const struct klane_assignment *assignment,
                               const struct lane_name *name, int64_t offset)
{
    uint64_t fingerprint = lane_fingerprint(name, offset, assignment->seed);

#ifdef KLANE_TESTING
    if (name->kind != LANE_OF_RECORD)
        fingerprint &= ~assignment->fingerprints_alike;
#endif
    return fingerprint;
}

/* The other hash of its key. */
static uint64_t own_of(const struct klane_assignment *assignment, const struct lane_name *name)
{
    return lane_fingerprint(name, 0, ~assignment->seed);
}

/* The record is one of the lane's, or of those of a key that clashes with it that were dropped. */
static bool stands_for(const struct parked *parked, const struct lane_name *name, int64_t offset)
{
    return offset >= parked->others_from || parked->own == own_of(parked->assignment, name);
}

/* From this record on the entry stands for its key. */
static void stand_for(struct parked *parked, const struct lane_name *name, int64_t offset)
{
    if (stands_for(parked, name, offset))
        return;
    KLANE_MARK("a parked lane stands for another key too");
    parked->others_from = offset;
}

uint64_t parking_fingerprint(const struct klane_assignment *assignment,
                             const struct klane_slot *slot)
{
    struct lane_name name = lane_name_of_slot(slot, (enum lane_kind)slot->control.lane->kind);

    return fingerprint_of(assignment, &name, slot->record.offset);
}

/* ---- the main flow ----------------------------------------------------------------------- */

static void keep(struct core *core, struct parked *parked, struct klane_slot *slot,
                 enum lane_kind kind)
{
    slot->control.kind = (uint8_t)kind;
    slot->control.next = NULL;
    if (parked->kept_last == NULL)
        parked->kept_first = slot;
    else
        parked->kept_last->control.next = slot;
    parked->kept_last = slot;
    parked->kept_count++;
    slot_counted(core, slot);
}

static void drop(struct core *core, struct klane_assignment *assignment, int64_t offset)
{
    offsets_reach(&assignment->offsets, offset + 1);
    commit_mark(&core->commit, assignment);
}

bool parking_takes(struct core *core, struct klane_assignment *assignment,
                   const struct source_record *record, const struct core_place *place)
{
    struct lane_name name = lane_name_of(assignment->partition, record, place);
    struct parked *parked =
        find(core, assignment, fingerprint_of(assignment, &name, record->offset), name.kind);
    struct klane_slot *slot = NULL;

    if (parked == NULL)
        return false;
    stand_for(parked, &name, record->offset);
    if (parked->takes_part &&
        parked->slots + parked->kept_count < core->config.lane_records_max &&
        room_is_there(core, slot_size_of(record, place->lane_key_size, place->weight)))
        slot = slot_of_record(core, assignment, record, place);
    if (slot != NULL) {
        keep(core, parked, slot, place->kind);
        offsets_reach(&assignment->offsets, record->offset + 1);
        return true;
    }
    let_go(core, parked);
    parked->end = record->offset + 1;
    drop(core, assignment, record->offset);
    return true;
}

bool parking_begin(struct core *core, struct klane_assignment *assignment,
                   const struct lane *lane, const struct lane_name *name, int64_t offset)
{
    struct parked *parked =
        add(core, assignment, fingerprint_of(assignment, name, offset), name->kind, offset);

    if (parked == NULL)
        return false;
    KLANE_MARK("a lane over its quota is parked");
    parked->own = own_of(assignment, name);
    parked->slots = lane->count;
    is_full_with(core, parked);
    drop(core, assignment, offset);
    return true;
}

/* ---- memory is short --------------------------------------------------------------------- */

/* Its head has not moved since the last look. */
static bool is_stuck(const struct lane *lane)
{
    return lane->seen_head == lane->first->record.offset;
}

static void look_for_longest(struct table_node *node, void *context)
{
    uint32_t *longest = context;

    if (is_stuck(lane_of_node(node)) && lane_of_node(node)->count > *longest)
        *longest = lane_of_node(node)->count;
}

/* Of the slot's lane, from it on. NULL: no memory. */
static struct parked *add_for(struct core *core, const struct klane_slot *slot)
{
    struct klane_assignment *assignment = slot->record.assignment;
    enum lane_kind kind = (enum lane_kind)slot->control.lane->kind;
    struct lane_name name = lane_name_of_slot(slot, kind);
    struct parked *parked =
        add(core, assignment, parking_fingerprint(assignment, slot), kind, slot->record.offset);

    if (parked != NULL)
        parked->own = own_of(assignment, &name);
    return parked;
}

/* Half of the lane is parked. False: workers have it all, or there is no memory. */
static bool shorten(struct core *core, struct lane *lane)
{
    struct klane_assignment *assignment = lane->last->record.assignment;
    uint64_t fingerprint = parking_fingerprint(assignment, lane->last);
    struct parked *parked = find(core, assignment, fingerprint, (enum lane_kind)lane->kind);
    bool is_new = parked == NULL;
    struct klane_slot *first, *slot, *next;

    if (!assignment_may_start(assignment))
        return false;
    /* First, as it can fail. */
    if (is_new)
        parked = add_for(core, lane->last);
    if (parked == NULL)
        return false;
    first = lane_shorten(lane, lane->count / 2);
    if (first == NULL) {
        KLANE_MARK("a long lane has been passed on");
        if (is_new)
            remove_entry(core, parked);
        return false;
    }
    KLANE_MARK("a stuck lane is shortened");
    if (parked->takes_part)
        leave(core, parked);
    if (heap_has(&parked->fit))
        heap_remove(&assignment->parking.fit, &parked->fit);
    /* What is let go is no progress: 0 until the lane is as short as it is to be. */
    parked->slots = 0;
    for (slot = first; slot != NULL; slot = next) {
        next = slot->control.next;
        parking_unfinished(core, slot, &(struct head_note){0});
        slot_gone(core, slot);
    }
    parked->slots = lane->count;
    parked->fit_at = fit_at_of(parked->slots);
    return true;
}

struct shortening {
    struct core *core;
    uint32_t least;
    bool has_parked;
};

static void shorten_if_stuck(struct table_node *node, void *context)
{
    struct shortening *shortening = context;
    struct lane *lane = lane_of_node(node);

    if (is_stuck(lane) && lane->count >= shortening->least && shorten(shortening->core, lane))
        shortening->has_parked = true;
    lane->seen_head = lane->first->record.offset;
}

bool parking_shorten_stuck(struct core *core)
{
    struct shortening shortening = {.core = core};
    uint32_t longest = 0;

    table_each(&core->lanes.table, look_for_longest, &longest);
    shortening.least = longest < 4 ? 2 : longest / 2;
    table_each(&core->lanes.table, shorten_if_stuck, &shortening);
    return shortening.has_parked;
}

/* ---- slots that leave -------------------------------------------------------------------- */

void parking_makes_room(struct core *core, const struct klane_slot *slot)
{
    /* Of whatever stay: it has made room in its lane. */
    struct klane_assignment *current = slot->record.assignment->partition->current;
    struct parked *parked;

    if (current == NULL || current->parking.parked.count == 0)
        return;
    parked = find(core, current, parking_fingerprint(current, slot),
                  (enum lane_kind)slot->control.lane->kind);
    /* 0: it was not counted, being of another key with the same fingerprint. */
    if (parked == NULL || parked->slots == 0)
        return;
    parked->slots--;
    fit_check(parked);
}

/* The record at next has been tried, and may have to wait. */
static void note_head(struct core *core, struct parked *parked, const struct head_note *note)
{
    parked->attempts = note->attempts;
    parked->crashes = note->crashes;
    parked->due_ms = note->due_ms;
    parked->due_wall_ms = 0;
    if (heap_has(&parked->timer))
        heap_remove(&core->parked_timers, &parked->timer);
    if (note->due_ms == 0)
        return;
    heap_set(&core->parked_timers, &parked->timer, note->due_ms);
    if (heap_has(&parked->fit))
        heap_remove(&parked->assignment->parking.fit, &parked->fit);
}

bool parking_unfinished(struct core *core, const struct klane_slot *slot,
                        const struct head_note *note)
{
    struct klane_assignment *assignment = slot->record.assignment;
    uint64_t fingerprint = parking_fingerprint(assignment, slot);
    int64_t offset = slot->record.offset;
    enum lane_kind kind = (enum lane_kind)slot->control.lane->kind;
    struct lane_name name = lane_name_of_slot(slot, kind);
    struct parked *parked = find(core, assignment, fingerprint, kind);

    if (parked == NULL) {
        parked = add_for(core, slot);
        if (parked == NULL)
            return false;
        note_head(core, parked, note);
        return true;
    }
    KLANE_ASSERT(!parked->takes_part);
    stand_for(parked, &name, offset);
    if (offset < parked->next) {
        set_next(parked, offset);
        parked->is_unmet = true;
        note_head(core, parked, note);
    }
    if (offset >= parked->end)
        parked->end = offset + 1;
    return true;
}

bool parking_restore(struct core *core, struct klane_assignment *assignment,
                     const struct progress_lane *lane, int64_t end)
{
    enum lane_kind kind = lane->is_record ? LANE_OF_RECORD : LANE_OF_KEY;
    uint64_t fingerprint = lane->is_record ? (uint64_t)lane->head : lane->fingerprint;
    struct parked *parked = add(core, assignment, fingerprint, kind, lane->head);

    if (parked == NULL)
        return false;
    if (!lane->is_record)
        parked->end = end;
    parked->others_from = INT64_MIN;
    /* A head that a map has from a parked lane may lie before its next record. */
    parked->is_unmet = false;
    note_head(core, parked, &(struct head_note){lane->attempts, 0, lane->crashes});
    parked->due_wall_ms = lane->due_ms;
    if (lane->due_ms > 0)
        heap_set(&core->parked_timers, &parked->timer, 0);
    fit_check(parked);
    return true;
}

void parking_tick(struct core *core, int64_t now_ms)
{
    struct heap *timers = &core->parked_timers;

    while (timers->count > 0 && timers->entries[0].value <= now_ms) {
        struct parked *parked = parked_of_timer(timers->entries[0].node);
        int64_t left_ms = parked->due_wall_ms - (now_ms + core->commit.writer.wall_ms);

        if (parked->due_wall_ms > 0 && left_ms > 0) {
            heap_set(timers, &parked->timer,
                     now_ms + (left_ms < WALL_LOOK_MS ? left_ms : WALL_LOOK_MS));
            continue;
        }
        heap_remove(timers, &parked->timer);
        parked->due_ms = parked->due_wall_ms = 0;
        fit_check(parked);
    }
}

/* A pass has got past its head without meeting it. */
static void head_is_gone(struct core *core, struct parked *parked)
{
    struct klane_assignment *assignment = parked->assignment;

    KLANE_MARK("the head of a parked lane is gone from the log");
    parked->is_unmet = false;
    assignment->head_gone.offset = parked->next;
    assignment->head_gone.fingerprint = parked->fingerprint;
    core->counts.heads_gone++;
    notice_add(core, assignment, NOTICE_HEAD_GONE);
}

/* Everything of it below this offset was brought. */
static void leave_at(struct core *core, struct parked *parked, int64_t offset)
{
    if (parked->is_unmet && parked->next < offset)
        head_is_gone(core, parked);
    if (parked->next < offset)
        set_next(parked, offset);
    KLANE_ASSERT(parked->kept_count == 0 || parked->kept_first->record.offset >= parked->next);
    leave(core, parked);
    if (parked->next >= parked->end) {
        KLANE_MARK("a pass ends early, past all that a lane had left");
        remove_entry(core, parked);
    } else {
        fit_check(parked);
    }
}

void parking_end_pass(struct core *core, struct klane_assignment *assignment)
{
    struct pass *pass = &assignment->parking.pass;
    struct parked *parked;

    while (pass->is_on && (parked = TAILQ_FIRST(&pass->parts)) != NULL)
        leave_at(core, parked, pass->position);
    pass->is_on = false;
}

void parking_forget(struct core *core, struct klane_assignment *assignment)
{
    struct parking *parking = &assignment->parking;

    while (parking->parked.count > 0)
        remove_entry(core, parked_of_next(parking->parked.entries[0].node));
    heap_deinit(&parking->parked);
    heap_deinit(&parking->fit);
    core->pass_wants = 0;
    assignment_charge(core, assignment);
}

/* ---- passes ------------------------------------------------------------------------------ */

static void begin_pass(struct parking *parking, uint32_t quota)
{
    struct pass *pass = &parking->pass;

    *pass = (struct pass){.is_on = true, .position = parking->fit.entries[0].value};
    parking->is_urgent = false;
    TAILQ_INIT(&pass->parts);
    while (parking->fit.count > 0) {
        struct parked *parked = parked_of_fit(parking->fit.entries[0].node);

        heap_remove(&parking->fit, &parked->fit);
        parked->takes_part = true;
        parked->fit_at = fit_at_of(quota);
        TAILQ_INSERT_TAIL(&pass->parts, parked, part);
        if (parked->end > pass->end)
            pass->end = parked->end;
    }
}

static bool is_to_begin(const struct klane_assignment *assignment)
{
    const struct parking *parking = &assignment->parking;

    return parking->is_urgent && parking->fit.count > 0 && !parking->pass.is_on &&
           assignment_may_start(assignment);
}

bool parking_wants_a_pass(const struct core *core)
{
    const struct klane_assignment *each;

    if (core->parked.count == 0)
        return false;
    for (each = core->assignments; each != NULL; each = each->next)
        if (each->parking.pass.is_on || is_to_begin(each))
            return true;
    return false;
}

static struct klane_assignment *next_pass(const struct core *core)
{
    struct klane_assignment *each;

    if (core->parked.count == 0 || core_room(core) < core->config.records_max / ROOM_FOR_A_PASS ||
        !room_for_a_pass(core))
        return NULL;
    for (each = core->assignments; each != NULL; each = each->next)
        if (is_to_begin(each))
            return each;
    return NULL;
}

bool core_pass_is_due(const struct core *core)
{
    return next_pass(core) != NULL;
}

struct klane_assignment *core_next_pass(struct core *core, int64_t *from)
{
    struct klane_assignment *assignment = next_pass(core);

    if (assignment == NULL)
        return NULL;
    begin_pass(&assignment->parking, core->config.lane_records_max);
    core->pass_wants = 0;
    core->counts.passes++;
    *from = assignment->parking.pass.position;
    return assignment;
}

/* NULL: it has nothing in memory. *hash: to create it with. */
static struct lane *lane_of(const struct core *core, const struct lane_name *name, uint64_t *hash)
{
    *hash = 0;
    return name->kind == LANE_OF_RECORD ? NULL : lane_find(&core->lanes, name, hash);
}

/* Puts a slot behind its lane. False: that has its quota, or there is no memory for one. */
static bool feed(struct core *core, struct klane_slot *slot, enum lane_kind kind)
{
    struct klane_assignment *assignment = slot->record.assignment;
    struct lane_name name = lane_name_of_slot(slot, kind);
    struct lane *lane;
    uint64_t hash;

    /* One lane more in the heap of heads. */
    if (!heap_reserve(&assignment->offsets.heads, assignment->slots + 1))
        return false;
    assignment_charge(core, assignment);
    lane = lane_of(core, &name, &hash);
    if (lane == NULL)
        lane = lane_create(&core->lanes, &core->slab, &name, hash);
    if (lane == NULL || lane_is_full(core, lane))
        return false;
    if (lane_append(lane, slot))
        hold_slot(core, slot);
    offsets_feed(&assignment->offsets, slot);
    return true;
}

/* The pass cannot bring the record. */
static void stay_out(struct core *core, struct parked *parked, const struct lane *lane,
                     int64_t offset)
{
    set_next(parked, offset);
    parked->is_unmet = true;
    /* Also those of an earlier stay, which was before the entry. */
    if (lane != NULL && parked->slots < lane->count)
        parked->slots = lane->count;
    is_full_with(core, parked);
    leave(core, parked);
    fit_check(parked);
}

/* There is no room for its lane's next record, which was kept. */
static void stay_out_with(struct core *core, struct parked *parked, const struct klane_slot *slot)
{
    struct lane_name name = lane_name_of_slot(slot, (enum lane_kind)slot->control.kind);
    uint64_t hash;

    stay_out(core, parked, lane_of(core, &name, &hash), slot->record.offset);
}

/* Nothing of it is left in the log below its end: what was kept follows, and the entry goes. */
static void meet_end(struct core *core, struct parked *parked)
{
    struct klane_slot *slot;

    if (parked->is_unmet)
        head_is_gone(core, parked);
    while ((slot = parked->kept_first) != NULL) {
        struct klane_slot *next = slot->control.next;

        if (!feed(core, slot, (enum lane_kind)slot->control.kind)) {
            stay_out_with(core, parked, slot);
            return;
        }
        parked->kept_first = next;
        parked->kept_count--;
        parked->slots++;
    }
    KLANE_ASSERT(parked->kept_count == 0);
    KLANE_MARK("a parked lane is in memory again");
    parked->kept_last = NULL;
    leave(core, parked);
    remove_entry(core, parked);
}

/* Whether the record is in memory already, or in front of what is. */
static bool is_known(const struct klane_assignment *assignment, const struct lane *lane,
                     int64_t offset)
{
    return lane != NULL && lane->last->record.assignment == assignment &&
           lane->last->record.offset >= offset;
}

/* It is the record of which something is known. */
static void head_is_known(struct klane_slot *slot, const struct parked *parked)
{
    slot->record.attempt += parked->attempts;
    slot->control.crashes = parked->crashes & PROGRESS_CRASHES_MAX;
    slot->control.is_plain &= parked->crashes == 0;
}

/* The last of room is for lanes that have nothing in memory. */
static bool has_room(const struct core *core, const struct parked *parked)
{
    uint32_t kept = parked->slots == 0 ? 0 : core->config.records_max / ROOM_FOR_A_PASS / 2;

    return core_room(core) > kept;
}

enum feeding {
    FEED_TAKEN,
    FEED_FULL,   /* its lane has its quota */
    FEED_NO_ROOM /* in memory */
};

static enum feeding feed_record(struct core *core, struct parked *parked, struct lane *lane,
                                const struct source_record *record,
                                const struct core_place *place)
{
    struct klane_assignment *assignment = parked->assignment;
    struct klane_slot *slot;

    if (lane != NULL && lane->count + parked->kept_count >= core->config.lane_records_max)
        let_go(core, parked);
    if (lane != NULL && lane_is_full(core, lane))
        return FEED_FULL;
    if (!has_room(core, parked) || !room_for_pass(core, assignment, record, place))
        return FEED_NO_ROOM;
    slot = slot_of_record(core, assignment, record, place);
    if (slot == NULL)
        return FEED_NO_ROOM;
    if (record->offset == parked->next)
        head_is_known(slot, parked);
    slot_counted(core, slot);
    if (!feed(core, slot, place->kind)) {
        slot_forget(core, slot);
        return FEED_NO_ROOM;
    }
    parked->slots++;
    return FEED_TAKEN;
}

/* There is no room at this offset. Who has something in memory leaves here, so that they go on
 * together; for the others the pass goes on. */
static void leave_without_room(struct core *core, struct klane_assignment *assignment,
                               int64_t offset)
{
    struct parked *parked, *next;

    for (parked = TAILQ_FIRST(&assignment->parking.pass.parts); parked != NULL; parked = next) {
        next = TAILQ_NEXT(parked, part);
        if (parked->slots == 0)
            continue;
        is_full_with(core, parked);
        leave_at(core, parked, offset);
    }
}

void core_swept(struct core *core, struct klane_assignment *assignment,
                const struct source_record *record, const struct core_place *place)
{
    struct lane_name name = lane_name_of(assignment->partition, record, place);
    struct parked *parked;
    struct lane *lane;
    uint64_t hash;

    core->counts.swept_records++;
    core->counts.swept_bytes +=
        (uint64_t)record->key_size + record->value_size + record->headers_size;
    if (!assignment->parking.pass.is_on || record->offset >= assignment->parking.pass.end)
        return;
    parked = find(core, assignment, fingerprint_of(assignment, &name, record->offset), name.kind);
    if (parked == NULL || !parked->takes_part || record->offset < parked->next ||
        record->offset >= parked->end || !stands_for(parked, &name, record->offset))
        return;
    if (parked->is_unmet && record->offset > parked->next)
        head_is_gone(core, parked);
    lane = lane_of(core, &name, &hash);
    if (!is_known(assignment, lane, record->offset)) {
        enum feeding feeding = feed_record(core, parked, lane, record, place);

        if (feeding != FEED_TAKEN) {
            stay_out(core, parked, lane, record->offset);
            if (feeding == FEED_NO_ROOM)
                leave_without_room(core, assignment, record->offset);
            return;
        }
    }
    set_next(parked, record->offset + 1);
    if (parked->next >= parked->end)
        meet_end(core, parked);
}

bool core_swept_to(struct core *core, struct klane_assignment *assignment, int64_t position)
{
    struct pass *pass = &assignment->parking.pass;
    struct parked *parked, *next;

    if (!pass->is_on)
        return true;
    /* Beyond its end it was brought records in vain. */
    if (position > pass->end)
        position = pass->end;
    pass->position = position;
    if (position < pass->end && !TAILQ_EMPTY(&pass->parts))
        return false;
    /* Who still takes part has its end behind it, or has got a later one meanwhile. */
    for (parked = TAILQ_FIRST(&pass->parts); parked != NULL; parked = next) {
        next = TAILQ_NEXT(parked, part);
        if (parked->end <= position)
            meet_end(core, parked);
    }
    parking_end_pass(core, assignment);
    return true;
}
