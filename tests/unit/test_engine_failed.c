/* SPDX-License-Identifier: Apache-2.0 */
/* Records that fail: how often and when they run again, and what becomes of those that are given
 * up. Whatever it is, their lane waits for it, and so does their offset. */
#include "lib/engine_kit.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- a route, and a place for dead letters that says what the test wants ------------------- */

struct letter {
    char reason[64];
    int64_t offset;
    uint32_t attempts;
    uint32_t attempt;
};

static struct letters {
    pthread_mutex_t lock;
    struct letter kept[64]; /* each call of the function */
    size_t count;
    size_t failing; /* of the calls to come */
    bool is_later;
    klane_token_t token;
} letters = {.lock = PTHREAD_MUTEX_INITIALIZER};

static enum klane_outcome keep_letter(const struct klane_record *record, void *context)
{
    enum klane_outcome outcome = KLANE_DONE;
    struct letter *letter;

    (void)context;
    pthread_mutex_lock(&letters.lock);
    letter = &letters.kept[letters.count++ % 64];
    letter->offset = record->offset;
    letter->attempt = record->attempt;
    snprintf(letter->reason, sizeof(letter->reason), "%s",
             klane_failure(record, &letter->attempts));
    if (letters.failing > 0) {
        letters.failing--;
        outcome = klane_retry(record, 1, "the place is full");
    } else if (letters.is_later) {
        outcome = klane_later(record, &letters.token);
    }
    pthread_mutex_unlock(&letters.lock);
    return outcome;
}

static size_t letter_count(void)
{
    size_t count;

    pthread_mutex_lock(&letters.lock);
    count = letters.count;
    pthread_mutex_unlock(&letters.lock);
    return count;
}

static void wait_letters(size_t count)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    for (int i = 0; letter_count() < count; i++) {
        if (i == 20000)
            fail_msg("%zu dead letters, not %zu", letter_count(), count);
        nanosleep(&pause, NULL);
    }
}

/* A kit whose handlers do this, and a route of three attempts, then dead letters. */
static void begin(struct kit *kit, struct klane_route *route,
                  enum klane_outcome (*act)(struct kit *kit, const struct klane_record *record))
{
    kit_init(kit, 1);
    kit->act = act;
    letters.count = letters.failing = 0;
    letters.is_later = false;
    kit_route_init(kit, route);
    route->retry_delay_ms = 1;
    route->attempts_max = 3;
    route->exhausted = KLANE_EXHAUSTED_DEAD_LETTER;
    route->dead_letter = keep_letter;
}

/* The key "bad" fails, all others are fine. */
static enum klane_outcome fail_bad(struct kit *kit, const struct klane_record *record)
{
    char reason[32];

    (void)kit;
    if (record->key_size != 3 || memcmp(record->key, "bad", 3) != 0)
        return KLANE_DONE;
    snprintf(reason, sizeof(reason), "for the %u. time", record->attempt);
    return klane_retry(record, -1, reason);
}

/* ---- given up ---------------------------------------------------------------------------- */

static void attempts_that_are_over_stop_the_runtime_by_default(void **state)
{
    struct kit kit;
    struct klane_route route;

    (void)state;
    begin(&kit, &route, fail_bad);
    route.exhausted = KLANE_EXHAUSTED_STOP;
    kit_append(&kit, 0, "good");
    kit_append(&kit, 0, "bad");
    kit_append(&kit, 0, "bad");
    kit_start_with(&kit, NULL, &route);

    assert_int_equal(klane_wait(kit.runtime, 20000), KLANE_ERR_FATAL);

    assert_string_equal(kit.message, "t [0] offset 1: failed 3 times: for the 3. time");
    assert_int_equal(kit_committed(&kit, 0), 1);
    assert_int_equal(kit.note_count, 4);
    kit_end(&kit);
}

