/* SPDX-License-Identifier: Apache-2.0 */
/* The small world in which parking is searched: one partition whose log has a few records, one
 * process with its workers, and what may befall them. The core is the shipped one.
 *
 * Upholds: what happens next depends on the world and the event only, so a state that was saved
 * can be gone on from any number of times. One world at a time, and all of it is in `world` and in
 * the memory that the core has got (parking_memory.c). */
#ifndef KLANE_TESTS_MODEL_PARKING_WORLD_H
#define KLANE_TESTS_MODEL_PARKING_WORLD_H

#include "core/core.h"

#define RECORDS_MAX 8
#define JOBS_MAX 8
#define EVENTS_MAX 32
#define MAP_LIMIT 200 /* characters: whatever can be parked here fits */
#define MAP_SMALL (PROGRESS_MAP_HEADER + 12)

/* How often each may happen; what is left of it is in the world. */
struct chances {
    uint8_t retries;
    uint8_t commits;  /* while something else could happen; as many as needed when nothing can */
    uint8_t troubles; /* of commits: failed, or stored before the answer is heard */
    uint8_t crashes;
    uint8_t revokes;
    uint8_t losses;
    uint8_t gone;  /* records that compaction takes */
    uint8_t looks; /* for memory while nothing can run */
};

struct scope {
    const char *name;
    const char *keys;    /* of the records in the log, a letter each; '-': it has none */
    uint32_t states_min; /* fewer are too few */
    uint8_t quota;       /* records of a lane */
    uint8_t room;        /* records in all */
    uint8_t workers;
    uint8_t beyond;     /* records that a pass may bring behind its end */
    uint64_t alike;     /* bits in which fingerprints do not differ; 0: none clash */
    bool by_steps;      /* workers fetch, start, end and report in steps, and pass lanes on */
    bool has_small_map; /* only one lane fits into it */
    bool is_wide;       /* for long runs */
    struct chances may;
};

enum event_type {
    EVENT_TAKE,  /* the main flow brings its next record, or the log's end */
    EVENT_START, /* control hands a slot to a worker */
    EVENT_BEGIN, /* a worker that has a slot starts it, or is stopped by the fence */
    EVENT_DONE,
    EVENT_REPORT, /* control hears of it */
    EVENT_RETRY,
    EVENT_PASS,  /* one begins */
    EVENT_BRING, /* it brings its next record */
    EVENT_REACH, /* it says how far it has read */
    EVENT_COMMIT,
    EVENT_STORED, /* the log has the commit, and its answer is still under way */
    EVENT_ACKNOWLEDGED,
    EVENT_FAILED,
    EVENT_TIME, /* comes to the next thing that waits for it */
    EVENT_ASSIGN,
    EVENT_LOOK, /* nothing can run and memory is short */
    EVENT_CRASH,
    EVENT_REVOKE,
    EVENT_LOSE,
    EVENT_GONE, /* compaction takes a record */
    EVENT_TYPES
};

struct event {
    uint8_t type; /* enum event_type */
    uint8_t job;
    uint8_t record; /* that it is about, or RECORDS_MAX */
    bool is_due;    /* it happens sooner or later; else it may or may not */
};

struct events {
    struct event list[EVENTS_MAX];
    uint32_t count;
};

enum job_state { JOB_HAS, JOB_RUNS, JOB_ENDED };

/* What a worker has in hand, until control has heard of it. */
struct job {
    struct klane_slot *slot;
    uint32_t epoch;
    uint8_t record;
    uint8_t state; /* enum job_state */
};

/* A commit, on its way or in the log. */
struct commit_text {
    int64_t base;
    uint32_t epoch;
    uint32_t size;
    uint8_t covered; /* of records, a bit each: so the log knows that they are finished */
    char map[MAP_LIMIT];
};

struct world {
    const struct scope *scope;
    struct chances left;
    int64_t now_ms;
    struct core core;
    struct core_topic topic;

    struct klane_assignment *assignment; /* NULL: the partition is not here */
    uint32_t epoch;
    uint8_t position; /* next record of the main flow */
    uint8_t swept;    /* the same of the pass, if sweeps */
    bool end_told;
    bool sweeps;
    bool revoked;
    struct job jobs[JOBS_MAX]; /* by epoch and record */
    uint32_t job_count;

    /* Of records, a bit each. */
    uint8_t gone;
    uint8_t finished; /* some handler has done it, whenever */
    uint8_t handled;  /* in this stay */
    uint8_t known;    /* and control has heard of it while that counted, and of all before it in
                         its lane; or it was in the map that was taken up */
    uint8_t tries[RECORDS_MAX]; /* that ended with a retry */
    int64_t due_ms[RECORDS_MAX];
    int8_t last_begun[RECORDS_MAX]; /* in this stay, of the key of the record with this index */
    bool tries_are_kept;            /* nothing has happened that may forget them */

    struct commit_text sent;
    bool is_out;
    bool is_stored;
    struct commit_text log; /* what was committed last; size 0: nothing */
};

extern struct world world;

/* parking_memory.c: where the core's memory comes from, so that it can be saved with the world. */
struct snapshot; /* from malloc() */
struct snapshot *memory_save(void);
void memory_load(const struct snapshot *snapshot);
void memory_clear(void);           /* everything is forgotten */
void memory_is_core(bool is_core); /* who allocates from now on */
uint32_t memory_blocks(void);      /* of the core's slab that are in use */

/* parking_world.c */
void world_begin(const struct scope *scope);
void world_events(struct events *events);
void world_apply(const struct event *event);

/* When the next thing is due that waits for a time; INT64_MAX: nothing does. */
int64_t world_due_ms(void);
const char *event_name(const struct event *event);

/* Of the record's key; NULL: it has none in memory. */
struct lane *world_lane(uint8_t record);

static inline uint8_t bit(uint8_t record)
{
    return (uint8_t)(1U << record);
}

static inline int64_t offset_of(uint8_t record)
{
    return 2 * (int64_t)record; /* holes */
}

static inline uint8_t records_of(const struct scope *scope)
{
    uint8_t count = 0;

    while (scope->keys[count] != '\0')
        count++;
    return count;
}

static inline uint8_t record_of(const struct klane_slot *slot)
{
    return (uint8_t)(slot->record.offset / 2);
}

/* One past the log's last offset: it ends in a hole. */
static inline int64_t log_end(void)
{
    return offset_of(records_of(world.scope)) + 1;
}

/* parking_checks.c: what holds. Each ends the program by world_fail() if it does not. */
void check_begin(const struct klane_slot *slot);
void check_state(void);
uint8_t check_map(void);   /* returns the records that it covers, a bit each */
void check_terminal(void); /* and gives the partition up: the world is of no use afterwards */

/* parking_state.c: by what states are told apart. */
uint64_t state_hash(void);

/* parking.c: how it came to that is told, and the program ends. */
_Noreturn void world_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
