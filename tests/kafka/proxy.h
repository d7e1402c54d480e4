/* SPDX-License-Identifier: Apache-2.0 */
/* A network that is as bad as a test wants: what connects to one of its ports is carried on to
 * another address of this machine, with a fault for each direction.
 *
 * Upholds: bytes are neither lost nor changed nor overtaken while a connection lasts; what a fault
 * keeps back goes on when it is over, as TCP would see to it. One thread, by poll(2). */
#ifndef KLANE_TESTS_KAFKA_PROXY_H
#define KLANE_TESTS_KAFKA_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From who connects to whom it reaches, and back. */
enum proxy_way { PROXY_UP, PROXY_DOWN, PROXY_WAYS };

/* All zero: none. */
struct proxy_fault {
    uint32_t delay_ms;  /* each byte comes so much later */
    uint32_t jitter_ms; /* and up to so much more, by chance */
    uint32_t rate;      /* bytes a second of a connection; 0: as fast as it goes */
    uint32_t cut;       /* after so many bytes more a connection is reset; 0: it is not */
    bool is_silent;     /* nothing passes */
};

/* What is wrong with a link. Silent both ways: it takes connections, and nothing comes of them. */
struct proxy_faults {
    struct proxy_fault ways[PROXY_WAYS];
    bool is_refusing; /* nobody listens; connections that are there stay */
};

struct proxy_counts {
    uint64_t connections; /* that were taken */
    uint64_t cuts;        /* resets by a fault */
    uint64_t bytes[PROXY_WAYS];
};

struct proxy;

/* So many links, each listening on a port of its own; NULL: it could not be made. Nothing passes
 * before a link has a target. */
struct proxy *proxy_create(size_t links);
void proxy_destroy(struct proxy *proxy);

uint16_t proxy_port(const struct proxy *proxy, size_t link);

/* Any thread, all of them. NULL: nothing is wrong any more. */
void proxy_target(struct proxy *proxy, size_t link, uint16_t port);
void proxy_set(struct proxy *proxy, size_t link, const struct proxy_faults *faults);
struct proxy_counts proxy_counts(struct proxy *proxy, size_t link);

#endif
