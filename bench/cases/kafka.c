/* SPDX-License-Identifier: Apache-2.0 */
/* The Kafka cases, on a real broker. All but those with a live producer read the same topic, which
 * is filled once in a run; each arm of each round is a group of its own and begins at the earliest
 * record. */
#include "cases/budget.h"
#include "cases/cases.h"
#include "cases/kafka.h"
#include "cases/restart.h"
#include "lib/sleepers.h"

void kafka_poll(rd_kafka_t *consumer, bool (*pass)(const rd_kafka_message_t *, void *),
                void *context)
{
    bool is_last = false;

    while (!is_last) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 1000);

        if (message == NULL)
            continue;
        if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            bench_fail("rd_kafka_consumer_poll: %s", rd_kafka_message_errstr(message));
        is_last = pass(message, context);
        rd_kafka_message_destroy(message);
    }
}

/* A broker takes its time for what it does for the first time, so everything is read once before
 * anybody measures. */
static void records_prepare(struct bench_run *run)
{
    if (cluster_records_fill(bench_count(run, KAFKA_RECORDS, KAFKA_RECORDS_QUICK), KAFKA_KEYS))
        kafka_noop_poll_run(run);
}

static const struct sleepers_plan plan_1ms = {1, 100, 300000, 10000, true};
static const struct sleepers_plan plan_10ms = {10, 100, 40000, 2000, true};

static const struct kafka_members_plan plan_1 = {1, false, "range"};
static const struct kafka_members_plan plan_2 = {2, false, "range"};
static const struct kafka_members_plan plan_4 = {4, false, "range"};

static const struct kafka_members_plan plan_cooperative = {4, false, "cooperative-sticky"};
static const struct kafka_members_plan plan_eager = {4, false, "range"};
static const struct kafka_members_plan plan_poll_cooperative = {4, true, "cooperative-sticky"};
static const struct kafka_members_plan plan_poll_eager = {4, true, "range"};

