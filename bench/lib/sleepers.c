/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sleepers.h"

#include <pthread.h>

void sleepers_init(struct sleepers *sleepers, const struct sleepers_plan *plan,
                   const struct bench_run *run)
{
    uint64_t records = bench_count(run, plan->records, plan->records_quick);

    *sleepers = (struct sleepers){
        .records = records,
        .warm_up = plan->has_warm_up ? records / 10 : 0,
        .sleep_ms = plan->sleep_ms,
        .burn_us = plan->burn_us,
        .workers = plan->workers,
    };
    sem_init(&sleepers->is_warm, 0, 0);
    sem_init(&sleepers->is_done, 0, 0);
}

static int64_t thread_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void burn(uint32_t us)
{
    int64_t until_ns = thread_ns() + (int64_t)us * 1000;

    while (thread_ns() < until_ns)
        continue;
}

uint64_t sleepers_once(struct sleepers *sleepers)
{
    const struct timespec time = {0, (long)sleepers->sleep_ms * 1000000};
    uint64_t slept;

    if (sleepers->burn_us > 0)
        burn(sleepers->burn_us);
    else
        nanosleep(&time, NULL);
    /* Relaxed: a count that orders nothing. */
    slept = atomic_fetch_add_explicit(&sleepers->slept, 1, memory_order_relaxed) + 1;
    if (slept == sleepers->warm_up)
        sem_post(&sleepers->is_warm);
    if (slept == sleepers->warm_up + sleepers->records)
        sem_post(&sleepers->is_done);
    return slept;
}

enum klane_outcome sleepers_handle(const struct klane_record *record, void *context)
{
    (void)record;
    sleepers_once(context);
    return KLANE_DONE;
}

void sleepers_begin(struct sleepers *sleepers)
{
    if (sleepers->warm_up == 0)
        bench_meter_start(&sleepers->meter);
}

void sleepers_wait(struct sleepers *sleepers)
{
    if (sleepers->warm_up > 0) {
        bench_wait(&sleepers->is_warm);
        bench_meter_start(&sleepers->meter);
    }
    bench_wait(&sleepers->is_done);
    bench_meter_stop(&sleepers->meter);
}

void sleepers_report(const struct sleepers *sleepers, struct bench_run *run)
{
    bench_meter_report(&sleepers->meter, run, sleepers->records);
    if (sleepers->burn_us > 0)
        bench_setting(run, "burn_us", sleepers->burn_us);
    else
        bench_setting(run, "sleep_ms", sleepers->sleep_ms);
}

static void *bare_thread(void *argument)
{
    struct sleepers *sleepers = argument;

    while (sleepers_once(sleepers) < sleepers->warm_up + sleepers->records)
        continue;
    return NULL;
}

void sleepers_bare_sleep(struct sleepers *sleepers)
{
    pthread_t threads[SLEEPERS_MAX];

    sleepers_begin(sleepers);
    for (uint32_t i = 0; i < sleepers->workers; i++)
        if (pthread_create(&threads[i], NULL, bare_thread, sleepers) != 0)
            bench_fail("no thread");
    sleepers_wait(sleepers);
    for (uint32_t i = 0; i < sleepers->workers; i++)
        pthread_join(threads[i], NULL);
}

void sleepers_bare_run(struct bench_run *run)
{
    struct sleepers sleepers;

    sleepers_init(&sleepers, run->plan, run);
    sleepers_bare_sleep(&sleepers);
    sleepers_report(&sleepers, run);
    bench_setting(run, "records", (int64_t)sleepers.records);
    bench_setting(run, "workers", sleepers.workers);
}
