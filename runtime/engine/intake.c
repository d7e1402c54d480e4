/* SPDX-License-Identifier: Apache-2.0 */
/* What a source says, on the control thread, from inside its poll(). */
#include "base/assert.h"
#include "base/headers.h"
#include "engine/engine.h"

#include <inttypes.h>
#include <stdio.h>

static struct klane_runtime *runtime_of(struct klane_intake *intake)
{
    return (struct klane_runtime *)(void *)((char *)intake -
                                            offsetof(struct klane_runtime, control.intake));
}

static struct topic *topic_of(const struct klane_assignment *assignment)
{
    const struct core_topic *core = assignment->partition->topic;

    return (struct topic *)(uintptr_t)core;
}

void control_event(struct klane_runtime *runtime, enum klane_event_type type, klane_err_t err,
                   const struct klane_assignment *assignment, int64_t offset, int64_t value,
                   const char *message)
{
    struct klane_event event = {
        .type = type,
        .err = err,
        .partition = -1,
        .offset = offset,
        .value = value,
        .message = message,
    };

    if (assignment != NULL) {
        event.topic = assignment->partition->topic->name;
        event.partition = assignment->partition->number;
        event.epoch = assignment->epoch;
    }
    observe_event(&runtime->observe, &runtime->control.limits[type], runtime->control.now_ms,
                  &event);
}

/* An event about a partition that has no assignment. */
static void event_by_name(struct klane_runtime *runtime, struct klane_event *event)
{
    observe_event(&runtime->observe, &runtime->control.limits[event->type],
                  runtime->control.now_ms, event);
}

/* There was no memory, or no number: the source offers it again, and is asked to soon. */
static void refused(struct klane_runtime *runtime, const char *topic, int32_t partition)
{
    struct klane_event event = {
        .type = KLANE_EVENT_SOURCE_ERROR,
        .err = KLANE_ERR_NOMEM,
        .topic = topic,
        .partition = partition,
        .offset = -1,
        .message = "no memory to take it in; tried again",
    };

    if (!runtime->control.refused)
        observe_log(&runtime->observe, KLANE_LOG_WARNING,
                    "%s [%" PRId32 "]: no memory to take it in; tried again", topic, partition);
    runtime->control.refused = true;
    event_by_name(runtime, &event);
}

static const struct source_topic *intake_topic(struct klane_intake *intake, const char *name)
{
    struct klane_runtime *runtime = runtime_of(intake);
    const struct topic *topic = routes_resolve(&runtime->routes, name);

    return topic == NULL ? NULL : &runtime->source_topics[topic->index];
}

/* What the map is not used for; NULL: it is used. */
static const char *refusal_text(enum progress_refusal refusal)
{
    switch (refusal) {
    case PROGRESS_READ:
        break;
    case PROGRESS_ABSENT:
        return "there is no progress map";
    case PROGRESS_FOREIGN:
        return "the metadata is not a progress map";
    case PROGRESS_NEWER:
        return "the progress map is of a newer version";
    case PROGRESS_TORN:
        return "the progress map is damaged, or not of this offset";
    case PROGRESS_OTHER_SCHEME:
        return "the progress map was written by other rules of order or key";
    case PROGRESS_BEYOND_LOG:
        return "the log ends below what the progress map speaks of";
    case PROGRESS_NO_MEMORY:
        return "no memory for the progress map";
    }
    return NULL;
}

/* What is finished above begin, if the metadata says so. */
static void take_up(struct klane_runtime *runtime, struct klane_assignment *assignment,
                    const struct source_position *position)
{
    struct core *core = &runtime->control.core;
    const char *why;

    if (!position->is_committed) {
        core_begin_is_new(core, assignment);
        return;
    }
    if (core->commit.writer.limit == 0)
        return;
    why = refusal_text(core_restore(core, assignment, position->metadata, position->metadata_size,
                                    position->end));
    if (why == NULL)
        return;
    observe_log(&runtime->observe, KLANE_LOG_WARNING,
                "%s [%" PRId32 "]: %s; all from offset %" PRId64 " on runs again",
                assignment->partition->topic->name, assignment->partition->number, why,
                position->begin);
    control_event(runtime, KLANE_EVENT_PROGRESS_REFUSED, KLANE_OK, assignment, position->begin, 0,
                  why);
}

