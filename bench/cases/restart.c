/* SPDX-License-Identifier: Apache-2.0 */
/* The first life leaves some keys unfinished for ever: their first records are answered later, and
 * never are. Near the end of the records, which come by a timetable, it is killed. The second life
 * handles everything that it is given. A repeat is a record that it is given although its handler
 * had returned in the first life. */
#include "cases/restart.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

const struct restart_plan restart_plan_1s = {1000, 1, false, 1000, 4096, false};
const struct restart_plan restart_plan_100ms = {1000, 1, false, 100, 4096, false};
const struct restart_plan restart_plan_contiguous = {1000, 1, false, 1000, 0, false};
const struct restart_plan restart_plan_250_1s = {1000, 250, false, 1000, 4096, false};
const struct restart_plan restart_plan_250_100ms = {1000, 250, false, 100, 4096, false};
const struct restart_plan restart_plan_4k_1s = {16000, 1000, true, 1000, 4096, false};
const struct restart_plan restart_plan_16k_1s = {16000, 1000, true, 1000, 16384, false};
const struct restart_plan restart_plan_16k_100ms = {16000, 1000, true, 100, 16384, false};
const struct restart_plan restart_plan_far = {1000, 1, false, 100, 4096, true};

#define LOAD(count) atomic_load_explicit(&(count), memory_order_relaxed)
#define ADD(count, value) atomic_fetch_add_explicit(&(count), (value), memory_order_relaxed)

void restart_init(struct restart *restart, struct bench_run *run)
{
    restart->plan = run->plan;
    restart->run = run;
    restart->records = bench_count(run, restart->plan->is_far ? RESTART_FAR : RESTART_RECORDS,
                                   RESTART_RECORDS_QUICK);
    restart->board = mmap(NULL, sizeof(*restart->board), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (restart->board == MAP_FAILED)
        bench_fail("no memory");
}

/* ---- a life ------------------------------------------------------------------------------ */

static void note_first(struct restart_board *board)
{
    int64_t none = 0;

    atomic_compare_exchange_strong_explicit(&board->first_ns, &none, bench_now_ns(),
                                            memory_order_relaxed, memory_order_relaxed);
}

/* A key is in the partition of its number modulo how many there are. */
static bool is_stuck(const struct restart *restart, const struct klane_record *record)
{
    uint64_t number = restart->key_number(record->key);

    if (restart->plan->is_narrow && number % RESTART_PARTITIONS != 0)
        return false;
    return number / (restart->plan->is_narrow ? RESTART_PARTITIONS : 1) < restart->plan->stuck;
}

static enum klane_outcome handle(const struct klane_record *record, void *context)
{
    const struct restart *restart = context;
    struct restart_board *board = restart->board;
    _Atomic bool *is_ended = &board->is_ended[record->partition][record->offset];
    klane_token_t token;

    if (restart->life == 1 && is_stuck(restart, record))
        return klane_later(record, &token);
    if (restart->life == 2 && LOAD(*is_ended))
        ADD(board->repeated, 1);
    else if (restart->life == 2)
        note_first(board);
    if (!restart->plan->is_far)
        bench_sleep_ms(RESTART_SLEEP_MS);
    if (!atomic_exchange_explicit(is_ended, true, memory_order_relaxed))
        ADD(board->ended, 1);
    return KLANE_DONE;
}

static void on_event(const struct klane_event *event, void *context)
{
    const struct restart *restart = context;
    int64_t none = 0;

    if (event->type == KLANE_EVENT_ASSIGNED && restart->life == 2)
        atomic_compare_exchange_strong_explicit(&restart->board->assigned_ns, &none,
                                                bench_now_ns(), memory_order_relaxed,
                                                memory_order_relaxed);
}

static _Noreturn void live(struct restart *restart)
{
    struct klane_runtime *runtime;
    struct drive drive;

    drive_init(&drive, RESTART_WORKERS, handle, restart);
    drive.options.commit_interval_ms = restart->plan->interval_ms;
    drive.options.stop_when_caught_up = restart->life == 2;
    drive.options.event = on_event;
    drive.options.event_context = restart;
    drive.options.map_size = restart->plan->map_size;
    runtime = restart->create(restart, &drive);
    bench_check(klane_start(runtime), "klane_start");
    drive_wait(runtime);
    drive_destroy(runtime);
    _exit(0);
}

pid_t restart_begin(struct restart *restart, uint32_t life)
{
    pid_t process = bench_fork();

    if (process > 0)
        return process;
    restart->life = life;
    live(restart);
}

int restart_wait(pid_t process)
{
    int status;

    while (waitpid(process, &status, 0) < 0)
        if (errno != EINTR)
            bench_fail("a life cannot be waited for");
    return status;
}

/* ---- the arm ----------------------------------------------------------------------------- */

void restart_kill(struct restart *restart, pid_t process)
{
    uint64_t keys = restart->plan->keys, free_keys = keys - restart->plan->stuck;
    uint64_t enough = restart->records / 20 * 19 * free_keys / keys;

    while (LOAD(restart->board->ended) < enough) {
        if (waitpid(process, NULL, WNOHANG) != 0)
            bench_fail("the first life has ended by itself");
        bench_sleep_ms(1);
    }
    kill(process, SIGKILL);
    restart_wait(process);
}

void restart_finish(struct restart *restart, struct bench_run *run)
{
    const struct restart_board *board = restart->board;

    if (restart_wait(restart_begin(restart, 2)) != 0)
        bench_fail("the second life has failed");
    bench_check_count(LOAD(board->ended), restart->records, "records handled in both lives");
    bench_figure(run, "repeats", (double)LOAD(board->repeated));
    bench_figure(run, "first", (double)(LOAD(board->first_ns) - LOAD(board->assigned_ns)) / 1e6);
    run->result->work = restart->records;
    drive_settings(run, restart->records, restart->plan->keys, RESTART_PARTITIONS,
                   RESTART_WORKERS);
    bench_setting(run, "records_per_second", restart->plan->is_far ? 0 : RESTART_RATE);
    bench_setting(run, "handler_ms", restart->plan->is_far ? 0 : RESTART_SLEEP_MS);
    bench_setting(run, "stuck_keys", (int64_t)restart->plan->stuck);
    bench_setting(run, "commit_interval_ms", restart->plan->interval_ms);
    bench_setting(run, "stuck_partitions", restart->plan->is_narrow ? 1 : RESTART_PARTITIONS);
    bench_setting(run, "map_size", restart->plan->map_size);
}
