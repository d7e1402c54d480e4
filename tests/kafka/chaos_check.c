/* SPDX-License-Identifier: Apache-2.0 */
/* What the simulator's checkers do not ask, because a simulated log and group cannot go wrong in
 * these ways, or because it needs the cluster's own word:
 *
 *   - what was acknowledged to the producer is in the log, once, and was handled
 *   - the offsets that the group's log has for a partition never fall, beside what of a process
 *     got there behind its next commit
 *   - what klane calls committed is in the group's log
 *   - an assignment begins at an offset that was committed, not below one that was acknowledged;
 *     or not below what was as its process froze, if another got the partition while it slept
 *   - of an assignment every record is taken in, one after the other
 *   - two processes never both have a partition, unless one of them was cut off; and one that
 *     was, by sleeping beyond its session, starts nothing of it when it has been awake for a while
 *   - what a commit's map has as finished does not run again, once that commit is what a
 *     partition begins with; what is above the map's ceiling may, and what control had not heard
 *     of, but not if that was the last commit of a drain that was over in time: then nothing does
 *   - what still runs when a partition is given up has had its drain
 *   - nothing goes on starting once a handler could see that it works in vain
 *   - a partition is lost only for a reason: a process that froze, a broker that was away
 *   - a key's records are finished in order, in all processes together */
#include "kafka/chaos_after.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define SLACK_MS 300    /* between what klane and the history call the same time */
#define VAIN_MS 1000    /* a worker may have passed the fence just before it fell */
#define HEARD_MS 3000   /* what is told has been heard by then, though a machine may be busy */
#define SHADOW_MS 15000 /* so long a cause has effects */
#define BEFORE_ALL (-SHADOW_MS - 1)
#define NEVER INT64_MAX
#define VERSION_REJOIN 0x020a00ff

/* One stay of a partition with a process. */
struct stay {
    int64_t next; /* the record to be taken in */
    int64_t ceiling;
    size_t assigned; /* the event */
    size_t given;    /* the event: the commit that it begins with was sent; 0: it is not known */
    size_t sent;     /* the event: its own last commit; 0: none */
    int64_t vain_ms;
    size_t began;     /* the event: its drain; 0: it is not to be given up */
    int64_t drain_ms; /* so long that goes on at most, and waits for a handler */
    int64_t drained_by_ms;
    int64_t shared_ms; /* since when is_shared, if it is */
    uint16_t partition;
    uint8_t life;
    bool is_open;
    bool is_shared;  /* another process got the partition since this one did */
    bool is_drained; /* in time; nothing ran when it was given up, and all was committed */
};

struct running {
    int64_t begin_ms;
    int64_t offset;
    uint32_t epoch;
};

struct seen_life {
    int64_t stored[CHAOS_PARTITIONS]; /* the last of its commits that the log has */
    struct running *running;
    size_t running_count;
    size_t running_capacity;
    int64_t outdated_ms; /* when a commit of it was of another generation */
    int64_t frozen_ms;   /* when it was last, so far; while it is: NEVER */
    unsigned freezes;    /* so often */
    size_t froze;        /* the event, and what was acknowledged then */
    int64_t acknowledged[CHAOS_PARTITIONS];
    unsigned overslept; /* the last of them that cost it a partition */
    int64_t sent;       /* its last commit, and the last that was accepted */
    int64_t accepted;
    bool is_contested; /* another has its instance */
    bool is_cut_off;   /* or it was ever frozen */
};

struct inspector {
    struct chaos_judged *judged;
    struct stay *stays; /* by epoch */
    uint32_t stay_count;
    struct seen_life lives[CHAOS_LIVES];
    int64_t acknowledged[CHAOS_PARTITIONS];
    size_t committed[CHAOS_PARTITIONS]; /* the event: the last that was stored; 0: none */
    unsigned troubles;                  /* brokers that are away, and the network's */
    /* When there was trouble of the broker, the network or the machine last; while there is:
     * NEVER. */
    int64_t trouble_ms;
    size_t *finished[CHAOS_PARTITIONS]; /* by offset: the event; 0: not yet */
    /* By offset: it ran on in a drain for longer than that waits for one. */
    bool *outlasting[CHAOS_PARTITIONS];
};

