/* SPDX-License-Identifier: Apache-2.0 */
/* Progress on the embedded log, with a runtime: who comes back runs only what is unfinished, and
 * what is committed can be looked at from outside. */
#include "lib/engine_kit.h"
#include "lib/scratch.h"

#include <klane/sqlite.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORDS = 2000, QUOTA = 50, OUTPUT_SIZE = 4096 };

struct fixture {
    struct scratch scratch;
    char path[SCRATCH_PATH_SIZE];
    struct klane_sqlite *log;
    struct kit kit;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    scratch_init(&fixture->scratch);
    scratch_path(&fixture->scratch, "log", fixture->path);
    assert_int_equal(klane_sqlite_open(fixture->path, 1000, &fixture->log, NULL, 0), KLANE_OK);
    assert_int_equal(klane_sqlite_topic(fixture->log, "orders", 1), KLANE_OK);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    klane_sqlite_close(fixture->log);
    scratch_deinit(&fixture->scratch);
    free(fixture);
    return 0;
}

/* Two keys in turn. */
static void fill(struct fixture *fixture)
{
    static const char *const keys[] = {"stuck", "free"};
    struct klane_sqlite_record records[RECORDS];

    for (int i = 0; i < RECORDS; i++)
        records[i] = (struct klane_sqlite_record){.topic = "orders",
                                                  .key = keys[i % 2],
                                                  .key_size = strlen(keys[i % 2]),
                                                  .timestamp_ms = -1,
                                                  .partition = 0};
    assert_int_equal(klane_sqlite_append_batch(fixture->log, records, RECORDS, NULL), KLANE_OK);
}

static struct kit *begin(struct fixture *fixture)
{
    struct klane_source *source;

    assert_int_equal(
        klane_sqlite_create(fixture->path, "group", KLANE_SQLITE_REFUSE, &source, NULL, 0),
        KLANE_OK);
    kit_init_on(&fixture->kit, source, "orders");
    fixture->kit.options.drain_ms = 50;
    fixture->kit.options.stop_ms = 400;
    fixture->kit.options.lane_records_max = QUOTA;
    return &fixture->kit;
}

/* All of one key is finished and committed, nothing of the other. */
static void leave_a_key_unfinished(struct fixture *fixture)
{
    struct kit *kit = begin(fixture);

    fill(fixture);
    kit->gate = "stuck";
    kit_start(kit);
    kit_wait_done(kit, RECORDS / 2);
    klane_stop(kit->runtime);
    klane_wait(kit->runtime, 10000);
    kit_end(kit);
}

static void a_restart_runs_only_what_is_unfinished(void **state)
{
    struct fixture *fixture = *state;
    struct klane_event event;
    struct kit *kit;

    leave_a_key_unfinished(fixture);
    kit = begin(fixture);
    kit->options.stop_when_caught_up = true;
    kit_start(kit);
    assert_int_equal(klane_wait(kit->runtime, 20000), KLANE_OK);

    event = kit_event(kit, KLANE_EVENT_ASSIGNED);
    assert_int_equal(event.offset, 0);
    assert_int_equal(event.value, RECORDS);
    assert_int_equal(kit->note_count, RECORDS / 2);
    for (int i = 0; i < RECORDS / 2; i++)
        assert_string_equal(kit->notes[i].key, "stuck");
    kit_assert_order(kit);
    kit_end(kit);
}

static void a_stuck_key_is_parked_and_read_again(void **state)
{
    struct fixture *fixture = *state;
    struct kit *kit = begin(fixture);

    fill(fixture);
    kit->gate = "stuck";
    kit_start(kit);
    kit_wait_done(kit, RECORDS / 2);
    assert_true(kit_stats(kit).in_memory <= QUOTA);
    assert_int_equal(kit_stats(kit).parked, 1);
    kit_open(kit);
    kit_wait_done(kit, RECORDS);
    kit_assert_order(kit);
    kit_end(kit);
}

