/* SPDX-License-Identifier: Apache-2.0 */
/* Life: create, start, wait, stop, destroy. Wiring only.
 *
 * Upholds: what create took it gives back on an error; destroy frees nothing while somebody is
 * still out; stop returns at once and may be called by a signal handler. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/errstr.h"
#include "base/given.h"
#include "base/thread.h"
#include "engine/budget.h"
#include "engine/engine.h"
#include "engine/options.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/* Outcomes that a worker sends without ringing: often enough to give memory back in good time (an
 * eighth of it at most waits unheard of), rarely enough that waking control costs nothing. */
#define QUIET_MAX 64U

static uint32_t quiet_max(const struct klane_options *options)
{
    uint32_t workers = options->workers_max == 0 ? 1 : options->workers_max;
    uint32_t share = options->records_max / 8 / workers;

    return share < 1 ? 1 : share > QUIET_MAX ? QUIET_MAX : share;
}

/* About ten microseconds of looking before a worker sleeps, if another processor can bring
 * work. */
#define SPIN_ROUNDS 400U

/* Who decides which partitions a process has is also the one that answers commits: while it does
 * not, nobody waits for this process. */
#define SETTLE_PER_DRAIN 3U

/* Who takes a partition up and dies within this time may have died of a record. */
#define CALM_MS 60000U

const char *klane_version(void)
{
#define TEXT_OF(number) #number
#define VERSION_TEXT(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)
    return VERSION_TEXT(KLANE_VERSION_MAJOR, KLANE_VERSION_MINOR, KLANE_VERSION_PATCH);
}

const char *klane_strerror(klane_err_t err)
{
    switch (err) {
#define ERROR_TEXT(name, value, text)                                                            \
    case name:                                                                                   \
        return text;
        KLANE_ERRORS(ERROR_TEXT)
    }
    return "an unknown error";
}

/* ---- create ------------------------------------------------------------------------------ */

static klane_err_t share_budget(const struct klane_options *options,
                                const struct klane_source *source, bool has_weights,
                                struct budget *budget, char *errstr, size_t errstr_size)
{
    struct source_needs needs = {0, 0};

    if (source->ops->needs != NULL)
        source->ops->needs(source, &needs);
    return budget_share(options, &needs, has_weights, budget, errstr, errstr_size);
}

/* Without the system's randomness the addresses of this process have to do. */
static uint64_t random_of(const struct klane_runtime *runtime)
{
    uint64_t random;

    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
        random = (uintptr_t)runtime;
    return random;
}

static bool core_set_up(struct klane_runtime *runtime)
{
    const struct klane_options *options = &runtime->options;
    struct core_config config = {
        .records_max = options->records_max,
        .lane_records_max = options->lane_records_max,
        .commit_interval_ms = options->commit_interval_ms,
        .commit_records = options->commit_records,
        .parks = runtime->source->ops->sweep != NULL,
        .map_limit = options->map_size,
        .beyond_max = options->beyond_max,
        .calm_ms = CALM_MS,
        .drain_ms = options->drain_ms,
        .settle_ms = SETTLE_PER_DRAIN * options->drain_ms,
        .seed = random_of(runtime),
    };

    return core_init(&runtime->control.core, &config);
}

static uint32_t ready_capacity(const struct klane_options *options)
{
    uint32_t capacity = ENGINE_READY_MIN;

    while (capacity < options->workers_max * 2)
        capacity *= 2;
    return capacity;
}

static bool shared_set_up(struct klane_runtime *runtime)
{
    size_t workers = runtime->options.workers_max;

    mailbox_init(&runtime->outcomes);
    mailbox_init(&runtime->questions);
    runtime->workers = aligned_alloc(CACHE_LINE, (workers + 1) * sizeof(struct worker));
    if (runtime->workers == NULL)
        return false;
    memset(runtime->workers, 0, (workers + 1) * sizeof(struct worker));
    runtime->fences = fences_create();
    return runtime->fences != NULL && stats_create(runtime) == KLANE_OK &&
           ready_init(&runtime->ready, ready_capacity(&runtime->options));
}

/* How far the set-up came. */
enum set_up { SET_UP_SHARED, SET_UP_CORE, SET_UP_IDLE, SET_UP_TOKENS, SET_UP_ALL };

