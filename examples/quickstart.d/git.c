/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A child for each git, its output in a pipe. It ends when this process does, and no variable of
 * the environment leads it to another repository.
 */
#include "git.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS_MAX 20

/** Variables that would make git look at another repository than the one it is told. */
static const char *const MISLEADING[] = {
    "GIT_DIR",        "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY",
    "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX",     "GIT_ALTERNATE_OBJECT_DIRECTORIES",
};

static void become_git(char *const arguments[], int input, int output, bool quiet)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_DFL);
    for (size_t i = 0; i < sizeof MISLEADING / sizeof MISLEADING[0]; i++)
        unsetenv(MISLEADING[i]);
    if (dup2(input >= 0 ? input : null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        (quiet && dup2(null, STDERR_FILENO) < 0))
        _exit(126);
    execvp("git", arguments);
    dprintf(STDERR_FILENO, "git cannot be run: %s\n", strerror(errno));
    _exit(127);
}

bool git_open(struct git *git, char *repository, char *const arguments[], int input, bool quiet)
{
    char *all[ARGUMENTS_MAX] = {"git", "-C", repository};
    int ends[2];

    for (size_t i = 0; arguments[i] != NULL && i + 4 < ARGUMENTS_MAX; i++)
        all[i + 3] = arguments[i];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        perror("pipe");
        return false;
    }
    /* What is still buffered must not be printed twice. */
    fflush(NULL);
    git->pid = fork();
    if (git->pid == 0)
        become_git(all, input, ends[1], quiet);
    close(ends[1]);
    git->out = git->pid > 0 ? fdopen(ends[0], "r") : NULL;
    if (git->out != NULL)
        return true;
    perror("git");
    close(ends[0]);
    if (git->pid > 0)
        waitpid(git->pid, NULL, 0);
    return false;
}

bool git_close(struct git *git)
{
    bool complete = feof(git->out) && !ferror(git->out);
    int status = -1;

    fclose(git->out);
    if (!complete)
        kill(git->pid, SIGTERM);
    while (waitpid(git->pid, &status, 0) < 0 && errno == EINTR)
        ;
    return complete && status == 0;
}

/** Run git for one line of output. */
static bool git_line(char *repository, char *const arguments[], char *line, size_t line_size)
{
    struct git git;
    bool read;

    if (!git_open(&git, repository, arguments, -1, true))
        return false;
    read = fgets(line, (int)line_size, git.out) != NULL;
    while (fgetc(git.out) != EOF)
        ;
    line[read ? strcspn(line, "\n") : 0] = '\0';
    return git_close(&git) && read;
}

bool repository_open(struct repository *repository, char *path)
{
    static char *const DIRECTORY[] = {"rev-parse", "--git-dir", NULL};
    static char *const HEAD[] = {"rev-parse", "--verify", "HEAD^{commit}", NULL};
    static char *const SHALLOW[] = {"rev-parse", "--is-shallow-repository", NULL};
    static char *const VERSION[] = {"version", NULL};
    char line[4096];

    *repository = (struct repository){.path = path};
    if (!git_line(".", VERSION, line, sizeof line)) {
        fprintf(stderr, "git cannot be run; it is needed to read a history\n");
        return false;
    }
    if (!git_line(path, DIRECTORY, line, sizeof line)) {
        struct git git;

        fprintf(stderr, "There is no history here: git says of %s:\n", path);
        if (git_open(&git, path, DIRECTORY, -1, false))
            git_close(&git);
        return false;
    }
    if (!git_line(path, HEAD, repository->head, sizeof repository->head)) {
        fprintf(stderr, "There is no history here: %s has no commit yet.\n", path);
        return false;
    }
    repository->shallow = git_line(path, SHALLOW, line, sizeof line) && strcmp(line, "true") == 0;
    return true;
}
