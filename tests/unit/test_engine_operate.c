/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator asks for while a runtime works: hold and release, where a lane stands, to end
 * or retry what waits, to commit now; and records with a time of their own. */
#include "lib/engine_kit.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { NEVER_MS = 3600000 };

static klane_err_t hold(struct kit *kit, const char *key)
{
    return klane_hold(kit->runtime, "t", key, key == NULL ? 0 : strlen(key));
}

static klane_err_t release(struct kit *kit, const char *key)
{
    return klane_release(kit->runtime, "t", key, key == NULL ? 0 : strlen(key));
}

static klane_err_t find(struct kit *kit, const char *key, struct klane_blocker *lane)
{
    return klane_lane_find(kit->runtime, "t", -1, key, strlen(key), lane, sizeof(*lane));
}

/* Until its lane is so. */
static struct klane_blocker find_until(struct kit *kit, const char *key,
                                       enum klane_blocker_state state)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    struct klane_blocker lane;

    for (int i = 0; find(kit, key, &lane) != KLANE_OK || lane.state != state; i++) {
        if (i == 20000)
            fail_msg("lane %s is not in state %d", key, (int)state);
        nanosleep(&pause, NULL);
    }
    return lane;
}

static klane_err_t resolve(struct kit *kit, int64_t offset, enum klane_outcome outcome)
{
    return klane_resolve(kit->runtime, "t", 0, offset, outcome, "by hand");
}

/* ---- hold and release -------------------------------------------------------------------- */

static void a_held_key_waits_and_others_go_on(void **state)
{
    struct klane_blocker lane;
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit_start(&kit);
    assert_int_equal(hold(&kit, "a"), KLANE_OK);
    assert_int_equal(hold(&kit, "a"), KLANE_OK);
    kit_append(&kit, 0, "a");
    kit_append(&kit, 0, "a");
    for (int i = 0; i < 10; i++)
        kit_append(&kit, 0, "b");
    kit_wait_ended(&kit, 10);

    lane = find_until(&kit, "a", KLANE_BLOCKER_HELD);
    assert_int_equal(lane.offset, 0);
    assert_int_equal(lane.attempts, 0);
    assert_int_equal(lane.partition, 0);
    assert_int_equal(release(&kit, "b"), KLANE_ERR_NOT_FOUND);
    assert_int_equal(release(&kit, "a"), KLANE_OK);
    kit_wait_committed(&kit, 0, 12);
    assert_int_equal(release(&kit, "a"), KLANE_ERR_NOT_FOUND);
    kit_end(&kit);
}

/* The handler runs while its key is held, with a hundred behind it in the chain. */
static void what_runs_ends_and_nothing_follows_it(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.gate = "a";
    kit_start(&kit);
    for (int i = 0; i < 100; i++)
        kit_append(&kit, 0, "a");
    kit_wait_started(&kit, 1);
    assert_int_equal(hold(&kit, "a"), KLANE_OK);
    kit_open(&kit);
    kit_wait_ended(&kit, 1);
    kit_append(&kit, 0, "b");
    kit_wait_ended(&kit, 2);
    find_until(&kit, "a", KLANE_BLOCKER_HELD);
    assert_int_equal(kit_key_starts(&kit, "a"), 1);

    assert_int_equal(release(&kit, "a"), KLANE_OK);
    kit_wait_committed(&kit, 0, 101);
    kit_assert_order(&kit);
    kit_end(&kit);
}

static void everything_is_held_and_released(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 2);
    kit_start(&kit);
    kit_append(&kit, 0, "a");
    kit_wait_ended(&kit, 1);
    assert_int_equal(klane_hold(kit.runtime, NULL, NULL, 0), KLANE_OK);
    assert_int_equal(hold(&kit, NULL), KLANE_OK);
    kit_append(&kit, 0, NULL);
    kit_append(&kit, 1, "b");
    kit_wait_event(&kit, KLANE_EVENT_HELD, 2);
    assert_int_equal(klane_release(kit.runtime, NULL, NULL, 0), KLANE_OK);
    assert_int_equal(kit_key_starts(&kit, "b") + kit_key_starts(&kit, "(null)"), 0);
    assert_int_equal(release(&kit, NULL), KLANE_OK);
    kit_wait_ended(&kit, 3);
    kit_end(&kit);
}

