/* SPDX-License-Identifier: Apache-2.0 */
/* Threads as klane makes them: named, and leaving asynchronous signals to the program's own. */
#ifndef KLANE_BASE_THREAD_H
#define KLANE_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* name is cut to 15 bytes. stack_bytes 0: the system's. False: errno says why. */
bool thread_start(pthread_t *thread, const char *name, uint32_t stack_bytes,
                  void *(*entry)(void *), void *argument);

#endif
