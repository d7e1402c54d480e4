/* SPDX-License-Identifier: Apache-2.0 */
/* The lock-free layer under real threads: chain, ready ring, mailbox and idle together as the
 * engine uses them, and tokens by themselves. The main thread is control. */
#include "lib/check.h"

#include "base/assert.h"
#include "sync/chain.h"
#include "sync/idle.h"
#include "sync/mailbox.h"
#include "sync/ready.h"
#include "sync/tokens.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    LANES = 7,
    WORKERS_MAX = 16,
    RING_SIZE = 4, /* small, so that it is full at times */
    BURST_MAX = 40,
    QUANTUM = 8,
    BATCH_MAX = 5,
    STALLED_S = 20
};

enum report { REPORT_FINISHED, REPORT_RETRY, REPORT_YIELD };

struct record {
    struct chain_link chain;
    struct mail mail;
    enum report report; /* the holder, before the mail is sent */

    /* Control's. */
    bool finished;
    struct record *next;       /* in its lane */
    struct record *ready_next; /* in control's list of ready ones */

    /* Control's until the record is handed over, then its holder's. */
    struct lane *lane;
    uint64_t number; /* in its lane, from 0 */
    uint32_t attempts;
    bool meets_another; /* its handler waits until two of these run */
};

struct lane {
    uint64_t running; /* whoever runs the lane: the number of the next record */

    /* Control's. */
    struct record *first;
    struct record *last;
    uint64_t appended;
};

struct world {
    struct lane lanes[LANES];
    struct ready_ring ready;
    struct mailbox mailbox;
    struct idle idle;
    _Atomic(bool) stop;
    _Atomic(uint32_t) met;      /* handlers that meet another and have begun */
    _Atomic(uint64_t) disorder; /* records that ran out of order */
    _Atomic(uint64_t) runs;     /* records run to their end */
    pthread_t workers[WORKERS_MAX];
    int worker_count;
    uint64_t seed;

    /* Control's. */
    uint64_t random;
    struct record *ready_first;
    struct record **ready_end;
    uint64_t out;
    uint64_t cuts;
};

static struct record *record_of_mail(struct mail *mail)
{
    return (struct record *)(void *)((char *)mail - offsetof(struct record, mail));
}

static struct record *record_of_link(struct chain_link *link)
{
    return (struct record *)(void *)link;
}

/* ---- workers ---- */

struct worker {
    struct world *world;
    uint64_t random;
    int seat;
};

static void report(struct world *world, struct record *record, enum report report)
{
    record->report = report;
    mailbox_send(&world->mailbox, &record->mail);
}

/* The handler. False: again, please. */
static bool handle(struct worker *worker, struct record *record)
{
    struct world *world = worker->world;
    struct lane *lane = record->lane;

    if (lane->running != record->number)
        atomic_fetch_add_explicit(&world->disorder, 1, memory_order_relaxed);
    if (record->meets_another) {
        atomic_fetch_add_explicit(&world->met, 1, memory_order_relaxed);
        while (atomic_load_explicit(&world->met, memory_order_relaxed) % 2 != 0 &&
               !atomic_load_explicit(&world->stop, memory_order_relaxed))
            sched_yield();
        record->meets_another = false;
    }
    if (record->attempts++ == 0 && check_random_below(&worker->random, 32) == 0)
        return false;
    lane->running = record->number + 1;
    atomic_fetch_add_explicit(&world->runs, 1, memory_order_relaxed);
    return true;
}

/* A batch that begins with this record. Returns how many records it has. */
static int take_some(struct worker *worker, struct record *record, struct record **batch)
{
    int most = 1 + (int)check_random_below(&worker->random, BATCH_MAX);
    int count = 0;
    struct chain_link *next;

    batch[count++] = record;
    while (count < most && (next = chain_take(&batch[count - 1]->chain)) != NULL)
        batch[count++] = record_of_link(next);
    return count;
}

/* Run a record, or several as a batch. Returns what comes next in the lane. */
static struct record *run_some(struct worker *worker, struct record *record)
{
    struct world *world = worker->world;
    struct record *batch[BATCH_MAX];
    struct chain_link *next;
    int count = take_some(worker, record, batch), done = 0;

    while (done < count && handle(worker, batch[done]))
        done++;
    /* What is behind one that was not done has not run. */
    for (int i = count - 1; i > done; i--)
        chain_put_back(&batch[i - 1]->chain, &batch[i]->chain);
    for (int i = 0; i < done && i + 1 < count; i++)
        report(world, batch[i], REPORT_FINISHED);
    if (done < count) {
        report(world, batch[done], REPORT_RETRY);
        return NULL;
    }
    next = chain_finish(&batch[count - 1]->chain);
    KLANE_ASSERT(next != CHAIN_DONE);
    KLANE_ASSERT(next != CHAIN_TAKEN);
    report(world, batch[count - 1], REPORT_FINISHED);
    return next == NULL ? NULL : record_of_link(next);
}