static void what_cannot_be_held_is_refused(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit_create(&kit);
    assert_int_equal(klane_handle(kit.runtime, "t", kit_handle, &kit), KLANE_OK);
    assert_int_equal(klane_hold(kit.runtime, NULL, NULL, 0), KLANE_ERR_STATE);
    assert_int_equal(klane_start(kit.runtime), KLANE_OK);
    assert_int_equal(klane_hold(NULL, NULL, NULL, 0), KLANE_ERR_INVALID);
    assert_int_equal(klane_hold(kit.runtime, NULL, "a", 1), KLANE_ERR_INVALID);
    assert_int_equal(klane_hold(kit.runtime, "t", NULL, 1), KLANE_ERR_INVALID);
    assert_int_equal(klane_hold(kit.runtime, "t", "", 0), KLANE_OK);
    kit_end(&kit);
}

/* ---- resolve ----------------------------------------------------------------------------- */

static enum klane_outcome fail_bad_ones(struct kit *kit, const struct klane_record *record)
{
    (void)kit;
    if (record->attempt > 1 || record->key == NULL || memcmp(record->key, "bad", 3) != 0)
        return KLANE_DONE;
    return klane_retry(record, NEVER_MS, "away");
}

static void start_failing(struct kit *kit)
{
    kit_init(kit, 1);
    kit->act = fail_bad_ones;
    kit_start(kit);
    kit_append(kit, 0, "bad");
    kit_append(kit, 0, "bad");
    kit_append(kit, 0, "b");
    kit_wait_done(kit, 1);
    find_until(kit, "bad", KLANE_BLOCKER_RETRY);
}

static void a_waiting_record_is_retried_at_once(void **state)
{
    struct klane_blocker lane;
    struct kit kit;

    (void)state;
    start_failing(&kit);
    assert_int_equal(resolve(&kit, 1, KLANE_RETRY), KLANE_ERR_BUSY);
    assert_int_equal(resolve(&kit, 2, KLANE_RETRY), KLANE_ERR_NOT_FOUND);
    assert_int_equal(resolve(&kit, 0, KLANE_RETRY), KLANE_OK);
    /* Its follower fails now. */
    kit_wait_ended(&kit, 4);
    kit_wait_committed(&kit, 0, 1);
    lane = find_until(&kit, "bad", KLANE_BLOCKER_RETRY);
    assert_int_equal(lane.offset, 1);
    kit_end(&kit);
}

static void a_waiting_record_is_ended(void **state)
{
    struct kit kit;

    (void)state;
    start_failing(&kit);
    assert_int_equal(resolve(&kit, 0, KLANE_SKIP), KLANE_OK);
    kit_wait_event(&kit, KLANE_EVENT_SKIPPED, 1);
    assert_string_equal(kit.message, "by hand");
    kit_wait_ended(&kit, 3);
    find_until(&kit, "bad", KLANE_BLOCKER_RETRY);
    assert_int_equal(resolve(&kit, 1, KLANE_DEAD_LETTER), KLANE_ERR_STATE);
    assert_int_equal(resolve(&kit, 1, KLANE_DONE), KLANE_OK);
    kit_wait_committed(&kit, 0, 3);
    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_SKIPPED), 1);
    assert_int_equal(resolve(&kit, 1, KLANE_DONE), KLANE_ERR_NOT_FOUND);
    assert_int_equal(resolve(&kit, 0, KLANE_LATER), KLANE_ERR_INVALID);
    assert_int_equal(klane_resolve(kit.runtime, "u", 0, 0, KLANE_DONE, NULL),
                     KLANE_ERR_NOT_FOUND);
    kit_end(&kit);
}

static enum klane_outcome keep(const struct klane_record *record, void *context)
{
    struct kit *kit = context;

    pthread_mutex_lock(&kit->lock);
    snprintf(kit->line, sizeof(kit->line), "%s", klane_failure(record, NULL));
    pthread_mutex_unlock(&kit->lock);
    return KLANE_DONE;
}

