/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/history.h"

#include "base/hash.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LANE_KEY_MAX 64
#define LANE_BUCKETS 4096U
#define LANES_MAX 65536U

struct lane_entry {
    uint64_t hash;
    uint32_t next; /* in its bucket; 0: none */
    uint16_t partition;
    uint8_t kind;
    uint8_t key_size;
    unsigned char key[LANE_KEY_MAX];
};

/* Entry 0 is nobody's: it stands for "no order" and for the end of a bucket. */
struct history_lanes {
    uint32_t buckets[LANE_BUCKETS];
    uint32_t count;
    struct lane_entry entries[LANES_MAX];
};

bool history_init(struct history *history, size_t capacity)
{
    history->events = malloc(capacity * sizeof(*history->events));
    history->lanes = malloc(sizeof(*history->lanes));
    history->capacity = capacity;
    if (history->events == NULL || history->lanes == NULL) {
        history_deinit(history);
        return false;
    }
    history_clear(history);
    return true;
}

void history_deinit(struct history *history)
{
    free(history->events);
    free(history->lanes);
    history->events = NULL;
    history->lanes = NULL;
}

void history_clear(struct history *history)
{
    /* Relaxed: no other thread adds events while this one forgets them. */
    atomic_store_explicit(&history->count, 0, memory_order_relaxed);
    memset(history->lanes->buckets, 0, sizeof(history->lanes->buckets));
    history->lanes->count = 1;
}

void history_add(struct history *history, struct history_event event)
{
    /* Relaxed: the number alone makes the order. What one thread does because of another's deed
     * is added after that, and a later increment of one counter is never below an earlier one. */
    size_t index = atomic_fetch_add_explicit(&history->count, 1, memory_order_relaxed);

    if (index < history->capacity)
        history->events[index] = event;
}

size_t history_count(const struct history *history)
{
    /* Relaxed: asked when no thread adds events any more. */
    size_t count = atomic_load_explicit(&history->count, memory_order_relaxed);

    return count < history->capacity ? count : history->capacity;
}

bool history_is_whole(const struct history *history)
{
    /* Relaxed: asked when no thread adds events any more. */
    return atomic_load_explicit(&history->count, memory_order_relaxed) <= history->capacity;
}

uint32_t history_lane(struct history *history, uint16_t partition, uint8_t kind, const void *key,
                      size_t key_size)
{
    struct history_lanes *lanes = history->lanes;
    uint64_t hash = hash_bytes(key, key_size, (uint64_t)partition << 8 | kind);
    uint32_t *bucket = &lanes->buckets[hash % LANE_BUCKETS];
    struct lane_entry *entry;

    for (uint32_t i = *bucket; i != 0; i = lanes->entries[i].next) {
        entry = &lanes->entries[i];
        if (entry->hash == hash && entry->partition == partition && entry->kind == kind &&
            entry->key_size == key_size &&
            (key_size == 0 || memcmp(entry->key, key, key_size) == 0))
            return i;
    }
    if (lanes->count == LANES_MAX || key_size > LANE_KEY_MAX)
        return 0;
    entry = &lanes->entries[lanes->count];
    entry->hash = hash;
    entry->next = *bucket;
    entry->partition = partition;
    entry->kind = kind;
    entry->key_size = (uint8_t)key_size;
    if (key_size > 0)
        memcpy(entry->key, key, key_size);
    *bucket = lanes->count;
    return lanes->count++;
}

/* ---- text -------------------------------------------------------------------------------- */

static const char *const type_names[] = {
    [HISTORY_APPEND] = "append",   [HISTORY_LOG_END] = "log-end",
    [HISTORY_GONE] = "gone",       [HISTORY_CUT] = "CUT",
    [HISTORY_WORKERS] = "begin",
    [HISTORY_ASSIGN] = "assign",   [HISTORY_REVOKE] = "revoke",
    [HISTORY_GIVEN_UP] = "given-up", [HISTORY_LOST] = "lost",
    [HISTORY_DELIVER] = "take-in", [HISTORY_START] = "start",
    [HISTORY_RETURN] = "return",   [HISTORY_END] = "end",
    [HISTORY_HEARD] = "heard",     [HISTORY_HEAD_GONE] = "head-gone",
    [HISTORY_STATE] = "state",     [HISTORY_FREE] = "free",
    [HISTORY_FREED] = "freed",     [HISTORY_DRAINED] = "drained",
    [HISTORY_SENT] = "commit",     [HISTORY_COMMITTED] = "committed",
    [HISTORY_ANSWERED] = "answered", [HISTORY_CRASH] = "CRASH",
    [HISTORY_STOP] = "stop",       [HISTORY_STOPPED] = "stopped",
    [HISTORY_BOUND] = "bound",     [HISTORY_LEFT] = "left",
    [HISTORY_NOTE] = "note",
};
_Static_assert(sizeof(type_names) / sizeof(type_names[0]) == HISTORY_TYPES, "each has a name");

