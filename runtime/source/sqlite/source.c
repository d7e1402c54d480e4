/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded log as a source: control's half. The helper's half is source/sqlite/reader.h.
 *
 * Upholds: a record is offered from the run that holds it, in order, until it was taken; nothing
 * here waits. Runs are read ahead while their partition streams, so that reading and handling
 * overlap. Partitions take turns, a run each.
 *
 * Edge R1: see source/sqlite/reader.h. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/errstr.h"
#include "source/sqlite/cleaner.h"
#include "source/sqlite/sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RUNS_OF_PARTITION = 4, /* at most */
    JOIN_AGAIN_MS = 1000,  /* after an error */
    FIND_AGAIN_MS = 1000,  /* topics that do not exist yet */
    ASSIGN_AGAIN_MS = 10,  /* when control had no memory for a partition */
    LARGE_AGAIN_MS = 2,    /* when other large records were in memory */
    BACKOFF_FIRST_MS = 10,
    BACKOFF_MAX_MS = 1000
};

/* ---- runs -------------------------------------------------------------------------------- */

/* The run has been offered, or nobody wants it any more. */
static void release_run(struct sqlite_source *source, struct sqlite_run *run)
{
    run->partition->control.runs_held--;
    run->partition = NULL;
    /* A buffer that one large record has needed is not kept. */
    if (run->capacity > READER_RUN_BYTES) {
        /* Relaxed: a bound. */
        atomic_fetch_sub_explicit(&source->reader.large_bytes, run->capacity,
                                  memory_order_relaxed);
        free(run->bytes);
        run->bytes = NULL;
        run->capacity = 0;
    }
    STAILQ_INSERT_HEAD(&source->idle_runs, run, link);
}

/* Throws away what was read ahead; reading begins again at the next record to offer. */
static void drop_runs(struct sqlite_source *source, struct sqlite_partition *partition)
{
    struct sqlite_run *run;

    while ((run = STAILQ_FIRST(&partition->control.runs)) != NULL) {
        STAILQ_REMOVE_HEAD(&partition->control.runs, link);
        release_run(source, run);
    }
    partition->control.generation++;
    partition->control.seek = partition->control.position;
    partition->control.is_at_end = false;
}

/* A partition that streams is read ahead, as far as the runs reach for all. */
static uint32_t runs_wanted(const struct sqlite_source *source,
                            const struct sqlite_partition *partition)
{
    uint32_t share =
        source->partition_count == 0 ? SQLITE_RUNS : SQLITE_RUNS / source->partition_count;

    if (!partition->control.is_streaming || share < 1)
        return 1;
    return share > RUNS_OF_PARTITION ? RUNS_OF_PARTITION : share;
}

static bool is_to_be_read(const struct sqlite_source *source,
                          const struct sqlite_partition *partition)
{
    return partition->control.assignment != NULL && !partition->control.is_held &&
           !partition->control.is_at_end && partition->control.retry_ms == 0 &&
           partition->control.runs_held < runs_wanted(source, partition);
}

static void want(struct sqlite_source *source, struct sqlite_partition *partition)
{
    if (partition->control.is_wanting || !is_to_be_read(source, partition))
        return;
    partition->control.is_wanting = true;
    STAILQ_INSERT_TAIL(&source->wanting, partition, control.wanting);
}

static void make_ready(struct sqlite_source *source, struct sqlite_partition *partition)
{
    if (partition->control.is_ready || partition->control.is_held ||
        STAILQ_EMPTY(&partition->control.runs))
        return;
    partition->control.is_ready = true;
    STAILQ_INSERT_TAIL(&source->ready, partition, control.ready);
}

/* Held partitions keep what was read for them only as long as nobody else needs the room. */
static void reclaim_runs(struct sqlite_source *source)
{
    struct sqlite_partition *partition;

    STAILQ_FOREACH(partition, &source->partitions, control.all)
    if (partition->control.is_held && !STAILQ_EMPTY(&partition->control.runs)) {
        KLANE_MARK("sqlite: runs of a held partition dropped");
        drop_runs(source, partition);
    }
}

