/* SPDX-License-Identifier: Apache-2.0 */
/* A runtime with a batch function, for tests of batches: engine_kit.h, and what that function was
 * given. One for a program. */
#ifndef KLANE_TESTS_LIB_BATCH_KIT_H
#define KLANE_TESTS_LIB_BATCH_KIT_H

#include "lib/engine_kit.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SEEN_MAX 8192
#define LONG_MS 3600000

/* A record that a batch function was given. */
struct seen {
    size_t call;
    char key;
    int32_t partition;
    int64_t offset;
    uint32_t attempt;
};

/* A runtime whose topic has a route with batches for all keys but those that begin with "g" or
 * "x", which have handlers: "g" stands still until kit_open(). */
struct batches {
    struct kit kit;
    struct klane_route route;
    struct seen seen[SEEN_MAX];
    size_t count;
    size_t calls;
    size_t singles_before; /* the first call */
    bool stands;          /* the batch function waits for kit_open() */
    bool waits_for_fence; /* the first does, for the end of its partition */
    void (*act)(struct klane_batch *batch);
    enum klane_outcome said;
    size_t letters;
    int64_t letter;
    size_t seen_at_letter;
};

static struct batches b;

static inline void take_batch(struct klane_batch *batch, void *context)
{
    bool waits_for_fence;

    (void)context;
    pthread_mutex_lock(&b.kit.lock);
    for (size_t i = 0; i < batch->count && b.count < SEEN_MAX; i++)
        b.seen[b.count++] = (struct seen){
            .call = b.calls,
            .key = batch->records[i].key == NULL ? '-' : *(const char *)batch->records[i].key,
            .partition = batch->records[i].partition,
            .offset = batch->records[i].offset,
            .attempt = batch->records[i].attempt,
        };
    if (b.calls == 0)
        b.singles_before = b.kit.note_count;
    waits_for_fence = b.waits_for_fence && b.calls == 0;
    b.calls++;
    pthread_cond_broadcast(&b.kit.changed);
    pthread_mutex_unlock(&b.kit.lock);
    if (b.stands)
        kit_wait_open(&b.kit);
    while (waits_for_fence && !klane_cancelled(&batch->records[0]))
        nanosleep(&(const struct timespec){.tv_nsec = 1000000}, NULL);
    if (b.act != NULL)
        b.act(batch);
}

static inline enum klane_outcome take_letter(const struct klane_record *record, void *context)
{
    (void)context;
    pthread_mutex_lock(&b.kit.lock);
    b.letters++;
    b.letter = record->offset;
    b.seen_at_letter = b.count;
    pthread_mutex_unlock(&b.kit.lock);
    return KLANE_DONE;
}

static inline void init(int32_t partitions)
{
    memset(&b, 0, sizeof(b));
    kit_init(&b.kit, partitions);
    b.kit.options.workers = b.kit.options.workers_max = 1;
    b.kit.gate = "g";
    klane_route_init(&b.route, sizeof(b.route));
    b.route.topic = "t";
    b.route.batch = take_batch;
    b.route.retry_delay_ms = 0;
}

static inline void start(void)
{
    struct klane_route single;

    kit_create(&b.kit);
    assert_int_equal(klane_route(b.kit.runtime, &b.route), KLANE_OK);
    kit_route_init(&b.kit, &single);
    single.match = KLANE_MATCH_PREFIX;
    single.key_size = 1;
    single.key = "g";
    assert_int_equal(klane_route(b.kit.runtime, &single), KLANE_OK);
    single.key = "x";
    assert_int_equal(klane_route(b.kit.runtime, &single), KLANE_OK);
    assert_int_equal(klane_start(b.kit.runtime), KLANE_OK);
}

/* Instead of start(), without the start: each partition is one lane, and "x" has a handler. */
static inline void create_in_partition_order(void)
{
    struct klane_topic topic;
    struct klane_route single;

    kit_create(&b.kit);
    klane_topic_init(&topic, sizeof(topic));
    topic.name = "t";
    topic.order = KLANE_ORDER_PARTITION;
    assert_int_equal(klane_topic(b.kit.runtime, &topic), KLANE_OK);
    assert_int_equal(klane_route(b.kit.runtime, &b.route), KLANE_OK);
    kit_route_init(&b.kit, &single);
    single.match = KLANE_MATCH_KEY;
    single.key = "x";
    single.key_size = 1;
    assert_int_equal(klane_route(b.kit.runtime, &single), KLANE_OK);
}

/* start() with "g" at its gate. */
static inline void start_at_gate(void)
{
    start();
    kit_append(&b.kit, 0, "g");
    kit_wait_started(&b.kit, 1);
}

static inline void append(int32_t partition, const char *keys)
{
    for (; *keys != '\0'; keys++)
        kit_append(&b.kit, partition, (const char[]){*keys, '\0'});
}

/* All that was appended is in memory. */
static inline void wait_taken_in(uint64_t count)
{
    kit_wait_taken_in(&b.kit, count);
}

/* The same, and of three keys of partition 1 a batch waits in the ring. */
static inline void start_with_abc_in_the_ring(void)
{
    struct klane_blocker blocker = {.state = KLANE_BLOCKER_BATCH};

    start_at_gate();
    append(1, "abc");
    wait_taken_in(4);
    while (blocker.state != KLANE_BLOCKER_READY)
        klane_blocker(b.kit.runtime, "t", 1, &blocker, sizeof(blocker));
}

static inline void wait_seen(size_t count)
{
    kit_wait_counter(&b.kit, &b.count, count, "records in batches");
}

static inline void wait_done(uint64_t done)
{
    kit_wait_done(&b.kit, done);
    wait_seen(0);
}

/* Everything was handled, and that is all. */
static inline void end_done(uint64_t done)
{
    wait_done(done);
    klane_stop(b.kit.runtime);
    assert_int_equal(klane_wait(b.kit.runtime, 20000), KLANE_OK);
    assert_int_equal(kit_stats(&b.kit).done, done);
    kit_end(&b.kit);
}

static inline void assert_seen(size_t at, size_t call, int64_t offset, uint32_t attempt)
{
    assert_int_equal(b.seen[at].call, call);
    assert_int_equal(b.seen[at].offset, offset);
    assert_int_equal(b.seen[at].attempt, attempt);
}

static inline void say_of_third(struct klane_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        if (batch->records[i].offset == 3 && batch->records[i].attempt == 1)
            klane_batch_set(batch, i, b.said);
}

static inline void init_many(int32_t partitions)
{
    init(partitions);
    b.route.batch_keys = KLANE_BATCH_MANY_KEYS;
}

/* The places of this key of this partition in the first call follow each other. */
static inline void assert_run(char key, int32_t partition, size_t count)
{
    size_t at = 0;

    while (b.seen[at].key != key || b.seen[at].partition != partition)
        assert_true(++at < b.count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(b.seen[at + i].call, 0);
        assert_int_equal(b.seen[at + i].key, key);
        assert_int_equal(b.seen[at + i].partition, partition);
        assert_true(i == 0 || b.seen[at + i].offset > b.seen[at + i - 1].offset);
    }
}

#endif
