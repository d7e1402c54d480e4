/* SPDX-License-Identifier: Apache-2.0 */
/* A client of librdkafka behind a network that is as bad as a test wants: see proxy.h. */
#ifndef KLANE_TESTS_KAFKA_BY_PROXY_H
#define KLANE_TESTS_KAFKA_BY_PROXY_H

#include "kafka/proxy.h"

#include <librdkafka/rdkafka.h>

/* The proxy, of one link, to the kit's cluster; ended by by_proxy_end(). Of a process there is one
 * at a time. */
struct proxy *by_proxy_begin(void);
void by_proxy_end(void);

/* Who has this configuration reaches the cluster by the proxy alone, whatever the cluster says of
 * its addresses. */
void by_proxy_set(rd_kafka_conf_t *conf);

#endif
