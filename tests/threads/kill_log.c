/* SPDX-License-Identifier: Apache-2.0 */
/* A process that appends to an embedded log and consumes it is killed at random moments and
 * started again, over and over.
 *
 * Upholds: see lib/kill_history.h; and that a life begins where the log says. */
#include "lib/check.h"
#include "lib/kill_life.h"
#include "lib/scratch.h"

#include <klane/sqlite.h>

#include <string.h>

enum {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    KILLS = 500, /* each life is slower */
#else
    KILLS = 1000,
#endif
    KILLS_SOAK = 100000,
    KILLS_OF_LOG = 50, /* then a new log */
    DELAY_US_MAX = 24000,
    SLOW_US = 500,
    LIVES_TO_WAIT = 25,
    COMMITS_PATIENCE_MS = 200,
    BUSY_MS = 10000
};

struct log {
    char path[SCRATCH_PATH_SIZE];
    struct klane_sqlite *sqlite; /* of this life */
};

static void open_log(struct kill_life *life, struct klane_source **source)
{
    struct log *log = life->log;
    char errstr[512] = "";

    kill_must(klane_sqlite_open(log->path, BUSY_MS, &log->sqlite, errstr, sizeof(errstr)), "open",
              errstr);
    kill_must(klane_sqlite_topic(log->sqlite, life->topic, KILL_PARTITIONS), "topic",
              klane_sqlite_errmsg(log->sqlite));
    for (int32_t partition = 0; partition < KILL_PARTITIONS; partition++) {
        static char map[65537];
        int64_t offset = -1;

        kill_must(klane_sqlite_progress(log->sqlite, "group", life->topic, partition, &offset,
                                        map, sizeof(map)),
                  "committed", klane_sqlite_errmsg(log->sqlite));
        if (offset < 0)
            continue;
        kill_note_progress(life->history, partition, offset, map, strlen(map));
        kill_note(life->history, KILL_FOUND, partition, offset, 0, 0);
    }
    kill_must(klane_sqlite_create(log->path, "group", KLANE_SQLITE_STANDBY, source, errstr,
                                  sizeof(errstr)),
              "source", errstr);
}

static void append(struct kill_life *life, const struct kill_payload *payloads, uint32_t count)
{
    const struct log *log = life->log;
    struct klane_sqlite_record records[KILL_BATCH_MAX];

    for (uint32_t i = 0; i < count; i++)
        records[i] = (struct klane_sqlite_record){.topic = life->topic,
                                                  .key = &payloads[i].key,
                                                  .key_size = sizeof(payloads[i].key),
                                                  .value = &payloads[i],
                                                  .value_size = sizeof(payloads[i]),
                                                  .timestamp_ms = -1,
                                                  .partition = -1};
    kill_must(klane_sqlite_append_batch(log->sqlite, records, count, NULL), "append",
              klane_sqlite_errmsg(log->sqlite));
}

static void nothing_is_lost_or_reordered_when_the_process_is_killed(void **state)
{
    static const struct kill_log_ops ops = {open_log, append};
    uint64_t random = check_seed();
    uint64_t kills = check_rounds(KILLS, KILLS_SOAK);
    struct kill_counts counts = {0};

    (void)state;
    for (uint64_t killed = 0; killed < kills; killed += KILLS_OF_LOG) {
        struct scratch scratch;
        struct log log;
        struct kill_life life;

        scratch_init(&scratch);
        scratch_path(&scratch, "log", log.path);
        kill_life_init(&life, kill_history_make());
        life.ops = &ops;
        life.log = &log;
        life.topic = "orders";
        life.options.workers = 3;
        life.options.commit_interval_ms = 3;
        life.slow_us = SLOW_US;
        life.delay_us_max = DELAY_US_MAX;
        life.patience_ms = COMMITS_PATIENCE_MS;

        for (int i = 0; i < KILLS_OF_LOG; i++)
            kill_at_random(&life, &random, i % LIVES_TO_WAIT == 0);
        kill_let_end(&life, &random, KILL_END_LAST);

        kill_assert_just(life.history, &counts);
        kill_history_free(life.history);
        scratch_deinit(&scratch);
    }
    kill_assert_counts(&counts, kills);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_or_reordered_when_the_process_is_killed),
    };

    return check_run(tests);
}
