/* SPDX-License-Identifier: Apache-2.0 */
/* The core: every decision of the control thread, with no thread, clock or input of its own.
 *
 * What happens goes in by the functions of the first group, with the time where it matters; what
 * is to be done comes out of the second group until they have nothing more to say. The same calls
 * in the same order decide the same, so the whole core is simulated from a seed.
 *
 * Upholds G1 (order), G2 (nothing lost), G3 (isolation, here inside the limits of admission), G6
 * (fencing) for everything that it is told truthfully. Control's alone. */
#ifndef KLANE_CORE_CORE_H
#define KLANE_CORE_CORE_H

#include "base/slab.h"
#include "base/source_record.h"
#include "core/admission.h"
#include "core/assignment.h"
#include "core/commit.h"
#include "core/crowd.h"
#include "core/gather.h"
#include "core/lane.h"
#include "core/heap.h"
#include "core/place.h"
#include "core/ready.h"
#include "core/schedule.h"
#include "core/slot.h"
#include "core/states.h"
#include "core/weights.h"

struct core_config {
    uint32_t records_max;
    uint32_t lane_records_max;
    uint32_t commit_interval_ms;
    uint32_t commit_records;
    uint32_t drain_ms;
    uint32_t settle_ms;   /* how long the last commit of an assignment may take after its drain */
    uint64_t seed;        /* of the hash of keys */
    uint64_t limit_bytes; /* of records and bookkeeping: the budget for them; 0: none */
    uint64_t reserve_bytes; /* beside it, for the record that passes it */
    uint64_t weight_max;    /* of the records that run at once: the budget for that */
    bool parks;             /* the source can read a range again */
    uint32_t map_limit;     /* characters of a progress map; 0: none are written */
    uint32_t calm_ms;       /* a stay that has lasted so long has not ended with what it took up;
                             0: nothing is told apart by that */
    int64_t beyond_max;     /* offsets from the ceiling to the frontier; 0: any number */
#ifdef KLANE_TESTING
    uint64_t fingerprints_alike; /* bits in which none differ, so that some clash */
#endif
};

struct core_counts {
    uint64_t records;
    uint64_t done;
    uint64_t skipped;
    uint64_t dead_letters;
    uint64_t retried;
    uint64_t not_started;
    uint64_t fenced;
    uint64_t commits;
    uint64_t commits_failed;
    uint64_t holds;
    uint64_t heads_gone;
    uint64_t passes;
    uint64_t swept_records;
    uint64_t swept_bytes;
};

struct core {
    struct core_config config; /* fixed, but for drain_ms in a hurry */
    uint64_t plenty_bytes;     /* below so many in use nobody has to ask for room */
    int64_t settle_by_ms;      /* in a hurry, instead of settle_ms; INT64_MAX: there is none */
    int64_t stuck_look_ms;     /* when to look again for what is stuck; INT64_MAX: at once */
    uint32_t stuck_looks;      /* in vain, one after the other */
    int64_t waiting_look_ms;   /* when to look again for what waits and may be parked */
    struct crowd crowd;        /* by the rules of core/crowd.h */
    struct slab slab;
    struct lane_table lanes;
    struct table parked;       /* lanes, of all assignments */
    struct heap parked_timers; /* of them those whose head waits for a retry, by due time */
    struct ready_round ready;
    struct gather gather;
    struct heap timers; /* lanes that wait for a retry, by due time */
    struct admission admission;
    struct weights weights;
    struct states states;
    struct commit commit;
    struct core_counts counts;
    struct partition *partitions;
    struct klane_assignment *assignments;
    uint32_t assigned;                      /* assignments that are not ENDED */
    uint32_t behind;                        /* of them ACTIVE and behind */
    uint32_t draining;                      /* of them DRAINING */
    uint32_t settling;                      /* of them SETTLING */
    uint32_t held;                          /* partitions that hold */
    uint32_t fullest;                       /* of them, held as the fullest */
    uint32_t in_crowd;                      /* of those, for a crowd */
    uint32_t wanting;                       /* partitions whose next record had no room */
    uint32_t trials;                        /* assignments whose trial is not TRIAL_NONE */
    uint32_t trials_on;                     /* of them those with records on trial */
    const struct klane_slot *alone;         /* that is tried alone, until it is back */
    int64_t now_ms;                         /* of the last tick */
    struct schedule schedule;               /* what the program holds */
    uint64_t pass_wants;                    /* bytes for which a pass had no room; 0: it had */
    bool is_turn_of_passes;                 /* the main flow had the last place in memory */
    struct klane_assignment *notices_first; /* in order */
    struct klane_assignment *notices_last;
};

