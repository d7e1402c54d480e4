/* SPDX-License-Identifier: Apache-2.0 */
/* Chaos: whether the group has formed, and how soon all of it gets on. See kafka/chaos.h. */
#ifndef KLANE_TESTS_KAFKA_CHAOS_PROGRESS_H
#define KLANE_TESTS_KAFKA_CHAOS_PROGRESS_H

#include "kafka/chaos.h"

/* What Kafka finds out by the session's time, and then the group has to form. */
#define CHAOS_AFTER_KILL_MS 2000

/* Each partition is with one of those that run and each of them has one, nobody is frozen or
 * leaves, and all brokers are there. */
bool chaos_is_formed(struct chaos_run *run);

/* At least two have formed a group, and nothing has changed for a while. */
bool chaos_is_settled(struct chaos_run *run);

/* Of each partition a record was handled that was acknowledged after the first run->since. */
bool chaos_gets_on(struct chaos_run *run);

/* Fails the test, unless others keep the machine busy: nobody can say then how long something
 * takes. */
void chaos_is_too_slow(const char *what, int64_t took_ms, int64_t bound_ms);

#endif
