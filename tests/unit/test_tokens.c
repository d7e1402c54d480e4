/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens, seen from one thread. tests/model/tokens.cpp and tests/threads/torture_sync.c have
 * more. */
#include "lib/check.h"

#include "sync/tokens.h"

enum { CAPACITY = 4 };

static int record;

static int make_tokens(void **state)
{
    static struct tokens tokens;

    *state = &tokens;
    return tokens_init(&tokens, CAPACITY, 1) ? 0 : -1;
}

static int drop_tokens(void **state)
{
    tokens_deinit(*state);
    return 0;
}

/* Whatever generation it begins with. */
static int make_tokens_late(void **state)
{
    make_tokens(state);
    drop_tokens(state);
    return tokens_init(*state, CAPACITY, UINT32_MAX) ? 0 : -1;
}

/* A record's whole way through its token. */
static void finish(struct tokens *tokens, klane_token_t token)
{
    void *found;

    assert_false(tokens_returned(tokens, tokens_index(token)));
    assert_int_equal(tokens_claim(tokens, token, &found), TOKENS_CLAIMED);
    assert_true(tokens_complete(tokens, token));
    tokens_free(tokens, tokens_index(token));
}

static void claim_finds_the_record_of_the_token(void **state)
{
    klane_token_t token = tokens_make(*state, &record, 7, TOKENS_NEVER);
    void *found = NULL;

    assert_int_equal(tokens_claim(*state, token, &found), TOKENS_CLAIMED);

    assert_ptr_equal(found, &record);
}

static void second_claim_is_stale(void **state)
{
    klane_token_t token = tokens_make(*state, &record, 7, TOKENS_NEVER);
    void *found = NULL;

    (void)tokens_claim(*state, token, &found);
    found = NULL;

    assert_int_equal(tokens_claim(*state, token, &found), TOKENS_STALE);
    assert_null(found);
    assert_false(tokens_complete(*state, token));
    assert_int_equal(tokens_claim(*state, token, &found), TOKENS_STALE);
}

static void completer_reports_when_the_handler_returned_before(void **state)
{
    klane_token_t token = tokens_make(*state, &record, 7, TOKENS_NEVER);
    void *found;

    assert_false(tokens_returned(*state, tokens_index(token)));
    (void)tokens_claim(*state, token, &found);

    assert_true(tokens_complete(*state, token));
}

static void handler_reports_when_the_completion_came_before(void **state)
{
    klane_token_t token = tokens_make(*state, &record, 7, TOKENS_NEVER);
    void *found;

    (void)tokens_claim(*state, token, &found);
    assert_false(tokens_complete(*state, token));

    assert_true(tokens_returned(*state, tokens_index(token)));
}

static void completer_reports_when_the_handler_returns_between_claim_and_complete(void **state)
{
    klane_token_t token = tokens_make(*state, &record, 7, TOKENS_NEVER);
    void *found;

    (void)tokens_claim(*state, token, &found);

    assert_false(tokens_returned(*state, tokens_index(token)));
    assert_true(tokens_complete(*state, token));
}

static void token_is_stale_when_its_place_has_a_new_record(void **state)
{
    klane_token_t old = tokens_make(*state, &record, 7, TOKENS_NEVER);
    klane_token_t young;
    void *found;
    uint32_t tag;

    finish(*state, old);
    assert_int_equal(tokens_claim(*state, old, &found), TOKENS_STALE);
    young = tokens_make(*state, &record, 8, TOKENS_NEVER);

    assert_int_equal(tokens_index(young), tokens_index(old));
    assert_int_not_equal(young, old);
    assert_int_equal(tokens_claim(*state, old, &found), TOKENS_STALE);
    assert_false(tokens_tag(*state, old, &tag));
    assert_int_equal(tokens_claim(*state, young, &found), TOKENS_CLAIMED);
}

static void made_up_tokens_are_stale(void **state)
{
    klane_token_t token = tokens_make(*state, &record, 7, TOKENS_NEVER);
    const klane_token_t made_up[] = {0,
                                     1,
                                     2,
                                     UINT64_MAX,
                                     CAPACITY,
                                     CAPACITY + 1,
                                     token + 1,
                                     token + ((klane_token_t)1 << 32),
                                     token & UINT32_MAX,
                                     token & ~(klane_token_t)UINT32_MAX};
    void *found;
    uint32_t tag;

    for (size_t i = 0; i < sizeof(made_up) / sizeof(made_up[0]); i++) {
        assert_int_equal(tokens_claim(*state, made_up[i], &found), TOKENS_STALE);
        assert_false(tokens_tag(*state, made_up[i], &tag));
    }
    assert_int_equal(tokens_claim(*state, token, &found), TOKENS_CLAIMED);
}

static void tag_is_the_makers_until_the_token_is_claimed(void **state)
{
    klane_token_t token = tokens_make(*state, &record, 0xfffffff7, TOKENS_NEVER);
    uint32_t tag = 0;
    void *found;

    assert_true(tokens_tag(*state, token, &tag));
    assert_int_equal(tag, 0xfffffff7);
    (void)tokens_returned(*state, tokens_index(token));
    assert_true(tokens_tag(*state, token, &tag));
    (void)tokens_claim(*state, token, &found);
    assert_false(tokens_tag(*state, token, &tag));
}

