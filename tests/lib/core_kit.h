/* SPDX-License-Identifier: Apache-2.0 */
/* The core with a time that tests move, and short words for what happens to it. After every
 * step the whole core is verified. A test's own: one thread. */
#ifndef KLANE_TESTS_LIB_CORE_KIT_H
#define KLANE_TESTS_LIB_CORE_KIT_H

#include "lib/check.h"

#include "core/core.h"

#include <string.h>

enum { CORE_KIT_RETRY_MS = 100 };

struct core_kit {
    struct core core;
    struct core_topic topic;
    int64_t now_ms;
    uint32_t epoch;
};

static inline struct core_config core_kit_config(void)
{
    return (struct core_config){
        .records_max = 1000,
        .lane_records_max = 100,
        .commit_interval_ms = 1000,
        .commit_records = 1000,
        .drain_ms = 2000,
        .settle_ms = 500,
        .seed = 1,
    };
}

static inline void core_kit_init(struct core_kit *kit, struct core_config config)
{
    *kit = (struct core_kit){.topic = {.name = "topic"}, .now_ms = 10000};
    assert_true(core_init(&kit->core, &config));
    kit->core.commit.sent_ms = kit->now_ms;
}

static inline void core_kit_deinit(struct core_kit *kit)
{
    assert_true(core_is_empty(&kit->core));
    assert_int_equal(kit->core.lanes.table.count, 0);
    assert_int_equal(kit->core.timers.count, 0);
    assert_int_equal(kit->core.states.table.count, 0);
    core_deinit(&kit->core);
}

static inline struct klane_assignment *core_kit_assign(struct core_kit *kit, int32_t partition,
                                                       int64_t begin)
{
    struct klane_assignment *assignment =
        core_assign(&kit->core, &kit->topic, partition, ++kit->epoch, begin, NULL);

    assert_non_null(assignment);
    core_verify(&kit->core);
    return assignment;
}

/* key NULL: a lane for this record alone. Quietly: the core is not verified, for many in a row. */
static inline bool core_kit_try_quietly(struct core_kit *kit, struct klane_assignment *assignment,
                                        int64_t offset, const char *key)
{
    struct source_record record = {
        .key = key,
        .key_size = key == NULL ? 0 : (uint32_t)strlen(key),
        .offset = offset,
    };
    struct core_place place = {.kind = key == NULL ? LANE_OF_RECORD : LANE_OF_KEY,
                               .has_state = key != NULL && kit->topic.states != NULL};

    return core_take_in(&kit->core, assignment, &record, &place);
}

static inline bool core_kit_try(struct core_kit *kit, struct klane_assignment *assignment,
                                int64_t offset, const char *key)
{
    bool in = core_kit_try_quietly(kit, assignment, offset, key);

    core_verify(&kit->core);
    return in;
}

static inline void core_kit_take_in(struct core_kit *kit, struct klane_assignment *assignment,
                                    int64_t offset, const char *key)
{
    assert_true(core_kit_try(kit, assignment, offset, key));
}

/* The next slot to run, which must be of this offset. */
static inline struct klane_slot *core_kit_start(struct core_kit *kit, int64_t offset)
{
    struct klane_slot *slot = core_next_ready(&kit->core);

    assert_non_null(slot);
    assert_int_equal(slot->record.offset, offset);
    core_verify(&kit->core);
    return slot;
}

/* The holder reports, and leaves what follows to control. */
static inline void core_kit_back(struct core_kit *kit, struct klane_slot *slot,
                                 enum slot_outcome outcome)
{
    slot->back.outcome = (uint8_t)outcome;
    slot->back.passed = false;
    core_came_back(&kit->core, slot, CORE_KIT_RETRY_MS, kit->now_ms);
    core_verify(&kit->core);
}

/* The holder goes on with the next slot of the lane, without asking. NULL: there is none.
 * Report it with core_kit_report() at any time later. */
static inline struct klane_slot *core_kit_pass(struct klane_slot *slot)
{
    struct chain_link *next = chain_finish(&slot->chain);

    slot->back.outcome = SLOT_DONE;
    slot->back.passed = true;
    return next == NULL ? NULL : slot_of_link(next);
}

static inline void core_kit_report(struct core_kit *kit, struct klane_slot *slot)
{
    core_came_back(&kit->core, slot, -1, kit->now_ms);
    core_verify(&kit->core);
}

static inline void core_kit_run(struct core_kit *kit, int64_t offset)
{
    core_kit_back(kit, core_kit_start(kit, offset), SLOT_DONE);
}

static inline void core_kit_wait(struct core_kit *kit, int64_t ms)
{
    kit->now_ms += ms;
    core_tick(&kit->core, kit->now_ms);
    core_verify(&kit->core);
}

/* Commits at this moment if it is due; the offset for the assignment, or -1. */
static inline int64_t core_kit_commit_send(struct core_kit *kit,
                                           const struct klane_assignment *assignment)
{
    struct klane_assignment *sent = core_next_commit(&kit->core, kit->now_ms);

    for (; sent != NULL; sent = sent->committing_next)
        if (sent == assignment)
            return sent->committing;
    return -1;
}

static inline void core_kit_commit_answer(struct core_kit *kit, bool acknowledged)
{
    core_committed(&kit->core, acknowledged, kit->now_ms);
    core_verify(&kit->core);
}

static inline enum assignment_notice core_kit_notice(struct core_kit *kit)
{
    struct klane_assignment *assignment;

    return core_next_notice(&kit->core, &assignment);
}

static inline void core_kit_revoke(struct core_kit *kit, struct klane_assignment *assignment)
{
    core_revoke(&kit->core, assignment, kit->now_ms);
    core_verify(&kit->core);
}

static inline void core_kit_lose(struct core_kit *kit, struct klane_assignment *assignment)
{
    core_lost(&kit->core, assignment);
    core_verify(&kit->core);
}

/* Sends what there is to commit, is told that the assignment settled, and gives it up. */
static inline void core_kit_settle(struct core_kit *kit, struct klane_assignment *assignment)
{
    if (core_next_commit(&kit->core, kit->now_ms) != NULL)
        core_kit_commit_answer(kit, true);
    assert_int_equal(core_kit_notice(kit), NOTICE_SETTLED);
    core_given_up(&kit->core, assignment);
    core_verify(&kit->core);
}

#endif
