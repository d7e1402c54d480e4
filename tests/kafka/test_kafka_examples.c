/* SPDX-License-Identifier: Apache-2.0 */
/* The examples on Kafka as a user runs them: as programs, stopped by signals. */
#include "kafka/kafka_kit.h"

#include "lib/scratch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KEYS 7
#define PARTITIONS 2
#define OUTPUT_SIZE 65536

struct test {
    struct scratch scratch;
    char from[KAFKA_NAME_SIZE];
    char to[KAFKA_NAME_SIZE];
    char group[KAFKA_NAME_SIZE];
    char output[SCRATCH_PATH_SIZE]; /* what the program prints */
    pid_t pid;                      /* 0: none runs */
    bool has_from;
    bool has_to;
};

static int setup(void **state)
{
    struct test *test = calloc(1, sizeof *test);

    assert_non_null(test);
    scratch_init(&test->scratch);
    scratch_path(&test->scratch, "output", test->output);
    kafka_kit_name(test->from, "from");
    kafka_kit_name(test->to, "to");
    kafka_kit_name(test->group, "group");
    *state = test;
    return 0;
}

static int teardown(void **state)
{
    struct test *test = *state;

    if (test->pid != 0) {
        kill(test->pid, SIGKILL);
        waitpid(test->pid, NULL, 0);
    }
    if (test->has_from)
        kafka_kit_topic_delete(test->from);
    if (test->has_to)
        kafka_kit_topic_delete(test->to);
    scratch_deinit(&test->scratch);
    free(test);
    return 0;
}

static void make_from(struct test *test, int partitions)
{
    kafka_kit_topic(test->from, partitions, NULL);
    test->has_from = true;
}

/* A broker may know a partition a moment before it leads it; who can be read, can be asked. */
static void make_to(struct test *test)
{
    kafka_kit_topic(test->to, PARTITIONS, NULL);
    test->has_to = true;
    for (int p = 0; p < PARTITIONS; p++)
        assert_int_equal(kafka_kit_count(test->to, p), 0);
}

/* ---- programs ---------------------------------------------------------------------------- */

