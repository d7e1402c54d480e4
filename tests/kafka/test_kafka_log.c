/* SPDX-License-Identifier: Apache-2.0 */
/* What a log may look like to a group: where it begins, what is missing, what was cut. */
#include "kafka/kafka_library.h"
#include "kafka/kafka_runtime.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct klane_topic rules(void)
{
    struct klane_topic topic;

    klane_topic_init(&topic, sizeof topic);
    return topic;
}

static int64_t lowest(const struct kit *kit)
{
    int64_t offset = INT64_MAX;

    for (size_t i = 0; i < kit->note_count; i++)
        if (kit->notes[i].offset < offset)
            offset = kit->notes[i].offset;
    return offset;
}

/* ---- where a group begins ---------------------------------------------------------------- */

static void a_group_begins_at_the_earliest_record(void **state)
{
    struct kafka_test *test = *state;

    kafka_test_topic(test, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 30, 5);
    kafka_kit_records_delete(test->topic, 0, 10);
    kafka_test_run(test);
    kit_wait_ended(&test->kit, 20);

    assert_int_equal(lowest(&test->kit), 10);
    kafka_test_wait_committed(test, 0, 30);
    kit_assert_order(&test->kit);
}

static void a_group_that_begins_at_the_latest_record_commits_that_at_once(void **state)
{
    struct kafka_test *test = *state;
    struct klane_topic topic = rules();

    topic.begin = KLANE_BEGIN_LATEST;
    kafka_test_topic(test, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 30, 5);
    kafka_test_kit(test, NULL);
    kafka_test_start(test, &topic);
    kafka_test_wait_committed(test, 0, 30);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 4, 5);
    kit_wait_ended(&test->kit, 4);

    assert_int_equal(lowest(&test->kit), 30);
}

static void a_group_that_may_not_begin_stops_as_fatal(void **state)
{
    struct kafka_test *test = *state;
    struct klane_topic topic = rules();

    topic.begin = KLANE_BEGIN_ERROR;
    kafka_test_topic(test, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 3, 1);
    kafka_test_kit(test, NULL);
    kafka_test_start(test, &topic);
    kit_wait_event(&test->kit, KLANE_EVENT_FATAL, 1);

    assert_int_equal(klane_wait(test->kit.runtime, 20000), KLANE_ERR_FATAL);
    assert_int_equal(kit_event(&test->kit, KLANE_EVENT_FATAL).err, KLANE_ERR_OUT_OF_RANGE);
    assert_non_null(strstr(test->kit.message, test->topic));
    assert_int_equal(test->kit.note_count, 0);
    assert_int_equal(kafka_kit_committed(test->group, test->topic, 0), -1);
}

static void a_group_goes_on_where_it_has_committed(void **state)
{
    struct kafka_test *test = *state;
    struct klane_topic topic = rules();

    topic.begin = KLANE_BEGIN_ERROR; /* which does not matter then */
    kafka_test_topic(test, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 30, 5);
    kafka_kit_commit(test->group, test->topic, 0, 12);
    kafka_test_kit(test, NULL);
    kafka_test_start(test, &topic);
    kit_wait_ended(&test->kit, 18);

    assert_int_equal(lowest(&test->kit), 12);
}

/* ---- headers ----------------------------------------------------------------------------- */

static enum klane_outcome count_headers(struct kit *kit, const struct klane_record *record)
{
    (void)kit;
    return record->header_count == 2 ? KLANE_DONE : KLANE_SKIP;
}

static enum klane_outcome count_no_headers(struct kit *kit, const struct klane_record *record)
{
    (void)kit;
    return record->header_count == 0 ? KLANE_DONE : KLANE_SKIP;
}

static void read_headers(struct kafka_test *test, bool without_headers)
{
    static const struct klane_header_in headers[] = {{"trace", "1", 1}, {"none", NULL, 0}};
    struct kafka_kit_record record = {
        .topic = test->topic, .key = "k", .key_size = 1, .headers = headers, .header_count = 2};
    struct klane_topic topic = rules();

    topic.without_headers = without_headers;
    kafka_test_topic(test, 1, NULL);
    assert_int_equal(kafka_kit_append(&record), 0);
    kafka_test_kit(test, NULL);
    test->kit.act = without_headers ? count_no_headers : count_headers;
    kafka_test_start(test, &topic);
    kafka_test_wait_committed(test, 0, 1);
    assert_int_equal(kit_stats(&test->kit).done, 1);
}

