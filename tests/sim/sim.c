/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator's program: runs seeds, checks their histories, and insists that every rare branch
 * was reached.
 *
 *   KLANE_SEED=n     run this seed only
 *   KLANE_TRACE=1    print its history
 *   KLANE_ROUNDS=n   run so many seeds
 *   KLANE_SOAK=1     run as many as a long run wants, beginning with a fresh one */
#include "sim/checkers.h"
#include "sim/world.h"

#include "base/assert.h"
#include "lib/check.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Sanitizers take several times as long. */
#ifdef __SANITIZE_ADDRESS__
#define SEEDS 1500
#else
#define SEEDS 100000
#endif
#define SEEDS_FOR_ALL_MARKS 20000
#define SEEDS_SOAK 1000000
#define EVENTS_MAX ((size_t)4000000)
/* Beside idle workers; a record may have to wait until all others have had their turn, also those
 * of which only the place is known. */
#define START_WITHIN_MS 150000
#define TURN_MS 500
#define STOP_SLACK_MS 1000
#define SEED_SECONDS 60

static const char *const fault_names[FAULTS] = {
    [FAULT_RETRY] = "handler retries",
    [FAULT_STUCK] = "handler or completion is slow",
    [FAULT_DUPLICATE] = "completion comes again",
    [FAULT_NO_MEMORY] = "record refused for want of memory",
    [FAULT_COMMIT_FAILED] = "commit fails",
    [FAULT_COMMIT_UNHEARD] = "commit stored, answered as failed",
    [FAULT_COMMIT_LATE] = "commit answered late",
    [FAULT_REVOKED] = "partition revoked",
    [FAULT_LOST] = "partition lost",
    [FAULT_LOST_UNTOLD] = "partition lost, told later",
    [FAULT_HELD] = "lane or everything held by hand",
    [FAULT_CRASH] = "process crashes",
    [FAULT_STOP] = "process stops",
    [FAULT_RETENTION] = "the log begins later",
    [FAULT_COMPACTION] = "records go from the middle of the log",
    [FAULT_TRUNCATION] = "records go from the end of the log",
};

/* Marks that a run cannot reach, by how they begin, and why. */
static const struct {
    const char *begin;
    const char *reason;
} out_of_reach[] = {
    {"idle:", "no thread sleeps in a simulation"},
    {"engine:", "the engine is not simulated"},
};

static struct world world;
static struct history history;
static uint64_t seed;
static bool trace;

struct totals {
    uint64_t seeds;
    uint64_t records;
    uint64_t events;
    uint64_t steps;
    uint64_t simulated_ms;
    uint64_t faults[FAULTS];
};

/* ---- failures ---------------------------------------------------------------------------- */

static void print_failure(const char *what)
{
    if (trace)
        history_print(stderr, &history);
    fprintf(stderr, "seed %" PRIu64 " failed at %" PRId64 "ms: %s\n", seed, world.now_ms, what);
    fprintf(stderr, "run it again: KLANE_SEED=%" PRIu64 " KLANE_TRACE=1 %s\n", seed,
            program_invocation_name);
}

static void on_assertion(const char *condition, const char *file, int line)
{
    char text[300];

    snprintf(text, sizeof(text), "assertion failed: %s (%s:%d)", condition, file, line);
    print_failure(text);
    exit(1);
}

/* Only what is safe in a signal handler. */
static void on_signal(int number)
{
    char text[] = "signal 00 in seed                     ; run it again with KLANE_SEED\n";
    uint64_t rest = seed;

    text[7] = (char)('0' + number / 10);
    text[8] = (char)('0' + number % 10);
    for (size_t at = 37; rest > 0; rest /= 10)
        text[at--] = (char)('0' + rest % 10);
    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
        _exit(2);
    _exit(1);
}

/* ---- one seed ---------------------------------------------------------------------------- */

