/* SPDX-License-Identifier: Apache-2.0 */
/* Assertions and marks.
 *
 * KLANE_ASSERT holds in every build: it guards against our own bugs, never against input, the log
 * or a lack of memory. One condition each, constant time, no side effect. KLANE_VERIFY is for
 * checks of a whole structure and exists in the test library only. KLANE_MARK names a rare branch;
 * the test library counts how often it was reached, so that a test can insist that it was. */
#ifndef KLANE_BASE_ASSERT_H
#define KLANE_BASE_ASSERT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Prints one line and aborts; in the test library a test can take the failure over. */
_Noreturn void klane_assert_failed(const char *condition, const char *file, int line);

#define KLANE_ASSERT(condition)                                                                  \
    (__builtin_expect(!(condition), 0) ? klane_assert_failed(#condition, __FILE__, __LINE__)     \
                                       : (void)0)

#ifdef KLANE_TESTING

/* In the test library: who takes a failed assertion over; NULL: nobody. Must not return. */
typedef void (*klane_assert_hook_fn)(const char *condition, const char *file, int line);
extern klane_assert_hook_fn klane_assert_hook;

struct klane_mark {
    const char *name;
    _Atomic uint64_t count;
};

/* The linker gathers all marks of a program in one array. */
extern struct klane_mark __start_klane_marks[];
extern struct klane_mark __stop_klane_marks[];

/* Called by whoever reaches a mark, so that a test can act in between; NULL: nobody. To be set
 * while no other thread runs. */
typedef void (*klane_mark_hook_fn)(const char *name);
extern klane_mark_hook_fn klane_mark_hook;

#define KLANE_MARK(text)                                                                         \
    do {                                                                                         \
        static struct klane_mark mark_here                                                       \
            __attribute__((section("klane_marks"), used, aligned(16))) = {text, 0};              \
        /* Relaxed: a count that orders nothing. */                                              \
        atomic_fetch_add_explicit(&mark_here.count, 1, memory_order_relaxed);                    \
        if (klane_mark_hook != NULL)                                                             \
            klane_mark_hook(text);                                                               \
    } while (0)
#define KLANE_VERIFY(call) call

#else

#define KLANE_MARK(text) ((void)0)
#define KLANE_VERIFY(call) ((void)0)

#endif

#endif