static void a_waiting_record_becomes_a_dead_letter(void **state)
{
    struct klane_route route;
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.act = fail_bad_ones;
    kit_route_init(&kit, &route);
    route.dead_letter = keep;
    route.dead_letter_context = &kit;
    kit_start_with(&kit, NULL, &route);
    kit_append(&kit, 0, "bad");
    find_until(&kit, "bad", KLANE_BLOCKER_RETRY);
    assert_int_equal(resolve(&kit, 0, KLANE_DEAD_LETTER), KLANE_OK);
    kit_wait_event(&kit, KLANE_EVENT_DEAD_LETTER, 1);
    kit_wait_committed(&kit, 0, 1);
    assert_string_equal(kit.line, "by hand");
    kit_end(&kit);
}

static klane_token_t kept_token;

static enum klane_outcome keep_token(struct kit *kit, const struct klane_record *record)
{
    (void)kit;
    return klane_later(record, &kept_token);
}

/* Its token was lost, say. */
static int64_t due_late(const struct klane_record *record, void *context)
{
    (void)record;
    (void)context;
    return clock_wall_ms() + NEVER_MS;
}

static void a_scheduled_record_becomes_a_dead_letter_at_once(void **state)
{
    struct klane_topic topic;
    struct klane_route route;
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    klane_topic_init(&topic, sizeof(topic));
    topic.name = "t";
    topic.due = due_late;
    kit_route_init(&kit, &route);
    route.dead_letter = keep;
    route.dead_letter_context = &kit;
    kit_start_with(&kit, &topic, &route);
    kit_append(&kit, 0, "a");
    find_until(&kit, "a", KLANE_BLOCKER_SCHEDULED);
    assert_int_equal(resolve(&kit, 0, KLANE_DEAD_LETTER), KLANE_OK);
    kit_wait_event(&kit, KLANE_EVENT_DEAD_LETTER, 1);
    assert_int_equal(kit_event(&kit, KLANE_EVENT_DEAD_LETTER).value, 0);
    kit_wait_committed(&kit, 0, 1);
    kit_end(&kit);
}

static void what_others_were_to_finish_is_ended(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.act = keep_token;
    kit_start(&kit);
    kit_append(&kit, 0, "a");
    kit_wait_ended(&kit, 1);
    find_until(&kit, "a", KLANE_BLOCKER_LATER);
    assert_int_equal(resolve(&kit, 0, KLANE_SKIP), KLANE_OK);
    kit_wait_event(&kit, KLANE_EVENT_SKIPPED, 1);
    assert_string_equal(kit.message, "by hand");
    kit_wait_committed(&kit, 0, 1);
    assert_int_equal(klane_finish(kit.runtime, kept_token, KLANE_DONE, -1, NULL),
                     KLANE_ERR_STALE);
    kit_end(&kit);
}

static void what_runs_is_left_alone(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.gate = "a";
    kit_start(&kit);
    kit_append(&kit, 0, "a");
    kit_wait_started(&kit, 1);
    assert_int_equal(resolve(&kit, 0, KLANE_SKIP), KLANE_ERR_BUSY);
    kit_open(&kit);
    kit_wait_committed(&kit, 0, 1);
    kit_end(&kit);
}

/* In a new stay only the place of its lane is known. */
static void a_parked_head_is_retried_or_ended(void **state)
{
    struct klane_blocker lane;
    struct kit kit;

    (void)state;
    start_failing(&kit);
    for (size_t stay = 1; stay <= 2; stay++) {
        assert_int_equal(klane_memory_revoke(kit.source, "t", 0, false), KLANE_OK);
        kit_wait_event(&kit, KLANE_EVENT_REVOKED, stay);
        assert_int_equal(klane_memory_assign(kit.source, "t", 0), KLANE_OK);
        kit_wait_event(&kit, KLANE_EVENT_ASSIGNED, stay + 1);
        lane = find_until(&kit, "bad", KLANE_BLOCKER_PARKED);
        assert_true(lane.due_ms > 1000);
        assert_int_equal(resolve(&kit, lane.offset, KLANE_DEAD_LETTER), KLANE_ERR_STATE);
        assert_int_equal(resolve(&kit, lane.offset, stay == 1 ? KLANE_RETRY : KLANE_SKIP),
                         KLANE_OK);
        if (stay == 1) {
            kit_wait_committed(&kit, 0, 1);
            find_until(&kit, "bad", KLANE_BLOCKER_RETRY);
        }
    }
    kit_wait_event(&kit, KLANE_EVENT_SKIPPED, 1);
    kit_wait_committed(&kit, 0, 3);
    kit_end(&kit);
}

