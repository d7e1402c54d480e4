/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Signals that ask a process to end: SIGINT, SIGTERM, SIGHUP.
 */
#ifndef KLANE_QUICKSTART_INTERRUPT_H
#define KLANE_QUICKSTART_INTERRUPT_H

#include <klane/klane.h>

#include <signal.h>

/** The signal that came, 0: none. */
extern volatile sig_atomic_t interrupted;

/** Catch them, also in the children that will be forked. A wait that is interrupted ends. */
void interrupt_catch(void);

/** They stop this runtime from now on, also if one has come before. NULL: they stop none. */
void interrupt_stops(struct klane_runtime *runtime);

#endif
