/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers and commits. */
#include "sim/checkers_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- handlers ---------------------------------------------------------------------------- */

static bool alive(struct checker *checker, const struct history_event *event)
{
    if (checker->processes[event->process].stopped && event->type != HISTORY_END &&
        event->type != HISTORY_RETURN)
        checker_fail(checker, 11, "something happens after the stop");
    return !checker->failed;
}

void checker_on_deliver(struct checker *checker, const struct history_event *event)
{
    struct seen_partition *partition = &checker->partitions[event->partition];
    uint32_t index = checker_index_of(partition, event->offset);

    struct seen_epoch *epoch;

    if (!alive(checker, event) || (epoch = checker_epoch_of(checker, event)) == NULL)
        return;
    if (index == NONE || partition->records[index].gone) {
        checker_fail(checker, 0, "a record was taken in that the log does not have");
        return;
    }
    partition->records[index].delivered_idle_ms = checker->processes[event->process].idle_ms;
    partition->records[index].delivered_epoch = event->epoch;
    set_bit(epoch->taken, index);
    epoch->reached = event->offset + 1;
}

/* The record before it in its lane that has to run before it, or is the lane's last; NONE: there
 * is none. What has gone from the log need not run. */
static uint32_t previous_of(const struct seen_partition *partition, uint32_t index, uint32_t last)
{
    uint32_t previous = partition->records[index].lane_previous;

    while (previous != NONE && previous != last && partition->records[previous].gone)
        previous = partition->records[previous].lane_previous;
    return previous;
}

static void check_order(struct checker *checker, const struct history_event *event,
                        const struct seen_partition *partition, uint32_t index)
{
    const struct seen_record *record = &partition->records[index];
    const struct seen_lane *lane = &checker->processes[event->process].lanes[record->lane];
    const struct seen_epoch *epoch = &checker->epochs[event->epoch];
    uint32_t previous = previous_of(partition, index, lane->last);

    if (lane->open > 0) {
        checker_fail(checker, 2, "it starts while offset %" PRId64 " of its lane runs",
                     partition->records[lane->last].offset);
    } else if (lane->last != NONE && lane->last_epoch == event->epoch) {
        /* What waited for a retry may be gone too, when it was parked; that is told in time. */
        bool is_over = lane->last_finished ||
                       (lane->last != index && partition->records[lane->last].gone);

        if ((lane->last == index || has_bit(epoch->finished, index)) && lane->last_finished)
            return; /* a repeat, which is C6's */
        if (!is_over &&
            (lane->last != index || event->attempt != lane->last_attempt + 1))
            checker_fail(checker, 2,
                         "it starts before offset %" PRId64 " of its lane is finished",
                         partition->records[lane->last].offset);
        else if (is_over && previous != lane->last)
            checker_fail(checker, 2, "it is not the next of its lane after offset %" PRId64,
                         partition->records[lane->last].offset);
    } else if (previous != NONE && partition->records[previous].offset >= epoch->from &&
               !partition->records[previous].gone && !has_bit(epoch->known, previous)) {
        checker_fail(checker, 2, "the first of its lane in this epoch would be offset %" PRId64,
                     partition->records[previous].offset);
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
        checker_fail(checker, 10, "it could run for %" PRId64 "ms while workers were idle",
                     waited_ms);
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
        struct seen_attempt *attempts = realloc(process->attempts, capacity * sizeof(*attempts));

        if (attempts == NULL) {
            checker_fail(checker, 0, "no memory to check the history");
            return;
        }
        process->attempts = attempts;
        process->attempts_capacity = capacity;
    }
    process->attempts[process->attempts_count++] =
        (struct seen_attempt){.record = index, .epoch = event->epoch, .attempt = event->attempt};
    process->busy++;
}

void checker_on_start(struct checker *checker, const struct history_event *event)
{
    struct seen_partition *partition = &checker->partitions[event->partition];
    struct seen_process *process = &checker->processes[event->process];
    uint32_t index = checker_index_of(partition, event->offset);
    struct seen_epoch *epoch;
    struct seen_record *record;
    struct seen_lane *lane;

    if (!alive(checker, event) || (epoch = checker_epoch_of(checker, event)) == NULL)
        return;
    if (epoch->state != EPOCH_ACTIVE)
        checker_fail(checker, 8, "it starts after its epoch was fenced");
    if (index == NONE || !partition->records[index].appended) {
        checker_fail(checker, 0, "a record starts that the log does not have");
        return;
    }
    record = &partition->records[index];
    lane = &process->lanes[record->lane];
    if (event->offset < epoch->from ||
        (has_bit(epoch->finished, index) && !checker->rules->clashes))
        checker_fail(checker, 6, "it was finished before, or lies before its epoch");
    if (checker->rules->exact_maps && has_bit(epoch->given, index))
        checker_fail(checker, 6, "it is repeated, though it was committed as finished");
    if (record->finished && !checker->rules->repeats)
        checker_fail(checker, 6, "it is repeated, without a fault that could be the reason");
    if (has_bit(epoch->told, index))
        checker_fail(checker, 13, "it was said to be gone");
    record->starts++;
    if (checker->rules->true_attempts && event->attempt > record->starts)
        checker_fail(checker, 14, "it has not had so many attempts");
    if (record->lane != 0)
        check_order(checker, event, partition, index);
    else if (attempt_find(checker, event, true) != NULL)
        checker_fail(checker, 2, "it starts while it runs");
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
        checker_fail(checker, 8, "what ends or returns was not running");
    return attempt;
}

