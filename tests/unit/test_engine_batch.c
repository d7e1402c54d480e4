/* SPDX-License-Identifier: Apache-2.0 */
/* Batches: what comes together, and what becomes of each record. */
#include "lib/batch_kit.h"

#include <stdlib.h>

/* ---- runs of one key --------------------------------------------------------------------- */

static void a_run_of_a_key_comes_in_its_order_and_in_parts_of_batch_max(void **state)
{
    (void)state;
    init(1);
    start_at_gate();
    for (int i = 0; i < 250; i++)
        append(0, "a");
    wait_taken_in(251);

    kit_open(&b.kit);
    wait_seen(250);

    for (size_t i = 0; i < 250; i++)
        assert_seen(i, i / 100, (int64_t)i + 1, 1);
    kit_wait_committed(&b.kit, 0, 251);
    klane_stop(b.kit.runtime);
    assert_int_equal(klane_wait(b.kit.runtime, 20000), KLANE_OK);
    assert_int_equal(kit_stats(&b.kit).started, 251);
    end_done(251);
}

static void a_short_form_registers_a_batch_function(void **state)
{
    (void)state;
    init(1);
    kit_create(&b.kit);
    assert_int_equal(klane_handle_batch(b.kit.runtime, "t", take_batch, NULL, 2), KLANE_OK);
    append(0, "aaaaa");
    assert_int_equal(klane_start(b.kit.runtime), KLANE_OK);

    wait_seen(5);

    for (size_t i = 0; i < 5; i++)
        assert_seen(i, i / 2, (int64_t)i, 1);
    end_done(5);
}

/* What came in before the log has answered for the first time is no exception. */
static void a_log_that_is_full_at_the_start_comes_in_batches_at_once(void **state)
{
    (void)state;
    init(1);
    append(0, "aaaaaaaa");
    start();

    wait_seen(8);

    assert_int_equal(b.calls, 1);
    end_done(8);
}

/* One lane may have records of several routes, as its partition is one. */
static void a_run_ends_before_a_record_of_another_route(void **state)
{
    (void)state;
    init(1);
    create_in_partition_order();
    append(0, "aabxxcd");
    assert_int_equal(klane_start(b.kit.runtime), KLANE_OK);

    wait_seen(5);

    for (size_t i = 0; i < 5; i++)
        assert_seen(i, i / 3, (int64_t)(i < 3 ? i : i + 2), 1);
    assert_int_equal(b.kit.notes[0].offset, 3);
    assert_int_equal(b.kit.notes[1].offset, 4);
    end_done(7);
}

static uint64_t weigh(const struct klane_record *record, void *context)
{
    (void)context;
    return *(const char *)record->key == 'w' ? 1000 : 0;
}

static void a_record_with_a_weight_comes_alone(void **state)
{
    struct klane_topic topic;

    (void)state;
    init(1);
    kit_create(&b.kit);
    klane_topic_init(&topic, sizeof(topic));
    topic.name = "t";
    topic.order = KLANE_ORDER_PARTITION;
    topic.weight = weigh;
    assert_int_equal(klane_topic(b.kit.runtime, &topic), KLANE_OK);
    assert_int_equal(klane_route(b.kit.runtime, &b.route), KLANE_OK);
    append(0, "aawwaa");
    assert_int_equal(klane_start(b.kit.runtime), KLANE_OK);

    wait_seen(6);

    for (size_t i = 0; i < 6; i++)
        assert_seen(i, (const size_t[]){0, 0, 1, 2, 3, 3}[i], (int64_t)i, 1);
    end_done(6);
}

/* After as many as it would of single records. */
static void a_hot_key_yields_between_two_batches(void **state)
{
    (void)state;
    init(1);
    b.route.batch_max = 2;
    start_at_gate();
    for (int i = 0; i < 640; i++)
        append(0, "a");
    append(0, "b");
    wait_taken_in(642);

    kit_open(&b.kit);
    wait_seen(641);

    for (size_t i = 0; i < 641; i++)
        if (b.seen[i].key == 'b')
            assert_int_equal(b.seen[i].call, 64);
    end_done(642);
}

/* ---- outcomes ---------------------------------------------------------------------------- */

static void run_of_five(void)
{
    start_at_gate();
    append(0, "aaaaa");
    wait_taken_in(6);
    kit_open(&b.kit);
}

