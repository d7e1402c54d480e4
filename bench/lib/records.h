/* SPDX-License-Identifier: Apache-2.0 */
/* Topics that are filled before anything is measured, once in a run, and read by many arms.
 *
 * What is in them is drawn from a fixed seed, so that every process knows it: the key of each
 * record, and with it partition and offset. Every record is stamped (lib/witness.h). */
#ifndef KLANE_BENCH_LIB_RECORDS_H
#define KLANE_BENCH_LIB_RECORDS_H

#include "lib/cluster.h"
#include "lib/witness.h"
#include "lib/zipf.h"

#define RECORDS_ZIPF_EXPONENT 1.1

struct records_kind {
    const char *name;
    uint64_t count;
    uint64_t count_quick;
    uint64_t keys;
    bool is_zipf;  /* keys are drawn by Zipf's law, else uniformly */
    bool is_fixed; /* partitions and size of values are not for the program's options to say */
};

/* One of them, as this run has it. */
struct records {
    char topic[CLUSTER_NAME_MAX];
    uint64_t count;
    uint64_t keys;
    int32_t partitions; /* a key is in that of its number modulo how many there are */
    uint32_t value_bytes;
    bool is_zipf;
};

void records_init(struct records *records, const struct records_kind *kind,
                  const struct bench_run *run);

/* Make the topic and fill it, unless a case before has done so. False: it had. */
bool records_fill(const struct records *records);

/* How many have this key; and how many the key has that has most. */
uint64_t records_of_key(const struct records *records, uint64_t key);
uint64_t records_of_longest(const struct records *records);

/* How many records have not ended though the group has committed past them. */
uint64_t records_lost(const struct records *records, const struct witness *witness,
                      const char *group);

/* The settings of figures of these records. workers: 0: there are none. */
void records_settings(const struct records *records, struct bench_run *run, uint32_t workers);

#endif
