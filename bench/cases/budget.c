/* SPDX-License-Identifier: Apache-2.0 */
#include "cases/budget.h"
#include "lib/resident.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    RECORDS = 1800, /* 1.8 GB */
    RECORDS_QUICK = 100,
    KEYS = 1000,
    WORKERS = 16,
    RECORDS_MAX = 4096,
    SIZE_MIN = 1024, /* bytes of a value; each doubling is as likely */
    DOUBLINGS = 13,
    LONG_EVERY = 200,
    LONG_EVERY_QUICK = 20,
    LONG_MS = 2000, /* more than the others */
    LONG_MS_QUICK = 100,
    LINE_BYTES = 64,
    VALUE_BYTE = 1
};

_Static_assert(BUDGET_VALUE_MAX == SIZE_MIN << DOUBLINGS, "the sizes double up to the largest");

const struct budget_plan budget_plan_short = {2};
const struct budget_plan budget_plan_long = {2400};

/* Fixed, but for what stands behind the mutex. */
struct flow {
    uint64_t sleep_ms;
    uint64_t records;
    uint64_t long_every;
    uint64_t long_ms;
    sem_t is_assigned;
    sem_t is_done;
    pthread_mutex_t mutex;
    uint64_t handled;
    int64_t last_ns[BUDGET_PARTITIONS]; /* when its last was handled; at first, when the first of
                                           all was */
    int64_t wait_ns; /* the longest time in which a partition had none handled */
    uint64_t longs;  /* handlers that slept long */
    uint64_t bytes;  /* of values */
};

/* ---- the other process ------------------------------------------------------------------- */

size_t budget_next(uint64_t *state, uint64_t *number)
{
    uint64_t least;

    *number = drive_random(state) % KEYS;
    least = (uint64_t)SIZE_MIN << drive_random(state) % DOUBLINGS;
    return (size_t)(least + drive_random(state) % least);
}

static _Noreturn void append_all(const struct budget_log *log, void *own, uint64_t records,
                                 int arm)
{
    unsigned char *value = malloc(BUDGET_VALUE_MAX);
    char byte = 0;

    if (value == NULL)
        bench_fail("no memory");
    memset(value, VALUE_BYTE, BUDGET_VALUE_MAX);
    log->make(own);
    if (write(arm, &byte, 1) != 1 || read(arm, &byte, 1) != 1)
        _exit(1);
    log->append(own, records, value);
    _exit(0);
}

/* Makes the log, and waits. Returns by what it hears; before that the arm has nothing of the log,
 * which would not outlive the fork. */
static int feeder_begin(const struct budget_log *log, void *own, uint64_t records, pid_t *process)
{
    int ends[2];
    char byte;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0 || (*process = fork()) < 0)
        bench_fail("no process");
    if (*process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[1]);
        append_all(log, own, records, ends[0]);
    }
    close(ends[0]);
    if (read(ends[1], &byte, 1) != 1)
        bench_fail("the log was not made");
    return ends[1];
}

static void feeder_finish(int go, pid_t process)
{
    int status;

    if (write(go, "g", 1) != 1 || waitpid(process, &status, 0) != process || status != 0)
        bench_fail("the records were not appended");
    close(go);
}

/* ---- the handler --------------------------------------------------------------------------- */

/* Each line of it, so that all of it is in the processor's cache once. */
static void look_at(const struct klane_record *record)
{
    const unsigned char *bytes = record->value;

    for (size_t i = 0; i < record->value_size; i += LINE_BYTES)
        if (bytes[i] != VALUE_BYTE)
            bench_fail("a value is not what was appended");
}

static void note_first(struct flow *flow)
{
    pthread_mutex_lock(&flow->mutex);
    for (int i = 0; i < BUDGET_PARTITIONS && flow->last_ns[BUDGET_PARTITIONS - 1] == 0; i++)
        flow->last_ns[i] = bench_now_ns();
    pthread_mutex_unlock(&flow->mutex);
}

