/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters in a topic of a log in memory. */
#include "source/letters.h"

#include "base/clock.h"

#include <klane/memory.h>

#include <stdlib.h>
#include <string.h>

struct memory_letters {
    struct klane_letters base;
    struct klane_source *source;
    char topic[];
};

static enum klane_outcome letters_send(struct klane_letters *base,
                                       const struct klane_record *record,
                                       const struct klane_header_in *headers, size_t count)
{
    struct memory_letters *letters = (struct memory_letters *)(void *)base;
    const struct klane_memory_record letter = {
        .key = record->key,
        .value = record->value,
        .key_size = record->key_size,
        .value_size = record->value_size,
        .timestamp_ms = clock_wall_ms(),
        .headers = headers,
        .header_count = count,
        .offset = -1,
    };
    klane_err_t err =
        klane_memory_append(letters->source, letters->topic, record->partition, &letter, NULL);

    if (err == KLANE_ERR_NOT_FOUND)
        err = klane_memory_append(letters->source, letters->topic, 0, &letter, NULL);
    return err == KLANE_OK ? KLANE_DONE : klane_retry(record, -1, klane_strerror(err));
}

static void letters_destroy(struct klane_letters *base)
{
    free(base);
}

static const struct klane_letters_ops memory_letters_ops = {.send = letters_send,
                                                            .destroy = letters_destroy};

klane_err_t klane_memory_letters(struct klane_source *source, const char *topic,
                                 struct klane_letters **letters)
{
    struct memory_letters *made;
    int64_t committed;
    klane_err_t err;

    if (source == NULL || topic == NULL || letters == NULL)
        return KLANE_ERR_INVALID;
    *letters = NULL;
    err = klane_memory_committed(source, topic, 0, &committed);
    if (err != KLANE_OK)
        return err;
    made = malloc(sizeof(*made) + strlen(topic) + 1);
    if (made == NULL)
        return KLANE_ERR_NOMEM;
    made->base.ops = &memory_letters_ops;
    made->source = source;
    strcpy(made->topic, topic);
    *letters = &made->base;
    return KLANE_OK;
}
