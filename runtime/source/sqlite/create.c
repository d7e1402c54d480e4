/* SPDX-License-Identifier: Apache-2.0 */
/* How the embedded log's source is made. */
#include "source/sqlite/sqlite.h"

#include <stdio.h>
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

static klane_err_t create_failed(klane_err_t err, const char *text, char *errstr,
                                 size_t errstr_size)
{
    if (errstr != NULL && errstr_size > 0)
        snprintf(errstr, errstr_size, "%s", text);
    return err;
}

klane_err_t klane_sqlite_create(const char *path, const char *group,
                                enum klane_sqlite_taken when_taken, struct klane_source **source,
                                char *errstr, size_t errstr_size)
{
    struct sqlite_source *made;
    klane_err_t err;

    if (errstr != NULL && errstr_size > 0)
        errstr[0] = '\0';
    if (source == NULL || path == NULL)
        return create_failed(KLANE_ERR_INVALID, "path or source is NULL", errstr, errstr_size);
    *source = NULL;
    if (!database_name_is_valid(group))
        return create_failed(KLANE_ERR_INVALID,
                             "a group's name has 1 to 249 bytes, no spaces or control characters",
                             errstr, errstr_size);
    if (when_taken != KLANE_SQLITE_STANDBY && when_taken != KLANE_SQLITE_REFUSE)
        return create_failed(KLANE_ERR_INVALID, "when_taken is not one of its values", errstr,
                             errstr_size);
    made = calloc(1, sizeof *made);
    if (made == NULL)
        return create_failed(KLANE_ERR_NOMEM, "memory is exhausted", errstr, errstr_size);
    err = sqlite_reader_init(&made->reader, path, group);
    if (err == KLANE_OK && when_taken == KLANE_SQLITE_REFUSE)
        err = sqlite_group_check_free(&made->reader.group);
    if (err == KLANE_OK)
        err = init(made);
    made->when_taken = when_taken;
    if (err != KLANE_OK) {
        const char *text = made->reader.database.text;

        create_failed(err, text[0] == '\0' ? klane_strerror(err) : text, errstr, errstr_size);
        sqlite_reader_deinit(&made->reader);
        free(made);
        return err;
    }
    *source = &made->base;
    return KLANE_OK;
}
