/* SPDX-License-Identifier: Apache-2.0 */
/* What klane_blocker() says of the record that keeps a partition's base where it is. */
#include "lib/engine_kit.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static klane_token_t kept_token;

static struct klane_blocker ask(struct kit *kit)
{
    struct klane_blocker blocker;

    assert_int_equal(klane_blocker(kit->runtime, "t", 0, &blocker, sizeof(blocker)), KLANE_OK);
    return blocker;
}

/* Until it is so; what is asked for is seldom so at once. */
static struct klane_blocker ask_until(struct kit *kit, enum klane_blocker_state state)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    struct klane_blocker blocker = ask(kit);

    for (int i = 0; blocker.state != state; i++) {
        if (i == 20000)
            fail_msg("state %d, not %d", (int)blocker.state, (int)state);
        nanosleep(&pause, NULL);
        blocker = ask(kit);
    }
    return blocker;
}

static void assert_key(const struct klane_blocker *blocker, const char *key)
{
    assert_int_equal(blocker->key_size, strlen(key));
    assert_memory_equal(blocker->key, key, strlen(key));
    assert_int_not_equal(blocker->fingerprint, 0);
}

static void nothing_blocks_what_is_finished(void **state)
{
    struct klane_blocker blocker;
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit_start(&kit);
    kit_append(&kit, 0, "a");
    kit_wait_committed(&kit, 0, 1);

    assert_int_equal(klane_blocker(kit.runtime, "t", 0, &blocker, sizeof(blocker)),
                     KLANE_ERR_NOT_FOUND);
    assert_int_equal(klane_blocker(kit.runtime, "t", 1, &blocker, sizeof(blocker)),
                     KLANE_ERR_NOT_FOUND);
    assert_int_equal(klane_blocker(kit.runtime, "u", 0, &blocker, sizeof(blocker)),
                     KLANE_ERR_NOT_FOUND);
    assert_int_equal(klane_blocker(kit.runtime, NULL, 0, &blocker, sizeof(blocker)),
                     KLANE_ERR_INVALID);
    assert_int_equal(klane_blocker(kit.runtime, "t", 0, NULL, 1), KLANE_ERR_INVALID);
    kit_end(&kit);
}

static void a_handler_that_runs_is_named_with_its_worker_and_key(void **state)
{
    struct klane_blocker blocker;
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.gate = "stuck";
    kit_start(&kit);
    kit_append(&kit, 0, "a");
    kit_append(&kit, 0, "stuck");
    kit_append(&kit, 0, "b");
    kit_wait_ended(&kit, 2);
    kit_wait_committed(&kit, 0, 1);

    blocker = ask_until(&kit, KLANE_BLOCKER_RUNNING);

    assert_int_equal(blocker.offset, 1);
    assert_int_equal(blocker.attempts, 1);
    assert_true(blocker.worker >= 0 && blocker.worker < 4);
    assert_int_equal(blocker.age_ms, -1);
    assert_false(blocker.is_dead_letter);
    assert_key(&blocker, "stuck");
    kit_end(&kit);
}

static enum klane_outcome fail_for_long(struct kit *kit, const struct klane_record *record)
{
    (void)kit;
    return klane_retry(record, record->attempt < 3 ? 1 : 3600000, "away");
}

static void a_record_that_waits_says_how_long_and_after_how_many_attempts(void **state)
{
    struct klane_memory_record record = {.key = "bad", .key_size = 3, .offset = -1};
    struct klane_blocker blocker;
    struct kit kit;

    (void)state;
    record.timestamp_ms = clock_wall_ms() - 5000;
    kit_init(&kit, 1);
    kit.act = fail_for_long;
    assert_int_equal(klane_memory_append(kit.source, "t", 0, &record, NULL), KLANE_OK);
    kit_start(&kit);
    kit_wait_ended(&kit, 3);

    do {
        blocker = ask_until(&kit, KLANE_BLOCKER_RETRY);
    } while (blocker.attempts < 3);

    assert_int_equal(blocker.attempts, 3);
    assert_true(blocker.due_ms > 3500000 && blocker.due_ms <= 3600000);
    assert_true(blocker.age_ms >= 5000 && blocker.age_ms < 100000);
    assert_int_equal(blocker.worker, -1);
    assert_key(&blocker, "bad");
    kit_end(&kit);
}