static struct klane_assignment *intake_assigned(struct klane_intake *intake, const char *name,
                                                int32_t partition,
                                                const struct source_position *position,
                                                int64_t *from, void *own)
{
    struct klane_runtime *runtime = runtime_of(intake);
    struct control *control = &runtime->control;
    struct topic *topic = routes_resolve(&runtime->routes, name);
    struct klane_assignment *assignment;
    uint32_t epoch;

    /* Nothing new begins any more, though the source may ask again. */
    if (control->stopping)
        return NULL;
    epoch = topic == NULL ? 0 : fences_open(runtime->fences);
    if (epoch == 0) {
        refused(runtime, name, partition);
        return NULL;
    }
    topic->met = true;
    assignment =
        core_assign(&control->core, &topic->core, partition, epoch, position->begin, own);
    if (assignment == NULL) {
        fences_close(runtime->fences, epoch);
        refused(runtime, name, partition);
        return NULL;
    }
    take_up(runtime, assignment, position);
    *from = assignment->offsets.frontier;
    control->caught_up = false;
    control_event(runtime, KLANE_EVENT_ASSIGNED, KLANE_OK, assignment, position->begin, *from,
                  NULL);
    return assignment;
}

/* The record as the program's callbacks see it before it has a slot. */
static struct klane_record view_of(const struct topic *topic,
                                   const struct klane_assignment *assignment,
                                   const struct source_record *record)
{
    return (struct klane_record){
        .topic = topic->core.name,
        .key = record->key,
        .value = record->value,
        .key_size = record->key_size,
        .value_size = record->value_size,
        .offset = record->offset,
        .timestamp_ms = record->timestamp_ms,
        .partition = assignment->partition->number,
        .epoch = assignment->epoch,
    };
}

/* Which lane the topic's rules put the record into. */
static void place_of(const struct topic *topic, const struct klane_assignment *assignment,
                     const struct source_record *record, struct core_place *place)
{
    const struct klane_topic *rules = &topic->rules;
    const void *key = record->key;
    size_t key_size = record->key_size;

    place->lane_key = NULL;
    place->lane_key_size = 0;
    if (rules->order != KLANE_ORDER_KEY) {
        place->kind = rules->order == KLANE_ORDER_NONE ? LANE_OF_RECORD : LANE_OF_PARTITION;
        return;
    }
    if (rules->key != NULL) {
        const struct klane_record view = view_of(topic, assignment, record);

        if (!rules->key(&view, rules->key_context, &key, &key_size) || key_size > UINT32_MAX)
            key = NULL;
        place->lane_key = key;
        place->lane_key_size = key == NULL ? 0 : (uint32_t)key_size;
    }
    if (key != NULL)
        place->kind = LANE_OF_KEY;
    else
        place->kind =
            rules->null_keys == KLANE_NULL_KEYS_ORDERED ? LANE_OF_NULL_KEYS : LANE_OF_RECORD;
}

/* Later times count as this, which is far enough from where numbers end. */
#define DUE_MS_MAX (INT64_MAX / 4)

/* Milliseconds as decimal digits and nothing else; -1: it is something else. */
static int64_t time_in(const char *text, size_t size)
{
    int64_t time_ms = 0;

    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9' || time_ms > (DUE_MS_MAX - 9) / 10)
            return -1;
        time_ms = time_ms * 10 + (text[i] - '0');
    }
    return size == 0 ? -1 : time_ms;
}

