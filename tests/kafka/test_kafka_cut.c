/* SPDX-License-Identifier: Apache-2.0 */
/* Brokers that were the only ones to have something. Another that had stayed behind leads instead,
 * as the topic allows: logs are cut; or none does, and others have to get on. */
#include "kafka/chaos_broker.h"
#include "kafka/kafka_library.h"
#include "kafka/kafka_runtime.h"

#include <stdlib.h>

/* Nodes; the third has nothing of the topic, and keeps the quorum. Brokers count from 1. */
#define LEADER 0
#define BEHIND 1

/* All of them are cut at once, as those of a broker are. */
#define PARTITIONS 3

/* Of each partition. */
#define KEPT 30 /* records that both have */
#define CUT 20  /* that only the leader has */
#define NEW 40  /* that come when those are gone */

static struct chaos_broker broker = {.count = CHAOS_NODES};

static void topic_of_two(struct kafka_test *test)
{
    static const int32_t replicas[] = {1 + LEADER, 1 + BEHIND};
    static const char *const configs[] = {"unclean.leader.election.enable", "true",
                                          "min.insync.replicas", "1", NULL};

    kafka_kit_topic_on(test->topic, PARTITIONS, replicas, 2, configs);
}

static void fill(const struct kafka_test *test, rd_kafka_t *producer, int count)
{
    for (int32_t i = 0; i < PARTITIONS; i++)
        kafka_kit_fill(producer, test->topic, i, count, 5);
}

/* By another producer, of whose records none is gone. */
static void fill_anew(const struct kafka_test *test, int count)
{
    rd_kafka_t *producer = kafka_kit_producer_new(NULL);

    fill(test, producer, count);
    rd_kafka_destroy(producer);
}

static void wait_committed(struct kafka_test *test, int64_t offset)
{
    for (int32_t i = 0; i < PARTITIONS; i++)
        kafka_test_wait_committed(test, i, offset);
}

static void wait_ended(struct kafka_test *test, size_t of_each)
{
    kit_wait_ended(&test->kit, PARTITIONS * of_each);
}

/* Its session outlasts that no coordinator is there. */
static void run(struct kafka_test *test)
{
    rd_kafka_conf_t *conf = kafka_kit_consumer_conf(test->group);

    kafka_kit_set_classic(conf, "session.timeout.ms", "40000");
    kafka_test_kit(test, conf);
    kafka_test_start(test, NULL);
}

static int setup(void **state)
{
    chaos_broker_up(&broker);
    kafka_kit_use(broker.bootstrap);
    return kafka_test_setup(state);
}

static int teardown(void **state)
{
    kafka_test_teardown(state);
    kafka_kit_deinit();
    chaos_broker_remove(&broker);
    return 0;
}

static void assert_begins_anew(struct kafka_test *test)
{
    struct klane_event event;

    kit_wait_event(&test->kit, KLANE_EVENT_OUT_OF_RANGE, PARTITIONS);
    event = kit_event(&test->kit, KLANE_EVENT_OUT_OF_RANGE);
    assert_int_equal(event.offset, KEPT + CUT);
    assert_int_equal(event.value, 0);
}

/* All of the log as it is now, whatever was committed of it as it used to be. */
static void a_member_that_runs_reads_a_log_that_was_cut_anew(struct kafka_test *test)
{
    assert_begins_anew(test);
    wait_ended(test, KEPT + CUT + KEPT);
    fill_anew(test, NEW);
    wait_ended(test, KEPT + CUT + KEPT + NEW);
    wait_committed(test, KEPT + NEW);
    assert_int_equal(kit_event_count(&test->kit, KLANE_EVENT_LOST), PARTITIONS);
    assert_int_equal(kit_event_count(&test->kit, KLANE_EVENT_ASSIGNED), 2 * PARTITIONS);
    assert_int_equal(kit_stats(&test->kit).done, PARTITIONS * (KEPT + CUT + KEPT + NEW));
}

/* Its next offsets are in the log again: only leaders' epochs tell of other records there. */
static void one_that_was_stopped_finds_out(struct kafka_test *stopped)
{
    run(stopped);
    if (kafka_library_has_epochs()) {
        assert_begins_anew(stopped);
        wait_ended(stopped, KEPT + NEW);
    } else {
        wait_ended(stopped, NEW - CUT);
    }
    wait_committed(stopped, KEPT + NEW);
    kafka_test_end(stopped);
}

static void a_log_that_an_unclean_leader_has_cut_is_read_anew(void **state)
{
    struct kafka_test *test = *state;
    struct kafka_test stopped = {.has_topic = false};

    topic_of_two(test);
    fill(test, kafka_kit_producer(), KEPT);
    kafka_test_beside(&stopped, test);
    kafka_kit_name(stopped.group, "stopped");
    run(test);
    wait_ended(test, KEPT);

    chaos_broker_kill(&broker, BEHIND);
    fill(test, kafka_kit_producer(), CUT);
    wait_committed(test, KEPT + CUT);
    run(&stopped);
    wait_committed(&stopped, KEPT + CUT);
    kafka_test_end(&stopped);

    chaos_broker_kill(&broker, LEADER);
    chaos_broker_start(&broker, BEHIND);
    a_member_that_runs_reads_a_log_that_was_cut_anew(test);
    one_that_was_stopped_finds_out(&stopped);
}

static void a_begin_that_only_a_dead_broker_knows_stops_no_other_partition(void **state)
{
    struct kafka_test *test = *state;

    kafka_kit_topic_spread(test->topic, PARTITIONS);
    fill(test, kafka_kit_producer(), KEPT);
    chaos_broker_kill(&broker, LEADER);
    run(test);
    for (int32_t i = 0; i < PARTITIONS; i++)
        if (i != LEADER)
            kafka_test_wait_committed(test, i, KEPT);
    assert_int_equal(kit_stats(&test->kit).done, (PARTITIONS - 1) * KEPT);

    chaos_broker_start(&broker, LEADER);
    wait_committed(test, KEPT);
    assert_int_equal(kit_stats(&test->kit).done, PARTITIONS * KEPT);
    assert_int_equal(kit_event_count(&test->kit, KLANE_EVENT_OUT_OF_RANGE), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_begin_that_only_a_dead_broker_knows_stops_no_other_partition, setup, teardown),
        cmocka_unit_test_setup_teardown(a_log_that_an_unclean_leader_has_cut_is_read_anew, setup,
                                        teardown),
    };

    return check_run(tests);
}
