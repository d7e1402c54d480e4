/* SPDX-License-Identifier: Apache-2.0 */
/* Errors that a broker cannot be made to send, by the cluster inside librdkafka that answers as
 * it is told. It accepts what a real one would refuse, so it is used for nothing else. */
#include "kafka/mocked.h"

#include "base/clock.h"
#include "source/kafka/reason.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of Kafka's protocol. */
#define API_PRODUCE 0
#define API_FETCH 1
#define API_OFFSET_COMMIT 8
#define API_OFFSET_FETCH 9
#define API_FIND_COORDINATOR 10
#define API_HEARTBEAT 12
#define API_SYNC_GROUP 14

#define LATE_MS 7000 /* longer than any request's limit */

static int setup(void **state)
{
    struct mocked *mocked = mocked_new(1, 1);

    kafka_kit_fill(kafka_kit_producer(), mocked->test.topic, 0, 20, 4);
    kafka_test_kit(&mocked->test, NULL);
    *state = mocked;
    return 0;
}

static _Atomic int asked_to_sync; /* so often. Relaxed: polled */

static rd_kafka_resp_err_t request_was_sent(rd_kafka_t *rk, int socket, const char *broker,
                                            int32_t broker_id, int16_t api, int16_t version,
                                            int32_t number, size_t size, void *opaque)
{
    (void)rk, (void)socket, (void)broker, (void)broker_id;
    (void)version, (void)number, (void)size, (void)opaque;
    if (api == API_SYNC_GROUP)
        atomic_fetch_add_explicit(&asked_to_sync, 1, memory_order_relaxed);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t watch_requests(rd_kafka_t *rk, const rd_kafka_conf_t *conf,
                                          void *opaque, char *why, size_t why_size)
{
    (void)conf, (void)why, (void)why_size;
    return rd_kafka_interceptor_add_on_request_sent(rk, "test", request_was_sent, opaque);
}

static void wait_until_it_syncs(void)
{
    for (int i = 0; i < KAFKA_KIT_MS; i++) {
        if (atomic_load_explicit(&asked_to_sync, memory_order_relaxed) > 0)
            return;
        usleep(1000);
    }
    fail_msg("the member does not ask for its assignment");
}

/* For members that end; without its coordinator one does so for as long as its session. */
static int setup_end(void **state)
{
    struct mocked *mocked = mocked_new(1, 1);
    rd_kafka_conf_t *conf = kafka_kit_consumer_conf(mocked->test.group);

    kafka_kit_set(conf, "partition.assignment.strategy", "cooperative-sticky");
    kafka_kit_set(conf, "session.timeout.ms", "4000");
    atomic_store_explicit(&asked_to_sync, 0, memory_order_relaxed);
    rd_kafka_conf_interceptor_add_on_new(conf, "test", watch_requests, NULL);
    kafka_kit_fill(kafka_kit_producer(), mocked->test.topic, 0, 20, 4);
    kafka_test_kit(&mocked->test, conf);
    *state = mocked;
    return 0;
}

/* ---- a leader that is none any more ------------------------------------------------------ */

rd_kafka_resp_err_t __real_rd_kafka_offsets_for_times(rd_kafka_t *rk,
                                                      rd_kafka_topic_partition_list_t *offsets,
                                                      int timeout_ms);
rd_kafka_resp_err_t __wrap_rd_kafka_offsets_for_times(rd_kafka_t *rk,
                                                      rd_kafka_topic_partition_list_t *offsets,
                                                      int timeout_ms);

static _Atomic int stale_answers; /* that are to come. Relaxed: nothing hangs on it */

/* The log of such a one has an end of its own. */
rd_kafka_resp_err_t __wrap_rd_kafka_offsets_for_times(rd_kafka_t *rk,
                                                      rd_kafka_topic_partition_list_t *offsets,
                                                      int timeout_ms)
{
    bool is_end = offsets->cnt == 1 && offsets->elems[0].offset == RD_KAFKA_OFFSET_END;
    rd_kafka_resp_err_t err = __real_rd_kafka_offsets_for_times(rk, offsets, timeout_ms);

    if (is_end && atomic_load_explicit(&stale_answers, memory_order_relaxed) > 0) {
        atomic_fetch_sub_explicit(&stale_answers, 1, memory_order_relaxed);
        offsets->elems[0].offset = 10;
    }
    return err;
}

static void a_leader_that_lags_behind_is_not_taken_for_a_log_that_was_cut(void **state)
{
    struct mocked *mocked = *state;
    struct kit *kit = &mocked->test.kit;

    kafka_test_start(&mocked->test, NULL);
    kafka_test_wait_committed(&mocked->test, 0, 20);
    atomic_store_explicit(&stale_answers, 4, memory_order_relaxed);
    rd_kafka_mock_push_request_errors(mocked->cluster, API_FETCH, 1,
                                      RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE);
    kafka_kit_fill(kafka_kit_producer(), mocked->test.topic, 0, 20, 4);
    kafka_test_wait_committed(&mocked->test, 0, 40);

    assert_int_equal(atomic_load_explicit(&stale_answers, memory_order_relaxed), 0);
    assert_int_equal(kit_event_count(kit, KLANE_EVENT_OUT_OF_RANGE), 0);
    assert_int_equal(kit->note_count, 40);
}

static void nor_does_it_refute_a_progress_map(void **state)
{
    struct mocked *mocked = *state;
    struct kit *kit = &mocked->test.kit;

    kit->gate = "k0";
    kit->options.drain_ms = 100;
    kafka_test_start(&mocked->test, NULL);
    kit_wait_done(kit, 15);
    klane_stop(kit->runtime);
    klane_wait(kit->runtime, 20000);
    kafka_test_end(&mocked->test);
    atomic_store_explicit(&stale_answers, 3, memory_order_relaxed);
    kafka_test_run(&mocked->test);
    kafka_test_wait_committed(&mocked->test, 0, 20);

    assert_int_equal(atomic_load_explicit(&stale_answers, memory_order_relaxed), 0);
    assert_int_equal(kit_event_count(kit, KLANE_EVENT_PROGRESS_REFUSED), 0);
    assert_int_equal(kit->note_count, 5);
}

/* ---- errors ------------------------------------------------------------------------------ */

static void refused_commits_are_sent_again_though_nothing_else_happens(void **state)
{
    struct mocked *mocked = *state;
    struct kit *kit = &mocked->test.kit;

    rd_kafka_mock_push_request_errors(
        mocked->cluster, API_OFFSET_COMMIT, 3, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_UNKNOWN, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    kafka_test_start(&mocked->test, NULL);
    kit_wait_ended(kit, 20);
    kit_wait_event(kit, KLANE_EVENT_COMMIT_FAILED, 3);
    kafka_test_wait_committed(&mocked->test, 0, 20);

    assert_true(kit_stats(kit).commits_failed >= 3);
    assert_int_equal(kit_event_count(kit, KLANE_EVENT_LOST), 0);
}

/* As where the cluster gives out the partitions, and raises the member's epoch meanwhile. */
static void a_commit_that_was_overtaken_is_sent_again_without_a_word(void **state)
{
    enum { STALE_MEMBER_EPOCH = 113 };
    struct mocked *mocked = *state;
    struct kit *kit = &mocked->test.kit;

    rd_kafka_mock_push_request_errors(mocked->cluster, API_OFFSET_COMMIT, 1, STALE_MEMBER_EPOCH);
    kafka_test_start(&mocked->test, NULL);
    kafka_test_wait_committed(&mocked->test, 0, 20);
    assert_int_equal(kit_stats(kit).commits_failed, 0);

    /* Twice the same is told. */
    rd_kafka_mock_push_request_errors(mocked->cluster, API_OFFSET_COMMIT, 2, STALE_MEMBER_EPOCH,
                                      STALE_MEMBER_EPOCH);
    kafka_kit_fill(kafka_kit_producer(), mocked->test.topic, 0, 20, 4);
    kafka_test_wait_committed(&mocked->test, 0, 40);
    assert_int_equal(kit_stats(kit).commits_failed, 1);
    assert_int_equal(kit_event(kit, KLANE_EVENT_COMMIT_FAILED).err, KLANE_ERR_FENCED);
    assert_int_equal(kit_event_count(kit, KLANE_EVENT_LOST), 0);
}

static void a_commit_waits_while_the_coordinator_moves(void **state)
{
    struct mocked *mocked = *state;
    struct kit *kit = &mocked->test.kit;

    rd_kafka_mock_push_request_errors(
        mocked->cluster, API_OFFSET_COMMIT, 4, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
        RD_KAFKA_RESP_ERR_NOT_COORDINATOR, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
        RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    kafka_test_start(&mocked->test, NULL);
    kit_wait_ended(kit, 20);
    kafka_test_wait_committed(&mocked->test, 0, 20);

    assert_int_equal(kit_event_count(kit, KLANE_EVENT_LOST), 0);
    assert_int_equal(kit->note_count, 20);
}

/* "Nothing was committed" and "it could not be read" are not the same. */
static void nothing_starts_before_committed_offsets_could_be_read(void **state)
{
    struct mocked *mocked = *state;
    struct kit *kit = &mocked->test.kit;

    kafka_kit_commit(mocked->test.group, mocked->test.topic, 0, 15);
    rd_kafka_mock_push_request_errors(mocked->cluster, API_OFFSET_FETCH, 2,
                                      RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
                                      RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    kafka_test_start(&mocked->test, NULL);
    kit_wait_error(kit, KLANE_ERR_DENIED);
    kit_wait_ended(kit, 5);
    kafka_test_wait_committed(&mocked->test, 0, 20);

    assert_int_equal(kit->note_count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_true(kit->notes[i].offset >= 15);
}

/* An answer that was on its way when reading began somewhere would be dropped: so not then. */
static void a_topic_that_may_not_be_read_for_now_is_told_and_read_on(void **state)
{
    struct mocked *mocked = *state;
    struct kit *kit = &mocked->test.kit;

    kafka_test_start(&mocked->test, NULL);
    kafka_test_wait_committed(&mocked->test, 0, 20);
    rd_kafka_mock_push_request_errors(mocked->cluster, API_FETCH, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    kit_wait_error(kit, KLANE_ERR_DENIED);
    kafka_kit_fill(kafka_kit_producer(), mocked->test.topic, 0, 20, 4);
    kafka_test_wait_committed(&mocked->test, 0, 40);

    assert_int_equal(kit->note_count, 40);
}

/* librdkafka goes on behind what it cannot read. */
static void what_cannot_be_read_stops_the_runtime_before_it_is_passed(void **state)
{
    struct mocked *mocked = *state;
    struct kit *kit = &mocked->test.kit;
    char named[KAFKA_NAME_SIZE + 32];

    kafka_test_start(&mocked->test, NULL);
    kafka_test_wait_committed(&mocked->test, 0, 20);
    rd_kafka_mock_push_request_errors(mocked->cluster, API_FETCH, 1,
                                      RD_KAFKA_RESP_ERR_INVALID_MSG);
    assert_int_equal(klane_wait(kit->runtime, 20000), KLANE_ERR_FATAL);

    snprintf(named, sizeof named, "%s [0]: record 20 or some behind it cannot be read",
             mocked->test.topic);
    assert_non_null(strstr(kit->message, named));
    assert_int_equal(kit_event(kit, KLANE_EVENT_FATAL).err, KLANE_ERR_CORRUPT);
    assert_int_equal(kafka_kit_committed(mocked->test.group, mocked->test.topic, 0), 20);
}

/* ---- a codec that librdkafka lacks ------------------------------------------------------- */

/* Of Kafka's protocol. */
enum {
    PRODUCE = 0,
    PRODUCE_VERSION = 7,
    BATCH_BYTES = 61 + 8, /* its header, and what is to be one record */
    BATCH_CRC_AT = 17,
    BATCH_CRC_FROM = 21,
    NO_CODEC = 5
};

/* Bytes of a request, as they are written. */
struct raw {
    unsigned char bytes[512];
    size_t size;
};

static void put(struct raw *raw, uint64_t number, size_t size)
{
    while (size-- > 0)
        raw->bytes[raw->size++] = (unsigned char)(number >> 8 * size);
}

static void put_text(struct raw *raw, const char *text)
{
    put(raw, strlen(text), 2);
    memcpy(raw->bytes + raw->size, text, strlen(text));
    raw->size += strlen(text);
}

/* CRC-32C. */
static uint32_t crc_of(const unsigned char *bytes, size_t size)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (UINT32_C(0x82f63b78) & -(crc & 1));
    }
    return ~crc;
}

static void put_batch(struct raw *raw, uint16_t attributes)
{
    struct raw batch = {.size = 0};
    struct raw crc = {.size = 0};

    put(&batch, 0, 8);                /* the first offset, which the broker gives */
    put(&batch, BATCH_BYTES - 12, 4); /* the length of what follows */
    put(&batch, 0, 4);                /* the leader's epoch */
    put(&batch, 2, 1);                /* the format */
    put(&batch, 0, 4);                /* the checksum of what follows */
    put(&batch, attributes, 2);
    put(&batch, 0, 4);          /* the last offset, from the first */
    put(&batch, 0, 8);          /* the first time, */
    put(&batch, 0, 8);          /* and the last */
    put(&batch, UINT64_MAX, 8); /* a producer without a number, */
    put(&batch, UINT64_MAX, 2); /* an epoch, */
    put(&batch, UINT64_MAX, 4); /* or a sequence */
    put(&batch, 1, 4);          /* records */
    put(&batch, 0xc0dec0de, 8); /* whatever they are */
    put(&crc, crc_of(batch.bytes + BATCH_CRC_FROM, BATCH_BYTES - BATCH_CRC_FROM), 4);
    memcpy(batch.bytes + BATCH_CRC_AT, crc.bytes, crc.size);
    memcpy(raw->bytes + raw->size, batch.bytes, batch.size);
    raw->size += batch.size;
}

static int connect_to_broker(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_port = htons(kafka_kit_port());
    assert_int_equal(connect(descriptor, (struct sockaddr *)(void *)&address, sizeof address), 0);
    return descriptor;
}

/* Append a batch as it is, which a real broker would look into. */
static void append_batch(const char *topic, uint16_t attributes)
{
    struct raw request = {.size = 4}, size = {.size = 0};
    unsigned char answer[256];
    int broker = connect_to_broker();

    put(&request, PRODUCE, 2);
    put(&request, PRODUCE_VERSION, 2);
    put(&request, 1, 4); /* the number of the request */
    put_text(&request, "test");
    put(&request, UINT64_MAX, 2); /* no transaction */
    put(&request, 1, 2);          /* acknowledgements */
    put(&request, KAFKA_KIT_MS, 4);
    put(&request, 1, 4); /* topics */
    put_text(&request, topic);
    put(&request, 1, 4); /* partitions */
    put(&request, 0, 4);
    put(&request, BATCH_BYTES, 4);
    put_batch(&request, attributes);
    put(&size, request.size - 4, 4);
    memcpy(request.bytes, size.bytes, size.size);
    assert_int_equal(write(broker, request.bytes, request.size), request.size);
    assert_true(read(broker, answer, sizeof answer) > 4);
    close(broker);
}

static void a_codec_that_librdkafka_lacks_is_told_and_never_passed(void **state)
{
    struct mocked *mocked = *state;
    struct kit *kit = &mocked->test.kit;
    char named[KAFKA_NAME_SIZE + 64];

    kafka_test_start(&mocked->test, NULL);
    kafka_test_wait_committed(&mocked->test, 0, 20);
    append_batch(mocked->test.topic, NO_CODEC);
    kafka_kit_fill(kafka_kit_producer(), mocked->test.topic, 0, 20, 4);
    assert_int_equal(kafka_kit_end(mocked->test.topic, 0), 41);
    assert_int_equal(klane_wait(kit->runtime, 20000), KLANE_ERR_FATAL);

    snprintf(named, sizeof named, "%s [0]: record 20 or some behind it cannot be read",
             mocked->test.topic);
    check_says(kit->message, named);
    check_says(kit->message, "codec 0x5");
    check_says(kit->message, "Not implemented");
    assert_int_equal(kit_event(kit, KLANE_EVENT_FATAL).err, KLANE_ERR_CORRUPT);
    assert_int_equal(kit->note_count, 20);
    assert_int_equal(kafka_kit_committed(mocked->test.group, mocked->test.topic, 0), 20);
}

static void codecs_have_names(void **state)
{
    static const char *const names[] = {"gzip", "snappy", "lz4", "zstd"};
    struct kafka_reason reason = {.rk = NULL};

    (void)state;
    for (int i = 0; i < 4; i++) {
        char said[128], text[256], meant[64];

        snprintf(said, sizeof said,
                 "Decompression (codec 0x%d) of message at 20 of 8 bytes failed: "
                 "Local: Not implemented",
                 i + 1);
        kafka_reason_text(&reason, rd_kafka_version(), said, text, sizeof text);
        snprintf(meant, sizeof meant, "librdkafka was built without %s: ", names[i]);
        check_says(text, meant);
        check_says(text, said);
    }
}

/* ---- the group --------------------------------------------------------------------------- */

/* A member has its coordinator. librdkafka's administrative calls look for it anew, and end the
 * process when the answer comes after the call's limit. */
static void a_member_needs_no_coordinator_but_its_own(void **state)
{
    struct mocked *mocked = *state;
    struct kit *kit = &mocked->test.kit;

    mocked_rebalance_delay(mocked, MOCKED_DELAY_MS);
    kafka_test_start(&mocked->test, NULL);
    usleep(1000 * 1000);
    assert_int_equal(kit_event_count(kit, KLANE_EVENT_ASSIGNED), 0);
    rd_kafka_mock_broker_push_request_error_rtts(mocked->cluster, BROKER, API_FIND_COORDINATOR, 1,
                                                 RD_KAFKA_RESP_ERR_NO_ERROR, LATE_MS);
    kit_wait_ended(kit, 20);

    assert_int_equal(kit_event_count(kit, KLANE_EVENT_SOURCE_ERROR), 0);
}

static void a_member_that_is_thrown_out_loses_its_partitions_and_comes_back(void **state)
{
    struct mocked *mocked = *state;
    struct kit *kit = &mocked->test.kit;

    kafka_test_start(&mocked->test, NULL);
    kafka_test_wait_committed(&mocked->test, 0, 20);

    rd_kafka_mock_push_request_errors(mocked->cluster, API_OFFSET_COMMIT, 1,
                                      RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION);
    kafka_kit_fill(kafka_kit_producer(), mocked->test.topic, 0, 20, 4);
    kit_wait_event(kit, KLANE_EVENT_LOST, 1);
    kit_wait_event(kit, KLANE_EVENT_ASSIGNED, 2);
    kafka_test_wait_committed(&mocked->test, 0, 40);

    kit_assert_order(kit);
}

/* It has the records of one key unfinished. */
static void start_and_leave_a_key(struct mocked *mocked)
{
    mocked->test.kit.gate = "k0";
    kafka_test_start(&mocked->test, NULL);
    kit_wait_ended(&mocked->test.kit, 15);
}

static void throw_out(struct mocked *mocked)
{
    rd_kafka_mock_push_request_errors(mocked->cluster, API_HEARTBEAT, 1,
                                      RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION);
}

/* What is unfinished and what waits in librdkafka's queue comes again. */
static void what_it_had_unfinished_runs_again(void **state)
{
    struct mocked *mocked = *state;
    struct kit *kit = &mocked->test.kit;

    start_and_leave_a_key(mocked);
    throw_out(mocked);
    kafka_kit_fill(kafka_kit_producer(), mocked->test.topic, 0, 20, 4);
    kit_wait_event(kit, KLANE_EVENT_LOST, 1);
    kit_open(kit);
    kit_wait_event(kit, KLANE_EVENT_ASSIGNED, 2);
    kafka_test_wait_committed(&mocked->test, 0, 40);

    assert_true(kit_key_starts(kit, "k0") >= 10);
    kit_assert_order(kit);
}

/* librdkafka does not say so where it has asked the member to give up before: the drain goes on.
 * Its last commit, which this cluster accepts, would be refused. */
static void a_member_that_is_thrown_out_while_it_drains_comes_back(void **state)
{
    struct mocked *mocked = *state;
    struct kit *kit = &mocked->test.kit;

    kit->options.drain_ms = 1500;
    start_and_leave_a_key(mocked);
    kafka_test_wait_committed(&mocked->test, 0, 0);
    rd_kafka_mock_push_request_errors(mocked->cluster, API_HEARTBEAT, 4,
                                      RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
                                      RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_RESP_ERR_NO_ERROR,
                                      RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION);
    kit_wait_event(kit, KLANE_EVENT_ASSIGNED, 2);
    assert_int_equal(kit_event(kit, KLANE_EVENT_ASSIGNED).offset, 0);
    kit_open(kit);
    kafka_test_wait_committed(&mocked->test, 0, 20);

    assert_int_equal(kit_event_count(kit, KLANE_EVENT_REVOKED), 1);
    kit_assert_order(kit);
}

/* librdkafka was known to wait for ever, as it closes, for what is lost. */
static void a_member_that_is_thrown_out_may_stop_at_once(void **state)
{
    struct mocked *mocked = *state;
    struct kit *kit = &mocked->test.kit;

    start_and_leave_a_key(mocked);
    throw_out(mocked);
    kit_wait_event(kit, KLANE_EVENT_LOST, 1);
    klane_stop(kit->runtime);
    kit_open(kit);

    kit_wait_idle(kit);
}

/* ---- no broker --------------------------------------------------------------------------- */

/* A broker that shuts down may say, at last, that there is none. Whether librdkafka then loses all
 * of them is a race, which it loses more often than not. False: this cluster cannot say so. */
static bool hear_of_no_broker(struct mocked *mocked, const char *topic)
{
    if (rd_kafka_mock_broker_remove_from_metadata == NULL)
        return false;
    rd_kafka_mock_broker_remove_from_metadata(mocked->cluster, BROKER);
    usleep(4000 * 1000); /* metadata are asked for more often */
    rd_kafka_mock_broker_add(mocked->cluster, OTHER_BROKER);
    rd_kafka_mock_coordinator_set(mocked->cluster, "group", mocked->test.group, OTHER_BROKER);
    rd_kafka_mock_partition_set_leader(mocked->cluster, topic, 0, OTHER_BROKER);
    return true;
}

/* The partition has no leader: this cluster does not bear it that one is read of which it has none
 * any more. */
static void a_member_that_hears_of_no_broker_begins_with_the_first_again(void **state)
{
    struct mocked *mocked = *state;
    struct kit *kit = &mocked->test.kit;

    rd_kafka_mock_partition_set_leader(mocked->cluster, mocked->test.topic, 0, -1);
    kafka_test_start(&mocked->test, NULL);
    kit_wait_error(kit, KLANE_ERR_UNREACHABLE);
    if (!hear_of_no_broker(mocked, mocked->test.topic))
        skip();
    kit_wait_done(kit, 20);
}

/* ---- the end ----------------------------------------------------------------------------- */

/* It stops when it has joined, and what it is assigned is on its way. librdkafka was known to end
 * the process then, or to hang. */
static void a_member_may_stop_before_its_first_assignment(void **state)
{
    struct mocked *mocked = *state;
    struct kit *kit = &mocked->test.kit;

    rd_kafka_mock_broker_push_request_error_rtts(mocked->cluster, BROKER, API_SYNC_GROUP, 1,
                                                 RD_KAFKA_RESP_ERR_NO_ERROR, 1500);
    kafka_test_start(&mocked->test, NULL);
    wait_until_it_syncs();
    klane_stop(kit->runtime);

    assert_int_equal(klane_wait(kit->runtime, 12000), KLANE_OK);
    assert_int_equal(kit_event_count(kit, KLANE_EVENT_ASSIGNED), 0);
}

static void a_member_may_stop_while_its_coordinator_is_away(void **state)
{
    struct mocked *mocked = *state;
    struct kit *kit = &mocked->test.kit;

    kafka_test_start(&mocked->test, NULL);
    kafka_test_wait_committed(&mocked->test, 0, 20);
    rd_kafka_mock_broker_set_down(mocked->cluster, BROKER);
    kit_wait_error(kit, KLANE_ERR_UNREACHABLE);
    klane_stop(kit->runtime);

    assert_int_equal(klane_wait(kit->runtime, 12000), KLANE_OK);
}

/* ---- dead letters ------------------------------------------------------------------------ */

static enum klane_outcome shop_is_away(struct kit *kit, const struct klane_record *record)
{
    (void)kit;
    return klane_retry(record, 0, "shop is away");
}

/* The first of several on their way finds no leader, the second one: a leader that knows nothing
 * of the producer begins anywhere. librdkafka then takes the first for kept. */
static void a_dead_letter_is_kept_when_the_broker_says_where(void **state)
{
    struct mocked *mocked = *state;
    rd_kafka_conf_t *conf = kafka_kit_conf();
    char dead[KAFKA_NAME_SIZE];
    struct klane_letters *letters;

    kafka_kit_set(conf, "enable.idempotence", "true");
    kafka_kit_set(conf, "linger.ms", "0");
    kafka_kit_set(conf, "batch.num.messages", "1");
    kafka_kit_name(dead, "dead");
    rd_kafka_mock_topic_create(mocked->cluster, dead, 1, 1);
    rd_kafka_mock_broker_set_rtt(mocked->cluster, BROKER, 200);
    rd_kafka_mock_push_request_errors(mocked->cluster, API_PRODUCE, 1,
                                      RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
    mocked->test.kit.expected = "no broker said where";
    mocked->test.kit.act = shop_is_away;
    letters = kafka_test_start_with_letters(&mocked->test, conf, dead, 1);
    kit_wait_event(&mocked->test.kit, KLANE_EVENT_DEAD_LETTER, 20);
    kafka_test_wait_committed(&mocked->test, 0, 20);

    rd_kafka_mock_broker_set_rtt(mocked->cluster, BROKER, 0);
    assert_int_equal(kafka_kit_count(dead, 0), 20);
    assert_true(mocked->test.kit.has_expected);
    kafka_test_end_with_letters(&mocked->test, letters);
}

static int setup_memory(void **state)
{
    struct mocked *mocked = mocked_new(1, 1);

    kit_init(&mocked->test.kit, 1);
    *state = mocked;
    return 0;
}

/* Only who has produced asks about a topic. */
static void nor_do_dead_letters_stay_where_they_are_when_there_is_no_broker(void **state)
{
    struct mocked *mocked = *state;
    rd_kafka_conf_t *conf = kafka_kit_conf();
    char dead[KAFKA_NAME_SIZE];
    struct klane_letters *letters;

    kafka_kit_set(conf, "message.timeout.ms", "1500");
    kafka_kit_name(dead, "dead");
    rd_kafka_mock_topic_create(mocked->cluster, dead, 1, 1);
    mocked->test.kit.act = shop_is_away;
    letters = kafka_test_start_with_letters(&mocked->test, conf, dead, 1);
    kit_append(&mocked->test.kit, 0, "before");
    kit_wait_event(&mocked->test.kit, KLANE_EVENT_DEAD_LETTER, 1);
    if (hear_of_no_broker(mocked, dead)) {
        kit_append(&mocked->test.kit, 0, "behind");
        kit_wait_event(&mocked->test.kit, KLANE_EVENT_DEAD_LETTER, 2);
    }
    kafka_test_end_with_letters(&mocked->test, letters);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            refused_commits_are_sent_again_though_nothing_else_happens, setup, mocked_teardown),
        cmocka_unit_test_setup_teardown(a_commit_that_was_overtaken_is_sent_again_without_a_word,
                                        setup, mocked_teardown),
        cmocka_unit_test_setup_teardown(a_commit_waits_while_the_coordinator_moves, setup,
                                        mocked_teardown),
        cmocka_unit_test_setup_teardown(nothing_starts_before_committed_offsets_could_be_read,
                                        setup, mocked_teardown),
        cmocka_unit_test_setup_teardown(a_topic_that_may_not_be_read_for_now_is_told_and_read_on,
                                        setup, mocked_teardown),
        cmocka_unit_test_setup_teardown(
            a_leader_that_lags_behind_is_not_taken_for_a_log_that_was_cut, setup,
            mocked_teardown),
        cmocka_unit_test_setup_teardown(nor_does_it_refute_a_progress_map, setup,
                                        mocked_teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_stops_the_runtime_before_it_is_passed,
                                        setup, mocked_teardown),
        cmocka_unit_test_setup_teardown(a_codec_that_librdkafka_lacks_is_told_and_never_passed,
                                        setup, mocked_teardown),
        cmocka_unit_test(codecs_have_names),
        cmocka_unit_test_setup_teardown(a_member_needs_no_coordinator_but_its_own, setup,
                                        mocked_teardown),
        cmocka_unit_test_setup_teardown(
            a_member_that_is_thrown_out_loses_its_partitions_and_comes_back, setup,
            mocked_teardown),
        cmocka_unit_test_setup_teardown(what_it_had_unfinished_runs_again, setup,
                                        mocked_teardown),
        cmocka_unit_test_setup_teardown(a_member_that_is_thrown_out_while_it_drains_comes_back,
                                        setup, mocked_teardown),
        cmocka_unit_test_setup_teardown(a_member_that_is_thrown_out_may_stop_at_once, setup,
                                        mocked_teardown),
        cmocka_unit_test_setup_teardown(
            a_member_that_hears_of_no_broker_begins_with_the_first_again, setup, mocked_teardown),
        cmocka_unit_test_setup_teardown(a_member_may_stop_before_its_first_assignment, setup_end,
                                        mocked_teardown),
        cmocka_unit_test_setup_teardown(a_member_may_stop_while_its_coordinator_is_away,
                                        setup_end, mocked_teardown),
        cmocka_unit_test_setup_teardown(a_dead_letter_is_kept_when_the_broker_says_where, setup,
                                        mocked_teardown),
        cmocka_unit_test_setup_teardown(
            nor_do_dead_letters_stay_where_they_are_when_there_is_no_broker, setup_memory,
            mocked_teardown),
    };

    return check_run(tests);
}
