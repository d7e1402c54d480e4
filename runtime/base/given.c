/* SPDX-License-Identifier: Apache-2.0 */
#include "base/given.h"

#include <string.h>

void given_init(void *target, size_t target_size, const void *defaults, size_t defaults_size)
{
    uint32_t size = (uint32_t)target_size;

    if (target == NULL || target_size < sizeof size)
        return;
    memset(target, 0, target_size);
    memcpy(target, defaults, target_size < defaults_size ? target_size : defaults_size);
    memcpy(target, &size, sizeof size);
}

bool given_copy(void *target, size_t target_size, const void *given)
{
    const unsigned char *bytes = given;
    uint32_t given_size;

    memcpy(&given_size, given, sizeof given_size);
    if (given_size < sizeof given_size || given_size > GIVEN_SIZE_MAX)
        return false;
    /* A newer caller's fields that this version does not know must be unset. */
    for (size_t i = target_size; i < given_size; i++)
        if (bytes[i] != 0)
            return false;
    memcpy(target, given, given_size < target_size ? given_size : target_size);
    return true;
}
