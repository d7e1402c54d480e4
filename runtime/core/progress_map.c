/* SPDX-License-Identifier: Apache-2.0 */
#include "core/progress_map.h"

#include "base/assert.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

/* Sizes and places as the header file lists them. */
#define VERSION "k1"
#define CHECK_AT 2U
#define CHECK_DIGITS 6U
#define BODY_AT 8U
#define KEY_VERSION_DIGITS 6U
#define LONG_DIGITS 11U
#define EPOCH_DIGITS 6U
#define COUNT_DIGITS 3U
#define ATTEMPT_DIGITS 4U
#define DUE_DIGITS 7U
#define NOTE_DIGITS (COUNT_DIGITS + ATTEMPT_DIGITS + DUE_DIGITS)

#define BITS 6U

static const char digits[] = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
static const char orders[] = "kpn"; /* by enum klane_order */

/* ---- numbers ----------------------------------------------------------------------------- */

static uint64_t most_of(uint32_t width)
{
    return width * BITS >= 64 ? UINT64_MAX : (UINT64_C(1) << (width * BITS)) - 1;
}

static uint32_t width_of(uint64_t value)
{
    uint32_t width = 1;

    while (value > most_of(width))
        width++;
    return width;
}

/* What is too large for its width is written as the most that it can be. */
static char *put(char *to, uint64_t value, uint32_t width)
{
    if (value > most_of(width))
        value = most_of(width);
    for (uint32_t i = width; i > 0; i--) {
        to[i - 1] = digits[value & 63];
        value >>= BITS;
    }
    return to + width;
}

struct reader {
    const char *at;
    size_t left;
    bool is_torn;
};

static uint64_t get(struct reader *reader, uint32_t width)
{
    uint64_t value = 0;

    if (reader->left < width)
        reader->is_torn = true;
    for (uint32_t i = 0; i < width && !reader->is_torn; i++) {
        const char *digit = memchr(digits, reader->at[i], sizeof(digits) - 1);

        if (digit == NULL || value > UINT64_MAX >> BITS)
            reader->is_torn = true;
        else
            value = value << BITS | (uint64_t)(digit - digits);
    }
    if (reader->is_torn)
        return 0;
    reader->at += width;
    reader->left -= width;
    return value;
}

static uint64_t check_of(const char *body, size_t size, int64_t base)
{
    return hash_bytes(body, size, (uint64_t)base) & most_of(CHECK_DIGITS);
}

/* ---- writing ----------------------------------------------------------------------------- */

int progress_lane_by_head(const void *left, const void *right)
{
    const struct progress_lane *a = left, *b = right;

    return a->head < b->head ? -1 : a->head > b->head;
}

static int by_name(const void *left, const void *right)
{
    const struct progress_lane *a = left, *b = right;

    if (a->is_record != b->is_record)
        return a->is_record ? 1 : -1;
    if (!a->is_record && a->fingerprint != b->fingerprint)
        return a->fingerprint < b->fingerprint ? -1 : 1;
    return progress_lane_by_head(left, right);
}

static void sort(struct progress_map *map, int (*compare)(const void *, const void *))
{
    if (map->count > 0)
        qsort(map->lanes, map->count, sizeof(*map->lanes), compare);
}

/* How wide distances may be, if count are listed, so many of them lanes. 0: they do not fit. */
static uint32_t width_left(size_t limit, uint32_t count, uint32_t lanes)
{
    size_t named = PROGRESS_MAP_HEADER + (size_t)lanes * LONG_DIGITS;

    if (count == 0)
        return LONG_DIGITS;
    if (named > limit || count > most_of(COUNT_DIGITS))
        return 0;
    return (limit - named) / count > LONG_DIGITS ? LONG_DIGITS
                                                 : (uint32_t)((limit - named) / count);
}

/* Leaves out what does not fit, and lowers the ceiling: to the least head that is left out, or to
 * where distances get too wide. */
static void cut_to_fit(struct progress_map *map, size_t limit)
{
    uint32_t count = 0, lanes = 0;
    uint64_t reach = (uint64_t)(map->ceiling - map->base);

    sort(map, progress_lane_by_head);
    while (count < map->count && map->lanes[count].head < map->ceiling)
        lanes += !map->lanes[count++].is_record;
    for (;;) {
        uint64_t most = most_of(width_left(limit, count, lanes));

        if (reach > most)
            reach = most;
        if (count == 0 || reach > (uint64_t)(map->lanes[count - 1].head - map->base))
            break;
        count--;
        lanes -= !map->lanes[count].is_record;
        reach = (uint64_t)(map->lanes[count].head - map->base);
    }
    map->count = count;
    map->ceiling = map->base + (int64_t)reach;
}

