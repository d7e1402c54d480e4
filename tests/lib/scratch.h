/* SPDX-License-Identifier: Apache-2.0 */
/* A directory for the files of one test: new, empty, and gone with all its files afterwards. */
#ifndef KLANE_TESTS_LIB_SCRATCH_H
#define KLANE_TESTS_LIB_SCRATCH_H

#define SCRATCH_PATH_SIZE 256

struct scratch {
    char directory[SCRATCH_PATH_SIZE];
};

/* Under TMPDIR, else in memory if there is /dev/shm, for these tests sync a lot and none of them
 * cuts the power; else under /tmp. Aborts if there is no place for it. */
void scratch_init(struct scratch *scratch);

void scratch_deinit(struct scratch *scratch);

/* The path of a file in it. */
void scratch_path(const struct scratch *scratch, const char *name, char path[SCRATCH_PATH_SIZE]);

#endif
