/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/engine_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WAIT_SECONDS 20
#define STOP_MS 10000 /* what a runtime has, if the test says nothing */

static void on_event(const struct klane_event *event, void *context)
{
    struct kit *kit = context;

    pthread_mutex_lock(&kit->lock);
    kit->events[event->type]++;
    if (event->type == KLANE_EVENT_SOURCE_ERROR && (size_t)event->err < KIT_ERRORS)
        kit->errors[event->err]++;
    kit->last[event->type] = *event;
    kit->last[event->type].topic = NULL;
    kit->last[event->type].message = NULL;
    if (event->message != NULL)
        snprintf(kit->message, sizeof(kit->message), "%s", event->message);
    pthread_cond_broadcast(&kit->changed);
    pthread_mutex_unlock(&kit->lock);
}

static void on_log(enum klane_log_level level, const char *line, void *context)
{
    struct kit *kit = context;

    (void)level;
    pthread_mutex_lock(&kit->lock);
    kit->log_lines++;
    snprintf(kit->line, sizeof(kit->line), "%s", line);
    kit->has_expected |= kit->expected != NULL && strstr(line, kit->expected) != NULL;
    kit->hung |= strstr(line, "did not close in time") != NULL;
    pthread_cond_broadcast(&kit->changed);
    pthread_mutex_unlock(&kit->lock);
}

