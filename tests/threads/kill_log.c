/* SPDX-License-Identifier: Apache-2.0 */
/* A process that appends to an embedded log and consumes it is killed at random moments and
 * started again, over and over. What it says it does goes to memory that it shares with the
 * parent, so the history outlives it; the parent then judges the history.
 *
 * Upholds: every record that was acknowledged is handled; a key's records are handled in order; a
 * committed offset never passes a record whose handler has not ended; what is repeated lies at or
 * above the committed offset, never within one life, and had not been finished when the last
 * acknowledged commit was sent, although one key is stuck and holds the committed offset back. The
 * judge has to reject bad histories.
 *
 * Edge E1: an entry's type stored, release -> its load, acquire: its contents before its type. */
#include "lib/check.h"
#include "lib/scratch.h"

#include <klane/klane.h>
#include <klane/sqlite.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    KILLS = 1000,
    KILLS_SOAK = 100000,
    KILLS_OF_LOG = 50, /* then a new log */
    DELAY_US_MAX = 24000,
    PARTITIONS = 3,
    KEYS = 11,
    BATCH_MAX = 16,
    LIFE_RECORDS = 600,
    RECORDS_MAX = KILLS_OF_LOG * (LIFE_RECORDS + BATCH_MAX),
    ENTRIES_MAX = 1 << 18,
    WORKERS_MAX = 256, /* of one life */
    LIVES_TO_WAIT = 25,
    COMMITS_WANTED = 12,
    COMMITS_PATIENCE_MS = 200,
    BUSY_MS = 10000,
    TEXT_SIZE = 160
};

/* ---- history ---- */

enum entry_type {
    ENTRY_TORN, /* its writer died before it was whole */
    ENTRY_LIFE,
    ENTRY_FOUND,     /* committed, as a life finds it */
    ENTRY_COMMITTED, /* acknowledged */
    ENTRY_START,
    ENTRY_END
};

struct entry {
    int64_t offset;
    uint32_t number; /* of the record, counted over all lives */
    int32_t partition;
    uint32_t key;
    uint32_t worker;       /* on whose thread it was noted */
    _Atomic uint32_t type; /* enum entry_type; written last */
};

struct history {
    _Atomic uint32_t count;   /* of entries begun */
    _Atomic uint32_t numbers; /* of records whose append was begun */
    _Atomic uint32_t commits; /* acknowledged */
    _Atomic uint8_t acknowledged[RECORDS_MAX];
    struct entry entries[ENTRIES_MAX];
};

/* Of the calling thread, in this life. */
static uint32_t worker(void)
{
    static _Atomic uint32_t workers;
    static _Thread_local uint32_t own;

    /* Relaxed: a number. */
    if (own == 0)
        own = atomic_fetch_add_explicit(&workers, 1, memory_order_relaxed) + 1;
    return own;
}

/* The order of entries is that of their counting, which is the order of one atomic. */
static void note(struct history *history, enum entry_type type, int32_t partition, int64_t offset,
                 uint32_t key, uint32_t number)
{
    /* Acquire and release, E1 too: what a thread noted before another counts below it. */
    uint32_t place = atomic_fetch_add_explicit(&history->count, 1, memory_order_acq_rel);
    struct entry *entry = &history->entries[place];

    if (place >= ENTRIES_MAX)
        return;
    entry->partition = partition;
    entry->offset = offset;
    entry->key = key;
    entry->number = number;
    entry->worker = worker();
    /* E1 release: Pairs with judge_history(). */
    atomic_store_explicit(&entry->type, type, memory_order_release);
}

/* ---- the judge ---- */

struct seen {
    bool is_known;
    bool is_ended;
    bool is_told;   /* in this life: control was told that it has ended */
    bool is_kept;   /* that was acknowledged as committed */
    uint32_t told;  /* acknowledged commits of this life before that */
    uint32_t key;
    uint32_t life;  /* in which it was last started, from 1 on */
    int64_t before; /* the offset of the key's record before it, -1: none */
};

