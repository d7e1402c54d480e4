/* SPDX-License-Identifier: Apache-2.0 */
/* A runtime's life through the public functions: options, start, stop, wait, destroy. */
#include "lib/engine_kit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void options_of_an_older_caller_get_the_defaults_for_the_rest(void **state)
{
    struct klane_source *source;
    struct klane_runtime *runtime;
    struct {
        uint32_t struct_size, workers;
    } older = {sizeof(older), 3};

    (void)state;
    assert_int_equal(klane_memory_create(&source), KLANE_OK);

    assert_int_equal(klane_create((const struct klane_options *)(const void *)&older, source,
                                  &runtime, NULL, 0),
                     KLANE_OK);

    assert_int_equal(klane_destroy(runtime), KLANE_OK);
}

static void every_error_has_a_text(void **state)
{
    (void)state;
    for (int err = KLANE_OK; err <= KLANE_ERR_TAKEN; err++)
        assert_string_not_equal(klane_strerror((klane_err_t)err), "an unknown error");
    assert_string_equal(klane_strerror((klane_err_t)999), "an unknown error");
    assert_string_equal(klane_version(), "0.1.0");
}

static void start_refuses_what_is_incomplete(void **state)
{
    struct kit kit;
    struct klane_route route;

    (void)state;
    kit_init(&kit, 1);
    kit_create(&kit);
    assert_int_equal(klane_start(kit.runtime), KLANE_ERR_STATE);
    assert_string_equal(kit.line, "cannot start: no handler was registered");
    klane_route_init(&route, sizeof(route));
    route.topic = "t";
    route.match = KLANE_MATCH_KEY;
    route.key = "a";
    route.key_size = 1;
    route.handler = kit_handle;
    route.context = &kit;
    assert_int_equal(klane_route(kit.runtime, &route), KLANE_OK);
    assert_int_equal(klane_start(kit.runtime), KLANE_ERR_INVALID);
    assert_string_equal(kit.line, "cannot start: topic \"t\" has no handler for all other keys");
    assert_int_equal(klane_wait(kit.runtime, 0), KLANE_ERR_STATE);

    assert_int_equal(klane_handle(kit.runtime, "t", kit_handle, &kit), KLANE_OK);
    assert_int_equal(klane_start(kit.runtime), KLANE_OK);
    assert_int_equal(klane_start(kit.runtime), KLANE_ERR_STATE);
    assert_int_equal(klane_handle(kit.runtime, "u", kit_handle, &kit), KLANE_ERR_STATE);
    assert_int_equal(klane_destroy(kit.runtime), KLANE_ERR_STATE);
    assert_int_equal(klane_wait(kit.runtime, 0), KLANE_ERR_TIMEOUT);
    kit_end(&kit);
}

static void a_topic_that_the_log_lacks_fails_the_start(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit_create(&kit);
    assert_int_equal(klane_handle(kit.runtime, "missing", kit_handle, &kit), KLANE_OK);

    assert_int_equal(klane_start(kit.runtime), KLANE_ERR_NOT_FOUND);
    assert_string_equal(kit.line, "cannot start: the log in memory has no topic \"missing\"");

    assert_int_equal(klane_wait(kit.runtime, 0), KLANE_ERR_NOT_FOUND);
    kit_end(&kit);
}

static void stop_ends_an_idle_runtime_and_commits_what_was_done(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 2);
    kit.options.commit_interval_ms = 3600000;
    kit_start(&kit);
    for (int i = 0; i < 100; i++)
        kit_append(&kit, i % 2, i % 3 == 0 ? "a" : "b");
    kit_wait_ended(&kit, 100);

    klane_stop(kit.runtime);
    klane_stop(kit.runtime);

    assert_int_equal(klane_wait(kit.runtime, 20000), KLANE_OK);
    assert_int_equal(kit_committed(&kit, 0), 50);
    assert_int_equal(kit_committed(&kit, 1), 50);
    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_REVOKED), 2);
    kit_end(&kit);
}

static void a_runtime_stops_by_itself_when_caught_up(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 3);
    kit.options.stop_when_caught_up = true;
    for (int i = 0; i < 300; i++)
        kit_append(&kit, i % 3, "k");
    kit_create(&kit);
    assert_int_equal(klane_handle(kit.runtime, "t", kit_handle, &kit), KLANE_OK);

    assert_int_equal(klane_run(kit.runtime), KLANE_OK);

    assert_int_equal(kit.note_count, 300);
    assert_int_equal(kit_committed(&kit, 2), 100);
    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_CAUGHT_UP), 1);
    kit_end(&kit);
}

static void stop_keeps_its_deadline_when_a_handler_does_not_return(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.options.stop_ms = 300;
    kit.gate = "stuck";
    kit_start(&kit);
    kit_append(&kit, 0, "free");
    kit_append(&kit, 0, "stuck");
    kit_append(&kit, 0, "free");
    kit_wait_started(&kit, 3);
    kit_wait_ended(&kit, 2);

    klane_stop(kit.runtime);

    assert_int_equal(klane_wait(kit.runtime, 20000), KLANE_ERR_BUSY);
    assert_int_equal(klane_destroy(kit.runtime), KLANE_ERR_BUSY);
    assert_int_equal(kit_committed(&kit, 0), 1);
    kit_open(&kit);
    kit_wait_ended(&kit, 3);
    kit_end(&kit);
}

static void stop_keeps_its_deadline_when_no_commit_is_answered(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.options.stop_ms = 300;
    klane_memory_fail_commits(kit.source, 1000, KLANE_ERR_TIMEOUT);
    kit_start(&kit);
    kit_append(&kit, 0, "a");
    kit_wait_ended(&kit, 1);

    klane_stop(kit.runtime);

    assert_int_equal(klane_wait(kit.runtime, 20000), KLANE_OK);
    assert_int_equal(kit_committed(&kit, 0), -1);
    kit_end(&kit);
}

