/* SPDX-License-Identifier: Apache-2.0 */
/* Chaos, afterwards: what the cluster's own logs say, and the verdict. See kafka/chaos.h. */
#ifndef KLANE_TESTS_KAFKA_CHAOS_AFTER_H
#define KLANE_TESTS_KAFKA_CHAOS_AFTER_H

#include "kafka/chaos.h"

struct truth_record {
    int64_t offset;
    uint32_t number;
    uint8_t key; /* CHAOS_KEYS: none */
};

/* A committed offset in the group's log. */
struct truth_commit {
    int64_t offset;
    int64_t number; /* of the commit, in its life */
    size_t place;   /* rises in the log's order */
    uint16_t partition;
    uint8_t life;
};

struct truth {
    struct truth_record *records[CHAOS_PARTITIONS];
    size_t record_count[CHAOS_PARTITIONS];
    struct truth_commit *commits; /* in the log's order */
    size_t commit_count;
    size_t commit_capacity;
    int32_t generation; /* the group's last */
};

/* Read the topic, and what the group has written. */
void truth_read(struct truth *truth, const struct chaos_shared *shared);
void truth_free(struct truth *truth);

/* What a judge looks at, and what it says: an empty text if all is well. */
struct chaos_judged {
    struct chaos_run *run;
    struct truth truth;
    struct history history;
    struct check_failure failure;
};

/* Reads the truth, makes the history, and checks it. True: all is well. */
bool chaos_judge(struct chaos_judged *judged, struct chaos_run *run);
void chaos_judged_free(struct chaos_judged *judged);

/* What is wrong, and what happened around it. */
void chaos_print(const struct chaos_judged *judged);

/* Judges the run, prints its counts, and fails the test if anything is wrong. */
void chaos_assert_just(struct chaos_run *run);

/* The checks that the simulator has not. */
bool chaos_check(struct chaos_judged *judged);

/* Says that the case fails; false, so that it can be returned. */
bool chaos_condemn(struct chaos_judged *judged, size_t event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
