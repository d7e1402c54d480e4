/* SPDX-License-Identifier: Apache-2.0 */
/* What a program keeps for its lanes and workers: no lock is needed, it is found again, and it is
 * freed in time, once, by a thread of the workers'. */
#include "lib/engine_kit.h"
#include "lib/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STATES_MAX 1024

/* One lane's, made by the first handler that finds none. Plain: the race detector looks on. */
struct counter {
    char key[KIT_KEY_MAX];
    int64_t count;
    int64_t last; /* offset */
};

static struct fixture {
    struct kit kit; /* its lock guards the rest */
    struct klane_topic topic;
    struct klane_route route;
    size_t made;
    size_t freed;
    int64_t counted; /* what was freed had counted */
    char freed_keys[STATES_MAX][KIT_KEY_MAX];
    pthread_t freed_by; /* the last one */
    const char *gate;   /* state_free waits with this key's until kit_open() */
    bool waits;         /* and does so now */
    const char *wrong;
} fixture;

static void wrong(const char *what)
{
    pthread_mutex_lock(&fixture.kit.lock);
    fixture.wrong = what;
    pthread_mutex_unlock(&fixture.kit.lock);
}

static struct counter *counter_make(const struct klane_record *record)
{
    struct counter *counter = calloc(1, sizeof(*counter));

    snprintf(counter->key, sizeof(counter->key), "%.*s", (int)record->key_size,
             (const char *)record->key);
    counter->last = -1;
    *record->lane_state = counter;
    pthread_mutex_lock(&fixture.kit.lock);
    fixture.made++;
    pthread_mutex_unlock(&fixture.kit.lock);
    return counter;
}

static struct counter *count(const struct klane_record *record)
{
    struct counter *counter = *record->lane_state;

    if (counter == NULL)
        counter = counter_make(record);
    if (strncmp(counter->key, record->key, record->key_size) != 0)
        wrong("another key's state");
    if (counter->last > record->offset)
        wrong("a state from the future");
    counter->count++;
    counter->last = record->offset;
    return counter;
}

static enum klane_outcome count_it(struct kit *kit, const struct klane_record *record)
{
    (void)kit;
    count(record);
    return KLANE_DONE;
}

static void on_free(void *state, void *context)
{
    struct counter *counter = state;
    struct kit *kit = &fixture.kit;

    if (context != &fixture || counter == NULL) {
        wrong("state_free without a state, or with another context");
        return;
    }
    pthread_mutex_lock(&kit->lock);
    while (fixture.gate != NULL && strcmp(fixture.gate, counter->key) == 0 && !kit->gate_open) {
        fixture.waits = true;
        pthread_cond_broadcast(&kit->changed);
        pthread_cond_wait(&kit->changed, &kit->lock);
    }
    memcpy(fixture.freed_keys[fixture.freed++ % STATES_MAX], counter->key, KIT_KEY_MAX);
    fixture.freed_by = pthread_self();
    fixture.counted += counter->count;
    pthread_cond_broadcast(&kit->changed);
    pthread_mutex_unlock(&kit->lock);
    free(counter);
}

static void begin(int32_t partitions)
{
    memset(&fixture, 0, sizeof(fixture));
    kit_init(&fixture.kit, partitions);
    fixture.kit.act = count_it;
    klane_topic_init(&fixture.topic, sizeof(fixture.topic));
    fixture.topic.name = "t";
    fixture.topic.state_free = on_free;
    fixture.topic.state_context = &fixture;
    kit_route_init(&fixture.kit, &fixture.route);
    fixture.route.retry_delay_ms = 1;
}

static void start(void)
{
    kit_start_with(&fixture.kit, &fixture.topic, &fixture.route);
}

static void assert_all_freed(void)
{
    assert_null(fixture.wrong);
    assert_int_equal(fixture.freed, fixture.made);
}

static void end(void)
{
    kit_end(&fixture.kit);
    assert_all_freed();
}

/* Waits until so many states were freed. */
static void wait_freed(size_t count)
{
    kit_wait_counter(&fixture.kit, &fixture.freed, count, "states freed");
}

