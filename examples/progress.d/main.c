/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What a group has committed in a topic, and what a restart would run again. For each partition:
 *
 *     base      the committed offset: everything below it is finished
 *     ceiling   everything below it is finished but what is listed
 *     lane      a key's first unfinished record; with it and behind it, below the ceiling, all
 *               records of that key run again; keys are known by a fingerprint only
 *     record    an unfinished record without an order
 *
 * With a KEY it says whether that is one of the lanes.
 */
#include "progress.h"

#include <klane/klane.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_head(const void *left, const void *right)
{
    const struct klane_progress_lane *a = left, *b = right;

    return a->head < b->head ? -1 : a->head > b->head;
}

static void print_lane(const struct klane_progress_lane *lane)
{
    if (lane->is_record)
        printf("    record                  at %" PRId64, lane->head);
    else
        printf("    lane %016" PRIx64 "   at %" PRId64, lane->fingerprint, lane->head);
    if (lane->attempts > 0)
        printf(", tried %" PRIu32 " times", lane->attempts);
    if (lane->crashes > 0)
        printf(", of which %" PRIu32 " ended the process", lane->crashes);
    if (lane->due_ms > 0)
        printf(", not again before %" PRId64 " ms since 1970", lane->due_ms);
    putchar('\n');
}

static void print_key(const struct klane_progress *progress,
                      const struct klane_progress_lane *lanes, const char *key)
{
    uint64_t fingerprint = klane_progress_fingerprint(progress->seed, key, strlen(key));

    for (uint32_t i = 0; i < progress->lane_count; i++)
        if (!lanes[i].is_record && lanes[i].fingerprint == fingerprint) {
            printf("    key \"%s\" is blocked at %" PRId64 "\n", key, lanes[i].head);
            return;
        }
    printf("    key \"%s\" is not blocked below the ceiling\n", key);
}

static void print_map(const struct committed *committed, const struct klane_progress *progress,
                      struct klane_progress_lane *lanes, const char *key)
{
    printf(", ceiling %" PRId64 "\n", progress->ceiling);
    printf("    a restart reads on at %" PRId64, progress->ceiling);
    if (committed->log_end >= progress->ceiling)
        printf(", %" PRId64 " below the log's end", committed->log_end - progress->ceiling);
    printf(", and runs again the %" PRIu32 " listed, with what is behind them\n",
           progress->lane_count);
    if (progress->lane_count > 0)
        qsort(lanes, progress->lane_count, sizeof(*lanes), by_head);
    for (uint32_t i = 0; i < progress->lane_count; i++)
        print_lane(&lanes[i]);
    if (key != NULL && progress->order == KLANE_ORDER_KEY)
        print_key(progress, lanes, key);
}

void print_committed(const struct committed *committed, const char *key)
{
    struct klane_progress progress;
    struct klane_progress_lane *lanes;
    klane_err_t err;

    printf("partition %" PRId32 ": ", committed->partition);
    if (committed->offset < 0) {
        printf("nothing is committed\n");
        return;
    }
    printf("base %" PRId64, committed->offset);
    err = klane_progress_read(committed->metadata, committed->metadata_size, committed->offset,
                              &progress, sizeof(progress), NULL, 0);
    if (err != KLANE_OK) {
        printf(", without a progress map (%s): a restart runs all from there again\n",
               klane_strerror(err));
        return;
    }
    lanes = calloc(progress.lane_count + 1, sizeof(*lanes));
    if (lanes == NULL)
        exit(EXIT_FAILURE);
    klane_progress_read(committed->metadata, committed->metadata_size, committed->offset,
                        &progress, sizeof(progress), lanes, progress.lane_count);
    print_map(committed, &progress, lanes, key);
    free(lanes);
}

int main(int argc, char **argv)
{
    bool is_kafka = argc > 1 && strcmp(argv[1], "--kafka") == 0;
    char **given = argv + (is_kafka ? 2 : 1);
    int count = argc - (is_kafka ? 2 : 1);

    if (count != 3 && count != 4) {
        fprintf(stderr, "usage: progress LOG GROUP TOPIC [KEY]\n"
                        "       progress --kafka HOST:PORT GROUP TOPIC [KEY]\n");
        return 2;
    }
#ifdef PROGRESS_WITHOUT_KAFKA
    if (is_kafka) {
        fprintf(stderr, "built without librdkafka\n");
        return 2;
    }
#else
    if (is_kafka)
        return print_kafka(given[0], given[1], given[2], count == 4 ? given[3] : NULL);
#endif
    return print_sqlite(given[0], given[1], given[2], count == 4 ? given[3] : NULL);
}
