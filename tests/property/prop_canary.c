/* SPDX-License-Identifier: Apache-2.0 */
/* The canary of the properties: with a model that is off by one, a property must fail, and
 * print the seed and the command that repeats it. Succeeds only if it does. */
#include "property/heap_property.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void heap_agrees_with_a_model_that_is_off_by_one(void **state)
{
    (void)state;

    heap_agrees_with_an_array(1);
}

static int run_the_wrong_property(void)
{
    const struct CMUnitTest wrong_properties[] = {
        cmocka_unit_test(heap_agrees_with_a_model_that_is_off_by_one),
    };

    return check_run(wrong_properties);
}

/* Runs it in a child; its exit status, and what it wrote to standard error in text. */
static int run_in_a_child(char *text, size_t size)
{
    FILE *errors = tmpfile();
    int status = -1;
    pid_t child = errors == NULL ? -1 : fork();

    if (child == 0) {
        if (dup2(fileno(errors), STDERR_FILENO) < 0)
            _exit(2);
        exit(run_the_wrong_property());
    }
    text[0] = '\0';
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1;
    rewind(errors);
    text[fread(text, 1, size - 1, errors)] = '\0';
    fclose(errors);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void wrong_model_is_rejected_with_a_seed_to_repeat_it(void **state)
{
    char text[4096];
    const char *seed, *again;

    (void)state;

    assert_int_equal(run_in_a_child(text, sizeof(text)), 1);

    seed = strstr(text, "seed: KLANE_SEED=");
    again = strstr(text, "run it again: KLANE_SEED=");
    assert_non_null(seed);
    assert_non_null(again);
    assert_true(strtoull(strchr(seed, '=') + 1, NULL, 10) ==
                strtoull(strchr(again, '=') + 1, NULL, 10));
}

int main(void)
{
    const struct CMUnitTest canary[] = {
        cmocka_unit_test(wrong_model_is_rejected_with_a_seed_to_repeat_it),
    };

    return check_run(canary);
}
