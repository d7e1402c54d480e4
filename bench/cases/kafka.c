/* SPDX-License-Identifier: Apache-2.0 */
/* The Kafka cases, on a real broker. All but those with a live producer read the same topic, which
 * is filled once in a run; each arm of each round is a group of its own and begins at the earliest
 * record. */
#include "cases/budget.h"
#include "cases/cases.h"
#include "cases/kafka.h"
#include "cases/restart.h"
#include "lib/peer.h"

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

const struct records_kind kafka_records = {
    .name = "records",
    .count = 3000000,
    .count_quick = 20000,
    .keys = KAFKA_KEYS,
};
const struct records_kind kafka_records_fixed = {
    .name = "records",
    .count = 3000000,
    .count_quick = 20000,
    .keys = KAFKA_KEYS,
    .is_fixed = true,
};
const struct records_kind kafka_records_zipf = {
    .name = "zipf",
    .count = 50000,
    .count_quick = 2000,
    .keys = ZIPF_KEYS_MAX,
    .is_zipf = true,
};

static bool count_down(const rd_kafka_message_t *message, void *left)
{
    (void)message;
    return --*(uint64_t *)left == 0;
}

static void read_once(const struct records *records)
{
    uint64_t left = records->count;
    char group[CLUSTER_NAME_MAX];
    rd_kafka_t *consumer;

    cluster_name(group, "group");
    consumer = cluster_bare_consumer(cluster_consumer_conf(group));
    cluster_subscribe(consumer, records->topic);
    kafka_poll(consumer, count_down, &left);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
}

/* A broker takes its time for what it does for the first time, so everything is read once before
 * anybody measures. The plan is the kind of records. */
static void records_prepare(struct bench_run *run)
{
    struct records records;

    records_init(&records, run->plan, run);
    if (records_fill(&records))
        read_once(&records);
}

#define PEER_ARM(called, function, what)                                                         \
    {                                                                                            \
        .name = called, .run = function, .plan = &(what), .available = peer_available            \
    }

/* It ends when it stands still, or counts more records. */
#define PEER_ARM_OWN_WORK(called, function, what)                                                \
    {                                                                                            \
        .name = called, .run = function, .plan = &(what), .own_work = true,                      \
        .available = peer_available                                                              \
    }

#define PREPARE(kind) .prepare = records_prepare, .prepare_plan = &(kind)

/* ---- handlers that work ------------------------------------------------------------------ */

/* A case's plans, by what order its arms keep. */
enum { BY_KEY, BY_NONE, BY_PARTITION, ORDERS };

#define SLEEPS(sleep, burn, workers, count, quick)                                               \
    {sleep, workers, count, quick, true, burn}, &kafka_records, false

/* By partition there are no more lanes than partitions, so a tenth of the records is enough. */
#define SCHEDULE_PLANS(sleep, burn, workers, count, quick)                                       \
    {                                                                                            \
        [BY_KEY] = {SLEEPS(sleep, burn, workers, count, quick), KLANE_ORDER_KEY, false},         \
        [BY_NONE] = {SLEEPS(sleep, burn, workers, count, quick), KLANE_ORDER_NONE, true},        \
        [BY_PARTITION] = {SLEEPS(sleep, burn, workers, (count) / 10, (quick) / 10),              \
                          KLANE_ORDER_PARTITION, false},                                         \
    }

static const struct kafka_schedule_plan plans_1ms[ORDERS] =
    SCHEDULE_PLANS(1, 0, 100, 300000, 10000);
static const struct kafka_schedule_plan plans_10ms[ORDERS] =
    SCHEDULE_PLANS(10, 0, 100, 40000, 2000);
static const struct kafka_schedule_plan plans_100ms[ORDERS] =
    SCHEDULE_PLANS(100, 0, 100, 4000, 500);
static const struct kafka_schedule_plan plans_cpu[ORDERS] =
    SCHEDULE_PLANS(0, 10, 0, 300000, 10000);

#define ZIPF_SLEEP {1, 100, 0, 0, true, 0}, &kafka_records_zipf, true

static const struct kafka_schedule_plan plans_zipf[ORDERS] = {
    [BY_KEY] = {ZIPF_SLEEP, KLANE_ORDER_KEY, false},
    [BY_NONE] = {ZIPF_SLEEP, KLANE_ORDER_NONE, true},
    [BY_PARTITION] = {ZIPF_SLEEP, KLANE_ORDER_PARTITION, false},
};

