/* SPDX-License-Identifier: Apache-2.0 */
/* A crowd: memory is nearly full, workers have enough to do with what is in it, and nothing comes
 * in any more, as nothing leaves; a topic whose service is away does that, tried again and again,
 * and so do handlers of minutes. Or they have nothing to do, and nothing that waits can be parked.
 *
 * Upholds: what fills memory shuts out no other partition. After two looks what comes in has a
 * window, and partitions that have more than their share of that hold, but for the last, until a
 * quarter of the memory is free. Who has less then may fill half of the window; from there on no
 * more comes in at once than a share, and who has got more than that holds, so that all find a
 * share. The window is above the least that was in use since, so that a large record, which waits
 * until memory drains, is not overtaken for ever.
 *
 * Passes bring in records beside that, and the window is above those, too. The last eighth of the
 * memory has room for what comes in before something holds, as workers have nothing to do, for the
 * window, and for passes; they leave a little to the window when they have filled the rest.
 * Control's alone. */
#ifndef KLANE_CORE_CROWD_H
#define KLANE_CORE_CROWD_H

#include <stdbool.h>
#include <stdint.h>

struct core;

/* How often is looked for what stands still. */
#define CROWD_LOOK_MS 20

/* Parts of the memory: the window; what partitions share of it, half of its second half, as the
 * other is for bursts; what is kept free before something holds, by passes, and by the window
 * itself; and what a pass needs to begin while there is one. */
#define CROWD_WINDOW(all) ((all) / 64 * 3)
#define CROWD_SHARES(all) ((all) / 256 * 3)
#define CROWD_KEPT(all) ((all) / 64 * 5)
#define CROWD_KEPT_BY_PASSES(all) ((all) / 64)
#define CROWD_KEPT_BY_WINDOW(all) ((all) / 128)
#define CROWD_PART_OF_PASSES 32

struct crowd {
    int64_t look_ms;  /* when to look again; INT64_MAX: there is a window, or room */
    uint64_t came_in; /* records, until the last look; of a window, the last round */
    uint64_t bytes;   /* in use: the least while there is a window */
    uint32_t records; /* the same */
    bool is_open;     /* there is a window */
};

static inline void crowd_init(struct crowd *crowd)
{
    *crowd = (struct crowd){.look_ms = INT64_MAX};
}

/* There is a window, and partitions that have more than their share of it hold, but for the last.
 */
void crowd_leaves_window(struct core *core);

/* There is a window: how many records may come in through it; 0: it is full. */
uint32_t crowd_window(const struct core *core);

/* And to how many bytes in use. */
uint64_t crowd_window_end(const struct core *core);

/* A pass brought in a record of that size: the window is above it. */
void crowd_is_above(struct core *core, uint64_t bytes);

#endif
