/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINE_BYTES = 512, LOG_TAIL_BYTES = 4000 };

bool peer_available(char *reason, size_t size)
{
    FILE *file;

    if (access(BENCH_PEERS "/stamp", R_OK) == 0)
        return true;
    snprintf(reason, size, "bench/peers/build has not built it");
    file = fopen(BENCH_PEERS "/reason", "r");
    if (file == NULL)
        return false;
    if (fgets(reason, (int)size, file) != NULL)
        reason[strcspn(reason, "\n")] = '\0';
    fclose(file);
    return false;
}

/* Witness.java has them there. */
_Static_assert(offsetof(struct witness, records) == 0 && offsetof(struct witness, keys) == 8 &&
                   offsetof(struct witness, disorder) == 24 &&
                   offsetof(struct witness, repeats) == 32 && sizeof(struct witness) == 56 &&
                   WITNESS_RUNS_BITS == 16,
               "another witness");

/* ---- its process ----------------------------------------------------------------------- */

static char *argument_next(struct peer *peer)
{
    if (peer->argument_count == PEER_ARGUMENTS_MAX - 1)
        bench_fail("no room for a peer's argument");
    return peer->arguments[peer->argument_count++];
}

void peer_argument(struct peer *peer, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(argument_next(peer), PEER_ARGUMENT_BYTES, format, arguments);
    va_end(arguments);
}

void peer_init(struct peer *peer, const char *arm, const char *heap,
               const struct witness *witness)
{
    const char *home = getenv("JAVA_HOME"), *given = getenv("KLANE_PEER_HEAP");

    *peer = (struct peer){.process = 0};
    peer_argument(peer, "%s%sjava", home == NULL ? "" : home, home == NULL ? "" : "/bin/");
    peer_argument(peer, "-Xmx%s", given == NULL ? heap : given);
    peer_argument(peer, "-XX:-UsePerfData");
    peer_argument(peer, "-XX:+ExitOnOutOfMemoryError");
    peer_argument(peer, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
    peer_argument(peer, "-cp");
    peer_argument(peer, BENCH_PEERS "/classes:" BENCH_PEERS "/jars/*");
    peer_argument(peer, "klane.bench.Main");
    peer_argument(peer, "%s", arm);
    peer_argument(peer, "witness=/proc/self/fd/%d", witness->file);
}

static _Noreturn void become_java(struct peer *peer, pid_t arm, int to)
{
    char *arguments[PEER_ARGUMENTS_MAX + 1] = {NULL};
    int log = open(peer->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

    /* Nobody would wait for it any more. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != arm)
        _exit(1);
    signal(SIGCHLD, SIG_DFL);
    dup2(to, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    for (uint32_t i = 0; i < peer->argument_count; i++)
        arguments[i] = peer->arguments[i];
    execvp(arguments[0], arguments);
    fprintf(stderr, "%s: %s\n", arguments[0], strerror(errno));
    _exit(127);
}

static int peer_wait(struct peer *peer)
{
    int status;

    fclose(peer->lines);
    while (waitpid(peer->process, &status, 0) < 0)
        if (errno != EINTR)
            bench_fail("a peer cannot be waited for");
    return status;
}

/* With the end of what it has said beside. */
static _Noreturn void fail(struct peer *peer, const char *why)
{
    char text[LOG_TAIL_BYTES + 1] = "";
    FILE *log = fopen(peer->log, "r");
    size_t size;

    kill(peer->process, SIGKILL);
    peer_wait(peer);
    if (log != NULL) {
        if (fseek(log, -LOG_TAIL_BYTES, SEEK_END) != 0)
            rewind(log);
        size = fread(text, 1, LOG_TAIL_BYTES, log);
        text[size] = '\0';
        fclose(log);
    }
    bench_fail("the peer has failed: %s\n%s", why, text);
}

/* Without the end of the line. */
static void line_read(struct peer *peer, char line[LINE_BYTES])
{
    if (fgets(line, LINE_BYTES, peer->lines) == NULL)
        fail(peer, "it has ended without its last line");
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, "fail ", 5) == 0)
        fail(peer, line + 5);
}

void peer_start(struct peer *peer, const struct bench_run *run)
{
    pid_t arm = getpid();
    char line[LINE_BYTES];
    int ends[2];

    snprintf(peer->log, sizeof(peer->log), "%s/peer-%d.log", run->directory, (int)arm);
    if (pipe2(ends, O_CLOEXEC) != 0)
        bench_fail("no pipe");
    fflush(NULL);
    peer->process = fork();
    if (peer->process < 0)
        bench_fail("no process");
    if (peer->process == 0)
        become_java(peer, arm, ends[1]);
    close(ends[1]);
    peer->lines = fdopen(ends[0], "r");
    if (peer->lines == NULL)
        bench_fail("no memory");
    line_read(peer, line);
    if (strcmp(line, "ready") != 0)
        fail(peer, line);
}

void peer_kill(struct peer *peer)
{
    kill(peer->process, SIGKILL);
    peer_wait(peer);
}

/* ---- what it says ---------------------------------------------------------------------- */

static bool is_word(const char *word, const char *other)
{
    return strcmp(word, other) == 0;
}

static bool work_report(struct bench_run *run, const char *rest)
{
    unsigned long long count;
    char more;

    if (sscanf(rest, "%llu%c", &count, &more) != 1)
        return false;
    run->result->work = count;
    return true;
}

static bool point_report(struct bench_run *run, const char *curve, const char *rest)
{
    double x, y;
    char more;

    if (sscanf(rest, "%lf %lf%c", &x, &y, &more) != 2)
        return false;
    bench_point(run, curve, x, y);
    return true;
}

static bool figure_report(struct bench_run *run, const char *rest)
{
    char name[BENCH_NAME_MAX], more;
    double value;

    if (sscanf(rest, "%39s %lf%c", name, &value, &more) != 2 || bench_metric_find(name) == NULL)
        return false;
    bench_figure(run, name, value);
    return true;
}

static bool setting_report(struct bench_run *run, const char *rest)
{
    char name[BENCH_NAME_MAX], more;
    const char *value = strchr(rest, ' ');
    long long count;

    if (value == NULL || sscanf(rest, "%39s", name) != 1)
        return false;
    if (sscanf(++value, "%lld%c", &count, &more) == 1)
        bench_setting(run, name, count);
    else
        bench_setting_text(run, name, value);
    return true;
}

static bool line_report(struct bench_run *run, const char *line)
{
    char word[16];
    int length;

    if (sscanf(line, "%15s %n", word, &length) != 1)
        return false;
    line += length;
    if (is_word(word, "figure"))
        return figure_report(run, line);
    if (is_word(word, "setting"))
        return setting_report(run, line);
    if (is_word(word, "work"))
        return work_report(run, line);
    if (is_word(word, "progress"))
        return point_report(run, "progress", line);
    return is_word(word, "histogram") && point_report(run, "histogram", line);
}

void peer_finish(struct peer *peer, struct bench_run *run)
{
    char line[LINE_BYTES];
    int status;

    for (;;) {
        line_read(peer, line);
        if (strcmp(line, "end") == 0)
            break;
        if (!line_report(run, line))
            fail(peer, line);
    }
    status = peer_wait(peer);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        bench_fail("the peer has ended with status %d", status);
}
