/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler says and asks about its record. The record's slot is held by the caller, so its
 * `back` member may be written. */
#include "base/assert.h"
#include "base/headers.h"
#include "engine/engine.h"
#include "engine/notice.h"

#include <stdlib.h>
#include <string.h>

struct slot_notice *notice_make(int64_t delay_ms, const char *reason)
{
    size_t size = reason == NULL ? 0 : strnlen(reason, NOTICE_REASON_MAX);
    struct slot_notice *notice = malloc(sizeof(*notice) + size + 1);

    /* Without memory the outcome stands; its delay becomes the route's and its reason is lost. */
    if (notice == NULL)
        return NULL;
    notice->delay_ms = delay_ms;
    memcpy(notice->reason, reason == NULL ? "" : reason, size);
    notice->reason[size] = '\0';
    return notice;
}

/* NULL: a record that no handler has, as a key function does, or none at all. */
static struct klane_slot *slot_of(const struct klane_record *record)
{
    return record == NULL ? NULL : record->slot;
}

static void notice_set(const struct klane_record *record, int64_t delay_ms, const char *reason)
{
    struct klane_slot *slot = slot_of(record);

    /* After klane_later() the completion may be writing there. */
    if (slot == NULL || slot->back.token != 0)
        return;
    free(slot->back.notice);
    slot->back.notice = notice_make(delay_ms, reason);
}

enum klane_outcome klane_retry(const struct klane_record *record, int64_t delay_ms,
                               const char *reason)
{
    notice_set(record, delay_ms < 0 ? -1 : delay_ms, reason);
    return KLANE_RETRY;
}

enum klane_outcome klane_skip(const struct klane_record *record, const char *reason)
{
    notice_set(record, -1, reason);
    return KLANE_SKIP;
}

static struct klane_runtime *runtime_of(const struct klane_slot *slot)
{
    const struct core_topic *core = slot->record.assignment->partition->topic;

    return ((const struct topic *)(const void *)core)->runtime;
}

enum klane_outcome klane_later(const struct klane_record *record, klane_token_t *token)
{
    struct klane_slot *slot = slot_of(record);
    struct klane_runtime *runtime;
    klane_token_t made;

    if (token == NULL)
        return KLANE_RETRY;
    *token = 0;
    if (slot == NULL)
        return KLANE_RETRY;
    /* Asked twice: the first token stands. */
    if (slot->back.token != 0)
        return KLANE_LATER;
    runtime = runtime_of(slot);
    made = tokens_make(&runtime->tokens, slot, slot->record.assignment->epoch);
    /* There are as many places as records can be in memory. */
    KLANE_ASSERT(made != 0);
    slot->back.token = tokens_index(made) + 1;
    *token = made;
    return KLANE_LATER;
}

bool klane_cancelled(const struct klane_record *record)
{
    const struct klane_slot *slot = slot_of(record);

    return slot != NULL && !assignment_may_start(slot->record.assignment);
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

klane_err_t klane_header_at(const struct klane_record *record, size_t index, const char **name,
                            const void **value, size_t *size)
{
    const struct klane_slot *slot = slot_of(record);

    if (slot == NULL || name == NULL || value == NULL || size == NULL ||
        !headers_at(slot_headers(slot), slot->record.headers_size, index, name, value, size))
        return KLANE_ERR_NOT_FOUND;
    return KLANE_OK;
}
