/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of librdkafka behind a network that is as bad as a test wants: see proxy.h. */
#ifndef KLANE_TESTS_KAFKA_BY_PROXY_H
#define KLANE_TESTS_KAFKA_BY_PROXY_H

#include "kafka/proxy.h"

#include <librdkafka/rdkafka.h>

/* The network of this process, to the kit's cluster, which has to be one broker on this machine.
 * Clients may be left behind by a test: it is there as long as the program. */
void by_proxy_begin(void);
void by_proxy_end(void);

/* Who has this configuration reaches the cluster by that alone, whatever the cluster says of its
 * address. */
void by_proxy_set(rd_kafka_conf_t *conf);

/* What is wrong with it from now on; NULL: nothing. */
void by_proxy_fail(const struct proxy_faults *faults);

#endif
