/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kill_history.h"

#include "lib/check.h"

#include <klane/klane.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define WORKERS_MAX 256 /* of one life */

/* ---- history ----------------------------------------------------------------------------- */

struct kill_history *kill_history_make(void)
{
    struct kill_history *history =
        mmap(NULL, sizeof(*history), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(history != MAP_FAILED);
    return history;
}

void kill_history_free(struct kill_history *history)
{
    munmap(history, sizeof(*history));
}

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

void kill_note(struct kill_history *history, enum kill_entry_type type, int32_t partition,
               int64_t offset, uint32_t key, uint32_t number)
{
    /* Acquire and release, E1 too: what a thread noted before another counts below it. */
    uint32_t place = atomic_fetch_add_explicit(&history->count, 1, memory_order_acq_rel);
    struct kill_entry *entry = &history->entries[place];

    if (place >= KILL_ENTRIES_MAX)
        return;
    entry->partition = partition;
    entry->offset = offset;
    entry->key = key;
    entry->number = number;
    entry->worker = worker();
    /* E1 release: Pairs with type_of(). */
    atomic_store_explicit(&entry->type, type, memory_order_release);
}

void kill_note_progress(struct kill_history *history, int32_t partition, int64_t offset,
                        const char *metadata, size_t size)
{
    struct klane_progress progress;
    struct klane_progress_lane lanes[KILL_KEYS];
    klane_err_t err = klane_progress_read(metadata, size, offset, &progress, sizeof(progress),
                                          lanes, KILL_KEYS);

    if (err == KLANE_ERR_NOT_FOUND) {
        kill_note(history, KILL_SAID, partition, offset, 0, 0);
        return;
    }
    if (err != KLANE_OK || progress.lane_count > KILL_KEYS) {
        fprintf(stderr, "a progress map of %u lanes: %s\n", (unsigned)progress.lane_count,
                klane_strerror(err));
        abort();
    }
    for (uint32_t key = 0; key < KILL_KEYS; key++) {
        uint64_t name = klane_progress_fingerprint(progress.seed, &key, sizeof(key));

        for (uint32_t i = 0; i < progress.lane_count; i++)
            if (lanes[i].fingerprint == name)
                kill_note(history, KILL_HEAD, partition, lanes[i].head, key, 0);
    }
    kill_note(history, KILL_SAID, partition, progress.ceiling, 0, 0);
}

static enum kill_entry_type type_of(const struct kill_entry *entry)
{
    /* E1 acquire: Pairs with kill_note(). */
    return atomic_load_explicit(&entry->type, memory_order_acquire);
}

/* ---- the judge --------------------------------------------------------------------------- */

struct seen {
    bool is_known;
    bool is_ended;
    bool is_told; /* in this life: control was told that it has ended */
    bool is_kept; /* that was acknowledged as committed */
    bool is_hit;  /* was running or had ended when a process was killed, and was not kept */
    uint32_t told[KILL_PARTITIONS]; /* acknowledged commits of this life before that */
    uint32_t key;
    uint32_t life;    /* in which it was last started, from 1 on */
    uint32_t ended;   /* in which it last ended */
    uint32_t retried; /* in which it last was to run again, and has not been started since */
    int64_t before;   /* the offset of the key's record before it, -1: none */
};

struct said {
    int64_t ceiling; /* 0: nothing */
    int64_t heads[KILL_KEYS];
};

struct judge {
    struct seen records[KILL_PARTITIONS][KILL_RECORDS_MAX];
    struct seen *newest[KILL_PARTITIONS][KILL_KEYS]; /* started in this life */
    struct said heads[KILL_PARTITIONS];              /* of what is going to be said */
    struct said said[KILL_PARTITIONS];               /* and not acknowledged yet */
    int64_t committed[KILL_PARTITIONS];
    int64_t finished[KILL_PARTITIONS];  /* every offset below it has ended */
    uint32_t commits[KILL_PARTITIONS];  /* acknowledged in this life */
    struct seen *ended_by[WORKERS_MAX]; /* by each worker last, and not told yet */
    uint8_t handled[KILL_RECORDS_MAX];
    uint32_t life;
    bool is_stopped; /* this life, in order */
    struct kill_counts counts;
    char text[KILL_TEXT_SIZE]; /* what is wrong, empty: nothing */
};

static void condemn(struct judge *judge, const char *what, const struct kill_entry *entry)
{
    if (judge->text[0] == '\0')
        snprintf(judge->text, sizeof(judge->text), "%s: partition %d offset %lld key %u life %u",
                 what, (int)entry->partition, (long long)entry->offset, (unsigned)entry->key,
                 (unsigned)judge->life);
}

/* Whoever goes on has told control of the record before. */
static void tell(struct judge *judge, const struct kill_entry *entry)
{
    struct seen *seen = judge->ended_by[entry->worker % WORKERS_MAX];

    judge->ended_by[entry->worker % WORKERS_MAX] = NULL;
    if (seen == NULL)
        return;
    memcpy(seen->told, judge->commits, sizeof(seen->told));
    seen->is_told = true;
}

static void keep(struct judge *judge, struct seen *seen)
{
    judge->counts.kept += !seen->is_kept;
    seen->is_kept = true;
}

/* A commit has what is new of every partition, so those of any count. */
static bool is_due(const struct judge *judge, const struct seen *seen)
{
    for (int32_t p = 0; p < KILL_PARTITIONS; p++)
        if (judge->commits[p] - seen->told[p] >= KILL_COMMITS_TO_KEEP)
            return seen->is_told;
    return false;
}

/* What of the life that is over was acknowledged, and what may be repeated. */
static void judge_rest(struct judge *judge, struct seen *seen)
{
    bool is_over = seen->ended == judge->life;

    if (seen->life != judge->life || judge->life == 0)
        return;
    if (is_over && (judge->is_stopped || is_due(judge, seen)))
        keep(judge, seen);
    seen->is_told = false;
    if (seen->is_kept || seen->retried == judge->life)
        return;
    seen->is_hit = true;
    if (is_over)
        judge->counts.recent++;
    else
        judge->counts.running++;
}

static void hush(struct said *said)
{
    said->ceiling = 0;
    for (uint32_t key = 0; key < KILL_KEYS; key++)
        said->heads[key] = INT64_MAX;
}

static void judge_life(struct judge *judge)
{
    for (int32_t p = 0; p < KILL_PARTITIONS; p++) {
        for (int64_t offset = 0; offset < KILL_RECORDS_MAX; offset++)
            judge_rest(judge, &judge->records[p][offset]);
        hush(&judge->heads[p]);
        hush(&judge->said[p]);
    }
    memset(judge->commits, 0, sizeof(judge->commits));
    memset(judge->ended_by, 0, sizeof(judge->ended_by));
    memset(judge->newest, 0, sizeof(judge->newest));
    judge->is_stopped = false;
    judge->life++;
}

/* Within its life: a repeat too comes after those before it. */
static void judge_turn(struct judge *judge, const struct kill_entry *entry, struct seen *seen)
{
    struct seen **newest = &judge->newest[entry->partition][entry->key];

    if (*newest != NULL && *newest > seen)
        condemn(judge, "a record starts after its key's next one", entry);
    if (*newest != NULL && *newest != seen && (*newest)->ended != judge->life)
        condemn(judge, "a record starts before its key's last one has ended", entry);
    *newest = seen;
}

static void judge_start(struct judge *judge, const struct kill_entry *entry)
{
    struct seen *seen = &judge->records[entry->partition][entry->offset];

    if (entry->offset < judge->committed[entry->partition])
        condemn(judge, "a record below the committed offset is repeated", entry);
    if (seen->life == judge->life && seen->retried != judge->life)
        condemn(judge, "a record is repeated within one life", entry);
    if (seen->is_kept)
        condemn(judge, "a record that was committed as finished is repeated", entry);
    tell(judge, entry);
    if (seen->before >= 0 && !judge->records[entry->partition][seen->before].is_ended)
        condemn(judge, "a record starts before its key's last one has ended", entry);
    judge_turn(judge, entry, seen);
    judge->counts.repeats += seen->is_hit;
    seen->is_hit = false;
    seen->life = judge->life;
    seen->retried = 0;
}

static void judge_retry(struct judge *judge, const struct kill_entry *entry)
{
    struct seen *seen = &judge->records[entry->partition][entry->offset];

    if (seen->life != judge->life)
        condemn(judge, "a record ends that has not started", entry);
    seen->retried = judge->life;
}

static void judge_end(struct judge *judge, const struct kill_entry *entry)
{
    struct seen *records = judge->records[entry->partition];
    int64_t *finished = &judge->finished[entry->partition];

    if (records[entry->offset].life != judge->life)
        condemn(judge, "a record ends that has not started", entry);
    records[entry->offset].is_ended = true;
    records[entry->offset].ended = judge->life;
    judge->handled[entry->number] = 1;
    judge->ended_by[entry->worker % WORKERS_MAX] = &records[entry->offset];
    while (*finished < KILL_RECORDS_MAX && records[*finished].is_ended)
        ++*finished;
}

static bool is_said(const struct said *said, const struct seen *seen, int64_t offset)
{
    return seen->is_known && offset < said->heads[seen->key];
}

static void judge_said(struct judge *judge, const struct kill_entry *entry)
{
    const struct seen *records = judge->records[entry->partition];
    struct said *said = &judge->said[entry->partition];

    *said = judge->heads[entry->partition];
    said->ceiling = entry->offset;
    hush(&judge->heads[entry->partition]);
    for (int64_t offset = 0; offset < said->ceiling; offset++)
        if (is_said(said, &records[offset], offset) && !records[offset].is_ended)
            condemn(judge, "a progress map passes an unfinished record", entry);
}

static void judge_kept(struct judge *judge, int32_t partition)
{
    struct said *said = &judge->said[partition];

    for (int64_t offset = 0; offset < said->ceiling; offset++)
        if (is_said(said, &judge->records[partition][offset], offset))
            keep(judge, &judge->records[partition][offset]);
    hush(said);
}

static void judge_committed(struct judge *judge, const struct kill_entry *entry)
{
    if (entry->offset > judge->finished[entry->partition])
        condemn(judge, "a committed offset passes an unfinished record", entry);
    if (entry->offset < judge->committed[entry->partition])
        condemn(judge, "a committed offset is lower than before", entry);
    else
        judge->committed[entry->partition] = entry->offset;
    judge_kept(judge, entry->partition);
}

static void judge_entry(struct judge *judge, const struct kill_entry *entry)
{
    switch (type_of(entry)) {
    case KILL_TORN:
        break;
    case KILL_LIFE:
        judge_life(judge);
        break;
    case KILL_HEAD:
        judge->heads[entry->partition].heads[entry->key] = entry->offset;
        break;
    case KILL_SAID:
        judge_said(judge, entry);
        break;
    case KILL_COMMITTED:
        judge->commits[entry->partition]++;
        judge_committed(judge, entry);
        break;
    case KILL_FOUND:
        judge_committed(judge, entry);
        break;
    case KILL_START:
        judge_start(judge, entry);
        break;
    case KILL_RETRY:
        judge_retry(judge, entry);
        break;
    case KILL_END:
        judge_end(judge, entry);
        break;
    case KILL_STOPPED:
        judge->is_stopped = true;
        break;
    }
}

/* What is known of the log only afterwards: which record of a key comes before which. */
static void learn_keys(struct judge *judge, const struct kill_history *history, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct kill_entry *entry = &history->entries[i];

        if (type_of(entry) != KILL_START)
            continue;
        judge->records[entry->partition][entry->offset].is_known = true;
        judge->records[entry->partition][entry->offset].key = entry->key;
    }
    for (int32_t p = 0; p < KILL_PARTITIONS; p++) {
        int64_t last[KILL_KEYS];

        for (uint32_t key = 0; key < KILL_KEYS; key++)
            last[key] = -1;
        for (int64_t offset = 0; offset < KILL_RECORDS_MAX; offset++) {
            struct seen *seen = &judge->records[p][offset];

            if (!seen->is_known)
                continue;
            seen->before = last[seen->key];
            last[seen->key] = offset;
        }
    }
}