/* As the second call sees them: the third again, and those behind it for the first time. */
static void assert_third_again(void)
{
    wait_seen(8);
    for (size_t i = 0; i < 5; i++)
        assert_seen(i, 0, (int64_t)i + 1, 1);
    for (size_t i = 5; i < 8; i++)
        assert_seen(i, 1, (int64_t)i - 2, i == 5 ? 2 : 1);
    assert_int_equal(b.calls, 2);
    wait_done(6);
    kit_wait_committed(&b.kit, 0, 6);
    assert_int_equal(kit_stats(&b.kit).retried, 1);
    end_done(6);
}

static void a_retry_in_a_run_leaves_those_behind_it_unrun(void **state)
{
    (void)state;
    init(1);
    b.said = KLANE_RETRY;
    b.act = say_of_third;
    run_of_five();

    assert_third_again();
}

static void what_is_no_outcome_of_a_batch_is_a_retry(void **state)
{
    (void)state;
    init(1);
    b.said = KLANE_LATER;
    b.act = say_of_third;
    run_of_five();

    kit_wait_lines(&b.kit, 1);
    assert_non_null(strstr(b.kit.line, "a handler returned 3"));
    assert_third_again();
}

static void later_of_third(struct klane_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        klane_token_t token = 1;

        if (batch->records[i].offset != 3 || batch->records[i].attempt > 1)
            continue;
        b.said = klane_later(&batch->records[i], &token);
        b.letters = token == 0;
    }
}

static void later_is_a_retry_in_a_batch(void **state)
{
    (void)state;
    init(1);
    b.act = later_of_third;
    run_of_five();

    wait_seen(8);
    assert_int_equal(b.said, KLANE_RETRY);
    assert_int_equal(b.letters, 1);
    assert_third_again();
}

static void skip_third(struct klane_batch *batch)
{
    if (batch->count == 5)
        klane_skip(&batch->records[2], "not for us");
}

static void a_skipped_record_in_a_run_is_finished_with_its_reason(void **state)
{
    (void)state;
    init(1);
    b.act = skip_third;
    run_of_five();

    kit_wait_event(&b.kit, KLANE_EVENT_SKIPPED, 1);

    assert_int_equal(kit_event(&b.kit, KLANE_EVENT_SKIPPED).offset, 3);
    assert_string_equal(b.kit.message, "not for us");
    kit_wait_committed(&b.kit, 0, 6);
    assert_int_equal(b.count, 5);
    end_done(5);
}

static void give_up_third(struct klane_batch *batch)
{
    if (batch->count == 5)
        klane_dead_letter(&batch->records[2], "bad");
}

static void a_dead_letter_in_a_run_is_kept_alone_before_those_behind_it(void **state)
{
    (void)state;
    init(1);
    b.act = give_up_third;
    b.route.dead_letter = take_letter;
    run_of_five();

    wait_seen(7);

    assert_int_equal(b.letters, 1);
    assert_int_equal(b.letter, 3);
    assert_int_equal(b.seen_at_letter, 5);
    assert_seen(5, 1, 4, 1);
    assert_seen(6, 1, 5, 1);
    kit_wait_event(&b.kit, KLANE_EVENT_DEAD_LETTER, 1);
    assert_string_equal(b.kit.message, "bad");
    kit_wait_committed(&b.kit, 0, 6);
    end_done(5);
}

/* The last one's delay is forgotten, too. */
static void say_much(struct klane_batch *batch)
{
    if (batch->count == 4)
        klane_batch_set(batch, 3, KLANE_RETRY);
    if (batch->count < 5)
        return;
    klane_retry(&batch->records[1], 0, "first");
    klane_dead_letter(&batch->records[2], "second");
    klane_skip(&batch->records[3], "third");
    klane_retry(&batch->records[4], LONG_MS, "fourth");
}

static void what_is_said_of_those_behind_an_unfinished_record_is_void(void **state)
{
    (void)state;
    init(1);
    b.act = say_much;
    b.route.dead_letter = take_letter;
    run_of_five();

    wait_done(6);

    assert_int_equal(b.count, 10);
    for (size_t i = 5; i < 9; i++)
        assert_seen(i, 1, (int64_t)i - 3, i == 5 ? 2 : 1);
    assert_seen(9, 2, 5, 2);
    assert_int_equal(b.letters, 0);
    assert_int_equal(kit_event_count(&b.kit, KLANE_EVENT_SKIPPED), 0);
    end_done(6);
}

static void change_mind(struct klane_batch *batch)
{
    klane_retry(&batch->records[0], LONG_MS, "no");
    klane_batch_set(batch, 0, KLANE_DONE);
    if (klane_batch_set(batch, batch->count, KLANE_RETRY) == KLANE_ERR_INVALID)
        b.letters++;
}