/* So many acknowledged commits after control was told, one was sent that speaks of it: the first
 * may have been out, the second been sent before control had looked. */
#define COMMITS_TO_KEEP 3

struct judge {
    struct seen records[PARTITIONS][RECORDS_MAX];
    int64_t committed[PARTITIONS];
    int64_t finished[PARTITIONS]; /* every offset below it has ended */
    uint32_t commits[PARTITIONS];       /* acknowledged in this life */
    struct seen *ended_by[WORKERS_MAX]; /* by each worker last, and not told yet */
    uint8_t handled[RECORDS_MAX];
    uint64_t kept; /* records that may not run again */
    uint32_t life;
    char text[TEXT_SIZE]; /* what is wrong, empty: nothing */
};

static void condemn(struct judge *judge, const char *what, const struct entry *entry)
{
    if (judge->text[0] == '\0')
        snprintf(judge->text, sizeof(judge->text), "%s: partition %d offset %lld key %u life %u",
                 what, (int)entry->partition, (long long)entry->offset, (unsigned)entry->key,
                 (unsigned)judge->life);
}

/* Whoever goes on has told control of the record before. */
static void tell(struct judge *judge, const struct entry *entry)
{
    struct seen *seen = judge->ended_by[entry->worker % WORKERS_MAX];

    judge->ended_by[entry->worker % WORKERS_MAX] = NULL;
    if (seen == NULL)
        return;
    for (int32_t p = 0; p < PARTITIONS; p++)
        if (seen >= judge->records[p] && seen < judge->records[p] + RECORDS_MAX)
            seen->told = judge->commits[p];
    seen->is_told = true;
}

/* What of the life that is over was acknowledged. */
static void judge_life(struct judge *judge)
{
    for (int32_t p = 0; p < PARTITIONS; p++) {
        for (int64_t offset = 0; offset < RECORDS_MAX; offset++) {
            struct seen *seen = &judge->records[p][offset];

            if (seen->is_told && judge->commits[p] - seen->told >= COMMITS_TO_KEEP) {
                seen->is_kept = true;
                judge->kept++;
            }
            seen->is_told = false;
        }
        judge->commits[p] = 0;
    }
    memset(judge->ended_by, 0, sizeof(judge->ended_by));
    judge->life++;
}

static void judge_start(struct judge *judge, const struct entry *entry)
{
    struct seen *seen = &judge->records[entry->partition][entry->offset];

    if (entry->offset < judge->committed[entry->partition])
        condemn(judge, "a record below the committed offset is repeated", entry);
    if (seen->life == judge->life)
        condemn(judge, "a record is repeated within one life", entry);
    if (seen->is_kept)
        condemn(judge, "a record that was committed as finished is repeated", entry);
    tell(judge, entry);
    if (seen->before >= 0 && !judge->records[entry->partition][seen->before].is_ended)
        condemn(judge, "a record starts before its key's last one has ended", entry);
    seen->life = judge->life;
}

static void judge_end(struct judge *judge, const struct entry *entry)
{
    struct seen *records = judge->records[entry->partition];
    int64_t *finished = &judge->finished[entry->partition];

    if (records[entry->offset].life != judge->life)
        condemn(judge, "a record ends that has not started", entry);
    records[entry->offset].is_ended = true;
    judge->handled[entry->number] = 1;
    judge->ended_by[entry->worker % WORKERS_MAX] = &records[entry->offset];
    while (*finished < RECORDS_MAX && records[*finished].is_ended)
        ++*finished;
}

static void judge_committed(struct judge *judge, const struct entry *entry)
{
    if (entry->offset > judge->finished[entry->partition])
        condemn(judge, "a committed offset passes an unfinished record", entry);
    if (entry->offset < judge->committed[entry->partition])
        condemn(judge, "a committed offset is lower than before", entry);
    else
        judge->committed[entry->partition] = entry->offset;
}

