/* SPDX-License-Identifier: Apache-2.0 */
/* On a real broker: records as large as it takes them, compressed by every codec, with thousands
 * of headers; hundreds of partitions; keys without end. What arrives, and what memory it takes.
 *
 *   KLANE_SOAK=1     10,000,000 keys, not 300,000; KLANE_ROUNDS says how many, too */
#include "kafka/by_proxy.h"
#include "kafka/wide.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a process has beside what klane counts: threads' stacks, librdkafka's own, and what malloc
 * keeps. */
#define BESIDE ((uint64_t)16 * WIDE_MIB)

/* The kit on a source with a small queue, and the budget. */
static void kit_of_queue(struct kafka_test *test, rd_kafka_conf_t *conf, uint32_t queue_records,
                         uint64_t budget_bytes)
{
    struct klane_kafka_options options;

    klane_kafka_options_init(&options, sizeof options);
    options.queue_records = queue_records;
    options.queue_bytes = WIDE_MIB;
    kafka_test_kit_with(test, conf, &options);
    test->kit.options.budget_bytes = budget_bytes;
}

static void kit_of_small(struct wide *wide, const char *record_bytes, uint64_t budget_bytes)
{
    rd_kafka_conf_t *conf = kafka_kit_consumer_conf(wide->test->group);

    if (record_bytes != NULL)
        kafka_kit_set(conf, "message.max.bytes", record_bytes);
    kit_of_queue(wide->test, conf, 1000, budget_bytes);
    wide->test->kit.options.records_max = 4096;
}

/* As much as there is room for was taken in. */
static void wait_full(struct wide *wide)
{
    uint64_t before = 0, records = 0;

    for (int i = 0; i < KAFKA_KIT_MS / 500 && (records == 0 || records != before); i++) {
        before = records;
        usleep(500 * 1000);
        records = kit_stats(&wide->test->kit).records;
    }
    assert_true(records > 0 && records == before);
}

/* ---- large records ----------------------------------------------------------------------- */

static void append_small(struct wide *wide, rd_kafka_t *producer, int32_t partition, int count)
{
    for (int i = 0; i < count; i++)
        wide_append(wide, producer, partition, (uint32_t)i % wide->keys,
                    WIDE_VALUE_MIN + (size_t)i * 97 % 2000);
}

/* The largest is as large as its batch may be: one byte more is refused. */
static void records_up_to_the_brokers_limit_arrive_whole_inside_the_budget(void **state)
{
    enum { PARTITIONS = 4, KEYS = 5, ROUNDS = 5, SMALL = 20, LIMIT = 8 * WIDE_MIB };
    enum { BATCH = 76, BUDGET = 64 * WIDE_MIB };
    struct wide *wide = *state;
    rd_kafka_t *producer =
        wide_producer((const char *const[]){"message.max.bytes", "16777216", NULL});

    wide_topic(wide, PARTITIONS, KEYS,
               (const char *const[]){"max.message.bytes", "8388608", NULL});
    for (int i = 0; i < ROUNDS * PARTITIONS; i++) {
        append_small(wide, producer, i % PARTITIONS, SMALL);
        wide_append(wide, producer, i % PARTITIONS, 0, LIMIT - BATCH);
        append_small(wide, producer, i % PARTITIONS, SMALL);
        wide_append(wide, producer, i % PARTITIONS, 1, 3 * WIDE_MIB + (size_t)i);
        wide_flush(producer);
    }
    wide_refused(wide, producer, 0, LIMIT - BATCH + 1);
    wide_producer_end(producer);

    wide_watch(wide);
    kit_of_small(wide, "8388608", BUDGET);
    wide->large_bytes = WIDE_MIB;
    wide->large_ms = 20;
    wide->is_gated = true;
    wide_start(wide);
    wait_full(wide);
    kit_open(&wide->test->kit);
    wide_finish(wide);
    wide_watched(wide, "large records", BUDGET + BESIDE);
}