static void run_lane(struct worker *worker, struct record *record)
{
    for (int i = 0; i < QUANTUM; i++) {
        record = run_some(worker, record);
        if (record == NULL)
            return;
    }
    report(worker->world, record, REPORT_YIELD);
}

static void search_end(struct worker *worker)
{
    struct world *world = worker->world;

    if (idle_search_end(&world->idle, worker->seat) && !ready_is_empty(&world->ready))
        idle_wake_one(&world->idle);
}

static bool stopped(struct world *world)
{
    return atomic_load_explicit(&world->stop, memory_order_acquire);
}

static void *work(void *context)
{
    struct worker *worker = context;
    struct world *world = worker->world;
    struct record *record;

    worker->seat = idle_seat_take(&world->idle);
    KLANE_ASSERT(worker->seat >= 0);
    idle_search_begin(&world->idle, worker->seat);
    while (!stopped(world)) {
        record = ready_pop(&world->ready);
        if (record != NULL) {
            search_end(worker);
            do
                run_lane(worker, record);
            while ((record = ready_pop(&world->ready)) != NULL);
            idle_search_begin(&world->idle, worker->seat);
            continue;
        }
        idle_prepare(&world->idle, worker->seat);
        if (!ready_is_empty(&world->ready) || stopped(world)) {
            idle_cancel(&world->idle, worker->seat);
            continue;
        }
        (void)idle_sleep(&world->idle, worker->seat,
                         (int64_t)check_random_below(&worker->random, 3) - 1);
    }
    search_end(worker);
    idle_seat_leave(&world->idle, worker->seat);
    free(worker);
    return NULL;
}

/* ---- control ---- */

static void make_ready(struct world *world, struct record *record)
{
    record->ready_next = NULL;
    *world->ready_end = record;
    world->ready_end = &record->ready_next;
}

static void push_ready(struct world *world)
{
    while (world->ready_first != NULL) {
        struct record *record = world->ready_first;
        /* Once pushed it is no longer control's. */
        struct record *next = record->ready_next;

        if (ready_room(&world->ready) == 0)
            return;
        KLANE_ASSERT(ready_push(&world->ready, record));
        world->ready_first = next;
        if (next == NULL)
            world->ready_end = &world->ready_first;
        idle_wake_one(&world->idle);
    }
}

static void link_behind(struct world *world, struct record *tail, struct record *record)
{
    chain_init(&record->chain);
    if (tail == NULL || !chain_append(&tail->chain, &record->chain))
        make_ready(world, record);
}

static void append(struct world *world, struct lane *lane, bool meets_another)
{
    struct record *record = calloc(1, sizeof(*record));

    assert_non_null(record);
    record->lane = lane;
    record->number = lane->appended++;
    record->meets_another = meets_another;
    world->out++;
    link_behind(world, lane->last, record);
    if (lane->last == NULL)
        lane->first = record;
    else
        lane->last->next = record;
    lane->last = record;
}

static void drop_finished(struct world *world, struct lane *lane)
{
    while (lane->first != NULL && lane->first->finished) {
        struct record *record = lane->first;

        lane->first = record->next;
        if (lane->first == NULL)
            lane->last = NULL;
        world->out--;
        free(record);
    }
}

/* Returns whether anything came. */
static bool collect(struct world *world)
{
    struct mail *mail = mailbox_collect(&world->mailbox);
    bool any = mail != NULL;

    while (mail != NULL) {
        struct record *record = record_of_mail(mail);

        mail = mailbox_next(mail);
        if (record->report != REPORT_FINISHED) {
            make_ready(world, record);
            continue;
        }
        assert_false(record->finished);
        record->finished = true;
        drop_finished(world, record->lane);
    }
    return any;
}

/* Take back what can be taken back, and append it again. */
static void cut(struct world *world, struct lane *lane)
{
    struct record *record = lane->first;

    while (record != NULL && record->next != NULL) {
        struct record *next = record->next;

        if (chain_cut(&record->chain, &next->chain)) {
            world->cuts++;
            for (; next != NULL; record = next, next = next->next)
                link_behind(world, record, next);
            return;
        }
        record = next;
    }
}

