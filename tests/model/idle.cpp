/* SPDX-License-Identifier: Apache-2.0 */
/* Sleeping and waking (runtime/sync/idle.c and ready.h, as shipped) under the C11 memory model.
 *
 * Control pushes items and forgets them. Workers search, work, sleep and wake as sync/idle.h
 * tells them to. The handler of the first item waits until all others have run, so that a worker
 * which sleeps although an item is left is a deadlock, which Relacy finds; so is a sleeper whom
 * the stop does not reach. Checked besides: an item's contents are seen by who pops it, each runs
 * once, and the count of searchers is 0 in the end. */
#include "sync/idle.h"
#include "sync/ready.h"

#include "sync/futex.h"
#include "sync/idle.c"

enum { RING_SIZE = 4, ROUNDS = 100000 };

/* What a search allows. */
struct plan_one {
    enum { ITEMS = 1, WORKERS = 1, TIMEOUT = -1, UNCOUNTED = 0 };
};
struct plan_stop {
    enum { ITEMS = 1, WORKERS = 2, TIMEOUT = -1, UNCOUNTED = 0 };
};
struct plan_two {
    enum { ITEMS = 2, WORKERS = 2, TIMEOUT = -1, UNCOUNTED = 0 };
};
struct plan_timeout {
    enum { ITEMS = 2, WORKERS = 2, TIMEOUT = 1, UNCOUNTED = 0 };
};
struct plan_more {
    enum { ITEMS = 3, WORKERS = 2, TIMEOUT = -1, UNCOUNTED = 1 };
};
struct plan_three {
    enum { ITEMS = 3, WORKERS = 3, TIMEOUT = 1, UNCOUNTED = 1 };
};

template <typename plan>
struct idle_model : rl::test_suite<idle_model<plan>, 1 + plan::WORKERS> {
    struct idle idle;
    struct idle_seat seats[IDLE_SEATS_MAX];
    struct ready_ring ready;
    ck_ring_buffer_t buffer[RING_SIZE];
    rl::var<int> items[plan::ITEMS];
    rl::var<int> news;    /* written before a wake, read by who was woken */
    rl::atomic<int> left; /* items not run */
    rl::atomic<int> stop;
    rl::atomic<uint32_t> others; /* items run, but the first; a futex */

    void before()
    {
        idle.seats = seats;
        idle.searchers.store(0, rl::mo_relaxed, RL_INFO);
        idle.words_used.store(0, rl::mo_relaxed, RL_INFO);
        for (int i = 0; i < IDLE_WORDS; i++) {
            idle.idle_map[i].store(0, rl::mo_relaxed, RL_INFO);
            idle.taken_map[i].store(0, rl::mo_relaxed, RL_INFO);
        }
        for (int i = 0; i < IDLE_SEATS_MAX; i++) {
            seats[i].word.store(0, rl::mo_relaxed, RL_INFO);
            seats[i].state = 0;
        }
        ready.buffer = buffer;
        ck_ring_init(&ready.ring, RING_SIZE);
        for (int i = 0; i < RING_SIZE; i++)
            buffer[i].value.store(NULL, rl::mo_relaxed, RL_INFO);
        for (int i = 0; i < plan::ITEMS; i++)
            items[i](RL_INFO) = 0;
        left.store(plan::ITEMS, rl::mo_relaxed, RL_INFO);
        stop.store(0, rl::mo_relaxed, RL_INFO);
        others.store(0, rl::mo_relaxed, RL_INFO);
    }

    void after()
    {
        RL_ASSERT(left.load(rl::mo_relaxed, RL_INFO) == 0);
        RL_ASSERT(idle_searchers(&idle) == 0);
        RL_ASSERT(idle.idle_map[0].load(rl::mo_relaxed, RL_INFO) == 0);
        RL_ASSERT(idle.taken_map[0].load(rl::mo_relaxed, RL_INFO) == 0);
    }

    void control()
    {
        news(RL_INFO) = 1;
        for (int i = 0; i < plan::ITEMS; i++) {
            items[i](RL_INFO) = 1;
            RL_ASSERT(ready_push(&ready, &items[i]));
            idle_wake_one(&idle);
        }
    }

    void wait_for_others()
    {
        struct futex_deadline never;
        uint32_t seen;

        futex_deadline_set(&never, -1);
        while ((seen = others.load(rl::mo_acquire, RL_INFO)) != plan::ITEMS - 1)
            futex_wait(&others, seen, &never);
    }

