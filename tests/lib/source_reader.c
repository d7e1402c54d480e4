/* SPDX-License-Identifier: Apache-2.0 */
/* The recording intake. See lib/source_reader.h. */
#include "lib/source_reader.h"

#include "lib/check.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SLEEP_MS 20
#define QUIET_MS 30

int64_t reader_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct reader *reader_of(struct klane_intake *intake)
{
    return (struct reader *)(void *)intake;
}

/* A rule: remembers the first that does not hold. */
static void rule(struct reader *reader, bool holds, const char *text,
                 const struct klane_assignment *assignment, int64_t offset)
{
    if (holds || reader->broken[0] != '\0')
        return;
    snprintf(reader->broken, sizeof(reader->broken), "%s (partition %d, offset %" PRId64 ")",
             text, assignment == NULL ? -1 : assignment->partition, offset);
}

/* Fails the test if a rule was broken; once, so that teardown can go on. */
static void broken_report(struct reader *reader)
{
    char broken[sizeof(reader->broken)];

    if (reader->broken[0] == '\0')
        return;
    memcpy(broken, reader->broken, sizeof(broken));
    reader->broken[0] = '\0';
    fail_msg("a rule was broken: %s", broken);
}

/* What holds for every call. */
static void call_rules(struct reader *reader, const struct klane_assignment *assignment)
{
    rule(reader, reader->polling, "the intake is called from poll() only", assignment, -1);
    rule(reader, reader->closed == 0, "nothing is said after closed()", assignment, -1);
    rule(reader, assignment == NULL || !assignment->over,
         "nothing is said about an assignment that is over", assignment, -1);
}

static void *copy(const void *bytes, size_t size)
{
    void *made;

    if (bytes == NULL)
        return NULL;
    made = malloc(size + 1); /* an empty one is not NULL */
    assert_non_null(made);
    memcpy(made, bytes, size);
    return made;
}

static struct klane_assignment *on_assigned(struct klane_intake *intake, const char *topic,
                                            int32_t partition,
                                            const struct source_position *position,
                                            int64_t *from, void *own)
{
    struct reader *reader = reader_of(intake);
    struct klane_assignment *assignment = reader_find(reader, topic, partition);

    call_rules(reader, NULL);
    rule(reader, assignment == NULL || assignment->over,
         "a partition is assigned once at a time", assignment, position->begin);
    rule(reader, position->is_committed || position->metadata == NULL,
         "metadata come with what is committed", assignment, position->begin);
    if (reader->refuse_assignments > 0) {
        reader->refuse_assignments--;
        reader->refused_assignments++;
        return NULL;
    }
    assignment = calloc(1, sizeof(*assignment));
    assert_non_null(assignment);
    assignment->topic = copy(topic, strlen(topic) + 1);
    assignment->partition = partition;
    assignment->own = own;
    assignment->begin = position->begin;
    assignment->is_committed = position->is_committed;
    assignment->metadata = calloc(1, position->metadata_size + 1);
    assert_non_null(assignment->metadata);
    if (position->metadata_size > 0)
        memcpy(assignment->metadata, position->metadata, position->metadata_size);
    assignment->log_end = position->end;
    assignment->from = position->begin + reader->skip;
    *from = assignment->next = assignment->from;
    assignment->refused = -1;
    assignment->end = -1;
    assignment->older = reader->newest;
    reader->newest = assignment;
    return assignment;
}

static void record_keep(struct klane_assignment *assignment, const struct source_record *record)
{
    struct reader_record *kept;

    if (assignment->record_count == assignment->record_room) {
        assignment->record_room = 2 * assignment->record_room + 64;
        assignment->records = realloc(assignment->records,
                                      assignment->record_room * sizeof(*assignment->records));
        assert_non_null(assignment->records);
    }
    kept = &assignment->records[assignment->record_count++];
    kept->record = *record;
    kept->record.key = copy(record->key, record->key_size);
    kept->record.value = copy(record->value, record->value_size);
    kept->record.headers = copy(record->headers, record->headers_size);
}

