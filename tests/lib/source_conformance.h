/* SPDX-License-Identifier: Apache-2.0 */
/* What every source must pass: the contract of source/source.h as tests.
 *
 * A source's own test program describes how to make a log and a source that reads it, and runs
 * the lot from main():
 *
 *   static const struct conformance_log_ops log_ops = {.name = "memory", ...};
 *   return source_conformance_run(&log_ops) + cmocka_run_group_tests(...);
 *
 * The functions below assert by themselves (they run on the main thread, but for append(),
 * which one test calls on a thread of its own, where it must not assert and returns -1 on an
 * error). A log is used by one test only. The order of calls is
 *
 *   open -> topic -> append -> source -> (start, poll ... close ... destroy) -> close
 *
 * where topic() always comes before source(), while append(), committed() and the rest may come
 * at any time in between, after source() too, but not after the source was destroyed, unless
 * the log can restart. */
#ifndef KLANE_TESTS_LIB_SOURCE_CONFORMANCE_H
#define KLANE_TESTS_LIB_SOURCE_CONFORMANCE_H

#include <klane/klane.h>

/* What not every log can do. Tests that need more than the log has are left out. */
enum conformance_can {
    CONFORMANCE_CAN_RESTART = 1,     /* source() again after the last one was destroyed */
    CONFORMANCE_CAN_HOLES = 2,       /* append() at a given offset */
    CONFORMANCE_CAN_REVOKE = 4,      /* revoke(), assign() and lose() */
    CONFORMANCE_CAN_FAIL_COMMITS = 8, /* fail_commits() */
    CONFORMANCE_CAN_SWEEP = 16        /* the source reads a range again */
};

/* A record to append. key NULL: none; value NULL: a tombstone. */
struct conformance_record {
    const void *key;
    const void *value;
    size_t key_size;
    size_t value_size;
    int64_t timestamp_ms; /* 1 and higher: to some logs 0 is no time */
    const struct klane_header_in *headers;
    size_t header_count;
    int64_t offset; /* -1: the next; higher only with CONFORMANCE_CAN_HOLES */
};

struct conformance_log_ops {
    const char *name;
    unsigned can; /* enum conformance_can */

    /* A new and empty log. */
    void *(*open)(void);

    /* The name of the topic that tests read; NULL: "conformance". */
    const char *(*topic_name)(const void *log);

    /* Its end. Every source that was handed out has been destroyed by now. */
    void (*close)(void *log);

    void (*topic)(void *log, const char *topic, int32_t partitions);

    /* Returns the record's offset: the first of a partition is 0 (or as given). -1: it failed.
     */
    int64_t (*append)(void *log, const char *topic, int32_t partition,
                      const struct conformance_record *record);

    /* A source that reads the log, always for the same group; the test destroys it by
     * ops->destroy(). */
    struct klane_source *(*source)(void *log);

    /* The committed offset, -1: none. */
    int64_t (*committed)(void *log, const char *topic, int32_t partition);

    /* CONFORMANCE_CAN_REVOKE: as klane_memory_revoke() and klane_memory_assign(). */
    void (*revoke)(void *log, const char *topic, int32_t partition, bool lost);
    void (*assign)(void *log, const char *topic, int32_t partition);

    /* And: a partition that is being given up is lost before that is over. */
    void (*lose)(void *log, const char *topic, int32_t partition);

    /* CONFORMANCE_CAN_FAIL_COMMITS: the next count commits are answered with err. */
    void (*fail_commits)(void *log, uint32_t count, klane_err_t err);
};

/* Runs every test that the log can do, as a cmocka group. Returns the number of failed ones. */
int source_conformance_run(const struct conformance_log_ops *log_ops);

#endif
