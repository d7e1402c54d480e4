/* SPDX-License-Identifier: Apache-2.0 */
#include "core/progress.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/hash.h"
#include "core/internal.h"

#include <stdlib.h>
#include <string.h>

/* What a lane takes at least, its fingerprint and a digit; and a record without one, as there are
 * few that are so near. */
#define LANE_DIGITS 12U
#define RECORD_DIGITS 2U

bool progress_writer_init(struct progress_writer *writer, uint32_t limit,
                          const struct heap *timers)
{
    KLANE_ASSERT(limit <= PROGRESS_MAP_MAX);
    *writer = (struct progress_writer){.limit = limit, .timers = timers};
    if (limit < PROGRESS_MAP_HEADER)
        return true;
    /* Twice the records that fit, so that they are not sorted for each one too many. */
    writer->capacity = 2 * (limit / RECORD_DIGITS);
    writer->text = malloc(limit + 1);
    writer->lanes = calloc(writer->capacity, sizeof(*writer->lanes));
    if (writer->text != NULL && writer->lanes != NULL)
        return true;
    progress_writer_deinit(writer);
    return false;
}

void progress_writer_deinit(struct progress_writer *writer)
{
    free(writer->text);
    free(writer->lanes);
    writer->text = NULL;
    writer->lanes = NULL;
}

void progress_text_free(struct progress_text *text)
{
    free(text->text);
    text->text = NULL;
}

/* ---- gathering --------------------------------------------------------------------------- */

/* The least heads of an assignment, as many as there is room for. */
struct gathering {
    const struct progress_writer *writer;
    const struct klane_assignment *assignment;
    uint32_t count;
    int64_t bound; /* what is at or above it may be missing */
    bool is_last;  /* the stay ends in order: what runs on does not end the process */
};

static void drop_highest(struct gathering *gathering)
{
    struct progress_lane *lanes = gathering->writer->lanes;

    qsort(lanes, gathering->count, sizeof(*lanes), progress_lane_by_head);
    gathering->count /= 2;
    gathering->bound = lanes[gathering->count].head;
}

static void gather(struct gathering *gathering, const struct progress_lane *lane)
{
    if (lane->head >= gathering->bound)
        return;
    if (gathering->count == gathering->writer->capacity)
        drop_highest(gathering);
    gathering->writer->lanes[gathering->count++] = *lane;
}

/* Since 1970. */
static int64_t wall(const struct progress_writer *writer, int64_t time_ms)
{
    return clock_after(writer->wall_ms, time_ms);
}

static void gather_slot(struct gathering *gathering, const struct klane_slot *slot)
{
    const struct lane *lane = slot->control.lane;
    struct progress_lane head = {
        .head = slot->record.offset,
        .attempts = slot_attempts(slot),
        .is_record = lane->kind == LANE_OF_RECORD,
    };

    if (head.head >= gathering->bound)
        return;
    if (slot->control.state == SLOT_WAITING)
        head.due_ms = wall(gathering->writer, lane_waits_until(gathering->writer->timers, lane));
    head.crashes = slot->control.crashes;
    if (slot->control.on_trial && !gathering->is_last) {
        if (!(slot->record.has & SLOT_HAS_LETTER))
            head.attempts = slot->record.attempt;
        head.crashes += head.crashes < PROGRESS_CRASHES_MAX;
    }
    if (!head.is_record)
        head.fingerprint = parking_fingerprint(gathering->assignment, slot);
    gather(gathering, &head);
}

/* More would not fit. Of lanes twice as many, as one may be met again as a parked one. */
static uint32_t most_of(const struct gathering *gathering)
{
    enum klane_order order = gathering->assignment->partition->topic->scheme.order;
    uint32_t limit = gathering->writer->limit;

    return order == KLANE_ORDER_NONE ? limit / RECORD_DIGITS : 2 * (limit / LANE_DIGITS);
}

/* In the order of their offsets: what no longer fits ends it. */
static void gather_ring(struct gathering *gathering)
{
    const struct offsets *offsets = &gathering->assignment->offsets;
    uint32_t most = most_of(gathering);
    uint32_t sequence = offsets->first;
    const struct klane_slot *slot;

    while ((slot = offsets_in_ring(offsets, &sequence)) != NULL) {
        if (lane_head(slot->control.lane, gathering->assignment) != slot)
            continue;
        if (gathering->count == most) {
            gathering->bound = slot->record.offset;
            return;
        }
        gather_slot(gathering, slot);
    }
}

static void gather_heads(struct gathering *gathering)
{
    const struct heap *heads = &gathering->assignment->offsets.heads;

    for (uint32_t i = 0; i < heads->count; i++) {
        const struct lane *lane = lane_of_head(heads->entries[i].node);

        gather_slot(gathering, lane_head(lane, gathering->assignment));
    }
}

static void gather_parked(struct gathering *gathering)
{
    const struct heap *entries = &gathering->assignment->parking.parked;

    for (uint32_t i = 0; i < entries->count; i++) {
        const struct parked *parked = parked_of_next(entries->entries[i].node);
        struct progress_lane lane = {
            .fingerprint = parked->fingerprint,
            .head = parked->next,
            .attempts = parked->attempts,
            .crashes = parked->crashes,
            .is_record = parked->is_record,
        };

        KLANE_ASSERT(parked->next < parked->end);
        if (parked->due_wall_ms > 0)
            lane.due_ms = parked->due_wall_ms;
        else if (parked->due_ms > 0)
            lane.due_ms = wall(gathering->writer, parked->due_ms);
        gather(gathering, &lane);
    }
}

