/* SPDX-License-Identifier: Apache-2.0 */
/* The hand-over alone: chain, ring of ready slots, one worker. No source, no copy, no offsets,
 * no outcomes: the bound that the rest of the runtime is held against.
 *
 * Links are used once and lie a cache line apart; the distance between the two threads is bounded
 * as the runtime bounds it. */
#include "cases/cases.h"
#include "lib/drive.h"

#include "sync/chain.h"
#include "sync/ready.h"

#include <ck_pr.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { IN_MEMORY_MAX = 16384, LOOK_EVERY = 128, LOOKS_MAX = 256 };

struct chain_item {
    _Alignas(64) struct chain_link link;
};

struct chain_stage {
    struct ready_ring ready;
    uint64_t records;
    _Alignas(64) _Atomic uint64_t handled; /* the worker's */
};

/* Nothing to do: try again, and soon let somebody else have the processor. */
static void wait_a_little(uint32_t *looks)
{
    if (++*looks % LOOKS_MAX == 0)
        sched_yield();
    else
        ck_pr_stall();
}

static struct chain_item *item_of(struct chain_link *link)
{
    return (struct chain_item *)(void *)link;
}

static void *chain_worker(void *argument)
{
    struct chain_stage *stage = argument;
    uint64_t handled = 0;
    uint32_t looks = 0;

    while (handled < stage->records) {
        struct chain_item *item = ready_pop(&stage->ready);
        struct chain_link *next;

        if (item == NULL) {
            wait_a_little(&looks);
            continue;
        }
        for (; item != NULL; item = next == NULL ? NULL : item_of(next)) {
            next = chain_finish(&item->link);
            /* Relaxed: a count; the chain orders what is behind it. */
            atomic_store_explicit(&stage->handled, ++handled, memory_order_relaxed);
        }
    }
    return NULL;
}

static void keep_distance(struct chain_stage *stage, uint64_t given)
{
    uint32_t looks = 0;

    /* Relaxed: a count, looked at until it has moved. */
    while (given - atomic_load_explicit(&stage->handled, memory_order_relaxed) > IN_MEMORY_MAX)
        wait_a_little(&looks);
}

static void hand_over(struct chain_stage *stage, struct chain_item *items, const uint32_t *keys,
                      struct chain_link **tails)
{
    uint32_t looks = 0;

    for (uint64_t i = 0; i < stage->records; i++) {
        struct chain_link *link = &items[i].link;
        struct chain_link *tail = tails[keys[i]];

        if (i % LOOK_EVERY == 0)
            keep_distance(stage, i);
        chain_init(link);
        tails[keys[i]] = link;
        if (tail != NULL && chain_append(tail, link))
            continue;
        while (!ready_push(&stage->ready, &items[i]))
            wait_a_little(&looks);
    }
}

void chain_run(struct bench_run *run)
{
    const struct dispatch_plan *plan = run->plan;
    uint64_t records = bench_count(run, plan->records, plan->records_quick), state = 1;
    struct chain_item *items = aligned_alloc(64, records * sizeof(*items));
    uint32_t *keys = malloc(records * sizeof(*keys));
    struct chain_link **tails = calloc(plan->keys, sizeof(struct chain_link *));
    struct chain_stage stage = {.records = records};
    struct bench_meter meter;
    pthread_t worker;

    if (items == NULL || keys == NULL || tails == NULL ||
        !ready_init(&stage.ready, 2 * IN_MEMORY_MAX))
        bench_fail("no memory");
    memset(items, 0, records * sizeof(*items));
    for (uint64_t i = 0; i < records; i++)
        keys[i] = (uint32_t)(drive_random(&state) % plan->keys);
    bench_meter_start(&meter);
    if (pthread_create(&worker, NULL, chain_worker, &stage) != 0)
        bench_fail("no thread");
    hand_over(&stage, items, keys, tails);
    pthread_join(worker, NULL);
    bench_meter_stop(&meter);
    bench_meter_report(&meter, run, records);
    bench_setting(run, "records", (int64_t)records);
    bench_setting(run, "keys", (int64_t)plan->keys);
    bench_setting(run, "workers", 1);
    bench_setting(run, "in_memory_max", IN_MEMORY_MAX);
}
