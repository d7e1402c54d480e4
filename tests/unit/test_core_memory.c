/* SPDX-License-Identifier: Apache-2.0 */
/* The core without memory: whatever allocation fails, it says so, nothing has changed, and
 * nothing is lost or leaked. Linked with malloc, calloc, realloc and mmap wrapped. */
#include "lib/core_kit.h"

#include <stdio.h>
#include <sys/mman.h>

#define CHUNK ((uint64_t)256 * 1024)

/* Allocations that still succeed; below 0: all do. */
static int allocations_left = -1;
static bool calloc_fails;

static bool allocation_fails(void)
{
    if (allocations_left < 0)
        return false;
    return allocations_left == 0 || allocations_left-- == 0;
}

void *__real_malloc(size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *pointer, size_t size);
void *__real_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_malloc(size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *pointer, size_t size);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);

void *__wrap_malloc(size_t size)
{
    return allocation_fails() ? NULL : __real_malloc(size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return allocation_fails() ? NULL : __real_aligned_alloc(alignment, size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return calloc_fails || allocation_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *pointer, size_t size)
{
    return allocation_fails() ? NULL : __real_realloc(pointer, size);
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    return allocation_fails() ? MAP_FAILED
                              : __real_mmap(address, size, protection, flags, fd, offset);
}

static void failed_start_leaves_nothing_behind(void **state)
{
    struct core_config config = core_kit_config();
    struct core core;
    int failures = 0;

    (void)state;

    for (allocations_left = failures; !core_init(&core, &config); allocations_left = failures)
        failures++;
    allocations_left = -1;

    assert_int_equal(failures, 5);
    core_deinit(&core);
}

static void partition_that_finds_no_memory_can_be_assigned_later(void **state)
{
    struct klane_assignment *assignment;
    struct core_kit kit;
    int failures = 0;

    (void)state;
    core_kit_init(&kit, core_kit_config());

    for (;; failures++) {
        allocations_left = failures;
        assignment = core_assign(&kit.core, &kit.topic, 0, 1, 0, NULL);
        allocations_left = -1;
        if (assignment != NULL)
            break;
        core_verify(&kit.core);
        assert_int_equal(kit.core.assigned, 0);
    }

    assert_true(failures > 0);
    core_kit_take_in(&kit, assignment, 0, "a");
    core_kit_run(&kit, 0);
    core_kit_deinit(&kit);
}

static void assert_nothing_changed(const struct core *core, const struct core *before)
{
    assert_int_equal(core->admission.records, before->admission.records);
    assert_int_equal(core->lanes.table.count, before->lanes.table.count);
    assert_int_equal(core->ready.lanes, before->ready.lanes);
    assert_int_equal(core->counts.records, before->counts.records);
    assert_int_equal(core->behind, before->behind);
}

static void record_that_finds_no_memory_can_be_taken_in_later(void **state)
{
    enum { RECORDS = 700 };
    struct klane_assignment *assignment;
    struct core_kit kit;
    int failures = 0;

    (void)state;
    core_kit_init(&kit, core_kit_config());
    assignment = core_kit_assign(&kit, 0, 0);

    for (int64_t offset = 0; offset < RECORDS; offset++)
        for (int succeed = 0;; succeed++) {
            struct core before = kit.core;
            bool in;

            allocations_left = succeed;
            in = core_kit_try(&kit, assignment, offset, offset % 3 == 0 ? NULL : "a");
            allocations_left = -1;
            if (in)
                break;
            assert_nothing_changed(&kit.core, &before);
            assert_int_equal(assignment->offsets.frontier, offset);
            failures++;
        }

    assert_true(failures > 5);
    while (!core_is_empty(&kit.core))
        core_kit_back(&kit, core_next_ready(&kit.core), SLOT_DONE);
    assert_int_equal(assignment_base(assignment), RECORDS);
    core_kit_deinit(&kit);
}

/* Without memory for a segment the table only gets slower. */
static void table_that_cannot_grow_still_finds_every_lane(void **state)
{
    enum { KEYS = 600, RECORDS = 900 };
    struct klane_assignment *assignment;
    struct core_kit kit;
    char key[16];

    (void)state;
    core_kit_init(&kit, core_kit_config());
    assignment = core_kit_assign(&kit, 0, 0);
    calloc_fails = true;
    for (int64_t offset = 0; offset < RECORDS; offset++) {
        snprintf(key, sizeof(key), "%d", (int)offset % KEYS);
        core_kit_take_in(&kit, assignment, offset, key);
    }
    calloc_fails = false;

    assert_int_equal(kit.core.lanes.table.count, KEYS);
    assert_int_equal(kit.core.lanes.table.buckets, 512);
    while (!core_is_empty(&kit.core))
        core_kit_back(&kit, core_next_ready(&kit.core), SLOT_DONE);
    assert_int_equal(assignment_base(assignment), RECORDS);
    core_kit_deinit(&kit);
}

/* Takes records in until there is no memory; returns how many. */
static int64_t fill(struct core_kit *kit, struct klane_assignment *assignment, const char *key)
{
    int64_t offset = assignment->offsets.frontier, begin = offset;

    while (core_kit_try(kit, assignment, offset, key))
        offset++;
    return offset - begin;
}

static void limit_of_bytes_refuses_records_until_others_are_finished(void **state)
{
    struct core_config config = core_kit_config();
    struct klane_assignment *assignment;
    struct core_kit kit;
    int64_t count;

    (void)state;
    config.records_max = config.lane_records_max = 10000;
    core_kit_init(&kit, config);
    kit.core.slab.limit_bytes = 2 * CHUNK + CHUNK / 2;
    assignment = core_kit_assign(&kit, 0, 0);
    count = fill(&kit, assignment, "a");

    assert_true(count > 500);
    assert_true(kit.core.slab.bytes <= 2 * CHUNK);
    core_kit_run(&kit, 0);
    core_kit_take_in(&kit, assignment, count, "a");
    assert_false(core_kit_try(&kit, assignment, count + 1, "a"));
    for (int64_t offset = 1; offset <= count; offset++)
        core_kit_run(&kit, offset);
    core_kit_deinit(&kit);
}

/* A slot with it has blocks of another size than a lane. */
#define LONG_KEY "a key that takes more bytes than those in which a lane differs from a slot"

static void record_without_room_for_its_lane_leaks_no_slot(void **state)
{
    struct core_config config = core_kit_config();
    struct klane_assignment *assignment;
    struct core_kit kit;
    int64_t count;

    (void)state;
    config.records_max = config.lane_records_max = 10000;
    core_kit_init(&kit, config);
    kit.core.slab.limit_bytes = CHUNK + CHUNK / 2;
    assignment = core_kit_assign(&kit, 0, 0);

    /* One chunk holds slots, and there is none for a lane. */
    for (int i = 0; i < 20000; i++)
        assert_false(core_kit_try(&kit, assignment, 0, LONG_KEY));
    kit.core.slab.limit_bytes = 2 * CHUNK + CHUNK / 2;
    count = fill(&kit, assignment, LONG_KEY);

    assert_int_equal(
        count, (CHUNK - 64) / slab_block_size(sizeof(struct klane_slot) + strlen(LONG_KEY)));
    for (int64_t offset = 0; offset < count; offset++)
        core_kit_run(&kit, offset);
    core_kit_deinit(&kit);
}

static void a_progress_map_without_memory_is_committed_later(void **state)
{
    struct core_config config = core_kit_config();
    struct klane_assignment *assignment;
    struct core_kit kit;

    (void)state;
    config.parks = true;
    config.map_limit = 4096;
    core_kit_init(&kit, config);
    assignment = core_kit_assign(&kit, 0, 0);
    core_kit_take_in(&kit, assignment, 0, "a");
    core_kit_run(&kit, 0);
    core_kit_wait(&kit, 1000);
    allocations_left = 0;
    assert_int_equal(core_kit_commit_send(&kit, assignment), -1);
    allocations_left = -1;

    /* Not at once again. */
    assert_int_equal(core_kit_commit_send(&kit, assignment), -1);
    core_kit_wait(&kit, 1000);
    assert_int_equal(core_kit_commit_send(&kit, assignment), 1);
    assert_true(assignment->map.mark.size > 0);
    core_kit_commit_answer(&kit, true);

    /* At the end it goes without. */
    core_kit_take_in(&kit, assignment, 1, "a");
    core_kit_run(&kit, 1);
    allocations_left = 0;
    core_kit_revoke(&kit, assignment);
    allocations_left = -1;
    assert_int_equal(core_kit_commit_send(&kit, assignment), 2);
    assert_int_equal(assignment->map.mark.size, 0);
    core_kit_commit_answer(&kit, true);
    core_kit_settle(&kit, assignment);
    core_kit_deinit(&kit);
}

int main(void)
{
    const struct CMUnitTest core_memory_tests[] = {
        cmocka_unit_test(failed_start_leaves_nothing_behind),
        cmocka_unit_test(partition_that_finds_no_memory_can_be_assigned_later),
        cmocka_unit_test(record_that_finds_no_memory_can_be_taken_in_later),
        cmocka_unit_test(table_that_cannot_grow_still_finds_every_lane),
        cmocka_unit_test(limit_of_bytes_refuses_records_until_others_are_finished),
        cmocka_unit_test(record_without_room_for_its_lane_leaks_no_slot),
        cmocka_unit_test(a_progress_map_without_memory_is_committed_later),
    };

    return check_run(core_memory_tests);
}
