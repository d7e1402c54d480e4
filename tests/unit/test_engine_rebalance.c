/* SPDX-License-Identifier: Apache-2.0 */
/* Partitions that come and go under a running runtime, and commits that fail. */
#include "lib/engine_kit.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void a_revoked_partition_is_drained_and_committed(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 2);
    kit.options.commit_interval_ms = 3600000;
    kit_start(&kit);
    for (int i = 0; i < 100; i++)
        kit_append(&kit, 0, "a");
    kit_wait_ended(&kit, 100);

    assert_int_equal(klane_memory_revoke(kit.source, "t", 0, false), KLANE_OK);
    kit_wait_event(&kit, KLANE_EVENT_REVOKED, 1);

    assert_int_equal(kit_committed(&kit, 0), 100);
    assert_int_equal(kit_event(&kit, KLANE_EVENT_REVOKED).offset, 100);
    kit_append(&kit, 0, "a");
    kit_append(&kit, 1, "b");
    kit_wait_ended(&kit, 101);
    assert_int_equal(kit.notes[100].partition, 1);
    assert_int_equal(klane_memory_assign(kit.source, "t", 0), KLANE_OK);
    kit_wait_ended(&kit, 102);
    assert_int_equal(kit.notes[101].offset, 100);
    assert_int_not_equal(kit.notes[101].epoch, kit.notes[0].epoch);
    kit_end(&kit);
}

static void a_drain_ends_at_its_deadline_and_what_runs_counts_as_unfinished(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.options.drain_ms = 30;
    kit.gate = "stuck";
    kit_start(&kit);
    kit_append(&kit, 0, "free");
    kit_append(&kit, 0, "stuck");
    kit_append(&kit, 0, "stuck");
    kit_append(&kit, 0, "free");
    kit_wait_started(&kit, 3);
    kit_wait_ended(&kit, 2);

    assert_int_equal(klane_memory_revoke(kit.source, "t", 0, false), KLANE_OK);
    kit_wait_event(&kit, KLANE_EVENT_REVOKED, 1);

    assert_int_equal(kit_committed(&kit, 0), 1);
    kit_open(&kit);
    kit_wait_ended(&kit, 3);
    assert_int_equal(kit.note_count, 3);
    assert_int_equal(kit_committed(&kit, 0), 1);
    kit_end(&kit);
}

static void a_key_waits_for_the_handler_of_the_partitions_last_stay(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.options.drain_ms = 20;
    kit.gate = "old";
    kit_start(&kit);
    kit_append(&kit, 0, "old");
    kit_append(&kit, 0, "old");
    kit_append(&kit, 0, "new");
    kit_wait_started(&kit, 2);
    kit_wait_ended(&kit, 1);
    assert_int_equal(klane_memory_revoke(kit.source, "t", 0, false), KLANE_OK);
    kit_wait_event(&kit, KLANE_EVENT_REVOKED, 1);

    assert_int_equal(klane_memory_assign(kit.source, "t", 0), KLANE_OK);
    kit_append(&kit, 0, "new");
    kit_wait_ended(&kit, 2);

    /* What it had finished of that key it does not run again. */
    assert_string_equal(kit.notes[2].key, "new");
    assert_int_equal(kit.notes[2].offset, 3);
    assert_int_equal(kit.note_count, 3);
    kit_open(&kit);
    kit_wait_ended(&kit, 5);
    assert_int_equal(kit.notes[3].offset, 0);
    assert_int_equal(kit.notes[4].offset, 1);
    assert_int_not_equal(kit.notes[3].epoch, kit.notes[0].epoch);
    kit_assert_order(&kit);
    klane_stop(kit.runtime);
    assert_int_equal(klane_wait(kit.runtime, 20000), KLANE_OK);
    assert_int_equal(kit_committed(&kit, 0), 4);
    assert_int_equal(kit_stats(&kit).fenced, 1);
    kit_end(&kit);
}

static void nothing_of_a_lost_partition_is_committed(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.options.commit_interval_ms = 3600000;
    kit_start(&kit);
    for (int i = 0; i < 10; i++)
        kit_append(&kit, 0, "a");
    kit_wait_ended(&kit, 10);

    assert_int_equal(klane_memory_revoke(kit.source, "t", 0, true), KLANE_OK);
    kit_wait_event(&kit, KLANE_EVENT_LOST, 1);

    assert_true(kit_committed(&kit, 0) <= 0);
    assert_int_equal(klane_memory_assign(kit.source, "t", 0), KLANE_OK);
    kit_wait_ended(&kit, 20);
    assert_int_equal(kit.notes[10].offset, 0);
    kit_end(&kit);
}

static void (*write_down)(const struct klane_event *event, void *context);

