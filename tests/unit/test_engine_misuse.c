/* SPDX-License-Identifier: Apache-2.0 */
/* What a program may do wrong with a runtime: each gets an error that names it, before a thread
 * starts where it can be known before, and nothing is lost, freed twice or waited for in vain. */
#include "lib/engine_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static _Atomic uint32_t threads_left = UINT32_MAX; /* that the system has room for */

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*entry)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*entry)(void *), void *argument);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*entry)(void *), void *argument)
{
    if (threads_left == 0)
        return EAGAIN;
    threads_left--;
    return __real_pthread_create(thread, attributes, entry, argument);
}

/* ---- options ----------------------------------------------------------------------------- */

static void expect_refused(const struct klane_options *options, const char *named)
{
    struct klane_source *source;
    struct klane_runtime *runtime = NULL;
    char errstr[256];

    assert_int_equal(klane_memory_create(&source), KLANE_OK);
    threads_left = 0;
    assert_int_equal(klane_create(options, source, &runtime, errstr, sizeof(errstr)),
                     KLANE_ERR_INVALID);
    threads_left = UINT32_MAX;
    check_says(errstr, named);
    assert_null(runtime);
    klane_source_destroy(source);
}

static void expect_wrong(struct klane_options *options, uint32_t *option, uint32_t value,
                         const char *named)
{
    uint32_t before = *option;

    *option = value;
    expect_refused(options, named);
    *option = before;
}

static void wrong_options_are_named(void **state)
{
    struct klane_options options;

    (void)state;
    klane_options_init(&options, sizeof(options));
    expect_wrong(&options, &options.workers, 1001, "workers is 1001");
    expect_wrong(&options, &options.workers_max, 1001, "workers_max is 1001");
    expect_wrong(&options, &options.records_max, 15, "records_max is 15");
    expect_wrong(&options, &options.records_max, (1U << 24) + 1, "records_max is 16777217");
    expect_wrong(&options, &options.lane_records_max, 1, "lane_records_max is 1");
    expect_wrong(&options, &options.lane_records_max, 99999, "lane_records_max is 99999");
    expect_wrong(&options, &options.commit_interval_ms, 0, "commit_interval_ms is 0");
    expect_wrong(&options, &options.commit_records, 0, "commit_records is 0");
    expect_wrong(&options, &options.drain_ms, 3600001, "drain_ms is 3600001");
    expect_wrong(&options, &options.stop_ms, 0, "stop_ms is 0");
    expect_wrong(&options, &options.stack_bytes, 1, "stack_bytes is 1");
    expect_wrong(&options, &options.map_size, 1, "map_size is 1");
    expect_wrong(&options, &options.map_size, 65537, "map_size is 65537");
    options.workers = 8;
    expect_wrong(&options, &options.workers_max, 7, "workers_max is 7");
    options.budget_bytes = UINT64_MAX;
    expect_refused(&options, "budget_bytes is 18446744073709551615, must be up to");
    options.budget_bytes = 1;
    expect_refused(&options, "budget_bytes is 1, must be at least");
    klane_options_init(&options, sizeof(options));
    options.name = "";
    expect_refused(&options, "name is empty");
    options.name = NULL;
    expect_refused(&options, "name is empty");
}

/* With the address sanitizer: nothing behind the structure is looked at. */
static void sizes_of_structures_are_checked(void **state)
{
    struct {
        struct klane_options known;
        uint64_t newer;
    } grown;
    struct klane_options *options = test_malloc(sizeof(*options));

    (void)state;
    klane_options_init(options, sizeof(*options));
    expect_wrong(options, &options->struct_size, 0, "struct_size of 0");
    expect_wrong(options, &options->struct_size, 2, "struct_size of 2");
    expect_wrong(options, &options->struct_size, UINT32_MAX, "struct_size of 4294967295");
    test_free(options);
    klane_options_init(&grown.known, sizeof(grown));
    assert_int_equal(grown.newer, 0);
    grown.newer = 1;
    expect_refused(&grown.known, "set no option that this version does not know");
}

