/* SPDX-License-Identifier: Apache-2.0 */
/* A broker that only one test uses, or a cluster of three, so that they may go down:
 * tests/kafka/broker, without waiting for it. */
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

#define WORDS_MOST 12 /* of a call of the script */

extern char **environ;

/* Starts the script; what it prints goes to a file. 0: it could not be started. */
static pid_t begin_script(struct chaos_broker *broker, const char *const *arguments)
{
    char script[] = KLANE_TEST_BROKER, path[SCRATCH_PATH_SIZE];
    char words[WORDS_MOST][SCRATCH_PATH_SIZE], *argv[WORDS_MOST + 1] = {script};
    posix_spawn_file_actions_t actions;
    pid_t pid = 0;

    for (int i = 0; arguments[i] != NULL; i++) {
        snprintf(words[i], sizeof(words[i]), "%s", arguments[i]);
        argv[i + 1] = words[i];
    }
    scratch_path(&broker->scratch, "printed", path);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, path, O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
    if (posix_spawn(&pid, script, &actions, NULL, argv, environ) != 0)
        pid = 0;
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

static void begin(struct chaos_broker *broker, struct chaos_node *node, const char *command,
                  enum chaos_node_state state)
{
    const char *const arguments[] = {command, node->directory, NULL};

    node->script = begin_script(broker, arguments);
    assert_true(node->script > 0);
    node->state = state;
}

/* ---- to begin with ----------------------------------------------------------------------- */

static void read_line(FILE *file, char *line, int size)
{
    assert_non_null(fgets(line, size, file));
    line[strcspn(line, "\n")] = '\0';
}

/* Its addresses; a cluster's are those of the proxy, behind which it is. */
static void read_addresses(struct chaos_broker *broker)
{
    char path[SCRATCH_PATH_SIZE], behind[CHAOS_ADDRESS_SIZE];
    FILE *file;

    scratch_path(&broker->scratch, "printed", path);
    file = fopen(path, "r");
    assert_non_null(file);
    read_line(file, broker->bootstrap, sizeof(broker->bootstrap));
    snprintf(broker->clients, sizeof(broker->clients), "%s", broker->bootstrap);
    if (broker->count > 1) {
        const char *at = behind;

        read_line(file, behind, sizeof(behind));
        for (unsigned i = 0; i < broker->count; i++) {
            at = strchr(at, ':') + 1;
            proxy_target(broker->proxy, i, (uint16_t)atoi(at));
        }
        snprintf(broker->clients, sizeof(broker->clients),
                 "127.0.0.1:%u,127.0.0.1:%u,127.0.0.1:%u", proxy_port(broker->proxy, 0),
                 proxy_port(broker->proxy, 1), proxy_port(broker->proxy, 2));
    }
    fclose(file);
}

static void make(struct chaos_broker *broker)
{
    char text[16];

    if (broker->count == 0)
        broker->count = 1;
    scratch_init(&broker->scratch);
    scratch_path(&broker->scratch, "broker", broker->directory);
    snprintf(broker->nodes[0].directory, SCRATCH_PATH_SIZE, "%s", broker->directory);
    for (unsigned i = 0; broker->count > 1 && i < broker->count; i++) {
        snprintf(text, sizeof(text), "broker/%c", (char)('1' + i));
        scratch_path(&broker->scratch, text, broker->nodes[i].directory);
    }
    snprintf(text, sizeof(text), "%d", (int)getpid());
    setenv("KLANE_BROKER_PARENT", text, 1);
    if (broker->count > 1) {
        broker->proxy = proxy_create(broker->count);
        assert_non_null(broker->proxy);
    }
    broker->is_made = true;
}

/* True: there was none, or it has ended well. */
static bool await_script(pid_t script)
{
    int status = 0;

    while (script > 0 && waitpid(script, &status, 0) < 0 && errno == EINTR)
        continue;
    return status == 0;
}

static void start(struct chaos_broker *broker)
{
    /* CHAOS_LONE_SESSION_MS. */
    const char *one[] = {"start", broker->directory, "group.consumer.session.timeout.ms=3000",
                         NULL};
    char ports[32];
    /* One that is dead is taken for dead within some two seconds, be it the active controller. */
    const char *three[] = {"start",
                           broker->directory,
                           "--nodes",
                           "3",
                           "--advertise",
                           ports,
                           "broker.session.timeout.ms=1500",
                           "controller.quorum.fetch.timeout.ms=1000",
                           "controller.quorum.election.timeout.ms=500",
                           "controller.quorum.election.backoff.max.ms=300",
                           NULL};
    pid_t script;

    if (broker->count > 1)
        snprintf(ports, sizeof(ports), "%u,%u,%u", proxy_port(broker->proxy, 0),
                 proxy_port(broker->proxy, 1), proxy_port(broker->proxy, 2));
    script = begin_script(broker, broker->count > 1 ? three : one);
    assert_true(script > 0);
    assert_true(await_script(script));
    read_addresses(broker);
    for (unsigned i = 0; i < broker->count; i++)
        broker->nodes[i].state = CHAOS_NODE_UP;
}

void chaos_broker_up(struct chaos_broker *broker)
{
    const struct timespec pause = {.tv_nsec = 10000000};

    if (!broker->is_made) {
        make(broker);
        start(broker);
    }
    while (!chaos_broker_is_up(broker)) {
        chaos_broker_work(broker, INT64_MAX);
        nanosleep(&pause, NULL);
    }
}

/* ---- and then ---------------------------------------------------------------------------- */

bool chaos_broker_is_up(const struct chaos_broker *broker)
{
    for (unsigned i = 0; i < broker->count; i++)
        if (broker->nodes[i].state != CHAOS_NODE_UP)
            return false;
    return true;
}

static void signal_node(const struct chaos_node *node, int signal)
{
    char path[SCRATCH_PATH_SIZE + 8];
    int pid = 0;
    FILE *file;

    snprintf(path, sizeof(path), "%s/pid", node->directory);
    file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &pid), 1);
    fclose(file);
    assert_int_equal(kill(pid, signal), 0);
}

