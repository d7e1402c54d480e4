/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/drive.h"

#include <semaphore.h>
#include <string.h>

const unsigned char drive_value[DRIVE_VALUE_BYTES] =
    "The value of a record, of which nobody reads anything, though everybody carries it.";

void drive_key(unsigned char key[DRIVE_KEY_BYTES], uint64_t number)
{
    static const char digits[] = "0123456789abcdef";

    for (int i = DRIVE_KEY_BYTES - 1; i >= 0; i--) {
        key[i] = (unsigned char)digits[number & 15];
        number >>= 4;
    }
}

uint64_t drive_key_number(const void *key)
{
    const unsigned char *bytes = key;
    uint64_t number = 0;

    for (int i = 0; i < DRIVE_KEY_BYTES; i++)
        number = number << 4 | (uint64_t)(bytes[i] <= '9' ? bytes[i] - '0' : bytes[i] - 'a' + 10);
    return number;
}

/* SplitMix64. */
uint64_t drive_random(uint64_t *state)
{
    uint64_t word = *state += UINT64_C(0x9e3779b97f4a7c15);

    word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94d049bb133111eb);
    return word ^ (word >> 31);
}

struct klane_source *drive_log(int32_t partitions)
{
    struct klane_source *log;

    bench_check(klane_memory_create(&log), "klane_memory_create");
    bench_check(klane_memory_topic(log, DRIVE_TOPIC, partitions), "klane_memory_topic");
    return log;
}

void drive_append(struct klane_source *log, int32_t partitions, uint64_t number)
{
    drive_append_to(log, DRIVE_TOPIC, partitions, number);
}

void drive_append_to(struct klane_source *log, const char *topic, int32_t partitions,
                     uint64_t number)
{
    drive_append_value(log, topic, partitions, number, drive_value);
}

void drive_append_value(struct klane_source *log, const char *topic, int32_t partitions,
                        uint64_t number, const unsigned char *value)
{
    unsigned char key[DRIVE_KEY_BYTES];
    const struct klane_memory_record record = {
        .key = key,
        .value = value,
        .key_size = sizeof(key),
        .value_size = DRIVE_VALUE_BYTES,
        .timestamp_ms = -1,
        .offset = -1,
    };

    drive_key(key, number);
    bench_check(
        klane_memory_append(log, topic, (int32_t)(number % (uint64_t)partitions), &record, NULL),
        "klane_memory_append");
}

void drive_fill(struct klane_source *log, int32_t partitions, uint64_t records, uint64_t keys)
{
    uint64_t state = 1;

    for (uint64_t i = 0; i < records; i++)
        drive_append(log, partitions, drive_random(&state) % keys);
}

void drive_init(struct drive *drive, uint32_t workers, klane_handler_fn handler, void *context)
{
    klane_options_init(&drive->options, sizeof(drive->options));
    klane_topic_init(&drive->topic, sizeof(drive->topic));
    klane_route_init(&drive->route, sizeof(drive->route));
    drive->options.workers = workers;
    drive->options.workers_max = workers;
    drive->topic.name = DRIVE_TOPIC;
    drive->route.topic = DRIVE_TOPIC;
    drive->route.handler = handler;
    drive->route.context = context;
}

void drive_post_assigned(const struct klane_event *event, void *semaphore)
{
    if (event->type == KLANE_EVENT_ASSIGNED)
        sem_post(semaphore);
}

struct klane_runtime *drive_create(const struct drive *drive, struct klane_source *source)
{
    struct klane_runtime *runtime;
    char text[256] = "";

    if (klane_create(&drive->options, source, &runtime, text, sizeof(text)) != KLANE_OK)
        bench_fail("klane_create: %s", text);
    bench_check(klane_topic(runtime, &drive->topic), "klane_topic");
    bench_check(klane_route(runtime, &drive->route), "klane_route");
    return runtime;
}

void drive_wait(struct klane_runtime *runtime)
{
    bench_check(klane_wait(runtime, -1), "klane_wait");
}

void drive_destroy(struct klane_runtime *runtime)
{
    bench_check(klane_destroy(runtime), "klane_destroy");
}

struct klane_stats drive_stats(struct klane_runtime *runtime)
{
    struct klane_stats stats;

    bench_check(klane_stats_get(runtime, &stats, sizeof(stats)), "klane_stats_get");
    return stats;
}

void drive_check_committed(struct klane_source *log, int32_t partitions, uint64_t records)
{
    uint64_t committed = 0;

    for (int32_t i = 0; i < partitions; i++) {
        int64_t offset;

        bench_check(klane_memory_committed(log, DRIVE_TOPIC, i, &offset),
                    "klane_memory_committed");
        committed += offset < 0 ? 0 : (uint64_t)offset;
    }
    bench_check_count(committed, records, "records committed");
}

void drive_settings(struct bench_run *run, uint64_t records, uint64_t keys, int32_t partitions,
                    uint32_t workers)
{
    bench_setting(run, "records", (int64_t)records);
    bench_setting(run, "keys", (int64_t)keys);
    bench_setting(run, "partitions", partitions);
    bench_setting(run, "workers", workers);
    bench_setting(run, "key_bytes", DRIVE_KEY_BYTES);
    bench_setting(run, "value_bytes", DRIVE_VALUE_BYTES);
}