/* Whatever was set up; nothing may be out. */
static void tear_down(struct klane_runtime *runtime, enum set_up reached)
{
    if (reached >= SET_UP_ALL) {
        pthread_cond_destroy(&runtime->state_changed);
        pthread_mutex_destroy(&runtime->lock);
        bell_deinit(&runtime->bell);
    }
    if (reached >= SET_UP_TOKENS)
        tokens_deinit(&runtime->tokens);
    if (reached >= SET_UP_IDLE)
        idle_deinit(&runtime->idle);
    if (reached >= SET_UP_CORE)
        core_deinit(&runtime->control.core);
    ready_deinit(&runtime->ready);
    stats_destroy(runtime);
    fences_destroy(runtime->fences);
    workers_deinit(runtime);
    routes_deinit(&runtime->routes);
    free(runtime);
}

static void locks_set_up(struct klane_runtime *runtime)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&runtime->lock, NULL);
    pthread_cond_init(&runtime->state_changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

static enum set_up set_up(struct klane_runtime *runtime)
{
    if (!shared_set_up(runtime) || !core_set_up(runtime))
        return SET_UP_SHARED;
    if (!idle_init(&runtime->idle))
        return SET_UP_CORE;
    if (!tokens_init(&runtime->tokens, runtime->options.records_max,
                     (uint32_t)(random_of(runtime) >> 8)))
        return SET_UP_IDLE;
    if (!bell_init(&runtime->bell))
        return SET_UP_TOKENS;
    locks_set_up(runtime);
    return SET_UP_ALL;
}

/* Says why, for those errors that no option explains. */
static klane_err_t explain(klane_err_t err, char *errstr, size_t errstr_size)
{
    return errstr_set(err, errstr, errstr_size, "%s", klane_strerror(err));
}

klane_err_t klane_create(const struct klane_options *given, struct klane_source *source,
                         struct klane_runtime **created, char *errstr, size_t errstr_size)
{
    struct klane_runtime *runtime;
    struct klane_options options;
    struct budget budget;
    klane_err_t err;
    enum set_up reached;

    errstr_clear(errstr, errstr_size);
    if (created == NULL || source == NULL)
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size, "%s is NULL",
                          source == NULL ? "source" : "runtime");
    if (source->is_owned)
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size,
                          "source belongs to another runtime already");
    err = options_take(&options, given, errstr, errstr_size);
    if (err == KLANE_OK)
        err = share_budget(&options, source, false, &budget, errstr, errstr_size);
    if (err != KLANE_OK)
        return err;
    runtime = aligned_alloc(_Alignof(struct klane_runtime), sizeof(*runtime));
    if (runtime == NULL || !fork_watch()) {
        free(runtime);
        return explain(KLANE_ERR_NOMEM, errstr, errstr_size);
    }
    memset(runtime, 0, sizeof(*runtime));
    runtime->options = options;
    runtime->source = source;
    runtime->fork_generation = fork_generation();
    runtime->quiet_max = quiet_max(&options);
    runtime->spin_rounds = options_processors() > 1 ? SPIN_ROUNDS : 0;
    snprintf(runtime->name, sizeof(runtime->name), "%s", options.name);
    runtime->options.name = runtime->name;
    observe_init(&runtime->observe, &options, runtime->name);
    runtime->control.intake.ops = &intake_ops;
    reached = set_up(runtime);
    if (reached < SET_UP_ALL) {
        tear_down(runtime, reached);
        return explain(reached == SET_UP_TOKENS ? KLANE_ERR_SYSTEM : KLANE_ERR_NOMEM, errstr,
                       errstr_size);
    }
    source->is_owned = true;
    *created = runtime;
    return KLANE_OK;
}

void klane_source_destroy(struct klane_source *source)
{
    if (source != NULL && !source->is_owned)
        source->ops->destroy(source);
}

/* ---- topics and routes ------------------------------------------------------------------- */

static klane_err_t may_register(const struct klane_runtime *runtime, const void *given)
{
    if (runtime == NULL || given == NULL)
        return KLANE_ERR_INVALID;
    if (runtime_forked(runtime))
        return KLANE_ERR_FORKED;
    return runtime_state(runtime) == RUNTIME_NEW ? KLANE_OK : KLANE_ERR_STATE;
}

