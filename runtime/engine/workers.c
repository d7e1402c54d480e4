/* SPDX-License-Identifier: Apache-2.0 */
/* The pool: workers start and end, slow ones are noticed, spare ones stand in for them.
 *
 * Upholds G3 and G7: while lanes are ready, as many workers as were asked for are free of slow
 * handlers, up to workers_max. Control's, but for the first start.
 *
 * Edges W1 and W2: engine/engine.h. */
#include "base/thread.h"
#include "engine/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* One that is there from a thread before will do. */
static bool others_make(struct worker *worker, uint32_t lanes_max)
{
    if (lanes_max == 0 || worker->others != NULL)
        return true;
    worker->others = calloc(lanes_max, sizeof(*worker->others));
    return worker->others != NULL;
}

void workers_deinit(struct klane_runtime *runtime)
{
    if (runtime->workers != NULL)
        for (uint32_t i = 0; i < runtime->options.workers_max; i++)
            free(runtime->workers[i].others);
    free(runtime->workers);
}

static bool worker_start_one(struct klane_runtime *runtime)
{
    struct control *control = &runtime->control;
    struct worker *worker;
    char name[16];
    uint32_t index = 0;

    while (index < control->workers_used && runtime->workers[index].alive)
        index++;
    worker = &runtime->workers[index];
    if (!others_make(worker, runtime->routes.batch_lanes_max))
        return false;
    worker->runtime = runtime;
    worker->local = NULL;
    worker->slow = false;
    worker->overrun = false;
    worker->left_as_surplus = false;
    worker->quiet = 0;
    worker->turn_seen = 0;
    worker->turn_since_ms = control->now_ms;
    /* Relaxed: the thread does not exist yet. */
    atomic_store_explicit(&worker->exited, false, memory_order_relaxed);
    atomic_store_explicit(&worker->running, NULL, memory_order_relaxed);
    atomic_store_explicit(&worker->others_count, 0, memory_order_relaxed);
    worker->seat = idle_seat_take(&runtime->idle);
    if (worker->seat == -1) {
        errno = EAGAIN;
        return false;
    }
    snprintf(name, sizeof(name), "%.9s-work", runtime->name);
    if (!thread_start(&worker->thread, name, runtime->options.stack_bytes, worker_main, worker)) {
        idle_seat_leave(&runtime->idle, worker->seat);
        return false;
    }
    worker->alive = true;
    if (index == control->workers_used)
        control->workers_used++;
    control->workers_alive++;
    return true;
}

klane_err_t workers_start(struct klane_runtime *runtime)
{
    for (uint32_t i = 0; i < runtime->options.workers; i++)
        if (!worker_start_one(runtime))
            return KLANE_ERR_SYSTEM;
    return KLANE_OK;
}

void workers_close(struct klane_runtime *runtime)
{
    /* Relaxed: the fence in idle_wake_all() orders it before the look at who sleeps. */
    atomic_store_explicit(&runtime->closing, true, memory_order_relaxed);
    idle_wake_all(&runtime->idle);
}

bool workers_join(struct klane_runtime *runtime)
{
    struct control *control = &runtime->control;

    for (uint32_t i = 0; i < control->workers_used; i++) {
        struct worker *worker = &runtime->workers[i];

        /* W1 acquire: pairs with worker_main(). */
        if (!worker->alive || !atomic_load_explicit(&worker->exited, memory_order_acquire))
            continue;
        pthread_join(worker->thread, NULL);
        if (worker->left_as_surplus)
            /* Relaxed: a count that orders nothing. */
            atomic_fetch_sub_explicit(&runtime->leaving, 1, memory_order_relaxed);
        worker->alive = false;
        control->workers_alive--;
        if (worker->slow)
            control->workers_slow--;
        worker->slow = false;
    }
    return control->workers_alive == 0;
}

/* ---- slow handlers ----------------------------------------------------------------------- */

/* As slow handlers come back there are more workers than asked for, spares beside the others: so
 * many end, each when it has no lane at hand. */
static void count_surplus(struct klane_runtime *runtime)
{
    const struct control *control = &runtime->control;
    /* Relaxed, both: counts that order nothing. */
    uint32_t leaving = atomic_load_explicit(&runtime->leaving, memory_order_relaxed);
    uint32_t wanted = runtime->options.workers + control->workers_slow + leaving;
    uint32_t surplus = control->workers_alive > wanted ? control->workers_alive - wanted : 0;

    atomic_store_explicit(&runtime->surplus, surplus, memory_order_relaxed);
}

