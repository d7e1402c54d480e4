/* SPDX-License-Identifier: Apache-2.0 */
/* SQL on a log's file by a connection that is not klane's, opened for one statement or script. */
#ifndef KLANE_TESTS_LIB_RAW_SQL_H
#define KLANE_TESTS_LIB_RAW_SQL_H

#include <stdint.h>

/* Runs a script, which has to succeed. */
void raw_execute(const char *path, const char *sql);

/* The number in the first row of the answer; there has to be one. */
int64_t raw_query(const char *path, const char *sql);

#endif