bool core_init(struct core *core, const struct core_config *config);

/* Instead of what the config says of it, before anything is taken in. */
void core_budget(struct core *core, uint64_t records_bytes, uint64_t reserve_bytes,
                 uint64_t weights_bytes);

/* There are topics with states, of so many lanes at once; before core_budget(). False: no
 * memory. */
bool core_keep_states(struct core *core, uint32_t states_max);

/* How routes 0 to count - 1 gather; the same. Called once, or not at all: then none does. False:
 * no memory. */
bool core_gathers(struct core *core, const struct gather_rule *rules, uint32_t count);

/* Nothing may be out. */
void core_deinit(struct core *core);

/* ---- what happened ----------------------------------------------------------------------- */

/* A partition came; its records begin at begin. topic lives as long as the core. The partition
 * has no assignment that is not ENDED. epoch was never used before. NULL: no memory. */
struct klane_assignment *core_assign(struct core *core, const struct core_topic *topic,
                                     int32_t partition, uint32_t epoch, int64_t begin, void *own);

/* The group has committed nothing yet: begin is to be committed as it is. Without that, a group
 * that begins at the latest record would, after a crash, begin behind what it had in hand. */
void core_begin_is_new(struct core *core, struct klane_assignment *assignment);

/* With begin this progress map was committed. log_end: one past the log's last offset, -1: not
 * known. On PROGRESS_READ the records begin at the frontier instead, and what the map lists is
 * parked; else at begin, and more is repeated. Called before any record, if at all. */
enum progress_refusal core_restore(struct core *core, struct klane_assignment *assignment,
                                   const char *text, size_t size, int64_t log_end);

/* The time since 1970 minus the time that the core is told: for what a map says of due times. */
void core_wall(struct core *core, int64_t wall_ms);

/* A record of an ACTIVE assignment. False: there is no memory, or, with partition->wants, no room
 * in the budget: then the partition holds until there is. Nothing else has changed. */
bool core_take_in(struct core *core, struct klane_assignment *assignment,
                  const struct source_record *record, const struct core_place *place);

/* A slot came back with what its holder wrote into slot->back. retry_ms: the delay if it is to be
 * retried. Its notice is NULL, or that of a dead letter. The slot may be gone on return. */
void core_came_back(struct core *core, struct klane_slot *slot, int64_t retry_ms, int64_t now_ms);

/* A slot came back that was to free a state: it has, or it is handed over again. */
void core_state_freed(struct core *core, struct klane_slot *slot, int64_t now_ms);
void core_state_kept(struct core *core, struct klane_slot *slot);

/* The log's end as the source last saw it: everything below was offered. */
void core_end(struct core *core, struct klane_assignment *assignment, int64_t end);

/* A pass brings a record, in offset order; it is taken in if it was parked and there is room. */
void core_swept(struct core *core, struct klane_assignment *assignment,
                const struct source_record *record, const struct core_place *place);

/* The pass has read everything below position, and brought it. True: it is over. */
bool core_swept_to(struct core *core, struct klane_assignment *assignment, int64_t position);

/* Give the partition up: drain, then commit. Nothing if it is doing so already. */
void core_revoke(struct core *core, struct klane_assignment *assignment, int64_t now_ms);

/* Nothing of it starts any more, and nothing of it waits with control. core_lost() is next. */
void core_fence(struct core *core, struct klane_assignment *assignment);

/* The partition is gone. The assignment is not to be used any more. */
void core_lost(struct core *core, struct klane_assignment *assignment);

/* It was given up, after NOTICE_SETTLED. The assignment is not to be used any more. */
void core_given_up(struct core *core, struct klane_assignment *assignment);

/* A slot of a draining assignment has been running for longer than a drain waits: go on without
 * it. At most once for a slot. */
void core_overdue(struct core *core, struct klane_slot *slot, int64_t now_ms);

/* Of the commit that is out, this assignment's part was refused: it is sent again in time.
 * too_large: its map was; maps are half as large from now on. */
void core_uncommitted(struct core *core, struct klane_assignment *assignment, bool too_large);

/* The answer to the commit that is out. */
void core_committed(struct core *core, bool acknowledged, int64_t now_ms);

/* The end is near: drains may take drain_ms from now on, those under way too, and last commits
 * until settle_by_ms, however long before that a drain is complete. */