static void wait_until_someone_frees(void)
{
    pthread_mutex_lock(&fixture.kit.lock);
    while (!fixture.waits)
        pthread_cond_wait(&fixture.kit.changed, &fixture.kit.lock);
    pthread_mutex_unlock(&fixture.kit.lock);
}

static void wait_lane_states(uint64_t count)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    for (int i = 0; kit_stats(&fixture.kit).lane_states != count; i++) {
        assert_true(i < 20000);
        nanosleep(&pause, NULL);
    }
}

/* Control has heard that so many were done; and what their handlers wrote can be read. */
static void wait_done(size_t count)
{
    kit_wait_done(&fixture.kit, count);
    kit_wait_ended(&fixture.kit, count);
}

static void stop(void)
{
    klane_stop(fixture.kit.runtime);
    assert_int_equal(klane_wait(fixture.kit.runtime, 20000), KLANE_OK);
}

/* ---- what handlers find ------------------------------------------------------------------ */

static void a_state_needs_no_lock_and_counts_every_record(void **state)
{
    enum { RECORDS = 4000, KEYS = 50, IDLE = 20 };
    char key[16];

    (void)state;
    begin(2);
    fixture.topic.states_idle_max = IDLE;
    start();
    for (int i = 0; i < RECORDS; i++) {
        snprintf(key, sizeof(key), "%d", (i * 7 + i / 9) % KEYS);
        kit_append(&fixture.kit, i % 2, key);
    }
    kit_wait_ended(&fixture.kit, RECORDS);

    stop();

    kit_assert_order(&fixture.kit);
    assert_all_freed();
    assert_int_equal(fixture.counted, RECORDS);
    assert_int_equal(kit_stats(&fixture.kit).lane_states, 0);
    assert_int_equal(kit_committed(&fixture.kit, 0), RECORDS / 2);
    end();
}

static void a_state_outlasts_the_records_of_its_lane(void **state)
{
    (void)state;
    begin(1);
    start();
    for (size_t i = 1; i <= 5; i++) {
        kit_append(&fixture.kit, 0, "a");
        wait_done(i);
    }

    stop();

    assert_int_equal(fixture.made, 1);
    assert_int_equal(fixture.counted, 5);
    end();
}

static enum klane_outcome fail_twice(struct kit *kit, const struct klane_record *record)
{
    struct counter *counter = count(record);

    (void)kit;
    if (counter->count != record->attempt)
        wrong("an attempt does not find what the one before it left");
    return record->attempt < 4 ? KLANE_RETRY : klane_dead_letter(record, "no");
}

static enum klane_outcome keep_letter(const struct klane_record *record, void *context)
{
    (void)context;
    if (count(record)->count != 5)
        wrong("a dead letter does not find what its record left");
    return KLANE_DONE;
}

static void attempts_and_dead_letters_find_what_was_left(void **state)
{
    (void)state;
    begin(1);
    fixture.topic.states_idle_max = 0;
    fixture.kit.act = fail_twice;
    fixture.route.dead_letter = keep_letter;
    start();
    kit_append(&fixture.kit, 0, "a");

    wait_freed(1);

    assert_int_equal(fixture.made, 1);
    assert_int_equal(fixture.counted, 5);
    end();
}

static klane_token_t later_token;

static enum klane_outcome later(struct kit *kit, const struct klane_record *record)
{
    (void)kit;
    count(record);
    return klane_later(record, &later_token);
}

static void what_is_finished_later_keeps_its_state(void **state)
{
    (void)state;
    begin(1);
    fixture.topic.states_idle_max = 0;
    fixture.kit.act = later;
    start();
    kit_append(&fixture.kit, 0, "a");
    kit_wait_ended(&fixture.kit, 1);
    assert_int_equal(
        klane_finish(fixture.kit.runtime, later_token, KLANE_RETRY, 0, NULL), KLANE_OK);
    kit_wait_ended(&fixture.kit, 2);
    assert_int_equal(fixture.freed, 0);

    assert_int_equal(klane_finish(fixture.kit.runtime, later_token, KLANE_DONE, 0, NULL),
                     KLANE_OK);

    wait_freed(1);
    assert_int_equal(fixture.counted, 2);
    end();
}

