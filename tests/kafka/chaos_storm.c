/* SPDX-License-Identifier: Apache-2.0 */
/* What happens on a cluster: each fault of a pack, in an order of chance, and after each a look at
 * how long it takes until every partition gets on: see chaos_progress.c. One broker is away at a
 * time; while it comes back, faults of the network and of members go on. */
#include "kafka/chaos_progress.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MEMBERS 3

/* So long may it take. */
#define AFTER_BROKER_KILL_MS 5000
#define AFTER_ALL_MS 20000

/* Whom a fault of brokers is for. */
enum role { ANY, CONTROLLER, COORDINATOR, LEADER };

enum victim { MEMBER, BROKER, NETWORK };

struct kind {
    const char *name;
    enum victim victim;
    unsigned count; /* in a pack */
    void (*strike)(struct chaos_run *run, enum role role);
    enum role role;
    int64_t bound_ms;
};

struct tally {
    unsigned count;
    unsigned late; /* over the bound */
    int64_t longest_ms;
    int64_t sum_ms;
};

static int64_t now_ms(const struct chaos_run *run)
{
    return chaos_now_ms(run->shared);
}

/* ---- members ----------------------------------------------------------------------------- */

static void kill_member(struct chaos_run *run, enum role role)
{
    (void)role;
    chaos_kill(run, chaos_pick(run, LIFE_RUNS));
    run->counts.kills++;
}

static void freeze_member(struct chaos_run *run, enum role role)
{
    int64_t ms = run->plan.session_ms + 500 + (int64_t)chaos_below(run, 1500);

    (void)role;
    chaos_freeze(run, chaos_pick(run, LIFE_RUNS), ms);
    run->counts.freezes++;
}

static void freeze_member_a_moment(struct chaos_run *run, enum role role)
{
    (void)role;
    chaos_freeze(run, chaos_pick(run, LIFE_RUNS), 100 + (int64_t)chaos_below(run, 900));
    run->counts.hiccups++;
}

static void let_member_leave(struct chaos_run *run, enum role role)
{
    (void)role;
    chaos_leave(run, chaos_pick(run, LIFE_RUNS));
    run->counts.leaves++;
}

/* ---- brokers ----------------------------------------------------------------------------- */

/* As the group's coordinator is found: the name's hash, as Java makes it, names the partition of
 * the offsets' topic. */
static int32_t coordinating_partition(const char *group, int count)
{
    uint32_t hash = 0;

    for (; *group != '\0'; group++)
        hash = 31 * hash + (unsigned char)*group;
    return (int32_t)((int32_t)hash < 0 ? 0 - hash : hash) % count;
}

/* The node that leads a partition; any, if it cannot be told. */
static unsigned leader_of(struct chaos_run *run, const char *topic, const char *group)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(run->observer, topic, NULL);
    const struct rd_kafka_metadata *metadata;
    unsigned node = (unsigned)chaos_below(run, CHAOS_NODES);

    if (rd_kafka_metadata(run->observer, 0, handle, &metadata, 2000) ==
        RD_KAFKA_RESP_ERR_NO_ERROR) {
        const struct rd_kafka_metadata_topic *found = &metadata->topics[0];
        int32_t partition =
            group == NULL ? 0 : coordinating_partition(group, found->partition_cnt);

        for (int i = 0; i < found->partition_cnt; i++)
            if (found->partitions[i].id == partition && found->partitions[i].leader > 0)
                node = (unsigned)found->partitions[i].leader - 1;
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_topic_destroy(handle);
    return node;
}

static unsigned node_of(struct chaos_run *run, enum role role)
{
    switch (role) {
    case CONTROLLER:
        return chaos_broker_controller(run->broker);
    case COORDINATOR:
        return leader_of(run, "__consumer_offsets", run->shared->group);
    case LEADER:
        return leader_of(run, run->shared->topic, NULL);
    default:
        return (unsigned)chaos_below(run, CHAOS_NODES);
    }
}

static void kill_broker(struct chaos_run *run, enum role role)
{
    unsigned node = node_of(run, role);

    chaos_note(run, 0, chaos_broker_goes);
    chaos_broker_restart(run->broker, node, true);
    run->counts.broker_kills++;
}

