/* SPDX-License-Identifier: Apache-2.0 */
/* The conductor: one thread that lets records come in, looks after members and the broker, and
 * does things to both. Whatever it started it ends, by its pid, also when an assertion fails. */
#include "kafka/chaos.h"
#include "kafka/kafka_library.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

#define TICK_MS 2
#define STALL_MS 500    /* a tick that takes so long says that the machine stood still */
#define LOOK_MS 300     /* between two looks at what is committed */
#define GOING_MS 40000  /* for a member that is to end */
#define SLOW_EVERY 4000 /* records */
#define REST_SHOWN 10

static int64_t now_ms(const struct chaos_run *run)
{
    return chaos_now_ms(run->shared);
}

uint64_t chaos_below(struct chaos_run *run, uint64_t limit)
{
    return check_random_below(&run->random, limit);
}

void chaos_note(struct chaos_run *run, unsigned life, const char *what)
{
    chaos_add(run->shared, (struct history_event){
                               .type = HISTORY_NOTE, .process = (uint8_t)life, .name = what});
}

/* ---- members ----------------------------------------------------------------------------- */

static void spawn(struct chaos_run *run, unsigned number)
{
    char word[] = "--member", text[8], program[] = "/proc/self/exe";
    char *const arguments[] = {program_invocation_name, word, text, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t signals;

    snprintf(text, sizeof(text), "%u", number);
    /* So that it may be asked to stop before it can listen. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &signals);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, run->fd, CHAOS_MEMBER_FD);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, run->log,
                                     O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_int_equal(
        posix_spawn(&run->lives[number].pid, program, &actions, &attributes, arguments, environ),
        0);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
}

struct life *chaos_life_of(struct chaos_run *run, const char *instance, const struct life *beside)
{
    for (unsigned i = run->life_count; instance[0] != '\0' && i-- > 0;)
        if (strcmp(run->shared->lives[i].instance, instance) == 0 &&
            run->lives[i].state != LIFE_OVER && &run->lives[i] != beside)
            return &run->lives[i];
    return NULL;
}

/* One of the two is going to be fenced, and it need not be the older one. */
static void contest(struct chaos_run *run, struct life *life)
{
    life->is_contested = true;
    chaos_note(run, (unsigned)(life - run->lives), chaos_contested);
}

unsigned chaos_join(struct chaos_run *run, const char *instance, enum chaos_defect defect)
{
    unsigned number = run->life_count;
    struct chaos_life *life = &run->shared->lives[number];
    struct life *rival;

    if (number == CHAOS_LIVES)
        fail_msg("more lives than a history has room for");
    snprintf(life->assignor, sizeof(life->assignor), "%s", run->plan.assignor);
    if (instance != NULL)
        snprintf(life->instance, sizeof(life->instance), "%s", instance);
    life->session_ms = run->plan.session_ms;
    life->drain_ms = run->plan.drain_ms > 0 ? run->plan.drain_ms : CHAOS_DRAIN_MS;
    life->commit_ms = 20 + (uint32_t)chaos_below(run, 300);
    life->is_stubborn = chaos_below(run, 2) == 0;
    life->defect = (uint8_t)defect;
    run->life_count++;
    run->lives[number].state = LIFE_RUNS;
    rival = chaos_life_of(run, life->instance, &run->lives[number]);
    if (rival != NULL) {
        contest(run, rival);
        contest(run, &run->lives[number]);
        run->counts.contests++;
    }
    spawn(run, number);
    run->counts.joins++;
    return number;
}

unsigned chaos_count(const struct chaos_run *run, enum life_state state)
{
    unsigned count = 0;

    for (unsigned i = 0; i < run->life_count; i++)
        count += run->lives[i].state == state;
    return count;
}

/* One of those in this state; there is one. */
unsigned chaos_pick(struct chaos_run *run, enum life_state state)
{
    uint64_t index = chaos_below(run, chaos_count(run, state));

    for (unsigned i = 0;; i++)
        if (run->lives[i].state == state && index-- == 0)
            return i;
}

static bool may_end(const struct chaos_run *run, const struct life *life, int status)
{
    if (!WIFEXITED(status))
        return false;
    switch (WEXITSTATUS(status)) {
    case EXIT_SUCCESS:
        return life->state == LIFE_LEAVES;
    case CHAOS_EXIT_FATAL:
        return life->is_contested;
    case CHAOS_EXIT_GROUPLESS:
        /* librdkafka takes it as fatal, where the cluster gives out the partitions. */
        return kafka_library_is_consumer_protocol() && run->counts.broker_kills > 0;
    default:
        return false;
    }
}

static void over(struct chaos_run *run, unsigned number, int status)
{
    struct life *life = &run->lives[number];
    bool is_right = may_end(run, life, status);

    life->state = LIFE_OVER;
    if (!is_right)
        fail_msg("member %u ended by itself: %s %d", number,
                 WIFSIGNALED(status) ? "signal" : "exit",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void look_after(struct chaos_run *run, unsigned number)
{
    struct life *life = &run->lives[number];
    int status;

    if (waitpid(life->pid, &status, WNOHANG) == life->pid) {
        over(run, number, status);
        return;
    }
    if (life->state == LIFE_RUNS || now_ms(run) < life->until_ms)
        return;
    if (life->state != LIFE_FROZEN)
        fail_msg("member %u does not end", number);
    kill(life->pid, SIGCONT);
    chaos_note(run, number, chaos_thawed);
    life->state = LIFE_RUNS;
}

void chaos_freeze(struct chaos_run *run, unsigned number, int64_t ms)
{
    struct life *life = &run->lives[number];

    chaos_note(run, number, chaos_frozen);
    /* Relaxed: the member looks at it when it stops, and it is not frozen then. */
    atomic_fetch_add_explicit(&run->shared->lives[number].freezes, 1, memory_order_relaxed);
    kill(life->pid, SIGSTOP);
    life->state = LIFE_FROZEN;
    life->until_ms = now_ms(run) + ms;
}

void chaos_leave(struct chaos_run *run, unsigned number)
{
    struct life *life = &run->lives[number];

    kill(life->pid, SIGTERM);
    life->state = LIFE_LEAVES;
    life->until_ms = now_ms(run) + GOING_MS;
}

void chaos_kill(struct chaos_run *run, unsigned number)
{
    struct life *life = &run->lives[number];

    kill(life->pid, SIGKILL);
    while (waitpid(life->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    life->state = LIFE_OVER;
    chaos_add(run->shared,
              (struct history_event){.type = HISTORY_CRASH, .process = (uint8_t)number});
}

/* ---- records ----------------------------------------------------------------------------- */

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct chaos_run *run = opaque;
    uint32_t number = (uint32_t)(uintptr_t)message->_private;

    (void)rk;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        run->failed_count++;
        return;
    }
    run->offsets[number] = message->offset;
    run->acknowledged[number] = (uint8_t)(message->partition + 1);
    run->order[run->acknowledged_count++] = number;
    if (message->offset >= run->ends[message->partition])
        run->ends[message->partition] = message->offset + 1;
}

static void make_producer(struct chaos_run *run)
{
    rd_kafka_conf_t *conf = kafka_kit_conf();
    char why[256];

    kafka_kit_set(conf, "bootstrap.servers", run->broker->clients);
    kafka_kit_keeps_all(conf);
    kafka_kit_set(conf, "linger.ms", "5");
    if (run->broker->count > 1)
        chaos_conf_soon(conf);
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    rd_kafka_conf_set_opaque(conf, run);
    run->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    assert_non_null(run->producer);
}

/* One that has failed for good. What it has not heard of may be in the log or not. */
static void replace_producer(struct chaos_run *run)
{
    char why[256];

    rd_kafka_fatal_error(run->producer, why, sizeof(why));
    print_message("    another producer after %u records: %s\n", run->produced, why);
    rd_kafka_purge(run->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    while (rd_kafka_outq_len(run->producer) > 0)
        rd_kafka_poll(run->producer, TICK_MS);
    rd_kafka_destroy(run->producer);
    make_producer(run);
}

static void make_observer(struct chaos_run *run)
{
    rd_kafka_conf_t *conf = kafka_kit_conf();
    char why[256];

    kafka_kit_set(conf, "group.id", run->shared->group);
    kafka_kit_set(conf, "enable.auto.commit", "false");
    run->observer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    assert_non_null(run->observer);
}

/* Low numbers come often. One record of fifty has no key. */
static uint8_t key_of(struct chaos_run *run)
{
    uint64_t a = chaos_below(run, 1000), b = chaos_below(run, 1000);

    if (chaos_below(run, 50) == 0)
        return CHAOS_KEYS;
    return (uint8_t)(a * b * CHAOS_KEYS / 1000000);
}

static uint32_t kind_of(struct chaos_run *run, uint8_t key)
{
    uint64_t random = chaos_below(run, 200);

    if (key == CHAOS_STUCK_KEY && !run->plan.is_gentle)
        return CHAOS_STUCK;
    if (run->produced % SLOW_EVERY == SLOW_EVERY / 4 && !run->plan.is_gentle)
        return CHAOS_SLOW;
    if (random < 6)
        return random < 2 ? CHAOS_RETRIED : random < 4 ? CHAOS_SKIPPED : CHAOS_LATER;
    return CHAOS_PLAIN;
}

/* False: there is no room just now. */
static bool produce_one(struct chaos_run *run)
{
    uint8_t key = key_of(run);
    struct chaos_payload payload = {.number = run->produced, .kind = kind_of(run, key)};
    char text[8];
    bool has_key = key != CHAOS_KEYS;
    size_t size = (size_t)snprintf(text, sizeof(text), "k%u", key);
    const rd_kafka_vu_t values[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = run->shared->topic},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {has_key ? text : NULL, has_key ? size : 0}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {&payload, sizeof(payload)}},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = (void *)(uintptr_t)payload.number},
    };
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_error_t *error;

    if (run->produced == CHAOS_RECORDS)
        fail_msg("more records than there is room for");
    error = rd_kafka_produceva(run->producer, values, sizeof values / sizeof values[0]);
    if (error != NULL)
        err = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    /* What has failed for good is replaced with the next tick. */
    if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL ||
        rd_kafka_fatal_error(run->producer, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return false;
    assert_int_equal(err, RD_KAFKA_RESP_ERR_NO_ERROR);
    run->keys[run->produced++] = key;
    return true;
}

static void produce_due(struct chaos_run *run)
{
    int64_t passed_ms = now_ms(run) - run->produced_ms;

    run->produced_ms += passed_ms;
    if (!run->is_producing)
        return;
    run->owed += (uint64_t)passed_ms * run->plan.rate;
    while (run->owed >= 1000 && produce_one(run))
        run->owed -= 1000;
}

static bool is_acknowledged(struct chaos_run *run)
{
    return run->acknowledged_count + run->failed_count == run->produced;
}

void chaos_produce(struct chaos_run *run, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        while (!produce_one(run))
            chaos_tick(run);
    chaos_until(run, is_acknowledged, CHAOS_PATIENCE_MS, "the records to be acknowledged");
}

/* ---- what is committed ------------------------------------------------------------------- */

static void look_at_committed(struct chaos_run *run)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(CHAOS_PARTITIONS);

    rd_kafka_topic_partition_list_add_range(list, run->shared->topic, 0, CHAOS_PARTITIONS - 1);
    if ((run->broker->count > 1 || chaos_broker_is_up(run->broker)) &&
        rd_kafka_committed(run->observer, list, 1000) == RD_KAFKA_RESP_ERR_NO_ERROR)
        for (int i = 0; i < list->cnt; i++) {
            int64_t *committed = &run->committed[list->elems[i].partition];

            if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
                continue;
            if (list->elems[i].offset < *committed)
                fail_msg("the committed offset of partition %d fell from %" PRId64 " to %" PRId64,
                         list->elems[i].partition, *committed, list->elems[i].offset);
            *committed = list->elems[i].offset;
        }
    rd_kafka_topic_partition_list_destroy(list);
    run->looked_ms = now_ms(run);
}

bool chaos_is_committed(struct chaos_run *run)
{
    if (now_ms(run) < run->looked_ms + LOOK_MS)
        return false;
    look_at_committed(run);
    for (int i = 0; i < CHAOS_PARTITIONS; i++)
        if (run->ends[i] > 0 && run->committed[i] < run->ends[i])
            return false;
    return true;
}

bool chaos_is_handled_elsewhere(struct chaos_run *run)
{
    for (uint32_t i = 0; i < run->produced; i++)
        /* Relaxed: polled. */
        if (run->keys[i] != CHAOS_STUCK_KEY && run->acknowledged[i] != 0 &&
            atomic_load_explicit(&run->shared->handled[i], memory_order_relaxed) == 0)
            return false;
    return true;
}

/* ---- time passes ------------------------------------------------------------------------- */

void chaos_tick(struct chaos_run *run)
{
    if (now_ms(run) - run->ticked_ms > STALL_MS)
        chaos_note(run, 0, chaos_stalled);
    produce_due(run);
    rd_kafka_poll(run->producer, TICK_MS);
    if (rd_kafka_fatal_error(run->producer, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR)
        replace_producer(run);
    for (unsigned i = 0; i < run->life_count; i++)
        if (run->lives[i].state != LIFE_OVER)
            look_after(run, i);
    for (unsigned back = chaos_broker_work(run->broker, now_ms(run)); back > 0; back--)
        chaos_note(run, 0, chaos_broker_is_back);
    run->ticked_ms = now_ms(run);
}

/* Who has what, as far as members have told. */
static void print_owners(const struct chaos_run *run)
{
    static const char *const states[] = {
        [LIFE_RUNS] = "runs", [LIFE_FROZEN] = "is frozen", [LIFE_LEAVES] = "leaves"};

    for (unsigned i = 0; i < run->life_count; i++) {
        if (run->lives[i].state == LIFE_OVER)
            continue;
        print_message("    P%u %s%s%s, and has", i, states[run->lives[i].state],
                      run->shared->lives[i].instance[0] == '\0' ? "" : " as ",
                      run->shared->lives[i].instance);
        for (int p = 0; p < CHAOS_PARTITIONS; p++)
            /* Relaxed: polled. */
            if (atomic_load_explicit(&run->shared->owners[p], memory_order_relaxed) == i + 1)
                print_message(" p%d", p);
        print_message("\n");
    }
}

/* Where the group stands, and what nobody has handled. */
static void print_rest(struct chaos_run *run)
{
    unsigned count = 0;

    look_at_committed(run);
    for (int i = 0; i < CHAOS_PARTITIONS; i++)
        print_message("    p%d: committed %" PRId64 " of %" PRId64 "\n", i, run->committed[i],
                      run->ends[i]);
    for (uint32_t i = 0; i < run->produced; i++)
        /* Relaxed: polled. */
        if (atomic_load_explicit(&run->shared->handled[i], memory_order_relaxed) == 0 &&
            count++ < REST_SHOWN)
            print_message("    record %u, key %u, was not handled\n", i, run->keys[i]);
    print_message("    %u of %u records were not handled\n", count, run->produced);
    print_owners(run);
}

void chaos_until(struct chaos_run *run, chaos_condition condition, int64_t wait_ms,
                 const char *what)
{
    int64_t until_ms = now_ms(run) + wait_ms;

    while (!condition(run)) {
        if (now_ms(run) > until_ms) {
            print_rest(run);
            fail_msg("waited %" PRId64 "ms for %s", wait_ms, what);
        }
        chaos_tick(run);
    }
}

void chaos_pass(struct chaos_run *run, int64_t ms)
{
    for (int64_t until_ms = now_ms(run) + ms; now_ms(run) < until_ms;)
        chaos_tick(run);
}

/* ---- the end ----------------------------------------------------------------------------- */

static bool is_broker_up(struct chaos_run *run)
{
    return chaos_broker_is_up(run->broker);
}

bool chaos_is_quiet(struct chaos_run *run)
{
    for (unsigned i = 0; i < run->life_count; i++)
        if (run->lives[i].state == LIFE_RUNS &&
            chaos_life_of(run, run->shared->lives[i].instance, &run->lives[i]) != NULL)
            return false;
    return chaos_count(run, LIFE_FROZEN) + chaos_count(run, LIFE_LEAVES) == 0;
}

static bool has_no_member(struct chaos_run *run)
{
    return chaos_count(run, LIFE_OVER) == run->life_count;
}

/* With what nobody was told of. A leader that was frozen does not know at once that it is none any
 * more, and its log ends before what another has acknowledged. */
static bool knows_ends(struct chaos_run *run)
{
    int64_t ends[CHAOS_PARTITIONS];

    for (int i = 0; i < CHAOS_PARTITIONS; i++) {
        ends[i] = kafka_kit_end(run->shared->topic, i);
        if (ends[i] < run->ends[i])
            return false;
    }
    memcpy(run->ends, ends, sizeof(ends));
    return true;
}

void chaos_settle(struct chaos_run *run)
{
    chaos_until(run, is_broker_up, CHAOS_PATIENCE_MS, "the broker");
    chaos_until(run, chaos_is_quiet, CHAOS_PATIENCE_MS, "members to thaw or end");
    if (chaos_count(run, LIFE_RUNS) == 0)
        chaos_join(run, run->plan.instances == NULL ? NULL : run->plan.instances[0], CHAOS_SOUND);
    chaos_until(run, is_acknowledged, CHAOS_PATIENCE_MS, "the records to be acknowledged");
    chaos_until(run, knows_ends, CHAOS_PATIENCE_MS, "the ends to hold what was acknowledged");
    /* Relaxed, both: members poll them. */
    atomic_store_explicit(&run->shared->is_hasty, true, memory_order_relaxed);
    chaos_until(run, chaos_is_handled_elsewhere, CHAOS_PATIENCE_MS,
                "all keys beside the stuck one");
    atomic_store_explicit(&run->shared->is_open, true, memory_order_relaxed);
    chaos_until(run, chaos_is_committed, CHAOS_PATIENCE_MS, "everything to be committed");
}

void chaos_leave_all(struct chaos_run *run)
{
    for (unsigned i = 0; i < run->life_count; i++)
        if (run->lives[i].state == LIFE_RUNS)
            chaos_leave(run, i);
    chaos_until(run, has_no_member, CHAOS_PATIENCE_MS, "all members to end");
}

void chaos_plan(struct chaos_run *run, const struct chaos_plan *plan)
{
    run->plan = *plan;
    if (!kafka_library_is_consumer_protocol())
        return;
    run->plan.session_ms =
        run->broker->count > 1 ? CHAOS_CLUSTER_SESSION_MS : CHAOS_LONE_SESSION_MS;
    run->plan.instances = NULL;
    run->plan.replacements = 0;
}

void chaos_run_begin(struct chaos_run *run, struct chaos_broker *broker,
                     const struct chaos_plan *plan)
{
    run->broker = broker;
    chaos_plan(run, plan);
    run->fd = -1;
    run->shared = chaos_shared_map(&run->fd);
    assert_non_null(run->shared);
    run->shared->begin_ms = chaos_now_ms(run->shared);
    run->shared->conductor = getpid();
    for (int i = 0; i < CHAOS_PARTITIONS; i++)
        run->committed[i] = RD_KAFKA_OFFSET_INVALID;
    chaos_broker_up(broker);
    kafka_kit_use(broker->bootstrap);
    run->shared->is_cluster = broker->count > 1;
    snprintf(run->shared->bootstrap, sizeof(run->shared->bootstrap), "%s", broker->clients);
    kafka_kit_name(run->shared->topic, "topic");
    kafka_kit_name(run->shared->group, "group");
    if (getenv("KLANE_CHAOS_MEMBERS") != NULL)
        snprintf(run->log, sizeof(run->log), "%s", getenv("KLANE_CHAOS_MEMBERS"));
    else
        scratch_path(&broker->scratch, "members", run->log);
    remove(run->log);
    kafka_kit_topic(run->shared->topic, CHAOS_PARTITIONS, NULL);
    make_producer(run);
    make_observer(run);
    run->ticked_ms = now_ms(run);
}

static void print_log(const struct chaos_run *run)
{
    FILE *file = getenv("KLANE_CHAOS_MEMBERS") != NULL ? NULL : fopen(run->log, "r");
    char line[512];

    if (file == NULL)
        return;
    /* Why one has died, before all the rest: some who collect output keep only its beginning. */
    while (fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "member ", strlen("member ")) == 0)
            fputs(line, stderr);
    rewind(file);
    fprintf(stderr, "what members have printed:\n");
    while (fgets(line, sizeof(line), file) != NULL)
        fprintf(stderr, "    %s", line);
    fclose(file);
}

void chaos_run_end(struct chaos_run *run)
{
    for (unsigned i = 0; i < run->life_count; i++) {
        if (run->lives[i].state == LIFE_OVER || run->lives[i].pid <= 0)
            continue;
        kill(run->lives[i].pid, SIGKILL);
        waitpid(run->lives[i].pid, NULL, 0);
    }
    if (!run->is_well)
        print_log(run);
    if (run->shared != NULL)
        chaos_print_all(run->shared);
    if (run->producer != NULL) {
        rd_kafka_purge(run->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(run->producer);
    }
    if (run->observer != NULL)
        rd_kafka_destroy(run->observer);
    kafka_kit_deinit();
    if (run->shared != NULL)
        chaos_shared_unmap(run->shared);
    if (run->fd != -1)
        close(run->fd);
}