static enum klane_outcome expect_none(struct kit *kit, const struct klane_record *record)
{
    (void)kit;
    if (record->lane_state != NULL)
        wrong("a record without a lane, or of a topic without states, has one");
    return KLANE_DONE;
}

static void records_without_a_lane_have_none(void **state)
{
    (void)state;
    begin(1);
    fixture.kit.act = expect_none;
    start();
    kit_append(&fixture.kit, 0, NULL);
    kit_wait_ended(&fixture.kit, 1);
    end();

    begin(1);
    fixture.kit.act = expect_none;
    fixture.topic.state_free = NULL;
    start();
    kit_append(&fixture.kit, 0, "a");
    kit_wait_ended(&fixture.kit, 1);
    end();
}

static void a_partition_as_a_lane_has_one_state(void **state)
{
    (void)state;
    begin(1);
    fixture.topic.order = KLANE_ORDER_PARTITION;
    start();
    for (int i = 0; i < 10; i++)
        kit_append(&fixture.kit, 0, "a");
    wait_done(10);

    stop();

    assert_int_equal(fixture.made, 1);
    assert_int_equal(fixture.counted, 10);
    end();
}

/* ---- when it is freed -------------------------------------------------------------------- */

static void a_record_waits_while_its_lanes_former_state_is_freed(void **state)
{
    struct kit *kit = &fixture.kit;

    (void)state;
    begin(1);
    fixture.topic.states_idle_max = 0;
    fixture.gate = "a";
    start();
    kit_append(kit, 0, "a");
    kit_wait_ended(kit, 1);
    wait_until_someone_frees();
    kit_append(kit, 0, "a");
    /* Other keys go on, one after the other, each taken in behind it. */
    for (size_t i = 2; i < 20; i++) {
        kit_append(kit, 0, "b");
        wait_done(i);
    }
    for (size_t i = 1; i < kit->note_count; i++)
        assert_string_equal(kit->notes[i].key, "b");
    assert_int_equal(kit_stats(kit).lanes, 1);

    kit_open(kit);

    wait_done(20);
    assert_string_equal(kit->notes[kit->note_count - 1].key, "a");
    assert_int_equal(kit->notes[kit->note_count - 1].attempt, 1);
    end();
}

static void of_more_than_may_be_idle_the_first_is_freed(void **state)
{
    struct kit *kit = &fixture.kit;

    (void)state;
    begin(1);
    fixture.topic.states_idle_max = 2;
    start();
    kit_append(kit, 0, "a");
    wait_done(1);
    kit_append(kit, 0, "b");
    wait_done(2);
    kit_append(kit, 0, "a");
    wait_done(3);
    assert_int_equal(fixture.freed, 0);

    kit_append(kit, 0, "c");

    wait_freed(1);
    assert_string_equal(fixture.freed_keys[0], "b");
    wait_lane_states(2);
    end();
}

static void states_are_freed_before_their_partition_is_given_up(void **state)
{
    struct kit *kit = &fixture.kit;
    char key[16];

    (void)state;
    begin(2);
    start();
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "%d", i);
        kit_append(kit, i % 2, key);
    }
    wait_done(100);

    assert_int_equal(klane_memory_revoke(kit->source, "t", 0, false), KLANE_OK);
    kit_wait_event(kit, KLANE_EVENT_REVOKED, 1);

    assert_int_equal(fixture.freed, 50);
    for (int i = 0; i < 50; i++)
        assert_int_equal(atoi(fixture.freed_keys[i]) % 2, 0);
    assert_int_equal(klane_memory_assign(kit->source, "t", 0), KLANE_OK);
    kit_append(kit, 0, "0");
    wait_done(101);
    assert_int_equal(fixture.made, 101);
    assert_int_equal(klane_memory_revoke(kit->source, "t", 0, true), KLANE_OK);
    wait_freed(51);
    end();
}

