/* SPDX-License-Identifier: Apache-2.0 */
/* How the embedded log's source is made. */
#include "base/errstr.h"
#include "base/given.h"
#include "source/sqlite/sqlite.h"

#include <stdlib.h>

static klane_err_t init(struct sqlite_source *source)
{
    source->base.ops = &sqlite_source_ops;
    source->reader.cleans = true;
    STAILQ_INIT(&source->partitions);
    STAILQ_INIT(&source->find.partitions);
    STAILQ_INIT(&source->ready);
    STAILQ_INIT(&source->wanting);
    STAILQ_INIT(&source->idle_runs);
    sqlite_sweep_init(source);
    source->join.type = READER_JOIN;
    source->find.request.type = READER_FIND;
    source->commit.request.type = READER_COMMIT;
    source->close.type = READER_CLOSE;
    source->wake_ms = READER_NEVER_MS;
    source->join_ms = READER_NEVER_MS;
    source->beat_ms = READER_NEVER_MS;
    source->find_ms = READER_NEVER_MS;
    source->assign_ms = READER_NEVER_MS;
    source->runs = calloc(SQLITE_RUNS, sizeof *source->runs);
    if (source->runs == NULL)
        return KLANE_ERR_NOMEM;
    for (size_t i = 0; i < SQLITE_RUNS; i++) {
        source->runs[i].request.type = READER_READ;
        STAILQ_INSERT_TAIL(&source->idle_runs, &source->runs[i], link);
    }
    return KLANE_OK;
}

klane_err_t klane_sqlite_create(const char *path, const char *group,
                                enum klane_sqlite_taken when_taken, struct klane_source **source,
                                char *errstr, size_t errstr_size)
{
    struct sqlite_source *made;
    klane_err_t err;

    errstr_clear(errstr, errstr_size);
    if (source == NULL || path == NULL)
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size, "%s is NULL",
                          source == NULL ? "source" : "path");
    *source = NULL;
    if (!given_name_is_valid(group))
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size,
                          "group has to be 1 to 249 bytes, without spaces or control characters");
    if (when_taken != KLANE_SQLITE_STANDBY && when_taken != KLANE_SQLITE_REFUSE)
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size,
                          "when_taken is %d, which is none of its values", (int)when_taken);
    made = calloc(1, sizeof *made);
    if (made == NULL)
        return errstr_set(KLANE_ERR_NOMEM, errstr, errstr_size, "memory is exhausted");
    err = sqlite_reader_init(&made->reader, path, group);
    if (err == KLANE_OK && when_taken == KLANE_SQLITE_REFUSE)
        err = sqlite_group_check_free(&made->reader.group);
    if (err == KLANE_OK)
        err = init(made);
    made->when_taken = when_taken;
    if (err != KLANE_OK) {
        const char *text = made->reader.database.text;

        errstr_set(err, errstr, errstr_size, "%s", text[0] == '\0' ? klane_strerror(err) : text);
        sqlite_reader_deinit(&made->reader);
        free(made);
        return err;
    }
    *source = &made->base;
    return KLANE_OK;
}