/* Its size is no more than a word to klane: it waits for the others, then they for it. */
static void a_record_larger_than_the_budget_runs_alone_and_is_told(void **state)
{
    enum { PARTITIONS = 2, KEYS = 3, EACH = 2, SMALL = 40, LARGE = 40 * WIDE_MIB };
    enum { BUDGET = 36 * WIDE_MIB };
    struct wide *wide = *state;
    uint64_t taken = check_marked("a record above the budget is taken in");
    rd_kafka_t *producer =
        wide_producer((const char *const[]){"message.max.bytes", "50331648", NULL});
    struct klane_event event;

    wide_topic(wide, PARTITIONS, KEYS,
               (const char *const[]){"max.message.bytes", "50331648", NULL});
    for (int i = 0; i < EACH * PARTITIONS; i++) {
        append_small(wide, producer, i % PARTITIONS, SMALL);
        wide_append(wide, producer, i % PARTITIONS, 0, LARGE);
        append_small(wide, producer, i % PARTITIONS, SMALL);
        wide_flush(producer);
    }
    wide_producer_end(producer);

    wide_watch(wide);
    kit_of_small(wide, NULL, BUDGET);
    wide->large_bytes = LARGE;
    wide->large_ms = 100;
    wide_start(wide);
    kit_wait_event(&wide->test->kit, KLANE_EVENT_OVER_BUDGET, EACH * PARTITIONS);
    event = kit_event(&wide->test->kit, KLANE_EVENT_OVER_BUDGET);
    wide_finish(wide);
    assert_int_equal(wide->large_most, 1);
    assert_in_range(event.value, LARGE, LARGE + 4096);
    assert_int_equal(check_marked("a record above the budget is taken in") - taken,
                     EACH * PARTITIONS);
    /* Beside the one that runs, one of each partition. */
    wide_watched(wide, "larger than the budget",
                 BUDGET + (uint64_t)(1 + PARTITIONS) * LARGE + BESIDE);
}

/* ---- codecs ------------------------------------------------------------------------------ */

static const char *const codecs[] = {"none", "gzip", "snappy", "lz4", "zstd"};
enum { CODECS = sizeof codecs / sizeof codecs[0] };

/* Whether this librdkafka has the codec; prints it if not. */
static bool has_codec(const char *codec)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char features[512], wanted[32];
    size_t size = sizeof features - 2;
    bool has;

    features[0] = ',';
    assert_int_equal(rd_kafka_conf_get(conf, "builtin.features", features + 1, &size),
                     RD_KAFKA_CONF_OK);
    rd_kafka_conf_destroy(conf);
    strcat(features, ",");
    snprintf(wanted, sizeof wanted, ",%s,", codec);
    has = strcmp(codec, "none") == 0 || strstr(features, wanted) != NULL;
    if (!has)
        print_message("librdkafka %s has no %s\n", rd_kafka_version_str(), codec);
    return has;
}

/* The topic takes no batch of what is appended that is not compressed, but for small records: one
 * batch has three of the others. */
static void every_codec_and_a_mix_of_them_in_one_partition_arrive_whole(void **state)
{
    enum { KEYS = 4, BATCHES = 20, BATCH = 3, BYTES = 64 * WIDE_KIB, SMALL = 5000 };
    struct wide *wide = *state;
    rd_kafka_t *producers[CODECS] = {NULL};

    wide_topic(wide, CODECS + 1, KEYS, (const char *const[]){"max.message.bytes", "65536", NULL});
    for (int i = 0; i < CODECS; i++)
        if (has_codec(codecs[i]))
            producers[i] = wide_producer((const char *const[]){"compression.type", codecs[i],
                                                               "batch.num.messages", "3",
                                                               "linger.ms", "50", NULL});
    assert_true(producers[1] != NULL && producers[2] != NULL);
    wide_refused(wide, producers[0], CODECS, BYTES);
    for (int i = 0; i < CODECS * BATCHES * BATCH; i++) {
        int codec = i / BATCH % CODECS;
        size_t size = codec == 0 ? SMALL : BYTES;

        if (producers[codec] == NULL)
            continue;
        wide_append(wide, producers[codec], codec, (uint32_t)(i % KEYS), size);
        wide_append(wide, producers[codec], CODECS, (uint32_t)(i % KEYS), size);
        /* The next one's are behind these. */
        if (i % BATCH == BATCH - 1)
            wide_flush(producers[codec]);
    }
    for (int i = 0; i < CODECS; i++)
        if (producers[i] != NULL)
            wide_producer_end(producers[i]);

    kafka_test_kit(wide->test, NULL);
    wide_start(wide);
    wide_finish(wide);
}

