/* SPDX-License-Identifier: Apache-2.0 */
/* The judge of kafka/chaos.h on histories written by hand: of what happens once in a day of runs,
 * that it allows what Kafka's protocol does to a member that slept, and nothing beside that. */
#include "kafka/chaos_after.h"
#include "lib/check.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVENTS 64
#define RECORDS 40
#define PARTITION 3

/* Processes. */
enum { FIRST, SLEEPER, OTHER };

struct story {
    struct chaos_run run;
    struct chaos_judged judged;
    struct truth_record records[RECORDS];
    struct truth_commit commits[EVENTS];
    int64_t now_ms;
};

static int setup(void **state)
{
    struct story *story = calloc(1, sizeof(*story));

    assert_non_null(story);
    story->run.fd = -1;
    story->run.shared = chaos_shared_map(&story->run.fd);
    assert_non_null(story->run.shared);
    story->judged.run = &story->run;
    story->judged.truth.commits = story->commits;
    for (int64_t i = 0; i < RECORDS; i++)
        story->records[i] = (struct truth_record){.offset = i, .key = CHAOS_KEYS};
    story->judged.truth.records[PARTITION] = story->records;
    story->judged.truth.record_count[PARTITION] = RECORDS;
    assert_true(history_init(&story->judged.history, EVENTS));
    /* No event of a story is the first: that is a word for none. */
    history_add(&story->judged.history, (struct history_event){.type = HISTORY_APPEND});
    *state = story;
    return 0;
}

static int teardown(void **state)
{
    struct story *story = *state;

    history_deinit(&story->judged.history);
    chaos_shared_unmap(story->run.shared);
    close(story->run.fd);
    free(story);
    return 0;
}

/* ---- how a story is told ----------------------------------------------------------------- */

static void tell(struct story *story, struct history_event event)
{
    event.time_ms = story->now_ms;
    event.partition = PARTITION;
    history_add(&story->judged.history, event);
}

static void note(struct story *story, uint8_t process, const char *name)
{
    tell(story, (struct history_event){.type = HISTORY_NOTE, .process = process, .name = name});
}

static void commits(struct story *story, uint8_t process, uint32_t epoch, int64_t offset)
{
    struct truth *truth = &story->judged.truth;
    struct history_event event = {.type = HISTORY_SENT,
                                  .process = process,
                                  .epoch = epoch,
                                  .offset = offset,
                                  .value = (int64_t)truth->commit_count};

    truth->commits[truth->commit_count] = (struct truth_commit){.offset = offset,
                                                                .number = event.value,
                                                                .place = truth->commit_count,
                                                                .partition = PARTITION,
                                                                .life = process};
    truth->commit_count++;
    tell(story, event);
    event.type = HISTORY_COMMITTED;
    tell(story, event);
    event.type = HISTORY_NOTE;
    event.name = chaos_acknowledged;
    tell(story, event);
}

static void assigned(struct story *story, uint8_t process, uint32_t epoch, int64_t offset)
{
    tell(story, (struct history_event){.type = HISTORY_ASSIGN,
                                       .process = process,
                                       .epoch = epoch,
                                       .offset = offset,
                                       .ceiling = offset});
}

static void of(struct story *story, enum history_type type, uint8_t process, uint32_t epoch)
{
    tell(story, (struct history_event){
                    .type = (uint8_t)type, .process = process, .epoch = epoch, .offset = 12});
}

/* The first commits 10, the sleeper may have read that as it falls asleep, the other takes the
 * partition over and commits 20. Epochs 1 and 2. */
static void it_is_taken_from_the_sleeper(struct story *story)
{
    commits(story, FIRST, 0, 5);
    assigned(story, FIRST, 1, 5);
    commits(story, FIRST, 1, 10);
    of(story, HISTORY_GIVEN_UP, FIRST, 1);
    note(story, SLEEPER, chaos_frozen);
    story->now_ms += 6300;
    assigned(story, OTHER, 2, 10);
    commits(story, OTHER, 2, 20);
    note(story, SLEEPER, chaos_thawed);
}