static void headers_come_with_their_records(void **state)
{
    read_headers(*state, false);
}

static void headers_that_nobody_wants_do_not_come(void **state)
{
    read_headers(*state, true);
}

/* ---- out of range ------------------------------------------------------------------------ */

/* A group that has committed offset 5, of a log that has 10 to 30. */
static void commit_what_is_gone(struct kafka_test *test)
{
    kafka_test_topic(test, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 30, 5);
    kafka_kit_commit(test->group, test->topic, 0, 5);
    kafka_kit_records_delete(test->topic, 0, 10);
}

static void a_committed_offset_that_is_gone_goes_on_at_the_earliest_record(void **state)
{
    struct kafka_test *test = *state;
    struct klane_event event;

    commit_what_is_gone(test);
    kafka_test_run(test);
    kit_wait_ended(&test->kit, 20);

    assert_int_equal(lowest(&test->kit), 10);
    event = kit_event(&test->kit, KLANE_EVENT_OUT_OF_RANGE);
    assert_int_equal(event.offset, 5);
    assert_int_equal(event.value, 10);
    assert_int_equal(kit_event_count(&test->kit, KLANE_EVENT_LOST), 0);
    kafka_test_wait_committed(test, 0, 30);
}

static void a_committed_offset_that_is_gone_goes_on_at_the_end_if_so_ruled(void **state)
{
    struct kafka_test *test = *state;
    struct klane_topic topic = rules();

    topic.out_of_range = KLANE_BEGIN_LATEST;
    commit_what_is_gone(test);
    kafka_test_kit(test, NULL);
    kafka_test_start(test, &topic);
    kit_wait_event(&test->kit, KLANE_EVENT_OUT_OF_RANGE, 1);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 2, 1);
    kit_wait_ended(&test->kit, 2);

    assert_int_equal(lowest(&test->kit), 30);
    kafka_test_wait_committed(test, 0, 32);
}

static void a_committed_offset_that_is_gone_is_fatal_if_so_ruled(void **state)
{
    struct kafka_test *test = *state;
    struct klane_topic topic = rules();

    topic.out_of_range = KLANE_BEGIN_ERROR;
    commit_what_is_gone(test);
    kafka_test_kit(test, NULL);
    kafka_test_start(test, &topic);

    assert_int_equal(klane_wait(test->kit.runtime, 20000), KLANE_ERR_FATAL);
    assert_int_equal(kit_event(&test->kit, KLANE_EVENT_FATAL).err, KLANE_ERR_OUT_OF_RANGE);
    assert_int_equal(test->kit.note_count, 0);
    assert_int_equal(kafka_kit_committed(test->group, test->topic, 0), 5);
}

/* As after a topic was made anew, or a leader without the latest records was elected. */
static void a_committed_offset_beyond_the_end_begins_anew(void **state)
{
    struct kafka_test *test = *state;
    struct klane_event event;

    kafka_test_topic(test, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 30, 5);
    kafka_kit_commit(test->group, test->topic, 0, 100);
    kafka_test_run(test);
    kit_wait_ended(&test->kit, 30);

    event = kit_event(&test->kit, KLANE_EVENT_OUT_OF_RANGE);
    assert_int_equal(event.offset, 100);
    assert_int_equal(event.value, 0);
    assert_int_equal(kit_event_count(&test->kit, KLANE_EVENT_LOST), 1);
    assert_int_equal(kit_event_count(&test->kit, KLANE_EVENT_ASSIGNED), 2);
    kafka_test_wait_committed(test, 0, 30);
}

