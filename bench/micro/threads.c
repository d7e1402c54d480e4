/* SPDX-License-Identifier: Apache-2.0 */
/* The lock-free parts between two threads, which take turns for their cache lines: what they cost
 * when both sides are busy. An operation is one item that has passed from one to the other. */
#include "micro/micro.h"

#include "sync/chain.h"
#include "sync/idle.h"
#include "sync/mailbox.h"
#include "sync/ready.h"

#include <ck_pr.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

enum { ITEMS = 1024, PASSED = 64 * ITEMS, WAKES = 512, LOOKS_MAX = 256, LOOK_EVERY = 64 };

struct item {
    _Alignas(64) struct chain_link link;
    struct mail mail;
};

struct pair {
    void (*work)(struct pair *pair); /* the other thread's; returns when nothing is to be done */
    pthread_t thread;
    struct ready_ring ring;
    struct mailbox mailbox;
    struct idle idle;
    struct item items[ITEMS];
    uint64_t given;                      /* this thread's */
    _Alignas(64) _Atomic uint64_t asked; /* this thread's: items that the other sends */
    _Atomic bool is_over;
    _Alignas(64) _Atomic uint64_t passed; /* the other's */
    uint64_t sent;
};

static void wait_a_little(uint32_t *looks)
{
    if (++*looks % LOOKS_MAX == 0)
        sched_yield();
    else
        ck_pr_stall();
}

static void passed_one(struct pair *pair)
{
    /* Relaxed: only this thread writes it. */
    uint64_t passed = atomic_load_explicit(&pair->passed, memory_order_relaxed);

    /* Release: pairs with wait_until_passed(), before an item is used again. */
    atomic_store_explicit(&pair->passed, passed + 1, memory_order_release);
}

static void wait_until_passed(struct pair *pair, uint64_t count)
{
    uint32_t looks = 0;

    /* Acquire: pairs with passed_one(). */
    while (atomic_load_explicit(&pair->passed, memory_order_acquire) < count)
        wait_a_little(&looks);
}

static bool is_over(const struct pair *pair)
{
    /* Relaxed: looked at until it is seen. */
    return atomic_load_explicit(&pair->is_over, memory_order_relaxed);
}

static void *other_main(void *argument)
{
    struct pair *pair = argument;
    uint32_t looks = 0;

    while (!is_over(pair)) {
        pair->work(pair);
        wait_a_little(&looks);
    }
    return NULL;
}

static void *pair_begin(void (*work)(struct pair *pair))
{
    struct pair *pair = micro_alloc(sizeof(*pair));

    pair->work = work;
    mailbox_init(&pair->mailbox);
    micro_check(ready_init(&pair->ring, 2 * ITEMS) && idle_init(&pair->idle), "no memory");
    micro_check(pthread_create(&pair->thread, NULL, other_main, pair) == 0, "no thread");
    return pair;
}

static void pair_end(void *stage)
{
    struct pair *pair = stage;

    /* Relaxed: looked at until it is seen. */
    atomic_store_explicit(&pair->is_over, true, memory_order_relaxed);
    idle_wake_all(&pair->idle);
    pthread_join(pair->thread, NULL);
    ready_deinit(&pair->ring);
    idle_deinit(&pair->idle);
    free(pair);
}

/* The next item, when the one that had its place before has passed. */
static struct item *item_next(struct pair *pair)
{
    if (pair->given % LOOK_EVERY == 0 && pair->given >= ITEMS)
        wait_until_passed(pair, pair->given + LOOK_EVERY - ITEMS);
    return &pair->items[pair->given++ % ITEMS];
}

static void push(struct pair *pair, struct item *item)
{
    uint32_t looks = 0;

    while (!ready_push(&pair->ring, item))
        wait_a_little(&looks);
}

/* ---- chain: one lane, which runs dry now and then -------------------------------------- */

static void chain_work(struct pair *pair)
{
    struct chain_link *link = ready_pop(&pair->ring);

    while (link != NULL) {
        struct chain_link *next = chain_finish(link);

        passed_one(pair);
        link = next;
    }
}

