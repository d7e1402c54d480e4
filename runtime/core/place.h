/* SPDX-License-Identifier: Apache-2.0 */
/* What a topic's rules say of one record: which lane it belongs to, and how it is to be handled.
 * Upholds: nothing in here outlives the call that it is given to. */
#ifndef KLANE_CORE_PLACE_H
#define KLANE_CORE_PLACE_H

#include <stdbool.h>
#include <stdint.h>

/* What names a lane, besides its partition. */
enum lane_kind {
    LANE_OF_KEY,       /* its key */
    LANE_OF_NULL_KEYS, /* the one lane for records without a key */
    LANE_OF_PARTITION, /* the one lane for all records */
    LANE_OF_RECORD     /* nothing: it has one record and is not in the table */
};

struct core_place {
    enum lane_kind kind;
    uint16_t route;
    const void *lane_key; /* NULL: the record's own key */
    uint32_t lane_key_size;
    uint64_t weight; /* bytes that its handler takes; 0: none to speak of */
    int64_t due_ms;  /* since 1970, before which it is not to run; 0: at once */
    bool has_state;  /* its lane has one; not of LANE_OF_RECORD */
};

/* It says what is true of few records only. */
static inline bool place_has_more(const struct core_place *place)
{
    return place->lane_key != NULL ||
           (place->weight | (uint64_t)place->due_ms | place->has_state) != 0;
}

#endif