static bool run_seed(struct totals *totals)
{
    struct check_rules rules = {
        .stop_slack_ms = STOP_SLACK_MS,
    };
    struct check_failure failure;
    char text[300];

    alarm(SEED_SECONDS);
    rules.drained = world_run(&world, &history, seed);
    rules.repeats = !world.plan.quiet || world.plan.core.fingerprints_alike != 0;
    rules.clashes = world.plan.core.fingerprints_alike != 0;
    rules.exact_maps = !world.plan.may[FAULT_NO_MEMORY] && world.plan.core.fingerprints_alike == 0;
    rules.true_attempts = world.plan.core.calm_ms == 0;
    rules.stays = !world.plan.core.parks;
    rules.start_within_ms =
        START_WITHIN_MS + TURN_MS * (int64_t)world.plan.core.records_max;
    /* What the history says of a run that got stuck is more than that it did. */
    if (!check_history(&history, &rules, &failure)) {
        snprintf(text, sizeof(text), "C%u: %s (event %zu)", failure.checker, failure.text,
                 failure.event);
        print_failure(text);
        if (failure.event < history_count(&history))
            history_print_event(stderr, &history, failure.event);
        return false;
    }
    if (!rules.drained) {
        print_failure(world.failure);
        return false;
    }
    totals->seeds++;
    totals->steps += world.steps;
    totals->simulated_ms += (uint64_t)world.now_ms;
    totals->events += history_count(&history);
    totals->records += world.finished;
    for (int i = 0; i < FAULTS; i++)
        totals->faults[i] += world.faults[i];
    if (trace)
        history_print(stdout, &history);
    return true;
}

/* ---- the summary ------------------------------------------------------------------------- */

static const char *excuse(const char *name)
{
    for (size_t i = 0; i < sizeof(out_of_reach) / sizeof(out_of_reach[0]); i++)
        if (strncmp(out_of_reach[i].begin, name, strlen(out_of_reach[i].begin)) == 0)
            return out_of_reach[i].reason;
    return NULL;
}

static bool print_marks(void)
{
    bool all = true;

    puts("marks:");
    for (struct klane_mark *mark = __start_klane_marks; mark < __stop_klane_marks; mark++) {
        const char *reason = excuse(mark->name);

        printf("  %12" PRIu64 "  %s", check_marked(mark->name), mark->name);
        if (reason != NULL)
            printf(" (%s)", reason);
        putchar('\n');
        if (check_marked(mark->name) == 0 && reason == NULL) {
            printf("failed: never reached: %s\n", mark->name);
            all = false;
        }
    }
    return all;
}

static void print_totals(const struct totals *totals, double seconds)
{
    uint64_t faults = 0;

    for (int i = 0; i < FAULTS; i++)
        faults += totals->faults[i];
    printf("%" PRIu64 " seeds, %" PRIu64 " records, %" PRIu64 " faults, %" PRIu64
           " steps, %" PRIu64 " events checked\n%.1f simulated hours, %.1f s of processor time"
           " (%.2f ms a seed)\n",
           totals->seeds, totals->records, faults, totals->steps, totals->events,
           (double)totals->simulated_ms / 3.6e6, seconds,
           seconds * 1e3 / (double)(totals->seeds > 0 ? totals->seeds : 1));
    puts("faults:");
    for (int i = 0; i < FAULTS; i++)
        printf("  %12" PRIu64 "  %s\n", totals->faults[i], fault_names[i]);
}

static double now_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM};
    bool one = getenv("KLANE_SEED") != NULL, soak = getenv("KLANE_SOAK") != NULL;
    uint64_t rounds = one ? 1 : check_rounds(SEEDS, SEEDS_SOAK);
    struct totals totals = {0};
    double begin = now_seconds();

    trace = getenv("KLANE_TRACE") != NULL;
    klane_assert_hook = on_assertion;
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        signal(signals[i], on_signal);
    if (!history_init(&history, EVENTS_MAX))
        return 2;
    seed = one || soak ? check_seed() : 1;
    for (; totals.seeds < rounds; seed++)
        if (!run_seed(&totals))
            return 1;
    print_totals(&totals, now_seconds() - begin);
    history_deinit(&history);
    if (one || rounds < SEEDS_FOR_ALL_MARKS)
        return 0;
    return print_marks() ? 0 : 1;
}
