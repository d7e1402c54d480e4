/* SPDX-License-Identifier: Apache-2.0 */
/* No partition waits for another whose leader is away, by librdkafka's own cluster. */
#include "kafka/mocked.h"

#include "base/clock.h"

#include <unistd.h>

/* ---- turns ------------------------------------------------------------------------------- */

/* So many fit into a partition of this cluster, which forgets the first otherwise. */
#define LARGE 90
#define LARGE_BYTES ((size_t)50 << 10)

/* Two partitions of large records, on two brokers; some of them fill the memory. And a third. */
static int setup_large(void **state)
{
    struct mocked *mocked = mocked_new(2, 3);
    struct klane_kafka_options options;

    rd_kafka_mock_coordinator_set(mocked->cluster, "group", mocked->test.group, BROKER);
    rd_kafka_mock_partition_set_leader(mocked->cluster, mocked->test.topic, 0, BROKER);
    rd_kafka_mock_partition_set_leader(mocked->cluster, mocked->test.topic, 1, OTHER_BROKER);
    rd_kafka_mock_partition_set_leader(mocked->cluster, mocked->test.topic, 2, BROKER);
    kafka_kit_fill_large(mocked->test.topic, 0, LARGE, LARGE_BYTES);
    kafka_kit_fill_large(mocked->test.topic, 1, LARGE, LARGE_BYTES);
    klane_kafka_options_init(&options, sizeof options);
    options.queue_bytes = 1 << 20;
    kafka_test_kit_with(&mocked->test, NULL, &options);
    mocked->test.kit.options.workers = 1;
    mocked->test.kit.options.workers_max = 1;
    mocked->test.kit.options.records_max = 16;
    *state = mocked;
    return 0;
}

static enum klane_outcome take_time(struct kit *kit, const struct klane_record *record)
{
    (void)record;
    kit_wait_open(kit);
    usleep(20 * 1000);
    return KLANE_DONE;
}

/* The one with much would wait for its turn to end; of a third something comes all the time. */
static void a_partition_whose_leader_is_away_stops_no_other(void **state)
{
    struct mocked *mocked = *state;
    struct kit *kit = &mocked->test.kit;
    int64_t committed = 0, end_ms = clock_now_ms() + KAFKA_KIT_MS;

    kit->act = take_time;
    kafka_test_start(&mocked->test, NULL);
    kit_wait_started(kit, 1);
    rd_kafka_mock_broker_set_down(mocked->cluster, OTHER_BROKER);
    kit_open(kit);
    while (committed < LARGE && clock_now_ms() < end_ms) {
        kafka_kit_fill(kafka_kit_producer(), mocked->test.topic, 2, 1, 1);
        usleep(30 * 1000);
        committed = kafka_kit_committed(mocked->test.group, mocked->test.topic, 0);
    }
    assert_int_equal(committed, LARGE);
    rd_kafka_mock_broker_set_up(mocked->cluster, OTHER_BROKER);
    kafka_test_wait_committed(&mocked->test, 1, LARGE);
}

/* ---- a begin that nobody can say --------------------------------------------------------- */

#define FORMING_MS 80000
#define AWAY 3 /* partitions beside the first, of which nothing is committed, and no leader */

static void kit_by_assignor(struct kafka_test *test, const char *assignor)
{
    rd_kafka_conf_t *conf = kafka_kit_consumer_conf(test->group);

    kafka_kit_set(conf, "partition.assignment.strategy", assignor);
    kafka_test_kit(test, conf);
}

static int setup_away_by(const char *assignor, void **state)
{
    struct mocked *mocked = mocked_new(1, 1 + AWAY);

    for (int32_t i = 0; i <= AWAY; i++) {
        kafka_kit_fill(kafka_kit_producer(), mocked->test.topic, i, 20, 4);
        if (i > 0)
            rd_kafka_mock_partition_set_leader(mocked->cluster, mocked->test.topic, i, -1);
    }
    mocked->assignor = assignor;
    kit_by_assignor(&mocked->test, assignor);
    *state = mocked;
    return 0;
}

static int setup_away(void **state)
{
    return setup_away_by("range", state);
}

static int setup_away_cooperative(void **state)
{
    return setup_away_by("cooperative-sticky", state);
}

/* This cluster refuses commits of a leader's epoch that is not the last one: so there is more. */
static void leaders_come_back(const struct mocked *mocked)
{
    for (int32_t i = 1; i <= AWAY; i++) {
        rd_kafka_mock_partition_set_leader(mocked->cluster, mocked->test.topic, i, BROKER);
        kafka_kit_fill(kafka_kit_producer(), mocked->test.topic, i, 20, 4);
    }
}

