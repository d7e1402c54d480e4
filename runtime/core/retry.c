/* SPDX-License-Identifier: Apache-2.0 */
#include "core/retry.h"

bool retry_is_over(const struct retry_policy *policy, uint32_t attempts, int64_t age_ms)
{
    if (policy->attempts_max > 0 && attempts >= policy->attempts_max)
        return true;
    return policy->age_max_ms > 0 && age_ms >= policy->age_max_ms;
}

int64_t retry_delay(const struct retry_policy *policy, uint32_t attempts, uint64_t random)
{
    int64_t delay_ms = policy->delay_ms;

    if (policy->delay_max_ms == 0)
        return delay_ms;
    for (uint32_t i = 1; i < attempts && delay_ms > 0 && delay_ms < policy->delay_max_ms; i++)
        delay_ms = delay_ms > policy->delay_max_ms / 2 ? policy->delay_max_ms : 2 * delay_ms;
    /* From half of it to all of it: chance spreads what failed together, and no wait is too short
     * to be one. */
    return delay_ms - (int64_t)(random % ((uint64_t)(delay_ms / 2) + 1));
}
