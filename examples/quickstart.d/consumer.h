/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The consuming process: klane reads the log and runs a handler for each record, in parallel; the
 * handler folds the record into the table. This is the part that a program of yours would have.
 */
#ifndef KLANE_QUICKSTART_CONSUMER_H
#define KLANE_QUICKSTART_CONSUMER_H

#include "board.h"

struct consumer_plan {
    const struct log *log;
    const char *table_file;
    uint32_t workers;
    uint32_t pace_us; /**< How long a handler takes on purpose. */
    uint64_t records; /**< In the log. */
};

/**
 * Consume until the end of the log, or until a signal asks to end. Returns what the process should
 * exit with.
 */
int consumer_run(const struct consumer_plan *plan, struct board *board, enum member member);

#endif
