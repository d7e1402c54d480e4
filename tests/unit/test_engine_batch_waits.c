/* SPDX-License-Identifier: Apache-2.0 */
/* Batches that wait for more, and those whose partition or runtime goes meanwhile. */
#include "lib/batch_kit.h"

#include "base/assert.h"

#include <stdio.h>

/* ---- waiting ----------------------------------------------------------------------------- */

/* Records of another route have passed, so that control has looked at what is gathered. */
static void let_others_pass(void)
{
    append(0, "x");
    kit_wait_ended(&b.kit, 1);
    append(0, "x");
    kit_wait_ended(&b.kit, 2);
}

static void a_batch_of_many_waits_for_batch_min_and_then_for_nothing(void **state)
{
    struct klane_blocker blocker;

    (void)state;
    init_many(1);
    b.route.batch_min = 3;
    b.route.batch_wait_ms = LONG_MS;
    start();
    append(0, "ab");
    wait_taken_in(2);
    let_others_pass();
    assert_int_equal(b.calls, 0);
    assert_int_equal(klane_blocker(b.kit.runtime, "t", 0, &blocker, sizeof(blocker)), KLANE_OK);
    assert_int_equal(blocker.offset, 0);
    assert_int_equal(blocker.state, KLANE_BLOCKER_BATCH);

    append(0, "b");
    wait_seen(3);

    assert_int_equal(b.calls, 1);
    assert_run('a', 0, 1);
    assert_run('b', 0, 2);
    end_done(5);
}

static void a_run_waits_for_batch_min_of_its_own_key(void **state)
{
    (void)state;
    init(1);
    b.route.batch_min = 3;
    b.route.batch_wait_ms = LONG_MS;
    start();
    append(0, "aabb");
    wait_taken_in(4);
    let_others_pass();
    assert_int_equal(b.calls, 0);

    append(0, "a");
    wait_seen(3);

    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(b.seen[i].call, 0);
        assert_int_equal(b.seen[i].key, 'a');
    }
    assert_int_equal(b.count, 3);
    append(0, "b");
    wait_seen(6);
    assert_int_equal(b.seen[5].key, 'b');
    end_done(8);
}

/* What a batch has left behind waits anew. */
static void what_follows_a_batch_waits_for_batch_min_too(void **state)
{
    (void)state;
    init(1);
    b.route.batch_min = b.route.batch_max = 3;
    b.route.batch_wait_ms = LONG_MS;
    start();
    append(0, "aaaa");
    wait_seen(3);
    let_others_pass();
    assert_int_equal(b.count, 3);

    append(0, "aa");
    wait_seen(6);

    assert_int_equal(b.calls, 2);
    end_done(8);
}

static void give_up_first(struct klane_batch *batch)
{
    if (batch->records[0].offset == 0)
        klane_dead_letter(&batch->records[0], "bad");
}

static void what_follows_a_dead_letter_waits_for_batch_min_too(void **state)
{
    (void)state;
    for (int many = 0; many < 2; many++) {
        init(1);
        b.route.batch_min = b.route.batch_max = 3;
        b.route.batch_wait_ms = LONG_MS;
        b.route.batch_keys = many ? KLANE_BATCH_MANY_KEYS : KLANE_BATCH_ONE_KEY;
        b.route.dead_letter = take_letter;
        b.act = give_up_first;
        start();
        append(0, "aaa");
        kit_wait_counter(&b.kit, &b.letters, 1, "dead letters");
        let_others_pass();
        assert_int_equal(b.count, 3);

        append(0, many ? "b" : "a");
        wait_seen(6);

        assert_int_equal(b.calls, 2);
        end_done(5);
    }
}

