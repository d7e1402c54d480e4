/* SPDX-License-Identifier: Apache-2.0 */
/* The table of defaults in README says what the structures have, all of it and nothing else. */
#include "lib/check.h"

#include <klane/kafka.h>
#include <klane/sqlite.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ROWS_MAX = 64, TEXT_SIZE = 64 };

static struct row {
    char name[TEXT_SIZE];
    char value[TEXT_SIZE];
    bool is_right;
} rows[ROWS_MAX];
static size_t row_count;

/* Every row whose first cell is the name of a member. */
static void read_rows(void)
{
    FILE *file = fopen(KLANE_README, "r");
    char line[4096];

    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        struct row row = {.is_right = false};

        if (sscanf(line, "| `%63[a-z_.]` | %63[A-Za-z0-9_-] |", row.name, row.value) != 2 ||
            strncmp(row.name, "klane_", 6) != 0 || strchr(row.name, '.') == NULL)
            continue;
        assert_true(row_count < ROWS_MAX);
        rows[row_count++] = row;
    }
    fclose(file);
}

static void expect(const char *name, const char *value)
{
    for (size_t i = 0; i < row_count; i++) {
        if (strcmp(rows[i].name, name) != 0)
            continue;
        if (strcmp(rows[i].value, value) != 0)
            fail_msg("%s is %s, not %s", name, value, rows[i].value);
        rows[i].is_right = true;
        return;
    }
    fail_msg("README does not tell the default of %s", name);
}

static void expect_number(const char *name, int64_t value)
{
    char text[TEXT_SIZE];

    snprintf(text, sizeof(text), "%" PRId64, value);
    expect(name, text);
}

#define NUMBER(structure, member)                                                                 \
    expect_number("klane_" #structure "." #member, (int64_t)structure.member)
#define NAMED(structure, member, constant)                                                        \
    assert_int_equal(structure.member, constant);                                                 \
    expect("klane_" #structure "." #member, #constant)

static void check_runtime(void)
{
    struct klane_options options;
    struct klane_topic topic;
    struct klane_route route;

    klane_options_init(&options, sizeof(options));
    klane_topic_init(&topic, sizeof(topic));
    klane_route_init(&route, sizeof(route));
    expect("klane_options.workers", "processors");
    NUMBER(options, workers_max);
    NUMBER(options, records_max);
    NUMBER(options, lane_records_max);
    NUMBER(options, budget_bytes);
    NUMBER(options, commit_interval_ms);
    NUMBER(options, commit_records);
    NUMBER(options, drain_ms);
    NUMBER(options, stop_ms);
    NUMBER(options, stop_when_caught_up);
    NUMBER(options, stack_bytes);
    NUMBER(options, map_size);
    NUMBER(options, beyond_max);
    NAMED(topic, order, KLANE_ORDER_KEY);
    NAMED(topic, null_keys, KLANE_NULL_KEYS_UNORDERED);
    NAMED(topic, begin, KLANE_BEGIN_EARLIEST);
    NAMED(topic, out_of_range, KLANE_BEGIN_EARLIEST);
    NUMBER(topic, without_headers);
    NUMBER(topic, key_version);
    NAMED(topic, crashed, KLANE_CRASHED_RETRY);
    NUMBER(topic, states_idle_max);
    NAMED(route, match, KLANE_MATCH_ALL);
    NUMBER(route, retry_delay_ms);
    NUMBER(route, retry_delay_max_ms);
    NUMBER(route, attempts_max);
    NUMBER(route, age_max_ms);
    NAMED(route, exhausted, KLANE_EXHAUSTED_STOP);
    NUMBER(route, slow_ms);
    NUMBER(route, handler_max_ms);
    NAMED(route, handler_overrun, KLANE_OVERRUN_TELL);
    NUMBER(route, later_max_ms);
    NAMED(route, later_overrun, KLANE_RETRY);
    NUMBER(route, batch_max);
    NUMBER(route, batch_min);
    NUMBER(route, batch_wait_ms);
    NAMED(route, batch_keys, KLANE_BATCH_ONE_KEY);
}

static void check_logs(void)
{
    struct klane_kafka_options kafka_options;
    struct klane_sqlite_keep sqlite_keep;

    klane_kafka_options_init(&kafka_options, sizeof(kafka_options));
    klane_sqlite_keep_init(&sqlite_keep, sizeof(sqlite_keep));
    NUMBER(kafka_options, queue_records);
    NUMBER(kafka_options, queue_bytes);
    NUMBER(kafka_options, allow_unsafe);
    NUMBER(sqlite_keep, age_ms);
    NUMBER(sqlite_keep, bytes);
    NAMED(sqlite_keep, passed, KLANE_SQLITE_PASSED_ANY);
    NUMBER(sqlite_keep, compact);
    NUMBER(sqlite_keep, tombstone_ms);
}

static void the_table_says_what_is_so(void **state)
{
    (void)state;
    read_rows();
    check_runtime();
    check_logs();
    for (size_t i = 0; i < row_count; i++)
        if (!rows[i].is_right)
            fail_msg("README tells a default of %s, which there is not", rows[i].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_table_says_what_is_so)};

    return check_run(tests);
}
