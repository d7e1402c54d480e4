/* SPDX-License-Identifier: Apache-2.0 */
/* Errors: librdkafka's as klane's, and how control hears of them. */
#ifndef KLANE_SOURCE_KAFKA_ERROR_H
#define KLANE_SOURCE_KAFKA_ERROR_H

#include "source/kafka/kafka.h"

klane_err_t kafka_err(rd_kafka_resp_err_t err);

/* Something is tried again. partition NULL: it concerns none. */
void kafka_tell(struct kafka_source *source, rd_kafka_resp_err_t err,
                const struct kafka_partition *partition, const char *what);

/* The runtime cannot go on. */
void kafka_fail(struct kafka_source *source, klane_err_t err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