static void make_returns_0_when_all_are_out_and_again_tokens_when_one_came_back(void **state)
{
    uint64_t marks = check_marked("tokens: all are out");
    klane_token_t made[CAPACITY];

    for (int i = 0; i < CAPACITY; i++) {
        made[i] = tokens_make(*state, &record, 7, TOKENS_NEVER);
        assert_int_not_equal(made[i], 0);
        assert_int_equal(tokens_out(*state), i + 1);
    }

    assert_int_equal(tokens_make(*state, &record, 7, TOKENS_NEVER), 0);
    assert_int_equal(check_marked("tokens: all are out"), marks + 1);
    finish(*state, made[1]);
    assert_int_equal(tokens_out(*state), CAPACITY - 1);
    assert_int_equal(tokens_index(tokens_make(*state, &record, 7, TOKENS_NEVER)),
                     tokens_index(made[1]));
}

static void tokens_with_a_due_time_are_found_until_they_are_claimed(void **state)
{
    klane_token_t made[CAPACITY];
    uint32_t index = 0;
    int64_t due_ms = 0;
    void *found;

    assert_int_equal(tokens_next_due(*state, &index, &due_ms), 0);
    for (int i = 0; i < CAPACITY - 1; i++)
        made[i] = tokens_make(*state, &record, 7, i == 0 ? TOKENS_NEVER : 100 + i);

    assert_int_equal(tokens_next_due(*state, &index, &due_ms), made[1]);
    assert_int_equal(due_ms, 101);
    assert_int_equal(tokens_next_due(*state, &index, &due_ms), made[2]);
    assert_int_equal(due_ms, 102);
    assert_int_equal(tokens_next_due(*state, &index, &due_ms), 0);
    (void)tokens_claim(*state, made[1], &found);
    (void)tokens_returned(*state, tokens_index(made[2]));
    index = 0;
    assert_int_equal(tokens_next_due(*state, &index, &due_ms), made[2]);
    assert_int_equal(tokens_claim(*state, made[2], &found), TOKENS_CLAIMED);
    assert_true(tokens_complete(*state, made[2]));
    tokens_free(*state, tokens_index(made[2]));
    index = 0;
    assert_int_equal(tokens_next_due(*state, &index, &due_ms), 0);
    made[3] = tokens_make(*state, &record, 7, 200);
    index = 0;
    assert_int_equal(tokens_next_due(*state, &index, &due_ms), made[3]);
    assert_int_equal(due_ms, 200);
}

static void all_places_can_be_free_at_once(void **state)
{
    klane_token_t made[CAPACITY];

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < CAPACITY; i++)
            made[i] = tokens_make(*state, &record, 7, TOKENS_NEVER);
        for (int i = 0; i < CAPACITY; i++)
            finish(*state, made[i]);

        assert_int_equal(tokens_out(*state), 0);
    }
}

static void generation_skips_0_when_it_wraps(void **state)
{
    struct tokens *tokens = *state;
    klane_token_t token = tokens_make(tokens, &record, 7, TOKENS_NEVER);
    uint32_t index = tokens_index(token);

    /* As after four thousand million records of this place. */
    token |= (klane_token_t)UINT32_MAX << 32;
    atomic_store(&tokens->entries[index].state, ((uint64_t)UINT32_MAX << 32) | 1);
    finish(tokens, token);
    token = tokens_make(tokens, &record, 7, TOKENS_NEVER);

    assert_int_equal(token >> 32, 1);
}

static void a_table_that_begins_late_wraps_soon_and_repeats_nothing(void **state)
{
    klane_token_t first = tokens_make(*state, &record, 7, TOKENS_NEVER), second;

    assert_int_equal(first >> 32, UINT32_MAX);
    finish(*state, first);
    second = tokens_make(*state, &record, 7, TOKENS_NEVER);

    assert_int_equal(tokens_index(second), tokens_index(first));
    assert_int_equal(second >> 32, 1);
    finish(*state, second);
}

static void misuse_by_the_engine_is_caught(void **state)
{
    klane_token_t token = tokens_make(*state, &record, 7, TOKENS_NEVER);

    expect_assert_failure(tokens_complete(*state, token));
    expect_assert_failure(tokens_free(*state, tokens_index(token)));
    (void)tokens_returned(*state, tokens_index(token));
    expect_assert_failure(tokens_returned(*state, tokens_index(token)));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_tokens, drop_tokens)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(claim_finds_the_record_of_the_token),
        TEST(second_claim_is_stale),
        TEST(completer_reports_when_the_handler_returned_before),
        TEST(handler_reports_when_the_completion_came_before),
        TEST(completer_reports_when_the_handler_returns_between_claim_and_complete),
        TEST(token_is_stale_when_its_place_has_a_new_record),
        TEST(made_up_tokens_are_stale),
        TEST(tag_is_the_makers_until_the_token_is_claimed),
        TEST(make_returns_0_when_all_are_out_and_again_tokens_when_one_came_back),
        TEST(tokens_with_a_due_time_are_found_until_they_are_claimed),
        TEST(all_places_can_be_free_at_once),
        TEST(generation_skips_0_when_it_wraps),
        cmocka_unit_test_setup_teardown(
            a_table_that_begins_late_wraps_soon_and_repeats_nothing, make_tokens_late,
            drop_tokens),
        TEST(misuse_by_the_engine_is_caught),
    };

    return check_run(tests);
}