void core_hurry(struct core *core, uint32_t drain_ms, int64_t settle_by_ms, int64_t now_ms);

/* Nothing in memory can run but what is gathered, which goes if memory is nearly full, before
 * anything else; where memory is short, half of the idle states go next. Where there is room, what
 * was held as the fullest goes on. Where memory is nearly full, of the lanes that have not got on
 * for a while the longest are parked by half; and where it is full and there is nothing to park,
 * the partition that has most of it holds, until it has half of that, if there is another that
 * still takes in. If memory is full then, that becomes a crowd: core/crowd.h. */
void core_relieve(struct core *core, int64_t now_ms);

/* The program holds a key of a topic, a topic (key NULL) or everything (topic NULL): nothing of it
 * starts but what core_next_ready() has handed over. False: no memory. */
bool core_hold(struct core *core, const char *topic, const void *key, uint32_t key_size);

/* It holds that no more. False: it did not. */
bool core_release(struct core *core, const char *topic, const void *key, uint32_t key_size);

/* The slot is not to start, as the program holds it. */
bool core_is_held(const struct core *core, const struct klane_slot *slot);

/* Where memory is nearly full, and most of what is in it waits for its time, some of that is
 * parked, whatever else runs: it does not get on, and what is not in memory might. */
void core_relieve_waiting(struct core *core, int64_t now_ms);

/* Where memory is nearly full and nothing comes in or leaves although workers have enough to do,
 * what fills it holds, and what else there is has a window: core/crowd.h.
 * is_starving: they have nothing to do; then core_relieve() comes to a window. */
void core_relieve_crowd(struct core *core, bool is_starving, int64_t now_ms);

/* Time passed: retries and records that are due, deadlines of drains. */
void core_tick(struct core *core, int64_t now_ms);

/* ---- what is to be done ------------------------------------------------------------------ */

/* The next slot to hand to a worker, which the caller does: of a record, or, by turns, one that
 * frees a state. NULL: none. */
struct klane_slot *core_next_ready(struct core *core);

/* It has one, or may have. */
static inline bool core_has_ready(const struct core *core)
{
    return core->ready.lanes > 0 || states_are_due(&core->states);
}

/* The next batch to hand to a worker: the first of a list of slots by back.with. is_wanted:
 * workers will soon have nothing else; else only one that is full. NULL: none. */
struct klane_slot *core_next_batch(struct core *core, bool is_wanted);

/* core_next_batch() would have one that is wanted. */
bool core_has_batch(const struct core *core);

/* The next notice, one bit; its assignment in *assignment. 0: none. */
enum assignment_notice core_next_notice(struct core *core, struct klane_assignment **assignment);

/* core_next_pass() has one. */
bool core_pass_is_due(const struct core *core);

/* The assignment for which a pass is to begin, at *from. NULL: none. */
struct klane_assignment *core_next_pass(struct core *core, int64_t *from);

/* What to commit now, if it is time and no commit is out: the first of a list by committing_next,
 * each with its offset in committing and its map. The list is out until core_committed(). NULL:
 * nothing. */
struct klane_assignment *core_next_commit(struct core *core, int64_t now_ms);

/* How many records may be taken in. */
uint32_t core_room(const struct core *core);

/* How many are to be taken in. The last eighth of the memory is for the time when workers have
 * nothing to do (is_starving), and most of it for what a crowd would shut out. */
uint32_t core_intake_room(const struct core *core, bool is_starving);

/* The next record is taken in, if it is no larger than what is set aside for one, and still fits
 * beside what the source keeps, unless half of the memory is free. */
bool core_has_room(const struct core *core, uint64_t kept_bytes);

/* Half of the memory for records is in use, by their number or their bytes. */
bool core_is_half_full(const struct core *core);

/* Records or bytes have come near their bounds. */
bool core_is_full(const struct core *core);

/* They have, or a large record waits for room, or a pass: only workers that have nothing to do
 * should be given more. */
bool core_is_nearly_full(const struct core *core);

/* When core_tick() or core_next_commit() have to be called at the latest; INT64_MAX: never. */
int64_t core_next_due_ms(const struct core *core);

/* Everything that the log had is taken in and finished, and every partition's end is known. */
bool core_is_caught_up(const struct core *core);

/* No slot is in memory, and none is out that frees a state. */
bool core_is_empty(const struct core *core);

#ifdef KLANE_TESTING
void core_verify(const struct core *core);
#endif

#endif