static void what_is_said_last_counts_and_what_is_not_there_is_refused(void **state)
{
    (void)state;
    init(1);
    b.act = change_mind;
    run_of_five();

    wait_done(6);

    assert_int_equal(b.count, 5);
    assert_int_equal(b.letters, 1);
    assert_int_equal(klane_batch_set(NULL, 0, KLANE_DONE), KLANE_ERR_INVALID);
    end_done(6);
}

static void retry_third_long(struct klane_batch *batch)
{
    if (batch->count == 5 && batch->records[2].offset == 3)
        klane_retry(&batch->records[2], LONG_MS, "long");
}

static void a_waiting_record_of_a_run_holds_its_key_and_no_other(void **state)
{
    (void)state;
    init(1);
    b.act = retry_third_long;
    run_of_five();
    wait_seen(5);
    for (int i = 0; i < 50; i++)
        append(0, "bx");

    wait_done(3 + 100);

    assert_int_equal(b.count, 55);
    kit_wait_committed(&b.kit, 0, 3);
    end_done(103);
}

/* ---- many keys --------------------------------------------------------------------------- */

static void many_keys_of_many_partitions_come_at_once_each_in_its_order(void **state)
{
    (void)state;
    init_many(2);
    b.route.batch_min = 13;
    b.route.batch_wait_ms = LONG_MS;
    start();
    append(0, "abcabcabc");
    append(1, "abab");

    wait_seen(13);

    assert_int_equal(b.calls, 1);
    for (char key = 'a'; key <= 'c'; key++)
        assert_run(key, 0, 3);
    assert_run('a', 1, 2);
    assert_run('b', 1, 2);
    end_done(13);
}

static void retry_second_of_b(struct klane_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        if (batch->records[i].offset == 4 && batch->records[i].attempt == 1)
            klane_retry(&batch->records[i], 0, "again");
}

static void an_unfinished_record_ends_its_own_lane_in_a_batch_of_many(void **state)
{
    (void)state;
    init_many(1);
    b.act = retry_second_of_b;
    append(0, "abcabcabc");
    start();

    wait_seen(11);

    for (size_t i = 9; i < 11; i++)
        assert_seen(i, 1, i == 9 ? 4 : 7, i == 9 ? 2 : 1);
    assert_int_equal(b.calls, 2);
    kit_wait_committed(&b.kit, 0, 9);
    end_done(9);
}

static void a_batch_of_many_has_no_more_than_batch_max(void **state)
{
    (void)state;
    init_many(1);
    b.route.batch_max = 4;
    append(0, "abcdefhijklm");
    start();

    wait_seen(12);

    for (size_t i = 0; i < 12; i++) {
        size_t same = 0;

        for (size_t j = 0; j < 12; j++)
            same += b.seen[j].call == b.seen[i].call;
        assert_true(same <= 4);
    }
    end_done(12);
}

/* What came to a lane while its batch waited for a worker does not push the others out. */
static void each_lane_of_a_batch_has_a_place_in_it(void **state)
{
    (void)state;
    init_many(2);
    b.route.batch_min = 3;
    b.route.batch_max = 4;
    b.route.batch_wait_ms = LONG_MS;
    start_with_abc_in_the_ring();
    append(1, "aaaa");
    wait_taken_in(8);

    kit_open(&b.kit);
    wait_seen(7);

    assert_run('a', 1, 2);
    assert_run('b', 1, 1);
    assert_run('c', 1, 1);
    assert_int_equal(b.seen[4].call, 1);
    end_done(8);
}

/* ---- all at once ------------------------------------------------------------------------- */

static void fail_some(struct klane_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        if (batch->records[i].attempt == 1 && batch->records[i].offset % 7 == 3)
            klane_retry(&batch->records[i], batch->records[i].offset % 2, NULL);
}

static bool fails(const struct seen *seen)
{
    return seen->attempt == 1 && seen->offset % 7 == 3;
}

/* Of each lane, records finish in their order, each once; what is behind one that fails in the
 * same call has not run. */
static void assert_order(size_t records)
{
    struct {
        int64_t finished;
        size_t failed; /* in this call, from 1 */
    } lanes[2][5];
    size_t finished = 0;

    for (size_t i = 0; i < 10; i++) {
        lanes[i % 2][i / 2].finished = -1;
        lanes[i % 2][i / 2].failed = 0;
    }
    for (size_t i = 0; i < b.count; i++) {
        const struct seen *seen = &b.seen[i];
        int lane = seen->key - 'a';

        if (lanes[seen->partition][lane].failed == seen->call + 1)
            continue;
        assert_true(seen->offset > lanes[seen->partition][lane].finished);
        if (fails(seen)) {
            lanes[seen->partition][lane].failed = seen->call + 1;
            continue;
        }
        lanes[seen->partition][lane].finished = seen->offset;
        finished++;
    }
    assert_int_equal(finished, records);
}