void checker_on_return(struct checker *checker, const struct history_event *event)
{
    struct seen_attempt *attempt = attempt_of(checker, event);

    if (attempt == NULL)
        return;
    if (attempt->returned)
        checker_fail(checker, 8, "it returns twice");
    attempt->returned = true;
    checker->processes[event->process].busy--;
}

void checker_on_end(struct checker *checker, const struct history_event *event)
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

void checker_on_heard(struct checker *checker, const struct history_event *event)
{
    struct seen_epoch *epoch = checker_epoch_of(checker, event);
    uint32_t index = checker_index_of(&checker->partitions[event->partition], event->offset);

    if (epoch == NULL)
        return;
    if (index == NONE || !has_bit(epoch->finished, index))
        checker_fail(checker, 6, "it is heard of as finished, which it is not");
    else
        set_bit(epoch->heard, index);
}

void checker_on_head_gone(struct checker *checker, const struct history_event *event)
{
    const struct seen_partition *partition = &checker->partitions[event->partition];
    struct seen_epoch *epoch = checker_epoch_of(checker, event);
    uint32_t index = checker_index_of(partition, event->offset);

    if (epoch == NULL)
        return;
    if (index == NONE || !partition->records[index].appended ||
        !partition->records[index].gone)
        checker_fail(checker, 13, "it is said to be gone, which it is not");
    else if (has_bit(epoch->told, index))
        checker_fail(checker, 13, "it is said to be gone again");
    else if (has_bit(epoch->finished, index))
        checker_fail(checker, 13, "it is said to be gone unfinished, and was finished");
    else
        set_bit(epoch->told, index);
}

/* What the commit says: of each lane what was finished without a gap. */
static void note_sent(struct checker *checker, struct seen_epoch *epoch, int64_t ceiling)
{
    const struct seen_partition *partition = &checker->partitions[epoch->partition];
    uint32_t number = (uint32_t)checker->at + 1;

    memset(epoch->sent, 0, words_of(partition) * sizeof(*epoch->sent));
    for (uint32_t i = checker_index_from(partition, epoch->from);
         i < partition->count && partition->records[i].offset < ceiling; i++) {
        uint32_t lane = partition->records[i].lane;

        /* What has gone from the log is either finished here or of no account. */
        if (!has_bit(epoch->heard, i) && !has_bit(epoch->given, i) &&
            partition->records[i].gone)
            continue;
        if (!has_bit(epoch->heard, i) && !has_bit(epoch->given, i))
            checker->lane_open[lane] = lane == 0 ? 0 : number;
        else if (checker->lane_open[lane] != number)
            set_bit(epoch->sent, i);
    }
}

void checker_on_sent(struct checker *checker, const struct history_event *event)
{
    struct seen_partition *partition = &checker->partitions[event->partition];
    struct seen_process *process = &checker->processes[event->process];
    struct seen_epoch *epoch;
    uint32_t index;

    if (!alive(checker, event) || (epoch = checker_epoch_of(checker, event)) == NULL)
        return;
    if (epoch->state == EPOCH_GONE)
        checker_fail(checker, 5, "a commit for an epoch that is gone");
    if (process->commit >= 0 && process->commit != event->value)
        checker_fail(checker, 4, "a commit while commit %" PRId64 " is out", process->commit);
    process->commit = event->value;
    index = checker_prefix_of(checker, epoch);
    if (event->offset < epoch->from)
        checker_fail(checker, 4, "a commit below where its epoch began");
    if (index < partition->count && event->offset > partition->records[index].offset)
        checker_fail(checker, 3, "a commit past offset %" PRId64 ", which is not finished",
                     partition->records[index].offset);
    /* Where the epoch began may be committed as it is, whatever the log holds by then. */
    if (event->offset > epoch->from && event->offset > partition->end &&
        event->offset > epoch->end)
        checker_fail(checker, 3, "a commit past the end of the log");
    note_sent(checker, epoch, event->ceiling);
}

void checker_on_committed(struct checker *checker, const struct history_event *event)
{
    struct seen_partition *partition = &checker->partitions[event->partition];
    struct seen_epoch *epoch = checker_epoch_of(checker, event);

    if (epoch == NULL)
        return;
    /* Who has begun since the log was cut has begun anew. */
    if (event->offset < partition->committed && epoch->cuts <= partition->committed_cuts)
        checker_fail(checker, 4, "the committed offset falls from %" PRId64,
                     partition->committed);
    partition->committed = epoch->committed = event->offset;
    partition->committed_cuts = epoch->cuts;
    memcpy(partition->acknowledged, epoch->sent,
           words_of(partition) * sizeof(*partition->acknowledged));
}

void checker_on_answered(struct checker *checker, const struct history_event *event)
{
    struct seen_process *process = &checker->processes[event->process];

    if (process->commit != event->value)
        checker_fail(checker, 4, "an answer to a commit that is not out");
    process->commit = -1;
}
