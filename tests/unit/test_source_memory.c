/* SPDX-License-Identifier: Apache-2.0 */
/* The memory source: what every source must do, then what only this one does. */
#include "lib/check.h"
#include "lib/source_conformance.h"
#include "lib/source_reader.h"
#include "source/memory/chunks.h"

#include <klane/memory.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define TOPIC "t"

/* ---- the log for the conformance tests ---- */

struct log {
    struct klane_source *source; /* it is the log */
    bool handed_out;
};

static void *log_open(void)
{
    struct log *log = calloc(1, sizeof(*log));

    assert_non_null(log);
    assert_int_equal(klane_memory_create(&log->source), KLANE_OK);
    return log;
}

static void log_close(void *context)
{
    struct log *log = context;

    if (!log->handed_out)
        log->source->ops->destroy(log->source);
    free(log);
}

static void log_topic(void *context, const char *topic, int32_t partitions)
{
    struct log *log = context;

    assert_int_equal(klane_memory_topic(log->source, topic, partitions), KLANE_OK);
}

static int64_t log_append(void *context, const char *topic, int32_t partition,
                          const struct conformance_record *record)
{
    struct log *log = context;
    struct klane_memory_record copy = {
        .key = record->key,
        .value = record->value,
        .key_size = record->key_size,
        .value_size = record->value_size,
        .timestamp_ms = record->timestamp_ms,
        .headers = record->headers,
        .header_count = record->header_count,
        .offset = record->offset,
    };
    int64_t offset = -1;

    if (klane_memory_append(log->source, topic, partition, &copy, &offset) != KLANE_OK)
        return -1;
    return offset;
}

static struct klane_source *log_source(void *context)
{
    struct log *log = context;

    assert_false(log->handed_out);
    log->handed_out = true;
    return log->source;
}

static int64_t log_committed(void *context, const char *topic, int32_t partition)
{
    struct log *log = context;
    int64_t offset = -2;

    assert_int_equal(klane_memory_committed(log->source, topic, partition, &offset), KLANE_OK);
    return offset;
}

static void log_revoke(void *context, const char *topic, int32_t partition, bool lost)
{
    struct log *log = context;

    assert_int_equal(klane_memory_revoke(log->source, topic, partition, lost), KLANE_OK);
}

static void log_assign(void *context, const char *topic, int32_t partition)
{
    struct log *log = context;

    assert_int_equal(klane_memory_assign(log->source, topic, partition), KLANE_OK);
}

/* Only what it is to have can be lost. */
static void log_lose(void *context, const char *topic, int32_t partition)
{
    log_assign(context, topic, partition);
    log_revoke(context, topic, partition, true);
}

static void log_fail_commits(void *context, uint32_t count, klane_err_t err)
{
    struct log *log = context;

    klane_memory_fail_commits(log->source, count, err);
}

static const struct conformance_log_ops log_ops = {
    .name = "memory",
    .can = CONFORMANCE_CAN_HOLES | CONFORMANCE_CAN_REVOKE | CONFORMANCE_CAN_FAIL_COMMITS |
           CONFORMANCE_CAN_SWEEP,
    .open = log_open,
    .close = log_close,
    .topic = log_topic,
    .append = log_append,
    .source = log_source,
    .committed = log_committed,
    .revoke = log_revoke,
    .assign = log_assign,
    .lose = log_lose,
    .fail_commits = log_fail_commits,
};

/* ---- what only this source does ---- */

struct fixture {
    struct klane_source *source;
    struct source_topic topics[1];
    struct reader reader;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    assert_int_equal(klane_memory_create(&fixture->source), KLANE_OK);
    assert_int_equal(klane_memory_topic(fixture->source, TOPIC, 2), KLANE_OK);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    if (fixture->reader.source != NULL)
        reader_deinit(&fixture->reader);
    else
        fixture->source->ops->destroy(fixture->source);
    free(fixture);
    return 0;
}

