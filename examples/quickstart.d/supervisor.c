/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The supervisor has one thread and no connection to any log or table while it forks, so a child
 * may open what it needs. No child outlives it.
 */
#include "supervisor.h"

#include "interrupt.h"
#include "screen.h"

#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_INTERVAL_MS 2

/** Consumers that finish nothing for so long are given up. */
#define STANDSTILL_MS 60000

/** The second comes when the first has done this part of all records after it was killed ... */
#define JOIN_AFTER_PART 20
/** ... and leaves when it has itself done this part, or all together this many per cent. */
#define SHARE_PART 10
#define LEAVE_AT_PERCENT 85

/** Consumers that end well and leave something to others do not do so for ever. */
#define LAPS_MAX 5

struct show {
    const struct consumer_plan *plan;
    struct board *board;
    look_fn look;
    struct supervised *happened;
    pid_t pids[MEMBERS];  /**< 0: it does not run. */
    bool failed[MEMBERS]; /**< It ended, and not well. */
    uint64_t finished;    /**< Records, as last seen. */
    uint64_t finished_ms; /**< When that changed last. */
};

/* ---- processes --------------------------------------------------------------------------- */

static bool start(struct show *show, enum member member)
{
    pid_t parent = getpid(), pid;

    atomic_store(&show->board->partitions[member], 0);
    fflush(NULL);
    pid = fork();
    if (pid < 0) {
        perror("fork");
        return false;
    }
    show->pids[member] = pid;
    if (pid > 0)
        return true;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    _exit(consumer_run(show->plan, show->board, member));
}

/** Take note of an end. wait: stay until it comes. */
static void reap(struct show *show, enum member member, bool wait)
{
    int status = 0;
    pid_t ended;

    if (show->pids[member] == 0)
        return;
    do
        ended = waitpid(show->pids[member], &status, wait ? 0 : WNOHANG);
    while (ended < 0 && errno == EINTR);
    if (ended != show->pids[member])
        return;
    show->pids[member] = 0;
    show->failed[member] = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    if (WIFSIGNALED(status) && !wait)
        fprintf(stderr, "A consumer was ended by signal %d.\n", WTERMSIG(status));
}

static void kill_and_reap(struct show *show, enum member member)
{
    if (show->pids[member] != 0)
        kill(show->pids[member], SIGKILL);
    reap(show, member, true);
}

/* ---- the second process ------------------------------------------------------------------ */

/** Whether the first has taken over what it left when it was killed, and no key is held up. */
static bool is_time_to_join(const struct show *show)
{
    uint64_t applied = atomic_load(&show->board->applied), records = show->plan->records;

    return show->plan->log->kind->is_shared && show->happened->killed &&
           atomic_load(&show->board->hold) == HOLD_OVER && applied < records &&
           applied > show->happened->killed_at + records / JOIN_AFTER_PART;
}

static bool is_time_to_leave(const struct show *show)
{
    uint64_t own = atomic_load(&show->board->applied_by[SECOND]);
    uint64_t applied = atomic_load(&show->board->applied), records = show->plan->records;

    return show->pids[FIRST] == 0 || (own > 0 && own >= records / SHARE_PART) ||
           applied >= records * LEAVE_AT_PERCENT / 100;
}

/** Start it, ask it to leave, note that it has gone: each when it is time. False: no process. */
static bool attend_second(struct show *show)
{
    struct supervised *happened = show->happened;

    switch (happened->second) {
    case SECOND_AHEAD:
        if (!is_time_to_join(show))
            break;
        happened->second = SECOND_HERE;
        happened->second_at = atomic_load(&show->board->applied);
        return start(show, SECOND);
    case SECOND_HERE:
        if (show->pids[SECOND] != 0 && !is_time_to_leave(show))
            break;
        happened->second = SECOND_LEAVING;
        if (show->pids[SECOND] != 0)
            kill(show->pids[SECOND], SIGTERM);
        break;
    case SECOND_LEAVING:
        if (show->pids[SECOND] == 0)
            happened->second = SECOND_GONE;
        break;
    case SECOND_GONE:
        break;
    }
    return true;
}

