/* SPDX-License-Identifier: Apache-2.0 */
/* The table of examples/quickstart: its verdict is worth something only if it can fail. So each
 * test here feeds it what a log that loses, repeats or swaps records would, or compares it with a
 * tree that is not the same. */
#include "lib/check.h"
#include "lib/scratch.h"

#include "../../examples/quickstart.d/fold.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define NONE "0000000000000000000000000000000000000000"
#define BLOB_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define BLOB_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define BLOB_C "cccccccccccccccccccccccccccccccccccccccc"

#define ADD_A ":000000 100644 " NONE " " BLOB_A " A"
#define A_TO_B ":100644 100644 " BLOB_A " " BLOB_B " M"
#define B_TO_C ":100644 100755 " BLOB_B " " BLOB_C " M"
#define A_TO_LINK ":100644 120000 " BLOB_A " " BLOB_C " T"
#define DELETE_A ":100644 000000 " BLOB_A " " NONE " D"

static char why[512];

static int setup(void **state)
{
    why[0] = '\0';
    *state = fold_open(":memory:", why, sizeof why);
    return *state == NULL;
}

static int teardown(void **state)
{
    fold_close(*state);
    return 0;
}

static enum fold_result apply(struct fold *fold, const char *path, int32_t partition,
                              int64_t offset, const char *text)
{
    struct place place = {path, strlen(path), partition, offset};
    struct change change;

    assert_true(change_parse(text, strlen(text), &change));
    return fold_apply(fold, &place, &change, why, sizeof why);
}

/* Compare with what ls-tree would print. Returns the number of differences, -1: not comparable. */
static int differences(struct fold *fold, const char *tree, size_t size)
{
    FILE *file = tmpfile(), *report = tmpfile();
    struct fold_totals totals;
    bool comparable;

    assert_non_null(file);
    assert_non_null(report);
    assert_int_equal(fwrite(tree, 1, size, file), size);
    rewind(file);
    comparable = fold_compare(fold, file, report, &totals);
    assert_true(!comparable || (totals.differences > 0) == (ftell(report) > 0));
    fclose(report);
    fclose(file);
    return comparable ? (int)totals.differences : -1;
}

/* The zero byte that ends a literal ends its last path. */
#define TREE(text) (text), sizeof(text)

static void fold_takes_a_chain_of_changes_over(void **state)
{
    assert_int_equal(apply(*state, "f", 1, 0, ADD_A), FOLD_APPLIED);
    assert_int_equal(apply(*state, "f", 1, 4, A_TO_B), FOLD_APPLIED);
    assert_int_equal(apply(*state, "f", 1, 9, B_TO_C), FOLD_APPLIED);

    assert_int_equal(differences(*state, TREE("100755 blob " BLOB_C "\tf")), 0);
}

static void fold_takes_a_path_over_again_after_its_deletion(void **state)
{
    apply(*state, "f", 0, 0, ADD_A);
    assert_int_equal(apply(*state, "f", 0, 1, DELETE_A), FOLD_APPLIED);
    assert_int_equal(differences(*state, "", 0), 0);

    assert_int_equal(apply(*state, "f", 0, 2, ADD_A), FOLD_APPLIED);

    assert_int_equal(differences(*state, TREE("100644 blob " BLOB_A "\tf")), 0);
}

static void fold_names_path_and_offset_when_a_record_is_lost(void **state)
{
    apply(*state, "odd\npath", 3, 0, ADD_A);

    assert_int_equal(apply(*state, "odd\npath", 3, 17, B_TO_C), FOLD_WRONG);

    assert_non_null(strstr(why, "\"odd\\012path\""));
    assert_non_null(strstr(why, "partition 3, offset 17"));
}

static void fold_refuses_a_path_whose_first_record_is_lost(void **state)
{
    assert_int_equal(apply(*state, "f", 0, 5, A_TO_B), FOLD_WRONG);
    assert_int_equal(apply(*state, "f", 0, 5, DELETE_A), FOLD_WRONG);
}

static void fold_refuses_swapped_records(void **state)
{
    apply(*state, "f", 0, 0, ADD_A);

    assert_int_equal(apply(*state, "f", 0, 2, B_TO_C), FOLD_WRONG);
    assert_int_equal(apply(*state, "f", 0, 1, A_TO_B), FOLD_APPLIED);
    assert_int_equal(apply(*state, "f", 0, 2, B_TO_C), FOLD_APPLIED);
}

static void fold_refuses_a_change_of_mode_or_type_from_another_mode(void **state)
{
    apply(*state, "f", 0, 0, ADD_A);
    apply(*state, "f", 0, 1, A_TO_LINK);

    assert_int_equal(apply(*state, "f", 0, 2, A_TO_B), FOLD_WRONG);
    assert_int_equal(apply(*state, "f", 0, 2, ":100644 100644 " BLOB_C " " BLOB_A " M"),
                     FOLD_WRONG);
}

