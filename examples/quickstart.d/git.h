/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Running git and reading what it prints. No shell is involved, so no path needs quoting.
 */
#ifndef KLANE_QUICKSTART_GIT_H
#define KLANE_QUICKSTART_GIT_H

#include "change.h"

#include <stdio.h>
#include <sys/types.h>

/** A git that runs. */
struct git {
    FILE *out; /**< What it prints. */
    pid_t pid;
};

/**
 * Run git in a repository. arguments end with NULL; input is its standard input, -1: none;
 * quiet: its complaints are not shown. Returns false after telling on stderr why.
 */
bool git_open(struct git *git, char *repository, char *const arguments[], int input, bool quiet);

/** End it and return whether it printed everything and ended well. */
bool git_close(struct git *git);

/** What is to be known of a repository before its history is read. */
struct repository {
    char *path;
    char head[OBJECT_ID_SIZE]; /**< The commit whose history it is. */
    bool shallow;              /**< Its oldest commits are missing. */
};

/** Look at a repository. Returns false after telling on stderr why there is no history. */
bool repository_open(struct repository *repository, char *path);

#endif
