/* SPDX-License-Identifier: Apache-2.0 */
/* Knows a child process after fork(): its copy of a runtime has no threads. One counter for the
 * whole process, raised in each child, is cheaper to ask than getpid(), and may be asked by a
 * signal handler. */
#include "engine/engine.h"

static _Atomic uint32_t generation;
static pthread_once_t registered = PTHREAD_ONCE_INIT;
static bool is_registered; /* written once, read after pthread_once() */

static void in_child(void)
{
    /* Relaxed: a child begins with one thread. */
    atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
}

static void register_once(void)
{
    is_registered = pthread_atfork(NULL, NULL, in_child) == 0;
}

bool fork_watch(void)
{
    pthread_once(&registered, register_once);
    return is_registered;
}

uint32_t fork_generation(void)
{
    /* Relaxed: only changed before any other thread of the process exists. */
    return atomic_load_explicit(&generation, memory_order_relaxed);
}