static void read_partition(struct sqlite_source *source, struct sqlite_partition *partition)
{
    struct sqlite_run *run = STAILQ_FIRST(&source->idle_runs);

    STAILQ_REMOVE_HEAD(&source->idle_runs, link);
    run->partition = partition;
    run->generation = partition->control.generation;
    run->seek = partition->control.seek;
    partition->control.seek = -1;
    partition->control.runs_held++;
    sqlite_send(source, &run->request);
}

/* Sends reads for those who have room for more, one each in turn. */
static void read_more(struct sqlite_source *source)
{
    struct sqlite_partition *partition;

    if (!STAILQ_EMPTY(&source->wanting) && STAILQ_EMPTY(&source->idle_runs))
        reclaim_runs(source);
    while (!STAILQ_EMPTY(&source->idle_runs) &&
           (partition = STAILQ_FIRST(&source->wanting)) != NULL) {
        STAILQ_REMOVE_HEAD(&source->wanting, control.wanting);
        partition->control.is_wanting = false;
        if (!is_to_be_read(source, partition))
            continue;
        read_partition(source, partition);
        want(source, partition);
    }
}

static void give_up(struct sqlite_source *source, struct sqlite_partition *partition)
{
    drop_runs(source, partition);
    sqlite_sweep_end(source, partition);
    partition->control.assignment = NULL;
    partition->control.is_given_up = true;
}

static void fail(struct sqlite_source *source, klane_err_t err, const char *message)
{
    if (source->has_failed)
        return;
    source->has_failed = true;
    source->intake->ops->fatal(source->intake, err, message);
}

/* ---- what the helper hands back ---------------------------------------------------------- */

static void read_failed(struct sqlite_source *source, struct sqlite_partition *partition,
                        const struct sqlite_run *run)
{
    int64_t backoff_ms = partition->control.backoff_ms;

    /* What else is on its way is read again, behind the run that failed. */
    partition->control.generation++;
    partition->control.seek = run->next;
    partition->control.is_at_end = false;
    partition->control.is_streaming = false;
    partition->control.retry_ms = clock_now_ms() + backoff_ms;
    partition->control.backoff_ms =
        2 * backoff_ms > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : 2 * backoff_ms;
    sqlite_wake_at(source, partition->control.retry_ms);
    source->intake->ops->error(source->intake, run->request.err, partition->found.topic->name,
                               partition->found.number, run->request.text);
}

/* Age or size have taken the next record to read. False: that is an error. */
static bool tell_gone(struct sqlite_source *source, const struct sqlite_run *run)
{
    struct sqlite_partition *partition = run->partition;
    const char *topic = partition->found.topic->name;
    char text[DATABASE_TEXT_SIZE];

    if (partition->found.topic->out_of_range == KLANE_BEGIN_ERROR) {
        snprintf(text, sizeof text, "%s [%d]: offset %lld is not in the log any more", topic,
                 (int)partition->found.number, (long long)run->gone);
        fail(source, KLANE_ERR_OUT_OF_RANGE, text);
        return false;
    }
    source->intake->ops->out_of_range(source->intake, topic, partition->found.number, run->gone,
                                      run->begin);
    /* Nothing below is to be offered any more, so nothing below is ever read again. */
    if (STAILQ_EMPTY(&partition->control.runs))
        partition->control.position = run->begin;
    return true;
}

static void run_came(struct sqlite_source *source, struct sqlite_run *run)
{
    struct sqlite_partition *partition = run->partition;

    if (source->is_closing || partition->control.assignment == NULL ||
        run->generation != partition->control.generation) {
        release_run(source, run);
        want(source, partition);
        return;
    }
    if (run->gone >= 0 && !tell_gone(source, run)) {
        release_run(source, run);
        return;
    }
    if (run->request.err == KLANE_OK && run->waits) {
        KLANE_MARK("sqlite: a large record waits for others");
        release_run(source, run);
        reclaim_runs(source);
        partition->control.retry_ms = clock_now_ms() + LARGE_AGAIN_MS;
        sqlite_wake_at(source, partition->control.retry_ms);
        return;
    }
    STAILQ_INSERT_TAIL(&partition->control.runs, run, link);
    make_ready(source, partition);
    if (run->request.err != KLANE_OK) {
        read_failed(source, partition, run);
        return;
    }
    partition->control.backoff_ms = BACKOFF_FIRST_MS;
    partition->control.end_read = run->end;
    partition->control.is_at_end = run->end >= 0;
    partition->control.is_streaming = run->end < 0;
    want(source, partition);
}

