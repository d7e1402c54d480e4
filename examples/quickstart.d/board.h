/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The page of memory that the consuming processes and their supervisor share. It outlives a
 * consumer that is killed: the next one goes on counting. The supervisor reads; it writes what
 * belongs to a consumer only while that one does not run.
 */
#ifndef KLANE_QUICKSTART_BOARD_H
#define KLANE_QUICKSTART_BOARD_H

#include "change.h"
#include "log.h"

#include <stdatomic.h>

/*   HOLD_AHEAD --a record is chosen--> HOLD_NOW --others went far enough--> HOLD_OVER   */
enum hold_state { HOLD_AHEAD, HOLD_NOW, HOLD_OVER };

struct board {
    _Atomic uint64_t applied;             /**< Records that took effect. */
    _Atomic uint64_t repeated;            /**< Records that came again and were known. */
    _Atomic uint64_t applied_by[MEMBERS]; /**< The first of these, by who brought them. */
    _Atomic int partitions[MEMBERS];      /**< How many each has now. */
    _Atomic int hold;                     /**< enum hold_state. */
    _Atomic uint64_t hold_ms;             /**< How long the key was held up. */
    _Atomic uint64_t hold_others; /**< Records of other keys that took effect meanwhile. */
    char hold_key[QUOTED_SIZE];   /**< To be read once it is HOLD_OVER. */
    atomic_flag failed;           /**< Set by the thread that may write the text below. */
    char failure[512]; /**< Empty: nothing failed. Read after the consumer has ended. */
};

#endif
