/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crowd.h"

#include "core/internal.h"

/* A partition that is no part of the crowd has no more in memory. */
static uint64_t share_of_window(const struct core *core)
{
    uint64_t all =
        core->config.limit_bytes > 0 ? core->config.limit_bytes : core->config.records_max;

    return CROWD_SHARES(all) / (core->assigned + 1);
}

static uint32_t size_of_window(const struct core *core)
{
    return CROWD_WINDOW(core->config.records_max) + 1;
}

/* The first half is whose comes first. */
static bool is_half_taken(const struct core *core)
{
    const struct crowd *crowd = &core->crowd;
    uint64_t limit = core->config.limit_bytes;

    return core->admission.records >= crowd->records + size_of_window(core) / 2 ||
           (limit > 0 && slab_used(&core->slab) >= crowd->bytes + CROWD_WINDOW(limit) / 2);
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

static void hold_all(struct core *core)
{
    struct partition *partition;

    while ((partition = hold_fullest(core, share_of_window(core))) != NULL) {
        partition->in_crowd = true;
        core->in_crowd++;
    }
}

void crowd_leaves_window(struct core *core)
{
    struct crowd *crowd = &core->crowd;

    if (!crowd->is_open) {
        KLANE_MARK("what fills memory leaves a window to others");
        crowd->is_open = true;
        crowd->look_ms = INT64_MAX;
        crowd->records = core->admission.records;
        crowd->bytes = slab_used(&core->slab);
    }
    hold_all(core);
}

/* From the half on who comes to more than its share holds before more comes in. */
static void window_fills(struct core *core)
{
    if (core->counts.records == core->crowd.came_in || !is_half_taken(core))
        return;
    core->crowd.came_in = core->counts.records;
    hold_all(core);
}

void core_relieve_crowd(struct core *core, bool is_starving, int64_t now_ms)
{
    struct crowd *crowd = &core->crowd;
    bool came_in = core->counts.records != crowd->came_in;

    if (core->in_crowd > 0 && is_over(core))
        crowd_goes_on(core);
    if (!core_is_nearly_full(core)) {
        crowd_init(crowd);
        return;
    }
    if (crowd->is_open) {
        window_follows(core);
        window_fills(core);
        return;
    }
    if (now_ms < crowd->look_ms && crowd->look_ms != INT64_MAX)
        return;
    /* Workers without work may have some again in the next round: that does not begin anew. */
    if (crowd->look_ms == INT64_MAX || came_in || is_starving) {
        crowd->came_in = core->counts.records;
        crowd->look_ms = now_ms + CROWD_LOOK_MS;
        return;
    }
    crowd_leaves_window(core);
}

/* A share, or the rest of the first half. */
static uint32_t burst_of_window(const struct core *core)
{
    uint32_t half = core->crowd.records + size_of_window(core) / 2;
    uint32_t share = CROWD_SHARES(core->config.records_max) / (core->assigned + 1);

    if (!is_half_taken(core) && half - core->admission.records > share)
        return half - core->admission.records;
    return share > 0 ? share : 1;
}

uint32_t crowd_window(const struct core *core)
{
    const struct crowd *crowd = &core->crowd;
    uint64_t limit = core->config.limit_bytes;
    uint32_t kept = CROWD_KEPT_BY_WINDOW(core->config.records_max), room = core_room(core);
    uint32_t end = crowd->records + size_of_window(core), burst = burst_of_window(core);

    if (room <= kept || core->admission.records >= end ||
        (limit > 0 && slab_used(&core->slab) >= crowd->bytes + CROWD_WINDOW(limit)) ||
        (limit > 0 && !room_is_there(core, CROWD_KEPT_BY_WINDOW(limit))))
        return 0;
    room -= kept;
    if (room > end - core->admission.records)
        room = end - core->admission.records;
    return room < burst ? room : burst;
}

uint64_t crowd_window_end(const struct core *core)
{
    if (!is_half_taken(core))
        return core->crowd.bytes + CROWD_WINDOW(core->config.limit_bytes) / 2;
    return slab_used(&core->slab) + share_of_window(core);
}

void crowd_is_above(struct core *core, uint64_t bytes)
{
    if (!core->crowd.is_open)
        return;
    core->crowd.records++;
    core->crowd.bytes += bytes;
}
