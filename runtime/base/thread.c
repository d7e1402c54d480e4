/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

/* All but those that a fault of the thread itself raises. */
static void asynchronous_signals(sigset_t *signals)
{
    const int raised_by_faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};

    sigfillset(signals);
    for (size_t i = 0; i < sizeof(raised_by_faults) / sizeof(raised_by_faults[0]); i++)
        sigdelset(signals, raised_by_faults[i]);
}

bool thread_start(pthread_t *thread, const char *name, uint32_t stack_bytes,
                  void *(*entry)(void *), void *argument)
{
    pthread_attr_t attributes;
    sigset_t blocked, before;
    char short_name[16];
    int err = pthread_attr_init(&attributes);

    if (err != 0) {
        errno = err;
        return false;
    }
    if (stack_bytes > 0)
        err = pthread_attr_setstacksize(&attributes, stack_bytes);
    if (err == 0) {
        /* A new thread inherits the mask, so it is never without one. */
        asynchronous_signals(&blocked);
        pthread_sigmask(SIG_BLOCK, &blocked, &before);
        err = pthread_create(thread, &attributes, entry, argument);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attributes);
    if (err != 0) {
        errno = err;
        return false;
    }
    snprintf(short_name, sizeof(short_name), "%s", name);
    pthread_setname_np(*thread, short_name);
    return true;
}
