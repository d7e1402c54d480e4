/* SPDX-License-Identifier: Apache-2.0 */
/* Later: handlers that answer after 100 ms, by two threads of the program, a hundred thousand of
 * them at a time.
 *
 * Each of the two has its own queue, in the order of the times when its records are due, as all
 * wait equally long; it looks each half of a millisecond. The handler waits while as many are in
 * flight as there may be. Arm bare is the same two threads with the same queues, where what is due
 * is put in again at once: so each finishes at most half of those in flight each 100 ms. The clock
 * runs from when a first part is finished, and stops while there is more to do. */
#include "cases/cases.h"
#include "lib/drive.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    IN_FLIGHT = 100000,
    KEYS = 1000000,
    THREADS = 2,
    PLACES = 1 << 17, /* of a queue: room for all in flight */
    LATER_MS = 100,
    LOOK_US = 500,
    RECORDS_MAX = 2 * IN_FLIGHT /* with what waits behind others of its key */
};

#define RECORDS UINT64_C(3000000)
#define RECORDS_QUICK UINT64_C(400000)
#define AROUND UINT64_C(500000) /* before the clock starts, and when it has stopped */

struct due {
    int64_t time_ns;
    klane_token_t token;
};

struct later;

/* Of one thread. */
struct queue {
    struct later *later;
    pthread_t thread;
    uint64_t first;       /* the thread's */
    _Atomic uint64_t end; /* release: the places before are written; the one who puts in */
    struct due places[PLACES];
};

struct later {
    struct klane_runtime *runtime; /* NULL: bare */
    uint64_t records;
    struct bench_meter meter;
    sem_t permits; /* to be in flight */
    sem_t is_warm;
    sem_t is_done;
    uint64_t handled; /* the one worker's */
    _Atomic bool is_over;
    _Alignas(64) _Atomic uint64_t finished; /* relaxed: a count that orders nothing */
    struct queue queues[THREADS];
};

static void put(struct queue *queue, klane_token_t token)
{
    uint64_t end = atomic_load_explicit(&queue->end, memory_order_relaxed);

    queue->places[end % PLACES] =
        (struct due){bench_now_ns() + LATER_MS * INT64_C(1000000), token};
    atomic_store_explicit(&queue->end, end + 1, memory_order_release);
}

static enum klane_outcome handle_later(const struct klane_record *record, void *context)
{
    struct later *later = context;
    enum klane_outcome outcome;
    klane_token_t token;

    bench_wait(&later->permits);
    outcome = klane_later(record, &token);
    put(&later->queues[later->handled++ % THREADS], token);
    return outcome;
}

static void finish(struct queue *queue, klane_token_t token)
{
    struct later *later = queue->later;

    if (later->runtime == NULL) {
        put(queue, 0);
        return;
    }
    bench_check(klane_finish(later->runtime, token, KLANE_DONE, -1, NULL), "klane_finish");
    sem_post(&later->permits);
}

static void note_finished(struct later *later, uint64_t count)
{
    uint64_t before = atomic_fetch_add_explicit(&later->finished, count, memory_order_relaxed);
    uint64_t after = before + count;

    if (before < AROUND && after >= AROUND)
        sem_post(&later->is_warm);
    if (before < AROUND + later->records && after >= AROUND + later->records)
        sem_post(&later->is_done);
}

static void *queue_main(void *argument)
{
    const struct timespec pause = {0, LOOK_US * 1000};
    struct queue *queue = argument;

    /* Relaxed: looked at until it is set; joining orders the rest. */
    while (!atomic_load_explicit(&queue->later->is_over, memory_order_relaxed)) {
        uint64_t end = atomic_load_explicit(&queue->end, memory_order_acquire);
        uint64_t first = queue->first;
        int64_t now_ns = bench_now_ns();

        for (; queue->first < end; queue->first++) {
            const struct due *due = &queue->places[queue->first % PLACES];

            if (due->time_ns > now_ns)
                break;
            finish(queue, due->token);
        }
        note_finished(queue->later, queue->first - first);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

/* ---- arms ------------------------------------------------------------------------------ */

static struct later *later_create(const struct bench_run *run)
{
    static struct later later;

    later.records = bench_count(run, RECORDS, RECORDS_QUICK);
    sem_init(&later.permits, 0, IN_FLIGHT);
    sem_init(&later.is_warm, 0, 0);
    sem_init(&later.is_done, 0, 0);
    return &later;
}

static void queues_begin(struct later *later)
{
    for (int i = 0; i < THREADS; i++) {
        later->queues[i].later = later;
        if (pthread_create(&later->queues[i].thread, NULL, queue_main, &later->queues[i]) != 0)
            bench_fail("no thread");
    }
}

static void queues_end(struct later *later)
{
    atomic_store_explicit(&later->is_over, true, memory_order_relaxed);
    for (int i = 0; i < THREADS; i++)
        pthread_join(later->queues[i].thread, NULL);
}

static void measure(struct later *later)
{
    bench_wait(&later->is_warm);
    bench_meter_start(&later->meter);
    bench_wait(&later->is_done);
    bench_meter_stop(&later->meter);
}

static void report(struct bench_run *run, const struct later *later)
{
    bench_meter_report(&later->meter, run, later->records);
    bench_setting(run, "in_flight", IN_FLIGHT);
    bench_setting(run, "later_ms", LATER_MS);
    bench_setting(run, "finishing_threads", THREADS);
}

static void later_run(struct bench_run *run)
{
    struct later *later = later_create(run);
    uint64_t records = later->records + 2 * AROUND;
    struct klane_source *log = drive_log(1);
    struct drive drive;
    int left;

    drive_fill(log, 1, records, KEYS);
    drive_init(&drive, 1, handle_later, later);
    drive.options.records_max = RECORDS_MAX;
    drive.options.stop_when_caught_up = true;
    later->runtime = drive_create(&drive, log);
    queues_begin(later);
    bench_check(klane_start(later->runtime), "klane_start");
    measure(later);
    sem_getvalue(&later->permits, &left);
    drive_wait(later->runtime);
    queues_end(later);
    bench_check_count(drive_stats(later->runtime).done, records, "records done");
    drive_check_committed(log, 1, records);
    report(run, later);
    bench_figure(run, "at-once", IN_FLIGHT - left);
    drive_settings(run, records, KEYS, 1, 1);
    bench_setting(run, "records_max", RECORDS_MAX);
    bench_setting(run, "budget_bytes", (int64_t)drive.options.budget_bytes);
    drive_destroy(later->runtime);
}

/* Put in over as long as they wait, as a first part is by a handler. */
static void later_bare_run(struct bench_run *run)
{
    struct later *later = later_create(run);
    int64_t begin_ns = bench_now_ns();

    for (int i = 0; i < IN_FLIGHT; i++) {
        struct queue *queue = &later->queues[i % THREADS];

        put(queue, 0);
        queue->places[i / THREADS].time_ns =
            begin_ns + (IN_FLIGHT + i) * (LATER_MS * INT64_C(1000000) / IN_FLIGHT);
    }
    queues_begin(later);
    measure(later);
    queues_end(later);
    report(run, later);
}

const struct bench_case later_cases[] = {
    {
        .name = "later",
        .what = "100,000 records of 1,000,000 keys in flight, each answered after 100 ms by one "
                "of two threads.",
        .arms = {{.name = "klane", .run = later_run}, {.name = "bare", .run = later_bare_run}},
        .ratios = {{"ideal", "klane", "bare"}},
        .targets = {{"klane", "ideal", 0.95}},
    },
    {.name = NULL},
};