static void a_map_of_other_rules_is_refused(void **state)
{
    struct klane_topic rules;
    struct fixture *fixture = *state;
    struct kit *kit;

    leave_a_key_unfinished(fixture);
    kit = begin(fixture);
    kit->options.stop_when_caught_up = true;
    kit_create(kit);
    klane_topic_init(&rules, sizeof(rules));
    rules.name = "orders";
    rules.order = KLANE_ORDER_PARTITION;
    assert_int_equal(klane_topic(kit->runtime, &rules), KLANE_OK);
    assert_int_equal(klane_handle(kit->runtime, "orders", kit_handle, kit), KLANE_OK);
    assert_int_equal(klane_start(kit->runtime), KLANE_OK);
    assert_int_equal(klane_wait(kit->runtime, 20000), KLANE_OK);

    assert_int_equal(kit_event_count(kit, KLANE_EVENT_PROGRESS_REFUSED), 1);
    assert_int_equal(kit_event(kit, KLANE_EVENT_PROGRESS_REFUSED).offset, 0);
    assert_int_equal(kit->note_count, RECORDS);
    kit_end(kit);
}

static void what_is_committed_can_be_read_from_outside(void **state)
{
    struct fixture *fixture = *state;
    struct klane_progress_lane lane;
    struct klane_progress progress;
    char metadata[1024], small[10];
    int64_t offset;

    leave_a_key_unfinished(fixture);
    assert_int_equal(klane_sqlite_progress(fixture->log, "group", "orders", 0, &offset, metadata,
                                           sizeof(metadata)),
                     KLANE_OK);
    assert_int_equal(offset, 0);
    assert_int_equal(klane_progress_read(metadata, strlen(metadata), offset, &progress,
                                         sizeof(progress), &lane, 1),
                     KLANE_OK);
    assert_int_equal(progress.ceiling, RECORDS);
    assert_int_equal(progress.lane_count, 1);
    assert_int_equal(lane.head, 0);
    assert_int_equal(lane.fingerprint, klane_progress_fingerprint(progress.seed, "stuck", 5));
    assert_int_equal(
        klane_sqlite_progress(fixture->log, "group", "orders", 0, &offset, small, sizeof(small)),
        KLANE_ERR_TOO_LARGE);
    assert_int_equal(klane_progress_read(metadata, strlen(metadata), 1, &progress,
                                         sizeof(progress), NULL, 0),
                     KLANE_ERR_CORRUPT);
    assert_int_equal(klane_progress_read("mine", 4, 0, &progress, sizeof(progress), NULL, 0),
                     KLANE_ERR_NOT_FOUND);
}

/* What the example prints of the group. */
static void print(const struct fixture *fixture, const char *key, char output[OUTPUT_SIZE])
{
    char command[1024];

    snprintf(command, sizeof(command), "%s %s group orders %s 2>&1", KLANE_EXAMPLE_PROGRESS,
             fixture->path, key);
    check_command(command, output, OUTPUT_SIZE);
}

static void the_example_prints_it(void **state)
{
    struct fixture *fixture = *state;
    char output[OUTPUT_SIZE];

    print(fixture, "", output);
    assert_string_equal(output, "partition 0: nothing is committed\n");
    leave_a_key_unfinished(fixture);
    print(fixture, "stuck", output);
    assert_non_null(strstr(output, "partition 0: base 0, ceiling 2000\n"));
    assert_non_null(strstr(output, "reads on at 2000, and runs again the 1 listed"));
    assert_non_null(strstr(output, "   at 0\n"));
    assert_non_null(strstr(output, "key \"stuck\" is blocked at 0\n"));
    print(fixture, "free", output);
    assert_non_null(strstr(output, "key \"free\" is not blocked below the ceiling\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_restart_runs_only_what_is_unfinished, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stuck_key_is_parked_and_read_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_map_of_other_rules_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_committed_can_be_read_from_outside, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_example_prints_it, setup, teardown),
    };

    return check_run(tests);
}