/* A broker counts a response as it is compressed. So two of them may be so much larger, and what
 * librdkafka has of partitions that hold. */
static void what_is_read_ahead_is_as_large_as_it_is_compressed(void **state)
{
    enum { PARTITIONS = 32, KEYS = 2, EACH = 256, BYTES = 64 * WIDE_KIB, RATIO = 8 };
    enum { BUDGET = 96 * WIDE_MIB, RESPONSE = 8 * WIDE_MIB };
    struct wide *wide = *state;
    rd_kafka_t *producer = wide_producer((const char *const[]){"compression.type", "lz4", NULL});

    wide_topic(wide, PARTITIONS, KEYS, NULL);
    for (int i = 0; i < EACH; i++)
        for (int32_t partition = 0; partition < PARTITIONS; partition++)
            wide_append(wide, producer, partition, (uint32_t)i % KEYS, BYTES);
    wide_producer_end(producer);

    wide_watch(wide);
    kafka_test_kit(wide->test, NULL);
    wide->test->kit.options.budget_bytes = BUDGET;
    wide->is_gated = true;
    wide_start(wide);
    wait_full(wide);
    kit_open(&wide->test->kit);
    wide_finish(wide);
    wide_watched(wide, "compressed", BUDGET + 3 * (uint64_t)RESPONSE * RATIO + BESIDE);
}

/* ---- headers ----------------------------------------------------------------------------- */

/* Of record number of_record, the header of this index. Names that are empty or come again, and
 * values that are none, or empty, or have zeros in them, are among them. */
struct header_made {
    char name[32];
    unsigned char bytes[64];
    struct klane_header_in header;
};

static void header_make(struct header_made *made, unsigned of_record, size_t index)
{
    uint64_t seed = (uint64_t)of_record << 32 | index;

    if (index % 7 == 3)
        made->name[0] = '\0';
    else if (index % 5 == 0)
        snprintf(made->name, sizeof made->name, "again");
    else
        snprintf(made->name, sizeof made->name, "name-%zu", index);
    for (size_t i = 0; i < sizeof made->bytes; i++)
        made->bytes[i] = (unsigned char)(check_random(&seed) % 3);
    made->header = (struct klane_header_in){
        .name = made->name,
        .value = index % 3 == 2 ? NULL : made->bytes,
        .size = index % 3 == 2 || index % 11 == 4 ? 0 : index % sizeof made->bytes,
    };
}

static const unsigned header_counts[] = {0, 1, 1000, 5000, 0, 1000, 1, 5000};
enum { HEADER_RECORDS = sizeof header_counts / sizeof header_counts[0] };

static _Atomic int headers_wrong, headers_right; /* Relaxed: looked at when all has ended */

static bool is_as_made(const struct klane_record *record, size_t index)
{
    struct header_made made;
    const char *name;
    const void *value;
    size_t size;

    header_make(&made, (unsigned)record->offset, index);
    if (klane_header_at(record, index, &name, &value, &size) != KLANE_OK ||
        strcmp(name, made.header.name) != 0 || size != made.header.size)
        return false;
    return made.header.value == NULL ? value == NULL
                                     : value != NULL && memcmp(value, made.bytes, size) == 0;
}

/* By name the last one is found. */
static bool is_last_found(const struct klane_record *record, const char *wanted)
{
    const void *value = NULL, *at = NULL;
    size_t size = 0, size_at = 0;
    bool is_there = false;

    for (size_t i = 0; i < record->header_count; i++) {
        struct header_made made;
        const char *name;

        header_make(&made, (unsigned)record->offset, i);
        if (strcmp(made.name, wanted) != 0)
            continue;
        is_there = true;
        klane_header_at(record, i, &name, &at, &size_at);
    }
    if (klane_header(record, wanted, &value, &size) != KLANE_OK)
        return !is_there;
    return is_there && value == at && size == size_at;
}

static enum klane_outcome look_at_headers(struct kit *kit, const struct klane_record *record)
{
    const char *name;
    const void *value;
    size_t size;
    bool is_right = record->header_count == header_counts[record->offset % HEADER_RECORDS];

