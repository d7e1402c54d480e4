/* SPDX-License-Identifier: Apache-2.0 */
/* What every test program shares: cmocka, failed assertions as test results, seeds, rounds, marks.
 *
 * Upholds: a random test prints its seed before it does anything, and the command that runs it
 * again with the same seed when it fails.
 *
 *   KLANE_SEED=n     use this seed
 *   KLANE_ROUNDS=n   do so many rounds
 *   KLANE_SOAK=1     do as many rounds as a long run wants
 *   KLANE_TEST=name  run only the tests whose name matches (with * and ?)
 *
 * cmocka reports a failure by longjmp: assert on the main thread only. */
#ifndef KLANE_TESTS_LIB_CHECK_H
#define KLANE_TESTS_LIB_CHECK_H

/* cmocka.h wants these before itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Run an array of struct CMUnitTest; the result is for main() to return. Afterwards a
 * KLANE_ASSERT that fails on the main thread fails the test, or fulfils expect_assert_failure();
 * on another thread it aborts as ever. */
#define check_run(tests) check_run_tests(#tests, (tests), sizeof(tests) / sizeof((tests)[0]))

int check_run_tests(const char *name, const struct CMUnitTest *tests, size_t count);

/* This run's seed: KLANE_SEED, else a fresh one. The first call prints it. */
uint64_t check_seed(void);

/* How many rounds to do: KLANE_ROUNDS, else soak in a long run, else normal. */
uint64_t check_rounds(uint64_t normal, uint64_t soak);

/* The next random number; *state starts as a seed. */
uint64_t check_random(uint64_t *state);

/* The next random number below limit, which is above 0. */
uint64_t check_random_below(uint64_t *state, uint64_t limit);

/* How often the branches marked KLANE_MARK(name) were reached in this process. */
uint64_t check_marked(const char *name);

/* The text has this part. */
void check_says(const char *text, const char *part);

/* What a command prints, as far as it fits; it has to succeed. */
void check_command(const char *command, char *output, size_t size);

#endif
