/* SPDX-License-Identifier: Apache-2.0 */
/* The engine: threads around the core. What its files share among themselves.
 *
 *   control thread  owns struct control: the core, timers, the source. Never waits but in poll(2)
 *   workers         run handlers: slots come by the ready ring or a chain, and go by a mailbox
 *   program         calls the public functions
 *
 * struct klane_runtime is cut by owner: what is fixed at start, what all share, control's own.
 *
 * Edges, besides those of sync/ and core/:
 *   S1  state, release in klane_start() and control_main() -> acquire in runtime_state(): what
 *       was set up before start; what control left when it ended.
 *   W1  exited, release in worker_main() -> acquire in workers_join(): the thread is at its end.
 *   W2  turn, running and others, release in turn_begin() and others_show() -> acquire in
 *       worker_look() and worker_slot(): a slot belongs to the turn in which it runs. */
#ifndef KLANE_ENGINE_ENGINE_H
#define KLANE_ENGINE_ENGINE_H

#include "base/cache_line.h"
#include "core/core.h"
#include "engine/fences.h"
#include "engine/routes.h"
#include "engine/worker.h"
#include "observe/observe.h"
#include "source/source.h"
#include "sync/bell.h"
#include "sync/idle.h"
#include "sync/mailbox.h"
#include "sync/ready.h"
#include "sync/tokens.h"

#include <klane/klane.h>

#include <pthread.h>
#include <semaphore.h>

/* Slots that wait in the ring for a worker, with room for one each; the rest waits in the core,
 * where partitions take turns. */
#define ENGINE_READY_MIN 256U

enum runtime_state { RUNTIME_NEW, RUNTIME_RUNNING, RUNTIME_STOPPED };

/* What control answers about a partition, with what the question gave; QUESTION_WAITS: it is to be
 * asked again after the next round. */
typedef klane_err_t (*question_fn)(struct klane_runtime *runtime,
                                   struct klane_assignment *assignment, void *with);
#define QUESTION_WAITS ((klane_err_t)-1)

/* A question of a program's thread to control. */
struct question {
    /* The asker's, until it is sent. */
    struct mail mail;
    const char *topic; /* NULL: of no partition */
    int32_t partition;
    question_fn answer;
    void *with;
    int64_t deadline_ms; /* of one that may have to wait */

    /* Control's, then the asker's. */
    struct question *next;
    klane_err_t err;
    sem_t answered;
};

/* Control's own. */
struct control {
    struct klane_intake intake; /* what the source sees */
    struct core core;
    int64_t now_ms;
    uint32_t workers_alive;
    uint32_t workers_slow;
    uint32_t workers_used; /* entries of workers[] that ever had a thread */
    int64_t monitor_ms;    /* when workers are looked at next */
    uint32_t monitor_period_ms;
    int64_t later_ms; /* when tokens are looked through for those that are over */
    int64_t stop_deadline_ms;
    int64_t commit_alarm_ms; /* when an unanswered commit is reported */
    bool stopping;
    bool closing;
    bool closed;
    bool fatal;
    bool caught_up;
    int64_t due_said_s;       /* the second in which a due time was last said to be none */
    struct question *waiting; /* by next */
    bool is_turn_of_batches;  /* before what is ready by itself */
    klane_err_t commit_err;   /* of the last that was answered */
    bool refused;             /* the source offers again what there was no memory for */
    bool awaits;              /* a partition of which the source does not know the begin yet */
    uint64_t loops;
    uint64_t sleeps;
    uint64_t spares_started;
    struct observe_limit limits[KLANE_EVENT_OVERRUN + 1];
    char given_up[400]; /* the record that stops the runtime, and why: slot_stops() */
};

struct klane_runtime {
    /* Fixed from klane_start() on. */
    struct klane_options options;
    struct klane_source *source;
    struct routes routes;
    struct source_topic *source_topics; /* for the source, until the end */
    struct worker *workers;             /* workers_max of them */
    uint32_t fork_generation;
    uint32_t spin_rounds;
    uint32_t quiet_max; /* outcomes that a worker sends without ringing for control */
    pthread_t control_thread;
    char name[16];

