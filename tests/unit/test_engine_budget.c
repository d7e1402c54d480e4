/* SPDX-License-Identifier: Apache-2.0 */
/* The budget through the public functions: refused where it is too small, kept where records are
 * large and handlers heavy, and nothing starves. */
#include "lib/engine_kit.h"

#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)

/* ---- refusals ---------------------------------------------------------------------------- */

static void a_budget_that_is_too_small_is_refused_with_what_is_needed(void **state)
{
    struct klane_runtime *runtime;
    uint64_t needed;
    char errstr[256];
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.options.budget_bytes = 1000;

    assert_int_equal(
        klane_create(&kit.options, kit.source, &runtime, errstr, sizeof(errstr)),
        KLANE_ERR_INVALID);
    assert_int_equal(sscanf(errstr, "budget_bytes is 1000, must be at least %" SCNu64, &needed),
                     1);
    kit.options.budget_bytes = needed - 1;
    assert_int_equal(
        klane_create(&kit.options, kit.source, &runtime, errstr, sizeof(errstr)),
        KLANE_ERR_INVALID);
    assert_int_equal(klane_create(&kit.options, kit.source, &runtime, NULL, 0),
                     KLANE_ERR_INVALID);
    kit.options.budget_bytes = needed;
    kit_start(&kit);
    kit_end(&kit);
}

static uint64_t weight_of(const struct klane_record *record, void *context)
{
    (void)record;
    return *(const uint64_t *)context;
}

static void weigh(struct kit *kit, uint64_t *weight)
{
    struct klane_topic topic;

    klane_topic_init(&topic, sizeof(topic));
    topic.name = "t";
    topic.weight = weight_of;
    topic.weight_context = weight;
    assert_int_equal(klane_topic(kit->runtime, &topic), KLANE_OK);
    assert_int_equal(klane_handle(kit->runtime, "t", kit_handle, kit), KLANE_OK);
}

static void weights_need_a_larger_budget_and_start_says_so(void **state)
{
    uint64_t weight = 1;
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.options.budget_bytes = 32 * MIB;
    kit_create(&kit);
    weigh(&kit, &weight);

    assert_int_equal(klane_start(kit.runtime), KLANE_ERR_INVALID);
    assert_int_equal(kit.log_lines, 1);
    assert_int_equal(klane_destroy(kit.runtime), KLANE_OK);
    free(kit.notes);
}

/* ---- weights ----------------------------------------------------------------------------- */

static _Atomic uint32_t running;
static _Atomic uint32_t running_most;

static enum klane_outcome count_running(struct kit *kit, const struct klane_record *record)
{
    uint32_t now = atomic_fetch_add(&running, 1) + 1;
    uint32_t most = atomic_load(&running_most);

    (void)kit;
    (void)record;
    while (now > most && !atomic_compare_exchange_weak(&running_most, &most, now))
        continue;
    for (int i = 0; i < 3; i++)
        sched_yield();
    atomic_fetch_sub(&running, 1);
    return record->offset % 50 == 0 && record->attempt == 1 ? klane_retry(record, 1, NULL)
                                                           : KLANE_DONE;
}

static void handlers_take_no_more_at_once_than_the_budget_has(void **state)
{
    static const char *const keys[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    uint64_t weight;
    struct kit kit;

    (void)state;
    atomic_store(&running_most, 0);
    kit_init(&kit, 2);
    kit.options.workers = 8;
    kit.options.budget_bytes = 256 * MIB;
    kit.act = count_running;
    kit_create(&kit);
    /* Three of them fit. */
    weight = 60 * MIB;
    weigh(&kit, &weight);
    assert_int_equal(klane_start(kit.runtime), KLANE_OK);
    for (int i = 0; i < 2000; i++)
        kit_append(&kit, i % 2, keys[i % 8]);

    kit_wait_done(&kit, 2000);

    assert_in_range(atomic_load(&running_most), 1, 3);
    klane_stop(kit.runtime);
    assert_int_equal(klane_wait(kit.runtime, 20000), KLANE_OK);
    assert_in_range(kit_stats(&kit).budget_weights, 180 * MIB, 240 * MIB);
    assert_int_equal(kit_stats(&kit).weight_used, 0);
    assert_int_equal(kit_stats(&kit).weight_waits, 0);
    kit_assert_order(&kit);
    kit_end(&kit);
}

static enum klane_outcome sleep_a_moment(struct kit *kit, const struct klane_record *record)
{
    (void)kit;
    (void)record;
    usleep(2000);
    return KLANE_DONE;
}

/* Else each would wait for control to look by itself: 25 s for these. */
static void a_weight_that_comes_free_is_used_at_once(void **state)
{
    uint64_t weight = 1000 * MIB;
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.options.commit_interval_ms = 10000;
    kit.act = sleep_a_moment;
    kit_create(&kit);
    weigh(&kit, &weight);
    assert_int_equal(klane_start(kit.runtime), KLANE_OK);
    for (int i = 0; i < 100; i++)
        kit_append(&kit, 0, NULL);

    kit_wait_done(&kit, 100);

    kit_end(&kit);
}

static void a_weight_above_the_budget_runs_alone_with_an_event(void **state)
{
    uint64_t weight = 1000 * MIB;
    struct kit kit;

    (void)state;
    atomic_store(&running_most, 0);
    kit_init(&kit, 1);
    kit.act = count_running;
    kit_create(&kit);
    weigh(&kit, &weight);
    assert_int_equal(klane_start(kit.runtime), KLANE_OK);
    for (int i = 1; i < 20; i++)
        kit_append(&kit, 0, i % 2 ? "a" : "b");

    kit_wait_done(&kit, 19);

    assert_int_equal(atomic_load(&running_most), 1);
    assert_true(kit_event_count(&kit, KLANE_EVENT_OVER_BUDGET) > 0);
    assert_int_equal(kit_event(&kit, KLANE_EVENT_OVER_BUDGET).value, (int64_t)weight);
    kit_end(&kit);
}

static enum klane_outcome take_your_time(struct kit *kit, const struct klane_record *record)
{
    (void)kit;
    (void)record;
    sched_yield();
    return KLANE_DONE;
}

/* ---- large records ----------------------------------------------------------------------- */

static void append_large(struct kit *kit, int32_t partition, const char *key, size_t size)
{
    static const unsigned char value[40 << 20];
    const struct klane_memory_record record = {
        .key = key, .key_size = strlen(key), .value = value, .value_size = size, .offset = -1};

    assert_int_equal(klane_memory_append(kit->source, "t", partition, &record, NULL), KLANE_OK);
}

static void large_records_come_in_turns_and_none_starves(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 3);
    kit.options.budget_bytes = 32 * MIB;
    kit.options.records_max = 1000;
    kit.act = take_your_time;
    kit_start(&kit);
    for (int i = 0; i < 300; i++) {
        append_large(&kit, 0, i % 2 ? "a" : "b", 1000);
        append_large(&kit, 1, "c", 300000);
        if (i % 10 == 0)
            append_large(&kit, 2, i % 20 ? "d" : "e", 9 * MIB);
    }

    kit_wait_done(&kit, 630);

    assert_in_range(kit_stats(&kit).budget_records, 20 * MIB, 32 * MIB);
    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_OVER_BUDGET), 0);
    assert_int_equal(kit.errors[KLANE_ERR_NOMEM], 0);
    kit_assert_order(&kit);
    kit_end(&kit);
}

