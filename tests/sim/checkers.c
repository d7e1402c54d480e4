/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/checkers.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

/* A record of the log. */
struct seen_record {
    int64_t offset;
    int64_t delivered_idle_ms; /* the idle clock of who took it in last */
    uint32_t delivered_epoch;
    uint32_t lane;
    uint32_t lane_previous; /* index of the record before it in its lane */
    bool finished;
};

struct seen_partition {
    struct seen_record *records;
    uint32_t count;
    uint32_t capacity;
    uint64_t *acknowledged; /* a bit for each: finished, as it is committed */
    int64_t first_from; /* of the first assignment; -1: none yet */
    int64_t committed;  /* as the log has it; -1: nothing */
    int64_t end;        /* of the log, as it is known by now */
};

enum epoch_state { EPOCH_NONE, EPOCH_ACTIVE, EPOCH_REVOKED, EPOCH_GONE };

struct seen_epoch {
    uint64_t *finished; /* a bit for each record of the partition */
    uint64_t *known;    /* finished before, as it was told when it began */
    uint64_t *heard;    /* finished, as its control knows */
    uint64_t *sent;     /* finished, as its commit that is out says */
    uint64_t *given;    /* finished, as was committed when it began */
    int64_t from;
    int64_t idle_ms;   /* the idle clock when it began */
    int64_t committed; /* by itself; "from" until then */
    uint32_t prefix; /* index: everything from "from" up to here is finished in this epoch */
    uint16_t partition;
    uint8_t process;
    uint8_t state; /* enum epoch_state */
    bool loose;    /* given up in a stop, with another offset committed than was finished */
};

/* One lane in one process. */
struct seen_lane {
    int64_t idle_ms;  /* the idle clock when its last record ended */
    int64_t ready_ms; /* not to start again before */
    uint32_t open;    /* attempts that run */
    uint32_t last;    /* index of the record that started last */
    uint32_t last_epoch;
    uint32_t last_attempt;
    bool last_finished;
};

struct seen_attempt {
    uint32_t record;
    uint32_t epoch;
    uint32_t attempt;
    bool returned;
};

struct seen_process {
    struct seen_lane *lanes;
    struct seen_attempt *attempts; /* that run */
    uint32_t attempts_count;
    uint32_t attempts_capacity;
    int64_t workers;
    int64_t busy;
    int64_t idle_ms; /* time in which a worker was idle */
    int64_t commit;  /* number of the one that is out; -1: none */
    int64_t stop_deadline_ms;
    bool stopping;
    bool stopped;
};

struct checker {
    const struct history *history;
    const struct check_rules *rules;
    struct check_failure *failure;
    size_t at;
    int64_t now_ms;
    struct seen_partition *partitions;
    struct seen_epoch *epochs;
    struct seen_process *processes;
    uint32_t *lane_last; /* of the log: index of each lane's last record */
    uint32_t *lane_open; /* number of the event at which it had something unfinished, and 1 */
    uint32_t partitions_count;
    uint32_t epochs_count;
    uint32_t processes_count;
    uint32_t lanes_count;
    bool failed;
};

__attribute__((format(printf, 3, 4))) static void fail(struct checker *checker, unsigned number,
                                                       const char *format, ...)
{
    va_list arguments;

    if (checker->failed)
        return;
    checker->failed = true;
    checker->failure->checker = number;
    checker->failure->event = checker->at;
    va_start(arguments, format);
    vsnprintf(checker->failure->text, sizeof(checker->failure->text), format, arguments);
    va_end(arguments);
}

/* ---- memory ------------------------------------------------------------------------------ */

static void *zeroed(struct checker *checker, size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);

    if (memory == NULL)
        fail(checker, 0, "no memory to check the history");
    return memory;
}

/* Of a set of records. */
static size_t words_of(const struct seen_partition *partition)
{
    return partition->capacity / 64 + 1;
}

static bool has_bit(const uint64_t *set, uint32_t index)
{
    return set[index / 64] >> index % 64 & 1;
}

static void set_bit(uint64_t *set, uint32_t index)
{
    set[index / 64] |= UINT64_C(1) << index % 64;
}

