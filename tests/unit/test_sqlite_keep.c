/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of the embedded log: retention by age, by size and by what groups have passed,
 * compaction, and the space that the file gives back. */
#include "lib/check.h"
#include "lib/engine_kit.h"
#include "lib/raw_sql.h"
#include "lib/scratch.h"

#include <klane/sqlite.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BUSY_MS = 10000, ERRSTR_SIZE = 512, VALUE_BYTES = 100, DAY_MS = 86400000 };

struct fixture {
    struct kit kit;
    struct scratch scratch;
    char path[SCRATCH_PATH_SIZE];
    struct klane_sqlite *log;
    struct klane_sqlite_keep keep;
};

static int64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    scratch_init(&fixture->scratch);
    scratch_path(&fixture->scratch, "log", fixture->path);
    assert_int_equal(klane_sqlite_open(fixture->path, BUSY_MS, &fixture->log, NULL, 0), KLANE_OK);
    assert_int_equal(klane_sqlite_topic(fixture->log, "orders", 1), KLANE_OK);
    klane_sqlite_keep_init(&fixture->keep, sizeof fixture->keep);
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

/* ---- helpers ----------------------------------------------------------------------------- */

static int64_t records(const struct fixture *fixture)
{
    return raw_query(fixture->path, "SELECT count(*) FROM klane_records");
}

static int64_t first(const struct fixture *fixture)
{
    return raw_query(fixture->path, "SELECT min(id & 0xffffffff) FROM klane_records");
}

/* The bytes that the log counts are those that it has. */
static void assert_bytes(const struct fixture *fixture)
{
    assert_int_equal(
        raw_query(fixture->path, "SELECT total(bytes) FROM klane_partitions"),
        raw_query(fixture->path, "SELECT total(ifnull(length(key), 0) + ifnull(length(value), 0)"
                       " + ifnull(length(headers), 0)) FROM klane_records"));
}

/* value NULL: a tombstone. */
static void append_at(struct fixture *fixture, const char *key, const char *value, int64_t time_ms)
{
    struct klane_sqlite_record record = {.topic = "orders",
                                         .key = key,
                                         .key_size = key == NULL ? 0 : strlen(key),
                                         .value = value,
                                         .value_size = value == NULL ? 0 : strlen(value),
                                         .timestamp_ms = time_ms,
                                         .partition = 0};

    assert_int_equal(klane_sqlite_append(fixture->log, &record, NULL), KLANE_OK);
}

/* Keys in turn. */
static void fill(struct fixture *fixture, int count, int keys)
{
    struct klane_sqlite_record *batch = calloc((size_t)count, sizeof *batch);
    char(*names)[16] = calloc((size_t)keys, sizeof *names);
    static const char value[VALUE_BYTES] = "value";

    assert_non_null(batch);
    assert_non_null(names);
    for (int i = 0; i < keys; i++)
        snprintf(names[i], sizeof names[i], "key%d", i);
    for (int i = 0; i < count; i++)
        batch[i] = (struct klane_sqlite_record){.topic = "orders",
                                                .key = names[i % keys],
                                                .key_size = strlen(names[i % keys]),
                                                .value = value,
                                                .value_size = sizeof value,
                                                .timestamp_ms = -1,
                                                .partition = 0};
    assert_int_equal(klane_sqlite_append_batch(fixture->log, batch, (size_t)count, NULL),
                     KLANE_OK);
    free(names);
    free(batch);
}

static void keep(struct fixture *fixture)
{
    assert_int_equal(klane_sqlite_keep(fixture->log, "orders", &fixture->keep), KLANE_OK);
}

static void clean(struct fixture *fixture)
{
    klane_err_t err = klane_sqlite_clean(fixture->log);

    if (err != KLANE_OK)
        fail_msg("%d: %s", (int)err, klane_sqlite_errmsg(fixture->log));
    assert_bytes(fixture);
}

/* As if the group had committed so far. */
static void commit(struct fixture *fixture, const char *group, int64_t offset)
{
    char sql[256];

    snprintf(sql, sizeof sql,
             "INSERT OR IGNORE INTO klane_groups (name) VALUES ('%s');"
             "INSERT OR REPLACE INTO klane_offsets SELECT id, 1, %lld, NULL FROM klane_groups"
             " WHERE name = '%s'",
             group, (long long)offset, group);
    raw_execute(fixture->path, sql);
}

static int64_t file_bytes(const struct fixture *fixture)
{
    struct stat status;

    assert_int_equal(stat(fixture->path, &status), 0);
    return status.st_size;
}

static struct kit *begin_reading(struct fixture *fixture)
{
    struct klane_source *source;

