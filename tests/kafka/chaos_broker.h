/* SPDX-License-Identifier: Apache-2.0 */
/* Brokers for chaos: tests/kafka/broker, in the background. See kafka/chaos.h. */
#ifndef KLANE_TESTS_KAFKA_CHAOS_BROKER_H
#define KLANE_TESTS_KAFKA_CHAOS_BROKER_H

#include "kafka/proxy.h"
#include "lib/scratch.h"

#include <sys/types.h>

#define CHAOS_NODES 3         /* of a cluster */
#define CHAOS_ADDRESS_SIZE 80 /* of all of them */

enum chaos_node_state {
    CHAOS_NODE_UP,
    CHAOS_NODE_FROZEN, /* until until_ms */
    CHAOS_NODE_GOES,
    CHAOS_NODE_COMES,
    CHAOS_NODE_DOWN
};

struct chaos_node {
    char directory[SCRATCH_PATH_SIZE];
    pid_t script; /* that works on the next state; 0: none */
    enum chaos_node_state state;
    int64_t until_ms;
};

/* One broker, or a cluster of three with a proxy between it and clients. */
struct chaos_broker {
    struct scratch scratch;
    char directory[SCRATCH_PATH_SIZE];
    char bootstrap[CHAOS_ADDRESS_SIZE];
    char clients[CHAOS_ADDRESS_SIZE]; /* the same through the proxy */
    unsigned count;                   /* of nodes; fixed before it is made, 0: one */
    struct chaos_node nodes[CHAOS_NODES];
    struct proxy *proxy; /* a link for each node; NULL: one broker has none */
    bool is_made;
};

/* Wait until all of it runs; made when first asked for. */
void chaos_broker_up(struct chaos_broker *broker);
bool chaos_broker_is_up(const struct chaos_broker *broker);

/* Begin to end a node, and to start it again; or stop it as it is for a while. chaos_broker_work()
 * goes on with that, and returns how many are back. */
void chaos_broker_restart(struct chaos_broker *broker, unsigned node, bool is_kill);
void chaos_broker_freeze(struct chaos_broker *broker, unsigned node, int64_t until_ms);
unsigned chaos_broker_work(struct chaos_broker *broker, int64_t now_ms);

/* End a node by SIGKILL, and start one that was; both return when that is done. */
void chaos_broker_kill(struct chaos_broker *broker, unsigned node);
void chaos_broker_start(struct chaos_broker *broker, unsigned node);

/* The node that is the active controller, as far as the nodes' files tell. */
unsigned chaos_broker_controller(const struct chaos_broker *broker);

/* End it, and remove what it has. Asserts nothing. */
void chaos_broker_remove(struct chaos_broker *broker);

#endif
