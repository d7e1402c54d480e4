/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The supervisor has one thread and no connection to any database while it forks, so the child may
 * open what it needs. The child never outlives it.
 */
#include "supervisor.h"

#include "screen.h"

#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_INTERVAL_MS 2

/** A consumer that finishes nothing for so long is given up. */
#define STANDSTILL_MS 60000

volatile sig_atomic_t interrupted;

static pid_t consumer_start(const struct consumer_plan *plan, struct board *board)
{
    pid_t parent = getpid(), pid;

    fflush(NULL);
    pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    _exit(consumer_run(plan, board));
}

/** Whether now is the time: half is done, there is more to do, and no key is being held up. */
static bool is_time_to_kill(const struct consumer_plan *plan, struct board *board)
{
    uint64_t applied = atomic_load(&board->applied);

    return plan->records >= 2 && applied >= plan->records / 2 && applied < plan->records &&
           atomic_load(&board->hold) != HOLD_NOW;
}

/** How a consumer ended. */
enum ending { ENDED_ITSELF, ENDED_FOR_SHOW, ENDED_GIVEN_UP };

/** Why it should be killed now; ENDED_ITSELF: let it run. moved_ms: when it last got on. */
static enum ending verdict(const struct consumer_plan *plan, struct board *board,
                           uint64_t moved_ms, bool may_kill)
{
    if (interrupted)
        return ENDED_GIVEN_UP;
    if (clock_ms() - moved_ms > STANDSTILL_MS) {
        fprintf(stderr, "The consumer has finished nothing for a minute and is given up.\n");
        return ENDED_GIVEN_UP;
    }
    return may_kill && is_time_to_kill(plan, board) ? ENDED_FOR_SHOW : ENDED_ITSELF;
}

/** Stay with a consumer until it has ended; kill it half-way, unless one was killed before. */
static enum ending attend(const struct consumer_plan *plan, struct board *board, look_fn look,
                          struct supervised *happened, pid_t pid, int *status)
{
    static const struct timespec INTERVAL = {0, LOOK_INTERVAL_MS * 1000000};
    uint64_t finished = 0, moved_ms = clock_ms();
    enum ending ending = ENDED_ITSELF;

    while (ending == ENDED_ITSELF) {
        pid_t ended = waitpid(pid, status, WNOHANG);
        uint64_t now = atomic_load(&board->applied) + atomic_load(&board->repeated);

        look(plan, board, happened);
        if (ended == pid)
            return ENDED_ITSELF;
        if (now != finished)
            moved_ms = clock_ms();
        finished = now;
        ending = verdict(plan, board, moved_ms, !happened->killed);
        if (ending == ENDED_ITSELF)
            nanosleep(&INTERVAL, NULL);
    }
    kill(pid, SIGKILL);
    while (waitpid(pid, status, 0) < 0 && errno == EINTR)
        ;
    return ending;
}

bool supervise(const struct consumer_plan *plan, struct board *board, look_fn look,
               struct supervised *happened)
{
    uint64_t began_ms = clock_ms();
    enum ending ending;
    int status = 0;

    *happened = (struct supervised){0};
    do {
        pid_t pid;

        /* One that was killed just as it began to hold a key leaves this to the next. */
        if (atomic_load(&board->hold) == HOLD_NOW)
            atomic_store(&board->hold, HOLD_AHEAD);
        pid = consumer_start(plan, board);

        if (pid < 0) {
            perror("fork");
            return false;
        }
        ending = attend(plan, board, look, happened, pid, &status);
        if (ending == ENDED_FOR_SHOW) {
            happened->killed = true;
            happened->killed_at = atomic_load(&board->applied);
        }
    } while (ending == ENDED_FOR_SHOW);

    happened->ms = clock_ms() - began_ms;
    if (ending == ENDED_ITSELF && WIFSIGNALED(status))
        fprintf(stderr, "The consumer was ended by signal %d.\n", WTERMSIG(status));
    return ending == ENDED_ITSELF && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
