/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters in logs in memory and embedded ones: what of a record arrives there, and when. */
#include "lib/engine_kit.h"
#include "lib/scratch.h"

#include <klane/sqlite.h>

#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- what arrived -------------------------------------------------------------------------- */

static char arrived[1024]; /* of the last one, as text */

static void add(const char *text, size_t size)
{
    size_t length = strlen(arrived);

    snprintf(arrived + length, sizeof(arrived) - length, "%.*s;", (int)size, text);
}

static enum klane_outcome read_letter(struct kit *kit, const struct klane_record *record)
{
    const char *name;
    const void *value;
    size_t size;

    (void)kit;
    arrived[0] = '\0';
    add(record->key, record->key_size);
    add(record->value == NULL ? "(null)" : record->value,
        record->value == NULL ? 6 : record->value_size);
    for (size_t i = 0; klane_header_at(record, i, &name, &value, &size) == KLANE_OK; i++) {
        add(name, strlen(name));
        add(value, size);
    }
    return KLANE_DONE;
}

static enum klane_outcome fail_all(const struct klane_record *record, void *context)
{
    (void)context;
    return klane_retry(record, 1, "shop is away");
}

static void append(struct kit *kit, const char *value)
{
    static const struct klane_header_in headers[] = {
        {.name = "trace", .value = "77", .size = 2},
        {.name = "__connect.errors.topic", .value = "older", .size = 5}};
    const struct klane_memory_record record = {.key = "order",
                                               .key_size = 5,
                                               .value = value,
                                               .value_size = value == NULL ? 0 : strlen(value),
                                               .timestamp_ms = 1234,
                                               .headers = headers,
                                               .header_count = 2,
                                               .offset = 41};

    assert_int_equal(klane_memory_append(kit->source, "t", 1, &record, NULL), KLANE_OK);
}

#define ADDED                                                                                     \
    "trace;77;__connect.errors.topic;t;__connect.errors.partition;1;__connect.errors.offset;41;" \
    "__connect.errors.exception.message;shop is away;__connect.errors.attempts;2;"               \
    "__connect.errors.timestamp;1234;"

static void start_failing(struct kit *kit, struct klane_letters *letters)
{
    struct klane_route route;

    klane_route_init(&route, sizeof(route));
    route.topic = "t";
    route.handler = fail_all;
    route.attempts_max = 2;
    route.exhausted = KLANE_EXHAUSTED_DEAD_LETTER;
    route.dead_letter = klane_letters_send;
    route.dead_letter_context = letters;
    assert_int_equal(klane_route(kit->runtime, &route), KLANE_OK);
    assert_int_equal(klane_start(kit->runtime), KLANE_OK);
}

/* ---- the log in memory ------------------------------------------------------------------- */

static void end_with(struct kit *kit, struct klane_letters *letters)
{
    klane_stop(kit->runtime);
    assert_int_equal(klane_wait(kit->runtime, 20000), KLANE_OK);
    klane_letters_stop(letters);
    kit_end(kit);
    klane_letters_destroy(letters);
}

static void a_dead_letter_in_memory_has_what_the_record_had(void **state)
{
    struct klane_letters *letters;
    struct kit kit;

    (void)state;
    kit_init(&kit, 2);
    kit.act = read_letter;
    assert_int_equal(klane_memory_topic(kit.source, "dead", 1), KLANE_OK);
    assert_int_equal(klane_memory_letters(kit.source, "dead", &letters), KLANE_OK);
    append(&kit, "ten");
    kit_create(&kit);
    assert_int_equal(klane_handle(kit.runtime, "dead", kit_handle, &kit), KLANE_OK);
    start_failing(&kit, letters);

    kit_wait_committed(&kit, 1, 42);
    kit_wait_ended(&kit, 1);

    assert_string_equal(arrived, "order;ten;" ADDED);
    end_with(&kit, letters);
}

/* ---- an embedded log ----------------------------------------------------------------------- */

/* Reads the dead letters of a log, by a runtime of its own. */
static void read_all(const char *path, size_t count)
{
    struct klane_source *source;
    struct kit kit;

    assert_int_equal(
        klane_sqlite_create(path, "reader", KLANE_SQLITE_REFUSE, &source, NULL, 0), KLANE_OK);
    kit_init_on(&kit, source, "dead");
    kit.act = read_letter;
    kit_start(&kit);
    kit_wait_ended(&kit, count);
    kit_end(&kit);
}

static void a_dead_letter_in_a_file_has_what_the_record_had(void **state)
{
    struct klane_letters *letters;
    struct scratch scratch;
    char path[SCRATCH_PATH_SIZE];
    struct kit kit;

    (void)state;
    scratch_init(&scratch);
    scratch_path(&scratch, "dead", path);
    kit_init(&kit, 2);
    assert_int_equal(klane_sqlite_letters(path, 1000, "dead", &letters, NULL, 0), KLANE_OK);
    append(&kit, NULL);
    kit_create(&kit);
    start_failing(&kit, letters);

    kit_wait_committed(&kit, 1, 42);

    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_DEAD_LETTER), 1);
    end_with(&kit, letters);
    read_all(path, 1);
    assert_string_equal(arrived, "order;(null);" ADDED);
    scratch_deinit(&scratch);
}

