/* SPDX-License-Identifier: Apache-2.0 */
/* The log, and who has which part of it. */
#include "sim/by_offset.h"
#include "sim/checkers_internal.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- the log ----------------------------------------------------------------------------- */

uint32_t checker_index_from(const struct seen_partition *partition, int64_t offset)
{
    return index_by_offset(partition->records, partition->capacity, sizeof(*partition->records),
                           offset);
}

uint32_t checker_index_of(const struct seen_partition *partition, int64_t offset)
{
    uint32_t index = checker_index_from(partition, offset);

    if (index == partition->capacity || partition->records[index].offset != offset)
        return NONE;
    return index;
}

static int by_offset(const void *left, const void *right)
{
    int64_t a = ((const struct seen_record *)left)->offset;
    int64_t b = ((const struct seen_record *)right)->offset;

    return (a > b) - (a < b);
}

static void chain_lanes(struct checker *checker, struct seen_partition *partition)
{
    for (uint32_t i = 0; i < partition->capacity; i++) {
        struct seen_record *record = &partition->records[i];

        record->lane_previous = NONE;
        if (record->lane == 0)
            continue;
        record->lane_previous = checker->lane_last[record->lane];
        checker->lane_last[record->lane] = i;
    }
}

void checker_prepare_log(struct checker *checker)
{
    const struct history_event *events = checker->history->events;

    for (size_t i = 0; i < history_count(checker->history); i++) {
        struct seen_partition *partition = &checker->partitions[events[i].partition];

        if (events[i].type == HISTORY_CUT)
            partition->cuts++;
        if (events[i].type == HISTORY_APPEND)
            partition->records[partition->count++] = (struct seen_record){
                .offset = events[i].offset, .lane = events[i].lane, .gone = true};
    }
    for (uint32_t p = 0; p < checker->partitions_count; p++) {
        struct seen_partition *partition = &checker->partitions[p];

        /* Only then they do not come in order. */
        if (partition->cuts > 0)
            qsort(partition->records, partition->count, sizeof(*partition->records), by_offset);
        partition->count = partition->cuts = 0;
        chain_lanes(checker, partition);
    }
}

void checker_on_append(struct checker *checker, const struct history_event *event)
{
    struct seen_partition *partition = &checker->partitions[event->partition];
    uint32_t index = checker_index_of(partition, event->offset);

    if (index == NONE || index < partition->count || partition->records[index].appended) {
        checker_fail(checker, 0, "offsets of the log do not rise, or come again");
        return;
    }
    partition->records[index].appended = true;
    partition->records[index].gone = false;
    partition->count = index + 1;
    partition->end = event->offset + 1;
}

/* Epochs that have read further may go on to commit what they have read. */
void checker_on_cut(struct checker *checker, const struct history_event *event)
{
    struct seen_partition *partition = &checker->partitions[event->partition];

    for (uint32_t i = 0; i < checker->epochs_count; i++) {
        struct seen_epoch *epoch = &checker->epochs[i];

        if (epoch->state != EPOCH_NONE && epoch->partition == event->partition &&
            epoch->end < partition->end)
            epoch->end = partition->end;
    }
    for (uint32_t i = checker_index_from(partition, event->offset); i < partition->count; i++)
        partition->records[i].gone = true;
    partition->count = checker_index_from(partition, event->offset);
    partition->end = event->offset;
    partition->cuts++;
}

void checker_on_log_end(struct checker *checker, const struct history_event *event)
{
    struct seen_partition *partition = &checker->partitions[event->partition];

    if (event->offset > partition->end)
        partition->end = event->offset;
}

void checker_on_gone(struct checker *checker, const struct history_event *event)
{
    struct seen_partition *partition = &checker->partitions[event->partition];
    uint32_t index = checker_index_of(partition, event->offset);

    if (index == NONE || partition->records[index].gone)
        checker_fail(checker, 0, "a record goes that the log does not have");
    else
        partition->records[index].gone = true;
}

/* ---- epochs ------------------------------------------------------------------------------ */

struct seen_epoch *checker_epoch_of(struct checker *checker, const struct history_event *event)
{
    struct seen_epoch *epoch = &checker->epochs[event->epoch];

    if (epoch->state != EPOCH_NONE && epoch->process == event->process &&
        epoch->partition == event->partition)
        return epoch;
    checker_fail(checker, 5, "epoch %" PRIu32 " is not one of this process and partition",
                 event->epoch);
    return NULL;
}

