/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/members.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* How often members look whether it is over, and arms at the board. */
enum { LOOK_MS = 5, WAIT_MS = 60000 };

/* A member learns from a heartbeat that another has joined: the default of 3 s would be most of
 * what a join takes. */
#define HEARTBEAT_MS "100"

/* Of a bare member: as often as klane commits by default. */
#define COMMIT_MS "1000"

#define LOAD(count) atomic_load_explicit(&(count), memory_order_relaxed)
#define STORE(count, value) atomic_store_explicit(&(count), (value), memory_order_relaxed)
#define ADD(count, value) atomic_fetch_add_explicit(&(count), (value), memory_order_relaxed)

/* ---- a member's own process ------------------------------------------------------------ */

/* Of this process. */
struct self {
    struct members *members;
    struct member *member;
};

static void note(const struct self *self, int32_t number, int64_t offset)
{
    struct members_partition *partition = &self->members->partitions[number];
    int64_t now_ns = bench_now_ns(), before_ns, gap_ns;

    if (offset >= MEMBERS_OFFSETS_MAX)
        bench_fail("too many records");
    /* The board has no order, so it is all the same which thread is first. */
    before_ns = atomic_exchange_explicit(&partition->handled_ns, now_ns, memory_order_relaxed);
    gap_ns = LOAD(partition->gap_ns);
    while (before_ns != 0 && now_ns - before_ns > gap_ns &&
           !atomic_compare_exchange_weak_explicit(&partition->gap_ns, &gap_ns, now_ns - before_ns,
                                                  memory_order_relaxed, memory_order_relaxed))
        continue;
    if (atomic_exchange_explicit(&partition->is_handled[offset], true, memory_order_relaxed))
        ADD(partition->repeated, 1);
    ADD(partition->handled, 1);
    ADD(self->member->handled, 1);
}

static enum klane_outcome handle_by_noting(const struct klane_record *record, void *context)
{
    const struct self *self = context;
    const struct members_rules *rules = &self->members->rules;
    uint64_t key = cluster_key_number(record->key);

    witness_begin(rules->witness, key, record->value);
    if (rules->sleep_ms > 0)
        bench_sleep_ms(rules->sleep_ms);
    note(self, record->partition, record->offset);
    witness_end(rules->witness, key, record->value);
    return KLANE_DONE;
}

static rd_kafka_conf_t *member_conf(const struct members *members)
{
    const struct cluster_setting settings[] = {
        {"partition.assignment.strategy", members->rules.assignor},
        {"heartbeat.interval.ms", HEARTBEAT_MS},
        {NULL, NULL},
    };
    rd_kafka_conf_t *conf = cluster_consumer_conf(members->group);

    cluster_set(conf, settings, NULL);
    return conf;
}

static void klane_member(struct self *self)
{
    struct members *members = self->members;
    struct klane_runtime *runtime;
    struct drive drive;

    drive_init(&drive, members->rules.workers, handle_by_noting, self);
    runtime = cluster_runtime(&drive, members->rules.topic, member_conf(members));
    bench_check(klane_start(runtime), "klane_start");
    while (!LOAD(members->is_over)) {
        STORE(self->member->partitions, (uint32_t)drive_stats(runtime).partitions);
        bench_sleep_ms(LOOK_MS);
    }
    klane_stop(runtime);
    drive_wait(runtime);
    drive_destroy(runtime);
}

static void bare_member(struct self *self)
{
    static const struct cluster_setting commits[] = {
        {"auto.commit.interval.ms", COMMIT_MS},
        {NULL, NULL},
    };
    struct members *members = self->members;
    rd_kafka_conf_t *conf = member_conf(members);
    rd_kafka_t *consumer;
    int64_t looked_ns = 0;

    cluster_set(conf, commits, NULL);
    consumer = cluster_bare_consumer(conf);
    cluster_subscribe(consumer, members->rules.topic);
    while (!LOAD(members->is_over)) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, LOOK_MS);

        if (message != NULL) {
            if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
                bench_fail("rd_kafka_consumer_poll: %s", rd_kafka_message_errstr(message));
            note(self, message->partition, message->offset);
            witness_pass(members->rules.witness, cluster_key_number(message->key),
                         message->payload);
            rd_kafka_message_destroy(message);
        }
        if (bench_now_ns() - looked_ns < LOOK_MS * 1000000)
            continue;
        looked_ns = bench_now_ns();
        STORE(self->member->partitions, (uint32_t)cluster_assigned(consumer));
    }
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
}

/* ---- for arms -------------------------------------------------------------------------- */

