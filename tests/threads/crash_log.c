/* SPDX-License-Identifier: Apache-2.0 */
/* A process that consumes an embedded log has a handler that ends it, by SIGKILL, at one record;
 * it is started again until it ends by itself. What it handles is counted in memory that it shares
 * with its parent.
 *
 * Upholds: the record is found, whatever runs beside it, within ten starts; it is treated as its
 * topic says; every other record is handled, and those of its key are not where it is blocked. */
#include "lib/check.h"
#include "lib/scratch.h"

#include <klane/klane.h>
#include <klane/sqlite.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    PARTITIONS = 2,
    KEYS = 8,
    RECORDS = 600, /* of each partition */
    DEADLY = 333,  /* offset in partition 1 */
    STARTS_MAX = 10,
    BUSY_MS = 5000,
    PATIENCE_S = 20
};

struct shared {
    _Atomic uint32_t handled[PARTITIONS][RECORDS];
    _Atomic uint32_t crashed; /* events */
    _Atomic int64_t crashed_offset;
};

static struct shared *shared;

/* Records that were never handled. */
static uint32_t missing(void)
{
    uint32_t count = 0;

    for (int32_t partition = 0; partition < PARTITIONS; partition++)
        for (int i = 0; i < RECORDS; i++)
            count += atomic_load(&shared->handled[partition][i]) == 0;
    return count;
}

static enum klane_outcome handle(const struct klane_record *record, void *context)
{
    (void)context;
    if (record->partition == 1 && record->offset == DEADLY)
        kill(getpid(), SIGKILL);
    atomic_fetch_add(&shared->handled[record->partition][record->offset], 1);
    return KLANE_DONE;
}

static void on_event(const struct klane_event *event, void *context)
{
    (void)context;
    if (event->type != KLANE_EVENT_CRASHED)
        return;
    atomic_store(&shared->crashed_offset, event->offset);
    atomic_fetch_add(&shared->crashed, 1);
}

/* Runs until all is finished; where the record blocks its key, until all is handled but so many.
 * Never returns. */
static void live(const char *path, enum klane_crashed rule, uint32_t blocked)
{
    struct klane_options options;
    struct klane_runtime *runtime;
    struct klane_source *source;
    struct klane_topic topic;
    klane_err_t err;

    klane_options_init(&options, sizeof(options));
    options.workers = 4;
    options.event = on_event;
    options.stop_when_caught_up = true;
    klane_topic_init(&topic, sizeof(topic));
    topic.name = "orders";
    topic.crashed = rule;
    if (klane_sqlite_create(path, "group", KLANE_SQLITE_STANDBY, &source, NULL, 0) != KLANE_OK ||
        klane_create(&options, source, &runtime, NULL, 0) != KLANE_OK ||
        klane_topic(runtime, &topic) != KLANE_OK ||
        klane_handle(runtime, "orders", handle, NULL) != KLANE_OK ||
        klane_start(runtime) != KLANE_OK)
        _exit(2);
    do
        err = klane_wait(runtime, 1);
    while (err == KLANE_ERR_TIMEOUT &&
           (rule != KLANE_CRASHED_BLOCK || missing() > blocked ||
            atomic_load(&shared->crashed) == 0));
    if (err == KLANE_ERR_TIMEOUT) {
        klane_stop(runtime);
        err = klane_wait(runtime, -1);
    }
    klane_destroy(runtime);
    _exit(err == KLANE_OK ? 0 : err == KLANE_ERR_FATAL ? 3 : 2);
}

static void fill(const char *path)
{
    struct klane_sqlite_record records[RECORDS];
    struct klane_sqlite *log;

    assert_int_equal(klane_sqlite_open(path, BUSY_MS, &log, NULL, 0), KLANE_OK);
    assert_int_equal(klane_sqlite_topic(log, "orders", PARTITIONS), KLANE_OK);
    for (int32_t partition = 0; partition < PARTITIONS; partition++) {
        for (int i = 0; i < RECORDS; i++)
            records[i] = (struct klane_sqlite_record){
                .topic = "orders",
                .key = &"abcdefgh"[i % KEYS],
                .key_size = 1,
                .timestamp_ms = -1,
                .partition = partition,
            };
        assert_int_equal(klane_sqlite_append_batch(log, records, RECORDS, NULL), KLANE_OK);
    }
    klane_sqlite_close(log);
}