/* ---- their own time ---------------------------------------------------------------------- */

static int64_t due_by_key(const struct klane_record *record, void *context)
{
    (void)context;
    return record->key_size == 4 ? clock_wall_ms() + NEVER_MS : 0;
}

static void start_with(struct kit *kit, const struct klane_topic *topic)
{
    struct klane_route route;

    kit_route_init(kit, &route);
    kit_start_with(kit, topic, &route);
}

static void a_function_says_when_a_record_may_run(void **state)
{
    struct klane_blocker lane;
    struct klane_topic topic;
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    klane_topic_init(&topic, sizeof(topic));
    topic.name = "t";
    topic.due = due_by_key;
    start_with(&kit, &topic);
    kit_append(&kit, 0, "late");
    kit_append(&kit, 0, "now");
    kit_wait_ended(&kit, 1);
    lane = find_until(&kit, "late", KLANE_BLOCKER_SCHEDULED);
    assert_true(lane.due_ms > NEVER_MS / 2 && lane.due_ms <= NEVER_MS);
    assert_int_equal(lane.attempts, 0);

    assert_int_equal(resolve(&kit, 0, KLANE_RETRY), KLANE_OK);
    kit_wait_committed(&kit, 0, 2);
    kit_end(&kit);
}

static void append_due(struct kit *kit, const char *key, const char *due)
{
    const struct klane_header_in header = {"due", due, due == NULL ? 0 : strlen(due)};
    const struct klane_memory_record record = {.key = key,
                                               .key_size = strlen(key),
                                               .headers = &header,
                                               .header_count = 1,
                                               .timestamp_ms = -1,
                                               .offset = -1};

    assert_int_equal(klane_memory_append(kit->source, "t", 0, &record, NULL), KLANE_OK);
}

static void a_header_says_when_a_record_may_run(void **state)
{
    struct klane_topic topic;
    char name[] = "due", text[32];
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    klane_topic_init(&topic, sizeof(topic));
    topic.name = "t";
    topic.due_header = name;
    start_with(&kit, &topic);
    memset(name, 'x', 3);
    snprintf(text, sizeof(text), "%lld", (long long)(clock_wall_ms() + NEVER_MS));
    append_due(&kit, "late", text);
    snprintf(text, sizeof(text), "%lld", (long long)(clock_wall_ms() + 50));
    append_due(&kit, "soon", text);
    append_due(&kit, "past", "1");
    append_due(&kit, "none", NULL);
    append_due(&kit, "bad", "12 o'clock");
    append_due(&kit, "huge", "99999999999999999999");
    kit_append(&kit, 0, "plain");
    kit_wait_ended(&kit, 6);

    assert_int_equal(kit_key_starts(&kit, "late"), 0);
    assert_int_equal(kit_key_starts(&kit, "soon"), 1);
    assert_non_null(strstr(kit.line, "offset 3: header due is no time in milliseconds"));
    find_until(&kit, "late", KLANE_BLOCKER_SCHEDULED);
    kit_end(&kit);
}

static void a_header_and_what_hides_it_are_refused(void **state)
{
    struct klane_topic topic;
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit_create(&kit);
    klane_topic_init(&topic, sizeof(topic));
    topic.name = "t";
    topic.due_header = "due";
    topic.without_headers = true;
    assert_int_equal(klane_topic(kit.runtime, &topic), KLANE_ERR_INVALID);
    assert_non_null(strstr(kit.line, "due_header is set beside without_headers"));
    topic.without_headers = false;
    topic.due = due_by_key;
    assert_int_equal(klane_topic(kit.runtime, &topic), KLANE_ERR_INVALID);
    assert_non_null(strstr(kit.line, "due_header is set beside due"));
    assert_int_equal(klane_handle(kit.runtime, "t", kit_handle, &kit), KLANE_OK);
    assert_int_equal(klane_start(kit.runtime), KLANE_OK);
    kit_end(&kit);
}

