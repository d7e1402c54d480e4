/* SPDX-License-Identifier: Apache-2.0 */
/* The helper thread: every request is worked on once, in order, and comes back once. */
#include "lib/check.h"

#include "source/helper.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS 20000
#define IDLE_NEVER_MS 3600000

struct job {
    struct helper_request request;
    uint64_t number;
    uint64_t worked; /* how often */
};

/* The helper writes, the main thread reads what came back, or after the end. */
struct fixture {
    struct helper *helper;
    uint64_t next; /* number of the job that has to be worked on next */
    uint64_t out_of_order;
    struct job own; /* what idle() sends */
    sem_t gate;     /* work waits here if gated */
    bool gated;
    bool waits_for_end; /* work does, if it hears of it */
    char name[16];
    sigset_t blocked;
    _Atomic uint64_t idles;
    _Atomic bool send_own;
};

static void on_work(void *context, struct helper_request *request)
{
    struct fixture *fixture = context;
    struct job *job = (struct job *)(void *)request;

    pthread_getname_np(pthread_self(), fixture->name, sizeof(fixture->name));
    pthread_sigmask(SIG_SETMASK, NULL, &fixture->blocked);
    if (fixture->gated)
        sem_wait(&fixture->gate);
    while (fixture->waits_for_end && !helper_is_ending(fixture->helper))
        sched_yield();
    if (job->number != fixture->next)
        fixture->out_of_order++;
    fixture->next = job->number + 1;
    job->worked++;
}

static struct helper_request *on_idle(void *context)
{
    struct fixture *fixture = context;

    atomic_fetch_add(&fixture->idles, 1);
    return atomic_exchange(&fixture->send_own, false) ? &fixture->own.request : NULL;
}

static const struct helper_ops helper_ops = {.work = on_work, .idle = on_idle};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    assert_int_equal(sem_init(&fixture->gate, 0, 0), 0);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    if (fixture->helper != NULL)
        helper_destroy(fixture->helper);
    sem_destroy(&fixture->gate);
    free(fixture);
    return 0;
}

static void start(struct fixture *fixture, uint32_t idle_ms)
{
    assert_int_equal(helper_create(&helper_ops, fixture, idle_ms, &fixture->helper), KLANE_OK);
}

static bool is_readable(const struct fixture *fixture, int timeout_ms)
{
    struct pollfd wait = {.fd = helper_descriptor(fixture->helper), .events = POLLIN};

    return poll(&wait, 1, timeout_ms) == 1;
}

/* Waits for replies, oldest first. */
static struct helper_request *receive(struct fixture *fixture)
{
    assert_true(is_readable(fixture, PATIENCE_MS));
    return helper_receive(fixture->helper);
}

static void requests_are_worked_on_in_order_and_come_back_once(void **state)
{
    struct fixture *fixture = *state;
    uint64_t count = check_rounds(5000, 2000000);
    struct job *jobs = calloc(count, sizeof(*jobs));
    uint64_t random = check_seed();
    uint64_t sent = 0;
    uint64_t back = 0;

    assert_non_null(jobs);
    start(fixture, IDLE_NEVER_MS);
    while (back < count) {
        for (uint64_t burst = check_random_below(&random, 8); burst > 0 && sent < count;
             burst--) {
            jobs[sent].number = sent;
            helper_send(fixture->helper, &jobs[sent].request);
            sent++;
        }
        if (sent > back)
            for (struct helper_request *each = receive(fixture); each != NULL;
                 each = each->next)
                assert_ptr_equal(each, &jobs[back++].request);
    }

    assert_null(helper_receive(fixture->helper));
    assert_int_equal(fixture->out_of_order, 0);
    for (uint64_t i = 0; i < count; i++)
        assert_int_equal(jobs[i].worked, 1);
    free(jobs);
}

static void the_descriptor_is_readable_only_while_a_reply_waits(void **state)
{
    struct fixture *fixture = *state;
    struct job job = {.number = 0};

    start(fixture, IDLE_NEVER_MS);
    for (uint64_t i = 0; i < 100; i++) {
        job.number = i;
        assert_false(is_readable(fixture, 0));
        helper_send(fixture->helper, &job.request);
        assert_true(is_readable(fixture, PATIENCE_MS));
        assert_ptr_equal(helper_receive(fixture->helper), &job.request);
    }

    assert_null(job.request.next);
    assert_int_equal(job.worked, 100);
}

