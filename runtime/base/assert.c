/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

#ifdef KLANE_TESTING
klane_assert_hook_fn klane_assert_hook;
klane_mark_hook_fn klane_mark_hook;
#endif

_Noreturn void klane_assert_failed(const char *condition, const char *file, int line)
{
#ifdef KLANE_TESTING
    if (klane_assert_hook != NULL)
        klane_assert_hook(condition, file, line);
#endif
    fprintf(stderr, "klane: assertion failed: %s (%s:%d)\n", condition, file, line);
    abort();
}
