/* SPDX-License-Identifier: Apache-2.0 */
/* Driving klane: records as all cases have them, a log in memory, a runtime.
 *
 * Every record has a key of 16 bytes and a value of 100 bytes. A key is always in the same
 * partition. Whatever fails, fails the arm. */
#ifndef KLANE_BENCH_LIB_DRIVE_H
#define KLANE_BENCH_LIB_DRIVE_H

#include "lib/harness.h"

#include <klane/memory.h>

#define DRIVE_TOPIC "bench"

enum { DRIVE_KEY_BYTES = 16, DRIVE_VALUE_BYTES = 100 };

/* The key of this number. */
void drive_key(unsigned char key[DRIVE_KEY_BYTES], uint64_t number);

/* The number of this key. */
uint64_t drive_key_number(const void *key);

extern const unsigned char drive_value[DRIVE_VALUE_BYTES];

/* The next of a row of random numbers that is the same in every run; begin with any state. */
uint64_t drive_random(uint64_t *state);

/* An empty log in memory with the topic. */
struct klane_source *drive_log(int32_t partitions);

/* Append one record, to partition number modulo partitions. */
void drive_append(struct klane_source *log, int32_t partitions, uint64_t number);
void drive_append_to(struct klane_source *log, const char *topic, int32_t partitions,
                     uint64_t number);

/* The same with another value, of DRIVE_VALUE_BYTES. */
void drive_append_value(struct klane_source *log, const char *topic, int32_t partitions,
                        uint64_t number, const unsigned char *value);

/* Append records with keys drawn uniformly from 0 to keys - 1. */
void drive_fill(struct klane_source *log, int32_t partitions, uint64_t records, uint64_t keys);

struct drive {
    struct klane_options options;
    struct klane_topic topic;
    struct klane_route route;
};

/* The defaults, of which an arm changes what it needs. */
void drive_init(struct drive *drive, uint32_t workers, klane_handler_fn handler, void *context);

/* An event callback that posts a semaphore, its context, for each partition that comes. */
void drive_post_assigned(const struct klane_event *event, void *semaphore);

/* A runtime with these rules, not started. */
struct klane_runtime *drive_create(const struct drive *drive, struct klane_source *source);

/* Wait for a runtime that was asked to stop, or stops by itself. */
void drive_wait(struct klane_runtime *runtime);

void drive_destroy(struct klane_runtime *runtime);

struct klane_stats drive_stats(struct klane_runtime *runtime);

/* Fails unless this many records, all partitions together, are committed. */
void drive_check_committed(struct klane_source *log, int32_t partitions, uint64_t records);

/* The figures' settings that every arm with records has. */
void drive_settings(struct bench_run *run, uint64_t records, uint64_t keys, int32_t partitions,
                    uint32_t workers);

#endif