static void merge_clashes(struct progress_map *map)
{
    uint32_t count = 0;

    sort(map, by_name);
    for (uint32_t i = 0; i < map->count; i++) {
        const struct progress_lane *lane = &map->lanes[i];

        if (count > 0 && !lane->is_record && !map->lanes[count - 1].is_record &&
            lane->fingerprint == map->lanes[count - 1].fingerprint)
            continue;
        map->lanes[count++] = *lane;
    }
    map->count = count;
}

static char *put_header(const struct progress_map *map, char *to, uint32_t width)
{
    uint32_t lanes = 0;

    while (lanes < map->count && !map->lanes[lanes].is_record)
        lanes++;
    *to++ = orders[map->scheme.order];
    *to++ = map->scheme.null_keys == KLANE_NULL_KEYS_ORDERED ? 'o' : 'u';
    to = put(to, map->scheme.key_version, KEY_VERSION_DIGITS);
    to = put(to, map->seed, LONG_DIGITS);
    to = put(to, (uint64_t)map->ceiling, LONG_DIGITS);
    to = put(to, width, 1);
    to = put(to, (uint64_t)(map->leader_epoch + INT64_C(1)), EPOCH_DIGITS);
    to = put(to, map->starts, COUNT_DIGITS);
    to = put(to, lanes, COUNT_DIGITS);
    return put(to, map->count - lanes, COUNT_DIGITS);
}

static uint64_t due_of(const struct progress_lane *lane)
{
    KLANE_ASSERT(lane->crashes <= PROGRESS_CRASHES_MAX);
    if (lane->crashes > 0)
        return lane->crashes;
    /* No time of ours is in the first milliseconds of 1970. */
    return lane->due_ms <= (int64_t)PROGRESS_CRASHES_MAX ? 0 : (uint64_t)lane->due_ms;
}

/* Those with crashes, or the others. */
static char *put_notes(const struct progress_map *map, bool with_crashes, char *to,
                       const char *end)
{
    for (uint32_t i = 0; i < map->count; i++) {
        const struct progress_lane *lane = &map->lanes[i];

        if (lane->attempts == 0 || (lane->crashes > 0) != with_crashes ||
            (size_t)(end - to) < NOTE_DIGITS)
            continue;
        to = put(to, i, COUNT_DIGITS);
        to = put(to, lane->attempts, ATTEMPT_DIGITS);
        to = put(to, due_of(lane), DUE_DIGITS);
    }
    return to;
}

/* What ends processes has to be found, so the notes that say so have room, up to half of it. */
static size_t kept_for_crashes(const struct progress_map *map, size_t limit)
{
    size_t kept = 0, most = (limit - PROGRESS_MAP_HEADER) / 2;

    for (uint32_t i = 0; i < map->count && kept + NOTE_DIGITS <= most; i++)
        if (map->lanes[i].crashes > 0)
            kept += NOTE_DIGITS;
    return kept;
}

size_t progress_map_write(struct progress_map *map, char *text, size_t limit)
{
    char *to = text;
    uint32_t width;

    KLANE_ASSERT(map->ceiling >= map->base && map->base >= 0);
    if (limit < PROGRESS_MAP_HEADER)
        return 0;
    merge_clashes(map);
    cut_to_fit(map, limit - kept_for_crashes(map, limit));
    sort(map, by_name);
    width = width_of((uint64_t)(map->ceiling - map->base));
    memcpy(to, VERSION, CHECK_AT);
    to = put_header(map, to + BODY_AT, width);
    for (uint32_t i = 0; i < map->count; i++) {
        const struct progress_lane *lane = &map->lanes[i];

        KLANE_ASSERT(lane->head >= map->base);
        if (!lane->is_record)
            to = put(to, lane->fingerprint, LONG_DIGITS);
        to = put(to, (uint64_t)(map->ceiling - lane->head), width);
    }
    to = put_notes(map, true, to, text + limit);
    to = put_notes(map, false, to, text + limit);
    put(text + CHECK_AT, check_of(text + BODY_AT, (size_t)(to - text) - BODY_AT, map->base),
        CHECK_DIGITS);
    *to = '\0';
    return (size_t)(to - text);
}

/* ---- reading ----------------------------------------------------------------------------- */

/* Lanes by rising fingerprint, then records by rising offset, all between base and ceiling. */
static bool get_lanes(struct reader *reader, struct progress_map *map, uint32_t lanes,
                      uint32_t width)
{
    for (uint32_t i = 0; i < map->count; i++) {
        struct progress_lane *lane = &map->lanes[i];
        uint64_t distance;

        lane->is_record = i >= lanes;
        if (!lane->is_record)
            lane->fingerprint = get(reader, LONG_DIGITS);
        distance = get(reader, width);
        if (reader->is_torn || distance == 0 || distance > (uint64_t)(map->ceiling - map->base))
            return false;
        lane->head = map->ceiling - (int64_t)distance;
        if (i > 0 && by_name(lane - 1, lane) >= 0)
            return false;
        if (i > 0 && !lane->is_record && lane->fingerprint == lane[-1].fingerprint)
            return false;
    }
    return true;
}