static void attempts_that_are_over_skip_the_record_if_the_route_says_so(void **state)
{
    struct kit kit;
    struct klane_route route;

    (void)state;
    begin(&kit, &route, fail_bad);
    route.exhausted = KLANE_EXHAUSTED_SKIP;
    kit_append(&kit, 0, "bad");
    kit_append(&kit, 0, "bad");
    kit_start_with(&kit, NULL, &route);

    kit_wait_committed(&kit, 0, 2);

    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_SKIPPED), 2);
    assert_string_equal(kit.message, "for the 3. time");
    assert_int_equal(kit.note_count, 6);
    kit_assert_order(&kit);
    kit_end(&kit);
}

static void a_record_that_is_given_up_becomes_a_dead_letter(void **state)
{
    struct kit kit;
    struct klane_route route;

    (void)state;
    begin(&kit, &route, fail_bad);
    kit_append(&kit, 0, "bad");
    kit_append(&kit, 0, "good");
    kit_append(&kit, 0, "bad");
    kit_start_with(&kit, NULL, &route);

    kit_wait_committed(&kit, 0, 3);

    assert_int_equal(letters.count, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(letters.kept[i].offset, 2 * i);
        assert_int_equal(letters.kept[i].attempts, 3);
        assert_string_equal(letters.kept[i].reason, "for the 3. time");
    }
    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_DEAD_LETTER), 2);
    assert_int_equal(kit_event(&kit, KLANE_EVENT_DEAD_LETTER).offset, 2);
    assert_int_equal(kit_event(&kit, KLANE_EVENT_DEAD_LETTER).value, 3);
    klane_stop(kit.runtime);
    assert_int_equal(klane_wait(kit.runtime, 20000), KLANE_OK);
    assert_int_equal(kit_stats(&kit).dead_letters, 2);
    assert_int_equal(kit_stats(&kit).done, 1);
    kit_assert_order(&kit);
    kit_end(&kit);
}

static void the_lane_and_the_offset_wait_until_the_dead_letter_is_kept(void **state)
{
    struct kit kit;
    struct klane_route route;

    (void)state;
    begin(&kit, &route, fail_bad);
    letters.failing = 5;
    letters.is_later = true;
    kit_append(&kit, 0, "bad");
    kit_append(&kit, 0, "bad");
    kit_append(&kit, 0, "good");
    kit_start_with(&kit, NULL, &route);

    wait_letters(6);
    kit_wait_ended(&kit, 4);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(letters.kept[i].offset, 0);
        assert_int_equal(letters.kept[i].attempts, 3);
        assert_int_equal(letters.kept[i].attempt, 4 + i);
        assert_string_equal(letters.kept[i].reason, "for the 3. time");
    }
    kit_wait_committed(&kit, 0, 0);
    assert_int_equal(kit.note_count, 4); /* three of the first, and the good one */
    assert_non_null(strstr(kit.line, "a dead letter was not kept"));
    assert_int_equal(klane_finish(kit.runtime, letters.token, KLANE_RETRY, 1, "lost"), KLANE_OK);
    wait_letters(7);
    assert_int_equal(klane_finish(kit.runtime, letters.token, KLANE_DONE, -1, NULL), KLANE_OK);
    wait_letters(8);
    assert_int_equal(letters.kept[7].offset, 1);
    assert_int_equal(klane_finish(kit.runtime, letters.token, KLANE_DONE, -1, NULL), KLANE_OK);
    kit_wait_committed(&kit, 0, 3);
    kit_end(&kit);
}

static enum klane_outcome give_up_at_once(struct kit *kit, const struct klane_record *record)
{
    klane_token_t token;
    enum klane_outcome outcome;

    if (record->offset == 0)
        return klane_dead_letter(record, "no");
    if (record->offset == 1)
        return KLANE_DEAD_LETTER;
    outcome = klane_later(record, &token);
    klane_finish(kit->runtime, token, KLANE_DEAD_LETTER, -1, "never");
    return outcome;
}

static void a_handler_may_give_a_record_up_at_once(void **state)
{
    struct kit kit;
    struct klane_route route;

    (void)state;
    begin(&kit, &route, give_up_at_once);
    route.exhausted = KLANE_EXHAUSTED_STOP;
    route.attempts_max = 0;
    for (int i = 0; i < 3; i++)
        kit_append(&kit, 0, "a");
    kit_start_with(&kit, NULL, &route);

    kit_wait_committed(&kit, 0, 3);

    assert_int_equal(letters.count, 3);
    assert_string_equal(letters.kept[0].reason, "no");
    assert_string_equal(letters.kept[1].reason, "");
    assert_string_equal(letters.kept[2].reason, "never");
    for (int i = 0; i < 3; i++)
        assert_int_equal(letters.kept[i].attempts, 1);
    kit_end(&kit);
}

