/* SPDX-License-Identifier: Apache-2.0 */
/* The log and the reader of one conformance test. See lib/source_fixture.h. */
#include "lib/source_fixture.h"

#include "lib/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_BYTES 32
#define TOPIC_USUAL "conformance"

const char *fixture_topic_name = TOPIC_USUAL;

int fixture_setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    fixture->ops = *state;
    fixture->log = fixture->ops->open();
    assert_non_null(fixture->log);
    fixture_topic_name = fixture->ops->topic_name == NULL
                             ? TOPIC_USUAL
                             : fixture->ops->topic_name(fixture->log);
    *state = fixture;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;

    if (fixture->reader.source != NULL)
        reader_deinit(&fixture->reader);
    fixture->ops->close(fixture->log);
    free(fixture);
    return 0;
}

struct reader *fixture_read_topic(struct fixture *fixture, struct source_topic topic)
{
    struct klane_source *source = fixture->ops->source(fixture->log);

    assert_non_null(source);
    fixture->topics[0] = topic;
    reader_init(&fixture->reader, source, fixture->topics, 1);
    return &fixture->reader;
}

struct reader *fixture_read(struct fixture *fixture)
{
    return fixture_read_topic(
        fixture, (struct source_topic){.name = TOPIC, .begin = KLANE_BEGIN_EARLIEST});
}

void fixture_topic(struct fixture *fixture, int32_t partitions)
{
    fixture->ops->topic(fixture->log, TOPIC, partitions);
}

int64_t fixture_append(struct fixture *fixture, int32_t partition,
                       const struct conformance_record *record)
{
    int64_t offset = fixture->ops->append(fixture->log, TOPIC, partition, record);

    assert_true(offset >= 0);
    return offset;
}

/* A value that only the record of this offset has. */
static void value_of(int32_t partition, int64_t offset, char value[VALUE_BYTES])
{
    memset(value, 0, VALUE_BYTES);
    snprintf(value, VALUE_BYTES, "%" PRId32 "/%" PRId64, partition, offset);
}

/* Appends so many records, from offset begin on; -1 or the offset where it failed. */
int64_t fixture_append_try(const struct conformance_log_ops *ops, void *log, int32_t partition,
                           int64_t begin, int64_t count)
{
    char value[VALUE_BYTES];
    struct conformance_record record = {
        .key = "key", .key_size = 3, .value = value, .value_size = sizeof(value), .offset = -1};

    for (int64_t offset = begin; offset < begin + count; offset++) {
        value_of(partition, offset, value);
        record.timestamp_ms = 1000 + offset;
        if (ops->append(log, TOPIC, partition, &record) != offset)
            return offset;
    }
    return -1;
}

void fixture_append_many(struct fixture *fixture, int32_t partition, int64_t begin,
                         int64_t count)
{
    assert_int_equal(fixture_append_try(fixture->ops, fixture->log, partition, begin, count),
                     -1);
}

/* The assignment has exactly the records of fixture_append_many() in [begin, end). */
void fixture_assert_records(const struct klane_assignment *assignment, int64_t begin,
                            int64_t end)
{
    char value[VALUE_BYTES];

    assert_int_equal(assignment->record_count, end - begin);
    for (int64_t offset = begin; offset < end; offset++) {
        const struct source_record *record = &assignment->records[offset - begin].record;

        value_of(assignment->partition, offset, value);
        assert_int_equal(record->offset, offset);
        assert_int_equal(record->timestamp_ms, 1000 + offset);
        assert_int_equal(record->value_size, sizeof(value));
        assert_memory_equal(record->value, value, sizeof(value));
    }
}

struct klane_assignment *fixture_read_through(struct fixture *fixture, int64_t count)
{
    struct klane_assignment *assignment;

    fixture_topic(fixture, 1);
    fixture_append_many(fixture, 0, 0, count);
    assignment = reader_assigned(fixture_read(fixture), TOPIC, 0, NULL);
    reader_read_to(&fixture->reader, assignment, count);
    return assignment;
}