bool chaos_condemn(struct chaos_judged *judged, size_t event, const char *format, ...)
{
    va_list arguments;

    judged->failure = (struct check_failure){.event = event};
    va_start(arguments, format);
    vsnprintf(judged->failure.text, sizeof(judged->failure.text), format, arguments);
    va_end(arguments);
    return false;
}

/* ---- stays ------------------------------------------------------------------------------- */

/* Of the broker, the network or the machine: whoever is behind it may be cut off. */
static bool is_in_shadow(const struct inspector *inspector, const struct history_event *event)
{
    return event->time_ms - inspector->trouble_ms < SHADOW_MS;
}

static bool was_committed(const struct truth *truth, uint16_t partition, int64_t offset)
{
    for (size_t i = 0; i < truth->commit_count; i++)
        if (truth->commits[i].partition == partition && truth->commits[i].offset == offset)
            return true;
    return false;
}

/* Of the last commit, if that is what it begins with. */
static size_t given_to(const struct inspector *inspector, const struct history_event *event)
{
    size_t at = inspector->committed[event->partition];

    return at > 0 && inspector->judged->history.events[at].offset == event->offset ? at : 0;
}

/* What a process that froze tells of when it wakes, though another got it meanwhile: it has not
 * heard of that yet. An offset that it may have read before tells, or that nothing cut the other
 * off. */
static bool is_overslept(const struct inspector *inspector, const struct history_event *event)
{
    const struct seen_life *life = &inspector->lives[event->process];
    bool is_past = event->offset < inspector->acknowledged[event->partition];

    if (event->time_ms - life->frozen_ms > HEARD_MS)
        return false;
    for (uint32_t i = 0; i < inspector->stay_count; i++) {
        const struct stay *other = &inspector->stays[i];

        if (other->partition == event->partition && other->life != event->process &&
            other->assigned > life->froze &&
            (is_past || (other->is_open && !inspector->lives[other->life].is_cut_off &&
                         !is_in_shadow(inspector, event))))
            return true;
    }
    return false;
}

/* Whoever has it shares it from now on. */
static void is_assigned_too(struct inspector *inspector, const struct history_event *event)
{
    for (uint32_t i = 0; i < inspector->stay_count; i++) {
        struct stay *other = &inspector->stays[i];

        if (other->is_open && other->partition == event->partition &&
            other->life != event->process && !other->is_shared) {
            other->is_shared = true;
            other->shared_ms = event->time_ms;
        }
    }
}

static bool on_assign(struct inspector *inspector, size_t at, const struct history_event *event)
{
    struct chaos_judged *judged = inspector->judged;
    bool overslept = is_overslept(inspector, event);
    int64_t acknowledged = overslept
                               ? inspector->lives[event->process].acknowledged[event->partition]
                               : inspector->acknowledged[event->partition];

    if (event->offset < acknowledged)
        return chaos_condemn(judged, at,
                             "it begins below %" PRId64 ", which was acknowledged before",
                             acknowledged);
    if (!was_committed(&judged->truth, event->partition, event->offset))
        return chaos_condemn(judged, at, "it begins where nobody has committed");
    if (!overslept)
        is_assigned_too(inspector, event);
    inspector->stays[event->epoch] = (struct stay){.next = event->ceiling,
                                                   .ceiling = event->ceiling,
                                                   .assigned = at,
                                                   .given = given_to(inspector, event),
                                                   .vain_ms = NEVER,
                                                   .shared_ms = event->time_ms,
                                                   .partition = event->partition,
                                                   .life = event->process,
                                                   .is_open = true,
                                                   .is_shared = overslept};
    return true;
}

static bool on_deliver(struct inspector *inspector, size_t at, const struct history_event *event)
{
    struct stay *stay = &inspector->stays[event->epoch];

    /* The same again: there was no memory for it. */
    if (event->offset == stay->next - 1)
        return true;
    if (event->offset != stay->next)
        return chaos_condemn(inspector->judged, at, "offset %" PRId64 " was to be taken in next",
                             stay->next);
    stay->next++;
    return true;
}

static int64_t drain_ms_of(const struct inspector *inspector, const struct history_event *event)
{
    return inspector->judged->run->shared->lives[event->process].drain_ms;
}