/* What is known of the log only afterwards: which record of a key comes before which. */
static void learn_keys(struct judge *judge, const struct history *history, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct entry *entry = &history->entries[i];
        /* E1 acquire: Pairs with note(). */
        uint32_t type = atomic_load_explicit(&entry->type, memory_order_acquire);

        if (type != ENTRY_START)
            continue;
        judge->records[entry->partition][entry->offset].is_known = true;
        judge->records[entry->partition][entry->offset].key = entry->key;
    }
    for (int32_t p = 0; p < PARTITIONS; p++) {
        int64_t last[KEYS];

        for (uint32_t key = 0; key < KEYS; key++)
            last[key] = -1;
        for (int64_t offset = 0; offset < RECORDS_MAX; offset++) {
            struct seen *seen = &judge->records[p][offset];

            if (!seen->is_known)
                continue;
            seen->before = last[seen->key];
            last[seen->key] = offset;
        }
    }
}

/* An empty text: the history is as it must be. */
static void judge_history(struct judge *judge, const struct history *history)
{
    /* E1 acquire: Pairs with note(). */
    uint32_t count = atomic_load_explicit(&history->count, memory_order_acquire);

    memset(judge, 0, sizeof(*judge));
    if (count > ENTRIES_MAX)
        snprintf(judge->text, sizeof(judge->text), "the history is full");
    learn_keys(judge, history, count > ENTRIES_MAX ? 0 : count);
    for (uint32_t i = 0; i < count && judge->text[0] == '\0'; i++) {
        const struct entry *entry = &history->entries[i];

        /* E1 acquire: Pairs with note(). */
        switch (atomic_load_explicit(&entry->type, memory_order_acquire)) {
        case ENTRY_LIFE:
            judge_life(judge);
            break;
        case ENTRY_COMMITTED:
            judge->commits[entry->partition]++;
            judge_committed(judge, entry);
            break;
        case ENTRY_FOUND:
            judge_committed(judge, entry);
            break;
        case ENTRY_START:
            judge_start(judge, entry);
            break;
        case ENTRY_END:
            judge_end(judge, entry);
            break;
        default:
            break;
        }
    }
    for (uint32_t number = 0; number < RECORDS_MAX && judge->text[0] == '\0'; number++)
        /* Relaxed: its writer is gone. */
        if (atomic_load_explicit(&history->acknowledged[number], memory_order_relaxed) &&
            !judge->handled[number])
            snprintf(judge->text, sizeof(judge->text), "record %u was acknowledged and is lost",
                     (unsigned)number);
}

/* ---- the process that is killed ---- */

struct life {
    struct history *history;
    const char *path;
    uint64_t random;
    bool is_last; /* appends nothing and stops when everything is handled */
};

struct payload {
    uint32_t number;
    uint32_t key;
};

static enum klane_outcome handle(const struct klane_record *record, void *context)
{
    const struct life *life = context;
    struct history *history = life->history;
    struct payload payload;

    memcpy(&payload, record->value, sizeof(payload));
    note(history, ENTRY_START, record->partition, record->offset, payload.key, payload.number);
    /* One key is stuck, so that all that is finished is finished above the committed offset. */
    while (record->partition == 0 && payload.key == 0 && !life->is_last)
        pause();
    /* Some take their time, so that death finds records unfinished below finished ones. */
    if (payload.number % 16 == 0)
        usleep(500);
    note(history, ENTRY_END, record->partition, record->offset, payload.key, payload.number);
    return KLANE_DONE;
}

static void on_event(const struct klane_event *event, void *context)
{
    struct history *history = context;

    if (event->type != KLANE_EVENT_COMMITTED || event->offset < 0)
        return;
    note(history, ENTRY_COMMITTED, event->partition, event->offset, 0, 0);
    /* Relaxed: a count. */
    atomic_fetch_add_explicit(&history->commits, 1, memory_order_relaxed);
}

