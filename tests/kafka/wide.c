/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/wide.h"

#include "base/hash.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS 120000

/* At the beginning of a value. */
struct head {
    uint32_t key;
    uint32_t number; /* of its key, from 0 */
    uint64_t size;   /* of the value */
    uint64_t hash;   /* of what follows */
};

_Static_assert(sizeof(struct head) == WIDE_VALUE_MIN, "the least that a value has");

static _Atomic int refused; /* deliveries. Relaxed: polled by the one who looks */

/* ---- the test ---------------------------------------------------------------------------- */

int wide_setup(void **state)
{
    struct wide *wide = calloc(1, sizeof *wide);
    void *test;

    kafka_test_setup(&test);
    wide->test = test;
    wide->large_bytes = SIZE_MAX;
    pthread_mutex_init(&wide->lock, NULL);
    *state = wide;
    return 0;
}

int wide_teardown(void **state)
{
    struct wide *wide = *state;
    void *test = wide->test;

    if (wide->is_watched)
        resident_watch_end(&wide->watch);
    kafka_test_teardown(&test);
    pthread_mutex_destroy(&wide->lock);
    free(wide->appended);
    free(wide->numbers);
    free(wide->handled);
    free(wide);
    return 0;
}

void wide_topic(struct wide *wide, int partitions, uint32_t keys, const char *const *configs)
{
    kafka_test_topic(wide->test, partitions, configs);
    wide->partitions = partitions;
    wide->keys = keys;
    wide->appended = calloc((size_t)partitions, sizeof *wide->appended);
    wide->numbers = calloc((size_t)partitions * keys, sizeof *wide->numbers);
    wide->handled = calloc((size_t)partitions * keys, sizeof *wide->handled);
    assert_true(wide->appended != NULL && wide->numbers != NULL && wide->handled != NULL);
}

static size_t place_of(const struct wide *wide, int32_t partition, uint32_t key)
{
    return (size_t)partition * wide->keys + key;
}

/* ---- what is appended -------------------------------------------------------------------- */

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk, (void)opaque;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        atomic_fetch_add_explicit(&refused, 1, memory_order_relaxed);
}

rd_kafka_t *wide_producer(const char *const *settings)
{
    rd_kafka_conf_t *conf = kafka_kit_conf();
    rd_kafka_t *producer;
    char why[256];

    kafka_kit_keeps_all(conf);
    for (; settings[0] != NULL; settings += 2)
        kafka_kit_set(conf, settings[0], settings[1]);
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (producer == NULL)
        fail_msg("%s", why);
    return producer;
}

/* Each word eight times: there is something to do for a codec. */
static void fill(unsigned char *bytes, size_t size, uint64_t seed)
{
    uint64_t word = 0;

    for (size_t i = 0; i < size; i += sizeof word) {
        if (i % (8 * sizeof word) == 0)
            word = check_random(&seed);
        memcpy(bytes + i, &word, size - i < sizeof word ? size - i : sizeof word);
    }
}

static void *value_new(uint32_t key, uint32_t number, size_t size)
{
    struct head head = {.key = key, .number = number, .size = size};
    unsigned char *value = malloc(size);

    assert_non_null(value);
    assert_true(size >= sizeof head);
    fill(value + sizeof head, size - sizeof head, (uint64_t)key << 32 | number);
    head.hash = hash_bytes(value + sizeof head, size - sizeof head, 0);
    memcpy(value, &head, sizeof head);
    return value;
}

static void produce(const struct wide *wide, rd_kafka_t *producer, int32_t partition,
                    uint32_t key, uint32_t number, size_t size)
{
    char name[16];
    void *value = value_new(key, number, size);
    const struct kafka_kit_record record = {
        .topic = wide->test->topic,
        .partition = partition,
        .key = name,
        .key_size = (size_t)snprintf(name, sizeof name, "k%" PRIu32, key),
        .value = value,
        .value_size = size,
    };

    kafka_kit_produce(producer, &record, NULL);
    free(value);
}

void wide_append(struct wide *wide, rd_kafka_t *producer, int32_t partition, uint32_t key,
                 size_t size)
{
    produce(wide, producer, partition, key, wide->numbers[place_of(wide, partition, key)]++,
            size);
    wide->appended[partition]++;
}