static void a_partition_is_given_up_in_time_whatever_state_free_does(void **state)
{
    struct kit *kit = &fixture.kit;

    (void)state;
    begin(1);
    kit->options.drain_ms = 30;
    fixture.gate = "a";
    start();
    kit_append(kit, 0, "a");
    wait_done(1);

    assert_int_equal(klane_memory_revoke(kit->source, "t", 0, false), KLANE_OK);
    kit_wait_event(kit, KLANE_EVENT_REVOKED, 1);

    assert_int_equal(fixture.freed, 0);
    assert_int_equal(kit_committed(kit, 0), 1);
    assert_int_equal(klane_memory_assign(kit->source, "t", 0), KLANE_OK);
    kit_append(kit, 0, "a");
    kit_append(kit, 0, "b");
    wait_done(2);
    kit_open(kit);
    wait_done(3);
    assert_string_equal(kit->notes[2].key, "a");
    end();
}

static void a_stop_frees_all_on_workers(void **state)
{
    (void)state;
    begin(1);
    fixture.kit.options.commit_interval_ms = 3600000;
    start();
    kit_append(&fixture.kit, 0, "a");
    kit_append(&fixture.kit, 0, "b");
    kit_wait_ended(&fixture.kit, 2);

    stop();

    assert_int_equal(fixture.freed, 2);
    assert_false(pthread_equal(fixture.freed_by, pthread_self()));
    assert_int_equal(kit_committed(&fixture.kit, 0), 2);
    end();
}

static enum klane_outcome count_behind_gate(struct kit *kit, const struct klane_record *record)
{
    kit_wait_open(kit);
    count(record);
    return KLANE_DONE;
}

static void what_outlasts_the_stop_is_freed_by_who_destroys_the_runtime(void **state)
{
    struct kit *kit = &fixture.kit;
    int looks = 0;

    (void)state;
    begin(1);
    kit->options.stop_ms = 50;
    kit->act = count_behind_gate;
    start();
    kit_append(kit, 0, "a");
    kit_wait_started(kit, 1);
    klane_stop(kit->runtime);
    while (klane_wait(kit->runtime, 20000) == KLANE_ERR_TIMEOUT && ++looks < 10)
        continue;
    assert_int_equal(klane_wait(kit->runtime, 20000), KLANE_ERR_BUSY);
    assert_int_equal(klane_destroy(kit->runtime), KLANE_ERR_BUSY);

    end();

    assert_int_equal(fixture.freed, 1);
    assert_true(pthread_equal(fixture.freed_by, pthread_self()));
}

static void a_state_free_that_outlasts_the_stop_is_waited_for(void **state)
{
    struct kit *kit = &fixture.kit;

    (void)state;
    begin(1);
    kit->options.stop_ms = 50;
    kit->options.workers = 1;
    fixture.gate = "a";
    start();
    kit_append(kit, 0, "a");
    wait_done(1);
    kit_append(kit, 0, "b");
    wait_done(2);
    klane_stop(kit->runtime);
    wait_until_someone_frees();

    assert_int_equal(klane_wait(kit->runtime, 20000), KLANE_ERR_BUSY);
    assert_int_equal(klane_destroy(kit->runtime), KLANE_ERR_BUSY);

    end();
    assert_int_equal(fixture.freed, 2);
}

/* ---- own threads, and workers' own ------------------------------------------------------- */

static void who_takes_records_frees_states_as_well(void **state)
{
    struct kit *kit = &fixture.kit;
    struct klane_record record;
    klane_token_t token;

    (void)state;
    begin(1);
    kit->options.workers = 0;
    kit->options.stop_ms = 50;
    fixture.topic.states_idle_max = 0;
    start();
    for (int i = 0; i < 3; i++) {
        kit_append(kit, 0, "a");
        assert_int_equal(
            klane_take(kit->runtime, &record, sizeof(record), &token, 20000), KLANE_OK);
        assert_null(record.worker_local);
        count(&record);
        assert_int_equal(klane_finish(kit->runtime, token, KLANE_DONE, 0, NULL), KLANE_OK);
        kit_wait_done(kit, (uint64_t)i + 1);
        /* The next one frees first what this has left. */
        assert_int_equal(fixture.freed, i);
    }
    assert_true(pthread_equal(fixture.freed_by, pthread_self()));
    assert_int_equal(fixture.made, 3);
    end();
}