static void look_at_ends(struct sqlite_source *source)
{
    struct sqlite_partition *partition;

    STAILQ_FOREACH(partition, &source->partitions, control.all)
    {
        /* Relaxed: the request that told of it was sent after the end was stored (M1). */
        int64_t end = atomic_load_explicit(&partition->end, memory_order_relaxed);

        if (partition->control.is_at_end && partition->control.end_read != end) {
            partition->control.is_at_end = false;
            want(source, partition);
        }
    }
}

static void topics_came(struct sqlite_source *source)
{
    struct sqlite_find *find = &source->find;
    struct klane_intake *intake = source->intake;
    bool is_again = find->request.err != KLANE_OK;
    char text[DATABASE_TEXT_SIZE];
    struct sqlite_partition *partition;

    STAILQ_FOREACH(partition, &find->partitions, control.all)
    source->partition_count++;
    STAILQ_CONCAT(&source->partitions, &find->partitions);
    if (source->is_closing)
        return;
    source->assign_ms = 0;
    if (is_again)
        intake->ops->error(intake, find->request.err, NULL, -1, find->request.text);
    for (size_t i = 0; i < find->topic_count; i++) {
        if (find->is_found[i])
            continue;
        if (find->request.err == KLANE_OK && !find->is_missing[i]) {
            find->is_missing[i] = true;
            snprintf(text, sizeof text, "%s: there is no topic %s yet",
                     source->reader.database.path, find->topics[i].name);
            intake->ops->error(intake, KLANE_ERR_NOT_FOUND, find->topics[i].name, -1, text);
        }
        is_again = true;
    }
    if (is_again) {
        source->find_ms = clock_now_ms() + FIND_AGAIN_MS;
        sqlite_wake_at(source, source->find_ms);
    }
}

/* Another process consumes for the group: nothing of this one counts any more. */
static void fenced(struct sqlite_source *source)
{
    struct sqlite_partition *partition;
    char text[DATABASE_TEXT_SIZE];

    KLANE_MARK("sqlite: fenced by another process");
    STAILQ_FOREACH(partition, &source->partitions, control.all)
    {
        struct klane_assignment *assignment = partition->control.assignment;

        if (assignment == NULL)
            continue;
        give_up(source, partition);
        source->intake->ops->lost(source->intake, assignment);
    }
    snprintf(text, sizeof text, "%s: group %s was taken over by another process",
             source->reader.database.path, source->reader.group.name);
    fail(source, KLANE_ERR_FENCED, text);
}

static void join_came(struct sqlite_source *source)
{
    struct sqlite_request *join = &source->join;
    struct klane_intake *intake = source->intake;
    bool is_taken = join->err == KLANE_ERR_TAKEN;

    if (source->is_closing)
        return;
    if (join->err == KLANE_OK) {
        source->beat_ms = clock_now_ms() + GROUP_BEAT_MS;
        sqlite_wake_at(source, source->beat_ms);
        sqlite_send(source, &source->find.request);
        return;
    }
    if (is_taken && source->when_taken == KLANE_SQLITE_REFUSE) {
        fail(source, join->err, join->text);
        return;
    }
    if (!is_taken || !source->is_waiting_told)
        intake->ops->error(intake, join->err, NULL, -1, join->text);
    source->is_waiting_told = is_taken;
    source->join_ms = clock_now_ms() + (is_taken ? GROUP_LOOK_MS : JOIN_AGAIN_MS);
    sqlite_wake_at(source, source->join_ms);
}

/* Returns whether it was the last: nothing may be said after it. */
static bool request_came(struct sqlite_source *source, struct sqlite_request *request)
{
    bool has_grown = request->has_grown;

    if (request->is_lost && !source->is_closing) {
        char text[DATABASE_TEXT_SIZE];

        snprintf(text, sizeof text, "%s: the file was removed or replaced",
                 source->reader.database.path);
        fail(source, KLANE_ERR_IO, text);
    }
    if (request->is_fenced && !source->is_closing)
        fenced(source);
    switch (request->type) {
    case READER_JOIN:
        join_came(source);
        break;
    case READER_FIND:
        topics_came(source);
        break;
    case READER_READ:
        run_came(source, (struct sqlite_run *)(void *)request);
        break;
    case READER_SWEEP:
        sqlite_sweep_came(source);
        break;
    case READER_COMMIT:
        source->intake->ops->committed(source->intake, request->err);
        break;
    case READER_CLOSE:
        source->intake->ops->closed(source->intake);
        return true;
    case READER_WAKE:
        if (request->err != KLANE_OK && !source->is_closing)
            source->intake->ops->error(source->intake, request->err, NULL, -1, request->text);
        /* R1 release: done with it. Pairs with reader_idle(). */
        atomic_store_explicit(&source->reader.wake_is_out, false, memory_order_release);
        break;
    }
    if (has_grown)
        look_at_ends(source);
    return false;
}

