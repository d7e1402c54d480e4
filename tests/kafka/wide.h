/* SPDX-License-Identifier: Apache-2.0 */
/* Records that say which they are, and what is to become of them.
 *
 * Upholds: what handlers are given is what was appended: each record once, whole, and behind the
 * one before of its key. The first that is not is kept as text, which wide_finish() fails with. */
#ifndef KLANE_TESTS_KAFKA_WIDE_H
#define KLANE_TESTS_KAFKA_WIDE_H

#include "kafka/kafka_runtime.h"

#include "lib/resident.h"

enum { WIDE_KIB = 1 << 10, WIDE_MIB = 1 << 20 };

/* The least that a value has: it says which record it is of. */
enum { WIDE_VALUE_MIN = 24 };

struct wide {
    struct kafka_test *test;
    int partitions;
    uint32_t keys;      /* of each partition */
    uint64_t *appended; /* records of each partition */
    uint32_t *numbers;  /* the next one of each key of each partition */

    /* Fixed once the runtime runs. */
    bool is_gated;      /* handlers wait for kit_open() */
    size_t large_bytes; /* values that have so many are large */
    unsigned large_ms;  /* and take so long */

    /* Handlers', under the lock. */
    pthread_mutex_t lock;
    uint32_t *handled; /* of each key of each partition */
    uint64_t count;    /* all together */
    int large_running;
    int large_most; /* at once */
    char wrong[256];

    struct resident_watch watch;
    uint64_t resident; /* what it is compared with */
    bool is_watched;
};

/* For cmocka: the state is a struct wide, without a topic. */
int wide_setup(void **state);
int wide_teardown(void **state);

/* Make the topic, as kafka_kit_topic() does. */
void wide_topic(struct wide *wide, int partitions, uint32_t keys, const char *const *configs);

/* A producer with these settings, names and values in turn, then NULL. */
rd_kafka_t *wide_producer(const char *const *settings);

/* Append a record, whose value is of so many bytes and can be compressed to an eighth. */
void wide_append(struct wide *wide, rd_kafka_t *producer, int32_t partition, uint32_t key,
                 size_t size);

/* All that was appended is in the log. */
void wide_flush(rd_kafka_t *producer);

/* One of so many bytes is refused by the broker. */
void wide_refused(struct wide *wide, rd_kafka_t *producer, int32_t partition, size_t size);

/* The end of the producer. What it had is given back to the system. */
void wide_producer_end(rd_kafka_t *producer);

/* Make the runtime of the test's kit with wide_take() for its topic, and start it. */
void wide_start(struct wide *wide);

/* The handler; its context is the struct wide. */
enum klane_outcome wide_take(const struct klane_record *record, void *wide);

/* Wait until all was handled; it was right, and the group has committed it. The end of the
 * runtime. */
void wide_finish(struct wide *wide);

/* From now on it is looked how much memory this process has. */
void wide_watch(struct wide *wide);

/* And again: what it had at most until now is what it is compared with. */
void wide_watch_again(struct wide *wide);

/* The most that it had, beyond what it had then, is no more than this. Under a sanitizer, which
 * has memory of its own, anything is. */
void wide_watched(struct wide *wide, const char *what, uint64_t most);

#define wide_test(function) cmocka_unit_test_setup_teardown(function, wide_setup, wide_teardown)

#endif
