/* SPDX-License-Identifier: Apache-2.0 */
/* A stand-in for control: it reads from a source, keeps everything that the source says, and
 * knows what a source may never do.
 *
 * Upholds: a source that breaks a rule that always holds (order, begin, refusal, silence after
 * the end of an assignment, limits) does not get past the reader, whatever a test looks at.
 * Rules are checked inside the callbacks but reported by reader_poll(), so that no assertion
 * jumps out of the source. Main thread only. */
#ifndef KLANE_TESTS_LIB_SOURCE_READER_H
#define KLANE_TESTS_LIB_SOURCE_READER_H

#include "source/source.h"

/* What is waited for has to come within this time, or the test fails. */
#define READER_PATIENCE_MS 20000

/* What it says of itself to the source. */
#define READER_GIVE_UP_MS 4000

struct reader_record {
    struct source_record record; /* pointers to own copies */
};

/* One assignment. Kept after its end. */
struct klane_assignment {
    struct klane_assignment *older;
    char *topic;
    int32_t partition;
    void *own;
    int64_t begin;
    bool is_committed; /* begin is what was committed */
    char *metadata;  /* with it; "": none */
    int64_t log_end; /* as told with it, -1: not */
    int64_t from;    /* where records begin */
    int64_t next;    /* no lower offset may come */
    int64_t refused; /* the offset that has to come next, -1: any */
    int64_t end;     /* as last heard, -1: never */
    size_t ends;     /* how often it was heard */
    struct reader_record *records;
    size_t record_count;
    size_t record_room;
    size_t swept;       /* records that passes brought */
    size_t sweep_next;  /* of the records: what the pass has to bring next */
    int64_t swept_to;   /* as last heard */
    int64_t sweep_end;  /* where the pass is over */
    bool sweeps;
    bool revoked;
    bool over; /* given up or lost */
    bool lost;
    bool silent;      /* a record is against the rules */
    bool refused_now; /* in the poll that goes on */
};

struct reader {
    struct klane_intake intake;
    struct klane_source *source;
    const struct source_topic *topics;
    size_t topic_count;
    struct klane_assignment *newest;
    char broken[256]; /* the first rule that was broken */
    size_t taken;     /* in the poll that goes on */
    size_t records_max;
    int64_t skip; /* so many offsets behind its begin an assignment goes on */
    size_t refuse_records;     /* so many are not taken */
    size_t refuse_assignments; /* so many get no memory */
    size_t refused_assignments;
    size_t commits_out;
    size_t commits_answered;
    klane_err_t commit_err; /* the last answer */
    size_t closed;
    size_t errors;
    size_t fatals;
    size_t out_of_ranges;
    size_t uncommitted;
    bool polling;
    bool closing;
};

/* Start reading. */
void reader_init(struct reader *reader, struct klane_source *source,
                 const struct source_topic *topics, size_t count);

/* Close and wait for the answer. */
void reader_close(struct reader *reader);

/* Close, unless that was done, destroy the source, and see that it says nothing more. */
void reader_deinit(struct reader *reader);

/* One poll. Returns how many records came. */
size_t reader_poll(struct reader *reader, size_t records_max);

/* Sleep on the descriptor, but not for long: a round of waiting. */
void reader_sleep(struct reader *reader);

/* Whether the descriptor is readable within so many milliseconds. */
bool reader_is_rung(const struct reader *reader, int timeout_ms);

/* Poll and sleep until the condition holds; fails the test when that takes too long. */
#define reader_poll_until(reader, condition)                                                   \
    do {                                                                                       \
        int64_t reader_due_ms = reader_now_ms() + READER_PATIENCE_MS;                          \
        while (reader_poll((reader), 1000), !(condition)) {                                    \
            if (reader_now_ms() > reader_due_ms)                                               \
                fail_msg("it did not come true: %s", #condition);                              \
            reader_sleep(reader);                                                              \
        }                                                                                      \
    } while (0)

/* Poll until the descriptor stays unreadable for a moment and nothing comes any more. */
void reader_drain(struct reader *reader);

/* The latest assignment of a partition, NULL: none. */
struct klane_assignment *reader_find(const struct reader *reader, const char *topic,
                                     int32_t partition);

/* Poll until the partition has another assignment than older (may be NULL), and return it. */
struct klane_assignment *reader_assigned(struct reader *reader, const char *topic,
                                         int32_t partition,
                                         const struct klane_assignment *older);

/* Poll until everything below end was offered and the source has said that this is the end. */
void reader_read_to(struct reader *reader, struct klane_assignment *assignment, int64_t end);

/* Begin a pass from one offset to another, over what the main flow has brought already: the pass
 * has to bring just that again. */
void reader_sweep(struct reader *reader, struct klane_assignment *assignment, int64_t from,
                  int64_t end);

/* Let the passes bring so many records. Returns how many came. */
size_t reader_poll_sweeps(struct reader *reader, size_t records_max);

/* Commit, without waiting for the answer. */
void reader_commit_begin(struct reader *reader, struct klane_assignment *assignment,
                         int64_t offset);

/* Commit and wait for the answer. */
klane_err_t reader_commit(struct reader *reader, struct klane_assignment *assignment,
                          int64_t offset);

/* The same with metadata, which end with NUL. */
klane_err_t reader_commit_with(struct reader *reader, struct klane_assignment *assignment,
                               int64_t offset, const char *metadata);

void reader_give_up(struct reader *reader, struct klane_assignment *assignment);

int64_t reader_now_ms(void);

#endif