/* ---- both -------------------------------------------------------------------------------- */

static uint64_t finished(const struct show *show)
{
    return atomic_load(&show->board->applied) + atomic_load(&show->board->repeated);
}

static void note_progress(struct show *show)
{
    uint64_t now = finished(show);

    if (now != show->finished)
        show->finished_ms = clock_ms();
    show->finished = now;
}

/** Whether now is the time: half is done, there is more to do, and no key is being held up. */
static bool is_time_to_kill(const struct show *show)
{
    uint64_t applied = atomic_load(&show->board->applied), records = show->plan->records;

    return !show->happened->killed && records >= 2 && applied >= records / 2 &&
           applied < records && atomic_load(&show->board->hold) != HOLD_NOW;
}

static bool is_given_up(const struct show *show)
{
    if (interrupted)
        return true;
    if (clock_ms() - show->finished_ms <= STANDSTILL_MS)
        return false;
    fprintf(stderr, "The consumers have finished nothing for a minute and are given up.\n");
    return true;
}

/** How a lap ended: from a start of the first process to the end of all there are. */
enum ending { GOES_ON, ENDED_WELL, ENDED_BADLY, ENDED_FOR_SHOW };

static enum ending attend(struct show *show)
{
    bool second_started;

    reap(show, FIRST, false);
    reap(show, SECOND, false);
    second_started = attend_second(show);
    note_progress(show);
    show->look(show->plan, show->board, show->happened);

    if (show->failed[FIRST] || show->failed[SECOND] || !second_started)
        return ENDED_BADLY;
    if (is_given_up(show))
        return ENDED_BADLY;
    if (show->pids[FIRST] == 0 && show->pids[SECOND] == 0)
        return ENDED_WELL;
    if (show->pids[FIRST] == 0 || !is_time_to_kill(show))
        return GOES_ON;
    kill_and_reap(show, FIRST);
    show->failed[FIRST] = false;
    show->happened->killed = true;
    show->happened->killed_at = atomic_load(&show->board->applied);
    return ENDED_FOR_SHOW;
}

static enum ending run_lap(struct show *show)
{
    static const struct timespec INTERVAL = {0, LOOK_INTERVAL_MS * 1000000};
    enum ending ending;

    /* One that was killed just as it began to hold a key leaves this to the next. */
    if (atomic_load(&show->board->hold) == HOLD_NOW)
        atomic_store(&show->board->hold, HOLD_AHEAD);
    if (!start(show, FIRST))
        return ENDED_BADLY;
    while ((ending = attend(show)) == GOES_ON)
        nanosleep(&INTERVAL, NULL);
    if (ending == ENDED_BADLY) {
        kill_and_reap(show, FIRST);
        kill_and_reap(show, SECOND);
    }
    return ending;
}

bool supervise(const struct consumer_plan *plan, struct board *board, look_fn look,
               struct supervised *happened)
{
    uint64_t began_ms = clock_ms(), before;
    struct show show = {.plan = plan,
                        .board = board,
                        .look = look,
                        .happened = happened,
                        .finished_ms = began_ms};
    enum ending ending;
    int laps = 0;

    *happened = (struct supervised){0};
    /* A process ends when it has come to the end of what it has. Where others share the log, more
     * may have been on its way to it just then: so it is over when a new one finds nothing. */
    do {
        before = finished(&show);
        ending = run_lap(&show);
        laps += ending == ENDED_WELL;
    } while (ending == ENDED_FOR_SHOW || (ending == ENDED_WELL && plan->log->kind->is_shared &&
                                          finished(&show) != before && laps < LAPS_MAX));

    happened->ms = show.finished_ms - began_ms;
    happened->second_applied = atomic_load(&board->applied_by[SECOND]);
    if (laps == LAPS_MAX)
        fprintf(stderr, "The consumers end again and again, but never with nothing left.\n");
    return ending == ENDED_WELL && laps < LAPS_MAX;
}
