/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The history of a git repository as an event log. One process writes it into a log, the embedded
 * one or Kafka; another folds it, in parallel and in order for each path, into a table of what
 * stands where. On the way one path is held up and the process is killed; on Kafka a second one
 * comes and goes. In the end the table must be the tree that git itself has: nothing lost, nothing
 * out of order, nothing taken twice.
 */
#include "arguments.h"
#include "feed.h"
#include "fold.h"
#include "interrupt.h"
#include "scratch.h"
#include "screen.h"
#include "supervisor.h"

#include <stdlib.h>
#include <sys/mman.h>

#define WORKERS 8

/** Handlers are slowed down so that the whole takes about so long, but none by more than this.
 * Moving partitions between processes takes its time. */
#define SHOW_US 6000000
#define SHOW_SHARED_US 10000000
#define PACE_MAX_US 200000
/** A shorter sleep is not worth one. */
#define PACE_MIN_US 20

/** Spread the show over all handlers; the one of the busiest key must not take longer either. */
static uint32_t choose_pace(const struct log *log, const struct feed_totals *fed)
{
    uint64_t show_us = log->kind->is_shared ? SHOW_SHARED_US : SHOW_US;
    uint64_t pace_us = PACE_MAX_US;

    if (fed->records * PACE_MAX_US > show_us * WORKERS)
        pace_us = show_us * WORKERS / fed->records;
    if (fed->busiest * pace_us > show_us / 2)
        pace_us = show_us / 2 / fed->busiest;
    return pace_us < PACE_MIN_US ? 0 : (uint32_t)pace_us;
}

static bool show_feeding(uint64_t records)
{
    screen_bar("log", records, 0);
    return !interrupted;
}

static bool feed_and_tell(struct log *log, const struct scratch *scratch,
                          struct repository *repository, struct feed_totals *fed)
{
    char commits[GROUPED_SIZE], records[GROUPED_SIZE], keys[GROUPED_SIZE];
    uint64_t began_ms = clock_ms();

    screen_line("repository", "%s at %.12s", repository->path, repository->head);
    if (repository->shallow)
        screen_line("", "a shallow clone: what its oldest commit has counts as added there");
    if (log->kind->is_shared)
        screen_line("Kafka", "topic %s at %s", log->topic, log->at);
    if (!feed(log, scratch->commits, repository, show_feeding, fed))
        return false;
    screen_line("log",
                "%s records of %s keys (changes of paths, from %s commits), written in %.1f s",
                grouped(fed->records, records), grouped(fed->keys, keys),
                grouped(fed->commits, commits), (double)(clock_ms() - began_ms) / 1000);
    return true;
}

static void tell_hold(struct board *board)
{
    char others[GROUPED_SIZE];

    screen_line("stuck", "%s was held up for %.1f s; meanwhile", board->hold_key,
                (double)atomic_load(&board->hold_ms) / 1000);
    if (atomic_load(&board->hold_others) > 0)
        screen_line("", "%s records of other keys were finished, none of its own",
                    grouped(atomic_load(&board->hold_others), others));
    else
        screen_line("", "nothing else was done: the history is too small to show more");
}

static void tell_second(struct board *board, const struct supervised *happened)
{
    static bool told_coming, told_going;
    uint64_t own = atomic_load(&board->applied_by[SECOND]);
    char number[GROUPED_SIZE];

    if (!told_coming && own > 0) {
        told_coming = true;
        screen_line("second",
                    "another process joined after %s records; %d of %d partitions moved to it",
                    grouped(happened->second_at, number), atomic_load(&board->partitions[SECOND]),
                    LOG_PARTITIONS);
    }
    if (told_coming && !told_going && happened->second == SECOND_GONE &&
        atomic_load(&board->partitions[FIRST]) == LOG_PARTITIONS) {
        told_going = true;
        screen_line("", "it left after %s records of its own; all partitions moved back",
                    grouped(own, number));
    }
}

/** Tell what has come to pass since the last look, each once, and move the bar. */
static void look(const struct consumer_plan *plan, struct board *board,
                 const struct supervised *happened)
{
    static bool told_hold, told_kill;
    char at[GROUPED_SIZE];

    if (!told_hold && atomic_load(&board->hold) == HOLD_OVER) {
        told_hold = true;
        tell_hold(board);
    }
    if (!told_kill && happened->killed) {
        told_kill = true;
        screen_line("kill -9", "after %s records; a new process takes over",
                    grouped(happened->killed_at, at));
    }
    tell_second(board, happened);
    screen_bar(atomic_load(&board->hold) == HOLD_NOW ? "one is stuck" : "handled",
               atomic_load(&board->applied), plan->records);
}

/** Tell what was not shown, and what came again. */
static void tell_rest(const struct log *log, struct board *board,
                      const struct supervised *happened)
{
    static const char TOO_SMALL[] = "not shown: the history is so small that it was over before";
    char number[GROUPED_SIZE];

    if (atomic_load(&board->hold) == HOLD_AHEAD)
        screen_line("stuck", "not shown: there is no record");
    if (!happened->killed)
        screen_line("kill -9", "%s", TOO_SMALL);
    if (log->kind->is_shared && happened->second_applied == 0)
        screen_line("second", "%s", TOO_SMALL);
    /* What was finished, but not yet committed when its partition changed hands. */
    if (happened->killed)
        screen_line("repeated", "%s records came again after %s and were known by their offsets",
                    grouped(atomic_load(&board->repeated), number),
                    happened->second == SECOND_AHEAD ? "it" : "all that");
}

