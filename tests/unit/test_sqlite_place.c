/* SPDX-License-Identifier: Apache-2.0 */
/* Where an embedded log may be: what is refused for its place, and that nothing is left there. */
#include "lib/log_fixture.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned file_system; /* that every place is on; 0: as it is */

int __real_statfs(const char *path, struct statfs *status);
int __wrap_statfs(const char *path, struct statfs *status);

int __wrap_statfs(const char *path, struct statfs *status)
{
    int result = __real_statfs(path, status);

    if (file_system != 0)
        status->f_type = (int)file_system;
    return result;
}

static void a_new_log_is_readable_by_its_owner_only(void **state)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    struct log_fixture *fixture = *state;
    char path[2 * SCRATCH_PATH_SIZE];
    struct stat status;

    mode_t before = umask(0);
    klane_err_t err = log_open(fixture);

    umask(before);
    assert_int_equal(err, KLANE_OK);
    assert_int_equal(klane_sqlite_topic(fixture->log, "orders", 1), KLANE_OK);

    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s%s", fixture->path, suffixes[i]);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
    }
}

static void a_missing_directory_is_named(void **state)
{
    struct log_fixture *fixture = *state;

    scratch_path(&fixture->scratch, "none/log", fixture->path);
    log_assert_refused(fixture, KLANE_ERR_IO, "directory");
    strcpy(fixture->path, "/proc/klane-log");
    assert_int_not_equal(log_open(fixture), KLANE_OK);
    strcpy(fixture->path, "");
    log_assert_refused(fixture, KLANE_ERR_INVALID, "does not name a file");
}

static void what_is_not_a_regular_file_is_refused(void **state)
{
    struct log_fixture *fixture = *state;
    char target[SCRATCH_PATH_SIZE];

    assert_int_equal(mkdir(fixture->path, 0700), 0);
    log_assert_refused(fixture, KLANE_ERR_IO, "not a regular file");
    assert_int_equal(rmdir(fixture->path), 0);
    assert_int_equal(mkfifo(fixture->path, 0600), 0);
    log_assert_refused(fixture, KLANE_ERR_IO, "not a regular file");
    assert_int_equal(unlink(fixture->path), 0);
    scratch_path(&fixture->scratch, "target", target);
    assert_int_equal(symlink(target, fixture->path), 0);
    log_assert_refused(fixture, KLANE_ERR_IO, "symbolic link");
    assert_int_equal(log_file_size(target), -1);
}

static void a_directory_may_be_a_symbolic_link(void **state)
{
    struct log_fixture *fixture = *state;
    char link[SCRATCH_PATH_SIZE];

    scratch_path(&fixture->scratch, "link", link);
    assert_int_equal(symlink(".", link), 0);
    scratch_path(&fixture->scratch, "link/log", fixture->path);

    assert_int_equal(log_open(fixture), KLANE_OK);
}

static void names_that_mean_something_to_sqlite_are_only_names(void **state)
{
    static const char *const names[] = {":memory:", "file:log?mode=memory"};
    struct log_fixture *fixture = *state;
    char directory[SCRATCH_PATH_SIZE];

    assert_non_null(getcwd(directory, sizeof(directory)));
    assert_int_equal(chdir(fixture->scratch.directory), 0);
    for (size_t i = 0; i < 2; i++) {
        strcpy(fixture->path, names[i]);
        assert_int_equal(log_open(fixture), KLANE_OK);
        assert_true(log_file_size(names[i]) > 0);
        log_close(fixture);
    }
    assert_int_equal(chdir(directory), 0);
}