/* ---- assigning and offering -------------------------------------------------------------- */

static void fail_without_begin(struct sqlite_source *source,
                               const struct sqlite_partition *partition)
{
    char text[DATABASE_TEXT_SIZE];

    if (partition->found.committed >= 0)
        snprintf(text, sizeof text, "%s [%d]: the committed offset %lld is not in the log",
                 partition->found.topic->name, (int)partition->found.number,
                 (long long)partition->found.committed);
    else
        snprintf(text, sizeof text, "%s [%d]: the group has committed nothing",
                 partition->found.topic->name, (int)partition->found.number);
    fail(source, KLANE_ERR_OUT_OF_RANGE, text);
}

/* False: control has no memory for it, or it cannot begin. */
static bool assign(struct sqlite_source *source, struct sqlite_partition *partition)
{
    struct klane_intake *intake = source->intake;
    const char *topic = partition->found.topic->name;
    int64_t from;

    if (partition->found.has_no_begin) {
        fail_without_begin(source, partition);
        return false;
    }
    if (partition->found.committed >= 0 && !partition->control.is_out_of_range_told)
        intake->ops->out_of_range(intake, topic, partition->found.number,
                                  partition->found.committed, partition->found.position.begin);
    partition->control.is_out_of_range_told = true;
    partition->control.assignment = intake->ops->assigned(
        intake, topic, partition->found.number, &partition->found.position, &from, partition);
    if (partition->control.assignment == NULL)
        return false;
    sqlite_metadata_free(partition);
    partition->control.position = from;
    partition->control.seek = from;
    partition->control.end_reported = -1;
    partition->control.backoff_ms = BACKOFF_FIRST_MS;
    want(source, partition);
    return true;
}

/* Assigns what was found and not yet assigned, if it is time to. */
static void assign_found(struct sqlite_source *source)
{
    struct sqlite_partition *partition;

    source->assign_ms = READER_NEVER_MS;
    STAILQ_FOREACH(partition, &source->partitions, control.all)
    {
        if (partition->control.assignment != NULL || partition->control.is_given_up)
            continue;
        if (!assign(source, partition)) {
            source->assign_ms = clock_now_ms() + ASSIGN_AGAIN_MS;
            sqlite_wake_at(source, source->assign_ms);
            break;
        }
    }
}

/* What is due by time. */
static void work_by_time(struct sqlite_source *source)
{
    struct sqlite_partition *partition;
    int64_t now = clock_now_ms();

    if (now < source->wake_ms)
        return;
    source->wake_ms = READER_NEVER_MS;
    if (now >= source->beat_ms) {
        sqlite_group_beat(&source->reader.group);
        source->beat_ms = now + GROUP_BEAT_MS;
    }
    sqlite_wake_at(source, source->beat_ms);
    if (source->has_failed)
        return;
    if (now >= source->join_ms) {
        source->join_ms = READER_NEVER_MS;
        sqlite_send(source, &source->join);
    }
    sqlite_wake_at(source, source->join_ms);
    if (now >= source->find_ms) {
        source->find_ms = READER_NEVER_MS;
        sqlite_send(source, &source->find.request);
    }
    sqlite_wake_at(source, source->find_ms);
    sqlite_wake_at(source, source->assign_ms);
    STAILQ_FOREACH(partition, &source->partitions, control.all)
    {
        if (partition->control.retry_ms == 0)
            continue;
        if (now >= partition->control.retry_ms) {
            partition->control.retry_ms = 0;
            want(source, partition);
        } else {
            sqlite_wake_at(source, partition->control.retry_ms);
        }
    }
}