void wide_flush(rd_kafka_t *producer)
{
    assert_int_equal(rd_kafka_flush(producer, PATIENCE_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(atomic_exchange_explicit(&refused, 0, memory_order_relaxed), 0);
}

void wide_refused(struct wide *wide, rd_kafka_t *producer, int32_t partition, size_t size)
{
    produce(wide, producer, partition, 0, 0, size);
    assert_int_equal(rd_kafka_flush(producer, PATIENCE_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(atomic_exchange_explicit(&refused, 0, memory_order_relaxed), 1);
}

void wide_producer_end(rd_kafka_t *producer)
{
    wide_flush(producer);
    rd_kafka_destroy(producer);
    malloc_trim(0);
}

/* ---- what is handled --------------------------------------------------------------------- */

/* What is wrong with a record by itself; NULL: nothing. */
static const char *damage_of(const struct wide *wide, const struct klane_record *record,
                             struct head *head)
{
    char key[16];

    if (record->value == NULL || record->value_size < sizeof *head)
        return "has no value";
    memcpy(head, record->value, sizeof *head);
    if (head->size != record->value_size)
        return "is cut";
    if (head->hash != hash_bytes((const unsigned char *)record->value + sizeof *head,
                                 record->value_size - sizeof *head, 0))
        return "has another value";
    snprintf(key, sizeof key, "k%" PRIu32, head->key);
    if (head->key >= wide->keys || record->key_size != strlen(key) ||
        memcmp(record->key, key, record->key_size) != 0)
        return "has another key";
    return NULL;
}

/* Under the lock. */
static void note(struct wide *wide, const struct klane_record *record, const struct head *head,
                 const char *damage)
{
    uint32_t *next;

    if (damage == NULL) {
        next = &wide->handled[place_of(wide, record->partition, head->key)];
        if (head->number == *next)
            ++*next;
        else
            damage = head->number < *next ? "comes again" : "comes before others of its key";
    }
    wide->count++;
    if (damage != NULL && wide->wrong[0] == '\0')
        snprintf(wide->wrong, sizeof wide->wrong, "record %" PRId64 " of partition %d %s",
                 record->offset, (int)record->partition, damage);
}

enum klane_outcome wide_take(const struct klane_record *record, void *context)
{
    struct wide *wide = context;
    bool is_large = record->value_size >= wide->large_bytes;
    const char *damage;
    struct head head;

    if (wide->is_gated)
        kit_wait_open(&wide->test->kit);
    pthread_mutex_lock(&wide->lock);
    wide->large_running += is_large;
    if (wide->large_running > wide->large_most)
        wide->large_most = wide->large_running;
    pthread_mutex_unlock(&wide->lock);
    if (is_large)
        usleep(wide->large_ms * 1000);
    damage = damage_of(wide, record, &head);
    pthread_mutex_lock(&wide->lock);
    wide->large_running -= is_large;
    note(wide, record, &head, damage);
    pthread_mutex_unlock(&wide->lock);
    return KLANE_DONE;
}

void wide_start(struct wide *wide)
{
    struct kit *kit = &wide->test->kit;

    kit_create(kit);
    assert_int_equal(klane_handle(kit->runtime, kit->topic, wide_take, wide), KLANE_OK);
    assert_int_equal(klane_start(kit->runtime), KLANE_OK);
    wide->test->is_running = true;
}

static void wait_for(struct wide *wide, uint64_t count)
{
    uint64_t handled = 0;
    bool is_wrong = false;

    for (int i = 0; i < PATIENCE_MS && handled < count && !is_wrong; i++) {
        usleep(1000);
        pthread_mutex_lock(&wide->lock);
        handled = wide->count;
        is_wrong = wide->wrong[0] != '\0';
        pthread_mutex_unlock(&wide->lock);
    }
    if (is_wrong)
        fail_msg("%s", wide->wrong);
    assert_int_equal(handled, count);
}

void wide_finish(struct wide *wide)
{
    struct kafka_test *test = wide->test;
    int64_t *committed = calloc((size_t)wide->partitions, sizeof *committed);
    uint64_t count = 0;

    assert_non_null(committed);
    for (int i = 0; i < wide->partitions; i++)
        count += wide->appended[i];
    wait_for(wide, count);
    assert_memory_equal(wide->handled, wide->numbers,
                        (size_t)wide->partitions * wide->keys * sizeof *wide->numbers);
    assert_int_equal(klane_commit(test->kit.runtime, PATIENCE_MS), KLANE_OK);
    kafka_kit_committed_all(test->group, test->topic, wide->partitions, committed);
    for (int i = 0; i < wide->partitions; i++)
        assert_int_equal(committed[i], wide->appended[i] == 0 ? -1 : (int64_t)wide->appended[i]);
    kafka_test_end(test);
    /* Nothing more has come. */
    assert_int_equal(wide->count, count);
    free(committed);
}

/* ---- memory ------------------------------------------------------------------------------ */

void wide_watch(struct wide *wide)
{
    malloc_trim(0);
    wide->resident = resident_bytes();
    resident_watch_begin(&wide->watch);
    wide->is_watched = true;
}

void wide_watch_again(struct wide *wide)
{
    wide->resident = resident_watch_end(&wide->watch);
    resident_watch_begin(&wide->watch);
}

void wide_watched(struct wide *wide, const char *what, uint64_t most)
{
    uint64_t resident = resident_watch_end(&wide->watch);
    uint64_t over = resident < wide->resident ? 0 : resident - wide->resident;

    wide->is_watched = false;
    print_message("%s: %.1f MiB of %.1f over %.1f\n", what, (double)over / WIDE_MIB,
                  (double)most / WIDE_MIB, (double)wide->resident / WIDE_MIB);
#ifndef __SANITIZE_ADDRESS__
    assert_in_range(over, 0, most);
#endif
}
