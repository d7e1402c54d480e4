/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/resident.h"
#include "lib/harness.h"

#include <stdio.h>
#include <unistd.h>

uint64_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long long size = 0, resident = 0;

    if (file == NULL || fscanf(file, "%llu %llu", &size, &resident) != 2)
        bench_fail("/proc/self/statm cannot be read");
    fclose(file);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void *watch_main(void *argument)
{
    struct resident_watch *watch = argument;

    do {
        uint64_t bytes = resident_bytes();

        if (bytes > watch->most)
            watch->most = bytes;
        bench_sleep_ms(RESIDENT_EVERY_MS);
        /* Relaxed: a flag that is looked at until it is set; joining orders the rest. */
    } while (!atomic_load_explicit(&watch->is_over, memory_order_relaxed));
    return NULL;
}

void resident_watch_begin(struct resident_watch *watch)
{
    watch->most = 0;
    atomic_init(&watch->is_over, false);
    if (pthread_create(&watch->thread, NULL, watch_main, watch) != 0)
        bench_fail("no thread");
}

uint64_t resident_watch_end(struct resident_watch *watch)
{
    atomic_store_explicit(&watch->is_over, true, memory_order_relaxed);
    pthread_join(watch->thread, NULL);
    return watch->most;
}
