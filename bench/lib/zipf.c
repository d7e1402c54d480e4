/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/zipf.h"
#include "lib/drive.h"

#include <math.h>

void zipf_init(struct zipf *zipf, uint64_t keys, double exponent)
{
    double sum = 0;

    if (keys > ZIPF_KEYS_MAX)
        bench_fail("too many keys");
    zipf->keys = keys;
    for (uint64_t i = 0; i < keys; i++)
        zipf->until[i] = sum += pow((double)(i + 1), -exponent);
    for (uint64_t i = 0; i < keys; i++)
        zipf->until[i] /= sum;
}

uint64_t zipf_draw(const struct zipf *zipf, uint64_t *state)
{
    double drawn = (double)(drive_random(state) >> 11) / (double)(UINT64_C(1) << 53);
    uint64_t low = 0, high = zipf->keys - 1;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (zipf->until[middle] > drawn)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}
