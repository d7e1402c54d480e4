/* SPDX-License-Identifier: Apache-2.0 */
/* A broker that only one test uses, so that it may go down: tests/kafka/broker, without waiting
 * for it. */
#include "kafka/chaos.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* Starts the script; what it prints goes to a file. 0: it could not be started. */
static pid_t begin_script(struct chaos_broker *broker, const char *command)
{
    char script[] = KLANE_TEST_BROKER;
    char word[8], path[SCRATCH_PATH_SIZE];
    char *const arguments[] = {script, word, broker->directory, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid = 0;

    snprintf(word, sizeof(word), "%s", command);
    scratch_path(&broker->scratch, "printed", path);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, path, O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
    if (posix_spawn(&pid, script, &actions, NULL, arguments, environ) != 0)
        pid = 0;
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

static void begin(struct chaos_broker *broker, const char *command, enum chaos_broker_state state)
{
    broker->script = begin_script(broker, command);
    assert_true(broker->script > 0);
    broker->state = state;
}

static void read_bootstrap(struct chaos_broker *broker)
{
    char path[SCRATCH_PATH_SIZE];
    FILE *file;

    scratch_path(&broker->scratch, "printed", path);
    file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(broker->bootstrap, sizeof(broker->bootstrap), file));
    fclose(file);
    broker->bootstrap[strcspn(broker->bootstrap, "\n")] = '\0';
}

bool chaos_broker_work(struct chaos_broker *broker)
{
    int status = 0;

    if (broker->script == 0 || waitpid(broker->script, &status, WNOHANG) == 0)
        return false;
    broker->script = 0;
    if (status != 0) {
        broker->state = CHAOS_BROKER_DOWN;
        fail_msg("the broker's script ended with %d", status);
    }
    if (broker->state == CHAOS_BROKER_GOES) {
        begin(broker, "start", CHAOS_BROKER_COMES);
        return false;
    }
    broker->state = CHAOS_BROKER_UP;
    read_bootstrap(broker);
    return true;
}

void chaos_broker_up(struct chaos_broker *broker)
{
    const struct timespec pause = {.tv_nsec = 10000000};

    if (!broker->is_made) {
        char pid[16];

        scratch_init(&broker->scratch);
        scratch_path(&broker->scratch, "broker", broker->directory);
        snprintf(pid, sizeof(pid), "%d", (int)getpid());
        setenv("KLANE_BROKER_PARENT", pid, 1);
        broker->is_made = true;
    }
    if (broker->state == CHAOS_BROKER_DOWN)
        begin(broker, "start", CHAOS_BROKER_COMES);
    while (broker->state != CHAOS_BROKER_UP) {
        chaos_broker_work(broker);
        nanosleep(&pause, NULL);
    }
}

void chaos_broker_restart(struct chaos_broker *broker, bool is_kill)
{
    assert_int_equal(broker->state, CHAOS_BROKER_UP);
    begin(broker, is_kill ? "kill" : "stop", CHAOS_BROKER_GOES);
}

/* True: there was none, or it has ended well. */
static bool await_script(pid_t script)
{
    int status = 0;

    while (script > 0 && waitpid(script, &status, 0) < 0 && errno == EINTR)
        continue;
    return status == 0;
}

void chaos_broker_remove(struct chaos_broker *broker)
{
    if (!broker->is_made)
        return;
    await_script(broker->script);
    broker->script = 0;
    if (!await_script(begin_script(broker, "kill")))
        fprintf(stderr, "the broker in %s was not ended\n", broker->directory);
    scratch_deinit(&broker->scratch);
    broker->is_made = false;
}
