/* SPDX-License-Identifier: Apache-2.0 */
/**
 * klane_stop() is one of the few calls that a signal handler may make.
 */
#include "interrupt.h"

#include <stdatomic.h>
#include <stddef.h>

volatile sig_atomic_t interrupted;

static _Atomic(struct klane_runtime *) stoppable;

static void on_signal(int signal)
{
    struct klane_runtime *runtime;

    interrupted = signal;
    runtime = atomic_load(&stoppable);
    if (runtime != NULL)
        klane_stop(runtime);
}

void interrupt_catch(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    /* Without SA_RESTART: a read that waits for git ends as well. */
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

void interrupt_stops(struct klane_runtime *runtime)
{
    atomic_store(&stoppable, runtime);
    if (runtime != NULL && interrupted)
        klane_stop(runtime);
}