/* to NULL: the program has no such argument. */
static void start(struct test *test, const char *program, const char *to)
{
    const char *bootstrap = kafka_kit_bootstrap();
    pid_t parent = getpid();
    int output = open(test->output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    assert_true(output >= 0);
    test->pid = fork();
    assert_true(test->pid >= 0);
    if (test->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent || dup2(output, STDOUT_FILENO) < 0)
            _exit(126);
        execl(program, program, bootstrap, test->group, test->from, to, (char *)NULL);
        _exit(127);
    }
    close(output);
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Ask it to end. Returns its exit status, -1 if a signal ended it. */
static int end(struct test *test, int signal)
{
    int status;

    assert_int_equal(kill(test->pid, signal), 0);
    assert_int_equal(waitpid(test->pid, &status, 0), test->pid);
    test->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Wait until ready() says so; fails if the program ends before. */
static void wait_until(struct test *test, bool (*ready)(struct test *test, int64_t wanted),
                       int64_t wanted)
{
    int64_t deadline_ms = now_ms() + KAFKA_KIT_MS;

    while (!ready(test, wanted)) {
        assert_int_equal(waitpid(test->pid, NULL, WNOHANG), 0);
        assert_true(now_ms() < deadline_ms);
        usleep(10000);
    }
}

static const char *printed(struct test *test)
{
    static char text[OUTPUT_SIZE];
    FILE *file = fopen(test->output, "r");
    size_t size;

    assert_non_null(file);
    size = fread(text, 1, sizeof text - 1, file);
    text[size] = '\0';
    fclose(file);
    return text;
}

static bool has_printed(struct test *test, int64_t lines)
{
    for (const char *at = strchr(printed(test), '\n'); at != NULL; at = strchr(at + 1, '\n'))
        lines--;
    return lines <= 0;
}

static bool has_produced(struct test *test, int64_t records)
{
    for (int p = 0; p < PARTITIONS; p++)
        records -= kafka_kit_end(test->to, p);
    return records <= 0;
}

/* The begin of each partition, which is committed when it comes. */
static bool has_begun(struct test *test, int64_t unused)
{
    (void)unused;
    for (int p = 0; p < PARTITIONS; p++)
        if (kafka_kit_committed(test->group, test->from, p) != 0)
            return false;
    return true;
}

static bool has_committed_all(struct test *test, int64_t unused)
{
    (void)unused;
    for (int p = 0; p < PARTITIONS; p++)
        if (kafka_kit_committed(test->group, test->from, p) != kafka_kit_end(test->from, p))
            return false;
    return true;
}

/* ---- the output -------------------------------------------------------------------------- */

/* Records of each key in the input, "value 0", "value 1" and so on. */
static void fill(struct test *test, int each)
{
    for (int i = 0; i < each * KEYS; i++) {
        char key[24], value[24];
        struct kafka_kit_record record = {
            .topic = test->from,
            .partition = i % KEYS % PARTITIONS,
            .key = key,
            .key_size = (size_t)snprintf(key, sizeof key, "key %d", i % KEYS),
            .value = value,
            .value_size = (size_t)snprintf(value, sizeof value, "value %d", i / KEYS),
        };

        assert_true(kafka_kit_append(&record) >= 0);
    }
}

/* Check one record of the output; next[key]: the number that is awaited. Numbers may come again,
 * if that is allowed, but none may be left out. Returns whether it was new. */
static bool check_output(const rd_kafka_message_t *message, int next[KEYS], bool may_repeat)
{
    char key[32], value[32];
    int number, of;
    bool is_new;

    snprintf(key, sizeof key, "%.*s", (int)message->key_len, (const char *)message->key);
    snprintf(value, sizeof value, "%.*s", (int)message->len, (const char *)message->payload);
    assert_int_equal(sscanf(key, "key %d", &of), 1);
    assert_in_range(of, 0, KEYS - 1);
    assert_int_equal(sscanf(value, "VALUE %d", &number), 1);
    is_new = number == next[of];
    assert_true(is_new || (may_repeat && number < next[of]));
    next[of] += is_new;
    return is_new;
}

/* Read until all is there, and then to the end. Returns how many came again. */
static int read_output(struct test *test, int each, bool may_repeat)
{
    rd_kafka_conf_t *conf = kafka_kit_conf();
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTITIONS);
    int next[KEYS] = {0}, ends = 0, repeats = 0;
    rd_kafka_t *reader;
    char why[256];

    kafka_kit_set(conf, "group.id", "reader");
    kafka_kit_set(conf, "enable.partition.eof", "true");
    kafka_kit_set(conf, "enable.auto.commit", "false");
    reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    assert_non_null(reader);
    for (int p = 0; p < PARTITIONS; p++)
        rd_kafka_topic_partition_list_add(list, test->to, p)->offset = RD_KAFKA_OFFSET_BEGINNING;
    assert_int_equal(rd_kafka_assign(reader, list), 0);
    while (ends < PARTITIONS) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, KAFKA_KIT_MS);

        assert_non_null(message);
        ends += message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            repeats += !check_output(message, next, may_repeat);
        rd_kafka_message_destroy(message);
    }
    for (int k = 0; k < KEYS; k++)
        assert_int_equal(next[k], each);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(reader);
    return repeats;
}

/* ---- minimal ----------------------------------------------------------------------------- */

static void minimal_prints_in_order_and_goes_on_where_it_was_stopped(void **state)
{
    struct test *test = *state;
    char expected[OUTPUT_SIZE] = "";

    make_from(test, 1);
    kafka_kit_fill(kafka_kit_producer(), test->from, 0, 200, 1);
    start(test, KLANE_EXAMPLE_MINIMAL, NULL);
    wait_until(test, has_printed, 200);
    assert_int_equal(end(test, SIGTERM), 0);
    assert_int_equal(kafka_kit_committed(test->group, test->from, 0), 200);

    kafka_kit_fill(kafka_kit_producer(), test->from, 0, 1, 1);
    start(test, KLANE_EXAMPLE_MINIMAL, NULL);
    wait_until(test, has_printed, 201);
    assert_int_equal(end(test, SIGINT), 0);

    for (int i = 0; i < 200; i++)
        sprintf(expected + strlen(expected), "%d\n", i);
    strcat(expected, "0\n");
    assert_string_equal(printed(test), expected);
}

