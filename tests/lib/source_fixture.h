/* SPDX-License-Identifier: Apache-2.0 */
/* What each conformance test has: a log of its own, one topic in it, and a reader.
 *
 * Upholds: every record that fixture_append_many() makes says where it belongs, so that
 * fixture_assert_records() sees a record that is missing, doubled or exchanged. Main thread
 * only, but for fixture_append_try(). */
#ifndef KLANE_TESTS_LIB_SOURCE_FIXTURE_H
#define KLANE_TESTS_LIB_SOURCE_FIXTURE_H

#include "lib/check.h"
#include "lib/source_conformance.h"
#include "lib/source_reader.h"

/* The topic of the test that runs; logs that are shared between tests name it anew for each. */
extern const char *fixture_topic_name;
#define TOPIC fixture_topic_name

struct fixture {
    const struct conformance_log_ops *ops;
    void *log;
    struct source_topic topics[1]; /* as long as the source */
    struct reader reader;
};

struct conformance_test {
    struct CMUnitTest test;
    unsigned needs; /* enum conformance_can */
};

#define CONFORMANCE_TEST(function, needs)                                                      \
    {                                                                                          \
        {#function, function, fixture_setup, fixture_teardown, NULL}, needs                    \
    }

/* Of source_conformance_group.c; ends with a test without a name. */
extern const struct conformance_test conformance_group_tests[];

/* For cmocka; the initial state is the struct conformance_log_ops. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Make TOPIC. */
void fixture_topic(struct fixture *fixture, int32_t partitions);

/* Begin to read. fixture_read(): TOPIC from its first record. */
struct reader *fixture_read_topic(struct fixture *fixture, struct source_topic topic);
struct reader *fixture_read(struct fixture *fixture);

/* Make TOPIC with so many records in its one partition, and read them. */
struct klane_assignment *fixture_read_through(struct fixture *fixture, int64_t count);

/* Append a record and return its offset. */
int64_t fixture_append(struct fixture *fixture, int32_t partition,
                       const struct conformance_record *record);

/* Append count records that begin at offset begin, with timestamps 1000 + offset. */
void fixture_append_many(struct fixture *fixture, int32_t partition, int64_t begin,
                         int64_t count);

/* The same on any thread. Returns -1, or the offset where it failed. */
int64_t fixture_append_try(const struct conformance_log_ops *ops, void *log, int32_t partition,
                           int64_t begin, int64_t count);

/* The assignment was offered exactly the records of fixture_append_many() in [begin, end). */
void fixture_assert_records(const struct klane_assignment *assignment, int64_t begin,
                            int64_t end);

#endif