static void must(klane_err_t err, const char *what, const char *text)
{
    if (err == KLANE_OK)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, klane_strerror(err), text);
    _exit(EXIT_FAILURE);
}

/* What is committed now is what the new life must begin at. */
static void note_life(struct life *life, struct klane_sqlite *log)
{
    note(life->history, ENTRY_LIFE, 0, 0, 0, 0);
    for (int32_t partition = 0; partition < PARTITIONS; partition++) {
        int64_t offset = -1;

        must(klane_sqlite_committed(log, "group", "orders", partition, &offset), "committed",
             klane_sqlite_errmsg(log));
        if (offset >= 0)
            note(life->history, ENTRY_FOUND, partition, offset, 0, 0);
    }
}

static void append_batch(struct life *life, struct klane_sqlite *log)
{
    struct klane_sqlite_record records[BATCH_MAX];
    struct payload payloads[BATCH_MAX];
    uint32_t count = 1 + (uint32_t)check_random_below(&life->random, BATCH_MAX);
    /* Relaxed: only this thread writes it, and it counts before the append begins. */
    uint32_t first =
        atomic_fetch_add_explicit(&life->history->numbers, count, memory_order_relaxed);

    for (uint32_t i = 0; i < count; i++) {
        payloads[i].number = first + i;
        payloads[i].key = (uint32_t)check_random_below(&life->random, KEYS);
        records[i] = (struct klane_sqlite_record){.topic = "orders",
                                                  .key = &payloads[i].key,
                                                  .key_size = sizeof(payloads[i].key),
                                                  .value = &payloads[i],
                                                  .value_size = sizeof(payloads[i]),
                                                  .timestamp_ms = -1,
                                                  .partition = -1};
    }
    must(klane_sqlite_append_batch(log, records, count, NULL), "append",
         klane_sqlite_errmsg(log));
    for (uint32_t i = 0; i < count; i++)
        /* Relaxed: read when this process is gone. */
        atomic_store_explicit(&life->history->acknowledged[first + i], 1, memory_order_relaxed);
}

static void live(struct life *life)
{
    char errstr[512] = "";
    struct klane_options options;
    struct klane_source *source = NULL;
    struct klane_runtime *runtime = NULL;
    struct klane_sqlite *log = NULL;

    must(klane_sqlite_open(life->path, BUSY_MS, &log, errstr, sizeof(errstr)), "open", errstr);
    must(klane_sqlite_topic(log, "orders", PARTITIONS), "topic", klane_sqlite_errmsg(log));
    note_life(life, log);
    must(klane_sqlite_create(life->path, "group", &source, errstr, sizeof(errstr)), "source",
         errstr);
    klane_options_init(&options, sizeof(options));
    options.workers = 3;
    options.commit_interval_ms = 3;
    options.stop_when_caught_up = life->is_last;
    options.event = on_event;
    options.event_context = life->history;
    must(klane_create(&options, source, &runtime, errstr, sizeof(errstr)), "runtime", errstr);
    must(klane_handle(runtime, "orders", handle, life), "handle", "");
    if (life->is_last) {
        must(klane_run(runtime), "run", "");
        must(klane_destroy(runtime), "destroy", "");
        klane_sqlite_close(log);
        _exit(EXIT_SUCCESS);
    }
    must(klane_start(runtime), "start", "");
    for (uint32_t appended = 0; appended < LIFE_RECORDS; appended += BATCH_MAX)
        append_batch(life, log);
    for (;;)
        pause();
}

/* ---- the tests ---- */