static void measure(struct checker *checker)
{
    for (size_t i = 0; i < history_count(checker->history); i++) {
        const struct history_event *event = &checker->history->events[i];

        if (event->partition >= checker->partitions_count)
            checker->partitions_count = event->partition + 1U;
        if (event->epoch >= checker->epochs_count)
            checker->epochs_count = event->epoch + 1;
        if (event->process >= checker->processes_count)
            checker->processes_count = event->process + 1U;
        if (event->lane >= checker->lanes_count)
            checker->lanes_count = event->lane + 1;
    }
}

static void prepare(struct checker *checker)
{
    measure(checker);
    checker->partitions =
        zeroed(checker, checker->partitions_count, sizeof(*checker->partitions));
    checker->epochs = zeroed(checker, checker->epochs_count, sizeof(*checker->epochs));
    checker->processes = zeroed(checker, checker->processes_count, sizeof(*checker->processes));
    checker->lane_last = zeroed(checker, checker->lanes_count, sizeof(*checker->lane_last));
    checker->lane_open = zeroed(checker, checker->lanes_count, sizeof(*checker->lane_open));
    if (checker->failed)
        return;
    for (size_t i = 0; i < history_count(checker->history); i++)
        if (checker->history->events[i].type == HISTORY_APPEND)
            checker->partitions[checker->history->events[i].partition].capacity++;
    for (uint32_t i = 0; i < checker->partitions_count; i++) {
        struct seen_partition *partition = &checker->partitions[i];

        partition->first_from = partition->committed = -1;
        partition->records =
            zeroed(checker, partition->capacity, sizeof(*partition->records));
        partition->acknowledged =
            zeroed(checker, words_of(partition), sizeof(*partition->acknowledged));
    }
    for (uint32_t i = 0; i < checker->lanes_count; i++)
        checker->lane_last[i] = NONE;
    for (uint32_t i = 0; i < checker->processes_count; i++) {
        struct seen_process *process = &checker->processes[i];

        process->commit = -1;
        process->lanes = zeroed(checker, checker->lanes_count, sizeof(*process->lanes));
        for (uint32_t k = 0; process->lanes != NULL && k < checker->lanes_count; k++)
            process->lanes[k].last = NONE;
    }
}

static void forget(struct checker *checker)
{
    for (uint32_t i = 0; checker->partitions != NULL && i < checker->partitions_count; i++) {
        free(checker->partitions[i].records);
        free(checker->partitions[i].acknowledged);
    }
    for (uint32_t i = 0; checker->epochs != NULL && i < checker->epochs_count; i++)
        free(checker->epochs[i].finished);
    for (uint32_t i = 0; checker->processes != NULL && i < checker->processes_count; i++) {
        free(checker->processes[i].lanes);
        free(checker->processes[i].attempts);
    }
    free(checker->partitions);
    free(checker->epochs);
    free(checker->processes);
    free(checker->lane_last);
    free(checker->lane_open);
}

/* ---- the log ----------------------------------------------------------------------------- */