static struct reader *read_begin(struct fixture *fixture, enum klane_begin begin,
                                 int64_t time_ms)
{
    fixture->topics[0] =
        (struct source_topic){.name = TOPIC, .begin = begin, .begin_time_ms = time_ms};
    reader_init(&fixture->reader, fixture->source, fixture->topics, 1);
    return &fixture->reader;
}

static klane_err_t append(struct klane_source *source, int32_t partition, size_t value_size,
                          int64_t timestamp_ms)
{
    static const unsigned char value[100000];
    const struct klane_memory_record record = {
        .value = value, .value_size = value_size, .timestamp_ms = timestamp_ms, .offset = -1};

    return klane_memory_append(source, TOPIC, partition, &record, NULL);
}

static void bad_topics_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct klane_source *source = fixture->source;

    assert_int_equal(klane_memory_create(NULL), KLANE_ERR_INVALID);
    assert_int_equal(klane_memory_topic(NULL, "a", 1), KLANE_ERR_INVALID);
    assert_int_equal(klane_memory_topic(source, NULL, 1), KLANE_ERR_INVALID);
    assert_int_equal(klane_memory_topic(source, "", 1), KLANE_ERR_INVALID);
    assert_int_equal(klane_memory_topic(source, "a", 0), KLANE_ERR_INVALID);
    assert_int_equal(klane_memory_topic(source, "a", -1), KLANE_ERR_INVALID);
    assert_int_equal(klane_memory_topic(source, "a", INT32_MAX), KLANE_ERR_INVALID);
    assert_int_equal(klane_memory_topic(source, TOPIC, 2), KLANE_ERR_EXISTS);
    read_begin(fixture, KLANE_BEGIN_EARLIEST, 0);
    assert_int_equal(klane_memory_topic(source, "late", 1), KLANE_ERR_STATE);
}

static void bad_appends_are_refused(void **state)
{
    static const struct klane_header_in nameless = {NULL, "v", 1};
    struct fixture *fixture = *state;
    struct klane_source *source = fixture->source;
    struct klane_memory_record record = {.offset = -1};
    int64_t offset = -7;

    assert_int_equal(klane_memory_append(NULL, TOPIC, 0, &record, &offset), KLANE_ERR_INVALID);
    assert_int_equal(klane_memory_append(source, NULL, 0, &record, &offset), KLANE_ERR_INVALID);
    assert_int_equal(klane_memory_append(source, TOPIC, 0, NULL, &offset), KLANE_ERR_INVALID);
    assert_int_equal(klane_memory_append(source, "none", 0, &record, &offset),
                     KLANE_ERR_NOT_FOUND);
    assert_int_equal(klane_memory_append(source, TOPIC, 2, &record, &offset),
                     KLANE_ERR_NOT_FOUND);
    assert_int_equal(klane_memory_append(source, TOPIC, -1, &record, &offset),
                     KLANE_ERR_NOT_FOUND);
    record.headers = &nameless;
    record.header_count = 1;
    assert_int_equal(klane_memory_append(source, TOPIC, 0, &record, &offset),
                     KLANE_ERR_INVALID);
    record.header_count = 0;
    record.value = "v";
    record.value_size = SIZE_MAX;
    assert_int_equal(klane_memory_append(source, TOPIC, 0, &record, &offset),
                     KLANE_ERR_INVALID);
    record.value_size = 1;
    record.offset = INT64_MAX;
    assert_int_equal(klane_memory_append(source, TOPIC, 0, &record, &offset),
                     KLANE_ERR_INVALID);
    record.offset = -2;
    assert_int_equal(klane_memory_append(source, TOPIC, 0, &record, &offset),
                     KLANE_ERR_INVALID);
    assert_int_equal(offset, -7);
}

static void an_offset_below_the_end_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct klane_memory_record record = {.offset = 5};
    int64_t offset = -1;

    assert_int_equal(klane_memory_append(fixture->source, TOPIC, 0, &record, NULL), KLANE_OK);
    assert_int_equal(klane_memory_append(fixture->source, TOPIC, 0, &record, NULL),
                     KLANE_ERR_INVALID);
    record.offset = -1;
    assert_int_equal(klane_memory_append(fixture->source, TOPIC, 0, &record, &offset),
                     KLANE_OK);

    assert_int_equal(offset, 6);
}