static struct history *make_history(void)
{
    struct history *history =
        mmap(NULL, sizeof(*history), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(history != MAP_FAILED);
    return history;
}

/* Returns how many records may not run again, whatever happens. */
static uint64_t assert_just(const struct history *history)
{
    struct judge *judge = malloc(sizeof(*judge));
    char text[TEXT_SIZE];
    uint64_t kept;

    assert_non_null(judge);
    judge_history(judge, history);
    memcpy(text, judge->text, sizeof(text));
    kept = judge->kept;
    free(judge);
    if (text[0] != '\0')
        fail_msg("%s", text);
    return kept;
}

static void assert_condemned(struct history *history, const char *what)
{
    struct judge *judge = malloc(sizeof(*judge));
    bool is_found;

    assert_non_null(judge);
    judge_history(judge, history);
    is_found = strstr(judge->text, what) != NULL;
    free(judge);
    munmap(history, sizeof(*history));
    assert_true(is_found);
}

/* A life in which record 0 of key 1 was handled, and acknowledged. */
static struct history *good_history(void)
{
    struct history *history = make_history();

    note(history, ENTRY_LIFE, 0, 0, 0, 0);
    note(history, ENTRY_START, 0, 0, 1, 0);
    note(history, ENTRY_END, 0, 0, 1, 0);
    note(history, ENTRY_COMMITTED, 0, 1, 0, 0);
    /* Relaxed: one thread. */
    atomic_store_explicit(&history->acknowledged[0], 1, memory_order_relaxed);
    return history;
}

static void a_good_history_is_accepted(void **state)
{
    struct history *history = good_history();

    (void)state;
    note(history, ENTRY_START, 0, 1, 1, 1);
    note(history, ENTRY_LIFE, 0, 0, 0, 0);
    note(history, ENTRY_START, 0, 1, 1, 1);
    note(history, ENTRY_END, 0, 1, 1, 1);

    assert_just(history);
    munmap(history, sizeof(*history));
}

static void a_lost_record_is_noticed(void **state)
{
    struct history *history = good_history();

    (void)state;
    note(history, ENTRY_START, 0, 1, 1, 1);
    /* Relaxed: one thread. */
    atomic_store_explicit(&history->acknowledged[1], 1, memory_order_relaxed);

    assert_condemned(history, "lost");
}

static void a_commit_past_an_unfinished_record_is_noticed(void **state)
{
    struct history *history = good_history();

    (void)state;
    note(history, ENTRY_START, 0, 2, 2, 2);
    note(history, ENTRY_END, 0, 2, 2, 2);
    note(history, ENTRY_COMMITTED, 0, 2, 0, 0);

    assert_condemned(history, "passes an unfinished record");
}

static void a_lowered_commit_is_noticed(void **state)
{
    struct history *history = good_history();

    (void)state;
    note(history, ENTRY_COMMITTED, 0, 0, 0, 0);

    assert_condemned(history, "lower than before");
}

static void a_repeat_below_the_committed_offset_is_noticed(void **state)
{
    struct history *history = good_history();

    (void)state;
    note(history, ENTRY_LIFE, 0, 0, 0, 0);
    note(history, ENTRY_START, 0, 0, 1, 0);

    assert_condemned(history, "below the committed offset");
}

/* Record 2 is finished above one that is not; what follows says whether that was committed. */
static struct history *history_with_a_stuck_key(uint32_t commits)
{
    struct history *history = good_history();