static void a_begin_that_only_an_absent_leader_knows_stops_no_other(void **state)
{
    struct mocked *mocked = *state;
    struct kit *kit = &mocked->test.kit;

    kafka_test_start(&mocked->test, NULL);
    kafka_test_wait_committed(&mocked->test, 0, 20);
    kafka_kit_fill(kafka_kit_producer(), mocked->test.topic, 0, 20, 4);
    kafka_test_wait_committed(&mocked->test, 0, 40);
    assert_int_equal(kit_event_count(kit, KLANE_EVENT_CAUGHT_UP), 0);

    leaders_come_back(mocked);
    kit_wait_ended(kit, 40 * (1 + AWAY));
    for (int32_t i = 1; i <= AWAY; i++)
        kafka_test_wait_committed(&mocked->test, i, 40);
    kit_wait_event(kit, KLANE_EVENT_CAUGHT_UP, 1);
    kit_assert_order(kit);
}

/* Of the four the second member gets two, so at least one of which the first knows no begin. */
static void a_partition_without_a_begin_may_go_to_another_member(void **state)
{
    struct mocked *mocked = *state;
    int64_t end_ms = clock_now_ms() + FORMING_MS;

    kafka_test_start(&mocked->test, NULL);
    kafka_test_wait_committed(&mocked->test, 0, 20);
    kafka_test_beside(&mocked->second, &mocked->test);
    kit_by_assignor(&mocked->second, mocked->assignor);
    kafka_test_start(&mocked->second, NULL);
    /* This cluster takes its time to form a group of two. */
    while (kit_event_count(&mocked->second.kit, KLANE_EVENT_SOURCE_ERROR) == 0 &&
           clock_now_ms() < end_ms)
        usleep(20 * 1000);
    kit_wait_error(&mocked->second.kit, KLANE_ERR_UNREACHABLE);
    assert_int_equal(kit_stats(&mocked->test.kit).done, 20);
    assert_int_equal(kit_stats(&mocked->second.kit).done, 0);

    leaders_come_back(mocked);
    for (int32_t i = 1; i <= AWAY; i++)
        kafka_test_wait_committed(&mocked->test, i, 40);
    assert_true(kit_stats(&mocked->second.kit).done >= 40);
    assert_int_equal(kit_stats(&mocked->test.kit).done + kit_stats(&mocked->second.kit).done,
                     20 + 40 * AWAY);
}

static void a_member_may_stop_before_all_begins_are_known(void **state)
{
    struct mocked *mocked = *state;
    struct kit *kit = &mocked->test.kit;

    kafka_test_start(&mocked->test, NULL);
    kafka_test_wait_committed(&mocked->test, 0, 20);
    klane_stop(kit->runtime);

    assert_int_equal(klane_wait(kit->runtime, 12000), KLANE_OK);
    assert_int_equal(kit_stats(kit).done, 20);
}

/* Two partitions, each of its own broker, of which one has gone without a word to the cluster. */
static int setup_silent(void **state)
{
    struct mocked *mocked = mocked_new(2, 2);

    rd_kafka_mock_coordinator_set(mocked->cluster, "group", mocked->test.group, BROKER);
    for (int32_t i = 0; i < 2; i++) {
        rd_kafka_mock_partition_set_leader(mocked->cluster, mocked->test.topic, i, BROKER + i);
        kafka_kit_fill(kafka_kit_producer(), mocked->test.topic, i, 20, 4);
    }
    rd_kafka_mock_broker_set_down(mocked->cluster, OTHER_BROKER);
    kit_by_assignor(&mocked->test, "cooperative-sticky");
    *state = mocked;
    return 0;
}

static void nor_does_one_that_only_a_silent_leader_knows(void **state)
{
    struct mocked *mocked = *state;

    kafka_test_start(&mocked->test, NULL);
    kafka_test_wait_committed(&mocked->test, 0, 20);
    assert_int_equal(kit_stats(&mocked->test.kit).done, 20);

    rd_kafka_mock_broker_set_up(mocked->cluster, OTHER_BROKER);
    kafka_test_wait_committed(&mocked->test, 1, 20);
    assert_int_equal(kit_stats(&mocked->test.kit).done, 40);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_partition_whose_leader_is_away_stops_no_other,
                                        setup_large, mocked_teardown),
        cmocka_unit_test_setup_teardown(a_begin_that_only_an_absent_leader_knows_stops_no_other,
                                        setup_away, mocked_teardown),
        cmocka_unit_test_setup_teardown(a_begin_that_only_an_absent_leader_knows_stops_no_other,
                                        setup_away_cooperative, mocked_teardown),
        cmocka_unit_test_setup_teardown(nor_does_one_that_only_a_silent_leader_knows,
                                        setup_silent, mocked_teardown),
        cmocka_unit_test_setup_teardown(a_partition_without_a_begin_may_go_to_another_member,
                                        setup_away, mocked_teardown),
        cmocka_unit_test_setup_teardown(a_partition_without_a_begin_may_go_to_another_member,
                                        setup_away_cooperative, mocked_teardown),
        cmocka_unit_test_setup_teardown(a_member_may_stop_before_all_begins_are_known, setup_away,
                                        mocked_teardown),
        cmocka_unit_test_setup_teardown(a_member_may_stop_before_all_begins_are_known,
                                        setup_away_cooperative, mocked_teardown),
    };

    return check_run(tests);
}