static const char *const result_names[] = {"done", "skipped", "retry"};

static bool is_about_a_record(enum history_type type)
{
    return type == HISTORY_START || type == HISTORY_RETURN || type == HISTORY_END;
}

static bool is_of_the_log(enum history_type type)
{
    return type == HISTORY_APPEND || type == HISTORY_LOG_END || type == HISTORY_GONE ||
           type == HISTORY_CUT;
}

void history_print_event(FILE *file, const struct history *history, size_t index)
{
    const struct history_event *event = &history->events[index];
    enum history_type type = event->type;

    fprintf(file, "%7zu %8" PRId64 "ms ", index, event->time_ms);
    if (is_of_the_log(type))
        fprintf(file, "log ");
    else
        fprintf(file, "P%-2u ", event->process);
    fprintf(file, "%-9s", type_names[type]);
    if (type <= HISTORY_COMMITTED && type != HISTORY_WORKERS)
        fprintf(file, " p%u", event->partition);
    if (type >= HISTORY_ASSIGN && type <= HISTORY_COMMITTED)
        fprintf(file, " e%" PRIu32, event->epoch);
    if (is_of_the_log(type) || type == HISTORY_ASSIGN || type == HISTORY_DELIVER ||
        type == HISTORY_HEARD || type == HISTORY_HEAD_GONE || type == HISTORY_STATE ||
        is_about_a_record(type) || type == HISTORY_SENT || type == HISTORY_COMMITTED)
        fprintf(file, " @%" PRId64, event->offset);
    if (type == HISTORY_STATE)
        fprintf(file, " %" PRIx64 " -> %" PRIx64, (uint64_t)event->ceiling,
                (uint64_t)event->value);
    else if (event->ceiling > 0)
        fprintf(file, " ceiling @%" PRId64, event->ceiling);
    if (type == HISTORY_APPEND)
        fprintf(file, " lane %" PRIu32, event->lane);
    if (is_about_a_record(type))
        fprintf(file, " #%" PRIu32, event->attempt);
    if (type == HISTORY_END)
        fprintf(file, " %s", result_names[event->result]);
    if (type == HISTORY_END && event->result == HISTORY_RETRY)
        fprintf(file, " in %" PRId64 "ms", event->value);
    if (type == HISTORY_SENT || type == HISTORY_ANSWERED)
        fprintf(file, " commit %" PRId64, event->value);
    if (type == HISTORY_WORKERS)
        fprintf(file, " with %" PRId64 " workers", event->value);
    if (type == HISTORY_FREE || type == HISTORY_FREED)
        fprintf(file, " %" PRIx64, (uint64_t)event->value);
    if (type == HISTORY_STOP)
        fprintf(file, " until %" PRId64 "ms", event->value);
    if (type == HISTORY_STOPPED)
        fprintf(file, " %s", event->result ? "clean" : "with a rest");
    if (type == HISTORY_BOUND)
        fprintf(file, " %s: %" PRId64 " of %" PRId64, event->name, event->offset, event->value);
    if (type == HISTORY_LEFT)
        fprintf(file, " %s: %" PRId64, event->name, event->value);
    if (type == HISTORY_NOTE)
        fprintf(file, " p%u @%" PRId64 " %s", event->partition, event->offset, event->name);
    fputc('\n', file);
}

void history_print(FILE *file, const struct history *history)
{
    fputs("legend: number, virtual time, Pn process n (log: the log itself), what happened;\n"
          "        pn partition, en epoch, @n offset, #n attempt; lane 0 has no order\n",
          file);
    for (size_t i = 0; i < history_count(history); i++)
        history_print_event(file, history, i);
}
