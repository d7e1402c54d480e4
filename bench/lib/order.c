/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/order.h"

#include <stdlib.h>

void order_init(struct order *order, uint64_t keys)
{
    order->keys = keys;
    order->stamped = calloc(keys, sizeof(*order->stamped));
    order->handled = calloc(keys, sizeof(*order->handled));
    if (order->stamped == NULL || order->handled == NULL)
        bench_fail("no memory");
}

void order_stamp(struct order *order, uint64_t key, void *value)
{
    const struct order_stamp stamp = {(uint32_t)key, order->stamped[key]++};

    memcpy(value, &stamp, sizeof(stamp));
}

void order_broken(const struct order *order, const struct order_stamp *stamp)
{
    bench_fail("key %u: record %u was handled after %u others", stamp->key, stamp->before,
               order->handled[stamp->key]);
}

void order_check(const struct order *order)
{
    for (uint64_t i = 0; i < order->keys; i++)
        bench_check_count(order->handled[i], order->stamped[i], "records handled of a key");
}
