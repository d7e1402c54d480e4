/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Two commands of git's plumbing, which no configuration changes: rev-list names the commits,
 * diff-tree compares each with the one before. Names end in zero bytes (-z), so a path may have
 * any other byte.
 */
#include "history.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/** Write a line "commit predecessor" for each commit; the oldest stands alone. */
static bool write_pairs(struct history *history, struct repository *repository, FILE *pairs)
{
    char *const arguments[] = {"rev-list", "--first-parent", "--reverse", repository->head, NULL};
    char before[OBJECT_ID_SIZE + 1] = "";
    char line[OBJECT_ID_SIZE + 1];
    struct git git;

    if (!git_open(&git, repository->path, arguments, -1, false))
        return false;
    while (fgets(line, sizeof line, git.out) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (before[0] != '\0')
            fprintf(pairs, "%s %s\n", line, before);
        else
            fprintf(pairs, "%s\n", line);
        memcpy(before, line, sizeof before);
        history->commits++;
    }
    return git_close(&git) && fflush(pairs) == 0 && !ferror(pairs);
}

bool history_open(struct history *history, struct repository *repository, const char *file)
{
    static char *const ARGUMENTS[] = {
        "diff-tree",
        "--stdin",
        "--root",
        "-r",
        "--raw",
        "-z",
        "--no-renames",
        "--no-abbrev",
        "--no-relative",
        "--ignore-submodules=none",
        NULL,
    };
    FILE *pairs = fopen(file, "w+e");
    bool open = false;

    *history = (struct history){.git = {.pid = -1}};
    if (pairs == NULL) {
        perror(file);
        return false;
    }
    if (!write_pairs(history, repository, pairs))
        fprintf(stderr, "git rev-list failed\n");
    else if (lseek(fileno(pairs), 0, SEEK_SET) != 0)
        perror(file);
    else
        open = git_open(&history->git, repository->path, ARGUMENTS, fileno(pairs), false);
    fclose(pairs);
    return open;
}

/** Read up to a zero byte. Returns the size without it, -1 at the end or if it is missing. */
static ssize_t next_field(FILE *out, char **field, size_t *room)
{
    ssize_t size = getdelim(field, room, '\0', out);

    if (size <= 0 || (*field)[size - 1] != '\0')
        return -1;
    return size - 1;
}

static int history_end(struct history *history)
{
    bool well = git_close(&history->git);

    history->git.out = NULL;
    if (!well)
        fprintf(stderr, "git diff-tree failed\n");
    return well ? 0 : -1;
}

int history_next(struct history *history, struct history_change *change)
{
    FILE *out = history->git.out;
    ssize_t size = next_field(out, &history->text, &history->text_room);

    /* A field is either the id of the commit to which the next changes belong, or a change. */
    while (size > 0 && size < OBJECT_ID_SIZE && history->text[0] != ':') {
        memcpy(history->commit, history->text, (size_t)size + 1);
        size = next_field(out, &history->text, &history->text_room);
    }
    if (size < 0)
        return history_end(history);

    size = next_field(out, &history->path, &history->path_room);
    if (size < 0 || history->text[0] != ':') {
        fprintf(stderr, "git diff-tree printed something unknown\n");
        return -1;
    }
    change->path = history->path;
    change->path_size = (size_t)size;
    change->text = history->text;
    change->commit = history->commit;
    return 1;
}

void history_close(struct history *history)
{
    if (history->git.out != NULL)
        git_close(&history->git);
    free(history->text);
    free(history->path);
}
