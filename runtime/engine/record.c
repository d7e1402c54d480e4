/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler says and asks about its record. The record's slot is held by the caller, so its
 * `back` member may be written. */
#include "base/assert.h"
#include "base/headers.h"
#include "engine/engine.h"
#include "engine/notice.h"

#include <stdlib.h>
#include <string.h>

static struct klane_runtime *runtime_of(const struct klane_slot *slot)
{
    const struct core_topic *core = slot->record.assignment->partition->topic;

    return ((const struct topic *)(const void *)core)->runtime;
}

bool notice_make(struct klane_slot *slot, int64_t delay_ms, const char *reason)
{
    size_t size = reason == NULL ? 0 : strnlen(reason, NOTICE_REASON_MAX);
    struct slot_notice *notice = malloc(sizeof(*notice) + size + 1);

    slot->back.notice = notice;
    if (notice == NULL)
        return false;
    notice->delay_ms = delay_ms < 0 ? -1 : delay_ms;
    notice->attempts = 0;
    memcpy(notice->reason, reason == NULL ? "" : reason, size);
    notice->reason[size] = '\0';
    return true;
}

void notice_set(struct klane_slot *slot, enum klane_outcome outcome, int64_t delay_ms,
                const char *reason)
{
    if (slot->record.has & SLOT_HAS_LETTER) {
        if (reason != NULL && outcome == KLANE_RETRY)
            observe_log(&runtime_of(slot)->observe, KLANE_LOG_WARNING,
                        "a dead letter was not kept, it is tried again: %s", reason);
        slot->back.notice->delay_ms = delay_ms < 0 ? -1 : delay_ms;
        return;
    }
    free(slot->back.notice);
    notice_make(slot, delay_ms, reason);
}

/* NULL: a record that no handler has, as a key function does, or none at all. */
static struct klane_slot *slot_of(const struct klane_record *record)
{
    return record == NULL ? NULL : record->slot;
}

static enum klane_outcome note(const struct klane_record *record, enum klane_outcome outcome,
                               int64_t delay_ms, const char *reason)
{
    struct klane_slot *slot = slot_of(record);

    /* After klane_later() the completion may be writing there. */
    if (slot == NULL || slot->back.token != 0)
        return outcome;
    notice_set(slot, outcome, delay_ms, reason);
    if (slot_is_in_batch(runtime_of(slot), slot))
        slot->back.outcome = (uint8_t)slot_outcome(runtime_of(slot), slot, outcome);
    return outcome;
}

enum klane_outcome klane_retry(const struct klane_record *record, int64_t delay_ms,
                               const char *reason)
{
    return note(record, KLANE_RETRY, delay_ms, reason);
}

enum klane_outcome klane_skip(const struct klane_record *record, const char *reason)
{
    return note(record, KLANE_SKIP, -1, reason);
}

enum klane_outcome klane_dead_letter(const struct klane_record *record, const char *reason)
{
    return note(record, KLANE_DEAD_LETTER, -1, reason);
}

const char *klane_failure(const struct klane_record *record, uint32_t *attempts)
{
    const struct klane_slot *slot = slot_of(record);

    if (slot == NULL || !(slot->record.has & SLOT_HAS_LETTER))
        return NULL;
    if (attempts != NULL)
        *attempts = slot->back.notice->attempts;
    return slot->back.notice->reason;
}

void slot_later(struct klane_slot *slot, klane_token_t *token)
{
    struct klane_runtime *runtime = runtime_of(slot);
    klane_token_t made = tokens_make(&runtime->tokens, slot, slot->record.assignment->epoch,
                                     overrun_due_ms(runtime, slot));

    /* There are as many places as records can be in memory. */
    KLANE_ASSERT(made != 0);
    slot->back.token = tokens_index(made) + 1;
    *token = made;
}

enum klane_outcome klane_later(const struct klane_record *record, klane_token_t *token)
{
    struct klane_slot *slot = slot_of(record);

    if (token == NULL)
        return KLANE_RETRY;
    *token = 0;
    if (slot == NULL)
        return KLANE_RETRY;
    /* Asked twice: the first token stands. */
    if (slot->back.token != 0)
        return KLANE_LATER;
    if (slot_is_in_batch(runtime_of(slot), slot)) {
        slot->back.outcome = SLOT_RETRY;
        return KLANE_RETRY;
    }
    slot_later(slot, token);
    return KLANE_LATER;
}

bool klane_cancelled(const struct klane_record *record)
{
    const struct klane_slot *slot = slot_of(record), *first = slot;

    if (slot == NULL)
        return false;
    if (slot_is_in_batch(runtime_of(slot), slot))
        first = slot->back.with;
    /* Relaxed: advice to a handler. */
    return !assignment_may_start(slot->record.assignment) ||
           atomic_load_explicit(&first->back.overrun, memory_order_relaxed);
}

klane_err_t klane_header(const struct klane_record *record, const char *name, const void **value,
                         size_t *size)
{
    const struct klane_slot *slot = slot_of(record);

    if (slot == NULL || name == NULL || value == NULL || size == NULL ||
        !headers_find(slot_headers(slot), slot->record.headers_size, name, value, size))
        return KLANE_ERR_NOT_FOUND;
    return KLANE_OK;
}

/* Where this thread has last read a header, and of which record, as an epoch and an offset say for
 * good. Whoever reads them all would else take a time that is the square of their number. */
static _Thread_local struct {
    const void *block;
    size_t size;
    int64_t offset;
    uint32_t epoch;
    struct headers_place place;
} last_read;

static struct headers_place *place_in(const struct klane_slot *slot)
{
    const void *block = slot_headers(slot);
    size_t size = slot->record.headers_size;
    uint32_t epoch = slot->record.assignment->epoch;

    /* By the size, too: then no place is beyond the block, whatever an epoch that comes round may
     * name again. */
    if (last_read.block != block || last_read.size != size ||
        last_read.offset != slot->record.offset || last_read.epoch != epoch) {
        last_read.place = (struct headers_place){0};
        last_read.block = block;
        last_read.size = size;
        last_read.offset = slot->record.offset;
        last_read.epoch = epoch;
    }
    return &last_read.place;
}

klane_err_t klane_header_at(const struct klane_record *record, size_t index, const char **name,
                            const void **value, size_t *size)
{
    const struct klane_slot *slot = slot_of(record);

    if (slot == NULL || name == NULL || value == NULL || size == NULL ||
        !headers_at(slot_headers(slot), slot->record.headers_size, index, place_in(slot), name,
                    value, size))
        return KLANE_ERR_NOT_FOUND;
    return KLANE_OK;
}
