/* SPDX-License-Identifier: Apache-2.0 */
/* Order and loss: the value of each record says of which key it is and how many of that key came
 * before it; whoever handles the record looks whether it has just handled those.
 *
 * Upholds: a handler that is run out of its key's order fails the arm at once; order_check() fails
 * it if a record was not handled. A handler reads and writes one word; no two of one key may run
 * at once, so that needs no atomic. */
#ifndef KLANE_BENCH_LIB_ORDER_H
#define KLANE_BENCH_LIB_ORDER_H

#include "lib/harness.h"

#include <string.h>

struct order {
    uint64_t keys;
    uint32_t *stamped; /* records made of each key */
    uint32_t *handled; /* and handled */
};

/* What a value begins with. */
struct order_stamp {
    uint32_t key;
    uint32_t before; /* records of that key */
};

void order_init(struct order *order, uint64_t keys);

/* Write what the value of the key's next record begins with. */
void order_stamp(struct order *order, uint64_t key, void *value);

/* Fails: another record of the key was to be handled. */
_Noreturn void order_broken(const struct order *order, const struct order_stamp *stamp);

static inline void order_handle(struct order *order, const void *value)
{
    struct order_stamp stamp;

    memcpy(&stamp, value, sizeof(stamp));
    if (order->handled[stamp.key] != stamp.before)
        order_broken(order, &stamp);
    order->handled[stamp.key] = stamp.before + 1;
}

/* Fails unless all were handled. No handler runs any more. */
void order_check(const struct order *order);

#endif
