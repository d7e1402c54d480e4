/* SPDX-License-Identifier: Apache-2.0 */
/* An embedded log in a file of its own, for tests that open it, damage it, and open it again. */
#ifndef KLANE_TESTS_LIB_LOG_FIXTURE_H
#define KLANE_TESTS_LIB_LOG_FIXTURE_H

#include "lib/check.h"
#include "lib/scratch.h"

#include <klane/sqlite.h>

enum { LOG_BUSY_MS = 10000, LOG_ERRSTR_SIZE = 512 };

struct log_fixture {
    struct scratch scratch;
    char path[SCRATCH_PATH_SIZE];
    struct klane_sqlite *log; /* NULL: closed */
    char errstr[LOG_ERRSTR_SIZE];
};

/* For cmocka: a path where there is nothing yet; or a log, open, with a topic "orders" of four
 * partitions. */
int log_setup(void **state);
int log_setup_made(void **state);
int log_teardown(void **state);
#define LOG_NEW(function) cmocka_unit_test_setup_teardown(function, log_setup, log_teardown)
#define LOG_MADE(function) cmocka_unit_test_setup_teardown(function, log_setup_made, log_teardown)

klane_err_t log_open(struct log_fixture *fixture);
void log_close(struct log_fixture *fixture);

/* The file is refused with err, and the message names it and says text. */
void log_assert_refused(struct log_fixture *fixture, klane_err_t err, const char *text);

void log_write_file(const char *path, const void *bytes, size_t size);

/* -1: there is none. */
int64_t log_file_size(const char *path);

#endif
