/* SPDX-License-Identifier: Apache-2.0 */
/* A peer: another consumer, written in Java, that does the work of an arm in a process of its own.
 *
 * bench/peers/build makes it. It measures itself, by the same clocks as the arms that are written
 * in C, and says what it found in lines, which end up among the arm's figures and settings:
 *
 *      ready                       it has all partitions
 *      work N                      records handled while the clock ran
 *      figure METRIC VALUE         setting NAME VALUE
 *      progress X Y, histogram X Y  points of curves
 *      fail TEXT                   instead of all else
 *      end                         the last
 *
 * Order, loss and repeats it notes in the arm's witness.
 *
 * Upholds: it ends with the arm; an arm whose peer says anything else, or too little, fails. The
 * arm's `rss` is the peer's, which is far larger. */
#ifndef KLANE_BENCH_LIB_PEER_H
#define KLANE_BENCH_LIB_PEER_H

#include "lib/witness.h"

#include <stdio.h>
#include <sys/types.h>

enum { PEER_ARGUMENTS_MAX = 32, PEER_ARGUMENT_BYTES = 512 };

struct peer {
    uint32_t argument_count;
    char arguments[PEER_ARGUMENTS_MAX][PEER_ARGUMENT_BYTES];
    char log[PEER_ARGUMENT_BYTES]; /* what it says beside */
    pid_t process;
    FILE *lines;
};

/* For arms: whether it has been built. */
bool peer_available(char *reason, size_t size);

/* heap: of Java's -Xmx, unless KLANE_PEER_HEAP has another. */
void peer_init(struct peer *peer, const char *arm, const char *heap,
               const struct witness *witness);

/* One more NAME=VALUE; see Main.java. */
void peer_argument(struct peer *peer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Start it, and wait until it is ready. */
void peer_start(struct peer *peer, const struct bench_run *run);

/* Wait for its end and report what it says. */
void peer_finish(struct peer *peer, struct bench_run *run);

/* End it by SIGKILL. */
void peer_kill(struct peer *peer);

#endif
