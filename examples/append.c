/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Appends to the embedded log what it reads: a record for each line, "key<TAB>value", or a value
 * without a key. For trying the other examples:
 *
 *     printf 'anna\tone book\nbert\ttwo pens\nanna\tno book\n' | append orders.log orders
 *     minimal orders.log
 */
#include <klane/sqlite.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARTITIONS 8
#define BUSY_MS 5000

/** Append one line without its end. */
static klane_err_t append(struct klane_sqlite *log, const char *topic, const char *line,
                          size_t size)
{
    const char *tab = memchr(line, '\t', size);
    struct klane_sqlite_record record = {.topic = topic, .timestamp_ms = -1, .partition = -1};

    record.value = tab != NULL ? tab + 1 : line;
    record.value_size = (size_t)(line + size - (const char *)record.value);
    if (tab != NULL) {
        record.key = line;
        record.key_size = (size_t)(tab - line);
    }
    return klane_sqlite_append(log, &record, NULL);
}

int main(int argc, char **argv)
{
    struct klane_sqlite *log = NULL;
    char why[256], *line = NULL;
    size_t room = 0;
    ssize_t size;
    klane_err_t err;

    if (argc != 3) {
        fprintf(stderr, "usage: append LOG TOPIC < lines of key<TAB>value\n");
        return 2;
    }
    if (klane_sqlite_open(argv[1], BUSY_MS, &log, why, sizeof why) != KLANE_OK) {
        fprintf(stderr, "%s\n", why);
        return EXIT_FAILURE;
    }
    err = klane_sqlite_topic(log, argv[2], PARTITIONS);
    while (err == KLANE_OK && (size = getline(&line, &room, stdin)) > 0) {
        if (line[size - 1] == '\n')
            size--;
        err = append(log, argv[2], line, (size_t)size);
    }
    if (err != KLANE_OK)
        fprintf(stderr, "%s: %s\n", klane_strerror(err), klane_sqlite_errmsg(log));
    free(line);
    klane_sqlite_close(log);
    return err == KLANE_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
