/* SPDX-License-Identifier: Apache-2.0 */
/* The history of a run, made of what everybody wrote down and of what the cluster's logs say; and
 * the judgement on it. */
#include "kafka/chaos_after.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A worker may have passed the fence just before a loss, and may not have run since. */
#define LATE_MS 1000

/* Of a failure's surroundings, so many events are printed. */
#define PRINTED_MAX 150

/* Where an epoch was lost. */
struct lost {
    size_t event; /* 0: it was not */
    int64_t time_ms;
};

struct maker {
    struct chaos_judged *judged;
    struct truth_commit *by_name; /* sorted by life, number, partition */
    bool *is_sent;                /* for each of them */
    struct lost *lost;            /* by epoch */
    uint32_t epochs;
    int64_t now_ms;
};

/* ---- what is stored ---------------------------------------------------------------------- */

static int compare(const void *left, const void *right)
{
    const struct truth_commit *a = left, *b = right;

    if (a->life != b->life)
        return a->life < b->life ? -1 : 1;
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    if (a->partition != b->partition)
        return a->partition < b->partition ? -1 : 1;
    return a->place < b->place ? -1 : a->place > b->place;
}

static bool is_same(const struct truth_commit *commit, const struct history_event *sent)
{
    return commit->life == sent->process && commit->number == sent->value &&
           commit->partition == sent->partition;
}

