/* SPDX-License-Identifier: Apache-2.0 */
/* Upholds what sync/tokens.h states and argues. Any thread; places are freed by control alone. */
#include "sync/tokens.h"

#include "base/assert.h"
#include "sync/race_detector.h"

#include <sys/mman.h>

#define TOKENS_CAPACITY_MAX ((uint32_t)1 << 30)

/* A state word: the generation in the high half, these in the low one. */
#define STATE_LIVE ((uint64_t)1)
#define STATE_CLAIMED ((uint64_t)2)
#define STATE_COMPLETED ((uint64_t)4)
#define STATE_RETURNED ((uint64_t)8)

static uint64_t state_of(uint32_t generation, uint64_t flags)
{
    return (uint64_t)generation << 32 | flags;
}

static uint32_t generation_of(uint64_t state_or_token)
{
    return (uint32_t)(state_or_token >> 32);
}

static uint32_t flags_of(uint64_t state)
{
    return (uint32_t)state;
}

/* Whether a completion of this token can still win. */
static bool is_open(uint64_t state, klane_token_t token)
{
    return generation_of(state) == generation_of(token) &&
           (state & (STATE_LIVE | STATE_CLAIMED)) == STATE_LIVE;
}

/* The place of a token that anybody may have made up; NULL: there is none. */
static struct tokens_entry *entry_find(const struct tokens *tokens, klane_token_t token)
{
    uint32_t index = tokens_index(token);

    return index < tokens->capacity ? &tokens->entries[index] : NULL;
}

