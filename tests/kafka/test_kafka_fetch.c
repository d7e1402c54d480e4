/* SPDX-License-Identifier: Apache-2.0 */
/* What librdkafka is brought to fetch, and what not. */
#include "kafka/kafka_runtime.h"

#include "source/kafka/kafka.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- large records ----------------------------------------------------------------------- */

static void topic_of_large(struct kafka_test *test, int partitions)
{
    kafka_test_topic(test, partitions,
                     (const char *const[]){"max.message.bytes", KAFKA_KIT_LARGE, NULL});
}

/* Of a queue that is smaller than one of them. */
static void kit_of_large(struct kafka_test *test)
{
    rd_kafka_conf_t *conf = kafka_kit_consumer_conf(test->group);
    struct klane_kafka_options options;

    kafka_kit_set(conf, "message.max.bytes", KAFKA_KIT_LARGE);
    kafka_kit_set(conf, "fetch.error.backoff.ms", "1000");
    klane_kafka_options_init(&options, sizeof options);
    options.queue_bytes = 1 << 20;
    kafka_test_kit_with(test, conf, &options);
}

/* Each fills the queue alone. Before librdkafka 2.2 a broker's thread that finds it full sleeps,
 * which would be a second for each. */
static void large_records_do_not_wait_for_a_full_queue(void **state)
{
    enum { RECORDS = 30, BYTES = 2 << 20 };
    struct kafka_test *test = *state;
    time_t begin;

    topic_of_large(test, 1);
    kafka_kit_fill_large(test->topic, 0, RECORDS, BYTES);
    kit_of_large(test);
    kafka_test_start(test, NULL);
    kit_wait_ended(&test->kit, 1);
    begin = time(NULL);
    kit_wait_ended(&test->kit, RECORDS);

    assert_in_range(time(NULL) - begin, 0, RECORDS / 5);
}

static enum klane_outcome take_time(struct kit *kit, const struct klane_record *record)
{
    (void)kit, (void)record;
    usleep(30 * 1000);
    return KLANE_DONE;
}

/* One record fills a response, and the queue. After that librdkafka begins with the first
 * partition again. */
static void no_partition_goes_without_because_another_has_much(void **state)
{
    enum { PARTITIONS = 3, FEW = 3, MANY = 120, BYTES = 5 << 18 };
    struct kafka_test *test = *state;
    size_t last_of_few = 0;

    topic_of_large(test, PARTITIONS);
    for (int32_t i = 0; i < PARTITIONS; i++)
        kafka_kit_fill_large(test->topic, i, i == 0 ? MANY : FEW, BYTES);
    kit_of_large(test);
    test->kit.options.workers = 1;
    test->kit.options.workers_max = 1;
    test->kit.options.records_max = 16;
    test->kit.act = take_time;
    kafka_test_start(test, NULL);
    kit_wait_ended(&test->kit, MANY + (PARTITIONS - 1) * FEW);

    for (size_t i = 0; i < test->kit.note_count; i++)
        if (test->kit.notes[i].partition != 0)
            last_of_few = i;
    assert_in_range(last_of_few, 0, MANY * 2 / 3);
}

static enum klane_outcome wait_at_gate(struct kit *kit, const struct klane_record *record)
{
    (void)record;
    kit_wait_open(kit);
    return KLANE_DONE;
}

/* librdkafka takes none back. So none is asked of it that could be refused: there would be one of
 * each partition to keep. */
static void large_records_for_which_there_is_no_room_stay_with_librdkafka(void **state)
{
    enum { PARTITIONS = 8, RECORDS = 6, BYTES = 5 << 19 };
    struct kafka_test *test = *state;
    struct klane_stats stats;

    topic_of_large(test, PARTITIONS);
    for (int32_t i = 0; i < PARTITIONS; i++)
        kafka_kit_fill_large(test->topic, i, RECORDS, BYTES);
    kit_of_large(test);
    test->kit.options.workers = 2 * PARTITIONS * RECORDS;
    test->kit.options.records_max = 1000;
    test->kit.options.budget_bytes = 56 << 20;
    test->kit.act = wait_at_gate;
    kafka_test_start(test, NULL);
    usleep(3000 * 1000);
    stats = kit_stats(&test->kit);
    assert_in_range(stats.budget_used, stats.budget_records - BYTES,
                    stats.budget_records + (uint64_t)atol(KAFKA_KIT_LARGE));

    kit_open(&test->kit);
    kit_wait_ended(&test->kit, PARTITIONS * RECORDS);
}

