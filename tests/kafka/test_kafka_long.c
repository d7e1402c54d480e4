/* SPDX-License-Identifier: Apache-2.0 */
/* On a real broker: handlers that take several times max.poll.interval.ms. The group does not
 * take this process for dead, other keys go on, nothing comes again, and all is committed.
 *
 *   KLANE_SOAK=1     they take two minutes, not 20 s; KLANE_ROUNDS=n: n seconds */
#include "kafka/kafka_runtime.h"

#include "base/clock.h"

#include <unistd.h>

enum { PARTITIONS = 3, RECORDS = 40, KEYS = 4, LONG_S = 20, LONG_S_SOAK = 120 };

static int64_t long_ms; /* fixed before handlers run */

/* k0 of each partition, once. */
static bool is_long(const struct klane_record *record)
{
    return record->offset == 0;
}

static enum klane_outcome take_long(struct kit *kit, const struct klane_record *record)
{
    int64_t end_ms = clock_now_ms() + long_ms;

    (void)kit;
    while (is_long(record) && clock_now_ms() < end_ms)
        usleep(100 * 1000);
    return KLANE_DONE;
}

static void append_some(const struct kafka_test *test)
{
    for (int32_t i = 0; i < PARTITIONS; i++)
        kafka_kit_fill(kafka_kit_producer(), test->topic, i, RECORDS, KEYS);
}

static void start(struct kafka_test *test)
{
    rd_kafka_conf_t *conf = kafka_kit_consumer_conf(test->group);

    kafka_kit_set(conf, "max.poll.interval.ms", "6000");
    kafka_test_kit(test, conf);
    test->kit.options.drain_ms = 500;
    test->kit.act = take_long;
    kafka_test_start(test, NULL);
}

/* All but the keys of the long ones. */
static void wait_for_others(struct kafka_test *test, size_t batches)
{
    kit_wait_done(&test->kit, batches * PARTITIONS * (RECORDS - RECORDS / KEYS));
}

static void handlers_that_outlast_the_poll_interval_cost_no_partition(void **state)
{
    struct kafka_test *test = *state;
    struct kit *kit = &test->kit;
    int64_t began_ms;
    size_t errors;

    long_ms = (int64_t)check_rounds(LONG_S, LONG_S_SOAK) * 1000;
    kafka_test_topic(test, PARTITIONS, NULL);
    start(test);
    append_some(test);
    began_ms = clock_now_ms();
    wait_for_others(test, 1);
    /* A broker may not know at once that it leads a new topic's partitions. */
    errors = kit_event_count(kit, KLANE_EVENT_SOURCE_ERROR);
    /* For the most part nothing comes: no record, commit or rebalance makes anybody poll. */
    while (clock_now_ms() < began_ms + long_ms * 3 / 4)
        usleep(100 * 1000);
    append_some(test);
    wait_for_others(test, 2);
    assert_true(clock_now_ms() < began_ms + long_ms);
    assert_int_equal(kit_key_starts(kit, "k0"), PARTITIONS);

    while (clock_now_ms() < began_ms + long_ms)
        usleep(100 * 1000);
    kit_wait_done(kit, 2 * PARTITIONS * RECORDS);
    for (int32_t i = 0; i < PARTITIONS; i++)
        kafka_test_wait_committed(test, i, 2 * RECORDS);
    assert_int_equal(kit->note_count, 2 * PARTITIONS * RECORDS);
    kit_assert_order(kit);
    assert_int_equal(kit_event_count(kit, KLANE_EVENT_ASSIGNED), PARTITIONS);
    assert_int_equal(kit_event_count(kit, KLANE_EVENT_REVOKED), 0);
    assert_int_equal(kit_event_count(kit, KLANE_EVENT_LOST), 0);
    if (kit_event_count(kit, KLANE_EVENT_SOURCE_ERROR) > errors)
        fail_msg("%s", kit->message);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        kafka_test_case(handlers_that_outlast_the_poll_interval_cost_no_partition),
    };
    int failed = check_run(tests);

    kafka_kit_deinit();
    return failed;
}