static void fold_refuses_a_path_that_changes_its_partition(void **state)
{
    apply(*state, "f", 0, 0, ADD_A);

    assert_int_equal(apply(*state, "f", 1, 0, A_TO_B), FOLD_WRONG);
    assert_int_equal(apply(*state, "f", 1, 7, A_TO_B), FOLD_WRONG);
}

static void fold_knows_a_repeated_record_by_its_offset(void **state)
{
    apply(*state, "f", 0, 3, ADD_A);
    apply(*state, "f", 0, 4, A_TO_B);

    assert_int_equal(apply(*state, "f", 0, 3, ADD_A), FOLD_REPEATED);
    assert_int_equal(apply(*state, "f", 0, 4, A_TO_B), FOLD_REPEATED);

    assert_int_equal(differences(*state, TREE("100644 blob " BLOB_B "\tf")), 0);
}

static void fold_knows_a_repeated_deletion(void **state)
{
    apply(*state, "f", 0, 0, ADD_A);
    apply(*state, "f", 0, 1, DELETE_A);

    assert_int_equal(apply(*state, "f", 0, 0, ADD_A), FOLD_REPEATED);

    assert_int_equal(differences(*state, "", 0), 0);
}

static void fold_keeps_paths_apart_that_differ_in_one_byte(void **state)
{
    assert_int_equal(apply(*state, "a", 0, 0, ADD_A), FOLD_APPLIED);
    assert_int_equal(apply(*state, "A", 0, 1, ADD_A), FOLD_APPLIED);
    assert_int_equal(apply(*state, "a ", 0, 2, ADD_A), FOLD_APPLIED);
    assert_int_equal(apply(*state, "a\xff", 0, 3, ADD_A), FOLD_APPLIED);

    assert_int_equal(differences(*state, TREE("100644 blob " BLOB_A "\tA\0"
                                              "100644 blob " BLOB_A "\ta\0"
                                              "100644 blob " BLOB_A "\ta \0"
                                              "100644 blob " BLOB_A "\ta\xff")),
                     0);
}

static void comparison_finds_a_path_that_the_table_lacks(void **state)
{
    apply(*state, "b", 0, 0, ADD_A);

    assert_int_equal(differences(*state, TREE("100644 blob " BLOB_A "\ta\0"
                                              "100644 blob " BLOB_A "\tb\0"
                                              "160000 commit " BLOB_A "\tc")),
                     2);
}

static void comparison_finds_a_path_that_the_tree_lacks(void **state)
{
    apply(*state, "a", 0, 0, ADD_A);
    apply(*state, "b", 0, 1, ADD_A);

    assert_int_equal(differences(*state, TREE("100644 blob " BLOB_A "\ta")), 1);
    assert_int_equal(differences(*state, TREE("100644 blob " BLOB_A "\tb")), 1);
    assert_int_equal(differences(*state, "", 0), 2);
}

static void comparison_finds_another_mode_or_object(void **state)
{
    apply(*state, "a", 0, 0, ADD_A);

    assert_int_equal(differences(*state, TREE("100755 blob " BLOB_A "\ta")), 1);
    assert_int_equal(differences(*state, TREE("100644 blob " BLOB_B "\ta")), 1);
}

static void comparison_refuses_what_is_not_a_tree(void **state)
{
    apply(*state, "a", 0, 0, ADD_A);

    assert_int_equal(differences(*state, TREE("100644 blob " BLOB_A " a")), -1);
    assert_int_equal(differences(*state, TREE("100644 blob " BLOB_A "x\ta")), -1);
    assert_int_equal(
        differences(*state, "100644 blob " BLOB_A "\ta", sizeof("100644 blob " BLOB_A "\ta") - 1),
        -1);
}

static void totals_count_a_record_that_was_repeated_once(void **state)
{
    struct fold_totals totals;
    FILE *empty = tmpfile();

    assert_non_null(empty);
    apply(*state, "a", 0, 0, ADD_A);
    apply(*state, "a", 0, 0, ADD_A);
    apply(*state, "a", 0, 1, A_TO_B);
    apply(*state, "b", 0, 2, ADD_A);
    apply(*state, "b", 0, 3, DELETE_A);
    assert_true(fold_compare(*state, empty, stdout, &totals));
    fclose(empty);

    assert_int_equal(totals.keys, 2);
    assert_int_equal(totals.paths, 1);
    assert_int_equal(totals.changes, 4);
    assert_int_equal(totals.differences, 1);
}

/* ---- several processes ------------------------------------------------------------------- */

#define BRINGERS 3
#define FLIPS 400

/* One of those who bring the same changes to the same file. */
struct bringer {
    struct fold *fold;
    pthread_t thread;
    int applied;
    int wrong; /* and failed */
};