static void a_topic_that_is_not_there_is_named_at_start(void **state)
{
    static const struct source_topic topics[] = {{.name = TOPIC}, {.name = "absent"}};
    struct fixture *fixture = *state;
    struct klane_intake intake = {.ops = NULL};
    char errstr[80] = "";

    assert_int_equal(fixture->source->ops->start(fixture->source, &intake, topics, 2, errstr,
                                                 sizeof(errstr)),
                     KLANE_ERR_NOT_FOUND);
    assert_non_null(strstr(errstr, "absent"));
    assert_int_equal(fixture->source->ops->start(fixture->source, &intake, topics, 2, NULL, 0),
                     KLANE_ERR_NOT_FOUND);
}

static void the_group_is_played_only_where_it_fits(void **state)
{
    struct fixture *fixture = *state;
    struct klane_source *source = fixture->source;
    int64_t offset;

    assert_int_equal(klane_memory_topic(source, "unread", 1), KLANE_OK);
    assert_int_equal(klane_memory_revoke(source, TOPIC, 0, false), KLANE_ERR_STATE);
    read_begin(fixture, KLANE_BEGIN_EARLIEST, 0);

    assert_int_equal(klane_memory_revoke(NULL, TOPIC, 0, false), KLANE_ERR_INVALID);
    assert_int_equal(klane_memory_revoke(source, TOPIC, 2, false), KLANE_ERR_NOT_FOUND);
    assert_int_equal(klane_memory_revoke(source, "none", 0, false), KLANE_ERR_NOT_FOUND);
    assert_int_equal(klane_memory_revoke(source, "unread", 0, false), KLANE_ERR_STATE);
    assert_int_equal(klane_memory_assign(source, TOPIC, 0), KLANE_ERR_STATE);
    assert_int_equal(klane_memory_revoke(source, TOPIC, 0, true), KLANE_OK);
    assert_int_equal(klane_memory_revoke(source, TOPIC, 0, true), KLANE_ERR_STATE);
    assert_int_equal(klane_memory_assign(source, TOPIC, 0), KLANE_OK);
    assert_int_equal(klane_memory_committed(source, "none", 0, &offset), KLANE_ERR_NOT_FOUND);
    assert_int_equal(klane_memory_committed(source, TOPIC, 0, NULL), KLANE_ERR_INVALID);
}

static void a_loss_that_is_past_does_not_make_the_next_revoke_a_loss(void **state)
{
    struct fixture *fixture = *state;
    struct reader *reader = read_begin(fixture, KLANE_BEGIN_EARLIEST, 0);
    struct klane_assignment *first = reader_assigned(reader, TOPIC, 0, NULL);
    struct klane_assignment *second;

    assert_int_equal(klane_memory_revoke(fixture->source, TOPIC, 0, true), KLANE_OK);
    assert_int_equal(klane_memory_assign(fixture->source, TOPIC, 0), KLANE_OK);
    second = reader_assigned(reader, TOPIC, 0, first);
    assert_int_equal(klane_memory_revoke(fixture->source, TOPIC, 0, false), KLANE_OK);
    reader_drain(reader);

    assert_true(first->lost);
    assert_true(second->revoked);
    assert_false(second->lost);
}

static void a_commit_that_times_out_is_not_answered(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    struct reader *reader;
    int64_t offset;

    assert_int_equal(append(fixture->source, 0, 1, 0), KLANE_OK);
    reader = read_begin(fixture, KLANE_BEGIN_EARLIEST, 0);
    assignment = reader_assigned(reader, TOPIC, 0, NULL);
    reader_read_to(reader, assignment, 1);
    klane_memory_fail_commits(fixture->source, 1, KLANE_ERR_TIMEOUT);
    reader_commit_begin(reader, assignment, 1);
    reader_drain(reader);
    assert_int_equal(reader->commits_answered, 0);
    assert_int_equal(klane_memory_committed(fixture->source, TOPIC, 0, &offset), KLANE_OK);
    assert_int_equal(offset, -1);
    reader->commits_out = 0;

    assert_int_equal(reader_commit(reader, assignment, 1), KLANE_OK);

    assert_int_equal(klane_memory_committed(fixture->source, TOPIC, 0, &offset), KLANE_OK);
    assert_int_equal(offset, 1);
}