/** Compare the table with the tree; what differs is printed. */
static bool table_compare(const struct scratch *scratch, struct repository *repository,
                          struct fold_totals *totals)
{
    char *const arguments[] = {"ls-tree", "-r", "-z", "--full-tree", repository->head, NULL};
    char why[256] = "";
    struct fold *fold = fold_open(scratch->table, why, sizeof why);
    struct git git;
    bool compared = false;

    if (fold == NULL)
        fprintf(stderr, "%s\n", why);
    else if (git_open(&git, repository->path, arguments, -1, false)) {
        screen_clear();
        compared = fold_compare(fold, git.out, stdout, totals);
        compared = git_close(&git) && compared;
    }
    fold_close(fold);
    return compared;
}

/** Tell what came of it all. Returns whether it is what it must be. */
static bool tell_verdict(const struct feed_totals *fed, const struct fold_totals *totals,
                         const struct supervised *happened)
{
    uint64_t ms = happened->ms;
    char changes[GROUPED_SIZE], number[GROUPED_SIZE];

    screen_line("handled", "%s records in %.1f s, %s a second", grouped(totals->changes, changes),
                (double)ms / 1000, grouped(totals->changes * 1000 / (ms > 0 ? ms : 1), number));
    if (totals->differences > 0) {
        screen_line("FAILED", "%s paths differ between the table and git's tree",
                    grouped(totals->differences, number));
        return false;
    }
    if (totals->changes != fed->records || totals->keys != fed->keys) {
        screen_line("FAILED", "%s records took effect instead of %s", changes,
                    grouped(fed->records, number));
        return false;
    }
    screen_line("OK", "the table is git's tree, all %s paths; each record took effect once",
                grouped(totals->paths, number));
    if (happened->second_applied > 0)
        screen_line("",
                    "while partitions moved nothing was lost, and the order of each path kept");
    return true;
}

static bool consume_and_verify(const struct log *log, const struct scratch *scratch,
                               struct repository *repository, const struct feed_totals *fed,
                               uint32_t pace_us)
{
    struct consumer_plan plan = {.log = log,
                                 .table_file = scratch->table,
                                 .workers = WORKERS,
                                 .pace_us = pace_us,
                                 .records = fed->records};
    struct board *board =
        mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct supervised happened;
    struct fold_totals totals;
    bool consumed;

    if (board == MAP_FAILED) {
        perror("mmap");
        return false;
    }
    *board = (struct board){.failed = ATOMIC_FLAG_INIT};
    screen_line("consumer", "%d workers, %d partitions; a handler takes %u us on purpose",
                WORKERS, LOG_PARTITIONS, pace_us);
    consumed = supervise(&plan, board, look, &happened);
    if (consumed)
        tell_rest(log, board, &happened);
    else if (board->failure[0] != '\0')
        screen_line("FAILED", "%s", board->failure);
    munmap(board, sizeof *board);

    if (!consumed)
        return false;
    if (table_compare(scratch, repository, &totals))
        return tell_verdict(fed, &totals, &happened);
    screen_line("FAILED", "the table and the tree could not be compared");
    return false;
}

/** The whole show, on this log. */
static bool show(struct log *log, const struct scratch *scratch, struct repository *repository,
                 int64_t pace_us)
{
    struct feed_totals fed = {0};

    printf("klane %s: a repository's history, folded in parallel, in order for each path\n",
           klane_version());
    return feed_and_tell(log, scratch, repository, &fed) &&
           consume_and_verify(log, scratch, repository, &fed,
                              pace_us >= 0 ? (uint32_t)pace_us : choose_pace(log, &fed));
}

int main(int argc, char **argv)
{
    struct repository repository;
    struct arguments arguments;
    struct scratch scratch;
    struct log log;
    bool well;

    if (!arguments_parse(argc, argv, &arguments))
        return 2;
    interrupt_catch();
    /* A reader that goes away must not keep this program from clearing up. */
    signal(SIGPIPE, SIG_IGN);
    if (!repository_open(&repository, arguments.repository)) {
        fprintf(stderr, "Any git repository will do: quickstart REPOSITORY\n");
        return EXIT_FAILURE;
    }
    if (arguments.check)
        return EXIT_SUCCESS;
    if (!scratch_create(&scratch))
        return EXIT_FAILURE;

    log_sqlite(&log, scratch.log);
#ifdef QUICKSTART_KAFKA
    if (arguments.brokers != NULL)
        log_kafka(&log, arguments.brokers);
#endif
    well = show(&log, &scratch, &repository, arguments.pace_us);
    log.kind->remove(&log);
    scratch_remove(&scratch);
    screen_clear();
    if (interrupted)
        return 128 + interrupted;
    return well && !ferror(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}
