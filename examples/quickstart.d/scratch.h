/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A folder for the files of one run, which takes them with it.
 */
#ifndef KLANE_QUICKSTART_SCRATCH_H
#define KLANE_QUICKSTART_SCRATCH_H

#include <stdbool.h>

struct scratch {
    char folder[512];
    char log[544];
    char table[544];
    char commits[544];
};

/** Make it. Returns false after telling on stderr why not. */
bool scratch_create(struct scratch *scratch);

/** Remove it with everything inside. */
void scratch_remove(const struct scratch *scratch);

#endif