/* Since 1970; 0: at once. */
static int64_t due_of(struct klane_runtime *runtime, const struct topic *topic,
                      const struct klane_assignment *assignment,
                      const struct source_record *record)
{
    const struct klane_topic *rules = &topic->rules;
    const void *text;
    int64_t due_ms;
    size_t size;

    if (rules->due != NULL) {
        const struct klane_record view = view_of(topic, assignment, record);

        due_ms = rules->due(&view, rules->due_context);
        return due_ms < 0 ? 0 : due_ms < DUE_MS_MAX ? due_ms : DUE_MS_MAX;
    }
    if (!headers_find(record->headers, record->headers_size, topic->due_header, &text, &size))
        return 0;
    due_ms = text == NULL ? -1 : time_in(text, size);
    if (due_ms >= 0 || runtime->control.due_said_s == runtime->control.now_ms / 1000)
        return due_ms < 0 ? 0 : due_ms;
    runtime->control.due_said_s = runtime->control.now_ms / 1000;
    observe_log(&runtime->observe, KLANE_LOG_WARNING,
                "%s [%" PRId32 "] offset %" PRId64 ": header %s is no time in milliseconds; it "
                "runs at once",
                topic->core.name, assignment->partition->number, record->offset,
                topic->due_header);
    return 0;
}

/* What the records of few topics have. */
static __attribute__((noinline)) void describe_more(struct klane_runtime *runtime,
                                                    const struct topic *topic,
                                                    const struct klane_assignment *assignment,
                                                    const struct source_record *record,
                                                    struct core_place *place)
{
    place->has_state = topic->core.states != NULL && place->kind != LANE_OF_RECORD;
    if (topic->rules.weight != NULL) {
        const struct klane_record view = view_of(topic, assignment, record);

        place->weight = topic->rules.weight(&view, topic->rules.weight_context);
    }
    if (topic->rules.due != NULL || topic->due_header != NULL)
        place->due_ms = due_of(runtime, topic, assignment, record);
}

/* The record as its topic's rules leave it, which may be in bare, and how it is to be handled. */
static const struct source_record *described(struct klane_runtime *runtime,
                                             const struct klane_assignment *assignment,
                                             const struct source_record *record,
                                             struct source_record *bare, struct core_place *place)
{
    const struct topic *topic = topic_of(assignment);

    place_of(topic, assignment, record, place);
    place->weight = 0;
    place->due_ms = 0;
    place->has_state = false;
    if (topic->has_more)
        describe_more(runtime, topic, assignment, record, place);
    place->route = routes_match(&runtime->routes, topic, record->key, record->key_size);
    if (!topic->rules.without_headers)
        return record;
    *bare = *record;
    bare->headers = NULL;
    bare->headers_size = 0;
    return bare;
}

static bool intake_record(struct klane_intake *intake, struct klane_assignment *assignment,
                          const struct source_record *record)
{
    struct klane_runtime *runtime = runtime_of(intake);
    struct source_record bare;
    struct core_place place;

    if (assignment_state(assignment) != ASSIGNMENT_ACTIVE)
        return false;
    record = described(runtime, assignment, record, &bare, &place);
    if (core_take_in(&runtime->control.core, assignment, record, &place))
        return true;
    /* For want of room its partition holds; for want of memory it is tried again soon. */
    if (assignment->partition->wants == 0)
        refused(runtime, topic_of(assignment)->core.name, assignment->partition->number);
    return false;
}

static bool intake_has_room(const struct klane_intake *intake, uint64_t kept_bytes)
{
    const struct control *control = (const struct control *)(const void *)intake;

    return core_has_room(&control->core, kept_bytes);
}

static void intake_swept(struct klane_intake *intake, struct klane_assignment *assignment,
                         const struct source_record *record)
{
    struct klane_runtime *runtime = runtime_of(intake);
    struct source_record bare;
    struct core_place place;

    record = described(runtime, assignment, record, &bare, &place);
    core_swept(&runtime->control.core, assignment, record, &place);
}

static bool intake_swept_to(struct klane_intake *intake, struct klane_assignment *assignment,
                            int64_t offset)
{
    return core_swept_to(&runtime_of(intake)->control.core, assignment, offset);
}

static void intake_end(struct klane_intake *intake, struct klane_assignment *assignment,
                       int64_t end)
{
    core_end(&runtime_of(intake)->control.core, assignment, end);
}

static void intake_revoke(struct klane_intake *intake, struct klane_assignment *assignment)
{
    struct klane_runtime *runtime = runtime_of(intake);

    fences_close(runtime->fences, assignment->epoch);
    core_revoke(&runtime->control.core, assignment, runtime->control.now_ms);
    control_reclaim(runtime);
}

