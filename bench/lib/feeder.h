/* SPDX-License-Identifier: Apache-2.0 */
/* A feeder: a process that makes a topic and then produces to it by a timetable, so many records
 * a second, each millisecond what is due. Its records are stamped (lib/witness.h), with when they
 * were due by the timetable, however late the feeder is.
 *
 * Upholds: it is not counted as memory or processor time of the arm, and ends with it. */
#ifndef KLANE_BENCH_LIB_FEEDER_H
#define KLANE_BENCH_LIB_FEEDER_H

#include "lib/cluster.h"

#include <sys/types.h>

enum { FEEDER_RATE = 10000 };

#define FEEDER_LINGER_MS "2"

struct feeder {
    char topic[CLUSTER_NAME_MAX];
    pid_t process;
    int from; /* its words */
    int to;   /* the words to begin and to stop */
};

/* Start it, and wait until its topic is there. records 0: until it is stopped; their keys are
 * drawn uniformly. Before the process has made a handle of librdkafka, as it forks. */
void feeder_start(struct feeder *feeder, uint64_t records, uint64_t keys);

/* Let it begin. */
void feeder_go(struct feeder *feeder);

void feeder_stop(struct feeder *feeder);

/* Wait until all its records are acknowledged. Returns how many these are. */
uint64_t feeder_wait(struct feeder *feeder);

void feeder_end(struct feeder *feeder);

/* The settings of figures of its records. workers: 0: there are none. */
void feeder_settings(struct bench_run *run, uint64_t records, uint64_t keys, uint32_t workers);

#endif