/* The offset is in the log, but no leader of this one had such an epoch: it was cut below it. */
static void a_log_that_was_cut_and_has_grown_again_begins_anew(void **state)
{
    struct kafka_test *test = *state;
    struct klane_event event;

    if (!kafka_library_has_epochs())
        skip();
    kafka_test_topic(test, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 30, 5);
    kafka_kit_commit_epoch(test->group, test->topic, 0, 10, 7);
    kafka_test_run(test);
    kit_wait_ended(&test->kit, 30);

    event = kit_event(&test->kit, KLANE_EVENT_OUT_OF_RANGE);
    assert_int_equal(event.offset, 10);
    assert_int_equal(event.value, 0);
    assert_int_equal(kit_event_count(&test->kit, KLANE_EVENT_LOST), 1);
    kafka_test_wait_committed(test, 0, 30);
    assert_int_equal(kafka_kit_committed_epoch(test->group, test->topic, 0), 0);
}

/* It goes on further up: of that place no epoch is known, least of all the one that was wrong. */
static void a_log_that_was_cut_goes_on_at_the_end_once_if_so_ruled(void **state)
{
    struct kafka_test *test = *state;
    struct klane_topic topic = rules();

    if (!kafka_library_has_epochs())
        skip();
    topic.out_of_range = KLANE_BEGIN_LATEST;
    kafka_test_topic(test, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 30, 5);
    kafka_kit_commit_epoch(test->group, test->topic, 0, 10, 7);
    kafka_test_kit(test, NULL);
    kafka_test_start(test, &topic);
    kit_wait_event(&test->kit, KLANE_EVENT_OUT_OF_RANGE, 1);
    for (int i = 1; i <= 5; i++) {
        kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 2, 1);
        kit_wait_ended(&test->kit, 2 * (size_t)i);
    }

    assert_int_equal(lowest(&test->kit), 30);
    assert_int_equal(kit_event_count(&test->kit, KLANE_EVENT_OUT_OF_RANGE), 1);
    kafka_test_wait_committed(test, 0, 40);
    assert_int_equal(kafka_kit_committed_epoch(test->group, test->topic, 0), 0);
}

/* Beside the main thread: control's. */
static atomic_int seeks_to_forget;

rd_kafka_error_t *__real_rd_kafka_seek_partitions(rd_kafka_t *rk,
                                                  rd_kafka_topic_partition_list_t *partitions,
                                                  int timeout_ms);
rd_kafka_error_t *__wrap_rd_kafka_seek_partitions(rd_kafka_t *rk,
                                                  rd_kafka_topic_partition_list_t *partitions,
                                                  int timeout_ms);

/* As librdkafka does with one that a rebalance overtakes. */
rd_kafka_error_t *__wrap_rd_kafka_seek_partitions(rd_kafka_t *rk,
                                                  rd_kafka_topic_partition_list_t *partitions,
                                                  int timeout_ms)
{
    if (atomic_load(&seeks_to_forget) == 0)
        return __real_rd_kafka_seek_partitions(rk, partitions, timeout_ms);
    atomic_fetch_sub(&seeks_to_forget, 1);
    return NULL;
}

/* By which it is asked whether the log was cut; what came first is dropped for that. */
static void a_seek_that_is_forgotten_costs_no_record(void **state)
{
    struct kafka_test *test = *state;

    if (!kafka_library_has_epochs())
        skip();
    kafka_test_topic(test, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 30, 5);
    kafka_kit_commit_epoch(test->group, test->topic, 0, 10, 0);
    atomic_store(&seeks_to_forget, 2);
    kafka_test_run(test);
    kit_wait_ended(&test->kit, 20);
    kafka_test_wait_committed(test, 0, 30);
    assert_int_equal(atomic_load(&seeks_to_forget), 0);
}

/* That of what was read goes with what is committed, and those who read nothing keep it. */
static void the_epoch_of_a_leader_is_committed_and_kept(void **state)
{
    struct kafka_test *test = *state;

    if (!kafka_library_has_epochs())
        skip();
    kafka_test_topic(test, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 30, 5);
    for (int i = 0; i < 3; i++) {
        kafka_test_run(test);
        kafka_test_wait_committed(test, 0, 30);
        kafka_test_end(test);
        assert_int_equal(kafka_kit_committed_epoch(test->group, test->topic, 0), 0);
        assert_int_equal(kit_event_count(&test->kit, KLANE_EVENT_OUT_OF_RANGE), 0);
    }
}