/* ---- progress ---------------------------------------------------------------------------- */

static void print_progress(const struct test *test, char output[OUTPUT_SIZE])
{
    char command[1024];

    snprintf(command, sizeof command, "%s --kafka %s %s %s k0 2>&1", KLANE_EXAMPLE_PROGRESS,
             kafka_kit_bootstrap(), test->group, test->from);
    check_command(command, output, OUTPUT_SIZE);
}

static void progress_tells_what_a_group_has_committed(void **state)
{
    struct test *test = *state;
    static char output[OUTPUT_SIZE];

    make_from(test, 2);
    kafka_kit_fill(kafka_kit_producer(), test->from, 0, 20, 1);
    print_progress(test, output);
    assert_string_equal(output, "partition 0: nothing is committed\n"
                                "partition 1: nothing is committed\n");
    start(test, KLANE_EXAMPLE_MINIMAL, NULL);
    wait_until(test, has_printed, 20);
    assert_int_equal(end(test, SIGTERM), 0);
    kafka_kit_commit(test->group, test->from, 1, 0);
    print_progress(test, output);
    assert_non_null(strstr(output, "partition 0: base 20, ceiling 20\n"));
    assert_non_null(
        strstr(output, "reads on at 20, 0 below the log's end, and runs again the 0"));
    assert_non_null(strstr(output, "key \"k0\" is not blocked below the ceiling\n"));
    assert_non_null(strstr(output, "partition 1: base 0, without a progress map"));
}

/* ---- letters ----------------------------------------------------------------------------- */

/* A dead letter as klane writes it, in the topic that is test->to. */
static void append_letter(const struct test *test, int32_t partition, const char *key,
                          const char *value, const char *offset)
{
    const struct klane_header_in headers[] = {
        {"trace", "77", 2},
        {"empty", NULL, 0},
        {"__connect.errors.topic", test->from, strlen(test->from)},
        {"__connect.errors.partition", "1", 1},
        {"__connect.errors.offset", offset, strlen(offset)},
        {"__connect.errors.exception.message", "shop is away", 12},
        {"__connect.errors.attempts", "3", 1},
    };
    const struct kafka_kit_record record = {
        .topic = test->to,
        .partition = partition,
        .key = key,
        .key_size = key == NULL ? 0 : strlen(key),
        .value = value,
        .value_size = value == NULL ? 0 : strlen(value),
        .headers = headers,
        .header_count = sizeof headers / sizeof headers[0],
    };

    assert_int_equal(kafka_kit_append(&record), 0);
}

/* What the program prints when it is asked so; it has to end well, or must not. */
static const char *letters(const struct test *test, const char *arguments, bool ends_well)
{
    static char output[OUTPUT_SIZE];
    char command[1024];

    snprintf(command, sizeof command, "%s%s %s %s %s log_level=2 2>&1", ends_well ? "" : "! ",
             KLANE_EXAMPLE_LETTERS, kafka_kit_bootstrap(), test->to, arguments);
    check_command(command, output, sizeof output);
    return output;
}

/* The record at this offset came back with all that it had and with nothing else. */
static void assert_sent_back(rd_kafka_t *reader, int64_t offset, const char *key,
                             const char *value)
{
    rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, KAFKA_KIT_MS);
    rd_kafka_headers_t *headers;
    const void *bytes;
    size_t size;

    assert_non_null(message);
    assert_int_equal(message->err, 0);
    assert_int_equal(message->offset, offset);
    assert_int_equal(message->key == NULL, key == NULL);
    assert_int_equal(message->payload == NULL, value == NULL);
    assert_int_equal(message->key_len, key == NULL ? 0 : strlen(key));
    assert_int_equal(message->len, value == NULL ? 0 : strlen(value));
    assert_memory_equal(message->key == NULL ? "" : message->key, key == NULL ? "" : key,
                        message->key_len);
    assert_memory_equal(message->payload == NULL ? "" : message->payload,
                        value == NULL ? "" : value, message->len);
    assert_int_equal(rd_kafka_message_headers(message, &headers), 0);
    assert_int_equal(rd_kafka_header_cnt(headers), 2);
    assert_int_equal(rd_kafka_header_get_last(headers, "trace", &bytes, &size), 0);
    assert_int_equal(size, 2);
    assert_memory_equal(bytes, "77", 2);
    assert_int_equal(rd_kafka_header_get_last(headers, "empty", &bytes, &size), 0);
    assert_null(bytes);
    rd_kafka_message_destroy(message);
}

