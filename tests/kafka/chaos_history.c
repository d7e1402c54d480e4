/* SPDX-License-Identifier: Apache-2.0 */
/* What everybody writes down, in memory that all processes of a run share: a process that is
 * killed takes nothing of it along but the event that it was writing. */
#include "kafka/chaos_shared.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

const char chaos_frozen[] = "FROZEN", chaos_thawed[] = "thawed";
const char chaos_contested[] = "another has its instance";
const char chaos_stalled[] = "the machine stood still";
const char chaos_broker_goes[] = "the broker goes", chaos_broker_is_back[] = "the broker is back";
const char chaos_network_fails[] = "the network fails";
const char chaos_network_is_well[] = "the network is well";
const char chaos_acknowledged[] = "acknowledged";
const char chaos_revoked[] = "it is to be given up";
const char chaos_outdated[] = "the commit was of another generation";
const char chaos_refused[] = "the commit was refused";

struct chaos_shared *chaos_shared_map(int *fd)
{
    struct chaos_shared *shared;

    if (*fd == -1) {
        *fd = memfd_create("klane-chaos", MFD_CLOEXEC);
        if (*fd == -1 || ftruncate(*fd, sizeof(*shared)) != 0)
            return NULL;
    }
    /* What is not written costs nothing. */
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    return shared == MAP_FAILED ? NULL : shared;
}

void chaos_shared_unmap(struct chaos_shared *shared)
{
    munmap(shared, sizeof(*shared));
}

int64_t chaos_now_ms(const struct chaos_shared *shared)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - shared->begin_ms;
}

void chaos_add(struct chaos_shared *shared, struct history_event event)
{
    /* Relaxed: see history_add(). */
    size_t index = atomic_fetch_add_explicit(&shared->count, 1, memory_order_relaxed);

    if (index >= CHAOS_EVENTS)
        return;
    event.time_ms = chaos_now_ms(shared);
    shared->entries[index].event = event;
    /* Release: the event before the word that it is whole. */
    atomic_store_explicit(&shared->entries[index].is_whole, true, memory_order_release);
}

void chaos_print_all(const struct chaos_shared *shared)
{
    const char *path = getenv("KLANE_CHAOS_HISTORY");
    FILE *file = path == NULL ? NULL : fopen(path, "w");
    /* Relaxed: whoever still adds to it is not waited for. */
    size_t count = atomic_load_explicit(&shared->count, memory_order_relaxed);

    for (size_t i = 0; file != NULL && i < count && i < CHAOS_EVENTS; i++) {
        struct history_event event = shared->entries[i].event;
        struct history history = {.events = &event};

        /* Acquire: pairs with chaos_add(). */
        if (!atomic_load_explicit(&shared->entries[i].is_whole, memory_order_acquire))
            continue;
        if (event.type == HISTORY_LEFT)
            event.name = "records in memory";
        history_print_event(file, &history, 0);
    }
    if (file != NULL)
        fclose(file);
}
