/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/log_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int log_setup(void **state)
{
    struct log_fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    scratch_init(&fixture->scratch);
    scratch_path(&fixture->scratch, "log", fixture->path);
    *state = fixture;
    return 0;
}

int log_setup_made(void **state)
{
    struct log_fixture *fixture;

    log_setup(state);
    fixture = *state;
    assert_int_equal(log_open(fixture), KLANE_OK);
    assert_int_equal(klane_sqlite_topic(fixture->log, "orders", 4), KLANE_OK);
    return 0;
}

int log_teardown(void **state)
{
    struct log_fixture *fixture = *state;

    log_close(fixture);
    scratch_deinit(&fixture->scratch);
    free(fixture);
    return 0;
}

klane_err_t log_open(struct log_fixture *fixture)
{
    return klane_sqlite_open(fixture->path, LOG_BUSY_MS, &fixture->log, fixture->errstr,
                             sizeof(fixture->errstr));
}

void log_close(struct log_fixture *fixture)
{
    klane_sqlite_close(fixture->log);
    fixture->log = NULL;
}

void log_assert_refused(struct log_fixture *fixture, klane_err_t err, const char *text)
{
    assert_int_equal(log_open(fixture), err);
    assert_null(fixture->log);
    assert_non_null(strstr(fixture->errstr, fixture->path));
    check_says(fixture->errstr, text);
}

void log_write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

int64_t log_file_size(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 ? (int64_t)status.st_size : -1;
}
