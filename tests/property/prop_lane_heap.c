/* SPDX-License-Identifier: Apache-2.0 */
/* The heap of lanes against an array of values. */
#include "property/lane_heap_property.h"

static void lane_heap_agrees_with_a_right_model(void **state)
{
    (void)state;

    lane_heap_agrees_with_an_array(0);
}

int main(void)
{
    const struct CMUnitTest lane_heap_properties[] = {
        cmocka_unit_test(lane_heap_agrees_with_a_right_model),
    };

    return check_run(lane_heap_properties);
}
