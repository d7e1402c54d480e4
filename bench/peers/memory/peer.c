/* SPDX-License-Identifier: Apache-2.0 */
#include "peers/memory/peer.h"
#include "cases/cases.h"
#include "lib/drive.h"
#include "lib/order.h"

#include "base/hash.h"

#include <ck_pr.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* klane's defaults. */
enum { RECORDS_MAX = 16384, COMMIT_RECORDS = 100000, COMMIT_NS = 1000000000 };

enum { LOOK_EVERY = 128, LOOKS_MAX = 256, LINE = 64, PLACES_FIRST = 1024 };

/* In the log its key and value follow. */
struct log_record {
    uint32_t key_size;
    uint32_t value_size;
};

/* Keys by their hash: open addressing, never more than half full. */
struct place {
    uint64_t hash; /* 0: free */
    unsigned char *key;
    uint32_t key_size;
    void *lane;
};

struct peer {
    /* The feeder's. */
    const unsigned char *log;
    uint64_t records;
    size_t own_bytes;
    struct place *places;
    uint64_t places_mask;
    uint64_t keys;
    struct peer_item *idle; /* by next */
    uint64_t next;          /* offset */
    uint64_t back;          /* records */
    uint64_t base;
    uint64_t committed;
    int64_t committed_ns;
    bool *finished; /* by offset modulo capacity, from the base on */
    uint64_t capacity;

    struct order *order; /* fixed */

    /* What workers send back. */
    _Alignas(LINE) _Atomic(struct peer_item *) finished_items;
    unsigned char pad[LINE - sizeof(void *)];
};

void peer_fail(const char *what)
{
    bench_fail("%s", what);
}

static void *allocate(size_t count, size_t size)
{
    void *block = calloc(count, size);

    if (block == NULL)
        bench_fail("no memory");
    return block;
}

/* ---- keys ------------------------------------------------------------------------------ */

static struct place *place_find(const struct peer *peer, const unsigned char *key, uint32_t size,
                                uint64_t hash)
{
    uint64_t i = hash & peer->places_mask;

    for (;; i = (i + 1) & peer->places_mask) {
        struct place *place = &peer->places[i];

        if (place->hash == 0 || (place->hash == hash && place->key_size == size &&
                                 memcmp(place->key, key, size) == 0))
            return place;
    }
}

static void places_grow(struct peer *peer)
{
    struct place *old = peer->places;
    uint64_t count = peer->places_mask + 1;

    peer->places = allocate(2 * count, sizeof(*old));
    peer->places_mask = 2 * count - 1;
    for (uint64_t i = 0; i < count; i++)
        if (old[i].hash != 0)
            *place_find(peer, old[i].key, old[i].key_size, old[i].hash) = old[i];
    free(old);
}

static void **lane_of(struct peer *peer, const unsigned char *key, uint32_t size)
{
    uint64_t hash = hash_bytes(key, size, 1) | 1;
    struct place *place = place_find(peer, key, size, hash);

    if (place->hash == 0) {
        if (2 * ++peer->keys > peer->places_mask) {
            places_grow(peer);
            place = place_find(peer, key, size, hash);
        }
        *place = (struct place){.hash = hash, .key = allocate(1, size), .key_size = size};
        memcpy(place->key, key, size);
    }
    return &place->lane;
}

/* ---- what comes back ------------------------------------------------------------------- */

/* Room for what is taken in until the next look. */
static void finished_reserve(struct peer *peer)
{
    uint64_t capacity = peer->capacity;
    bool *finished;

    if (peer->next - peer->base + LOOK_EVERY <= capacity)
        return;
    finished = allocate(2 * capacity, sizeof(*finished));
    for (uint64_t offset = peer->base; offset < peer->next; offset++)
        finished[offset % (2 * capacity)] = peer->finished[offset % capacity];
    free(peer->finished);
    peer->finished = finished;
    peer->capacity = 2 * capacity;
}

static void commit(struct peer *peer, int64_t now_ns)
{
    peer->committed = peer->base;
    peer->committed_ns = now_ns;
}

static void collect(struct peer *peer)
{
    /* Acquire: pairs with peer_handle(). */
    struct peer_item *item =
        atomic_exchange_explicit(&peer->finished_items, NULL, memory_order_acquire);
    int64_t now_ns = bench_now_ns();

    while (item != NULL) {
        struct peer_item *next = item->next;

        peer->finished[item->offset % peer->capacity] = true;
        peer->back++;
        item->next = peer->idle;
        peer->idle = item;
        item = next;
    }
    for (; peer->base < peer->next && peer->finished[peer->base % peer->capacity]; peer->base++)
        peer->finished[peer->base % peer->capacity] = false;
    if (peer->base - peer->committed >= COMMIT_RECORDS ||
        now_ns - peer->committed_ns >= COMMIT_NS)
        commit(peer, now_ns);
}

static void wait_for_room(struct peer *peer)
{
    uint32_t looks = 0;

    collect(peer);
    while (peer->next - peer->back > RECORDS_MAX - LOOK_EVERY) {
        if (++looks % LOOKS_MAX == 0)
            sched_yield();
        else
            ck_pr_stall();
        collect(peer);
    }
    finished_reserve(peer);
}

/* ---- what dispatchers call ------------------------------------------------------------- */

static struct peer_item *item_take(struct peer *peer, uint32_t bytes)
{
    struct peer_item *item = peer->idle;
    size_t own_at = (sizeof(*item) + bytes + 15) / 16 * 16;

