/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Runs the consuming processes: one, which it kills half-way without a warning and starts again,
 * and, where the log can be shared, a second, which comes then and leaves again.
 */
#ifndef KLANE_QUICKSTART_SUPERVISOR_H
#define KLANE_QUICKSTART_SUPERVISOR_H

#include "consumer.h"

/*   SECOND_AHEAD --the first was killed and got on again--> SECOND_HERE --it had its share, or the
 *   first has ended: it is asked to leave--> SECOND_LEAVING --it has ended--> SECOND_GONE   */
enum second_state { SECOND_AHEAD, SECOND_HERE, SECOND_LEAVING, SECOND_GONE };

/** What happened. Numbers of records are of those that had taken effect by then. */
struct supervised {
    bool killed;
    uint64_t killed_at;
    enum second_state second;
    uint64_t second_at;      /**< Set when the second process is started. */
    uint64_t second_applied; /**< Records that it brought; known at the end. */
    uint64_t ms;             /**< From the first start to the last record. */
};

/** Is called often while it goes on, to show it. */
typedef void (*look_fn)(const struct consumer_plan *plan, struct board *board,
                        const struct supervised *happened);

/**
 * Consume the whole log. Returns false if it failed or was interrupted; board->failure tells why,
 * if it is not empty.
 */
bool supervise(const struct consumer_plan *plan, struct board *board, look_fn look,
               struct supervised *happened);

#endif