/* These calls have no room for a text: the log has it. */
static klane_err_t not_registered(struct klane_runtime *runtime, klane_err_t err, const char *why)
{
    observe_log(&runtime->observe, KLANE_LOG_ERROR, "not registered: %.300s", why);
    return err;
}

klane_err_t klane_topic(struct klane_runtime *runtime, const struct klane_topic *given)
{
    struct klane_topic topic;
    char errstr[ERRSTR_SIZE];
    klane_err_t err = may_register(runtime, given);

    if (err != KLANE_OK)
        return err;
    klane_topic_init(&topic, sizeof(topic));
    if (!given_copy(&topic, sizeof(topic), given))
        return not_registered(runtime, KLANE_ERR_INVALID,
                              "the topic: call klane_topic_init() first, and set no rule that "
                              "this version does not know");
    err = routes_topic(&runtime->routes, runtime, &topic, errstr, sizeof(errstr));
    return err == KLANE_OK ? err : not_registered(runtime, err, errstr);
}

klane_err_t klane_route(struct klane_runtime *runtime, const struct klane_route *given)
{
    struct klane_route route;
    char errstr[ERRSTR_SIZE];
    klane_err_t err = may_register(runtime, given);

    if (err != KLANE_OK)
        return err;
    klane_route_init(&route, sizeof(route));
    if (!given_copy(&route, sizeof(route), given))
        return not_registered(runtime, KLANE_ERR_INVALID,
                              "the route: call klane_route_init() first, and set no rule that "
                              "this version does not know");
    err = routes_route(&runtime->routes, runtime, &route, errstr, sizeof(errstr));
    return err == KLANE_OK ? err : not_registered(runtime, err, errstr);
}

klane_err_t klane_handle(struct klane_runtime *runtime, const char *topic,
                         klane_handler_fn handler, void *context)
{
    struct klane_route route;

    klane_route_init(&route, sizeof(route));
    route.topic = topic;
    route.handler = handler;
    route.context = context;
    return klane_route(runtime, &route);
}

klane_err_t klane_handle_batch(struct klane_runtime *runtime, const char *topic,
                               klane_batch_fn batch, void *context, uint32_t batch_max)
{
    struct klane_route route;

    klane_route_init(&route, sizeof(route));
    route.topic = topic;
    route.batch = batch;
    route.context = context;
    route.batch_max = batch_max;
    return klane_route(runtime, &route);
}

/* ---- start ------------------------------------------------------------------------------- */

static _Thread_local const struct klane_runtime *runtime_of_thread;

void thread_belongs_to(const struct klane_runtime *runtime)
{
    runtime_of_thread = runtime;
}

static bool thread_is_of(const struct klane_runtime *runtime)
{
    return runtime_of_thread == runtime;
}

static klane_err_t source_start(struct klane_runtime *runtime, char *errstr, size_t errstr_size)
{
    struct routes *routes = &runtime->routes;

    runtime->control.intake.give_up_ms = (1 + SETTLE_PER_DRAIN) * runtime->options.drain_ms;
    runtime->source_topics = calloc(routes->topic_count, sizeof(*runtime->source_topics));
    if (runtime->source_topics == NULL)
        return KLANE_ERR_NOMEM;
    for (uint32_t i = 0; i < routes->topic_count; i++)
        runtime->source_topics[i] = (struct source_topic){
            .name = routes->topics[i]->core.name,
            .begin = routes->topics[i]->rules.begin,
            .begin_time_ms = routes->topics[i]->rules.begin_time_ms,
            .out_of_range = routes->topics[i]->rules.out_of_range,
            .without_headers = routes->topics[i]->rules.without_headers,
        };
    return runtime->source->ops->start(runtime->source, &runtime->control.intake,
                                       runtime->source_topics, routes->topic_count, errstr,
                                       errstr_size);
}