    void run(rl::var<int> *item)
    {
        RL_ASSERT((*item)(RL_INFO) == 1);
        (*item)(RL_INFO) = 2;
        if (plan::ITEMS > 1 && item == &items[0]) {
            wait_for_others();
        } else if (plan::ITEMS > 1) {
            others.fetch_add(1, rl::mo_release, RL_INFO);
            futex_wake(&others);
        }
        if (left.fetch_sub(1, rl::mo_acq_rel, RL_INFO) == 1) {
            stop.store(1, rl::mo_relaxed, RL_INFO);
            idle_wake_all(&idle);
        }
    }

    void search_end(int seat)
    {
        if (idle_search_end(&idle, seat) && !ready_is_empty(&ready) &&
            !model_mutates("the last searcher's look", MUTATE_RULE))
            idle_wake_one(&idle);
    }

    void worker()
    {
        int seat = idle_seat_take(&idle);
        rl::var<int> *item;

        idle_search_begin(&idle, seat);
        for (;;) {
            item = (rl::var<int> *)ready_pop(&ready);
            if (item != NULL) {
                search_end(seat);
                do
                    run(item);
                while (plan::UNCOUNTED && (item = (rl::var<int> *)ready_pop(&ready)) != NULL);
                idle_search_begin(&idle, seat);
                continue;
            }
            if (stop.load(rl::mo_relaxed, RL_INFO) != 0)
                break;
            idle_prepare(&idle, seat);
            if ((!ready_is_empty(&ready) && !model_mutates("the sleeper's look", MUTATE_RULE)) ||
                stop.load(rl::mo_relaxed, RL_INFO) != 0)
                idle_cancel(&idle, seat);
            else if (idle_sleep(&idle, seat, plan::TIMEOUT) && plan::WORKERS == 1)
                RL_ASSERT(news(RL_INFO) == 1);
        }
        search_end(seat);
        idle_seat_leave(&idle, seat);
    }

    void thread(unsigned index)
    {
        if (index == 0)
            control();
        else
            worker();
    }
};

static bool search(bool quiet)
{
    return model_search<idle_model<plan_one> >("one worker", rl::sched_bound, 4, 0, quiet) &&
           model_search<idle_model<plan_stop> >("stop", rl::sched_bound, 2, 0, quiet) &&
           model_search<idle_model<plan_two> >("two workers", rl::sched_bound, 2, 0, quiet) &&
           model_search<idle_model<plan_more> >("uncounted pops", rl::sched_bound, 1, 0, quiet) &&
           model_search<idle_model<plan_timeout> >("timeouts", rl::sched_bound, 0, 0, quiet) &&
           model_search<idle_model<plan_timeout> >("naps", rl::sched_random, 0, ROUNDS, quiet) &&
           model_search<idle_model<plan_three> >("three", rl::sched_random, 0, ROUNDS, quiet);
}

/* I1 and the release of I2 are not here. Relacy lets each thread's writes take effect in program
 * order, and only the order of relaxed writes hangs on I1; and the fence in idle_wake_one() is a
 * release for all but the raised count. */
static const struct mutant mutants[] = {
    {"idle_wake_one", MUTATE_FENCE, rl::mo_relaxed, rl::mo_relaxed},
    {"idle_prepare", MUTATE_FENCE, rl::mo_relaxed, rl::mo_relaxed},
    {"idle_search_end", MUTATE_FENCE, rl::mo_relaxed, rl::mo_relaxed},
    {"idle_wake_all", MUTATE_FENCE, rl::mo_relaxed, rl::mo_relaxed},
    {"seat_wait", MUTATE_ORDER, rl::mo_acquire, rl::mo_relaxed},
    {"claim_lowest", MUTATE_SPLIT, rl::mo_relaxed, rl::mo_relaxed},
    {"seat_withdraw", MUTATE_SPLIT, rl::mo_relaxed, rl::mo_relaxed},
    {"count_lower", MUTATE_SPLIT, rl::mo_relaxed, rl::mo_relaxed},
    {"count_raise", MUTATE_SPLIT, rl::mo_relaxed, rl::mo_relaxed},
    {"the last searcher's look", MUTATE_RULE, rl::mo_relaxed, rl::mo_relaxed},
    {"the sleeper's look", MUTATE_RULE, rl::mo_relaxed, rl::mo_relaxed},
};

int main()
{
    if (!search(false))
        return 1;
    return model_mutants(mutants, sizeof(mutants) / sizeof(mutants[0]), search) ? 0 : 1;
}