    struct fences *fences;     /* control writes */
    struct stats_board *board; /* control writes, statistics read */
    struct observe observe;

    /* Shared by all. First what workers look at with each record, and nearly nobody writes. */
    _Atomic bool closing;     /* workers end */
    _Atomic uint32_t surplus; /* workers that are to end, as slow ones came back */
    _Atomic uint32_t leaving; /* workers that end for that, until they are joined */
    _Atomic bool stop_asked;
    _Atomic bool worker_refused; /* worker_start said no */
    _Atomic uint64_t undefined;  /* workers: outcomes that are none and were logged, by bits */
    struct mailbox questions;
    _Alignas(CACHE_LINE) struct ready_ring ready;
    _Alignas(CACHE_LINE) struct idle idle;
    _Alignas(CACHE_LINE) struct tokens tokens;
    _Alignas(CACHE_LINE) struct mailbox outcomes;
    _Alignas(CACHE_LINE) struct bell bell;
    _Atomic uint64_t taken; /* records handed out by klane_take() */

    /* Guards state and err; and, once stopped, what was control's. */
    pthread_mutex_t lock;
    pthread_cond_t state_changed;
    _Atomic uint8_t state; /* enum runtime_state; also read without the lock */
    klane_err_t err;
    bool never_ran; /* control could not be started */

    _Alignas(CACHE_LINE) struct control control;
};

/* fork.c */
/* False: children cannot be known. */
bool fork_watch(void);
uint32_t fork_generation(void);
static inline bool runtime_forked(const struct klane_runtime *runtime)
{
    return runtime->fork_generation != fork_generation();
}

/* runtime.c: the calling thread is one of the runtime's own: it must not wait for the runtime. */
void thread_belongs_to(const struct klane_runtime *runtime);

static inline enum runtime_state runtime_state(const struct klane_runtime *runtime)
{
    /* S1 acquire: pairs with the release stores of klane_start() and control_main(). */
    return (enum runtime_state)atomic_load_explicit(&runtime->state, memory_order_acquire);
}

static inline const struct route *route_of(const struct klane_runtime *runtime,
                                           const struct klane_slot *slot)
{
    return &runtime->routes.routes[slot->record.route];
}

/* A handler's slot: that is a batch function, which has dead letters and what was taken by
 * klane_take() never. */
static inline bool slot_is_in_batch(const struct klane_runtime *runtime,
                                    const struct klane_slot *slot)
{
    return route_of(runtime, slot)->batch != NULL && (slot->record.has & SLOT_HAS_LETTER) == 0;
}

static inline bool runtime_started(const struct klane_runtime *runtime)
{
    return runtime_state(runtime) != RUNTIME_NEW;
}

/* A call that waits for control must not come from there. */
static inline bool runtime_is_control(const struct klane_runtime *runtime)
{
    return runtime_started(runtime) && pthread_equal(pthread_self(), runtime->control_thread);
}

/* Workers and takers: nothing more comes. */
static inline bool runtime_is_closing(const struct klane_runtime *runtime)
{
    /* Relaxed: the idle seats' fences order it where it counts. */
    return atomic_load_explicit(&runtime->closing, memory_order_relaxed);
}

/* worker.c: what a handler, or whoever finishes the record, said. */
enum slot_outcome slot_outcome(struct klane_runtime *runtime, const struct klane_slot *slot,
                               enum klane_outcome outcome);

/* failed.c: what becomes of a record that is to be retried or a dead letter, which back.outcome
 * then says; the time until it runs again. */
int64_t slot_failed(struct klane_runtime *runtime, struct klane_slot *slot);
/* Control: the runtime stops for this record with the next round; the first one is named. */
void slot_stops(struct klane_runtime *runtime, const struct klane_slot *slot, const char *why);