static void append_burst(struct world *world)
{
    uint64_t count = 1 + check_random_below(&world->random, BURST_MAX);
    uint64_t lanes = 1 + check_random_below(&world->random, LANES);

    if (world->worker_count > 1 && check_random_below(&world->random, 2) == 0) {
        append(world, &world->lanes[0], true);
        append(world, &world->lanes[1], true);
        push_ready(world);
    }
    for (uint64_t i = 0; i < count; i++) {
        append(world, &world->lanes[check_random_below(&world->random, lanes)], false);
        if (check_random_below(&world->random, 4) == 0)
            push_ready(world);
        if (check_random_below(&world->random, 8) == 0)
            collect(world);
        if (check_random_below(&world->random, 8) == 0)
            cut(world, &world->lanes[check_random_below(&world->random, lanes)]);
    }
}

static int64_t now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* Until every record came back. False: nothing moved for a long time. */
static bool drain(struct world *world)
{
    int64_t moved_s = now_s();

    while (world->out > 0) {
        push_ready(world);
        if (collect(world)) {
            moved_s = now_s();
            continue;
        }
        if (now_s() - moved_s > STALLED_S)
            return false;
        sched_yield();
    }
    return true;
}

static struct world *world_start(int workers)
{
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    world->worker_count = workers;
    world->random = check_seed();
    world->ready_end = &world->ready_first;
    mailbox_init(&world->mailbox);
    assert_true(ready_init(&world->ready, RING_SIZE));
    assert_true(idle_init(&world->idle));
    for (int i = 0; i < workers; i++) {
        struct worker *worker = calloc(1, sizeof(*worker));

        assert_non_null(worker);
        worker->world = world;
        worker->random = check_seed() + (uint64_t)i + 1;
        assert_int_equal(pthread_create(&world->workers[i], NULL, work, worker), 0);
    }
    return world;
}

static void world_stop(struct world *world)
{
    atomic_store_explicit(&world->stop, true, memory_order_release);
    idle_wake_all(&world->idle);
    for (int i = 0; i < world->worker_count; i++)
        assert_int_equal(pthread_join(world->workers[i], NULL), 0);
    idle_deinit(&world->idle);
    ready_deinit(&world->ready);
    free(world);
}

static void torture(int workers)
{
    struct world *world = world_start(workers);
    uint64_t rounds = check_rounds(500, 100000);
    uint64_t appended = 0;
    bool drained = true;

    for (uint64_t i = 0; drained && i < rounds; i++) {
        append_burst(world);
        drained = drain(world);
    }
    for (int i = 0; i < LANES; i++) {
        appended += world->lanes[i].appended;
        if (drained)
            assert_int_equal(world->lanes[i].running, world->lanes[i].appended);
    }

    assert_true(drained);
    assert_true(rounds < 100 || world->cuts > 0);
    assert_int_equal(atomic_load(&world->disorder), 0);
    assert_int_equal(atomic_load(&world->runs), appended);
    world_stop(world);
}

static void lanes_keep_order_with_one_worker(void **state)
{
    (void)state;
    torture(1);
}

static void lanes_keep_order_with_two_workers(void **state)
{
    (void)state;
    torture(2);
}

static void lanes_keep_order_with_four_workers(void **state)
{
    (void)state;
    torture(4);
}

static void lanes_keep_order_with_sixteen_workers(void **state)
{
    (void)state;
    torture(16);
}

/* ---- tokens ---- */

enum { HANDLERS = 2, COMPLETERS = 2, TOKENS = 5 };

struct deferred {
    struct mail mail;
    klane_token_t token;
    uint32_t number;
    uint32_t outcome; /* the completer: the number again */
    uint32_t handled; /* the handler: the number again */
};

struct token_world {
    struct tokens tokens;
    struct mailbox mailbox;
    struct deferred *records;
    uint32_t count;
    _Atomic(uint32_t) next;                 /* handlers: the next record to begin */
    _Atomic(klane_token_t) given[HANDLERS]; /* to completers; 0: completed */
    _Atomic(uint64_t) wrong;
    _Atomic(bool) stop;
};

struct token_thread {
    struct token_world *world;
    int number;
    pthread_t thread;
};

static void *handle_later(void *context)
{
    struct token_thread *self = context;
    struct token_world *world = self->world;
    uint32_t number;

    while ((number = atomic_fetch_add(&world->next, 1)) < world->count) {
        struct deferred *record = &world->records[number];
        klane_token_t token;

        record->number = number;
        while ((token = tokens_make(&world->tokens, record, ~number, TOKENS_NEVER)) == 0)
            sched_yield();
        record->token = token;
        /* Relaxed: the table itself must publish the record. */
        atomic_store_explicit(&world->given[self->number], token, memory_order_relaxed);
        record->handled = number;
        if (number % 3 == 0)
            sched_yield();
        if (tokens_returned(&world->tokens, tokens_index(token)))
            mailbox_send(&world->mailbox, &record->mail);
        while (atomic_load_explicit(&world->given[self->number], memory_order_relaxed) != 0)
            sched_yield();
    }
    return NULL;
}

