/* SPDX-License-Identifier: Apache-2.0 */
#include "source/sqlite/locks.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static klane_err_t error_of(int number)
{
    if (number == EROFS || number == EACCES || number == EPERM)
        return KLANE_ERR_READ_ONLY;
    return number == ENOSPC || number == EDQUOT ? KLANE_ERR_FULL : KLANE_ERR_IO;
}

int locks_open(struct database *database, klane_err_t *err)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s-locks", database->path);
    int locks = -1;

    if (length < 0 || (size_t)length >= sizeof path)
        errno = ENAMETOOLONG;
    else
        locks = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    *err = locks >= 0 ? KLANE_OK
                      : database_fail(database, error_of(errno),
                                      "the file beside it for locks cannot be opened: %s",
                                      strerror(errno));
    return locks;
}

void locks_close(int locks)
{
    if (locks >= 0)
        close(locks);
}

static bool set(int locks, short type, int64_t byte)
{
    struct flock lock = {
        .l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1};

    return fcntl(locks, F_OFD_SETLK, &lock) == 0;
}

bool locks_take(int locks, int64_t byte)
{
    return set(locks, F_WRLCK, byte);
}

void locks_leave(int locks, int64_t byte)
{
    (void)set(locks, F_UNLCK, byte);
}

bool locks_find(int locks, int64_t byte, int64_t count, int64_t *found)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = (off_t)count};

    if (fcntl(locks, F_OFD_GETLK, &lock) != 0)
        return false;
    *found = lock.l_type == F_UNLCK ? -1 : (int64_t)lock.l_start;
    return true;
}
