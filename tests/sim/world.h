/* SPDX-License-Identifier: Apache-2.0 */
/* The world that the core lives in when it is simulated: a log, a group of up to two processes
 * with their workers, a network for commits, other parties that complete records, and mishaps.
 *
 * Upholds: one seed decides everything; time is virtual. The core and the tokens are the shipped
 * ones. Every step is as small as one atomic operation of a thread of the real engine, so any two
 * threads' operations may come in any order. All state of a run hangs on struct world. */
#ifndef KLANE_TESTS_SIM_WORLD_H
#define KLANE_TESTS_SIM_WORLD_H

#include "sim/history.h"
#include "sim/log.h"
#include "sim/plan.h"
#include "sync/tokens.h"

#define RING_MAX (64 + BATCH_MAX)
#define HAD_MAX (2 + BATCH_MAX)
#define WALL_MS INT64_C(1000000) /* at the beginning of the simulated time */
#define STALE_TOKENS 16
#define BLOCK_SIZES_MAX 100

/* A partition in a process. */
struct stay {
    struct klane_assignment *assignment; /* NULL: it is not here */
    uint32_t epoch;
    uint32_t position; /* index of the next record to offer */
    uint32_t swept;    /* the same for its pass, while it sweeps */
    bool held;
    bool revoked;
    bool overdue; /* the drain went on without a handler */
    bool parked; /* lanes were, when it was revoked: where they begin is known about */
    bool sweeps;
    bool end_told;
    bool was_cut; /* the log, below where it has read on; it does not know yet */
    int64_t revoked_ms;
    int64_t told_ms; /* when it will hear that it has lost it; -1: it has not lost it */
};

enum worker_state {
    WORKER_IDLE,
    WORKER_HAS,  /* a slot, not started */
    WORKER_RUNS, /* its handler */
    WORKER_FREES, /* a state */
    WORKER_ENDED,
    WORKER_PUTS_BACK, /* what is behind a slot that is to run again */
    WORKER_FINISHED /* the link; not reported yet */
};

struct worker {
    struct klane_slot *slot;
    struct klane_slot *next;
    struct klane_slot *batch[BATCH_MAX]; /* taken behind slot, in order */
    uint32_t batch_count;
    uint32_t wants; /* so many more for its batch */
    struct klane_slot *unfit; /* behind the last of them: taken, to be put back */
    const struct klane_slot *had[HAD_MAX]; /* when something was held last */
    const struct klane_slot *put_back_behind; /* this one: it is to be asked for */
    bool asks; /* for slot */
    int64_t until_ms;
    int64_t started_ms;
    int64_t delay_ms;
    klane_token_t token;
    uint8_t state;   /* enum worker_state */
    uint8_t outcome; /* enum slot_outcome */
};

/* A completion by another party. */
struct completion {
    klane_token_t token;
    struct klane_slot *slot;
    int64_t due_ms;
    int64_t delay_ms;
    uint32_t epoch;
    uint8_t outcome;
    bool claimed;
};

struct report {
    struct klane_slot *slot;
    int64_t delay_ms;
};

struct commit_entry {
    uint16_t partition;
    uint32_t epoch;
    int64_t offset;
    int64_t ceiling;
    char map[MAP_MAX];
    uint32_t map_size;
    uint32_t key_version;
};

/* The commit that is out. */
struct sent_commit {
    struct commit_entry entries[PARTITIONS_MAX];
    uint32_t count;
    int64_t number;
    int64_t store_ms; /* -1: never, or done */
    int64_t answer_ms;
    bool acknowledged;
    bool troubled; /* one of the mishaps of commits befalls it */
    bool out;
};

enum process_state { PROCESS_DOWN, PROCESS_RUNS, PROCESS_STOPS, PROCESS_STOPPED };