/* The run is used up. */
static void finish_run(struct sqlite_source *source, struct sqlite_partition *partition,
                       struct sqlite_run *run)
{
    int64_t end = run->end;

    STAILQ_REMOVE_HEAD(&partition->control.runs, link);
    partition->control.position = run->next;
    release_run(source, run);
    want(source, partition);
    if (end < 0 || end == partition->control.end_reported)
        return;
    partition->control.end_reported = end;
    source->intake->ops->end(source->intake, partition->control.assignment, end);
}

/* Offers the partition's first run. False: stop, no more are to be offered for now. */
static bool offer_run(struct sqlite_source *source, struct sqlite_partition *partition,
                      size_t records_max, size_t *taken)
{
    struct sqlite_run *run = STAILQ_FIRST(&partition->control.runs);
    struct source_record record;
    size_t before = run->offered;

    /* What the intake calls back may hold the partition. */
    while (!partition->control.is_held && sqlite_run_next(run, &record)) {
        if (*taken == records_max ||
            !source->intake->ops->record(source->intake, partition->control.assignment,
                                         &record)) {
            run->offered = before;
            return false;
        }
        ++*taken;
        before = run->offered;
        partition->control.position = record.offset + 1;
    }
    if (run->offered == run->used)
        finish_run(source, partition, run);
    return true;
}

/* A partition that had to stop is first again next time. */
static size_t offer(struct sqlite_source *source, size_t records_max)
{
    struct sqlite_partition *partition;
    size_t taken = 0;

    while ((partition = STAILQ_FIRST(&source->ready)) != NULL) {
        if (!partition->control.is_held && !STAILQ_EMPTY(&partition->control.runs) &&
            !offer_run(source, partition, records_max, &taken))
            break;
        STAILQ_REMOVE_HEAD(&source->ready, control.ready);
        partition->control.is_ready = false;
        make_ready(source, partition);
    }
    return taken;
}

/* ---- the source's operations ------------------------------------------------------------- */

static size_t source_poll(struct klane_source *base, size_t records_max)
{
    struct sqlite_source *source = sqlite_of(base);
    struct helper_request *next;
    size_t taken;

    for (struct helper_request *request = helper_receive(source->helper); request != NULL;
         request = next) {
        next = request->next;
        if (request_came(source, (struct sqlite_request *)(void *)request))
            return 0;
    }
    if (source->commit_is_refused) {
        source->commit_is_refused = false;
        source->intake->ops->committed(source->intake, source->commit_err);
    }
    if (source->is_closing)
        return 0;
    if (source->wake_ms != READER_NEVER_MS)
        work_by_time(source);
    if (source->has_failed)
        return 0;
    if (source->assign_ms != READER_NEVER_MS)
        assign_found(source);
    taken = offer(source, records_max);
    read_more(source);
    return taken;
}

static int source_descriptor(const struct klane_source *base)
{
    const struct sqlite_source *source = (const struct sqlite_source *)(const void *)base;

    return helper_descriptor(source->helper);
}

static void source_hold(struct klane_source *base, void *own, bool held)
{
    struct sqlite_source *source = sqlite_of(base);
    struct sqlite_partition *partition = own;

    partition->control.is_held = held;
    if (held)
        return;
    make_ready(source, partition);
    want(source, partition);
    sqlite_wake_at(source, 0);
    helper_nudge(source->helper);
}

/* Room for these. False: no memory. */
static bool commit_reserve(struct sqlite_commit *commit, const struct source_commit *commits,
                           size_t count)
{
    size_t metadata_size = 0;

    for (size_t i = 0; i < count; i++)
        metadata_size += commits[i].metadata_size;
    if (count > commit->capacity) {
        struct sqlite_commit_entry *entries = realloc(commit->entries, count * sizeof *entries);

        if (entries == NULL)
            return false;
        commit->entries = entries;
        commit->capacity = count;
    }
    if (metadata_size > commit->metadata_capacity) {
        char *metadata = realloc(commit->metadata, metadata_size);

        if (metadata == NULL)
            return false;
        commit->metadata = metadata;
        commit->metadata_capacity = metadata_size;
    }
    return true;
}