static void stop_broker(struct chaos_run *run, enum role role)
{
    unsigned node = node_of(run, role);

    chaos_note(run, 0, chaos_broker_goes);
    chaos_broker_restart(run->broker, node, false);
    run->counts.broker_stops++;
}

static void freeze_broker(struct chaos_run *run, enum role role)
{
    unsigned node = node_of(run, role);
    int64_t ms = 500 + (int64_t)chaos_below(run, 3500);

    chaos_note(run, 0, chaos_broker_goes);
    chaos_broker_freeze(run->broker, node, now_ms(run) + ms);
    run->counts.broker_freezes++;
}

static bool brokers_are_up(struct chaos_run *run)
{
    return chaos_broker_is_up(run->broker);
}

static void restart_all_brokers(struct chaos_run *run, enum role role)
{
    (void)role;
    for (unsigned node = 0; node < CHAOS_NODES; node++) {
        chaos_until(run, brokers_are_up, CHAOS_PATIENCE_MS,
                    "a broker of those that restart in turn");
        chaos_note(run, 0, chaos_broker_goes);
        chaos_broker_restart(run->broker, node, false);
        run->counts.broker_stops++;
    }
}

/* ---- the network ------------------------------------------------------------------------- */

/* For a while, on the way to one broker, or, one time of three, to all. */
static void spoil(struct chaos_run *run, const struct proxy_faults *faults, int64_t ms)
{
    bool is_for_all = chaos_below(run, 3) == 0;
    unsigned node = (unsigned)chaos_below(run, CHAOS_NODES);

    chaos_note(run, 0, chaos_network_fails);
    for (unsigned i = 0; i < CHAOS_NODES; i++)
        if (is_for_all || i == node)
            proxy_set(run->broker->proxy, i, faults);
    chaos_pass(run, ms);
    for (unsigned i = 0; i < CHAOS_NODES; i++)
        proxy_set(run->broker->proxy, i, NULL);
    chaos_note(run, 0, chaos_network_is_well);
    run->counts.network++;
}

static void delay(struct chaos_run *run, enum role role)
{
    struct proxy_faults faults = {.is_refusing = false};

    (void)role;
    for (int way = 0; way < PROXY_WAYS; way++) {
        faults.ways[way].delay_ms = (uint32_t)chaos_below(run, 200);
        faults.ways[way].jitter_ms = (uint32_t)chaos_below(run, 200);
    }
    spoil(run, &faults, 500 + (int64_t)chaos_below(run, 1000));
}

static void throttle(struct chaos_run *run, enum role role)
{
    struct proxy_faults faults = {.is_refusing = false};

    (void)role;
    faults.ways[chaos_below(run, PROXY_WAYS)].rate = 2000 + (uint32_t)chaos_below(run, 20000);
    spoil(run, &faults, 500 + (int64_t)chaos_below(run, 1000));
}

static void cut(struct chaos_run *run, enum role role)
{
    struct proxy_faults faults = {.is_refusing = false};

    (void)role;
    faults.ways[chaos_below(run, PROXY_WAYS)].cut = 1 + (uint32_t)chaos_below(run, 1000);
    spoil(run, &faults, 100 + (int64_t)chaos_below(run, 500));
}

/* Now and then longer than a session: then those behind it are taken for dead. */
static int64_t silence_ms(struct chaos_run *run)
{
    return (chaos_below(run, 6) == 0 ? run->plan.session_ms : 200) +
           (int64_t)chaos_below(run, 1500);
}

static void swallow(struct chaos_run *run, enum role role)
{
    const struct proxy_faults faults = {
        .ways = {[PROXY_UP] = {.is_silent = true}, [PROXY_DOWN] = {.is_silent = true}}};

    (void)role;
    spoil(run, &faults, silence_ms(run));
}

static void half_open(struct chaos_run *run, enum role role)
{
    struct proxy_faults faults = {.is_refusing = false};

    (void)role;
    faults.ways[chaos_below(run, PROXY_WAYS)].is_silent = true;
    spoil(run, &faults, silence_ms(run));
}

/* And cuts, so that somebody connects. */
static void refuse(struct chaos_run *run, enum role role)
{
    const struct proxy_faults faults = {.ways = {[PROXY_UP] = {.cut = 1}}, .is_refusing = true};

    (void)role;
    spoil(run, &faults, 200 + (int64_t)chaos_below(run, 1000));
}