static void a_stuck_large_record_stops_no_other_partition(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 2);
    kit.options.budget_bytes = 32 * MIB;
    kit.options.records_max = 1000;
    kit.gate = "stuck";
    kit_start(&kit);
    append_large(&kit, 0, "stuck", 14 * MIB);
    kit_wait_started(&kit, 1);
    /* It does not fit beside the one that is stuck, and its partition waits. */
    append_large(&kit, 0, "large", 14 * MIB);
    for (int i = 0; i < 3000; i++)
        append_large(&kit, 1, i % 2 ? "a" : "b", 2000);

    kit_wait_done(&kit, 3000);
    kit_open(&kit);
    kit_wait_done(&kit, 3002);

    assert_true(kit_event_count(&kit, KLANE_EVENT_HELD) > 0);
    kit_end(&kit);
}

static void a_record_larger_than_the_budget_is_handled_with_an_event(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.options.budget_bytes = 32 * MIB;
    kit_start(&kit);
    append_large(&kit, 0, "a", 1000);
    append_large(&kit, 0, "b", 40 * MIB);
    append_large(&kit, 0, "c", 1000);

    kit_wait_done(&kit, 3);

    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_OVER_BUDGET), 1);
    assert_int_equal(kit_event(&kit, KLANE_EVENT_OVER_BUDGET).offset, 1);
    kit_end(&kit);
}

/* ---- crowds ------------------------------------------------------------------------------ */

#define CROWD_RECORDS 400 /* in each of two partitions */
#define CROWD_ROOM 160
#define HEALTHY 60

static _Atomic bool is_away;

/* The service of two partitions is away, and tried again at once. */
static enum klane_outcome try_service(struct kit *kit, const struct klane_record *record)
{
    (void)kit;
    if (record->partition == 2 || !atomic_load(&is_away))
        return KLANE_DONE;
    usleep(2000);
    return klane_retry(record, 1, "the service is away");
}

static void what_fails_in_memory_and_keeps_workers_busy_shuts_out_no_other_partition(void **state)
{
    struct kit kit;
    char key[KIT_KEY_MAX];

    (void)state;
    atomic_store(&is_away, true);
    kit_init(&kit, 3);
    kit.options.records_max = CROWD_ROOM;
    kit.act = try_service;
    kit_start(&kit);
    for (int i = 0; i < 2 * CROWD_RECORDS; i++) {
        snprintf(key, sizeof(key), "%d", i);
        kit_append(&kit, i % 2, key);
    }
    kit_wait_taken_in(&kit, CROWD_ROOM - CROWD_ROOM / 8);

    for (int i = 0; i < HEALTHY; i++)
        kit_append(&kit, 2, i % 2 ? "a" : "b");
    kit_wait_done(&kit, HEALTHY);
    atomic_store(&is_away, false);

    kit_wait_done(&kit, 2 * CROWD_RECORDS + HEALTHY);
    kit_assert_order(&kit);
    kit_end(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_budget_that_is_too_small_is_refused_with_what_is_needed),
        cmocka_unit_test(weights_need_a_larger_budget_and_start_says_so),
        cmocka_unit_test(handlers_take_no_more_at_once_than_the_budget_has),
        cmocka_unit_test(a_weight_that_comes_free_is_used_at_once),
        cmocka_unit_test(a_weight_above_the_budget_runs_alone_with_an_event),
        cmocka_unit_test(large_records_come_in_turns_and_none_starves),
        cmocka_unit_test(a_stuck_large_record_stops_no_other_partition),
        cmocka_unit_test(a_record_larger_than_the_budget_is_handled_with_an_event),
        cmocka_unit_test(
            what_fails_in_memory_and_keeps_workers_busy_shuts_out_no_other_partition),
    };

    return check_run(tests);
}