static rd_kafka_t *reader_of_from(const struct test *test)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_t *reader =
        rd_kafka_new(RD_KAFKA_CONSUMER, kafka_kit_consumer_conf("reader"), NULL, 0);

    assert_non_null(reader);
    rd_kafka_topic_partition_list_add(list, test->from, 1)->offset = RD_KAFKA_OFFSET_BEGINNING;
    assert_int_equal(rd_kafka_assign(reader, list), 0);
    rd_kafka_topic_partition_list_destroy(list);
    return reader;
}

static void letters_are_listed_shown_and_sent_back(void **state)
{
    struct test *test = *state;
    char expected[OUTPUT_SIZE];
    rd_kafka_t *reader;

    make_from(test, PARTITIONS);
    make_to(test);
    append_letter(test, 0, "anna", "bad book", "5");
    append_letter(test, 1, NULL, "", "6");
#define EXPECT(arguments, ...)                                                                   \
    snprintf(expected, sizeof expected, __VA_ARGS__);                                            \
    assert_string_equal(letters(test, arguments, true), expected)
    EXPECT("list",
           "0:0: %s [1] offset 5, key anna: 3 attempts, shop is away\n"
           "1:0: %s [1] offset 6, key : 3 attempts, shop is away\n",
           test->from, test->from);
    EXPECT("show 0:0",
           "0:0: %s [1] offset 5, key anna: 3 attempts, shop is away\n"
           "    trace: 77\n    empty: \n    __connect.errors.topic: %s\n"
           "    __connect.errors.partition: 1\n    __connect.errors.offset: 5\n"
           "    __connect.errors.exception.message: shop is away\n"
           "    __connect.errors.attempts: 3\n    bad book\n",
           test->from, test->from);
    EXPECT("send 0:0", "sent back to %s [1]: 0:0, key anna\n", test->from);
    EXPECT("send all", "sent back to %s [1]: 0:0, key anna\nsent back to %s [1]: 1:0, key \n",
           test->from, test->from);
    EXPECT("send all", "%s", "");
#undef EXPECT
    reader = reader_of_from(test);
    assert_sent_back(reader, 0, "anna", "bad book");
    assert_sent_back(reader, 1, "anna", "bad book");
    assert_sent_back(reader, 2, NULL, "");
    rd_kafka_destroy(reader);
    assert_int_equal(kafka_kit_count(test->from, 0), 0);
    assert_int_equal(kafka_kit_count(test->from, 1), 3);
}

static void letters_that_cannot_be_found_or_sent_are_said_to_be_so(void **state)
{
    struct test *test = *state;

    make_to(test);
    append_letter(test, 0, "anna", "bad book", "5");
    check_says(letters(test, "show 0:1", false), "there is no letter 0:1");
    check_says(letters(test, "show 0:99", false), "there is no letter 0:99");
    check_says(letters(test, "show 7:0", false), "there is no letter 7:0");
    check_says(letters(test, "show 0", false), "usage");
    check_says(letters(test, "send 0:0x", false), "usage");
    check_says(letters(test, "list fetch.wait.max.ms=many", false), "fetch.wait.max.ms");
    /* The topic that it came from is not there, and the broker makes none. */
    check_says(letters(test, "send all message.timeout.ms=500", false), test->from);
    assert_int_equal(kafka_kit_committed("klane-letters", test->to, 0), -1);
}