/* Several handlers at once, by one connection; and while the file is locked they wait. */
static void dead_letters_wait_while_their_file_is_locked(void **state)
{
    enum { LETTERS = 200 };
    struct klane_letters *letters;
    struct scratch scratch;
    sqlite3 *raw;
    char path[SCRATCH_PATH_SIZE], key[16];
    struct kit kit;

    (void)state;
    scratch_init(&scratch);
    scratch_path(&scratch, "dead", path);
    kit_init(&kit, 2);
    assert_int_equal(klane_sqlite_letters(path, 1, "dead", &letters, NULL, 0), KLANE_OK);
    assert_int_equal(sqlite3_open(path, &raw), SQLITE_OK);
    assert_int_equal(sqlite3_exec(raw, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    for (int i = 0; i < LETTERS; i++) {
        snprintf(key, sizeof(key), "%d", i);
        kit_append(&kit, 0, key);
    }
    kit_create(&kit);
    start_failing(&kit, letters);
    /* Each is tried after a second, as the route has it. */
    kit_wait_lines(&kit, 1);
    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_DEAD_LETTER), 0);
    kit_wait_committed(&kit, 0, 0);
    assert_int_equal(sqlite3_exec(raw, "COMMIT", NULL, NULL, NULL), SQLITE_OK);

    kit_wait_committed(&kit, 0, LETTERS);

    end_with(&kit, letters);
    assert_int_equal(sqlite3_close(raw), SQLITE_OK);
    read_all(path, LETTERS);
    scratch_deinit(&scratch);
}

/* ---- the examples ------------------------------------------------------------------------ */

#if defined(KLANE_EXAMPLE_RETRY)
/* What the command prints; it has to end well. */
static void expect(const char *printed, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void expect(const char *printed, const char *format, ...)
{
    char command[2048], is[4096];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(command, sizeof(command), format, arguments);
    va_end(arguments);
    check_command(command, is, sizeof(is));
    assert_string_equal(is, printed);
}

/* A customer whose order is refused goes on, and the order comes back once. */
static void orders_that_are_refused_are_listed_and_sent_back(void **state)
{
    struct scratch scratch;
    char path[SCRATCH_PATH_SIZE];

    (void)state;
    scratch_init(&scratch);
    scratch_path(&scratch, "orders", path);
    expect("", "printf 'anna\\tbad book\\nanna\\tone book\\n' | '%s' '%s' orders",
           KLANE_EXAMPLE_APPEND, path);
    expect("anna: one book\n", "'%s' '%s'", KLANE_EXAMPLE_RETRY, path);
    for (int i = 0; i < 2; i++)
        expect("orders [1] offset 0, key anna: 3 attempts, the shop does not have it\n",
               "'%s' '%s' orders.dead list", KLANE_EXAMPLE_LETTERS, path);
    expect("sent back to orders: key anna\n", "'%s' '%s' orders.dead send",
           KLANE_EXAMPLE_LETTERS, path);
    expect("", "'%s' '%s' orders.dead send", KLANE_EXAMPLE_LETTERS, path);
    expect("", "'%s' '%s'", KLANE_EXAMPLE_RETRY, path);
    expect("orders [1] offset 0, key anna: 3 attempts, the shop does not have it\n"
           "orders [1] offset 2, key anna: 3 attempts, the shop does not have it\n",
           "'%s' '%s' orders.dead list", KLANE_EXAMPLE_LETTERS, path);
    scratch_deinit(&scratch);
}

/* A row that the table refuses goes alone, and those of its transaction are there. */
static void a_reading_that_is_refused_is_the_only_one_that_is_missing(void **state)
{
    struct scratch scratch;
    char log[SCRATCH_PATH_SIZE], table[SCRATCH_PATH_SIZE];

    (void)state;
    scratch_init(&scratch);
    scratch_path(&scratch, "readings", log);
    scratch_path(&scratch, "table", table);
    expect("", "printf 'north\t20\nsouth\t7\nnorth\tbroken\nnorth\t21\n' | '%s' '%s' readings",
           KLANE_EXAMPLE_APPEND, log);
    expect("3 rows", "'%s' '%s' '%s' | cut -d, -f1 | tr -d '\n'", KLANE_EXAMPLE_BATCH, log,
           table);
    expect("readings [6] offset 1, key north: 1 attempts, "
           "CHECK constraint failed: typeof(value) = 'integer'\n",
           "'%s' '%s' readings.dead list", KLANE_EXAMPLE_LETTERS, log);
    expect("0 rows, 0 transactions\n", "'%s' '%s' '%s'", KLANE_EXAMPLE_BATCH, log, table);
    scratch_deinit(&scratch);
}
#endif

static void bad_places_are_refused(void **state)
{
    struct klane_letters *letters = (struct klane_letters *)1;
    struct klane_source *source;
    char errstr[256];

    (void)state;
    assert_int_equal(klane_memory_create(&source), KLANE_OK);
    assert_int_equal(klane_memory_letters(source, "dead", &letters), KLANE_ERR_NOT_FOUND);
    assert_null(letters);
    assert_int_equal(klane_memory_letters(source, NULL, &letters), KLANE_ERR_INVALID);
    assert_int_equal(
        klane_sqlite_letters("/none/dead", 1, "dead", &letters, errstr, sizeof(errstr)),
        KLANE_ERR_IO);
    assert_non_null(strstr(errstr, "/none/dead"));
    assert_int_equal(klane_sqlite_letters("dead", 1, NULL, &letters, errstr, sizeof(errstr)),
                     KLANE_ERR_INVALID);
    assert_string_equal(errstr, "topic is NULL");
    klane_letters_stop(NULL);
    klane_letters_destroy(NULL);
    klane_source_destroy(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dead_letter_in_memory_has_what_the_record_had),
        cmocka_unit_test(a_dead_letter_in_a_file_has_what_the_record_had),
        cmocka_unit_test(dead_letters_wait_while_their_file_is_locked),
        cmocka_unit_test(bad_places_are_refused),
#if defined(KLANE_EXAMPLE_RETRY)
        cmocka_unit_test(orders_that_are_refused_are_listed_and_sent_back),
        cmocka_unit_test(a_reading_that_is_refused_is_the_only_one_that_is_missing),
#endif
    };

    return check_run(tests);
}