    assert_int_equal(
        klane_sqlite_create(fixture->path, "group", KLANE_SQLITE_REFUSE, &source, NULL, 0),
        KLANE_OK);
    kit_init_on(&fixture->kit, source, "orders");
    return &fixture->kit;
}

/* ---- retention --------------------------------------------------------------------------- */

static void without_rules_everything_is_kept(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 0; i < 10; i++)
        append_at(fixture, "key", "value", 1);
    clean(fixture);
    assert_int_equal(records(fixture), 10);
    keep(fixture);
    clean(fixture);
    assert_int_equal(records(fixture), 10);
}

static void what_is_older_goes_up_to_the_first_that_is_not(void **state)
{
    struct fixture *fixture = *state;
    int64_t now_ms = wall_ms();

    for (int i = 0; i < 10; i++)
        append_at(fixture, "key", "value", now_ms - 2 * DAY_MS + i);
    append_at(fixture, "key", "value", now_ms);
    append_at(fixture, "key", "value", now_ms - 2 * DAY_MS);
    fixture->keep.age_ms = DAY_MS;
    keep(fixture);
    clean(fixture);
    assert_int_equal(records(fixture), 2);
    assert_int_equal(first(fixture), 10);
}

static void the_oldest_go_while_there_are_more_bytes(void **state)
{
    struct fixture *fixture = *state;

    fill(fixture, 5000, 1);
    fixture->keep.bytes = 1000 * (VALUE_BYTES + 4);
    keep(fixture);
    clean(fixture);
    assert_int_equal(records(fixture), 1000);
    assert_int_equal(first(fixture), 4000);
    /* And offsets go on where they were. */
    fixture->keep.bytes = 0;
    keep(fixture);
    clean(fixture);
    assert_int_equal(records(fixture), 0);
    fill(fixture, 1, 1);
    assert_int_equal(first(fixture), 5000);
}

static void what_all_groups_have_passed_goes(void **state)
{
    struct fixture *fixture = *state;

    fill(fixture, 100, 1);
    fixture->keep.passed = KLANE_SQLITE_PASSED_GO;
    keep(fixture);
    clean(fixture);
    assert_int_equal(records(fixture), 100);
    commit(fixture, "one", 70);
    commit(fixture, "two", 40);
    clean(fixture);
    assert_int_equal(first(fixture), 40);
    assert_int_equal(klane_sqlite_forget(fixture->log, "two"), KLANE_OK);
    clean(fixture);
    assert_int_equal(first(fixture), 70);
    assert_int_equal(records(fixture), 30);
}

static void what_a_group_has_not_passed_can_be_kept_from_all_rules(void **state)
{
    struct fixture *fixture = *state;

    fill(fixture, 100, 1);
    commit(fixture, "one", 30);
    fixture->keep.passed = KLANE_SQLITE_PASSED_ONLY;
    fixture->keep.bytes = 0;
    fixture->keep.compact = true;
    keep(fixture);
    clean(fixture);
    assert_int_equal(first(fixture), 30);
    assert_int_equal(records(fixture), 70);
}

static void a_reader_is_told_when_its_records_have_gone(void **state)
{
    struct fixture *fixture = *state;
    struct kit *kit;

    fill(fixture, 100, 1);
    commit(fixture, "group", 10);
    fixture->keep.bytes = 60 * (VALUE_BYTES + 4);
    keep(fixture);
    clean(fixture);

    kit = begin_reading(fixture);
    kit->options.stop_when_caught_up = true;
    kit_start(kit);
    assert_int_equal(klane_wait(kit->runtime, 20000), KLANE_OK);
    assert_int_equal(kit_event(kit, KLANE_EVENT_OUT_OF_RANGE).offset, 10);
    assert_int_equal(kit_event(kit, KLANE_EVENT_OUT_OF_RANGE).value, 40);
    assert_int_equal(kit->note_count, 60);
    kit_end(kit);
}

/* Age takes what the group has behind its hands: its one worker is stuck. */
static void a_reader_is_told_when_records_go_before_its_eyes(void **state)
{
    struct fixture *fixture = *state;
    struct kit *kit;
    struct klane_event event;

    fill(fixture, 100, 1);
    kit = begin_reading(fixture);
    kit_start(kit);
    kit_wait_done(kit, 100);
    raw_execute(fixture->path,
                "BEGIN; WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n"
                " WHERE i < 199) INSERT INTO klane_records (id, timestamp, key)"
                " SELECT (1 << 40) | i, 1, x'61' FROM n;"
                "DELETE FROM klane_records WHERE id < (1 << 40) + 150;"
                "UPDATE klane_partitions SET next = 200, first = 150; COMMIT");
    kit_wait_done(kit, 150);
    event = kit_event(kit, KLANE_EVENT_OUT_OF_RANGE);
    assert_int_equal(event.offset, 100);
    assert_int_equal(event.value, 150);
    kit_end(kit);
}

