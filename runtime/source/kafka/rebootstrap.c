/* SPDX-License-Identifier: Apache-2.0 */
/* Edge K3: see source/kafka/kafka.h. */
#include "source/kafka/rebootstrap.h"

#include "base/assert.h"
#include "base/clock.h"
#include "source/kafka/config.h"
#include "source/kafka/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long a handle without a connection may do nothing, at least, and against the time between
 * two attempts to connect. */
#define PATIENCE_MS 5000
#define PATIENCE_PARTS 2

void kafka_rebootstrap_stir(struct kafka_rebootstrap *rebootstrap, int64_t now_ms)
{
    /* Relaxed: see struct kafka_rebootstrap. */
    atomic_store_explicit(&rebootstrap->stirred_ms, now_ms, memory_order_relaxed);
}

/* On the broker's own thread, but for the first state, which is none that is up. The broker that
 * is nobody's, and always up, has no host. */
static rd_kafka_resp_err_t connection_changed(rd_kafka_t *rk, int32_t broker_id,
                                              const char *protocol, const char *host, int port,
                                              const char *state, void *opaque)
{
    static _Thread_local bool was_up;
    struct kafka_rebootstrap *rebootstrap = opaque;
    bool is_up = host[0] != '\0' && strcmp(state, "UP") == 0;

    (void)rk, (void)broker_id, (void)protocol, (void)port;
    kafka_rebootstrap_stir(rebootstrap, clock_now_ms());
    /* K3 release: pairs with kafka_rebootstrap_due_ms(). */
    if (is_up != was_up)
        atomic_fetch_add_explicit(&rebootstrap->up, is_up ? 1 : -1, memory_order_release);
    was_up = is_up;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t kafka_rebootstrap_watch(struct kafka_rebootstrap *rebootstrap, rd_kafka_t *rk,
                                            const rd_kafka_conf_t *conf)
{
    rd_kafka_resp_err_t err;

    if (rd_kafka_version() < KAFKA_VERSION_REBOOTSTRAP)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    rebootstrap->patience_ms =
        PATIENCE_PARTS * kafka_config_number(conf, "reconnect.backoff.max.ms", 10000);
    if (rebootstrap->patience_ms < PATIENCE_MS)
        rebootstrap->patience_ms = PATIENCE_MS;
    kafka_rebootstrap_stir(rebootstrap, clock_now_ms());
    err = rd_kafka_interceptor_add_on_broker_state_change(rk, "klane", connection_changed,
                                                          rebootstrap);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        rebootstrap->rk = rk;
    return err;
}

int64_t kafka_rebootstrap_due_ms(const struct kafka_rebootstrap *rebootstrap)
{
    /* K3 acquire: pairs with connection_changed(). */
    if (rebootstrap->rk == NULL ||
        atomic_load_explicit(&rebootstrap->up, memory_order_acquire) > 0)
        return KAFKA_NEVER_MS;
    /* Relaxed: see struct kafka_rebootstrap. */
    return atomic_load_explicit(&rebootstrap->stirred_ms, memory_order_relaxed) +
           rebootstrap->patience_ms;
}

void kafka_rebootstrap(rd_kafka_t *rk)
{
    char *servers;
    size_t size = 0;

    if (rd_kafka_version() < KAFKA_VERSION_REBOOTSTRAP)
        return;
    KLANE_MARK("kafka: a handle begins with bootstrap.servers again");
    rd_kafka_conf_get(rd_kafka_conf(rk), "bootstrap.servers", NULL, &size);
    servers = malloc(size);
    if (servers == NULL)
        return;
    rd_kafka_conf_get(rd_kafka_conf(rk), "bootstrap.servers", servers, &size);
    rd_kafka_brokers_add(rk, servers);
    free(servers);
}

void kafka_rebootstrap_work(struct kafka_source *source, struct kafka_rebootstrap *rebootstrap,
                            int64_t now_ms)
{
    char text[KAFKA_TEXT_SIZE];

    if (now_ms < kafka_rebootstrap_due_ms(rebootstrap))
        return;
    kafka_rebootstrap_stir(rebootstrap, now_ms);
    kafka_rebootstrap(rebootstrap->rk);
    snprintf(text, sizeof text,
             "no connection for %" PRId64 " ms: librdkafka is given bootstrap.servers again",
             rebootstrap->patience_ms);
    kafka_tell(source, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, NULL, text);
}