/* Returns whether this thread's completion won. */
static bool complete(struct token_world *world, klane_token_t token)
{
    struct deferred *record;
    void *found = NULL;
    uint32_t tag = 0;
    bool tagged = tokens_tag(&world->tokens, token, &tag);

    if (tokens_claim(&world->tokens, token, &found) != TOKENS_CLAIMED)
        return false;
    record = found;
    /* A token that is open when it is claimed was open before. */
    if (!tagged || tag != ~record->number)
        atomic_fetch_add(&world->wrong, 1);
    record->outcome = record->number;
    if (tokens_complete(&world->tokens, token))
        mailbox_send(&world->mailbox, &record->mail);
    return true;
}

static void *complete_all(void *context)
{
    struct token_thread *self = context;
    struct token_world *world = self->world;
    klane_token_t past[HANDLERS] = {0};

    while (!atomic_load(&world->stop)) {
        bool was_given = false;

        for (int i = 0; i < HANDLERS; i++) {
            klane_token_t token = atomic_load_explicit(&world->given[i], memory_order_relaxed);

            if (token == 0)
                continue;
            was_given = true;
            if (complete(world, token)) {
                atomic_store_explicit(&world->given[i], 0, memory_order_relaxed);
                past[i] = token;
            } else if (past[i] != 0 && complete(world, past[i])) {
                atomic_fetch_add(&world->wrong, 1);
            }
        }
        /* Where there are few processors handlers wait for this one. */
        if (!was_given)
            sched_yield();
    }
    return NULL;
}

/* Control: returns how many records were right. */
static uint32_t collect_tokens(struct token_world *world)
{
    int64_t moved_s = now_s();
    uint32_t right = 0;
    uint32_t seen = 0;

    while (seen < world->count && now_s() - moved_s <= STALLED_S) {
        struct mail *mail = mailbox_collect(&world->mailbox);

        if (mail == NULL)
            sched_yield();
        while (mail != NULL) {
            struct deferred *record = (struct deferred *)(void *)mail;

            moved_s = now_s();
            mail = mailbox_next(mail);
            seen++;
            right += record->outcome == record->number && record->handled == record->number;
            record->outcome = UINT32_MAX; /* a second report would be wrong */
            tokens_free(&world->tokens, tokens_index(record->token));
        }
    }
    return right;
}

static void tokens_report_each_record_once_when_completers_race(void **state)
{
    struct token_thread threads[HANDLERS + COMPLETERS];
    struct token_world world = {.count = (uint32_t)check_rounds(100000, 2000000)};
    uint32_t right;

    (void)state;
    world.records = calloc(world.count, sizeof(*world.records));
    assert_non_null(world.records);
    assert_true(tokens_init(&world.tokens, TOKENS, 1));
    mailbox_init(&world.mailbox);

    for (int i = 0; i < HANDLERS + COMPLETERS; i++) {
        threads[i].world = &world;
        threads[i].number = i;
        assert_int_equal(pthread_create(&threads[i].thread, NULL,
                                        i < HANDLERS ? handle_later : complete_all, &threads[i]),
                         0);
    }
    right = collect_tokens(&world);
    assert_int_equal(right, world.count); /* else the threads may not end */
    for (int i = 0; i < HANDLERS; i++)
        assert_int_equal(pthread_join(threads[i].thread, NULL), 0);
    atomic_store(&world.stop, true);
    for (int i = HANDLERS; i < HANDLERS + COMPLETERS; i++)
        assert_int_equal(pthread_join(threads[i].thread, NULL), 0);

    assert_int_equal(atomic_load(&world.wrong), 0);
    assert_int_equal(tokens_out(&world.tokens), 0);
    assert_true(mailbox_is_empty(&world.mailbox));
    tokens_deinit(&world.tokens);
    free(world.records);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_keep_order_with_one_worker),
        cmocka_unit_test(lanes_keep_order_with_two_workers),
        cmocka_unit_test(lanes_keep_order_with_four_workers),
        cmocka_unit_test(lanes_keep_order_with_sixteen_workers),
        cmocka_unit_test(tokens_report_each_record_once_when_completers_race),
    };

    return check_run(tests);
}