/* ---- transform --------------------------------------------------------------------------- */

static void transform_produces_each_record_once_in_its_keys_order(void **state)
{
    struct test *test = *state;

    make_from(test, PARTITIONS);
    make_to(test);
    fill(test, 100);
    start(test, KLANE_EXAMPLE_TRANSFORM, test->to);
    wait_until(test, has_produced, 100 * KEYS);
    assert_int_equal(end(test, SIGTERM), 0);

    assert_int_equal(read_output(test, 100, false), 0);
    assert_int_equal(kafka_kit_committed(test->group, test->from, 0), 100 * 4);
    assert_int_equal(kafka_kit_committed(test->group, test->from, 1), 100 * 3);
}

/* Whenever it ends, and however, the next one goes on; nothing is left out. */
static void transform_loses_nothing_when_it_is_stopped_and_killed_on_the_way(void **state)
{
    static const int SIGNALS[] = {SIGTERM, SIGKILL, SIGTERM};
    const int each = 3000 / KEYS;
    struct test *test = *state;
    int64_t produced = 0;

    make_from(test, PARTITIONS);
    make_to(test);
    fill(test, each);
    for (size_t i = 0; i < sizeof SIGNALS / sizeof SIGNALS[0]; i++) {
        start(test, KLANE_EXAMPLE_TRANSFORM, test->to);
        wait_until(test, has_produced, produced + 300);
        assert_int_equal(end(test, SIGNALS[i]), SIGNALS[i] == SIGTERM ? 0 : -1);
        produced = kafka_kit_end(test->to, 0) + kafka_kit_end(test->to, 1);
    }
    start(test, KLANE_EXAMPLE_TRANSFORM, test->to);
    wait_until(test, has_committed_all, 0);
    assert_int_equal(end(test, SIGTERM), 0);

    read_output(test, each, true);
}

/* Deliveries fail, records are retried, and a stop is as clean as ever: no token is left out. */
static void transform_stops_in_time_while_the_output_is_away(void **state)
{
    struct test *test = *state;
    int64_t began_ms;

    make_from(test, PARTITIONS);
    fill(test, 10);
    start(test, KLANE_EXAMPLE_TRANSFORM, test->to);
    wait_until(test, has_begun, 0);
    began_ms = now_ms();
    assert_int_equal(end(test, SIGTERM), 0);
    assert_true(now_ms() - began_ms < 10000);
    assert_true(has_begun(test, 0));

    make_to(test);
    start(test, KLANE_EXAMPLE_TRANSFORM, test->to);
    wait_until(test, has_produced, 10 * KEYS);
    assert_int_equal(end(test, SIGTERM), 0);
    assert_int_equal(read_output(test, 10, false), 0);
}

static int status_of(struct test *test, const char *program, const char *to)
{
    int status;

    start(test, program, to);
    assert_int_equal(waitpid(test->pid, &status, 0), test->pid);
    test->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void wrong_arguments_are_refused(void **state)
{
    assert_int_equal(status_of(*state, KLANE_EXAMPLE_MINIMAL, "one too many"), 1);
    assert_int_equal(status_of(*state, KLANE_EXAMPLE_TRANSFORM, NULL), 2);
}

#define EXAMPLE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest kafka_examples[] = {
        EXAMPLE_TEST(minimal_prints_in_order_and_goes_on_where_it_was_stopped),
        EXAMPLE_TEST(progress_tells_what_a_group_has_committed),
        EXAMPLE_TEST(letters_are_listed_shown_and_sent_back),
        EXAMPLE_TEST(letters_that_cannot_be_found_or_sent_are_said_to_be_so),
        EXAMPLE_TEST(transform_produces_each_record_once_in_its_keys_order),
        EXAMPLE_TEST(transform_loses_nothing_when_it_is_stopped_and_killed_on_the_way),
        EXAMPLE_TEST(transform_stops_in_time_while_the_output_is_away),
        EXAMPLE_TEST(wrong_arguments_are_refused),
    };
    int failed = check_run(kafka_examples);

    kafka_kit_deinit();
    return failed;
}
