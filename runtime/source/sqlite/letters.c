/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters in a topic of an embedded log, by a connection of their own, which one handler at a
 * time uses. */
#include "source/letters.h"

#include "base/errstr.h"

#include <klane/sqlite.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct sqlite_letters {
    struct klane_letters base;
    pthread_mutex_t lock;
    struct klane_sqlite *log; /* under the lock */
    uint32_t busy_ms;
    char topic[];
};

static enum klane_outcome letters_send(struct klane_letters *base,
                                       const struct klane_record *record,
                                       const struct klane_header_in *headers, size_t count)
{
    struct sqlite_letters *letters = (struct sqlite_letters *)(void *)base;
    const struct klane_sqlite_record letter = {
        .topic = letters->topic,
        .key = record->key,
        .value = record->value,
        .key_size = record->key_size,
        .value_size = record->value_size,
        .timestamp_ms = -1,
        .partition = -1,
        .headers = headers,
        .header_count = count,
    };
    enum klane_outcome outcome = KLANE_DONE;
    struct timespec until;

    /* While the file is locked, many would wait one behind the other. */
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += letters->busy_ms / 1000 + 1;
    if (pthread_mutex_clocklock(&letters->lock, CLOCK_MONOTONIC, &until) != 0)
        return klane_retry(record, -1, "others wait for the log");
    if (klane_sqlite_append(letters->log, &letter, NULL) != KLANE_OK)
        outcome = klane_retry(record, -1, klane_sqlite_errmsg(letters->log));
    pthread_mutex_unlock(&letters->lock);
    return outcome;
}

static void letters_destroy(struct klane_letters *base)
{
    struct sqlite_letters *letters = (struct sqlite_letters *)(void *)base;

    klane_sqlite_close(letters->log);
    pthread_mutex_destroy(&letters->lock);
    free(letters);
}

static const struct klane_letters_ops sqlite_letters_ops = {.send = letters_send,
                                                            .destroy = letters_destroy};

klane_err_t klane_sqlite_letters(const char *path, uint32_t busy_ms, const char *topic,
                                 struct klane_letters **letters, char *errstr, size_t errstr_size)
{
    struct sqlite_letters *made;
    klane_err_t err;

    errstr_clear(errstr, errstr_size);
    if (topic == NULL || letters == NULL)
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size, "%s is NULL",
                          topic == NULL ? "topic" : "letters");
    *letters = NULL;
    made = calloc(1, sizeof *made + strlen(topic) + 1);
    if (made == NULL)
        return errstr_set(KLANE_ERR_NOMEM, errstr, errstr_size, "memory is exhausted");
    err = klane_sqlite_open(path, busy_ms, &made->log, errstr, errstr_size);
    if (err == KLANE_OK) {
        err = klane_sqlite_topic(made->log, topic, 1);
        /* With more partitions it is as good. */
        if (err == KLANE_ERR_EXISTS)
            err = KLANE_OK;
        if (err != KLANE_OK)
            errstr_set(err, errstr, errstr_size, "%s", klane_sqlite_errmsg(made->log));
    }
    if (err != KLANE_OK) {
        klane_sqlite_close(made->log);
        free(made);
        return err;
    }
    pthread_mutex_init(&made->lock, NULL);
    made->base.ops = &sqlite_letters_ops;
    made->busy_ms = busy_ms;
    strcpy(made->topic, topic);
    *letters = &made->base;
    return KLANE_OK;
}