bool tokens_init(struct tokens *tokens, uint32_t capacity, uint32_t random)
{
    size_t entries_size = capacity * sizeof(struct tokens_entry);
    uint32_t ring_size = 2;
    void *map;

    KLANE_ASSERT(capacity >= 1);
    KLANE_ASSERT(capacity <= TOKENS_CAPACITY_MAX);
    /* A ring of size n holds n - 1, and all places may be free at once. */
    while (ring_size <= capacity)
        ring_size *= 2;
    tokens->map_size = entries_size + ring_size * sizeof(ck_ring_buffer_t);
    map =
        mmap(NULL, tokens->map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return false;
    tokens->entries = map; /* zero: generation 0, which no token has */
    tokens->free_buffer = (ck_ring_buffer_t *)(void *)((char *)map + entries_size);
    tokens->capacity = capacity;
    tokens->generation = random == 0 ? 1 : random;
    atomic_init(&tokens->fresh, 0);
    ck_ring_init(&tokens->free_ring, ring_size);
    return true;
}

void tokens_deinit(struct tokens *tokens)
{
    munmap(tokens->entries, tokens->map_size);
    tokens->entries = NULL;
    tokens->free_buffer = NULL;
    tokens->capacity = 0;
}

/* A place that was never used; NULL: there is none left. */
static struct tokens_entry *entry_fresh(struct tokens *tokens)
{
    /* Relaxed, all: only the number counts; nobody else knows the place yet. */
    uint32_t index = atomic_load_explicit(&tokens->fresh, memory_order_relaxed);

    do {
        if (index >= tokens->capacity)
            return NULL;
    } while (!atomic_compare_exchange_weak_explicit(&tokens->fresh, &index, index + 1,
                                                    memory_order_relaxed, memory_order_relaxed));
    return &tokens->entries[index];
}

/* A place for the caller alone, recycled first, so that few pages are ever touched. */
static struct tokens_entry *entry_take(struct tokens *tokens)
{
    struct tokens_entry *entry;
    void *place = NULL;

    if (!ck_ring_dequeue_spmc(&tokens->free_ring, tokens->free_buffer, &place)) /* T5 */
        return entry_fresh(tokens);
    entry = place;
    RACE_DETECTOR_ACQUIRE(entry);
    return entry;
}

klane_token_t tokens_make(struct tokens *tokens, void *record, uint32_t tag, int64_t due_ms)
{
    struct tokens_entry *entry = entry_take(tokens);
    uint32_t generation;
    uint64_t state;

    if (entry == NULL) {
        KLANE_MARK("tokens: all are out");
        return 0;
    }
    /* Relaxed: T5 came before, and nobody writes the word of a free place. */
    state = atomic_load_explicit(&entry->state, memory_order_relaxed);
    KLANE_ASSERT(flags_of(state) == 0);
    generation = generation_of(state) == 0 ? tokens->generation : generation_of(state);
    entry->record = record;
    entry->due_ms = due_ms;
    /* T4 release: pairs with tokens_tag(). */
    atomic_store_explicit(&entry->tag, tag, memory_order_release);
    /* T1 release: pairs with tokens_claim(), tokens_tag() and tokens_next_due(). */
    atomic_store_explicit(&entry->state, state_of(generation, STATE_LIVE), memory_order_release);
    return state_of(generation, (uint64_t)(entry - tokens->entries) + 1);
}

bool tokens_returned(struct tokens *tokens, uint32_t index)
{
    uint64_t before;

    KLANE_ASSERT(index < tokens->capacity);
    /* T2 acquire: pairs with tokens_complete(). T3 release: the same. */
    before = atomic_fetch_or_explicit(&tokens->entries[index].state, STATE_RETURNED,
                                      memory_order_acq_rel);
    KLANE_ASSERT((before & STATE_LIVE) != 0);
    KLANE_ASSERT((before & STATE_RETURNED) == 0);
    return (before & STATE_COMPLETED) != 0;
}

enum tokens_claim tokens_claim(struct tokens *tokens, klane_token_t token, void **record)
{
    struct tokens_entry *entry = entry_find(tokens, token);
    uint64_t state;

    if (entry == NULL)
        return TOKENS_STALE;
    /* A guess and not a load: whichever way the token came here, a load might still show the place
     * as it was before, and the completion would be lost. */
    state = state_of(generation_of(token), STATE_LIVE | STATE_RETURNED);
    do {
        if (!is_open(state, token))
            return TOKENS_STALE;
        /* T1 acquire: pairs with tokens_make(). Relaxed when it fails: it is tried again. */
    } while (!atomic_compare_exchange_strong_explicit(&entry->state, &state,
                                                      state | STATE_CLAIMED, memory_order_acquire,
                                                      memory_order_relaxed));
    *record = entry->record;
    return TOKENS_CLAIMED;
}

bool tokens_take_back(struct tokens *tokens, uint32_t index)
{
    /* Relaxed: the holder made the token itself, and its generation stays until it is freed. */
    uint64_t state = atomic_load_explicit(&tokens->entries[index].state, memory_order_relaxed);
    klane_token_t token = state_of(generation_of(state), (uint64_t)index + 1);
    void *record;

    if (tokens_claim(tokens, token, &record) == TOKENS_STALE)
        return false;
    /* Relaxed: the holder is on both sides, and reports the record itself. */
    atomic_fetch_or_explicit(&tokens->entries[index].state, STATE_COMPLETED | STATE_RETURNED,
                             memory_order_relaxed);
    return true;
}

bool tokens_complete(struct tokens *tokens, klane_token_t token)
{
    struct tokens_entry *entry = entry_find(tokens, token);
    uint64_t before;

    KLANE_ASSERT(entry != NULL);
    /* T2 release: pairs with tokens_returned(). T3 acquire: the same. */
    before = atomic_fetch_or_explicit(&entry->state, STATE_COMPLETED, memory_order_acq_rel);
    KLANE_ASSERT(generation_of(before) == generation_of(token));
    KLANE_ASSERT((before & STATE_CLAIMED) != 0);
    KLANE_ASSERT((before & STATE_COMPLETED) == 0);
    return (before & STATE_RETURNED) != 0;
}

void tokens_free(struct tokens *tokens, uint32_t index)
{
    struct tokens_entry *entry = &tokens->entries[index];
    uint64_t state;
    uint32_t next;
    bool pushed;

    KLANE_ASSERT(index < tokens->capacity);
    /* Relaxed: the record came back, and with it everything that happened to this word. */
    state = atomic_load_explicit(&entry->state, memory_order_relaxed);
    KLANE_ASSERT(flags_of(state) ==
                 (STATE_LIVE | STATE_CLAIMED | STATE_COMPLETED | STATE_RETURNED));
    /* 0 is that of a place that was never used. */
    next = generation_of(state) == UINT32_MAX ? 1 : generation_of(state) + 1;
    /* Relaxed: T5 publishes it to the next maker, and a completer only compares it. */
    atomic_store_explicit(&entry->state, state_of(next, 0), memory_order_relaxed);
    RACE_DETECTOR_RELEASE(entry);
    pushed = ck_ring_enqueue_spmc(&tokens->free_ring, tokens->free_buffer, entry); /* T5 */
    KLANE_ASSERT(pushed);
}

bool tokens_tag(const struct tokens *tokens, klane_token_t token, uint32_t *tag)
{
    const struct tokens_entry *entry = entry_find(tokens, token);
    uint32_t found;

    if (entry == NULL)
        return false;
    /* T1 acquire: pairs with tokens_make(). */
    if (!is_open(atomic_load_explicit(&entry->state, memory_order_acquire), token))
        return false;
    /* T4 acquire: pairs with tokens_make(). */
    found = atomic_load_explicit(&entry->tag, memory_order_acquire);
    /* Relaxed: T4 orders it. */
    if (!is_open(atomic_load_explicit(&entry->state, memory_order_relaxed), token))
        return false;
    *tag = found;
    return true;
}

klane_token_t tokens_next_due(const struct tokens *tokens, uint32_t *index, int64_t *due_ms)
{
    /* Relaxed: only the number counts; what a place has, T1 publishes. */
    uint32_t used = atomic_load_explicit(&tokens->fresh, memory_order_relaxed);

    while (*index < used) {
        const struct tokens_entry *entry = &tokens->entries[*index];
        /* T1 acquire: pairs with tokens_make(). */
        uint64_t state = atomic_load_explicit(&entry->state, memory_order_acquire);

        ++*index;
        if ((state & (STATE_LIVE | STATE_CLAIMED)) != STATE_LIVE || entry->due_ms == TOKENS_NEVER)
            continue;
        *due_ms = entry->due_ms;
        return state_of(generation_of(state), *index);
    }
    return 0;
}

klane_token_t tokens_of(const struct tokens *tokens, const void *record)
{
    /* Relaxed: only the number counts; what a place has, T1 publishes. */
    uint32_t used = atomic_load_explicit(&tokens->fresh, memory_order_relaxed);

    for (uint32_t index = 0; index < used; index++) {
        const struct tokens_entry *entry = &tokens->entries[index];
        /* T1 acquire: pairs with tokens_make(). */
        uint64_t state = atomic_load_explicit(&entry->state, memory_order_acquire);

        if ((state & (STATE_LIVE | STATE_CLAIMED)) == STATE_LIVE && entry->record == record)
            return state_of(generation_of(state), (uint64_t)index + 1);
    }
    return 0;
}

uint32_t tokens_out(const struct tokens *tokens)
{
    /* Relaxed: a number; what it counts is published by T1 and T5. */
    uint32_t used = atomic_load_explicit(&tokens->fresh, memory_order_relaxed);

    return used - ck_ring_size(&tokens->free_ring);
}