    (void)kit;
    for (size_t i = 0; i < record->header_count && is_right; i++)
        is_right = is_as_made(record, i);
    is_right = is_right && is_last_found(record, "again") && is_last_found(record, "") &&
               is_last_found(record, "never") &&
               klane_header_at(record, record->header_count, &name, &value, &size) ==
                   KLANE_ERR_NOT_FOUND;
    atomic_fetch_add_explicit(is_right ? &headers_right : &headers_wrong, 1,
                              memory_order_relaxed);
    return KLANE_DONE;
}

/* Returns the bytes of its names and values. */
static size_t append_headers(const struct wide *wide, unsigned number)
{
    unsigned count = header_counts[number % HEADER_RECORDS];
    struct header_made *made = calloc(count + 1, sizeof *made);
    struct klane_header_in *headers = calloc(count + 1, sizeof *headers);
    struct kafka_kit_record record = {
        .topic = wide->test->topic, .key = "k", .key_size = 1, .header_count = count};
    size_t bytes = 0;

    assert_true(made != NULL && headers != NULL);
    for (unsigned i = 0; i < count; i++) {
        header_make(&made[i], number, i);
        headers[i] = made[i].header;
        bytes += strlen(made[i].name) + made[i].header.size;
    }
    record.headers = headers;
    assert_int_equal(kafka_kit_append(&record), number);
    free(headers);
    free(made);
    return bytes;
}

static void headers_by_the_thousand_are_read_back_and_count(void **state)
{
    enum { RECORDS = 3 * HEADER_RECORDS };
    struct wide *wide = *state;
    struct kit *kit = &wide->test->kit;
    size_t bytes = 0;

    wide_topic(wide, 1, 1, NULL);
    for (unsigned i = 0; i < RECORDS; i++)
        bytes += append_headers(wide, i);
    kafka_test_kit(wide->test, NULL);
    kit->act = look_at_headers;
    kit->gate = "k";
    kafka_test_start(wide->test, NULL);
    kit_wait_taken_in(kit, RECORDS);
    assert_true(kit_stats(kit).budget_used >= bytes);

    kit_open(kit);
    kit_wait_ended(kit, RECORDS);
    kafka_test_wait_committed(wide->test, 0, RECORDS);
    kit_assert_order(kit);
    assert_int_equal(headers_wrong, 0);
    assert_int_equal(headers_right, RECORDS);
}

/* librdkafka counts in its queue only what values have. */
static void append_beside_values(const struct wide *wide, int records, size_t bytes, bool is_key)
{
    rd_kafka_t *producer = wide_producer((const char *const[]){"linger.ms", "5", NULL});
    char *large = calloc(1, bytes);

    assert_non_null(large);
    for (int i = 0; i < records; i++) {
        rd_kafka_headers_t *headers = rd_kafka_headers_new(1);
        struct kafka_kit_record record = {
            .topic = wide->test->topic, .partition = i % 4, .key = large};

        snprintf(large, bytes, "%d", i);
        record.key_size = is_key ? bytes : strlen(large);
        if (!is_key)
            rd_kafka_header_add(headers, "h", -1, large, (ssize_t)bytes);
        kafka_kit_produce(producer, &record, headers);
    }
    free(large);
    wide_producer_end(producer);
}

/* What is read ahead is looked at every 5 ms: what comes in between is bounded by the network
 * alone. On this one a look may be late by a quarter of a second. */
static void kit_behind_slow_network(struct wide *wide, uint64_t budget_bytes)
{
    const struct proxy_faults slow = {.ways = {[PROXY_DOWN] = {.rate = 64 * WIDE_MIB}}};
    rd_kafka_conf_t *conf = kafka_kit_consumer_conf(wide->test->group);

    by_proxy_fail(&slow);
    by_proxy_set(conf);
    kit_of_queue(wide->test, conf, 32768, budget_bytes);
    wide->test->kit.options.records_max = 4096;
}

static uint64_t queue_fillings(void)
{
    return check_marked("kafka: keys and headers fill the queue");
}

static enum klane_outcome wait_at_gate(struct kit *kit, const struct klane_record *record)
{
    (void)record;
    kit_wait_open(kit);
    return KLANE_DONE;
}