/* ---- held partitions --------------------------------------------------------------------- */

static _Atomic long fetched;

static int on_stats(rd_kafka_t *rk, char *json, size_t size, void *opaque)
{
    static const char name[] = "\"rxmsgs\":";
    const char *last = NULL;

    (void)rk, (void)size, (void)opaque;
    /* The last is the whole handle's. */
    for (const char *at = json; (at = strstr(at, name)) != NULL; at++)
        last = at;
    if (last != NULL)
        fetched = strtol(last + strlen(name), NULL, 10);
    return 0;
}

static enum klane_outcome wait_at_first(struct kit *kit, const struct klane_record *record)
{
    if (record->offset == 0)
        kit_wait_open(kit);
    return KLANE_DONE;
}

enum { HELD_PARTITIONS = 8, HELD_RECORDS = 1800, HELD_BYTES = 1000 };

/* Each partition holds for its first record, if that waits. key: NULL, or the topic's. */
static void start_holding(struct kafka_test *test, rd_kafka_conf_t *conf, klane_key_fn key)
{
    struct klane_kafka_options options;
    struct klane_topic rules;

    klane_kafka_options_init(&options, sizeof options);
    options.queue_bytes = 1 << 20;
    kafka_test_kit_with(test, conf, &options);
    test->kit.options.workers = 4 * HELD_PARTITIONS;
    test->kit.options.map_size = 0;
    test->kit.options.beyond_max = 300;
    test->kit.options.drain_ms = 300;
    test->kit.act = wait_at_first;
    klane_topic_init(&rules, sizeof rules);
    rules.key = key;
    kafka_test_start(test, &rules);
}

static void fill_held(const struct kafka_test *test)
{
    for (int32_t i = 0; i < HELD_PARTITIONS; i++)
        kafka_kit_fill_large(test->topic, i, HELD_RECORDS, HELD_BYTES);
}

/* While its first record waits no partition is let go: it is held once. */
static void wait_held(struct kafka_test *test)
{
    for (int i = 0; i < KAFKA_KIT_MS && kit_stats(&test->kit).holds < HELD_PARTITIONS; i++)
        usleep(1000);
    assert_int_equal(kit_stats(&test->kit).holds, HELD_PARTITIONS);
}

/* Each partition on its own may have as much in its queue as all may have together. */
static void held_partitions_are_fetched_no_further(void **state)
{
    /* Of the queue, which may be stashed, and fill again; then each time a response more. */
    enum { QUEUE = (1 << 20) / HELD_BYTES };
    enum { RESPONSE = HELD_PARTITIONS * ((64 << 10) / HELD_BYTES + 1) };
    struct kafka_test *test = *state;
    rd_kafka_conf_t *conf = kafka_kit_consumer_conf(test->group);
    size_t taken;

    kafka_test_topic(test, HELD_PARTITIONS, NULL);
    kafka_kit_set(conf, "statistics.interval.ms", "100");
    rd_kafka_conf_set_stats_cb(conf, on_stats);
    start_holding(test, conf, NULL);
    fill_held(test);
    wait_held(test);
    usleep(1500 * 1000);
    taken = kit_stats(&test->kit).records;
    assert_in_range(fetched - (long)taken, 0, 2 * (QUEUE + RESPONSE));

    kit_open(&test->kit);
    for (int32_t i = 0; i < HELD_PARTITIONS; i++)
        kafka_test_wait_committed(test, i, HELD_RECORDS);
    assert_int_equal(test->kit.note_count, HELD_PARTITIONS * HELD_RECORDS);
}

/* So many partitions are read and committed to their end. */
static void wait_ended(const struct kafka_test *test, int partitions, int64_t end)
{
    int64_t committed[HELD_PARTITIONS];
    int ended = 0;

    for (int i = 0; i < KAFKA_KIT_MS / 20 && ended < partitions; i++) {
        usleep(20000);
        kafka_kit_committed_all(test->group, test->topic, HELD_PARTITIONS, committed);
        ended = 0;
        for (int j = 0; j < HELD_PARTITIONS; j++)
            ended += committed[j] == end;
    }
    assert_int_equal(ended, partitions);
}

static struct kafka_test other; /* who has them meanwhile */

/* Control takes less than librdkafka brings, so that there is more of a partition when it is held.
 * Relaxed: polled. */
static _Atomic bool is_slow;