static void last_commits_have_the_time_that_handlers_leave_of_a_stop(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.options.stop_ms = 4000;
    kit.options.commit_interval_ms = 3600000;
    kit_start(&kit);
    kit_wait_event(&kit, KLANE_EVENT_COMMITTED, 1);
    /* Sent again five times a second: for longer than an eighth of the time. */
    klane_memory_fail_commits(kit.source, 5, KLANE_ERR_IO);
    kit_append(&kit, 0, "a");
    kit_wait_ended(&kit, 1);

    klane_stop(kit.runtime);

    assert_int_equal(klane_wait(kit.runtime, 20000), KLANE_OK);
    assert_int_equal(kit_committed(&kit, 0), 1);
    kit_end(&kit);
}

static enum klane_outcome calls_from_inside(struct kit *kit, const struct klane_record *record)
{
    (void)record;
    if (klane_wait(kit->runtime, 0) != KLANE_ERR_STATE)
        return KLANE_SKIP;
    if (klane_destroy(kit->runtime) != KLANE_ERR_STATE)
        return KLANE_SKIP;
    klane_stop(kit->runtime);
    return KLANE_DONE;
}

static void a_handler_may_stop_its_runtime_but_not_wait_for_it(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.act = calls_from_inside;
    kit_start(&kit);
    kit_append(&kit, 0, "a");

    assert_int_equal(klane_wait(kit.runtime, 20000), KLANE_OK);
    assert_int_equal(kit_stats(&kit).done, 1);
    kit_end(&kit);
}

static bool refuse_to_start(void *context, void **local)
{
    (void)context;
    (void)local;
    return false;
}

static void a_worker_that_cannot_start_is_fatal(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.options.worker_start = refuse_to_start;
    for (int i = 0; i < 100; i++)
        kit_append(&kit, 0, NULL);
    kit_start(&kit);

    assert_int_equal(klane_wait(kit.runtime, 20000), KLANE_ERR_FATAL);
    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_FATAL), 1);
    kit_end(&kit);
}

struct locals {
    _Atomic int started;
    _Atomic int stopped;
};

static bool count_start(void *context, void **local)
{
    struct locals *locals = context;

    locals->started++;
    *local = &locals->stopped;
    return true;
}

static void count_stop(void *context, void *local)
{
    (void)context;
    (*(_Atomic int *)local)++;
}

static void worker_start_and_stop_run_once_on_each_worker(void **state)
{
    struct kit kit;
    struct locals locals = {0, 0};

    (void)state;
    kit_init(&kit, 1);
    kit.options.worker_start = count_start;
    kit.options.worker_stop = count_stop;
    kit.options.worker_context = &locals;
    kit_start(&kit);
    kit_append(&kit, 0, "a");
    kit_wait_ended(&kit, 1);
    kit_end(&kit);

    assert_int_equal(locals.started, 4);
    assert_int_equal(locals.stopped, 4);
}

static enum klane_outcome look_at_signals(struct kit *kit, const struct klane_record *record)
{
    sigset_t blocked;

    (void)kit;
    (void)record;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    return sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGINT) &&
                   !sigismember(&blocked, SIGSEGV)
               ? KLANE_DONE
               : KLANE_SKIP;
}

static void workers_leave_signals_to_the_program(void **state)
{
    struct kit kit;
    sigset_t blocked;

    (void)state;
    kit_init(&kit, 1);
    kit.act = look_at_signals;
    kit_start(&kit);
    kit_append(&kit, 0, "a");
    kit_wait_ended(&kit, 1);
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);

    klane_stop(kit.runtime);
    assert_int_equal(klane_wait(kit.runtime, 20000), KLANE_OK);
    assert_int_equal(kit_stats(&kit).done, 1);
    assert_false(sigismember(&blocked, SIGTERM));
    kit_end(&kit);
}

static void a_thousand_workers_start_work_and_end(void **state)
{
    struct kit kit;
    char key[16];

    (void)state;
    kit_init(&kit, 1);
    kit.options.workers = 1000;
    kit.options.stack_bytes = 128 * 1024;
    kit_start(&kit);
    for (int i = 0; i < 3000; i++) {
        snprintf(key, sizeof(key), "%d", i % 1500);
        kit_append(&kit, 0, key);
    }

    kit_wait_ended(&kit, 3000);

    kit_assert_order(&kit);
    kit_end(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_of_an_older_caller_get_the_defaults_for_the_rest),
        cmocka_unit_test(every_error_has_a_text),
        cmocka_unit_test(start_refuses_what_is_incomplete),
        cmocka_unit_test(a_topic_that_the_log_lacks_fails_the_start),
        cmocka_unit_test(stop_ends_an_idle_runtime_and_commits_what_was_done),
        cmocka_unit_test(a_runtime_stops_by_itself_when_caught_up),
        cmocka_unit_test(stop_keeps_its_deadline_when_a_handler_does_not_return),
        cmocka_unit_test(stop_keeps_its_deadline_when_no_commit_is_answered),
        cmocka_unit_test(last_commits_have_the_time_that_handlers_leave_of_a_stop),
        cmocka_unit_test(a_handler_may_stop_its_runtime_but_not_wait_for_it),
        cmocka_unit_test(a_worker_that_cannot_start_is_fatal),
        cmocka_unit_test(worker_start_and_stop_run_once_on_each_worker),
        cmocka_unit_test(workers_leave_signals_to_the_program),
        cmocka_unit_test(a_thousand_workers_start_work_and_end),
    };

    return check_run(tests);
}