static bool on_given_up(struct inspector *inspector, size_t at, const struct history_event *event)
{
    struct stay *stay = &inspector->stays[event->epoch];
    const struct seen_life *life = &inspector->lives[event->process];
    int64_t drain_ms = drain_ms_of(inspector, event);

    stay->is_open = false;
    /* The last commit is sent when the drain is over. */
    stay->is_drained =
        life->accepted == life->sent && stay->began > 0 && stay->sent > stay->began &&
        inspector->judged->history.events[stay->sent].time_ms < stay->drained_by_ms;
    if (stay->is_shared && !life->is_cut_off && !is_in_shadow(inspector, event))
        return chaos_condemn(inspector->judged, at,
                             "another process has had the partition since before");
    for (size_t i = 0; i < life->running_count; i++) {
        int64_t had_ms = event->time_ms - life->running[i].begin_ms;

        if (life->running[i].epoch != event->epoch)
            continue;
        if (had_ms < drain_ms - SLACK_MS)
            return chaos_condemn(inspector->judged, at,
                                 "offset %" PRId64 " runs, and has had %" PRId64 "ms only",
                                 life->running[i].offset, had_ms);
        stay->is_drained = false;
        inspector->judged->run->counts.outlasted++;
    }
    return true;
}

/* librdkafka before 2.10 takes everything from a member when a commit of it comes from another
 * generation: see runtime/source/kafka/commit.c. The answer may be heard of after the loss. */
static bool is_outdated_soon(const struct inspector *inspector, size_t at)
{
    const struct history *history = &inspector->judged->history;
    const struct history_event *lost = &history->events[at];

    for (; at < history_count(history); at++) {
        const struct history_event *event = &history->events[at];

        if (event->time_ms > lost->time_ms + VAIN_MS)
            break;
        if (event->type == HISTORY_NOTE && event->name == chaos_outdated &&
            event->process == lost->process)
            return rd_kafka_version() < VERSION_REJOIN;
    }
    return false;
}

static bool on_lost(struct inspector *inspector, size_t at, const struct history_event *event)
{
    struct seen_life *life = &inspector->lives[event->process];
    struct stay *stay = &inspector->stays[event->epoch];

    stay->is_open = false;
    inspector->judged->run->counts.losses++;
    if (stay->is_shared && life->overslept < life->freezes) {
        life->overslept = life->freezes;
        inspector->judged->run->counts.overslept++;
    }
    if (life->is_contested || event->time_ms - life->frozen_ms < SHADOW_MS)
        return true;
    if (is_in_shadow(inspector, event))
        return true;
    if (event->time_ms - life->outdated_ms < VAIN_MS || is_outdated_soon(inspector, at))
        return true;
    return chaos_condemn(inspector->judged, at, "it was lost without a reason");
}

static void on_crash(struct inspector *inspector, const struct history_event *event)
{
    for (uint32_t i = 0; i < inspector->stay_count; i++)
        if (inspector->stays[i].life == event->process)
            inspector->stays[i].is_open = false;
    inspector->lives[event->process].running_count = 0;
}

/* ---- handlers ---------------------------------------------------------------------------- */

/* A map speaks of what its own stay has finished, and control has heard of some time before; after
 * a drain that was over in time, of all. */
static bool is_in_map(const struct inspector *inspector, const struct stay *stay,
                      const struct history_event *event)
{
    const struct history_event *events = inspector->judged->history.events;
    size_t finished = inspector->finished[event->partition][event->offset];
    const struct stay *giver = &inspector->stays[events[stay->given].epoch];

    if (stay->given <= finished || finished == 0 ||
        events[finished].epoch != events[stay->given].epoch ||
        inspector->lives[events[stay->given].process].is_cut_off)
        return false;
    /* Behind SENT stands that it was stored. */
    if (giver->is_drained && giver->sent + 1 == stay->given &&
        !inspector->outlasting[event->partition][event->offset])
        return true;
    return event->offset < stay->ceiling &&
           events[stay->given].time_ms - events[finished].time_ms > HEARD_MS;
}

/* Another has the partition, and the process has had time to hear of it. */
static bool is_too_late(const struct inspector *inspector, const struct stay *stay,
                        const struct history_event *event)
{
    const struct seen_life *life = &inspector->lives[event->process];

    return stay->is_shared && event->time_ms - stay->shared_ms > HEARD_MS &&
           event->time_ms - life->frozen_ms > HEARD_MS && !life->is_contested &&
           !is_in_shadow(inspector, event);
}