static void intake_lost(struct klane_intake *intake, struct klane_assignment *assignment)
{
    struct klane_runtime *runtime = runtime_of(intake);
    int64_t base = assignment_base(assignment);

    fences_close(runtime->fences, assignment->epoch);
    /* Whoever hears of the loss may hand the partition's keys to others. */
    core_fence(&runtime->control.core, assignment);
    control_event(runtime, KLANE_EVENT_LOST, KLANE_OK, assignment, base, 0, NULL);
    core_lost(&runtime->control.core, assignment);
    control_reclaim(runtime);
}

static void intake_uncommitted(struct klane_intake *intake, struct klane_assignment *assignment,
                               klane_err_t err, const char *message)
{
    struct klane_runtime *runtime = runtime_of(intake);

    control_event(runtime, KLANE_EVENT_COMMIT_FAILED, err, assignment, assignment->committing, 0,
                  message);
    core_uncommitted(&runtime->control.core, assignment, err == KLANE_ERR_TOO_LARGE);
}

static void intake_committed(struct klane_intake *intake, klane_err_t err)
{
    struct klane_runtime *runtime = runtime_of(intake);
    struct control *control = &runtime->control;
    struct klane_assignment *each;

    /* Once, not with each commit. */
    if (err != KLANE_OK && err != control->commit_err)
        observe_log(&runtime->observe, KLANE_LOG_WARNING, "commits are refused: %s",
                    klane_strerror(err));
    control->commit_err = err;
    for (each = control->core.commit.sent; each != NULL; each = each->committing_next)
        control_event(runtime,
                      err == KLANE_OK ? KLANE_EVENT_COMMITTED : KLANE_EVENT_COMMIT_FAILED, err,
                      each, each->committing, 0, err == KLANE_OK ? NULL : klane_strerror(err));
    core_committed(&control->core, err == KLANE_OK, control->now_ms);
}

static void intake_awaited(struct klane_intake *intake)
{
    runtime_of(intake)->control.awaits = true;
}

static void intake_out_of_range(struct klane_intake *intake, const char *topic, int32_t partition,
                                int64_t offset, int64_t begin)
{
    struct klane_runtime *runtime = runtime_of(intake);
    struct klane_event event = {
        .type = KLANE_EVENT_OUT_OF_RANGE,
        .topic = topic,
        .partition = partition,
        .offset = offset,
        .value = begin,
        .message = "the next offset is not in the log; value says where it goes on",
    };

    observe_log(&runtime->observe, KLANE_LOG_WARNING,
                "%s [%" PRId32 "]: offset %" PRId64 " is not in the log; going on at %" PRId64,
                topic, partition, offset, begin);
    event_by_name(runtime, &event);
}

static void intake_error(struct klane_intake *intake, klane_err_t err, const char *topic,
                         int32_t partition, const char *message)
{
    struct klane_runtime *runtime = runtime_of(intake);
    struct klane_event event = {
        .type = KLANE_EVENT_SOURCE_ERROR,
        .err = err,
        .topic = topic,
        .partition = topic == NULL ? -1 : partition,
        .offset = -1,
        .message = message,
    };

    /* Not there yet is an answer too: who waits for the end of everything need not wait for it. */
    if (err == KLANE_ERR_NOT_FOUND && topic != NULL)
        routes_met(&runtime->routes, topic);
    observe_log(&runtime->observe, KLANE_LOG_WARNING, "source: %s", message);
    event_by_name(runtime, &event);
}

static void intake_fatal(struct klane_intake *intake, klane_err_t err, const char *message)
{
    control_stop(runtime_of(intake), err, message);
}

static void intake_closed(struct klane_intake *intake)
{
    runtime_of(intake)->control.closed = true;
}

const struct klane_intake_ops intake_ops = {
    .topic = intake_topic,
    .assigned = intake_assigned,
    .awaited = intake_awaited,
    .record = intake_record,
    .has_room = intake_has_room,
    .swept = intake_swept,
    .swept_to = intake_swept_to,
    .end = intake_end,
    .revoke = intake_revoke,
    .lost = intake_lost,
    .uncommitted = intake_uncommitted,
    .committed = intake_committed,
    .out_of_range = intake_out_of_range,
    .error = intake_error,
    .fatal = intake_fatal,
    .closed = intake_closed,
};
