/* SPDX-License-Identifier: Apache-2.0 */
/* Every operation of the disk and every allocation fails under an embedded log, once or from then
 * on, one run for each: the call says so, what was acknowledged stays, transactions stay whole,
 * and the log can be used when the trouble is over. */
#include "lib/check.h"
#include "lib/disk.h"
#include "lib/log_world.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SEED = 7,
    OPERATIONS_MIN = 30, /* of a kind, in one run */
#if defined(__SANITIZE_ADDRESS__)
    STRIDE_OF_ALLOCATIONS = 40 /* each run is slower */
#else
    STRIDE_OF_ALLOCATIONS = 1
#endif
};

/* ---- memory ------------------------------------------------------------------------------ */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

static struct memory {
    sqlite3_mem_methods methods;
    uint64_t fail_after; /* 0: none fails */
    bool fails_for_ever;
    bool has_failed;
} memory;

static bool memory_fails(void)
{
    if (memory.fail_after == 0)
        return false;
    if (memory.fail_after > 1) {
        memory.fail_after--;
        return false;
    }
    memory.has_failed = true;
    if (!memory.fails_for_ever)
        memory.fail_after = 0;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return memory_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return memory_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return memory_fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    return memory_fails() ? NULL : __real_strdup(text);
}

static void *sqlite_malloc(int size)
{
    return memory_fails() ? NULL : memory.methods.xMalloc(size);
}

static void *sqlite_realloc(void *old, int size)
{
    return memory_fails() ? NULL : memory.methods.xRealloc(old, size);
}

static void memory_install(void)
{
    sqlite3_mem_methods mine;

    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory.methods);
    mine = memory.methods;
    mine.xMalloc = sqlite_malloc;
    mine.xRealloc = sqlite_realloc;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &mine);
}

static const enum world_kind kinds[] = {
    WORLD_APPEND, WORLD_ROW,    WORLD_APPEND_BORROWED, WORLD_STATE,  WORLD_STATE,  WORLD_COMMIT,
    WORLD_CLEAN,  WORLD_APPEND, WORLD_CHECKPOINT,      WORLD_APPEND, WORLD_REOPEN, WORLD_COMMIT};
static const enum world_kind kinds_after[] = {WORLD_APPEND, WORLD_ROW, WORLD_STATE, WORLD_COMMIT};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- a run ------------------------------------------------------------------------------- */

struct fault {
    const char *what;
    enum disk_operation operation; /* DISK_OPERATIONS: memory */
    int code;
    bool for_ever;
};

static void arm(const struct fault *fault, uint64_t count)
{
    if (fault->operation < DISK_OPERATIONS) {
        disk_fail(fault->operation, count, fault->code, fault->for_ever);
        return;
    }
    memory.fail_after = count;
    memory.fails_for_ever = fault->for_ever;
    memory.has_failed = false;
}

static bool has_come(void)
{
    return disk_has_failed() || memory.has_failed;
}

static void calm_down(void)
{
    disk_fail(DISK_WRITE, 0, SQLITE_OK, false);
    memory.fail_after = 0;
    memory.has_failed = false;
}

/* What the call says has to be what happened. */
static void assert_said(const struct fault *fault, const struct world *world, uint64_t count)
{
    bool is_right = world->err == KLANE_ERR_IO;

    if (fault->operation == DISK_OPERATIONS)
        is_right = is_right || world->err == KLANE_ERR_NOMEM;
    if (fault->code == SQLITE_FULL)
        is_right = is_right || world->err == KLANE_ERR_FULL;
    if (!is_right)
        fail_msg("%s %llu: error %d", fault->what, (unsigned long long)count, world->err);
}

/* Whether the fault came at all. */
static bool run_once(struct world *world, const struct fault *fault, uint64_t count)
{
    uint64_t random = SEED;
    char wrong[256];
    bool has_failed;

    world->random = &random;
    world_renew(world);
    arm(fault, count);
    if (!world_open(world))
        assert_said(fault, world, count);
    for (size_t i = 0; i < COUNT(kinds) && world->is_open; i++) {
        bool is_fine = world_do(world, kinds[i]);

        if (!is_fine && !has_come())
            fail_msg("%s %llu: error %d before it", fault->what, (unsigned long long)count,
                     world->err);
        if (!is_fine)
            assert_said(fault, world, count);
    }
    has_failed = has_come();
    calm_down();
    /* What is open goes on. */
    for (size_t i = 0; i < COUNT(kinds_after) && world->is_open; i++)
        if (!world_do(world, kinds_after[i]))
            fail_msg("%s %llu: error %d after it", fault->what, (unsigned long long)count,
                     world->err);
    world_close(world);
    if (!world_check(world, wrong))
        fail_msg("%s %llu: %s", fault->what, (unsigned long long)count, wrong);
    if (!world_open(world) || !world_do(world, WORLD_APPEND))
        fail_msg("%s %llu: error %d when it is opened again", fault->what,
                 (unsigned long long)count, world->err);
    world_close(world);
    disk_forget();
    return has_failed;
}

static void run_all(const struct fault *fault)
{
    struct world *world = test_malloc(sizeof *world);
    uint64_t random = SEED;
    bool is_memory = fault->operation == DISK_OPERATIONS;
    /* Where all fail from one on, the next one differs little. */
    uint64_t stride = is_memory && fault->for_ever ? check_rounds(8, 1) : 1;
    uint64_t points = 0;

    stride *= is_memory ? STRIDE_OF_ALLOCATIONS : 1;
    world_init(world, NULL, &random);
    while (run_once(world, fault, 1 + points * stride))
        points++;
    world_deinit(world);
    test_free(world);
    printf("    %s: %llu points\n", fault->what, (unsigned long long)points);
    assert_true(points * stride > OPERATIONS_MIN);
}

static void any_write_may_fail(void **state)
{
    (void)state;
    run_all(&(struct fault){"write, once", DISK_WRITE, SQLITE_IOERR_WRITE, false});
    run_all(&(struct fault){"write, for ever", DISK_WRITE, SQLITE_IOERR_WRITE, true});
    run_all(&(struct fault){"full, once", DISK_WRITE, SQLITE_FULL, false});
    run_all(&(struct fault){"full, for ever", DISK_WRITE, SQLITE_FULL, true});
}

static void any_sync_may_fail(void **state)
{
    (void)state;
    run_all(&(struct fault){"sync, once", DISK_SYNC, SQLITE_IOERR_FSYNC, false});
    run_all(&(struct fault){"sync, for ever", DISK_SYNC, SQLITE_IOERR_FSYNC, true});
}

static void any_other_operation_may_fail(void **state)
{
    (void)state;
    run_all(&(struct fault){"other, once", DISK_OTHER, SQLITE_IOERR, false});
    run_all(&(struct fault){"other, for ever", DISK_OTHER, SQLITE_IOERR, true});
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    run_all(&(struct fault){"allocation, once", DISK_OPERATIONS, SQLITE_NOMEM, false});
    run_all(&(struct fault){"allocation, for ever", DISK_OPERATIONS, SQLITE_NOMEM, true});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_write_may_fail),
        cmocka_unit_test(any_sync_may_fail),
        cmocka_unit_test(any_other_operation_may_fail),
        cmocka_unit_test(any_allocation_may_fail),
    };

    memory_install();
    disk_install();
    return check_run(tests);
}