/* The path is there and gone in turn; who is behind brings what the others have brought. */
static void *bring(void *argument)
{
    struct bringer *bringer = argument;
    struct place place = {"f", 1, 0, 0};
    struct change add, delete;
    char complaint[512];

    change_parse(ADD_A, strlen(ADD_A), &add);
    change_parse(DELETE_A, strlen(DELETE_A), &delete);
    for (; place.offset < FLIPS; place.offset++) {
        switch (fold_apply(bringer->fold, &place, place.offset % 2 == 0 ? &add : &delete,
                           complaint, sizeof complaint)) {
        case FOLD_APPLIED:
            bringer->applied++;
            break;
        case FOLD_REPEATED:
            break;
        default:
            bringer->wrong++;
        }
    }
    return NULL;
}

static void records_that_several_bring_at_once_take_effect_once(void **state)
{
    struct bringer bringers[BRINGERS] = {0};
    struct scratch scratch;
    char file[SCRATCH_PATH_SIZE];
    int applied = 0;

    (void)state;
    scratch_init(&scratch);
    scratch_path(&scratch, "table", file);
    for (int i = 0; i < BRINGERS; i++) {
        bringers[i].fold = fold_open(file, why, sizeof why);
        assert_non_null(bringers[i].fold);
    }
    for (int i = 0; i < BRINGERS; i++)
        assert_int_equal(pthread_create(&bringers[i].thread, NULL, bring, &bringers[i]), 0);
    for (int i = 0; i < BRINGERS; i++) {
        pthread_join(bringers[i].thread, NULL);
        fold_close(bringers[i].fold);
        assert_int_equal(bringers[i].wrong, 0);
        applied += bringers[i].applied;
    }
    scratch_deinit(&scratch);

    assert_int_equal(applied, FLIPS);
}

/* ---- changes ----------------------------------------------------------------------------- */

static void changes_that_contradict_themselves_are_refused(void **state)
{
    static const char *const BAD[] = {
        "",
        ":",
        ADD_A "M",
        ":100644 100644 " BLOB_A " " BLOB_B,
        ":100644 100644 " BLOB_A " " BLOB_B " ",
        ":100644 100644 " BLOB_A " " BLOB_B " R100",
        ":100644 100644 " BLOB_A " " BLOB_B " A",
        ":000000 100644 " NONE " " BLOB_B " M",
        ":100644 100644 " BLOB_A " " BLOB_B " D",
        ":100844 100644 " BLOB_A " " BLOB_B " M",
        ":100644 100644 " BLOB_A "a " BLOB_B " M",
        ":100644 100644 abc " BLOB_B " M",
    };
    struct change change;

    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        assert_false(change_parse(BAD[i], strlen(BAD[i]), &change));
}

static void quoted_paths_are_plain_and_fit(void **state)
{
    char path[300], quoted[QUOTED_SIZE];

    (void)state;
    assert_string_equal(quote_path("a\"\\\x1b\xc3", 5, quoted), "\"a\\\"\\\\\\033\\303\"");
    for (size_t size = 0; size <= sizeof path; size++) {
        memset(path, '\x1b', sizeof path);
        memset(path, 'x', size);
        assert_in_range(strlen(quote_path(path, sizeof path, quoted)), 3, QUOTED_SIZE - 1);
        assert_null(strchr(quoted, '\x1b'));
    }
}

#define FOLD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest quickstart_fold[] = {
        FOLD_TEST(fold_takes_a_chain_of_changes_over),
        FOLD_TEST(fold_takes_a_path_over_again_after_its_deletion),
        FOLD_TEST(fold_names_path_and_offset_when_a_record_is_lost),
        FOLD_TEST(fold_refuses_a_path_whose_first_record_is_lost),
        FOLD_TEST(fold_refuses_swapped_records),
        FOLD_TEST(fold_refuses_a_change_of_mode_or_type_from_another_mode),
        FOLD_TEST(fold_refuses_a_path_that_changes_its_partition),
        FOLD_TEST(fold_knows_a_repeated_record_by_its_offset),
        FOLD_TEST(fold_knows_a_repeated_deletion),
        FOLD_TEST(fold_keeps_paths_apart_that_differ_in_one_byte),
        FOLD_TEST(comparison_finds_a_path_that_the_table_lacks),
        FOLD_TEST(comparison_finds_a_path_that_the_tree_lacks),
        FOLD_TEST(comparison_finds_another_mode_or_object),
        FOLD_TEST(comparison_refuses_what_is_not_a_tree),
        FOLD_TEST(totals_count_a_record_that_was_repeated_once),
        cmocka_unit_test(records_that_several_bring_at_once_take_effect_once),
        cmocka_unit_test(changes_that_contradict_themselves_are_refused),
        cmocka_unit_test(quoted_paths_are_plain_and_fit),
    };

    return check_run(quickstart_fold);
}
