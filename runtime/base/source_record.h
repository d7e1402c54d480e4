/* SPDX-License-Identifier: Apache-2.0 */
/* A record as a source shows it. Its bytes are the source's; whoever keeps it copies them. */
#ifndef KLANE_BASE_SOURCE_RECORD_H
#define KLANE_BASE_SOURCE_RECORD_H

#include <stdint.h>

struct source_record {
    const void *key;     /* NULL: none */
    const void *value;   /* NULL: tombstone */
    const void *headers; /* in the form of base/headers.h; NULL: none */
    uint32_t key_size;
    uint32_t value_size;
    uint32_t headers_size;
    int64_t offset;
    int64_t timestamp_ms;
};

#endif