struct bench {
    pthread_t thread;
    int64_t count;
};

static bool bench_open(void *context, void **local)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    bench->thread = pthread_self();
    *local = bench;
    return context == &fixture;
}

static void bench_close(void *context, void *local)
{
    struct bench *bench = local;

    (void)context;
    if (!pthread_equal(bench->thread, pthread_self()))
        wrong("another worker's is closed");
    pthread_mutex_lock(&fixture.kit.lock);
    fixture.counted += bench->count;
    pthread_mutex_unlock(&fixture.kit.lock);
    free(bench);
}

static enum klane_outcome use_bench(struct kit *kit, const struct klane_record *record)
{
    struct bench *bench = record->worker_local;

    (void)kit;
    if (bench == NULL || !pthread_equal(bench->thread, pthread_self()))
        wrong("a handler does not find its worker's own");
    else
        bench->count++;
    return KLANE_DONE;
}

static void a_handler_finds_what_its_worker_began_with(void **state)
{
    enum { RECORDS = 500 };
    char key[16];

    (void)state;
    begin(1);
    fixture.topic.state_free = NULL;
    fixture.kit.act = use_bench;
    fixture.kit.options.worker_start = bench_open;
    fixture.kit.options.worker_stop = bench_close;
    fixture.kit.options.worker_context = &fixture;
    start();
    for (int i = 0; i < RECORDS; i++) {
        snprintf(key, sizeof(key), "%d", i);
        kit_append(&fixture.kit, 0, key);
    }
    kit_wait_ended(&fixture.kit, RECORDS);

    end();

    assert_int_equal(fixture.counted, RECORDS);
}

/* In each record of a batch, of whatever key. */
static void count_batch(struct klane_batch *batch, void *context)
{
    (void)context;
    for (size_t i = 0; i < batch->count; i++) {
        struct bench *bench = batch->records[i].worker_local;

        if (bench == NULL || !pthread_equal(bench->thread, pthread_self()))
            wrong("a batch does not find its worker's own");
        count(&batch->records[i]);
    }
}

static void batches_find_both(void **state)
{
    enum { RECORDS = 600, KEYS = 5 };
    char key[16];

    (void)state;
    for (int many = 0; many < 2; many++) {
        begin(1);
        fixture.topic.states_idle_max = 2;
        fixture.kit.options.worker_start = bench_open;
        fixture.kit.options.worker_stop = bench_close;
        fixture.kit.options.worker_context = &fixture;
        fixture.route.handler = NULL;
        fixture.route.context = NULL;
        fixture.route.batch = count_batch;
        fixture.route.batch_keys = many ? KLANE_BATCH_MANY_KEYS : KLANE_BATCH_ONE_KEY;
        start();
        for (int i = 0; i < RECORDS; i++) {
            snprintf(key, sizeof(key), "%d", i % KEYS);
            kit_append(&fixture.kit, 0, key);
        }
        kit_wait_done(&fixture.kit, RECORDS);

        end();

        assert_int_equal(fixture.counted, RECORDS);
    }
}

/* ---- memory, and what is refused --------------------------------------------------------- */

static enum klane_outcome leave_one(const struct klane_record *record, void *context)
{
    static struct counter counter; /* of whatever lane: only its address is left */

    (void)context;
    *record->lane_state = &counter;
    return KLANE_DONE;
}

static void free_nothing(void *state, void *context)
{
    (void)state;
    (void)context;
}