static void appends_go_on_after_the_reader_has_closed(void **state)
{
    struct fixture *fixture = *state;
    struct reader *reader = read_begin(fixture, KLANE_BEGIN_EARLIEST, 0);

    reader_close(reader);

    assert_int_equal(append(fixture->source, 0, 10, 0), KLANE_OK);
    assert_int_equal(klane_memory_revoke(fixture->source, TOPIC, 0, false), KLANE_ERR_STATE);
}

static void a_begin_is_found_across_chunks(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *first;
    struct klane_assignment *second;
    struct reader *reader;

    /* About ten records to a chunk. */
    for (int64_t i = 0; i < 100; i++)
        assert_int_equal(append(fixture->source, 0, 100000, 1000 + i), KLANE_OK);
    reader = read_begin(fixture, KLANE_BEGIN_TIME, 1055);
    first = reader_assigned(reader, TOPIC, 0, NULL);
    assert_int_equal(first->begin, 55);
    reader_read_to(reader, first, 100);
    assert_int_equal(first->record_count, 45);
    for (int64_t at = 56; at <= 100; at++) {
        assert_int_equal(reader_commit(reader, first, at), KLANE_OK);
        assert_int_equal(klane_memory_revoke(fixture->source, TOPIC, 0, false), KLANE_OK);
        reader_poll_until(reader, first->revoked);
        reader_give_up(reader, first);
        assert_int_equal(klane_memory_assign(fixture->source, TOPIC, 0), KLANE_OK);
        second = reader_assigned(reader, TOPIC, 0, first);
        reader_read_to(reader, second, 100);

        assert_int_equal(second->begin, at);
        assert_int_equal(second->record_count, 100 - at);
        first = second;
    }
}

static void committed_chunks_are_used_again(void **state)
{
    struct fixture *fixture = *state;
    struct klane_assignment *assignment;
    struct reader *reader = read_begin(fixture, KLANE_BEGIN_EARLIEST, 0);
    uint64_t before = check_marked("memory: a chunk is used again");

    assignment = reader_assigned(reader, TOPIC, 0, NULL);
    for (int64_t end = 1; end <= 500; end++) {
        assert_int_equal(append(fixture->source, 0, 100000, 0), KLANE_OK);
        reader_read_to(reader, assignment, end);
        assert_int_equal(reader_commit(reader, assignment, end), KLANE_OK);
    }

    /* About fifty chunks were filled; all but the first few had been used before. */
    assert_in_range(check_marked("memory: a chunk is used again") - before, 40, 60);
}

/* ---- appenders beside the reader ---- */

struct appender {
    struct klane_source *source;
    pthread_t thread;
    uint64_t random;
    uint64_t count;
    bool failed;
};

static void *appender_main(void *argument)
{
    struct appender *appender = argument;

    for (uint64_t i = 0; i < appender->count; i++) {
        int32_t partition = (int32_t)check_random_below(&appender->random, 2);
        size_t size = check_random_below(&appender->random, i % 64 == 0 ? 100000 : 300);

        if (append(appender->source, partition, size, 0) != KLANE_OK)
            appender->failed = true;
    }
    return NULL;
}

/* Two appends right behind each other, again and again: the second comes while the reader, who has
 * the first, goes away. Nobody appends a third that would make up for a ring that was lost. */
struct pairs {
    struct klane_source *source;
    uint64_t count;         /* pairs, or fewer: see PAIRS_MS */
    _Atomic uint64_t taken; /* records, as the reader has them */
    _Atomic bool over;      /* all were appended and taken */
    _Atomic bool stop;
    bool failed;
};

