/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Runs the consuming process, kills it once without a warning and starts it again.
 */
#ifndef KLANE_QUICKSTART_SUPERVISOR_H
#define KLANE_QUICKSTART_SUPERVISOR_H

#include "consumer.h"

#include <signal.h>

/** What happened. */
struct supervised {
    bool killed;
    uint64_t killed_at; /**< Records that had taken effect by then. */
    uint64_t ms;        /**< From the first start to the end. */
};

/** Is called often while it goes on, to show it. */
typedef void (*look_fn)(const struct consumer_plan *plan, struct board *board,
                        const struct supervised *happened);

/** The signal that asks the program to end, 0: none came. Set by its signal handler. */
extern volatile sig_atomic_t interrupted;

/**
 * Consume the whole log. Returns false if it failed or was interrupted; board->failure tells why,
 * if it is not empty.
 */
bool supervise(const struct consumer_plan *plan, struct board *board, look_fn look,
               struct supervised *happened);

#endif
