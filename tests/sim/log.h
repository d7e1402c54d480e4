/* SPDX-License-Identifier: Apache-2.0 */
/* The log of the simulator: partitions with records, which may go. */
#ifndef KLANE_TESTS_SIM_LOG_H
#define KLANE_TESTS_SIM_LOG_H

#include "sim/plan.h"

#define VALUE_NONE UINT32_MAX /* a tombstone */

struct world;

struct log_record {
    int64_t offset; /* the first: see by_offset.h */
    uint32_t lane; /* as in the history */
    uint32_t key;
    uint32_t value_size;
    bool finished; /* by anybody */
    bool gone;     /* the log had it; or it is spare */
    bool spare;    /* not yet appended, and only once the log has been cut */
};

struct log_partition {
    struct log_record *records;
    uint32_t count;
    uint32_t visible; /* appended so far */
    uint32_t first;   /* retention has taken what was before it */
    int64_t begin;    /* the same as an offset */
    bool has_lost;    /* records have gone */
    bool was_cut;
    int64_t committed; /* where the group begins until something is */
    int64_t ceiling;   /* of the map */
    char map[MAP_MAX]; /* committed with it */
    uint32_t map_size;
    uint32_t key_version; /* of the process that wrote it */
    bool is_committed;
    uint32_t owner_epoch; /* 0: nobody's */
};

void log_make(struct world *world);
void log_free(struct world *world);
void log_describe(const struct world *world, const struct log_record *record,
                  struct source_record *source_record, struct core_place *place);

/* The first record at or above offset. */
uint32_t log_index(const struct log_partition *partition, int64_t offset);

/* Index of the first record from index on that is still there; or where the next one will be. */
uint32_t log_next(const struct log_partition *partition, uint32_t index);

/* A record with this offset was there. */
bool log_has_lost(const struct log_partition *partition, int64_t offset);

/* One past the offset of the last record, or more. */
int64_t log_end(const struct log_partition *partition);

/* Appends the next record, if there is one and it may come. */
bool log_append(struct world *world, uint16_t partition);

/* Whether the mishap has befallen some partition's log. */
bool log_befall(struct world *world, enum fault fault);

#endif