/* ---- commit ------------------------------------------------------------------------------ */

static void what_is_finished_is_committed_on_demand(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 2);
    kit.options.commit_interval_ms = NEVER_MS;
    kit.gate = "stuck";
    kit_start(&kit);
    assert_int_equal(klane_commit(kit.runtime, 20000), KLANE_OK);
    for (int i = 0; i < 1000; i++)
        kit_append(&kit, i % 2, "a");
    kit_append(&kit, 0, "stuck");
    kit_wait_done(&kit, 1000);

    assert_int_equal(klane_commit(kit.runtime, -1), KLANE_OK);

    assert_int_equal(kit_committed(&kit, 0), 500);
    assert_int_equal(kit_committed(&kit, 1), 500);
    /* Nothing is new. */
    assert_int_equal(klane_commit(kit.runtime, 0), KLANE_OK);
    assert_int_equal(klane_commit(NULL, 0), KLANE_ERR_INVALID);
    kit_end(&kit);
}

static void a_commit_that_is_not_answered_is_waited_for_in_vain(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.options.commit_interval_ms = NEVER_MS;
    kit_start(&kit);
    assert_int_equal(klane_commit(kit.runtime, 20000), KLANE_OK);
    klane_memory_fail_commits(kit.source, UINT32_MAX, KLANE_ERR_IO);
    kit_append(&kit, 0, "a");
    kit_wait_done(&kit, 1);
    assert_int_equal(klane_commit(kit.runtime, 30), KLANE_ERR_TIMEOUT);
    klane_memory_fail_commits(kit.source, 0, KLANE_OK);
    assert_int_equal(klane_commit(kit.runtime, 20000), KLANE_OK);
    assert_int_equal(kit_committed(&kit, 0), 1);
    kit_end(&kit);
}

static klane_err_t commit_err;

static void *commit_for_ever(void *kit)
{
    commit_err = klane_commit(((struct kit *)kit)->runtime, -1);
    return NULL;
}

static void what_is_lost_is_not_said_to_be_committed(void **state)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    pthread_t thread;
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit_start(&kit);
    assert_int_equal(klane_commit(kit.runtime, 20000), KLANE_OK);
    klane_memory_fail_commits(kit.source, UINT32_MAX, KLANE_ERR_IO);
    kit_append(&kit, 0, "a");
    kit_wait_done(&kit, 1);
    assert_int_equal(pthread_create(&thread, NULL, commit_for_ever, &kit), 0);
    nanosleep(&pause, NULL); /* for it to be asked: else nothing is left to commit */
    assert_int_equal(klane_memory_revoke(kit.source, "t", 0, true), KLANE_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(commit_err == KLANE_ERR_FENCED || commit_err == KLANE_OK);
    kit_end(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_held_key_waits_and_others_go_on),
        cmocka_unit_test(what_runs_ends_and_nothing_follows_it),
        cmocka_unit_test(everything_is_held_and_released),
        cmocka_unit_test(what_cannot_be_held_is_refused),
        cmocka_unit_test(a_waiting_record_is_retried_at_once),
        cmocka_unit_test(a_waiting_record_is_ended),
        cmocka_unit_test(a_waiting_record_becomes_a_dead_letter),
        cmocka_unit_test(a_scheduled_record_becomes_a_dead_letter_at_once),
        cmocka_unit_test(what_others_were_to_finish_is_ended),
        cmocka_unit_test(what_runs_is_left_alone),
        cmocka_unit_test(a_parked_head_is_retried_or_ended),
        cmocka_unit_test(a_function_says_when_a_record_may_run),
        cmocka_unit_test(a_header_says_when_a_record_may_run),
        cmocka_unit_test(a_header_and_what_hides_it_are_refused),
        cmocka_unit_test(what_is_finished_is_committed_on_demand),
        cmocka_unit_test(a_commit_that_is_not_answered_is_waited_for_in_vain),
        cmocka_unit_test(what_is_lost_is_not_said_to_be_committed),
    };

    return check_run(tests);
}