/* ---- one after the other ----------------------------------------------------------------- */

static const struct kind kinds[] = {
    {"member killed", MEMBER, 7, kill_member, ANY, CHAOS_AFTER_KILL_MS},
    {"member frozen for longer than its session", MEMBER, 5, freeze_member, ANY, AFTER_ALL_MS},
    {"member frozen for a moment", MEMBER, 6, freeze_member_a_moment, ANY, AFTER_ALL_MS},
    {"member leaves", MEMBER, 8, let_member_leave, ANY, AFTER_ALL_MS},
    {"broker killed, any", BROKER, 2, kill_broker, ANY, AFTER_BROKER_KILL_MS},
    {"broker killed, controller", BROKER, 2, kill_broker, CONTROLLER, AFTER_BROKER_KILL_MS},
    {"broker killed, coordinator", BROKER, 2, kill_broker, COORDINATOR, AFTER_BROKER_KILL_MS},
    {"broker killed, a leader", BROKER, 2, kill_broker, LEADER, AFTER_BROKER_KILL_MS},
    {"broker stopped, controller", BROKER, 2, stop_broker, CONTROLLER, AFTER_ALL_MS},
    {"broker stopped, coordinator", BROKER, 2, stop_broker, COORDINATOR, AFTER_ALL_MS},
    {"broker frozen, any", BROKER, 3, freeze_broker, ANY, AFTER_ALL_MS},
    {"broker frozen, controller", BROKER, 2, freeze_broker, CONTROLLER, AFTER_ALL_MS},
    {"brokers restarted in turn", BROKER, 1, restart_all_brokers, ANY, AFTER_ALL_MS},
    {"network: delay and jitter", NETWORK, 9, delay, ANY, AFTER_ALL_MS},
    {"network: slow", NETWORK, 9, throttle, ANY, AFTER_ALL_MS},
    {"network: cut in a frame", NETWORK, 14, cut, ANY, AFTER_ALL_MS},
    {"network: black hole", NETWORK, 8, swallow, ANY, AFTER_ALL_MS},
    {"network: half open", NETWORK, 8, half_open, ANY, AFTER_ALL_MS},
    {"network: refuses", NETWORK, 10, refuse, ANY, AFTER_ALL_MS},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))
#define PACK_MOST 256

static struct tally tallies[KINDS];

/* Of every kind its part, and one at least. */
static unsigned make_pack(struct chaos_run *run, uint8_t pack[PACK_MOST])
{
    unsigned part = run->plan.part > 0 ? run->plan.part : 1, count = 0;

    for (uint8_t kind = 0; kind < KINDS; kind++)
        for (unsigned i = 0; i < kinds[kind].count; i += part)
            pack[count++] = kind;
    for (unsigned i = count; i > 1; i--) {
        uint64_t other = chaos_below(run, i);
        uint8_t kept = pack[i - 1];

        pack[i - 1] = pack[other];
        pack[other] = kept;
    }
    return count;
}

/* Takes the first out of the pack that can be now: the others wait for a broker. */
static uint8_t draw(struct chaos_run *run, uint8_t *pack, unsigned count)
{
    unsigned at = 0;
    uint8_t kind;

    while (!brokers_are_up(run) && at < count && kinds[pack[at]].victim == BROKER)
        at++;
    if (at == count) {
        chaos_until(run, brokers_are_up, CHAOS_PATIENCE_MS, "a broker");
        at = 0;
    }
    kind = pack[at];
    memmove(&pack[at], &pack[at + 1], count - at - 1);
    return kind;
}

/* Frozen ones count: they come back. */
static void fill_up(struct chaos_run *run)
{
    while (chaos_count(run, LIFE_RUNS) + chaos_count(run, LIFE_FROZEN) < MEMBERS)
        chaos_join(run, NULL, CHAOS_SOUND);
}

/* Whether the first of its replicas leads each partition of a topic. */
static bool is_at_home(struct chaos_run *run, const char *topic)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(run->observer, topic, NULL);
    const struct rd_kafka_metadata *metadata;
    bool is_so = false;

    if (rd_kafka_metadata(run->observer, 0, handle, &metadata, 2000) ==
        RD_KAFKA_RESP_ERR_NO_ERROR) {
        const struct rd_kafka_metadata_topic *found = &metadata->topics[0];

        is_so = found->partition_cnt > 0;
        for (int i = 0; i < found->partition_cnt; i++)
            is_so = is_so && found->partitions[i].replica_cnt > 0 &&
                    found->partitions[i].leader == found->partitions[i].replicas[0];
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_topic_destroy(handle);
    return is_so;
}

