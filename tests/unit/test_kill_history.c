/* SPDX-License-Identifier: Apache-2.0 */
/* The judge of what processes did before they were killed has to reject bad histories. */
#include "lib/check.h"
#include "lib/kill_history.h"

#include <string.h>

static void judge(struct kill_history *history, char text[KILL_TEXT_SIZE])
{
    struct kill_counts counts = {0};

    kill_judge(history, &counts, text);
    kill_history_free(history);
}

static void assert_just(struct kill_history *history)
{
    char text[KILL_TEXT_SIZE];

    judge(history, text);
    assert_string_equal(text, "");
}

static void assert_condemned(struct kill_history *history, const char *what)
{
    char text[KILL_TEXT_SIZE];

    judge(history, text);
    assert_non_null(strstr(text, what));
}

/* A life in which record 0 of key 1 was handled, and acknowledged. */
static struct kill_history *good_history(void)
{
    struct kill_history *history = kill_history_make();

    kill_note(history, KILL_LIFE, 0, 0, 0, 0);
    kill_note(history, KILL_START, 0, 0, 1, 0);
    kill_note(history, KILL_END, 0, 0, 1, 0);
    kill_note(history, KILL_COMMITTED, 0, 1, 0, 0);
    /* Relaxed: one thread. */
    atomic_store_explicit(&history->acknowledged[0], 1, memory_order_relaxed);
    return history;
}

static void a_good_history_is_accepted(void **state)
{
    struct kill_history *history = good_history();

    (void)state;
    kill_note(history, KILL_START, 0, 1, 1, 1);
    kill_note(history, KILL_LIFE, 0, 0, 0, 0);
    kill_note(history, KILL_START, 0, 1, 1, 1);
    kill_note(history, KILL_END, 0, 1, 1, 1);

    assert_just(history);
}

static void a_lost_record_is_noticed(void **state)
{
    struct kill_history *history = good_history();

    (void)state;
    kill_note(history, KILL_START, 0, 1, 1, 1);
    /* Relaxed: one thread. */
    atomic_store_explicit(&history->acknowledged[1], 1, memory_order_relaxed);

    assert_condemned(history, "lost");
}

static void a_commit_past_an_unfinished_record_is_noticed(void **state)
{
    struct kill_history *history = good_history();

    (void)state;
    kill_note(history, KILL_START, 0, 2, 2, 2);
    kill_note(history, KILL_END, 0, 2, 2, 2);
    kill_note(history, KILL_COMMITTED, 0, 2, 0, 0);

    assert_condemned(history, "passes an unfinished record");
}

static void a_lowered_commit_is_noticed(void **state)
{
    struct kill_history *history = good_history();

    (void)state;
    kill_note(history, KILL_COMMITTED, 0, 0, 0, 0);

    assert_condemned(history, "lower than before");
}

static void a_repeat_below_the_committed_offset_is_noticed(void **state)
{
    struct kill_history *history = good_history();

    (void)state;
    kill_note(history, KILL_LIFE, 0, 0, 0, 0);
    kill_note(history, KILL_START, 0, 0, 1, 0);

    assert_condemned(history, "below the committed offset");
}

/* Record 2 is finished above one that is not; what follows says whether that was committed. */
static struct kill_history *history_with_a_stuck_key(uint32_t commits)
{
    struct kill_history *history = good_history();

    kill_note(history, KILL_START, 0, 1, 2, 1);
    kill_note(history, KILL_START, 0, 2, 1, 2);
    kill_note(history, KILL_END, 0, 2, 1, 2);
    kill_note(history, KILL_START, 0, 3, 1, 3);
    for (uint32_t i = 0; i < commits; i++)
        kill_note(history, KILL_COMMITTED, 0, 1, 0, 0);
    kill_note(history, KILL_LIFE, 0, 0, 0, 0);
    kill_note(history, KILL_START, 0, 2, 1, 2);
    return history;
}

static void a_repeat_of_what_was_committed_as_finished_is_noticed(void **state)
{
    (void)state;
    assert_just(history_with_a_stuck_key(KILL_COMMITS_TO_KEEP - 1));
    assert_condemned(history_with_a_stuck_key(KILL_COMMITS_TO_KEEP), "committed as finished");
}

static void a_repeat_within_one_life_is_noticed(void **state)
{
    struct kill_history *history = good_history();

    (void)state;
    kill_note(history, KILL_START, 0, 1, 1, 1);
    kill_note(history, KILL_START, 0, 1, 1, 1);

    assert_condemned(history, "within one life");
}

static void a_key_out_of_order_is_noticed(void **state)
{
    struct kill_history *history = good_history();

    (void)state;
    kill_note(history, KILL_START, 0, 2, 1, 2);
    kill_note(history, KILL_END, 0, 2, 1, 2);
    kill_note(history, KILL_START, 0, 1, 1, 1);
    kill_note(history, KILL_END, 0, 1, 1, 1);

    assert_condemned(history, "before its key's last one");
}

/* Key 1 has records 0 and 1, which were finished and are repeated. */
static struct kill_history *history_that_repeats(void)
{
    struct kill_history *history = kill_history_make();

    for (int i = 0; i < 2; i++) {
        if (i == 0)
            kill_note(history, KILL_LIFE, 0, 0, 0, 0);
        kill_note(history, KILL_START, 0, i, 1, (uint32_t)i);
        kill_note(history, KILL_END, 0, i, 1, (uint32_t)i);
    }
    kill_note(history, KILL_LIFE, 0, 0, 0, 0);
    return history;
}

