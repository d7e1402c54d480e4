/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/by_proxy.h"

#include "kafka/kafka_kit.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

static struct proxy *proxy; /* fixed before librdkafka's threads read it */

void by_proxy_begin(void)
{
    proxy = proxy_create(1);
    assert_non_null(proxy);
    proxy_target(proxy, 0, kafka_kit_port());
}

void by_proxy_end(void)
{
    proxy_destroy(proxy);
}

void by_proxy_fail(const struct proxy_faults *faults)
{
    proxy_set(proxy, 0, faults);
}

static int connect_by_proxy(int fd, const struct sockaddr *address, int size, const char *id,
                            void *opaque)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons(proxy_port(proxy, 0)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    (void)size, (void)id, (void)opaque;
    if (address->sa_family != AF_INET)
        return EAFNOSUPPORT;
    /* Under way counts as done. */
    if (connect(fd, (const struct sockaddr *)&to, sizeof to) == 0 || errno == EINPROGRESS)
        return 0;
    return errno;
}

void by_proxy_set(rd_kafka_conf_t *conf)
{
    rd_kafka_conf_set_connect_cb(conf, connect_by_proxy);
}