void kit_init_on(struct kit *kit, struct klane_source *source, const char *topic)
{
    pthread_condattr_t attributes;

    memset(kit, 0, sizeof(*kit));
    pthread_mutex_init(&kit->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&kit->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    kit->notes = calloc(KIT_NOTES_MAX, sizeof(*kit->notes));
    klane_options_init(&kit->options, sizeof(kit->options));
    kit->options.workers = 4;
    kit->options.commit_interval_ms = 20;
    kit->options.event = on_event;
    kit->options.event_context = kit;
    kit->options.log = on_log;
    kit->options.log_context = kit;
    kit->source = source;
    kit->topic = topic;
}

void kit_init(struct kit *kit, int32_t partitions)
{
    struct klane_source *source;

    assert_int_equal(klane_memory_create(&source), KLANE_OK);
    assert_int_equal(klane_memory_topic(source, "t", partitions), KLANE_OK);
    kit_init_on(kit, source, "t");
}

void kit_create(struct kit *kit)
{
    char errstr[256];

    if (klane_create(&kit->options, kit->source, &kit->runtime, errstr, sizeof(errstr)) !=
        KLANE_OK)
        fail_msg("%s", errstr);
}

void kit_route_init(struct kit *kit, struct klane_route *route)
{
    klane_route_init(route, sizeof(*route));
    route->topic = kit->topic;
    route->handler = kit_handle;
    route->context = kit;
}

void kit_start_with(struct kit *kit, const struct klane_topic *topic,
                    const struct klane_route *route)
{
    kit_create(kit);
    if (topic != NULL)
        assert_int_equal(klane_topic(kit->runtime, topic), KLANE_OK);
    assert_int_equal(klane_route(kit->runtime, route), KLANE_OK);
    assert_int_equal(klane_start(kit->runtime), KLANE_OK);
}

void kit_start(struct kit *kit)
{
    kit_create(kit);
    assert_int_equal(klane_handle(kit->runtime, kit->topic, kit_handle, kit), KLANE_OK);
    assert_int_equal(klane_start(kit->runtime), KLANE_OK);
}

void kit_start_route(struct kit *kit, int64_t retry_delay_ms, uint32_t slow_ms)
{
    struct klane_route route;

    kit_route_init(kit, &route);
    route.retry_delay_ms = retry_delay_ms;
    route.slow_ms = slow_ms;
    kit_start_with(kit, NULL, &route);
}

void kit_open(struct kit *kit)
{
    pthread_mutex_lock(&kit->lock);
    kit->gate_open = true;
    pthread_cond_broadcast(&kit->changed);
    pthread_mutex_unlock(&kit->lock);
}

static void wait_open(struct kit *kit)
{
    while (!kit->gate_open)
        pthread_cond_wait(&kit->changed, &kit->lock);
}

void kit_wait_open(struct kit *kit)
{
    pthread_mutex_lock(&kit->lock);
    wait_open(kit);
    pthread_mutex_unlock(&kit->lock);
}

void kit_end(struct kit *kit)
{
    klane_err_t err;

    kit_open(kit);
    klane_stop(kit->runtime);
    err = klane_wait(kit->runtime, WAIT_SECONDS * 1000);
    assert_int_not_equal(err, KLANE_ERR_TIMEOUT);
    assert_false(kit->hung && kit->options.stop_ms >= STOP_MS);
    while ((err = klane_destroy(kit->runtime)) == KLANE_ERR_BUSY) {
        const struct timespec pause = {.tv_nsec = 1000000};

        nanosleep(&pause, NULL);
    }
    assert_int_equal(err, KLANE_OK);
    pthread_cond_destroy(&kit->changed);
    pthread_mutex_destroy(&kit->lock);
    free(kit->notes);
}

int64_t kit_append(struct kit *kit, int32_t partition, const char *key)
{
    struct klane_memory_record record = {
        .key = key,
        .key_size = key == NULL ? 0 : strlen(key),
        .timestamp_ms = -1,
        .offset = -1,
    };
    int64_t offset;

    assert_int_equal(klane_memory_append(kit->source, "t", partition, &record, &offset),
                     KLANE_OK);
    return offset;
}

/* ---- the handler ------------------------------------------------------------------------- */

static void note_begin(struct kit *kit, const struct klane_record *record, size_t *index)
{
    struct kit_note *note = &kit->notes[kit->note_count];

    if (kit->note_count == KIT_NOTES_MAX) {
        fprintf(stderr, "a kit has room for %d starts of handlers\n", KIT_NOTES_MAX);
        abort();
    }
    *index = kit->note_count++;
    if (record->key == NULL)
        snprintf(note->key, sizeof(note->key), "(null)");
    else
        snprintf(note->key, sizeof(note->key), "%.*s", (int)record->key_size,
                 (const char *)record->key);
    note->offset = record->offset;
    note->partition = record->partition;
    note->attempt = record->attempt;
    note->epoch = record->epoch;
    note->ended = false;
    for (size_t i = 0; i < *index; i++)
        if (!kit->notes[i].ended && kit->notes[i].partition == note->partition &&
            (kit->by_offset ? kit->notes[i].offset == note->offset
                            : strcmp(kit->notes[i].key, note->key) == 0))
            kit->overlap = true;
    if (++kit->running > kit->running_most)
        kit->running_most = kit->running;
}

enum klane_outcome kit_handle(const struct klane_record *record, void *context)
{
    struct kit *kit = context;
    enum klane_outcome outcome = KLANE_DONE;
    size_t index;

    pthread_mutex_lock(&kit->lock);
    note_begin(kit, record, &index);
    pthread_cond_broadcast(&kit->changed);
    if (kit->gate != NULL && strcmp(kit->notes[index].key, kit->gate) == 0)
        wait_open(kit);
    pthread_mutex_unlock(&kit->lock);
    if (kit->act != NULL)
        outcome = kit->act(kit, record);
    pthread_mutex_lock(&kit->lock);
    kit->notes[index].ended = true;
    kit->running--;
    pthread_cond_broadcast(&kit->changed);
    pthread_mutex_unlock(&kit->lock);
    return outcome;
}

/* ---- waiting ----------------------------------------------------------------------------- */

static size_t ended(const struct kit *kit)
{
    return kit->note_count - kit->running;
}

static size_t started(const struct kit *kit)
{
    return kit->note_count;
}

struct wish {
    size_t (*value)(const struct kit *kit);
    const size_t *counter; /* without value */
    size_t count;
    const char *what;
};

static void wait_for(struct kit *kit, const struct wish *wish)
{
    struct timespec deadline;
    size_t value;
    int err = 0;

    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += WAIT_SECONDS;
    pthread_mutex_lock(&kit->lock);
    for (;;) {
        value = wish->value != NULL ? wish->value(kit) : *wish->counter;
        if (value >= wish->count || err != 0)
            break;
        err = pthread_cond_timedwait(&kit->changed, &kit->lock, &deadline);
    }
    pthread_mutex_unlock(&kit->lock);
    if (value < wish->count)
        fail_msg("waited in vain for %zu %s: %zu", wish->count, wish->what, value);
}

void kit_wait_ended(struct kit *kit, size_t count)
{
    wait_for(kit, &(struct wish){.value = ended, .count = count, .what = "handler ends"});
}

void kit_wait_started(struct kit *kit, size_t count)
{
    wait_for(kit, &(struct wish){.value = started, .count = count, .what = "handler starts"});
}

void kit_wait_event(struct kit *kit, enum klane_event_type type, size_t count)
{
    wait_for(kit, &(struct wish){
                      .counter = &kit->events[type], .count = count, .what = "events"});
}

void kit_wait_lines(struct kit *kit, size_t count)
{
    wait_for(kit, &(struct wish){.counter = &kit->log_lines, .count = count, .what = "lines"});
}

void kit_wait_counter(struct kit *kit, const size_t *counter, size_t count, const char *what)
{
    wait_for(kit, &(struct wish){.counter = counter, .count = count, .what = what});
}

void kit_wait_error(struct kit *kit, klane_err_t err)
{
    wait_for(kit, &(struct wish){
                      .counter = &kit->errors[err], .count = 1, .what = klane_strerror(err)});
}

static void look_again(int *looks)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    if (++*looks > WAIT_SECONDS * 1000)
        fail_msg("waited in vain");
    nanosleep(&pause, NULL);
}

