/* SPDX-License-Identifier: Apache-2.0 */
/* A doorbell: any thread wakes one sleeper, who waits on a descriptor together with other
 * things.
 *
 * Upholds: no ring is lost, and a sleeper that is awake costs those who ring no system call.
 *
 * The sleeper loops: disarm, look at everything that is announced by ringing, arm; sleep only
 * if arm said so. Whoever rings first makes its news visible (a mailbox, an atomic), then
 * rings.
 *
 *   AWAKE  --arm-->    ASLEEP   sleeper
 *   any    --disarm--> AWAKE    sleeper
 *   any    --ring-->   RUNG     anybody; the one that finds ASLEEP writes to the descriptor
 *
 * Argument. All changes of the word are read-modify-writes, so they have one order. Arm
 * succeeds only on AWAKE, hence no ring lies between the last disarm and it. A ring before that
 * disarm is seen by it (B1), with its news, before the sleeper looked. A ring after arm finds
 * ASLEEP, or RUNG by another that found ASLEEP, and the descriptor becomes readable. There is
 * no third place. The word alone decides, so nothing needs to be sequentially consistent.
 *
 * RUNG found after an arm that succeeded means exactly one write, made or about to be made. The
 * sleeper counts them when it disarms and reads the descriptor until it has them all, so that a
 * late write does not leave it readable for good, and nothing is read while nothing was
 * written.
 *
 * Edge B1: ring, release -> disarm, acquire: the news before the sleeper looks for it. */
#ifndef KLANE_SOURCE_DOORBELL_H
#define KLANE_SOURCE_DOORBELL_H

#include <klane/klane.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct doorbell {
    _Atomic uint32_t state; /* by the rules above */
    int descriptor;         /* written by doorbell_init() only */

    /* The sleeper's. */
    uint64_t writes_due; /* writes that it has not read yet */
    bool armed;
};

/* Begins rung: the descriptor is readable. Errors: SYSTEM. */
klane_err_t doorbell_init(struct doorbell *doorbell);

void doorbell_deinit(struct doorbell *doorbell);

/* Any thread. Never waits. */
void doorbell_ring(struct doorbell *doorbell);

/* Sleeper: before it looks. */
void doorbell_disarm(struct doorbell *doorbell);

/* Sleeper: after it has looked. False: it was rung meanwhile; disarm and look again. */
bool doorbell_arm(struct doorbell *doorbell);

#endif