#define SCHEDULE_CASE(sleep)                                                                     \
    {                                                                                            \
        .name = "kafka-" #sleep,                                                                 \
        .what =                                                                                  \
            "Handlers that sleep for " #sleep ", 100 workers, 8 partitions, beside 100 bare "    \
            "threads.",                                                                          \
        .prepare = records_prepare,                                                              \
        .arms = {{.name = "klane", .run = kafka_schedule_run, .plan = &plan_##sleep},            \
                 {.name = "threads", .run = sleepers_bare_run, .plan = &plan_##sleep}},          \
        .ratios = {{"ideal", "klane", "threads"}},                                               \
    }

const struct bench_case kafka_cases[] = {
    {
        .name = "kafka-noop",
        .what =
            "3,000,000 records of 8 partitions and 1,000 keys through an empty handler on one "
            "worker, with commits, beside librdkafka's own loops without.",
        .prepare = records_prepare,
        .arms = {{.name = "klane", .run = kafka_noop_klane_run},
                 {.name = "poll", .run = kafka_noop_poll_run},
                 {.name = "poll-tuned", .run = kafka_noop_poll_run, .plan = kafka_noop_tuned},
                 {.name = "callback", .run = kafka_noop_callback_run, .plan = kafka_noop_tuned},
                 {.name = "klane-headers",
                  .run = kafka_noop_klane_run,
                  .plan = &kafka_has_headers},
                 {.name = "poll-headers",
                  .run = kafka_noop_poll_headers_run,
                  .plan = kafka_noop_tuned}},
        .ratios = {{"share", "klane", "poll,poll-tuned"},
                   {"cpu-share", "klane", "poll,poll-tuned"},
                   {"rss-share", "klane", "poll,poll-tuned"},
                   {"share", "klane-headers", "poll-headers"},
                   {"cpu-share", "klane-headers", "poll-headers"},
                   {"share", "callback", "poll,poll-tuned"},
                   {"cpu-share", "callback", "poll,poll-tuned"},
                   {"rss-share", "callback", "poll,poll-tuned"}},
    },
    SCHEDULE_CASE(1ms),
    SCHEDULE_CASE(10ms),
    {
        .name = "kafka-stuck",
        .what = "3,000,000 records, one key of 1,000 never finished: the rate of the others.",
        .prepare = records_prepare,
        .arms = {{.name = "klane", .run = kafka_stuck_run, .plan = &kafka_is_stuck},
                 {.name = "klane-free", .run = kafka_stuck_run, .plan = &kafka_is_free}},
        .ratios = {{"share", "klane", "klane-free"}},
    },
    {
        .name = "kafka-latency",
        .what = "From the call that produces a record in another process to the start of the "
                "handler, 10,000 records a second.",
        /* For the same reason: once without counting. */
        .prepare = kafka_latency_klane_run,
        .arms = {{.name = "klane", .run = kafka_latency_klane_run},
                 {.name = "poll", .run = kafka_latency_poll_run}},
    },
    {
        .name = "kafka-members",
        .what = "1, 2 and 4 processes in one group, 100 workers each, handlers that sleep 10 ms: "
                "the sum of their rates.",
        .prepare = records_prepare,
        .arms =
            {{.name = "klane-1", .run = kafka_members_run, .plan = &plan_1, .own_work = true},
             {.name = "klane-2", .run = kafka_members_run, .plan = &plan_2, .own_work = true},
             {.name = "klane-4", .run = kafka_members_run, .plan = &plan_4, .own_work = true}},
        .ratios = {{"share", "klane-2", "klane-1"}, {"share", "klane-4", "klane-1"}},
    },
    {
        .name = "kafka-join",
        .what = "A fourth process joins a group of three: the longest time without a record "
                "handled in any partition, at 10,000 records a second.",
        .arms = {{.name = "klane-cooperative", .run = kafka_join_run, .plan = &plan_cooperative},
                 {.name = "klane-eager", .run = kafka_join_run, .plan = &plan_eager},
                 {.name = "poll-cooperative",
                  .run = kafka_join_run,
                  .plan = &plan_poll_cooperative},
                 {.name = "poll-eager", .run = kafka_join_run, .plan = &plan_poll_eager}},
    },
    {
        .name = "kafka-budget",
        .what = "Records of 1 KiB to 8 MiB under a budget of 64 MiB, slow handlers: resident "
                "memory beyond that of an empty topic, and the longest wait of a partition.",
        .arms = {{.name = "klane", .run = kafka_budget_run, .plan = &budget_plan_short}},
        .targets = {{"klane", "rss-over", 80 * 1048576.0}, {"klane", "wait", 10}},
    },
    {
        .name = "kafka-budget-5min",
        .what = "The same with handlers so slow that it takes five minutes.",
        .arms = {{.name = "klane", .run = kafka_budget_run, .plan = &budget_plan_long}},
        .targets = {{"klane", "rss-over", 80 * 1048576.0}, {"klane", "wait", 30}},
    },
    {
        .name = "kafka-restart-1",
        .what = "One key stuck, then kill -9: records that run again, by commit interval, and "
                "without a progress map.",
        .arms = {RESTART_ARM(kafka_restart_run, 1s), RESTART_ARM(kafka_restart_run, 100ms),
                 RESTART_ARM(kafka_restart_run, contiguous)},
    },
    {
        .name = "kafka-restart-250",
        .what = "The same with 250 of 1,000 keys stuck.",
        .arms = {RESTART_ARM(kafka_restart_run, 250_1s),
                 RESTART_ARM(kafka_restart_run, 250_100ms)},
    },
    {
        .name = "kafka-restart-1000",
        .what = "The same with 1,000 of 2,000 keys of one partition stuck, by the size of the "
                "progress map.",
        .arms = {RESTART_ARM(kafka_restart_run, 4k_1s), RESTART_ARM(kafka_restart_run, 16k_1s),
                 RESTART_ARM(kafka_restart_run, 16k_100ms)},
    },
    {
        .name = "kafka-restart-far",
        .what =
            "One key stuck, and all of 3 million records behind it handled but the last: time "
            "to the first new record after a kill -9.",
        .prepare = records_prepare,
        .arms = {RESTART_ARM(kafka_restart_far_run, far)},
    },
    {.name = NULL},
};