/* True: it is back. */
static bool work_on(struct chaos_broker *broker, struct chaos_node *node, int64_t now_ms)
{
    int status = 0;

    if (node->state == CHAOS_NODE_FROZEN && now_ms >= node->until_ms) {
        signal_node(node, SIGCONT);
        node->state = CHAOS_NODE_UP;
        return true;
    }
    if (node->script == 0 || waitpid(node->script, &status, WNOHANG) == 0)
        return false;
    node->script = 0;
    if (status != 0)
        fail_msg("the broker's script ended with %d", status);
    if (node->state == CHAOS_NODE_GOES) {
        begin(broker, node, "start", CHAOS_NODE_COMES);
        return false;
    }
    node->state = CHAOS_NODE_UP;
    return true;
}

unsigned chaos_broker_work(struct chaos_broker *broker, int64_t now_ms)
{
    unsigned back = 0;

    for (unsigned i = 0; i < broker->count; i++)
        back += work_on(broker, &broker->nodes[i], now_ms);
    return back;
}

void chaos_broker_restart(struct chaos_broker *broker, unsigned node, bool is_kill)
{
    assert_int_equal(broker->nodes[node].state, CHAOS_NODE_UP);
    begin(broker, &broker->nodes[node], is_kill ? "kill" : "stop", CHAOS_NODE_GOES);
}

/* Begins it and returns when it is done. */
static void do_now(struct chaos_broker *broker, struct chaos_node *node, const char *command,
                   enum chaos_node_state state)
{
    begin(broker, node, command, state);
    assert_true(await_script(node->script));
    node->script = 0;
}

void chaos_broker_kill(struct chaos_broker *broker, unsigned node)
{
    assert_int_equal(broker->nodes[node].state, CHAOS_NODE_UP);
    do_now(broker, &broker->nodes[node], "kill", CHAOS_NODE_DOWN);
}

void chaos_broker_start(struct chaos_broker *broker, unsigned node)
{
    assert_int_equal(broker->nodes[node].state, CHAOS_NODE_DOWN);
    do_now(broker, &broker->nodes[node], "start", CHAOS_NODE_UP);
}

void chaos_broker_freeze(struct chaos_broker *broker, unsigned node, int64_t until_ms)
{
    assert_int_equal(broker->nodes[node].state, CHAOS_NODE_UP);
    signal_node(&broker->nodes[node], SIGSTOP);
    broker->nodes[node].state = CHAOS_NODE_FROZEN;
    broker->nodes[node].until_ms = until_ms;
}

unsigned chaos_broker_controller(const struct chaos_broker *broker)
{
    int best = -1, active = 1;

    for (unsigned i = 0; i < broker->count; i++) {
        char path[SCRATCH_PATH_SIZE + 64], text[512] = "";
        const char *leader, *epoch;
        FILE *file;

        snprintf(path, sizeof(path), "%s/data/__cluster_metadata-0/quorum-state",
                 broker->nodes[i].directory);
        file = fopen(path, "r");
        if (file == NULL)
            continue;
        text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
        fclose(file);
        leader = strstr(text, "\"leaderId\":");
        epoch = strstr(text, "\"leaderEpoch\":");
        if (leader == NULL || epoch == NULL || atoi(leader + strlen("\"leaderId\":")) < 1 ||
            atoi(epoch + strlen("\"leaderEpoch\":")) <= best)
            continue;
        active = atoi(leader + strlen("\"leaderId\":"));
        best = atoi(epoch + strlen("\"leaderEpoch\":"));
    }
    return (unsigned)active - 1;
}

void chaos_broker_remove(struct chaos_broker *broker)
{
    const char *const arguments[] = {"kill", broker->directory, NULL};

    if (!broker->is_made)
        return;
    for (unsigned i = 0; i < broker->count; i++)
        await_script(broker->nodes[i].script);
    if (!await_script(begin_script(broker, arguments)))
        fprintf(stderr, "the broker in %s was not ended\n", broker->directory);
    if (broker->proxy != NULL)
        proxy_destroy(broker->proxy);
    scratch_deinit(&broker->scratch);
    broker->is_made = false;
}
