/* SPDX-License-Identifier: Apache-2.0 */
/* What holds on three brokers with a network that is bad, while members die and freeze too: see
 * chaos.h. */
#include "kafka/chaos_after.h"
#include "kafka/kafka_library.h"

#include <stdlib.h>
#include <string.h>

/* With the newer library, and once more where the cluster gives out the partitions: a part of the
 * faults, each kind once at least. */
#define PART_AGAIN 4

static struct chaos_broker broker = {.count = CHAOS_NODES};

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct chaos_run));
    return *state == NULL;
}

static int teardown(void **state)
{
    struct chaos_run *run = *state;

    if (!run->is_well)
        chaos_storm_print();
    chaos_run_end(run);
    free(run);
    return 0;
}

static void storm(struct chaos_run *run, const char *const *assignors)
{
    unsigned part = kafka_library_is_newer() ? PART_AGAIN : 1, faults = 0;
    uint64_t rounds = check_rounds(1, 10);
    uint64_t random = check_seed();

    for (uint64_t round = 0; round < rounds; round++) {
        if (round > 0) {
            chaos_run_end(run);
            memset(run, 0, sizeof(*run));
        }
        run->random = check_random(&random);
        chaos_run_begin(run, &broker,
                        &(struct chaos_plan){.assignor = assignors[chaos_below(run, 2)],
                                             .rate = 300,
                                             .session_ms = 5000,
                                             .part = part});
        print_message("    %s\n", kafka_library_is_consumer_protocol() ? "the cluster's"
                                                                       : run->plan.assignor);
        faults += chaos_storm(run);
        chaos_settle(run);
        chaos_leave_all(run);
        chaos_assert_just(run);
        chaos_storm_print();
    }
    assert_true(faults >= 100 / part * rounds);
}

static void nothing_is_lost_or_out_of_order_and_all_gets_on_in_a_storm(void **state)
{
    static const char *const assignors[] = {"range", "cooperative-sticky"};

    storm(*state, assignors);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            nothing_is_lost_or_out_of_order_and_all_gets_on_in_a_storm, setup, teardown),
    };
    int failed;

    if (argc == 3 && strcmp(argv[1], "--member") == 0)
        return chaos_member_main(CHAOS_MEMBER_FD, (uint8_t)atoi(argv[2]));
    failed = check_run(tests);
    chaos_broker_remove(&broker);
    return failed;
}
