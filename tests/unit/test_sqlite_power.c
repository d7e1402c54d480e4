/* SPDX-License-Identifier: Apache-2.0 */
/* The power fails under an embedded log, at any write, sync or deletion: what was acknowledged is
 * there afterwards, transactions are whole, rows and records agree, and the log can be used. */
#include "lib/check.h"
#include "lib/disk.h"
#include "lib/log_world.h"

#include <stdio.h>
#include <string.h>

enum {
#if defined(__SANITIZE_ADDRESS__)
    CUTS = 300,
    CUTS_NORMAL = 100,
#else
    CUTS = 20000,
    CUTS_NORMAL = 500,
#endif
    CUTS_SOAK = 1000000,
    CUTS_OF_FILE = 8, /* then a new one */
    STEPS_MAX = 30,   /* from one cut to the next, at most */
    OPERATIONS_MAX = 150
};

/* One life: until the power is cut, or not. */
static void live(struct world *world)
{
    uint64_t steps = check_random_below(world->random, STEPS_MAX);
    bool is_fine;

    disk_cut_after(1 + check_random_below(world->random, OPERATIONS_MAX));
    is_fine = world_open(world);
    for (uint64_t i = 0; i < steps && is_fine; i++)
        is_fine = world_step(world);
    /* On a disk that works nothing fails. */
    if (!is_fine && !disk_is_cut())
        fail_msg("error %d before the power was cut", world->err);
    world_close(world);
}

/* How many lives lost something; nothing else may happen to them, nor that, if none may. */
static uint64_t cut_often(uint64_t cuts, const char *synchronous, bool may_lose,
                          uint64_t *acknowledged)
{
    uint64_t random = check_seed();
    struct world *world = test_malloc(sizeof *world);
    uint64_t lost = 0;
    char wrong[256];

    world_init(world, synchronous, &random);
    for (uint64_t cut = 0; cut < cuts; cut++) {
        bool is_bad;

        live(world);
        disk_restore(&random);
        is_bad = !world_check(world, wrong);
        if (is_bad && (!may_lose || strstr(wrong, "acknowledged") == NULL))
            fail_msg("after cut %llu: %s", (unsigned long long)cut, wrong);
        lost += is_bad;
        disk_forget();
        if (is_bad || (cut + 1) % CUTS_OF_FILE == 0)
            world_renew(world);
    }
    *acknowledged = world->acknowledged;
    world_deinit(world);
    test_free(world);
    return lost;
}

static void what_was_acknowledged_outlives_the_power(void **state)
{
    uint64_t cuts = check_rounds(CUTS, CUTS_SOAK);
    uint64_t acknowledged = 0;

    (void)state;
    assert_int_equal(cut_often(cuts, NULL, false, &acknowledged), 0);
    printf("    %llu cuts, %llu transactions acknowledged, none lost\n", (unsigned long long)cuts,
           (unsigned long long)acknowledged);
    assert_true(acknowledged > cuts);
}

/* The check itself: without a sync for each transaction the last ones are lost. */
static void less_than_a_sync_for_each_is_caught_losing(void **state)
{
    uint64_t acknowledged = 0;
    uint64_t lost = cut_often(CUTS_NORMAL, "NORMAL", true, &acknowledged);

    (void)state;
    printf("    %d cuts with synchronous=NORMAL, %llu of them lost something\n", CUTS_NORMAL,
           (unsigned long long)lost);
    assert_true(lost > CUTS_NORMAL / 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_acknowledged_outlives_the_power),
        cmocka_unit_test(less_than_a_sync_for_each_is_caught_losing),
    };

    disk_install();
    return check_run(tests);
}