void kit_wait_idle(struct kit *kit)
{
    int looks = 0;
    klane_err_t err;

    while ((err = klane_wait(kit->runtime, WAIT_SECONDS * 1000)) == KLANE_ERR_BUSY)
        look_again(&looks);
    assert_int_equal(err, KLANE_OK);
}

void kit_wait_taken_in(struct kit *kit, uint64_t count)
{
    int looks = 0;

    while (kit_stats(kit).records < count)
        look_again(&looks);
}

void kit_wait_done(struct kit *kit, uint64_t count)
{
    int looks = 0;

    while (kit_stats(kit).done < count)
        look_again(&looks);
}

void kit_wait_committed(struct kit *kit, int32_t partition, int64_t offset)
{
    int looks = 0;

    while (kit_committed(kit, partition) < offset)
        look_again(&looks);
}

size_t kit_key_starts(struct kit *kit, const char *key)
{
    size_t count = 0;

    pthread_mutex_lock(&kit->lock);
    for (size_t i = 0; i < kit->note_count; i++)
        count += strcmp(kit->notes[i].key, key) == 0;
    pthread_mutex_unlock(&kit->lock);
    return count;
}

size_t kit_event_count(struct kit *kit, enum klane_event_type type)
{
    size_t count;

    pthread_mutex_lock(&kit->lock);
    count = kit->events[type];
    pthread_mutex_unlock(&kit->lock);
    return count;
}

struct klane_event kit_event(struct kit *kit, enum klane_event_type type)
{
    struct klane_event event;

    pthread_mutex_lock(&kit->lock);
    event = kit->last[type];
    pthread_mutex_unlock(&kit->lock);
    return event;
}

int64_t kit_committed(struct kit *kit, int32_t partition)
{
    int64_t offset;

    assert_int_equal(klane_memory_committed(kit->source, "t", partition, &offset), KLANE_OK);
    return offset;
}

struct klane_stats kit_stats(struct kit *kit)
{
    struct klane_stats stats;

    assert_int_equal(klane_stats_get(kit->runtime, &stats, sizeof(stats)), KLANE_OK);
    return stats;
}

void kit_assert_order(struct kit *kit)
{
    pthread_mutex_lock(&kit->lock);
    assert_false(kit->overlap);
    for (size_t i = 0; i < kit->note_count; i++) {
        const struct kit_note *note = &kit->notes[i];

        for (size_t j = i; j-- > 0;) {
            const struct kit_note *earlier = &kit->notes[j];

            if (earlier->partition != note->partition || strcmp(earlier->key, note->key) != 0)
                continue;
            if (earlier->epoch == note->epoch)
                assert_true(
                    earlier->offset < note->offset ||
                    (earlier->offset == note->offset && earlier->attempt + 1 == note->attempt));
            break;
        }
    }
    pthread_mutex_unlock(&kit->lock);
}
