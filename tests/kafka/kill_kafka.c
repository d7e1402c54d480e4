/* SPDX-License-Identifier: Apache-2.0 */
/* A member of a consumer group is killed at random moments and started again, over and over. It is
 * a static one, so that its next life has its partitions at once.
 *
 * Upholds: see lib/kill_history.h. In one of two logs every third life stops in order, as a member
 * that dies again and again has its records tried in batches, each committed before it runs. */
#include "kafka/kafka_kit.h"
#include "kafka/kafka_wrap.h"
#include "lib/kill_life.h"

enum {
    KILLS = 100,
    KILLS_SOAK = 1000,
    KILLS_OF_LOG = 25, /* then a new log */
    LIVES_TO_STOP = 3,
    LIVES_TO_WAIT = 3,
    DELAY_US_MAX = 250000,
    SLOW_US = 20000,
    COMMIT_MS = 50,
    COMMITS_PATIENCE_MS = 1000,
    QUOTA = 8
};

struct log {
    char topic[KAFKA_NAME_SIZE];
    char group[KAFKA_NAME_SIZE];
    const char *assignor;
    bool stops; /* some lives stop in order */
};

/* ---- what librdkafka is asked ------------------------------------------------------------ */

static struct kill_history *history; /* of this life; NULL in the process that kills */

static void note_progress(const rd_kafka_topic_partition_t *each)
{
    kill_note_progress(history, each->partition, each->offset, each->metadata,
                       each->metadata_size);
}

rd_kafka_resp_err_t __wrap_rd_kafka_commit_queue(rd_kafka_t *rk,
                                                 const rd_kafka_topic_partition_list_t *offsets,
                                                 rd_kafka_queue_t *queue, kafka_commit_cb cb,
                                                 void *opaque)
{
    for (int i = 0; i < offsets->cnt; i++)
        note_progress(&offsets->elems[i]);
    return __real_rd_kafka_commit_queue(rk, offsets, queue, cb, opaque);
}

rd_kafka_resp_err_t __wrap_rd_kafka_committed(rd_kafka_t *rk,
                                              rd_kafka_topic_partition_list_t *partitions,
                                              int timeout_ms)
{
    rd_kafka_resp_err_t err = __real_rd_kafka_committed(rk, partitions, timeout_ms);

    for (int i = 0; i < partitions->cnt; i++) {
        const rd_kafka_topic_partition_t *each = &partitions->elems[i];

        if (history == NULL || err != RD_KAFKA_RESP_ERR_NO_ERROR || each->offset < 0)
            continue;
        note_progress(each);
        kill_note(history, KILL_FOUND, each->partition, each->offset, 0, 0);
    }
    return err;
}

/* ---- a life ------------------------------------------------------------------------------ */

static void open_log(struct kill_life *life, struct klane_source **source)
{
    const struct log *log = life->log;
    rd_kafka_conf_t *conf = kafka_kit_consumer_conf(log->group);
    char why[512] = "";

    history = life->history;
    kafka_kit_set(conf, "partition.assignment.strategy", log->assignor);
    kafka_kit_set(conf, "group.instance.id", "only-one");
    /* On a busy machine a short one ends, and its partitions go. */
    kafka_kit_set(conf, "session.timeout.ms", "60000");
    kill_must(klane_kafka_create(conf, NULL, source, why, sizeof(why)), "source", why);
}

static void append(struct kill_life *life, const struct kill_payload *payloads, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct kafka_kit_record record = {.topic = life->topic,
                                                .partition =
                                                    (int32_t)(payloads[i].key % KILL_PARTITIONS),
                                                .key = &payloads[i].key,
                                                .key_size = sizeof(payloads[i].key),
                                                .value = &payloads[i],
                                                .value_size = sizeof(payloads[i])};

        if (kafka_kit_append(&record) < 0)
            kill_must(KLANE_ERR_IO, "append", "");
    }
}

/* ---- the test ---------------------------------------------------------------------------- */

static void live_and_die(struct log *log, uint64_t *random, uint64_t kills,
                         struct kill_counts *counts)
{
    static const struct kill_log_ops ops = {open_log, append};
    struct kill_life life;

    kill_life_init(&life, kill_history_make());
    life.ops = &ops;
    life.log = log;
    life.topic = log->topic;
    life.options.workers = 4;
    life.options.commit_interval_ms = COMMIT_MS;
    life.options.lane_records_max = QUOTA;
    life.slow_us = SLOW_US;
    life.delay_us_max = DELAY_US_MAX;
    life.patience_ms = COMMITS_PATIENCE_MS;

    for (uint64_t i = 0; i < kills; i++) {
        if (log->stops && i % LIVES_TO_STOP == LIVES_TO_STOP - 1)
            kill_let_end(&life, random, KILL_END_STOPPED);
        kill_at_random(&life, random, i % LIVES_TO_WAIT == 0);
    }
    kill_let_end(&life, random, KILL_END_LAST);

    kill_assert_just(life.history, counts);
    kill_history_free(life.history);
}

static void nothing_is_lost_or_reordered_when_the_process_is_killed(void **state)
{
    uint64_t random = check_seed();
    uint64_t kills = check_rounds(KILLS, KILLS_SOAK);
    struct kill_counts counts = {0};

    (void)state;
    for (uint64_t killed = 0; killed < kills; killed += KILLS_OF_LOG) {
        uint64_t left = kills - killed, number = killed / KILLS_OF_LOG;
        /* The second is for long runs: who has just joined so commits with heartbeats only. */
        struct log log = {.stops = number % 2 != 0,
                          .assignor = number / 4 % 2 == 0 ? "range" : "cooperative-sticky"};

        kafka_kit_name(log.topic, "topic");
        kafka_kit_name(log.group, "group");
        kafka_kit_topic(log.topic, KILL_PARTITIONS, NULL);
        /* Whoever forks has no threads. */
        kafka_kit_deinit();

        live_and_die(&log, &random, left < KILLS_OF_LOG ? left : KILLS_OF_LOG, &counts);

        for (int32_t p = 0; p < KILL_PARTITIONS; p++)
            assert_int_equal(kafka_kit_committed(log.group, log.topic, p),
                             kafka_kit_end(log.topic, p));
        kafka_kit_topic_delete(log.topic);
    }
    kafka_kit_deinit();
    kill_assert_counts(&counts, kills);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_or_reordered_when_the_process_is_killed),
    };

    return check_run(tests);
}