static void wait_with_what_is_beside_values(struct wide *wide, const char *what, bool is_key,
                                            bool without_headers)
{
    enum { PARTITIONS = 4, RECORDS = 4000, BYTES = 60000, BUDGET = 64 * WIDE_MIB };
    struct kit *kit = &wide->test->kit;
    struct klane_topic rules;
    uint64_t paused = queue_fillings();
    uint64_t most = BUDGET + BESIDE;

    wide_topic(wide, PARTITIONS, 1, NULL);
    append_beside_values(wide, RECORDS, BYTES, is_key);
    wide_watch(wide);
    kit_behind_slow_network(wide, BUDGET);
    kit->act = wait_at_gate;
    /* Without headers, as many as there are would have room, and what is taken in is nothing. */
    if (without_headers) {
        kit->options.records_max = 256;
        most = 2 * BESIDE;
    }
    klane_topic_init(&rules, sizeof rules);
    rules.without_headers = without_headers;
    kafka_test_start(wide->test, &rules);
    for (int i = 0; i < KAFKA_KIT_MS && queue_fillings() == paused; i++)
        usleep(1000);
    assert_true(queue_fillings() > paused);
    usleep(2000 * 1000);
    wide_watched(wide, what, most);
    kit_open(kit);
    kit_wait_ended(kit, RECORDS);
    for (int32_t i = 0; i < PARTITIONS; i++)
        kafka_test_wait_committed(wide->test, i, RECORDS / PARTITIONS);
}

static int behind_network_teardown(void **state)
{
    int failed = wide_teardown(state);

    by_proxy_fail(NULL);
    return failed;
}

#define behind_network_test(function)                                                            \
    cmocka_unit_test_setup_teardown(function, wide_setup, behind_network_teardown)

static void what_is_read_ahead_of_headers_counts(void **state)
{
    wait_with_what_is_beside_values(*state, "headers read ahead", false, false);
}

static void so_does_that_of_headers_that_nobody_wants(void **state)
{
    wait_with_what_is_beside_values(*state, "headers not wanted", false, true);
}

static void what_is_read_ahead_of_keys_counts(void **state)
{
    wait_with_what_is_beside_values(*state, "keys read ahead", true, false);
}

static void kit_of_member(struct kafka_test *test, const char *assignor)
{
    rd_kafka_conf_t *conf = kafka_kit_consumer_conf(test->group);

    kafka_kit_set_classic(conf, "partition.assignment.strategy", assignor);
    kit_of_queue(test, conf, 32768, 64 * WIDE_MIB);
    test->kit.options.drain_ms = 300;
    test->kit.options.workers_max = test->kit.options.workers;
}

/* A member of which all is paused gives half of its partitions up, and reads on what it keeps. */
static void headers_that_fill_the_queue_are_no_obstacle(struct wide *wide, const char *assignor)
{
    enum { PARTITIONS = 4, RECORDS = 2400, BYTES = 60000 };
    struct kafka_test *test = wide->test, *other = calloc(1, sizeof *other);
    uint64_t paused = queue_fillings();
    size_t starts;

    assert_non_null(other);
    wide_topic(wide, PARTITIONS, 1, NULL);
    append_beside_values(wide, RECORDS, BYTES, false);
    kit_of_member(test, assignor);
    test->kit.act = wait_at_gate;
    kafka_test_start(test, NULL);
    wait_full(wide);
    assert_true(queue_fillings() > paused);

    kafka_test_beside(other, test);
    kit_of_member(other, assignor);
    kafka_test_start(other, NULL);
    kit_wait_event(&other->kit, KLANE_EVENT_ASSIGNED, PARTITIONS / 2);
    kit_open(&test->kit);
    for (int32_t i = 0; i < PARTITIONS; i++)
        kafka_test_wait_committed(test, i, RECORDS / PARTITIONS);
    kafka_test_end(other);
    starts = test->kit.note_count + other->kit.note_count;
    assert_true(other->kit.note_count >= RECORDS / 4);
    /* Those that waited at the gate. */
    assert_true(starts >= RECORDS && starts <= RECORDS + test->kit.options.workers);
    free(other);
}

static void what_is_paused_for_headers_is_given_up_at_once(void **state)
{
    headers_that_fill_the_queue_are_no_obstacle(*state, "range");
}

static void so_is_half_of_it_to_a_member_that_joins(void **state)
{
    headers_that_fill_the_queue_are_no_obstacle(*state, "cooperative-sticky");
}