struct members *members_create(const struct members_rules *rules)
{
    struct members *members =
        mmap(NULL, sizeof(*members), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (members == MAP_FAILED)
        bench_fail("no memory");
    members->rules = *rules;
    cluster_name(members->group, "group");
    return members;
}

void members_add(struct members *members)
{
    struct self self = {members, &members->each[members->count]};
    pid_t process = bench_fork();

    if (process > 0) {
        self.member->process = process;
        members->count++;
        return;
    }
    if (members->rules.is_bare)
        bare_member(&self);
    else
        klane_member(&self);
    STORE(self.member->has_finished, true);
    _exit(0);
}

/* Each has its share: no more than one apart, together all. */
static bool is_shared_out(const struct members *members)
{
    uint32_t least = CLUSTER_PARTITIONS / members->count, all = 0;

    for (uint32_t i = 0; i < members->count; i++) {
        uint32_t own = LOAD(members->each[i].partitions);

        if (own < least || own > least + 1)
            return false;
        all += own;
    }
    return all == CLUSTER_PARTITIONS;
}

static bool is_alive(const struct members *members)
{
    for (uint32_t i = 0; i < members->count; i++)
        if (waitpid(members->each[i].process, NULL, WNOHANG) != 0)
            return false;
    return true;
}

/* Between two looks at the board. */
static void wait_a_little(const struct members *members, int64_t begin_ns, const char *what)
{
    if (!is_alive(members))
        bench_fail("a member has ended too early");
    if (bench_now_ns() - begin_ns > WAIT_MS * INT64_C(1000000))
        bench_fail("it took too long: %s", what);
    bench_sleep_ms(LOOK_MS);
}

static bool has_gone_on(const struct members *members, const uint64_t before[CLUSTER_PARTITIONS])
{
    for (int i = 0; i < CLUSTER_PARTITIONS; i++)
        if (LOAD(members->partitions[i].handled) == before[i])
            return false;
    return true;
}

void members_settle(struct members *members)
{
    int64_t begin_ns = bench_now_ns();

    while (!is_shared_out(members))
        wait_a_little(members, begin_ns, "to share the partitions out");
}

void members_flow(struct members *members)
{
    uint64_t before[CLUSTER_PARTITIONS];
    int64_t begin_ns = bench_now_ns();

    for (int i = 0; i < CLUSTER_PARTITIONS; i++)
        before[i] = LOAD(members->partitions[i].handled);
    while (!has_gone_on(members, before))
        wait_a_little(members, begin_ns, "to handle records of every partition");
}

uint64_t members_handled(const struct members *members)
{
    uint64_t handled = 0;

    for (uint32_t i = 0; i < members->count; i++)
        handled += LOAD(members->each[i].handled);
    return handled;
}

int64_t members_cpu_ns(const struct members *members)
{
    int64_t cpu_ns = 0;

    for (uint32_t i = 0; i < members->count; i++) {
        struct timespec time;
        clockid_t clock;

        if (clock_getcpuclockid(members->each[i].process, &clock) != 0 ||
            clock_gettime(clock, &time) != 0)
            bench_fail("a member has ended too early");
        cpu_ns += time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
    }
    return cpu_ns;
}

void members_gap_begin(struct members *members)
{
    for (int i = 0; i < CLUSTER_PARTITIONS; i++)
        STORE(members->partitions[i].gap_ns, 0);
}

int64_t members_gap_ns(const struct members *members)
{
    int64_t longest_ns = 0;

    for (int i = 0; i < CLUSTER_PARTITIONS; i++) {
        int64_t gap_ns = LOAD(members->partitions[i].gap_ns);
        int64_t open_ns = bench_now_ns() - LOAD(members->partitions[i].handled_ns);

        if (gap_ns > longest_ns)
            longest_ns = gap_ns;
        if (open_ns > longest_ns)
            longest_ns = open_ns;
    }
    return longest_ns;
}

uint64_t members_repeats(const struct members *members)
{
    uint64_t repeats = 0;

    for (int i = 0; i < CLUSTER_PARTITIONS; i++)
        repeats += LOAD(members->partitions[i].repeated);
    return repeats;
}

void members_wait(struct members *members, uint64_t records)
{
    int64_t begin_ns = bench_now_ns();

    while (members_handled(members) - members_repeats(members) < records)
        wait_a_little(members, begin_ns, "to handle every record");
}

void members_end(struct members *members)
{
    STORE(members->is_over, true);
    for (uint32_t i = 0; i < members->count; i++) {
        while (waitpid(members->each[i].process, NULL, 0) < 0 && errno == EINTR)
            continue;
        if (!LOAD(members->each[i].has_finished))
            bench_fail("a member has failed");
    }
}

void members_settings(const struct members *members, struct bench_run *run)
{
    bench_setting_text(run, "librdkafka", rd_kafka_version_str());
    bench_setting(run, "members", members->count);
    bench_setting(run, "partitions", CLUSTER_PARTITIONS);
    bench_setting_text(run, "assignor", members->rules.assignor);
    bench_setting_text(run, "heartbeat_ms", HEARTBEAT_MS);
    if (members->rules.is_bare)
        bench_setting_text(run, "auto.commit.interval.ms", COMMIT_MS);
    else
        bench_setting(run, "workers", members->rules.workers);
    if (members->rules.sleep_ms > 0)
        bench_setting(run, "sleep_ms", members->rules.sleep_ms);
}