/* ---- writing ----------------------------------------------------------------------------- */

/* The hash is never 0, which is no map. */
static struct progress_mark mark_of(const char *text, size_t size, int64_t ceiling)
{
    return (struct progress_mark){hash_bytes(text, size, 0) | 1, ceiling, (uint32_t)size};
}

/* The writer's text becomes the assignment's. */
static bool keep(const struct progress_writer *writer, struct klane_assignment *assignment,
                 size_t size, int64_t ceiling)
{
    struct progress_text *map = &assignment->map;
    char *text = NULL;

    if (size > 0 && (text = malloc(size)) == NULL)
        return false;
    progress_text_free(map);
    map->mark = (struct progress_mark){.ceiling = ceiling};
    if (size == 0)
        return true;
    memcpy(text, writer->text, size);
    map->text = text;
    map->mark = mark_of(text, size, ceiling);
    return true;
}

static bool write_map(struct progress_writer *writer, struct klane_assignment *assignment,
                      bool is_last)
{
    const struct offsets *offsets = &assignment->offsets;
    struct gathering gathering = {writer, assignment, 0, INT64_MAX, is_last};
    struct progress_map map = {
        .starts = is_last ? 0 : assignment->trial.starts,
        .seed = assignment->seed,
        .base = assignment_base(assignment),
        .ceiling = offsets->frontier,
        .leader_epoch = -1,
    };
    size_t size;

    if (writer->limit < PROGRESS_MAP_HEADER)
        return keep(writer, assignment, 0, map.base);
    map.scheme = assignment->partition->topic->scheme;
    gather_ring(&gathering);
    gather_heads(&gathering);
    gather_parked(&gathering);
    map.lanes = writer->lanes;
    map.count = gathering.count;
    if (offsets->limit < map.ceiling)
        map.ceiling = offsets->limit;
    if (gathering.bound < map.ceiling)
        map.ceiling = gathering.bound;
    size = progress_map_write(&map, writer->text, writer->limit);
    return keep(writer, assignment, size, map.ceiling);
}

bool progress_write(struct progress_writer *writer, struct klane_assignment *assignment)
{
    return write_map(writer, assignment, false);
}

void progress_write_last(struct progress_writer *writer, struct klane_assignment *assignment)
{
    if (write_map(writer, assignment, true))
        return;
    keep(writer, assignment, 0, assignment_base(assignment));
}

/* The last map, whose assignment has nothing any more from which to write it again. */
static void shorten_last(struct progress_writer *writer, struct klane_assignment *assignment)
{
    int64_t base = assignment_base(assignment);
    struct progress_map map;
    size_t size = 0;

    if (progress_map_read(&map, assignment->map.text, assignment->map.mark.size, base,
                          &assignment->partition->topic->scheme) == PROGRESS_READ)
        size = progress_map_write(&map, writer->text, writer->limit);
    if (!keep(writer, assignment, size, size > 0 ? map.ceiling : base))
        keep(writer, assignment, 0, base);
    progress_map_free(&map);
}

void progress_shorten(struct progress_writer *writer, struct klane_assignment *assignment)
{
    if (writer->limit >= assignment->committing_progress.size)
        writer->limit = assignment->committing_progress.size / 2;
    if (assignment_state(assignment) >= ASSIGNMENT_SETTLING &&
        assignment->map.mark.size > writer->limit)
        shorten_last(writer, assignment);
}

/* ---- taking it up ------------------------------------------------------------------------ */

/* Everything that the map lists is parked; false: not all, for want of memory. */
static bool park_all(struct core *core, struct klane_assignment *assignment,
                     const struct progress_map *map)
{
    for (uint32_t i = 0; i < map->count; i++)
        if (!parking_restore(core, assignment, &map->lanes[i], map->ceiling))
            return false;
    return true;
}

enum progress_refusal core_restore(struct core *core, struct klane_assignment *assignment,
                                   const char *text, size_t size, int64_t log_end)
{
    uint64_t seed = assignment->seed;
    struct progress_map map;
    enum progress_refusal refusal = progress_map_read(&map, text, size, assignment->committed,
                                                      &assignment->partition->topic->scheme);

    KLANE_ASSERT(assignment->offsets.frontier == assignment->committed);
    if (refusal != PROGRESS_READ)
        return refusal;
    if (log_end >= 0 && map.ceiling > log_end)
        refusal = PROGRESS_BEYOND_LOG;
    assignment->seed = map.seed;
    if (refusal == PROGRESS_READ && !park_all(core, assignment, &map))
        refusal = PROGRESS_NO_MEMORY;
    if (refusal == PROGRESS_READ) {
        KLANE_MARK("a progress map is taken up");
        offsets_reach(&assignment->offsets, map.ceiling);
        trial_restore(core, assignment, map.starts);
        assignment->progress = mark_of(text, size, map.ceiling);
    } else {
        parking_forget(core, assignment);
        assignment->seed = seed;
    }
    progress_map_free(&map);
    return refusal;
}