/* ---- partitions -------------------------------------------------------------------------- */

enum { PARTITIONS_MANY = 500, MANY_BYTES = 32 * WIDE_KIB };

/* What one takes, assigned and without a record in memory, of klane's and of librdkafka's. */
enum { PARTITION_BYTES = 8 * WIDE_KIB };

static void wait_assigned(struct wide *wide)
{
    for (int i = 0; i < KAFKA_KIT_MS; i++) {
        if (kit_stats(&wide->test->kit).partitions == (uint64_t)wide->partitions)
            return;
        usleep(1000);
    }
    fail_msg("%d partitions were not all assigned", wide->partitions);
}

/* A topic with an index of each partition that is not of megabytes. */
static void topic_of_many(struct wide *wide)
{
    wide_topic(wide, PARTITIONS_MANY, 2,
               (const char *const[]){"segment.index.bytes", "4096", NULL});
}

/* Their memory is full of what waits, then all is handled. */
static void handle_many(struct wide *wide, const char *what, uint64_t budget)
{
    wide_watch(wide);
    wide->is_gated = true;
    wide_start(wide);
    wait_assigned(wide);
    wait_full(wide);
    kit_open(&wide->test->kit);
    wide_finish(wide);
    wide_watched(wide, what, budget + PARTITIONS_MANY * (uint64_t)PARTITION_BYTES + BESIDE);
}

static void append_to_many(struct wide *wide, int each)
{
    rd_kafka_t *producer = wide_producer((const char *const[]){"linger.ms", "100", NULL});

    topic_of_many(wide);
    for (int i = 0; i < each; i++)
        for (int32_t partition = 0; partition < PARTITIONS_MANY; partition++)
            wide_append(wide, producer, partition, (uint32_t)i % 2, MANY_BYTES);
    wide_producer_end(producer);
}

static void hundreds_of_partitions_stay_inside_the_budget_by_default(void **state)
{
    struct wide *wide = *state;

    append_to_many(wide, 20); /* 328 MB */
    kafka_test_kit(wide->test, NULL);
    handle_many(wide, "500 partitions", wide->test->kit.options.budget_bytes);
}

static void hundreds_of_partitions_stay_inside_a_small_budget(void **state)
{
    struct wide *wide = *state;

    append_to_many(wide, 6);
    kit_of_small(wide, NULL, 48 * WIDE_MIB);
    handle_many(wide, "500 partitions, small", 48 * WIDE_MIB);
}

static void a_partition_takes_some_kilobytes(void **state)
{
    struct wide *wide = *state;

    topic_of_many(wide);
    kit_of_small(wide, NULL, 48 * WIDE_MIB);
    wide_watch(wide);
    wide_start(wide);
    wait_assigned(wide);
    usleep(500 * 1000);
    /* With the threads of a runtime. */
    wide_watched(wide, "500 partitions, empty",
                 PARTITIONS_MANY * (uint64_t)PARTITION_BYTES + WIDE_MIB);
}

/* ---- keys -------------------------------------------------------------------------------- */

enum { KEYS = 300000, KEYS_SOAK = 10000000, KEYS_AT_ONCE = 5000, KEY_PARTITIONS = 8 };

/* Of a runtime whose process has run for some time already. */
enum { GROWTH = 4 * WIDE_MIB };

struct keys {
    unsigned char *seen; /* of each key: its handler's, and then the main thread's */
    uint64_t count;
    _Atomic uint64_t handled; /* release: what was seen; acquire: before it is looked at */
    _Atomic bool is_wrong;    /* relaxed: looked at after that */
};

static enum klane_outcome see_key(const struct klane_record *record, void *context)
{
    struct keys *keys = context;
    char text[24];
    uint64_t number;

    snprintf(text, sizeof text, "%.*s", (int)record->key_size, (const char *)record->key);
    number = strtoull(text, NULL, 10);
    if (number >= keys->count || keys->seen[number]++ != 1)
        atomic_store_explicit(&keys->is_wrong, true, memory_order_relaxed);
    atomic_fetch_add_explicit(&keys->handled, 1, memory_order_release);
    return KLANE_DONE;
}

