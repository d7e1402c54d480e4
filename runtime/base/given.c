/* SPDX-License-Identifier: Apache-2.0 */
#include "base/given.h"

#include <string.h>

void given_init(void *target, size_t target_size, const void *defaults, size_t defaults_size)
{
    uint32_t size = (uint32_t)target_size;

    if (target == NULL || target_size < sizeof size)
        return;
    given_answer(target, target_size, defaults, defaults_size);
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

void given_answer(void *target, size_t target_size, const void *answer, size_t answer_size)
{
    memset(target, 0, target_size);
    memcpy(target, answer, target_size < answer_size ? target_size : answer_size);
}

const struct given_bound *given_outside(const struct given_bound *bounds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bounds[i].value < bounds[i].low || bounds[i].value > bounds[i].high)
            return &bounds[i];
    return NULL;
}

bool given_name_is_valid(const char *name)
{
    size_t size = 0;

    if (name == NULL)
        return false;
    while (size <= GIVEN_NAME_MAX && (unsigned char)name[size] > ' ' && name[size] != 0x7f)
        size++;
    return size > 0 && size <= GIVEN_NAME_MAX && name[size] == '\0';
}