static enum klane_outcome give_up_or_not(struct kit *kit, const struct klane_record *record)
{
    (void)kit;
    return record->attempt == 1 ? klane_dead_letter(record, "no") : KLANE_DONE;
}

static void without_a_place_for_dead_letters_it_is_a_retry_and_said(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.act = give_up_or_not;
    kit_start_route(&kit, 1, 1000);
    kit_append(&kit, 0, "a");

    kit_wait_committed(&kit, 0, 1);

    assert_non_null(strstr(kit.line, "returned 4, which is no outcome here"));
    assert_int_equal(kit.note_count, 2);
    kit_end(&kit);
}

static void set_failing(size_t failing)
{
    pthread_mutex_lock(&letters.lock);
    letters.failing = failing;
    pthread_mutex_unlock(&letters.lock);
}

/* However often the place has failed: of its handler's attempts there was one. */
static void goes_and_comes_back(bool lost)
{
    struct kit kit;
    struct klane_route route;

    begin(&kit, &route, fail_bad);
    route.attempts_max = 1;
    letters.failing = 1000000;
    kit_append(&kit, 0, "bad");
    kit_start_with(&kit, NULL, &route);
    wait_letters(5);

    assert_int_equal(klane_memory_revoke(kit.source, "t", 0, lost), KLANE_OK);
    kit_wait_event(&kit, lost ? KLANE_EVENT_LOST : KLANE_EVENT_REVOKED, 1);
    set_failing(0);
    assert_int_equal(klane_memory_assign(kit.source, "t", 0), KLANE_OK);
    kit_wait_committed(&kit, 0, 1);
    /* In its new assignment it failed once more, and became one again. */
    assert_int_equal(kit.note_count, 2);
    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_DEAD_LETTER), 1);
    if (!lost)
        assert_int_equal(kit_event(&kit, KLANE_EVENT_DEAD_LETTER).value, 2);
    kit_end(&kit);
}

static void a_dead_letter_of_a_lost_partition_is_made_again(void **state)
{
    (void)state;
    goes_and_comes_back(true);
}

static void a_dead_letter_of_a_partition_given_up_is_made_again(void **state)
{
    (void)state;
    goes_and_comes_back(false);
}

static void own_threads_see_which_records_are_dead_letters(void **state)
{
    struct klane_record record;
    klane_token_t token;
    struct kit kit;
    struct klane_route route;
    uint32_t attempts = 0;

    (void)state;
    begin(&kit, &route, NULL);
    kit.options.workers = 0;
    route.attempts_max = 2;
    kit_append(&kit, 0, "a");
    kit_start_with(&kit, NULL, &route);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(klane_take(kit.runtime, &record, sizeof(record), &token, 20000),
                         KLANE_OK);
        assert_null(klane_failure(&record, &attempts));
        assert_int_equal(klane_finish(kit.runtime, token, KLANE_RETRY, -1, "busy"), KLANE_OK);
    }
    assert_int_equal(klane_take(kit.runtime, &record, sizeof(record), &token, 20000), KLANE_OK);
    assert_string_equal(klane_failure(&record, &attempts), "busy");
    assert_int_equal(attempts, 2);
    kit_wait_committed(&kit, 0, 0);
    assert_int_equal(klane_finish(kit.runtime, token, KLANE_DONE, -1, NULL), KLANE_OK);
    kit_wait_event(&kit, KLANE_EVENT_DEAD_LETTER, 1);
    kit_end(&kit);
}

/* ---- again ------------------------------------------------------------------------------- */

static int64_t starts_ms[16];
static size_t start_count;

static enum klane_outcome note_start(struct kit *kit, const struct klane_record *record)
{
    (void)kit;
    starts_ms[start_count++] = clock_now_ms();
    return record->attempt == 6 ? KLANE_DONE : KLANE_RETRY;
}