static void missing_arguments_are_refused(void **state)
{
    struct klane_source *source;
    struct klane_runtime *runtime;
    struct klane_stats stats;
    char errstr[64];

    (void)state;
    assert_int_equal(klane_memory_create(&source), KLANE_OK);
    assert_int_equal(klane_create(NULL, NULL, &runtime, errstr, sizeof(errstr)),
                     KLANE_ERR_INVALID);
    assert_string_equal(errstr, "source is NULL");
    assert_int_equal(klane_create(NULL, source, NULL, errstr, sizeof(errstr)), KLANE_ERR_INVALID);
    assert_string_equal(errstr, "runtime is NULL");
    assert_int_equal(klane_create(NULL, source, NULL, NULL, 100), KLANE_ERR_INVALID);
    assert_int_equal(klane_start(NULL), KLANE_ERR_INVALID);
    assert_int_equal(klane_wait(NULL, 0), KLANE_ERR_INVALID);
    assert_int_equal(klane_stats_get(NULL, &stats, sizeof(stats)), KLANE_ERR_INVALID);
    assert_int_equal(klane_progress_read(NULL, 0, 0, NULL, 0, NULL, 0), KLANE_ERR_INVALID);
    assert_int_equal(klane_destroy(NULL), KLANE_OK);
    klane_stop(NULL);
    klane_source_destroy(NULL);
    klane_source_destroy(source);
}

/* ---- topics and routes ------------------------------------------------------------------- */

static bool any_key(const struct klane_record *record, void *context, const void **key,
                    size_t *key_size)
{
    (void)record, (void)context, (void)key, (void)key_size;
    return false;
}

static void expect_topic(struct kit *kit, const struct klane_topic *topic, klane_err_t err,
                         const char *named)
{
    assert_int_equal(klane_topic(kit->runtime, topic), err);
    check_says(kit->line, named);
}

static void wrong_rules_of_topics_are_named(void **state)
{
    struct kit kit;
    char long_name[251];
    struct klane_topic topic, good;

    (void)state;
    memset(long_name, 'n', 250);
    long_name[250] = '\0';
    kit_init(&kit, 1);
    kit_create(&kit);
    klane_topic_init(&good, sizeof(good));
    good.name = "t";
#define EXPECT(field, value, named)                                                               \
    topic = good;                                                                                 \
    topic.field = (value);                                                                        \
    expect_topic(&kit, &topic, KLANE_ERR_INVALID, named)
    EXPECT(name, NULL, "topic \"(NULL)\"");
    EXPECT(name, "", "topic \"\"");
    EXPECT(name, "a b", "topic \"a b\"");
    EXPECT(name, "a\nb", "topic \"a?b\""); /* the log gets one line */
    EXPECT(name, long_name, long_name);
    EXPECT(order, (enum klane_order)7, "topic \"t\": order is 7");
    EXPECT(order, (enum klane_order)(-1), "topic \"t\": order is -1");
    EXPECT(null_keys, (enum klane_null_keys)2, "null_keys is 2");
    EXPECT(begin, (enum klane_begin)9, "begin is 9");
    EXPECT(out_of_range, (enum klane_begin)9, "out_of_range is 9");
    EXPECT(crashed, (enum klane_crashed)9, "crashed is 9");
    EXPECT(key_version, UINT32_MAX,
           "key_version is 4294967295, must be from 0 to 0 without a key function");
    EXPECT(struct_size, 0, "klane_topic_init()");
#undef EXPECT
    topic = good;
    topic.key = any_key;
    topic.order = KLANE_ORDER_PARTITION;
    expect_topic(&kit, &topic, KLANE_ERR_INVALID, "topic \"t\": key would never be asked");
    assert_int_equal(klane_topic(kit.runtime, NULL), KLANE_ERR_INVALID);
    assert_int_equal(klane_topic(NULL, &good), KLANE_ERR_INVALID);
    assert_int_equal(klane_topic(kit.runtime, &good), KLANE_OK);
    expect_topic(&kit, &good, KLANE_ERR_EXISTS, "topic \"t\" has its rules already");
    kit_end(&kit);
}

static void expect_route(struct kit *kit, const struct klane_route *route, klane_err_t err,
                         const char *named)
{
    assert_int_equal(klane_route(kit->runtime, route), err);
    check_says(kit->line, named);
}