static enum klane_outcome wait_for_gate(struct kit *kit, const struct klane_record *record)
{
    bool is_open = false;

    while (!is_open && !klane_cancelled(record)) {
        pthread_mutex_lock(&kit->lock);
        is_open = kit->gate_open;
        pthread_mutex_unlock(&kit->lock);
        usleep(1000);
    }
    return is_open ? KLANE_DONE : KLANE_RETRY;
}

/* Both assignors: an eager assignment is set anew as a whole. */
static void retention_passes(struct kafka_test *test, const char *assignor)
{
    rd_kafka_conf_t *conf = kafka_kit_consumer_conf(test->group);
    struct klane_kafka_options options;

    kafka_kit_set_classic(conf, "partition.assignment.strategy", assignor);
    kafka_test_topic(test, 2, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 100, 100);
    /* What librdkafka may have in hand has to be less than what is written below: some thousands,
     * for one response has 64 KiB at most. */
    klane_kafka_options_init(&options, sizeof options);
    options.queue_records = 1000;
    options.queue_bytes = 1 << 20;
    kafka_test_kit_with(test, conf, &options);
    /* Different keys, all of which wait: memory is full of them. */
    test->kit.options.records_max = 64;
    test->kit.act = wait_for_gate;
    kafka_test_start(test, NULL);
    kit_wait_started(&test->kit, 4);

    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 50000, 100);
    kafka_kit_records_delete(test->topic, 0, 50050);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 1, 20, 5);
    kit_open(&test->kit);
    kit_wait_event(&test->kit, KLANE_EVENT_OUT_OF_RANGE, 1);
    assert_int_equal(kit_event(&test->kit, KLANE_EVENT_OUT_OF_RANGE).value, 50050);
    kafka_test_wait_committed(test, 0, 50100);
    kafka_test_wait_committed(test, 1, 20);
    assert_int_equal(kit_event_count(&test->kit, KLANE_EVENT_LOST), 0);
    kit_assert_order(&test->kit);
}

static void retention_that_passes_the_position_is_told_and_survived_cooperatively(void **state)
{
    retention_passes(*state, "cooperative-sticky");
}

static void retention_that_passes_the_position_is_told_and_survived_eagerly(void **state)
{
    retention_passes(*state, "range");
}

/* What was not yet read of a parked lane is gone: it goes on with what is left. */
static void retention_that_passes_a_parked_lane_is_told_and_survived(void **state)
{
    struct kafka_test *test = *state;
    struct klane_event event;

    kafka_test_topic(test, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 2000, 2);
    kafka_test_kit(test, NULL);
    test->kit.options.lane_records_max = 50;
    test->kit.gate = "k0";
    kafka_test_start(test, NULL);
    kit_wait_done(&test->kit, 1000);
    kafka_kit_records_delete(test->topic, 0, 1500);
    kit_open(&test->kit);
    kafka_test_wait_committed(test, 0, 2000);

    event = kit_event(&test->kit, KLANE_EVENT_OUT_OF_RANGE);
    assert_int_equal(kit_event_count(&test->kit, KLANE_EVENT_OUT_OF_RANGE), 1);
    assert_int_equal(event.offset, 100);
    assert_int_equal(event.value, 1500);
    assert_int_equal(kit_event_count(&test->kit, KLANE_EVENT_HEAD_GONE), 1);
    assert_int_equal(kit_event(&test->kit, KLANE_EVENT_HEAD_GONE).offset, 100);
    /* Of the stuck key those in memory and those that are left. */
    kit_wait_ended(&test->kit, 1000 + 50 + 250);
    assert_int_equal(test->kit.note_count, 1000 + 50 + 250);
    kit_assert_order(&test->kit);
}

/* ---- progress maps ----------------------------------------------------------------------- */