/* overrun.c */
/* Control: a worker has been in this slot's handler for so long. True: too long; it was said. */
bool overrun_handler(struct klane_runtime *runtime, struct klane_slot *slot, int64_t elapsed_ms);
/* The holder: until when a token that it makes now has to be finished. */
int64_t overrun_due_ms(const struct klane_runtime *runtime, const struct klane_slot *slot);
/* Control's, and under the lock when it has ended: finish, when it is time, what has not been. */
void overrun_look(struct klane_runtime *runtime);

/* control.c */
void *control_main(void *runtime);
/* Take back from the ring what may not start any more. */
void control_reclaim(struct klane_runtime *runtime);
/* Take back from the ring what the program holds. */
void control_recall(struct klane_runtime *runtime);
/* What became of a slot that control holds, or that came back. */
void control_came_back(struct klane_runtime *runtime, struct klane_slot *slot);
/* Collect what came back. Also used, under the lock, when control has ended. */
void control_collect(struct klane_runtime *runtime);
/* Begin to stop; err KLANE_OK or what made it stop. */
void control_stop(struct klane_runtime *runtime, klane_err_t err, const char *message);

/* intake.c */
extern const struct klane_intake_ops intake_ops;
void control_event(struct klane_runtime *runtime, enum klane_event_type type, klane_err_t err,
                   const struct klane_assignment *assignment, int64_t offset, int64_t value,
                   const char *message);

/* worker.c */
void *worker_main(void *worker);
/* Give a slot back to control, which looks at it at once. */
void slot_report(struct klane_runtime *runtime, struct klane_slot *slot);
/* What only gives memory back: control hears of it now and then, in time if it has more for the
 * ring, and at once if it asks for every outcome. */
void slot_report_quietly(struct worker *worker, struct klane_slot *slot);
/* The handler begins with this slot; it has returned. */
void turn_begin(struct worker *worker, struct klane_slot *slot);
void turn_end(struct worker *worker);
/* Run one slot. Returns the next of its lane, if this worker is to run it. in_row: how many of one
 * lane it has run with this. */
struct klane_slot *run_single(struct worker *worker, struct klane_slot *slot, uint32_t in_row);
/* Finished: report it, and go on with what the chain passes on, or yield. */
struct klane_slot *pass_on(struct worker *worker, struct klane_slot *slot, uint32_t in_row);
/* A slot is away and will not come back soon: control may have more for the ring. */
void slot_left_ring(struct klane_runtime *runtime);
/* A slot whose assignment may not start it: report it, and return what the chain passes on. */
struct klane_slot *slot_refuse(struct klane_runtime *runtime, struct klane_slot *slot);
/* A slot of which control has to say again when it may run: reported. Returns NULL, what is
 * left. */
struct klane_slot *slot_ask(struct klane_runtime *runtime, struct klane_slot *slot);
/* A slot that is to free a state, which is done; it is to be reported then. */
void slot_free_state(struct klane_slot *slot);
/* The record as the program sees it. */
void slot_show(struct klane_slot *slot, struct klane_record *record);

/* workers.c */
klane_err_t workers_start(struct klane_runtime *runtime);
/* What was made for workers, all of which have ended. */
void workers_deinit(struct klane_runtime *runtime);
/* Look at the workers: who is slow, who came back, is a spare needed. */
void workers_monitor(struct klane_runtime *runtime);
/* Tell all to end. */
void workers_close(struct klane_runtime *runtime);
/* Join those that ended. True: none is left. */
bool workers_join(struct klane_runtime *runtime);

/* stats.c */
klane_err_t stats_create(struct klane_runtime *runtime);
void stats_destroy(struct klane_runtime *runtime);
void stats_publish(struct klane_runtime *runtime);

/* questions.c */
/* Control's, and under the lock when it has ended. */
void questions_answer(struct klane_runtime *runtime);
/* When one that waits has to be answered at the latest; INT64_MAX: none waits. */
int64_t questions_due_ms(const struct klane_runtime *runtime);
/* Any thread but control's; waits for the answer. Errors: NOT_FOUND (not assigned), STATE, SYSTEM,
 * FORKED, and what the answer says. */
klane_err_t question_ask(struct klane_runtime *runtime, struct question *question);

#endif