/* On a machine with more to do than processors each pair can take a scheduler's slice or two. */
#define PAIRS_MS 5000

static void *pairs_main(void *argument)
{
    struct pairs *pairs = argument;
    int64_t end_ms = reader_now_ms() + PAIRS_MS;

    for (uint64_t i = 0; i < pairs->count && reader_now_ms() < end_ms; i++) {
        if (append(pairs->source, 0, 1, 0) != KLANE_OK ||
            append(pairs->source, 0, 1, 0) != KLANE_OK)
            pairs->failed = true;
        while (atomic_load(&pairs->taken) < 2 * (i + 1)) {
            if (atomic_load(&pairs->stop))
                return NULL;
            sched_yield();
        }
    }
    atomic_store(&pairs->over, true);
    return NULL;
}

static void a_record_that_comes_while_the_reader_goes_away_is_not_overlooked(void **state)
{
    struct fixture *fixture = *state;
    struct pairs pairs = {.source = fixture->source, .count = check_rounds(20000, 500000)};
    struct reader *reader = read_begin(fixture, KLANE_BEGIN_EARLIEST, 0);
    struct klane_assignment *assignment = reader_assigned(reader, TOPIC, 0, NULL);
    int64_t due_ms = reader_now_ms() + READER_PATIENCE_MS;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, pairs_main, &pairs), 0);
    while (!atomic_load(&pairs.over) && reader_now_ms() < due_ms) {
        if (reader_poll(reader, 1000) == 0) {
            sched_yield();
            continue;
        }
        atomic_store(&pairs.taken, assignment->record_count);
        due_ms = reader_now_ms() + READER_PATIENCE_MS;
    }
    atomic_store(&pairs.stop, true);
    pthread_join(thread, NULL);

    assert_false(pairs.failed);
    assert_true(atomic_load(&pairs.over));
}

/* Records of more than half a chunk each, so that a chunk is made for every one: for a moment it
 * is empty, and the reader gives back all before it. */
#define ALONE_BYTES 600000
#define ALONE_AHEAD 4

struct alone {
    struct chunk_list list;
    struct chunk_pool pool;
    int64_t count;
    _Atomic int64_t read;
};

static void *alone_main(void *argument)
{
    static const unsigned char value[ALONE_BYTES];
    const struct klane_memory_record record = {.value = value, .value_size = sizeof(value)};
    struct alone *alone = argument;

    for (int64_t i = 0; i < alone->count; i++) {
        while (atomic_load(&alone->read) + ALONE_AHEAD < i)
            sched_yield();
        assert_int_equal(chunks_append(&alone->list, &alone->pool, &record, 0, i), KLANE_OK);
    }
    return NULL;
}

static void a_reader_that_begins_at_the_end_does_not_look_beyond_it(void **state)
{
    static struct alone alone;
    struct chunk_cursor cursor = {.offset = 0};
    struct source_record record;
    pthread_t thread;
    int64_t end = 0;

    (void)state;
    alone.count = (int64_t)check_rounds(2000, 20000);
    chunk_list_init(&alone.list);
    chunk_pool_init(&alone.pool);
    assert_int_equal(pthread_create(&thread, NULL, alone_main, &alone), 0);
    while (end < alone.count) {
        end = chunks_end(&alone.list);
        chunks_seek(&alone.list, &cursor, end);
        assert_int_equal(cursor.offset, end);
        chunks_release(&alone.list, &alone.pool, &cursor, NULL, end);
        if (chunks_end(&alone.list) > end) {
            chunks_peek(&alone.list, &cursor, &record);
            assert_int_equal(record.offset, end);
            assert_int_equal(record.value_size, ALONE_BYTES);
        }
        atomic_store(&alone.read, end);
    }
    pthread_join(thread, NULL);
    chunk_list_deinit(&alone.list);
    chunk_pool_deinit(&alone.pool);
}