/* Two keys, one of which is stuck; stops when all of the other is finished and committed. */
static void leave_a_key_unfinished(struct kafka_test *test, uint32_t map_size)
{
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 2000, 2);
    kafka_test_kit(test, NULL);
    test->kit.options.map_size = map_size;
    test->kit.gate = "k0";
    test->kit.options.drain_ms = 100;
    kafka_test_start(test, NULL);
    kit_wait_done(&test->kit, 1000);
    klane_stop(test->kit.runtime);
    klane_wait(test->kit.runtime, 20000);
    kafka_test_end(test);
    assert_int_equal(kafka_kit_committed(test->group, test->topic, 0), 0);
}

static void a_restart_runs_only_what_is_unfinished(void **state)
{
    struct kafka_test *test = *state;
    struct klane_event event;

    kafka_test_topic(test, 1, NULL);
    leave_a_key_unfinished(test, 4096);
    kafka_test_run(test);
    kafka_test_wait_committed(test, 0, 2000);

    event = kit_event(&test->kit, KLANE_EVENT_ASSIGNED);
    assert_int_equal(event.offset, 0);
    assert_int_equal(event.value, 2000);
    assert_int_equal(kit_event_count(&test->kit, KLANE_EVENT_PROGRESS_REFUSED), 0);
    kit_wait_ended(&test->kit, 1000);
    assert_int_equal(test->kit.note_count, 1000);
    for (size_t i = 0; i < 1000; i++)
        assert_string_equal(test->kit.notes[i].key, "k0");
    kit_assert_order(&test->kit);
}

static void without_a_map_all_above_the_base_runs_again(void **state)
{
    struct kafka_test *test = *state;

    kafka_test_topic(test, 1, NULL);
    leave_a_key_unfinished(test, 0);
    kafka_test_run(test);
    kafka_test_wait_committed(test, 0, 2000);

    assert_int_equal(kit_event_count(&test->kit, KLANE_EVENT_PROGRESS_REFUSED), 1);
    kit_wait_ended(&test->kit, 2000);
    assert_int_equal(test->kit.note_count, 2000);
}

static enum klane_outcome retry_all_but_the_first(struct kit *kit,
                                                  const struct klane_record *record)
{
    bool is_open;

    pthread_mutex_lock(&kit->lock);
    is_open = kit->gate_open;
    pthread_mutex_unlock(&kit->lock);
    return is_open || record->offset == 0 ? KLANE_DONE : klane_retry(record, 500, NULL);
}

static void a_map_that_the_broker_refuses_is_made_smaller(void **state)
{
    struct kafka_test *test = *state;
    struct kit *kit = &test->kit;

    kafka_test_topic(test, 1, NULL);
    /* Each key has one record, and one is done: more are not than fit into what brokers take. */
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 1000, 1000);
    kafka_test_kit(test, NULL);
    kit->options.map_size = 8192;
    kit->options.commit_interval_ms = 50;
    kit->act = retry_all_but_the_first;
    kafka_test_start(test, NULL);
    kit_wait_event(kit, KLANE_EVENT_COMMIT_FAILED, 1);
    assert_int_equal(kit_event(kit, KLANE_EVENT_COMMIT_FAILED).err, KLANE_ERR_TOO_LARGE);
    kit_wait_event(kit, KLANE_EVENT_COMMITTED, 2);
    kit_open(kit);
    kafka_test_wait_committed(test, 0, 1000);
    assert_int_equal(kit_event_count(kit, KLANE_EVENT_COMMIT_FAILED), 1);
}

/* The log ends below what the map speaks of, as where a leader without the latest records was
 * elected: it is of no use, but the base is in the log, and nothing above that is left out. */