/* Starts processes until one ends by itself; how that ended. */
static int live_on(const char *path, enum klane_crashed rule, uint32_t blocked)
{
    for (int i = 0; i < STARTS_MAX; i++) {
        pid_t child = fork();
        int status;

        assert_true(child >= 0);
        if (child == 0) {
            alarm(PATIENCE_S);
            live(path, rule, blocked);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFEXITED(status))
            return WEXITSTATUS(status);
        assert_int_equal(WTERMSIG(status), SIGKILL);
    }
    fail_msg("it was not found in %d starts", STARTS_MAX);
    return -1;
}

static int64_t committed(const char *path, int32_t partition)
{
    struct klane_sqlite *log;
    int64_t offset;

    assert_int_equal(klane_sqlite_open(path, BUSY_MS, &log, NULL, 0), KLANE_OK);
    assert_int_equal(klane_sqlite_committed(log, "group", "orders", partition, &offset),
                     KLANE_OK);
    klane_sqlite_close(log);
    return offset;
}

struct fixture {
    struct scratch scratch;
    char path[SCRATCH_PATH_SIZE];
};

static int setup(void **state)
{
    static struct fixture fixture;

    scratch_init(&fixture.scratch);
    scratch_path(&fixture.scratch, "log", fixture.path);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                  0);
    assert_true(shared != MAP_FAILED);
    fill(fixture.path);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    munmap(shared, sizeof(*shared));
    scratch_deinit(&fixture->scratch);
    return 0;
}

static void a_record_that_ends_the_process_is_skipped_where_that_is_said(void **state)
{
    const struct fixture *fixture = *state;

    assert_int_equal(live_on(fixture->path, KLANE_CRASHED_SKIP, 0), 0);

    assert_int_equal(missing(), 1);
    assert_int_equal(atomic_load(&shared->handled[1][DEADLY]), 0);
    assert_int_equal(atomic_load(&shared->crashed), 1);
    assert_int_equal(atomic_load(&shared->crashed_offset), DEADLY);
    assert_int_equal(committed(fixture->path, 0), RECORDS);
    assert_int_equal(committed(fixture->path, 1), RECORDS);
}

static void a_record_that_ends_the_process_blocks_its_key_where_that_is_said(void **state)
{
    const struct fixture *fixture = *state;
    uint32_t behind = 0;

    for (int i = DEADLY; i < RECORDS; i += KEYS)
        behind++;

    assert_int_equal(live_on(fixture->path, KLANE_CRASHED_BLOCK, behind), 0);

    assert_int_equal(missing(), behind);
    for (int i = DEADLY; i < RECORDS; i += KEYS)
        assert_int_equal(atomic_load(&shared->handled[1][i]), 0);
    assert_int_equal(atomic_load(&shared->crashed_offset), DEADLY);
    assert_int_equal(committed(fixture->path, 1), DEADLY);
    /* It is remembered by a process that begins in order, and let go when the program says so. */
    atomic_store(&shared->crashed, 0);
    assert_int_equal(live_on(fixture->path, KLANE_CRASHED_SKIP, 0), 0);
    assert_int_equal(missing(), 1);
    assert_int_equal(committed(fixture->path, 1), RECORDS);
}

static void a_record_that_ends_the_process_stops_the_runtime_where_that_is_said(void **state)
{
    const struct fixture *fixture = *state;

    assert_int_equal(live_on(fixture->path, KLANE_CRASHED_STOP, 0), 3);

    assert_int_equal(atomic_load(&shared->crashed_offset), DEADLY);
    assert_in_range(committed(fixture->path, 1), 0, DEADLY);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_record_that_ends_the_process_is_skipped_where_that_is_said),
        TEST(a_record_that_ends_the_process_blocks_its_key_where_that_is_said),
        TEST(a_record_that_ends_the_process_stops_the_runtime_where_that_is_said),
    };
#undef TEST

    return check_run(tests);
}
