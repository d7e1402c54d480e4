/* SPDX-License-Identifier: Apache-2.0 */
/* Large records under a budget of bytes: what of it is resident, and whether a partition starves.
 *
 * The embedded log is empty when it is assigned, and resident memory is measured; then another
 * process appends all records in one transaction, and from then on the most is noted. */
#include "cases/cases.h"
#include "lib/resident.h"
#include "lib/scratch_log.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    RECORDS = 1800, /* 1.8 GB */
    RECORDS_QUICK = 100,
    KEYS = 1000,
    PARTITIONS = 8,
    WORKERS = 16,
    SIZE_MIN = 1024, /* bytes of a value; each doubling is as likely */
    DOUBLINGS = 13,
    SLEEP_MS = 2,
    LONG_EVERY = 200,
    LONG_EVERY_QUICK = 20,
    LONG_MS = 2000,
    LONG_MS_QUICK = 100,
    LINE_BYTES = 64,
    VALUE_BYTE = 1
};

#define BUDGET (UINT64_C(64) << 20)

/* Fixed, but for what stands behind the mutex. */
struct flow {
    uint64_t records;
    uint64_t long_every;
    uint64_t long_ms;
    sem_t is_assigned;
    sem_t is_done;
    pthread_mutex_t mutex;
    uint64_t handled;
    int64_t
        last_ns[PARTITIONS]; /* when its last was handled; at first, when the first of all was */
    int64_t wait_ns;         /* the longest time in which a partition had none handled */
    uint64_t longs;          /* handlers that slept long */
    uint64_t bytes;          /* of values */
};

/* ---- the other process ------------------------------------------------------------------- */

static size_t value_size(uint64_t *state)
{
    uint64_t least = (uint64_t)SIZE_MIN << drive_random(state) % DOUBLINGS;

    return (size_t)(least + drive_random(state) % least);
}

/* All values are parts of the same bytes, so that this takes no memory of their own. */
static void append_all(const char *path, uint64_t records)
{
    struct klane_sqlite_record *batch = calloc(records, sizeof(*batch));
    unsigned char(*keys)[DRIVE_KEY_BYTES] = calloc(records, sizeof(*keys));
    unsigned char *value = malloc((size_t)SIZE_MIN << DOUBLINGS);
    struct klane_sqlite *log = scratch_log_open(path, PARTITIONS);
    uint64_t state = 1;

    if (batch == NULL || keys == NULL || value == NULL)
        bench_fail("no memory");
    memset(value, VALUE_BYTE, (size_t)SIZE_MIN << DOUBLINGS);
    for (uint64_t i = 0; i < records; i++) {
        uint64_t number = drive_random(&state) % KEYS;

        drive_key(keys[i], number);
        batch[i] = (struct klane_sqlite_record){
            .topic = DRIVE_TOPIC,
            .key = keys[i],
            .value = value,
            .key_size = DRIVE_KEY_BYTES,
            .value_size = value_size(&state),
            .timestamp_ms = 1,
            .partition = (int32_t)(number % PARTITIONS),
        };
    }
    if (klane_sqlite_append_batch(log, batch, records, NULL) != KLANE_OK)
        bench_fail("klane_sqlite_append_batch: %s", klane_sqlite_errmsg(log));
    klane_sqlite_close(log);
}

/* Begins when it is told to by a byte in the pipe; returns the end to write it to. */
static int feeder_begin(const char *path, uint64_t records, pid_t *process)
{
    int ends[2];
    char byte;

    if (pipe(ends) != 0 || (*process = fork()) < 0)
        bench_fail("no process");
    if (*process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[1]);
        if (read(ends[0], &byte, 1) != 1)
            _exit(1);
        append_all(path, records);
        _exit(0);
    }
    close(ends[0]);
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
    for (int i = 0; i < PARTITIONS && flow->last_ns[PARTITIONS - 1] == 0; i++)
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
    bench_sleep_ms(is_long ? flow->long_ms : SLEEP_MS);
    look_at(record);
    note_end(flow, record, is_long);
    return KLANE_DONE;
}

/* ---- the arm ------------------------------------------------------------------------------- */

static void flow_init(struct flow *flow, const struct bench_run *run)
{
    *flow = (struct flow){
        .records = bench_count(run, RECORDS, RECORDS_QUICK),
        .long_every = bench_count(run, LONG_EVERY, LONG_EVERY_QUICK),
        .long_ms = bench_count(run, LONG_MS, LONG_MS_QUICK),
    };
    sem_init(&flow->is_assigned, 0, 0);
    sem_init(&flow->is_done, 0, 0);
    pthread_mutex_init(&flow->mutex, NULL);
}

static struct klane_runtime *create(struct flow *flow, const char *path)
{
    struct drive drive;

    drive_init(&drive, WORKERS, handle, flow);
    drive.options.budget_bytes = BUDGET;
    drive.options.event = drive_post_assigned;
    drive.options.event_context = &flow->is_assigned;
    return drive_create(&drive, scratch_source(path, "bench"));
}

static void report(struct bench_run *run, const struct flow *flow, double over)
{
    run->result->work = flow->records;
    bench_figure(run, "rss-over", over);
    bench_figure(run, "wait", (double)flow->wait_ns * 1e-9);
    bench_setting(run, "records", (int64_t)flow->records);
    bench_setting(run, "keys", KEYS);
    bench_setting(run, "partitions", PARTITIONS);
    bench_setting(run, "workers", WORKERS);
    bench_setting(run, "value_bytes", (int64_t)flow->bytes);
    bench_setting(run, "budget_bytes", BUDGET);
    bench_setting(run, "handler_ms", SLEEP_MS);
    bench_setting(run, "long_handlers", (int64_t)flow->longs);
    bench_setting(run, "long_handler_ms", (int64_t)flow->long_ms);
    scratch_settings(run);
}

static void budget_run(struct bench_run *run)
{
    char path[SCRATCH_PATH_MAX];
    struct resident_watch watch;
    struct klane_runtime *runtime;
    uint64_t empty;
    struct flow flow;
    pid_t feeder;
    int go;

    flow_init(&flow, run);
    scratch_path(run, "budget.klane", path);
    scratch_remove(path);
    klane_sqlite_close(scratch_log_open(path, PARTITIONS));
    /* Nobody has the log open when the process begins: it could not use it. */
    go = feeder_begin(path, flow.records, &feeder);
    runtime = create(&flow, path);
    bench_check(klane_start(runtime), "klane_start");
    for (int i = 0; i < PARTITIONS; i++)
        bench_wait(&flow.is_assigned);
    empty = resident_bytes();
    resident_watch_begin(&watch);
    feeder_finish(go, feeder);
    bench_wait(&flow.is_done);
    report(run, &flow, (double)resident_watch_end(&watch) - (double)empty);
    klane_stop(runtime);
    drive_wait(runtime);
    bench_check_count(drive_stats(runtime).done, flow.records, "records done");
    drive_destroy(runtime);
}

const struct bench_case budget_cases[] = {
    {
        .name = "budget",
        .what = "Records of 1 KiB to 8 MiB under a budget of 64 MiB, slow handlers: resident "
                "memory beyond that of an empty log, and the longest wait of a partition.",
        .arms = {{.name = "klane", .run = budget_run}},
        .targets = {{"klane", "rss-over", 80 * 1048576.0}, {"klane", "wait", 10}},
    },
    {.name = NULL},
};