    note(history, ENTRY_START, 0, 1, 2, 1);
    note(history, ENTRY_START, 0, 2, 1, 2);
    note(history, ENTRY_END, 0, 2, 1, 2);
    note(history, ENTRY_START, 0, 3, 1, 3);
    for (uint32_t i = 0; i < commits; i++)
        note(history, ENTRY_COMMITTED, 0, 1, 0, 0);
    note(history, ENTRY_LIFE, 0, 0, 0, 0);
    note(history, ENTRY_START, 0, 2, 1, 2);
    return history;
}

static void a_repeat_of_what_was_committed_as_finished_is_noticed(void **state)
{
    struct history *history = history_with_a_stuck_key(COMMITS_TO_KEEP - 1);

    (void)state;
    assert_just(history);
    munmap(history, sizeof(*history));
    assert_condemned(history_with_a_stuck_key(COMMITS_TO_KEEP), "committed as finished");
}

static void a_repeat_within_one_life_is_noticed(void **state)
{
    struct history *history = good_history();

    (void)state;
    note(history, ENTRY_START, 0, 1, 1, 1);
    note(history, ENTRY_START, 0, 1, 1, 1);

    assert_condemned(history, "within one life");
}

static void a_key_out_of_order_is_noticed(void **state)
{
    struct history *history = good_history();

    (void)state;
    note(history, ENTRY_START, 0, 2, 1, 2);
    note(history, ENTRY_END, 0, 2, 1, 2);
    note(history, ENTRY_START, 0, 1, 1, 1);
    note(history, ENTRY_END, 0, 1, 1, 1);

    assert_condemned(history, "before its key's last one");
}

static pid_t start_life(struct life *life)
{
    pid_t child = fork();

    if (child == 0)
        live(life);
    assert_true(child > 0);
    return child;
}

/* However slow the machine is, some lives have committed a few times. */
static void wait_for_commits(const struct life *life)
{
    /* Relaxed: a count. */
    uint32_t before = atomic_load_explicit(&life->history->commits, memory_order_relaxed);

    for (int i = 0; i < COMMITS_PATIENCE_MS; i++) {
        /* Relaxed: as above. */
        if (atomic_load_explicit(&life->history->commits, memory_order_relaxed) - before >=
            COMMITS_WANTED)
            return;
        usleep(1000);
    }
}

static void kill_at_random(struct life *life, uint64_t *random, bool waits)
{
    struct timespec delay = {0, 1000 * (long)check_random_below(random, DELAY_US_MAX)};
    pid_t child;
    int status = 0;

    life->random = check_random(random);
    child = start_life(life);
    if (waits)
        wait_for_commits(life);
    nanosleep(&delay, NULL);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status))
        fail_msg("the process ended by itself with %d", WEXITSTATUS(status));
}

static void finish_in_peace(struct life *life)
{
    int status = 0;
    pid_t child;

    life->is_last = true;
    child = start_life(life);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void nothing_is_lost_or_reordered_when_the_process_is_killed(void **state)
{
    uint64_t random = check_seed();
    uint64_t kills = check_rounds(KILLS, KILLS_SOAK);
    uint64_t records = 0, kept = 0;

    (void)state;
    for (uint64_t killed = 0; killed < kills; killed += KILLS_OF_LOG) {
        struct scratch scratch;
        char path[SCRATCH_PATH_SIZE];
        struct life life = {.history = make_history(), .path = path};

        scratch_init(&scratch);
        scratch_path(&scratch, "log", path);

        for (int i = 0; i < KILLS_OF_LOG; i++)
            kill_at_random(&life, &random, i % LIVES_TO_WAIT == 0);
        finish_in_peace(&life);

        kept += assert_just(life.history);
        /* Relaxed: its writers are gone. */
        records += atomic_load_explicit(&life.history->numbers, memory_order_relaxed);
        munmap(life.history, sizeof(*life.history));
        scratch_deinit(&scratch);
    }
    print_message("%llu kills, %llu records, of %llu was known that they were finished\n",
                  (unsigned long long)kills, (unsigned long long)records,
                  (unsigned long long)kept);
    assert_true(records >= kills);
    assert_true(kept > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_history_is_accepted),
        cmocka_unit_test(a_lost_record_is_noticed),
        cmocka_unit_test(a_commit_past_an_unfinished_record_is_noticed),
        cmocka_unit_test(a_lowered_commit_is_noticed),
        cmocka_unit_test(a_repeat_below_the_committed_offset_is_noticed),
        cmocka_unit_test(a_repeat_within_one_life_is_noticed),
        cmocka_unit_test(a_repeat_of_what_was_committed_as_finished_is_noticed),
        cmocka_unit_test(a_key_out_of_order_is_noticed),
        cmocka_unit_test(nothing_is_lost_or_reordered_when_the_process_is_killed),
    };

    return check_run(tests);
}