/* The source or a thread could not be started: nothing was taken in, so all is taken back. */
static klane_err_t start_failed(struct klane_runtime *runtime, klane_err_t err, const char *why)
{
    observe_log(&runtime->observe, KLANE_LOG_ERROR, "cannot start: %s", why);
    workers_close(runtime);
    for (uint32_t i = 0; i < runtime->control.workers_used; i++)
        if (runtime->workers[i].alive)
            pthread_join(runtime->workers[i].thread, NULL);
    runtime->control.workers_alive = 0;
    runtime->control.workers_used = 0;
    runtime->err = err;
    runtime->never_ran = true;
    /* S1 release: pairs with runtime_state(). */
    atomic_store_explicit(&runtime->state, RUNTIME_STOPPED, memory_order_release);
    return err;
}

/* Under the lock, so that control cannot have ended before it is said to run. */
static bool control_start(struct klane_runtime *runtime)
{
    char name[16];
    bool started;

    snprintf(name, sizeof(name), "%.7s-control", runtime->name);
    pthread_mutex_lock(&runtime->lock);
    started = thread_start(&runtime->control_thread, name, 0, control_main, runtime);
    if (started)
        /* S1 release: pairs with runtime_state(). */
        atomic_store_explicit(&runtime->state, RUNTIME_RUNNING, memory_order_release);
    pthread_mutex_unlock(&runtime->lock);
    return started;
}

static bool states_set_up(struct klane_runtime *runtime)
{
    uint64_t most = routes_idle_states(&runtime->routes);

    if (most == 0)
        return true;
    most += runtime->options.records_max;
    return core_keep_states(&runtime->control.core,
                            most > UINT32_MAX ? UINT32_MAX : (uint32_t)most);
}

static uint32_t monitor_period(const struct routes *routes)
{
    uint32_t period_ms = routes->running_ms_min / 4;

    return period_ms < 5 ? 5 : period_ms > 250 ? 250 : period_ms;
}

klane_err_t klane_start(struct klane_runtime *runtime)
{
    char errstr[ERRSTR_SIZE] = "";
    struct budget budget;
    klane_err_t err = may_register(runtime, runtime);

    if (err != KLANE_OK)
        return err;
    err = routes_ready(&runtime->routes, runtime->source->ops->has_patterns, errstr,
                       sizeof(errstr));
    if (err != KLANE_OK) {
        observe_log(&runtime->observe, KLANE_LOG_ERROR, "cannot start: %s", errstr);
        return err;
    }
    err = share_budget(&runtime->options, runtime->source, routes_have_weights(&runtime->routes),
                       &budget, errstr, sizeof(errstr));
    if (err != KLANE_OK) {
        observe_log(&runtime->observe, KLANE_LOG_ERROR, "cannot start: %s", errstr);
        return err;
    }
    if (!states_set_up(runtime)) {
        observe_log(&runtime->observe, KLANE_LOG_ERROR, "cannot start: no memory for states");
        return KLANE_ERR_NOMEM;
    }
    /* By klane_take() each goes alone. */
    if (runtime->options.workers > 0)
        err = routes_gather(&runtime->routes, &runtime->control.core);
    if (err != KLANE_OK)
        return err;
    core_budget(&runtime->control.core, budget.records, budget.reserve, budget.weights);
    runtime->control.now_ms = clock_now_ms();
    runtime->control.monitor_period_ms = monitor_period(&runtime->routes);
    runtime->control.later_ms =
        clock_after(runtime->control.now_ms, runtime->routes.later_ms_min);
    runtime->control.core.commit.sent_ms = runtime->control.now_ms;
    err = source_start(runtime, errstr, sizeof(errstr));
    if (err != KLANE_OK)
        return start_failed(runtime, err, errstr[0] == '\0' ? klane_strerror(err) : errstr);
    err = workers_start(runtime);
    if (err != KLANE_OK)
        return start_failed(runtime, err,
                            "not so many worker threads can be made: fewer workers, "
                            "or a smaller stack_bytes, may do");
    if (!control_start(runtime))
        return start_failed(runtime, KLANE_ERR_SYSTEM, "the control thread cannot be made");
    return KLANE_OK;
}

/* ---- stop, wait, destroy ----------------------------------------------------------------- */

void klane_stop(struct klane_runtime *runtime)
{
    if (runtime == NULL || runtime_forked(runtime))
        return;
    /* Relaxed: the write that follows makes control look. */
    atomic_store_explicit(&runtime->stop_asked, true, memory_order_relaxed);
    bell_write(&runtime->bell);
}