/* While the program hears of the loss, the handler comes back and its lane's next could start. */
static void let_it_end(const struct klane_event *event, void *context)
{
    if (event->type == KLANE_EVENT_LOST) {
        kit_open(context);
        usleep(50 * 1000);
    }
    write_down(event, context);
}

static void nothing_starts_once_the_loss_is_told(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    write_down = kit.options.event;
    kit.options.event = let_it_end;
    kit.gate = "stuck";
    kit_start(&kit);
    kit_append(&kit, 0, "stuck");
    kit_append(&kit, 0, "stuck");
    kit_wait_taken_in(&kit, 2);
    kit_wait_started(&kit, 1);

    assert_int_equal(klane_memory_revoke(kit.source, "t", 0, true), KLANE_OK);
    kit_wait_event(&kit, KLANE_EVENT_LOST, 1);

    assert_int_equal(kit.note_count, 1);
    kit_end(&kit);
}

static klane_token_t kept_token;

static enum klane_outcome keep_token(struct kit *kit, const struct klane_record *record)
{
    if (record->offset > 0 || record->attempt > 1 || kept_token != 0)
        return KLANE_DONE;
    (void)kit;
    return klane_later(record, &kept_token);
}

static void a_completion_for_a_lost_partition_is_fenced(void **state)
{
    struct kit kit;

    (void)state;
    kept_token = 0;
    kit_init(&kit, 1);
    kit.act = keep_token;
    kit_start(&kit);
    kit_append(&kit, 0, "a");
    kit_wait_ended(&kit, 1);
    assert_int_equal(klane_memory_revoke(kit.source, "t", 0, true), KLANE_OK);
    kit_wait_event(&kit, KLANE_EVENT_LOST, 1);
    assert_int_equal(klane_memory_assign(kit.source, "t", 0), KLANE_OK);
    kit_wait_event(&kit, KLANE_EVENT_ASSIGNED, 2);
    assert_true(klane_token_cancelled(kit.runtime, kept_token));
    assert_int_equal(kit.note_count, 1);

    assert_int_equal(klane_finish(kit.runtime, kept_token, KLANE_DONE, -1, NULL),
                     KLANE_ERR_FENCED);
    kit_wait_ended(&kit, 2);

    assert_int_equal(kit.notes[1].offset, 0);
    klane_stop(kit.runtime);
    assert_int_equal(klane_wait(kit.runtime, 20000), KLANE_OK);
    assert_int_equal(kit_committed(&kit, 0), 1);
    kit_end(&kit);
}

static enum klane_outcome wait_until_cancelled(struct kit *kit, const struct klane_record *record)
{
    (void)kit;
    while (!klane_cancelled(record))
        sched_yield();
    return KLANE_RETRY;
}

static void a_handler_can_see_that_its_work_is_in_vain(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.act = wait_until_cancelled;
    kit_start(&kit);
    kit_append(&kit, 0, "a");
    kit_wait_started(&kit, 1);

    assert_int_equal(klane_memory_revoke(kit.source, "t", 0, false), KLANE_OK);

    kit_wait_event(&kit, KLANE_EVENT_REVOKED, 1);
    assert_int_equal(kit_committed(&kit, 0), 0);
    kit_end(&kit);
}

static void a_failed_commit_is_sent_again(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit_start(&kit);
    kit_wait_event(&kit, KLANE_EVENT_COMMITTED, 1);
    klane_memory_fail_commits(kit.source, 2, KLANE_ERR_IO);
    kit_append(&kit, 0, "a");
    kit_wait_event(&kit, KLANE_EVENT_COMMIT_FAILED, 2);

    kit_wait_event(&kit, KLANE_EVENT_COMMITTED, 2);

    assert_int_equal(kit_committed(&kit, 0), 1);
    assert_int_equal(kit_event(&kit, KLANE_EVENT_COMMIT_FAILED).err, KLANE_ERR_IO);
    kit_end(&kit);
}

static void the_last_commit_of_a_partition_may_take_longer_than_its_handlers(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.options.drain_ms = 1000;
    kit.options.commit_interval_ms = 3600000;
    kit_start(&kit);
    kit_wait_event(&kit, KLANE_EVENT_COMMITTED, 1);
    /* Sent again five times a second. */
    klane_memory_fail_commits(kit.source, 7, KLANE_ERR_IO);
    kit_append(&kit, 0, "a");
    kit_wait_ended(&kit, 1);

    assert_int_equal(klane_memory_revoke(kit.source, "t", 0, false), KLANE_OK);
    kit_wait_event(&kit, KLANE_EVENT_REVOKED, 1);

    assert_int_equal(kit_committed(&kit, 0), 1);
    kit_end(&kit);
}

