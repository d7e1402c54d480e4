/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/checkers_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

void checker_fail(struct checker *checker, unsigned number, const char *format, ...)
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

void *checker_zeroed(struct checker *checker, size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);

    if (memory == NULL)
        checker_fail(checker, 0, "no memory to check the history");
    return memory;
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
        checker_zeroed(checker, checker->partitions_count, sizeof(*checker->partitions));
    checker->epochs = checker_zeroed(checker, checker->epochs_count, sizeof(*checker->epochs));
    checker->processes =
        checker_zeroed(checker, checker->processes_count, sizeof(*checker->processes));
    checker->lane_last =
        checker_zeroed(checker, checker->lanes_count, sizeof(*checker->lane_last));
    checker->lane_open =
        checker_zeroed(checker, checker->lanes_count, sizeof(*checker->lane_open));
    if (checker->failed)
        return;
    for (size_t i = 0; i < history_count(checker->history); i++)
        if (checker->history->events[i].type == HISTORY_APPEND)
            checker->partitions[checker->history->events[i].partition].capacity++;
    for (uint32_t i = 0; i < checker->partitions_count; i++) {
        struct seen_partition *partition = &checker->partitions[i];

        partition->first_from = partition->committed = -1;
        partition->records =
            checker_zeroed(checker, partition->capacity, sizeof(*partition->records));
        partition->acknowledged =
            checker_zeroed(checker, words_of(partition), sizeof(*partition->acknowledged));
    }
    for (uint32_t i = 0; i < checker->lanes_count; i++)
        checker->lane_last[i] = NONE;
    if (!checker->failed)
        checker_prepare_log(checker);
    for (uint32_t i = 0; i < checker->processes_count; i++) {
        struct seen_process *process = &checker->processes[i];

        process->commit = -1;
        process->lanes = checker_zeroed(checker, checker->lanes_count, sizeof(*process->lanes));
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
        checker_fail(checker, 11, "it stopped unasked");
    if (checker->now_ms > process->stop_deadline_ms + checker->rules->stop_slack_ms)
        checker_fail(checker, 11, "it stopped after its deadline");
    process->stopped = true;
    if (event->result && process->attempts_count > 0)
        checker_fail(checker, 11, "a clean stop with handlers that run");
    for (uint32_t i = 0; i < checker->epochs_count; i++) {
        struct seen_epoch *epoch = &checker->epochs[i];

        if (epoch->process != event->process)
            continue;
        if (epoch->state == EPOCH_ACTIVE || epoch->state == EPOCH_REVOKED)
            checker_fail(checker, 11, "it stopped and kept a partition");
        if (event->result && epoch->loose)
            checker_fail(checker, 11, "p%u is not committed exactly as far as it is finished",
                         epoch->partition);
        epoch->loose = false;
    }
}

static void on_measured(struct checker *checker, const struct history_event *event)
{
    if (event->type == HISTORY_BOUND && event->offset > event->value)
        checker_fail(checker, 12, "%s: %" PRId64 " is past the limit of %" PRId64, event->name,
                     event->offset, event->value);
    if (event->type == HISTORY_LEFT && event->value != 0)
        checker_fail(checker, 9, "%s: %" PRId64 " left", event->name, event->value);
}

/* ---- all of it --------------------------------------------------------------------------- */

static void pass_time(struct checker *checker, int64_t now_ms)
{
    int64_t passed_ms = now_ms - checker->now_ms;

    if (passed_ms < 0)
        checker_fail(checker, 0, "time runs backwards");
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
    [HISTORY_APPEND] = checker_on_append,
    [HISTORY_LOG_END] = checker_on_log_end,
    [HISTORY_GONE] = checker_on_gone,
    [HISTORY_CUT] = checker_on_cut,
    [HISTORY_WORKERS] = on_workers,
    [HISTORY_ASSIGN] = checker_on_assign,
    [HISTORY_REVOKE] = checker_on_leave,
    [HISTORY_GIVEN_UP] = checker_on_leave,
    [HISTORY_LOST] = checker_on_leave,
    [HISTORY_DELIVER] = checker_on_deliver,
    [HISTORY_START] = checker_on_start,
    [HISTORY_RETURN] = checker_on_return,
    [HISTORY_END] = checker_on_end,
    [HISTORY_HEARD] = checker_on_heard,
    [HISTORY_HEAD_GONE] = checker_on_head_gone,
    [HISTORY_STATE] = checker_on_state,
    [HISTORY_FREE] = checker_on_free,
    [HISTORY_FREED] = checker_on_freed,
    [HISTORY_DRAINED] = checker_on_drained,
    [HISTORY_SENT] = checker_on_sent,
    [HISTORY_COMMITTED] = checker_on_committed,
    [HISTORY_ANSWERED] = checker_on_answered,
    [HISTORY_CRASH] = on_crash,
    [HISTORY_STOP] = on_stop,
    [HISTORY_STOPPED] = on_stopped,
    [HISTORY_BOUND] = on_measured,
    [HISTORY_LEFT] = on_measured,
};

static void check_loss(struct checker *checker)
{
    for (uint32_t p = 0; p < checker->partitions_count; p++) {
        const struct seen_partition *partition = &checker->partitions[p];
        uint32_t index = checker_index_from(partition, partition->first_from);

        for (; index < partition->count; index++)
            if (!partition->records[index].finished && !partition->records[index].gone)
                checker_fail(checker, 1, "p%" PRIu32 " @%" PRId64 " never finished", p,
                             partition->records[index].offset);
    }
}

bool check_history(const struct history *history, const struct check_rules *rules,
                   struct check_failure *failure)
{
    struct checker checker = {.history = history, .rules = rules, .failure = failure};

    *failure = (struct check_failure){0};
    if (!history_is_whole(history))
        checker_fail(&checker, 0, "the history was too short for the run");
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
