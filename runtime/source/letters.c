/* SPDX-License-Identifier: Apache-2.0 */
#include "source/letters.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names are those of Kafka Connect's org.apache.kafka.connect.runtime.errors
 * .DeadLetterQueueReporter, and so are values: numbers as text. */
#define PREFIX "__connect.errors."

enum { TOPIC, PARTITION, OFFSET, MESSAGE, ATTEMPTS, TIMESTAMP, ADDED, NUMBER_SIZE = 24 };

static const char *const names[ADDED] = {
    [TOPIC] = PREFIX "topic",       [PARTITION] = PREFIX "partition",
    [OFFSET] = PREFIX "offset",     [MESSAGE] = PREFIX "exception.message",
    [ATTEMPTS] = PREFIX "attempts", [TIMESTAMP] = PREFIX "timestamp",
};

/* The record's own, but for those of a time that it was a dead letter before. */
static size_t copy_headers(const struct klane_record *record, struct klane_header_in *headers)
{
    size_t count = 0;

    for (size_t i = 0; i < record->header_count; i++) {
        struct klane_header_in *header = &headers[count];

        if (klane_header_at(record, i, &header->name, &header->value, &header->size) == KLANE_OK)
            count += strncmp(header->name, PREFIX, strlen(PREFIX)) != 0;
    }
    return count;
}

enum klane_outcome klane_letters_send(const struct klane_record *record, void *context)
{
    struct klane_letters *letters = context;
    struct klane_header_in *headers = malloc((record->header_count + ADDED) * sizeof(*headers));
    char numbers[ADDED][NUMBER_SIZE];
    const char *values[ADDED];
    uint32_t attempts = 0;
    const char *reason = klane_failure(record, &attempts);
    enum klane_outcome outcome;
    size_t count;

    if (headers == NULL)
        return klane_retry(record, -1, "memory is exhausted");
    for (int i = 0; i < ADDED; i++)
        values[i] = numbers[i];
    values[TOPIC] = record->topic;
    values[MESSAGE] = reason == NULL ? "" : reason;
    snprintf(numbers[PARTITION], NUMBER_SIZE, "%" PRId32, record->partition);
    snprintf(numbers[OFFSET], NUMBER_SIZE, "%" PRId64, record->offset);
    snprintf(numbers[ATTEMPTS], NUMBER_SIZE, "%" PRIu32, attempts);
    snprintf(numbers[TIMESTAMP], NUMBER_SIZE, "%" PRId64, record->timestamp_ms);
    count = copy_headers(record, headers);
    for (int i = 0; i < ADDED; i++)
        headers[count++] = (struct klane_header_in){
            .name = names[i], .value = values[i], .size = strlen(values[i])};
    outcome = letters->ops->send(letters, record, headers, count);
    free(headers);
    return outcome;
}

void klane_letters_stop(struct klane_letters *letters)
{
    if (letters != NULL && letters->ops->stop != NULL)
        letters->ops->stop(letters);
}

void klane_letters_destroy(struct klane_letters *letters)
{
    if (letters != NULL)
        letters->ops->destroy(letters);
}
