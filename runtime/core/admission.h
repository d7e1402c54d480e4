/* SPDX-License-Identifier: Apache-2.0 */
/* Admission: how many records may be in memory, all together and in one lane.
 *
 * Upholds: never more than records_max in memory; a lane that reaches its quota holds its own
 * partition only, until it is down to half of it, so that holding does not flutter. */
#ifndef KLANE_CORE_ADMISSION_H
#define KLANE_CORE_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

struct admission {
    uint32_t records_max;
    uint32_t lane_records_max;
    uint32_t records; /* in memory */
};

static inline void admission_init(struct admission *admission, uint32_t records_max,
                                  uint32_t lane_records_max)
{
    *admission = (struct admission){records_max, lane_records_max, 0};
}

static inline uint32_t admission_room(const struct admission *admission)
{
    return admission->records_max - admission->records;
}

/* A lane has got one more and holds count: is it over its quota now? */
static inline bool admission_is_over(const struct admission *admission, uint32_t count)
{
    return count >= admission->lane_records_max;
}

/* A lane that was over its quota holds count: is it in bounds again? */
static inline bool admission_is_back(const struct admission *admission, uint32_t count)
{
    return count <= admission->lane_records_max / 2;
}

#endif