static void wrong_routes_are_named(void **state)
{
    struct kit kit;
    struct klane_route route, good;

    (void)state;
    kit_init(&kit, 1);
    kit_create(&kit);
    klane_route_init(&good, sizeof(good));
    good.topic = "t";
    good.handler = kit_handle;
    good.match = KLANE_MATCH_PREFIX;
    good.key = "secret";
    good.key_size = 1;
#define EXPECT(field, value, named)                                                               \
    route = good;                                                                                 \
    route.field = (value);                                                                        \
    expect_route(&kit, &route, KLANE_ERR_INVALID, named)
    EXPECT(topic, "", "topic \"\"");
    EXPECT(handler, NULL, "a route of topic \"t\": handler is NULL");
    EXPECT(retry_delay_ms, -5, "retry_delay_ms is -5");
    EXPECT(match, (enum klane_match)4, "match is 4");
    EXPECT(match, KLANE_MATCH_ALL, "key is set, but match is all");
    EXPECT(key, NULL, "key is NULL");
    EXPECT(key_size, 0, "key_size of a prefix is 0");
    EXPECT(key_size, (size_t)UINT32_MAX + 1, "key_size is 4294967296");
    EXPECT(handler_overrun, (enum klane_overrun)3, "handler_overrun is 3");
    EXPECT(later_max_ms, -1, "later_max_ms is -1");
    EXPECT(later_overrun, KLANE_DONE, "later_overrun is 0");
    EXPECT(later_overrun, KLANE_LATER, "later_overrun is KLANE_LATER");
    EXPECT(later_overrun, KLANE_DEAD_LETTER, "later_overrun asks for dead letters");
    EXPECT(later_overrun, (enum klane_outcome)5, "later_overrun is 5");
    EXPECT(struct_size, 0, "klane_route_init()");
#undef EXPECT
    assert_int_equal(klane_route(kit.runtime, NULL), KLANE_ERR_INVALID);
    assert_int_equal(klane_route(kit.runtime, &good), KLANE_OK);
    expect_route(&kit, &good, KLANE_ERR_EXISTS, "there is one for the same keys");
    assert_null(strstr(kit.line, "secret"));
    assert_int_equal(klane_handle(kit.runtime, "t", NULL, NULL), KLANE_ERR_INVALID);
    assert_int_equal(klane_handle(kit.runtime, NULL, kit_handle, NULL), KLANE_ERR_INVALID);
    kit_end(&kit);
}

static bool endless_key(const struct klane_record *record, void *context, const void **key,
                        size_t *key_size)
{
    (void)context;
    *key = record->key;
    *key_size = record->offset == 0 ? 1 : (size_t)UINT32_MAX + 2;
    return true;
}

/* Cut to 32 bits it would be a key of one byte, and wait behind the first record. */
static void a_key_of_4_gigabytes_is_none(void **state)
{
    struct kit kit;
    struct klane_topic topic;

    (void)state;
    kit_init(&kit, 1);
    kit.gate = "a";
    kit_create(&kit);
    klane_topic_init(&topic, sizeof(topic));
    topic.name = "t";
    topic.key = endless_key;
    assert_int_equal(klane_topic(kit.runtime, &topic), KLANE_OK);
    assert_int_equal(klane_handle(kit.runtime, "t", kit_handle, &kit), KLANE_OK);
    kit_append(&kit, 0, "a");
    kit_append(&kit, 0, "ab");
    assert_int_equal(klane_start(kit.runtime), KLANE_OK);

    kit_wait_ended(&kit, 1);
    kit_wait_committed(&kit, 0, 0);
    kit_end(&kit);
}

/* ---- sources ----------------------------------------------------------------------------- */

static void a_source_belongs_to_one_runtime(void **state)
{
    struct kit kit;
    struct klane_runtime *second = NULL;
    char errstr[64];

    (void)state;
    kit_init(&kit, 1);
    kit_start(&kit);

    assert_int_equal(klane_create(NULL, kit.source, &second, errstr, sizeof(errstr)),
                     KLANE_ERR_INVALID);
    assert_string_equal(errstr, "source belongs to another runtime already");
    assert_null(second);
    klane_source_destroy(kit.source);

    kit_append(&kit, 0, "a");
    kit_wait_ended(&kit, 1);
    kit_end(&kit);
}

static void wrong_appends_to_a_log_in_memory_are_refused(void **state)
{
    struct kit kit;
    struct klane_memory_record record = {.key_size = 1, .timestamp_ms = -1, .offset = -1};

    (void)state;
    kit_init(&kit, 1);
    assert_int_equal(klane_memory_append(kit.source, "t", 0, &record, NULL), KLANE_ERR_INVALID);
    record.key_size = 0;
    record.value_size = 1;
    assert_int_equal(klane_memory_append(kit.source, "t", 0, &record, NULL), KLANE_ERR_INVALID);
    record.value_size = 0;
    assert_int_equal(klane_memory_append(kit.source, "t", 0, &record, NULL), KLANE_OK);
    kit_start(&kit);
    kit_wait_ended(&kit, 1);
    kit_end(&kit);
}