/* With control ended, under the lock: take back what came since. True: nobody is out any more. */
static bool reap(struct klane_runtime *runtime)
{
    struct klane_slot *slot;

    runtime->control.now_ms = clock_now_ms();
    overrun_look(runtime);
    control_reclaim(runtime);
    control_collect(runtime);
    /* No record is in there any more, as none may start. */
    while ((slot = ready_pop(&runtime->ready)) != NULL)
        core_state_kept(&runtime->control.core, slot);
    /* Ended workers only: those in a handler have a slot out. */
    workers_join(runtime);
    stats_publish(runtime);
    return core_is_empty(&runtime->control.core);
}

static void deadline_after(struct timespec *deadline, int64_t timeout_ms)
{
    clock_gettime(CLOCK_MONOTONIC, deadline);
    deadline->tv_sec += (time_t)(timeout_ms / 1000);
    deadline->tv_nsec += (long)(timeout_ms % 1000 * 1000000);
    if (deadline->tv_nsec >= 1000000000) {
        deadline->tv_sec++;
        deadline->tv_nsec -= 1000000000;
    }
}

klane_err_t klane_wait(struct klane_runtime *runtime, int64_t timeout_ms)
{
    struct timespec deadline;
    klane_err_t err = KLANE_OK;
    int waited = 0;

    if (runtime == NULL)
        return KLANE_ERR_INVALID;
    if (runtime_forked(runtime))
        return KLANE_ERR_FORKED;
    if (!runtime_started(runtime) || thread_is_of(runtime))
        return KLANE_ERR_STATE;
    deadline_after(&deadline, timeout_ms < 0 ? 0 : timeout_ms);
    pthread_mutex_lock(&runtime->lock);
    while (runtime_state(runtime) == RUNTIME_RUNNING && waited == 0)
        waited = timeout_ms < 0
                     ? pthread_cond_wait(&runtime->state_changed, &runtime->lock)
                     : pthread_cond_timedwait(&runtime->state_changed, &runtime->lock, &deadline);
    if (runtime_state(runtime) == RUNTIME_RUNNING)
        err = KLANE_ERR_TIMEOUT;
    else if (runtime->err != KLANE_OK)
        err = runtime->err;
    else if (!reap(runtime))
        err = KLANE_ERR_BUSY;
    pthread_mutex_unlock(&runtime->lock);
    return err;
}

klane_err_t klane_run(struct klane_runtime *runtime)
{
    klane_err_t err = klane_start(runtime);

    return err != KLANE_OK ? err : klane_wait(runtime, -1);
}

/* Nobody is out any more: what came back too late for a worker has left states. */
static void free_states(struct klane_runtime *runtime)
{
    struct core *core = &runtime->control.core;
    struct klane_slot *slot;

    while ((slot = core_next_ready(core)) != NULL) {
        slot_free_state(slot);
        core_state_freed(core, slot, runtime->control.now_ms);
    }
}

klane_err_t klane_destroy(struct klane_runtime *runtime)
{
    if (runtime == NULL)
        return KLANE_OK;
    if (runtime_forked(runtime))
        return KLANE_ERR_FORKED;
    if (runtime_state(runtime) == RUNTIME_RUNNING || thread_is_of(runtime))
        return KLANE_ERR_STATE;
    if (runtime_state(runtime) == RUNTIME_STOPPED) {
        pthread_mutex_lock(&runtime->lock);
        if (!reap(runtime)) {
            pthread_mutex_unlock(&runtime->lock);
            return KLANE_ERR_BUSY;
        }
        pthread_mutex_unlock(&runtime->lock);
        if (!runtime->never_ran)
            pthread_join(runtime->control_thread, NULL);
        /* No handler runs any more: what is left of the workers ends at once. */
        for (uint32_t i = 0; i < runtime->control.workers_used; i++)
            if (runtime->workers[i].alive)
                pthread_join(runtime->workers[i].thread, NULL);
    }
    free_states(runtime);
    /* First, as its helper may still be reading the topics' names. */
    runtime->source->ops->destroy(runtime->source);
    free(runtime->source_topics);
    tear_down(runtime, SET_UP_ALL);
    return KLANE_OK;
}
