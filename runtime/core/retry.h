/* SPDX-License-Identifier: Apache-2.0 */
/* How often, and when, a record that failed runs again.
 *
 * Upholds: with attempts_max or age_max_ms no record is tried for ever; the waits of one that is
 * rise to delay_max_ms and not beyond, and differ from record to record by chance, so that what
 * failed together does not come back together. */
#ifndef KLANE_CORE_RETRY_H
#define KLANE_CORE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct retry_policy {
    int64_t delay_ms;      /* the first */
    int64_t delay_max_ms;  /* 0: all are delay_ms; else each is up to twice the one before */
    int64_t age_max_ms;    /* of the record; 0: any */
    uint32_t attempts_max; /* 0: any number */
};

/* Whether a record that has failed so many times is given up. age_ms -1: not known. */
bool retry_is_over(const struct retry_policy *policy, uint32_t attempts, int64_t age_ms);

/* How long it waits after so many attempts, 1 or more. random: any number. */
int64_t retry_delay(const struct retry_policy *policy, uint32_t attempts, uint64_t random);

#endif
