/* SPDX-License-Identifier: Apache-2.0 */
/* Poison: one record in a hundred fails for ever, 5 attempts at growing distances of up to a
 * second, and becomes a dead letter in another topic; handlers sleep for a millisecond.
 *
 * The clock runs until 99 % of the good records are handled. Arm bare is as many threads that only
 * sleep, as often as handlers would have by then: once for each of those, and five times for each
 * that fails. Afterwards all is waited for, and every record that fails, and no other, has to be a
 * dead letter once. */
#include "cases/cases.h"
#include "lib/drive.h"
#include "lib/sleepers.h"

#include <stdlib.h>

enum { KEYS = 10000, WORKERS = 16, ATTEMPTS = 5, BAD_EACH = 100, DELAY_MS = 125 };

#define DEAD_TOPIC "dead"
#define RECORDS UINT64_C(1000000)
#define RECORDS_QUICK UINT64_C(10000)

struct poison {
    uint64_t good_enough;
    struct klane_letters *letters;
    _Atomic uint8_t *letters_of; /* each record */
    sem_t done;
    _Alignas(64) _Atomic uint64_t good;
};

static bool is_bad(uint64_t number)
{
    uint64_t state = number;

    return drive_random(&state) % BAD_EACH == 0;
}

static uint64_t bad_of(uint64_t records)
{
    uint64_t bad = 0;

    for (uint64_t i = 0; i < records; i++)
        bad += is_bad(i);
    return bad;
}

static uint64_t good_enough(uint64_t records)
{
    return (records - bad_of(records)) * 99 / 100;
}

static enum klane_outcome handle_poison(const struct klane_record *record, void *context)
{
    const struct timespec time = {0, 1000000};
    struct poison *poison = context;

    nanosleep(&time, NULL);
    if (is_bad((uint64_t)record->offset))
        return klane_retry(record, -1, "poison");
    /* Relaxed: a count that orders nothing. */
    if (atomic_fetch_add_explicit(&poison->good, 1, memory_order_relaxed) + 1 ==
        poison->good_enough)
        sem_post(&poison->done);
    return KLANE_DONE;
}

static enum klane_outcome keep_letter(const struct klane_record *record, void *context)
{
    struct poison *poison = context;

    /* Relaxed: looked at when all threads have ended. */
    atomic_fetch_add_explicit(&poison->letters_of[record->offset], 1, memory_order_relaxed);
    return klane_letters_send(record, poison->letters);
}

static void poison_run(struct bench_run *run)
{
    uint64_t records = bench_count(run, RECORDS, RECORDS_QUICK), bad = bad_of(records);
    struct poison poison = {.good_enough = good_enough(records)};
    struct klane_source *log = drive_log(1);
    struct klane_runtime *runtime;
    struct bench_meter meter;
    struct drive drive;

    sem_init(&poison.done, 0, 0);
    poison.letters_of = calloc(records, sizeof(*poison.letters_of));
    bench_check(klane_memory_topic(log, DEAD_TOPIC, 1), "klane_memory_topic");
    bench_check(klane_memory_letters(log, DEAD_TOPIC, &poison.letters), "klane_memory_letters");
    drive_fill(log, 1, records, KEYS);
    drive_init(&drive, WORKERS, handle_poison, &poison);
    drive.options.stop_when_caught_up = true;
    drive.route.retry_delay_ms = DELAY_MS;
    drive.route.retry_delay_max_ms = 1000;
    drive.route.attempts_max = ATTEMPTS;
    drive.route.exhausted = KLANE_EXHAUSTED_DEAD_LETTER;
    drive.route.dead_letter = keep_letter;
    drive.route.dead_letter_context = &poison;
    runtime = drive_create(&drive, log);
    bench_meter_start(&meter);
    bench_check(klane_start(runtime), "klane_start");
    bench_wait(&poison.done);
    bench_meter_stop(&meter);
    drive_wait(runtime);
    drive_check_committed(log, 1, records);
    bench_check_count(drive_stats(runtime).dead_letters, bad, "dead letters");
    for (uint64_t i = 0; i < records; i++)
        bench_check_count(poison.letters_of[i], is_bad(i), "dead letters of a record");
    bench_meter_report(&meter, run, poison.good_enough + bad * ATTEMPTS);
    drive_settings(run, records, KEYS, 1, WORKERS);
    bench_setting(run, "attempts", ATTEMPTS);
    drive_destroy(runtime);
    klane_letters_destroy(poison.letters);
    free((void *)(uintptr_t)poison.letters_of);
}

static void poison_bare_run(struct bench_run *run)
{
    uint64_t records = bench_count(run, RECORDS, RECORDS_QUICK);
    uint64_t sleeps = good_enough(records) + bad_of(records) * ATTEMPTS;
    const struct sleepers_plan plan = {1, WORKERS, sleeps, sleeps, false, 0};

    run->plan = &plan;
    sleepers_bare_run(run);
}

const struct bench_case poison_cases[] = {
    {
        .name = "poison",
        .is_long = true,
        .what = "1 % of 1,000,000 records fail for ever; 16 workers, 1 ms, 10,000 keys, until "
                "99 % of the others are handled.",
        .arms = {{.name = "klane", .run = poison_run}, {.name = "bare", .run = poison_bare_run}},
        .ratios = {{"ideal", "klane", "bare"}},
        .targets = {{"klane", "ideal", 0.9}},
    },
    {.name = NULL},
};