static void judge_loss(struct judge *judge, const struct kill_history *history)
{
    for (uint32_t number = 0; number < KILL_RECORDS_MAX && judge->text[0] == '\0'; number++)
        /* Relaxed: its writer is gone. */
        if (atomic_load_explicit(&history->acknowledged[number], memory_order_relaxed) &&
            !judge->handled[number])
            snprintf(judge->text, sizeof(judge->text), "record %u was acknowledged and is lost",
                     (unsigned)number);
}

void kill_judge(const struct kill_history *history, struct kill_counts *counts,
                char text[KILL_TEXT_SIZE])
{
    struct judge *judge = calloc(1, sizeof(*judge));
    /* Acquire: the entries that were counted. */
    uint32_t count = atomic_load_explicit(&history->count, memory_order_acquire);

    assert_non_null(judge);
    if (count > KILL_ENTRIES_MAX) {
        snprintf(judge->text, sizeof(judge->text), "the history is full");
        count = KILL_ENTRIES_MAX;
    }
    learn_keys(judge, history, count);
    for (uint32_t i = 0; i < count && judge->text[0] == '\0'; i++)
        judge_entry(judge, &history->entries[i]);
    judge_loss(judge, history);
    memcpy(text, judge->text, KILL_TEXT_SIZE);
    /* Relaxed: its writers are gone. */
    counts->records += atomic_load_explicit(&history->numbers, memory_order_relaxed);
    counts->running += judge->counts.running;
    counts->recent += judge->counts.recent;
    counts->kept += judge->counts.kept;
    counts->repeats += judge->counts.repeats;
    free(judge);
}
