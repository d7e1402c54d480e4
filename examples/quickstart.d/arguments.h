/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What the program was asked for.
 */
#ifndef KLANE_QUICKSTART_ARGUMENTS_H
#define KLANE_QUICKSTART_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>

struct arguments {
    char *repository;
    const char *brokers; /**< NULL: the embedded log. */
    int64_t pace_us;     /**< -1: chosen by the number of records. */
    bool check;          /**< Only say whether all this can be done. */
};

/** Returns false after telling on stderr what is wrong. */
bool arguments_parse(int argc, char **argv, struct arguments *arguments);

#endif
