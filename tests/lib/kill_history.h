/* SPDX-License-Identifier: Apache-2.0 */
/* The history of processes that consume a log and are killed, one after the other, in memory that
 * outlives them; and its judge.
 *
 * Upholds: every record that was acknowledged is handled; a key's records are handled in order; a
 * committed offset never passes a record whose handler has not ended; what is repeated lies at or
 * above the committed offset, never within one life, and was running when a process was killed or
 * had been finished since its last acknowledged commit. What a commit says of what is finished
 * above its offset is true. Which of it the last commit had to know is told by that, where it is
 * noted, and at the latest by the last commit but two. After a stop in order nothing is repeated.
 *
 * Edge E1: an entry's type stored, release -> its load, acquire: its contents before its type. */
#ifndef KLANE_TESTS_LIB_KILL_HISTORY_H
#define KLANE_TESTS_LIB_KILL_HISTORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KILL_PARTITIONS 3
#define KILL_KEYS 11
#define KILL_RECORDS_MAX 31000 /* of one history */
#define KILL_ENTRIES_MAX (1 << 18)
#define KILL_TEXT_SIZE 160

/* So many acknowledged commits after control was told, one was sent that speaks of it: the first
 * may have been out, the second been sent before control had looked. */
#define KILL_COMMITS_TO_KEEP 3

enum kill_entry_type {
    KILL_TORN, /* its writer died before it was whole */
    KILL_LIFE,
    KILL_HEAD,      /* what is going to be said: the key is unfinished from this offset on */
    KILL_SAID,      /* all else below this offset is finished */
    KILL_FOUND,     /* committed, as a life finds it */
    KILL_COMMITTED, /* acknowledged */
    KILL_START,
    KILL_RETRY, /* it is to run again */
    KILL_END,
    KILL_STOPPED /* in order, so what has ended is committed */
};

struct kill_entry {
    int64_t offset;
    uint32_t number; /* of the record, counted over all lives */
    int32_t partition;
    uint32_t key;
    uint32_t worker;       /* on whose thread it was noted */
    _Atomic uint32_t type; /* enum kill_entry_type; written last */
};

struct kill_history {
    _Atomic uint32_t count;   /* of entries begun */
    _Atomic uint32_t numbers; /* of records whose append was begun */
    _Atomic uint32_t commits; /* acknowledged */
    _Atomic uint8_t acknowledged[KILL_RECORDS_MAX];
    struct kill_entry entries[KILL_ENTRIES_MAX];
};

/* Summed over histories. */
struct kill_counts {
    uint64_t records;
    uint64_t running; /* when a process was killed */
    uint64_t recent;  /* finished since its last acknowledged commit */
    uint64_t kept;    /* finished before: may not run again */
    uint64_t repeats; /* of what was running or finished */
};

/* Shared with the processes that are forked from here on. */
struct kill_history *kill_history_make(void);
void kill_history_free(struct kill_history *history);

/* The order of entries is that of their counting, which is the order of one atomic. Any thread. */
void kill_note(struct kill_history *history, enum kill_entry_type type, int32_t partition,
               int64_t offset, uint32_t key, uint32_t number);

/* What is committed with this offset says what is finished above it: heads, and what was said. It
 * is compared when it is noted as found or committed. */
void kill_note_progress(struct kill_history *history, int32_t partition, int64_t offset,
                        const char *metadata, size_t size);

/* When its writers are gone. text is empty if the history is as it must be. */
void kill_judge(const struct kill_history *history, struct kill_counts *counts,
                char text[KILL_TEXT_SIZE]);

#endif