/* The first record behind the gap is so large that it has to wait for others of its size. */
static void the_gap_is_told_also_before_a_record_that_has_to_wait(void **state)
{
    enum { LARGE = 3 << 20 };
    struct fixture *fixture = *state;
    struct klane_sqlite_record record = {.topic = "orders", .timestamp_ms = -1, .partition = 0};
    struct kit *kit;

    record.value = calloc(1, LARGE);
    record.value_size = LARGE;
    assert_non_null(record.value);
    kit = begin_reading(fixture);
    kit->gate = "(null)";
    kit_start(kit);
    assert_int_equal(klane_sqlite_append(fixture->log, &record, NULL), KLANE_OK);
    kit_wait_started(kit, 1);
    raw_execute(fixture->path,
                "BEGIN; INSERT INTO klane_records (id, timestamp, key, value) VALUES"
                " ((1 << 40) | 5, 1, x'61', zeroblob(3145728)),"
                " ((1 << 40) | 6, 1, x'62', zeroblob(3145728));"
                "UPDATE klane_partitions SET next = 7, first = 5; COMMIT");
    kit_wait_event(kit, KLANE_EVENT_OUT_OF_RANGE, 1);
    kit_wait_done(kit, 2);
    kit_open(kit);
    kit_wait_done(kit, 3);
    assert_int_equal(kit_event_count(kit, KLANE_EVENT_OUT_OF_RANGE), 1);
    assert_int_equal(kit_event(kit, KLANE_EVENT_OUT_OF_RANGE).offset, 1);
    assert_int_equal(kit_event(kit, KLANE_EVENT_OUT_OF_RANGE).value, 5);
    kit_end(kit);
    free((void *)(uintptr_t)record.value);
}

/* ---- compaction -------------------------------------------------------------------------- */

static void the_newest_of_each_key_stays(void **state)
{
    struct fixture *fixture = *state;

    fixture->keep.compact = true;
    keep(fixture);
    fill(fixture, 10000, 100);
    append_at(fixture, NULL, "without a key", -1);
    clean(fixture);
    assert_int_equal(records(fixture), 101);
    assert_int_equal(first(fixture), 9900);
    /* Beside what is compacted already. */
    fill(fixture, 50, 50);
    clean(fixture);
    assert_int_equal(records(fixture), 101);
    assert_int_equal(raw_query(fixture->path, "SELECT count(DISTINCT key) FROM klane_records"),
                     100);
    assert_int_equal(
        raw_query(fixture->path, "SELECT count(*) FROM klane_records WHERE id & 0xffff > 9999"),
        51);
}

static void a_tombstone_stays_for_its_time_and_hides_what_is_older(void **state)
{
    struct fixture *fixture = *state;
    int64_t now_ms = wall_ms();

    fixture->keep.compact = true;
    keep(fixture);
    append_at(fixture, "old", "value", now_ms - 3 * DAY_MS);
    append_at(fixture, "new", "value", now_ms);
    append_at(fixture, "other", "value", now_ms);
    append_at(fixture, "old", NULL, now_ms - 2 * DAY_MS);
    append_at(fixture, "new", NULL, now_ms);
    clean(fixture);
    assert_int_equal(records(fixture), 2);
    assert_int_equal(
        raw_query(fixture->path, "SELECT count(*) FROM klane_records WHERE value IS NULL"), 1);
    /* Also when nothing came since. */
    fixture->keep.tombstone_ms = 0;
    keep(fixture);
    clean(fixture);
    assert_int_equal(records(fixture), 1);
    assert_int_equal(raw_query(fixture->path, "SELECT id & 0xffff FROM klane_records"), 2);
}

static void more_keys_than_the_table_has_room_for_take_several_passes(void **state)
{
    enum { KEYS = 150000 };
    struct fixture *fixture = *state;

    fixture->keep.compact = true;
    keep(fixture);
    fill(fixture, KEYS, KEYS);
    fill(fixture, KEYS, KEYS);
    clean(fixture);
    assert_int_equal(records(fixture), KEYS);
    assert_int_equal(first(fixture), KEYS);
    assert_int_equal(raw_query(fixture->path, "SELECT compacted FROM klane_partitions"), 2 * KEYS);
    assert_int_equal(raw_query(fixture->path, "SELECT compacted_records FROM klane_partitions"),
                     KEYS);
}

