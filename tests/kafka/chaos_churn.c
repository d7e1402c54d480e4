/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to a group on one broker: each thing as often as the plan says, in an order of
 * chance. Mostly the group has formed again before the next.
 *
 * When a member is killed nothing else is in the way, so that what is measured is the death
 * alone: nobody is frozen or leaves and the broker is there; the group has formed, and nothing of
 * it has changed for a while; and nothing else happens until every partition gets on. For else
 * Kafka takes longer by its own rules: a member that dies after it has asked to join is found out
 * a session after the group has formed, a broker that comes back begins all sessions anew, and a
 * group waits for the session of one that is frozen. */
#include "kafka/chaos_progress.h"
#include "kafka/kafka_library.h"

#include <inttypes.h>
#include <stdlib.h>

#define ANSWER_MS 8000 /* for the group to answer to a step; then the next one comes */
#define REST_MS 100    /* at most; what comes next may meet what this one has left */
#define PACK_MOST 256

enum step { MOVE, KILL, FREEZE, HICCUP, REPLACE, RESTART };

/* ---- members ----------------------------------------------------------------------------- */

/* A static one stays in the group when it leaves; what befalls those are the other steps. */
static bool pick_dynamic(struct chaos_run *run, unsigned *number)
{
    unsigned picked[CHAOS_LIVES], count = 0;

    for (unsigned i = 0; i < run->life_count; i++)
        if (run->lives[i].state == LIFE_RUNS && run->shared->lives[i].instance[0] == '\0')
            picked[count++] = i;
    if (count > 0)
        *number = picked[chaos_below(run, count)];
    return count > 0;
}

static void leave(struct chaos_run *run, unsigned number)
{
    chaos_leave(run, number);
    run->counts.leaves++;
}

static void move(struct chaos_run *run)
{
    unsigned count = chaos_count(run, LIFE_RUNS), number;

    if (count <= run->plan.least || (count < run->plan.most && chaos_below(run, 2) == 0) ||
        !pick_dynamic(run, &number))
        chaos_join(run, NULL, CHAOS_SOUND);
    else
        leave(run, number);
}

static void kill_alone(struct chaos_run *run)
{
    int64_t bound_ms = run->plan.session_ms + CHAOS_AFTER_KILL_MS, began_ms, took_ms;

    chaos_until(run, chaos_is_quiet, CHAOS_PATIENCE_MS, "members to thaw or end");
    if (chaos_count(run, LIFE_RUNS) < 2)
        chaos_join(run, NULL, CHAOS_SOUND);
    chaos_until(run, chaos_is_settled, CHAOS_PATIENCE_MS, "the group to form");
    run->since = run->acknowledged_count;
    began_ms = chaos_now_ms(run->shared);
    chaos_kill(run, chaos_pick(run, LIFE_RUNS));
    run->counts.kills++;
    chaos_until(run, chaos_gets_on, CHAOS_PATIENCE_MS, "what the killed member had to get on");
    took_ms = chaos_now_ms(run->shared) - began_ms;
    run->counts.timed_kills++;
    if (took_ms > run->counts.longest_ms)
        run->counts.longest_ms = took_ms;
    if (took_ms > bound_ms)
        chaos_is_too_slow("a member was killed", took_ms, bound_ms);
}

/* So long that others have what it had when it wakes. */
static void freeze_long(struct chaos_run *run, unsigned number)
{
    chaos_freeze(run, number, run->plan.session_ms + 2000 + (int64_t)chaos_below(run, 1000));
    run->counts.freezes++;
}

/* A static one ends or freezes, and the next process of its instance comes at once. */
static void replace(struct chaos_run *run)
{
    unsigned count = 0, number;
    const char *instance;

    while (run->plan.instances[count] != NULL)
        count++;
    instance = run->plan.instances[chaos_below(run, count)];
    chaos_until(run, chaos_is_quiet, CHAOS_PATIENCE_MS, "members to thaw or end");
    if (chaos_life_of(run, instance, NULL) == NULL) {
        chaos_join(run, instance, CHAOS_SOUND);
        chaos_until(run, chaos_is_formed, CHAOS_PATIENCE_MS, "the group to form");
    }
    number = (unsigned)(chaos_life_of(run, instance, NULL) - run->lives);
    switch (chaos_below(run, 3)) {
    case 0:
        chaos_kill(run, number);
        run->counts.kills++;
        break;
    case 1:
        leave(run, number);
        break;
    default:
        freeze_long(run, number);
        break;
    }
    run->lives[chaos_join(run, instance, CHAOS_SOUND)].is_replacement = true;
}