static void a_map_of_a_longer_log_is_refused(void **state)
{
    struct kafka_test *test = *state;
    struct klane_topic topic = rules();
    char longer[KAFKA_NAME_SIZE];

    kafka_test_topic(test, 1, NULL);
    leave_a_key_unfinished(test, 4096);
    memcpy(longer, test->topic, sizeof(longer));
    kafka_kit_name(test->topic, "shorter");
    kafka_kit_topic(test->topic, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 100, 5);
    kafka_kit_commit_again(test->group, longer, test->topic);
    kafka_kit_topic_delete(longer);
    topic.out_of_range = KLANE_BEGIN_LATEST;
    kafka_test_kit(test, NULL);
    kafka_test_start(test, &topic);
    kafka_test_wait_committed(test, 0, 100);

    assert_int_equal(kit_event_count(&test->kit, KLANE_EVENT_PROGRESS_REFUSED), 1);
    assert_int_equal(kit_event_count(&test->kit, KLANE_EVENT_OUT_OF_RANGE), 0);
    kit_wait_ended(&test->kit, 100);
    assert_int_equal(test->kit.note_count, 100);
    kit_assert_order(&test->kit);
}

/* ---- holes ------------------------------------------------------------------------------- */

static void a_compacted_log_is_read_and_committed_to_its_end(void **state)
{
    static const char *const configs[] = {"cleanup.policy",
                                          "compact",
                                          "segment.bytes",
                                          "1048576",
                                          "segment.ms",
                                          "100",
                                          "min.cleanable.dirty.ratio",
                                          "0.001",
                                          "min.compaction.lag.ms",
                                          "0",
                                          "max.compaction.lag.ms",
                                          "100",
                                          NULL};
    struct kafka_test *test = *state;
    int64_t end = 0;
    size_t left = 0;

    kafka_test_topic(test, 1, configs);
    /* Every key again and again: in time only the newest of each stays. */
    for (int i = 0; i < 400 && (end == 0 || left >= (size_t)end); i++) {
        kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 50, 10);
        usleep(150000);
        end = kafka_kit_end(test->topic, 0);
        left = kafka_kit_count(test->topic, 0);
    }
    assert_true(left < (size_t)end);
    kafka_test_run(test);
    kafka_test_wait_committed(test, 0, end);

    kit_assert_order(&test->kit);
    assert_true(test->kit.note_count < (size_t)end);
}

/* Three transactions of which the second is aborted, each with ten records and a marker. */
static void fill_by_transactions(struct kafka_test *test)
{
    rd_kafka_t *producer = kafka_kit_producer_new(test->group);

    for (int i = 0; i < 3; i++) {
        rd_kafka_error_t *error = rd_kafka_begin_transaction(producer);

        assert_null(error);
        kafka_kit_fill(producer, test->topic, 0, 10, 3);
        error = i == 1 ? rd_kafka_abort_transaction(producer, KAFKA_KIT_MS)
                       : rd_kafka_commit_transaction(producer, KAFKA_KIT_MS);
        assert_null(error);
    }
    rd_kafka_destroy(producer);
    /* The last marker may be written a moment after the commit was acknowledged. */
    for (int i = 0; i < 1000 && kafka_kit_end(test->topic, 0) < 33; i++)
        usleep(10000);
    assert_int_equal(kafka_kit_end(test->topic, 0), 33);
}

static void aborted_records_are_holes_and_the_last_marker_is_committed_past(void **state)
{
    struct kafka_test *test = *state;

    kafka_test_topic(test, 1, NULL);
    fill_by_transactions(test);
    kafka_test_run(test);
    kit_wait_ended(&test->kit, 20);
    kafka_test_wait_committed(test, 0, 33);

    assert_int_equal(test->kit.note_count, 20);
    for (size_t i = 0; i < 20; i++)
        assert_true(test->kit.notes[i].offset < 10 || test->kit.notes[i].offset >= 22);
    kit_assert_order(&test->kit);
}

static void aborted_records_come_to_those_who_read_uncommitted(void **state)
{
    struct kafka_test *test = *state;
    rd_kafka_conf_t *conf = kafka_kit_consumer_conf(test->group);

    kafka_kit_set(conf, "isolation.level", "read_uncommitted");
    kafka_test_topic(test, 1, NULL);
    fill_by_transactions(test);
    kafka_test_kit(test, conf);
    kafka_test_start(test, NULL);
    kit_wait_ended(&test->kit, 30);
    kafka_test_wait_committed(test, 0, 33);

    assert_int_equal(test->kit.note_count, 30);
}

