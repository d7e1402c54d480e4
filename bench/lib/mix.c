/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mix.h"
#include "lib/drive.h"

static uint64_t left(const struct mix *mix)
{
    uint64_t records = 0;

    for (int i = 0; i < MIX_GROUPS_MAX; i++)
        records += mix->groups[i].records;
    return records;
}

uint64_t mix_records(const struct mix *mix)
{
    return mix->groups[0].keys - mix->begun + left(mix);
}

uint64_t mix_next(void *context)
{
    struct mix *mix = context;
    struct mix_group *group = mix->groups;
    uint64_t at;

    if (mix->begun < group->keys)
        return group->first + mix->begun++;
    for (at = drive_random(&mix->state) % left(mix); at >= group->records; group++)
        at -= group->records;
    group->records--;
    return group->first + drive_random(&mix->state) % group->keys;
}