static void order_holds_for_many_batches_on_many_workers(void **state)
{
    (void)state;
    for (int many = 0; many < 2; many++) {
        init(2);
        b.kit.options.workers = 4;
        b.kit.options.workers_max = 0;
        b.route.batch_keys = many ? KLANE_BATCH_MANY_KEYS : KLANE_BATCH_ONE_KEY;
        b.route.batch_max = 7;
        b.act = fail_some;
        start();
        for (int i = 0; i < 1500; i++)
            append(i % 2, (const char[]){(char)('a' + i / 2 % 5), '\0'});

        wait_done(1500);

        assert_order(1500);
        end_done(1500);
    }
}

/* ---- what is refused --------------------------------------------------------------------- */

static void refused(const char *text)
{
    size_t lines = b.kit.log_lines;

    assert_int_equal(klane_route(b.kit.runtime, &b.route), KLANE_ERR_INVALID);
    kit_wait_lines(&b.kit, lines + 1);
    if (strstr(b.kit.line, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", b.kit.line, text);
}

static void wrong_batches_are_refused_with_their_reason(void **state)
{
    (void)state;
    init(1);
    kit_create(&b.kit);
    b.route.handler = kit_handle;
    refused("handler is set, and batch too");
    b.route.handler = NULL;
    b.route.batch = NULL;
    refused("handler is NULL, and batch too");
    b.route.batch = take_batch;
    b.route.batch_max = 0;
    refused("batch_max is 0, must be from 1 to 4096");
    b.route.batch_max = 4097;
    refused("batch_max is 4097, must be from 1 to 4096");
    b.route.batch_max = 10;
    b.route.batch_min = 11;
    refused("batch_min is 11, must be from 1 to 10");
    b.route.batch_min = 2;
    refused("batch_min is set, but batch_wait_ms is 0");
    b.route.batch_min = 1;
    b.route.batch_wait_ms = 1;
    refused("batch_wait_ms is set, but batch_min is 1");
    b.route.batch_wait_ms = LONG_MS + 1;
    refused("batch_wait_ms is 3600001, must be from 0 to 3600000");
    b.route.batch_wait_ms = 0;
    b.route.batch_keys = (enum klane_batch_keys)2;
    refused("batch_keys is 2, must be from 0 to 1");
    b.route.batch_keys = KLANE_BATCH_ONE_KEY;
    assert_int_equal(klane_route(b.kit.runtime, &b.route), KLANE_OK);
    assert_int_equal(klane_destroy(b.kit.runtime), KLANE_OK);
    free(b.kit.notes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_of_a_key_comes_in_its_order_and_in_parts_of_batch_max),
        cmocka_unit_test(a_short_form_registers_a_batch_function),
        cmocka_unit_test(a_log_that_is_full_at_the_start_comes_in_batches_at_once),
        cmocka_unit_test(a_run_ends_before_a_record_of_another_route),
        cmocka_unit_test(a_record_with_a_weight_comes_alone),
        cmocka_unit_test(a_hot_key_yields_between_two_batches),
        cmocka_unit_test(a_retry_in_a_run_leaves_those_behind_it_unrun),
        cmocka_unit_test(what_is_no_outcome_of_a_batch_is_a_retry),
        cmocka_unit_test(later_is_a_retry_in_a_batch),
        cmocka_unit_test(a_skipped_record_in_a_run_is_finished_with_its_reason),
        cmocka_unit_test(a_dead_letter_in_a_run_is_kept_alone_before_those_behind_it),
        cmocka_unit_test(what_is_said_of_those_behind_an_unfinished_record_is_void),
        cmocka_unit_test(what_is_said_last_counts_and_what_is_not_there_is_refused),
        cmocka_unit_test(a_waiting_record_of_a_run_holds_its_key_and_no_other),
        cmocka_unit_test(many_keys_of_many_partitions_come_at_once_each_in_its_order),
        cmocka_unit_test(an_unfinished_record_ends_its_own_lane_in_a_batch_of_many),
        cmocka_unit_test(a_batch_of_many_has_no_more_than_batch_max),
        cmocka_unit_test(each_lane_of_a_batch_has_a_place_in_it),
        cmocka_unit_test(order_holds_for_many_batches_on_many_workers),
        cmocka_unit_test(wrong_batches_are_refused_with_their_reason),
    };

    return check_run(tests);
}
