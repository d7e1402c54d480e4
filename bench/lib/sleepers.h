/* SPDX-License-Identifier: Apache-2.0 */
/* Sleepers: handlers that sleep, and as many bare threads that do nothing but sleep and count.
 * Both sleep with the same call, as a sleep is longer than it says. Instead of sleeping they may
 * burn processor time.
 *
 * The clock stops with the last counted sleep, while there is more to do, so that the figure has
 * no end at which workers run dry. */
#ifndef KLANE_BENCH_LIB_SLEEPERS_H
#define KLANE_BENCH_LIB_SLEEPERS_H

#include "lib/harness.h"

#include <semaphore.h>
#include <stdatomic.h>

enum { SLEEPERS_MAX = BENCH_CONCURRENCY_MAX };

struct sleepers_plan {
    uint32_t sleep_ms;
    uint32_t workers;
    uint64_t records;
    uint64_t records_quick;
    bool has_warm_up; /* the clock starts when a tenth as many have slept */
    uint32_t burn_us; /* of processor time; 0: they sleep */
};

struct sleepers {
    uint64_t records;
    uint64_t warm_up;
    uint32_t sleep_ms;
    uint32_t burn_us;
    uint32_t workers;
    struct bench_meter meter;
    sem_t is_warm;
    sem_t is_done;
    _Alignas(64) _Atomic uint64_t slept;
};

void sleepers_init(struct sleepers *sleepers, const struct sleepers_plan *plan,
                   const struct bench_run *run);

/* Sleep, or burn, once. Returns how many have by now, this one included. */
uint64_t sleepers_once(struct sleepers *sleepers);

/* The handler that does nothing else; its context is the sleepers. */
enum klane_outcome sleepers_handle(const struct klane_record *record, void *context);

/* Start the clock unless there is a warm-up. Before the first may sleep. */
void sleepers_begin(struct sleepers *sleepers);

/* Wait until all have slept, and stop the clock. */
void sleepers_wait(struct sleepers *sleepers);

void sleepers_report(const struct sleepers *sleepers, struct bench_run *run);

/* Bare threads sleep until all is done; the meter has the time of that. */
void sleepers_bare_sleep(struct sleepers *sleepers);

/* The arm of bare threads; its plan is a struct sleepers_plan. */
void sleepers_bare_run(struct bench_run *run);

#endif
