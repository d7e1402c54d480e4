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

/* Whoever may use the log may use its locks, as with the files that SQLite keeps beside it. Where
 * that cannot be changed it is somebody else's, who has done so. */
static void share(int locks, const char *path)
{
    struct stat log, mine;

    if (lstat(path, &log) != 0 || fstat(locks, &mine) != 0)
        return;
    if (geteuid() == 0 && (log.st_uid != mine.st_uid || log.st_gid != mine.st_gid))
        (void)!fchown(locks, log.st_uid, log.st_gid);
    if ((log.st_mode & 0666) != (mine.st_mode & 0777))
        (void)fchmod(locks, log.st_mode & 0666);
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
    if (locks >= 0)
        share(locks, database->path);
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