    if (item != NULL) {
        peer->idle = item->next;
        if (item->capacity >= bytes)
            return item;
        free(item);
    }
    item = aligned_alloc(LINE, (own_at + peer->own_bytes + LINE - 1) / LINE * LINE);
    if (item == NULL)
        bench_fail("no memory");
    item->capacity = bytes;
    item->bytes = (unsigned char *)(item + 1);
    item->own = (unsigned char *)item + own_at;
    return item;
}

struct peer_item *peer_next(struct peer *peer, void ***lane)
{
    struct log_record record;
    struct peer_item *item;

    if (peer->next == peer->records)
        return NULL;
    if (peer->next % LOOK_EVERY == 0)
        wait_for_room(peer);
    memcpy(&record, peer->log, sizeof(record));
    item = item_take(peer, record.key_size + record.value_size);
    item->offset = peer->next++;
    item->key_size = record.key_size;
    item->value_size = record.value_size;
    memcpy(item->bytes, peer->log + sizeof(record), record.key_size + record.value_size);
    peer->log += sizeof(record) + record.key_size + record.value_size;
    *lane = lane_of(peer, item->bytes, item->key_size);
    return item;
}

void peer_handle(struct peer *peer, struct peer_item *item)
{
    order_handle(peer->order, item->bytes + item->key_size);
    /* Relaxed: the exchange below orders. */
    item->next = atomic_load_explicit(&peer->finished_items, memory_order_relaxed);
    /* Release: pairs with collect(). */
    while (!atomic_compare_exchange_weak_explicit(&peer->finished_items, &item->next, item,
                                                  memory_order_release, memory_order_relaxed))
        continue;
}

/* ---- the arm --------------------------------------------------------------------------- */

static unsigned char *log_fill(struct order *order, uint64_t records)
{
    const struct log_record record = {DRIVE_KEY_BYTES, DRIVE_VALUE_BYTES};
    size_t bytes = sizeof(record) + DRIVE_KEY_BYTES + DRIVE_VALUE_BYTES;
    unsigned char *log = allocate(records, bytes), *end = log;
    uint64_t state = 1;

    for (uint64_t i = 0; i < records; i++, end += bytes) {
        uint64_t key = drive_random(&state) % order->keys;
        unsigned char *value = end + sizeof(record) + DRIVE_KEY_BYTES;

        memcpy(end, &record, sizeof(record));
        drive_key(end + sizeof(record), key);
        memcpy(value, drive_value, DRIVE_VALUE_BYTES);
        order_stamp(order, key, value);
    }
    return log;
}

static void peer_run(struct bench_run *run, const struct peer_dispatcher *dispatcher)
{
    const struct dispatch_plan *plan = run->plan;
    struct peer *peer = aligned_alloc(LINE, sizeof(*peer));
    struct bench_meter meter;
    struct order order;

    if (peer == NULL)
        bench_fail("no memory");
    memset(peer, 0, sizeof(*peer));
    peer->records = bench_count(run, plan->records, plan->records_quick);
    peer->order = &order;
    order_init(&order, plan->keys);
    peer->log = log_fill(&order, peer->records);
    bench_meter_start(&meter);
    peer->own_bytes = dispatcher->own_bytes;
    peer->places = allocate(PLACES_FIRST, sizeof(*peer->places));
    peer->places_mask = PLACES_FIRST - 1;
    peer->finished = allocate(LOOK_EVERY, sizeof(*peer->finished));
    peer->capacity = LOOK_EVERY;
    peer->committed_ns = bench_now_ns();
    dispatcher->dispatch(peer, plan->workers);
    collect(peer);
    commit(peer, bench_now_ns());
    bench_meter_stop(&meter);
    bench_check_count(peer->committed, peer->records, "records committed");
    order_check(&order);
    bench_meter_report(&meter, run, peer->records);
    drive_settings(run, peer->records, plan->keys, 1, plan->workers);
    bench_setting(run, "records_max", RECORDS_MAX);
    bench_setting_text(run, "library", dispatcher->library);
}

/* ---- each of them ---------------------------------------------------------------------- */

/* Those in C++ need a compiler and a library. */
#ifdef BENCH_ASIO
#define ASIO &peer_asio
#else
#define ASIO NULL
#endif
#ifdef BENCH_TBB
#define TBB &peer_tbb
#define TBB_LIST &peer_tbb_list
#else
#define TBB NULL
#define TBB_LIST NULL
#endif

static bool is_built(const struct peer_dispatcher *dispatcher, const char *needs, char *reason,
                     size_t size)
{
    if (dispatcher == NULL)
        snprintf(reason, size, "it needs %s and a C++ compiler, and was built without them",
                 needs);
    return dispatcher != NULL;
}

bool asio_available(char *reason, size_t size)
{
    return is_built(ASIO, "Boost.Asio (Debian's libboost-dev)", reason, size);
}

bool tbb_available(char *reason, size_t size)
{
    return is_built(TBB, "oneTBB (Debian's libtbb-dev)", reason, size);
}

void asio_run(struct bench_run *run)
{
    peer_run(run, ASIO);
}

void tbb_run(struct bench_run *run)
{
    peer_run(run, TBB);
}

void tbb_list_run(struct bench_run *run)
{
    peer_run(run, TBB_LIST);
}

void mutex_run(struct bench_run *run)
{
    peer_run(run, &peer_mutex);
}
