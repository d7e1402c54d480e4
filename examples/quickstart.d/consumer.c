/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What a consuming program consists of: options, a source, a handler, klane_run(). The handler
 * says done only after the table has taken the change over; a change that does not fit stays
 * unfinished and stops the process.
 *
 * Upholds: nothing passes a record that failed, neither a later one of its path nor a commit.
 */
#include "consumer.h"

#include "fold.h"
#include "interrupt.h"

#include <stdlib.h>
#include <time.h>

/** A key is held up once this part of all records is done. */
#define HOLD_AFTER_PART 10
/** It is let go when the others have done this part of all records ... */
#define HOLD_PART 4
/** ... or have stood still for so long, ... */
#define HOLD_IDLE_MS 500
/** ... or after so long in any case. */
#define HOLD_MAX_MS 5000

/** Both small, so that little is repeated after a crash: what is finished but not committed. */
#define COMMIT_INTERVAL_MS 100
#define RECORDS_MAX 2048

struct consumer {
    const struct consumer_plan *plan;
    struct board *board;
    enum member member;
    struct fold *fold;
    struct klane_runtime *runtime;
};

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void sleep_us(uint32_t us)
{
    struct timespec time = {us / 1000000, us % 1000000 * 1000};

    if (us > 0)
        nanosleep(&time, NULL);
}

/** The first failure is kept; it ends the process, the supervisor shows it. */
static void fail(struct consumer *consumer, const char *why)
{
    struct board *board = consumer->board;

    if (!atomic_flag_test_and_set(&board->failed))
        snprintf(board->failure, sizeof board->failure, "%s", why);
    if (consumer->runtime != NULL)
        klane_stop(consumer->runtime);
}

/**
 * Whether this record is the one to hold, which one in all is. Better one that is not its path's
 * first, for others may wait behind it; but if none comes for so long again, then any.
 */
static bool is_to_hold(struct consumer *consumer, const struct change *change)
{
    struct board *board = consumer->board;
    int ahead = HOLD_AHEAD;
    uint64_t applied = atomic_load(&board->applied);
    uint64_t after = consumer->plan->records / HOLD_AFTER_PART;

    return applied >= (change->before.mode != 0 ? after : 2 * after) &&
           atomic_compare_exchange_strong(&board->hold, &ahead, HOLD_NOW);
}

/** Be the handler that is stuck: do not return until the others have shown that they go on. */
static void hold(struct consumer *consumer, const struct klane_record *record)
{
    struct board *board = consumer->board;
    uint64_t enough = consumer->plan->records / HOLD_PART;
    uint64_t before = atomic_load(&board->applied), last = before, now;
    uint64_t began = now_ms(), moved = began;

    quote_path(record->key, record->key_size, board->hold_key);
    do {
        uint64_t applied = atomic_load(&board->applied);

        sleep_us(1000);
        now = now_ms();
        if (applied != last)
            moved = now;
        last = applied;
        atomic_store(&board->hold_ms, now - began);
        atomic_store(&board->hold_others, last - before);
    } while (last - before < enough && now - moved < HOLD_IDLE_MS && now - began < HOLD_MAX_MS &&
             !klane_cancelled(record));
    atomic_store(&board->hold, HOLD_OVER);
}

static enum klane_outcome on_change(const struct klane_record *record, void *context)
{
    struct consumer *consumer = context;
    struct place place = {record->key, record->key_size, record->partition, record->offset};
    struct change change;
    char why[512];

    if (!change_parse(record->value, record->value_size, &change)) {
        snprintf(why, sizeof why, "partition %d, offset %lld: the value is not a change",
                 record->partition, (long long)record->offset);
        fail(consumer, why);
        return klane_retry(record, 1000, "not a change");
    }
    if (is_to_hold(consumer, &change))
        hold(consumer, record);
    sleep_us(consumer->plan->pace_us);

    switch (fold_apply(consumer->fold, &place, &change, why, sizeof why)) {
    case FOLD_APPLIED:
        atomic_fetch_add(&consumer->board->applied_by[consumer->member], 1);
        atomic_fetch_add(&consumer->board->applied, 1);
        return KLANE_DONE;
    case FOLD_REPEATED:
        atomic_fetch_add(&consumer->board->repeated, 1);
        return KLANE_DONE;
    case FOLD_WRONG:
    case FOLD_FAILED:
        break;
    }
    /* The record stays unfinished, so nothing behind it of this path runs or is committed. */
    fail(consumer, why);
    return klane_retry(record, 1000, why);
}

static void on_event(const struct klane_event *event, void *context)
{
    struct consumer *consumer = context;
    _Atomic int *partitions = &consumer->board->partitions[consumer->member];

    switch (event->type) {
    case KLANE_EVENT_ASSIGNED:
        atomic_fetch_add(partitions, 1);
        break;
    case KLANE_EVENT_REVOKED:
    case KLANE_EVENT_LOST:
        atomic_fetch_sub(partitions, 1);
        break;
    case KLANE_EVENT_FATAL:
        fail(consumer, event->message != NULL ? event->message : klane_strerror(event->err));
        break;
    default:
        break;
    }
}

static bool consumer_create(struct consumer *consumer, char *why, size_t why_size)
{
    const struct log *log = consumer->plan->log;
    struct klane_source *source = NULL;
    struct klane_options options;

    klane_options_init(&options, sizeof options);
    options.name = "quickstart";
    options.workers = consumer->plan->workers;
    options.commit_interval_ms = COMMIT_INTERVAL_MS;
    options.records_max = RECORDS_MAX;
    options.stop_when_caught_up = true;
    options.event = on_event;
    options.event_context = consumer;

    if (log->kind->source(log, consumer->member, &source, why, why_size) != KLANE_OK)
        return false;
    if (klane_create(&options, source, &consumer->runtime, why, why_size) != KLANE_OK) {
        klane_source_destroy(source);
        return false;
    }
    return true;
}

int consumer_run(const struct consumer_plan *plan, struct board *board, enum member member)
{
    struct consumer consumer = {.plan = plan, .board = board, .member = member};
    char why[256] = "";
    klane_err_t err;

    consumer.fold = fold_open(plan->table_file, why, sizeof why);
    if (consumer.fold == NULL || !consumer_create(&consumer, why, sizeof why)) {
        fail(&consumer, why);
        fold_close(consumer.fold);
        return EXIT_FAILURE;
    }
    interrupt_stops(consumer.runtime);
    err = klane_handle(consumer.runtime, plan->log->topic, on_change, &consumer);
    if (err == KLANE_OK)
        err = klane_run(consumer.runtime);
    interrupt_stops(NULL);
    if (err != KLANE_OK)
        fail(&consumer, klane_strerror(err));

    /* Where handlers are still out, what they use must stay until the process ends. */
    if (klane_destroy(consumer.runtime) == KLANE_OK)
        fold_close(consumer.fold);
    return board->failure[0] == '\0' ? EXIT_SUCCESS : EXIT_FAILURE;
}
