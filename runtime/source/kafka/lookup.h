/* SPDX-License-Identifier: Apache-2.0 */
/* The helper thread's part: calls of librdkafka that wait for a broker. */
#ifndef KLANE_SOURCE_KAFKA_LOOKUP_H
#define KLANE_SOURCE_KAFKA_LOOKUP_H

#include "source/kafka/kafka.h"

/* For helper_create(); the context is the source. */
extern const struct helper_ops kafka_lookup_ops;

#endif
