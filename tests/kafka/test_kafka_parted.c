/* SPDX-License-Identifier: Apache-2.0 */
/* A member that runs on while the network between it and the cluster is gone: another has what it
 * had, and goes further, and what it has sent meanwhile gets there when all is well again. */
#include "kafka/by_proxy.h"
#include "kafka/kafka_library.h"
#include "kafka/kafka_runtime.h"

#include <unistd.h>

static struct kafka_test other; /* who has the member's partition meanwhile */

static int teardown(void **state)
{
    by_proxy_fail(NULL);
    if (other.is_running)
        kafka_test_end(&other);
    return kafka_test_teardown(state);
}

static void begin(struct kafka_test *test, const char *assignor, bool is_by_proxy)
{
    rd_kafka_conf_t *conf = kafka_kit_consumer_conf(test->group);

    kafka_kit_set_classic(conf, "partition.assignment.strategy", assignor);
    if (is_by_proxy)
        by_proxy_set(conf);
    kafka_test_kit(test, conf);
}

/* It never falls, while what was held up may come. */
static void assert_committed_stays(struct kafka_test *test, int64_t offset, int ms)
{
    for (int i = 0; i < ms / 20; i++) {
        assert_int_equal(kafka_kit_committed(test->group, test->topic, 0), offset);
        usleep(20000);
    }
}

static void one_that_was_parted_does_no_harm(struct kafka_test *test, const char *assignor)
{
    const struct proxy_faults silence = {
        .ways = {[PROXY_UP] = {.is_silent = true}, [PROXY_DOWN] = {.is_silent = true}}};
    struct kit *kit = &test->kit;
    size_t committed;

    kafka_test_topic(test, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 20, 4);
    begin(test, assignor, true);
    kit->gate = "k0";
    kafka_test_start(test, NULL);
    kit_wait_ended(kit, 15);
    kafka_test_wait_committed(test, 0, 0);
    usleep(500 * 1000); /* the last of its commits is answered */
    by_proxy_fail(&silence);
    committed = kit_event_count(kit, KLANE_EVENT_COMMITTED);
    kit_open(kit);
    kit_wait_ended(kit, 20);

    /* What the first has finished since then nobody knows. */
    kafka_test_beside(&other, test);
    begin(&other, assignor, false);
    kafka_test_start(&other, NULL);
    kit_wait_ended(&other.kit, 5);
    kafka_test_wait_committed(test, 0, 20);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 20, 4);
    kit_wait_ended(&other.kit, 25);
    kafka_test_wait_committed(test, 0, 40);
    /* Where the cluster gives out the partitions, it alone knows when a session is over: until it
     * can say so, the member reads on. */
    if (!kafka_library_is_consumer_protocol()) {
        kit_wait_event(kit, KLANE_EVENT_LOST, 1);
        assert_int_equal(kit_event_count(kit, KLANE_EVENT_COMMITTED), committed);
        assert_int_equal(kit->note_count, 20);
    }
    by_proxy_fail(NULL);
    assert_committed_stays(test, 40, 2000);
    kit_wait_event(kit, KLANE_EVENT_LOST, 1);

    kafka_test_end(&other);
    kit_wait_event(kit, KLANE_EVENT_ASSIGNED, 2);
    assert_int_equal(kit_event(kit, KLANE_EVENT_ASSIGNED).offset, 40);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 20, 4);
    kit_wait_ended(kit, 40);
    kafka_test_wait_committed(test, 0, 60);
    assert_int_equal(other.kit.note_count, 25);
    kit_assert_order(kit);
}

static void one_that_was_parted_does_no_harm_eagerly(void **state)
{
    if (kafka_library_is_consumer_protocol())
        skip(); /* the cluster takes away one by one */
    one_that_was_parted_does_no_harm(*state, "range");
}

static void one_that_was_parted_does_no_harm_cooperatively(void **state)
{
    one_that_was_parted_does_no_harm(*state, "cooperative-sticky");
}

#define parted_case(function)                                                                    \
    cmocka_unit_test_setup_teardown(function, kafka_test_setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        parted_case(one_that_was_parted_does_no_harm_eagerly),
        parted_case(one_that_was_parted_does_no_harm_cooperatively),
    };
    int failed;

    by_proxy_begin();
    failed = check_run(tests);
    kafka_kit_deinit();
    by_proxy_end();
    return failed;
}