/* Of another machine neither locks nor shared memory are to be had. */
static void a_file_system_of_a_network_is_refused(void **state)
{
    static const unsigned networks[] = {NFS_SUPER_MAGIC, CIFS_SUPER_MAGIC, SMB2_SUPER_MAGIC,
                                        CEPH_SUPER_MAGIC};
    struct log_fixture *fixture = *state;
    struct klane_source *source = NULL;
    sqlite3 *raw;

    for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
        file_system = networks[i];
        log_assert_refused(fixture, KLANE_ERR_INVALID, "file system of a network");
        assert_int_equal(log_file_size(fixture->path), -1);
    }
    assert_int_equal(klane_sqlite_create(fixture->path, "group", KLANE_SQLITE_STANDBY, &source,
                                         fixture->errstr, sizeof(fixture->errstr)),
                     KLANE_ERR_INVALID);
    assert_null(source);
    assert_int_equal(sqlite3_open(fixture->path, &raw), SQLITE_OK);
    assert_int_equal(sqlite3_exec(raw, "CREATE TABLE orders (id)", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(klane_sqlite_borrow(raw, &fixture->log, fixture->errstr,
                                         sizeof(fixture->errstr)),
                     KLANE_ERR_INVALID);
    assert_int_equal(sqlite3_close(raw), SQLITE_OK);
    assert_int_equal(unlink(fixture->path), 0);
    file_system = 0;
    assert_int_equal(log_open(fixture), KLANE_OK);
}

/* In a child, as whoever may write everywhere sees no difference. */
static bool is_refused_to_others(struct log_fixture *fixture, klane_err_t err, const char *text)
{
    struct klane_source *source;
    int status;
    pid_t child = fork();

    if (child == 0) {
        bool is_right = geteuid() != 0 || (setegid(65534) == 0 && seteuid(65534) == 0);

        is_right = is_right && log_open(fixture) == err &&
                   strstr(fixture->errstr, fixture->path) != NULL &&
                   strstr(fixture->errstr, text) != NULL;
        is_right = is_right &&
                   klane_sqlite_create(fixture->path, "group", KLANE_SQLITE_STANDBY, &source,
                                       fixture->errstr, sizeof(fixture->errstr)) == err &&
                   strstr(fixture->errstr, fixture->path) != NULL;
        if (!is_right)
            fprintf(stderr, "not \"%s\" but \"%s\"\n", text, fixture->errstr);
        _exit(is_right ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status == 0;
}

static void a_place_that_cannot_be_written_is_read_only(void **state)
{
    struct log_fixture *fixture = *state;

    assert_int_equal(chmod(fixture->scratch.directory, 0555), 0);
    assert_true(is_refused_to_others(fixture, KLANE_ERR_READ_ONLY, "cannot be made"));
    assert_int_equal(chmod(fixture->scratch.directory, 0755), 0);
    assert_int_equal(log_open(fixture), KLANE_OK);
    log_close(fixture);
    assert_int_equal(chmod(fixture->path, 0444), 0);
    assert_true(is_refused_to_others(fixture, KLANE_ERR_READ_ONLY, "read-only"));
    assert_int_equal(chmod(fixture->path, 0600), 0);
    assert_int_equal(log_open(fixture), KLANE_OK);
}

/* However many are left, it works or says so, and works when there are some again. */
static void without_descriptors_it_is_refused(void **state)
{
    struct log_fixture *fixture = *state;
    struct rlimit before, few;
    klane_err_t err = KLANE_ERR_IO;
    int next = open("/dev/null", O_RDONLY);

    assert_true(next >= 0);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (int more = 0; err != KLANE_OK && more < 20; more++) {
        few = before;
        few.rlim_cur = (rlim_t)(next + more);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        err = log_open(fixture);
        if (err == KLANE_OK)
            err = klane_sqlite_topic(fixture->log, "orders", 1);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        if (more == 0)
            assert_int_equal(err, KLANE_ERR_IO);
        log_close(fixture);
    }
    assert_int_equal(err, KLANE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_NEW(a_new_log_is_readable_by_its_owner_only),
        LOG_NEW(a_missing_directory_is_named),
        LOG_NEW(what_is_not_a_regular_file_is_refused),
        LOG_NEW(a_directory_may_be_a_symbolic_link),
        LOG_NEW(names_that_mean_something_to_sqlite_are_only_names),
        LOG_NEW(a_file_system_of_a_network_is_refused),
        LOG_NEW(a_place_that_cannot_be_written_is_read_only),
        LOG_NEW(without_descriptors_it_is_refused),
    };

    return check_run(tests);
}
