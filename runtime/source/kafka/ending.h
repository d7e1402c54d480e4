/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a handle of librdkafka.
 *
 * Upholds: who ends a handle comes back in time, also where librdkafka does not: versions before
 * 2.6.1 are known to wait for ever for a partition that was lost or whose topic was deleted. */
#ifndef KLANE_SOURCE_KAFKA_ENDING_H
#define KLANE_SOURCE_KAFKA_ENDING_H

#include <librdkafka/rdkafka.h>

/* Destroys the handle, which has closed or is not to, and after it what its threads still use.
 * Waits for that at most some seconds; then the handle and its threads are left to themselves. */
void kafka_end(rd_kafka_t *rk, void (*free_after)(void *context), void *context);

#endif