/* Of one block, which begins with finished. */
static void begin_sets(struct checker *checker, struct seen_epoch *epoch,
                       const struct seen_partition *partition, int64_t ceiling)
{
    size_t words = words_of(partition);

    epoch->finished = checker_zeroed(checker, 7 * words, sizeof(*epoch->finished));
    if (epoch->finished == NULL)
        return;
    epoch->known = epoch->finished + words;
    epoch->heard = epoch->known + words;
    epoch->sent = epoch->heard + words;
    epoch->given = epoch->sent + words;
    epoch->taken = epoch->given + words;
    epoch->told = epoch->taken + words;
    for (uint32_t i = epoch->prefix;
         i < partition->count && partition->records[i].offset < ceiling; i++) {
        if (partition->records[i].finished)
            set_bit(epoch->known, i);
        if (has_bit(partition->acknowledged, i))
            set_bit(epoch->given, i);
    }
}

void checker_on_assign(struct checker *checker, const struct history_event *event)
{
    struct seen_epoch *epoch = &checker->epochs[event->epoch];
    struct seen_partition *partition = &checker->partitions[event->partition];

    if (epoch->state != EPOCH_NONE) {
        checker_fail(checker, 8, "epoch %" PRIu32 " is used again", event->epoch);
        return;
    }
    for (uint32_t i = 0; i < checker->epochs_count; i++) {
        struct seen_epoch *other = &checker->epochs[i];

        if (other->process == event->process && other->partition == event->partition &&
            (other->state == EPOCH_ACTIVE || other->state == EPOCH_REVOKED)) {
            checker_fail(checker, 5, "the partition came while its epoch %" PRIu32 " is there",
                         i);
            return;
        }
    }
    epoch->state = EPOCH_ACTIVE;
    /* Where it begins with what was committed, behind the end, it goes on with the log that was
     * cut; else with the one that there is, which may begin in a hole. */
    epoch->cuts = partition->cuts;
    if (event->offset == partition->committed && event->offset > partition->end)
        epoch->cuts = partition->committed_cuts;
    epoch->process = event->process;
    epoch->partition = event->partition;
    epoch->from = epoch->committed = event->offset;
    epoch->ceiling = epoch->reached = event->ceiling > event->offset ? event->ceiling
                                                                     : event->offset;
    epoch->idle_ms = checker->processes[event->process].idle_ms;
    epoch->prefix = checker_index_from(partition, event->offset);
    begin_sets(checker, epoch, partition, event->ceiling);
    if (partition->first_from < 0)
        partition->first_from = event->offset;
}

uint32_t checker_prefix_of(struct checker *checker, struct seen_epoch *epoch)
{
    const struct seen_partition *partition = &checker->partitions[epoch->partition];

    while (epoch->prefix < partition->count &&
           (has_bit(epoch->finished, epoch->prefix) || has_bit(epoch->known, epoch->prefix) ||
            partition->records[epoch->prefix].gone))
        epoch->prefix++;
    return epoch->prefix;
}

/* The main flow has come past where the record was; it never had it. */
static bool is_hole(const struct seen_epoch *epoch, const struct seen_partition *partition,
                    uint32_t index)
{
    const struct seen_record *record = &partition->records[index];

    return record->gone && !has_bit(epoch->taken, index) && record->offset >= epoch->ceiling &&
           record->offset < epoch->reached;
}

/* Whether all is committed without a gap that the epoch has finished, or was given as finished. */
static bool is_tight(struct checker *checker, const struct seen_epoch *epoch)
{
    const struct seen_partition *partition = &checker->partitions[epoch->partition];
    uint32_t index = checker_index_from(partition, epoch->from);

    while (index < partition->count &&
           (has_bit(epoch->finished, index) || is_hole(epoch, partition, index) ||
            (checker->rules->exact_maps && has_bit(epoch->given, index))))
        index++;
    return checker_index_from(partition, epoch->committed) >= index;
}

void checker_on_leave(struct checker *checker, const struct history_event *event)
{
    struct seen_epoch *epoch = checker_epoch_of(checker, event);

    if (epoch == NULL)
        return;
    if (epoch->state == EPOCH_GONE)
        checker_fail(checker, 5, "epoch %" PRIu32 " goes twice", event->epoch);
    if (event->type == HISTORY_GIVEN_UP && checker->processes[event->process].stopping)
        epoch->loose = !event->result && !is_tight(checker, epoch);
    epoch->state = event->type == HISTORY_REVOKE ? EPOCH_REVOKED : EPOCH_GONE;
}