static enum klane_outcome keep_token(struct kit *kit, const struct klane_record *record)
{
    enum klane_outcome outcome = klane_later(record, &kept_token);

    (void)kit;
    return outcome;
}

static void a_record_without_a_key_waits_for_its_token(void **state)
{
    struct klane_blocker blocker;
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.act = keep_token;
    kit_start(&kit);
    kit_append(&kit, 0, NULL);
    kit_wait_ended(&kit, 1);

    blocker = ask_until(&kit, KLANE_BLOCKER_LATER);

    assert_int_equal(blocker.offset, 0);
    assert_int_equal(blocker.attempts, 1);
    assert_int_equal(blocker.key_size, -1);
    assert_int_equal(blocker.fingerprint, 0);
    assert_int_equal(klane_finish(kit.runtime, kept_token, KLANE_DONE, -1, NULL), KLANE_OK);
    kit_end(&kit);
}

static enum klane_outcome place_is_full(const struct klane_record *record, void *context)
{
    (void)context;
    return klane_retry(record, 3600000, "full");
}

static void a_dead_letter_that_is_not_kept_is_told_as_one(void **state)
{
    struct klane_blocker blocker;
    struct klane_route route;
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.act = fail_for_long;
    kit_route_init(&kit, &route);
    route.attempts_max = 2;
    route.exhausted = KLANE_EXHAUSTED_DEAD_LETTER;
    route.dead_letter = place_is_full;
    kit_start_with(&kit, NULL, &route);
    kit_append(&kit, 0, "bad");
    kit_wait_ended(&kit, 2);

    do {
        blocker = ask_until(&kit, KLANE_BLOCKER_RETRY);
    } while (!blocker.is_dead_letter || blocker.due_ms < 1000);

    assert_int_equal(blocker.attempts, 2);
    assert_key(&blocker, "bad");
    kit_end(&kit);
}

/* In a new assignment it is only known from the map that was committed. */
static void a_parked_lane_is_told_by_its_fingerprint(void **state)
{
    struct klane_blocker blocker;
    struct kit kit;
    uint64_t fingerprint;

    (void)state;
    kit_init(&kit, 1);
    kit.act = fail_for_long;
    kit_start(&kit);
    kit_append(&kit, 0, "bad");
    kit_wait_ended(&kit, 3);
    do {
        blocker = ask_until(&kit, KLANE_BLOCKER_RETRY);
    } while (blocker.attempts < 3);
    fingerprint = blocker.fingerprint;
    assert_int_equal(klane_memory_revoke(kit.source, "t", 0, false), KLANE_OK);
    kit_wait_event(&kit, KLANE_EVENT_REVOKED, 1);
    assert_int_equal(klane_memory_assign(kit.source, "t", 0), KLANE_OK);
    kit_wait_event(&kit, KLANE_EVENT_ASSIGNED, 2);

    blocker = ask_until(&kit, KLANE_BLOCKER_PARKED);

    assert_int_equal(blocker.offset, 0);
    assert_int_equal(blocker.attempts, 3);
    assert_true(blocker.due_ms > 3500000 && blocker.due_ms <= 3600000);
    assert_int_equal(blocker.key_size, -1);
    assert_int_equal(blocker.fingerprint, fingerprint);
    kit_end(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_blocks_what_is_finished),
        cmocka_unit_test(a_handler_that_runs_is_named_with_its_worker_and_key),
        cmocka_unit_test(a_record_that_waits_says_how_long_and_after_how_many_attempts),
        cmocka_unit_test(a_record_without_a_key_waits_for_its_token),
        cmocka_unit_test(a_dead_letter_that_is_not_kept_is_told_as_one),
        cmocka_unit_test(a_parked_lane_is_told_by_its_fingerprint),
    };

    return check_run(tests);
}