/* ---- the broker -------------------------------------------------------------------------- */

/* Where it gives out the partitions, the only broker is not killed: when it is back it may say
 * that the group does not exist, and then keep for members that have ended what they had: see
 * README. Three brokers are killed in chaos_storm.c. */
static void restart_broker(struct chaos_run *run)
{
    static unsigned restarts;
    bool is_kill = restarts++ % 2 == 0 && !kafka_library_is_consumer_protocol();

    if (!chaos_broker_is_up(run->broker))
        return;
    chaos_note(run, 0, chaos_broker_goes);
    chaos_broker_restart(run->broker, 0, is_kill);
    if (is_kill)
        run->counts.broker_kills++;
    else
        run->counts.broker_stops++;
}

/* ---- one after the other ----------------------------------------------------------------- */

static unsigned put(uint8_t *pack, unsigned count, enum step step, unsigned times)
{
    while (times-- > 0) {
        assert_true(count < PACK_MOST);
        pack[count++] = (uint8_t)step;
    }
    return count;
}

static unsigned make_pack(const struct chaos_plan *plan, uint8_t pack[PACK_MOST])
{
    unsigned count = put(pack, 0, MOVE, plan->moves);

    count = put(pack, count, KILL, plan->kills);
    count = put(pack, count, FREEZE, plan->freezes);
    count = put(pack, count, HICCUP, plan->hiccups);
    count = put(pack, count, REPLACE, plan->replacements);
    return put(pack, count, RESTART, plan->restarts);
}

static void take(struct chaos_run *run, enum step step)
{
    static const char *const names[] = {
        "a member comes or leaves",      "a member is killed",          "a member freezes",
        "a member freezes for a moment", "a static member is replaced", "the broker restarts"};

    if (getenv("KLANE_CHAOS_STORM") != NULL)
        print_message("%8" PRId64 "ms %s\n", chaos_now_ms(run->shared), names[step]);
    while (chaos_count(run, LIFE_RUNS) == 0 ||
           chaos_count(run, LIFE_RUNS) + chaos_count(run, LIFE_FROZEN) < run->plan.least)
        chaos_join(run, NULL, CHAOS_SOUND);
    switch (step) {
    case MOVE:
        move(run);
        break;
    case KILL:
        kill_alone(run);
        break;
    case FREEZE:
        freeze_long(run, chaos_pick(run, LIFE_RUNS));
        break;
    case HICCUP:
        chaos_freeze(run, chaos_pick(run, LIFE_RUNS), 100 + (int64_t)chaos_below(run, 1000));
        run->counts.hiccups++;
        break;
    case REPLACE:
        replace(run);
        break;
    case RESTART:
        restart_broker(run);
        break;
    }
}

/* Four of five steps wait for the group; how long decides nothing. */
static void await_group(struct chaos_run *run)
{
    int64_t until_ms = chaos_now_ms(run->shared) + ANSWER_MS;

    if (chaos_below(run, 5) == 0)
        return;
    while (chaos_now_ms(run->shared) < until_ms && !chaos_is_formed(run))
        chaos_tick(run);
}

static void count_replacements(struct chaos_run *run)
{
    run->counts.replacements = 0;
    for (unsigned i = 0; i < run->life_count; i++)
        /* Relaxed: set long ago, or it does not count. */
        run->counts.replacements +=
            run->lives[i].is_replacement &&
            atomic_load_explicit(&run->shared->lives[i].was_assigned, memory_order_relaxed);
}

void chaos_churn(struct chaos_run *run)
{
    uint8_t pack[PACK_MOST];
    unsigned left = make_pack(&run->plan, pack);
    const char *const *instance = run->plan.instances;

    run->produced_ms = chaos_now_ms(run->shared);
    run->is_producing = true;
    for (; instance != NULL && *instance != NULL; instance++)
        chaos_join(run, *instance, CHAOS_SOUND);
    while (left > 0) {
        unsigned at = (unsigned)chaos_below(run, left--);
        enum step step = (enum step)pack[at];

        pack[at] = pack[left];
        take(run, step);
        await_group(run);
        chaos_pass(run, (int64_t)chaos_below(run, REST_MS));
    }
    run->is_producing = false;
    count_replacements(run);
}