static bool on_start(struct inspector *inspector, size_t at, const struct history_event *event)
{
    struct seen_life *life = &inspector->lives[event->process];
    struct stay *stay = &inspector->stays[event->epoch];

    if (life->running_count == life->running_capacity) {
        life->running_capacity = life->running_capacity * 2 + 64;
        life->running = realloc(life->running, life->running_capacity * sizeof(*life->running));
        assert_non_null(life->running);
    }
    life->running[life->running_count++] =
        (struct running){event->time_ms, event->offset, event->epoch};
    inspector->judged->run->counts.starts++;
    if (is_in_map(inspector, stay, event))
        return chaos_condemn(inspector->judged, at,
                             "it was finished, and the map that its stay began with says so");
    if (is_too_late(inspector, stay, event))
        return chaos_condemn(inspector->judged, at,
                             "it starts, and another process has had the partition for "
                             "%" PRId64 "ms",
                             event->time_ms - stay->shared_ms);
    inspector->judged->run->counts.late_starts += stay->is_shared;
    if (inspector->finished[event->partition][event->offset] > 0)
        inspector->judged->run->counts.repeats++;
    if (event->value == 0 || life->is_cut_off)
        return true;
    if (stay->vain_ms == NEVER)
        stay->vain_ms = event->time_ms;
    if (event->time_ms > stay->vain_ms + VAIN_MS)
        return chaos_condemn(inspector->judged, at,
                             "it starts, and has been in vain for %" PRId64 "ms",
                             event->time_ms - stay->vain_ms);
    return true;
}

static void on_end(struct inspector *inspector, size_t at, const struct history_event *event)
{
    struct seen_life *life = &inspector->lives[event->process];
    struct stay *stay = &inspector->stays[event->epoch];
    size_t *finished = &inspector->finished[event->partition][event->offset];
    bool is_old = false;

    for (size_t i = 0; i < life->running_count; i++)
        if (life->running[i].epoch == event->epoch && life->running[i].offset == event->offset) {
            is_old = stay->began > 0 &&
                     event->time_ms - life->running[i].begin_ms >= stay->drain_ms - SLACK_MS;
            life->running[i] = life->running[--life->running_count];
            break;
        }
    if (event->result == HISTORY_RETRY || *finished > 0)
        return;
    *finished = at;
    inspector->outlasting[event->partition][event->offset] = is_old;
}

/* ---- commits and notes ------------------------------------------------------------------- */

static void on_trouble(struct inspector *inspector, const struct history_event *event)
{
    if (event->name == chaos_broker_goes || event->name == chaos_network_fails)
        inspector->troubles++;
    else if (event->name == chaos_broker_is_back || event->name == chaos_network_is_well)
        inspector->troubles--;
    inspector->trouble_ms = inspector->troubles > 0 ? NEVER : event->time_ms;
}

/* Another reason to begin it can only make it shorter. */
static void drain_begins(struct stay *stay, size_t at, int64_t now_ms, int64_t drain_ms)
{
    int64_t by_ms = now_ms + drain_ms - SLACK_MS;

    if (stay->began > 0 && stay->drained_by_ms < by_ms)
        return;
    stay->drained_by_ms = by_ms;
    stay->drain_ms = drain_ms;
    if (stay->began == 0)
        stay->began = at;
}

static bool on_note(struct inspector *inspector, size_t at, const struct history_event *event)
{
    struct seen_life *life = &inspector->lives[event->process];
    int64_t *acknowledged = &inspector->acknowledged[event->partition];

    if (event->name == chaos_revoked) {
        drain_begins(&inspector->stays[event->epoch], at, event->time_ms,
                     drain_ms_of(inspector, event));
    } else if (event->name == chaos_acknowledged) {
        if (life->stored[event->partition] != event->offset)
            return chaos_condemn(inspector->judged, at,
                                 "it counts as committed; the group's log has %" PRId64,
                                 life->stored[event->partition]);
        if (event->offset > *acknowledged)
            *acknowledged = event->offset;
    } else if (event->name == chaos_outdated) {
        life->outdated_ms = event->time_ms;
        inspector->judged->run->counts.outdated++;
    } else if (event->name == chaos_refused) {
        inspector->judged->run->counts.refused++;
    } else if (event->name == chaos_contested) {
        life->is_contested = life->is_cut_off = true;
    } else if (event->name == chaos_frozen) {
        life->is_cut_off = true;
        life->frozen_ms = NEVER;
        life->freezes++;
        life->froze = at;
        memcpy(life->acknowledged, inspector->acknowledged, sizeof(life->acknowledged));
    } else if (event->name == chaos_thawed) {
        life->frozen_ms = event->time_ms;
    } else {
        on_trouble(inspector, event);
    }
    return true;
}