static void what_follows_a_record_of_another_route_waits_for_batch_min_too(void **state)
{
    (void)state;
    init(2);
    b.route.batch_min = 3;
    b.route.batch_wait_ms = LONG_MS;
    create_in_partition_order();
    append(1, "xaa");
    assert_int_equal(klane_start(b.kit.runtime), KLANE_OK);
    wait_taken_in(3);
    kit_wait_ended(&b.kit, 1);
    append(0, "x");
    kit_wait_ended(&b.kit, 2);
    assert_int_equal(b.count, 0);

    append(1, "a");
    wait_seen(3);

    assert_int_equal(b.calls, 1);
    end_done(5);
}

static void nothing_waits_longer_than_batch_wait_ms(void **state)
{
    (void)state;
    for (int many = 0; many < 2; many++) {
        struct timespec begin, end;

        init(1);
        b.route.batch_min = 10;
        b.route.batch_wait_ms = 30;
        b.route.batch_keys = many ? KLANE_BATCH_MANY_KEYS : KLANE_BATCH_ONE_KEY;
        start();
        clock_gettime(CLOCK_MONOTONIC, &begin);
        append(0, "aa");

        wait_seen(2);

        clock_gettime(CLOCK_MONOTONIC, &end);
        assert_true((end.tv_sec - begin.tv_sec) * 1000 +
                        (end.tv_nsec - begin.tv_nsec) / 1000000 >=
                    29);
        end_done(2);
    }
}

/* More than fit into memory will never come. */
static void what_is_gathered_goes_when_memory_is_full(void **state)
{
    (void)state;
    for (int many = 0; many < 2; many++) {
        init(1);
        b.kit.options.records_max = 16;
        b.route.batch_min = 100;
        b.route.batch_wait_ms = LONG_MS;
        b.route.batch_keys = many ? KLANE_BATCH_MANY_KEYS : KLANE_BATCH_ONE_KEY;
        start();
        append(0, "abcdefhijklmnopqrstuvwyz");
        append(0, "abcdefhijklmnopqrstuvwyz");
        append(0, "abcdefhijklmnopqrstuvwyz");

        /* The last few do not fill it. */
        wait_seen(72 - 16);

        kit_end(&b.kit);
    }
}

/* The log has more of it, which comes when this is done. */
static void what_is_gathered_goes_when_its_key_has_its_quota(void **state)
{
    (void)state;
    for (int many = 0; many < 2; many++) {
        init(1);
        b.kit.options.lane_records_max = 4;
        b.route.batch_min = 8;
        b.route.batch_wait_ms = LONG_MS;
        b.route.batch_keys = many ? KLANE_BATCH_MANY_KEYS : KLANE_BATCH_ONE_KEY;
        start();
        for (int i = 0; i < 40; i++)
            append(0, "a");

        /* The last few are less than that. */
        wait_seen(40 - 3);

        kit_end(&b.kit);
    }
}

static void a_batch_that_stands_still_delays_no_other_route(void **state)
{
    (void)state;
    init_many(1);
    b.kit.options.workers = b.kit.options.workers_max = 4;
    b.stands = true;
    start();
    append(0, "abc");
    wait_seen(3);
    for (int i = 0; i < 100; i++)
        append(0, "x");

    kit_wait_ended(&b.kit, 100);

    kit_open(&b.kit);
    end_done(103);
}

/* The ring is full of single records, and many more are ready, when the first of it is ready. */
static void a_gathered_batch_has_its_turn_beside_many_single_records(void **state)
{
    size_t before;

    (void)state;
    init_many(1);
    start_at_gate();
    for (int i = 0; i < 2000; i++) {
        char key[16];

        snprintf(key, sizeof(key), "x%d", i);
        kit_append(&b.kit, 0, key);
    }
    append(0, "ab");
    wait_taken_in(2003);

    kit_open(&b.kit);
    wait_seen(1);

    pthread_mutex_lock(&b.kit.lock);
    before = b.singles_before;
    pthread_mutex_unlock(&b.kit.lock);
    assert_in_range(before, 2, 1000);
    end_done(2003);
}