/* The first that has this name, or where it would be. */
static size_t place_of(const struct maker *maker, const struct history_event *sent)
{
    const struct truth_commit wanted = {
        .life = sent->process, .number = sent->value, .partition = sent->partition};
    size_t low = 0, high = maker->judged->truth.commit_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare(&maker->by_name[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* librdkafka may send a commit again that was stored already; not with another offset. */
static bool add_sent(struct maker *maker, struct history_event event)
{
    struct chaos_judged *judged = maker->judged;
    size_t first = place_of(maker, &event);
    size_t at = history_count(&judged->history);

    history_add(&judged->history, event);
    for (size_t i = first; i < judged->truth.commit_count && is_same(&maker->by_name[i], &event);
         i++) {
        if (maker->by_name[i].offset != event.offset)
            return chaos_condemn(judged, at,
                                 "the group's log has offset %" PRId64 " for this commit",
                                 maker->by_name[i].offset);
        maker->is_sent[i] = true;
        if (i > first)
            continue;
        event.type = HISTORY_COMMITTED;
        history_add(&judged->history, event);
    }
    return true;
}

static bool all_are_sent(struct maker *maker)
{
    struct chaos_judged *judged = maker->judged;

    for (size_t i = 0; i < judged->truth.commit_count; i++)
        if (!maker->is_sent[i])
            return chaos_condemn(judged, history_count(&judged->history),
                                 "nobody has sent commit %" PRId64 " of P%u, p%u @%" PRId64,
                                 maker->by_name[i].number, maker->by_name[i].life,
                                 maker->by_name[i].partition, maker->by_name[i].offset);
    return true;
}

/* ---- one after the other ----------------------------------------------------------------- */

static void add_log(struct chaos_judged *judged)
{
    for (uint16_t p = 0; p < CHAOS_PARTITIONS; p++)
        for (size_t i = 0; i < judged->truth.record_count[p]; i++) {
            const struct truth_record *record = &judged->truth.records[p][i];
            struct history_event event = {
                .type = HISTORY_APPEND, .partition = p, .offset = record->offset};

            if (record->key != CHAOS_KEYS)
                event.lane = history_lane(&judged->history, p, 0, &record->key, 1);
            history_add(&judged->history, event);
        }
}

/* Puts the start before the loss. */
static void add_before(struct maker *maker, struct history_event event)
{
    struct history *history = &maker->judged->history;
    size_t at = maker->lost[event.epoch].event;
    size_t count = history_count(history);

    event.time_ms = history->events[at].time_ms;
    history_add(history, event);
    memmove(&history->events[at + 1], &history->events[at],
            (count - at) * sizeof(*history->events));
    history->events[at] = event;
    for (uint32_t i = 0; i < maker->epochs; i++)
        if (maker->lost[i].event >= at)
            maker->lost[i].event++;
    maker->judged->run->counts.moved_starts++;
}

static bool add_entry(struct maker *maker, struct history_event event)
{
    struct history *history = &maker->judged->history;
    struct lost *lost = &maker->lost[event.epoch];
    int64_t time_ms = event.time_ms;

    /* Read just before the event got its number. */
    if (event.time_ms < maker->now_ms)
        event.time_ms = maker->now_ms;
    maker->now_ms = event.time_ms;
    switch (event.type) {
    case HISTORY_SENT:
        return add_sent(maker, event);
    case HISTORY_COMMITTED:
        event.type = HISTORY_NOTE;
        event.name = chaos_acknowledged;
        break;
    case HISTORY_REVOKE:
        /* What starts may have passed the fence just before. */
        event.type = HISTORY_NOTE;
        event.name = chaos_revoked;
        break;
    case HISTORY_LOST:
        *lost = (struct lost){history_count(history), time_ms};
        break;
    case HISTORY_START:
        if (lost->event > 0 && time_ms - lost->time_ms <= LATE_MS) {
            add_before(maker, event);
            return true;
        }
        break;
    case HISTORY_ANSWERED:
        history_add(history, event);
        if (event.result == CHAOS_ACCEPTED)
            return true;
        event.type = HISTORY_NOTE;
        event.name = event.result == CHAOS_OUTDATED ? chaos_outdated : chaos_refused;
        break;
    case HISTORY_LEFT:
        event.name = "records in memory";
        break;
    default:
        break;
    }
    history_add(history, event);
    return true;
}

static bool make_history(struct maker *maker)
{
    struct chaos_judged *judged = maker->judged;
    struct chaos_shared *shared = judged->run->shared;
    /* Relaxed: nobody adds to it any more. */
    size_t count = atomic_load_explicit(&shared->count, memory_order_relaxed);

    if (count > CHAOS_EVENTS)
        return chaos_condemn(judged, 0, "more events than there is room for");
    add_log(judged);
    for (size_t i = 0; i < count; i++)
        /* Acquire: pairs with chaos_add(). What is not whole, its writer did not live to say. */
        if (atomic_load_explicit(&shared->entries[i].is_whole, memory_order_acquire) &&
            !add_entry(maker, shared->entries[i].event))
            return false;
    return all_are_sent(maker);
}

static bool make(struct chaos_judged *judged)
{
    const struct truth *truth = &judged->truth;
    /* Relaxed, both: nobody writes them any more. */
    size_t capacity = 2 * atomic_load_explicit(&judged->run->shared->count, memory_order_relaxed);
    struct maker maker = {
        .judged = judged,
        .by_name = calloc(truth->commit_count + 1, sizeof(*maker.by_name)),
        .is_sent = calloc(truth->commit_count + 1, sizeof(*maker.is_sent)),
        .epochs = atomic_load_explicit(&judged->run->shared->epochs, memory_order_relaxed) + 1};
    bool is_made;

    for (int i = 0; i < CHAOS_PARTITIONS; i++)
        capacity += truth->record_count[i];
    maker.lost = calloc(maker.epochs, sizeof(*maker.lost));
    assert_true(maker.by_name != NULL && maker.is_sent != NULL && maker.lost != NULL);
    assert_true(history_init(&judged->history, capacity + 1));
    if (truth->commit_count > 0)
        memcpy(maker.by_name, truth->commits, truth->commit_count * sizeof(*maker.by_name));
    qsort(maker.by_name, truth->commit_count, sizeof(*maker.by_name), compare);
    is_made = make_history(&maker);
    free(maker.by_name);
    free(maker.is_sent);
    free(maker.lost);
    return is_made;
}

/* ---- the judgement ----------------------------------------------------------------------- */

bool chaos_judge(struct chaos_judged *judged, struct chaos_run *run)
{
    const struct check_rules rules = {
        .drained = true, .repeats = true, .start_within_ms = INT64_MAX, .stop_slack_ms = 3000};
    struct check_failure failure;

    memset(judged, 0, sizeof(*judged));
    judged->run = run;
    truth_read(&judged->truth, run->shared);
    run->counts.generations = (unsigned)judged->truth.generation;
    run->counts.commits = judged->truth.commit_count;
    run->counts.records = run->produced;
    if (!make(judged))
        return false;
    run->counts.events = history_count(&judged->history);
    if (!check_history(&judged->history, &rules, &failure)) {
        judged->failure = failure;
        return false;
    }
    return chaos_check(judged);
}

void chaos_judged_free(struct chaos_judged *judged)
{
    truth_free(&judged->truth);
    if (judged->history.events != NULL)
        history_deinit(&judged->history);
}

/* Whether it may have to do with what went wrong. */
static bool is_near(const struct chaos_judged *judged, size_t index)
{
    const struct history_event *failed = &judged->history.events[judged->failure.event];
    const struct history_event *event = &judged->history.events[index];
    size_t distance = index < judged->failure.event ? judged->failure.event - index
                                                    : index - judged->failure.event;

    if (distance <= PRINTED_MAX / 10)
        return true;
    switch (event->type) {
    case HISTORY_APPEND:
    case HISTORY_DELIVER:
    case HISTORY_ANSWERED:
        return false;
    case HISTORY_CRASH:
    case HISTORY_STOP:
        return true;
    case HISTORY_START:
    case HISTORY_RETURN:
    case HISTORY_END:
        return event->partition == failed->partition && event->offset == failed->offset;
    case HISTORY_NOTE:
        return event->name != chaos_acknowledged || event->partition == failed->partition;
    default:
        return event->partition == failed->partition;
    }
}

void chaos_print(const struct chaos_judged *judged)
{
    const struct history *history = &judged->history;
    size_t count = history->events == NULL ? 0 : history_count(history);
    size_t at = judged->failure.event < count ? judged->failure.event : count;
    size_t first = at, printed = 0;

    fprintf(stderr, "C%u, event %zu: %s\n", judged->failure.checker, judged->failure.event,
            judged->failure.text);
    if (count == 0 || at == count)
        return;
    while (first > 0 && printed < PRINTED_MAX)
        printed += is_near(judged, --first);
    for (size_t i = first; i < count && i < at + PRINTED_MAX / 10; i++)
        if (is_near(judged, i))
            history_print_event(stderr, history, i);
}

static void print_counts(const struct chaos_counts *counts)
{
    print_message("    %zu records, %zu starts of which %zu repeat, %zu commits, %zu events\n",
                  counts->records, counts->starts, counts->repeats, counts->commits,
                  counts->events);
    print_message("    %u generations; members: %u came, %u left, %u were killed, %u frozen, "
                  "%u for a moment, %u contested; broker: %u kills, %u stops, %u frozen; "
                  "the network failed %u times\n",
                  counts->generations, counts->joins, counts->leaves, counts->kills,
                  counts->freezes, counts->hiccups, counts->contests, counts->broker_kills,
                  counts->broker_stops, counts->broker_freezes, counts->network);
    print_message(
        "    %u commits of another generation, %u refused, %u partitions lost, %u stops "
        "with a rest, %u starts put before a loss\n",
        counts->outdated, counts->refused, counts->losses, counts->loose_stops,
        counts->moved_starts);
    print_message("    %u handlers outlasted a drain; %u members overslept, %u starts until they "
                  "heard of it; %u static members replaced; no progress for %" PRId64
                  "ms at most after %u kills\n",
                  counts->outlasted, counts->overslept, counts->late_starts, counts->replacements,
                  counts->longest_ms, counts->timed_kills);
}

void chaos_assert_just(struct chaos_run *run)
{
    struct chaos_judged judged;
    bool is_well = chaos_judge(&judged, run);

    if (!is_well)
        chaos_print(&judged);
    chaos_judged_free(&judged);
    print_counts(&run->counts);
    assert_true(is_well);
    run->is_well = true;
}