/* ---- records and tokens ------------------------------------------------------------------ */

static klane_token_t first_token, second_token;

static enum klane_outcome misuse_record(struct kit *kit, const struct klane_record *record)
{
    const struct klane_record made_up = {.topic = "t"};
    const char *name;
    const void *value;
    klane_token_t token = 1;
    size_t size;
    bool is_right = !klane_cancelled(NULL) && !klane_cancelled(&made_up);

    (void)kit;
    is_right &= klane_header(NULL, "h", &value, &size) == KLANE_ERR_NOT_FOUND;
    is_right &= klane_header(&made_up, "h", &value, &size) == KLANE_ERR_NOT_FOUND;
    is_right &= klane_header(record, NULL, &value, &size) == KLANE_ERR_NOT_FOUND;
    is_right &= klane_header(record, "h", NULL, &size) == KLANE_ERR_NOT_FOUND;
    is_right &= klane_header(record, "h", &value, NULL) == KLANE_ERR_NOT_FOUND;
    is_right &= klane_header_at(NULL, 0, &name, &value, &size) == KLANE_ERR_NOT_FOUND;
    is_right &= klane_header_at(record, 0, NULL, &value, &size) == KLANE_ERR_NOT_FOUND;
    is_right &= klane_header_at(record, SIZE_MAX, &name, &value, &size) == KLANE_ERR_NOT_FOUND;
    is_right &= klane_retry(NULL, 1, "r") == KLANE_RETRY && klane_skip(NULL, "s") == KLANE_SKIP;
    is_right &= klane_later(NULL, &token) == KLANE_RETRY && token == 0;
    is_right &= klane_later(&made_up, &token) == KLANE_RETRY && token == 0;
    is_right &= klane_later(record, NULL) == KLANE_RETRY;
    is_right &= klane_later(record, &first_token) == KLANE_LATER && first_token != 0;
    is_right &= klane_later(record, &second_token) == KLANE_LATER && second_token == 0;
    return is_right ? KLANE_LATER : KLANE_SKIP;
}

static void calls_of_a_handler_without_a_record_do_nothing(void **state)
{
    static const struct klane_header_in header = {.name = "h", .value = "v", .size = 1};
    struct klane_memory_record record = {
        .timestamp_ms = -1, .offset = -1, .headers = &header, .header_count = 1};
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.act = misuse_record;
    assert_int_equal(klane_memory_append(kit.source, "t", 0, &record, NULL), KLANE_OK);
    kit_start(&kit);
    kit_wait_ended(&kit, 1);
    kit_wait_committed(&kit, 0, 0);
    assert_int_equal(klane_finish(kit.runtime, first_token, KLANE_DONE, -1, NULL), KLANE_OK);
    kit_wait_committed(&kit, 0, 1);
    assert_int_equal(kit_event_count(&kit, KLANE_EVENT_SKIPPED), 0);
    kit_end(&kit);
}

static enum klane_outcome keep_token(struct kit *kit, const struct klane_record *record)
{
    klane_token_t token;
    enum klane_outcome outcome = klane_later(record, &token);

    pthread_mutex_lock(&kit->lock);
    if (record->partition == 0)
        first_token = token;
    else
        second_token = token;
    pthread_mutex_unlock(&kit->lock);
    return outcome;
}

/* Both are the first token of their runtime. */
static void a_token_of_another_runtime_is_stale(void **state)
{
    struct kit kits[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        kit_init(&kits[i], 2);
        kits[i].act = keep_token;
        kit_start(&kits[i]);
        kit_append(&kits[i], i, "a");
        kit_wait_ended(&kits[i], 1);
    }

    assert_int_equal(klane_finish(kits[0].runtime, second_token, KLANE_DONE, -1, NULL),
                     KLANE_ERR_STALE);
    assert_int_equal(klane_finish(kits[1].runtime, first_token, KLANE_DONE, -1, NULL),
                     KLANE_ERR_STALE);
    assert_true(klane_token_cancelled(kits[0].runtime, second_token));
    assert_int_equal(klane_finish(kits[0].runtime, first_token, KLANE_DONE, -1, NULL), KLANE_OK);
    assert_int_equal(klane_finish(kits[1].runtime, second_token, KLANE_DONE, -1, NULL), KLANE_OK);
    kit_end(&kits[0]);
    kit_end(&kits[1]);
}

