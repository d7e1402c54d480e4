/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The folder is flat, so removing it needs no walk.
 */
#include "scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool scratch_create(struct scratch *scratch)
{
    const char *parent = getenv("TMPDIR");
    int size = snprintf(scratch->folder, sizeof scratch->folder, "%s/klane-quickstart.XXXXXX",
                        parent != NULL && parent[0] != '\0' ? parent : "/tmp");

    if ((size_t)size >= sizeof scratch->folder || mkdtemp(scratch->folder) == NULL) {
        perror(scratch->folder);
        return false;
    }
    snprintf(scratch->log, sizeof scratch->log, "%s/log", scratch->folder);
    snprintf(scratch->table, sizeof scratch->table, "%s/table", scratch->folder);
    snprintf(scratch->commits, sizeof scratch->commits, "%s/commits", scratch->folder);
    return true;
}

void scratch_remove(const struct scratch *scratch)
{
    DIR *folder = opendir(scratch->folder);
    const struct dirent *file;

    while (folder != NULL && (file = readdir(folder)) != NULL)
        unlinkat(dirfd(folder), file->d_name, 0);
    if (folder != NULL)
        closedir(folder);
    rmdir(scratch->folder);
}
