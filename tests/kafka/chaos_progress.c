/* SPDX-License-Identifier: Apache-2.0 */
/* A partition gets on when a record of it is handled that was acknowledged to the producer after
 * the fault began, or, of the network and of what is only frozen, after it was over. So the
 * producer's own way to a new leader counts too. */
#include "kafka/chaos_progress.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define LOOK_MS 10
#define SETTLED_MS 1500
#define BUSY_LOAD 3 /* for each processor; the test itself makes about two */

static int64_t now_ms(const struct chaos_run *run)
{
    return chaos_now_ms(run->shared);
}

bool chaos_is_formed(struct chaos_run *run)
{
    bool has_some[CHAOS_LIVES] = {false};

    if (chaos_count(run, LIFE_FROZEN) + chaos_count(run, LIFE_LEAVES) > 0 ||
        !chaos_broker_is_up(run->broker))
        return false;
    for (int p = 0; p < CHAOS_PARTITIONS; p++) {
        /* Relaxed: polled. */
        unsigned owner = atomic_load_explicit(&run->shared->owners[p], memory_order_relaxed);

        if (owner == 0 || run->lives[owner - 1].state != LIFE_RUNS)
            return false;
        has_some[owner - 1] = true;
    }
    for (unsigned i = 0; i < run->life_count; i++)
        if (run->lives[i].state == LIFE_RUNS && !has_some[i])
            return false;
    return true;
}

bool chaos_is_settled(struct chaos_run *run)
{
    /* Relaxed: polled. */
    uint32_t assigned = atomic_load_explicit(&run->shared->assigned, memory_order_relaxed);

    if (!chaos_is_formed(run) || chaos_count(run, LIFE_RUNS) < 2 ||
        assigned != run->seen_assigned)
        run->assigned_ms = now_ms(run);
    run->seen_assigned = assigned;
    return now_ms(run) >= run->assigned_ms + SETTLED_MS;
}

bool chaos_gets_on(struct chaos_run *run)
{
    unsigned seen = 0;

    if (now_ms(run) < run->looked_ms + LOOK_MS)
        return false;
    run->looked_ms = now_ms(run);
    for (uint32_t i = run->since; i < run->acknowledged_count; i++) {
        uint32_t number = run->order[i];

        /* Relaxed: polled. */
        if (atomic_load_explicit(&run->shared->handled[number], memory_order_relaxed) != 0)
            seen |= 1U << (run->acknowledged[number] - 1);
    }
    return seen == (1U << CHAOS_PARTITIONS) - 1;
}

static bool is_machine_busy(void)
{
    double load = 0;

    return getloadavg(&load, 1) == 1 &&
           load > (double)(BUSY_LOAD * sysconf(_SC_NPROCESSORS_ONLN));
}

void chaos_is_too_slow(const char *what, int64_t took_ms, int64_t bound_ms)
{
    if (!is_machine_busy())
        fail_msg("%s: no progress for %" PRId64 "ms, where %" PRId64 " is the bound", what,
                 took_ms, bound_ms);
}
