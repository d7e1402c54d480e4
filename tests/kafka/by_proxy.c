/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/by_proxy.h"

#include "kafka/kafka_kit.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* Fixed while there are clients of it: librdkafka's threads read it. */
static struct proxy *proxy;

struct proxy *by_proxy_begin(void)
{
    proxy = proxy_create(1);
    assert_non_null(proxy);
    proxy_target(proxy, 0, kafka_kit_port());
    return proxy;
}

void by_proxy_end(void)
{
    if (proxy != NULL)
        proxy_destroy(proxy);
    proxy = NULL;
}

static int connect_by_proxy(int fd, const struct sockaddr *address, int size, const char *id,
                            void *opaque)
{
    struct sockaddr_in to;

    (void)size, (void)id, (void)opaque;
    if (address->sa_family != AF_INET)
        return EAFNOSUPPORT;
    memcpy(&to, address, sizeof to);
    to.sin_port = htons(proxy_port(proxy, 0));
    /* Under way counts as done. */
    if (connect(fd, (const struct sockaddr *)&to, sizeof to) == 0 || errno == EINPROGRESS)
        return 0;
    return errno;
}

void by_proxy_set(rd_kafka_conf_t *conf)
{
    rd_kafka_conf_set_connect_cb(conf, connect_by_proxy);
}