/* More lanes than the budget has room for: the least that is accepted, and long keys. */
static void idle_states_stay_inside_the_budget(void **state)
{
    enum { LANES = 20000, KEY_SIZE = 1000 };
    static char key[KEY_SIZE];
    struct kit *kit = &fixture.kit;
    struct klane_stats stats;

    (void)state;
    begin(1);
    kit->options.budget_bytes = UINT64_C(27) << 20;
    kit->options.records_max = 100;
    kit->options.map_size = 0;
    fixture.topic.states_idle_max = 1U << 24;
    fixture.topic.state_free = free_nothing;
    fixture.route.handler = leave_one;
    start();
    stats = kit_stats(kit);
    for (int i = 0; i < LANES; i++) {
        const struct klane_memory_record record = {
            .key = key, .key_size = KEY_SIZE, .timestamp_ms = -1, .offset = -1};

        memcpy(key, &i, sizeof(i));
        assert_int_equal(klane_memory_append(kit->source, "t", 0, &record, NULL), KLANE_OK);
    }
    kit_wait_done(kit, LANES);

    stats = kit_stats(kit);
    assert_true(stats.budget_used <= stats.budget_records);
    assert_true(stats.lane_states < LANES);
    assert_true(stats.lane_states > 1000);
    assert_int_equal(kit_event_count(kit, KLANE_EVENT_OVER_BUDGET), 0);
    end();
}

static void rules_that_cannot_be_are_refused(void **state)
{
    struct kit *kit = &fixture.kit;

    (void)state;
    begin(1);
    kit_create(kit);
    fixture.topic.states_idle_max = (1U << 24) + 1;
    assert_int_equal(klane_topic(kit->runtime, &fixture.topic), KLANE_ERR_INVALID);
    assert_non_null(strstr(kit->line, "states_idle_max is 16777217, must be from 0 to 16777216"));
    fixture.topic.states_idle_max = 1U << 24;
    fixture.topic.order = KLANE_ORDER_NONE;
    assert_int_equal(klane_topic(kit->runtime, &fixture.topic), KLANE_ERR_INVALID);
    assert_non_null(strstr(kit->line, "state_free is set"));
    assert_int_equal(klane_destroy(kit->runtime), KLANE_OK);
    kit->runtime = NULL;
    kit_end(kit);
}

/* ---- the example ------------------------------------------------------------------------- */

#if defined(KLANE_EXAMPLE_COUNT)
static void orders_are_counted_for_each_customer(void **state)
{
    char path[SCRATCH_PATH_SIZE], command[1024], printed[256];
    struct scratch scratch;

    (void)state;
    scratch_init(&scratch);
    scratch_path(&scratch, "orders", path);
    for (int i = 0; i < 2; i++) {
        snprintf(command, sizeof(command),
                 "printf 'anna\\tbook\\nbert\\tpen\\nanna\\tpen\\nno key\\n' | '%s' '%s' orders; "
                 "'%s' '%s' | sort",
                 KLANE_EXAMPLE_APPEND, path, KLANE_EXAMPLE_COUNT, path);
        check_command(command, printed, sizeof(printed));
        assert_string_equal(printed, "anna: 2\nbert: 1\norders: 3\n");
    }
    scratch_deinit(&scratch);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_needs_no_lock_and_counts_every_record),
        cmocka_unit_test(a_state_outlasts_the_records_of_its_lane),
        cmocka_unit_test(attempts_and_dead_letters_find_what_was_left),
        cmocka_unit_test(what_is_finished_later_keeps_its_state),
        cmocka_unit_test(records_without_a_lane_have_none),
        cmocka_unit_test(a_partition_as_a_lane_has_one_state),
        cmocka_unit_test(a_record_waits_while_its_lanes_former_state_is_freed),
        cmocka_unit_test(of_more_than_may_be_idle_the_first_is_freed),
        cmocka_unit_test(states_are_freed_before_their_partition_is_given_up),
        cmocka_unit_test(a_partition_is_given_up_in_time_whatever_state_free_does),
        cmocka_unit_test(a_stop_frees_all_on_workers),
        cmocka_unit_test(what_outlasts_the_stop_is_freed_by_who_destroys_the_runtime),
        cmocka_unit_test(a_state_free_that_outlasts_the_stop_is_waited_for),
        cmocka_unit_test(who_takes_records_frees_states_as_well),
        cmocka_unit_test(a_handler_finds_what_its_worker_began_with),
        cmocka_unit_test(batches_find_both),
        cmocka_unit_test(idle_states_stay_inside_the_budget),
        cmocka_unit_test(rules_that_cannot_be_are_refused),
#if defined(KLANE_EXAMPLE_COUNT)
        cmocka_unit_test(orders_are_counted_for_each_customer),
#endif
    };

    return check_run(tests);
}