static void on_sent(struct inspector *inspector, size_t at, const struct history_event *event)
{
    inspector->lives[event->process].sent = event->value;
    inspector->stays[event->epoch].sent = at;
}

/* All that it has is to be given up. */
static void on_stop(struct inspector *inspector, size_t at, const struct history_event *event)
{
    for (uint32_t i = 0; i < inspector->stay_count; i++)
        if (inspector->stays[i].life == event->process && inspector->stays[i].is_open)
            drain_begins(&inspector->stays[i], at, event->time_ms, CHAOS_STOP_MS / 4 * 3);
}

static bool on_stopped(struct inspector *inspector, const struct history_event *event)
{
    if (!event->result)
        inspector->judged->run->counts.loose_stops++;
    return true;
}

static bool look_at(struct inspector *inspector, size_t at, const struct history_event *event)
{
    switch (event->type) {
    case HISTORY_ASSIGN:
        return on_assign(inspector, at, event);
    case HISTORY_DELIVER:
        return on_deliver(inspector, at, event);
    case HISTORY_GIVEN_UP:
        return on_given_up(inspector, at, event);
    case HISTORY_LOST:
        return on_lost(inspector, at, event);
    case HISTORY_CRASH:
        on_crash(inspector, event);
        return true;
    case HISTORY_START:
        return on_start(inspector, at, event);
    case HISTORY_END:
        on_end(inspector, at, event);
        return true;
    case HISTORY_COMMITTED:
        inspector->lives[event->process].stored[event->partition] = event->offset;
        inspector->committed[event->partition] = at;
        return true;
    case HISTORY_SENT:
        on_sent(inspector, at, event);
        return true;
    case HISTORY_ANSWERED:
        if (event->result == CHAOS_ACCEPTED)
            inspector->lives[event->process].accepted = event->value;
        return true;
    case HISTORY_STOP:
        on_stop(inspector, at, event);
        return true;
    case HISTORY_NOTE:
        return on_note(inspector, at, event);
    case HISTORY_STOPPED:
        return on_stopped(inspector, event);
    default:
        return true;
    }
}

/* ---- the cluster's logs ------------------------------------------------------------------ */

/* That one is there twice is between the producer and the cluster: a leader that knows nothing of
 * a producer takes for new what is sent again. Both are handled, as all that is in the log. */
static bool check_produced(struct chaos_judged *judged)
{
    const struct chaos_run *run = judged->run;
    uint8_t *seen = calloc(CHAOS_RECORDS, 1);
    bool is_well = true;

    assert_non_null(seen);
    for (int p = 0; p < CHAOS_PARTITIONS; p++)
        for (size_t i = 0; i < judged->truth.record_count[p]; i++)
            seen[judged->truth.records[p][i].number]++;
    for (uint32_t i = 0; i < run->produced && is_well; i++)
        /* Relaxed: those who wrote it are gone. */
        if (run->acknowledged[i] &&
            (seen[i] == 0 ||
             atomic_load_explicit(&run->shared->handled[i], memory_order_relaxed) == 0))
            is_well = chaos_condemn(judged, history_count(&judged->history),
                                    "record %" PRIu32 " was acknowledged, is in the log %u "
                                    "times, and was %shandled",
                                    i, seen[i], run->shared->handled[i] ? "" : "not ");
    free(seen);
    return is_well;
}

/* A member sends one commit after the other; one that had no answer may be on its way for long, as
 * in a broker that is frozen, and get there behind the next. */
static bool came_late(const struct truth_commit *commit, const struct truth_commit *before)
{
    return commit->life == before->life && commit->number < before->number;
}

/* Behind the last record that there is at last. */
static int64_t end_of(const struct truth *truth, int partition)
{
    size_t count = truth->record_count[partition];

    return count == 0 ? 0 : truth->records[partition][count - 1].offset + 1;
}