static enum klane_outcome nonsense(struct kit *kit, const struct klane_record *record)
{
    (void)kit;
    if (record->attempt == 4)
        return KLANE_DONE;
    return (enum klane_outcome)(record->offset == 1 ? -5 : 77);
}

static void an_undefined_outcome_is_a_retry_and_said_once(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.act = nonsense;
    kit_start_route(&kit, 1, 1000);
    kit_append(&kit, 0, "a");
    kit_wait_committed(&kit, 0, 1);
    assert_non_null(strstr(kit.line, "returned 77, which is no outcome here, for t [0] offset 0"));
    kit_append(&kit, 0, "b");
    kit_append(&kit, 0, "b");
    kit_wait_committed(&kit, 0, 3);
    assert_non_null(strstr(kit.line, "returned -5, which is no outcome here, for t [0] offset 1"));
    assert_int_equal(kit.log_lines, 2);
    assert_int_equal(kit.note_count, 12);
    kit_end(&kit);
}

/* ---- from the wrong thread or process ---------------------------------------------------- */

struct from_event {
    struct kit kit;
    klane_err_t take, wait, destroy, stats;
    _Atomic bool is_done;
};

static void call_what_waits(const struct klane_event *event, void *context)
{
    struct from_event *from = context;
    struct klane_partition_stats stats;
    struct klane_record record;
    klane_token_t token;

    if (event->type != KLANE_EVENT_SKIPPED)
        return;
    from->take = klane_take(from->kit.runtime, &record, sizeof(record), &token, -1);
    from->wait = klane_wait(from->kit.runtime, -1);
    from->destroy = klane_destroy(from->kit.runtime);
    from->stats = klane_partition_stats(from->kit.runtime, "t", 0, &stats, sizeof(stats));
    /* Release: what they returned, before the test looks. */
    atomic_store_explicit(&from->is_done, true, memory_order_release);
}

static enum klane_outcome skip_it(struct kit *kit, const struct klane_record *record)
{
    (void)kit;
    return klane_skip(record, "first line\nsecond line");
}

static void what_waits_for_control_is_refused_there(void **state)
{
    static struct from_event from;

    (void)state;
    kit_init(&from.kit, 1);
    from.kit.act = skip_it;
    from.kit.options.event = call_what_waits;
    from.kit.options.event_context = &from;
    kit_start(&from.kit);
    kit_append(&from.kit, 0, "a");
    kit_wait_committed(&from.kit, 0, 1);

    klane_stop(from.kit.runtime);
    assert_int_equal(klane_wait(from.kit.runtime, 20000), KLANE_OK);
    /* Acquire: see call_what_waits(). */
    assert_true(atomic_load_explicit(&from.is_done, memory_order_acquire));
    assert_int_equal(from.take, KLANE_ERR_STATE);
    assert_int_equal(from.wait, KLANE_ERR_STATE);
    assert_int_equal(from.destroy, KLANE_ERR_STATE);
    assert_int_equal(from.stats, KLANE_ERR_STATE);
    kit_end(&from.kit);
}

static void texts_have_one_line(void **state)
{
    struct kit kit;

    (void)state;
    kit_init(&kit, 1);
    kit.act = skip_it;
    kit_start(&kit);
    kit_append(&kit, 0, "a");
    kit_wait_event(&kit, KLANE_EVENT_SKIPPED, 1);
    assert_string_equal(kit.message, "first line?second line");
    kit_end(&kit);
}

static bool all_are_refused(struct klane_runtime *runtime)
{
    struct klane_blocker blocker;
    struct klane_partition_stats partition;
    struct klane_record record;
    struct klane_stats stats;
    struct klane_topic topic;
    klane_token_t token;

    klane_topic_init(&topic, sizeof(topic));
    topic.name = "u";
    klane_stop(runtime);
    return klane_wait(runtime, 0) == KLANE_ERR_FORKED &&
           klane_start(runtime) == KLANE_ERR_FORKED &&
           klane_destroy(runtime) == KLANE_ERR_FORKED &&
           klane_topic(runtime, &topic) == KLANE_ERR_FORKED &&
           klane_handle(runtime, "u", kit_handle, NULL) == KLANE_ERR_FORKED &&
           klane_take(runtime, &record, sizeof(record), &token, -1) == KLANE_ERR_FORKED &&
           klane_finish(runtime, 1, KLANE_DONE, -1, NULL) == KLANE_ERR_FORKED &&
           klane_partition_stats(runtime, "t", 0, &partition, sizeof(partition)) ==
               KLANE_ERR_FORKED &&
           klane_blocker(runtime, "t", 0, &blocker, sizeof(blocker)) == KLANE_ERR_FORKED &&
           klane_stats_get(runtime, &stats, sizeof(stats)) == KLANE_ERR_FORKED;
}

