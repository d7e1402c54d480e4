/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/check.h"

#include "base/assert.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* A program without a mark has no such section, so the bounds may be missing. */
extern struct klane_mark __start_klane_marks[] __attribute__((weak));
extern struct klane_mark __stop_klane_marks[] __attribute__((weak));

static pthread_t main_thread;
static uint64_t seed;
static bool seed_is_chosen;

/* Elsewhere than on the main thread the longjmp would leave a foreign stack: there it returns, and
 * the assertion aborts. */
static void take_assertion_over(const char *condition, const char *file, int line)
{
    if (pthread_equal(pthread_self(), main_thread))
        mock_assert(0, condition, file, line);
}

static bool read_number(const char *name, uint64_t *number)
{
    const char *text = getenv(name);
    char *end;

    if (text == NULL || *text == '\0')
        return false;
    errno = 0;
    *number = strtoull(text, &end, 0);
    if (errno != 0 || *end != '\0' || *text == '-') {
        fprintf(stderr, "%s=%s is not a number\n", name, text);
        exit(2);
    }
    return true;
}

static void print_replay(const char *title)
{
    const char *rounds = getenv("KLANE_ROUNDS");
    const char *soak = getenv("KLANE_SOAK");
    const char *test = getenv("KLANE_TEST");

    fprintf(stderr, "%s: KLANE_SEED=%" PRIu64, title, seed);
    if (rounds != NULL)
        fprintf(stderr, " KLANE_ROUNDS=%s", rounds);
    if (soak != NULL)
        fprintf(stderr, " KLANE_SOAK=%s", soak);
    if (test != NULL)
        fprintf(stderr, " KLANE_TEST='%s'", test);
    fprintf(stderr, " %s\n", program_invocation_name);
}

int check_run_tests(const char *name, const struct CMUnitTest *tests, size_t count)
{
    int failed;

    main_thread = pthread_self();
    klane_assert_hook = take_assertion_over;
    cmocka_set_test_filter(getenv("KLANE_TEST"));
    failed = _cmocka_run_group_tests(name, tests, count, NULL, NULL);
    if (failed != 0 && seed_is_chosen)
        print_replay("run it again");
    return failed != 0;
}

uint64_t check_seed(void)
{
    if (seed_is_chosen)
        return seed;
    if (!read_number("KLANE_SEED", &seed) && getrandom(&seed, sizeof(seed), 0) < 0) {
        perror("getrandom");
        exit(2);
    }
    seed_is_chosen = true;
    print_replay("seed");
    return seed;
}

uint64_t check_rounds(uint64_t normal, uint64_t soak)
{
    const char *long_run = getenv("KLANE_SOAK");
    uint64_t rounds;

    if (read_number("KLANE_ROUNDS", &rounds))
        return rounds;
    return long_run != NULL && strcmp(long_run, "1") == 0 ? soak : normal;
}

/* splitmix64: every 64-bit state is a good one, also a seed like 1. */
uint64_t check_random(uint64_t *state)
{
    uint64_t mixed = *state += UINT64_C(0x9e3779b97f4a7c15);

    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

/* The remainder's bias is below limit / 2^64: nothing that a test could notice. */
uint64_t check_random_below(uint64_t *state, uint64_t limit)
{
    return check_random(state) % limit;
}

uint64_t check_marked(const char *name)
{
    uint64_t sum = 0;

    for (struct klane_mark *mark = __start_klane_marks; mark < __stop_klane_marks; mark++)
        if (strcmp(mark->name, name) == 0)
            /* Relaxed: a count, which orders nothing. */
            sum += atomic_load_explicit(&mark->count, memory_order_relaxed);
    return sum;
}

void check_says(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", text, part);
}

void check_command(const char *command, char *output, size_t size)
{
    FILE *pipe = popen(command, "r");
    size_t length;

    assert_non_null(pipe);
    length = fread(output, 1, size - 1, pipe);
    output[length] = '\0';
    assert_int_equal(pclose(pipe), 0);
}