static void note_end(struct flow *flow, const struct klane_record *record, bool is_long)
{
    int64_t *last_ns = &flow->last_ns[record->partition], now_ns = bench_now_ns();

    pthread_mutex_lock(&flow->mutex);
    if (now_ns - *last_ns > flow->wait_ns)
        flow->wait_ns = now_ns - *last_ns;
    *last_ns = now_ns;
    flow->longs += is_long;
    flow->bytes += record->value_size;
    if (++flow->handled == flow->records)
        sem_post(&flow->is_done);
    pthread_mutex_unlock(&flow->mutex);
}

/* Which of them sleep long follows from their sizes, so that it is the same in every run. */
static enum klane_outcome handle(const struct klane_record *record, void *context)
{
    struct flow *flow = context;
    bool is_long = record->value_size % flow->long_every == 0;

    note_first(flow);
    bench_sleep_ms(flow->sleep_ms + (is_long ? flow->long_ms : 0));
    look_at(record);
    note_end(flow, record, is_long);
    return KLANE_DONE;
}

/* ---- the arm ------------------------------------------------------------------------------- */

static void flow_init(struct flow *flow, const struct bench_run *run)
{
    const struct budget_plan *plan = run->plan;

    *flow = (struct flow){
        .sleep_ms = bench_count(run, plan->sleep_ms, budget_plan_short.sleep_ms),
        .records = bench_count(run, RECORDS, RECORDS_QUICK),
        .long_every = bench_count(run, LONG_EVERY, LONG_EVERY_QUICK),
        .long_ms = bench_count(run, LONG_MS, LONG_MS_QUICK),
    };
    sem_init(&flow->is_assigned, 0, 0);
    sem_init(&flow->is_done, 0, 0);
    pthread_mutex_init(&flow->mutex, NULL);
}

static struct klane_runtime *create(struct flow *flow, const struct budget_log *log, void *own)
{
    struct drive drive;

    drive_init(&drive, WORKERS, handle, flow);
    drive.options.budget_bytes = BUDGET_BYTES;
    drive.options.records_max = RECORDS_MAX;
    drive.options.event = drive_post_assigned;
    drive.options.event_context = &flow->is_assigned;
    return log->create(own, &drive);
}

static void report(struct bench_run *run, const struct flow *flow, double over)
{
    run->result->work = flow->records;
    bench_figure(run, "rss-over", over);
    bench_figure(run, "wait", (double)flow->wait_ns * 1e-9);
    bench_setting(run, "records", (int64_t)flow->records);
    bench_setting(run, "keys", KEYS);
    bench_setting(run, "partitions", BUDGET_PARTITIONS);
    bench_setting(run, "workers", WORKERS);
    bench_setting(run, "value_bytes", (int64_t)flow->bytes);
    bench_setting(run, "budget_bytes", BUDGET_BYTES);
    bench_setting(run, "records_max", RECORDS_MAX);
    bench_setting(run, "handler_ms", (int64_t)flow->sleep_ms);
    bench_setting(run, "long_handlers", (int64_t)flow->longs);
    bench_setting(run, "long_handler_ms", (int64_t)(flow->sleep_ms + flow->long_ms));
}

void budget_run(struct bench_run *run, const struct budget_log *log, void *own)
{
    struct resident_watch watch;
    struct klane_runtime *runtime;
    uint64_t empty;
    struct flow flow;
    pid_t feeder;
    int go;

    flow_init(&flow, run);
    go = feeder_begin(log, own, flow.records, &feeder);
    runtime = create(&flow, log, own);
    bench_check(klane_start(runtime), "klane_start");
    for (int i = 0; i < BUDGET_PARTITIONS; i++)
        bench_wait(&flow.is_assigned);
    empty = resident_bytes();
    resident_watch_begin(&watch);
    feeder_finish(go, feeder);
    bench_wait(&flow.is_done);
    report(run, &flow, (double)resident_watch_end(&watch) - (double)empty);
    log->settings(run);
    klane_stop(runtime);
    drive_wait(runtime);
    bench_check_count(drive_stats(runtime).done, flow.records, "records done");
    drive_destroy(runtime);
}