static void a_repeat_out_of_order_is_noticed(void **state)
{
    struct kill_history *history = history_that_repeats();

    (void)state;
    kill_note(history, KILL_START, 0, 0, 1, 0);
    kill_note(history, KILL_START, 0, 1, 1, 1);
    assert_condemned(history, "before its key's last one");
    history = history_that_repeats();
    kill_note(history, KILL_START, 0, 1, 1, 1);
    kill_note(history, KILL_END, 0, 1, 1, 1);
    kill_note(history, KILL_START, 0, 0, 1, 0);

    assert_condemned(history, "after its key's next one");
}

static void a_retry_is_no_repeat(void **state)
{
    struct kill_history *history = good_history();

    (void)state;
    kill_note(history, KILL_START, 0, 1, 1, 1);
    kill_note(history, KILL_RETRY, 0, 1, 1, 1);
    kill_note(history, KILL_START, 0, 1, 1, 1);
    kill_note(history, KILL_END, 0, 1, 1, 1);

    assert_just(history);
}

static void a_repeat_after_a_stop_in_order_is_noticed(void **state)
{
    struct kill_history *history = good_history();

    (void)state;
    kill_note(history, KILL_START, 0, 2, 2, 2);
    kill_note(history, KILL_END, 0, 2, 2, 2);
    kill_note(history, KILL_STOPPED, 0, 0, 0, 0);
    kill_note(history, KILL_LIFE, 0, 0, 0, 0);
    kill_note(history, KILL_START, 0, 2, 2, 2);

    assert_condemned(history, "committed as finished");
}

/* Record 2 is finished above one that is not; a commit says so, or that all from this record on of
 * its key is not. */
static struct kill_history *history_with_a_map(int64_t head)
{
    struct kill_history *history = good_history();

    kill_note(history, KILL_START, 0, 1, 2, 1);
    kill_note(history, KILL_START, 0, 2, 1, 2);
    kill_note(history, KILL_END, 0, 2, 1, 2);
    kill_note(history, KILL_HEAD, 0, head, head == 1 ? 2 : 1, 1);
    if (head != 1)
        kill_note(history, KILL_HEAD, 0, 1, 2, 1);
    kill_note(history, KILL_SAID, 0, 3, 0, 0);
    return history;
}

static void a_repeat_of_what_a_map_said_is_finished_is_noticed(void **state)
{
    struct kill_history *history = history_with_a_map(1);

    (void)state;
    kill_note(history, KILL_COMMITTED, 0, 1, 0, 0);
    kill_note(history, KILL_LIFE, 0, 0, 0, 0);
    kill_note(history, KILL_START, 0, 2, 1, 2);
    assert_condemned(history, "committed as finished");
    history = history_with_a_map(2);
    kill_note(history, KILL_COMMITTED, 0, 1, 0, 0);
    kill_note(history, KILL_LIFE, 0, 0, 0, 0);
    kill_note(history, KILL_START, 0, 2, 1, 2);
    assert_just(history);
    history = history_with_a_map(1);
    kill_note(history, KILL_LIFE, 0, 0, 0, 0);
    kill_note(history, KILL_START, 0, 2, 1, 2);

    assert_just(history);
}

static void a_map_that_passes_an_unfinished_record_is_noticed(void **state)
{
    struct kill_history *history = good_history();

    (void)state;
    kill_note(history, KILL_START, 0, 1, 2, 1);
    kill_note(history, KILL_SAID, 0, 2, 0, 0);

    assert_condemned(history, "map passes an unfinished record");
}

/* Record 1 was running, 2 finished, 3 waited for its retry; all run again. */
static void repeats_are_counted_and_what_may_be_one(void **state)
{
    struct kill_history *history = good_history();
    struct kill_counts counts = {0};
    char text[KILL_TEXT_SIZE];

    (void)state;
    for (uint32_t life = 0; life < 2; life++) {
        kill_note(history, KILL_START, 0, 1, 2, 1);
        kill_note(history, KILL_START, 0, 2, 1, 2);
        kill_note(history, KILL_END, 0, 2, 1, 2);
        kill_note(history, KILL_START, 0, 3, 3, 3);
        kill_note(history, KILL_RETRY, 0, 3, 3, 3);
        if (life == 0)
            kill_note(history, KILL_LIFE, 0, 0, 0, 0);
    }
    kill_judge(history, &counts, text);
    kill_history_free(history);

    assert_string_equal(text, "");
    assert_int_equal(counts.running, 1);
    assert_int_equal(counts.recent, 2); /* 0 too */
    assert_int_equal(counts.repeats, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_history_is_accepted),
        cmocka_unit_test(a_lost_record_is_noticed),
        cmocka_unit_test(a_commit_past_an_unfinished_record_is_noticed),
        cmocka_unit_test(a_lowered_commit_is_noticed),
        cmocka_unit_test(a_repeat_below_the_committed_offset_is_noticed),
        cmocka_unit_test(a_repeat_of_what_was_committed_as_finished_is_noticed),
        cmocka_unit_test(a_repeat_within_one_life_is_noticed),
        cmocka_unit_test(a_key_out_of_order_is_noticed),
        cmocka_unit_test(a_repeat_out_of_order_is_noticed),
        cmocka_unit_test(a_retry_is_no_repeat),
        cmocka_unit_test(a_repeat_after_a_stop_in_order_is_noticed),
        cmocka_unit_test(a_repeat_of_what_a_map_said_is_finished_is_noticed),
        cmocka_unit_test(a_map_that_passes_an_unfinished_record_is_noticed),
        cmocka_unit_test(repeats_are_counted_and_what_may_be_one),
    };

    return check_run(tests);
}