static void append_keys(rd_kafka_t *producer, const char *topic, uint64_t first, uint64_t end)
{
    for (uint64_t i = first; i < end; i++) {
        char key[24];
        const struct kafka_kit_record record = {
            .topic = topic,
            .partition = (int32_t)(i % KEY_PARTITIONS),
            .key = key,
            .key_size = (size_t)snprintf(key, sizeof key, "%" PRIu64, i),
        };

        kafka_kit_produce(producer, &record, NULL);
    }
    wide_flush(producer);
}

static void wait_seen(const struct keys *keys, uint64_t count)
{
    for (int i = 0; i < 3 * KAFKA_KIT_MS; i++) {
        if (atomic_load_explicit(&keys->handled, memory_order_acquire) >= count)
            return;
        usleep(1000);
    }
    fail_msg("%" PRIu64 " of %" PRIu64 " keys were seen", keys->handled, count);
}

static void start_seeing(struct wide *wide, struct keys *keys)
{
    struct kit *kit = &wide->test->kit;

    kit->options.commit_interval_ms = 200;
    kit_create(kit);
    assert_int_equal(klane_handle(kit->runtime, kit->topic, see_key, keys), KLANE_OK);
    assert_int_equal(klane_start(kit->runtime), KLANE_OK);
    wide->test->is_running = true;
}

static void nothing_remains_of_keys_that_are_idle(void **state)
{
    static struct keys keys;
    struct wide *wide = *state;
    rd_kafka_t *producer = wide_producer((const char *const[]){"linger.ms", "5", NULL});
    uint64_t committed = 0;
    bool is_in = false;

    keys = (struct keys){.count = check_rounds(KEYS, KEYS_SOAK)};
    keys.seen = malloc(keys.count);
    assert_non_null(keys.seen);
    /* Other than zero, so that all of it is there from the beginning. */
    memset(keys.seen, 1, keys.count);
    wide_topic(wide, KEY_PARTITIONS, 1, NULL);
    kafka_test_kit(wide->test, NULL);
    start_seeing(wide, &keys);
    wide_watch(wide);
    for (uint64_t i = 0; i < keys.count; i += KEYS_AT_ONCE) {
        uint64_t end = i + KEYS_AT_ONCE < keys.count ? i + KEYS_AT_ONCE : keys.count;

        append_keys(producer, wide->test->topic, i, end);
        wait_seen(&keys, end);
        if (!is_in && end >= keys.count / 10)
            wide_watch_again(wide);
        is_in = end >= keys.count / 10;
    }
    wide_watched(wide, "keys", GROWTH);
    assert_false(keys.is_wrong);
    assert_int_equal(klane_commit(wide->test->kit.runtime, KAFKA_KIT_MS), KLANE_OK);
    assert_int_equal(kit_stats(&wide->test->kit).lanes, 0);
    for (int32_t i = 0; i < KEY_PARTITIONS; i++)
        committed += (uint64_t)kafka_kit_committed(wide->test->group, wide->test->topic, i);
    assert_int_equal(committed, keys.count);
    wide_producer_end(producer);
    kafka_test_end(wide->test);
    free(keys.seen);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        /* First: what malloc has kept would hide it. */
        wide_test(a_partition_takes_some_kilobytes),
        wide_test(records_up_to_the_brokers_limit_arrive_whole_inside_the_budget),
        wide_test(a_record_larger_than_the_budget_runs_alone_and_is_told),
        wide_test(every_codec_and_a_mix_of_them_in_one_partition_arrive_whole),
        wide_test(what_is_read_ahead_is_as_large_as_it_is_compressed),
        wide_test(headers_by_the_thousand_are_read_back_and_count),
        behind_network_test(what_is_read_ahead_of_headers_counts),
        behind_network_test(so_does_that_of_headers_that_nobody_wants),
        behind_network_test(what_is_read_ahead_of_keys_counts),
        wide_test(what_is_paused_for_headers_is_given_up_at_once),
        wide_test(so_is_half_of_it_to_a_member_that_joins),
        wide_test(hundreds_of_partitions_stay_inside_the_budget_by_default),
        wide_test(hundreds_of_partitions_stay_inside_a_small_budget),
        wide_test(nothing_remains_of_keys_that_are_idle),
    };
    int failed;

    by_proxy_begin();
    failed = check_run(tests);
    kafka_kit_deinit();
    by_proxy_end();
    return failed;
}