static void *chain_begin(void)
{
    return pair_begin(chain_work);
}

static void chain_run_pair(void *stage)
{
    struct pair *pair = stage;
    struct item *tail = NULL;

    for (int i = 0; i < PASSED; i++) {
        struct item *item = item_next(pair);

        chain_init(&item->link);
        if (tail == NULL || !chain_append(&tail->link, &item->link))
            push(pair, item);
        tail = item;
    }
    wait_until_passed(pair, pair->given);
}

/* ---- ready ring ------------------------------------------------------------------------ */

static void ready_work(struct pair *pair)
{
    while (ready_pop(&pair->ring) != NULL)
        passed_one(pair);
}

static void *ready_begin(void)
{
    return pair_begin(ready_work);
}

static void ready_run_pair(void *stage)
{
    struct pair *pair = stage;

    for (int i = 0; i < PASSED; i++)
        push(pair, item_next(pair));
    wait_until_passed(pair, pair->given);
}

/* ---- mailbox: the other sends ---------------------------------------------------------- */

static void mailbox_work(struct pair *pair)
{
    /* Acquire: pairs with mailbox_run_pair(), which has the items back. */
    uint64_t asked = atomic_load_explicit(&pair->asked, memory_order_acquire);

    for (; pair->sent < asked; pair->sent++)
        mailbox_send(&pair->mailbox, &pair->items[pair->sent % ITEMS].mail);
}

static void *mailbox_begin(void)
{
    return pair_begin(mailbox_work);
}

static void mailbox_run_pair(void *stage)
{
    struct pair *pair = stage;
    uint64_t end = pair->given + PASSED;
    /* All items are here. */
    uint64_t asked = pair->given + ITEMS;
    uint32_t looks = 0;

    while (pair->given < end) {
        struct mail *mail, *next;

        /* Release: pairs with mailbox_work(). */
        atomic_store_explicit(&pair->asked, asked < end ? asked : end, memory_order_release);
        mail = mailbox_collect(&pair->mailbox);
        if (mail == NULL)
            wait_a_little(&looks);
        for (; mail != NULL; mail = next) {
            next = mailbox_next(mail);
            pair->given++;
        }
        asked = pair->given + ITEMS;
    }
}

/* ---- idle: the other sleeps, and is woken each time ------------------------------------ */

static void idle_work(struct pair *pair)
{
    int seat = idle_seat_take(&pair->idle);

    while (!is_over(pair)) {
        idle_search_begin(&pair->idle, seat);
        idle_prepare(&pair->idle, seat);
        if (is_over(pair))
            idle_cancel(&pair->idle, seat);
        else
            (void)idle_sleep(&pair->idle, seat, -1);
        (void)idle_search_end(&pair->idle, seat);
        passed_one(pair);
    }
    idle_seat_leave(&pair->idle, seat);
}

static void *idle_begin(void)
{
    return pair_begin(idle_work);
}

static void idle_run_pair(void *stage)
{
    struct pair *pair = stage;

    for (int i = 0; i < WAKES; i++) {
        uint32_t looks = 0;

        while (!idle_wake_one(&pair->idle))
            wait_a_little(&looks);
        wait_until_passed(pair, ++pair->given);
    }
}

const struct micro_part micro_threads[] = {
    {
        .name = "two-threads",
        .what = "What passes between two threads that are both busy: a lane of one key, the ring "
                "of ready slots, the mailbox; and a sleeper that is woken.",
        .micros = {{"chain", chain_begin, NULL, chain_run_pair, pair_end, PASSED, true},
                   {"ready-ring", ready_begin, NULL, ready_run_pair, pair_end, PASSED, true},
                   {"mailbox", mailbox_begin, NULL, mailbox_run_pair, pair_end, PASSED, true},
                   {"sleep-wake", idle_begin, NULL, idle_run_pair, pair_end, WAKES, true}},
    },
    {.name = NULL},
};
