/* SPDX-License-Identifier: Apache-2.0 */
/* Members of one consumer group, each a process, and a board in shared memory on which they note
 * what they handle.
 *
 * Upholds: a member whose process fails, fails the arm; none outlives the arm. */
#ifndef KLANE_BENCH_LIB_MEMBERS_H
#define KLANE_BENCH_LIB_MEMBERS_H

#include "lib/cluster.h"
#include "lib/witness.h"

#include <stdatomic.h>
#include <sys/types.h>

enum { MEMBERS_MAX = 4, MEMBERS_OFFSETS_MAX = 1 << 20 };

struct members_rules {
    const char *topic;    /* begun at the earliest record */
    const char *assignor; /* partition.assignment.strategy */
    bool is_bare;         /* polls and has offsets committed by librdkafka, without klane */
    uint32_t workers;     /* klane's */
    uint32_t sleep_ms;    /* of a handler; 0: none */
    struct witness *witness;
};

/* Relaxed all: counts that order nothing. */
struct members_partition {
    _Alignas(64) _Atomic int64_t handled_ns; /* when the last was handled; 0: none yet */
    _Atomic int64_t gap_ns; /* longest time between two that were handled one after the other */
    _Atomic uint64_t handled;
    _Atomic uint64_t repeated; /* of them, those that had been handled before */
    _Atomic bool is_handled[MEMBERS_OFFSETS_MAX];
};

struct member {
    _Alignas(64) _Atomic uint64_t handled;
    _Atomic uint32_t partitions;
    _Atomic bool has_finished;
    pid_t process;
};

struct members {
    struct members_rules rules;
    char group[CLUSTER_NAME_MAX];
    uint32_t count;
    _Atomic bool is_over;
    struct members_partition partitions[CLUSTER_PARTITIONS];
    struct member each[MEMBERS_MAX];
};

/* A new group without members, in shared memory. */
struct members *members_create(const struct members_rules *rules);

/* Start one more. Before this process has made a handle of librdkafka, as it forks. */
void members_add(struct members *members);

/* Wait until all have their share of the partitions. */
void members_settle(struct members *members);

/* And until records of every partition are handled. */
void members_flow(struct members *members);

/* Of all members together, so far. */
uint64_t members_handled(const struct members *members);
int64_t members_cpu_ns(const struct members *members);

/* Forget the gaps so far; then the longest of any partition since, one that goes on included. */
void members_gap_begin(struct members *members);
int64_t members_gap_ns(const struct members *members);

/* Wait until so many records are handled, each counted once. */
void members_wait(struct members *members, uint64_t records);

/* How often a record was handled that had been before. */
uint64_t members_repeats(const struct members *members);

void members_end(struct members *members);

void members_settings(const struct members *members, struct bench_run *run);

#endif
