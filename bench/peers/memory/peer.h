/* SPDX-License-Identifier: Apache-2.0 */
/* Other dispatchers, in memory: what they have in common, so that they differ in nothing but how
 * records of one key follow each other and come to workers.
 *
 * The feeder reads the log, which is in memory; copies each record into an item; and finds what
 * the dispatcher keeps for the key. Workers handle items and send them back by a lock-free stack;
 * the feeder notes what is finished, moves the base on, commits it each second or 100,000 records,
 * and uses the items again.
 *
 * Upholds: no more records are in memory than klane has by default; a record that is not finished
 * holds no other up until that many are; records and keys may be of any size. What klane does
 * beside this, they do not: keys are never forgotten, nothing can fail, stop or be revoked. */
#ifndef KLANE_BENCH_PEERS_MEMORY_PEER_H
#define KLANE_BENCH_PEERS_MEMORY_PEER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A record in flight. */
struct peer_item {
    void *own;              /* the dispatcher's: as many bytes as it asks for */
    struct peer_item *next; /* the dispatcher's, then of those that come back */
    uint64_t offset;
    uint32_t key_size;
    uint32_t value_size;
    uint32_t capacity;    /* of bytes */
    unsigned char *bytes; /* key, then value */
};

struct peer;

struct peer_dispatcher {
    const char *library; /* name and version */
    size_t own_bytes;    /* for itself with each item, aligned to 16 */
    /* Makes its workers, hands everything to them, returns when they have ended. */
    void (*dispatch)(struct peer *peer, uint32_t workers);
};

extern const struct peer_dispatcher peer_asio;
extern const struct peer_dispatcher peer_mutex;
extern const struct peer_dispatcher peer_tbb;
extern const struct peer_dispatcher peer_tbb_list;

/* The feeder: the next record, once there is room; and where the dispatcher keeps what it has for
 * that key, NULL if it is new. NULL: there are no more. */
struct peer_item *peer_next(struct peer *peer, void ***lane);

/* A worker: handle the record, and send it back; the item is gone then. */
void peer_handle(struct peer *peer, struct peer_item *item);

/* Ends the program. */
void peer_fail(const char *what);

#ifdef __cplusplus
}
#endif

#endif
