/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/steady.h"

static void *steady_main(void *argument)
{
    struct steady *steady = argument;
    int64_t begin_ns = bench_now_ns();

    /* Relaxed: a flag that is looked at until it is set; joining orders the rest. */
    while (!atomic_load_explicit(&steady->is_over, memory_order_relaxed)) {
        uint64_t due = (uint64_t)(bench_now_ns() - begin_ns) / 1000 * steady->rate / 1000000;

        for (; steady->appended < due; steady->appended++)
            drive_append_to(steady->log, steady->topic, 1,
                            steady->first + steady->appended % steady->keys);
        bench_sleep_ms(1);
    }
    return NULL;
}

void steady_begin(struct steady *steady)
{
    steady->appended = 0;
    atomic_init(&steady->is_over, false);
    if (pthread_create(&steady->thread, NULL, steady_main, steady) != 0)
        bench_fail("no thread");
}

uint64_t steady_end(struct steady *steady)
{
    atomic_store_explicit(&steady->is_over, true, memory_order_relaxed);
    pthread_join(steady->thread, NULL);
    return steady->appended;
}
