/* SPDX-License-Identifier: Apache-2.0 */
/* Options, topics and routes as the program gives them. Upholds: what is wrong is named. */
#include "engine/options.h"

#include "base/errstr.h"
#include "base/given.h"
#include "core/progress_map.h"

#include <inttypes.h>
#include <sched.h>

#define WORKERS_MAX 1000U
#define RECORDS_MIN 16U
#define RECORDS_MAX (1U << 24)
#define MAP_MIN 64U
#define STACK_MIN (64U * 1024)
#define BUDGET_MOST (UINT64_C(1) << 50) /* parts of it are computed */

static uint32_t processors(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 1;
    return (uint32_t)CPU_COUNT(&set);
}

uint32_t options_processors(void)
{
    return processors();
}

void klane_options_init(struct klane_options *options, size_t options_size)
{
    const struct klane_options defaults = {
        .workers = processors() < WORKERS_MAX ? processors() : WORKERS_MAX,
        .records_max = 16384,
        .commit_interval_ms = 1000,
        .commit_records = 100000,
        .drain_ms = 2000,
        .stop_ms = 10000,
        .name = "klane",
        .map_size = 4096,
        .budget_bytes = UINT64_C(256) << 20,
    };

    given_init(options, options_size, &defaults, sizeof(defaults));
}

void klane_topic_init(struct klane_topic *topic, size_t topic_size)
{
    const struct klane_topic defaults = {.order = KLANE_ORDER_KEY, .states_idle_max = 10000};

    given_init(topic, topic_size, &defaults, sizeof(defaults));
}

void klane_route_init(struct klane_route *route, size_t route_size)
{
    const struct klane_route defaults = {
        .match = KLANE_MATCH_ALL,
        .retry_delay_ms = 1000,
        .slow_ms = 500,
        .later_overrun = KLANE_RETRY,
        .batch_max = 100,
        .batch_min = 1,
        .batch_keys = KLANE_BATCH_ONE_KEY,
    };

    given_init(route, route_size, &defaults, sizeof(defaults));
}

static klane_err_t check_bounds(const struct klane_options *options, char *errstr,
                                size_t errstr_size)
{
    const struct given_bound bounds[] = {
        {"workers", options->workers, 0, WORKERS_MAX},
        {"workers_max", options->workers_max, options->workers, WORKERS_MAX},
        {"records_max", options->records_max, RECORDS_MIN, RECORDS_MAX},
        {"lane_records_max", options->lane_records_max, 2, options->records_max},
        {"commit_interval_ms", options->commit_interval_ms, 1, 3600000},
        {"commit_records", options->commit_records, 1, UINT32_MAX},
        {"drain_ms", options->drain_ms, 0, 3600000},
        {"stop_ms", options->stop_ms, 1, 3600000},
        {"map_size", options->map_size, options->map_size == 0 ? 0 : MAP_MIN, PROGRESS_MAP_MAX},
    };
    const struct given_bound *wrong = given_outside(bounds, sizeof(bounds) / sizeof(bounds[0]));

    if (wrong != NULL)
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size,
                          "%s is %" PRId64 ", must be from %" PRId64 " to %" PRId64, wrong->name,
                          wrong->value, wrong->low, wrong->high);
    if (options->budget_bytes > BUDGET_MOST)
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size,
                          "budget_bytes is %" PRIu64 ", must be up to %" PRIu64,
                          options->budget_bytes, BUDGET_MOST);
    if (options->stack_bytes != 0 && options->stack_bytes < STACK_MIN)
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size,
                          "stack_bytes is %u, must be 0 or at least %u", options->stack_bytes,
                          STACK_MIN);
    if (options->name == NULL || options->name[0] == '\0')
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size, "name is empty");
    return KLANE_OK;
}

klane_err_t options_take(struct klane_options *options, const struct klane_options *given,
                         char *errstr, size_t errstr_size)
{
    klane_options_init(options, sizeof(*options));
    if (given != NULL && !given_copy(options, sizeof(*options), given))
        return errstr_set(
            KLANE_ERR_INVALID, errstr, errstr_size,
            "options have a struct_size of %u; call klane_options_init() first, and "
            "set no option that this version does not know",
            given->struct_size);
    options->struct_size = sizeof(*options);
    if (options->workers_max == 0 && options->workers > 0) {
        options->workers_max = 2 * options->workers + 16;
        if (options->workers_max > WORKERS_MAX)
            options->workers_max = WORKERS_MAX;
    }
    if (options->lane_records_max == 0)
        options->lane_records_max = options->records_max / 4;
    return check_bounds(options, errstr, errstr_size);
}