static void a_key_that_is_held_leaves_its_batch(void **state)
{
    (void)state;
    init_many(1);
    b.route.batch_min = 3;
    b.route.batch_wait_ms = LONG_MS;
    start();
    append(0, "ab");
    wait_taken_in(2);
    let_others_pass();

    assert_int_equal(klane_hold(b.kit.runtime, "t", "a", 1), KLANE_OK);
    append(0, "cd");
    wait_seen(3);

    for (size_t i = 0; i < 3; i++)
        assert_int_not_equal(b.seen[i].key, 'a');
    assert_int_equal(klane_release(b.kit.runtime, "t", "a", 1), KLANE_OK);
    append(0, "ef");
    wait_seen(6);
    assert_int_equal(b.calls, 2);
    end_done(8);
}

static void a_batch_in_the_ring_loses_what_is_held(void **state)
{
    (void)state;
    init_many(2);
    b.route.batch_min = 3;
    b.route.batch_wait_ms = LONG_MS;
    start_with_abc_in_the_ring();

    assert_int_equal(klane_hold(b.kit.runtime, "t", "b", 1), KLANE_OK);
    kit_open(&b.kit);
    wait_seen(2);

    assert_int_equal(b.seen[0].key, 'a');
    assert_int_equal(b.seen[1].key, 'c');
    append(0, "def");
    wait_seen(5);
    assert_int_equal(b.count, 5);
    kit_end(&b.kit);
}

static void hold_topic(const char *mark)
{
    if (strcmp(mark, "a batch ends before a record of another kind") == 0)
        assert_true(klane_hold(b.kit.runtime, "t", NULL, 0) == KLANE_OK);
}

/* A hold finds what a batch looks at in the worker's hands, and so cannot take it back. */
static void what_a_batch_has_put_back_is_held(void **state)
{
    struct klane_blocker blocker = {.state = KLANE_BLOCKER_RUNNING};

    (void)state;
    init(1);
    create_in_partition_order();
    append(0, "aaxa");
    klane_mark_hook = hold_topic;
    assert_int_equal(klane_start(b.kit.runtime), KLANE_OK);
    while (blocker.state != KLANE_BLOCKER_HELD)
        assert_int_equal(klane_blocker(b.kit.runtime, "t", 0, &blocker, sizeof(blocker)),
                         KLANE_OK);
    assert_int_equal(blocker.offset, 2);
    assert_int_equal(b.count, 2);
    assert_int_equal(b.kit.note_count, 0);

    assert_int_equal(klane_release(b.kit.runtime, "t", NULL, 0), KLANE_OK);

    end_done(4);
    klane_mark_hook = NULL;
}

static void wait_until_cancelled(struct klane_batch *batch)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    while (!klane_cancelled(&batch->records[batch->count - 1]))
        nanosleep(&pause, NULL);
}

/* By any of its records: of other keys, too. */
static void a_batch_that_takes_too_long_can_see_it(void **state)
{
    (void)state;
    init_many(1);
    b.route.handler_max_ms = 20;
    b.route.handler_overrun = KLANE_OVERRUN_CANCEL;
    b.act = wait_until_cancelled;
    append(0, "aabbcc");
    start();

    end_done(6);
}

/* ---- the end ----------------------------------------------------------------------------- */

static void what_is_gathered_is_given_up_with_its_partition(void **state)
{
    (void)state;
    init_many(1);
    b.route.batch_min = 5;
    b.route.batch_wait_ms = LONG_MS;
    b.kit.options.drain_ms = LONG_MS;
    start();
    append(0, "abca");
    wait_taken_in(4);
    let_others_pass();

    assert_int_equal(klane_memory_revoke(b.kit.source, "t", 0, false), KLANE_OK);
    kit_wait_event(&b.kit, KLANE_EVENT_REVOKED, 1);

    assert_int_equal(kit_committed(&b.kit, 0), 0);
    assert_int_equal(b.calls, 0);
    assert_int_equal(klane_memory_assign(b.kit.source, "t", 0), KLANE_OK);
    append(0, "c");
    wait_seen(5);
    assert_int_equal(b.calls, 1);
    end_done(7);
}