/* is_less: what keeps the order of partitions does another amount of work. */
#define SCHEDULE_ARMS(plans, is_less)                                                            \
    {.name = "klane", .run = kafka_schedule_klane_run, .plan = &(plans)[BY_KEY]},                \
        {.name = "klane-none", .run = kafka_schedule_klane_run, .plan = &(plans)[BY_NONE]},      \
        {.name = "klane-partition",                                                              \
         .run = kafka_schedule_klane_run,                                                        \
         .plan = &(plans)[BY_PARTITION],                                                         \
         .own_work = is_less},                                                                   \
        {.name = "threads", .run = kafka_schedule_bare_run, .plan = &(plans)[BY_KEY]},           \
        {.name = "thread-per-partition",                                                         \
         .run = kafka_schedule_by_hand_run,                                                      \
         .plan = &(plans)[BY_PARTITION],                                                         \
         .own_work = is_less},                                                                   \
        {.name = "pool", .run = kafka_schedule_by_hand_run, .plan = &(plans)[BY_NONE]},          \
        PEER_ARM("parallel-consumer", kafka_peer_schedule_run, (plans)[BY_KEY])

#define SCHEDULE_RATIOS                                                                          \
    {"ideal", "klane", "threads"}, {"ideal", "klane-none", "threads"},                           \
        {"ideal", "klane-partition", "threads"}, {"ideal", "thread-per-partition", "threads"},   \
        {"ideal", "pool", "threads"}, {"ideal", "parallel-consumer", "threads"},                 \
        {"cpu-share", "parallel-consumer", "klane"},                                             \
    {                                                                                            \
        "rss-share", "parallel-consumer", "klane"                                                \
    }

