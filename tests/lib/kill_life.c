/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kill_life.h"

#include "lib/check.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    STUCK_KEY = 0,
    RETRIED_KEY = 1,
    RETRY_MS = 5,
    LIFE_RECORDS = 600, /* about */
    COMMITS_WANTED = 12 /* of a life that is waited for */
};

/* ---- the process that is killed ---------------------------------------------------------- */

void kill_must(klane_err_t err, const char *what, const char *text)
{
    if (err == KLANE_OK)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, klane_strerror(err), text);
    _exit(EXIT_FAILURE);
}

static void note(const struct kill_life *life, enum kill_entry_type type,
                 const struct klane_record *record, const struct kill_payload *payload)
{
    kill_note(life->history, type, record->partition, record->offset, payload->key,
              payload->number);
}

static enum klane_outcome handle(const struct klane_record *record, void *context)
{
    const struct kill_life *life = context;
    struct kill_payload payload;
    bool is_stuck, is_retried;

    memcpy(&payload, record->value, sizeof(payload));
    /* One key is stuck, so that all that is finished is finished above the committed offset. */
    is_stuck = payload.key == STUCK_KEY && life->end != KILL_END_LAST;
    is_retried = payload.key == RETRIED_KEY && payload.number % 16 == 4 && record->attempt == 1;
    note(life, KILL_START, record, &payload);
    while (is_stuck && !klane_cancelled(record))
        usleep(1000);
    if (is_stuck || is_retried) {
        note(life, KILL_RETRY, record, &payload);
        return klane_retry(record, RETRY_MS, NULL);
    }
    /* Some take their time, so that death finds records unfinished below finished ones. */
    if (payload.number % 16 == 0)
        usleep(life->slow_us);
    note(life, KILL_END, record, &payload);
    return KLANE_DONE;
}

static void on_event(const struct klane_event *event, void *context)
{
    struct kill_history *history = context;

    if (event->type != KLANE_EVENT_COMMITTED || event->offset < 0)
        return;
    kill_note(history, KILL_COMMITTED, event->partition, event->offset, 0, 0);
    /* Relaxed: a count. */
    atomic_fetch_add_explicit(&history->commits, 1, memory_order_relaxed);
}

static void append_batch(struct kill_life *life)
{
    struct kill_payload payloads[KILL_BATCH_MAX];
    uint32_t count = 1 + (uint32_t)check_random_below(&life->random, KILL_BATCH_MAX);
    /* Relaxed: only this thread writes it, and it counts before the append begins. */
    uint32_t first =
        atomic_fetch_add_explicit(&life->history->numbers, count, memory_order_relaxed);

    for (uint32_t i = 0; i < count; i++) {
        payloads[i].number = first + i;
        payloads[i].key = (uint32_t)check_random_below(&life->random, KILL_KEYS);
    }
    life->ops->append(life, payloads, count);
    for (uint32_t i = 0; i < count; i++)
        /* Relaxed: read when this process is gone. */
        atomic_store_explicit(&life->history->acknowledged[first + i], 1, memory_order_relaxed);
}

static void end_in_order(const struct kill_life *life, struct klane_runtime *runtime)
{
    kill_must(klane_wait(runtime, -1), "wait", "");
    kill_note(life->history, KILL_STOPPED, 0, 0, 0, 0);
    kill_must(klane_destroy(runtime), "destroy", "");
    _exit(EXIT_SUCCESS);
}

static void live(struct kill_life *life)
{
    char errstr[512] = "";
    struct klane_source *source = NULL;
    struct klane_runtime *runtime = NULL;

    kill_note(life->history, KILL_LIFE, 0, 0, 0, 0);
    life->ops->open(life, &source);
    life->options.stop_when_caught_up = life->end == KILL_END_LAST;
    kill_must(klane_create(&life->options, source, &runtime, errstr, sizeof(errstr)), "runtime",
              errstr);
    kill_must(klane_handle(runtime, life->topic, handle, life), "handle", "");
    kill_must(klane_start(runtime), "start", "");
    if (life->end == KILL_END_LAST)
        end_in_order(life, runtime);
    for (uint32_t appended = 0; appended < LIFE_RECORDS; appended += KILL_BATCH_MAX)
        append_batch(life);
    if (life->end == KILL_END_STOPPED) {
        klane_stop(runtime);
        end_in_order(life, runtime);
    }
    for (;;)
        pause();
}

/* ---- the process that kills -------------------------------------------------------------- */

void kill_life_init(struct kill_life *life, struct kill_history *history)
{
    memset(life, 0, sizeof(*life));
    life->history = history;
    klane_options_init(&life->options, sizeof(life->options));
    life->options.event = on_event;
    life->options.event_context = history;
}

static pid_t start_life(struct kill_life *life, uint64_t *random, enum kill_end end)
{
    pid_t parent = getpid();
    pid_t child;

    life->random = check_random(random);
    life->end = end;
    child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(EXIT_FAILURE);
        live(life);
    }
    assert_true(child > 0);
    return child;
}

static void wait_for_commits(const struct kill_life *life, uint32_t before)
{
    for (uint32_t i = 0; i < life->patience_ms; i++) {
        /* Relaxed: a count. */
        if (atomic_load_explicit(&life->history->commits, memory_order_relaxed) - before >=
            COMMITS_WANTED)
            return;
        usleep(1000);
    }
}

void kill_at_random(struct kill_life *life, uint64_t *random, bool waits)
{
    struct timespec delay = {0, 1000 * (long)check_random_below(random, life->delay_us_max)};
    /* Relaxed: a count, and its writers are gone. */
    uint32_t before = atomic_load_explicit(&life->history->commits, memory_order_relaxed);
    pid_t child = start_life(life, random, KILL_END_KILLED);
    int status = 0;

    if (waits)
        wait_for_commits(life, before);
    nanosleep(&delay, NULL);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status))
        fail_msg("the process ended by itself with %d", WEXITSTATUS(status));
}

void kill_let_end(struct kill_life *life, uint64_t *random, enum kill_end end)
{
    int status = 0;
    pid_t child = start_life(life, random, end);

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

void kill_assert_just(const struct kill_history *history, struct kill_counts *counts)
{
    char text[KILL_TEXT_SIZE];

    kill_judge(history, counts, text);
    if (text[0] != '\0')
        fail_msg("%s", text);
}

void kill_assert_counts(const struct kill_counts *counts, uint64_t kills)
{
    print_message("%" PRIu64 " kills, %" PRIu64 " records; %" PRIu64
                  " repeats, of at most %" PRIu64 " (%" PRIu64 " running, %" PRIu64
                  " finished since the last commit); %" PRIu64 " might not run again\n",
                  kills, counts->records, counts->repeats, counts->running + counts->recent,
                  counts->running, counts->recent, counts->kept);
    assert_true(counts->records >= kills);
    assert_true(counts->kept > 0);
    assert_true(counts->repeats > 0);
    assert_true(counts->repeats <= counts->running + counts->recent);
}
