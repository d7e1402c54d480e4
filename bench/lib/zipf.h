/* SPDX-License-Identifier: Apache-2.0 */
/* Keys drawn by Zipf's law: key i as likely as (i + 1) to the power of -exponent. */
#ifndef KLANE_BENCH_LIB_ZIPF_H
#define KLANE_BENCH_LIB_ZIPF_H

#include <stdint.h>

enum { ZIPF_KEYS_MAX = 10000 };

struct zipf {
    uint64_t keys;
    double until[ZIPF_KEYS_MAX]; /* how likely keys 0 to i are */
};

void zipf_init(struct zipf *zipf, uint64_t keys, double exponent);

/* The next key of a row that begins with any state. */
uint64_t zipf_draw(const struct zipf *zipf, uint64_t *state);

#endif
