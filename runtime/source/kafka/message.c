/* SPDX-License-Identifier: Apache-2.0 */
/* A message of librdkafka as a record. */
#include "source/kafka/message.h"

#include "base/headers.h"
#include "source/kafka/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* False: no memory. */
static bool headers_reserve(struct kafka_source *source, size_t count)
{
    struct klane_header_in *grown;

    if (count <= source->headers_capacity)
        return true;
    grown = realloc(source->headers, count * sizeof(*grown));
    if (grown == NULL)
        return false;
    source->headers = grown;
    source->headers_capacity = count;
    return true;
}

static bool block_reserve(struct kafka_source *source, size_t size)
{
    unsigned char *grown;

    if (size <= source->block_capacity)
        return true;
    grown = realloc(source->block, size);
    if (grown == NULL)
        return false;
    source->block = grown;
    source->block_capacity = size;
    return true;
}

/* The headers in klane's form. Only to look for them costs librdkafka an allocation, also where
 * there are none. Errors: CORRUPT, NOMEM. */
static klane_err_t take_headers(struct kafka_source *source, const rd_kafka_message_t *message,
                                struct source_record *record)
{
    rd_kafka_headers_t *headers;
    rd_kafka_resp_err_t err = rd_kafka_message_headers(message, &headers);
    size_t count, size;

    if (err == RD_KAFKA_RESP_ERR__NOENT)
        return KLANE_OK;
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return KLANE_ERR_CORRUPT;
    count = rd_kafka_header_cnt(headers);
    if (!headers_reserve(source, count))
        return KLANE_ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        rd_kafka_header_get_all(headers, i, &source->headers[i].name, &source->headers[i].value,
                                &source->headers[i].size);
    size = headers_size(source->headers, count);
    if (size == 0)
        return KLANE_OK;
    if (size > UINT32_MAX)
        return KLANE_ERR_CORRUPT;
    if (!block_reserve(source, size))
        return KLANE_ERR_NOMEM;
    headers_write(source->headers, count, source->block);
    record->headers = source->block;
    record->headers_size = (uint32_t)size;
    return KLANE_OK;
}

bool kafka_message_record(struct kafka_source *source, const struct kafka_partition *partition,
                          const rd_kafka_message_t *message, struct source_record *record)
{
    rd_kafka_timestamp_type_t type;
    klane_err_t err = KLANE_OK;

    *record = (struct source_record){
        .key = message->key,
        .value = message->payload,
        .key_size = (uint32_t)message->key_len,
        .value_size = (uint32_t)message->len,
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, &type),
    };
    if (partition->has_headers)
        err = take_headers(source, message, record);
    if (err == KLANE_OK)
        return true;
    kafka_fail(source, err, "%s [%" PRId32 "]: the headers of record %" PRId64 ": %s",
               partition->topic->name, partition->number, message->offset, klane_strerror(err));
    return false;
}

uint32_t kafka_message_headers_size(struct kafka_source *source,
                                    const rd_kafka_message_t *message)
{
    struct source_record record = {.headers_size = 0};

    /* Those that cannot be read count as none. */
    take_headers(source, message, &record);
    return record.headers_size;
}

void kafka_message_error(struct kafka_source *source, const struct kafka_partition *partition,
                         const rd_kafka_message_t *message, int64_t next)
{
    const char *said = rd_kafka_message_errstr(message);
    char text[KAFKA_TEXT_SIZE];

    if (kafka_err(message->err) != KLANE_ERR_CORRUPT) {
        kafka_tell(source, message->err, partition, "it cannot be read for now");
        return;
    }
    if (message->err == RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED)
        kafka_reason_text(&source->reason, source->version, said, text, sizeof text);
    else
        snprintf(text, sizeof text, "%s", said);
    /* librdkafka goes on behind what it cannot read: nobody else would notice. */
    kafka_fail(source, KLANE_ERR_CORRUPT,
               "%s [%" PRId32 "]: record %" PRId64 " or some behind it cannot be read: %s",
               partition->topic->name, partition->number, next, text);
}