/* The records behind those of a transaction that goes on may be read, but not before them. */
static void an_open_transaction_is_waited_for(struct kafka_test *test, bool is_aborted)
{
    rd_kafka_t *producer = kafka_kit_producer_new(test->group);
    rd_kafka_error_t *error;

    kafka_test_topic(test, 1, NULL);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 5, 3);
    assert_null(rd_kafka_begin_transaction(producer));
    kafka_kit_fill(producer, test->topic, 0, 10, 3);
    assert_int_equal(rd_kafka_flush(producer, KAFKA_KIT_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    kafka_kit_fill(kafka_kit_producer(), test->topic, 0, 5, 3);
    /* As the broker tells whoever reads only what is committed. */
    assert_int_equal(kafka_kit_end(test->topic, 0), 5);
    kafka_test_run(test);
    kafka_test_wait_committed(test, 0, 5);
    usleep(1000 * 1000);
    assert_int_equal(kafka_kit_committed(test->group, test->topic, 0), 5);
    assert_int_equal(kit_stats(&test->kit).records, 5);

    error = is_aborted ? rd_kafka_abort_transaction(producer, KAFKA_KIT_MS)
                       : rd_kafka_commit_transaction(producer, KAFKA_KIT_MS);
    assert_null(error);
    kit_wait_ended(&test->kit, is_aborted ? 10 : 20);
    kafka_test_wait_committed(test, 0, 21);
    assert_int_equal(test->kit.note_count, is_aborted ? 10 : 20);
    kit_assert_order(&test->kit);
    rd_kafka_destroy(producer);
}

static void a_transaction_that_goes_on_is_waited_for_and_read(void **state)
{
    an_open_transaction_is_waited_for(*state, false);
}

static void a_transaction_that_goes_on_is_waited_for_and_left_out(void **state)
{
    an_open_transaction_is_waited_for(*state, true);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        kafka_test_case(a_group_begins_at_the_earliest_record),
        kafka_test_case(a_group_that_begins_at_the_latest_record_commits_that_at_once),
        kafka_test_case(a_group_that_may_not_begin_stops_as_fatal),
        kafka_test_case(a_group_goes_on_where_it_has_committed),
        kafka_test_case(headers_come_with_their_records),
        kafka_test_case(headers_that_nobody_wants_do_not_come),
        kafka_test_case(a_committed_offset_that_is_gone_goes_on_at_the_earliest_record),
        kafka_test_case(a_committed_offset_that_is_gone_goes_on_at_the_end_if_so_ruled),
        kafka_test_case(a_committed_offset_that_is_gone_is_fatal_if_so_ruled),
        kafka_test_case(a_committed_offset_beyond_the_end_begins_anew),
        kafka_test_case(a_log_that_was_cut_and_has_grown_again_begins_anew),
        kafka_test_case(a_log_that_was_cut_goes_on_at_the_end_once_if_so_ruled),
        kafka_test_case(a_seek_that_is_forgotten_costs_no_record),
        kafka_test_case(the_epoch_of_a_leader_is_committed_and_kept),
        kafka_test_case(retention_that_passes_the_position_is_told_and_survived_cooperatively),
        kafka_test_case(retention_that_passes_the_position_is_told_and_survived_eagerly),
        kafka_test_case(retention_that_passes_a_parked_lane_is_told_and_survived),
        kafka_test_case(a_restart_runs_only_what_is_unfinished),
        kafka_test_case(without_a_map_all_above_the_base_runs_again),
        kafka_test_case(a_map_that_the_broker_refuses_is_made_smaller),
        kafka_test_case(a_map_of_a_longer_log_is_refused),
        kafka_test_case(a_compacted_log_is_read_and_committed_to_its_end),
        kafka_test_case(aborted_records_are_holes_and_the_last_marker_is_committed_past),
        kafka_test_case(aborted_records_come_to_those_who_read_uncommitted),
        kafka_test_case(a_transaction_that_goes_on_is_waited_for_and_read),
        kafka_test_case(a_transaction_that_goes_on_is_waited_for_and_left_out),
    };
    int failed = check_run(tests);

    kafka_kit_deinit();
    return failed;
}