/* ---- space, and who cleans --------------------------------------------------------------- */

static void the_file_gives_space_back(void **state)
{
    struct fixture *fixture = *state;
    int64_t before;

    fill(fixture, 50000, 100);
    clean(fixture);
    before = file_bytes(fixture);
    assert_true(before > 50000 * VALUE_BYTES);
    fixture->keep.compact = true;
    keep(fixture);
    clean(fixture);
    assert_int_equal(records(fixture), 100);
    assert_true(file_bytes(fixture) < before / 50);
    assert_int_equal(raw_query(fixture->path, "PRAGMA freelist_count"), 0);
}

/* Without being asked: whoever consumes cleans. */
static void a_source_cleans_in_the_background(void **state)
{
    struct fixture *fixture = *state;
    struct kit *kit;
    int64_t before;
    int looks = 0;

    fill(fixture, 20000, 100);
    clean(fixture);
    before = file_bytes(fixture);
    fixture->keep.passed = KLANE_SQLITE_PASSED_GO;
    keep(fixture);
    kit = begin_reading(fixture);
    kit->options.commit_interval_ms = 10;
    kit_start(kit);
    while (records(fixture) > 0 && looks++ < 2000)
        usleep(10000);
    assert_int_equal(records(fixture), 0);
    while (file_bytes(fixture) > before / 2 && looks++ < 2000) {
        usleep(10000);
        raw_execute(fixture->path, "PRAGMA wal_checkpoint");
    }
    assert_true(file_bytes(fixture) <= before / 2);
    kit_wait_done(kit, 20000);
    kit_end(kit);
}

static void bad_rules_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct klane_sqlite_keep bad;

    assert_int_equal(klane_sqlite_keep(fixture->log, "nothing", &fixture->keep),
                     KLANE_ERR_NOT_FOUND);
    assert_non_null(strstr(klane_sqlite_errmsg(fixture->log), "nothing"));
    assert_int_equal(klane_sqlite_keep(fixture->log, "orders", NULL), KLANE_ERR_INVALID);
#define REFUSED(field, value)                                                                    \
    bad = fixture->keep;                                                                         \
    bad.field = value;                                                                           \
    assert_int_equal(klane_sqlite_keep(fixture->log, "orders", &bad), KLANE_ERR_INVALID);        \
    assert_non_null(strstr(klane_sqlite_errmsg(fixture->log), #field))
    REFUSED(age_ms, -2);
    REFUSED(bytes, -2);
    REFUSED(tombstone_ms, -1);
    REFUSED(passed, (enum klane_sqlite_passed)3);
#undef REFUSED
    memset(&bad, 0, sizeof bad);
    assert_int_equal(klane_sqlite_keep(fixture->log, "orders", &bad), KLANE_ERR_INVALID);
    assert_int_equal(klane_sqlite_forget(fixture->log, "nobody"), KLANE_ERR_NOT_FOUND);
    assert_int_equal(klane_sqlite_forget(fixture->log, "no body"), KLANE_ERR_INVALID);
}

static void a_group_that_is_consumed_for_is_not_forgotten(void **state)
{
    struct fixture *fixture = *state;
    struct kit *kit = begin_reading(fixture);

    fill(fixture, 10, 1);
    kit_start(kit);
    kit_wait_done(kit, 10);
    assert_int_equal(klane_sqlite_forget(fixture->log, "group"), KLANE_ERR_TAKEN);
    kit_end(kit);
    assert_int_equal(klane_sqlite_forget(fixture->log, "group"), KLANE_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(without_rules_everything_is_kept),
        TEST(what_is_older_goes_up_to_the_first_that_is_not),
        TEST(the_oldest_go_while_there_are_more_bytes),
        TEST(what_all_groups_have_passed_goes),
        TEST(what_a_group_has_not_passed_can_be_kept_from_all_rules),
        TEST(a_reader_is_told_when_its_records_have_gone),
        TEST(a_reader_is_told_when_records_go_before_its_eyes),
        TEST(the_gap_is_told_also_before_a_record_that_has_to_wait),
        TEST(the_newest_of_each_key_stays),
        TEST(a_tombstone_stays_for_its_time_and_hides_what_is_older),
        TEST(more_keys_than_the_table_has_room_for_take_several_passes),
        TEST(the_file_gives_space_back),
        TEST(a_source_cleans_in_the_background),
        TEST(bad_rules_are_refused),
        TEST(a_group_that_is_consumed_for_is_not_forgotten),
    };
#undef TEST

    return check_run(tests);
}