static bool on_record(struct klane_intake *intake, struct klane_assignment *assignment,
                      const struct source_record *record)
{
    struct reader *reader = reader_of(intake);
    int64_t offset = record->offset;

    call_rules(reader, assignment);
    rule(reader, !assignment->silent, "no record comes once it is held or to be given up",
         assignment, offset);
    rule(reader, offset >= assignment->from, "no record is below where they begin", assignment,
         offset);
    rule(reader, offset >= assignment->next, "offsets rise", assignment, offset);
    rule(reader, assignment->refused < 0 || offset == assignment->refused,
         "a refused record is offered again, and none behind it", assignment, offset);
    rule(reader, !assignment->refused_now, "a refused record is offered again later",
         assignment, offset);
    rule(reader, reader->taken < reader->records_max, "records_max is respected", assignment,
         offset);
    rule(reader, offset >= assignment->end, "end() comes after every record below it",
         assignment, offset);
    if (reader->refuse_records > 0) {
        reader->refuse_records--;
        assignment->refused = offset;
        assignment->refused_now = true;
        return false;
    }
    assignment->refused = -1;
    assignment->next = offset + 1;
    reader->taken++;
    record_keep(assignment, record);
    return true;
}

static bool is_same(const struct source_record *left, const struct source_record *right)
{
    return left->offset == right->offset && left->timestamp_ms == right->timestamp_ms &&
           left->key_size == right->key_size && left->value_size == right->value_size &&
           left->headers_size == right->headers_size &&
           (left->key == NULL) == (right->key == NULL) &&
           (left->value == NULL) == (right->value == NULL) &&
           (left->key_size == 0 || memcmp(left->key, right->key, left->key_size) == 0) &&
           (left->value_size == 0 || memcmp(left->value, right->value, left->value_size) == 0) &&
           (left->headers_size == 0 ||
            memcmp(left->headers, right->headers, left->headers_size) == 0);
}

static void on_swept(struct klane_intake *intake, struct klane_assignment *assignment,
                     const struct source_record *record)
{
    struct reader *reader = reader_of(intake);
    bool is_beyond = record->offset >= assignment->sweep_end;
    bool is_next = assignment->sweep_next < assignment->record_count &&
                   is_same(record, &assignment->records[assignment->sweep_next].record);

    call_rules(reader, assignment);
    rule(reader, assignment->sweeps, "a pass brings nothing once it is over", assignment,
         record->offset);
    rule(reader, is_next || is_beyond, "a pass brings each record again, in order", assignment,
         record->offset);
    rule(reader, reader->taken < reader->records_max, "records_max is respected", assignment,
         record->offset);
    reader->taken++;
    if (is_beyond)
        return;
    assignment->sweep_next++;
    assignment->swept++;
}

static bool on_swept_to(struct klane_intake *intake, struct klane_assignment *assignment,
                        int64_t offset)
{
    struct reader *reader = reader_of(intake);
    const struct reader_record *next = &assignment->records[assignment->sweep_next];

    call_rules(reader, assignment);
    rule(reader, assignment->sweeps, "a pass is over once", assignment, offset);
    rule(reader, offset >= assignment->swept_to, "a pass goes on", assignment, offset);
    rule(reader,
         assignment->sweep_next == assignment->record_count || offset <= next->record.offset ||
             next->record.offset >= assignment->sweep_end,
         "a pass brings what it has got past", assignment, offset);
    assignment->swept_to = offset;
    assignment->sweeps = offset < assignment->sweep_end;
    return !assignment->sweeps;
}

static void on_end(struct klane_intake *intake, struct klane_assignment *assignment,
                   int64_t end)
{
    struct reader *reader = reader_of(intake);

    call_rules(reader, assignment);
    rule(reader, end >= assignment->next, "end() is not below what was offered", assignment,
         end);
    rule(reader, assignment->refused < 0, "end() does not come while a record is refused",
         assignment, end);
    rule(reader, end >= assignment->end, "the end does not fall", assignment, end);
    assignment->end = end;
    assignment->ends++;
}

static void on_revoke(struct klane_intake *intake, struct klane_assignment *assignment)
{
    struct reader *reader = reader_of(intake);

    call_rules(reader, assignment);
    rule(reader, !assignment->revoked, "revoke() comes once", assignment, -1);
    assignment->revoked = true;
    assignment->silent = true;
}

static void on_lost(struct klane_intake *intake, struct klane_assignment *assignment)
{
    call_rules(reader_of(intake), assignment);
    assignment->over = true;
    assignment->lost = true;
    assignment->silent = true;
}

static void on_committed(struct klane_intake *intake, klane_err_t err)
{
    struct reader *reader = reader_of(intake);

    call_rules(reader, NULL);
    rule(reader, reader->commits_out > 0, "a commit is answered once", NULL, -1);
    if (reader->commits_out > 0)
        reader->commits_out--;
    reader->commits_answered++;
    reader->commit_err = err;
}

static void on_awaited(struct klane_intake *intake)
{
    call_rules(reader_of(intake), NULL);
}

