/* SPDX-License-Identifier: Apache-2.0 */
/* Which librdkafka a test runs with, and by which protocol its groups form.
 *
 * The build runs tests once more with a newer library than they were built with, and says so in
 * KLANE_TEST_LIBRDKAFKA; and some of these by the newer protocol, KLANE_TEST_PROTOCOL=consumer. */
#ifndef KLANE_TESTS_KAFKA_KAFKA_LIBRARY_H
#define KLANE_TESTS_KAFKA_KAFKA_LIBRARY_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Versions from which on something is there. */
#define KAFKA_LIBRARY_EPOCHS 0x020300ff   /* leaders' epochs */
#define KAFKA_LIBRARY_REJOIN 0x020a00ff   /* a late commit costs no partitions */
#define KAFKA_LIBRARY_PROTOCOL 0x020c00ff /* group.protocol=consumer, for good */

/* Not in older headers, nor libraries. */
int32_t rd_kafka_topic_partition_get_leader_epoch(const rd_kafka_topic_partition_t *entry)
    __attribute__((weak));
void rd_kafka_topic_partition_set_leader_epoch(rd_kafka_topic_partition_t *entry, int32_t epoch)
    __attribute__((weak));

static inline bool kafka_library_has_epochs(void)
{
    return rd_kafka_version() >= KAFKA_LIBRARY_EPOCHS;
}

/* Ends a program that did not get the library that it is meant to run with. */
static inline void kafka_library_check(void)
{
    const char *meant = getenv("KLANE_TEST_LIBRDKAFKA");

    if (meant == NULL || strcmp(meant, rd_kafka_version_str()) == 0)
        return;
    fprintf(stderr, "this is librdkafka %s, not %s\n", rd_kafka_version_str(), meant);
    exit(1);
}

/* Whether it is the newer one, with which tests run once more. */
static inline bool kafka_library_is_newer(void)
{
    return getenv("KLANE_TEST_LIBRDKAFKA") != NULL;
}

/* Whether the cluster gives out the partitions, and not one of the members. */
static inline bool kafka_library_is_consumer_protocol(void)
{
    const char *protocol = getenv("KLANE_TEST_PROTOCOL");

    return protocol != NULL && strcmp(protocol, "consumer") == 0;
}

#endif