/* With epochs up to this. */
static bool is_just(struct story *story, uint32_t epochs)
{
    /* Relaxed: there is one thread. */
    atomic_store_explicit(&story->run.shared->epochs, epochs, memory_order_relaxed);
    return chaos_check(&story->judged);
}

static void assert_just(struct story *story, uint32_t epochs)
{
    if (!is_just(story, epochs))
        fail_msg("%s", story->judged.failure.text);
}

static void assert_condemned(struct story *story, uint32_t epochs, const char *what)
{
    assert_false(is_just(story, epochs));
    if (strstr(story->judged.failure.text, what) == NULL)
        fail_msg("%s", story->judged.failure.text);
}

/* ---- a member that slept ----------------------------------------------------------------- */

static void what_was_read_before_a_sleep_may_be_told_of_after_it(void **state)
{
    struct story *story = *state;

    it_is_taken_from_the_sleeper(story);
    assigned(story, SLEEPER, 3, 10);
    of(story, HISTORY_LOST, SLEEPER, 3);
    of(story, HISTORY_GIVEN_UP, OTHER, 2);
    assert_just(story, 3);
    assert_int_equal(story->run.counts.overslept, 1);
}

static void what_could_not_be_read_before_a_sleep_is_noticed(void **state)
{
    it_is_taken_from_the_sleeper(*state);
    assigned(*state, SLEEPER, 3, 5);
    assert_condemned(*state, 3, "it begins below 10");
}

static void who_slept_and_starts_for_long_is_noticed(void **state)
{
    struct story *story = *state;

    it_is_taken_from_the_sleeper(story);
    assigned(story, SLEEPER, 3, 10);
    of(story, HISTORY_START, SLEEPER, 3);
    story->now_ms += 4000;
    of(story, HISTORY_START, SLEEPER, 3);
    assert_condemned(story, 3, "another process has had the partition for 4000ms");
}

static void who_woke_long_ago_is_not_told_of_what_was(void **state)
{
    struct story *story = *state;

    it_is_taken_from_the_sleeper(story);
    story->now_ms += 4000;
    assigned(story, SLEEPER, 3, 10);
    assert_condemned(story, 3, "it begins below 20");
}

static void who_did_not_sleep_begins_where_the_last_has_committed(void **state)
{
    it_is_taken_from_the_sleeper(*state);
    assigned(*state, FIRST, 3, 10);
    assert_condemned(*state, 3, "it begins below 20");
}

static void who_slept_before_the_other_came_knows_nothing_old(void **state)
{
    struct story *story = *state;

    commits(story, FIRST, 0, 5);
    assigned(story, OTHER, 1, 5);
    note(story, SLEEPER, chaos_frozen);
    note(story, SLEEPER, chaos_thawed);
    commits(story, OTHER, 1, 10);
    assigned(story, SLEEPER, 2, 5);
    assert_condemned(story, 2, "it begins below 10");
}

static void who_has_a_partition_gives_it_up_before_another_gets_it(void **state)
{
    struct story *story = *state;

    commits(story, FIRST, 0, 5);
    assigned(story, FIRST, 1, 5);
    assigned(story, OTHER, 2, 5);
    of(story, HISTORY_GIVEN_UP, FIRST, 1);
    assert_condemned(story, 2, "another process has had the partition since before");
}

#define story_case(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        story_case(what_was_read_before_a_sleep_may_be_told_of_after_it),
        story_case(what_could_not_be_read_before_a_sleep_is_noticed),
        story_case(who_slept_and_starts_for_long_is_noticed),
        story_case(who_woke_long_ago_is_not_told_of_what_was),
        story_case(who_did_not_sleep_begins_where_the_last_has_committed),
        story_case(who_slept_before_the_other_came_knows_nothing_old),
        story_case(who_has_a_partition_gives_it_up_before_another_gets_it),
    };

    return check_run(tests);
}
