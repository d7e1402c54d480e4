/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crowd.h"

#include "core/internal.h"

/* All of the memory, as partition_load() counts. */
static uint64_t all_of(const struct core *core)
{
    return core->config.limit_bytes > 0 ? core->config.limit_bytes : core->config.records_max;
}

/* A partition that is no part of the crowd has no more in memory. */
static uint64_t share_of_window(const struct core *core)
{
    return CROWD_SHARES(all_of(core)) / (core->assigned + 1) + 1;
}

/* What came in through it and is there. */
static uint64_t load_of_window(const struct core *core)
{
    return load_of(core, core->crowd.records, core->crowd.bytes);
}

/* The first half is whose comes first. */
static uint64_t first_half(const struct core *core)
{
    return CROWD_WINDOW(all_of(core)) / 2;
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
    KLANE_MARK("what fills memory leaves a window to others");
    core->crowd.is_open = true;
    core->crowd.look_ms = INT64_MAX;
    hold_all(core);
}

/* From the half on who comes to more than its share holds before more comes in. */
static void window_fills(struct core *core)
{
    if (core->counts.records == core->crowd.came_in || load_of_window(core) < first_half(core))
        return;
    core->crowd.came_in = core->counts.records;
    hold_all(core);
}

/* Since the last look nothing has come in, and as good as nothing has left, but by passes. */
static bool stands_still(const struct core *core)
{
    const struct crowd *crowd = &core->crowd;

    return crowd->look_ms != INT64_MAX && core->counts.records == crowd->came_in &&
           core->admission.records + crowd->before / CROWD_PART_OF_LEAVING >= crowd->before;
}

void core_relieve_crowd(struct core *core, bool is_starving, int64_t now_ms)
{
    struct crowd *crowd = &core->crowd;
    bool is_crowd;

    if (!core_is_nearly_full(core)) {
        if (core->in_crowd > 0 && is_over(core))
            crowd_goes_on(core);
        if (core->fullest > 0 && !core_is_half_full(core))
            fullest_go_on(core);
        crowd->is_open = false;
        crowd->look_ms = INT64_MAX;
        return;
    }
    if (crowd->is_open) {
        window_fills(core);
        return;
    }
    if (now_ms < crowd->look_ms && crowd->look_ms != INT64_MAX)
        return;
    /* Workers without work may have some again in the next round: that does not begin anew. */
    is_crowd = !is_starving && stands_still(core);
    crowd->came_in = core->counts.records;
    crowd->before = core->admission.records;
    crowd->look_ms = now_ms + CROWD_LOOK_MS;
    if (is_crowd)
        crowd_leaves_window(core);
}

uint64_t crowd_window(const struct core *core, bool is_starving)
{
    uint64_t window = CROWD_WINDOW(all_of(core)), share = share_of_window(core);
    uint64_t taken = load_of_window(core), half = first_half(core);

    /* For idle workers by shares beyond its end, or what fills it might keep them so. */
    if (taken >= window)
        return is_starving ? share : 0;
    if (taken + share < half)
        return half - taken;
    return share < window - taken || is_starving ? share : window - taken;
}

void crowd_counts(struct core *core, struct klane_slot *slot)
{
    slot->control.by_window = true;
    core->crowd.records++;
    core->crowd.bytes += slot_large_bytes(slot);
}

void crowd_forgets(struct core *core, const struct klane_slot *slot)
{
    core->crowd.records--;
    core->crowd.bytes -= slot_large_bytes(slot);
}
