/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include <klane/sqlite.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BUSY_MS 5000
#define METADATA_SIZE 65537

int print_sqlite(const char *place, const char *group, const char *topic, const char *key)
{
    static char metadata[METADATA_SIZE];
    struct committed committed = {.log_end = -1, .metadata = metadata};
    struct klane_sqlite *log = NULL;
    char why[512] = "";
    klane_err_t err;

    /* To open a log that is not there would make it. */
    if (access(place, R_OK) != 0) {
        perror(place);
        return 1;
    }
    if (klane_sqlite_open(place, BUSY_MS, &log, why, sizeof(why)) != KLANE_OK) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    while ((err = klane_sqlite_progress(log, group, topic, committed.partition, &committed.offset,
                                        metadata, sizeof(metadata))) == KLANE_OK) {
        committed.metadata_size = strlen(metadata);
        print_committed(&committed, key);
        committed.partition++;
    }
    /* Behind the last partition there is none. */
    if (err == KLANE_ERR_NOT_FOUND && committed.partition > 0)
        err = KLANE_OK;
    if (err != KLANE_OK)
        fprintf(stderr, "%s\n", klane_sqlite_errmsg(log));
    klane_sqlite_close(log);
    return err == KLANE_OK ? 0 : 1;
}