struct process {
    uint8_t number;
    uint8_t state; /* enum process_state */
    int64_t restart_ms;
    int64_t stop_deadline_ms;
    uint64_t fenced_before_stop;
    bool stop_trouble;
    struct core_topic topic;
    struct idle_states idle_states;
    uint64_t states; /* that were made, and not freed */
    struct core core;
    struct tokens tokens;
    struct stay stays[PARTITIONS_MAX];
    struct worker workers[WORKERS_MAX];
    struct klane_slot *ring[RING_MAX];
    uint32_t ring_first, ring_count;
    struct report *reports; /* as the workers push them */
    struct report *inbox;   /* as control has taken them */
    uint32_t reports_count, inbox_count;
    struct completion completions[TOKENS_MAX];
    uint32_t completions_count;
    struct {
        int64_t delay_ms;
        uint8_t outcome;
    } completed[TOKENS_MAX]; /* by place of the token */
    klane_token_t stale[STALE_TOKENS];
    uint32_t stale_count;
    struct {
        bool is_on;
        bool is_topic;
        unsigned char key[16];
        uint32_t key_size;
        int64_t until_ms;
    } hold; /* by hand */
    struct sent_commit commit;
    int64_t commits;
    uint32_t records_most; /* measured */
    uint32_t lane_records_most;
    uint64_t bytes_most;
    uint64_t weight; /* of the records that run */
    uint32_t weighed; /* of them those that have one */
    size_t block_sizes[BLOCK_SIZES_MAX]; /* those ever used */
    uint32_t block_size_count;
};

struct world {
    struct plan plan;
    uint64_t random;
    int64_t now_ms;
    struct history *history;
    struct log_partition log[PARTITIONS_MAX];
    struct process processes[PROCESSES_MAX];
    uint32_t finished; /* records of the log */
    uint32_t epoch;
    uint32_t states; /* made so far */
    uint64_t steps;
    uint64_t chaos_at;
    uint64_t faults[FAULTS];
    uint32_t mishaps; /* of them those that befall partitions and processes */
    bool healed;
    bool ending; /* the last stop */
    char failure[200]; /* of the world's own checks; empty: none */
};

/* worker.c: whether it is to become a dead letter. */
bool slot_is_given_up(const struct world *world, const struct klane_slot *slot,
                      enum slot_outcome outcome);

/* states.c: a process begins to keep states. */
void states_keep(const struct world *world, struct process *process);
/* A handler of this record finds one, and leaves one. */
void states_use(struct world *world, struct process *process, const struct klane_slot *slot);
/* Whoever has the slot, which is to free a state, begins to do so, and has done it. */
void states_free(struct world *world, struct process *process, struct klane_slot *slot,
                 enum history_type type);
/* Of a process that has stopped, what is in the ring; and all that is left. */
void states_take_back(struct process *process);
void states_free_rest(struct world *world, struct process *process);

/* worker.c: whether something was done. */
bool worker_step(struct world *world, struct process *process, struct worker *worker);
bool completion_step(struct world *world, struct process *process);

/* control.c: whether something was done. */
#define CONTROL_ACTIONS 9
bool control_step(struct world *world, struct process *process, uint32_t action);
void process_begin(struct world *world, struct process *process);
/* anew: where the log begins, whatever is committed. */
void process_assign(struct world *world, struct process *process, uint16_t partition, bool anew);
void process_revoke(struct world *world, struct process *process, uint16_t partition);
void process_lose(struct world *world, struct process *process, uint16_t partition);

/* All that is left is looked at, if it ended well, and given back. */
void process_end(struct world *world, struct process *process, bool well);

/* mishaps.c: the network, the group and what befalls the processes. */
bool network_step(struct world *world, struct process *process);
bool group_step(struct world *world, struct process *process, uint16_t partition);
bool life_step(struct world *world, struct process *process);
bool mishap_step(struct world *world);
void process_stop(struct world *world, struct process *process);
void network_send(struct world *world, struct process *process);

/* What befalls a slot. */
static inline struct history_event slot_event(const struct process *process,
                                              enum history_type type,
                                              const struct klane_slot *slot)
{
    return (struct history_event){
        .type = (uint8_t)type,
        .process = process->number,
        .partition = (uint16_t)slot->record.assignment->partition->number,
        .epoch = slot->record.assignment->epoch,
        .offset = slot->record.offset,
        .attempt = slot->record.attempt,
    };
}

/* splitmix64, as in tests/lib/check.c, but inline: most of a run's time is spent choosing. */
static inline uint64_t random_bits(struct world *world)
{
    uint64_t mixed = world->random += UINT64_C(0x9e3779b97f4a7c15);

    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

static inline uint32_t random_below(struct world *world, uint32_t limit)
{
    return (uint32_t)((random_bits(world) >> 32) * limit >> 32);
}

/* rate: of 256. */
static inline bool random_is(struct world *world, uint8_t rate)
{
    return rate > 0 && random_bits(world) >> 56 < rate;
}

/* world.c */
void world_fail(struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void world_add(struct world *world, struct history_event event);
void world_fault(struct world *world, enum fault fault);

/* Runs a seed into the history. False: failure says why, and the world is left as it is. */
bool world_run(struct world *world, struct history *history, uint64_t seed);

#endif