static void a_child_after_fork_is_refused(void **state)
{
    struct kit kit;
    int status;
    pid_t child;

    (void)state;
    kit_init(&kit, 1);
    kit_start(&kit);
    child = fork();
    if (child == 0)
        _exit(all_are_refused(kit.runtime) ? 0 : 1);

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    kit_append(&kit, 0, "a");
    kit_wait_ended(&kit, 1);
    kit_end(&kit);
}

/* ---- what the system lacks, and what is the program's ------------------------------------ */

static void without_threads_a_start_fails_and_can_be_undone(void **state)
{
    (void)state;
    for (uint32_t room = 0; room <= 4; room++) {
        struct kit kit;

        kit_init(&kit, 1);
        kit_create(&kit);
        assert_int_equal(klane_handle(kit.runtime, "t", kit_handle, &kit), KLANE_OK);
        kit_append(&kit, 0, "a");
        threads_left = room;
        assert_int_equal(klane_start(kit.runtime), KLANE_ERR_SYSTEM);
        threads_left = UINT32_MAX;
        assert_non_null(strstr(kit.line, room < 4 ? "workers" : "control thread"));
        assert_int_equal(klane_wait(kit.runtime, 0), KLANE_ERR_SYSTEM);
        assert_int_equal(kit.note_count, 0);
        kit_end(&kit);
    }
}

static void without_descriptors_nothing_can_be_made(void **state)
{
    struct rlimit before, none;
    struct klane_source *source, *other;
    struct klane_runtime *runtime;
    char errstr[64];
    int next;

    (void)state;
    assert_int_equal(klane_memory_create(&source), KLANE_OK);
    next = open("/dev/null", O_RDONLY);
    assert_true(next >= 0);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    klane_err_t source_err = klane_memory_create(&other);
    klane_err_t err = klane_create(NULL, source, &runtime, errstr, sizeof(errstr));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);

    assert_int_equal(source_err, KLANE_ERR_SYSTEM);
    assert_int_equal(err, KLANE_ERR_SYSTEM);
    assert_string_not_equal(errstr, "");
    assert_int_equal(klane_create(NULL, source, &runtime, errstr, sizeof(errstr)), KLANE_OK);
    assert_int_equal(klane_destroy(runtime), KLANE_OK);
}

static void signals_stay_as_the_program_has_them(void **state)
{
    static struct sigaction before[NSIG];
    struct kit kit;

    (void)state;
    for (int number = 1; number < NSIG; number++)
        sigaction(number, NULL, &before[number]);
    kit_init(&kit, 1);
    kit_start(&kit);
    kit_append(&kit, 0, "a");
    kit_wait_ended(&kit, 1);
    for (int number = 1; number < NSIG; number++) {
        struct sigaction now;

        if (sigaction(number, NULL, &now) == 0)
            assert_ptr_equal(now.sa_handler, before[number].sa_handler);
    }
    kit_end(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_options_are_named),
        cmocka_unit_test(sizes_of_structures_are_checked),
        cmocka_unit_test(missing_arguments_are_refused),
        cmocka_unit_test(wrong_rules_of_topics_are_named),
        cmocka_unit_test(wrong_routes_are_named),
        cmocka_unit_test(a_key_of_4_gigabytes_is_none),
        cmocka_unit_test(a_source_belongs_to_one_runtime),
        cmocka_unit_test(wrong_appends_to_a_log_in_memory_are_refused),
        cmocka_unit_test(calls_of_a_handler_without_a_record_do_nothing),
        cmocka_unit_test(a_token_of_another_runtime_is_stale),
        cmocka_unit_test(an_undefined_outcome_is_a_retry_and_said_once),
        cmocka_unit_test(what_waits_for_control_is_refused_there),
        cmocka_unit_test(texts_have_one_line),
        cmocka_unit_test(a_child_after_fork_is_refused),
        cmocka_unit_test(without_threads_a_start_fails_and_can_be_undone),
        cmocka_unit_test(without_descriptors_nothing_can_be_made),
        cmocka_unit_test(signals_stay_as_the_program_has_them),
    };

    return check_run(tests);
}
