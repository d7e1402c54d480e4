/* SPDX-License-Identifier: Apache-2.0 */
/* The heap against an array of values. */
#include "property/heap_property.h"

static void heap_agrees_with_a_right_model(void **state)
{
    (void)state;

    heap_agrees_with_an_array(0);
}

int main(void)
{
    const struct CMUnitTest heap_properties[] = {
        cmocka_unit_test(heap_agrees_with_a_right_model),
    };

    return check_run(heap_properties);
}
