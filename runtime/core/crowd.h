/* SPDX-License-Identifier: Apache-2.0 */
/* A crowd: memory is nearly full, workers have enough to do with what is in it, and nothing comes
 * in any more, as nothing leaves; a topic whose service is away does that, tried again and again,
 * and so do handlers of minutes. Or they have nothing to do, and nothing that waits can be parked.
 *
 * Upholds: what fills memory shuts out no other partition. After two looks what comes in has a
 * window, and partitions that have more than their share of that hold, but for the last, until
 * they have half of what they had, or a quarter of the memory is free and no large record waits
 * for its room. Who has less then may fill half of the window; from there on no more comes in at
 * once than a share, and who has got more than that holds, so that all find a share. What came in
 * through it counts until it leaves, wherever the memory stands: as that drains, the window stays
 * as it is, so that a large record, which waits for room, is not overtaken for ever.
 *
 * The last eighth has room for what comes in before something holds, as workers have nothing to
 * do, for the window, and for a pass to begin. A pass leaves a little to the window when it has
 * filled the rest. Control's alone. */
#ifndef KLANE_CORE_CROWD_H
#define KLANE_CORE_CROWD_H

#include <stdbool.h>
#include <stdint.h>

struct core;
struct klane_slot;

/* How often is looked for what stands still. */
#define CROWD_LOOK_MS 20

/* Parts of the memory: the window; what partitions share of it, half of its second half, as the
 * other is for bursts; what is kept free before something holds, by passes, and by the window
 * itself; and what a pass needs to begin while there is one. */
#define CROWD_WINDOW(all) ((all)*3 / 64)
#define CROWD_SHARES(all) ((all)*3 / 256)
#define CROWD_KEPT(all) ((all)*5 / 64)
#define CROWD_KEPT_BY_PASSES(all) ((all) / 64)
#define CROWD_KEPT_BY_WINDOW(all) ((all) / 128)
#define CROWD_PART_OF_PASSES 32

/* What leaves between two looks is nothing up to this part of what is there, of which all would
 * take more than a minute. */
#define CROWD_PART_OF_LEAVING 4096

struct crowd {
    int64_t look_ms;  /* when to look again; INT64_MAX: nothing is to be seen */
    uint64_t came_in; /* records, until the last look; of a window, the last round */
    uint32_t before;  /* records in memory at the last look */
    uint32_t records; /* in memory that came in through a window */
    uint64_t bytes;   /* of the large ones among them */
    bool is_open;     /* there is a window */
};

static inline void crowd_init(struct crowd *crowd)
{
    *crowd = (struct crowd){.look_ms = INT64_MAX};
}

/* There is a window, and partitions that have more than their share of it hold, but for the last.
 */
void crowd_leaves_window(struct core *core);

/* There is a window: how much may come in through it now, as partition_load() counts. 0: it is
 * full. is_starving: workers have nothing to do. */
uint64_t crowd_window(const struct core *core, bool is_starving);

/* The slot of a record that comes in through it; and it leaves memory. */
void crowd_counts(struct core *core, struct klane_slot *slot);
void crowd_forgets(struct core *core, const struct klane_slot *slot);

#endif