static void commits_come_by_count_before_their_time(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.options.commit_interval_ms = 3600000;
    kit.options.commit_records = 10;
    kit_start(&kit);
    for (int i = 0; i < 100; i++)
        kit_append(&kit, 0, "a");

    kit_wait_committed(&kit, 0, 10);

    kit_end(&kit);
}

static void a_group_that_begins_at_the_latest_record_begins_there_again(void **state)
{
    struct klane_topic topic;
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    for (int i = 0; i < 3; i++)
        kit_append(&kit, 0, "before");
    kit.gate = "stuck";
    kit_create(&kit);
    klane_topic_init(&topic, sizeof(topic));
    topic.name = "t";
    topic.begin = KLANE_BEGIN_LATEST;
    assert_int_equal(klane_topic(kit.runtime, &topic), KLANE_OK);
    assert_int_equal(klane_handle(kit.runtime, "t", kit_handle, &kit), KLANE_OK);
    assert_int_equal(klane_start(kit.runtime), KLANE_OK);
    kit_wait_event(&kit, KLANE_EVENT_COMMITTED, 1);
    assert_int_equal(kit_committed(&kit, 0), 3);
    kit_append(&kit, 0, "stuck");
    kit_wait_started(&kit, 1);

    assert_int_equal(klane_memory_revoke(kit.source, "t", 0, true), KLANE_OK);
    kit_append(&kit, 0, "free");
    assert_int_equal(klane_memory_assign(kit.source, "t", 0), KLANE_OK);
    kit_wait_event(&kit, KLANE_EVENT_ASSIGNED, 2);

    assert_int_equal(kit_event(&kit, KLANE_EVENT_ASSIGNED).offset, 3);
    kit_open(&kit);
    kit_wait_ended(&kit, 3);
    kit_end(&kit);
}

/* Now and then longer than a drain of 5 ms, and than a stop after a loss. */
static enum klane_outcome outlast_a_drain(struct kit *kit, const struct klane_record *record)
{
    const struct timespec pause = {.tv_nsec = 20000000};

    (void)kit;
    if (record->offset % 32 == 0)
        nanosleep(&pause, NULL);
    return KLANE_DONE;
}

static void many_rebalances_lose_and_reorder_nothing(void **state)
{
    uint64_t random = check_seed();
    struct kit kit;
    size_t assigned = 4, revoked = 0, lost = 0;
    char key[16];

    (void)state;
    kit_init(&kit, 4);
    kit.options.workers = 6;
    kit.options.drain_ms = 5;
    kit.act = outlast_a_drain;
    kit_start(&kit);
    kit_wait_event(&kit, KLANE_EVENT_ASSIGNED, 4);
    for (int round = 0; round < 60; round++) {
        int32_t partition = (int32_t)check_random_below(&random, 4);
        bool is_lost = check_random_below(&random, 3) == 0;

        for (int i = 0; i < 20; i++) {
            snprintf(key, sizeof(key), "%d", (int)check_random_below(&random, 5));
            kit_append(&kit, (int32_t)check_random_below(&random, 4), key);
        }
        assert_int_equal(klane_memory_revoke(kit.source, "t", partition, is_lost), KLANE_OK);
        kit_wait_event(&kit, is_lost ? KLANE_EVENT_LOST : KLANE_EVENT_REVOKED,
                       is_lost ? ++lost : ++revoked);
        assert_int_equal(klane_memory_assign(kit.source, "t", partition), KLANE_OK);
        kit_wait_event(&kit, KLANE_EVENT_ASSIGNED, ++assigned);
    }
    kit_append(&kit, 0, "last");

    klane_stop(kit.runtime);
    kit_wait_idle(&kit);

    kit_assert_order(&kit);
    for (size_t i = 0; i < kit.note_count; i++)
        assert_true(kit.notes[i].ended);
    kit_end(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_revoked_partition_is_drained_and_committed),
        cmocka_unit_test(a_drain_ends_at_its_deadline_and_what_runs_counts_as_unfinished),
        cmocka_unit_test(a_key_waits_for_the_handler_of_the_partitions_last_stay),
        cmocka_unit_test(nothing_of_a_lost_partition_is_committed),
        cmocka_unit_test(nothing_starts_once_the_loss_is_told),
        cmocka_unit_test(a_completion_for_a_lost_partition_is_fenced),
        cmocka_unit_test(a_handler_can_see_that_its_work_is_in_vain),
        cmocka_unit_test(a_failed_commit_is_sent_again),
        cmocka_unit_test(the_last_commit_of_a_partition_may_take_longer_than_its_handlers),
        cmocka_unit_test(commits_come_by_count_before_their_time),
        cmocka_unit_test(a_group_that_begins_at_the_latest_record_begins_there_again),
        cmocka_unit_test(many_rebalances_lose_and_reorder_nothing),
    };

    return check_run(tests);
}