static void on_out_of_range(struct klane_intake *intake, const char *topic, int32_t partition,
                            int64_t committed, int64_t begin)
{
    struct reader *reader = reader_of(intake);

    (void)topic, (void)partition, (void)committed, (void)begin;
    call_rules(reader, NULL);
    reader->out_of_ranges++;
}

static void on_error(struct klane_intake *intake, klane_err_t err, const char *topic,
                     int32_t partition, const char *message)
{
    struct reader *reader = reader_of(intake);

    (void)err, (void)topic, (void)partition;
    call_rules(reader, NULL);
    rule(reader, message != NULL, "an error has a message", NULL, -1);
    reader->errors++;
}

static void on_fatal(struct klane_intake *intake, klane_err_t err, const char *message)
{
    struct reader *reader = reader_of(intake);

    (void)err;
    call_rules(reader, NULL);
    rule(reader, message != NULL, "a fatal error has a message", NULL, -1);
    reader->fatals++;
}

static void on_closed(struct klane_intake *intake)
{
    struct reader *reader = reader_of(intake);

    call_rules(reader, NULL);
    rule(reader, reader->closing, "closed() is an answer", NULL, -1);
    reader->closed++;
}

/* A pattern takes whatever no other topic does. */
static const struct source_topic *on_topic(struct klane_intake *intake, const char *name)
{
    const struct reader *reader = reader_of(intake);

    for (size_t i = 0; i < reader->topic_count; i++)
        if (strcmp(reader->topics[i].name, name) == 0)
            return &reader->topics[i];
    for (size_t i = 0; i < reader->topic_count; i++)
        if (reader->topics[i].name[0] == '^')
            return &reader->topics[i];
    return NULL;
}

static void on_uncommitted(struct klane_intake *intake, struct klane_assignment *assignment,
                           klane_err_t err, const char *message)
{
    struct reader *reader = reader_of(intake);

    call_rules(reader, assignment);
    rule(reader, reader->commits_out > 0, "only what is out can be refused", assignment, -1);
    rule(reader, err != KLANE_OK && message != NULL, "a refusal has a reason", assignment, -1);
    reader->uncommitted++;
}

static bool on_has_room(const struct klane_intake *intake, uint64_t kept_bytes)
{
    (void)intake, (void)kept_bytes;
    return true;
}

static const struct klane_intake_ops intake_ops = {
    .topic = on_topic,
    .has_room = on_has_room,
    .uncommitted = on_uncommitted,
    .assigned = on_assigned,
    .awaited = on_awaited,
    .record = on_record,
    .swept = on_swept,
    .swept_to = on_swept_to,
    .end = on_end,
    .revoke = on_revoke,
    .lost = on_lost,
    .committed = on_committed,
    .out_of_range = on_out_of_range,
    .error = on_error,
    .fatal = on_fatal,
    .closed = on_closed,
};

void reader_init(struct reader *reader, struct klane_source *source,
                 const struct source_topic *topics, size_t count)
{
    char errstr[256] = "";
    klane_err_t err;

    *reader = (struct reader){.intake = {&intake_ops, READER_GIVE_UP_MS},
                              .source = source,
                              .topics = topics,
                              .topic_count = count};
    err = source->ops->start(source, &reader->intake, topics, count, errstr, sizeof(errstr));
    if (err != KLANE_OK)
        fail_msg("start() failed: %s: %s", klane_strerror(err), errstr);
    rule(reader, reader->newest == NULL, "start() says nothing", NULL, -1);
}

/* Frees the newest assignment. */
static void newest_forget(struct reader *reader)
{
    struct klane_assignment *assignment = reader->newest;

    reader->newest = assignment->older;
    for (size_t i = 0; i < assignment->record_count; i++) {
        free((void *)(uintptr_t)assignment->records[i].record.key);
        free((void *)(uintptr_t)assignment->records[i].record.value);
        free((void *)(uintptr_t)assignment->records[i].record.headers);
    }
    free(assignment->records);
    free(assignment->topic);
    free(assignment->metadata);
    free(assignment);
}

void reader_close(struct reader *reader)
{
    reader->closing = true;
    reader->source->ops->close(reader->source);
    reader_poll_until(reader, reader->closed > 0);
    assert_int_equal(reader->closed, 1);
}

void reader_deinit(struct reader *reader)
{
    if (!reader->closing)
        reader_close(reader);
    reader->source->ops->destroy(reader->source);
    broken_report(reader);
    while (reader->newest != NULL)
        newest_forget(reader);
}