/* Index of the first record at or above offset. */
static uint32_t index_from(const struct seen_partition *partition, int64_t offset)
{
    uint32_t low = 0, high = partition->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (partition->records[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint32_t index_of(const struct seen_partition *partition, int64_t offset)
{
    uint32_t index = index_from(partition, offset);

    if (index == partition->count || partition->records[index].offset != offset)
        return NONE;
    return index;
}

static void on_append(struct checker *checker, const struct history_event *event)
{
    struct seen_partition *partition = &checker->partitions[event->partition];
    struct seen_record *record = &partition->records[partition->count];

    if (partition->count > 0 && record[-1].offset >= event->offset) {
        fail(checker, 0, "offsets of the log do not rise");
        return;
    }
    record->offset = event->offset;
    record->lane = event->lane;
    record->lane_previous = NONE;
    if (event->lane != 0) {
        record->lane_previous = checker->lane_last[event->lane];
        checker->lane_last[event->lane] = partition->count;
    }
    partition->count++;
    partition->end = event->offset + 1;
}

static void on_log_end(struct checker *checker, const struct history_event *event)
{
    struct seen_partition *partition = &checker->partitions[event->partition];

    if (event->offset > partition->end)
        partition->end = event->offset;
}

/* ---- epochs ------------------------------------------------------------------------------ */

/* The epoch of an event, if it is one of that process and partition. */
static struct seen_epoch *epoch_of(struct checker *checker, const struct history_event *event)
{
    struct seen_epoch *epoch = &checker->epochs[event->epoch];

    if (epoch->state != EPOCH_NONE && epoch->process == event->process &&
        epoch->partition == event->partition)
        return epoch;
    fail(checker, 5, "epoch %" PRIu32 " is not one of this process and partition", event->epoch);
    return NULL;
}

/* Of one block, which begins with finished. */
static void begin_sets(struct checker *checker, struct seen_epoch *epoch,
                       const struct seen_partition *partition, int64_t ceiling)
{
    size_t words = words_of(partition);

    epoch->finished = zeroed(checker, 5 * words, sizeof(*epoch->finished));
    if (epoch->finished == NULL)
        return;
    epoch->known = epoch->finished + words;
    epoch->heard = epoch->known + words;
    epoch->sent = epoch->heard + words;
    epoch->given = epoch->sent + words;
    for (uint32_t i = epoch->prefix;
         i < partition->count && partition->records[i].offset < ceiling; i++) {
        if (partition->records[i].finished)
            set_bit(epoch->known, i);
        if (has_bit(partition->acknowledged, i))
            set_bit(epoch->given, i);
    }
}

static void on_assign(struct checker *checker, const struct history_event *event)
{
    struct seen_epoch *epoch = &checker->epochs[event->epoch];
    struct seen_partition *partition = &checker->partitions[event->partition];

    if (epoch->state != EPOCH_NONE) {
        fail(checker, 8, "epoch %" PRIu32 " is used again", event->epoch);
        return;
    }
    for (uint32_t i = 0; i < checker->epochs_count; i++) {
        struct seen_epoch *other = &checker->epochs[i];

        if (other->process == event->process && other->partition == event->partition &&
            (other->state == EPOCH_ACTIVE || other->state == EPOCH_REVOKED)) {
            fail(checker, 5, "the partition came while its epoch %" PRIu32 " is there", i);
            return;
        }
    }
    epoch->state = EPOCH_ACTIVE;
    epoch->process = event->process;
    epoch->partition = event->partition;
    epoch->from = epoch->committed = event->offset;
    epoch->idle_ms = checker->processes[event->process].idle_ms;
    epoch->prefix = index_from(partition, event->offset);
    begin_sets(checker, epoch, partition, event->ceiling);
    if (partition->first_from < 0)
        partition->first_from = event->offset;
}

/* How far the epoch has finished everything, as an index. */
static uint32_t prefix_of(struct checker *checker, struct seen_epoch *epoch)
{
    uint32_t count = checker->partitions[epoch->partition].count;

    while (epoch->prefix < count && (has_bit(epoch->finished, epoch->prefix) ||
                                     has_bit(epoch->known, epoch->prefix)))
        epoch->prefix++;
    return epoch->prefix;
}

/* Whether all is committed without a gap that the epoch has finished, or was given as finished. */
static bool is_tight(struct checker *checker, const struct seen_epoch *epoch)
{
    const struct seen_partition *partition = &checker->partitions[epoch->partition];
    uint32_t index = index_from(partition, epoch->from);

    while (index < partition->count &&
           (has_bit(epoch->finished, index) ||
            (checker->rules->exact_maps && has_bit(epoch->given, index))))
        index++;
    return index_from(partition, epoch->committed) >= index;
}

static void on_leave(struct checker *checker, const struct history_event *event)
{
    struct seen_epoch *epoch = epoch_of(checker, event);

    if (epoch == NULL)
        return;
    if (epoch->state == EPOCH_GONE)
        fail(checker, 5, "epoch %" PRIu32 " goes twice", event->epoch);
    if (event->type == HISTORY_GIVEN_UP && checker->processes[event->process].stopping)
        epoch->loose = !event->result && !is_tight(checker, epoch);
    epoch->state = event->type == HISTORY_REVOKE ? EPOCH_REVOKED : EPOCH_GONE;
}

/* ---- handlers ---------------------------------------------------------------------------- */

static bool alive(struct checker *checker, const struct history_event *event)
{
    if (checker->processes[event->process].stopped && event->type != HISTORY_END &&
        event->type != HISTORY_RETURN)
        fail(checker, 11, "something happens after the stop");
    return !checker->failed;
}

static void on_deliver(struct checker *checker, const struct history_event *event)
{
    struct seen_partition *partition = &checker->partitions[event->partition];
    uint32_t index = index_of(partition, event->offset);

    if (!alive(checker, event) || epoch_of(checker, event) == NULL)
        return;
    if (index == NONE) {
        fail(checker, 0, "a record was taken in that the log does not have");
    } else {
        partition->records[index].delivered_idle_ms =
            checker->processes[event->process].idle_ms;
        partition->records[index].delivered_epoch = event->epoch;
    }
}

static void check_order(struct checker *checker, const struct history_event *event,
                        const struct seen_partition *partition, uint32_t index)
{
    const struct seen_record *record = &partition->records[index];
    const struct seen_lane *lane = &checker->processes[event->process].lanes[record->lane];
    const struct seen_epoch *epoch = &checker->epochs[event->epoch];

    if (lane->open > 0) {
        fail(checker, 2, "it starts while offset %" PRId64 " of its lane runs",
             partition->records[lane->last].offset);
    } else if (lane->last != NONE && lane->last_epoch == event->epoch) {
        if ((lane->last == index || has_bit(epoch->finished, index)) && lane->last_finished)
            return; /* a repeat, which is C6's */
        if (!lane->last_finished &&
            (lane->last != index || event->attempt != lane->last_attempt + 1))
            fail(checker, 2, "it starts before offset %" PRId64 " of its lane is finished",
                 partition->records[lane->last].offset);
        else if (lane->last_finished && record->lane_previous != lane->last)
            fail(checker, 2, "it is not the next of its lane after offset %" PRId64,
                 partition->records[lane->last].offset);
    } else if (record->lane_previous != NONE &&
               partition->records[record->lane_previous].offset >= epoch->from &&
               !has_bit(epoch->known, record->lane_previous)) {
        fail(checker, 2, "the first of its lane in this epoch would be offset %" PRId64,
             partition->records[record->lane_previous].offset);
    }
}

static void check_in_time(struct checker *checker, const struct history_event *event,
                          const struct seen_record *record)
{
    const struct seen_process *process = &checker->processes[event->process];
    const struct seen_lane *lane = &process->lanes[record->lane];
    /* What lies below the ceiling was not taken in, but there from the begin. */
    int64_t since_ms = record->delivered_epoch == event->epoch
                           ? record->delivered_idle_ms
                           : checker->epochs[event->epoch].idle_ms;
    int64_t waited_ms;

    if (record->lane != 0 && lane->last != NONE && lane->idle_ms > since_ms)
        since_ms = lane->idle_ms;
    waited_ms = process->idle_ms - since_ms;
    if (event->attempt > 1 && record->lane == 0)
        return;
    if (event->attempt > 1)
        waited_ms -= lane->ready_ms;
    if (waited_ms > checker->rules->start_within_ms)
        fail(checker, 10, "it could run for %" PRId64 "ms while workers were idle", waited_ms);
}

/* The attempt that runs, of this number or of any. */
static struct seen_attempt *attempt_find(struct checker *checker,
                                         const struct history_event *event, bool any)
{
    struct seen_process *process = &checker->processes[event->process];
    const struct seen_partition *partition = &checker->partitions[event->partition];

    for (uint32_t i = 0; i < process->attempts_count; i++) {
        struct seen_attempt *attempt = &process->attempts[i];

        if (attempt->epoch == event->epoch && (any || attempt->attempt == event->attempt) &&
            checker->epochs[attempt->epoch].partition == event->partition &&
            partition->records[attempt->record].offset == event->offset)
            return attempt;
    }
    return NULL;
}

static void attempt_open(struct checker *checker, struct seen_process *process,
                         const struct history_event *event, uint32_t index)
{
    if (process->attempts_count == process->attempts_capacity) {
        uint32_t capacity = process->attempts_capacity * 2 + 16;
        struct seen_attempt *attempts =
            realloc(process->attempts, capacity * sizeof(*attempts));

        if (attempts == NULL) {
            fail(checker, 0, "no memory to check the history");
            return;
        }
        process->attempts = attempts;
        process->attempts_capacity = capacity;
    }
    process->attempts[process->attempts_count++] = (struct seen_attempt){
        .record = index, .epoch = event->epoch, .attempt = event->attempt};
    process->busy++;
}

static void on_start(struct checker *checker, const struct history_event *event)
{
    struct seen_partition *partition = &checker->partitions[event->partition];
    struct seen_process *process = &checker->processes[event->process];
    uint32_t index = index_of(partition, event->offset);
    struct seen_epoch *epoch;
    struct seen_record *record;
    struct seen_lane *lane;

    if (!alive(checker, event) || (epoch = epoch_of(checker, event)) == NULL)
        return;
    if (epoch->state != EPOCH_ACTIVE)
        fail(checker, 8, "it starts after its epoch was fenced");
    if (index == NONE) {
        fail(checker, 0, "a record starts that the log does not have");
        return;
    }
    record = &partition->records[index];
    lane = &process->lanes[record->lane];
    if (event->offset < epoch->from ||
        (has_bit(epoch->finished, index) && !checker->rules->clashes))
        fail(checker, 6, "it was finished before, or lies before its epoch");
    if (checker->rules->exact_maps && has_bit(epoch->given, index))
        fail(checker, 6, "it is repeated, though it was committed as finished");
    if (record->finished && !checker->rules->repeats)
        fail(checker, 6, "it is repeated, without a fault that could be the reason");
    if (record->lane != 0)
        check_order(checker, event, partition, index);
    else if (attempt_find(checker, event, true) != NULL)
        fail(checker, 2, "it starts while it runs");
    check_in_time(checker, event, record);
    attempt_open(checker, process, event, index);
    lane->open++;
    lane->last = index;
    lane->last_epoch = event->epoch;
    lane->last_attempt = event->attempt;
    lane->last_finished = false;
}

static struct seen_attempt *attempt_of(struct checker *checker, const struct history_event *event)
{
    struct seen_attempt *attempt = attempt_find(checker, event, false);

    if (attempt == NULL)
        fail(checker, 8, "what ends or returns was not running");
    return attempt;
}

static void on_return(struct checker *checker, const struct history_event *event)
{
    struct seen_attempt *attempt = attempt_of(checker, event);

    if (attempt == NULL)
        return;
    if (attempt->returned)
        fail(checker, 8, "it returns twice");
    attempt->returned = true;
    checker->processes[event->process].busy--;
}

static void on_end(struct checker *checker, const struct history_event *event)
{
    struct seen_process *process = &checker->processes[event->process];
    struct seen_attempt *attempt = attempt_of(checker, event);
    struct seen_record *record;
    struct seen_lane *lane;

    if (attempt == NULL)
        return;
    record = &checker->partitions[event->partition].records[attempt->record];
    lane = &process->lanes[record->lane];
    lane->open--;
    lane->idle_ms = process->idle_ms;
    lane->ready_ms = 0;
    if (event->result == HISTORY_RETRY) {
        lane->ready_ms = event->value;
    } else {
        struct seen_epoch *epoch = &checker->epochs[event->epoch];

        record->finished = true;
        set_bit(epoch->finished, attempt->record);
        lane->last_finished = true;
    }
    if (!attempt->returned)
        process->busy--;
    *attempt = process->attempts[--process->attempts_count];
}

/* ---- commits ----------------------------------------------------------------------------- */

static void on_heard(struct checker *checker, const struct history_event *event)
{
    struct seen_epoch *epoch = epoch_of(checker, event);
    uint32_t index = index_of(&checker->partitions[event->partition], event->offset);

    if (epoch == NULL)
        return;
    if (index == NONE || !has_bit(epoch->finished, index))
        fail(checker, 6, "it is heard of as finished, which it is not");
    else
        set_bit(epoch->heard, index);
}

/* What the commit says: of each lane what was finished without a gap. */
static void note_sent(struct checker *checker, struct seen_epoch *epoch, int64_t ceiling)
{
    const struct seen_partition *partition = &checker->partitions[epoch->partition];
    uint32_t number = (uint32_t)checker->at + 1;

    memset(epoch->sent, 0, words_of(partition) * sizeof(*epoch->sent));
    for (uint32_t i = index_from(partition, epoch->from);
         i < partition->count && partition->records[i].offset < ceiling; i++) {
        uint32_t lane = partition->records[i].lane;

        if (!has_bit(epoch->heard, i) && !has_bit(epoch->given, i))
            checker->lane_open[lane] = lane == 0 ? 0 : number;
        else if (checker->lane_open[lane] != number)
            set_bit(epoch->sent, i);
    }
}

static void on_sent(struct checker *checker, const struct history_event *event)
{
    struct seen_partition *partition = &checker->partitions[event->partition];
    struct seen_process *process = &checker->processes[event->process];
    struct seen_epoch *epoch;
    uint32_t index;

    if (!alive(checker, event) || (epoch = epoch_of(checker, event)) == NULL)
        return;
    if (epoch->state == EPOCH_GONE)
        fail(checker, 5, "a commit for an epoch that is gone");
    if (process->commit >= 0 && process->commit != event->value)
        fail(checker, 4, "a commit while commit %" PRId64 " is out", process->commit);
    process->commit = event->value;
    index = prefix_of(checker, epoch);
    if (event->offset < epoch->from)
        fail(checker, 4, "a commit below where its epoch began");
    if (index < partition->count && event->offset > partition->records[index].offset)
        fail(checker, 3, "a commit past offset %" PRId64 ", which is not finished",
             partition->records[index].offset);
    /* Where the epoch began may be committed as it is, whatever the log holds by then. */
    if (event->offset > epoch->from && event->offset > partition->end)
        fail(checker, 3, "a commit past the end of the log");
    note_sent(checker, epoch, event->ceiling);
}

static void on_committed(struct checker *checker, const struct history_event *event)
{
    struct seen_partition *partition = &checker->partitions[event->partition];
    struct seen_epoch *epoch = epoch_of(checker, event);

    if (epoch == NULL)
        return;
    if (event->offset < partition->committed)
        fail(checker, 4, "the committed offset falls from %" PRId64, partition->committed);
    partition->committed = epoch->committed = event->offset;
    memcpy(partition->acknowledged, epoch->sent,
           words_of(partition) * sizeof(*partition->acknowledged));
}

static void on_answered(struct checker *checker, const struct history_event *event)
{
    struct seen_process *process = &checker->processes[event->process];

    if (process->commit != event->value)
        fail(checker, 4, "an answer to a commit that is not out");
    process->commit = -1;
}

/* ---- processes --------------------------------------------------------------------------- */

static void on_workers(struct checker *checker, const struct history_event *event)
{
    struct seen_process *process = &checker->processes[event->process];

    process->workers = event->value;
    process->stopping = process->stopped = false;
}

static void on_crash(struct checker *checker, const struct history_event *event)
{
    struct seen_process *process = &checker->processes[event->process];

    for (uint32_t i = 0; i < checker->epochs_count; i++) {
        struct seen_epoch *epoch = &checker->epochs[i];

        if (epoch->state == EPOCH_NONE || epoch->process != event->process)
            continue;
        epoch->state = EPOCH_GONE;
        epoch->loose = false;
    }
    for (uint32_t i = 0; i < checker->lanes_count; i++)
        process->lanes[i] = (struct seen_lane){.last = NONE};
    process->attempts_count = 0;
    process->busy = process->workers = 0;
    process->commit = -1;
    process->stopping = process->stopped = false;
}

static void on_stopped(struct checker *checker, const struct history_event *event)
{
    struct seen_process *process = &checker->processes[event->process];

    if (!process->stopping)
        fail(checker, 11, "it stopped unasked");
    if (checker->now_ms > process->stop_deadline_ms + checker->rules->stop_slack_ms)
        fail(checker, 11, "it stopped after its deadline");
    process->stopped = true;
    if (event->result && process->attempts_count > 0)
        fail(checker, 11, "a clean stop with handlers that run");
    for (uint32_t i = 0; i < checker->epochs_count; i++) {
        struct seen_epoch *epoch = &checker->epochs[i];

        if (epoch->process != event->process)
            continue;
        if (epoch->state == EPOCH_ACTIVE || epoch->state == EPOCH_REVOKED)
            fail(checker, 11, "it stopped and kept a partition");
        if (event->result && epoch->loose)
            fail(checker, 11, "p%u is not committed exactly as far as it is finished",
                 epoch->partition);
        epoch->loose = false;
    }
}

static void on_measured(struct checker *checker, const struct history_event *event)
{
    if (event->type == HISTORY_BOUND && event->offset > event->value)
        fail(checker, 12, "%s: %" PRId64 " is past the limit of %" PRId64, event->name,
             event->offset, event->value);
    if (event->type == HISTORY_LEFT && event->value != 0)
        fail(checker, 9, "%s: %" PRId64 " left", event->name, event->value);
}

/* ---- all of it --------------------------------------------------------------------------- */

static void pass_time(struct checker *checker, int64_t now_ms)
{
    int64_t passed_ms = now_ms - checker->now_ms;

    if (passed_ms < 0)
        fail(checker, 0, "time runs backwards");
    if (passed_ms <= 0)
        return;
    for (uint32_t i = 0; i < checker->processes_count; i++)
        if (checker->processes[i].busy < checker->processes[i].workers)
            checker->processes[i].idle_ms += passed_ms;
    checker->now_ms = now_ms;
}

typedef void (*on_event_fn)(struct checker *checker, const struct history_event *event);

static void on_stop(struct checker *checker, const struct history_event *event)
{
    struct seen_process *process = &checker->processes[event->process];

    process->stopping = true;
    process->stop_deadline_ms = event->value;
}

static const on_event_fn on_event[HISTORY_TYPES] = {
    [HISTORY_APPEND] = on_append,       [HISTORY_LOG_END] = on_log_end,
    [HISTORY_WORKERS] = on_workers,
    [HISTORY_ASSIGN] = on_assign,       [HISTORY_REVOKE] = on_leave,
    [HISTORY_GIVEN_UP] = on_leave,      [HISTORY_LOST] = on_leave,
    [HISTORY_DELIVER] = on_deliver,     [HISTORY_START] = on_start,
    [HISTORY_RETURN] = on_return,       [HISTORY_END] = on_end,
    [HISTORY_HEARD] = on_heard,
    [HISTORY_SENT] = on_sent,           [HISTORY_COMMITTED] = on_committed,
    [HISTORY_ANSWERED] = on_answered,   [HISTORY_CRASH] = on_crash,
    [HISTORY_STOP] = on_stop,           [HISTORY_STOPPED] = on_stopped,
    [HISTORY_BOUND] = on_measured,      [HISTORY_LEFT] = on_measured,
};

static void check_loss(struct checker *checker)
{
    for (uint32_t p = 0; p < checker->partitions_count; p++) {
        const struct seen_partition *partition = &checker->partitions[p];
        uint32_t index = index_from(partition, partition->first_from);

        for (; index < partition->count; index++)
            if (!partition->records[index].finished)
                fail(checker, 1, "p%" PRIu32 " @%" PRId64 " never finished", p,
                     partition->records[index].offset);
    }
}

bool check_history(const struct history *history, const struct check_rules *rules,
                   struct check_failure *failure)
{
    struct checker checker = {.history = history, .rules = rules, .failure = failure};

    *failure = (struct check_failure){0};
    if (!history_is_whole(history))
        fail(&checker, 0, "the history was too short for the run");
    prepare(&checker);
    for (; !checker.failed && checker.at < history_count(history); checker.at++) {
        const struct history_event *event = &history->events[checker.at];

        pass_time(&checker, event->time_ms);
        if (on_event[event->type] != NULL)
            on_event[event->type](&checker, event);
        if (checker.failed)
            break;
    }
    if (!checker.failed && rules->drained)
        check_loss(&checker);
    forget(&checker);
    return !checker.failed;
}