static bool no_key(const struct klane_record *record, void *context, const void **key,
                   size_t *key_size)
{
    (void)context, (void)key, (void)key_size;
    if (record->offset > 300 && atomic_load_explicit(&is_slow, memory_order_relaxed))
        usleep(1000);
    return false;
}

static int held_teardown(void **state)
{
    atomic_store_explicit(&is_slow, false, memory_order_relaxed);
    if (other.is_running)
        kafka_test_end(&other);
    return kafka_test_teardown(state);
}

static void start_member(struct kafka_test *test, const char *assignor)
{
    rd_kafka_conf_t *conf = kafka_kit_consumer_conf(test->group);

    kafka_kit_set_classic(conf, "partition.assignment.strategy", assignor);
    start_holding(test, conf, no_key);
}

/* Records that were there when a partition was held are stashed; what comes later makes it pause,
 * if the stash has room for the first ones. */
static uint64_t set_aside(void)
{
    return check_marked("kafka: a record is stashed") +
           check_marked("kafka: a held partition is paused");
}

/* So many are assigned again when some go to another member, and when it ends. */
static void held_partitions_come_back(struct kafka_test *test, const char *assignor, size_t again,
                                      size_t again_at_end)
{
    uint64_t before = set_aside();

    kafka_test_topic(test, HELD_PARTITIONS, NULL);
    fill_held(test);
    atomic_store_explicit(&is_slow, true, memory_order_relaxed);
    start_member(test, assignor);
    wait_held(test);
    for (int i = 0; i < KAFKA_KIT_MS && set_aside() == before; i++)
        usleep(1000);
    assert_true(set_aside() > before);
    atomic_store_explicit(&is_slow, false, memory_order_relaxed);

    kafka_test_beside(&other, test);
    start_member(&other, assignor);
    kit_open(&other.kit);
    wait_ended(test, HELD_PARTITIONS / 2, HELD_RECORDS);
    kit_wait_event(&test->kit, KLANE_EVENT_ASSIGNED, HELD_PARTITIONS + again);
    kafka_test_end(&other);
    kit_wait_event(&test->kit, KLANE_EVENT_ASSIGNED, HELD_PARTITIONS + again + again_at_end);
    kit_open(&test->kit);
    wait_ended(test, HELD_PARTITIONS, HELD_RECORDS);
    for (int32_t i = 0; i < HELD_PARTITIONS; i++)
        kafka_kit_fill(kafka_kit_producer(), test->topic, i, 20, 4);
    wait_ended(test, HELD_PARTITIONS, HELD_RECORDS + 20);
}

static void held_partitions_come_back_eagerly(void **state)
{
    held_partitions_come_back(*state, "range", HELD_PARTITIONS / 2, HELD_PARTITIONS);
}

static void held_partitions_come_back_cooperatively(void **state)
{
    held_partitions_come_back(*state, "cooperative-sticky", 0, HELD_PARTITIONS / 2);
}

/* Before 2.4 librdkafka goes back to where a pause began when one ends that is none. */
static void what_is_fetched_again_does_not_run_again(void **state)
{
    struct kafka_test *test = *state;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_t *rk;

    kafka_test_topic(test, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 20, 2);
    kafka_test_run(test);
    rk = ((struct kafka_source *)(void *)test->kit.source)->rk;
    rd_kafka_topic_partition_list_add(list, test->topic, 0);
    kafka_test_wait_committed(test, 0, 20);
    rd_kafka_pause_partitions(rk, list);
    rd_kafka_resume_partitions(rk, list);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 20, 2);
    kafka_test_wait_committed(test, 0, 40);
    rd_kafka_resume_partitions(rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 20, 2);
    kafka_test_wait_committed(test, 0, 60);

    assert_int_equal(test->kit.note_count, 60);
    kit_assert_order(&test->kit);
}

#define held_case(function)                                                                      \
    cmocka_unit_test_setup_teardown(function, kafka_test_setup, held_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        kafka_test_case(large_records_do_not_wait_for_a_full_queue),
        kafka_test_case(no_partition_goes_without_because_another_has_much),
        kafka_test_case(large_records_for_which_there_is_no_room_stay_with_librdkafka),
        kafka_test_case(held_partitions_are_fetched_no_further),
        held_case(held_partitions_come_back_eagerly),
        held_case(held_partitions_come_back_cooperatively),
        kafka_test_case(what_is_fetched_again_does_not_run_again),
    };
    int failed = check_run(tests);

    kafka_kit_deinit();
    return failed;
}