static void a_stop_does_not_wait_for_what_is_gathered(void **state)
{
    (void)state;
    for (int many = 0; many < 2; many++) {
        init(1);
        b.route.batch_min = 5;
        b.route.batch_wait_ms = LONG_MS;
        b.route.batch_keys = many ? KLANE_BATCH_MANY_KEYS : KLANE_BATCH_ONE_KEY;
        b.kit.options.stop_ms = LONG_MS;
        start();
        append(0, "abca");
        wait_taken_in(4);
        let_others_pass();

        klane_stop(b.kit.runtime);

        assert_int_equal(klane_wait(b.kit.runtime, 20000), KLANE_OK);
        assert_int_equal(b.calls, 0);
        assert_int_equal(kit_committed(&b.kit, 0), 0);
        kit_end(&b.kit);
    }
}

static enum klane_outcome wait_for_the_stop(struct kit *kit, const struct klane_record *record)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    (void)kit;
    while (!klane_cancelled(record))
        nanosleep(&pause, NULL);
    return KLANE_DONE;
}

/* A batch that control has pushed waits in the ring as single records do. */
static void a_stop_takes_a_batch_back_that_no_worker_has(void **state)
{
    (void)state;
    init_many(2);
    b.kit.act = wait_for_the_stop;
    start_at_gate();
    append(0, "abcabc");
    append(1, "abcabc");
    wait_taken_in(13);
    klane_stop(b.kit.runtime);
    kit_open(&b.kit);

    assert_int_equal(klane_wait(b.kit.runtime, 20000), KLANE_OK);
    assert_int_equal(b.calls, 0);
    assert_int_equal(kit_committed(&b.kit, 0), 1);
    kit_end(&b.kit);
}

static void a_batch_loses_those_whose_partition_is_gone(void **state)
{
    (void)state;
    init_many(2);
    b.kit.options.drain_ms = LONG_MS;
    start_at_gate();
    append(0, "abcabc");
    append(1, "abcabc");
    wait_taken_in(13);

    assert_int_equal(klane_memory_revoke(b.kit.source, "t", 1, false), KLANE_OK);
    kit_wait_event(&b.kit, KLANE_EVENT_REVOKED, 1);
    kit_open(&b.kit);
    wait_seen(6);

    for (size_t i = 0; i < 6; i++)
        assert_int_equal(b.seen[i].partition, 0);
    kit_wait_committed(&b.kit, 0, 7);
    assert_int_equal(b.count, 6);
    end_done(7);
}

/* What its function said counts as far as it goes; the rest runs elsewhere. */
static void a_batch_that_runs_while_its_partition_is_revoked_counts(void **state)
{
    (void)state;
    for (int many = 0; many < 2; many++) {
        init(1);
        b.route.batch_keys = many ? KLANE_BATCH_MANY_KEYS : KLANE_BATCH_ONE_KEY;
        b.kit.options.drain_ms = LONG_MS;
        b.waits_for_fence = true;
        b.said = KLANE_RETRY;
        b.act = say_of_third;
        append(0, "aaaaaa");
        start();
        wait_seen(6);
        append(0, "aaaa");
        wait_taken_in(10);

        assert_int_equal(klane_memory_revoke(b.kit.source, "t", 0, false), KLANE_OK);
        kit_wait_event(&b.kit, KLANE_EVENT_REVOKED, 1);

        assert_int_equal(kit_committed(&b.kit, 0), 3);
        assert_int_equal(b.count, 6);
        assert_int_equal(klane_memory_assign(b.kit.source, "t", 0), KLANE_OK);
        wait_seen(13);
        for (size_t i = 6; i < 13; i++)
            assert_int_equal(b.seen[i].offset, (int64_t)i - 3);
        end_done(10);
    }
}

