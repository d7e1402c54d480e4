/* SPDX-License-Identifier: Apache-2.0 */
#include "core/offsets.h"

#include "base/assert.h"
#include "core/lane.h"

#include <stdlib.h>
#include <string.h>

static struct klane_slot **place_of(const struct offsets *offsets, uint32_t sequence)
{
    return &offsets->ring[sequence & (offsets->capacity - 1)];
}

void offsets_init(struct offsets *offsets, int64_t begin)
{
    *offsets = (struct offsets){.frontier = begin, .limit = INT64_MAX};
    heap_init(&offsets->heads);
}

void offsets_deinit(struct offsets *offsets)
{
    free(offsets->ring);
    offsets->ring = NULL;
    offsets->capacity = 0;
    heap_deinit(&offsets->heads);
}

static bool ring_grow(struct offsets *offsets)
{
    uint32_t capacity = offsets->capacity == 0 ? OFFSETS_RING_MIN : offsets->capacity * 2;
    struct klane_slot **ring = malloc(capacity * sizeof(struct klane_slot *));

    if (ring == NULL)
        return false;
    for (uint32_t i = offsets->first; i != offsets->end; i++)
        ring[i & (capacity - 1)] = *place_of(offsets, i);
    free(offsets->ring);
    offsets->ring = ring;
    offsets->capacity = capacity;
    return true;
}

bool offsets_reserve(struct offsets *offsets, uint32_t unfinished)
{
    /* Any unfinished record may turn out to be the head of a lane of its own in the heap. */
    if (!heap_reserve(&offsets->heads, unfinished + 1))
        return false;
    if (offsets->end - offsets->first < offsets->capacity)
        return true;
    /* A ring with more empty places than slots, or of the largest size, moves its oldest slot to
     * the heap instead. */
    if (unfinished < offsets->capacity / 2 || offsets->capacity == OFFSETS_RING_MAX)
        return true;
    return ring_grow(offsets);
}

static void skip_settled(struct offsets *offsets)
{
    while (offsets->first != offsets->end && *place_of(offsets, offsets->first) == NULL)
        offsets->first++;
}

/* The ring needs the place of its oldest slot, which is unfinished. */
static void move_to_heads(struct offsets *offsets)
{
    struct klane_slot *slot = *place_of(offsets, offsets->first);
    struct lane *lane = slot->control.lane;

    KLANE_MARK("unfinished slot leaves the ring");
    /* Older slots of the lane have left the ring before: if there are any, the lane is in. */
    if (!heap_has(&lane->head)) {
        KLANE_ASSERT(lane_head(lane, slot->record.assignment) == slot);
        heap_set(&offsets->heads, &lane->head, slot->record.offset);
    }
    offsets->first++;
    skip_settled(offsets);
}

void offsets_add(struct offsets *offsets, struct klane_slot *slot)
{
    KLANE_ASSERT(slot->record.offset >= offsets->frontier);
    offsets->frontier = slot->record.offset + 1;
    if (offsets->end - offsets->first == offsets->capacity)
        move_to_heads(offsets);
    slot->control.sequence = offsets->end;
    *place_of(offsets, offsets->end) = slot;
    offsets->end++;
}

void offsets_feed(struct offsets *offsets, struct klane_slot *slot)
{
    struct lane *lane = slot->control.lane;

    /* No place that is in use. */
    slot->control.sequence = offsets->first - 1;
    if (lane_head(lane, slot->record.assignment) == slot)
        heap_set(&offsets->heads, &lane->head, slot->record.offset);
}

void offsets_reach(struct offsets *offsets, int64_t end)
{
    if (end > offsets->frontier)
        offsets->frontier = end;
}

/* Sequences wrap around: what counts is the distance from the oldest place in use. */
static bool in_ring(const struct offsets *offsets, const struct klane_slot *slot)
{
    uint32_t distance = slot->control.sequence - offsets->first;

    return distance < offsets->end - offsets->first &&
           *place_of(offsets, slot->control.sequence) == slot;
}

void offsets_settle(struct offsets *offsets, const struct klane_slot *slot)
{
    struct lane *lane = slot->control.lane;
    const struct klane_slot *head;

    if (in_ring(offsets, slot)) {
        *place_of(offsets, slot->control.sequence) = NULL;
        if (slot->control.sequence == offsets->first)
            skip_settled(offsets);
    }
    head = lane_head(lane, slot->record.assignment);
    if (head != NULL && !in_ring(offsets, head))
        heap_set(&offsets->heads, &lane->head, head->record.offset);
    else if (heap_has(&lane->head))
        heap_remove(&offsets->heads, &lane->head);
}

struct klane_slot *offsets_in_ring(const struct offsets *offsets, uint32_t *sequence)
{
    while (*sequence != offsets->end) {
        struct klane_slot *slot = *place_of(offsets, (*sequence)++);

        if (slot != NULL)
            return slot;
    }
    return NULL;
}

void offsets_abandon(struct offsets *offsets, int64_t offset)
{
    if (offset < offsets->limit)
        offsets->limit = offset;
}

int64_t offsets_base(const struct offsets *offsets)
{
    int64_t base = offsets->frontier;

    if (offsets->first != offsets->end) {
        const struct klane_slot *slot = *place_of(offsets, offsets->first);

        base = slot->record.offset;
    }
    if (offsets->heads.count > 0 && offsets->heads.entries[0].value < base)
        base = offsets->heads.entries[0].value;
    return offsets->limit < base ? offsets->limit : base;
}

#ifdef KLANE_TESTING
void offsets_verify(const struct offsets *offsets)
{
    int64_t previous = -1;

    KLANE_ASSERT(offsets->end - offsets->first <= offsets->capacity);
    KLANE_ASSERT(offsets->first == offsets->end || *place_of(offsets, offsets->first) != NULL);
    for (uint32_t i = offsets->first; i != offsets->end; i++) {
        const struct klane_slot *slot = *place_of(offsets, i);

        if (slot == NULL)
            continue;
        KLANE_ASSERT(slot->control.sequence == i);
        KLANE_ASSERT(slot->record.offset > previous);
        previous = slot->record.offset;
    }
    KLANE_ASSERT(previous < offsets->frontier);
    heap_verify(&offsets->heads);
}
#endif