static bool check_stored(struct chaos_judged *judged)
{
    const struct truth *truth = &judged->truth;
    const struct truth_commit *last[CHAOS_PARTITIONS] = {NULL};
    const struct truth_commit *highest[CHAOS_PARTITIONS] = {NULL};

    for (size_t i = 0; i < truth->commit_count; i++) {
        const struct truth_commit *commit = &truth->commits[i];
        const struct truth_commit *before = highest[commit->partition];

        last[commit->partition] = commit;
        if (before != NULL && came_late(commit, before))
            continue;
        if (before != NULL && commit->offset < before->offset)
            return chaos_condemn(judged, history_count(&judged->history),
                                 "the group's log falls at p%u from %" PRId64 " (P%u, commit "
                                 "%" PRId64 ") to %" PRId64 " (P%u, commit %" PRId64 ")",
                                 commit->partition, before->offset, before->life, before->number,
                                 commit->offset, commit->life, commit->number);
        highest[commit->partition] = commit;
    }
    for (int p = 0; p < CHAOS_PARTITIONS; p++)
        /* What a producer that has died had sent may have come since the end was asked for. */
        if (judged->run->ends[p] > 0 &&
            (last[p] == NULL || last[p]->offset < judged->run->ends[p] ||
             last[p]->offset > end_of(truth, p)))
            return chaos_condemn(judged, history_count(&judged->history),
                                 "p%d ends at %" PRId64 " and is committed up to %" PRId64, p,
                                 judged->run->ends[p],
                                 last[p] == NULL ? (int64_t)-1 : last[p]->offset);
    return true;
}

static bool check_order(struct inspector *inspector)
{
    struct chaos_judged *judged = inspector->judged;

    for (int p = 0; p < CHAOS_PARTITIONS; p++) {
        size_t last[CHAOS_KEYS] = {0};

        for (size_t i = 0; i < judged->truth.record_count[p]; i++) {
            const struct truth_record *record = &judged->truth.records[p][i];
            size_t finished = inspector->finished[p][i];

            if (record->key == CHAOS_KEYS)
                continue;
            if (finished < last[record->key])
                return chaos_condemn(judged, finished, "it was finished before the one before");
            last[record->key] = finished;
        }
    }
    return true;
}

/* ---- all of it --------------------------------------------------------------------------- */

static struct inspector *inspector_new(struct chaos_judged *judged)
{
    struct inspector *inspector = calloc(1, sizeof(*inspector));

    assert_non_null(inspector);
    inspector->judged = judged;
    /* Relaxed: nobody writes it any more. */
    inspector->stay_count =
        atomic_load_explicit(&judged->run->shared->epochs, memory_order_relaxed) + 1;
    inspector->stays = calloc(inspector->stay_count, sizeof(*inspector->stays));
    inspector->trouble_ms = BEFORE_ALL;
    for (int i = 0; i < CHAOS_LIVES; i++)
        inspector->lives[i].outdated_ms = inspector->lives[i].frozen_ms = BEFORE_ALL;
    for (int i = 0; i < CHAOS_PARTITIONS; i++) {
        inspector->finished[i] =
            calloc(judged->truth.record_count[i] + 1, sizeof(*inspector->finished[i]));
        assert_non_null(inspector->finished[i]);
        inspector->outlasting[i] =
            calloc(judged->truth.record_count[i] + 1, sizeof(*inspector->outlasting[i]));
        assert_non_null(inspector->outlasting[i]);
        inspector->acknowledged[i] = -1;
    }
    return inspector;
}

static void inspector_free(struct inspector *inspector)
{
    for (int i = 0; i < CHAOS_PARTITIONS; i++) {
        free(inspector->finished[i]);
        free(inspector->outlasting[i]);
    }
    for (int i = 0; i < CHAOS_LIVES; i++)
        free(inspector->lives[i].running);
    free(inspector->stays);
    free(inspector);
}

bool chaos_check(struct chaos_judged *judged)
{
    struct inspector *inspector = inspector_new(judged);
    size_t count = history_count(&judged->history);
    bool is_well = check_produced(judged) && check_stored(judged);

    for (size_t i = 0; i < count && is_well; i++)
        is_well = look_at(inspector, i, &judged->history.events[i]);
    is_well = is_well && check_order(inspector);
    inspector_free(inspector);
    return is_well;
}