/* Each record of it: or those behind the first would be waited for. */
static void a_drain_goes_on_without_a_batch_that_runs_too_long(void **state)
{
    const struct timespec longer = {.tv_sec = 1, .tv_nsec = 100000000};
    uint64_t marked = check_marked("a drain goes on without a record that runs too long");

    (void)state;
    init(1);
    b.kit.options.drain_ms = 1000;
    b.route.slow_ms = 20;
    b.stands = true;
    append(0, "aaaaaa");
    start();
    wait_seen(6);
    nanosleep(&longer, NULL);

    assert_int_equal(klane_memory_revoke(b.kit.source, "t", 0, false), KLANE_OK);
    kit_wait_event(&b.kit, KLANE_EVENT_REVOKED, 1);

    assert_int_equal(check_marked("a drain goes on without a record that runs too long") - marked,
                     6);
    assert_int_equal(kit_committed(&b.kit, 0), 0);
    kit_open(&b.kit);
    kit_end(&b.kit);
}

/* Each lane of it: also where the batch begins with one of a partition that stays. */
static void a_drain_goes_on_without_its_lanes_in_a_batch_that_runs_too_long(void **state)
{
    const struct timespec longer = {.tv_sec = 1, .tv_nsec = 100000000};
    uint64_t marked = check_marked("a drain goes on without a record that runs too long");
    int32_t goes;

    (void)state;
    init_many(2);
    b.kit.options.drain_ms = 1000;
    b.route.slow_ms = 20;
    b.route.batch_min = 8;
    b.route.batch_wait_ms = LONG_MS;
    b.stands = true;
    start();
    append(0, "aaab");
    append(1, "aaab");
    wait_seen(8);
    nanosleep(&longer, NULL);
    goes = 1 - b.seen[0].partition;

    assert_int_equal(klane_memory_revoke(b.kit.source, "t", goes, false), KLANE_OK);
    kit_wait_event(&b.kit, KLANE_EVENT_REVOKED, 1);

    assert_int_equal(check_marked("a drain goes on without a record that runs too long") - marked,
                     4);
    assert_int_equal(kit_committed(&b.kit, goes), 0);
    kit_open(&b.kit);
    kit_wait_committed(&b.kit, 1 - goes, 4);
    kit_end(&b.kit);
}

static struct klane_blocker lane_of(const char *key)
{
    struct klane_blocker blocker;

    assert_int_equal(klane_lane_find(b.kit.runtime, "t", -1, key, 1, &blocker, sizeof(blocker)),
                     KLANE_OK);
    return blocker;
}

static void each_lane_of_a_batch_that_runs_is_named_with_its_worker(void **state)
{
    (void)state;
    init_many(2);
    b.route.batch_min = 4;
    b.route.batch_wait_ms = LONG_MS;
    b.stands = true;
    start();
    append(0, "aab");
    append(1, "c");
    wait_seen(4);

    for (char key = 'a'; key <= 'c'; key++) {
        struct klane_blocker blocker = lane_of((const char[]){key, '\0'});

        assert_int_equal(blocker.state, KLANE_BLOCKER_RUNNING);
        assert_int_equal(blocker.worker, 0);
        assert_int_equal(blocker.attempts, 1);
    }
    kit_open(&b.kit);
    end_done(4);
}

/* Whose batch was to have many keys. */
static void what_an_own_thread_has_taken_does_not_run(void **state)
{
    struct klane_record record;
    klane_token_t token;

    (void)state;
    init_many(1);
    start_at_gate();
    append(0, "a");
    assert_int_equal(klane_take(b.kit.runtime, &record, sizeof(record), &token, 20000), KLANE_OK);

    assert_int_equal(lane_of("g").state, KLANE_BLOCKER_RUNNING);
    assert_int_equal(lane_of("a").state, KLANE_BLOCKER_LATER);

    assert_int_equal(klane_finish(b.kit.runtime, token, KLANE_DONE, -1, NULL), KLANE_OK);
    kit_open(&b.kit);
    end_done(2);
}