static bool get_notes(struct reader *reader, struct progress_map *map)
{
    while (reader->left > 0) {
        uint64_t index = get(reader, COUNT_DIGITS);
        uint64_t attempts = get(reader, ATTEMPT_DIGITS);
        uint64_t due_ms = get(reader, DUE_DIGITS);

        if (reader->is_torn || index >= map->count || attempts == 0)
            return false;
        map->lanes[index].attempts = (uint32_t)attempts;
        if (due_ms <= PROGRESS_CRASHES_MAX)
            map->lanes[index].crashes = (uint32_t)due_ms;
        else
            map->lanes[index].due_ms = (int64_t)due_ms;
    }
    return true;
}

static bool get_scheme(struct reader *reader, struct progress_scheme *scheme)
{
    uint64_t key_version;
    const char *order =
        reader->left < 2 ? NULL : memchr(orders, reader->at[0], sizeof(orders) - 1);

    if (order == NULL || (reader->at[1] != 'o' && reader->at[1] != 'u'))
        return false;
    *scheme = (struct progress_scheme){
        .order = (enum klane_order)(order - orders),
        .null_keys = reader->at[1] == 'o' ? KLANE_NULL_KEYS_ORDERED : KLANE_NULL_KEYS_UNORDERED,
    };
    reader->at += 2;
    reader->left -= 2;
    key_version = get(reader, KEY_VERSION_DIGITS);
    scheme->key_version = (uint32_t)key_version;
    return !reader->is_torn && key_version <= UINT32_MAX;
}

static bool scheme_equals(const struct progress_scheme *left, const struct progress_scheme *right)
{
    return left->order == right->order && left->key_version == right->key_version &&
           left->null_keys == right->null_keys;
}

/* What follows the scheme. */
static enum progress_refusal get_rest(struct reader *reader, struct progress_map *map)
{
    uint64_t ceiling, epoch, lanes;
    uint32_t width;

    map->seed = get(reader, LONG_DIGITS);
    ceiling = get(reader, LONG_DIGITS);
    width = (uint32_t)get(reader, 1);
    epoch = get(reader, EPOCH_DIGITS);
    map->starts = (uint32_t)get(reader, COUNT_DIGITS);
    lanes = get(reader, COUNT_DIGITS);
    map->count = (uint32_t)(lanes + get(reader, COUNT_DIGITS));
    if (reader->is_torn || ceiling > INT64_MAX || (int64_t)ceiling < map->base || width == 0 ||
        width > LONG_DIGITS || epoch > (uint64_t)INT32_MAX + 1 || map->count > reader->left)
        return PROGRESS_TORN;
    map->ceiling = (int64_t)ceiling;
    map->leader_epoch = (int32_t)((int64_t)epoch - 1);
    if (map->count == 0)
        return reader->left == 0 ? PROGRESS_READ : PROGRESS_TORN;
    map->lanes = calloc(map->count, sizeof(*map->lanes));
    if (map->lanes == NULL)
        return PROGRESS_NO_MEMORY;
    if (get_lanes(reader, map, (uint32_t)lanes, width) && get_notes(reader, map))
        return PROGRESS_READ;
    return PROGRESS_TORN;
}

enum progress_refusal progress_map_read(struct progress_map *map, const char *text, size_t size,
                                        int64_t base, const struct progress_scheme *scheme)
{
    struct reader reader = {.at = text, .left = size};
    enum progress_refusal refusal;

    *map = (struct progress_map){.base = base};
    if (size == 0)
        return PROGRESS_ABSENT;
    if (text[0] != VERSION[0])
        return PROGRESS_FOREIGN;
    if (size < BODY_AT)
        return PROGRESS_TORN;
    if (text[1] != VERSION[1])
        return text[1] > VERSION[1] && text[1] <= '9' ? PROGRESS_NEWER : PROGRESS_FOREIGN;
    if (base < 0)
        return PROGRESS_TORN;
    reader.at += CHECK_AT;
    reader.left -= CHECK_AT;
    if (get(&reader, CHECK_DIGITS) != check_of(text + BODY_AT, size - BODY_AT, base) ||
        reader.is_torn || !get_scheme(&reader, &map->scheme))
        return PROGRESS_TORN;
    if (scheme != NULL && !scheme_equals(&map->scheme, scheme))
        return PROGRESS_OTHER_SCHEME;
    refusal = get_rest(&reader, map);
    if (refusal != PROGRESS_READ)
        progress_map_free(map);
    return refusal;
}

void progress_map_free(struct progress_map *map)
{
    free(map->lanes);
    map->lanes = NULL;
    map->count = 0;
}