static void source_commit(struct klane_source *base, const struct source_commit *commits,
                          size_t count)
{
    struct sqlite_source *source = sqlite_of(base);
    struct sqlite_commit *commit = &source->commit;
    size_t used = 0;

    if (!commit_reserve(commit, commits, count)) {
        source->commit_err = KLANE_ERR_NOMEM;
        source->commit_is_refused = true;
        sqlite_wake_at(source, 0);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        commit->entries[i] = (struct sqlite_commit_entry){commits[i].own, commits[i].offset, used,
                                                          commits[i].metadata_size};
        if (commits[i].metadata_size > 0)
            memcpy(commit->metadata + used, commits[i].metadata, commits[i].metadata_size);
        used += commits[i].metadata_size;
    }
    commit->count = count;
    sqlite_send(source, &commit->request);
}

static void source_given_up(struct klane_source *base, void *own)
{
    give_up(sqlite_of(base), own);
}

static void source_close(struct klane_source *base)
{
    struct sqlite_source *source = sqlite_of(base);

    source->is_closing = true;
    sqlite_send(source, &source->close);
}

static klane_err_t start_failed(klane_err_t err, char *errstr, size_t errstr_size)
{
    return errstr_set(err, errstr, errstr_size, "the embedded log's source: %s",
                      klane_strerror(err));
}

static klane_err_t source_start(struct klane_source *base, struct klane_intake *intake,
                                const struct source_topic *topics, size_t count, char *errstr,
                                size_t errstr_size)
{
    struct sqlite_source *source = sqlite_of(base);
    klane_err_t err;

    if (source->helper != NULL)
        return start_failed(KLANE_ERR_STATE, errstr, errstr_size);
    free(source->find.is_found);
    free(source->find.is_missing);
    source->find.is_found = calloc(count + 1, sizeof(bool));
    source->find.is_missing = calloc(count + 1, sizeof(bool));
    if (source->find.is_found == NULL || source->find.is_missing == NULL)
        return start_failed(KLANE_ERR_NOMEM, errstr, errstr_size);
    source->intake = intake;
    source->find.topics = topics;
    source->find.topic_count = count;
    err = helper_create(&sqlite_helper_ops, &source->reader, READER_LOOK_MS, &source->helper);
    if (err != KLANE_OK)
        return start_failed(err, errstr, errstr_size);
    source->notify.helper = source->helper;
    source->notify.device = source->reader.database.device;
    source->notify.inode = source->reader.database.inode;
    notify_add(&source->notify);
    sqlite_send(source, &source->join);
    return KLANE_OK;
}

static void source_destroy(struct klane_source *base)
{
    struct sqlite_source *source = sqlite_of(base);

    notify_remove(&source->notify);
    if (source->helper != NULL)
        helper_destroy(source->helper);
    sqlite_partitions_free(&source->partitions);
    sqlite_partitions_free(&source->find.partitions);
    for (size_t i = 0; source->runs != NULL && i < SQLITE_RUNS; i++)
        free(source->runs[i].bytes);
    free(source->runs);
    sqlite_sweep_deinit(source);
    free(source->commit.entries);
    free(source->commit.metadata);
    free(source->find.is_found);
    free(source->find.is_missing);
    sqlite_reader_deinit(&source->reader);
    free(source);
}

static int64_t source_due_ms(const struct klane_source *base)
{
    return ((const struct sqlite_source *)(const void *)base)->wake_ms;
}

static void source_needs(const struct klane_source *source, struct source_needs *needs)
{
    (void)source;
    /* Runs of the usual size, one for passes, larger ones; what SQLite keeps of the file; and what
     * cleaning takes. */
    needs->buffer_bytes = (SQLITE_RUNS + 1) * (uint64_t)READER_RUN_BYTES + READER_LARGE_BYTES +
                          DATABASE_CACHE_BYTES + CLEANER_BYTES;
}

const struct klane_source_ops sqlite_source_ops = {
    .name = "sqlite",
    .burst = 128,
    .needs = source_needs,
    .start = source_start,
    .poll = source_poll,
    .descriptor = source_descriptor,
    .due_ms = source_due_ms,
    .hold = source_hold,
    .sweep = sqlite_sweep_begin,
    .poll_sweeps = sqlite_sweep_poll,
    .commit = source_commit,
    .given_up = source_given_up,
    .close = source_close,
    .destroy = source_destroy,
};