static void own_threads_get_the_records_of_a_batch_one_by_one(void **state)
{
    struct klane_record record;
    klane_token_t token;
    int64_t next[3] = {0, 1, 2};

    (void)state;
    init_many(1);
    b.kit.options.workers = 0;
    b.route.batch_min = 50;
    b.route.batch_wait_ms = LONG_MS;
    for (int i = 0; i < 10; i++)
        append(0, "abc");
    start();

    for (int i = 0; i < 30; i++) {
        assert_int_equal(klane_take(b.kit.runtime, &record, sizeof(record), &token, 20000),
                         KLANE_OK);
        assert_int_equal(record.offset, next[*(const char *)record.key - 'a']);
        next[*(const char *)record.key - 'a'] += 3;
        assert_int_equal(klane_finish(b.kit.runtime, token, KLANE_DONE, -1, NULL), KLANE_OK);
    }

    assert_int_equal(b.calls, 0);
    end_done(30);
}

/* Beside workers: the rest of a batch whose first record was taken is not lost. */
static void an_own_thread_takes_one_of_a_batch_and_leaves_the_others(void **state)
{
    struct klane_record record;
    klane_token_t token;

    (void)state;
    init_many(1);
    start_at_gate();
    append(0, "abcabc");
    wait_taken_in(7);

    assert_int_equal(klane_take(b.kit.runtime, &record, sizeof(record), &token, 20000),
                     KLANE_OK);
    kit_open(&b.kit);
    wait_seen(4);

    assert_int_equal(klane_finish(b.kit.runtime, token, KLANE_DONE, -1, NULL), KLANE_OK);
    wait_seen(5);
    end_done(7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_of_many_waits_for_batch_min_and_then_for_nothing),
        cmocka_unit_test(a_run_waits_for_batch_min_of_its_own_key),
        cmocka_unit_test(what_follows_a_batch_waits_for_batch_min_too),
        cmocka_unit_test(what_follows_a_dead_letter_waits_for_batch_min_too),
        cmocka_unit_test(what_follows_a_record_of_another_route_waits_for_batch_min_too),
        cmocka_unit_test(nothing_waits_longer_than_batch_wait_ms),
        cmocka_unit_test(what_is_gathered_goes_when_memory_is_full),
        cmocka_unit_test(what_is_gathered_goes_when_its_key_has_its_quota),
        cmocka_unit_test(a_batch_that_stands_still_delays_no_other_route),
        cmocka_unit_test(a_gathered_batch_has_its_turn_beside_many_single_records),
        cmocka_unit_test(a_key_that_is_held_leaves_its_batch),
        cmocka_unit_test(a_batch_in_the_ring_loses_what_is_held),
        cmocka_unit_test(what_a_batch_has_put_back_is_held),
        cmocka_unit_test(a_batch_that_takes_too_long_can_see_it),
        cmocka_unit_test(what_is_gathered_is_given_up_with_its_partition),
        cmocka_unit_test(a_stop_does_not_wait_for_what_is_gathered),
        cmocka_unit_test(a_stop_takes_a_batch_back_that_no_worker_has),
        cmocka_unit_test(a_batch_loses_those_whose_partition_is_gone),
        cmocka_unit_test(a_batch_that_runs_while_its_partition_is_revoked_counts),
        cmocka_unit_test(a_drain_goes_on_without_a_batch_that_runs_too_long),
        cmocka_unit_test(a_drain_goes_on_without_its_lanes_in_a_batch_that_runs_too_long),
        cmocka_unit_test(each_lane_of_a_batch_that_runs_is_named_with_its_worker),
        cmocka_unit_test(what_an_own_thread_has_taken_does_not_run),
        cmocka_unit_test(own_threads_get_the_records_of_a_batch_one_by_one),
        cmocka_unit_test(an_own_thread_takes_one_of_a_batch_and_leaves_the_others),
    };

    return check_run(tests);
}
