/* SPDX-License-Identifier: Apache-2.0 */
/* Progress maps for whoever looks at a group from outside. */
#include "base/given.h"
#include "core/lane.h"
#include "core/progress_map.h"

#include <klane/klane.h>

static klane_err_t err_of(enum progress_refusal refusal)
{
    switch (refusal) {
    case PROGRESS_READ:
        return KLANE_OK;
    case PROGRESS_ABSENT:
    case PROGRESS_FOREIGN:
        return KLANE_ERR_NOT_FOUND;
    case PROGRESS_NEWER:
        return KLANE_ERR_VERSION;
    case PROGRESS_NO_MEMORY:
        return KLANE_ERR_NOMEM;
    case PROGRESS_TORN:
    case PROGRESS_OTHER_SCHEME:
    case PROGRESS_BEYOND_LOG:
        break;
    }
    return KLANE_ERR_CORRUPT;
}

klane_err_t klane_progress_read(const char *metadata, size_t size, int64_t committed,
                                struct klane_progress *progress, size_t progress_size,
                                struct klane_progress_lane *lanes, size_t lanes_max)
{
    struct progress_map map;
    struct klane_progress found;
    klane_err_t err;

    if ((metadata == NULL && size > 0) || progress == NULL || progress_size == 0)
        return KLANE_ERR_INVALID;
    err = err_of(progress_map_read(&map, metadata, size, committed, NULL));
    if (err != KLANE_OK)
        return err;
    found = (struct klane_progress){
        .ceiling = map.ceiling,
        .seed = map.seed,
        .order = map.scheme.order,
        .null_keys = map.scheme.null_keys,
        .key_version = map.scheme.key_version,
        .lane_count = map.count,
        .starts = map.starts,
    };
    given_answer(progress, progress_size, &found, sizeof(found));
    for (uint32_t i = 0; lanes != NULL && i < map.count && i < lanes_max; i++) {
        const struct progress_lane *lane = &map.lanes[i];

        lanes[i] =
            (struct klane_progress_lane){lane->fingerprint, lane->head,      lane->due_ms,
                                         lane->attempts,    lane->is_record, lane->crashes};
    }
    progress_map_free(&map);
    return KLANE_OK;
}

uint64_t klane_progress_fingerprint(uint64_t seed, const void *key, size_t key_size)
{
    const struct lane_name name = {
        .kind = LANE_OF_KEY, .key = key, .key_size = (uint32_t)key_size};

    return lane_fingerprint(&name, 0, seed);
}
