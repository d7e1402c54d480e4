/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/scratch.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { DESCRIPTORS_MAX = 8 };

static void check(int is_fine, const char *what)
{
    if (is_fine)
        return;
    perror(what);
    abort();
}

void scratch_init(struct scratch *scratch)
{
    const char *base = getenv("TMPDIR");
    int length;

    if (base == NULL || base[0] == '\0')
        base = access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
    length = snprintf(scratch->directory, sizeof(scratch->directory), "%s/klane-XXXXXX", base);
    check(length > 0 && (size_t)length < sizeof(scratch->directory), "the path of TMPDIR");
    check(mkdtemp(scratch->directory) != NULL, "a directory for the test");
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

void scratch_deinit(struct scratch *scratch)
{
    check(nftw(scratch->directory, remove_one, DESCRIPTORS_MAX, FTW_DEPTH | FTW_PHYS) == 0,
          "the directory of the test");
}

void scratch_path(const struct scratch *scratch, const char *name, char path[SCRATCH_PATH_SIZE])
{
    int length = snprintf(path, SCRATCH_PATH_SIZE, "%s/%s", scratch->directory, name);

    check(length > 0 && length < SCRATCH_PATH_SIZE, "the path of a file");
}