static void waits_rise_to_the_largest(void **state)
{
    static const int64_t most[] = {20, 40, 80, 100, 100};
    struct kit kit;
    struct klane_route route;

    (void)state;
    start_count = 0;
    begin(&kit, &route, note_start);
    route.attempts_max = 0;
    route.retry_delay_ms = 20;
    route.retry_delay_max_ms = 100;
    kit_append(&kit, 0, "a");
    kit_start_with(&kit, NULL, &route);

    kit_wait_committed(&kit, 0, 1);

    assert_int_equal(start_count, 6);
    for (size_t i = 0; i < 5; i++)
        assert_true(starts_ms[i + 1] - starts_ms[i] >= most[i] / 2 - 1);
    assert_true(starts_ms[5] - starts_ms[0] < 10000);
    kit_end(&kit);
}

static int64_t back_off(const struct klane_record *record, void *context)
{
    (*(size_t *)context)++;
    return record->attempt < 4 ? 1 : -1;
}

static void a_function_may_say_how_long_and_how_often(void **state)
{
    struct kit kit;
    struct klane_route route;
    size_t asked = 0;

    (void)state;
    begin(&kit, &route, fail_bad);
    route.retry_delay_ms = 3600000;
    route.attempts_max = 0;
    route.backoff = back_off;
    route.backoff_context = &asked;
    kit_append(&kit, 0, "bad");
    kit_start_with(&kit, NULL, &route);

    kit_wait_committed(&kit, 0, 1);

    assert_int_equal(kit.note_count, 4);
    assert_int_equal(letters.kept[0].attempts, 4);
    klane_stop(kit.runtime);
    assert_int_equal(klane_wait(kit.runtime, 20000), KLANE_OK);
    assert_int_equal(asked, 4);
    kit_end(&kit);
}

static void what_is_too_old_is_given_up_when_it_fails(void **state)
{
    struct kit kit;
    struct klane_route route;
    struct klane_memory_record record = {.key = "bad", .key_size = 3, .offset = -1};

    (void)state;
    begin(&kit, &route, fail_bad);
    route.attempts_max = 5;
    route.age_max_ms = 600000;
    record.timestamp_ms = clock_wall_ms() - 700000;
    assert_int_equal(klane_memory_append(kit.source, "t", 0, &record, NULL), KLANE_OK);
    record.timestamp_ms = clock_wall_ms();
    assert_int_equal(klane_memory_append(kit.source, "t", 0, &record, NULL), KLANE_OK);
    record.timestamp_ms = -1;
    assert_int_equal(klane_memory_append(kit.source, "t", 0, &record, NULL), KLANE_OK);
    kit_start_with(&kit, NULL, &route);

    kit_wait_committed(&kit, 0, 3);

    assert_int_equal(letters.kept[0].attempts, 1);
    assert_int_equal(letters.kept[1].attempts, 5);
    assert_int_equal(letters.kept[2].attempts, 5);
    kit_end(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attempts_that_are_over_stop_the_runtime_by_default),
        cmocka_unit_test(attempts_that_are_over_skip_the_record_if_the_route_says_so),
        cmocka_unit_test(a_record_that_is_given_up_becomes_a_dead_letter),
        cmocka_unit_test(the_lane_and_the_offset_wait_until_the_dead_letter_is_kept),
        cmocka_unit_test(a_handler_may_give_a_record_up_at_once),
        cmocka_unit_test(without_a_place_for_dead_letters_it_is_a_retry_and_said),
        cmocka_unit_test(a_dead_letter_of_a_lost_partition_is_made_again),
        cmocka_unit_test(a_dead_letter_of_a_partition_given_up_is_made_again),
        cmocka_unit_test(own_threads_see_which_records_are_dead_letters),
        cmocka_unit_test(waits_rise_to_the_largest),
        cmocka_unit_test(a_function_may_say_how_long_and_how_often),
        cmocka_unit_test(what_is_too_old_is_given_up_when_it_fails),
    };

    return check_run(tests);
}
