/* SPDX-License-Identifier: Apache-2.0 */
/* Checkers: what klane guarantees, judged from a history alone. They know nothing of the core, and
 * serve histories of the simulator and of real runs alike.
 *
 *   C1   nothing lost: at the end each record that the log still has has finished in some epoch
 *   C2   order: a lane's records start one after the other, in the log's order, never two at once,
 *        also across epochs of one process; what has gone from the log may be left out
 *   C3   a commit passes only what its own epoch has finished, or what has gone from the log, and
 *        never the log's end
 *   C4   committed offsets never fall, but by an epoch that began after the log was cut; a process
 *        has one commit out
 *   C5   a process commits only what it owns
 *   C6   a record that was finished runs again only in a later epoch that began at or below it;
 *        not at all, if the run had no fault that repeats records; nor, if it lies below the
 *        ceiling of what that epoch was given, and was finished with all before it in its lane
 *        when that was sent
 *   C8   after revoke, loss or crash nothing of the epoch starts; what ends was running
 *   C9   nothing is left of what shall be gone
 *   C10  a record that can run starts, while workers are idle, within a time
 *   C11  a stop keeps its deadline, nothing happens after it; after a clean one everything that
 *        was finished without a gap is committed, and nothing else
 *   C12  measured values stay inside their limits
 *   C13  what is said to be gone from the log is gone, is said to be once in an epoch, was not
 *        finished in it and does not start any more
 *   C14  an attempt's number is no higher than its record has had attempts
 *   C15  a handler finds the state that its lane's last one left, or none if that was freed since,
 *        and never another epoch's; it is freed once, while nothing of the lane runs or is in
 *        memory to be tried again, and nothing starts before that is over; who gives a partition
 *        up in time has freed all of them
 *
 * (C7 is for handlers that store their progress themselves.) */
#ifndef KLANE_TESTS_SIM_CHECKERS_H
#define KLANE_TESTS_SIM_CHECKERS_H

#include "sim/history.h"

struct check_rules {
    bool drained;            /* C1: the run went on until everything was finished */
    bool repeats;            /* C6: crashes, losses or drains that failed may repeat records */
    bool exact_maps;         /* C6: a progress map speaks for each lane */
    bool true_attempts;      /* C14: no record is committed as running before it starts */
    bool stays;              /* C15: what was tried stays in memory until it is finished */
    bool clashes;            /* C6: keys of one fingerprint may repeat records in an epoch */
    int64_t start_within_ms; /* C10 */
    int64_t stop_slack_ms;   /* C11: by which a stop may miss its deadline */
};

struct check_failure {
    unsigned checker; /* 1 to 15; 0: the history itself makes no sense */
    size_t event;     /* index; the number of events: found at the end */
    char text[200];
};

/* Whether the history passes every checker; *failure is the first that it does not. */
bool check_history(const struct history *history, const struct check_rules *rules,
                   struct check_failure *failure);

#endif