struct klane_slot *worker_slot(const struct worker *worker, uint32_t index)
{
    /* W2 acquire, all three: pair with turn_begin() and others_show(). */
    if (index == 0)
        return atomic_load_explicit(&worker->running, memory_order_acquire);
    if (index > atomic_load_explicit(&worker->others_count, memory_order_acquire))
        return NULL;
    return atomic_load_explicit(&worker->others[index - 1], memory_order_acquire);
}

/* The slot that this worker has been running for *elapsed_ms, as far as can be seen; or NULL. */
static struct klane_slot *worker_look(struct klane_runtime *runtime, struct worker *worker,
                                      int64_t *elapsed_ms)
{
    /* W2 acquire, both: pair with turn_begin(). */
    uint64_t turn = atomic_load_explicit(&worker->turn, memory_order_acquire);
    struct klane_slot *slot = worker_slot(worker, 0);
    uint64_t again = atomic_load_explicit(&worker->turn, memory_order_acquire);

    if (again != turn || turn % 2 == 0 || turn != worker->turn_seen) {
        worker->turn_seen = turn;
        worker->turn_since_ms = runtime->control.now_ms;
        return NULL;
    }
    *elapsed_ms = runtime->control.now_ms - worker->turn_since_ms;
    return slot;
}

/* The drain goes on without it, and without what its batch has behind it. */
static void drop_from_drain(struct control *control, struct klane_slot *slot)
{
    for (; slot != NULL; slot = slot->control.next) {
        if (!slot->control.overdue)
            core_overdue(&control->core, slot, control->now_ms);
        if (!chain_is_taken(&slot->chain))
            return;
    }
}

/* In the turn that was seen, which may be over: then what it had is not looked at. */
static void drop_from_drains(struct control *control, const struct worker *worker)
{
    struct klane_slot *slot;

    for (uint32_t i = 0; (slot = worker_slot(worker, i)) != NULL; i++) {
        /* W2 acquire: pairs with turn_begin(). A slot of this turn has not come back, so it is
         * there. */
        if (atomic_load_explicit(&worker->turn, memory_order_acquire) != worker->turn_seen)
            return;
        if (assignment_state(slot->record.assignment) == ASSIGNMENT_DRAINING)
            drop_from_drain(control, slot);
    }
}

static void look_at(struct klane_runtime *runtime, struct worker *worker)
{
    struct control *control = &runtime->control;
    int64_t elapsed_ms;
    struct klane_slot *slot = worker_look(runtime, worker, &elapsed_ms);
    struct klane_assignment *assignment;
    char message[64];

    if (slot == NULL) {
        if (worker->slow)
            control->workers_slow--;
        worker->slow = false;
        worker->overrun = false;
        return;
    }
    assignment = slot->record.assignment;
    if (!worker->slow && elapsed_ms >= route_of(runtime, slot)->slow_ms) {
        worker->slow = true;
        control->workers_slow++;
        snprintf(message, sizeof(message), "a handler has been running for %" PRId64 " ms",
                 elapsed_ms);
        control_event(runtime, KLANE_EVENT_SLOW_HANDLER, KLANE_OK, assignment,
                      slot->record.offset, elapsed_ms, message);
    }
    if (!worker->overrun && overrun_handler(runtime, slot, elapsed_ms))
        worker->overrun = true;
    if (control->core.draining > 0 && elapsed_ms >= control->core.config.drain_ms)
        drop_from_drains(control, worker);
}

/* While lanes are ready, slow workers do not count: spare ones stand in. */
static void start_spares(struct klane_runtime *runtime)
{
    struct control *control = &runtime->control;
    bool ready = core_has_ready(&control->core) || !ready_is_empty(&runtime->ready);

    while (ready && !control->stopping && runtime->options.workers > 0 &&
           control->workers_alive - control->workers_slow < runtime->options.workers &&
           control->workers_alive < runtime->options.workers_max) {
        if (!worker_start_one(runtime)) {
            observe_log(&runtime->observe, KLANE_LOG_WARNING, "no spare worker: errno %d", errno);
            return;
        }
        control->spares_started++;
        control_event(runtime, KLANE_EVENT_SPARE_STARTED, KLANE_OK, NULL, -1,
                      control->workers_alive, NULL);
    }
}

void workers_monitor(struct klane_runtime *runtime)
{
    struct control *control = &runtime->control;

    control->monitor_ms = control->now_ms + control->monitor_period_ms;
    workers_join(runtime);
    for (uint32_t i = 0; i < control->workers_used; i++)
        if (runtime->workers[i].alive)
            look_at(runtime, &runtime->workers[i]);
    count_surplus(runtime);
    start_spares(runtime);
}
