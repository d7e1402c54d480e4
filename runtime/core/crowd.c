/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crowd.h"

#include "core/internal.h"

/* A partition that is no part of the crowd has no more in memory than its share of the window. */
static uint64_t share_of_window(const struct core *core)
{
    uint64_t all =
        core->config.limit_bytes > 0 ? core->config.limit_bytes : core->config.records_max;

    return all / CROWD_PART / (core->assigned + 1);
}

/* The window begins at the least that was in use. */
static void window_follows(struct core *core)
{
    struct crowd *crowd = &core->crowd;

    if (core->admission.records < crowd->records)
        crowd->records = core->admission.records;
    if (slab_used(&core->slab) < crowd->bytes)
        crowd->bytes = slab_used(&core->slab);
}

static void window_opens(struct core *core)
{
    KLANE_MARK("what fills memory leaves a window to others");
    core->crowd.is_open = true;
    core->crowd.records = core->admission.records;
    core->crowd.bytes = slab_used(&core->slab);
}

/* A quarter of the memory is free. */
static bool is_over(const struct core *core)
{
    uint64_t limit = core->config.limit_bytes;

    return core_room(core) > core->config.records_max / 4 &&
           (limit == 0 || slab_used(&core->slab) < limit - limit / 4);
}

/* They would else hold until they have half of what they had, be it that of little. */
static void crowd_goes_on(struct core *core)
{
    for (struct partition *each = core->partitions; each != NULL; each = each->next)
        if (each->in_crowd)
            fullest_goes_on(core, each);
}

void crowd_hold(struct core *core)
{
    struct partition *partition;

    while ((partition = hold_fullest(core, share_of_window(core))) != NULL) {
        partition->in_crowd = true;
        core->in_crowd++;
    }
}

void core_relieve_crowd(struct core *core, bool is_starving, int64_t now_ms)
{
    struct crowd *crowd = &core->crowd;
    bool came_in = core->counts.records != crowd->came_in;

    if (core->in_crowd > 0 && is_over(core))
        crowd_goes_on(core);
    if (is_starving || !core_is_nearly_full(core)) {
        crowd_init(crowd);
        return;
    }
    if (crowd->is_open)
        window_follows(core);
    if (now_ms < crowd->look_ms && crowd->look_ms != INT64_MAX)
        return;
    crowd->came_in = core->counts.records;
    if (crowd->look_ms != INT64_MAX && !crowd->is_open && !came_in)
        window_opens(core);
    crowd->look_ms = now_ms + CROWD_LOOK_MS;
    if (crowd->is_open)
        crowd_hold(core);
}

uint32_t crowd_window(const struct core *core)
{
    const struct crowd *crowd = &core->crowd;
    uint64_t limit = core->config.limit_bytes, used = slab_used(&core->slab);
    uint32_t kept = core->config.records_max / CROWD_PART_OF_PASSES, room = core_room(core);
    uint32_t end = crowd->records + core->config.records_max / CROWD_PART + 1;

    if (!crowd->is_open || room <= kept || core->admission.records >= end ||
        (limit > 0 && used >= crowd->bytes + limit / CROWD_PART) ||
        (limit > 0 && !room_is_there(core, limit / CROWD_PART_OF_PASSES)))
        return 0;
    room -= kept;
    return room < end - core->admission.records ? room : end - core->admission.records;
}