/* Nothing but its death decides how long the group takes without a member. Kafka takes longer by
 * its own rules when a member dies after it has asked to join, as it is found out a session after
 * the group has formed; and when the coordinator moves meanwhile, as the next one begins all
 * sessions anew, also the dead one's. Leaders move, home, in the five seconds after a broker has
 * come back: that made 9.2 s of a session of 5. */
static bool is_alone(struct chaos_run *run)
{
    if (!chaos_is_settled(run))
        return false;
    if (is_at_home(run, "__consumer_offsets") && is_at_home(run, run->shared->topic))
        return true;
    run->assigned_ms = now_ms(run);
    return false;
}

static bool two_run(struct chaos_run *run)
{
    return chaos_count(run, LIFE_RUNS) >= 2;
}

static int64_t bound_of(const struct chaos_run *run, const struct kind *kind)
{
    return kind->bound_ms + (kind->strike == kill_member ? run->plan.session_ms : 0);
}

/* All faults of a kind together. */
static void check_averages(const struct chaos_run *run)
{
    for (unsigned i = 0; i < KINDS; i++)
        if (tallies[i].sum_ms > tallies[i].count * bound_of(run, &kinds[i]))
            chaos_is_too_slow(kinds[i].name, tallies[i].sum_ms / tallies[i].count,
                              bound_of(run, &kinds[i]));
}

static void strike(struct chaos_run *run, uint8_t number)
{
    const struct kind *kind = &kinds[number];
    struct tally *tally = &tallies[number];
    int64_t bound_ms = bound_of(run, kind);
    int64_t began_ms, took_ms, longest_ms;

    if (kind->strike == kill_member)
        chaos_until(run, is_alone, CHAOS_PATIENCE_MS, "the group and the brokers to settle");
    else
        chaos_until(run, two_run, CHAOS_PATIENCE_MS, "two members");
    run->since = run->acknowledged_count;
    began_ms = now_ms(run);
    kind->strike(run, kind->role);
    if (kind->victim == NETWORK || kind->strike == restart_all_brokers) {
        run->since = run->acknowledged_count;
        began_ms = now_ms(run);
    }
    chaos_until(run, chaos_gets_on, CHAOS_PATIENCE_MS, kind->name);
    took_ms = now_ms(run) - began_ms;
    tally->count++;
    tally->sum_ms += took_ms;
    if (took_ms > tally->longest_ms)
        tally->longest_ms = took_ms;
    tally->late += took_ms > bound_ms;
    /* A member is killed where nothing else is in the way. All else may meet what the one before
     * has left: a member that the group forms without, a broker that is not back. */
    longest_ms = kind->strike == kill_member ? bound_ms : 2 * bound_ms;
    if (took_ms > longest_ms)
        chaos_is_too_slow(kind->name, took_ms, longest_ms);
    if (getenv("KLANE_CHAOS_STORM") != NULL)
        print_message("%8" PRId64 "ms %s: %" PRId64 "ms\n", now_ms(run), kind->name, took_ms);
}

unsigned chaos_storm(struct chaos_run *run)
{
    uint8_t pack[PACK_MOST];
    unsigned count = make_pack(run, pack);

    run->produced_ms = now_ms(run);
    run->is_producing = true;
    fill_up(run);
    run->since = 0;
    chaos_until(run, chaos_gets_on, CHAOS_PATIENCE_MS, "the first records");
    for (unsigned left = count; left > 0; left--) {
        fill_up(run);
        strike(run, draw(run, pack, left));
    }
    run->is_producing = false;
    check_averages(run);
    return count;
}

void chaos_storm_print(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < KINDS; i++) {
        count += tallies[i].count;
        if (tallies[i].count > 0)
            print_message("    %4u %-42s no progress for %5" PRId64 " ms at most, %5" PRId64
                          " on average, %u too late\n",
                          tallies[i].count, kinds[i].name, tallies[i].longest_ms,
                          tallies[i].sum_ms / tallies[i].count, tallies[i].late);
    }
    print_message("    %4u faults\n", count);
}