#define SCHEDULE_CASE(sleep, headline)                                                           \
    {                                                                                            \
        .name = "kafka-" #sleep, .is_headline = (headline),                                      \
        .what =                                                                                  \
            "Handlers that sleep for " #sleep ", 100 workers, 8 partitions, beside 100 bare "    \
            "threads.",                                                                          \
        PREPARE(kafka_records), .arms = {SCHEDULE_ARMS(plans_##sleep, true)},                    \
        .ratios = {SCHEDULE_RATIOS, {"by-key", "klane", "klane-none"}},                          \
        .targets = {{"klane", "ideal", 0.97}, {"klane", "by-key", 0.97}},                        \
    }

/* ---- groups ------------------------------------------------------------------------------ */

static const struct kafka_members_plan plan_1 = {1, false, "range"};
static const struct kafka_members_plan plan_2 = {2, false, "range"};
static const struct kafka_members_plan plan_4 = {4, false, "range"};

static const struct kafka_members_plan plan_cooperative = {4, false, "cooperative-sticky"};
static const struct kafka_members_plan plan_eager = {4, false, "range"};
static const struct kafka_members_plan plan_poll_cooperative = {4, true, "cooperative-sticky"};
static const struct kafka_members_plan plan_poll_eager = {4, true, "range"};

const struct bench_case kafka_cases[] = {
    {
        .name = "kafka-noop",
        .is_headline = true,
        .what =
            "3,000,000 records of 8 partitions and 1,000 keys through an empty handler on one "
            "worker, with commits, beside librdkafka's own loops without.",
        PREPARE(kafka_records),
        .arms =
            {{.name = "klane", .run = kafka_noop_klane_run, .plan = &kafka_noop_plain},
             {.name = "klane-partition",
              .run = kafka_noop_klane_run,
              .plan = &kafka_noop_partition},
             {.name = "klane-none", .run = kafka_noop_klane_run, .plan = &kafka_noop_none},
             {.name = "poll", .run = kafka_noop_poll_run, .plan = &kafka_noop_plain},
             {.name = "poll-tuned", .run = kafka_noop_poll_run, .plan = &kafka_noop_tuned},
             {.name = "callback", .run = kafka_noop_callback_run, .plan = &kafka_noop_tuned},
             {.name = "klane-headers", .run = kafka_noop_klane_run, .plan = &kafka_noop_headers},
             {.name = "poll-headers", .run = kafka_noop_poll_run, .plan = &kafka_noop_headers},
             {.name = "thread-per-partition",
              .run = kafka_noop_by_hand_run,
              .plan = &kafka_noop_plain},
             {.name = "pool", .run = kafka_noop_by_hand_run, .plan = &kafka_noop_pool},
             PEER_ARM_OWN_WORK("parallel-consumer", kafka_peer_noop_run, kafka_peer_parallel),
             PEER_ARM("java-consumer", kafka_peer_noop_run, kafka_peer_java),
             PEER_ARM("java-consumer-tuned", kafka_peer_noop_run, kafka_peer_java_tuned)},
        .ratios = {{"share", "klane", "poll,poll-tuned"},
                   {"cpu-share", "klane", "poll,poll-tuned"},
                   {"rss-share", "klane", "poll,poll-tuned"},
                   {"share", "klane-headers", "poll-headers"},
                   {"cpu-share", "klane-headers", "poll-headers"},
                   {"share", "callback", "poll,poll-tuned"},
                   {"cpu-share", "callback", "poll,poll-tuned"},
                   {"rss-share", "callback", "poll,poll-tuned"},
                   {"by-key", "klane", "klane-none"},
                   {"share", "thread-per-partition", "poll,poll-tuned"},
                   {"share", "pool", "poll,poll-tuned"},
                   {"share", "parallel-consumer", "klane"},
                   {"cpu-share", "parallel-consumer", "klane"},
                   {"rss-share", "parallel-consumer", "klane"}},
        .targets = {{"klane", "by-key", 0.97}},
    },
    SCHEDULE_CASE(1ms, true),
    SCHEDULE_CASE(10ms, false),
    SCHEDULE_CASE(100ms, false),
    {
        .name = "kafka-cpu",
        .what = "Handlers that burn 10 us of processor time, as many workers as processors, "
                "beside as many bare threads.",
        PREPARE(kafka_records),
        .arms = {SCHEDULE_ARMS(plans_cpu, true)},
        .ratios = {SCHEDULE_RATIOS, {"by-key", "klane", "klane-none"}},
        .targets = {{"klane", "by-key", 0.97}},
    },
    {
        .name = "kafka-zipf",
        .is_headline = true,
        .what = "Handlers that sleep for 1 ms, 10,000 keys of Zipf 1.1, 100 workers: all of "
                "50,000 records beside the best schedule of bare threads.",
        PREPARE(kafka_records_zipf),
        .arms = {SCHEDULE_ARMS(plans_zipf, false)},
        .ratios = {SCHEDULE_RATIOS},
        .targets = {{"klane", "ideal", 0.97}},
    },
    {
        .name = "kafka-stuck",
        .is_headline = true,
        .what = "3,000,000 records, one key of 1,000 not finished until all others have passed "
                "or stand still: their rate, and how far they come.",
        PREPARE(kafka_records),
        .arms = {{.name = "klane", .run = kafka_stuck_klane_run, .plan = &kafka_stuck_key},
                 {.name = "klane-free", .run = kafka_stuck_klane_run, .plan = &kafka_stuck_free},
                 {.name = "thread-per-partition",
                  .run = kafka_stuck_by_hand_run,
                  .plan = &kafka_stuck_key,
                  .own_work = true},
                 {.name = "pool", .run = kafka_stuck_by_hand_run, .plan = &kafka_stuck_pool},
                 PEER_ARM_OWN_WORK("parallel-consumer", kafka_peer_stuck_run,
                                   kafka_peer_parallel)},
        .ratios = {{"share", "klane", "klane-free"}},
    },
    {
        .name = "kafka-latency",
        .is_headline = true,
        .what = "From when a record is due to be produced in another process to the start of the "
                "handler, 10,000 records a second.",
        /* For the same reason: once without counting. */
        .prepare = kafka_latency_klane_run,
        .arms = {{.name = "klane", .run = kafka_latency_klane_run},
                 {.name = "poll", .run = kafka_latency_poll_run},
                 PEER_ARM_OWN_WORK("parallel-consumer", kafka_peer_latency_run,
                                   kafka_peer_parallel),
                 PEER_ARM_OWN_WORK("java-consumer", kafka_peer_latency_run, kafka_peer_java)},
    },
    {
        .name = "kafka-members",
        .what = "1, 2 and 4 processes in one group, 100 workers each, handlers that sleep 10 ms: "
                "the sum of their rates.",
        PREPARE(kafka_records_fixed),
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
        .is_long = true,
        .what = "The same with handlers so slow that it takes five minutes.",
        .arms = {{.name = "klane", .run = kafka_budget_run, .plan = &budget_plan_long}},
        .targets = {{"klane", "rss-over", 80 * 1048576.0}, {"klane", "wait", 30}},
    },
    {
        .name = "kafka-crash",
        .what = "One record stuck, then kill -9 and a second life: records that run again, and "
                "records that are lost.",
        .arms = {{.name = "klane", .run = kafka_crash_run, .plan = &kafka_crash_klane},
                 {.name = "thread-per-partition",
                  .run = kafka_crash_run,
                  .plan = &kafka_crash_partition},
                 {.name = "pool", .run = kafka_crash_run, .plan = &kafka_crash_pool},
                 PEER_ARM("parallel-consumer", kafka_peer_crash_run, kafka_peer_parallel_often),
                 PEER_ARM("parallel-consumer-5s", kafka_peer_crash_run, kafka_peer_parallel)},
        .targets = {{"klane", "lost", 0}, {"klane", "disorder", 0}},
    },
    {
        .name = "kafka-restart-1",
        .is_long = true,
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
        .is_long = true,
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
        PREPARE(kafka_records_fixed),
        .arms = {RESTART_ARM(kafka_restart_far_run, far)},
    },
    {.name = NULL},
};
