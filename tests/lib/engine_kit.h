/* SPDX-License-Identifier: Apache-2.0 */
/* A runtime on a log in memory, for tests: what was handled and what was told is written down by
 * klane's threads and looked at by the test's, which also says what each handler does next.
 *
 * Nothing sleeps to wait: kit_wait_*() return when it has happened, or fail the test after 20
 * s. */
#ifndef KLANE_TESTS_LIB_ENGINE_KIT_H
#define KLANE_TESTS_LIB_ENGINE_KIT_H

#include "lib/check.h"

#include <klane/klane.h>
#include <klane/memory.h>

#include <pthread.h>

#define KIT_NOTES_MAX 65536
#define KIT_KEY_MAX 16
#define KIT_ERRORS 32

/* One start of a handler. */
struct kit_note {
    char key[KIT_KEY_MAX]; /* as text; "(null)" for none */
    int64_t offset;
    int32_t partition;
    uint32_t attempt;
    uint32_t epoch;
    bool ended;
    int handler; /* which of the kit's handlers */
};

struct kit {
    struct klane_options options;
    struct klane_source *source;
    struct klane_runtime *runtime;
    const char *topic; /* that kit_start() handles */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct kit_note *notes;
    size_t note_count;
    size_t running;
    size_t running_most;
    size_t events[KLANE_EVENT_OVERRUN + 1];
    struct klane_event last[KLANE_EVENT_OVERRUN + 1];
    size_t errors[KIT_ERRORS]; /* events SOURCE_ERROR by their err */
    char message[256]; /* of the last event that had one */
    size_t log_lines;
    char line[512];       /* the last of them */
    const char *expected; /* a part of one of them; NULL: of none */
    bool has_expected;    /* it has come */
    bool hung;            /* its source did not close in time */
    bool overlap; /* two handlers of one key at once */

    /* What a handler does: called without the lock. NULL: KLANE_DONE. */
    enum klane_outcome (*act)(struct kit *kit, const struct klane_record *record);
    /* A key whose handlers wait until kit_open() is called. */
    const char *gate;
    bool gate_open;
    bool by_offset; /* overlap is looked for by offset, not by key */
};

/* Options are the defaults with 4 workers; change kit->options before kit_create(). One topic
 * "t". */
void kit_init(struct kit *kit, int32_t partitions);

/* The same on another source, with a topic that it has. kit_append() and what asks for committed
 * offsets are for the log in memory. */
void kit_init_on(struct kit *kit, struct klane_source *source, const char *topic);

/* Make the runtime, without handlers. */
void kit_create(struct kit *kit);

/* Make the runtime with the kit's handler for all keys, and start it. */
void kit_start(struct kit *kit);

/* The same with these in its route. */
void kit_start_route(struct kit *kit, int64_t retry_delay_ms, uint32_t slow_ms);

/* A route of all keys of the kit's topic to its handler. */
void kit_route_init(struct kit *kit, struct klane_route *route);

/* Make the runtime with these rules of the topic (NULL: none) and this route, and start it. */
void kit_start_with(struct kit *kit, const struct klane_topic *topic,
                    const struct klane_route *route);

/* Stop, wait and destroy; whatever is still held back is let go first. The source closes in time,
 * unless it has less than the usual. */
void kit_end(struct kit *kit);

/* The kit's handler; its context is the kit. */
enum klane_outcome kit_handle(const struct klane_record *record, void *context);

/* Append a record with this key (NULL: none) and no value. */
int64_t kit_append(struct kit *kit, int32_t partition, const char *key);

void kit_open(struct kit *kit);

/* In a handler: wait for that. */
void kit_wait_open(struct kit *kit);

/* Wait for so many handler ends, starts, or events of a type. */
void kit_wait_ended(struct kit *kit, size_t count);
void kit_wait_started(struct kit *kit, size_t count);
void kit_wait_event(struct kit *kit, enum klane_event_type type, size_t count);

/* Wait for so many lines of the log. */
void kit_wait_lines(struct kit *kit, size_t count);

/* Wait until a counter of the test's, which is written under the kit's lock, is so high. */
void kit_wait_counter(struct kit *kit, const size_t *counter, size_t count, const char *what);

/* Wait for an event SOURCE_ERROR with this error. */
void kit_wait_error(struct kit *kit, klane_err_t err);

/* Wait until so many records were taken in, were finished, or until offset is committed. */
void kit_wait_taken_in(struct kit *kit, uint64_t count);
void kit_wait_done(struct kit *kit, uint64_t count);
void kit_wait_committed(struct kit *kit, int32_t partition, int64_t offset);

/* Wait until the runtime, told to stop, has nothing out any more: handlers of a partition that was
 * given up before need not have ended with it. */
void kit_wait_idle(struct kit *kit);

/* Starts of handlers of a key. */
size_t kit_key_starts(struct kit *kit, const char *key);

size_t kit_event_count(struct kit *kit, enum klane_event_type type);
struct klane_event kit_event(struct kit *kit, enum klane_event_type type);
int64_t kit_committed(struct kit *kit, int32_t partition);
struct klane_stats kit_stats(struct kit *kit);

/* The offsets of one key's starts rise by attempts and records, and never overlap. */
void kit_assert_order(struct kit *kit);

#endif