/* One call of either: what it says is checked, and reported when it is back. */
static size_t poll_by(struct reader *reader,
                      size_t (*poll)(struct klane_source *source, size_t records_max),
                      size_t records_max)
{
    size_t returned;

    reader->taken = 0;
    reader->records_max = records_max;
    reader->polling = true;
    returned = poll(reader->source, records_max);
    reader->polling = false;
    for (struct klane_assignment *each = reader->newest; each != NULL; each = each->older)
        each->refused_now = false;
    rule(reader, returned == reader->taken, "a poll returns how many records came of it", NULL,
         -1);
    broken_report(reader);
    return returned;
}

size_t reader_poll(struct reader *reader, size_t records_max)
{
    return poll_by(reader, reader->source->ops->poll, records_max);
}

size_t reader_poll_sweeps(struct reader *reader, size_t records_max)
{
    return poll_by(reader, reader->source->ops->poll_sweeps, records_max);
}

void reader_sweep(struct reader *reader, struct klane_assignment *assignment, int64_t from,
                  int64_t end)
{
    assignment->sweeps = true;
    assignment->swept_to = from;
    assignment->sweep_end = end;
    assignment->sweep_next = 0;
    while (assignment->sweep_next < assignment->record_count &&
           assignment->records[assignment->sweep_next].record.offset < from)
        assignment->sweep_next++;
    reader->source->ops->sweep(reader->source, assignment->own, from);
}

bool reader_is_rung(const struct reader *reader, int timeout_ms)
{
    struct pollfd wait = {.fd = reader->source->ops->descriptor(reader->source),
                          .events = POLLIN};

    return poll(&wait, 1, timeout_ms) == 1 && (wait.revents & POLLIN) != 0;
}

void reader_sleep(struct reader *reader)
{
    (void)reader_is_rung(reader, SLEEP_MS);
}

void reader_drain(struct reader *reader)
{
    int64_t due_ms = reader_now_ms() + READER_PATIENCE_MS;

    while (reader_poll(reader, 1000) > 0 || reader_is_rung(reader, QUIET_MS))
        if (reader_now_ms() > due_ms)
            fail_msg("the source does not come to rest");
}

struct klane_assignment *reader_find(const struct reader *reader, const char *topic,
                                     int32_t partition)
{
    struct klane_assignment *assignment = reader->newest;

    while (assignment != NULL &&
           (assignment->partition != partition || strcmp(assignment->topic, topic) != 0))
        assignment = assignment->older;
    return assignment;
}

struct klane_assignment *reader_assigned(struct reader *reader, const char *topic,
                                         int32_t partition,
                                         const struct klane_assignment *older)
{
    reader_poll_until(reader, reader_find(reader, topic, partition) != older);
    return reader_find(reader, topic, partition);
}

void reader_read_to(struct reader *reader, struct klane_assignment *assignment, int64_t end)
{
    reader_poll_until(reader, assignment->end >= end);
    assert_int_equal(assignment->end, end);
}

static void commit_begin(struct reader *reader, struct klane_assignment *assignment,
                         int64_t offset, const char *metadata)
{
    char *text = metadata == NULL ? NULL : copy(metadata, strlen(metadata));
    struct source_commit commit = {
        .assignment = assignment,
        .own = assignment->own,
        .offset = offset,
        .metadata = text,
        .metadata_size = metadata == NULL ? 0 : strlen(metadata),
    };

    reader->commits_out++;
    reader->source->ops->commit(reader->source, &commit, 1);
    /* The list was copied: it may be gone. */
    memset(&commit, 0xff, sizeof(commit));
    free(text);
}

void reader_commit_begin(struct reader *reader, struct klane_assignment *assignment,
                         int64_t offset)
{
    commit_begin(reader, assignment, offset, NULL);
}

klane_err_t reader_commit(struct reader *reader, struct klane_assignment *assignment,
                          int64_t offset)
{
    reader_commit_begin(reader, assignment, offset);
    reader_poll_until(reader, reader->commits_out == 0);
    return reader->commit_err;
}

klane_err_t reader_commit_with(struct reader *reader, struct klane_assignment *assignment,
                               int64_t offset, const char *metadata)
{
    commit_begin(reader, assignment, offset, metadata);
    reader_poll_until(reader, reader->commits_out == 0);
    return reader->commit_err;
}

void reader_give_up(struct reader *reader, struct klane_assignment *assignment)
{
    assignment->over = true;
    assignment->silent = true;
    reader->source->ops->given_up(reader->source, assignment->own);
}