static void sending_does_not_wait_for_the_work(void **state)
{
    struct fixture *fixture = *state;
    struct job jobs[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
    struct helper_request *reply;

    fixture->gated = true;
    start(fixture, IDLE_NEVER_MS);
    for (int i = 0; i < 3; i++)
        helper_send(fixture->helper, &jobs[i].request);

    /* Nobody opens the gate, and yet all of these return. */
    assert_null(helper_receive(fixture->helper));
    for (int i = 0; i < 3; i++) {
        sem_post(&fixture->gate);
        reply = receive(fixture);
        assert_ptr_equal(reply, &jobs[i].request);
        assert_null(reply->next);
    }
}

static void the_end_comes_after_what_was_sent(void **state)
{
    struct fixture *fixture = *state;
    struct job jobs[50] = {{.number = 0}};

    for (int round = 0; round < 50; round++) {
        start(fixture, IDLE_NEVER_MS);
        fixture->next = 0;
        for (uint64_t i = 0; i < 50; i++) {
            jobs[i].number = i;
            helper_send(fixture->helper, &jobs[i].request);
        }
        helper_destroy(fixture->helper);
        fixture->helper = NULL;

        assert_int_equal(fixture->next, 50);
    }

    assert_int_equal(fixture->out_of_order, 0);
}

static void work_may_stop_to_wait_when_the_end_comes(void **state)
{
    struct fixture *fixture = *state;
    struct job job = {.number = 0};

    fixture->waits_for_end = true;
    start(fixture, IDLE_NEVER_MS);
    helper_send(fixture->helper, &job.request);
    assert_false(is_readable(fixture, 20));
    helper_destroy(fixture->helper);
    fixture->helper = NULL;

    assert_int_equal(job.worked, 1);
}

static void idle_is_called_again_and_again(void **state)
{
    struct fixture *fixture = *state;

    start(fixture, 1);
    /* Two replies of its own can only come from two calls. */
    for (int i = 0; i < 2; i++) {
        atomic_store(&fixture->send_own, true);
        assert_ptr_equal(receive(fixture), &fixture->own.request);
    }

    assert_true(atomic_load(&fixture->idles) >= 2);
}

static void a_nudge_calls_idle_before_its_time(void **state)
{
    struct fixture *fixture = *state;

    start(fixture, IDLE_NEVER_MS);
    for (int i = 0; i < 200; i++) {
        atomic_store(&fixture->send_own, true);
        helper_nudge(fixture->helper);
        assert_ptr_equal(receive(fixture), &fixture->own.request);
    }

    assert_int_equal(atomic_load(&fixture->idles), 200);
}

static void without_a_nudge_idle_waits_for_its_time(void **state)
{
    struct fixture *fixture = *state;
    struct job job = {.number = 0};

    start(fixture, IDLE_NEVER_MS);
    for (uint64_t i = 0; i < 100; i++) {
        job.number = i;
        helper_send(fixture->helper, &job.request);
        assert_ptr_equal(receive(fixture), &job.request);
    }

    assert_int_equal(atomic_load(&fixture->idles), 0);
}

static void the_thread_has_a_name_and_leaves_signals_to_others(void **state)
{
    struct fixture *fixture = *state;
    struct job job = {.number = 0};
    sigset_t own;

    start(fixture, IDLE_NEVER_MS);
    helper_send(fixture->helper, &job.request);
    assert_ptr_equal(receive(fixture), &job.request);
    pthread_sigmask(SIG_SETMASK, NULL, &own);

    assert_string_equal(fixture->name, "klane-helper");
    assert_int_equal(sigismember(&fixture->blocked, SIGTERM), 1);
    assert_int_equal(sigismember(&fixture->blocked, SIGINT), 1);
    assert_int_equal(sigismember(&fixture->blocked, SIGALRM), 1);
    assert_int_equal(sigismember(&fixture->blocked, SIGPIPE), 1);
    assert_int_equal(sigismember(&fixture->blocked, SIGSEGV), 0);
    assert_int_equal(sigismember(&own, SIGTERM), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests_are_worked_on_in_order_and_come_back_once,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(the_descriptor_is_readable_only_while_a_reply_waits,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(sending_does_not_wait_for_the_work, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_comes_after_what_was_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(work_may_stop_to_wait_when_the_end_comes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(idle_is_called_again_and_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_nudge_calls_idle_before_its_time, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_nudge_idle_waits_for_its_time, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_thread_has_a_name_and_leaves_signals_to_others,
                                        setup, teardown),
    };

    return check_run(tests);
}