/* One random deed of control. */
static void reader_step(struct reader *reader, struct klane_source *source, uint64_t *random)
{
    int32_t partition = (int32_t)check_random_below(random, 2);
    struct klane_assignment *assignment = reader_find(reader, TOPIC, partition);

    reader->refuse_records = check_random_below(random, 8) == 0;
    reader_poll(reader, check_random_below(random, 400));
    if (assignment == NULL || assignment->over)
        return;
    switch (check_random_below(random, 8)) {
    case 0:
        reader->source->ops->hold(source, assignment->own, true);
        reader->source->ops->hold(source, assignment->own, false);
        break;
    case 1:
        if (reader->commits_out == 0)
            reader_commit_begin(reader, assignment, assignment->next);
        break;
    case 2:
        if (klane_memory_revoke(source, TOPIC, partition, check_random_below(random, 2) == 0) ==
            KLANE_OK)
            (void)klane_memory_assign(source, TOPIC, partition);
        break;
    case 3:
        if (reader_is_rung(reader, 0))
            reader_poll(reader, 0);
        break;
    default:
        break;
    }
    if (assignment->revoked && !assignment->over)
        reader_give_up(reader, assignment);
}

static void appends_commits_and_takings_away_at_once_lose_nothing(void **state)
{
    struct fixture *fixture = *state;
    uint64_t random = check_seed();
    struct appender appenders[2];
    struct reader *reader = read_begin(fixture, KLANE_BEGIN_EARLIEST, 0);
    uint64_t count = check_rounds(5000, 300000);
    int64_t committed[2];
    uint64_t ends = 0;

    for (int i = 0; i < 2; i++) {
        appenders[i] = (struct appender){.source = fixture->source, .count = count};
        appenders[i].random = check_random(&random);
        assert_int_equal(
            pthread_create(&appenders[i].thread, NULL, appender_main, &appenders[i]), 0);
    }
    for (uint64_t i = 0; i < count / 4; i++)
        reader_step(reader, fixture->source, &random);
    for (int i = 0; i < 2; i++)
        pthread_join(appenders[i].thread, NULL);
    reader->refuse_records = 0;
    /* Come to rest: nothing revoked, and everything read. */
    for (int32_t i = 0; i < 2; i++) {
        struct klane_assignment *assignment = reader_assigned(reader, TOPIC, i, NULL);

        while (reader_drain(reader), assignment->revoked || assignment->over) {
            if (!assignment->over)
                reader_give_up(reader, assignment);
            assignment = reader_assigned(reader, TOPIC, i, assignment);
        }
    }

    for (int32_t i = 0; i < 2; i++) {
        struct klane_assignment *assignment = reader_find(reader, TOPIC, i);

        assert_int_equal(klane_memory_committed(fixture->source, TOPIC, i, &committed[i]),
                         KLANE_OK);
        assert_false(appenders[i].failed);
        /* Offsets rise by one here, so the number of records tells that none is missing. */
        assert_int_equal(assignment->record_count, assignment->end - assignment->begin);
        assert_true(committed[i] >= assignment->begin);
        ends += (uint64_t)assignment->end;
    }
    assert_int_equal(ends, 2 * count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bad_topics_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_appends_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(an_offset_below_the_end_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_topic_that_is_not_there_is_named_at_start, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_group_is_played_only_where_it_fits, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            a_loss_that_is_past_does_not_make_the_next_revoke_a_loss, setup, teardown),
        cmocka_unit_test_setup_teardown(a_commit_that_times_out_is_not_answered, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(appends_go_on_after_the_reader_has_closed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_begin_is_found_across_chunks, setup, teardown),
        cmocka_unit_test_setup_teardown(committed_chunks_are_used_again, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_record_that_comes_while_the_reader_goes_away_is_not_overlooked, setup, teardown),
        cmocka_unit_test(a_reader_that_begins_at_the_end_does_not_look_beyond_it),
        cmocka_unit_test_setup_teardown(appends_commits_and_takings_away_at_once_lose_nothing,
                                        setup, teardown),
    };
    int failed = source_conformance_run(&log_ops);

    return failed + check_run(tests);
}
